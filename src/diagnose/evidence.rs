//! The probing: the check itself, and variations of it that run beside each other.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{DnsName, UnixTime};
use ureq::http::{HeaderValue, Method, header};

use super::attempts::{Attempt, Attempts, source};
use super::progress::{Phase, Progress};
use crate::certificate::CertificateFailure;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::options::values::TlsVersion;
use crate::plan::{Plan, Request, Tls, Trust, Verification};
use crate::probe::connect::{self, Address};
use crate::probe::{self, Examined, Response, Seen, Trial, Verdict};

/// All that was found out.
pub(super) struct Evidence {
    /// The check, exactly as it would run.
    pub verdict: Verdict,
    /// How long resolving took.
    pub resolve: Duration,
    /// Each address, with the time to connect or why not; or why there is none.
    pub addresses: Result<Vec<(Address, Attempt)>, Failure>,
    /// The address that all the rest is about: the first that answered.
    pub reached: Option<Address>,
    /// Handshakes, where something could be connected to.
    pub tls: Option<Handshakes>,
    /// HTTP, where a handshake succeeded.
    pub http: Option<Http>,
}

/// Handshakes that accept any certificate, so that a bad one hides nothing behind it.
pub(super) struct Handshakes {
    pub named: Attempt,
    pub bare: Attempt,
    pub tls12: Attempt,
    pub tls13: Attempt,
    pub made_up: Attempt,
    /// All that is wrong with the chain against the chosen roots.
    pub faults: Faults,
    /// The same with the system's roots, where there are any and others were not chosen.
    pub system_faults: Option<Faults>,
    /// What HAProxy finds wrong with the chain that is sent without SNI. It has no name to verify
    /// then.
    pub bare_faults: Faults,
}

/// What a server does with a client that sends no SNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SniNeed {
    /// It refuses the handshake.
    Required,
    /// It sends another certificate.
    OtherCertificate,
    /// It sends the same certificate.
    None,
}

impl SniNeed {
    /// `sni_needed` in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            SniNeed::Required => "required",
            SniNeed::OtherCertificate => "other certificate",
            SniNeed::None => "no",
        }
    }
}

/// All that is wrong with a chain.
pub(super) type Faults = Vec<CertificateFailure>;

/// The request.
pub(super) struct Http {
    /// The response, and what came of each expectation.
    pub asked: Result<(Response, Examined), Failure>,
    pub took: Option<Duration>,
    /// The same with the address as Host.
    pub other_host: Attempt,
    /// Headers and body of the user were left out, for the certificate is not trusted.
    pub withheld: bool,
}

impl Evidence {
    pub fn gather(plan: &Plan, start: Instant, progress: &Progress) -> Evidence {
        thread::scope(|scope| {
            progress.enter(Phase::Connecting);
            let check = scope.spawn(|| probe::run(plan, start));
            let resolved = connect::addresses(&plan.target, Deadline::new(start, plan.timeout));
            let resolve = start.elapsed();
            let (arrivals, arrived) = channel();
            for (index, address) in resolved.iter().flatten().enumerate() {
                let (address, arrivals) = (address.clone(), arrivals.clone());
                scope.spawn(move || {
                    let attempt = Attempt::connect(plan, &address);
                    let _ = arrivals.send((index, attempt));
                });
            }
            drop(arrivals);
            let mut attempts = Attempts::new(resolved.as_ref().map_or(0, Vec::len), arrived);
            let first = attempts.first_to_answer();
            let reached = first.and_then(|index| resolved.as_ref().ok()?.get(index).cloned());
            progress.enter(Phase::Handshakes);
            let tls = reached
                .as_ref()
                .map(|address| Handshakes::gather(plan, address));
            progress.enter(Phase::Requests);
            let http = reached
                .as_ref()
                .zip(tls.as_ref())
                .and_then(|(address, tls)| Http::gather(plan, address, tls));
            progress.enter(Phase::Check);
            Evidence {
                verdict: check.join().unwrap_or_else(|_| died()),
                resolve,
                addresses: resolved.map(|found| found.into_iter().zip(attempts.all()).collect()),
                reached,
                tls,
                http,
            }
        })
    }
}

fn died() -> Verdict {
    Verdict {
        result: Err(Failure::Internal("the check's thread died".to_owned())),
        seen: Seen::default(),
    }
}

