//! All that is wrong with a certificate, for a diagnosis.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::{hostname, signature};
use crate::certificate::{CertificateFailure, Parts};
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
    let algorithms = signature::ALGORITHMS;
    let mut faults = Vec::new();
    let mut at = now;
    // Each round looks from within the validity of what the last one found expired.
    for _ in 0..=chain.len() {
        match verification.judge(algorithms, leaf, intermediates, at) {
            Err(failure @ CertificateFailure::Expired { ago, .. }) => {
                at = UnixTime::since_unix_epoch(
                    Duration::from_secs(at.as_secs()).saturating_sub(ago),
                );
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
    let named = Parts::read(leaf).filter(|leaf| !hostname::is_for(leaf, &verification.name));
    if let Some(leaf) = named {
        let failure = CertificateFailure::OtherName {
            wanted: verification.name.to_str().into_owned(),
            presented: hostname::names(&leaf),
        };
        if !faults.contains(&failure) {
            faults.push(failure);
        }
    }
    faults
}

/// All names and IP addresses a certificate is for.
pub fn names(leaf: &CertificateDer<'_>) -> Vec<String> {
    Parts::read(leaf).map_or_else(Vec::new, |leaf| hostname::names(&leaf))
}
