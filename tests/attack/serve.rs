//! Requests to serve: damaged requests, and requests to check hostile peers.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::folder::Folder;
use crate::support::wait_for;
use crate::tries::Outcome;

/// A running `sni-check serve` that is stopped when this value is dropped.
pub struct Serve {
    process: Child,
    socket: String,
    _folder: Folder,
}

/// Returns the request that HAProxy sends to serve for a server on this port.
pub fn head(port: u16, options: &[String], timeout: u32) -> Vec<u8> {
    let quoted = options
        .iter()
        .map(|word| format!(" '{}'", word.replace('\'', r"'\''")));
    let options = format!("--timeout={timeout}ms{}", quoted.collect::<String>());
    format!(
        "GET / HTTP/1.0\r\nX-Check-Options: {options}\r\nX-Haproxy-Server-State: UP 2/3; \
         address=127.0.0.1; port={port}; name=hybrid/blue; node=lb; weight=1/1; scur=0/0; qcur=0\r\n\r\n"
    )
    .into_bytes()
}

impl Serve {
    /// Starts serve. Requests may name any file.
    pub fn start(binary: &Path) -> Serve {
        let folder = Folder::new();
        let socket = folder.join("serve");
        let process = Command::new(binary)
            .args(["serve", "--quiet", "--files", "/", "--listen"])
            .arg(format!("unix:{socket}"))
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sni-check runs");
        wait_for("serve to listen", || UnixStream::connect(&socket).ok());
        Serve {
            process,
            socket,
            _folder: folder,
        }
    }

    /// Sends a request and reads the answer. If there is no answer, the code is 2, because the
    /// client got no verdict.
    pub fn ask(&self, request: &[u8]) -> Outcome {
        let start = Instant::now();
        let mut text = String::new();
        if let Ok(mut stream) = UnixStream::connect(&self.socket) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
            let _ = stream.write_all(request);
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            let _ = stream.shutdown(Shutdown::Both);
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        let wall = start.elapsed().as_micros() as u64;
        let code = text
            .lines()
            .find_map(|line| line.strip_prefix("X-Check-Code: "));
        let code: i32 = code.map_or(2, |code| code.parse().expect("a code"));
        let healthy = text.starts_with("HTTP/1.1 200 ");
        assert_eq!(healthy, code == 0, "{text}");
        Outcome {
            code,
            // If serve has died, the outcome counts as a kill by a signal.
            signal: i32::from(self.memory().is_none()),
            wall,
            cpu: 0,
            kilobytes: self.memory().unwrap_or_default(),
            output: text.replace("\r\n", "\n"),
        }
    }

    /// Returns the peak memory of serve in kB, or `None` if serve doesn't run any more.
    fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
