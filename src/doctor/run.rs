//! `--run`: runs each check as HAProxy would run it, and shows what HAProxy would show.

pub(crate) mod as_haproxy;
pub(crate) mod asked;
pub(crate) mod confirm;
mod not_run;
pub(crate) mod observe;
pub(crate) mod outcome;
pub(crate) mod trials;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::Result;
use rustix::process::geteuid;

use crate::code::{Code, Layer};
use crate::haproxy::child::{Ended, signal};
use crate::refusal::refusal;

use crate::haproxy::ask::Answer;
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::check::{Check, Protocol};
use crate::haproxy::config::external::ExternalCheck;

use self::not_run::NotRun;
use self::outcome::{Doubt, Outcome, Ran, Runs, Trap, Visitor};
use super::by_hand;
use super::rules::difference::Pair;
use super::visit::jail::Jail;
use super::visit::{Visit, Watch};

/// How many checks run in parallel.
const AT_ONCE: usize = 16;

/// Describes the result of an external check.
fn meaning(outcome: Outcome, ours: bool) -> String {
    match outcome {
        Outcome::Code(code) => match Code::from_number(code).filter(|_| ours) {
            Some(code) => code.meaning().to_owned(),
            None => format!("exit code {code} of the command"),
        },
        Outcome::Signal(number) => format!("killed by {}", signal(number)),
        Outcome::Killed => "takes too long, so HAProxy kills it and shows PROCTOUT; ignore its \
                            check_code, which is from an earlier check"
            .to_owned(),
        Outcome::NoFork => "HAProxy can't start it: insecure-fork-wanted is missing".to_owned(),
        _ => "HAProxy can't start the command".to_owned(),
    }
}

/// Returns true if checks run in HAProxy's chroot and as its user. Only root can change the chroot
/// and the user.
fn is_exact(jail: &Jail) -> bool {
    geteuid().is_root() || (!jail.is_chroot() && jail.user.uid == geteuid().as_raw())
}

/// Refuses `--run` on a host where it can't work.
///
/// # Errors
/// `/proc` isn't mounted.
pub(crate) fn possible() -> Result<()> {
    match Path::new(as_haproxy::OWN_PROGRAM).exists() {
        true => Ok(()),
        false => Err(refusal(
            "--run",
            "needs /proc, which is not mounted here",
            "mount it, or leave --run out",
        )),
    }
}

/// Runs the checks in parallel. The results are in this order: external checks, checks by serve, HAProxy's
/// own checks. Like HAProxy, doctor doesn't check a disabled server.
pub(crate) fn all(visit: &Visit) -> Runs {
    let jobs = || {
        let active = visit.active();
        active.filter(|watch| !watch.server.settings.has("disabled"))
    };
    let (jobs, unresolved): (Vec<&Watch>, Vec<&Watch>) =
        jobs().partition(|watch| has_address(watch));
    let known = jobs.len();
    let jobs = || jobs.iter().copied();
    let external = jobs().filter(|watch| matches!(watch.check, Check::External(_)));
    // If no rule gives serve's address, HAProxy's check connects to the server, not to serve.
    let asks = |check: &Check| matches!(check, Check::Serve(serve) if serve.connect.is_some());
    let served = jobs().filter(|watch| asks(&watch.check));
    let jobs: Vec<&Watch> = external.chain(served).collect();
    let mut done = Vec::with_capacity(jobs.len());
    for some in jobs.chunks(AT_ONCE) {
        done.extend(thread::scope(|scope| {
            let start = |watch| {
                let thread = thread::Builder::new();
                (watch, thread.spawn_scoped(scope, move || one(watch, visit)))
            };
            let started: Vec<_> = some.iter().copied().map(start).collect();
            let finish = |(watch, thread): (&Watch, io::Result<ScopedJoinHandle<Ran>>)| match thread
            {
                Ok(thread) => thread.join().ok(),
                // The system refused a new thread, so the check runs on this thread.
                Err(_) => Some(one(watch, visit)),
            };
            started.into_iter().filter_map(finish).collect::<Vec<_>>()
        }));
    }
    let exact = is_exact(visit.jail);
    let mut followers = Vec::new();
    let mut not_run = NotRun::default();
    for watch in &unresolved {
        not_run.add(watch, not_run::without_address(watch));
    }
    done.retain(|ran| {
        let Some(watch) = jobs.iter().find(|watch| ran.is_of(watch)) else {
            return true;
        };
        let why = not_run::before_haproxy(visit, watch, ran.outcome);
        let is_kept = why.is_none();
        if let Some(why) = why {
            not_run.add(watch, why);
        }
        is_kept
    });
    let asked = with_haproxy(visit, &mut done, &mut followers, &mut not_run);
    let checks = jobs.iter().filter_map(|watch| match &watch.check {
        Check::External(check) => Some(check),
        _ => None,
    });
    let mut limits = [
        not_run.sentences(),
        limits(&checks.collect::<Vec<_>>(), visit.jail),
    ]
    .concat();
    limits.extend(asked.unwrap_or_else(|why| {
        vec![format!(
            "doctor can't ask HAProxy about its own checks and visitors: {why}."
        )]
    }));
    Runs {
        exact,
        limits,
        not_run: known.saturating_sub(done.len()),
        checks: done,
        followers,
        unresolved: unresolved.len(),
    }
}

