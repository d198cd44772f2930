//! TLS alerts: the reasons that a server gives when it ends a handshake.

use rustls::AlertDescription;

use crate::code::Code;
use crate::failure::{Failure, Sent, alert_name};

/// The alerts with which a server may end a handshake (RFC 8446, section 6), each with its meaning.
const ALERTS: [(&str, &str); 25] = [
    (
        "close_notify",
        "the server ends the connection in an orderly way",
    ),
    (
        "unexpected_message",
        "the server got a message that it did not expect at this point",
    ),
    (
        "bad_record_mac",
        "the server cannot decrypt what the client sent: something on the network path changes the bytes, or one side has a bug",
    ),
    (
        "record_overflow",
        "the server got a record that is too long",
    ),
    (
        "handshake_failure",
        "the server accepts none of the offered TLS versions or ciphers, or it rejects the client certificate or (at some CDNs) the name",
    ),
    (
        "bad_certificate",
        "the server cannot read the client certificate, or the certificate's signature is wrong",
    ),
    (
        "unsupported_certificate",
        "the server does not accept this kind of client certificate",
    ),
    ("certificate_revoked", "the client certificate is revoked"),
    ("certificate_expired", "the client certificate has expired"),
    (
        "certificate_unknown",
        "the server does not accept the client certificate, and does not say why",
    ),
    (
        "illegal_parameter",
        "the server got a value that it does not allow",
    ),
    (
        "unknown_ca",
        "the server does not know the CA that signed the client certificate",
    ),
    (
        "access_denied",
        "the client certificate is good, but its owner isn't allowed to connect",
    ),
    (
        "decode_error",
        "the server cannot read what the client sent",
    ),
    (
        "decrypt_error",
        "a signature or a checksum of the handshake is wrong",
    ),
    (
        "protocol_version",
        "the server does not speak the offered TLS versions",
    ),
    (
        "insufficient_security",
        "the server requires stronger ciphers than the client offers",
    ),
    (
        "internal_error",
        "something failed in the server; often, the server has no certificate for the name",
    ),
    (
        "inappropriate_fallback",
        "the server suspects that something on the network path forces an older TLS version",
    ),
    (
        "user_canceled",
        "the server's operator or program canceled the handshake",
    ),
    (
        "missing_extension",
        "the server requires an extension that the client did not send, often the name (SNI)",
    ),
    (
        "unsupported_extension",
        "the server got an extension that it did not ask for",
    ),
    (
        "unrecognized_name",
        "the server does not know the name in SNI, or requires a name",
    ),
    (
        "certificate_required",
        "the server requires a client certificate",
    ),
    (
        "no_application_protocol",
        "the server speaks none of the protocols that the client offers by ALPN, the part of the handshake that chooses HTTP/1.1 or HTTP/2",
    ),
];

/// Returns the meaning of the alert that has this name in RFC 8446.
pub(super) fn meaning(name: &str) -> Option<&'static str> {
    let mut alerts = ALERTS.iter();
    let found = alerts.find(|(alert, _)| alert.eq_ignore_ascii_case(name));
    found.map(|(_, meaning)| *meaning)
}

/// Returns sni-check's exit code if a check sends SNI and its handshake ends with this alert.
pub(super) fn code(name: &str) -> Code {
    let mut all = (0..=255).map(AlertDescription::from);
    let alert = all.find(|alert| alert_name(*alert).eq_ignore_ascii_case(name));
    let name = name.to_ascii_lowercase();
    let sent = Sent {
        sni: true,
        // `unknown_ca`, and every alert with `certificate` in its name, is about the client certificate.
        certificate_asked: name.contains("certificate") || name == "unknown_ca",
        certificate: true,
    };
    alert.map_or(Code::HandshakeRefused, |alert| {
        Failure::from_alert(alert, sent).code()
    })
}

#[cfg(test)]
mod tests {
    use super::{ALERTS, AlertDescription, Code, alert_name, code, meaning};

    #[test]
    fn alerts_have_the_same_names_as_in_the_output_of_a_check() {
        let known = (0..=255).map(|number| alert_name(AlertDescription::from(number)));
        let known: Vec<String> = known.collect();
        for (name, _) in ALERTS {
            assert!(known.iter().any(|known| known == name), "{name}");
        }
        assert!(meaning("UNKNOWN_CA").is_some() && meaning("x").is_none());
    }

    #[test]
    fn code_is_that_of_a_check_that_this_alert_ends() {
        for (name, expected) in [
            ("unrecognized_name", Code::NameRefused),
            ("handshake_failure", Code::NothingInCommon),
            ("Certificate_Required", Code::ClientCertificate),
            ("unknown_ca", Code::ClientCertificate),
            ("internal_error", Code::HandshakeRefused),
        ] {
            assert_eq!(code(name), expected, "{name}");
        }
    }
}
