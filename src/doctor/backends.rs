//! What a backend says of its checks as a whole.

use crate::haproxy::call::own_command;

use super::finding::Finding;
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::server_line::Server;

/// Looks at a backend.
pub(super) fn look(backend: &Backend) -> Vec<Finding> {
    if backend.settings.disabled {
        return Vec::new();
    }
    let mut findings = by_agent(backend);
    if !backend.is_external() {
        findings.extend(replaced(backend).or_else(|| without_option(backend)));
        return findings;
    }
    findings.extend(unchecked(backend));
    findings.extend(without_command(backend));
    findings.extend(unused_rules(backend));
    findings.extend(
        backend
            .checked()
            .filter_map(|server| elsewhere(backend, server)),
    );
    findings
}

fn without_command(backend: &Backend) -> Option<Finding> {
    if backend.settings.command.is_some() {
        return None;
    }
    let option = backend.settings.check.as_ref().map(|check| &check.place);
    let what = "option external-check without `external-check command`";
    Some(
        Finding::problem("no-command", what)
            .at(option.unwrap_or(&backend.place))
            .about([backend.name.clone()])
            .shows("HAProxy refuses the configuration")
            .write(format!("external-check command {}", own_command())),
    )
}

/// An `option external-check` that a later option replaces.
fn replaced(backend: &Backend) -> Option<Finding> {
    let set = &backend.settings;
    let (external, check) = (set.replaced.as_ref()?, set.check.as_ref()?);
    let what = format!(
        "`option {}` replaces `option external-check` of {external}",
        check.value
    );
    // With one from defaults, somebody may have meant it so.
    let finding = match is_within(backend, external) {
        true => Finding::problem("no-option", what),
        false if set.command.is_none() => return None,
        false => Finding::note("replaced", what),
    };
    Some(
        finding
            .at(&check.place)
            .about([backend.name.clone()])
            .shows(format!(
                "HAProxy checks with {} and never runs the external check",
                check.value
            ))
            .write("keep the one of the two that is meant; the last one counts"),
    )
}

/// Whether a line belongs to a backend itself, not to its defaults.
fn is_within(backend: &Backend, place: &Place) -> bool {
    place.file == backend.place.file && place.line > backend.place.line
}

fn without_option(backend: &Backend) -> Option<Finding> {
    let set = &backend.settings;
    let own = set.command.as_ref().or(set.path.as_ref());
    // What comes from defaults is for the backends that have the option.
    let own = own.filter(|setting| is_within(backend, &setting.place))?;
    let kind = set.check.as_ref();
    let kind = kind.map_or("only a TCP connection", |check| check.value.as_str());
    let what = "external-check is set, but without `option external-check` HAProxy ignores it";
    Some(
        Finding::problem("no-option", what)
            .at(&own.place)
            .about([backend.name.clone()])
            .shows(format!(
                "the check is {kind}, which knows neither these options nor this command"
            ))
            .write("add option external-check, after any other option that sets a check"),
    )
}

fn unchecked(backend: &Backend) -> Vec<Finding> {
    let without = |server: &&Server| !server.settings.has("check") && !server.settings.has("track");
    let servers: Vec<&Server> = backend.servers.iter().filter(without).collect();
    let all = servers.len() == backend.servers.len();
    if let Some(first) = servers.first().filter(|_| all) {
        let what = "no server of this backend has `check`: nothing is checked";
        return vec![
            Finding::problem("nothing-checked", what)
                .at(&first.place)
                .about([backend.name.clone()])
                .shows("no check; a dead server keeps getting its share of the traffic")
                .write("add `check` to the server line, or to default-server above it"),
        ];
    }
    let finding = |server: &Server| {
        Finding::note("not-checked", "this server has no `check`")
            .at(&server.place)
            .about([format!("{}/{}", backend.name, server.name)])
            .shows("no check; traffic goes to it whatever its state")
            .write("add `check` at the end of its line")
    };
    // Of those with an agent there is more to say.
    let servers = servers.into_iter();
    let without_agent = servers.filter(|server| !server.settings.has("agent-check"));
    without_agent.map(finding).collect()
}

/// Servers that only an agent judges.
fn by_agent(backend: &Backend) -> Vec<Finding> {
    let alone = |server: &&Server| {
        server.settings.has("agent-check")
            && !server.settings.has("check")
            && !server.settings.has("track")
    };
    let finding = |server: &Server| {
        let what = "`agent-check` without `check`: nobody but the agent judges this server";
        Finding::note("agent-alone", what)
            .at(&server.place)
            .about([format!("{}/{}", backend.name, server.name)])
            .shows(
                "while the agent does not answer, the server stays as it was, and is UP after a \
                 reload, dead or not",
            )
            .write("add `check` as well, with what really asks the server")
    };
    backend.servers.iter().filter(alone).map(finding).collect()
}

/// `http-check` and `tcp-check` say nothing to an external check.
fn unused_rules(backend: &Backend) -> Vec<Finding> {
    let rules = backend.settings.rules.lines();
    let rules = rules.filter(|rule| is_within(backend, &rule.place));
    let finding = |rule: At<String>| {
        let what = format!(
            "with option external-check HAProxy ignores `{}`",
            rule.value
        );
        let write = match rule.value.strip_prefix("http-check expect ") {
            Some(expectation) => format!("--expect {}", quoted(expectation)),
            None => "--method, --uri, --header, --body and --expect".to_owned(),
        };
        Finding::note("unused-rule", what)
            .at(&rule.place)
            .about([backend.name.clone()])
            .shows("the check does what its own options say; without any, GET / and status 200-399")
            .write(format!("{write} in external-check path, without this line"))
    };
    rules.map(finding).collect()
}

/// A value in single quotes, for `external-check path`.
fn quoted(value: &str) -> String {
    shlex::try_quote(value).map_or_else(|_| "'…'".to_owned(), |value| value.into_owned())
}

/// A server that a section of its own checks.
fn elsewhere(backend: &Backend, server: &Server) -> Option<Finding> {
    let section = server.settings.get("healthcheck")?;
    let what = format!(
        "`healthcheck {}` of this server replaces the external check",
        section.value
    );
    Some(
        Finding::note("healthcheck", what)
            .at(&section.place)
            .about([format!("{}/{}", backend.name, server.name)])
            .shows("what that section checks; sni-check is never run for this server")
            .write("keep the one of the two that is meant"),
    )
}
