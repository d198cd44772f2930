//! The verdict on a certificate: OpenSSL's path and rules, HAProxy's names, webpki's signatures,
//! constraints and revocation.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, Der, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

use super::cause::explain;
use super::path::{Path, Step};
use super::{hostname, rules};
use crate::certificate::element::Elements;
use crate::certificate::{Certificate, CertificateFailure, seconds, uses};
use crate::plan::{List, Verification};

impl Verification {
    /// Judges chain, validity, use, revocation and name; gives the path to the root.
    pub(super) fn judge<'a>(
        &'a self,
        algorithms: WebPkiSupportedAlgorithms,
        leaf: &'a CertificateDer<'a>,
        intermediates: &'a [CertificateDer<'a>],
        now: UnixTime,
    ) -> Result<Path<'a>, CertificateFailure> {
        let leaf = Step::read(leaf).ok_or_else(unreadable)?;
        let sent: Option<Vec<Step<'_>>> = intermediates.iter().map(|der| Step::read(der)).collect();
        let sent = sent.ok_or_else(unreadable)?;
        // One that has ended is told as that, whoever issued it.
        judge_validity(&leaf, seconds(now))?;
        let path = Path::find(leaf, sent, &self.trust, seconds(now))?;
        for step in &path.steps {
            judge_validity(step, seconds(now))?;
        }
        judge_use(&path)?;
        self.verify(algorithms, &path, now)?;
        self.judge_name(&path)?;
        Ok(path)
    }

    /// webpki's part. It is given this path and no other to choose from, which bounds its work.
    fn verify(
        &self,
        algorithms: WebPkiSupportedAlgorithms,
        path: &Path<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateFailure> {
        let explain = |error| explain(error, path);
        let der: Vec<CertificateDer<'_>> = path
            .steps
            .iter()
            .map(|step| CertificateDer::from(step.parts.der))
            .collect();
        let leaf = EndEntityCert::try_from(&der[0]).map_err(explain)?;
        let lists = self.lists_for(path, seconds(now))?;
        if der.len() == 1 && path.anchors.is_empty() && lists.is_empty() {
            // Trusted as it is, like every root: OpenSSL looks at no signature of its own.
            return Ok(());
        }
        let (anchors, between) = match path.anchors.is_empty() {
            true => (vec![anchor(path)], 1..(der.len() - 1).max(1)),
            false => (
                path.anchors.iter().map(|one| (*one).clone()).collect(),
                1..der.len(),
            ),
        };
        // As strict as HAProxy's crl-file: the whole chain, no unknown status, no list that ended.
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        leaf.verify_for_usage(
            algorithms.all,
            &anchors,
            &der[between],
            now,
            KeyUsage::server_auth(),
            revocation,
            None,
        )
        .map_err(|error| match error {
            webpki::Error::CertRevoked if takes_back(path, &lists) => {
                let what = "a list in --crl-file takes a revocation back (removeFromCRL)";
                CertificateFailure::Limit(what.to_owned())
            }
            error => explain(error),
        })?;
        judge_root(path, &lists)
    }

    /// For each issuer of the path the list that OpenSSL would take: one that is valid, else the
    /// latest.
    fn lists_for(
        &self,
        path: &Path<'_>,
        now: i64,
    ) -> Result<Vec<&CertRevocationList<'static>>, CertificateFailure> {
        let mut chosen: Vec<&CertRevocationList<'static>> = Vec::new();
        if self.lists.is_empty() {
            return Ok(chosen);
        }
        for step in &path.steps {
            let of_issuer = self
                .lists
                .iter()
                .filter(|list| list.is_of(step.parts.issuer));
            let is_valid = |list: &List| {
                list.this_update.is_some_and(|made| made <= now)
                    && list.next_update.is_none_or(|next| now <= next)
            };
            // Of equals the first, as OpenSSL does.
            let best = of_issuer
                .rev()
                .max_by_key(|list| (is_valid(list), list.this_update));
            let Some(best) = best else { continue };
            if best.this_update.is_none_or(|made| made > now) {
                return Err(invalid("the list in --crl-file is not valid yet"));
            }
            match &best.list {
                Ok(list) if chosen.iter().any(|one| std::ptr::eq(*one, list)) => {}
                Ok(list) => chosen.push(list),
                Err(kind) => {
                    let what = format!("its issuer's list in --crl-file is one {kind}");
                    return Err(CertificateFailure::Limit(what));
                }
            }
        }
        match chosen.is_empty() {
            true => Err(invalid("no list of --crl-file covers its issuer")),
            false => Ok(chosen),
        }
    }

    fn judge_name(&self, path: &Path<'_>) -> Result<(), CertificateFailure> {
        let leaf = &path.steps[0].parts;
        if !hostname::is_for(leaf, &self.name, self.addresses) {
            return Err(CertificateFailure::OtherName {
                wanted: self.name.to_str().into_owned(),
                presented: hostname::names(leaf),
            });
        }
        if !hostname::has_dns_name(leaf) && constrains_dns_names(path) {
            let what = "its issuer may issue for certain names only, and its own is in the common \
                        name alone";
            return Err(CertificateFailure::Limit(what.to_owned()));
        }
        Ok(())
    }
}

