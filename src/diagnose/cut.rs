//! What to do where handshakes meet silence or are cut: what was tried refutes most causes (codes 62
//! and 64).

use super::answers::is_repeatable;
use super::attempts::Attempt;
use super::case::Case;
use super::handshakes::Handshakes;
use super::setup::Where;
use crate::explain;
use crate::failure::Failure;

/// Where that is fixed, and how; `None` for another failure.
pub(super) fn advice(case: Case<'_>, failure: &Failure) -> Option<(Where, Vec<String>)> {
    let tls = case.evidence.tls.as_ref().filter(|_| is_cut(failure))?;
    let tries = tries(case, tls);
    let answered: Vec<&str> = tries
        .iter()
        .filter(|(_, attempt)| !attempt.result.as_ref().is_err_and(is_cut))
        .map(|(what, _)| *what)
        .collect();
    if !answered.is_empty() {
        let (what, change) = explain::likeliest_of(failure)?;
        let answered = format!(
            "Not every handshake ends so. The server answers these: {}.",
            answered.join(", ")
        );
        return Some((
            Where::Server,
            vec![answered, format!("Likeliest: {what} {change}")],
        ));
    }
    let (place, cause) = cause(case, failure);
    Some((place, vec![refuted(&tries, case), cause]))
}

fn is_cut(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::HandshakeTimeout | Failure::HandshakeClosed(_)
    )
}

/// The handshakes that were made, in a few words each.
fn tries<'a>(case: Case<'_>, tls: &'a Handshakes) -> Vec<(&'static str, &'a Attempt)> {
    let named = case
        .plan
        .names
        .sni
        .is_some()
        .then_some(("with SNI", &tls.named));
    let others = [
        ("without SNI", &tls.bare),
        ("with another name", &tls.made_up),
        ("TLS 1.2 alone", &tls.tls12),
        ("TLS 1.3 alone", &tls.tls13),
    ];
    named.into_iter().chain(others).collect()
}

/// What was tried in vain.
fn refuted(tries: &[(&str, &Attempt)], case: Case<'_>) -> String {
    let mut tried: Vec<&str> = tries.iter().map(|(what, _)| *what).collect();
    let mut not = vec!["not the name", "not the TLS version"];
    if is_repeatable(case.plan) {
        tried.push("each PROXY header (v1, v2) and none");
        not.push("not a PROXY header");
    }
    format!(
        "All of these were tried and end likewise: {}. So it is {}.",
        tried.join(", "),
        not.join(", ")
    )
}

/// The cause that remains.
fn cause(case: Case<'_>, failure: &Failure) -> (Where, String) {
    let silence = matches!(failure, Failure::HandshakeTimeout);
    match &case.evidence.plain {
        // A short answer arrives.
        Some(plain) if silence => (
            Where::Network,
            format!(
                "Likeliest: large packets are lost on the way (path MTU, a VPN). A short answer arrives, to \
                 plain HTTP (status {}), but not the long one with the certificates. `ping -M do -s 1400 \
                 ADDRESS` fails then, while small ones pass: correct the MTU, or let ICMP pass.",
                plain.status
            ),
        ),
        Some(plain) => (
            Where::Server,
            format!(
                "Likeliest: a firewall on the way inspects the handshake and cuts it, or the server's TLS is \
                 broken: read its log. The server is there, it answers plain HTTP (status {}).",
                plain.status
            ),
        ),
        None => {
            let or = match silence {
                true => {
                    " Or the server hangs; or large packets are lost on the way (path MTU, a VPN): `ping -M \
                     do -s 1400 ADDRESS` fails then, while small ones pass."
                }
                false => "",
            };
            (
                Where::Server,
                format!(
                    "Likeliest: a proxy, load balancer or port-forward accepts the connection, and its own \
                     backend is down: start what is behind it, or correct where it forwards to.{or}"
                ),
            )
        }
    }
}