/// Asks HAProxy for the results of its own checks, and for what visitors get. Adds these results to `done`.
/// Adds each server that follows a checked server (`track`) to `followers`, with the result of the followed
/// server. Adds the checks without a result to `not_run`. Returns sentences about visitors' requests.
///
/// # Errors
/// doctor can't ask HAProxy. The error says why.
fn with_haproxy(
    visit: &Visit,
    done: &mut Vec<Ran>,
    followers: &mut Vec<Ran>,
    not_run: &mut NotRun,
) -> Result<Vec<String>, String> {
    let is_asked = |watch: &&Watch| {
        let is_own = observe::is_own(watch);
        let mut endpoints = watch.connections.iter().map(|check| &check.endpoint);
        let has_port = match is_own {
            true => endpoints.all(|endpoint| !matches!(endpoint, Endpoint::Tcp(_, 0))),
            false => !matches!(watch.server.endpoint, Endpoint::Tcp(_, 0)),
        };
        let judge = visit.followed(watch).unwrap_or(watch);
        let is_known = is_own || done.iter().any(|ran| ran.is_of(judge));
        is_known && has_port && has_address(watch) && !watch.server.settings.has("disabled")
    };
    let watches = visit.followers.iter().map(|follower| &follower.watch);
    let watches = visit.active().chain(watches).filter(is_asked);
    // A check sends no request if http-check lines replace the `option httpchk` of another section. doctor
    // writes all lines into one section, where this option always sends a request. So doctor can't
    // reproduce such a check.
    let (silent, watches): (Vec<&Watch>, Vec<&Watch>) = watches.partition(|watch| {
        matches!(&watch.check, Check::Own(own) if matches!(own.protocol, Protocol::Http { sends_request: false, .. }))
    });
    for watch in silent.into_iter().filter(|watch| watch.is_active()) {
        let why = "doctor can't reproduce a check that sends no request";
        not_run.add(watch, why);
    }
    let mut left_out = BTreeMap::<String, Vec<String>>::new();
    let start = Instant::now();
    let observed = observe::ask_haproxy(visit, &watches)?;
    let time = start.elapsed();
    for (watch, observed) in watches.iter().copied().zip(observed) {
        match &observed.check {
            Some(Answer::Refused(why)) => {
                let why = why.trim_end_matches(['.', ' ']);
                not_run.add(
                    watch,
                    format!(
                        "HAProxy refuses the server's lines outside of the full configuration: {why}"
                    ),
                );
            }
            Some(Answer::None) => {
                not_run.add(watch, "HAProxy had no result after a few seconds");
            }
            _ => {}
        }
        for rule in observed.left_out {
            left_out.entry(rule).or_default().push(watch.name());
        }
        if let Some(Answer::Checked(checked)) = observed.check
            && let Some(outcome) = Outcome::own(checked.up, &checked.status, &checked.code)
        {
            if let Some(why) = not_run::before_haproxy(visit, watch, outcome) {
                not_run.add(watch, why);
                continue;
            }
            done.push(Ran {
                outcome,
                meaning: own_meaning(watch, outcome, &checked.why).to_owned(),
                said: checked.why,
                diagnose: outcome
                    .has_cause()
                    .then(|| by_hand::diagnose(watch, visit.call)),
                ..Ran::new(watch, checked.time.unwrap_or(time))
            });
        }
        if let Some(followed) = visit.followed(watch)
            && let Some(ran) = done.iter().find(|ran| ran.is_of(followed))
        {
            followers.push(Ran {
                outcome: ran.outcome,
                ..Ran::new(watch, time)
            });
        }
        let mut runs = done.iter_mut().chain(followers.iter_mut());
        if let Some(ran) = runs.find(|ran| ran.is_of(watch)) {
            let trap = |visitor| confirm::trap(visit, watch, ran.outcome, visitor);
            // The visitor's request doesn't reach the HAProxy that would answer it.
            let is_answered = |visitor: &Visitor| {
                visitor.by_server || not_run::own_listener(visit, &watch.traffic.endpoint).is_none()
            };
            let visitor = observed.visitor.filter(is_answered);
            ran.trap = visitor.as_ref().and_then(trap);
            let is_shown =
                |visitor: &Visitor| ran.trap.is_some() || !confirm::proves_nothing(watch, visitor);
            ran.visitor = visitor.filter(is_shown);
        }
    }
    let limits = left_out.iter().map(|(rule, names)| {
        format!(
            "doctor's visitors of {} were sent without `{rule}`, which HAProxy refuses outside of haproxy.cfg.",
            names.join(", ")
        )
    });
    settle_sessions(visit, &watches, done);
    explain(visit, &watches, done);
    Ok(limits.collect())
}

