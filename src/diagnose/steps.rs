//! Describes in words what diagnose has seen, step by step.

use std::fmt::Display;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::causes::facts::{Answers, Facts, Handshakes, SniNeed};
use crate::causes::mixed;
use crate::certificate::{Certificate, Parts, days, in_days, key_type};
use crate::code::{Code, Layer};
use crate::output::date::{day, milliseconds};
use crate::output::escape::printable;
use crate::output::mark::Mark;
use crate::plan::{Host, Plan, Target};
use crate::probe;

/// Returns the steps that diagnose got to, in their order.
pub(super) fn steps(facts: &Facts) -> Vec<Step> {
    let mut steps = vec![addresses(facts)];
    if let Some(tls) = &facts.tls {
        steps.push(with_sni(facts, tls));
        steps.push(without_sni(facts, tls));
        steps.push(versions(tls));
    }
    steps.extend(http(facts));
    steps.extend(plain(facts));
    steps
}

fn took(time: Option<Duration>) -> String {
    time.map_or_else(String::new, |time| {
        format!(" in {:.1} ms", milliseconds(time))
    })
}

fn addresses(facts: &Facts) -> Step {
    let mut step = Step::new("Addresses");
    let mut time = facts.resolve;
    match &facts.addresses {
        Err(failure) => step.line(Mark::Problem, failure),
        Ok(all) => {
            let slowest = all
                .iter()
                .filter_map(|(_, attempt)| attempt.seen.times.connect);
            time += slowest.max().unwrap_or_default();
            if let Target::Tcp {
                host: Host::Name(name),
                ..
            } = &facts.plan.target
            {
                let (count, took) = (all.len() + facts.untried, took(Some(facts.resolve)));
                let es = if count == 1 { "" } else { "es" };
                step.line(
                    Mark::Ok,
                    format!("{name} resolves to {count} address{es}{took}"),
                );
            }
            for (address, attempt) in all {
                let time = took(attempt.seen.times.connect);
                match &attempt.result {
                    Ok(_) => step.line(Mark::Ok, format!("{address} connected{time}")),
                    Err(why) => step.line(Mark::Problem, format!("{address} {why}{time}")),
                }
            }
            if facts.untried > 0 {
                let text = format!("{} more addresses were not tried", facts.untried);
                step.line(Mark::Note, text);
            }
            if let (2.., Some(reached)) = (all.len(), &facts.reached) {
                let text = format!(
                    "the next steps are about {reached}, the first address that answers; HAProxy checks one address per server line"
                );
                step.line(Mark::Note, text);
            }
        }
    }
    step.milliseconds = Some(milliseconds(time));
    step
}