fn unreadable() -> CertificateFailure {
    invalid("a certificate that was sent cannot be read")
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
        return Err(invalid(&format!("{} ends before it begins", subject())));
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
        // The root is still to come.
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

/// The root as webpki wants it, with the name that whoever it issued calls it by: the two may be
/// spelled differently.
fn anchor<'a>(path: &Path<'a>) -> TrustAnchor<'a> {
    let steps = &path.steps;
    let root = &steps[steps.len() - 1];
    let issued = &steps[steps.len().saturating_sub(2)];
    TrustAnchor {
        subject: Der::from_slice(issued.parts.issuer),
        subject_public_key_info: Der::from_slice(root.parts.key),
        name_constraints: root.uses.name_constraints.map(Der::from_slice),
    }
}

/// What a list says of the root itself; to webpki that is a name and a key.
fn judge_root(
    path: &Path<'_>,
    lists: &[&CertRevocationList<'static>],
) -> Result<(), CertificateFailure> {
    let root = &path.steps[path.steps.len() - 1];
    if lists.is_empty() || !path.anchors.is_empty() {
        return Ok(());
    }
    if root
        .uses
        .key_usage
        .is_some_and(|usage| usage & uses::CRL_SIGN == 0)
    {
        return Err(invalid(&format!(
            "{} may not sign the list in --crl-file",
            root.parts.subject_text()
        )));
    }
    let own = lists
        .iter()
        .find(|list| list.issuer() == root.parts.subject);
    match own.map(|list| list.find_serial(root.parts.serial)) {
        Some(Ok(Some(_)) | Err(_)) => Err(invalid(&format!(
            "{} is revoked (--crl-file)",
            root.parts.subject_text()
        ))),
        _ => Ok(()),
    }
}

/// Whether a list has an entry that is none: it takes an earlier one back.
fn takes_back(path: &Path<'_>, lists: &[&CertRevocationList<'static>]) -> bool {
    path.steps.iter().any(|step| {
        lists.iter().any(|list| {
            let entry = list.find_serial(step.parts.serial).ok().flatten();
            let reason = entry.and_then(|entry| entry.reason_code);
            reason == Some(webpki::RevocationReason::RemoveFromCrl)
        })
    })
}

/// Whether an issuer may issue for certain DNS names only, or for all but them.
fn constrains_dns_names(path: &Path<'_>) -> bool {
    const DNS_NAME: u8 = 0x82;
    let own = path.steps[1..]
        .iter()
        .filter_map(|step| step.uses.name_constraints);
    let of_anchors = path.anchors.iter();
    let of_anchors = of_anchors.filter_map(|anchor| anchor.name_constraints.as_deref());
    own.chain(of_anchors).any(|constraints| {
        Elements(constraints).any(|(_, list)| {
            Elements(list).any(|(_, subtree)| Elements(subtree).expect(DNS_NAME).is_some())
        })
    })
}

/// The certificate of a path that ends first. Of an issuer that was made again with its name and key,
/// and is here too, the one counts that ends last.
pub(super) fn first_to_end(path: &Path<'_>, rules: &Verification, now: i64) -> Option<Certificate> {
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
