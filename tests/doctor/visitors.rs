//! What doctor learns from the frontends about the visitors of a backend.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::configuration::{finding, found, json};
use crate::own::{Row, defaults, foretells};
use crate::support::NAME;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::nginx::{Nginx, site};
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
fn doctor_learns_from_frontends_what_visitors_of_a_backend_send() {
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

/// In `mode tcp`, doctor visits a server if its visitors and its check both speak plain HTTP. If the port
/// of the check is dead, the port of visitors may still work.
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
fn a_run_sends_the_headers_of_a_browser() {
    let stage = Stage::new();
    let server = "server { listen 127.0.0.1:PORT; if ($http_user_agent = \"\") { return 444; } return 200; }";
    let check = "option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host a.test hdr User-Agent x";
    let report = after_run(&stage, server, check, "check");
    let visitor = &report["runs"]["checks"][0]["visitor"];
    assert_eq!(visitor["status"], 200, "{report:#}");
    assert_eq!(report["findings"], serde_json::json!([]), "{report:#}");
}

#[test]
fn a_missing_page_with_disable_on_404_is_only_a_note() {
    let stage = Stage::new();
    let server = "server { listen 127.0.0.1:PORT; location /missing { return 404; } location / { return 200; } }";
    let check = "option httpchk\n http-check disable-on-404\n \
                 http-check send meth GET uri /missing ver HTTP/1.1 hdr Host a.test";
    let report = after_run(&stage, server, check, "check");
    assert_eq!(finding(&report, "seen")["mark"], "note", "{report:#}");
}

/// A server without TLS. It serves the site a.test, and answers 421 to every other Host.
const TWO_SITES: &str = "server { listen 127.0.0.1:PORT default_server; return 421; } \
                         server { listen 127.0.0.1:PORT; server_name a.test; return 200; }";

/// doctor doesn't know the name of the site, so its own request proves nothing.
#[test]
fn a_plain_check_without_host_may_fail_although_visitors_are_served() {
    let stage = Stage::new();
    let report = after_run(&stage, TWO_SITES, "option httpchk GET /", "check");
    let found = finding(&report, "check-without-host");
    assert_eq!(
        (&found["mark"], &found["effect"]),
        (&"note".into(), &"down-or-up".into())
    );
    let run = &report["runs"]["checks"][0];
    assert_eq!(
        (&run["check_status"], &run["check_code"]),
        (&"L7STS".into(), &421.into())
    );
    assert!(run["visitor"].is_null(), "{report:#}");
    // A run refutes the note if the server serves a visitor whose Host doctor knows.
    let server = "server { listen 127.0.0.1:PORT; return 200; }";
    let check = "http-request set-header Host a.test\n option httpchk GET /";
    let report = after_run(&stage, server, check, "check");
    assert_eq!(report["findings"], serde_json::json!([]), "{report:#}");
}

/// HAProxy applies the frontend's `http-request` rules before `use_backend`.
#[test]
fn no_visitor_reaches_a_backend_whose_host_the_frontend_changes() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|_, port| TWO_SITES.replace("PORT", &port.to_string()));
    for (front, visitors, is_lost) in [
        (
            "http-request set-header Host b.test\n use_backend b if { hdr(host) a.test }",
            503,
            true,
        ),
        (
            "http-request set-header Host a.test\n use_backend b if { hdr(host) a.test }",
            200,
            false,
        ),
        (
            "http-request set-header Host b.test unless { hdr(host) -i b.test c.test }\n \
             use_backend b if { hdr(host) a.test }",
            503,
            true,
        ),
        (
            "acl old hdr(host) -i a.test\n http-request set-header Host b.test if old\n \
             use_backend b if { hdr(host) -i a.test }",
            503,
            true,
        ),
        (
            "http-request set-header Host b.test if { hdr(host) a.test } { path_beg /api }\n \
             use_backend b if { hdr(host) a.test }",
            200,
            false,
        ),
        ("use_backend b if { hdr(host) a.test }", 200, false),
    ] {
        let port = free_port();
        let text = format!(
            "{}frontend f\n bind 127.0.0.1:{port}\n {front}\nbackend b\n option httpchk\n \
             http-check send meth GET uri / ver HTTP/1.1 hdr Host a.test\n server s 127.0.0.1:{}\n",
            defaults(""),
            nginx.port
        );
        let config = stage.folder.file("haproxy.cfg", &text);
        let (report, code) = json(&["-f", &config, "--run"]);
        let ids: Vec<String> = found(&report).into_iter().map(|(id, _)| id).collect();
        assert_eq!(
            ids.contains(&"lost-visitors".to_owned()),
            is_lost,
            "{front}: {report:#}"
        );
        assert_eq!(code, 0, "{front}: {report:#}");
        let visitor = &report["runs"]["checks"][0]["visitor"];
        assert_eq!(visitor.is_null(), is_lost, "{front}: {report:#}");
        let haproxy = Haproxy::start(Mode::Single, &config, &[]);
        assert_eq!(haproxy.wait_for_check("b", "s").check_status, "L7OK");
        let status = status_of(port, "a.test");
        assert_eq!(status, visitors, "{front}");
    }
}

