//! The completions in packaging/completions/, one file per shell.
//!
//! The name of an option's value decides how a shell completes the value: `FILE` stands for a file,
//! any other word in capitals for free text, and `this|that` for these words.

use std::fmt::Write as _;

use argh::{ArgsInfo, FlagInfo, Optionality};
use sni_check::code::Code;
use sni_check::command::Command;
use sni_check::doctor::DoctorOptions;
use sni_check::explain::SHOWN;
use sni_check::options::table::row;
use sni_check::serve::ServeOptions;

use super::{UPDATE, assert_is_up_to_date, flags, of_servers, value_name};
use crate::support::folder::Folder;
use crate::tools::{run, tool};

const BASH: &str = "packaging/completions/sni-check.bash";
const ZSH: &str = "packaging/completions/_sni-check";
const FISH: &str = "packaging/completions/sni-check.fish";

/// The values that may follow an option.
struct Value {
    name: &'static str,
    words: Vec<&'static str>,
    file: bool,
}

fn value(flag: &FlagInfo<'static>) -> Option<Value> {
    let name = value_name(flag)?;
    let (placeholders, words): (Vec<_>, Vec<_>) = name
        .split('|')
        .partition(|part| !part.contains(char::is_lowercase));
    Some(Value {
        name,
        words,
        file: placeholders.contains(&"FILE") || placeholders.contains(&"DIR"),
    })
}

/// Returns the options that a command accepts: its own options first, then the options of a check.
fn flags_of(command: Command) -> impl Iterator<Item = &'static FlagInfo<'static>> {
    let own: Vec<&FlagInfo<'static>> = match command {
        Command::Serve => ServeOptions::get_args_info().flags.iter().collect(),
        Command::Diagnose => of_servers().collect(),
        _ => Vec::new(),
    };
    let is_for = move |name: &str| row(name).is_none_or(|row| row.is_for(command));
    let shared = flags().iter().filter(move |flag| is_for(flag.long));
    own.into_iter().chain(shared)
}

/// Returns the options of a check, of serve, and of diagnose for haproxy.cfg.
fn every_flag() -> impl Iterator<Item = &'static FlagInfo<'static>> {
    let own = ServeOptions::get_args_info().flags;
    flags().iter().chain(own).chain(of_servers())
}

fn accepts_flag(command: Command, flag: &FlagInfo<'static>) -> bool {
    flags_of(command).any(|taken| taken.long == flag.long)
}

fn header() -> String {
    format!("# From src/options.rs and src/command.rs by {UPDATE}\n")
}

/// Returns the words that may follow a command's name, with their meanings. Returns `None` if a
/// check's options and target follow the name.
fn words_after(command: Command) -> Option<Vec<(String, &'static str)>> {
    match command {
        Command::Check | Command::Diagnose | Command::Serve => None,
        Command::Doctor => {
            let flags = DoctorOptions::get_args_info().flags.iter();
            let flags = flags.map(|flag| (flag.long.to_owned(), flag.description));
            Some(flags.collect())
        }
        Command::Explain => {
            let codes = Code::ALL.map(|code| (code.number().to_string(), code.meaning()));
            // bash completes only single words.
            let shown = SHOWN.iter().filter(|shown| !shown.word.contains(' '));
            let shown = shown.map(|shown| (shown.word.to_owned(), shown.brief));
            Some(codes.into_iter().chain(shown).collect())
        }
    }
}

