//! The option language, one for every command: HAProxy's own words for `server` lines and `http-check`.
//!
//! Options are only read here, each on its own; [`crate::plan`] resolves them and refuses conflicts.

pub mod expect;
mod familiar;
pub mod handed;
mod parse;
pub mod table;
pub mod values;

use anyhow::Result;
use argh::{ArgsInfo, FromArgs};

use self::expect::Expectation;
pub use self::parse::{Parsed, parse_as};
use self::values::{Alpn, Color, Days, Port, Size, Time, TlsVersion, Verify};
use crate::refusal::refusal;

/// HTTPS health check with SNI, for HAProxy's external-check and by hand.
///
/// The target is a URL or HOST[:PORT]; HAProxy gives four arguments instead (proxy address and
/// port, server address and port) and takes the options from `external-check path`.
#[derive(FromArgs, ArgsInfo, Clone, Debug, Default)]
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "the text is the --help: its brackets are no links"
)]
#[argh(
    name = "sni-check",
    help_triggers("--help", "-h"),
    example = "{command_name} https://www.example.com/healthz",
    example = "{command_name} --connect 203.0.113.7:443 www.example.com",
    note = "In haproxy.cfg:\n    \
            option external-check\n    \
            external-check command /usr/local/bin/sni-check\n    \
            external-check path \"--sni www.example.com --uri /healthz\""
)]
pub struct Options {
    /// name to send as SNI; default: the URL's host, SNI_HOST, or HAPROXY_SERVER_NAME with a dot
    #[argh(option, arg_name = "NAME")]
    pub sni: Option<String>,

    /// send no SNI at all
    #[argh(switch)]
    pub no_sni: bool,

    /// dial this address instead: IP, [IPv6], name or unix path
    #[argh(option, arg_name = "ADDR[:PORT]")]
    pub connect: Option<String>,

    /// dial this port instead
    #[argh(option, arg_name = "N")]
    pub port: Option<Port>,

    /// request method, default GET
    #[argh(option, arg_name = "METHOD")]
    pub method: Option<String>,

    /// request path and query, default /
    #[argh(option, arg_name = "URI")]
    pub uri: Option<String>,

    /// request header 'Name: value' or @FILE with one a line; repeatable; Host defaults to the SNI
    /// name, User-Agent to sni-check/VERSION, Accept to */*
    #[argh(option, arg_name = "HEADER")]
    pub header: Vec<String>,

    /// request body
    #[argh(option, arg_name = "TEXT")]
    pub body: Option<String>,

    /// what the response must be: '[!] status 200,300-399', '[!] string TEXT', '[!] rstring
    /// REGEX', '[!] hdr name NAME value VALUE', 'fhdr …', 'rstatus …'; repeatable, all must hold;
    /// status 200-399 if none is given
    #[argh(option, arg_name = "RULE")]
    pub expect: Vec<Expectation>,

    /// how long the response's head may be; default HAProxy's limits, 15k and 100 fields
    #[argh(option, arg_name = "SIZE")]
    pub max_head: Option<Size>,

    /// how much of the body expectations read, default 64k
    #[argh(option, arg_name = "SIZE")]
    pub max_body: Option<Size>,

    /// required (default) or none
    #[argh(option, arg_name = "required|none")]
    pub verify: Option<Verify>,

    /// name or IP address the certificate must be for, default the SNI name
    #[argh(option, arg_name = "NAME")]
    pub verify_host: Option<String>,

    /// trusted CA certificates: PEM file, directory, @system-ca or @bundled (default: Mozilla's,
    /// built in); repeatable
    #[argh(option, arg_name = "FILE|@system-ca|@bundled")]
    pub ca_file: Vec<String>,

    /// certificate revocation lists, PEM; repeatable
    #[argh(option, arg_name = "FILE")]
    pub crl_file: Vec<String>,

    /// client certificate chain, PEM; may hold the key too
    #[argh(option, arg_name = "FILE")]
    pub crt: Option<String>,

    /// key of the client certificate, PEM
    #[argh(option, arg_name = "FILE")]
    pub key: Option<String>,

    /// lowest TLS version: TLSv1.2 (default) or TLSv1.3
    #[argh(option, arg_name = "TLSv1.2|TLSv1.3")]
    pub ssl_min_ver: Option<TlsVersion>,

    /// highest TLS version: TLSv1.2 or TLSv1.3 (default)
    #[argh(option, arg_name = "TLSv1.2|TLSv1.3")]
    pub ssl_max_ver: Option<TlsVersion>,

    /// ALPN protocols to offer, such as http/1.1; default none, as HAProxy's checks
    #[argh(option, arg_name = "PROTOCOLS")]
    pub alpn: Option<Alpn>,

    /// end with the TLS handshake and send no request: for what does not speak HTTP
    #[argh(switch)]
    pub handshake_only: bool,

    /// DOWN when any certificate of the verified chain ends within N days
    #[argh(option, arg_name = "N")]
    pub min_cert_days: Option<Days>,

    /// say so when any certificate of the verified chain ends within N days
    #[argh(option, arg_name = "N")]
    pub warn_cert_days: Option<Days>,

    /// send a PROXY protocol v1 header first
    #[argh(switch)]
    pub send_proxy: bool,

    /// send a PROXY protocol v2 header (LOCAL) first
    #[argh(switch)]
    pub send_proxy_v2: bool,

    /// address to connect from
    #[argh(option, arg_name = "ADDR[:PORT]")]
    pub source: Option<String>,

    /// for the whole check, default 1800ms; in HAProxy's time format
    #[argh(option, arg_name = "TIME")]
    pub timeout: Option<Time>,

    /// print nothing
    #[argh(switch)]
    pub quiet: bool,

    /// print what was seen, by layer
    #[argh(switch)]
    pub verbose: bool,

    /// print one JSON object
    #[argh(switch)]
    pub json: bool,

    /// send a line per failure to a syslog: UDP ADDR[:PORT] or the path of a unix datagram socket
    #[argh(option, arg_name = "ADDR")]
    pub syslog: Option<String>,

    /// diagnose only: HAProxy's program to ask, or none; default: the one found on this host
    #[argh(option, arg_name = "FILE|none")]
    pub haproxy: Option<String>,

    /// diagnose only: print the lines for sni-check serve too, which listens on this unix socket
    #[argh(option, arg_name = "PATH")]
    pub serve: Option<String>,

    /// diagnose only: auto (default), always or never
    #[argh(option, arg_name = "auto|always|never")]
    pub color: Option<Color>,

    /// print the version
    #[argh(switch)]
    pub version: bool,

    /// a URL or HOST[:PORT], or HAProxy's four arguments
    #[argh(positional, arg_name = "TARGET")]
    pub target: Vec<String>,
}

/// Why `--version` is refused beside anything to check.
pub(crate) fn version_checks_nothing() -> anyhow::Error {
    refusal("--version", "checks nothing", "leave it out here")
}

/// Reads the words of a check (without the program's name).
///
/// # Errors
/// As [`parse_as`].
pub fn parse(words: &[String]) -> Result<Parsed<Options>> {
    parse_as(&["sni-check"], words)
}
