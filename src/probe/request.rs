//! ureq writes the request. It reads nothing: its rules for heads and framings aren't HAProxy's.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use ureq::config::Config;
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
/// Why the request can't be written.
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
        Ok(Ok(_)) => Err(Failure::Internal("a response out of nothing".to_owned())),
        Err(error) => Err(Failure::Internal(error.to_string())),
    }
}

/// The size of a buffer into which each line of the request fits: ureq writes no line in two parts.
fn longest_line(request: &Request) -> usize {
    const USUAL: usize = 4 << 10;
    let uri = request.uri.path_and_query();
    let uri = uri.map_or(0, |uri| uri.as_str().len());
    let first = request.method.as_str().len() + uri;
    let fields = request.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len());
    // The spaces, the version, the colon and the line end.
    fields.fold(first, usize::max).saturating_add(16).max(USUAL)
}

/// Our own deadline keeps the time, one for all phases. ureq obeys no proxy of the environment.
fn config() -> Config {
    Config::builder()
        .allow_non_standard_methods(true)
        .proxy(None)
        .max_idle_connections(0)
        .build()
}

/// What ureq's call ends with: the stream with the request on its way, or why it isn't.
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

/// The connection as ureq sees it, until ureq wants to read.
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

    /// The request is out. As HAProxy does, its body follows at once, whatever `Expect` says.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if timeout.reason == Timeout::Await100 {
            return Err(Error::Timeout(Timeout::Await100));
        }
        let stream = self.stream.take().ok_or(Error::ConnectionFailed)?;
        Err(Written(Ok(stream)).into())
    }

    fn is_open(&mut self) -> bool {
        false // There is one request for each connection.
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Gives ureq the connection that is already made: the phases are ours to tell apart.
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

/// ureq wants an address for the connector, which doesn't use it.
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
