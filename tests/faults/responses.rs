//! Faults in how a response arrives: silence, slowness, a connection that closes at any point,
//! redirects.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

use crate::Fault;
use crate::support::peer::{self, OK, drip, reset};
use crate::support::stage::Stage;

pub fn faults(stage: &Stage, elsewhere: u16) -> Vec<Fault> {
    let mut faults = waits(stage);
    faults.extend(ends(stage));
    faults.extend(redirects(stage, elsewhere));
    faults.extend(nginx(stage));
    faults
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

const BARE: &str = "HTTP/1.1 200 OK\r\n\r\n";
const LONGER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok";
const WANTS: &str = "--expect 'string k'";
/// A rule that only the end of the body can decide.
const ABSENT: &str = "--expect '! string bad'";

fn behaves(stage: &Stage, behave: impl Fn(&mut Stream) + Send + Sync + 'static) -> u16 {
    peer::tls(&stage.leaf, behave)
}

fn say(stream: &mut Stream, text: &str) {
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
}

fn waits(stage: &Stage) -> Vec<Fault> {
    // This peer sends the text, and then nothing.
    let mute = |text: &'static str| {
        behaves(stage, move |stream| {
            say(stream, text);
            let _ = stream.read(&mut [0]);
        })
    };
    let drips = |first: &'static str, again: &'static [u8]| {
        behaves(stage, move |stream| {
            say(stream, first);
            drip(stream, again);
        })
    };
    let head = "response timed out";
    let body = "timed out while reading the response body";
    let row = |what, port, options, code, phrase| {
        Fault::new(what, port, code, phrase)
            .with(&stage.trust)
            .with(options)
    };
    vec![
        row("silence", mute(""), "", 72, head),
        row(
            "silence within the head",
            mute("HTTP/1.1 200 OK\r\nX:"),
            "",
            72,
            head,
        ),
        row("silence after the head", mute(BARE), WANTS, 72, body),
        row("silence within the body", mute(LONGER), ABSENT, 72, body),
        row(
            "silence after the text was found",
            mute(LONGER),
            WANTS,
            0,
            "",
        ),
        row(
            "silence after a pattern matched",
            mute(LONGER),
            "--expect 'rstring ^ok'",
            0,
            "",
        ),
        row(
            "silence after the head, no body needed",
            mute(BARE),
            "",
            0,
            "",
        ),
        // The check reports a wrong status even if another rule needs a body that never comes.
        row(
            "503 without the body",
            mute("HTTP/1.1 503 Busy\r\n\r\n"),
            "--expect 'string k' --expect 'status 200'",
            71,
            "status 503",
        ),
        row(
            "a head, a byte every 100 ms",
            drips("", b"HTTP/1.1 200 OK\r\nX-A: b"),
            "",
            72,
            head,
        ),
        row(
            "hints, a byte every 100 ms",
            drips("", b"HTTP/1.1 103 E\r\n\r\n"),
            "",
            72,
            head,
        ),
        row(
            "a body, a byte every 100 ms",
            drips(BARE, b"x"),
            WANTS,
            72,
            body,
        ),
    ]
}

