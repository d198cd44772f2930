//! A certificate in the words of the report.

use rustls::pki_types::CertificateDer;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Header, SliceReader};

use crate::certificate::{Certificate, days};
use crate::output::date::{date, now};
use crate::output::mark::Mark;
use crate::probe;

/// One line for a certificate of the chain.
pub(super) fn describe(der: &CertificateDer<'_>) -> (Mark, String) {
    let Some(certificate) = Certificate::read(der) else {
        return (Mark::Problem, "unreadable".to_owned());
    };
    let Certificate {
        subject,
        issuer,
        not_before,
        not_after,
    } = &certificate;
    let now = now();
    let (mark, left) = if now > *not_after {
        let ago = days(now - *not_after);
        (Mark::Problem, format!("ended {ago} days ago"))
    } else if now < *not_before {
        let ahead = days(*not_before - now);
        (Mark::Problem, format!("begins in {ahead} days"))
    } else {
        let left = certificate.days_left(now);
        (Mark::Ok, format!("{left} days left"))
    };
    let (begin, end) = (day(*not_before), day(*not_after));
    let key = key_type(der);
    let text = format!("{subject}, issued by {issuer}; {key}; {begin} to {end}, {left}");
    (mark, text)
}

fn day(since_epoch: std::time::Duration) -> String {
    let date = date(since_epoch);
    date.split('T').next().unwrap_or(&date).to_owned()
}

/// Whose certificate the leaf is.
pub(super) fn whose(chain: &[CertificateDer<'_>]) -> String {
    const SHOWN: usize = 10;
    let Some(leaf) = chain.first() else {
        return "(none)".to_owned();
    };
    let names = probe::names(leaf);
    match Certificate::read(leaf) {
        _ if !names.is_empty() => names[..names.len().min(SHOWN)].join(", "),
        Some(certificate) => certificate.subject,
        None => "(unreadable)".to_owned(),
    }
}

/// Algorithm and size, as people say it.
fn key_type(der: &CertificateDer<'_>) -> String {
    let Ok(certificate) = x509_cert::Certificate::from_der(der) else {
        return "unreadable key".to_owned();
    };
    let key = certificate.tbs_certificate().subject_public_key_info();
    let parameters = key.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    let curve = curve.map(|oid| oid.to_string()).unwrap_or_default();
    let name = match (key.algorithm.oid.to_string().as_str(), curve.as_str()) {
        ("1.2.840.113549.1.1.1", _) => {
            let bits = key.subject_public_key.as_bytes().and_then(rsa_bits);
            return bits.map_or("RSA".to_owned(), |bits| format!("RSA {bits}"));
        }
        ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7") => "ECDSA P-256",
        ("1.2.840.10045.2.1", "1.3.132.0.34") => "ECDSA P-384",
        ("1.2.840.10045.2.1", "1.3.132.0.35") => "ECDSA P-521",
        ("1.2.840.10045.2.1", _) => "ECDSA",
        ("1.3.101.112", _) => "Ed25519",
        _ => "other key",
    };
    name.to_owned()
}

/// The length of the modulus of an RSAPublicKey (RFC 8017, appendix A.1.1), in bits.
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(key).ok()?;
    Header::decode(&mut reader).ok()?;
    let modulus = UintRef::decode(&mut reader).ok()?;
    let bytes = modulus.as_bytes();
    let unused = usize::try_from(bytes.first()?.leading_zeros()).ok()?;
    Some(bytes.len() * 8 - unused)
}
