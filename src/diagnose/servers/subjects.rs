//! The servers that diagnose examines: their state in HAProxy, their agents' answers, and the step of their
//! check that fails.

use std::thread;
use std::time::Instant;

use super::own_checks;
use super::state::{State, Statistics, Subject};
use crate::code::{Code, Layer};
use crate::diagnose::attempts::in_parallel;
use crate::doctor::survey::{CheckKind, Step, Survey, Surveyed};
use crate::haproxy::program::Haproxy;
use crate::haproxy::statistics::Shown;
use crate::options::Options;
use crate::plan::{Output, Plan};
use crate::probe;

/// The number of servers or agents that diagnose asks at the same time.
const AT_ONCE: usize = 16;

/// Returns the servers with their states. If the operator names a server (`one`), returns only this server,
/// and diagnose examines it in any state.
pub(super) fn subjects<'a>(
    survey: &'a Survey,
    statistics: &'a Statistics,
    one: Option<&Surveyed>,
    haproxy: Option<&Haproxy>,
) -> Vec<Subject<'a>> {
    let servers = survey.servers.iter();
    let is_one = |surveyed: &Surveyed| one.is_none_or(|one| std::ptr::eq(one, surveyed));
    let servers: Vec<&Surveyed> = servers.filter(|surveyed| is_one(surveyed)).collect();
    let own = match statistics.error {
        Some(_) if one.is_none() => check_once(&servers, haproxy),
        _ => servers.iter().map(|_| None).collect(),
    };
    let subject = |(surveyed, own): (&'a Surveyed, Option<bool>)| {
        let mut shown = statistics.servers.iter();
        let shown = shown
            .find(|shown| (&shown.backend, &shown.server) == (&surveyed.backend, &surveyed.server));
        let state = match (shown, own) {
            (Some(shown), _) => of_shown(shown),
            (None, Some(true)) => State::Up,
            (None, Some(false)) => State::Down,
            (None, None) if !surveyed.is_checked => State::Unchecked,
            (None, None) => State::Unknown,
        };
        Subject {
            shown,
            state,
            is_wanted: (matches!(state, State::Down | State::Draining)
                && surveyed.tracks.is_none())
                || one.is_some(),
            ..Subject::new(surveyed)
        }
    };
    servers.into_iter().zip(own).map(subject).collect()
}

fn of_shown(shown: &Shown) -> State {
    match shown {
        shown if shown.is_down() => State::Down,
        shown if shown.status.starts_with("NOLB") => State::Draining,
        shown if shown.status.starts_with("DRAIN") => State::Drained,
        shown if shown.is_unresolved() => State::Unresolved,
        shown if shown.status.starts_with("MAINT") => State::Maintenance,
        shown if shown.is_unchecked() => State::Unchecked,
        _ => State::Up,
    }
}

/// Asks the agents of the servers that are out of service or need a diagnosis, several at a time.
pub(super) fn ask_agents(subjects: &mut [Subject<'_>]) {
    let is_asked = |subject: &&mut Subject<'_>| {
        let is_out = matches!(subject.state, State::Drained | State::Maintenance);
        subject.is_wanted || is_out
    };
    let agents = subjects.iter_mut().filter(is_asked).filter_map(|subject| {
        let agent = subject.surveyed.agent.as_ref()?;
        Some((agent, &mut subject.agent))
    });
    let mut agents: Vec<_> = agents.collect();
    for some in agents.chunks_mut(AT_ONCE) {
        let jobs = some.iter_mut();
        in_parallel(jobs.map(|(agent, answer)| || **answer = agent.asked()));
    }
}

/// Runs each step of a check with sni-check, and chooses the first step that fails. If no step fails, chooses
/// the first step that sni-check can't run, because the fault may be in that step. If sni-check can run all
/// steps, chooses the last step.
pub(super) fn choose_steps(survey: &mut Survey) {
    for surveyed in &mut survey.servers {
        let mut steps = std::mem::take(&mut surveyed.steps);
        let fails = |step: &Step| check(&step.call) == Some(false);
        let failed = steps.iter().position(fails);
        let failed = failed.or_else(|| steps.iter().position(|step| step.call.is_err()));
        let step = match failed {
            Some(number) => Some(steps.swap_remove(number)),
            None => steps.pop(),
        };
        if let Some(step) = step {
            surveyed.choose(step);
        }
    }
}

/// Checks each server once, several at a time. HAProxy tries its own checks. sni-check runs all other checks,
/// and any of HAProxy's own checks that HAProxy couldn't try. The result is true for a healthy server, and
/// `None` for a server without a check or with a check that can't be run. A check counts as failed if
/// sni-check refuses its options.
fn check_once(servers: &[&Surveyed], haproxy: Option<&Haproxy>) -> Vec<Option<bool>> {
    let mut healthy = own_checks::verdicts(servers, haproxy);
    let jobs = servers.iter().zip(&mut healthy);
    let is_open = |(surveyed, known): &(&&Surveyed, &mut Option<bool>)| {
        surveyed.is_checked && known.is_none()
    };
    let mut jobs: Vec<_> = jobs.filter(is_open).collect();
    for some in jobs.chunks_mut(AT_ONCE) {
        thread::scope(|scope| {
            for (surveyed, healthy) in some {
                let is_refused = surveyed.call.is_err()
                    && surveyed.unset.is_empty()
                    && matches!(surveyed.kind, CheckKind::External | CheckKind::Served);
                let is_down =
                    is_refused || surveyed.is_always_down() || !surveyed.obstacles.is_empty();
                let one = move || {
                    **healthy = match is_down {
                        true => Some(false),
                        false => check(&surveyed.call).or_else(|| unreachable(surveyed)),
                    };
                };
                _ = thread::Builder::new().spawn_scoped(scope, one);
            }
        });
    }
    healthy
}

/// Runs a check once with sni-check. Returns true if the check succeeds. Returns false if the check fails, or
/// if sni-check can't prepare it (for example, because a file is missing). Returns `None` if sni-check has no
/// options for the check.
fn check(call: &Result<Box<Options>, String>) -> Option<bool> {
    let plan = Plan::new(call.as_ref().ok()?, None, None, Output::default());
    let is_healthy = |plan: Plan| probe::run(&plan, Instant::now()).code() == Code::Healthy;
    Some(plan.is_ok_and(is_healthy))
}

/// Returns `Some(false)` if the server accepts no connection from sni-check, although sni-check can't run the
/// check itself. Otherwise, returns `None`.
fn unreachable(surveyed: &Surveyed) -> Option<bool> {
    let meant = surveyed.meant.as_deref()?;
    let plan = Plan::new(&meant.options, None, None, Output::default()).ok()?;
    let is_closed = probe::run(&plan, Instant::now()).code().layer() == Layer::Connection;
    is_closed.then_some(false)
}
