//! Cases with self-signed certificates, renewed certificates, and CAs with several issuers.

use super::{NAME, Table};
use crate::forge::{
    Authority, CLIENT_AUTH, DIGITAL_SIGNATURE, Draft, KEY_CERT_SIGN, Key, SERVER_AUTH, basic, cn,
    days, extended_usage, extension, key_usage,
};

pub fn cases(table: &mut Table) {
    self_signed(table);
    renewed(table);
    crossed(table);
}

fn self_signed(table: &mut Table) {
    let usual = || Draft::leaf(&[NAME]);
    for (what, draft) in [
        ("plain", usual()),
        ("a CA", usual().with(basic(true, None))),
        (
            "a CA with path length 0",
            usual().with(basic(true, Some(0))),
        ),
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
        ("expired", usual().between(days(-9), days(-2))),
        ("not begun", usual().between(days(2), days(9))),
        ("with another name", Draft::leaf(&["other.test"])),
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
            format!("self-signed in the file: {what}"),
            &leaf,
            &[],
            &[&leaf.der],
        );
        table.judge(
            format!("self-signed in a file of two: {what}"),
            &leaf,
            &[],
            &[&other.der, &leaf.der],
        );
        table.judge(
            format!("self-signed not in the file: {what}"),
            &leaf,
            &[],
            &[&other.der],
        );
        table.judge(
            format!("self-signed sent twice: {what}"),
            &leaf,
            &[&leaf.der],
            &[&leaf.der],
        );
    }
    let root = Authority::root("a server");
    let mut mimic = Draft::leaf(&[NAME]).self_signed(Key::new());
    table.judge("self-signed with a root's name", &mimic, &[], &[&root.der]);
    let old = mimic.der.clone();
    mimic.der = mimic.renewed(&Draft::leaf(&[NAME]).between(days(-2), days(50)));
    for (what, roots) in [
        ("the old one in the file", &[&old[..]][..]),
        ("both in the file", &[&old, &mimic.der]),
        ("both in the file, new first", &[&mimic.der, &old]),
    ] {
        table.judge(
            format!("self-signed, made again, {what}"),
            &mimic,
            &[],
            roots,
        );
    }
    table.judge("the root itself", &root, &[], &[&root.der]);
    let named = Draft::ca(NAME).self_signed(Key::new());
    table.judge(
        "the root itself, with the right name",
        &named,
        &[],
        &[&named.der],
    );
}

/// Adds cases with a root that was renewed with the same name and key.
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
    let sets: [(&str, &[&[u8]]); 18] = [
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
        table.judge(format!("renewed root: {what}"), &leaf, &[], roots);
        table.judge(
            format!("renewed root: {what}, an intermediate"),
            &low,
            &[&middle.der],
            roots,
        );
    }
    table.judge("the old root is sent", &leaf, &[&old], &[&now]);
    // The intermediate was renewed, and the server also sends the old certificate.
    let expired = root.certify(
        &Draft::ca("Middle").between(days(-9), days(-2)),
        &middle.key,
    );
    let sets: [(&str, &[&[u8]]); 4] = [
        ("expired", &[&expired]),
        ("expired, valid", &[&expired, &middle.der]),
        ("valid, expired", &[&middle.der, &expired]),
        ("none", &[]),
    ];
    for (sent_words, sent) in sets {
        for (file_words, file) in sets {
            let what = format!("renewed intermediate: {sent_words} sent, {file_words} in the file");
            table.judge(what, &low, sent, &[&[&now[..]], file].concat());
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
    let m: &[u8] = &middle.der;
    let sent: [(&str, &[&[u8]]); 9] = [
        ("by A", &[m]),
        ("by B", &[&by_b]),
        ("by A, by B", &[m, &by_b]),
        ("by B, by A", &[&by_b, m]),
        ("by A, A by B", &[m, &a_by_b]),
        ("by A, A, A by B", &[m, &a.der, &a_by_b]),
        ("by A, A by B, A", &[m, &a_by_b, &a.der]),
        ("by A, A by B, B", &[m, &a_by_b, &b.der]),
        ("by A, in a loop", &[m, &a_by_b, &b_by_a]),
    ];
    let files: [(&str, &[&[u8]]); 7] = [
        ("A", &[&a.der]),
        ("B", &[&b.der]),
        ("both", &[&a.der, &b.der]),
        ("expired A, B", &[&old_a, &b.der]),
        ("A by B, B", &[&a_by_b, &b.der]),
        ("A by B", &[&a_by_b]),
        ("A by B, A", &[&a_by_b, &a.der]),
    ];
    for (sent_words, sent) in sent {
        for (file_words, file) in files {
            let what = format!("crossed: {sent_words} sent; {file_words} in the file");
            table.judge(what, &leaf, sent, file);
        }
    }
}
