//! Reads the parts of a certificate (RFC 5280, section 4.1) without copying them, and describes its
//! key.

use rustls::pki_types::SubjectPublicKeyInfoDer;

use super::element::{
    BIT_STRING, BOOLEAN, Elements, INTEGER, OCTET_STRING, OID, SEQUENCE, each, element, only,
};
use super::{name, time};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
const DSA_WITH_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3];
const ELLIPTIC_CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];

/// A certificate that OpenSSL can read, split into its parts. Its extensions may be unreadable (see
/// [`Parts::extensions`]).
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The whole certificate.
    pub der: &'a [u8],
    /// The version. 0 means version 1.
    pub version: u8,
    /// The serial number, big-endian.
    pub serial: &'a [u8],
    /// The content of the SEQUENCE of the issuer's name.
    pub issuer: &'a [u8],
    /// The time from which the certificate is valid, in seconds since the epoch. `None` if the date can't be
    /// read.
    pub not_before: Option<i64>,
    /// The time at which the certificate expires, in seconds since the epoch. `None` if the date can't be
    /// read.
    pub not_after: Option<i64>,
    /// The content of the SEQUENCE of the subject's name.
    pub subject: &'a [u8],
    /// The content of the SubjectPublicKeyInfo.
    pub key: &'a [u8],
    /// The signature of the issuer.
    pub signed: Signed<'a>,
    /// True if the signed bytes name the same signature algorithm as the outer field.
    pub names_one_algorithm: bool,
    extensions: &'a [u8],
}

/// Data that a CA has signed: a certificate or a revocation list.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The content of the signature's AlgorithmIdentifier.
    pub algorithm: &'a [u8],
    /// The signed bytes: everything except the outer algorithm and the signature.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Reads the content of a certificate's or a list's SEQUENCE. Also returns the fields of the signed
    /// bytes.
    pub(super) fn read(content: &'a [u8]) -> Option<(Signed<'a>, Elements<'a>)> {
        let mut whole = Elements(content);
        let body = Elements(whole.expect(SEQUENCE)?);
        let message = &content[..content.len() - whole.0.len()];
        let algorithm = whole.expect(SEQUENCE)?;
        // OpenSSL also reads a signature whose last byte has unused bits, but such a signature is never
        // valid.
        let signature = whole.expect(BIT_STRING)?.strip_prefix(&[0])?;
        let signed = Signed {
            algorithm,
            message,
            signature,
        };
        whole.is_empty().then_some((signed, body))
    }
}

