//! Cases with handshake messages that no library sends. Most cases change one thing.

use std::fmt::Display;

use super::Table;
use super::handmade::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Identity, KEY_SHARE, Out,
    SUPPORTED_VERSIONS, Script, Step, message, record, vector,
};
use crate::harness::{Case, Differs};

pub fn cases(table: &mut Table) {
    extensions(table);
    schemes(table);
    hellos(table);
    requests(table);
    certificates(table);
    sequences(table);
    points(table);
    tickets(table);
    endings(table);
}

type Make = fn() -> Script;

/// The names of the TLS versions, each with the script of a usual server.
const VERSIONS: [(&str, Make); 2] = [("1.2", Script::tls12), ("1.3", Script::tls13)];

/// Adds a case with this script and a P-256 key.
fn judge(table: &mut Table, name: impl Display, script: Script) -> &mut Case {
    judge_with(table, name, "P-256", script)
}

/// Adds a case with this script and a key of this kind.
fn judge_with<'a>(
    table: &'a mut Table,
    name: impl Display,
    kind: &str,
    script: Script,
) -> &'a mut Case {
    let (chain, key) = table.server(kind);
    let port = script.serve(&Identity::new(&chain, &key));
    let case = table.judge(&format!("by hand, {name}"), "127.0.0.1", port);
    case.differs = RULES;
    case
}

fn alert(content: &[u8]) -> Out {
    Out::Record(ALERT, content.to_vec())
}

/// Returns this number of ChangeCipherSpec records.
fn changes(count: usize) -> Out {
    Out::Raw(record(CHANGE_CIPHER_SPEC, &[1]).repeat(count))
}

/// Most of these servers break a rule of TLS. If a server is DOWN in HAProxy, it must be DOWN in
/// sni-check. If HAProxy accepts the server, it may still be DOWN in sni-check, and the line must then
/// report a limit.
const RULES: Differs = Differs::PerhapsLimit("our TLS library does not accept it");
/// A program may finish before it sees a reset, so the verdict depends on timing.
const RACE: Differs = Differs::Versions("a program may see a reset too late");

/// Types of extensions: many assigned types, and some unassigned types.
const EXTENSIONS: [u16; 37] = [
    0, 1, 5, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 27, 28, 34, 35, 41, 42, 43,
    44, 45, 47, 48, 49, 50, 51, 57, 13172, 65281, 65037, 0x0a0a, 12345,
];

/// Returns plausible content for an extension.
fn plausible(kind: u16) -> Vec<u8> {
    match kind {
        0 | 17 | 18 | 22 | 23 | 35 | 42 | 49 => Vec::new(),
        1 | 15 | 19 | 20 => vec![1],
        5 => vec![1, 0, 0, 1, 9],
        10 => vec![0, 4, 0, 29, 0, 23],
        11 => vec![1, 0],
        13 | 50 => vec![0, 4, 4, 3, 8, 4],
        14 => vec![0, 2, 0, 1, 0],
        16 => vec![0, 9, 8, b'h', b't', b't', b'p', b'/', b'1', b'.', b'1'],
        27 => vec![2, 0, 1],
        28 => vec![0x40, 0],
        41 => vec![0, 0],
        43 => vec![3, 4],
        44 => vec![0, 2, 1, 1],
        45 => vec![1, 1],
        47 => vec![0, 4, 0, 2, 0x30, 0],
        48 => vec![0, 0],
        51 => vec![0, 29, 0, 1, 9],
        65281 => vec![0],
        _ => vec![1, 2, 3],
    }
}

