//! The report as text for people, or as one JSON object.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::case::Case;
use super::evidence::{Evidence, SniNeed};
use super::step::Step;
use super::{cure, snippet, steps, view};
use crate::certificate::Certificate;
use crate::code::Code;
use crate::output::escape::{json as json_text, printable};
use crate::output::json::certificate;
use crate::output::mark::paint;
use crate::output::wrap::paragraph;
use crate::probe;

/// The report as text: the verdict and what to do first, the lines to paste last.
pub(super) fn report(case: Case<'_>) -> String {
    let Case {
        options, evidence, ..
    } = case;
    let cure = cure::cure(case);
    let mut text = String::new();
    summary(&mut text, case, &cure.advice);
    for (index, step) in steps::steps(case).iter().enumerate() {
        print_step(&mut text, index + 1, step);
    }
    let trusted = snippet::ca_file(options);
    let of = match &evidence.reached {
        Some(address) => format!(" of {address}"),
        None => String::new(),
    };
    let title = format!("HAProxy's view{of} (ca-file {trusted})");
    _ = writeln!(text, "\n{}", printable(&title));
    for row in view::rows(case) {
        let why = match row.why.as_str() {
            "" => String::new(),
            why => format!(": {why}"),
        };
        let label = format!("  {:<12} ", row.status);
        paragraph(
            &mut text,
            &label,
            &printable(&format!("{}{why}", row.check)),
        );
    }
    let condition = match evidence.verdict.code() {
        Code::Healthy => "",
        _ => " (UP once that is fixed)",
    };
    for (kind, snippet) in [
        ("HAProxy's own check", &cure.builtin),
        ("sni-check", &cure.external),
    ] {
        if let Some(snippet) = snippet {
            let title = format!("For haproxy.cfg, with {kind}{condition}:");
            _ = write!(text, "\n{title}\n\n{snippet}");
        }
    }
    paint(text, options.color.unwrap_or_default())
}

/// The first lines: what ten seconds are enough for.
fn summary(text: &mut String, Case { plan, evidence, .. }: Case<'_>, advice: &[String]) {
    let code = evidence.verdict.code();
    let sni = match &plan.names.sni {
        Some(name) => format!("sni={}", name.as_ref()),
        None => "no-sni".to_owned(),
    };
    let state = state(evidence);
    let (number, word) = (code.number(), plan.haproxy_word(code));
    _ = writeln!(text, "{state} {number} {word}  {} {sni}", plan.target);
    paragraph(text, "  why      ", &cause(evidence));
    for sentence in advice {
        paragraph(text, "  do       ", &printable(sentence));
    }
}

fn state(evidence: &Evidence) -> &'static str {
    if evidence.verdict.result.is_ok() {
        "UP"
    } else {
        "DOWN"
    }
}

fn cause(evidence: &Evidence) -> String {
    match &evidence.verdict.result {
        Ok(Some(response)) => format!("healthy: status {}", response.status),
        Ok(None) => "healthy: the handshake is done (--handshake-only)".to_owned(),
        Err(failure) => printable(&failure.to_string()),
    }
}

fn print_step(text: &mut String, number: usize, step: &Step) {
    let time = step
        .milliseconds
        .map_or_else(String::new, |time| format!("{time:.1} ms"));
    let title = format!("{number}. {}", step.title);
    let line = format!("\n{title:<66} {time:>13}");
    _ = writeln!(text, "{}", line.trim_end());
    for (mark, line) in &step.lines {
        mark.paragraph(text, line);
    }
}

/// The report as one JSON object and a newline.
pub(super) fn object(case: Case<'_>) -> String {
    let Case { plan, evidence, .. } = case;
    let code = evidence.verdict.code();
    let cure = cure::cure(case);
    let tls = evidence.tls.as_ref();
    let chain = tls.map_or(&[][..], |tls| &tls.named.seen.chain);
    let names = chain.first().map(probe::names);
    let chain = chain.iter().filter_map(Certificate::read);
    let rows = view::rows(case);
    let rows = rows
        .iter()
        .map(|row| json!({"check": row.check, "status": row.status, "why": row.why}));
    let object = json!({
        "state": state(evidence),
        "code": code.number(),
        "haproxy": plan.haproxy_word(code),
        "meaning": code.meaning(),
        "cause": cause(evidence),
        "target": plan.target.to_string(),
        "sni": plan.names.sni.as_ref().map(|name| name.as_ref()),
        "sni_needed": tls.and_then(|tls| tls.sni_need()).map(SniNeed::word),
        "names": names,
        "chain": chain.map(|read| certificate(&read)).collect::<Vec<_>>(),
        "steps": steps::steps(case).iter().map(step).collect::<Vec<_>>(),
        "haproxy_view": rows.collect::<Vec<_>>(),
        "cure": {
            "advice": cure.advice,
            "builtin": cure.builtin,
            "external": cure.external,
        },
    });
    json_text(&object) + "\n"
}

fn step(step: &Step) -> Value {
    let lines = step.lines.iter();
    let lines = lines.map(|(mark, text)| json!({"mark": mark.word(), "text": text}));
    json!({
        "title": step.title,
        "milliseconds": step.milliseconds,
        "mark": step.mark().word(),
        "lines": lines.collect::<Vec<_>>(),
    })
}
