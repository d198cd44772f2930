//! The results of the checks that doctor ran.

use std::time::Duration;

use crate::code::{Code, Layer};
use crate::doctor::finding::Effect;
use crate::doctor::visit::Watch;
use crate::haproxy::config::http_check::Request;

/// The results of `--run`.
#[derive(Debug)]
pub(crate) struct Runs {
    /// True if the checks ran in HAProxy's chroot and as its user.
    pub exact: bool,
    /// Sentences about how these runs may differ from HAProxy's, and about checks that didn't run.
    pub limits: Vec<String>,
    pub checks: Vec<Ran>,
    /// The servers that follow a checked server (`track`), each with the result of that server's check.
    pub followers: Vec<Ran>,
    /// How many servers have a name for which doctor found no address.
    pub unresolved: usize,
    /// How many other checks have no result, because doctor or HAProxy can't run them here.
    pub not_run: usize,
}

impl Runs {
    /// Returns true if a check ran, or if `limits` contains more than the one sentence that every run adds.
    pub(crate) fn has_news(&self) -> bool {
        !self.checks.is_empty() || self.limits.len() > 1
    }

    /// Returns true if no check ran, and if the reason isn't the servers' names.
    pub(crate) fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.unresolved == 0
    }

    /// Returns the checks that fail. A check that only keeps new visitors away (NOLB) doesn't count, because
    /// the configuration asks for this.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &Ran> {
        self.checks.iter().filter(|ran| ran.outcome.is_down())
    }
}

/// A visitor's request to a server through HAProxy, and its result.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// The method, the path and the Host. If the server accepts no connection, this is `connection to` and
    /// the address.
    pub request: String,
    /// False if the server accepts no connection, whatever visitors send.
    pub connects: bool,
    /// True if visitors certainly reach the server with such a request. False if doctor made up the path, or
    /// if a frontend sends only some requests to the backend.
    pub is_usual: bool,
    /// The status of the response. `None` if there was no response.
    pub status: Option<u16>,
    /// The status for `/`, if the request is for a different page.
    pub root: Option<u16>,
    /// True if the server sent the response. False if HAProxy sent it, or if there was no response.
    pub by_server: bool,
    /// The status that a visitor gets while HAProxy resumes the TLS session of its check for visitors. `None`
    /// if doctor didn't test this, or if the server doesn't serve the visitor then.
    pub resumed: Option<u16>,
}

/// A check and a visitor's request that contradict each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trap {
    /// `Down` or `Up`.
    pub effect: Effect,
    /// Why the contradiction may not exist for real visitors, or may be intended. `None` if it is certain.
    pub doubt: Option<Doubt>,
}

/// Why a contradiction isn't certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The check has its own expectations, so the contradiction may be intended.
    Expectation,
    /// The configuration doesn't say which Host visitors send, or a rule changes this Host for some visitors.
    Host,
    /// HAProxy may resume the check's TLS session for visitors. Their connections then use the check's SNI.
    Session,
    /// A line of the check is meant to keep new visitors away from the server.
    Drain,
    /// Visitors may send other requests: doctor asked only for the check's page and for `/`, or made up a
    /// path.
    Page,
}

impl Doubt {
    /// Returns the clause that explains the doubt.
    pub(crate) fn clause(self) -> &'static str {
        match self {
            Doubt::Expectation => {
                "this may be intended, because the check has its own expectations"
            }
            Doubt::Host => "the configuration doesn't say which Host reaches the server",
            Doubt::Session => {
                "before HAProxy 3.2, visitors may be served while HAProxy resumes the TLS session of its check, with \
                 the check's SNI"
            }
            Doubt::Page => "visitors' other requests may still work",
            Doubt::Drain => {
                "this may be intended, because of http-check disable-on-404 or ok-status"
            }
        }
    }
}

/// A change to HAProxy's own check, and the finding that a success with this change would prove.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    /// The ids of the findings that a success would prove. If doctor has no such finding, it adds a finding
    /// with the first id.
    pub ids: &'static [&'static str],
    pub what: String,
    pub write: String,
    /// The request that the check should send. `None` if the change isn't about the request.
    pub request: Option<Request>,
}

impl Visitor {
    /// Returns true if the visitor got a page.
    pub(crate) fn is_served(&self) -> bool {
        matches!(self.status, Some(200..=399))
    }

