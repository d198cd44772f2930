//! Output that can neither panic nor block a check.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, getpeername};
use rustix::stdio::{stderr, stdout};

use crate::deadline::Deadline;
use crate::descriptor::{ATOMIC_WRITE, write_until};
use crate::plan::Plan;

/// Where the line or the JSON object of a check goes. By hand, JSON is for the next program in the
/// pipe, whatever it says.
pub(super) fn channel(plan: &Plan, healthy: bool) -> BorrowedFd<'static> {
    match plan.caller {
        None if healthy || plan.output.json => stdout(),
        _ => stderr(),
    }
}

/// What a line about a failure begins with: journald takes it for the priority "error", and removes it
/// (sd-daemon(3)). Empty if standard error isn't a stream of the journal's.
pub(super) fn priority() -> &'static str {
    let peer = getpeername(stderr()).ok().flatten();
    let peer = peer.and_then(|peer| SocketAddrUnix::try_from(peer).ok());
    let is_journal = peer.is_some_and(|peer| {
        let path = peer.path_bytes().unwrap_or_default();
        path.ends_with(b"/systemd/journal/stdout")
    });
    if is_journal { "<3>" } else { "" }
}

/// Writes `text` and a newline in one write, or drops it: a reader that is gone or does not read
/// must neither change the exit code nor hold the check beyond its deadline.
pub fn write_line(to: impl AsFd, text: &str) {
    let mut end = text.len().min(ATOMIC_WRITE - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    write_whole(to, &text[..end], Duration::ZERO);
}

/// Writes all of `text` and a newline, waiting for a slow reader, but no longer than `patience`.
pub fn write_whole(to: impl AsFd, text: &str, patience: Duration) {
    let line = [text.as_bytes(), b"\n"].concat();
    write_until(to, &line, Deadline::new(Instant::now(), patience));
}

/// Writes all of a longer text for a person (help, a table), waiting for a slow reader such as a
/// pager. Never used under HAProxy.
pub fn write_text(to: impl AsFd, text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(&to, rest) {
            Ok(0) => break,
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
}
