//! `doctor --run` and HAProxy's own checks: the result of a check, and the part of its request that
//! explains why the server refuses the check but serves visitors.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use crate::configuration::{found, json, shows};
use crate::support::haproxy::{Haproxy, Mode, with_every_haproxy};
use crate::support::nginx::Nginx;
use crate::support::peer::{OK, silent, tcp};
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port, free_port};

/// Each row has the time limits of a check, the server line, and what HAProxy shows. The server answers after
/// 1.5 s (SLOW) or never (SILENT). If `timeout check` is shorter than the limit of the connection, HAProxy
/// sometimes keeps the longer limit.
const LIMITS: &[(&str, &str, &str)] = &[
    ("", "SLOW", "L7OK"),
    ("", "SLOW inter 1s", "L7TOUT"),
    ("", "SLOW inter 1s fastinter 3s downinter 3s", "L7TOUT"),
    ("timeout check 2500ms", "SLOW inter 1s", "L7OK"),
    ("timeout check 1s", "SLOW inter 1s", "L7TOUT"),
    ("timeout connect 1s\n timeout check 500ms", "SLOW", "L7TOUT"),
    ("timeout connect 500ms\n timeout check 1s", "SLOW", "L7TOUT"),
    ("", "SILENT ssl verify none", "L6TOUT"),
    (
        "timeout check 1s",
        "SILENT ssl verify none inter 500ms",
        "L6TOUT",
    ),
];

#[test]
fn a_run_ends_a_check_when_haproxy_does() {
    let stage = Stage::new();
    let slow = tcp(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        thread::sleep(Duration::from_millis(1500));
        let _ = stream.write_all(OK.as_bytes());
    });
    let silent = silent();
    let backends = LIMITS.iter().enumerate();
    let backends = backends.map(|(index, (limits, server, _))| {
        let server = server.replace("SLOW", &format!("127.0.0.1:{slow} check"));
        let server = server.replace("SILENT", &format!("127.0.0.1:{silent} check"));
        format!("backend b{index}\n {limits}\n option httpchk GET /\n server s {server}\n")
    });
    let text = format!(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\nfrontend f\n bind 127.0.0.1:{}\n{}",
        free_port(),
        backends.collect::<String>()
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    with_every_haproxy(|version| {
        let program = version.program.display().to_string();
        let haproxy = version.start(Mode::Single, &config, &[]);
        let (report, _) = json(&["-f", &config, "--haproxy", &program, "--run"]);
        for (index, (limits, server, shown)) in LIMITS.iter().enumerate() {
            let run = &report["runs"]["checks"][index];
            let what = format!("{version:?}: {limits} {server}: {run}");
            assert_eq!(run["check_status"], *shown, "{what}");
            // HAProxy checks again immediately, and marks the last result with a star.
            let seen = haproxy.server(&format!("b{index}"), "s").expect("a server");
            let seen = seen.check_status.trim_start_matches("* ");
            assert_eq!(seen, *shown, "{what}");
            let is_late = *shown == "L7TOUT";
            let late = report["findings"].as_array().expect("findings").iter();
            let mut late = late.filter(|found| found["id"] == "check-time");
            let names = format!("b{index}/s");
            let late = late.find(|found| found["about"].to_string().contains(&names));
            assert_eq!(late.is_some(), is_late, "{what}: {report:#}");
            let write = late.map_or("timeout check 5s in the backend", |late| {
                late["write"].as_str().expect("text")
            });
            assert_eq!(write, "timeout check 5s in the backend");
        }
    });
}

