//! Reads the lines of a message's head and trailers byte by byte, by the rules of HAProxy's parser.

use std::borrow::Cow;

/// The longest name of a header field that HAProxy can store, in bytes. HTX, its internal format,
/// has one byte for this length.
const LONGEST_NAME: usize = 255;

/// Why a line can't be read.
pub(super) enum Stop {
    /// The line isn't complete yet.
    Incomplete,
    /// The line is invalid. The text says why.
    Wrong(String),
}

pub(super) fn wrong<T>(what: &str) -> Result<T, Stop> {
    Err(Stop::Wrong(what.to_owned()))
}

/// A position in the bytes of a message.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// How many bytes have been read.
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// Returns the next byte without reading it.
    pub fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::Incomplete)
    }

    /// Skips bytes as long as `accepts` returns true for them, and returns the skipped bytes.
    pub fn skip_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !accepts(*byte));
        let skipped = &rest[..length.unwrap_or(rest.len())];
        self.at += skipped.len();
        skipped
    }

    /// If a line ends here, with CR LF or only LF, moves to the next line and returns true.
    pub fn line_end(&mut self) -> Result<bool, Stop> {
        match &self.bytes[self.at..] {
            [] | [b'\r'] => return Err(Stop::Incomplete),
            [b'\n', ..] => self.at += 1,
            [b'\r', b'\n', ..] => self.at += 2,
            [b'\r', ..] => return wrong("a carriage return in its head has no line feed after it"),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads a field and returns its name, and its value without surrounding blanks. The lines of a
    /// folded value are joined with spaces (RFC 9112, section 5.2).
    pub fn field(&mut self) -> Result<(&'a [u8], Cow<'a, [u8]>), Stop> {
        let name = self.skip_while(is_token);
        if self.peek()? != b':' || name.is_empty() {
            return wrong("a line of its head is not a header field");
        }
        if name.len() > LONGEST_NAME {
            return wrong("the name of a header field is longer than 255 bytes");
        }
        self.at += 1;
        let mut value = Cow::Borrowed(&[][..]);
        loop {
            let line = self.skip_while(|byte| !b"\r\n".contains(&byte));
            match value.is_empty() {
                true => value = Cow::Borrowed(line.trim_ascii_start()),
                false => value.to_mut().extend_from_slice(line),
            }
            let end = self.at;
            self.line_end()?;
            if !b" \t".contains(&self.peek()?) {
                break;
            }
            if !value.is_empty() {
                let length = value.len() + self.at - end;
                value.to_mut().resize(length, b' ');
            }
        }
        if value.contains(&0) {
            return wrong("a header field has a NUL");
        }
        let value = match value {
            Cow::Borrowed(value) => Cow::Borrowed(value.trim_ascii()),
            Cow::Owned(value) => Cow::Owned(value.trim_ascii().to_vec()),
        };
        Ok((name, value))
    }
}

/// Returns true for a character of a field name (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads the trailer fields of a chunked body. Returns their length, or `None` if they aren't
/// complete yet.
///
/// # Errors
/// Returns what is wrong with the trailer fields.
pub(super) fn trailers(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut cursor = Cursor::new(bytes);
    loop {
        let ended = cursor.line_end().and_then(|end| match end {
            true => Ok(true),
            false => cursor.field().map(|_| false),
        });
        match ended {
            Ok(true) => return Ok(Some(cursor.at)),
            Ok(false) => {}
            Err(Stop::Incomplete) => return Ok(None),
            Err(Stop::Wrong(what)) => return Err(what),
        }
    }
}
