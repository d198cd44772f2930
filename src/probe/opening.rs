//! Records the first bytes that the peer sends, and its alerts during the handshake. sni-check needs these
//! bytes because they may not be TLS at all, and because rustls doesn't check everything in a ServerHello.

use std::io::Read;

use rustls::AlertDescription;

use super::framing::{Extensions, HANDSHAKE, message, record, vector8};
use super::inspect::{self, Place};
use crate::failure::Failure;

/// The peer's bytes up to the end of its ServerHello, its alerts, and the start of our ClientHello.
#[derive(Debug, Default)]
pub(super) struct Opening {
    sent: Vec<u8>,
    bytes: Vec<u8>,
    complete: bool,
    alerts: Alerts,
}

/// The extension renegotiation_info (RFC 5746).
const RENEGOTIATION_INFO: u16 = 0xff01;
/// The extension supported_versions (RFC 8446, section 4.2.1).
const SUPPORTED_VERSIONS: u16 = 43;
/// The position of the session id's length in a ClientHello: after the headers of the record and
/// the message, the version and the random.
const SESSION_ID: usize = 5 + 4 + 2 + 32;
/// The end of the longest session id.
const SESSION_ID_END: usize = SESSION_ID + 1 + 32;

impl Opening {
    /// Returns a reader that also keeps the bytes up to the end of the ServerHello.
    pub fn listen<'a>(&'a mut self, from: &'a mut dyn Read) -> Listening<'a> {
        Listening {
            from,
            opening: self,
        }
    }

    /// Keeps the start of the first records that we send, which contain the ClientHello.
    pub fn sends(&mut self, records: &[u8]) {
        if self.sent.is_empty() {
            let end = records.len().min(SESSION_ID_END);
            self.sent = records[..end].to_vec();
        }
    }

    /// Returns true if the bytes start with a TLS record's content type and major version (RFC
    /// 8446, section 5.1).
    pub fn looks_like_tls(&self) -> bool {
        matches!(self.bytes[..], [20..=23, 3, ..])
    }

    /// Returns the greeting of another protocol: the text in a packet of MySQL, or the first line if it is
    /// text. Otherwise returns `None`.
    pub fn first_line(&self) -> Option<String> {
        if let Some(greeting) = self.mysql() {
            return Some(greeting);
        }
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let line = self.bytes.split(is_end).next()?;
        let text = line.len() >= 3 && line.iter().all(|byte| (b' '..=b'~').contains(byte));
        let line = &line[..line.len().min(LONGEST_LINE)];
        text.then(|| String::from_utf8_lossy(line).into_owned())
    }

    /// Returns the text in the first packet of a MySQL or MariaDB server: its version, or why it refuses us.
    /// Returns `None` if the bytes aren't such a packet.
    fn mysql(&self) -> Option<String> {
        // The first packet starts with its length and its number, 0. The protocol version 10 or an error
        // follows.
        let text = match &self.bytes[..] {
            [_, _, 0, 0, 10, version @ ..] => version.split(|byte| *byte == 0).next()?,
            [_, _, 0, 0, 0xff, _, _, error @ ..] => error,
            _ => return None,
        };
        let printable = text.iter().take_while(|byte| (b' '..=b'~').contains(*byte));
        let text: Vec<u8> = printable.take(LONGEST_LINE).copied().collect();
        (text.len() >= 3).then(|| format!("MySQL: {}", String::from_utf8_lossy(&text)))
    }

    /// Returns the warning alert that makes OpenSSL end the handshake, if the server sent it
    /// unencrypted. rustls ignores such warnings.
    pub fn ending_warning(&self) -> Option<AlertDescription> {
        let alerts = self.alerts.contents.chunks(2);
        let mut described = alerts.filter_map(|alert| alert.get(1));
        let ends = [
            AlertDescription::CloseNotify,
            AlertDescription::NoRenegotiation,
        ];
        described.find_map(|alert| ends.into_iter().find(|end| u8::from(*end) == *alert))
    }

    /// Returns true if the server chose TLS 1.3 in a ServerHello whose legacy_version isn't TLS
    /// 1.2.
    pub fn has_odd_legacy_version(&self) -> bool {
        let messages = handshake(&self.bytes);
        let mut hellos = server_hellos(&messages);
        hellos.any(|hello| hello.is_tls13() && hello.version != [3, 3])
    }

    /// Rejects a ServerHello that OpenSSL rejects and rustls accepts.
    ///
    /// # Errors
    /// Returns what is wrong with the ServerHello.
    pub fn judge(&self, offers_tls13: bool) -> Result<(), Failure> {
        let messages = handshake(&self.bytes);
        for hello in server_hellos(&messages) {
            if hello.is_tls13() {
                self.judge_tls13(&hello)?;
            } else {
                hello.judge_tls12(offers_tls13)?;
            }
        }
        Ok(())
    }

