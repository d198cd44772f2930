//! TLS alerts: what a server says when it ends a handshake.

/// Each alert that may end a handshake (RFC 8446, section 6), and what the server means by it.
const ALERTS: [(&str, &str); 25] = [
    ("close_notify", "it ends the connection in an orderly way"),
    (
        "unexpected_message",
        "it got a message that does not belong there",
    ),
    (
        "bad_record_mac",
        "it cannot decrypt what it got: something on the way changes it, or one side is broken",
    ),
    ("record_overflow", "it got a piece that is too long"),
    (
        "handshake_failure",
        "it found nothing acceptable in the offer: version, cipher, certificate or, at some CDNs, name",
    ),
    (
        "bad_certificate",
        "it cannot read our client certificate, or its signature is wrong",
    ),
    (
        "unsupported_certificate",
        "our client certificate is of a kind that it does not take",
    ),
    ("certificate_revoked", "our client certificate is revoked"),
    ("certificate_expired", "our client certificate has expired"),
    (
        "certificate_unknown",
        "it does not accept our client certificate, and does not say why",
    ),
    ("illegal_parameter", "it got a value that it does not allow"),
    (
        "unknown_ca",
        "our client certificate is signed by a CA that it does not know",
    ),
    (
        "access_denied",
        "the certificate is good, but its owner may not connect",
    ),
    ("decode_error", "it cannot read what it got"),
    (
        "decrypt_error",
        "a signature or a check of the handshake is wrong",
    ),
    (
        "protocol_version",
        "it does not speak the TLS versions that were offered",
    ),
    (
        "insufficient_security",
        "it wants stronger ciphers than were offered",
    ),
    (
        "internal_error",
        "something failed within it, often a name without a certificate",
    ),
    (
        "inappropriate_fallback",
        "it suspects that somebody lowers the TLS version on the way",
    ),
    (
        "user_canceled",
        "somebody ended the handshake for a reason of their own",
    ),
    (
        "missing_extension",
        "it wants something that was not offered, often the name (SNI)",
    ),
    (
        "unsupported_extension",
        "it got an extension that it never asked for",
    ),
    (
        "unrecognized_name",
        "it does not know the name that was sent (SNI), or wants one",
    ),
    ("certificate_required", "it wants a client certificate"),
    (
        "no_application_protocol",
        "it speaks none of the protocols that were offered by ALPN, the part of the handshake that agrees on HTTP/1.1 or HTTP/2",
    ),
];

/// What a server means by an alert, by its name in the RFC.
pub(super) fn meaning(name: &str) -> Option<&'static str> {
    let mut alerts = ALERTS.iter();
    let found = alerts.find(|(alert, _)| alert.eq_ignore_ascii_case(name));
    found.map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::{ALERTS, meaning};
    use crate::failure::alert_name;

    #[test]
    fn alerts_have_the_names_that_a_check_prints() {
        let known = (0..=255).map(|number| alert_name(AlertDescription::from(number)));
        let known: Vec<String> = known.collect();
        for (name, _) in ALERTS {
            assert!(known.iter().any(|known| known == name), "{name}");
        }
        assert!(meaning("UNKNOWN_CA").is_some() && meaning("x").is_none());
    }
}
