//! What ureq gets from us in place of its own: a connection that is already made, and no names to
//! resolve.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use ureq::config::Config;
use ureq::http;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::buffers::GrowingBuffers;
use super::stream::{Stream, TlsStop};
use crate::failure::Failure;

/// The head of a response may be this long, in bytes; HAProxy's own limit is `tune.bufsize`.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// [`TlsStop`] on its way through ureq.
#[derive(Debug)]
pub(super) struct Stopped(pub(super) TlsStop);

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

impl From<TlsStop> for ureq::Error {
    fn from(stop: TlsStop) -> ureq::Error {
        ureq::Error::Other(Box::new(Stopped(stop)))
    }
}

/// Gives ureq the connection that is already made: phases are ours to tell apart.
#[derive(Debug)]
pub(super) struct Handover<S>(pub(super) Mutex<Option<S>>);

impl<S: Stream> Connector for Handover<S> {
    type Out = Connection<S>;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<Connection<S>>, ureq::Error> {
        let stream = self.0.lock().ok().and_then(|mut stream| stream.take());
        Ok(stream.map(|stream| Connection {
            stream,
            buffers: GrowingBuffers::default(),
        }))
    }
}

/// ureq wants an address to hand to the connector, which has no use for it.
#[derive(Debug)]
pub(super) struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(
        &self,
        _uri: &http::Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(addresses)
    }
}

#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    buffers: GrowingBuffers,
}

impl<S: Stream> Transport for Connection<S> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let output = &self.buffers.output()[..amount];
        Ok(self.stream.send(output)?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        // ureq bounds the head, but not a line between the chunks of a body.
        if self.buffers.input().len() > MAX_HEAD {
            let cause = format!("a line of it is longer than {MAX_HEAD} bytes");
            return Err(TlsStop::Tls(Failure::NotHttp(cause)).into());
        }
        let length = self.stream.receive(self.buffers.input_append_buf())?;
        self.buffers.input_appended(length);
        Ok(length > 0)
    }

    fn is_open(&mut self) -> bool {
        false // One request is all.
    }

    fn is_tls(&self) -> bool {
        true
    }
}