/// Tests whether visitors are served when HAProxy resumes the check's TLS session on their connections. If
/// they aren't, the trap is certain.
fn settle_sessions(visit: &Visit, watches: &[&Watch], done: &mut [Ran]) {
    let doubted = done.iter_mut().filter_map(|ran| {
        let watch = watches.iter().copied().find(|watch| ran.is_of(watch))?;
        let trap = ran.trap.as_mut()?;
        let visitor = ran.visitor.as_mut()?;
        (trap.doubt == Some(Doubt::Session)).then_some((watch, (trap, visitor)))
    });
    let (watches, doubted): (Vec<&Watch>, Vec<(&mut Trap, &mut Visitor)>) = doubted.unzip();
    if watches.is_empty() {
        return;
    }
    let statuses = observe::visit_after_check(visit, &watches);
    for ((trap, visitor), status) in doubted.into_iter().zip(statuses) {
        trap.doubt = status.and(trap.doubt);
        visitor.resumed = status;
    }
}

/// Looks for changes with which HAProxy's own failed checks pass. Does this only for a check that contradicts
/// what visitors get, or whose Host may be wrong. Stores the change in the result of the check.
fn explain(visit: &Visit, watches: &[&Watch], done: &mut [Ran]) {
    let down = done.iter_mut().filter_map(|ran| {
        let watch = watches.iter().copied().find(|watch| ran.is_of(watch))?;
        let is_wrong = observe::is_own(watch) && confirm::is_to_explain(watch, ran);
        is_wrong.then_some((watch, ran))
    });
    let (watches, mut runs): (Vec<&Watch>, Vec<&mut Ran>) = down.unzip();
    let failed = watches.into_iter().zip(runs.iter().map(|ran| ran.outcome));
    let explained = trials::explain(visit, &failed.collect::<Vec<_>>());
    for (ran, trial) in runs.iter_mut().zip(explained) {
        ran.explained = trial;
    }
}

/// With `--run`, tries a check that HAProxy doesn't run yet. If the check fails, or if this host can't
/// resolve the server's name, returns what the operator should do before switching the check on.
pub(crate) fn would_fail(visit: &Visit, watch: &Watch) -> Option<String> {
    // If sni-check refuses the options, the findings already say why.
    let is_own = matches!(watch.check, Check::Own(_));
    if !visit.call.run || !(is_own || watch.own.is_some()) {
        return None;
    }
    let name = watch.server.endpoint.name();
    if let Some(name) = name.filter(|_| !has_address(watch)) {
        return Some(format!(
            "try the check where {name} can be resolved, because this host can't resolve it"
        ));
    }
    let outcome = match is_own {
        true => {
            let observed = observe::ask_haproxy(visit, &[watch]).ok()?;
            let Answer::Checked(checked) = observed.into_iter().next()?.check? else {
                return None;
            };
            Outcome::own(checked.up, &checked.status, &checked.code)?
        }
        false => one(watch, visit).outcome,
    };
    // If nothing answers where visitors connect, too, the check would be right.
    let code = outcome.own_code();
    let is_dead = code.is_some_and(|code| code.layer() == Layer::Connection);
    let is_right = is_dead && Pair::of(watch).is_some();
    if is_right || not_run::before_haproxy(visit, watch, outcome).is_some() {
        return None;
    }
    let failed = confirm::state(outcome);
    (!outcome.is_up()).then(|| format!("fix the check, which would be {failed}"))
}

