//! The one clock of a check.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What is left of the time for saying that work was not done.
const TO_SAY_SO: Duration = Duration::from_millis(30);

/// The instant by which a check must have ended. Monotonic: setting the clock does not move it.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// `timeout` after `start`.
    pub fn new(start: Instant, timeout: Duration) -> Deadline {
        Deadline(start + timeout)
    }

    /// The time that is left; `None` when none is.
    pub fn remaining(self) -> Option<Duration> {
        self.0
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// A deadline that leaves the same time to each of `shares`, this one being the first.
    pub fn first_of(self, shares: usize) -> Deadline {
        let share = u32::try_from(shares.max(1)).unwrap_or(u32::MAX);
        match self.remaining() {
            Some(left) => Deadline(Instant::now() + left / share),
            None => self,
        }
    }

    /// Returns the deadline for work that ends by itself: a little sooner, so that there is time left to
    /// report that it didn't end.
    pub fn to_report(self) -> Deadline {
        Deadline(self.0.checked_sub(TO_SAY_SO).unwrap_or(self.0))
    }
}

/// Calls that nobody can interrupt, each on a thread of its own. A late one keeps its thread for as long as
/// it takes, so there are at most so many at once.
#[derive(Debug)]
pub struct Calls {
    running: AtomicUsize,
    most: usize,
}

/// Why a call has no result.
#[derive(Debug)]
pub enum NotDone {
    /// It was not done by the deadline.
    Late,
    /// So many others are not done yet that it was not begun.
    TooMany(usize),
    /// No thread can be made.
    NoThread(io::Error),
}

impl Calls {
    /// At most so many at once.
    pub const fn new(most: usize) -> Calls {
        Calls {
            running: AtomicUsize::new(0),
            most,
        }
    }

    /// Makes a call on a thread with a stack of so many bytes, and waits for it until the deadline.
    ///
    /// # Errors
    /// There is no result by then.
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
