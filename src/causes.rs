//! The catalogue of causes. It has one entry for each thing that can be wrong, grouped by layer.
//!
//! An entry contains the sentences about a cause, and the function that weighs the facts for this cause.
//! `explain` prints the entries of a code. `diagnose` weighs the entries that can explain the check's result
//! and reports those that the facts support best.

mod cause;
mod certificate;
mod client_certificate;
mod connection;
mod expect;
pub mod facts;
mod files;
mod haproxy;
mod host;
mod http;
pub mod mixed;
mod name;
mod own_check;
mod revocation;
mod starttls;
mod tls;
pub mod voice;
mod words;

pub use self::cause::{Cause, Change, Place, Sign, Trial, Weight};
use self::facts::Facts;
pub use self::http::redirects_to_itself;
use self::voice::Voice;
use crate::code::Code;

const LAYERS: [&[Cause]; 12] = [
    haproxy::CAUSES,
    host::CAUSES,
    name::CAUSES,
    connection::CAUSES,
    certificate::CAUSES,
    client_certificate::CAUSES,
    files::CAUSES,
    tls::CAUSES,
    starttls::CAUSES,
    http::CAUSES,
    expect::CAUSES,
    own_check::CAUSES,
];

/// Returns every entry.
pub fn all() -> impl Iterator<Item = &'static Cause> {
    LAYERS.into_iter().flatten()
}

/// Returns the cause `setting-refused`, or `global-setting-refused` for a line in the `global`
/// section. Only HAProxy can prove these causes.
pub fn of_setting(is_global: bool) -> &'static Cause {
    match is_global {
        true => const { &haproxy::GLOBAL_SETTING_REFUSED },
        false => const { &haproxy::SETTING_REFUSED },
    }
}

/// Returns the cause `visitors-name-refused`, which only HAProxy can prove.
pub fn of_visitors_name() -> &'static Cause {
    const { &haproxy::VISITORS_NAME_REFUSED }
}

/// Returns the cause `method-untried`, which only a trial with another page or site can prove.
pub fn of_untried_method() -> &'static Cause {
    const { &http::METHOD_UNTRIED }
}

/// Returns the causes of a sign, the most common cause first.
pub fn causes_of(sign: Sign) -> Vec<&'static Cause> {
    by_rank(|cause| cause.rank(sign))
}

/// Returns the causes for which `rank` returns a rank. The lowest rank comes first.
fn by_rank(rank: impl Fn(&Cause) -> Option<u8>) -> Vec<&'static Cause> {
    let ranked = all().filter_map(|cause| Some((rank(cause)?, cause)));
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, cause)| cause).collect()
}

/// Returns the causes of a code. If the check failed, also returns the causes that apply to every failure.
fn causes_of_result(facts: &Facts, code: Code) -> Vec<&'static Cause> {
    let failed = facts.verdict.result.is_err();
    by_rank(|cause| {
        let by_failure = || cause.rank(Sign::AnyFailure).filter(|_| failed);
        cause.rank(Sign::Code(code)).or_else(by_failure)
    })
}

/// A cause that the facts don't rule out, with its sentences filled in.
#[derive(Clone)]
pub struct Finding {
    pub cause: &'static Cause,
    pub weight: Weight,
    pub what: String,
    pub confirm: String,
    pub change: String,
    /// Sentences about the facts that support the cause. Empty if there is nothing to add to the verdict.
    pub evidence: String,
}

