//! Finds the changes that the check needs. diagnose tries each change of the options that may prove a
//! cause, and keeps a change with which the check gets further.

use std::time::Instant;

use super::attempts::{Job, attempt, in_parallel};
use super::gather::{facts_of_success, gather};
use super::progress::{Phase, Progress};
use crate::causes::facts::{Attempt, Facts, HaproxyFacts, is_repeatable};
use crate::causes::{self, Cause, Change, Finding, Trial, Weight, mixed};
use crate::code::Layer;
use crate::failure::Failure;
use crate::options::Options;
use crate::plan::{Output, Plan};
use crate::probe;

/// The largest number of problems that diagnose fixes together.
const CHANGES: usize = 3;

/// Everything that diagnose has found out about a server.
pub(super) struct Search {
    /// The facts about the operator's check.
    pub asked: Facts,
    /// The facts about the check with the changes that helped.
    pub changed: Option<Facts>,
    /// The causes that these changes proved, in the order of discovery.
    pub proved: Vec<Finding>,
}

impl Search {
    /// Returns the facts about the check with the best options.
    pub fn best(&self) -> &Facts {
        self.changed.as_ref().unwrap_or(&self.asked)
    }

    /// Adds HAProxy's answers to the facts.
    pub fn add_haproxy(&mut self, haproxy: Option<HaproxyFacts>) {
        match &mut self.changed {
            Some(facts) => facts.haproxy = haproxy,
            None => self.asked.haproxy = haproxy,
        }
    }

    /// Records that visitors get this status with the present haproxy.cfg, while the check is UP.
    pub fn serves_no_visitor(&mut self, status: u16) {
        if let Some(told) = &mut self.asked.haproxy {
            told.traffic = Some(status);
        }
    }

    /// Returns true if visitors get an error with the present haproxy.cfg.
    pub fn has_failed_visitor(&self) -> bool {
        let told = self.asked.haproxy.as_ref();
        told.is_some_and(|told| told.traffic.is_some())
    }

    /// Applies a change that HAProxy's own check has proved. Returns false if too many
    /// changes are applied already.
    pub fn adopt(&mut self, proved: Proved, progress: &Progress) -> bool {
        if self.proved.len() >= CHANGES {
            return false;
        }
        let Proved {
            cause,
            values,
            plan,
            options,
            ..
        } = proved;
        let finding = Finding::new(cause, Weight::Proved, self.best(), &values);
        self.proved.push(finding);
        self.changed = Some(gather(plan, options, progress));
        true
    }

    /// Gathers facts and tries changes. If a change helps only in part, gathers facts again.
    pub fn run(plan: Plan, options: Options, progress: &Progress) -> Search {
        let mut search = Search {
            asked: gather(plan, options, progress),
            changed: None,
            proved: Vec::new(),
        };
        while search.proved.len() < CHANGES {
            let current = match &mut search.changed {
                Some(facts) => facts,
                None => &mut search.asked,
            };
            let better = match current.failure() {
                Some(_) => improve(current, progress),
                None => end_of_loop(current, progress),
            };
            let Some((findings, better)) = better else {
                break;
            };
            search.proved.extend(findings);
            search.changed = Some(better);
        }
        search
    }
}

