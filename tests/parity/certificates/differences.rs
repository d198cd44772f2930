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
        Differs::Limit("on DNS names, where the certificate has only a common name"),
        &[
            "name constraints: permitted example.test; common name*",
            "name constraints: permitted .example.test; common name*",
            "name constraints: permitted www.example.test; common name*",
            "name constraints: permitted nothing; common name*",
            "name constraints: permitted in capitals; common name*",
            "name constraints: excluded other.test; common name*",
        ],
    ),
    (
        Differs::Limit("Name constraints on directory names"),
        &[
            "name constraints: permitted a directory name; DNS name",
            "name constraints: permitted a directory name; wildcard",
            "name constraints: permitted a directory name; DNS name and address",
            "name constraints: permitted a directory name; no subject",
            "name constraints: excluded a directory name; common name*",
            "name constraints: excluded a directory name; another DNS name*",
            "name constraints: excluded a directory name; no subject*",
            "name constraints: permitted another directory name; no subject",
            "name constraints: permitted an empty directory name; *",
        ],
    ),
    (
        Differs::Limit("Ed448, curves other than P-256, P-384 and P-521, RSA of less than 2041"),
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
        Differs::Limit("Revocation lists of version 1"),
        &[
            "list: version 1",
            "list: version 2 without extensions",
            "list: no next update",
            "list: of it, removed again",
            "lists of a chain: the intermediate's version 1",
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
