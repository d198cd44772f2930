//! Lets ureq write the request. ureq doesn't read the response, because its rules for heads and
//! framing differ from HAProxy's.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use ureq::config::{AutoHeaderValue, Config};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error, Timeout, http};

use super::stream::{Stream, TlsStop};
use crate::failure::Failure;
use crate::plan::Request;

/// Writes the request to the stream, and returns the stream.
///
/// # Errors
/// Returns why the request can't be written.
pub(super) fn write<S: Stream>(stream: S, request: &Request) -> Result<S, Failure> {
    let writing = Writing {
        stream: Some(stream),
        buffers: LazyBuffers::new(1, longest_line(request)),
    };
    let agent = Agent::with_parts(config(), Handover(Mutex::new(Some(writing))), NoResolver);
    let mut message = http::Request::builder()
        .method(&request.method)
        .uri(&request.uri);
    for (name, value) in &request.headers {
        message = message.header(name, value);
    }
    let ended = if request.body.is_empty() {
        message.body(()).map(|message| agent.run(message))
    } else {
        let message = message.body(request.body.as_str());
        message.map(|message| agent.run(message))
    };
    match ended {
        Ok(Err(Error::Other(cause))) => match cause.downcast::<Written<S>>() {
            Ok(written) => written.0.map_err(|stop| stop.into_failure(false)),
            Err(cause) => Err(Failure::Internal(cause.to_string())),
        },
        Ok(Err(error)) => Err(Failure::Internal(error.to_string())),
        Ok(Ok(_)) => Err(Failure::Internal("ureq read a response".to_owned())),
        Err(error) => Err(Failure::Internal(error.to_string())),
    }
}

/// Returns the size of a buffer that holds any line of the request. ureq can't write a line in two
/// parts.
fn longest_line(request: &Request) -> usize {
    const USUAL: usize = 4 << 10;
    let uri = request.uri.path_and_query();
    let uri = uri.map_or(0, |uri| uri.as_str().len());
    let first = request.method.as_str().len() + uri;
    let fields = request.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len());
    // 16 bytes are enough for the spaces, the version, the colon and the line end.
    fields.fold(first, usize::max).saturating_add(16).max(USUAL)
}

/// Returns ureq's configuration. It has no time-outs, because our own deadline covers all phases. It ignores
/// proxies in the environment, and adds no User-Agent or Accept to the request.
fn config() -> Config {
    Config::builder()
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .allow_non_standard_methods(true)
        .proxy(None)
        .max_idle_connections(0)
        .build()
}

/// The error that ends ureq's call. It holds the stream on which the request was sent, or why it
/// wasn't sent.
struct Written<S>(Result<S, TlsStop>);

impl<S> fmt::Debug for Written<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the end of the request")
    }
}

impl<S> fmt::Display for Written<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<S> std::error::Error for Written<S> {}

impl<S: Stream> From<Written<S>> for Error {
    fn from(written: Written<S>) -> Error {
        Error::Other(Box::new(written))
    }
}

/// The connection that ureq writes to. When ureq wants to read, the connection ends ureq's call.
#[derive(Debug)]
struct Writing<S> {
    stream: Option<S>,
    buffers: LazyBuffers,
}

impl<S: Stream> Transport for Writing<S> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let output = &self.buffers.output()[..amount];
        match &mut self.stream {
            Some(stream) => Ok(stream
                .send(output)
                .map_err(|stop| Written::<S>(Err(stop)))?),
            None => Err(Error::ConnectionFailed),
        }
    }

    /// Ends ureq's call when the request is sent. Like HAProxy, we send the body immediately, even
    /// with `Expect: 100-continue`.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if timeout.reason == Timeout::Await100 {
            return Err(Error::Timeout(Timeout::Await100));
        }
        let stream = self.stream.take().ok_or(Error::ConnectionFailed)?;
        Err(Written(Ok(stream)).into())
    }

    fn is_open(&mut self) -> bool {
        false // Each connection has only one request.
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Passes the existing connection to ureq. We connect ourselves, because we report each phase
/// separately.
#[derive(Debug)]
struct Handover<S>(Mutex<Option<Writing<S>>>);

impl<S: Stream> Connector for Handover<S> {
    type Out = Writing<S>;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<Writing<S>>, Error> {
        Ok(self.0.lock().ok().and_then(|mut given| given.take()))
    }
}

/// Resolves every name to a dummy address. ureq requires an address, but our connector doesn't use it.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(
        &self,
        _uri: &http::Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(addresses)
    }
}
