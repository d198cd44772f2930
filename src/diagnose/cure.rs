//! The cure: what to put into haproxy.cfg, or to change at the backend.

use std::fmt::Write as _;

use ureq::http::{HeaderValue, header};

use super::findings::{Attempt, Findings, HARMLESS};
use crate::certificate::CertificateFailure;
use crate::explain;
use crate::haproxy::own_command;
use crate::options::Options;
use crate::plan::{Plan, Target};
use crate::probe::connect::Address;
use crate::values::TlsVersion;

/// Advice, and two ways to write it down.
pub(super) struct Cure {
    pub advice: Vec<String>,
    /// HAProxy's own check; `None` where there is nothing to dial.
    pub builtin: Option<String>,
    /// sni-check as external check.
    pub external: Option<String>,
}

/// What cures what was found.
pub(super) fn cure(plan: &Plan, options: &Options, findings: &Findings) -> Cure {
    // HAProxy refuses a server line whose name does not resolve.
    let dialled = findings.addresses.is_ok();
    Cure {
        advice: advice(plan, options, findings),
        builtin: dialled.then(|| builtin(plan, options, findings)),
        external: dialled.then(|| external(plan, options, findings)),
    }
}

fn advice(plan: &Plan, options: &Options, findings: &Findings) -> Vec<String> {
    let tls = findings.tls.as_ref();
    let faults = tls.map_or(&[][..], |tls| &tls.faults);
    let mut advice: Vec<String> = faults.iter().map(certificate_advice).collect();
    if !faults.is_empty() {
        advice.push("Keep `verify required`: `verify none` only hides this.".to_owned());
    }
    if let (Err(failure), []) = (&findings.verdict.result, faults) {
        let likeliest = explain::likeliest_of(failure);
        advice.extend(likeliest.map(|(what, change)| format!("Likeliest: {what} {change}")));
        let number = failure.code().number();
        advice.push(format!(
            "sni-check explain {number} has all causes, and how to confirm them."
        ));
    }
    advice.extend(sni_advice(plan, findings));
    advice.extend(left_out(plan, options));
    advice
}

/// What follows from comparing handshakes with and without SNI.
fn sni_advice(plan: &Plan, findings: &Findings) -> Option<String> {
    let tls = findings.tls.as_ref()?;
    let name = plan.names.sni.as_ref()?.as_ref();
    match tls.sni_needed() {
        Some("required") => Some(format!(
            "This server requires SNI: `sni str({name})` for traffic is not enough, the check needs \
             `check-sni {name}` or the external check; both are below."
        )),
        Some("other certificate") => Some(format!(
            "Without `check-sni {name}` HAProxy's check is shown another site's certificate; the \
             lines below send it."
        )),
        _ => None,
    }
}

/// What the lines to paste leave out or cannot say.
fn left_out(plan: &Plan, options: &Options) -> Vec<String> {
    let headers = plan.request.headers.iter();
    let secret = headers.filter(|(name, value)| harmless(name, value).is_none());
    let mut advice: Vec<String> = secret
        .map(|(name, _)| {
            format!(
                "Put the header {name} into a file that HAProxy's user can read, or after `hdr` on \
                 the http-check send line; its value is not shown here."
            )
        })
        .collect();
    if !plan.request.body.is_empty() {
        advice.push("Add your --body; it is not shown here.".to_owned());
    }
    if options.ca_file.len() > 1 {
        advice.push("`ca-file` takes one file; put your CAs together into one.".to_owned());
    }
    if options.key.is_some() {
        advice.push("`crt` on the server line wants certificate and key in one PEM.".to_owned());
    }
    advice
}

fn certificate_advice(fault: &CertificateFailure) -> String {
    match fault {
        CertificateFailure::Expired { .. } => {
            "Renew the certificate at the backend and reload its server; nothing in haproxy.cfg \
             cures it."
                .to_owned()
        }
        CertificateFailure::NotYetValid { .. } => {
            "Set this host's clock, or install the certificate that is valid now.".to_owned()
        }
        CertificateFailure::OtherName { wanted, presented } => other_name(wanted, presented),
        CertificateFailure::IssuerUnknown {
            issuer,
            self_signed: true,
        } => format!(
            "Install a certificate of a CA, or trust this very one ({issuer}): run this again with \
             --ca-file FILE."
        ),
        CertificateFailure::IssuerUnknown { issuer, .. } => format!(
            "Install the full chain at the backend (fullchain.pem): the certificate of {issuer} is \
             missing. If that is a CA of your own: run this again with --ca-file FILE."
        ),
        CertificateFailure::EndsSoon { .. } => "Renew the certificate now.".to_owned(),
        CertificateFailure::Invalid(_) => "Replace the certificate at the backend.".to_owned(),
    }
}

