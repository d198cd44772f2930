//! All that is wrong with a certificate, for a diagnosis.

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::EndEntityCert;

use super::cause::{explain, since_epoch};
use crate::certificate::CertificateFailure;
use crate::plan::Verification;

/// All that is wrong with a chain, where a check stops at the first: a certificate that has ended
/// does not hide that it is for another name, too.
pub fn faults(
    verification: &Verification,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Vec<CertificateFailure> {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Vec::new();
    };
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let mut faults = Vec::new();
    let mut at = now;
    // Each round looks from within the validity of what the last one found expired.
    for _ in 0..=chain.len() {
        match verification.judge(algorithms, leaf, intermediates, at) {
            Err(failure @ CertificateFailure::Expired { ago, .. }) => {
                at = UnixTime::since_unix_epoch(since_epoch(at).saturating_sub(ago));
                if !faults.contains(&failure) {
                    faults.push(failure);
                }
            }
            // That a younger issuer did not exist then is no fault.
            Err(CertificateFailure::NotYetValid { .. }) if at != now => break,
            Err(failure) => {
                faults.push(failure);
                break;
            }
            Ok(_) => break,
        }
    }
    let named = EndEntityCert::try_from(leaf)
        .and_then(|leaf| leaf.verify_is_valid_for_subject_name(&verification.name));
    if let Err(error @ webpki::Error::CertNotValidForName(_)) = named {
        let failure = explain(error, leaf, intermediates, now);
        if !faults.contains(&failure) {
            faults.push(failure);
        }
    }
    faults
}

/// All names and IP addresses a certificate is for.
pub fn names(leaf: &CertificateDer<'_>) -> Vec<String> {
    let nobodys = ServerName::from(std::net::Ipv6Addr::UNSPECIFIED);
    let named = EndEntityCert::try_from(leaf)
        .and_then(|leaf| leaf.verify_is_valid_for_subject_name(&nobodys));
    match named.map_err(|error| explain(error, leaf, &[], UnixTime::now())) {
        Err(CertificateFailure::OtherName { presented, .. }) => presented,
        _ => Vec::new(),
    }
}
