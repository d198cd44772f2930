//! Probes a server with one connection, one handshake and one request, and returns a verdict.

mod body;
mod certificates;
mod client;
mod client_hello;
pub mod connect;
mod exchange;
mod expectations;
mod fields;
mod framing;
mod head;
mod http;
mod inspect;
mod opening;
mod request;
pub(crate) mod socket;
mod stream;
mod suites;
mod tls;
mod violation;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, DnsName};

pub use self::certificates::{faults, is_for, names};
pub use self::client::provider;
use self::connect::Address;
pub use self::http::{Examined, Response, exchange};
use self::socket::Socket;
pub use self::socket::Stop;
pub use self::stream::{Stream, TlsStop};
use self::tls::TlsStream;
use crate::certificate::Certificate;
use crate::code::Code;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::plan::{Host, Plan, ProxyHeader, Request, Target, Tls};

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The healthy response, or why the check failed. `Ok(None)` means a healthy check without a request.
    pub result: Result<Option<Response>, Failure>,
    /// The facts that the check has collected.
    pub seen: Seen,
}

/// The facts that a check collects until it ends.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The last address that the check connected to, or tried to connect to.
    pub address: Option<String>,
    /// The TLS version and cipher suite, in the RFCs' spelling.
    pub tls: Option<(String, String)>,
    /// The key exchange, in the RFCs' spelling.
    pub group: Option<&'static str>,
    /// The protocol that the server chose by ALPN.
    pub alpn: Option<String>,
    /// True if the server asked for a client certificate.
    pub client_certificate_asked: bool,
    /// The chain that the server sent, the leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The certificate that expires first in the chain, if `--min-cert-days` or `--warn-cert-days` needs it.
    pub first_to_expire: Option<Certificate>,
    /// How long each phase took.
    pub times: Times,
}

impl Seen {
    fn look_at_tls(&mut self, stream: &TlsStream) {
        let connection = stream.connection();
        if let (Some(version), Some(suite)) = (
            connection.protocol_version(),
            connection.negotiated_cipher_suite(),
        ) {
            let spelled = |name: Option<&str>| name.unwrap_or("unknown").to_owned();
            self.tls = Some((
                spelled(version.as_str()).replace('_', "."),
                spelled(suite.suite().as_str()).replace("TLS13_", "TLS_"),
            ));
        }
        let group = connection.negotiated_key_exchange_group();
        self.group = group.and_then(|group| group.name().as_str());
        let alpn = connection.alpn_protocol();
        self.alpn = alpn.map(|name| String::from_utf8_lossy(name).into_owned());
        self.client_certificate_asked = stream.client_certificate_asked();
        let refused = || stream.verifier().refused_chain();
        let chain = connection.peer_certificates().or_else(refused);
        self.chain = chain.unwrap_or_default().to_vec();
        self.first_to_expire = stream.verifier().first_to_expire().cloned();
    }
}

/// How long each phase took. `None` means that the check didn't reach the phase.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Resolving a name.
    pub resolve: Option<Duration>,
    /// Connecting, and sending the PROXY header.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// Request and response.
    pub response: Option<Duration>,
    /// The whole check.
    pub total: Duration,
}

impl Verdict {
    /// Returns the exit code.
    pub fn code(&self) -> Code {
        match &self.result {
            Ok(_) => Code::Healthy,
            Err(failure) => failure.code(),
        }
    }
}

/// Runs a check. Its time limit counts from `start`.
pub fn run(plan: &Plan, start: Instant) -> Verdict {
    run_by_phase(plan, start, |_, _| {})
}

/// Runs a check and calls `enter` at the start of each phase. The arguments of `enter` are the failure to
/// report if the time runs out in this phase, and the facts collected so far.
pub fn run_by_phase(plan: &Plan, start: Instant, enter: impl FnMut(Failure, &mut Seen)) -> Verdict {
    let deadline = Deadline::new(start, plan.timeout);
    let mut seen = Seen::default();
    let result = check(plan, deadline, &mut seen, enter);
    // A process that was frozen may read a response that arrived long ago. The response shows that
    // the server was healthy then, not that it is healthy now.
    let result = match result {
        Ok(_) if deadline.remaining().is_none() => Err(match plan.handshake_only {
            true => Failure::HandshakeTimeout,
            false => Failure::ResponseTimeout { head_read: false },
        }),
        result => result,
    };
    seen.times.total = start.elapsed();
    Verdict { result, seen }
}

