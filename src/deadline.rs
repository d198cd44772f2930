//! The deadline of a check, and calls that must not outlast it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The time reserved for reporting that work wasn't finished.
const TO_REPORT: Duration = Duration::from_millis(30);

/// The instant by which a check must have ended. It's monotonic, so setting the clock doesn't move
/// it.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline that is `timeout` after `start`.
    pub fn new(start: Instant, timeout: Duration) -> Deadline {
        Deadline(start + timeout)
    }

    /// Returns the time that is left, or `None` after the deadline.
    pub fn remaining(self) -> Option<Duration> {
        self.0
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// Divides the remaining time into `shares` equal parts and returns the end of the first part.
    pub fn first_of(self, shares: usize) -> Deadline {
        let share = u32::try_from(shares.max(1)).unwrap_or(u32::MAX);
        match self.remaining() {
            Some(left) => Deadline(Instant::now() + left / share),
            None => self,
        }
    }

    /// Returns a slightly earlier deadline for work, which leaves time to report that the work
    /// wasn't finished.
    pub fn to_report(self) -> Deadline {
        Deadline(self.0.checked_sub(TO_REPORT).unwrap_or(self.0))
    }
}

/// Runs calls that can't be interrupted, each on its own thread. A late call keeps its thread until
/// it returns, so the number of running calls is limited.
#[derive(Debug)]
pub struct Calls {
    running: AtomicUsize,
    most: usize,
}

/// Why a call has no result.
#[derive(Debug)]
pub enum NotDone {
    /// The call didn't return by the deadline.
    Late,
    /// The call wasn't started, because this many other calls are still running.
    TooMany(usize),
    /// The system refused to create a thread.
    NoThread(io::Error),
}

impl Calls {
    /// Allows at most `most` calls at the same time.
    pub const fn new(most: usize) -> Calls {
        Calls {
            running: AtomicUsize::new(0),
            most,
        }
    }

    /// Runs a call on a thread with a stack of `stack` bytes, and waits for its result until the deadline.
    ///
    /// # Errors
    /// Returns why the call has no result by the deadline.
    pub fn run<T: Send + 'static>(
        &'static self,
        deadline: Deadline,
        stack: usize,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        if self.running.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.running.fetch_sub(1, Ordering::Relaxed);
            return Err(NotDone::TooMany(self.most));
        }
        let (answer, answered) = mpsc::channel();
        let thread = thread::Builder::new().stack_size(stack).spawn(move || {
            let result = call();
            self.running.fetch_sub(1, Ordering::Relaxed);
            let _ = answer.send(result);
        });
        if let Err(error) = thread {
            self.running.fetch_sub(1, Ordering::Relaxed);
            return Err(NotDone::NoThread(error));
        }
        let left = deadline.remaining().unwrap_or_default();
        answered.recv_timeout(left).map_err(|_| NotDone::Late)
    }
}
