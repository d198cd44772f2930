//! The report as text for people, or as one JSON object.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use serde_json::{Value, json};

use super::{Findings, Mark, Step, chain as certificates, cure, steps, view};
use crate::certificate::Certificate;
use crate::options::Options;
use crate::plan::Plan;
use crate::report::{certificate, printable};
use crate::text::paragraph;
use crate::values::Color;

/// The report as text.
pub(super) fn report(plan: &Plan, options: &Options, findings: &Findings) -> String {
    let code = findings.verdict.code();
    let mut text = String::new();
    let title = format!(
        "{} {} {}  ",
        state(findings),
        code.number(),
        code.haproxy_word()
    );
    paragraph(
        &mut text,
        &title,
        &format!("{}: {}", plan.target, cause(findings)),
    );
    for (index, step) in steps::steps(plan, findings).iter().enumerate() {
        print_step(&mut text, index + 1, step);
    }
    text.push_str("\nHAProxy's view\n");
    for row in view::rows(plan, findings) {
        _ = writeln!(text, "  {:<12} {}", row.status, printable(&row.check));
        if !row.why.is_empty() {
            paragraph(&mut text, &" ".repeat(15), &printable(&row.why));
        }
    }
    let cure = cure::cure(plan, options, findings);
    text.push_str("\nThe cure\n");
    for sentence in &cure.advice {
        paragraph(&mut text, "  - ", &printable(sentence));
    }
    for (title, snippet) in [
        ("With HAProxy's own check:", &cure.builtin),
        (
            "With sni-check, which says why a server is down:",
            &cure.external,
        ),
    ] {
        if let Some(snippet) = snippet {
            _ = write!(text, "\n  {title}\n\n{snippet}");
        }
    }
    if colored(options.color.unwrap_or_default()) {
        color(&text)
    } else {
        text
    }
}

fn state(findings: &Findings) -> &'static str {
    if findings.verdict.result.is_ok() {
        "UP"
    } else {
        "DOWN"
    }
}

fn cause(findings: &Findings) -> String {
    match &findings.verdict.result {
        Ok(response) => format!("status {}", response.status),
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
        paragraph(text, &format!("  {:<8} ", mark.word()), line);
    }
}

fn colored(choice: Color) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !plain && io::stdout().is_terminal()
        }
    }
}

/// Colours the marks: what stands at the begin of a step's line.
fn color(text: &str) -> String {
    let mut colored = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let mark = [Mark::Ok, Mark::Note, Mark::Problem]
            .into_iter()
            .find(|mark| line.starts_with(&format!("  {:<8} ", mark.word())));
        let paint = match mark {
            Some(Mark::Ok) => "32",
            Some(Mark::Note) => "33",
            Some(Mark::Problem) => "31",
            None => "",
        };
        match mark {
            Some(mark) => {
                let (word, rest) = (mark.word(), &line[2 + mark.word().len()..]);
                _ = writeln!(colored, "  \x1b[{paint}m{word}\x1b[0m{rest}");
            }
            None => _ = writeln!(colored, "{line}"),
        }
    }
    colored
}

/// The report as one JSON object and a newline.
pub(super) fn object(plan: &Plan, options: &Options, findings: &Findings) -> String {
    let code = findings.verdict.code();
    let cure = cure::cure(plan, options, findings);
    let tls = findings.tls.as_ref();
    let chain = tls.map_or(&[][..], |tls| &tls.named.seen.chain);
    let names = chain.first().map(certificates::names);
    let chain = chain.iter().filter_map(Certificate::read);
    let rows = view::rows(plan, findings);
    let rows = rows
        .iter()
        .map(|row| json!({"check": row.check, "status": row.status, "why": row.why}));
    let object = json!({
        "state": state(findings),
        "code": code.number(),
        "haproxy": code.haproxy_word(),
        "meaning": code.meaning(),
        "cause": cause(findings),
        "target": plan.target.to_string(),
        "sni": plan.names.sni.as_ref().map(|name| name.as_ref()),
        "sni_needed": tls.and_then(|tls| tls.sni_needed()),
        "names": names,
        "chain": chain.map(|read| certificate(&read)).collect::<Vec<_>>(),
        "steps": steps::steps(plan, findings).iter().map(step).collect::<Vec<_>>(),
        "haproxy_view": rows.collect::<Vec<_>>(),
        "cure": {
            "advice": cure.advice,
            "builtin": cure.builtin,
            "external": cure.external,
        },
    });
    format!("{object}\n")
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
