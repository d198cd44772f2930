//! The cure: what to put into haproxy.cfg, or to change at the backend.

use std::fmt::Write as _;

use ureq::http::{HeaderValue, header};

use super::findings::Findings;
use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::options::Options;
use crate::plan::{Plan, Target};
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
        builtin: dialled.then(|| builtin(plan, options)),
        external: dialled.then(|| external(plan, options)),
    }
}

fn advice(plan: &Plan, options: &Options, findings: &Findings) -> Vec<String> {
    let mut advice = Vec::new();
    let faults = findings.tls.as_ref().map_or(&[][..], |tls| &tls.faults);
    for fault in faults {
        advice.push(certificate_advice(fault));
    }
    if !faults.is_empty() {
        advice.push("verify none would hide this from the check and from traffic.".to_owned());
    }
    let code = findings.verdict.code();
    if code != Code::Healthy && faults.is_empty() {
        let number = code.number();
        advice.push(format!(
            "{}: sni-check explain {number} has the causes.",
            code.meaning()
        ));
    }
    let secret = plan.request.headers.iter();
    let secret = secret.filter(|(name, value)| harmless(name, value).is_none());
    for (name, _) in secret {
        advice.push(format!(
            "Put the header {name} into a file that HAProxy's user can read, or after hdr on the \
             http-check send line; its value is not shown here."
        ));
    }
    if !plan.request.body.is_empty() {
        advice.push("Add your --body; it is not shown here.".to_owned());
    }
    if options.ca_file.len() > 1 {
        advice.push("ca-file takes one file; put your CAs together into one.".to_owned());
    }
    if options.key.is_some() {
        advice.push("crt on the server line wants certificate and key in one PEM.".to_owned());
    }
    advice
}

fn certificate_advice(fault: &CertificateFailure) -> String {
    match fault {
        CertificateFailure::Expired { .. } => {
            "Renew the certificate at the backend; nothing in haproxy.cfg cures it.".to_owned()
        }
        CertificateFailure::NotYetValid { .. } => {
            "Set this host's clock, or install the certificate that is valid now.".to_owned()
        }
        CertificateFailure::OtherName { presented, .. } => match presented.first() {
            Some(fits) => format!(
                "If this is the right server, use a name it is for: --sni {fits}, or --verify-host {fits}."
            ),
            None => "Have the certificate issued with subject alternative names.".to_owned(),
        },
        CertificateFailure::IssuerUnknown { issuer, .. } => format!(
            "Install the full chain at the backend, or, if the CA is your own, trust it with \
             ca-file FILE and --ca-file FILE. Missing: {issuer}"
        ),
        CertificateFailure::EndsSoon { .. } => "Renew the certificate now.".to_owned(),
        CertificateFailure::Invalid(_) => "Replace the certificate at the backend.".to_owned(),
    }
}

/// The value of a header that may be shown; everything else may be a secret.
fn harmless<'a>(name: &header::HeaderName, value: &'a HeaderValue) -> Option<&'a str> {
    [
        header::HOST,
        header::ACCEPT,
        header::USER_AGENT,
        header::CONNECTION,
    ]
    .contains(name)
    .then(|| value.to_str().ok())
    .flatten()
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

fn server_line(plan: &Plan, options: &Options) -> String {
    let address = match &plan.target {
        Target::Tcp { .. } => plan.target.to_string(),
        Target::Unix(path) => format!("unix@{}", path.display()),
    };
    let mut line = format!("    server s1 {address} ssl verify required");
    let file = options.ca_file.iter().find(|file| *file != "@bundled");
    _ = write!(
        line,
        " ca-file {}",
        file.map_or("@system-ca", String::as_str)
    );
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
    line.push_str(" check");
    line
}

fn builtin(plan: &Plan, options: &Options) -> String {
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
    _ = write!(text, "\n{}", server_line(plan, options));
    if let Some(name) = &plan.names.sni {
        _ = write!(text, " check-sni {}", name.as_ref());
    }
    text.push('\n');
    text
}

fn external(plan: &Plan, options: &Options) -> String {
    let words = words(plan, options);
    let words = words
        .iter()
        .map(|word| shlex::try_quote(word).unwrap_or_default());
    let words = words.collect::<Vec<_>>().join(" ");
    format!(
        "global\n    external-check\n    insecure-fork-wanted\n\nbackend be\n    \
         option external-check\n    external-check command /usr/local/bin/sni-check\n    \
         external-check path {}\n{}\n",
        quoted(&words),
        server_line(plan, options)
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
            options.min_cert_days.map(|n| n.to_string()),
        ),
        (
            "--warn-cert-days",
            options.warn_cert_days.map(|n| n.to_string()),
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
