//! `--run` for backends that `sni-check serve` checks: doctor sends serve the request of HAProxy's
//! http-check.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;

use crate::code::Code;
use crate::options::expect::Part;
use crate::serve::request::{OPTIONS, STATE};

use crate::haproxy::config::serve::ServeCheck;
use crate::haproxy::config::server_line::Server;

use super::outcome::Outcome;
use crate::doctor::visit::Watch;
use crate::doctor::visit::jail::{Jail, Need};
use crate::doctor::visit::own_check;

/// The longest answer that doctor reads, in bytes.
const MAX_ANSWER: u64 = 8 << 10;

/// Asks serve about a server. Returns what HAProxy would show, the meaning of this result, and serve's
/// reason.
pub(crate) fn one(check: &ServeCheck, watch: &Watch, jail: &Jail) -> (Outcome, String, String) {
    match ask(check, watch.server, jail) {
        Ok(Answered {
            code,
            verdict,
            reason,
        }) => {
            let meaning = match Code::from_number(code) {
                Some(Code::Healthy) if verdict.is_err() => {
                    "the server works, but http-check expect rejects the answer of sni-check serve"
                }
                Some(code) => code.meaning(),
                None => "not a code of sni-check",
            };
            let outcome = Outcome::Served {
                code,
                status: match verdict {
                    Ok(()) => "L7OK",
                    Err(Part::Body) => "L7RSP",
                    Err(_) => "L7STS",
                },
                shown: check.shows_code(),
            };
            (outcome, meaning.to_owned(), reason)
        }
        Err(error) => {
            let (outcome, meaning) = unanswered(check, watch, &error);
            (outcome, meaning, String::new())
        }
    }
}

/// Explains why serve sent no code, and what to do.
fn unanswered(check: &ServeCheck, watch: &Watch, error: &io::Error) -> (Outcome, String) {
    let no_serve = Outcome::NoServe {
        unix: check.socket().is_some(),
    };
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            let limit = check.limit(watch.server);
            let plan = watch.own.as_ref().map(|accepted| &accepted.plan);
            let advice = match plan.is_some_and(|plan| plan.timeout >= limit) {
                true => "the check may take longer than that (see --timeout above)",
                false => "restart it (systemctl restart sni-check, where systemd runs it)",
            };
            let within = limit.as_millis();
            let meaning = format!("sni-check serve did not answer within {within} ms; {advice}");
            (Outcome::ServeLate, meaning)
        }
        io::ErrorKind::InvalidData => (
            Outcome::NotServe,
            format!("sni-check serve does not answer: {error}"),
        ),
        io::ErrorKind::ConnectionRefused => (
            no_serve,
            "nothing listens at the address of sni-check serve; start it".to_owned(),
        ),
        _ => (
            no_serve,
            format!("sni-check serve does not answer: {error}"),
        ),
    }
}

/// The answer of serve.
struct Answered {
    code: u8,
    /// The verdict of HAProxy's rules. An error is the part of the answer that doesn't meet a rule.
    verdict: Result<(), Part>,
    reason: String,
}

fn ask(check: &ServeCheck, server: &Server, jail: &Jail) -> io::Result<Answered> {
    let longest = check.limit(server);
    let request = request(check, server);
    let answer = match (check.socket(), &check.connect) {
        (Some(path), _) => {
            let found = jail.find(&path, Need::Connect);
            let found = found
                .map_err(|_| io::Error::other("HAProxy's user cannot connect to its socket"))?;
            let stream = UnixStream::connect(found.path)?;
            stream.set_read_timeout(Some(longest))?;
            exchange(stream, &request)
        }
        (None, Some(connect)) => {
            let (host, port) = &connect.value;
            let port = port.as_ref().and_then(|port| port.parse().ok());
            let address = (host.as_str(), port.unwrap_or_default())
                .to_socket_addrs()?
                .next();
            let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
            let stream = TcpStream::connect_timeout(&address, longest)?;
            stream.set_read_timeout(Some(longest))?;
            exchange(stream, &request)
        }
        (None, None) => Err(io::Error::other("`http-check connect addr` is missing")),
    }?;
    let field = |name: &str| {
        let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    let code = field("X-Check-Code").and_then(|code| code.parse().ok());
    let code = code.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "another program answers there")
    })?;
    Ok(Answered {
        code,
        // If sni-check doesn't understand a rule, the rule most likely accepts only a healthy answer.
        verdict: own_check::judge(check.backend, &answer, longest)
            .unwrap_or((code == 0).then_some(()).ok_or(Part::Header)),
        reason: field("X-Check-Reason").unwrap_or_default(),
    })
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Returns the request of HAProxy's http-check, but only with the headers that serve reads.
fn request(check: &ServeCheck, server: &Server) -> String {
    let (address, port) = server.address();
    let options = check
        .options
        .as_ref()
        .map_or("", |options| options.value.as_str());
    let options = match options {
        "" => String::new(),
        options => format!("{OPTIONS}: {options}\r\n"),
    };
    let state = match check.has_state {
        false => String::new(),
        true => format!(
            "{STATE}: UP 1/1; address={address}; port={port}; name={}/{}; node=doctor; weight=1/1; scur=0/0; \
             qcur=0\r\n",
            check.backend.name, server.name,
        ),
    };
    format!("GET / HTTP/1.0\r\n{options}{state}\r\n")
}
