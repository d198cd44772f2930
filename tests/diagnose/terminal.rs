//! The report on a terminal, in a pipe, and while it is waited for.

use std::process::Command;

use crate::report::{NAME, sni_check, stdout};
use crate::support::check::BINARY;
use crate::support::pki::Ca;
use crate::support::{dead_port, peer, program};

/// What a terminal gets to see; standard error goes there, too.
fn on_a_terminal(words: &[&str], environment: &[(&str, &str)]) -> String {
    let call: Vec<&str> = [BINARY].iter().chain(words).copied().collect();
    let output = program("script")
        .args(["-qec", &call.join(" "), "/dev/null"])
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .output()
        .expect("script runs");
    stdout(&output)
}

#[test]
fn colour_is_for_terminals_unless_told_otherwise() {
    let connect = format!("127.0.0.1:{}", dead_port());
    let words = ["diagnose", "--connect", &connect, NAME];
    let with = |more: &[&'static str]| {
        let mut words = words.to_vec();
        words.extend(more);
        words
    };
    const RED: &str = "\x1b[31mproblem\x1b[0m";
    assert!(on_a_terminal(&words, &[]).contains(RED));
    assert!(on_a_terminal(&words, &[("NO_COLOR", "")]).contains(RED));
    assert!(!on_a_terminal(&words, &[("NO_COLOR", "1")]).contains('\x1b'));
    assert!(!on_a_terminal(&with(&["--color=never"]), &[]).contains('\x1b'));
    let always = on_a_terminal(&with(&["--color=always"]), &[("NO_COLOR", "1")]);
    assert!(always.contains(RED));
    assert!(!stdout(&sni_check(&words)).contains('\x1b'));
    assert!(stdout(&sni_check(&with(&["--color=always"]))).contains(RED));
}

#[test]
fn who_waits_on_a_terminal_sees_for_what() {
    // Accepts and says nothing.
    let silent = peer::tcp(|stream| {
        let _ = stream.set_read_timeout(None);
        let _ = std::io::Read::read_to_end(&mut &stream, &mut Vec::new());
    });
    let connect = format!("127.0.0.1:{silent}");
    let words = ["diagnose", "--timeout=700ms", "--connect", &connect, NAME];
    let seen = on_a_terminal(&words, &[]);
    assert!(seen.contains("TLS handshakes... 0."), "{seen:?}");
    let (_, after) = seen.rsplit_once("... ").expect("progress");
    let (_, after) = after.split_once(" s").expect("seconds");
    assert!(after.starts_with("\r\x1b[K"), "erased: {after:?}");
    let dumb = on_a_terminal(&words, &[("TERM", "dumb"), ("NO_COLOR", "1")]);
    assert!(!dumb.contains("handshakes..."), "{dumb:?}");
    let mut piped = Command::new(BINARY);
    let piped = piped.args(words).output().expect("sni-check runs");
    assert!(piped.stderr.is_empty(), "{piped:?}");
    assert_eq!(piped.status.code(), Some(62));
}

#[test]
fn the_report_is_no_wider_than_a_terminal_but_for_what_is_pasted() {
    let ca = Ca::new();
    let good = peer::answer(&ca.leaf(&[NAME], 30), "HTTP/1.1 200 OK\r\n\r\n");
    let plain = peer::tcp(|_| {});
    for port in [good, plain, dead_port()] {
        let connect = format!("127.0.0.1:{port}");
        let text = stdout(&sni_check(&["diagnose", "--connect", &connect, NAME]));
        let report = text.split("\nFor haproxy.cfg").next().expect("a report");
        assert!(report.lines().count() > 5 && text.len() > report.len());
        for line in report.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
