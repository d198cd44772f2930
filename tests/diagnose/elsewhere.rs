//! `sni-check diagnose` for servers whose fix depends on other lines of haproxy.cfg: on a value of another
//! server, on a line that several servers share, or on another step of the check.

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::servers::{CHECK, apply, assert_changed, config, nginx, object, running};
use crate::support::check::{BINARY, run_by_hand, stdout};
use crate::support::haproxy::{Haproxy, versions};
use crate::support::nginx::{Nginx, refusal, site};
use crate::support::peer;
use crate::support::pki::Ca;
use crate::support::stage::Stage;
use crate::support::{NAME, Running, dead_port, wait_for};

#[test]
fn a_value_that_another_server_has_is_tried_before_the_operator_is_asked() {
    let stage = Stage::new();
    let other = stage.folder.file("other.pem", &Ca::new().pem);
    let tls = format!("ssl verify required ca-file {other} sni str({NAME}) check check-sni {NAME}");
    let backend = format!(
        "backend be\n{CHECK}    server s1 127.0.0.1:PORT {tls}\n    server s2 127.0.0.1:PORT TLS check check-sni {NAME}\n"
    );
    let new = format!("ca-file {}", stage.ca_file);
    let server = assert_changed(&stage, &backend, ("be", "s1"), &new);
    assert_eq!(server["causes"][0]["id"], "ca-file-wrong", "{server:#}");
    let what = server["causes"][0]["what"].to_string();
    assert!(what.contains("a CA in the ca-file of be/s2 ("), "{what}");
}

#[test]
fn a_change_that_breaks_another_server_is_withdrawn() {
    let stage = Stage::new();
    let moved = nginx(&stage, "", "return 302 https://login.example.test/;");
    let backend = format!(
        "backend be\n{CHECK}    http-check expect status 200
    server s1 127.0.0.1:{} TLS check check-sni {NAME}
    server s2 127.0.0.1:PORT TLS check check-sni {NAME}\n",
        moved.port
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "DOWN");
    let report = object(&["-f", &config], 71);
    assert!(report["servers"][0]["diff"].is_null(), "{report}");
    let reason = report["servers"][0]["diff_reason"].to_string();
    let expected = "HAProxy reports be/s2 UP with the present line, and DOWN with the change. be/s1 needs its own backend.";
    assert!(reason.contains(expected), "{reason}");
}

/// Starts an nginx that serves only this name, and answers requests with another Host with this status.
fn site_of(stage: &Stage, name: &str, status: u16) -> Nginx {
    let leaf = stage.ca.leaf(&[name], 30);
    let rule = format!("if ($http_host != {name}) {{ return {status}; }}");
    Nginx::serve(|folder, port| site((folder, port), "", name, (&leaf, &[]), &rule))
}

/// The checks of both servers are UP, but the Host of s2 is given to the visitors of s1, too.
#[test]
fn a_change_that_breaks_visitors_of_another_server_is_withdrawn() {
    let stage = Stage::new();
    let (one, two) = (site_of(&stage, OTHER, 421), site_of(&stage, NAME, 421));
    let backend = format!(
        "backend be\n    http-request set-header Host {NAME}
    default-server ssl verify required ca-file CA check
    server s1 127.0.0.1:{} sni str({OTHER}) check-sni {OTHER}
    server s2 127.0.0.1:{} sni str({NAME}) check-sni {NAME}\n",
        one.port, two.port
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "UP");
    let report = object(&["-f", &config, "be/s1"], 0);
    let server = &report["servers"][0];
    assert!(server["diff"].is_null(), "{server:#}");
    let reason = server["diff_reason"].to_string();
    assert!(reason.contains("its visitors are served"), "{reason}");
}

