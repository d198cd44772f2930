//! The results of the checks that doctor ran.

use std::time::Duration;

use crate::code::{Code, Layer};

/// The checks that were run.
#[derive(Debug)]
pub(super) struct Runs {
    /// True if they ran in HAProxy's chroot and as its user.
    pub exact: bool,
    /// How these runs may differ from HAProxy's, in sentences.
    pub limits: Vec<String>,
    pub checks: Vec<Ran>,
}

impl Runs {
    /// Returns true if a check ran, or if a limit applies besides the one that every run has.
    pub(super) fn has_news(&self) -> bool {
        !self.checks.is_empty() || self.limits.len() > 1
    }

    /// Returns the checks that don't report a healthy server.
    pub(super) fn failed(&self) -> impl Iterator<Item = &Ran> {
        self.checks.iter().filter(|ran| !ran.outcome.is_up())
    }
}

/// A check that was run.
#[derive(Debug)]
pub(super) struct Ran {
    pub backend: String,
    pub server: String,
    pub outcome: Outcome,
    pub meaning: String,
    /// The line that the check wrote: its DOWN line, or else the last line. May be empty.
    pub said: String,
    /// The command that finds out why the check failed.
    pub diagnose: Option<String>,
    pub time: Duration,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The program exited with this code.
    Code(u8),
    /// The program can't be started; HAProxy shows 255.
    NotRun,
    /// This signal ended the program.
    Signal(i32),
    /// The program took too long; HAProxy would kill it.
    Killed,
    /// `sni-check serve` answered with this code.
    Served {
        code: u8,
        /// A rule makes HAProxy show the code; otherwise it shows the status of the response.
        shown: bool,
    },
    /// `sni-check serve` did not answer in time.
    ServeLate,
    /// Nothing answers at the address of `sni-check serve`.
    NoServe {
        /// HAProxy shows different statuses for a unix socket and for a port.
        unix: bool,
    },
    /// Another program answers at that address.
    NotServe,
    /// HAProxy can't start programs, because `insecure-fork-wanted` is missing.
    NoFork,
}

impl Outcome {
    /// Returns `check_status` in HAProxy's statistics.
    pub(super) fn status(self) -> &'static str {
        match self {
            Outcome::Code(0) => "PROCOK",
            Outcome::Served { code: 0, .. } => "L7OK",
            Outcome::Served { .. } => "L7STS",
            Outcome::ServeLate => "L7TOUT",
            Outcome::Killed => "PROCTOUT",
            Outcome::NoFork | Outcome::NoServe { unix: true } => "SOCKERR",
            Outcome::NoServe { unix: false } => "L4CON",
            Outcome::NotServe => "L7RSP",
            _ => "PROCERR",
        }
    }

    /// Returns `check_code` in HAProxy's statistics. A killed check has no code.
    pub(super) fn code(self) -> Option<u32> {
        match self {
            Outcome::Served {
                code: 0,
                shown: false,
            } => Some(200),
            Outcome::Served { shown: false, .. } => Some(503),
            Outcome::Code(code) | Outcome::Served { code, .. } => Some(code.into()),
            Outcome::NotRun => Some(255),
            Outcome::Signal(_) => Some(u32::MAX),
            _ => None,
        }
    }

    /// Returns true if the check reports a healthy server.
    pub(super) fn is_up(self) -> bool {
        matches!(self, Outcome::Code(0) | Outcome::Served { code: 0, .. })
    }

    /// Returns true if diagnosing the server can explain the failure.
    pub(super) fn has_cause(self) -> bool {
        let at_server = |code: Code| code.layer() > Layer::Call;
        let failed = self.own_code().filter(|_| !self.is_up());
        self == Outcome::Killed || failed.is_some_and(at_server)
    }

    /// Returns the code as sni-check defines it. Another program may mean something else by it.
    pub(super) fn own_code(self) -> Option<Code> {
        match self {
            Outcome::Code(code) | Outcome::Served { code, .. } => Code::from_number(code),
            _ => None,
        }
    }
}
