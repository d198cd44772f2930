//! Regular expressions as HAProxy has them: PCRE2's, on bytes.
//!
//! HAProxy has them compiled to machine code, which has 32 kB of stack: where that is not enough, as
//! for `^(.|\n)*ready` and a body of more than 1.4 kB, it finds no match. That compiler would be a
//! twentieth of this program; without it, a bound on the memory comes to the same for such patterns.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::dialect;
use crate::deadline::Deadline;
use crate::refusal::Misfit;
use crate::start::Pattern;

/// How much memory a match may take, in kB: enough for 1 kB of `(.|\n)*`, a little less than in
/// HAProxy.
const HEAP_KB: u32 = 192;

/// Settings that PCRE2 takes at the start of a pattern only (pcre2pattern(3), "Special start-of-pattern
/// items").
const SETTINGS: [&str; 19] = [
    "UTF",
    "UTF8",
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
#[derive(Clone)]
pub(super) struct Regex {
    text: Arc<str>,
    pattern: Arc<Pattern>,
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// How long a match runs before it takes turns with the others that take long. Nearly every match ends
/// sooner, and waits for nobody.
const SLICE: Duration = Duration::from_millis(3);

/// Held by the one long match of this process that runs: serve has many at a time, and would otherwise
/// have no processor left for its other checks.
static TURN: Turn = Turn {
    state: Mutex::new(Waiting {
        taken: false,
        waiting: 0,
    }),
    free: Condvar::new(),
};

/// Why there is no answer whether a regular expression matches: a limit of ours or of PCRE2's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It took longer than the check has.
    Time,
    /// It tried more ways to match than PCRE2's match limit of ten million.
    Matches,
    /// It needed more memory than it may take.
    Memory,
    /// The body needs more memory than the checks of this process have left.
    Room,
    /// It wants UTF-8, `(*UTF)`, and the text is not.
    Text,
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GivenUp::Time => "its regular expression takes longer than the check has",
            GivenUp::Matches => "its regular expression tries more than 10 million ways to match",
            GivenUp::Room => "all memory for bodies is in use by other checks of sni-check serve",
            GivenUp::Text => "its regular expression wants UTF-8 (*UTF), which the text is not",
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
        dialect::check(pattern, caseless)?;
        let (settings, rest) = pattern.split_at(settings_length(pattern));
        let before = format!("(*LIMIT_HEAP={HEAP_KB})");
        let text = format!("{before}{settings}(?n){rest}");
        match Pattern::compile(&text, caseless) {
            Ok(compiled) => Ok(Regex {
                text: text.into(),
                pattern: Arc::new(compiled),
            }),
            Err(cause) => Err(Misfit::new(
                format!("is not a regular expression: {cause}"),
                "write a backslash before ( [ * + ? . | ^ $ to look for the character",
            )),
        }
    }

    /// Returns how many bytes of memory the expression takes.
    pub fn size(&self) -> usize {
        self.text.len() + self.pattern.size()
    }

    /// Returns whether the expression matches somewhere in `text`, if that is known by `deadline`.
    pub fn is_match(&self, text: &[u8], deadline: Deadline) -> Result<bool, GivenUp> {
        let mut long = Long::new(deadline);
        self.pattern
            .is_match(text, &mut || long.goes_on())
            .map_err(|error| match error {
                pcre2_sys::PCRE2_ERROR_CALLOUT => GivenUp::Time,
                pcre2_sys::PCRE2_ERROR_MATCHLIMIT => GivenUp::Matches,
                // From pcre2.h: the errors of a text that isn't UTF-8.
                -28..=-3 => GivenUp::Text,
                _ => GivenUp::Memory,
            })
    }
}

/// A match that runs: when it has to end, and when it has to let another one run.
struct Long {
    deadline: Deadline,
    /// How often PCRE2 has asked since the clock was looked at.
    asked: u32,
    /// When its slice began.
    since: Instant,
    has_turn: bool,
}

impl Long {
    /// How often PCRE2 asks for each look at the clock. Between two questions it looks through the text
    /// once at most: 64 kB take it some 20 µs.
    const EACH: u32 = 32;

