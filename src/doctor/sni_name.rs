//! A name that traffic sends with more around it than belongs to it: a dot or a space at its end.

use super::finding::Finding;
use super::setup::Setup;
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::server_line::Server;

/// The name without what does not belong to it, if there is such a thing.
pub(super) fn bare(name: &str) -> Option<&str> {
    let bare = name.trim().trim_end_matches('.');
    (bare != name && !bare.is_empty()).then_some(bare)
}

/// Looks at the servers of a backend, whatever checks them.
pub(super) fn look(backend: &Backend, setup: Setup) -> Vec<Finding> {
    if backend.settings.disabled {
        return Vec::new();
    }
    let servers = backend.servers.iter();
    let found = |server: &Server| {
        let about = format!("{}/{}", backend.name, server.name);
        Some(of_server(server, setup)?.about([about]))
    };
    servers.filter_map(found).collect()
}

fn of_server(server: &Server, setup: Setup) -> Option<Finding> {
    let settings = &server.settings;
    let sni = settings.get("sni").filter(|_| settings.has("ssl"))?;
    let sent = settings.fixed_sni()?;
    let bare = bare(sent)?;
    let what = format!("traffic sends the SNI `{sent}`, the name is `{bare}`");
    let verifies_it = !settings.has("verifyhost")
        && match settings.get("verify") {
            Some(verify) => verify.value != "none",
            None => setup.config.global.verify_none.is_none(),
        };
    let finding = match verifies_it {
        true => Finding::problem("sni-name", what).shows(
            "503 for traffic: HAProxy sends it as it is and finds no such name in the certificate; \
             sni-check cannot send it, and refuses it",
        ),
        false => Finding::note("sni-name", what)
            .shows("HAProxy sends it as it is; the server may not know such a name"),
    };
    Some(finding.at(&sni.place).write(format!(
        "sni str({bare}) on the server line; or, if the name comes from a variable, set that to {bare}"
    )))
}
