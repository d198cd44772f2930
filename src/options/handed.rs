//! The options that haproxy.cfg passes to a check as one text. A check that HAProxy runs receives
//! them in `external-check path`. `sni-check serve` receives them in the header `X-Check-Options`.
//!
//! The check, serve, diagnose and doctor all use this module. So doctor refuses exactly what the check
//! and serve refuse.

use std::ffi::OsStr;
use std::time::Duration;

use anyhow::{Error, Result};

use super::parse::{Part, parse_unless};
use super::table::foreign;
use super::values::Time;
use super::{Options, Parsed, version_checks_nothing};
use crate::command::Command;
use crate::haproxy::call::{OPTIONS, PATH, begins_with_dash, split_options};
use crate::refusal::{refusal, together};

/// How the options get from haproxy.cfg to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The variable `PATH`, which `external-check path` sets.
    Path,
    /// A header of the request to `sni-check serve`.
    Header,
}

/// How long a check of `sni-check serve` may run. A running check occupies one of serve's places.
const LONGEST: Duration = Duration::from_secs(60);

impl Carrier {
    /// Returns the name of the carrier, as haproxy.cfg writes it.
    pub fn name(self) -> &'static str {
        match self {
            Carrier::Path => PATH,
            Carrier::Header => OPTIONS,
        }
    }

    /// Returns the command that the options are for.
    fn command(self) -> Command {
        match self {
            Carrier::Path => Command::Check,
            Carrier::Header => Command::Serve,
        }
    }

    /// Returns the refusal of an option or a word that doesn't belong in this carrier.
    fn refuse(self, part: &Part<'_>) -> Option<Error> {
        let (option, value) = match part {
            Part::Word(word) => {
                return Some(self.variable(word).unwrap_or_else(|| self.stray(word)));
            }
            Part::Switch(option) => (option, None),
            Part::Valued(option, value) => (option, Some(*value)),
            Part::Fault(_) => return None,
        };
        match *option {
            "--help" => Some(refusal("--help", "checks nothing", "leave it out here")),
            "--version" => Some(version_checks_nothing()),
            option => foreign(self.command(), option)
                .or_else(|| self.variable(value?))
                .or_else(|| self.too_long(option, value?)),
        }
    }

    fn stray(self, word: &str) -> Error {
        refusal(
            format!("`{word}` in {}", self.name()),
            "belongs to no option",
            "remove that word, or quote a value that has spaces",
        )
    }

    /// Returns the refusal of a word, if it has a variable of haproxy.cfg that HAProxy hasn't replaced.
    fn variable(self, word: &str) -> Option<Error> {
        let name = variable(word)?;
        Some(refusal(
            self.name(),
            format!("has ${{{name}}}, and HAProxy has not replaced it"),
            "put the whole text in double quotes: HAProxy replaces variables only inside double quotes",
        ))
    }

    fn too_long(self, option: &str, value: &str) -> Option<Error> {
        let Time(time) = (option == "--timeout").then(|| value.parse().ok())??;
        let limit = refuse_longer(Time(time), value).err();
        limit.filter(|_| self == Carrier::Header)
    }
}

/// Refuses a `--timeout` that is too long for a check of `sni-check serve`. `text` is the value as the user
/// wrote it.
///
/// # Errors
///
/// The time is longer than a minute.
pub fn refuse_longer(time: Time, text: &str) -> Result<()> {
    match time.0 > LONGEST {
        true => Err(refusal(
            format!("--timeout {text}"),
            "is longer than a minute, a limit of sni-check serve",
            "write a time below `timeout check`",
        )),
        false => Ok(()),
    }
}

/// Reads the options in the text of a carrier. An ordinary search path gives no options.
///
/// # Errors
///
/// All faults of the text and of its options, in one error.
pub fn options(carrier: Carrier, text: &OsStr) -> Result<Box<Options>> {
    let (start, words) = parts(carrier, text)?;
    let read = parse_unless(&["sni-check"], &words, |part| carrier.refuse(part));
    let faults = match (start, read) {
        (None, Ok(Parsed::Options(options))) => return Ok(options),
        (start, Ok(_)) => Vec::from_iter(start),
        (start, Err(error)) => start.into_iter().chain([error]).collect(),
    };
    let nothing = || refusal(carrier.name(), "has no options", "write options there");
    Err(together(faults).unwrap_or_else(nothing))
}

