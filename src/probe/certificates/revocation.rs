//! Judges revocation as OpenSSL does with HAProxy's `crl-file` (`check_revocation` in its x509_vfy.c). Each
//! certificate of the path needs a list that covers it and doesn't contain it.
//!
//! HAProxy sets X509_V_FLAG_CRL_CHECK_ALL, and no flag for deltas or indirect lists. OpenSSL versions
//! disagree in some cases. We apply the rules of each version. The server is UP only if all versions accept
//! the certificate.

use std::cell::RefCell;

use rustls::pki_types::{SubjectPublicKeyInfoDer, TrustAnchor};
use webpki::spki_for_anchor;

use super::path::{Path, Step};
use super::signature::Flaw;
use crate::certificate::distribution_point::{self, DistributionPoint, EVERY_REASON, IssuingPoint};
use crate::certificate::uses::{self, Authority};
use crate::certificate::{CertificateFailure, Facts, RevocationList, Status, general_name, name};
use crate::plan::List;

/// Judges a path by the lists of `--crl-file`.
pub(super) struct Judge<'p, 'a> {
    /// The path. Every certificate on it needs a list.
    pub path: &'p Path<'a>,
    /// The root that has issued the last certificate of the path, if the path doesn't contain this
    /// root.
    pub anchor: Option<&'p TrustAnchor<'p>>,
    /// The time, in seconds since the epoch.
    pub now: i64,
    /// The lists whose signatures have been verified: the address of each list in memory, and the signer's
    /// key. Verifying a list of many megabytes takes time.
    pub verified: RefCell<Vec<(*const u8, Vec<u8>)>>,
}

/// A list of `--crl-file` that may cover a certificate.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    list: RevocationList<'a>,
    facts: &'a Facts,
}

/// The list that OpenSSL chooses.
struct Chosen<'a> {
    candidate: Candidate<'a>,
    signer: Signer<'a>,
    score: u16,
    /// The reasons for revocation that this list and the previous lists cover.
    reasons: u16,
}

/// The bits of a score (OpenSSL's CRL_SCORE_*). The list with the highest score fits a certificate best.
const NO_CRITICAL: u16 = 0x100;
const IN_SCOPE: u16 = 0x80;
const IN_TIME: u16 = 0x40;
const BY_ISSUER: u16 = 0x18;
const ON_PATH: u16 = 0x08;

/// The rules of different OpenSSL versions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// OpenSSL 3.0, tested with HAProxy 2.6. A delta counts as a full list, and
    /// issuingDistributionPoint may be empty.
    Older,
    /// OpenSSL 3.5 and 3.6, tested with HAProxy 3.0 and 3.2. Deltas and lists with an empty
    /// issuingDistributionPoint aren't used. A list must name a single signature algorithm and have
    /// readable dates. For a self-signed certificate, OpenSSL 3.6 uses no list.
    Newer,
}

impl Candidate<'_> {
    /// Returns true if the older and the newer rules may treat this list differently.
    fn is_disputed(&self) -> bool {
        let is_empty = self.list.point.is_some_and(|point| point.is_empty());
        is_empty || self.list.is_delta || !self.list.names_one_algorithm || self.facts.odd_date
    }
}

impl Judge<'_, '_> {
    /// Judges every certificate of the path.
    pub fn judge(&self, lists: &[List]) -> Result<(), CertificateFailure> {
        if lists.is_empty() {
            return Ok(());
        }
        let candidates = lists.iter().filter_map(|list| {
            let (list, facts) = (list.parts()?, list.facts());
            Some(Candidate { list, facts })
        });
        let candidates: Vec<Candidate<'_>> = candidates.collect();
        let disputed = candidates.iter().any(Candidate::is_disputed);
        for (place, step) in self.path.steps.iter().enumerate() {
            let older = self.judge_certificate(place, &candidates, Rules::Older);
            let newer = match disputed {
                true => self.judge_certificate(place, &candidates, Rules::Newer),
                false => older.clone(),
            };
            match (older, newer) {
                (Ok(()), Ok(())) => {}
                (Err(failure), Err(_)) if !step.is_self_signed() => return Err(failure),
                (Err(failure), _) | (_, Err(failure)) => {
                    return Err(CertificateFailure::Limit(format!(
                        "{}; HAProxy versions disagree about that",
                        words(failure)
                    )));
                }
            }
        }
        Ok(())
    }

