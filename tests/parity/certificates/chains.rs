//! Cases about the path from the server's certificate to a root.

use super::{NAME, Table};
use crate::forge::{
    Authority, BMP, CN, Draft, Key, O, PRINTABLE, TELETEX, UNIVERSAL, UTF8, cn, extension, name,
    tlv, utf16, utf32,
};

pub fn cases(table: &mut Table) {
    orders(table);
    partial(table);
    same_name(table);
    long(table);
    spellings(table);
    identifiers(table);
}

fn orders(table: &mut Table) {
    let root = Authority::root("Root");
    let upper = root.issue(Draft::ca("Upper"));
    let lower = upper.issue(Draft::ca("Lower"));
    let leaf = lower.issue(Draft::leaf(&[NAME]));
    let foreign = Authority::root("Foreign");
    let (r, u, l, f) = (
        &root.der[..],
        &upper.der[..],
        &lower.der[..],
        &foreign.der[..],
    );
    let mut sent = |what: &str, issuers: &[&[u8]]| {
        for (how, roots) in [
            ("", &[r][..]),
            (", two roots in the file", &[f, r]),
            (", another root in the file", &[f]),
            (", upper in the file", &[u, r]),
            (", lower in the file", &[l, r]),
            (", all in the file", &[l, u, r]),
            (", only upper in the file", &[u]),
            (", only lower in the file", &[l]),
            (", both in the file without the root", &[u, l]),
            (", only the leaf in the file", &[&leaf.der]),
        ] {
            table.judge(format!("{what}{how}"), &leaf, issuers, roots);
        }
    };
    sent("in order", &[l, u]);
    sent("with the root", &[l, u, r]);
    sent("reversed", &[r, u, l]);
    sent("duplicates", &[l, l, u, u, l]);
    sent("out of order, with a foreign certificate", &[u, f, l]);
    sent("the lower missing", &[u]);
    sent("the upper missing", &[l]);
    sent("both missing", &[]);
    sent("only foreign", &[f]);
    sent("the leaf again", &[&leaf.der, l, u]);
    let copies = [vec![l; 58], vec![u; 58], vec![r; 58]].concat();
    sent("58 copies each", &copies);
}

fn partial(table: &mut Table) {
    let root = Authority::root("Root");
    let leaf = root.issue(Draft::leaf(&[NAME]));
    table.judge(
        "a leaf in the file, without its CA",
        &leaf,
        &[],
        &[&leaf.der],
    );
    table.judge(
        "a leaf in the file, before its CA",
        &leaf,
        &[],
        &[&leaf.der, &root.der],
    );
    table.judge(
        "a leaf in the file, after its CA",
        &leaf,
        &[],
        &[&root.der, &leaf.der],
    );
}

/// Adds cases in which authorities with the same name have different keys.
fn same_name(table: &mut Table) {
    let root = Authority::root("Root");
    let middle = root.issue(Draft::ca("Middle"));
    let leaf = middle.issue(Draft::leaf(&[NAME]));
    let others: Vec<Authority> = (0..40).map(|_| root.issue(Draft::ca("Middle"))).collect();
    for number in [1, 3, 4, 5, 10, 40] {
        let some: Vec<&[u8]> = others[..number]
            .iter()
            .map(|other| other.der.as_slice())
            .collect();
        let name = format!("{number} other CAs with the issuer's name");
        let first = [&[&middle.der[..]], &some[..]].concat();
        table.judge(
            format!("{name}, the issuer first"),
            &leaf,
            &first,
            &[&root.der],
        );
        let last = [&some[..], &[&middle.der]].concat();
        table.judge(
            format!("{name}, the issuer last"),
            &leaf,
            &last,
            &[&root.der],
        );
    }
    let impostor = Authority::root("Root");
    let of_root = root.issue(Draft::leaf(&[NAME]));
    table.judge(
        "a root with the same name and another key",
        &of_root,
        &[],
        &[&impostor.der],
    );
    table.judge(
        "another root with the same name before the root",
        &of_root,
        &[],
        &[&impostor.der, &root.der],
    );
    table.judge(
        "another root with the same name after the root",
        &of_root,
        &[],
        &[&root.der, &impostor.der],
    );
    let rsa = Draft::ca("Root").self_signed(Key::rsa(2048));
    table.judge(
        "another root with the same name and another kind of key before the root",
        &of_root,
        &[],
        &[&rsa.der, &root.der],
    );
    // All issuers in this chain have the same name.
    let b = root.issue(Draft::ca("Root"));
    let c = b.issue(Draft::ca("Root"));
    let same = c.issue(Draft::leaf(&[NAME]));
    table.judge(
        "all with the same name",
        &same,
        &[&c.der, &b.der],
        &[&root.der],
    );
    table.judge(
        "all with the same name, reversed",
        &same,
        &[&b.der, &c.der],
        &[&root.der],
    );
}