/// Splits the text of a carrier into words.
///
/// # Errors
/// An unclosed quote, a comment, bytes that aren't UTF-8, or text that doesn't begin with an option.
pub fn words(carrier: Carrier, text: &OsStr) -> Result<Vec<String>> {
    match parts(carrier, text)? {
        (None, words) => Ok(words),
        (Some(start), _) => Err(start),
    }
}

/// Returns the options and their values. If other text comes before the first option, also returns the
/// refusal of that text.
fn parts(carrier: Carrier, text: &OsStr) -> Result<(Option<Error>, Vec<String>)> {
    let bytes = text.as_encoded_bytes().trim_ascii_start();
    let unicode = text.to_str();
    // No folder of an ordinary search path begins with a quote.
    let first = unicode.unwrap_or_default().trim_start();
    let is_option = begins_with_dash(first.trim_start_matches(['\'', '"']));
    let is_option = is_option || bytes.starts_with(b"-");
    let what = match carrier {
        _ if is_option || bytes.is_empty() => None,
        // No ordinary search path contains ` --`, but text with a stray word before its options does.
        Carrier::Path if bytes.windows(3).any(|part| part == b" --") => {
            Some("does not begin with an option, but has one")
        }
        Carrier::Path => return Ok((None, Vec::new())),
        Carrier::Header => Some("does not begin with an option"),
    };
    let start = what.map(|what| {
        let write = match carrier {
            Carrier::Path => "remove the text before the first option",
            Carrier::Header => "write only options there, such as --sni www.example.com",
        };
        refusal(carrier.name(), what, write)
    });
    let Some(text) = unicode else {
        let write = "write it in UTF-8, without other bytes";
        let other = refusal(carrier.name(), "is not UTF-8", write);
        return Err(start.unwrap_or(other));
    };
    match (split_options(text, carrier.name()), start) {
        (Ok(words), start) => {
            let first = words.iter().position(|word| begins_with_dash(word));
            let words = words.into_iter().skip(first.unwrap_or(usize::MAX));
            Ok((start, words.collect()))
        }
        (Err(error), start) => Err(together(start.into_iter().chain([error]).collect())
            .unwrap_or_else(|| refusal(carrier.name(), "can't be read", "write only options"))),
    }
}

