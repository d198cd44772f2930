//! Prepares an output and an exit code for each phase, in case the kernel's timer ends the check in
//! that phase.
//!
//! The output and the code are the same as if the check itself reported a time-out.

use std::mem;
use std::time::{Duration, Instant};

use rustix::stdio::stderr;

use super::date::{milliseconds, now};
use super::escape::{self, printable};
use super::write::{channel, priority};
use super::{json, line, syslog};
use crate::code::Code;
use crate::command::Command;
use crate::failure::Failure;
use crate::haproxy::Caller;
use crate::plan::{DEFAULT_TIMEOUT, Output, Plan};
use crate::probe::{Seen, Verdict};
use crate::start::{Channel, Expiry, Text, expire_after, expire_after_instead, on_expiry};

/// How long diagnose may take to read its options and files. Its time limit is longer than a check's, because
/// people may name files on slow file systems.
const DIAGNOSE_READS: Duration = Duration::from_secs(5);

/// Starts the timer of a check or of diagnose before the options are known.
pub fn begin(command: Command, caller: Option<&Caller>, start: Instant) {
    let (timeout, within) = match command {
        Command::Diagnose => (DIAGNOSE_READS, "5 s"),
        _ => (DEFAULT_TIMEOUT, OPTION),
    };
    let expiry = reading(caller, &Output::default(), timeout, within, start);
    expire_after(timeout.saturating_sub(start.elapsed()), expiry);
}

/// Sets the timer to the time limit in the options, and prepares the output for a time-out while
/// files are read.
pub fn options_known(
    caller: Option<&Caller>,
    output: &Output,
    timeout: Option<Duration>,
    start: Instant,
) {
    if timeout.is_some() || output.syslog.is_some() {
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        on_expiry(reading(caller, output, timeout, OPTION, start));
        expire_after_instead(timeout.saturating_sub(start.elapsed()));
    }
}

const OPTION: &str = "--timeout";

/// Returns the output and the exit code for a time-out while options and files are read.
fn reading(
    caller: Option<&Caller>,
    output: &Output,
    timeout: Duration,
    within: &str,
    start: Instant,
) -> Expiry {
    let subject = match caller {
        Some(caller) => format!("{}: ", printable(&caller.to_string())),
        None => String::new(),
    };
    let line = format!(
        "{subject}options and files were not read within {within}; \
         use regular files on a local disk; total "
    );
    let mut texts = log(output, &line, timeout);
    let line = format!("sni-check: {line}");
    texts.push(Text::new(Channel::Descriptor(stderr()), &line, "ms\n"));
    Expiry {
        code: Code::Refused,
        start,
        texts,
    }
}

/// The phases of a check.
#[derive(Debug)]
pub struct Phases<'a> {
    plan: &'a Plan,
    start: Instant,
    /// The server, its address and the names, as the line shows them.
    about: String,
    /// The address that `about` contains.
    address: String,
    /// The prefix of a line on standard error.
    priority: &'static str,
}

impl<'a> Phases<'a> {
    /// Creates the value. Call `enter` at the start of each phase.
    pub fn new(plan: &'a Plan, start: Instant) -> Phases<'a> {
        Phases {
            plan,
            start,
            about: line::about(plan, None),
            address: plan.target.to_string(),
            priority: match plan.caller {
                Some(_) => priority(),
                None => "",
            },
        }
    }

    /// Starts a phase. `timed_out` is the failure of the check if its time ends in this phase.
    pub fn enter(&mut self, timed_out: Failure, seen: &mut Seen) {
        let output = &self.plan.output;
        if let Some(address) = &seen.address
            && *address != self.address
        {
            self.about = line::about(self.plan, Some(address));
            self.address.clone_from(address);
        }
        let (code, cause) = (timed_out.code(), timed_out.to_string());
        let line = line::start_of_line(self.plan, "DOWN", code, &self.about, &cause) + "; total ";
        let mut texts = log(output, &line, self.plan.timeout);
        if !output.quiet {
            let to = Channel::Descriptor(channel(self.plan, false));
            texts.push(match output.json {
                true => object(to, self.plan, timed_out, seen),
                false => Text::new(to, &format!("{}{line}", self.priority), "ms\n"),
            });
        }
        let start = self.start;
        on_expiry(Expiry { code, start, texts });
    }
}

/// Returns the datagram for the syslog, or nothing if the output has no syslog. `after` is the time from now
/// until the datagram is sent.
fn log(output: &Output, line: &str, after: Duration) -> Vec<Text> {
    let text = output.syslog.as_ref().and_then(|syslog| {
        let to = Channel::Datagram(syslog::address(syslog)?);
        let datagram = syslog::datagram(syslog, line, now() + after);
        Some(Text::new(to, &datagram, "ms"))
    });
    text.into_iter().collect()
}

/// Returns the JSON object as text. The object has everything that the check has seen so far.
fn object(to: Channel, plan: &Plan, timed_out: Failure, seen: &mut Seen) -> Text {
    /// A placeholder for the total time, which is known only at the end.
    const LATER: Duration = Duration::from_millis(u32::MAX as u64);
    seen.times.total = LATER;
    let verdict = Verdict {
        result: Err(timed_out),
        seen: mem::take(seen),
    };
    let text = escape::json(&json::object(plan, &verdict, &[])) + "\n";
    *seen = verdict.seen;
    // Quotes inside strings are escaped, so this text can only be the key.
    let (key, later) = ("\"total\":", format!("{:.1}", milliseconds(LATER)));
    let (before, after) = text
        .split_once(&format!("{key}{later}"))
        .expect("the object has a total");
    Text::new(to, &format!("{before}{key}"), after)
}

/// Sets the exit code to the code of the known verdict. If the timer expires now, it prints nothing, because
/// the check itself is about to print the verdict.
pub(crate) fn decided(code: Code) {
    on_expiry(Expiry {
        code,
        start: Instant::now(),
        texts: Vec::new(),
    });
}
