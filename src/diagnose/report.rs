//! The report: the results of a diagnosis, in the order in which text and JSON show them.

use super::ask::{Block, Kind, Opinion};
use super::lines::left_out;
use super::steps::{Step, steps};
use super::trials::Search;
use crate::causes::facts::{Facts, Way};
use crate::causes::own_check::EXPLANATIONS;
use crate::causes::voice::Voice;
use crate::causes::{Finding, Place, Weight, weigh};
use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::explain::alert_of;
use crate::output::mark::Mark;
use crate::output::{notes, times};

/// The results of a diagnosis.
pub(super) struct Report<'a> {
    pub search: &'a Search,
    pub opinion: &'a Opinion,
    /// Why the server is DOWN, or what the check has seen of a server that is UP.
    pub why: String,
    /// The causes that changes proved, in the order of discovery. The other causes follow, and the best
    /// supported of them comes first.
    pub findings: Vec<Finding>,
    /// Where the operator must fix the problem. `None` if nothing is wrong.
    pub place: Option<Place>,
    /// The place of the fix, in words.
    pub fix: Option<String>,
    /// Advice that doesn't belong to a cause.
    pub notes: Vec<String>,
    pub steps: Vec<Step>,
}

/// The cause if a server cuts off its response, but the response looks healthy to the check.
const CUT: &str = "response-cut-for-visitors";

/// The causes that are problems even if the check is UP.
const MATTERS: [&str; 4] = [
    "traffic-needs-sni",
    "servers-differ",
    CUT,
    "visitors-get-error",
];

/// The largest number of causes that the report names if the facts prove no cause.
const POSSIBLE: usize = 3;

