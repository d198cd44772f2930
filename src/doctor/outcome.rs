//! What came of the checks that doctor ran.

use std::time::Duration;

use crate::code::{Code, Layer};

/// The checks that were run.
#[derive(Debug)]
pub(super) struct Runs {
    /// Whether they ran in HAProxy's chroot and as its user.
    pub exact: bool,
    /// In what they may differ from HAProxy's.
    pub limits: Vec<String>,
    pub checks: Vec<Ran>,
}

impl Runs {
    /// Whether there is more to say than what holds for every run.
    pub(super) fn has_news(&self) -> bool {
        !self.checks.is_empty() || self.limits.len() > 1
    }

    /// Those that do not say that their server is healthy.
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
    /// The line that it wrote, of several the last; may be empty.
    pub said: String,
    /// What to call to find out why it failed.
    pub diagnose: Option<String>,
    pub time: Duration,
}

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
    /// `sni-check serve` answered with this code.
    Served {
        code: u8,
        /// A rule makes HAProxy show the code; otherwise it shows the status of the response.
        shown: bool,
    },
    /// `sni-check serve` did not answer in time.
    ServeLate,
    /// Nobody answers at the socket of `sni-check serve`.
    NoServe {
        /// HAProxy shows another status for a unix socket than for a port.
        unix: bool,
    },
    /// What answers there is something else.
    NotServe,
    /// HAProxy may not start any: `insecure-fork-wanted` is missing.
    NoFork,
}

impl Outcome {
    /// `check_status` in HAProxy's statistics.
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

    /// `check_code` in HAProxy's statistics; a killed check has none.
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

    /// Whether it says that the server is healthy.
    pub(super) fn is_up(self) -> bool {
        matches!(self, Outcome::Code(0) | Outcome::Served { code: 0, .. })
    }

    /// Whether a look at the server can tell why it is not healthy.
    pub(super) fn has_cause(self) -> bool {
        let at_server = |code: Code| code.layer() > Layer::Call;
        let failed = self.own_code().filter(|_| !self.is_up());
        self == Outcome::Killed || failed.is_some_and(at_server)
    }

    /// The code of sni-check in it, which only sni-check itself gives this meaning.
    pub(super) fn own_code(self) -> Option<Code> {
        match self {
            Outcome::Code(code) | Outcome::Served { code, .. } => Code::from_number(code),
            _ => None,
        }
    }
}
