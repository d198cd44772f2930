//! From the server's certificate to a root: the path that OpenSSL takes, and so HAProxy.
//!
//! webpki would try every path that there may be. OpenSSL looks for one issuer at a time, first among
//! the trusted certificates, and never turns back (`build_chain` in its x509_vfy.c).

use rustls::pki_types::TrustAnchor;

use crate::certificate::uses::Authority;
use crate::certificate::{CertificateFailure, Parts, Uses, name};
use crate::plan::{Trust, Trusted};

/// A certificate on the path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub parts: Parts<'a>,
    pub uses: Uses<'a>,
    /// Whether OpenSSL's own form says that it is trusted for servers, or is not.
    pub explicitly: Option<bool>,
}

/// The way to a root.
#[derive(Debug)]
pub(super) struct Path<'a> {
    /// The server's certificate first. The last is trusted, or issued by one of [`Path::anchors`].
    pub steps: Vec<Step<'a>>,
    /// Roots without certificates that have the right name.
    pub anchors: Vec<&'static TrustAnchor<'static>>,
}

/// OpenSSL's own limit (`X509_VERIFY_PARAM_set_depth`): intermediates, and the root.
const LONGEST: usize = 101;

impl<'a> Step<'a> {
    /// `None` for what OpenSSL reads no certificate in.
    pub fn read(der: &'a [u8]) -> Option<Step<'a>> {
        let parts = Parts::read(der)?;
        Some(Step {
            uses: Uses::read(&parts),
            parts,
            explicitly: None,
        })
    }

    fn trusted(trusted: &'a Trusted, parts: Parts<'a>) -> Step<'a> {
        Step {
            uses: Uses::read(&parts),
            parts,
            explicitly: trusted.explicitly,
        }
    }

    /// Whether this may have issued `other`, as far as can be told without the signature.
    fn issued(&self, other: &Step<'_>) -> bool {
        name::same(self.parts.subject, other.parts.issuer)
            && !self.uses.broken
            && !other.uses.broken
            && self.is_meant_by(&other.uses.authority)
            && self.parts.key_signs(other.parts.signature)
    }

    /// Whether an authorityKeyIdentifier means this certificate (`X509_check_akid`).
    pub fn is_meant_by(&self, authority: &Authority<'_>) -> bool {
        let by_key = authority.key_id.zip(self.uses.key_id);
        by_key.is_none_or(|(wanted, own)| wanted == own)
            && authority
                .serial
                .is_none_or(|serial| serial == self.parts.serial)
            && authority
                .issuer
                .is_none_or(|issuer| name::same(issuer, self.parts.issuer))
    }

    /// Whether it is its own issuer, as far as can be told without the signature.
    pub fn is_self_signed(&self) -> bool {
        self.parts.is_self_issued() && self.issued(self)
    }

    fn is_valid(&self, now: i64) -> bool {
        let (begin, end) = (self.parts.not_before, self.parts.not_after);
        begin.is_some_and(|begin| begin <= now) && end.is_some_and(|end| now <= end)
    }
}

impl<'a> Path<'a> {
    /// Looks for the path from this certificate.
    pub fn find(
        leaf: Step<'a>,
        mut sent: Vec<Step<'a>>,
        trust: &'a Trust,
        now: i64,
    ) -> Result<Path<'a>, CertificateFailure> {
        let mut steps = vec![leaf];
        // From the first trusted certificate on, all are looked for among the trusted ones.
        let mut from_file = false;
        while steps.len() <= LONGEST {
            let last = steps[steps.len() - 1];
            let self_signed = last.is_self_signed();
            if let Some(issuer) = trusted_issuer(trust, &last, now) {
                if !self_signed {
                    steps.push(issuer);
                } else if issuer.parts.der == last.parts.der {
                    let place = steps.len() - 1;
                    steps[place] = issuer;
                } else {
                    // Another one of its name and key is not this one.
                    break;
                }
                from_file = true;
                match issuer.explicitly {
                    Some(true) => return Ok(Path::to(steps)),
                    Some(false) => return Err(rejected(&issuer)),
                    None if issuer.is_self_signed() => return Ok(Path::to(steps)),
                    None => continue,
                }
            }
            if self_signed {
                break;
            }
            let anchors = anchors(trust, &last);
            if !anchors.is_empty() {
                return Ok(Path { steps, anchors });
            }
            if from_file {
                break;
            }
            let Some(place) = best(&sent, &last, &steps, now) else {
                break;
            };
            steps.push(sent.remove(place));
        }
        Err(untrusted(&steps, from_file))
    }

    fn to(steps: Vec<Step<'a>>) -> Path<'a> {
        Path {
            steps,
            anchors: Vec::new(),
        }
    }
}

/// The first trusted certificate that is valid and may have issued this one; else the one of them
/// that ended last.
fn trusted_issuer<'a>(trust: &'a Trust, of: &Step<'_>, now: i64) -> Option<Step<'a>> {
    let candidates = trust.certificates().iter().filter_map(|trusted| {
        let named = trusted.parts()?;
        name::same(named.subject, of.parts.issuer).then(|| Step::trusted(trusted, named))
    });
    let candidates: Vec<Step<'a>> = candidates.filter(|step| step.issued(of)).collect();
    let chosen = choose(candidates.iter(), now)?;
    Some(candidates[chosen])
}

/// The same among what the server sent, but for what is on the path already.
fn best(sent: &[Step<'_>], of: &Step<'_>, path: &[Step<'_>], now: i64) -> Option<usize> {
    let places: Vec<usize> = (0..sent.len())
        .filter(|place| {
            let candidate = &sent[*place];
            candidate.issued(of)
                && !path
                    .iter()
                    .any(|step| step.parts.der == candidate.parts.der)
        })
        .collect();
    let chosen = choose(places.iter().map(|place| &sent[*place]), now)?;
    Some(places[chosen])
}

fn choose<'s, 'a: 's>(candidates: impl Iterator<Item = &'s Step<'a>>, now: i64) -> Option<usize> {
    let mut latest: Option<(usize, Option<i64>)> = None;
    for (place, candidate) in candidates.enumerate() {
        if candidate.is_valid(now) {
            return Some(place);
        }
        let end = candidate.parts.not_after;
        if latest.is_none_or(|(_, latest)| end > latest) {
            latest = Some((place, end));
        }
    }
    latest.map(|(place, _)| place)
}

/// Mozilla's roots of the right name.
fn anchors(trust: &Trust, of: &Step<'_>) -> Vec<&'static TrustAnchor<'static>> {
    let issuer = of.parts.issuer;
    let all = trust.anchors().iter();
    all.filter(|anchor| anchor.subject.as_ref() == issuer)
        .collect()
}

fn rejected(step: &Step<'_>) -> CertificateFailure {
    CertificateFailure::Invalid(format!(
        "{} is in --ca-file as one that is not trusted for servers",
        step.parts.subject_text()
    ))
}

/// What is missing after these.
fn untrusted(steps: &[Step<'_>], from_file: bool) -> CertificateFailure {
    let last = &steps[steps.len() - 1];
    if let Some(broken) = steps.iter().find(|step| step.uses.broken) {
        return CertificateFailure::Invalid(format!(
            "an extension of {} cannot be read",
            broken.parts.subject_text()
        ));
    }
    if steps.len() > LONGEST {
        return CertificateFailure::Invalid(
            "more than 100 issuers, one above the other".to_owned(),
        );
    }
    CertificateFailure::IssuerUnknown {
        issuer: name::text(last.parts.issuer),
        self_signed: steps.len() == 1 && last.parts.is_self_issued(),
        below: from_file.then(|| last.parts.subject_text()),
    }
}
