//! The request of HAProxy's http-check. Its head has a limited size, and serve reads only two of
//! its fields.

use std::net::IpAddr;

use anyhow::Result;

use crate::haproxy::Caller;
pub use crate::haproxy::call::OPTIONS;
use crate::probe::socket::{Socket, Stop};
use crate::refusal::refusal;

/// The maximum length of a head, in bytes.
const MAX_HEAD: usize = 8 << 10;
const MAX_FIELDS: usize = 64;

/// The header in which HAProxy names the server (configuration manual, `http-check send-state`).
pub const STATE: &str = "X-Haproxy-Server-State";

/// The kinds of requests.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// A check.
    Check(Request),
    /// The health of serve itself.
    Healthy,
    /// The metrics of serve, for Prometheus.
    Metrics,
}

/// A request for a check.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The text of the options.
    pub options: String,
    /// The server to check.
    pub server: Server,
}

/// A server as HAProxy names it in [`STATE`].
#[derive(Debug, PartialEq, Eq)]
pub struct Server {
    /// The address, or `None` for a unix socket, whose path HAProxy doesn't send.
    pub address: Option<IpAddr>,
    /// The port. Empty or 0 if the server has no port.
    pub port: String,
    /// The names of the backend and of the server.
    pub caller: Caller,
}

/// Reads the head of a request. Returns `None` if the client closed the connection before its
/// request was complete.
///
/// # Errors
///
/// The head doesn't arrive before the deadline or is too long, the bytes aren't a request that serve accepts,
/// or a field is missing.
pub(super) fn read(socket: &Socket) -> Result<Option<Asked>> {
    let mut head = [0; MAX_HEAD];
    let mut length = 0;
    loop {
        match receive(socket, &mut head[length..]) {
            Ok(0) | Err(Stop::Closed(_)) => return Ok(None),
            Ok(read) => length += read,
            Err(Stop::Deadline) => {
                let what = "did not arrive in time";
                return Err(refusal("the request", what, "send it at once"));
            }
        }
        if let Some(request) = parse(&head[..length])? {
            return Ok(Some(request));
        }
        if length == head.len() {
            let subject = "the head of the request";
            let what = format!("is longer than {MAX_HEAD} bytes, a limit of sni-check");
            return Err(refusal(subject, what, "shorten its fields"));
        }
    }
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> Result<usize, Stop> {
    loop {
        socket.wait_readable()?;
        if let Some(length) = socket.read_some(|from| from.read(buffer))? {
            return Ok(length);
        }
    }
}

/// Reads a head. Returns `None` while the head is incomplete.
///
/// # Errors
///
/// The bytes aren't a request that serve accepts, or a field is missing.
pub fn parse(head: &[u8]) -> Result<Option<Asked>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => {
            let what = format!("is not HTTP ({error})");
            let write = "use `http-check connect` without ssl or send-proxy";
            return Err(refusal("the request", what, write));
        }
    }
    let method = request.method.unwrap_or_default();
    if !["GET", "HEAD", "OPTIONS"].contains(&method) {
        let (what, write) = (
            "is not a method of a check",
            "write http-check send meth GET",
        );
        return Err(refusal(format!("`{method}`"), what, write));
    }
    if let Some(page) = page(&request) {
        return Ok(Some(page));
    }
    let options = field(&request, OPTIONS)?.ok_or_else(|| {
        let write = "send it with `hdr X-Check-Options \"--sni NAME\"` in http-check send";
        refusal(OPTIONS, "is missing", write)
    })?;
    let state = field(&request, STATE)?.ok_or_else(|| {
        let write = "add `http-check send-state` to the backend";
        refusal(STATE, "is missing", write)
    })?;
    Ok(Some(Asked::Check(Request {
        options: options.to_owned(),
        server: Server::parse(state)?,
    })))
}

/// Returns the page that the request asks for, or `None` if it asks for a check. A request with a header of a
/// check never gets a page, because HAProxy could mistake the page's status 200 for a healthy server.
fn page(request: &httparse::Request<'_, '_>) -> Option<Asked> {
    let of_check =
        |name: &str| name.eq_ignore_ascii_case(OPTIONS) || name.eq_ignore_ascii_case(STATE);
    if request.headers.iter().any(|field| of_check(field.name)) {
        return None;
    }
    match request.path? {
        "/-/healthy" => Some(Asked::Healthy),
        "/metrics" => Some(Asked::Metrics),
        _ => None,
    }
}

/// Returns the value of a field, or `None` if the request doesn't have it. Refuses a field that occurs twice.
fn field<'a>(request: &httparse::Request<'_, 'a>, name: &str) -> Result<Option<&'a str>> {
    let fields = request.headers.iter();
    let mut found = fields.filter(|field| field.name.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(refusal(name, "occurs twice", "send it once")),
        (Some(field), None) => {
            let value = std::str::from_utf8(field.value).map(str::trim).map(Some);
            let write = "write it in UTF-8, without other bytes";
            value.map_err(|_| refusal(name, "is not UTF-8", write))
        }
    }
}

