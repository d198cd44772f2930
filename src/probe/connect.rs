//! Connects to a target: resolves its name, connects over TCP or a unix socket, and sends the PROXY
//! header.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, bind, connect, getpeername, getsockname, sockopt,
};

use super::socket::{Socket, Stop, wait};
use crate::deadline::{Calls, Deadline, NotDone};
use crate::descriptor::{family_of, stream_socket};
use crate::failure::Failure;
use crate::plan::{Host, ProxyHeader, Target};
use crate::start::resolve_from_files_and_dns;

/// The delay before a retry if the backlog of a unix socket is full. The kernel doesn't notify us when the
/// backlog has room.
const UNIX_RETRY: Duration = Duration::from_millis(5);
/// The size of the stack of a thread for a blocking call. getaddrinfo needs less. The default of 2 MiB would
/// be a large part of the memory that a check uses.
const STACK: usize = 256 << 10;

/// Returns all addresses of a target, or the path of its unix socket.
pub fn addresses(target: &Target, deadline: Deadline) -> Result<Vec<Address>, Failure> {
    match target {
        Target::Unix(path) => Ok(vec![Address::Unix(path.display().to_string())]),
        Target::Tcp {
            host: Host::Ip(ip),
            port,
        } => Ok(vec![Address::Tcp(SocketAddr::new(*ip, *port))]),
        Target::Tcp {
            host: Host::Name(name),
            port,
        } => resolve(name, *port, deadline),
    }
}

/// An address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(String),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => f.write_str(path),
        }
    }
}

/// Limits the threads that resolve names in serve. If no name server answers, a thread lives for up
/// to a minute after its check.
static RESOLVERS: Calls = Calls::new(512);
/// Limits the threads that connect to unix sockets. The kernel looks up the socket's path, and the
/// file system may not answer.
static UNIX_CONNECTS: Calls = Calls::new(64);

/// Asks the system's resolver on another thread. getaddrinfo doesn't accept a deadline, so we abandon the
/// thread if the resolver doesn't answer before our deadline.
fn resolve(name: &str, port: u16, deadline: Deadline) -> Result<Vec<Address>, Failure> {
    let question = (name.to_owned(), port);
    let found = RESOLVERS.run(deadline, STACK, move || {
        resolve_from_files_and_dns();
        let found = question.to_socket_addrs();
        found.map(|found| found.collect::<Vec<_>>())
    });
    match found {
        Ok(Ok(found)) if found.is_empty() => Err(unresolved(name, Some("it has no address"))),
        Ok(Ok(found)) => Ok(found.into_iter().map(Address::Tcp).collect()),
        Ok(Err(error)) => Err(unresolved(name, Some(&error.to_string()))),
        Err(NotDone::Late) => Err(unresolved(name, None)),
        Err(not_done) => Err(not_done.into_failure("for the resolver")),
    }
}

impl NotDone {
    /// Returns the failure of a check that couldn't finish a blocking call. `purpose` says what the thread of
    /// this call is for.
    fn into_failure(self, purpose: &str) -> Failure {
        match self {
            NotDone::Late => Failure::ConnectTimeout,
            NotDone::TooMany(most) => Failure::AtLimit(format!(
                "{most} other checks already wait {purpose} (limit of sni-check serve)"
            )),
            NotDone::NoThread(error) => Failure::Internal(format!("no thread {purpose}: {error}")),
        }
    }
}

/// Returns why a name has no address. `said` is the resolver's error, or `None` if the resolver didn't answer
/// before the deadline.
fn unresolved(name: &str, said: Option<&str>) -> Failure {
    let configured = Path::new("/etc/resolv.conf").exists();
    unresolved_where(configured, name.to_owned(), said)
}

/// Returns why a name has no address. If /etc/resolv.conf is missing, as in an incomplete chroot,
/// glibc gives up immediately, and musl waits for a name server on the loopback address. More time
/// wouldn't help, so this isn't reported as a time-out.
fn unresolved_where(configured: bool, name: String, said: Option<&str>) -> Failure {
    let said = said.map(|said| said.trim_start_matches("failed to lookup address information: "));
    match (configured, said) {
        (true, None) => Failure::ResolveTimeout { name },
        (true, Some(said)) => Failure::NameNotFound {
            name,
            cause: said.to_owned(),
        },
        (false, said) => Failure::NameNotFound {
            name,
            cause: format!(
                "{}; there is no /etc/resolv.conf here",
                said.unwrap_or("no name server answered")
            ),
        },
    }
}

/// Connects to the first address that answers. Each IP address gets an equal share of the remaining time, so
/// an address that drops packets doesn't use up the time of the next address. If no address answers, returns
/// the failure of the last address.
pub fn dial(
    addresses: &[Address],
    source: Option<SocketAddr>,
    deadline: Deadline,
) -> Result<(Socket, Address), (Failure, Address)> {
    let mut usable = addresses
        .iter()
        .filter(|address| match (source, address) {
            (Some(source), Address::Tcp(to)) => source.is_ipv4() == to.is_ipv4(),
            _ => true,
        })
        .peekable();
    let mut left = usable.clone().count();
    while let Some(address) = usable.next() {
        let dialled = match address {
            Address::Tcp(to) => dial_tcp(*to, source, deadline.first_of(left)),
            Address::Unix(path) => dial_unix(Path::new(path), deadline),
        };
        match dialled {
            Ok(fd) => return Ok((Socket::new(fd, deadline), address.clone())),
            Err(failure) if usable.peek().is_none() => return Err((failure, address.clone())),
            Err(_) => left -= 1,
        }
    }
    // No address has the same IP version as `--source`. This can happen only for a name.
    let any = Address::Tcp(source.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))));
    Err((Failure::Connect(Errno::AFNOSUPPORT), any))
}

