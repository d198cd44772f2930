//! Makes single attempts (a connection, a handshake or a request), and runs several attempts in parallel.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::session::Session;
use crate::causes::facts::{Attempt, Plain, host};
use crate::deadline::Deadline;
use crate::haproxy::ask::PAUSE;
use crate::plan::Plan;
use crate::probe::connect::{self, Address};
use crate::probe::{Seen, Trial};

/// The longest time that diagnose waits for a connection. An address that takes longer counts as not
/// answering.
const CONNECT: Duration = Duration::from_secs(1);
/// The number of bytes after which diagnose stops reading a plain HTTP response. Heads are usually shorter.
const HEAD: usize = 4096;

/// Connects, but sends nothing.
pub(super) fn connect(plan: &Plan, address: &Address) -> Attempt {
    let start = Instant::now();
    let deadline = Deadline::new(start, plan.timeout.min(CONNECT));
    let dialled = connect::dial(std::slice::from_ref(address), source(plan), deadline);
    let mut seen = Seen::default();
    seen.times.connect = Some(start.elapsed());
    let result = dialled.map(|_| None).map_err(|(failure, _)| failure);
    Attempt { result, seen }
}

/// Runs one variation of the check at an address. If the server answers 429, repeats the request after a
/// pause, because diagnose's own parallel requests may have exceeded the server's limit. The pauses don't
/// overlap, so diagnose repeats only one request at a time.
pub(super) fn attempt(
    trial: Trial<'_>,
    address: &Address,
    timeout: Duration,
    session: &Session,
) -> Attempt {
    let first = once(trial, address, timeout);
    let is_limited = |attempt: &Attempt| {
        let rules = trial.request.map(|request| request.expectations.as_slice());
        let failure = attempt.result.as_ref().err();
        let status =
            failure.and_then(|failure| failure.unexpected_status(rules.unwrap_or_default()));
        status.is_some_and(|(status, _)| status == 429)
    };
    if !is_limited(&first) {
        return first;
    }
    let strict = session.strict.lock();
    let mut strict = strict.unwrap_or_else(PoisonError::into_inner);
    let name = address.to_string();
    if strict.contains(&name) {
        return first;
    }
    thread::sleep(PAUSE);
    let second = once(trial, address, timeout);
    if is_limited(&second) {
        strict.push(name);
    }
    second
}

fn once(trial: Trial<'_>, address: &Address, timeout: Duration) -> Attempt {
    let start = Instant::now();
    let mut seen = Seen::default();
    let deadline = Deadline::new(start, timeout);
    let result = trial.run(std::slice::from_ref(address), deadline, &mut seen);
    seen.times.total = start.elapsed();
    Attempt { result, seen }
}

/// Returns the address of `--source` without its port. Only one connection at a time can use a fixed port, so
/// diagnose leaves it to the check itself.
pub(super) fn source(plan: &Plan) -> Option<SocketAddr> {
    plan.source.map(|source| SocketAddr::new(source.ip(), 0))
}

/// Texts in the responses of nginx, Apache and Go to plain HTTP on a TLS port.
const WANTS_TLS: [&str; 3] = [
    "plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server port",
    "sent an HTTP request to an HTTPS server",
];

/// Sends a GET request without TLS. The request has the check's URI and Host, but not the check's other
/// headers and body, because they may be secret. Returns `None` if the server doesn't respond in HTTP.
pub(super) fn plain_http(plan: &Plan, address: &Address) -> Option<Plain> {
    let Address::Tcp(address) = address else {
        return None;
    };
    let wait = plan.timeout.min(CONNECT);
    let mut stream = TcpStream::connect_timeout(address, wait).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    let uri = plan.request.uri.path_and_query()?;
    let host = host(plan);
    let request = format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let head = read_head(&mut stream, Instant::now() + wait);
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

/// Returns true if the server closes an idle connection within the time `wait`. Returns `None` if diagnose
/// can't connect over TCP.
pub(super) fn hangs_up(address: &Address, wait: Duration) -> Option<bool> {
    let Address::Tcp(address) = address else {
        return None;
    };
    let mut stream = TcpStream::connect_timeout(address, CONNECT).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    Some(match stream.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    })
}

/// Reads the head of a response. For status 400, also reads the body, because the body may say that the port
/// expects TLS.
fn read_head(stream: &mut TcpStream, end: Instant) -> String {
    let mut head = Vec::new();
    let mut buffer = [0; HEAD];
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
    String::from_utf8_lossy(&head).into_owned()
}

/// A job for [`in_parallel`]. The job itself stores its result.
pub(super) type Job<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Runs the jobs in parallel, on as many threads as the system allows. The calling thread runs jobs, too.
pub(super) fn in_parallel<J: FnOnce() + Send>(jobs: impl IntoIterator<Item = J>) {
    let jobs: VecDeque<J> = jobs.into_iter().collect();
    let others = jobs.len().saturating_sub(1);
    let queue = Mutex::new(jobs);
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    };
    let work = || {
        while let Some(job) = next() {
            job();
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            let thread = thread::Builder::new().spawn_scoped(scope, work);
            if thread.is_err() {
                break;
            }
        }
        work();
    });
}