/// Returns the name in the first `${NAME}`, `${NAME-default}` or `${NAME[*]}`.
fn variable(word: &str) -> Option<&str> {
    word.match_indices("${").find_map(|(at, start)| {
        let text = &word[at + start.len()..];
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let (name, rest) = text.split_at(end);
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (named && rest.starts_with(['}', '-', '['])).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::{Carrier, options, variable, words};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn words_in_path(path: &OsStr) -> anyhow::Result<Vec<String>> {
        words(Carrier::Path, path)
    }

    fn refused(carrier: Carrier, text: &str) -> String {
        let refused = options(carrier, OsStr::new(text));
        refused.expect_err(text).to_string()
    }

    #[test]
    fn an_ordinary_path_carries_no_options() {
        for path in ["", "/usr/bin:/bin", "."] {
            assert!(words_in_path(OsStr::new(path)).expect(path).is_empty());
        }
    }

    #[test]
    fn the_first_option_may_be_quoted() {
        let words = words_in_path(OsStr::new("'--sni' 'a.example'")).expect("words");
        assert_eq!(words, ["--sni", "a.example"]);
    }

    #[test]
    fn shell_quoting_holds_words_together() {
        let path = OsStr::new(r#" --sni a.example --header 'X-A: b c' --expect "string \"x\"" "#);
        let words = words_in_path(path).expect("words");
        assert_eq!(
            words,
            [
                "--sni",
                "a.example",
                "--header",
                "X-A: b c",
                "--expect",
                "string \"x\""
            ]
        );
    }

    #[test]
    fn text_that_a_shell_would_not_accept_is_refused() {
        for (path, part) in [
            (&b"--sni 'a"[..], "not closed"),
            (b"--sni a\\", "backslash"),
            (b"--uri / #x --expect status", "a comment"),
            (b"--uri / #x\n--expect status", "a comment"),
            (b"--uri / #x\n", "a comment"),
            (b"-- # --sni a.example", "a comment"),
            (b"--sni \xff", "UTF-8"),
        ] {
            let error = words_in_path(OsStr::from_bytes(path)).expect_err("refused");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn characters_that_only_look_like_a_dash_are_refused_by_name() {
        for path in ["–-sni a.example", "—sni a.example", " ‑‑sni a", "-–sni a"] {
            let error = options(Carrier::Path, OsStr::new(path))
                .expect_err(path)
                .to_string();
            assert!(
                error.contains("which only looks like -; write --sni, with"),
                "{error}"
            );
        }
        for path in ["/opt/–:/bin", "--body –x"] {
            assert!(options(Carrier::Path, OsStr::new(path)).is_ok(), "{path}");
        }
    }

    #[test]
    fn every_word_must_belong_to_an_option() {
        for (path, part) in [
            (
                "--sni a.example stray",
                "`stray` in external-check path belongs to no option",
            ),
            ("--sni a.example stray --method", "--method has no value"),
            (
                "--sni a.example -- --uri",
                "`--uri` in external-check path belongs to no option",
            ),
            ("--header 'X: a' b", "quote a value that has spaces"),
            ("--uri / --sni ", "--sni has no value"),
            (
                "--uri / --sni",
                "set the variable that the value comes from",
            ),
            ("--header 'X: ${TOKEN}'", "has ${TOKEN}, and"),
            ("/bin --sni a.example", "does not begin with an option"),
            ("check --sni a.example", "does not begin with an option"),
        ] {
            let error = refused(Carrier::Path, path);
            assert!(error.contains(part), "{path}: {error}");
        }
    }

    #[test]
    fn every_fault_of_a_text_is_reported_at_once() {
        for carrier in [Carrier::Path, Carrier::Header] {
            let text = "www.example.com --sni --uri / x y --timeout 90q --color never --help";
            let error = refused(carrier, text);
            let name = carrier.name();
            let mut rest = error.as_str();
            for part in [
                "does not begin with an option",
                "Also: --sni has no value before --uri; ",
                &format!("Also: `x` in {name} belongs to no option; "),
                "Also: --timeout 90q is not a time; ",
                "Also: --color is for diagnose. ",
                "Also: --help checks nothing; ",
            ] {
                let at = rest.find(part).unwrap_or_else(|| panic!("{part}: {error}"));
                rest = &rest[at + part.len()..];
            }
            assert_eq!(error.matches("Also: ").count(), 5, "{error}");
        }
    }

    #[test]
    fn the_rest_of_an_unquoted_value_is_not_a_second_fault() {
        let error = refused(Carrier::Path, "--sni a --expect string all good");
        assert!(
            error.contains("--expect") && !error.contains("Also"),
            "{error}"
        );
        let error = refused(Carrier::Path, "--sni '${A}' --uri '/${B}' --port 0");
        assert_eq!(
            error.matches("HAProxy has not replaced it").count(),
            1,
            "{error}"
        );
        assert!(error.contains("Also: --port 0"), "{error}");
    }

    #[test]
    fn a_check_of_serve_may_take_a_minute() {
        let text = OsStr::new("--timeout 90s");
        assert!(options(Carrier::Path, text).is_ok());
        assert!(refused(Carrier::Header, "--timeout 90s").contains("limit of sni-check serve"));
        assert!(options(Carrier::Header, OsStr::new("--timeout 60s")).is_ok());
        assert!(options(Carrier::Header, OsStr::new("")).is_ok());
    }

    #[test]
    fn only_haproxys_form_is_a_variable() {
        assert_eq!(variable("a ${NAME} b"), Some("NAME"));
        assert_eq!(variable("${2} ${NAME-x}"), Some("NAME"));
        for word in ["$NAME", "rstring a${2}", "${", "${a b}", "string $"] {
            assert_eq!(variable(word), None, "{word}");
        }
    }
}
