//! HAProxy's view: what each kind of check would report for this server, in HAProxy's own words.

use crate::certificate::CertificateFailure;
use crate::failure::Failure;
use crate::plan::Plan;

use super::findings::{Attempt, Findings};

/// What one kind of check reports.
pub(super) struct Row {
    /// The words on the server line.
    pub check: String,
    /// HAProxy's `check_status`, with `check_code` for the external check.
    pub status: String,
    /// Why, where it is not up.
    pub why: String,
}

/// The rows; none where there is no address that HAProxy could check.
pub(super) fn rows(plan: &Plan, findings: &Findings) -> Vec<Row> {
    let mut rows = Vec::new();
    let connected = findings.addresses.as_ref().ok().and_then(|all| {
        let reached = all.iter().find(|(_, attempt)| attempt.result.is_ok());
        reached.or_else(|| all.first()).map(|(_, attempt)| attempt)
    });
    if let Some(attempt) = connected {
        rows.push(row("check", layer(attempt, "L4OK", &[])));
    }
    if let Some(tls) = &findings.tls {
        // Without a name there is none to verify: HAProxy then judges the chain alone.
        let nameless: Vec<_> = match tls.sni_needed() {
            Some("no") => tls
                .faults
                .iter()
                .filter(|fault| !matches!(fault, CertificateFailure::OtherName { .. }))
                .cloned()
                .collect(),
            _ => Vec::new(),
        };
        let bare = layer(&tls.bare, "L6OK", &[]);
        rows.push(row("check ssl verify none", bare));
        if tls.sni_needed() != Some("other certificate") {
            let bare = layer(&tls.bare, "L6OK", &nameless);
            rows.push(row("check ssl verify required", bare));
        }
        if let Some(name) = &plan.names.sni {
            let name = name.as_ref();
            let hidden = layer(&tls.named, "L6OK", &[]);
            rows.push(row(
                &format!("check ssl check-sni {name} verify none"),
                hidden,
            ));
            let named = layer(&tls.named, "L6OK", &tls.faults);
            rows.push(row(
                &format!("check ssl check-sni {name} verify required"),
                named,
            ));
        }
    }
    let code = findings.verdict.code();
    let status = if code.number() == 0 {
        "PROCOK"
    } else {
        "PROCERR"
    };
    rows.push(Row {
        check: "external-check (these options)".to_owned(),
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
    match (&attempt.result, faults.first()) {
        (Err(failure), _) => (failure.code().haproxy_word(), words(failure)),
        (Ok(_), Some(fault)) => ("L6RSP", format!("SSL handshake failure: {fault}")),
        (Ok(_), None) => (good, String::new()),
    }
}

/// HAProxy's words for a failed handshake are always these; the cause is ours to add.
fn words(failure: &Failure) -> String {
    match failure.code().haproxy_word() {
        "L6RSP" => format!("SSL handshake failure: {failure}"),
        _ => failure.to_string(),
    }
}
