//! Faults of the handshake, before the certificate is verified.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::Fault;
use crate::support::peer::{self, drip, reset, says};
use crate::support::stage::Stage;

pub fn faults(stage: &Stage) -> Vec<Fault> {
    let mut faults = alerts();
    faults.extend(not_a_handshake());
    faults.extend(silence_and_slowness());
    faults.extend(retries(stage));
    faults.extend(nothing_in_common(stage));
    faults
}

fn alerts() -> Vec<Fault> {
    let alerts = [
        (10, 61, "(unexpected_message)"),
        (20, 61, "(bad_record_mac)"),
        (22, 61, "(record_overflow)"),
        (40, 66, "(handshake_failure)"),
        // An alert about a certificate gets code 61 here, because the server didn't ask for a client
        // certificate.
        (42, 61, "(bad_certificate)"),
        (46, 61, "(certificate_unknown)"),
        (47, 61, "(illegal_parameter)"),
        (48, 61, "(unknown_ca)"),
        (49, 61, "(access_denied)"),
        (50, 61, "(decode_error)"),
        (51, 61, "(decrypt_error)"),
        (70, 66, "(protocol_version)"),
        (71, 66, "(insufficient_security)"),
        (80, 61, "(internal_error)"),
        (86, 61, "(inappropriate_fallback)"),
        (109, 61, "(missing_extension)"),
        (110, 61, "(unsupported_extension)"),
        (112, 65, "(unrecognized_name)"),
        (115, 61, "(unknown_psk_identity)"),
        (116, 58, "(certificate_required)"),
        (120, 61, "(no_application_protocol)"),
    ];
    let mut faults = Vec::from(alerts.map(|(alert, code, phrase)| {
        let port = says([21, 3, 3, 0, 2, 2, alert]);
        Fault::new(format!("fatal alert {alert}"), port, code, phrase)
    }));
    let no_sni = says([21, 3, 3, 0, 2, 2, 40]);
    let phrase = "without SNI (handshake_failure)";
    faults.push(Fault::new("fatal alert 40", no_sni, 65, phrase).with("--no-sni --verify-host x"));
    faults
}

fn not_a_handshake() -> Vec<Fault> {
    let random: Vec<u8> = (0..64u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    vec![
        Fault::new(
            "plain HTTP",
            says("HTTP/1.1 400 Bad Request\r\n\r\n"),
            63,
            "\"HTTP/1.1 400 Bad Request\"",
        ),
        Fault::new(
            "an SSH banner",
            says("SSH-2.0-OpenSSH_9.2\r\n"),
            63,
            "\"SSH-2.0-OpenSSH_9.2\"",
        ),
        Fault::new(
            "an SMTP banner",
            says("220 mail ESMTP\r\n"),
            63,
            "\"220 mail ESMTP\"",
        ),
        Fault::new("random bytes", says(random), 63, "does not speak TLS"),
        Fault::new(
            "an oversized record",
            says([22, 3, 3, 0xff, 0xff, 2, 0, 0, 0]),
            63,
            "TLS",
        ),
        Fault::new(
            "an empty record",
            says([22, 3, 3, 0, 0]),
            63,
            "an empty record",
        ),
        Fault::new(
            "application data instead of a ServerHello",
            says([23, 3, 3, 0, 1, 0]),
            63,
            "violates TLS",
        ),
        Fault::new(
            "a truncated ServerHello",
            says([22, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3]),
            64,
            "closed",
        ),
        Fault::new(
            "a malformed ServerHello",
            says([22, 3, 3, 0, 4, 2, 0, 0, 0]),
            63,
            "limit of sni-check: a message that it cannot read",
        ),
        Fault::new(
            "SSLv3's alert",
            says([21, 3, 0, 0, 2, 2, 40]),
            66,
            "(handshake_failure)",
        ),
        Fault::new(
            "a warning, then a close",
            says([21, 3, 3, 0, 2, 1, 112]),
            64,
            "closed",
        ),
        Fault::new("a TCP close", says([]), 64, "closed"),
        Fault::new("close_notify", says([21, 3, 3, 0, 2, 1, 0]), 64, "closed"),
    ]
}

fn silence_and_slowness() -> Vec<Fault> {
    let silent = peer::tcp(|mut stream| _ = stream.read_to_end(&mut Vec::new()));
    // This peer sends a handshake message that never ends.
    let dripping = |bytes: &'static [u8]| peer::tcp(move |mut stream| drip(&mut stream, bytes));
    let resetting = peer::tcp(|mut stream| {
        let _ = stream.read(&mut [0; 16]);
        reset(&stream);
    });
    // The peer waits for the client's first byte, because an earlier reset may look like a failed
    // connection.
    let unread = peer::tcp(|stream| {
        let _ = stream.peek(&mut [0]);
        reset(&stream);
    });
    let closed = peer::tcp(|stream| drop(stream.shutdown(std::net::Shutdown::Both)));
    let endless = |bytes: &'static [u8]| {
        peer::tcp(move |mut stream| while stream.write_all(&bytes.repeat(99)).is_ok() {})
    };
    vec![
        Fault::new("silence", silent, 62, "handshake timed out"),
        Fault::new(
            "a byte every 100 ms",
            dripping(&[22, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0xf0]),
            62,
            "handshake timed out",
        ),
        Fault::new("a reset", resetting, 64, "reset during the handshake"),
        Fault::new(
            "a reset before the ClientHello is read",
            unread,
            64,
            "during the handshake",
        ),
        Fault::new("accepted and closed", closed, 64, "during the handshake"),
        // These peers never stop, so a rule of the protocol must end the check.
        Fault::new(
            "endless warnings",
            endless(&[21, 3, 3, 0, 2, 1, 90]),
            63,
            "violates TLS",
        ),
        Fault::new(
            "endless empty records",
            endless(&[22, 3, 3, 0, 0]),
            63,
            "limit of sni-check: an empty record",
        ),
        Fault::new(
            "endless ChangeCipherSpec",
            endless(&[20, 3, 3, 0, 1, 1]),
            63,
            "limit of sni-check: a ChangeCipherSpec",
        ),
    ]
}

