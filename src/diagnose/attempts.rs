//! Single attempts: a connection, a handshake or a request, each by itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ureq::http::header;

use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::probe::connect::{self, Address};
use crate::probe::{Response, Seen, Trial};

/// No address is waited for longer: a second says that it does not answer.
const CONNECT: Duration = Duration::from_secs(1);
/// How much of an answer in plain HTTP is read: its head.
const HEAD: usize = 4096;

/// One variation and what came of it.
pub(super) struct Attempt {
    pub result: Result<Option<Response>, Failure>,
    pub seen: Seen,
}

impl Attempt {
    /// An attempt that was not made.
    pub fn none() -> Attempt {
        Attempt {
            result: Err(Failure::Internal("not tried".to_owned())),
            seen: Seen::default(),
        }
    }

    pub fn connect(plan: &Plan, address: &Address) -> Attempt {
        let start = Instant::now();
        let deadline = Deadline::new(start, plan.timeout.min(CONNECT));
        let dialled = connect::dial(std::slice::from_ref(address), source(plan), deadline);
        let mut seen = Seen::default();
        seen.times.connect = Some(start.elapsed());
        let result = dialled.map(|_| None).map_err(|(failure, _)| failure);
        Attempt { result, seen }
    }

    pub fn run(trial: Trial<'_>, address: &Address, timeout: Duration) -> Attempt {
        let start = Instant::now();
        let mut seen = Seen::default();
        let deadline = Deadline::new(start, timeout);
        let result = trial.run(std::slice::from_ref(address), deadline, &mut seen);
        seen.times.total = start.elapsed();
        Attempt { result, seen }
    }
}

/// The address to connect from, at any port: a fixed one serves one connection at a time, and that
/// is the check's.
pub(super) fn source(plan: &Plan) -> Option<SocketAddr> {
    plan.source.map(|source| SocketAddr::new(source.ip(), 0))
}

/// What a server that does not speak TLS answers to the same request in plain HTTP.
pub(super) struct Plain {
    pub status: u16,
    /// Where a redirect points.
    pub location: Option<String>,
    /// The page says that the port is for TLS.
    pub wants_tls: bool,
}

/// What nginx, Apache and Go say to plain HTTP on a port for TLS.
const WANTS_TLS: [&str; 3] = [
    "plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server port",
    "sent an HTTP request to an HTTPS server",
];

impl Plain {
    /// Whether this is what visitors should see, not a hint that TLS is wanted.
    pub fn is_site(&self) -> bool {
        (200..400).contains(&self.status) && !self.points_to_https()
    }

    /// Whether it redirects to HTTPS.
    pub fn points_to_https(&self) -> bool {
        let location = self.location.as_deref().unwrap_or_default();
        location.to_ascii_lowercase().starts_with("https:")
    }
}

/// Asks without TLS, and without anything that the user added to the request.
pub(super) fn plain_http(plan: &Plan, address: &Address) -> Option<Plain> {
    let Address::Tcp(address) = address else {
        return None;
    };
    let wait = plan.timeout.min(CONNECT);
    let mut stream = TcpStream::connect_timeout(address, wait).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    let mut headers = plan.request.headers.iter();
    let host = headers.find(|(name, _)| name == header::HOST);
    let host = host.and_then(|(_, value)| value.to_str().ok())?;
    let uri = plan.request.uri.path_and_query()?;
    let request = format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = Vec::new();
    let end = Instant::now() + wait;
    let mut buffer = [0; HEAD];
    // A page about an error says which one.
    let is_read = |head: &[u8]| {
        let ended = head.windows(4).any(|four| four == b"\r\n\r\n");
        head.len() >= HEAD || (ended && !head.starts_with(b"HTTP/1.1 400"))
    };
    while !is_read(&head) {
        match stream.read(&mut buffer) {
            Ok(length @ 1..) if Instant::now() < end => head.extend_from_slice(&buffer[..length]),
            _ => break,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let matches = name.eq_ignore_ascii_case("location");
        matches.then(|| value.trim().to_owned())
    });
    Some(Plain {
        status: status.get(..3)?.parse().ok()?,
        location,
        wants_tls: WANTS_TLS.iter().any(|words| head.contains(words)),
    })
}
