//! The HTTP request, and what its response must be.

use std::sync::Arc;

use anyhow::{Context, Result};
use ureq::http::uri::PathAndQuery;
use ureq::http::{HeaderName, HeaderValue, Method, Uri, header};

use super::files::Files;
use super::library::Memory;
use super::names::Names;
use crate::options::Options;
use crate::options::expect::{Expectation, Part};
use crate::refusal::{exclusive, refusal};

/// The default of `--max-body`. It is enough for a status page.
const DEFAULT_MAX_BODY: u32 = 64 << 10;

/// The request, and what its response must be.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method. The default is `GET`.
    pub method: Method,
    /// The URI. ureq needs an absolute URI, but only its path and query are sent.
    pub uri: Uri,
    /// The header fields, without the fields that frame a non-empty body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body. Empty means no body.
    pub body: String,
    /// The expectations. All of them must hold.
    pub expectations: Vec<Expectation>,
    /// The longest response head, in bytes. `None` means HAProxy's limits.
    pub max_head: Option<usize>,
    /// The largest number of bytes of the response body that are read. 0 if no expectation needs the body.
    pub max_body: u32,
    /// The memory that the bodies of many checks share. `None` if this process runs only one check.
    pub memory: Option<Arc<Memory>>,
}

impl Request {
    pub(super) fn resolve(
        options: &Options,
        url_uri: Option<&str>,
        names: &Names,
        headers: &[Field],
    ) -> Result<Request> {
        let method = method(options)?;
        let expectations = expectations(options);
        let body = options.body.clone().unwrap_or_default();
        let needs_body = expectations.iter().any(|rule| rule.part() == Part::Body);
        if method == Method::HEAD {
            exclusive(!body.is_empty(), "--body", true, "--method HEAD")?;
            if needs_body {
                let what = "gets no body, and --expect string or rstring needs a body";
                return Err(refusal("--method HEAD", what, "use --method GET"));
            }
        }
        if options.max_body.is_some() && !needs_body {
            let what = "has no effect, because no expectation reads the body";
            let write = "add --expect string or rstring, or leave --max-body out";
            return Err(refusal("--max-body", what, write));
        }
        let max_body = options.max_body.map_or(DEFAULT_MAX_BODY, |size| size.0);
        Ok(Request {
            uri: uri(&method, options.uri.as_deref(), url_uri)?,
            headers: with_defaults(headers, names, &method, &body)?,
            max_head: options.max_head.map(|size| size.0 as usize),
            max_body: if needs_body { max_body } else { 0 },
            memory: None,
            method,
            body,
            expectations,
        })
    }

    /// Returns the `Sec-WebSocket-Accept` that the server must send, if we chose the key of the WebSocket
    /// handshake.
    pub fn websocket_accept(&self) -> Option<&'static str> {
        let is_ours = |(name, value): &Field| {
            name == header::SEC_WEBSOCKET_KEY && value.as_bytes() == WEBSOCKET_KEY.as_bytes()
        };
        self.headers.iter().any(is_ours).then_some(WEBSOCKET_ACCEPT)
    }

    /// Returns true if an expectation looks at this part of the response.
    pub fn wants(&self, part: Part) -> bool {
        self.expectations.iter().any(|rule| rule.part() == part)
    }
}

fn method(options: &Options) -> Result<Method> {
    let Some(text) = &options.method else {
        return Ok(Method::GET);
    };
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT) => Err(refusal(
            "--method CONNECT",
            "opens a tunnel and checks nothing",
            "use --method GET",
        )),
        Ok(method) => Ok(method),
        Err(_) => Err(refusal(
            format!("--method `{text}`"),
            "is not a method",
            "write a method such as GET, HEAD or OPTIONS",
        )),
    }
}

fn uri(method: &Method, option: Option<&str>, url: Option<&str>) -> Result<Uri> {
    // The path of a bare `https://host/` doesn't contradict --uri.
    let url = url.filter(|path| *path != "/");
    let in_url = "the path in the URL";
    exclusive(option.is_some(), "--uri", url.is_some(), in_url)?;
    let text = option.or(url).unwrap_or("/");
    let subject = format!("--uri `{text}`");
    if !text.starts_with('/') && text != "*" {
        let write = "write a path such as /healthz, and the host as --header 'Host: NAME'";
        return Err(refusal(subject, "does not begin with /", write));
    }
    if text == "*" && method != Method::OPTIONS {
        let what = "stands for the whole server, and only OPTIONS can ask for that";
        return Err(refusal(subject, what, "add --method OPTIONS"));
    }
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let path = PathAndQuery::try_from(text).ok();
    let Some(path) = path.filter(|_| printable && !text.contains('#')) else {
        let what = "has a character that a URI cannot have";
        return Err(refusal(subject, what, "percent-encode it, such as %20"));
    };
    // The authority is a placeholder. The Host header is always set, and other code chooses the
    // address.
    let uri = Uri::builder()
        .scheme("https")
        .authority("localhost")
        .path_and_query(path);
    uri.build().context("--uri")
}

/// Returns the expectations. As in HAProxy, the default (2xx and 3xx) applies only if there is no
/// other expectation.
fn expectations(options: &Options) -> Vec<Expectation> {
    match options.expect.as_slice() {
        [] => vec![Expectation::default_status()],
        given => given.to_vec(),
    }
}

/// A header field.
pub(super) type Field = (HeaderName, HeaderValue);