impl<'a> Report<'a> {
    pub fn new(search: &'a Search, opinion: &'a Opinion) -> Report<'a> {
        let (asked, best) = (&search.asked, search.best());
        let mut findings = search.proved.clone();
        match best.failure() {
            Some(_) => findings.extend(causes(best)),
            None if search.proved.is_empty() => findings.extend(remarks(best)),
            None => {
                let remarks = remarks(best).into_iter();
                findings.extend(remarks.filter(|finding| MATTERS.contains(&finding.cause.id)));
                // With --verify none, the check is UP. The printed lines verify the certificate, so they may
                // still fail.
                let works = opinion.blocks.iter().any(Block::is_up);
                if best.plan.tls.verification.is_none() && opinion.asked.is_ok() && !works {
                    findings.extend(further_faults(asked, asked.code()));
                }
            }
        }
        let mut report = Report {
            search,
            opinion,
            why: why(asked),
            place: None,
            fix: None,
            notes: Vec::new(),
            steps: steps(asked),
            findings,
        };
        report.say_what_is_cut();
        report.place = report.place();
        report.fix = report.fix();
        report.notes = report.notes();
        report.use_own_words();
        report
    }

    /// Returns the voice of the report's sentences.
    pub fn voice(&self) -> Voice {
        self.search.asked.origin.voice
    }

    /// Puts the sentences that don't come from the catalogue into the words of the report's voice.
    fn use_own_words(&mut self) {
        let voice = self.voice();
        let lines = self.steps.iter_mut().flat_map(|step| &mut step.lines);
        let lines = lines.map(|(_, line)| line);
        for sentence in self.notes.iter_mut().chain([&mut self.why]).chain(lines) {
            *sentence = voice.words(sentence);
        }
    }

    /// If the server cuts off its response, says so in `why` and in the HTTP step.
    fn say_what_is_cut(&mut self) {
        if !has(&self.findings, CUT) {
            return;
        }
        let what = "the server cuts off its response";
        self.why = format!("the check is UP ({}), but {what}", self.why);
        if let Some(step) = self
            .steps
            .iter_mut()
            .rfind(|step| step.title.starts_with("HTTP"))
        {
            step.line(Mark::Problem, what);
        }
    }

    /// Returns why the check still fails with the changes of the proved causes. Returns `None` if HAProxy's
    /// own check is UP with these changes. In that case, only sni-check's check fails, and one of the causes
    /// explains this.
    pub fn remains(&self) -> Option<String> {
        let changed = self.search.changed.as_ref()?;
        let failure = changed.failure()?.to_string();
        if changed.own_check_is_up() == Some(true) {
            return None;
        }
        Some(self.voice().words(&failure))
    }

    /// Returns true if a cause explains why HAProxy's own check fails although sni-check's check succeeds.
    pub fn explains_haproxy(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| EXPLANATIONS.contains(&finding.cause.id))
    }

    /// Returns the report about a server of haproxy.cfg. It leaves out hints about `check-sni`, because the
    /// configuration shows whether the check sends SNI. If sni-check runs the check, the report leaves out
    /// causes that concern only HAProxy's own check.
    pub fn of_server(search: &'a Search, opinion: &'a Opinion) -> Report<'a> {
        let mut report = Report::new(search, opinion);
        let about_lines = ["check-without-sni", "check-of-another-site"];
        let is_own = report.voice() == Voice::Haproxy;
        let about_own_check = ["own-check-without-agent", "text-beyond-buffer"];
        report.findings.retain(|finding| {
            let is_of_own_check = about_own_check.contains(&finding.cause.id);
            !about_lines.contains(&finding.cause.id) && (is_own || !is_of_own_check)
        });
        report
    }

    /// Returns the findings that explain why the check is DOWN, why it is UP only sometimes, or why it
    /// is UP while visitors aren't served.
    fn reasons(&self) -> impl Iterator<Item = &Finding> {
        let down = self.search.asked.failure().is_some();
        let proved = self.search.proved.len();
        let findings = self.findings.iter().enumerate();
        let reasons = findings.filter(move |(number, finding)| {
            down || *number < proved || MATTERS.contains(&finding.cause.id)
        });
        reasons.map(|(_, finding)| finding)
    }

    /// Returns true if at least one remaining cause needs a value that only the operator knows, and every
    /// other remaining cause needs such a value or another file.
    fn lacks_a_value(&self) -> bool {
        let remaining = self.reasons().skip(self.search.proved.len());
        let places: Vec<Place> = remaining.map(|finding| finding.cause.place).collect();
        let fits = |place: &Place| matches!(place, Place::Value | Place::Files);
        places.contains(&Place::Value) && places.iter().all(fits)
    }

    /// Returns the place of the first remaining cause. If no cause remains, returns the place of the first
    /// proved cause.
    fn place(&self) -> Option<Place> {
        let proved = self.search.proved.len();
        let mut remaining = self.reasons().skip(proved);
        let first = remaining.next().or_else(|| self.reasons().next());
        first.map(|finding| finding.cause.place)
    }

    fn fix(&self) -> Option<String> {
        let mut places: Vec<Place> = Vec::new();
        for finding in self.reasons() {
            if !places.contains(&finding.cause.place) {
                places.push(finding.cause.place);
            }
        }
        let nothing_helps = !places.iter().any(|place| place.is_configuration());
        let words = places.iter().map(|place| match place {
            Place::Config if self.blocks().iter().any(|block| block.is_up()) => {
                "in haproxy.cfg, with the lines below"
            }
            Place::Config => "in haproxy.cfg",
            Place::Value => "in the options and haproxy.cfg, with a value that only you know",
            Place::Files => {
                "in a file on this host, not at the server; HAProxy reads files only when it starts or reloads"
            }
            Place::Host if places.contains(&Place::Server) => "on this host",
            Place::Host => "on this host, not at the server",
            Place::Server => "at the server",
            Place::Network => "in the network between this host and the server",
        });
        let words: Vec<&str> = words.collect();
        // All proved causes apply, but only one of the remaining causes does.
        let joint = match self.search.proved.is_empty() {
            true => "; or ",
            false => "; then ",
        };
        let at_server = matches!(places.as_slice(), [Place::Server | Place::Network, ..]);
        let nothing = match nothing_helps && at_server {
            true if self.bridges() => "; the lines below help until then",
            true => ": nothing in haproxy.cfg fixes this",
            false => "",
        };
        (!words.is_empty()).then(|| words.join(joint) + nothing)
    }

    /// Returns true if the check is already UP with some of the printed lines, before the server is fixed.
    pub fn bridges(&self) -> bool {
        self.search.changed.is_some() && self.blocks().iter().any(|block| block.is_up())
    }

    fn notes(&self) -> Vec<String> {
        let (asked, best) = (&self.search.asked, self.search.best());
        let mut notes = Vec::new();
        notes.extend(best.failure().and_then(alert_of));
        if self.opinion.was_limited {
            notes.push(LIMITED.to_owned());
        }
        if !self.blocks().is_empty() {
            notes.extend(left_out(&best.plan, &best.options));
        }
        if asked.failure().is_some() {
            let number = asked.explaining_code().number();
            notes.push(format!(
                "sni-check explain {number} lists every cause, and how to confirm it."
            ));
        }
        notes
    }

    /// Returns the blocks of lines that the report offers. Leaves out lines with which visitors get an error.
    /// Also leaves out lines that don't work yet, if other lines work, if HAProxy refuses them, or if the
    /// check needs a value that only the operator knows.
    pub fn blocks(&self) -> Vec<&Block> {
        // If some lines work, lines that don't work are useless.
        let any_up = self.opinion.blocks.iter().any(Block::is_up);
        // If the check fails with the best options, sni-check fails with the printed lines, too.
        let still_fails = self.search.best().failure().is_some();
        let offered = |block: &&Block| {
            let other = block.kind == Kind::Builtin && block.way != Way::Https;
            let fails = still_fails && block.tried.is_none() && !other;
            let useless = any_up || fails || block.is_refused() || self.lacks_a_value();
            !block.fails_visitors() && (block.is_up() || block.lacks_serve() || !useless)
        };
        self.opinion.blocks.iter().filter(offered).collect()
    }
}

