//! The keys of certificates (RFC 5280, section 4.1.2.7).

use super::element::{BIT_STRING, Elements, INTEGER, OID, SEQUENCE, only};
use super::name::dotted;
use super::read::Parts;

/// Returns the length of an RSA key's modulus in bits (RFC 8017, appendix A.1.1), or `None` if it
/// isn't an RSA key. `key` is the content of a SubjectPublicKeyInfo.
pub fn rsa_bits(key: &[u8]) -> Option<usize> {
    const RSA: [&[u8]; 2] = [
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1],
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10],
    ];
    let mut elements = Elements(key);
    let algorithm = Elements(elements.expect(SEQUENCE)?).expect(OID)?;
    if !RSA.contains(&algorithm) {
        return None;
    }
    let key = elements.expect(BIT_STRING)?.strip_prefix(&[0])?;
    let modulus = Elements(only(key, SEQUENCE)?).expect(INTEGER)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

/// Returns the algorithm and size of a certificate's key in the usual form, such as `RSA 2048`.
pub fn key_type(certificate: &Parts<'_>) -> String {
    if let Some(bits) = rsa_bits(certificate.key) {
        return format!("RSA {bits}");
    }
    let algorithm = Elements(certificate.key).expect(SEQUENCE);
    let mut algorithm = Elements(algorithm.unwrap_or_default());
    let mut oid = || algorithm.expect(OID).map(dotted).unwrap_or_default();
    let name = match (oid().as_str(), oid().as_str()) {
        ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7") => "ECDSA P-256",
        ("1.2.840.10045.2.1", "1.3.132.0.34") => "ECDSA P-384",
        ("1.2.840.10045.2.1", "1.3.132.0.35") => "ECDSA P-521",
        ("1.2.840.10045.2.1", _) => "ECDSA",
        ("1.3.101.112", _) => "Ed25519",
        ("1.3.101.113", _) => "Ed448",
        _ => "other key",
    };
    name.to_owned()
}
