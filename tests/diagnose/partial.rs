//! Servers with two faults. HAProxy proves a change for one fault, and the other fault needs a value that
//! only the operator knows.

use std::io::{Read, Write};

use serde_json::Value;

use crate::servers::{CHECK, assert_changed, config, nginx, running};
use crate::support::check::{BINARY, run_by_hand, stdout};
use crate::support::peer;
use crate::support::pki::Ca;
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port};

/// Returns the ids of the causes in the report about a server.
fn ids(server: &Value) -> Vec<&str> {
    let causes = server["causes"].as_array().expect("causes").iter();
    causes.filter_map(|cause| cause["id"].as_str()).collect()
}

/// In the first backend, two header fields of one request are wrong. In the others, the second fault shows only
/// without the first.
#[test]
fn two_faults_of_one_check_are_fixed_together() {
    let stage = Stage::new();
    let agent = nginx(
        &stage,
        "",
        &format!(
            "if ($http_host != {NAME}) {{ return 421; }} if ($http_user_agent = '') {{ return 403; }}"
        ),
    );
    let scheme = nginx(
        &stage,
        "",
        "if ($http_x_forwarded_proto != https) { return 301 https://$host$request_uri; }",
    );
    let proxied = nginx(&stage, "proxy_protocol", "ssl_protocols TLSv1.3;");
    let host = CHECK.replace(&format!("Host {NAME}"), "Host wrong.test");
    for (check, port, words, new) in [
        (&*host, agent.port, "", "hdr User-Agent"),
        (
            &format!("{CHECK}    http-check expect string GOOD\n"),
            scheme.port,
            "",
            "X-Forwarded-Proto",
        ),
        (CHECK, proxied.port, "no-tlsv13", "send-proxy"),
    ] {
        let backend = format!(
            "backend be\n{check}    server s1 127.0.0.1:{port} TLS check check-sni {NAME} {words}\n"
        );
        let found = assert_changed(&stage, &backend, ("be", "s1"), new);
        assert_eq!(found["diff_visitors"], 200, "{found:#}");
    }
}

