//! Translates rustls's errors for operators. If OpenSSL, and therefore HAProxy, would accept the
//! message, the error is a limit of sni-check.

use rustls::{ContentType, Error, HandshakeType, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use crate::failure::Failure;

/// Returns the failure for rustls's error about the peer's messages.
pub(super) fn failure(error: &Error) -> Failure {
    match error {
        Error::PeerIncompatible(what) => incompatible(what),
        Error::PeerMisbehaved(what) => misbehaved(what),
        Error::InvalidMessage(what) => malformed(what),
        Error::PeerSentOversizedRecord => Failure::TlsViolated("a record is too long"),
        Error::DecryptError => Failure::TlsViolated("a record or Finished does not decrypt"),
        Error::InappropriateHandshakeMessage {
            got_type: HandshakeType::HelloRequest,
            ..
        } => Failure::TlsLimit("a HelloRequest during the handshake"),
        Error::InappropriateMessage {
            got_type: ContentType::ChangeCipherSpec,
            ..
        } => Failure::TlsLimit("a ChangeCipherSpec at this point"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            Failure::TlsViolated("a message that is not expected at this point")
        }
        _ => Failure::TlsLimit("a handshake that it does not support"),
    }
}

fn incompatible(what: &PeerIncompatible) -> Failure {
    match what {
        PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => Failure::OtherVersion(
            "server chose a TLS version that --ssl-min-ver or --ssl-max-ver leaves out",
        ),
        PeerIncompatible::ServerDoesNotSupportTls12Or13 => {
            Failure::OtherVersion("server chose TLS 1.1 or older")
        }
        PeerIncompatible::ServerSentHelloRetryRequestWithUnknownExtension => {
            Failure::TlsLimit("a HelloRetryRequest with an extension that it does not know")
        }
        _ => Failure::TlsLimit("the server needs something that sni-check does not offer"),
    }
}

fn misbehaved(what: &PeerMisbehaved) -> Failure {
    use PeerMisbehaved as Peer;
    let limit = match what {
        // OpenSSL ignores extensions that it doesn't know.
        Peer::UnsolicitedServerHelloExtension
        | Peer::UnsolicitedEncryptedExtension
        | Peer::UnexpectedCleartextExtension
        | Peer::UnsolicitedCertExtension
        | Peer::BadCertChainExtensions => "an extension that was not asked for",
        Peer::ServerEchoedCompatibilitySessionId => {
            "a session id that TLS 1.2 does not echo (--ssl-max-ver TLSv1.2 may help)"
        }
        Peer::SignedKxWithWrongAlgorithm => "a TLS 1.2 signature with an Ed448 or RSA-PSS-only key",
        Peer::ServerHelloMustOfferUncompressedEcPoints => "only compressed EC points",
        Peer::IllegalMiddleboxChangeCipherSpec => "more than one ChangeCipherSpec",
        Peer::MessageInterleavedWithHandshakeMessage => {
            "a record in the middle of a divided message"
        }
        _ => return Failure::TlsViolated(violated(what)),
    };
    Failure::TlsLimit(limit)
}

/// Describes a violation that OpenSSL rejects too.
fn violated(what: &PeerMisbehaved) -> &'static str {
    use PeerMisbehaved as Peer;
    match what {
        Peer::AttemptedDowngradeToTls12WhenTls13IsSupported => {
            "TLS 1.2 from a server that knows TLS 1.3 (downgrade)"
        }
        Peer::SelectedUnofferedCipherSuite
        | Peer::SelectedUnusableCipherSuiteForVersion
        | Peer::SelectedDifferentCipherSuiteAfterRetry => "a cipher that was not offered",
        Peer::SelectedUnofferedKxGroup
        | Peer::WrongGroupForKeyShare
        | Peer::IllegalHelloRetryRequestWithUnofferedNamedGroup => {
            "a key exchange that was not offered"
        }
        Peer::SelectedUnofferedApplicationProtocol => "an ALPN protocol that was not offered",
        Peer::SelectedUnofferedCompression => "a compression that was not offered",
        Peer::InvalidKeyShare | Peer::MissingKeyShare => "no valid key share",
        Peer::IllegalHelloRetryRequestWithOfferedGroup
        | Peer::IllegalHelloRetryRequestWithNoChanges
        | Peer::IllegalHelloRetryRequestWithEmptyCookie
        | Peer::IllegalHelloRetryRequestWithUnofferedCipherSuite
        | Peer::IllegalHelloRetryRequestWithUnsupportedVersion
        | Peer::IllegalHelloRetryRequestWithWrongSessionId => {
            "a HelloRetryRequest that changes nothing, or asks for something that was not offered"
        }
        Peer::DuplicateServerHelloExtensions
        | Peer::DuplicateEncryptedExtensions
        | Peer::DuplicateHelloRetryRequestExtensions => "an extension twice",
        Peer::TooManyEmptyFragments
        | Peer::TooManyWarningAlertsReceived
        | Peer::TooManyKeyUpdateRequests
        | Peer::TooManyRenegotiationRequests => "too many records without content",
        _ => "an illegal parameter",
    }
}

fn malformed(what: &InvalidMessage) -> Failure {
    match what {
        InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::CertificatePayloadTooLarge => {
            Failure::TlsLimit("more than 64 kB of certificates")
        }
        InvalidMessage::UnknownHelloRetryRequestExtension
        | InvalidMessage::UnknownCertificateExtension => {
            Failure::TlsLimit("an extension that it does not know")
        }
        InvalidMessage::InvalidCertificateStatusType => {
            Failure::TlsLimit("an OCSP response in a form that it does not know")
        }
        InvalidMessage::UnsupportedCurveType | InvalidMessage::MissingKeyExchange => {
            Failure::TlsViolated("a key exchange that was not offered")
        }
        InvalidMessage::InvalidEmptyPayload => Failure::TlsLimit("an empty record"),
        InvalidMessage::MessageTooLarge => Failure::TlsViolated("a record is too long"),
        // OpenSSL ignores the content of some extensions, and accepts some forms that rustls
        // doesn't.
        _ => Failure::TlsLimit("a message that it cannot read"),
    }
}