/// Returns the fields of `--header`, including fields from files.
pub(super) fn headers(options: &Options, files: &Files) -> Result<Vec<Field>> {
    let mut headers = Vec::new();
    for text in &options.header {
        match text.strip_prefix('@') {
            None => headers.push(header_field(text, "--header")?),
            Some(file) => {
                let option = format!("--header @{file}");
                let content = files.read(&option, file)?;
                let content = String::from_utf8(content)
                    .map_err(|_| refusal(&option, "is not UTF-8", "write the header in UTF-8"))?;
                for line in content.lines().filter(|line| !line.trim().is_empty()) {
                    headers.push(header_field(line, &option)?);
                }
            }
        }
    }
    // HAProxy's check also drops these fields. The length of the body is already known.
    let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    headers.retain(|(name, _)| !framing.contains(name));
    let hosts = headers.iter().filter(|(name, _)| name == header::HOST);
    if hosts.count() > 1 {
        return Err(refusal("--header", "gives Host twice", "give it once"));
    }
    Ok(headers)
}

/// The default User-Agent.
pub const USER_AGENT: &str = concat!("sni-check/", env!("CARGO_PKG_VERSION"));

/// The fields that a request has in addition to Host, unless `--header` sets them.
pub const DEFAULTS: [(HeaderName, &str); 3] = [
    (header::USER_AGENT, USER_AGENT),
    (header::ACCEPT, "*/*"),
    (header::CONNECTION, "close"),
];

/// Hop-by-hop fields. HAProxy sends only some words of their values. See [`hop_by_hop`].
const HOP_BY_HOP: [HeaderName; 2] = [header::CONNECTION, header::TE];

/// Fields that aren't sent if their value is empty. `--header 'User-Agent:'` therefore leaves out the default
/// field, as in curl.
const LEFT_OUT: [HeaderName; 4] = [
    header::CONNECTION,
    header::TE,
    header::USER_AGENT,
    header::ACCEPT,
];

/// Returns a field as HAProxy's check sends it: Connection without `keep-alive`, and TE with `trailers` only.
fn hop_by_hop((name, value): Field) -> Field {
    let is_kept = |word: &&[u8]| match &name {
        &header::CONNECTION => !word.eq_ignore_ascii_case(b"keep-alive"),
        _ => word.eq_ignore_ascii_case(b"trailers"),
    };
    if !HOP_BY_HOP.contains(&name) {
        return (name, value);
    }
    let words = value.as_bytes().split(|byte| *byte == b',');
    let words: Vec<&[u8]> = words.map(<[u8]>::trim_ascii).filter(is_kept).collect();
    let kept = HeaderValue::from_bytes(&words.join(&b", "[..]));
    (name, kept.unwrap_or(value))
}

/// The key of a WebSocket handshake if `--header` gives no key (RFC 6455, section 1.3).
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to [`WEBSOCKET_KEY`] (RFC 6455, section 1.3).
pub const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Returns the given fields, the default fields that they don't replace, and the fields that a WebSocket
/// handshake or a request without a body needs.
fn with_defaults(
    given: &[Field],
    names: &Names,
    method: &Method,
    body: &str,
) -> Result<Vec<Field>> {
    let given = given.iter().cloned();
    let mut headers: Vec<Field> = given.map(hop_by_hop).collect();
    let host = [(header::HOST, names.host.as_str())];
    for (name, default) in host.into_iter().chain(DEFAULTS) {
        if !headers.iter().any(|(given, _)| *given == name) {
            headers.push((name, HeaderValue::from_str(default)?));
        }
    }
    let has = |name: &HeaderName, wanted: &str| {
        let mut values = headers.iter().filter(|(given, _)| given == name);
        values.any(|(_, value)| {
            let mut words = value.as_bytes().split(|byte| *byte == b',');
            words.any(|word| word.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
        })
    };
    let is_websocket = has(&header::UPGRADE, "websocket") && has(&header::CONNECTION, "upgrade");
    let key = header::SEC_WEBSOCKET_KEY;
    // HAProxy adds a key, too.
    if is_websocket && !headers.iter().any(|(name, _)| *name == key) {
        headers.push((key, HeaderValue::from_static(WEBSOCKET_KEY)));
    }
    headers.retain(|(name, value)| !(value.is_empty() && LEFT_OUT.contains(name)));
    // HAProxy sends `Content-Length: 0` for all methods except these. ureq would send a chunked
    // body for some methods.
    let no_length = [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE];
    if body.is_empty() && !no_length.contains(method) {
        headers.push((header::CONTENT_LENGTH, HeaderValue::from_static("0")));
    }
    Ok(headers)
}

/// Headers whose values are never secret, in lower case.
const HARMLESS: [&str; 6] = [
    "x-forwarded-proto",
    "host",
    "accept",
    "user-agent",
    "connection",
    // sni-check computes this header.
    "content-length",
];

/// Returns true if the value of this header is never secret, so that reports may show it.
pub(crate) fn is_harmless(name: &str) -> bool {
    let mut known = HARMLESS.iter();
    known.any(|known| known.eq_ignore_ascii_case(name))
}

/// Reads `Name: value`. Messages never show the value, because it may be a secret.
fn header_field(text: &str, option: &str) -> Result<Field> {
    const FORM: &str = "write the header as 'Name: value'";
    if text.contains(['\r', '\n']) {
        let what = "has a line break (CR or LF)";
        return Err(refusal(option, what, "give one --header for each"));
    }
    let Some((name, value)) = text.split_once(':') else {
        return Err(refusal(option, "has no colon", FORM));
    };
    let Ok(field) = HeaderName::from_bytes(name.as_bytes()) else {
        let what = format!("has `{name}`, which is not a header name");
        return Err(refusal(option, what, FORM));
    };
    let value = HeaderValue::from_bytes(value.trim().as_bytes()).ok();
    let value = value.filter(|value| field != header::HOST || !value.is_empty());
    let value = value.ok_or_else(|| {
        let what = format!("has a value of {name} that is empty or has a control character");
        refusal(option, what, FORM)
    })?;
    Ok((field, value))
}
