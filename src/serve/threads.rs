//! A thread for each check that runs, made when none is idle.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Several times what a check needs; only what it touches becomes memory.
const STACK: usize = 256 << 10;
/// How many threads wait for the next check rather than end.
const IDLE: usize = 16;
/// How long a connection beyond the limit waits for a place: HAProxy, and a host that was held up,
/// bring many at the same moment.
const PATIENCE: Duration = Duration::from_millis(250);

/// How soon it is looked again whether one that has waited so long still does.
const SHORTEST: Duration = Duration::from_millis(10);

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub fd: OwnedFd,
    pub accepted: Instant,
    /// Whether a check may run for it.
    pub within_limit: bool,
}

/// Threads that serve connections.
pub(super) struct Threads<F> {
    shared: Arc<Shared<F>>,
}

struct Shared<F> {
    serve: F,
    /// How many may be served at once.
    limit: usize,
    state: Mutex<State>,
    /// There is a connection to serve.
    came: Condvar,
    /// There is one that has to wait.
    waits: Condvar,
    /// One was served.
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Connection>,
    /// Connections that wait or are being served.
    open: usize,
    threads: usize,
    /// Threads without a connection.
    idle: usize,
}

impl<F: Fn(Connection) + Send + Sync + 'static> Threads<F> {
    /// Threads that call `serve`, for at most `limit` connections at once; and one that calls it for
    /// those that have waited in vain.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn new(limit: usize, serve: F) -> io::Result<Threads<F>> {
        let shared = Arc::new(Shared {
            serve,
            limit,
            state: Mutex::default(),
            came: Condvar::new(),
            waits: Condvar::new(),
            done: Condvar::new(),
        });
        let threads = Threads { shared };
        threads.spawn(Shared::refuse)?;
        Ok(threads)
    }

    /// Has a connection served.
    ///
    /// # Errors
    /// No thread can be made, and there is none.
    pub fn serve(&self, fd: OwnedFd, accepted: Instant) -> io::Result<()> {
        let mut state = self.shared.lock();
        // Twice as many as may wait: those that are too many are being refused.
        while state.waiting.len() >= 2 * self.shared.limit {
            state = wait(&self.shared.done, state);
        }
        state.open += 1;
        state.waiting.push_back(Connection {
            fd,
            accepted,
            within_limit: true,
        });
        if state.idle >= state.waiting.len() {
            self.shared.came.notify_one();
            return Ok(());
        }
        if state.threads >= self.shared.limit {
            self.shared.waits.notify_one();
            return Ok(());
        }
        state.threads += 1;
        let Err(error) = self.spawn(Shared::run) else {
            return Ok(());
        };
        state.threads -= 1;
        if state.threads > 0 {
            return Ok(());
        }
        state.waiting.pop_back();
        state.open -= 1;
        Err(error)
    }

    /// Waits until everything is served, but no longer than this; returns whether it is.
    pub fn finish(&self, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        let mut state = self.shared.lock();
        while state.open > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.done.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn spawn(&self, run: fn(&Shared<F>)) -> io::Result<()> {
        let shared = self.shared.clone();
        let thread = thread::Builder::new().stack_size(STACK);
        thread.spawn(move || run(&shared)).map(drop)
    }
}

impl<F: Fn(Connection)> Shared<F> {
    /// Serves what comes, until enough others are idle.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if let Some(connection) = state.waiting.pop_front() {
                state = self.serve(state, connection);
                continue;
            }
            if state.idle >= IDLE {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            state = wait(&self.came, state);
            state.idle -= 1;
        }
    }

    /// Refuses those that have waited in vain, and the oldest of too many.
    fn refuse(&self) {
        let mut state = self.lock();
        loop {
            let Some(front) = state.waiting.front() else {
                state = wait(&self.waits, state);
                continue;
            };
            let full = state.threads >= self.limit && state.idle == 0;
            let age = front.accepted.elapsed();
            // Some of those that wait are about to be taken by a thread that is starting.
            if !full || (age < PATIENCE && state.open <= 2 * self.limit) {
                let rest = PATIENCE.saturating_sub(age).max(SHORTEST);
                let waited = self.waits.wait_timeout(state, rest);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            if let Some(mut connection) = state.waiting.pop_front() {
                connection.within_limit = false;
                state = self.serve(state, connection);
            }
        }
    }

    fn serve<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        connection: Connection,
    ) -> MutexGuard<'a, State> {
        drop(state);
        (self.serve)(connection);
        let mut state = self.lock();
        state.open -= 1;
        self.done.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    let waited = condition.wait(state);
    waited.unwrap_or_else(PoisonError::into_inner)
}
