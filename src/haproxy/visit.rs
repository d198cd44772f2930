//! Visitors of the HAProxy that sni-check starts. Each visitor sends one request, through a
//! frontend that only this process can reach.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// The request of a visitor.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// The header fields, with the Host that visitors send.
    pub headers: Vec<(String, String)>,
}

impl Visit {
    /// Returns the Host, or an empty text if the request has none.
    pub(crate) fn host(&self) -> &str {
        let mut headers = self.headers.iter();
        let host = headers.find(|(name, _)| name == "Host");
        host.map_or("", |(_, host)| host)
    }
}

/// The response to a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visited {
    pub status: u16,
    /// False if the connection ended before the whole response arrived.
    pub complete: bool,
    /// True if the server sent the response, false for an error page of HAProxy, such as 503.
    pub by_server: bool,
}

/// The beginning of the User-Agent of all usual browsers.
pub(crate) const BROWSER: &str = "Mozilla/5.0";
/// An Accept header like that of a browser that loads a page.
pub(crate) const PAGES: &str = "text/html,*/*";

/// The header from which the frontend reads the backend's name. The server doesn't see it.
const BACKEND: &str = "x-sni-check-backend";
/// The header that marks the server's responses. HAProxy doesn't add it to its own error pages.
const BY_SERVER: &str = "x-sni-check-by-server";
/// The variable with the visitor's own Host. A rule may give the request a different Host later.
pub(crate) const HOST: &str = "txn.sni_check_host";
/// The maximum number of bytes that are read from a response.
const LONGEST: usize = 1 << 20;

/// A listening socket for HAProxy, and connections to it that wait for HAProxy to start. The
/// connections are made first, so that the socket's path can be removed before HAProxy starts.
pub(super) struct Visits {
    listener: UnixListener,
    waiting: Vec<Option<UnixStream>>,
    /// For each request: the number of its question, true if the response may have a body, and the
    /// connection.
    sent: Vec<(usize, bool, UnixStream)>,
}

impl Visits {
    /// Creates the socket at `path`, and opens `count` connections to it.
    pub fn new(path: &Path, count: usize) -> io::Result<Visits> {
        let listener = UnixListener::bind(path)?;
        // HAProxy inherits the socket, and `bind fd@NUMBER` names it.
        rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty())?;
        let streams = (0..count).map(|_| UnixStream::connect(path).map(Some));
        Ok(Visits {
            waiting: streams.collect::<io::Result<_>>()?,
            listener,
            sent: Vec::new(),
        })
    }

    /// Returns the frontend for the visitors. It waits up to `patience` for their requests.
    pub fn frontend(&self, patience: Duration) -> String {
        let time = patience.as_millis();
        format!(
            "frontend sni-check-visits\n    bind fd@{}\n    timeout client {time}\n    \
             timeout http-request {time}\n    http-request set-var(txn.be) req.hdr({BACKEND})\n    \
             http-request set-var({HOST}) req.hdr(host)\n    \
             http-request del-header {BACKEND}\n    http-response set-header {BY_SERVER} yes\n    \
             use_backend %[var(txn.be)]\n",
            self.listener.as_raw_fd()
        )
    }

    /// Sends the request of a visitor. Each visitor sends only one request.
    pub fn send(&mut self, number: usize, backend: &str, visit: &Visit) {
        let Some(mut stream) = self.waiting.get_mut(number).and_then(Option::take) else {
            return;
        };
        let Visit {
            method,
            uri,
            headers,
        } = visit;
        let headers = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        let request = format!(
            "{method} {uri} HTTP/1.1\r\n{}{BACKEND}: {backend}\r\nConnection: close\r\n\r\n",
            headers.collect::<String>()
        );
        if stream.write_all(request.as_bytes()).is_ok() {
            self.sent.push((number, method != "HEAD", stream));
        }
    }

    /// Reads the responses to the visitors of the `wanted` questions, for at most `patience` in all.
    pub fn read(&mut self, patience: Duration, wanted: &[usize], visited: &mut [Option<Visited>]) {
        let end = Instant::now() + patience;
        let sent = self.sent.drain(..);
        for (number, has_body, stream) in sent.filter(|(number, ..)| wanted.contains(number)) {
            if let Some(slot) = visited.get_mut(number) {
                *slot = read(stream, end);
                if let Some(visited) = slot.as_mut().filter(|_| !has_body) {
                    visited.complete = true;
                }
            }
        }
    }
}

fn read(mut stream: UnixStream, end: Instant) -> Option<Visited> {
    let mut response = Vec::new();
    let mut buffer = [0; 16384];
    let mut ended = false;
    while response.len() < LONGEST {
        let left = end.saturating_duration_since(Instant::now());
        stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .ok()?;
        match stream.read(&mut buffer) {
            Ok(0) => {
                ended = true;
                break;
            }
            Ok(length) => response.extend_from_slice(&buffer[..length]),
            Err(_) => break,
        }
    }
    visited(&response, ended)
}

/// Reads the bytes of a response. `ended` is true if the connection ended after them. Returns `None` if the
/// head isn't complete or isn't HTTP/1.
fn visited(response: &[u8], ended: bool) -> Option<Visited> {
    let head_end = response.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let (head, body) = response.split_at(head_end);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let status = head.strip_prefix("http/1.")?.split(' ').nth(1)?;
    let status = status.get(..3)?.parse().ok()?;
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(field, _)| *field == name);
        found.map(|(_, value)| value.trim().to_owned())
    };
    let length = field("content-length").and_then(|length| length.parse::<usize>().ok());
    let chunked = field("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
    let has_body = !matches!(status, 100..=199 | 204 | 304);
    let complete = match length {
        // The rest of a slow or long response may still arrive.
        _ if !has_body || !ended || response.len() >= LONGEST => true,
        _ if chunked => body.ends_with(b"0\r\n\r\n"),
        Some(length) => body.len() >= length,
        None => true,
    };
    Some(Visited {
        status,
        complete,
        by_server: field(BY_SERVER).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Visited, visited};

    #[test]
    fn a_response_is_complete_after_its_last_byte() {
        for (response, complete) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
                false,
            ),
            ("HTTP/1.1 200 OK\r\n\r\nok", true),
        ] {
            let status = 200;
            let seen = visited(response.as_bytes(), true);
            let expected = Visited {
                status,
                complete,
                by_server: false,
            };
            assert_eq!(seen, Some(expected), "{response}");
        }
        assert_eq!(visited(b"HTTP/1.1 200 OK\r\n", true), None);
        let slow = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok";
        assert!(visited(slow, false).is_some_and(|seen| seen.complete));
    }
}
