//! DER elements (X.690, section 8.1), as far as certificates need them.
//!
//! The parser of the `der` crate isn't used here, because it rejects input that OpenSSL (and so HAProxy)
//! accepts: UniversalString, times before 1970, and serial numbers of more than 20 bytes.

/// BOOLEAN.
pub const BOOLEAN: u8 = 1;
/// INTEGER.
pub const INTEGER: u8 = 2;
/// BIT STRING.
pub const BIT_STRING: u8 = 3;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 4;
/// OBJECT IDENTIFIER.
pub const OID: u8 = 6;
/// SEQUENCE and SEQUENCE OF.
pub const SEQUENCE: u8 = 0x30;
/// SET and SET OF.
pub const SET: u8 = 0x31;

/// Iterates over consecutive elements. It stops at the end of the bytes, and at bytes that aren't
/// an element.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a>(pub &'a [u8]);

/// Yields the tag and the content of each element.
impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        // No certificate has tags of several bytes.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

impl<'a> Elements<'a> {
    /// Returns the content of the next element if it has this tag. Otherwise returns `None` and
    /// doesn't advance. An invalid OID counts as a mismatch.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, content) = ahead.next()?;
        let readable = tag != OID || Elements::is_oid(content);
        (found == tag && readable).then(|| {
            *self = ahead;
            content
        })
    }

    /// Reads an optional BOOLEAN with this tag, which is false by default. Returns `None` if its
    /// content is invalid.
    pub fn flag(&mut self, tag: u8) -> Option<bool> {
        match self.expect(tag) {
            None => Some(false),
            Some([value]) => Some(*value != 0),
            Some(_) => None,
        }
    }

    /// Returns true if no bytes are left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if OpenSSL can read this OID. It must not be empty, its last number must be
    /// complete, and no number may have leading zeros.
    pub fn is_oid(content: &[u8]) -> bool {
        let mut begins = true;
        let minimal = content.iter().all(|byte| {
            let leading_zero = begins && *byte == 0x80;
            begins = *byte < 0x80;
            !leading_zero
        });
        minimal && begins && !content.is_empty()
    }
}

/// Encodes an element with this tag and content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let mut bytes = vec![tag];
    match content.len() {
        short @ 0..=0x7f => bytes.push(short as u8),
        _ => {
            bytes.push(0x80 | (length.len() - zeros) as u8);
            bytes.extend(&length[zeros..]);
        }
    }
    bytes.extend(content);
    bytes
}

/// Reads consecutive items. An item that `read` refuses yields `None` and ends the iteration.
pub fn each<'a, T>(
    bytes: &'a [u8],
    mut read: impl FnMut(&mut Elements<'a>) -> Option<T> + Clone,
) -> impl Iterator<Item = Option<T>> + Clone {
    let mut elements = Elements(bytes);
    std::iter::from_fn(move || {
        if elements.is_empty() {
            return None;
        }
        let item = read(&mut elements);
        if item.is_none() {
            elements = Elements(&[]);
        }
        Some(item)
    })
}

/// Returns the content of the first element if it has this tag. Ignores everything after it, as
/// OpenSSL does in the value of an extension.
pub fn first(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    Elements(bytes).expect(tag)
}

/// Returns the content of the only element if it has this tag. Returns `None` if more bytes follow.
pub fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let mut elements = Elements(bytes);
    let content = elements.expect(tag)?;
    elements.is_empty().then_some(content)
}

#[cfg(test)]
mod tests {
    use super::{Elements, OCTET_STRING, OID, element, only};

    #[test]
    fn an_oid_is_read_as_openssl_reads_it() {
        let read = |content: &[u8]| only(&element(OID, content), OID).is_some();
        for good in [&[0x55, 4, 3][..], &[0x2a, 0x86, 0x48], &[0]] {
            assert!(read(good), "{good:?}");
        }
        for bad in [&[][..], &[0x55, 4, 0xf3], &[0x55, 0x80, 1], &[0x80, 1]] {
            assert!(!read(bad), "{bad:?}");
        }
    }

    #[test]
    fn encoded_elements_can_be_read_back() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let written = element(OCTET_STRING, &content);
            assert_eq!(only(&written, OCTET_STRING), Some(&content[..]), "{length}");
            assert_eq!(only(&written[..written.len() - 1], OCTET_STRING), None);
        }
        assert_eq!(Elements(&[4, 0x80, 0, 0]).next(), None);
        assert_eq!(Elements(&[0x1f, 1, 0]).next(), None);
    }
}
