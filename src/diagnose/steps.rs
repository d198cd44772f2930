//! The findings in words, step by step.

use std::time::Duration;

use ureq::http::header;

use super::findings::{Attempt, Findings, Handshakes, Http};
use super::{Mark, Step, chain};
use crate::code::Code;
use crate::plan::Plan;
use crate::report::milliseconds;

/// The steps, as far as the server let them come.
pub(super) fn steps(plan: &Plan, findings: &Findings) -> Vec<Step> {
    let mut steps = vec![addresses(findings)];
    if let Some(tls) = &findings.tls {
        steps.push(with_sni(plan, findings, tls));
        steps.push(without_sni(plan, tls));
        steps.push(versions(tls));
    }
    if let Some(step) = http(plan, findings) {
        steps.push(step);
    }
    steps
}

fn took(time: Option<Duration>) -> String {
    time.map_or_else(String::new, |time| {
        format!(" in {:.1} ms", milliseconds(time))
    })
}

fn addresses(findings: &Findings) -> Step {
    let mut step = Step::new("Addresses");
    step.milliseconds = Some(milliseconds(findings.resolve));
    match &findings.addresses {
        Err(failure) => step.line(Mark::Problem, failure.to_string()),
        Ok(all) => {
            for (address, attempt) in all {
                let time = took(attempt.seen.times.connect);
                match &attempt.result {
                    Ok(_) => step.line(Mark::Ok, format!("{address} connected{time}")),
                    Err(why) => step.line(Mark::Problem, format!("{address} {why}{time}")),
                }
            }
        }
    }
    step
}

fn with_sni(plan: &Plan, findings: &Findings, tls: &Handshakes) -> Step {
    let mut step = match &plan.names.sni {
        Some(name) => Step::new(format!("TLS with SNI {}", name.as_ref())),
        None => Step::new("TLS as configured (--no-sni)"),
    };
    let seen = &tls.named.seen;
    step.milliseconds = seen.times.tls.map(milliseconds);
    if let Err(failure) = &tls.named.result {
        step.line(Mark::Problem, failure.to_string());
    }
    if let Some((version, cipher)) = &seen.tls {
        let group = seen.group.unwrap_or("no group");
        let alpn = seen.alpn.as_deref().unwrap_or("none");
        let text = format!("{version}, {cipher}, {group}; ALPN offered http/1.1, chosen {alpn}");
        step.line(Mark::Ok, text);
    }
    for (depth, der) in seen.chain.iter().enumerate() {
        step.line(Mark::Ok, format!("sent {depth}: {}", chain::describe(der)));
    }
    if let Some(leaf) = seen.chain.first() {
        step.line(
            Mark::Ok,
            format!("names: {}", chain::names(leaf).join(", ")),
        );
        verdict(plan, tls, &mut step);
    }
    if let Err(failure) = &findings.verdict.result
        && failure.code() == Code::CertificateEndsSoon
    {
        step.line(Mark::Problem, failure.to_string());
    }
    if seen.client_certificate_asked && plan.tls.identity.is_none() {
        step.line(
            Mark::Note,
            "the server asks for a client certificate (--crt)",
        );
    }
    step
}

fn verdict(plan: &Plan, tls: &Handshakes, step: &mut Step) {
    let unverified = plan.tls.verification.is_none();
    for fault in &tls.faults {
        let hidden = if unverified {
            "--verify none hides: "
        } else {
            ""
        };
        step.line(Mark::Problem, format!("{hidden}{fault}"));
    }
    if tls.faults.is_empty() {
        let trust = "the chain and the name are good";
        step.line(Mark::Ok, trust);
    }
    match &tls.system_faults {
        Some(faults) if faults.is_empty() != tls.faults.is_empty() => {
            let text = match faults.first() {
                None => "this system's roots accept the chain (--ca-file @system-ca)".to_owned(),
                Some(fault) => format!("by this system's roots: {fault}"),
            };
            step.line(Mark::Note, text);
        }
        _ => {}
    }
}

