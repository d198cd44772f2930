//! Runs checks with every installed HAProxy release and a real nginx, in the foreground and as a
//! daemon. Also asserts that HAProxy accepts every configuration in haproxy/ unchanged.

mod support;

use std::fs;
use std::net::UdpSocket;

use support::NAME;
use support::check::BINARY;
use support::haproxy::{Haproxy, Mode, Server, Version, with_every_haproxy};
use support::pki::Ca;
use support::stage::Stage;

fn config(name: &str) -> String {
    format!("{}/haproxy/{name}.cfg", env!("CARGO_MANIFEST_DIR"))
}

/// Writes a client certificate and its key to a file, and returns its path.
fn client(stage: &Stage) -> String {
    let client = stage.ca.leaf(&["client.example.test"], 30);
    stage.folder.file("client.pem", &client.both_pem())
}

/// Starts HAProxy with the environment variables that the configurations use.
fn start(
    version: &Version,
    stage: &Stage,
    mode: Mode,
    config: &str,
    more: &[(&str, &str)],
) -> Haproxy {
    let port = stage.nginx().port.to_string();
    let variables = [
        ("HYBRID_STACK_HOST", "127.0.0.1"),
        ("HYBRID_STACK_PORT", &port),
        ("STACK_HOST", "127.0.0.1"),
        ("STACK_PORT", &port),
        ("SNI_HOST", NAME),
        ("SNI_CHECK", BINARY),
        ("CHECK_INTER", "500ms"),
        ("CHECK_CA_FILE", &stage.ca_file),
        ("SERVER_CA_FILE", &stage.ca_file),
        ("CA_FILE", &stage.ca_file),
        ("CLIENT_PEM", &client(stage)),
        ("CHROOT", stage.chroot()),
    ];
    version.start(mode, config, &[&variables[..], more].concat())
}

/// Asserts that the server is UP and serves visitors, goes DOWN when nginx stops, and comes UP when
/// nginx runs again.
fn story(stage: &Stage, haproxy: &Haproxy) {
    haproxy.wait_for_code("hybrid", "blue", "0");
    let server = haproxy.wait_for_status("hybrid", "blue", "UP");
    assert_eq!(shown(&server), ("PROCOK", "0"));
    assert_eq!(haproxy.get("/"), Some(200));
    stage.nginx().stop();
    let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
    assert_eq!(shown(&server), ("PROCERR", "41"));
    assert_eq!(haproxy.get("/"), Some(503));
    stage.nginx().resume();
    haproxy.wait_for_status("hybrid", "blue", "UP");
    assert_eq!(haproxy.get("/"), Some(200));
}

fn shown(server: &Server) -> (&str, &str) {
    (&server.check_status, &server.check_code)
}

#[test]
fn haproxy_runs_the_check_in_the_foreground() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        let haproxy = start(version, &stage, Mode::Foreground, &config("hybrid"), &[]);
        story(&stage, &haproxy);
        let log = haproxy.log();
        assert!(
            log.contains("DOWN 41 L4CON hybrid/blue 127.0.0.1:"),
            "{log}"
        );
    });
}

#[test]
fn a_daemon_runs_the_check_in_an_empty_chroot_as_haproxys_user() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        stage
            .folder
            .copy(BINARY, "root/usr/local/bin/sni-check", 0o755);
        let syslog = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = syslog.local_addr().expect("an address").to_string();
        let more = [("CHECK_CA_FILE", "/ca.pem"), ("SYSLOG", &address)];
        let haproxy = start(
            version,
            &stage,
            Mode::Daemon,
            &config("chroot-daemon"),
            &more,
        );
        story(&stage, &haproxy);
        // A daemon discards what a check prints, but the check also sends its line to the syslog.
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
    });
}

#[test]
fn haproxy_runs_the_check_as_its_own_user() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        // HAProxy's user can't enter the folder of the tested binary, so the test uses a copy.
        let binary = format!("{}/sni-check", stage.chroot());
        let text = fs::read_to_string(config("hybrid")).expect("a configuration");
        let text = format!("global\n    user haproxy\n    group haproxy\n{text}");
        let config = stage.folder.file("cfg", &text);
        let more = [("SNI_CHECK", &binary[..])];
        let haproxy = start(version, &stage, Mode::Foreground, &config, &more);
        story(&stage, &haproxy);
    });
}

/// This behaviour is why the messages and the docs say "reload HAProxy too".
#[test]
fn the_check_rereads_a_replaced_ca_file_but_haproxy_needs_a_reload() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        let file = stage
            .folder
            .file("replaced.pem", &Ca::named("Old Root").pem);
        let more = [("CHECK_CA_FILE", &file[..]), ("SERVER_CA_FILE", &file[..])];
        let haproxy = start(version, &stage, Mode::Foreground, &config("hybrid"), &more);
        haproxy.wait_for_code("hybrid", "blue", "55");
        stage.folder.file("replaced.pem", &stage.ca.pem);
        haproxy.wait_for_code("hybrid", "blue", "0");
        haproxy.wait_for_status("hybrid", "blue", "UP");
        assert_eq!(haproxy.get("/"), Some(503));
        haproxy.reload();
        support::wait_for("a visitor's page", || {
            (haproxy.get("/") == Some(200)).then_some(())
        });
    });
}

