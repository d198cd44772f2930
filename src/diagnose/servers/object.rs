//! The report about servers as one JSON object. docs/json.md documents it.

use serde_json::{Value, json};

use super::print;
use super::state::{State, Statistics, Subject};
use super::verdict::{Partial, misread};
use crate::code::Code;
use crate::diagnose::change::diff::Hunk;
use crate::diagnose::report::Report;
use crate::doctor::survey::{Remark, Survey};
use crate::output::escape::{json as json_text, printable};

/// Returns the JSON object, followed by a newline.
pub(super) fn of(
    survey: &Survey,
    statistics: &Statistics,
    subjects: &[Subject<'_>],
    code: Code,
) -> String {
    let listed = subjects.iter().filter(|subject| {
        subject.is_wanted || !matches!(subject.state, State::Up | State::Maintenance)
    });
    let object = json!({
        "files": survey.files,
        "found_by": survey.found_by,
        "refused": survey.refusal.as_ref().map(|refusal| &refusal.what),
        "socket": statistics.socket,
        "no_statistics": statistics.error,
        "code": code.number(),
        "up": State::Up.count(subjects),
        "down": State::Down.count(subjects),
        "servers": listed.map(server).collect::<Vec<_>>(),
    });
    json_text(&object) + "\n"
}

fn server(subject: &Subject<'_>) -> Value {
    let surveyed = subject.surveyed;
    let report = subject.diagnosis.as_ref().ok();
    let report = report.map(|diagnosis| subject.report(diagnosis));
    let mut object = report.as_ref().map_or_else(|| json!({}), Report::value);
    let partial = report.and_then(|report| Partial::of(subject, &report));
    let shown = subject.shown;
    let offered = subject.change.as_ref();
    let conflict = subject.conflict.as_ref();
    let conflict = conflict.map(|conflict| print::sentence(&surveyed.name(), conflict));
    let reason = offered.and_then(|change| change.reason.clone());
    let reason = conflict.or(reason).or_else(|| {
        let partial = partial.as_ref()?;
        Some(format!("{} {}", partial.cause, partial.remains))
    });
    let fields = json!({
        "state": subject.state.word(),
        "backend": surveyed.backend,
        "server": surveyed.server,
        "line": surveyed.place.to_string(),
        "address": surveyed.address,
        "haproxy_status": shown.map(|shown| &shown.status),
        "haproxy_check": shown.map(|shown| &shown.check),
        "haproxy_check_code": shown.map(|shown| &shown.code),
        "haproxy_last_check": shown.map(|shown| &shown.why),
        "agent": subject.agent.as_ref().map(|(answer, _)| answer),
        "not_diagnosed": subject.diagnosis.as_ref().err(),
        "traffic": surveyed.traffic,
        "doctor": surveyed.findings.iter().map(remark).collect::<Vec<_>>(),
        "diff": offered.map(|change| change.hunks.iter().map(hunk).collect::<Vec<_>>()),
        "diff_reason": reason,
        "diff_tried": offered.map(|change| change.block.tried()),
        "diff_visitors": offered.and_then(|change| change.block.visitor).map(|visitor| visitor.status),
        "visitors": subject.visitor.map(|visitor| visitor.status),
    });
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
        if subject.state == State::Unknown
            && let Ok(diagnosis) = &subject.diagnosis
        {
            let report = subject.report(diagnosis);
            object.insert("state".to_owned(), json!(report.state()));
        }
        if let Some(partial) = partial {
            object.insert("remains".to_owned(), json!(printable(&partial.failure)));
        }
        if let Some(why) = misread(subject).filter(|_| subject.diagnosis.is_ok()) {
            object.insert("why".to_owned(), json!(why));
        }
        if let Some(word) = subject.haproxy_word().filter(|_| subject.lacks_only_tls()) {
            object.insert("haproxy".to_owned(), json!(word));
            object.insert("meaning".to_owned(), json!(subject.code().meaning()));
        }
        let is_haproxys = subject.state == State::Down || subject.is_up_only_in_haproxy();
        if object.get("code").is_none() || is_haproxys {
            let code = subject.is_wanted.then(|| subject.code().number());
            object.insert("code".to_owned(), json!(code));
        }
    }
    object
}

fn remark(remark: &Remark) -> Value {
    json!({
        "id": remark.id,
        "place": remark.place.as_ref().map(ToString::to_string),
        "what": remark.what,
    })
}

fn hunk(hunk: &Hunk) -> Value {
    json!({
        "file": *hunk.place.file,
        "line": hunk.place.line,
        "old": hunk.old,
        "new": hunk.new,
    })
}
