//! packaging/man/sni-check.1 is generated from the template in the same folder.

use argh::{ArgsInfo, FlagInfo};
use sni_check::code::Code;
use sni_check::command::Command;
use sni_check::doctor::DoctorOptions;
use sni_check::options::table::{Group, row};
use sni_check::serve::ServeOptions;

use super::{UPDATE, assert_is_up_to_date, flags, of_servers, value_name};
use crate::tools::{output, root, run, tool};

const MANUAL: &str = "packaging/man/sni-check.1";

fn manual() -> String {
    let template =
        std::fs::read_to_string(root().join("packaging/man/sni-check.1.in")).expect("the template");
    let codes = Code::ALL.map(|code| {
        let meaning = escape(&code.meaning().replace('`', ""));
        let word = match code.haproxy_word() {
            "-" => String::new(),
            word => format!(" [{word}]"),
        };
        format!(
            ".It {}\n{}",
            code.number(),
            wrap(&format!("{meaning}{word}"))
        )
    });
    template
        .replace(
            "@GENERATED@",
            &format!("From sni-check.1.in and src/options.rs by {UPDATE}"),
        )
        .replace("@SYNOPSIS@", &Command::NAMED.map(synopsis).join("\n"))
        .replace("@COMMANDS@", &Command::NAMED.map(command).join("\n"))
        .replace("@OPTIONS@", &Group::ALL.map(group).join("\n"))
        .replace("@DIAGNOSE_OPTIONS@", &options(of_diagnose()))
        .replace(
            "@DOCTOR_OPTIONS@",
            &options(DoctorOptions::get_args_info().flags.iter()),
        )
        .replace(
            "@SERVE_OPTIONS@",
            &options(ServeOptions::get_args_info().flags.iter()),
        )
        .replace("@EXIT_STATUS@", &codes.join("\n"))
}

/// Returns the options of a check in this group.
fn group(group: Group) -> String {
    let is_in = |flag: &&FlagInfo<'static>| match row(flag.long) {
        Some(row) => row.group == group && row.is_for(Command::Check),
        None => group == Group::Output,
    };
    let options = options(flags().iter().filter(is_in));
    let title = group.title();
    format!(".Ss {title}\n.Bl -tag -width Ds\n{options}\n.El")
}

/// Returns the options that only diagnose accepts.
fn of_diagnose() -> impl Iterator<Item = &'static FlagInfo<'static>> {
    let only = |name: &str| row(name).is_some_and(|row| row.commands == [Command::Diagnose]);
    let shared = flags().iter().filter(move |flag| only(flag.long));
    of_servers().chain(shared)
}

fn options(flags: impl Iterator<Item = &'static FlagInfo<'static>>) -> String {
    let options = flags.map(|flag| {
        let value = value_name(flag)
            .map(|name| format!(" Ar {}", escape(name)))
            .unwrap_or_default();
        let short = flag
            .short
            .map(|letter| format!("Fl {letter} , "))
            .unwrap_or_default();
        let name = escape(flag.long.trim_start_matches('-'));
        format!(
            ".It {short}Fl -{name}{value}\n{}",
            wrap(&escape(flag.description))
        )
    });
    options.collect::<Vec<_>>().join("\n")
}

fn synopsis(command: Command) -> String {
    format!(".Nm\n.Cm {}\n{}", command.name(), arguments(command))
}

fn command(command: Command) -> String {
    let (first, rest) = command.purpose().split_at(1);
    let purpose = wrap(&escape(&format!("{}{rest}", first.to_uppercase())));
    let arguments = arguments(command);
    // If more words follow on the line, mdoc needs a macro for the end of a group.
    let groups = arguments
        .lines()
        .map(|line| match line.strip_prefix(".Op ") {
            Some(group) => format!("Oo {group} Oc"),
            None => line.trim_start_matches('.').to_owned(),
        });
    let groups: Vec<String> = groups.collect();
    format!(".It Cm {} {}\n{purpose}.", command.name(), groups.join(" "))
}

/// Returns a command's arguments as mdoc. Each line of `arguments` is an optional group or a value.
fn arguments(command: Command) -> String {
    let groups = command.arguments().split_inclusive([']', ' ']);
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for word in groups.flat_map(str::split_whitespace) {
        let bare = word.trim_matches(['[', ']']);
        let (bare, more) = match bare.strip_suffix("...") {
            Some(bare) => (bare, " ..."),
            None => (bare, ""),
        };
        let macro_ = match bare.strip_prefix('-') {
            Some(flag) => format!("Fl {}{more}", escape(flag)),
            None => format!("Ar {bare}{more}"),
        };
        match lines.last_mut() {
            Some(line) if open => *line = format!("{line} {macro_}"),
            _ if word.starts_with('[') => lines.push(format!(".Op {macro_}")),
            _ => lines.push(format!(".{macro_}")),
        }
        open = (open || word.starts_with('[')) && !word.ends_with(']');
    }
    lines.join("\n")
}

/// Escapes the special characters of roff.
fn escape(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('…', "...")
}

/// Wraps text into lines. No line starts with a character that starts a request in roff.
fn wrap(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            *line = word.to_owned();
        } else if line.len() + word.len() < 76 {
            *line = format!("{line} {word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    let lines = lines
        .iter()
        .map(|line| match line.starts_with(['.', '\'']) {
            true => format!("\\&{line}"),
            false => line.clone(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_manual_is_made_from_the_options_and_the_codes() {
    assert_is_up_to_date(MANUAL, &manual());
}

#[test]
fn mandoc_reports_nothing() {
    let lint = output(tool("mandoc").args(["-T", "lint", "-W", "style", MANUAL]));
    let text =
        String::from_utf8_lossy(&lint.stdout).into_owned() + &String::from_utf8_lossy(&lint.stderr);
    assert!(lint.status.success() && text.is_empty(), "{text}");
}

#[test]
fn man_formats_the_page_without_a_warning() {
    let page = output(
        tool("man")
            .args(["--warnings", "-l", MANUAL])
            .env("LC_ALL", "C.UTF-8")
            .env("MANPAGER", "cat"),
    );
    assert!(page.status.success());
    assert_eq!(String::from_utf8_lossy(&page.stderr), "");
}

#[test]
fn the_page_shows_every_command_every_option_and_every_code() {
    let page = run(tool("mandoc").args(["-T", "ascii", MANUAL]));
    // On a terminal, bold and underlined letters are overstruck. `col` removes that.
    let page: String = run(tool("col").arg("-bx").stdin(file_with(&page)));
    for command in Command::NAMED {
        let synopsis = format!("     sni-check {} {}", command.name(), command.arguments());
        let synopsis = synopsis.replace("...", " ...");
        assert!(page.contains(&synopsis), "{synopsis}");
    }
    for flag in flags() {
        let entry = value_name(flag).map_or(flag.long.to_owned(), |value| {
            format!("{} {value}", flag.long)
        });
        assert!(
            page.contains(&format!("     {entry}\n")) || page.contains(&format!("     {entry}  ")),
            "{entry}"
        );
    }
    for code in Code::ALL {
        assert!(
            page.contains(&format!("     {:<2} ", code.number())),
            "{code:?}"
        );
    }
}

fn file_with(text: &str) -> std::fs::File {
    let path = crate::tools::workspace("manual").join("page");
    std::fs::write(&path, text).expect("a file");
    std::fs::File::open(&path).expect("a file")
}
