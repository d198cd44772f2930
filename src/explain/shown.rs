//! The words and numbers that HAProxy shows for a check: statuses, and codes that don't come from sni-check.

use crate::haproxy::child::signal;

/// A word or number that HAProxy shows for a check.
pub struct Shown {
    /// The word or number in HAProxy's statistics.
    pub word: &'static str,
    /// The meaning in a few words.
    pub brief: &'static str,
    /// The sni-check command to run next. Empty if nothing is wrong.
    pub next: &'static str,
    /// What HAProxy's log shows instead of the word. Empty if the log shows the word.
    pub in_log: &'static str,
    /// More about the meaning, in sentences. May be empty.
    pub more: &'static str,
}

/// The entries in the order of the table: first codes, then statuses.
pub const SHOWN: [Shown; 27] = [
    Shown {
        word: "255",
        brief: "HAProxy could not run the program",
        next: "doctor",
        in_log: "",
        more: "This code is HAProxy's own. It comes with PROCERR.",
    },
    Shown {
        word: "127",
        brief: "a script could not find its command",
        next: "doctor",
        in_log: "",
        more: "127 is a shell's code, so external-check command names a script. Set it to sni-check itself, not to a script.",
    },
    Shown {
        word: "126",
        brief: "a script is not allowed to run its command",
        next: "doctor",
        in_log: "",
        more: "126 is a shell's code, so external-check command names a script. Set it to sni-check itself, not to a script.",
    },
    Shown {
        word: "101",
        brief: "another Rust program panicked",
        next: "doctor",
        in_log: "",
        more: "sni-check exits with code 1 instead, so external-check command names another program.",
    },
    Shown {
        word: "143",
        brief: "a script's command was killed by SIGTERM",
        next: "doctor",
        in_log: "",
        more: "143 is a shell's code, so external-check command names a script. HAProxy sends SIGTERM to a check that takes too long. Set external-check command to sni-check itself.",
    },
    Shown {
        word: "4294967295",
        brief: "a signal killed the check",
        next: "doctor",
        in_log: "",
        more: "The check has no code. HAProxy shows -1 as an unsigned number, with PROCERR.",
    },
    Shown {
        word: "PROCERR",
        brief: "the check ended with a code other than 0",
        next: "explain CODE",
        in_log: "External check error",
        more: "The code is check_code in the statistics, and `code: N` in the log.",
    },
    Shown {
        word: "PROCTOUT",
        brief: "the check took too long: HAProxy killed it",
        next: "doctor",
        in_log: "External check timeout",
        more: "There is no code. A check_code next to this word is left over from an earlier check, so ignore it.",
    },
    Shown {
        word: "PROCOK",
        brief: "the check ended with code 0: healthy",
        next: "",
        in_log: "External check passed",
        more: "",
    },
    Shown {
        word: "SOCKERR",
        brief: "HAProxy could not start the check",
        next: "doctor",
        in_log: "Socket error",
        more: "HAProxy couldn't start a process for an external check, or couldn't open a socket for its own check.",
    },
    Shown {
        word: "L4CON",
        brief: "no connection: refused or unreachable",
        next: "diagnose",
        in_log: "Layer4 connection problem",
        more: "",
    },
    Shown {
        word: "L4TOUT",
        brief: "connecting took too long",
        next: "diagnose",
        in_log: "Layer4 timeout",
        more: "",
    },
    Shown {
        word: "L6RSP",
        brief: "the TLS handshake failed",
        next: "diagnose",
        in_log: "Layer6 invalid response",
        more: "The server refused the handshake, or HAProxy refused the server's certificate.",
    },
    Shown {
        word: "L6TOUT",
        brief: "the TLS handshake took too long",
        next: "diagnose",
        in_log: "Layer6 timeout",
        more: "",
    },
    Shown {
        word: "L7STS",
        brief: "unexpected HTTP status",
        next: "diagnose",
        in_log: "Layer7 wrong status",
        more: "With sni-check serve, HAProxy shows L7STS for every failed check, and check_code is the code of sni-check: sni-check explain CODE.",
    },
    Shown {
        word: "L7RSP",
        brief: "the response is not valid or not as expected",
        next: "diagnose",
        in_log: "Layer7 invalid response",
        more: "",
    },
    Shown {
        word: "L7TOUT",
        brief: "no response before the time limit",
        next: "diagnose",
        in_log: "Layer7 timeout",
        more: "In sni-check's line, this word belongs to code 72 (sni-check explain 72). In HAProxy's statistics, it has no code: HAProxy's own check got no answer, from the server or from sni-check serve.",
    },
    Shown {
        word: "L7OK",
        brief: "healthy: the response is as expected",
        next: "",
        in_log: "Layer7 check passed",
        more: "",
    },
    Shown {
        word: "L7OKC",
        brief: "404 with disable-on-404: no new visitors",
        next: "doctor",
        in_log: "Layer7 check conditionally passed",
        more: "The server keeps the visitors that it has. It gets new visitors only when the check is L7OK again.",
    },
    Shown {
        word: "L6OK",
        brief: "the TLS handshake works; no request is sent",
        next: "doctor",
        in_log: "Layer6 check passed",
        more: "The configuration asks for no request.",
    },
    Shown {
        word: "L4OK",
        brief: "connecting works; nothing else is checked",
        next: "doctor",
        in_log: "Layer4 check passed",
        more: "The configuration asks for no handshake and no request.",
    },
    Shown {
        word: "INI",
        brief: "no check has ended since HAProxy started",
        next: "doctor",
        in_log: "Initializing",
        more: "",
    },
    Shown {
        word: "MAINT",
        brief: "in maintenance: no traffic and no check",
        next: "diagnose",
        in_log: "",
        more: "",
    },
    Shown {
        word: "NOLB",
        brief: "no new visitors, but current visitors stay",
        next: "",
        in_log: "",
        more: "The check asks for this state, with http-check disable-on-404 or with ok-status L7OKC.",
    },
    Shown {
        word: "DRAIN",
        brief: "draining: no new visitors",
        next: "",
        in_log: "",
        more: "Someone set this state or a weight of 0, or an agent asked for it.",
    },
    Shown {
        word: "HANA",
        brief: "too many errors in visitors' traffic",
        next: "diagnose",
        in_log: "Health analyze",
        more: "The server line has `observe`, so HAProxy also judges the server by its answers to visitors.",
    },
    Shown {
        word: "no check",
        brief: "no check judges this server",
        next: "doctor",
        in_log: "",
        more: "The server line has no `check`, so HAProxy sends visitors to the server even if it fails.",
    },
];