/// A change of the options with which HAProxy's own check is UP, or gets further.
pub(super) struct Proved {
    pub cause: &'static Cause,
    /// True if it is enough that the check gets further.
    pub counts_progress: bool,
    pub values: Vec<(&'static str, String)>,
    pub plan: Plan,
    pub options: Options,
}

/// Returns the changes that HAProxy tries if sni-check can't reach the server.
pub(super) fn for_haproxy(facts: &Facts) -> Vec<Proved> {
    if facts.failure().is_none() || !facts.is_repeatable() || mixed::find(facts).is_some() {
        return Vec::new();
    }
    let tried = changes(facts).into_iter();
    let repeatable = tried.filter(|tried| is_repeatable(&tried.plan));
    let proved = repeatable.map(|tried| Proved {
        cause: tried.cause,
        counts_progress: tried.trial.counts_progress,
        values: tried.trial.values,
        plan: tried.plan,
        options: tried.options,
    });
    proved.collect()
}

/// A change of the options, and the result of trying it.
struct Tried {
    cause: &'static Cause,
    trial: Trial,
    options: Options,
    plan: Plan,
    attempt: Attempt,
}

impl Tried {
    /// Returns how far the check got with the change.
    fn reached(&self) -> u8 {
        match &self.attempt.result {
            // Only the handshake was tried.
            Ok(None) if !self.plan.handshake_only => RESPONSE,
            Ok(_) => u8::MAX,
            Err(failure) => layer(failure, &self.plan),
        }
    }
}

/// Tries all changes, and returns the best change with its facts. Records the causes that their trials
/// refute.
fn improve(facts: &mut Facts, progress: &Progress) -> Option<(Vec<Finding>, Facts)> {
    let failure = facts.failure()?.clone();
    // If several servers answer differently, no change of the options helps.
    if mixed::find(facts).is_some() {
        return None;
    }
    progress.enter(Phase::Trials);
    let mut tried = changes(facts);
    run(facts, &mut tried);
    let before = layer(&failure, &facts.plan);
    let value = |tried: &Tried| match &tried.attempt.result {
        Err(_) if !tried.trial.counts_progress => 0,
        _ => tried.reached(),
    };
    // If the check gets further without succeeding, the trial refutes nothing.
    let refuted = tried.iter().filter(|tried| tried.reached() <= before);
    let refuted: Vec<&str> = refuted.map(|tried| tried.cause.id).collect();
    let further = |id: &&str| {
        let mut same = tried.iter().filter(|tried| tried.cause.id == *id);
        same.any(|tried| tried.reached() > before)
    };
    facts
        .refuted
        .extend(refuted.into_iter().filter(|id| !further(id)));
    // Among the changes that get furthest, the first wins.
    let best = (0..tried.len()).rev().max_by_key(|at| value(&tried[*at]))?;
    if value(&tried[best]) <= before {
        return two_at_once(facts, &failure, &tried);
    }
    let best = tried.swap_remove(best);
    let finding = Finding::new(best.cause, Weight::Proved, facts, &best.trial.values);
    let whole = is_repeatable(&best.plan) && best.attempt.result.is_ok();
    let better = match whole {
        true => facts_of_success(best.plan, best.options, best.attempt, facts),
        false => gather(best.plan, best.options, progress),
    };
    Some((vec![finding], better))
}

/// How many pairs of changes are tried at most.
const PAIRS: usize = 12;

/// Tries two changes at once, because one fault may hide the other: a wrong Host and a wrong path both
/// give 404. Returns the first pair with which the check succeeds.
fn two_at_once(facts: &Facts, failure: &Failure, tried: &[Tried]) -> Option<(Vec<Finding>, Facts)> {
    let is_slow = matches!(
        failure,
        Failure::HandshakeTimeout | Failure::ResponseTimeout { .. }
    );
    if is_slow || facts.status() == Some(429) || facts.reached.is_none() {
        return None;
    }
    let both = tried.iter().enumerate().flat_map(|(at, first)| {
        let others = tried[at + 1..]
            .iter()
            .filter(|other| other.cause.id != first.cause.id);
        others.map(move |second| (first, second))
    });
    let both = both.filter_map(|(first, second)| {
        let options = together(facts, first, second)?;
        let plan = Plan::new(&options, None, None, Output::default()).ok()?;
        is_repeatable(&plan).then_some(((first, second), options, plan))
    });
    let mut pairs: Vec<_> = both
        .take(PAIRS)
        .map(|(pair, options, plan)| (pair, options, plan, Attempt::none()))
        .collect();
    let address = facts.reached.as_ref()?;
    let jobs = pairs.iter_mut().map(|(_, _, plan, result)| {
        Box::new(move || *result = attempt(probe::Trial::of(plan), address, plan.timeout))
            as Job<'_>
    });
    in_parallel(jobs.collect());
    let mut good = pairs
        .into_iter()
        .filter(|(.., attempt)| attempt.result.is_ok());
    let ((first, second), options, plan, attempt) = good.next()?;
    let finding =
        |tried: &Tried| Finding::new(tried.cause, Weight::Proved, facts, &tried.trial.values);
    let findings = vec![finding(first), finding(second)];
    Some((findings, facts_of_success(plan, options, attempt, facts)))
}

/// Returns the options with both changes, unless both change the same option.
fn together(facts: &Facts, first: &Tried, second: &Tried) -> Option<Options> {
    let own = facts.options.changes(&first.options);
    let other = facts.options.changes(&second.options);
    let both = other
        .iter()
        .any(|row| own.iter().any(|own| own.name == row.name));
    let mut options = first.options.clone();
    for row in &other {
        row.clear(&mut options);
        row.inherit(&mut options, &second.options);
    }
    (!both).then_some(options)
}

/// Returns the change with which a page no longer redirects to itself. Such a redirect may make the
/// check UP, but visitors' browsers give up.
fn end_of_loop(facts: &Facts, progress: &Progress) -> Option<(Vec<Finding>, Facts)> {
    if !causes::redirects_to_itself(facts) {
        return None;
    }
    progress.enter(Phase::Trials);
    let mut tried = changes(facts);
    tried.retain(|tried| tried.cause.id == "scheme-unknown" && is_repeatable(&tried.plan));
    run(facts, &mut tried);
    let tried = tried.pop()?;
    let finding = Finding::new(tried.cause, Weight::Proved, facts, &tried.trial.values);
    let better = match tried.attempt.result.is_ok() {
        true => facts_of_success(tried.plan, tried.options, tried.attempt, facts),
        false => gather(tried.plan, tried.options, progress),
    };
    (!causes::redirects_to_itself(&better)).then_some((vec![finding], better))
}

/// Returns the changes that the possible causes propose. diagnose doesn't repeat a request that changes
/// something at the server. If the request hasn't reached the server yet, only handshakes are tried.
fn changes(facts: &Facts) -> Vec<Tried> {
    let arrived = facts.code().layer() == Layer::Http || facts.reached.is_none();
    let trials = causes::trials(facts).into_iter();
    let tried = trials.filter_map(|(cause, trial)| {
        let Change::Options(options) = &trial.change else {
            return None;
        };
        let options = (**options).clone();
        let plan = Plan::new(&options, None, None, Output::default()).ok()?;
        (is_repeatable(&plan) || !arrived).then(|| Tried {
            cause,
            trial,
            options,
            plan,
            attempt: Attempt::none(),
        })
    });
    tried.collect()
}

/// Tries the changes in parallel: at the address that answers, or at all addresses if none answers.
fn run(facts: &Facts, tried: &mut [Tried]) {
    let reached = facts.reached.as_ref();
    let jobs = tried.iter_mut().map(|tried| {
        let Tried {
            plan,
            attempt: result,
            ..
        } = tried;
        Box::new(move || {
            let whole = probe::Trial::of(plan);
            let handshake = probe::Trial {
                request: None,
                ..whole
            };
            *result = match reached {
                Some(address) if is_repeatable(plan) => attempt(whole, address, plan.timeout),
                Some(address) => attempt(handshake, address, plan.timeout),
                None => {
                    let verdict = probe::run(plan, Instant::now());
                    Attempt {
                        result: verdict.result,
                        seen: verdict.seen,
                    }
                }
            };
        }) as Job<'_>
    });
    in_parallel(jobs.collect());
}

/// The server answers in TLS, and refuses something in the handshake.
const TLS: u8 = 4;
/// The step in which the check judges the server's certificate.
const CERTIFICATE: u8 = 5;
/// The step in which the server judges the client's certificate.
const CLIENT_CERTIFICATE: u8 = 6;
/// The step in which a response arrives. It comes after the handshake.
const RESPONSE: u8 = 7;
/// The step in which the expectations judge the response.
const EXPECTATIONS: u8 = 8;
/// The same step, for a server that accepts the request but doesn't have the page.
const PAGE: u8 = 9;
/// The same step, for a page that the server has.
const CONTENT: u8 = 10;

/// Returns how far a check came.
fn layer(failure: &Failure, plan: &Plan) -> u8 {
    match failure.code().layer() {
        Layer::Call => 0,
        Layer::Name => 1,
        Layer::Connection => 2,
        Layer::Tls => match failure {
            Failure::HandshakeRefused(_)
            | Failure::NothingInCommon(_)
            | Failure::NameRefused { .. }
            | Failure::OtherVersion(_)
            | Failure::UnsafeRenegotiation
            | Failure::TlsLimit(_)
                // The answer to a PROXY header may be about the header.
                if plan.proxy.is_none() => TLS,
            _ => 3,
        },
        Layer::Certificate => match failure {
            Failure::ClientCertificate { .. } => CLIENT_CERTIFICATE,
            _ => CERTIFICATE,
        },
        Layer::Http if is_about_response(failure) => match failure {
            Failure::Status {
                status: 404 | 410, ..
            } => PAGE,
            Failure::Status { status: 400.., .. } => EXPECTATIONS,
            _ => CONTENT,
        },
        Layer::Http => RESPONSE,
    }
}

/// True if an expectation judged a response.
pub(super) fn is_about_response(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Status { .. }
            | Failure::Header { .. }
            | Failure::Body { .. }
            | Failure::NoBody { .. }
            | Failure::Undecided { .. }
    )
}