/// In `mode tcp`, doctor doesn't know what visitors send, but it can connect as they do.
#[test]
fn a_closed_port_of_visitors_is_a_problem_even_in_mode_tcp() {
    let stage = Stage::new();
    let nginx =
        Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; return 200; }}"));
    let (open, other) = (
        nginx.port,
        Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; return 200; }}")),
    );
    let own = format!("option httpchk GET /\n default-server port {}", other.port);
    let program = "option external-check\n external-check command /bin/true";
    for (check, port, expected) in [
        (own.as_str(), dead_port(), Some("check-other-port")),
        (own.as_str(), open, None),
        (program, dead_port(), Some("seen")),
        (program, open, None),
    ] {
        let text = format!(
            "global\n external-check\n insecure-fork-wanted\n{}backend b\n mode tcp\n {check}\n \
             server s 127.0.0.1:{port} check\n",
            defaults("")
        );
        let config = stage.folder.file("haproxy.cfg", &text);
        let (report, _) = json(&["-f", &config, "--run"]);
        let found = report["findings"].as_array().expect("findings");
        let certain = found
            .iter()
            .find(|found| found["effect"] == "up" && found["mark"] == "problem");
        let id = certain.map(|found| found["id"].as_str().expect("an id"));
        assert_eq!(id, expected, "{check}: {report:#}");
        let visitor = &report["runs"]["checks"][0]["visitor"];
        assert_eq!(visitor.is_null(), expected.is_none(), "{report:#}");
        if let Some(certain) = certain {
            let shows = certain["shows"].as_str().expect("a text");
            let connection = format!("a visitor's connection to 127.0.0.1:{port} fails");
            assert!(shows.contains(&connection), "{shows}");
        }
    }
}

/// Returns the status that a visitor with this Host gets from the listener on this port.
fn status_of(port: u16, host: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let request = format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("the request is sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    let status = response.split(' ').nth(1).expect("a status");
    status.parse().expect("a number")
}

/// doctor's request for visitors has the name in traffic's `sni`, and not a name that only the check has.
#[test]
fn doctors_request_for_visitors_does_not_repeat_the_mistake_of_the_check() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&[NAME, "other.example.test"], 30);
    let nginx = Nginx::serve(|folder, port| {
        let others = "return 421;";
        site(
            (folder, port),
            "default_server",
            "other.example.test",
            (&leaf, &[]),
            others,
        ) + &site((folder, port), "", NAME, (&leaf, &[]), "")
    });
    let (name, other) = (NAME, "other.example.test");
    let fixed = format!("sni str({NAME}) check-sni");
    for (server, host, visitor) in [
        (format!("{fixed} {other}"), other, Some(name)),
        (format!("{fixed} {NAME}"), other, Some(name)),
        (format!("{fixed} {NAME}"), "localhost", Some(name)),
        (format!("{fixed} {NAME}"), "127.0.0.1", Some(name)),
        // The check's Host is the site's name, although it differs from the SNI name.
        (
            format!("sni str({other}) check-sni {other}"),
            NAME,
            Some(name),
        ),
        // Only the check has a name.
        (format!("sni req.hdr(host) check-sni {other}"), other, None),
    ] {
        let text = format!(
            "{}frontend f\n bind 127.0.0.1:{}\n default_backend b\nbackend b\n option httpchk\n \
             http-check send meth GET uri / ver HTTP/1.1 hdr Host {host}\n \
             server s 127.0.0.1:{} ssl verify required ca-file {}/ca.pem {server}\n",
            defaults(""),
            free_port(),
            nginx.port,
            stage.chroot()
        );
        let (report, code) = json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]);
        let run = &report["runs"]["checks"][0];
        let Some(visitor) = visitor else {
            assert!(run["visitor"].is_null(), "{server}: {report:#}");
            assert_eq!(finding(&report, "seen")["mark"], "note", "{report:#}");
            continue;
        };
        let request = format!("GET / with Host {visitor}");
        assert_eq!(run["visitor"]["request"], request, "{server}: {report:#}");
        assert_eq!(run["visitor"]["status"], 200, "{server}: {report:#}");
        let is_down = host != visitor;
        assert_eq!(
            run["check_status"] == "L7STS",
            is_down,
            "{server}: {report:#}"
        );
        let problems = found(&report)
            .into_iter()
            .filter(|(_, mark)| mark == "problem");
        assert_eq!(problems.count() > 0, is_down, "{server}: {report:#}");
        assert_eq!(code, if is_down { 2 } else { 0 }, "{server}: {report:#}");
    }
}

