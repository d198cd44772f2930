//! The options about output: what is printed, and where.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use crate::options::Options;
use crate::refusal::{exclusive, refusal};

/// The standard port of syslog (RFC 5426, section 3.3).
const PORT: u16 = 514;

/// What is printed, and where.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Nothing is printed.
    pub quiet: bool,
    /// The details are printed, too.
    pub verbose: bool,
    /// One JSON object is printed.
    pub json: bool,
    /// Where failures and warnings are logged.
    pub syslog: Option<Syslog>,
}

impl Output {
    /// Reads the options about output before all others, so that a refusal of another option
    /// already uses them.
    ///
    /// # Errors
    ///
    /// The options contradict each other, or the syslog address isn't valid.
    pub fn new(options: &Options) -> Result<Output> {
        exclusive(options.quiet, "--quiet", options.verbose, "--verbose")?;
        exclusive(options.quiet, "--quiet", options.json, "--json")?;
        exclusive(options.verbose, "--verbose", options.json, "--json")?;
        Ok(Output {
            quiet: options.quiet,
            verbose: options.verbose,
            json: options.json,
            syslog: options.syslog.as_deref().map(Syslog::parse).transpose()?,
        })
    }
}

/// Where failures and warnings are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syslog {
    /// RFC 5424 over UDP (RFC 5426).
    Udp(SocketAddr),
    /// The local format, as libc's `syslog` sends it. journald, rsyslog and busybox read it from
    /// `/dev/log`.
    Unix(PathBuf),
}

impl Syslog {
    /// Reads `IP`, `IP:PORT` or a path.
    ///
    /// # Errors
    ///
    /// The text is neither an address nor a path. A host name is refused too, because resolving it could
    /// take longer than the check may.
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
            Err(_) => Err(refusal(
                format!("--syslog {text}"),
                "is not an address",
                "write an IP address with or without :PORT, or the path of a unix socket",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Syslog;

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
}
