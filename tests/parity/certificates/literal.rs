//! Systematic cases with names that are compared literally: with dots and hyphens at the ends,
//! addresses, and different spellings. Also cases with malformed extensions, and with unusual keys.

use super::{NAME, Table};
use crate::forge::{
    Algorithm, Authority, Draft, Key, SERVER_AUTH, UTF8, alternative_names, cn, extension, oid,
    openssl, tlv,
};
use crate::harness::Case;

pub fn cases(table: &mut Table) {
    sent_names(table);
    verified_names(table);
    both_names(table);
    malformed_extensions(table);
    other_keys(table);
}

const ASKED: [&str; 26] = [
    "www.example.test",
    "www.example.test.",
    "www.example.test..",
    "WWW.EXAMPLE.TEST",
    "WWW.example.test.",
    "a-.example.test",
    "-a.example.test",
    "a.-b.example.test",
    ".example.test",
    "..example.test",
    "a..example.test",
    "example",
    "example.",
    "127.0.0.1",
    "127.0.0.1.",
    "10.0.0.256",
    "1.2.3.4.5",
    "::1",
    "*.example.test",
    "my_host.example.test",
    "_dmarc.example.test",
    "xn--bcher-kva.example.test",
    "a.b.c.d.example.test",
    "www.example.test:443",
    "example.123",
    "a--b.example.test",
];

/// Returns the names of the certificates that are tried with a requested name.
fn names_for(asked: &str) -> Vec<String> {
    let bare = asked.trim_end_matches('.');
    let parent = asked.split_once('.').map_or("", |(_, parent)| parent);
    let mut names = vec![
        asked.to_owned(),
        bare.to_owned(),
        format!("{bare}."),
        asked.to_lowercase(),
        format!("*.{parent}"),
        format!("*.{}", parent.trim_end_matches('.')),
        format!("*.{}.", parent.trim_end_matches('.')),
        "*".to_owned(),
        "other.test".to_owned(),
    ];
    names.sort_unstable();
    names.dedup();
    names
}

fn sent_names(table: &mut Table) {
    for asked in ASKED {
        for own in names_for(asked) {
            let case = table.leaf(
                &format!("sni {asked:?}, certificate for {own:?}"),
                Draft::leaf(&[&own]),
            );
            case.asked_for(asked);
            let draft = Draft::new(cn(&own));
            let case = table.leaf(
                &format!("sni {asked:?}, certificate with common name {own:?}"),
                draft,
            );
            case.asked_for(asked);
        }
    }
}

/// Makes the checks verify this name and send no name.
fn verify_only(case: &mut Case, name: &str) {
    let (theirs, ours) = (format!("check-sni {NAME}"), format!("--sni {NAME}"));
    case.server = case.server.replace(&theirs, &format!("verifyhost {name}"));
    let without = format!("--no-sni --verify-host {name}");
    case.options = case.options.replace(&ours, &without);
}

fn verified_names(table: &mut Table) {
    for asked in ASKED {
        for own in names_for(asked) {
            for (what, draft) in [
                ("for", Draft::leaf(&[&own])),
                ("with common name", Draft::new(cn(&own))),
            ] {
                let case = table.leaf(
                    &format!("verifyhost {asked:?}, certificate {what} {own:?}"),
                    draft,
                );
                verify_only(case, asked);
            }
        }
    }
    let addresses: [&[u8]; 3] = [&[127, 0, 0, 1], &[10, 0, 0, 1], &[0; 16]];
    for address in addresses {
        for asked in [
            "127.0.0.1",
            "127.0.0.01",
            "::",
            "0:0:0:0:0:0:0:0",
            "::ffff:127.0.0.1",
        ] {
            let draft = Draft::new(cn("a server")).with(alternative_names(&[(7, address)]));
            let case = table.leaf(
                &format!("verifyhost {asked}, certificate for {address:?}"),
                draft,
            );
            verify_only(case, asked);
        }
    }
}