impl Handshakes {
    fn gather(plan: &Plan, address: &Address) -> Handshakes {
        let unverified = |min_version, max_version| Tls {
            verification: None,
            min_version,
            max_version,
            min_cert_days: None,
            warn_cert_days: None,
            ..plan.tls.clone()
        };
        let chosen = unverified(plan.tls.min_version, plan.tls.max_version);
        let only12 = unverified(TlsVersion::Tls12, TlsVersion::Tls12);
        let only13 = unverified(TlsVersion::Tls13, TlsVersion::Tls13);
        let sni = plan.names.sni.as_ref();
        let no_such_name = DnsName::try_from("no-such-name.invalid").ok();
        let shake = |sni, tls| {
            let trial = Trial {
                sni,
                tls,
                request: None,
                source: source(plan),
                ..Trial::of(plan)
            };
            Attempt::run(trial, address, plan.timeout)
        };
        thread::scope(|scope| {
            let bare = scope.spawn(|| shake(None, &chosen));
            let tls12 = scope.spawn(|| shake(sni, &only12));
            let tls13 = scope.spawn(|| shake(sni, &only13));
            let made_up = scope.spawn(|| shake(no_such_name.as_ref(), &chosen));
            let named = shake(sni, &chosen);
            let join = |thread: thread::ScopedJoinHandle<'_, Attempt>| {
                thread.join().unwrap_or_else(|_| Attempt::died())
            };
            let bare = join(bare);
            let rules = Rules::new(plan);
            let (faults, system_faults) = rules.judge(&named);
            let (bare_faults, bare_system_faults) = rules.judge(&bare);
            let mut bare_faults = bare_system_faults.unwrap_or(bare_faults);
            bare_faults.retain(|fault| !matches!(fault, CertificateFailure::OtherName { .. }));
            Handshakes {
                named,
                bare,
                tls12: join(tls12),
                tls13: join(tls13),
                made_up: join(made_up),
                faults,
                system_faults,
                bare_faults,
            }
        })
    }

    /// What HAProxy finds wrong with the chain: its own roots are the system's, unless a file is
    /// given.
    pub fn haproxy_faults(&self) -> &Faults {
        self.system_faults.as_ref().unwrap_or(&self.faults)
    }

    /// Whether the server can be used without SNI; unknown where not even the handshake with SNI
    /// succeeds.
    pub fn sni_need(&self) -> Option<SniNeed> {
        let leaf = |attempt: &Attempt| attempt.seen.chain.first().cloned();
        match (&self.named.result, &self.bare.result) {
            (Ok(_), Err(_)) => Some(SniNeed::Required),
            (Ok(_), Ok(_)) if leaf(&self.named) != leaf(&self.bare) => {
                Some(SniNeed::OtherCertificate)
            }
            (Ok(_), Ok(_)) => Some(SniNeed::None),
            (Err(_), _) => None,
        }
    }
}

/// What chains are judged by. With `--verify none` it is what `verify required` would be.
struct Rules {
    /// By the chosen roots; `None` where there is no name to verify.
    chosen: Option<Arc<Verification>>,
    /// By the system's, where there are any and others were not chosen.
    system: Option<Verification>,
}

impl Rules {
    fn new(plan: &Plan) -> Rules {
        let rules = |trust| Verification::new(&plan.names, Arc::new(trust), Arc::default());
        let bundled = || Trust::bundled().ok().and_then(rules).map(Arc::new);
        let chosen = plan.tls.verification.clone().or_else(bundled);
        let comparable = chosen.as_ref().filter(|chosen| chosen.trust.is_bundled());
        let system = comparable.and_then(|_| Trust::system().ok().and_then(rules));
        Rules { chosen, system }
    }

    /// All that is wrong with the chain that was sent, by either.
    fn judge(&self, attempt: &Attempt) -> (Faults, Option<Faults>) {
        let now = UnixTime::now();
        let judged = |rules: &Verification| probe::faults(rules, &attempt.seen.chain, now);
        let chosen = self.chosen.as_deref().map(judged).unwrap_or_default();
        (chosen, self.system.as_ref().map(judged))
    }
}

impl Http {
    fn gather(plan: &Plan, address: &Address, tls: &Handshakes) -> Option<Http> {
        let repeatable = [Method::GET, Method::HEAD].contains(&plan.request.method);
        if tls.named.result.is_err() || !repeatable || plan.handshake_only {
            return None;
        }
        // A peer that proves nothing gets no secrets.
        let untrusted = !tls.faults.is_empty() && plan.tls.verification.is_some();
        let withheld = untrusted && has_secrets(&plan.request);
        let request = for_peer(&plan.request, withheld);
        let mut elsewhere = request.clone();
        let host = HeaderValue::from_str(&address.to_string()).ok()?;
        elsewhere.headers.retain(|(name, _)| name != header::HOST);
        elsewhere.headers.push((header::HOST, host));
        elsewhere.expectations.clear();
        elsewhere.max_body = 0;
        let rules = Tls {
            verification: plan.tls.verification.clone().filter(|_| !untrusted),
            min_cert_days: None,
            ..plan.tls.clone()
        };
        let trial = Trial {
            tls: &rules,
            request: Some(&elsewhere),
            source: source(plan),
            ..Trial::of(plan)
        };
        thread::scope(|scope| {
            let other_host = scope.spawn(|| Attempt::run(trial, address, plan.timeout));
            let mut seen = Seen::default();
            let deadline = Deadline::new(Instant::now(), plan.timeout);
            let asked = trial.examine(&request, std::slice::from_ref(address), deadline, &mut seen);
            let other_host = other_host.join().ok()?;
            Some(Http {
                asked,
                took: seen.times.response,
                other_host,
                withheld,
            })
        })
    }
}

/// Header fields whose value is not a secret.
pub(super) const HARMLESS: [header::HeaderName; 4] = [
    header::HOST,
    header::ACCEPT,
    header::USER_AGENT,
    header::CONNECTION,
];

fn has_secrets(request: &Request) -> bool {
    let mut headers = request.headers.iter();
    !request.body.is_empty() || headers.any(|(name, _)| !HARMLESS.contains(name))
}

/// The request; for a peer that is not trusted without what the user added, and so without what
/// the response to that must be.
fn for_peer(request: &Request, withheld: bool) -> Request {
    let mut request = request.clone();
    if withheld {
        request.headers.retain(|(name, _)| HARMLESS.contains(name));
        request.body.clear();
        request.expectations.clear();
        request.max_body = 0;
    }
    request
}
