//! Whether a key made a signature, and what kind of signature can't be verified here.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{Error, RawPublicKeyEntity};

use crate::certificate::element::{BIT_STRING, Elements, INTEGER, OID, SEQUENCE, only};
use crate::certificate::name;

/// A way to verify signatures.
pub(super) type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Something that an authority has signed: a certificate, or a revocation list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// The content of the AlgorithmIdentifier of the signature.
    pub algorithm: &'a [u8],
    /// What is signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The key did not make it.
    Wrong,
    /// Nothing here verifies signatures of this kind, which the words name.
    Unsupported(String),
}

impl Signed<'_> {
    /// Whether this key made the signature.
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

/// Whether this key made this signature, by the first of these algorithms that is for such keys.
/// Returns `None` if none of them is.
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

/// What is unusual about a key of a usual kind: ring takes no signature of such a key for valid.
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
        // ring takes exponents of 2 to 33 bits.
        if exponent.len() > 5 || exponent.len() == 5 && exponent[0] > 1 {
            return Some("an RSA key with a large exponent");
        }
    }
    None
}

/// The kind of signature, in words: an algorithm or a key that nothing here verifies.
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
