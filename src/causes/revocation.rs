//! Describes what is wrong with the revocation lists of `--crl-file`.

use std::time::Duration;

use super::facts::Facts;
use crate::certificate::{Parts, days, in_days};
use crate::output::date::day;
use crate::plan::List;

/// Returns a sentence for each issuer of the chain whose revocation list is missing or has expired. `None` if
/// all lists are fine.
pub(super) fn problems(facts: &Facts) -> Option<String> {
    let rules = facts.plan.tls.verification.as_ref()?;
    let mut problems: Vec<String> = Vec::new();
    for parts in facts.parts() {
        let lists = rules.lists.iter();
        let of_issuer: Vec<&List> = lists.filter(|list| list.is_of(parts.issuer)).collect();
        let problem = problem(facts, &parts, &of_issuer);
        problems.extend(problem.filter(|problem| !problems.contains(problem)));
    }
    (!problems.is_empty()).then(|| problems.join(". "))
}

fn problem(facts: &Facts, parts: &Parts<'_>, of_issuer: &[&List]) -> Option<String> {
    let issuer = parts.issuer_text();
    let Some(end) = of_issuer.iter().map(|list| list.next_update).max() else {
        return Some(format!("--crl-file has no revocation list of {issuer}"));
    };
    let end = Duration::from_secs(u64::try_from(end?).unwrap_or_default());
    let since = facts.now.checked_sub(end)?;
    Some(format!(
        "The revocation list of {issuer} expired on {} ({} ago)",
        day(end),
        in_days(days(since))
    ))
}
