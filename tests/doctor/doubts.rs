//! Cases in which doctor knows too little to be certain, and cases in which it must not print what it knows.

use std::io::Write;
use std::net::TcpListener;
use std::thread;

use crate::configuration::{
    PLAIN, checked, configure, doctor, finding, foretells, found, in_chroot, json,
};
use crate::support::NAME;
use crate::support::check::{BINARY, by_hand, stdout};
use crate::support::free_port;
use crate::support::nginx::{Nginx, refusal, site};
use crate::support::pki::Ca;
use crate::support::stage::Stage;

/// Each row has lines of the frontend, lines of the backend, and the findings of a run in which HAProxy
/// serves visitors. KEY is the port of a server that requires a header. OLD is the port of a server with TLS
/// 1.2. HEALTH is the port of a server that is only for checks.
const SERVED: [(&str, &str, &[&str]); 5] = [
    (
        "http-request set-header X-Key k",
        "http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME hdr X-Key k\n server s 127.0.0.1:KEY",
        &[],
    ),
    (
        "http-request set-header X-Key k",
        "http-check send meth GET uri /broken ver HTTP/1.1 hdr Host NAME\n http-check expect status 503\n \
         server s 127.0.0.1:KEY",
        &["expects-refusal"],
    ),
    (
        "",
        "http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME:443\n \
         server s 127.0.0.1:PORT ssl verify required ca-file ROOT/ca.pem sni req.hdr(host) check-sni NAME",
        &[],
    ),
    (
        "",
        "http-check connect port HEALTH\n http-check send meth GET uri / ver HTTP/1.1 hdr Host localhost\n \
         server s 127.0.0.1:PORT ssl verify required ca-file ROOT/ca.pem sni req.hdr(host)",
        &["check-other-port"],
    ),
    // HAProxy 2.6 resumes the TLS session of its check, with the check's SNI. nginx accepts this with TLS
    // 1.2.
    (
        "",
        "http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME\n \
         server s 127.0.0.1:OLD ssl verify required ca-file ROOT/ca.pem check-sni NAME",
        &["traffic-without-sni"],
    ),
];

#[test]
fn a_run_reports_no_problem_if_haproxy_serves_visitors() {
    let stage = Stage::new();
    let health =
        Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; return 200; }}"));
    let key = Nginx::serve(|_, port| {
        format!(
            "server {{ listen 127.0.0.1:{port}; location = /broken {{ return 503; }} \
             location / {{ if ($http_x_key != \"k\") {{ return 503; }} return 200; }} }}"
        )
    });
    let leaf = stage.ca.leaf(&[NAME], 30);
    let old = Nginx::serve(|folder, port| {
        let servers = refusal(port) + &site((folder, port), "", NAME, (&leaf, &[]), "");
        servers.replacen("ssl_reject", "ssl_protocols TLSv1.2; ssl_reject", 1)
    });
    for (front, backend, expected) in SERVED {
        let text = format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
             frontend f\n bind 127.0.0.1:{}\n {front}\n default_backend b\nbackend b\n option httpchk\n \
             {backend} check inter 500ms\n",
            free_port()
        );
        let text = text
            .replace("KEY", &key.port.to_string())
            .replace("OLD", &old.port.to_string())
            .replace("HEALTH", &health.port.to_string())
            .replace("PORT", &stage.nginx().port.to_string())
            .replace("ROOT", stage.chroot())
            .replace("NAME", NAME);
        let config = stage.folder.file("haproxy.cfg", &text);
        let (report, code) = json(&["-f", &config, "--run"]);
        let found = found(&report);
        let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!((ids.as_slice(), code), (expected, 0), "{report}");
    }
}

