//! Gathers the facts about a server. Runs the check itself, and variations of the check in parallel.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, DnsName, UnixTime};
use ureq::http::{HeaderName, HeaderValue, header};

use super::attempts::{Job, attempt, connect, hangs_up, in_parallel, plain_http, source};
use super::session::{Phase, Session};
use crate::causes::facts::{Answers, Attempt, Facts, Faults, Handshakes, Origin, host, is_safe};
use crate::certificate::CertificateFailure;
use crate::code::Layer;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::options::Options;
use crate::options::expect::Part;
use crate::options::values::{TlsVersion, Verify};
use crate::output::date::now;
use crate::plan::{DEFAULTS, Output, Plan, Request, Tls, Trust, Verification, is_harmless};
use crate::probe::connect::{Address, addresses};
use crate::probe::{self, Seen, Trial};

/// The largest number of a name's addresses that diagnose tries.
const ADDRESSES: usize = 8;

/// Gathers the facts about a check, except HAProxy's answers.
pub(super) fn gather(plan: Plan, options: Options, origin: &Origin, session: &Session) -> Facts {
    session.enter(Phase::Connecting);
    let start = Instant::now();
    let resolved = addresses(&plan.target, Deadline::new(start, plan.timeout));
    let resolve = start.elapsed();
    let count = resolved.as_ref().map_or(0, Vec::len);
    let addresses = resolved.map(|all| {
        let all = all.into_iter().take(ADDRESSES);
        each(all, |address| connect(&plan, address))
    });
    let tried = addresses.as_ref().map_or(&[][..], Vec::as_slice);
    let mut answering = tried.iter().filter(|(_, attempt)| attempt.result.is_ok());
    let reached = answering.next().map(|(address, _)| address.clone());
    let others: Vec<Address> = answering.map(|(address, _)| address.clone()).collect();
    let mut facts = Facts {
        resolve,
        addresses,
        untried: count.saturating_sub(ADDRESSES),
        reached: reached.clone(),
        ..nothing_seen(plan, options, origin)
    };
    session.enter(Phase::Handshakes);
    let Some(address) = reached else {
        facts.verdict = probe::run(&facts.plan, Instant::now());
        return facts;
    };
    look_at_tls(&mut facts, &address, others, session);
    session.enter(Phase::Requests);
    look_at_http(&mut facts, &address, session);
    facts
}

/// Returns the facts about a check that succeeded with changed options. Sends the request again, runs the
/// check at the name's other addresses, and copies the addresses from the earlier facts.
pub(super) fn facts_of_success(
    plan: Plan,
    options: Options,
    attempt: Attempt,
    before: &Facts,
    session: &Session,
) -> Facts {
    let mut facts = Facts {
        verdict: attempt,
        resolve: before.resolve,
        addresses: before.addresses.clone(),
        untried: before.untried,
        reached: before.reached.clone(),
        ..nothing_seen(plan, options, &before.origin)
    };
    if let Some(address) = facts.reached.clone() {
        let plan = &facts.plan;
        let (mut answers, mut elsewhere) = (None, Vec::new());
        let others = before.elsewhere.iter().map(|(other, _)| other.clone());
        let jobs: [Job<'_>; 2] = [
            Box::new(|| answers = ask(plan, &address, false, session)),
            Box::new(|| elsewhere = at_each(plan, others, session)),
        ];
        in_parallel(jobs);
        (facts.answers, facts.elsewhere) = (answers, elsewhere);
    }
    facts
}

/// Runs the check at these addresses.
fn at_each(
    plan: &Plan,
    addresses: impl Iterator<Item = Address>,
    session: &Session,
) -> Vec<(Address, Attempt)> {
    each(addresses, |address| {
        attempt(whole_check(plan), address, plan.timeout, session)
    })
}

