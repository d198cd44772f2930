//! Applies the fix of a finding, if the fix consists of lines, keywords, options or commands that copy files.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;

use crate::reality::Text;
use crate::said::Finding;

/// The keywords of a server line that have a value.
const WITH_VALUE: &[&str] = &[
    "verify",
    "ca-file",
    "sni",
    "check-sni",
    "verifyhost",
    "crt",
    "alpn",
    "port",
    "addr",
    "inter",
    "init-state",
    "source",
    "check-alpn",
];

/// Returns the configuration with the fix. If the fix copies files into the chroot, they go into a copy of
/// the chroot in `folder`. Returns `None` if the fix is prose, or needs knowledge that only the operator
/// has.
pub fn with_fix(text: &Text, finding: &Finding, folder: &str) -> Option<Text> {
    let is_copy = |line: &&str| line.starts_with("install -D ");
    let mut text = match finding.write.lines().find(is_copy) {
        Some(copies) => with_copies(text, copies, folder)?,
        None => text.clone(),
    };
    let mut write = finding.write.lines().next()?;
    if is_copy(&write) {
        return Some(text);
    }
    if let Some((_, option)) = write.split_once(", in place of --") {
        let name = option.split([' ', ',', ';']).next()?;
        text.sections = in_options(&text.sections, |old| {
            without_option(old, &format!("--{name}"))
        });
    }
    write = write
        .strip_prefix("to check where visitors go, ")
        .unwrap_or(write);
    // If the fix offers alternatives, apply only the first.
    for alternative in [
        ", or ",
        "; or ",
        "; otherwise",
        ", in place of --",
        ", with a copy",
    ] {
        write = write.split(alternative).next()?;
    }
    // Only the operator can decide if a condition in the fix is true.
    if has_placeholder(write) || write.starts_with("if ") || write.contains(" if ") {
        return None;
    }
    write
        .split("; and ")
        .try_fold(text, |text, part| step(&text, part, finding))
}

/// Runs the commands that copy files into the chroot. Other configurations use the same chroot, so the
/// commands write into a copy of it. The returned configuration uses the copy. Returns `None` if a command
/// writes outside of the chroot.
fn with_copies(text: &Text, commands: &str, folder: &str) -> Option<Text> {
    let mut lines = text.global.lines();
    let chroot = lines.find_map(|line| line.trim().strip_prefix("chroot "))?;
    let mut hasher = DefaultHasher::new();
    commands.hash(&mut hasher);
    let own = format!("{folder}/{}-{:x}", text.prefix, hasher.finish());
    let copy = |command: &str| {
        let (command, to) = command.rsplit_once(' ')?;
        let to = to.strip_prefix(chroot).filter(|to| to.starts_with('/'))?;
        let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        words.push(format!("{own}{to}"));
        (words[0] == "install" && !to.contains("..")).then_some(words)
    };
    let copies: Vec<Vec<String>> = commands.split(" && ").map(copy).collect::<Option<_>>()?;
    // Another finding with the same fix may have made the copy already.
    if !Path::new(&own).exists() {
        fs::metadata(chroot).ok()?;
        // `-l` makes hard links, so that the sockets in the chroot also work in the copy.
        run(Command::new("cp").args(["-al", chroot, &own]));
        for copy in copies {
            run(Command::new(&copy[0]).args(&copy[1..]));
        }
    }
    let line = |root: &str| format!("chroot {root}\n");
    Some(Text {
        global: text.global.replace(&line(chroot), &line(&own)),
        ..text.clone()
    })
}

fn run(command: &mut Command) {
    let status = command.status().expect("the command runs");
    assert!(status.success(), "{command:?}: {status}");
}

