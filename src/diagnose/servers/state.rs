//! The state of each server: what a running HAProxy shows, or else the result of one check by HAProxy or
//! sni-check.

use std::io;

use crate::causes::facts::Way;
use crate::code::{Code, Layer};
use crate::diagnose::ask::{Block, Kind, Opinion, missed_serve};
use crate::diagnose::change::diff::Hunk;
use crate::diagnose::change::{Change, is_command};
use crate::diagnose::report::Report;
use crate::diagnose::trials::Search;
use crate::doctor::survey::{CheckKind, Meant, Remark, Survey, Surveyed};
use crate::haproxy::agent::Effect;
use crate::haproxy::ask::{Answer, Answered, Visited};
use crate::haproxy::config::backend_lines::Rule;
use crate::haproxy::statistics::{self, Shown};
use crate::options::Options;

/// Everything known about a server.
pub(super) struct Subject<'a> {
    pub surveyed: &'a Surveyed,
    pub shown: Option<&'a Shown>,
    pub state: State,
    /// The answer of the server's agent, if this answer takes the server out of service.
    pub agent: Option<(String, Effect)>,
    /// True if the server needs a diagnosis.
    pub is_wanted: bool,
    /// The diagnosis, or why the server wasn't diagnosed.
    pub diagnosis: Result<Diagnosis, String>,
    /// The change to haproxy.cfg that helps.
    pub change: Option<TriedChange>,
    /// A change that isn't enough for HAProxy, although sni-check's check or HAProxy's check gets further
    /// with it.
    pub failed: Option<TriedChange>,
    /// A change that helps this server, but that another server can't use.
    pub conflict: Option<Conflict>,
    /// The error that visitors get, if the check is UP with the present lines.
    pub visitor: Option<Visited>,
    /// The diagnosis of the address of visitors' connections, if the check connects to a different address
    /// and gets no response.
    pub at_visitors: Option<Diagnosis>,
    /// True if the server answers in plain HTTP, so changes to TLS words can't help.
    pub speaks_plain_http: bool,
    /// HAProxy's answer about the present lines. `None` if HAProxy hasn't tried them.
    pub present: Option<Block>,
}

/// A change to a line that two servers share. One of the servers can't use the change.
pub(super) struct Conflict {
    /// The change in a few words.
    pub words: String,
    /// The name of the server that can't use the change.
    pub other: String,
    /// True if the shared line is a `default-server` line.
    pub is_inherited: bool,
    pub why: Contradiction,
}

/// Why another server can't use a change of a shared line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Contradiction {
    /// The other server is DOWN, too, and needs different words in the same line.
    OtherWords,
    /// The check of the other server is UP with the present line, and DOWN with the change.
    Down,
    /// The other server is UP with the present kind of check, and the change replaces this kind.
    OtherCheck,
    /// Visitors of the other server get an error only with the change.
    FailsVisitors,
}

/// The facts that diagnose has found out about a server, and HAProxy's answers.
pub(super) struct Diagnosis {
    pub search: Search,
    pub opinion: Opinion,
}

/// A change to haproxy.cfg, and the result of trying it in HAProxy.
#[derive(Clone)]
pub(super) struct TriedChange {
    /// The change in a few words.
    pub words: String,
    pub hunks: Vec<Hunk>,
    /// Why the change helps, if the causes in the report don't explain it.
    pub reason: Option<String>,
    /// The version of the HAProxy that tried the change.
    pub version: Option<String>,
    pub block: Block,
    /// The change itself. It doesn't include a line that `settings` changes.
    pub change: Change,
}

/// The state of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Down,
    /// NOLB: the check got a 404, and `http-check disable-on-404` keeps new visitors away.
    Draining,
    /// DRAIN: `weight 0`, the agent of `agent-check`, or someone on the stats socket keeps new visitors away.
    Drained,
    /// MAINT, because the server has no address.
    Unresolved,
    /// MAINT for another reason.
    Maintenance,
    /// HAProxy doesn't check the server, or hasn't finished a check yet.
    Unchecked,
    /// No running HAProxy shows the server, and no check has shown its state.
    Unknown,
}

