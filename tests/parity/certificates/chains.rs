//! Which certificates lead from the server's to a root.

use super::{NAME, Table};
use crate::forge::{
    Authority, BMP, CLIENT_AUTH, CN, DIGITAL_SIGNATURE, Draft, KEY_CERT_SIGN, Key, O, PRINTABLE,
    SERVER_AUTH, TELETEX, UNIVERSAL, UTF8, basic, cn, days, extended_usage, extension, key_usage,
    name, tlv, utf16, utf32,
};

pub fn cases(table: &mut Table) {
    orders(table);
    partial(table);
    self_signed(table);
    renewed(table);
    crossed(table);
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
    let (r, u, l, f) = (&root.der, &upper.der, &lower.der, &foreign.der);
    let mut sent = |what: &str, issuers: &[&Vec<u8>]| {
        let mut all: Vec<&[u8]> = vec![&leaf.der];
        all.extend(issuers.iter().map(|der| der.as_slice()));
        table.judge(what, &all, &leaf.key, &[r]);
        table.judge(&format!("{what}, of two roots"), &all, &leaf.key, &[f, r]);
        table.judge(&format!("{what}, of another root"), &all, &leaf.key, &[f]);
        table.judge(
            &format!("{what}, upper in the file"),
            &all,
            &leaf.key,
            &[u, r],
        );
        table.judge(
            &format!("{what}, lower in the file"),
            &all,
            &leaf.key,
            &[l, r],
        );
        table.judge(
            &format!("{what}, all in the file"),
            &all,
            &leaf.key,
            &[l, u, r],
        );
        table.judge(
            &format!("{what}, upper alone in the file"),
            &all,
            &leaf.key,
            &[u],
        );
        table.judge(
            &format!("{what}, lower alone in the file"),
            &all,
            &leaf.key,
            &[l],
        );
        table.judge(
            &format!("{what}, both but the root"),
            &all,
            &leaf.key,
            &[u, l],
        );
        table.judge(
            &format!("{what}, the leaf in the file"),
            &all,
            &leaf.key,
            &[&leaf.der],
        );
    };
    sent("in order", &[l, u]);
    sent("with the root", &[l, u, r]);
    sent("reversed", &[r, u, l]);
    sent("duplicates", &[l, l, u, u, l]);
    sent("shuffled with foreign", &[u, f, l]);
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
        "a leaf of a CA in the file, without its CA",
        &[&leaf.der],
        &leaf.key,
        &[&leaf.der],
    );
    table.judge(
        "a leaf of a CA in the file, before its CA",
        &[&leaf.der],
        &leaf.key,
        &[&leaf.der, &root.der],
    );
    table.judge(
        "a leaf of a CA in the file, after its CA",
        &[&leaf.der],
        &leaf.key,
        &[&root.der, &leaf.der],
    );
}

