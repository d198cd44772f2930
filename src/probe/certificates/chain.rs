//! webpki's part of the verdict: signatures, constraints of names, revocation. It is given one path and
//! no other to choose from, which bounds its work.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, Der, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

use super::cause::explain;
use super::path::Path;
use super::{links, revocation};
use crate::certificate::CertificateFailure;

/// Verifies a path whose every certificate has been judged by OpenSSL's rules.
pub(super) fn verify(
    algorithms: WebPkiSupportedAlgorithms,
    path: &Path<'_>,
    lists: &[&CertRevocationList<'static>],
    now: UnixTime,
) -> Result<(), CertificateFailure> {
    match verify_whole(algorithms, path, lists, now) {
        Err(CertificateFailure::Limit(what)) if lists.is_empty() && links::suffice(path) => {
            match links::verify(algorithms, path) {
                Ok(()) => Ok(()),
                Err(Some(failure)) => Err(failure),
                Err(None) => Err(CertificateFailure::Limit(what)),
            }
        }
        verified => verified,
    }
}

fn verify_whole(
    algorithms: WebPkiSupportedAlgorithms,
    path: &Path<'_>,
    lists: &[&CertRevocationList<'static>],
    now: UnixTime,
) -> Result<(), CertificateFailure> {
    let explain = |error| explain(error, path);
    let der: Vec<CertificateDer<'_>> = path
        .steps
        .iter()
        .map(|step| CertificateDer::from(step.parts.der))
        .collect();
    let leaf = EndEntityCert::try_from(&der[0]).map_err(explain)?;
    if der.len() == 1 && path.anchors.is_empty() && lists.is_empty() {
        // Trusted as it is, like every root: OpenSSL looks at no signature of its own.
        return Ok(());
    }
    let (anchors, between) = match path.anchors.is_empty() {
        true => (vec![anchor(path)], 1..(der.len() - 1).max(1)),
        false => (
            path.anchors.iter().map(|one| (*one).clone()).collect(),
            1..der.len(),
        ),
    };
    // As strict as HAProxy's crl-file: the whole chain, no unknown status, no list that ended.
    let revocation = RevocationOptionsBuilder::new(lists).ok().map(|options| {
        options
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    leaf.verify_for_usage(
        algorithms.all,
        &anchors,
        &der[between],
        now,
        KeyUsage::server_auth(),
        revocation,
        None,
    )
    .map_err(|error| match error {
        webpki::Error::CertRevoked if revocation::takes_back(path, lists) => {
            let what = "a list in --crl-file takes a revocation back (removeFromCRL)";
            CertificateFailure::Limit(what.to_owned())
        }
        error => explain(error),
    })?;
    Ok(())
}

/// The root as webpki wants it, with the name that whoever it issued calls it by: the two may be
/// spelled differently.
fn anchor<'a>(path: &Path<'a>) -> TrustAnchor<'a> {
    let steps = &path.steps;
    let root = &steps[steps.len() - 1];
    let issued = &steps[steps.len().saturating_sub(2)];
    TrustAnchor {
        subject: Der::from_slice(issued.parts.issuer),
        subject_public_key_info: Der::from_slice(root.parts.key),
        name_constraints: root.uses.name_constraints.map(Der::from_slice),
    }
}
