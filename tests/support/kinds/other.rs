//! Servers other than nginx: OpenSSL's and GnuTLS's test servers, HAProxy, and peers that
//! misbehave.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::{Kind, Props, Staged, run_haproxy};
use crate::support::{NAME, Running, dead_port, free_port, peer, program, wait_for};

pub const KINDS: &[Kind] = &[
    ("strict-names-alert-40", |props| props.picky(Some(40))),
    ("strict-names-alert-80", |props| props.picky(Some(80))),
    ("strict-names-alert-49", |props| props.picky(Some(49))),
    ("strict-names-close", |props| props.picky(None)),
    ("strict-names-gnutls", gnutls),
    ("strict-names-haproxy", |props| {
        props.staged(props.haproxy("ssl crt CRT strict-sni"))
    }),
    ("client-certificate-alert", |props| {
        props.staged(props.haproxy("ssl crt CRT ca-file CLIENTS verify required"))
    }),
    ("proxy-header-haproxy", |props| {
        props.staged(props.haproxy("accept-proxy ssl crt CRT"))
    }),
    ("http-2-only", |props| {
        props.staged(props.haproxy("ssl crt CRT alpn h2 proto h2"))
    }),
    ("tls-1.1-only", |props| {
        props.openssl("leaf", &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])
    }),
    ("openssl", |props| props.openssl("leaf", &[])),
    ("closed-port", |props| Staged {
        right_port: Some(props.stage.nginx().port),
        ..props.staged(dead_port())
    }),
    ("banner", |props| Staged {
        right_port: Some(props.stage.nginx().port),
        ..props.staged(banner())
    }),
    ("banner-within-tls", |props| Staged {
        right_port: Some(props.stage.nginx().port),
        ..props.staged(peer::answer(&props.stage.leaf, "SSH-2.0-x\r\n"))
    }),
    ("silent", |props| props.mute(peer::silent())),
    ("closes-at-once", |props| props.mute(peer::tcp(drop))),
    ("forward-to-nothing", |props| {
        let inner = dead_port();
        let lines =
            format!("listen l\n mode tcp\n bind 127.0.0.1:PORT\n server s 127.0.0.1:{inner}\n");
        props.mute(run_haproxy(&props.stage, &lines))
    }),
    ("silent-within-tls", |props| {
        props.mute(peer::tls(&props.stage.leaf, |stream| {
            let _ = stream.read(&mut [0]);
        }))
    }),
    ("big-head-20k", |props| props.head(20_000)),
    ("big-head-15k", |props| props.head(15_500)),
    ("slow", slow),
    ("cut-body", |props| {
        let cut = format!("{}1000\r\n\r\nhalf a page", LENGTH);
        Staged {
            marker: "the other half",
            ..props.staged(peer::answer(&props.stage.leaf, &cut))
        }
    }),
    ("no-http", |props| {
        props.staged(peer::answer(&props.stage.leaf, "HTTP/1.1 OK\r\n\r\n"))
    }),
    ("closes-without-an-answer", |props| {
        props.staged(peer::answer(&props.stage.leaf, ""))
    }),
    ("wrong-transfer-encoding", |props| {
        let gzip = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nall good";
        props.staged(peer::answer(&props.stage.leaf, gzip))
    }),
    ("http-1.0", |props| {
        props.staged(peer::answer(
            &props.stage.leaf,
            "HTTP/1.0 200 OK\r\n\r\nall good",
        ))
    }),
];

const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: ";

/// Returns the page as a complete response.
fn page() -> String {
    format!("{LENGTH}8\r\n\r\nall good")
}

impl Props {
    /// Describes a server that sends no response. The time-out is short, because a check may wait
    /// until it expires.
    fn mute(&self, port: u16) -> Staged {
        Staged {
            timeout: Duration::from_secs(1),
            ..self.staged(port)
        }
    }

    /// Starts a server that knows only [`NAME`]. For other names and without SNI, it sends this TLS
    /// alert or closes the connection.
    fn picky(&self, alert: Option<u8>) -> Staged {
        let inner = peer::answer(&self.stage.leaf, &page());
        let port = peer::tcp(move |mut stream| {
            let mut hello = [0; 4096];
            let length = stream.peek(&mut hello).unwrap_or(0);
            let hello = &hello[..length];
            // In the ClientHello, the name follows the low byte of its length.
            let named = hello
                .windows(NAME.len() + 1)
                .any(|part| part[0] < 32 && &part[1..] == NAME.as_bytes());
            if named && hello.starts_with(&[22, 3]) {
                return forward(stream, inner);
            }
            let _ = stream.read(&mut [0; 4096]);
            if let Some(alert) = alert.filter(|_| hello.starts_with(&[22, 3])) {
                let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, alert]);
            }
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        self.staged(port)
    }

    /// Starts OpenSSL's server with a certificate from the stage's folder.
    fn openssl(&self, name: &str, options: &[&str]) -> Staged {
        Staged {
            marker: "s_server",
            ..self.staged(self.stage.openssl(name, options))
        }
    }

    /// Starts a server whose response sets a cookie of `length` bytes.
    fn head(&self, length: usize) -> Staged {
        let cookie = "a".repeat(length);
        let answer =
            format!("HTTP/1.1 200 OK\r\nSet-Cookie: {cookie}\r\nContent-Length: 8\r\n\r\nall good");
        self.staged(peer::answer(&self.stage.leaf, &answer))
    }
}

/// Forwards a connection to another port of the loopback address.
fn forward(stream: TcpStream, port: u16) {
    let Ok(inner) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let (Ok(from), Ok(to)) = (stream.try_clone(), inner.try_clone()) else {
        return;
    };
    thread::spawn(move || copy(from, to));
    copy(inner, stream);
}

fn gnutls(props: &Props) -> Staged {
    let port = free_port();
    let file = |name: &str| props.stage.folder.join(name);
    let mut command = program("gnutls-serv");
    command
        .args(["--quiet", "--http", "--disable-client-cert", "--port"])
        .arg(port.to_string())
        .args(["--sni-hostname", NAME, "--sni-hostname-fatal"])
        .args([
            "--x509certfile",
            &file("leaf.crt"),
            "--x509keyfile",
            &file("leaf.key"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    props
        .stage
        .keep(Running(command.spawn().expect("gnutls-serv runs")));
    wait_for("gnutls-serv to listen", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    Staged {
        marker: "GnuTLS",
        ..props.staged(port)
    }
}

fn banner() -> u16 {
    peer::tcp(|mut stream| {
        let _ = stream.write_all(b"220 mail.example.test ESMTP\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

fn slow(props: &Props) -> Staged {
    let port = peer::tls(&props.stage.leaf, |stream| {
        thread::sleep(Duration::from_millis(1200));
        let _ = stream.write_all(page().as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    props.staged(port)
}
