//! A check as a call by hand: what to paste to find out why it fails.

use std::ffi::OsStr;

use crate::options::handed::{self, Carrier};
use crate::plan::Plan;

use super::check::ExternalCheck;
use super::jail::Jail;
use super::judge;
use super::served::Served;
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::server_line::Server;

/// The options of a check that diagnose does not take.
const FOR_CHECKS: [&str; 4] = ["--quiet", "--verbose", "--json", "--syslog"];

/// The options whose value is a file, in the chroot.
const FILES: [&str; 5] = ["--ca-file", "--crl-file", "--crt", "--key", "--header"];

/// The call of `sni-check diagnose` for a check whose options are good.
pub(super) fn of_external(check: &ExternalCheck, jail: &Jail) -> Option<String> {
    let plan = judge::options(check, jail).0?.plan;
    let path = OsStr::new(check.variable("PATH").unwrap_or_default());
    let [_, _, address, port] = &check.arguments;
    let target = match &check.server.endpoint {
        Endpoint::Unix(path) => vec![
            "--connect".to_owned(),
            format!("unix@{}", outside(path, jail)),
            "localhost".to_owned(),
        ],
        _ => vec![target(address, port)],
    };
    call(
        handed::words(Carrier::Path, path).ok()?,
        |file| outside(file, jail),
        &plan,
        target,
    )
}

/// The same for a check by `sni-check serve`, which runs outside of HAProxy's chroot.
pub(super) fn of_served(served: &Served, server: &Server) -> Option<String> {
    let text = &served.options.as_ref()?.value;
    let plan = served.plan(server, text).ok()?;
    let target = match &server.endpoint {
        // The options say what to dial.
        Endpoint::Unix(_) | Endpoint::Other(_) => "localhost".to_owned(),
        Endpoint::Tcp(..) => {
            let (address, port) = server.address();
            target(&address, &port)
        }
    };
    let given = handed::words(Carrier::Header, OsStr::new(text)).ok()?;
    call(given, str::to_owned, &plan, vec![target])
}

fn call(
    given: Vec<String>,
    file: impl Fn(&str) -> String,
    plan: &Plan,
    target: Vec<String>,
) -> Option<String> {
    let mut given = given.into_iter();
    let mut words = vec!["sni-check".to_owned(), "diagnose".to_owned()];
    let mut has_name = false;
    while let Some(word) = given.next() {
        // What is not an option is the value of one.
        let (option, joined) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => {
                (option.to_owned(), Some(value.to_owned()))
            }
            _ => (word, None),
        };
        has_name |= option == "--sni" || option == "--no-sni";
        if FOR_CHECKS.contains(&option.as_str()) {
            given
                .by_ref()
                .take(usize::from(option == "--syslog" && joined.is_none()))
                .for_each(drop);
            continue;
        }
        let is_file = FILES.contains(&option.as_str());
        words.push(option);
        let value = joined.or_else(|| if is_file { given.next() } else { None });
        words.extend(value.map(|value| if is_file { file(&value) } else { value }));
    }
    if let Some(name) = plan.names.sni.as_ref().filter(|_| !has_name) {
        words.extend(["--sni".to_owned(), name.as_ref().to_owned()]);
    }
    words.extend(target);
    shlex::try_join(words.iter().map(String::as_str)).ok()
}

/// Where a file of the chroot is, seen from outside; what is not a file stays.
fn outside(value: &str, jail: &Jail) -> String {
    let (at, path) = match value.strip_prefix('@') {
        Some(path) => ("@", path),
        None => ("", value),
    };
    match path.starts_with('/') {
        true => format!("{at}{}", jail.outside(path)),
        false => value.to_owned(),
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