#[test]
fn advice_names_variables_and_never_shows_their_values() {
    let stage = Stage::new();
    for (send, kept) in [
        (
            r#"meth GET uri "${PAGE}" ver HTTP/1.1 hdr Authorization "Bearer ${TOKEN}""#,
            r#"uri "${PAGE}" ver HTTP/1.1 hdr Authorization "Bearer ${TOKEN}" hdr Host"#,
        ),
        (
            r#"meth GET uri-lf "/a?s=%[srv_name]" ver HTTP/1.1 comment "team x""#,
            r#"uri-lf "/a?s=%[srv_name]" ver HTTP/1.1 hdr Host"#,
        ),
        (
            r#"meth POST uri / ver HTTP/1.1 body-lf "%[srv_name] x""#,
            r#"body-lf "%[srv_name] x""#,
        ),
        (
            r#"meth GET uri / ver HTTP/1.1 hdr Authorization "Bearer s3cret-t0ken""#,
            "keep the other words and write meth GET ver HTTP/1.1 hdr Host",
        ),
    ] {
        let backend = format!(
            " option httpchk\n http-check send {send}\n server s 127.0.0.1:PORT TLS check check-sni {NAME}"
        );
        let config = configure(&stage, PLAIN, &backend);
        let call = [
            "-f",
            &config,
            "--env",
            "TOKEN=s3cret-t0ken",
            "--env",
            "PAGE=/a",
        ];
        let (report, _) = json(&call);
        let write = finding(&report, "check-without-host")["write"].to_string();
        let write = write.replace("\\\"", "\"");
        assert!(write.contains(kept), "{write}");
        assert_eq!(
            send.contains("comment"),
            write.contains("comment \"team x\"")
        );
        for more in [&["--github"][..], &[], &["--json"]] {
            let text = stdout(&doctor(&[&call[..], more].concat()));
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
}

#[test]
fn doctor_finds_invalid_requests_and_requests_without_host() {
    let stage = Stage::new();
    let server = format!("server s 127.0.0.1:PORT TLS check check-sni {NAME} inter 500ms");
    for (lines, id) in [
        (
            format!("option httpchk\n http-check send meth GET uri \"/a b\" ver HTTP/1.1 hdr Host {NAME}"),
            ("check-request", "problem"),
        ),
        (
            format!("option httpchk GET / 'HTTP/1.1\\r\\nHost: {NAME}'"),
            ("check-request", "problem"),
        ),
        // HAProxy 2.6 drops the headers of `option httpchk` if an `http-check send` with headers follows.
        (
            format!("option httpchk GET / HTTP/1.1\\r\\nHost:\\ {NAME}\n http-check send hdr X-A b"),
            ("check-without-host", "note"),
        ),
        (
            "option tcp-check\n tcp-check send \"GET / HTTP/1.1\\r\\n\\r\\n\"\n tcp-check expect string \"200 OK\""
                .to_owned(),
            ("check-without-host", "note"),
        ),
    ] {
        let config = configure(&stage, PLAIN, &format!(" {lines}\n {server}"));
        let (status, code) = match lines.contains("tcp-check") {
            true => ("L7RSP", ""),
            false => ("L7STS", "400"),
        };
        foretells(&config, &[id], status, code);
    }
}

#[test]
fn doctor_finds_options_that_are_wrong_or_differ_from_traffic() {
    let stage = Stage::new();
    stage.trusting(&Ca::new(), "root/other.pem");
    for (options, id, status, code) in [
        (
            "--method get",
            ("check-request", "problem"),
            "PROCERR",
            "71",
        ),
        ("", ("traffic-other-tls", "note"), "PROCOK", "0"),
        (
            "--ca-file /other.pem",
            ("traffic-other-roots", "note"),
            "PROCOK",
            "0",
        ),
        (
            "--ca-file\u{a0}/other.pem",
            ("options", "problem"),
            "PROCERR",
            "2",
        ),
    ] {
        let word = if options.is_empty() { "no-tlsv13" } else { "" };
        let options = format!("--sni {NAME} --ca-file /ca.pem {options}");
        let server = format!("127.0.0.1:PORT TLS {word} check inter 2s");
        let backend = checked("/sni-check", &options, &server);
        let report = foretells(&in_chroot(&stage, &backend), &[id], status, code);
        let is_invisible = options.contains('\u{a0}');
        let what = finding(&report, id.0)["what"].as_str().expect("text");
        assert_eq!(what.contains("U+00A0"), is_invisible, "{what}");
    }
}

#[test]
fn doctor_notes_an_option_httpchk_that_haproxy_ignores() {
    let stage = Stage::new();
    let server = format!("server s 127.0.0.1:PORT TLS check check-sni {NAME}");
    let config = configure(&stage, PLAIN, &format!(" {server}"));
    let text = std::fs::read_to_string(&config).expect("the configuration");
    for (from, to) in [
        ("frontend f\n", "frontend f\n option httpchk GET /\n"),
        (
            "defaults\n",
            "defaults\n mode http\n option httpchk GET /\ndefaults\n",
        ),
    ] {
        let config = stage.folder.file("idle.cfg", &text.replacen(from, to, 1));
        foretells(&config, &[("no-option", "note")], "L6OK", "");
    }
}

#[test]
fn an_agent_takes_a_server_out_of_service() {
    let stage = Stage::new();
    let agent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = agent.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in agent.incoming().flatten() {
            _ = (&stream).write_all(b"down\n");
        }
    });
    let words = format!("agent-check agent-port {port} check check-sni {NAME}");
    let config = configure(
        &stage,
        PLAIN,
        &format!(" server s 127.0.0.1:PORT TLS {words}"),
    );
    assert_eq!(json(&["-f", &config]).1, 0);
    let (report, code) = json(&["-f", &config, "--run"]);
    let found = finding(&report, "agent-down");
    assert_eq!((&found["mark"], code), (&"problem".into(), 2), "{report}");
    // Visitors of this server fail, while its check is UP. But the agent makes the server DOWN.
    let server = format!("127.0.0.1:PORT TLS no-ssl-reuse {words}");
    let server = server.replace("TLS", "ssl verify none");
    let config = configure(&stage, PLAIN, &format!(" server s {server}"));
    let (report, _) = json(&["-f", &config, "--run"]);
    let findings = report["findings"].as_array().expect("findings").iter();
    let certain = findings.filter(|found| found["mark"] == "problem");
    assert_eq!(certain.count(), 1, "{report}");
    let summary = report["summary"].as_str().expect("text");
    let expected = "1 server will be DOWN, and its visitors fail anyway";
    assert!(summary.starts_with(expected), "{summary}");
}

