//! `sni-check explain` as it is called.

use std::process::Output;

use sni_check::code::Code;
use sni_check::command;

use crate::support::check::{by_hand, expect, run_by_hand, stdout};

fn explain(words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = by_hand(&[&["explain"], words].concat());
    command.envs(environment.iter().copied());
    command.output().expect("sni-check runs")
}

#[test]
fn a_code_is_explained_with_causes_and_changes() {
    let output = explain(&["65"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(text.starts_with("65 L6RSP"), "{text}");
    assert!(text.contains("check-sni"), "{text}");
}

#[test]
fn without_a_code_the_whole_table_is_printed() {
    let table = stdout(&explain(&[], &[]));
    for code in Code::ALL {
        let row = format!("{:>4}  {}", code.number(), code.haproxy_word());
        assert!(table.lines().any(|line| line.starts_with(&row)), "{row}");
    }
}

#[test]
fn what_is_not_a_code_is_refused() {
    let output = explain(&["1000"], &[]);
    expect(&output, 2, "not a code of sni-check");
}

#[test]
fn under_haproxy_there_is_only_the_check() {
    let output = explain(&["0"], &[("HAPROXY_SERVER_NAME", "s1")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn each_command_has_a_help_of_its_own_and_the_program_lists_them() {
    let help = |words: &[&str]| {
        let output = run_by_hand(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        stdout(&output)
    };
    let all = help(&["--help"]);
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