    /// Judges the certificate at `place` by these lists (`check_cert_crl`).
    fn judge_certificate(
        &self,
        place: usize,
        lists: &[Candidate<'_>],
        rules: Rules,
    ) -> Result<(), CertificateFailure> {
        let step = &self.path.steps[place];
        let mut reasons = 0;
        while reasons != EVERY_REASON {
            let some_reasons = "the lists in --crl-file cover only some reasons for revocation";
            let Some(chosen) = self.choose(place, lists, reasons, rules) else {
                return Err(no_list(match reasons {
                    0 => why_none(step, lists),
                    _ => some_reasons.to_owned(),
                }));
            };
            self.judge_list(&chosen, rules)?;
            look_up(step, &chosen.candidate)?;
            if chosen.reasons == reasons {
                return Err(no_list(some_reasons.to_owned()));
            }
            reasons = chosen.reasons;
        }
        Ok(())
    }

    /// Returns the list that fits best (`get_crl_sk`), or `None` if no list can be used. Among lists with
    /// equal scores, OpenSSL chooses the most recent list, and the first of several equally recent lists.
    fn choose<'c>(
        &'c self,
        place: usize,
        lists: &[Candidate<'c>],
        reasons: u16,
        rules: Rules,
    ) -> Option<Chosen<'c>> {
        let scored = lists.iter();
        let scored = scored.filter_map(|list| self.score(place, list, reasons, rules));
        scored.reduce(|best, other| {
            let made = |chosen: &Chosen<'_>| chosen.candidate.list.this_update;
            let is_later = made(&best)
                .zip(made(&other))
                .is_some_and(|(best, own)| own > best);
            match other.score > best.score || other.score == best.score && is_later {
                true => other,
                false => best,
            }
        })
    }

