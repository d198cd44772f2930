//! Healthy servers that damage one TLS record before they send it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::peers::{Port, hold, read_head};
use crate::support::dice::Dice;
use crate::support::peer;

/// What happens to one record that the server sends.
#[derive(Clone, Copy, Debug)]
pub enum Harm {
    Flip,
    Type,
    Length,
    Cut,
    Double,
    Drop,
    Insert,
    Append,
    Stall,
    Close,
    Reset,
    /// The server sends the record one byte at a time, without damage.
    Pieces,
}

pub const HARMS: [Harm; 12] = [
    Harm::Flip,
    Harm::Type,
    Harm::Length,
    Harm::Cut,
    Harm::Double,
    Harm::Drop,
    Harm::Insert,
    Harm::Append,
    Harm::Stall,
    Harm::Close,
    Harm::Reset,
    Harm::Pieces,
];

/// A socket that damages one record before it sends the record.
struct Tamper {
    socket: TcpStream,
    harm: Harm,
    at: usize,
    chance: u64,
    written: usize,
    harmed: bool,
}

impl Read for Tamper {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Tamper {
    /// rustls writes one record at a time.
    fn write(&mut self, record: &[u8]) -> std::io::Result<usize> {
        if self.harmed && matches!(self.harm, Harm::Close | Harm::Reset) {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        let this = self.written == self.at;
        self.written += 1;
        // TLS 1.3 ignores change_cipher_spec, so damage to it has no effect.
        if !this || record.len() < 6 || record[0] == 20 {
            return self.socket.write_all(record).map(|()| record.len());
        }
        self.harmed = true;
        let mut dice = Dice::new(self.chance);
        let mut bytes = record.to_vec();
        let within = 5 + dice.below(bytes.len() - 5);
        match self.harm {
            Harm::Flip => bytes[within] ^= 1 << dice.below(8),
            // This record type doesn't exist in TLS. Nothing authenticates the outer type of an
            // encrypted record, and rustls doesn't check it, so a type that exists might be
            // accepted.
            Harm::Type => bytes[0] = 25 + dice.below(231) as u8,
            Harm::Length => bytes[4] = bytes[4].wrapping_add(1 + dice.below(254) as u8),
            Harm::Cut => bytes.truncate(within),
            Harm::Double => bytes.extend_from_slice(record),
            Harm::Drop => return Ok(record.len()),
            Harm::Insert => _ = bytes.splice(..0, [23, 3, 3, 0, 2, 0, 0]),
            Harm::Append => bytes.extend_from_slice(b"\x16\x03\x03\x00\x04\x01\x00\x00\x00"),
            Harm::Stall => hold(&self.socket),
            Harm::Close => return Err(std::io::ErrorKind::BrokenPipe.into()),
            Harm::Reset => {
                peer::reset(&self.socket);
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            Harm::Pieces => {
                let _ = self.socket.set_nodelay(true);
                for byte in bytes {
                    self.socket.write_all(&[byte])?;
                }
                return Ok(record.len());
            }
        }
        self.socket.write_all(&bytes).map(|()| record.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Turns the port into a healthy server that damages one record. Returns its description, and a function
/// that returns true if the head of the response may have reached the client undamaged.
pub fn tampered(
    dice: &mut Dice,
    port: &Port,
    config: Arc<ServerConfig>,
) -> (String, impl Fn() -> bool + use<>) {
    let (harm, at, chance) = (dice.pick(&HARMS), dice.below(9), dice.roll());
    let harmless = Arc::new(AtomicBool::new(false));
    let known = harmless.clone();
    port.set(move |socket| {
        let socket = Tamper {
            socket,
            harm,
            at,
            chance,
            written: 0,
            harmed: false,
        };
        let connection = ServerConnection::new(config.clone()).expect("a connection");
        let mut stream = StreamOwned::new(connection, socket);
        if read_head(&mut stream) {
            // The head is the next record.
            let (next, harmed) = (stream.sock.written, stream.sock.harmed);
            let unharmed = at > next || (at < next && !harmed);
            known.store(unharmed || matches!(harm, Harm::Pieces), Ordering::SeqCst);
            let _ = stream.write_all(peer::OK.as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
            hold(&stream.sock.socket);
        }
    });
    let what = format!("{harm:?} at record {at}, {chance}");
    (what, move || harmless.load(Ordering::SeqCst))
}
