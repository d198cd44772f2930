//! The report about servers as text for people.

use std::fmt::Write as _;

use super::call::ServersCall;
use super::state::{State, Statistics, Subject};
use crate::diagnose::change::Hunk;
use crate::diagnose::report::Report;
use crate::doctor::survey::{CheckKind, Survey};
use crate::haproxy::statistics::Shown;
use crate::output::escape::printable;
use crate::output::mark::paint;
use crate::output::wrap::paragraph;

/// Returns the report as text.
pub(super) fn text(
    call: &ServersCall,
    survey: &Survey,
    statistics: &Statistics,
    subjects: &[Subject<'_>],
) -> String {
    let mut text = String::new();
    if call.server.is_empty() {
        headline(&mut text, survey, statistics, subjects);
    } else if let Some(error) = &statistics.error {
        paragraph(
            &mut text,
            "",
            &printable(&format!("No statistics: {error}.")),
        );
    }
    let mut printed = Printed::default();
    for subject in subjects {
        if subject.is_wanted {
            blank(&mut text);
            server(&mut text, subject, !call.server.is_empty(), &mut printed);
        }
    }
    for subject in subjects.iter().filter(|subject| !subject.is_wanted) {
        listed(&mut text, subject);
    }
    paint(text, call.color.unwrap_or_default())
}

/// What was printed about earlier servers.
#[derive(Default)]
struct Printed {
    causes: Vec<Vec<String>>,
    hunks: Vec<Hunk>,
}

fn blank(text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
}

/// Appends the files that were read, and how many servers are in each state.
fn headline(text: &mut String, survey: &Survey, statistics: &Statistics, subjects: &[Subject<'_>]) {
    let count = |state| {
        subjects
            .iter()
            .filter(|subject| subject.state == state)
            .count()
    };
    let states = [
        (State::Down, "DOWN"),
        (State::Up, "UP"),
        (State::Unresolved, "in MAINT without an address"),
        (State::Maintenance, "in MAINT"),
        (State::Unchecked, "not checked"),
        (State::Unknown, "unknown"),
    ];
    let counts = states.iter().map(|(state, words)| (count(*state), words));
    let counts = counts.filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    let counts = match counts.is_empty() {
        true => "no servers".to_owned(),
        false => format!("servers: {}", counts.join(", ")),
    };
    let title = format!("{}, {counts}", survey.files.join(", "));
    paragraph(text, "", &printable(&title));
    match &statistics.error {
        None => {}
        Some(error) => {
            let sentence = format!(
                "No statistics of a running HAProxy: {error}. Each server was checked once, just now."
            );
            paragraph(text, "", &printable(&sentence));
        }
    }
}

/// Appends a server with its diagnosis, without what an earlier server already shows.
fn server(text: &mut String, subject: &Subject<'_>, is_one: bool, printed: &mut Printed) {
    let surveyed = subject.surveyed;
    let diagnosis = match &subject.diagnosis {
        Ok(diagnosis) => diagnosis,
        Err(why) => {
            let state = subject.state.word();
            let head = format!("{state}  {} {}", surveyed.name(), surveyed.address);
            paragraph(text, "", &printable(&head));
            shown(text, subject.shown);
            paragraph(text, "  why      ", &printable(why));
            let mut findings = surveyed.findings.iter();
            return match findings.find(|finding| finding.what == *why) {
                Some(finding) => paragraph(text, "  do       ", &printable(&finding.remedy)),
                None => doctor(text, subject),
            };
        }
    };
    let report = Report::of_server(&diagnosis.search, &diagnosis.opinion);
    let code = subject.code();
    let word = diagnosis.search.asked.plan.haproxy_word(code);
    let state = match subject.state {
        State::Unknown => report.state(),
        state => state.word(),
    };
    let number = code.number();
    let head = format!(
        "{state} {number} {word}  {} {}",
        surveyed.name(),
        surveyed.address
    );
    _ = writeln!(text, "{}", printable(&head));
    shown(text, subject.shown);
    paragraph(text, "  why      ", &printable(&report.why));
    if report.state() == "UP" && subject.state == State::Down {
        let note = match (&diagnosis.change, &diagnosis.present) {
            (_, Some(present)) => format!(
                "sni-check finds the server healthy, but HAProxy doesn't, with exactly these lines: {}.",
                present.tried().trim_start_matches("tried: ")
            ),
            (Some(_), None) => "sni-check finds the server healthy. Its check sends a Host header, and HAProxy's \
                 own check sends none. HAProxy has tried its own check with Host: see the change below."
                .to_owned(),
            (None, None) => "sni-check found the server healthy just now. HAProxy waits for `rise` checks before \
                 it reports UP, and may judge differently: diagnose BACKEND/SERVER shows HAProxy's view."
                .to_owned(),
        };
        paragraph(text, "  note     ", &printable(&note));
    }
    let key = report.sentences();
    if !key.is_empty() && printed.causes.contains(&key) && !is_one {
        paragraph(text, "  cause    ", "the same as for the server above");
    } else {
        report.print_findings(text);
        let visitors = format!("visitors {}", surveyed.traffic);
        paragraph(text, "  traffic  ", &printable(&visitors));
        doctor(text, subject);
        printed.causes.push(key);
    }
    change(text, subject, &report, printed);
    // The details are about HAProxy with the options of the check, and not with all settings of the file.
    if is_one && diagnosis.present.is_none() {
        report.print_details(text);
    }
}

/// Appends what the running HAProxy shows.
fn shown(text: &mut String, shown: Option<&Shown>) {
    let Some(shown) = shown else {
        return;
    };
    let check = [&shown.check, &shown.code].map(String::as_str).join(" ");
    let why = match shown.why.as_str() {
        "" => String::new(),
        why => format!(" ({why})"),
    };
    let line = format!("{}, {}{why}", shown.status, check.trim_end());
    paragraph(text, "  HAProxy  ", &printable(&line));
}

/// Appends doctor's first finding about the server, and the number of further findings.
fn doctor(text: &mut String, subject: &Subject<'_>) {
    let findings = &subject.surveyed.findings;
    let Some(first) = findings.first() else {
        return;
    };
    let place = first
        .place
        .as_ref()
        .map_or(String::new(), |place| format!(" ({place})"));
    let more = match findings.len() - 1 {
        0 => String::new(),
        more => format!("; and {more} more, see sni-check doctor"),
    };
    let line = format!("{}{place}: {}{more}", first.id, first.what);
    paragraph(text, "  doctor   ", &printable(&line));
}

/// Appends the change of haproxy.cfg as a diff.
fn change(text: &mut String, subject: &Subject<'_>, report: &Report<'_>, printed: &mut Printed) {
    let Ok(diagnosis) = &subject.diagnosis else {
        return;
    };
    let is_asked = diagnosis.opinion.asked.as_ref();
    let tried = |block: &crate::diagnose::ask::Block| match is_asked {
        Ok(version) if block.tried.is_some() || block.visitor.is_some() => {
            format!("with HAProxy {version}, {}", block.tried())
        }
        _ => "not tried".to_owned(),
    };
    if let Some(change) = &diagnosis.change {
        if change.block.fails_visitors() {
            let sentence = format!(
                "{} makes the check UP, but then visitors fail ({}). It is not the fix.",
                change.words,
                change.block.tried()
            );
            return paragraph(text, "  note     ", &printable(&sentence));
        }
        let line = format!("{} ({})", change.words, tried(&change.block));
        paragraph(text, "  change   ", &printable(&line));
        let mut place = None;
        for hunk in &change.hunks {
            // A changed line of a backend applies to all its servers.
            if printed.hunks.contains(hunk) {
                let sentence = format!("line {} changes as above", hunk.place);
                paragraph(text, "           ", &printable(&sentence));
                continue;
            }
            printed.hunks.push(hunk.clone());
            let here = hunk.place.to_string();
            if place.as_ref() != Some(&here) {
                let after = if hunk.old.is_none() { "after " } else { "" };
                _ = writeln!(text, "\n{after}{}", printable(&here));
            }
            for (sign, line) in [('-', &hunk.old), ('+', &hunk.new)] {
                if let Some(line) = line {
                    _ = writeln!(text, "{sign}{}", printable(line));
                }
            }
            place = Some(here);
        }
        return;
    }
    // The blocks may contain a change that options can't express, such as plain HTTP or old TLS.
    let blocks = report.blocks();
    let kind = match subject.surveyed.kind {
        CheckKind::External => crate::diagnose::ask::Kind::External,
        _ => crate::diagnose::ask::Kind::Builtin,
    };
    let is_down = report.state() == "DOWN";
    let block = blocks
        .iter()
        .find(|block| block.kind == kind)
        .or(blocks.first());
    if let Some(block) = block.filter(|block| is_down && block.is_up()) {
        _ = write!(
            text,
            "\nA backend that works ({}):\n\n{}",
            printable(&tried(block)),
            block.text
        );
    }
}

/// Appends a line about a server that HAProxy doesn't check.
fn listed(text: &mut String, subject: &Subject<'_>) {
    let sentence = match subject.state {
        State::Unresolved => {
            "its name has no address, so HAProxy runs no check. Look at the `resolvers` section and at \
             the name."
        }
        State::Unchecked if !subject.surveyed.is_checked => {
            "no check runs, because the server line has no `check` or has `track`. HAProxy sends visitors \
             there even if the server fails."
        }
        State::Unchecked => "HAProxy has not finished a check yet.",
        State::Unknown => "no running HAProxy shows it, and sni-check can't check it.",
        State::Up | State::Down | State::Maintenance => return,
    };
    let (state, name) = (subject.state.word(), subject.surveyed.name());
    blank(text);
    let label = format!("{state} {}: ", printable(&name));
    paragraph(text, "", &format!("{label}{sentence}"));
    if subject.state == State::Unknown
        && let Err(why) = &subject.surveyed.call
    {
        paragraph(text, "  why      ", &printable(why));
    }
}
