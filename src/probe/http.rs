//! Sends one HTTP/1.1 request and judges the response by the expectations.

use std::time::{Duration, Instant};

use ureq::http::Method;

use super::body::Framing;
use super::expectations::{Judge, ReadBody};
use super::head::{self, Head, Reading};
use super::request;
use super::socket::Stop;
use super::stream::{Stream, TlsStop};
use crate::deadline::Deadline;
use crate::failure::{Closed, Failure};
use crate::options::expect::Part;
use crate::options::expect::regex::GivenUp;
use crate::plan::Request;

/// The facts about a response that we report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The `Server` field.
    pub server: Option<String>,
    /// The target of a redirect.
    pub location: Option<String>,
}

/// Sends the request and judges the response. A wrong status is reported even if the body never arrives.
///
/// # Errors
/// Returns the first expectation that isn't met, why the server gave no response, or how the connection
/// failed after the response.
pub fn exchange<S: Stream>(stream: S, request: &Request) -> Result<Response, Failure> {
    let (mut connection, judge) = send(stream, request)?;
    judge.first_unmet(Part::Status, &ReadBody::default())?;
    judge.first_unmet(Part::Header, &ReadBody::default())?;
    let body = connection.read_body(&judge)?;
    judge.first_unmet(Part::Body, &body)?;
    connection.stream.look_at_end(END_OF_CONNECTION)?;
    Ok(judge.head.response())
}

/// How long we watch the connection after the response if the server doesn't close it. HAProxy reads a little
/// later than we do, so HAProxy sees a reset or an alert that follows the response immediately.
const END_OF_CONNECTION: Duration = Duration::from_millis(1);

/// The result of each expectation, in the request's order. `None` means that the expectation is
/// met.
pub type Examined = Vec<Option<Failure>>;

/// Sends the request and returns the result of every expectation.
///
/// # Errors
/// Returns why the server gave no response.
pub fn examine<S: Stream>(stream: S, request: &Request) -> Result<(Response, Examined), Failure> {
    let (mut connection, judge) = send(stream, request)?;
    let body = connection.read_body(&judge);
    let of_each = request.expectations.iter().map(|rule| match &body {
        Err(failure) if rule.part() == Part::Body => Some(failure.clone()),
        Err(_) => judge.unmet(rule, &ReadBody::default()),
        Ok(body) => judge.unmet(rule, body),
    });
    let of_each = of_each.collect();
    Ok((judge.head.response(), of_each))
}

impl Head {
    fn response(&self) -> Response {
        Response {
            status: self.number(),
            server: self.server.clone(),
            location: self.location.clone(),
        }
    }
}

/// Sends the request and waits for the head of the final response.
fn send<S: Stream>(stream: S, request: &Request) -> Result<(Connection<S>, Judge<'_>), Failure> {
    let deadline = Deadline::new(Instant::now(), stream.time_left());
    let mut connection = Connection {
        stream: request::write(stream, request)?,
        received: Vec::new(),
    };
    let head = connection.read_head(Reading {
        no_body: request.method == Method::HEAD,
        keep_fields: request.wants(Part::Header),
        max_size: request.max_head,
        websocket_accept: request.websocket_accept(),
    });
    let head = head.map_err(|stop| stop.into_failure(false))?;
    let judge = Judge {
        request,
        head,
        deadline,
    };
    Ok((connection, judge))
}

/// A connection on which the request has been sent.
struct Connection<S> {
    stream: S,
    /// Received bytes that haven't been parsed yet.
    received: Vec<u8>,
}

/// How many bytes are read at a time. Most responses to a check are smaller.
const PART: usize = 4 << 10;

impl<S: Stream> Connection<S> {
    /// Waits for bytes from the peer. Returns false at the end of the stream.
    fn receive(&mut self) -> Result<bool, TlsStop> {
        let start = self.received.len();
        self.received.resize(start + PART, 0);
        let length = self.stream.receive(&mut self.received[start..]);
        self.received
            .truncate(start + *length.as_ref().unwrap_or(&0));
        Ok(length? > 0)
    }

    /// Reads the head of the final response and skips interim responses before it.
    fn read_head(&mut self, reading: Reading) -> Result<Head, TlsStop> {
        loop {
            let read = head::read(&self.received, reading).map_err(TlsStop::Tls)?;
            let Some((head, length)) = read else {
                match self.receive()? {
                    true => continue,
                    false => return Err(Stop::Closed(Closed::Closed).into()),
                }
            };
            self.received.drain(..length);
            if !head.is_interim() {
                // As in HAProxy, chunks that arrive with the head must be valid, even if no rule
                // looks at the body.
                if let Framing::Chunked(_) = head.framing {
                    let mut framing = head.framing;
                    framing
                        .take(&self.received, &mut Vec::new())
                        .map_err(not_http)?;
                }
                let below = i64::MAX as u64;
                match head.framing {
                    Framing::Length(length)
                        if length > below && length - self.received.len() as u64 <= below =>
                    {
                        let what = "its Content-Length is so long that only HAProxy 3.2 and later can \
                                    count it (limit of sni-check)";
                        return Err(not_http(what.to_owned()));
                    }
                    _ => return Ok(head),
                }
            }
        }
    }

    /// Reads as much of the body as the expectations need: to its end, up to `--max-body`, or until
    /// every rule is decided.
    fn read_body(&mut self, judge: &Judge<'_>) -> Result<ReadBody, Failure> {
        let limit = usize::try_from(judge.request.max_body).unwrap_or(usize::MAX);
        let mut body = ReadBody::default();
        let mut framing = judge.head.framing;
        if limit == 0 {
            return Ok(body);
        }
        let memory = judge.request.memory.as_ref();
        body.share = memory.and_then(|memory| memory.take(0).ok());
        loop {
            if !body.makes_room(self.received.len() + PART, limit + 2 * PART) {
                return Err(judge.undecided(Part::Body, GivenUp::Room));
            }
            let more = self.more_of_body(&mut framing, &mut body.bytes);
            let more = more.map_err(|stop| judge.body_ended(stop.into_failure(true)))?;
            body.cut = body.bytes.len() > limit;
            body.bytes.truncate(limit);
            if !more || body.cut || judge.is_decided(&mut body) {
                return Ok(body);
            }
        }
    }

    /// Reads more of the body. Returns false if the body is complete.
    fn more_of_body(&mut self, framing: &mut Framing, body: &mut Vec<u8>) -> Result<bool, TlsStop> {
        let before = body.len();
        loop {
            let taken = framing.take(&self.received, body).map_err(not_http)?;
            self.received.drain(..taken);
            if body.len() > before {
                return Ok(true);
            }
            if framing.is_complete() {
                return Ok(false);
            }
            if !self.receive()? {
                return match framing {
                    Framing::UntilClosed => Ok(false),
                    _ => Err(Stop::Closed(Closed::Closed).into()),
                };
            }
        }
    }
}

fn not_http(what: String) -> TlsStop {
    TlsStop::Tls(Failure::NotHttp(what))
}

impl TlsStop {
    /// Returns the failure for a stop after the handshake.
    pub(super) fn into_failure(self, head_read: bool) -> Failure {
        match self {
            TlsStop::Transport(Stop::Deadline) => Failure::ResponseTimeout { head_read },
            TlsStop::Transport(Stop::Closed(closed)) => Failure::ResponseClosed(closed),
            TlsStop::Tls(failure) => failure,
        }
    }
}
