//! The report doesn't contradict what diagnose has seen.

use rcgen::date_time_ymd;

use crate::report::{Report, diagnose};
use crate::servers::{CHECK, assert_changed, config, nginx, object, running};
use crate::support::NAME;
use crate::support::check::{BINARY, run_by_hand};
use crate::support::nginx::{Nginx, site};
use crate::support::peer;
use crate::support::pki::{Ca, Leaf};
use crate::support::stage::Stage;

fn serve(leaf: &Leaf, more: &str) -> Nginx {
    Nginx::serve(|folder, port| site((folder, port), "", NAME, (leaf, &[]), more))
}

/// Returns the ids of the causes that a report names.
fn causes(report: &Report) -> Vec<String> {
    let causes = report.value["causes"].as_array().expect("causes");
    let ids = causes
        .iter()
        .map(|cause| cause["id"].as_str().expect("an id"));
    ids.map(str::to_owned).collect()
}

#[test]
fn a_client_certificate_that_the_check_sends_is_not_called_missing() {
    let stage = Stage::new();
    let client = Ca::named("Others").leaf(&["client"], 30).both_pem();
    let crt = stage.folder.file("client.pem", &client);
    let verify = [
        "-Verify",
        "1",
        "-verify_return_error",
        "-CAfile",
        &stage.ca_file,
    ];
    let port = stage.openssl("leaf", &verify);
    let report = diagnose(&stage.ca, port, NAME, &["--crt", &crt]);
    // The issuer may be an intermediate of a CA that the server trusts.
    let expected = [
        "client-certificate-untrusted",
        "client-certificate-without-issuer",
    ];
    assert_eq!(causes(&report), expected);
    report.assert_fix_place("options");
}

#[test]
fn an_expired_root_is_fixed_in_the_file_even_if_the_server_sends_the_new_root() {
    let past = |params: &mut rcgen::CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    };
    let old = Ca::with("Root", past);
    let renewed = Ca::with("Root", |_| {});
    let leaf = old.leaf(&[NAME], 30);
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&leaf, &[&renewed]), ""));
    let report = diagnose(&old, nginx.port, NAME, &[]);
    report.assert_fix_place("files");
    let advice = report.value["cure"]["advice"].to_string();
    assert!(!advice.contains("certificate on the server"), "{advice}");
}

#[test]
fn with_verify_none_diagnose_judges_the_chain_with_the_given_ca_file() {
    let ca = Ca::new();
    let nginx = serve(&ca.leaf(&[NAME], 30), "");
    let report = diagnose(&ca, nginx.port, NAME, &["--verify=none"]);
    assert_eq!(report.code, 0);
    assert!(
        !report.steps().contains("issuer unknown"),
        "{}",
        report.steps()
    );
    assert!(causes(&report).is_empty(), "{:?}", causes(&report));
}

#[test]
fn an_alert_that_a_made_up_name_also_gets_shows_that_the_name_is_unknown() {
    let ca = Ca::new();
    // The alerts handshake_failure, access_denied and internal_error.
    for alert in [40, 49, 80] {
        let port = peer::tcp(move |mut stream| {
            use std::io::{Read, Write};
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, alert]);
        });
        let report = diagnose(&ca, port, NAME, &[]);
        assert_eq!(
            causes(&report).first().map(String::as_str),
            Some("sni-unknown"),
            "{alert}"
        );
        report.assert_fix_place("options");
    }
}

#[test]
fn a_request_limit_is_fixed_where_the_advice_says() {
    let ca = Ca::new();
    let nginx = serve(&ca.leaf(&[NAME], 30), "location /often { return 429; }");
    let report = diagnose(&ca, nginx.port, NAME, &["--uri=/often"]);
    assert_eq!(causes(&report), ["asked-too-often"]);
    report.assert_fix_place("haproxy.cfg");
    let lines = report.value["cure"]["builtin"].as_str().expect("lines");
    assert!(lines.contains("inter 30000ms"), "{lines}");
}

#[test]
fn a_503_may_come_from_the_application_or_from_a_proxy() {
    let ca = Ca::new();
    let nginx = serve(&ca.leaf(&[NAME], 30), "location /sick { return 503; }");
    let report = diagnose(&ca, nginx.port, NAME, &["--uri=/sick"]);
    assert_eq!(
        causes(&report),
        ["application-failing", "gateway-without-backend"]
    );
    report.assert_fix_place("server");
}

#[test]
fn a_not_yet_valid_certificate_may_mean_a_wrong_clock() {
    let ca = Ca::new();
    let leaf = ca.leaf_with(&[NAME], |params| {
        params.not_before = time::OffsetDateTime::now_utc() + time::Duration::days(1);
    });
    let nginx = serve(&leaf, "");
    let report = diagnose(&ca, nginx.port, NAME, &[]);
    assert_eq!(causes(&report), ["clock-behind", "certificate-of-tomorrow"]);
    report.assert_fix_place("host");
}

