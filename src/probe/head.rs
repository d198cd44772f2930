//! Reads the head of a response by the rules of HAProxy's parser. ureq's parser has different rules, which
//! would make some healthy servers DOWN.

use std::borrow::Cow;

use super::body::Framing;
use super::fields::{Cursor, Stop, wrong};
use crate::failure::Failure;
use crate::options::expect::Field;

/// The size of the longest head that HAProxy accepts by default, in bytes: `tune.bufsize` minus
/// `tune.maxrewrite`.
pub const DEFAULT_SIZE: usize = 15 << 10;
/// The number of header fields that HAProxy accepts by default: `tune.http.maxhdr`, which is 101, minus 1 for
/// the end of the head.
const DEFAULT_FIELDS: usize = 100;

/// Options for reading a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// True if the request was HEAD, whose response has no body.
    pub no_body: bool,
    /// True if an expectation needs the fields.
    pub keep_fields: bool,
    /// The largest size in bytes (`--max-head`). `None` means HAProxy's defaults for the size and
    /// the number of fields.
    pub max_size: Option<usize>,
    /// The Sec-WebSocket-Accept that answers our key, if the request has sni-check's own key.
    pub websocket_accept: Option<&'static str>,
}

/// The head of a final response.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// The digits of the status code, exactly as the server sent them.
    pub status: String,
    /// The header fields as HAProxy's rules see them. Empty if no expectation needs the fields.
    pub fields: Vec<Field>,
    /// The `Server` field.
    pub server: Option<String>,
    /// The `Location` field.
    pub location: Option<String>,
    /// How the body is delimited.
    pub framing: Framing,
}

/// Reads the head at the start of `bytes`. Returns the head and its length, or `None` if the head isn't
/// complete yet.
///
/// # Errors
/// Returns what is wrong with the head, even if the head isn't complete yet.
pub(super) fn read(bytes: &[u8], reading: Reading) -> Result<Option<(Head, usize)>, Failure> {
    let size = reading.max_size.unwrap_or(DEFAULT_SIZE);
    let mut cursor = Cursor::new(bytes);
    let too_long = match head(&mut cursor, reading) {
        Ok(head) if cursor.at <= size => return Ok(Some((head, cursor.at))),
        Err(Stop::Wrong(what)) => return Err(Failure::NotHttp(what)),
        Ok(_) | Err(Stop::Incomplete) => bytes.len() > size,
    };
    match too_long {
        false => Ok(None),
        true if reading.max_size.is_some() => {
            let what = format!("its head is longer than {size} bytes (--max-head)");
            Err(Failure::NotHttp(what))
        }
        true => Err(Failure::LongHead { limit: size }),
    }
}

/// The values of the header fields that determine how the body is delimited.
#[derive(Default)]
struct Lengths {
    chunked: bool,
    length: Option<u64>,
}

/// What the header fields say about a switch to WebSocket.
#[derive(Default)]
struct WebSocket {
    upgrade: bool,
    websocket: bool,
    accept: Option<Vec<u8>>,
}

