//! The options `--alpn` and `--handshake-only`.

use std::io::Read as _;
use std::process::Output;

use crate::support::NAME;
use crate::support::check::run_by_hand;
use crate::support::peer;
use crate::support::stage::Stage;

/// Starts an OpenSSL server that accepts only these ALPN protocols.
fn server(stage: &Stage, alpn: &str) -> u16 {
    stage.openssl("leaf", &["-alpn", alpn])
}

fn line(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn by_hand(stage: &Stage, port: u16, options: &str) -> Output {
    let options = format!(
        "{} --connect 127.0.0.1:{port} {options} {NAME}",
        stage.trust
    );
    run_by_hand(&options.split(' ').collect::<Vec<_>>())
}

#[test]
fn no_alpn_is_offered_by_default() {
    let stage = Stage::new();
    let only_h2 = server(&stage, "h2");
    let output = stage.check(only_h2, "");
    assert_eq!(output.status.code(), Some(0), "{}", line(&output));
    let output = stage.check(only_h2, "--alpn http/1.1");
    assert_eq!(output.status.code(), Some(61), "{}", line(&output));
    assert!(line(&output).contains("(no_application_protocol)"));
    let both = server(&stage, "h2,http/1.1");
    let output = by_hand(&stage, both, "--alpn http/1.1 --json");
    assert!(
        line(&output).contains(r#""alpn":"http/1.1""#),
        "{}",
        line(&output)
    );
    let output = by_hand(&stage, both, "--alpn h2,http/1.1 --handshake-only --json");
    assert!(
        line(&output).contains(r#""alpn":"h2""#),
        "{}",
        line(&output)
    );
}

#[test]
fn handshake_only_is_l6ok() {
    let stage = Stage::new();
    let [old, new] = ["-tls1_2", "-tls1_3"].map(|version| stage.openssl("leaf", &[version]));
    for port in [old, new] {
        let output = by_hand(&stage, port, "--handshake-only");
        let said = line(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.starts_with("UP 0 L6OK "), "{said}");
        assert!(said.contains("handshake done, TLSv1."), "{said}");
        let json = line(&by_hand(&stage, port, "--handshake-only --json"));
        assert!(json.contains(r#""haproxy":"L6OK""#), "{json}");
        assert!(json.contains(r#""status":null"#), "{json}");
        let output = stage.check(port, "--handshake-only");
        assert_eq!(
            (output.status.code(), line(&output)),
            (Some(0), String::new())
        );
    }
}

#[test]
fn handshake_only_sends_no_request_and_waits_for_no_response() {
    let stage = Stage::new();
    // This server panics if a request comes.
    let silent = peer::tls(&stage.leaf, |_| panic!("an unexpected request"));
    let output = stage.check(silent, "--handshake-only");
    assert_eq!(output.status.code(), Some(0), "{}", line(&output));
    let no_tls = peer::tcp(|mut stream| _ = stream.read_to_end(&mut Vec::new()));
    let output = by_hand(&stage, no_tls, "--handshake-only --timeout 200ms");
    assert_eq!(output.status.code(), Some(62), "{}", line(&output));
}

#[test]
fn handshake_only_still_verifies_the_certificate() {
    let stage = Stage::new();
    let expired = peer::answer(&stage.ca.leaf(&[NAME], -2), peer::OK);
    let output = stage.check(expired, "--handshake-only");
    assert_eq!(output.status.code(), Some(51), "{}", line(&output));
}

#[test]
fn http_options_are_refused_with_handshake_only() {
    let stage = Stage::new();
    for (options, named) in [
        ("--method HEAD", "--method"),
        ("--uri /x", "--uri"),
        ("--header A:b", "--header"),
        ("--body x", "--body"),
        ("--expect 'status 200'", "--expect"),
    ] {
        let output = stage.check(1, &format!("--handshake-only {options}"));
        let said = line(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let refusal = format!("{named} and --handshake-only contradict each other");
        assert!(said.contains(&refusal), "{said}");
    }
    let output = stage.check(1, "--alpn h2");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        line(&output).contains("--alpn h2 is not HTTP/1"),
        "{}",
        line(&output)
    );
}
