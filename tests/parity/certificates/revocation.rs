//! Revocation lists.

use super::{NAME, Table};
use crate::forge::{
    Authority, CRL_SIGN, Draft, KEY_CERT_SIGN, Key, List, days, extension, key_usage, pem, tlv,
};

pub fn cases(table: &mut Table) {
    of_the_root(table);
    of_all(table);
}

fn of_the_root(table: &mut Table) {
    let root = Authority::root("Root");
    let other = Authority::root("Other");
    let impostor = Authority::root("Root");
    let leaf = root.issue(Draft {
        serial: vec![7],
        ..Draft::leaf(&[NAME])
    });
    let list = |list: List| root.revoke(&list);
    let usual = || list(List::new(&[]));
    let number = extension("2.5.29.20", false, &[2, 1, 1]);
    for (what, lists) in [
        ("an empty list", vec![usual()]),
        (
            "a list with other certificates",
            vec![list(List::new(&[9]))],
        ),
        ("a list with the leaf", vec![list(List::new(&[7]))]),
        (
            "a list with many certificates",
            vec![list(List::new(&[1, 2, 3, 4, 5, 6, 7, 8]))],
        ),
        (
            "version 1",
            vec![list(List {
                version: None,
                extensions: vec![],
                ..List::new(&[])
            })],
        ),
        (
            "version 1, with the leaf",
            vec![list(List {
                version: None,
                extensions: vec![],
                ..List::new(&[7])
            })],
        ),
        (
            "version 2 without extensions",
            vec![list(List {
                extensions: vec![],
                ..List::new(&[])
            })],
        ),
        (
            "no next update",
            vec![list(List {
                next_update: None,
                ..List::new(&[])
            })],
        ),
        (
            "expired",
            vec![list(List {
                next_update: Some(days(-2)),
                ..List::new(&[])
            })],
        ),
        (
            "not begun",
            vec![list(List {
                this_update: days(2),
                ..List::new(&[])
            })],
        ),
        ("a list of another CA", vec![other.revoke(&List::new(&[]))]),
        ("a forged list", vec![impostor.revoke(&List::new(&[]))]),
        (
            "a list of another CA, and the right list",
            vec![other.revoke(&List::new(&[])), usual()],
        ),
        (
            "an expired list of another CA, and the right list",
            vec![
                other.revoke(&List {
                    next_update: Some(days(-2)),
                    ..List::new(&[])
                }),
                usual(),
            ],
        ),
        (
            "expired, then current",
            vec![
                list(List {
                    next_update: Some(days(-2)),
                    ..List::new(&[])
                }),
                usual(),
            ],
        ),
        (
            "current, then expired",
            vec![
                usual(),
                list(List {
                    next_update: Some(days(-2)),
                    ..List::new(&[])
                }),
            ],
        ),
        (
            "expired, then current with the leaf",
            vec![
                list(List {
                    next_update: Some(days(-2)),
                    ..List::new(&[])
                }),
                list(List::new(&[7])),
            ],
        ),
        (
            "expired with the leaf, then current",
            vec![
                list(List {
                    next_update: Some(days(-2)),
                    ..List::new(&[7])
                }),
                usual(),
            ],
        ),
        (
            "empty, then with the leaf",
            vec![usual(), list(List::new(&[7]))],
        ),
        (
            "with the leaf, then empty",
            vec![list(List::new(&[7])), usual()],
        ),
        (
            "forged, then right",
            vec![impostor.revoke(&List::new(&[])), usual()],
        ),
        (
            "an unknown critical extension",
            vec![list(List {
                extensions: vec![number.clone(), extension("1.2.3.4", true, &[5, 0])],
                ..List::new(&[])
            })],
        ),
        (
            "an unknown extension",
            vec![list(List {
                extensions: vec![number.clone(), extension("1.2.3.4", false, &[5, 0])],
                ..List::new(&[])
            })],
        ),
        (
            "with the leaf, on hold",
            vec![list(List {
                reason: Some(6),
                ..List::new(&[7])
            })],
        ),
        (
            "with the leaf, removed again",
            vec![list(List {
                reason: Some(8),
                ..List::new(&[7])
            })],
        ),
        (
            "with the leaf, and a reason",
            vec![list(List {
                reason: Some(1),
                ..List::new(&[7])
            })],
        ),
        (
            "a delta",
            vec![list(List {
                extensions: vec![number.clone(), extension("2.5.29.27", true, &[2, 1, 1])],
                ..List::new(&[])
            })],
        ),
        (
            "indirect",
            vec![list(List {
                extensions: vec![
                    number.clone(),
                    extension("2.5.29.28", true, &tlv(0x30, &[&[0x84, 1, 0xff]])),
                ],
                ..List::new(&[])
            })],
        ),
        (
            "for users",
            vec![list(List {
                extensions: vec![
                    number.clone(),
                    extension("2.5.29.28", true, &tlv(0x30, &[&[0x81, 1, 0xff]])),
                ],
                ..List::new(&[])
            })],
        ),
        (
            "for CAs",
            vec![list(List {
                extensions: vec![
                    number,
                    extension("2.5.29.28", true, &tlv(0x30, &[&[0x82, 1, 0xff]])),
                ],
                ..List::new(&[])
            })],
        ),
        ("broken", vec![b"hello".to_vec()]),
        ("none", vec![]),
    ] {
        let text: String = lists.iter().map(|list| pem("X509 CRL", list)).collect();
        let file = table.file("list.pem", &text);
        table
            .judge(
                &format!("list: {what}"),
                &[&leaf.der],
                &leaf.key,
                &[&root.der],
            )
            .with(&format!("crl-file {file}"), &format!("--crl-file {file}"));
    }
    let no_lists = Draft::ca("Root")
        .with(key_usage(KEY_CERT_SIGN))
        .self_signed(Key::new());
    let only_lists = Draft::ca("Root")
        .with(key_usage(KEY_CERT_SIGN | CRL_SIGN))
        .self_signed(Key::new());
    for (what, root) in [
        ("not to sign lists", no_lists),
        ("to sign lists", only_lists),
    ] {
        let leaf = root.issue(Draft::leaf(&[NAME]));
        let file = table.file("list.pem", &pem("X509 CRL", &root.revoke(&List::new(&[]))));
        table
            .judge(
                &format!("list of a root {what}"),
                &[&leaf.der],
                &leaf.key,
                &[&root.der],
            )
            .with(&format!("crl-file {file}"), &format!("--crl-file {file}"));
    }
    let alone = Draft::leaf(&[NAME]).self_signed(Key::new());
    let file = table.file("list.pem", &pem("X509 CRL", &alone.revoke(&List::new(&[]))));
    table
        .judge(
            "list of a self-signed certificate",
            &[&alone.der],
            &alone.key,
            &[&alone.der],
        )
        .with(&format!("crl-file {file}"), &format!("--crl-file {file}"));
}

