//! Runs TLS on a connected socket, and finds the causes of its failures.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ClientConnection, ResolvesClientCert as _};
use rustls::pki_types::{DnsName, ServerName};
use rustls::{AlertDescription, CertificateError, ConnectionCommon};

use super::certificates::Verifier;
use super::client::{ClientCertificate, config};
use super::client_hello;
use super::opening::Opening;
use super::socket::{Socket, Stop};
use super::stream::{Stream, TlsStop};
use super::violation;
use crate::certificate::CertificateFailure;
use crate::failure::{Closed, Failure, Sent};
use crate::options::values::TlsVersion;
use crate::plan::Tls;

/// A TLS connection and the facts that we collect about it.
#[derive(Debug)]
pub struct TlsStream {
    socket: Socket,
    tls: Box<ClientConnection>,
    verifier: Arc<Verifier>,
    client_certificate: Arc<ClientCertificate>,
    sends_sni: bool,
    offers_tls13: bool,
    /// True if the server has sent a part of its response.
    has_received: bool,
    /// True if the server has sent close_notify in a form that rustls treats as a fatal alert.
    is_ended: bool,
    opening: Opening,
}

impl TlsStream {
    /// Prepares a connection, and sends nothing yet.
    pub fn new(
        sni: Option<&DnsName<'static>>,
        plan: &Tls,
        socket: Socket,
    ) -> Result<TlsStream, Failure> {
        let verifier = Arc::new(Verifier::new(plan));
        let client_certificate = Arc::new(ClientCertificate::new(plan.identity.as_deref()));
        let internal = |error: rustls::Error| Failure::Internal(error.to_string());
        let mut config =
            config(plan, verifier.clone(), client_certificate.clone()).map_err(internal)?;
        config.enable_sni = sni.is_some();
        // rustls needs a name even without SNI. The verifier ignores it.
        let name = match sni {
            Some(name) => ServerName::DnsName(name.clone()),
            None => ServerName::from(std::net::Ipv4Addr::UNSPECIFIED),
        };
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(internal)?;
        tls.set_buffer_limit(None);
        Ok(TlsStream {
            socket,
            tls: Box::new(tls),
            verifier,
            client_certificate,
            sends_sni: sni.is_some(),
            offers_tls13: plan.max_version == TlsVersion::Tls13,
            has_received: false,
            is_ended: false,
            opening: Opening::default(),
        })
    }

    /// Completes the handshake. The last flight of TLS 1.3 stays in the buffer, and is sent
    /// together with the request in one write.
    pub fn handshake(&mut self) -> Result<(), Failure> {
        while self.tls.is_handshaking() {
            self.flush()
                .and_then(|()| self.fill())
                .map_err(ended_handshake)?;
        }
        match self.opening.ending_warning() {
            None => {}
            Some(AlertDescription::CloseNotify) => {
                return Err(Failure::HandshakeClosed(Closed::Closed));
            }
            Some(alert) => return Err(Failure::HandshakeRefused(alert)),
        }
        if self.client_certificate.is_asked_malformed() {
            let what = "a name of a CA in the server's CertificateRequest that it cannot read";
            return Err(Failure::TlsLimit(what));
        }
        self.opening.judge(self.offers_tls13)
    }

    /// Sends the rest of the handshake, for a check without a request. Doesn't wait for the server's
    /// reaction, for example to our certificate in TLS 1.3. HAProxy doesn't wait either.
    pub fn complete(mut self) -> Result<(), Failure> {
        self.flush().map_err(ended_handshake)
    }
}

fn ended_handshake(stop: TlsStop) -> Failure {
    match stop {
        TlsStop::Transport(Stop::Deadline) => Failure::HandshakeTimeout,
        TlsStop::Transport(Stop::Closed(closed)) => Failure::HandshakeClosed(closed),
        TlsStop::Tls(failure) => failure,
    }
}

impl Stream for TlsStream {
    /// Also sends what is still in the buffer, before these bytes.
    fn send(&mut self, bytes: &[u8]) -> Result<(), TlsStop> {
        // The buffer has no limit, so it accepts all bytes.
        let _ = self.tls.writer().write(bytes);
        self.flush()
    }

    /// Returns 0 only after `close_notify`.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TlsStop> {
        loop {
            match self.tls.reader().read(buffer) {
                Ok(length) => {
                    self.has_received |= length > 0;
                    return Ok(length);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.is_ended => {
                    return Ok(0);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => match self.fill() {
                    Err(TlsStop::Tls(Failure::HandshakeRefused(AlertDescription::CloseNotify))) => {
                        self.is_ended = true;
                    }
                    filled => filled?,
                },
                // The transport ended without close_notify, so the response may be truncated.
                Err(_) => return Err(Stop::Closed(Closed::Closed).into()),
            }
        }
    }

    fn look_at_end(&mut self, patience: Duration) -> Result<(), Failure> {
        self.socket.wait_readable_for(patience);
        // Don't listen forever to a server that keeps sending.
        for _ in 0..16 {
            match self.read_once() {
                Ok(Some(1..)) => {}
                Err(TlsStop::Transport(Stop::Closed(closed @ Closed::Reset(_))))
                | Err(TlsStop::Tls(Failure::ResponseClosed(closed))) => {
                    return Err(Failure::EndedBadly(closed));
                }
                // After the response, a limit of sni-check doesn't matter.
                Err(TlsStop::Tls(
                    Failure::TlsLimit(_) | Failure::HandshakeRefused(AlertDescription::CloseNotify),
                )) => break,
                Err(TlsStop::Tls(failure)) => return Err(failure),
                _ => break,
            }
        }
        Ok(())
    }

    fn time_left(&self) -> Duration {
        self.socket.time_left()
    }
}

impl TlsStream {
    /// Returns rustls's view of the connection: version, cipher, key exchange, chain.
    pub fn connection(&self) -> &ConnectionCommon<rustls::client::ClientConnectionData> {
        &self.tls
    }

