//! The table of rules. A new rule needs a function, a row in this table, and a row in docs/json.md.

pub(crate) mod advice;
pub(crate) mod align;
mod answers;
pub(crate) mod certificates;
pub(crate) mod command;
pub(crate) mod coverage;
pub(crate) mod descriptors;
pub(crate) mod detour;
pub(crate) mod dialogue;
pub(crate) mod difference;
pub(crate) mod fit;
pub(crate) mod folders;
pub(crate) mod global;
pub(crate) mod hidden;
pub(crate) mod host;
pub(crate) mod http_version;
pub(crate) mod names;
pub(crate) mod own_program;
pub(crate) mod plain;
pub(crate) mod program;
pub(crate) mod requests;
pub(crate) mod rule;
pub(crate) mod serve_files;
mod serve_rules;
pub(crate) mod shared;
pub(crate) mod tls_versions;

use self::rule::{Look, Rule};
use super::finding::{Effect, Finding, LATE, METHOD, REFUSED_REQUEST, SEEN};
use super::visit::{Follower, Visit, Watch};

/// The ids of findings that only `--run` makes.
const OF_RUNS: [&str; 4] = [SEEN, METHOD, REFUSED_REQUEST, LATE];

/// Every rule. The report sorts findings by certainty and effect, and otherwise keeps this order.
const RULES: &[Rule] = &[
    whole("unset-variables", global::unset_variables),
    whole("line", global::broken_lines),
    whole("refused", global::refused),
    whole("no-chroot", global::no_chroot),
    whole("no-folder", folders::missing),
    whole("no-external-check", global::no_external_check),
    backend("no-command", coverage::no_command),
    whole("ulimit-n", descriptors::too_many),
    whole("chroot-auto", global::chroot_auto),
    whole("no-insecure-fork-wanted", global::no_insecure_fork),
    whole("nofile", descriptors::closing),
    check("command", command::command),
    check("other-program", command::other_program),
    check("selinux", command::selinux),
    backend("no-option", coverage::no_option),
    whole("no-option", global::idle_lines),
    backend("replaced", coverage::replaced),
    backend("nothing-checked", coverage::nothing_checked),
    server("not-checked", coverage::not_checked),
    backend("weight-0", coverage::no_weight),
    server("agent-alone", coverage::agent_alone),
    server("agent-down", coverage::agent_down),
    server("no-address", coverage::no_address),
    server("tracks-another", coverage::tracks_another),
    backend("unused-rule", coverage::unused_rule),
    check("healthcheck", coverage::healthcheck),
    check("http-check-without-request", dialogue::without_request),
    check("http-check-second-request", dialogue::second_request),
    check("tcp-check-banner", dialogue::waits_for_banner),
    check("other-protocol-check", dialogue::other_protocol),
    check("expects-nothing", dialogue::expects_nothing),
    check("expects-refusal", dialogue::expects_refusal),
    check("expects-body", dialogue::expects_body),
    check("serve-state", serve_rules::without_state),
    check("serve-options", serve_rules::without_options),
    check("serve-connect", serve_rules::without_connect),
    check("serve-expect", serve_rules::expects),
    check("serve-socket", serve_rules::socket),
    check("serve-files", serve_rules::files),
    check("serve-init-state", serve_rules::up_before_the_first_check),
    options("serve-file"),
    options("file"),
    options("hidden-file"),
    options("relative-file"),
    options("options"),
    options("no-sni-name"),
    server("sni-name", names::of_traffic),
    check("sni-header", names::of_header),
    check("sni-header", names::of_plain_visitors),
    check("check-sni-literal", names::of_check),
    comparison("traffic-without-tls", plain::traffic_without_tls),
    check("alone-without-tls", dialogue::alone_without_tls),
    comparison("check-without-tls", plain::check_without_tls),
    comparison("traffic-other-proxy", difference::proxy),
    comparison("traffic-other-roots", certificates::roots),
    comparison("traffic-without-sni", difference::traffic_without_sni),
    comparison("check-without-sni", difference::check_without_sni),
    comparison("traffic-other-sni", difference::other_sni),
    comparison("traffic-other-name", certificates::other_name),
    comparison(
        "traffic-verifies-nothing",
        certificates::traffic_verifies_nothing,
    ),
    comparison(
        "check-verifies-nothing",
        certificates::check_verifies_nothing,
    ),
    comparison(
        "traffic-other-certificate",
        certificates::client_certificate,
    ),
    comparison("traffic-other-revocation", certificates::revocation),
    comparison("traffic-other-tls", tls_versions::other_versions),
    comparison("traffic-other-tls", tls_versions::other_ciphers),
    check("check-alpn", http_version::offers_http2),
    check("check-proto", http_version::http2_over_tls),
    check("check-proto", http_version::not_passed_on),
    comparison("check-other-http", http_version::other_version),
    comparison("check-other-http", http_version::offers_only_http2),
    check("check-other-port", difference::other_endpoint),
    comparison("traffic-other-source", detour::source),
    comparison("traffic-http2", http_version::http2_only),
    comparison("traffic-detour", detour::detour),
    backend("lost-visitors", host::lost),
    backend("haproxy-answers", answers::of_haproxy),
    check("check-without-host", host::without_host),
    check("check-other-host", host::other_host),
    check("check-other-site", host::other_site),
    check("check-request", host::request),
    check("time", fit::time),
    check("resolver", fit::resolver),
    check("ignored", fit::ignored_address),
    check("ignored", fit::ignored_port),
    check("ended-list", fit::expired_list),
    check("ended-certificate", fit::expired_certificate),
    server("verifyhost-ignored", certificates::verifyhost_ignored),
    whole("runtime-servers", global::runtime_servers),
];

