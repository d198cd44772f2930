//! Systematic cases with revocation lists. They show which list OpenSSL uses for a certificate, and
//! how it reads the extensions of a list and of its entries.

use super::{NAME, Table};
use crate::forge::{
    Algorithm, Authority, BMP, CN, Draft, Key, List, O, PRINTABLE, UTF8, cn, days, entry,
    extension, generalized, name, oid, pem, tlv, utf16,
};

const NUMBER: &str = "2.5.29.20";
const REASON: &str = "2.5.29.21";
const INVALIDITY: &str = "2.5.29.24";
const DELTA: &str = "2.5.29.27";
const POINT: &str = "2.5.29.28";
const ENTRY_ISSUER: &str = "2.5.29.29";
const POINTS: &str = "2.5.29.31";
const AUTHORITY: &str = "2.5.29.35";
const KEY_ID: &str = "2.5.29.14";
const FRESHEST: &str = "2.5.29.46";

/// A chain to test lists with: a root, an intermediate and a leaf. Only some versions of HAProxy
/// need a list for the root itself.
struct Scene {
    root: Authority,
    middle: Authority,
    leaf: Authority,
    /// The index of the case without lists.
    case: usize,
    name: String,
}

const LEAF: &[u8] = &[0x77];

impl Scene {
    /// Builds a chain with these changes to the intermediate and the leaf. Adds a case without
    /// lists.
    fn new(
        table: &mut Table,
        name: impl Into<String>,
        middle: impl Fn(Draft) -> Draft,
        leaf: impl Fn(Draft) -> Draft,
    ) -> Scene {
        let root = Authority::root("Root");
        let middle = root.issue(middle(with_serial(&[0x70], Draft::ca("Middle"))));
        let leaf = middle.issue(leaf(with_serial(LEAF, Draft::leaf(&[NAME]))));
        let name = name.into();
        let case = format!("{name}, no lists");
        Scene::with_case(table, case, name, root, middle, leaf)
    }

    /// Builds an unchanged chain, and adds a case without lists.
    fn usual(table: &mut Table, name: impl Into<String>) -> Scene {
        Scene::new(table, name, |middle| middle, |leaf| leaf)
    }

    /// Builds a chain from this root and this intermediate, which issues the leaf. Adds a case
    /// without lists.
    fn of(table: &mut Table, name: String, root: Authority, middle: Authority) -> Scene {
        let leaf = middle.issue(with_serial(LEAF, Draft::leaf(&[NAME])));
        Scene::with_case(table, name.clone(), name, root, middle, leaf)
    }

    fn with_case(
        table: &mut Table,
        case: String,
        name: String,
        root: Authority,
        middle: Authority,
        leaf: Authority,
    ) -> Scene {
        table.judge(case, &leaf, &[&middle.der], &[&root.der]);
        Scene {
            root,
            middle,
            leaf,
            case: table.cases.len() - 1,
            name,
        }
    }

    /// Adds a case with this list, which the intermediate signs, and the root's usual list.
    fn judge_list(&self, table: &mut Table, what: &str, list: &List) {
        self.judge(table, what, &[self.middle.revoke(list)]);
    }

    /// Adds a case with these lists and the usual list of the root.
    fn judge(&self, table: &mut Table, what: &str, lists: &[Vec<u8>]) {
        let usual = self.root.revoke(&clean());
        self.judge_exactly(table, what, &[&[usual][..], lists].concat());
    }

    fn judge_exactly(&self, table: &mut Table, what: &str, lists: &[Vec<u8>]) {
        let text: String = lists.iter().map(|list| pem("X509 CRL", list)).collect();
        self.judge_text(table, what, &text);
    }

    fn judge_text(&self, table: &mut Table, what: &str, text: &str) {
        let file = table.file("list.pem", text);
        let (theirs, ours) = (format!("crl-file {file}"), format!("--crl-file {file}"));
        table.again(format!("{}: {what}", self.name), self.case, &theirs, &ours);
    }
}

fn with_serial(serial: &[u8], draft: Draft) -> Draft {
    Draft {
        serial: serial.to_vec(),
        ..draft
    }
}

/// Returns a list that revokes nothing.
fn clean() -> List {
    List::new(&[])
}

/// Returns a list that revokes the leaf.
fn revoking() -> List {
    List::new(LEAF)
}

pub fn cases(table: &mut Table) {
    scopes(table);
    pairs(table);
    authorities(table);
    list_extensions(table);
    entry_extensions(table);
    issuers(table);
    namesakes(table);
    times(table);
    signatures(table);
    forms(table);
    files(table);
    deltas(table);
}

fn uri(text: &str) -> Vec<u8> {
    tlv(0x86, &[text.as_bytes()])
}

fn directory(name: &[u8]) -> Vec<u8> {
    tlv(0xa4, &[name])
}

/// Returns a DistributionPointName of these GeneralNames.
fn full(names: &[Vec<u8>]) -> Vec<u8> {
    tlv(0xa0, &[&tlv(0xa0, &[&names.concat()])])
}

/// Returns a DistributionPointName relative to the issuer.
fn relative(text: &str) -> Vec<u8> {
    let attribute = tlv(0x30, &[&oid(CN), &tlv(UTF8, &[text.as_bytes()])]);
    tlv(0xa0, &[&tlv(0xa1, &[&attribute])])
}

