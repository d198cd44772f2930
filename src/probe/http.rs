//! One HTTP/1.1 exchange, by ureq over a connection of ours, and the expectations of its response.

use std::io::{self, Read};
use std::sync::Mutex;
use std::time::Instant;

use ureq::config::Config;
use ureq::http::{self, HeaderMap, header};
use ureq::{Agent, Body};

use super::handover::{Handover, MAX_HEAD, NoResolver, Stopped};
use super::socket::Stop;
use super::stream::{Stream, TlsStop};
use crate::deadline::Deadline;
use crate::failure::{Closed, Failure};
use crate::options::expect::regex::GivenUp;
use crate::options::expect::{Answer, Expectation, Field, Part};
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

/// Sends the request and judges the response.
///
/// # Errors
/// The first expectation that is not met, or why there is no response to judge.
pub fn exchange<S: Stream>(stream: S, request: &Request) -> Result<Response, Failure> {
    let deadline = Deadline::new(Instant::now(), stream.time_left());
    judge(send(stream, request)?, request, deadline)
}

/// What came of each expectation, in the order of the request's; `None` is one that is met.
pub type Examined = Vec<Option<Failure>>;

/// Sends the request and says of each expectation what came of it.
///
/// # Errors
/// Why there is no response to judge.
pub fn examine<S: Stream>(stream: S, request: &Request) -> Result<(Response, Examined), Failure> {
    let deadline = Deadline::new(Instant::now(), stream.time_left());
    let mut response = send(stream, request)?;
    let body = read_body(&mut response, request.max_body);
    let of_each = request.expectations.iter().map(|rule| match &body {
        Err(failure) if rule.part() == Part::Body => Some(failure.clone()),
        body => {
            let body = body.as_ref().ok();
            unmet(rule, &response, body, request.max_body, deadline)
        }
    });
    Ok((kept(&response), of_each.collect()))
}

fn send<S: Stream>(stream: S, request: &Request) -> Result<http::Response<Body>, Failure> {
    let agent = Agent::with_parts(config(), Handover(Mutex::new(Some(stream))), NoResolver);
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
    response.map_err(|error| failure(error, false))
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
        .max_response_header_size(MAX_HEAD)
        .max_idle_connections(0)
        .build()
}

/// Judges the head before the body is read: a wrong status is told even if the body never comes.
fn judge(
    mut response: http::Response<Body>,
    request: &Request,
    deadline: Deadline,
) -> Result<Response, Failure> {
    let limit = request.max_body;
    let first_unmet = |part, response: &http::Response<Body>, body| {
        let mut rules = request.expectations.iter();
        let failed = rules.find_map(|rule| {
            let judged = rule.part() == part;
            let failed = judged.then(|| unmet(rule, response, body, limit, deadline));
            failed.flatten()
        });
        failed.map_or(Ok(()), Err)
    };
    first_unmet(Part::Status, &response, None)?;
    first_unmet(Part::Header, &response, None)?;
    let body = read_body(&mut response, limit)?;
    first_unmet(Part::Body, &response, Some(&body))?;
    Ok(kept(&response))
}

fn kept(response: &http::Response<Body>) -> Response {
    Response {
        status: response.status().as_u16(),
        server: field(response.headers(), header::SERVER),
        location: field(response.headers(), header::LOCATION),
    }
}

/// Why an expectation is not met, if it is not. `limit` is `--max-body`.
fn unmet(
    rule: &Expectation,
    response: &http::Response<Body>,
    body: Option<&ReadBody>,
    limit: u32,
    deadline: Deadline,
) -> Option<Failure> {
    let cut = body.is_some_and(|body| body.cut);
    // Of a body that was cut, nothing can be said to be absent.
    let provable = !(rule.part() == Part::Body && rule.is_negated() && cut);
    let expected = rule.to_string();
    match holds(rule, response, body, deadline) {
        Ok(true) if provable => return None,
        Ok(_) => {}
        Err(limit) => {
            return Some(Failure::Undecided {
                expected,
                part: rule.part(),
                limit,
            });
        }
    }
    Some(match rule.part() {
        Part::Status => Failure::Status {
            status: response.status().as_u16(),
            expected,
            location: field(response.headers(), header::LOCATION),
        },
        Part::Header => Failure::Header { expected },
        Part::Body if body.is_none_or(|body| body.bytes.is_empty()) => Failure::NoBody { expected },
        Part::Body => Failure::Body {
            expected,
            cut_at: cut.then_some(limit),
        },
    })
}

fn holds(
    rule: &Expectation,
    response: &http::Response<Body>,
    body: Option<&ReadBody>,
    deadline: Deadline,
) -> Result<bool, GivenUp> {
    let field = |(name, value): (&header::HeaderName, &header::HeaderValue)| -> Field {
        (name.as_str().into(), value.as_bytes().into())
    };
    let fields: Vec<Field> = match rule.part() {
        Part::Header => response.headers().iter().map(field).collect(),
        _ => Vec::new(),
    };
    let status = response.status();
    let body = body.map_or(&[][..], |body| &body.bytes);
    if !rule.has_regex() {
        let status = status.as_str();
        return rule.holds(Answer {
            status,
            fields: &fields,
            body,
        });
    }
    let (rule, body) = (rule.clone(), body.to_owned());
    let judged = deadline.wait_for(move || {
        rule.holds(Answer {
            status: status.as_str(),
            fields: &fields,
            body: &body,
        })
    });
    judged.unwrap_or(Err(GivenUp::Time))
}

fn field(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// What was read of a body.
#[derive(Default)]
struct ReadBody {
    bytes: Vec<u8>,
    /// There was more of it.
    cut: bool,
}

fn read_body(response: &mut http::Response<Body>, limit: u32) -> Result<ReadBody, Failure> {
    if limit == 0 {
        return Ok(ReadBody::default());
    }
    // Faulty framing (RFC 9112, section 6.1): ureq gives the chunks as they are, in which a text may
    // be cut in two, and so be missed.
    if response.version() == http::Version::HTTP_10
        && response.headers().contains_key(header::TRANSFER_ENCODING)
    {
        let cause = "Transfer-Encoding in HTTP/1.0".to_owned();
        return Err(Failure::NotHttp(cause));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    // One byte more than is looked at tells whether there is more.
    let read = response
        .body_mut()
        .as_reader()
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| failure(ureq::Error::from(error), true))?;
    let cut = bytes.len() > limit;
    bytes.truncate(limit);
    Ok(ReadBody { bytes, cut })
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
        ureq::Error::LargeResponseHeader(_, limit) => {
            Failure::NotHttp(format!("its head is longer than {limit} bytes"))
        }
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