impl Server {
    /// Reads `UP 2/3; address=203.0.113.7; port=443; name=be/srv; node=…`.
    ///
    /// # Errors
    ///
    /// The address, the port or the name is missing, or the address isn't an IP address.
    pub fn parse(state: &str) -> Result<Server> {
        let fields = state.split(';');
        let mut fields = fields.filter_map(|part| part.trim().split_once('='));
        let refuse = |what: String| {
            let write = "have HAProxy send it: http-check send-state";
            refusal(STATE, what, write)
        };
        // Reading in HAProxy's order prevents a later field from being mistaken for an earlier
        // field.
        let mut value = |name: &str| match fields.next() {
            Some((found, value)) if found == name => Ok(value),
            _ => Err(refuse(format!("has no {name}"))),
        };
        let (address, port, name) = (value("address")?, value("port")?, value("name")?);
        let (backend, server) = name.split_once('/').unwrap_or(("", name));
        let address = match address {
            "unix" => None,
            address => Some(
                address
                    .parse()
                    .map_err(|_| refuse(format!("has `{address}`, which is not an address")))?,
            ),
        };
        Ok(Server {
            address,
            port: port.to_owned(),
            caller: Caller {
                backend: backend.to_owned(),
                server: server.to_owned(),
                carrier: OPTIONS,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Server, parse};

    const STATE: &str = "UP 2/3; address=203.0.113.7; port=443; name=be/srv; node=lb; weight=1/1; \
                         scur=0/0; qcur=0";

    fn refusal(head: &str) -> String {
        parse(head.as_bytes()).expect_err(head).to_string()
    }

    #[test]
    fn a_request_of_haproxy_is_read() {
        let head = format!(
            "GET / HTTP/1.0\r\nx-check-options:  --sni a \r\nx-haproxy-server-state: {STATE}\r\n\r\n"
        );
        for length in 0..head.len() {
            let part = parse(&head.as_bytes()[..length]).expect("a part");
            assert_eq!(part, None, "{length}");
        }
        let asked = parse(head.as_bytes()).expect("a request");
        let Some(Asked::Check(request)) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(request.options, "--sni a");
        assert_eq!(request.server.address, "203.0.113.7".parse().ok());
        assert_eq!(request.server.port, "443");
        assert_eq!(request.server.caller.to_string(), "be/srv");
    }

    #[test]
    fn a_missing_field_is_refused_with_the_directive_that_adds_it() {
        let state = format!("X-Haproxy-Server-State: {STATE}\r\n");
        let options = "X-Check-Options: --sni a\r\n";
        for (head, part) in [
            (
                format!("GET / HTTP/1.1\r\n{state}\r\n"),
                "hdr X-Check-Options",
            ),
            (
                format!("GET / HTTP/1.1\r\n{options}\r\n"),
                "http-check send-state",
            ),
            (
                format!("GET / HTTP/1.1\r\n{options}{options}{state}\r\n"),
                "occurs twice",
            ),
            (
                format!("GET / HTTP/1.1\r\n{options}{state}{state}\r\n"),
                "occurs twice",
            ),
            (
                format!("POST / HTTP/1.1\r\n{options}{state}\r\n"),
                "meth GET",
            ),
            ("\x16\x03\x01".to_owned(), "is not HTTP"),
            (
                format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65)),
                "is not HTTP",
            ),
        ] {
            let refused = refusal(&head);
            assert!(refused.contains(part), "{head}: {refused}");
        }
    }

    #[test]
    fn a_server_is_read_in_haproxys_order() {
        let server = Server::parse("DOWN; address=unix; port=; name=be/srv; node=x").expect("unix");
        assert_eq!((server.address, server.port.as_str()), (None, ""));
        for state in [
            "",
            "UP",
            "UP; port=1; address=192.0.2.7; name=a/b",
            "UP; address=192.0.2.7; port=1",
            "UP; address=localhost; port=1; name=a/b",
        ] {
            assert!(Server::parse(state).is_err(), "{state}");
        }
    }

    #[test]
    fn requests_for_pages_and_for_checks_are_never_confused() {
        for (path, page) in [("/-/healthy", Asked::Healthy), ("/metrics", Asked::Metrics)] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n");
            let asked = parse(format!("{head}\r\n").as_bytes()).expect("a page");
            assert_eq!(asked, Some(page));
            assert!(
                refusal(&format!("{head}X-Check-Options: --sni a\r\n\r\n")).contains("send-state")
            );
        }
        assert!(refusal("GET /metrics/ HTTP/1.1\r\n\r\n").contains("is missing"));
    }
}