fn extensions(table: &mut Table) {
    type Place = (
        &'static str,
        fn() -> Script,
        fn(&mut Script, (u16, Vec<u8>)),
    );
    let places: [Place; 5] = [
        ("1.2 ServerHello", Script::tls12, |script, extension| {
            script.hello_extensions.push(extension);
        }),
        ("1.3 ServerHello", Script::tls13, |script, extension| {
            script.hello_extensions.push(extension);
        }),
        (
            "1.3 EncryptedExtensions",
            Script::tls13,
            |script, extension| {
                script.encrypted_extensions.push(extension);
            },
        ),
        ("1.3 Certificate", Script::tls13, |script, extension| {
            script.certificate_extensions.push(extension);
        }),
        (
            "1.3 CertificateRequest",
            Script::tls13,
            |script, extension| {
                script.request = Some(request13(&[], &[(13, vec![0, 2, 4, 3]), extension]));
            },
        ),
    ];
    for (place, script, add) in places {
        for kind in EXTENSIONS {
            let mut contents = vec![("usual", plausible(kind)), ("long", vec![0xee; 7])];
            if !contents[0].1.is_empty() {
                contents.push(("empty", Vec::new()));
            }
            for (what, content) in contents {
                let mut script = script();
                add(&mut script, (kind, content));
                let name = format!("{place}, extension {kind} with {what} content");
                judge(table, name, script);
            }
        }
        for kind in [10, 5, 16, 12345] {
            let mut script = script();
            add(&mut script, (kind, plausible(kind)));
            add(&mut script, (kind, plausible(kind)));
            judge(table, format!("{place}, extension {kind} twice"), script);
        }
    }
}

fn schemes(table: &mut Table) {
    for (version, script) in VERSIONS {
        for (kind, schemes) in [
            (
                "RSA",
                &[
                    0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806, 0x0809, 0x0201,
                ][..],
            ),
            (
                "P-256",
                &[
                    0x0403, 0x0503, 0x0603, 0x0203, 0x0303, 0x0807, 0x0000, 0x0708,
                ],
            ),
        ] {
            for scheme in schemes {
                let script = Script {
                    scheme: *scheme,
                    ..script()
                };
                let name = format!("{version}, {kind} signing with {scheme:#06x}");
                judge_with(table, name, kind, script);
            }
        }
    }
}

fn hellos(table: &mut Table) {
    for (version, script) in VERSIONS {
        for legacy in [
            [3, 0],
            [3, 1],
            [3, 2],
            [3, 3],
            [3, 4],
            [3, 5],
            [2, 0],
            [254, 253],
        ] {
            let script = Script {
                legacy_version: legacy,
                ..script()
            };
            judge(table, format!("{version}, version {legacy:?}"), script);
        }
        for end in [
            &b"DOWNGRD\0"[..],
            b"DOWNGRD\x01",
            b"DOWNGRD\x02",
            b"DOWNGRD\xff",
            b"downgrd\0",
        ] {
            let script = Script {
                sentinel: end.to_vec(),
                ..script()
            };
            let name = format!("{version}, random ending in {}", end.escape_ascii());
            judge(table, name, script);
        }
        for length in [0, 1, 16, 31, 32, 33] {
            let script = Script {
                session_id: Some(length),
                ..script()
            };
            let name = format!("{version}, the server's own session ID, {length} bytes");
            judge(table, name, script);
        }
        for suite in [
            [0x13, 1],
            [0x13, 2],
            [0x13, 3],
            [0xc0, 0x2b],
            [0xc0, 0x2c],
            [0, 0x2f],
            [0, 0],
            [0, 0xff],
            [0x56, 0],
        ] {
            let script = Script {
                suite: Some(suite),
                ..script()
            };
            judge(table, format!("{version}, suite {suite:02x?}"), script);
        }
        for (what, change) in [
            (
                "with a trailing byte",
                (|mut hello| {
                    hello_length(&mut hello, &[0]);
                    hello
                }) as fn(Vec<u8>) -> Vec<u8>,
            ),
            ("with compression 1", |mut hello| {
                let at = 4 + 2 + 32 + 1 + usize::from(hello[38]) + 2;
                hello[at] = 1;
                hello
            }),
            ("that is one byte too short", |mut hello| {
                hello.pop();
                message(2, &hello[4..])
            }),
            ("without extensions", |hello| {
                let end = 4 + 2 + 32 + 1 + usize::from(hello[38]) + 3;
                message(2, &hello[4..end])
            }),
            ("with an empty list of extensions", |hello| {
                let end = 4 + 2 + 32 + 1 + usize::from(hello[38]) + 3;
                message(2, &[&hello[4..end], &[0, 0]].concat())
            }),
        ] {
            let script = script().with_message(Step::ServerHello, change);
            judge(table, format!("{version}, a ServerHello {what}"), script);
        }
        for (secure, extended) in [(false, true), (true, false), (false, false)] {
            if version == "1.2" {
                let mut script = script();
                script.secure_renegotiation = secure;
                script.extended_master_secret = extended;
                let name = format!(
                    "{version}, secure renegotiation {secure}, extended master secret {extended}"
                );
                judge(table, name, script);
            }
        }
    }
    for (what, value) in [
        ("3.3", vec![3, 3]),
        ("3.2", vec![3, 2]),
        ("3.5", vec![3, 5]),
        ("draft 28", vec![0x7f, 28]),
        ("a list", vec![2, 3, 4]),
    ] {
        let mut script = Script::tls12();
        script
            .hello_extensions
            .push((SUPPORTED_VERSIONS, value.clone()));
        judge(table, format!("1.2, supported_versions {what}"), script);
        let script = Script::tls13().with_message(Step::ServerHello, move |hello| {
            replace(hello, SUPPORTED_VERSIONS, &value)
        });
        judge(table, format!("1.3, supported_versions {what}"), script);
    }
    for (what, value) in [
        ("of zeros", [&[0, 29, 0, 32][..], &[0; 32]].concat()),
        ("of 31 bytes", [&[0, 29, 0, 31][..], &[9; 31]].concat()),
        ("of 33 bytes", [&[0, 29, 0, 33][..], &[9; 33]].concat()),
        ("of another group", [&[0, 30, 0, 56][..], &[9; 56]].concat()),
        ("of P-256", [&[0, 23, 0, 65, 4][..], &[9; 64]].concat()),
        ("with a group but no key", vec![0, 29]),
        (
            "with a trailing byte",
            [&[0, 29, 0, 32][..], &[9; 33]].concat(),
        ),
    ] {
        let script = Script::tls13().with_message(Step::ServerHello, move |hello| {
            replace(hello, KEY_SHARE, &value)
        });
        judge(table, format!("1.3, a key share {what}"), script);
    }
}

