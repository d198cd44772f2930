//! Whether the same question got different answers: several servers behind one address, of which not
//! all are well.

use rustls::pki_types::CertificateDer;

use super::answers::Answers;
use super::handshakes::Handshakes;
use crate::certificate::{Certificate, CertificateFailure};
use crate::code::Layer;
use crate::failure::Failure;
use crate::output::date::day;
use crate::plan::Plan;
use crate::probe::Verdict;

/// One answer to the handshake or the request that the check makes.
struct View<'a> {
    chain: &'a [CertificateDer<'static>],
    fault: Option<String>,
}

/// What a good and a bad one of different answers said.
pub(super) struct Mixed {
    pub good: String,
    pub bad: String,
    /// Whether they differ in TLS, and not in HTTP.
    pub by_tls: bool,
}

impl Mixed {
    /// Looks for different answers.
    pub fn find(
        plan: &Plan,
        verdict: &Verdict,
        tls: &Handshakes,
        answers: Option<&Answers>,
    ) -> Option<Mixed> {
        let is_verified = plan.tls.verification.is_some();
        let by_tls = is_verified.then(|| by_tls(verdict, tls)).flatten();
        by_tls.or_else(|| by_http(verdict, answers?))
    }

    /// What to do.
    pub fn advice(&self) -> String {
        format!(
            "Different answers at different times: once {}; once {}. Likeliest several servers are behind \
             this address (a load balancer, a virtual IP), and one of them is not well. Diagnose each by \
             its own address, with --connect.",
            self.good, self.bad
        )
    }
}

fn by_tls(verdict: &Verdict, tls: &Handshakes) -> Option<Mixed> {
    let views = views(verdict, tls);
    let good = views.iter().find(|view| view.fault.is_none())?;
    let differs = |view: &&View<'_>| view.chain.is_empty() || view.chain != good.chain;
    let bad = views
        .iter()
        .filter(differs)
        .find_map(|view| view.fault.clone())?;
    let good = match good.chain.first().and_then(Certificate::read) {
        Some(leaf) => format!("a good certificate, valid until {}", day(leaf.not_after)),
        None => "a good handshake".to_owned(),
    };
    Some(Mixed {
        good,
        bad,
        by_tls: true,
    })
}

/// The handshakes with the name of the check.
fn views<'a>(verdict: &'a Verdict, tls: &'a Handshakes) -> Vec<View<'a>> {
    let of_verdict = match &verdict.result {
        Ok(_) => Some(None),
        Err(failure) if is_passing(failure) => None,
        Err(Failure::Certificate(CertificateFailure::EndsSoon { .. })) => Some(None),
        Err(failure @ Failure::Certificate(_)) => Some(Some(failure.to_string())),
        Err(failure) => match failure.code().layer() {
            Layer::Http => Some(None),
            // By TLS 1.3 a refusal may come after the handshake, which the others end with.
            Layer::Tls if verdict.seen.chain.is_empty() => Some(Some(failure.to_string())),
            _ => None,
        },
    };
    let mut views = Vec::new();
    views.extend(of_verdict.map(|fault| View {
        chain: &verdict.seen.chain,
        fault,
    }));
    let failure = tls.named.result.as_ref().err();
    if failure.is_none_or(|failure| !is_passing(failure)) {
        let fault = failure.map(ToString::to_string);
        views.push(View {
            chain: &tls.named.seen.chain,
            fault: fault.or_else(|| tls.faults.first().map(ToString::to_string)),
        });
    }
    // They differ in the versions that are offered.
    let others = tls.others.iter().filter(|_| failure.is_none());
    views.extend(others.map(|(chain, faults)| View {
        chain,
        fault: faults.first().map(ToString::to_string),
    }));
    views
}

fn by_http(verdict: &Verdict, answers: &Answers) -> Option<Mixed> {
    if answers.withheld {
        return None;
    }
    let status = |status: u16| format!("status {status}");
    let check = match &verdict.result {
        Ok(response) => Ok(status(response.as_ref()?.status)),
        Err(failure) if verdict.code().layer() == Layer::Http && !is_passing(failure) => {
            Err(failure)
        }
        Err(_) => return None,
    };
    let again = match &answers.asked {
        Ok((response, of_each)) => match of_each.iter().flatten().next() {
            None => Ok(status(response.status)),
            Some(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    match (check, again) {
        (Ok(good), Err(bad)) | (Err(bad), Ok(good)) if !is_passing(bad) => Some(Mixed {
            good,
            bad: bad.to_string(),
            by_tls: false,
        }),
        _ => None,
    }
}

/// What one and the same server says now and then: it is slow, or is asked too often.
fn is_passing(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::HandshakeTimeout
            | Failure::ResponseTimeout { .. }
            | Failure::Status { status: 429, .. }
    )
}
