//! The sentences of the report use the right terms, don't contradict each other, and contain every value.

use rcgen::date_time_ymd;
use serde_json::Value;

use crate::report::diagnose;
use crate::servers::config;
use crate::support::NAME;
use crate::support::check::{run_by_hand, stderr, stdout};
use crate::support::nginx::{Nginx, site};
use crate::support::peer;
use crate::support::pki::Ca;
use crate::support::stage::Stage;

/// Returns the exit code and the report about one server of the configuration. Spaces replace the line
/// breaks.
fn said(config: &str, server: &str, more: &[&str]) -> (i32, String) {
    let words = [&["diagnose", "-f", config, server], more].concat();
    let output = run_by_hand(&words);
    let text = stdout(&output);
    let code = output.status.code().expect("a code");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (code, format!("{flat}{}", stderr(&output)))
}

#[track_caller]
fn says((_, text): &(i32, String), parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[track_caller]
fn never_says((_, text): &(i32, String), parts: &[&str]) {
    for part in parts {
        assert!(!text.contains(part), "{part}: {text}");
    }
}

const SEND: &str = "http-check send meth GET uri / ver HTTP/1.1 hdr Host www.example.test";

#[test]
fn haproxys_own_check_is_explained_in_haproxys_words() {
    let stage = Stage::new();
    let other = stage.folder.file("other.pem", &Ca::named("Another").pem);
    let text = format!(
        "backend site
    option httpchk
    {SEND}
    server s1 127.0.0.1:PORT TLS check
backend handshake
    server s1 127.0.0.1:PORT TLS check check-sni {NAME}
backend roots
    option httpchk
    {SEND}
    server s1 127.0.0.1:PORT ssl verify required ca-file {other} sni str({NAME}) check check-sni {NAME}
"
    );
    let config = config(&stage, &text);
    let site = said(&config, "site/s1", &[]);
    says(
        &site,
        &["check-sni www.example.test on the server line. traffic For visitors, HAProxy sends SNI"],
    );
    let handshake = said(&config, "handshake/s1", &[]);
    says(
        &handshake,
        &["the handshake works, and the check sends no request"],
    );
    let roots = said(&config, "roots/s1", &[]);
    says(
        &roots,
        &[
            "a CA that isn't in ca-file",
            "do Use ca-file ",
            "change ca-file ",
            "tried HAProxy ",
        ],
    );
    for said in [site, handshake, roots] {
        let said = (said.0, said.1.replace("(--verbose shows all of it)", ""));
        never_says(&said, &[" --", "(--", "external-check path"]);
    }
}

#[test]
fn with_verify_none_the_roots_of_visitors_judge_the_chain_and_no_name_is_invented() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf_with(&["old.example.test"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", "old.example.test", (&leaf, &[]), ""));
    let text = format!(
        "backend be
    option external-check
    external-check command {}
    external-check path \"--sni {NAME} --verify none\"
    server s1 127.0.0.1:{} ssl verify required ca-file CA sni str(old.example.test) check
",
        crate::support::check::BINARY,
        nginx.port
    );
    let said = said(&config(&stage, &text), "be/s1", &[]);
    says(
        &said,
        &[
            "--verify none hides",
            "The server's own certificate has expired.",
        ],
    );
    never_says(&said, &["OTHER_NAME", "bundled roots", "is not in"]);
}

#[test]
fn the_row_of_doctor_names_the_line_of_this_server_and_the_fix() {
    let stage = Stage::new();
    let port = crate::support::dead_port();
    let text = format!(
        "frontend fe
    bind unix@/tmp/never-bound
    default_backend one
backend one
    option httpchk
    server s1 127.0.0.1:{port} TLS check check-sni {NAME}
backend two
    option httpchk
    server s1 127.0.0.1:{port} TLS check check-sni {NAME}
"
    );
    let config = config(&stage, &text);
    let file = std::fs::read_to_string(&config).expect("the file");
    let line = file
        .lines()
        .position(|line| line == "backend two")
        .expect("a line")
        + 2;
    let said = said(&config, "two/s1", &[]);
    let row = format!("doctor check-without-host ({config}:{line}):");
    says(
        &said,
        &[
            &row,
            ". Fix: in the backend, write http-check send",
            &format!("sport = :{port} "),
        ],
    );
}

#[test]
fn verbose_shows_what_was_seen_of_a_server_that_is_down() {
    let stage = Stage::new();
    let text = format!(
        "backend be
    option httpchk
    {SEND}
    server s1 127.0.0.1:PORT TLS check
"
    );
    let config = config(&stage, &text);
    never_says(&said(&config, "be/s1", &[]), &["What was seen"]);
    let verbose = said(&config, "be/s1", &["--verbose"]);
    says(
        &verbose,
        &[
            "What was seen:",
            "1. Addresses",
            "TLS versions and other names",
        ],
    );
}

#[test]
fn a_server_line_without_ssl_has_no_cause_in_tls() {
    let stage = Stage::new();
    let text = format!(
        "backend be
    option httpchk
    {SEND}
    server s1 127.0.0.1:PORT TLS check check-sni {NAME}
    server s2 127.0.0.1:PORT check
"
    );
    let said = said(&config(&stage, &text), "be/s2", &[]);
    says(
        &said,
        &[
            "DOWN L7STS be/s2",
            "the server line has no `ssl`",
            "change ssl, verify required",
        ],
    );
    never_says(
        &said,
        &[" cause ", " do ", "SSL handshake failure", "L6RSP"],
    );
    assert_eq!(said.0, 71, "{}", said.1);
}

#[test]
fn a_check_that_only_connects_has_no_fault_in_tls() {
    let stage = Stage::new();
    let text = "frontend fe
    mode tcp
    bind unix@/tmp/never-bound
    default_backend be
backend be
    mode tcp
    server s1 127.0.0.1:PORT check
    server s2 127.0.0.1:PORT
";
    let config = config(&stage, text);
    let checked = said(&config, "be/s1", &[]);
    says(
        &checked,
        &["UP L4OK be/s1", "is UP, because it connects without TLS"],
    );
    assert_eq!(checked.0, 0, "{}", checked.1);
    let unchecked = said(&config, "be/s2", &[]);
    says(
        &unchecked,
        &[
            "no check L4OK be/s2",
            "would be UP",
            "The server line has no `check`",
        ],
    );
    for said in [checked, unchecked] {
        never_says(&said, &[" cause ", " change ", "agrees", "L6RSP"]);
    }
}

/// nginx answers 400 to a request without TLS.
#[test]
fn a_check_that_only_connects_does_not_hide_that_visitors_need_tls() {
    let stage = Stage::new();
    let text = "backend be\n    server s1 127.0.0.1:PORT check\n";
    let said = said(&config(&stage, text), "be/s1", &[]);
    says(
        &said,
        &[
            "UP L4OK be/s1",
            "the server line has no `ssl`",
            "gets status 400",
        ],
    );
    never_says(&said, &[" cause ", " change ", "L6RSP"]);
}

#[test]
fn the_report_advises_to_add_check_to_a_server_without_check() {
    let stage = Stage::new();
    let text = format!(
        "backend be
    option external-check
    external-check command {}
    external-check path \"--sni {NAME} --timout 1s\"
    server s1 127.0.0.1:PORT TLS check
    server s2 127.0.0.1:PORT TLS
",
        crate::support::check::BINARY
    );
    let said = said(&config(&stage, &text), "be/s2", &[]);
    says(
        &said,
        &[
            "no check be/s2",
            "The server line has no `check`",
            "First correct the options of the check: --timout",
            "then add `check` to ",
        ],
    );
}

#[test]
fn diagnose_does_not_judge_a_check_by_another_program() {
    let stage = Stage::new();
    let script = stage.folder.file("check.sh", "#!/bin/sh\nexit 0\n");
    let text = format!(
        "backend be
    option external-check
    external-check command {script}
    server s1 127.0.0.1:PORT TLS check
"
    );
    let said = said(&config(&stage, &text), "be/s1", &[]);
    says(
        &said,
        &[
            &format!("`external-check command` is {script}, not sni-check"),
            "sni-check doctor --run",
        ],
    );
    assert_eq!(said.0, 2, "{}", said.1);
}

#[test]
fn a_server_without_a_configuration_is_not_mistaken_for_a_host() {
    let output = run_by_hand(&["diagnose", "nosuchbackend/web1"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}{}", stdout(&output));
    assert!(
        text.contains("for the host nosuchbackend, write https://nosuchbackend/web1"),
        "{text}"
    );
    assert!(text.contains("-f FILE"), "{text}");
}

#[test]
fn a_shell_command_has_its_own_row() {
    let stage = Stage::new();
    let text = format!(
        "backend be
    option httpchk
    timeout check 2s
    http-check connect addr unix@{0}/nosuch/socket
    http-check send-state
    http-check send meth GET uri / hdr X-Check-Options \"--sni {NAME} --ca-file CA\"
    http-check expect hdr name X-Check-Code value 0
    server s1 127.0.0.1:PORT TLS check
",
        stage.folder.join("run")
    );
    let config = config(&stage, &text);
    let output = run_by_hand(&["diagnose", "-f", &config, "be/s1"]);
    let text = stdout(&output);
    let (_, paste) = text.split_once("\n  paste    ").expect(&text);
    let continued = paste
        .lines()
        .take_while(|line| line.ends_with(" \\"))
        .count();
    let command: Vec<&str> = paste.lines().take(continued + 1).collect();
    assert!(
        continued > 0 && command.concat().contains(" --files "),
        "{text}"
    );
    assert!(text.contains("does not exist"), "{text}");
    assert!(!text.contains("agrees:"), "{text}");
}

/// Returns the report about a server that doesn't answer within 800 ms.
fn of_slow(stage: &Stage, port: u16) -> Value {
    let address = format!("127.0.0.1:{port}");
    let words = [
        "diagnose",
        "--json",
        "--timeout",
        "800ms",
        "--ca-file",
        &stage.ca_file,
    ];
    let output = run_by_hand(&[&words[..], &["--connect", &address, NAME]].concat());
    serde_json::from_slice(&output.stdout).expect("an object")
}

#[test]
fn the_reason_has_the_times_of_a_check_that_took_too_long() {
    let stage = Stage::new();
    let leaf = &stage.leaf;
    let port = peer::tls(leaf, |_| {
        std::thread::sleep(std::time::Duration::from_secs(20))
    });
    let cause = of_slow(&stage, port)["cause"].to_string();
    // On a busy machine, the report may also show the time that it took to resolve the address.
    let cause = match cause.split_once("(resolve ") {
        Some((before, after)) => format!("{before}({}", after.split_once(' ').expect("a time").1),
        None => cause,
    };
    assert!(cause.contains("response timed out (connect "), "{cause}");
    assert!(
        cause.contains(" tls ") && cause.contains(" response "),
        "{cause}"
    );
}

#[test]
fn for_a_silent_server_the_report_names_overload_before_a_proxy_without_backend() {
    let stage = Stage::new();
    let report = of_slow(&stage, peer::silent());
    let id = |number: usize| report["causes"][number]["id"].clone();
    assert_eq!(
        (id(0), id(1)),
        (
            "server-overloaded".into(),
            "forwarder-without-backend".into()
        )
    );
}

#[test]
fn the_report_says_that_the_server_cuts_off_its_response_although_the_check_is_up() {
    let stage = Stage::new();
    let port = peer::answer(
        &stage.leaf,
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    );
    let report = diagnose(&stage.ca, port, NAME, &[]);
    let cause = report.value["cause"].to_string();
    assert!(
        cause.contains(
            "the check is UP (healthy: status 200), but the server cuts off its response"
        ),
        "{cause}"
    );
}

#[test]
fn the_reason_says_that_the_client_certificate_has_expired() {
    let stage = Stage::new();
    let client = stage.ca.leaf_with(&["client"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let crt = stage.folder.file("client.pem", &client.both_pem());
    let more = format!(
        "ssl_client_certificate {}; ssl_verify_client on;",
        stage.ca_file
    );
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), &more));
    let report = diagnose(&stage.ca, nginx.port, NAME, &["--crt", &crt]);
    let cause = report.value["cause"].to_string();
    assert!(
        cause.contains("status 400, expected status 200-399; the certificate in --crt expired "),
        "{cause}"
    );
}

#[test]
fn a_certificate_that_expires_soon_is_fixed_at_the_server() {
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 4);
    let nginx = Nginx::serve(|folder, port| site((folder, port), "", NAME, (&leaf, &[]), ""));
    let report = diagnose(&ca, nginx.port, NAME, &["--min-cert-days", "14"]);
    report.assert_fix_place("server");
    report.assert_fix_works();
}
