//! Rules about the kind of check that a backend has, and about the servers that this check judges.

use crate::haproxy::agent::{self, Agent};
use crate::haproxy::call::own_command;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::server_line::Server;
use crate::options::expect::Expectation;

use super::advice::{switch_on, with_kind};
use super::dialogue::statuses;
use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::{Visit, Watch};

pub(crate) fn no_command(_: &Visit, backend: &Backend) -> Vec<Finding> {
    if !backend.is_external() || backend.settings.command.is_some() {
        return Vec::new();
    }
    let what = "option external-check without `external-check command`";
    vec![
        Finding::problem(Effect::NoStart, what)
            .at(Check::option(backend).unwrap_or(&backend.place))
            .about([backend.name.clone()])
            .shows("HAProxy refuses the configuration")
            .write(format!("external-check command {}", own_command())),
    ]
}

/// Finds lines about a check that HAProxy ignores: `external-check` lines without `option external-check`,
/// and `http-check` lines without an option. Also finds an `option external-check` in the backend that
/// another option replaces.
pub(crate) fn no_option(visit: &Visit, backend: &Backend) -> Vec<Finding> {
    let set = &backend.settings;
    if backend.is_external() || visit.checks_of(backend) == 0 {
        return Vec::new();
    }
    if let (Some(external), Some(check)) = (&set.replaced, &set.check)
        && backend.has_line(external)
    {
        let what = format!(
            "`option {}` replaces `option external-check` of {external}",
            check.value
        );
        return vec![replaced_by(backend, Finding::problem(Effect::Either, what))];
    }
    let own = set.command.as_ref().or(set.path.as_ref());
    // Lines in defaults may be meant only for backends that have the option.
    let own = own
        .map(|setting| &setting.place)
        .filter(|place| backend.has_line(place));
    let kind = set.check.as_ref();
    let rules = set.rules.http.lines.first().filter(|_| kind.is_none());
    let (place, what, option) = match (own, rules) {
        (Some(place), _) => (
            place,
            "external-check is set, but without `option external-check` HAProxy ignores it",
            "option external-check",
        ),
        (None, Some(rule)) => (
            &rule.place,
            "http-check lines are set, but without `option httpchk` HAProxy ignores them",
            "option httpchk",
        ),
        _ => return Vec::new(),
    };
    let kind = kind.map_or_else(
        || "a plain connection (with the server line's TLS, if it has any)".to_owned(),
        |check| check.value.clone(),
    );
    vec![
        Finding::problem(Effect::Either, what)
            .at(place)
            .about([backend.name.clone()])
            .shows(format!(
                "HAProxy checks with {kind}: UP where that works, even if visitors get 503; DOWN where it fails"
            ))
            .write(with_option(visit, backend, place, option)),
    ]
}

/// Returns the advice to add an option. The advice begins with the changes that the check of this option
/// needs.
fn with_option(visit: &Visit, backend: &Backend, place: &Place, option: &str) -> String {
    // `option httpchk` in the backend would replace the http-check lines of defaults.
    let section = match backend.has_line(place) {
        true => "",
        false => "in the same defaults, ",
    };
    let advice = format!("{section}add {option}, after any other option that sets a check");
    let assumed = with_kind(backend, option.trim_start_matches("option "), place);
    match assumed.servers.iter().find(|server| server.is_checked()) {
        Some(server) => tested_advice(visit, &visit.watch_of(&assumed, server), &advice),
        None => advice,
    }
}

/// Finds an `option external-check` in defaults that another option in the backend replaces.
pub(crate) fn replaced(_: &Visit, backend: &Backend) -> Vec<Finding> {
    let set = &backend.settings;
    let (Some(external), Some(check)) = (&set.replaced, &set.check) else {
        return Vec::new();
    };
    if backend.has_line(external) || set.command.is_none() {
        return Vec::new();
    }
    let what = format!(
        "`option {}` replaces `option external-check` of {external}",
        check.value
    );
    vec![replaced_by(backend, Finding::hint(what))]
}

fn replaced_by(backend: &Backend, finding: Finding) -> Finding {
    let check = backend.settings.check.as_ref();
    let kind = check.map_or("a connection", |check| &check.value);
    finding
        .at(Check::option(backend).unwrap_or(&backend.place))
        .about([backend.name.clone()])
        .shows(format!(
            "HAProxy checks with {kind} and never runs the external check"
        ))
        .write("keep the option that you want, and remove the other; HAProxy uses the last one")
}

