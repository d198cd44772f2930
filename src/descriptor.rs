//! Writes to descriptors without waiting beyond a deadline, and makes sockets.
//!
//! Except [`exchange`], nothing here allocates, takes a lock or panics, so a signal handler may call these
//! functions.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrAny, SocketFlags, SocketType, socket_with};

use crate::deadline::Deadline;

/// How many bytes one write can put into a writable pipe without blocking, and without mixing them with the
/// writes of other processes (PIPE_BUF).
pub const ATOMIC_WRITE: usize = 4096;

/// Writes as much of `bytes` as `to` accepts before the deadline. After the deadline, writes only
/// as much as `to` accepts without waiting.
pub fn write_until(to: impl AsFd, bytes: &[u8], deadline: Deadline) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let left = Timespec::try_from(deadline.remaining().unwrap_or_default());
        let left = left.unwrap_or_default();
        match poll(&mut [PollFd::new(&to, PollFlags::OUT)], Some(&left)) {
            Ok(0) => return,
            Err(Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        match rustix::io::write(&to, &rest[..rest.len().min(ATOMIC_WRITE)]) {
            Ok(0) => return,
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Makes a stream socket for an address of this family.
pub fn stream_socket(family: AddressFamily) -> Result<OwnedFd, Errno> {
    socket(family, SocketType::STREAM)
}

/// Returns the family of an IP address.
pub fn family_of(address: &SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

/// Makes a socket that never blocks, and that other programs don't inherit.
fn socket(family: AddressFamily, kind: SocketType) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, kind, flags, None)
}

/// Sends a request on a connection, and returns the answer as text. No step may take longer than `patience`.
/// Ignores everything after the first `most` bytes.
pub(crate) fn exchange(
    connection: OwnedFd,
    request: &str,
    patience: Duration,
    most: u64,
) -> io::Result<String> {
    // The calls of `UnixStream` work for every stream socket.
    let mut stream = UnixStream::from(connection);
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(most).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Sends one datagram from a new socket. Drops the datagram if it can't be sent immediately.
pub fn send_datagram(to: &SocketAddrAny, bytes: &[u8]) {
    let family = to.address_family();
    if let Ok(socket) = socket(family, SocketType::DGRAM) {
        let _ = rustix::net::sendto(&socket, bytes, SendFlags::NOSIGNAL, to);
    }
}
