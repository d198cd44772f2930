//! The report as text for people, or as one JSON object.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::code::Code;
use crate::options::values::Color;
use crate::output::date::milliseconds;
use crate::output::escape::{json as json_text, printable};
use crate::output::mark::{Mark, paint};
use crate::output::wrap::paragraph;

use super::finding::Finding;
use super::report::Report;
use super::run::{Outcome, Ran};

/// The report as text.
pub(super) fn text(report: &Report, color: Color) -> String {
    let mut text = String::new();
    paragraph(&mut text, "", &printable(&title(report)));
    for finding in &report.findings {
        text.push('\n');
        print_finding(&mut text, finding);
    }
    section(&mut text, "haproxy -c says", &report.haproxy_says);
    let unclear = report.unclear.iter();
    let unclear: Vec<String> = unclear
        .map(|(place, why)| format!("{place}: {why}"))
        .collect();
    section(&mut text, "Not understood, and so not judged", &unclear);
    if let Some(ran) = &report.ran {
        print_runs(&mut text, report, ran);
    }
    paint(text, color)
}

fn title(report: &Report) -> String {
    let count = |mark| {
        let findings = report.findings.iter();
        findings.filter(|finding| finding.mark == mark).count()
    };
    let many = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    let found = match (count(Mark::Problem), count(Mark::Note)) {
        (0, 0) if report.checks == 0 => "no backend has `option external-check`".to_owned(),
        (0, 0) => "nothing stands in the way".to_owned(),
        (0, notes) => format!("nothing stands in the way, {}", many(notes, "note")),
        (problems, 0) => many(problems, "problem"),
        (problems, notes) => format!("{}, {}", many(problems, "problem"), many(notes, "note")),
    };
    format!(
        "{}, {}: {found}",
        report.files.join(", "),
        many(report.checks, "external check")
    )
}

fn print_finding(text: &mut String, finding: &Finding) {
    let place = finding.place.as_ref();
    let mut head = place.map_or_else(String::new, |place| printable(&format!("{place} ")));
    if !finding.about.is_empty() {
        const MOST: usize = 6;
        let named = finding.about.iter().take(MOST).map(|name| printable(name));
        head.push_str(&named.collect::<Vec<_>>().join(", "));
        let more = finding.about.len().saturating_sub(MOST);
        if more > 0 {
            _ = write!(head, " and {more} more");
        }
    }
    let what = printable(&finding.what);
    match head.trim_end() {
        "" => finding.mark.paragraph(text, &what),
        head => {
            finding.mark.paragraph(text, head);
            paragraph(text, "           ", &what);
        }
    }
    paragraph(text, "           shows  ", &printable(&finding.shows));
    paragraph(text, "           write  ", &printable(&finding.write));
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

fn print_runs(text: &mut String, report: &Report, ran: &[Ran]) {
    _ = writeln!(text, "\nThe checks, as HAProxy would run and show them");
    let name = |ran: &Ran| printable(&format!("{}/{}", ran.backend, ran.server));
    let width = ran.iter().map(|ran| name(ran).chars().count()).max();
    let width = width.unwrap_or_default().min(40);
    for ran in ran {
        let mark = match ran.outcome {
            Outcome::Code(0) => Mark::Ok,
            _ => Mark::Problem,
        };
        let code = ran.outcome.code();
        let code = code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        let line = format!(
            "{:<width$} {:<8} {code:<3} {:>7.1} ms  {}",
            name(ran),
            ran.outcome.status(),
            milliseconds(ran.time),
            ran.meaning
        );
        // The columns are kept, so nothing is wrapped.
        _ = writeln!(text, "  {:<8} {line}", mark.word());
    }
    let failed = ran.iter().find_map(|ran| match ran.outcome {
        Outcome::Code(code) if code != 0 => Code::from_number(code),
        _ => None,
    });
    if let Some(code) = failed.map(Code::number) {
        _ = writeln!(
            text,
            "\nsni-check explain {code} tells the causes, sni-check diagnose which it is."
        );
    }
    if !report.exact {
        text.push('\n');
        paragraph(
            text,
            "",
            "Run by this user and outside the chroot: only root can run checks exactly as HAProxy does.",
        );
    }
}

/// The report as one JSON object and a newline.
pub(super) fn object(report: &Report, code: Code) -> String {
    let findings = report.findings.iter().map(finding);
    let unclear = report.unclear.iter();
    let unclear =
        unclear.map(|(place, why)| json!({"file": &*place.file, "line": place.line, "why": why}));
    let object = json!({
        "code": code.number(),
        "files": report.files,
        "checks": report.checks,
        "haproxy": report.haproxy_version.as_ref().map(|version| json!({
            "version": version,
            "accepts": report.haproxy_accepts,
            "says": report.haproxy_says,
        })),
        "findings": findings.collect::<Vec<_>>(),
        "not_understood": unclear.collect::<Vec<_>>(),
        "runs": report.ran.as_ref().map(|ran| json!({
            "exact": report.exact,
            "checks": ran.iter().map(run).collect::<Vec<_>>(),
        })),
    });
    json_text(&object) + "\n"
}

fn finding(finding: &Finding) -> Value {
    let place = finding.place.as_ref();
    json!({
        "mark": finding.mark.word(),
        "id": finding.id,
        "file": place.map(|place| &*place.file),
        "line": place.map(|place| place.line),
        "about": finding.about,
        "what": finding.what,
        "shows": finding.shows,
        "write": finding.write,
    })
}

fn run(ran: &Ran) -> Value {
    json!({
        "backend": ran.backend,
        "server": ran.server,
        "check_status": ran.outcome.status(),
        "check_code": ran.outcome.code(),
        "meaning": ran.meaning,
        "milliseconds": milliseconds(ran.time),
    })
}
