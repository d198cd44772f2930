//! A connected socket whose operations never wait beyond the deadline.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::deadline::Deadline;
use crate::failure::Closed;

/// A connected, non-blocking stream socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    deadline: Deadline,
}

/// Why reading or writing stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The deadline passed.
    Deadline,
    /// The peer or the network ended the connection.
    Closed(Closed),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Closed(Closed::Reset(errno))
    }
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd, deadline: Deadline) -> Socket {
        Socket { fd, deadline }
    }

    /// Returns the time until the deadline.
    pub fn time_left(&self) -> Duration {
        self.deadline.remaining().unwrap_or_default()
    }

    /// Waits for bytes to read, or for the end of the stream.
    pub fn wait_readable(&self) -> Result<(), Stop> {
        wait(&self.fd, PollFlags::IN, self.deadline)
    }

    /// Waits for bytes to read, but not longer than `patience`.
    pub fn wait_readable_for(&self, patience: Duration) {
        if let Ok(patience) = Timespec::try_from(patience.min(self.time_left()))
            && patience != Timespec::default()
        {
            let _ = poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&patience));
        }
    }

    /// Calls `write` until it returns false, and waits whenever the socket isn't writable.
    pub fn write_all(
        &self,
        mut write: impl FnMut(&mut dyn Write) -> io::Result<bool>,
    ) -> Result<(), Stop> {
        loop {
            match write(&mut Half(&self.fd)) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => match stop_or_wait(&error) {
                    Some(stop) => return Err(stop),
                    None => wait(&self.fd, PollFlags::OUT, self.deadline)?,
                },
            }
        }
    }

    /// Writes all of `bytes`.
    pub fn write_bytes(&self, bytes: &[u8]) -> Result<(), Stop> {
        let mut rest = bytes;
        self.write_all(|to| {
            let written = to.write(rest)?;
            rest = &rest[written..];
            Ok(!rest.is_empty())
        })
    }

    /// Writes once, without waiting. Use it only for a last message that may be lost, such as close_notify.
    pub fn write_once(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<usize>,
    ) -> io::Result<usize> {
        write(&mut Half(&self.fd))
    }

    /// Calls `read` once, without waiting. Returns 0 at the end of the stream, and `None` if no
    /// bytes are available.
    pub fn read_some(
        &self,
        read: impl FnOnce(&mut dyn Read) -> io::Result<usize>,
    ) -> Result<Option<usize>, Stop> {
        match read(&mut Half(&self.fd)) {
            Ok(length) => Ok(Some(length)),
            Err(error) => stop_or_wait(&error).map_or(Ok(None), Err),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Returns the meaning of a non-blocking call's error, or `None` if the call should be repeated
/// later.
fn stop_or_wait(error: &io::Error) -> Option<Stop> {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN | Errno::INTR) => None,
        Some(Errno::PIPE) => Some(Stop::Closed(Closed::Closed)),
        Some(errno) => Some(errno.into()),
        None => Some(Stop::Closed(Closed::Closed)),
    }
}

/// Waits until a descriptor is ready.
pub(super) fn wait(fd: impl AsFd, events: PollFlags, deadline: Deadline) -> Result<(), Stop> {
    loop {
        let left = deadline.remaining().ok_or(Stop::Deadline)?;
        let left = Timespec::try_from(left).map_err(|_| Stop::Deadline)?;
        match poll(&mut [PollFd::new(&fd, events)], Some(&left)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The socket as `Read` and `Write`, which rustls needs.
struct Half<'a>(&'a OwnedFd);

impl Read for Half<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0, buffer, RecvFlags::empty())?.0)
    }
}

impl Write for Half<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(self.0, bytes)?)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::writev(self.0, parts)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