/// Returns a table with three columns: HAProxy's word, its meaning, and the next command.
pub(super) fn table() -> String {
    let row = |word: &str, brief: &str, next: &str| format!("{word:<10}  {brief:<44}  {next}\n");
    let head = row("HAProxy", "meaning", "next");
    let rows = SHOWN.iter();
    let rows = rows.map(|shown| row(shown.word, shown.brief, &shown.next_call()));
    head + &rows.collect::<String>()
}

impl Shown {
    /// Returns the command to run next, or `-` if nothing is wrong.
    pub(super) fn next_call(&self) -> String {
        match self.next {
            "" => "-".to_owned(),
            next => format!("sni-check {next}"),
        }
    }

    /// Returns the meaning as sentences.
    pub(super) fn meaning(&self) -> String {
        let in_log = match self.in_log {
            "" => String::new(),
            text => format!("HAProxy's log says `{text}`."),
        };
        let parts = [&format!("{}.", self.brief), self.more, &in_log];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(" ")
    }
}

/// Finds the entry for a number or word of HAProxy's statistics, or for a text from its log.
pub(super) fn find(text: &str) -> Option<&'static Shown> {
    // While a check is running, HAProxy puts a star in front of the previous result.
    let text = text.strip_prefix("* ").unwrap_or(text);
    let is_it = |shown: &&Shown| {
        let [word, in_log] = [shown.word, shown.in_log];
        word.eq_ignore_ascii_case(text) || (!in_log.is_empty() && in_log.eq_ignore_ascii_case(text))
    };
    // HAProxy adds a reason in parentheses, as in `MAINT (resolution)`. Its statistics page adds a code, as
    // in `L7STS/503`.
    let word = text.split([' ', '/']).next().unwrap_or_default();
    let word = if word == "-1" { "4294967295" } else { word };
    let mut all = SHOWN.iter();
    let whole = all.find(is_it);
    whole.or_else(|| {
        SHOWN
            .iter()
            .find(|shown| shown.word.eq_ignore_ascii_case(word))
    })
}

/// Explains where a number that isn't a code of sni-check may come from.
pub(super) fn foreign(number: i64) -> String {
    match i32::try_from(number) {
        Ok(number @ 129..=159) => format!(
            "a shell returns this code if {} killed a command. Set external-check command to sni-check itself, not \
             to a script",
            signal(number - 128)
        ),
        _ => "sni-check explain, without a code, prints the codes of sni-check".to_owned(),
    }
}