/// In this backend, s1 needs another Host, in the check and in visitors' requests. The lines with the Host
/// also apply to s2.
#[test]
fn a_removed_line_that_another_server_needs_is_not_printed() {
    let stage = Stage::new();
    let (one, two) = (site_of(&stage, OTHER, 404), site_of(&stage, NAME, 404));
    let backend = format!(
        "backend be\n{CHECK}    default-server ssl verify required ca-file CA check check-sni {NAME}
    server s1 127.0.0.1:{} sni str({OTHER})\n    server s2 127.0.0.1:{} sni str({NAME})
    http-request set-header Host {NAME}\n",
        one.port, two.port
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "DOWN");
    let report = object(&["-f", &config], 54);
    assert!(report["servers"][0]["diff"].is_null(), "{report:#}");
    let reason = report["servers"][0]["diff_reason"].to_string();
    assert!(reason.contains("be/s2 shares the changed line"), "{reason}");
}

#[test]
fn a_keyword_of_default_server_that_another_server_needs_is_switched_off_for_one_server() {
    let stage = Stage::new();
    let proxied = nginx(&stage, "proxy_protocol", "");
    let backend = format!(
        "backend be\n{CHECK}    default-server send-proxy
    server s1 127.0.0.1:PORT TLS check check-sni {NAME}
    server s2 127.0.0.1:{} TLS check check-sni {NAME}\n",
        proxied.port
    );
    assert_changed(&stage, &backend, ("be", "s1"), "no-send-proxy");
}

/// Returns a file with a client certificate that the stage's CA has signed.
fn client(stage: &Stage) -> String {
    let client = stage.ca.leaf_with(&["client"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    stage.folder.file("client.pem", &client.both_pem())
}

#[test]
fn a_client_certificate_of_another_server_is_tried_if_the_server_requires_one() {
    let stage = Stage::new();
    let (ca, crt) = (&stage.ca_file, client(&stage));
    for rule in [
        "ssl_verify_client on;",
        "ssl_verify_client optional; if ($ssl_client_verify != SUCCESS) { return 403; }",
        "ssl_verify_client optional; if ($ssl_client_verify != SUCCESS) { return 401; }",
    ] {
        let server = nginx(&stage, "", &format!("ssl_client_certificate {ca}; {rule}"));
        let (port, line) = (server.port, format!("TLS check check-sni {NAME}"));
        for (own, words) in [
            (CHECK.to_owned(), format!("crt {crt}")),
            (
                format!(
                    "    option external-check\n    external-check command {BINARY}\n    external-check path \"--sni {NAME} --ca-file CA\"\n"
                ),
                format!("--crt {crt}"),
            ),
        ] {
            let backends = format!(
                "backend be\n{own}    server s1 127.0.0.1:{port} {line}
backend other\n{CHECK}    server s2 127.0.0.1:{port} {line} crt {crt}\n"
            );
            let found = assert_changed(&stage, &backends, ("be", "s1"), &words);
            let cause = &found["causes"][0];
            assert_eq!(cause["id"], "client-certificate-elsewhere", "{found:#}");
            assert_eq!(found["diff_visitors"], 200, "{found:#}");
        }
    }
}

/// The name of a certificate in a `crt-store` isn't a path, and its key is in another file.
#[test]
fn a_client_certificate_of_a_crt_store_keeps_its_name_in_the_change() {
    let stage = Stage::new();
    let leaf = |ca: &Ca, name: &str| {
        let leaf = ca.leaf(&["client"], 30);
        stage.folder.file(&format!("{name}.crt"), &leaf.crt_pem);
        stage.folder.file(&format!("{name}.key"), &leaf.key_pem);
    };
    leaf(&Ca::new(), "old");
    leaf(&stage.ca, "new");
    let (ca, folder) = (&stage.ca_file, stage.folder.join(""));
    let rule = format!("ssl_client_certificate {ca}; ssl_verify_client on;");
    let server = nginx(&stage, "", &rule);
    let line = format!("127.0.0.1:{} TLS check check-sni {NAME} crt", server.port);
    let backends = format!(
        "crt-store lb
    crt-base {folder}
    key-base {folder}
    load crt old.crt key old.key alias old
    load crt new.crt key new.key
backend be\n{CHECK}    server s1 {line} @lb/old\nbackend other\n{CHECK}    server s1 {line} @lb/new.crt\n"
    );
    let config = config(&stage, &backends);
    let versions = versions().into_iter();
    for version in versions.filter(|version| version.is_since("3.0")) {
        let program = version.program.to_string_lossy().into_owned();
        let report = object(&["--haproxy", &program, "-f", &config, "be/s1"], 71);
        let found = &report["servers"][0];
        let diff = found["diff"].to_string();
        assert!(diff.contains("crt @lb/new.crt"), "{found:#}");
        assert_eq!(found["diff_visitors"], 200, "{found:#}");
    }
}

/// HAProxy reads the key from `FILE.key` if FILE has no key.
#[test]
fn the_key_of_a_client_certificate_may_be_in_a_file_of_its_own() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&["client"], 30);
    let crt = stage.folder.file("client.crt", &leaf.crt_pem);
    stage.folder.file("client.crt.key", &leaf.key_pem);
    let rule = format!(
        "ssl_client_certificate {}; ssl_verify_client on;",
        stage.ca_file
    );
    let server = nginx(&stage, "", &rule);
    let line = format!("127.0.0.1:{} TLS check check-sni wrong.test", server.port);
    let backend = format!("backend be\n{CHECK}    server s1 {line} crt {crt}\n");
    let new = format!("check check-sni {NAME} crt {crt}");
    assert_changed(&stage, &backend, ("be", "s1"), &new);
}