/// Returns a BIT STRING with this tag and no unused bits.
fn bits(tag: u8, bytes: &[u8]) -> Vec<u8> {
    tlv(tag, &[&[0], bytes])
}

const ONE: &str = "http://lists.example.test/one.crl";
const TWO: &str = "http://lists.example.test/two.crl";

/// Returns values of cRLDistributionPoints. This extension of a certificate says where its lists
/// are.
fn points() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let point = |parts: &[Vec<u8>]| tlv(0x30, &[&parts.concat()]);
    let some = |byte| bits(0x81, &[byte]);
    let one = || full(&[uri(ONE)]);
    let two = || full(&[uri(TWO)]);
    let middle = || cn("Middle");
    let joined = name(&[(CN, UTF8, b"Middle"), (CN, UTF8, b"lists")]);
    vec![
        ("a place", vec![point(&[one()])]),
        ("another place", vec![point(&[two()])]),
        ("two places", vec![point(&[one()]), point(&[two()])]),
        (
            "two names of a place",
            vec![point(&[full(&[uri(ONE), uri(TWO)])])],
        ),
        (
            "a directory",
            vec![point(&[full(&[directory(&cn("lists"))])])],
        ),
        ("a relative name", vec![point(&[relative("lists")])]),
        (
            "a relative name in full",
            vec![point(&[full(&[directory(&joined)])])],
        ),
        (
            "cRLIssuer Middle",
            vec![point(&[one(), tlv(0xa2, &[&directory(&middle())])])],
        ),
        (
            "cRLIssuer Other",
            vec![point(&[one(), tlv(0xa2, &[&directory(&cn("Other"))])])],
        ),
        (
            "only cRLIssuer Middle",
            vec![point(&[tlv(0xa2, &[&directory(&middle())])])],
        ),
        (
            "only cRLIssuer Other",
            vec![point(&[tlv(0xa2, &[&directory(&cn("Other"))])])],
        ),
        (
            "a URI as cRLIssuer",
            vec![point(&[one(), tlv(0xa2, &[&uri(ONE)])])],
        ),
        ("some reasons", vec![point(&[one(), some(0x60)])]),
        (
            "every reason",
            vec![point(&[one(), bits(0x81, &[0x7f, 0x80])])],
        ),
        ("no reason", vec![point(&[one(), some(0)])]),
        (
            "reasons in two places",
            vec![
                point(&[one(), bits(0x81, &[0x70])]),
                point(&[two(), bits(0x81, &[0x0f, 0x80])]),
            ],
        ),
        (
            "some reasons, then all",
            vec![point(&[one(), some(0x60)]), point(&[one()])],
        ),
        ("nothing", vec![point(&[])]),
        ("only reasons", vec![point(&[some(0x60)])]),
        ("no points", vec![]),
        ("an invalid point", vec![tlv(4, &[b"x"])]),
    ]
}

/// Returns values of issuingDistributionPoint. This extension limits the scope of a list.
fn scopes_of_lists() -> Vec<(&'static str, Option<Vec<u8>>)> {
    let yes = |tag| tlv(tag, &[&[0xff]]);
    let point = |parts: &[Vec<u8>]| Some(tlv(0x30, &[&parts.concat()]));
    let joined = name(&[(CN, UTF8, b"Middle"), (CN, UTF8, b"lists")]);
    vec![
        ("no scope", None),
        ("an empty scope", point(&[])),
        ("a place", point(&[full(&[uri(ONE)])])),
        ("another place", point(&[full(&[uri(TWO)])])),
        (
            "a place in capitals",
            point(&[full(&[uri(&ONE.to_uppercase())])]),
        ),
        (
            "two names of a place",
            point(&[full(&[uri(TWO), uri(ONE)])]),
        ),
        ("a directory", point(&[full(&[directory(&cn("LISTS"))])])),
        ("a relative name", point(&[relative("lists")])),
        (
            "a relative name in full",
            point(&[full(&[directory(&joined)])]),
        ),
        ("a place without names", point(&[full(&[])])),
        ("users", point(&[yes(0x81)])),
        ("authorities", point(&[yes(0x82)])),
        ("attributes", point(&[yes(0x85)])),
        ("users and authorities", point(&[yes(0x81), yes(0x82)])),
        ("users: false", point(&[tlv(0x81, &[&[0]])])),
        ("some reasons", point(&[bits(0x83, &[0x60])])),
        ("every reason", point(&[bits(0x83, &[0x7f, 0x80])])),
        ("indirect", point(&[yes(0x84)])),
        ("indirect: false", point(&[tlv(0x84, &[&[0]])])),
        ("users, and a place", point(&[full(&[uri(ONE)]), yes(0x81)])),
        (
            "authorities, and a place",
            point(&[full(&[uri(ONE)]), yes(0x82)]),
        ),
        ("a broken scope", Some(b"hello".to_vec())),
        (
            "a scope with an unknown field",
            point(&[tlv(0x86, &[&[0xff]])]),
        ),
    ]
}

fn scope(value: &Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let value = value.as_ref();
    value.map_or_else(Vec::new, |value| vec![extension(POINT, true, value)])
}

