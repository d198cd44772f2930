//! `sni-check explain`, run as users run it.

use std::process::Output;

use sni_check::code::Code;
use sni_check::command;

use crate::support::check::{BINARY, by_hand, expect, run_by_hand, stdout};
use crate::support::folder::Folder;
use crate::support::program;

fn explain(words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = by_hand(&[&["explain"], words].concat());
    command.envs(environment.iter().copied());
    command.output().expect("sni-check runs")
}

#[test]
fn explain_shows_causes_and_changes_of_a_code() {
    let output = explain(&["65"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(text.starts_with("65 L6RSP"), "{text}");
    assert!(text.contains("check-sni"), "{text}");
}

/// Returns the text that `explain` prints for a code, without line breaks.
fn explain_text(code: &str) -> String {
    let text = stdout(&explain(&[code], &[]));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn explain_names_causes_that_operators_met() {
    let user_agent = concat!("sni-check/", env!("CARGO_PKG_VERSION"));
    let reload = "eload HAProxy too: it reads files only when it starts";
    let behind = "its own backend is down";
    for (code, part) in [
        ("0", reload),
        ("43", "firewalld's default"),
        (
            "43",
            "`invalid argument` (blackhole) or `permission denied` (prohibit)",
        ),
        ("43", "accepts the connection (or resets it at once)"),
        ("55", reload),
        ("56", reload),
        (
            "57",
            "The certificate was renewed, but the server still uses the old one",
        ),
        ("58", reload),
        ("62", behind),
        ("62", "path MTU"),
        ("64", behind),
        (
            "71",
            "nginx reports this with status 400 after the handshake",
        ),
        ("71", "--header 'User-Agent: Mozilla/5.0'"),
        (
            "71",
            &format!("curl --user-agent {user_agent} URL gets the same answer"),
        ),
        ("75", "another site, a login or maintenance page"),
        ("L7TOUT", "serve hangs"),
        ("L7TOUT", "sni-check explain 72"),
        ("SOCKERR", "--listen unix:CHROOT/run/sni-check/socket."),
        (
            "SOCKERR",
            "`(likely caused by missing 'insecure-fork-wanted')`",
        ),
    ] {
        let said = explain_text(code);
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_command_that_runs_a_check_in_the_chroot_can_be_pasted() {
    let text = stdout(&explain(&["255"], &[]));
    let command = text
        .split("confirm  ")
        .find(|part| part.starts_with("chroot "));
    let command = command
        .and_then(|part| part.lines().next())
        .expect("the command");
    let folder = Folder::new();
    folder.copy(BINARY, "check", 0o755);
    let command = command
        .replace("USER", "nobody")
        .replace("CHROOT", &folder.path().display().to_string())
        .replace("COMMAND", "/check");
    let output = program("sh").args(["-c", &command]).output().expect("sh");
    let version = format!("sni-check {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&output), version, "{command}: {output:?}");
}

#[test]
fn without_a_code_explain_prints_the_whole_table() {
    let table = stdout(&explain(&[], &[]));
    for code in Code::ALL {
        let row = format!("{:>4}  {}", code.number(), code.haproxy_word());
        assert!(table.lines().any(|line| line.starts_with(&row)), "{row}");
    }
}

#[test]
fn an_unknown_code_is_refused() {
    let output = explain(&["1000"], &[]);
    expect(&output, 2, "not a code of sni-check");
}

#[test]
fn under_haproxy_only_the_check_runs() {
    let output = explain(&["0"], &[("HAPROXY_SERVER_NAME", "s1")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn each_command_has_its_own_help_and_the_program_lists_them() {
    let help = |words: &[&str]| {
        let output = run_by_hand(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        stdout(&output)
    };
    let all = help(&["--help"]);
    for shown in ["\nTLS:\n", "  --port N  ", "  --verify required|none\n"] {
        assert!(all.contains(shown), "{all}");
    }
    let columns = |line: &str| line.chars().count();
    assert!(all.lines().all(|line| columns(line) <= 80), "{all}");
    for command in command::Command::NAMED {
        assert!(all.contains(&format!("  {} ", command.name())), "{all}");
        for flag in ["--help", "-h"] {
            let text = help(&[command.name(), flag]);
            let usage = format!(
                "Usage: sni-check {} {}\n",
                command.name(),
                command.arguments()
            );
            assert!(text.starts_with(&usage), "{text}");
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        }
    }
}
