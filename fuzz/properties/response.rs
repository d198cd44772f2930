//! Runs the HTTP exchange with the bytes of a peer, and checks the verdict.
//!
//! An input is one line, followed by the bytes that the peer sends. The first letter of the line defines how
//! the stream ends: `c` if the peer closes it normally, `b` if it breaks off, `s` if the peer stays silent.
//! The rest of the line contains options of the check.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sni_check::code::Code;
use sni_check::failure::{Closed, Failure};
use sni_check::options::expect::Part;
use sni_check::options::handed::{Carrier, words as words_in};
use sni_check::options::{Parsed, parse};
use sni_check::plan::{Output, Plan, Request};
use sni_check::probe::{Response, Stop, Stream, TlsStop, exchange};

pub fn hold(input: &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (Some([end, options @ ..]), Some(bytes)) = (lines.next(), lines.next()) else {
        return;
    };
    let end = match end {
        b'c' => End::InOrder,
        b'b' => End::Broken,
        b's' => End::Silent,
        _ => return,
    };
    let Some(request) = request(options) else {
        return;
    };
    let verdict = ask(bytes, bytes.len(), end, &request);
    let in_pieces = ask(bytes, 1 + bytes.len() / 256, end, &request);
    // Once a rule has found its text, the following bytes may be malformed. Chunks of a body that no rule
    // reads may be malformed, too, unless they arrived with the head. HAProxy also verifies the chunks that
    // arrived with the head.
    let found_early = in_pieces.is_ok() && looks_for_something(&request);
    let decided_early = found_early || (verdict.is_err() && is_chunked(bytes));
    assert!(
        decided_early || format!("{verdict:?}") == format!("{in_pieces:?}"),
        "the pieces change the verdict: {verdict:?} {in_pieces:?}"
    );
    match verdict {
        Ok(response) => assert_is_healthy(bytes, end, &request, &response),
        Err(failure) => {
            let code = failure.code();
            assert!(code.number() > 70 && code != Code::Healthy, "{failure:?}");
            assert!(code != Code::ResponseTimeout || end == End::Silent);
        }
    }
}

fn is_chunked(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes)
        .to_ascii_lowercase()
        .contains("chunked")
}

/// Returns true if a rule without `!` is about the body.
fn looks_for_something(request: &Request) -> bool {
    let mut rules = request.expectations.iter();
    rules.any(|rule| rule.part() == Part::Body && !rule.is_negated())
}

/// Returns the request of a plan with these options.
fn request(options: &[u8]) -> Option<Request> {
    let mut words = words_in(Carrier::Path, OsStr::from_bytes(options)).ok()?;
    words.extend(["--sni", "a.example", "--verify", "none", "192.0.2.7"].map(str::to_owned));
    let Ok(Parsed::Options(options)) = parse(&words) else {
        return None;
    };
    if options.header.iter().any(|header| header.starts_with('@')) || options.crt.is_some() {
        return None; // These options name files.
    }
    let plan = Plan::new(&options, None, None, Output::default()).ok()?;
    Some(plan.request)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    InOrder,
    Broken,
    Silent,
}