/// Applies one step of a fix to the servers that the finding is about. Returns `None` if the step is prose.
fn step(text: &Text, write: &str, finding: &Finding) -> Option<Text> {
    let about = finding.about.as_slice();
    let mut fixed = text.clone();
    let before_sections = text.global.lines().count();
    let line = finding
        .line
        .and_then(|line| line.checked_sub(before_sections + 1));
    if let Some(sections) = in_connect_line(text, write, line) {
        fixed.sections = sections;
        return Some(fixed);
    }
    let is_word = |start: &&str| write.starts_with(*start);
    if let Some(line) = write.split("the `global` section: ").nth(1) {
        fixed.global = format!("{}    {line}\n", text.global);
    } else if let Some(options) = before(write, &OF_OPTIONS) {
        fixed.sections = with_options(&text.sections, options.trim_start_matches("add "))?;
    } else if write.starts_with("add `check`") {
        fixed.sections = with_words(text, &["check"], about);
    } else if let Some(word) = write.strip_prefix("remove ") {
        let word = word.split(" from the ").next()?.trim_matches('`');
        fixed.sections = match word.split_once("` from ") {
            Some((option, _)) if option.starts_with("--") => {
                in_options(&text.sections, |old| without_option(old, option))
            }
            _ => without_word(text, word)?,
        };
    } else if let Some(words) = before(write, &[" in default-server"]) {
        fixed.sections = in_default_server(&text.sections, words);
    } else if let Some(words) = before(write, &OF_SERVER_LINE) {
        let words = words.trim_start_matches("add ").trim_matches('`');
        fixed.sections = with_words(text, &split(words)?, about);
    } else if ["check-", "ssl ", "sni ", "verify ", "send-proxy", "crt "]
        .iter()
        .any(is_word)
    {
        fixed.sections = with_words(text, &split(write.split(" (").next()?)?, about);
    } else if ["external-check command ", "http-check send-state"]
        .iter()
        .any(is_word)
    {
        fixed.sections = with_line(text, write);
    } else if write.starts_with("write external-check command ") {
        let lines = write.trim_start_matches("write ").split(" and then ");
        for line in lines {
            fixed.sections = with_line(&fixed, line);
        }
    } else if let Some(line) =
        write.strip_prefix("in the backend, before http-check expect, write ")
    {
        fixed.sections = before_expect(text, line);
    } else if let Some(line) =
        write.strip_prefix("in the backend, in place of the http-check send line, write ")
    {
        fixed.sections = with_line(text, line);
    } else if let Some(line) = write.strip_prefix("in the backend, write ") {
        fixed.sections = with_line(text, line);
    } else if let Some(option) = write.strip_prefix("in the same defaults, add option ") {
        let option = option.split(',').next()?;
        let (before, rules) = text.sections.split_once("    http-check ")?;
        fixed.sections = format!("{before}    option {option}\n    http-check {rules}");
    } else if let Some(option) = write.strip_prefix("add option ") {
        let option = option.split(',').next()?;
        fixed.sections = with_line(text, &format!("option {option}"));
    } else {
        return None;
    }
    Some(fixed)
}

/// In the text of a fix, these phrases follow sni-check's options.
const OF_OPTIONS: [&str; 3] = [
    " in external-check path",
    " to external-check path",
    " in X-Check-Options",
];

/// In the text of a fix, these phrases follow keywords of the server line.
const OF_SERVER_LINE: [&str; 3] = [
    " on the server line",
    " to the server line",
    " at the end of its line",
];

fn before<'a>(text: &'a str, ends: &[&str]) -> Option<&'a str> {
    ends.iter()
        .find_map(|end| text.split_once(end))
        .map(|(start, _)| start)
}

/// Returns true if the text has a placeholder that a person must replace: `NAME`, `FILE`, `ADDR:PORT` and
/// so on.
fn has_placeholder(write: &str) -> bool {
    let words = write.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let mut words =
        words.filter(|word| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase()));
    words.any(|word| {
        [
            "NAME", "FILE", "ADDR", "PORT", "VALUE", "TIME", "HOST", "ADDRESS",
        ]
        .contains(&word)
    })
}

