//! Hosts and DNS names, in the forms that options and URLs use.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::Result;
use rustls::pki_types::DnsName;

use crate::refusal::{SET_THE_VARIABLE, refusal};

/// A host to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A DNS name.
    Name(String),
}

impl Host {
    /// Reads a name or an address (IPv6 with or without brackets).
    ///
    /// # Errors
    ///
    /// The text is neither a name nor an address.
    pub fn parse(text: &str) -> Result<Host> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if let Some(bare) = bare {
            let write = "write an address such as [2001:db8::1]";
            let refuse = |_| refusal(format!("`{bare}`"), "is not an IPv6 address", write);
            return Ok(Host::Ip(bare.parse::<Ipv6Addr>().map_err(refuse)?.into()));
        }
        match text.parse() {
            Ok(ip) => Ok(Host::Ip(ip)),
            Err(_) => Ok(Host::Name(dns_name(text)?.as_ref().to_owned())),
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

/// Returns true if host names can contain this byte.
fn is_of_hosts(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

/// Reads a DNS name that can be sent as SNI: in A-labels, without a port. A final dot is removed, because
/// only DNS needs it.
pub(super) fn dns_name(text: &str) -> Result<DnsName<'static>> {
    let refuse = |what: &str, write: &str| Err(refusal(format!("`{text}`"), what, write));
    if text.is_empty() {
        return refuse("is empty", SET_THE_VARIABLE);
    }
    if text.starts_with(['“', '”', '„', '‘', '’', '«', '»']) {
        let write = "write straight quotes, or leave them out";
        return refuse("begins with a typographic quote", write);
    }
    if !text.is_ascii() {
        return refuse(
            "has letters that are not ASCII (a U-label)",
            "write its punycode form, xn--…",
        );
    }
    if text.parse::<IpAddr>().is_ok() {
        return refuse(
            "is an IP address, which cannot be an SNI name (RFC 6066)",
            "write a DNS name, or use --no-sni",
        );
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let write = "write a name such as www.example.com";
    match DnsName::try_from(name.to_owned()) {
        Ok(dns_name) if !name.ends_with('.') => Ok(dns_name),
        _ if text.contains('.') && text.bytes().all(is_of_hosts) => refuse(
            "is not a DNS name, and sni-check sends only DNS names (limit of sni-check)",
            write,
        ),
        _ => refuse("is not a DNS name", write),
    }
}
