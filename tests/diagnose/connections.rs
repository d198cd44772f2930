//! `sni-check diagnose` for checks that connect differently from visitors: without TLS, to another port, or
//! with another HTTP version.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::repairs::{Broken, own};
use super::servers::nginx;
use crate::support::check::run_by_hand;
use crate::support::haproxy::{Mode, with_every_haproxy};
use crate::support::nginx::{LOCATIONS, Nginx};
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port};

/// Returns the report about the server, and the repaired server line.
fn repaired(broken: &Broken) -> (Value, String) {
    let server = broken.diagnose();
    let fixed = broken.assert_repaired_by(&server);
    let line = fixed.lines().find(|line| line.contains("server s1"));
    (server, line.unwrap_or_default().to_owned())
}

#[test]
fn in_mode_tcp_only_the_check_gets_tls() {
    let stage = Stage::new();
    let ssl = format!("ssl verify required ca-file {} sni", stage.ca_file);
    let own = own(&stage, "/", "").replace(&format!(" str({NAME})"), "");
    let passed = own.replace(&ssl, &ssl.replace("ssl ", "").replace(" sni", ""));
    let (server, line) = repaired(&Broken::new(&stage, "", &format!("    mode tcp\n{passed}")));
    assert!(
        line.contains(&format!("check-ssl check-sni {NAME}")),
        "{line}"
    );
    assert!(!line.contains(" ssl ") && !line.contains(" sni "), "{line}");
    let why = server["why"].as_str().unwrap_or_default();
    assert!(why.contains("check-ssl and check-sni"), "{why}");
}

#[test]
fn keywords_that_haproxy_ignores_are_tried_on_the_server_line() {
    let stage = Stage::new();
    let words = format!(
        "ssl verify required ca-file {} sni str({NAME})",
        stage.ca_file
    );
    let without_ssl = own(&stage, "/", "").replace(" ssl verify", " verify");
    let (server, line) = repaired(&Broken::new(&stage, "", &without_ssl));
    assert!(
        line.ends_with(&format!("ssl check-sni {NAME}")) && server["diff_reason"].is_string(),
        "{line}"
    );
    let below = own(&stage, "/", "").replace(&format!(" {words}"), "");
    let below = format!("{below}\n    default-server {words} check-sni {NAME}");
    let (server, line) = repaired(&Broken::new(&stage, "", &below));
    assert!(line.contains(&stage.ca_file), "{line}");
    assert!(
        server.to_string().contains("below the server line"),
        "{server:#}"
    );
}

/// With every tested version of HAProxy, its own check offers the `alpn` list of the server line.
#[test]
fn the_check_offers_the_protocols_of_the_server_line() {
    with_every_haproxy(|version| {
        let stage = Stage::new();
        let picky = nginx(&stage, "", "if ($ssl_alpn_protocol = '') { return 444; }");
        let ports = [stage.nginx().port, picky.port].map(|port| port.to_string());
        let end = format!("check-sni {NAME} alpn http/1.1");
        let line = |uri: &str| own(&stage, uri, &end).replace(&ports[0], &ports[1]);
        let socket = stage.folder.join("admin.sock");
        let file = |backend: &str| {
            let text = format!(
                "global\n    stats socket {socket}\ndefaults\n    mode http\n    timeout connect 5s\n    \
                 timeout client 5s\n    timeout server 5s\nbackend be\n{backend}\n"
            );
            stage.folder.file("haproxy.cfg", &text)
        };
        for (uri, status, code) in [("/", "UP", 0), ("/missing", "DOWN", 71)] {
            let file = file(&line(uri));
            let haproxy = version.start(Mode::Single, &file, &[]);
            assert_eq!(haproxy.wait_for_check("be", "s1").status, status);
            let program = version.program.to_str().expect("a path");
            let words = [
                "diagnose",
                "--json",
                "--haproxy",
                program,
                "-f",
                &file,
                "be/s1",
            ];
            let output = run_by_hand(&words);
            assert_eq!(output.status.code(), Some(code), "{output:?}");
        }
    });
}