/// A rule that changes the Host doesn't change the SNI name that visitors sent (`ssl_fc_sni`).
#[test]
fn a_rule_that_changes_the_host_does_not_change_the_sni_of_visitors() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let front = stage
        .folder
        .file("front.pem", &stage.ca.leaf(&[NAME], 30).both_pem());
    for (of_frontend, of_backend) in [
        ("", "http-request set-header Host internal.test"),
        ("http-request set-header Host internal.test", ""),
    ] {
        let text = format!(
            "{}frontend f\n bind 127.0.0.1:{} ssl crt {front}\n {of_frontend}\n default_backend b\nbackend b\n \
             {of_backend}\n server s 127.0.0.1:{port} ssl sni ssl_fc_sni verify required ca-file {}/ca.pem \
             check-sni {NAME}\n",
            defaults(""),
            free_port(),
            stage.chroot()
        );
        let (report, code) = json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]);
        assert_eq!(
            report["runs"]["checks"][0]["visitor"]["status"], 200,
            "{report:#}"
        );
        assert_eq!((found(&report), code), (Vec::new(), 0), "{report:#}");
    }
}

/// The name of the check is the Host after HAProxy has changed it. doctor lets HAProxy change a Host that it
/// knows, and sends a Host that it guesses unchanged.
#[test]
fn rules_may_compute_the_host_of_visitors() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let map = stage
        .folder
        .file("hosts.map", &format!("alpha.test {NAME}\n"));
    let compute = format!("http-request set-header Host %[req.hdr(host),lower,map({map})]");
    let all = "default_backend b";
    let one = "use_backend b if { hdr(host) alpha.test }";
    for (of_frontend, route, of_backend, mark) in [
        (compute.as_str(), all, "", None),
        ("", all, compute.as_str(), None),
        (
            &format!(
                "http-request set-var(txn.a) str({NAME})\n http-request set-header Host %[var(txn.a)]"
            ),
            all,
            "",
            None,
        ),
        (
            &compute,
            &format!("use_backend b if {{ hdr(host) {NAME} }}"),
            "",
            None,
        ),
        (
            "",
            one,
            &format!("http-request replace-header Host ^alpha.test {NAME}"),
            None,
        ),
        (
            "",
            one,
            &format!("http-request set-uri http://{NAME}%[path]"),
            None,
        ),
        (
            "",
            one,
            &format!("http-request del-header Host\n http-request add-header Host {NAME}"),
            None,
        ),
        (
            "",
            one,
            &format!("http-request set-header Host {NAME} if {{ path_beg / }}"),
            None,
        ),
        // Only HAProxy knows if the condition holds for real visitors.
        (
            "",
            one,
            &format!("http-request set-header Host {NAME} if {{ src 127.0.0.1 }}"),
            Some("note"),
        ),
        (
            "",
            one,
            "http-request replace-header Host ^alpha beta",
            Some("problem"),
        ),
    ] {
        let text = format!(
            "{}frontend f\n bind 127.0.0.1:{}\n {of_frontend}\n {route}\nbackend b\n {of_backend}\n \
             server s 127.0.0.1:{port} ssl sni req.hdr(host) verify required ca-file {}/ca.pem check-sni {NAME}\n",
            defaults(""),
            free_port(),
            stage.chroot()
        );
        let file = stage.folder.file("haproxy.cfg", &text);
        let (report, _) = json(&["-f", &file]);
        assert_eq!(found(&report), [], "{text}: {report:#}");
        let report = assert_found(&["-f", &file, "--run"], ("seen", mark), &text);
        let served = report["runs"]["checks"][0]["visitor"]["status"] == 200;
        assert_eq!(served, mark.is_none(), "{text}: {report:#}");
    }
}

