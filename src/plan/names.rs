//! The names of a check: the SNI name, the name that is verified, and the Host header. By default,
//! the verified name and the Host are the SNI name.

use std::borrow::Cow;
use std::net::IpAddr;

use anyhow::{Error, Result};
use rustls::pki_types::DnsName;

use super::host::{Host, dns_name};
use super::target::{Arguments, Target};
use crate::haproxy::Caller;
use crate::options::Options;
use crate::refusal::{Of, Refusal, SET_THE_VARIABLE, exclusive, refusal};

/// The subject of the refusal if a check has no name to send.
pub const NO_SNI_NAME: &str = "no SNI name";

/// The names of a check.
#[derive(Debug)]
pub struct Names {
    /// The name sent as SNI (RFC 6066, section 3). `None` for `--no-sni`.
    pub sni: Option<DnsName<'static>>,
    /// The name that the certificate must be for. `None` if there is nothing to verify the
    /// certificate against: for example, for a unix socket without SNI.
    pub verified: Option<VerifiedName>,
    /// The default of the Host header (RFC 9112, section 3.2).
    pub host: String,
}

/// The name or address that a certificate must be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifiedName {
    /// A DNS name or a common name of the certificate. It is compared as in HAProxy: literally,
    /// except for letter case and wildcards. An IP address in `--verify-host` is compared as text,
    /// too.
    Text(String),
    /// The address of a server to which the check sends no name. It is also compared with the
    /// certificate's IP addresses.
    Address(IpAddr),
}

impl VerifiedName {
    /// Returns the name in the form that messages show.
    pub fn to_str(&self) -> Cow<'_, str> {
        match self {
            VerifiedName::Text(text) => Cow::Borrowed(text),
            VerifiedName::Address(ip) => Cow::Owned(ip.to_string()),
        }
    }
}

impl Names {
    pub(super) fn resolve(
        options: &Options,
        call: &Arguments,
        sni_host: Option<&str>,
        caller: Option<&Caller>,
        target: &Target,
    ) -> Result<Names> {
        exclusive(options.sni.is_some(), "--sni", options.no_sni, "--no-sni")?;
        let name = sni_name(options, call, sni_host, caller)?;
        if name.is_none() && !options.no_sni {
            return Err(no_name(call, caller));
        }
        // Without a name, the certificate can only be for the address.
        let target = match target {
            Target::Tcp { host, .. } => Some(host),
            Target::Unix(_) => None,
        };
        let address = match call.host.as_ref().or(target) {
            Some(Host::Ip(ip)) => Some(*ip),
            _ => None,
        };
        let text = |name: &DnsName<'_>| name.as_ref().to_owned();
        let (default, host) = match (&name, address) {
            (Some(name), _) => (Some(VerifiedName::Text(text(name))), text(name)),
            (None, Some(ip)) => (Some(VerifiedName::Address(ip)), Host::Ip(ip).to_string()),
            (None, None) => (None, "localhost".to_owned()),
        };
        let verified = match &options.verify_host {
            Some(text) => Some(verified_name(text).of("--verify-host")?),
            None => default,
        };
        Ok(Names {
            sni: name.filter(|_| !options.no_sni),
            verified,
            host,
        })
    }
}

/// Returns the first name that exists: `--sni`, the URL's host, SNI_HOST, or a server name with a
/// dot.
fn sni_name(
    options: &Options,
    call: &Arguments,
    sni_host: Option<&str>,
    caller: Option<&Caller>,
) -> Result<Option<DnsName<'static>>> {
    if let Some(text) = &options.sni {
        return sent_name(text).of("--sni").map(Some);
    }
    if let Some(Host::Name(name)) = &call.host {
        return dns_name(name).map(Some);
    }
    // Some container platforms pass an unset variable as an empty variable.
    if let Some(text) = sni_host.filter(|text| !text.is_empty()) {
        return sent_name(text).of("SNI_HOST").map(Some);
    }
    // A server may have any name. A name without a dot, or a name that isn't a host name, is just a
    // label.
    let server = caller
        .map(|caller| caller.server.as_str())
        .filter(|name| name.contains('.'));
    Ok(server.and_then(|name| dns_name(name).ok()))
}

fn no_name(call: &Arguments, caller: Option<&Caller>) -> anyhow::Error {
    let what = match (caller, &call.host) {
        (None, Some(Host::Ip(_))) => "is set, and an IP address can't be an SNI name",
        _ => "is set",
    };
    let write = match caller {
        Some(caller) => format!("add --sni NAME to {}", caller.carrier),
        None => "add --sni NAME".to_owned(),
    };
    refusal(NO_SNI_NAME, what, format!("{write}, or use --no-sni"))
}

/// Reads a name to send. HAProxy sends any text unchanged. Our TLS library sends only DNS names,
/// without a final dot.
fn sent_name(text: &str) -> Result<DnsName<'static>> {
    match dns_name(text) {
        Ok(name) if text.ends_with('.') => Err(refusal(
            format!("`{text}`"),
            "ends with a dot, which HAProxy sends and verifies, and sni-check cannot send (limit of \
             sni-check)",
            format!("write {}", name.as_ref()),
        )),
        Err(error) if !text.is_empty() => Err(limit(error)),
        read => read,
    }
}

/// Adds a remark to a refusal: HAProxy accepts the value.
fn limit(error: Error) -> Error {
    match error.downcast::<Refusal>() {
        Ok(refusal) if refusal.what.contains("limit of sni-check") => refusal.into(),
        Ok(mut refusal) => {
            refusal.what += " (limit of sni-check: HAProxy sends any text)";
            refusal.into()
        }
        Err(error) => error,
    }
}

/// Reads a name that is compared, as text, with the names of a certificate.
fn verified_name(text: &str) -> Result<VerifiedName> {
    if text.is_empty() {
        return Err(refusal("``", "is empty", SET_THE_VARIABLE));
    }
    if !text.is_ascii() {
        return dns_name(text)
            .map_err(limit)
            .map(|name| VerifiedName::Text(name.as_ref().to_owned()));
    }
    Ok(VerifiedName::Text(text.to_owned()))
}
