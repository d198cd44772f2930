//! Compares how HAProxy and sni-check judge the heads and the framing of responses.

use std::io::{Read, Write};

use crate::harness::{Case, Differs, compare};
use crate::support::haproxy::{installed, versions};
use crate::support::pki::{Ca, Leaf};
use crate::support::{NAME, peer};

/// Starts a server that answers every request with these bytes and closes the connection properly.
/// Returns its port.
pub fn answering(leaf: &Leaf, response: &[u8]) -> u16 {
    let response = response.to_owned();
    peer::tls(leaf, move |stream| {
        let _ = stream.write_all(&response);
        stream.conn.send_close_notify();
        let _ = stream.flush();
        // The server waits until the client closes. If it closed first, the kernel might reset the
        // connection while data is in flight.
        let _ = stream.sock.read_to_end(&mut Vec::new());
    })
}

/// Returns a case that checks the server on this port with this rule.
pub fn pair(name: String, port: u16, rule: &str, differs: Differs) -> Case {
    Case {
        name,
        address: "127.0.0.1".to_owned(),
        port,
        server: format!("ssl verify none check-sni {NAME}"),
        // If a response isn't HTTP, HAProxy 3.0 and later wait until the check times out.
        backend: format!("timeout check 8s\noption httpchk GET /\nhttp-check expect {rule}"),
        options: format!(
            "--sni {NAME} --verify none --expect '{}'",
            rule.replace('\'', r"'\''")
        ),
        differs,
    }
}

/// Responses with the body `ok`, unless the framing shortens or changes it.
const WITH_A_BODY: [&[u8]; 75] = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a,\r\n  b\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX:\r\n b\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n X: b\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a\x7fb\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a\xffb\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\nX: a\nContent-Length: 2\n\nok",
    b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 O\x01\x00K\xff\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1\t200\tOK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200x OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"\n\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b" HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nfoo\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX\x01: a\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX\xc3\xa9: a\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~: a\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX@y: a\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX:\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0002\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2,\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: ,chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 204 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b;ccccccccccccccccccccccccccccc=\"x;y\"\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000000000000000002\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\nZ: z\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n\r\nok",
    b"HTTP/1.1 204 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 304 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 205 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 101 C\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nok",
];

/// Returns incomplete or unusual responses, each with a rule. sni-check deliberately
/// judges some of them differently. HAProxy's versions disagree about some of them.
fn odd() -> Vec<(&'static [u8], &'static str, Differs)> {
    const CUT: Differs = Differs::Stricter("the missing part of the body may contain the text");
    const LAX: Differs = Differs::Versions("some versions accept it");
    const INTERIM: Differs = Differs::Laxer("sni-check waits for the final response");
    vec![
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
            "! string bad",
            CUT,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
            "string ok",
            Differs::No,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
            "! string bad",
            CUT,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
            "string ok",
            Differs::No,
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
            "string ok",
            LAX,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\nok",
            "string ok",
            LAX,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "string ok",
            LAX,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n",
            "string ok",
            LAX,
        ),
        (
            b"HTTP/1.1 0200 OK\r\nContent-Length: 2\r\n\r\nok",
            "string ok",
            LAX,
        ),
        (
            b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "status 200",
            INTERIM,
        ),
        (
            b"HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "status 200",
            INTERIM,
        ),
        (b"HTTP/1.1 200 OK\r\nX: a", "status 200", Differs::No),
        (b"HTTP/1.1 200 OK\r\n", "status 200", Differs::No),
        (b"", "status 200", Differs::No),
        (b"SSH-2.0-x\r\n", "status 200", Differs::No),
        (b"\0\0\x12\x04\0\0\0\0\0", "status 200", Differs::No),
    ]
}

/// Returns heads whose number of fields or bytes is near HAProxy's limits.
fn long_heads() -> Vec<(String, Vec<u8>, Differs)> {
    let traffic = Differs::Stricter("visitors get 502 for a head over 15 kB");
    let mut heads = Vec::new();
    for (count, differs) in [(99, Differs::No), (100, Differs::No), (101, Differs::No)] {
        let fields = "X: y\r\n".repeat(count);
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\nok");
        heads.push((format!("{count} fields"), head.into(), differs));
    }
    for (length, differs) in [
        (15_000, Differs::No),
        (15_300, Differs::No),
        (15_500, traffic),
        (17_000, Differs::No),
        (40_000, Differs::No),
    ] {
        let field = "y".repeat(length);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: {field}\r\n\r\nok");
        heads.push((format!("a field of {length} bytes"), head.into(), differs));
    }
    heads
}

