//! The signatures that we accept in certificates and handshakes. OpenSSL, and therefore HAProxy, accepts all
//! of them at security level 2. ring verifies the usual signatures, because rustls needs ring anyway. The
//! RustCrypto crates verify the rest.

mod ecdsa;
mod rsa;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use rustls::{DigitallySignedStruct, SignatureScheme};
use webpki::{Error, RawPublicKeyEntity, ring as usual};

use super::rules::RSA_OF_RING;
use crate::certificate::element::{BIT_STRING, Elements, INTEGER, OID, SEQUENCE, only};
use crate::certificate::{Parts, Signed, name, rsa_bits};

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
    // The ClientHello lists the schemes in this order. Most servers choose the first scheme that fits their
    // key.
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

/// OpenSSL offers this scheme, but we can't verify it. We offer it only with `--verify none`.
const UNVERIFIABLE: SignatureScheme = SignatureScheme::ED448;

/// Returns the signature schemes to offer in the ClientHello.
pub(super) fn schemes(verifies: bool) -> Vec<SignatureScheme> {
    let mut schemes = ALGORITHMS.supported_schemes();
    if !verifies {
        schemes.push(UNVERIFIABLE);
    }
    schemes
}

/// Why the signature of a handshake isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// We have no algorithm for this key or its size.
    Unsupported,
    /// We didn't offer this scheme.
    NotOffered,
    /// The signature wasn't made with this key.
    Wrong,
}

/// Verifies the signature of a handshake with the certificate's key.
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
    match by_key(algorithms, &key, message, handshake.signature()) {
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

/// An algorithm that verifies signatures.
type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Why the signature of a CA isn't accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The signature wasn't made with this key.
    Wrong,
    /// sni-check can't verify signatures of this kind. The text describes the kind.
    Unsupported(String),
}

impl Signed<'_> {
    /// Verifies that this key made the signature.
    pub(super) fn is_by(&self, key: &SubjectPublicKeyInfoDer<'_>) -> Result<(), Flaw> {
        let all = ALGORITHMS.all.iter().copied();
        let named = all.filter(|known| known.signature_alg_id().as_ref() == self.algorithm);
        match by_key(named, key, self.message, self.signature) {
            Some(true) => Ok(()),
            Some(false) => Err(match unusual_key(key.as_ref()) {
                Some(what) => Flaw::Unsupported(what.to_owned()),
                None => Flaw::Wrong,
            }),
            None => Err(Flaw::Unsupported(kind(self.algorithm, key.as_ref()))),
        }
    }
}

/// Verifies a signature with the first of these algorithms that fits the key. Returns false if the
/// key didn't make the signature, and `None` if no algorithm fits the key.
fn by_key(
    algorithms: impl Iterator<Item = Algorithm>,
    key: &SubjectPublicKeyInfoDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let key = RawPublicKeyEntity::try_from(key).ok()?;
    for algorithm in algorithms {
        match key.verify_signature(algorithm, message, signature) {
            Ok(()) => return Some(true),
            Err(Error::InvalidSignatureForPublicKey) => return Some(false),
            Err(Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Describes a key of a usual type whose form ring doesn't support. ring considers every signature with such
/// a key invalid. Returns `None` for all other keys.
fn unusual_key(key: &[u8]) -> Option<&'static str> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    const ELLIPTIC_CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const UNCOMPRESSED: u8 = 4;
    let mut elements = Elements(only(key, SEQUENCE)?);
    let algorithm = Elements(elements.expect(SEQUENCE)?).expect(OID)?;
    let key = elements.expect(BIT_STRING)?.strip_prefix(&[0])?;
    if algorithm == ELLIPTIC_CURVE && key.first() != Some(&UNCOMPRESSED) {
        return Some("a compressed key");
    }
    if algorithm.starts_with(RSA) {
        let mut numbers = Elements(only(key, SEQUENCE)?);
        let (_, exponent) = (numbers.expect(INTEGER)?, numbers.expect(INTEGER)?);
        // ring accepts exponents of 2 to 33 bits.
        if exponent.len() > 5 || exponent.len() == 5 && exponent[0] > 1 {
            return Some("an RSA key with a large exponent");
        }
    }
    None
}

/// Describes the algorithm or the key of a signature that we can't verify.
fn kind(signature: &[u8], key: &[u8]) -> String {
    let oid = |content: &mut Elements<'_>| content.expect(OID).map(name::dotted);
    let signed_by = oid(&mut Elements(signature)).unwrap_or_default();
    let mut of_key = Elements(only(key, SEQUENCE).unwrap_or_default());
    let mut algorithm = Elements(of_key.expect(SEQUENCE).unwrap_or_default());
    let kind = oid(&mut algorithm).unwrap_or_default();
    let curve = oid(&mut algorithm).unwrap_or_default();
    let what = match (signed_by.as_str(), curve.as_str()) {
        ("1.3.101.113", _) => "Ed448",
        ("1.2.840.10045.4.3.1" | "1.2.840.113549.1.1.14", _) => "SHA-224",
        ("1.2.840.113549.1.1.5" | "1.2.840.10045.4.1", _) => "SHA-1",
        ("1.2.840.113549.1.1.4", _) => "MD5",
        (_, "1.3.132.0.33") => "a key on P-224",
        (_, "1.3.132.0.10") => "a key on secp256k1",
        _ if kind == "1.2.840.10040.4.1" => "DSA",
        ("1.2.840.113549.1.1.10", _) => "unusual parameters of RSA-PSS",
        _ => {
            let what = format!("the algorithm {signed_by} and a key of {kind} {curve}");
            return what.trim_end().to_owned();
        }
    };
    what.to_owned()
}
