//! The probing: the check itself, and variations of it that run beside each other.

use std::time::{Duration, Instant};

use super::answers::Answers;
use super::attempts::{Attempt, Plain, plain_http};
use super::beside::{Job, beside};
use super::handshakes::Handshakes;
use super::mixed::Mixed;
use super::progress::{Phase, Progress};
use super::remedy::Remedy;
use crate::code::{Code, Layer};
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::options::Options;
use crate::plan::Plan;
use crate::probe::connect::{self, Address};
use crate::probe::{self, Seen, Verdict};

/// How many addresses of a name are tried.
const ADDRESSES: usize = 8;

/// All that was found out.
pub(super) struct Evidence {
    /// The check, exactly as it would run.
    pub verdict: Verdict,
    /// How long resolving took.
    pub resolve: Duration,
    /// Each address that was tried, with the time to connect or why not; or why there is none.
    pub addresses: Result<Vec<(Address, Attempt)>, Failure>,
    /// How many more addresses there are.
    pub untried: usize,
    /// The address that all the rest is about: the first that answered.
    pub reached: Option<Address>,
    /// Handshakes, where something could be connected to.
    pub tls: Option<Handshakes>,
    /// Requests, where a handshake succeeded.
    pub answers: Option<Answers>,
    /// What answers without TLS, where no handshake succeeded.
    pub plain: Option<Plain>,
    /// Other options with which the check gets further.
    pub remedy: Option<Remedy>,
    /// What differs where the same question got different answers.
    pub mixed: Option<Mixed>,
    /// Whether the server answers something else to another Host, with the best options.
    pub host_matters: bool,
}

impl Evidence {
    pub fn gather(plan: &Plan, options: &Options, progress: &Progress) -> Evidence {
        progress.enter(Phase::Connecting);
        let start = Instant::now();
        let resolved = connect::addresses(&plan.target, Deadline::new(start, plan.timeout));
        let resolve = start.elapsed();
        let untried = resolved
            .as_ref()
            .map_or(0, |all| all.len().saturating_sub(ADDRESSES));
        let addresses = resolved.map(|all| connect_each(plan, all));
        let tried = addresses.as_ref().map_or(&[][..], Vec::as_slice);
        let mut answering = tried.iter().filter(|(_, attempt)| attempt.result.is_ok());
        let reached = answering.next().map(|(address, _)| address.clone());
        progress.enter(Phase::Handshakes);
        let mut evidence = Evidence {
            verdict: Verdict {
                result: Err(Failure::Internal("not tried".to_owned())),
                seen: Seen::default(),
            },
            resolve,
            addresses,
            untried,
            tls: None,
            answers: None,
            plain: None,
            remedy: None,
            mixed: None,
            host_matters: false,
            reached: reached.clone(),
        };
        let check: Job<'_> = Box::new(|| evidence.verdict = probe::run(plan, Instant::now()));
        let Some(address) = reached else {
            check();
            // What keeps all addresses from being reached may be an option.
            let first = evidence.addresses.iter().flatten().next();
            let first = first.map(|(address, _)| address.clone());
            evidence.remedy =
                first.and_then(|first| evidence.look_for_remedy(plan, options, &first));
            return evidence;
        };
        let tls = Handshakes::gather(plan, &address, vec![check]);
        progress.enter(Phase::Requests);
        // A peer that proves nothing gets no secrets.
        let untrusted = !tls.faults.is_empty() && plan.tls.verification.is_some();
        if tls.named.result.is_ok() {
            evidence.answers = Answers::gather(plan, &address, untrusted);
        }
        if !tls.any_succeeded() {
            evidence.plain = plain_http(plan, &address);
        }
        let (verdict, answers) = (&evidence.verdict, evidence.answers.as_ref());
        evidence.mixed = Mixed::find(plan, verdict, &tls, answers);
        evidence.tls = Some(tls);
        progress.enter(Phase::Remedies);
        evidence.remedy = evidence.look_for_remedy(plan, options, &address);
        evidence.host_matters = evidence.look_at_host(&address);
        evidence
    }

    /// Whether the server answers something else to another Host, with the best options.
    fn look_at_host(&self, address: &Address) -> bool {
        let matters = match (&self.remedy, &self.answers) {
            (Some(remedy), _) if remedy.result.is_ok() => {
                let answers = Answers::gather(&remedy.plan, address, false);
                answers.and_then(|answers| answers.host_matters())
            }
            (_, answers) => answers.as_ref().and_then(Answers::host_matters),
        };
        matters.unwrap_or(false)
    }

    fn look_for_remedy(&self, plan: &Plan, options: &Options, address: &Address) -> Option<Remedy> {
        // What another server answers is not cured by options.
        let failure = self.verdict.result.as_ref().err();
        let failure = failure.filter(|_| self.mixed.is_none())?;
        Remedy::find(plan, options, failure, address)
    }

    /// Whether the check came to an HTTP response, or its lack.
    pub fn reached_http(&self) -> bool {
        self.verdict.code().layer() == Layer::Http
    }

    /// Why the check is down with the best options that were found.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.remedy {
            Some(remedy) => remedy.result.as_ref().err(),
            None => self.verdict.result.as_ref().err(),
        }
    }

    /// Whether the port speaks plain HTTP. One that answers it, but also TLS, or to say that it wants
    /// TLS, does not.
    pub fn speaks_plain_http(&self) -> bool {
        let by_tls = self
            .tls
            .as_ref()
            .is_some_and(Handshakes::is_answered_in_tls);
        self.plain.as_ref().is_some_and(|plain| !plain.wants_tls) && !by_tls
    }

    /// Whether the server asked for a client certificate.
    pub fn client_certificate_asked(&self) -> bool {
        let of_check = self.verdict.seen.client_certificate_asked;
        let tls = self.tls.as_ref();
        of_check || tls.is_some_and(|tls| tls.named.seen.client_certificate_asked)
    }

    /// Whether the signer of the certificate is probably a CA of the operator's own: the server sends
    /// it, or nothing says where a public CA would have it.
    pub fn needs_ca_file(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|tls| tls.issuer_is_private)
    }

    /// The exit code.
    pub fn code(&self) -> Code {
        self.verdict.code()
    }
}

/// Connects to the first few addresses at once.
fn connect_each(plan: &Plan, addresses: Vec<Address>) -> Vec<(Address, Attempt)> {
    let addresses = addresses.into_iter().take(ADDRESSES);
    let mut attempts: Vec<_> = addresses
        .map(|address| (address, Attempt::none()))
        .collect();
    let connect = |(address, attempt): &mut (Address, Attempt)| {
        *attempt = Attempt::connect(plan, address);
    };
    let jobs = attempts
        .iter_mut()
        .map(|pair| Box::new(|| connect(pair)) as Job<'_>);
    beside(jobs.collect());
    attempts
}
