//! Memory that many checks of one process share: what one of them has taken, the others can't take.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much memory is left, in bytes.
#[derive(Debug)]
pub struct Memory(AtomicUsize);

/// Memory that was taken, and is given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

/// The memory that checks share is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedUp;

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all memory for files, options and bodies is in use (limit of sni-check serve)")
    }
}

impl std::error::Error for UsedUp {}

impl Memory {
    /// So many bytes.
    pub fn new(bytes: usize) -> Arc<Memory> {
        Arc::new(Memory(AtomicUsize::new(bytes)))
    }

    /// Returns how many bytes are left.
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// Fewer are left.
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
}

impl Share {
    /// Makes the share as large as this; a smaller share gives memory back.
    ///
    /// # Errors
    /// Too little is left. The share stays as it was.
    pub fn resize(&mut self, bytes: usize) -> Result<(), UsedUp> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.memory.subtract(more)?,
            None => {
                _ = self
                    .memory
                    .0
                    .fetch_add(self.bytes - bytes, Ordering::Relaxed)
            }
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, UsedUp};

    #[test]
    fn what_is_taken_is_given_back() {
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
