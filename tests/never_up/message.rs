//! The oracle's reader of HTTP/1 responses (RFC 9112, as lenient as HAProxy). It is slow, simple,
//! and independent of the program.

/// The part of a response that could be read.
pub struct Response {
    pub status: u16,
    fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// True if the body is known to be complete.
    pub complete: bool,
}

impl Response {
    /// Returns true if the response has a field with this name and, if given, this value.
    pub fn has(&self, name: &str, value: Option<&str>) -> bool {
        self.fields.iter().any(|(field, found)| {
            field.eq_ignore_ascii_case(name) && value.is_none_or(|value| found == value.as_bytes())
        })
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &Vec<u8>> {
        self.fields
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Reads the final response. Returns `None` if there is no valid response.
///
/// `ended` is true if the peer closed cleanly. Only a clean close completes a body without a
/// length. `head_only` is true for a response to HEAD.
pub fn read(mut bytes: &[u8], ended: bool, head_only: bool) -> Option<Response> {
    loop {
        let (mut response, rest) = head(bytes)?;
        // Interim responses come before the final response (RFC 9110, section 15.2).
        if (100..200).contains(&response.status) && response.status != 101 {
            bytes = rest;
            continue;
        }
        body(&mut response, rest, ended, head_only)?;
        return Some(response);
    }
}

/// Returns a line and the bytes after it. A bare LF also ends a line (section 2.2).
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

fn head(bytes: &[u8]) -> Option<(Response, &[u8])> {
    // The reader skips empty lines before a message (section 2.2).
    let mut bytes = bytes;
    while let Some((b"", rest)) = line(bytes) {
        bytes = rest;
    }
    let (first, mut rest) = line(bytes)?;
    // The reader accepts any version number, any number of blanks and any reason phrase.
    let (version, status) = first.split_at_checked(8)?;
    let digit = |at: usize| version[at].is_ascii_digit();
    if !version.starts_with(b"HTTP/") || !digit(5) || version[6] != b'.' || !digit(7) {
        return None;
    }
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let after = status.trim_ascii_start();
    let length = after
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, reason) = after.split_at(length);
    let clean = |text: &[u8]| !text.contains(&b'\r') && !text.contains(&0);
    if !status.first().is_some_and(blank) || !(reason.is_empty() || blank(&reason[0])) {
        return None;
    }
    let mut response = Response {
        status: std::str::from_utf8(digits).ok()?.parse().ok()?,
        fields: Vec::new(),
        body: Vec::new(),
        complete: false,
    };
    loop {
        let (field, after) = line(rest)?;
        rest = after;
        if field.is_empty() {
            return Some((response, rest));
        }
        if blank(&field[0]) {
            // A folded line continues the previous field (section 5.2).
            let value = &mut response.fields.last_mut()?.1;
            value.extend_from_slice(b"  ");
            value.extend_from_slice(field);
            *value = value.trim_ascii().to_vec();
            continue;
        }
        let colon = field.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&field[..colon], &field[colon + 1..]);
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || !name.iter().all(token) || !clean(value) {
            return None;
        }
        let name = String::from_utf8_lossy(name).into_owned();
        response.fields.push((name, value.trim_ascii().to_vec()));
    }
}

/// Applies the rules for the length of a body (section 6.3).
fn body(response: &mut Response, rest: &[u8], ended: bool, head_only: bool) -> Option<()> {
    let lengths: Vec<&Vec<u8>> = response.values("Content-Length").collect();
    let mut length: Option<usize> = None;
    for text in lengths {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let this = std::str::from_utf8(text).ok()?.parse().ok()?;
        if length.is_some_and(|other| other != this) {
            return None;
        }
        length = Some(this);
    }
    let codings: Vec<&Vec<u8>> = response.values("Transfer-Encoding").collect();
    let chunked = match codings.as_slice() {
        [] => false,
        [coding] if coding.eq_ignore_ascii_case(b"chunked") => true,
        _ => return None,
    };
    let none = head_only || matches!(response.status, 204 | 304);
    // After 101, the connection speaks a different protocol.
    let upgraded = response.status == 101;
    let (chunked, length) = (chunked && !upgraded, length.filter(|_| !upgraded));
    (response.body, response.complete) = match (none, chunked, length) {
        (true, ..) => (Vec::new(), true),
        (_, true, _) => chunks(rest),
        (_, _, Some(length)) => {
            let body = &rest[..rest.len().min(length)];
            (body.to_vec(), body.len() == length)
        }
        _ => (rest.to_vec(), ended),
    };
    Some(())
}

/// Returns the data of all chunks that could be read (section 7.1), and true if the last chunk
/// arrived.
fn chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some((size, after)) = line(rest) else {
            return (body, false);
        };
        let digits = size.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(digits.trim_ascii())
            .ok()
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let Some(size) = size else {
            return (body, false);
        };
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&after[..after.len().min(size)]);
        let Some(after) = after.get(size..) else {
            return (body, false);
        };
        match line(after) {
            Some((b"", next)) => rest = next,
            _ => return (body, false),
        }
    }
}
