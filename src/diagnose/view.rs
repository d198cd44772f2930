//! HAProxy's view: what each kind of check would report for this server, in HAProxy's own words.

use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::failure::Failure;

use super::attempts::Attempt;
use super::case::Case;

/// What one kind of check reports.
pub(super) struct Row {
    /// The words on the server line.
    pub check: String,
    /// HAProxy's `check_status`, with `check_code` for the external check.
    pub status: String,
    /// HAProxy's words for why, where it is not up; for the external check, the code's meaning.
    pub why: String,
}

/// The rows; none where there is no address that HAProxy could check.
pub(super) fn rows(Case { plan, evidence, .. }: Case<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    let addresses = evidence.addresses.as_ref().map_or(&[][..], Vec::as_slice);
    let reached = addresses
        .iter()
        .find(|(address, _)| Some(address) == evidence.reached.as_ref());
    if let Some((_, attempt)) = reached.or_else(|| addresses.first()) {
        rows.push(row("check", layer(attempt, "L4OK", &[])));
    }
    if let Some(tls) = &evidence.tls {
        let name = plan.names.sni.as_ref().map(|name| name.as_ref());
        let mut handshakes = vec![(String::new(), &tls.bare, &tls.bare_faults)];
        handshakes.extend(name.map(|name| {
            let words = format!(" check-sni {name}");
            (words, &tls.named, tls.haproxy_faults())
        }));
        for (words, attempt, faults) in handshakes {
            for (verify, faults) in [("none", &Vec::new()), ("required", faults)] {
                let check = format!("check ssl{words} verify {verify}");
                rows.push(row(&check, layer(attempt, "L6OK", faults)));
            }
        }
    }
    let code = evidence.verdict.code();
    let status = match code {
        Code::Healthy => "PROCOK",
        _ => "PROCERR",
    };
    rows.push(Row {
        check: "external-check with these options".to_owned(),
        status: format!("{status} {}", code.number()),
        why: code.meaning().to_owned(),
    });
    rows
}

fn row(check: &str, (status, why): (&'static str, String)) -> Row {
    Row {
        check: check.to_owned(),
        status: status.to_owned(),
        why,
    }
}

fn layer(
    attempt: &Attempt,
    good: &'static str,
    faults: &[CertificateFailure],
) -> (&'static str, String) {
    match (&attempt.result, faults) {
        (Err(failure), _) => (failure.code().haproxy_word(), words(failure)),
        (Ok(_), []) => (good, String::new()),
        (Ok(_), [CertificateFailure::OtherName { .. }, ..]) => ("L6RSP", OTHER_NAME.to_owned()),
        (Ok(_), _) => ("L6RSP", HANDSHAKE.to_owned()),
    }
}

/// HAProxy's words where chain and validity are good, but not the name.
const OTHER_NAME: &str = "Server presented an SSL certificate different from the expected one";

/// HAProxy's words for any other failed handshake, whatever the cause.
const HANDSHAKE: &str = "SSL handshake failure";

/// What HAProxy says in `last_chk`, which is empty for a time-out.
fn words(failure: &Failure) -> String {
    match failure.code().haproxy_word() {
        "L6RSP" => HANDSHAKE.to_owned(),
        "L4CON" => {
            let text = failure.to_string();
            let (first, rest) = text.split_at_checked(1).unwrap_or_default();
            first.to_uppercase() + rest
        }
        _ => String::new(),
    }
}
