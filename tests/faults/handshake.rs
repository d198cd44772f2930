//! Faults before there is a connection to ask on.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::support::folder::Folder;
use crate::support::pki::Ca;
use crate::support::{Running, free_port, peer, program, wait_for};
use crate::{Fault, NAME, run};

/// Reads the ClientHello and says this, then ends the connection in order.
fn says(bytes: impl Into<Vec<u8>>) -> u16 {
    let bytes = bytes.into();
    peer::tcp(move |mut stream| {
        let _ = stream.read(&mut [0; 2048]);
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

fn fault(what: &str, port: u16, code: i32, phrase: &'static str) -> Fault {
    Fault {
        what: what.to_owned(),
        port,
        options: String::new(),
        code,
        phrase,
    }
}

#[test]
fn fatal_alerts() {
    let alerts = [
        (10, 61, "(unexpected_message)"),
        (20, 61, "(bad_record_mac)"),
        (22, 61, "(record_overflow)"),
        (40, 66, "(handshake_failure)"),
        // About a client certificate, but none was asked for.
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
    let faults = alerts.map(|(alert, code, phrase)| {
        let port = says([21, 3, 3, 0, 2, 2, alert]);
        fault(&format!("fatal alert {alert}"), port, code, phrase)
    });
    run(&faults);
}

#[test]
fn what_is_no_handshake() {
    let random: Vec<u8> = (0..64u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    run(&[
        fault(
            "plain HTTP",
            says("HTTP/1.1 400 Bad Request\r\n\r\n"),
            63,
            "\"HTTP/1.1 400 Bad Request\"",
        ),
        fault(
            "an SSH banner",
            says("SSH-2.0-OpenSSH_9.2\r\n"),
            63,
            "\"SSH-2.0-OpenSSH_9.2\"",
        ),
        fault(
            "an SMTP banner",
            says("220 mail ESMTP\r\n"),
            63,
            "\"220 mail ESMTP\"",
        ),
        fault("random bytes", says(random), 63, "does not speak TLS"),
        fault(
            "an oversized record",
            says([22, 3, 3, 0xff, 0xff, 2, 0, 0, 0]),
            63,
            "TLS",
        ),
        fault("an empty record", says([22, 3, 3, 0, 0]), 63, "TLS"),
        fault(
            "application data at once",
            says([23, 3, 3, 0, 1, 0]),
            63,
            "breaks the rules",
        ),
        fault(
            "a truncated ServerHello",
            says([22, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3]),
            64,
            "closed",
        ),
        fault(
            "a malformed ServerHello",
            says([22, 3, 3, 0, 4, 2, 0, 0, 0]),
            63,
            "breaks the rules",
        ),
        fault(
            "SSLv3's alert",
            says([21, 3, 0, 0, 2, 2, 40]),
            66,
            "(handshake_failure)",
        ),
        fault(
            "a warning, then the end",
            says([21, 3, 3, 0, 2, 1, 112]),
            64,
            "closed",
        ),
        fault("the end in order", says([]), 64, "closed"),
        fault("close_notify", says([21, 3, 3, 0, 2, 1, 0]), 64, "closed"),
        fault("refused", free_port(), 41, "connection refused"),
    ]);
}

/// A real `openssl s_server`.
fn s_server(folder: &Folder, options: &[&str]) -> (Running, u16) {
    let port = free_port();
    let (crt, key) = (folder.join("crt"), folder.join("key"));
    let mut command = program("openssl");
    command.args([
        "s_server",
        "-quiet",
        "-accept",
        &format!("127.0.0.1:{port}"),
    ]);
    command.args(["-cert", &crt, "-key", &key]).args(options);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let running = Running(child.spawn().expect("openssl runs"));
    wait_for("openssl to listen", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (running, port)
}

#[test]
fn nothing_in_common_with_a_real_openssl() {
    let folder = Folder::new();
    let leaf = Ca::new().leaf(&[NAME], 30);
    folder.file("crt", &leaf.crt_pem);
    folder.file("key", &leaf.key_pem);
    let low = "ALL:@SECLEVEL=0";
    let (_a, old) = s_server(&folder, &["-tls1", "-cipher", low]);
    let (_b, older) = s_server(&folder, &["-tls1_1", "-cipher", low]);
    let (_c, cbc) = s_server(&folder, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]);
    let (_d, only12) = s_server(&folder, &["-tls1_2"]);
    let (_e, only13) = s_server(&folder, &["-tls1_3"]);
    let limited = |what, port, options: &str| Fault {
        options: options.to_owned(),
        ..fault(what, port, 66, "version or cipher in common")
    };
    run(&[
        fault("TLS 1.0 only", old, 66, "(protocol_version)"),
        fault("TLS 1.1 only", older, 66, "(protocol_version)"),
        fault("no common cipher", cbc, 66, "(handshake_failure)"),
        limited("we insist on 1.3", only12, "--ssl-min-ver TLSv1.3"),
        limited("we insist on 1.2", only13, "--ssl-max-ver TLSv1.2"),
    ]);
}
