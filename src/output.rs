//! What is printed: the line of a check, its JSON object, and what every report for people shares.
//!
//! Under HAProxy nothing is said of a healthy backend, and standard output is never used.

pub(crate) mod date;
pub(crate) mod escape;
pub(crate) mod json;
mod line;
pub mod mark;
mod syslog;
pub mod wrap;
pub mod write;

use std::io;

use self::escape::printable;
use self::write::{write_line, write_text};
use crate::haproxy::Caller;
use crate::plan::{Output, Plan};
use crate::probe::Verdict;

/// Says what came of a check, wherever its plan wants it said.
pub fn verdict(plan: &Plan, verdict: &Verdict) {
    let notes = line::notes(plan, verdict);
    let worth_logging = verdict.result.is_err() || !notes.is_empty();
    let by_hand = plan.caller.is_none();
    if !(worth_logging || by_hand) {
        return;
    }
    let line = line::line(plan, verdict, &notes);
    if worth_logging && let Some(syslog) = &plan.output.syslog {
        syslog::send(syslog, &line);
    }
    if plan.output.quiet {
        return;
    }
    let text = if plan.output.json {
        json::object(plan, verdict, &notes).to_string()
    } else {
        line
    };
    // By hand, JSON is for the next program in the pipe, whatever it says.
    let to_stdout = by_hand && (verdict.result.is_ok() || plan.output.json);
    if to_stdout {
        write_line(io::stdout(), &text);
    } else {
        write_line(io::stderr(), &text);
    }
    if plan.output.verbose && by_hand {
        write_text(io::stdout(), &line::details(plan, verdict));
    } else if plan.output.verbose {
        line::details(plan, verdict)
            .lines()
            .for_each(|line| write_line(io::stderr(), line));
    }
}

/// Says why a call was refused.
pub fn refusal(caller: Option<&Caller>, output: &Output, error: &anyhow::Error) {
    let cause = printable(&format!("{error:#}"));
    let line = match caller {
        Some(caller) => format!("{}: {cause}", printable(&caller.to_string())),
        None => cause,
    };
    if let Some(syslog) = &output.syslog {
        syslog::send(syslog, &line);
    }
    write_line(io::stderr(), &format!("sni-check: {line}"));
}
