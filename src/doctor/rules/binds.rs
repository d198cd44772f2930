//! Finds addresses on which HAProxy can't listen. `haproxy -c` doesn't listen, so it doesn't report them.

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};

use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::Visit;
use crate::haproxy::config::address::Endpoint;

/// Finds an address of `bind` or `stats socket` that this host doesn't have. It's only a note, because HAProxy
/// may run on another host.
pub(crate) fn foreign_address(visit: &Visit) -> Vec<Finding> {
    let binds = visit.config.facts.binds.iter();
    let binds = binds.filter(|bind| !bind.is_transparent);
    let binds = binds.map(|bind| ("bind", &bind.address));
    let stats = visit.config.global.stats_sockets.iter();
    let stats = stats.map(|at| ("stats socket", at));
    let findings = binds.chain(stats).filter_map(|(word, at)| {
        let Endpoint::Tcp(host, _) = Endpoint::parse(&at.value) else {
            return None;
        };
        let address: IpAddr = host.parse().ok()?;
        if refusal_to_listen(address) != Some(ErrorKind::AddrNotAvailable) {
            return None;
        }
        let what = format!("this host doesn't have the address {address} of `{word}`");
        Some(
            Finding::note(Effect::NoStart, what)
                .at(&at.place)
                .shows(
                    "HAProxy does not start on this host: cannot bind socket (Cannot assign requested address); \
                     haproxy -c does not report this",
                )
                .write(
                    "correct the address; for an address that moves between hosts, set net.ipv4.ip_nonlocal_bind=1 \
                     with sysctl",
                ),
        )
    });
    findings.collect()
}

/// Returns why this host refuses to let a program use the address, or `None` if it lets the program. If
/// `net.ipv4.ip_nonlocal_bind` is set, the host needn't have the address. HAProxy can then listen there, too.
pub(crate) fn refusal_to_listen(address: IpAddr) -> Option<ErrorKind> {
    let error = UdpSocket::bind((address, 0)).err()?;
    Some(error.kind())
}
