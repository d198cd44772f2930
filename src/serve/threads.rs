//! Runs each check on a thread. If no thread is idle, a new thread starts.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The stack size of a thread. A check uses only a fraction of it, and only the used part needs memory.
const STACK: usize = 256 << 10;
/// How many idle threads wait for the next check. Further idle threads exit.
const IDLE: usize = 16;
/// How long a connection beyond the limit waits for a place. Many connections may arrive at the same
/// moment: HAProxy starts many checks at once, or the host was too busy to run serve.
const PATIENCE: Duration = Duration::from_millis(250);

/// The shortest pause before we look again at a connection that has waited too long.
const SHORTEST: Duration = Duration::from_millis(10);

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub fd: OwnedFd,
    pub accepted: Instant,
    /// True if the connection got a place, so that its check may run.
    pub within_limit: bool,
}

/// Threads that serve connections.
pub(super) struct Threads<F> {
    shared: Arc<Shared<F>>,
}

struct Shared<F> {
    serve: F,
    /// How many connections may be served at once.
    limit: usize,
    state: Mutex<State>,
    /// Signalled when there is a connection to serve.
    arrived: Condvar,
    /// Signalled when a connection has to wait.
    stalled: Condvar,
    /// Signalled when a connection was served.
    served: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Connection>,
    /// Connections that wait or are being served.
    open: usize,
    threads: usize,
    /// Threads without a connection.
    idle: usize,
    /// True if the system refused the last attempt to start a thread, because of a limit or too little
    /// memory.
    no_more_threads: bool,
}

impl<F: Fn(Connection) + Send + Sync + 'static> Threads<F> {
    /// Starts the thread that calls `serve` for connections that have waited too long for a place. Up to
    /// `limit` further threads call `serve` for other connections. They start when connections arrive.
    ///
    /// # Errors
    ///
    /// The thread can't be started.
    pub fn new(limit: usize, serve: F) -> io::Result<Threads<F>> {
        let shared = Arc::new(Shared {
            serve,
            limit,
            state: Mutex::default(),
            arrived: Condvar::new(),
            stalled: Condvar::new(),
            served: Condvar::new(),
        });
        let threads = Threads { shared };
        threads.spawn(Shared::refuse)?;
        Ok(threads)
    }

    /// Passes a connection to a thread.
    ///
    /// # Errors
    ///
    /// No thread runs, and no thread can be started.
    pub fn serve(&self, fd: OwnedFd, accepted: Instant) -> io::Result<()> {
        let mut state = self.shared.lock();
        // The queue may hold twice as many connections as the limit, because connections beyond the limit
        // wait until serve refuses them.
        while state.waiting.len() >= 2 * self.shared.limit {
            state = wait(&self.shared.served, state);
        }
        state.open += 1;
        state.waiting.push_back(Connection {
            fd,
            accepted,
            within_limit: true,
        });
        if state.idle >= state.waiting.len() {
            self.shared.arrived.notify_one();
            return Ok(());
        }
        if state.threads >= self.shared.limit {
            self.shared.stalled.notify_one();
            return Ok(());
        }
        state.threads += 1;
        let spawned = self.spawn(Shared::run);
        state.no_more_threads = spawned.is_err();
        let Err(error) = spawned else {
            return Ok(());
        };
        state.threads -= 1;
        if state.threads > 0 {
            self.shared.stalled.notify_one();
            return Ok(());
        }
        state.waiting.pop_back();
        state.open -= 1;
        Err(error)
    }

    /// Waits until all connections are served, but not longer than `longest`. Returns true if all
    /// are served.
    pub fn finish(&self, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        let mut state = self.shared.lock();
        while state.open > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.served.wait_timeout(state, left);
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
    /// Serves connections, until enough other threads are idle.
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
            state = wait(&self.arrived, state);
            state.idle -= 1;
        }
    }

    /// Refuses connections that have waited too long for a place, and the oldest connections if too many
    /// wait.
    fn refuse(&self) {
        let mut state = self.lock();
        loop {
            let Some(front) = state.waiting.front() else {
                state = wait(&self.stalled, state);
                continue;
            };
            let most = state.threads >= self.limit || state.no_more_threads;
            let full = most && state.idle == 0;
            let age = front.accepted.elapsed();
            // A thread that is starting may be about to serve some of the waiting connections.
            if !full || (age < PATIENCE && state.open <= 2 * self.limit) {
                let rest = PATIENCE.saturating_sub(age).max(SHORTEST);
                let waited = self.stalled.wait_timeout(state, rest);
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
        self.served.notify_all();
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
