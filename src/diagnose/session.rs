//! The values that all parts of one run share: HAProxy, the addresses with a request limit, and the current
//! phase. A line on the terminal shows the phase while diagnose waits for servers.

use std::env;
use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::haproxy::program::Haproxy;
use crate::output::write::write_text;

/// The time before the line appears, and the time between two updates of the line.
const TICK: Duration = Duration::from_millis(150);
const ERASE: &str = "\r\x1b[K";

/// The current work of diagnose, as the line on the terminal names it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Connecting,
    Handshakes,
    Requests,
    Trials,
    Haproxy,
}

const WORDS: [&str; 5] = [
    "resolving and connecting",
    "TLS handshakes",
    "HTTP requests",
    "trying other options",
    "asking HAProxy",
];

/// The values that all parts of one run share.
pub(super) struct Session {
    /// The HAProxy to ask. `None` for `--haproxy none`.
    pub haproxy: Option<Haproxy>,
    /// The addresses that still answered 429 after a pause.
    pub strict: Mutex<Vec<String>>,
    phase: AtomicUsize,
}

impl Session {
    /// Starts a session with the HAProxy of `--haproxy`.
    pub fn new(haproxy: Option<&str>) -> Result<Session> {
        Ok(Session {
            haproxy: match haproxy {
                Some("none") => None,
                given => Some(Haproxy::find(given)?),
            },
            strict: Mutex::default(),
            phase: AtomicUsize::default(),
        })
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as usize, Ordering::Relaxed);
    }

    fn line(&self, start: Instant) -> String {
        let phase = WORDS.get(self.phase.load(Ordering::Relaxed));
        let seconds = start.elapsed().as_secs_f64();
        format!("{ERASE}{}... {seconds:.1} s", phase.unwrap_or(&""))
    }
}

/// Runs `work` and returns its result. If standard error is a terminal, a line shows the current phase until
/// then.
pub(super) fn show_phase<T>(session: &Session, work: impl FnOnce() -> T) -> T {
    let dumb = env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    if dumb || !io::stderr().is_terminal() {
        return work();
    }
    let (working, done) = channel::<()>();
    let start = Instant::now();
    thread::scope(|scope| {
        // If the system can't create a thread, diagnose works without the line.
        let line = thread::Builder::new().spawn_scoped(scope, move || {
            let mut written = "";
            while done.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                write_text(io::stderr(), &session.line(start));
                written = ERASE;
            }
            write_text(io::stderr(), written);
        });
        drop(line);
        let result = work();
        drop(working);
        result
    })
}
