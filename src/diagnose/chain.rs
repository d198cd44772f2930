//! A certificate in the words of the report.

use rustls::pki_types::CertificateDer;

use crate::certificate::{Certificate, Parts, days, in_days, key_type};
use crate::output::date::{day, now};
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
        (Mark::Problem, format!("ended {} ago", in_days(ago)))
    } else if now < *not_before {
        let ahead = days(*not_before - now);
        (Mark::Problem, format!("begins in {}", in_days(ahead)))
    } else {
        let left = certificate.days_left(now);
        (Mark::Ok, format!("{} left", in_days(left)))
    };
    let (begin, end) = (day(*not_before), day(*not_after));
    let key = Parts::read(der).map_or_else(String::new, |parts| key_type(&parts));
    let text = format!("{subject}, issued by {issuer}; {key}; {begin} to {end}, {left}");
    (mark, text)
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
