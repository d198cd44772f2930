//! The JSON object of a check.

use serde_json::{Value, json};

use super::date::{date, milliseconds, now};
use super::line::{cause, chain, response, state};
use crate::certificate::Certificate;
use crate::plan::Plan;
use crate::probe::Verdict;

/// Returns the object for `--json`, with everything that the check saw.
pub(super) fn object(plan: &Plan, verdict: &Verdict, notes: &[String]) -> Value {
    let code = verdict.code();
    let times = &verdict.seen.times;
    let tls = verdict.seen.tls.as_ref();
    json!({
        "state": state(verdict),
        "code": code.number(),
        "haproxy": plan.haproxy_word(code),
        "meaning": code.meaning(),
        "backend": plan.caller.as_ref().map(|caller| &caller.backend),
        "server": plan.caller.as_ref().map(|caller| &caller.server),
        "address": verdict.seen.address,
        "sni": plan.names.sni.as_ref().map(|name| name.as_ref()),
        "verify_host": plan.tls.verification.as_ref().map(|rules| rules.name.to_str()),
        "host": plan.names.host,
        "cause": cause(verdict),
        "notes": notes,
        "status": response(verdict).map(|response| response.status),
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

/// Returns the JSON object for a certificate of the chain.
pub(crate) fn certificate(certificate: &Certificate) -> Value {
    json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "not_before": date(certificate.not_before),
        "not_after": date(certificate.not_after),
        "days_left": certificate.days_left(now()),
    })
}
