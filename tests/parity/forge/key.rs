//! Keys and signatures.

use std::io::Write as _;
use std::process::Stdio;

use rcgen::{KeyPair, SigningKey as _};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::der::{SEQUENCE, oid, tlv};
use crate::support::folder::Folder;
use crate::support::program;

/// A signature algorithm, with the name of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Ecdsa(&'static str),
    Dsa(&'static str),
    Rsa(&'static str),
    /// RSA-PSS with this hash, and with a salt as long as the hash.
    Pss(&'static str),
    Ed25519,
    Ed448,
}

impl Algorithm {
    pub fn identifier(self) -> Vec<u8> {
        let (dotted, null) = match self {
            Algorithm::Ecdsa("sha1") => ("1.2.840.10045.4.1", false),
            Algorithm::Ecdsa("sha224") => ("1.2.840.10045.4.3.1", false),
            Algorithm::Ecdsa("sha256") => ("1.2.840.10045.4.3.2", false),
            Algorithm::Ecdsa("sha384") => ("1.2.840.10045.4.3.3", false),
            Algorithm::Ecdsa("sha512") => ("1.2.840.10045.4.3.4", false),
            Algorithm::Dsa("sha256") => ("2.16.840.1.101.3.4.3.2", false),
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

/// Returns the identifier of RSA-PSS with this hash (RFC 4055, section 3.1).
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

/// A key. If the key comes from [`Key::new`], rcgen makes the ECDSA signatures with SHA-256. OpenSSL makes
/// all other signatures.
pub struct Key {
    pub pem: String,
    pub spki: Vec<u8>,
    pub algorithm: Algorithm,
    pub quick: Option<KeyPair>,
}

impl Key {
    /// Makes a P-256 key.
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

    /// Returns a copy of the key. OpenSSL makes all signatures of the copy.
    pub fn copy(&self) -> Key {
        Key {
            pem: self.pem.clone(),
            spki: self.spki.clone(),
            algorithm: self.algorithm,
            quick: None,
        }
    }

    /// Makes a key with `openssl genpkey` and these arguments. The key signs with this algorithm by default.
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

    /// Makes an RSA key with this number of bits.
    pub fn rsa(bits: u32) -> Key {
        let size = format!("rsa_keygen_bits:{bits}");
        Key::made(&["RSA", "-pkeyopt", &size], Algorithm::Rsa("sha256"))
    }

    /// Makes a key on this elliptic curve. The key signs with this hash by default.
    pub fn curve(curve: &str, hash: &'static str) -> Key {
        let curve = format!("ec_paramgen_curve:{curve}");
        Key::made(&["EC", "-pkeyopt", &curve], Algorithm::Ecdsa(hash))
    }

    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        if let (Some(key), Algorithm::Ecdsa("sha256")) = (&self.quick, algorithm) {
            return key.sign(message).expect("a signature");
        }
        let folder = Folder::new();
        let key = folder.file("key", &self.pem);
        let hash = |hash| format!("-{hash}");
        match algorithm {
            Algorithm::Ecdsa(name) | Algorithm::Dsa(name) | Algorithm::Rsa(name) => {
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

/// Runs `openssl` with these arguments and this input, and returns its output.
pub fn openssl(words: &[&str], input: &[u8]) -> Vec<u8> {
    let mut process = program("openssl")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut stdin = process.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("openssl reads its input");
    drop(stdin);
    let output = process.wait_with_output().expect("openssl exits");
    assert!(output.status.success(), "openssl {words:?}");
    output.stdout
}
