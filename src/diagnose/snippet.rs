//! The lines to paste into haproxy.cfg: its own check, and sni-check as external check.

use std::fmt::Write as _;

use ureq::http::{HeaderValue, header};

use super::attempts::Attempt;
use super::case::Case;
use super::evidence::HARMLESS;
use crate::haproxy::call::own_command;
use crate::haproxy::words::quote;
use crate::options::Options;
use crate::options::values::TlsVersion;
use crate::plan::{Plan, Target};
use crate::probe::connect::Address;

/// The value of a header that may be shown; everything else may be a secret.
pub(super) fn harmless<'a>(name: &header::HeaderName, value: &'a HeaderValue) -> Option<&'a str> {
    let shown = HARMLESS.contains(name).then(|| value.to_str().ok());
    shown.flatten()
}

/// The addresses for server lines. A name with several is one server each, or HAProxy would check,
/// and use, only the first; those that do not answer are left out.
fn servers(Case { plan, evidence, .. }: Case<'_>) -> Vec<String> {
    let addresses = evidence.addresses.as_ref().map_or(&[][..], Vec::as_slice);
    let answer = |address: &&(Address, Attempt)| address.1.result.is_ok();
    let reached: Vec<_> = addresses.iter().filter(answer).collect();
    match &plan.target {
        Target::Unix(path) => vec![quote(format!("unix@{}", path.display()))],
        Target::Tcp { .. } if addresses.len() > 1 && !reached.is_empty() => reached
            .iter()
            .map(|(address, _)| address.to_string())
            .collect(),
        Target::Tcp { .. } => vec![plan.target.to_string()],
    }
}

fn server_lines(case: Case<'_>, more: &str) -> String {
    let words = server_words(case);
    let servers = servers(case).into_iter().enumerate();
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
fn server_words(Case { plan, options, .. }: Case<'_>) -> String {
    let mut line = "ssl verify required".to_owned();
    _ = write!(line, " ca-file {}", quote(ca_file(options)));
    if let Some(name) = &plan.names.sni {
        _ = write!(line, " sni str({})", name.as_ref());
    }
    if let Some(name) = &options.verify_host {
        _ = write!(line, " verifyhost {}", quote(name));
    }
    for (word, value) in [
        ("crl-file", options.crl_file.first()),
        ("crt", options.crt.as_ref()),
        ("source", options.source.as_ref()),
    ] {
        if let Some(value) = value {
            _ = write!(line, " {word} {}", quote(value));
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

pub(super) fn builtin(case: Case<'_>) -> String {
    let plan = case.plan;
    let request = match plan.handshake_only {
        true => String::new(),
        false => http_check(plan),
    };
    let mut more = String::new();
    if let Some(name) = &plan.names.sni {
        _ = write!(more, " check-sni {}", name.as_ref());
    }
    if !plan.tls.alpn.is_empty() {
        _ = write!(more, " check-alpn {}", quote(plan.tls.alpn.join(",")));
    }
    format!("backend be\n{request}{}", server_lines(case, &more))
}

/// The request in HAProxy's words.
fn http_check(plan: &Plan) -> String {
    let request = &plan.request;
    let uri = request.uri.path_and_query().map_or("/", |uri| uri.as_str());
    let mut text = format!(
        "    option httpchk\n    http-check send meth {} uri {} ver HTTP/1.1",
        request.method,
        quote(uri)
    );
    for (name, value) in &request.headers {
        if name == header::HOST
            && let Some(value) = harmless(name, value)
        {
            _ = write!(text, " hdr Host {}", quote(value));
        }
    }
    for rule in &request.expectations {
        _ = write!(text, "\n    http-check expect {rule}");
    }
    text.push('\n');
    text
}

pub(super) fn external(case: Case<'_>) -> String {
    let words = words(case);
    let words = words
        .iter()
        .map(|word| shlex::try_quote(word).unwrap_or_default());
    let words = words.collect::<Vec<_>>().join(" ");
    format!(
        "global\n    external-check\n    insecure-fork-wanted\n\nbackend be\n    \
         option external-check\n    external-check command {}\n    \
         external-check path {}\n{}",
        own_command(),
        quote(&words),
        server_lines(case, "")
    )
}

/// The options of the external check: those given, but for what is secret, what the server line
/// says, and what turns verification off.
fn words(Case { plan, options, .. }: Case<'_>) -> Vec<String> {
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
    if !plan.tls.alpn.is_empty() {
        add("--alpn", plan.tls.alpn.join(","));
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
        (plan.handshake_only, "--handshake-only"),
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
            "--max-head",
            options.max_head.map(|size| size.0.to_string()),
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