    fn judge_tls13(&self, hello: &ServerHello<'_>) -> Result<(), Failure> {
        let own = self.sent.get(SESSION_ID..).unwrap_or_default();
        if own.split_first().map(|(_, id)| id) != Some(hello.session_id) {
            let what = "a session id that is not the client's";
            return Err(Failure::TlsViolated(what));
        }
        let place = match hello.random == HELLO_RETRY_REQUEST {
            true => Place::HelloRetryRequest,
            false => Place::ServerHello13,
        };
        inspect::extensions(place, hello.extensions)
    }
}

/// The random of a HelloRetryRequest (RFC 8446, section 4.1.3).
const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The end of the random of a server that supports TLS 1.2 or later but chose an older version (RFC
/// 8446, section 4.1.3). OpenSSL rejects it in a TLS 1.2 ServerHello too.
const DOWNGRADE_TO_TLS11: &[u8] = b"DOWNGRD\0";

/// A ServerHello or HelloRetryRequest.
struct ServerHello<'a> {
    version: [u8; 2],
    random: &'a [u8],
    session_id: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> ServerHello<'a> {
    /// Reads the body of the message (RFC 5246, section 7.4.1.3). Returns `None` if the body is too short.
    fn read(body: &'a [u8]) -> Option<ServerHello<'a>> {
        let (version, rest) = body.split_first_chunk()?;
        let (random, rest) = rest.split_at_checked(32)?;
        let (session_id, rest) = vector8(rest)?;
        // Skip the cipher suite, the compression and the length of the extensions.
        Some(ServerHello {
            version: *version,
            random,
            session_id,
            extensions: rest.get(2 + 1 + 2..).unwrap_or_default(),
        })
    }

    fn extension(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut extensions = Extensions(self.extensions);
        extensions.find_map(|(kind, content)| (kind == wanted).then_some(content))
    }

    fn is_tls13(&self) -> bool {
        self.extension(SUPPORTED_VERSIONS) == Some(&[3, 4])
    }

    fn judge_tls12(&self, offers_tls13: bool) -> Result<(), Failure> {
        if offers_tls13 && self.random.ends_with(DOWNGRADE_TO_TLS11) {
            let what = "an older version from a server that knows TLS 1.2 (downgrade)";
            return Err(Failure::TlsViolated(what));
        }
        inspect::extensions(Place::ServerHello12, self.extensions)?;
        // In the first handshake of a connection, the list in this extension must be empty (RFC 5746, section
        // 3.4).
        match self.extension(RENEGOTIATION_INFO) == Some(&[0]) {
            true => Ok(()),
            false => Err(Failure::UnsafeRenegotiation),
        }
    }
}

/// The maximum number of bytes to keep. They are enough for the longest usual ServerHello in one-byte
/// records.
const ENOUGH: usize = 2048;

/// The type of a record with an alert.
const ALERT: u8 = 21;

/// How many bytes of a line are shown.
const LONGEST_LINE: usize = 64;

/// Returns the joined contents of all handshake records. The last record may be incomplete.
fn handshake(mut records: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    while let Some((header, content, next)) = record(records) {
        if header[0] == HANDSHAKE {
            messages.extend_from_slice(content);
        }
        records = next;
    }
    messages
}

/// Collects the alerts that the server sends before it encrypts.
#[derive(Debug, Default)]
struct Alerts {
    /// The header of the current record: its type, version and length.
    header: Vec<u8>,
    /// How many bytes of the current record are still missing.
    missing: usize,
    is_encrypted: bool,
    contents: Vec<u8>,
}

impl Alerts {
    /// Reads the next bytes of the connection.
    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_encrypted {
            let wanted = match self.header.len() {
                5 => self.missing,
                length => 5 - length,
            };
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if self.header.len() < 5 {
                self.header.extend_from_slice(part);
                let [kind, _, _, high, low] = self.header[..] else {
                    continue;
                };
                self.is_encrypted = !matches!(kind, ALERT | HANDSHAKE);
                self.missing = usize::from(u16::from_be_bytes([high, low]));
            } else {
                self.missing -= part.len();
                let room = ENOUGH.saturating_sub(self.contents.len());
                if self.header[0] == ALERT {
                    self.contents
                        .extend_from_slice(&part[..part.len().min(room)]);
                }
            }
            if self.missing == 0 {
                self.header.clear();
            }
        }
    }
}

/// Returns the complete ServerHellos at the start of these messages, including HelloRetryRequests.
fn server_hellos(mut messages: &[u8]) -> impl Iterator<Item = ServerHello<'_>> {
    const SERVER_HELLO: u8 = 2;
    std::iter::from_fn(move || {
        let (kind, body, rest) = message(messages)?;
        messages = rest;
        (kind == SERVER_HELLO).then(|| ServerHello::read(body))?
    })
}