impl State {
    /// Returns the state in one word.
    pub fn word(self) -> &'static str {
        match self {
            State::Up => "UP",
            State::Down => "DOWN",
            State::Draining => "NOLB",
            State::Drained => "DRAIN",
            State::Unresolved | State::Maintenance => "MAINT",
            State::Unchecked => "no check",
            State::Unknown => "unknown",
        }
    }

    /// Returns the number of servers in this state.
    pub fn count(self, subjects: &[Subject<'_>]) -> usize {
        let subjects = subjects.iter();
        subjects.filter(|subject| subject.state == self).count()
    }
}

/// The statistics of the running HAProxy, or why sni-check couldn't read them.
pub(super) struct Statistics {
    /// The `stats socket` that answered.
    pub socket: Option<String>,
    pub servers: Vec<Shown>,
    pub error: Option<String>,
}

impl Statistics {
    /// Reads the statistics from the first `stats socket` that answers.
    pub fn read(survey: &Survey) -> Statistics {
        let mut errors = Vec::new();
        for socket in &survey.sockets {
            match statistics::read(socket) {
                Ok(servers) => {
                    return Statistics {
                        socket: Some(socket.clone()),
                        servers,
                        error: None,
                    };
                }
                Err(error) => errors.push(format!("`stats socket {socket}`: {}", reason(&error))),
            }
        }
        let error = match errors.is_empty() {
            true => "the configuration has no `stats socket`".to_owned(),
            false => errors.join("; "),
        };
        Statistics {
            socket: None,
            servers: Vec::new(),
            error: Some(error),
        }
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "this user isn't allowed to read it; run diagnose as root".to_owned()
        }
        io::ErrorKind::NotFound => {
            "it does not exist: HAProxy is not running, or runs elsewhere".to_owned()
        }
        io::ErrorKind::ConnectionRefused => "nothing listens: HAProxy is not running".to_owned(),
        io::ErrorKind::InvalidData => "it does not answer with statistics".to_owned(),
        io::ErrorKind::Unsupported => {
            "sni-check can read statistics only from a unix socket or HOST:PORT".to_owned()
        }
        _ => error.to_string(),
    }
}

impl<'a> Subject<'a> {
    /// Returns a server of which nothing is known but its lines.
    pub fn new(surveyed: &'a Surveyed) -> Subject<'a> {
        Subject {
            surveyed,
            shown: None,
            agent: None,
            state: State::Unknown,
            is_wanted: false,
            diagnosis: Err("not diagnosed".to_owned()),
            change: None,
            failed: None,
            conflict: None,
            visitor: None,
            at_visitors: None,
            speaks_plain_http: false,
            present: None,
        }
    }
}

impl Subject<'_> {
    /// Returns HAProxy's answer about the lines of haproxy.cfg after a change, as a block.
    pub fn block(&self, answered: Option<&Answered<usize>>, change: &Change) -> Block {
        // Without `sni-check serve`, HAProxy's answer says nothing about the change.
        let is_without_serve = |answered: &Answered<usize>| match &answered.answer {
            Answer::Checked(checked) => missed_serve(checked),
            _ => false,
        };
        let is_served = self.surveyed.kind == CheckKind::Served;
        let answered = answered.filter(|answered| !(is_served && is_without_serve(answered)));
        let visitor = answered.and_then(|answered| answered.visitor);
        let tried = answered.map(|answered| answered.answer.clone());
        Block {
            kind: Kind::Builtin,
            way: Way::Https,
            text: String::new(),
            // If the lines have no check, only the visitor's response counts.
            tried: tried.filter(|answer| *answer != Answer::None || visitor.is_none()),
            visitor,
            serves: visitor.is_none_or(|visitor| self.is_served(visitor, change)),
        }
    }