fn point_scene(table: &mut Table, what: &str, points: Option<&[Vec<u8>]>, of_ca: bool) -> Scene {
    let with = |draft: Draft| match points {
        Some(points) => {
            let value = tlv(0x30, &[&points.concat()]);
            draft.with(extension(POINTS, false, &value))
        }
        None => draft,
    };
    match of_ca {
        false => Scene::new(table, what, |middle| middle, with),
        true => Scene::new(
            table,
            what,
            |middle| middle,
            |leaf| with(leaf.with(crate::forge::basic(true, None))),
        ),
    }
}

/// Adds cases with each value of `points` in a certificate and each value of `scopes_of_lists` in a
/// list. Also adds cases with each scope for a CA certificate, and in the root's list.
fn scopes(table: &mut Table) {
    let mut all: Vec<(&str, Option<Vec<Vec<u8>>>)> = vec![("points absent", None)];
    all.extend(
        points()
            .into_iter()
            .map(|(what, value)| (what, Some(value))),
    );
    for (what, value) in &all {
        let scene = point_scene(table, &format!("points: {what}"), value.as_deref(), false);
        for (of_list, value) in scopes_of_lists() {
            let list = clean().with(&scope(&value));
            scene.judge_list(table, &format!("list scope: {of_list}"), &list);
        }
    }
    let scene = point_scene(table, "a server that uses a CA certificate", None, true);
    for (of_list, value) in scopes_of_lists() {
        let list = clean().with(&scope(&value));
        scene.judge_list(table, &format!("list scope: {of_list}"), &list);
    }
    // Here the root's list has the scope. This list is for the intermediate and for the root itself.
    let scene = point_scene(table, "lists of the root", None, false);
    for (of_list, value) in scopes_of_lists() {
        let lists = [
            scene.root.revoke(&clean().with(&scope(&value))),
            scene.middle.revoke(&clean()),
        ];
        scene.judge_exactly(table, &format!("list scope: {of_list}"), &lists);
    }
}

/// Adds cases with two lists, of which only one revokes the certificate. The verdict shows which
/// list OpenSSL uses.
fn pairs(table: &mut Table) {
    let mut all: Vec<(&str, Option<Vec<Vec<u8>>>)> = vec![("points absent", None)];
    let chosen = [
        "a place",
        "two places",
        "reasons in two places",
        "cRLIssuer Middle",
    ];
    let named = points()
        .into_iter()
        .filter(|(what, _)| chosen.contains(what));
    all.extend(named.map(|(what, value)| (what, Some(value))));
    for (what, value) in &all {
        let scene = point_scene(
            table,
            &format!("two lists, {what}"),
            value.as_deref(),
            false,
        );
        for (row, (one, first)) in scopes_of_lists().into_iter().enumerate() {
            for (column, (other, second)) in scopes_of_lists().into_iter().take(13).enumerate() {
                // The table has only a third of the pairs, but some from every row and column.
                if (row + column) % 3 != 0 {
                    continue;
                }
                let clean = clean().with(&scope(&first));
                let revoking = List {
                    this_update: days(-3),
                    ..revoking().with(&scope(&second))
                };
                let lists = [scene.middle.revoke(&clean), scene.middle.revoke(&revoking)];
                let what = format!("clean list: {one}; revoking list: {other}");
                scene.judge(table, &what, &lists);
            }
        }
    }
    let scene = point_scene(table, "two lists by age", None, false);
    for (what, first, second) in [
        ("older clean list", (-5, &[][..]), (-3, LEAF)),
        ("newer clean list", (-3, &[][..]), (-5, LEAF)),
        ("same age, clean list first", (-3, &[][..]), (-3, LEAF)),
        ("same age, clean list last", (-3, LEAF), (-3, &[][..])),
        ("clean list from the future", (3, &[][..]), (-3, LEAF)),
        ("revoking list from the future", (-3, &[][..]), (3, LEAF)),
    ] {
        let list = |(age, serials): (i64, &[u8])| {
            scene.middle.revoke(&List {
                this_update: days(age),
                ..List::new(serials)
            })
        };
        scene.judge(table, what, &[list(first), list(second)]);
        let critical = extension(NUMBER, true, &[2, 1, 1]);
        let newer = scene.middle.revoke(&List {
            extensions: vec![critical],
            ..clean()
        });
        let what = format!("{what}, and a list with a critical number");
        scene.judge(table, &what, &[list(first), list(second), newer]);
    }
}

