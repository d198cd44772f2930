//! Handshakes beside the check's own, and what is wrong with the certificates they show.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, DnsName, UnixTime};

use super::attempts::{Attempt, source};
use super::beside::{Job, beside};
use crate::certificate::{Certificate, CertificateFailure, Parts};
use crate::failure::Failure;
use crate::options::values::TlsVersion;
use crate::plan::{Plan, Tls, Trust, Verification};
use crate::probe::connect::Address;
use crate::probe::{self, Trial};

/// Handshakes that accept any certificate, so that a bad one hides nothing behind it.
pub(super) struct Handshakes {
    pub named: Attempt,
    pub bare: Attempt,
    pub tls12: Attempt,
    pub tls13: Attempt,
    pub made_up: Attempt,
    /// With HTTP/2 offered.
    pub http2: Attempt,
    /// All that is wrong with the chain by the chosen roots.
    pub faults: Faults,
    /// The same by the system's roots, where there are any and others were not chosen.
    pub system_faults: Option<Faults>,
    /// What HAProxy finds wrong with the chain that is sent without SNI. It has no name to verify
    /// then.
    pub bare_faults: Faults,
    /// Other chains that were sent for the same name, and what is wrong with them.
    pub others: Vec<(Vec<CertificateDer<'static>>, Faults)>,
    /// Whether an unknown signer is probably a CA of the operator's own.
    pub issuer_is_private: bool,
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

impl Handshakes {
    /// The jobs that make the handshakes, beside which others may run.
    pub fn gather<'a>(plan: &'a Plan, address: &'a Address, more: Vec<Job<'a>>) -> Handshakes {
        let chosen = unverified(plan, plan.tls.min_version, plan.tls.max_version);
        let only12 = unverified(plan, TlsVersion::Tls12, TlsVersion::Tls12);
        let only13 = unverified(plan, TlsVersion::Tls13, TlsVersion::Tls13);
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
        let with_http2 = Tls {
            alpn: vec!["h2".to_owned()],
            ..chosen.clone()
        };
        let [
            mut named,
            mut bare,
            mut tls12,
            mut tls13,
            mut made_up,
            mut http2,
        ] = std::array::from_fn(|_| Attempt::none());
        let mut jobs: Vec<Job<'_>> = vec![
            Box::new(|| named = shake(sni, &chosen)),
            Box::new(|| bare = shake(None, &chosen)),
            Box::new(|| tls12 = shake(sni, &only12)),
            Box::new(|| tls13 = shake(sni, &only13)),
            Box::new(|| made_up = shake(no_such_name.as_ref(), &chosen)),
            Box::new(|| http2 = shake(sni, &with_http2)),
        ];
        jobs.extend(more);
        beside(jobs);
        // Another certificate for the same names is perhaps another server's.
        let doubtful = [&bare, &made_up]
            .iter()
            .any(|other| is_namesake(&named, other));
        let mut again = [(); 4].map(|()| Attempt::none());
        if doubtful {
            let jobs = again
                .iter_mut()
                .map(|attempt| Box::new(|| *attempt = shake(sni, &chosen)) as Job<'_>);
            beside(jobs.collect());
        }
        let rules = Rules::new(plan);
        let (faults, system_faults) = rules.judge(&named);
        let (bare_faults, bare_system_faults) = rules.judge(&bare);
        let mut bare_faults = bare_system_faults.unwrap_or(bare_faults);
        bare_faults.retain(|fault| !matches!(fault, CertificateFailure::OtherName { .. }));
        let with_name = [&tls12, &tls13, &http2].into_iter().chain(&again);
        let others = rules.judge_others(&named, with_name);
        let by_file = plan.tls.verification.as_ref();
        let by_file = by_file.is_some_and(|rules| !rules.trust.is_bundled());
        Handshakes {
            issuer_is_private: match named.seen.chain.as_slice() {
                [leaf] => !by_file && !names_its_issuers_place(leaf),
                _ => true,
            },
            named,
            bare,
            tls12,
            tls13,
            made_up,
            http2,
            faults,
            system_faults,
            bare_faults,
            others,
        }
    }

    /// What HAProxy finds wrong with the chain: its own roots are the system's, unless a file is
    /// given.
    pub fn haproxy_faults(&self) -> &Faults {
        self.system_faults.as_ref().unwrap_or(&self.faults)
    }

    /// Whether the server can be used without SNI; unknown where not even the handshake with SNI
    /// succeeds.
    pub fn sni_need(&self) -> Option<SniNeed> {
        match (&self.named.result, &self.bare.result) {
            (Ok(_), Err(_)) => Some(SniNeed::Required),
            (Ok(_), Ok(_)) if !self.is_sent_with_name(self.bare.seen.chain.first()) => {
                Some(SniNeed::OtherCertificate)
            }
            (Ok(_), Ok(_)) => Some(SniNeed::None),
            (Err(_), _) => None,
        }
    }

    /// Whether a handshake with the name was shown this certificate, too.
    fn is_sent_with_name(&self, leaf: Option<&CertificateDer<'_>>) -> bool {
        let others = self.others.iter().map(|(chain, _)| chain.first());
        let with_name = others.chain([self.named.seen.chain.first()]);
        with_name.into_iter().any(|shown| shown == leaf)
    }

    /// Whether a name that nobody has gets the same certificate as the one asked for: then it says
    /// nothing about that name.
    pub fn is_default_certificate(&self) -> bool {
        self.made_up.result.is_ok() && same_leaf(&self.named, &self.made_up)
    }

    /// Whether the server sends a certificate of this subject.
    pub fn sends(&self, subject: &str) -> bool {
        let mut chain = self.named.seen.chain.iter().filter_map(Certificate::read);
        chain.any(|certificate| certificate.subject == subject)
    }

    /// Whether the server agrees to speak HTTP/2.
    pub fn speaks_http2(&self) -> bool {
        self.http2.seen.alpn.as_deref() == Some("h2")
    }

    /// Whether the server answers in TLS, if only to refuse.
    pub fn is_answered_in_tls(&self) -> bool {
        let all = [
            &self.named,
            &self.bare,
            &self.tls12,
            &self.tls13,
            &self.made_up,
        ];
        all.iter().any(|attempt| match &attempt.result {
            Ok(_) => true,
            Err(
                Failure::ClientCertificate { .. }
                | Failure::NameRefused { .. }
                | Failure::HandshakeRefused(_)
                | Failure::NothingInCommon(_)
                | Failure::OtherVersion(_)
                | Failure::UnsafeRenegotiation
                | Failure::TlsLimit(_),
            ) => true,
            Err(_) => false,
        })
    }

    /// Whether any handshake succeeded.
    pub fn any_succeeded(&self) -> bool {
        let all = [&self.named, &self.bare, &self.tls12, &self.tls13];
        all.iter().any(|attempt| attempt.result.is_ok()) || self.made_up.result.is_ok()
    }
}

/// The plan's TLS, with any certificate accepted and these versions.
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

/// Whether a certificate says where that of its issuer can be fetched (authorityInfoAccess, RFC 5280,
/// section 4.2.2.1), as those of public CAs do.
fn names_its_issuers_place(leaf: &CertificateDer<'_>) -> bool {
    const AUTHORITY_INFORMATION_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
    let parts = Parts::read(leaf);
    parts.is_some_and(|parts| parts.extension(AUTHORITY_INFORMATION_ACCESS).is_some())
}

/// Whether another certificate came for the same names.
fn is_namesake(one: &Attempt, other: &Attempt) -> bool {
    let names = |attempt: &Attempt| attempt.seen.chain.first().map(probe::names);
    one.seen.chain != other.seen.chain && names(one).is_some() && names(one) == names(other)
}

fn same_leaf(one: &Attempt, other: &Attempt) -> bool {
    one.seen.chain.first() == other.seen.chain.first()
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
        let chain = &attempt.seen.chain;
        let system = self.system.as_ref();
        let system = system.map(|rules| probe::faults(rules, chain, UnixTime::now()));
        (self.by_chosen(chain), system)
    }

    /// The chains that differ from this attempt's, and what is wrong with them.
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
