//! diagnose sends a visitor's request through HAProxy. The server's real visitors could send the same
//! request.

use crate::servers::{assert_changed, config, nginx, object, running};
use crate::support::NAME;
use crate::support::check::BINARY;
use crate::support::nginx::{Nginx, refusal, site};
use crate::support::pki::Ca;
use crate::support::stage::Stage;

/// Returns a backend with this rule. Its check requests `uri` with this Host. `end` is the end of the
/// server line.
fn backend(port: u16, rule: &str, (uri, host): (&str, &str), end: &str) -> String {
    format!(
        "backend be
    option httpchk
    http-check send meth GET uri {uri} ver HTTP/1.1 hdr Host {host}
{rule}    server s1 127.0.0.1:{port} ssl verify required ca-file CA {end}\n"
    )
}

/// Asserts that diagnose finds the server healthy and prints no change.
#[track_caller]
fn assert_healthy(stage: &Stage, backend: &str) {
    let config = config(stage, backend);
    let _haproxy = running(&config, ("be", "s1"), "UP");
    let report = object(&["-f", &config, "be/s1"], 0);
    let server = &report["servers"][0];
    assert_eq!(server["state"], "UP", "{server:#}");
    assert!(server["diff"].is_null(), "{server:#}");
}

#[test]
fn a_rule_that_rewrites_paths_stays() {
    let stage = Stage::new();
    let page = "if ($uri = /api/healthz) { return 404; } return 200 ok;";
    let server = nginx(&stage, "", page);
    let rule = "    http-request set-path /api%[path]\n";
    let with = |name: &str| {
        let end = format!("sni str({NAME}) check check-sni {name}");
        backend(server.port, rule, ("/healthz", NAME), &end)
    };
    assert_healthy(&stage, &with(NAME));
    let new = format!("check-sni {NAME}");
    let found = assert_changed(&stage, &with("www.exampel.test"), ("be", "s1"), &new);
    assert_eq!(found["diff"].as_array().map(Vec::len), Some(1), "{found:#}");
}

#[test]
fn an_sni_that_comes_from_the_request_stays_if_visitors_are_served() {
    let stage = Stage::new();
    let backend = format!(
        "backend be
    option external-check
    external-check command {BINARY}
    external-check path \"--sni {NAME} --ca-file CA --send-proxy\"
    server s1 127.0.0.1:PORT ssl verify required ca-file CA sni req.hdr(host) check inter 3s send-proxy\n"
    );
    let found = assert_changed(&stage, &backend, ("be", "s1"), "--ca-file");
    let text = found["diff"].to_string();
    assert!(!text.contains("str("), "{text}");
    assert_eq!(found["diff_visitors"], 200, "{found:#}");
}

#[test]
fn visitors_ask_for_a_site_and_not_for_the_host_of_the_check() {
    let stage = Stage::new();
    let end = format!("sni req.hdr(host) check check-sni {NAME}");
    let port = stage.nginx().port;
    for host in ["localhost", "127.0.0.1"] {
        assert_healthy(&stage, &backend(port, "", ("/", host), &end));
    }
    let page = "if ($host = localhost) { return 404; } return 200 ok;";
    let server = nginx(&stage, "", page);
    let down = backend(server.port, "", ("/", "localhost"), &end);
    assert_changed(&stage, &down, ("be", "s1"), &format!("hdr Host {NAME}"));
}

#[test]
fn visitors_ask_for_the_host_of_the_check_if_the_server_line_sends_a_different_name() {
    let stage = Stage::new();
    let page = format!("if ($host = {NAME}) {{ return 503; }} return 200 ok;");
    let server = nginx(&stage, "", &page);
    let end = format!("sni str({NAME}) check check-sni legacy.example.test");
    let down = backend(server.port, "", ("/", "shop.example.test"), &end);
    assert_changed(&stage, &down, ("be", "s1"), &format!("check-sni {NAME}"));
}

#[test]
fn settings_of_the_check_are_added_to_the_server_line_if_visitors_need_them() {
    let stage = Stage::new();
    let proxied = nginx(&stage, "proxy_protocol", "");
    let other = stage.folder.file("other.pem", &Ca::named("Other CA").pem);
    let port = stage.nginx().port;
    let usual = format!("ssl verify required ca-file CA sni str({NAME})");
    let wrong = format!("ssl verify required ca-file {other} sni str({NAME})");
    let lacks_two = "ssl verify required ca-file CA send-proxy-v2 sni str(other.example.test)";
    for (port, options, line, new) in [
        (proxied.port, " --send-proxy", &*usual, "send-proxy\""),
        (port, "", &wrong, &stage.ca_file),
        (port, "", "", "ssl verify required ca-file"),
        (port, "", lacks_two, &format!("sni str({NAME}) check")),
    ] {
        let backend = format!(
            "backend be
    option external-check
    external-check command {BINARY}
    external-check path \"--sni {NAME} --ca-file CA{options}\"
    server s1 127.0.0.1:{port} {line} check inter 3s\n"
        );
        let config = config(&stage, &backend);
        let haproxy = running(&config, ("be", "s1"), "UP");
        let report = object(&["-f", &config, "be/s1"], 0);
        let server = &report["servers"][0];
        let text = server["diff"].to_string().replace("\\\"", "\"");
        assert!(text.contains(new), "{new}: {server:#}");
        assert_eq!(server["diff"].as_array().map(Vec::len), Some(1), "{text}");
        assert_eq!(server["diff_visitors"], 200, "{server:#}");
        drop(haproxy);
    }
}

