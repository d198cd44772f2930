//! `sni-check diagnose` against nginx, in the situations that operators meet.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rcgen::date_time_ymd;

use crate::report::{OTHER, diagnose};
use crate::support::NAME;
use crate::support::check::{run_by_hand, stdout};
use crate::support::nginx::{Nginx, refusal, site};
use crate::support::pki::{Ca, Leaf};
use crate::support::{dead_port, peer};

/// Starts an nginx with one site that answers every name.
fn one_site(leaf: &Leaf, issuers: &[&Ca], more: &str) -> Nginx {
    Nginx::serve(|folder, port| site((folder, port), "", NAME, (leaf, issuers), more))
}

#[test]
fn a_server_that_requires_sni() {
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 30);
    let nginx = Nginx::serve(|folder, port| {
        refusal(port) + &site((folder, port), "", NAME, (&leaf, &[]), "")
    });
    let report = diagnose(&ca, nginx.port, NAME, &[]);
    assert_eq!((report.code, &report.value["state"]), (0, &"UP".into()));
    assert_eq!(report.value["sni_needed"], "required");
    report.says("SNI is required: every HAProxy check without check-sni");
    report.says("a made-up name is refused: server refused the name (unrecognized_name)");
    report.says("TLSv1.2 works");
    report.says("TLSv1.3 works");
    report.says("ALPN offered none, chosen none");
    report.says("X25519");
    report.says("ECDSA P-256");
    report.says("30 days left");
    report.says("status 200, Server: nginx");
    report.advises("This server requires SNI");
    report.assert_haproxy_agrees();
    report.assert_fix_works();
    let report = diagnose(&ca, nginx.port, OTHER, &[]);
    assert_eq!(report.code, 65);
    report.advises("sni-check explain 65");
    report.assert_haproxy_agrees();
}

#[test]
fn a_server_with_another_default_certificate() {
    let ca = Ca::new();
    let (leaf, other) = (ca.leaf(&[NAME], 30), ca.leaf(&[OTHER], 30));
    let nginx = Nginx::serve(|folder, port| {
        site((folder, port), "default_server", OTHER, (&other, &[]), "")
            + &site((folder, port), "", NAME, (&leaf, &[]), "")
    });
    let report = diagnose(&ca, nginx.port, NAME, &["--uri", "/redirect"]);
    assert_eq!(report.code, 0);
    assert_eq!(report.value["sni_needed"], "other certificate");
    report.says(&format!("the server sends another certificate: {OTHER}"));
    report.says(&format!(
        "a made-up name gets a default certificate: {OTHER}"
    ));
    report.says("redirects to https://www.example.test:");
    report.says(
        "the response depends on Host: with the address as Host instead of \"www.example.test\"",
    );
    report.assert_haproxy_agrees();
    report.assert_fix_works();
}

#[test]
fn the_right_and_a_wrong_name_for_a_single_certificate() {
    let ca = Ca::new();
    let nginx = one_site(&ca.leaf(&[NAME, "far.example.net"], 30), &[], "");
    let report = diagnose(&ca, nginx.port, NAME, &[]);
    assert_eq!(
        (report.code, &report.value["sni_needed"]),
        (0, &"no".into())
    );
    report.says("the response does not depend on Host");
    report.assert_haproxy_agrees();
    report.assert_fix_works();
    let header = ["--header", "X-Token: hidden-value", "--expect=status 200"];
    let report = diagnose(&ca, nginx.port, "ww.example.test", &header);
    assert_eq!(report.code, 54);
    report.advises(&format!(
        "ww.example.test is the wrong name: the server serves {NAME}"
    ));
    report.assert_fix_place("haproxy.cfg");
    report.says("names of the certificate: www.example.test, far.example.net");
    report.says("sent without your headers");
    assert!(!report.value.to_string().contains("hidden-value"));
    diagnose(&ca, nginx.port, "ww.example.test", &[]).assert_fix_works();
}

#[test]
fn a_certificate_of_another_site() {
    let ca = Ca::new();
    let nginx = one_site(&ca.leaf(&["*.example.net", "192.0.2.7"], 30), &[], "");
    let report = diagnose(&ca, nginx.port, NAME, &[]);
    assert_eq!(report.code, 54);
    report.says("names of the certificate: *.example.net, 192.0.2.7");
    report.assert_haproxy_agrees();
}

