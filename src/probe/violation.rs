//! rustls's errors in an operator's words, and which of them are limits of ours: what OpenSSL, and so
//! HAProxy, would let pass.

use rustls::{ContentType, Error, HandshakeType, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use crate::failure::Failure;

/// What an error of rustls about the peer's messages means.
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
        } => Failure::TlsLimit("a HelloRequest amid the handshake"),
        Error::InappropriateMessage {
            got_type: ContentType::ChangeCipherSpec,
            ..
        } => Failure::TlsLimit("a ChangeCipherSpec at this point"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            Failure::TlsViolated("a message that is not expected at this point")
        }
        _ => Failure::TlsLimit("the handshake went where it cannot follow"),
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
        _ => Failure::TlsLimit("the server needs something that it does not offer"),
    }
}

fn misbehaved(what: &PeerMisbehaved) -> Failure {
    use PeerMisbehaved as Peer;
    let limit = match what {
        // OpenSSL passes over extensions that it does not know.
        Peer::UnsolicitedServerHelloExtension
        | Peer::UnsolicitedEncryptedExtension
        | Peer::UnexpectedCleartextExtension
        | Peer::UnsolicitedCertExtension
        | Peer::BadCertChainExtensions => "an extension that was not asked for",
        Peer::ServerEchoedCompatibilitySessionId => {
            "a session id that TLS 1.2 does not echo (--ssl-max-ver TLSv1.2 may help)"
        }
        Peer::SignedKxWithWrongAlgorithm => {
            "a TLS 1.2 signature with Ed448 or a key for RSA-PSS alone"
        }
        Peer::ServerHelloMustOfferUncompressedEcPoints => "compressed EC points alone",
        Peer::IllegalMiddleboxChangeCipherSpec => "more than one ChangeCipherSpec",
        Peer::MessageInterleavedWithHandshakeMessage => "a record amid a divided message",
        _ => return Failure::TlsViolated(violated(what)),
    };
    Failure::TlsLimit(limit)
}

/// What OpenSSL refuses as well.
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
            "a HelloRetryRequest that asks for nothing new, or for what was not offered"
        }
        Peer::DuplicateServerHelloExtensions
        | Peer::DuplicateEncryptedExtensions
        | Peer::DuplicateHelloRetryRequestExtensions => "an extension twice",
        Peer::TooManyEmptyFragments
        | Peer::TooManyWarningAlertsReceived
        | Peer::TooManyKeyUpdateRequests
        | Peer::TooManyRenegotiationRequests => "too many records that say nothing",
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
        // OpenSSL ignores the content of some extensions, and takes some forms that rustls doesn't.
        _ => Failure::TlsLimit("a message that it cannot read"),
    }
}
