//! The report as text for people, or as one JSON object.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::advice::Advice;
use super::case::Case;
use super::evidence::Evidence;
use super::handshakes::SniNeed;
use super::opinion::{Opinion, Snippet};
use super::setup::Where;
use super::step::Step;
use super::{head, snippet, steps};
use crate::certificate::Certificate;
use crate::output::escape::{json as json_text, printable};
use crate::output::json::certificate;
use crate::output::mark::paint;
use crate::output::wrap::paragraph;
use crate::probe;

/// What is printed.
pub(super) struct Report<'a> {
    pub case: Case<'a>,
    pub opinion: &'a Opinion,
    pub advice: &'a Advice,
}

impl Report<'_> {
    /// As text: the verdict and what to do first, the lines to paste last.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.summary(&mut text);
        for (index, step) in steps::steps(self.case).iter().enumerate() {
            print_step(&mut text, index + 1, step);
        }
        self.view(&mut text);
        for (kind, snippet) in self.snippets() {
            let title = format!(
                "For haproxy.cfg, with {kind}{} ({}):",
                self.condition(),
                self.tried(snippet)
            );
            let title = printable(&title);
            _ = write!(text, "\n{title}\n\n{}", snippet.text);
        }
        paint(text, self.case.options.color.unwrap_or_default())
    }

    /// The first lines: what ten seconds are enough for.
    fn summary(&self, text: &mut String) {
        let Case { plan, evidence, .. } = self.case;
        let code = evidence.code();
        let sni = match &plan.names.sni {
            Some(name) => format!("sni={}", name.as_ref()),
            None => "no-sni".to_owned(),
        };
        let state = state(evidence);
        let (number, word) = (code.number(), plan.haproxy_word(code));
        _ = writeln!(text, "{state} {number} {word}  {} {sni}", plan.target);
        paragraph(text, "  why      ", &cause(evidence));
        if let Some(place) = self.advice.place {
            paragraph(text, "  fix      ", place.sentence());
        }
        for sentence in &self.advice.sentences {
            paragraph(text, "  do       ", &printable(sentence));
        }
    }

    fn view(&self, text: &mut String) {
        let Case {
            options, evidence, ..
        } = self.case;
        let trusted = snippet::ca_file(options);
        let of = match &evidence.reached {
            Some(address) => format!(" of {address}"),
            None => String::new(),
        };
        let by = match &self.opinion.asked {
            Ok(version) => format!("HAProxy {version} here"),
            Err(_) => "predicted".to_owned(),
        };
        let title = format!("HAProxy's view{of} (ca-file {trusted}), {by}");
        text.push('\n');
        paragraph(text, "", &printable(&title));
        for row in &self.opinion.rows {
            let why = match row.why.as_str() {
                "" => String::new(),
                why => format!(": {why}"),
            };
            let label = format!("  {:<12} ", row.status);
            let line = printable(&format!("{}{why}", row.check));
            paragraph(text, &label, &line);
        }
        if self.opinion.builtin.is_some() && evidence.tls.is_some() {
            paragraph(text, "  note         ", RESUMPTION);
        }
        if let Err(why) = &self.opinion.asked {
            let note = format!(
                "predicted from what sni-check sees, because {why}; HAProxy may judge certificates, old \
                 ciphers and odd responses otherwise"
            );
            paragraph(text, "  note         ", &printable(&note));
        }
    }

    /// The lines to paste. Those that would stay faulty are not offered.
    fn snippets(&self) -> Vec<(&'static str, &Snippet)> {
        let kinds = [
            ("HAProxy's own check", &self.opinion.builtin),
            ("sni-check", &self.opinion.external),
            ("sni-check serve", &self.opinion.served),
        ];
        let snippets = kinds
            .into_iter()
            .filter_map(|(kind, snippet)| Some((kind, snippet.as_ref()?)));
        snippets
            .filter(|(_, snippet)| self.offers(snippet))
            .collect()
    }

    fn offers(&self, snippet: &Snippet) -> bool {
        // Lines by which the check is UP, and visitors get 502, are none.
        if head::is_too_long(self.case.evidence.failure()) {
            return false;
        }
        snippet.is_up() || (self.advice.place != Some(Where::Options) && !snippet.is_refused())
    }

    fn condition(&self) -> &'static str {
        match self.advice.place {
            Some(Where::Server) => ", once the server is repaired",
            Some(Where::Network) => ", once the server is reached",
            Some(Where::Files) => ", once the file is right",
            _ => "",
        }
    }

    fn tried(&self, snippet: &Snippet) -> String {
        match &self.opinion.asked {
            Err(_) => "not tried: no HAProxy was asked".to_owned(),
            Ok(_) => snippet.tried(),
        }
    }

    /// As one JSON object and a newline.
    pub fn object(&self) -> String {
        let Case { plan, evidence, .. } = self.case;
        let code = evidence.code();
        let tls = evidence.tls.as_ref();
        let chain = tls.map_or(&[][..], |tls| &tls.named.seen.chain);
        let names = chain.first().map(probe::names);
        let chain = chain.iter().filter_map(Certificate::read);
        let rows = self.opinion.rows.iter();
        let rows =
            rows.map(|row| json!({"check": row.check, "status": row.status, "why": row.why}));
        let snippet = |kind: &Option<Snippet>| {
            let offered = kind.as_ref().filter(|snippet| self.offers(snippet));
            offered.map(|snippet| (snippet.text.clone(), self.tried(snippet)))
        };
        let (builtin, builtin_tried) = snippet(&self.opinion.builtin).unzip();
        let (external, external_tried) = snippet(&self.opinion.external).unzip();
        let (served, served_tried) = snippet(&self.opinion.served).unzip();
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
            "steps": steps::steps(self.case).iter().map(step).collect::<Vec<_>>(),
            "haproxy_asked": self.opinion.asked.as_ref().ok(),
            "haproxy_not_asked": self.opinion.asked.as_ref().err(),
            "haproxy_view": rows.collect::<Vec<_>>(),
            "cure": {
                "where": self.advice.place.map(Where::word),
                "advice": self.advice.sentences,
                "builtin": builtin,
                "builtin_tried": builtin_tried,
                "external": external,
                "external_tried": external_tried,
                "served": served,
                "served_tried": served_tried,
            },
        });
        json_text(&object) + "\n"
    }
}

/// What HAProxy's own TLS check does not notice.
const RESUMPTION: &str = "before HAProxy 3.4 its own check resumes TLS sessions, so it notices only \
                          half a minute or more later that a certificate has ended; no-ssl-reuse on \
                          the server line cures that, at the cost of a full handshake for every \
                          connection of visitors, too";

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
