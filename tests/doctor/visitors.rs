//! What doctor learns from the frontends about the visitors of a backend.

use crate::configuration::{finding, json};
use crate::own::{Row, defaults, foretells};
use crate::support::NAME;
use crate::support::nginx::Nginx;
use crate::support::stage::Stage;
use crate::support::{dead_port, free_port};

/// Each row has the lines of a backend, the lines of its frontend, doctor's findings, and the status that
/// HAProxy shows.
const ROWS: [(&str, &str, &[&str], &str); 15] = [
    (
        TCP_TLS,
        "mode tcp\n bind 127.0.0.1:FREE\n tcp-request inspect-delay 5s\n \
         tcp-request content accept if { req.ssl_hello_type 1 }\n use_backend BACKEND if { req.ssl_sni other.test }",
        &["traffic-other-sni"],
        "L6OK",
    ),
    (
        "server s 127.0.0.1:TLS ssl verify none sni ssl_fc_sni check-sni NAME",
        "bind 127.0.0.1:FREE ssl crt FRONT\n bind 127.0.0.2:FREE\n default_backend BACKEND",
        &["sni-header"],
        "L6OK",
    ),
    (
        HOST,
        "use_backend BACKEND if { hdr(host) -i other.test }",
        &["check-other-host"],
        "L7OK",
    ),
    (
        HOST,
        "acl site hdr(host) -i a.test NAME\n use_backend BACKEND if site",
        &[],
        "L7OK",
    ),
    (
        HOST,
        "use_backend BACKEND if { hdr(host) a.test }\n default_backend BACKEND",
        &[],
        "L7OK",
    ),
    (
        HOST,
        "http-request set-header Host a.test\n default_backend BACKEND",
        &["check-other-host"],
        "L7OK",
    ),
    (
        "server s 127.0.0.1:TLS ssl verify none sni req.hdr(host) check-sni NAME",
        "use_backend BACKEND if { req.hdr(host) -i other.test }",
        &["traffic-other-sni"],
        "L6OK",
    ),
    (
        "server s 127.0.0.1:TLS ssl verify none sni req.hdr(host) check-sni NAME",
        "use_backend BACKEND if { req.hdr(host) -i NAME }",
        &[],
        "L6OK",
    ),
    // In `mode tcp`, HAProxy ignores the `http-request` rule that sets the variable.
    (
        "mode tcp\n http-request set-var(txn.a) str(NAME)\n \
         server s 127.0.0.1:TLS ssl verify none sni var(txn.a) check-sni NAME",
        DECRYPTS,
        &["traffic-without-sni"],
        "L6OK",
    ),
    (TCP_TLS, DECRYPTS, &["traffic-without-tls"], "L6OK"),
    (TCP_TLS, PASSES, &[], "L6OK"),
    // The server line has `ssl`, so this isn't a database with a health service on another port.
    (
        "mode tcp\n option httpchk GET /\n server s 127.0.0.1:TLS ssl verify none sni str(NAME) port PLAIN",
        DECRYPTS,
        &["check-other-port"],
        "L7OK",
    ),
    (TCP_PLAIN, DECRYPTS, &[], "L7OK"),
    (TCP_PLAIN, PASSES, &["check-without-tls"], "L7OK"),
    (
        "mode tcp\n option httpchk\n http-check send hdr Host NAME\n server s 127.0.0.1:TLS",
        PASSES,
        &["check-without-tls"],
        "L7STS",
    ),
];

const HOST: &str =
    "option httpchk GET /\n http-check send ver HTTP/1.1 hdr Host NAME\n server s 127.0.0.1:PLAIN";
const TCP_TLS: &str = "mode tcp\n server s 127.0.0.1:TLS check-ssl check-sni NAME verify none";
const TCP_PLAIN: &str = "mode tcp\n option httpchk GET /\n server s 127.0.0.1:PLAIN";
const DECRYPTS: &str = "mode tcp\n bind 127.0.0.1:FREE ssl crt FRONT\n default_backend BACKEND";
const PASSES: &str = "mode tcp\n bind 127.0.0.1:FREE\n tcp-request inspect-delay 5s\n \
                      tcp-request content accept if { req.ssl_hello_type 1 }\n default_backend BACKEND";

fn filled(text: &str, stage: &Stage, ports: (u16, u16)) -> String {
    let front = stage
        .folder
        .file("front.pem", &stage.ca.leaf(&[NAME], 30).both_pem());
    text.replace("PLAIN", &ports.0.to_string())
        .replace("TLS", &ports.1.to_string())
        .replace("FRONT", &front)
        .replace("NAME", NAME)
}

