//! `--run`: each check as HAProxy would run it, and what HAProxy would show for it.

use std::io;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::Result;
use rustix::process::geteuid;

use crate::code::Code;
use crate::haproxy::child::{Ended, signal};
use crate::refusal::refusal;

use crate::haproxy::config::check::Check;
use crate::haproxy::config::external::ExternalCheck;

use super::as_haproxy;
use super::asked;
use super::by_hand;
use super::jail::Jail;
use super::outcome::{Outcome, Ran, Runs};
use super::path_options::is_ours;
use super::visit::{Visit, Watch};

/// How many checks run at a time.
const AT_ONCE: usize = 16;

/// What came of an external check, in words.
fn meaning(outcome: Outcome, ours: bool) -> String {
    match outcome {
        Outcome::Code(code) => match Code::from_number(code).filter(|_| ours) {
            Some(code) => code.meaning().to_owned(),
            None => format!("the command's own code {code}"),
        },
        Outcome::Signal(number) => format!("ended by {}", signal(number)),
        Outcome::Killed => "took too long, HAProxy kills it; a check_code beside PROCTOUT is left \
                            over from an earlier check, ignore it"
            .to_owned(),
        Outcome::NoFork => "HAProxy may not start it: insecure-fork-wanted is missing".to_owned(),
        _ => "the command could not be run".to_owned(),
    }
}

/// Whether checks run in HAProxy's chroot and as its user: only root can do that.
fn is_exact(jail: &Jail) -> bool {
    geteuid().is_root() || (!jail.is_chroot() && jail.user.uid == geteuid().as_raw())
}

/// Refuses what cannot be done here.
///
/// # Errors
/// There is no `/proc`.
pub(super) fn possible() -> Result<()> {
    match Path::new(as_haproxy::OWN_PROGRAM).exists() {
        true => Ok(()),
        false => Err(refusal(
            "--run",
            "needs /proc, which is not mounted here",
            "mount it, or leave --run out",
        )),
    }
}

/// Runs the checks, several at a time; in their order. A server that is disabled isn't checked.
pub(super) fn all(visit: &Visit) -> Runs {
    let jobs = || {
        let active = visit.active();
        active.filter(|watch| !watch.server.settings.has("disabled"))
    };
    let (jobs, unresolved): (Vec<&Watch>, Vec<&Watch>) =
        jobs().partition(|watch| watch.server.endpoint.name().is_none() || has_address(watch));
    let jobs = || jobs.iter().copied();
    let external = jobs().filter(|watch| matches!(watch.check, Check::External(_)));
    // Without the address of serve, HAProxy asks the server itself.
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
                // No thread is left for it: it runs on this one.
                Err(_) => Some(one(watch, visit)),
            };
            started.into_iter().filter_map(finish).collect::<Vec<_>>()
        }));
    }
    let exact = is_exact(visit.jail);
    let checks = jobs.iter().filter_map(|watch| match &watch.check {
        Check::External(check) => Some(check),
        _ => None,
    });
    Runs {
        exact,
        limits: limits(&checks.collect::<Vec<_>>(), exact, &unresolved),
        checks: done,
    }
}

/// Whether this host knows an address for the server's name.
fn has_address(watch: &Watch) -> bool {
    let (address, _) = watch.server.address();
    address.parse::<IpAddr>().is_ok()
}

/// In what these runs may differ from HAProxy's.
fn limits(checks: &[&ExternalCheck], exact: bool, unresolved: &[&Watch]) -> Vec<String> {
    let mut limits: Vec<String> = unresolved.iter().map(|watch| not_run(watch)).collect();
    if !exact {
        limits.push(
            "Run by this user and outside the chroot: only root can run checks exactly as HAProxy \
             does."
                .to_owned(),
        );
    }
    limits.push(
        "Run outside the limits of HAProxy's unit or container, such as LimitNPROC, seccomp and \
         memory."
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
            None => "HAProxy may still use the address from its start".to_owned(),
        };
        limits.push(format!(
            "Names were resolved just now, by this host's resolver; {haproxy}."
        ));
    }
    limits
}

/// HAProxy runs no check of a server without an address, so doctor doesn't either.
fn not_run(watch: &Watch) -> String {
    let name = watch.server.endpoint.name().unwrap_or_default();
    let unless = match watch.server.settings.get("resolvers") {
        Some(resolvers) => format!(
            ", unless its section `resolvers {}` knows an address",
            resolvers.value
        ),
        None => String::new(),
    };
    format!(
        "{} was not run: this host knows no address for {name}. HAProxy then shows MAINT (resolution) and \
         runs no check{unless}.",
        watch.name()
    )
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
            let ours = is_ours(check);
            (outcome, meaning(outcome, ours), said, ours)
        }
        _ => (Outcome::NotRun, String::new(), String::new(), false),
    };
    let time = start.elapsed();
    let diagnose = (ours && outcome.has_cause()).then(|| by_hand::diagnose(watch, visit.call));
    Ran {
        backend: watch.backend.name.clone(),
        server: watch.server.name.clone(),
        outcome,
        meaning,
        said,
        diagnose: diagnose.flatten(),
        time,
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
    // With --verbose, details follow the line of a check.
    let mut lines = written.lines().filter(|line| !line.trim().is_empty());
    let said = lines.clone().find(|line| line.starts_with("DOWN "));
    let said = said.or_else(|| lines.next_back());
    Ok((outcome, said.unwrap_or_default().to_owned()))
}