/// A peer that sends its bytes in pieces of one size.
#[derive(Debug)]
struct Peer {
    bytes: Vec<u8>,
    said: usize,
    piece: usize,
    end: End,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Stream for Peer {
    fn send(&mut self, bytes: &[u8]) -> Result<(), TlsStop> {
        self.heard
            .lock()
            .expect("one thread")
            .extend_from_slice(bytes);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TlsStop> {
        assert!(!buffer.is_empty(), "an empty buffer is never filled");
        let left = &self.bytes[self.said..];
        let length = left.len().min(self.piece).min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.said += length;
        match self.end {
            _ if length > 0 => Ok(length),
            End::InOrder => Ok(0),
            End::Broken => Err(Stop::Closed(Closed::Closed).into()),
            End::Silent => Err(Stop::Deadline.into()),
        }
    }

    fn time_left(&self) -> Duration {
        Duration::from_secs(10)
    }
}

fn ask(bytes: &[u8], piece: usize, end: End, request: &Request) -> Result<Response, Failure> {
    let heard = Arc::default();
    let peer = Peer {
        bytes: bytes.to_vec(),
        said: 0,
        piece,
        end,
        heard: Arc::clone(&heard),
    };
    let verdict = exchange(peer, request);
    let heard = heard.lock().expect("one thread");
    assert_is_the_request(&heard, request);
    verdict
}

/// Asserts that exactly one complete request was sent, with its body and the right number of header
/// fields.
fn assert_is_the_request(sent: &[u8], request: &Request) {
    let sent = String::from_utf8_lossy(sent);
    let (head, body) = sent.split_once("\r\n\r\n").expect("a whole head");
    assert_eq!(body, request.body);
    let mut lines = head.split("\r\n");
    let first = format!(
        "{} {} HTTP/1.1",
        request.method,
        request.uri.path_and_query().expect("a path")
    );
    assert_eq!(lines.next(), Some(first.as_str()));
    let framing = ["content-length:", "transfer-encoding:"];
    let fields = lines.filter(|line| {
        !framing
            .iter()
            .any(|name| line.to_ascii_lowercase().starts_with(name))
    });
    let ours = request.headers.iter();
    let ours = ours.filter(|(name, _)| *name != "content-length");
    assert_eq!(fields.count(), ours.count());
}

/// Asserts that the response is healthy according to an independent reader.
fn assert_is_healthy(bytes: &[u8], end: End, request: &Request, response: &Response) {
    let (status, head, rest) = final_head(bytes).expect("a status line and a whole head");
    assert_eq!(response.status, status);
    let rules: Vec<String> = request
        .expectations
        .iter()
        .map(ToString::to_string)
        .collect();
    if rules.iter().any(|rule| rule == "status 200-399") {
        assert!((200..=399).contains(&status), "{status} is not healthy");
    }
    for rule in rules {
        let (wanted, present) = match (rule.strip_prefix("string "), rule.strip_prefix("! string "))
        {
            (Some(word), _) => (word, true),
            (_, Some(word)) => (word, false),
            _ => continue,
        };
        if wanted.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let (body, complete) = body(status, head, rest, end);
            let seen = (request.max_body as usize).min(body.len());
            let text = String::from_utf8_lossy(&body[..seen]);
            assert_eq!(text.contains(wanted), present, "{rule}");
            let all = complete && seen == body.len();
            assert!(
                all || present,
                "an incomplete body cannot prove that a text is absent"
            );
        }
    }
}

/// Returns the status, the head and the rest of the first response that isn't interim (100, 102 to 199).
/// Empty lines may precede the response.
fn final_head(mut bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    loop {
        while let [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] = bytes {
            bytes = rest;
        }
        let end = head_end(bytes)?;
        let (head, rest) = bytes.split_at(end);
        let version = head.split_at_checked(8)?;
        let digit = |at: usize| version.0[at].is_ascii_digit();
        if !version.0.starts_with(b"HTTP/") || !digit(5) || version.0[6] != b'.' || !digit(7) {
            return None;
        }
        let digits = version.1.trim_ascii_start();
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit());
        let digits = &digits[..length.count()];
        let status: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        match status {
            100 | 102..=199 => bytes = rest,
            _ => return Some((status, head, rest)),
        }
    }
}

/// Returns the position after the first empty line.
fn head_end(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find_map(|at| match &bytes[at..] {
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        [b'\n', b'\n', ..] => Some(at + 2),
        _ => None,
    })
}

/// Returns the received body, and true if it is complete (RFC 9112, section 6.3).
fn body(status: u16, head: &[u8], rest: &[u8], end: End) -> (Vec<u8>, bool) {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    if status == 204 || status == 304 {
        return (Vec::new(), true);
    }
    let codings = field("transfer-encoding").unwrap_or_default();
    if codings.split(',').any(|coding| coding.trim() == "chunked") {
        return chunks(rest);
    }
    match field("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => (
            rest[..rest.len().min(length)].to_vec(),
            rest.len() >= length,
        ),
        None => (rest.to_vec(), end == End::InOrder),
    }
}

/// Returns the content of the chunks, and true if the last chunk arrived (RFC 9112, section 7.1).
fn chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..at]);
        let size = line.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            break;
        };
        if size == 0 {
            return (body, true);
        }
        rest = &rest[at + 2..];
        body.extend_from_slice(&rest[..rest.len().min(size)]);
        rest = rest.get(size.saturating_add(2)..).unwrap_or_default();
    }
    (body, false)
}