/// Returns the facts that are known before diagnose sends anything.
fn nothing_seen(plan: Plan, options: Options, origin: &Origin) -> Facts {
    Facts {
        plan,
        options,
        verdict: Attempt::none(),
        resolve: Duration::ZERO,
        addresses: Ok(Vec::new()),
        untried: 0,
        reached: None,
        tls: None,
        answers: None,
        plain: None,
        hangs_up: None,
        elsewhere: Vec::new(),
        haproxy: None,
        origin: origin.clone(),
        refuted: Vec::new(),
        now: now(),
    }
}

/// Runs a job for each address in parallel, and returns the results.
fn each(
    addresses: impl Iterator<Item = Address>,
    run: impl Fn(&Address) -> Attempt + Sync,
) -> Vec<(Address, Attempt)> {
    let mut attempts: Vec<_> = addresses
        .map(|address| (address, Attempt::none()))
        .collect();
    let run = &run;
    let jobs = attempts.iter_mut();
    in_parallel(jobs.map(|(address, attempt)| move || *attempt = run(address)));
    attempts
}

/// The longest time that the handshakes wait for the check to end.
const HEAD_START: Duration = Duration::from_millis(500);

/// Runs the check. Then makes the handshakes, and in parallel runs the check at the name's other addresses.
/// If the check gets a response, also sends the variations of its request. A server may ban clients after
/// some failed handshakes, and the check would then fail, too. The handshakes therefore begin only when the
/// check has ended, or after `HEAD_START`.
fn look_at_tls(facts: &mut Facts, address: &Address, others: Vec<Address>, session: &Session) {
    let judged_by = Options {
        ca_file: facts.ca_files().to_vec(),
        ..facts.options.clone()
    };
    let (plan, options) = (&facts.plan, &judged_by);
    let (mut verdict, mut elsewhere, mut tls) = (Attempt::none(), Vec::new(), None);
    let others = others.into_iter();
    let at_others: Job<'_> = Box::new(|| elsewhere = at_each(plan, others, session));
    let (ended, end) = mpsc::channel();
    let (result, handshakes, mut answers) = (&mut verdict, &mut tls, None);
    let answered = &mut answers;
    let jobs: Vec<Job<'_>> = vec![
        Box::new(move || {
            *result = probe::run(plan, Instant::now());
            _ = ended.send(());
            // The check's handshake has succeeded, so further requests needn't wait for the other handshakes.
            if gets_response(&result.result) {
                *answered = ask(plan, address, false, session);
            }
        }),
        Box::new(move || {
            _ = end.recv_timeout(HEAD_START);
            *handshakes = Some(shake_hands(
                plan,
                options,
                address,
                vec![at_others],
                session,
            ));
        }),
    ];
    in_parallel(jobs);
    let Some(mut tls) = tls else { return };
    // If the server serves one connection at a time, the handshakes timed out while they waited for the
    // check. Repeat the handshakes.
    let waits = |attempt: &&Attempt| matches!(attempt.result, Err(Failure::HandshakeTimeout));
    if is_slow(&verdict.result) && tls.all().iter().any(waits) {
        tls = shake_hands(plan, options, address, Vec::new(), session);
    }
    (facts.verdict, facts.elsewhere, facts.tls) = (verdict, elsewhere, Some(tls));
    facts.answers = answers;
}

/// Returns true if the check succeeds, or if it fails after the handshake for a reason other than its
/// deadline.
fn gets_response<T>(result: &Result<T, Failure>) -> bool {
    let is_late = is_slow(result);
    let failure = result.as_ref().err();
    !is_late && failure.is_none_or(|failure| failure.code().layer() == Layer::Http)
}

/// Returns true if the check sends its request, but the server doesn't respond in time.
fn is_slow<T>(result: &Result<T, Failure>) -> bool {
    matches!(result, Err(Failure::ResponseTimeout { .. }))
}

/// The shortest time that diagnose waits for a server to close a silent connection.
const HANG_UP: Duration = Duration::from_millis(300);

/// Returns a trial of the whole check. It connects from any source port, even if `--source` has a port.
fn whole_check(plan: &Plan) -> Trial<'_> {
    Trial {
        source: source(plan),
        ..Trial::of(plan)
    }
}