#[test]
fn an_expired_certificate_hides_no_other_fault_and_a_new_certificate_fixes_it() {
    let ca = Ca::new();
    let expired = ca.leaf_with(&[NAME], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let nginx = one_site(&expired, &[], "");
    let report = diagnose(&ca, nginx.port, NAME, &[]);
    assert_eq!(report.code, 51);
    report.says("certificate expired");
    report.says("2020-01-01 to 2021-01-01, expired");
    report.says("status 200");
    report.assert_haproxy_agrees();
    let other = diagnose(&ca, nginx.port, OTHER, &[]);
    other.says("certificate expired");
    other.says(&format!("is not for {OTHER}"));
    report.assert_fix_place("server");
    nginx.change(|folder, port| site((folder, port), "", NAME, (&ca.leaf(&[NAME], 30), &[]), ""));
    report.assert_lines_work();
}

#[test]
fn an_issuer_younger_than_an_expired_certificate_is_not_a_fault() {
    let ca = Ca::with("Young CA", |params| {
        params.not_before = date_time_ymd(2024, 1, 1)
    });
    let expired = ca.leaf_with(&[NAME], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let nginx = one_site(&expired, &[], "");
    let report = diagnose(&ca, nginx.port, NAME, &[]);
    assert_eq!(report.code, 51);
    assert!(
        !report.steps().contains("becomes valid in"),
        "{}",
        report.steps()
    );
}

#[test]
fn the_full_chain_fixes_an_incomplete_chain() {
    let root = Ca::named("Root");
    let middle = root.intermediate("Middle");
    let leaf = middle.leaf(&[NAME], 30);
    let nginx = one_site(&leaf, &[], "");
    let report = diagnose(&root, nginx.port, NAME, &[]);
    assert_eq!(report.code, 55);
    report.advises("doesn't send the certificate of CN=Middle");
    report.assert_haproxy_agrees();
    // Either the CA file is wrong or the server's chain is incomplete.
    report.assert_fix_place("options");
    report.advises("Install the full chain on the server");
    nginx.change(|folder, port| site((folder, port), "", NAME, (&leaf, &[&middle]), ""));
    report.assert_lines_work();
    let report = diagnose(&root, nginx.port, NAME, &[]);
    assert_eq!(report.code, 0);
    assert_eq!(report.value["chain"].as_array().map(Vec::len), Some(2));
    report.says("certificate 1: CN=Middle, issued by CN=Root");
    report.assert_haproxy_agrees();
}

#[test]
fn a_self_signed_certificate_and_the_size_of_an_rsa_key() {
    let folder = crate::support::folder::Folder::new();
    let (crt, key) = (folder.join("crt"), folder.join("key"));
    let made = crate::support::program("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
        ])
        .args([
            "-subj",
            "/CN=alone",
            "-addext",
            "subjectAltName=DNS:www.example.test",
        ])
        .args(["-keyout", &key, "-out", &crt])
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{made:?}");
    let nginx = Nginx::serve(|_, port| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {crt};
             ssl_certificate_key {key}; return 200; }}"
        )
    });
    let report = diagnose(&Ca::new(), nginx.port, NAME, &[]);
    assert_eq!(report.code, 55);
    report.says("RSA 2048");
    report.advises("is self-signed (CN=alone): no CA vouches for the server");
    report.assert_haproxy_agrees();
}

#[test]
fn a_single_tls_version_and_an_optional_client_certificate() {
    let ca = Ca::new();
    let client = Ca::named("Client CA");
    let nginx = Nginx::serve(|folder, port| {
        let client = folder.file("client", &client.pem);
        let more = format!(
            "ssl_protocols TLSv1.2; ssl_client_certificate {client}; ssl_verify_client optional;"
        );
        site(
            (folder, port),
            "",
            NAME,
            (&ca.leaf(&[NAME], 30), &[]),
            &more,
        )
    });
    let report = diagnose(&ca, nginx.port, NAME, &[]);
    assert_eq!(report.code, 0);
    report.says("TLSv1.2 works");
    report.says("TLSv1.3: server found no TLS version");
    report.says("the server asks for a client certificate (--crt)");
    let report = diagnose(&ca, nginx.port, NAME, &["--ssl-min-ver=TLSv1.3"]);
    assert_eq!(report.code, 66);
}