    /// Scores how well a list fits a certificate (`get_crl_score`). Returns `None` if the list can't be used,
    /// or if it covers no reasons in addition to `reasons`.
    fn score<'c>(
        &'c self,
        place: usize,
        candidate: &Candidate<'c>,
        reasons: u16,
        rules: Rules,
    ) -> Option<Chosen<'c>> {
        let step = &self.path.steps[place];
        let list = &candidate.list;
        let point = list.point.unwrap_or_default();
        let unusable = point.contradicts_itself() || point.indirect || point.some_reasons;
        let is_empty = list.point.is_some_and(|point| point.is_empty());
        let unusable = unusable || rules == Rules::Newer && (is_empty || list.is_delta);
        if unusable || !name::same(step.parts.issuer, list.issuer) {
            return None;
        }
        let mut score = 0;
        if !candidate.facts.critical {
            score |= NO_CRITICAL;
        }
        if self.is_in_time(list) {
            score |= IN_TIME;
        }
        let (signer, of_issuer) = self.signer(place, list)?;
        score |= of_issuer;
        let mut covered = reasons;
        if let Some(more) = scope(step, list) {
            if more & !reasons == 0 {
                return None;
            }
            covered |= more;
            score |= IN_SCOPE;
        }
        Some(Chosen {
            candidate: *candidate,
            signer,
            score,
            reasons: covered,
        })
    }

    /// Returns the signer of a list for the certificate at `place`, and the score for this signer
    /// (`crl_akid_check`). The signer must be on the path, or be its root. Otherwise returns `None`.
    fn signer<'c>(&'c self, place: usize, list: &RevocationList<'_>) -> Option<(Signer<'c>, u16)> {
        let steps = &self.path.steps;
        let is_last = place + 1 == steps.len();
        let first = match is_last && self.anchor.is_none() {
            true => place,
            false => place + 1,
        };
        let above = steps[first..].iter().map(Signer::Certificate);
        let mut above = above.chain(self.anchor.map(Signer::Root));
        let issuer = above.next()?;
        if issuer.is_meant_by(&list.authority) {
            return Some((issuer, BY_ISSUER));
        }
        let namesake = above.find(|signer| {
            name::same(signer.subject(), list.issuer) && signer.is_meant_by(&list.authority)
        });
        namesake.map(|signer| (signer, ON_PATH))
    }

    fn is_in_time(&self, list: &RevocationList<'_>) -> bool {
        let begun = list.this_update.is_some_and(|made| made <= self.now);
        let ended = |next: Option<i64>| next.is_none_or(|next| next <= self.now);
        begun && !list.next_update.is_some_and(ended)
    }

    /// Checks that a list may be used (`check_crl`).
    fn judge_list(&self, chosen: &Chosen<'_>, rules: Rules) -> Result<(), CertificateFailure> {
        let list = &chosen.candidate.list;
        let issuer = name::text(list.issuer);
        if !list.is_delta {
            if !chosen.signer.may_sign_lists() {
                return Err(no_list(format!(
                    "{issuer} is not allowed to sign the list in --crl-file (key usage)"
                )));
            }
            if chosen.score & IN_SCOPE == 0 {
                return Err(no_list(format!(
                    "the list of {issuer} in --crl-file does not cover this certificate \
                     (issuingDistributionPoint)"
                )));
            }
        }
        if chosen.score & IN_TIME == 0 {
            let what = match list.this_update {
                Some(made) if made > self.now => "is not valid yet",
                Some(_) if list.next_update != Some(None) => "has expired",
                _ => "has a time that cannot be read",
            };
            return Err(no_list(format!(
                "the list of {issuer} in --crl-file {what}"
            )));
        }
        let what = match rules {
            Rules::Newer if !list.names_one_algorithm => "names two different signature algorithms",
            Rules::Newer if chosen.candidate.facts.odd_date => "has a date that cannot be read",
            _ => return self.verify(list, &chosen.signer),
        };
        Err(no_list(format!(
            "the list of {issuer} in --crl-file {what}"
        )))
    }

    /// Verifies the signature of a list, unless the same signature has been verified before.
    fn verify(
        &self,
        list: &RevocationList<'_>,
        signer: &Signer<'_>,
    ) -> Result<(), CertificateFailure> {
        let key = signer.key();
        let pair = (list.signed.message.as_ptr(), key.to_vec());
        if self.verified.borrow().contains(&pair) {
            return Ok(());
        }
        let issuer = name::text(list.issuer);
        match list.signed.is_by(&key) {
            Ok(()) => {
                self.verified.borrow_mut().push(pair);
                Ok(())
            }
            Err(Flaw::Wrong) => Err(no_list(format!(
                "bad signature of the list in --crl-file: {issuer}"
            ))),
            Err(Flaw::Unsupported(kind)) => Err(CertificateFailure::Limit(format!(
                "the list of {issuer} in --crl-file is signed with {kind}"
            ))),
        }
    }
}

/// A possible signer of a list.
#[derive(Clone, Copy)]
enum Signer<'a> {
    Certificate(&'a Step<'a>),
    Root(&'a TrustAnchor<'a>),
}

impl Signer<'_> {
    fn subject(&self) -> &[u8] {
        match self {
            Signer::Certificate(step) => step.parts.subject,
            Signer::Root(anchor) => &anchor.subject,
        }
    }

    fn is_meant_by(&self, authority: &Authority<'_>) -> bool {
        match self {
            Signer::Certificate(step) => step.is_meant_by(authority),
            // A root without a certificate has only a name and a key, so no identifier rules it
            // out.
            Signer::Root(_) => true,
        }
    }

    fn may_sign_lists(&self) -> bool {
        match self {
            Signer::Certificate(step) => {
                let usage = step.uses.key_usage;
                usage.is_none_or(|usage| usage & uses::CRL_SIGN != 0)
            }
            Signer::Root(_) => true,
        }
    }

    fn key(&self) -> SubjectPublicKeyInfoDer<'static> {
        match self {
            Signer::Certificate(step) => step.parts.key_info(),
            Signer::Root(anchor) => spki_for_anchor(anchor).into_owned(),
        }
    }
}

