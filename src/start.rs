//! How the program starts. The only unsafe code of the crate is here.
//!
//! A daemonised HAProxy closes file descriptors 0 to 2 before it runs a check, and its chroot often
//! has no `/dev/null`. The first socket would become descriptor 2 and an error line would be sent to
//! the backend; the start of Rust's standard library prevents that by aborting.
#![allow(unsafe_code)]

use std::ffi::{CStr, OsString};
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::code::Code;

/// Makes a function the program's `main`, called by the C runtime directly.
///
/// The standard library's own start would look for the main thread's stack in /proc/self/maps, to
/// name an overflow before it dies of it, and make a stack for the handler that does: a fifth of
/// the system calls of a check.
#[macro_export]
macro_rules! main {
    ($main:path) => {
        // SAFETY: nothing else in the program has this name.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: core::ffi::c_int,
            words: *const *const core::ffi::c_char,
        ) -> core::ffi::c_int {
            $crate::start::prepare();
            // SAFETY: the C runtime calls this with the process's arguments.
            let words = unsafe { $crate::start::words(count, words) };
            core::ffi::c_int::from($main(words).number())
        }
    };
}

/// What must hold before anything else runs: descriptors 0 to 2 are open, an abort ends with the
/// code of a bug, and writing to what nobody reads is an error like any other.
pub fn prepare() {
    occupy_standard_descriptors();
    exit_on_abort();
    ignore_signals_of_writing();
}

/// The arguments of `main`, without the program's name.
///
/// # Safety
/// `words` must point to `count` strings that end in NUL, which live as long as the process.
pub unsafe fn words(count: libc::c_int, words: *const *const libc::c_char) -> Vec<OsString> {
    let count = usize::try_from(count).unwrap_or(0);
    let word = |at| {
        // SAFETY: as the caller promises.
        let word = unsafe { CStr::from_ptr(*words.add(at)) };
        OsString::from_vec(word.to_bytes().to_vec())
    };
    (1..count).map(word).collect()
}

/// Opens something harmless on each closed descriptor of 0, 1 and 2.
fn occupy_standard_descriptors() {
    for fd in 0..=2 {
        // SAFETY: nothing else runs yet that could close the descriptor during the call, and a
        // closed one is exactly what EBADF tells.
        let standard = unsafe { BorrowedFd::borrow_raw(fd) };
        if rustix::io::fcntl_getfd(standard) != Err(Errno::BADF) {
            continue;
        }
        // The kernel gives the lowest free descriptor, which is this one.
        let filler = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())
            .or_else(|_| rustix::fs::memfd_create("closed", MemfdFlags::empty()));
        if let Ok(filler) = filler {
            let _ = filler.into_raw_fd();
        }
    }
}

/// Turns every abort (memory exhausted, a panic within a panic, the standard library's own) into
/// the documented exit code for a bug. Death by a signal would reach HAProxy as 4294967295.
fn exit_on_abort() {
    extern "C" fn exit(_signal: libc::c_int) {
        // SAFETY: _exit is async-signal-safe.
        unsafe { libc::_exit(i32::from(Code::Internal.number())) }
    }
    let handler = exit as extern "C" fn(libc::c_int);
    // SAFETY: the handler does nothing but _exit, and no other thread exists yet.
    unsafe { libc::signal(libc::SIGABRT, handler as libc::sighandler_t) };
}

/// Makes glibc's resolver ask `/etc/hosts` and DNS alone, whatever `/etc/nsswitch.conf` says.
///
/// For any other service glibc loads `libnss_*.so.2`, with the host's libc beside the one in this
/// binary. If that is of another version, as in most containers, the process dies by a signal.
pub fn resolve_from_files_and_dns() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn __nss_configure_lookup(
                database: *const libc::c_char,
                services: *const libc::c_char,
            ) -> libc::c_int;
        }
        // SAFETY: declared as in <nss.h>; glibc copies both strings and takes its own lock. If it
        // has no memory for that, the configured services are asked as before.
        let _ = unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}

/// Makes it an error like any other, not the end, to write to a connection or a pipe that nobody
/// reads, or to a file that has reached `ulimit -f`.
fn ignore_signals_of_writing() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: no handler of ours, and no other thread exists yet.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}
