//! The README and the pages of docs/ match the program.

mod support;

use argh::ArgsInfo;
use sni_check::code::Code;
use sni_check::explain;
use sni_check::options::Options;
use support::check::{expect, run_by_hand, stdout};
use support::haproxy::{RELEASES, versions};
use support::stage::Stage;

const README: &str = include_str!("../README.md");

/// Returns the cells of the table under a heading, row by row.
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
fn the_table_of_codes_matches_the_program() {
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
fn the_troubleshooting_table_matches_explain() {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md");
    let rows = explain::troubleshooting().into_iter();
    let rows = rows.map(|(code, what, change)| format!("| {code} | {what} | {change} |\n"));
    let page = std::fs::read_to_string(FILE).expect("the page");
    let (before, table) = page.split_once("|---|---|---|\n").expect("the table");
    let expected = rows.collect::<String>();
    if std::env::var_os("UPDATE").is_some() {
        let page = format!("{before}|---|---|---|\n{expected}");
        std::fs::write(FILE, page).expect("the page");
        return;
    }
    assert_eq!(table, expected, "UPDATE=1 cargo test --test readme");
}

#[test]
fn the_table_of_options_and_the_help_match_the_program() {
    let rows = table("Options");
    let documented: String = rows.iter().map(|row| format!("{}\n", row[0])).collect();
    let help = stdout(&run_by_hand(&["--help"])) + &stdout(&run_by_hand(&["diagnose", "--help"]));
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

/// The README's table of releases matches the tests, and each test that it names runs with every
/// release.
#[test]
fn the_table_of_haproxy_releases_matches_the_tests() {
    let rows = table("Which check is the right one");
    let expected = RELEASES.map(|(release, debian)| match debian {
        "sid" => format!("{release} or later, sid"),
        _ => format!("{release}, {debian}"),
    });
    let releases: Vec<&String> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(releases, expected.iter().collect::<Vec<_>>());
    assert!(
        rows.iter()
            .flat_map(|row| &row[1..])
            .all(|cell| cell == "yes")
    );
    let head = README.lines().find(|line| line.starts_with("| HAProxy, "));
    let head = head.expect("the head of the table");
    let named: Vec<&str> = head
        .split('`')
        .filter(|name| name.starts_with("tests/"))
        .collect();
    assert_eq!(named.len() + 1, rows[0].len(), "{head}");
    for name in named {
        let source = source(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
        // `make outages` runs tests/outages/ with each release.
        let all = ["with_every_haproxy(", "versions()", "chosen()"];
        assert!(all.iter().any(|call| source.contains(call)), "{name}");
    }
}

/// Returns the text of a test file, or of all files in its folder.
fn source(path: &std::path::Path) -> String {
    if path.is_file() {
        return std::fs::read_to_string(path).expect("a source");
    }
    let files = std::fs::read_dir(path).expect("a folder");
    files
        .map(|file| source(&file.expect("a file").path()))
        .collect()
}

#[test]
fn the_readme_is_short() {
    // Tables don't count, because each option and each code adds a row.
    let prose = README.lines().filter(|line| !line.starts_with('|'));
    let lines = prose.count();
    assert!(lines <= 190, "{lines} lines without tables");
}

/// Returns the README and the pages of docs/ with their names.
fn pages() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).expect("docs");
    let docs = docs.map(|file| file.expect("a file").path());
    let docs = docs.filter(|file| file.extension().is_some_and(|end| end == "md"));
    docs.chain([root.join("README.md")])
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("a page");
            (file.display().to_string(), text)
        })
        .collect()
}

#[test]
fn files_that_the_pages_name_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, text) in pages() {
        let folders = ["src/", "haproxy/", "docker/", "docs/", "tests/", "benches/"];
        for name in text
            .split(['`', '(', ')'])
            .filter(|name| folders.iter().any(|folder| name.starts_with(folder)))
        {
            let file = name.split('#').next().unwrap_or_default();
            assert!(root.join(file).exists(), "{page} names {name}");
        }
        // These links are relative to the page's folder.
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap_or_default();
            if link.is_empty() || link.contains("://") {
                continue;
            }
            let folder = std::path::Path::new(&page).parent().expect("a folder");
            assert!(folder.join(link).exists(), "{page} links to {link}");
        }
    }
}

/// Returns a page's code blocks in this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

#[test]
fn haproxy_accepts_every_recipe_unchanged() {
    let stage = Stage::new();
    let mut recipes = 0;
    for (page, text) in pages() {
        for recipe in blocks(&text, "haproxy") {
            recipes += 1;
            let defaults = "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
                            frontend www\n bind 127.0.0.1:8080\n default_backend hybrid\n";
            let recipe = recipe.replace("/etc/haproxy/company.pem", &stage.ca_file);
            let config = stage
                .folder
                .file("haproxy.cfg", &format!("{defaults}{recipe}\n"));
            let variables = [
                ("SNI_HOST", support::NAME),
                ("HYBRID_STACK_HOST", "127.0.0.1"),
            ];
            for version in versions() {
                let output = version.check(&config, &variables);
                let message = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(
                    output.status.success() && !message.contains("WARNING"),
                    "{page}, HAProxy {}: {message}",
                    version.number
                );
            }
        }
    }
    assert!(recipes >= 2, "{recipes} recipes");
}

#[test]
fn the_call_that_haproxy_makes_can_be_pasted() {
    let call = blocks(README, "sh")
        .into_iter()
        .find(|block| block.contains("env -i"))
        .expect("the call");
    let call = call.replace("/usr/local/bin/sni-check", support::check::BINARY);
    let port = support::dead_port().to_string();
    let call = call.replace("203.0.113.7 443", &format!("127.0.0.1 {port}"));
    let stage = Stage::new();
    let call = call.replace("/etc/haproxy/company.pem", &stage.ca_file);
    let output = support::program("bash")
        .args(["-c", &call])
        .output()
        .expect("bash");
    assert_eq!(stdout(&output), "41\n");
    let line = expect(&output, 0, "");
    let start = format!("DOWN 41 L4CON hybrid/blue 127.0.0.1:{port} ");
    assert!(line.starts_with(&start), "{line}");
}

#[test]
fn the_diagnosis_can_be_pasted() {
    let (_, call) = README
        .split_once("`sni-check diagnose --connect")
        .expect("a call");
    let (options, _) = call.split_once('`').expect("the end of the call");
    let address = format!("127.0.0.1:{}", support::dead_port());
    let options = options.replace("203.0.113.7:443", &address);
    let call = format!(
        "{} diagnose --haproxy none --connect{options}",
        support::check::BINARY
    );
    let output = support::program("bash").args(["-c", &call]).output();
    expect(&output.expect("bash"), 41, "");
}

/// tests/knobs tests what a check sends, and tests/haproxy.rs tests when HAProxy and the check read
/// files.
#[test]
fn the_pages_say_what_haproxy_does_differently() {
    let pages = pages();
    for (name, parts) in [
        (
            "README.md",
            ["`User-Agent: sni-check/VERSION`", "reload HAProxy too"],
        ),
        (
            "limits.md",
            ["`User-Agent: sni-check/VERSION`", "reload HAProxy too"],
        ),
        (
            "serve.md",
            [
                "HAProxy shows L7TOUT without a code",
                "it reads files only when it starts",
            ],
        ),
    ] {
        let page = pages.iter().find(|(page, _)| page.ends_with(name));
        let text = &page.expect(name).1;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(text.contains(part), "{name} lacks {part}");
        }
    }
}