#[test]
fn a_check_with_http_1_0_is_changed_to_http_1_1_if_the_server_requires_it() {
    let stage = Stage::new();
    let modern = nginx(
        &stage,
        "",
        "if ($server_protocol = HTTP/1.0) { return 426; }",
    );
    let ports = [stage.nginx().port, modern.port].map(|port| port.to_string());
    let own = own(&stage, "/", &format!("check-sni {NAME}")).replace(&ports[0], &ports[1]);
    let old = format!("    option httpchk GET / HTTP/1.0\\r\\nHost:\\ {NAME}\n    server");
    let (_, server) = own.split_once("    server").expect("a server line");
    for backend in [own.replace(" ver HTTP/1.1", ""), format!("{old}{server}")] {
        let broken = Broken::new(&stage, "", &backend);
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        assert!(fixed.contains("ver HTTP/1.1"), "{fixed}");
        let reason = server["diff_reason"].as_str().unwrap_or_default();
        assert!(reason.contains("refuses HTTP/1.0"), "{server:#}");
    }
}

#[test]
fn a_failing_check_of_another_port_is_tried_on_the_port_of_visitors() {
    let stage = Stage::new();
    let (dead, port) = (dead_port(), stage.nginx().port);
    // This server's certificate comes from another CA.
    let foreign = Stage::new();
    let other = foreign.nginx().port;
    let with_proxy = nginx(&stage, "proxy_protocol", "");
    let wants_proxy = with_proxy.port;
    let sni = format!("check-sni {NAME}");
    for (visitors, end, word) in [
        (port, format!("{sni} port {dead}"), "inter 500ms"),
        (port, format!("{sni} check-ssl port {other}"), "check-ssl"),
        (wants_proxy, format!("{sni} port {dead}"), "send-proxy"),
        (
            wants_proxy,
            format!("{sni} send-proxy port {wants_proxy}"),
            "send-proxy",
        ),
    ] {
        let own = own(&stage, "/", &end).replace(&format!(":{port} "), &format!(":{visitors} "));
        let (server, line) = repaired(&Broken::new(&stage, "", &own));
        let is_there = line.contains(word) && !line.contains(" port ");
        assert!(is_there, "{line}\n{server:#}");
        let said = server.to_string();
        assert!(!said.contains("to The check"), "{server:#}");
        assert!(!said.contains("requires TLS"), "{server:#}");
    }
}

#[test]
fn haproxy_tries_a_check_that_sni_check_cannot_make() {
    let stage = Stage::new();
    let good = format!("check-sni {NAME}");
    let own_at = |uri: &str, end: &str| own(&stage, uri, end);
    let body = own_at("/", &good).replace(
        "    server",
        "    http-check expect string good\n    server",
    );
    let method = own_at("/", "").replace("meth GET", "meth G@T");
    for (backend, new, why) in [
        (
            body.replace("meth GET", "meth HEAD"),
            "meth GET",
            "HEAD has no body",
        ),
        (
            body.replace("meth GET", "meth HEAD").replace(" ssl ", " "),
            "meth GET",
            "has no `ssl`",
        ),
        (
            own_at("/", "check-sni 127.0.0.1"),
            &*good,
            "an address is not the name of a site",
        ),
    ] {
        let broken = Broken::new(&stage, "", &backend);
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        assert!(
            fixed.contains(new) && server.to_string().contains(why),
            "{server:#}"
        );
    }
    // diagnose ignores the invalid method, and diagnoses the rest of the check.
    let server = Broken::new(&stage, "", &method).diagnose();
    let why = server["why"].as_str().unwrap_or_default();
    assert!(why.contains("--method `G@T`"), "{server:#}");
    assert_eq!(server["code"], 65, "{server:#}");
}

#[test]
fn diagnose_reports_quickly_that_a_server_uses_no_tls() {
    let stage = Stage::new();
    let plain = Nginx::serve(|_, port| {
        format!(
            "server {{ listen 127.0.0.1:{port}; if ($http_host = '127.0.0.1') {{ return 400; }} {LOCATIONS} }}"
        )
    });
    let backend = format!(
        "    option httpchk\n    http-check send meth GET uri / ver HTTP/1.1 hdr Host 127.0.0.1\n    server s1 \
         127.0.0.1:{} check inter 1s",
        plain.port
    );
    let broken = Broken::new(&stage, "", &backend);
    let start = Instant::now();
    let server = broken.diagnose();
    let why = server["not_diagnosed"].as_str().expect("a reason");
    assert!(why.contains("only looks at TLS"), "{why}");
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
}