/// Appends bytes to a ServerHello, and corrects its length.
fn hello_length(hello: &mut Vec<u8>, more: &[u8]) {
    let body = [&hello[4..], more].concat();
    *hello = message(hello[0], &body);
}

/// Returns the ServerHello with different content in this extension.
fn replace(hello: Vec<u8>, kind: u16, content: &[u8]) -> Vec<u8> {
    let start = 4 + 2 + 32 + 1 + usize::from(hello[38]) + 3;
    let mut rest = &hello[start + 2..];
    let mut list = Vec::new();
    while let [a, b, c, d, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([c, d]));
        let here = match u16::from_be_bytes([a, b]) == kind {
            true => content,
            false => &rest[4..4 + length],
        };
        list.extend([a, b]);
        list.extend(vector(2, here));
        rest = &rest[4 + length..];
    }
    message(2, &[&hello[4..start], &vector(2, &list)].concat())
}

/// Returns the body of a CertificateRequest of TLS 1.3.
fn request13(context: &[u8], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let list = extensions
        .iter()
        .map(|(kind, content)| [&kind.to_be_bytes()[..], &vector(2, content)].concat());
    [
        vector(1, context),
        vector(2, &list.collect::<Vec<_>>().concat()),
    ]
    .concat()
}

/// Returns the body of a CertificateRequest of TLS 1.2.
fn request12(types: &[u8], schemes: &[u8], names: &[u8]) -> Vec<u8> {
    [vector(1, types), vector(2, schemes), vector(2, names)].concat()
}