impl WebSocket {
    fn add(&mut self, name: &[u8], value: &[u8]) {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        let has = |wanted: &str| {
            let mut words = value.split(|byte| *byte == b',');
            words.any(|word| word.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
        };
        self.upgrade |= is("connection") && has("upgrade");
        self.websocket |= is("upgrade") && has("websocket");
        if is("sec-websocket-accept") && self.accept.is_none() {
            self.accept = Some(value.to_vec());
        }
    }

    /// Refuses a switch to WebSocket with a missing or wrong answer to the key, as HAProxy does.
    fn judge(&self, wanted: Option<&str>) -> Result<(), Stop> {
        match (&self.accept, wanted) {
            _ if !(self.upgrade && self.websocket) => Ok(()),
            (None, _) => wrong("it switches to WebSocket without Sec-WebSocket-Accept"),
            (Some(accept), Some(wanted)) if !accept.eq_ignore_ascii_case(wanted.as_bytes()) => {
                wrong("its Sec-WebSocket-Accept does not answer the Sec-WebSocket-Key")
            }
            _ => Ok(()),
        }
    }
}

fn head(cursor: &mut Cursor<'_>, reading: Reading) -> Result<Head, Stop> {
    while cursor.line_end()? {}
    let mut head = Head {
        status: status_line(cursor)?,
        ..Head::default()
    };
    let mut lengths = Lengths::default();
    let mut websocket = WebSocket::default();
    let mut count = 0;
    while !cursor.line_end()? {
        let (name, value) = cursor.field()?;
        count += 1;
        if reading.max_size.is_none() && count > DEFAULT_FIELDS {
            return wrong(
                "it has more than the 100 header fields that HAProxy accepts by default \
                 (tune.http.maxhdr); --max-head accepts more",
            );
        }
        websocket.add(name, &value);
        head.add(name, &value, &mut lengths, reading.keep_fields)?;
    }
    websocket.judge(reading.websocket_accept)?;
    head.framing = head.framing(&lengths, reading.no_body);
    Ok(head)
}

/// Reads a status line such as `HTTP/1.1 200 OK` and returns the digits of the status. The reason
/// may be missing.
fn status_line(cursor: &mut Cursor<'_>) -> Result<String, Stop> {
    const FORM: &[u8] = b"HTTP/d.d";
    for wanted in FORM {
        let byte = cursor.peek()?;
        let digit = *wanted == b'd' && byte.is_ascii_digit();
        if !digit && byte != *wanted {
            return wrong("it does not begin with HTTP/1.1 and a status code");
        }
        cursor.at += 1;
    }
    if cursor.skip_while(|byte| b" \t".contains(&byte)).is_empty() {
        cursor.peek()?;
        return wrong("there is no space after its HTTP version");
    }
    let digits = cursor.skip_while(|byte| byte.is_ascii_digit());
    let status = String::from_utf8_lossy(digits).into_owned();
    let next = cursor.peek()?;
    // HAProxy 3.2 accepts up to three digits. Older versions accept more.
    if !(1..=3).contains(&status.len()) || !b" \t\r\n".contains(&next) {
        return wrong("its status code is not a number");
    }
    cursor.skip_while(|byte| !b"\r\n".contains(&byte));
    cursor.line_end()?;
    Ok(status)
}

impl Head {
    /// Adds a field by HAProxy's rules.
    fn add(
        &mut self,
        name: &[u8],
        value: &[u8],
        lengths: &mut Lengths,
        keep: bool,
    ) -> Result<(), Stop> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        let text = || Some(String::from_utf8_lossy(value).into_owned());
        let mut seen = Cow::Borrowed(value);
        if is("transfer-encoding") {
            if lengths.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return wrong("its Transfer-Encoding is not `chunked`, or occurs twice");
            }
            lengths.chunked = true;
        } else if is("content-length") {
            let length = content_length(value, lengths.length)?;
            if lengths.length.replace(length).is_some() {
                return Ok(());
            }
        } else if is("connection") {
            seen = Cow::Owned(connection(value));
            if seen.is_empty() {
                return Ok(());
            }
        } else if is("server") && self.server.is_none() {
            self.server = text();
        } else if is("location") && self.location.is_none() {
            self.location = text();
        }
        if keep {
            self.fields.push((name.to_vec(), seen.into_owned()));
        }
        Ok(())
    }

    /// Returns how the body is delimited (RFC 9112, section 6.3). Removes fields that don't count,
    /// so that rules don't see them, as in HAProxy.
    fn framing(&mut self, lengths: &Lengths, no_body: bool) -> Framing {
        let number = self.number();
        let mut hide = |hidden: &[&str]| {
            self.fields.retain(|(name, _)| {
                !hidden
                    .iter()
                    .any(|hidden| name.eq_ignore_ascii_case(hidden.as_bytes()))
            });
        };
        if number == 101 || number == 204 {
            hide(&["content-length", "transfer-encoding"]);
        } else if lengths.chunked {
            hide(&["content-length"]);
        }
        match lengths.length {
            _ if number == 101 => Framing::UntilClosed,
            _ if no_body || number == 204 || number == 304 => Framing::Length(0),
            _ if lengths.chunked => Framing::chunked(),
            Some(length) => Framing::Length(length),
            None => Framing::UntilClosed,
        }
    }

    /// Returns the status code as a number.
    pub fn number(&self) -> u16 {
        self.status.parse().unwrap_or(0)
    }

    /// Returns true for an interim response, which the final response follows (RFC 9110, section
    /// 15.2). HAProxy's check treats an interim response as the final one.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.number()) && self.number() != 101
    }
}

/// Returns the length in a Content-Length. All numbers in its list, and an earlier Content-Length,
/// must be equal.
fn content_length(value: &[u8], earlier: Option<u64>) -> Result<u64, Stop> {
    let mut length = earlier;
    for item in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        let digits = item.iter().all(u8::is_ascii_digit);
        let number = str::from_utf8(item).ok().filter(|_| digits);
        let number = number.and_then(|number| number.parse().ok());
        match number {
            Some(number) if length.is_none_or(|length| length == number) => length = Some(number),
            _ => return wrong("its Content-Length is not a single number"),
        }
    }
    length.ok_or(Stop::Incomplete)
}

/// Returns the part of a Connection field that rules see. HAProxy removes `close` and `keep-alive`.
fn connection(value: &[u8]) -> Vec<u8> {
    let own = |item: &[u8]| {
        item.eq_ignore_ascii_case(b"close")
            || item.eq_ignore_ascii_case(b"keep-alive")
            || item.is_empty()
    };
    let items = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let left: Vec<&[u8]> = items.filter(|item| !own(item)).collect();
    left.join(&b","[..])
}

#[cfg(test)]
mod tests {
    use super::{Head, Reading, read};
    use crate::probe::body::Framing;

