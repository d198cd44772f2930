//! What to do about a certificate, in words for people who do not work with TLS every day.

use rustls::pki_types::CertificateDer;

use super::case::Case;
use crate::certificate::{Certificate, days, in_days};
use crate::failure::Failure;
use crate::output::date::{day, now};

/// A certificate has ended: which one decides who renews it.
pub(super) fn ended(case: Case<'_>, subject: &str) -> String {
    let chain = sent(case);
    let ended = |der: &CertificateDer<'_>| {
        let certificate = Certificate::read(der)?;
        (certificate.subject == subject && certificate.not_after < now()).then_some(())
    };
    match chain.iter().position(|der| ended(der).is_some()) {
        Some(0) => "The server's own certificate has ended: renew it at the server and reload the \
                    server."
            .to_owned(),
        Some(_) => format!(
            "An intermediate certificate that the server sends has ended ({subject}); its own is still \
             valid. Install the CA's current intermediate at the server (a new fullchain.pem); nothing \
             needs to be renewed."
        ),
        None => format!(
            "The CA's own certificate has ended ({subject}), which is in {} here, not at the server: \
             put the CA's current certificate there.",
            roots(case)
        ),
    }
}

/// The client certificate has ended, which is why a server refuses it: by its alert, or by a status.
pub(super) fn client_certificate_ended(case: Case<'_>, failure: &Failure) -> Option<String> {
    let identity = case.plan.tls.identity.as_ref()?;
    let refuses = matches!(
        failure,
        Failure::Status {
            status: 400 | 403 | 495 | 496,
            ..
        } | Failure::ClientCertificate { sent: true, .. }
    );
    if !refuses || !case.evidence.client_certificate_asked() {
        return None;
    }
    let mut chain = identity.cert.iter().filter_map(Certificate::read);
    let ended = chain.find(|certificate| certificate.not_after < now())?;
    let file = case.options.crt.as_deref().unwrap_or_default();
    Some(format!(
        "The client certificate in --crt {file} ended on {} ({} ago): {}. Have it renewed, put the new \
         one into that file, and reload HAProxy.",
        day(ended.not_after),
        in_days(days(now().saturating_sub(ended.not_after))),
        ended.subject
    ))
}

/// The chain that the server sends.
pub(super) fn sent<'a>(case: Case<'a>) -> &'a [CertificateDer<'static>] {
    let tls = case.evidence.tls.as_ref();
    tls.map_or(&[][..], |tls| &tls.named.seen.chain)
}

pub(super) fn roots(case: Case<'_>) -> String {
    match case.options.ca_file.as_slice() {
        [] => "the bundled roots".to_owned(),
        files => format!("--ca-file {}", files.join(", ")),
    }
}

/// The certificate is for other names.
pub(super) fn other_name(case: Case<'_>, wanted: &str, presented: &[String]) -> Vec<String> {
    let tls = case.evidence.tls.as_ref();
    let default = tls.is_some_and(|tls| tls.is_default_certificate());
    let one_label_more = presented.iter().find(|name| {
        let domain = name.strip_prefix("*.");
        let rest = domain.and_then(|domain| wanted.strip_suffix(domain));
        rest.is_some_and(|rest| rest.trim_end_matches('.').contains('.'))
    });
    let mut advice = Vec::new();
    if let Some(wildcard) = one_label_more {
        advice.push(format!(
            "{wildcard} covers one label only, so it is not for {wanted}: have a certificate issued for \
             {wanted}, too."
        ));
    } else if presented.is_empty() {
        advice.push("Have the certificate issued with subject alternative names.".to_owned());
    } else if default {
        advice.push(format!(
            "The server does not know {wanted}: it sends its default certificate, as it does for a name \
             that nobody has. Either the name is misspelled (correct --sni, and sni and check-sni on the \
             server line), or the server is not set up for {wanted} (add it there, with its own \
             certificate). Another name would make the check UP while visitors are not served."
        ));
    } else {
        advice.push(format!(
            "The server knows {wanted}, but the certificate it has for it was issued for other names: \
             have one issued for {wanted} and install it there."
        ));
    }
    advice
}

/// Nobody here knows who signed the certificate.
pub(super) fn issuer_unknown(case: Case<'_>, issuer: &str, self_signed: bool) -> Vec<String> {
    if self_signed && sent(case).len() < 2 {
        return vec![format!(
            "The certificate is self-signed: nobody but the server itself ({issuer}) vouches for it. \
             Install one of a CA; or, if it is meant to be so, copy this certificate from the server \
             into a file, trust this very one ({issuer}) with --ca-file FILE, and run this again for \
             the lines."
        )];
    }
    let full_chain = format!(
        "install the full chain at the server (fullchain.pem): the certificate of {issuer} is missing, \
         an intermediate, which links the server's own certificate to a CA that is trusted."
    );
    if !case.evidence.needs_ca_file() {
        return vec![
            format!("I{}", &full_chain[1..]),
            format!(
                "If {issuer} is not an intermediate but another CA of your own: run this again with its \
                 certificate as --ca-file FILE."
            ),
        ];
    }
    vec![
        format!(
            "{issuer} signed the certificate, and nobody here knows that signer: it is not in {}. If it \
             is your own CA, get its certificate and run this again with --ca-file FILE.",
            roots(case)
        ),
        format!("If it belongs to a public CA: {full_chain}"),
    ]
}
