//! The README says what the program does.

mod support;

use argh::ArgsInfo;
use sni_check::code::Code;
use sni_check::explain;
use sni_check::options::Options;
use support::check::{expect, run_by_hand, stdout};

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
fn the_troubleshooting_is_what_explain_tells_first() {
    let told = explain::troubleshooting().into_iter();
    let expected: Vec<Vec<String>> = told
        .map(|(code, what, change)| vec![code, what.to_owned(), change.to_owned()])
        .collect();
    assert_eq!(table("Troubleshooting by code"), expected);
}

#[test]
fn the_table_of_options_and_the_help_are_the_programs() {
    let rows = table("Options");
    let documented: String = rows.iter().map(|row| format!("{}\n", row[0])).collect();
    let help = stdout(&run_by_hand(&["--help"]));
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

/// The code blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let blocks = README.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

#[test]
fn haproxy_takes_the_recipe_as_it_is() {
    let folder = support::folder::Folder::new();
    let recipes = blocks("haproxy");
    assert!(!recipes.is_empty());
    for recipe in recipes {
        let defaults = "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
                        frontend www\n bind 127.0.0.1:8080\n default_backend hybrid\n";
        let config = folder.file("haproxy.cfg", &format!("{defaults}{recipe}\n"));
        let variables = [
            ("SNI_HOST", support::NAME),
            ("HYBRID_STACK_HOST", "127.0.0.1"),
        ];
        let output = support::haproxy::Haproxy::check(&config, &variables);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && !text.contains("WARNING"),
            "{text}"
        );
    }
}

#[test]
fn the_call_that_haproxy_makes_can_be_pasted() {
    let call = blocks("sh")
        .into_iter()
        .find(|block| block.contains("env -i"))
        .expect("the call");
    let call = call.replace("/usr/local/bin/sni-check", support::check::BINARY);
    let port = support::dead_port().to_string();
    let call = call.replace("203.0.113.7 443", &format!("127.0.0.1 {port}"));
    let output = support::program("bash")
        .args(["-c", &call])
        .output()
        .expect("bash");
    assert_eq!(stdout(&output), "41\n");
    let line = expect(&output, 0, "");
    let start = format!("DOWN 41 L4CON hybrid/blue 127.0.0.1:{port} ");
    assert!(line.starts_with(&start), "{line}");
}
