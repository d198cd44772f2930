//! Writes the findings as workflow commands. GitHub Actions then shows each finding next to its line:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.

use crate::output::mark::Mark;

use super::Report;
use super::print::title;
use crate::doctor::finding::{Effect, Finding};
use crate::doctor::run::outcome::Ran;

/// Returns one line for the summary, one line for each finding, and one line for each failed check of
/// `--run`.
pub(crate) fn of(report: &Report) -> String {
    let summary = line("notice", "title=sni-check doctor", &title(report));
    let findings = report.findings.iter().map(finding);
    let failed = report.runs.iter().flat_map(|runs| runs.failed());
    findings
        .chain(failed.map(run))
        .fold(summary, |all, line| all + &line)
}

fn finding(finding: &Finding) -> String {
    let level = match (finding.mark, finding.effect) {
        (Mark::Problem, _) => "error",
        (_, Effect::Hint) => "notice",
        _ => "warning",
    };
    let place = finding.place.as_ref().map_or_else(String::new, |place| {
        let file = escaped(&place.file).replace(':', "%3A").replace(',', "%2C");
        format!("file={file},line={},", place.line)
    });
    let said = finding
        .haproxy
        .iter()
        .map(|said| format!("HAProxy: {said}"));
    let mut text = vec![
        finding.about.join(", "),
        finding.what.clone(),
        finding.shows.clone(),
    ];
    text.extend(said);
    text.push(finding.remedy());
    text.retain(|part| !part.is_empty());
    line(
        level,
        &format!("{place}title={}", finding.id),
        &text.join("\n"),
    )
}

fn run(ran: &Ran) -> String {
    let text = format!(
        "{}/{}: {}\n{}",
        ran.backend, ran.server, ran.meaning, ran.said
    );
    line("error", &format!("title={}", ran.outcome.status()), &text)
}

fn line(level: &str, properties: &str, text: &str) -> String {
    format!("::{level} {properties}::{}\n", escaped(text))
}

/// Escapes line ends and `%`, so that text from haproxy.cfg can't start a new workflow command.
fn escaped(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}
