//! Cases with revocation lists.

use super::{NAME, Table};
use crate::forge::{
    Authority, CRL_SIGN, Draft, KEY_CERT_SIGN, Key, List, days, extension, key_usage, pem, tlv,
};

pub fn cases(table: &mut Table) {
    of_the_root(table);
    of_all(table);
}

/// Adds a case for a server whose checks use these lists.
fn judge(
    table: &mut Table,
    name: String,
    leaf: &Authority,
    issuers: &[&[u8]],
    root: &Authority,
    lists: &[Vec<u8>],
) {
    let text: String = lists.iter().map(|list| pem("X509 CRL", list)).collect();
    let file = table.file("list.pem", &text);
    let case = table.judge(name, leaf, issuers, &[&root.der]);
    case.with(&format!("crl-file {file}"), &format!("--crl-file {file}"));
}

/// Returns a list that has expired.
fn expired(revoked: &[u8]) -> List {
    List {
        next_update: Some(days(-2)),
        ..List::new(revoked)
    }
}

/// Returns a list with this extension in addition to its number.
fn extended(extension: Vec<u8>) -> List {
    List::new(&[]).with(&[extension])
}

/// Returns a list of version 1.
fn version_1(revoked: &[u8]) -> List {
    List {
        version: None,
        extensions: vec![],
        ..List::new(revoked)
    }
}

/// Returns a list with the leaf and this reason.
fn for_reason(reason: u8) -> List {
    List {
        reason: Some(reason),
        ..List::new(&[7])
    }
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
        ("version 1", vec![list(version_1(&[]))]),
        ("version 1, with the leaf", vec![list(version_1(&[7]))]),
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
        ("expired", vec![list(expired(&[]))]),
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
            vec![other.revoke(&expired(&[])), usual()],
        ),
        ("expired, then current", vec![list(expired(&[])), usual()]),
        ("current, then expired", vec![usual(), list(expired(&[]))]),
        (
            "expired, then current with the leaf",
            vec![list(expired(&[])), list(List::new(&[7]))],
        ),
        (
            "expired with the leaf, then current",
            vec![list(expired(&[7])), usual()],
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
            vec![list(extended(extension("1.2.3.4", true, &[5, 0])))],
        ),
        (
            "an unknown extension",
            vec![list(extended(extension("1.2.3.4", false, &[5, 0])))],
        ),
        ("with the leaf, on hold", vec![list(for_reason(6))]),
        (
            "with the leaf, with reason removeFromCRL",
            vec![list(for_reason(8))],
        ),
        ("with the leaf, and a reason", vec![list(for_reason(1))]),
        (
            "a delta",
            vec![list(extended(extension("2.5.29.27", true, &[2, 1, 1])))],
        ),
        (
            "indirect",
            vec![list(extended(extension(
                "2.5.29.28",
                true,
                &tlv(0x30, &[&[0x84, 1, 0xff]]),
            )))],
        ),
        (
            "for users",
            vec![list(extended(extension(
                "2.5.29.28",
                true,
                &tlv(0x30, &[&[0x81, 1, 0xff]]),
            )))],
        ),
        (
            "for CAs",
            vec![list(extended(extension(
                "2.5.29.28",
                true,
                &tlv(0x30, &[&[0x82, 1, 0xff]]),
            )))],
        ),
        ("broken", vec![b"hello".to_vec()]),
        ("none", vec![]),
    ] {
        judge(table, format!("list: {what}"), &leaf, &[], &root, &lists);
    }
    let no_lists = Draft::ca("Root")
        .with(key_usage(KEY_CERT_SIGN))
        .self_signed(Key::new());
    let with_lists = Draft::ca("Root")
        .with(key_usage(KEY_CERT_SIGN | CRL_SIGN))
        .self_signed(Key::new());
    for (what, root) in [("without cRLSign", no_lists), ("with cRLSign", with_lists)] {
        let leaf = root.issue(Draft::leaf(&[NAME]));
        let list = root.revoke(&List::new(&[]));
        judge(
            table,
            format!("list of a root {what}"),
            &leaf,
            &[],
            &root,
            &[list],
        );
    }
    let alone = Draft::leaf(&[NAME]).self_signed(Key::new());
    let list = alone.revoke(&List::new(&[]));
    let name = "list of a self-signed certificate".to_owned();
    judge(table, name, &alone, &[], &alone, &[list]);
}

/// Adds cases with a chain of two issuers. Such a chain needs a list from each issuer.
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
        ("the root's list expired", Some(expired(&[])), Some(empty())),
        (
            "the intermediate's list expired",
            Some(empty()),
            Some(expired(&[])),
        ),
        (
            "the intermediate's list has version 1",
            Some(empty()),
            Some(version_1(&[])),
        ),
    ] {
        let of_root = of_root.map(|list| root.revoke(&list));
        let lists: Vec<Vec<u8>> = of_root
            .into_iter()
            .chain(of_middle.map(|list| middle.revoke(&list)))
            .collect();
        let name = format!("lists of a chain: {what}");
        judge(table, name, &leaf, &[&middle.der], &root, &lists);
    }
}
