//! The client certificate that the check and HAProxy send.

use super::cause::{Cause, Place, Trial, Weight, at};
use super::facts::Facts;
use crate::certificate::{Certificate, Parts, Uses, name};
use crate::code::Code;
use crate::failure::Failure;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "client-certificate-missing",
        shows_as: &[
            at(Code::ClientCertificate, 1),
            at(Code::Status, 7),
            at(Code::ResponseClosed, 2),
            at(Code::HandshakeClosed, 6),
        ],
        place: Place::Value,
        what: "The server requires a client certificate, and the check has no client certificate. nginx reports this with status 400 after the handshake.",
        confirm: "The check's line says certificate_required, or notes that the server asked for a client certificate.",
        change: "Get a client certificate from the server's operator. Use it with <--crt FILE (chain and key in one PEM), and with |>crt FILE on the server line.< An external check reads FILE inside HAProxy's chroot.|>",
        weigh: |facts| match facts.failure() {
            Some(Failure::ClientCertificate { sent, .. }) => Weight::Proved.when(!sent),
            Some(_) if !is_asked_and_absent(facts) => Weight::RuledOut,
            Some(Failure::ResponseClosed(_) | Failure::HandshakeClosed(_)) => Weight::Likely,
            _ => Weight::Likely.when(matches!(facts.status(), Some(400 | 401 | 403 | 495 | 496))),
        },
        ..Cause::BASE
    },
    Cause {
        id: "client-certificate-expired",
        shows_as: &[at(Code::ClientCertificate, 2), at(Code::Status, 8)],
        place: Place::Files,
        what: "The client certificate in --crt {crt} expired {client-end}.",
        confirm: "openssl x509 -enddate -in FILE",
        change: "Have the certificate renewed and put the new certificate into that file. Then reload HAProxy, which reads files only when it starts.",
        weigh: |facts| {
            Weight::Proved
                .when(is_client_certificate_refused(facts) && expired_client(facts).is_some())
        },
        ..Cause::BASE
    },
    Cause {
        id: "client-certificate-untrusted",
        shows_as: &[at(Code::ClientCertificate, 3), at(Code::Status, 9)],
        place: Place::Value,
        what: "The server refuses the client certificate< (--crt {crt})|>, because the server doesn't trust the certificate's CA or considers the certificate revoked.",
        confirm: "The alert in the check's line gives the reason. The server's log gives more detail, and so does the page that curl --cert FILE gets (nginx: `The SSL certificate error`).",
        change: "Use another certificate: <--crt FILE, and |>crt FILE on the server line. Or let the server trust this certificate's CA. {reload}",
        weigh: |facts| {
            Weight::Likely
                .when(is_client_certificate_refused(facts) && expired_client(facts).is_none())
        },
        ..Cause::BASE
    },
    Cause {
        id: "client-certificate-without-issuer",
        shows_as: &[at(Code::ClientCertificate, 5), at(Code::Status, 28)],
        place: Place::Files,
        what: "The file {crt} has only the client certificate. If {client-issuer} is an intermediate, the server can't build a chain from this certificate to a CA that the server trusts.",
        confirm: "{s-client} lists the CAs that the server trusts (Acceptable client certificate CA names), and {client-issuer} isn't among them.",
        change: "Append the certificate of {client-issuer} to that file, after the client certificate. {reload}",
        weigh: |facts| {
            let fits = expired_client(facts).is_none() && client_issuer(facts).is_some();
            Weight::Likely.when(is_client_certificate_refused(facts) && fits)
        },
        ..Cause::BASE
    },
    Cause {
        id: "client-certificate-unsuitable",
        shows_as: &[at(Code::ClientCertificate, 6), at(Code::Status, 29)],
        place: Place::Value,
        what: "The certificate in --crt {crt} isn't meant for clients: its extended key usage doesn't contain clientAuth.",
        confirm: "openssl x509 -noout -ext extendedKeyUsage -in FILE doesn't say `TLS Web Client Authentication`.",
        change: "Get a certificate with the extended key usage clientAuth. Use it with <--crt FILE, and |>crt FILE on the server line. {reload}",
        weigh: |facts| {
            let identity = facts.plan.tls.identity.as_ref();
            let leaf = identity.and_then(|identity| Parts::read(identity.cert.first()?));
            let unsuitable = leaf.is_some_and(|leaf| Uses::read(&leaf).clients == Some(false));
            Weight::Proved.when(is_client_certificate_refused(facts) && unsuitable)
        },
        ..Cause::BASE
    },
    Cause {
        id: "client-certificate-unwanted",
        shows_as: &[at(Code::ClientCertificate, 4), at(Code::Status, 25)],
        place: Place::Config,
        what: "The server refuses this client certificate, but it accepts clients without a certificate.",
        confirm: "Run the check without <--crt|crt on the server line>.",
        change: "Leave out <--crt, and |>crt on the server line.",
        weigh: |facts| {
            Weight::Possible
                .when(is_client_certificate_refused(facts) && expired_client(facts).is_none())
        },
        trials: |facts| match is_client_certificate_refused(facts) {
            true => vec![
                Trial::new(facts, |options| {
                    options.crt = None;
                    options.key = None;
                })
                .counting_progress(),
            ],
            false => Vec::new(),
        },
        ..Cause::BASE
    },
];

fn is_asked_and_absent(facts: &Facts) -> bool {
    facts.client_certificate_asked() && facts.plan.tls.identity.is_none()
}

/// Returns true if the server refuses our client certificate, with an alert or with a status.
fn is_client_certificate_refused(facts: &Facts) -> bool {
    let has = facts.plan.tls.identity.is_some();
    let by_status = matches!(facts.status(), Some(400 | 403 | 495 | 496));
    match facts.failure() {
        Some(Failure::ClientCertificate { sent, .. }) => *sent && has,
        _ => has && by_status && facts.client_certificate_asked(),
    }
}

/// Returns the issuer of the certificate in `--crt`, if the file has no other certificate and the issuer may
/// be an intermediate. The certificate itself or a root in `--ca-file` isn't an intermediate.
pub(super) fn client_issuer(facts: &Facts) -> Option<String> {
    let [leaf] = facts.plan.tls.identity.as_ref()?.cert.as_slice() else {
        return None;
    };
    let leaf = Parts::read(leaf)?;
    let rules = facts.plan.tls.verification.iter();
    let known = rules.flat_map(|rules| rules.trust.certificates());
    let mut roots = known.filter_map(|known| known.parts().filter(Parts::is_self_issued));
    let is_root = roots.any(|root| name::same(root.subject, leaf.issuer));
    (!leaf.is_self_issued() && !is_root).then(|| leaf.issuer_text())
}

/// Returns the first certificate in `--crt` that has expired.
pub(super) fn expired_client(facts: &Facts) -> Option<Certificate> {
    let identity = facts.plan.tls.identity.as_ref()?;
    let mut chain = identity.cert.iter().filter_map(Certificate::read);
    chain.find(|certificate| certificate.not_after < facts.now)
}
