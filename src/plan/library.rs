//! What the checks of serve share: threads that read files, memory, and the content of files.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::{Memory, Share, UsedUp};
use super::readers::Readers;
use super::stamp::Stamp;

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

    /// Frees the files that no check and no options use.
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
