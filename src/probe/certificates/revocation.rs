//! What revocation lists say of a path, beside what webpki finds in them: which list counts, and
//! whether the root itself is in it.

use webpki::{CertRevocationList, RevocationReason};

use super::path::Path;
use crate::certificate::{CertificateFailure, uses};
use crate::plan::List;

/// For each issuer of the path the list that OpenSSL would take: one that is valid, else the
/// latest.
pub(super) fn lists_for<'l>(
    lists: &'l [List],
    path: &Path<'_>,
    now: i64,
) -> Result<Vec<&'l CertRevocationList<'static>>, CertificateFailure> {
    let mut chosen: Vec<&'l CertRevocationList<'static>> = Vec::new();
    if lists.is_empty() {
        return Ok(chosen);
    }
    for step in &path.steps {
        let of_issuer = lists.iter().filter(|list| list.is_of(step.parts.issuer));
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
            return Err(no_list("the list in --crl-file is not valid yet"));
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
        true => Err(no_list("no list of --crl-file covers its issuer")),
        false => Ok(chosen),
    }
}

/// What a list says of the root itself; to webpki that is a name and a key.
pub(super) fn judge_root(
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
        return Err(no_list(&format!(
            "{} may not sign the list in --crl-file",
            root.parts.subject_text()
        )));
    }
    let own = lists
        .iter()
        .find(|list| list.issuer() == root.parts.subject);
    match own.map(|list| list.find_serial(root.parts.serial)) {
        Some(Ok(Some(_)) | Err(_)) => Err(CertificateFailure::Revoked(format!(
            "{} is revoked (--crl-file)",
            root.parts.subject_text()
        ))),
        _ => Ok(()),
    }
}

/// Whether a list has an entry that is none: it takes an earlier one back.
pub(super) fn takes_back(path: &Path<'_>, lists: &[&CertRevocationList<'static>]) -> bool {
    path.steps.iter().any(|step| {
        lists.iter().any(|list| {
            let entry = list.find_serial(step.parts.serial).ok().flatten();
            let reason = entry.and_then(|entry| entry.reason_code);
            reason == Some(RevocationReason::RemoveFromCrl)
        })
    })
}

fn no_list(what: &str) -> CertificateFailure {
    CertificateFailure::NoValidList(what.to_owned())
}
