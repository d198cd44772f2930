//! The resources of the host: enough descriptors for the checks, and the message to systemd that
//! serve is ready.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::Result;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::refusal::refusal;

/// The descriptors of a check: HAProxy's connection, the connection to the server, and a file that
/// is read. Two more are for connections that wait.
const PER_CHECK: u64 = 5;
/// The other descriptors: listeners, standard input and output, and a reserve.
const BESIDES: u64 = 32;

/// Raises the limit of descriptors to what `checks` checks need.
///
/// # Errors
///
/// The hard limit is lower.
pub(super) fn raise(checks: usize) -> Result<()> {
    let needed = PER_CHECK * checks as u64 + BESIDES;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    limit.current = Some(needed);
    if limit.maximum.is_some_and(|maximum| maximum < needed)
        || setrlimit(Resource::Nofile, limit).is_err()
    {
        let what = format!("needs {needed} descriptors, more than this process may have");
        let write = "write a lower number, or raise the limit (LimitNOFILE=, ulimit -n)";
        return Err(refusal(format!("--max-checks {checks}"), what, write));
    }
    Ok(())
}

/// Sends a state to systemd, if systemd asks for it (sd_notify(3), `Type=notify`).
pub(super) fn notify(state: &str) {
    let Ok(path) = env::var("NOTIFY_SOCKET") else {
        return;
    };
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &to));
    // If the message is lost, systemd's wait times out, and systemd reports that itself.
    let _ = sent;
}
