//! The options of a check, which the command line, diagnose, serve and haproxy.cfg share. They use HAProxy's
//! own words for `server` lines and `http-check`.
//!
//! This module reads each option separately. [`crate::plan`] resolves the options and refuses conflicts
//! between them. An option is a field of [`Options`] and a row of [`table`].

pub mod expect;
pub(crate) mod familiar;
pub mod handed;
mod parse;
pub mod table;
pub mod values;

use anyhow::Result;
use argh::{ArgsInfo, FromArgs};

use self::expect::Expectation;
pub use self::parse::{Parsed, parse_as};
use self::values::{Alpn, Color, Days, Port, Size, SocketPath, Time, TlsVersion, Verify};
use crate::refusal::refusal;

/// HTTPS health check with SNI, for HAProxy's external-check and for the command line. TARGET is
/// a URL or HOST[:PORT]. HAProxy passes four arguments instead (proxy address and port, server address and
/// port), and the options are in `external-check path`. The exit code is 0 if the server is UP. `sni-check
/// explain CODE` explains every other code.
#[derive(FromArgs, ArgsInfo, Clone, Debug, Default)]
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "the text is the --help, and its brackets are not links"
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
    /// name to send as SNI (default: the URL's host, SNI_HOST, or HAPROXY_SERVER_NAME if it has a dot)
    #[argh(option, arg_name = "NAME")]
    pub sni: Option<String>,

    /// send no SNI
    #[argh(switch)]
    pub no_sni: bool,

    /// connect to this IP address, [IPv6], name or unix path instead of the target
    #[argh(option, arg_name = "ADDR[:PORT]")]
    pub connect: Option<String>,

    /// connect to this port instead
    #[argh(option, arg_name = "N")]
    pub port: Option<Port>,

    /// request method (default: GET)
    #[argh(option, arg_name = "METHOD")]
    pub method: Option<String>,

    /// path and query of the request (default: /)
    #[argh(option, arg_name = "URI")]
    pub uri: Option<String>,

    /// 'Name: value', or @FILE with one header per line; repeatable (default: the SNI name as Host,
    /// sni-check/VERSION as User-Agent, */* as Accept, close as Connection)
    #[argh(option, arg_name = "HEADER")]
    pub header: Vec<String>,

    /// request body
    #[argh(option, arg_name = "TEXT")]
    pub body: Option<String>,

    /// what the response must be: '[!] status 200,300-399', '[!] string TEXT', '[!] rstring REGEX',
    /// '[!] hdr name NAME value VALUE', 'fhdr …' or 'rstatus …'; repeatable, all must hold (default:
    /// status 200-399)
    #[argh(option, arg_name = "RULE")]
    pub expect: Vec<Expectation>,

    /// longest response head (default: HAProxy's limits, 15k and 100 fields)
    #[argh(option, arg_name = "SIZE")]
    pub max_head: Option<Size>,

    /// how much of the body --expect reads (default: 64k)
    #[argh(option, arg_name = "SIZE")]
    pub max_body: Option<Size>,

    /// required: the certificate must be trusted (default); none: any certificate is accepted
    #[argh(option, arg_name = "required|none")]
    pub verify: Option<Verify>,

    /// name that the certificate must be for, compared literally (default: the SNI name)
    #[argh(option, arg_name = "NAME")]
    pub verify_host: Option<String>,

    /// trusted CA certificates: a PEM file, a folder, @system-ca, or @bundled for Mozilla's (default);
    /// repeatable
    #[argh(option, arg_name = "FILE|@system-ca|@bundled")]
    pub ca_file: Vec<String>,

    /// certificate revocation lists, PEM; repeatable
    #[argh(option, arg_name = "FILE")]
    pub crl_file: Vec<String>,

    /// client certificate chain, PEM; the key may be in the same file
    #[argh(option, arg_name = "FILE")]
    pub crt: Option<String>,

    /// key of the client certificate, PEM
    #[argh(option, arg_name = "FILE")]
    pub key: Option<String>,

    /// lowest TLS version (default: TLSv1.2)
    #[argh(option, arg_name = "TLSv1.2|TLSv1.3")]
    pub ssl_min_ver: Option<TlsVersion>,

    /// highest TLS version (default: TLSv1.3)
    #[argh(option, arg_name = "TLSv1.2|TLSv1.3")]
    pub ssl_max_ver: Option<TlsVersion>,

    /// ALPN protocols to offer, such as http/1.1 (default: none, like HAProxy's own checks)
    #[argh(option, arg_name = "PROTOCOLS")]
    pub alpn: Option<Alpn>,

    /// stop after the TLS handshake and send no request, for servers that don't speak HTTP but start
    /// TLS with the first byte: ports 465, 993, 995, 636, 8883, 5671; STARTTLS servers (25, 587, 143,
    /// 389, PostgreSQL, MySQL) need HAProxy's own checks
    #[argh(switch)]
    pub handshake_only: bool,

    /// DOWN if a certificate of the verified chain expires within N days
    #[argh(option, arg_name = "N")]
    pub min_cert_days: Option<Days>,

    /// add a warning if a certificate of the verified chain expires within N days
    #[argh(option, arg_name = "N")]
    pub warn_cert_days: Option<Days>,

    /// send a PROXY protocol v1 header first
    #[argh(switch)]
    pub send_proxy: bool,

    /// send a PROXY protocol v2 header (LOCAL) first
    #[argh(switch)]
    pub send_proxy_v2: bool,

    /// connect from this address
    #[argh(option, arg_name = "ADDR[:PORT]")]
    pub source: Option<String>,

    /// time limit of the whole check, such as 500ms or 2s; a plain number is milliseconds (default: 1800ms)
    #[argh(option, arg_name = "TIME")]
    pub timeout: Option<Time>,

    /// print nothing
    #[argh(switch)]
    pub quiet: bool,

    /// print what each layer showed
    #[argh(switch)]
    pub verbose: bool,

    /// print one JSON object
    #[argh(switch)]
    pub json: bool,

    /// send one line per failure or warning to a syslog: UDP ADDR[:PORT] or the path of a unix datagram
    /// socket
    #[argh(option, arg_name = "ADDR")]
    pub syslog: Option<String>,

    /// the HAProxy program to ask, or none (default: the program found on this host)
    #[argh(option, arg_name = "FILE|none")]
    pub haproxy: Option<String>,

    /// print the lines for sni-check serve, too, with this unix socket
    #[argh(option, arg_name = "PATH")]
    pub serve: Option<SocketPath>,

    /// colour the report (default: auto, which means on a terminal unless NO_COLOR is set)
    #[argh(option, arg_name = "auto|always|never")]
    pub color: Option<Color>,

    /// print the version
    #[argh(switch)]
    pub version: bool,

    /// a URL or HOST[:PORT], or HAProxy's four arguments
    #[argh(positional, arg_name = "TARGET")]
    pub target: Vec<String>,
}

/// If the word is an option without its dashes, returns what to write instead. Returns `None` for any other
/// word.
pub(crate) fn without_dashes(word: &str) -> Option<String> {
    let flags = Options::get_args_info().flags.iter();
    familiar::without_dashes(word, flags.map(|flag| flag.long))
}

/// Returns the refusal of `--version` among the options of a check.
pub(crate) fn version_checks_nothing() -> anyhow::Error {
    refusal("--version", "checks nothing", "leave it out here")
}

/// Parses the options of a check from text, for tests.
#[cfg(test)]
pub(crate) fn of_text(text: &str) -> Options {
    let words = shlex::split(text).expect(text);
    match parse(&words).unwrap_or_else(|error| panic!("{text}: {error}")) {
        Parsed::Options(options) => *options,
        Parsed::Help => panic!("help"),
    }
}

/// Reads the arguments of a check (without the program's name).
///
/// # Errors
///
/// The same as for [`parse_as`].
pub fn parse(words: &[String]) -> Result<Parsed<Options>> {
    parse_as(&["sni-check"], words)
}
