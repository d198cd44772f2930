//! Completes the advice to use a check with all other changes that this check needs.

use crate::haproxy::config::check::Check;
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::proxy::Backend;
use crate::output::mark::Mark;

use super::global::lines_for_checks;
use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::{Visit, Watch};

/// Returns a copy of the backend with another kind of check.
pub(crate) fn with_kind(backend: &Backend, kind: &str, place: &Place) -> Backend {
    let mut assumed = backend.clone();
    if kind == "httpchk" {
        // `option httpchk` also sets a request, even without arguments.
        assumed.settings.rules.request.get_or_insert_default();
    }
    assumed.settings.check = Some(At::new(kind.to_owned(), place));
    assumed
}

/// Returns the advice to use `option httpchk` in place of this option. The advice begins with the changes
/// that the HTTP check needs.
pub(crate) fn httpchk_in_place_of(visit: &Visit, watch: &Watch, option: &At<String>) -> String {
    let assumed = with_kind(watch.backend, "httpchk", &option.place);
    let advice = format!("use option httpchk in place of option {}", option.value);
    switch_on(visit, &visit.watch_of(&assumed, watch.server), &advice)
}

/// Returns the text and the fix of a finding in one sentence. Leaves out the fix if the text already ends
/// with the fix.
fn sentence(found: &Finding) -> String {
    let command = match found.paste.is_empty() {
        true => String::new(),
        false => format!(" `{}`", found.paste),
    };
    let remedy = format!("{}{command}", found.write);
    match found.what.ends_with(remedy.trim_start()) {
        true => found.what.clone(),
        false => format!("{}; {}", found.what, remedy.trim_start()),
    }
}

/// Returns the advice to switch a check on. The text begins with the changes that this check needs first, and
/// continues with `advice`.
pub(crate) fn switch_on(visit: &Visit, watch: &Watch, advice: &str) -> String {
    let found = (visit.judge)(visit, watch).into_iter();
    let needed = found.filter(|found| found.effect != Effect::Hint);
    let is_external = matches!(watch.check, Check::External(_));
    let of_global = is_external.then(|| lines_for_checks(visit)).flatten();
    let mut needed: Vec<Finding> = of_global.into_iter().chain(needed).collect();
    needed.sort_by_key(|found| std::cmp::Reverse(found.mark));
    let Some(first) = needed.first() else {
        return advice.to_owned();
    };
    let certain = match first.mark {
        _ if first.effect == Effect::NoStart => {
            "HAProxy refuses the configuration without the first change"
        }
        Mark::Problem => "without the first change the check fails or proves nothing",
        _ => "without the first change the check may fail or prove nothing",
    };
    let texts: Vec<String> = needed.iter().map(sentence).collect();
    format!("first: {}. Then {advice} ({certain})", texts.join(". "))
}
