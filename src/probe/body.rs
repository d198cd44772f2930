//! Extracts the body of a response from its framing as HAProxy does (RFC 9112, sections 6 and 7).

use super::fields::trailers;

/// The maximum length of a line between chunks, in bytes. It is also the limit for all trailer fields
/// together.
const LONGEST_LINE: usize = 15 << 10;

/// How a body is delimited, and the progress of reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// The body ends when the connection closes.
    #[default]
    UntilClosed,
    /// The body has this many more bytes.
    Length(u64),
    /// The last chunk ends the body.
    Chunked(Chunk),
}

/// The part of a chunked body that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// A line with the size of a chunk.
    Size,
    /// The chunk has this many more bytes.
    Data(u64),
    /// The line end after a chunk's data.
    DataEnd,
    /// Trailer fields.
    Trailers,
    /// The end of the body.
    End,
}

impl Framing {
    pub fn chunked() -> Framing {
        Framing::Chunked(Chunk::Size)
    }

    /// Returns true if the body is complete. A body that ends with the connection is never complete
    /// before the connection ends.
    pub fn is_complete(self) -> bool {
        matches!(self, Framing::Length(0) | Framing::Chunked(Chunk::End))
    }

    /// Decodes as much of `bytes` as possible and appends the data to `body`. Returns how many
    /// bytes it decoded.
    ///
    /// # Errors
    /// Returns what is wrong with the framing.
    pub fn take(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, String> {
        match self {
            Framing::UntilClosed => {
                body.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Framing::Length(left) => Ok(data(left, bytes, body)),
            Framing::Chunked(chunk) => {
                let mut at = 0;
                while let Some(length) = chunk.take(&bytes[at..], body)? {
                    at += length;
                }
                Ok(at)
            }
        }
    }
}

/// Appends the next data to the body, at most `left` bytes. Returns the number of appended bytes.
fn data(left: &mut u64, bytes: &[u8], body: &mut Vec<u8>) -> usize {
    let length = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    body.extend_from_slice(&bytes[..length]);
    *left -= length as u64;
    length
}

impl Chunk {
    /// Decodes one part and returns its length. Returns `None` at the end of the body, or if the
    /// part needs more bytes.
    fn take(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, String> {
        let (next, length) = match self {
            Chunk::Size => match line(bytes)? {
                None => return Ok(None),
                Some((line, length)) => match size(line)? {
                    0 => (Chunk::Trailers, length),
                    size => (Chunk::Data(size), length),
                },
            },
            Chunk::Data(_) if bytes.is_empty() => return Ok(None),
            Chunk::Data(left) => {
                let length = data(left, bytes, body);
                match left {
                    0 => (Chunk::DataEnd, length),
                    left => (Chunk::Data(*left), length),
                }
            }
            Chunk::DataEnd => match bytes {
                [b'\r', b'\n', ..] => (Chunk::Size, 2),
                [] | [b'\r'] => return Ok(None),
                _ => return Err("a chunk of its body is longer than its size line says".to_owned()),
            },
            Chunk::Trailers => match trailers(bytes)? {
                Some(length) => (Chunk::End, length),
                None if bytes.len() > LONGEST_LINE => return too_long(),
                None => return Ok(None),
            },
            Chunk::End => return Ok(None),
        };
        *self = next;
        Ok(Some(length))
    }
}

/// Returns the line at the start of `bytes` without its line end, and its length including the line end.
/// Returns `None` if the line isn't complete yet.
fn line(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, String> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => match &bytes[..end] {
            [line @ .., b'\r'] => Ok(Some((line, end + 1))),
            _ => Err("the size of a chunk ends without a carriage return".to_owned()),
        },
        None if bytes.len() > LONGEST_LINE => too_long(),
        None => Ok(None),
    }
}

fn too_long<T>() -> Result<T, String> {
    Err(format!(
        "a line of its body's framing is longer than {LONGEST_LINE} bytes"
    ))
}

/// Parses the size line of a chunk, such as `1f ;name=value`. The size is hexadecimal, and
/// extensions are ignored.
fn size(line: &[u8]) -> Result<u64, String> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit());
    let (digits, rest) = line.split_at(digits.unwrap_or(line.len()));
    let significant = digits
        .iter()
        .position(|byte| *byte != b'0')
        .map_or(&b"0"[..], |at| &digits[at..]);
    let number = str::from_utf8(significant).ok();
    let number = number.and_then(|number| u64::from_str_radix(number, 16).ok());
    // HAProxy has the same limit, below which a double can hold every number exactly.
    let number = number.filter(|number| *number < 1 << 52);
    match (number, rest.trim_ascii_start()) {
        (Some(number), [] | [b';', ..]) if !digits.is_empty() && !rest.contains(&b'\r') => {
            Ok(number)
        }
        _ => Err("the size of a chunk is not a hexadecimal number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::Framing;

    /// Decodes a chunked body in one piece and byte by byte. Returns the body, and true if it's
    /// complete.
    fn chunks(text: &str) -> Result<(String, bool), String> {
        let whole = pieces(text, text.len().max(1));
        assert_eq!(pieces(text, 1), whole, "{text:?}");
        whole
    }

    fn pieces(text: &str, length: usize) -> Result<(String, bool), String> {
        let (mut framing, mut body, mut waiting) = (Framing::chunked(), Vec::new(), Vec::new());
        for piece in text.as_bytes().chunks(length) {
            waiting.extend_from_slice(piece);
            let used = framing.take(&waiting, &mut body)?;
            waiting.drain(..used);
        }
        Ok((
            String::from_utf8(body).expect("UTF-8"),
            framing.is_complete(),
        ))
    }

    #[test]
    fn chunks_are_joined() {
        let good = |text: &str| assert_eq!(chunks(text), Ok(("good".to_owned(), true)), "{text:?}");
        good("4\r\ngood\r\n0\r\n\r\n");
        good(
            "2\r\ngo\r\n02 ;a=b;ccccccccccccccccccccccccccccccc=\"x\"\r\nod\r\n000\r\nTrailer: t\r\n\r\n",
        );
        assert_eq!(chunks("4\r\ngood\r\n0\r\n"), Ok(("good".to_owned(), false)));
        assert_eq!(chunks("4\r\ngo"), Ok(("go".to_owned(), false)));
    }

    #[test]
    fn chunks_that_haproxy_refuses_are_refused() {
        for text in [
            "zz\r\n",
            "\r\n",
            " 4\r\n",
            "-4\r\n",
            "4 x\r\n",
            "4\n",
            "4;a\rb\r\n",
            "10000000000000\r\n",
            "ffffffffffffffff\r\n",
            "1\r\nabc",
            "0\r\nno colon\r\n",
        ] {
            assert!(chunks(text).is_err(), "{text:?}");
        }
    }
}