fn requests(table: &mut Table) {
    let schemes = || (13, vec![0, 4, 4, 3, 8, 4]);
    let name = [
        &[
            0x30, 0x0f, 0x31, 0x0d, 0x30, 0x0b, 6, 3, 0x55, 4, 3, 0x0c, 4,
        ][..],
        b"Root",
    ]
    .concat();
    let names = |list: &[&[u8]]| {
        let each: Vec<Vec<u8>> = list.iter().map(|name| vector(2, name)).collect();
        each.concat()
    };
    let lists = [
        ("no names", Vec::new()),
        ("a name", names(&[&name])),
        ("two names", names(&[&name, &name])),
        ("an empty name", names(&[b""])),
        ("an empty SEQUENCE", names(&[&[0x30, 0]])),
        ("a malformed name", names(&[b"\x30\x05abc"])),
        ("a name that is a number", names(&[&[2, 1, 1]])),
        ("text as a name", names(&[b"CN=Root"])),
        (
            "a name with trailing bytes",
            names(&[&[&name[..], &[0, 0]].concat()]),
        ),
        ("a truncated name", vec![0, 9, 0x30, 7, 1]),
        ("a name with an empty SET", names(&[&[0x30, 2, 0x31, 0]])),
        (
            "a name with a truncated SET",
            names(&[&[0x30, 4, 0x31, 9, 0x30, 0]]),
        ),
        ("only a length", vec![0]),
        (
            "a name whose SEQUENCE has a long-form length",
            names(&[&[0x30, 0x81, 0]]),
        ),
        ("a name of indefinite length", names(&[&[0x30, 0x80, 0, 0]])),
        (
            "a name with an empty string",
            names(&[&[0x30, 0x0b, 0x31, 9, 0x30, 7, 6, 3, 0x55, 4, 3, 0x0c, 0]]),
        ),
        (
            "a name with invalid UTF-8",
            names(&[&[
                0x30, 0x0d, 0x31, 0x0b, 0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2, 0xff, 0xff,
            ]]),
        ),
        (
            "a name with a number as value",
            names(&[&[0x30, 0x0c, 0x31, 0x0a, 0x30, 8, 6, 3, 0x55, 4, 3, 2, 1, 1]]),
        ),
    ];
    for (what, list) in &lists {
        let script = Script {
            request: Some(request12(&[1, 64], &[4, 3, 8, 4], list)),
            ..Script::tls12()
        };
        judge(
            table,
            format!("1.2, a CertificateRequest with {what}"),
            script,
        );
        let script = Script {
            request: Some(request13(&[], &[schemes(), (47, vector(2, list))])),
            ..Script::tls13()
        };
        judge(
            table,
            format!("1.3, a CertificateRequest with {what}"),
            script,
        );
    }
    for (what, body) in [
        ("without types", request12(&[], &[4, 3], &[])),
        ("with an unknown type", request12(&[99], &[4, 3], &[])),
        ("without schemes", request12(&[1, 64], &[], &[])),
        ("with unknown schemes", request12(&[1, 64], &[9, 9], &[])),
        ("with only SHA-1", request12(&[1, 64], &[2, 1, 2, 3], &[])),
        (
            "with a list of schemes of odd length",
            request12(&[1, 64], &[4, 3, 4], &[]),
        ),
        ("of TLS 1.1", [vector(1, &[1, 64]), vector(2, &[])].concat()),
        ("that is empty", Vec::new()),
        (
            "with a trailing byte",
            [request12(&[1, 64], &[4, 3], &[]), vec![0]].concat(),
        ),
    ] {
        let script = Script {
            request: Some(body),
            ..Script::tls12()
        };
        judge(table, format!("1.2, a CertificateRequest {what}"), script);
    }
    for (what, body) in [
        ("with a context", request13(&[1, 2], &[schemes()])),
        ("without schemes", request13(&[], &[])),
        (
            "with an empty list of schemes",
            request13(&[], &[(13, vec![0, 0])]),
        ),
        (
            "with a list of schemes of odd length",
            request13(&[], &[(13, vec![0, 3, 4, 3, 4])]),
        ),
        (
            "with unknown schemes",
            request13(&[], &[(13, vec![0, 2, 9, 9])]),
        ),
        ("with only SHA-1", request13(&[], &[(13, vec![0, 2, 2, 3])])),
        (
            "with schemes twice",
            request13(&[], &[schemes(), schemes()]),
        ),
        (
            "with an empty list of names",
            request13(&[], &[schemes(), (47, vec![0, 0])]),
        ),
        ("that is empty", Vec::new()),
        (
            "with a trailing byte",
            [request13(&[], &[schemes()]), vec![0]].concat(),
        ),
    ] {
        let script = Script {
            request: Some(body),
            ..Script::tls13()
        };
        judge(table, format!("1.3, a CertificateRequest {what}"), script);
    }
}