/// Each row has a rule of nginx, the lines of the check, and doctor's findings. The first finding's fix
/// makes the check UP.
const REFUSALS: &[(&str, &str, &[&str])] = &[
    (
        "if ($http_user_agent = \"\") { return 403; }",
        "option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME",
        &["check-refused-request"],
    ),
    (
        "if ($http_user_agent !~ Mozilla) { return 403; }",
        "option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME hdr User-Agent x",
        &["check-refused-request"],
    ),
    (
        "if ($http_accept = \"\") { return 406; }",
        "option httpchk GET /\n http-check send ver HTTP/1.1 hdr Host NAME",
        &["check-refused-request"],
    ),
    (
        "if ($server_protocol = HTTP/1.0) { return 426; }",
        "option httpchk GET /",
        &["check-refused-request", "check-without-host"],
    ),
    // One line fixes both faults.
    (
        "if ($request_method = OPTIONS) { return 405; }",
        "option httpchk\n http-check send ver HTTP/1.1",
        &["check-refused-request", "check-without-host"],
    ),
    (
        "if ($http_user_agent = \"\") { return 403; }",
        "option httpchk HEAD /\n http-check send ver HTTP/1.1 hdr Host NAME\n http-check expect string good",
        &["expects-body"],
    ),
    // The next two rows have a server that answers 404 to requests without the site's Host.
    (
        "if ($host != NAME) { return 404; }",
        "http-request set-header Host NAME\n option httpchk GET /",
        &["check-without-host"],
    ),
    (
        "if ($host != NAME) { return 404; }",
        "http-request set-header Host NAME\n option httpchk GET /\n http-check expect string good",
        &["check-without-host"],
    ),
    (
        "",
        "option httpchk HEAD /\n http-check expect rstring ^good",
        &["expects-body", "check-without-host"],
    ),
    (
        "if ($request_method = OPTIONS) { return 200; }",
        "option httpchk\n http-check expect string good",
        &["expects-body", "check-without-host"],
    ),
    // `*` isn't a page, and nginx refuses it.
    (
        "",
        "option httpchk OPTIONS * HTTP/1.1\\r\\nHost:\\ NAME",
        &["check-request"],
    ),
    (
        "",
        "option httpchk OPTIONS * HTTP/1.1\\r\\nHost:\\ NAME\n http-check expect string good",
        &["expects-body"],
    ),
    // The Host is part of the version, as in old configurations.
    (
        "if ($http_user_agent = \"\") { return 403; }",
        "option httpchk GET / HTTP/1.1\\r\\nHost:\\ NAME",
        &["check-refused-request"],
    ),
];

/// Returns the lines of a check after this fix.
fn with_fix(check: &str, write: &str) -> String {
    let (place, line) = write.split_once("write ").expect(write);
    let (option, line) = match line.split_once(" and then ") {
        Some((option, line)) => (Some(option), line),
        None => (None, line),
    };
    let mut lines: Vec<&str> = check.split("\n ").collect();
    if let Some(option) = option {
        lines.retain(|known| !known.starts_with("option"));
        lines.push(option);
    }
    if place.contains("in place of the http-check send line") {
        lines.retain(|known| !known.starts_with("http-check send"));
    }
    let expect = lines
        .iter()
        .position(|known| known.starts_with("http-check expect"));
    lines.insert(expect.unwrap_or(lines.len()), line);
    lines.join("\n ")
}

/// doctor asks about a part of the servers at a time. All handshakes at once would exceed the checks' limits.
#[test]
fn a_run_does_not_overload_the_host_with_checks_of_many_servers() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let servers = (0..200).map(|number| {
        format!(
            " server s{number} 127.0.0.1:{port} ssl verify required ca-file {} sni str({NAME}) check \
             check-sni {NAME}\n",
            stage.ca_file
        )
    });
    let text = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         frontend f\n bind 127.0.0.1:{}\n default_backend b\nbackend b\n \
         option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}\n{}",
        free_port(),
        servers.collect::<String>()
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, code) = json(&["-f", &config, "--run"]);
    let checks = report["runs"]["checks"].as_array().expect("checks");
    let healthy = checks
        .iter()
        .filter(|check| check["check_status"] == "L7OK");
    assert_eq!((healthy.count(), code), (200, 0), "{}", report["summary"]);
}

