//! Regular expressions as in HAProxy: PCRE2 on bytes.
//!
//! HAProxy uses PCRE2's just-in-time compiler, whose machine code has 32 kB of stack. If the stack
//! is too small, HAProxy finds no match. An example is `^(.|\n)*ready` with a body of more than 1.4
//! kB. The compiler would make this program five percent larger. We leave it out and limit the
//! memory instead, so that a check with such a pattern fails here, too.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::dialect;
use crate::deadline::Deadline;
use crate::refusal::Misfit;
use crate::start::Pattern;

/// How much memory a match may use, in kB. This suffices for `(.|\n)*` on 1 kB of text, a little
/// less text than in HAProxy.
const HEAP_KB: u32 = 192;

/// Settings that PCRE2 accepts only at the start of a pattern (pcre2pattern(3), "Special
/// start-of-pattern items").
const SETTINGS: &str = "UTF UTF8 UCP NO_JIT NO_START_OPT NO_AUTO_POSSESS NO_DOTSTAR_ANCHOR NOTEMPTY \
    NOTEMPTY_ATSTART CR LF CRLF ANYCRLF ANY NUL BSR_ANYCRLF BSR_UNICODE LIMIT_ \
    CASELESS_RESTRICT";

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

/// How long a match runs before it takes turns with other long matches. Nearly every match finishes
/// sooner, and so never waits.
const SLICE: Duration = Duration::from_millis(3);

/// The turn of long matches: only one long match runs at a time in this process. serve runs many checks at a
/// time, and their long matches could otherwise use every processor.
static TURN: Turn = Turn {
    state: Mutex::new(Waiting {
        taken: false,
        waiting: 0,
    }),
    free: Condvar::new(),
};

/// Why it's unknown whether a regular expression matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// The match ran until the check's deadline.
    Time,
    /// The match reached PCRE2's match limit of ten million tries.
    Matches,
    /// The match needed more memory than it may use.
    Memory,
    /// The body needs more memory than is left for the checks of this process.
    Room,
    /// The pattern needs UTF-8 (`(*UTF)`), and the text isn't UTF-8.
    Text,
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GivenUp::Time => "its regular expression runs past the check's deadline",
            GivenUp::Matches => "its regular expression tries more than 10 million ways to match",
            GivenUp::Room => "all memory for bodies is in use by other checks of sni-check serve",
            GivenUp::Text => "its regular expression needs UTF-8 (*UTF), and the text is not UTF-8",
            GivenUp::Memory => {
                "its regular expression needs too much memory, in HAProxy too; write [\\s\\S]* instead of (.|\\n)*"
            }
        })
    }
}

impl Error for GivenUp {}

/// Groups without a name capture nothing.
const NO_CAPTURES: &str = "(?n)";

impl Regex {
    /// Returns the pattern. Returns `None` if it begins with settings such as `(*UTF)`.
    pub fn source(&self) -> Option<&str> {
        let (before, source) = self.text.split_once(NO_CAPTURES)?;
        (before.matches("(*").count() == 1).then_some(source)
    }

    /// Compiles a pattern as HAProxy's `regex_comp` does: groups without a name capture nothing.
    /// HAProxy ignores upper and lower case only in patterns for header names (`caseless`).
    pub fn new(pattern: &str, caseless: bool) -> Result<Regex, Misfit> {
        dialect::check(pattern, caseless)?;
        let (settings, rest) = pattern.split_at(settings_length(pattern));
        let before = format!("(*LIMIT_HEAP={HEAP_KB})");
        let text = format!("{before}{settings}{NO_CAPTURES}{rest}");
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

    /// Returns how many bytes of memory the expression needs.
    pub fn size(&self) -> usize {
        self.text.len() + self.pattern.size()
    }

    /// Returns true if the expression matches somewhere in `text`. Fails if the answer isn't known
    /// by `deadline`.
    pub fn is_match(&self, text: &[u8], deadline: Deadline) -> Result<bool, GivenUp> {
        let mut long = Long::new(deadline);
        self.pattern
            .is_match(text, &mut || long.may_continue())
            .map_err(|error| match error {
                pcre2_sys::PCRE2_ERROR_CALLOUT => GivenUp::Time,
                pcre2_sys::PCRE2_ERROR_MATCHLIMIT => GivenUp::Matches,
                // The errors for text that isn't UTF-8, from pcre2.h.
                -28..=-3 => GivenUp::Text,
                _ => GivenUp::Memory,
            })
    }
}

/// A running match: when it must end, and when it must let another match run.
struct Long {
    deadline: Deadline,
    /// How often PCRE2 has called us since we last read the clock.
    asked: u32,
    /// When the current slice began.
    since: Instant,
    has_turn: bool,
}

impl Long {
    /// We look at the clock only once in this many calls from PCRE2. Between two calls PCRE2
    /// searches the text at most once, which takes some 20 µs for 64 kB.
    const EACH: u32 = 32;