/// doctor asks for a page with which visitors reach the backend. If it knows no such page, it isn't certain.
#[test]
fn visitors_reach_a_backend_with_some_paths_only() {
    let nginx = Nginx::serve(|_, port| {
        format!(
            "server {{ listen 127.0.0.1:{port}; location = /health {{ return 200; }} location / {{ return 503; }} }}"
        )
    });
    let stage = Stage::new();
    for (condition, mark) in [
        ("if { hdr(host) a.test }", Some("problem")),
        ("if { hdr(host) a.test } { path_beg /health }", None),
        ("if { hdr(host) a.test } { path /health }", None),
        (
            "if { hdr(host) a.test } !{ path_beg /api }",
            Some("problem"),
        ),
        ("if { hdr(host) a.test } METH_POST", Some("note")),
        (
            "if { hdr(host) a.test } { req.cook(beta) -m found }",
            Some("note"),
        ),
        (
            "if { hdr(host) a.test } { path_beg /health/ }",
            Some("note"),
        ),
    ] {
        let text = format!(
            "{}frontend f\n bind 127.0.0.1:{}\n use_backend b {condition}\nbackend b\n server s 127.0.0.1:{}\n",
            defaults(""),
            free_port(),
            nginx.port
        );
        let file = stage.folder.file("haproxy.cfg", &text);
        assert_found(&["-f", &file, "--run"], ("seen", mark), &text);
    }
}

/// Asserts that doctor has only this finding with this mark, or no finding, and the exit code that fits. `text`
/// is the configuration. Returns the report.
fn assert_found(words: &[&str], (id, mark): (&str, Option<&str>), text: &str) -> Value {
    let (report, code) = json(words);
    let expected = mark.map(|mark| (id.to_owned(), mark.to_owned()));
    let expected = Vec::from_iter(expected);
    assert_eq!(found(&report), expected, "{text}: {report:#}");
    assert_eq!(code, if mark == Some("problem") { 2 } else { 0 }, "{text}");
    report
}

/// A check doesn't notice that HAProxy itself gives visitors an error.
#[test]
fn haproxy_answers_visitors_in_place_of_the_server() {
    let (stage, nginx) = (Stage::new(), Nginx::plain());
    for (rules, of_file, of_run) in [
        (
            "http-request return status 503",
            Some("problem"),
            Some("problem"),
        ),
        ("http-request deny", Some("problem"), Some("problem")),
        (
            "http-response set-status 503",
            Some("problem"),
            Some("problem"),
        ),
        (
            "http-response set-status 503 if { status 200 }",
            Some("note"),
            Some("problem"),
        ),
        (
            "http-response deny unless { res.hdr(X-Ok) yes }",
            Some("note"),
            Some("problem"),
        ),
        ("http-response deny if { status 500 }", Some("note"), None),
        ("http-request return status 200", None, None),
        ("http-request deny if { path /admin }", None, None),
        (
            "http-request allow if { src 192.0.2.1 }\n http-request deny",
            None,
            None,
        ),
    ] {
        let text = format!(
            "{}frontend f\n bind 127.0.0.1:{}\n use_backend b if {{ hdr(host) a.test }}\nbackend b\n {rules}\n \
             server s 127.0.0.1:{}\n",
            defaults(""),
            free_port(),
            nginx.port
        );
        let file = stage.folder.file("haproxy.cfg", &text);
        for (words, mark) in [(vec![], of_file), (vec!["--run"], of_run)] {
            let words = [&["-f", file.as_str()], words.as_slice()].concat();
            assert_found(&words, ("haproxy-answers", mark), &text);
        }
    }
}