/// Returns the commands whose names only certain words may follow, each with these words.
fn commands_with_words() -> impl Iterator<Item = (Command, Vec<(String, &'static str)>)> {
    let commands = Command::NAMED.into_iter();
    commands.filter_map(|command| Some((command, words_after(command)?)))
}

fn description(flag: &FlagInfo<'static>) -> String {
    one_line(flag.description)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn bash() -> String {
    let mut cases = String::new();
    for flag in every_flag() {
        let Some(value) = value(flag) else { continue };
        let mut commands = Vec::new();
        if value.file {
            commands.push(
                "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\")"
                    .to_owned(),
            );
        }
        if !value.words.is_empty() {
            commands.push(format!("mapfile -t -O \"${{#COMPREPLY[@]}}\" COMPREPLY < <(compgen -W '{}' -- \"$current\")", value.words.join(" ")));
        }
        let commands = if commands.is_empty() {
            ":".to_owned()
        } else {
            commands.join("\n            ")
        };
        writeln!(
            cases,
            "        {})\n            {commands}\n            ;;",
            flag.long
        )
        .expect("a string");
    }
    let options = |command| {
        let options: Vec<&str> = flags_of(command).map(|flag| flag.long).collect();
        options.join(" ")
    };
    let names = Command::NAMED.map(Command::name).join(" ");
    let mut commands = String::new();
    for command in [Command::Diagnose, Command::Serve] {
        let (name, options) = (command.name(), options(command));
        writeln!(
            commands,
            "        {name})\n            options='{options}'\n            ;;"
        )
        .expect("a string");
    }
    let options = options(Command::Check);
    for (command, words) in commands_with_words() {
        let words: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
        let (name, words) = (command.name(), words.join(" "));
        if command == Command::Doctor {
            writeln!(commands, "        {name})\n            if [[ $current == -* ]]; then\n                mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$current\")\n            else\n                compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n            fi\n            return\n            ;;").expect("a string");
            continue;
        }
        writeln!(commands, "        {name})\n            [[ $COMP_CWORD -eq 2 ]] && mapfile -t COMPREPLY < <(compgen -W '--help {words}' -- \"$current\")\n            return\n            ;;").expect("a string");
    }
    format!(
        r#"{}
_sni_check() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} option=${{COMP_WORDS[COMP_CWORD-1]}}
    local options='{options}'
    # bash splits --name=value into three words.
    if [[ $current == = ]]; then
        current=
    elif [[ $option == = ]]; then
        option=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '{names}' -- "$current"; compgen -A hostname -- "$current")
        return
    fi
    case ${{COMP_WORDS[1]}} in
{commands}    esac
    case $option in
{cases}        *)
            if [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
            else
                mapfile -t COMPREPLY < <(compgen -A hostname -- "$current")
            fi
            ;;
    esac
}}

complete -F _sni_check sni-check
"#,
        header()
    )
}

