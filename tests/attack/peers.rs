//! Hostile peers that speak TCP only, or HTTP over TLS.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::dice::Dice;
use crate::support::peer::{self, drip};

pub type Behaviour = Arc<dyn Fn(TcpStream) + Send + Sync>;

/// A port. Each try sets the behaviour of the server on this port.
pub struct Port {
    pub number: u16,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Port {
    pub fn new() -> Port {
        let behaviour: Arc<Mutex<Behaviour>> = Arc::new(Mutex::new(Arc::new(drop)));
        let slot = behaviour.clone();
        let number = peer::tcp(move |stream| {
            let behave = slot.lock().expect("a lock").clone();
            behave(stream);
        });
        Port { number, behaviour }
    }

    pub fn set(&self, behave: impl Fn(TcpStream) + Send + Sync + 'static) {
        *self.behaviour.lock().expect("a lock") = Arc::new(behave);
    }
}

fn flood(stream: &mut impl Write, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let many = bytes.repeat(8192 / bytes.len() + 1);
    while stream.write_all(&many).is_ok() {}
}

/// Reads until the client closes the connection.
pub fn hold(mut stream: impl Read) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// A TLS 1.2 ServerHello that selects record compression (RFC 3749).
const COMPRESSED: &[u8] = b"\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03\
    0123456789abcdef0123456789abcdef\x00\xc0\x2f\x01";

/// The first bytes of servers that speak other protocols, and complete or broken TLS records.
const GREETINGS: [&[u8]; 15] = [
    COMPRESSED,
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"220 mail.example.test ESMTP\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    b"\x4a\x00\x00\x00\x0a8.0.36\x00",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x15\x03\x01\x00\x02\x01\x00",
    b"\x16\x03\x03\x00\x00",
    b"\x16\x03\x03\x40\x00\x02\xff\xff\xff",
    b"\x14\x03\x03\x00\x01\x01",
    b"\x17\x03\x03\x00\x10",
    b"\x16\x03\x03\xff\xff",
    b"\x80\x80\x01\x03\x01",
];

/// Turns the port into a peer that completes no handshake. Returns its description.
pub fn tcp(dice: &mut Dice, port: &Port) -> String {
    let mut bytes = match dice.percent(30) {
        true => dice.bytes(600),
        false => dice.pick(&GREETINGS).to_vec(),
    };
    if dice.percent(40) {
        dice.damage(&mut bytes);
    }
    bytes.push(b'!');
    let (reads, how) = (dice.percent(70), dice.below(7));
    let what = format!(
        "reads first: {reads}, then {how}: {:?}",
        &bytes[..bytes.len().min(40)]
    );
    port.set(move |mut stream| {
        if reads {
            let _ = stream.read(&mut [0; 4096]);
        }
        match how {
            0 => hold(stream),
            1 => {}
            2 => peer::reset(&stream),
            3 => flood(&mut stream, &bytes),
            4 => drip(&mut stream, &bytes),
            5 => {
                let _ = stream.write_all(&bytes);
                hold(stream);
            }
            _ => {
                let _ = stream.write_all(&bytes);
                let _ = stream.shutdown(Shutdown::Write);
                hold(stream);
            }
        }
    });
    what
}

/// Turns the port into a healthy server that sends `head` and then KeyUpdate messages (RFC 8446, section
/// 4.6.3) until the client disconnects. TLS 1.2 has no KeyUpdate, so the server is then silent.
pub fn changes_keys(port: &Port, config: Arc<ServerConfig>, head: &'static str) {
    port.set(move |socket| {
        let connection = ServerConnection::new(config.clone()).expect("a connection");
        let mut stream = StreamOwned::new(connection, socket);
        if !read_head(&mut stream) {
            return;
        }
        let _ = stream.write_all(head.as_bytes());
        while stream.conn.refresh_traffic_keys().is_ok() {
            if stream.flush().is_err() {
                return;
            }
        }
        hold(&stream.sock);
    });
}

/// Reads a request up to the end of its head. Returns false if no request comes.
pub fn read_head(stream: &mut impl Read) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// How a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    InOrder,
    Cut,
    Reset,
    Silence,
    /// The peer repeats the rest until the client disconnects.
    Again,
    Drip,
}

pub const ENDS: [End; 6] = [
    End::InOrder,
    End::Cut,
    End::Reset,
    End::Silence,
    End::Again,
    End::Drip,
];

/// Turns the port into a TLS server that answers with `head` and `rest`, and ends as `end` says.
pub fn respond(port: &Port, config: Arc<ServerConfig>, head: Vec<u8>, rest: Vec<u8>, end: End) {
    port.set(move |socket| {
        let connection = ServerConnection::new(config.clone()).expect("a connection");
        let mut stream = StreamOwned::new(connection, socket);
        if !read_head(&mut stream) {
            return;
        }
        let _ = stream.write_all(&head);
        let _ = match end {
            End::Again => {
                flood(&mut stream, &rest);
                return;
            }
            End::Drip => {
                drip(&mut stream, &rest);
                return;
            }
            _ => stream.write_all(&rest),
        };
        match end {
            End::InOrder => stream.conn.send_close_notify(),
            End::Reset => peer::reset(&stream.sock),
            _ => {}
        }
        let _ = stream.flush();
        if end == End::Silence {
            thread::sleep(Duration::from_millis(1));
            hold(&stream.sock);
        } else if end != End::Reset {
            let _ = stream.sock.shutdown(Shutdown::Write);
            hold(&stream.sock);
        }
    });
}
