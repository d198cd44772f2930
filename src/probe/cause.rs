//! webpki's error, made a cause that an operator can act on.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::InvalidNameContext;

use crate::certificate::{Certificate, CertificateFailure};

/// The same instant as a span, which certificates are compared in.
pub(super) fn since_epoch(time: UnixTime) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// Makes webpki's error a cause, with what the certificates say about it.
pub(super) fn explain(
    error: webpki::Error,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> CertificateFailure {
    use webpki::Error;
    let now = since_epoch(now);
    let chain: Vec<Certificate> = std::iter::once(leaf)
        .chain(intermediates)
        .filter_map(Certificate::read)
        .collect();
    let subject_where = |found: &dyn Fn(&Certificate) -> bool| {
        let certificate = chain.iter().find(|certificate| found(certificate));
        certificate.map_or_else(|| "(unreadable)".to_owned(), |found| found.subject.clone())
    };
    match error {
        Error::CertExpired { not_after, .. } => {
            let not_after = since_epoch(not_after);
            CertificateFailure::Expired {
                subject: subject_where(&|certificate| certificate.not_after == not_after),
                ago: now.saturating_sub(not_after),
            }
        }
        Error::CertNotValidYet { not_before, .. } => {
            let not_before = since_epoch(not_before);
            CertificateFailure::NotYetValid {
                subject: subject_where(&|certificate| certificate.not_before == not_before),
                ahead: not_before.saturating_sub(now),
            }
        }
        Error::CertNotValidForName(InvalidNameContext {
            expected,
            presented,
        }) => CertificateFailure::OtherName {
            wanted: expected.to_str().into_owned(),
            presented: presented.iter().map(|name| bare_name(name)).collect(),
        },
        Error::UnknownIssuer => issuer_unknown(&chain),
        // What `openssl req -x509` makes is a CA; nobody is told more by that than by this.
        Error::CaUsedAsEndEntity if is_self_signed(&chain) => issuer_unknown(&chain),
        other => CertificateFailure::Invalid(describe(&other)),
    }
}

fn is_self_signed(chain: &[Certificate]) -> bool {
    chain
        .first()
        .is_some_and(|leaf| leaf.subject == leaf.issuer)
}

/// Follows the chain from the leaf to the issuer that nobody sent and nobody trusts.
fn issuer_unknown(chain: &[Certificate]) -> CertificateFailure {
    let mut issuer = chain
        .first()
        .map_or("(unreadable)", |leaf| leaf.issuer.as_str());
    for _ in chain {
        match chain
            .iter()
            .find(|next| next.subject == issuer && next.issuer != issuer)
        {
            Some(next) => issuer = next.issuer.as_str(),
            None => break,
        }
    }
    CertificateFailure::IssuerUnknown {
        issuer: issuer.to_owned(),
        self_signed: is_self_signed(chain),
    }
}

/// webpki presents names in the form `DnsName("a.example")` or `IpAddress(192.0.2.7)`.
fn bare_name(presented: &str) -> String {
    let inner = presented
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"').to_owned()
}

fn describe(error: &webpki::Error) -> String {
    use webpki::Error;
    let words = match error {
        Error::CertRevoked => "it is revoked (--crl-file)",
        Error::UnknownRevocationStatus => "no list of --crl-file covers its issuer",
        Error::CrlExpired { .. } => "the list in --crl-file has ended",
        Error::InvalidSignatureForPublicKey => "bad signature",
        Error::InvalidCrlSignatureForPublicKey => "bad signature of the list in --crl-file",
        Error::InvalidCertValidity => "it ends before it begins",
        Error::BadDerTime => "its dates cannot be read",
        Error::MaximumSignatureChecksExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => {
            "too many possible issuers or names to try"
        }
        Error::CaUsedAsEndEntity => "a CA certificate used as a server's",
        Error::EndEntityUsedAsCa => "issued by a certificate that is no CA",
        Error::NameConstraintViolation => "its issuer may not issue for this name",
        Error::PathLenConstraintViolated => "its issuer's path length is exceeded",
        Error::RequiredEkuNotFoundContext(_) => "it is not meant for servers (extended key usage)",
        Error::UnsupportedCertVersion => "it is not an X.509 version 3 certificate",
        Error::UnsupportedSignatureAlgorithmContext(_) => {
            "signed with an algorithm that is unsafe or unsupported"
        }
        Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "signed with a key that is unsafe or unsupported"
        }
        other => return other.to_string(),
    };
    words.to_owned()
}
