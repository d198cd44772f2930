//! Output that can neither panic nor block a check.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What one write to a pipe that polls as writable can always take without blocking (PIPE_BUF).
const ATOMIC_WRITE: usize = 4096;

/// Writes `text` and a newline in one write, or drops it: a reader that is gone or does not read
/// must neither change the exit code nor hold the check beyond its deadline.
pub fn write_line(to: impl AsFd, text: &str) {
    let mut end = text.len().min(ATOMIC_WRITE - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line = [&text.as_bytes()[..end], b"\n"].concat();
    let mut writable = [PollFd::new(&to, PollFlags::OUT)];
    let at_once = Timespec::try_from(Duration::ZERO).ok();
    if poll(&mut writable, at_once.as_ref()) == Ok(1) {
        let _ = rustix::io::write(&to, &line);
    }
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
