//! `sni-check diagnose` for a haproxy.cfg with a setting that sni-check doesn't support. sni-check finds the
//! server healthy, but HAProxy can't use the server.

use std::fs;

use serde_json::{Value, json};

use crate::servers;
use crate::support::NAME;
use crate::support::check::{BINARY, run_by_hand, stdout};
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::nginx::{Nginx, site};
use crate::support::stage::Stage;

const TLS13: &str = "ssl_protocols TLSv1.3;";

/// Each row has the settings of nginx, of the `global` section, of the backend and of the server line, and
/// the check status that HAProxy shows.
const SETTINGS: [(&str, &str, &str, &str, &str); 11] = [
    (
        TLS13,
        "ssl-default-server-options ssl-max-ver TLSv1.2",
        "",
        "",
        "L6RSP",
    ),
    (
        TLS13,
        "ssl-default-server-options no-tlsv13 no-tls-tickets",
        "",
        "",
        "L6RSP",
    ),
    (TLS13, "", "", "force-tlsv12", "L6RSP"),
    (TLS13, "", "", "no-tlsv13", "L6RSP"),
    ("", "", "", "ssl-max-ver TLSv1.1", "L6RSP"),
    ("", "", "", "force-tlsv11", "L6RSP"),
    ("", "", "", "check-alpn h2 check-proto h2", "L6RSP"),
    (
        "ssl_protocols TLSv1.2;",
        "",
        "",
        "ciphers AES128-SHA",
        "L6RSP",
    ),
    (
        TLS13,
        "",
        "",
        "ciphersuites TLS_AES_128_CCM_SHA256",
        "L6RSP",
    ),
    ("", "", "", "proto h2", "SOCKERR"),
    ("", "", "http-request set-path /missing", "", "L7OK"),
];

fn diagnose(config: &str) -> Value {
    let output = run_by_hand(&["diagnose", "--json", "-f", config, "be/s1"]);
    serde_json::from_slice(&output.stdout).expect("an object")
}

#[test]
fn a_setting_that_only_haproxy_has_is_found_and_its_removal_helps() {
    let stage = Stage::new();
    for (of_nginx, global, rule, word, status) in SETTINGS {
        let nginx = Nginx::serve(|folder, port| {
            site((folder, port), "", NAME, (&stage.leaf, &[]), of_nginx)
        });
        let (ca, port) = (&stage.ca_file, nginx.port);
        let text = format!(
            "global
    {global}
    stats socket {socket} level user
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
backend be
    {rule}
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}
    server s1 127.0.0.1:{port} ssl verify required ca-file {ca} sni str({NAME}) {word} check check-sni {NAME} inter 500ms
",
            socket = stage.folder.join("admin.sock")
        );
        let config = stage.folder.file("haproxy.cfg", &text);
        let haproxy = Haproxy::start(Mode::Single, &config, &[]);
        assert_eq!(haproxy.wait_for_check("be", "s1").check_status, status);
        let report = diagnose(&config);
        let server = &report["servers"][0];
        let setting = [global, rule, word].concat();
        let what = server["diff_reason"].to_string();
        assert!(what.contains(&setting), "{report}");
        let diff = &server["diff"][0];
        let old = diff["old"].as_str().expect("a line");
        let new = diff["new"].as_str().unwrap_or_default();
        match global {
            "" => assert!(
                old.contains(&setting) && !new.contains(&setting),
                "{report}"
            ),
            // diagnose changes either the server line, or only one option of the line in the `global`
            // section.
            _ if old.contains("server s1") => assert!(new.contains("ssl-max-ver TLSv1.3")),
            _ => assert!(new.ends_with("options no-tls-tickets"), "{report}"),
        }
        fs::write(&config, text.replace(old, new)).expect("written");
        drop(haproxy);
        let haproxy = Haproxy::start(Mode::Single, &config, &[]);
        assert_eq!(haproxy.wait_for_check("be", "s1").check_status, "L7OK");
    }
}

/// Returns a backend with HAProxy's own check, and with these keywords on the server line.
fn checked(port: &str, words: &str) -> String {
    format!(
        "backend be
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}
    server s1 127.0.0.1:{port} TLS check check-sni {NAME} {words}
"
    )
}

