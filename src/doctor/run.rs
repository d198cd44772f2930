//! `--run`: each check as HAProxy would run it, and what HAProxy would show for it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::Result;
use rustix::process::geteuid;

use crate::code::Code;
use crate::haproxy::child::{Ended, signal};
use crate::refusal::refusal;

use super::as_haproxy;
use super::asked;
use super::by_hand;
use super::check::ExternalCheck;
use super::jail::Jail;
use super::judge;
use super::launch;
use super::outcome::{Outcome, Ran, Runs};
use super::served::Served;
use super::setup::Setup;
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::server_line::Server;

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

/// A check to run.
enum Job<'a> {
    External(&'a ExternalCheck<'a>),
    Served(&'a Served<'a>, &'a Server),
}

impl Job<'_> {
    fn run(&self, setup: Setup) -> Ran {
        match self {
            Job::External(check) => one(check, setup),
            Job::Served(served, server) => asked::one(served, server, setup.jail),
        }
    }
}

/// Runs the checks, several at a time; in their order.
pub(super) fn all(checks: &[ExternalCheck], setup: Setup) -> Runs {
    // What HAProxy refuses it does not run.
    let whole = |backend: &Backend| !backend.settings.is_broken();
    let backends = setup
        .config
        .backends
        .iter()
        .filter(|backend| whole(backend));
    let served: Vec<Served> = backends.filter_map(Served::of).collect();
    let checks: Vec<&ExternalCheck> = checks.iter().filter(|check| whole(check.backend)).collect();
    let mut jobs: Vec<Job> = checks.iter().map(|check| Job::External(check)).collect();
    for served in &served {
        let servers = served.backend.checked();
        jobs.extend(servers.map(|server| Job::Served(served, server)));
    }
    let mut done = Vec::with_capacity(jobs.len());
    for some in jobs.chunks(AT_ONCE) {
        done.extend(thread::scope(|scope| {
            let start = |job| {
                let thread = thread::Builder::new();
                (
                    job,
                    thread.spawn_scoped(scope, move || Job::run(job, setup)),
                )
            };
            let started: Vec<_> = some.iter().map(start).collect();
            let finish = |(job, thread): (&Job, io::Result<ScopedJoinHandle<Ran>>)| match thread {
                Ok(thread) => thread.join().ok(),
                // No thread is left for it: it runs on this one.
                Err(_) => Some(job.run(setup)),
            };
            started.into_iter().filter_map(finish).collect::<Vec<_>>()
        }));
    }
    let exact = is_exact(setup.jail);
    Runs {
        exact,
        limits: limits(&checks, exact),
        checks: done,
    }
}

/// In what these runs may differ from HAProxy's.
fn limits(checks: &[&ExternalCheck], exact: bool) -> Vec<String> {
    let mut limits = Vec::new();
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

fn one(check: &ExternalCheck, setup: Setup) -> Ran {
    let start = Instant::now();
    let (outcome, said) = match (launch::can_fork(setup), launch::is_empty_chroot(setup)) {
        (false, _) => (Outcome::NoFork, String::new()),
        (true, true) => (Outcome::NotRun, String::new()),
        (true, false) => outcome(check, setup.jail).unwrap_or((Outcome::NotRun, String::new())),
    };
    let time = start.elapsed();
    let ours = judge::is_ours(check);
    Ran {
        backend: check.backend.name.clone(),
        server: check.server.name.clone(),
        meaning: meaning(outcome, ours),
        diagnose: match ours && outcome.has_cause() {
            true => by_hand::of_external(check, setup.jail),
            false => None,
        },
        outcome,
        said,
        time,
    }
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