/// An extension.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'a> {
    /// The extension's OID, without tag and length.
    pub kind: &'a [u8],
    /// True if a verifier that doesn't know the extension must reject the certificate.
    pub critical: bool,
    /// The extension's value in DER.
    pub value: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Reads a certificate. Returns `None` if OpenSSL can't read it, or if more bytes follow.
    pub fn read(der: &'a [u8]) -> Option<Parts<'a>> {
        let (parts, rest) = Parts::read_first(der)?;
        rest.is_empty().then_some(parts)
    }

    /// Reads the certificate at the start of `bytes`. Returns the certificate and the bytes that follow it,
    /// or `None` if OpenSSL can't read the certificate.
    pub fn read_first(bytes: &'a [u8]) -> Option<(Parts<'a>, &'a [u8])> {
        let mut after = Elements(bytes);
        let (signed, mut body) = Signed::read(after.expect(SEQUENCE)?)?;
        let version = match body.expect(0xa0) {
            // A version of several bytes is unknown, whatever its value.
            Some(version) => match only(version, INTEGER)? {
                [version] => *version,
                _ => u8::MAX,
            },
            None => 0,
        };
        let serial = body.expect(INTEGER).filter(|serial| is_integer(serial))?;
        let names_one_algorithm = body.expect(SEQUENCE)? == signed.algorithm;
        let issuer = body.expect(SEQUENCE)?;
        let mut validity = Elements(body.expect(SEQUENCE)?);
        let (not_before, not_after) = (time::read(&mut validity)?, time::read(&mut validity)?);
        let subject = body.expect(SEQUENCE)?;
        let key = body.expect(SEQUENCE)?;
        // issuerUniqueID and subjectUniqueID aren't used.
        body.expect(0x81);
        body.expect(0x82);
        let extensions = match body.expect(0xa3) {
            Some(extensions) => only(extensions, SEQUENCE)?,
            None => &[],
        };
        let complete = validity.is_empty() && body.is_empty();
        let readable = complete && name::readable(issuer) && name::readable(subject);
        let length = bytes.len() - after.0.len();
        let parts = Parts {
            der: &bytes[..length],
            version,
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            key,
            signed,
            names_one_algorithm,
            extensions,
        };
        readable.then_some((parts, after.0))
    }

    /// Returns the SubjectPublicKeyInfo.
    pub fn key_info(&self) -> SubjectPublicKeyInfoDer<'static> {
        element(SEQUENCE, self.key).into()
    }

    /// Returns the extensions. An extension that OpenSSL can't read yields `None` and ends the
    /// iteration.
    pub fn extensions(&self) -> impl Iterator<Item = Option<Extension<'a>>> + use<'a> {
        each(self.extensions, Extension::next)
    }

    /// Returns the value of the first extension with this OID. Ignores the first unreadable extension and all
    /// extensions after it. Returns `None` if no other extension has the OID.
    pub fn extension(&self, kind: &[u8]) -> Option<&'a [u8]> {
        let mut extensions = self.extensions().map_while(|extension| extension);
        let found = extensions.find(|extension| extension.kind == kind);
        found.map(|extension| extension.value)
    }

    /// Returns true if the certificate names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        name::same(self.subject, self.issuer)
    }

    /// Returns true if this type of key makes this type of signature. `signature` is the content of
    /// the signature's AlgorithmIdentifier.
    pub fn key_signs(&self, signature: &[u8]) -> bool {
        let key = Elements(self.key).expect(SEQUENCE);
        let key = key.and_then(|algorithm| Elements(algorithm).expect(OID));
        match (key, Elements(signature).expect(OID)) {
            (Some(RSA), Some([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2..=5 | 10..=16])) => true,
            (Some(RSA_PSS), Some(RSA_PSS)) => true,
            (Some(ELLIPTIC_CURVE), Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 4, ..])) => true,
            (Some(DSA), Some(DSA_WITH_SHA1 | [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 1..=8])) => true,
            // Ed25519 and Ed448 each use one OID for both the key and the signature.
            (Some(key @ [0x2b, 0x65, ..]), Some(signature)) => key == signature,
            _ => false,
        }
    }

    /// Returns the issuer's name as text, in the style of RFC 4514.
    pub fn issuer_text(&self) -> String {
        name::text(self.issuer)
    }

    /// Returns the subject's name as text, in the style of RFC 4514.
    pub fn subject_text(&self) -> String {
        name::text(self.subject)
    }
}

impl<'a> Extension<'a> {
    /// Reads all extensions. Returns `None` if OpenSSL can't read one of them.
    pub fn all(content: &'a [u8]) -> Option<Vec<Extension<'a>>> {
        each(content, Extension::next).collect()
    }

    /// Reads the next extension. Returns `None` if OpenSSL can't read it.
    fn next(elements: &mut Elements<'a>) -> Option<Extension<'a>> {
        let mut elements = Elements(elements.expect(SEQUENCE)?);
        let kind = elements.expect(OID)?;
        let critical = elements.flag(BOOLEAN)?;
        let value = elements.expect(OCTET_STRING)?;
        elements.is_empty().then_some(Extension {
            kind,
            critical,
            value,
        })
    }
}

/// Returns true if these bytes are the content of an INTEGER: not empty, and without superfluous
/// leading bytes (X.690, section 8.3.2).
pub fn is_integer(bytes: &[u8]) -> bool {
    match bytes {
        [] => false,
        [0, second, ..] => second & 0x80 != 0,
        [0xff, second, ..] => second & 0x80 == 0,
        _ => true,
    }
}

/// Returns the length of an RSA key's modulus in bits (RFC 8017, appendix A.1.1). Returns `None` if the key
/// isn't an RSA key or can't be read. `key` is the content of a SubjectPublicKeyInfo.
pub fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut elements = Elements(key);
    let algorithm = Elements(elements.expect(SEQUENCE)?).expect(OID)?;
    if ![RSA, RSA_PSS].contains(&algorithm) {
        return None;
    }
    let key = elements.expect(BIT_STRING)?.strip_prefix(&[0])?;
    let modulus = Elements(only(key, SEQUENCE)?).expect(INTEGER)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

/// Returns the algorithm and size of a certificate's key in the usual form, such as `RSA 2048`. Returns
/// `other key` if the key isn't RSA, ECDSA, Ed25519 or Ed448, or if an RSA key can't be read.
pub fn key_type(certificate: &Parts<'_>) -> String {
    if let Some(bits) = rsa_bits(certificate.key) {
        return format!("RSA {bits}");
    }
    let algorithm = Elements(certificate.key).expect(SEQUENCE);
    let mut algorithm = Elements(algorithm.unwrap_or_default());
    let mut oid = || algorithm.expect(OID).map(name::dotted).unwrap_or_default();
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
