//! The story with real HAProxy and real nginx, in each way that HAProxy is run; and every
//! configuration of haproxy/, loaded as it is.

mod support;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use support::check::BINARY;
use support::folder::Folder;
use support::haproxy::{Haproxy, Mode};
use support::nginx::Nginx;
use support::pki::Ca;

const NAME: &str = "www.example.test";

fn config(name: &str) -> String {
    format!("{}/haproxy/{name}.cfg", env!("CARGO_MANIFEST_DIR"))
}

/// nginx that refuses clients without SNI, and what HAProxy needs to know of it.
struct Stage {
    nginx: Nginx,
    /// Becomes HAProxy's chroot where a test wants one: empty but for the binary and the CA.
    chroot: Folder,
    ca_file: String,
}

impl Stage {
    fn new() -> Stage {
        let ca = Ca::new();
        let leaf = ca.leaf(&[NAME], 30);
        let chroot = Folder::new();
        let binary = chroot.path().join("usr/local/bin/sni-check");
        fs::create_dir_all(binary.parent().expect("a parent")).expect("a folder");
        fs::copy(BINARY, &binary).expect("a copy");
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("permissions");
        let ca_file = chroot.file("ca.pem", &ca.pem);
        let client = ca.leaf(&["client.example.test"], 30);
        chroot.file("client.pem", &client.both_pem());
        Stage {
            nginx: Nginx::start(&ca, NAME, &leaf),
            chroot,
            ca_file,
        }
    }

    fn haproxy(&self, mode: Mode, config: &str, more: &[(&str, &str)]) -> Haproxy {
        let port = self.nginx.port.to_string();
        let client = self.chroot.join("client.pem");
        let chroot = self.chroot.path().display().to_string();
        let variables = [
            ("HYBRID_STACK_HOST", "127.0.0.1"),
            ("HYBRID_STACK_PORT", &port),
            ("STACK_HOST", "127.0.0.1"),
            ("STACK_PORT", &port),
            ("SNI_HOST", NAME),
            ("SNI_CHECK", BINARY),
            ("CHECK_INTER", "500ms"),
            ("CHECK_CA_FILE", &self.ca_file),
            ("SERVER_CA_FILE", &self.ca_file),
            ("CA_FILE", &self.ca_file),
            ("CLIENT_PEM", &client),
            ("CHROOT", &chroot),
        ];
        Haproxy::start(mode, config, &[&variables[..], more].concat())
    }

    /// The story: UP and served, DOWN when nginx stops, UP when it returns.
    fn story(mut self, haproxy: &Haproxy) {
        haproxy.wait_for_code("hybrid", "blue", "0");
        let server = haproxy.wait_for_status("hybrid", "blue", "UP");
        assert_eq!(
            (&server.check_status[..], &server.check_code[..]),
            ("PROCOK", "0")
        );
        assert_eq!(haproxy.get("/"), Some(200));
        self.nginx.stop();
        let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
        assert_eq!(
            (&server.check_status[..], &server.check_code[..]),
            ("PROCERR", "41")
        );
        assert_eq!(haproxy.get("/"), Some(503));
        self.nginx.resume();
        haproxy.wait_for_status("hybrid", "blue", "UP");
        assert_eq!(haproxy.get("/"), Some(200));
    }
}

#[test]
fn in_the_foreground() {
    let stage = Stage::new();
    let haproxy = stage.haproxy(Mode::Foreground, &config("hybrid"), &[]);
    stage.story(&haproxy);
    let log = haproxy.log();
    assert!(
        log.contains("DOWN 41 L4CON hybrid/blue 127.0.0.1:"),
        "{log}"
    );
}

#[test]
fn as_a_daemon_in_an_empty_chroot_as_haproxys_user() {
    let stage = Stage::new();
    let syslog = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = syslog.local_addr().expect("an address").to_string();
    let more = [("CHECK_CA_FILE", "/ca.pem"), ("SYSLOG", &address)];
    let haproxy = stage.haproxy(Mode::Daemon, &config("chroot-daemon"), &more);
    stage.story(&haproxy);
    // A daemon drops what a check prints; the syslog has it all the same.
    syslog.set_nonblocking(true).expect("non-blocking");
    let mut datagram = [0; 4096];
    let line = support::wait_for("a line in the syslog", || {
        let length = syslog.recv(&mut datagram).ok()?;
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        text.contains("DOWN").then_some(text)
    });
    assert!(
        line.contains("sni-check") && line.contains("DOWN 41 L4CON hybrid/blue"),
        "{line}"
    );
}