/// The random value that marks a ServerHello as a HelloRetryRequest (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Answers each ClientHello with a HelloRetryRequest for this group.
fn retry_forever(mut stream: TcpStream, group: u8) {
    let mut hello = [0; 4096];
    // The client sends a ChangeCipherSpec before the second ClientHello.
    while let Ok(length @ 1..) = stream.read(&mut hello) {
        let record = match hello[0] {
            20 => &hello[6..length],
            _ => &hello[..length],
        };
        let Some(session) = record.get(44..76) else {
            continue;
        };
        // The fields: version, random, session, TLS_AES_128_GCM_SHA256, supported_versions,
        // key_share.
        let mut message = [&[3, 3], &RETRY[..], &[32], session, &[0x13, 1, 0, 0, 12]].concat();
        message.extend([0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, group]);
        let length = message.len() as u8;
        let header = [22, 3, 3, 0, length + 4, 2, 0, 0, length];
        if stream.write_all(&[&header, &message[..]].concat()).is_err() {
            return;
        }
    }
}

fn retries(stage: &Stage) -> Vec<Fault> {
    let retry = |group| peer::tcp(move |stream| retry_forever(stream, group));
    let once = stage.openssl("leaf", &["-groups", "P-384"]);
    vec![
        Fault::none("one HelloRetryRequest", once).with(&stage.trust),
        Fault::new("endless HelloRetryRequests", retry(24), 63, "violates TLS"),
        Fault::new(
            "a HelloRetryRequest for a group that was already sent",
            retry(29),
            63,
            "violates TLS",
        ),
    ]
}

/// Returns faults with real servers that share no TLS version or cipher with the check, and with
/// healthy servers that share only one version.
fn nothing_in_common(stage: &Stage) -> Vec<Fault> {
    let low = "ALL:@SECLEVEL=0";
    let server = |options: &[&str]| stage.openssl("leaf", options);
    let old = server(&["-tls1", "-cipher", low]);
    let older = server(&["-tls1_1", "-cipher", low]);
    let cbc = server(&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]);
    let only_12 = server(&["-tls1_2"]);
    let only_13 = server(&["-tls1_3"]);
    vec![
        Fault::new("TLS 1.0 only", old, 66, "(protocol_version)"),
        Fault::new("TLS 1.1 only", older, 66, "(protocol_version)"),
        Fault::new("no common cipher", cbc, 66, "(handshake_failure)"),
        Fault::new("we require TLS 1.3", only_12, 66, "(protocol_version)")
            .with("--ssl-min-ver TLSv1.3"),
        Fault::new("we require TLS 1.2", only_13, 66, "(protocol_version)")
            .with("--ssl-max-ver TLSv1.2"),
        Fault::none("TLS 1.2 only", only_12).with(&stage.trust),
        Fault::none("TLS 1.3 only", only_13).with(&stage.trust),
    ]
}