    /// Returns `gets 200` or `gets no response`, for example. Adds the status that visitors get while HAProxy
    /// resumes a TLS session, or else the status of `GET /` if it is different. Returns `fails` if the server
    /// accepts no connection.
    pub(crate) fn gets(&self) -> String {
        if !self.connects {
            return "fails".to_owned();
        }
        let status = match self.status {
            Some(status) => status.to_string(),
            None => "no response".to_owned(),
        };
        match (self.resumed, self.root) {
            (Some(resumed), _) => format!(
                "gets {resumed} while HAProxy resumes the TLS session of its check, otherwise {status}"
            ),
            (None, Some(root)) if self.root != self.status => {
                format!("gets {status}, and GET / {root}")
            }
            _ => format!("gets {status}"),
        }
    }
}

/// A server, and the result of the check that decides its state.
#[derive(Debug)]
pub(crate) struct Ran {
    pub backend: String,
    pub server: String,
    pub outcome: Outcome,
    pub meaning: String,
    /// What the check said. For an external check, this is its DOWN line, or else its last line. For serve,
    /// this is the reason. For HAProxy's own check, this is HAProxy's explanation. May be empty.
    pub said: String,
    /// The command that finds out why the check failed.
    pub diagnose: Option<String>,
    pub time: Duration,
    /// What a visitor gets from the server. `None` if doctor doesn't know what visitors send, or if the
    /// result proves nothing.
    pub visitor: Option<Visitor>,
    /// Set if the check and the visitor's request contradict each other.
    pub trap: Option<Trap>,
    /// The change that makes a failed check UP, if doctor found such a change.
    pub explained: Option<Trial>,
}

impl Ran {
    /// Returns an entry for this server with the outcome `NotRun`, as a base for other entries.
    pub(crate) fn new(watch: &Watch, time: Duration) -> Ran {
        Ran {
            backend: watch.backend.name.clone(),
            server: watch.server.name.clone(),
            outcome: Outcome::NotRun,
            meaning: String::new(),
            said: String::new(),
            diagnose: None,
            time,
            visitor: None,
            trap: None,
            explained: None,
        }
    }

    /// Returns true if visitors fail, as far as the run shows.
    pub(crate) fn visitors_fail(&self) -> bool {
        let is_served = |status: Option<u16>| matches!(status, Some(200..=399));
        let fails = |visitor: &Visitor| !visitor.is_served() && !is_served(visitor.root);
        let is_down_only = self.trap.is_some_and(|trap| trap.effect == Effect::Down);
        !is_down_only && self.visitor.as_ref().is_some_and(fails)
    }

    /// Returns true if this is the result for this server.
    pub(crate) fn is_of(&self, watch: &Watch) -> bool {
        self.backend == watch.backend.name && self.server == watch.server.name
    }
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The program exited with this code.
    Code(u8),
    /// HAProxy can't start the program, and shows 255.
    NotRun,
    /// This signal killed the program.
    Signal(i32),
    /// The program took too long, so HAProxy would kill it.
    Killed,
    /// `sni-check serve` answered with this code.
    Served {
        code: u8,
        /// `L7OK` if HAProxy's rules accept the answer, otherwise `L7STS` or `L7RSP`.
        status: &'static str,
        /// True if a rule makes HAProxy show the code. Otherwise, HAProxy shows the status of the response.
        shown: bool,
    },
    /// `sni-check serve` did not answer in time.
    ServeLate,
    /// Nothing answers at the address of `sni-check serve`.
    NoServe {
        /// True if the address is a unix socket, for which HAProxy shows a different status.
        unix: bool,
    },
    /// Another program answers at the address of `sni-check serve`.
    NotServe,
    /// HAProxy ran its own check.
    Own {
        up: bool,
        status: &'static str,
        code: Option<u32>,
    },
    /// HAProxy can't start programs, because `insecure-fork-wanted` is missing.
    NoFork,
}

/// The statuses that HAProxy shows for its own checks.
const OF_HAPROXY: [&str; 12] = [
    "SOCKERR", "L4OK", "L4CON", "L4TOUT", "L6OK", "L6RSP", "L6TOUT", "L7OK", "L7OKC", "L7STS",
    "L7TOUT", "L7RSP",
];

impl Outcome {
    /// Returns the outcome of HAProxy's own check, or `None` if the status is unknown.
    pub(crate) fn own(up: bool, status: &str, code: &str) -> Option<Outcome> {
        Some(Outcome::Own {
            up,
            status: OF_HAPROXY.into_iter().find(|known| *known == status)?,
            code: code.parse().ok(),
        })
    }

