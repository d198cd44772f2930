//! The start of the program, and everything else that needs unsafe code. No other file has unsafe code.
//!
//! A daemonised HAProxy closes file descriptors 0 to 2 before it runs a check, and its chroot often has no
//! `/dev/null`. The first socket would then become descriptor 2, and an error line would go to the backend.
//! At its start, Rust's standard library opens `/dev/null` for these descriptors, and aborts if the file
//! doesn't exist. [`prepare`] opens the descriptors instead, and uses an empty memory file if there is no
//! `/dev/null`.
//!
//! A check normally ends by itself at its deadline. Some checks never look at the clock: a library loops, a
//! file system doesn't answer, or the process was stopped. A kernel timer ends such a check a little later;
//! see [`Expiry`]. The main thread receives the timer's signal. It only waits while another thread works
//! ([`apart`]), because a thread that waits in the kernel for a file can't handle a signal.
#![allow(unsafe_code)]

use std::ffi::{CStr, OsString};
use std::io::Write;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{FileType, MemfdFlags, Mode, OFlags, fstat};
use rustix::net::{AddressFamily, SocketAddrAny};
use rustix::stdio::stderr;

use crate::code::Code;
use crate::deadline::Deadline;
use crate::descriptor::{send_datagram, write_until};

/// Makes a function the program's `main`, which the C runtime calls directly.
///
/// The standard library's own start would look up the main thread's stack in /proc/self/maps and
/// allocate a signal stack, so that it can report stack overflows. That costs a fifth of a check's
/// system calls.
#[macro_export]
macro_rules! main {
    ($main:path) => {
        // SAFETY: no other function in the program has this name.
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

/// Prepares the process before anything else runs. Afterwards, descriptors 0 to 2 are open, an abort exits
/// with the code for a bug, writing to a closed pipe or connection is an ordinary error, and all threads
/// share one heap.
pub fn prepare() {
    occupy_standard_descriptors();
    exit_on_abort();
    ignore_signals_of_writing();
    share_one_heap();
}

/// Makes all threads share one heap. By default glibc reserves a heap with 64 MiB of address space
/// for nearly every thread. A check needs no second heap, and serve would keep many heaps that are
/// nearly empty.
fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no other thread exists yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1)
    };
}

/// Returns the arguments of `main`, without the program's name.
///
/// # Safety
/// `words` must point to `count` NUL-terminated strings that live as long as the process.
pub unsafe fn words(count: libc::c_int, words: *const *const libc::c_char) -> Vec<OsString> {
    let count = usize::try_from(count).unwrap_or(0);
    let word = |at| {
        // SAFETY: the caller promises that `words` has `count` valid strings.
        let word = unsafe { CStr::from_ptr(*words.add(at)) };
        OsString::from_vec(word.to_bytes().to_vec())
    };
    (1..count).map(word).collect()
}

/// Opens `/dev/null` or an empty memory file for each of the descriptors 0 to 2 that is closed.
fn occupy_standard_descriptors() {
    // SAFETY: no other thread exists yet that could close a descriptor during the call, and poll
    // reports a descriptor that is already closed as NVAL.
    let standard = [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    let mut polled = standard
        .each_ref()
        .map(|fd| PollFd::new(fd, PollFlags::empty()));
    // poll fails if the limit on the process's descriptors (`ulimit -n`) is below three. The loop then tries
    // to open all three.
    let failed = poll(&mut polled, Some(&Timespec::default())).is_err();
    for standard in polled {
        if !failed && !standard.revents().contains(PollFlags::NVAL) {
            continue;
        }
        // The kernel returns the lowest free descriptor, which is this one.
        let filler = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())
            .or_else(|_| rustix::fs::memfd_create("closed", MemfdFlags::empty()));
        if let Ok(filler) = filler {
            let _ = filler.into_raw_fd();
        }
    }
}

/// Turns every abort (memory exhausted, a panic within a panic, an abort of the standard library)
/// into the documented exit code for a bug. HAProxy would report death by a signal as code 4294967295.
fn exit_on_abort() {
    extern "C" fn exit(_signal: libc::c_int) {
        const WHY: &[u8] = b"sni-check: out of memory (raise ulimit -v or MemoryMax=), \
            or stopped by a bug; limit of sni-check\n";
        write_until(stderr(), WHY, Deadline::new(Instant::now(), LAST_WRITE));
        // SAFETY: _exit is async-signal-safe.
        unsafe { libc::_exit(i32::from(Code::Internal.number())) }
    }
    let handler = exit as extern "C" fn(libc::c_int);
    // SAFETY: the handler only writes and calls _exit, and no other thread exists yet.
    unsafe { libc::signal(libc::SIGABRT, handler as libc::sighandler_t) };
}

