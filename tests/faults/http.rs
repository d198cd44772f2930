//! Faults of the response.

use std::io::{Read, Write};

use crate::support::folder::Folder;
use crate::support::peer;
use crate::support::pki::{Ca, Leaf};
use crate::{Fault, NAME, run};

struct Stage {
    trust: String,
    leaf: Leaf,
    _folder: Folder,
}

impl Stage {
    fn new() -> Stage {
        let folder = Folder::new();
        let ca = Ca::new();
        let trust = format!("--ca-file {}", folder.file("ca.pem", &ca.pem));
        Stage {
            trust,
            leaf: ca.leaf(&[NAME], 30),
            _folder: folder,
        }
    }

    fn fault(&self, port: u16, options: &str, code: i32, phrase: &'static str) -> Fault {
        let options = format!("{} {options}", self.trust);
        Fault {
            what: options.clone(),
            port,
            options,
            code,
            phrase,
        }
    }

    /// The peer answers this and ends in order.
    fn says(
        &self,
        response: &'static str,
        options: &str,
        code: i32,
        phrase: &'static str,
    ) -> Fault {
        let what = format!("{:?} {options}", &response[..response.len().min(60)]);
        Fault {
            what,
            ..self.fault(peer::answer(&self.leaf, response), options, code, phrase)
        }
    }

    /// The peer begins with this and repeats that until the client has gone.
    fn endless(&self, begin: &'static str, repeat: &'static str) -> u16 {
        let block = repeat.repeat(4096 / repeat.len() + 1);
        peer::tls(&self.leaf, move |stream| {
            let mut written = stream.write_all(begin.as_bytes());
            while written.is_ok() {
                written = stream.write_all(block.as_bytes());
            }
        })
    }
}

#[test]
fn heads() {
    let stage = Stage::new();
    let says = |response, code, phrase| stage.says(response, "", code, phrase);
    run(&[
        says("HTTP/1.1 200 OK\r\n\r\n", 0, ""),
        says("HTTP/1.1 204 No Content\r\n\r\n", 0, ""),
        says("HTTP/1.1 399 X\r\n\r\n", 0, ""),
        says("HTTP/1.0 200 OK\r\n\r\n", 0, ""),
        says(
            "HTTP/1.1 301 X\r\nLocation: http://169.254.169.254/\r\n\r\n",
            0,
            "",
        ),
        says(
            "HTTP/1.1 404 Not Found\r\n\r\n",
            71,
            "status 404, expected status 200-399",
        ),
        says("HTTP/1.1 503 Busy\r\n\r\n", 71, "status 503"),
        says("HTTP/1.1 999 X\r\n\r\n", 71, "status 999"),
        says("HTTP/1.1 099 X\r\n\r\n", 73, "not a valid HTTP"),
        says(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            0,
            "",
        ),
        says(
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 X\r\n\r\n",
            71,
            "status 500",
        ),
        says(
            "HTTP/1.1 100 Continue\r\n\r\n",
            74,
            "before the response was complete",
        ),
        says("garbage\r\n\r\n", 73, "not a valid HTTP"),
        says("HTTP/1.1 abc OK\r\n\r\n", 73, "not a valid HTTP"),
        says("HTTP/1.1 2000 OK\r\n\r\n", 73, "not a valid HTTP"),
        says("HTTP/2 200\r\n\r\n", 73, "not a valid HTTP"),
        says("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 73, "not a valid HTTP"),
        says("\0\0\u{12}\u{4}\0\0\0\0\0", 73, "not a valid HTTP"),
        says("<html>it works</html>", 73, "not a valid HTTP"),
        says(
            "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
            73,
            "not a valid HTTP",
        ),
        says("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 73, "not a valid HTTP"),
        says("HTTP/1.1 200 OK\r\n: x\r\n\r\n", 73, "not a valid HTTP"),
        says(
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            73,
            "content-length",
        ),
        says(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            73,
            "content-length",
        ),
        says("HTTP/1.1 200", 74, "closed before the response"),
        says("HTTP/1.1 200 OK\r\nX", 74, "closed before the response"),
        stage.fault(
            stage.endless("HTTP/1.1 200 OK\r\n", "X-A: b\r\n"),
            "",
            73,
            "not a valid HTTP",
        ),
        stage.fault(
            stage.endless("HTTP/1.1 200 OK\r\nX: ", "y"),
            "",
            73,
            "longer than",
        ),
        stage.fault(
            stage.endless("", "HTTP/1.1 103 E\r\n\r\n"),
            "",
            72,
            "timed out",
        ),
        stage.fault(stage.endless("", "x"), "", 73, "not a valid HTTP"),
    ]);
}

#[test]
fn bodies() {
    let stage = Stage::new();
    let wants = "--expect 'string good'";
    let chunked = |body: &'static str| -> &'static str {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        Box::leak(format!("{head}{body}").into_boxed_str())
    };
    run(&[
        stage.says(chunked("4\r\ngood\r\n0\r\n\r\n"), wants, 0, ""),
        stage.says(chunked("2\r\ngo\r\n2\r\nod\r\n0\r\n\r\n"), wants, 0, ""),
        stage.says(chunked("zz\r\ngood\r\n"), wants, 73, "chunk"),
        stage.says(chunked("4\r\ngoodXX0\r\n\r\n"), wants, 73, "chunk"),
        stage.says(chunked("ffffffffffffffffff\r\ngood"), wants, 73, "chunk"),
        stage.says(chunked("zz\r\n"), "", 0, ""),
        stage.says(
            chunked("4\r\ngo"),
            wants,
            74,
            "before the response was complete",
        ),
        stage.says(
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngood",
            wants,
            74,
            "complete",
        ),
        stage.says(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\ngood",
            wants,
            75,
            "does not meet",
        ),
        stage.says("HTTP/1.0 200 OK\r\n\r\nall good", wants, 0, ""),
        stage.says(
            "HTTP/1.1 204 No Content\r\n\r\n",
            wants,
            75,
            "does not meet",
        ),
        stage.says(
            "HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\ngood",
            wants,
            71,
            "status 500",
        ),
        stage.fault(stage.endless("HTTP/1.1 200 OK\r\n\r\n", "x"), "", 0, ""),
        stage.fault(
            stage.endless("HTTP/1.1 200 OK\r\n\r\ngood", "x"),
            wants,
            0,
            "",
        ),
        stage.fault(
            stage.endless("HTTP/1.1 200 OK\r\n\r\n", "x"),
            wants,
            75,
            "first 65536 bytes",
        ),
        stage.fault(
            stage.endless("HTTP/1.1 200 OK\r\n\r\n", "x"),
            "--expect '! string bad'",
            75,
            "first 65536 bytes",
        ),
        // The transport ends without close_notify: anybody on the way could have cut it.
        stage.fault(
            peer::tls(&stage.leaf, |stream| {
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nall good");
                let _ = stream.flush();
                let _ = stream.sock.shutdown(std::net::Shutdown::Write);
                let _ = stream.sock.read_to_end(&mut Vec::new());
            }),
            wants,
            74,
            "closed before the response was complete",
        ),
    ]);
}