#[test]
fn a_run_names_the_part_of_the_request_that_the_server_refuses() {
    let stage = Stage::new();
    for (refusal, check, ids) in REFUSALS {
        let fill = |text: &str| text.replace("NAME", NAME);
        let server = format!(
            "server {{ listen 127.0.0.1:PORT; {} return 200 good; }}",
            fill(refusal)
        );
        let nginx = Nginx::serve(|_, port| server.replace("PORT", &port.to_string()));
        let config = |check: &str| {
            let text = format!(
                "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
                 frontend f\n bind 127.0.0.1:{}\n default_backend b\n\
                 backend b\n {check}\n server s 127.0.0.1:{} check inter 500ms\n",
                free_port(),
                nginx.port
            );
            stage.folder.file("haproxy.cfg", &text)
        };
        let check = fill(check);
        let (report, _) = json(&["-f", &config(&check), "--run"]);
        let found: Vec<(String, String)> = found(&report);
        let problems = found.iter().filter(|(_, mark)| mark == "problem");
        let problems: Vec<&str> = problems.map(|(id, _)| &id[..]).collect();
        assert_eq!(problems, ids[..1], "{check}: {report:#}");
        let names: Vec<&str> = found.iter().map(|(id, _)| &id[..]).collect();
        assert_eq!(names, *ids, "{check}: {report:#}");
        let writes: Vec<&str> = report["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .map(|found| found["write"].as_str().expect("text"))
            .collect();
        assert!(writes.windows(2).all(|two| two[0] == two[1]), "{writes:?}");
        let fixed = with_fix(&check, writes[0]).replace("hdr Host NAME", "hdr Host x");
        let (report, _) = json(&["-f", &config(&fixed), "--run"]);
        assert_eq!(
            report["findings"],
            serde_json::json!([]),
            "{fixed}: {report:#}"
        );
        assert_eq!(
            report["runs"]["checks"][0]["check_status"], "L7OK",
            "{fixed}"
        );
        shows(&config(&fixed), "s", "L7OK", "200");
    }
}

/// Before 3.2, HAProxy looks at `timeout check` only when the time limit of the connection has expired.
/// Such a check is often UP, even if the server answers too late.
#[test]
fn doctor_finds_a_server_that_answers_later_than_timeout_check() {
    let stage = Stage::new();
    let slow = tcp(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        thread::sleep(Duration::from_millis(1300));
        let _ = stream.write_all(OK.as_bytes());
    });
    let text = format!(
        "defaults\n mode http\n timeout connect 3s\n timeout client 5s\n timeout server 5s\n\
         frontend f\n bind 127.0.0.1:{}\n default_backend b\nbackend b\n option httpchk\n \
         http-check send ver HTTP/1.1 hdr Host www.example.test\n timeout check 1s\n \
         server s 127.0.0.1:{slow} check inter 4s\n",
        free_port()
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    with_every_haproxy(|version| {
        let program = version.program.display().to_string();
        let (report, code) = json(&["-f", &config, "--haproxy", &program, "--run"]);
        let (status, mark, exit) = match version.is_since("3.2") {
            true => ("L7TOUT", "problem", 2),
            false => ("L7OK", "note", 0),
        };
        let what = format!("{version:?}: {report:#}");
        assert_eq!(
            report["runs"]["checks"][0]["check_status"], status,
            "{what}"
        );
        assert_eq!(
            (found(&report), code),
            (vec![("check-time".to_owned(), mark.to_owned())], exit),
            "{what}"
        );
    });
}

/// HAProxy refuses a whole configuration because of one line. doctor starts an HAProxy without the operator's
/// Lua files, so that HAProxy refuses the line with `lua.x`. The ACLs of frontend and backend have the same name.
#[test]
fn a_line_that_haproxy_refuses_costs_no_other_server_its_run() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|_, port| {
        format!(
            "server {{ listen 127.0.0.1:{port}; location = /health {{ return 200 good; }} \
             location / {{ if ($http_x_forwarded_proto != https) {{ return 503; }} return 200 good; }} }}"
        )
    });
    let lua = stage.folder.file(
        "x.lua",
        "core.register_fetches('x', function() return 'x' end)",
    );
    let leaf = stage.ca.leaf(&[NAME], 30);
    let front = stage
        .folder
        .file("front.pem", &(leaf.crt_pem + &leaf.key_pem));
    let backend = |name: &str, rules: &str, words: &str| {
        let server = |number| format!(" server s{number} 127.0.0.1:{} {words} check\n", nginx.port);
        let servers: String = (1..4).map(server).collect();
        format!(
            "backend {name}\n{rules} option httpchk\n \
             http-check send meth GET uri /health ver HTTP/1.1 hdr Host {name}.test\n{servers}"
        )
    };
    let text = format!(
        "global\n expose-experimental-directives\n lua-load {lua}\n\
         defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
         fcgi-app php\n docroot /var/www\n\
         frontend f\n bind 127.0.0.1:{} ssl crt {front}\n acl tls ssl_fc\n acl other path_beg /other\n \
         http-request set-header X-Forwarded-Proto https if tls\n http-request normalize-uri path-strip-dot\n \
         use_backend php if {{ path_end .php }}\n use_backend lua if {{ hdr(host) lua.test }}\n \
         use_backend web if {{ hdr(host) web.test }}\n{}{}{}",
        free_port(),
        backend(
            "web",
            " acl tls path_beg /tls\n http-request set-path /x if tls\n",
            ""
        ),
        backend("lua", " http-request set-header X %[lua.x]\n", ""),
        backend("php", " use-fcgi-app php\n", "proto fcgi"),
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    with_every_haproxy(|version| {
        let program = version.program.display().to_string();
        let (report, _) = json(&["-f", &config, "--haproxy", &program, "--run"]);
        let checks = report["runs"]["checks"].as_array().expect("checks");
        let shown = |check: &serde_json::Value| {
            let visitor = &check["visitor"];
            format!(
                "{} {} {}",
                check["backend"], visitor["status"], visitor["root"]
            )
        };
        let shown: Vec<String> = checks.iter().map(shown).collect();
        let expected: Vec<String> = ["\"web\" 200 200"; 3].map(str::to_owned).to_vec();
        assert_eq!(shown[..3], expected, "{version:?}: {report:#}");
        assert_eq!(shown.len(), 9, "{version:?}: {report:#}");
        let limits = report["runs"]["limits"].to_string();
        let without =
            "visitors of lua/s1, lua/s2, lua/s3 were sent without `http-request set-header X ";
        assert!(limits.contains(without), "{version:?}: {report:#}");
    });
}