/// Words that make sense only on the line of a checked server.
const OF_CHECKS: [&str; 19] = [
    "addr",
    "check-alpn",
    "check-proto",
    "check-send-proxy",
    "check-sni",
    "check-ssl",
    "check-via-socks4",
    "downinter",
    "fall",
    "fastinter",
    "init-state",
    "inter",
    "observe",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "port",
    "rise",
    "no-check-ssl",
];

fn is_unchecked(server: &Server) -> bool {
    let set = &server.settings;
    !server.is_checked() && !set.has("track") && !set.has("agent-check") && !set.has("disabled")
}

/// Returns true if the server line has a word that makes sense only with a check.
fn is_meant(server: &Server) -> bool {
    OF_CHECKS.iter().any(|word| server.settings.has(word))
}

/// Returns true if a backend, or its defaults, describes a check.
fn describes_check(backend: &Backend) -> bool {
    let set = &backend.settings;
    set.check.is_some() || set.command.is_some() || !set.rules.http.lines.is_empty()
}

/// Returns true if all lines about the check are in defaults, and another backend has a check. These lines
/// may then be meant only for backends whose servers have `check`.
fn shares_with_others(visit: &Visit, backend: &Backend) -> bool {
    let set = &backend.settings;
    let own = [
        Check::option(backend),
        set.command.as_ref().map(|command| &command.place),
        set.rules.http.lines.first().map(|line| &line.place),
    ];
    if own
        .into_iter()
        .flatten()
        .any(|place| backend.has_line(place))
    {
        return false;
    }
    visit.watches.iter().any(|other| {
        let is_other = !std::ptr::eq(other.backend, backend);
        is_other && (other.server.is_checked() || is_meant(other.server))
    })
}

/// Finds a backend in which no server has `check`. The finding is a problem if the configuration describes a
/// check for these servers, unless all of them have `no-check`.
pub(crate) fn nothing_checked(visit: &Visit, backend: &Backend) -> Vec<Finding> {
    let unchecked = visit.watches_of(backend);
    let unchecked: Vec<&Watch> = unchecked
        .filter(|watch| is_unchecked(watch.server))
        .collect();
    // In `mode log`, servers receive log lines, most often over UDP. No check is possible over UDP.
    let all = unchecked.len() == backend.servers.len() && !backend.settings.logs;
    let (true, Some(first)) = (all, unchecked.first()) else {
        return Vec::new();
    };
    let meant = describes_check(backend) && !shares_with_others(visit, backend);
    let meant = meant || unchecked.iter().any(|watch| is_meant(watch.server));
    let explicit = unchecked
        .iter()
        .all(|watch| watch.server.settings.has("no-check"));
    let what = "no server of this backend has `check`, so HAProxy checks no server";
    let advice = "add `check` to the server line, or to default-server above it";
    let advice = without_no_check(first).unwrap_or(advice);
    let finding = match meant && !explicit {
        true => Finding::problem(Effect::Unchecked, what),
        false => Finding::note(Effect::Unchecked, what),
    };
    vec![
        finding
            .at(&first.server.place)
            .about([backend.name.clone()])
            .shows("no check; a dead server keeps getting its share of the traffic")
            .write(match meant {
                true => tested_advice(visit, first, advice),
                false => switch_on(visit, first, advice),
            }),
    ]
}

/// Finds a server without `check` in a backend where another server is checked, has an agent, or is disabled.
pub(crate) fn not_checked(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let mut others = watch.backend.servers.iter();
    let has_checked_server = others.any(|server| !is_unchecked(server));
    if !is_unchecked(watch.server) || !has_checked_server || watch.backend.settings.logs {
        return None;
    }
    let mut others = watch.backend.servers.iter();
    let what = match others.any(Server::is_checked) {
        true => "this server has no `check`, but another server of its backend has it",
        false => "this server has no `check`",
    };
    let (is_meant, shows) = match is_last_resort(watch) {
        // HAProxy uses this backup server only if all other servers are DOWN. Visitors then get this server's
        // answer or 503, with or without a check.
        true => (
            true,
            "no check; if every other server is DOWN and this server is dead, visitors get 503",
        ),
        false => (
            watch.server.settings.has("no-check"),
            "no check; the server gets traffic even if it is dead",
        ),
    };
    let finding = match is_meant {
        true => Finding::note(Effect::Unchecked, what),
        false => Finding::problem(Effect::Unchecked, what),
    };
    Some(
        finding
            .at(&watch.server.place)
            .shows(shows)
            .write(tested_advice(
                visit,
                watch,
                without_no_check(watch).unwrap_or("add `check` at the end of its line"),
            )),
    )
}

