//! HAProxy's own words for a check: codes that aren't sni-check's, and statuses.

/// A word of HAProxy's.
pub struct Shown {
    /// The word or number.
    pub word: &'static str,
    /// The meaning of the word.
    pub meaning: &'static str,
}

const fn shown(word: &'static str, meaning: &'static str) -> Shown {
    Shown { word, meaning }
}

/// Every word, codes first.
pub const SHOWN: [Shown; 11] = [
    shown(
        "255",
        "HAProxy could not run the check at all. This code is HAProxy's own; it comes with PROCERR",
    ),
    shown(
        "4294967295",
        "a signal killed the check, so it has no code. HAProxy shows -1 as an unsigned number, with PROCERR",
    ),
    shown(
        "PROCTOUT",
        "HAProxy killed the check because it took too long. There is no code. A check_code next to this word is left over from an earlier check, so ignore it",
    ),
    shown(
        "SOCKERR",
        "HAProxy could not start the check: it got no process for an external check, or no socket for a check of its own",
    ),
    shown(
        "L7TOUT",
        "no response in time. In sni-check's line it is the word for code 72 (sni-check explain 72). In HAProxy's statistics it has no code: HAProxy's own check got no answer, from the server or from sni-check serve",
    ),
    shown(
        "PROCERR",
        "the check ended with a code other than 0: check_code in the statistics, `code: N` in the log. sni-check explain N explains it",
    ),
    shown("PROCOK", "the check ended with code 0: healthy"),
    shown(
        "MAINT",
        "the server is in maintenance: it gets no traffic, and no check runs",
    ),
    shown(
        "INI",
        "no check of this server has ended since HAProxy started",
    ),
    shown(
        "L4OK",
        "HAProxy's own check connected. The configuration asks for no more",
    ),
    shown(
        "L6OK",
        "HAProxy's own check completed a TLS handshake. The configuration asks for no more",
    ),
];

/// Finds what HAProxy means by this number or word.
pub(super) fn find(word: &str) -> Option<&'static Shown> {
    // HAProxy gives a reason in parentheses: MAINT (resolution).
    let word = match word.split(" (").next() {
        Some("-1") => "4294967295",
        Some(word) => word,
        None => word,
    };
    let mut all = SHOWN.iter();
    all.find(|shown| shown.word.eq_ignore_ascii_case(word))
}

/// Returns where a number that isn't a code of sni-check may come from.
pub(super) fn foreign(number: i64) -> &'static str {
    match number {
        101 => {
            "a Rust program that panics ends with 101, so external-check command names another program"
        }
        126 => {
            "126 is a shell's code for a command that it may not execute. Set external-check command to sni-check itself, not to a script"
        }
        127 => {
            "127 is a shell's code for `command not found`. Set external-check command to sni-check itself, not to a script"
        }
        143 => {
            "143 is a shell's code for a command that SIGTERM killed. HAProxy sends SIGTERM to a check that takes too long: sni-check explain PROCTOUT"
        }
        128..=159 => {
            "128 and more are a shell's codes for a command that signal N-128 killed. Set external-check command to sni-check itself, not to a script"
        }
        _ => "sni-check explain, without a code, prints the codes of sni-check",
    }
}
