//! What to dial, and from where.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::haproxy::{self, Caller};
use crate::options::Options;
use crate::plan::names;
use crate::values::Port;

/// A server to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// TCP, by address or by a name that is yet to be resolved.
    Tcp {
        /// The host.
        host: Host,
        /// The port, never 0.
        port: u16,
    },
    /// A unix stream socket.
    Unix(PathBuf),
}

/// A host to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A DNS name.
    Name(String),
}

impl Host {
    /// Reads an address (IPv6 with or without brackets) or a name.
    ///
    /// # Errors
    /// What is neither.
    pub fn parse(text: &str) -> Result<Host> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if let Some(bare) = bare {
            let ip: Ipv6Addr = bare
                .parse()
                .with_context(|| format!("`{bare}` is no IPv6 address"))?;
            return Ok(Host::Ip(ip.into()));
        }
        match text.parse() {
            Ok(ip) => Ok(Host::Ip(ip)),
            Err(_) => Ok(Host::Name(names::dns_name(text)?.as_ref().to_owned())),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Host::Ip(ip) => write!(f, "{ip}"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp { host, port } => write!(f, "{host}:{port}"),
            Target::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What the call's arguments say besides what to dial.
#[derive(Debug)]
pub(super) struct Call {
    /// The host of the URL, by hand.
    pub host: Option<Host>,
    /// The path and query of the URL, if it has one.
    pub uri: Option<String>,
}

/// Resolves the arguments and `--connect` and `--port` into what to dial.
pub(super) fn resolve(options: &Options, caller: Option<&Caller>) -> Result<(Call, Target)> {
    let connect = options
        .connect
        .as_deref()
        .map(Connect::parse)
        .transpose()
        .context("--connect")?;
    let port = match (&connect, options.port) {
        (Some(Connect::Tcp(_, Some(_))), Some(_)) => {
            bail!("--port and the port in --connect contradict each other; give only one of them")
        }
        (Some(Connect::Unix(_)), Some(_)) => {
            bail!("--port has no meaning with --connect to a unix socket; leave it out")
        }
        (Some(Connect::Tcp(_, Some(port))), None) => Some(*port),
        (_, port) => port,
    };
    match options.target.as_slice() {
        [_, _, address, server_port] => {
            let call = Call {
                host: None,
                uri: None,
            };
            let target = match connect {
                Some(Connect::Unix(path)) => Target::Unix(path),
                Some(Connect::Tcp(host, _)) => {
                    let port = port.map_or_else(|| haproxy::port(server_port), Ok)?;
                    Target::Tcp {
                        host,
                        port: port.get(),
                    }
                }
                None => haproxy::target(address, server_port, port)?,
            };
            Ok((call, target))
        }
        _ if caller.is_some() => bail!(
            "HAProxy gives a check four arguments, these are {}; set external-check command to sni-check itself",
            options.target.len()
        ),
        [url] => {
            let (call, url_port) = by_hand(url)?;
            let port = port.map_or(url_port, Port::get);
            let target = match (connect, &call.host) {
                (Some(Connect::Unix(path)), _) => Target::Unix(path),
                (Some(Connect::Tcp(host, _)), _) => Target::Tcp { host, port },
                (None, Some(host)) => Target::Tcp {
                    host: host.clone(),
                    port,
                },
                (None, None) => bail!("`{url}` names no host"),
            };
            Ok((call, target))
        }
        [] => bail!("no target; write a URL or HOST[:PORT], or see sni-check --help"),
        several => bail!(
            "{} targets; write one URL or HOST[:PORT], or HAProxy's four arguments",
            several.len()
        ),
    }
}

/// Reads a URL or HOST[:PORT].
fn by_hand(text: &str) -> Result<(Call, u16)> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
        Some((scheme, _)) => {
            bail!("`{scheme}://`: only HTTPS is checked; write https:// or HOST[:PORT]")
        }
        None => text,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    ensure!(
        !authority.contains('@'),
        "user and password in a URL are not sent; use --header 'Authorization: …'"
    );
    let (host, port) = host_and_port(authority).with_context(|| format!("`{text}`"))?;
    let path = path.split('#').next().unwrap_or_default();
    let uri = match path {
        "" => None,
        query if query.starts_with('?') => Some(format!("/{query}")),
        path => Some(path.to_owned()),
    };
    let call = Call {
        host: Some(host),
        uri,
    };
    Ok((call, port.map_or(443, Port::get)))
}

/// Reads `HOST`, `HOST:PORT`, `[IPv6]`, `[IPv6]:PORT` or a bare IPv6 address.
fn host_and_port(text: &str) -> Result<(Host, Option<Port>)> {
    if let Ok(ip) = text.parse() {
        return Ok((Host::Ip(ip), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    ensure!(
        !host.starts_with('[') || host.ends_with(']'),
        "`{text}`: write [IPv6] or [IPv6]:PORT, such as [2001:db8::1]:443"
    );
    let port = port
        .map(|port| port.parse().with_context(|| format!("port `{port}`")))
        .transpose()?;
    Ok((Host::parse(host)?, port))
}

/// The value of `--connect`.
enum Connect {
    Tcp(Host, Option<Port>),
    Unix(PathBuf),
}

impl Connect {
    fn parse(text: &str) -> Result<Connect> {
        let path = text.strip_prefix("unix@").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Connect::Unix(path.into()));
        }
        let (host, port) = host_and_port(text)?;
        Ok(Connect::Tcp(host, port))
    }
}

/// Reads `--source`.
pub(super) fn source(options: &Options, target: &Target) -> Result<Option<SocketAddr>> {
    let Some(text) = &options.source else {
        return Ok(None);
    };
    let (host, port) = host_and_port(text).context("--source")?;
    let Host::Ip(ip) = host else {
        bail!("--source {text}: write an IP address of this machine, such as 192.0.2.7");
    };
    match target {
        Target::Unix(_) => bail!("--source has no meaning for a unix socket; leave it out"),
        Target::Tcp {
            host: Host::Ip(to), ..
        } if to.is_ipv4() != ip.is_ipv4() => {
            bail!("--source {text} and the server {to} are not of the same IP version")
        }
        Target::Tcp { .. } => Ok(Some(SocketAddr::new(ip, port.map_or(0, Port::get)))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, by_hand, host_and_port};

    #[test]
    fn urls_and_bare_hosts() {
        for (text, host, port, uri) in [
            ("www.example.com", "www.example.com", 443, None),
            ("www.example.com:8443", "www.example.com", 8443, None),
            ("HTTPS://a.example/x?y#z", "a.example", 443, Some("/x?y")),
            ("https://a.example?y", "a.example", 443, Some("/?y")),
            ("https://[::1]:8443/", "[::1]", 8443, Some("/")),
            ("2001:db8::1", "[2001:db8::1]", 443, None),
        ] {
            let (call, found_port) = by_hand(text).expect(text);
            assert_eq!(call.host.expect("a host").to_string(), host);
            assert_eq!((found_port, call.uri.as_deref()), (port, uri), "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for (text, part) in [
            ("http://a.example/", "only HTTPS"),
            ("https://user:pw@a.example/", "--header"),
            ("https://", "empty"),
            ("a.example:0", "1 to 65535"),
            ("a.example:99999", "1 to 65535"),
            ("[::1", "write [IPv6]"),
            ("[::1]x", "write [IPv6]"),
            ("a.example..", "no DNS name"),
            ("bücher.example", "punycode"),
        ] {
            let error = format!("{:#}", by_hand(text).expect_err(text));
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn ipv6_needs_brackets_only_before_a_port() {
        let (host, port) = host_and_port("[::1]").expect("IPv6");
        assert_eq!((host, port), (Host::parse("::1").expect("IPv6"), None));
    }
}
