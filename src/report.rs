//! What is said of a verdict: the line, the JSON object, the details by hand.
//!
//! Under HAProxy nothing is said of a healthy backend, and its standard output is never used.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use x509_cert::der::DateTime;

use crate::certificate::Certificate;
use crate::haproxy::Caller;
use crate::plan::{Output, Plan};
use crate::probe::{Times, Verdict};
use crate::stdio::{write_line, write_text};

/// Says what came of a check, wherever its plan wants it said.
pub fn verdict(plan: &Plan, verdict: &Verdict) {
    let notes = notes(plan, verdict);
    let worth_logging = verdict.result.is_err() || !notes.is_empty();
    let by_hand = plan.caller.is_none();
    if !(worth_logging || by_hand) {
        return;
    }
    let line = line(plan, verdict, &notes);
    if worth_logging && let Some(syslog) = &plan.output.syslog {
        syslog.send(&line);
    }
    if plan.output.quiet {
        return;
    }
    let text = if plan.output.json {
        object(plan, verdict, &notes).to_string()
    } else {
        line
    };
    // By hand, JSON is for the next program in the pipe, whatever it says.
    let to_stdout = by_hand && (verdict.result.is_ok() || plan.output.json);
    if to_stdout {
        write_line(io::stdout(), &text);
    } else {
        write_line(io::stderr(), &text);
    }
    if plan.output.verbose && by_hand {
        write_text(io::stdout(), &details(plan, verdict));
    } else if plan.output.verbose {
        details(plan, verdict)
            .lines()
            .for_each(|line| write_line(io::stderr(), line));
    }
}

/// Says why a call was refused.
pub fn refusal(caller: Option<&Caller>, output: &Output, error: &anyhow::Error) {
    let cause = printable(&format!("{error:#}"));
    let line = match caller {
        Some(caller) => format!("{}: {cause}", printable(&caller.to_string())),
        None => cause,
    };
    if let Some(syslog) = &output.syslog {
        syslog.send(&line);
    }
    write_line(io::stderr(), &format!("sni-check: {line}"));
}

/// What is worth knowing of a backend whatever the verdict.
fn notes(plan: &Plan, verdict: &Verdict) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(limit), Some(first), true) = (
        plan.tls.warn_cert_days,
        &verdict.seen.first_to_end,
        verdict.result.is_ok(),
    ) {
        let days = first.days_left(now());
        if days < u64::from(limit) {
            notes.push(format!(
                "certificate ends in {days} days: {}",
                first.subject
            ));
        }
    }
    if verdict.result.is_err()
        && verdict.seen.client_certificate_asked
        && verdict.code().number() > 70
        && plan.tls.identity.is_none()
    {
        notes.push("the server asked for a client certificate (--crt)".to_owned());
    }
    notes
}

fn line(plan: &Plan, verdict: &Verdict, notes: &[String]) -> String {
    let code = verdict.code();
    let mut line = format!(
        "{} {} {} {}",
        state(verdict),
        code.number(),
        code.haproxy_word(),
        printable(&plan.subject())
    );
    match &verdict.seen.address {
        Some(address) => _ = write!(line, " {}", printable(address)),
        None => _ = write!(line, " {}", plan.target),
    }
    _ = write!(line, " {}: {}", sni(plan), printable(&cause(verdict)));
    for note in notes {
        _ = write!(line, "; {}", printable(note));
    }
    _ = write!(line, "; {}", times(&verdict.seen.times));
    line
}

fn state(verdict: &Verdict) -> &'static str {
    if verdict.result.is_ok() { "UP" } else { "DOWN" }
}

fn sni(plan: &Plan) -> String {
    let mut text = match &plan.names.sni {
        Some(name) => format!("sni={}", name.as_ref()),
        None => "no-sni".to_owned(),
    };
    if let Some(verification) = &plan.tls.verification {
        let verified = verification.name.to_str();
        if plan
            .names
            .sni
            .as_ref()
            .is_none_or(|sni| sni.as_ref() != verified)
        {
            _ = write!(text, " verify-host={verified}");
        }
    }
    text
}

fn cause(verdict: &Verdict) -> String {
    match &verdict.result {
        Ok(response) => match &verdict.seen.tls {
            Some((version, _)) => format!("status {}, {version}", response.status),
            None => format!("status {}", response.status),
        },
        Err(failure) => failure.to_string(),
    }
}