fn zsh() -> String {
    let escape = |text: &str| {
        text.replace('\'', "'\\''")
            .replace('[', "\\[")
            .replace(']', "\\]")
            .replace(':', "\\:")
    };
    let spec = |flag: &FlagInfo<'static>| {
        let repeats = if matches!(flag.optionality, Optionality::Repeating) {
            "*"
        } else {
            ""
        };
        let (equals, value) = match value(flag) {
            None => ("", String::new()),
            Some(value) => {
                let words = value.words.join(" ");
                let action = match (value.file, words.as_str()) {
                    (true, "") => "_files".to_owned(),
                    (true, words) => {
                        format!(
                            "{{_alternative \"files\\:file\\:_files\" \"words\\:word\\:({words})\"}}"
                        )
                    }
                    (false, "") => " ".to_owned(),
                    (false, words) => format!("({words})"),
                };
                ("=", format!(":{}:{action}", escape(value.name)))
            }
        };
        let description = escape(&description(flag));
        format!(
            "    '{repeats}{}{equals}[{description}]{value}' \\\n",
            flag.long
        )
    };
    let specs = |command| flags_of(command).map(spec).collect::<String>();
    let described = |words: &[(String, &str)]| {
        let words = words.iter().map(|(word, meaning)| {
            let meaning = one_line(meaning);
            let meaning = meaning.replace('\'', "'\\''").replace(':', "\\:");
            format!("'{word}:{meaning}'")
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let names = Command::NAMED.map(|command| (command.name().to_owned(), command.purpose()));
    let names = described(&names);
    let mut commands = String::new();
    for (command, words) in commands_with_words() {
        let (name, words) = (command.name(), described(&words));
        if command == Command::Doctor {
            writeln!(commands, "if (( CURRENT > 2 )) && [[ $words[2] == {name} ]]; then\n    local -a following=({words})\n    if [[ $PREFIX == -* ]]; then _describe -o {name} following; else _files; fi\n    return\nfi").expect("a string");
            continue;
        }
        writeln!(commands, "if (( CURRENT > 2 )) && [[ $words[2] == {name} ]]; then\n    local -a following=({words})\n    (( CURRENT == 3 )) && _describe {name} following\n    return\nfi").expect("a string");
    }
    format!(
        "#compdef sni-check\n{}\n_sni_check_first() {{\n    local -a commands=({names})\n    (( CURRENT == 2 )) && _describe command commands\n    _hosts\n}}\n\n{commands}if (( CURRENT > 2 )) && [[ $words[2] == {diagnose} ]]; then\n    _arguments -S \\\n{}    '1:command' \\\n    '*:TARGET:_hosts'\n    return\nfi\nif (( CURRENT > 2 )) && [[ $words[2] == {serve} ]]; then\n    _arguments -S \\\n{}    '1:command'\n    return\nfi\n_arguments -S \\\n{}    '1:command or target:_sni_check_first' \\\n    '*:TARGET:_hosts'\n",
        header(),
        specs(Command::Diagnose),
        specs(Command::Serve),
        specs(Command::Check),
        diagnose = Command::Diagnose.name(),
        serve = Command::Serve.name(),
    )
}

fn fish() -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut lines = format!("{}\ncomplete -c sni-check -f\n", header());
    let names = commands_with_words().map(|(command, _)| command.name());
    let elsewhere = names.collect::<Vec<_>>().join(" ");
    writeln!(lines, "complete -c sni-check -n 'not __fish_seen_subcommand_from {elsewhere}' -a '(__fish_print_hostnames)'").expect("a string");
    for command in Command::NAMED {
        let (name, purpose) = (command.name(), quote(command.purpose()));
        writeln!(lines, "complete -c sni-check -n 'test (count (commandline -opc)) -eq 1' -a {name} -d {purpose}").expect("a string");
    }
    let doctor = Command::Doctor.name();
    writeln!(lines, "complete -c sni-check -n '__fish_seen_subcommand_from {doctor}' -a '(__fish_complete_path (commandline -ct))'").expect("a string");
    for (command, words) in commands_with_words() {
        for (word, meaning) in words {
            let (name, meaning) = (command.name(), quote(&one_line(meaning)));
            if let Some(option) = word.strip_prefix("--") {
                writeln!(lines, "complete -c sni-check -n '__fish_seen_subcommand_from {name}' -l {option} -d {meaning}").expect("a string");
                continue;
            }
            writeln!(lines, "complete -c sni-check -n '__fish_seen_subcommand_from {name}' -a {word} -d {meaning}").expect("a string");
        }
    }
    for flag in every_flag() {
        let value = value(flag).map_or(String::new(), |value| {
            let kind = if value.file { " -r -F" } else { " -x" };
            let words = match value.words.join(" ") {
                words if words.is_empty() => words,
                words => format!(" -a {}", quote(&words)),
            };
            format!("{kind}{words}")
        });
        let name = flag.long.trim_start_matches('-');
        let named = |accepts: bool| {
            let commands = [Command::Diagnose, Command::Serve].into_iter();
            let named = commands.filter(|command| accepts_flag(*command, flag) == accepts);
            named.map(Command::name).collect::<Vec<_>>().join(" ")
        };
        let only = match (accepts_flag(Command::Check, flag), named(false)) {
            (true, without) if without.is_empty() => String::new(),
            (true, without) => format!(" -n 'not __fish_seen_subcommand_from {without}'"),
            (false, _) => format!(" -n '__fish_seen_subcommand_from {}'", named(true)),
        };
        writeln!(
            lines,
            "complete -c sni-check{only} -l {name}{value} -d {}",
            quote(&description(flag))
        )
        .expect("a string");
    }
    lines
}

#[test]
fn the_completions_are_made_from_the_options() {
    assert_is_up_to_date(BASH, &bash());
    assert_is_up_to_date(ZSH, &zsh());
    assert_is_up_to_date(FISH, &fish());
}

/// Returns bash's suggestions for the last of these words.
fn in_bash(words: &[&str]) -> Vec<String> {
    let script = format!(
        "source {BASH}; COMP_WORDS=(sni-check \"$@\"); COMP_CWORD=$#; _sni_check 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    lines(&run(tool("bash")
        .args(["--norc", "-c", &script, "bash"])
        .args(words)))
}

