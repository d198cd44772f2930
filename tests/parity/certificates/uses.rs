//! Cases with extensions, most of which limit what a certificate may be used for.

use super::{NAME, Table};
use crate::forge::{
    ANY_USAGE, CLIENT_AUTH, CODE_SIGNING, CRL_SIGN, DATA_ENCIPHERMENT, DIGITAL_SIGNATURE, Draft,
    ENCIPHER_ONLY, KEY_AGREEMENT, KEY_CERT_SIGN, KEY_ENCIPHERMENT, Key, NON_REPUDIATION,
    SERVER_AUTH, basic, cn, extended_usage, extension, key_usage, oid, tlv,
};

pub fn cases(table: &mut Table) {
    for (what, extension) in extensions() {
        everywhere(table, what, |draft| draft.with(extension.clone()));
    }
    without(table);
}

/// Adds cases in which a leaf, an intermediate, a root, or a root above an intermediate has this
/// change.
fn everywhere(table: &mut Table, what: &str, change: impl Fn(Draft) -> Draft) {
    table.everywhere(what, &change);
    let root = change(Draft::ca("Root")).self_signed(Key::new());
    table.below(
        &format!("root above an intermediate: {what}"),
        &root,
        Draft::ca("Middle"),
    );
}

fn extensions() -> Vec<(&'static str, Vec<u8>)> {
    let policy = tlv(0x30, &[&tlv(0x30, &[&oid("1.2.3.4")])]);
    let no_check = tlv(5, &[]);
    let point = tlv(
        0x30,
        &[&tlv(
            0x30,
            &[&tlv(
                0xa0,
                &[&tlv(0xa0, &[&tlv(0x86, &[b"http://crl.test/"])])],
            )],
        )],
    );
    let other_name = tlv(0x30, &[&tlv(0x82, &[b"issuer.test"])]);
    vec![
        ("keyUsage digitalSignature", key_usage(DIGITAL_SIGNATURE)),
        ("keyUsage keyEncipherment", key_usage(KEY_ENCIPHERMENT)),
        ("keyUsage keyAgreement", key_usage(KEY_AGREEMENT)),
        ("keyUsage nonRepudiation", key_usage(NON_REPUDIATION)),
        ("keyUsage dataEncipherment", key_usage(DATA_ENCIPHERMENT)),
        ("keyUsage keyCertSign", key_usage(KEY_CERT_SIGN)),
        ("keyUsage cRLSign", key_usage(CRL_SIGN)),
        ("keyUsage encipherOnly", key_usage(ENCIPHER_ONLY)),
        (
            "keyUsage digitalSignature, keyCertSign",
            key_usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN),
        ),
        (
            "keyUsage decipherOnly",
            extension("2.5.29.15", true, &[3, 3, 7, 0, 0x80]),
        ),
        (
            "keyUsage without bits",
            extension("2.5.29.15", true, &[3, 2, 7, 0]),
        ),
        (
            "keyUsage without bytes",
            extension("2.5.29.15", true, &[3, 1, 0]),
        ),
        (
            "keyUsage not critical",
            extension("2.5.29.15", false, &[3, 2, 2, 0xa4]),
        ),
        ("keyUsage broken", extension("2.5.29.15", true, &[3, 5, 0])),
        (
            "keyUsage with trailing zero bits",
            extension("2.5.29.15", true, &[3, 2, 0, 0xa4]),
        ),
        (
            "extKeyUsage serverAuth",
            extended_usage(&[SERVER_AUTH], false),
        ),
        (
            "extKeyUsage serverAuth, critical",
            extended_usage(&[SERVER_AUTH], true),
        ),
        (
            "extKeyUsage both",
            extended_usage(&[CLIENT_AUTH, SERVER_AUTH], false),
        ),
        (
            "extKeyUsage clientAuth",
            extended_usage(&[CLIENT_AUTH], false),
        ),
        (
            "extKeyUsage codeSigning",
            extended_usage(&[CODE_SIGNING], true),
        ),
        ("extKeyUsage any", extended_usage(&[ANY_USAGE], false)),
        (
            "extKeyUsage any and serverAuth",
            extended_usage(&[ANY_USAGE, SERVER_AUTH], false),
        ),
        ("extKeyUsage unknown", extended_usage(&["1.2.3.4"], false)),
        (
            "extKeyUsage server gated cryptography",
            extended_usage(&["1.3.6.1.4.1.311.10.3.3"], false),
        ),
        (
            "extKeyUsage server gated cryptography, Netscape",
            extended_usage(&["2.16.840.1.113730.4.1"], false),
        ),
        ("extKeyUsage empty", extended_usage(&[], false)),
        (
            "extKeyUsage broken",
            extension("2.5.29.37", false, &[0x30, 5]),
        ),
        ("basicConstraints CA", basic(true, None)),
        ("basicConstraints CA, path length 0", basic(true, Some(0))),
        ("basicConstraints CA, path length 1", basic(true, Some(1))),
        ("basicConstraints no CA", basic(false, None)),
        (
            "basicConstraints no CA, path length 0",
            basic(false, Some(0)),
        ),
        (
            "basicConstraints not critical",
            extension("2.5.29.19", false, &tlv(0x30, &[&[1, 1, 0xff]])),
        ),
        (
            "basicConstraints TRUE as 1",
            extension("2.5.29.19", true, &tlv(0x30, &[&[1, 1, 1]])),
        ),
        (
            "basicConstraints with an explicit FALSE",
            extension("2.5.29.19", true, &tlv(0x30, &[&[1, 1, 0]])),
        ),
        (
            "basicConstraints CA, path length -1",
            extension("2.5.29.19", true, &tlv(0x30, &[&[1, 1, 0xff, 2, 1, 0xff]])),
        ),
        (
            "basicConstraints CA, path length 300",
            extension(
                "2.5.29.19",
                true,
                &tlv(0x30, &[&[1, 1, 0xff, 2, 2, 1, 0x2c]]),
            ),
        ),
        (
            "basicConstraints broken",
            extension("2.5.29.19", true, &[0x30, 9]),
        ),
        (
            "an unknown critical extension",
            extension("1.2.3.4", true, &no_check),
        ),
        (
            "an unknown extension",
            extension("1.2.3.4", false, &no_check),
        ),
        (
            "an unknown critical extension with an X.509 OID",
            extension("2.5.29.99", true, &no_check),
        ),
        (
            "critical certificatePolicies",
            extension("2.5.29.32", true, &policy),
        ),
        (
            "certificatePolicies",
            extension("2.5.29.32", false, &policy),
        ),
        (
            "broken certificatePolicies",
            extension("2.5.29.32", false, &[0x30, 9]),
        ),
        (
            "critical policyConstraints",
            extension("2.5.29.36", true, &tlv(0x30, &[&[0x80, 1, 0]])),
        ),
        (
            "critical inhibitAnyPolicy",
            extension("2.5.29.54", true, &[2, 1, 0]),
        ),
        (
            "critical policyMappings",
            extension(
                "2.5.29.33",
                true,
                &tlv(0x30, &[&tlv(0x30, &[&oid("1.2.3.4"), &oid("1.2.3.5")])]),
            ),
        ),
        (
            "critical cRLDistributionPoints",
            extension("2.5.29.31", true, &point),
        ),
        (
            "cRLDistributionPoints",
            extension("2.5.29.31", false, &point),
        ),
        (
            "broken cRLDistributionPoints",
            extension("2.5.29.31", false, &[0x30, 9]),
        ),
        (
            "critical issuerAltName",
            extension("2.5.29.18", true, &other_name),
        ),
        ("issuerAltName", extension("2.5.29.18", false, &other_name)),
        (
            "critical subjectKeyIdentifier",
            extension("2.5.29.14", true, &tlv(4, &[b"abc"])),
        ),
        (
            "critical authorityKeyIdentifier",
            extension("2.5.29.35", true, &tlv(0x30, &[])),
        ),
        (
            "critical authorityInfoAccess",
            extension("1.3.6.1.5.5.7.1.1", true, &tlv(0x30, &[])),
        ),
        (
            "OCSP must-staple",
            extension("1.3.6.1.5.5.7.1.24", false, &tlv(0x30, &[&[2, 1, 5]])),
        ),
        (
            "critical OCSP must-staple",
            extension("1.3.6.1.5.5.7.1.24", true, &tlv(0x30, &[&[2, 1, 5]])),
        ),
        (
            "critical CT poison",
            extension("1.3.6.1.4.1.11129.2.4.3", true, &no_check),
        ),
        (
            "nsCertType server",
            extension("2.16.840.1.113730.1.1", false, &[3, 2, 6, 0x40]),
        ),
        (
            "nsCertType client",
            extension("2.16.840.1.113730.1.1", false, &[3, 2, 7, 0x80]),
        ),
        (
            "nsCertType CA",
            extension("2.16.840.1.113730.1.1", false, &[3, 2, 2, 4]),
        ),
        (
            "critical nsCertType server",
            extension("2.16.840.1.113730.1.1", true, &[3, 2, 6, 0x40]),
        ),
        (
            "nsComment",
            extension("2.16.840.1.113730.1.13", false, &tlv(22, &[b"hello"])),
        ),
        (
            "proxyCertInfo",
            extension(
                "1.3.6.1.5.5.7.1.14",
                true,
                &tlv(0x30, &[&tlv(0x30, &[&oid("1.3.6.1.5.5.7.21.1")])]),
            ),
        ),
        (
            "subject directory attributes, critical",
            extension("2.5.29.9", true, &tlv(0x30, &[])),
        ),
        ("critical freshestCRL", extension("2.5.29.46", true, &point)),
        (
            "critical IP resources",
            extension("1.3.6.1.5.5.7.1.7", true, &tlv(0x30, &[])),
        ),
        (
            "critical AS resources",
            extension("1.3.6.1.5.5.7.1.8", true, &tlv(0x30, &[])),
        ),
        (
            "Microsoft's certificate template",
            extension("1.3.6.1.4.1.311.20.2", false, &tlv(30, &[&[0, 0x57]])),
        ),
    ]
}