/// The reader that [`Opening::listen`] returns.
pub(super) struct Listening<'a> {
    from: &'a mut dyn Read,
    opening: &'a mut Opening,
}

impl Read for Listening<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.from.read(buffer)?;
        let opening = &mut *self.opening;
        opening.alerts.read(&buffer[..length]);
        if !opening.complete {
            let room = ENOUGH.saturating_sub(opening.bytes.len());
            opening.bytes.extend_from_slice(&buffer[..length.min(room)]);
            let messages = handshake(&opening.bytes);
            let is_final = |hello: ServerHello<'_>| hello.random != HELLO_RETRY_REQUEST;
            opening.complete = server_hellos(&messages).any(is_final) || length > room;
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Opening};

    /// Returns a warning and a ServerHello with these extensions, in records of at most `record`
    /// bytes.
    fn hello(extensions: &[u8], record: usize) -> Vec<u8> {
        let body = [&[3, 3], &[7; 32][..], &[0, 0xc0, 0x2f, 0], extensions].concat();
        let message = [&[2, 0, 0, body.len() as u8], &body[..]].concat();
        let records = message.chunks(record).map(|chunk| {
            let header = [22, 3, 3, 0, chunk.len() as u8];
            [&header, chunk].concat()
        });
        let warning = vec![21, 3, 3, 0, 2, 1, 112];
        std::iter::once(warning).chain(records).flatten().collect()
    }

    fn opening(bytes: Vec<u8>) -> Opening {
        let mut opening = Opening::default();
        let mut from = &bytes[..];
        let mut listening = opening.listen(&mut from);
        // Read in pieces, as from a network.
        while std::io::Read::read(&mut listening, &mut [0; 7]).expect("a slice") > 0 {}
        opening
    }

    #[test]
    fn renegotiation_is_secure_only_if_the_server_hello_says_so() {
        for (extensions, secure) in [
            (&[][..], false),
            (&[0, 5, 0xff, 1, 0, 1, 0], true),
            (&[0, 9, 0, 23, 0, 0, 0xff, 1, 0, 1, 0], true),
            (&[0, 4, 0, 23, 0, 0], false),
            (&[0, 6, 0xff, 1, 0, 2, 1, 1], false),
            (&[0, 5, 0xff, 1, 0, 9, 0], false),
        ] {
            for record in [1, 5, 200] {
                let opening = opening(hello(extensions, record));
                assert!(opening.complete);
                let judged = opening.judge(true);
                let refused = matches!(judged, Err(Failure::UnsafeRenegotiation));
                assert_eq!(refused, !secure, "{extensions:?}: {judged:?}");
            }
        }
    }

    #[test]
    fn a_warning_that_ends_the_handshake_is_found_until_the_server_encrypts() {
        let close = [21, 3, 3, 0, 2, 1, 0];
        let certificate = [&[22, 3, 3, 0, 200][..], &[0; 200]].concat();
        let hello = || hello(&[0, 5, 0xff, 1, 0, 1, 0], 200);
        let ends = |parts: &[&[u8]]| opening(parts.concat()).ending_warning().is_some();
        assert!(ends(&[&close, &hello()]));
        assert!(ends(&[&hello(), &certificate, &close]));
        assert!(ends(&[&hello(), &certificate, &[22, 3, 3, 0, 0], &close]));
        assert!(!ends(&[&hello(), &certificate]));
        assert!(!ends(&[&hello(), &[20, 3, 3, 0, 1, 1], &close]));
    }

    #[test]
    fn nothing_is_kept_after_the_server_hello() {
        let mut bytes = hello(&[0, 5, 0xff, 1, 0, 1, 0], 200);
        let length = bytes.len();
        bytes.extend([23; 5000]);
        assert!(opening(bytes).bytes.len() < length + 7);
        assert!(opening(vec![22; 5000]).bytes.len() <= super::ENOUGH);
    }

    #[test]
    fn the_first_line_of_text_is_the_greeting() {
        let line = |bytes: &[u8]| opening(bytes.to_vec()).first_line();
        assert_eq!(
            line(b"220 mail ESMTP\r\nx").as_deref(),
            Some("220 mail ESMTP")
        );
        assert_eq!(line(b"\x16\x03\x01"), None);
        assert_eq!(
            line(b"\x5d\0\0\0\x0a5.5.5-10.11.6-MariaDB\0\x08\0").as_deref(),
            Some("MySQL: 5.5.5-10.11.6-MariaDB")
        );
        assert_eq!(
            line(b"\x45\0\0\0\xff\x6a\x04Host 'a' is not allowed to connect").as_deref(),
            Some("MySQL: Host 'a' is not allowed to connect")
        );
    }
}