#[test]
fn a_server_that_haproxy_cannot_use_is_reported_down_if_no_haproxy_runs() {
    let stage = Stage::new();
    for (word, down) in [("force-tlsv11", 1), ("", 0)] {
        let config = servers::config(&stage, &checked("PORT", word));
        let output = run_by_hand(&["diagnose", "--json", "-f", &config]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
        let is_up = output.status.code() == Some(0);
        assert_eq!(
            (&report["down"], is_up),
            (&down.into(), down == 0),
            "{report}"
        );
        if down > 0 {
            let server = &report["servers"][0];
            let new = server["diff"][0]["new"].as_str();
            assert!(new.is_some_and(|new| !new.contains(word)), "{report}");
            assert_eq!((&server["code"], &report["code"]), (&61.into(), &61.into()));
        }
    }
}

#[test]
fn a_server_that_only_haproxy_can_check_is_up() {
    let stage = Stage::new();
    let only_cbc =
        "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384;";
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), only_cbc));
    let config = servers::config(&stage, &checked(&nginx.port.to_string(), ""));
    let output = run_by_hand(&["diagnose", "--json", "-f", &config, "be/s1"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let server = &report["servers"][0];
    assert_eq!(server["state"], "UP", "{server}");
    assert_eq!(server["causes"], json!([]), "{server}");
    assert!(server["diff"].is_null(), "{server}");
    let why = server["why"].to_string();
    assert!(why.contains("HAProxy's own check is UP"), "{why}");
}

#[test]
fn headers_of_haproxys_own_check_do_not_matter_for_an_external_check() {
    let stage = Stage::new();
    let refuses = "if ($http_user_agent = '') { return 403; }";
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), refuses));
    let (ca, port, socket) = (&stage.ca_file, nginx.port, stage.folder.join("admin.sock"));
    let text = format!(
        "global
    external-check
    insecure-fork-wanted
    stats socket {socket} level user
defaults
    mode http
    timeout connect 3s
    timeout client 5s
    timeout server 5s
backend be
    option external-check
    external-check command {BINARY}
    external-check path \"--sni {NAME} --ca-file {ca} --uri index.html\"
    server s1 127.0.0.1:{port} ssl verify required ca-file {ca} sni str({NAME}) check inter 5s
"
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let report = diagnose(&config);
    let server = &report["servers"][0];
    assert_eq!(server["causes"], json!([]), "{server}");
    let [hunk] = server["diff"].as_array().expect("a diff").as_slice() else {
        panic!("{server}");
    };
    let new = hunk["new"].as_str().expect("a line");
    assert!(new.contains("--uri /index.html"), "{server}");
}

/// Writes a configuration with this line in `defaults`. `end` is the end of the server line. Returns the
/// path of the configuration.
fn config(stage: &Stage, line: &str, end: &str) -> String {
    let (ca, port) = (&stage.ca_file, stage.nginx().port);
    let text = format!(
        "defaults\n\tmode http\n\t{line}\n\ttimeout connect 5s\n\ttimeout server 5s\n\ttimeout client 5s\nbackend be
\toption httpchk
\thttp-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}
\tserver s1 127.0.0.1:{port} ssl verify required ca-file {ca} sni str({NAME}) check {end}\n"
    );
    stage.folder.file("haproxy.cfg", &text)
}

#[test]
fn diagnose_reports_a_configuration_that_haproxy_refuses() {
    let stage = Stage::new();
    let end = format!("check-sni {NAME}");
    let config = config(&stage, "optoin httplog", &end);
    for more in [&[][..], &["be/s1"]] {
        let output = run_by_hand(&[&["diagnose", "-f", &config], more].concat());
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let refusal = "HAProxy refuses this configuration";
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(refusal), "{text}");
    }
}

#[test]
fn a_diff_keeps_tabs() {
    let stage = Stage::new();
    let config = config(&stage, "option httplog", "");
    let output = run_by_hand(&["diagnose", "-f", &config, "be/s1"]);
    let text = stdout(&output);
    assert!(text.contains("\n+\tserver s1"), "{text}");
}
