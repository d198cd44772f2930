//! What the two judge differently, and why.

use crate::differences::Differences;
use crate::harness::Differs;

pub const DIFFERENCES: Differences = Differences(&[
    (
        Differs::Limit("address resources (RFC 3779)"),
        &[
            "leaf: critical IP resources",
            "leaf: critical AS resources",
            "intermediate: critical IP resources",
            "intermediate: critical AS resources",
            "root: critical IP resources",
            "root: critical AS resources",
            "root above an intermediate: critical IP resources",
            "root above an intermediate: critical AS resources",
        ],
    ),
    (
        Differs::Limit(
            "Ed448, curves other than P-256, P-384 and P-521, DSA, compressed keys, RSA of less than 2041",
        ),
        &[
            "root: RSA 2040",
            "intermediate: RSA 2040",
            "leaf: RSA 2040",
            "self-signed: RSA 2040",
            "root: P-224",
            "intermediate: P-224",
            "root: secp256k1",
            "intermediate: secp256k1",
            "root: Ed448",
            "intermediate: Ed448",
        ],
    ),
    (
        Differs::Limit("Signatures with SHA-224"),
        &[
            "root: RSA signing with SHA-224",
            "intermediate: RSA signing with SHA-224",
            "root: P-256 signing with sha224",
            "intermediate: P-256 signing with sha224",
            "root: P-384 signing with sha224",
            "intermediate: P-384 signing with sha224",
        ],
    ),
    (
        Differs::Versions("HAProxy before 3.2.26 ends a name at a NUL"),
        &["for [\"www.example.test\\0*", "a common name with a NUL*"],
    ),
    (
        Differs::Versions("newer OpenSSL reads no file with such a certificate"),
        &[
            "broken times before the root",
            "broken times after the root",
        ],
    ),
    (
        Differs::Versions("versions of OpenSSL judge such lists differently"),
        &[
            "list: a delta",
            "list: for users",
            "lists of a chain: the root revoked",
        ],
    ),
    (
        Differs::Limit("Keys: Ed448"),
        &["leaf: Ed448", "self-signed: Ed448"],
    ),
]);
