//! The line with the result of a check, and the details for the command line.

use std::fmt::Write as _;
use std::time::Duration;

use super::date::{date, in_milliseconds, now};
use super::escape::printable;
use crate::certificate::{Certificate, days, in_days};
use crate::code::{Code, Layer};
use crate::plan::{Plan, VerifiedName};
use crate::probe::{Response, Times, Verdict};

/// Returns warnings and remarks about a server, healthy or not.
pub fn notes(plan: &Plan, verdict: &Verdict) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(limit), Some(first), true) = (
        plan.tls.warn_cert_days,
        &verdict.seen.first_to_expire,
        verdict.result.is_ok(),
    ) {
        let days = first.days_left(now());
        if days < u64::from(limit) {
            let (left, subject) = (in_days(days), &first.subject);
            notes.push(format!("certificate expires in {left}: {subject}"));
        }
    }
    if verdict.result.is_err()
        && verdict.seen.client_certificate_asked
        && verdict.code().layer() == Layer::Http
    {
        notes.extend(about_client_certificate(plan));
    }
    notes
}

/// Returns the problem with the client certificate, if the server asks for one: the check has no client
/// certificate, or a certificate in --crt has expired.
fn about_client_certificate(plan: &Plan) -> Option<String> {
    let Some(identity) = &plan.tls.identity else {
        return Some("the server asked for a client certificate (--crt)".to_owned());
    };
    let mut chain = identity.cert.iter().filter_map(Certificate::read);
    let expired = chain.find(|certificate| certificate.not_after < now())?;
    let ago = in_days(days(now().saturating_sub(expired.not_after)));
    Some(format!(
        "the certificate in --crt expired {ago} ago: {}",
        expired.subject
    ))
}

pub(super) fn line(plan: &Plan, verdict: &Verdict, notes: &[String]) -> String {
    let about = about(plan, verdict.seen.address.as_deref());
    let (state, code, cause) = (state(verdict), verdict.code(), cause(verdict));
    let mut line = start_of_line(plan, state, code, &about, &cause);
    for note in notes {
        _ = write!(line, "; {}", printable(note));
    }
    _ = write!(line, "; {}", times(&verdict.seen.times));
    line
}

/// Returns the line without notes and times.
pub(super) fn start_of_line(
    plan: &Plan,
    state: &str,
    code: Code,
    about: &str,
    cause: &str,
) -> String {
    let (number, word) = (code.number(), plan.haproxy_word(code));
    format!("{state} {number} {word} {about}: {}", printable(cause))
}

/// Returns the name of the check, the dialled address (or the target, if no address was dialled),
/// the SNI name, and the verified name if it's different.
pub(super) fn about(plan: &Plan, address: Option<&str>) -> String {
    let address = match address {
        Some(address) => printable(address),
        None => printable(&plan.target.to_string()),
    };
    format!("{} {address} {}", printable(&plan.subject()), sni(plan))
}

pub(super) fn state(verdict: &Verdict) -> &'static str {
    if verdict.result.is_ok() { "UP" } else { "DOWN" }
}

fn sni(plan: &Plan) -> String {
    let mut text = match &plan.names.sni {
        Some(name) => format!("sni={}", name.as_ref()),
        None => "no-sni".to_owned(),
    };
    if let Some(verification) = &plan.tls.verification {
        let verified = verification.name.to_str();
        let sni = plan.names.sni.as_ref();
        if sni.is_none_or(|sni| sni.as_ref() != verified) {
            // With neither an SNI name nor --verify-host, sni-check verifies the server's address. Only this
            // address is also compared with the certificate's IP addresses. A value of --verify-host is
            // always text.
            let option = match verification.name {
                VerifiedName::Text(_) => "verify-host",
                VerifiedName::Address(_) => "verify-address",
            };
            _ = write!(text, " {option}={verified}");
        }
    }
    text
}

pub(super) fn cause(verdict: &Verdict) -> String {
    let said = match &verdict.result {
        Ok(Some(response)) => format!("status {}", response.status),
        Ok(None) => "handshake done".to_owned(),
        Err(failure) => return failure.to_string(),
    };
    match &verdict.seen.tls {
        Some((version, _)) => format!("{said}, {version}"),
        None => said,
    }
}

/// Returns the response of a healthy server.
pub(super) fn response(verdict: &Verdict) -> Option<&Response> {
    verdict.result.as_ref().ok()?.as_ref()
}

/// Returns how long each phase took: `connect 0.1ms tls 2.3ms total 2000.1ms`.
pub fn times(times: &Times) -> String {
    let is_shown = |time: &Duration| *time >= Duration::from_micros(100);
    let phases = [
        ("resolve", times.resolve.filter(is_shown)),
        ("connect", times.connect),
        ("tls", times.tls),
        ("response", times.response),
        ("total", Some(times.total)),
    ];
    let phases = phases.into_iter();
    let texts =
        phases.filter_map(|(name, time)| Some(format!("{name} {}", in_milliseconds(time?))));
    texts.collect::<Vec<_>>().join(" ")
}

/// Returns the text for `--verbose`: what the check saw, by layer.
pub(super) fn details(plan: &Plan, verdict: &Verdict) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| _ = writeln!(text, "  {name:<9} {}", printable(value));
    if let Some(address) = &verdict.seen.address {
        row("address", address);
    }
    if let Some((version, cipher)) = &verdict.seen.tls {
        row("tls", &format!("{version} {cipher}"));
        let alpn = verdict.seen.alpn.as_deref();
        row("alpn", alpn.unwrap_or("none chosen"));
    }
    for (depth, certificate) in chain(verdict).iter().enumerate() {
        let (subject, issuer) = (&certificate.subject, &certificate.issuer);
        let (end, left) = (
            date(certificate.not_after),
            in_days(certificate.days_left(now())),
        );
        let value = format!("{subject}, by {issuer}, expires {end} ({left})");
        row(&format!("chain {depth}"), &value);
    }
    let rules = plan.tls.verification.as_ref();
    for unused in rules.map_or_else(Vec::new, |rules| rules.trust.unused()) {
        row("unused", &format!("in --ca-file, {unused}"));
    }
    if !plan.handshake_only {
        let (method, path) = (&plan.request.method, plan.request.uri.path());
        row("request", &format!("{method} {path}"));
    }
    if let Some(response) = response(verdict) {
        row("status", &response.status.to_string());
        row("server", response.server.as_deref().unwrap_or("(not sent)"));
    }
    text
}

pub(super) fn chain(verdict: &Verdict) -> Vec<Certificate> {
    let chain = verdict.seen.chain.iter();
    chain.filter_map(Certificate::read).collect()
}