/// Adds cases with a list's authorityKeyIdentifier. This extension identifies the list's issuer.
fn authorities(table: &mut Table) {
    let own_id: &[u8] = b"own key";
    let key_id = |id: &[u8]| extension(KEY_ID, false, &tlv(4, &[id]));
    let with_id = |middle: Draft| middle.with(key_id(own_id));
    let key = |id: &[u8]| tlv(0x80, &[id]);
    let serial = |number: u8| tlv(0x82, &[&[number]]);
    let issuer = |name: &[u8]| tlv(0xa1, &[&directory(name)]);
    for (what, has_id) in [("with a key id", true), ("without a key id", false)] {
        let scene = Scene::new(
            table,
            format!("authority {what}"),
            |middle| if has_id { with_id(middle) } else { middle },
            |leaf| leaf,
        );
        for (what, value) in [
            ("its key", vec![key(own_id)]),
            ("another key", vec![key(b"other key")]),
            ("an empty key", vec![key(b"")]),
            ("nothing", vec![]),
            ("its serial number", vec![issuer(&cn("Root")), serial(0x70)]),
            (
                "another serial number",
                vec![issuer(&cn("Root")), serial(0x71)],
            ),
            ("another issuer", vec![issuer(&cn("Other")), serial(0x70)]),
            (
                "its issuer in capitals",
                vec![issuer(&cn("ROOT")), serial(0x70)],
            ),
            ("only its issuer", vec![issuer(&cn("Root"))]),
            ("only another issuer", vec![issuer(&cn("Other"))]),
            ("only its serial number", vec![serial(0x70)]),
            ("only another serial number", vec![serial(0x71)]),
            (
                "its key and another serial number",
                vec![key(own_id), serial(0x71)],
            ),
            (
                "another key and its serial number",
                vec![key(b"x"), serial(0x70)],
            ),
            (
                "a URI for its issuer",
                vec![tlv(0xa1, &[&uri(ONE)]), serial(0x70)],
            ),
            (
                "a URI and its issuer",
                vec![
                    tlv(0xa1, &[&uri(ONE), &directory(&cn("Root"))]),
                    serial(0x70),
                ],
            ),
            (
                "two issuers, its own last",
                vec![tlv(0xa1, &[&directory(&cn("x")), &directory(&cn("Root"))])],
            ),
            ("an unknown field", vec![tlv(0x87, &[b"x"])]),
        ] {
            for critical in [false, true] {
                let value = tlv(0x30, &[&value.concat()]);
                let list = clean().with(&[extension(AUTHORITY, critical, &value)]);
                let what = if critical {
                    format!("{what}, critical")
                } else {
                    what.to_owned()
                };
                scene.judge_list(table, &what, &list);
            }
        }
        for (what, other) in [("clean", clean()), ("revoking", revoking())] {
            let wrong = tlv(0x30, &[&key(b"other key")]);
            let right = tlv(0x30, &[&key(own_id)]);
            let of = |list: List, value: &[u8]| {
                scene
                    .middle
                    .revoke(&list.with(&[extension(AUTHORITY, false, value)]))
            };
            let lists = [of(clean(), &wrong), of(other, &right)];
            scene.judge(
                table,
                &format!("a clean list with another key, a {what} list with its key"),
                &lists,
            );
        }
    }
}

/// Adds cases with extensions of a list, critical and not critical.
fn list_extensions(table: &mut Table) {
    let scene = Scene::usual(table, "extensions of a list");
    let number = || extension(NUMBER, false, &[2, 1, 1]);
    for (what, kind, value) in [
        ("a number", NUMBER, vec![2, 1, 1]),
        ("a broken number", NUMBER, b"hello".to_vec()),
        ("freshest", FRESHEST, tlv(0x30, &[])),
        ("unknown", "1.2.3.4", vec![5, 0]),
        ("an issuer's names", "2.5.29.18", tlv(0x30, &[&uri(ONE)])),
        ("authority access", "1.3.6.1.5.5.7.1.1", tlv(0x30, &[])),
        (
            "expired certificates",
            "2.5.29.60",
            generalized("20200101000000Z"),
        ),
        ("key usage", "2.5.29.15", tlv(3, &[&[1, 6]])),
        ("names of a subject", "2.5.29.17", tlv(0x30, &[&uri(ONE)])),
        ("a scope", POINT, tlv(0x30, &[])),
        ("a broken scope", POINT, vec![1]),
        ("an authority", AUTHORITY, tlv(0x30, &[])),
        ("a broken authority", AUTHORITY, vec![1]),
        ("a broken delta", DELTA, vec![1]),
    ] {
        for critical in [false, true] {
            for (serials, named) in [(&[][..], "clean"), (LEAF, "revoking")] {
                let list = List {
                    extensions: vec![extension(kind, critical, &value)],
                    ..List::new(serials)
                };
                let how = if critical { "critical" } else { "not critical" };
                let what = format!("{what}, {how}, {named}");
                scene.judge_list(table, &what, &list);
            }
        }
        let twice = clean().with(&[
            extension(kind, false, &value),
            extension(kind, false, &value),
        ]);
        scene.judge_list(table, &format!("{what}, twice"), &twice);
        let after = clean().with(&[
            extension("1.2.3.4", true, &[5, 0]),
            extension(kind, false, &value),
        ]);
        scene.judge_list(
            table,
            &format!("{what}, after an unknown critical extension"),
            &after,
        );
    }
    let trailing = extension(
        POINT,
        true,
        &[&tlv(0x30, &[&tlv(0x82, &[&[0xff]])])[..], b"x"].concat(),
    );
    for (what, extensions) in [
        ("a scope with an extra byte", vec![number(), trailing]),
        (
            "two scopes",
            vec![
                extension(POINT, true, &tlv(0x30, &[&tlv(0x82, &[&[0xff]])])),
                extension(POINT, true, &tlv(0x30, &[])),
            ],
        ),
        ("an invalid extension", vec![tlv(0x30, &[b"x"])]),
        ("an empty extension", vec![tlv(0x30, &[])]),
    ] {
        let list = List {
            extensions,
            ..clean()
        };
        scene.judge_list(table, what, &list);
    }
}