#[test]
fn as_haproxys_user() {
    let stage = Stage::new();
    let user = stage
        .chroot
        .file("user.cfg", "global\n    user haproxy\n    group haproxy\n");
    let both = stage.chroot.join("both.cfg");
    // The test's binary lies where HAProxy's user may not look; its copy does not.
    let binary = stage.chroot.join("usr/local/bin/sni-check");
    let text = fs::read_to_string(config("hybrid")).expect("a configuration");
    fs::write(
        &both,
        format!("{}\n{text}", fs::read_to_string(user).expect("text")),
    )
    .expect("a file");
    let haproxy = stage.haproxy(Mode::Foreground, &both, &[("SNI_CHECK", &binary)]);
    stage.story(&haproxy);
}

#[test]
fn the_failure_that_started_it_all() {
    let stage = Stage::new();
    // HAProxy's own check of an ssl server sends no SNI; ours does.
    let text = fs::read_to_string(config("built-in-check")).expect("a configuration");
    let without_sni = stage
        .chroot
        .file("cfg", &text.replace("check-sni \"${SNI_HOST}\" ", ""));
    let haproxy = stage.haproxy(Mode::Foreground, &without_sni, &[]);
    let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
    assert_eq!(server.check_status, "L6RSP");
    assert_eq!(haproxy.get("/"), Some(503));
    let haproxy = stage.haproxy(Mode::Foreground, &config("hybrid"), &[]);
    haproxy.wait_for_code("hybrid", "blue", "0");
    assert_eq!(haproxy.get("/"), Some(200));
}

#[test]
fn haproxys_own_check_with_sni() {
    let stage = Stage::new();
    let haproxy = stage.haproxy(Mode::Foreground, &config("built-in-check"), &[]);
    let server = haproxy.wait_for_status("hybrid", "blue", "UP");
    assert_eq!(server.check_status, "L7OK");
    assert_eq!(haproxy.get("/"), Some(200));
}

#[test]
fn a_wrong_name_shows_as_65() {
    let stage = Stage::new();
    for mode in [Mode::Foreground, Mode::Daemon] {
        let haproxy = stage.haproxy(
            mode,
            &config("hybrid"),
            &[("SNI_HOST", "wrong.example.test")],
        );
        let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
        assert_eq!(
            (&server.check_status[..], &server.check_code[..]),
            ("PROCERR", "65")
        );
    }
}

#[test]
fn an_unset_variable_is_refused_and_says_so() {
    let stage = Stage::new();
    // HAProxy itself refuses an empty name in `sni`; the check has to do so on its own.
    let text = fs::read_to_string(config("hybrid")).expect("a configuration");
    let text = text
        .replace("sni \"str(${SNI_HOST})\"", "")
        .replace("http-request", "#");
    let text = stage.chroot.file("cfg", &text);
    let haproxy = stage.haproxy(Mode::Foreground, &text, &[("SNI_HOST", "")]);
    haproxy.wait_for_code("hybrid", "blue", "2");
    let log = haproxy.log();
    assert!(log.contains("hybrid/blue: --sni has no value"), "{log}");
}

#[test]
fn several_backends_with_different_options() {
    let stage = Stage::new();
    let haproxy = stage.haproxy(Mode::Foreground, &config("several-backends"), &[]);
    for (backend, server) in [("pages", "page1"), ("api", "api1"), ("mutual", NAME)] {
        haproxy.wait_for_code(backend, server, "0");
        haproxy.wait_for_status(backend, server, "UP");
    }
    assert_eq!(haproxy.get("/"), Some(200));
    assert_eq!(haproxy.get("/api/x"), Some(401));
}

#[test]
fn every_configuration_is_accepted_without_a_warning() {
    let stage = Stage::new();
    let client = stage.chroot.join("client.pem");
    let variables = [
        ("HYBRID_STACK_HOST", "127.0.0.1"),
        ("STACK_HOST", "127.0.0.1"),
        ("SNI_HOST", NAME),
        ("SERVER_CA_FILE", &stage.ca_file),
        ("CA_FILE", &stage.ca_file),
        ("CLIENT_PEM", &client),
    ];
    let folder = format!("{}/haproxy", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("configurations") {
        let path = entry.expect("an entry").path().display().to_string();
        let output = Haproxy::check(&path, &variables);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && !text.contains("WARNING"),
            "{path}: {text}"
        );
        count += 1;
    }
    assert_eq!(count, 4);
}