fn certificates(table: &mut Table) {
    for (what, change) in [
        (
            "with a context",
            (|m: Vec<u8>| message(11, &[&[2, 1, 1], &m[5..]].concat())) as fn(Vec<u8>) -> Vec<u8>,
        ),
        ("with a trailing byte", |m| {
            message(11, &[&m[4..], &[0]].concat())
        }),
        ("without certificates", |m| {
            message(
                11,
                &m[4..5]
                    .iter()
                    .copied()
                    .chain([0, 0, 0])
                    .collect::<Vec<u8>>(),
            )
        }),
        ("with an empty certificate", |m| {
            message(11, &[&m[4..5], &[0, 0, 5, 0, 0, 0, 0, 0]].concat())
        }),
        ("that is empty", |_| message(11, &[])),
    ] {
        let script = Script::tls13().with_message(Step::Certificate, change);
        judge(table, format!("1.3, a Certificate {what}"), script);
    }
    for (what, change) in [
        (
            "with a trailing byte",
            (|m: Vec<u8>| message(11, &[&m[4..], &[0]].concat())) as fn(Vec<u8>) -> Vec<u8>,
        ),
        ("without certificates", |_| message(11, &[0, 0, 0])),
        ("with an empty certificate", |_| {
            message(11, &[0, 0, 3, 0, 0, 0])
        }),
        ("with garbage after the server's certificate", |m| {
            let list = [&m[7..], &[0, 0, 3, 1, 2, 3]].concat();
            message(11, &vector(3, &list))
        }),
        (
            "with a trailing byte inside the server's certificate",
            |m| {
                let list = vector(3, &[&m[10..], &[0]].concat());
                message(11, &vector(3, &list))
            },
        ),
    ] {
        let script = Script::tls12().with_message(Step::Certificate, change);
        judge(table, format!("1.2, a Certificate {what}"), script);
    }
    // These servers announce or send OCSP responses that the client didn't request.
    let staple = [&[1][..], &vector(3, b"answer")].concat();
    for (what, announced, status) in [
        ("announced and sent", true, Some(staple.clone())),
        ("announced and not sent", true, None),
        ("sent and not announced", false, Some(staple.clone())),
        ("announced and empty", true, Some(vec![1, 0, 0, 0])),
        (
            "announced and of another type",
            true,
            Some(vec![2, 0, 0, 0]),
        ),
    ] {
        let mut script = Script::tls12();
        if announced {
            script.hello_extensions.push((5, Vec::new()));
        }
        script.status = status;
        judge(table, format!("1.2, a stapled response {what}"), script);
    }
    for (version, script) in VERSIONS {
        for step in [
            Step::CertificateVerify,
            Step::Finished,
            Step::ServerKeyExchange,
        ] {
            let script = script().with_message(step, |mut message| {
                *message.last_mut().expect("a byte") ^= 1;
                message
            });
            judge(table, format!("{version}, a wrong {step:?}"), script);
        }
        for step in [
            Step::EncryptedExtensions,
            Step::CertificateVerify,
            Step::Finished,
            Step::ServerKeyExchange,
            Step::ServerHelloDone,
        ] {
            let longer = script().with_message(step, |m| message(m[0], &[&m[4..], &[0]].concat()));
            judge(
                table,
                format!("{version}, a {step:?} with a trailing byte"),
                longer,
            );
            let shorter = script().with_message(step, |m| message(m[0], &m[4..m.len().max(5) - 1]));
            judge(
                table,
                format!("{version}, a {step:?} that is one byte too short"),
                shorter,
            );
        }
    }
}