/// Nothing listens at the check's own port, so the second fault shows only at visitors' port.
#[test]
fn a_second_fault_at_the_port_of_visitors_is_fixed_together_with_the_port() {
    let stage = Stage::new();
    let dead = dead_port();
    let external = |options: &str| {
        format!(
            "    option external-check\n    external-check command {BINARY}\n    external-check path \
             \"--ca-file CA {options} --port {dead}\"\n    server s1 127.0.0.1:PORT TLS check"
        )
    };
    let send = CHECK.replace("meth GET uri /", "meth GET uri /missing");
    for (backend, new) in [
        (external(&format!("--sni {NAME} --uri /missing")), "--uri /"),
        (external("--sni wrong.test"), "--sni www.example.test"),
        (
            send.replace(
                "    http-check send",
                &format!("    http-check connect ssl sni {NAME} port {dead}\n    http-check send"),
            ) + "    server s1 127.0.0.1:PORT TLS check",
            "meth GET uri / ver",
        ),
        (
            format!("{send}    server s1 127.0.0.1:PORT TLS check-sni {NAME} port {dead} check"),
            "meth GET uri / ver",
        ),
    ] {
        let backend = format!("backend be\n{backend}\n");
        let found = assert_changed(&stage, &backend, ("be", "s1"), new);
        assert_eq!(found["diff_visitors"], 200, "{found:#}");
        let diff = found["diff"].as_array().expect("a diff").iter();
        let mut new = diff.filter_map(|hunk| hunk["new"].as_str());
        assert!(
            new.all(|new| !new.contains(" port ") && !new.contains("--port")),
            "{found:#}"
        );
    }
}

#[test]
fn revocation_lists_of_another_server_are_tried() {
    let stage = Stage::new();
    let wrong = stage.folder.file("wrong.crl", &Ca::new().crl(&[], 30));
    let right = stage.folder.file("right.crl", &stage.ca.crl(&[], 30));
    let line = |file: &str| format!("127.0.0.1:PORT TLS check check-sni {NAME} crl-file {file}");
    let (one, other) = (line(&wrong), line(&right));
    let backend = format!("backend be\n{CHECK}    server s1 {one}\n    server s2 {other}\n");
    let found = assert_changed(&stage, &backend, ("be", "s1"), &format!("crl-file {right}"));
    assert_eq!(found["causes"][0]["id"], "crl-file-wrong", "{found:#}");
}

#[test]
fn a_name_of_another_server_in_the_backend_is_tried() {
    let stage = Stage::new();
    let ca = &stage.ca_file;
    let backend = format!(
        "backend be\n{CHECK}    server s1 127.0.0.1:PORT ssl verify required ca-file {ca} sni str(old.test) check check-sni old.test
    server s2 127.0.0.1:PORT TLS check check-sni {NAME}\n"
    );
    let new = format!("sni str({NAME}) check check-sni {NAME}");
    assert_changed(&stage, &backend, ("be", "s1"), &new);
}

