//! Judges a certificate. The path, the rules, name constraints and revocation follow OpenSSL. The comparison
//! of names follows HAProxy.

use std::cell::RefCell;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::path::{Path, Step};
use super::{chain, hostname, revocation, rules};
use crate::certificate::{Certificate, CertificateFailure, seconds};
use crate::plan::Verification;

impl Verification {
    /// Judges the chain, the validity, the use, the revocation and the name. Returns the path to the root.
    pub(super) fn judge<'a>(
        &'a self,
        leaf: &'a CertificateDer<'a>,
        intermediates: &'a [CertificateDer<'a>],
        now: UnixTime,
    ) -> Result<Path<'a>, CertificateFailure> {
        let leaf = Step::read(leaf).ok_or_else(unreadable)?;
        let sent: Option<Vec<Step<'_>>> = intermediates.iter().map(|der| Step::read(der)).collect();
        let sent = sent.ok_or_else(unreadable)?;
        // Report an expired leaf as expired, even if its issuer is unknown too.
        judge_validity(&leaf, seconds(now))?;
        let path = Path::find(leaf, sent, &self.trust, seconds(now))?;
        for step in &path.steps {
            judge_validity(step, seconds(now))?;
        }
        judge_use(&path)?;
        let anchor = chain::verify_signatures(&path)?;
        chain::check_names(&path, anchor)?;
        let lists = revocation::Judge {
            path: &path,
            anchor,
            now: seconds(now),
            verified: RefCell::default(),
        };
        lists.judge(&self.lists)?;
        self.judge_name(&path)?;
        Ok(path)
    }

    fn judge_name(&self, path: &Path<'_>) -> Result<(), CertificateFailure> {
        let leaf = &path.steps[0].parts;
        if !hostname::is_for(leaf, &self.name) {
            return Err(CertificateFailure::OtherName {
                wanted: self.name.to_str().into_owned(),
                presented: hostname::names(leaf),
            });
        }
        Ok(())
    }
}

fn unreadable() -> CertificateFailure {
    invalid("the server sent a certificate that cannot be read")
}

fn invalid(what: &str) -> CertificateFailure {
    CertificateFailure::Invalid(what.to_owned())
}

fn judge_validity(step: &Step<'_>, now: i64) -> Result<(), CertificateFailure> {
    let subject = || step.parts.subject_text();
    let (Some(begin), Some(end)) = (step.parts.not_before, step.parts.not_after) else {
        return Err(invalid(&format!(
            "the dates of {} cannot be read",
            subject()
        )));
    };
    let span = |from: i64, to: i64| std::time::Duration::from_secs(from.abs_diff(to));
    if end < begin {
        return Err(invalid(&format!(
            "the validity of {} ends before it begins",
            subject()
        )));
    }
    if now > end {
        return Err(CertificateFailure::Expired {
            subject: subject(),
            ago: span(now, end),
        });
    }
    if now < begin {
        return Err(CertificateFailure::NotYetValid {
            subject: subject(),
            ahead: span(now, begin),
        });
    }
    Ok(())
}

fn judge_use(path: &Path<'_>) -> Result<(), CertificateFailure> {
    let last = match path.anchors.is_empty() {
        true => path.steps.len() - 1,
        // The root has no certificate, so the last step isn't the root.
        false => path.steps.len(),
    };
    for (place, step) in path.steps.iter().enumerate() {
        if let Some(failure) = rules::broken_by(step, place, last) {
            return Err(failure);
        }
    }
    match rules::exceeded(&path.steps) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Returns the certificate that expires first on a path. The trusted certificates may contain a renewed
/// version of an issuer, with the same name and key. In that case, the version that expires last counts.
pub(super) fn first_to_expire(
    path: &Path<'_>,
    rules: &Verification,
    now: i64,
) -> Option<Certificate> {
    let ends = path.steps.iter().enumerate().map(|(place, step)| {
        let twins = rules
            .trust
            .certificates()
            .iter()
            .filter_map(|one| one.parts());
        let twins = twins.filter(|twin| {
            place > 0
                && twin.key == step.parts.key
                && twin.subject == step.parts.subject
                && twin.not_before.is_some_and(|begin| begin <= now)
        });
        twins
            .chain([step.parts])
            .max_by_key(|certificate| certificate.not_after)
    });
    let first = ends
        .flatten()
        .min_by_key(|certificate| certificate.not_after)?;
    Certificate::of(&first)
}
