//! A memory budget that many checks of one process share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of bytes that are left.
#[derive(Debug)]
pub struct Memory(AtomicUsize);

/// A part of the memory, which is given back when this value is dropped.
#[derive(Debug)]
pub struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

/// An error: the memory that checks share is used up.
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
