//! `--run`: each check as HAProxy would run it, and what HAProxy would show for it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, kill_process, pidfd_open};

use crate::code::Code;

use super::as_haproxy;
use super::check::ExternalCheck;
use super::jail::Jail;
use super::judge;

/// How many checks run at a time.
const AT_ONCE: usize = 16;
/// How long a check that HAProxy would have killed may take to end.
const GRACE: Duration = Duration::from_secs(1);

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ended with this code.
    Code(u8),
    /// It could not be started; HAProxy shows 255.
    NotRun,
    /// It was ended by this signal.
    Signal(i32),
    /// HAProxy would have killed it.
    Killed,
    /// HAProxy may not start any: `insecure-fork-wanted` is missing.
    NoFork,
}

/// A check that was run.
#[derive(Debug)]
pub(super) struct Ran {
    pub backend: String,
    pub server: String,
    pub outcome: Outcome,
    pub meaning: String,
    pub time: Duration,
}

impl Outcome {
    /// `check_status` in HAProxy's statistics.
    pub(super) fn status(self) -> &'static str {
        match self {
            Outcome::Code(0) => "PROCOK",
            Outcome::Killed => "PROCTOUT",
            Outcome::NoFork => "SOCKERR",
            _ => "PROCERR",
        }
    }

    /// `check_code` in HAProxy's statistics; a killed check has none.
    pub(super) fn code(self) -> Option<u32> {
        match self {
            Outcome::Code(code) => Some(code.into()),
            Outcome::NotRun => Some(255),
            Outcome::Signal(_) => Some(u32::MAX),
            Outcome::Killed | Outcome::NoFork => None,
        }
    }

    /// In words; a code means this only if the command is sni-check.
    pub(super) fn meaning(self, ours: bool) -> String {
        match self {
            Outcome::Code(code) => match Code::from_number(code).filter(|_| ours) {
                Some(code) => code.meaning().to_owned(),
                None => format!("the command's own code {code}"),
            },
            Outcome::NotRun => "the command could not be run".to_owned(),
            Outcome::Signal(signal) => format!("ended by signal {signal}"),
            Outcome::Killed => "took too long, HAProxy kills it".to_owned(),
            Outcome::NoFork => {
                "HAProxy may not start it: insecure-fork-wanted is missing".to_owned()
            }
        }
    }
}

/// Whether checks run in HAProxy's chroot and as its user: only root can do that.
pub(super) fn is_exact(jail: &Jail) -> bool {
    geteuid().is_root() || (!jail.is_chroot() && jail.user.uid == geteuid().as_raw())
}

/// Runs the checks, several at a time; in their order.
pub(super) fn all(checks: &[ExternalCheck], jail: &Jail, can_fork: bool) -> Vec<Ran> {
    let mut done = Vec::with_capacity(checks.len());
    for some in checks.chunks(AT_ONCE) {
        let ran = thread::scope(|scope| {
            let threads: Vec<_> = some
                .iter()
                .map(|check| scope.spawn(|| one(check, jail, can_fork)))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.filter_map(Result::ok).collect::<Vec<_>>()
        });
        done.extend(ran);
    }
    done
}

fn one(check: &ExternalCheck, jail: &Jail, can_fork: bool) -> Ran {
    let start = Instant::now();
    let outcome = match can_fork {
        true => outcome(check, jail).unwrap_or(Outcome::NotRun),
        false => Outcome::NoFork,
    };
    let time = start.elapsed();
    Ran {
        backend: check.backend.name.clone(),
        server: check.server.name.clone(),
        meaning: outcome.meaning(judge::is_ours(check)),
        outcome,
        time,
    }
}

fn outcome(check: &ExternalCheck, jail: &Jail) -> io::Result<Outcome> {
    // This very program, even if its file was replaced meanwhile.
    let mut child = Command::new("/proc/self/exe")
        .args(as_haproxy::words(check, jail, geteuid().is_root()))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(status) = wait(&mut child, check.limit.time)? {
        return Ok(match (status.code(), status.signal()) {
            (Some(255), _) => Outcome::NotRun,
            (Some(code), _) => Outcome::Code(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, signal) => Outcome::Signal(signal.unwrap_or_default()),
        });
    }
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM)?;
    if wait(&mut child, GRACE)?.is_none() {
        child.kill()?;
        child.wait()?;
    }
    Ok(Outcome::Killed)
}

/// Waits until a child ends, but no longer than this.
fn wait(child: &mut Child, longest: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + longest;
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let left = Timespec::try_from(left).ok();
        // An interrupted wait starts again.
        _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], left.as_ref());
    }
}