/// Adds cases with extensions of the leaf's entry or of another certificate's entry.
fn entry_extensions(table: &mut Table) {
    let scene = Scene::usual(table, "extensions of an entry");
    let issuer = |name: &[u8]| tlv(0x30, &[&directory(name)]);
    let mut kinds: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for critical in [false, true] {
        let how = if critical { "critical" } else { "not critical" };
        for (what, kind, value) in [
            ("a reason", REASON, vec![10, 1, 1]),
            ("removed", REASON, vec![10, 1, 8]),
            ("on hold", REASON, vec![10, 1, 6]),
            ("a reason of two bytes", REASON, vec![10, 2, 1, 8]),
            ("a negative reason", REASON, vec![10, 1, 0xf8]),
            ("a broken reason", REASON, vec![10, 0]),
            ("a reason as INTEGER", REASON, vec![2, 1, 8]),
            ("removed, with an extra byte", REASON, vec![10, 1, 8, 0]),
            ("invalidity", INVALIDITY, generalized("20200101000000Z")),
            ("broken invalidity", INVALIDITY, b"hello".to_vec()),
            ("an instruction", "2.5.29.23", oid("1.2.840.10040.2.1")),
            ("unknown", "1.2.3.4", vec![5, 0]),
            ("its issuer", ENTRY_ISSUER, issuer(&cn("Middle"))),
            (
                "its issuer in capitals",
                ENTRY_ISSUER,
                issuer(&cn("MIDDLE")),
            ),
            ("another issuer", ENTRY_ISSUER, issuer(&cn("Other"))),
            ("an issuer's URI", ENTRY_ISSUER, tlv(0x30, &[&uri(ONE)])),
            ("no issuer", ENTRY_ISSUER, tlv(0x30, &[])),
            ("a broken issuer", ENTRY_ISSUER, b"hello".to_vec()),
        ] {
            kinds.push((
                format!("{what}, {how}"),
                vec![extension(kind, critical, &value)],
            ));
        }
    }
    let reason = |value: u8| extension(REASON, false, &[10, 1, value]);
    kinds.push(("two reasons".to_owned(), vec![reason(8), reason(1)]));
    kinds.push(("an empty extension".to_owned(), vec![tlv(0x30, &[])]));
    let plain = |serial: &[u8]| entry(serial, &[]);
    for (what, extensions) in &kinds {
        let odd = |serial: &[u8]| entry(serial, extensions);
        for (place, entries) in [
            ("in the leaf's entry", vec![odd(LEAF)]),
            ("in another entry", vec![odd(&[1])]),
            (
                "in another entry, before the leaf's",
                vec![odd(&[1]), plain(LEAF)],
            ),
            (
                "in another entry, after the leaf's",
                vec![plain(LEAF), odd(&[0x78])],
            ),
            (
                "in the leaf's entry, between others",
                vec![plain(&[0x76]), odd(LEAF), plain(&[0x78])],
            ),
            (
                "in the leaf's first entry of two",
                vec![odd(LEAF), plain(LEAF)],
            ),
            (
                "in the leaf's second entry of two",
                vec![plain(LEAF), odd(LEAF)],
            ),
        ] {
            let list = List { entries, ..clean() };
            let what = format!("{what}, {place}");
            scene.judge_list(table, &what, &list);
        }
    }
    // If an entry names no issuer, the issuer of the previous entry applies.
    let other = extension(ENTRY_ISSUER, true, &issuer(&cn("Other")));
    let own = extension(ENTRY_ISSUER, true, &issuer(&cn("Middle")));
    let broken_issuer = extension(ENTRY_ISSUER, true, b"hello");
    let broken_reason = extension(REASON, false, &[10, 0]);
    for (what, entries) in [
        (
            "an entry of another issuer, then the leaf's entry with a broken issuer",
            vec![
                entry(&[1], std::slice::from_ref(&other)),
                entry(LEAF, std::slice::from_ref(&broken_issuer)),
            ],
        ),
        (
            "an entry of another issuer, then the leaf's entry with a broken reason",
            vec![
                entry(&[1], std::slice::from_ref(&other)),
                entry(LEAF, std::slice::from_ref(&broken_reason)),
            ],
        ),
        (
            "the leaf's entry with another issuer and a broken reason",
            vec![entry(LEAF, &[other.clone(), broken_reason.clone()])],
        ),
        (
            "an entry of another issuer, an entry with a broken reason, then the leaf's entry",
            vec![
                entry(&[1], std::slice::from_ref(&other)),
                entry(&[2], std::slice::from_ref(&broken_reason)),
                plain(LEAF),
            ],
        ),
        (
            "an entry of another issuer, then the leaf's entry",
            vec![entry(&[1], std::slice::from_ref(&other)), plain(LEAF)],
        ),
        (
            "entries of another issuer and of its own, then the leaf's entry",
            vec![
                entry(&[1], std::slice::from_ref(&other)),
                entry(&[2], &[own]),
                plain(LEAF),
            ],
        ),
        (
            "the leaf's entry, then an entry of another issuer",
            vec![plain(LEAF), entry(&[0x78], &[other])],
        ),
    ] {
        let list = List { entries, ..clean() };
        scene.judge_list(table, what, &list);
    }
}

