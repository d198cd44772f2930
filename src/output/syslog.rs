//! `--syslog`: a line per failure to a syslog, because a daemonised HAProxy drops a check's stderr.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::der::DateTime;

use crate::plan::Syslog;

/// Facility daemon, severity error (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 3 * 8 + 3;

/// Sends one message. Never blocks and reports nothing: a syslog that is gone must not change
/// what the check says.
pub(super) fn send(syslog: &Syslog, message: &str) {
    let pid = std::process::id();
    let _ = match syslog {
        Syslog::Udp(address) => {
            let since_epoch = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let time = timestamp(since_epoch);
            let datagram = format!("<{PRIORITY}>1 {time} - sni-check {pid} - - {message}");
            send_udp(*address, datagram.as_bytes())
        }
        Syslog::Unix(path) => {
            let datagram = format!("<{PRIORITY}>sni-check[{pid}]: {message}");
            send_unix(path, datagram.as_bytes())
        }
    };
}
/// RFC 5424, section 6.2.3, in UTC; NILVALUE if the clock is beyond reason.
fn timestamp(since_epoch: Duration) -> String {
    match DateTime::from_unix_duration(since_epoch) {
        Ok(time) => time.to_string(),
        Err(_) => "-".to_owned(),
    }
}

fn send_udp(address: SocketAddr, datagram: &[u8]) -> std::io::Result<usize> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.send_to(datagram, address)
}

fn send_unix(path: &PathBuf, datagram: &[u8]) -> std::io::Result<usize> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(datagram, path)
}

#[cfg(test)]
mod tests {
    use super::timestamp;
    use std::time::Duration;

    #[test]
    fn the_time_is_utc_in_rfc_5424_form() {
        assert_eq!(
            timestamp(Duration::from_secs(1_000_000_000)),
            "2001-09-09T01:46:40Z"
        );
    }
}