fn times(times: &Times) -> String {
    let mut text = String::new();
    let phases = [
        (
            "resolve",
            times
                .resolve
                .filter(|time| *time >= Duration::from_micros(100)),
        ),
        ("connect", times.connect),
        ("tls", times.tls),
        ("response", times.response),
        ("total", Some(times.total)),
    ];
    for (name, time) in phases
        .into_iter()
        .filter_map(|(name, time)| Some((name, time?)))
    {
        _ = write!(text, "{name} {:.1}ms ", milliseconds(time));
    }
    text.truncate(text.trim_end().len());
    text
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

fn object(plan: &Plan, verdict: &Verdict, notes: &[String]) -> Value {
    let code = verdict.code();
    let times = &verdict.seen.times;
    let tls = verdict.seen.tls.as_ref();
    json!({
        "state": state(verdict),
        "code": code.number(),
        "haproxy": code.haproxy_word(),
        "meaning": code.meaning(),
        "backend": plan.caller.as_ref().map(|caller| &caller.backend),
        "server": plan.caller.as_ref().map(|caller| &caller.server),
        "address": verdict.seen.address,
        "sni": plan.names.sni.as_ref().map(|name| name.as_ref()),
        "verify_host": plan.tls.verification.as_ref().map(|rules| rules.name.to_str()),
        "host": plan.names.host,
        "cause": cause(verdict),
        "notes": notes,
        "status": verdict.result.as_ref().ok().map(|response| response.status),
        "tls_version": tls.map(|(version, _)| version),
        "tls_cipher": tls.map(|(_, cipher)| cipher),
        "alpn": verdict.seen.alpn,
        "chain": chain(verdict).iter().map(certificate).collect::<Vec<_>>(),
        "milliseconds": {
            "resolve": times.resolve.map(milliseconds),
            "connect": times.connect.map(milliseconds),
            "tls": times.tls.map(milliseconds),
            "response": times.response.map(milliseconds),
            "total": milliseconds(times.total),
        },
    })
}

pub(crate) fn certificate(certificate: &Certificate) -> Value {
    json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "not_before": date(certificate.not_before),
        "not_after": date(certificate.not_after),
        "days_left": certificate.days_left(now()),
    })
}

/// `--verbose`: what was seen, by layer.
fn details(plan: &Plan, verdict: &Verdict) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| _ = writeln!(text, "  {name:<9} {}", printable(value));
    if let Some(address) = &verdict.seen.address {
        row("address", address);
    }
    if let Some((version, cipher)) = &verdict.seen.tls {
        row("tls", &format!("{version} {cipher}"));
        row(
            "alpn",
            verdict.seen.alpn.as_deref().unwrap_or("none chosen"),
        );
    }
    for (depth, certificate) in chain(verdict).iter().enumerate() {
        let Certificate {
            subject,
            issuer,
            not_after,
            ..
        } = certificate;
        let (end, days) = (date(*not_after), certificate.days_left(now()));
        row(
            &format!("chain {depth}"),
            &format!("{subject}, by {issuer}, ends {end} ({days} days)"),
        );
    }
    row(
        "request",
        &format!("{} {}", plan.request.method, plan.request.uri.path()),
    );
    if let Ok(response) = &verdict.result {
        row("status", &response.status.to_string());
        row("server", response.server.as_deref().unwrap_or("(not said)"));
    }
    text
}

fn chain(verdict: &Verdict) -> Vec<Certificate> {
    verdict
        .seen
        .chain
        .iter()
        .filter_map(Certificate::read)
        .collect()
}

pub(crate) fn date(since_epoch: Duration) -> String {
    DateTime::from_unix_duration(since_epoch).map_or_else(
        |_| since_epoch.as_secs().to_string(),
        |date| date.to_string(),
    )
}

pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Text from elsewhere, safe for a log line: of bounded length, and with everything escaped that
/// would move a terminal's cursor, end the line, or show it in another order than it is written.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 1000;
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if safe.len() > LONGEST {
            safe.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Line separators, marks of direction (Unicode Standard Annex 9) and other format characters.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn text_from_elsewhere_cannot_forge_a_line() {
        assert_eq!(printable("a\r\nUP 0\x1b[2J"), "a\\r\\nUP 0\\u{1b}[2J");
        assert_eq!(printable("a\u{202e}b\u{2028}é…"), "a\\u{202e}b\\u{2028}é…");
        assert!(printable(&"x".repeat(100_000)).len() < 1100);
    }
}
