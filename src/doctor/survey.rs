//! The servers of a configuration, for diagnose: how HAProxy checks each server, and what doctor finds.

pub(crate) mod meant;
pub(crate) mod steps;
pub(crate) mod suggest;

use std::sync::Arc;

use anyhow::Result;

use super::report::messages::fold;
use super::{findings, read};

pub(crate) use self::meant::Meant;
pub(crate) use self::steps::Step;
pub(crate) use self::suggest::{
    ADDRESS, AtVisitors, Edit, NewLine, Renamed, Suggestion, UNVERIFIED,
};
use super::by_hand;
use super::finding::{Effect, Finding};
pub(crate) use super::finding::{REFUSED_OPTIONS, Remark, Remedy};
use super::options::DoctorOptions;
use super::rules::names;
use super::visit::own_check;
pub(crate) use super::visit::own_check::is_evaluated;
use super::visit::{Visit, Watch};
use crate::causes::facts::KnownValue;
use crate::haproxy::agent::Agent;
use crate::haproxy::config::backend_lines::{Rule, ServerLines};
use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::{Sni, Verified};
use crate::haproxy::config::place::Place;
use crate::haproxy::config::written::Written;
use crate::haproxy::variables::Variables;
use crate::options::Options;
use crate::output::mark::Mark;

/// HAProxy's configuration on this host, as diagnose needs it.
pub(crate) struct Survey {
    /// The configuration files, as `-f`, HAProxy's unit or the running HAProxy's command line names them.
    pub files: Vec<String>,
    /// How doctor found these files. Empty if `-f` names them, or if doctor reads the usual file.
    pub found_by: String,
    /// Why HAProxy doesn't start with this configuration, if doctor finds a reason.
    pub refusal: Option<Remark>,
    /// The addresses of the `stats socket` lines, in the order of these lines.
    pub sockets: Vec<String>,
    pub servers: Vec<Surveyed>,
}

/// The kind of check that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckKind {
    /// HAProxy's own check.
    Own,
    /// sni-check as an external check.
    External,
    /// A check by `sni-check serve`.
    Served,
    /// A check by another program or by a `healthcheck` section, or an external check without a command.
    Other,
}

/// A server of the configuration.
#[derive(Clone)]
pub(crate) struct Surveyed {
    pub backend: String,
    pub server: String,
    pub place: Place,
    /// The address and port on the server line.
    pub address: String,
    /// True if HAProxy checks the server. False if the server follows another server (`track`).
    pub is_checked: bool,
    /// The server whose check decides the state of this server, if this server has `track`. If servers track
    /// each other in a chain, this is the last server of the chain.
    pub tracks: Option<String>,
    /// The places of the server line and of the check's lines that HAProxy refuses.
    pub refused: Vec<Place>,
    /// The unset variables that the lines about the server use.
    pub unset: Vec<String>,
    pub kind: CheckKind,
    /// The options with which sni-check runs this check by hand, or why it can't.
    pub call: Result<Box<Options>, String>,
    /// True if HAProxy's own check waits for a response, but sends no request. The server is then always
    /// DOWN.
    pub waits_without_request: bool,
    /// The check that the operator most likely meant, if sni-check can't make the written check.
    pub meant: Option<Box<Meant>>,
    /// What HAProxy sends and verifies for visitors, in a few words.
    pub traffic: String,
    /// The SNI name of visitors' connections, if all of them send the same name.
    pub sni: Option<String>,
    /// True if visitors' connections send SNI.
    pub sends_sni: bool,
    /// True if the configuration says which SNI visitors' connections send.
    pub knows_sni: bool,
    /// The Host that the frontends give to every request, or else the names that visitors ask for. Empty if
    /// doctor knows neither of them.
    pub hosts: Vec<String>,
    pub lines: ServerLines,
    /// The word that keeps visitors away from the server: `disabled`, or `weight` with the value 0.
    pub idle: Option<&'static str>,
    /// The server's words that come from a `default-server` line, each with the place of this line.
    pub inherited: Vec<(String, Place)>,
    /// The words of the check's lines that come from variables.
    pub written: Arc<Written>,
    /// The variables of HAProxy's environment.
    pub variables: Arc<Variables>,
    /// The agent of `agent-check`.
    pub agent: Option<Agent>,
    /// The steps of a check with several `connect` rules. Empty for any other check.
    pub steps: Vec<Step>,
    /// The places of the rules that belong to other steps than the step that `call` makes.
    pub other_steps: Vec<Place>,
    /// The changes that haproxy.cfg itself suggests.
    pub suggestions: Vec<Suggestion>,
    /// The values of the configuration that diagnose tries for this server.
    pub known_values: Arc<[KnownValue]>,
    /// The findings about the server, its backend or all servers, without hints.
    pub findings: Vec<Remark>,
    /// Why the check should connect where visitors connect. `None` if the check already does so, or if doctor
    /// doesn't know where the check connects.
    pub elsewhere: Option<String>,
    /// HAProxy's own check with `addr` and `port` removed, so that it connects where visitors connect. `None`
    /// if neither the rule nor the server line has one of these words.
    pub at_visitors: Option<AtVisitors>,
    /// True if HAProxy runs its external checks in a chroot.
    pub is_jailed: bool,
    /// The findings about what prevents HAProxy from starting an external check, followed by the findings
    /// about the check's options and their files. Empty if HAProxy can start the check.
    pub obstacles: Vec<Remark>,
}

