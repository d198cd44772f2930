//! A `sni-check serve` to test, and a client for it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crate::support::check::BINARY;
use crate::support::haproxy::{Haproxy, Mode, Version};
use crate::support::stage::Stage;
use crate::support::{NAME, PATIENCE, program, wait_for};

/// A running `sni-check serve`.
pub struct Serve {
    /// The path of serve's unix socket.
    pub socket: String,
    program: String,
    options: Vec<String>,
    log: String,
    process: Mutex<Option<Child>>,
}

impl Serve {
    /// Starts serve with a socket in the stage's folder. Requests may name files below this folder.
    pub fn start(stage: &Stage, options: &[&str]) -> Serve {
        Serve::start_by(BINARY, stage, options)
    }

    /// Like [`start`](Serve::start), with this program.
    pub fn start_by(program: &str, stage: &Stage, options: &[&str]) -> Serve {
        let socket = stage.folder.join("serve");
        let folder = stage.folder.path().display().to_string();
        let listen = format!("unix:{socket}");
        let mut all = vec!["--listen", &listen, "--files", &folder];
        all.extend(options);
        let serve = Serve {
            program: program.to_owned(),
            options: all.into_iter().map(str::to_owned).collect(),
            log: stage.folder.join("serve.log"),
            process: Mutex::default(),
            socket,
        };
        serve.resume();
        serve
    }

    /// Starts serve again with the same options.
    pub fn resume(&self) {
        let child = Command::new(&self.program)
            .arg("serve")
            .args(&self.options)
            .env_clear()
            .stdin(Stdio::null())
            .stderr(fs::File::create(&self.log).expect("a log"))
            .spawn()
            .expect("serve runs");
        *self.process.lock().expect("a lock") = Some(child);
        wait_for("serve to listen", || {
            self.log().contains("listening on").then_some(())
        });
    }

    /// Describes a process that the test itself starts and that listens on this socket.
    pub fn elsewhere(socket: String) -> Serve {
        Serve {
            program: String::new(),
            socket,
            options: Vec::new(),
            log: String::new(),
            process: Mutex::default(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.process
            .lock()
            .expect("a lock")
            .as_ref()
            .expect("serve runs")
            .id()
    }

    /// Sends serve a signal and waits until it has exited.
    pub fn end(&self, signal: &str) -> ExitStatus {
        let pid = self.pid().to_string();
        let status = program("kill").args([signal, &pid]).status();
        assert!(status.expect("kill runs").success());
        let mut child = self
            .process
            .lock()
            .expect("a lock")
            .take()
            .expect("serve runs");
        child.wait().expect("serve exits")
    }

    /// Returns everything that serve printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Connects to serve.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream
    }

    /// Asks about a server on the loopback address, as HAProxy does.
    pub fn ask(&self, port: u16, options: &str) -> Answer {
        self.send(&head(port, options))
    }

    /// Sends these bytes and reads the answer.
    pub fn send(&self, bytes: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).expect("sent");
        Answer::read(stream)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.get_mut().expect("a lock").take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns the request that HAProxy sends for a server `blue` on the loopback address.
pub fn head(port: u16, options: &str) -> String {
    format!(
        "GET / HTTP/1.0\r\nX-Check-Options: {options}\r\nX-Haproxy-Server-State: UP 2/3; \
         address=127.0.0.1; port={port}; name=hybrid/blue; node=lb; weight=1/1; scur=0/0; \
         qcur=0\r\nconnection: close\r\n\r\n"
    )
}

/// An answer of serve, as the client received it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub phrase: String,
    pub code: String,
    pub reason: String,
}

impl Answer {
    pub fn read(mut stream: impl Read) -> Answer {
        let mut text = Vec::new();
        if let Err(error) = stream.read_to_end(&mut text) {
            // serve closes the connection after its answer. If the client is still sending, a reset
            // follows the answer.
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        let text = String::from_utf8(text).expect("an answer in UTF-8");
        let (line, fields) = text.split_once("\r\n").expect("a status line");
        let mut words = line.splitn(3, ' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "{text}");
        let field = |name: &str| {
            let field = fields.lines().find_map(|line| line.strip_prefix(name));
            field.unwrap_or_else(|| panic!("{text}")).to_owned()
        };
        assert_eq!(field("content-length: "), "0");
        assert_eq!(field("connection: "), "close");
        assert!(text.ends_with("\r\n\r\n"), "{text}");
        Answer {
            status: words.next().expect("a status").parse().expect("a number"),
            phrase: words.next().expect("a phrase").to_owned(),
            code: field("X-Check-Code: "),
            reason: field("X-Check-Reason: "),
        }
    }

    /// Asserts that the verdict is this code, and that the reason contains this phrase.
    #[track_caller]
    pub fn expect(&self, code: &str, phrase: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.reason.contains(phrase), "{self:?} lacks {phrase}");
        match code {
            "0" => assert_eq!((self.status, self.phrase.as_str()), (200, "OK")),
            _ => assert_eq!((self.status, &self.phrase), (503, &self.reason)),
        }
    }
}

/// Starts this HAProxy with haproxy/serve.cfg, and with these additional lines and variables.
pub fn haproxy(
    version: &Version,
    stage: &Stage,
    serve: &Serve,
    addition: &str,
    more: &[(&str, &str)],
) -> Haproxy {
    haproxy_as(version, stage, &serve.socket, addition, more)
}

/// Like [`haproxy`], with the socket's path as HAProxy sees it.
pub fn haproxy_as(
    version: &Version,
    stage: &Stage,
    socket: &str,
    addition: &str,
    more: &[(&str, &str)],
) -> Haproxy {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/haproxy/serve.cfg");
    let text = fs::read_to_string(config).expect("a configuration");
    let config = stage.folder.file("serve.cfg", &(text + addition));
    let port = stage.nginx().port.to_string();
    let variables = [
        ("HYBRID_STACK_HOST", "127.0.0.1"),
        ("HYBRID_STACK_PORT", &port),
        ("SNI_HOST", NAME),
        ("SERVE_SOCKET", socket),
        ("CHECK_INTER", "300ms"),
        ("CHECK_CA_FILE", &stage.ca_file),
        ("SERVER_CA_FILE", &stage.ca_file),
    ];
    let variables = [&variables[..], more].concat();
    version.start(Mode::Foreground, &config, &variables)
}

/// How long a client may take to send its request.
pub const SILENCE: Duration = Duration::from_secs(1);