/// Starts an nginx that serves only `other.example.test`.
fn other_site(stage: &Stage) -> Nginx {
    let leaf = stage.ca.leaf(&[OTHER], 30);
    Nginx::serve(|folder, port| refusal(port) + &site((folder, port), "", OTHER, (&leaf, &[]), ""))
}

/// Each of the two servers serves only its own name, and the check has one Host for both.
#[test]
fn no_new_backend_is_printed_that_lacks_a_secret_of_the_check() {
    let stage = Stage::new();
    let [first, second] = [NAME, OTHER].map(|name| {
        let leaf = stage.ca.leaf(&[name], 30);
        let rule = format!("if ($http_host != {name}) {{ return 404; }}");
        Nginx::serve(|folder, port| site((folder, port), "", name, (&leaf, &[]), &rule))
    });
    let check = CHECK.replace("hdr Host", "hdr X-Api-Key k1 hdr Host");
    let backend = format!(
        "backend be\n{check}    server s1 127.0.0.1:{} TLS check check-sni {NAME}
    server s2 127.0.0.1:{} ssl verify required ca-file CA sni str({OTHER}) check check-sni {OTHER}\n",
        first.port, second.port
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s2"), "DOWN");
    let text = stdout(&run_by_hand(&["diagnose", "-f", &config]));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("needs its own backend"), "{text}");
    assert!(!text.contains("A backend that works"), "{text}");
}

/// Waits until HAProxy reports this server DOWN.
fn wait_until_down(haproxy: &Haproxy, server: &str) {
    wait_for("the server to be DOWN", || {
        let found = haproxy.server("be", server)?;
        (found.status == "DOWN").then_some(())
    });
}

const OTHER: &str = "other.example.test";

#[test]
fn servers_that_share_a_connect_rule_get_their_own_names() {
    for rules in [
        "option tcp-check\n    tcp-check connect ssl sni old.test",
        "option httpchk\n    http-check connect ssl\n    http-check send meth GET uri /",
    ] {
        let stage = Stage::new();
        let (site, ca) = (other_site(&stage), &stage.ca_file);
        let other = site.port;
        let backend = format!(
            "backend be\n    {rules}\n    server s1 127.0.0.1:PORT TLS check
    server s2 127.0.0.1:{other} ssl verify required ca-file {ca} sni str({OTHER}) check\n"
        );
        let config = config(&stage, &backend);
        let haproxy = running(&config, ("be", "s1"), "DOWN");
        wait_until_down(&haproxy, "s2");
        let report = object(&["-f", &config], 65);
        drop(haproxy);
        apply(&config, report["servers"].as_array().expect("servers"));
        drop(running(&config, ("be", "s1"), "UP"));
        running(&config, ("be", "s2"), "UP");
    }
}

#[test]
fn a_line_in_which_two_servers_need_different_values_is_not_changed() {
    let stage = Stage::new();
    let (site, ca) = (other_site(&stage), &stage.ca_file);
    let other = site.port;
    let backend = format!(
        "backend be\n    option external-check\n    external-check command {BINARY}
    external-check path \"--sni old.test --ca-file CA\"\n    server s1 127.0.0.1:PORT TLS check inter 3s
    server s2 127.0.0.1:{other} ssl verify required ca-file {ca} sni str({OTHER}) check inter 3s\n"
    );
    let config = config(&stage, &backend);
    let haproxy = running(&config, ("be", "s1"), "DOWN");
    wait_until_down(&haproxy, "s2");
    let report = object(&["-f", &config], 65);
    for (at, other) in [(0, "be/s2"), (1, "be/s1")] {
        let server = &report["servers"][at];
        assert!(server["diff"].is_null(), "{server:#}");
        let reason = server["diff_reason"].to_string();
        let expected = format!("{other} shares the changed line, and is DOWN, too.");
        assert!(reason.contains(&expected), "{reason}");
    }
}

