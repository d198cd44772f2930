//! The one clock of a check.

use std::time::{Duration, Instant};

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
}
