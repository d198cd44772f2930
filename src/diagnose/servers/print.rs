//! The report about servers as text for people.

use std::fmt::Write as _;

use super::call::ServersCall;
use super::meaning::{WITHOUT_CHECK, by_agent, drained, idle, maintenance, meaning};
use super::state::{Conflict, Contradiction, Diagnosis, State, Statistics, Subject, TriedChange};
use super::verdict::{Partial, misread, step};
use crate::diagnose::ask::Kind;
use crate::diagnose::change::diff::Hunk;
use crate::diagnose::lines::left_out;
use crate::diagnose::report::{LIMITED, Report};
use crate::doctor::survey::{CheckKind, REFUSED_OPTIONS, Remark, Remedy, Survey, UNVERIFIED};
use crate::haproxy::config::backend_lines::Rule;
use crate::haproxy::statistics::Shown;
use crate::output::escape::{pasted, printable};
use crate::output::mark::paint;
use crate::output::wrap::{command, paragraph};

/// Returns the report as text.
pub(super) fn text(
    call: &ServersCall,
    survey: &Survey,
    statistics: &Statistics,
    subjects: &[Subject<'_>],
) -> String {
    let mut text = String::new();
    if let Some(refusal) = &survey.refusal {
        paragraph(&mut text, "", &printable(&refusal.to_string()));
        blank(&mut text);
    }
    if call.server.is_empty() {
        headline(&mut text, survey, statistics, subjects);
    } else if let Some(error) = &statistics.error {
        let sentence = format!("No statistics: {error}.");
        paragraph(&mut text, "", &printable(&sentence));
    }
    if let (Some(name), Some(subject)) = (call.server.first(), subjects.first())
        && *name != subject.surveyed.name()
    {
        let tracked = subject.surveyed.name();
        let sentence =
            format!("{name} tracks {tracked}, so the check of {tracked} decides its state.");
        paragraph(&mut text, "", &printable(&sentence));
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

/// What the report already shows about earlier servers.
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

/// Appends the names of the configuration files, and the number of servers in each state. If there are no
/// statistics, also appends the reason.
fn headline(text: &mut String, survey: &Survey, statistics: &Statistics, subjects: &[Subject<'_>]) {
    let states = [
        (State::Down, "DOWN"),
        (State::Draining, "in NOLB"),
        (State::Drained, "in DRAIN"),
        (State::Up, "UP"),
        (State::Unresolved, "in MAINT without an address"),
        (State::Maintenance, "in MAINT"),
        (State::Unchecked, "not checked"),
        (State::Unknown, "unknown"),
    ];
    let counts = states
        .iter()
        .map(|(state, words)| (state.count(subjects), words));
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
    if let Some(error) = &statistics.error {
        let sentence = format!(
            "No statistics from a running HAProxy: {error}. Each server was checked once, just now."
        );
        paragraph(text, "", &printable(&sentence));
    }
}

/// Appends a server with its diagnosis. Leaves out causes and changed lines that the report already shows for
/// an earlier server.
fn server(text: &mut String, subject: &Subject<'_>, is_one: bool, printed: &mut Printed) {
    let surveyed = subject.surveyed;
    let diagnosis = match &subject.diagnosis {
        Ok(diagnosis) => diagnosis,
        Err(why) => {
            let state = subject.state.word();
            let head = format!("{state}  {} {}", surveyed.name(), surveyed.address);
            paragraph(text, "", &printable(&head));
            shown(text, subject.shown);
            agent(text, subject);
            for obstacle in subject.obstacles() {
                let place = obstacle.place.as_ref();
                let place = place.map_or(String::new(), |place| format!(" ({place})"));
                let what = format!("{}{place}", obstacle.what);
                paragraph(text, "  why      ", &printable(&what));
                remedy(text, &obstacle.remedy);
            }
            if !subject.obstacles().is_empty() {
                return;
            }
            if subject.has_no_check() {
                return without_check(text, subject, why);
            }
            paragraph(text, "  why      ", &printable(why));
            let mut findings = surveyed.findings.iter();
            match findings.find(|finding| finding.what == *why) {
                Some(finding) => remedy(text, &finding.remedy),
                None if subject.runs_unknown_program() => {
                    let advice = "sni-check doctor --run runs this program once, as HAProxy does.";
                    paragraph(text, "  do       ", advice);
                }
                // doctor treats unset variables as empty, so its findings may be wrong.
                None if surveyed.unset.is_empty() => doctor(text, subject),
                None => {}
            }
            change(text, subject, printed);
            return;
        }
    };
    let report = subject.report(diagnosis);
    let code = subject.code();
    // sni-check's check is healthy, so it has no failure code. HAProxy reports the server DOWN.
    let is_healthy_here = report.state() == "UP" && subject.state == State::Down;
    let by_haproxy = subject.shown.map(|shown| shown.check.as_str());
    let by_haproxy = by_haproxy.or(subject.failed_now().map(|(status, _)| status));
    let result = match by_haproxy {
        Some(status) if is_healthy_here => status.to_owned(),
        _ if subject.lacks_only_tls() => subject.haproxy_word().unwrap_or_default().to_owned(),
        _ => format!(
            "{} {}",
            code.number(),
            diagnosis.search.asked.plan.haproxy_word(code)
        ),
    };
    let state = match subject.state {
        State::Unknown => report.state(),
        state => state.word(),
    };
    let head = format!("{state} {result}  {} {}", surveyed.name(), surveyed.address);
    _ = writeln!(text, "{}", printable(&head));
    shown(text, subject.shown);
    let misread = misread(subject);
    let why = match &misread {
        Some(misread) => misread.clone(),
        None if is_healthy_here => match subject.obstacle() {
            Some(obstacle) => format!(
                "{}. sni-check finds the server itself {}",
                remark(obstacle),
                report.why
            ),
            None => format!("sni-check's own check is {}", report.why),
        },
        None => report.why.clone(),
    };
    let own_words = |text: &str| printable(&report.voice().words(text));
    paragraph(text, "  why      ", &own_words(&why));
    let obstacle = subject.obstacle();
    if !subject.is_as_agent_says() {
        agent(text, subject);
    }
    if let Some(note) = meaning(subject) {
        paragraph(text, "  note     ", &printable(&note));
    } else if let Some(obstacle) = obstacle {
        if !why.contains(&obstacle.what) {
            paragraph(text, "  cause    ", &printable(&remark(obstacle)));
        }
        let meant = subject.meant().and_then(|meant| meant.options.sni.as_ref());
        let name = meant.map_or("NAME", String::as_str);
        let with_name = |text: &String| text.replace("--sni NAME", &format!("--sni {name}"));
        let Remedy { write, paste } = &obstacle.remedy;
        let (write, paste) = (with_name(write), with_name(paste));
        remedy(text, &Remedy { write, paste });
    } else if misread.is_none() && is_healthy_here {
        let note = match &subject.change {
            _ if !surveyed.refused.is_empty() => {
                "sni-check finds the server healthy, but HAProxy doesn't start with the present lines."
            }
            Some(change) if change.reason.is_some() => {
                "sni-check finds the server healthy, because its check doesn't have all of HAProxy's settings. \
                 HAProxy has tried the change below."
            }
            Some(_) => {
                "sni-check finds the server healthy. Its check sends a Host header different from that of HAProxy's \
                 own check. HAProxy has tried its own check with sni-check's Host: see the change below."
            }
            None if subject.partial().is_some() => {
                "sni-check finds the server healthy, because its check doesn't have all of HAProxy's settings and rules."
            }
            None if subject.works_in_haproxy() == Some(true) => {
                "sni-check finds the server healthy, and so does HAProxy with these lines. If you have changed haproxy.cfg \
                 or a file that it names, reload HAProxy. HAProxy reports UP after `rise` checks."
            }
            None if subject.works_in_haproxy() == Some(false) => {
                "sni-check finds the server healthy, but HAProxy doesn't. haproxy.cfg has a setting that sni-check's check \
                 doesn't have. Run sni-check diagnose HOST:PORT, and compare the lines that it prints with haproxy.cfg."
            }
            None => {
                "sni-check found the server healthy just now. HAProxy waits for `rise` checks before it \
                 reports UP, and may judge differently. sni-check diagnose BACKEND/SERVER shows HAProxy's view."
            }
        };
        paragraph(text, "  note     ", note);
    }
    if let Some(visitor) = subject
        .visitor
        .filter(|_| !diagnosis.search.has_failed_visitor())
    {
        let page = match visitor.complete {
            true => format!("status {}", visitor.status),
            false => format!("an incomplete response with status {}", visitor.status),
        };
        let note = format!("The check is UP, but a visitor's request through HAProxy gets {page}.");
        paragraph(text, "  note     ", &note);
    }
    if diagnosis.opinion.was_limited {
        paragraph(text, "  note     ", LIMITED);
    }
    let key = report.sentences();
    let reason = subject
        .change
        .as_ref()
        .and_then(|change| change.reason.as_ref());
    // A change to the verified name replaces the change to the SNI name, so the reason for the new change
    // replaces the causes.
    let is_whole = |reason: &&String| {
        let search = &diagnosis.search;
        let is_failing = search.best().failure().is_some();
        let is_said = search.changed.is_none() && misread.as_ref() == Some(*reason);
        is_failing || is_said || key.is_empty() || *reason == UNVERIFIED
    };
    if let Some(reason) = reason.filter(is_whole) {
        // HAProxy has proved the change, so the likely causes no longer matter.
        if misread.as_ref() != Some(reason) {
            paragraph(text, "  cause    ", &printable(reason));
        }
    } else if subject.is_up_only_in_haproxy() {
        doctor(text, subject);
    } else if !key.is_empty() && printed.causes.contains(&key) && !is_one {
        paragraph(text, "  cause    ", "the same as for the server above");
    } else {
        if let Some(partial) = Partial::of(subject, &report) {
            if misread.as_ref() != Some(&partial.cause) {
                paragraph(text, "  cause    ", &printable(&partial.cause));
            }
            paragraph(text, "  remains  ", &own_words(&partial.remains));
        }
        report.print_findings(text);
        if let Some(reason) = reason.filter(|reason| {
            diagnosis.search.changed.is_some() && misread.as_ref() != Some(*reason)
        }) {
            paragraph(text, "  cause    ", &printable(reason));
        }
        let visitors = format!("For visitors, HAProxy {}.", surveyed.traffic);
        paragraph(text, "  traffic  ", &printable(&visitors));
        doctor(text, subject);
        printed.causes.push(key);
    }
    if !change(text, subject, printed) {
        backend(text, subject, diagnosis, &report);
    }
    // The details show HAProxy's view of the check's options, without the other settings of haproxy.cfg.
    // Leave this view out if HAProxy's result with these settings may differ.
    let is_alike = subject.works_in_haproxy() != Some(false)
        && !subject.is_up_only_in_haproxy()
        && !subject.lacks_only_tls()
        && subject.obstacle().is_none()
        && surveyed.refused.is_empty();
    match is_one {
        true if is_alike => report.print_details(text),
        true if diagnosis.search.asked.options.verbose => report.print_steps(text),
        _ => {}
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
    let check = match check.trim_end() {
        "" => String::new(),
        check => format!(", {check}"),
    };
    let line = format!("{}{check}{why}", shown.status);
    paragraph(text, "  HAProxy  ", &printable(&line));
}

/// Appends what the server's agent does to the server, whatever its check says.
fn agent(text: &mut String, subject: &Subject<'_>) {
    if let Some(note) = by_agent(subject) {
        paragraph(text, "  note     ", &printable(&note));
    }
}

/// Appends doctor's first finding about the server, and the number of further findings. Leaves out findings
/// that the report already shows.
fn doctor(text: &mut String, subject: &Subject<'_>) {
    let (meant, obstacle) = (subject.meant(), subject.obstacle());
    let is_said = |finding: &&Remark| {
        obstacle == Some(*finding)
            // The report already begins with the reason why HAProxy doesn't start.
            || finding.id == "refused"
            || meant.is_some_and(|meant| meant.what.starts_with(&finding.what))
    };
    let findings = subject.surveyed.findings.iter();
    let findings: Vec<&Remark> = findings.filter(|finding| !is_said(finding)).collect();
    let Some(first) = findings.first() else {
        return;
    };
    let more = match findings.len() - 1 {
        0 => String::new(),
        more => format!("; and {more} more, see sni-check doctor"),
    };
    // If the report prints a change to haproxy.cfg, the change may already contain this fix.
    let fix = Some(&first.remedy).filter(|_| subject.change.is_none());
    let write = fix.map_or("", |fix| fix.write.trim_end_matches(':'));
    let write = match write {
        "" => String::new(),
        write => format!(". Fix: {write}"),
    };
    let what = remark(first);
    let line = format!("{}{write}{more}", what.trim_end_matches('.'));
    paragraph(text, "  doctor   ", &printable(&line));
    if let Some(fix) = fix.filter(|fix| !fix.paste.is_empty()) {
        command(text, "  paste    ", &printable(&fix.paste));
    }
}

/// Appends what to do. A shell command gets its own row, so that it can be copied.
fn remedy(text: &mut String, remedy: &Remedy) {
    if !remedy.write.is_empty() {
        paragraph(text, "  do       ", &printable(&remedy.write));
    }
    if !remedy.paste.is_empty() {
        command(text, "  paste    ", &printable(&remedy.paste));
    }
}

/// Explains that the server line has no `check`, and what to do. `why` is the reason why sni-check can't run
/// the check that the lines describe.
fn without_check(text: &mut String, subject: &Subject<'_>, why: &str) {
    paragraph(text, "  why      ", WITHOUT_CHECK);
    let place = &subject.surveyed.place;
    let advice = match why.strip_prefix(REFUSED_OPTIONS) {
        Some(refusal) => format!(
            "First correct the options of the check: {refusal}; then add `check` to {place}."
        ),
        None => format!("Add `check` to {place}."),
    };
    paragraph(text, "  do       ", &printable(&advice));
}

fn remark(finding: &Remark) -> String {
    let place = finding.place.as_ref();
    let place = place.map_or(String::new(), |place| format!(" ({place})"));
    format!("{}{place}: {}", finding.id, finding.what)
}

/// Appends the change to haproxy.cfg as a diff, or a note about a change that isn't enough. Returns false if
/// the report may offer a new backend instead.
fn change(text: &mut String, subject: &Subject<'_>, printed: &mut Printed) -> bool {
    if let Some(failed) = &subject.failed {
        if let (Err(_), Some(reason)) = (&subject.diagnosis, &failed.reason) {
            paragraph(text, "  cause    ", &printable(reason));
        }
        let (words, tried) = (&failed.words, failed.block.tried());
        let sentence = match failed.block.fails_visitors() {
            true => format!(
                "{words}: with this change the check is UP, but visitors fail ({tried}). It is not the fix."
            ),
            false => {
                let step = step(subject.surveyed, &tried);
                let step = step.map_or(String::new(), |step| format!(". HAProxy fails at {step}"));
                format!("{words}: this change is not enough ({tried}){step}")
            }
        };
        paragraph(text, "  note     ", &printable(&sentence));
        return failed.block.fails_visitors();
    }
    if let Some(conflict) = &subject.conflict {
        let sentence = sentence(&subject.surveyed.name(), conflict);
        paragraph(text, "  note     ", &printable(&sentence));
    }
    let Some(change) = &subject.change else {
        return false;
    };
    if let (Err(_), Some(reason)) = (&subject.diagnosis, &change.reason) {
        paragraph(text, "  cause    ", &printable(reason));
    }
    paragraph(text, "  change   ", &printable(&words_with_fields(change)));
    let tried = match &change.version {
        Some(version) => {
            // Distributions add their own version: 2.6.12-1+deb12u4.
            let version = version.split('-').next().unwrap_or(version);
            let tried = change.block.tried();
            format!("HAProxy {version}: {}", tried.trim_start_matches("tried: "))
        }
        None => "no, because HAProxy gave no answer".to_owned(),
    };
    paragraph(text, "  tried    ", &printable(&tried));
    let mut place = None;
    for hunk in &change.hunks {
        // A changed line of a backend applies to all its servers, so print it only once.
        if printed.hunks.contains(hunk) {
            let sentence = format!("line {} changes as above", hunk.place);
            paragraph(text, "           ", &printable(&sentence));
            continue;
        }
        printed.hunks.push(hunk.clone());
        let here = hunk.place.to_string();
        let here = if hunk.old.is_none() {
            format!("after {here}")
        } else {
            here
        };
        if place.as_ref() != Some(&here) {
            _ = writeln!(text, "\n{}", printable(&here));
        }
        for (sign, line) in [('-', &hunk.old), ('+', &hunk.new)] {
            if let Some(line) = line {
                _ = writeln!(text, "{sign}{}", pasted(line));
            }
        }
        place = Some(here);
    }
    true
}

/// Returns the change in a few words. Names the method, the page and the header fields that the change adds
/// to `http-check send`.
fn words_with_fields(change: &TriedChange) -> String {
    const SEND: &str = "http-check send";
    let fields = |line: &Option<String>| {
        let words: Vec<&str> = line.iter().flat_map(|line| line.split(' ')).collect();
        let fields = words.windows(2).filter_map(|pair| match pair[0] {
            "hdr" => Some(pair[1].to_owned()),
            "meth" | "uri" => Some(pair.join(" ")),
            _ => None,
        });
        fields.collect::<Vec<_>>()
    };
    let is_request = |hunk: &&Hunk| hunk.new.as_ref().is_some_and(|new| new.contains(SEND));
    let mut added = Vec::new();
    for hunk in change.hunks.iter().filter(is_request) {
        let old = fields(&hunk.old);
        added.extend(
            fields(&hunk.new)
                .into_iter()
                .filter(|name| !old.contains(name)),
        );
    }
    match added.is_empty() {
        true => change.words.clone(),
        false => change
            .words
            .replace(SEND, &format!("{SEND} with {}", added.join(", "))),
    }
}

/// Returns why the report has no diff for the server, and what to do.
pub(super) fn sentence(
    name: &str,
    Conflict {
        words,
        other,
        is_inherited,
        why,
    }: &Conflict,
) -> String {
    let remedy = match is_inherited {
        true => "Move the words from default-server to the lines of the servers that need them.",
        false => &format!("{name} needs its own backend."),
    };
    let why = match why {
        Contradiction::OtherWords => "is DOWN, too. It needs another change of that line.".to_owned(),
        Contradiction::Down => format!(
            "doesn't work with the change: HAProxy reports {other} UP with the present line, and DOWN with the change."
        ),
        Contradiction::OtherCheck => {
            "is UP with the present kind of check, which the change replaces.".to_owned()
        }
        Contradiction::FailsVisitors => {
            "doesn't work with the change: its visitors are served with the present line, and get an error with the \
             change."
                .to_owned()
        }
    };
    format!("{words}: this helps {name}, but {other} shares the changed line, and {why} {remedy}")
}

/// If no change fixes the present backend, appends a new backend that works. For example, sni-check's options
/// can't express plain HTTP or old TLS.
fn backend(text: &mut String, subject: &Subject<'_>, diagnosis: &Diagnosis, report: &Report<'_>) {
    let blocks = report.blocks();
    let kind = match subject.surveyed.kind {
        CheckKind::External => Kind::External,
        _ => Kind::Builtin,
    };
    let is_down = report.state() == "DOWN";
    // If the check connects to a different address, the new lines would send visitors to that address. In
    // mode tcp, visitors bring their own TLS, and the new lines would encrypt it a second time.
    let surveyed = subject.surveyed;
    let is_passed_through = !surveyed.lines.is_http && !surveyed.has_word("ssl");
    // HAProxy's check already passes the handshake and fails later. The new backend may check only the
    // handshake, so it isn't a fix.
    let fails_later = subject.fails_later().is_some();
    let works = subject.is_up_only_in_haproxy();
    // The new backend would check only the handshake.
    let is_step = |rule: &Rule| match rule.words.as_slice() {
        [first, action, ..] => {
            first == "tcp-check" && ["send", "expect"].contains(&action.as_str())
        }
        _ => false,
    };
    let checks_more = surveyed.lines.rules.iter().any(is_step);
    // The new backend has no place for secrets that the check sends.
    let best = diagnosis.search.best();
    let has_secrets = !left_out(&best.plan, &best.options).is_empty();
    if has_secrets
        || checks_more
        || surveyed.elsewhere.is_some()
        || is_passed_through
        || fails_later
        || works
    {
        return;
    }
    let block = blocks
        .iter()
        .find(|block| block.kind == kind)
        .or(blocks.first());
    if let Some(block) = block.filter(|block| is_down && block.is_up()) {
        let tried = match (&diagnosis.opinion.asked, &block.tried) {
            (Ok(version), Some(_)) => format!("with HAProxy {version}, {}", block.tried()),
            _ => "not tried".to_owned(),
        };
        _ = write!(
            text,
            "\nA backend that works ({}):\n\n{}",
            printable(&tried),
            block.text
        );
    }
}

/// Appends a line about a server without a diagnosis, if its state needs an explanation.
fn listed(text: &mut String, subject: &Subject<'_>) {
    let name = subject.surveyed.name();
    let (idle, by_agent) = (idle(subject), by_agent(subject));
    let sentence = match subject.state {
        _ if subject.is_as_agent_says() => by_agent.as_deref().unwrap_or_default(),
        State::Unresolved => {
            "its name has no address, so HAProxy runs no check. Look at the `resolvers` section and at \
             the name."
        }
        State::Unchecked if subject.surveyed.tracks.is_some() => return,
        State::Unchecked | State::Drained | State::Maintenance if idle.is_some() => {
            idle.as_deref().unwrap_or_default()
        }
        State::Unchecked if !subject.surveyed.is_checked => {
            "no check runs, because the server line has no `check`. HAProxy sends visitors \
             there even if the server fails."
        }
        State::Unchecked => "HAProxy has not finished a check yet.",
        State::Unknown => "no running HAProxy shows it, and sni-check can't check it.",
        State::Drained => &drained(&name),
        State::Maintenance => &maintenance(subject.surveyed.tracks.as_ref().unwrap_or(&name)),
        State::Down => match &subject.surveyed.tracks {
            Some(tracked) => &format!(
                "it tracks {tracked}, so the check of {tracked} decides the state of this server."
            ),
            None => return,
        },
        State::Up | State::Draining => return,
    };
    let state = subject.state.word();
    blank(text);
    let label = format!("{state} {}: ", printable(&name));
    paragraph(text, "", &format!("{label}{sentence}"));
    if subject.state == State::Unknown
        && let Err(why) = &subject.surveyed.call
    {
        paragraph(text, "  why      ", &printable(why));
    }
}
