//! Shows a line on the terminal while diagnose waits for servers.

use std::env;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::output::write::write_text;

/// The time before the line appears, and between two updates of the line.
const TICK: Duration = Duration::from_millis(150);
const ERASE: &str = "\r\x1b[K";

/// The work that diagnose waits for.
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

/// The current phase.
#[derive(Default)]
pub(super) struct Progress(AtomicUsize);

impl Progress {
    pub fn enter(&self, phase: Phase) {
        self.0.store(phase as usize, Ordering::Relaxed);
    }

    fn line(&self, start: Instant) -> String {
        let phase = WORDS.get(self.0.load(Ordering::Relaxed));
        let seconds = start.elapsed().as_secs_f64();
        format!("{ERASE}{}... {seconds:.1} s", phase.unwrap_or(&""))
    }
}

/// Does the work. If standard error is a terminal, a line shows the current phase until the work is done.
pub(super) fn shown<T>(work: impl FnOnce(&Progress) -> T) -> T {
    let progress = Progress::default();
    let dumb = env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    if dumb || !io::stderr().is_terminal() {
        return work(&progress);
    }
    let (working, done) = channel::<()>();
    let progress = &progress;
    let start = Instant::now();
    thread::scope(|scope| {
        // If the system can't create a thread, diagnose works without the line.
        let line = thread::Builder::new().spawn_scoped(scope, move || {
            let mut written = "";
            while done.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                write_text(io::stderr(), &progress.line(start));
                written = ERASE;
            }
            write_text(io::stderr(), written);
        });
        drop(line);
        let result = work(progress);
        drop(working);
        result
    })
}
