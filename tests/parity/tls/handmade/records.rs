//! The record layer of the handmade server, and the key derivation of TLS 1.2 and 1.3.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::{hkdf, hmac};

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

/// An AES-128-GCM key for one direction.
pub struct Keys {
    key: LessSafeKey,
    iv: Vec<u8>,
    sequence: u64,
    tls13: bool,
}

impl Keys {
    /// Derives the key from a traffic secret of TLS 1.3 (RFC 8446, section 7.3).
    pub fn tls13(secret: &[u8]) -> Keys {
        let key = expand_label(secret, "key", &[], 16);
        Keys::new(&key, expand_label(secret, "iv", &[], 12), true)
    }

    /// Makes the key from a key block of TLS 1.2, with the implicit part of the nonce.
    pub fn tls12(key: &[u8], iv: &[u8]) -> Keys {
        Keys::new(key, iv.to_vec(), false)
    }

    fn new(key: &[u8], iv: Vec<u8>, tls13: bool) -> Keys {
        let key = UnboundKey::new(&AES_128_GCM, key).expect("16 bytes");
        Keys {
            key: LessSafeKey::new(key),
            iv,
            sequence: 0,
            tls13,
        }
    }

    fn nonce(&self, explicit: &[u8]) -> Nonce {
        let mut nonce = [0; 12];
        if self.tls13 {
            nonce.copy_from_slice(&self.iv);
            for (byte, count) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
                *byte ^= count;
            }
        } else {
            nonce[..4].copy_from_slice(&self.iv);
            nonce[4..].copy_from_slice(explicit);
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn additional(&self, kind: u8, length: usize) -> Vec<u8> {
        match self.tls13 {
            true => [&[kind, 3, 3], &(length as u16 + 16).to_be_bytes()[..]].concat(),
            false => [
                &self.sequence.to_be_bytes(),
                &[kind, 3, 3][..],
                &(length as u16).to_be_bytes(),
            ]
            .concat(),
        }
    }

    /// Returns a whole encrypted record.
    pub fn seal(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let explicit = self.sequence.to_be_bytes();
        let (outer, mut sealed, prefix) = match self.tls13 {
            true => (APPLICATION_DATA, [content, &[kind]].concat(), &[][..]),
            false => (kind, content.to_vec(), &explicit[..]),
        };
        let aad = Aad::from(self.additional(outer, sealed.len()));
        let nonce = self.nonce(&explicit);
        self.key
            .seal_in_place_append_tag(nonce, aad, &mut sealed)
            .expect("a record");
        self.sequence += 1;
        record(outer, &[prefix, &sealed].concat())
    }

    /// Decrypts a record's payload, and returns its type and content.
    fn open(&mut self, kind: u8, mut payload: Vec<u8>) -> Option<(u8, Vec<u8>)> {
        let explicit: Vec<u8> = match self.tls13 {
            true => Vec::new(),
            false => payload.drain(..8.min(payload.len())).collect(),
        };
        let aad = Aad::from(self.additional(kind, payload.len().checked_sub(16)?));
        let nonce = self.nonce(&explicit);
        let content = self.key.open_in_place(nonce, aad, &mut payload).ok()?;
        self.sequence += 1;
        if !self.tls13 {
            return Some((kind, content.to_vec()));
        }
        let end = content.iter().rposition(|byte| *byte != 0)?;
        Some((content[end], content[..end].to_vec()))
    }
}

/// Returns an unencrypted record.
pub fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[kind, 3, 3], &length[..], payload].concat()
}

/// The connection to the client. It reads the client's messages one by one.
pub struct Wire {
    pub stream: TcpStream,
    pub reading: Option<Keys>,
    pub writing: Option<Keys>,
    waiting: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Wire {
        let _ = stream.set_nodelay(true);
        // If the script leaves out a message, the client may wait for the message. The server then
        // gives up after this time.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(4)));
        Wire {
            stream,
            reading: None,
            writing: None,
            waiting: Vec::new(),
        }
    }

    /// Reads a record and returns its type and decrypted content.
    pub fn record(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header)?;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        self.stream.read_exact(&mut payload)?;
        match &mut self.reading {
            // The ChangeCipherSpec of TLS 1.3 is never encrypted.
            Some(keys) if !(keys.tls13 && header[0] == CHANGE_CIPHER_SPEC) => keys
                .open(header[0], payload)
                .ok_or_else(|| io::Error::other("a record does not decrypt")),
            _ => Ok((header[0], payload)),
        }
    }

    /// Reads the next handshake message, with its header.
    pub fn message(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let [_, a, b, c, ..] = self.waiting[..] {
                let length = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
                if self.waiting.len() >= length {
                    return Ok(self.waiting.drain(..length).collect());
                }
            }
            match self.record()? {
                (HANDSHAKE, content) => self.waiting.extend(content),
                (CHANGE_CIPHER_SPEC, _) => {}
                (kind, _) => return Err(io::Error::other(format!("a record of type {kind}"))),
            }
        }
    }

    /// Returns a record, encrypted if the connection has keys.
    pub fn sealed(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        match &mut self.writing {
            Some(keys) => keys.seal(kind, content),
            None => record(kind, content),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }
}

pub fn hash(message: &[u8]) -> Vec<u8> {
    digest(&SHA256, message).as_ref().to_vec()
}

pub fn sign(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message).as_ref().to_vec()
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Returns HKDF-Extract, which is HMAC with the salt as its key (RFC 5869).
pub fn extract(salt: &[u8], secret: &[u8]) -> Vec<u8> {
    sign(salt, secret)
}

/// Returns HKDF-Expand-Label (RFC 8446, section 7.1).
pub fn expand_label(secret: &[u8], label: &str, context: &[u8], length: usize) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let info = [
        &(length as u16).to_be_bytes(),
        &[label.len() as u8][..],
        label.as_bytes(),
        &[context.len() as u8],
        context,
    ]
    .concat();
    let mut out = vec![0; length];
    let info = [&info[..]];
    let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, secret);
    let expanded = secret
        .expand(&info, Length(length))
        .expect("a valid length");
    expanded.fill(&mut out).expect("the same length");
    out
}

/// Returns the output of the PRF of TLS 1.2 with SHA-256 (RFC 5246, section 5).
pub fn prf(secret: &[u8], label: &str, seed: &[u8], length: usize) -> Vec<u8> {
    let seed = [label.as_bytes(), seed].concat();
    let (mut out, mut a) = (Vec::new(), seed.clone());
    while out.len() < length {
        a = sign(secret, &a);
        out.extend(sign(secret, &[&a[..], &seed].concat()));
    }
    out.truncate(length);
    out
}