fn look_at_http(facts: &mut Facts, address: &Address, session: &Session) {
    let Some(tls) = &facts.tls else { return };
    // Don't send secrets to a server without a valid certificate.
    let untrusted = !tls.faults.is_empty() && facts.plan.tls.verification.is_some();
    let (named, any) = (tls.named.result.is_ok(), tls.any_succeeded());
    // A request that timed out would time out again.
    if facts.answers.is_none() && named && !is_slow(&facts.verdict.result) {
        facts.answers = ask(&facts.plan, address, untrusted, session);
    }
    if !any {
        // The handshake that the server closed shows how long the server takes to close a connection.
        let took = tls.named.seen.times.tls.unwrap_or_default();
        let wait = (took * 2).clamp(HANG_UP, facts.plan.timeout.max(HANG_UP));
        let is_closed = matches!(tls.named.result, Err(Failure::HandshakeClosed(_)));
        let (plan, hangs) = (&facts.plan, &mut facts.hangs_up);
        let plain = &mut facts.plain;
        let mut jobs: Vec<Job<'_>> = vec![Box::new(|| *plain = plain_http(plan, address))];
        if is_closed {
            jobs.push(Box::new(|| *hangs = hangs_up(address, wait)));
        }
        in_parallel(jobs);
    }
}

/// The shortest time limit of a handshake. With a shorter limit, chance decides which handshakes succeed.
const SHORTEST: Duration = Duration::from_millis(500);

