//! A CA of `--ca-file` that has the name of the one that signed, but another key.

use super::case::Case;
use super::certificate::{roots, sent};
use crate::certificate::{CertificateFailure, Parts, Uses};
use crate::plan::Trusted;

/// The name of that CA, where it is why a certificate is not accepted.
pub(super) fn name(case: Case<'_>, fault: &CertificateFailure) -> Option<String> {
    let of_name = |name: &str| {
        trusted(case)
            .filter(|ca| ca.subject_text() == name)
            .collect()
    };
    match fault {
        CertificateFailure::IssuerUnknown {
            issuer,
            below: None,
            ..
        } => {
            let namesakes: Vec<Parts<'_>> = of_name(issuer);
            let by_another = |ca: &Parts<'_>| {
                let mut signed = chain(case).filter(|parts| parts.issuer_text() == *issuer);
                signed.any(|parts| is_by_another(&parts, ca))
            };
            let found = !namesakes.is_empty() && namesakes.iter().all(by_another);
            found.then(|| issuer.clone())
        }
        // Where no certificate says which key is meant, only the signature tells.
        CertificateFailure::BadSignature => {
            let issuers = chain(case).map(|parts| parts.issuer_text());
            issuers.last().filter(|name| !of_name(name).is_empty())
        }
        _ => None,
    }
}

/// What to do about it.
pub(super) fn advice(case: Case<'_>, name: &str) -> Vec<String> {
    let roots = roots(case);
    vec![
        format!(
            "{roots} has a CA of this name ({name}), but with another key: the CA was given a new key, and \
             this file or the server's certificate is older than that. Add the CA's current certificate \
             to the file, and reload HAProxy; or renew the server's."
        ),
        "If nobody changed that CA, the certificate is not from it: find out who answers at this address."
            .to_owned(),
    ]
}

fn trusted(case: Case<'_>) -> impl Iterator<Item = Parts<'_>> {
    let rules = case.plan.tls.verification.as_ref();
    let trusted = rules.map_or(&[][..], |rules| rules.trust.certificates());
    trusted.iter().filter_map(Trusted::parts)
}

fn chain(case: Case<'_>) -> impl Iterator<Item = Parts<'_>> {
    sent(case).iter().filter_map(|der| Parts::read(der))
}

/// Whether a certificate that names this CA as its issuer says that another key signed it.
fn is_by_another(signed: &Parts<'_>, ca: &Parts<'_>) -> bool {
    let (wanted, own) = (Uses::read(signed).authority.key_id, Uses::read(ca).key_id);
    let other_id = wanted.zip(own).is_some_and(|(wanted, own)| wanted != own);
    let other_root = signed.is_self_issued() && signed.key != ca.key;
    other_id || other_root || !ca.key_signs(signed.signature)
}
