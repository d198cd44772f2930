//! What to do where no connection can be made, by what the kernel said (code 43).

use rustix::io::Errno;

use super::case::Case;
use super::setup::Where;
use crate::failure::Failure;
use crate::probe::connect::Address;

/// Where that is fixed, and how; `None` for another failure.
pub(super) fn advice(case: Case<'_>, failure: &Failure) -> Option<(Where, String)> {
    let addresses = case.evidence.addresses.iter().flatten();
    let addresses: Vec<&Address> = addresses.map(|(address, _)| address).collect();
    let is_unix = matches!(addresses.as_slice(), [Address::Unix(_)]);
    let by_ipv6 =
        |address: &&Address| matches!(address, Address::Tcp(address) if address.is_ipv6());
    let (place, text) = match failure {
        Failure::Source(source, _) => return Some((Where::Options, wrong_source(source.ip()))),
        Failure::Connect(Errno::NOENT) => (Where::Server, NO_SOCKET),
        Failure::Connect(Errno::ACCESS | Errno::PERM) if is_unix => (Where::Server, LOCKED_SOCKET),
        Failure::Connect(Errno::NETUNREACH | Errno::ADDRNOTAVAIL)
            if addresses.iter().all(by_ipv6) =>
        {
            (Where::Options, NO_IPV6)
        }
        Failure::Connect(Errno::NETUNREACH) => (Where::Network, NO_ROUTE),
        Failure::Connect(Errno::HOSTUNREACH) => (Where::Network, REJECTED),
        Failure::Connect(Errno::INVAL | Errno::ACCESS | Errno::PERM) => (Where::Network, FORBIDDEN),
        Failure::Connect(Errno::CONNRESET) => (Where::Server, RESET),
        _ => return None,
    };
    Some((place, text.to_owned()))
}

fn wrong_source(source: std::net::IpAddr) -> String {
    format!(
        "--source {source} is not an address of this host (`ip address` lists those), or its port is in \
         use: correct it, and source on the server line."
    )
}

const NO_SOCKET: &str = "Nobody has made the unix socket: start the server, or correct the path. HAProxy looks \
                         for it inside its chroot, and as its own user.";

const LOCKED_SOCKET: &str = "This user may not connect to the unix socket: let its mode and its folder's admit \
                             HAProxy's user.";

const NO_IPV6: &str = "This host has no route to the server's IPv6 address: write its IPv4 address on the server \
                       line, or give this host IPv6.";

const NO_ROUTE: &str = "This host has no route to the address: `ip route get ADDRESS`. Add the route, or correct \
                        the address on the server line.";

const REJECTED: &str = "Likeliest: a firewall rejects the connection (icmp-host-prohibited, firewalld's default): \
                        open the port there for HAProxy's address. Otherwise the host is off, or nobody has that \
                        address.";

const FORBIDDEN: &str = "A rule of this host forbids the connection: a route of type blackhole or prohibit (`ip \
                         route get ADDRESS`), or a firewall. Remove it, or write another address on the server line.";

const RESET: &str = "Likeliest: a proxy, load balancer or port-forward accepts the connection for the server and \
                     resets it, because its own backend is down: look there.";
