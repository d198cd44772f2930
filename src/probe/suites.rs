//! ring's cipher suites with an [`Inspector`] that sees every decrypted record. rustls offers no other way to
//! see the messages of a TLS 1.3 handshake.

use std::sync::{Arc, LazyLock};

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CipherSuiteCommon, ring};
use rustls::{
    CipherSuite, ConnectionTrafficSecrets, ContentType, Error, OtherError, ProtocolVersion,
    SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

use super::client_hello::AsSent;
use super::inspect::Inspector;
use crate::failure::Failure;

/// The cipher suites. The suites with AES-128 and SHA-256 come first, as in browsers. Many processors have
/// instructions for SHA-256, but few have instructions for SHA-384. A check transfers little data, so
/// deriving keys and hashing messages cost the most.
pub(super) static SUITES: LazyLock<Vec<SupportedCipherSuite>> = LazyLock::new(|| {
    let suites = ring::DEFAULT_CIPHER_SUITES.iter();
    let mut suites: Vec<SupportedCipherSuite> = suites.map(inspected).collect();
    suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    suites
});

/// Returns a copy of a suite that inspects every record it decrypts. The copies are leaked, because
/// rustls needs suites that live as long as the process. There are only nine suites.
fn inspected(suite: &SupportedCipherSuite) -> SupportedCipherSuite {
    match suite {
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: copy(&suite.common),
                aead_alg: Box::leak(Box::new(Inspected(suite.aead_alg))),
                ..**suite
            })))
        }
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: copy(&suite.common),
                aead_alg: Box::leak(Box::new(Inspected(suite.aead_alg))),
                ..**suite
            })))
        }
    }
}

fn copy(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        hash_provider: Box::leak(Box::new(AsSent(common.hash_provider))),
        ..*common
    }
}

/// An algorithm that inspects the records it decrypts.
struct Inspected<A: ?Sized + 'static>(&'static A);

impl Tls12AeadAlgorithm for Inspected<dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv, extra)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Decrypter {
            inner: self.0.decrypter(key, iv),
            inspector: Inspector::new(false),
        })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }
}

impl Tls13AeadAlgorithm for Inspected<dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Decrypter {
            inner: self.0.decrypter(key, iv),
            inspector: Inspector::new(true),
        })
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }
}

/// Decrypts a record, then inspects it.
struct Decrypter {
    inner: Box<dyn MessageDecrypter>,
    inspector: Inspector,
}

impl MessageDecrypter for Decrypter {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        // In TLS 1.3, rustls authenticates a fixed type and version instead of the type and version of the
        // record (RFC 8446, section 5.2).
        let is_marked = message.version == ProtocolVersion::TLSv1_2
            && (!self.inspector.tls13 || message.typ == ContentType::ApplicationData);
        if !is_marked {
            let what = "an encrypted record with a wrong type or version";
            return Err(Failure::TlsViolated(what).into());
        }
        let plain = self.inner.decrypt(message, sequence)?;
        self.inspector.look(plain.typ, plain.payload)?;
        Ok(plain)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::Other(OtherError(Arc::new(failure)))
    }
}
