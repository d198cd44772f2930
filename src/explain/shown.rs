//! What HAProxy shows itself: check codes that are not sni-check's, and statuses.

/// Something that HAProxy shows, and what it means.
pub struct Shown {
    /// The word or number.
    pub word: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn shown(word: &'static str, meaning: &'static str) -> Shown {
    Shown { word, meaning }
}

/// Check codes that are not sni-check's, and statuses.
pub const SHOWN: [Shown; 11] = [
    shown(
        "255",
        "the check could not be run at all (HAProxy's own code for it, with PROCERR)",
    ),
    shown(
        "4294967295",
        "a signal ended the check, so it has no code (HAProxy shows -1, unsigned, with PROCERR)",
    ),
    shown(
        "PROCTOUT",
        "HAProxy killed the check because it took too long. There is no code: a check_code beside this word is left over from an earlier check, so ignore it",
    ),
    shown(
        "SOCKERR",
        "the check could not be started: no process, or for HAProxy's own check no socket",
    ),
    shown(
        "L7TOUT",
        "no response in time. In a line of sni-check it is the word for code 72 (sni-check explain 72). HAProxy shows it, without a code, for a check of its own, and so for a check that asks sni-check serve",
    ),
    shown(
        "PROCERR",
        "the check ended with a code other than 0. check_code in the stats and `code: N` in the log have it: sni-check explain N",
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
        "HAProxy's own check connected, and was not told to look further",
    ),
    shown(
        "L6OK",
        "HAProxy's own check completed a TLS handshake, and was not told to look further",
    ),
];

/// What HAProxy shows by this number or word.
pub(super) fn find(word: &str) -> Option<&'static Shown> {
    // In brackets HAProxy says why: MAINT (resolution).
    let word = match word.split(" (").next() {
        Some("-1") => "4294967295",
        Some(word) => word,
        None => word,
    };
    let mut all = SHOWN.iter();
    all.find(|shown| shown.word.eq_ignore_ascii_case(word))
}

/// Where a number that is not a code of sni-check may come from.
pub(super) fn foreign(number: i64) -> &'static str {
    match number {
        101 => {
            "101 is what a Rust program ends with when it panics, so external-check command is another program"
        }
        126 => {
            "126 is a shell's: command not executable. Set external-check command to sni-check itself, not to a script"
        }
        127 => {
            "127 is a shell's: command not found. Set external-check command to sni-check itself, not to a script"
        }
        143 => {
            "143 is a shell's: ended by SIGTERM, which HAProxy sends to a check that takes too long (sni-check explain PROCTOUT)"
        }
        128..=159 => {
            "128 and more are a shell's: ended by signal N-128. Set external-check command to sni-check itself, not to a script"
        }
        _ => "sni-check explain alone prints all of them",
    }
}