/// A tcp-check that waits for text is UP if the server sends the text. The run must therefore refute the
/// finding that predicts DOWN.
#[test]
fn a_run_refutes_that_a_check_waits_for_text_in_vain() {
    let stage = Stage::new();
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in server.incoming().flatten() {
            _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            thread::spawn(move || std::io::copy(&mut &stream, &mut std::io::sink()));
        }
    });
    let rules = " option tcp-check\n tcp-check expect string HTTP";
    let backend = format!("{rules}\n server s 127.0.0.1:{port} check inter 500ms");
    let config = configure(&stage, PLAIN, &backend);
    let found = found(&json(&["-f", &config]).0);
    assert!(found.contains(&("tcp-check-banner".to_owned(), "problem".to_owned())));
    let (report, code) = json(&["-f", &config, "--run"]);
    assert_eq!(
        report["runs"]["checks"][0]["check_status"], "L7OK",
        "{report}"
    );
    assert_eq!(code, 0, "{report}");
}

#[test]
fn relative_paths_and_times_without_a_unit_are_no_problems() {
    let stage = Stage::new();
    let ca = stage.folder.file("ca.pem", &stage.ca.pem);
    let folder = stage.folder.path().to_owned();
    stage.folder.copy(BINARY, "ours-sni-check", 0o755);
    for (command, options, id) in [
        ("./ours-sni-check", "--ca-file /ABSOLUTE", "command"),
        ("FOLDER/ours-sni-check", "--ca-file ca.pem", "relative-file"),
        (
            "FOLDER/ours-sni-check",
            "--ca-file /ABSOLUTE --timeout 2",
            "time",
        ),
    ] {
        let options = format!("--sni {NAME} {options}").replace("/ABSOLUTE", &ca);
        let command = command.replace("FOLDER", &folder.display().to_string());
        let backend = checked(&command, &options, "127.0.0.1:PORT TLS check");
        let config = configure(&stage, PLAIN, &backend);
        let output = by_hand(&["doctor", "-f", &config, "--json"])
            .env("PATH", "/usr/sbin:/usr/bin")
            .current_dir(&folder)
            .output()
            .expect("the program runs");
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains(&format!("\"id\":\"{id}\"")), "{text}");
    }
}
