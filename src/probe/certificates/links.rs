//! Signatures one by one, where webpki does not take a path as a whole: it reads certificates of
//! version 3 only, wants no CA's certificate from a server, follows six intermediates. All but the
//! signatures has been judged by OpenSSL's rules before.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{Error, RawPublicKeyEntity, spki_for_anchor};

use super::path::Path;
use crate::certificate::{CertificateFailure, Parts};

/// A way to verify signatures.
pub(super) type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Whether what a path says can be judged without webpki: all but constraints of names.
pub(super) fn suffice(path: &Path<'_>) -> bool {
    let steps = path
        .steps
        .iter()
        .all(|step| step.uses.name_constraints.is_none());
    steps
        && path
            .anchors
            .iter()
            .all(|anchor| anchor.name_constraints.is_none())
}

/// Verifies that each certificate of a path is signed by the next.
///
/// # Errors
/// A signature that is wrong; `None` for one that cannot be verified.
pub(super) fn verify(
    algorithms: WebPkiSupportedAlgorithms,
    path: &Path<'_>,
) -> Result<(), Option<CertificateFailure>> {
    for pair in path.steps.windows(2) {
        signed(algorithms, &pair[0].parts, &pair[1].parts.key_info())?;
    }
    let last = &path.steps[path.steps.len() - 1].parts;
    let mut outcome = Ok(());
    for anchor in &path.anchors {
        outcome = signed(algorithms, last, &spki_for_anchor(anchor));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn signed(
    algorithms: WebPkiSupportedAlgorithms,
    certificate: &Parts<'_>,
    issuer: &SubjectPublicKeyInfoDer<'_>,
) -> Result<(), Option<CertificateFailure>> {
    if !certificate.names_one_algorithm {
        let what = "it names two algorithms of its signature".to_owned();
        return Err(Some(CertificateFailure::Invalid(what)));
    }
    let all = algorithms.all.iter().copied();
    let named = all.filter(|known| known.signature_alg_id().as_ref() == certificate.signature);
    match by_key(named, issuer, certificate.body, certificate.signed) {
        Some(true) => Ok(()),
        Some(false) => Err(Some(CertificateFailure::BadSignature)),
        None => Err(None),
    }
}

/// Whether this key made this signature, by the first of these algorithms that is for such keys;
/// `None` if none is.
pub(super) fn by_key(
    algorithms: impl Iterator<Item = Algorithm>,
    key: &SubjectPublicKeyInfoDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let key = RawPublicKeyEntity::try_from(key).ok()?;
    for algorithm in algorithms {
        match key.verify_signature(algorithm, message, signature) {
            Ok(()) => return Some(true),
            Err(Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => return Some(false),
        }
    }
    None
}