#[test]
fn haproxys_own_check_without_sni_is_down() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        // Without `check-sni`, HAProxy's own check sends no SNI. sni-check sends SNI.
        let text = fs::read_to_string(config("built-in-check")).expect("a configuration");
        let without_sni = text.replace("check-sni \"${SNI_HOST}\" ", "");
        let without_sni = stage.folder.file("cfg", &without_sni);
        let haproxy = start(version, &stage, Mode::Foreground, &without_sni, &[]);
        let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
        assert_eq!(server.check_status, "L6RSP");
        assert_eq!(haproxy.get("/"), Some(503));
        let haproxy = start(version, &stage, Mode::Foreground, &config("hybrid"), &[]);
        haproxy.wait_for_code("hybrid", "blue", "0");
        assert_eq!(haproxy.get("/"), Some(200));
    });
}

#[test]
fn haproxys_own_check_with_sni_is_up() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        let haproxy = start(
            version,
            &stage,
            Mode::Foreground,
            &config("built-in-check"),
            &[],
        );
        let server = haproxy.wait_for_status("hybrid", "blue", "UP");
        assert_eq!(server.check_status, "L7OK");
        assert_eq!(haproxy.get("/"), Some(200));
    });
}

#[test]
fn a_wrong_name_shows_as_65() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        for mode in [Mode::Foreground, Mode::Daemon] {
            let haproxy = start(
                version,
                &stage,
                mode,
                &config("hybrid"),
                &[("SNI_HOST", "wrong.example.test")],
            );
            let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
            assert_eq!(shown(&server), ("PROCERR", "65"));
        }
    });
}

#[test]
fn an_empty_variable_is_refused_with_a_reason() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        // HAProxy itself refuses an empty name in `sni`. Without `sni`, only the check can refuse
        // the empty name.
        let text = fs::read_to_string(config("hybrid")).expect("a configuration");
        let text = text
            .replace("sni \"str(${SNI_HOST})\"", "")
            .replace("http-request", "#");
        let text = stage.folder.file("cfg", &text);
        let haproxy = start(
            version,
            &stage,
            Mode::Foreground,
            &text,
            &[("SNI_HOST", "")],
        );
        haproxy.wait_for_code("hybrid", "blue", "2");
        let log = haproxy.log();
        assert!(log.contains("hybrid/blue: --sni has no value"), "{log}");
    });
}

#[test]
fn several_backends_can_have_different_options() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        let haproxy = start(
            version,
            &stage,
            Mode::Foreground,
            &config("several-backends"),
            &[],
        );
        for (backend, server) in [("pages", "page1"), ("api", "api1"), ("mutual", NAME)] {
            haproxy.wait_for_code(backend, server, "0");
            haproxy.wait_for_status(backend, server, "UP");
        }
        assert_eq!(haproxy.get("/"), Some(200));
        assert_eq!(haproxy.get("/api/x"), Some(401));
    });
}

#[test]
fn every_configuration_is_accepted_without_a_warning() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        let variables = [
            ("HYBRID_STACK_HOST", "127.0.0.1"),
            ("STACK_HOST", "127.0.0.1"),
            ("SNI_HOST", NAME),
            ("SERVER_CA_FILE", &stage.ca_file),
            ("CA_FILE", &stage.ca_file),
            ("CLIENT_PEM", &client(&stage)),
        ];
        let folder = format!("{}/haproxy", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for entry in fs::read_dir(folder).expect("configurations") {
            let path = entry.expect("an entry").path().display().to_string();
            let output = version.check(&path, &variables);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success() && !text.contains("WARNING"),
                "{path}: {text}"
            );
            count += 1;
        }
        assert_eq!(count, 5);
    });
}

/// HAProxy passes its own environment to a check only with `preserve-env`. It always expands
/// variables in `external-check path`.
#[test]
fn sni_host_reaches_the_check_as_the_page_says() {
    with_every_haproxy(|version| {
        for (global, options, code) in [
            ("external-check", "", "2"),
            ("external-check", "--sni ${SNI_HOST}", "0"),
            ("external-check preserve-env", "", "0"),
        ] {
            if global.contains("preserve-env") && !version.is_since("2.9") {
                continue;
            }
            let stage = Stage::new();
            let (port, trust) = (stage.nginx().port, &stage.trust);
            let config = format!(
                "global\n {global}\n insecure-fork-wanted\n\
                 defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
                 listen hybrid\n bind \"${{LISTEN}}\"\n option external-check\n \
                 external-check command {BINARY}\n external-check path \"{trust} {options}\"\n \
                 server blue 127.0.0.1:{port} check inter 500ms\n"
            );
            let config = stage.folder.file("haproxy.cfg", &config);
            let haproxy = version.start(Mode::Single, &config, &[("SNI_HOST", NAME)]);
            haproxy.wait_for_code("hybrid", "blue", code);
        }
    });
}

/// Releases of HAProxy, each with a new keyword: of the `global` section or of the server line.
const SINCE: [(&str, &str, &str); 4] = [
    ("2.2", "insecure-fork-wanted", ""),
    ("2.9", "external-check preserve-env", ""),
    ("3.1", "", "init-state down"),
    ("3.3", "", "check-sni-auto"),
];

#[test]
fn documented_keywords_exist_since_the_documented_release() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        for (since, global, server) in SINCE {
            let config = format!(
                "global\n {global}\nlisten l\n bind 127.0.0.1:1\n mode http\n timeout connect 1s\n \
                 timeout client 1s\n timeout server 1s\n server s 127.0.0.1:1 ssl verify none check {server}\n"
            );
            let config = stage.folder.file("since.cfg", &config);
            let accepted = version.check(&config, &[]).status.success();
            let word = format!("{global}{server}");
            assert_eq!(accepted, version.is_since(since), "{word}: {version:?}");
        }
    });
}