/// Makes glibc's resolver use only `/etc/hosts` and DNS, whatever `/etc/nsswitch.conf` says.
///
/// For any other service, glibc loads `libnss_*.so.2`, which brings in the host's libc in
/// addition to the libc in this binary. If their versions differ, as in most containers, a signal kills the
/// process.
pub fn resolve_from_files_and_dns() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn __nss_configure_lookup(
                database: *const libc::c_char,
                services: *const libc::c_char,
            ) -> libc::c_int;
        }
        // SAFETY: declared as in <nss.h>. glibc copies both strings and takes its own lock. If it
        // has no memory for that, it keeps using the configured services.
        let _ = unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}

/// Ignores the signals that would kill the process when it writes to a closed connection or pipe,
/// or to a file that has reached `ulimit -f`. The write then fails with an ordinary error.
fn ignore_signals_of_writing() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: this sets no handler, and no other thread exists yet.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// The stack of the working thread: several times what a check needs. Only the pages that the
/// thread touches use memory.
const STACK: usize = 256 << 10;

/// Runs `work` on another thread, so that the main thread is always free to handle the timer's
/// signal. If no thread can be created (`ulimit -u`), the main thread runs `work`.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    let work = Mutex::new(Some(work));
    MAY_HANG.store(true, Ordering::Relaxed);
    let take_and_do = || {
        let hangs =
            fstat(stderr()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file());
        MAY_HANG.store(hangs, Ordering::Relaxed);
        let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
        work.map(|work| work())
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        match thread.spawn_scoped(scope, take_and_do) {
            Ok(thread) => thread.join().ok().flatten(),
            Err(_) => take_and_do(),
        }
    })
}

/// How the process ends when its timer goes off. It's prepared in advance, because a signal handler
/// must not allocate.
#[derive(Debug)]
pub struct Expiry {
    /// The exit code.
    pub code: Code,
    /// When the process started.
    pub start: Instant,
    /// The messages to print or send.
    pub texts: Vec<Text>,
}

/// A message that contains the number of milliseconds since the process started.
#[derive(Debug)]
pub struct Text {
    to: Channel,
    text: Vec<u8>,
    rest: Vec<u8>,
}

/// The destination of a message.
#[derive(Debug)]
pub enum Channel {
    /// An open descriptor.
    Descriptor(BorrowedFd<'static>),
    /// A datagram socket.
    Datagram(SocketAddrAny),
}

impl Text {
    /// Returns a message that consists of `before`, the number and `after`.
    pub fn new(to: Channel, before: &str, after: &str) -> Text {
        // 42 bytes hold the digits of a u128 and a fraction.
        let mut text = Vec::with_capacity(before.len() + 42 + after.len());
        text.extend_from_slice(before.as_bytes());
        let rest = after.as_bytes().to_vec();
        Text { to, text, rest }
    }

    /// Returns true if the message goes to a Unix socket.
    fn is_for_a_path(&self) -> bool {
        matches!(&self.to, Channel::Datagram(to) if to.address_family() == AddressFamily::UNIX)
    }