/// Splits the text into keywords of a server line, each with its value. Returns `None` if the text is prose.
fn split(words: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let mut rest = words.trim();
    while !rest.is_empty() {
        let end = rest.find(' ').unwrap_or(rest.len());
        let name = &rest[..end];
        let end = match WITH_VALUE.contains(&name) {
            true => rest[(end + 1).min(rest.len())..]
                .find(' ')
                .map_or(rest.len(), |more| end + 1 + more),
            false => end,
        };
        if !name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        {
            return None;
        }
        found.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Some(found)
}

fn with_words(text: &Text, words: &[&str], about: &[String]) -> String {
    let lines: Vec<&str> = text.sections.lines().collect();
    let mut own = text.server_lines();
    own.retain(|index| is_about(lines[*index], &text.prefix, about));
    let lines = text
        .sections
        .lines()
        .enumerate()
        .map(|(index, line)| match own.contains(&index) {
            true => {
                let kept = words
                    .iter()
                    .fold(line.to_owned(), |line, word| without(&line, word));
                format!("{kept} {}\n", words.join(" "))
            }
            false => format!("{line}\n"),
        });
    lines.collect()
}

/// Replaces a keyword and its value in each `default-server` line that has the keyword.
fn in_default_server(sections: &str, word: &str) -> String {
    let name = format!(" {} ", word.split(' ').next().unwrap_or_default());
    let lines = sections.lines().map(|line| {
        let is_set = line.trim_start().starts_with("default-server") && line.contains(&name);
        match is_set {
            true => format!("{} {word}\n", without(line, word)),
            false => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// Returns true if a finding about these backends and servers concerns the server in this line. An empty
/// `about` and the name of a backend concern every server.
fn is_about(line: &str, backend: &str, about: &[String]) -> bool {
    let name = line.split_whitespace().nth(1).unwrap_or_default();
    let is_server = |about: &String| match about.split_once('/') {
        // A `server-template` appends a number to the names of its servers.
        Some((of, server)) => of == backend && server.starts_with(name),
        None => true,
    };
    about.is_empty() || about.iter().any(is_server)
}

/// Returns the sections after removing this keyword from server lines and `default-server` lines. Returns
/// `None` if `word` is prose.
fn without_word(text: &Text, word: &str) -> Option<String> {
    if word.contains(' ') {
        return None;
    }
    let own = text.server_lines();
    let lines = text.sections.lines().enumerate().map(|(index, line)| {
        let is_server = own.contains(&index) || line.trim_start().starts_with("default-server");
        match is_server {
            true => without(line, word) + "\n",
            false => format!("{line}\n"),
        }
    });
    Some(lines.collect())
}

/// Returns a server line without this keyword and its value.
fn without(line: &str, word: &str) -> String {
    let name = word.split(' ').next().unwrap_or_default();
    let mut words = line.split(' ');
    let mut left = Vec::new();
    while let Some(known) = words.next() {
        // The value of `cookie` may be `check`.
        let is_value = left.last() == Some(&"cookie");
        match known == name && !left.is_empty() && !is_value {
            true if WITH_VALUE.contains(&name) => _ = words.next(),
            true => {}
            false => left.push(known),
        }
    }
    left.join(" ")
}

/// Applies a fix to the `connect` rule in the line with this index. Returns `None` if the fix doesn't
/// change a `connect` rule.
fn in_connect_line(text: &Text, write: &str, line: Option<usize>) -> Option<String> {
    let mut lines: Vec<String> = text.sections.lines().map(str::to_owned).collect();
    let line = lines
        .get_mut(line?)
        .filter(|line| line.contains("-check connect"))?;
    let connect = "-check connect";
    if write.starts_with("add `default` after connect") {
        *line = line.replace(connect, "-check connect default");
    } else if write.starts_with("add send-proxy to that") {
        line.push_str(" send-proxy");
    } else if let Some(word) = write.strip_suffix("` from that connect line") {
        *line = without_value(line, word.strip_prefix("remove `")?);
    } else if let Some(words) = write.strip_prefix("in that connect line, write ") {
        *line = format!("{} {words}", without_value(line, words.split(' ').next()?));
    } else if let Some(words) = write.strip_prefix("in place of that connect line, write ") {
        *line = format!("    {words}");
    } else {
        return None;
    }
    Some(lines.join("\n") + "\n")
}

/// Returns a `connect` rule without this keyword and its value.
fn without_value(line: &str, name: &str) -> String {
    let mut words = line.split(' ');
    let mut left = Vec::new();
    while let Some(word) = words.next() {
        match (
            word == name,
            ["sni", "port", "addr", "alpn", "proto"].contains(&word),
        ) {
            (true, true) => _ = words.next(),
            (true, false) => {}
            (false, _) => left.push(word),
        }
    }
    left.join(" ")
}

/// Adds options to sni-check's options, or replaces options with the same name. Returns `None` if `options`
/// is prose.
fn with_options(sections: &str, options: &str) -> Option<String> {
    let names = options
        .split(" --")
        .map(|option| format!("--{}", option.trim_start_matches("--")));
    let names: Vec<String> = names.collect();
    options.starts_with("--").then(|| {
        in_options(sections, |old| {
            let start = old.to_owned();
            let left = names
                .iter()
                .fold(start, |old, name| without_option(&old, name));
            format!("{left} {options}")
        })
    })
}

/// Changes sni-check's options in all lines that contain them.
fn in_options(sections: &str, edit: impl Fn(&str) -> String) -> String {
    let lines = sections.lines().map(|line| {
        let is_path = line.trim_start().starts_with("external-check path")
            || line.contains("X-Check-Options");
        // Some people write a backslash before each space instead of quotes.
        let escaped = line.split_once(" path --").filter(|_| is_path);
        let line = &match escaped {
            Some((head, rest)) => format!("{head} path \"--{}\"", rest.replace("\\ ", " ")),
            None => line.to_owned(),
        };
        let start = line.find("\"--").or(line.find("'--")).filter(|_| is_path);
        match start {
            Some(start) => {
                let (head, old) = line.split_at(start + 1);
                let end = old.len() - 1;
                format!("{head}{}{}\n", edit(&old[..end]), &old[end..])
            }
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// Returns the options without this option and its value.
fn without_option(old: &str, option: &str) -> String {
    let name = |part: &str| part.split([' ', '=']).next().unwrap_or_default().to_owned();
    let parts = old.split(" --").filter(|part| !part.trim().is_empty());
    let parts = parts.map(|part| format!("--{}", part.trim_start_matches("--")));
    let left: Vec<String> = parts.filter(|part| name(part) != name(option)).collect();
    left.join(" ")
}

/// Replaces the lines that begin with the same two words. If there are no such lines, adds the line to the
/// backend before its servers.
fn with_line(text: &Text, line: &str) -> String {
    let first = text.server_lines().first().copied();
    let is_same = |known: &str| known.split_whitespace().take(2).eq(line.split(' ').take(2));
    let is_new = !text.sections.lines().any(is_same);
    let mut sections = String::new();
    for (index, known) in text.sections.lines().enumerate() {
        if Some(index) == first && is_new {
            sections += &format!("    {line}\n");
        }
        sections += &match is_same(known) {
            true => format!("    {line}\n"),
            false => format!("{known}\n"),
        };
    }
    sections
}

/// Removes the `http-check send` lines, and adds this line before the first `http-check expect`.
fn before_expect(text: &Text, line: &str) -> String {
    let mut is_new = true;
    let mut sections = String::new();
    for known in text.sections.lines() {
        if known.trim_start().starts_with("http-check send ") {
            continue;
        }
        if is_new && known.trim_start().starts_with("http-check expect") {
            sections += &format!("    {line}\n");
            is_new = false;
        }
        sections += &format!("{known}\n");
    }
    sections
}
