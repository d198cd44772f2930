//! ECDSA signatures that ring doesn't support: all signatures with P-521, and signatures with P-256 or P-384
//! that use SHA-512 (RFC 5758).

use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
use ring::digest::{SHA256, SHA384, SHA512, digest};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

pub(super) static P256_SHA512: &dyn SignatureVerificationAlgorithm =
    &Ecdsa(Curve::P256, Hash::Sha512);
pub(super) static P384_SHA512: &dyn SignatureVerificationAlgorithm =
    &Ecdsa(Curve::P384, Hash::Sha512);
pub(super) static P521_SHA256: &dyn SignatureVerificationAlgorithm =
    &Ecdsa(Curve::P521, Hash::Sha256);
pub(super) static P521_SHA384: &dyn SignatureVerificationAlgorithm =
    &Ecdsa(Curve::P521, Hash::Sha384);
pub(super) static P521_SHA512: &dyn SignatureVerificationAlgorithm =
    &Ecdsa(Curve::P521, Hash::Sha512);

macro_rules! verify {
    ($curve:ident, $key:expr, $hash:expr, $signature:expr) => {{
        use $curve::ecdsa::{Signature, VerifyingKey};
        VerifyingKey::from_sec1_bytes($key)
            .and_then(|key| key.verify_prehash($hash, &Signature::from_der($signature)?))
    }};
}

/// ECDSA on a curve with a hash.
#[derive(Debug)]
struct Ecdsa(Curve, Hash);

#[derive(Clone, Copy, Debug)]
enum Curve {
    P256,
    P384,
    P521,
}

#[derive(Clone, Copy, Debug)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
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
        match self.1 {
            Hash::Sha256 => alg_id::ECDSA_SHA256,
            Hash::Sha384 => alg_id::ECDSA_SHA384,
            Hash::Sha512 => alg_id::ECDSA_SHA512,
        }
    }

    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let hash = match self.1 {
            Hash::Sha256 => &SHA256,
            Hash::Sha384 => &SHA384,
            Hash::Sha512 => &SHA512,
        };
        let hash = digest(hash, message);
        let verified = match self.0 {
            Curve::P256 => verify!(p256, key, hash.as_ref(), signature),
            Curve::P384 => verify!(p384, key, hash.as_ref(), signature),
            Curve::P521 => verify!(p521, key, hash.as_ref(), signature),
        };
        verified.map_err(|_| InvalidSignature)
    }
}
