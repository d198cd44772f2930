//! What ureq gets from us in place of its own: a connection that is already made, and no names to
//! resolve.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use ureq::config::Config;
use ureq::http;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::body::Framing;
use super::buffers::{Received, UreqBuffers};
use super::head::{self, Head, Reading};
use super::socket::Stop;
use super::stream::{Stream, TlsStop};
use crate::failure::{Closed, Failure};

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
pub(super) struct Handover<S>(pub(super) Mutex<Option<Connection<S>>>);

impl<S: Stream> Connector for Handover<S> {
    type Out = Connection<S>;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<Connection<S>>, ureq::Error> {
        Ok(self.0.lock().ok().and_then(|mut given| given.take()))
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

/// The connection as ureq sees it. HAProxy's rules for the head and the framing of a response are
/// kept here; ureq gets a head that says nothing, and after it the body until it ends.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    received: Received,
    buffers: UreqBuffers,
    reading: Reading,
    /// How the body goes on; `None` before it.
    framing: Option<Framing>,
    head: Arc<Mutex<Head>>,
}

/// What ureq is told of every final response.
const HEAD_FOR_UREQ: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

impl<S: Stream> Connection<S> {
    /// `head` is where the head of the final response is put, `output_size` how long the request's
    /// head may be.
    pub fn new(
        stream: S,
        reading: Reading,
        output_size: usize,
        head: Arc<Mutex<Head>>,
    ) -> Connection<S> {
        Connection {
            stream,
            received: Received::default(),
            buffers: UreqBuffers::new(output_size),
            reading,
            framing: None,
            head,
        }
    }

    /// Waits for bytes of the peer; whether there are more.
    fn receive(&mut self) -> Result<bool, TlsStop> {
        let length = self.stream.receive(self.received.space())?;
        self.received.fill(length);
        Ok(length > 0)
    }

    /// Reads the head of the final response; those before it only announce it.
    fn read_head(&mut self) -> Result<(), TlsStop> {
        loop {
            let read = head::read(self.received.unread(), self.reading);
            let Some((head, length)) = read.map_err(TlsStop::Tls)? else {
                match self.receive()? {
                    true => continue,
                    false => return Err(Stop::Closed(Closed::Closed).into()),
                }
            };
            self.received.consume(length);
            if !head.is_interim() {
                let mut framing = head.framing;
                if let Ok(mut slot) = self.head.lock() {
                    *slot = head;
                }
                self.buffers.input.extend_from_slice(HEAD_FOR_UREQ);
                // As in HAProxy, chunks that came with the head must be right, even if nobody looks.
                if let Framing::Chunked(_) = framing {
                    let taken = framing.take(self.received.unread(), &mut self.buffers.input);
                    self.received.consume(taken.map_err(not_http)?);
                }
                self.framing = Some(framing);
                return Ok(());
            }
        }
    }

    /// Reads more of the body; whether there was more.
    fn read_body(&mut self, mut framing: Framing) -> Result<bool, TlsStop> {
        self.buffers.compact();
        let before = self.buffers.input.len();
        loop {
            let taken = framing.take(self.received.unread(), &mut self.buffers.input);
            self.received.consume(taken.map_err(not_http)?);
            self.framing = Some(framing);
            if self.buffers.input.len() > before {
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

impl<S: Stream> Transport for Connection<S> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let output = &self.buffers.output()[..amount];
        Ok(self.stream.send(output)?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        match self.framing {
            None => {
                self.read_head()?;
                Ok(true)
            }
            Some(framing) => Ok(self.read_body(framing)?),
        }
    }

    fn is_open(&mut self) -> bool {
        false // One request is all.
    }

    fn is_tls(&self) -> bool {
        true
    }
}
