//! How the program starts, and what else the compiler can't check: the only unsafe code of the crate.
//!
//! A daemonised HAProxy closes file descriptors 0 to 2 before it runs a check, and its chroot often
//! has no `/dev/null`. The first socket would become descriptor 2 and an error line would be sent to
//! the backend; the start of Rust's standard library prevents that by aborting.
//!
//! A check normally ends by itself at its deadline. What never looks at the clock (a loop in a library, a
//! file system that doesn't answer, a process that was stopped) is ended by a timer of the kernel's, a
//! little later: see [`Expiry`]. The timer's signal goes to the main thread, which does nothing but wait
//! ([`apart`]), because a thread that sleeps in the kernel for a file handles no signal.
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
    share_one_heap();
}

/// Makes all threads take memory from one heap. By default glibc has one of 64 MiB of address space for
/// nearly each thread: a check needs no second heap, and serve would keep many that are nearly empty.
fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no other thread exists yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1)
    };
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
    // SAFETY: nothing else runs yet that could close one of them during the call, and a closed one is
    // exactly what NVAL tells.
    let standard = [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    let mut polled = standard
        .each_ref()
        .map(|fd| PollFd::new(fd, PollFlags::empty()));
    // It fails where fewer than three descriptors are allowed: then all of them are tried.
    let failed = poll(&mut polled, Some(&Timespec::default())).is_err();
    for standard in polled {
        if !failed && !standard.revents().contains(PollFlags::NVAL) {
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
        const WHY: &[u8] = b"sni-check: ended by a bug, or because all memory that it may take \
            is used up (ulimit -v, MemoryMax=); limit of sni-check\n";
        write_until(stderr(), WHY, Deadline::new(Instant::now(), LAST_WRITE));
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

/// Several times what a check needs; only what the thread touches becomes memory.
const STACK: usize = 256 << 10;

/// Does the work of a call on a thread of its own, so that the main thread is always free to handle the
/// timer's signal. Where no thread can be made (`ulimit -u`), the main thread does the work.
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

/// How the process ends when its timer goes off: prepared in advance, because the handler of a signal
/// may not allocate.
#[derive(Debug)]
pub struct Expiry {
    /// The exit code.
    pub code: Code,
    /// When the process started.
    pub start: Instant,
    /// What is said.
    pub texts: Vec<Text>,
}

/// A text that says how many milliseconds have passed.
#[derive(Debug)]
pub struct Text {
    to: Channel,
    text: Vec<u8>,
    rest: Vec<u8>,
}

/// Where a text goes.
#[derive(Debug)]
pub enum Channel {
    /// An open descriptor.
    Descriptor(BorrowedFd<'static>),
    /// A datagram socket.
    Datagram(SocketAddrAny),
}

impl Text {
    /// `before`, the number, `after`.
    pub fn new(to: Channel, before: &str, after: &str) -> Text {
        // The digits of a u128 and a fraction.
        let mut text = Vec::with_capacity(before.len() + 42 + after.len());
        text.extend_from_slice(before.as_bytes());
        let rest = after.as_bytes().to_vec();
        Text { to, text, rest }
    }

    /// Whether it goes to a socket in a file system.
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

/// How much later than the deadline the timer goes off: a check that looks at the clock says more.
const GRACE: Duration = Duration::from_millis(10);
/// How long the handler waits for somebody to read a text.
const LAST_WRITE: Duration = Duration::from_millis(10);
/// How much later than the handler's start the process dies by the signal itself, if even the handler
/// hangs: because it writes to a file system that doesn't answer.
const LAST_RESORT: Duration = Duration::from_millis(30);
/// Whether writing to standard error may hang. Only a file can; a pipe is never written to when it is full.
static MAY_HANG: AtomicBool = AtomicBool::new(false);

/// The newest [`Expiry`]. The older ones are never freed: the handler may be using them.
static EXPIRY: AtomicPtr<Expiry> = AtomicPtr::new(ptr::null_mut());

/// Says how the process ends from now on if its timer goes off.
pub fn on_expiry(expiry: Expiry) {
    EXPIRY.store(Box::into_raw(Box::new(expiry)), Ordering::Release);
}

/// Starts the timer: the process ends as `expiry` says, a little later than `left` from now.
pub fn expire_after(left: Duration, expiry: Expiry) {
    on_expiry(expiry);
    // To ignore a signal also discards one that is pending: whoever started this process may have blocked
    // it, and a timer goes on after exec(2).
    handle_alarm(libc::SIG_IGN);
    set_timer(left + GRACE);
    handle_alarm(expire as extern "C" fn(libc::c_int) as libc::sighandler_t);
}

/// Sets what SIGALRM does, and lets it in.
fn handle_alarm(handler: libc::sighandler_t) {
    // SAFETY: each handler calls nothing but what is async-signal-safe. The set is initialised by
    // sigemptyset before it is used. These calls are async-signal-safe themselves.
    unsafe {
        libc::signal(libc::SIGALRM, handler);
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
    }
}

/// Sets the timer again, to go off a little later than `left` from now.
pub fn expire_after_instead(left: Duration) {
    set_timer(left + GRACE);
}

/// Stops the timer, or the one that whoever started this process has left running.
pub fn never_expire() {
    set_timer(Duration::ZERO);
}

/// Zero stops it. The clock is monotonic and runs on while the process is stopped (Linux,
/// `kernel/time/itimer.c`: an hrtimer on CLOCK_MONOTONIC).
fn set_timer(left: Duration) {
    let seconds = libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX);
    // Below a million, so it fits `suseconds_t`, which has 32 bits on some platforms and 64 on others.
    let microseconds = left.subsec_micros() as libc::suseconds_t;
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
    // SAFETY: the kernel only reads the struct. If it fails, the check's own clock is left.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}

/// Says what is ready to be said and ends the process.
extern "C" fn expire(_signal: libc::c_int) {
    let expiry = EXPIRY.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: the pointer is of a box that `on_expiry` gave away, or null. Nobody else has it any
    // more; if it is null, another thread is in here.
    let Some(expiry) = (unsafe { expiry.as_mut() }) else {
        return;
    };
    if MAY_HANG.load(Ordering::Relaxed) || expiry.texts.iter().any(Text::is_for_a_path) {
        // From here on the signal kills, which also wakes a thread that sleeps in the kernel.
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

/// A descriptor that becomes readable when this process is asked to end: SIGTERM, SIGINT.
///
/// # Errors
/// There is no descriptor left.
pub fn termination() -> rustix::io::Result<OwnedFd> {
    static EVENTS: AtomicI32 = AtomicI32::new(-1);
    extern "C" fn record(_signal: libc::c_int) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: write is async-signal-safe, and the bytes live until it returns. What it does to
        // errno is undone: the signal may have come between a call and the look at it.
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
    // The handler's own, which is never closed.
    let handlers = rustix::io::fcntl_dupfd_cloexec(&events, 3)?.into_raw_fd();
    EVENTS.store(handlers, Ordering::Relaxed);
    let handler = record as extern "C" fn(libc::c_int);
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: the handler does nothing but write to a descriptor that stays open.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
    Ok(events)
}

/// Takes over the first `count` descriptors after standard error: those that systemd hands over. To be
/// called once, and before anything else is opened.
pub fn inherited_descriptors(count: u32) -> Vec<OwnedFd> {
    let numbers = (3..).take(count as usize);
    let open = numbers.take_while(|fd| {
        // SAFETY: nothing closes it during the call.
        let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC).is_ok()
    });
    // SAFETY: they are open, and belong to whoever is told of them: to nobody else yet.
    open.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

/// A regular expression of PCRE2's that can be stopped while it matches. The crate `pcre2` can't stop a
/// match: what bounds a hostile one is a callout (pcre2callout(3)), which that crate doesn't offer.
#[derive(Debug)]
pub struct Pattern(NonNull<pcre2_sys::pcre2_code_8>);

// SAFETY: a compiled pattern never changes (pcre2api(3), "Multithreading"); each match has data of its own.
unsafe impl Send for Pattern {}
// SAFETY: as above.
unsafe impl Sync for Pattern {}

unsafe extern "C" {
    /// Declared as in pcre2.h; `pcre2-sys` leaves it out.
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
    /// PCRE2's own words for what is wrong with the pattern.
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

    /// Returns how many bytes of memory the pattern takes.
    pub fn size(&self) -> usize {
        let mut size = 0_usize;
        // SAFETY: for PCRE2_INFO_SIZE the call writes a size_t to where it is told.
        unsafe {
            let to = (&raw mut size).cast();
            pcre2_sys::pcre2_pattern_info_8(self.0.as_ptr(), pcre2_sys::PCRE2_INFO_SIZE, to);
        }
        size
    }

    /// Returns whether the pattern matches somewhere in `text`. `goes_on` is asked before each step, and
    /// its first `false` ends the match.
    ///
    /// # Errors
    /// The number of PCRE2's error, which is `PCRE2_ERROR_CALLOUT` if `goes_on` ended the match.
    pub fn is_match(
        &self,
        text: &[u8],
        mut goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, libc::c_int> {
        extern "C" fn ask(_: *mut libc::c_void, data: *mut libc::c_void) -> libc::c_int {
            // SAFETY: `data` is the address of `goes_on` below, which nothing else uses meanwhile.
            let goes_on = unsafe { &mut *data.cast::<&mut dyn FnMut() -> bool>() };
            if goes_on() {
                0
            } else {
                pcre2_sys::PCRE2_ERROR_CALLOUT
            }
        }
        // SAFETY: PCRE2 takes a null pointer where it has no memory for the data or the context, reports
        // that as an error of the match, and frees nothing then. The text outlives the match.
        let code = unsafe {
            let context = pcre2_sys::pcre2_match_context_create_8(ptr::null_mut());
            // Only whether it matches counts, so one pair of offsets is enough.
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
            // 0 is a match with more groups than there is room for.
            0.. => Ok(true),
            error => Err(error),
        }
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        // SAFETY: the pattern is this one's own.
        unsafe { pcre2_sys::pcre2_code_free_8(self.0.as_ptr()) }
    }
}

/// PCRE2's words for an error.
fn words_of(error: libc::c_int) -> String {
    let mut words = [0; 240];
    // SAFETY: PCRE2 writes at most so many bytes, and says how many.
    let length =
        unsafe { pcre2_sys::pcre2_get_error_message_8(error, words.as_mut_ptr(), words.len()) };
    let length = usize::try_from(length).unwrap_or_default();
    String::from_utf8_lossy(&words[..length]).into_owned()
}
