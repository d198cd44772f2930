//! RSASSA-PSS with keys that may be used only for RSASSA-PSS. ring verifies the signatures.

use rustls::pki_types::alg_id::{RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::ring::{
    RSA_PSS_2048_8192_SHA256_LEGACY_KEY as PSS_SHA256,
    RSA_PSS_2048_8192_SHA384_LEGACY_KEY as PSS_SHA384,
    RSA_PSS_2048_8192_SHA512_LEGACY_KEY as PSS_SHA512,
};

/// id-RSASSA-PSS without parameters: the key may be used with every hash (RFC 4055, section 3.1).
const PSS: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]);

pub(super) static PSS_KEY_SHA256: &dyn SignatureVerificationAlgorithm = &PssKey(PSS, PSS_SHA256);
pub(super) static PSS_KEY_SHA384: &dyn SignatureVerificationAlgorithm = &PssKey(PSS, PSS_SHA384);
pub(super) static PSS_KEY_SHA512: &dyn SignatureVerificationAlgorithm = &PssKey(PSS, PSS_SHA512);
pub(super) static PSS_SHA256_KEY: &dyn SignatureVerificationAlgorithm =
    &PssKey(RSA_PSS_SHA256, PSS_SHA256);
pub(super) static PSS_SHA384_KEY: &dyn SignatureVerificationAlgorithm =
    &PssKey(RSA_PSS_SHA384, PSS_SHA384);
pub(super) static PSS_SHA512_KEY: &dyn SignatureVerificationAlgorithm =
    &PssKey(RSA_PSS_SHA512, PSS_SHA512);

/// RSASSA-PSS with a key that may be used only for RSASSA-PSS. The fields are the key's AlgorithmIdentifier,
/// and ring's algorithm for ordinary RSA keys, which verifies the signature.
#[derive(Debug)]
struct PssKey(
    AlgorithmIdentifier,
    &'static dyn SignatureVerificationAlgorithm,
);

impl SignatureVerificationAlgorithm for PssKey {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.1.signature_alg_id()
    }

    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        self.1.verify_signature(key, message, signature)
    }
}
