//! What an HTTP exchange runs over.

use std::fmt::Debug;
use std::time::Duration;

use super::socket::Stop;
use crate::failure::Failure;

/// What an exchange runs over: TLS in a check, any bytes in a test.
pub trait Stream: Debug + Send + Sync + 'static {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// Why they cannot be sent.
    fn send(&mut self, bytes: &[u8]) -> Result<(), TlsStop>;

    /// Waits for bytes of the peer and puts them into `buffer`; 0 are the end in order.
    ///
    /// # Errors
    /// Why no more come.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TlsStop>;

    /// Looks at what comes within this time after a complete response. Bytes don't matter; HAProxy's
    /// check fails by an alert or a reset.
    ///
    /// # Errors
    /// How the connection ended, if not in order.
    fn look_at_end(&mut self, _patience: Duration) -> Result<(), Failure> {
        Ok(())
    }

    /// How long the exchange may still take.
    fn time_left(&self) -> Duration;
}

/// Why the stream gave no more bytes.
#[derive(Debug)]
pub enum TlsStop {
    /// The transport's end.
    Transport(Stop),
    /// TLS's end.
    Tls(Failure),
}

impl From<Stop> for TlsStop {
    fn from(stop: Stop) -> TlsStop {
        TlsStop::Transport(stop)
    }
}