fn sequences(table: &mut Table) {
    let all = [
        Step::ServerHello,
        Step::EncryptedExtensions,
        Step::Certificate,
        Step::CertificateVerify,
        Step::ServerKeyExchange,
        Step::ServerHelloDone,
        Step::Finished,
    ];
    for (version, script) in VERSIONS {
        for step in all {
            let twice = script().with(step, |out| [out.clone(), out].concat());
            judge(table, format!("{version}, {step:?} twice"), twice);
            let none = script().with(step, |_| Vec::new());
            judge(table, format!("{version}, no {step:?}"), none);
            for (what, extra) in [
                ("a ChangeCipherSpec", changes(1)),
                ("three ChangeCipherSpecs", changes(3)),
                ("forty ChangeCipherSpecs", changes(40)),
                (
                    "a ChangeCipherSpec of 2",
                    Out::Raw(record(CHANGE_CIPHER_SPEC, &[2])),
                ),
                (
                    "a long ChangeCipherSpec",
                    Out::Raw(record(CHANGE_CIPHER_SPEC, &[1, 1])),
                ),
                (
                    "a protected ChangeCipherSpec",
                    Out::Record(CHANGE_CIPHER_SPEC, vec![1]),
                ),
                ("a HelloRequest", Out::Message(message(0, &[]))),
                ("an empty record", Out::Record(HANDSHAKE, Vec::new())),
                (
                    "empty application data",
                    Out::Record(APPLICATION_DATA, Vec::new()),
                ),
                ("application data", Out::Record(APPLICATION_DATA, vec![1])),
                ("a warning", alert(&[1, 112])),
                ("a warning user_canceled", alert(&[1, 90])),
                ("close_notify", alert(&[1, 0])),
                ("a fatal alert", alert(&[2, 40])),
                ("a fatal close_notify", alert(&[2, 0])),
                ("an alert with a trailing byte", alert(&[1, 112, 0])),
                ("an empty alert", alert(&[])),
                ("an unknown message", Out::Message(message(77, b"x"))),
                ("a NewSessionTicket", Out::Message(message(4, &[0; 6]))),
                ("a KeyUpdate", Out::Message(message(24, &[0]))),
            ] {
                if is_absent(step, version) {
                    continue;
                }
                let before = script().with(step, move |out| [vec![extra.clone()], out].concat());
                judge(table, format!("{version}, {what} before {step:?}"), before);
            }
        }
        // The server sends the Certificate in two records. Together, they are one message of the
        // transcript.
        for (what, between) in [
            ("a divided Certificate", Out::Pause),
            ("a warning inside a Certificate", alert(&[1, 112])),
        ] {
            let script = script().with(Step::Certificate, move |out| {
                let Some(Out::Message(message)) = out.first() else {
                    return out;
                };
                let (first, second) = message.split_at(20);
                vec![
                    Out::Message(first.to_vec()),
                    between.clone(),
                    Out::Message(second.to_vec()),
                ]
            });
            judge(table, format!("{version}, {what}"), script);
        }
    }
    for count in [1, 2, 31, 32, 33, 100] {
        let script = Script::tls13().with(Step::AfterServerHello, move |_| vec![changes(count)]);
        judge(table, format!("1.3, {count} ChangeCipherSpecs"), script);
        let script = Script::tls13().with(Step::Response, move |out| {
            [vec![changes(count)], out].concat()
        });
        judge(
            table,
            format!("1.3, {count} ChangeCipherSpecs after the handshake"),
            script,
        );
    }
    let none = Script::tls13().with(Step::AfterServerHello, |_| Vec::new());
    judge(table, "1.3, no ChangeCipherSpec", none);
    let none = Script::tls12().with(Step::ChangeCipherSpec, |_| Vec::new());
    judge(table, "1.2, no ChangeCipherSpec", none);
    // This server sends unencrypted EncryptedExtensions in the record of the ServerHello.
    let joined = Script::tls13().with_message(Step::ServerHello, |hello| {
        [hello, message(8, &[0, 0])].concat()
    });
    judge(
        table,
        "1.3, a second message in the record of the ServerHello",
        joined,
    );
}

/// Returns true if this TLS version has no such step.
fn is_absent(step: Step, version: &str) -> bool {
    match step {
        Step::EncryptedExtensions | Step::CertificateVerify => version == "1.2",
        Step::ServerKeyExchange | Step::ServerHelloDone => version == "1.3",
        _ => false,
    }
}

