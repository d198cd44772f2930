//! webpki's error, made a cause that an operator can act on.
//!
//! What HAProxy's library would refuse too has been looked for before; what is left is a forged
//! signature, a constraint, a revocation, or something that webpki cannot do.

use super::path::{Path, Step};
use crate::certificate::element::{Elements, OID, SEQUENCE};
use crate::certificate::{CertificateFailure, name};

/// Makes webpki's error a cause, with what the certificates say about it.
pub(super) fn explain(error: webpki::Error, path: &Path<'_>) -> CertificateFailure {
    use webpki::Error;
    let invalid = |what: &str| CertificateFailure::Invalid(what.to_owned());
    let no_list = |what: &str| CertificateFailure::NoValidList(what.to_owned());
    match error {
        Error::CertRevoked => CertificateFailure::Revoked("it is revoked (--crl-file)".to_owned()),
        Error::UnknownRevocationStatus => no_list("no list of --crl-file covers its issuer"),
        Error::CrlExpired { .. } => no_list("the list in --crl-file has ended"),
        Error::InvalidCrlSignatureForPublicKey => {
            no_list("bad signature of the list in --crl-file")
        }
        Error::IssuerNotCrlSigner => no_list("its issuer may not sign the list in --crl-file"),
        Error::SignatureAlgorithmMismatch => invalid("it names two algorithms of its signature"),
        Error::InvalidSignatureForPublicKey => CertificateFailure::BadSignature,
        Error::NameConstraintViolation if !constrains_directories(path) => {
            invalid("its issuer may not issue for this name")
        }
        other => CertificateFailure::Limit(limit(&other, path)),
    }
}

/// What webpki cannot do.
fn limit(error: &webpki::Error, path: &Path<'_>) -> String {
    use webpki::Error;
    let steps = &path.steps;
    let named = |found: &dyn Fn(&Step<'_>) -> bool, what: &str| {
        let step = steps.iter().find(|step| found(step)).unwrap_or(&steps[0]);
        format!("{} {what}", step.parts.subject_text())
    };
    match error {
        Error::UnknownIssuer => different_names(steps),
        Error::CaUsedAsEndEntity => named(&|_| true, "is a CA's certificate, used as a server's"),
        Error::UnsupportedCertVersion => named(
            &|step| step.parts.version != 2,
            "is not of version 3 of X.509",
        ),
        Error::UnsupportedCriticalExtension => named(
            &has_critical_policies,
            "has a critical extension about policies or resources",
        ),
        Error::RequiredEkuNotFoundContext(_) => named(
            &|step| step.uses.servers == Some(true),
            "is meant for servers in an old way only (server gated cryptography)",
        ),
        Error::MaximumPathDepthExceeded => {
            format!("{} issuers one above the other", steps.len() - 1)
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => signature(path),
        Error::NameConstraintViolation | Error::UnsupportedNameType => {
            "its issuer may issue for certain directory names only".to_owned()
        }
        Error::PathLenConstraintViolated => {
            "an issuer has issued itself another certificate under a path length".to_owned()
        }
        Error::BadDerTime => "its dates begin before 1970".to_owned(),
        Error::MaximumSignatureChecksExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => {
            "too many possible issuers or names to try".to_owned()
        }
        _ => "it has a form that cannot be read here".to_owned(),
    }
}

fn different_names(steps: &[Step<'_>]) -> String {
    let pairs = steps.iter().zip(&steps[1..]);
    let differ = pairs
        .clone()
        .find(|(one, issuer)| one.parts.issuer != issuer.parts.subject);
    match differ {
        Some((one, issuer)) => format!(
            "{} names its issuer {}, which calls itself {}: they differ in string type, case or \
             spaces",
            one.parts.subject_text(),
            name::text(one.parts.issuer),
            issuer.parts.subject_text()
        ),
        None => "two issuers have the same name and key".to_owned(),
    }
}

/// Which signature it is that cannot be verified.
fn signature(path: &Path<'_>) -> String {
    let mut steps = path.steps.iter().peekable();
    while let Some(step) = steps.next() {
        let key = match (steps.peek(), path.anchors.first()) {
            (Some(issuer), _) => issuer.parts.key,
            (None, Some(anchor)) => anchor.subject_public_key_info.as_ref(),
            (None, None) => step.parts.key,
        };
        if let Some(kind) = unusual(step.parts.signature, key) {
            return format!("{} is signed with {kind}", step.parts.subject_text());
        }
    }
    "it is signed in an unusual way".to_owned()
}

/// A signature algorithm or a key that is not among those that are verified here.
fn unusual(signature: &[u8], key: &[u8]) -> Option<String> {
    let oid = name::dotted(Elements(signature).expect(OID)?);
    let mut algorithm = Elements(Elements(key).expect(SEQUENCE)?);
    let kind = name::dotted(algorithm.expect(OID)?);
    let curve = algorithm.expect(OID).map(name::dotted).unwrap_or_default();
    let known_curve = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
    let what = match (oid.as_str(), curve.as_str()) {
        ("1.3.101.113", _) => "Ed448",
        ("1.2.840.10045.4.3.1" | "1.2.840.113549.1.1.14", _) => "SHA-224",
        (_, "1.3.132.0.33") => "a key on P-224",
        (_, "1.3.132.0.10") => "a key on secp256k1",
        ("1.2.840.10045.4.3.2" | "1.2.840.10045.4.3.3" | "1.2.840.10045.4.3.4", curve)
            if known_curve.contains(&curve) =>
        {
            return None;
        }
        ("1.2.840.113549.1.1.11" | "1.2.840.113549.1.1.12" | "1.2.840.113549.1.1.13", _)
        | ("1.3.101.112", _) => return None,
        _ => {
            let what = format!("the algorithm {oid} and a key of {kind} {curve}");
            return Some(what.trim_end().to_owned());
        }
    };
    Some(what.to_owned())
}

/// Whether an issuer is limited in other names than those of hosts, addresses and mail.
fn constrains_directories(path: &Path<'_>) -> bool {
    const DIRECTORY: u8 = 0xa4;
    let constraints = path
        .steps
        .iter()
        .filter_map(|step| step.uses.name_constraints);
    constraints.into_iter().any(|constraints| {
        Elements(constraints).any(|(_, list)| {
            Elements(list).any(|(_, subtree)| Elements(subtree).expect(DIRECTORY).is_some())
        })
    })
}

/// Whether it has an extension that OpenSSL lets be critical, but webpki does not.
fn has_critical_policies(step: &Step<'_>) -> bool {
    const KNOWN: [u8; 6] = [15, 17, 19, 30, 31, 37];
    let mut extensions = step.parts.extensions().flatten();
    extensions.any(|extension| {
        let known = matches!(extension.kind, [0x55, 0x1d, last] if KNOWN.contains(last));
        extension.critical && !known
    })
}
