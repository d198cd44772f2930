//! `--syslog`: sends a line per failure or warning to a syslog, because a daemonised HAProxy discards a
//! check's stderr.

use std::time::Duration;

use der::DateTime;
use rustix::net::{SocketAddrAny, SocketAddrUnix};

use super::date::now;
use crate::descriptor::send_datagram;
use crate::plan::Syslog;

/// Facility daemon, severity error (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 3 * 8 + 3;

/// Sends one message. Never blocks and never reports errors: a missing syslog must not change the
/// result of the check.
pub(super) fn send(syslog: &Syslog, message: &str) {
    if let Some(to) = address(syslog) {
        send_datagram(&to, datagram(syslog, message, now()).as_bytes());
    }
}

/// Returns a message in the format of this syslog. `time` is the time of sending, since the Unix epoch.
pub(super) fn datagram(syslog: &Syslog, message: &str, time: Duration) -> String {
    let pid = std::process::id();
    match syslog {
        Syslog::Udp(_) => {
            let time = timestamp(time);
            format!("<{PRIORITY}>1 {time} - sni-check {pid} - - {message}")
        }
        Syslog::Unix(_) => format!("<{PRIORITY}>sni-check[{pid}]: {message}"),
    }
}

/// Returns the address of the syslog's socket, or `None` if the path is too long for a socket.
pub(super) fn address(syslog: &Syslog) -> Option<SocketAddrAny> {
    Some(match syslog {
        Syslog::Udp(address) => (*address).into(),
        Syslog::Unix(path) => SocketAddrUnix::new(path).ok()?.into(),
    })
}

/// Returns the time in UTC (RFC 5424, section 6.2.3), or NILVALUE if the clock can't be right.
fn timestamp(since_epoch: Duration) -> String {
    match DateTime::from_unix_duration(since_epoch) {
        Ok(time) => time.to_string(),
        Err(_) => "-".to_owned(),
    }
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
