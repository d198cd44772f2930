//! Cases in which a relay changes the first bytes of a real server. The changes don't affect the
//! signed messages.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use super::Table;
use crate::support::peer;

/// A function that changes the server's first bytes.
type Change = fn(&[u8]) -> Vec<u8>;

const CHANGES: &[(&str, Change)] = &[
    ("unchanged", |bytes| bytes.to_vec()),
    ("a warning unrecognized_name first", |bytes| {
        warnings(&[112], bytes)
    }),
    ("four warnings first", |bytes| warnings(&[112; 4], bytes)),
    ("six warnings first", |bytes| warnings(&[112; 6], bytes)),
    ("a warning no_renegotiation first", |bytes| {
        warnings(&[100], bytes)
    }),
    ("a warning user_canceled first", |bytes| {
        warnings(&[90], bytes)
    }),
    ("a warning close_notify first", |bytes| {
        warnings(&[0], bytes)
    }),
    ("an unknown warning first", |bytes| warnings(&[200], bytes)),
    ("an alert of an unknown level first", |bytes| {
        [&[21, 3, 3, 0, 2, 3, 40], bytes].concat()
    }),
    ("a ServerHello in records of one byte", |bytes| {
        divided(bytes, 1)
    }),
    ("a ServerHello in records of 50 bytes", |bytes| {
        divided(bytes, 50)
    }),
    ("an empty handshake record first", |bytes| {
        [&[22, 3, 3, 0, 0], bytes].concat()
    }),
    ("a ChangeCipherSpec first", |bytes| {
        [&[20, 3, 3, 0, 1, 1], bytes].concat()
    }),
    ("application data first", |bytes| {
        [&[23, 3, 3, 0, 1, 0], bytes].concat()
    }),
    ("heartbeat first", |bytes| {
        [&[24, 3, 3, 0, 3, 1, 0, 0], bytes].concat()
    }),
    ("a HelloRequest first", |bytes| {
        [&[22, 3, 3, 0, 4, 0, 0, 0, 0], bytes].concat()
    }),
    ("a record of version 3.1", |bytes| version(bytes, [3, 1])),
    ("a record of version 3.0", |bytes| version(bytes, [3, 0])),
    ("a record of version 3.4", |bytes| version(bytes, [3, 4])),
    ("a record of version 2.0", |bytes| version(bytes, [2, 0])),
    ("text first", |bytes| [b"220 hello\r\n", bytes].concat()),
];

pub fn cases(table: &mut Table) {
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let (certificate, key) = table.server("P-256");
        let directives = format!("ssl_protocols {protocol};");
        let server = table.sites.nginx(&certificate, &key, &directives);
        for (name, change) in CHANGES {
            let (server, change) = (server.clone(), *change);
            let port = peer::tcp(move |stream| relay(stream, &server, change));
            table.judge(&format!("{protocol}, {name}"), "127.0.0.1", port);
        }
    }
}

fn warnings(alerts: &[u8], bytes: &[u8]) -> Vec<u8> {
    let warnings = alerts.iter().map(|alert| [21, 3, 3, 0, 2, 1, *alert]);
    let first: Vec<u8> = warnings.flatten().collect();
    [&first, bytes].concat()
}

/// Splits the first record into records with this number of bytes.
fn divided(bytes: &[u8], size: usize) -> Vec<u8> {
    let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    let (first, rest) = bytes[5..].split_at(length);
    let records = first.chunks(size).flat_map(|chunk| {
        let header = [bytes[0], bytes[1], bytes[2], 0, chunk.len() as u8];
        [&header, chunk].concat()
    });
    let records: Vec<u8> = records.collect();
    [&records, rest].concat()
}

fn version(bytes: &[u8], version: [u8; 2]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[1..3].copy_from_slice(&version);
    bytes
}

/// Relays all bytes. Changes only the server's first bytes.
fn relay(client: TcpStream, server: &(String, u16), change: Change) {
    let (address, port) = server;
    let Ok(server) = TcpStream::connect((address.as_str(), *port)) else {
        return;
    };
    let up = (client.try_clone(), server.try_clone());
    let (Ok(from), Ok(to)) = up else { return };
    thread::spawn(move || pass(from, to));
    let mut first = [0; 16_384];
    let (mut server, mut client) = (server, client);
    // The first read returns the whole first record.
    match server.read(&mut first) {
        Ok(length @ 6..) => _ = client.write_all(&change(&first[..length])),
        _ => return,
    }
    pass(server, client);
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