#[test]
fn a_certificate_that_expires_soon() {
    let ca = Ca::new();
    let nginx = one_site(&ca.leaf(&[NAME], 1), &[], "");
    let report = diagnose(&ca, nginx.port, NAME, &["--min-cert-days", "10"]);
    assert_eq!(report.code, 57);
    report.says(", 1 day left");
    report.says("certificate expires in 1 day, --min-cert-days is 10");
    assert_eq!(report.value["steps"][1]["mark"], "problem");
}

#[test]
fn every_expectation_is_reported() {
    let ca = Ca::new();
    let nginx = one_site(&ca.leaf(&[NAME], 30), &[], "");
    let rules = [
        "--expect=status 204",
        "--expect=string good",
        "--expect=string nowhere",
        "--expect=hdr name server value nginx",
        "--expect=hdr name x-absent",
    ];
    let report = diagnose(&ca, nginx.port, NAME, &rules);
    assert_eq!(report.code, 71);
    report.says("status 200, expected status 204");
    report.says("as expected: string good");
    report.says("body does not meet --expect: string nowhere");
    report.says("as expected: hdr name server value nginx");
    report.says("headers do not meet --expect: hdr name x-absent");
    report.assert_haproxy_agrees();
    for (uri, advice) in [
        ("/error", "The application is failing"),
        ("/missing", "it has a page at /. Use --uri /"),
        ("/api", "ccept only this status: --expect 'status 401'"),
        ("/redirect", "Check that page: --uri /elsewhere"),
    ] {
        let report = diagnose(
            &ca,
            nginx.port,
            NAME,
            &["--expect=status 200", "--uri", uri],
        );
        assert_eq!(report.code, 71, "{uri}");
        report.advises(advice);
    }
}