/// Adds cases in which a list spells its issuer's name differently, or names another issuer.
fn issuers(table: &mut Table) {
    let scene = Scene::usual(table, "issuer of a list");
    for (what, issuer) in [
        ("in capitals", cn("MIDDLE")),
        ("with spaces", cn("  Middle ")),
        ("as PrintableString", name(&[(CN, PRINTABLE, b"Middle")])),
        ("as BMPString", name(&[(CN, BMP, &utf16("middle"))])),
        ("another", cn("Middles")),
        ("empty", name(&[])),
        (
            "with an organisation",
            name(&[(CN, UTF8, b"Middle"), (O, UTF8, b"x")]),
        ),
        ("the root's", cn("Root")),
    ] {
        for (serials, named) in [(&[][..], "clean"), (LEAF, "revoking")] {
            let list = List {
                issuer: Some(issuer.clone()),
                ..List::new(serials)
            };
            let what = format!("{what}, {named}");
            scene.judge_list(table, &what, &list);
            let both = [scene.middle.revoke(&clean()), scene.middle.revoke(&list)];
            scene.judge(table, &format!("{what}, and the usual list"), &both);
        }
    }
}

/// Adds cases with several authorities that have the same name.
fn namesakes(table: &mut Table) {
    let key_id = |id: &[u8]| extension(KEY_ID, false, &tlv(4, &[id]));
    for (what, has_ids) in [("with key ids", true), ("without key ids", false)] {
        let with = |draft: Draft, id: &[u8]| {
            if has_ids {
                draft.with(key_id(id))
            } else {
                draft
            }
        };
        let root = with(Draft::ca("Same"), b"root").self_signed(Key::new());
        let middle = root.issue(with(with_serial(&[0x70], Draft::ca("Same")), b"middle"));
        let name = format!("one name for root and intermediate, {what}");
        let scene = Scene::of(table, name, root, middle);
        let authority = |id: &[u8]| extension(AUTHORITY, false, &tlv(0x30, &[&tlv(0x80, &[id])]));
        let of_root = |list: List| scene.root.revoke(&list.with(&[authority(b"root")]));
        let of_middle = |list: List| scene.middle.revoke(&list.with(&[authority(b"middle")]));
        for (what, lists) in [
            ("both lists", vec![of_root(clean()), of_middle(clean())]),
            (
                "both lists, the intermediate's first",
                vec![of_middle(clean()), of_root(clean())],
            ),
            ("only the root's list", vec![of_root(clean())]),
            ("only the intermediate's list", vec![of_middle(clean())]),
            (
                "both lists, the root's revokes the leaf's serial number",
                vec![of_root(revoking()), of_middle(clean())],
            ),
            (
                "both lists, the intermediate's revokes the leaf",
                vec![of_root(clean()), of_middle(revoking())],
            ),
            (
                "both lists, without authorityKeyIdentifier",
                vec![scene.root.revoke(&clean()), scene.middle.revoke(&clean())],
            ),
        ] {
            scene.judge_exactly(table, what, &lists);
        }
    }
    // The root has a new key, and has issued itself a certificate for this key.
    let root = Authority::root("Root");
    let new = root.issue(with_serial(&[0x70], Draft::ca("Root")));
    let scene = Scene::of(table, "a new key of the root".to_owned(), root, new);
    for (what, lists) in [
        ("only the old key's list", vec![scene.root.revoke(&clean())]),
        (
            "only the new key's list",
            vec![scene.middle.revoke(&clean())],
        ),
        (
            "both lists",
            vec![scene.root.revoke(&clean()), scene.middle.revoke(&clean())],
        ),
    ] {
        scene.judge_exactly(table, what, &lists);
    }
}

/// Adds cases with different values and encodings of thisUpdate and nextUpdate.
fn times(table: &mut Table) {
    let scene = Scene::usual(table, "times of a list");
    let utc = |text: &str| tlv(23, &[text.as_bytes()]);
    let forms = [
        (
            "GeneralizedTime",
            generalized("20200101000000Z"),
            generalized("20490101000000Z"),
        ),
        ("without seconds", utc("2001010000Z"), utc("4901010000Z")),
        (
            "with a zone",
            utc("200101000000+0000"),
            utc("490101000000+0000"),
        ),
        (
            "with a fraction",
            generalized("20200101000000.5Z"),
            generalized("20490101000000.5Z"),
        ),
        ("an invalid date", utc("hello"), utc("hello")),
        (
            "an impossible date",
            utc("201301000000Z"),
            utc("491301000000Z"),
        ),
        (
            "the years 1950 and 2150",
            utc("500101000000Z"),
            generalized("21500101000000Z"),
        ),
        (
            "before 1970",
            generalized("19600101000000Z"),
            generalized("20490101000000Z"),
        ),
    ];
    for (what, begin, end) in &forms {
        for (which, this_update, next_update) in [
            ("both", begin.clone(), Some(end.clone())),
            ("thisUpdate", begin.clone(), Some(days(9))),
            ("nextUpdate", days(-9), Some(end.clone())),
            ("thisUpdate without nextUpdate", begin.clone(), None),
        ] {
            let list = List {
                this_update,
                next_update,
                ..clean()
            };
            let what = format!("{what}, {which}");
            scene.judge_list(table, &what, &list);
        }
    }
    for (what, begin, end) in [
        ("expired a day ago", -9, -1),
        ("ends before it begins", -1, -9),
        ("begins in a day", 1, 9),
        ("begins in a day and has expired", 1, -1),
    ] {
        let list = List {
            this_update: days(begin),
            next_update: Some(days(end)),
            ..clean()
        };
        scene.judge_list(table, what, &list);
    }
}