fn self_signed(table: &mut Table) {
    let usual = || Draft::leaf(&[NAME]);
    for (what, draft) in [
        ("plain", usual()),
        ("a CA", usual().with(basic(true, None))),
        ("a CA for 0 more", usual().with(basic(true, Some(0)))),
        ("no CA", usual().with(basic(false, None))),
        (
            "for servers",
            usual().with(extended_usage(&[SERVER_AUTH], false)),
        ),
        (
            "for clients",
            usual().with(extended_usage(&[CLIENT_AUTH], false)),
        ),
        (
            "to sign certificates only",
            usual().with(key_usage(KEY_CERT_SIGN)),
        ),
        ("to sign", usual().with(key_usage(DIGITAL_SIGNATURE))),
        (
            "to sign both",
            usual().with(key_usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN)),
        ),
        ("ended", usual().between(days(-9), days(-2))),
        ("not begun", usual().between(days(2), days(9))),
        ("for another name", Draft::leaf(&["other.test"])),
        (
            "with an unknown critical extension",
            usual().with(extension("1.2.3.4", true, &[5, 0])),
        ),
        (
            "with an unknown extension",
            usual().with(extension("1.2.3.4", false, &[5, 0])),
        ),
        (
            "version 1",
            Draft {
                version: 0,
                extensions: vec![],
                ..Draft::new(cn(NAME))
            },
        ),
    ] {
        let leaf = draft.self_signed(Key::new());
        let other = Authority::root("Root");
        table.judge(
            &format!("self-signed in the file: {what}"),
            &[&leaf.der],
            &leaf.key,
            &[&leaf.der],
        );
        table.judge(
            &format!("self-signed in a file of two: {what}"),
            &[&leaf.der],
            &leaf.key,
            &[&other.der, &leaf.der],
        );
        table.judge(
            &format!("self-signed not in the file: {what}"),
            &[&leaf.der],
            &leaf.key,
            &[&other.der],
        );
        table.judge(
            &format!("self-signed sent twice: {what}"),
            &[&leaf.der, &leaf.der],
            &leaf.key,
            &[&leaf.der],
        );
    }
    let root = Authority::root("a server");
    let mimic = Draft::leaf(&[NAME]).self_signed(Key::new());
    table.judge(
        "self-signed with a root's name",
        &[&mimic.der],
        &mimic.key,
        &[&root.der],
    );
    let twin = mimic.renewed(&Draft::leaf(&[NAME]).between(days(-2), days(50)));
    table.judge(
        "self-signed, made again, the old one in the file",
        &[&twin],
        &mimic.key,
        &[&mimic.der],
    );
    table.judge(
        "self-signed, made again, both in the file",
        &[&twin],
        &mimic.key,
        &[&mimic.der, &twin],
    );
    table.judge(
        "self-signed, made again, both in the file, new first",
        &[&twin],
        &mimic.key,
        &[&twin, &mimic.der],
    );
    table.judge("the root itself", &[&root.der], &root.key, &[&root.der]);
    let named = Draft::ca(NAME).self_signed(Key::new());
    table.judge(
        "the root itself, of the right name",
        &[&named.der],
        &named.key,
        &[&named.der],
    );
}

/// A root made again with its name and key.
fn renewed(table: &mut Table) {
    let draft = |begin, end| Draft::ca("Root").between(days(begin), days(end));
    let root = draft(-900, 100).self_signed(Key::new());
    let leaf = root.issue(Draft::leaf(&[NAME]));
    let middle = root.issue(Draft::ca("Middle"));
    let low = middle.issue(Draft::leaf(&[NAME]));
    let old = root.renewed(&draft(-900, -2));
    let older = root.renewed(&draft(-900, -20));
    let early = root.renewed(&draft(9, 900));
    let long = root.renewed(&draft(-9, 900));
    let no_ca = root.renewed(&draft(-9, 800).with(basic(false, None)));
    let clients = root.renewed(&draft(-9, 700).with(extended_usage(&[CLIENT_AUTH], false)));
    let now = root.der.clone();
    let sets: [(&str, &[&Vec<u8>]); 18] = [
        ("old", &[&old]),
        ("old, now", &[&old, &now]),
        ("now, old", &[&now, &old]),
        ("early, now", &[&early, &now]),
        ("now, early", &[&now, &early]),
        ("old, early", &[&old, &early]),
        ("early, old", &[&early, &old]),
        ("old, older, early, long", &[&old, &older, &early, &long]),
        ("old, older", &[&old, &older]),
        ("older, old", &[&older, &old]),
        ("now, long", &[&now, &long]),
        ("no CA, now", &[&no_ca, &now]),
        ("now, no CA", &[&now, &no_ca]),
        ("for clients, now", &[&clients, &now]),
        ("now, for clients", &[&now, &clients]),
        ("old, for clients", &[&old, &clients]),
        ("for clients, old", &[&clients, &old]),
        ("now, now", &[&now, &now]),
    ];
    for (what, roots) in sets {
        let roots: Vec<&[u8]> = roots.iter().map(|der| der.as_slice()).collect();
        table.judge(
            &format!("renewed root: {what}"),
            &[&leaf.der],
            &leaf.key,
            &roots,
        );
        table.judge(
            &format!("renewed root: {what}, an intermediate"),
            &[&low.der, &middle.der],
            &low.key,
            &roots,
        );
    }
    table.judge(
        "the old root is sent",
        &[&leaf.der, &old],
        &leaf.key,
        &[&now],
    );
    // An intermediate made again.
    let ended = root.certify(
        &Draft::ca("Middle").between(days(-9), days(-2)),
        &middle.key,
    );
    let sets: [(&str, &[&Vec<u8>]); 4] = [
        ("ended", &[&ended]),
        ("ended, now", &[&ended, &middle.der]),
        ("now, ended", &[&middle.der, &ended]),
        ("none", &[]),
    ];
    for (sent_words, sent) in sets {
        for (file_words, file) in sets {
            let mut all: Vec<&[u8]> = vec![&low.der];
            all.extend(sent.iter().map(|der| der.as_slice()));
            let mut roots: Vec<&[u8]> = vec![&now];
            roots.extend(file.iter().map(|der| der.as_slice()));
            let what = format!("renewed intermediate: {sent_words} sent, {file_words} in the file");
            table.judge(&what, &all, &low.key, &roots);
        }
    }
}

