//! What to connect to, and from which address.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use super::host::Host;
use crate::haproxy::Caller;
use crate::options::values::Port;
use crate::options::{Options, without_dashes};
use crate::refusal::{Of, exclusive, refusal};

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// TCP, with an address or with a name that must still be resolved.
    Tcp {
        /// The host.
        host: Host,
        /// The port, never 0.
        port: u16,
    },
    /// A unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp { host, port } => write!(f, "{host}:{port}"),
            Target::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The parts of the arguments that don't decide where to connect.
#[derive(Debug)]
pub(super) struct Arguments {
    /// The host of the URL on the command line. `None` for HAProxy's four arguments.
    pub host: Option<Host>,
    /// The path and query of the URL, if it has one.
    pub uri: Option<String>,
}

/// Resolves the arguments, `--connect` and `--port` into the address to connect to.
pub(super) fn resolve(
    options: &Options,
    arguments: &[String],
    caller: Option<&Caller>,
) -> Result<(Arguments, Target)> {
    let connect = options.connect.as_deref().map(Connect::parse);
    let connect = connect.transpose().of("--connect")?;
    let port = match (&connect, options.port) {
        (Some(Connect::Tcp(_, Some(_))), Some(_)) => {
            exclusive(true, "--port", true, "the port in --connect")?;
            None
        }
        (Some(Connect::Unix(_)), Some(_)) => {
            let what = "has no meaning with --connect to a unix socket";
            return Err(refusal("--port", what, "leave it out"));
        }
        (Some(Connect::Tcp(_, Some(port))), None) => Some(*port),
        (_, port) => port,
    };
    if caller.is_none() && arguments.len() > 1 {
        refuse_options(arguments)?;
    }
    match arguments {
        [_, _, address, server_port] => {
            let call = Arguments {
                host: None,
                uri: None,
            };
            let target = match connect {
                Some(Connect::Unix(path)) => Target::Unix(path),
                Some(Connect::Tcp(host, _)) => {
                    let port = port.map_or_else(|| self::server_port(server_port), Ok)?;
                    Target::Tcp {
                        host,
                        port: port.get(),
                    }
                }
                None => of_haproxy(address, server_port, port)?,
            };
            Ok((call, target))
        }
        given if caller.is_some() => Err(refusal(
            "the number of arguments",
            format!("is {}, but HAProxy passes four to a check", given.len()),
            "set external-check command to sni-check itself",
        )),
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
                (None, None) => {
                    let write = "write a URL or HOST[:PORT]";
                    return Err(refusal(format!("`{url}`"), "names no host", write));
                }
            };
            Ok((call, target))
        }
        [] => Err(refusal(
            "no target",
            "is given",
            "write a URL or HOST[:PORT], or see sni-check --help",
        )),
        several => Err(refusal(
            format!("{} targets", several.len()),
            "are too many",
            "give only one URL or HOST[:PORT], and quote a value that has spaces",
        )),
    }
}

/// Refuses words that are options without their dashes, as on a server line of haproxy.cfg.
fn refuse_options(words: &[String]) -> Result<()> {
    let mut refused = words.iter().filter_map(|word| {
        let write = without_dashes(word)?;
        Some(refusal(
            format!("`{word}`"),
            "is an option without --",
            write,
        ))
    });
    refused.next().map_or(Ok(()), Err)
}

/// Returns the server from HAProxy's four arguments. `other_port` (`--port`) replaces HAProxy's port.
///
/// # Errors
///
/// The address is empty (an abstract unix socket) or can't be read, there is no port, or `--port` is given
/// for a unix socket.
fn of_haproxy(address: &str, port: &str, other_port: Option<Port>) -> Result<Target> {
    if address.is_empty() {
        return Err(refusal(
            "the server's address",
            "is empty (an abstract unix socket?)",
            "use --connect ADDR:PORT",
        ));
    }
    if address.starts_with('/') {
        if other_port.is_some() {
            let what = format!("has no meaning for the unix socket {address}");
            return Err(refusal("--port", what, "leave it out"));
        }
        return Ok(Target::Unix(address.into()));
    }
    let host = Host::parse(address).of("the server's address")?;
    let port = other_port.map_or_else(|| server_port(port), Ok)?;
    Ok(Target::Tcp {
        host,
        port: port.get(),
    })
}

/// Reads the port that HAProxy passes. If the server line has no port, HAProxy passes `0` or `NOT_USED`.
///
/// # Errors
///
/// The text isn't a port from 1 to 65535.
fn server_port(port: &str) -> Result<Port> {
    port.parse().map_err(|_| {
        refusal(
            "the server line",
            format!("gives no port (HAProxy passes `{port}`)"),
            "write the port on the server line, or use --port N",
        )
    })
}

