//! The report as text for people, or as one JSON object.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::ask::{Block, Kind};
use super::lines;
use super::report::Report;
use super::steps::Step;
use super::view::{Role, Row};
use crate::causes::facts::{Facts, SniNeed};
use crate::causes::{Finding, Place, Weight};
use crate::certificate::Certificate;
use crate::output::escape::{json as json_text, printable};
use crate::output::json::certificate;
use crate::output::mark::{Mark, paint};
use crate::output::wrap::paragraph;
use crate::probe;

impl Report<'_> {
    fn facts(&self) -> &Facts {
        &self.search.asked
    }

    /// Returns the report as text: verdict, cause and fix first, then the lines to paste, then details.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let verbose = self.facts().options.verbose;
        self.summary(&mut text);
        // If HAProxy tried the lines and they don't work yet, show them only with --verbose: haproxy.cfg
        // probably has similar lines already.
        let blocks = self.blocks().into_iter();
        let is_new = |block: &&Block| block.tried.is_none() || block.lacks_serve();
        for block in blocks.filter(|block| verbose || block.is_up() || is_new(block)) {
            let kind = match block.kind {
                Kind::Builtin => "HAProxy's own check",
                Kind::External => "sni-check",
                Kind::Served => "sni-check serve",
            };
            let title = format!(
                "For haproxy.cfg, with {kind}{} ({}):",
                self.condition(),
                self.tried(block)
            );
            _ = write!(text, "\n{}\n\n{}", printable(&title), block.text);
        }
        self.print_details(&mut text);
        paint(text, self.facts().options.color.unwrap_or_default())
    }

    /// Appends the first lines: the verdict, the cause and the fix.
    fn summary(&self, text: &mut String) {
        let facts = self.facts();
        let code = facts.code();
        let sni = match facts.sni() {
            Some(name) => format!("sni={name}"),
            None => "no-sni".to_owned(),
        };
        let (number, word) = (code.number(), facts.plan.haproxy_word(code));
        _ = writeln!(
            text,
            "{} {number} {word}  {} {sni}",
            state(facts),
            facts.plan.target
        );
        paragraph(text, "  why      ", &printable(&self.why));
        if let Some(fix) = &self.fix {
            paragraph(text, "  fix      ", fix);
        }
        self.print_findings(text);
        for note in &self.notes {
            paragraph(text, "  note     ", &printable(note));
        }
    }

    /// Appends the causes, and what to do about each cause.
    pub fn print_findings(&self, text: &mut String) {
        let proved = self.search.proved.len().min(self.findings.len());
        let (proved, others) = self.findings.split_at(proved);
        for finding in proved {
            print_finding(text, finding);
        }
        if let Some(failure) = self.remains() {
            let line =
                format!("with these changes the check gets further, but still fails: {failure}");
            paragraph(text, "  remains  ", &printable(&line));
        }
        for finding in others {
            print_finding(text, finding);
        }
    }

    /// Appends what diagnose has seen, in a few lines. With --verbose, appends all steps and HAProxy's view.
    pub fn print_details(&self, text: &mut String) {
        if !self.facts().options.verbose {
            return self.seen(text);
        }
        self.print_steps(text);
        self.view(text);
    }

    /// Appends everything that diagnose has seen, step by step.
    pub fn print_steps(&self, text: &mut String) {
        *text += "\nWhat was seen:\n";
        for (index, step) in self.steps.iter().enumerate() {
            print_step(text, index + 1, step);
        }
    }

    /// Returns `UP` or `DOWN`.
    pub fn state(&self) -> &'static str {
        state(self.facts())
    }

    /// Returns a sentence about each cause. Two servers with equal sentences have the same causes.
    pub fn sentences(&self) -> Vec<String> {
        let findings = self.findings.iter();
        findings.map(|finding| finding.what.clone()).collect()
    }

    /// Appends what diagnose has seen, in a few lines. All successful steps share one line. Every other step
    /// has its own line with its most serious observation, unless the report already says the same in `why`.
    fn seen(&self, text: &mut String) {
        *text += "\nWhat was seen (--verbose shows all of it):\n";
        let is_good = |step: &&Step| step.mark() == Mark::Ok;
        let good = self.steps.iter().filter(is_good);
        let good: Vec<&str> = good.map(|step| step.title.as_str()).collect();
        if !good.is_empty() {
            Mark::Ok.paragraph(text, &good.join("; "));
        }
        let why = printable(&self.why);
        for step in self.steps.iter().filter(|step| step.mark() != Mark::Ok) {
            let gravest = step.lines.iter().find(|(mark, _)| *mark == step.mark());
            let is_said = |line: &str| line.contains(&why) || why.contains(line);
            if let Some((mark, line)) = gravest.filter(|(_, line)| !is_said(line)) {
                mark.paragraph(text, &format!("{}: {line}", step.title));
            }
        }
        let up = self.facts().verdict.result.is_ok();
        let checks = [Role::Own, Role::External];
        let rows: Vec<&Row> = checks
            .iter()
            .filter_map(|role| self.opinion.rows.iter().find(|row| row.role == *role))
            .collect();
        match &self.opinion.asked {
            Ok(version) if rows.iter().all(|row| row.up == up) => {
                let states: Vec<&str> = rows.iter().map(|row| row.status.as_str()).collect();
                let states = states.join(" (its own check), ");
                let line = format!("HAProxy {version} agrees: {states} (external check)");
                Mark::Ok.paragraph(text, &printable(&line));
            }
            _ => self.view(text),
        }
    }

    fn view(&self, text: &mut String) {
        let facts = self.facts();
        let trusted = lines::ca_file(&facts.options);
        let of = match &facts.reached {
            Some(address) => format!(" of {address}"),
            None => String::new(),
        };
        let by = match &self.opinion.asked {
            Ok(version) => format!("reported by HAProxy {version} on this host"),
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
        if let Err(why) = &self.opinion.asked {
            let note = format!(
                "HAProxy gave no answers ({why}), so sni-check predicted this view; HAProxy may judge certificates, \
                 old ciphers and odd responses differently"
            );
            paragraph(text, "  note         ", &printable(&note));
        }
    }

    fn condition(&self) -> &'static str {
        match self.place {
            Some(Place::Server) if self.bridges() => "",
            Some(Place::Server) => ", once the server is fixed",
            Some(Place::Network) => ", once the server can be reached",
            Some(Place::Files) => ", once the file is corrected",
            _ => "",
        }
    }

    fn tried(&self, block: &Block) -> String {
        match &self.opinion.asked {
            Err(_) => "not tried: HAProxy gave no answers".to_owned(),
            Ok(_) => block.tried(),
        }
    }

    /// Returns the report as one JSON object and a newline.
    pub fn object(&self) -> String {
        json_text(&self.value()) + "\n"
    }

    /// Returns the report as a JSON object.
    pub fn value(&self) -> Value {
        let facts = self.facts();
        let code = facts.code();
        let tls = facts.tls.as_ref();
        let chain = tls.map_or(&[][..], |tls| &tls.named.seen.chain);
        let names = chain.first().map(probe::names);
        let chain = chain.iter().filter_map(Certificate::read);
        let rows = self.opinion.rows.iter();
        let rows =
            rows.map(|row| json!({"check": row.check, "status": row.status, "why": row.why}));
        json!({
            "state": state(facts),
            "code": code.number(),
            "haproxy": facts.plan.haproxy_word(code),
            "meaning": code.meaning(),
            "cause": printable(&self.why),
            "remains": self.remains().map(|failure| printable(&failure)),
            "causes": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "target": facts.plan.target.to_string(),
            "sni": facts.sni(),
            "sni_needed": tls.and_then(|tls| tls.sni_need()).map(SniNeed::word),
            "names": names,
            "chain": chain.map(|read| certificate(&read)).collect::<Vec<_>>(),
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "haproxy_asked": self.opinion.asked.as_ref().ok(),
            "haproxy_not_asked": self.opinion.asked.as_ref().err(),
            "haproxy_view": rows.collect::<Vec<_>>(),
            "cure": self.cure(),
        })
    }

    fn cure(&self) -> Value {
        let blocks = self.blocks();
        let mut cure = json!({"where": self.place.map(Place::word), "advice": self.advice()});
        for (name, kind) in [
            ("builtin", Kind::Builtin),
            ("external", Kind::External),
            ("served", Kind::Served),
        ] {
            let block = blocks.iter().find(|block| block.kind == kind);
            let tried = block.map(|block| match block.is_up() {
                true => "tried: UP".to_owned(),
                false => self.tried(block),
            });
            let visitor = block.and_then(|block| block.visitor);
            cure[name] = json!(block.map(|block| &block.text));
            cure[format!("{name}_tried")] = json!(tried);
            cure[format!("{name}_visitors")] = json!(visitor.map(|visitor| visitor.status));
        }
        cure
    }

    /// Returns one text for each finding (what is wrong, the evidence and the change), and then the notes.
    fn advice(&self) -> Vec<String> {
        let findings = self.findings.iter();
        let findings = findings.map(|finding| {
            let parts = [&finding.what, &finding.evidence, &finding.change];
            let parts = parts.map(String::as_str);
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            parts.join(" ")
        });
        findings.chain(self.notes.iter().cloned()).collect()
    }
}