/// The name that was probably meant, the nearest of those that the certificate is for.
fn other_name(wanted: &str, presented: &[String]) -> String {
    let nearest = presented
        .iter()
        .min_by_key(|name| strsim::damerau_levenshtein(name, wanted));
    match nearest {
        None => "Have the certificate issued with subject alternative names.".to_owned(),
        Some(name) if name.starts_with("*.") => format!(
            "If this is the right server, use a name that {name} covers: --sni NAME. Otherwise \
             have the certificate issued for {wanted}, too."
        ),
        Some(name) => format!(
            "If this is the right server, use a name it has: --sni {name}, or --verify-host {name} \
             to go on sending {wanted}. Otherwise have the certificate issued for {wanted}, too."
        ),
    }
}

/// The value of a header that may be shown; everything else may be a secret.
fn harmless<'a>(name: &header::HeaderName, value: &'a HeaderValue) -> Option<&'a str> {
    let shown = HARMLESS.contains(name).then(|| value.to_str().ok());
    shown.flatten()
}

/// A word as haproxy.cfg takes it between double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// The addresses for server lines. A name with several is one server each, or HAProxy would check,
/// and use, only the first; those that do not answer are left out.
fn servers(plan: &Plan, findings: &Findings) -> Vec<String> {
    let addresses = findings.addresses.as_ref().map_or(&[][..], Vec::as_slice);
    let answer = |address: &&(Address, Attempt)| address.1.result.is_ok();
    let reached: Vec<_> = addresses.iter().filter(answer).collect();
    match &plan.target {
        Target::Unix(path) => vec![format!("unix@{}", path.display())],
        Target::Tcp { .. } if addresses.len() > 1 && !reached.is_empty() => reached
            .iter()
            .map(|(address, _)| address.to_string())
            .collect(),
        Target::Tcp { .. } => vec![plan.target.to_string()],
    }
}

fn server_lines(plan: &Plan, options: &Options, findings: &Findings, more: &str) -> String {
    let words = server_words(plan, options);
    let servers = servers(plan, findings).into_iter().enumerate();
    let lines = servers.map(|(index, address)| {
        format!("    server s{} {address} {words} check{more}\n", index + 1)
    });
    lines.collect()
}

/// HAProxy's `ca-file`; it has no roots of its own.
pub(super) fn ca_file(options: &Options) -> &str {
    let file = options.ca_file.iter().find(|file| *file != "@bundled");
    file.map_or("@system-ca", String::as_str)
}

/// What is the same for every server line.
fn server_words(plan: &Plan, options: &Options) -> String {
    let mut line = "ssl verify required".to_owned();
    _ = write!(line, " ca-file {}", ca_file(options));
    if let Some(name) = &plan.names.sni {
        _ = write!(line, " sni str({})", name.as_ref());
    }
    if let Some(name) = &options.verify_host {
        _ = write!(line, " verifyhost {name}");
    }
    for (word, value) in [
        ("crl-file", options.crl_file.first()),
        ("crt", options.crt.as_ref()),
        ("source", options.source.as_ref()),
    ] {
        if let Some(value) = value {
            _ = write!(line, " {word} {value}");
        }
    }
    for (word, version) in versions(options) {
        _ = write!(line, " {word} {version}");
    }
    match (options.send_proxy, options.send_proxy_v2) {
        (true, _) => line.push_str(" send-proxy"),
        (_, true) => line.push_str(" send-proxy-v2"),
        _ => {}
    }
    line
}