/// The note for a server whose request limit diagnose itself has exceeded.
pub(super) const LIMITED: &str = "sni-check's own requests reached the server's limit (429). sni-check sent them \
again, one after another, and the server answered.";

/// Returns why the check is UP or DOWN, in the words of the check's own output. Adds the time of each phase
/// if the check reached its deadline.
pub(super) fn why(facts: &Facts) -> String {
    match &facts.verdict.result {
        Ok(Some(response)) => format!("healthy: status {}", response.status),
        Ok(None) => {
            "healthy: the handshake works, and the check sends no request (--handshake-only)"
                .to_owned()
        }
        // The output of a check recommends diagnose. Leave that out, because diagnose is already running.
        Err(failure) => {
            let notes = notes(&facts.plan, &facts.verdict);
            let said = [vec![failure.to_string()], notes].concat().join("; ");
            let said = said.replace("; sni-check diagnose finds out which", "");
            match facts.code().is_timeout() {
                true => format!("{said} ({})", times(&facts.verdict.seen.times)),
                false => said,
            }
        }
    }
}

/// Returns true if one of the findings is about the cause with this id.
fn has(findings: &[Finding], id: &str) -> bool {
    findings.iter().any(|finding| finding.cause.id == id)
}

/// Returns the causes of the failure that the facts support best. For each other fault of the certificates,
/// adds the best supported cause.
fn causes(facts: &Facts) -> Vec<Finding> {
    let weighed = weigh(facts, facts.explaining_code());
    // A server that only HAProxy's own check reaches may have a fault in its response as well.
    let is_refused = |finding: &&Finding| {
        finding.cause.id == "own-check-refuses-response" && finding.weight == Weight::Proved
    };
    let refused = weighed.iter().find(is_refused).cloned();
    let mut found = best_supported(weighed);
    found.extend(refused.filter(|refused| !has(&found, refused.cause.id)));
    if !has(&found, "servers-differ") && !has(&found, "limit-of-sni-check") {
        found.extend(further_faults(facts, facts.code()));
    }
    found
}

fn best_supported(mut weighed: Vec<Finding>) -> Vec<Finding> {
    let Some(weight) = weighed.first().map(|finding| finding.weight) else {
        return weighed;
    };
    weighed.retain(|finding| finding.weight == weight);
    weighed.truncate(match weight {
        Weight::Proved => 1,
        _ => POSSIBLE,
    });
    weighed
}

/// Returns the best supported cause of each certificate fault whose code isn't `code`.
fn further_faults(facts: &Facts, code: Code) -> Vec<Finding> {
    let mut codes: Vec<Code> = facts
        .faults()
        .into_iter()
        .map(CertificateFailure::code)
        .collect();
    codes.dedup();
    codes.retain(|other| *other != code);
    let findings = codes.into_iter().flat_map(|code| {
        let weighed = best_supported(weigh(facts, code));
        weighed.into_iter().take(1)
    });
    findings.collect()
}

/// Returns the proved findings about a healthy server.
fn remarks(facts: &Facts) -> Vec<Finding> {
    let mut found = weigh(facts, Code::Healthy);
    found.retain(|finding| finding.weight == Weight::Proved);
    if has(&found, "servers-differ") {
        found.retain(|finding| finding.cause.id == "servers-differ");
    } else if has(&found, "verification-off") {
        found.retain(|finding| finding.cause.id != "own-check-differs");
        found.extend(further_faults(facts, Code::Healthy));
    }
    found
}
