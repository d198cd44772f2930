//! `--syslog`: a line per failure to a syslog, because a daemonised HAProxy drops a check's stderr.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use x509_cert::der::DateTime;

/// Facility daemon, severity error (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 3 * 8 + 3;
/// The standard port (RFC 5426, section 3.3).
const PORT: u16 = 514;

/// Where failures are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syslog {
    /// RFC 5424 over UDP (RFC 5426).
    Udp(SocketAddr),
    /// The local form, as libc's `syslog` sends it: what journald, rsyslog and busybox read from
    /// `/dev/log`.
    Unix(PathBuf),
}

impl Syslog {
    /// Reads `IP`, `IP:PORT` or a path.
    ///
    /// # Errors
    /// A host name: resolving it could take longer than the check may.
    pub fn parse(text: &str) -> Result<Syslog> {
        if text.starts_with('/') {
            return Ok(Syslog::Unix(text.into()));
        }
        if let Ok(address) = text.parse() {
            return Ok(Syslog::Udp(address));
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(ip) => Ok(Syslog::Udp(SocketAddr::new(ip, PORT))),
            Err(_) => bail!(
                "--syslog {text}: write an IP address with or without :PORT, or the path of a unix socket"
            ),
        }
    }

    /// Sends one message. Never blocks and reports nothing: a syslog that is gone must not change
    /// what the check says.
    pub fn send(&self, message: &str) {
        let pid = std::process::id();
        let _ = match self {
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
    use super::{Syslog, timestamp};
    use std::time::Duration;

    #[test]
    fn addresses_are_ips_with_or_without_port_and_paths() {
        for (text, address) in [
            ("127.0.0.1", "127.0.0.1:514"),
            ("127.0.0.1:5514", "127.0.0.1:5514"),
            ("::1", "[::1]:514"),
            ("[::1]", "[::1]:514"),
            ("[::1]:5514", "[::1]:5514"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(Syslog::parse(text).expect(text), Syslog::Udp(address));
        }
        assert_eq!(
            Syslog::parse("/dev/log").expect("a path"),
            Syslog::Unix("/dev/log".into())
        );
        assert!(Syslog::parse("loghost").is_err());
    }

    #[test]
    fn the_time_is_utc_in_rfc_5424_form() {
        assert_eq!(
            timestamp(Duration::from_secs(1_000_000_000)),
            "2001-09-09T01:46:40Z"
        );
    }
}
