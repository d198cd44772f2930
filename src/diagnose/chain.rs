//! A certificate in the words of the report.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_cert::der::Decode;

use crate::certificate::Certificate;
use crate::report::{date, now};

/// One line for a certificate of the chain.
pub(super) fn describe(der: &CertificateDer<'_>) -> String {
    let Some(certificate) = Certificate::read(der) else {
        return "unreadable".to_owned();
    };
    let Certificate {
        subject,
        issuer,
        not_before,
        not_after,
    } = &certificate;
    format!(
        "{subject}, by {issuer}, {}, {} to {} ({} days left)",
        key_type(der),
        date(*not_before),
        date(*not_after),
        certificate.days_left(now())
    )
}

/// The DNS names a certificate is for.
pub(super) fn names(der: &CertificateDer<'_>) -> Vec<String> {
    match EndEntityCert::try_from(der) {
        Ok(leaf) => leaf.valid_dns_names().map(str::to_owned).collect(),
        Err(_) => Vec::new(),
    }
}

/// The subject of a leaf, for whose certificate it is.
pub(super) fn whose(chain: &[CertificateDer<'_>]) -> String {
    let Some(leaf) = chain.first() else {
        return "(none)".to_owned();
    };
    let names = names(leaf);
    match Certificate::read(leaf) {
        _ if !names.is_empty() => names[..names.len().min(10)].join(", "),
        Some(certificate) => certificate.subject,
        None => "(unreadable)".to_owned(),
    }
}

fn key_type(der: &CertificateDer<'_>) -> &'static str {
    let Ok(certificate) = x509_cert::Certificate::from_der(der) else {
        return "unreadable key";
    };
    let key = certificate.tbs_certificate().subject_public_key_info();
    let curve = key.algorithm.parameters.as_ref();
    let curve = curve.and_then(|any| {
        any.decode_as::<x509_cert::der::oid::ObjectIdentifier>()
            .ok()
    });
    let curve = curve.map(|oid| oid.to_string()).unwrap_or_default();
    match (key.algorithm.oid.to_string().as_str(), curve.as_str()) {
        ("1.2.840.113549.1.1.1", _) => "RSA",
        ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7") => "ECDSA P-256",
        ("1.2.840.10045.2.1", "1.3.132.0.34") => "ECDSA P-384",
        ("1.2.840.10045.2.1", _) => "ECDSA",
        ("1.3.101.112", _) => "Ed25519",
        _ => "other key",
    }
}
