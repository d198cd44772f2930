//! Reads arguments as options, and reports all faults at once.

use anyhow::{Error, Result, anyhow};
use argh::{ArgsInfo, FlagInfo, FlagInfoKind, FromArgs, Optionality};

use super::familiar;
use crate::haproxy::call::refuse_lookalike;
use crate::refusal::{Misfit, SET_THE_VARIABLE, refusal, together};

/// The result of reading arguments.
#[derive(Debug)]
pub enum Parsed<T> {
    /// `--help`.
    Help,
    /// The options.
    Options(Box<T>),
}

/// Reads the arguments that follow `command`.
///
/// # Errors
///
/// Every unknown option, missing value and malformed value.
pub fn parse_as<T: FromArgs + ArgsInfo>(command: &[&str], words: &[String]) -> Result<Parsed<T>> {
    parse_unless(command, words, |_| None)
}

/// One part of a call.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// An option without a value, such as `--help`.
    Switch(&'a str),
    /// An option and its value.
    Valued(&'a str, &'a str),
    /// A word that belongs to no option. It is a target or a mistake.
    Word(&'a str),
    /// A word that can't be read.
    Fault(Error),
}

/// Reads the arguments that follow `command`. `refuse` returns the fault of a part that is well formed
/// but doesn't belong here.
///
/// # Errors
///
/// The same as for [`parse_as`], and what `refuse` returns.
pub(super) fn parse_unless<T: FromArgs + ArgsInfo>(
    command: &[&str],
    words: &[String],
    refuse: impl Fn(&Part<'_>) -> Option<Error>,
) -> Result<Parsed<T>> {
    let info = T::get_args_info();
    // Don't suggest an option that would be refused here.
    let is_for = |flag: &str| refuse(&Part::Switch(flag)).is_none();
    let parts = split(command, words, info.flags, &is_for);
    let misplaced = |part: &Part<'_>| match part {
        Part::Word(word) if info.positionals.is_empty() => Some(stray(command, word)),
        part => refuse(part),
    };
    let is_sound = |part: &Part<'_>| !matches!(part, Part::Fault(_)) && misplaced(part).is_none();
    let mut whole = None;
    if parts.iter().all(is_sound) {
        match T::from_args(command, &arguments(&parts)) {
            Ok(options) => return Ok(Parsed::Options(Box::new(options))),
            Err(exit) if exit.status.is_ok() => return Ok(Parsed::Help),
            Err(exit) => whole = Some(refused(exit.output.trim())),
        }
    }
    let mut faults = Vec::new();
    let mut follows_fault = false;
    for part in parts {
        let fault = match &part {
            // Such words are usually the rest of a value that should be in quotes.
            Part::Word(_) if follows_fault => continue,
            part => misplaced(part).or_else(|| misfit::<T>(command, part)),
        };
        let fault = match part {
            Part::Fault(error) => Some(error),
            _ => fault,
        };
        follows_fault = fault.is_some();
        faults.extend(fault);
    }
    let all = together(faults).or(whole);
    Err(all.unwrap_or_else(|| anyhow!("options that can't be read")))
}

/// Returns the fault that argh finds in this option's value when it reads only this option.
fn misfit<T: FromArgs>(command: &[&str], part: &Part<'_>) -> Option<Error> {
    let Part::Valued(option, value) = part else {
        return None;
    };
    let exit = T::from_args(command, &[option, value]).err()?;
    if value.is_empty() {
        return Some(refusal(*option, "is empty", SET_THE_VARIABLE));
    }
    Some(refused(exit.output.trim()))
}

/// Returns the arguments for argh: first the options, then `--` and the other words. After `--`, argh doesn't
/// read a word as an option.
fn arguments<'a>(parts: &[Part<'a>]) -> Vec<&'a str> {
    let mut arguments = Vec::with_capacity(2 * parts.len() + 1);
    let mut words = Vec::new();
    for part in parts {
        match part {
            Part::Switch(option) => arguments.push(*option),
            Part::Valued(option, value) => arguments.extend([*option, *value]),
            Part::Word(word) => words.push(*word),
            Part::Fault(_) => {}
        }
    }
    if !words.is_empty() {
        arguments.push("--");
        arguments.append(&mut words);
    }
    arguments
}

/// Turns an error of argh (`Error parsing option '--timeout' with value '5x': …`) into a refusal.
fn refused(text: &str) -> Error {
    let parts = text
        .strip_prefix("Error parsing option '")
        .and_then(|rest| rest.split_once("' with value '"))
        .and_then(|(option, rest)| {
            let (value, _) = rest.rsplit_once("': ")?;
            let misfit = Misfit::from_text(&rest[value.len() + 3..])?;
            Some((format!("{option} {value}"), misfit))
        });
    match parts {
        Some((subject, misfit)) => misfit.of(&subject),
        None => anyhow!("{text}"),
    }
}

fn stray(command: &[&str], word: &str) -> Error {
    let write = format!(
        "write only options, such as -f FILE; {} --help lists them",
        command.join(" ")
    );
    refusal(format!("`{word}`"), "belongs to no option", write)
}

