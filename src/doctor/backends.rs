//! What a backend says of its checks as a whole.

use crate::haproxy::call::own_command;

use super::config::Backend;
use super::finding::Finding;
use super::server::Server;

/// Looks at a backend.
pub(super) fn look(backend: &Backend) -> Vec<Finding> {
    if backend.settings.disabled {
        return Vec::new();
    }
    if !backend.is_external() {
        return without_option(backend).into_iter().collect();
    }
    let mut findings = unchecked(backend);
    findings.extend(without_command(backend));
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

fn without_option(backend: &Backend) -> Option<Finding> {
    let set = &backend.settings;
    let own = set.command.as_ref().or(set.path.as_ref());
    // What comes from defaults is for the backends that have the option.
    let own = own.filter(|setting| {
        setting.place.file == backend.place.file && setting.place.line > backend.place.line
    })?;
    let kind = set.check.as_ref();
    let kind = kind.map_or("a mere TCP connection", |check| check.value.as_str());
    let what = "external-check is set, but without `option external-check` HAProxy ignores it";
    Some(
        Finding::problem("no-option", what)
            .at(&own.place)
            .about([backend.name.clone()])
            .shows(format!(
                "the check is {kind}, which knows neither these options nor this command"
            ))
            .write("option external-check, after any other option that sets a check"),
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
                .write("check at the end of the server line, or in default-server above it"),
        ];
    }
    let finding = |server: &Server| {
        Finding::note("not-checked", "this server has no `check`")
            .at(&server.place)
            .about([format!("{}/{}", backend.name, server.name)])
            .shows("no check; traffic goes to it whatever its state")
            .write("check at the end of its line")
    };
    servers.into_iter().map(finding).collect()
}