/// A server may be a listener of the same haproxy.cfg. Nothing answers there before HAProxy runs.
#[test]
fn a_run_judges_a_listener_of_haproxy_itself_only_while_haproxy_runs() {
    let stage = Stage::new();
    let (port, other, socket) = (free_port(), free_port(), stage.folder.join("front.sock"));
    let text = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n \
         default-server inter 500ms\n\
         frontend outer\n bind 127.0.0.1:{}\n default_backend a\n\
         backend a\n option httpchk GET /\n http-check send hdr Host {NAME}\n \
         server s 127.0.0.1:{port} check\n server u unix@{socket} check backup\n\
         backend b\n mode tcp\n server s abns@doctor-{port} check\n\
         frontend inner\n bind :{port}\n bind unix@{socket}\n bind abns@doctor-{port}\n \
         http-request return status 200\n\
         backend c\n server s 127.0.0.1:{other} check\n",
        free_port()
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let shown = || {
        let (report, code) = json(&["-f", &config, "--run"]);
        let checks = report["runs"]["checks"].as_array().expect("checks");
        let name = |check: &serde_json::Value| {
            let (backend, status) = (check["backend"].as_str(), check["check_status"].as_str());
            format!("{} {}", backend.expect("text"), status.expect("text"))
        };
        let names: Vec<String> = checks.iter().map(name).collect();
        (names.join(", "), code, report)
    };
    let (names, _, report) = shown();
    assert_eq!(names, "c L4CON", "{report:#}");
    let limits = report["runs"]["limits"].to_string();
    let why = "The checks of a/s, a/u, b/s were not run: HAProxy itself listens there when it runs (frontend inner).";
    assert!(limits.contains(why), "{report:#}");
    let summary = report["summary"].as_str().expect("text");
    assert!(
        summary.ends_with("; 1 check below fails; 3 checks were not run"),
        "{summary}"
    );
    let _haproxy = Haproxy::start(Mode::Single, &config, &[]);
    let (names, _, report) = shown();
    assert_eq!(names, "a L7OK, a L7OK, b L4OK, c L4CON", "{report:#}");
}

/// A server with a login page answers 401 to visitors and to the check. Visitors then get the page, but HAProxy
/// takes the server out of service.
#[test]
fn a_run_finds_a_login_page_that_the_check_takes_for_a_failure() {
    let stage = Stage::new();
    let nginx =
        Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; return 401; }}"));
    for (send, expect, marks) in [
        ("", "", "seen problem"),
        ("", "http-check expect status 200-399,401\n", ""),
        ("", "http-check expect status 200\n", "seen note"),
        // The check has wrong credentials.
        (" hdr Authorization x", "", ""),
    ] {
        let text = format!(
            "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
             frontend f\n bind 127.0.0.1:{}\n use_backend b if {{ hdr(host) {NAME} }}\nbackend b\n \
             option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}{send}\n {expect} \
             server s 127.0.0.1:{} check inter 500ms\n",
            free_port(),
            nginx.port
        );
        let config = stage.folder.file("haproxy.cfg", &text);
        let (report, _) = json(&["-f", &config, "--run"]);
        let found: Vec<String> = found(&report)
            .iter()
            .map(|(id, mark)| format!("{id} {mark}"))
            .collect();
        assert_eq!(found.join(", "), marks, "{send} {expect}: {report:#}");
        if marks == "seen problem" {
            let write = "in the backend, write http-check expect status 200-399,401";
            assert_eq!(report["findings"][0]["write"], write, "{report:#}");
            assert_eq!(
                report["summary"],
                "1 server will be DOWN though it works; 1 check below fails"
            );
        }
        let status = if expect.contains("401") {
            "L7OK"
        } else {
            "L7STS"
        };
        shows(&config, "s", status, "401");
    }
}

