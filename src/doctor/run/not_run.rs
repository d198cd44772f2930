//! The checks that doctor doesn't run, and why.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::outcome::Outcome;
use crate::code::Layer;
use crate::doctor::rules::binds::refusal_to_listen;
use crate::doctor::visit::{Visit, Watch};
use crate::haproxy::config::address::Endpoint;

/// The servers whose checks didn't run. Each reason is the end of a sentence, without its full stop.
#[derive(Debug, Default)]
pub(super) struct NotRun(BTreeMap<String, Vec<String>>);

impl NotRun {
    pub fn add(&mut self, watch: &Watch, reason: impl Into<String>) {
        let names = self.0.entry(reason.into()).or_default();
        names.push(watch.name());
    }

    /// Returns one sentence for each reason, with the names of the servers.
    pub fn sentences(&self) -> Vec<String> {
        let sentence = |(reason, names): (&String, &Vec<String>)| {
            let (checks, were) = match names.len() {
                1 => ("check", "was"),
                _ => ("checks", "were"),
            };
            format!(
                "The {checks} of {} {were} not run: {reason}.",
                names.join(", ")
            )
        };
        self.0.iter().map(sentence).collect()
    }
}

/// Returns why HAProxy doesn't check this server, which has a name without an address.
pub(super) fn without_address(watch: &Watch) -> String {
    let name = watch.server.endpoint.name().unwrap_or_default();
    let resolvers = watch.server.settings.get("resolvers");
    // The servers of a `server-template` line share its place. A name server's address has replaced the name.
    let mut siblings = watch.backend.servers.iter();
    let has_sibling =
        siblings.any(|other| other.place == watch.server.place && other.endpoint.name().is_none());
    let why = match resolvers {
        Some(resolvers) if has_sibling => format!(
            "the name servers of HAProxy's section `resolvers {}` give {name} fewer addresses than \
             server-template makes servers",
            resolvers.value
        ),
        Some(resolvers) => format!(
            "the name servers of HAProxy's section `resolvers {}` give no address for {name}",
            resolvers.value
        ),
        None if watch.server.init_addr().next() == Some("none") => {
            format!("with init-addr none, HAProxy doesn't resolve {name}")
        }
        None => format!("this host finds no address for {name}"),
    };
    // With `resolvers`, HAProxy adds `none` to its default methods (`srv_iterate_initaddr` in its
    // source).
    let is_default = !watch.server.settings.has("init-addr");
    let is_optional = watch.server.init_addr().any(|method| method == "none");
    let haproxy = match is_optional || (is_default && resolvers.is_some()) {
        true => "HAProxy then shows MAINT (resolution) and runs no check",
        false => "HAProxy does not start if it finds no address either",
    };
    format!("{why}. {haproxy}")
}

/// If the check can't connect because it connects to HAProxy itself, returns why its result doesn't count.
/// HAProxy listens there when it runs with this configuration.
pub(super) fn before_haproxy(visit: &Visit, watch: &Watch, outcome: Outcome) -> Option<String> {
    let code = outcome.own_code().filter(|_| !watch.runs_other_program);
    code.filter(|code| code.layer() == Layer::Connection)?;
    let mut endpoints = watch.connections.iter().map(|check| &check.endpoint);
    let section = endpoints.find_map(|endpoint| own_listener(visit, endpoint))?;
    Some(format!(
        "HAProxy itself listens there when it runs ({section})"
    ))
}

/// Returns the section in which HAProxy itself listens at this address, such as `frontend web`.
pub(super) fn own_listener<'a>(visit: &'a Visit, endpoint: &Endpoint) -> Option<&'a str> {
    let facts = &visit.config.facts;
    let is_same = |bind: &str| match (endpoint, Endpoint::parse(bind)) {
        (Endpoint::Tcp(host, port), Endpoint::Tcp(of_bind, of_port)) => {
            let is_any = ["0.0.0.0", "::"].contains(&of_bind.as_str());
            *port == of_port
                && *port != 0
                && (*host == of_bind || (is_any && is_of_this_host(host)))
        }
        (Endpoint::Unix(path), Endpoint::Unix(of_bind)) => {
            visit.jail.host_path(path) == format!("{}{of_bind}", facts.unix_prefix)
        }
        (Endpoint::Other(name), Endpoint::Other(of_bind)) => *name == of_bind,
        _ => false,
    };
    let mut binds = facts.binds.iter();
    let found = binds.find(|bind| is_same(&bind.address.value))?;
    Some(&found.section)
}

/// Returns true if this is an address of this host. The system then lets a program use it.
fn is_of_this_host(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| refusal_to_listen(address).is_none())
}