impl Surveyed {
    /// Returns `BACKEND/SERVER`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.backend, self.server)
    }

    /// Returns true if the check fails whatever the server does.
    pub(crate) fn is_always_down(&self) -> bool {
        !self.refused.is_empty() || self.waits_without_request || self.obstacle().is_some()
    }

    /// Returns the finding about a mistake that keeps a check by `sni-check serve` DOWN.
    pub(crate) fn obstacle(&self) -> Option<&Remark> {
        let is_served = self.kind == CheckKind::Served;
        let mut findings = self.findings.iter();
        findings.find(|finding| is_served && finding.is_down)
    }

    /// Limits diagnose to one step of the check. `call` then makes only this step, and diagnose changes only
    /// the rules of this step.
    pub(crate) fn choose(&mut self, step: Step) {
        self.call = step.call;
        self.meant = None;
        self.suggestions = step.suggestions;
        self.elsewhere = step.elsewhere;
        self.at_visitors = step.at_visitors;
        self.other_steps = step.others;
    }

    /// Returns the lines about the check, without the lines of other steps.
    pub(crate) fn rules(&self) -> impl DoubleEndedIterator<Item = &Rule> + Clone {
        let rules = self.lines.rules.iter();
        rules.filter(|rule| !self.is_of_other_step(rule))
    }

    /// Returns true if the line belongs to another step of the check.
    pub(crate) fn is_of_other_step(&self, rule: &Rule) -> bool {
        let place = rule.place.as_ref();
        place.is_some_and(|place| self.other_steps.contains(place))
    }

    /// Returns true if the server line or a `default-server` line has this word.
    pub(crate) fn has_word(&self, wanted: &str) -> bool {
        self.lines.words.iter().any(|(word, _)| word == wanted)
    }

    /// Returns the place of the `default-server` line that gives the server this word.
    pub(crate) fn inherited_from(&self, wanted: &str) -> Option<&Place> {
        let mut words = self.inherited.iter();
        let word = words.find(|(word, _)| word == wanted);
        word.map(|(_, place)| place)
    }
}

/// Finds and reads the configuration, and returns its servers with what doctor finds about them.
///
/// # Errors
/// doctor finds no configuration or can't read it.
pub(crate) fn survey(file: &[String], env: &[String], haproxy: Option<&str>) -> Result<Survey> {
    let options = DoctorOptions {
        file: file.to_vec(),
        env: env.to_vec(),
        haproxy: haproxy.map(str::to_owned),
        ..DoctorOptions::default()
    };
    read(&options, |visit, read| {
        let mut found = findings(visit, &[], [&[], &[]]);
        fold(&mut found, &visit.says());
        let global = &visit.config.global;
        let variables = Arc::new(visit.variables.clone());
        let servers = visit.watches.iter().map(|watch| {
            let lines = by_hand::lines(visit, watch);
            surveyed(visit, watch, &found, (lines, &variables))
        });
        let sockets = global.stats_sockets.iter();
        let refusal = found
            .iter()
            .find(|finding| finding.effect == Effect::NoStart && finding.mark == Mark::Problem);
        Survey {
            refusal: refusal.map(Remark::of),
            sockets: sockets.map(|at| at.value.clone()).collect(),
            servers: servers.collect(),
            files: read.sources.files,
            found_by: read.sources.found_by,
        }
    })
}

