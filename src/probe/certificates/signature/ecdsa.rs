//! ECDSA signatures that ring doesn't support: all signatures with P-521, and signatures with P-256 or P-384
//! that use SHA-512 (RFC 5758).

use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
use ring::digest::{Algorithm as Hash, SHA256, SHA384, SHA512, digest};
use rustls::pki_types::alg_id::{ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

pub(super) static P256_SHA512: Algorithm = &Ecdsa(Curve::P256, ECDSA_SHA512, &SHA512);
pub(super) static P384_SHA512: Algorithm = &Ecdsa(Curve::P384, ECDSA_SHA512, &SHA512);
pub(super) static P521_SHA256: Algorithm = &Ecdsa(Curve::P521, ECDSA_SHA256, &SHA256);
pub(super) static P521_SHA384: Algorithm = &Ecdsa(Curve::P521, ECDSA_SHA384, &SHA384);
pub(super) static P521_SHA512: Algorithm = &Ecdsa(Curve::P521, ECDSA_SHA512, &SHA512);

macro_rules! verify {
    ($curve:ident, $key:expr, $hash:expr, $signature:expr) => {{
        use $curve::ecdsa::{Signature, VerifyingKey};
        VerifyingKey::from_sec1_bytes($key)
            .and_then(|key| key.verify_prehash($hash, &Signature::from_der($signature)?))
    }};
}

/// ECDSA on a curve with a hash. The second field identifies the algorithm.
#[derive(Debug)]
struct Ecdsa(Curve, AlgorithmIdentifier, &'static Hash);

#[derive(Clone, Copy, Debug)]
enum Curve {
    P256,
    P384,
    P521,
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.0 {
            Curve::P256 => alg_id::ECDSA_P256,
            Curve::P384 => alg_id::ECDSA_P384,
            Curve::P521 => alg_id::ECDSA_P521,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.1
    }

    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let hash = digest(self.2, message);
        let verified = match self.0 {
            Curve::P256 => verify!(p256, key, hash.as_ref(), signature),
            Curve::P384 => verify!(p384, key, hash.as_ref(), signature),
            Curve::P521 => verify!(p521, key, hash.as_ref(), signature),
        };
        verified.map_err(|_| InvalidSignature)
    }
}
