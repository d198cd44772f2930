//! Certificates as bytes: also those that no library would make.

use std::io::Write as _;
use std::process::Stdio;

use rcgen::{KeyPair, SigningKey as _};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use crate::support::folder::Folder;
use crate::support::program;

/// One element of DER.
pub fn tlv(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        0x100..0x1_0000 => out.extend([0x82, (length >> 8) as u8, length as u8]),
        _ => out.extend([
            0x83,
            (length >> 16) as u8,
            (length >> 8) as u8,
            length as u8,
        ]),
    }
    out.extend(content);
    out
}

pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
pub const OCTETS: u8 = 4;
pub const UTF8: u8 = 12;
pub const PRINTABLE: u8 = 19;
pub const TELETEX: u8 = 20;
pub const IA5: u8 = 22;
pub const UNIVERSAL: u8 = 28;
pub const BMP: u8 = 30;

pub fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs = dotted
        .split('.')
        .map(|arc| arc.parse::<u32>().expect("a number"));
    let first = arcs.next().expect("an arc") * 40 + arcs.next().expect("an arc");
    let mut content = Vec::new();
    for arc in std::iter::once(first).chain(arcs) {
        let mut bytes = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        content.extend(bytes.iter().rev());
    }
    tlv(6, &[&content])
}

/// A distinguished name of these attributes: OID, string type, bytes.
pub fn name(attributes: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = attributes
        .iter()
        .map(|(attribute, tag, text)| {
            let pair = tlv(SEQUENCE, &[&oid(attribute), &tlv(*tag, &[text])]);
            tlv(SET, &[&pair])
        })
        .collect();
    tlv(SEQUENCE, &[&parts.concat()])
}

pub const CN: &str = "2.5.4.3";
pub const O: &str = "2.5.4.10";

/// A name that is a common name alone.
pub fn cn(text: &str) -> Vec<u8> {
    name(&[(CN, UTF8, text.as_bytes())])
}

/// As in a BMPString.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// As in a UniversalString.
pub fn utf32(text: &str) -> Vec<u8> {
    text.chars()
        .flat_map(|c| u32::from(c).to_be_bytes())
        .collect()
}

