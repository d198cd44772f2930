//! Systematic cases with name constraints: each kind of name with each kind of subtree. Also cases with
//! roots that have issued certificates to themselves.

use super::{NAME, Table};
use crate::forge::{
    Authority, CN, Draft, IA5, Key, O, PRINTABLE, UTF8, alternative_names, basic, cn, dns,
    extension, name, oid, tlv,
};

const MAIL: &str = "1.2.840.113549.1.9.1";

pub fn cases(table: &mut Table) {
    kinds(table);
    hosts(table);
    several(table);
    self_issued(table);
}

/// Returns a GeneralSubtree.
fn subtree(base: &[u8], more: &[u8]) -> Vec<u8> {
    tlv(0x30, &[base, more])
}

fn constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let list = |tag: u8, subtrees: &[Vec<u8>]| match subtrees.is_empty() {
        true => Vec::new(),
        false => tlv(tag, &[&subtrees.concat()]),
    };
    let value = tlv(0x30, &[&list(0xa0, permitted), &list(0xa1, excluded)]);
    extension("2.5.29.30", true, &value)
}

fn other(kind: &str, value: &[u8]) -> Vec<u8> {
    [oid(kind), tlv(0xa0, &[value])].concat()
}

/// Adds a case with this leaf and an intermediate with this constraint.
fn judge(table: &mut Table, what: &str, constraint: &[u8], leaf: &Draft) {
    let root = Authority::root("Root");
    let middle = root.issue(Draft::ca("Middle").with(constraint.to_vec()));
    let leaf = middle.issue(leaf.clone());
    table.judge(
        format!("subtrees: {what}"),
        &leaf,
        &[&middle.der],
        &[&root.der],
    );
}

/// Adds two cases. One permits the subtree, and the other excludes it.
fn judge_both(table: &mut Table, of: &str, base: &[u8], leaf: &Draft) {
    let one = [subtree(base, &[])];
    judge(
        table,
        &format!("permitted {of}"),
        &constraints(&one, &[]),
        leaf,
    );
    judge(
        table,
        &format!("excluded {of}"),
        &constraints(&[], &one),
        leaf,
    );
}

/// Returns a leaf with this alternative name in addition to our name.
fn leaf_with(number: u8, value: &[u8]) -> Draft {
    let names = alternative_names(&[(2, NAME.as_bytes()), (number, value)]);
    Draft::new(cn("a server")).with(names)
}

fn kinds(table: &mut Table) {
    let smtp = "1.3.6.1.5.5.7.8.9";
    let subject_mail = |tag: u8, mail: &[u8]| {
        let subject = name(&[(CN, UTF8, b"a server"), (MAIL, tag, mail)]);
        Draft::new(subject).with(dns(&[NAME]))
    };
    let leaves = [
        ("a mailbox", leaf_with(1, b"ops@example.test")),
        ("a mailbox in capitals", leaf_with(1, b"OPS@EXAMPLE.TEST")),
        (
            "a mailbox in a subdomain",
            leaf_with(1, b"ops@mail.example.test"),
        ),
        (
            "a mailbox in another domain",
            leaf_with(1, b"ops@other.test"),
        ),
        ("two at signs", leaf_with(1, b"\"a@b\"@example.test")),
        ("no at sign", leaf_with(1, b"example.test")),
        (
            "a mailbox in the subject",
            subject_mail(IA5, b"ops@example.test"),
        ),
        (
            "a mailbox in the subject as UTF8String",
            subject_mail(UTF8, b"ops@example.test"),
        ),
        ("a URI", leaf_with(6, b"https://example.test/x")),
        (
            "a URI with a port",
            leaf_with(6, b"https://example.test:443/x"),
        ),
        (
            "a URI in a subdomain",
            leaf_with(6, b"https://www.example.test"),
        ),
        (
            "a URI in another domain",
            leaf_with(6, b"https://other.test/"),
        ),
        ("a URI without a host", leaf_with(6, b"urn:example:test")),
        ("a URI with an empty host", leaf_with(6, b"file:///x")),
        ("an IPv4 address", leaf_with(7, &[10, 1, 2, 3])),
        ("an IPv6 address", leaf_with(7, &[1; 16])),
        ("an address of two bytes", leaf_with(7, &[10, 1])),
        ("a registered id", leaf_with(8, &[0x2a, 3])),
        (
            "an otherName",
            leaf_with(0, &other("1.2.3.4", &tlv(UTF8, &[b"x"]))),
        ),
        (
            "an international mailbox",
            leaf_with(
                0,
                &other(smtp, &tlv(UTF8, &["\u{fc}@example.test".as_bytes()])),
            ),
        ),
        ("a directory name", leaf_with(4, &cn("example"))),
        ("only our name", Draft::leaf(&[NAME])),
    ];
    let general = |tag: u8, value: &[u8]| tlv(tag, &[value]);
    let subtrees = [
        ("a host's mail", general(0x81, b"example.test")),
        ("a domain's mail", general(0x81, b".example.test")),
        ("a mailbox", general(0x81, b"ops@example.test")),
        ("any mail", general(0x81, b"")),
        ("mail at a host", general(0x81, b"@example.test")),
        ("a URI's host", general(0x86, b"example.test")),
        ("a URI's domain", general(0x86, b".example.test")),
        ("any URI", general(0x86, b"")),
        ("IPv4", general(0x87, &[10, 0, 0, 0, 255, 0, 0, 0])),
        ("IPv6", general(0x87, &[0; 32])),
        ("an address of three bytes", general(0x87, &[10, 0, 0])),
        ("a registered id", general(0x88, &[0x2a, 3])),
        (
            "an otherName",
            general(0xa0, &other("1.2.3.4", &tlv(UTF8, &[b"x"]))),
        ),
        (
            "an otherName of another type",
            general(0xa0, &other("1.2.3.5", &tlv(UTF8, &[b"x"]))),
        ),
        ("a directory", general(0xa4, &cn("a server"))),
    ];
    for (what, leaf) in &leaves {
        for (of, base) in &subtrees {
            judge_both(table, &format!("{of}; {what}"), base, leaf);
        }
    }
}