/// Makes the handshakes, in parallel with the jobs in `more`.
fn shake_hands<'a>(
    plan: &'a Plan,
    options: &Options,
    address: &'a Address,
    more: Vec<Job<'a>>,
    session: &Session,
) -> Handshakes {
    let chosen = unverified(plan, plan.tls.min_version, plan.tls.max_version);
    let only12 = unverified(plan, TlsVersion::Tls12, TlsVersion::Tls12);
    let only13 = unverified(plan, TlsVersion::Tls13, TlsVersion::Tls13);
    let with_http2 = Tls {
        alpn: vec!["h2".to_owned()],
        ..chosen.clone()
    };
    let sni = plan.names.sni.as_ref();
    let no_such_name = DnsName::try_from("no-such-name.invalid").ok();
    let shake = |sni, tls| {
        let trial = Trial {
            sni,
            tls,
            request: None,
            ..whole_check(plan)
        };
        attempt(trial, address, plan.timeout.max(SHORTEST), session)
    };
    let shake = &shake;
    let variations = [
        (sni, &chosen),
        (None, &chosen),
        (sni, &only12),
        (sni, &only13),
        (no_such_name.as_ref(), &chosen),
        (sni, &with_http2),
    ];
    let mut attempts = variations.map(|_| Attempt::none());
    let jobs = attempts.iter_mut().zip(variations);
    let jobs = jobs
        .map(|(attempt, (sni, tls))| -> Job<'_> { Box::new(move || *attempt = shake(sni, tls)) });
    in_parallel(jobs.chain(more));
    let [named, bare, tls12, tls13, made_up, http2] = attempts;
    // A different certificate for the same names may come from a different server behind the same address.
    // Repeat the handshake to find that server.
    let doubtful = [&bare, &made_up]
        .iter()
        .any(|other| has_same_names(&named, other));
    let mut again = [(); 4].map(|()| Attempt::none());
    if doubtful {
        let jobs = again.iter_mut();
        in_parallel(jobs.map(|attempt| || *attempt = shake(sni, &chosen)));
    }
    let rules = Rules::new(plan, options);
    let (faults, system_faults) = rules.judge(&named);
    let (bare_faults, bare_system_faults) = rules.judge(&bare);
    let mut bare_faults = bare_system_faults.unwrap_or(bare_faults);
    bare_faults.retain(|fault| !matches!(fault, CertificateFailure::OtherName { .. }));
    let with_name = [&tls12, &tls13, &http2].into_iter().chain(&again);
    let others = rules.judge_others(&named, with_name);
    Handshakes {
        named,
        bare,
        tls12,
        tls13,
        made_up,
        http2,
        trust: rules.chosen.map(|rules| Arc::clone(&rules.trust)),
        faults,
        system_faults,
        bare_faults,
        others,
    }
}

/// Returns the plan's TLS settings with these versions. The settings accept every certificate.
fn unverified(plan: &Plan, min_version: TlsVersion, max_version: TlsVersion) -> Tls {
    Tls {
        verification: None,
        min_version,
        max_version,
        min_cert_days: None,
        warn_cert_days: None,
        ..plan.tls.clone()
    }
}

/// Returns true if the two chains differ, but their server certificates have the same names.
fn has_same_names(one: &Attempt, other: &Attempt) -> bool {
    let names = |attempt: &Attempt| attempt.seen.chain.first().map(probe::names);
    one.seen.chain != other.seen.chain && names(one).is_some() && names(one) == names(other)
}

/// The rules that judge chains. `--verify none` doesn't change these rules.
struct Rules {
    /// The rules with the bundled roots, or with the roots of `--ca-file`. `None` if no name can be verified.
    chosen: Option<Arc<Verification>>,
    /// The rules with the system's roots. `None` if the host has no such roots, or if `--ca-file` is given.
    system: Option<Verification>,
}

impl Rules {
    fn new(plan: &Plan, options: &Options) -> Rules {
        let rules = |trust| Verification::new(&plan.names, Arc::new(trust), Arc::default());
        let required = || {
            let mut options = options.clone();
            options.verify = Some(Verify::Required);
            let plan = Plan::new(&options, None, None, Output::default()).ok()?;
            plan.tls.verification
        };
        let chosen = plan.tls.verification.clone().or_else(required);
        let comparable = chosen.as_ref().filter(|chosen| chosen.trust.is_bundled());
        let system = comparable.and_then(|_| Trust::system().ok().and_then(rules));
        Rules { chosen, system }
    }

    /// Returns two lists of the faults of the server's chain: with the chosen roots, and with the system's
    /// roots.
    fn judge(&self, attempt: &Attempt) -> (Faults, Option<Faults>) {
        let chain = &attempt.seen.chain;
        let system = self.system.as_ref();
        let system = system.map(|rules| probe::faults(rules, chain, UnixTime::now()));
        (self.by_chosen(chain), system)
    }

    /// Returns the chains that differ from the chain of `named`, each with its faults by the chosen roots.
    fn judge_others<'a>(
        &self,
        named: &Attempt,
        attempts: impl Iterator<Item = &'a Attempt>,
    ) -> Vec<(Vec<CertificateDer<'static>>, Faults)> {
        let chains = attempts.map(|attempt| &attempt.seen.chain);
        let others = chains.filter(|chain| !chain.is_empty() && **chain != named.seen.chain);
        others
            .map(|chain| (chain.clone(), self.by_chosen(chain)))
            .collect()
    }

    fn by_chosen(&self, chain: &[CertificateDer<'_>]) -> Faults {
        let chosen = self.chosen.as_deref();
        let chosen = chosen.map(|rules| probe::faults(rules, chain, UnixTime::now()));
        chosen.unwrap_or_default()
    }
}

/// Sends the check's request. If the request changes nothing on the server, also sends variations of the
/// request, for example with a different Host. If the certificate is `untrusted`, sends no secrets. Returns
/// `None` if the check sends no request. Also returns `None` if the request may change something on the
/// server, and the certificate is `untrusted`.
fn ask(plan: &Plan, address: &Address, untrusted: bool, session: &Session) -> Option<Answers> {
    let is_safe = is_safe(&plan.request.method);
    if plan.handshake_only || untrusted && !is_safe {
        return None;
    }
    let withheld = untrusted && has_secrets(&plan.request);
    let request = without_secrets(&plan.request, withheld);
    let with_host = |host: &str| {
        let mut request = request.clone();
        let host = HeaderValue::from_str(host).ok()?;
        request.headers.retain(|(name, _)| name != header::HOST);
        request.headers.push((header::HOST, host));
        request.expectations.clear();
        request.max_body = 0;
        Some(request)
    };
    let by_address = with_host(&address.to_string()).filter(|_| is_safe);
    let is_other = is_safe && host(plan) != plan.names.host;
    let by_name = with_host(&plan.names.host).filter(|_| is_other);
    let rules = Tls {
        verification: plan.tls.verification.clone().filter(|_| !untrusted),
        min_cert_days: None,
        ..plan.tls.clone()
    };
    let trial = Trial {
        tls: &rules,
        ..whole_check(plan)
    };
    let run = |request| {
        let request = Some(request);
        attempt(Trial { request, ..trial }, address, plan.timeout, session)
    };
    let in_buffer = is_safe && request.wants(Part::Body) && request.max_body > HAPROXY_READS;
    let by_buffer = in_buffer.then(|| Request {
        max_body: HAPROXY_READS,
        ..request.clone()
    });
    let encoded = "hdr name Content-Encoding".parse().ok();
    let by_encoding = encoded.filter(|_| is_safe && request.wants(Part::Body));
    let by_encoding = by_encoding.map(|rule| Request {
        expectations: vec![rule],
        ..request.clone()
    });
    let mut seen = Seen::default();
    let mut asked = Err(Failure::Internal("not tried".to_owned()));
    let (mut address_as_host, mut name_as_host) = (None, None);
    let (mut in_buffer, mut encoded) = (None, None);
    let jobs: Vec<Job<'_>> = vec![
        Box::new(|| {
            let deadline = Deadline::new(Instant::now(), plan.timeout);
            let addresses = std::slice::from_ref(address);
            asked = trial.examine(&request, addresses, deadline, &mut seen);
        }),
        Box::new(|| address_as_host = by_address.as_ref().map(run)),
        Box::new(|| name_as_host = by_name.as_ref().map(run)),
        Box::new(|| in_buffer = by_buffer.as_ref().map(run)),
        Box::new(|| encoded = by_encoding.as_ref().map(run)),
    ];
    in_parallel(jobs);
    Some(Answers {
        asked,
        took: seen.times.response,
        address_as_host,
        name_as_host,
        in_buffer,
        encoded,
        withheld,
    })
}

