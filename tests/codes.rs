//! Every exit code, caused by a real peer.

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Output;
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use rustix::net::sockopt::set_socket_linger;
use sni_check::code::Code;
use support::check::{BINARY, haproxy_command};
use support::folder::Folder;
use support::nginx::Nginx;
use support::pki::Ca;
use support::{free_port, peer};

const NAME: &str = "www.example.test";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A peer, the options of a check of it, and what must come of it.
struct Row {
    address: String,
    port: String,
    options: String,
    code: Code,
    phrase: &'static str,
}

fn run(program: &[&str], row: &Row) -> Output {
    let sni = if row.options.contains("--no-sni") {
        ""
    } else {
        "--sni www.example.test"
    };
    let path = format!("{sni} --timeout 1s {}", row.options);
    haproxy_command(program, &path, &row.address, &row.port)
        .output()
        .expect("the program runs")
}

#[track_caller]
fn expect(output: &Output, row: &Row) {
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(i32::from(row.code.number())),
        "{}: {line}",
        row.options
    );
    assert!(
        line.contains(row.phrase),
        "{}: {line} (lacks {})",
        row.options,
        row.phrase
    );
}

/// Reads the ClientHello, sends these bytes, and waits for the client to go.
fn says(bytes: &'static [u8]) -> u16 {
    peer::tcp(move |mut stream| {
        let _ = stream.read(&mut [0; 2048]);
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// A fatal alert (RFC 8446, section 6).
fn alert(description: u8) -> u16 {
    peer::tcp(move |mut stream| {
        let _ = stream.read(&mut [0; 2048]);
        let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, description]);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

fn reset(stream: &TcpStream) {
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
}

/// A port whose queue of connections is full, so that it answers nothing.
fn swallowing() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    rustix::net::listen(&listener, 0).expect("a short queue");
    let address = listener.local_addr().expect("an address");
    let wait = Duration::from_millis(300);
    let connect = || TcpStream::connect_timeout(&address, wait).ok();
    (listener, std::iter::from_fn(connect).take(8).collect())
}

#[test]
fn every_code_that_a_peer_can_cause() {
    let folder = Folder::new();
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 30);
    let trust = format!("--ca-file {}", folder.file("ca.pem", &ca.pem));
    let nginx = Nginx::start(&ca, NAME, &leaf);
    let (swallowing, _queue) = swallowing();
    let swallowing = swallowing.local_addr().expect("an address").port();
    let for_clients = ca.leaf_with(&[NAME], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let cut = |response: &'static str| {
        peer::tls(&leaf, move |stream| {
            let _ = stream.write_all(response.as_bytes());
            let _ = stream.flush();
            reset(&stream.sock);
        })
    };
    let silent = peer::tls(&leaf, |stream| _ = stream.read(&mut [0]));
    let unheard = peer::tcp(|mut stream| _ = stream.read_to_end(&mut Vec::new()));
    let resetting = peer::tcp(|mut stream| {
        let _ = stream.read(&mut [0; 16]);
        reset(&stream);
    });

    let row = |port: u16, options: &str, code, phrase| Row {
        address: "127.0.0.1".to_owned(),
        port: port.to_string(),
        options: format!("{trust} {options}"),
        code,
        phrase,
    };
    let unix = |path: String, code, phrase| Row {
        address: path,
        port: "NOT_USED".to_owned(),
        ..row(0, "", code, phrase)
    };
    let with = |leaf, code, phrase| row(peer::answer(leaf, OK), "", code, phrase);
    let answers =
        |response, options, code, phrase| row(peer::answer(&leaf, response), options, code, phrase);
    let rows = [
        row(nginx.port, "", Code::Healthy, ""),
        row(
            1,
            "--connect nowhere.invalid:443",
            Code::NameNotFound,
            "nowhere.invalid did not resolve",
        ),
        row(
            free_port(),
            "",
            Code::ConnectionRefused,
            "connection refused",
        ),
        row(swallowing, "", Code::ConnectTimeout, "connecting timed out"),
        unix(
            folder.join("nothing"),
            Code::Unreachable,
            "the unix socket does not exist",
        ),
        unix(
            folder.join("ca.pem"),
            Code::ConnectionRefused,
            "connection refused",
        ),
        with(
            &ca.leaf(&[NAME], -2),
            Code::CertificateExpired,
            "expired 1 day ago",
        ),
        with(
            &ca.leaf_with(&[NAME], |params| {
                params.not_before = time::OffsetDateTime::now_utc() + time::Duration::days(9);
                params.not_after = params.not_before + time::Duration::days(9);
            }),
            Code::CertificateNotYetValid,
            "is this clock right?",
        ),
        with(
            &ca.leaf(&["other.test"], 9),
            Code::CertificateForOtherName,
            "but for other.test",
        ),
        with(
            &Ca::named("Other").leaf(&[NAME], 9),
            Code::IssuerUnknown,
            "CN=Other",
        ),
        with(
            &for_clients,
            Code::CertificateInvalid,
            "not meant for servers",
        ),
        row(
            nginx.port,
            "--min-cert-days 99",
            Code::CertificateEndsSoon,
            "ends in 30 days",
        ),
        row(
            alert(116),
            "",
            Code::ClientCertificate,
            "wants a client certificate",
        ),
        row(alert(80), "", Code::HandshakeRefused, "(internal_error)"),
        row(
            alert(120),
            "",
            Code::HandshakeRefused,
            "(no_application_protocol)",
        ),
        row(unheard, "", Code::HandshakeTimeout, "handshake timed out"),
        row(
            says(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
            "",
            Code::NotTls,
            "it says \"SSH-2.0-OpenSSH_9.2p1\"",
        ),
        row(
            says(&[0x16, 3, 3, 0, 4, 2, 0, 0, 0]),
            "",
            Code::NotTls,
            "breaks the rules of TLS",
        ),
        row(
            says(b""),
            "",
            Code::HandshakeClosed,
            "connection closed during the handshake",
        ),
        row(
            resetting,
            "",
            Code::HandshakeClosed,
            "connection reset during the handshake",
        ),
        row(
            nginx.port,
            "--no-sni --verify-host x",
            Code::NameRefused,
            "without SNI (unrecognized_name)",
        ),
        row(
            alert(112),
            "",
            Code::NameRefused,
            "refused the name (unrecognized_name)",
        ),
        row(alert(40), "", Code::NothingInCommon, "(handshake_failure)"),
        row(
            alert(40),
            "--no-sni",
            Code::NameRefused,
            "without SNI (handshake_failure)",
        ),
        row(alert(70), "", Code::NothingInCommon, "(protocol_version)"),
        row(
            nginx.port,
            "--uri /error",
            Code::Status,
            "status 500, expected status 200-399",
        ),
        row(silent, "", Code::ResponseTimeout, "response timed out"),
        answers(
            "ICY 200 OK\r\n\r\n",
            "",
            Code::NotHttp,
            "not a valid HTTP response",
        ),
        answers(
            "<html>\r\n\r\n",
            "",
            Code::NotHttp,
            "not a valid HTTP response",
        ),
        answers(
            "",
            "",
            Code::ResponseClosed,
            "connection closed before the response",
        ),
        answers(
            "HTTP/1.1 200 OK\r\nX:",
            "",
            Code::ResponseClosed,
            "connection closed before",
        ),
        row(
            cut("HTTP/1.1 200"),
            "",
            Code::ResponseClosed,
            "connection reset before the response",
        ),
        answers(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
            "--expect 'string k'",
            Code::ResponseClosed,
            "closed",
        ),
        answers(
            OK,
            "--expect 'string no'",
            Code::Body,
            "body does not meet: string no",
        ),
        answers(
            OK,
            "--expect 'hdr name no'",
            Code::Header,
            "headers do not meet: hdr name no",
        ),
    ];
    let hanging = peer::tls(&leaf, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\n");
        let _ = stream.read(&mut [0]);
    });
    // A wrong status is told even if the body that another rule needs never comes.
    let row_503 = row(hanging, "--expect 'string x'", Code::Status, "status 503");
    expect(&run(&[BINARY], &row_503), &row_503);
    let mut reached = BTreeSet::new();
    for row in &rows {
        expect(&run(&[BINARY], row), row);
        reached.insert(row.code);
    }
    // A resolver that never answers, in a mount namespace whose resolv.conf names it.
    let resolver = UdpSocket::bind("127.77.31.2:53").expect("a port of the loopback");
    let conf = folder.file("resolv.conf", "nameserver 127.77.31.2\n");
    let script = format!("/bin/mount --bind {conf} /etc/resolv.conf && exec \"$0\" \"$@\"");
    let program = ["/usr/bin/unshare", "-m", "/bin/sh", "-c", &script, BINARY];
    let slow = row(
        1,
        "--connect slow.example.test:443",
        Code::ResolveTimeout,
        "resolving slow.example.test timed out",
    );
    expect(&run(&program, &slow), &slow);
    reached.insert(slow.code);
    assert!(
        resolver.recv(&mut [0; 512]).is_ok(),
        "nobody asked the resolver"
    );
    // 1 and 2 are nobody's doing but ours; tests/fail_closed.rs and tests/refusals.rs reach them.
    let all = Code::ALL
        .into_iter()
        .filter(|code| ![Code::Internal, Code::Refused].contains(code));
    assert_eq!(reached, all.collect());
}
