//! The README says what the program does.

use std::process::Command;

use argh::ArgsInfo;
use sni_check::code::Code;
use sni_check::options::Options;

const README: &str = include_str!("../README.md");

/// The rows of the table under a heading, as cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = README
        .split_once(&format!("\n## {heading}\n"))
        .expect(heading);
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|row| {
            let row = row.replace("\\|", "\u{0}");
            let cells = row.trim_matches('|').split('|');
            cells
                .map(|cell| cell.trim().replace('\u{0}', "|"))
                .collect()
        })
        .collect()
}

#[test]
fn the_table_of_codes_is_the_programs() {
    let expected: Vec<Vec<String>> = Code::ALL
        .iter()
        .map(|code| {
            let number = code.number().to_string();
            vec![
                number,
                code.haproxy_word().to_owned(),
                code.meaning().to_owned(),
            ]
        })
        .collect();
    assert_eq!(table("Exit codes"), expected);
}

#[test]
fn every_code_has_a_row_in_the_troubleshooting() {
    let rows = table("Troubleshooting by code");
    let mentioned: Vec<&str> = rows.iter().flat_map(|row| row[0].split(", ")).collect();
    for code in Code::ALL.iter().filter(|code| **code != Code::Healthy) {
        assert!(
            mentioned.contains(&code.number().to_string().as_str()),
            "{code:?}"
        );
    }
}

#[test]
fn the_table_of_options_and_the_help_are_the_programs() {
    let rows = table("Options");
    let documented: String = rows.iter().map(|row| format!("{}\n", row[0])).collect();
    let help = Command::new(env!("CARGO_BIN_EXE_sni-check"))
        .arg("--help")
        .env_clear()
        .output()
        .expect("the program runs");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let info = Options::get_args_info();
    let options: Vec<&str> = info.flags.iter().map(|flag| flag.long).collect();
    for option in &options {
        assert!(help.contains(option), "--help lacks {option}");
        let word = |text: &str| {
            text.split(|c: char| !(c.is_alphanumeric() || c == '-'))
                .any(|w| w == *option)
        };
        assert!(
            ["--help", "--version"].contains(option) || word(&documented),
            "README lacks {option}"
        );
    }
    for word in documented.split(|c: char| !(c.is_alphanumeric() || c == '-')) {
        assert!(
            !word.starts_with("--") || options.contains(&word),
            "README invents {word}"
        );
    }
}

#[test]
fn files_that_the_readme_names_are_there() {
    for name in README.split(['`', '(', ')']).filter(|name| {
        ["src/", "haproxy/", "docker/", "tests/"]
            .iter()
            .any(|folder| name.starts_with(folder))
    }) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        assert!(path.exists(), "{name}");
    }
}