/// The number of bytes of a body that HAProxy's own check reads by default: `tune.bufsize` minus about 1 KiB
/// for the head.
const HAPROXY_READS: u32 = 15 << 10;

/// The header that tells a server behind a proxy that visitors use HTTPS.
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Returns the value of a header, or `None` if the value may be secret or isn't text.
pub(super) fn harmless<'a>(name: &HeaderName, value: &'a HeaderValue) -> Option<&'a str> {
    let shown = is_harmless(name.as_str()).then(|| value.to_str().ok());
    shown.flatten()
}

/// Returns true if the operator has chosen this value for a header that sni-check sends by default.
pub(super) fn is_chosen(name: &HeaderName, value: &str) -> bool {
    let mut defaults = DEFAULTS.iter();
    defaults.any(|(known, default)| known == name && *default != value)
}

/// Returns a header's name in its usual spelling.
pub(super) fn title(name: &HeaderName) -> &str {
    match *name {
        header::USER_AGENT => "User-Agent",
        header::ACCEPT => "Accept",
        header::CONNECTION => "Connection",
        _ => name.as_str(),
    }
}

fn has_secrets(request: &Request) -> bool {
    let mut headers = request.headers.iter();
    !request.body.is_empty() || headers.any(|(name, _)| !is_harmless(name.as_str()))
}

/// Returns the request. If `withheld` is true, removes the body, the headers that may contain secrets, and
/// the expectations.
fn without_secrets(request: &Request, withheld: bool) -> Request {
    let mut request = request.clone();
    if withheld {
        request
            .headers
            .retain(|(name, _)| is_harmless(name.as_str()));
        request.body.clear();
        request.expectations.clear();
        request.max_body = 0;
    }
    request
}
