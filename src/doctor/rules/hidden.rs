//! Faults that hide other faults. The prediction of a hidden finding comes true only after the operator has
//! fixed the fault that hides it.

use crate::haproxy::config::Configuration;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::place::Place;
use crate::output::mark::Mark;
use crate::refusal::SET_THE_VARIABLE;

use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::Visit;

/// A fault that prevents HAProxy from getting an answer from sni-check.
struct Fault {
    /// The ids of the findings about this fault.
    ids: &'static [&'static str],
    /// The start of the prediction (`Finding::shows`) of a hidden finding.
    hides: &'static str,
    /// The condition under which the prediction comes true.
    once: &'static str,
}

const FAULTS: [Fault; 2] = [
    Fault {
        ids: &["command", "selinux"],
        hides: "PROCERR with code 2,",
        once: "HAProxy can start the command",
    },
    Fault {
        ids: &["serve-socket"],
        hides: "L7STS with code 2",
        once: "sni-check serve answers",
    },
];

/// Adds a condition to the prediction of each finding that another fault hides, or that depends on a variable
/// which isn't set here.
pub(crate) fn restrict(findings: &mut [Finding], visit: &Visit) {
    let faults = FAULTS.map(|fault| backends_of(findings, |found| fault.ids.contains(&found.id)));
    let is_up = |found: &Finding| found.id == "serve-expect" && found.effect == Effect::Unchecked;
    let always_up = backends_of(findings, is_up);
    let without_code = without_code(visit);
    for found in findings {
        let is_in = |backends: &[String]| backends.iter().any(|backend| found.is_within(backend));
        let restriction = match found.shows.as_str() {
            // Without `insecure-fork-wanted`, HAProxy shows SOCKERR for external checks.
            shows if !visit.can_fork() && shows.starts_with("PROCERR") => {
                Some("insecure-fork-wanted is set")
            }
            shows => {
                let hiding = FAULTS.iter().zip(&faults);
                let mut hiding = hiding
                    .filter(|(fault, backends)| shows.starts_with(fault.hides) && is_in(backends));
                hiding.next().map(|(fault, _)| fault.once)
            }
        };
        let is_up = found.effect.is_of_check() && is_in(&always_up);
        let hides_code = is_in(&without_code);
        let restriction = match restriction {
            // With such an `http-check expect` rule, no check is ever DOWN.
            None if is_up => {
                found.mark = Mark::Note;
                Some("http-check expect detects a failed check")
            }
            restriction => restriction,
        };
        if hides_code {
            // HAProxy shows the status of serve's answer in place of the code.
            found.shows = found.shows.replace("L7STS with code 2", "L7STS with 503");
        }
        if let Some(once) = restriction {
            found.shows += &format!(", once {once}");
        }
        let unset = unset_here(visit.config, found);
        if !unset.is_empty() {
            found.shows += &format!(
                ", unless HAProxy's environment sets {}",
                unset.join(" and ")
            );
        }
        if !unset.is_empty() && found.write == SET_THE_VARIABLE {
            found.write = format!("set {} where HAProxy is started", unset.join(" and "));
            found.what = found.what.replace(&format!("; {SET_THE_VARIABLE}"), "");
        }
    }
}

/// Returns the backends and servers that the selected problems are about.
fn backends_of(findings: &[Finding], is_meant: impl Fn(&Finding) -> bool) -> Vec<String> {
    let is_one = |found: &&Finding| is_meant(found) && found.mark == Mark::Problem;
    let found = findings.iter().filter(is_one);
    found.flat_map(|found| found.about.clone()).collect()
}

/// Returns the backends in which HAProxy doesn't show the code of sni-check serve.
fn without_code(visit: &Visit) -> Vec<String> {
    let hides = |check: &Check| matches!(check, Check::Serve(serve) if !serve.shows_code());
    let watches = visit.watches.iter().filter(|watch| hides(&watch.check));
    watches.map(|watch| watch.backend.name.clone()).collect()
}

/// Returns the variables in a problem's line that aren't set here. If HAProxy has these variables, the
/// problem may not exist.
fn unset_here(config: &Configuration, found: &Finding) -> Vec<String> {
    if found.mark != Mark::Problem || found.id == "unset-variables" {
        return Vec::new();
    }
    let here = |(name, place): &(String, Place)| {
        let is_here = found.place.as_ref() == Some(place);
        is_here.then(|| name.clone())
    };
    config.unset.iter().filter_map(here).collect()
}
