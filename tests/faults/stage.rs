//! What the faults share: a CA, a good certificate, and peers that live as long as the matrix.

use std::any::Any;
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::NAME;
use crate::support::folder::Folder;
use crate::support::pki::{Ca, Leaf};
use crate::support::{Running, free_port, peer, program, wait_for};

/// A whole and healthy answer.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the faults share.
pub struct Stage {
    pub folder: Folder,
    pub ca: Ca,
    /// A good certificate.
    pub leaf: Leaf,
    /// The option that trusts the CA.
    pub trust: String,
    /// Where redirects point; nobody may come.
    pub elsewhere: TcpListener,
    kept: RefCell<Vec<Box<dyn Any>>>,
}

impl Stage {
    pub fn new() -> Stage {
        let folder = Folder::new();
        let ca = Ca::new();
        let trust = format!("--ca-file {}", folder.file("ca.pem", &ca.pem));
        let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a free port");
        elsewhere.set_nonblocking(true).expect("non-blocking");
        let leaf = ca.leaf(&[NAME], 30);
        folder.file("leaf.crt", &leaf.crt_pem);
        folder.file("leaf.key", &leaf.key_pem);
        Stage {
            leaf,
            folder,
            ca,
            trust,
            elsewhere,
            kept: RefCell::default(),
        }
    }

    /// Keeps something alive until all checks have run.
    pub fn keep(&self, something: impl Any) {
        self.kept.borrow_mut().push(Box::new(something));
    }

    /// A CA as the value of `--ca-file`.
    pub fn trust(&self, ca: &Ca, file: &str) -> String {
        format!("--ca-file {}", self.folder.file(file, &ca.pem))
    }

    /// A real `openssl s_server` that answers every request with a page; `name.crt` and `name.key`
    /// are in the folder.
    pub fn openssl(&self, name: &str, options: &[&str]) -> u16 {
        let port = free_port();
        let file = |kind: &str| self.folder.join(&format!("{name}.{kind}"));
        let mut command = program("openssl");
        command
            .args(["s_server", "-quiet", "-www", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .args(["-cert", &file("crt"), "-key", &file("key")])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.keep(Running(command.spawn().expect("openssl runs")));
        wait_for("openssl to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        port
    }

    pub fn assert_nobody_followed_a_redirect(&self) {
        let came = self.elsewhere.accept();
        assert!(came.is_err(), "a redirect was followed: {came:?}");
    }
}

/// Reads the ClientHello and says this, then ends the connection in order.
pub fn says(bytes: impl Into<Vec<u8>>) -> u16 {
    let bytes = bytes.into();
    peer::tcp(move |mut stream| {
        let _ = stream.read(&mut [0; 2048]);
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// Closes the connection with a TCP reset.
pub fn reset(stream: &TcpStream) {
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
}

/// One byte every 100 ms, again and again, until the client has gone.
pub fn drip(stream: &mut impl Write, bytes: &[u8]) {
    for byte in bytes.iter().cycle() {
        let written = stream.write_all(&[*byte]).and_then(|()| stream.flush());
        if written.is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}