/// A chain needs a list of each issuer.
fn of_all(table: &mut Table) {
    let root = Draft {
        serial: vec![1],
        ..Draft::ca("Root")
    }
    .self_signed(Key::new());
    let middle = root.issue(Draft {
        serial: vec![2],
        ..Draft::ca("Middle")
    });
    let leaf = middle.issue(Draft {
        serial: vec![3],
        ..Draft::leaf(&[NAME])
    });
    let ended = || List {
        next_update: Some(days(-2)),
        ..List::new(&[])
    };
    let empty = || List::new(&[]);
    for (what, of_root, of_middle) in [
        ("both lists", Some(empty()), Some(empty())),
        ("only the root's list", Some(empty()), None),
        ("only the intermediate's list", None, Some(empty())),
        (
            "the intermediate revoked",
            Some(List::new(&[2])),
            Some(empty()),
        ),
        ("the root revoked", Some(List::new(&[1])), Some(empty())),
        ("the leaf revoked", Some(empty()), Some(List::new(&[3]))),
        ("the root's list expired", Some(ended()), Some(empty())),
        (
            "the intermediate's list expired",
            Some(empty()),
            Some(ended()),
        ),
        (
            "the intermediate's list has version 1",
            Some(empty()),
            Some(List {
                version: None,
                extensions: vec![],
                ..empty()
            }),
        ),
    ] {
        let lists = [
            of_root.map(|list| root.revoke(&list)),
            of_middle.map(|list| middle.revoke(&list)),
        ];
        let text: String = lists
            .iter()
            .flatten()
            .map(|list| pem("X509 CRL", list))
            .collect();
        let file = table.file("list.pem", &text);
        table
            .judge(
                &format!("lists of a chain: {what}"),
                &[&leaf.der, &middle.der],
                &leaf.key,
                &[&root.der],
            )
            .with(&format!("crl-file {file}"), &format!("--crl-file {file}"));
    }
}