    fn new(deadline: Deadline) -> Long {
        Long {
            deadline,
            asked: 0,
            since: Instant::now(),
            has_turn: false,
        }
    }

    fn may_continue(&mut self) -> bool {
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
    /// How long a match pauses after its turn if other matches wait.
    const STEP_BACK: Duration = Duration::from_millis(1);

    /// Waits for the turn. Returns false if the turn didn't come by the deadline.
    fn take(&self, deadline: Deadline) -> bool {
        let mut state = self.lock();
        state.waiting += 1;
        while state.taken
            && let Some(left) = deadline.remaining()
        {
            // A match that was woken may give up because of its deadline, without waking another match. So
            // every match also wakes up by itself.
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

/// Returns the length of the settings at the start of a pattern, such as `(*UTF)`.
fn settings_length(pattern: &str) -> usize {
    let mut rest = pattern;
    while let Some((name, after)) = rest
        .strip_prefix("(*")
        .and_then(|rest| rest.split_once(')'))
    {
        let is_known = |setting: &str| match setting.ends_with('_') {
            true => name.starts_with(setting),
            false => name == setting,
        };
        if !SETTINGS.split(' ').any(is_known) {
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

    /// An expression with a distant deadline.
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
    fn a_match_gives_up_after_too_many_tries_or_too_much_memory() {
        let text = [b"a".repeat(40), b"!".to_vec()].concat();
        assert_eq!(regex("^(a|aa)+$").is_match(&text), Err(GivenUp::Matches));
        let body = [b"a\n".repeat(60_000), b"x".to_vec()].concat();
        assert_eq!(regex("^(.|\\n)*x").is_match(&body), Err(GivenUp::Memory));
    }

    /// Each of these patterns would run for minutes. PCRE2's match limit counts the steps of some
    /// patterns, but not of others.
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
            // On a fast processor, the match may end before the deadline, because it has filled its heap.
            let ended = regex.is_match(&body, deadline);
            let in_time = matches!(ended, Err(GivenUp::Time | GivenUp::Memory));
            assert!(in_time, "{pattern}: {ended:?}");
            let late = start.elapsed().saturating_sub(Duration::from_millis(100));
            assert!(late < Duration::from_millis(500), "{pattern}: {late:?}");
        }
    }

    #[test]
    fn long_matches_take_turns_and_short_matches_never_wait() {
        let body = b"status ok ".repeat(6_500);
        let deadline = Deadline::new(Instant::now(), Duration::from_secs(2));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let hostile = Regex::new("status.*ok.*[0-9]", false).expect("a pattern");
                    // On a fast machine, the match reaches PCRE2's match limit first.
                    let ended = hostile.is_match(&body, deadline);
                    let given_up = matches!(ended, Err(GivenUp::Time | GivenUp::Matches));
                    assert!(given_up, "{ended:?}");
                });
            }
            std::thread::sleep(Duration::from_millis(200));
            let start = Instant::now();
            assert_eq!(regex("ok$").is_match(b"all ok"), Ok(true));
            assert!(start.elapsed() < Duration::from_millis(500));
        });
    }
}
