//! Finds several faults of a certificate chain, for a diagnosis.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::hostname;
use crate::certificate::{CertificateFailure, Parts};
use crate::plan::{Verification, VerifiedName};

/// Returns the expired certificates of a chain, the first other fault, and a wrong name. A check stops at the
/// first fault. This function also reports, for example, that an expired certificate is for another name.
pub fn faults(
    verification: &Verification,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Vec<CertificateFailure> {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    let mut at = now;
    // If a round finds an expired certificate, the next round judges the chain at a time when that
    // certificate was still valid.
    for _ in 0..=chain.len() {
        match verification.judge(leaf, intermediates, at) {
            Err(failure @ CertificateFailure::Expired { ago, .. }) => {
                at = UnixTime::since_unix_epoch(
                    Duration::from_secs(at.as_secs()).saturating_sub(ago),
                );
                if !faults.contains(&failure) {
                    faults.push(failure);
                }
            }
            // A younger issuer may not have been valid yet at that time, which isn't a fault.
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

/// Returns true if a certificate is for this DNS name.
pub fn is_for(leaf: &CertificateDer<'_>, name: &str) -> bool {
    let name = VerifiedName::Text(name.to_owned());
    Parts::read(leaf).is_some_and(|leaf| hostname::is_for(&leaf, &name))
}

/// Returns the names and IP addresses in a certificate, as sni-check shows them.
pub fn names(leaf: &CertificateDer<'_>) -> Vec<String> {
    Parts::read(leaf).map_or_else(Vec::new, |leaf| hostname::names(&leaf))
}
