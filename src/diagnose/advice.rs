//! What to do, in the order in which to do it.

use super::attempts::Plain;
use super::case::Case;
use super::certificate::{client_certificate_ended, ended, issuer_unknown, other_name};
use super::edits::RENEW;
use super::evidence::Evidence;
use super::handshakes::SniNeed;
use super::mixed::Mixed;
use super::opinion::Opinion;
use super::setup::{Setup, Way, Where};
use super::snippet::left_out;
use super::{cut, head, namesake, revocation, status, unreachable};
use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::explain;
use crate::failure::Failure;

/// What to do, and where.
pub(super) struct Advice {
    /// `None` where nothing is wrong.
    pub place: Option<Where>,
    pub sentences: Vec<String>,
}

/// What to do about what was found.
pub(super) fn advice(case: Case<'_>, opinion: &Opinion) -> Advice {
    let evidence = case.evidence;
    let setup = Setup::of(case);
    let mut sentences = Vec::new();
    let place = match (&evidence.verdict.result, evidence.failure()) {
        _ if evidence.mixed.is_some() => {
            sentences.extend(evidence.mixed.iter().map(Mixed::advice));
            Some(Where::Server)
        }
        (Ok(_), _) if case.plan.tls.verification.is_none() => {
            sentences.extend(hidden(case));
            None
        }
        (Ok(_), _) => {
            sentences.extend(own_check_differs(opinion));
            None
        }
        (Err(failure), _) if is_ours_alone(evidence, opinion) => {
            sentences.push(format!(
                "HAProxy reaches this server; sni-check does not, because: {failure}. Use HAProxy's own \
                 check, with the lines below."
            ));
            if let Failure::Status { .. } = failure {
                sentences.push(
                    "The requests differ in User-Agent and Accept, which HAProxy's own check does not send."
                        .to_owned(),
                );
            }
            Some(Where::Lines)
        }
        (Err(_), None) => {
            let remedy = evidence.remedy.iter();
            sentences.extend(remedy.flat_map(|remedy| remedy.advice.clone()));
            Some(Where::Lines)
        }
        (Err(_), Some(failure)) => {
            let remedy = evidence.remedy.iter();
            sentences.extend(remedy.flat_map(|remedy| remedy.advice.clone()));
            Some(of_failure(case, opinion, failure, &mut sentences))
        }
    };
    if evidence.verdict.result.is_err() {
        let number = evidence.code().number();
        sentences.push(format!(
            "sni-check explain {number} lists every cause, and how to confirm it."
        ));
    }
    sentences.extend(sni_advice(case));
    if opinion.builtin.is_some() {
        sentences.extend(left_out(setup.plan, setup.options));
    }
    Advice { place, sentences }
}

/// Whether HAProxy's own check is up with the very same options, where ours is not. That it does not
/// look at how long a certificate lasts is no difference, and an expired one it takes from nobody.
fn is_ours_alone(evidence: &Evidence, opinion: &Opinion) -> bool {
    let cured = evidence.remedy.as_ref();
    let cured = cured.is_some_and(|remedy| remedy.result.is_ok());
    let up = opinion.own_check().is_some_and(|row| row.up);
    let by_days = [Code::CertificateEndsSoon, Code::CertificateExpired];
    let by_traffic = head::is_too_long(evidence.failure());
    up && !cured && !by_traffic && !by_days.contains(&evidence.code())
}

/// HAProxy's own check fails where ours is healthy.
fn own_check_differs(opinion: &Opinion) -> Option<String> {
    let row = opinion.own_check().filter(|row| !row.up)?;
    let said = [row.status.as_str(), row.why.as_str()].join(" ");
    let why = match row.status.as_str() {
        _ if opinion.needs_agent => {
            "HAProxy's own check sends no User-Agent and no Accept, and the server refuses that, as \
             firewalls for web applications do; visitors bring their own. The lines below send both."
        }
        "L4CON" | "L4TOUT" | "L6RSP" | "L6TOUT" => {
            "see why below before you rely on it, because HAProxy connects for visitors as its own check \
             does."
        }
        _ => "see why below before you rely on it.",
    };
    Some(format!(
        "sni-check is UP, but HAProxy's own check is not ({}): {why}",
        said.trim_end()
    ))
}