    /// Returns the report about a diagnosis of this server. If HAProxy's check gets further after a change
    /// moves it to the address of visitors' connections, the report names the causes of sni-check's failure
    /// at that address. The report names no cause if nothing explains the failure of HAProxy's check, if only
    /// TLS is missing on the server line, if only sni-check's check fails, or if HAProxy's tcp-check fails after
    /// the handshake.
    pub fn report<'d>(&'d self, diagnosis: &'d Diagnosis) -> Report<'d> {
        let is_without_cause = self.is_unexplained()
            || self.lacks_only_tls()
            || self.is_up_only_in_haproxy()
            || self.failed_step().is_some();
        let report =
            |diagnosis: &'d Diagnosis| Report::of_server(&diagnosis.search, &diagnosis.opinion);
        let partial = self.partial();
        let is_moved = partial.is_some_and(|partial| partial.change.is_move());
        let there = self.at_visitors.as_ref().filter(|there| {
            let fails = there.search.asked.failure().is_some();
            is_moved && fails
        });
        let here = report(diagnosis);
        match there.map(report) {
            Some(there) => Report {
                why: here.why,
                steps: here.steps,
                ..there
            },
            None if is_without_cause => Report {
                findings: Vec::new(),
                place: None,
                fix: None,
                ..here
            },
            None => here,
        }
    }

    /// Returns true if the server's state is the one that its agent has asked for.
    pub fn is_as_agent_says(&self) -> bool {
        let is_by_agent = self.shown.is_some_and(|it| it.status.contains("(agent)"));
        self.agent.as_ref().is_some_and(|(_, effect)| match effect {
            Effect::Down => self.state == State::Down && is_by_agent,
            Effect::Maintenance => self.state == State::Maintenance,
            Effect::Drain => self.state == State::Drained,
        })
    }

    /// Returns HAProxy's word for the result of its check. The word comes from the statistics, or else from
    /// the trial of the present lines.
    pub fn haproxy_word(&self) -> Option<&str> {
        let tried = self
            .present
            .as_ref()
            .and_then(|present| present.tried.as_ref());
        match (self.shown, tried) {
            (Some(shown), _) => Some(&shown.check),
            (None, Some(Answer::Checked(checked))) => Some(&checked.status),
            _ => None,
        }
    }

    /// Returns true if HAProxy runs a program for the check that doctor doesn't know to be sni-check.
    pub fn runs_unknown_program(&self) -> bool {
        let mut rules = self.surveyed.lines.rules.iter();
        self.surveyed.kind == CheckKind::Other && rules.any(|rule| is_command(&rule.words))
    }

    /// Returns true if neither sni-check nor HAProxy has judged the server.
    fn is_unjudged(&self) -> bool {
        let is_known = self.shown.is_some() || self.present.is_some();
        !is_known && !matches!(self.state, State::Up | State::Down)
    }

    /// Returns true if HAProxy sends visitors to the server without any check.
    pub fn has_no_check(&self) -> bool {
        let surveyed = self.surveyed;
        self.state == State::Unchecked && !surveyed.is_checked && surveyed.tracks.is_none()
    }

    /// Returns true if HAProxy's check is UP with the present lines, and a visitor is served. Returns `None`
    /// if HAProxy hasn't tried these lines.
    pub fn works_in_haproxy(&self) -> Option<bool> {
        self.present.as_ref().map(Block::is_up)
    }

    /// Returns the result of HAProxy's check with the present lines, if this check fails and no running
    /// HAProxy shows a result.
    pub fn failed_now(&self) -> Option<(&str, &str)> {
        let Answer::Checked(checked) = self.present.as_ref()?.tried.as_ref()? else {
            return None;
        };
        let is_failed = self.shown.is_none() && !checked.up;
        is_failed.then_some((&checked.status, &checked.code))
    }

    /// Returns what sni-check's checks have found. Returns `None` without a diagnosis.
    pub fn search(&self) -> Option<&Search> {
        let diagnosis = self.diagnosis.as_ref().ok()?;
        Some(&diagnosis.search)
    }

    /// Returns what sni-check's checks have found at the address to which the check connects after the
    /// change.
    pub fn search_of(&self, change: &Change) -> Option<&Search> {
        let there = self.at_visitors.as_ref().filter(|_| change.is_move());
        there.map(|there| &there.search).or(self.search())
    }

    /// Returns the layer at which sni-check's check fails, or `None` if the check succeeds. Without a
    /// diagnosis, returns the layer at which HAProxy's last check failed.
    pub fn layer(&self) -> Option<Layer> {
        match self.search().map(Search::best) {
            Some(best) => best.failure().map(|_| best.code().layer()),
            None => self.layer_in_haproxy(),
        }
    }