/// A signature algorithm, and how OpenSSL is told to sign with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Ecdsa(&'static str),
    Rsa(&'static str),
    /// With a salt as long as the hash.
    Pss(&'static str),
    Ed25519,
    Ed448,
}

impl Algorithm {
    fn identifier(self) -> Vec<u8> {
        let (dotted, null) = match self {
            Algorithm::Ecdsa("sha1") => ("1.2.840.10045.4.1", false),
            Algorithm::Ecdsa("sha224") => ("1.2.840.10045.4.3.1", false),
            Algorithm::Ecdsa("sha256") => ("1.2.840.10045.4.3.2", false),
            Algorithm::Ecdsa("sha384") => ("1.2.840.10045.4.3.3", false),
            Algorithm::Ecdsa("sha512") => ("1.2.840.10045.4.3.4", false),
            Algorithm::Rsa("md5") => ("1.2.840.113549.1.1.4", true),
            Algorithm::Rsa("sha1") => ("1.2.840.113549.1.1.5", true),
            Algorithm::Rsa("sha224") => ("1.2.840.113549.1.1.14", true),
            Algorithm::Rsa("sha256") => ("1.2.840.113549.1.1.11", true),
            Algorithm::Rsa("sha384") => ("1.2.840.113549.1.1.12", true),
            Algorithm::Rsa("sha512") => ("1.2.840.113549.1.1.13", true),
            Algorithm::Ed25519 => ("1.3.101.112", false),
            Algorithm::Ed448 => ("1.3.101.113", false),
            Algorithm::Pss(hash) => return pss(hash),
            other => panic!("{other:?} has no identifier here"),
        };
        let parameters = if null { tlv(5, &[]) } else { Vec::new() };
        tlv(SEQUENCE, &[&oid(dotted), &parameters])
    }
}

/// RFC 4055, section 3.1.
fn pss(hash: &str) -> Vec<u8> {
    let (dotted, salt) = match hash {
        "sha256" => ("2.16.840.1.101.3.4.2.1", 32),
        "sha384" => ("2.16.840.1.101.3.4.2.2", 48),
        "sha512" => ("2.16.840.1.101.3.4.2.3", 64),
        other => panic!("{other}"),
    };
    let hash = tlv(SEQUENCE, &[&oid(dotted), &tlv(5, &[])]);
    let mask = tlv(SEQUENCE, &[&oid("1.2.840.113549.1.1.8"), &hash]);
    let parameters = tlv(
        SEQUENCE,
        &[
            &tlv(0xa0, &[&hash]),
            &tlv(0xa1, &[&mask]),
            &tlv(0xa2, &[&tlv(2, &[&[salt]])]),
        ],
    );
    tlv(SEQUENCE, &[&oid("1.2.840.113549.1.1.10"), &parameters])
}

/// A key, which signs in this process if it is P-256, else by OpenSSL.
pub struct Key {
    pub pem: String,
    pub spki: Vec<u8>,
    pub algorithm: Algorithm,
    pub quick: Option<KeyPair>,
}

impl Key {
    /// On P-256.
    pub fn new() -> Key {
        let key = KeyPair::generate().expect("a key");
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(key.public_key_pem().as_bytes());
        Key {
            pem: key.serialize_pem(),
            spki: spki.expect("a public key").to_vec(),
            algorithm: Algorithm::Ecdsa("sha256"),
            quick: Some(key),
        }
    }

    /// By `openssl genpkey` with these words, signing like this unless told otherwise.
    pub fn made(words: &[&str], algorithm: Algorithm) -> Key {
        let made = program("openssl")
            .args(["genpkey", "-quiet", "-algorithm"])
            .args(words)
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{words:?}: {made:?}");
        let pem = String::from_utf8(made.stdout).expect("PEM");
        let spki = openssl(&["pkey", "-pubout", "-outform", "DER"], pem.as_bytes());
        Key {
            pem,
            spki,
            algorithm,
            quick: None,
        }
    }

    /// An RSA key of so many bits.
    pub fn rsa(bits: u32) -> Key {
        let size = format!("rsa_keygen_bits:{bits}");
        Key::made(&["RSA", "-pkeyopt", &size], Algorithm::Rsa("sha256"))
    }

    /// A key on another curve.
    pub fn curve(curve: &str, hash: &'static str) -> Key {
        let curve = format!("ec_paramgen_curve:{curve}");
        Key::made(&["EC", "-pkeyopt", &curve], Algorithm::Ecdsa(hash))
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        if let (Some(key), Algorithm::Ecdsa("sha256")) = (&self.quick, algorithm) {
            return key.sign(message).expect("a signature");
        }
        let folder = Folder::new();
        let key = folder.file("key", &self.pem);
        let hash = |hash| format!("-{hash}");
        match algorithm {
            Algorithm::Ecdsa(name) | Algorithm::Rsa(name) => {
                openssl(&["dgst", &hash(name), "-sign", &key], message)
            }
            Algorithm::Pss(name) => {
                let padding = "rsa_padding_mode:pss";
                let salt = "rsa_pss_saltlen:digest";
                let options = ["-sigopt", padding, "-sigopt", salt];
                let hash = hash(name);
                let words = [&["dgst", &hash, "-sign", &key][..], &options].concat();
                openssl(&words, message)
            }
            Algorithm::Ed25519 | Algorithm::Ed448 => {
                let path = folder.join("message");
                std::fs::write(&path, message).expect("a file");
                let words = ["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-in", &path];
                openssl(&words, b"")
            }
        }
    }
}

/// What OpenSSL prints, given this as its input.
pub fn openssl(words: &[&str], input: &[u8]) -> Vec<u8> {
    let mut process = program("openssl")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut stdin = process.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "openssl {words:?}");
    output.stdout
}

/// An extension of a certificate.
pub fn extension(dotted: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical {
        tlv(1, &[&[0xff]])
    } else {
        Vec::new()
    };
    tlv(SEQUENCE, &[&oid(dotted), &critical, &tlv(OCTETS, &[value])])
}

/// basicConstraints (RFC 5280, section 4.2.1.9), critical.
pub fn basic(ca: bool, path_length: Option<u8>) -> Vec<u8> {
    let ca = if ca { tlv(1, &[&[0xff]]) } else { Vec::new() };
    let length = path_length.map_or_else(Vec::new, |length| tlv(2, &[&[length]]));
    extension("2.5.29.19", true, &tlv(SEQUENCE, &[&ca, &length]))
}

pub const DIGITAL_SIGNATURE: u16 = 0x8000;
pub const NON_REPUDIATION: u16 = 0x4000;
pub const KEY_ENCIPHERMENT: u16 = 0x2000;
pub const DATA_ENCIPHERMENT: u16 = 0x1000;
pub const KEY_AGREEMENT: u16 = 0x0800;
pub const KEY_CERT_SIGN: u16 = 0x0400;
pub const CRL_SIGN: u16 = 0x0200;
pub const ENCIPHER_ONLY: u16 = 0x0100;

