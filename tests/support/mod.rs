//! Helpers for all tests: certificates, folders, daemons, and running sni-check.

// Each test binary uses only some of these helpers.
#![allow(dead_code)]

pub mod check;
pub mod cost;
pub mod dice;
pub mod dns;
pub mod folder;
pub mod freezer;
pub mod haproxy;
pub mod held;
pub mod json_page;
pub mod kinds;
pub mod nginx;
pub mod peer;
pub mod pki;
pub mod stage;
pub mod svg;

use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

/// The host name in most checks.
pub const NAME: &str = "www.example.test";

/// How long to wait, on a loaded machine, for an event that should happen immediately.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Returns a port that is currently free on the loopback address.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Returns a port on which the loopback address refuses connections until this process exits. The
/// port stays bound, because otherwise another process might listen on it.
pub fn dead_port() -> u16 {
    let (family, kind) = (AddressFamily::INET6, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("a socket");
    // With this option, a check can connect from this port (`--source`).
    sockopt::set_socket_reuseaddr(&socket, true).expect("an option");
    bind(&socket, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).expect("a port");
    let bound = getsockname(&socket).expect("an address");
    std::mem::forget(socket);
    SocketAddr::try_from(bound).expect("an IP address").port()
}

/// Waits until `look` returns a value.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "gave up waiting for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a command for a program that a test needs. If the program is missing, the test fails
/// instead of being skipped.
pub fn program(name: &str) -> Command {
    let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| std::path::Path::new(folder).join(name))
        .find(|path| path.exists());
    Command::new(
        found.unwrap_or_else(|| panic!("{name} is not installed; `make setup` installs it")),
    )
}

/// Removes the variables that cargo and make set for tests. ring's build script depends on cargo's
/// variables about the package. With these variables, a build in a test would rebuild ring and the
/// program, and the next build would rebuild both again. With make's variables, a `make` that a
/// test runs would also print the names of folders.
pub fn leave_out_package(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["OUT_DIR", "CARGO_PKG_", "CARGO_MANIFEST_", "MAKE", "MFLAGS"];
        if ours.iter().any(|start| text.starts_with(start)) {
            command.env_remove(name);
        }
    }
    command
}

/// Returns an RSA key of 2048 bits, made by OpenSSL because ring can't generate RSA keys.
pub fn rsa_key() -> rcgen::KeyPair {
    let made = program("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA"])
        .output()
        .expect("openssl runs");
    rcgen::KeyPair::from_pem(&String::from_utf8_lossy(&made.stdout)).expect("a key")
}

/// A process that is killed when this value is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asserts that docs/testing.md contains this text. The test has measured the numbers in it.
#[track_caller]
pub fn testing_page_says(figure: &str) {
    let page = include_str!("../../docs/testing.md");
    let words: Vec<&str> = page.split_whitespace().collect();
    assert!(
        words.join(" ").contains(figure),
        "docs/testing.md doesn't contain: {figure}"
    );
}
