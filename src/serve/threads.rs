//! A thread for each check that runs, made when none is idle.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// What a check needs, with twice the room.
const STACK: usize = 256 << 10;
/// How many threads wait for the next check rather than end.
const IDLE: usize = 16;
/// How many connections beyond the limit are told so at once.
const REFUSERS: usize = 8;

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
    limit: usize,
}

struct Shared<F> {
    serve: F,
    state: Mutex<State>,
    /// There is a connection to serve.
    came: Condvar,
    /// One was served.
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Connection>,
    /// Connections that wait or are being served.
    open: usize,
    /// Threads without a connection.
    idle: usize,
}

impl<F: Fn(Connection) + Send + Sync + 'static> Threads<F> {
    /// Threads that call `serve`, for at most `limit` connections at once.
    pub fn new(limit: usize, serve: F) -> Threads<F> {
        let shared = Shared {
            serve,
            state: Mutex::default(),
            came: Condvar::new(),
            done: Condvar::new(),
        };
        Threads {
            shared: Arc::new(shared),
            limit,
        }
    }

    /// Has a connection served. Waits only while the connections that are told of the limit are too
    /// many as well.
    ///
    /// # Errors
    /// No thread can be made, and none is there to wait for.
    pub fn serve(&self, fd: OwnedFd, accepted: Instant) -> io::Result<()> {
        let mut state = self.shared.lock();
        while state.open >= self.limit + REFUSERS {
            state = wait(&self.shared.done, state);
        }
        let within_limit = state.open < self.limit;
        state.open += 1;
        state.waiting.push_back(Connection {
            fd,
            accepted,
            within_limit,
        });
        if state.idle >= state.waiting.len() {
            self.shared.came.notify_one();
            return Ok(());
        }
        let shared = self.shared.clone();
        let made = thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || shared.run());
        match made {
            Ok(_) => Ok(()),
            // One that is busy now takes it when it is done.
            Err(_) if state.open > state.waiting.len() => Ok(()),
            Err(error) => {
                state.waiting.pop_back();
                state.open -= 1;
                Err(error)
            }
        }
    }

    /// Waits until everything is served.
    pub fn finish(&self) {
        let mut state = self.shared.lock();
        while state.open > 0 {
            state = wait(&self.shared.done, state);
        }
    }
}

impl<F: Fn(Connection)> Shared<F> {
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if let Some(connection) = state.waiting.pop_front() {
                drop(state);
                (self.serve)(connection);
                state = self.lock();
                state.open -= 1;
                self.done.notify_all();
                continue;
            }
            if state.idle >= IDLE {
                return;
            }
            state.idle += 1;
            state = wait(&self.came, state);
            state.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    let waited = condition.wait(state);
    waited.unwrap_or_else(PoisonError::into_inner)
}
