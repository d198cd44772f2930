//! The addresses to listen on.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::options::ServeOptions;
use crate::options::values::SocketPath;
use crate::refusal::refusal;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum ListenAddress {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl ListenAddress {
    /// Reads `ADDR:PORT`, or the path of a unix socket: `unix:/PATH`, `unix@/PATH` or `/PATH`.
    ///
    /// # Errors
    ///
    /// The text has none of these forms.
    pub(super) fn parse(text: &str) -> Result<ListenAddress> {
        if let Ok(SocketPath(path)) = text.parse() {
            return Ok(ListenAddress::Unix(path.into()));
        }
        let what = "is not an address to listen on";
        let write = "write unix:/PATH, or ADDR:PORT such as 127.0.0.1:8405";
        let address = text.parse().map(ListenAddress::Tcp);
        address.map_err(|_| refusal(format!("--listen {text}"), what, write))
    }

    /// Returns the folder of the socket, if the folder doesn't exist.
    pub(super) fn missing_folder(&self) -> Option<&Path> {
        match self {
            ListenAddress::Unix(path) => path.parent().filter(|folder| !folder.exists()),
            ListenAddress::Tcp(_) => None,
        }
    }

    /// Refuses an address that other hosts could reach, unless `--allow-remote` is given.
    ///
    /// # Errors
    ///
    /// Other hosts could reach the address.
    pub(super) fn refuse_remote(&self, options: &ServeOptions) -> Result<()> {
        match self {
            ListenAddress::Tcp(address)
                if !(address.ip().to_canonical().is_loopback() || options.allow_remote) =>
            {
                let what = "is not a loopback address";
                let write = "listen on a unix socket or 127.0.0.1, or add --allow-remote and \
                             --allow-target CIDR";
                Err(refusal(format!("--listen {self}"), what, write))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            ListenAddress::Tcp(address) => address.fmt(f),
        }
    }
}