fn state(facts: &Facts) -> &'static str {
    match facts.verdict.result {
        Ok(_) => "UP",
        Err(_) => "DOWN",
    }
}

fn print_finding(text: &mut String, finding: &Finding) {
    let label = match finding.weight {
        Weight::Proved => "  cause    ",
        Weight::Likely => "  likely   ",
        Weight::Possible | Weight::RuledOut => "  possible ",
    };
    let what = [finding.what.as_str(), finding.evidence.as_str()].join(" ");
    paragraph(text, label, &printable(what.trim_end()));
    let confirm = without_what_is_said(&finding.confirm);
    if finding.weight != Weight::Proved && !confirm.is_empty() {
        paragraph(text, "  confirm  ", &printable(&confirm));
    }
    paragraph(text, "  do       ", &printable(&finding.change));
}

/// Removes sentences that recommend `sni-check diagnose`, because diagnose is already running. Also removes
/// sentences about a check's line, because the report already shows the content of this line.
fn without_what_is_said(text: &str) -> String {
    let said = ["sni-check diagnose", "the check's line", "The check's line"];
    let sentences = text.split_inclusive(". ");
    let is_said = |sentence: &&str| said.iter().any(|part| sentence.contains(part));
    let others = sentences.filter(|sentence| !is_said(sentence));
    others.collect::<String>().trim_end().to_owned()
}

fn finding(finding: &Finding) -> Value {
    json!({
        "id": finding.cause.id,
        "weight": finding.weight.word(),
        "where": finding.cause.place.word(),
        "what": finding.what,
        "evidence": finding.evidence,
        "confirm": finding.confirm,
        "change": finding.change,
    })
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

#[cfg(test)]
mod tests {
    use super::without_what_is_said;

    #[test]
    fn sentences_about_diagnose_itself_and_about_the_checks_line_are_left_out() {
        let text = "The line says no-sni. sni-check diagnose shows both. sni-check can't.";
        assert_eq!(
            without_what_is_said(text),
            "The line says no-sni. sni-check can't."
        );
        assert_eq!(without_what_is_said("The check's line names it."), "");
    }
}
