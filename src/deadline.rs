//! The one clock of a check.

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

    /// Does work that cannot be interrupted, on a thread of its own, and waits for it until shortly
    /// before this; `None` if it was not done by then. A late thread ends with the process.
    pub fn wait_for<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (give, take) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let thread = thread::Builder::new().spawn(move || {
            if let Ok(work) = take.recv() {
                let work: Box<dyn FnOnce() -> T + Send> = work;
                let _ = answer.send(work());
            }
        });
        match thread {
            Ok(_) => {
                give.send(Box::new(work)).ok()?;
                let left = self.remaining()?.saturating_sub(TO_SAY_SO);
                answers.recv_timeout(left).ok()
            }
            // No more threads for this user: then without one, and the kernel's timer is the bound.
            Err(_) => Some(work()),
        }
    }
}
