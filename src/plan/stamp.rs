//! File stamps, which show whether a file has changed since it was read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

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

    /// Returns `None` while the file is so young that a further change might not show.
    pub fn settled(stat: &Stat) -> Option<Stamp> {
        let stamp = Stamp::new(stat);
        let seconds = u64::try_from(stamp.changed.0).unwrap_or_default();
        let changed = UNIX_EPOCH + Duration::from_secs(seconds);
        let age = SystemTime::now().duration_since(changed).ok()?;
        (age > SETTLED).then_some(stamp)
    }
}