/// Adds cases with different signatures of a list.
fn signatures(table: &mut Table) {
    let scene = Scene::usual(table, "signature of a list");
    for algorithm in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
        let list = List {
            algorithm: Some(Algorithm::Ecdsa(algorithm)),
            ..clean()
        };
        let what = format!("P-256 with {algorithm}");
        scene.judge_list(table, &what, &list);
        let list = List {
            inner_algorithm: Some(Algorithm::Ecdsa(algorithm)),
            ..clean()
        };
        let what = format!("P-256, signed field {algorithm}");
        scene.judge_list(table, &what, &list);
    }
    let other = Authority::root("Middle");
    for (what, lists) in [
        ("by a namesake", vec![other.revoke(&clean())]),
        (
            "by a namesake, and by the issuer",
            vec![other.revoke(&clean()), scene.middle.revoke(&clean())],
        ),
        (
            "by the issuer, and by a namesake",
            vec![scene.middle.revoke(&clean()), other.revoke(&clean())],
        ),
        (
            "by the leaf",
            vec![scene.leaf.revoke(&List {
                issuer: Some(cn("Middle")),
                ..clean()
            })],
        ),
    ] {
        scene.judge(table, what, &lists);
    }
    let mut broken = scene.middle.revoke(&clean());
    *broken.last_mut().expect("bytes") ^= 1;
    scene.judge(table, "broken", &[broken]);
    for (what, key) in [
        ("RSA", Key::rsa(2048)),
        ("P-384", Key::curve("P-384", "sha384")),
        ("P-521", Key::curve("P-521", "sha512")),
        ("Ed25519", Key::made(&["ED25519"], Algorithm::Ed25519)),
    ] {
        let root = Authority::root("Root");
        let middle = root.issue_to(Draft::ca("Middle"), key);
        let scene = Scene::of(table, format!("lists by {what}"), root, middle);
        for (serials, named) in [(&[][..], "clean"), (LEAF, "revoking")] {
            scene.judge_list(table, named, &List::new(serials));
        }
        if what == "RSA" {
            for algorithm in [
                Algorithm::Rsa("md5"),
                Algorithm::Rsa("sha1"),
                Algorithm::Rsa("sha512"),
                Algorithm::Pss("sha256"),
            ] {
                let list = List {
                    algorithm: Some(algorithm),
                    ..clean()
                };
                let what = format!("{algorithm:?}");
                scene.judge_list(table, &what, &list);
            }
        }
    }
}

/// Adds cases with unusual serial numbers, entries, versions and PEM files.
fn forms(table: &mut Table) {
    for (what, serial) in [
        ("of one byte", vec![0x77]),
        ("negative", vec![0x87]),
        ("zero", vec![0]),
        ("with a zero in front", vec![0, 0x87]),
        ("of 20 bytes", vec![0x77; 20]),
        ("of 40 bytes", vec![0x77; 40]),
        ("of 200 bytes", vec![0x77; 200]),
    ] {
        let name = format!("serial number {what}");
        let scene = Scene::new(
            table,
            &name,
            |middle| middle,
            |leaf| Draft {
                serial: serial.clone(),
                ..leaf
            },
        );
        let flipped = {
            let mut other = serial.clone();
            other[0] ^= 0x80;
            other
        };
        for (what, listed) in [
            ("listed", serial.clone()),
            ("with the sign bit flipped", flipped),
            ("with a byte appended", [&serial[..], &[1]].concat()),
            ("with a leading zero", [&[0], &serial[..]].concat()),
        ] {
            let list = List {
                entries: vec![entry(&[1], &[]), entry(&listed, &[]), entry(&[9], &[])],
                ..clean()
            };
            scene.judge_list(table, what, &list);
        }
    }
    let scene = Scene::usual(table, "form of a list");
    let long_form = tlv(0x30, &[&[2, 0x81, 1, 0x77], &days(-3)]);
    for (what, entries) in [
        ("a number in long form", vec![long_form]),
        ("an entry without a date", vec![tlv(0x30, &[&[2, 1, 0x55]])]),
        ("an empty entry", vec![tlv(0x30, &[])]),
        ("an invalid entry", vec![tlv(2, &[&[1]])]),
        (
            "an entry with an extra element",
            vec![tlv(0x30, &[&[2, 1, 1], &days(-3), &[5, 0]])],
        ),
        (
            "an entry with empty extensions",
            vec![tlv(0x30, &[&[2, 1, 1], &days(-3), &[0x30, 0]])],
        ),
        (
            "an invalid date",
            vec![tlv(0x30, &[&[2, 1, 1], &tlv(23, &[b"x"])])],
        ),
        (
            "a date of another kind",
            vec![tlv(0x30, &[&[2, 1, 1], &tlv(12, &[b"x"])])],
        ),
        (
            "unsorted",
            vec![entry(&[9], &[]), entry(LEAF, &[]), entry(&[1], &[])],
        ),
        ("twice", vec![entry(LEAF, &[]), entry(LEAF, &[])]),
    ] {
        let list = List { entries, ..clean() };
        scene.judge_list(table, what, &list);
    }
    let many: Vec<Vec<u8>> = (0..3000_u16)
        .map(|i| entry(&[&[1], &i.to_be_bytes()[..]].concat(), &[]))
        .collect();
    for (what, last) in [
        ("many other entries", vec![]),
        ("many entries, the leaf's last", vec![entry(LEAF, &[])]),
    ] {
        let list = List {
            entries: [many.clone(), last].concat(),
            ..clean()
        };
        scene.judge_list(table, what, &list);
    }
    for version in [0, 1, 2, 200] {
        let list = List {
            version: Some(version),
            ..clean()
        };
        let what = format!("version number {version}");
        scene.judge_list(table, &what, &list);
    }
    let usual = scene.middle.revoke(&clean());
    scene.judge(table, "extra bytes", &[[&usual[..], b"more"].concat()]);
    scene.judge(table, "truncated", &[usual[..usual.len() - 1].to_vec()]);
    let pem_of = |list: &[u8]| pem("X509 CRL", list);
    let text = format!("{}{}", pem_of(&scene.root.revoke(&clean())), pem_of(&usual));
    let (begin, body) = text.split_once('\n').expect("lines");
    for (what, text) in [
        ("CRLF", text.replace('\n', "\r\n")),
        ("a comment before the lists", format!("# lists\n{text}")),
        ("text after the lists", format!("{text}end\n")),
        ("a BOM before the lists", format!("\u{feff}{text}")),
        ("spaces at the ends of lines", text.replace('\n', " \n")),
        ("an empty line", text.replace('\n', "\n\n")),
        ("a space in a line", format!("{begin}\n {body}")),
        ("another label", text.replace("X509 CRL", "CRL")),
        ("without an END line", text[..text.len() - 30].to_owned()),
        ("no final newline", text.trim_end().to_owned()),
    ] {
        scene.judge_text(table, what, &text);
    }
}

