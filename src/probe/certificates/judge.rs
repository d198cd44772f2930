//! Judges a certificate. The path, the rules, name constraints and revocation follow OpenSSL. The comparison
//! of names follows HAProxy.

use std::cell::RefCell;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::path::{Path, Step};
use super::{chain, hostname, revocation, rules};
use crate::certificate::{Certificate, CertificateFailure, seconds};
use crate::plan::{Trusted, Verification};

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
        let now = seconds(now);
        judge_validity(&leaf, now)?;
        let path = Path::find(leaf, sent, &self.trust, now)?;
        path.steps
            .iter()
            .try_for_each(|step| judge_validity(step, now))?;
        judge_use(&path)?;
        let anchor = chain::verify_signatures(&path)?;
        chain::check_names(&path, anchor)?;
        let lists = revocation::Judge {
            path: &path,
            anchor,
            now,
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
    let from_now = |time: i64| std::time::Duration::from_secs(now.abs_diff(time));
    Err(match (step.parts.not_before, step.parts.not_after) {
        (Some(begin), Some(end)) if end < begin => invalid(&format!(
            "the validity of {} ends before it begins",
            subject()
        )),
        (Some(_), Some(end)) if now > end => CertificateFailure::Expired {
            subject: subject(),
            ago: from_now(end),
        },
        (Some(begin), Some(_)) if now < begin => CertificateFailure::NotYetValid {
            subject: subject(),
            ahead: from_now(begin),
        },
        (Some(_), Some(_)) => return Ok(()),
        _ => invalid(&format!("the dates of {} cannot be read", subject())),
    })
}

fn judge_use(path: &Path<'_>) -> Result<(), CertificateFailure> {
    let last = match path.anchors.is_empty() {
        true => path.steps.len() - 1,
        // The root has no certificate, so the last step isn't the root.
        false => path.steps.len(),
    };
    let mut steps = path.steps.iter().enumerate();
    let broken = steps.find_map(|(place, step)| rules::broken_by(step, place, last));
    let failure = broken.or_else(|| rules::exceeds_path_length(&path.steps));
    failure.map_or(Ok(()), Err)
}

/// Returns the certificate that expires first on a path. The trusted certificates may contain a renewed
/// version of an issuer, with the same name and key. In that case, the version that expires last counts.
pub(super) fn first_to_expire(
    path: &Path<'_>,
    rules: &Verification,
    now: i64,
) -> Option<Certificate> {
    let ends = path.steps.iter().enumerate().map(|(place, step)| {
        let trusted = rules.trust.certificates().iter();
        let twins = trusted.filter_map(Trusted::parts).filter(|twin| {
            place > 0
                && twin.key == step.parts.key
                && twin.subject == step.parts.subject
                && twin.not_before.is_some_and(|begin| begin <= now)
        });
        twins.chain([step.parts]).max_by_key(|twin| twin.not_after)
    });
    let first = ends.flatten().min_by_key(|step| step.not_after)?;
    Certificate::of(&first)
}
