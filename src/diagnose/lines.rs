//! The lines for haproxy.cfg with HAProxy's own check, with sni-check as an external check, or with
//! `sni-check serve`.

use std::fmt::Write as _;
use std::time::Duration;

use ureq::http::{HeaderName, header};

use super::gather::{FORWARDED_PROTO, harmless, is_chosen, title};
use super::path::{from_anywhere, name_of_target, path, versions};
use crate::causes::facts::{Answers, Attempt, Facts, Way, host};
use crate::causes::voice::Voice;
use crate::haproxy::call::own_command;
use crate::haproxy::words::quote;
use crate::options::Options;
use crate::plan::{Plan, ProxyHeader, Target};
use crate::probe::connect::Address;

/// The longest head that HAProxy accepts by default.
const DEFAULT_HEAD: usize = 15 * 1024;

/// Everything that the lines depend on.
#[derive(Clone)]
pub(super) struct Setup<'a> {
    pub plan: &'a Plan,
    pub options: &'a Options,
    /// The addresses for server lines, as words of haproxy.cfg.
    pub servers: Vec<String>,
    pub way: Way,
    /// True if visitors' requests need the check's Host.
    pub sets_host: bool,
    /// The interval of HAProxy's checks, if the server limits requests (status 429).
    pub inter: Option<Duration>,
    /// Who makes the check of these options.
    pub voice: Voice,
    /// True if the lines may contain secrets. diagnose gives such lines only to HAProxy, and never prints
    /// them.
    pub secrets: bool,
}

impl<'a> Setup<'a> {
    /// Returns the setup for HTTPS with the options in `facts`.
    pub fn new(facts: &'a Facts) -> Setup<'a> {
        let matters = facts.answers.as_ref().and_then(Answers::host_matters);
        let often = facts.status() == Some(429);
        Setup {
            plan: &facts.plan,
            options: &facts.options,
            servers: servers(facts),
            way: Way::Https,
            sets_host: matters.unwrap_or(false),
            inter: often.then_some(Duration::from_secs(30)),
            voice: facts.origin.voice,
            secrets: false,
        }
    }

    /// Returns the setup of the operator's own check at this address, with its secrets.
    pub fn as_asked(facts: &'a Facts, address: &Address) -> Setup<'a> {
        Setup {
            servers: vec![address.to_string()],
            sets_host: false,
            inter: None,
            secrets: true,
            ..Setup::new(facts)
        }
    }

    /// Returns the value of `tune.bufsize`, if the check accepts a longer head than HAProxy does by default.
    pub fn buffer(&self) -> Option<usize> {
        /// The part of a buffer that HAProxy leaves free (tune.maxrewrite).
        const FREE: usize = 1024;
        let longest = self.plan.request.max_head?;
        (longest > DEFAULT_HEAD).then(|| (longest + FREE).next_multiple_of(FREE))
    }

    /// Returns the name for `verifyhost`. sni-check verifies the name of its target, even with --no-sni.
    fn verified_name(&self) -> Option<&str> {
        let given = self.options.verify_host.as_deref();
        let of_target = || match self.voice {
            Voice::SniCheck => name_of_target(self.plan),
            Voice::Haproxy => None,
        };
        given.or_else(of_target)
    }

    /// Returns this setup with a different [`Way`] of running HAProxy's own check.
    pub fn by(&self, way: Way) -> Setup<'a> {
        Setup {
            way,
            ..self.clone()
        }
    }
}

/// Returns the addresses for server lines. Each address of a name gets its own server line, because HAProxy
/// would check and use only the first address of the name. Leaves out addresses that don't answer. If the
/// target has only one address, or if no address answers, returns only the target itself.
fn servers(facts: &Facts) -> Vec<String> {
    let addresses = facts.addresses.as_ref().map_or(&[][..], Vec::as_slice);
    let answers = |address: &&(Address, Attempt)| address.1.result.is_ok();
    let reached: Vec<_> = addresses.iter().filter(answers).collect();
    match &facts.plan.target {
        Target::Unix(path) => vec![quote(format!("unix@{}", path.display()))],
        Target::Tcp { .. } if addresses.len() > 1 && !reached.is_empty() => reached
            .iter()
            .map(|(address, _)| address.to_string())
            .collect(),
        Target::Tcp { .. } => vec![facts.plan.target.to_string()],
    }
}

/// Returns the lines of a backend with HAProxy's own check, without the `backend` line.
pub(super) fn builtin(setup: &Setup<'_>) -> String {
    let plan = setup.plan;
    let mut text = traffic_lines(setup);
    if !plan.handshake_only {
        text += &http_check(setup);
    }
    let mut check = "check".to_owned();
    if setup.way != Way::PlainHttp {
        if let Some(name) = &plan.names.sni {
            _ = write!(check, " check-sni {}", name.as_ref());
        }
        let alpn = match setup.way {
            Way::Http2 => "h2".to_owned(),
            _ => plan.tls.alpn.join(","),
        };
        if !alpn.is_empty() {
            _ = write!(check, " check-alpn {}", quote(alpn));
        }
    }
    text + &server_lines(setup, &check)
}

/// Returns the lines with the request and the expected response.
fn http_check(setup: &Setup<'_>) -> String {
    let plan = setup.plan;
    let mut text = "    option httpchk\n".to_owned();
    if let Some(time) = long_timeout(plan) {
        _ = writeln!(text, "    timeout check {}ms", time.as_millis());
    }
    let uri = plan.request.uri.path_and_query();
    let uri = uri.map_or("/", |uri| uri.as_str());
    let version = match setup.way {
        Way::Http2 => "HTTP/2",
        _ => "HTTP/1.1",
    };
    let (method, host) = (&plan.request.method, quote(host(plan)));
    _ = write!(
        text,
        "    http-check send meth {method} uri {} ver {version} hdr Host {host}",
        quote(uri)
    );
    if forwarded(plan) {
        text += " hdr X-Forwarded-Proto https";
    }
    for (name, value) in agent(setup) {
        // The value is a log-format string (manual, section 8.2.6), in which %% stands for a percent sign.
        _ = write!(
            text,
            " hdr {} {}",
            title(name),
            quote(value.replace('%', "%%"))
        );
    }
    if setup.secrets {
        let headers = plan.request.headers.iter();
        for (name, value) in headers.filter(|(name, value)| harmless(name, value).is_none()) {
            // This value is a log-format string, too.
            let value = String::from_utf8_lossy(value.as_bytes()).replace('%', "%%");
            _ = write!(text, " hdr {name} {}", quote(value));
        }
        if !plan.request.body.is_empty() {
            _ = write!(text, " body {}", quote(&plan.request.body));
        }
    }
    text.push('\n');
    for rule in &plan.request.expectations {
        _ = writeln!(text, "    http-check expect {rule}");
    }
    text
}

/// Returns User-Agent and Accept if the check needs them, because HAProxy's own check doesn't send these
/// headers by default.
fn agent<'a>(setup: &'a Setup<'_>) -> impl Iterator<Item = (&'a HeaderName, &'a str)> {
    let headers = setup.plan.request.headers.iter();
    let headers = headers.filter(|(name, _)| AGENT.contains(name));
    let shown = headers.filter_map(|(name, value)| Some((name, harmless(name, value)?)));
    shown.filter(|(name, value)| {
        let is_given = setup.options.has_header(name.as_str());
        setup.way == Way::WithAgent || is_given || is_chosen(name, value)
    })
}

