//! What the two judge differently, and why. docs/limits.md says the same in plain words.

use crate::harness::Differs;

/// Names of cases, and why they differ. `*` stands for any text at the end of one.
pub const DIFFERENCES: &[(Differs, &[&str])] = &[
    (
        Differs::Limit("webpki reads no dates before 1970"),
        &[
            "from 1950",
            "from 1950: an intermediate",
            "year 0 to 9999",
            "year 0 to 9999: an intermediate",
        ],
    ),
    (
        Differs::Limit("webpki reads version 3 only"),
        &[
            "self-signed in the file: version 1",
            "self-signed in a file of two: version 1",
            "self-signed sent twice: version 1",
            "leaf: version *",
            "intermediate: version 1",
            "intermediate: version 2",
            "intermediate: version 4",
            "intermediate: version 100",
        ],
    ),
    (
        Differs::Limit("webpki follows six intermediates"),
        &[
            "7 intermediates",
            "8 intermediates",
            "9 intermediates",
            "12 intermediates",
            "30 intermediates",
            "98 intermediates",
            "99 intermediates",
            "100 intermediates",
        ],
    ),
    (
        Differs::Limit("webpki compares names byte by byte"),
        &["an intermediate's name in *"],
    ),
    (
        Differs::Limit("webpki does not know what stood for serverAuth in the nineties"),
        &[
            "leaf: extKeyUsage server gated*",
            "intermediate: extKeyUsage server gated*",
        ],
    ),
    (
        Differs::Limit("webpki takes no CA's certificate for a server's"),
        &[
            "leaf: basicConstraints CA*",
            "leaf: basicConstraints not critical",
            "leaf: basicConstraints TRUE as 1",
            "leaf: basicConstraints for 300",
        ],
    ),
    (
        Differs::Limit("webpki reads these values in DER only"),
        &[
            "intermediate: basicConstraints TRUE as 1",
            "intermediate: basicConstraints for 300",
        ],
    ),
    (
        Differs::Limit("webpki knows nothing of policies"),
        &[
            "leaf: critical certificatePolicies",
            "leaf: critical policy*",
            "leaf: critical inhibitAnyPolicy",
            "leaf: critical nsCertType server",
            "intermediate: critical certificatePolicies",
            "intermediate: critical policy*",
            "intermediate: critical inhibitAnyPolicy",
            "intermediate: critical nsCertType server",
        ],
    ),
    (
        Differs::Limit("resources of RFC 3779 are not judged"),
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
        Differs::Limit("constraints are not compared with common names"),
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
        Differs::Limit("webpki compares no directory names with constraints"),
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
        Differs::Limit("ring has no such key"),
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
        Differs::Limit("ring has no such signature"),
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
        Differs::Limit("webpki reads no such revocation lists"),
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
    // Of the signatures that ring lacks but others have, and of what a server without any other offers.
    (
        Differs::Versions("see tests/parity/tls"),
        &[
            "root: P-521",
            "intermediate: P-521",
            "leaf: P-521",
            "self-signed: P-521",
            "leaf: Ed448",
            "self-signed: Ed448",
            "root: RSA-PSS",
            "intermediate: RSA-PSS",
            "leaf: RSA-PSS",
            "self-signed: RSA-PSS",
            "root: P-256 signing with sha512",
            "intermediate: P-256 signing with sha512",
            "root: P-384 signing with sha512",
            "intermediate: P-384 signing with sha512",
        ],
    ),
];

/// Whether a pattern stands for this name.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == pattern,
    }
}
