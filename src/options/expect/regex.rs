//! Regular expressions as HAProxy has them: PCRE2's, on bytes.
//!
//! HAProxy has them compiled to machine code, which has 32 kB of stack: where that is not enough, as
//! for `^(.|\n)*ready` and a body of more than 1.4 kB, it finds no match. That compiler would be a
//! twentieth of this program; without it, a bound on the memory comes to the same for such patterns.

use std::error::Error;
use std::fmt;

use pcre2::bytes::{Regex as Compiled, RegexBuilder};

use crate::refusal::Misfit;

/// How much memory a match may take, in kB: enough for 1 kB of `(.|\n)*`, a little less than in
/// HAProxy.
const HEAP_KB: u32 = 192;

/// Settings that PCRE2 takes at the start of a pattern only (pcre2pattern(3), "Special start-of-pattern
/// items").
const SETTINGS: [&str; 18] = [
    "UTF",
    "UCP",
    "NO_JIT",
    "NO_START_OPT",
    "NO_AUTO_POSSESS",
    "NO_DOTSTAR_ANCHOR",
    "NOTEMPTY",
    "NOTEMPTY_ATSTART",
    "CR",
    "LF",
    "CRLF",
    "ANYCRLF",
    "ANY",
    "NUL",
    "BSR_ANYCRLF",
    "BSR_UNICODE",
    "LIMIT_",
    "CASELESS_RESTRICT",
];

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub(super) struct Regex(Compiled);

/// Why there is no answer whether a regular expression matches: a limit of ours or of PCRE2's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It took longer than the check has.
    Time,
    /// It tried more ways to match than PCRE2's match limit of ten million.
    Matches,
    /// It needed more memory than it may take.
    Memory,
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GivenUp::Time => "its regular expression takes longer than the check has",
            GivenUp::Matches => "its regular expression tries more than 10 million ways to match",
            GivenUp::Memory => {
                "its regular expression takes too much memory, in HAProxy as well; write [\\s\\S]* for (.|\\n)*"
            }
        })
    }
}

impl Error for GivenUp {}

impl Regex {
    /// HAProxy compiles names of headers without regard to case, all else with it, and groups
    /// without a name capture nothing (its `regex_comp`).
    pub fn new(pattern: &str, caseless: bool) -> Result<Regex, Misfit> {
        let (settings, rest) = pattern.split_at(settings_length(pattern));
        let before = format!("(*LIMIT_HEAP={HEAP_KB})");
        let compiled = RegexBuilder::new()
            .caseless(caseless)
            .build(&format!("{before}{settings}(?n){rest}"));
        compiled.map(Regex).map_err(|error| {
            let text = error.to_string();
            // `PCRE2: error compiling pattern at offset 5: missing closing parenthesis`
            let cause = text.splitn(3, ": ").nth(2).unwrap_or(&text);
            Misfit::new(
                format!("is not a regular expression: {cause}"),
                "write a backslash before ( [ * + ? . | ^ $ to look for the character",
            )
        })
    }

    pub fn is_match(&self, text: &[u8]) -> Result<bool, GivenUp> {
        // From pcre2.h: the errors that a pattern and a subject can cause.
        const MATCH_LIMIT: i32 = -47;
        self.0.is_match(text).map_err(|error| match error.code() {
            MATCH_LIMIT => GivenUp::Matches,
            _ => GivenUp::Memory,
        })
    }
}

/// The length of the settings at the start of a pattern, such as `(*UTF)`.
fn settings_length(pattern: &str) -> usize {
    let mut rest = pattern;
    while let Some((name, after)) = rest
        .strip_prefix("(*")
        .and_then(|rest| rest.split_once(')'))
    {
        let known = SETTINGS
            .iter()
            .any(|setting| match setting.strip_suffix('_') {
                Some(_) => name.starts_with(setting),
                None => name == *setting,
            });
        if !known {
            break;
        }
        rest = after;
    }
    pattern.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::{GivenUp, Regex};

    fn regex(pattern: &str) -> Regex {
        Regex::new(pattern, false).expect(pattern)
    }

    #[test]
    fn settings_stay_at_the_start() {
        assert_eq!(regex("(*UTF)(*CRLF)^.$").is_match("ä".as_bytes()), Ok(true));
        assert_eq!(regex("^.$").is_match("ä".as_bytes()), Ok(false));
        assert_eq!(regex("(*FAIL)a|b").is_match(b"b"), Ok(true));
        assert_eq!(regex("(*LIMIT_MATCH=1)(a+)+b").is_match(b"aaa"), Ok(false));
    }

    #[test]
    fn groups_without_a_name_capture_nothing_as_in_haproxy() {
        let misfit = Regex::new(r"(o)\1", false).expect_err("no such group");
        let text = misfit.of("it").to_string();
        assert!(text.contains("non-existent"), "{text}");
        assert_eq!(regex(r"(?<o>o)\k<o>").is_match(b"good"), Ok(true));
    }

    #[test]
    fn what_takes_too_many_tries_or_too_much_memory_is_given_up() {
        let text = [b"a".repeat(40), b"!".to_vec()].concat();
        assert_eq!(regex("^(a|aa)+$").is_match(&text), Err(GivenUp::Matches));
        let body = [b"a\n".repeat(60_000), b"x".to_vec()].concat();
        assert_eq!(regex("^(.|\\n)*x").is_match(&body), Err(GivenUp::Memory));
    }
}