/// Adds cases with lists in the CA file, and with certificates in the CRL file.
fn files(table: &mut Table) {
    let scene = Scene::usual(table, "files");
    let list = |authority: &Authority, serials: &[u8]| {
        pem("X509 CRL", &authority.revoke(&List::new(serials)))
    };
    let of_root = list(&scene.root, &[]);
    let (clean, revoking) = (list(&scene.middle, &[]), list(&scene.middle, LEAF));
    let root = pem("CERTIFICATE", &scene.root.der);
    let other = pem("CERTIFICATE", &Authority::root("Other").der);
    for (what, roots, lists) in [
        (
            "a clean list in the CA file",
            format!("{root}{clean}"),
            of_root.clone(),
        ),
        (
            "a revoking list in the CA file",
            format!("{root}{revoking}"),
            of_root.clone(),
        ),
        (
            "all lists in the CA file",
            format!("{root}{of_root}{clean}"),
            of_root.clone(),
        ),
        (
            "a revoking list in the CA file, clean lists in the CRL file",
            format!("{root}{revoking}"),
            format!("{of_root}{clean}"),
        ),
        (
            "the root only in the CRL file",
            other.clone(),
            format!("{of_root}{clean}{root}"),
        ),
        (
            "no lists, the root in the CRL file",
            root.clone(),
            root.clone(),
        ),
        (
            "another root in the CA file",
            other,
            format!("{of_root}{clean}"),
        ),
    ] {
        let roots = table.file("roots.pem", &roots);
        let lists = table.file("list.pem", &lists);
        let case = table.again(format!("files: {what}"), scene.case, "", "");
        case.server =
            format!("ssl verify required ca-file {roots} crl-file {lists} check-sni {NAME}");
        case.options = format!("--sni {NAME} --ca-file {roots} --crl-file {lists}");
        let without = format!("files: {what}; no crl-file");
        let case = table.again(&without, scene.case, "", "");
        case.server = format!("ssl verify required ca-file {roots} check-sni {NAME}");
        case.options = format!("--sni {NAME} --ca-file {roots}");
    }
}

/// Adds cases with delta lists, which contain only the changes since another list.
fn deltas(table: &mut Table) {
    let fresh = |draft: Draft| draft.with(extension(FRESHEST, false, &tlv(0x30, &[])));
    for (what, scene) in [
        ("usual", Scene::usual(table, "deltas")),
        (
            "fresh",
            Scene::new(table, "deltas, fresh", |middle| middle, fresh),
        ),
    ] {
        let number = |number| extension(NUMBER, false, &[2, 1, number]);
        let delta = |serials: &[u8], age: i64, reason: Option<u8>| {
            scene.middle.revoke(&List {
                this_update: days(age),
                reason,
                extensions: vec![number(5), extension(DELTA, true, &[2, 1, 1])],
                ..List::new(serials)
            })
        };
        let full = |serials: &[u8]| {
            scene.middle.revoke(&List {
                extensions: vec![number(1)],
                ..List::new(serials)
            })
        };
        for (case, lists) in [
            ("only a clean delta list", vec![delta(&[], -3, None)]),
            ("only a revoking delta list", vec![delta(LEAF, -3, None)]),
            (
                "a newer revoking delta list",
                vec![full(&[]), delta(LEAF, -1, None)],
            ),
            (
                "an older revoking delta list",
                vec![full(&[]), delta(LEAF, -9, None)],
            ),
            (
                "a newer clean delta list",
                vec![full(LEAF), delta(&[], -1, None)],
            ),
            (
                "a newer delta list that removes the leaf",
                vec![full(LEAF), delta(LEAF, -1, Some(8))],
            ),
            ("both lists clean", vec![full(&[]), delta(&[], -1, None)]),
        ] {
            scene.judge(table, &format!("{what}, {case}"), &lists);
        }
    }
}