/// Returns how to switch on the check of a server with `no-check`, or `None` for other servers.
fn without_no_check(watch: &Watch) -> Option<&'static str> {
    let is_inherited = watch.backend.settings.server.has("check");
    let set = &watch.server.settings;
    set.has("no-check").then_some(match is_inherited {
        true => "remove `no-check` from the server line",
        false => "write `check` in place of `no-check`",
    })
}

/// Returns true if the server is the only backup of its backend.
fn is_last_resort(watch: &Watch) -> bool {
    let is_backup = |server: &&Server| server.settings.has("backup");
    let backups = watch.backend.servers.iter().filter(is_backup).count();
    is_backup(&watch.server) && backups == 1
}

/// Finds a backend in which every server has `weight 0`. HAProxy then sends no new visitors to these servers,
/// unless a `use-server` rule does so.
pub(crate) fn no_weight(visit: &Visit, backend: &Backend) -> Vec<Finding> {
    let weight = |server: &Server| {
        let weight = server.settings.get("weight").cloned();
        weight.filter(|weight| weight.value == "0")
    };
    let is_idle = backend
        .servers
        .iter()
        .all(|server| weight(server).is_some());
    let first = backend.servers.first().and_then(weight);
    let Some(first) = first.filter(|_| is_idle && visit.checks_of(backend) > 0) else {
        return Vec::new();
    };
    let finding = match backend.settings.chooses_servers {
        true => Finding::note(
            Effect::Up,
            "every server of this backend has `weight 0`, so only `use-server` rules send visitors to a server",
        )
        .shows("503 for visitors without a matching use-server rule, whatever the check says"),
        false => Finding::problem(
            Effect::Up,
            "every server of this backend has `weight 0`, so HAProxy sends visitors to none of them",
        )
        .shows("503 for new visitors, whatever the check says"),
    };
    vec![
        finding
            .at(&first.place)
            .about([backend.name.clone()])
            .write("a weight above 0 for at least one server"),
    ]
}

/// Returns the advice of `switch_on`. If no rule finds a fault in this check, `--run` also tries the check.
/// The advice then begins with what to do first if the check fails, or if this host can't resolve the
/// server's name.
fn tested_advice(visit: &Visit, watch: &Watch, advice: &str) -> String {
    let text = switch_on(visit, watch, advice);
    let failed = (text == advice).then(|| (visit.try_check)(visit, watch));
    match failed.flatten() {
        Some(first) => format!("first: {first}. Then {advice}"),
        None => text,
    }
}

/// Finds a server that only an agent judges.
pub(crate) fn agent_alone(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let set = &watch.server.settings;
    if !set.has("agent-check") || set.has("check") || set.has("track") {
        return None;
    }
    let what = "`agent-check` without `check`: only the agent judges this server";
    let is_described = describes_check(watch.backend) && !shares_with_others(visit, watch.backend);
    let finding = match Agent::of(watch.server).filter(|_| visit.call.run) {
        _ if is_described => Finding::problem(
            Effect::Unchecked,
            format!("{what}, and the check that this backend describes never runs"),
        ),
        Some(agent) if agent.accepts() => Finding::hint(what),
        Some(agent) => Finding::problem(
            Effect::Unchecked,
            format!("{what}, and no agent answers at {agent}"),
        ),
        None => Finding::note(Effect::Unchecked, what),
    };
    Some(
        finding
            .at(&watch.server.place)
            .shows(
                "while the agent does not answer, the server keeps its last state; after a reload \
                 it is UP, even if it is dead",
            )
            .write(switch_on(
                visit,
                watch,
                "add `check` to the server line as well",
            )),
    )
}

/// With `--run`, finds an agent that takes the server out of service, whatever the check says.
pub(crate) fn agent_down(visit: &Visit, watch: &Watch) -> Option<Finding> {
    if !visit.call.run {
        return None;
    }
    let agent = Agent::of(watch.server)?;
    let (answer, effect) = agent.asked()?;
    let what = format!("the agent at {agent} answers `{answer}`");
    let finding = match effect {
        agent::Effect::Down => Finding::problem(Effect::Down, what),
        agent::Effect::Maintenance | agent::Effect::Drain => Finding::note(Effect::Down, what),
    };
    let place = watch.server.settings.place("agent-check");
    Some(
        finding
            .at(place.unwrap_or(&watch.server.place))
            .shows(format!("{effect}, whatever the check says (seen just now)"))
            .write("find out why the agent says so; or remove agent-check from the server line"),
    )
}

