//! Verifies the signatures of a path, and applies the name constraints of its issuers. `judge.rs` has already
//! checked the dates and the uses of each certificate.

use rustls::pki_types::TrustAnchor;
use webpki::spki_for_anchor;

use super::path::{Path, Step};
use super::signature::Flaw;
use crate::certificate::name_constraints::{self, Violation};
use crate::certificate::{CertificateFailure, Signed};

/// Verifies the signatures of a path. If one of [`Path::anchors`] has signed the last step, returns that
/// root. If the last step is itself trusted, returns `None`.
///
/// # Errors
/// Returns why the first bad signature isn't accepted.
pub(super) fn verify_signatures(
    path: &Path<'_>,
) -> Result<Option<&'static TrustAnchor<'static>>, CertificateFailure> {
    for pair in path.steps.windows(2) {
        let (step, issuer) = (&pair[0], &pair[1]);
        signed(step)?
            .is_by(&issuer.parts.key_info())
            .map_err(|flaw| failure(step, flaw))?;
    }
    if path.anchors.is_empty() {
        // The last certificate is trusted, so OpenSSL doesn't verify its signature.
        return Ok(None);
    }
    let last = &path.steps[path.steps.len() - 1];
    let signed = signed(last)?;
    let mut worst = Flaw::Wrong;
    for anchor in &path.anchors {
        match signed.is_by(&spki_for_anchor(anchor)) {
            Ok(()) => return Ok(Some(anchor)),
            Err(flaw) => worst = flaw,
        }
    }
    Err(failure(last, worst))
}

fn signed<'a>(step: &Step<'a>) -> Result<Signed<'a>, CertificateFailure> {
    if !step.parts.names_one_algorithm {
        let what = "it names two different signature algorithms".to_owned();
        return Err(CertificateFailure::Invalid(what));
    }
    Ok(step.parts.signed)
}

fn failure(step: &Step<'_>, flaw: Flaw) -> CertificateFailure {
    match flaw {
        Flaw::Wrong => CertificateFailure::BadSignature,
        Flaw::Unsupported(kind) => {
            let what = format!("{} is signed with {kind}", step.parts.subject_text());
            CertificateFailure::Limit(what)
        }
    }
}

/// Checks the names of each certificate against the constraints of every issuer above it
/// (`check_name_constraints` in OpenSSL's x509_vfy.c).
///
/// # Errors
/// Returns the first violated constraint.
pub(super) fn check_names(
    path: &Path<'_>,
    anchor: Option<&TrustAnchor<'_>>,
) -> Result<(), CertificateFailure> {
    let of_anchor = anchor.and_then(|anchor| anchor.name_constraints.as_deref());
    for (place, step) in path.steps.iter().enumerate().rev() {
        // Constraints don't apply to a self-issued CA certificate, but they apply to every server's
        // certificate.
        if place > 0 && step.parts.is_self_issued() {
            continue;
        }
        let names = step.uses.alternative_names.unwrap_or_default();
        let above = path.steps[place + 1..].iter();
        let above = above.filter_map(|issuer| issuer.uses.name_constraints);
        for constraints in above.chain(of_anchor) {
            name_constraints::check(&step.parts, names, constraints, place == 0)
                .map_err(|violation| violation_failure(step, violation))?;
        }
    }
    Ok(())
}

fn violation_failure(step: &Step<'_>, violation: Violation) -> CertificateFailure {
    let subject = step.parts.subject_text();
    match violation {
        Violation::Forbidden => CertificateFailure::Invalid(format!(
            "the name constraints of an issuer forbid a name of {subject}"
        )),
        Violation::Unsupported => CertificateFailure::Invalid(format!(
            "the name constraints of an issuer can't be applied to the names of {subject}"
        )),
        Violation::Limit(name) => {
            CertificateFailure::Limit(format!("{subject} has {name} under name constraints"))
        }
    }
}