fn stream(family: AddressFamily) -> Result<OwnedFd, Failure> {
    // If we run out of descriptors or memory, that isn't the backend's fault.
    stream_socket(family).map_err(|errno| match errno {
        Errno::AFNOSUPPORT => Failure::Connect(errno),
        errno => Failure::Internal(format!("no socket: {errno}")),
    })
}

fn dial_tcp(
    to: SocketAddr,
    source: Option<SocketAddr>,
    deadline: Deadline,
) -> Result<OwnedFd, Failure> {
    let fd = stream(family_of(&to))?;
    if let Some(source) = source {
        // A fixed port must be reusable while its last connection is in TIME_WAIT.
        let reused = sockopt::set_socket_reuseaddr(&fd, source.port() != 0);
        reused
            .and_then(|()| bind(&fd, &source))
            .map_err(|errno| Failure::Source(source, errno))?;
    }
    match connect(&fd, &to) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => established(&fd, deadline)?,
        Err(errno) => return Err(Failure::Connect(errno)),
    }
    // The target may be a port of this host on which no process listens. The kernel may then choose
    // the same port as our own, and TCP connects the socket to itself (RFC 9293, section 3.5).
    if local_address(&fd) == Some(to) {
        return Err(Failure::Connect(Errno::CONNREFUSED));
    }
    Ok(fd)
}

/// Waits until a connection is established.
fn established(fd: &OwnedFd, deadline: Deadline) -> Result<(), Failure> {
    match wait(fd, PollFlags::OUT, deadline) {
        Ok(()) => {}
        Err(Stop::Deadline) => return Err(Failure::ConnectTimeout),
        Err(Stop::Closed(_)) => return Err(Failure::Internal("poll failed".to_owned())),
    }
    match sockopt::socket_error(fd) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(errno)) | Err(errno) => Err(Failure::Connect(errno)),
    }
}

fn local_address(socket: impl AsFd) -> Option<SocketAddr> {
    SocketAddr::try_from(getsockname(socket).ok()?).ok()
}

fn dial_unix(path: &Path, deadline: Deadline) -> Result<OwnedFd, Failure> {
    let to = SocketAddrUnix::new(path).map_err(Failure::Connect)?;
    let fd = stream(AddressFamily::UNIX)?;
    let fd = Arc::new(fd);
    loop {
        let (socket, path) = (fd.clone(), to.clone());
        let connected = UNIX_CONNECTS.run(deadline, STACK, move || connect(&socket, &path));
        match connected.map_err(|not_done| not_done.into_failure("for a unix socket"))? {
            // The thread has dropped its reference, so this is the only reference.
            Ok(()) => return Arc::into_inner(fd).ok_or(Failure::ConnectTimeout),
            Err(Errno::AGAIN) => {
                let left = deadline.remaining().ok_or(Failure::ConnectTimeout)?;
                thread::sleep(UNIX_RETRY.min(left));
            }
            Err(errno) => return Err(Failure::Connect(errno)),
        }
    }
}

/// Sends the PROXY header, which must be the first bytes of the connection.
pub fn send_proxy_header(socket: &Socket, version: ProxyHeader) -> Result<(), Stop> {
    let header = match version {
        ProxyHeader::V1 => proxy_v1(socket).into_bytes(),
        // This header has the signature, version 2, command LOCAL, family UNSPEC and no addresses.
        ProxyHeader::V2Local => b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(),
    };
    socket.write_bytes(&header)
}

/// Returns `PROXY TCP4 SOURCE DESTINATION SPORT DPORT`, or `PROXY UNKNOWN` if the socket has no IP
/// addresses.
fn proxy_v1(socket: &Socket) -> String {
    let local = local_address(socket);
    let peer = getpeername(socket)
        .ok()
        .flatten()
        .and_then(|address| SocketAddr::try_from(address).ok());
    match (local, peer) {
        (Some(from), Some(to)) => {
            let family = match to.ip() {
                IpAddr::V4(_) => "TCP4",
                IpAddr::V6(_) => "TCP6",
            };
            format!(
                "PROXY {family} {} {} {} {}\r\n",
                from.ip(),
                to.ip(),
                from.port(),
                to.port()
            )
        }
        _ => "PROXY UNKNOWN\r\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Calls, Deadline, Duration, STACK, unresolved_where};

    #[test]
    fn without_resolv_conf_an_unresolved_name_is_not_a_time_out() {
        let said = |configured, said| {
            let failure = unresolved_where(configured, "a.test".to_owned(), said);
            (failure.code().number(), failure.to_string())
        };
        let not_here = "there is no /etc/resolv.conf here";
        for (configured, answer, code, line) in [
            (true, None, 32, "resolving a.test timed out".to_owned()),
            (
                true,
                Some("no"),
                31,
                "a.test did not resolve: no".to_owned(),
            ),
            (
                false,
                Some("no"),
                31,
                format!("a.test did not resolve: no; {not_here}"),
            ),
            (
                false,
                None,
                31,
                format!("a.test did not resolve: no name server answered; {not_here}"),
            ),
        ] {
            assert_eq!(said(configured, answer), (code, line));
        }
    }

    #[test]
    fn a_call_that_was_not_started_is_not_a_time_out() {
        static NONE: Calls = Calls::new(0);
        let deadline = Deadline::new(Instant::now(), Duration::from_secs(1));
        let not_done = NONE.run(deadline, STACK, || ()).expect_err("too many");
        let failure = not_done.into_failure("for the resolver");
        assert_eq!(failure.code().number(), 3);
        let line = "0 other checks already wait for the resolver (limit of sni-check serve)";
        assert_eq!(failure.to_string(), line);
    }
}
