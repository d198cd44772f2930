//! Cases about the names in a certificate.

use super::{NAME, Table};
use crate::forge::{
    BMP, CN, Draft, IA5, O, PRINTABLE, TELETEX, UNIVERSAL, UTF8, alternative_names, cn, dns,
    extension, name, oid, tlv, utf16, utf32,
};

pub fn cases(table: &mut Table) {
    dns_names(table);
    other_servers(table);
    common_names(table);
    other_alternatives(table);
    verifyhost(table);
}

fn dns_names(table: &mut Table) {
    for names in [
        &["www.example.test"][..],
        &["WWW.Example.TEST"],
        &["*.example.test"],
        &["*.EXAMPLE.test"],
        &["w*.example.test"],
        &["*w.example.test"],
        &["w*w.example.test"],
        &["ww*w.example.test"],
        &["www*.example.test"],
        &["*www.example.test"],
        &["wwww*.example.test"],
        &["W*.example.test"],
        &["x*.example.test"],
        &["*x.example.test"],
        &["**.example.test"],
        &["w*w*.example.test"],
        &["*.*.test"],
        &["www.*.test"],
        &["www.example.*"],
        &["*.test"],
        &["*"],
        &["*."],
        &["*.www.example.test"],
        &["example.test"],
        &[".example.test"],
        &["www.example.test."],
        &["*.example.test."],
        &["www.example"],
        &["www.example.testx"],
        &["www.example.test.evil.test"],
        &["evil-www.example.test"],
        &["www_example.test", "my_host.test", "*.example.test"],
        &["a b", "www.example.test"],
        &[""],
        &["", "www.example.test"],
        &["other.test", "another.test"],
        &["other.test", "www.example.test"],
        &["127.0.0.1"],
        &["www.example.test:443"],
        &["https://www.example.test/"],
        &["b\u{fc}cher.example.test", "www.example.test"],
        &["www.example.test\0"],
        &["www.example.test\0.evil.test"],
        &[" www.example.test"],
        &["-.test", "*.example.test"],
    ] {
        table.leaf(&format!("for {names:?}"), Draft::leaf(names));
    }
    let many: Vec<String> = (0..700).map(|i| format!("host{i}.example.test")).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    table.leaf("for 700 other names", Draft::leaf(&many));
    many.push(NAME);
    table.leaf("for 701 names, ours last", Draft::leaf(&many));
}

fn other_servers(table: &mut Table) {
    for (asked, names) in [
        ("a.b.example.test", "*.example.test"),
        ("a.b.example.test", "*.b.example.test"),
        ("a.b.example.test", "*.*.example.test"),
        ("xn--bcher-kva.example.test", "*.example.test"),
        ("xn--bcher-kva.example.test", "xn--*.example.test"),
        ("xn--bcher-kva.example.test", "xn--bcher-kva.example.test"),
        ("xn--bcher-kva.example.test", "XN--BCHER-KVA.example.test"),
        ("my_host.example.test", "my_host.example.test"),
        ("my_host.example.test", "*.example.test"),
        ("localhost", "localhost"),
        ("localhost", "*"),
        ("localhost", "local*"),
        ("www.example.test", "*.e*.test"),
        ("1.2.3.test", "1.2.3.test"),
    ] {
        table
            .leaf(
                &format!("{asked}, certificate for {names}"),
                Draft::leaf(&[names]),
            )
            .asked_for(asked);
    }
}