    /// Returns the layer at which the last check of the running HAProxy failed.
    pub fn layer_in_haproxy(&self) -> Option<Layer> {
        let shown = self.shown.filter(|_| self.state != State::Up);
        shown.map(|shown| code_of(shown).layer())
    }

    /// Returns true if the check fails before its request: at the connection, in the handshake, or because of
    /// the certificate.
    pub fn is_unanswered(&self) -> bool {
        let layers = [Layer::Connection, Layer::Tls, Layer::Certificate];
        self.layer().is_some_and(|layer| layers.contains(&layer))
    }

    /// Returns the check that the operator meant, if it differs from the written check. Returns `None` if the
    /// server is UP, because the written check is then right.
    pub fn meant(&self) -> Option<&Meant> {
        let meant = self.surveyed.meant.as_deref();
        meant.filter(|_| self.state != State::Up)
    }

    /// Returns true if the written check connects without TLS, but the server answers in TLS.
    pub fn lacks_tls(&self) -> bool {
        self.diagnosis.is_ok() && self.meant().is_some_and(|meant| meant.is_plain)
    }

    /// Returns the mistakes that prevent HAProxy from starting the program of the external check. The list is
    /// empty if the server is UP.
    pub fn obstacles(&self) -> &[Remark] {
        match self.state {
            State::Up => &[],
            _ => &self.surveyed.obstacles,
        }
    }

    /// Returns the `external-check command` that HAProxy runs instead of sni-check, if the statistics show an
    /// exit code that doesn't come from a check by sni-check.
    pub fn other_command(&self) -> Option<&Rule> {
        /// The code of an internal error, and the codes of a shell and of HAProxy for a program that doesn't
        /// start.
        const FOREIGN: [&str; 4] = ["1", "126", "127", "255"];
        let shown = self.shown.filter(|shown| shown.check == "PROCERR")?;
        let is_external = self.surveyed.kind == CheckKind::External;
        let rules = self.surveyed.lines.rules.iter();
        let mut commands = rules.filter(|rule| is_command(&rule.words));
        commands.next_back().filter(|rule| {
            let is_ours = rule.words[2].ends_with("sni-check");
            is_external && !is_ours && FOREIGN.contains(&shown.code.as_str())
        })
    }

    /// Returns the options of the check in haproxy.cfg. Returns `None` without a diagnosis.
    pub fn written(&self) -> Option<&Options> {
        let search = self.search()?;
        let meant = self.meant();
        Some(meant.map_or(&search.asked.options, |meant| &meant.written))
    }

    /// Records HAProxy's answer about the present lines. Returns true if no line needs to change.
    pub fn is_fine_with(&mut self, present: &Block) -> bool {
        self.visitor = present.visitor.filter(|_| present.fails_visitors());
        // Without statistics, HAProxy's answer about the present lines is the best evidence.
        let is_own = self.surveyed.kind == CheckKind::Own
            && self.surveyed.is_checked
            && !self.surveyed.is_always_down();
        let judged = |is_up: bool| match is_up {
            true => State::Up,
            false => State::Down,
        };
        let answer = present.tried.as_ref().map(Answer::is_up);
        if let Some(is_up) = answer.filter(|_| self.shown.is_none() && is_own) {
            self.state = judged(is_up);
        }
        let is_tried = present.is_tried();
        self.present = is_tried.then(|| present.clone());
        let is_meant = self.meant().is_some();
        if is_meant && is_tried && self.state == State::Unknown {
            self.state = judged(answer != Some(false));
        }
        let is_made = !is_meant && self.other_command().is_none();
        let passes = self.search().is_some_and(|search| {
            search.changed.is_none() && search.asked.failure().is_none() && is_made
        });
        let is_up = present.is_up() || self.state != State::Down;
        let passes = passes || self.is_up_only_in_haproxy() || self.is_up_without_tls();
        passes && is_up && !self.has_failed_visitor()
    }

    /// Returns doctor's finding about a mistake that keeps a check by `sni-check serve` DOWN, whatever the
    /// server does.
    pub fn obstacle(&self) -> Option<&Remark> {
        self.surveyed.obstacle()
    }

