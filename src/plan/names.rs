//! The names of a check: sent as SNI, verified in the certificate, sent as Host. Four knobs with the
//! address, each of which defaults to its sensible neighbour.

use std::net::IpAddr;

use anyhow::Result;
use rustls::pki_types::{DnsName, ServerName};

use super::host::{Host, dns_name};
use super::target::{Arguments, Target};
use crate::haproxy::Caller;
use crate::options::Options;
use crate::refusal::{Of, exclusive, refusal};

/// The subject of a refusal for want of a name to send.
pub const NO_SNI_NAME: &str = "no SNI name";

/// The names of a check.
#[derive(Debug)]
pub struct Names {
    /// Sent as SNI (RFC 6066, section 3); `None` for `--no-sni`.
    pub sni: Option<DnsName<'static>>,
    /// What the certificate must be for; `None` when nothing can be: a unix socket without SNI.
    pub verified: Option<ServerName<'static>>,
    /// Whether that was said with `--verify-host`, HAProxy's `verifyhost`.
    pub verify_host: bool,
    /// The default of the Host header (RFC 9112, section 3.2).
    pub host: String,
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
        // Without a name, the address is what the certificate can be for.
        let address = match (call.host.as_ref(), target) {
            (Some(Host::Ip(ip)), _)
            | (
                None,
                Target::Tcp {
                    host: Host::Ip(ip), ..
                },
            ) => Some(*ip),
            _ => None,
        };
        let default = match (&name, address) {
            (Some(name), _) => Some(ServerName::DnsName(name.clone())),
            (None, Some(ip)) => Some(ServerName::from(ip)),
            (None, None) => None,
        };
        let verified = match &options.verify_host {
            Some(text) => Some(server_name(text).of("--verify-host")?),
            None => default.clone(),
        };
        let host = match (&name, address) {
            (Some(name), _) => name.as_ref().to_owned(),
            (None, Some(ip)) => Host::Ip(ip).to_string(),
            (None, None) => "localhost".to_owned(),
        };
        Ok(Names {
            sni: name.filter(|_| !options.no_sni),
            verified,
            verify_host: options.verify_host.is_some(),
            host,
        })
    }
}

/// The first name that is there: `--sni`, the URL's host, SNI_HOST, a server name with a dot.
fn sni_name(
    options: &Options,
    call: &Arguments,
    sni_host: Option<&str>,
    caller: Option<&Caller>,
) -> Result<Option<DnsName<'static>>> {
    if let Some(text) = &options.sni {
        return dns_name(text).of("--sni").map(Some);
    }
    if let Some(Host::Name(name)) = &call.host {
        return dns_name(name).map(Some);
    }
    // An empty variable is how container platforms hand over an unset one.
    if let Some(text) = sni_host.filter(|text| !text.is_empty()) {
        return dns_name(text).of("SNI_HOST").map(Some);
    }
    // A server may be called anything: what is no host name with a dot is just a label.
    let server = caller
        .map(|caller| caller.server.as_str())
        .filter(|name| name.contains('.'));
    Ok(server.and_then(|name| dns_name(name).ok()))
}

fn no_name(call: &Arguments, caller: Option<&Caller>) -> anyhow::Error {
    let (what, write) = match (caller, &call.host) {
        (Some(_), _) => ("is set", "write external-check path \"--sni NAME\""),
        (None, Some(Host::Ip(_))) => ("is set, and an IP address cannot be one", "add --sni NAME"),
        (None, _) => ("is set", "add --sni NAME"),
    };
    refusal(
        NO_SNI_NAME,
        what,
        format!("{write}, or send none with --no-sni"),
    )
}

/// Reads a name or an IP address to verify.
fn server_name(text: &str) -> Result<ServerName<'static>> {
    match text.parse::<IpAddr>() {
        Ok(ip) => Ok(ServerName::from(ip)),
        Err(_) => dns_name(text).map(ServerName::DnsName),
    }
}
