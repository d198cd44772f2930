//! The probing: the check itself, and variations of it that run beside each other.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{DnsName, UnixTime};
use ureq::http::{HeaderValue, Method, header};

use crate::certificate::CertificateFailure;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::plan::{Plan, Request, Tls, Trust, Verification};
use crate::probe::connect::{self, Address};
use crate::probe::{self, Response, Seen, Trial, Verdict};
use crate::values::TlsVersion;

/// All that was found out.
pub(super) struct Findings {
    /// The check, exactly as it would run.
    pub verdict: Verdict,
    /// How long resolving took.
    pub resolve: Duration,
    /// Each address, with the time to connect or why not; or why there is none.
    pub addresses: Result<Vec<(Address, Attempt)>, Failure>,
    /// Handshakes, where something could be connected to.
    pub tls: Option<Handshakes>,
    /// HTTP, where a handshake succeeded.
    pub http: Option<Http>,
}

/// One variation and what came of it.
pub(super) struct Attempt {
    pub result: Result<Option<Response>, Failure>,
    pub seen: Seen,
}

/// Handshakes that accept any certificate, so that a bad one hides nothing behind it.
pub(super) struct Handshakes {
    pub named: Attempt,
    pub bare: Attempt,
    pub tls12: Attempt,
    pub tls13: Attempt,
    pub made_up: Attempt,
    /// All that is wrong with the chain against the chosen roots.
    pub faults: Vec<CertificateFailure>,
    /// The same with the system's roots, where there are any and others were not chosen.
    pub system_faults: Option<Vec<CertificateFailure>>,
}

/// The request, without its expectations.
pub(super) struct Http {
    pub asked: Attempt,
    /// The same with the address as Host.
    pub other_host: Attempt,
    /// Headers of the user were left out, for the certificate is not trusted.
    pub withheld: bool,
}

impl Findings {
    pub fn gather(plan: &Plan, start: Instant) -> Findings {
        thread::scope(|scope| {
            let check = scope.spawn(|| probe::run(plan, start));
            let resolved = connect::addresses(&plan.target, Deadline::new(start, plan.timeout));
            let resolve = start.elapsed();
            let addresses = resolved.map(|found| connect_to_each(plan, found));
            let reached = addresses.as_ref().ok().and_then(|found| {
                let reached = found.iter().find(|(_, attempt)| attempt.result.is_ok());
                reached.map(|(address, _)| address.clone())
            });
            let tls = reached
                .as_ref()
                .map(|address| Handshakes::gather(plan, address));
            let http = reached
                .zip(tls.as_ref())
                .and_then(|(address, tls)| Http::gather(plan, &address, tls));
            Findings {
                verdict: check.join().unwrap_or_else(|_| died()),
                resolve,
                addresses,
                tls,
                http,
            }
        })
    }
}

/// The address to connect from, at any port: a fixed one serves one connection at a time, and that
/// is the check's.
fn source(plan: &Plan) -> Option<SocketAddr> {
    plan.source.map(|source| SocketAddr::new(source.ip(), 0))
}

fn died() -> Verdict {
    Verdict {
        result: Err(Failure::Internal("the check's thread died".to_owned())),
        seen: Seen::default(),
    }
}

fn connect_to_each(plan: &Plan, mut addresses: Vec<Address>) -> Vec<(Address, Attempt)> {
    addresses.dedup();
    thread::scope(|scope| {
        let threads: Vec<_> = addresses
            .iter()
            .map(|address| scope.spawn(|| Attempt::connect(plan, address)))
            .collect();
        let attempts = threads.into_iter().map(|thread| thread.join().ok());
        addresses
            .iter()
            .cloned()
            .zip(attempts)
            .filter_map(|(address, attempt)| Some((address, attempt?)))
            .collect()
    })
}

impl Attempt {
    fn connect(plan: &Plan, address: &Address) -> Attempt {
        let start = Instant::now();
        let deadline = Deadline::new(start, plan.timeout);
        let dialled = connect::dial(std::slice::from_ref(address), source(plan), deadline);
        let mut seen = Seen::default();
        seen.times.connect = Some(start.elapsed());
        let result = dialled.map(|_| None).map_err(|(failure, _)| failure);
        Attempt { result, seen }
    }