fn with_sni(facts: &Facts, tls: &Handshakes) -> Step {
    let plan = &facts.plan;
    let mut step = match &plan.names.sni {
        Some(name) => Step::new(format!("TLS with SNI {}", name.as_ref())),
        None => Step::new("TLS as configured (--no-sni)"),
    };
    let seen = &tls.named.seen;
    step.milliseconds = seen.times.tls.map(milliseconds);
    if let Err(failure) = &tls.named.result {
        step.line(Mark::Problem, failure);
    }
    if let Some((version, cipher)) = &seen.tls {
        let group = seen.group.unwrap_or("no group");
        let alpn = seen.alpn.as_deref().unwrap_or("none");
        let offered = match plan.tls.alpn.join(",") {
            none if none.is_empty() => "none".to_owned(),
            offered => offered,
        };
        let text = format!("{version}, {cipher}, {group}; ALPN offered {offered}, chosen {alpn}");
        step.line(Mark::Ok, text);
    }
    for (depth, der) in seen.chain.iter().enumerate() {
        let (mark, text) = describe(facts.now, der);
        step.line(mark, format!("certificate {depth}: {text}"));
    }
    if let Some(leaf) = seen.chain.first() {
        let names = match probe::names(leaf).join(", ") {
            names if names.is_empty() => "none".to_owned(),
            names => names,
        };
        step.line(Mark::Ok, format!("names of the certificate: {names}"));
        verdict(plan, tls, &mut step);
    }
    if let Some(mixed) = mixed::find(facts).filter(|mixed| mixed.by_tls) {
        let text = format!(
            "different answers to the same handshake: {}; {}",
            mixed.good, mixed.bad
        );
        step.line(Mark::Problem, text);
    }
    if let Err(failure) = &facts.verdict.result
        && failure.code() == Code::CertificateExpiresSoon
    {
        step.line(Mark::Problem, failure);
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
    let Some(trust) = &tls.trust else {
        step.line(
            Mark::Note,
            "no name to verify, so no roots judge the certificate",
        );
        return;
    };
    let roots = match trust.is_bundled() {
        true => "the bundled roots",
        false => "the roots of --ca-file",
    };
    if tls.faults.is_empty() {
        let text =
            format!("{roots} accept the chain, and the certificate matches the verified name");
        step.line(Mark::Ok, text);
    }
    match &tls.system_faults {
        Some(faults) if faults.is_empty() != tls.faults.is_empty() => {
            let text = match faults.first() {
                None => format!(
                    "this system's roots accept the chain, but {roots} do not; use --ca-file @system-ca"
                ),
                Some(fault) => {
                    format!("with this system's roots (HAProxy's @system-ca): {fault}")
                }
            };
            step.line(Mark::Note, text);
        }
        _ => {}
    }
}

fn without_sni(facts: &Facts, tls: &Handshakes) -> Step {
    let mut step = Step::new("TLS without SNI");
    step.milliseconds = tls.bare.seen.times.tls.map(milliseconds);
    let whose = whose(&tls.bare.seen.chain);
    let name = facts.plan.names.host.as_str();
    match (tls.sni_need(), &tls.bare.result) {
        (Some(SniNeed::Required), Err(failure)) => {
            step.line(Mark::Note, failure);
            step.line(
                Mark::Note,
                format!(
                    "SNI is required: every HAProxy check without check-sni {name} fails with \
                     \"SSL handshake failure\""
                ),
            );
        }
        (Some(SniNeed::OtherCertificate), _) if mixed::find(facts).is_some() => {
            let text = "without SNI, too, the servers behind this address answer differently";
            step.line(Mark::Note, text);
        }
        (Some(SniNeed::OtherCertificate), _) => {
            step.line(
                Mark::Note,
                format!("the server sends another certificate: {whose}"),
            );
            let text = "a check without check-sni checks another site";
            step.line(Mark::Note, text);
        }
        (Some(_), _) => step.line(
            Mark::Ok,
            "the server sends the same certificate; SNI is not needed",
        ),
        (None, Ok(_)) => step.line(
            Mark::Note,
            format!("a handshake without SNI works, with the certificate of {whose}"),
        ),
        (None, Err(failure)) => step.line(Mark::Problem, failure),
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
    if tls.speaks_http2() {
        step.line(
            Mark::Ok,
            "the server agrees to HTTP/2 (h2) if the client offers it",
        );
    }
    let (mark, text) = made_up(tls);
    step.line(mark, text);
    let attempts = [&tls.tls12, &tls.tls13, &tls.made_up];
    let slowest = attempts
        .map(|attempt| attempt.seen.times.total)
        .into_iter()
        .max();
    step.milliseconds = slowest.map(milliseconds);
    step
}

fn made_up(tls: &Handshakes) -> (Mark, String) {
    let mark = if tls.any_succeeded() {
        Mark::Ok
    } else {
        Mark::Note
    };
    let text = match (&tls.made_up.result, &tls.named.result) {
        (Ok(_), _) => format!(
            "a made-up name gets a default certificate: {}",
            whose(&tls.made_up.seen.chain)
        ),
        (Err(failure), Ok(_)) => format!("a made-up name is refused: {failure}"),
        (Err(_), Err(_)) => "a handshake with a made-up name fails, too".to_owned(),
    };
    (mark, text)
}

/// Describes the port's answer to a request without TLS.
fn plain(facts: &Facts) -> Option<Step> {
    let plain = facts.plain.as_ref()?;
    let mut step = Step::new("The same port without TLS");
    let status = plain.status;
    let text = match (facts.speaks_plain_http(), plain.wants_tls) {
        (true, _) => format!("the port answers plain HTTP: status {status}"),
        (false, true) => format!("the port is for TLS: it refuses plain HTTP with status {status}"),
        (false, false) => {
            format!("the port speaks TLS, and it answers plain HTTP too: status {status}")
        }
    };
    step.line(Mark::Note, text);
    if let Some(location) = &plain.location {
        step.line(Mark::Note, format!("redirects to {location}"));
    }
    Some(step)
}

/// Describes the request and its response, if a request was sent.
fn http(facts: &Facts) -> Option<Step> {
    let plan = &facts.plan;
    let judged = facts.code().layer() == Layer::Http;
    if (facts.answers.is_none() && !judged) || plan.handshake_only {
        return None;
    }
    let request = &plan.request;
    let mut step = Step::new(format!("HTTP {} {}", request.method, request.uri.path()));
    if let Some(answers) = &facts.answers {
        step.milliseconds = answers.took.map(milliseconds);
        answer(answers, &mut step);
        expectations(plan, answers, &mut step);
        host_line(facts.host(), answers, &mut step);
    }
    if let Some(mixed) = mixed::find(facts).filter(|mixed| !mixed.by_tls) {
        let text = format!(
            "different answers to the same request: {}; {}",
            mixed.good, mixed.bad
        );
        step.line(Mark::Problem, text);
    }
    match &facts.verdict.result {
        Ok(_) => step.line(Mark::Ok, "the check is healthy"),
        Err(failure) if judged => {
            let text = failure.to_string();
            if !step.says(&text) {
                step.line(Mark::Problem, format!("the check: {text}"));
            }
        }
        Err(_) => step.line(
            Mark::Note,
            "the check does not get this far: it ends at the TLS problem above",
        ),
    }
    Some(step)
}

fn answer(answers: &Answers, step: &mut Step) {
    if answers.withheld {
        let text = "sent without your headers and body, because the certificate is not trusted";
        step.line(Mark::Note, text);
    }
    match &answers.asked {
        Ok((response, _)) => {
            let server = response.server.as_deref().unwrap_or("(not sent)");
            let text = format!("status {}, Server: {server}", response.status);
            step.line(Mark::Ok, text);
            if let Some(location) = &response.location {
                step.line(Mark::Note, format!("redirects to {location}"));
            }
        }
        Err(failure) => step.line(Mark::Problem, failure),
    }
}

/// For each expectation, adds a line that says whether the response meets it.
fn expectations(plan: &Plan, answers: &Answers, step: &mut Step) {
    let Ok((_, of_each)) = &answers.asked else {
        return;
    };
    for (rule, unmet) in plan.request.expectations.iter().zip(of_each) {
        match unmet {
            None => step.line(Mark::Ok, format!("as expected: {rule}")),
            Some(failure) => step.line(Mark::Problem, failure),
        }
    }
}

/// Adds lines that say whether the response depends on Host.
fn host_line(configured: &str, answers: &Answers, step: &mut Step) {
    let Ok((asked, _)) = &answers.asked else {
        return;
    };
    let others = [
        ("the address as Host", answers.address_as_host.as_ref()),
        ("the SNI name as Host", answers.name_as_host.as_ref()),
    ];
    for (what, other) in others {
        let Some(other) = other else { continue };
        let other = match &other.result {
            Ok(Some(other)) if other == asked => continue,
            Ok(Some(other)) if other.status == asked.status => {
                "the response is different".to_owned()
            }
            Ok(Some(other)) => format!("the status is {}", other.status),
            Ok(None) => continue,
            Err(failure) => failure.to_string(),
        };
        let text = format!(
            "the response depends on Host: with {what} instead of \"{configured}\", {other}"
        );
        step.line(Mark::Note, text);
    }
    if answers.host_matters() == Some(false) {
        let text = "the response does not depend on Host: it is the same with the address as Host";
        step.line(Mark::Ok, text);
    }
}

/// Describes a certificate of the chain in one line.
fn describe(now: Duration, der: &CertificateDer<'_>) -> (Mark, String) {
    let Some(certificate) = Certificate::read(der) else {
        return (Mark::Problem, "unreadable".to_owned());
    };
    let Certificate {
        subject,
        issuer,
        not_before,
        not_after,
    } = &certificate;
    let (mark, left) = if now > *not_after {
        let ago = days(now - *not_after);
        (Mark::Problem, format!("expired {} ago", in_days(ago)))
    } else if now < *not_before {
        let ahead = days(*not_before - now);
        (
            Mark::Problem,
            format!("becomes valid in {}", in_days(ahead)),
        )
    } else {
        let left = certificate.days_left(now);
        (Mark::Ok, format!("{} left", in_days(left)))
    };
    let (begin, end) = (day(*not_before), day(*not_after));
    let key = Parts::read(der).map_or_else(String::new, |parts| key_type(&parts));
    let text = format!("{subject}, issued by {issuer}; {key}; {begin} to {end}, {left}");
    (mark, text)
}

/// Returns the first ten names in the server's own certificate, or the subject if the certificate has no
/// names.
fn whose(chain: &[CertificateDer<'_>]) -> String {
    const SHOWN: usize = 10;
    let Some(leaf) = chain.first() else {
        return "(none)".to_owned();
    };
    let names = probe::names(leaf);
    match Certificate::read(leaf) {
        _ if !names.is_empty() => names[..names.len().min(SHOWN)].join(", "),
        Some(certificate) => certificate.subject,
        None => "(unreadable)".to_owned(),
    }
}

/// One step of the report.
pub(super) struct Step {
    pub title: String,
    pub milliseconds: Option<f64>,
    pub lines: Vec<(Mark, String)>,
}

impl Step {
    pub fn new(title: impl Into<String>) -> Step {
        Step {
            title: title.into(),
            milliseconds: None,
            lines: Vec::new(),
        }
    }

    /// Adds a line. Escapes the text, so that a server can't forge another line.
    pub fn line(&mut self, mark: Mark, text: impl Display) {
        self.lines.push((mark, printable(&text.to_string())));
    }

    /// Returns true if a line has exactly this text.
    pub fn says(&self, text: &str) -> bool {
        let text = printable(text);
        self.lines.iter().any(|(_, line)| *line == text)
    }

    /// Returns the most serious mark of the lines.
    pub fn mark(&self) -> Mark {
        self.lines
            .iter()
            .map(|(mark, _)| *mark)
            .max()
            .unwrap_or(Mark::Ok)
    }
}