/// doctor can't repeat every rule of a frontend. It then runs the checks, and visits the servers without the
/// rules.
#[test]
fn a_rule_that_doctor_cannot_repeat_prevents_no_run() {
    let (stage, nginx) = (Stage::new(), Nginx::plain());
    let lua = "core.register_fetches('f', function(txn) return 'a' end)";
    let lua = stage.folder.file("f.lua", lua);
    let mut text = format!(
        "global\n lua-load {lua}\n{}frontend f\n bind 127.0.0.1:{}\n acl tls ssl_fc\n \
         http-request set-header X-Forwarded-Proto https if tls\n http-request set-header X-Lua %[lua.f]\n",
        defaults(""),
        free_port()
    );
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for name in names {
        text += &format!(" use_backend b{name} if {{ hdr(host) {name}.test }}\n");
    }
    for name in names {
        text += &format!(
            "backend b{name}\n http-request set-header X-Own %[lua.f] if {{ path /{name} }}\n"
        );
        for server in ["s", "t", "u"] {
            text += &format!(" server {server} 127.0.0.1:{}\n", nginx.port);
        }
    }
    let (report, code) = json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]);
    let checks = report["runs"]["checks"].as_array().expect("checks");
    let is_seen = |check: &&serde_json::Value| check["visitor"]["status"] == 200;
    let seen = checks.iter().filter(is_seen).count();
    assert_eq!((checks.len(), seen, code), (24, 24, 0), "{report:#}");
}

/// doctor doesn't copy an `fcgi-app`. The other servers still get their check and their visitor.
#[test]
fn servers_that_doctor_cannot_repeat_do_not_prevent_other_runs() {
    let (stage, nginx) = (Stage::new(), Nginx::plain());
    let mut text = format!(
        "fcgi-app php\n docroot /\n{}frontend f\n bind 127.0.0.1:{}\n use_backend p if {{ hdr(host) p.test }}\n \
         use_backend b if {{ hdr(host) b.test }}\nbackend p\n use-fcgi-app php\n",
        defaults(""),
        free_port()
    );
    for server in 0..9 {
        text += &format!(" server s{server} 127.0.0.1:{} proto fcgi\n", nginx.port);
    }
    text += &format!("backend b\n server s 127.0.0.1:{}\n", nginx.port);
    let (report, _) = json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]);
    let checks = report["runs"]["checks"].as_array().expect("checks");
    let run = checks.iter().find(|check| check["backend"] == "b");
    let run = run.unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(run["visitor"]["status"], 200, "{report:#}");
}

/// The check of another server says nothing about a dead server.
#[test]
fn a_dead_server_that_follows_another_check_is_a_problem() {
    let (stage, nginx) = (Stage::new(), Nginx::plain());
    let text = format!(
        "{}frontend f\n bind 127.0.0.1:{}\n default_backend b\nbackend b\n server a 127.0.0.1:{} check\n \
         server c 127.0.0.1:{} track b/a\n",
        defaults("").replace(" check\n", "\n"),
        free_port(),
        nginx.port,
        dead_port()
    );
    let (report, code) = json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]);
    let expected = ("tracks-another".to_owned(), "problem".to_owned());
    assert_eq!((found(&report), code), (vec![expected], 2), "{report:#}");
}

