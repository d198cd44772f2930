//! Detects several servers behind one name or address: the same check gets different answers.

use rustls::pki_types::CertificateDer;

use super::facts::{Facts, Handshakes};
use crate::certificate::{Certificate, CertificateFailure};
use crate::code::Layer;
use crate::failure::Failure;
use crate::output::date::day;

/// One answer to the check's handshake.
struct View<'a> {
    chain: &'a [CertificateDer<'static>],
    fault: Option<String>,
}

/// A good and a bad answer to the same check, in words.
pub struct Mixed {
    /// The good answer.
    pub good: String,
    /// The bad answer.
    pub bad: String,
    /// True if the answers differ in TLS, false if they differ in HTTP.
    pub by_tls: bool,
}

/// Returns a good and a bad answer, if the check got both.
pub fn find(facts: &Facts) -> Option<Mixed> {
    // After a changed check has succeeded, diagnose makes no further handshakes.
    let Some(tls) = &facts.tls else {
        return by_address(facts);
    };
    let is_verified = facts.plan.tls.verification.is_some();
    let by_tls = is_verified.then(|| by_tls(facts, tls)).flatten();
    by_tls
        .or_else(|| by_http(facts))
        .or_else(|| by_address(facts))
}

fn by_tls(facts: &Facts, tls: &Handshakes) -> Option<Mixed> {
    let views = views(facts, tls);
    let good = views.iter().find(|view| view.fault.is_none())?;
    let differs = |view: &&View<'_>| view.chain.is_empty() || view.chain != good.chain;
    let mut others = views.iter().filter(differs);
    let bad = others.find_map(|view| view.fault.clone())?;
    let good = match good.chain.first().and_then(Certificate::read) {
        Some(leaf) => format!(
            "one attempt got a good certificate, valid until {}",
            day(leaf.not_after)
        ),
        None => "one handshake succeeded".to_owned(),
    };
    Some(Mixed {
        good,
        bad: format!("another failed: {bad}"),
        by_tls: true,
    })
}

/// Returns the results of the handshakes with the check's name, if they can be compared.
fn views<'a>(facts: &'a Facts, tls: &'a Handshakes) -> Vec<View<'a>> {
    let verdict = &facts.verdict;
    let by_verdict = match &verdict.result {
        Ok(_) => Some(None),
        Err(failure) if is_temporary(failure) => None,
        Err(Failure::Certificate(CertificateFailure::ExpiresSoon { .. })) => Some(None),
        Err(failure @ Failure::Certificate(_)) => Some(Some(failure.to_string())),
        Err(failure) => match failure.code().layer() {
            Layer::Http => Some(None),
            // In TLS 1.3 a refusal may come after the handshake. The other attempts end with the
            // handshake and can't see such a refusal.
            Layer::Tls if verdict.seen.chain.is_empty() => Some(Some(failure.to_string())),
            _ => None,
        },
    };
    let mut views = Vec::new();
    views.extend(by_verdict.map(|fault| View {
        chain: &verdict.seen.chain,
        fault,
    }));
    let failure = tls.named.result.as_ref().err();
    if failure.is_none_or(|failure| !is_temporary(failure)) {
        let fault = failure.map(ToString::to_string);
        views.push(View {
            chain: &tls.named.seen.chain,
            fault: fault.or_else(|| tls.faults.first().map(ToString::to_string)),
        });
    }
    // The other handshakes differ in what they offer. Their chains count only if the check's own handshake
    // succeeded.
    let others = tls.others.iter().filter(|_| failure.is_none());
    views.extend(others.map(|(chain, faults)| View {
        chain,
        fault: faults.first().map(ToString::to_string),
    }));
    views
}

fn by_http(facts: &Facts) -> Option<Mixed> {
    let answers = facts.answers.as_ref().filter(|answers| !answers.withheld)?;
    let status = |status: u16| format!("status {status}");
    let check = match &facts.verdict.result {
        Ok(response) => Ok(status(response.as_ref()?.status)),
        Err(failure) if facts.code().layer() == Layer::Http && !is_temporary(failure) => {
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
        (Ok(good), Err(bad)) | (Err(bad), Ok(good)) if !is_temporary(bad) => Some(Mixed {
            good: format!("one attempt got {good}"),
            bad: format!("another failed: {bad}"),
            by_tls: false,
        }),
        _ => None,
    }
}

/// Compares the results of the same check at the addresses of the name.
fn by_address(facts: &Facts) -> Option<Mixed> {
    let first = (facts.reached.as_ref()?, &facts.verdict.result);
    let others = facts
        .elsewhere
        .iter()
        .map(|(address, attempt)| (address, &attempt.result));
    let all: Vec<_> = std::iter::once(first).chain(others).collect();
    let good = all.iter().find(|(_, result)| result.is_ok())?;
    let mut bad = all
        .iter()
        .filter_map(|(address, result)| Some((address, result.as_ref().err()?)));
    let (address, failure) = bad.find(|(_, failure)| !is_temporary(failure))?;
    Some(Mixed {
        good: format!("{} is healthy", good.0),
        bad: format!("{address} is not: {failure}"),
        by_tls: failure.code().layer() != Layer::Http,
    })
}

/// Returns true if a single server may fail like this now and then, because it is slow or busy.
fn is_temporary(failure: &Failure) -> bool {
    let is_slow = matches!(
        failure,
        Failure::HandshakeTimeout | Failure::ResponseTimeout { .. }
    );
    let status = failure.unexpected_status(&[]);
    is_slow || status.is_some_and(|(status, _)| status == 429)
}
