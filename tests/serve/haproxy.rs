//! How a real HAProxy uses serve's answers.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::scene::{Serve, haproxy};
use crate::support::haproxy::{Haproxy, versions, with_every_haproxy};
use crate::support::stage::Stage;
use crate::support::{NAME, free_port, program, wait_for};

/// Returns the text of HAProxy's statistics page.
fn page(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a page");
    text
}

/// Returns the code and the reason that HAProxy shows for its server.
fn shown(haproxy: &Haproxy) -> (String, String) {
    let server = haproxy.server("hybrid", "blue").expect("a server");
    (server.check_code, server.last_chk)
}

#[test]
fn haproxy_shows_code_and_reason_and_follows_the_server() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        let serve = Serve::start(&stage, &["--warn-cert-days", "60"]);
        let port = free_port();
        let stats = format!(
            "listen stats\n    bind 127.0.0.1:{port}\n    stats enable\n    stats uri /\n    \
             stats show-legends\n"
        );
        let haproxy = haproxy(version, &stage, &serve, &stats, &[]);
        // HAProxy reports a server UP before its first check, so the test can't rely on the status
        // yet.
        wait_for("the first check", || {
            shown(&haproxy)
                .1
                .contains("certificate expires in 30 days")
                .then_some(())
        });
        let server = haproxy.wait_for_status("hybrid", "blue", "UP");
        assert_eq!(
            (server.check_status.as_str(), server.check_code.as_str()),
            ("L7OK", "0")
        );
        assert_eq!(haproxy.get("/"), Some(200));

        stage.nginx().stop();
        let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
        assert_eq!(
            (server.check_status.as_str(), server.check_code.as_str()),
            ("L7STS", "41")
        );
        assert_eq!(server.last_chk, "connection refused");
        assert_eq!(haproxy.get("/"), Some(503));
        let page = page(port);
        assert!(page.contains("connection refused"), "{page}");
        wait_for("the line in HAProxy's log", || {
            let log = haproxy.log();
            let shown =
                "failed, reason: Layer7 wrong status, code: 41, info: \"connection refused\"";
            log.contains(shown).then_some(())
        });

        stage.nginx().resume();
        haproxy.wait_for_status("hybrid", "blue", "UP");
        assert_eq!(haproxy.get("/"), Some(200));

        // The check uses the address to which HAProxy sends the traffic, even if it changes.
        let dead = crate::support::dead_port();
        haproxy.ask(&format!(
            "set server hybrid/blue addr 127.0.0.1 port {dead}"
        ));
        haproxy.wait_for_code("hybrid", "blue", "41");
        let nginx = stage.nginx().port;
        haproxy.ask(&format!(
            "set server hybrid/blue addr 127.0.0.1 port {nginx}"
        ));
        haproxy.wait_for_code("hybrid", "blue", "0");
    });
}

#[test]
fn haproxy_shows_why_a_backend_is_down() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let newest = versions().pop().expect("an HAProxy");
    for (name, value, code, reason) in [
        (
            "SNI_HOST",
            "wrong.example.test",
            "65",
            "server refused the name (unrecognized_name)",
        ),
        (
            "CHECK_URI",
            "/error",
            "71",
            "status 500; expected status 200-399",
        ),
        ("CHECK_CA_FILE", "@bundled", "55", "issuer"),
        (
            "CHECK_CA_FILE",
            "/etc/passwd",
            "2",
            "--ca-file /etc/passwd is not below a folder of --files",
        ),
        (
            "CHECK_URI",
            "x --frobnicate",
            "2",
            "--frobnicate is not an option",
        ),
    ] {
        let haproxy = haproxy(&newest, &stage, &serve, "", &[(name, value)]);
        let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
        assert_eq!(server.check_code, code, "{name}={value}: {server:?}");
        assert!(
            server.last_chk.contains(reason),
            "{server:?} lacks {reason}"
        );
    }
}

#[test]
fn without_serve_every_backend_is_down_until_serve_returns() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let version = versions().pop().expect("an HAProxy");
    let haproxy = haproxy(&version, &stage, &serve, "", &[]);
    haproxy.wait_for_status("hybrid", "blue", "UP");
    serve.end("-KILL");
    let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
    assert_eq!(server.check_status, "SOCKERR", "{server:?}");
    // The killed serve left its socket file behind. The new process replaces it.
    serve.resume();
    haproxy.wait_for_status("hybrid", "blue", "UP");
    assert_eq!(serve.end("-TERM").code(), Some(0));
    haproxy.wait_for_status("hybrid", "blue", "DOWN");
}

#[test]
fn a_server_name_with_a_dot_is_the_sni_name() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let answer = serve.ask(stage.nginx().port, &stage.trust);
    answer.expect("2", "no SNI name is set; add --sni NAME to X-Check-Options");
    let named = crate::scene::head(stage.nginx().port, &stage.trust);
    let answer = serve.send(&named.replace("hybrid/blue", &format!("hybrid/{NAME}")));
    answer.expect("0", "status 200");
}

/// The README, docs/serve.md and `explain L7TOUT` describe this behaviour.
#[test]
fn a_serve_that_hangs_shows_as_l7tout_without_a_code() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        let serve = Serve::start(&stage, &[]);
        let signal = |name: &str| {
            let status = program("kill")
                .args([name, &serve.pid().to_string()])
                .status();
            assert!(status.expect("kill runs").success());
        };
        let haproxy = haproxy(version, &stage, &serve, "", &[]);
        haproxy.wait_for_code("hybrid", "blue", "0");
        signal("-STOP");
        let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
        let check_status = server.check_status.trim_start_matches("* ");
        assert_eq!((check_status, server.check_code.as_str()), ("L7TOUT", ""));
        signal("-CONT");
    });
}

/// Another process listens at the socket's path and answers every request with 200.
#[test]
fn a_foreign_listener_turns_no_server_up() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        let path = stage.folder.join("foreign");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.read(&mut [0; 4096]);
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let haproxy = haproxy(version, &stage, &Serve::elsewhere(path), "", &[]);
        let server = haproxy.wait_for_status("hybrid", "blue", "DOWN");
        assert_eq!(server.check_status.trim_start_matches("* "), "L7STS");
    });
}