fn surveyed(
    visit: &Visit,
    watch: &Watch,
    found: &[Finding],
    (lines, variables): (ServerLines, &Arc<Variables>),
) -> Surveyed {
    let kind = match &watch.check {
        Check::Own(_) => CheckKind::Own,
        Check::External(_) if watch.carrier().is_some() && is_ours(watch) => CheckKind::External,
        Check::Serve(_) => CheckKind::Served,
        _ => CheckKind::Other,
    };
    let unset = unset(visit, watch, &lines);
    let call = call(visit, watch, &unset);
    let findings = remarks(watch, found);
    let waits_without_request = own_check::waits_without_request(watch);
    let restored = own_check::with_replaced_request(watch.backend);
    let restored = restored.as_ref().filter(|_| waits_without_request);
    let restored = restored.map(|backend| visit.watch_of(backend, watch.server));
    let restored = restored.as_ref().unwrap_or(watch);
    let meant = meant::of(visit, watch, &call, (&findings, restored));
    let meant = meant.filter(|_| unset.is_empty());
    Surveyed {
        backend: watch.backend.name.clone(),
        server: watch.server.name.clone(),
        place: watch.server.place.clone(),
        address: watch.server.endpoint.to_string(),
        is_checked: watch.is_active(),
        refused: refused(visit, watch, &lines),
        tracks: visit.followed(watch).map(Watch::name),
        kind,
        call,
        waits_without_request,
        meant: meant.map(Box::new),
        steps: steps::of(visit, watch, |step| self::call(visit, step, &unset)),
        other_steps: Vec::new(),
        traffic: traffic(watch),
        sni: by_hand::traffic_name(watch),
        sends_sni: watch
            .traffic
            .tls
            .as_ref()
            .is_some_and(|tls| tls.sni != Sni::Absent),
        knows_sni: names::is_known(visit, watch),
        hosts: suggest::hosts(watch).cloned().collect(),
        inherited: inherited(watch, &lines),
        idle: idle(watch),
        agent: Agent::of(watch.server),
        written: Arc::new(own_check::written(watch.backend)),
        variables: Arc::clone(variables),
        suggestions: suggest::of(visit, restored),
        known_values: suggest::known_values(visit, watch).into(),
        lines,
        findings,
        elsewhere: suggest::elsewhere(watch),
        at_visitors: suggest::at_visitors(visit, restored, |there| {
            self::call(visit, there, &unset)
        }),
        unset,
        is_jailed: visit.jail.is_chroot(),
        obstacles: match kind {
            CheckKind::External => obstacles(watch, found),
            _ => Vec::new(),
        },
    }
}

/// The ids of findings about an external check that HAProxy can't start.
const PROGRAM: [&str; 4] = [
    "chroot-auto",
    "no-insecure-fork-wanted",
    "command",
    "selinux",
];

/// Returns the findings about what prevents HAProxy from starting the check, followed by the findings about
/// the check's options and their files. Returns nothing if HAProxy can start the check.
fn obstacles(watch: &Watch, found: &[Finding]) -> Vec<Remark> {
    let is_one = |finding: &&Finding| finding.mark == Mark::Problem && is_about(watch, finding);
    let of_program = found.iter().filter(is_one);
    let of_program: Vec<Remark> = of_program
        .filter(|finding| PROGRAM.contains(&finding.id))
        .map(Remark::of)
        .collect();
    let is_started = of_program.is_empty();
    let of_files = watch.refusals.iter().filter(|_| !is_started);
    of_program
        .into_iter()
        .chain(of_files.map(Remark::of))
        .collect()
}

fn is_ours(watch: &Watch) -> bool {
    watch.own.is_some() || !watch.refusals.is_empty()
}