fn points(table: &mut Table) {
    for (what, curve) in [
        ("curve type 1", vec![1, 0, 29]),
        ("curve type 2", vec![2, 0, 29]),
        ("an unknown curve", vec![3, 0x99, 0x99]),
        ("P-224", vec![3, 0, 21]),
        ("X448", vec![3, 0, 30]),
        ("a curve that isn't the point's", vec![3, 0, 23]),
    ] {
        let script = Script {
            curve,
            ..Script::tls12()
        };
        judge(
            table,
            format!("1.2, a ServerKeyExchange with {what}"),
            script,
        );
    }
    for (what, list) in [
        ("only compressed", vec![1, 1]),
        ("all", vec![3, 0, 1, 2]),
        ("uncompressed last", vec![2, 1, 0]),
        ("none", vec![0]),
        ("an unknown format", vec![1, 9]),
        ("a byte after the list", vec![1, 0, 0]),
    ] {
        let mut script = Script::tls12();
        script.hello_extensions.push((11, list));
        judge(table, format!("1.2, point formats: {what}"), script);
    }
}

fn tickets(table: &mut Table) {
    let ticket13 = |lifetime: u32, nonce: &[u8], ticket: &[u8], extensions: &[u8]| {
        [
            &lifetime.to_be_bytes()[..],
            &[1, 2, 3, 4],
            &vector(1, nonce),
            &vector(2, ticket),
            &vector(2, extensions),
        ]
        .concat()
    };
    for (what, body) in [
        ("usual", ticket13(7200, &[0], b"ticket", &[])),
        ("empty", ticket13(7200, &[0], b"", &[])),
        ("without a nonce", ticket13(7200, &[], b"ticket", &[])),
        (
            "with a nonce of 255 bytes",
            ticket13(7200, &[7; 255], b"ticket", &[]),
        ),
        ("with lifetime 0", ticket13(0, &[0], b"ticket", &[])),
        (
            "that lasts eight days",
            ticket13(700_000, &[0], b"ticket", &[]),
        ),
        (
            "that lasts forever",
            ticket13(u32::MAX, &[0], b"ticket", &[]),
        ),
        (
            "with early data",
            ticket13(7200, &[0], b"ticket", &[0, 42, 0, 4, 0, 0, 1, 0]),
        ),
        (
            "with early data of 3 bytes",
            ticket13(7200, &[0], b"ticket", &[0, 42, 0, 3, 0, 1, 0]),
        ),
        (
            "with an unknown extension",
            ticket13(7200, &[0], b"ticket", &[9, 9, 0, 1, 0]),
        ),
        (
            "with an extension twice",
            ticket13(7200, &[0], b"ticket", &[9, 9, 0, 1, 0, 9, 9, 0, 1, 0]),
        ),
        (
            "with signature_algorithms",
            ticket13(7200, &[0], b"ticket", &[0, 13, 0, 4, 0, 2, 4, 3]),
        ),
        (
            "with supported_groups",
            ticket13(7200, &[0], b"ticket", &[0, 10, 0, 4, 0, 2, 0, 29]),
        ),
        (
            "with server_name",
            ticket13(7200, &[0], b"ticket", &[0, 0, 0, 0]),
        ),
        (
            "with a trailing byte",
            [ticket13(7200, &[0], b"ticket", &[]), vec![0]].concat(),
        ),
        ("of no bytes", Vec::new()),
        (
            "without extensions",
            ticket13(7200, &[0], b"ticket", &[])[..16].to_vec(),
        ),
    ] {
        let script = Script {
            ticket: Some(body),
            ..Script::tls13()
        };
        judge(table, format!("1.3, a ticket {what}"), script);
    }
    for (what, announced, body) in [
        (
            "usual",
            true,
            [&[0, 0, 1, 0][..], &vector(2, b"ticket")].concat(),
        ),
        ("empty", true, vec![0, 0, 1, 0, 0, 0]),
        (
            "not announced",
            false,
            [&[0, 0, 1, 0][..], &vector(2, b"ticket")].concat(),
        ),
        (
            "with a trailing byte",
            true,
            [&[0, 0, 1, 0][..], &vector(2, b"ticket"), &[0]].concat(),
        ),
        ("of no bytes", true, Vec::new()),
    ] {
        let mut script = Script::tls12();
        if announced {
            script.hello_extensions.push((35, Vec::new()));
        }
        script.ticket = Some(body);
        judge(table, format!("1.2, a ticket {what}"), script);
    }
    let mut script = Script::tls12();
    script.hello_extensions.push((35, Vec::new()));
    judge(table, "1.2, a ticket announced and not sent", script);
}