#[test]
fn only_the_failing_step_of_a_check_is_changed() {
    let step = |connect: &str, uri: &str| {
        format!(
            "    http-check connect {connect}\n    http-check send meth GET uri {uri} ver HTTP/1.1 hdr Host {NAME}\n    http-check expect status 200\n"
        )
    };
    let good = step(&format!("ssl sni {NAME}"), "/");
    let plain = "    http-check connect port PLAIN\n    http-check send meth GET uri /\n    http-check expect status 200\n";
    for (first, second, new) in [
        (
            &good,
            step("ssl sni old.test", "/"),
            format!("connect ssl sni {NAME}"),
        ),
        (
            &step("ssl sni old.test", "/"),
            good.clone(),
            format!("connect ssl sni {NAME}"),
        ),
        (
            &good,
            step(&format!("ssl sni {NAME}"), "/missing"),
            "uri / ver".to_owned(),
        ),
        (
            &plain.to_owned(),
            step("ssl", "/"),
            format!("connect ssl sni {NAME}"),
        ),
    ] {
        let stage = Stage::new();
        let port = peer::tcp(|mut stream| _ = stream.write_all(peer::OK.as_bytes()));
        let rules = (first.clone() + &second).replace("PLAIN", &port.to_string());
        let backend = format!(
            "backend be\n    option httpchk\n{rules}    server s1 127.0.0.1:PORT TLS check\n"
        );
        let found = assert_changed(&stage, &backend, ("be", "s1"), &new);
        assert_eq!(found["diff"].as_array().map(Vec::len), Some(1), "{found:#}");
    }
}

#[test]
fn without_statistics_haproxys_answer_about_the_present_lines_decides() {
    let stage = Stage::new();
    let rule = format!("http-check connect ssl sni {NAME} alpn h2");
    let check = CHECK.replace("httpchk\n", &format!("httpchk\n    {rule}\n"));
    let backend = format!("backend be\n{check}    server s1 127.0.0.1:PORT TLS check\n");
    let config = config(&stage, &backend);
    let report = object(&["-f", &config, "be/s1"], 61);
    let server = &report["servers"][0];
    assert_eq!(server["state"], "DOWN", "{server:#}");
    assert_eq!(server["diff_visitors"], 200, "{server:#}");
}

/// Starts serve, and returns the path of its socket.
fn serving(stage: &Stage) -> (Running, String) {
    let socket = stage.folder.join("serve.sock");
    let mut serve = Command::new(BINARY);
    serve.args(["serve", "--listen", &format!("unix:{socket}")]);
    serve.args(["--files", &stage.folder.join("")]);
    let serve = Running(serve.spawn().expect("serve runs"));
    wait_for("serve to listen", || std::fs::metadata(&socket).ok());
    (serve, socket)
}

/// Returns a backend whose check asks serve. `options` are the options of the check, and `lines` are
/// additional lines of the backend.
fn served(socket: &str, options: &str, lines: &str) -> String {
    format!(
        "backend be\n    option httpchk\n    http-check connect addr unix@{socket}\n    http-check send-state
    http-check send meth GET uri / hdr X-Check-Options \"{options} --ca-file CA\"
    http-check expect hdr name X-Check-Code value 0\n{lines}    server s1 127.0.0.1:PORT TLS check inter 3s\n"
    )
}

#[test]
fn a_missing_name_in_the_request_to_serve_does_not_hide_a_second_fault() {
    let stage = Stage::new();
    let (_serve, socket) = serving(&stage);
    let backend = served(&socket, "--send-proxy", "");
    let found = assert_changed(&stage, &backend, ("be", "s1"), &format!("--sni {NAME}"));
    let new = found["diff"][0]["new"].as_str().expect("a line");
    assert!(!new.contains("--send-proxy"), "{new}");
    let text = stdout(&run_by_hand(&["diagnose", "-f", &config(&stage, &backend)]));
    assert!(text.contains(&format!("add --sni {NAME} to")), "{text}");
}

