//! The cure: what to put into haproxy.cfg, or to change at the backend.

use super::case::Case;
use super::evidence::SniNeed;
use super::snippet::{builtin, external, harmless};
use crate::certificate::CertificateFailure;
use crate::explain;

/// Advice, and two ways to write it down.
pub(super) struct Cure {
    pub advice: Vec<String>,
    /// HAProxy's own check; `None` where there is nothing to dial.
    pub builtin: Option<String>,
    /// sni-check as external check.
    pub external: Option<String>,
}

/// What cures what was found.
pub(super) fn cure(case: Case<'_>) -> Cure {
    // HAProxy refuses a server line whose name does not resolve.
    let dialled = case.evidence.addresses.is_ok();
    Cure {
        advice: advice(case),
        builtin: dialled.then(|| builtin(case)),
        external: dialled.then(|| external(case)),
    }
}

fn advice(case: Case<'_>) -> Vec<String> {
    let tls = case.evidence.tls.as_ref();
    let faults = tls.map_or(&[][..], |tls| &tls.faults);
    let mut advice: Vec<String> = faults.iter().map(certificate_advice).collect();
    if !faults.is_empty() {
        advice.push("Keep `verify required`: `verify none` only hides this.".to_owned());
    }
    if let (Err(failure), []) = (&case.evidence.verdict.result, faults) {
        let likeliest = explain::likeliest_of(failure);
        advice.extend(likeliest.map(|(what, change)| format!("Likeliest: {what} {change}")));
        let number = failure.code().number();
        advice.push(format!(
            "sni-check explain {number} has all causes, and how to confirm them."
        ));
    }
    advice.extend(sni_advice(case));
    advice.extend(left_out(case));
    advice
}

/// What follows from comparing handshakes with and without SNI.
fn sni_advice(case: Case<'_>) -> Option<String> {
    let tls = case.evidence.tls.as_ref()?;
    let name = case.plan.names.sni.as_ref()?.as_ref();
    match tls.sni_need()? {
        SniNeed::Required => Some(format!(
            "This server requires SNI: `sni str({name})` for traffic is not enough, the check needs \
             `check-sni {name}` or the external check; both are below."
        )),
        SniNeed::OtherCertificate => Some(format!(
            "Without `check-sni {name}` HAProxy's check is shown another site's certificate; the \
             lines below send it."
        )),
        SniNeed::None => None,
    }
}

/// What the lines to paste leave out or cannot say.
fn left_out(Case { plan, options, .. }: Case<'_>) -> Vec<String> {
    let headers = plan.request.headers.iter();
    let secret = headers.filter(|(name, value)| harmless(name, value).is_none());
    let mut advice: Vec<String> = secret
        .map(|(name, _)| {
            format!(
                "Put the header {name} into a file that HAProxy's user can read, or after `hdr` on \
                 the http-check send line; its value is not shown here."
            )
        })
        .collect();
    if !plan.request.body.is_empty() {
        advice.push("Add your --body; it is not shown here.".to_owned());
    }
    if options.ca_file.len() > 1 {
        advice.push("`ca-file` takes one file; put your CAs together into one.".to_owned());
    }
    if options.key.is_some() {
        advice.push("`crt` on the server line wants certificate and key in one PEM.".to_owned());
    }
    advice
}

fn certificate_advice(fault: &CertificateFailure) -> String {
    match fault {
        CertificateFailure::Expired { .. } => {
            "Renew the certificate at the backend and reload its server; nothing in haproxy.cfg \
             cures it."
                .to_owned()
        }
        CertificateFailure::NotYetValid { .. } => {
            "Set this host's clock, or install the certificate that is valid now.".to_owned()
        }
        CertificateFailure::OtherName { wanted, presented } => other_name(wanted, presented),
        CertificateFailure::IssuerUnknown {
            issuer,
            self_signed: true,
            ..
        } => format!(
            "Install a certificate of a CA, or trust this very one ({issuer}): run this again with \
             --ca-file FILE."
        ),
        CertificateFailure::IssuerUnknown {
            issuer,
            below: Some(below),
            ..
        } => format!("Add the certificate of {issuer}, which issued {below}, to --ca-file."),
        CertificateFailure::IssuerUnknown { issuer, .. } => format!(
            "Install the full chain at the backend (fullchain.pem): the certificate of {issuer} is \
             missing. If that is a CA of your own: run this again with --ca-file FILE."
        ),
        CertificateFailure::EndsSoon { .. } => "Renew the certificate now.".to_owned(),
        CertificateFailure::Invalid(_) => "Replace the certificate at the backend.".to_owned(),
        CertificateFailure::Limit(_) => {
            "Use HAProxy's own check (check-sni): sni-check cannot judge this certificate."
                .to_owned()
        }
    }
}

/// The name that was probably meant, the nearest of those that the certificate is for.
fn other_name(wanted: &str, presented: &[String]) -> String {
    let nearest = presented
        .iter()
        .min_by_key(|name| strsim::damerau_levenshtein(name, wanted));
    match nearest {
        None => "Have the certificate issued with subject alternative names.".to_owned(),
        Some(name) if name.starts_with("*.") => format!(
            "If this is the right server, use a name that {name} covers: --sni NAME. Otherwise \
             have the certificate issued for {wanted}, too."
        ),
        Some(name) => format!(
            "If this is the right server, use a name it has: --sni {name}, or --verify-host {name} \
             to go on sending {wanted}. Otherwise have the certificate issued for {wanted}, too."
        ),
    }
}