    fn new(deadline: Deadline) -> Long {
        Long {
            deadline,
            asked: 0,
            since: Instant::now(),
            has_turn: false,
        }
    }

    fn goes_on(&mut self) -> bool {
        self.asked += 1;
        if self.asked < Long::EACH {
            return true;
        }
        self.asked = 0;
        if self.since.elapsed() < SLICE {
            return self.deadline.remaining().is_some();
        }
        if self.has_turn {
            TURN.give_back();
        }
        self.has_turn = TURN.take(self.deadline);
        self.since = Instant::now();
        self.has_turn
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        if self.has_turn {
            TURN.give_back();
        }
    }
}

struct Turn {
    state: Mutex<Waiting>,
    free: Condvar,
}

struct Waiting {
    taken: bool,
    /// How many matches wait for their turn.
    waiting: usize,
}

impl Turn {
    /// How long a match that has had its turn steps back if others wait.
    const STEP_BACK: Duration = Duration::from_millis(1);

    /// Waits for the turn; returns `false` if it didn't come by the deadline.
    fn take(&self, deadline: Deadline) -> bool {
        let mut state = self.lock();
        state.waiting += 1;
        while state.taken
            && let Some(left) = deadline.remaining()
        {
            // One that was woken may leave because its time is over, so nobody relies on being woken.
            let waited = self.free.wait_timeout(state, left.min(4 * SLICE));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiting -= 1;
        let in_time = !state.taken && deadline.remaining().is_some();
        state.taken |= in_time;
        in_time
    }

    fn give_back(&self) {
        let mut state = self.lock();
        state.taken = false;
        let others_wait = state.waiting > 0;
        drop(state);
        self.free.notify_one();
        if others_wait {
            thread::sleep(Turn::STEP_BACK);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::time::{Duration, Instant};

    use super::{Deadline, GivenUp, Regex};

    /// An expression that has all the time it needs.
    struct Patient(Regex);

    impl Patient {
        fn is_match(&self, text: &[u8]) -> Result<bool, GivenUp> {
            let long = Duration::from_secs(600);
            self.0.is_match(text, Deadline::new(Instant::now(), long))
        }
    }

    fn regex(pattern: &str) -> Patient {
        Patient(Regex::new(pattern, false).expect(pattern))
    }

    #[test]
    fn settings_stay_at_the_start() {
        assert_eq!(regex("(*UTF)(*CRLF)^.$").is_match("ä".as_bytes()), Ok(true));
        assert_eq!(regex("(*UTF8)^.$").is_match("ä".as_bytes()), Ok(true));
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

    /// Each of them would take minutes: by steps that PCRE2's match limit counts, and by steps that it
    /// doesn't count.
    #[test]
    fn a_match_ends_at_its_deadline() {
        let body = b"status ok ".repeat(6_500);
        for pattern in [
            "status.*ok.*[0-9]",
            "(s[^!]*+[!#]|t[^!]*+[!#]|.)*[!#]",
            "(.*s.*)*[!#]",
        ] {
            let regex = Regex::new(pattern, false).expect(pattern);
            let start = Instant::now();
            let deadline = Deadline::new(start, Duration::from_millis(100));
            assert_eq!(
                regex.is_match(&body, deadline),
                Err(GivenUp::Time),
                "{pattern}"
            );
            let late = start.elapsed().saturating_sub(Duration::from_millis(100));
            assert!(late < Duration::from_millis(500), "{pattern}: {late:?}");
        }
    }

    #[test]
    fn long_matches_take_turns_and_short_ones_wait_for_none() {
        let body = b"status ok ".repeat(6_500);
        let deadline = Deadline::new(Instant::now(), Duration::from_secs(2));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let hostile = Regex::new("status.*ok.*[0-9]", false).expect("a pattern");
                    assert_eq!(hostile.is_match(&body, deadline), Err(GivenUp::Time));
                });
            }
            std::thread::sleep(Duration::from_millis(200));
            let start = Instant::now();
            assert_eq!(regex("ok$").is_match(b"all ok"), Ok(true));
            assert!(start.elapsed() < Duration::from_millis(500));
        });
    }
}
