//! One HTTP/1.1 exchange, by ureq over a connection of ours, and the expectations of its response.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ureq::config::Config;
use ureq::http;
use ureq::{Agent, Body};

use super::expectations::{Judge, ReadBody};
use super::handover::{Connection, Handover, NoResolver, Stopped};
use super::head::{Head, Reading};
use super::socket::Stop;
use super::stream::{Stream, TlsStop};
use crate::deadline::Deadline;
use crate::failure::{Closed, Failure};
use crate::options::expect::Part;
use crate::plan::Request;

/// What is kept of a healthy response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// Its `Server` field.
    pub server: Option<String>,
    /// Where a redirect points.
    pub location: Option<String>,
}

/// Sends the request and judges the response. A wrong status is told even if the body never comes.
///
/// # Errors
/// The first expectation that is not met, or why there is no response to judge.
pub fn exchange<S: Stream>(stream: S, request: &Request) -> Result<Response, Failure> {
    let (mut response, judge) = send(stream, request)?;
    judge.first_unmet(Part::Status, &ReadBody::default())?;
    judge.first_unmet(Part::Header, &ReadBody::default())?;
    let body = read_body(&mut response, &judge)?;
    judge.first_unmet(Part::Body, &body)?;
    Ok(kept(&judge.head))
}

/// What came of each expectation, in the order of the request's; `None` is one that is met.
pub type Examined = Vec<Option<Failure>>;

/// Sends the request and says of each expectation what came of it.
///
/// # Errors
/// Why there is no response to judge.
pub fn examine<S: Stream>(stream: S, request: &Request) -> Result<(Response, Examined), Failure> {
    let (mut response, judge) = send(stream, request)?;
    let body = read_body(&mut response, &judge);
    let of_each = request.expectations.iter().map(|rule| match &body {
        Err(failure) if rule.part() == Part::Body => Some(failure.clone()),
        Err(_) => judge.unmet(rule, &ReadBody::default()),
        Ok(body) => judge.unmet(rule, body),
    });
    let of_each = of_each.collect();
    Ok((kept(&judge.head), of_each))
}

fn kept(head: &Head) -> Response {
    Response {
        status: head.number(),
        server: head.server.clone(),
        location: head.location.clone(),
    }
}

/// Sends the request and waits for the head of the final response.
fn send<S: Stream>(
    stream: S,
    request: &Request,
) -> Result<(http::Response<Body>, Judge<'_>), Failure> {
    let deadline = Deadline::new(Instant::now(), stream.time_left());
    let reading = Reading {
        no_body: request.method == http::Method::HEAD,
        keep_fields: request.wants(Part::Header),
        max_size: request.max_head,
    };
    let head = Arc::default();
    let connection = Connection::new(stream, reading, longest_line(request), Arc::clone(&head));
    let agent = Agent::with_parts(config(), Handover(Mutex::new(Some(connection))), NoResolver);
    let mut message = http::Request::builder()
        .method(&request.method)
        .uri(&request.uri);
    for (name, value) in &request.headers {
        message = message.header(name, value);
    }
    let sent = if request.body.is_empty() {
        message.body(()).map(|message| agent.run(message))
    } else {
        message
            .body(request.body.as_str())
            .map(|message| agent.run(message))
    };
    let response = sent.map_err(|error| Failure::Internal(error.to_string()))?;
    let response = response.map_err(|error| failure(error, false))?;
    let head = head.lock().map(|mut head| std::mem::take(&mut *head));
    let judge = Judge {
        request,
        head: head.unwrap_or_default(),
        deadline,
    };
    Ok((response, judge))
}

/// The size of a buffer into which each line of the request fits.
fn longest_line(request: &Request) -> usize {
    const USUAL: usize = 4 << 10;
    let uri = request
        .uri
        .path_and_query()
        .map_or(0, |uri| uri.as_str().len());
    let first = request.method.as_str().len() + uri;
    let fields = request.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len());
    // The spaces, the version, the colon and the line end.
    fields.fold(first, usize::max).saturating_add(16).max(USUAL)
}

/// No redirect is followed, no proxy of the environment obeyed, no status is an error in itself.
/// The time is kept by our own deadline, which is one for all phases.
fn config() -> Config {
    Config::builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .max_idle_connections(0)
        .build()
}

/// Reads the body as far as the expectations need it: to its end, to `--max-body`, or until all that
/// is looked for was found.
fn read_body(response: &mut http::Response<Body>, judge: &Judge<'_>) -> Result<ReadBody, Failure> {
    let limit = usize::try_from(judge.request.max_body).unwrap_or(usize::MAX);
    let mut body = ReadBody::default();
    if limit == 0 {
        return Ok(body);
    }
    let mut reader = response.body_mut().as_reader();
    let mut part = [0; 4 << 10];
    loop {
        let length = reader.read(&mut part);
        let length = length.map_err(|error| failure(error.into(), true))?;
        let room = limit - body.bytes.len();
        body.bytes.extend_from_slice(&part[..length.min(room)]);
        body.cut = length > room;
        if length == 0 || body.cut || judge.is_decided(&mut body) {
            return Ok(body);
        }
    }
}

/// The cause behind ureq's error, by its type.
fn failure(error: ureq::Error, head_read: bool) -> Failure {
    match error {
        ureq::Error::Other(cause) => match cause.downcast::<Stopped>() {
            Ok(stopped) => stopped.0.into_failure(head_read),
            Err(cause) => Failure::Internal(cause.to_string()),
        },
        ureq::Error::Io(error) => match error.downcast::<ureq::Error>() {
            Ok(inner) => failure(inner, head_read),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Failure::ResponseClosed(Closed::Closed)
            }
            Err(error) => Failure::Internal(error.to_string()),
        },
        ureq::Error::Protocol(cause) => Failure::NotHttp(cause.to_string()),
        ureq::Error::BodyStalled => Failure::ResponseClosed(Closed::Closed),
        other => Failure::Internal(other.to_string()),
    }
}

impl TlsStop {
    fn into_failure(self, head_read: bool) -> Failure {
        match self {
            TlsStop::Transport(Stop::Deadline) => Failure::ResponseTimeout { head_read },
            TlsStop::Transport(Stop::Closed(closed)) => Failure::ResponseClosed(closed),
            TlsStop::Tls(failure) => failure,
        }
    }
}
