//! What the checks of serve share: threads that read files, memory, and the content of files. A stamp
//! shows whether a file has changed since it was read.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

use super::readers::Readers;

/// The resources that checks share.
#[derive(Debug)]
pub struct Library {
    /// The threads that read files.
    pub readers: Readers,
    /// The memory that the checks may use.
    pub memory: Arc<Memory>,
    kept: Mutex<HashMap<(TypeId, PathBuf), Kept>>,
}

/// The parsed content of a file.
#[derive(Debug)]
struct Kept {
    stamp: Stamp,
    content: Arc<dyn Any + Send + Sync>,
    share: Arc<Share>,
}

impl Library {
    /// Creates the resources for at most `checks` checks at once, with `bytes` bytes of memory.
    pub fn new(checks: usize, bytes: usize) -> Arc<Library> {
        Arc::new(Library {
            readers: Readers::new(checks),
            memory: Memory::new(bytes),
            kept: Mutex::default(),
        })
    }

    /// Takes memory. If too little is left, first frees the files that no check uses.
    ///
    /// # Errors
    ///
    /// Too little memory is left.
    pub fn take(&self, bytes: usize) -> Result<Share, UsedUp> {
        self.memory.take(bytes).or_else(|_| {
            self.forget_unused();
            self.memory.take(bytes)
        })
    }

    /// Frees the stored files that no check and no stored options use.
    pub fn forget_unused(&self) {
        let used = |kept: &mut Kept| Arc::strong_count(&kept.share) > 1;
        self.lock().retain(|_, kept| used(kept));
    }

    /// Returns the stored content of a file, if the file hasn't changed.
    pub(super) fn find<T: Send + Sync + 'static>(
        &self,
        path: &Path,
        stamp: &Stamp,
    ) -> Option<(Arc<T>, Arc<Share>)> {
        let kept = self.lock();
        let found = kept.get(&(TypeId::of::<T>(), path.to_owned()))?;
        let content = found.content.clone().downcast().ok()?;
        (found.stamp == *stamp).then(|| (content, found.share.clone()))
    }

    /// Stores the content of a file for the next check that names the file.
    pub(super) fn keep<T: Send + Sync + 'static>(
        &self,
        path: &Path,
        stamp: Stamp,
        content: Arc<T>,
        share: Arc<Share>,
    ) {
        let kept = Kept {
            stamp,
            content,
            share,
        };
        let key = (TypeId::of::<T>(), path.to_owned());
        self.lock().insert(key, kept);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(TypeId, PathBuf), Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A memory budget: the number of bytes that are left.
#[derive(Debug)]
pub struct Memory(AtomicUsize);

/// A part of the memory budget. It is given back when this value is dropped.
#[derive(Debug)]
pub struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

/// The error that the memory for the checks of serve is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedUp;

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all memory for files, options and bodies is in use (limit of sni-check serve)")
    }
}

impl std::error::Error for UsedUp {}

impl Memory {
    /// Creates a budget of `bytes` bytes.
    pub fn new(bytes: usize) -> Arc<Memory> {
        Arc::new(Memory(AtomicUsize::new(bytes)))
    }

    /// Returns how many bytes are left.
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes `bytes` bytes.
    ///
    /// # Errors
    ///
    /// Fewer bytes are left.
    pub fn take(self: &Arc<Memory>, bytes: usize) -> Result<Share, UsedUp> {
        self.subtract(bytes)?;
        let memory = self.clone();
        Ok(Share { memory, bytes })
    }

    fn subtract(&self, bytes: usize) -> Result<(), UsedUp> {
        let order = Ordering::Relaxed;
        let taken = self
            .0
            .fetch_update(order, order, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| UsedUp)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Share {
    /// Changes the size of the share. A smaller share gives memory back.
    ///
    /// # Errors
    ///
    /// Too little memory is left. The share stays as it was.
    pub fn resize(&mut self, bytes: usize) -> Result<(), UsedUp> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.memory.subtract(more)?,
            None => self.memory.add(self.bytes - bytes),
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.add(self.bytes);
    }
}

/// A file that changed more recently than this may change again without a change of its times. The
/// kernel counts times in ticks, and some file systems count whole seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// The metadata that changes whenever a file changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    /// Seconds and nanoseconds, like `changed`.
    modified: (i64, i64),
    /// Changes with every write, and can't be set back.
    changed: (i64, i64),
}

impl Stamp {
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    pub fn new(stat: &Stat) -> Stamp {
        Stamp {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            size: stat.st_size.into(),
            modified: (stat.st_mtime.into(), stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime.into(), stat.st_ctime_nsec as i64),
        }
    }

    /// Returns the stamp of a file. Returns `None` if the file changed so recently that another change might
    /// leave the stamp as it is.
    pub fn settled(stat: &Stat) -> Option<Stamp> {
        let stamp = Stamp::new(stat);
        let seconds = u64::try_from(stamp.changed.0).unwrap_or_default();
        let changed = UNIX_EPOCH + Duration::from_secs(seconds);
        let age = SystemTime::now().duration_since(changed).ok()?;
        (age > SETTLED).then_some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, UsedUp};

    #[test]
    fn dropped_shares_give_memory_back() {
        let memory = Memory::new(100);
        let mut first = memory.take(60).expect("enough");
        assert_eq!(memory.take(41).err(), Some(UsedUp));
        assert_eq!(first.resize(101), Err(UsedUp));
        first.resize(80).expect("enough");
        assert_eq!(memory.left(), 20);
        first.resize(10).expect("less");
        assert_eq!(memory.left(), 90);
        drop(first);
        assert_eq!(memory.left(), 100);
    }
}