/// keyUsage (RFC 5280, section 4.2.1.3), critical.
pub fn key_usage(bits: u16) -> Vec<u8> {
    let bytes = match bits & 0xff {
        0 => vec![(bits >> 8) as u8],
        low => vec![(bits >> 8) as u8, low as u8],
    };
    let unused = bytes.last().map_or(0, |last| last.trailing_zeros().min(7)) as u8;
    extension("2.5.29.15", true, &tlv(3, &[&[unused], &bytes]))
}

pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub const ANY_USAGE: &str = "2.5.29.37.0";

/// extKeyUsage (RFC 5280, section 4.2.1.12).
pub fn extended_usage(usages: &[&str], critical: bool) -> Vec<u8> {
    let usages: Vec<Vec<u8>> = usages.iter().map(|usage| oid(usage)).collect();
    extension("2.5.29.37", critical, &tlv(SEQUENCE, &[&usages.concat()]))
}

/// subjectAltName of these entries: their tag's number and content.
pub fn alternative_names(entries: &[(u8, &[u8])]) -> Vec<u8> {
    let entries: Vec<Vec<u8>> = entries
        .iter()
        .map(|(number, content)| {
            let constructed = if [0, 3, 4, 5].contains(number) {
                0x20
            } else {
                0
            };
            tlv(0x80 | constructed | number, &[content])
        })
        .collect();
    extension("2.5.29.17", false, &tlv(SEQUENCE, &[&entries.concat()]))
}

/// subjectAltName of these DNS names.
pub fn dns(names: &[&str]) -> Vec<u8> {
    let entries: Vec<(u8, &[u8])> = names.iter().map(|name| (2, name.as_bytes())).collect();
    alternative_names(&entries)
}

/// A time so many days from now, as UTCTime.
pub fn days(from_now: i64) -> Vec<u8> {
    let time = time::OffsetDateTime::now_utc() + time::Duration::days(from_now);
    let text = format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}Z",
        time.year() % 100,
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    tlv(23, &[text.as_bytes()])
}

/// GeneralizedTime.
pub fn generalized(text: &str) -> Vec<u8> {
    tlv(24, &[text.as_bytes()])
}

/// A certificate to be.
#[derive(Clone)]
pub struct Draft {
    /// 0 is version 1, which has no field for it.
    pub version: u8,
    pub serial: Vec<u8>,
    pub subject: Vec<u8>,
    pub not_before: Vec<u8>,
    pub not_after: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
    /// Another name for the issuer than its own.
    pub issuer: Option<Vec<u8>>,
    /// Another algorithm than the issuer's key has by itself.
    pub algorithm: Option<Algorithm>,
}

impl Draft {
    /// A version 3 certificate without extensions.
    pub fn new(subject: Vec<u8>) -> Draft {
        Draft {
            version: 2,
            serial: vec![1, 2, 3],
            subject,
            not_before: days(-100),
            not_after: days(100),
            extensions: Vec::new(),
            issuer: None,
            algorithm: None,
        }
    }

    /// A CA's.
    pub fn ca(name: &str) -> Draft {
        Draft::new(cn(name))
            .with(basic(true, None))
            .with(key_usage(KEY_CERT_SIGN | CRL_SIGN))
    }

    /// A server's, for these DNS names.
    pub fn leaf(names: &[&str]) -> Draft {
        Draft::new(cn("a server")).with(dns(names))
    }

    /// With this extension in place of one of its kind, if there is one.
    pub fn with(mut self, extension: Vec<u8>) -> Draft {
        // SEQUENCE, one byte of length or two more, and the OID's own length.
        let kind = |extension: &[u8]| {
            let start = extension
                .iter()
                .position(|byte| *byte == 6)
                .expect("an OID");
            let end = start + 2 + usize::from(extension[start + 1]);
            extension[start..end].to_vec()
        };
        self.extensions.retain(|old| kind(old) != kind(&extension));
        self.extensions.push(extension);
        self
    }

    /// Valid between these.
    pub fn between(mut self, not_before: Vec<u8>, not_after: Vec<u8>) -> Draft {
        self.not_before = not_before;
        self.not_after = not_after;
        self
    }

