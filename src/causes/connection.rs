//! The connection, up to the first byte of TLS.

use rustix::io::Errno;

use super::cause::{Cause, Place, Trial, Weight, at};
use super::facts::{Facts, KnownValue};
use crate::code::Code;
use crate::failure::Failure;
use crate::probe::connect::Address;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "source-wrong",
        shows_as: &[
            at(Code::Unreachable, 5),
            at(Code::ConnectTimeout, 5),
            at(Code::ConnectionRefused, 5),
            at(Code::HandshakeTimeout, 13),
            at(Code::HandshakeClosed, 13),
            at(Code::HandshakeRefused, 12),
            at(Code::ResponseClosed, 12),
            at(Code::Status, 27),
        ],
        place: Place::Config,
        what: "The check fails if it connects from the address of <--source|`source`> ({source}). Either this host doesn't have that address, or the server accepts only this host's usual address.",
        confirm: "`ip address` lists the addresses of this host. The port of <--source|`source`> may also be in use.",
        change: "Leave out <--source, and |>`source` on the server line or in the backend. Or correct the address, or allow it on the server.",
        weigh: |facts| match facts.failure() {
            Some(Failure::Source(..)) => Weight::Proved,
            _ => Weight::Possible.when(facts.options.source.is_some()),
        },
        trials: |facts| {
            vec![Trial::new(facts, |options| options.source = None).counting_progress()]
        },
        ..Cause::BASE
    },
    Cause {
        id: "source-elsewhere",
        shows_as: &[
            at(Code::Unreachable, 9),
            at(Code::ConnectTimeout, 6),
            at(Code::ConnectionRefused, 6),
            at(Code::HandshakeTimeout, 14),
            at(Code::HandshakeClosed, 18),
            at(Code::HandshakeRefused, 13),
            at(Code::ResponseClosed, 16),
            at(Code::Status, 33),
        ],
        place: Place::Config,
        what: "The server accepts a connection only from certain addresses. It accepts {source}, the `source` of {other}.",
        confirm: "Run the check with --source {source}.",
        change: "Connect from that address: <--source {source}, and |>source {source} on the server line.",
        weigh: |_| Weight::RuledOut,
        trials: |facts| {
            let trial = |known: &KnownValue| {
                let trial = Trial::new(facts, |options| options.source = Some(known.value.clone()));
                let trial = trial.counting_progress().with("other", &*known.of);
                trial.with("source", &*known.value)
            };
            facts.known("--source").map(trial).collect()
        },
        ..Cause::BASE
    },
    Cause {
        id: "service-stopped",
        shows_as: &[at(Code::ConnectionRefused, 1)],
        what: "Nothing listens at this address and port: the service is stopped, or it starts later than HAProxy.",
        confirm: "On the server, ss -ltn sport = :{port} shows no listener.",
        change: "Start the service.",
        weigh: |_| Weight::Likely,
        ..Cause::BASE
    },
    Cause {
        id: "port-wrong",
        shows_as: &[at(Code::ConnectionRefused, 2)],
        place: Place::Value,
        what: "The service listens on another port, or only on another address (127.0.0.1, only IPv4, or only IPv6).",
        confirm: "Compare {dialled} with what ss -ltn shows on the server.",
        change: "Correct the server line. <HAProxy ignores `port` and `addr` for external checks, so use --port or --connect.|Check its port and addr, too.>",
        ..Cause::BASE
    },
    Cause {
        id: "firewall-resets",
        shows_as: &[at(Code::ConnectionRefused, 3)],
        place: Place::Network,
        what: "A firewall resets the connection.",
        confirm: "Connect from the server itself. If that works, a firewall between HAProxy and the server resets the connection.",
        change: "Allow HAProxy's address.",
        ..Cause::BASE
    },
    Cause {
        id: "server-moved",
        shows_as: &[at(Code::ConnectionRefused, 4), at(Code::ConnectTimeout, 4)],
        place: Place::Config,
        what: "The name on the server line has a new address. Without `resolvers` HAProxy keeps the address that it found when it started.",
        confirm: "Compare {dialled} with getent ahosts {looked-up}.",
        change: "Reload HAProxy. With `resolvers` on the server line, HAProxy updates the address itself.",
        // diagnose resolves the name itself, so its address can't be old.
        weigh: |facts| Weight::Possible.when(facts.plan.caller.is_some()),
        ..Cause::BASE
    },
    Cause {
        id: "firewall-drops",
        shows_as: &[at(Code::ConnectTimeout, 1)],
        place: Place::Network,
        what: "A firewall drops the packets, or the route back is missing.",
        confirm: "sni-check diagnose shows which addresses answer. tcpdump on the server shows whether packets arrive.",
        change: "Allow HAProxy's address. If the firewall allows another address of this host, connect from that address< with --source| (source on the server line)>.",
        ..Cause::BASE
    },
    Cause {
        id: "host-down",
        shows_as: &[at(Code::ConnectTimeout, 2)],
        what: "The server is switched off, or its queue of new connections is full.",
        confirm: "ping {address}. If the queue is full, ss -ltn on the server shows Recv-Q at its limit.",
        change: "Start the server, or raise its backlog.",
        ..Cause::BASE
    },
    Cause {
        id: "no-route",
        shows_as: &[at(Code::Unreachable, 1)],
        place: Place::Network,
        what: "This host has no route to the address.",
        confirm: "ip route get {address}",
        change: "Add the route, or correct the address on the server line.",
        weigh: |facts| {
            let code = errno(facts);
            Weight::Likely.when(code == Some(Errno::NETUNREACH) && !is_ipv6_only(facts))
        },
        ..Cause::BASE
    },
    Cause {
        id: "no-ipv6",
        shows_as: &[at(Code::Unreachable, 2)],
        place: Place::Value,
        what: "This host has no route to the server's IPv6 address, which is common in containers.",
        confirm: "ip -6 route get {address}",
        change: "Write the server's IPv4 address on the server line, or set up IPv6 on this host.",
        weigh: |facts| {
            let unreachable = [Errno::NETUNREACH, Errno::ADDRNOTAVAIL];
            let code = errno(facts);
            Weight::Likely
                .when(code.is_some_and(|code| unreachable.contains(&code)) && is_ipv6_only(facts))
        },
        ..Cause::BASE
    },
    Cause {
        id: "firewall-rejects",
        shows_as: &[at(Code::Unreachable, 3)],
        place: Place::Network,
        what: "A firewall rejects the connection (icmp-host-prohibited, firewalld's default). Or the server is switched off, or no host has this address.",
        confirm: "ip route get {address} shows a route, although the check says `no route to host`. tcpdump -n icmp shows which host sends the ICMP error.",
        change: "Allow HAProxy's address at the firewall, or start the server.",
        weigh: |facts| Weight::Likely.when(errno(facts) == Some(Errno::HOSTUNREACH)),
        ..Cause::BASE
    },
    Cause {
        id: "route-forbidden",
        shows_as: &[at(Code::Unreachable, 4)],
        place: Place::Network,
        what: "A rule on this host forbids the connection: a route of type blackhole or prohibit, or a firewall.",
        confirm: "The check's line says `invalid argument` (blackhole) or `permission denied` (prohibit), and so does ip route get {address}.",
        change: "Remove that rule, or write another address on the server line.",
        weigh: |facts| {
            let forbidden = [Errno::INVAL, Errno::ACCESS, Errno::PERM];
            let code = errno(facts);
            Weight::Likely
                .when(code.is_some_and(|code| forbidden.contains(&code)) && !is_unix(facts))
        },
        ..Cause::BASE
    },
    Cause {
        id: "socket-missing",
        shows_as: &[at(Code::Unreachable, 6)],
        what: "The unix socket doesn't exist. An external check looks for it inside HAProxy's chroot, as HAProxy's user.",
        confirm: "ls -l PATH (CHROOT/PATH for an external check)",
        change: "Start the server, or correct the path.",
        weigh: |facts| Weight::Proved.when(errno(facts) == Some(Errno::NOENT)),
        ..Cause::BASE
    },
    Cause {
        id: "socket-locked",
        shows_as: &[at(Code::Unreachable, 7)],
        place: Place::Host,
        what: "The check's user isn't allowed to connect to the unix socket.",
        confirm: "ls -l PATH (CHROOT/PATH for an external check), and the mode of each folder above it.",
        change: "Give that user access to the socket and its folder.",
        weigh: |facts| {
            let locked = [Errno::ACCESS, Errno::PERM];
            let code = errno(facts);
            Weight::Proved.when(code.is_some_and(|code| locked.contains(&code)) && is_unix(facts))
        },
        ..Cause::BASE
    },
    Cause {
        id: "forwarder-without-backend",
        shows_as: &[
            at(Code::Unreachable, 8),
            at(Code::HandshakeTimeout, 3),
            at(Code::HandshakeClosed, 4),
        ],
        what: "A proxy, load balancer or port forwarder accepts the connection (or resets it at once), but its own backend is down.",
        confirm: "Look at the proxy's log, or run sni-check diagnose <--connect with|for> the address of the proxy's backend.",
        change: "Start the backend behind the proxy, or correct the address to which the proxy forwards.",
        evidence: "{handshakes-alike}",
        weigh: |facts| match facts.failure() {
            Some(Failure::Connect(errno)) => Weight::Likely.when(*errno == Errno::CONNRESET),
            _ => super::tls::nothing_behind(facts),
        },
        ..Cause::BASE
    },
];

/// Returns the kernel's error, if the check couldn't connect.
fn errno(facts: &Facts) -> Option<Errno> {
    match facts.failure() {
        Some(Failure::Connect(errno)) => Some(*errno),
        _ => None,
    }
}

fn tried(facts: &Facts) -> impl Iterator<Item = &Address> {
    let addresses = facts.addresses.iter().flatten();
    addresses.map(|(address, _)| address)
}

fn is_ipv6_only(facts: &Facts) -> bool {
    tried(facts).all(|address| matches!(address, Address::Tcp(address) if address.is_ipv6()))
}

fn is_unix(facts: &Facts) -> bool {
    tried(facts).any(|address| matches!(address, Address::Unix(_)))
}