impl Finding {
    /// Fills in the placeholders of the cause's sentences. The `values` of a trial take precedence over the
    /// facts.
    pub fn new(
        cause: &'static Cause,
        weight: Weight,
        facts: &Facts,
        values: &[(&'static str, String)],
    ) -> Finding {
        let value = |name: &str| {
            let own = values.iter().find(|(own, _)| *own == name);
            own.map(|(_, value)| value.clone())
                .or_else(|| words::value(facts, name))
        };
        let fill = |sentence| words::fill(sentence, facts.origin.voice, value);
        Finding {
            cause,
            weight,
            what: fill(cause.what),
            confirm: fill(cause.confirm),
            change: fill(cause.change),
            evidence: fill(cause.evidence),
        }
    }
}

/// Returns a sentence of an entry, with general words in place of the placeholders.
pub fn in_general(sentence: &str) -> String {
    words::fill(sentence, Voice::SniCheck, |_| None)
}

/// Returns the causes of a code. If the check failed, also returns the causes that apply to every failure.
/// Leaves out causes that the facts or a trial ruled out, and causes whose sentence needs a value that only a
/// trial can find. The best supported causes come first. Equally supported causes are in the order of their
/// ranks.
pub fn weigh(facts: &Facts, code: Code) -> Vec<Finding> {
    let is_refuted = |cause: &Cause| facts.refuted.iter().any(|refuted| refuted.id == cause.id);
    let causes = causes_of_result(facts, code).into_iter();
    // Without a value from a trial, the sentence would show a stand-in such as OTHER_NAME.
    let is_known = |cause: &Cause| words::knows_names(facts, cause.what);
    let causes = causes.filter(|cause| !is_refuted(cause) && is_known(cause));
    let weighed = causes.map(|cause| ((cause.weigh)(facts), cause));
    let mut weighed: Vec<_> = weighed
        .filter(|(weight, _)| *weight > Weight::RuledOut)
        .collect();
    weighed.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let finding = |(weight, cause)| Finding::new(cause, weight, facts, &[]);
    weighed.into_iter().map(finding).collect()
}

/// Returns the trials of the causes of the check's code. If the check failed, also returns the trials of the
/// causes that apply to every failure. Leaves out a trial whose options equal the check's options. The
/// trials of the most common cause come first, and last resorts come last.
pub fn trials(facts: &Facts) -> Vec<(&'static Cause, Trial)> {
    let changes = |trial: &Trial| match &trial.change {
        Change::Options(options) => !facts.options.changes(options).is_empty(),
        Change::Way(_) => true,
    };
    let causes = causes_of_result(facts, facts.code_of_trials()).into_iter();
    let trials = causes.flat_map(|cause| {
        let trials = (cause.trials)(facts).into_iter().filter(changes);
        trials.map(move |trial| (cause, trial))
    });
    let mut trials: Vec<(&'static Cause, Trial)> = trials.collect();
    trials.sort_by_key(|(_, trial)| trial.is_last_resort);
    trials
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Cause, Place, Sign, all, causes_of, in_general};
    use crate::code::Code;

    #[test]
    fn every_code_has_a_cause_and_every_cause_has_its_sentences() {
        for code in Code::ALL {
            assert!(!causes_of(Sign::Code(code)).is_empty(), "{code:?}");
        }
        let mut ids = HashSet::new();
        for cause in all() {
            assert!(ids.insert(cause.id), "two causes have the id {}", cause.id);
            assert!(!cause.shows_as.is_empty(), "{}", cause.id);
            for sentence in [cause.what, cause.confirm, cause.change] {
                assert!(!sentence.is_empty(), "{}", cause.id);
                let first = sentence.chars().next();
                let starts_well = first.is_some_and(|c| !c.is_lowercase());
                let is_command = [
                    "date",
                    "ip ",
                    "ls ",
                    "getent",
                    "ping",
                    "openssl",
                    "time ",
                    "curl",
                    "chroot",
                    "file ",
                    "grep",
                    "show ",
                    "hdr",
                    "systemctl",
                    "ss ",
                    "sni-check",
                    "tcpdump",
                    "chmod",
                    "insecure",
                    "external",
                    "http-check",
                ];
                let is_command = is_command.iter().any(|word| sentence.starts_with(word));
                assert!(starts_well || is_command, "{}: {sentence}", cause.id);
            }
        }
    }

    #[test]
    fn no_two_causes_have_the_same_rank_for_the_same_code() {
        for code in Code::ALL {
            let rank = |cause: &Cause| cause.rank(Sign::Code(code));
            // The causes are sorted by rank, so causes with the same rank are neighbours.
            for pair in causes_of(Sign::Code(code)).windows(2) {
                let (first, second) = (pair[0], pair[1]);
                assert_ne!(
                    rank(first),
                    rank(second),
                    "{code:?}: {} and {}",
                    first.id,
                    second.id
                );
            }
        }
    }

    /// sni-check serve and checks on the command line run outside HAProxy's chroot.
    #[test]
    fn only_external_checks_are_said_to_run_in_the_chroot() {
        let causes = Code::ALL.map(|code| causes_of(Sign::Code(code)));
        for cause in causes.iter().flatten() {
            if cause.id == "chroot-without-resolver" {
                continue;
            }
            let text = [cause.what, cause.confirm, cause.change].join(" ");
            let lower = text.to_lowercase();
            assert!(
                !lower.contains("chroot") || lower.contains("external"),
                "{}: {text}",
                cause.id
            );
        }
    }

    #[test]
    fn every_placeholder_has_general_words() {
        for cause in all() {
            for sentence in [cause.what, cause.confirm, cause.change, cause.evidence] {
                let text = in_general(sentence).replace("${VARIABLE}", "");
                assert!(!text.contains(['{', '}']), "{}: {text}", cause.id);
            }
        }
    }

    /// The sentences of a cause must ask for a change in the place that the cause names.
    #[test]
    fn no_sentence_contradicts_the_place_of_the_fix() {
        let mut wrong = Vec::new();
        for cause in all() {
            let text = [cause.what, cause.change].join(" ");
            let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
            let here = says(&[
                "haproxy.cfg",
                "--",
                "server line",
                "ssl",
                "inter",
                "external-check",
                "global",
                "add server",
                "enable server",
                "resolvers",
                "track",
                "{lines}",
                "Reload HAProxy",
                "maintenance",
            ]);
            match cause.place {
                Place::Config | Place::Value if !here => {
                    wrong.push(format!("{}: {text}", cause.id));
                }
                Place::Config | Place::Value => {}
                Place::Files => assert!(says(&["file"]), "{}: {text}", cause.id),
                Place::Server | Place::Network => {
                    let there = says(&[
                        "erver",
                        "Start",
                        "Fix",
                        "Allow",
                        "backend",
                        "MTU",
                        "proxy",
                        "route",
                        "rule",
                        "application",
                        "issued",
                    ]);
                    if !there {
                        wrong.push(format!("{}: {text}", cause.id));
                    }
                }
                Place::Host => {}
            }
            // diagnose derives the sentence `Nothing in haproxy.cfg …` from the place, so no entry may
            // contain the sentence.
            assert!(!text.contains("othing in haproxy.cfg"), "{}", cause.id);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