    /// If visitors are served with the chosen change, records this as evidence about the causes.
    pub fn adopt_visitors(&mut self) {
        let (Ok(Diagnosis { search, .. }), Some(tried)) = (&mut self.diagnosis, &self.change)
        else {
            return;
        };
        if !tried.block.is_up() || tried.block.visitor.is_none() {
            return;
        }
        search.serves_visitors();
        // With the change, visitors' connections send the same SNI name as the check.
        let name = tried.change.sni();
        if let Some(visitor) = self.visitor.filter(|_| name.is_some())
            && name == search.asked.sni()
        {
            search.serves_no_visitor(visitor.status);
        }
    }

    /// Returns true if visitors get an error although the check is UP.
    pub fn has_failed_visitor(&self) -> bool {
        self.visitor.is_some()
    }

    /// If the statistics don't show the state, sets the state to the result of HAProxy's own check. If the
    /// check can't succeed, the server is DOWN.
    pub fn adopt_own_check(&mut self) {
        if self.state == State::Unknown && self.surveyed.is_always_down() {
            self.state = State::Down;
        }
        if let Ok(diagnosis) = &self.diagnosis
            && self.state == State::Unknown
            && self.surveyed.kind == CheckKind::Own
            && self.surveyed.meant.is_none()
            // HAProxy verified the certificate in its trial, so HAProxy's answer doesn't count for a check
            // with `verify none`.
            && diagnosis.search.asked.plan.tls.verification.is_some()
        {
            self.state = match diagnosis.search.asked.own_check_is_up() {
                Some(true) => State::Up,
                Some(false) => State::Down,
                None => State::Unknown,
            };
        }
    }

    /// Returns the code of sni-check's check of the server. If only HAProxy has checked the server, returns
    /// the code closest to HAProxy's words. Returns `Code::Refused` if the check can't run.
    pub fn code(&self) -> Code {
        let is_ours = self.surveyed.kind == CheckKind::External;
        let lacks_variables = !self.surveyed.unset.is_empty();
        let is_refused = self.meant().is_some() && is_ours;
        let own = match (&self.diagnosis, self.surveyed.call.is_err()) {
            (Ok(_), _) if is_refused => Code::Refused,
            (Ok(_), _) if self.is_up_only_in_haproxy() => Code::Healthy,
            (Ok(_), _) if self.lacks_only_tls() => {
                let code = self.haproxy_word().and_then(Code::of_haproxy_word);
                code.unwrap_or(Code::Healthy)
            }
            (Ok(diagnosis), _) if self.fails_later().is_some() => {
                match diagnosis.search.best().code() {
                    Code::CertificateForOtherName => Code::Healthy,
                    code => code,
                }
            }
            (Err(_), _) if !self.obstacles().is_empty() => Code::Refused,
            (Ok(diagnosis), _) => diagnosis.search.asked.code(),
            (Err(_), true) if lacks_variables && self.shown.is_none() => Code::Refused,
            (Err(_), true) if is_ours && !lacks_variables => Code::Refused,
            // sni-check can't run the check, and HAProxy has neither shown a result nor tried the lines.
            (Err(_), _) if self.is_wanted && self.is_unjudged() => Code::Refused,
            _ => Code::Healthy,
        };
        match (own, self.shown) {
            (Code::Healthy, Some(shown)) if self.state == State::Down => code_of(shown),
            (Code::Healthy, None)
                if self.obstacle().is_some() || !self.surveyed.refused.is_empty() =>
            {
                Code::Refused
            }
            (Code::Healthy, None) if self.surveyed.waits_without_request => Code::ResponseTimeout,
            (Code::Healthy, None) if self.state == State::Down => {
                self.failed_now().map_or(Code::Status, code_of_check)
            }
            (code, _) => code,
        }
    }
}

/// Returns the code closest to HAProxy's words.
pub(super) fn code_of(shown: &Shown) -> Code {
    code_of_check((&shown.check, &shown.code))
}

fn code_of_check((status, code): (&str, &str)) -> Code {
    let code = match status {
        "PROCERR" | "PROCOK" => code.parse().ok().and_then(Code::from_number),
        status => Code::of_haproxy_word(status),
    };
    let code = code.filter(|code| *code != Code::Healthy);
    // Some of HAProxy's words have no code. An example is HANA, with which `observe` sets a server DOWN.
    code.unwrap_or(Code::Status)
}
