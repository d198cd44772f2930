//! Codes 31 to 43: the name and the connection.

use super::cause::Cause;

pub(super) const NAME_NOT_FOUND: &[Cause] = &[
    Cause {
        what: "The host of --connect, or of the URL by hand, is misspelled or has no address. (HAProxy resolves the names of its server lines itself.)",
        confirm: "getent ahosts NAME",
        change: "Correct the name, or give an address.",
    },
    Cause {
        what: "HAProxy's chroot has no /etc/resolv.conf or /etc/hosts, so a name resolves by hand but not there.",
        confirm: "ls CHROOT/etc/resolv.conf CHROOT/etc/hosts",
        change: "Give an address instead of a name, or copy these files into the chroot.",
    },
];

pub(super) const RESOLVE_TIMEOUT: &[Cause] = &[
    Cause {
        what: "The name server does not answer, or answers SERVFAIL, which a binary with musl (as in the container image) takes for no answer.",
        confirm: "time getent ahosts NAME",
        change: "Fix the resolver (/etc/resolv.conf), or give --connect an address.",
    },
    Cause {
        what: "--timeout is shorter than the name server takes.",
        confirm: "Run the check by hand with --timeout 10s; its line shows how long resolving took.",
        change: "Raise --timeout and, above it, inter and timeout connect.",
    },
];

/// HAProxy still has the address of its start.
const MOVED: Cause = Cause {
    what: "The name on the server line has another address by now: without `resolvers` HAProxy keeps the one that it found when it started.",
    confirm: "Compare the address in the line with getent ahosts NAME.",
    change: "Reload HAProxy; resolvers on the server line make it follow the name.",
};

pub(super) const REFUSED: &[Cause] = &[
    Cause {
        what: "Nothing listens there: the service is stopped, or starts later than HAProxy.",
        confirm: "On the backend: ss -ltn sport = :PORT",
        change: "Start the service.",
    },
    Cause {
        what: "It listens on another port or only on another address (127.0.0.1, IPv4 or IPv6 alone).",
        confirm: "Compare the address in the line with what ss -ltn shows.",
        change: "Correct the server line. HAProxy ignores `port` and `addr` for external checks; use --port or --connect.",
    },
    Cause {
        what: "A firewall answers with a reset.",
        confirm: "Connect from the backend itself; if that works, it is between you.",
        change: "Allow HAProxy's address.",
    },
    MOVED,
];

pub(super) const TIMEOUT: &[Cause] = &[
    Cause {
        what: "A firewall drops the packets, or the route back is missing.",
        confirm: "sni-check diagnose shows which addresses answer; tcpdump on the backend shows whether packets arrive.",
        change: "Allow HAProxy's address; where the backend knows only another address of this host, use --source.",
    },
    Cause {
        what: "The backend is down or its queue of connections is full.",
        confirm: "ping it; on the backend: ss -ltn shows Recv-Q at its limit.",
        change: "Bring it back, or raise its backlog.",
    },
    Cause {
        what: "It is far away and --timeout is short.",
        confirm: "Run the check by hand with --timeout 10s; its line shows how long connecting took.",
        change: "Raise --timeout and, above it, inter and timeout connect.",
    },
    MOVED,
];

pub(super) const UNREACHABLE: &[Cause] = &[
    Cause {
        what: "There is no route to the address, often to IPv6 from a host or container that has none.",
        confirm: "ip route get ADDRESS",
        change: "Add the route, or write the IPv4 address on the server line.",
    },
    Cause {
        what: "A firewall rejects the connection (icmp-host-prohibited, firewalld's default).",
        confirm: "The line says `no route to host`, although ip route get ADDRESS shows one; tcpdump -n icmp shows who sends that.",
        change: "Allow HAProxy's address there.",
    },
    Cause {
        what: "The connection was reset while it was made, often by a proxy, load balancer or port-forward whose own backend is down.",
        confirm: "The line says `connection reset`. If it comes a moment later, the code is 64.",
        change: "As for 64: sni-check explain 64.",
    },
    Cause {
        what: "The route to the address is of type blackhole or prohibit.",
        confirm: "The line says `invalid argument` (blackhole) or `permission denied` (prohibit), and so does ip route get ADDRESS.",
        change: "Remove that route, or write another address on the server line.",
    },
    Cause {
        what: "--source is not an address of this host, or its port is in use.",
        confirm: "ip address; the line says `cannot connect from --source`.",
        change: "Correct --source; leave its port out.",
    },
    Cause {
        what: "The unix socket does not exist inside HAProxy's chroot, or its user may not write to it.",
        confirm: "ls -l CHROOT/PATH",
        change: "Put the socket into the chroot and give HAProxy's user access.",
    },
];