    /// Returns the verifier, which has the refused chain and the certificate that expires first.
    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Returns true if the server asked for a client certificate.
    pub fn client_certificate_asked(&self) -> bool {
        self.client_certificate.asked()
    }

    fn flush(&mut self) -> Result<(), TlsStop> {
        match self.write_all() {
            // A server that refuses us may close before it has read everything. Its alert says why.
            Err(Stop::Closed(closed)) => {
                Err(self.last_words().unwrap_or(Stop::Closed(closed).into()))
            }
            other => Ok(other?),
        }
    }

    fn write_all(&mut self) -> Result<(), Stop> {
        let tls = &mut self.tls;
        if !tls.is_handshaking() {
            return self.socket.write_all(|to| {
                if tls.wants_write() {
                    tls.write_tls(to)?;
                }
                Ok(tls.wants_write())
            });
        }
        let mut records = Vec::new();
        while tls.wants_write() {
            // Writing to memory doesn't fail.
            let _ = tls.write_tls(&mut records);
        }
        if records.is_empty() {
            return Ok(());
        }
        let records = client_hello::remove_status_request(&records);
        self.opening.sends(&records);
        self.socket.write_bytes(&records)
    }

    /// Waits for bytes from the peer and processes them.
    fn fill(&mut self) -> Result<(), TlsStop> {
        loop {
            self.socket.wait_readable()?;
            match self.read_once()? {
                None => {}
                Some(0) if self.tls.is_handshaking() => {
                    return Err(Stop::Closed(Closed::Closed).into());
                }
                Some(_) => return Ok(()),
            }
        }
    }

    /// Reads the peer's last messages before the end of the connection. Returns the failure that they report,
    /// or `None`.
    fn last_words(&mut self) -> Option<TlsStop> {
        loop {
            match self.read_once() {
                Ok(Some(1..)) => {}
                Err(TlsStop::Tls(failure)) => return Some(TlsStop::Tls(failure)),
                _ => return None,
            }
        }
    }

    fn read_once(&mut self) -> Result<Option<usize>, TlsStop> {
        let tls = &mut self.tls;
        let opening = &mut self.opening;
        let length = self
            .socket
            .read_some(|from| tls.read_tls(&mut opening.listen(from)))?;
        if length.is_some()
            && let Err(error) = self.tls.process_new_packets()
        {
            let failure = self.classify(error);
            // Send our alert, so that the server's log can show the reason.
            self.flush_once();
            return Err(TlsStop::Tls(failure));
        }
        Ok(length)
    }

    /// Sends the buffer once, without waiting.
    fn flush_once(&mut self) {
        let tls = &mut self.tls;
        let _ = self.socket.write_once(|to| tls.write_tls(to));
    }

    /// Returns the cause of rustls's error.
    fn classify(&self, error: rustls::Error) -> Failure {
        use rustls::Error;
        match error {
            // rustls accepts close_notify only as a warning, although TLS 1.3 ignores the level of
            // alerts.
            Error::AlertReceived(alert @ AlertDescription::CloseNotify) => {
                Failure::HandshakeRefused(alert)
            }
            Error::AlertReceived(alert) if self.has_received => {
                Failure::ResponseClosed(Closed::Alert(alert))
            }
            Error::AlertReceived(alert) => Failure::from_alert(
                alert,
                Sent {
                    sni: self.sends_sni,
                    certificate_asked: self.client_certificate_asked(),
                    certificate: self.client_certificate.has_certs(),
                },
            ),
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                let failure = other.0.downcast_ref::<CertificateFailure>().cloned();
                Failure::Certificate(failure.unwrap_or_else(|| {
                    CertificateFailure::Invalid("it cannot be judged".to_owned())
                }))
            }
            Error::InvalidCertificate(_) => {
                Failure::Certificate(CertificateFailure::Invalid("it cannot be read".to_owned()))
            }
            Error::NoCertificatesPresented => Failure::Certificate(CertificateFailure::Invalid(
                "the server sent no certificate".to_owned(),
            )),
            Error::InvalidMessage(_) if !self.opening.looks_like_tls() => Failure::NotTls {
                text: self.opening.first_line(),
            },
            Error::Other(other) => {
                let failure = other.0.downcast_ref::<Failure>().cloned();
                failure.unwrap_or_else(|| Failure::Internal(other.0.to_string()))
            }
            Error::PeerIncompatible(_) if self.opening.has_odd_legacy_version() => {
                Failure::TlsLimit("a ServerHello of TLS 1.3 whose legacy_version is not 1.2")
            }
            Error::EncryptError
            | Error::General(_)
            | Error::FailedToGetCurrentTime
            | Error::FailedToGetRandomBytes
            | Error::HandshakeNotComplete => Failure::Internal(error.to_string()),
            other => violation::failure(&other),
        }
    }
}

impl Drop for TlsStream {
    /// Closes the connection normally, if that's possible without waiting.
    fn drop(&mut self) {
        if !self.tls.is_handshaking() {
            self.tls.send_close_notify();
            self.flush_once();
        }
    }
}
