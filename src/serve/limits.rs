//! What this process needs of its host: descriptors for its checks, and to tell systemd that it is ready.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::Result;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::refusal::refusal;

/// Descriptors of a check: HAProxy's connection, the server's, a file that is read; and two more
/// connections for those that wait.
const PER_CHECK: u64 = 5;
/// Listeners, standard input and output, and some to spare.
const BESIDES: u64 = 32;

/// Has as many descriptors as so many checks need.
///
/// # Errors
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

/// Tells systemd, where it asks (sd_notify(3), `Type=notify`).
pub(super) fn notify(state: &str) {
    let Ok(path) = env::var("NOTIFY_SOCKET") else {
        return;
    };
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &to));
    // systemd gives up waiting by itself, and says so.
    let _ = sent;
}