fn without_sni(plan: &Plan, tls: &Handshakes) -> Step {
    let mut step = Step::new("TLS without SNI");
    step.milliseconds = tls.bare.seen.times.tls.map(milliseconds);
    let whose = chain::whose(&tls.bare.seen.chain);
    let name = plan.names.host.as_str();
    match (tls.sni_needed(), &tls.bare.result) {
        (Some("required"), Err(failure)) => {
            step.line(Mark::Note, failure.to_string());
            step.line(
                Mark::Note,
                format!(
                    "SNI is required: every HAProxy check without check-sni {name} fails with \
                     \"SSL handshake failure\""
                ),
            );
        }
        (Some("other certificate"), _) => {
            step.line(Mark::Note, format!("another certificate comes: {whose}"));
            let text = "a check without check-sni looks at another site than the one you mean";
            step.line(Mark::Note, text);
        }
        (Some(_), _) => step.line(Mark::Ok, "the same certificate comes; SNI is not needed"),
        (None, Ok(_)) => step.line(Mark::Note, format!("this works; the certificate: {whose}")),
        (None, Err(failure)) => step.line(Mark::Problem, failure.to_string()),
    }
    step
}

fn versions(tls: &Handshakes) -> Step {
    let mut step = Step::new("TLS versions and other names");
    let working = tls.tls12.result.is_ok() || tls.tls13.result.is_ok();
    for (version, attempt) in [("TLSv1.2", &tls.tls12), ("TLSv1.3", &tls.tls13)] {
        match &attempt.result {
            Ok(_) => {
                let time = took(attempt.seen.times.tls);
                step.line(Mark::Ok, format!("{version} works{time}"));
            }
            Err(failure) => {
                let mark = if working { Mark::Note } else { Mark::Problem };
                step.line(mark, format!("{version}: {failure}"));
            }
        }
    }
    step.line(Mark::Ok, made_up(&tls.made_up));
    step
}

fn made_up(attempt: &Attempt) -> String {
    match &attempt.result {
        Ok(_) => format!(
            "a made-up name gets a default certificate: {}",
            chain::whose(&attempt.seen.chain)
        ),
        Err(failure) => format!("a made-up name is refused: {failure}"),
    }
}

fn http(plan: &Plan, findings: &Findings) -> Option<Step> {
    let code = findings.verdict.code();
    let judged = code == Code::Healthy || code.number() > 70;
    if findings.http.is_none() && !judged {
        return None;
    }
    let request = &plan.request;
    let mut step = Step::new(format!("HTTP {} {}", request.method, request.uri.path()));
    if let Some(http) = &findings.http {
        step.milliseconds = http.asked.seen.times.response.map(milliseconds);
        response(plan, http, &mut step);
    }
    match &findings.verdict.result {
        Ok(_) => step.line(Mark::Ok, "every expectation holds"),
        Err(failure) if judged => step.line(Mark::Problem, failure.to_string()),
        Err(_) => step.line(Mark::Note, "the check does not come this far"),
    }
    Some(step)
}

fn response(plan: &Plan, http: &Http, step: &mut Step) {
    if http.withheld {
        let text = "asked without your headers, for the certificate is not trusted";
        step.line(Mark::Note, text);
    }
    match &http.asked.result {
        Ok(Some(response)) => {
            let server = response.server.as_deref().unwrap_or("(not said)");
            let text = format!("status {}, Server {server}", response.status);
            step.line(Mark::Ok, text);
            if let Some(location) = &response.location {
                step.line(Mark::Note, format!("redirects to {location}"));
            }
        }
        Ok(None) => {}
        Err(failure) => step.line(Mark::Problem, failure.to_string()),
    }
    let answer = |attempt: &Attempt| attempt.result.as_ref().ok().cloned().flatten();
    let mut headers = plan.request.headers.iter();
    let host = headers.find(|(name, _)| name == header::HOST);
    let host = host
        .and_then(|(_, value)| value.to_str().ok())
        .unwrap_or("");
    match (answer(&http.asked), answer(&http.other_host)) {
        (one, other) if one == other => step.line(Mark::Ok, "Host does not matter here"),
        (_, Some(other)) => step.line(
            Mark::Note,
            format!(
                "Host matters: without {host} the status is {}",
                other.status
            ),
        ),
        _ => step.line(
            Mark::Note,
            format!("Host matters: without {host} there is no answer"),
        ),
    }
}
