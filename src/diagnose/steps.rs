//! What was found out, in words, step by step.

use std::time::Duration;

use super::case::Case;
use super::evidence::Evidence;
use super::handshakes::{Handshakes, SniNeed};
use super::step::Step;
use super::{chain, http_step};
use crate::code::Code;
use crate::output::date::milliseconds;
use crate::output::mark::Mark;
use crate::plan::{Host, Plan, Target};
use crate::probe;

/// The steps, as far as the server let them come.
pub(super) fn steps(Case { plan, evidence, .. }: Case<'_>) -> Vec<Step> {
    let mut steps = vec![addresses(plan, evidence)];
    if let Some(tls) = &evidence.tls {
        steps.push(with_sni(plan, evidence, tls));
        steps.push(without_sni(plan, evidence, tls));
        steps.push(versions(tls));
    }
    steps.extend(http_step::http(plan, evidence));
    steps.extend(plain(evidence));
    steps
}

fn took(time: Option<Duration>) -> String {
    time.map_or_else(String::new, |time| {
        format!(" in {:.1} ms", milliseconds(time))
    })
}

fn addresses(plan: &Plan, evidence: &Evidence) -> Step {
    let mut step = Step::new("Addresses");
    let mut time = evidence.resolve;
    match &evidence.addresses {
        Err(failure) => step.line(Mark::Problem, failure.to_string()),
        Ok(all) => {
            let slowest = all
                .iter()
                .filter_map(|(_, attempt)| attempt.seen.times.connect);
            time += slowest.max().unwrap_or_default();
            if let Target::Tcp {
                host: Host::Name(name),
                ..
            } = &plan.target
            {
                let (count, took) = (all.len() + evidence.untried, took(Some(evidence.resolve)));
                let es = if count == 1 { "" } else { "es" };
                step.line(Mark::Ok, format!("{name} has {count} address{es}{took}"));
            }
            for (address, attempt) in all {
                let time = took(attempt.seen.times.connect);
                match &attempt.result {
                    Ok(_) => step.line(Mark::Ok, format!("{address} connected{time}")),
                    Err(why) => step.line(Mark::Problem, format!("{address} {why}{time}")),
                }
            }
            if evidence.untried > 0 {
                let text = format!("{} more addresses are not tried", evidence.untried);
                step.line(Mark::Note, text);
            }
            if let (2.., Some(reached)) = (all.len(), &evidence.reached) {
                let text = format!(
                    "what follows is about {reached}, the first that answers; HAProxy checks one address per server line"
                );
                step.line(Mark::Note, text);
            }
        }
    }
    step.milliseconds = Some(milliseconds(time));
    step
}

fn with_sni(plan: &Plan, evidence: &Evidence, tls: &Handshakes) -> Step {
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
        let offered = match plan.tls.alpn.join(",") {
            none if none.is_empty() => "none".to_owned(),
            offered => offered,
        };
        let text = format!("{version}, {cipher}, {group}; ALPN offered {offered}, chosen {alpn}");
        step.line(Mark::Ok, text);
    }
    for (depth, der) in seen.chain.iter().enumerate() {
        let (mark, text) = chain::describe(der);
        step.line(mark, format!("sent {depth}: {text}"));
    }
    if let Some(leaf) = seen.chain.first() {
        let names = match probe::names(leaf).join(", ") {
            names if names.is_empty() => "none".to_owned(),
            names => names,
        };
        step.line(Mark::Ok, format!("its names: {names}"));
        verdict(plan, tls, &mut step);
    }
    if let Some(mixed) = evidence.mixed.as_ref().filter(|mixed| mixed.by_tls) {
        let text = format!(
            "different answers to the same handshake: once {}; once {}",
            mixed.good, mixed.bad
        );
        step.line(Mark::Problem, text);
    }
    if let Err(failure) = &evidence.verdict.result
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
    let roots = match &plan.tls.verification {
        Some(rules) if !rules.trust.is_bundled() => "--ca-file",
        _ => "the bundled roots",
    };
    if tls.faults.is_empty() {
        let text = format!("the chain is good by {roots}, and it is for the name");
        step.line(Mark::Ok, text);
    }
    match &tls.system_faults {
        Some(faults) if faults.is_empty() != tls.faults.is_empty() => {
            let text = match faults.first() {
                None => format!(
                    "not so by this system's roots, which HAProxy's @system-ca is: they accept the chain \
                     that {roots} do not (--ca-file @system-ca)"
                ),
                Some(fault) => {
                    format!("by this system's roots, which HAProxy's @system-ca is: {fault}")
                }
            };
            step.line(Mark::Note, text);
        }
        _ => {}
    }
}

fn without_sni(plan: &Plan, evidence: &Evidence, tls: &Handshakes) -> Step {
    let mut step = Step::new("TLS without SNI");
    step.milliseconds = tls.bare.seen.times.tls.map(milliseconds);
    let whose = chain::whose(&tls.bare.seen.chain);
    let name = plan.names.host.as_str();
    match (tls.sni_need(), &tls.bare.result) {
        (Some(SniNeed::Required), Err(failure)) => {
            step.line(Mark::Note, failure.to_string());
            step.line(
                Mark::Note,
                format!(
                    "SNI is required: every HAProxy check without check-sni {name} fails with \
                     \"SSL handshake failure\""
                ),
            );
        }
        (Some(SniNeed::OtherCertificate), _) if evidence.mixed.is_some() => {
            let text = "the servers behind this address answer differently, too";
            step.line(Mark::Note, text);
        }
        (Some(SniNeed::OtherCertificate), _) => {
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
    if tls.speaks_http2() {
        step.line(Mark::Ok, "HTTP/2 (h2) is agreed on where it is offered");
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
            chain::whose(&tls.made_up.seen.chain)
        ),
        (Err(failure), Ok(_)) => format!("a made-up name is refused: {failure}"),
        (Err(_), Err(_)) => "a made-up name gets no further".to_owned(),
    };
    (mark, text)
}

/// What answers without TLS.
fn plain(evidence: &Evidence) -> Option<Step> {
    let plain = evidence.plain.as_ref()?;
    let mut step = Step::new("The same port without TLS");
    let status = plain.status;
    let text = match (evidence.speaks_plain_http(), plain.wants_tls) {
        (true, _) => format!("plain HTTP is answered: status {status}"),
        (false, true) => format!("the port is for TLS: it refuses plain HTTP with status {status}"),
        (false, false) => {
            format!("plain HTTP is answered, too: status {status}; the port speaks TLS")
        }
    };
    step.line(Mark::Note, text);
    if let Some(location) = &plain.location {
        step.line(Mark::Note, format!("redirects to {location}"));
    }
    Some(step)
}