fn builtin(plan: &Plan, options: &Options, findings: &Findings) -> String {
    let request = &plan.request;
    let uri = request.uri.path_and_query().map_or("/", |uri| uri.as_str());
    let mut text = format!(
        "backend be\n    option httpchk\n    http-check send meth {} uri {} ver HTTP/1.1",
        request.method,
        quoted(uri)
    );
    for (name, value) in &request.headers {
        if name == header::HOST
            && let Some(value) = harmless(name, value)
        {
            _ = write!(text, " hdr Host {}", quoted(value));
        }
    }
    for rule in &request.expectations {
        _ = write!(text, "\n    http-check expect {rule}");
    }
    let name = plan.names.sni.as_ref();
    let check_sni = name.map_or(String::new(), |name| {
        format!(" check-sni {}", name.as_ref())
    });
    text.push('\n');
    text.push_str(&server_lines(plan, options, findings, &check_sni));
    text
}

fn external(plan: &Plan, options: &Options, findings: &Findings) -> String {
    let words = words(plan, options);
    let words = words
        .iter()
        .map(|word| shlex::try_quote(word).unwrap_or_default());
    let words = words.collect::<Vec<_>>().join(" ");
    format!(
        "global\n    external-check\n    insecure-fork-wanted\n\nbackend be\n    \
         option external-check\n    external-check command {}\n    \
         external-check path {}\n{}",
        own_command(),
        quoted(&words),
        server_lines(plan, options, findings, "")
    )
}

/// The options of the external check: those given, but for what is secret, what the server line
/// says, and what turns verification off.
fn words(plan: &Plan, options: &Options) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |name: &str, value: String| words.extend([name.to_owned(), value]);
    let uri = plan.request.uri.path_and_query();
    if let Some(name) = &plan.names.sni {
        add("--sni", name.as_ref().to_owned());
    }
    if let Some(uri) = uri.filter(|uri| uri.as_str() != "/") {
        add("--uri", uri.to_string());
    }
    if plan.request.method != "GET" {
        add("--method", plan.request.method.to_string());
    }
    for (name, value) in &plan.request.headers {
        match harmless(name, value) {
            Some(value) if name == header::HOST && value != plan.names.host => {
                add("--header", format!("Host: {value}"));
            }
            Some(_) => {}
            None => add("--header", format!("@/etc/haproxy/{name}.header")),
        }
    }
    for rule in &options.expect {
        add("--expect", rule.to_string());
    }
    for (word, version) in versions(options) {
        add(&format!("--{word}"), version.to_owned());
    }
    files_and_limits(options, add);
    for (given, name) in [
        (plan.names.sni.is_none(), "--no-sni"),
        (options.send_proxy, "--send-proxy"),
        (options.send_proxy_v2, "--send-proxy-v2"),
    ] {
        if given {
            words.push(name.to_owned());
        }
    }
    words
}

/// The options that are passed on as they were given.
fn files_and_limits(options: &Options, mut add: impl FnMut(&str, String)) {
    for (name, values) in [
        ("--ca-file", &options.ca_file),
        ("--crl-file", &options.crl_file),
    ] {
        values.iter().for_each(|value| add(name, value.clone()));
    }
    for (name, value) in [
        ("--crt", options.crt.clone()),
        ("--key", options.key.clone()),
        ("--source", options.source.clone()),
        ("--verify-host", options.verify_host.clone()),
        (
            "--min-cert-days",
            options.min_cert_days.map(|days| days.0.to_string()),
        ),
        (
            "--warn-cert-days",
            options.warn_cert_days.map(|days| days.0.to_string()),
        ),
        (
            "--max-body",
            options.max_body.map(|size| size.0.to_string()),
        ),
        (
            "--timeout",
            options
                .timeout
                .map(|time| format!("{}us", time.0.as_micros())),
        ),
    ] {
        if let Some(value) = value {
            add(name, value);
        }
    }
}

/// The bounds on the TLS version that were given, in HAProxy's words.
fn versions(options: &Options) -> impl Iterator<Item = (&'static str, &'static str)> {
    let bounds = [
        ("ssl-min-ver", options.ssl_min_ver),
        ("ssl-max-ver", options.ssl_max_ver),
    ];
    bounds.into_iter().filter_map(|(word, version)| {
        let version = match version? {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
        };
        Some((word, version))
    })
}
