//! The report as one JSON object.

use serde_json::{Value, json};

use crate::code::Code;
use crate::output::date::milliseconds;
use crate::output::escape::json as json_text;

use super::Report;
use crate::doctor::finding::Finding;
use crate::doctor::rules;
use crate::doctor::run::outcome::Ran;

/// Returns the report as one JSON object and a newline.
pub(crate) fn of(report: &Report, code: Code) -> String {
    let findings = report.findings.iter().map(finding);
    let unclear = report.unclear.iter();
    let unclear =
        unclear.map(|(place, why)| json!({"file": &*place.file, "line": place.line, "why": why}));
    let object = json!({
        "code": code.number(),
        "files": report.files,
        "checks": report.checks,
        "served": report.served,
        "haproxy": report.haproxy_version.as_ref().map(|version| json!({
            "version": version,
            "accepts": report.haproxy_accepts,
            "says": report.haproxy_says,
        })),
        "read": report.read,
        "found_by": Some(&report.found_by).filter(|text| !text.is_empty()),
        "summary": report.summary(),
        "findings": findings.collect::<Vec<_>>(),
        "not_understood": unclear.collect::<Vec<_>>(),
        "runs": report.runs.as_ref().map(|runs| json!({
            "exact": runs.exact,
            "limits": runs.limits,
            "checks": runs.checks.iter().map(run).collect::<Vec<_>>(),
        })),
    });
    json_text(&object) + "\n"
}

fn finding(finding: &Finding) -> Value {
    let place = finding.place.as_ref();
    json!({
        "mark": finding.mark.word(),
        "id": finding.id,
        "effect": finding.effect.word(),
        "cause": rules::cause(finding.id),
        "file": place.map(|place| &*place.file),
        "line": place.map(|place| place.line),
        "about": finding.about,
        "what": finding.what,
        "shows": finding.shows,
        "write": finding.remedy(),
        "haproxy": finding.haproxy,
    })
}

fn run(ran: &Ran) -> Value {
    json!({
        "backend": ran.backend,
        "server": ran.server,
        "check_status": ran.outcome.status(),
        "check_code": ran.outcome.code(),
        "meaning": ran.meaning,
        "line": Some(&ran.said).filter(|line| !line.is_empty()),
        "diagnose": ran.diagnose,
        "milliseconds": milliseconds(ran.time),
        "visitor": ran.visitor.as_ref().map(|visitor| json!({
            "request": visitor.request,
            "status": visitor.resumed.or(visitor.status),
            "root": visitor.root,
        })),
    })
}