fn of_failure(
    case: Case<'_>,
    opinion: &Opinion,
    failure: &Failure,
    sentences: &mut Vec<String>,
) -> Where {
    let evidence = case.evidence;
    let by_way = match opinion.way {
        Way::Https => None,
        Way::PlainHttp => Some(
            "This port speaks plain HTTP, without TLS: leave out ssl on the server line, as in the lines \
             below, or correct the port. sni-check checks HTTPS only (a limit of sni-check).",
        ),
        Way::OldTls => Some(
            "The server speaks only TLS 1.1 or older, or ciphers that are no longer safe, which \
             sni-check does not (a limit of sni-check): update the server. Until then HAProxy's own \
             check reaches it with the lines below, and visitors' traffic too, unsafely.",
        ),
        Way::Http2 => Some(
            "The server speaks only HTTP/2 (agreed on by ALPN, a part of the TLS handshake), which \
             sni-check does not (a limit of sni-check): use HAProxy's own check, with the lines below.",
        ),
    };
    if let Some(sentence) = by_way {
        sentences.push(sentence.to_owned());
        return Where::Lines;
    }
    if let Some((place, sentence)) = unreachable::advice(case, failure) {
        sentences.push(sentence);
        return place;
    }
    if let Some((place, more)) = cut::advice(case, failure) {
        sentences.extend(more);
        return place;
    }
    if let Some(ended) = client_certificate_ended(case, failure) {
        sentences.extend(explain::alert_of(failure));
        sentences.push(ended);
        return Where::Files;
    }
    let faults = hidden(case);
    match failure {
        Failure::Certificate(_) if !faults.is_empty() => sentences.extend(faults),
        Failure::Certificate(fault) => sentences.extend(certificate(case, fault)),
        Failure::Status { status, .. } => sentences.push(status::advice(case, *status)),
        Failure::NotTls { .. } if evidence.speaks_plain_http() => {
            let plain = evidence.plain.as_ref();
            let points = plain.is_some_and(Plain::points_to_https);
            let points = if points { " and points to HTTPS" } else { "" };
            sentences.push(format!(
                "This port speaks plain HTTP{points}: write the port of the HTTPS site on the server line, \
                 often 443."
            ));
        }
        failure if head::is_too_long(Some(failure)) => sentences.push(head::TOO_LONG.to_owned()),
        failure => {
            if let Failure::NotHttp(_) = failure {
                sentences.push(NOT_HTTP.to_owned());
            }
            sentences.extend(explain::alert_of(failure));
            let likeliest = explain::likeliest_of(failure);
            sentences.extend(likeliest.map(|(what, change)| format!("Likeliest: {what} {change}")));
        }
    }
    Where::of(failure, case)
}

/// What to do about all that is wrong with the certificate.
fn hidden(case: Case<'_>) -> Vec<String> {
    let tls = case.evidence.tls.as_ref();
    let faults = tls.map_or(&[][..], |tls| &tls.faults).iter();
    let mut advice: Vec<String> = faults.flat_map(|fault| certificate(case, fault)).collect();
    if !advice.is_empty() {
        advice.push("Keep `verify required`: `verify none` only hides this.".to_owned());
    }
    advice
}

/// The server speaks TLS, but something else within.
const NOT_HTTP: &str = "The server speaks TLS, but not HTTP/1: if that is meant to be so (mode tcp), end the \
                        check with the handshake: --handshake-only.";

/// What follows from comparing handshakes with and without SNI.
fn sni_advice(case: Case<'_>) -> Option<String> {
    let tls = case.evidence.tls.as_ref()?;
    let name = case.plan.names.sni.as_ref()?.as_ref();
    match tls.sni_need()? {
        SniNeed::Required => Some(format!(
            "This server requires SNI: `sni str({name})` for traffic is not enough, the check needs \
             `check-sni {name}` or the external check; both are below."
        )),
        SniNeed::OtherCertificate if case.evidence.mixed.is_some() => None,
        SniNeed::OtherCertificate => Some(format!(
            "Without `check-sni {name}` HAProxy's check is shown another site's certificate; the \
             lines below send it."
        )),
        SniNeed::None => None,
    }
}

fn certificate(case: Case<'_>, fault: &CertificateFailure) -> Vec<String> {
    if let Some(name) = namesake::name(case, fault) {
        return namesake::advice(case, &name);
    }
    match fault {
        CertificateFailure::Expired { subject, .. } => vec![ended(case, subject)],
        CertificateFailure::NotYetValid { .. } => {
            vec!["Set this host's clock, or install the certificate that is valid now.".to_owned()]
        }
        CertificateFailure::OtherName { wanted, presented } => other_name(case, wanted, presented),
        CertificateFailure::IssuerUnknown {
            issuer,
            below: Some(below),
            ..
        } => vec![format!(
            "Add the certificate of {issuer}, which issued {below}, to --ca-file and ca-file."
        )],
        CertificateFailure::IssuerUnknown {
            issuer,
            self_signed,
            below: None,
        } => issuer_unknown(case, issuer, *self_signed),
        CertificateFailure::Limit(_) => vec![
            "sni-check cannot judge this certificate (a limit of sni-check): use HAProxy's own check \
             (check-sni)."
                .to_owned(),
        ],
        CertificateFailure::EndsSoon { .. } => vec![RENEW.to_owned()],
        CertificateFailure::Revoked(_) => vec![revocation::REVOKED.to_owned()],
        CertificateFailure::NoValidList(_) => vec![revocation::no_valid_list(case)],
        CertificateFailure::BadSignature | CertificateFailure::Invalid(_) => {
            let (what, change) = explain::likeliest(fault.code()).unwrap_or_default();
            vec![format!("Likeliest: {what} {change}")]
        }
    }
}
