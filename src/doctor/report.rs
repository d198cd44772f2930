//! The report: doctor's findings in their order, and the sentence that sums them up.

pub(crate) mod annotations;
pub(crate) mod messages;
pub(crate) mod object;
pub(crate) mod print;

use std::collections::BTreeSet;

use crate::code::Code;
use crate::haproxy::config::place::Place;
use crate::output::mark::Mark;

use super::finding::{Effect, Finding};
use super::run::outcome::Runs;

/// The id of the hint that doctor prints last, as a single sentence. The summary doesn't count this hint.
pub(crate) const LAST: &str = "runtime-servers";

/// Everything that doctor reports.
pub(crate) struct Report {
    /// The configuration files, as `-f`, HAProxy's unit or the running HAProxy's command line names them.
    pub files: Vec<String>,
    /// How doctor found these files. Empty if `-f` names them, or if doctor reads the usual file.
    pub found_by: String,
    /// Every file that doctor read.
    pub read: Vec<String>,
    /// The number of servers with an external check.
    pub checks: usize,
    /// The number of servers that `sni-check serve` checks.
    pub served: usize,
    /// The number of servers with HAProxy's own check.
    pub own: usize,
    pub findings: Vec<Finding>,
    /// The backend and the name of every server that doctor examines.
    pub servers: Vec<(String, String)>,
    /// `BACKEND/SERVER` for each server that HAProxy checks, or that follows a checked server (`track`).
    pub judged: BTreeSet<String>,
    /// Lines that doctor doesn't understand, and why.
    pub unclear: Vec<(Place, String)>,
    pub haproxy_version: Option<String>,
    pub haproxy_accepts: bool,
    pub haproxy_says: Vec<String>,
    /// HAProxy's messages that belong to no finding. Equal messages are merged into one line.
    pub other_messages: Vec<String>,
    pub runs: Option<Runs>,
}

impl Report {
    /// Returns 2 if something is certain to go wrong. Otherwise returns the code of the first check that
    /// fails, or 0.
    pub(crate) fn code(&self) -> Code {
        if self
            .findings
            .iter()
            .any(|found| found.mark == Mark::Problem)
        {
            return Code::Refused;
        }
        let mut failed = self.runs.iter().flat_map(Runs::failed);
        match failed.next() {
            None => Code::Healthy,
            Some(ran) => ran.outcome.own_code().unwrap_or(Code::Refused),
        }
    }

    /// Returns one sentence about what will happen.
    pub(crate) fn summary(&self) -> String {
        let mut parts = self.certain();
        let failed = self.runs.iter().flat_map(Runs::failed).count();
        let harmful = |found: &&Finding| found.mark == Mark::Note && found.effect != Effect::Hint;
        let notes = self.findings.iter().filter(harmful).count();
        let hints = self.findings.iter().filter(|found| {
            found.effect == Effect::Hint && found.mark == Mark::Note && found.id != LAST
        });
        let hints = hints.count();
        let of_note = |is_wanted: fn(Effect) -> bool| {
            move |found: &&Finding| found.mark == Mark::Note && is_wanted(found.effect)
        };
        let unchecked = self.servers_of(of_note(|effect| effect == Effect::Unchecked));
        let misjudged = self.servers_of(of_note(Effect::is_of_check));
        if parts.is_empty() {
            parts.push(match (notes, failed, misjudged.len(), unchecked.len()) {
                (.., 0, _) if !self.has_checks() && hints == 0 && failed == 0 => {
                    "HAProxy checks no server".to_owned()
                }
                (0, 0, ..) => "no problems found".to_owned(),
                (0, ..) => "no problem in the configuration".to_owned(),
                (.., 0, 0) => "nothing is certain to go wrong".to_owned(),
                (.., 0, servers) => format!(
                    "nothing is certain to go wrong, but {}",
                    not_checked(servers)
                ),
                (.., servers, _) => format!(
                    "nothing is certain to go wrong, but {} may be judged wrongly",
                    many(servers, "server")
                ),
            });
        }
        if notes > 0 {
            parts.push(many(notes, "note"));
        }
        if hints > 0 {
            parts.push(many(hints, "hint"));
        }
        let mut text = parts.join("; ");
        match failed {
            0 => {}
            1 => text += "; 1 check below fails",
            many => text += &format!("; {many} checks below fail"),
        }
        if self.has_checks() && self.runs.as_ref().is_some_and(Runs::is_empty) {
            text += "; doctor ran no check";
        }
        match self.runs.as_ref().map_or(0, |runs| runs.unresolved) {
            0 => {}
            1 => text += "; 1 server has no address here",
            many => text += &format!("; {many} servers have no address here"),
        }
        match self
            .runs
            .as_ref()
            .map(|runs| (runs.not_run, runs.checks.len()))
        {
            None | Some((0, _)) => {}
            Some((_, 0)) => text += "; no check was run",
            Some((1, _)) => text += "; 1 check was not run",
            Some((many, _)) => text += &format!("; {many} checks were not run"),
        }
        text
    }

    fn has_checks(&self) -> bool {
        self.checks + self.served + self.own > 0
    }

