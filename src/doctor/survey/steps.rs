//! The steps of HAProxy's own check. A step is a `connect` rule and all rules up to the next `connect` rule.
//! diagnose looks at the step that fails.

use super::suggest::{self, AtVisitors, Suggestion};
use crate::doctor::visit::{Visit, Watch};
use crate::haproxy::config::place::Place;
use crate::options::Options;

/// A step of a check with several `connect` rules.
#[derive(Clone)]
pub(crate) struct Step {
    /// The options with which sni-check performs this step by hand, or why it can't.
    pub call: Result<Box<Options>, String>,
    /// The changes that haproxy.cfg itself suggests for this step.
    pub suggestions: Vec<Suggestion>,
    /// Why this step should connect where visitors connect. `None` if the step already does so, or if
    /// doctor doesn't know where the step connects.
    pub elsewhere: Option<String>,
    /// The same step with `addr` and `port` removed, so that it connects where visitors connect. `None` if
    /// neither the rule nor the server line has one of these words.
    pub at_visitors: Option<AtVisitors>,
    /// The places of the rules of other steps.
    pub others: Vec<Place>,
}

/// Returns the steps of a check with several `connect` rules. Returns an empty list for any other check.
pub(crate) fn of(
    visit: &Visit,
    watch: &Watch,
    call: impl Fn(&Watch) -> Result<Box<Options>, String>,
) -> Vec<Step> {
    let is_tcp = watch.backend.settings.check.as_ref();
    let is_tcp = is_tcp.is_some_and(|check| check.value == "tcp-check");
    let rules = &watch.backend.settings.rules;
    let list = if is_tcp { &rules.tcp } else { &rules.http };
    let connects: Vec<&Place> = list.all("connect").map(|rule| &rule.place).collect();
    if watch.connect_rule().is_none() || connects.len() < 2 {
        return Vec::new();
    }
    let step = |number: usize| {
        let mut backend = watch.backend.clone();
        let rules = &mut backend.settings.rules;
        // The line `option httpchk` describes only the first request.
        rules.request.take_if(|_| number > 0);
        let list = if is_tcp {
            &mut rules.tcp
        } else {
            &mut rules.http
        };
        let (mut at, mut others) = (0, Vec::new());
        list.lines.retain(|rule| {
            at += usize::from(connects.contains(&&rule.place));
            let is_kept = at == number + 1;
            others.extend((!is_kept).then(|| rule.place.clone()));
            is_kept
        });
        let watch = visit.watch_of(&backend, watch.server);
        Step {
            call: call(&watch),
            suggestions: suggest::of(visit, &watch),
            elsewhere: suggest::elsewhere(&watch),
            at_visitors: suggest::at_visitors(visit, &watch, &call),
            others,
        }
    };
    (0..connects.len()).map(step).collect()
}
