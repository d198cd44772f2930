//! The report on a terminal, in a pipe, and while a user waits for it.

use crate::support::NAME;
use crate::support::check::{BINARY, run_by_hand, stdout};
use crate::support::pki::Ca;
use crate::support::{dead_port, peer, program};

/// Returns what a terminal shows, standard error included.
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
fn only_terminals_get_colour_by_default() {
    let connect = format!("127.0.0.1:{}", dead_port());
    let words = ["diagnose", "--verbose", "--connect", &connect, NAME];
    let with = |more: &[&'static str]| {
        let mut words = words.to_vec();
        words.extend(more);
        words
    };
    const RED: &str = "\x1b[31mproblem\x1b[0m";
    assert!(on_a_terminal(&words, &[]).contains(RED));
    assert!(on_a_terminal(&words, &[("NO_COLOR", "")]).contains(RED));
    assert!(!on_a_terminal(&words, &[("NO_COLOR", "1"), ("TERM", "dumb")]).contains('\x1b'));
    assert!(!on_a_terminal(&with(&["--color=never"]), &[("TERM", "dumb")]).contains('\x1b'));
    let always = on_a_terminal(&with(&["--color=always"]), &[("NO_COLOR", "1")]);
    assert!(always.contains(RED));
    assert!(!stdout(&run_by_hand(&words)).contains('\x1b'));
    assert!(stdout(&run_by_hand(&with(&["--color=always"]))).contains(RED));
}

#[test]
fn the_terminal_shows_what_diagnose_waits_for() {
    let connect = format!("127.0.0.1:{}", peer::silent());
    let words = ["diagnose", "--timeout=700ms", "--connect", &connect, NAME];
    let seen = on_a_terminal(&words, &[]);
    assert!(seen.contains("TLS handshakes... 0."), "{seen:?}");
    let (_, after) = seen.rsplit_once("... ").expect("progress");
    let (_, after) = after.split_once(" s").expect("seconds");
    assert!(
        after.starts_with("\r\x1b[K"),
        "the progress isn't erased: {after:?}"
    );
    let dumb = on_a_terminal(&words, &[("TERM", "dumb"), ("NO_COLOR", "1")]);
    assert!(!dumb.contains("handshakes..."), "{dumb:?}");
    let piped = run_by_hand(&words);
    assert!(piped.stderr.is_empty(), "{piped:?}");
    assert_eq!(piped.status.code(), Some(62));
}

#[test]
fn only_lines_to_paste_are_wider_than_a_terminal() {
    let ca = Ca::new();
    let good = peer::answer(&ca.leaf(&[NAME], 30), "HTTP/1.1 200 OK\r\n\r\n");
    let plain = peer::tcp(|_| {});
    for port in [good, plain, dead_port()] {
        let connect = format!("127.0.0.1:{port}");
        let words = ["diagnose", "--verbose", "--connect", &connect, NAME];
        let text = stdout(&run_by_hand(&words));
        let report = text.split("\nFor haproxy.cfg").next().expect("a report");
        assert!(report.lines().count() > 5);
        for line in report.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