/// Describes the result of HAProxy's own check. `why` is HAProxy's explanation. An `expect` rule can choose
/// the status that HAProxy shows (`error-status`, `ok-status`), so the status alone may not say what failed.
fn own_meaning(watch: &Watch, outcome: Outcome, why: &str) -> &'static str {
    let is_other = matches!(&watch.check, Check::Own(own) if own.protocol == Protocol::Other);
    let shakes_hands = is_other || watch.connections.iter().any(|check| check.tls.is_some());
    match (outcome.status(), outcome.code()) {
        _ if why.starts_with("TCPCHK") => {
            "the answer does not meet an expectation of HAProxy's own check"
        }
        ("L4CON" | "L4TOUT", _) => "HAProxy's own check can't connect",
        ("SOCKERR", _) => "HAProxy's own check can't connect, or its connection is closed early",
        ("L6RSP" | "L6TOUT", _) if shakes_hands => "the TLS handshake of HAProxy's own check fails",
        ("L6RSP" | "L6TOUT", _) => "a rule of HAProxy's own check fails, and shows this status",
        ("L7STS", _) => "HAProxy's own check gets a status or content that it does not expect",
        ("L7RSP", _) => "HAProxy's own check gets no valid response",
        ("L7OKC", Some(404)) => {
            "HAProxy's own check gets 404, so http-check disable-on-404 keeps new visitors away"
        }
        ("L7OKC", _) => {
            "a rule of HAProxy's own check shows this status, which keeps new visitors away"
        }
        ("L7TOUT", _) => "HAProxy's own check gets no response in time",
        _ => "HAProxy's own check works",
    }
}

/// Returns true if the server line has an address, or a name that this host can resolve.
fn has_address(watch: &Watch) -> bool {
    let is_resolved = || watch.server.address().0.parse::<IpAddr>().is_ok();
    watch.server.endpoint.name().is_none() || is_resolved()
}

/// Returns sentences about how the checks ran differently from HAProxy's checks.
fn limits(checks: &[&ExternalCheck], jail: &Jail) -> Vec<String> {
    let mut limits = Vec::new();
    if !is_exact(jail) {
        let outside = match jail.is_chroot() {
            true => " and outside of HAProxy's chroot",
            false => "",
        };
        limits.push(format!(
            "The checks ran as this user{outside}, because only root can run them as HAProxy does."
        ));
    }
    limits.push(
        "The checks ran without the limits of HAProxy's unit or container, such as LimitNPROC, \
         seccomp and memory."
            .to_owned(),
    );
    let mut named = checks
        .iter()
        .filter(|check| check.server.endpoint.name().is_some())
        .peekable();
    if named.peek().is_some() {
        let resolvers = named.find_map(|check| check.server.settings.get("resolvers"));
        let haproxy = match resolvers {
            Some(resolvers) => format!(
                "HAProxy asks the name servers of its section `resolvers {}`",
                resolvers.value
            ),
            None => "HAProxy may still use the address that it found when it started".to_owned(),
        };
        limits.push(format!(
            "This host's resolver resolved the names just now; {haproxy}."
        ));
    }
    limits
}

fn one(watch: &Watch, visit: &Visit) -> Ran {
    let start = Instant::now();
    let (outcome, meaning, said, ours) = match &watch.check {
        Check::Serve(check) => {
            let (outcome, meaning, said) = asked::one(check, watch, visit.jail);
            (outcome, meaning, said, true)
        }
        Check::External(check) => {
            let (outcome, said) = external(check, visit);
            let ours = !watch.runs_other_program;
            (outcome, meaning(outcome, ours), said, ours)
        }
        _ => (Outcome::NotRun, String::new(), String::new(), false),
    };
    let time = start.elapsed();
    let diagnose = (ours && outcome.has_cause()).then(|| by_hand::diagnose(watch, visit.call));
    Ran {
        outcome,
        meaning,
        said,
        diagnose,
        ..Ran::new(watch, time)
    }
}

fn external(check: &ExternalCheck, visit: &Visit) -> (Outcome, String) {
    let nothing = |outcome| (outcome, String::new());
    match (visit.can_fork(), visit.has_empty_chroot()) {
        (false, _) => return nothing(Outcome::NoFork),
        (true, true) => return nothing(Outcome::NotRun),
        (true, false) => {}
    }
    outcome(&check.resolved(), visit.jail).unwrap_or(nothing(Outcome::NotRun))
}

fn outcome(check: &ExternalCheck, jail: &Jail) -> io::Result<(Outcome, String)> {
    let running = as_haproxy::start(check, jail, geteuid().is_root())?;
    let Ended { status, written } = running.wait(check.limit.time)?;
    let outcome = match status.map(|status| (status.code(), status.signal())) {
        None => Outcome::Killed,
        Some((Some(255), _)) => Outcome::NotRun,
        Some((Some(code), _)) => Outcome::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        Some((None, signal)) => Outcome::Signal(signal.unwrap_or_default()),
    };
    // With --verbose, a check prints details after its DOWN line.
    let mut lines = written.lines().filter(|line| !line.trim().is_empty());
    let said = lines.clone().find(|line| line.starts_with("DOWN "));
    let said = said.or_else(|| lines.next_back());
    Ok((outcome, said.unwrap_or_default().to_owned()))
}