#[test]
fn timeout_check_is_raised_if_serve_needs_more_time() {
    let stage = Stage::new();
    let (_serve, socket) = serving(&stage);
    let port = peer::tls_with_head(&stage.leaf, &[], |_, stream| {
        thread::sleep(Duration::from_millis(800));
        _ = stream.write_all(peer::OK.as_bytes());
    });
    let options = format!("--sni {NAME} --timeout 2s");
    let limit = "    timeout check 300ms\n";
    let backend = served(&socket, &options, limit).replace("PORT", &port.to_string());
    let new = "timeout check 2200ms";
    let found = assert_changed(&stage, &backend, ("be", "s1"), new);
    let reason = found["diff_reason"].as_str().expect("a reason");
    assert!(reason.contains("HAProxy waits only 300 ms"), "{reason}");
}

#[test]
fn a_missing_send_state_is_named_and_added() {
    let stage = Stage::new();
    let (_serve, socket) = serving(&stage);
    for name in [NAME, "wwww.example.test"] {
        let backend = format!(
            "backend be\n    option httpchk\n    http-check connect addr unix@{socket}
    http-check send meth GET uri / hdr X-Check-Options \"--sni {name} --ca-file CA\"
    http-check expect hdr name X-Check-Code value 0\n    server s1 127.0.0.1:PORT TLS check inter 3s\n"
        );
        let found = assert_changed(&stage, &backend, ("be", "s1"), "http-check send-state");
        assert_eq!(found["diff_visitors"], 200, "{found:#}");
        let config = config(&stage, &backend);
        let text = stdout(&run_by_hand(&["diagnose", "-f", &config]));
        assert!(text.contains(" serve-state ("), "{text}");
    }
}

#[test]
fn mistakes_in_the_request_to_serve_are_found_by_trials() {
    let stage = Stage::new();
    let (_serve, socket) = serving(&stage);
    let right = served(&socket, &format!("--sni {NAME}"), "");
    for (old, wrong, reason) in [
        (
            "connect addr",
            "connect ssl addr",
            "speaks no TLS on its socket",
        ),
        (
            "X-Check-Options",
            "X-Check-Option",
            "from the header X-Check-Options",
        ),
    ] {
        let backend = right.replace(old, wrong);
        let found = assert_changed(&stage, &backend, ("be", "s1"), old);
        let what = found["diff_reason"].to_string();
        assert!(what.contains(reason), "{found:#}");
        assert_eq!(found["diff_visitors"], 200, "{found:#}");
    }
}

#[test]
fn an_external_check_without_options_gets_sni_and_ca_file() {
    let stage = Stage::new();
    let backend = format!(
        "backend be\n    option external-check\n    external-check command {BINARY}
    server s1 127.0.0.1:PORT TLS check inter 3s\n"
    );
    let new = format!("external-check path \"--sni {NAME} --ca-file ");
    assert_changed(&stage, &backend, ("be", "s1"), &new);
}

#[test]
fn a_max_head_that_is_too_low_is_removed() {
    let stage = Stage::new();
    let long = format!("add_header X-Long {};", "x".repeat(2000));
    let server = nginx(&stage, "", &long);
    let backend = format!(
        "backend be\n    option external-check\n    external-check command {BINARY}
    external-check path \"--sni {NAME} --ca-file CA --max-head 1k\"
    server s1 127.0.0.1:{} TLS check inter 3s\n",
        server.port
    );
    let found = assert_changed(&stage, &backend, ("be", "s1"), "external-check path");
    assert_eq!(found["causes"][0]["id"], "max-head-too-low", "{found:#}");
    let new = found["diff"][0]["new"].as_str().expect("a line");
    assert!(!new.contains("--max-head"), "{new}");
}

#[test]
fn the_report_says_what_remains_after_the_changes_that_help() {
    let stage = Stage::new();
    let backend = format!(
        "backend be\n{CHECK}    http-check expect status 204\n    server s1 127.0.0.1:PORT TLS check send-proxy\n"
    );
    let config = config(&stage, &backend);
    let report = object(&["-f", &config, "be/s1"], 63);
    let server = &report["servers"][0];
    let ids: Vec<_> = (0..3).map(|at| &server["causes"][at]["id"]).collect();
    let expected = [
        "proxy-header-unwanted",
        "sni-missing",
        "status-not-expected",
    ];
    assert_eq!(ids, expected, "{server:#}");
    assert_eq!(server["remains"], "status 200, expected status 204");
}