    fn run(trial: Trial<'_>, address: &Address, timeout: Duration) -> Attempt {
        let start = Instant::now();
        let mut seen = Seen::default();
        let deadline = Deadline::new(start, timeout);
        let result = trial.run(std::slice::from_ref(address), deadline, &mut seen);
        seen.times.total = start.elapsed();
        Attempt { result, seen }
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
                thread.join().unwrap_or_else(|_| Attempt {
                    result: Err(Failure::Internal("a thread died".to_owned())),
                    seen: Seen::default(),
                })
            };
            let (faults, system_faults) = judge(plan, &named);
            Handshakes {
                named,
                bare: join(bare),
                tls12: join(tls12),
                tls13: join(tls13),
                made_up: join(made_up),
                faults,
                system_faults,
            }
        })
    }

    /// Whether the server can be used without SNI.
    pub fn sni_needed(&self) -> Option<&'static str> {
        match (&self.named.result, &self.bare.result) {
            (Ok(_), Err(_)) => Some("required"),
            (Ok(_), Ok(_)) if self.named.seen.chain.first() != self.bare.seen.chain.first() => {
                Some("other certificate")
            }
            (Ok(_), Ok(_)) => Some("no"),
            (Err(_), _) => None,
        }
    }
}

type Faults = Vec<CertificateFailure>;

/// Judges the chain by the chosen roots and by the system's. With `--verify none` the rules are
/// what `verify required` would be.
fn judge(plan: &Plan, named: &Attempt) -> (Faults, Option<Faults>) {
    let now = UnixTime::now();
    let rules = |trust| {
        let name = plan.names.verified.clone()?;
        let crls = Vec::new();
        Some(Verification { name, trust, crls })
    };
    let system = Trust::system().ok().and_then(rules);
    let judged = |rules: &Verification| probe::faults(rules, &named.seen.chain, now);
    match &plan.tls.verification {
        Some(chosen) => {
            let bundled = chosen.trust.is_bundled();
            let by_system = system.as_ref().filter(|_| bundled).map(judged);
            (judged(chosen), by_system)
        }
        None => match Trust::bundled().ok().and_then(rules) {
            Some(bundled) => (judged(&bundled), system.as_ref().map(judged)),
            None => (Vec::new(), None),
        },
    }
}

impl Http {
    fn gather(plan: &Plan, address: &Address, tls: &Handshakes) -> Option<Http> {
        let repeatable = [Method::GET, Method::HEAD].contains(&plan.request.method);
        if tls.named.result.is_err() || !repeatable {
            return None;
        }
        // A peer that proves nothing gets no secrets.
        let withheld = !tls.faults.is_empty() && plan.tls.verification.is_some();
        let request = plain(&plan.request, withheld);
        let mut elsewhere = request.clone();
        let host = HeaderValue::from_str(&address.to_string()).ok()?;
        elsewhere.headers.retain(|(name, _)| name != header::HOST);
        elsewhere.headers.push((header::HOST, host));
        let rules = Tls {
            verification: plan.tls.verification.clone().filter(|_| !withheld),
            min_cert_days: None,
            ..plan.tls.clone()
        };
        let ask = |request| {
            let trial = Trial {
                tls: &rules,
                request: Some(request),
                source: source(plan),
                ..Trial::of(plan)
            };
            Attempt::run(trial, address, plan.timeout)
        };
        thread::scope(|scope| {
            let other_host = scope.spawn(|| ask(&elsewhere));
            let asked = ask(&request);
            let other_host = other_host.join().ok()?;
            Some(Http {
                asked,
                other_host,
                withheld,
            })
        })
    }
}

/// The request without expectations and, for a peer that is not trusted, without what the user
/// added.
fn plain(request: &Request, withheld: bool) -> Request {
    let mut request = request.clone();
    request.expectations.clear();
    request.max_body = 0;
    if withheld {
        let harmless = [header::HOST, header::ACCEPT, header::CONNECTION];
        request.headers.retain(|(name, _)| harmless.contains(name));
        request.body.clear();
    }
    request
}