const fn whole(id: &'static str, look: fn(&Visit) -> Vec<Finding>) -> Rule {
    let look = Look::Whole(look);
    Rule { id, look }
}

const fn backend(
    id: &'static str,
    look: fn(&Visit, &crate::haproxy::config::proxy::Backend) -> Vec<Finding>,
) -> Rule {
    let look = Look::Backend(look);
    Rule { id, look }
}

const fn server(id: &'static str, look: fn(&Visit, &Watch) -> Option<Finding>) -> Rule {
    let look = Look::Server(look);
    Rule { id, look }
}

const fn check(id: &'static str, look: fn(&Visit, &Watch) -> Option<Finding>) -> Rule {
    let look = Look::Check(look);
    Rule { id, look }
}

const fn comparison(id: &'static str, look: fn(&Visit, &Watch) -> Option<Finding>) -> Rule {
    let look = Look::Comparison(look);
    Rule { id, look }
}

const fn options(id: &'static str) -> Rule {
    let look = Look::Options;
    Rule { id, look }
}

/// Returns everything that the rules find.
pub(crate) fn findings(visit: &Visit) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule.findings(visit)).collect()
}

/// If a finding says that a server is or may be DOWN, adds the servers that follow this server (`track`) to
/// the finding, because HAProxy gives them the same state.
pub(crate) fn add_trackers(findings: &mut [Finding], visit: &Visit) {
    let is_down = |found: &&mut Finding| matches!(found.effect, Effect::Down | Effect::Either);
    for found in findings.iter_mut().filter(is_down) {
        for Follower {
            followed, watch, ..
        } in &visit.followers
        {
            let is_named = |name: &str| found.about.iter().any(|about| about == name);
            let backend = followed.split('/').next().unwrap_or_default();
            let follows = is_named(followed) || is_named(backend);
            let is_known = is_named(&watch.name()) || is_named(&watch.backend.name);
            if follows && !is_known {
                found.about.push(watch.name());
            }
        }
    }
}

/// Returns what the rules find about a server's check, even if `check` is missing on the server line.
pub(crate) fn of_check(visit: &Visit, watch: &Watch) -> Vec<Finding> {
    let rules = RULES.iter();
    rules.flat_map(|rule| rule.of_check(visit, watch)).collect()
}

/// The ids of rules, each with the id of the cause in the catalogue that the rule is about. `explain` and
/// `diagnose` say more about this cause.
const CAUSES: &[(&str, &str)] = &[
    ("no-insecure-fork-wanted", "fork-not-allowed"),
    ("nofile", "too-many-descriptors"),
    ("selinux", "selinux-denies"),
    ("file", "file-unreadable"),
    ("options", "options-wrong"),
    ("no-sni-name", "sni-name-missing"),
    ("traffic-other-proxy", "proxy-header-missing"),
    ("traffic-other-roots", "ca-file-wrong"),
    ("check-without-sni", "sni-missing"),
    ("traffic-other-sni", "sni-wrong"),
    ("traffic-other-name", "verify-host-wrong"),
    ("traffic-other-certificate", "client-certificate-missing"),
    ("traffic-other-source", "source-wrong"),
    ("check-without-host", "host-unknown"),
    ("time", "time-limit-too-short"),
    ("resolver", "chroot-without-resolver"),
    ("ended-certificate", "client-certificate-expired"),
    ("serve-socket", "serve-not-listening"),
    ("serve-file", "file-unreadable"),
    ("traffic-http2", "limit-of-sni-check"),
    ("runtime-servers", "server-added-at-run-time"),
    ("traffic-other-revocation", "certificate-revoked"),
];

/// Returns the id of the cause that this rule is about, if the catalogue has such a cause.
pub(crate) fn cause(id: &str) -> Option<&'static str> {
    let mut causes = CAUSES.iter();
    causes.find_map(|(rule, cause)| (*rule == id).then_some(*cause))
}

/// Returns true if this rule compares the check's connection with visitors' connections.
pub(crate) fn compares(id: &str) -> bool {
    let mut rules = RULES.iter();
    rules.any(|rule| rule.id == id && matches!(rule.look, Look::Comparison(_)))
}

/// Returns true if this rule is about a check, or compares a check with visitors' traffic.
pub(crate) fn is_about_check(id: &str) -> bool {
    let mut rules = RULES.iter();
    rules.any(|rule| rule.id == id && matches!(rule.look, Look::Check(_) | Look::Comparison(_)))
}

/// Returns true if findings can have this id.
pub(crate) fn has(id: &str) -> bool {
    RULES.iter().any(|rule| rule.id == id) || OF_RUNS.contains(&id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{CAUSES, RULES, has};

    #[test]
    fn the_causes_of_rules_are_in_the_catalogue() {
        for (rule, cause) in CAUSES {
            assert!(has(rule), "{rule}");
            let known = crate::causes::all().any(|known| known.id == *cause);
            assert!(known, "the catalogue has no {cause}");
        }
    }

    #[test]
    fn the_page_lists_every_rule() {
        let page = include_str!("../../docs/json.md");
        let ids = RULES.iter().map(|rule| rule.id).chain(super::OF_RUNS);
        let ids: BTreeSet<&str> = ids.collect();
        for id in &ids {
            let row = format!("| `{id}` |");
            assert!(page.contains(&row), "docs/json.md lacks {row}");
        }
        let (_, table) = page
            .split_once("### The names of findings")
            .expect("the table");
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(
            rows.count(),
            ids.len(),
            "docs/json.md lists a rule that doesn't exist"
        );
    }
}