#[test]
fn a_screen_without_verbose_fits_a_terminal() {
    let ca = Ca::new();
    let stage = Stage::new();
    let good = serve(&stage.leaf, "");
    let folder = crate::support::folder::Folder::new();
    let ca_file = folder.file("ca.pem", &ca.pem);
    for (port, ca) in [
        (good.port, &stage.ca_file),
        (good.port, &ca_file),
        (crate::support::dead_port(), &ca_file),
    ] {
        let connect = format!("127.0.0.1:{port}");
        let output = run_by_hand(&["diagnose", "--ca-file", ca, "--connect", &connect, NAME]);
        let text = crate::support::check::stdout(&output);
        assert!(text.lines().count() <= 34, "{text}");
        assert!(
            text.contains("What was seen (--verbose shows all of it)"),
            "{text}"
        );
    }
}

#[test]
fn a_check_that_verifies_no_name_does_not_fail_because_of_the_name() {
    let stage = Stage::new();
    let server = nginx(&stage, "", "");
    let (ca, port) = (&stage.ca_file, server.port);
    let line = format!("server s1 127.0.0.1:{port} ssl verify required ca-file {ca} check");
    let dialogue = "    option tcp-check\n    tcp-check connect default\n    tcp-check send \"GET / HTTP/1.0\\r\\n\\r\\n\"\n    \
                    tcp-check expect string nowhere";
    let page = "    option httpchk GET /\n    http-check expect string nowhere";
    for (rules, code, causes) in [
        (dialogue, 73, &[][..]),
        (page, 75, &["name-not-sent", "expectation-wrong"]),
    ] {
        let backend =
            format!("backend be\n{rules}\n    {line}\n    server s2 127.0.0.1:{port} TLS\n");
        let config = config(&stage, &backend);
        let _haproxy = running(&config, ("be", "s1"), "DOWN");
        let report = object(&["-f", &config, "be/s1"], code);
        let server = &report["servers"][0];
        let why = server["why"].as_str();
        let why = why.unwrap_or_else(|| panic!("{server:#}"));
        assert!(why.contains("HAProxy verifies no name"), "{server:#}");
        let found = server["causes"].as_array().expect("causes");
        assert_eq!(found.is_empty(), causes.is_empty(), "{server:#}");
        for (at, id) in causes.iter().enumerate() {
            assert_eq!(found[at]["id"], *id, "{server:#}");
        }
    }
}

#[test]
fn without_sni_haproxy_still_verifies_verifyhost() {
    let stage = Stage::new();
    let server = nginx(&stage, "", "");
    let (ca, port) = (&stage.ca_file, server.port);
    let backend = format!(
        "backend be\n    server s1 127.0.0.1:{port} ssl verify required ca-file {ca} verifyhost wrong.test check\n"
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "DOWN");
    let report = object(&["-f", &config, "be/s1"], 54);
    let causes = report["servers"][0]["causes"].as_array().expect("causes");
    let ids: Vec<&str> = causes
        .iter()
        .filter_map(|cause| cause["id"].as_str())
        .collect();
    assert_eq!(ids, ["verifyhost-wrong"], "{report:#}");
}

/// Both checks get the same response without a body.
#[test]
fn a_response_without_a_body_fails_both_checks_at_the_same_step() {
    let stage = Stage::new();
    let server = nginx(&stage, "", "if ($uri = /) { return 204; }");
    let backend = format!(
        "backend be\n{CHECK}    http-check expect rstring ready\n    server s1 127.0.0.1:{} TLS check check-sni {NAME}\n",
        server.port
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "DOWN");
    let report = object(&["-f", &config, "be/s1"], 75);
    let why = report["servers"][0]["why"].to_string();
    assert!(!why.contains("earlier"), "{report:#}");
}

/// The check's ca-file has the root that signed the client certificate.
#[test]
fn the_issuer_of_a_client_certificate_is_no_intermediate_if_it_is_a_root() {
    let stage = Stage::new();
    let client = stage.ca.leaf(&["client"], 30).both_pem();
    let crt = stage.folder.file("client.pem", &client);
    let other = stage.folder.file("other.pem", &Ca::new().pem);
    let rule = format!("ssl_client_certificate {other}; ssl_verify_client on;");
    let server = nginx(&stage, "", &rule);
    let backend = format!(
        "backend be\n{CHECK}    server s1 127.0.0.1:{} TLS crt {crt} check check-sni {NAME}\n",
        server.port
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "DOWN");
    let report = object(&["-f", &config, "be/s1"], 71);
    let causes = report["servers"][0]["causes"].as_array().expect("causes");
    let mut ids = causes.iter().filter_map(|cause| cause["id"].as_str());
    assert!(
        ids.all(|id| id != "client-certificate-without-issuer"),
        "{report:#}"
    );
}

#[test]
fn a_name_that_the_server_does_not_need_is_not_called_needed() {
    let stage = Stage::new();
    let server = nginx(&stage, "", "");
    let (ca, port) = (&stage.ca_file, server.port);
    let backend = format!(
        "backend be\n    option external-check\n    external-check command {BINARY}\n    external-check path \"--no-sni \
         --ca-file {ca}\"\n    server s1 127.0.0.1:{port} TLS check\n"
    );
    let found = assert_changed(&stage, &backend, ("be", "s1"), &format!("--sni {NAME}"));
    assert_eq!(found["causes"][0]["id"], "name-not-sent", "{found:#}");
}