const AGENT: [HeaderName; 2] = [header::USER_AGENT, header::ACCEPT];

/// Returns the lines of a backend with sni-check as an external check, without the `backend` line.
pub(super) fn external(setup: &Setup<'_>) -> String {
    format!(
        "{}    option external-check\n    external-check command {}\n    external-check path {}\n{}",
        traffic_lines(setup),
        own_command(),
        quote(path(setup.plan, setup.options, setup.secrets)),
        server_lines(setup, "check")
    )
}

/// Returns the `global` section that the lines need, or an empty string.
pub(super) fn global(setup: &Setup<'_>, external: bool) -> String {
    let mut text = String::new();
    if external {
        text += "    external-check\n    insecure-fork-wanted\n";
    }
    if let Some(size) = setup.buffer() {
        _ = writeln!(text, "    tune.bufsize {size}");
    }
    match text.as_str() {
        "" => text,
        lines => format!("global\n{lines}\n"),
    }
}

/// Returns the lines of a backend whose http-check asks `sni-check serve` on this socket, without the
/// `backend` line.
pub(super) fn served(setup: &Setup<'_>, socket: &str) -> String {
    // HAProxy waits longer than the check's own time limit, so that serve's answer arrives in time.
    let time = setup.plan.timeout.as_millis() + 100;
    // The header's value is a log-format string (manual, section 8.2.6), in which %% stands for a percent
    // sign.
    let options = quote(path(setup.plan, setup.options, setup.secrets).replace('%', "%%"));
    let reason = "\"%[res.hdr(x-check-reason)]\"";
    format!(
        "{}    option httpchk\n    timeout check {time}ms\n    http-check connect addr {}\n    \
         http-check send-state\n    http-check send meth GET uri / hdr X-Check-Options {options}\n    \
         http-check expect hdr name X-Check-Code value 0 status-code \"res.hdr(x-check-code)\" on-success {reason} \
         on-error {reason}\n{}",
        traffic_lines(setup),
        quote(format!("unix@{socket}")),
        server_lines(setup, "check")
    )
}

