//! The signatures that we accept in certificates and handshakes. OpenSSL, and therefore HAProxy,
//! accepts the same signatures at its default security level of 2. ring verifies the usual
//! signatures, which costs no extra code. The RustCrypto crates verify the rest.

mod ecdsa;
mod rsa;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::{DigitallySignedStruct, SignatureScheme};
use webpki::ring as usual;

use super::rules::RSA_OF_RING;
use super::signed::{self, Algorithm};
use crate::certificate::{Parts, rsa_bits};

/// All algorithms. The usual algorithms come first, because each verification searches this list.
pub static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        usual::ECDSA_P256_SHA256,
        usual::ECDSA_P256_SHA384,
        usual::ECDSA_P384_SHA256,
        usual::ECDSA_P384_SHA384,
        usual::ED25519,
        usual::RSA_PKCS1_2048_8192_SHA256,
        usual::RSA_PKCS1_2048_8192_SHA384,
        usual::RSA_PKCS1_2048_8192_SHA512,
        usual::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        usual::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        usual::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        usual::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        usual::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        usual::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
        ecdsa::P256_SHA512,
        ecdsa::P384_SHA512,
        ecdsa::P521_SHA256,
        ecdsa::P521_SHA384,
        ecdsa::P521_SHA512,
        rsa::PSS_KEY_SHA256,
        rsa::PSS_KEY_SHA384,
        rsa::PSS_KEY_SHA512,
        rsa::PSS_SHA256_KEY,
        rsa::PSS_SHA384_KEY,
        rsa::PSS_SHA512_KEY,
    ],
    // The ClientHello lists the schemes in this order. Servers choose the first scheme that fits
    // their key.
    mapping: &[
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[
                usual::ECDSA_P384_SHA384,
                usual::ECDSA_P256_SHA384,
                ecdsa::P521_SHA384,
            ],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[
                usual::ECDSA_P256_SHA256,
                usual::ECDSA_P384_SHA256,
                ecdsa::P521_SHA256,
            ],
        ),
        (SignatureScheme::ED25519, &[usual::ED25519]),
        (
            SignatureScheme::RSA_PSS_SHA512,
            &[usual::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
        ),
        (
            SignatureScheme::RSA_PSS_SHA384,
            &[usual::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
        ),
        (
            SignatureScheme::RSA_PSS_SHA256,
            &[usual::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA512,
            &[usual::RSA_PKCS1_2048_8192_SHA512],
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA384,
            &[usual::RSA_PKCS1_2048_8192_SHA384],
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA256,
            &[usual::RSA_PKCS1_2048_8192_SHA256],
        ),
        (
            SignatureScheme::ECDSA_NISTP521_SHA512,
            &[ecdsa::P521_SHA512, ecdsa::P384_SHA512, ecdsa::P256_SHA512],
        ),
        (
            RSA_PSS_PSS_SHA256,
            &[rsa::PSS_KEY_SHA256, rsa::PSS_SHA256_KEY],
        ),
        (
            RSA_PSS_PSS_SHA384,
            &[rsa::PSS_KEY_SHA384, rsa::PSS_SHA384_KEY],
        ),
        (
            RSA_PSS_PSS_SHA512,
            &[rsa::PSS_KEY_SHA512, rsa::PSS_SHA512_KEY],
        ),
    ],
};

/// The schemes `rsa_pss_pss_*`, for keys that may be used only for RSASSA-PSS (RFC 8446, section
/// 4.2.3). rustls has no names for them.
const RSA_PSS_PSS_SHA256: SignatureScheme = SignatureScheme::Unknown(0x0809);
const RSA_PSS_PSS_SHA384: SignatureScheme = SignatureScheme::Unknown(0x080a);
const RSA_PSS_PSS_SHA512: SignatureScheme = SignatureScheme::Unknown(0x080b);

/// A scheme that OpenSSL offers, but that we can't verify. We offer it only with `--verify none`.
const UNVERIFIABLE: SignatureScheme = SignatureScheme::ED448;

/// Returns the signature schemes to offer in the ClientHello.
pub(super) fn schemes(verifies: bool) -> Vec<SignatureScheme> {
    let mut schemes = ALGORITHMS.supported_schemes();
    if !verifies {
        schemes.push(UNVERIFIABLE);
    }
    schemes
}

/// Why a signature isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// We have no algorithm for this key or its size.
    Unsupported,
    /// We didn't offer this scheme.
    NotOffered,
    /// The signature wasn't made with this key.
    Wrong,
}

/// Verifies a handshake's signature with the certificate's key.
pub(super) fn verify(
    tls13: bool,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    handshake: &DigitallySignedStruct,
) -> Result<(), Refused> {
    let algorithms = match candidates(tls13, handshake.scheme) {
        [] if handshake.scheme != UNVERIFIABLE => return Err(Refused::NotOffered),
        algorithms => algorithms,
    };
    let certificate = Parts::read(certificate).ok_or(Refused::Unsupported)?;
    let algorithms = algorithms.iter().copied();
    let key = certificate.key_info();
    match signed::by_key(algorithms, &key, message, handshake.signature()) {
        Some(true) => Ok(()),
        Some(false) if !has_other_size(&certificate) => Err(Refused::Wrong),
        _ => Err(Refused::Unsupported),
    }
}

/// Returns true if the key is an RSA key of a size that ring doesn't accept.
fn has_other_size(certificate: &Parts<'_>) -> bool {
    rsa_bits(certificate.key).is_some_and(|bits| !RSA_OF_RING.contains(&bits))
}

/// Returns the algorithms for a scheme. An ECDSA scheme allows any curve in TLS 1.2, but only one
/// curve in TLS 1.3 (RFC 8446, section 4.2.3).
fn candidates(tls13: bool, scheme: SignatureScheme) -> &'static [Algorithm] {
    let found = ALGORITHMS
        .mapping
        .iter()
        .find(|(named, _)| *named == scheme);
    let algorithms = found.map_or(&[][..], |(_, algorithms)| algorithms);
    let of_one_curve = matches!(
        scheme,
        SignatureScheme::ECDSA_NISTP256_SHA256
            | SignatureScheme::ECDSA_NISTP384_SHA384
            | SignatureScheme::ECDSA_NISTP521_SHA512
    );
    // TLS 1.3 allows these schemes only in certificates.
    let is_pkcs1 = matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
    );
    match tls13 {
        true if is_pkcs1 => &[],
        true if of_one_curve => &algorithms[..1],
        _ => algorithms,
    }
}