/// doctor names the part of a request that decides what check and visitors get.
#[test]
fn a_run_compares_the_requests_of_check_and_visitors() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|_, port| {
        format!(
            "server {{ listen 127.0.0.1:{port}; if ($host = c.test) {{ return 421; }} \
             location = /missing {{ return 404; }} \
             location = /proto {{ if ($http_x_forwarded_proto != https) {{ return 301 /; }} return 200; }} \
             location / {{ return 200; }} }}"
        )
    });
    let proto = "http-request set-header X-Forwarded-Proto https";
    for (of_frontend, name, page, id, write) in [
        (
            "",
            "a.test",
            "/missing",
            "seen",
            "let the check ask for a page that the server has",
        ),
        (
            proto,
            "a.test",
            "/proto",
            "check-refused-request",
            "hdr X-Forwarded-Proto https",
        ),
        (
            "",
            "c.test",
            "/",
            "check-other-host",
            "if c.test is the site's name",
        ),
    ] {
        let text = format!(
            "{}frontend f\n bind 127.0.0.1:{}\n {of_frontend}\n use_backend b if {{ hdr(host) {name} }}\nbackend b\n \
             option httpchk\n http-check send meth GET uri {page} ver HTTP/1.1 hdr Host a.test\n \
             http-check expect status 200\n server s 127.0.0.1:{}\n",
            defaults(""),
            free_port(),
            nginx.port
        );
        let (report, code) = json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]);
        let expected = (id.to_owned(), "problem".to_owned());
        assert_eq!(
            (found(&report), code),
            (vec![expected], 2),
            "{text}: {report:#}"
        );
        let written = finding(&report, id)["write"].as_str().expect("text");
        assert!(written.contains(write), "{written}");
    }
}

/// The check and doctor's guess say nothing about visitors whose Host doctor doesn't know, and whom another
/// rule sends to another backend.
#[test]
fn a_guessed_host_proves_nothing() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&[NAME], 30);
    let nginx = Nginx::serve(|folder, port| {
        let only = format!("if ($host != {NAME}) {{ return 404; }}");
        site((folder, port), "", NAME, (&leaf, &[]), &only)
    });
    let map = stage.folder.file("hosts.map", "alpha.test beta.test\n");
    let list = stage.folder.file("hosts", "other.test\n");
    let compute =
        format!("http-request set-header Host %[req.hdr(host),map({map})]\n default_backend b");
    let taken = format!(
        "use_backend a if {{ hdr(host) {NAME} }}\n use_backend b if {{ hdr(host) -f {list} }}"
    );
    for (of_frontend, host, expected) in [
        (&compute, "beta.test", Some(("check-other-site", "note"))),
        (&taken, NAME, None),
    ] {
        let text = format!(
            "{}backend a\nfrontend f\n bind 127.0.0.1:{}\n {of_frontend}\nbackend b\n option httpchk\n \
             http-check send meth GET uri / ver HTTP/1.1 hdr Host {host}\n server s 127.0.0.1:{} ssl sni req.hdr(host) \
             verify required ca-file {}/ca.pem check-sni {NAME}\n",
            defaults(""),
            free_port(),
            nginx.port,
            stage.chroot()
        );
        let (report, _) = json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]);
        let expected = expected.map(|(id, mark)| (id.to_owned(), mark.to_owned()));
        assert_eq!(
            found(&report),
            Vec::from_iter(expected),
            "{text}: {report:#}"
        );
    }
}

/// HAProxy with `strict-sni` refuses a resumed session without SNI. The server OLD of
/// `a_run_reports_no_problem_if_haproxy_serves_visitors` accepts such a session.
#[test]
fn visitors_of_a_server_that_refuses_the_session_of_the_check_fail() {
    let stage = Stage::new();
    let pem = stage
        .folder
        .file("peer.pem", &stage.ca.leaf(&[NAME], 30).both_pem());
    let peer = stage.folder.file(
        "peer.cfg",
        &format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\nfrontend f\n \
             bind \"${{LISTEN}}\" ssl crt {pem} strict-sni\n http-request return status 200\n"
        ),
    );
    let peer = Haproxy::start(Mode::Single, &peer, &[]);
    let port = free_port();
    let text = format!(
        "{}frontend f\n bind 127.0.0.1:{port}\n default_backend b\nbackend b\n option httpchk\n \
         http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}\n \
         server s 127.0.0.1:{} ssl verify none check-sni {NAME}\n",
        defaults(""),
        peer.port
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, code) = json(&["-f", &config, "--run"]);
    let found = finding(&report, "traffic-without-sni");
    assert_eq!((&found["mark"], code), (&"problem".into(), 2), "{report:#}");
    let haproxy = Haproxy::start(Mode::Single, &config, &[]);
    assert_eq!(haproxy.wait_for_check("b", "s").check_status, "L7OK");
    assert_eq!(status_of(port, NAME), 503);
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
