//! Finds the changes that the check needs. diagnose tries each change to the options that may prove a cause.
//! It keeps a change if the check gets further with it.

use std::time::Instant;

use super::attempts::{attempt, in_parallel};
use super::gather::{facts_of_success, gather};
use super::session::{Phase, Session};
use super::stage::Stage;
use crate::causes::facts::{Attempt, Facts, HaproxyFacts, Refuted};
use crate::causes::{self, Cause, Change, Finding, Weight, mixed};
use crate::code::{Code, Layer};
use crate::failure::Failure;
use crate::options::Options;
use crate::plan::{Output, Plan};
use crate::probe;

/// The cause that a longer time limit proves.
const TIME: &str = "timeout-too-short";
/// Once the changes prove this many causes, diagnose tries no more changes.
const CHANGES: usize = 3;

/// Everything that diagnose has found out about a server.
pub(super) struct Search {
    /// The facts about the operator's check.
    pub asked: Facts,
    /// The facts about the check with the changes that helped. `None` if no change helped.
    pub changed: Option<Facts>,
    /// The causes that these changes proved, in the order of discovery.
    pub proved: Vec<Finding>,
}

impl Search {
    /// Returns the facts about the check with the best options.
    pub fn best(&self) -> &Facts {
        self.changed.as_ref().unwrap_or(&self.asked)
    }

    /// Adds HAProxy's answers to the facts if the answers contain an unexpected status, and the facts contain
    /// no status. Returns true if the answers were added.
    pub fn add_status(&mut self, haproxy: Option<&HaproxyFacts>) -> bool {
        let is_new = self.best().status().is_none()
            && haproxy.is_some_and(|haproxy| haproxy.refused_status.is_some());
        if is_new {
            self.add_haproxy(haproxy.cloned());
        }
        is_new
    }

    /// Adds HAProxy's answers to the facts.
    pub fn add_haproxy(&mut self, haproxy: Option<HaproxyFacts>) {
        match &mut self.changed {
            Some(facts) => facts.haproxy = haproxy,
            None => self.asked.haproxy = haproxy,
        }
    }

    /// Records that visitors get this status with the present haproxy.cfg, although the check is UP.
    pub fn serves_no_visitor(&mut self, status: u16) {
        if let Some(haproxy) = &mut self.asked.haproxy {
            haproxy.traffic = Some(status);
        }
    }

    /// Records that visitors are served with the change to haproxy.cfg. Their error with the lines of a new
    /// backend then no longer matters.
    pub fn serves_visitors(&mut self) {
        let best = self.changed.as_mut().unwrap_or(&mut self.asked);
        if let Some(haproxy) = &mut best.haproxy {
            haproxy.failed_visitor = None;
        }
    }

    /// Returns true if visitors get an error with the present haproxy.cfg.
    pub fn has_failed_visitor(&self) -> bool {
        let haproxy = self.asked.haproxy.as_ref();
        haproxy.is_some_and(|haproxy| haproxy.traffic.is_some())
    }

    /// Applies a change that HAProxy's own check has proved. Returns false, and applies nothing, if `CHANGES`
    /// causes are already proved.
    pub fn adopt(&mut self, candidate: Candidate, session: &Session) -> bool {
        if self.proved.len() >= CHANGES {
            return false;
        }
        let (findings, facts) = candidate.apply(self.best(), session);
        self.proved.extend(findings);
        self.changed = Some(facts);
        true
    }

