//! Threads that read files for the checks of serve. A file system that doesn't answer blocks only a
//! reader thread. The check stops waiting at its deadline.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;

/// How long a read may take before the file counts as hanging. From then on, only a few checks wait for the
/// file. `PROMPT` must be shorter than the time for which a connection to serve waits for a free place.
const PROMPT: Duration = Duration::from_millis(150);
/// How many files may hang. Each hanging file keeps a thread.
const MOST: usize = 256;
/// How many idle readers wait for work. Further idle readers end.
const IDLE: usize = 2;
/// The stack size of a reader. It suffices to open a file step by step and to read the system's
/// certificates.
const STACK: usize = 128 << 10;

/// Threads that read files, at most one thread for each file.
pub struct Readers {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled when there is work.
    has_work: Condvar,
    /// Signalled when a file was read.
    file_read: Condvar,
    /// How many checks may wait for hanging files. A check that waits keeps its place in serve.
    most_waiting: usize,
}

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    idle: usize,
    /// The files that are being read, each with the time when the read began.
    busy: HashMap<PathBuf, Instant>,
    /// How many checks wait for hanging files.
    waiting: usize,
}

type Work = Box<dyn FnOnce() + Send>;

/// The reason why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// The file hangs: the deadline has passed, or enough checks already wait for hanging files.
    Hangs,
    /// Too many files hang, or no thread can be started.
    TooMany,
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotRead::Hangs => f.write_str("its file system does not answer"),
            NotRead::TooMany => write!(f, "{MOST} other files hang (limit of sni-check serve)"),
        }
    }
}

impl Readers {
    /// Creates readers for `checks` checks at once. At most a quarter of the checks may wait for
    /// hanging files.
    pub fn new(checks: usize) -> Readers {
        let shared = Shared {
            state: Mutex::default(),
            has_work: Condvar::new(),
            file_read: Condvar::new(),
            most_waiting: (checks / 4).max(usize::from(checks > 1)),
        };
        Readers {
            shared: Arc::new(shared),
        }
    }

    /// Does `work` with a file on a reader thread, and returns the result.
    ///
    /// # Errors
    ///
    /// The work isn't done by the deadline, the file hangs and enough checks already wait for hanging files,
    /// too many files hang, or no reader thread can be started.
    pub fn run<T: Send + 'static>(
        &self,
        path: &Path,
        deadline: Deadline,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotRead> {
        let deadline = deadline.to_report();
        let (answer, answers) = channel();
        let (shared, file) = (self.shared.clone(), path.to_owned());
        let work = move || {
            let result = work();
            shared.lock().busy.remove(&file);
            shared.file_read.notify_all();
            let _ = answer.send(result);
        };
        let mut patience = Patience {
            shared: &self.shared,
            began: Instant::now(),
            deadline,
            counted: false,
        };
        let state = patience.wait_until_free(path)?;
        self.begin(state, path, Box::new(work))?;
        patience.wait_for(&answers)
    }

    fn begin(
        &self,
        mut state: MutexGuard<'_, State>,
        path: &Path,
        work: Work,
    ) -> Result<(), NotRead> {
        if state.busy.len() >= MOST {
            return Err(NotRead::TooMany);
        }
        state.busy.insert(path.to_owned(), Instant::now());
        state.work.push_back(work);
        if state.idle >= state.work.len() {
            self.shared.has_work.notify_one();
            return Ok(());
        }
        let shared = self.shared.clone();
        let thread = thread::Builder::new().stack_size(STACK);
        if thread.spawn(move || shared.read()).is_err() {
            state.work.pop_back();
            state.busy.remove(path);
            return Err(NotRead::TooMany);
        }
        Ok(())
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a reader thread: does queued work, and ends when the queue is empty and enough other
    /// readers are idle.
    fn read(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.work.pop_front() {
                drop(state);
                work();
                state = self.lock();
                continue;
            }
            if state.idle >= IDLE {
                return;
            }
            state.idle += 1;
            let waited = self.has_work.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

/// Decides how long a check keeps waiting for a file.
struct Patience<'a> {
    shared: &'a Shared,
    /// When the read that the check waits for began.
    began: Instant,
    deadline: Deadline,
    /// True if the check is counted as one of the few that may wait for hanging files.
    counted: bool,
}

impl<'a> Patience<'a> {
    /// Returns how long to wait next.
    fn next(&mut self, state: &mut State) -> Result<Duration, NotRead> {
        let left = self.deadline.remaining().ok_or(NotRead::Hangs)?;
        let prompt = PROMPT.saturating_sub(self.began.elapsed());
        if !prompt.is_zero() {
            return Ok(left.min(prompt));
        }
        if !self.counted && state.waiting >= self.shared.most_waiting {
            return Err(NotRead::Hangs);
        }
        state.waiting += usize::from(!self.counted);
        self.counted = true;
        Ok(left)
    }

    /// Waits until no other check reads this file.
    fn wait_until_free(&mut self, path: &Path) -> Result<MutexGuard<'a, State>, NotRead> {
        let mut state = self.shared.lock();
        while let Some(since) = state.busy.get(path) {
            // Count the time of the current read only. A series of short reads doesn't mean that the file
            // hangs.
            self.began = *since;
            let next = self.next(&mut state)?;
            let waited = self.shared.file_read.wait_timeout(state, next);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.began = Instant::now();
        Ok(state)
    }

    fn wait_for<T>(&mut self, answers: &Receiver<T>) -> Result<T, NotRead> {
        loop {
            let next = self.next(&mut self.shared.lock())?;
            match answers.recv_timeout(next) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(NotRead::TooMany),
            }
        }
    }
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.shared.lock().waiting -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Deadline, NotRead, Readers};

    fn soon() -> Deadline {
        Deadline::new(Instant::now(), Duration::from_millis(400))
    }

    #[test]
    fn a_hanging_file_blocks_one_reader_and_only_a_few_checks() {
        let readers = Readers::new(8);
        let (release, held) = channel::<()>();
        let began = Instant::now();
        let hangs = readers.run(Path::new("/hangs"), soon(), move || _ = held.recv());
        assert_eq!(hangs, Err(NotRead::Hangs));
        assert!(began.elapsed() > Duration::from_millis(300));
        // Two of the eight checks wait until their deadline. The other checks fail immediately.
        let prompt = thread::scope(|scope| {
            let others = [(); 6].map(|()| {
                scope.spawn(|| {
                    let began = Instant::now();
                    let hangs = readers.run(Path::new("/hangs"), soon(), || ());
                    assert_eq!(hangs, Err(NotRead::Hangs));
                    began.elapsed() < Duration::from_millis(250)
                })
            });
            assert_eq!(readers.run(Path::new("/other"), soon(), || 7), Ok(7));
            let prompt = others.map(|other| other.join().expect("no panic"));
            prompt.iter().filter(|prompt| **prompt).count()
        });
        assert!(prompt >= 4, "{prompt}");
        drop(release);
        let patient = Deadline::new(Instant::now(), Duration::from_secs(30));
        assert_eq!(readers.run(Path::new("/hangs"), patient, || 8), Ok(8));
    }
}