fn endings(table: &mut Table) {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let open = b"HTTP/1.1 200 OK\r\n\r\nok".to_vec();
    let none = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
    for (version, script) in VERSIONS {
        for (framing, response) in [
            ("a length", &whole),
            ("no length", &open),
            ("no body", &none),
        ] {
            for (what, end) in [
                ("close_notify", vec![alert(&[1, 0])]),
                ("close_notify as fatal", vec![alert(&[2, 0])]),
                (
                    "close_notify in two records",
                    vec![alert(&[1]), alert(&[0])],
                ),
                ("close_notify with a trailing byte", vec![alert(&[1, 0, 0])]),
                ("close_notify of level 3", vec![alert(&[3, 0])]),
                ("an empty alert", vec![alert(&[])]),
                ("nothing", Vec::new()),
                ("a reset after a pause", vec![Out::Pause, Out::Reset]),
                ("an immediate reset", vec![Out::Reset]),
                (
                    "close_notify and a reset",
                    vec![alert(&[1, 0]), Out::Pause, Out::Reset],
                ),
                ("a fatal alert 40", vec![alert(&[2, 40])]),
                ("a fatal alert 80", vec![alert(&[2, 80])]),
                ("a fatal alert 48", vec![alert(&[2, 48])]),
                ("a fatal alert 116", vec![alert(&[2, 116])]),
                ("a warning 112", vec![alert(&[1, 112])]),
                (
                    "a warning user_canceled",
                    vec![alert(&[1, 90]), alert(&[1, 0])],
                ),
                ("a warning no_renegotiation", vec![alert(&[1, 100])]),
                (
                    "garbage",
                    vec![Out::Raw(b"garbage garbage garbage".to_vec())],
                ),
                (
                    "a record that does not decrypt",
                    vec![Out::Raw(record(APPLICATION_DATA, &[7; 40]))],
                ),
                (
                    "an unencrypted alert",
                    vec![Out::Raw(record(ALERT, &[1, 0]))],
                ),
                (
                    "application data after close_notify",
                    vec![
                        alert(&[1, 0]),
                        Out::Record(APPLICATION_DATA, b"more".to_vec()),
                    ],
                ),
                (
                    "a HelloRequest",
                    vec![Out::Message(message(0, &[])), alert(&[1, 0])],
                ),
                (
                    "a KeyUpdate",
                    vec![Out::Message(message(24, &[0])), alert(&[1, 0])],
                ),
                (
                    "an unknown message",
                    vec![Out::Message(message(77, b"x")), alert(&[1, 0])],
                ),
                (
                    "a ServerHelloDone",
                    vec![Out::Message(message(14, &[])), alert(&[1, 0])],
                ),
            ] {
                for rule in ["status 200", "string ok", "! string bad"] {
                    if rule != "status 200" && framing == "no body" {
                        continue;
                    }
                    for paused in [false, true] {
                        let response = response.clone();
                        let mut end = end.clone();
                        if paused {
                            end.insert(0, Out::Pause);
                        }
                        let script = script()
                            .with(Step::Response, move |_| {
                                vec![Out::Record(APPLICATION_DATA, response.clone())]
                            })
                            .with(Step::End, move |_| end.clone());
                        let name = format!(
                            "{version}, {framing}, then {what}{}: {rule}",
                            if paused { " later" } else { "" }
                        );
                        let case = judge(table, name, script);
                        case.backend = format!(
                            "timeout check 8s\noption httpchk GET /\nhttp-check expect {rule}"
                        );
                        case.options = format!("{} --expect '{rule}'", case.options);
                        if what == "an immediate reset" {
                            case.differs = RACE;
                        }
                    }
                }
            }
        }
    }
}
