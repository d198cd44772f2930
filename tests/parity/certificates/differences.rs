//! The cases that HAProxy and sni-check judge differently, and the reasons.

use crate::differences::Differences;
use crate::harness::Differs;

pub const DIFFERENCES: Differences = Differences(&[
    (
        Differs::Limit("IP address or AS number extensions (RFC 3779)"),
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
            "Ed448, curves other than P-256, P-384 and P-521, DSA, compressed keys, RSA of 1963 to 2040",
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
            "DSA 2048: *",
            "a compressed key on P-256: *",
            "a compressed key on P-384: *",
            "RSA with the exponent 18446744073709551617: *",
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
        Differs::Versions("HAProxy before 3.2.26 truncates a name at a NUL"),
        &["for [\"www.example.test\\0*", "a common name with a NUL*"],
    ),
    (
        Differs::PerhapsLimit("a certificate in `ca-file` has dates that can't be read"),
        &[
            "broken times before the root",
            "broken times after the root",
        ],
    ),
    (
        Differs::PerhapsLimit("also needs a revocation list for the root"),
        &["list: for users", "lists of a chain: the root revoked"],
    ),
    (
        Differs::PerhapsLimit("accept a delta list as a full list"),
        &["list: a delta", "deltas*: usual, *", "deltas*: fresh, *"],
    ),
    (
        Differs::PerhapsLimit("with an empty issuingDistributionPoint"),
        &[
            "*: list scope: an empty scope",
            "*: list scope: users: false",
            "*: list scope: indirect: false",
            "two lists, *: clean list: an empty scope; *",
            "two lists, *: clean list: users: false; *",
            "two lists, *: clean list: indirect: false; *",
            "extensions of a list: a scope, *, clean",
        ],
    ),
    (
        Differs::PerhapsLimit("names two signature algorithms"),
        &["signature of a list: P-256, signed field *"],
    ),
    (
        Differs::PerhapsLimit("with an entry whose date can't be read"),
        &["form of a list: an invalid date"],
    ),
    (
        Differs::Limit("Revocation lists that are signed with SHA-1 or MD5"),
        &[
            "signature of a list: P-256 with sha1",
            "signature of a list: P-256 with sha224",
            "lists by RSA: Rsa(\"md5\")",
            "lists by RSA: Rsa(\"sha1\")",
        ],
    ),
    (
        Differs::Limit("with entries that contradict each other"),
        &[
            "extensions of an entry: removed, not critical, in the leaf's first entry of two",
            "extensions of an entry: removed, with an extra byte, not critical, in the leaf's first entry of two",
        ],
    ),
    (
        Differs::PerhapsLimit(
            "Internationalised mail addresses (RFC 8398), and URIs without a host",
        ),
        &[
            "subtrees: *; an international mailbox",
            "subtrees: *; a URI with an empty host",
        ],
    ),
    (
        Differs::PerhapsLimit("sends only DNS names"),
        &[
            "sni \"www.example.test.\", certificate *",
            "sni \"www.example.test..\", certificate *",
            "sni \"WWW.example.test.\", certificate *",
            "sni \"example.\", certificate *",
            "sni \"127.0.0.1*",
            "sni \"10.0.0.256\", certificate *",
            "sni \"1.2.3.4.5\", certificate *",
            "sni \"example.123\", certificate *",
            "sni \"::1\", certificate *",
            "sni \"-a.example.test\", certificate *",
            "sni \"a-.example.test\", certificate *",
            "sni \"a.-b.example.test\", certificate *",
            "sni \".example.test\", certificate *",
            "sni \"..example.test\", certificate *",
            "sni \"a..example.test\", certificate *",
            "sni \"www.example.test:443\", certificate *",
        ],
    ),
    (
        Differs::Limit("Keys: Ed448"),
        &["leaf: Ed448", "self-signed: Ed448"],
    ),
]);
