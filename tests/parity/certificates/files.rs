//! Cases about the content of a `ca-file`.

use super::{NAME, Table};
use crate::forge::{Authority, Draft, Key, basic, chain, days, oid, pem, tlv};

pub fn cases(table: &mut Table) {
    labels(table);
    surroundings(table);
    odd_ones(table);
    trusted(table);
    directories(table);
}

fn labels(table: &mut Table) {
    let root = Authority::root("Root");
    let leaf = root.issue(Draft::leaf(&[NAME]));
    for label in [
        "CERTIFICATE",
        "X509 CERTIFICATE",
        "TRUSTED CERTIFICATE",
        "PKCS7",
        "certificate",
        "PRIVATE KEY",
        "X509 CRL",
    ] {
        let file = table.file("ca.pem", &pem(label, &root.der));
        table.judge_by_file(format!("label {label}"), &leaf, &[], &file);
    }
}

fn surroundings(table: &mut Table) {
    let root = Authority::root("Root");
    let leaf = root.issue(Draft::leaf(&[NAME]));
    let plain = pem("CERTIFICATE", &root.der);
    let body: String = plain
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let folded = |width: usize| {
        let lines: Vec<String> = body
            .as_bytes()
            .chunks(width)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        format!("{begin}\n{}\n{end}\n", lines.join("\n"))
    };
    for (what, text) in [
        ("a BOM", format!("\u{feff}{plain}")),
        ("CRLF", plain.replace('\n', "\r\n")),
        ("text before", format!("Root CA of somebody\n===\n{plain}")),
        ("text after", format!("{plain}the end\n")),
        (
            "a BOM and text before",
            format!("\u{feff}# comment\n{plain}"),
        ),
        ("empty lines before and after", format!("\n\n{plain}\n\n")),
        ("no newline at the end", plain.trim_end().to_owned()),
        ("spaces at the ends of lines", plain.replace('\n', "  \n")),
        ("tabs at the ends of lines", plain.replace('\n', "\t\n")),
        ("spaces before lines", plain.replace('\n', "\n  ")),
        ("empty lines inside", plain.replacen('\n', "\n\n", 3)),
        (
            "a PEM header inside",
            plain.replacen('\n', "\nProc-Type: 4,CLEAR\n\n", 1),
        ),
        ("one long line", format!("{begin}\n{body}\n{end}\n")),
        ("lines of 76", folded(76)),
        ("lines of 7", folded(7)),
        ("lines of 300", folded(300)),
        ("a key after it", format!("{plain}{}", root.key.pem)),
        ("a key before it", format!("{}{plain}", root.key.pem)),
        ("a NUL before", format!("\0\n{plain}")),
        ("an empty file", String::new()),
        ("a file of text", "hello\n".to_owned()),
        ("no END line", plain.replace(end, "")),
        (
            "a different END line",
            plain.replace(end, "-----END OTHER-----"),
        ),
        ("an invalid base64 character", plain.replacen("M", "*", 1)),
        ("the certificate twice", plain.repeat(2)),
        (
            "comment lines inside",
            plain.replacen('\n', "\n# comment\n", 2),
        ),
        ("CR as line ends", plain.replace('\n', "\r")),
        ("text before on the same line", format!("x{plain}")),
        ("a space before", format!(" {plain}")),
    ] {
        let file = table.file("ca.pem", &text);
        table.judge_by_file(format!("file with {what}"), &leaf, &[], &file);
    }
    let file = table.file("ca.pem", "");
    std::fs::write(&file, &root.der).expect("a file");
    table.judge_by_file("file of DER", &leaf, &[], &file);
    let missing = format!("{file}.missing");
    table.judge_by_file("no file", &leaf, &[], &missing);
}