/// Returns responses with lengths near the limits of HAProxy's integers: in Content-Length, of a
/// field name, and of a trailer's name.
fn large_numbers() -> Vec<(String, Vec<u8>)> {
    let lengths = [
        "9223372036854775806",
        "9223372036854775807",
        "9223372036854775808",
        "9223372036854775809",
        "9223372036854775810",
        "9223372036854775811",
        "9223372036854775900",
        "9223372036854790000",
        "10000000000000000000",
        "18446744073709551614",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "99999999999999999999",
        "999999999999999999999999",
        "00000000000000000000000002",
        "4294967296",
        "4294967298",
    ];
    let lengths = lengths.map(|length| {
        let head = format!("HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: {length}\r\n\r\nok");
        (format!("Content-Length {length}"), head)
    });
    let names = [
        1, 100, 127, 128, 200, 254, 255, 256, 257, 300, 511, 512, 1000, 5000,
    ];
    let names = names.map(|length| {
        let name = "n".repeat(length);
        let head = format!("HTTP/1.1 200 OK\r\n{name}: y\r\nContent-Length: 2\r\n\r\nok");
        (format!("a name of {length} bytes"), head)
    });
    let trailers = [255, 256, 1000].map(|length| {
        let name = "n".repeat(length);
        let head = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{name}: y\r\n\r\n"
        );
        (format!("a trailer's name of {length} bytes"), head)
    });
    let all = lengths.into_iter().chain(names).chain(trailers);
    all.map(|(name, head)| (name, head.into_bytes())).collect()
}

/// Returns a body with `late` after this number of bytes.
fn late_text(bytes: usize) -> Vec<u8> {
    let length = bytes + 4;
    let body = "x".repeat(bytes);
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}late").into_bytes()
}

fn table(leaf: &Leaf) -> Vec<Case> {
    let shown = |response: &[u8]| {
        response[..response.len().min(120)]
            .escape_ascii()
            .to_string()
    };
    let mut cases = Vec::new();
    for response in WITH_A_BODY {
        let port = answering(leaf, response);
        for rule in [
            "status 0-9999",
            "status 200",
            "string ok",
            "! string bad",
            "hdr name x",
        ] {
            let name = format!("{rule} | {}", shown(response));
            cases.push(pair(name, port, rule, Differs::No));
        }
    }
    for (response, rule, differs) in odd() {
        let name = format!("{rule} | {}", shown(response));
        cases.push(pair(name, answering(leaf, response), rule, differs));
    }
    for (name, response) in large_numbers() {
        let port = answering(leaf, &response);
        // If only part of the body arrives, the rest may contain the text.
        let cut = Differs::PerhapsLimit("the missing part of the body may contain the text");
        let differs =
            match name.contains("922337203685477580") || name.contains("1844674407370955161") {
                true => Differs::Versions("some versions use signed numbers, or wrap"),
                false => Differs::No,
            };
        for (rule, differs) in [
            ("status 200", differs),
            ("string ok", differs),
            (
                "! string bad",
                if differs == Differs::No { cut } else { differs },
            ),
            ("hdr name -m beg n", differs),
            ("fhdr name x", differs),
        ] {
            cases.push(pair(format!("{rule} | {name}"), port, rule, differs));
        }
    }
    for bytes in [
        1_000, 10_000, 14_000, 15_000, 16_000, 17_000, 20_000, 40_000, 60_000, 70_000,
    ] {
        let port = answering(leaf, &late_text(bytes));
        for (rule, differs) in [
            (
                "string late",
                Differs::PerhapsLaxer("the text comes after 16 kB"),
            ),
            (
                "! string late",
                Differs::PerhapsLimit("HAProxy reads only 16 kB"),
            ),
            (
                "! rstring late$",
                Differs::PerhapsLimit("HAProxy reads only 16 kB"),
            ),
            ("string x", Differs::No),
            ("status 200", Differs::No),
        ] {
            cases.push(pair(format!("{rule} | after {bytes}"), port, rule, differs));
        }
    }
    for (name, response, differs) in long_heads() {
        cases.push(pair(
            name,
            answering(leaf, &response),
            "status 200",
            differs,
        ));
    }
    cases
}

#[test]
fn the_installed_haproxy_reads_responses_as_we_do() {
    let leaf = Ca::new().leaf(&[NAME], 30);
    let some = table(&leaf).into_iter().step_by(4).collect::<Vec<_>>();
    compare("HTTP", &[installed()], &some);
}

#[test]
#[ignore = "make parity"]
fn every_haproxy_reads_responses_as_we_do() {
    let leaf = Ca::new().leaf(&[NAME], 30);
    compare("HTTP", &versions(), &table(&leaf));
}