fn hosts(table: &mut Table) {
    for names in [
        &["*.example.test"][..],
        &["*.Example.TEST"],
        &["w*.example.test"],
        &[NAME, "example.test"],
        &[NAME, "bar.example.test"],
        &[NAME, "*.bar.example.test"],
        &[NAME, "a..example.test"],
        &[NAME, "www.example.test."],
        &[NAME, ""],
        &[NAME, "-"],
    ] {
        for base in [
            "bar.example.test",
            ".example.test",
            "example.test",
            "example.test.",
            "*.example.test",
            "www.example.test",
            "xample.test",
            "test",
            ".",
            "..",
        ] {
            let leaf = Draft::leaf(names);
            let host = tlv(0x82, &[base.as_bytes()]);
            judge_both(table, &format!("{base:?}; {names:?}"), &host, &leaf);
        }
    }
    // Common names that look like host names, and other common names.
    for common in [
        "www.example.test",
        "other.test",
        "www.other.test",
        "other",
        "a b.other.test",
        "-a.other.test",
        "a-.other.test",
        "a..other.test",
        "a_b.other.test",
        ".other.test",
        "other.test.",
        "*.other.test",
    ] {
        for (what, leaf) in [
            ("without other names", Draft::new(cn(common))),
            (
                "with an address",
                Draft::new(cn(common)).with(alternative_names(&[(7, &[10, 0, 0, 1])])),
            ),
            (
                "with our DNS name",
                Draft::new(cn(common)).with(dns(&[NAME])),
            ),
            (
                "with our common name",
                Draft::new(name(&[
                    (CN, UTF8, common.as_bytes()),
                    (CN, UTF8, NAME.as_bytes()),
                ])),
            ),
        ] {
            let one = [subtree(&tlv(0x82, &[b"example.test"]), &[])];
            let what = format!("permitted example.test; common name {common:?} {what}");
            judge(table, &what, &constraints(&one, &[]), &leaf);
        }
    }
}

