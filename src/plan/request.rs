//! The HTTP request, and what its response must be.

use anyhow::{Context, Result, bail, ensure};
use ureq::http::uri::PathAndQuery;
use ureq::http::{HeaderName, HeaderValue, Method, Uri, header};

use super::files::Files;
use super::names::Names;
use crate::options::Options;
use crate::options::expect::{Expectation, Part};
use crate::refusal::refusal;

/// Enough for a status page; also what `--max-body` defaults to.
const DEFAULT_MAX_BODY: u32 = 64 << 10;

/// The request, and what its response must be.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` unless told otherwise.
    pub method: Method,
    /// Absolute, as ureq wants it; only path and query are sent.
    pub uri: Uri,
    /// All header fields but those that HTTP's framing sets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Empty for none.
    pub body: String,
    /// All must hold.
    pub expectations: Vec<Expectation>,
    /// How much of the response's body is read at most, in bytes; 0 when no expectation needs it.
    pub max_body: u32,
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
        let needs_body = expectations
            .iter()
            .any(|expectation| expectation.part() == Part::Body);
        if method == Method::HEAD {
            ensure!(
                body.is_empty(),
                "--body and --method HEAD contradict each other; use POST"
            );
            ensure!(
                !needs_body,
                "--method HEAD brings no body for --expect string or rstring; use GET"
            );
        }
        ensure!(
            options.max_body.is_none() || needs_body,
            "--max-body needs an --expect string or rstring; without one no body is read"
        );
        let max_body = options.max_body.map_or(DEFAULT_MAX_BODY, |size| size.0);
        Ok(Request {
            uri: uri(options.uri.as_deref(), url_uri)?,
            headers: with_defaults(headers, names)?,
            max_body: if needs_body { max_body } else { 0 },
            method,
            body,
            expectations,
        })
    }
}

fn method(options: &Options) -> Result<Method> {
    let Some(text) = &options.method else {
        return Ok(Method::GET);
    };
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT) => bail!("--method CONNECT opens a tunnel, it checks nothing; use GET"),
        Ok(method) => Ok(method),
        Err(_) => bail!("--method `{text}`: write a method such as GET, HEAD or OPTIONS"),
    }
}

fn uri(option: Option<&str>, url: Option<&str>) -> Result<Uri> {
    // A bare `https://host/` asks for nothing that --uri could contradict.
    let url = url.filter(|path| *path != "/");
    let text = match (option, url) {
        (Some(_), Some(_)) => {
            bail!("--uri and the path in the URL contradict each other; give only one of them")
        }
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => "/",
    };
    ensure!(
        text.starts_with('/'),
        "--uri `{text}`: it must begin with /, such as /healthz"
    );
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let path = PathAndQuery::try_from(text)
        .ok()
        .filter(|_| printable && !text.contains('#'));
    let path = path.with_context(|| {
        format!("--uri `{text}` has a character that a URI cannot have; percent-encode it (%20)")
    })?;
    // The authority is a placeholder: Host is always set, and the address is chosen elsewhere.
    let uri = Uri::builder()
        .scheme("https")
        .authority("localhost")
        .path_and_query(path);
    uri.build().context("--uri")
}

/// As in HAProxy, 2xx and 3xx are expected only where nothing else is.
fn expectations(options: &Options) -> Vec<Expectation> {
    match options.expect.as_slice() {
        [] => vec![Expectation::default_status()],
        given => given.to_vec(),
    }
}

/// A header field.
pub(super) type Field = (HeaderName, HeaderValue);

/// The fields of `--header`, those in files among them.
pub(super) fn headers(options: &Options, files: &Files) -> Result<Vec<Field>> {
    let mut headers = Vec::new();
    for text in &options.header {
        match text.strip_prefix('@') {
            None => headers.push(header_field(text, "--header")?),
            Some(file) => {
                let option = format!("--header @{file}");
                let content = files.read(&option, file)?;
                let content = String::from_utf8(content)
                    .map_err(|_| refusal(&option, "is not UTF-8", "write it in UTF-8"))?;
                for line in content.lines().filter(|line| !line.trim().is_empty()) {
                    headers.push(header_field(line, &option)?);
                }
            }
        }
    }
    let hosts = headers
        .iter()
        .filter(|(name, _)| name == header::HOST)
        .count();
    ensure!(hosts <= 1, "--header gives Host twice; give it once");
    Ok(headers)
}

/// These fields, and what every request has if they do not say otherwise.
fn with_defaults(given: &[Field], names: &Names) -> Result<Vec<Field>> {
    let mut headers = given.to_vec();
    for (name, default) in [
        (header::HOST, names.host.as_str()),
        (
            header::USER_AGENT,
            concat!("sni-check/", env!("CARGO_PKG_VERSION")),
        ),
        (header::ACCEPT, "*/*"),
        (header::CONNECTION, "close"),
    ] {
        if !headers.iter().any(|(given, _)| *given == name) {
            headers.push((name, HeaderValue::from_str(default)?));
        }
    }
    Ok(headers)
}

/// Reads `Name: value`. Messages never show the value, it may be a secret.
fn header_field(text: &str, option: &str) -> Result<(HeaderName, HeaderValue)> {
    ensure!(
        !text.contains(['\r', '\n']),
        "{option}: a line break (CR or LF) in a header; give one --header for each"
    );
    let (name, value) = text
        .split_once(':')
        .with_context(|| format!("{option}: no colon; write it as 'Name: value'"))?;
    let field = HeaderName::from_bytes(name.as_bytes()).ok();
    let field = field.with_context(|| {
        format!("{option}: `{name}` is no header name; write it as 'Name: value'")
    })?;
    ensure!(
        ![
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::EXPECT,
            header::TE,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
        ]
        .contains(&field),
        "{option}: {name} is set by sni-check itself; leave it out"
    );
    let value = HeaderValue::from_str(value.trim());
    let value = value
        .ok()
        .filter(|value| field != header::HOST || !value.is_empty());
    let value = value.with_context(|| {
        format!("{option}: the value of {name} is empty or has a control character; write it as 'Name: value'")
    })?;
    Ok((field, value))
}
