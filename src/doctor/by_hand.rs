//! What repeats a server's check outside of HAProxy: options for sni-check, a `sni-check diagnose` command,
//! and lines for another HAProxy.

use std::ffi::OsStr;

use crate::command::Command;
use crate::options::Options;
use crate::options::handed::{self, Carrier};
use crate::options::values::Time;

use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::backend_lines::ServerLines;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::Sni;

use super::options::DoctorOptions;
use super::shell::shell;
use super::visit::jail::Jail;
use super::visit::{Visit, Watch};

/// Returns the `sni-check diagnose` command for a server.
pub(crate) fn diagnose(watch: &Watch, call: &DoctorOptions) -> String {
    let mut words = vec!["sni-check", "diagnose"];
    for file in &call.file {
        words.extend(["-f", file]);
    }
    for pair in &call.env {
        words.extend(["--env", pair]);
    }
    if let Some(haproxy) = &call.haproxy {
        words.extend(["--haproxy", haproxy]);
    }
    let name = watch.name();
    words.push(&name);
    shell(words)
}

/// Returns the options that repeat a check by sni-check on this host. File paths are the host's paths, even
/// if HAProxy uses a chroot. The options contain the time limit and the SNI name, even if the check itself
/// uses defaults. Returns `None` if sni-check doesn't run the check, or refuses its options.
pub(crate) fn options(watch: &Watch, jail: &Jail) -> Option<Options> {
    let plan = &watch.own.as_ref()?.plan;
    let mut options = given(watch, jail)?;
    if let Check::External(check) = &watch.check {
        // HAProxy kills a check that takes longer than this limit.
        let time = plan.timeout.min(check.limit.time);
        options.timeout = Some(Time(time));
    }
    if !options.no_sni && options.sni.is_none() {
        let name = plan.names.sni.as_ref();
        options.sni = name.map(|name| name.as_ref().to_owned());
    }
    Some(options)
}

/// Returns the options that haproxy.cfg gives to a check by sni-check, even if the check refuses them.
pub(crate) fn given(watch: &Watch, jail: &Jail) -> Option<Options> {
    let mut options = match &watch.check {
        Check::External(check) => {
            let path = OsStr::new(check.variable("PATH").unwrap_or_default());
            let mut options = *handed::options(Carrier::Path, path).ok()?;
            options.map_files(|file| jail.host_path(file));
            options
        }
        // `sni-check serve` runs outside of HAProxy's chroot, so its paths are the host's paths already.
        Check::Serve(check) => {
            let text = &check.options.as_ref()?.value;
            *handed::options(Carrier::Header, OsStr::new(text)).ok()?
        }
        _ => return None,
    };
    options.retain(|row| row.is_for(Command::Diagnose) && row.name != "--json");
    Some(options)
}

/// Returns the SNI name of visitors' connections, if all of them send the same name.
pub(crate) fn traffic_name(watch: &Watch) -> Option<String> {
    match &watch.traffic.tls.as_ref()?.sni {
        Sni::Name(name) => Some(name.clone()),
        _ => None,
    }
}

/// Sets the address to connect to, and the target. The target is the first of these names that is known: the
/// SNI name of visitors' traffic, the check's SNI name, and the check's Host. If none of them is known, the
/// target is the server's address, or `localhost` for a unix socket. The target is also the address for a
/// check by sni-check with `--no-sni`, because such a check sends the address as Host.
pub(crate) fn at_server(mut options: Options, watch: &Watch, jail: &Jail) -> Options {
    let name = traffic_name(watch).or_else(|| options.sni.clone());
    let host = watch.backend.settings.rules.host();
    let name = name.or(host.filter(|name| !name.contains(['%', ':'])));
    let is_own = matches!(watch.check, Check::Own(_));
    let name = name.filter(|_| is_own || !options.no_sni);
    let (endpoint, own) = match (&watch.check, watch.connections.first()) {
        (Check::Own(_), Some(connection)) => (&connection.endpoint, true),
        _ => (&watch.server.endpoint, false),
    };
    let (address, port) = match (own, endpoint) {
        (true, Endpoint::Tcp(host, port))
            if watch.server.family.is_empty() || *endpoint != watch.server.endpoint =>
        {
            (host.clone(), port.to_string())
        }
        _ => watch.server.address(),
    };
    let dial = match endpoint {
        Endpoint::Unix(path) => Some(format!("unix@{}", jail.host_path(path))),
        Endpoint::Other(_) => None,
        Endpoint::Tcp(..) => {
            let port = options.port.take().map_or(port, |port| port.to_string());
            Some(target(&address, &port))
        }
    };
    options.connect = options.connect.or(dial);
    let fallback = match endpoint {
        Endpoint::Tcp(..) => target(&address, ""),
        _ => "localhost".to_owned(),
    };
    options.target = vec![name.unwrap_or(fallback)];
    options
}

/// Returns the lines about a server, for another HAProxy that runs outside of the chroot. The paths of unix
/// sockets in these lines are the host's paths.
pub(crate) fn lines(visit: &Visit, watch: &Watch) -> ServerLines {
    let mut lines = ServerLines::of(visit.reading, watch.backend, watch.server);
    if let Endpoint::Unix(path) = &watch.server.endpoint {
        lines.address = format!("unix@{}", visit.jail.host_path(path));
    }
    for rule in &mut lines.rules {
        let at = rule.words.iter().position(|word| word == "addr");
        let address = at.and_then(|at| rule.words.get_mut(at + 1));
        if let Some(address) = address
            && let Endpoint::Unix(path) = Endpoint::parse(address)
        {
            *address = format!("unix@{}", visit.jail.host_path(&path));
        }
    }
    lines
}

/// Returns `HOST:PORT` for an address and a port that HAProxy passes to a check. Leaves out the port if it's
/// empty, `0` or `NOT_USED`.
fn target(address: &str, port: &str) -> String {
    let host = match address.contains(':') {
        true => format!("[{address}]"),
        false => address.to_owned(),
    };
    match port {
        "" | "0" | "NOT_USED" => host,
        port => format!("{host}:{port}"),
    }
}
