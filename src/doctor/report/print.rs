//! The report as text for people.

use std::fmt::Write as _;

use crate::code::Code;
use crate::options::values::Color;
use crate::output::date::milliseconds;
use crate::output::escape::printable;
use crate::output::mark::{Mark, paint};
use crate::output::wrap::{command, paragraph};

use super::{LAST, Report};
use crate::doctor::finding::Finding;
use crate::doctor::run::outcome::{Outcome, Ran, Runs};

/// Returns the report as text.
pub(crate) fn text(report: &Report, color: Color) -> String {
    let mut text = String::new();
    paragraph(&mut text, "", &printable(&title(report)));
    if !report.found_by.is_empty() {
        paragraph(&mut text, "", &printable(&found(report)));
    }
    for (index, finding) in report.findings.iter().enumerate() {
        text.push('\n');
        print_finding(&mut text, finding, &report.findings[..index], report);
    }
    section(&mut text, "haproxy -c says", &report.other_messages);
    let unclear = report.unclear.iter();
    let unclear: Vec<String> = unclear
        .map(|(place, why)| format!("{place}: {why}"))
        .collect();
    section(&mut text, "Not understood, and so not judged", &unclear);
    if let Some(runs) = report.runs.as_ref().filter(|runs| runs.has_news()) {
        print_runs(&mut text, runs);
    }
    paint(text, color)
}

/// Returns the sentence which lists the files that doctor read, and says how doctor found them.
fn found(report: &Report) -> String {
    const MOST: usize = 8;
    let mut files = report
        .read
        .iter()
        .take(MOST)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let more = report.read.len().saturating_sub(MOST);
    if more > 0 {
        _ = write!(files, " and {more} more");
    }
    format!("Read {files}, as {}.", report.found_by)
}

/// Returns the first sentence of the report: the configuration files, the number of checks, and the summary.
pub(crate) fn title(report: &Report) -> String {
    let counts = [
        (report.checks, "external check", "external checks"),
        (
            report.served,
            "check by sni-check serve",
            "checks by sni-check serve",
        ),
        (report.own, "check by HAProxy", "checks by HAProxy"),
    ];
    let counts = counts.into_iter().filter(|(count, ..)| *count > 0);
    let counts = counts.map(|(count, one, many)| {
        let word = if count == 1 { one } else { many };
        format!("{count} {word}")
    });
    let checks = match counts.collect::<Vec<_>>() {
        none if none.is_empty() => "no check".to_owned(),
        counts => counts.join(" and "),
    };
    format!(
        "{}, {checks}: {}",
        printable(&report.files.join(", ")),
        printable(&report.summary())
    )
}

/// Prints a finding. `above` contains all findings that were printed before it. If the previous finding has
/// the same id, leaves out the lines `shows` and `fix` where they would repeat the previous finding.
fn print_finding(text: &mut String, finding: &Finding, above: &[Finding], report: &Report) {
    let head = head(finding, report);
    let what = printable(&finding.what);
    if finding.id == LAST {
        return finding.mark.paragraph(text, &format!("{head}: {what}"));
    }
    match head.as_str() {
        "" => finding.mark.paragraph(text, &what),
        head => {
            finding.mark.paragraph(text, head);
            paragraph(text, "           ", &what);
        }
    }
    let before = above.last().filter(|before| before.id == finding.id);
    let is_shared = |above: &Finding| above.request.is_some() && above.write == finding.write;
    if before.is_none_or(|before| before.shows != finding.shows) {
        paragraph(text, "           shows  ", &printable(&finding.shows));
    }
    for line in &finding.haproxy {
        paragraph(
            text,
            "           says   ",
            &printable(&format!("HAProxy: {line}")),
        );
    }
    // HAProxy refuses a second `http-check send`, so the report must not ask for the same line twice.
    if above.iter().any(is_shared) {
        paragraph(
            text,
            "           fix    ",
            "see the http-check send line above",
        );
    } else if !finding.write.is_empty() && before.is_none_or(|before| before.write != finding.write)
    {
        paragraph(text, "           fix    ", &printable(&finding.write));
    }
    if !finding.paste.is_empty() {
        command(text, "           paste  ", &printable(&finding.paste));
    }
}

/// Returns a finding's line and its backends or servers: `haproxy.cfg:3 (backend be)`.
fn head(finding: &Finding, report: &Report) -> String {
    let place = finding.place.as_ref();
    let place = place.map_or_else(String::new, |place| printable(&place.to_string()));
    if finding.about.is_empty() || finding.id == LAST {
        return place;
    }
    const MOST: usize = 6;
    let named = finding.about.iter().take(MOST).map(|name| printable(name));
    let mut names = named.collect::<Vec<_>>().join(", ");
    let more = finding.about.len().saturating_sub(MOST);
    if more > 0 {
        _ = write!(names, " and {more} more");
    }
    let is_server = |name: &String| {
        let mut servers = report.servers.iter();
        servers.any(|(backend, server)| *name == format!("{backend}/{server}"))
    };
    let word = match finding.id {
        "unset-variables" => "variable",
        _ if finding.about.iter().all(is_server) => "server",
        _ => "backend",
    };
    let s = if finding.about.len() == 1 { "" } else { "s" };
    match place.as_str() {
        "" => format!("{word}{s} {names}"),
        place => format!("{place} ({word}{s} {names})"),
    }
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    _ = writeln!(text, "\n{title}");
    for line in lines {
        paragraph(text, "  ", &printable(line));
    }
}

fn print_runs(text: &mut String, runs: &Runs) {
    if !runs.checks.is_empty() {
        _ = writeln!(text, "\nThe checks, as HAProxy would run and show them");
    }
    let name = |ran: &Ran| printable(&format!("{}/{}", ran.backend, ran.server));
    let widths = runs.checks.iter().map(|ran| name(ran).chars().count());
    let width = widths.max().unwrap_or_default().min(40);
    for ran in &runs.checks {
        let mark = match ran.outcome.is_up() {
            true => Mark::Ok,
            false => Mark::Problem,
        };
        let code = ran.outcome.code();
        let code = code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        let columns = format!(
            "{:<width$} {:<8} {code:<3} {:>7.1} ms",
            name(ran),
            ran.outcome.status(),
            milliseconds(ran.time),
        );
        // Wrapping would break the columns.
        _ = writeln!(text, "  {:<8} {columns}", mark.word());
        if mark != Mark::Ok {
            paragraph(text, "           means  ", &ran.meaning);
            if !ran.said.is_empty() {
                paragraph(text, "           says   ", &printable(&ran.said));
            }
        }
        if let Some(visitor) = &ran.visitor
            && (mark != Mark::Ok || ran.trap.is_some())
        {
            let visitor = format!("a visitor's {} {}", visitor.request, visitor.gets());
            paragraph(text, "           while  ", &printable(&visitor));
        }
        if let Some(diagnose) = &ran.diagnose {
            command(text, "           next   ", &printable(diagnose));
        }
    }
    let failed = runs.failed().find_map(|ran| match ran.outcome {
        Outcome::Own { status, .. } => Some(status.to_owned()),
        outcome => {
            let code = outcome.own_code().filter(|code| *code != Code::Healthy);
            code.map(|code| code.number().to_string())
        }
    });
    text.push('\n');
    if let Some(shown) = failed {
        let sentence = format!(
            "sni-check explain {shown} lists the causes. sni-check diagnose finds the right cause."
        );
        paragraph(text, "", &sentence);
    }
    for limit in &runs.limits {
        paragraph(text, "", limit);
    }
}