/// Adds cases with one unusual certificate before or after the root.
fn odd_ones(table: &mut Table) {
    let root = Authority::root("Root");
    let leaf = root.issue(Draft::leaf(&[NAME]));
    let good = pem("CERTIFICATE", &root.der);
    let expired = Draft::ca("Expired")
        .between(days(-9), days(-2))
        .self_signed(Key::new());
    let version1 = Draft {
        version: 0,
        extensions: vec![],
        ..Draft::ca("One")
    }
    .self_signed(Key::new());
    let serial = Draft {
        serial: vec![0x7f; 40],
        ..Draft::ca("Long")
    }
    .self_signed(Key::new());
    let twice = {
        let mut draft = Draft::ca("Twice");
        draft.extensions.push(basic(true, None));
        draft.self_signed(Key::new())
    };
    let mut broken_time = Draft::ca("Broken");
    broken_time.not_after = tlv(23, &[b"x"]);
    let broken_time = broken_time.self_signed(Key::new());
    let mut trailing = expired.der.clone();
    trailing.push(0);
    for (what, odd) in [
        ("an expired certificate", expired.der.clone()),
        ("a version 1 certificate", version1.der.clone()),
        (
            "a certificate with a long serial number",
            serial.der.clone(),
        ),
        ("a certificate with an extension twice", twice.der.clone()),
        ("broken times", broken_time.der.clone()),
        ("bytes that are not DER", b"hello".to_vec()),
        ("an empty certificate", vec![]),
        ("a truncated certificate", expired.der[..100].to_vec()),
        ("a certificate with an extra byte", trailing),
        ("an empty sequence", vec![0x30, 0]),
        ("a leaf", leaf.der.clone()),
        ("a copy of the root", root.der.clone()),
    ] {
        let odd = pem("CERTIFICATE", &odd);
        for (order, text) in [
            ("before", format!("{odd}{good}")),
            ("after", format!("{good}{odd}")),
        ] {
            let file = table.file("ca.pem", &text);
            table.judge_by_file(format!("{what} {order} the root"), &leaf, &[], &file);
        }
    }
}

/// Adds cases with OpenSSL's own format: a certificate with trust settings.
fn trusted(table: &mut Table) {
    let root = Authority::root("Root");
    let middle = root.issue(Draft::ca("Middle"));
    let leaf = middle.issue(Draft::leaf(&[NAME]));
    let (server, client, any) = ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0");
    let list = |tag, uses: &[&str]| match uses {
        [] => vec![],
        uses => tlv(
            tag,
            &[&uses
                .iter()
                .flat_map(|usage| oid(usage))
                .collect::<Vec<u8>>()],
        ),
    };
    let aux =
        |trust: &[&str], reject: &[&str]| tlv(0x30, &[&list(0x30, trust), &list(0xa0, reject)]);
    let alias = tlv(0x30, &[&tlv(12, &[b"an alias"])]);
    for (what, aux) in [
        ("nothing", vec![]),
        ("an empty list", aux(&[], &[])),
        ("servers", aux(&[server], &[])),
        ("clients", aux(&[client], &[])),
        ("everything", aux(&[any], &[])),
        ("clients and servers", aux(&[client, server], &[])),
        ("everything except servers", aux(&[], &[server])),
        ("everything except clients", aux(&[], &[client])),
        ("nothing at all", aux(&[], &[any])),
        ("servers, which it also rejects", aux(&[server], &[server])),
        ("an alias", alias),
        ("something broken", vec![0x30, 9]),
    ] {
        for (which, der) in [("root", &root.der), ("intermediate", &middle.der)] {
            let text = pem("TRUSTED CERTIFICATE", &[&der[..], &aux].concat());
            let file = table.file("ca.pem", &text);
            table.judge_by_file(
                format!("{which} trusted for {what}"),
                &leaf,
                &[&middle.der],
                &file,
            );
        }
        let text = pem("CERTIFICATE", &[&root.der[..], &aux].concat());
        let file = table.file("ca.pem", &text);
        table.judge_by_file(
            format!("plain label, root trusted for {what}"),
            &leaf,
            &[&middle.der],
            &file,
        );
    }
}

fn directories(table: &mut Table) {
    let root = Authority::root("Root");
    let leaf = root.issue(Draft::leaf(&[NAME]));
    let good = chain(&[&root.der]);
    let other = chain(&[&Authority::root("Other").der]);
    for (what, files) in [
        ("one file", vec![("root.pem", good.clone())]),
        (
            "two files",
            vec![("a.pem", other.clone()), ("b.crt", good.clone())],
        ),
        ("a file .cer", vec![("root.cer", good.clone())]),
        ("a file .crl", vec![("root.crl", good.clone())]),
        ("a file .txt", vec![("root.txt", good.clone())]),
        ("a hidden file", vec![(".root.pem", good.clone())]),
        ("a file without a suffix", vec![("root", good.clone())]),
        ("a hashed name", vec![("12345678.0", good.clone())]),
        (
            "a broken file too",
            vec![("a.pem", "hello".to_owned()), ("b.pem", good.clone())],
        ),
        ("a broken file only", vec![("a.pem", "hello".to_owned())]),
        ("a subfolder", vec![("within.pem/root.pem", good.clone())]),
        ("no file", vec![("root.txt", other.clone())]),
    ] {
        let mut folder = String::new();
        for (name, text) in files {
            let path = table.file(&format!("folder/{name}"), &text);
            folder = path.split("/folder/").next().expect("a part").to_owned() + "/folder";
        }
        table.judge_by_file(format!("directory with {what}"), &leaf, &[], &folder);
    }
}
