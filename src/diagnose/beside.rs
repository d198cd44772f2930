//! Several jobs at a time, on as many threads as there may be.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Something to do, which keeps what came of it.
pub(super) type Job<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Does the jobs beside each other. Each gets a thread as far as the system allows; this thread does
/// the rest.
pub(super) fn beside(jobs: Vec<Job<'_>>) {
    let others = jobs.len().saturating_sub(1);
    let queue = Mutex::new(VecDeque::from(jobs));
    let work = || {
        while let Some(job) = next(&queue) {
            job();
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            let thread = thread::Builder::new().spawn_scoped(scope, work);
            if thread.is_err() {
                break;
            }
        }
        work();
    });
}

fn next<'a>(queue: &Mutex<VecDeque<Job<'a>>>) -> Option<Job<'a>> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.pop_front()
}