#[test]
fn a_request_with_side_effects_is_repeated_only_unchanged() {
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 30);
    let (seen, requests) = std::sync::mpsc::channel();
    let seen = std::sync::Mutex::new(seen);
    let port = peer::tls_with_head(&leaf, &[], move |head, stream| {
        use std::io::Write;
        // The visitors that diagnose sends through HAProxy use GET.
        let is_visitor = head.starts_with("GET");
        // The kernel would reset a connection that is closed with unread data.
        let mut body = Vec::new();
        while !is_visitor && !body.ends_with(b"hidden-value") {
            let mut byte = [0];
            match std::io::Read::read(stream, &mut byte) {
                Ok(1..) => body.extend(byte),
                _ => return,
            }
        }
        let status = match (is_visitor, head.contains("/order")) {
            (true, _) => "405 Method Not Allowed",
            (false, true) => "404 Not Found",
            (false, false) => "200 OK",
        };
        if !is_visitor {
            let _ = seen.lock().expect("a channel").send(head.to_owned());
        }
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(response.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    // For a GET, diagnose would try other Hosts, and / as the path.
    for (uri, code) in [("/", 0), ("/order", 71)] {
        let options = ["--method=POST", "--body=hidden-value", "--uri", uri];
        let report = diagnose(&ca, port, NAME, &options);
        assert_eq!(report.code, code);
        if code == 0 {
            report.advises("Add your --body");
        }
        assert!(!report.value.to_string().contains("hidden-value"));
        let requests: Vec<String> = requests.try_iter().collect();
        assert!(requests.len() > 1);
        for request in requests {
            let request = request.to_lowercase();
            assert!(request.starts_with(&format!("post {uri} ")), "{request}");
            assert!(
                request.contains(&format!("\r\nhost: {NAME}\r\n")),
                "{request}"
            );
        }
    }
}

#[test]
fn every_option_appears_in_the_printed_lines() {
    let ca = Ca::new();
    let rule = "if ($http_user_agent != '50% of one') { return 403; }";
    let nginx = one_site(&ca.leaf(&[NAME], 30), &[], rule);
    let options = [
        "--header=User-Agent: 50% of one",
        "--uri=/a?b=$HOME&c='d'",
        "--expect=status 200",
        "--expect=string good",
        "--source=127.0.0.1",
        "--ssl-min-ver=TLSv1.2",
        "--verify-host",
        NAME,
        "--method=GET",
        "--header=Host: www.example.test",
    ];
    let report = diagnose(&ca, nginx.port, NAME, &options);
    assert_eq!(report.code, 0, "{:#}", report.value);
    report.assert_fix_works();
}

#[test]
fn with_verify_none_the_report_names_the_hidden_faults() {
    let ca = Ca::new();
    let nginx = one_site(&ca.leaf(&[NAME], 30), &[], "");
    let connect = format!("127.0.0.1:{}", nginx.port);
    let output = run_by_hand(&[
        "diagnose",
        "--verbose",
        "--verify",
        "none",
        "--connect",
        &connect,
        NAME,
    ]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(text.contains("--verify none hides: certificate"), "{text}");
    assert!(text.contains("use `verify required`"), "{text}");
    assert!(text.contains("ssl verify required ca-file"), "{text}");
    assert!(!text.contains("path \"--verify none"), "{text}");
}

#[test]
fn a_dead_port_and_ports_that_do_not_speak_tls() {
    let ca = Ca::new();
    let report = diagnose(&ca, dead_port(), NAME, &[]);
    assert_eq!(report.code, 41);
    assert_eq!(report.value["steps"][0]["mark"], "problem");
    report.advises("Start the service");
    report.assert_haproxy_agrees();
    let greeting = peer::tcp(|mut stream| {
        use std::io::{Read, Write};
        let _ = stream.write_all(b"220 mail.example.test ESMTP\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let report = diagnose(&ca, greeting, NAME, &[]);
    assert_eq!(report.code, 63);
    report.says("it says \"220 mail.example.test ESMTP\"");
    report.assert_haproxy_agrees();
    let closing = peer::tcp(|mut stream| {
        use std::io::Read;
        let _ = stream.read(&mut [0; 4096]);
    });
    let report = diagnose(&ca, closing, NAME, &[]);
    assert_eq!(report.code, 64);
    report.assert_haproxy_agrees();
}

#[test]
fn useless_options_are_refused() {
    for words in [
        &["diagnose", "--quiet", NAME][..],
        &["diagnose", "--syslog", "127.0.0.1", NAME],
        &["diagnose", "--sni", NAME],
        &["diagnose", "http://www.example.test"],
        &["--color", "never", NAME],
    ] {
        let output = run_by_hand(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn under_haproxy_diagnose_is_refused() {
    let mut command = std::process::Command::new(crate::support::check::BINARY);
    command
        .args(["diagnose", NAME])
        .env("HAPROXY_SERVER_NAME", "s1");
    let output = command.output().expect("sni-check runs");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_ban_after_a_failed_handshake_is_not_the_cause() {
    let ca = Ca::new();
    let seen = AtomicUsize::new(0);
    // The first handshake gets the alert handshake_failure. Later connections are closed.
    let port = peer::tcp(move |mut stream| {
        let length = stream.read(&mut [0; 4096]).unwrap_or(0);
        if length > 0 && seen.fetch_add(1, Relaxed) == 0 {
            _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]);
        }
    });
    let report = diagnose(&ca, port, NAME, &["--no-sni", "--haproxy=none"]);
    let causes = report.value["causes"].to_string();
    assert!(causes.contains("sni-missing"), "{causes}");
    assert!(!causes.contains("forwarder-without-backend"), "{causes}");
}

/// HAProxy passes only the server's address to an external check, and HAProxy's own check verifies no name
/// without SNI. The printed lines therefore contain the name of the target.
#[test]
fn without_sni_the_printed_lines_verify_the_name_of_the_target() {
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 30);
    let rule = format!("if ($http_host != {NAME}) {{ return 404; }}");
    let nginx = Nginx::serve(|folder, port| site((folder, port), "", NAME, (&leaf, &[]), &rule));
    let report = diagnose(&ca, nginx.port, NAME, &["--no-sni"]);
    assert_eq!(report.code, 0);
    let cure = &report.value["cure"];
    for kind in ["builtin", "external"] {
        assert_eq!(cure[format!("{kind}_tried")], "tried: UP", "{cure:#}");
        let lines = cure[kind].as_str().expect("lines");
        assert!(lines.contains(&format!("verifyhost {NAME} ")), "{lines}");
    }
    let lines = cure["external"].as_str().expect("lines");
    for option in [format!("--verify-host {NAME} "), format!("'Host: {NAME}'")] {
        assert!(lines.contains(&option), "{lines}");
    }
}