/// Returns the names of the unset variables that a line about the server or its check uses.
fn unset(visit: &Visit, watch: &Watch, lines: &ServerLines) -> Vec<String> {
    let of_rules = lines.rules.iter().filter_map(|rule| rule.place.as_ref());
    let of_words = lines
        .words
        .iter()
        .filter_map(|(word, _)| watch.server.settings.place(word));
    let places: Vec<&Place> = of_rules
        .chain(of_words)
        .chain([&watch.server.place])
        .collect();
    let mut names = Vec::new();
    for (name, place) in &visit.config.unset {
        if places.contains(&place) && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Returns the places of the server line and of the check's lines that HAProxy refuses.
fn refused(visit: &Visit, watch: &Watch, lines: &ServerLines) -> Vec<Place> {
    let of_check = lines.rules.iter().filter(|rule| rule.is_of_check());
    let of_check = of_check.filter_map(|rule| rule.place.as_ref());
    let places = watch.server.places().chain(of_check);
    let refused = places.filter(|place| visit.alert_at(place).is_some());
    refused.cloned().collect()
}

/// Returns the server's words that come from a `default-server` line, each with the place of this line.
fn inherited(watch: &Watch, lines: &ServerLines) -> Vec<(String, Place)> {
    let words = lines.words.iter().map(|(word, _)| word.as_str());
    let words = words.chain(idle(watch)).filter_map(|word| {
        let place = watch.server.settings.place(word)?;
        (*place != watch.server.place).then(|| (word.to_owned(), place.clone()))
    });
    words.collect()
}

/// Returns the word that keeps visitors away from the server, whatever the check reports: `disabled`, or
/// `weight` with the value 0.
fn idle(watch: &Watch) -> Option<&'static str> {
    let settings = &watch.server.settings;
    let weight = settings.get("weight").filter(|at| at.value == "0");
    let is_disabled = settings.has("disabled");
    let weight = weight.map(|_| "weight");
    is_disabled.then_some("disabled").or(weight)
}

/// Returns the options with which sni-check runs the check by hand, or why it can't.
fn call(visit: &Visit, watch: &Watch, unset: &[String]) -> Result<Box<Options>, String> {
    if let [name, ..] = unset {
        let names: Vec<String> = unset.iter().map(|name| format!("${{{name}}}")).collect();
        let are = if unset.len() == 1 { "is" } else { "are" };
        return Err(format!(
            "{} {are} not set here. Run diagnose with HAProxy's values: --env {name}=VALUE, or --env @FILE. \
             If HAProxy doesn't have them either, set them where HAProxy starts.",
            names.join(", ")
        ));
    }
    let options = match &watch.check {
        Check::Own(check) => {
            let names = (watch.backend, watch.server);
            let global = &visit.config.global;
            if own_check::waits_without_request(watch) {
                return Err(own_check::WITHOUT_REQUEST.to_owned());
            }
            let own = own_check::options(check, names, global);
            own.ok_or("its check connects without TLS, and sni-check only looks at TLS")?
        }
        Check::External(_) | Check::Serve(_) => {
            if let (None, Some(refusal)) = (&watch.own, watch.refusals.first()) {
                return Err(refusal.what.clone());
            }
            let is_served = matches!(watch.check, Check::Serve(_));
            by_hand::options(watch, visit.jail).ok_or_else(|| match (&watch.check, is_served) {
                (Check::External(check), false) => format!(
                    "`external-check command` is {}, not sni-check, so diagnose can't judge this check",
                    check.command.value
                ),
                _ => "its http-check has no address or no options for sni-check serve, or only HAProxy can \
                      evaluate the options"
                    .to_owned(),
            })?
        }
        Check::Section(_) => Err("a section `healthcheck` checks it".to_owned())?,
        Check::Incomplete => Err("its backend has no `external-check command`".to_owned())?,
    };
    Ok(Box::new(by_hand::at_server(options, watch, visit.jail)))
}

/// Describes what HAProxy sends and verifies for visitors.
fn traffic(watch: &Watch) -> String {
    let Some(tls) = &watch.traffic.tls else {
        return match watch.backend.settings.http {
            true => "connects without TLS".to_owned(),
            false => "forwards their bytes unchanged (mode tcp)".to_owned(),
        };
    };
    let sni = match &tls.sni {
        Sni::Absent => "sends no SNI".to_owned(),
        Sni::Name(name) => format!("sends SNI {name}"),
        Sni::PerRequest(expression) => format!("sends {expression} as SNI"),
    };
    let verify = match &tls.verified {
        Verified::Nothing => "verifies nothing".to_owned(),
        _ => match &tls.ca_file {
            Some(file) => format!("verifies with {}", file.value),
            None => "verifies the certificate".to_owned(),
        },
    };
    let crt = tls
        .crt
        .as_ref()
        .map(|at| format!(", with crt {}", at.value));
    let proxy = watch.traffic.proxy.as_ref();
    let proxy = proxy.map(|at| format!(", with {}", at.value));
    let more = [crt, proxy].into_iter().flatten().collect::<String>();
    format!("{sni} and {verify}{more}")
}

/// Returns the findings about this server, its backend or all servers, except hints.
fn remarks(watch: &Watch, found: &[Finding]) -> Vec<Remark> {
    let found = found.iter().filter(|finding| is_about(watch, finding));
    let found = found.filter(|finding| finding.effect != Effect::Hint);
    let names = [&*watch.name(), &*watch.backend.name];
    let remark = |finding: &Finding| Remark {
        place: finding.place_for(names).cloned(),
        ..Remark::of(finding)
    };
    found.map(remark).collect()
}

/// Returns true if a finding is about this server, its backend or all servers. A finding about all servers
/// counts only if it is a problem.
fn is_about(watch: &Watch, finding: &Finding) -> bool {
    let (name, backend) = (watch.name(), &watch.backend.name);
    let mut about = finding.about.iter();
    let here = about.any(|about| *about == name || about == backend);
    here || (finding.about.is_empty() && finding.mark == Mark::Problem)
}
