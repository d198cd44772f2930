//! Splits the bytes of TLS into vectors, records and messages (RFC 8446, sections 3.4, 4 and 5.1).

/// The type of a record with handshake messages.
pub(super) const HANDSHAKE: u8 = 22;

/// Splits off content with a one-byte length before it. Returns the content and the rest, or `None` if bytes
/// are missing.
pub(super) fn vector8(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// Splits off content with a two-byte length before it, like [`vector8`].
pub(super) fn vector16(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Splits off content with a three-byte length before it, like [`vector8`].
pub(super) fn vector24(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([a, b, c], rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes([0, *a, *b, *c]) as usize)
}

/// Splits off a handshake message. Returns its type, its body and the rest.
pub(super) fn message(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (body, rest) = vector24(rest)?;
    Some((*kind, body, rest))
}

/// Splits off a record. Returns its header (type, version and length), its content and the rest. The content
/// of the last record may be incomplete.
pub(super) fn record(bytes: &[u8]) -> Option<(&[u8; 5], &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<5>()?;
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    let (content, rest) = rest.split_at(length.min(rest.len()));
    Some((header, content, rest))
}

/// Iterates over the types and contents of extensions. It stops at the end of the bytes, and at
/// bytes that can't be read.
pub(super) struct Extensions<'a>(pub &'a [u8]);

impl<'a> Iterator for Extensions<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (kind, rest) = self.0.split_first_chunk()?;
        let (content, rest) = vector16(rest)?;
        self.0 = rest;
        Some((u16::from_be_bytes(*kind), content))
    }
}