/// Splits the arguments into options with their values, and other words. argh would miss some of the
/// faults found here, and explain others badly. The most important fault is a missing value: argh
/// would read the next option as the value. In `external-check path "--sni ${SNI_HOST} --uri /"`,
/// an unset variable leaves `--sni` without a value.
fn split<'a>(
    command: &[&str],
    words: &'a [String],
    flags: &'static [FlagInfo<'static>],
    is_for: &dyn Fn(&str) -> bool,
) -> Vec<Part<'a>> {
    let mut parts = Vec::with_capacity(words.len());
    let mut given: Vec<&str> = Vec::new();
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        if let Err(error) = refuse_lookalike(word) {
            parts.push(Part::Fault(error));
            continue;
        }
        if !word.starts_with('-') {
            parts.push(Part::Word(word));
            continue;
        }
        if word == "-h" || word == "--help" {
            parts.push(Part::Switch("--help"));
            continue;
        }
        if word == "--" {
            parts.extend(words.by_ref().map(Part::Word));
            break;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let flag = match known(command, name, flags, is_for) {
            Ok(flag) => flag,
            Err(error) => {
                parts.push(Part::Fault(error));
                continue;
            }
        };
        if matches!(flag.kind, FlagInfoKind::Switch) {
            parts.push(match value {
                None => Part::Switch(flag.long),
                Some(_) => {
                    let write = format!("write {name} without a value");
                    Part::Fault(refusal(name, "accepts no value", write))
                }
            });
            continue;
        }
        // The next option is never read as a value.
        let value = value.or_else(|| words.next_if(|next| !is_option(next, flags)));
        let again = flag.optionality != Optionality::Repeating && given.contains(&flag.long);
        given.push(flag.long);
        parts.push(match value {
            _ if again => Part::Fault(refusal(name, "is given twice", "give it only once")),
            Some(value) => Part::Valued(flag.long, value),
            None => Part::Fault(without_value(name, words.peek().copied())),
        });
    }
    parts
}

fn without_value(name: &str, next: Option<&str>) -> Error {
    let what = match next {
        Some(next) => format!("has no value before {next}"),
        None => "has no value".to_owned(),
    };
    refusal(name, what, SET_THE_VARIABLE)
}

fn is_option(word: &str, flags: &[FlagInfo<'_>]) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    flags.iter().any(|flag| is_called(flag, name))
}

fn is_called(flag: &FlagInfo<'_>, name: &str) -> bool {
    let short = name.strip_prefix('-').map(str::chars);
    let short = short.and_then(|mut letters| letters.next().filter(|_| letters.next().is_none()));
    flag.long == name || (short.is_some() && flag.short == short)
}

/// Returns the option of that name, or an error that suggests a similar option.
fn known(
    command: &[&str],
    name: &str,
    flags: &'static [FlagInfo<'static>],
    is_for: &dyn Fn(&str) -> bool,
) -> Result<&'static FlagInfo<'static>> {
    if let Some(flag) = flags.iter().find(|flag| is_called(flag, name)) {
        return Ok(flag);
    }
    if name.contains(' ') {
        let write = "quote only the value, such as --header 'NAME: VALUE'";
        return Err(refusal(
            format!("`{name}`"),
            "is one word, because of its quotes",
            write,
        ));
    }
    if let Some(owner) = familiar::owner(name) {
        let what = format!("is for {owner}");
        return Err(refusal(name, what, "leave it out here"));
    }
    let names = flags.iter().map(|flag| flag.long);
    let write = familiar::instead(name, names.filter(|name| is_for(name)));
    let write =
        write.unwrap_or_else(|| format!("choose one that {} --help lists", command.join(" ")));
    Err(refusal(name, "is not an option", write))
}

#[cfg(test)]
mod tests {
    use super::Parsed;
    use crate::options::{of_text as options, parse};

    fn refusal(text: &str) -> String {
        let words = shlex::split(text).expect(text);
        parse(&words).expect_err("a refusal").to_string()
    }

    #[test]
    fn a_value_may_follow_an_equals_sign() {
        let options = options("--sni=a.example '--expect=status 200' '--header=A: b=c' h");
        assert_eq!(options.sni.as_deref(), Some("a.example"));
        assert_eq!(options.expect.len(), 1);
        assert_eq!(options.header, ["A: b=c"]);
        assert_eq!(options.target, ["h"]);
    }

    #[test]
    fn a_value_may_begin_with_a_dash_but_not_be_an_option() {
        assert_eq!(options("--body -1").body.as_deref(), Some("-1"));
        assert!(refusal("--sni --uri /").contains("--sni has no value before --uri"));
        assert!(refusal("--uri").contains("--uri has no value"));
    }

    #[test]
    fn unknown_options_are_refused_with_the_most_similar_option() {
        assert!(refusal("--snl x").contains("did you mean --sni?"));
        assert!(refusal("--frobnicate").contains("--help lists"));
        assert_eq!(refusal("-k"), "-k is not an option; write --verify none");
        assert!(refusal("--quiet=1").contains("accepts no value"));
    }

    #[test]
    fn an_option_given_twice_is_refused_unless_it_is_repeatable() {
        assert!(refusal("--sni a --sni b").contains("--sni"));
        assert_eq!(options("--header 'A: 1' --header 'A: 2'").header.len(), 2);
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let text = refusal("--snl a --timeout 5x --sni --port 0 h --quiet=1");
        for part in [
            "--snl is not an option; did you mean --sni? Also: --timeout 5x is not a time; ",
            ". Also: --sni has no value before --port; ",
            ". Also: --port 0 is not a port; ",
            ". Also: --quiet accepts no value; ",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(text.matches("Also: ").count(), 4, "{text}");
        assert_eq!(refusal("-k -k"), refusal("-k"));
    }

    #[test]
    fn only_a_word_with_a_dash_asks_for_help() {
        let words = ["--help".to_owned()];
        assert!(matches!(parse(&words), Ok(Parsed::Help)));
        assert_eq!(options("help").target, ["help"]);
    }
}
