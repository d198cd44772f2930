//! The addresses and ports of a configuration (configuration manual, section 11).

use std::fmt;
use std::net::IpAddr;

/// HAProxy's word for a port or an address that doesn't exist.
pub(crate) const NOT_USED: &str = "NOT_USED";

/// The address of a server, a listener or a `stats socket`, as haproxy.cfg writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Host and port. Port 0 means that the address has no port, or only an offset such as `+1`.
    Tcp(String, u16),
    /// The path of a unix socket.
    Unix(String),
    /// An address to which sni-check can't connect, such as an abstract socket.
    Other(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp(host, port) => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "{path}"),
            Endpoint::Other(text) => write!(f, "{text}"),
        }
    }
}

impl Endpoint {
    /// Reads HAProxy's notation (manual, section 11). The port follows the last colon.
    pub(crate) fn parse(text: &str) -> Endpoint {
        let (family, rest) = text.split_once('@').unwrap_or(("", text));
        match family {
            "unix" => return Endpoint::Unix(rest.to_owned()),
            "" if rest.starts_with('/') => return Endpoint::Unix(rest.to_owned()),
            "" | "ipv4" | "ipv6" | "tcp" | "tcp4" | "tcp6" | "mptcp" | "mptcp4" | "mptcp6" => {}
            _ => return Endpoint::Other(text.to_owned()),
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (rest, ""),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let host = match (host, family) {
            ("" | "*", "ipv6" | "tcp6") => "::",
            ("" | "*", _) => "0.0.0.0",
            _ => host,
        };
        // `+1` and `-1` are offsets from the port of the visitor's connection.
        let is_offset = port.starts_with(['+', '-']);
        let port = port.parse().ok().filter(|_| !is_offset);
        Endpoint::Tcp(host.to_owned(), port.unwrap_or(0))
    }

    /// Returns the address and port that HAProxy passes to an external check for this endpoint.
    pub(crate) fn words(&self) -> (String, String) {
        match self {
            Endpoint::Tcp(host, port) => (host.clone(), port.to_string()),
            Endpoint::Unix(path) => (path.clone(), NOT_USED.to_owned()),
            Endpoint::Other(_) => (String::new(), NOT_USED.to_owned()),
        }
    }

    /// Returns true if this is the name of an SRV record, which also supplies the port.
    pub(crate) fn is_srv(&self) -> bool {
        matches!(self, Endpoint::Tcp(host, 0) if host.starts_with('_'))
    }

    /// Returns the name that HAProxy resolves, or `None` if this isn't a name.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Endpoint::Tcp(host, _) if host.parse::<IpAddr>().is_err() => Some(host),
            _ => None,
        }
    }
}

/// Returns the names of the servers that `server-template PREFIX COUNT|RANGE ADDRESS` makes. Returns `None`
/// if the count or range isn't valid, or if there would be more than 10,000 servers.
pub(crate) fn template(prefix: &str, range: &str) -> Option<Vec<String>> {
    let (low, high) = match range.split_once('-') {
        Some((low, high)) => (low.parse().ok()?, high.parse().ok()?),
        None => (1, range.parse::<u32>().ok()?),
    };
    // A larger number is most likely a typo, and so many servers would fill the report.
    const MOST: u32 = 10_000;
    let sensible = low <= high && high - low < MOST;
    sensible.then(|| (low..=high).map(|n| format!("{prefix}{n}")).collect())
}

/// Returns a Host without its port. An IPv6 address keeps its colons.
pub(crate) fn without_port(host: &str) -> &str {
    let is_port = |(name, port): &(&str, &str)| {
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        is_number && (!name.contains(':') || name.ends_with(']'))
    };
    let split = host.rsplit_once(':').filter(is_port);
    split.map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, template, without_port};

    #[test]
    fn the_port_follows_the_last_colon() {
        let tcp = |host: &str, port| Endpoint::Tcp(host.to_owned(), port);
        for (text, expected) in [
            ("192.0.2.7:443", tcp("192.0.2.7", 443)),
            ("192.0.2.7", tcp("192.0.2.7", 0)),
            ("192.0.2.7:+1", tcp("192.0.2.7", 0)),
            ("[2001:db8::1]:443", tcp("2001:db8::1", 443)),
            ("2001:db8::1:443", tcp("2001:db8::1", 443)),
            ("[2001:db8::1]", tcp("2001:db8::1", 0)),
            ("ipv4@www.example.com:443", tcp("www.example.com", 443)),
            ("ipv6@:443", tcp("::", 443)),
            ("*:80", tcp("0.0.0.0", 80)),
            ("/run/x", Endpoint::Unix("/run/x".to_owned())),
            ("unix@x", Endpoint::Unix("x".to_owned())),
            ("abns@x", Endpoint::Other("abns@x".to_owned())),
        ] {
            assert_eq!(Endpoint::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn templates_count_from_one_or_over_their_range() {
        assert_eq!(template("s", "3").expect("a count"), ["s1", "s2", "s3"]);
        assert_eq!(template("s", "5-6").expect("a range"), ["s5", "s6"]);
        for bad in ["", "x", "3-1", "1-99999"] {
            assert_eq!(template("s", bad), None, "{bad}");
        }
    }

    #[test]
    fn a_host_loses_its_port() {
        for (host, expected) in [
            ("a.test", "a.test"),
            ("a.test:8443", "a.test"),
            ("[::1]:443", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("a.test:b", "a.test:b"),
        ] {
            assert_eq!(without_port(host), expected);
        }
    }
}
