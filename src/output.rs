//! The output: the line of a check, its JSON object, and the parts that all reports share.
//!
//! Under HAProxy, sni-check prints nothing if the server is healthy and there are no notes. It never uses
//! standard output there.

pub(crate) mod date;
pub(crate) mod escape;
pub mod expiry;
pub(crate) mod json;
mod line;
pub mod mark;
mod syslog;
pub mod wrap;
pub mod write;

use rustix::stdio::{stderr, stdout};

use self::escape::printable;
pub use self::line::{notes, times};
use self::write::{channel, priority, write_line, write_text, write_whole};
use crate::haproxy::Caller;
use crate::plan::{Output, Plan};
use crate::probe::Verdict;

/// Reports the result of a check on every channel that its plan names.
pub fn verdict(plan: &Plan, verdict: &Verdict) {
    let notes = line::notes(plan, verdict);
    let worth_logging = verdict.result.is_err() || !notes.is_empty();
    if !worth_logging && plan.caller.is_some() {
        return;
    }
    let line = line::line(plan, verdict, &notes);
    if worth_logging && let Some(syslog) = &plan.output.syslog {
        syslog::send(syslog, &line);
    }
    if plan.output.quiet {
        return;
    }
    let to = channel(plan, verdict.result.is_ok());
    let priority = match verdict.result {
        Ok(_) => "",
        Err(_) => priority(),
    };
    if plan.output.json {
        let text = priority.to_owned() + &escape::json(&json::object(plan, verdict, &notes));
        let left = plan.timeout.saturating_sub(verdict.seen.times.total);
        write_whole(to, &text, left);
    } else {
        write_line(to, &format!("{priority}{line}"));
    }
    if plan.output.verbose {
        let details = line::details(plan, verdict);
        match plan.caller {
            None => write_text(stdout(), &details),
            Some(_) => details.lines().for_each(|line| write_line(stderr(), line)),
        }
    }
}

/// Returns the result of a check in a few words. For a healthy server with notes, returns only the notes.
pub fn reason(plan: &Plan, verdict: &Verdict) -> String {
    let mut parts = line::notes(plan, verdict);
    if verdict.result.is_err() || parts.is_empty() {
        parts.insert(0, line::cause(verdict));
    }
    parts.join("; ")
}

/// Prints why a call was refused, and sends the same line to the syslog of `output`.
pub fn refusal(caller: Option<&Caller>, output: &Output, error: &anyhow::Error) {
    let cause = printable(&format!("{error:#}"));
    let line = match caller {
        Some(caller) => format!("{}: {cause}", printable(&caller.to_string())),
        None => cause,
    };
    if let Some(syslog) = &output.syslog {
        syslog::send(syslog, &line);
    }
    write_line(stderr(), &format!("{}sni-check: {line}", priority()));
}