    fn say(&mut self, passed: Duration) {
        let tenths = passed.as_micros() / 100;
        let _ = write!(self.text, "{}.{}", tenths / 10, tenths % 10);
        self.text.extend_from_slice(&self.rest);
        match &self.to {
            Channel::Descriptor(to) => {
                write_until(to, &self.text, Deadline::new(Instant::now(), LAST_WRITE));
            }
            Channel::Datagram(to) => send_datagram(to, &self.text),
        }
    }
}

/// How much later than the deadline the timer goes off. A check that looks at the clock gets this
/// time, because it can report more.
const GRACE: Duration = Duration::from_millis(10);
/// How long the handler waits until a descriptor accepts a message.
const LAST_WRITE: Duration = Duration::from_millis(10);
/// How long the handler may take before the signal kills the process. This happens only if the handler itself
/// hangs because it writes to a file system that doesn't answer.
const LAST_RESORT: Duration = Duration::from_millis(30);
/// True if writing to standard error may hang. Only a file can hang: we never write to a full pipe.
static MAY_HANG: AtomicBool = AtomicBool::new(false);

/// The newest [`Expiry`]. Older values are never freed, because the handler may be using them.
static EXPIRY: AtomicPtr<Expiry> = AtomicPtr::new(ptr::null_mut());

/// Sets how the process ends when its timer goes off.
pub fn on_expiry(expiry: Expiry) {
    EXPIRY.store(Box::into_raw(Box::new(expiry)), Ordering::Release);
}

/// Starts the timer. A little later than `left` from now, the process ends as `expiry` says.
pub fn expire_after(left: Duration, expiry: Expiry) {
    on_expiry(expiry);
    // Ignoring SIGALRM also discards a pending SIGALRM. It can be pending if the parent blocked it, because
    // the parent's timer keeps running across exec(2).
    handle_alarm(libc::SIG_IGN);
    set_timer(left + GRACE);
    handle_alarm(expire as extern "C" fn(libc::c_int) as libc::sighandler_t);
}

/// Sets the handler of SIGALRM and unblocks the signal.
fn handle_alarm(handler: libc::sighandler_t) {
    // SAFETY: each handler calls only async-signal-safe functions. sigemptyset initialises the set
    // before it is used. The calls here are async-signal-safe themselves.
    unsafe {
        libc::signal(libc::SIGALRM, handler);
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
    }
}

/// Resets the timer to go off a little later than `left` from now.
pub fn expire_after_instead(left: Duration) {
    set_timer(left + GRACE);
}

/// Stops the timer, even if the process inherited it across exec(2).
pub fn never_expire() {
    set_timer(Duration::ZERO);
}

/// Sets the timer, or stops it if `left` is zero. The timer's clock is monotonic and keeps running
/// while the process is stopped (Linux, `kernel/time/itimer.c`: an hrtimer on CLOCK_MONOTONIC).
fn set_timer(left: Duration) {
    // The types of both fields have 32 or 64 bits. The longest time, that of a diagnosis with a time limit of
    // one day, is little more than eight days. Both values therefore fit.
    let seconds = left.as_secs() as _;
    let microseconds = left.subsec_micros() as _;
    let timer = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: seconds,
            tv_usec: microseconds,
        },
    };
    // SAFETY: the kernel only reads the struct. If the call fails, the check still has its own
    // deadline.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}

/// Prints and sends the prepared messages, and ends the process.
extern "C" fn expire(_signal: libc::c_int) {
    let expiry = EXPIRY.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: the pointer comes from a box that `on_expiry` leaked, or is null. The swap makes this
    // call its only owner. If it's null, another thread is already in this handler.
    let Some(expiry) = (unsafe { expiry.as_mut() }) else {
        return;
    };
    if MAY_HANG.load(Ordering::Relaxed) || expiry.texts.iter().any(Text::is_for_a_path) {
        // From here on, the signal kills the process, even if a thread waits in the kernel.
        handle_alarm(libc::SIG_DFL);
        set_timer(LAST_RESORT);
    }
    let passed = expiry.start.elapsed();
    for text in &mut expiry.texts {
        text.say(passed);
    }
    // SAFETY: _exit is async-signal-safe.
    unsafe { libc::_exit(i32::from(expiry.code.number())) }
}

/// Returns a descriptor that becomes readable when the process receives SIGTERM or SIGINT.
///
/// # Errors
/// Fails if no descriptor is free.
pub fn termination() -> rustix::io::Result<OwnedFd> {
    static EVENTS: AtomicI32 = AtomicI32::new(-1);
    extern "C" fn record(_signal: libc::c_int) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: write is async-signal-safe, and the bytes live until it returns. errno is
        // restored, because the interrupted code may not have read it yet.
        unsafe {
            let errno = *libc::__errno_location();
            libc::write(
                EVENTS.load(Ordering::Relaxed),
                one.as_ptr().cast(),
                one.len(),
            );
            *libc::__errno_location() = errno;
        }
    }
    let events = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    // The handler has its own copy of the descriptor, which is never closed.
    let handlers = rustix::io::fcntl_dupfd_cloexec(&events, 3)?.into_raw_fd();
    EVENTS.store(handlers, Ordering::Relaxed);
    let handler = record as extern "C" fn(libc::c_int);
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: the handler only writes to a descriptor that stays open.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
    Ok(events)
}

/// Takes over the descriptors that systemd passes, which are the first `count` after standard error. Call
/// this once, before the process opens anything else.
pub fn inherited_descriptors(count: u32) -> Vec<OwnedFd> {
    let numbers = (3..).take(count as usize);
    let open = numbers.take_while(|fd| {
        // SAFETY: no other code closes the descriptor during the call.
        let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC).is_ok()
    });
    // SAFETY: the descriptors are open, and no other code owns them yet.
    open.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

/// A PCRE2 regular expression whose match can be stopped. Stopping a hostile match needs a callout
/// (pcre2callout(3)), which the crate `pcre2` doesn't offer.
#[derive(Debug)]
pub struct Pattern(NonNull<pcre2_sys::pcre2_code_8>);

