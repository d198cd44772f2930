//! What the checks of serve share of the files that options name: readers, memory, and what was read.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::{Memory, Share, UsedUp};
use super::readers::Readers;
use super::stamp::Stamp;

/// What the checks share.
#[derive(Debug)]
pub struct Library {
    /// Whoever reads for them.
    pub readers: Readers,
    /// The memory that they may use.
    pub memory: Arc<Memory>,
    kept: Mutex<HashMap<(TypeId, PathBuf), Kept>>,
}

/// What a file holds.
#[derive(Debug)]
struct Kept {
    stamp: Stamp,
    content: Arc<dyn Any + Send + Sync>,
    share: Arc<Share>,
}

impl Library {
    /// For so many checks at once, with so many bytes of memory.
    pub fn new(checks: usize, bytes: usize) -> Arc<Library> {
        Arc::new(Library {
            readers: Readers::new(checks),
            memory: Memory::new(bytes),
            kept: Mutex::default(),
        })
    }

    /// Takes memory, if need be from files that no check uses.
    ///
    /// # Errors
    /// Too little is left.
    pub fn take(&self, bytes: usize) -> Result<Share, UsedUp> {
        self.memory.take(bytes).or_else(|_| {
            self.forget_unused();
            self.memory.take(bytes)
        })
    }

    /// Forgets the files that no check and no options use.
    pub fn forget_unused(&self) {
        let used = |kept: &mut Kept| Arc::strong_count(&kept.share) > 1;
        self.lock().retain(|_, kept| used(kept));
    }

    /// Returns what is kept of a file, if the file is still the same.
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

    /// Keeps what a file holds for the next one who names it.
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