    const READING: Reading = Reading {
        no_body: false,
        keep_fields: true,
        max_size: None,
        websocket_accept: None,
    };

    fn head(text: &str) -> Head {
        let head = read(text.as_bytes(), READING).expect(text);
        let (head, length) = head.expect(text);
        assert_eq!(length, text.len(), "{text}");
        for cut in 0..text.len() {
            let part = read(&text.as_bytes()[..cut], READING);
            assert!(matches!(part, Ok(None)), "{:?}", &text[..cut]);
        }
        head
    }

    fn fields(lines: &str) -> Vec<(String, String)> {
        let head = head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let fields = head.fields.into_iter();
        fields
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn a_folded_value_is_one_value() {
        assert_eq!(
            fields("X: a;\r\n\tb\r\n  c \r\nY:"),
            [
                ("X".to_owned(), "a;  \tb    c".to_owned()),
                ("Y".to_owned(), String::new()),
            ]
        );
    }

    #[test]
    fn unusual_heads_that_haproxy_accepts_are_accepted() {
        for (text, status) in [
            ("HTTP/1.1 200\r\n\r\n", "200"),
            ("\r\n\nHTTP/1.0 200 \x01\x7f\n\n", "200"),
            ("HTTP/2.0\t099\tOK\r\n\r\n", "099"),
            ("HTTP/1.1 20\nX: \x01\x7f\n!#$%&'*+-.^_`|~:\n\n", "20"),
        ] {
            assert_eq!(head(text).status, status, "{text}");
        }
    }

    #[test]
    fn heads_that_haproxy_refuses_are_refused() {
        for text in [
            "\0",
            " HTTP/1.1 200 OK",
            "HTTP/2 200",
            "http/1.1 200",
            "ICY 200 OK",
            "SSH-2.0",
            "HTTP/1.1200 OK",
            "HTTP/1.1 \r\n",
            "HTTP/1.1 20x ",
            "HTTP/1.1 0200 X",
            "HTTP/1.1 200 OK\rX",
        ] {
            assert!(read(text.as_bytes(), READING).is_err(), "{text:?}");
        }
        for line in [
            " X: y",
            "X Y: z",
            "X : y",
            ": y",
            "X\r\n",
            "X\x01: y",
            "X: a\rb",
            "X: a\0b",
            "Content-Length:",
            "Content-Length: +2",
            "Content-Length: 2,",
            "Content-Length: 1, 2",
            "Content-Length: 0x2",
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: 18446744073709551616",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding:",
            "Transfer-Encoding: chunked,",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
            assert!(read(text.as_bytes(), READING).is_err(), "{line:?}");
        }
    }

    #[test]
    fn the_head_determines_how_the_body_is_delimited() {
        for (text, framing) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Framing::UntilClosed),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 02, 2\r\nContent-Length: 2\r\n\r\n",
                Framing::Length(2),
            ),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: CHUNKED\r\n\r\n",
                Framing::chunked(),
            ),
            (
                "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\n",
                Framing::Length(0),
            ),
            (
                "HTTP/1.1 304 X\r\nContent-Length: 2\r\n\r\n",
                Framing::Length(0),
            ),
            (
                "HTTP/1.1 101 X\r\nContent-Length: 2\r\n\r\n",
                Framing::UntilClosed,
            ),
        ] {
            assert_eq!(head(text).framing, framing, "{text}");
        }
    }

    #[test]
    fn rules_do_not_see_fields_that_haproxy_removes() {
        assert_eq!(fields("Connection: close"), []);
        assert_eq!(
            fields("Connection: Keep-Alive, x, close"),
            [("Connection".to_owned(), "x".to_owned())]
        );
        let both = fields("Content-Length: 9\r\nTransfer-Encoding: chunked");
        assert_eq!(
            both,
            [("Transfer-Encoding".to_owned(), "chunked".to_owned())]
        );
    }

    #[test]
    fn the_size_of_a_head_is_limited_as_in_haproxy_or_by_max_head() {
        let many = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(count));
        let long = |length| format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(length));
        let max = |text: &str, max_size| {
            read(
                text.as_bytes(),
                Reading {
                    max_size,
                    ..READING
                },
            )
            .map(|head| head.is_some())
            .map_err(|failure| failure.to_string())
        };
        assert_eq!(max(&many(100), None), Ok(true));
        let error = max(&many(101), None).expect_err("too many");
        assert!(error.contains("tune.http.maxhdr"), "{error}");
        assert_eq!(max(&many(1000), Some(20_000)), Ok(true));
        assert_eq!(max(&long(15_300), None), Ok(true));
        let error = max(&long(15_400), None).expect_err("too long");
        assert!(error.contains("tune.bufsize"), "{error}");
        assert_eq!(max(&long(15_400), Some(20_000)), Ok(true));
        assert!(max(&long(25_400), Some(20_000)).is_err());
    }
}