/// One attempt to reach a server, with the settings of the check or with other settings.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The name sent as SNI.
    pub sni: Option<&'a DnsName<'static>>,
    /// The TLS settings except the SNI name.
    pub tls: &'a Tls,
    /// The request. If it's `None`, the attempt ends with the handshake.
    pub request: Option<&'a Request>,
    /// The address to connect from.
    pub source: Option<SocketAddr>,
    /// The PROXY protocol header to send first.
    pub proxy: Option<ProxyHeader>,
}

impl<'a> Trial<'a> {
    /// Returns the attempt that the plan's check makes.
    pub fn of(plan: &'a Plan) -> Trial<'a> {
        Trial {
            sni: plan.names.sni.as_ref(),
            tls: &plan.tls,
            request: (!plan.handshake_only).then_some(&plan.request),
            source: plan.source,
            proxy: plan.proxy,
        }
    }

    /// Runs the attempt. Returns `Ok(None)` after a handshake without a request.
    pub fn run(
        self,
        addresses: &[Address],
        deadline: Deadline,
        seen: &mut Seen,
    ) -> Result<Option<Response>, Failure> {
        self.run_by_phase(addresses, deadline, seen, |_, _| {})
    }

    fn run_by_phase(
        self,
        addresses: &[Address],
        deadline: Deadline,
        seen: &mut Seen,
        mut enter: impl FnMut(Failure, &mut Seen),
    ) -> Result<Option<Response>, Failure> {
        enter(Failure::ConnectTimeout, seen);
        let socket = self.connect(addresses, deadline, seen)?;
        enter(Failure::HandshakeTimeout, seen);
        let stream = self.handshake(socket, seen)?;
        let Some(request) = self.request else {
            return stream.complete().map(|()| None);
        };
        enter(Failure::ResponseTimeout { head_read: false }, seen);
        timed(&mut seen.times.response, || http::exchange(stream, request)).map(Some)
    }

    /// Runs the attempt with this request and judges every expectation. A check would stop at the
    /// first expectation that isn't met.
    ///
    /// # Errors
    /// Returns why the server gave no response.
    pub fn examine(
        self,
        request: &Request,
        addresses: &[Address],
        deadline: Deadline,
        seen: &mut Seen,
    ) -> Result<(Response, Examined), Failure> {
        let socket = self.connect(addresses, deadline, seen)?;
        let stream = self.handshake(socket, seen)?;
        timed(&mut seen.times.response, || http::examine(stream, request))
    }

    /// Connects, and sends the PROXY header if `proxy` is set.
    fn connect(
        self,
        addresses: &[Address],
        deadline: Deadline,
        seen: &mut Seen,
    ) -> Result<Socket, Failure> {
        timed(&mut seen.times.connect, || {
            let dialled = connect::dial(addresses, self.source, deadline);
            let (socket, address) = dialled.map_err(|(failure, address)| {
                seen.address = Some(address.to_string());
                failure
            })?;
            seen.address = Some(address.to_string());
            if let Some(version) = self.proxy {
                connect::send_proxy_header(&socket, version).map_err(|stop| match stop {
                    Stop::Deadline => Failure::HandshakeTimeout,
                    Stop::Closed(closed) => Failure::HandshakeClosed(closed),
                })?;
            }
            Ok(socket)
        })
    }

    fn handshake(self, socket: Socket, seen: &mut Seen) -> Result<TlsStream, Failure> {
        let start = Instant::now();
        let mut stream = TlsStream::new(self.sni, self.tls, socket)?;
        let result = stream.handshake();
        seen.look_at_tls(&stream);
        seen.times.tls = Some(start.elapsed());
        result.map(|()| stream)
    }
}

fn check(
    plan: &Plan,
    deadline: Deadline,
    seen: &mut Seen,
    mut enter: impl FnMut(Failure, &mut Seen),
) -> Result<Option<Response>, Failure> {
    if let Target::Tcp {
        host: Host::Name(name),
        ..
    } = &plan.target
    {
        enter(Failure::ResolveTimeout { name: name.clone() }, seen);
    }
    let addresses = timed(&mut seen.times.resolve, || {
        connect::addresses(&plan.target, deadline)
    })?;
    Trial::of(plan).run_by_phase(&addresses, deadline, seen, enter)
}

fn timed<T>(time: &mut Option<Duration>, phase: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = phase();
    *time = Some(start.elapsed());
    result
}