    /// Returns `check_status` in HAProxy's statistics.
    pub(crate) fn status(self) -> &'static str {
        match self {
            Outcome::Code(0) => "PROCOK",
            Outcome::Served { status, .. } | Outcome::Own { status, .. } => status,
            Outcome::ServeLate => "L7TOUT",
            Outcome::Killed => "PROCTOUT",
            Outcome::NoFork | Outcome::NoServe { unix: true } => "SOCKERR",
            Outcome::NoServe { unix: false } => "L4CON",
            Outcome::NotServe => "L7RSP",
            _ => "PROCERR",
        }
    }

    /// Returns `check_code` in HAProxy's statistics. Returns `None` if there is no code, for example for a
    /// killed check.
    pub(crate) fn code(self) -> Option<u32> {
        match self {
            Outcome::Served {
                code: 0,
                shown: false,
                ..
            } => Some(200),
            Outcome::Served { shown: false, .. } => Some(503),
            Outcome::Code(code) | Outcome::Served { code, .. } => Some(code.into()),
            Outcome::Own { code, .. } => code,
            Outcome::NotRun => Some(255),
            Outcome::Signal(_) => Some(u32::MAX),
            _ => None,
        }
    }

    /// Returns true if the check reports a healthy server.
    pub(crate) fn is_up(self) -> bool {
        matches!(
            self,
            Outcome::Code(0)
                | Outcome::Served { status: "L7OK", .. }
                | Outcome::Own { up: true, .. }
        )
    }

    /// Returns true if the check takes the server DOWN. A check that only keeps new visitors away (NOLB)
    /// isn't DOWN.
    pub(crate) fn is_down(self) -> bool {
        !self.is_up() && !self.is_drain()
    }

    /// Returns true if the server keeps its visitors, but gets no new visitors (NOLB).
    pub(crate) fn is_drain(self) -> bool {
        !self.is_up() && self.status() == "L7OKC"
    }

    /// Returns true if `foretold` is empty, or contains a text for this outcome of a check that is DOWN.
    /// `Finding::foretold` describes these texts.
    pub(crate) fn is_foretold(self, foretold: &[&str]) -> bool {
        let status = self.status();
        let own_code = match self {
            Outcome::Code(code) | Outcome::Served { code, .. } => Some(code.to_string()),
            _ => None,
        };
        let with_code = self.code().map(|code| format!("{status} {code}"));
        let shown = [Some(status.to_owned()), own_code, with_code];
        let mut shown = shown.iter().flatten();
        foretold.is_empty() || shown.any(|text| foretold.contains(&text.as_str()))
    }

    /// Returns true if the check isn't UP because of the status or the content of a response.
    pub(crate) fn judges_page(self) -> bool {
        match self {
            Outcome::Own { status, .. } => ["L7STS", "L7OKC"].contains(&status),
            _ => self
                .own_code()
                .is_some_and(|code| matches!(code, Code::Status | Code::Body | Code::Header)),
        }
    }

    /// Returns true if the check failed before it could ask the server: its program or serve didn't run, or
    /// refused the options.
    pub(crate) fn is_before_server(self) -> bool {
        let is_of_call = |code: Code| code.layer() == Layer::Call;
        matches!(
            self,
            Outcome::NotRun | Outcome::NoFork | Outcome::NoServe { .. } | Outcome::NotServe
        ) || (!self.is_up() && self.own_code().is_some_and(is_of_call))
    }

    /// Returns true if diagnosing the server can explain the failure.
    pub(crate) fn has_cause(self) -> bool {
        let at_server = |code: Code| code.layer() > Layer::Call;
        let failed = self.own_code().filter(|_| !self.is_up());
        self == Outcome::Killed || failed.is_some_and(at_server)
    }

    /// Returns the code of sni-check for this outcome. For HAProxy's own check, this is the code closest to
    /// HAProxy's status. If another program ran the check, its code may have a different meaning.
    pub(crate) fn own_code(self) -> Option<Code> {
        match self {
            Outcome::Code(code) | Outcome::Served { code, .. } => Code::from_number(code),
            Outcome::Own { up: true, .. } => Some(Code::Healthy),
            Outcome::Own { status, .. } => Code::of_haproxy_word(status),
            _ => None,
        }
    }
}
