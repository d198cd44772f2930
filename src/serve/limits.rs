//! Raises the limit on descriptors, and notifies systemd when serve is ready.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::Result;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::refusal::refusal;

/// The descriptors of a check: HAProxy's connection, the connection to the server, and a file that
/// is read. Two more are for connections that wait.
const PER_CHECK: u64 = 5;
/// The descriptors that don't belong to a check: listeners, standard input and output, and a reserve.
const OTHERS: u64 = 32;

/// Raises the limit on descriptors, so that `checks` checks can run at once.
///
/// # Errors
///
/// The hard limit is too low.
pub(super) fn raise(checks: usize) -> Result<()> {
    let needed = PER_CHECK * checks as u64 + OTHERS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    limit.current = Some(needed);
    if limit.maximum.is_some_and(|maximum| maximum < needed)
        || setrlimit(Resource::Nofile, limit).is_err()
    {
        let what = format!("needs {needed} descriptors, more than this process is allowed to have");
        let write = "write a lower number, or raise the limit (LimitNOFILE=, ulimit -n)";
        return Err(refusal(format!("--max-checks {checks}"), what, write));
    }
    Ok(())
}

/// Sends a state to systemd, if systemd expects it (sd_notify(3), `Type=notify`).
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
