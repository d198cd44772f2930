//! The interface between the HTTP exchange and its transport.

use std::fmt::Debug;
use std::time::Duration;

use super::socket::Stop;
use crate::failure::Failure;

/// The transport of an HTTP exchange: TLS in a check, and prepared bytes in a test.
pub trait Stream: Debug + Send + Sync + 'static {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// Returns why the bytes can't be sent.
    fn send(&mut self, bytes: &[u8]) -> Result<(), TlsStop>;

    /// Waits for bytes from the peer and writes them to `buffer`. Returns 0 if the peer has closed the stream
    /// normally.
    ///
    /// # Errors
    /// Returns why no more bytes arrive.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TlsStop>;

    /// Watches the connection for this time after a complete response. More bytes don't matter, but
    /// an alert or a reset makes HAProxy's check fail.
    ///
    /// # Errors
    /// Returns how the connection ended, if the peer didn't close it normally.
    fn look_at_end(&mut self, _patience: Duration) -> Result<(), Failure> {
        Ok(())
    }

    /// Returns the time that is left for the exchange.
    fn time_left(&self) -> Duration;
}

/// Why sending or receiving stopped.
#[derive(Debug)]
pub enum TlsStop {
    /// The transport stopped.
    Transport(Stop),
    /// TLS or HTTP failed.
    Tls(Failure),
}

impl From<Stop> for TlsStop {
    fn from(stop: Stop) -> TlsStop {
        TlsStop::Transport(stop)
    }
}