fn crossed(table: &mut Table) {
    let (a, b) = (Authority::root("A"), Authority::root("B"));
    let middle = a.issue(Draft::ca("Middle"));
    let by_b = b.certify(&Draft::ca("Middle"), &middle.key);
    let leaf = middle.issue(Draft::leaf(&[NAME]));
    let a_by_b = b.certify(&Draft::ca("A"), &a.key);
    let b_by_a = a.certify(&Draft::ca("B"), &b.key);
    let old_a = a.renewed(&Draft::ca("A").between(days(-9), days(-2)));
    let m = &middle.der;
    let sent: [(&str, &[&Vec<u8>]); 9] = [
        ("by A", &[m]),
        ("by B", &[&by_b]),
        ("by A, by B", &[m, &by_b]),
        ("by B, by A", &[&by_b, m]),
        ("by A, A by B", &[m, &a_by_b]),
        ("by A, A, A by B", &[m, &a.der, &a_by_b]),
        ("by A, A by B, A", &[m, &a_by_b, &a.der]),
        ("by A, A by B, B", &[m, &a_by_b, &b.der]),
        ("by A, in a circle", &[m, &a_by_b, &b_by_a]),
    ];
    let files: [(&str, &[&Vec<u8>]); 7] = [
        ("A", &[&a.der]),
        ("B", &[&b.der]),
        ("both", &[&a.der, &b.der]),
        ("ended A, B", &[&old_a, &b.der]),
        ("A by B, B", &[&a_by_b, &b.der]),
        ("A by B", &[&a_by_b]),
        ("A by B, A", &[&a_by_b, &a.der]),
    ];
    for (sent_words, sent) in sent {
        for (file_words, file) in files {
            let mut all: Vec<&[u8]> = vec![&leaf.der];
            all.extend(sent.iter().map(|der| der.as_slice()));
            let roots: Vec<&[u8]> = file.iter().map(|der| der.as_slice()).collect();
            let what = format!("crossed: {sent_words} sent; {file_words} in the file");
            table.judge(&what, &all, &leaf.key, &roots);
        }
    }
}