    /// Tries changes to the check's options. After a change that helps, gathers facts again, and tries more
    /// changes if the check still fails or its page redirects to itself.
    pub fn run(asked: Facts, session: &Session) -> Search {
        let mut search = Search {
            asked,
            changed: None,
            proved: Vec::new(),
        };
        while search.proved.len() < CHANGES {
            let current = match &mut search.changed {
                Some(facts) => facts,
                None => &mut search.asked,
            };
            let better = match current.failure() {
                Some(_) => improve(current, session),
                None => end_of_loop(current, session),
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

/// A change to the options, and the result of trying it.
pub(super) struct Candidate {
    /// The causes that the change proves if it helps, each with the values for its sentences.
    causes: Vec<(&'static Cause, Vec<(&'static str, String)>)>,
    /// True if the change counts as soon as the check gets further with it. Otherwise, the check must
    /// succeed.
    pub counts_progress: bool,
    pub options: Options,
    pub plan: Plan,
    attempt: Attempt,
}

impl Candidate {
    /// Returns a change that hasn't been tried yet, or `None` if the options contradict each other.
    fn new(
        causes: Vec<(&'static Cause, Vec<(&'static str, String)>)>,
        counts_progress: bool,
        options: Options,
    ) -> Option<Candidate> {
        Some(Candidate {
            causes,
            counts_progress,
            plan: Plan::new(&options, None, None, Output::default()).ok()?,
            options,
            attempt: Attempt::none(),
        })
    }

    /// Returns this change, but with GET instead of a method that may change something on the server. The new
    /// change proves its causes only if the check succeeds.
    fn with_get(self) -> Option<Candidate> {
        let mut options = self.options;
        (options.method, options.body) = (None, None);
        let method = (causes::of_untried_method(), Vec::new());
        let causes = self.causes.into_iter().chain([method]).collect();
        Candidate::new(causes, false, options)
    }

    /// Returns true if the change may prove this cause.
    fn is_about(&self, id: &str) -> bool {
        self.causes.iter().any(|(cause, _)| cause.id == id)
    }

    /// Returns the stage that the check reached with the change.
    fn stage(&self) -> Stage {
        match &self.attempt.result {
            // The trial ended after the handshake, although the check sends a request.
            Ok(None) if !self.plan.handshake_only => Stage::Response,
            Ok(_) => Stage::Healthy,
            Err(failure) => Stage::of_failure(failure, &self.plan),
        }
    }

    /// Tries the change at the address that answers. If diagnose isn't allowed to send the request, tries
    /// only the handshake. If no address answers, tries the whole check at all addresses.
    fn run(&mut self, facts: &Facts, session: &Session) {
        let plan = &self.plan;
        let whole = probe::Trial::of(plan);
        let handshake = probe::Trial {
            request: None,
            ..whole
        };
        self.attempt = match &facts.reached {
            Some(address) if facts.may_send(plan) => attempt(whole, address, plan.timeout, session),
            Some(address) => attempt(handshake, address, plan.timeout, session),
            None => probe::run(plan, Instant::now()),
        };
    }

    /// Returns the causes that the change proves, and the facts about the check with the change.
    fn apply(self, facts: &Facts, session: &Session) -> (Vec<Finding>, Facts) {
        let findings = self.findings(facts);
        let better = match facts.may_send(&self.plan) && self.attempt.result.is_ok() {
            true => facts_of_success(self.plan, self.options, self.attempt, facts, session),
            false => gather(self.plan, self.options, &facts.origin, session),
        };
        (findings, better)
    }

    /// Returns the causes that the change proves.
    fn findings(&self, facts: &Facts) -> Vec<Finding> {
        let causes = self.causes.iter();
        let findings =
            causes.map(|(cause, values)| Finding::new(cause, Weight::Proved, facts, values));
        findings.collect()
    }
}

/// Returns the changes that HAProxy tries with its own check. Returns no changes if sni-check's check is
/// healthy, or if several servers answer differently.
pub(super) fn for_haproxy(facts: &Facts) -> Vec<Candidate> {
    if facts.failure().is_none() || mixed::find(facts).is_some() {
        return Vec::new();
    }
    let mut changes = changes(facts);
    changes.retain(|candidate| facts.may_send(&candidate.plan));
    changes
}

/// Tries the changes that the possible causes propose. Returns the causes that the best change proves, and
/// the facts about the check with this change. Records the causes that the trials refute. Returns `None` if
/// no change and no pair of changes helps.
fn improve(facts: &mut Facts, session: &Session) -> Option<(Vec<Finding>, Facts)> {
    let failure = facts.failure()?.clone();
    // If several servers answer differently, no change to the options helps.
    if mixed::find(facts).is_some() {
        return None;
    }
    session.enter(Phase::Trials);
    let mut tried = changes(facts);
    run(facts, &mut tried, session);
    let (before, failure_code) = (Stage::of_failure(&failure, &facts.plan), failure.code());
    let value = |candidate: &Candidate| match &candidate.attempt.result {
        Err(_) if !candidate.counts_progress => Stage::Call,
        _ => candidate.stage(),
    };
    let ids = tried.iter().flat_map(|candidate| &candidate.causes);
    let refuted = ids.filter_map(|(cause, _)| {
        let of_cause = || tried.iter().filter(|tried| tried.is_about(cause.id));
        let fails_alike = |tried: &Candidate| {
            let failure = tried.attempt.result.as_ref().err();
            failure.is_some_and(|other| other.code() == failure_code)
        };
        // If the server answered the check but cuts the connections of the trials, it has banned this host,
        // perhaps because of failed handshakes. The trial then refutes nothing. Nor does a trial refute its
        // cause if it gets further than the check.
        let is_banned = |tried: &Candidate| {
            let result = tried.attempt.result.as_ref();
            let is_answered = !is_cut(&failure) && failure_code.layer() >= Layer::Certificate;
            is_answered && result.is_err_and(is_cut)
        };
        of_cause()
            .all(|tried| tried.stage() <= before && !is_banned(tried))
            .then(|| Refuted {
                id: cause.id,
                alike: of_cause().all(fails_alike),
            })
    });
    facts.refuted.extend(refuted);
    // Among the changes that get furthest, the first wins.
    let best = (0..tried.len()).rev().max_by_key(|at| value(&tried[*at]));
    if let Some(at) = best.filter(|at| value(&tried[*at]) > before) {
        return Some(tried.swap_remove(at).apply(facts, session));
    }
    if !is_limited(facts, &failure) {
        if let Some(pair) = two_at_once(facts, &failure, &tried, session) {
            return Some(pair.apply(facts, session));
        }
        if let Some(first) = first_of_two(facts, &failure, &tried, session) {
            return Some(first);
        }
    }
    with_more_time(facts, tried, before, session)
}

/// If the server answers only after the time limit, and the check rejects the answer, looks for a change with
/// which the check accepts a late answer. Returns `None` if the check fails with every such change.
fn with_more_time(
    facts: &Facts,
    tried: Vec<Candidate>,
    before: Stage,
    session: &Session,
) -> Option<(Vec<Finding>, Facts)> {
    let is_late = |tried: &Candidate| tried.is_about(TIME) && tried.stage() > before;
    let late = tried.into_iter().find(is_late)?;
    let (mut findings, mut answered) = late.apply(facts, session);
    let (further, best) = improve(&mut answered, session)?;
    findings.extend(further);
    best.failure().is_none().then_some((findings, best))
}

/// Returns true if the server refused or closed the connection, or didn't answer the handshake.
fn is_cut(failure: &Failure) -> bool {
    let is_closed = matches!(failure, Failure::HandshakeClosed(_));
    is_closed || matches!(failure, Failure::HandshakeTimeout | Failure::Connect(_))
}

/// The largest number of pairs of changes that diagnose tries.
const PAIRS: usize = 12;

/// Returns true if diagnose tries no more than one change at a time: the server is slow or limits requests, or
/// no address answers.
fn is_limited(facts: &Facts, failure: &Failure) -> bool {
    let is_slow = matches!(
        failure,
        Failure::HandshakeTimeout | Failure::ResponseTimeout { .. }
    );
    is_slow || facts.status() == Some(429) || facts.reached.is_none()
}

/// Returns true if the check fails with the change, but for another reason.
fn has_effect(tried: &Candidate, failure: &Failure) -> bool {
    let other = tried.attempt.result.as_ref().err();
    other.is_some_and(|other| other.to_string() != failure.to_string())
}

/// Tries two changes at once, because one fault may hide another. For example, a wrong Host and a wrong path
/// both cause 404. Begins with changes that have an effect: the check fails in another way with them. Returns the first pair with which the check succeeds.
fn two_at_once(
    facts: &Facts,
    failure: &Failure,
    tried: &[Candidate],
    session: &Session,
) -> Option<Candidate> {
    let mut tried: Vec<&Candidate> = tried.iter().collect();
    tried.sort_by_key(|tried| !has_effect(tried, failure));
    let pairs = tried.iter().enumerate().flat_map(|(at, first)| {
        let others = tried[at + 1..].iter();
        others.filter_map(move |second| together(facts, first, second))
    });
    let mut pairs: Vec<Candidate> = pairs.take(PAIRS).collect();
    run(facts, &mut pairs, session);
    let mut pairs = pairs.into_iter();
    pairs.find(|pair| pair.attempt.result.is_ok())
}

/// The largest number of changes after which diagnose looks for a second fault.
const FOLLOWED: usize = 3;

/// Finds a change that has an effect, and after which a second change makes the check succeed. A fault may show
/// only once another fault is gone, so the facts before the first change don't propose the second change.
/// Returns the causes that the first change proves, and the facts about the check with this change.
fn first_of_two(
    facts: &Facts,
    failure: &Failure,
    tried: &[Candidate],
    session: &Session,
) -> Option<(Vec<Finding>, Facts)> {
    let mut seen: Vec<String> = Vec::new();
    let firsts = tried.iter().filter(|tried| {
        let other = tried.attempt.result.as_ref().err();
        let other = other.filter(|_| has_effect(tried, failure));
        let text = other.map(ToString::to_string);
        let Some(text) = text.filter(|text| !seen.contains(text)) else {
            return false;
        };
        seen.push(text);
        facts.may_send(&tried.plan)
    });
    let firsts: Vec<&Candidate> = firsts.take(FOLLOWED).collect();
    let mut helpful: Vec<Option<Facts>> = firsts.iter().map(|_| None).collect();
    let jobs = firsts.iter().zip(&mut helpful);
    in_parallel(jobs.map(|(first, helpful)| {
        move || {
            let Ok(plan) = Plan::new(&first.options, None, None, Output::default()) else {
                return;
            };
            let facts = gather(plan, first.options.clone(), &facts.origin, session);
            let mut next = changes(&facts);
            run(&facts, &mut next, session);
            let is_helpful = next.iter().any(|next| next.stage() == Stage::Healthy);
            *helpful = is_helpful.then_some(facts);
        }
    }));
    let mut both = firsts.iter().zip(helpful);
    both.find_map(|(first, better)| Some((first.findings(facts), better?)))
}

/// Returns both changes as one. Returns `None` if they share a cause or change the same option or header field
/// differently, if the options contradict each other, or if diagnose isn't allowed to send the request.
fn together(facts: &Facts, first: &Candidate, second: &Candidate) -> Option<Candidate> {
    let same_cause = first
        .causes
        .iter()
        .any(|(cause, _)| second.is_about(cause.id));
    if same_cause {
        return None;
    }
    let options = facts.options.merged(&first.options, &second.options)?;
    let causes = [&first.causes[..], &second.causes].concat();
    Candidate::new(causes, false, options).filter(|pair| facts.may_send(&pair.plan))
}

/// Tries the change that stops a page from redirecting to itself. Returns the causes that the change proves,
/// and the facts about the check with the change. A check may accept such a redirect, but visitors' browsers
/// give up.
fn end_of_loop(facts: &Facts, session: &Session) -> Option<(Vec<Finding>, Facts)> {
    if !causes::redirects_to_itself(facts) {
        return None;
    }
    session.enter(Phase::Trials);
    let mut tried = changes(facts);
    tried.retain(|tried| tried.is_about("scheme-unknown") && facts.may_send(&tried.plan));
    run(facts, &mut tried, session);
    let (findings, better) = tried.pop()?.apply(facts, session);
    (!causes::redirects_to_itself(&better)).then_some((findings, better))
}

/// Returns the changes that the possible causes propose. diagnose never sends a changed request that may
/// change something on the server. If the check's own request has reached the server, or if no address
/// accepted a connection, GET replaces the method of such a request. Otherwise, diagnose tries only the
/// handshake.
fn changes(facts: &Facts) -> Vec<Candidate> {
    let arrived = facts.code_of_trials().layer() == Layer::Http || facts.reached.is_none();
    let trials = causes::trials(facts).into_iter();
    let candidates = trials.filter_map(|(cause, trial)| {
        let Change::Options(options) = trial.change else {
            return None;
        };
        let causes = vec![(cause, trial.values)];
        let candidate = Candidate::new(causes, trial.counts_progress, *options)?;
        match facts.may_send(&candidate.plan) || !arrived {
            true => Some(candidate),
            false => candidate.with_get(),
        }
    });
    candidates.collect()
}

/// Tries the changes in parallel.
fn run(facts: &Facts, tried: &mut [Candidate], session: &Session) {
    let jobs = tried.iter_mut();
    in_parallel(jobs.map(|candidate| || candidate.run(facts, session)));
    // If the server serves one connection at a time, some trials timed out while they waited for other
    // trials. Repeat these trials.
    let shakes_hands = facts.code() == Code::ResponseTimeout;
    let waited = |candidate: &&mut Candidate| {
        matches!(candidate.attempt.result, Err(Failure::HandshakeTimeout))
    };
    for candidate in tried.iter_mut().filter(|_| shakes_hands).filter(waited) {
        candidate.run(facts, session);
    }
}
