//! Cases about what a CA may issue: the path length, and the names.

use super::{NAME, Table};
use crate::forge::{Authority, Draft, Key, alternative_names, basic, cn, extension, name, tlv};

pub fn cases(table: &mut Table) {
    path_lengths(table);
    name_constraints(table);
}

fn path_lengths(table: &mut Table) {
    // The path lengths of the root, the upper intermediate and the lower intermediate.
    for limits in [
        [None, None, None],
        [Some(0), None, None],
        [Some(1), None, None],
        [Some(2), None, None],
        [None, Some(0), None],
        [None, Some(1), None],
        [None, None, Some(0)],
        [Some(2), Some(1), Some(0)],
    ] {
        let ca = |name, limit| match limit {
            None => Draft::ca(name),
            limit => Draft::ca(name).with(basic(true, limit)),
        };
        let root = ca("Root", limits[0]).self_signed(Key::new());
        let upper = root.issue(ca("Upper", limits[1]));
        let lower = upper.issue(ca("Lower", limits[2]));
        let leaf = lower.issue(Draft::leaf(&[NAME]));
        let name = format!("path lengths {limits:?}");
        table.judge(&name, &leaf, &[&lower.der, &upper.der], &[&root.der]);
        // A certificate that a CA has issued to itself, for another key, doesn't count towards the
        // path length.
        let again = upper.issue(ca("Upper", limits[2]));
        let leaf = again.issue(Draft::leaf(&[NAME]));
        let name = format!("{name}, self-issued");
        table.judge(name, &leaf, &[&again.der, &upper.der], &[&root.der]);
    }
}

fn name_constraints(table: &mut Table) {
    let part = |tag: u8, content: &[u8]| tlv(0x30, &[&tlv(tag, &[content])]);
    let permitted =
        |parts: &[u8]| extension("2.5.29.30", true, &tlv(0x30, &[&tlv(0xa0, &[parts])]));
    let excluded = |parts: &[u8]| extension("2.5.29.30", true, &tlv(0x30, &[&tlv(0xa1, &[parts])]));
    let dns = |text: &str| part(0x82, text.as_bytes());
    let ten = part(0x87, &[10, 0, 0, 0, 255, 0, 0, 0]);
    let directory = part(0xa4, &cn("a server"));
    let constraints = [
        ("permitted example.test", permitted(&dns("example.test"))),
        ("permitted .example.test", permitted(&dns(".example.test"))),
        ("permitted www.example.test", permitted(&dns(NAME))),
        ("permitted ample.test", permitted(&dns("ample.test"))),
        ("permitted other.test", permitted(&dns("other.test"))),
        ("permitted nothing", permitted(&dns(""))),
        ("permitted in capitals", permitted(&dns("EXAMPLE.test"))),
        ("excluded example.test", excluded(&dns("example.test"))),
        ("excluded .example.test", excluded(&dns(".example.test"))),
        ("excluded other.test", excluded(&dns("other.test"))),
        ("excluded everything", excluded(&dns(""))),
        ("permitted 10.0.0.0/8", permitted(&ten)),
        ("excluded 10.0.0.0/8", excluded(&ten)),
        ("permitted mail", permitted(&part(0x81, b"example.test"))),
        ("permitted URI", permitted(&part(0x86, b"example.test"))),
        ("permitted a directory name", permitted(&directory)),
        ("excluded a directory name", excluded(&directory)),
        (
            "permitted another directory name",
            permitted(&part(0xa4, &cn("other"))),
        ),
        (
            "permitted an empty directory name",
            permitted(&part(0xa4, &name(&[]))),
        ),
        (
            "not critical",
            extension(
                "2.5.29.30",
                false,
                &tlv(0x30, &[&tlv(0xa0, &[&dns("other.test")])]),
            ),
        ),
        ("empty", extension("2.5.29.30", true, &tlv(0x30, &[]))),
        ("broken", extension("2.5.29.30", true, &[0x30, 9])),
        (
            "with a minimum",
            permitted(&tlv(
                0x30,
                &[&tlv(0x82, &[b"example.test"]), &tlv(0x80, &[&[1]])],
            )),
        ),
    ];
    let with_address = alternative_names(&[(2, NAME.as_bytes()), (7, &[127, 0, 0, 1])]);
    let leaves = [
        ("DNS name", Draft::leaf(&[NAME])),
        ("wildcard", Draft::leaf(&["*.example.test"])),
        ("common name", Draft::new(cn(NAME))),
        (
            "another DNS name and the common name",
            Draft::new(cn(NAME)).with(crate::forge::dns(&["www.other.test"])),
        ),
        (
            "DNS name and address",
            Draft::new(cn("a server")).with(with_address),
        ),
        (
            "no subject",
            Draft {
                subject: name(&[]),
                ..Draft::leaf(&[NAME])
            },
        ),
    ];
    for (what, constraint) in constraints {
        let root = Authority::root("Root");
        let middle = root.issue(Draft::ca("Middle").with(constraint.clone()));
        let strict = Draft::ca("Root")
            .with(constraint.clone())
            .self_signed(Key::new());
        let below = strict.issue(Draft::ca("Middle"));
        for (kind, draft) in &leaves {
            let leaf = middle.issue(draft.clone());
            let of = format!("name constraints: {what}; {kind}");
            table.judge(&of, &leaf, &[&middle.der], &[&root.der]);
            let leaf = below.issue(draft.clone());
            table.judge(
                format!("{of}; in the root"),
                &leaf,
                &[&below.der],
                &[&strict.der],
            );
        }
    }
}
