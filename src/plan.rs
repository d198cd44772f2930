//! The plan of a check: all values parsed, all files read, and all conflicts refused. The probe
//! then needs neither the command line nor the files that the options name.

mod files;
mod host;
mod library;
mod material;
mod names;
mod output;
mod pem;
mod readers;
mod request;
mod revocation;
mod scope;
mod target;
mod trust;
mod trusted;
pub(crate) mod walk;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

pub use self::files::{Allowed, Files, ReadFiles};
pub use self::host::Host;
pub use self::library::{Library, Memory, Share, UsedUp};
pub use self::material::Material;
pub use self::names::{NO_SNI_NAME, Names, VerifiedName};
pub use self::output::{Output, Syslog};
pub(crate) use self::pem::names_private_key;
pub(crate) use self::request::is_harmless;
pub use self::request::{DEFAULTS, Request, USER_AGENT};
pub use self::revocation::List;
pub use self::target::Target;
pub use self::trust::{Trust, Verification};
pub use self::trusted::Trusted;

use crate::code::Code;
use crate::haproxy::Caller;
use crate::options::Options;
use crate::options::values::TlsVersion;
use crate::refusal::{exclusive, refusal};

/// The default of `--timeout`. The check must end before HAProxy's default `inter 2s` has passed. Otherwise
/// HAProxy kills the check before the check can report the cause.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(1800);

/// Everything that a probe needs.
#[derive(Debug)]
pub struct Plan {
    /// HAProxy's names for the backend and server, if HAProxy runs this check.
    pub caller: Option<Caller>,
    /// The address to connect to.
    pub target: Target,
    /// The names for SNI, for the verification of the certificate, and for the Host header.
    pub names: Names,
    /// The address to connect from. If its port is 0, the kernel chooses the port.
    pub source: Option<SocketAddr>,
    /// The PROXY protocol header to send first.
    pub proxy: Option<ProxyHeader>,
    /// The TLS parameters except the names.
    pub tls: Tls,
    /// The request, and what its response must be.
    pub request: Request,
    /// True if the check ends with the handshake and sends no request.
    pub handshake_only: bool,
    /// The time limit of the whole check, over all phases.
    pub timeout: Duration,
    /// What is printed, and where.
    pub output: Output,
}

/// The two versions of the PROXY protocol (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// Version 1: text, with the real addresses of the connection.
    V1,
    /// Version 2: binary, with the LOCAL command. HAProxy's own checks send the same header.
    V2Local,
}

/// The TLS parameters except the names.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The requirements for the server's certificate. `None` for `--verify none`.
    pub verification: Option<Arc<Verification>>,
    /// The client certificate.
    pub identity: Option<Arc<rustls::sign::CertifiedKey>>,
    /// The lowest TLS version that is offered.
    pub min_version: TlsVersion,
    /// The highest TLS version that is offered.
    pub max_version: TlsVersion,
    /// The protocols that ALPN offers, the preferred protocol first. Empty means no ALPN.
    pub alpn: Vec<String>,
    /// The check fails if a certificate of the chain expires within this number of days.
    pub min_cert_days: Option<u32>,
    /// The check warns if a certificate of the chain expires within this number of days.
    pub warn_cert_days: Option<u32>,
}

impl Plan {
    /// Resolves options into a plan.
    ///
    /// `sni_host` is the value of the variable SNI_HOST.
    ///
    /// # Errors
    ///
    /// An option or a combination of options is refused. The error names the option and what to write
    /// instead.
    pub fn new(
        options: &Options,
        caller: Option<Caller>,
        sni_host: Option<&str>,
        output: Output,
    ) -> Result<Plan> {
        let files = match caller {
            Some(_) => Files::of_check(),
            None => Files::any(),
        };
        let (material, arguments) = (Material::read(options, &files)?, &options.target);
        Plan::of(options, &material, arguments, caller, sni_host, output)
    }