/// Adds cases with both SNI and `verifyhost`. If HAProxy sends a name, it verifies this name and
/// ignores `verifyhost`, but sni-check verifies the name of --verify-host. To compare the verdicts,
/// both names are the same here.
fn both_names(table: &mut Table) {
    for names in [
        &[NAME][..],
        &["other.test"],
        &["*.example.test"],
        &["WWW.example.TEST"],
        &["other.test", NAME],
        &["www.example.test."],
    ] {
        let words = (
            format!("verifyhost {NAME}"),
            format!("--verify-host {NAME}"),
        );
        table
            .leaf(
                &format!("sni and verifyhost {NAME}, certificate for {names:?}"),
                Draft::leaf(names),
            )
            .with(&words.0, &words.1);
    }
}

/// Adds cases with malformed extensions: extra bytes, truncated, empty or duplicate values, and
/// invalid names. OpenSSL reads the first element of an extension and ignores the following bytes.
fn malformed_extensions(table: &mut Table) {
    let sequence = |parts: &[&[u8]]| tlv(0x30, parts);
    let after = |value: &[u8], more: &[u8]| [value, more].concat();
    let names = sequence(&[&tlv(0x82, &[NAME.as_bytes()])]);
    let ca = sequence(&[&[1, 1, 0xff]]);
    let usage = tlv(3, &[&[0, 0xfe]]);
    let extended = sequence(&[&oid(SERVER_AUTH)]);
    let id = tlv(4, &[b"key"]);
    let authority = sequence(&[]);
    let points = sequence(&[&sequence(&[&tlv(
        0xa0,
        &[&tlv(0xa0, &[&tlv(0x86, &[b"x"])])],
    )])]);
    for (what, kind, value) in [
        ("names", "2.5.29.17", names.clone()),
        ("basic constraints", "2.5.29.19", ca),
        ("key usage", "2.5.29.15", usage),
        ("extended key usage", "2.5.29.37", extended),
        ("key id", "2.5.29.14", id),
        ("authority", "2.5.29.35", authority),
        ("points", "2.5.29.31", points),
        (
            "policies",
            "2.5.29.32",
            sequence(&[&sequence(&[&oid("2.5.29.32.0")])]),
        ),
        ("no check", "1.3.6.1.5.5.7.48.1.5", vec![5, 0]),
        ("an issuer's names", "2.5.29.18", names),
    ] {
        for critical in [false, true] {
            let how = if critical { "critical " } else { "" };
            for (with, more) in [
                ("unchanged", &[][..]),
                ("with an extra byte", &[0]),
                ("with an extra element", &[5, 0]),
                ("with extra text", b"rubbish"),
            ] {
                let value = after(&value, more);
                table.everywhere(&format!("{how}{what} {with}"), |draft| {
                    draft.with(extension(kind, critical, &value))
                });
            }
        }
        let cut = value[..value.len() - 1].to_vec();
        table.everywhere(&format!("{what} truncated"), |draft| {
            draft.with(extension(kind, false, &cut))
        });
        table.everywhere(&format!("{what} empty"), |draft| {
            draft.with(extension(kind, false, &[]))
        });
        table.everywhere(&format!("{what} twice"), |mut draft| {
            draft = draft.with(extension(kind, false, &value));
            draft.extensions.push(extension(kind, false, &value));
            draft
        });
    }
    // Most of these entries aren't valid names. The certificate also has the right name.
    for (what, entry) in [
        ("an otherName without a value", tlv(0xa0, &[&oid("1.2.3")])),
        ("an invalid otherName", tlv(0xa0, &[b"x"])),
        ("an invalid directoryName", tlv(0xa4, &[b"x"])),
        (
            "an ediPartyName",
            tlv(0xa5, &[&tlv(0xa1, &[&tlv(UTF8, &[b"x"])])]),
        ),
        ("an invalid ediPartyName", tlv(0xa5, &[b"x"])),
        ("an invalid x400Address", tlv(0xa3, &[b"x"])),
        ("an invalid registeredID", tlv(0x88, &[&[0x80]])),
        ("an empty registeredID", tlv(0x88, &[])),
        ("an unknown kind of name", tlv(0x89, &[b"x"])),
        ("an address of three bytes", tlv(0x87, &[&[1, 2, 3]])),
        ("a string instead of a name", tlv(UTF8, &[NAME.as_bytes()])),
        (
            "a constructed dNSName",
            tlv(0xa2, &[&tlv(22, &[NAME.as_bytes()])]),
        ),
    ] {
        for (place, entries) in [
            ("after", vec![tlv(0x82, &[NAME.as_bytes()]), entry.clone()]),
            ("before", vec![entry, tlv(0x82, &[NAME.as_bytes()])]),
        ] {
            let value = tlv(0x30, &[&entries.concat()]);
            let draft = Draft::new(cn("a server")).with(extension("2.5.29.17", false, &value));
            table.leaf(&format!("{what} {place} our name"), draft);
        }
    }
}