/// Finds a server whose name never gets an address, because neither libc nor a name server resolves it.
pub(crate) fn no_address(_: &Visit, watch: &Watch) -> Option<Finding> {
    let (server, settings) = (watch.server, &watch.server.settings);
    let name = server.endpoint.name()?;
    let is_resolved = settings.has("resolvers") || server.init_addr().next() != Some("none");
    if is_resolved || settings.has("disabled") {
        return None;
    }
    let place = settings.place("init-addr");
    Some(
        Finding::problem(
            Effect::Down,
            format!("with init-addr none and without resolvers, HAProxy never resolves {name}"),
        )
        .at(place.unwrap_or(&server.place))
        .shows("MAINT (resolution): no check runs, and no visitor is sent there")
        .write("remove init-addr, or add resolvers to the server line"),
    )
}

/// Finds a server that follows the check of a server with a different address.
pub(crate) fn tracks_another(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let track = watch.server.settings.get("track")?;
    let full = watch.tracked()?;
    let other = visit.watches.iter().find(|other| other.name() == full)?;
    if other.server.endpoint == watch.server.endpoint {
        return None;
    }
    let what = format!("`track {full}`: the check of another address decides about this server");
    Some(
        Finding::hint(what)
            .at(&track.place)
            .shows(format!(
                "UP while {full} is UP, even if this server is dead"
            ))
            .write("add `check` in place of track, if one server can fail while the other works"),
    )
}

/// Finds `http-check` and `tcp-check` lines, which have no effect on an external check.
pub(crate) fn unused_rule(_: &Visit, backend: &Backend) -> Vec<Finding> {
    if !backend.is_external() {
        return Vec::new();
    }
    let rules = &backend.settings.rules;
    let lines = rules.http.lines.iter().chain(&rules.tcp.lines);
    let own = lines.filter(|line| backend.has_line(&line.place));
    let finding = |line: &At<Vec<String>>| {
        let text = match line.place.text().filter(|text| text.contains('$')) {
            // Show the line as it is written, because the values of variables may be secrets.
            Some(text) => text.trim().to_owned(),
            None => line.value.join(" "),
        };
        let what = format!("with option external-check HAProxy ignores `{text}`");
        let expectation = text.strip_prefix("http-check expect ");
        let write = match expectation {
            Some(expectation) => format!(
                "if the check should require that, write --expect {} in external-check path; and remove this line",
                quoted(expectation, backend)
            ),
            None => "write --method, --uri, --header, --body or --expect in external-check path, and remove this line"
                .to_owned(),
        };
        let effect = match expectation.is_some_and(is_stricter) {
            true => Effect::Up,
            false => Effect::Either,
        };
        Finding::note(effect, what)
            .at(&line.place)
            .about([backend.name.clone()])
            .shows(
                "the options in external-check path decide UP or DOWN; by default the check sends \
                 GET / and expects status 200-399",
            )
            .foretells(&["71", "75", "76"])
            .write(write)
    };
    own.map(finding).collect()
}

/// Returns true if the expectation accepts only statuses that the check accepts by default. Without such an
/// expectation, the check may be UP too often, but not DOWN too often.
fn is_stricter(expectation: &str) -> bool {
    let Ok(expectation) = expectation.parse::<Expectation>() else {
        return false;
    };
    let accepted = statuses(&[expectation]);
    accepted.iter().all(|status| (200..400).contains(status))
}

/// Quotes a value for an option in `external-check path`. Prefers quotes that differ from the quotes around
/// all options.
fn quoted(value: &str, backend: &Backend) -> String {
    let path = backend.settings.path.as_ref();
    let line = path.and_then(|path| path.place.text()).unwrap_or_default();
    let is_in_single_quotes = line
        .split_once(" path ")
        .is_some_and(|(_, text)| text.trim_start().starts_with('\''));
    match is_in_single_quotes && !value.contains(['"', '\\', '$']) {
        true => format!("\"{value}\""),
        false => {
            shlex::try_quote(value).map_or_else(|_| "'…'".to_owned(), |value| value.into_owned())
        }
    }
}

/// Finds a server that a `healthcheck` section checks in place of the external check.
pub(crate) fn healthcheck(_: &Visit, watch: &Watch) -> Option<Finding> {
    let Check::Section(section) = &watch.check else {
        return None;
    };
    if !watch.backend.is_external() {
        return None;
    }
    let what = format!(
        "`healthcheck {}` of this server replaces the external check",
        section.value
    );
    Some(
        Finding::hint(what)
            .at(&section.place)
            .shows(
                "the result of that section; HAProxy never runs the external check for this server",
            )
            .write("keep the check that you want, and remove the other"),
    )
}