fn common_names(table: &mut Table) {
    let text = |tag, text: &str| name(&[(CN, tag, text.as_bytes())]);
    for (what, subject) in [
        ("a common name only", cn(NAME)),
        ("a common name in capitals", cn("WWW.EXAMPLE.TEST")),
        ("a common name with a wildcard", cn("*.example.test")),
        (
            "a common name with a wildcard in part",
            cn("w*.example.test"),
        ),
        ("a common name with a final dot", cn("www.example.test.")),
        ("another common name", cn("other.example.test")),
        ("an empty common name", cn("")),
        ("a common name with a NUL", cn("www.example.test\0")),
        ("a common name as PrintableString", text(PRINTABLE, NAME)),
        ("a common name as TeletexString", text(TELETEX, NAME)),
        ("a common name as IA5String", text(IA5, NAME)),
        (
            "a common name as BMPString",
            name(&[(CN, BMP, &utf16(NAME))]),
        ),
        (
            "a common name as UniversalString",
            name(&[(CN, UNIVERSAL, &utf32(NAME))]),
        ),
        (
            "the second common name",
            name(&[(CN, UTF8, b"other"), (CN, UTF8, NAME.as_bytes())]),
        ),
        (
            "the first common name",
            name(&[(CN, UTF8, NAME.as_bytes()), (CN, UTF8, b"other")]),
        ),
        (
            "our name as organisation",
            name(&[(O, UTF8, NAME.as_bytes())]),
        ),
        (
            "our name as mail address",
            name(&[("1.2.840.113549.1.9.1", IA5, NAME.as_bytes())]),
        ),
        ("an empty subject name", name(&[])),
        (
            "both in one part",
            tlv(
                0x30,
                &[&tlv(
                    0x31,
                    &[
                        &tlv(0x30, &[&oid(CN), &tlv(UTF8, &[NAME.as_bytes()])]),
                        &tlv(0x30, &[&oid(O), &tlv(UTF8, &[b"Organisation"])]),
                    ],
                )],
            ),
        ),
    ] {
        table.leaf(what, Draft::new(subject.clone()));
        let with_dns = Draft::new(subject).with(dns(&["another.test"]));
        table.leaf(&format!("{what}, with another DNS name"), with_dns);
    }
}

fn other_alternatives(table: &mut Table) {
    let directory = cn(NAME);
    for (what, entries) in [
        ("a mail address", &[(1, NAME.as_bytes())][..]),
        ("a URI", &[(6, b"https://www.example.test/")]),
        ("a bare URI", &[(6, NAME.as_bytes())]),
        ("a directory name", &[(4, &directory)]),
        ("an IP address only", &[(7, &[127, 0, 0, 1])]),
        ("an IP address of three bytes", &[(7, &[127, 0, 0])]),
        ("no entries", &[]),
        ("a registered ID", &[(8, &[0x2a, 3, 4])]),
        ("an unknown kind", &[(9, b"x")]),
    ] {
        let alternatives = alternative_names(entries);
        let of = |subject| Draft::new(subject).with(alternatives.clone());
        table.leaf(&format!("alternative names: {what}"), of(cn("a server")));
        table.leaf(
            &format!("alternative names: {what}, with our common name"),
            of(cn(NAME)),
        );
        let and_ours = [entries, &[(2, NAME.as_bytes())]].concat();
        let draft = Draft::new(cn("a server")).with(alternative_names(&and_ours));
        table.leaf(
            &format!("alternative names: {what}, with our DNS name"),
            draft,
        );
    }
    let broken = extension("2.5.29.17", false, b"\x30\x05\x82");
    table.leaf(
        "broken alternative names",
        Draft::new(cn(NAME)).with(broken),
    );
    let mut twice = Draft::leaf(&[NAME]);
    twice.extensions.push(dns(&["other.test"]));
    table.leaf("alternative names twice", twice);
    let names = tlv(0x30, &[&tlv(0x82, &[NAME.as_bytes()])]);
    let critical = Draft::new(name(&[])).with(extension("2.5.29.17", true, &names));
    table.leaf("critical alternative names, no subject", critical);
}

fn verifyhost(table: &mut Table) {
    let ip = |address: &[u8]| Draft::new(cn("a server")).with(alternative_names(&[(7, address)]));
    let mut six = [0; 16];
    six[15] = 1;
    for (what, draft, host) in [
        ("the name", Draft::leaf(&[NAME]), NAME),
        ("another name", Draft::leaf(&["other.test"]), NAME),
        ("the common name", Draft::new(cn(NAME)), NAME),
        ("an IP address", ip(&[127, 0, 0, 1]), "127.0.0.1"),
        ("another IP address", ip(&[127, 0, 0, 2]), "127.0.0.1"),
        ("an IPv6 address", ip(&six), "::1"),
        (
            "an IP address as a DNS name",
            Draft::leaf(&["127.0.0.1"]),
            "127.0.0.1",
        ),
        (
            "an IP address as the common name",
            Draft::new(cn("127.0.0.1")),
            "127.0.0.1",
        ),
        (
            "a wildcard that covers the IP address",
            Draft::leaf(&["*.0.0.1"]),
            "127.0.0.1",
        ),
    ] {
        let case = table.leaf(&format!("verifyhost {host}: {what}"), draft);
        let sni = format!("check-sni {NAME}");
        case.server = case.server.replace(&sni, &format!("verifyhost {host}"));
        let sni = format!("--sni {NAME}");
        let without = format!("--no-sni --verify-host {host}");
        case.options = case.options.replace(&sni, &without);
    }
}
