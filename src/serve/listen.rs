//! The listening sockets: sockets that serve opens itself, or sockets from systemd.

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::Result;
use rustix::fs::{Mode, chmod, chown};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketType, bind, connect, getsockname, listen, sockopt,
};
use rustix::process::{Gid, umask};

use super::address::ListenAddress;
use super::options::{ServeOptions, SocketMode};
use crate::descriptor::{family_of, stream_socket};
use crate::haproxy::account;
use crate::refusal::refusal;
use crate::start;

/// The length of the queue of new connections. HAProxy may start the checks of all its servers at the same
/// moment.
const BACKLOG: i32 = 4096;
const DEFAULT_MODE: SocketMode = SocketMode(0o660);

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    fd: OwnedFd,
    address: ListenAddress,
    /// The device and inode of the socket's file, if serve created it.
    file: Option<(u64, u64)>,
}

/// Opens all listening sockets.
///
/// # Errors
///
/// No address is given, or serve can't or mustn't listen on an address.
pub(super) fn open(options: &ServeOptions) -> Result<Vec<Listener>> {
    let wanted = options.listen.iter().map(|text| ListenAddress::parse(text));
    let wanted = wanted.collect::<Result<Vec<_>>>()?;
    let inherited = inherited()?;
    let passed = inherited.iter().map(|listener| &listener.address);
    for address in wanted.iter().chain(passed) {
        address.refuse_remote(options)?;
    }
    if options.allow_remote && options.allow_target.is_empty() {
        let what = "would check any server for any client";
        return Err(refusal("--allow-remote", what, "add --allow-target CIDR"));
    }
    if wanted.is_empty() && inherited.is_empty() {
        let write = "add one, such as --listen unix:/run/sni-check/socket";
        return Err(refusal("--listen", "is missing", write));
    }
    let is_unix = |address: &ListenAddress| matches!(address, ListenAddress::Unix(_));
    let of_socket = match (&options.mode, &options.group) {
        _ if inherited.is_empty() && wanted.iter().any(is_unix) => None,
        (Some(_), _) => Some("--mode"),
        (None, group) => group.as_ref().map(|_| "--group"),
    };
    if let Some(option) = of_socket {
        let what = "applies only to a unix socket that serve creates itself";
        let write =
            "leave it out, or set SocketMode= and SocketGroup= in the socket unit of systemd";
        return Err(refusal(option, what, write));
    }
    if inherited.is_empty() {
        let wanted = wanted.into_iter();
        return wanted
            .map(|address| Listener::new(address, options))
            .collect();
    }
    let is_passed =
        |address: &&ListenAddress| inherited.iter().any(|passed| passed.address == **address);
    match wanted.iter().find(|address| !is_passed(address)) {
        None => Ok(inherited),
        Some(address) => {
            let what = "is not among the sockets that systemd passes";
            let write =
                "write the address in ListenStream= of the socket unit, or leave --listen out";
            Err(refusal(format!("--listen {address}"), what, write))
        }
    }
}

/// Returns the sockets of systemd's socket activation (sd_listen_fds(3)).
fn inherited() -> Result<Vec<Listener>> {
    let number = |name: &str| env::var(name).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let passed = start::inherited_descriptors(number("LISTEN_FDS").unwrap_or_default());
    passed.into_iter().map(Listener::of).collect()
}

impl Listener {
    fn new(address: ListenAddress, options: &ServeOptions) -> Result<Listener> {
        let failed = |error: &dyn std::fmt::Display| {
            let what = format!("cannot be opened: {error}");
            let write = match address.missing_folder() {
                Some(folder) => format!("create the folder {}", folder.display()),
                None => "write an address that is free and allowed".to_owned(),
            };
            refusal(format!("--listen {address}"), what, write)
        };
        let (fd, file) = match &address {
            ListenAddress::Tcp(socket) => {
                let fd = stream_socket(family_of(socket)).map_err(|errno| failed(&errno))?;
                let bound =
                    sockopt::set_socket_reuseaddr(&fd, true).and_then(|()| bind(&fd, socket));
                bound.map_err(|errno| failed(&errno))?;
                (fd, None)
            }
            ListenAddress::Unix(path) => {
                remove_stale(path)?;
                let group = options.group.as_deref().map(group).transpose()?;
                let fd = bind_unix(path).map_err(|error| failed(&error))?;
                let opened = open_to(path, options, group);
                // Don't leave behind a socket file on which no process listens.
                opened.inspect_err(|_| _ = fs::remove_file(path))?;
                (fd, file_of(path))
            }
        };
        listen(&fd, BACKLOG).map_err(|errno| failed(&errno))?;
        Ok(Listener { fd, address, file })
    }