/// Returns fish's suggestions at the end of this line.
fn in_fish(line: &str) -> Vec<String> {
    let script = format!(
        "source {FISH}; or exit; complete -C 'sni-check {line}' | string split -f 1 \\t; true"
    );
    // fish creates folders in its home folder.
    let home = Folder::new();
    lines(&run(tool("fish")
        .args(["--no-config", "-c", &script])
        .env("HOME", home.path())))
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Returns the codes that begin with 7.
fn codes_of_http() -> Vec<String> {
    let codes = Code::ALL.map(|code| code.number().to_string());
    let codes = codes.into_iter().filter(|code| code.starts_with('7'));
    codes.collect()
}

#[test]
fn bash_completes_options_words_and_files() {
    assert_eq!(in_bash(&["--send"]), ["--send-proxy", "--send-proxy-v2"]);
    assert_eq!(in_bash(&["--verify", "r"]), ["required"]);
    assert_eq!(in_bash(&["--verify", "=", "n"]), ["none"]);
    assert_eq!(in_bash(&["--verify", "="]), ["required", "none"]);
    assert_eq!(in_bash(&["--crt", "Cargo.t"]), ["Cargo.toml"]);
    assert_eq!(in_bash(&["--ca-file", "@s"]), ["@system-ca"]);
    assert!(in_bash(&["--sni", "Cargo.t"]).is_empty());
    assert_eq!(in_bash(&["-"]).len(), flags_of(Command::Check).count());
    assert_eq!(in_bash(&["diagnose", "--col"]), ["--color"]);
    assert!(in_bash(&["diagnose", "--quie"]).is_empty());
    assert!(in_bash(&["--col"]).is_empty());
    assert_eq!(in_bash(&["dia"]), ["diagnose"]);
    assert_eq!(in_bash(&["diagnose", "--verify", "r"]), ["required"]);
    assert_eq!(in_bash(&["doctor", "--ru"]), ["--run"]);
    assert_eq!(in_bash(&["serve", "--max-c"]), ["--max-checks"]);
    assert_eq!(in_bash(&["serve", "--files", "Cargo.t"]), ["Cargo.toml"]);
    assert!(in_bash(&["--max-c"]).is_empty());
    assert_eq!(in_bash(&["doctor", "-f", "Cargo.t"]), ["Cargo.toml"]);
    assert_eq!(in_bash(&["explain", "7"]), codes_of_http());
    assert_eq!(in_bash(&["explain", "PROCT"]), ["PROCTOUT"]);
}

#[test]
fn fish_completes_options_words_and_files() {
    assert_eq!(in_fish("--send"), ["--send-proxy", "--send-proxy-v2"]);
    assert_eq!(in_fish("www.example.com --verify r"), ["required"]);
    assert_eq!(in_fish("--verify=n"), ["--verify=none"]);
    assert_eq!(in_fish("--crt Cargo.t"), ["Cargo.toml"]);
    assert_eq!(in_fish("--ca-file @s"), ["@system-ca"]);
    assert!(in_fish("--sni Cargo.t").is_empty());
    assert_eq!(in_fish("dia"), ["diagnose"]);
    assert_eq!(in_fish("diagnose --verify r"), ["required"]);
    assert_eq!(in_fish("diagnose --col"), ["--color"]);
    assert!(in_fish("diagnose --quie").is_empty());
    assert_eq!(in_fish("doctor --ru"), ["--run"]);
    assert_eq!(in_fish("serve --max-c"), ["--max-checks"]);
    assert!(in_fish("serve --versi").is_empty());
    assert!(in_fish("--max-c").is_empty());
    assert_eq!(in_fish("doctor Cargo.t"), ["Cargo.toml"]);
    assert_eq!(in_fish("explain 7"), codes_of_http());
}

/// Returns the line that zsh shows after Tab.
fn in_zsh(line: &str) -> String {
    let script = r#"
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "PS1=; stty -echo; fpath=($PWD/packaging/completions \$fpath); autoload -U compinit; compinit -u -D; \
            show() { print -r -- \"<\$BUFFER>\"; BUFFER=; zle accept-line }; zle -N show; bindkey '^X' show; \
            print rea''dy"
        zpty -r -m shell seen '*ready*'
        zpty -w -n shell "sni-check $1"$'\t\x18'
        zpty -r -m shell seen '*<sni-check*>*'
        print -r -- "${${seen##*<sni-check }%%>*}"
    "#;
    let mut zsh = tool("timeout");
    run(zsh
        .args(["20", "zsh", "-f", "-c", script, "zsh", line])
        .env("TERM", "dumb"))
    .trim()
    .to_owned()
}

#[test]
fn zsh_completes_options_words_and_files() {
    assert_eq!(in_zsh("--source"), "--source=");
    assert_eq!(
        in_zsh("www.example.com --verify r"),
        "www.example.com --verify required"
    );
    assert_eq!(in_zsh("--verify=n"), "--verify=none");
    assert_eq!(in_zsh("--crt Cargo.t"), "--crt Cargo.toml");
    assert_eq!(in_zsh("--ca-file @s"), "--ca-file @system-ca");
    assert_eq!(in_zsh("--sni Cargo.t"), "--sni Cargo.t");
    assert_eq!(in_zsh("dia"), "diagnose");
    assert_eq!(in_zsh("diagnose --verify r"), "diagnose --verify required");
    assert_eq!(in_zsh("diagnose --col"), "diagnose --color=");
    assert_eq!(in_zsh("diagnose --quie"), "diagnose --quie");
    assert_eq!(in_zsh("explain 65"), "explain 65");
    assert_eq!(in_zsh("doctor --ru"), "doctor --run");
    assert_eq!(in_zsh("serve --max-c"), "serve --max-checks=");
    assert_eq!(in_zsh("serve --files Cargo.t"), "serve --files Cargo.toml");
    assert_eq!(in_zsh("doctor -f Cargo.t"), "doctor -f Cargo.toml");
}