fn several(table: &mut Table) {
    let host = |name: &str| tlv(0x82, &[name.as_bytes()]);
    let plain = |name: &str| subtree(&host(name), &[]);
    let integer = |tag: u8, value: &[u8]| tlv(tag, &[value]);
    let with = |more: &[u8]| subtree(&host("example.test"), more);
    let address = tlv(0x87, &[&[10, 0, 0, 0, 255, 0, 0, 0]]);
    for (what, value) in [
        (
            "two permitted",
            constraints(&[plain("other.test"), plain("example.test")], &[]),
        ),
        (
            "permitted and excluded",
            constraints(&[plain("example.test")], &[plain(NAME)]),
        ),
        (
            "excluded another host",
            constraints(&[plain("example.test")], &[plain("a.example.test")]),
        ),
        (
            "a minimum of 0",
            constraints(&[with(&integer(0x80, &[0]))], &[]),
        ),
        (
            "a minimum of 1",
            constraints(&[with(&integer(0x80, &[1]))], &[]),
        ),
        ("a maximum", constraints(&[with(&integer(0x81, &[9]))], &[])),
        (
            "a minimum and a maximum",
            constraints(&[with(&[0x80, 1, 0, 0x81, 1, 9])], &[]),
        ),
        (
            "a minimum of a subtree of another kind",
            constraints(&[subtree(&address, &[0x80, 1, 1])], &[]),
        ),
        (
            "an excluded minimum",
            constraints(&[], &[subtree(&host("other.test"), &[0x80, 1, 1])]),
        ),
        (
            "a minimum after a subtree that permits our name",
            constraints(
                &[
                    plain("example.test"),
                    subtree(&host("other.test"), &[0x80, 1, 1]),
                ],
                &[],
            ),
        ),
        (
            "a subtree with an extra element",
            constraints(&[with(&[5, 0])], &[]),
        ),
        (
            "a subtree without a base",
            constraints(&[tlv(0x30, &[])], &[]),
        ),
        (
            "an invalid name",
            constraints(&[subtree(&tlv(0x8f, &[b"x"]), &[])], &[]),
        ),
        (
            "an empty list",
            extension("2.5.29.30", true, &tlv(0x30, &[&tlv(0xa0, &[])])),
        ),
        (
            "excluded before permitted",
            extension(
                "2.5.29.30",
                true,
                &tlv(
                    0x30,
                    &[
                        &tlv(0xa1, &[&plain("x.test")]),
                        &tlv(0xa0, &[&plain("example.test")]),
                    ],
                ),
            ),
        ),
        (
            "an extra byte",
            extension(
                "2.5.29.30",
                true,
                &[tlv(0x30, &[&tlv(0xa0, &[&plain("example.test")])]), vec![0]].concat(),
            ),
        ),
    ] {
        judge(table, what, &value, &Draft::leaf(&[NAME]));
    }
    // A constraint on directory names applies to the beginning of the subject.
    let company = |tag: u8, text: &[u8]| name(&[(O, tag, text)]);
    let both = name(&[(O, UTF8, b"Company"), (CN, UTF8, b"a server")]);
    let joined = tlv(
        0x30,
        &[&tlv(
            0x31,
            &[
                &tlv(0x30, &[&oid(CN), &tlv(UTF8, &[b"a server"])]),
                &tlv(0x30, &[&oid(O), &tlv(UTF8, &[b"Company"])]),
            ],
        )],
    );
    for (of, subject) in [
        ("both", both.clone()),
        ("the company", company(UTF8, b"Company")),
        ("joined", joined.clone()),
        ("nothing", name(&[])),
        (
            "the company last",
            name(&[(CN, UTF8, b"a server"), (O, UTF8, b"Company")]),
        ),
    ] {
        for (what, base) in [
            ("the company", company(UTF8, b"Company")),
            ("the company in capitals", company(PRINTABLE, b" COMPANY ")),
            ("another company", company(UTF8, b"Companies")),
            ("the beginning of the company", company(UTF8, b"Comp")),
            ("both", both.clone()),
            ("joined", joined.clone()),
            ("everything", name(&[])),
        ] {
            let leaf = Draft::new(subject.clone()).with(dns(&[NAME]));
            let directory = tlv(0xa4, &[&base]);
            judge_both(table, &format!("directory {what}; {of}"), &directory, &leaf);
        }
    }
}

/// Adds cases with a root that has issued itself certificates for up to two new keys.
fn self_issued(table: &mut Table) {
    let host = |name: &str| [subtree(&tlv(0x82, &[name.as_bytes()]), &[])];
    let directory = [subtree(&tlv(0xa4, &[&cn("Other")]), &[])];
    let limits = [
        ("no limit", None),
        (
            "permitted example.test",
            Some(constraints(&host("example.test"), &[])),
        ),
        (
            "permitted other.test",
            Some(constraints(&host("other.test"), &[])),
        ),
        (
            "permitted another directory",
            Some(constraints(&directory, &[])),
        ),
    ];
    for (what, limit) in &limits {
        for length in [None, Some(0), Some(1), Some(2)] {
            for rolled in 0..3 {
                for (below, has_middle) in [("a leaf", false), ("an intermediate", true)] {
                    let mut draft = Draft::ca("Root").with(basic(true, length));
                    if let Some(limit) = limit {
                        draft = draft.with(limit.clone());
                    }
                    let root = draft.self_signed(Key::new());
                    let mut chain = Vec::new();
                    let mut issuer = root;
                    let trusted = issuer.der.clone();
                    for _ in 0..rolled {
                        issuer = issuer.issue(Draft::ca("Root"));
                        chain.push(issuer.der.clone());
                    }
                    let middle = has_middle.then(|| issuer.issue(Draft::ca("Middle")));
                    let issuer = middle.as_ref().unwrap_or(&issuer);
                    if let Some(middle) = &middle {
                        chain.push(middle.der.clone());
                    }
                    let leaf = issuer.issue(Draft::leaf(&[NAME]));
                    let issuers: Vec<&[u8]> = chain.iter().rev().map(Vec::as_slice).collect();
                    let name = format!(
                        "self-issued: {what}, path length {length:?}, {rolled} new keys, above {below}"
                    );
                    table.judge(name, &leaf, &issuers, &[&trusted]);
                }
            }
        }
    }
}