/// Returns the reasons for revocation for which a list covers a certificate (`crl_crldp_check`).
/// Returns `None` if the list doesn't cover the certificate.
fn scope(step: &Step<'_>, list: &RevocationList<'_>) -> Option<u16> {
    let point = list.point.unwrap_or_default();
    let of_other_kind = match step.uses.ca {
        Some(true) => point.only_users,
        _ => point.only_authorities,
    };
    if point.only_attributes || of_other_kind {
        return None;
    }
    let mut points = distribution_point::points(step.uses.distribution_points);
    let published = points.find(|own| is_at(own, &point, step, list));
    let reasons = published.map(|own| own.reasons);
    reasons.or(point.name.is_none().then_some(EVERY_REASON))
}

/// Returns true if a list's distribution point matches this distribution point of the certificate.
fn is_at(
    own: &DistributionPoint<'_>,
    point: &IssuingPoint<'_>,
    step: &Step<'_>,
    list: &RevocationList<'_>,
) -> bool {
    let issuers = || {
        own.list_issuer
            .into_iter()
            .flat_map(general_name::directories)
    };
    let by_issuer = issuers().any(|issuer| name::same(issuer, list.issuer));
    let own_base = issuers().next().unwrap_or(step.parts.issuer);
    (own.list_issuer.is_none() || by_issuer)
        && match (&own.name, &point.name) {
            (Some(name), Some(other)) => name.is_same(own_base, other, list.issuer),
            _ => true,
        }
}

/// Looks a certificate up in a list (`cert_crl`).
fn look_up(step: &Step<'_>, candidate: &Candidate<'_>) -> Result<(), CertificateFailure> {
    let subject = || step.parts.subject_text();
    if candidate.facts.critical {
        let issuer = name::text(candidate.list.issuer);
        return Err(no_list(format!(
            "the list of {issuer} in --crl-file, or an entry of it, has a critical extension that \
             HAProxy does not accept"
        )));
    }
    let (serial, issuer) = (step.parts.serial, step.parts.issuer);
    match candidate.list.status(candidate.facts, serial, issuer) {
        Status::NotListed | Status::Withdrawn => Ok(()),
        Status::Revoked => Err(CertificateFailure::Revoked(format!(
            "{} is revoked (--crl-file)",
            subject()
        ))),
        Status::Contradictory => Err(CertificateFailure::Limit(format!(
            "a list in --crl-file says both that {} is revoked and that it is not",
            subject()
        ))),
    }
}

/// Returns why no list fits a certificate.
fn why_none(step: &Step<'_>, lists: &[Candidate<'_>]) -> String {
    let issuer = step.parts.issuer_text();
    let own = lists.iter().map(|candidate| &candidate.list);
    let own = own.filter(|list| name::same(list.issuer, step.parts.issuer));
    let points: Vec<IssuingPoint<'_>> = own.map(|list| list.point.unwrap_or_default()).collect();
    if points.is_empty() {
        return format!("no list of --crl-file covers its issuer {issuer}");
    }
    if points
        .iter()
        .all(|point| point.indirect || point.some_reasons)
    {
        return format!(
            "the list of {issuer} in --crl-file is indirect or covers only some reasons for \
             revocation, and HAProxy does not use such lists"
        );
    }
    format!(
        "the list of {issuer} in --crl-file is signed by another certificate of that name \
         (authorityKeyIdentifier)"
    )
}

fn no_list(what: String) -> CertificateFailure {
    CertificateFailure::NoValidList(what)
}

/// Returns a failure's text, without the prefix that `Display` adds.
fn words(failure: CertificateFailure) -> String {
    match failure {
        CertificateFailure::NoValidList(what)
        | CertificateFailure::Revoked(what)
        | CertificateFailure::Limit(what) => what,
        other => other.to_string(),
    }
}