#[test]
fn a_visitor_does_not_resume_the_session_of_the_check() {
    let stage = Stage::new();
    let backend = backend(
        stage.nginx().port,
        "",
        ("/", NAME),
        &format!("check check-sni {NAME}"),
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "UP");
    for _ in 0..4 {
        let report = object(&["-f", &config, "be/s1"], 0);
        let new = &report["servers"][0]["diff"][0]["new"];
        assert!(new.to_string().contains(" sni str("), "{report:#}");
    }
}

#[test]
fn visitors_ask_for_a_name_that_the_frontend_accepts() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&[NAME, "api.example.test"], 30);
    let server = Nginx::serve(|folder, port| {
        let page = "if ($ssl_server_name != $host) { return 421; }";
        site((folder, port), "", NAME, (&leaf, &[]), page)
    });
    let socket = stage.folder.join("fe.sock");
    let front = |name| {
        format!("frontend fe\n    bind {socket}\n    use_backend be if {{ hdr(host) -i {name} }}\n")
    };
    let end = "sni str(api.example.test) check check-sni api.example.test";
    let down = backend(server.port, "", ("/", NAME), end);
    let sni = format!("sni str({NAME}) check check-sni {NAME}");
    // If only the check's Host differs, visitors' connections stay as they are.
    let host = "hdr Host api.example.test";
    for (front, new, cause) in [
        (front(NAME), &*sni, "sni-wrong"),
        (front("api.example.test"), host, "host-not-of-visitors"),
        (String::new(), host, "host-not-of-visitors"),
    ] {
        let found = assert_changed(&stage, &format!("{front}{down}"), ("be", "s1"), new);
        assert_eq!(found["diff_visitors"], 200, "{found:#}");
        assert_eq!(found["causes"][0]["id"], cause, "{found:#}");
    }
}

#[test]
fn a_limit_that_only_diagnose_reaches_is_not_the_cause() {
    let stage = Stage::new();
    let server = Nginx::serve(|folder, port| {
        let limit = "limit_req zone=z; limit_req_status 429;";
        let site = site((folder, port), "", NAME, (&stage.leaf, &[]), limit);
        let zone = "limit_req_zone $server_port zone=z:1m rate=3r/s;\n";
        format!("{zone}{}{site}", refusal(port))
    });
    // nginx doesn't limit requests that `return` answers, so the check requests this page.
    let end = format!("sni str({NAME}) check inter 2s");
    let down = backend(server.port, "", ("/requests", NAME), &end);
    let found = assert_changed(&stage, &down, ("be", "s1"), &format!("check-sni {NAME}"));
    let text = found.to_string();
    assert!(!text.contains("asked-too-often"), "{text}");
    assert!(!text.contains("visitors-get-error"), "{text}");
}

#[test]
fn visitors_get_the_host_of_the_check_if_the_server_refuses_their_name() {
    let stage = Stage::new();
    let public = "www.public.test";
    let socket = stage.folder.join("fe.sock");
    let front = format!(
        "frontend fe\n    bind {socket}\n    use_backend be if {{ hdr(host) -i {public} }}\n"
    );
    let end = format!("sni req.hdr(host) check check-sni {NAME}");
    let leaf = stage.ca.leaf(&[public], 30);
    // This server has visitors' site, too, but only the check's site has the page.
    let both = Nginx::serve(|folder, port| {
        let page = "location /health { return 404; }";
        let site = |name, leaf, more| site((folder, port), "", name, (leaf, &[]), more);
        site(NAME, &stage.leaf, "") + &site(public, &leaf, page)
    });
    for (port, is_changed) in [(stage.nginx().port, true), (both.port, false)] {
        let backend = backend(port, "", ("/health", NAME), &end);
        let config = config(&stage, &format!("{front}{backend}"));
        let _haproxy = running(&config, ("be", "s1"), "UP");
        let report = object(&["-f", &config, "be/s1"], 0);
        let server = &report["servers"][0];
        let text = server["diff"].to_string();
        let line = format!("http-request set-header Host {NAME}");
        assert_eq!(text.contains(&line), is_changed, "{server:#}");
        assert!(
            !server.to_string().contains("traffic-needs-sni"),
            "{server:#}"
        );
        if is_changed {
            assert_eq!(server["diff_visitors"], 200, "{server:#}");
        }
    }
}

#[test]
fn visitors_that_fail_because_of_ciphers_do_not_need_the_name_of_the_check() {
    let stage = Stage::new();
    let server = nginx(&stage, "", "");
    let backend = format!(
        "backend be
    option external-check
    external-check command {BINARY}
    external-check path \"--sni {NAME} --ca-file CA\"
    server s1 127.0.0.1:{} ssl verify required ca-file CA no-tlsv13 ciphers ECDHE-RSA-AES128-GCM-SHA256 check\n",
        server.port
    );
    let config = config(&stage, &backend);
    let report = object(&["-f", &config, "be/s1"], 0);
    let server = &report["servers"][0];
    assert_eq!(server["visitors"], 503, "{server:#}");
    let causes = server["causes"].to_string();
    assert!(!causes.contains("traffic-needs-sni"), "{server:#}");
    let new = server["diff"][0]["new"].as_str().expect("a line");
    assert!(new.ends_with("no-tlsv13 check"), "{new}");
}