/// HAProxy looks for relative paths in the folder of `default-path`.
#[test]
fn a_run_finds_files_where_default_path_says() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let folder = stage.folder.join("");
    std::fs::create_dir(stage.folder.join("conf")).expect("a folder");
    stage.folder.file("names", NAME);
    for path in ["parent".to_owned(), format!("origin {folder}")] {
        let text = format!(
            "global\n default-path {path}\n\
             defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
             frontend f\n bind 127.0.0.1:{}\n acl known hdr(host) -f names\n \
             http-request set-header X-Known yes if known\n default_backend b\nbackend b\n \
             option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}\n \
             server s 127.0.0.1:{port} ssl verify required ca-file ca.pem sni str({NAME}) check check-sni {NAME}\n",
            free_port()
        );
        let config = stage.folder.file("conf/haproxy.cfg", &text);
        let (report, code) = json(&["-f", &config, "--run"]);
        let check = &report["runs"]["checks"][0];
        assert_eq!(
            (check["check_status"].as_str(), code),
            (Some("L7OK"), 0),
            "{report:#}"
        );
        assert_eq!(check["visitor"]["status"], 200, "{report:#}");
        let limits = report["runs"]["limits"].as_array().expect("limits");
        assert_eq!(limits.len(), 1, "{report:#}");
    }
}

/// A server that is dead for visitors too needs `check`, and nothing else.
#[test]
fn the_advice_about_a_missing_check_fits_the_server() {
    let stage = Stage::new();
    let nginx = Nginx::plain();
    let (dead, live) = (dead_port(), nginx.port);
    for (backend, write) in [
        (
            format!(" server a 127.0.0.1:{dead}\n server b 127.0.0.1:{live}\n"),
            "add `check` to the server line, or to default-server above it",
        ),
        (
            format!(" server a 127.0.0.1:{dead}\n server b 127.0.0.1:{live} check\n"),
            "add `check` at the end of its line",
        ),
        (
            format!(
                " default-server check\n server a 127.0.0.1:{live} no-check\n server b 127.0.0.1:{live}\n"
            ),
            "remove `no-check` from the server line",
        ),
        (
            format!(" server a 127.0.0.1:{live} no-check\n server b 127.0.0.1:{live} check\n"),
            "write `check` in place of `no-check`",
        ),
    ] {
        let text = format!(
            "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
             frontend f\n bind 127.0.0.1:{}\n default_backend b\nbackend b\n{backend}",
            free_port()
        );
        let config = stage.folder.file("haproxy.cfg", &text);
        let (report, _) = json(&["-f", &config, "--run"]);
        let findings = report["findings"].as_array().expect("findings");
        let mut checks = findings
            .iter()
            .filter(|found| found["effect"] == "unchecked");
        let found = checks.next().expect("a finding");
        assert_eq!(found["write"], write, "{backend}: {report:#}");
    }
}

#[test]
fn a_run_copies_the_proxy_header_fields_of_a_server_line() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let text = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
         frontend f\n bind 127.0.0.1:{}\n default_backend b\nbackend b\n \
         server s 127.0.0.1:{port} ssl verify none check check-sni {NAME} set-proxy-v2-tlv-fmt(0x20) %[fc_rtt]\n",
        free_port()
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    with_every_haproxy(|version| {
        if version.is_since("3.0") {
            let program = version.program.display().to_string();
            let (report, _) = json(&["-f", &config, "--haproxy", &program, "--run"]);
            assert_eq!(
                report["runs"]["checks"][0]["check_status"], "L6OK",
                "{report:#}"
            );
        }
    });
}
