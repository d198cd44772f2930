//! Servers that start TLS in the middle of another protocol.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::support::check::run_by_hand;

/// Starts a server on this port of an unused address. The server sends a greeting, and closes the connection
/// when the client sends something.
fn server(last: u8, port: u16, greeting: &'static [u8]) -> String {
    let id = std::process::id();
    let address = format!("127.{}.{}.{last}", 100 + (id >> 8) % 100, id % 250);
    let listener = TcpListener::bind((address.as_str(), port)).expect("a port");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(greeting);
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    format!("{address}:{port}")
}

#[test]
fn a_starttls_server_is_recognised_by_port_and_greeting() {
    // These greetings follow the specifications of the protocols. Some of them name common servers, but they
    // weren't recorded from real servers. PostgreSQL and LDAP servers send no greeting.
    for (last, port, greeting, name, check) in [
        (1, 5432, &b""[..], "PostgreSQL", "option pgsql-check"),
        (
            2,
            3306,
            b"\x5d\0\0\0\x0a5.5.5-10.11.6-MariaDB\0\x08\0\0\0",
            "MySQL",
            "option mysql-check",
        ),
        (
            3,
            33060,
            b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0",
            "MySQL",
            "option mysql-check",
        ),
        (
            4,
            2525,
            b"220 mail.example.test ESMTP Postfix\r\n",
            "SMTP",
            "option smtpchk",
        ),
        (
            5,
            587,
            b"220 mail.example.test ESMTP\r\n",
            "SMTP",
            "option smtpchk",
        ),
        (
            6,
            143,
            b"* OK [CAPABILITY IMAP4rev1 STARTTLS] Dovecot ready.\r\n",
            "IMAP",
            "tcp-check",
        ),
        (7, 110, b"+OK Dovecot ready.\r\n", "POP3", "tcp-check"),
        (8, 389, b"", "LDAP", "option ldap-check"),
    ] {
        let connect = format!("--connect={}", server(last, port, greeting));
        let output = run_by_hand(&[
            "diagnose",
            "--haproxy=none",
            "--handshake-only",
            &connect,
            "www.example.test",
        ]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains(&format!("The server speaks {name}.")),
            "{port}: {text}"
        );
        assert!(words.contains(check), "{port}: {text}");
    }
}
