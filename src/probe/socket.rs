//! A connected socket on which nothing waits beyond the deadline.

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

/// Why nothing more came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The deadline passed.
    Deadline,
    /// The peer, or the network, ended the connection.
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

    /// The time that is left until the deadline.
    pub fn time_left(&self) -> Duration {
        self.deadline.remaining().unwrap_or_default()
    }

    /// Waits until there is something to read, or the end of the stream.
    pub fn wait_readable(&self) -> Result<(), Stop> {
        wait(&self.fd, PollFlags::IN, self.deadline)
    }

    /// Waits until there is something to read, but not longer than this.
    pub fn wait_a_little(&self, patience: Duration) {
        if let Ok(patience) = Timespec::try_from(patience.min(self.time_left()))
            && patience != Timespec::default()
        {
            let _ = poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&patience));
        }
    }

    /// Writes all that `write` has, which it is called for again and again until it has no more.
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

    /// Writes once, without waiting: for parting words that nobody depends on.
    pub fn write_once(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<usize>,
    ) -> io::Result<usize> {
        write(&mut Half(&self.fd))
    }

    /// Reads once, without waiting, by way of `read`. 0 bytes are the end of the stream.
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

/// What an error of a non-blocking call means; `None` is "not now".
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

/// One direction of the socket, as rustls wants it.
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