/// Reads a URL or HOST[:PORT].
fn by_hand(text: &str) -> Result<(Arguments, u16)> {
    let refused = |what: &str, write: &str| Err(refusal(format!("`{text}`"), what, write));
    if text.ends_with(".cfg") {
        let write = format!("write sni-check diagnose -f {text}, or sni-check doctor -f {text}");
        return refused("is a file, not a host", &write);
    }
    if text.starts_with('/') {
        let write = format!("write --connect {text} --sni NAME");
        return refused("is a path", &write);
    }
    let rest = match text.split_once("://") {
        Some((scheme, "")) if scheme.eq_ignore_ascii_case("https") => {
            return refused("has no host", "write https://HOST/PATH");
        }
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
        Some((scheme, _)) => {
            return Err(refusal(
                format!("`{scheme}://`"),
                "is not HTTPS, and sni-check checks only HTTPS",
                "write https:// or HOST[:PORT]",
            ));
        }
        None if is_broken_url(text) => {
            return refused(
                "is not a URL",
                "write https:// with its colon and two slashes",
            );
        }
        None => text,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(refusal(
            "user and password in a URL",
            "are not sent",
            "use --header 'Authorization: …'",
        ));
    }
    let (host, port) = match host_and_port(authority) {
        Err(error) if authority != text => Err(error).of(&format!("`{text}`:")),
        read => read,
    }?;
    let path = path.split('#').next().unwrap_or_default();
    let uri = match path {
        "" => None,
        query if query.starts_with('?') => Some(format!("/{query}")),
        path => Some(path.to_owned()),
    };
    let call = Arguments {
        host: Some(host),
        uri,
    };
    Ok((call, port.map_or(443, Port::get)))
}

/// Returns true for a URL with a misspelled `https://` or `http://`, such as `https:/HOST`, `https:HOST` or
/// `https//HOST`. `https:443` is a host and a port.
fn is_broken_url(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let Some(rest) = text.strip_prefix("http") else {
        return false;
    };
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    let is_port = |text: &str| !text.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic());
    rest.starts_with("//") || rest.strip_prefix(':').is_some_and(|host| !is_port(host))
}

/// Reads `HOST`, `HOST:PORT`, `[IPv6]`, `[IPv6]:PORT` or a bare IPv6 address.
fn host_and_port(text: &str) -> Result<(Host, Option<Port>)> {
    if let Ok(ip) = text.parse() {
        return Ok((Host::Ip(ip), None));
    }
    if text.ends_with(':') && text.matches(':').count() == 1 {
        let write = "write a port after the colon, or leave the colon out";
        return Err(refusal(format!("`{text}`"), "has no port", write));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.starts_with('[') && !host.ends_with(']') {
        return Err(refusal(
            format!("`{text}`"),
            "is not an address",
            "write [IPv6] or [IPv6]:PORT, such as [2001:db8::1]:443",
        ));
    }
    let port = port.map(|port| port.parse::<Port>().of(&format!("port `{port}`")));
    let port = port.transpose()?;
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
        if text.contains("://") {
            let write = "write only the address, such as 203.0.113.7 or 203.0.113.7:443";
            return Err(refusal(format!("`{text}`"), "is a URL", write));
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
    let (host, port) = host_and_port(text).of("--source")?;
    let Host::Ip(ip) = host else {
        return Err(refusal(
            format!("--source {text}"),
            "is not an IP address",
            "write an address of this machine, such as 192.0.2.7",
        ));
    };
    match target {
        Target::Unix(_) => Err(refusal(
            "--source",
            "has no meaning for a unix socket",
            "leave it out",
        )),
        Target::Tcp {
            host: Host::Ip(to), ..
        } if to.is_ipv4() != ip.is_ipv4() => Err(refusal(
            format!("--source {text}"),
            format!("and the server {to} have different IP versions"),
            "write an address of the same version as the server's",
        )),
        Target::Tcp { .. } => Ok(Some(SocketAddr::new(ip, port.map_or(0, Port::get)))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, Target, by_hand, host_and_port, of_haproxy};

    fn tcp(host: &str, port: u16) -> Target {
        let host = Host::parse(host).expect(host);
        Target::Tcp { host, port }
    }

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
    fn invalid_targets_are_refused() {
        for (text, part) in [
            ("http://a.example/", "is not HTTPS"),
            ("https://user:pw@a.example/", "--header"),
            ("https://", "has no host"),
            ("a.example:0", "1 to 65535"),
            ("a.example:99999", "1 to 65535"),
            ("[::1", "write [IPv6]"),
            ("[::1]x", "write [IPv6]"),
            ("a.example..", "not a DNS name"),
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

    #[test]
    fn targets_are_ipv4_bare_ipv6_and_unix_sockets() {
        for (address, port, expected) in [
            ("127.0.0.1", "443", tcp("127.0.0.1", 443)),
            ("2001:db8::1", "8443", tcp("2001:db8::1", 8443)),
            ("/run/x", "NOT_USED", Target::Unix("/run/x".into())),
        ] {
            assert_eq!(of_haproxy(address, port, None).expect(address), expected);
        }
    }

    #[test]
    fn servers_without_a_port_or_an_address_are_refused_with_a_fix() {
        for (address, port, part) in [
            ("127.0.0.1", "0", "--port N"),
            ("127.0.0.1", "NOT_USED", "--port N"),
            ("", "NOT_USED", "--connect"),
        ] {
            let error = of_haproxy(address, port, None)
                .expect_err("refused")
                .to_string();
            assert!(error.contains(part), "{error}");
        }
        let port = "8443".parse().ok();
        let target = of_haproxy("127.0.0.1", "0", port).expect("a target");
        assert_eq!(target, tcp("127.0.0.1", 8443));
    }
}
