//! HAProxy's own checks, of backends without an external check: those that judge less than they seem
//! to.

use super::finding::Finding;
use super::setup::Setup;
use crate::haproxy::config::http_check::Connect;
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::server_line::Server;

/// Looks at a backend that HAProxy checks itself.
pub(super) fn look(backend: &Backend, setup: Setup) -> Vec<Finding> {
    if backend.is_external() || backend.settings.disabled {
        return Vec::new();
    }
    let findings = backend.checked().filter_map(|server| {
        let finding =
            without_tls(backend, server).or_else(|| without_sni(backend, server, setup))?;
        Some(finding.about([format!("{}/{}", backend.name, server.name)]))
    });
    findings.collect()
}

/// Whether `port` or `addr` leads the check elsewhere, and so without the server's TLS.
fn is_elsewhere(server: &Server) -> bool {
    server.settings.has("port") || server.settings.has("addr")
}

fn without_tls(backend: &Backend, server: &Server) -> Option<Finding> {
    let settings = &server.settings;
    let other = settings.get("port").or(settings.get("addr"))?;
    let as_the_server = backend.settings.rules.connect() == Connect::AsTheServer;
    if !settings.has("ssl") || settings.has("check-ssl") || !as_the_server {
        return None;
    }
    let what = "`port` or `addr` on a server line with `ssl`: the check is made without TLS";
    Some(
        Finding::note("check-without-tls", what)
            .at(&other.place)
            .shows("L4OK (UP) as soon as anything accepts the connection, whatever its certificate")
            .write(format!("check-ssl check-sni {}", sni_of(server))),
    )
}

/// The outage this program exists for: traffic names the host that it wants, the check does not.
fn without_sni(backend: &Backend, server: &Server, setup: Setup) -> Option<Finding> {
    let settings = &server.settings;
    let sni = settings.get("sni")?;
    let rules = &backend.settings.rules;
    let (place, write) = match rules.connect() {
        Connect::TlsWithoutSni(place) => (place, format!("sni {} after ssl", sni_of(server))),
        Connect::AsTheServer => (&sni.place, format!("check-sni {}", sni_of(server))),
        Connect::OnItsOwn => return None,
    };
    let tls = settings.has("check-ssl") || (settings.has("ssl") && !is_elsewhere(server));
    let by_itself = setup.haproxy.version.is_some()
        && setup.haproxy.at_least(3, 3)
        && !settings.has("no-check-sni-auto")
        && rules.has_host();
    let as_the_server = rules.connect() == Connect::AsTheServer;
    if as_the_server && (!tls || settings.has("check-sni") || by_itself) {
        return None;
    }
    let what = format!(
        "traffic sends SNI ({}), HAProxy's own check sends none",
        sni.value
    );
    Some(
        Finding::note("check-without-sni", what)
            .at(place)
            .shows(
                "L6RSP, \"SSL handshake failure\" (DOWN) where the server wants SNI; elsewhere the \
                 verdict on another site's certificate",
            )
            .write(format!(
                "{write}; or an external check with sni-check, which also judges how long the \
                 certificate lasts"
            )),
    )
}

/// The name of the traffic, or a placeholder.
fn sni_of(server: &Server) -> &str {
    server.settings.fixed_sni().unwrap_or("NAME")
}
