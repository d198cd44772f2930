//! Single attempts: a connection, a handshake or a request, each by itself.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::probe::connect::{self, Address};
use crate::probe::{Response, Seen, Trial};

/// No address is waited for longer: a second says that it does not answer.
const CONNECT: Duration = Duration::from_secs(1);
/// How much later an earlier address may answer and still be the one that is looked at.
const HEAD_START: Duration = Duration::from_millis(50);

/// One variation and what came of it.
pub(super) struct Attempt {
    pub result: Result<Option<Response>, Failure>,
    pub seen: Seen,
}

impl Attempt {
    pub fn died() -> Attempt {
        Attempt {
            result: Err(Failure::Internal("a thread died".to_owned())),
            seen: Seen::default(),
        }
    }

    pub fn connect(plan: &Plan, address: &Address) -> Attempt {
        let start = Instant::now();
        let deadline = Deadline::new(start, plan.timeout.min(CONNECT));
        let dialled = connect::dial(std::slice::from_ref(address), source(plan), deadline);
        let mut seen = Seen::default();
        seen.times.connect = Some(start.elapsed());
        let result = dialled.map(|_| None).map_err(|(failure, _)| failure);
        Attempt { result, seen }
    }

    pub fn run(trial: Trial<'_>, address: &Address, timeout: Duration) -> Attempt {
        let start = Instant::now();
        let mut seen = Seen::default();
        let deadline = Deadline::new(start, timeout);
        let result = trial.run(std::slice::from_ref(address), deadline, &mut seen);
        seen.times.total = start.elapsed();
        Attempt { result, seen }
    }
}

/// The address to connect from, at any port: a fixed one serves one connection at a time, and that
/// is the check's.
pub(super) fn source(plan: &Plan) -> Option<SocketAddr> {
    plan.source.map(|source| SocketAddr::new(source.ip(), 0))
}

/// What comes back from each address, in its own time.
pub(super) struct Attempts {
    of_each: Vec<Option<Attempt>>,
    arrived: Receiver<(usize, Attempt)>,
}

impl Attempts {
    pub fn new(count: usize, arrived: Receiver<(usize, Attempt)>) -> Attempts {
        let of_each = (0..count).map(|_| None).collect();
        Attempts { of_each, arrived }
    }

    /// Waits for the first address in order that answers, but not for one that keeps silent while
    /// another answers.
    pub fn first_to_answer(&mut self) -> Option<usize> {
        let mut wait = CONNECT * 2;
        loop {
            let answered =
                |attempt: &Option<Attempt>| matches!(attempt, Some(a) if a.result.is_ok());
            let first = self.of_each.iter().position(answered);
            let earlier = &self.of_each[..first.unwrap_or(self.of_each.len())];
            if earlier.iter().all(Option::is_some) {
                return first;
            }
            if first.is_some() {
                wait = HEAD_START;
            }
            match self.arrived.recv_timeout(wait) {
                Ok((index, attempt)) => self.of_each[index] = Some(attempt),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return first,
            }
        }
    }

    /// All of them, in order.
    pub fn all(self) -> Vec<Attempt> {
        let mut of_each = self.of_each;
        for (index, attempt) in self.arrived {
            of_each[index] = Some(attempt);
        }
        let of_each = of_each.into_iter();
        of_each
            .map(|attempt| attempt.unwrap_or_else(Attempt::died))
            .collect()
    }
}