    /// The certificate for this key, DER, issued by this name and key.
    fn sign(&self, key: &Key, issuer_name: &[u8], issuer_key: &Key) -> Vec<u8> {
        let algorithm = self.algorithm.unwrap_or(issuer_key.algorithm);
        let identifier = algorithm.identifier();
        let version = match self.version {
            0 => Vec::new(),
            version => tlv(0xa0, &[&tlv(2, &[&[version]])]),
        };
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => tlv(0xa3, &[&tlv(SEQUENCE, &[&self.extensions.concat()])]),
        };
        let body = tlv(
            SEQUENCE,
            &[
                &version,
                &tlv(2, &[&self.serial]),
                &identifier,
                self.issuer.as_deref().unwrap_or(issuer_name),
                &tlv(SEQUENCE, &[&self.not_before, &self.not_after]),
                &self.subject,
                &key.spki,
                &extensions,
            ],
        );
        let signature = issuer_key.sign(algorithm, &body);
        tlv(
            SEQUENCE,
            &[&body, &identifier, &tlv(3, &[&[0], &signature])],
        )
    }

    /// Issued by itself.
    pub fn self_signed(self, key: Key) -> Authority {
        let der = self.sign(&key, &self.subject, &key);
        Authority {
            name: self.subject,
            key,
            der,
        }
    }
}

/// A certificate with its key: an authority, or a server.
pub struct Authority {
    pub name: Vec<u8>,
    pub key: Key,
    pub der: Vec<u8>,
}

impl Authority {
    /// A root as they usually are.
    pub fn root(name: &str) -> Authority {
        Draft::ca(name).self_signed(Key::new())
    }

    /// Issues a certificate to a key of its own.
    pub fn issue(&self, draft: Draft) -> Authority {
        self.issue_to(draft, Key::new())
    }

    /// Issues a certificate to this key.
    pub fn issue_to(&self, draft: Draft, key: Key) -> Authority {
        let der = draft.sign(&key, &self.name, &self.key);
        Authority {
            name: draft.subject,
            key,
            der,
        }
    }

    /// Another certificate for a key that has one: only its bytes.
    pub fn certify(&self, draft: &Draft, key: &Key) -> Vec<u8> {
        draft.sign(key, &self.name, &self.key)
    }

    /// Its own certificate made again, as when it is renewed: only its bytes.
    pub fn renewed(&self, draft: &Draft) -> Vec<u8> {
        draft.sign(&self.key, &self.name, &self.key)
    }
}

/// A revocation list to be (RFC 5280, section 5.1).
pub struct List {
    /// `None` is version 1.
    pub version: Option<u8>,
    pub this_update: Vec<u8>,
    pub next_update: Option<Vec<u8>>,
    /// Serial numbers.
    pub revoked: Vec<u8>,
    /// Why those are revoked.
    pub reason: Option<u8>,
    pub extensions: Vec<Vec<u8>>,
}

impl List {
    pub fn new(revoked: &[u8]) -> List {
        List {
            version: Some(1),
            this_update: days(-3),
            next_update: Some(days(30)),
            revoked: revoked.to_vec(),
            reason: None,
            extensions: vec![extension("2.5.29.20", false, &[2, 1, 1])],
        }
    }
}

impl Authority {
    /// Signs a revocation list: its bytes.
    pub fn revoke(&self, list: &List) -> Vec<u8> {
        let identifier = self.key.algorithm.identifier();
        let reason = list.reason.map_or_else(Vec::new, |reason| {
            let reason = extension("2.5.29.21", false, &[10, 1, reason]);
            tlv(SEQUENCE, &[&reason])
        });
        let entry = |serial: &u8| tlv(SEQUENCE, &[&tlv(2, &[&[*serial]]), &days(-3), &reason]);
        let entries: Vec<Vec<u8>> = list.revoked.iter().map(entry).collect();
        let entries = match entries.is_empty() {
            true => Vec::new(),
            false => tlv(SEQUENCE, &[&entries.concat()]),
        };
        let extensions = match list.extensions.is_empty() {
            true => Vec::new(),
            false => tlv(0xa0, &[&tlv(SEQUENCE, &[&list.extensions.concat()])]),
        };
        let version = list
            .version
            .map_or_else(Vec::new, |version| tlv(2, &[&[version]]));
        let body = tlv(
            SEQUENCE,
            &[
                &version,
                &identifier,
                &self.name,
                &list.this_update,
                list.next_update.as_deref().unwrap_or_default(),
                &entries,
                &extensions,
            ],
        );
        let signature = self.key.sign(self.key.algorithm, &body);
        tlv(
            SEQUENCE,
            &[&body, &identifier, &tlv(3, &[&[0], &signature])],
        )
    }
}

/// PEM with this label.
pub fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        let _ = writeln!(out, "{}", String::from_utf8_lossy(line));
    }
    let _ = writeln!(out, "-----END {label}-----");
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for digit in 0..4 {
            match digit <= chunk.len() {
                true => out.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63])),
                false => out.push('='),
            }
        }
    }
    out
}

/// Certificates as PEM, one after the other.
pub fn chain(certificates: &[&[u8]]) -> String {
    let each = certificates.iter().map(|der| pem("CERTIFICATE", der));
    each.collect()
}
