//! Builds the certification path from the server's certificate to a root, as OpenSSL (and therefore HAProxy)
//! builds it.
//!
//! webpki would try every possible path. OpenSSL looks for one issuer at a time, first among the
//! trusted certificates, and never backtracks (`build_chain` in its x509_vfy.c).

use rustls::pki_types::TrustAnchor;

use crate::certificate::uses::Authority;
use crate::certificate::{CertificateFailure, Parts, Uses, name};
use crate::plan::Trust;

/// A certificate on the path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub parts: Parts<'a>,
    pub uses: Uses<'a>,
    /// True if the certificate is in OpenSSL's own format (TRUSTED CERTIFICATE) and marked as trusted for
    /// servers, false if it is marked as not trusted, `None` without a mark.
    pub explicitly: Option<bool>,
}

/// A path to a root.
#[derive(Debug)]
pub(super) struct Path<'a> {
    /// The certificates. The server's certificate comes first. The last one is trusted, or [`Path::anchors`]
    /// contains roots that may have issued it.
    pub steps: Vec<Step<'a>>,
    /// The roots without certificates that have the name of the last step's issuer.
    pub anchors: Vec<&'static TrustAnchor<'static>>,
}

/// A path with more steps than this isn't continued. OpenSSL has the same limit
/// (`X509_VERIFY_PARAM_set_depth`).
const LONGEST: usize = 101;

impl<'a> Step<'a> {
    /// Reads a certificate. Returns `None` if OpenSSL can't read it.
    pub fn read(der: &'a [u8]) -> Option<Step<'a>> {
        Parts::read(der).map(|parts| Step::new(parts, None))
    }

    fn new(parts: Parts<'a>, explicitly: Option<bool>) -> Step<'a> {
        Step {
            uses: Uses::read(&parts),
            parts,
            explicitly,
        }
    }

    /// Returns true if this certificate may have issued `other`. Doesn't verify the signature.
    fn issued(&self, other: &Step<'_>) -> bool {
        name::same(self.parts.subject, other.parts.issuer)
            && !self.uses.broken
            && !other.uses.broken
            && self.is_meant_by(&other.uses.authority)
            && self.parts.key_signs(other.parts.signed.algorithm)
    }

    /// Returns true if no field of an authorityKeyIdentifier contradicts this certificate
    /// (`X509_check_akid`).
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

    /// Returns true if this certificate is its own issuer. Doesn't verify the signature.
    pub fn is_self_signed(&self) -> bool {
        self.parts.is_self_issued() && self.issued(self)
    }

    fn is_valid(&self, now: i64) -> bool {
        let (begin, end) = (self.parts.not_before, self.parts.not_after);
        begin.is_some_and(|begin| begin <= now) && end.is_some_and(|end| now <= end)
    }
}

impl<'a> Path<'a> {
    /// Builds the path that starts at `leaf`.
    pub fn find(
        leaf: Step<'a>,
        mut sent: Vec<Step<'a>>,
        trust: &'a Trust,
        now: i64,
    ) -> Result<Path<'a>, CertificateFailure> {
        let mut steps = vec![leaf];
        // After the first trusted certificate, OpenSSL looks for issuers among the trusted
        // certificates only.
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
                    // A trusted certificate with the same name and key isn't enough. OpenSSL requires
                    // the same bytes.
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

/// Returns the first valid trusted certificate that may have issued `of`. If only expired or future
/// certificates may have issued `of`, returns the one that expires last. Returns `None` if no trusted
/// certificate may have issued `of`.
fn trusted_issuer<'a>(trust: &'a Trust, of: &Step<'_>, now: i64) -> Option<Step<'a>> {
    let candidates = trust.certificates().iter().filter_map(|trusted| {
        let parts = trusted.parts()?;
        let is_named = name::same(parts.subject, of.parts.issuer);
        is_named.then(|| Step::new(parts, trusted.explicitly))
    });
    let candidates = candidates.filter(|step| step.issued(of));
    choose(candidates.enumerate(), now).map(|(_, step)| step)
}

/// Chooses an issuer by the same rule as [`trusted_issuer`], but among the certificates that the server sent.
/// Ignores certificates that are already on the path. Returns the issuer's index.
fn best(sent: &[Step<'_>], of: &Step<'_>, path: &[Step<'_>], now: i64) -> Option<usize> {
    let is_on_path = |step: &Step<'_>| path.iter().any(|known| known.parts.der == step.parts.der);
    let candidates = sent.iter().copied().enumerate();
    let candidates = candidates.filter(|(_, step)| step.issued(of) && !is_on_path(step));
    choose(candidates, now).map(|(place, _)| place)
}

fn choose<'a>(
    candidates: impl Iterator<Item = (usize, Step<'a>)>,
    now: i64,
) -> Option<(usize, Step<'a>)> {
    let mut latest: Option<(usize, Step<'a>)> = None;
    for (place, step) in candidates {
        if step.is_valid(now) {
            return Some((place, step));
        }
        let end = step.parts.not_after;
        if latest.is_none_or(|(_, latest)| end > latest.parts.not_after) {
            latest = Some((place, step));
        }
    }
    latest
}

/// Returns Mozilla's roots that have the name of this certificate's issuer.
fn anchors(trust: &Trust, of: &Step<'_>) -> Vec<&'static TrustAnchor<'static>> {
    let issuer = of.parts.issuer;
    let all = trust.anchors().iter();
    all.filter(|anchor| anchor.subject.as_ref() == issuer)
        .collect()
}

fn rejected(step: &Step<'_>) -> CertificateFailure {
    CertificateFailure::Invalid(format!(
        "{} in --ca-file is marked as not trusted for servers",
        step.parts.subject_text()
    ))
}

/// Returns why the path can't be continued after these steps.
fn untrusted(steps: &[Step<'_>], from_file: bool) -> CertificateFailure {
    let last = &steps[steps.len() - 1];
    if let Some(broken) = steps.iter().find(|step| step.uses.broken) {
        return CertificateFailure::Invalid(format!(
            "an extension of {} cannot be read",
            broken.parts.subject_text()
        ));
    }
    if steps.len() > LONGEST {
        return CertificateFailure::Invalid("its chain has more than 100 issuers".to_owned());
    }
    CertificateFailure::IssuerUnknown {
        issuer: name::text(last.parts.issuer),
        self_signed: steps.len() == 1 && last.parts.is_self_issued(),
        below: from_file.then(|| last.parts.subject_text()),
    }
}