/// Adds cases in which an issuer has an unusual key: DSA, a compressed EC point, or an RSA exponent
/// other than 65537 (65537 itself is included for comparison).
fn other_keys(table: &mut Table) {
    for bits in ["1024", "2048"] {
        let parameters = openssl(
            &[
                "genpkey",
                "-quiet",
                "-genparam",
                "-algorithm",
                "DSA",
                "-pkeyopt",
                &format!("dsa_paramgen_bits:{bits}"),
            ],
            b"",
        );
        let pem = openssl(
            &["genpkey", "-quiet", "-paramfile", "/dev/stdin"],
            &parameters,
        );
        let pem = String::from_utf8(pem).expect("PEM");
        let spki = openssl(&["pkey", "-pubout", "-outform", "DER"], pem.as_bytes());
        let key = Key {
            pem,
            spki,
            algorithm: Algorithm::Dsa("sha256"),
            quick: None,
        };
        issued_by(table, &format!("DSA {bits}"), &key);
    }
    let compressed = |curve: &str| {
        let pem = openssl(
            &[
                "genpkey",
                "-quiet",
                "-algorithm",
                "EC",
                "-pkeyopt",
                &format!("ec_paramgen_curve:{curve}"),
            ],
            b"",
        );
        let words = [
            "ec",
            "-pubout",
            "-conv_form",
            "compressed",
            "-outform",
            "DER",
        ];
        let spki = openssl(&words, &pem);
        (String::from_utf8(pem).expect("PEM"), spki)
    };
    for (curve, hash) in [
        ("P-256", "sha256"),
        ("P-384", "sha384"),
        ("P-521", "sha512"),
    ] {
        let (pem, spki) = compressed(curve);
        let key = Key {
            pem,
            spki,
            algorithm: Algorithm::Ecdsa(hash),
            quick: None,
        };
        issued_by(table, &format!("a compressed key on {curve}"), &key);
    }
    for exponent in ["3", "17", "65537", "4294967297", "18446744073709551617"] {
        let words = [
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-pkeyopt",
            &format!("rsa_keygen_pubexp:{exponent}"),
        ];
        let key = Key::made(&words, Algorithm::Rsa("sha256"));
        issued_by(table, &format!("RSA with the exponent {exponent}"), &key);
    }
}

/// Adds cases in which the root or the intermediate has this key.
fn issued_by(table: &mut Table, what: &str, key: &Key) {
    let root = Draft::ca("Root").self_signed(key.copy());
    let leaf = root.issue(Draft::leaf(&[NAME]));
    table.judge(format!("{what}: root"), &leaf, &[], &[&root.der]);
    let root = Authority::root("Root");
    let middle = root.issue_to(Draft::ca("Middle"), key.copy());
    let leaf = middle.issue(Draft::leaf(&[NAME]));
    table.judge(
        format!("{what}: intermediate"),
        &leaf,
        &[&middle.der],
        &[&root.der],
    );
}