    /// Returns a text for each effect that is certain, with the number of servers for which it is certain.
    fn certain(&self) -> Vec<String> {
        let mut parts = Vec::new();
        let with = |effect: Effect| {
            move |found: &&Finding| found.mark == Mark::Problem && found.effect == effect
        };
        let unset = self
            .findings
            .iter()
            .find(|found| found.id == "unset-variables");
        if let Some(unset) = unset {
            let verb = if unset.about.len() == 1 { "is" } else { "are" };
            let count = many(unset.about.len(), "variable");
            parts.push(format!("{count} {verb} not set here and treated as empty"));
        }
        let stops =
            |found: &&Finding| with(Effect::NoStart)(found) && found.id != "unset-variables";
        if self.findings.iter().any(|found| stops(&found)) {
            parts.push("HAProxy does not start".to_owned());
        }
        let effects = [Effect::Down, Effect::Up, Effect::Either];
        let failing = effects.into_iter().flat_map(|effect| {
            let servers = self.servers_of(with(effect)).into_iter();
            servers.filter(move |server| self.fails_anyway(effect, server))
        });
        let mut counted: BTreeSet<String> = failing.collect();
        if !counted.is_empty() {
            let their = if counted.len() == 1 { "its" } else { "their" };
            let servers = many(counted.len(), "server");
            parts.push(format!(
                "{servers} will be DOWN, and {their} visitors fail anyway"
            ));
        }
        for (effect, text) in [
            (Effect::Down, "will be DOWN though {they} work{s}"),
            (Effect::Up, "will be UP though visitors fail"),
            (
                Effect::Either,
                "will be DOWN though {they} work{s}, or UP though visitors fail",
            ),
        ] {
            let servers = self.servers_of(with(effect));
            let new: BTreeSet<_> = servers.difference(&counted).cloned().collect();
            if !new.is_empty() {
                let (they, s) = if new.len() == 1 {
                    ("it", "s")
                } else {
                    ("they", "")
                };
                let text = text.replace("{they}", they).replace("{s}", s);
                parts.push(format!("{} {text}", many(new.len(), "server")));
            }
            counted.extend(new);
        }
        let unchecked = self.servers_of(with(Effect::Unchecked));
        if !unchecked.is_empty() {
            parts.push(not_checked(unchecked.len()));
        }
        parts
    }

    /// Returns true if the server's check is DOWN and its visitors fail as well. `Effect::Down` and
    /// `Effect::Up` predict only one of these two failures, so the run must have seen the other failure. For
    /// `Effect::Either`, the run must have seen both failures.
    fn fails_anyway(&self, effect: Effect, server: &str) -> bool {
        let runs = self.runs.iter();
        let mut runs = runs.flat_map(|runs| runs.checks.iter().chain(&runs.followers));
        let ran = runs.find(|ran| server == format!("{}/{}", ran.backend, ran.server));
        ran.is_some_and(|ran| match effect {
            Effect::Down => ran.visitors_fail(),
            Effect::Up => ran.outcome.is_down(),
            Effect::Either => ran.outcome.is_down() && ran.visitors_fail(),
            _ => false,
        })
    }

    /// Returns the servers that the selected findings are about. A finding that names a backend is about all
    /// servers of this backend. A finding without names is about the servers of all backends. If the finding
    /// is about a check, only servers with a check count, unless none of the servers has a check.
    fn servers_of(&self, filter: impl Fn(&&Finding) -> bool) -> BTreeSet<String> {
        let full = |(backend, server): &(String, String)| format!("{backend}/{server}");
        let mut servers = BTreeSet::new();
        for found in self.findings.iter().filter(|found| filter(found)) {
            let all = self.servers.iter();
            let concerned = all.filter(|server| {
                let mut about = found.about.iter();
                found.about.is_empty()
                    || about.any(|name| *name == server.0 || *name == full(server))
            });
            let is_judged =
                |server: &String| self.judged.contains(server) || found.about.contains(server);
            let (judged, others): (Vec<String>, Vec<String>) =
                concerned.map(full).partition(is_judged);
            let is_about_check = found.effect.is_of_check() && !judged.is_empty();
            servers.extend(judged);
            servers.extend(others.into_iter().filter(|_| !is_about_check));
        }
        servers
    }
}

/// Returns `1 server is not checked` or `2 servers are not checked`, for example.
fn not_checked(servers: usize) -> String {
    let verb = if servers == 1 { "is" } else { "are" };
    format!("{} {verb} not checked", many(servers, "server"))
}

/// Returns `1 server` or `2 servers`, for example.
pub(crate) fn many(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    }
}

/// Merges equal findings and lists all their servers. The finding about unset variables comes first. Then
/// come findings with a certain effect, findings with a possible effect, and hints. In each group, findings
/// that prevent HAProxy from starting come first.
pub(crate) fn sorted(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        let is_same = |known: &&mut Finding| {
            let texts = |found: &Finding| (found.what.clone(), found.shows.clone(), found.remedy());
            known.id == finding.id
                && (known.mark, known.effect) == (finding.mark, finding.effect)
                && texts(known) == texts(&finding)
        };
        let Some(known) = merged.iter_mut().find(is_same) else {
            merged.push(finding);
            continue;
        };
        for name in &finding.about {
            if !known.about.contains(name) {
                known.about.push(name.clone());
            }
        }
        known.merged.push((finding.about, finding.place));
    }
    merged.sort_by_key(|found| {
        let unset = found.id == "unset-variables";
        let hint = found.effect == Effect::Hint;
        let not_start = found.effect != Effect::NoStart;
        (!unset, std::cmp::Reverse(found.mark), hint, not_start)
    });
    merged
}