fn long(table: &mut Table) {
    for length in [1, 2, 4, 5, 6, 7, 8, 9, 12, 30, 98, 99, 100, 101] {
        let root = Authority::root("Root");
        let mut path = vec![root.issue(Draft::ca("CA 1"))];
        for number in 2..=length {
            let next = path
                .last()
                .expect("a CA")
                .issue(Draft::ca(&format!("CA {number}")));
            path.push(next);
        }
        let leaf = path.last().expect("a CA").issue(Draft::leaf(&[NAME]));
        let issuers: Vec<&[u8]> = path.iter().rev().map(|ca| ca.der.as_slice()).collect();
        table.judge(
            format!("{length} intermediates"),
            &leaf,
            &issuers,
            &[&root.der],
        );
    }
}

/// Adds cases in which the issuer's certificate and the issued certificate spell the issuer's name
/// differently.
fn spellings(table: &mut Table) {
    let of = |tag, text: &[u8]| name(&[(CN, tag, text)]);
    let as_cased = of(UTF8, b"my  root ");
    let spellings = [
        ("as PrintableString", of(PRINTABLE, b"My Root")),
        ("as TeletexString", of(TELETEX, b"My Root")),
        ("as BMPString", of(BMP, &utf16("My Root"))),
        ("as UniversalString", of(UNIVERSAL, &utf32("My Root"))),
        ("in other case and spaces", as_cased),
        ("as NumericString", of(18, b"My Root")),
        (
            "with an additional part",
            name(&[(CN, UTF8, b"My Root"), (O, UTF8, b"x")]),
        ),
        ("without a space", of(UTF8, b"MyRoot")),
        (
            "both in one part",
            tlv(
                0x30,
                &[&tlv(
                    0x31,
                    &[&tlv(
                        0x30,
                        &[&crate::forge::oid(CN), &tlv(UTF8, &[b"My Root"])],
                    )],
                )],
            ),
        ),
    ];
    let root = Draft::ca("My Root").self_signed(Key::new());
    let middle = root.issue(Draft::ca("My Root"));
    for (what, spelling) in spellings {
        let other = Draft {
            issuer: Some(spelling),
            ..Draft::leaf(&[NAME])
        };
        let leaf = root.issue(other);
        table.judge(format!("the root {what}"), &leaf, &[], &[&root.der]);
    }
    let leaf = middle.issue(Draft {
        issuer: Some(of(PRINTABLE, b"My Root")),
        ..Draft::leaf(&[NAME])
    });
    table.judge(
        "an intermediate as PrintableString",
        &leaf,
        &[&middle.der],
        &[&root.der],
    );
    let low = root.issue(Draft::ca("My Middle"));
    for (what, spelling) in [
        ("PrintableString", of(PRINTABLE, b"My Middle")),
        ("lower case", of(UTF8, b"my middle")),
    ] {
        let leaf = low.issue(Draft {
            issuer: Some(spelling),
            ..Draft::leaf(&[NAME])
        });
        table.judge(
            format!("an intermediate's name in {what}"),
            &leaf,
            &[&low.der],
            &[&root.der],
        );
    }
}

/// Adds cases about the extensions authorityKeyIdentifier and subjectKeyIdentifier.
fn identifiers(table: &mut Table) {
    let subject = |id: &[u8]| extension("2.5.29.14", false, &tlv(4, &[id]));
    let authority = |id: &[u8]| extension("2.5.29.35", false, &tlv(0x30, &[&tlv(0x80, &[id])]));
    let by_serial = |issuer: &[u8], serial: &[u8]| {
        let general = tlv(0xa1, &[&tlv(0xa4, &[issuer])]);
        extension(
            "2.5.29.35",
            false,
            &tlv(0x30, &[&general, &tlv(0x82, &[serial])]),
        )
    };
    let root = Draft::ca("Root")
        .with(subject(b"ABC"))
        .self_signed(Key::new());
    for (what, identifier) in [
        ("the right identifier", authority(b"ABC")),
        ("a wrong identifier", authority(b"XYZ")),
        ("an empty identifier", authority(b"")),
        ("by issuer and serial", by_serial(&cn("Root"), &[1, 2, 3])),
        ("by issuer and a wrong serial", by_serial(&cn("Root"), &[9])),
        ("by a wrong issuer", by_serial(&cn("Other"), &[1, 2, 3])),
        ("broken", extension("2.5.29.35", false, &[0x30, 9])),
    ] {
        let leaf = root.issue(Draft::leaf(&[NAME]).with(identifier.clone()));
        table.judge(
            format!("authority key identifier: {what}"),
            &leaf,
            &[],
            &[&root.der],
        );
        let middle = root.issue(Draft::ca("Middle").with(identifier));
        let leaf = middle.issue(Draft::leaf(&[NAME]));
        table.judge(
            format!("authority key identifier of an intermediate: {what}"),
            &leaf,
            &[&middle.der],
            &[&root.der],
        );
    }
    let other = Draft::ca("Root")
        .with(subject(b"DEF"))
        .self_signed(Key::new());
    let leaf = root.issue(Draft::leaf(&[NAME]).with(authority(b"ABC")));
    table.judge(
        "the identifier selects one of two roots",
        &leaf,
        &[],
        &[&other.der, &root.der],
    );
    let broken = Draft::ca("Root")
        .with(extension("2.5.29.14", false, &[4, 9]))
        .self_signed(Key::new());
    let leaf = broken.issue(Draft::leaf(&[NAME]));
    table.judge(
        "a root with a broken identifier",
        &leaf,
        &[],
        &[&broken.der],
    );
}
