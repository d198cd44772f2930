//! Cases with unusual versions, serial numbers, strings and sizes.

use super::{NAME, Table};
use crate::forge::{
    BMP, CN, Draft, Key, O, TELETEX, UNIVERSAL, UTF8, cn, extension, name, utf16, utf32,
};

pub fn cases(table: &mut Table) {
    for (what, serial) in [
        ("serial number 0", vec![0]),
        ("a negative serial number", vec![0x80, 1]),
        ("a serial number of 20 bytes", vec![0x7f; 20]),
        ("a serial number of 21 bytes", vec![0x7f; 21]),
        ("a serial number of 40 bytes", vec![0x7f; 40]),
        (
            "a serial number with an unnecessary leading zero",
            vec![0, 0, 1],
        ),
        ("an empty serial number", vec![]),
    ] {
        everywhere(table, what, |draft| Draft {
            serial: serial.clone(),
            ..draft
        });
    }
    for (what, organisation) in [
        ("UniversalString", (O, UNIVERSAL, utf32("Zürich AG"))),
        ("BMPString", (O, BMP, utf16("Zürich AG"))),
        ("TeletexString", (O, TELETEX, b"Z\xfcrich AG".to_vec())),
        ("broken UTF-8", (O, UTF8, b"Z\xfcrich AG".to_vec())),
        ("a BMPString with an odd length", (O, BMP, b"abc".to_vec())),
        ("an empty string", (O, UTF8, vec![])),
        ("a NumericString with letters", (O, 18, b"abc".to_vec())),
        ("control characters", (O, UTF8, b"a\x1b[31m\nb".to_vec())),
        ("a VisibleString", (O, 26, b"abc".to_vec())),
        ("a BIT STRING", (O, 3, vec![0, 1])),
        ("an unknown attribute", ("1.2.3.4.5", UTF8, b"x".to_vec())),
        ("10 000 bytes", (O, UTF8, vec![b'x'; 10_000])),
    ] {
        let (attribute, tag, bytes) = organisation;
        everywhere(table, &format!("a name with {what}"), |draft| {
            let common: &[u8] = match draft.extensions == Draft::leaf(&[NAME]).extensions {
                true => b"a server",
                false => b"Authority",
            };
            Draft {
                subject: name(&[(CN, UTF8, common), (attribute, tag, &bytes)]),
                ..draft
            }
        });
    }
    versions(table);
    table.leaf(
        "an empty subject",
        Draft {
            subject: name(&[]),
            ..Draft::leaf(&[NAME])
        },
    );
    let large = extension("1.2.3.4", false, &[7; 30_000]);
    table.leaf("30 kB", Draft::leaf(&[NAME]).with(large));
    let mut many = Draft::leaf(&[NAME]);
    for number in 0..200 {
        many = many.with(extension(&format!("1.2.3.4.{number}"), false, &[5, 0]));
    }
    table.leaf("200 unknown extensions", many);
    let empty = Draft {
        subject: name(&[]),
        ..Draft::ca("")
    };
    let root = empty.self_signed(Key::new());
    let leaf = root.issue(Draft::leaf(&[NAME]));
    table.judge("a root without a name", &leaf, &[], &[&root.der]);
}

/// Adds cases in which a leaf, an intermediate or a root has this change. The case with the root
/// uses --warn-cert-days, so that sni-check also reads the dates. So does a second case with a leaf.
fn everywhere(table: &mut Table, what: &str, change: impl Fn(Draft) -> Draft) {
    table
        .everywhere(what, &change)
        .with("", "--warn-cert-days 9");
    let name = format!("leaf: {what}, with --warn-cert-days");
    let leaf = table.leaf(&name, change(Draft::leaf(&[NAME])));
    leaf.with("", "--warn-cert-days 9");
}

fn versions(table: &mut Table) {
    for (what, version) in [("1", 0), ("2", 1), ("4", 3), ("100", 99)] {
        for (with, extensions) in [("", true), (" without extensions", false)] {
            everywhere(table, &format!("version {what}{with}"), |draft| {
                let is_leaf = draft.subject == cn("a server");
                let subject = if is_leaf {
                    cn(NAME)
                } else {
                    draft.subject.clone()
                };
                let kept = if extensions {
                    draft.extensions.clone()
                } else {
                    vec![]
                };
                Draft {
                    version,
                    subject,
                    extensions: kept,
                    ..draft
                }
            });
        }
    }
}