/// Adds cases in which an extension is missing or occurs twice.
fn without(table: &mut Table) {
    let drop = |kind: &'static str| {
        move |mut draft: Draft| {
            let kind = oid(kind);
            draft
                .extensions
                .retain(|old| !old.windows(kind.len()).any(|part| part == kind));
            draft
        }
    };
    everywhere(table, "without keyUsage", drop("2.5.29.15"));
    everywhere(table, "without basicConstraints", drop("2.5.29.19"));
    everywhere(table, "without extensions", |draft| {
        match draft.subject == cn("a server") {
            true => Draft {
                extensions: vec![],
                ..Draft::new(cn(NAME))
            },
            false => Draft {
                extensions: vec![],
                ..draft
            },
        }
    });
    everywhere(table, "an extension twice", |mut draft| {
        let twin = draft.extensions[0].clone();
        draft.extensions.push(twin);
        draft
    });
    everywhere(table, "an unknown extension twice", |mut draft| {
        for _ in 0..2 {
            draft.extensions.push(extension("1.2.3.4", false, &[5, 0]));
        }
        draft
    });
    everywhere(table, "keyUsage twice", |draft| {
        let mut draft = draft.with(key_usage(KEY_CERT_SIGN | DIGITAL_SIGNATURE));
        draft
            .extensions
            .push(key_usage(KEY_CERT_SIGN | DIGITAL_SIGNATURE));
        draft
    });
}
