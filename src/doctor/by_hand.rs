//! A check as a call by hand: what to paste to find out why it fails.

use std::ffi::OsStr;

use crate::command::Command;
use crate::options::Options;
use crate::options::handed::{self, Carrier};
use crate::plan::Plan;

use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::external::ExternalCheck;
use crate::haproxy::config::serve::ServeCheck;
use crate::haproxy::config::server_line::Server;

use super::jail::Jail;
use super::visit::Watch;

/// The call of `sni-check diagnose` for a check by sni-check.
pub(super) fn diagnose(watch: &Watch, jail: &Jail) -> Option<String> {
    let plan = &watch.own.as_ref()?.plan;
    match &watch.check {
        Check::External(check) => of_external(check, jail, plan),
        Check::Serve(check) => of_served(check, watch.server, plan),
        _ => None,
    }
}

fn of_external(check: &ExternalCheck, jail: &Jail, plan: &Plan) -> Option<String> {
    let path = OsStr::new(check.variable("PATH").unwrap_or_default());
    let (address, port) = check.server.address();
    let target = match &check.server.endpoint {
        Endpoint::Unix(path) => vec![
            "--connect".to_owned(),
            format!("unix@{}", outside(path, jail)),
            "localhost".to_owned(),
        ],
        _ => vec![target(&address, &port)],
    };
    call(
        *handed::options(Carrier::Path, path).ok()?,
        |file| outside(file, jail),
        plan,
        target,
    )
}

/// `sni-check serve` runs outside of HAProxy's chroot.
fn of_served(check: &ServeCheck, server: &Server, plan: &Plan) -> Option<String> {
    let target = match &server.endpoint {
        // The options say what to dial.
        Endpoint::Unix(_) | Endpoint::Other(_) => "localhost".to_owned(),
        Endpoint::Tcp(..) => {
            let (address, port) = server.address();
            target(&address, &port)
        }
    };
    let text = &check.options.as_ref()?.value;
    let given = *handed::options(Carrier::Header, OsStr::new(text)).ok()?;
    call(given, str::to_owned, plan, vec![target])
}

fn call(
    mut options: Options,
    file: impl Fn(&str) -> String,
    plan: &Plan,
    target: Vec<String>,
) -> Option<String> {
    options.retain(|row| row.is_for(Command::Diagnose) && row.name != "--json");
    options.map_files(file);
    if !options.no_sni && options.sni.is_none() {
        let name = plan.names.sni.as_ref();
        options.sni = name.map(|name| name.as_ref().to_owned());
    }
    let mut words = vec!["sni-check".to_owned(), "diagnose".to_owned()];
    words.extend(options.to_words());
    words.extend(target);
    shlex::try_join(words.iter().map(String::as_str)).ok()
}

/// Where a file of the chroot is, seen from outside. A path that isn't absolute stays.
fn outside(path: &str, jail: &Jail) -> String {
    match path.starts_with('/') {
        true => jail.outside(path),
        false => path.to_owned(),
    }
}

/// The server's address and port, as HAProxy passes them.
fn target(address: &str, port: &str) -> String {
    let host = match address.contains(':') {
        true => format!("[{address}]"),
        false => address.to_owned(),
    };
    match port {
        "0" | "NOT_USED" => host,
        port => format!("{host}:{port}"),
    }
}
