//! What to do about the lists of `--crl-file`, in the words of an operator.

use std::time::Duration;

use super::case::Case;
use super::certificate::sent;
use crate::certificate::{Parts, days, in_days};
use crate::output::date::{day, now};
use crate::plan::List;

/// What to do about a certificate that a list names.
pub(super) const REVOKED: &str = "A certificate of the chain is revoked: its CA has declared it invalid. Have a \
                                  new one issued, with a new key, and install it at the server.";

/// What to do where no list tells.
pub(super) fn no_valid_list(case: Case<'_>) -> String {
    let file = format!("--crl-file {}", case.options.crl_file.join(", "));
    let of_each = problems(case).join(". ");
    match of_each.as_str() {
        "" => format!(
            "Get the current lists, one for each issuer of the chain, and put them into {file}."
        ),
        of_each => {
            format!("{of_each}. Get the CA's current list, put it into {file}, and reload HAProxy.")
        }
    }
}

/// What is wrong with the list of each issuer of the chain.
fn problems(case: Case<'_>) -> Vec<String> {
    let rules = case.plan.tls.verification.as_ref();
    let lists = rules.map_or(&[][..], |rules| &rules.lists);
    let mut problems: Vec<String> = Vec::new();
    for parts in sent(case).iter().filter_map(|der| Parts::read(der)) {
        let of_issuer: Vec<&List> = lists
            .iter()
            .filter(|list| list.is_of(parts.issuer))
            .collect();
        problems.extend(problem(&parts, &of_issuer).filter(|problem| !problems.contains(problem)));
    }
    problems
}

fn problem(parts: &Parts<'_>, of_issuer: &[&List]) -> Option<String> {
    let issuer = parts.issuer_text();
    let Some(end) = of_issuer.iter().map(|list| list.next_update).max() else {
        return Some(format!("There is no list of {issuer}"));
    };
    let end = Duration::from_secs(u64::try_from(end?).unwrap_or_default());
    let since = now().checked_sub(end)?;
    Some(format!(
        "The list of {issuer} ended on {} ({} ago)",
        day(end),
        in_days(days(since))
    ))
}