/// Returns the lines that visitors' requests need. These lines set the Host that the server expects, and the
/// header that tells the server that visitors use HTTPS.
fn traffic_lines(setup: &Setup<'_>) -> String {
    let mut text = String::new();
    if setup.sets_host {
        let host = quote(host(setup.plan));
        _ = writeln!(text, "    http-request set-header Host {host}");
    }
    if forwarded(setup.plan) {
        text += "    http-request set-header X-Forwarded-Proto https\n";
    }
    text
}

/// Returns true if the check tells the server that visitors use HTTPS.
fn forwarded(plan: &Plan) -> bool {
    let mut headers = plan.request.headers.iter();
    headers.any(|(name, value)| *name == FORWARDED_PROTO && value == "https")
}

fn server_lines(setup: &Setup<'_>, check: &str) -> String {
    let words = match setup.way {
        Way::PlainHttp => connection_words(setup.plan, setup.options),
        _ => tls_words(setup),
    };
    let mut check = check.to_owned();
    let by_time = long_timeout(setup.plan).map(|time| time + Duration::from_millis(500));
    if let Some(inter) = setup.inter.max(by_time) {
        _ = write!(check, " inter {}ms", inter.as_millis());
    }
    let servers = setup.servers.iter().enumerate();
    let lines = servers
        .map(|(index, address)| format!("    server s{} {address}{words} {check}\n", index + 1));
    lines.collect()
}

/// Returns the check's time limit if HAProxy's default `inter` of 2 s is too short for it.
fn long_timeout(plan: &Plan) -> Option<Duration> {
    Some(plan.timeout).filter(|time| *time > Duration::from_millis(1950))
}

/// Returns the value of `ca-file`. HAProxy has no built-in roots, so the system's roots replace sni-check's.
pub(super) fn ca_file(options: &Options) -> String {
    let file = options.ca_file.iter().find(|file| *file != "@bundled");
    from_anywhere(file.map_or("@system-ca", String::as_str))
}

fn tls_words(setup: &Setup<'_>) -> String {
    let mut line = format!(" ssl{}", verify_words(setup.options, setup.verified_name()));
    if let Some(name) = &setup.plan.names.sni {
        _ = write!(line, " sni str({})", name.as_ref());
    }
    line += &material_words(setup.options);
    match (setup.way, setup.plan.tls.alpn.join(",")) {
        (Way::Http2, _) => line += " alpn h2",
        (_, alpn) if !alpn.is_empty() => _ = write!(line, " alpn {}", quote(alpn)),
        _ => {}
    }
    if setup.way == Way::OldTls {
        line += " ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0";
    } else {
        for (word, version) in versions(setup.options) {
            _ = write!(line, " {word} {version}");
        }
    }
    line + &connection_words(setup.plan, setup.options)
}

/// Returns `verify required` and the words that belong to it: `ca-file`, `crl-file`, and `verifyhost` with
/// this name.
pub(super) fn verify_words(options: &Options, name: Option<&str>) -> String {
    let mut line = format!(" verify required ca-file {}", quote(ca_file(options)));
    if let Some(name) = name {
        _ = write!(line, " verifyhost {}", quote(name));
    }
    if let Some(file) = options.crl_file.first() {
        _ = write!(line, " crl-file {}", quote(from_anywhere(file)));
    }
    line
}

/// Returns the words for the client certificate, or an empty string.
pub(super) fn material_words(options: &Options) -> String {
    let crt = options.crt.as_ref();
    crt.map_or(String::new(), |crt| {
        format!(" crt {}", quote(from_anywhere(crt)))
    })
}

/// Returns the words for the TCP connection: the source address and the PROXY header.
pub(super) fn connection_words(plan: &Plan, options: &Options) -> String {
    let mut line = String::new();
    if let Some(source) = &options.source {
        _ = write!(line, " source {}", quote(source));
    }
    line += match plan.proxy {
        Some(ProxyHeader::V1) => " send-proxy",
        Some(ProxyHeader::V2Local) => " send-proxy-v2",
        None => "",
    };
    line
}

/// Returns notes about what the lines leave out or can't express.
pub(super) fn left_out(plan: &Plan, options: &Options) -> Vec<String> {
    let headers = plan.request.headers.iter();
    let secret = headers.filter(|(name, value)| harmless(name, value).is_none());
    let mut notes: Vec<String> = secret
        .map(|(name, _)| {
            format!(
                "Put the header {name} into a file that HAProxy's user can read, or after `hdr` on \
                 the http-check send line. Its value is not shown here."
            )
        })
        .collect();
    if !plan.request.body.is_empty() {
        notes.push("Add your --body. It is not shown here.".to_owned());
    }
    if options.ca_file.len() > 1 {
        notes.push("`ca-file` accepts one file. Put your CAs into one file.".to_owned());
    }
    if options.key.is_some() {
        notes.push(
            "`crt` on the server line needs the certificate and its key in one PEM file."
                .to_owned(),
        );
    }
    notes
}
