//! The report as text for people.

use std::fmt::Write as _;

use crate::code::Code;
use crate::options::values::Color;
use crate::output::date::milliseconds;
use crate::output::escape::printable;
use crate::output::mark::{Mark, paint};
use crate::output::wrap::paragraph;

use super::finding::Finding;
use super::outcome::{Ran, Runs};
use super::report::Report;

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
    if let Some(runs) = report.runs.as_ref().filter(|runs| !runs.checks.is_empty()) {
        print_runs(&mut text, runs);
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
    let failed = report.runs.iter().flat_map(Runs::failed).count();
    let good = match failed {
        0 => "nothing stands in the way",
        _ => "no problem in the configuration",
    };
    let found = match (count(Mark::Problem), count(Mark::Note)) {
        (0, 0) if report.checks + report.served == 0 => {
            "no backend has `option external-check`".to_owned()
        }
        (0, 0) => good.to_owned(),
        (0, notes) => format!("{good}, {}", many(notes, "note")),
        (problems, 0) => many(problems, "problem"),
        (problems, notes) => format!("{}, {}", many(problems, "problem"), many(notes, "note")),
    };
    let failed = match failed {
        0 => String::new(),
        1 => "; 1 check below fails".to_owned(),
        many => format!("; {many} checks below fail"),
    };
    let served = match report.served {
        0 => String::new(),
        served => format!(" and {} by sni-check serve", many(served, "check")),
    };
    format!(
        "{}, {}{served}: {found}{failed}",
        printable(&report.files.join(", ")),
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
    if !finding.write.is_empty() {
        paragraph(text, "           fix    ", &printable(&finding.write));
    }
    if !finding.paste.is_empty() {
        command(text, "           paste  ", &printable(&finding.paste));
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
    _ = writeln!(text, "\nThe checks, as HAProxy would run and show them");
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
        // The columns are kept, so nothing is wrapped.
        _ = writeln!(text, "  {:<8} {columns}", mark.word());
        if mark == Mark::Ok {
            continue;
        }
        paragraph(text, "           means  ", &ran.meaning);
        if !ran.said.is_empty() {
            paragraph(text, "           says   ", &printable(&ran.said));
        }
        if let Some(diagnose) = &ran.diagnose {
            command(text, "           next   ", &printable(diagnose));
        }
    }
    let failed = runs.failed().find_map(|ran| ran.outcome.own_code());
    text.push('\n');
    if let Some(code) = failed.map(Code::number) {
        let sentence =
            format!("sni-check explain {code} tells the causes, sni-check diagnose which it is.");
        paragraph(text, "", &sentence);
    }
    for limit in &runs.limits {
        paragraph(text, "", limit);
    }
}

/// Appends a shell command after `label`, broken so that it can be pasted as it is.
fn command(text: &mut String, label: &str, command: &str) {
    const WIDTH: usize = 80;
    let indent = " ".repeat(label.chars().count());
    text.push_str(label);
    let mut column = indent.len();
    for (index, word) in shell_words(command).enumerate() {
        let length = word.chars().count();
        // Two columns are for the backslash.
        if index > 0 && column + length + 3 > WIDTH {
            _ = write!(text, " \\\n{indent}");
            column = indent.len();
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

/// The words of a command, with their quotes.
fn shell_words(command: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    command.split(move |c: char| {
        match quote {
            Some(open) if open == c => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            _ => {}
        }
        c == ' ' && quote.is_none()
    })
}