    /// Like [`Plan::new`], but with the options' files already read, and with `arguments` as the
    /// target.
    ///
    /// # Errors
    ///
    /// The same as for [`Plan::new`].
    pub fn of(
        options: &Options,
        material: &Material,
        arguments: &[String],
        caller: Option<Caller>,
        sni_host: Option<&str>,
        output: Output,
    ) -> Result<Plan> {
        let (call, target) = target::resolve(options, arguments, caller.as_ref())?;
        let names = Names::resolve(options, &call, sni_host, caller.as_ref(), &target)?;
        let tls = Tls::resolve(options, material, &names)?;
        if options.handshake_only {
            refuse_http(options, call.uri.as_deref())?;
        }
        exclusive(
            options.send_proxy,
            "--send-proxy",
            options.send_proxy_v2,
            "--send-proxy-v2",
        )?;
        let proxy = match (options.send_proxy, options.send_proxy_v2) {
            (true, _) => Some(ProxyHeader::V1),
            (_, true) => Some(ProxyHeader::V2Local),
            _ => None,
        };
        Ok(Plan {
            source: target::source(options, &target)?,
            request: Request::resolve(options, call.uri.as_deref(), &names, &material.headers)?,
            handshake_only: options.handshake_only,
            timeout: options.timeout.map_or(DEFAULT_TIMEOUT, |time| time.0),
            caller,
            target,
            names,
            proxy,
            tls,
            output,
        })
    }

    /// Returns the status that HAProxy's own check of this kind would show for `code`.
    pub fn haproxy_word(&self, code: Code) -> &'static str {
        match code {
            Code::Healthy if self.handshake_only => "L6OK",
            code => code.haproxy_word(),
        }
    }

    /// Returns the name of the server: HAProxy's `backend/server`, or the host on the command line.
    pub fn subject(&self) -> String {
        match &self.caller {
            Some(caller) => caller.to_string(),
            None => self.names.host.clone(),
        }
    }
}

/// Refuses options that need HTTP. Call this only if `--handshake-only` is given.
fn refuse_http(options: &Options, url_uri: Option<&str>) -> Result<()> {
    let in_url = url_uri.is_some_and(|path| path != "/");
    let given = options.about_http().into_iter();
    match given.chain(in_url.then_some("the path in the URL")).next() {
        Some(option) => exclusive(true, option, true, "--handshake-only"),
        None => Ok(()),
    }
}

/// Returns the ALPN protocols. If the check sends a request, all of them must be HTTP/1.
fn alpn(options: &Options) -> Result<Vec<String>> {
    let names = options.alpn.as_ref().map_or(&[][..], |alpn| &alpn.0);
    let other = names.iter().find(|name| !HTTP1.contains(&name.as_str()));
    if let (Some(other), false) = (other, options.handshake_only) {
        return Err(refusal(
            format!("--alpn {other}"),
            "is not HTTP/1, and the request is sent in HTTP/1",
            "leave it out, or end with the handshake: --handshake-only",
        ));
    }
    Ok(names.to_vec())
}

/// The ALPN protocols that allow a request in HTTP/1 (RFC 7301, section 6).
const HTTP1: [&str; 2] = ["http/1.1", "http/1.0"];

impl Tls {
    fn resolve(options: &Options, material: &Material, names: &Names) -> Result<Tls> {
        let min_version = options.ssl_min_ver.unwrap_or(TlsVersion::Tls12);
        let max_version = options.ssl_max_ver.unwrap_or(TlsVersion::Tls13);
        if min_version > max_version {
            return Err(refusal(
                "--ssl-min-ver",
                "is above --ssl-max-ver",
                "lower it, or leave one of them out",
            ));
        }
        let verification = match material.authorities() {
            Some(authorities) => Some(Arc::new(Verification::resolve(authorities, names)?)),
            None => None,
        };
        Ok(Tls {
            verification,
            identity: material.identity.clone(),
            min_version,
            max_version,
            alpn: alpn(options)?,
            min_cert_days: options.min_cert_days.map(|days| days.0),
            warn_cert_days: options.warn_cert_days.map(|days| days.0),
        })
    }
}