    /// Wraps a socket from systemd.
    fn of(fd: OwnedFd) -> Result<Listener> {
        let refuse = || {
            let what = "passes a descriptor that is not a listening stream socket";
            refusal("systemd", what, "write ListenStream= in the socket unit")
        };
        let is_stream = sockopt::socket_type(&fd) == Ok(SocketType::STREAM);
        if !is_stream || sockopt::socket_acceptconn(&fd) != Ok(true) {
            return Err(refuse());
        }
        let name = getsockname(&fd).map_err(|_| refuse())?;
        let address = match SocketAddr::try_from(name.clone()) {
            Ok(address) => ListenAddress::Tcp(address),
            Err(_) => {
                let unix = SocketAddrUnix::try_from(name).map_err(|_| refuse())?;
                let path = unix.path().map(|path| path.to_string_lossy().into_owned());
                ListenAddress::Unix(path.unwrap_or_default().into())
            }
        };
        rustix::io::ioctl_fionbio(&fd, true).map_err(|_| refuse())?;
        Ok(Listener {
            fd,
            address,
            file: None,
        })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

impl Drop for Listener {
    /// Removes the socket's file, if serve created it and no other process has replaced it.
    fn drop(&mut self) {
        if let ListenAddress::Unix(path) = &self.address
            && self.file.is_some()
            && self.file == file_of(path)
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// Binds a unix socket. Only this user can connect until `open_to` sets group and mode.
fn bind_unix(path: &Path) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let fd = stream_socket(AddressFamily::UNIX)?;
    let before = umask(Mode::RWXG | Mode::RWXO);
    let bound = bind(&fd, &address);
    umask(before);
    bound?;
    Ok(fd)
}

/// Sets group and mode of a socket.
fn open_to(path: &Path, options: &ServeOptions, group: Option<Gid>) -> Result<()> {
    let name = options.group.as_deref().unwrap_or_default();
    if let Some(group) = group
        && let Err(errno) = chown(path, None, Some(group))
    {
        let what = format!("cannot be given to the socket: {errno}");
        let write = "start serve as root or as a member of that group, or leave --group out";
        return Err(refusal(format!("--group {name}"), what, write));
    }
    let mode = options.mode.unwrap_or(DEFAULT_MODE);
    chmod(path, Mode::from_raw_mode(mode.0)).map_err(|errno| {
        let (subject, what) = (
            format!("--mode {:04o}", mode.0),
            format!("cannot be set: {errno}"),
        );
        refusal(subject, what, "choose another path")
    })
}

/// Removes the socket file of a process that no longer runs.
fn remove_stale(path: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let subject = format!("--listen unix:{}", path.display());
    if !found.file_type().is_socket() {
        let what = "exists and is not a socket";
        return Err(refusal(subject, what, "choose another path"));
    }
    let connected = SocketAddrUnix::new(path)
        .and_then(|address| connect(stream_socket(AddressFamily::UNIX)?, &address));
    if connected != Err(Errno::CONNREFUSED) {
        let what = "is in use: a program listens there";
        let write = "stop that program, or choose another path";
        return Err(refusal(subject, what, write));
    }
    fs::remove_file(path).map_err(|error| {
        let what = format!("cannot be replaced: {error}");
        refusal(subject, what, "remove that file")
    })
}

fn file_of(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn group(text: &str) -> Result<Gid> {
    let number = text.parse().ok().or_else(|| account("/etc/group", text));
    let number = number.filter(|number| *number != u32::MAX);
    number.map(Gid::from_raw).ok_or_else(|| {
        let write = "write a group of this host, or its number";
        refusal(format!("--group {text}"), "is not in /etc/group", write)
    })
}