#[test]
fn frontends_say_what_visitors_of_a_backend_send() {
    let stage = Stage::new();
    let plain =
        Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; return 200; }}"));
    let ports = (plain.port, stage.nginx().port);
    let rows = |_| {
        let row =
            |(index, (backend, front, ids, status)): (usize, &(&str, &str, _, &'static str))| {
                let front = front.replace("BACKEND", &format!("b{index}"));
                let front = front.replace("FREE", &free_port().to_string());
                let bind = format!("bind 127.0.0.1:{}", free_port());
                let bind = if front.contains("bind") { "" } else { &bind };
                let text = format!("{backend}\nfrontend f{index}\n {bind}\n {front}");
                (&*text.leak(), *ids, &*vec![*status].leak()) as Row<'static>
            };
        ROWS.iter().enumerate().map(row).collect()
    };
    foretells(&stage, &defaults(""), rows, &|text| {
        filled(text, &stage, ports)
    });
}

/// In `mode tcp`, doctor visits a server whose visitors speak plain HTTP, as its check does. If the check's
/// port is dead, visitors' port may still work.
#[test]
fn a_run_visits_servers_in_mode_tcp() {
    let stage = Stage::new();
    let plain =
        Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; return 200; }}"));
    let ports = (plain.port, stage.nginx().port);
    let run = |backend: &str| {
        let front = DECRYPTS.replace("FREE", &free_port().to_string());
        let text = format!(
            "{}frontend f\n {front}\nbackend b\n {backend}\n",
            defaults("")
        );
        let text = filled(&text.replace("BACKEND", "b"), &stage, ports);
        json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]).0
    };
    let report = run(&TCP_PLAIN.replace("GET /", "GET / HTTP/1.0"));
    assert_eq!(
        report["runs"]["checks"][0]["visitor"]["status"], 200,
        "{report}"
    );
    let report = run(&format!("{TCP_PLAIN} port {}", dead_port()));
    let seen = finding(&report, "seen");
    assert_eq!(seen["effect"], "down", "{report}");
    assert!(
        seen["shows"]
            .as_str()
            .expect("text")
            .starts_with("DOWN with L4CON"),
        "{report}"
    );
}

/// Returns doctor's report after a run, for a backend that checks this nginx.
pub fn after_run(stage: &Stage, server: &str, check: &str, end: &str) -> serde_json::Value {
    let nginx = Nginx::serve(|_, port| server.replace("PORT", &port.to_string()));
    let line = format!("server s 127.0.0.1:{} {end}", nginx.port);
    let text = format!(
        "{}frontend f\n bind 127.0.0.1:{}\n default_backend b\nbackend b\n {check}\n {line}\n",
        defaults(""),
        free_port()
    );
    json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]).0
}

#[test]
fn a_run_sends_the_fields_of_a_browser() {
    let stage = Stage::new();
    let server = "server { listen 127.0.0.1:PORT; if ($http_user_agent = \"\") { return 444; } return 200; }";
    let check = "option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host a.test hdr User-Agent x";
    let report = after_run(&stage, server, check, "check");
    let visitor = &report["runs"]["checks"][0]["visitor"];
    assert_eq!(visitor["status"], 200, "{report:#}");
    assert_eq!(report["findings"], serde_json::json!([]), "{report:#}");
}

#[test]
fn a_missing_page_with_disable_on_404_is_no_problem() {
    let stage = Stage::new();
    let server = "server { listen 127.0.0.1:PORT; location /missing { return 404; } location / { return 200; } }";
    let check = "option httpchk\n http-check disable-on-404\n \
                 http-check send meth GET uri /missing ver HTTP/1.1 hdr Host a.test";
    let report = after_run(&stage, server, check, "check");
    assert_eq!(finding(&report, "seen")["mark"], "note", "{report:#}");
}

#[test]
fn the_port_of_a_check_is_no_difference_if_the_server_line_has_no_port() {
    let stage = Stage::new();
    for server in ["127.0.0.1", "127.0.0.1:+1"] {
        let text = format!(
            "{}frontend f\n bind 127.0.0.1:{}\n default_backend b\nbackend b\n option httpchk GET /\n \
             server s {server} check port {}\n",
            defaults(""),
            free_port(),
            free_port()
        );
        let (report, _) = json(&["-f", &stage.folder.file("haproxy.cfg", &text)]);
        let text = report["findings"].to_string();
        assert!(!text.contains("check-other-port"), "{server}: {text}");
    }
}
