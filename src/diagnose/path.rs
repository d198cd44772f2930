//! The options of a check, as `external-check path` carries them.

use ureq::http::header;

use super::gather::{FORWARDED_PROTO, harmless, is_chosen, title};
use crate::options::Options;
use crate::options::values::{TlsVersion, Verify};
use crate::plan::{Plan, ProxyHeader};

/// The options to paste: those given, except what may be a secret, what the server line says, and
/// what turns verification off.
pub(super) fn path(plan: &Plan, options: &Options, secrets: bool) -> String {
    if secrets {
        return as_given(plan, options);
    }
    let mut words = Words::default();
    names_and_request(&mut words, plan);
    for (name, value) in &plan.request.headers {
        match harmless(name, value) {
            Some(value) if name == header::HOST && value != plan.names.host => {
                words.add("--header", format!("Host: {value}"));
            }
            Some(value) if *name == FORWARDED_PROTO => {
                words.add("--header", format!("X-Forwarded-Proto: {value}"));
            }
            Some(value) if is_chosen(name, value) => {
                words.add("--header", format!("{}: {value}", title(name)));
            }
            Some(_) => {}
            None => words.add("--header", format!("@/etc/haproxy/{name}.header")),
        }
    }
    rest(&mut words, plan, options);
    words.joined()
}

/// The options exactly as they were given.
fn as_given(plan: &Plan, options: &Options) -> String {
    let mut words = Words::default();
    names_and_request(&mut words, plan);
    for header in &options.header {
        words.add("--header", header);
    }
    if let Some(body) = &options.body {
        words.add("--body", body);
    }
    if options.verify == Some(Verify::None) {
        words.add("--verify", "none");
    }
    rest(&mut words, plan, options);
    words.joined()
}

#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.extend([name.to_owned(), value.into()]);
    }

    fn joined(self) -> String {
        let quoted = self.0.iter();
        let quoted = quoted.map(|word| shlex::try_quote(word).unwrap_or_default());
        quoted.collect::<Vec<_>>().join(" ")
    }
}

fn names_and_request(words: &mut Words, plan: &Plan) {
    match &plan.names.sni {
        Some(name) => words.add("--sni", name.as_ref()),
        None => words.0.push("--no-sni".to_owned()),
    }
    let uri = plan.request.uri.path_and_query();
    if let Some(uri) = uri.filter(|uri| uri.as_str() != "/") {
        words.add("--uri", uri.to_string());
    }
    if plan.request.method != "GET" {
        words.add("--method", plan.request.method.to_string());
    }
    if plan.handshake_only {
        words.0.push("--handshake-only".to_owned());
    }
    if !plan.tls.alpn.is_empty() {
        words.add("--alpn", plan.tls.alpn.join(","));
    }
}

/// The options that are passed on as they were given.
fn rest(words: &mut Words, plan: &Plan, options: &Options) {
    for rule in &options.expect {
        words.add("--expect", rule.to_string());
    }
    for (word, version) in versions(options) {
        words.add(&format!("--{word}"), version);
    }
    for (name, values) in [
        ("--ca-file", &options.ca_file),
        ("--crl-file", &options.crl_file),
    ] {
        values
            .iter()
            .for_each(|value| words.add(name, from_anywhere(value)));
    }
    for (name, file) in [("--crt", &options.crt), ("--key", &options.key)] {
        if let Some(file) = file {
            words.add(name, from_anywhere(file));
        }
    }
    for (name, value) in [
        ("--source", &options.source),
        ("--verify-host", &options.verify_host),
    ] {
        if let Some(value) = value {
            words.add(name, value);
        }
    }
    for (name, days) in [
        ("--min-cert-days", options.min_cert_days),
        ("--warn-cert-days", options.warn_cert_days),
    ] {
        if let Some(days) = days {
            words.add(name, days.0.to_string());
        }
    }
    for (name, size) in [
        ("--max-head", options.max_head),
        ("--max-body", options.max_body),
    ] {
        if let Some(size) = size {
            words.add(name, size.0.to_string());
        }
    }
    if let Some(time) = options.timeout {
        words.add("--timeout", span(time.0));
    }
    match plan.proxy {
        Some(ProxyHeader::V1) => words.0.push("--send-proxy".to_owned()),
        Some(ProxyHeader::V2Local) => words.0.push("--send-proxy-v2".to_owned()),
        None => {}
    }
}

/// A file's path as HAProxy can use it, which runs in another folder. `@system-ca` and `@bundled` stay.
pub(super) fn from_anywhere(file: &str) -> String {
    let absolute = std::path::absolute(file).ok();
    let absolute = absolute.filter(|_| !file.starts_with('@'));
    absolute.map_or_else(|| file.to_owned(), |path| path.display().to_string())
}

/// In HAProxy's notation, in the largest unit that is exact.
fn span(time: std::time::Duration) -> String {
    let micros = time.as_micros();
    match micros {
        _ if micros.is_multiple_of(1_000_000) => format!("{}s", micros / 1_000_000),
        _ if micros.is_multiple_of(1000) => format!("{}ms", micros / 1000),
        _ => format!("{micros}us"),
    }
}

/// The bounds on the TLS version that were given, in HAProxy's words.
pub(super) fn versions(options: &Options) -> impl Iterator<Item = (&'static str, &'static str)> {
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
