//! What to do where handshakes meet silence or are cut: what was tried refutes most causes (codes 62
//! and 64).

use super::answers::is_repeatable;
use super::attempts::Attempt;
use super::case::Case;
use super::handshakes::Handshakes;
use super::setup::Where;
use crate::failure::Failure;

/// Where that is fixed, and how; `None` for another failure.
pub(super) fn advice(case: Case<'_>, failure: &Failure) -> Option<(Where, Vec<String>)> {
    let tls = case.evidence.tls.as_ref().filter(|_| is_cut(failure))?;
    let tries = tries(case, tls);
    let words = |is: &dyn Fn(&Attempt) -> bool| {
        let found = tries.iter().filter(|(_, attempt)| is(attempt));
        found.map(|(what, _)| *what).collect::<Vec<_>>()
    };
    let alike = words(&|attempt| attempt.result.as_ref().is_err_and(is_cut));
    let refused = words(&refuses_version);
    if alike.len() + refused.len() < tries.len() {
        let answered = words(&|attempt| {
            !refuses_version(attempt) && !attempt.result.as_ref().is_err_and(is_cut)
        });
        let by_name = answered.iter().any(|what| NAMES.contains(what));
        let cause = if by_name { BY_NAME } else { BY_VERSION };
        let answered = format!(
            "Not every handshake ends so. The server answers these: {}.",
            answered.join(", ")
        );
        return Some((Where::Server, vec![answered, cause.to_owned()]));
    }
    let short = match (&case.evidence.plain, refused.first()) {
        (Some(plain), _) => Some(format!("plain HTTP, with status {}", plain.status)),
        (None, Some(version)) => Some(format!("{version}, with an alert")),
        (None, None) => None,
    };
    let (place, cause) = cause(failure, short);
    Some((place, vec![refuted(alike, case), cause]))
}

const BY_NAME: &str = "Likeliest: the server, or a firewall that inspects handshakes, does not let this name \
                       through. Correct --sni, or set the name up there.";

const BY_VERSION: &str = "Likeliest: the server, or a firewall before it, does not take what the others offer: \
                          --ssl-min-ver or --ssl-max-ver, here and on the server line. Or it answers only now \
                          and then, because it is overloaded.";

const NAMES: [&str; 2] = ["without SNI", "with another name"];

fn is_cut(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::HandshakeTimeout | Failure::HandshakeClosed(_)
    )
}

/// Whether the server says that it does not speak this version.
fn refuses_version(attempt: &Attempt) -> bool {
    matches!(attempt.result, Err(Failure::NothingInCommon(_)))
}

/// The handshakes that were made, in a few words each.
fn tries<'a>(case: Case<'_>, tls: &'a Handshakes) -> Vec<(&'static str, &'a Attempt)> {
    let named = case.plan.names.sni.as_ref();
    let named = named.map(|_| ("with SNI", &tls.named));
    let others = [
        (NAMES[0], &tls.bare),
        (NAMES[1], &tls.made_up),
        ("TLS 1.2 alone", &tls.tls12),
        ("TLS 1.3 alone", &tls.tls13),
    ];
    named.into_iter().chain(others).collect()
}

/// What was tried in vain.
fn refuted(mut alike: Vec<&str>, case: Case<'_>) -> String {
    let mut not = vec!["not the name", "not the TLS version"];
    if is_repeatable(case.plan) {
        alike.push("each PROXY header (v1, v2) and none");
        not.push("not a PROXY header");
    }
    format!(
        "All of these were tried and end likewise: {}. So it is {}.",
        alike.join(", "),
        not.join(", ")
    )
}

/// The cause that remains. `short` is what gets a short answer.
fn cause(failure: &Failure, short: Option<String>) -> (Where, String) {
    let silence = matches!(failure, Failure::HandshakeTimeout);
    match short {
        Some(short) if silence => (
            Where::Network,
            format!(
                "Likeliest: large packets are lost on the way (path MTU, a VPN). A short answer arrives (to \
                 {short}), but not the long one with the certificates. `ping -M do -s 1400 ADDRESS` fails \
                 then, while small ones pass: correct the MTU, or let ICMP pass."
            ),
        ),
        Some(short) => (
            Where::Server,
            format!(
                "Likeliest: a firewall on the way inspects the handshake and cuts it, or the server's TLS is \
                 broken: read its log. The server is there: it answers {short}."
            ),
        ),
        None => {
            let or = if silence { OR_SILENT } else { "" };
            let text = format!(
                "Likeliest: a proxy, load balancer or port-forward accepts the connection, and its own \
                 backend is down: start what is behind it, or correct where it forwards to.{or}"
            );
            (Where::Server, text)
        }
    }
}

const OR_SILENT: &str = " Or the server hangs; or large packets are lost on the way (path MTU, a VPN): `ping -M \
                         do -s 1400 ADDRESS` fails then, while small ones pass.";