/// Other keys under the same name.
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
        let first = [&[&leaf.der[..], &middle.der], &some[..]].concat();
        let last = [&[&leaf.der[..]], &some[..], &[&middle.der]].concat();
        table.judge(
            &format!("{number} others of its issuer's name after it"),
            &first,
            &leaf.key,
            &[&root.der],
        );
        table.judge(
            &format!("{number} others of its issuer's name before it"),
            &last,
            &leaf.key,
            &[&root.der],
        );
    }
    let impostor = Authority::root("Root");
    let of_root = root.issue(Draft::leaf(&[NAME]));
    table.judge(
        "a root of the same name and another key",
        &[&of_root.der],
        &of_root.key,
        &[&impostor.der],
    );
    table.judge(
        "a root of the same name before",
        &[&of_root.der],
        &of_root.key,
        &[&impostor.der, &root.der],
    );
    table.judge(
        "a root of the same name after",
        &[&of_root.der],
        &of_root.key,
        &[&root.der, &impostor.der],
    );
    let rsa = Draft::ca("Root").self_signed(Key::rsa(2048));
    table.judge(
        "a root of the same name and another kind of key before",
        &[&of_root.der],
        &of_root.key,
        &[&rsa.der, &root.der],
    );
    // A chain in which everybody has the same name.
    let b = root.issue(Draft::ca("Root"));
    let c = b.issue(Draft::ca("Root"));
    let same = c.issue(Draft::leaf(&[NAME]));
    table.judge(
        "all of one name",
        &[&same.der, &c.der, &b.der],
        &same.key,
        &[&root.der],
    );
    table.judge(
        "all of one name, reversed",
        &[&same.der, &b.der, &c.der],
        &same.key,
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
                .expect("one")
                .issue(Draft::ca(&format!("CA {number}")));
            path.push(next);
        }
        let leaf = path.last().expect("one").issue(Draft::leaf(&[NAME]));
        let mut sent: Vec<&[u8]> = vec![&leaf.der];
        sent.extend(path.iter().rev().map(|ca| ca.der.as_slice()));
        table.judge(
            &format!("{length} intermediates"),
            &sent,
            &leaf.key,
            &[&root.der],
        );
    }
}

/// The same name, spelled differently by the issuer and by whom it issued.
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
            "with one more part",
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
        table.judge(
            &format!("the root {what}"),
            &[&leaf.der],
            &leaf.key,
            &[&root.der],
        );
    }
    let leaf = middle.issue(Draft {
        issuer: Some(of(PRINTABLE, b"My Root")),
        ..Draft::leaf(&[NAME])
    });
    table.judge(
        "an intermediate as PrintableString",
        &[&leaf.der, &middle.der],
        &leaf.key,
        &[&root.der],
    );
    let low = root.issue(Draft::ca("My Middle"));
    for (what, spelling) in [
        ("PrintableString", of(PRINTABLE, b"My Middle")),
        ("small letters", of(UTF8, b"my middle")),
    ] {
        let leaf = low.issue(Draft {
            issuer: Some(spelling),
            ..Draft::leaf(&[NAME])
        });
        table.judge(
            &format!("an intermediate's name in {what}"),
            &[&leaf.der, &low.der],
            &leaf.key,
            &[&root.der],
        );
    }
}

/// authorityKeyIdentifier and subjectKeyIdentifier.
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
        ("the right one", authority(b"ABC")),
        ("a wrong one", authority(b"XYZ")),
        ("an empty one", authority(b"")),
        ("by issuer and serial", by_serial(&cn("Root"), &[1, 2, 3])),
        ("by issuer and a wrong serial", by_serial(&cn("Root"), &[9])),
        ("by a wrong issuer", by_serial(&cn("Other"), &[1, 2, 3])),
        ("broken", extension("2.5.29.35", false, &[0x30, 9])),
    ] {
        let leaf = root.issue(Draft::leaf(&[NAME]).with(identifier.clone()));
        table.judge(
            &format!("authority key identifier: {what}"),
            &[&leaf.der],
            &leaf.key,
            &[&root.der],
        );
        let middle = root.issue(Draft::ca("Middle").with(identifier));
        let leaf = middle.issue(Draft::leaf(&[NAME]));
        table.judge(
            &format!("authority key identifier of an intermediate: {what}"),
            &[&leaf.der, &middle.der],
            &leaf.key,
            &[&root.der],
        );
    }
    let other = Draft::ca("Root")
        .with(subject(b"DEF"))
        .self_signed(Key::new());
    let leaf = root.issue(Draft::leaf(&[NAME]).with(authority(b"ABC")));
    table.judge(
        "the identifier chooses among two roots",
        &[&leaf.der],
        &leaf.key,
        &[&other.der, &root.der],
    );
    let broken = Draft::ca("Root")
        .with(extension("2.5.29.14", false, &[4, 9]))
        .self_signed(Key::new());
    let leaf = broken.issue(Draft::leaf(&[NAME]));
    table.judge(
        "a root with a broken identifier",
        &[&leaf.der],
        &leaf.key,
        &[&broken.der],
    );
}