fn ends(stage: &Stage) -> Vec<Fault> {
    // Three ways to close: a clean TLS close, a TCP close that anyone on the path could cause, and
    // a reset.
    let in_order = |text: &'static str| peer::answer(&stage.leaf, text);
    let cut = |text: &'static str| {
        behaves(stage, move |stream| {
            say(stream, text);
            let _ = stream.sock.shutdown(std::net::Shutdown::Write);
            let _ = stream.sock.read_to_end(&mut Vec::new());
        })
    };
    let resets = |text: &'static str| {
        behaves(stage, move |stream| {
            say(stream, text);
            // An immediate reset would discard data that is still being sent.
            thread::sleep(Duration::from_millis(100));
            reset(&stream.sock);
        })
    };
    let (none, part) = ("", "HTTP/1.1 200 OK\r\nX:");
    let row = |what, port, options, code, phrase| {
        Fault::new(what, port, code, phrase)
            .with(&stage.trust)
            .with(options)
    };
    let closed = "connection closed before the response was complete";
    let broken = "connection reset before the response was complete";
    vec![
        row("closed before the head", in_order(none), "", 74, closed),
        row("closed within the head", in_order(part), "", 74, closed),
        row(
            "closed after the head",
            in_order(LONGER),
            ABSENT,
            74,
            closed,
        ),
        row(
            "closed after the text was found",
            in_order(LONGER),
            WANTS,
            0,
            "",
        ),
        row(
            "closed after the head, no body needed",
            in_order(LONGER),
            "",
            0,
            "",
        ),
        row("cut before the head", cut(none), "", 74, closed),
        row("cut within the head", cut(part), "", 74, closed),
        row("cut after the head", cut(LONGER), ABSENT, 74, closed),
        row("cut after the text was found", cut(LONGER), WANTS, 0, ""),
        row(
            "cut after a body that only close_notify ends",
            cut("HTTP/1.0 200 OK\r\n\r\nok"),
            ABSENT,
            74,
            closed,
        ),
        row("cut after a body of known length", cut(OK), WANTS, 0, ""),
        row("reset before the head", resets(none), "", 74, broken),
        row("reset within the head", resets(part), "", 74, broken),
        row("reset after the head", resets(LONGER), ABSENT, 74, broken),
        row(
            "reset after the head, no body needed",
            resets(LONGER),
            "",
            0,
            "",
        ),
        row(
            "an unencrypted record after the handshake",
            plain(stage),
            "",
            63,
            "violates TLS",
        ),
    ]
}

/// Starts a server that breaks TLS with an unencrypted record after the handshake.
fn plain(stage: &Stage) -> u16 {
    behaves(stage, |stream| {
        let _ = stream.sock.write_all(&[21, 3, 3, 0, 2, 2, 80]);
        let _ = stream.sock.read_to_end(&mut Vec::new());
    })
}

/// Returns peers that redirect. To the check, a redirect is only a status that it doesn't follow. The
/// targets are a cloud's metadata address, and the port `elsewhere`, which notices connections.
fn redirects(stage: &Stage, elsewhere: u16) -> Vec<Fault> {
    let elsewhere = format!("127.0.0.1:{elsewhere}");
    let mut faults = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        for place in [
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            format!("http://{elsewhere}/"),
            format!("https://{elsewhere}/"),
            format!("//{elsewhere}/"),
        ] {
            let response = format!("HTTP/1.1 {status} X\r\nLocation: {place}\r\n\r\n");
            let port = peer::answer(&stage.leaf, &response);
            let row = |code, phrase| {
                Fault::new(format!("{status} to {place}"), port, code, phrase).with(&stage.trust)
            };
            faults.push(row(0, ""));
            faults.push(row(71, "redirects to").with("--expect 'status 200'"));
        }
    }
    let odd = "HTTP/1.1 302 X\r\nLocation: http://[::1\r\nLocation: \u{e9}\r\n\r\n";
    faults.push(Fault::none("invalid targets", peer::answer(&stage.leaf, odd)).with(&stage.trust));
    faults
}

fn nginx(stage: &Stage) -> Vec<Fault> {
    let row = |options, code, phrase| {
        Fault::new("nginx", stage.nginx().port, code, phrase)
            .with(&stage.trust)
            .with(options)
    };
    let without = "without SNI (unrecognized_name)";
    vec![
        row("", 0, ""),
        row("--uri /error", 71, "status 500, expected status 200-399"),
        row("--uri /missing", 71, "status 404"),
        row(
            "--expect 'string bad'",
            75,
            "body does not meet --expect: string bad",
        ),
        row("--no-sni --verify-host www.example.test", 65, without),
        row(
            "--ssl-max-ver TLSv1.2 --no-sni --verify-host www.example.test",
            65,
            without,
        ),
    ]
}
