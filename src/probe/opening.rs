//! What a peer says first, as it came: in case it is not TLS, and for what rustls does not look at in
//! a ServerHello.

use std::io::Read;

use rustls::AlertDescription;

/// The peer's bytes up to the end of its ServerHello.
#[derive(Debug, Default)]
pub(super) struct Opening {
    bytes: Vec<u8>,
    complete: bool,
}

/// The extension renegotiation_info (RFC 5746).
const RENEGOTIATION_INFO: [u8; 2] = [0xff, 0x01];

impl Opening {
    /// Hands through what is read, and keeps it if it is still the opening.
    pub fn listen<'a>(&'a mut self, from: &'a mut dyn Read) -> Listening<'a> {
        Listening {
            from,
            opening: self,
        }
    }

    /// A record's content type and major version (RFC 8446, section 5.1).
    pub fn looks_like_tls(&self) -> bool {
        matches!(self.bytes[..], [20..=23, 3, ..])
    }

    /// The peer's first line, where it is text: the greeting of another protocol.
    pub fn first_line(&self) -> Option<String> {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let line = self.bytes.split(is_end).next()?;
        let text = line.len() >= 3 && line.iter().all(|byte| (b' '..=b'~').contains(byte));
        let line = &line[..line.len().min(LONGEST_LINE)];
        text.then(|| String::from_utf8_lossy(line).into_owned())
    }

    /// A warning before the ServerHello that ends the handshake for OpenSSL, where rustls goes on.
    pub fn ending_warning(&self) -> Option<AlertDescription> {
        let alerts = contents(ALERT, &self.bytes);
        let mut described = alerts.chunks(2).filter_map(|alert| alert.get(1));
        let ends = [
            AlertDescription::CloseNotify,
            AlertDescription::NoRenegotiation,
        ];
        described.find_map(|alert| ends.into_iter().find(|end| u8::from(*end) == *alert))
    }

    /// Whether a ServerHello of TLS 1.2 promises secure renegotiation (RFC 5746, section 3.4).
    pub fn is_secure_to_renegotiate(&self) -> bool {
        let hello = contents(HANDSHAKE, &self.bytes);
        let extensions = server_hello(&hello).and_then(extensions);
        extensions.is_some_and(has_renegotiation_info)
    }
}

/// A ServerHello of TLS 1.2 with all that may be in it, in records of a byte each.
const ENOUGH: usize = 2048;

/// A record's type.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// How much of a line is shown.
const LONGEST_LINE: usize = 64;

/// What the records of this type hold so far.
fn contents(of: u8, mut records: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = records {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (payload, next) = rest.split_at(length);
        if *kind == of {
            messages.extend_from_slice(payload);
        }
        records = next;
    }
    messages
}

/// The first message, if it is a whole ServerHello.
fn server_hello(messages: &[u8]) -> Option<&[u8]> {
    let (header, body) = messages.split_at_checked(4)?;
    let length = u32::from_be_bytes([0, header[1], header[2], header[3]]);
    (header[0] == 2)
        .then(|| body.get(..length as usize))
        .flatten()
}

/// The extensions of a ServerHello (RFC 5246, section 7.4.1.3).
fn extensions(hello: &[u8]) -> Option<&[u8]> {
    let session = usize::from(*hello.get(34)?);
    // Version, random, session, cipher suite, compression; then the length of the extensions.
    hello.get(2 + 32 + 1 + session + 2 + 1 + 2..)
}

fn has_renegotiation_info(mut extensions: &[u8]) -> bool {
    while let [kind @ .., _, _] = extensions.get(..4).unwrap_or_default() {
        let length = usize::from(u16::from_be_bytes([extensions[2], extensions[3]]));
        let Some(content) = extensions.get(4..4 + length) else {
            return false;
        };
        if kind == RENEGOTIATION_INFO {
            // In a first handshake there is nothing to bind to.
            return content == [0];
        }
        extensions = &extensions[4 + length..];
    }
    false
}

/// See [`Opening::listen`].
pub(super) struct Listening<'a> {
    from: &'a mut dyn Read,
    opening: &'a mut Opening,
}

impl Read for Listening<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.from.read(buffer)?;
        let opening = &mut *self.opening;
        if !opening.complete {
            let room = ENOUGH.saturating_sub(opening.bytes.len());
            opening.bytes.extend_from_slice(&buffer[..length.min(room)]);
            let hello = server_hello(&contents(HANDSHAKE, &opening.bytes)).is_some();
            opening.complete = hello || length > room;
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::Opening;

    /// A ServerHello with these extensions, in records of so many bytes, after a warning.
    fn hello(extensions: &[u8], record: usize) -> Vec<u8> {
        let body = [&[3, 3], &[7; 32][..], &[2, 9, 9, 0xc0, 0x2f, 0], extensions].concat();
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
        // As it comes over a network: in pieces.
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
                assert_eq!(opening.is_secure_to_renegotiate(), secure, "{extensions:?}");
            }
        }
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
    fn a_greeting_is_a_line_of_text() {
        let line = |bytes: &[u8]| opening(bytes.to_vec()).first_line();
        assert_eq!(
            line(b"220 mail ESMTP\r\nx").as_deref(),
            Some("220 mail ESMTP")
        );
        assert_eq!(line(b"\x16\x03\x01"), None);
    }
}
