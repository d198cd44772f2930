//! Verifies that a key made a signature, and describes signatures that we can't verify.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{Error, RawPublicKeyEntity};

use crate::certificate::element::{BIT_STRING, Elements, INTEGER, OID, SEQUENCE, only};
use crate::certificate::name;

/// An algorithm that verifies signatures.
pub(super) type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Data that a CA has signed: a certificate or a revocation list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// The content of the signature's AlgorithmIdentifier.
    pub algorithm: &'a [u8],
    /// The signed bytes.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Why a signature isn't accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The signature wasn't made with this key.
    Wrong,
    /// We can't verify signatures of this kind, which the text describes.
    Unsupported(String),
}

impl Signed<'_> {
    /// Verifies that this key made the signature.
    pub fn is_by(
        &self,
        key: &SubjectPublicKeyInfoDer<'_>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<(), Flaw> {
        let all = algorithms.all.iter().copied();
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
pub(super) fn by_key(
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

/// Describes a key of a usual type whose form ring doesn't support. ring considers every signature
/// with such a key invalid.
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
