//! The answer to HAProxy. The status and the header X-Check-Code say whether the server is healthy. HAProxy
//! shows the code and the reason from the answer's headers.

use crate::code::Code;
use crate::output::escape::printable;
use crate::probe::socket::Socket;

/// The maximum length of a reason, in bytes.
const MAX_REASON: usize = 120;

/// The result of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    code: Code,
    reason: String,
}

impl Answer {
    pub fn new(code: Code, reason: &str) -> Answer {
        Answer {
            code,
            reason: plain(reason),
        }
    }

    /// Sends the answer, and closes the connection.
    pub fn send(&self, socket: &Socket) {
        send(socket, &response(self.code, &self.reason));
    }
}

/// Returns the response with this code.
pub(crate) fn response(code: Code, reason: &str) -> String {
    let (status, phrase) = match code {
        Code::Healthy => (200, "OK"),
        _ => (503, reason),
    };
    format!(
        "HTTP/1.1 {status} {phrase}\r\nX-Check-Code: {}\r\nX-Check-Reason: {reason}\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n",
        code.number()
    )
}

/// Sends a page of text, and closes the connection.
pub(super) fn send_page(socket: &Socket, text: &str) {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        text.len()
    );
    send(socket, &(head + text));
}

fn send(socket: &Socket, text: &str) {
    if socket.write_bytes(text.as_bytes()).is_ok() {
        end_connection(socket);
    }
}

/// Closes our side of the connection, and reads the remaining bytes without waiting. If unread bytes were
/// left, closing the socket would reset the connection, and the client could lose the answer.
fn end_connection(socket: &Socket) {
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
    let mut buffer = [0; 4 << 10];
    for _ in 0..16 {
        match socket.read_some(|from| from.read(&mut buffer)) {
            Ok(Some(1..)) => {}
            _ => return,
        }
    }
}

/// Returns a reason that a header can contain and that HAProxy shows in full: printable ASCII of
/// limited length. Commas are replaced, because `res.hdr` returns only the text after the last
/// comma.
fn plain(text: &str) -> String {
    let text = printable(text).replace(',', ";");
    let mut plain: String = text
        .chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .collect();
    if plain.len() > MAX_REASON {
        plain.truncate(MAX_REASON - 3);
        plain.push_str("...");
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Code, plain, response};

    #[test]
    fn a_reason_is_short_printable_and_without_a_comma() {
        assert_eq!(
            plain("status 503, expected é\r\n"),
            "status 503; expected ?\\r\\n"
        );
        let long = plain(&"x, ".repeat(100));
        assert_eq!(long.len(), 120);
        assert!(long.ends_with("..."));
    }

    #[test]
    fn only_health_is_200() {
        for code in Code::ALL {
            let http = response(code, "why");
            let healthy = http.starts_with("HTTP/1.1 200 OK\r\n");
            assert_eq!(healthy, code == Code::Healthy, "{http}");
            assert!(
                healthy || http.starts_with("HTTP/1.1 503 why\r\n"),
                "{http}"
            );
            assert!(http.contains(&format!("\r\nX-Check-Code: {}\r\n", code.number())));
        }
    }
}
