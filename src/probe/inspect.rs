//! Rejects the server's messages that OpenSSL rejects and rustls accepts.

use rustls::{ContentType, HandshakeType};

use super::framing::{Extensions, message, vector8, vector16, vector24};
use crate::failure::Failure;

/// The messages in which a server sends extensions (RFC 8446, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    ServerHello12,
    ServerHello13,
    HelloRetryRequest,
    EncryptedExtensions,
    Certificate,
    CertificateRequest,
    NewSessionTicket,
}

use Place::{
    Certificate as Cert, CertificateRequest as Request, EncryptedExtensions as Encrypted,
    HelloRetryRequest as Retry, NewSessionTicket as Ticket, ServerHello12 as Hello12,
    ServerHello13 as Hello13,
};

/// The extension `signature_algorithms_cert`.
const SIGNATURE_ALGORITHMS_CERT: u16 = 50;

/// The extensions that OpenSSL 3.0 knows, except renegotiation_info, and the messages in which it accepts
/// each of them after HAProxy's ClientHello. OpenSSL ignores extensions that it doesn't know.
const KNOWN: [(u16, &[Place]); 24] = [
    (0, &[Hello12, Encrypted]),
    (1, &[Hello12, Encrypted]),
    (5, &[Request]),
    (10, &[Hello12, Encrypted]),
    (11, &[Hello12]),
    (12, &[]),
    (13, &[Request]),
    (14, &[]),
    (16, &[Hello12, Encrypted]),
    (18, &[Hello12, Cert, Request]),
    (21, &[]),
    (22, &[Hello12]),
    (23, &[Hello12]),
    (35, &[Hello12]),
    (41, &[Hello13]),
    (42, &[Encrypted, Ticket]),
    (43, &[Hello12, Hello13, Retry]),
    (44, &[Retry]),
    (45, &[]),
    (47, &[Request]),
    (49, &[]),
    (SIGNATURE_ALGORITHMS_CERT, &[Request]),
    (51, &[Hello13, Retry]),
    (13172, &[Hello12]),
];

/// Extensions that OpenSSL has known since 3.2. Earlier releases ignore them in every message.
const KNOWN_LATER: [(u16, &[Place]); 3] = [
    (19, &[Hello12, Encrypted]),
    (20, &[Hello12, Encrypted]),
    (27, &[Request]),
];

/// Rejects an extension in a message where OpenSSL doesn't accept it. Also rejects a malformed
/// `signature_algorithms_cert`.
pub(super) fn extensions(place: Place, list: &[u8]) -> Result<(), Failure> {
    for (kind, content) in Extensions(list) {
        let is_misplaced = |known: &[(u16, &[Place])]| {
            let mut known = known.iter();
            known.any(|(known, places)| *known == kind && !places.contains(&place))
        };
        let what = "an extension in a message that must not contain it";
        if is_misplaced(&KNOWN) || (kind == 65281 && place != Hello12) {
            return Err(Failure::TlsViolated(what));
        }
        if is_misplaced(&KNOWN_LATER) {
            return Err(Failure::TlsLimit(what));
        }
        if kind == SIGNATURE_ALGORITHMS_CERT && !is_list_of_schemes(content) {
            return Err(Failure::TlsViolated("a message is malformed"));
        }
    }
    Ok(())
}

fn is_list_of_schemes(content: &[u8]) -> bool {
    matches!(vector16(content), Some((list, [])) if !list.is_empty() && list.len() % 2 == 0)
}

/// Inspects the records that are decrypted with one key.
pub(super) struct Inspector {
    pub tls13: bool,
    /// True after the first record.
    begun: bool,
    /// The beginning of a handshake message that isn't complete yet.
    partial: Vec<u8>,
}

impl Inspector {
    pub fn new(tls13: bool) -> Inspector {
        Inspector {
            tls13,
            begun: false,
            partial: Vec::new(),
        }
    }

    /// Rejects a record that OpenSSL would reject, and a renegotiation, which sni-check doesn't support.
    pub fn look(&mut self, kind: ContentType, content: &[u8]) -> Result<(), Failure> {
        let is_first = !std::mem::replace(&mut self.begun, true);
        match kind {
            // In TLS 1.2, the first encrypted record is Finished.
            kind if is_first && !self.tls13 && kind != ContentType::Handshake => Err(
                Failure::TlsViolated("a message that is not expected at this point"),
            ),
            ContentType::Handshake if content.is_empty() && self.tls13 => {
                Err(Failure::TlsViolated("an empty record"))
            }
            ContentType::Handshake if self.tls13 => self.messages(content),
            ContentType::Handshake if !is_first && content.first() == Some(&0) => {
                Err(Failure::TlsLimit("a renegotiation"))
            }
            ContentType::Alert => self.alert(content),
            _ => Ok(()),
        }
    }

    /// Rejects an alert that makes OpenSSL end the connection, and a malformed alert. In TLS 1.3 an alert's
    /// level doesn't matter, so rustls decides.
    fn alert(&self, content: &[u8]) -> Result<(), Failure> {
        const NO_RENEGOTIATION: u8 = 100;
        match content {
            [_, _] if self.tls13 => Ok(()),
            [1, NO_RENEGOTIATION] | [2, 0] => {
                Err(Failure::TlsViolated("an alert that ends the connection"))
            }
            [1 | 2, _] => Ok(()),
            _ => Err(Failure::TlsViolated("a malformed alert")),
        }
    }

    fn messages(&mut self, content: &[u8]) -> Result<(), Failure> {
        let mut joined = std::mem::take(&mut self.partial);
        let mut rest = content;
        if !joined.is_empty() {
            joined.extend_from_slice(content);
            rest = &joined;
        }
        while let Some((kind, body, after)) = message(rest) {
            judge(HandshakeType::from(kind), body)?;
            rest = after;
        }
        self.partial = rest.to_vec();
        Ok(())
    }
}

/// Rejects a TLS 1.3 message with misplaced extensions. rustls rejects malformed messages.
fn judge(kind: HandshakeType, body: &[u8]) -> Result<(), Failure> {
    let list = |bytes| vector16(bytes).map_or(&[][..], |(list, _)| list);
    let after_context = || vector8(body).map_or(&[][..], |(_, rest)| rest);
    match kind {
        HandshakeType::EncryptedExtensions => extensions(Encrypted, list(body)),
        HandshakeType::CertificateRequest => extensions(Request, list(after_context())),
        HandshakeType::Certificate => {
            let mut entries = vector24(after_context()).map_or(&[][..], |(entries, _)| entries);
            while let Some((_, rest)) = vector24(entries)
                && let Some((extended, rest)) = vector16(rest)
            {
                extensions(Cert, extended)?;
                entries = rest;
            }
            Ok(())
        }
        HandshakeType::NewSessionTicket => {
            let ticket = body.get(8..).and_then(vector8);
            let extended = ticket.and_then(|(_, rest)| vector16(rest));
            extensions(Ticket, extended.map_or(&[][..], |(_, rest)| list(rest)))
        }
        _ => Ok(()),
    }
}