// SAFETY: a compiled pattern never changes (pcre2api(3), "Multithreading"), and each match has its
// own data.
unsafe impl Send for Pattern {}
// SAFETY: the same reason as for Send.
unsafe impl Sync for Pattern {}

unsafe extern "C" {
    /// Declared as in pcre2.h, because `pcre2-sys` doesn't declare this function.
    fn pcre2_set_callout_8(
        context: *mut pcre2_sys::pcre2_match_context_8,
        callout: Option<extern "C" fn(*mut libc::c_void, *mut libc::c_void) -> libc::c_int>,
        data: *mut libc::c_void,
    ) -> libc::c_int;
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Returns PCRE2's message about the pattern.
    pub fn compile(pattern: &str, caseless: bool) -> Result<Pattern, String> {
        let options = match caseless {
            true => pcre2_sys::PCRE2_AUTO_CALLOUT | pcre2_sys::PCRE2_CASELESS,
            false => pcre2_sys::PCRE2_AUTO_CALLOUT,
        };
        let (mut error, mut at) = (0, 0);
        // SAFETY: the pattern's bytes and both numbers live until the call returns.
        let code = unsafe {
            pcre2_sys::pcre2_compile_8(
                pattern.as_ptr(),
                pattern.len(),
                options,
                &raw mut error,
                &raw mut at,
                ptr::null_mut(),
            )
        };
        NonNull::new(code)
            .map(Pattern)
            .ok_or_else(|| words_of(error))
    }

    /// Returns how many bytes of memory the pattern uses.
    pub fn size(&self) -> usize {
        let mut size = 0_usize;
        // SAFETY: for PCRE2_INFO_SIZE, the call writes a size_t to the address it gets.
        unsafe {
            let to = (&raw mut size).cast();
            pcre2_sys::pcre2_pattern_info_8(self.0.as_ptr(), pcre2_sys::PCRE2_INFO_SIZE, to);
        }
        size
    }

    /// Returns true if the pattern matches anywhere in `text`. Calls `goes_on` before each step and
    /// stops the match when it returns false.
    ///
    /// # Errors
    /// Returns PCRE2's error number, which is `PCRE2_ERROR_CALLOUT` if `goes_on` stopped the match.
    pub fn is_match(
        &self,
        text: &[u8],
        mut goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, libc::c_int> {
        extern "C" fn ask(_: *mut libc::c_void, data: *mut libc::c_void) -> libc::c_int {
            // SAFETY: `data` is the address of `goes_on` below, which no other code uses during the
            // match.
            let goes_on = unsafe { &mut *data.cast::<&mut dyn FnMut() -> bool>() };
            if goes_on() {
                0
            } else {
                pcre2_sys::PCRE2_ERROR_CALLOUT
            }
        }
        // SAFETY: PCRE2 returns null if it has no memory for the context or the data. The match
        // doesn't run then, and PCRE2's free functions accept null. The text outlives the match.
        let code = unsafe {
            let context = pcre2_sys::pcre2_match_context_create_8(ptr::null_mut());
            // The offsets of the match aren't used, so room for one pair is enough.
            let data = pcre2_sys::pcre2_match_data_create_8(1, ptr::null_mut());
            let code = if context.is_null() || data.is_null() {
                pcre2_sys::PCRE2_ERROR_NOMEMORY
            } else {
                pcre2_set_callout_8(context, Some(ask), (&raw mut goes_on).cast());
                let length = text.len();
                pcre2_sys::pcre2_match_8(
                    self.0.as_ptr(),
                    text.as_ptr(),
                    length,
                    0,
                    0,
                    data,
                    context,
                )
            };
            pcre2_sys::pcre2_match_data_free_8(data);
            pcre2_sys::pcre2_match_context_free_8(context);
            code
        };
        match code {
            pcre2_sys::PCRE2_ERROR_NOMATCH => Ok(false),
            // PCRE2 returns 0 for a match with more groups than fit into the match data.
            0.. => Ok(true),
            error => Err(error),
        }
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        // SAFETY: this `Pattern` owns the compiled pattern.
        unsafe { pcre2_sys::pcre2_code_free_8(self.0.as_ptr()) }
    }
}

/// Returns PCRE2's message for an error.
fn words_of(error: libc::c_int) -> String {
    let mut words = [0; 240];
    // SAFETY: PCRE2 writes at most `words.len()` bytes and returns how many it wrote.
    let length =
        unsafe { pcre2_sys::pcre2_get_error_message_8(error, words.as_mut_ptr(), words.len()) };
    let length = usize::try_from(length).unwrap_or_default();
    String::from_utf8_lossy(&words[..length]).into_owned()
}
