//! Writes output without panicking, and without delaying a check past its deadline.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, getpeername};
use rustix::stdio::{stderr, stdout};

use crate::deadline::Deadline;
use crate::descriptor::{ATOMIC_WRITE, write_until};
use crate::plan::Plan;

/// Returns where the line or the JSON object of a check goes. On the command line, JSON always goes
/// to standard output, because another program reads it.
pub(super) fn channel(plan: &Plan, healthy: bool) -> BorrowedFd<'static> {
    match plan.caller {
        None if healthy || plan.output.json => stdout(),
        _ => stderr(),
    }
}

/// Returns the prefix of a line about a failure. journald reads it as the priority "error", and
/// removes it (sd-daemon(3)). Empty if standard error isn't connected to the journal.
pub(super) fn priority() -> &'static str {
    let peer = getpeername(stderr()).ok().flatten();
    let peer = peer.and_then(|peer| SocketAddrUnix::try_from(peer).ok());
    let is_journal = peer.is_some_and(|peer| {
        let path = peer.path_bytes().unwrap_or_default();
        path.ends_with(b"/systemd/journal/stdout")
    });
    if is_journal { "<3>" } else { "" }
}

/// Writes `text` and a newline in one write, or drops the text. Cuts off the end of a text that doesn't fit
/// into one write. A reader that is gone or doesn't read must not change the exit code or delay the check
/// past its deadline.
pub fn write_line(to: impl AsFd, text: &str) {
    let mut end = text.len().min(ATOMIC_WRITE - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    write_whole(to, &text[..end], Duration::ZERO);
}

/// Writes all of `text` and a newline. Waits for a slow reader, but not longer than `patience`.
pub fn write_whole(to: impl AsFd, text: &str, patience: Duration) {
    let line = [text.as_bytes(), b"\n"].concat();
    write_until(to, &line, Deadline::new(Instant::now(), patience));
}

/// Writes a longer text for people (help, a table) in full. Waits for a slow reader such as a pager.
/// Never used under HAProxy.
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