/// The server speaks HTTP/1.0, and the change adds both HTTP/1.1 and the Host that the server requires.
#[test]
fn a_missing_host_is_not_called_a_refusal_of_http_1_0() {
    let stage = Stage::new();
    let rule = format!("if ($http_host != {NAME}) {{ return 403; }}");
    let server = nginx(&stage, "", &rule);
    let backend = format!(
        "backend be\n    option httpchk GET /\n    http-check expect status 204\n    server s1 127.0.0.1:{} TLS check \
         check-sni {NAME}\n",
        server.port
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "DOWN");
    let output = run_by_hand(&["diagnose", "--json", "-f", &config]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let reason = report["servers"][0]["diff_reason"].to_string();
    assert!(
        reason.contains("HTTP/1.0 without a Host header"),
        "{report:#}"
    );
    assert!(!reason.contains("refuses HTTP/1.0"), "{report:#}");
}

#[test]
fn the_step_of_a_tcp_check_that_fails_after_the_handshake_is_named() {
    let stage = Stage::new();
    let port = peer::tls(&stage.leaf, |stream| {
        _ = stream.write_all(b"220 mail.example.test ESMTP\r\n");
        _ = stream.read(&mut [0]);
    });
    let backend = format!(
        "backend be\n    mode tcp\n    timeout check 500ms\n    option tcp-check\n    tcp-check connect ssl\n    \
         tcp-check expect rstring ^220.*Postfix\n    server s1 127.0.0.1:{port} ssl verify none check\n"
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "DOWN");
    let output = run_by_hand(&["diagnose", "-f", &config]);
    let text = stdout(&output);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let step = "doesn't meet step 2: `tcp-check expect rstring ^220.*Postfix`";
    assert!(text.contains(step), "{text}");
    for part in ["bundled roots", "verify none hides", "a setting that"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_report_says_what_haproxys_verdict_proves_and_what_remains() {
    let stage = Stage::new();
    let (dead, line) = (dead_port(), "server s1 127.0.0.1:PORT TLS check");
    let status = "status 200, expected status 204";
    let text = "body does not meet --expect: string nowhere";
    let without_host = CHECK.replace(" hdr Host www.example.test", "");
    let external = format!(
        "    option external-check\n    external-check command {BINARY}\n    external-check path \
         \"--sni {NAME} --ca-file CA --port {dead} --expect 'status 204'\"\n"
    );
    for (backend, cause, remains, id) in [
        (
            format!(
                "{CHECK}    http-check expect status 204\n    {line} check-sni {NAME} check-ssl port {dead}"
            ),
            format!("The check connects to 127.0.0.1:{dead}, and fails there"),
            status,
            "status-not-expected",
        ),
        (
            format!("{external}    {line}"),
            format!("The check connects to 127.0.0.1:{dead}, and fails there"),
            status,
            "status-not-expected",
        ),
        (
            format!(
                "{CHECK}    http-check expect string nowhere\n    {line} check-sni {NAME} no-tlsv13 \
                 ciphers ECDHE-RSA-AES128-GCM-SHA256"
            ),
            "The server accepts no connection with `ciphers ECDHE-RSA".to_owned(),
            text,
            "expectation-wrong",
        ),
        (
            format!("{without_host}    http-check expect status 204\n    {line} check-sni {NAME}"),
            "HAProxy's own check sends no Host header".to_owned(),
            status,
            "status-not-expected",
        ),
        (
            format!(
                "    option tcp-check\n    tcp-check connect ssl sni {NAME}\n    tcp-check send \"GET / HTTP/1.0\\r\\n\\r\\n\"\n    \
                 tcp-check expect string nowhere\n    {line} no-tlsv13 ciphers ECDHE-RSA-AES128-GCM-SHA256"
            ),
            "The server accepts no connection with `ciphers ECDHE-RSA".to_owned(),
            "L7",
            "",
        ),
    ] {
        let config = config(&stage, &format!("backend be\n{backend}\n"));
        let _haproxy = running(&config, ("be", "s1"), "DOWN");
        let output = run_by_hand(&["diagnose", "--json", "-f", &config]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
        let server = &report["servers"][0];
        let reason = server["diff_reason"].as_str().unwrap_or_default();
        assert!(reason.contains(&cause), "{server:#}");
        let left = server["remains"].as_str().unwrap_or_default();
        assert!(left.starts_with(remains), "{server:#}");
        assert!(id.is_empty() || ids(server).contains(&id), "{server:#}");
        assert!(!ids(server).contains(&"service-stopped"), "{server:#}");
        assert!(server["diff"].is_null(), "{server:#}");
        let screen = stdout(&run_by_hand(&["diagnose", "-f", &config]));
        assert!(screen.contains("this change is not enough"), "{screen}");
    }
}

#[test]
fn haproxys_own_check_gets_a_host_although_sni_check_fails_earlier() {
    let stage = Stage::new();
    // sni-check supports no ciphers with CBC.
    let old = "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA;";
    let server = nginx(&stage, "", old);
    let without_host = CHECK.replace(" hdr Host www.example.test", "");
    let backend = format!(
        "backend be\n{without_host}    server s1 127.0.0.1:{} TLS check check-sni {NAME}\n",
        server.port
    );
    let found = assert_changed(&stage, &backend, ("be", "s1"), &format!("hdr Host {NAME}"));
    let reason = found["diff_reason"].to_string();
    assert!(reason.contains("sends no Host header"), "{reason}");
}

#[test]
fn haproxy_proves_that_ssl_is_missing_although_another_fault_remains() {
    let stage = Stage::new();
    let other = stage.folder.file("other.pem", &Ca::named("Other CA").pem);
    let line =
        format!("server s1 127.0.0.1:PORT verify required sni str({NAME}) check check-sni {NAME}");
    for (backend, remains) in [
        (
            format!("{CHECK}    {line} ca-file {other}"),
            "certificate's issuer unknown",
        ),
        (
            format!("{CHECK}    http-check expect string nowhere\n    {line} ca-file CA"),
            "body does not meet --expect",
        ),
    ] {
        let config = config(&stage, &format!("backend be\n{backend}\n"));
        let _haproxy = running(&config, ("be", "s1"), "DOWN");
        let output = run_by_hand(&["diagnose", "--json", "-f", &config]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
        let server = &report["servers"][0];
        let left = server["remains"].as_str().unwrap_or_default();
        assert!(left.starts_with(remains), "{server:#}");
    }
}

/// A POST may change something at another page or site, so diagnose tries GET there.
#[test]
fn a_post_to_a_wrong_page_or_site_becomes_a_get() {
    let stage = Stage::new();
    let other_host = format!("if ($host != {NAME}) {{ return 404; }}");
    for (rules, page, host, causes) in [
        (
            "",
            "/missing",
            NAME,
            ["path-wrong", "method-untried"].as_slice(),
        ),
        (
            &other_host,
            "/",
            "wrong.example.test",
            &["host-not-of-visitors", "method-untried"],
        ),
        (
            "if ($request_method = POST) { return 403; }",
            "/",
            NAME,
            &["method-not-answered"],
        ),
    ] {
        let server = nginx(&stage, "", rules);
        let backend = format!(
            "backend be\n    option httpchk\n    http-check send meth POST uri {page} ver HTTP/1.1 hdr Host {host}\n    \
             server s1 127.0.0.1:{} TLS check check-sni {NAME}\n",
            server.port
        );
        let new = format!("meth GET uri / ver HTTP/1.1 hdr Host {NAME}");
        let found = assert_changed(&stage, &backend, ("be", "s1"), &new);
        assert_eq!(ids(&found), causes, "{found:#}");
    }
}

#[test]
fn other_pages_and_hosts_are_tried_for_a_status_that_only_haproxy_gets() {
    let stage = Stage::new();
    // sni-check supports no ciphers with CBC.
    let old = "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA;";
    let rules = format!("{old} if ($host != {NAME}) {{ return 404; }}");
    let server = nginx(&stage, "", &rules);
    for request in [
        format!("meth GET uri /missing ver HTTP/1.1 hdr Host {NAME}"),
        "meth GET uri / ver HTTP/1.1 hdr Host wrong.example.test".to_owned(),
    ] {
        let backend = format!(
            "backend be\n    option httpchk\n    http-check send {request}\n    server s1 127.0.0.1:{} TLS check \
             check-sni {NAME}\n",
            server.port
        );
        let new = format!("meth GET uri / ver HTTP/1.1 hdr Host {NAME}");
        let found = assert_changed(&stage, &backend, ("be", "s1"), &new);
        assert_eq!(found["remains"], Value::Null, "{found:#}");
    }
}
