//! The files that options name: which of them may be read, and whether they are still the same.

use std::cell::RefCell;
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Error, Result};
use rustix::fs::{
    Dir, FileType, FsWord, Mode, OFlags, PROC_SUPER_MAGIC, Stat, fstat, fstatfs, open, stat,
};
use rustix::io::Errno;

use super::walk::{Bounds, open_in};
use crate::refusal::refusal;

/// How large a file may be, in bytes; revocation lists are the largest.
const LARGEST: u64 = 64 << 20;

/// How much is read at once. No signal ends a process in the middle of a read, which for some files of the
/// kernel's takes a while.
const PIECE: usize = 64 << 10;

/// The kernel's own file systems. Nothing that an option wants is there: some of their files are endless,
/// slow or secret.
const KERNELS: [FsWord; 2] = [PROC_SUPER_MAGIC, 0x6265_6572];

/// A file that changed so recently may change once more without its times showing it: the kernel
/// counts them in ticks, and some file systems in whole seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// The files that options may name.
#[derive(Debug, Default)]
pub struct Files {
    scope: Scope,
    read: RefCell<Vec<(PathBuf, Option<Stamp>)>>,
}

/// Which files may be read, and where their paths start.
#[derive(Clone, Debug, Default)]
enum Scope {
    /// Every file that this process may read.
    #[default]
    Any,
    /// Those of options from elsewhere.
    Only(Arc<Allowed>),
    /// Those below this folder, which is `/` to whoever named them.
    Within(PathBuf),
}

/// The only files that options from elsewhere may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Whatever is below these folders, and not by way of a link that leads out of them.
    pub folders: Vec<PathBuf>,
    /// These, wherever they are.
    pub named: Vec<PathBuf>,
}

impl Files {
    /// Every file: the options are those of whoever runs this process.
    pub fn any() -> Files {
        Files::default()
    }

    /// Only these: the options come from elsewhere.
    pub fn only(allowed: Arc<Allowed>) -> Files {
        Files {
            scope: Scope::Only(allowed),
            read: RefCell::default(),
        }
    }

    /// Those that a process would find whose root is this folder. Nobody who moves links and folders
    /// there can lead to a file outside of it.
    pub fn within(root: &Path) -> Files {
        Files {
            scope: Scope::Within(root.to_owned()),
            read: RefCell::default(),
        }
    }

    /// Reads a regular file. `subject` is the option and its value, for the refusal.
    ///
    /// # Errors
    /// One that may not be read, cannot be read, is not a regular file or is too large.
    pub fn read(&self, subject: &str, file: &str) -> Result<Vec<u8>> {
        let (fd, stat) = self.open(subject, file)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !kind.is_file() {
            let what = format!(
                "cannot be read: it is {}, not a regular file",
                name_of(kind)
            );
            return Err(refusal(subject, what, "write its content to a file"));
        }
        let fits = |size: u64| {
            let what = format!("is larger than {} MiB, a limit of sni-check", LARGEST >> 20);
            let refused = || refusal(subject, what, "leave out what is not needed");
            (size <= LARGEST).then_some(()).ok_or_else(refused)
        };
        // Before it takes memory.
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        fits(size)?;
        if size == 0 && fstatfs(&fd).is_ok_and(|of| KERNELS.contains(&of.f_type)) {
            let what = "is the kernel's (/proc or /sys), not a file on a disk";
            return Err(refusal(subject, what, "name the file itself"));
        }
        let unreadable = |errno: Errno| self.unreadable(subject, &errno);
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        let mut piece = vec![0; PIECE];
        loop {
            match rustix::io::read(&fd, &mut piece) {
                Ok(0) => return Ok(content),
                Ok(length) => content.extend_from_slice(&piece[..length]),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(unreadable(errno)),
            }
            fits(content.len() as u64)?;
        }
    }

    /// The names in a folder, sorted; `None` for what is not a folder.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn list(&self, subject: &str, folder: &str) -> Result<Option<Vec<String>>> {
        let (fd, stat) = self.open(subject, folder)?;
        if !FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Ok(None);
        }
        let unreadable = |errno: Errno| self.unreadable(subject, &errno);
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    /// The same files, of which nothing was read yet.
    pub fn again(&self) -> Files {
        Files {
            scope: self.scope.clone(),
            read: RefCell::default(),
        }
    }

    /// What was read so far.
    pub fn into_seen(self) -> Seen {
        Seen(self.read.into_inner())
    }

    /// Opens something for reading, whatever it is, without waiting.
    ///
    /// # Errors
    /// What may not or cannot be opened.
    pub(crate) fn open(&self, subject: &str, file: &str) -> Result<(OwnedFd, Stat)> {
        // Opening a FIFO must not wait for whoever writes to it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let unreadable = |errno: Errno| self.unreadable(subject, &errno);
        let at_once = |path: &Path| open(path, flags, Mode::empty()).map_err(unreadable);
        let path = Path::new(file);
        let fd = match &self.scope {
            Scope::Any => at_once(path)?,
            Scope::Within(root) => {
                open_in(root, path, flags, Bounds::InRoot).map_err(unreadable)?
            }
            Scope::Only(allowed) if allowed.names(path) => at_once(path)?,
            Scope::Only(allowed) => {
                let (folder, rest) = allowed.below(subject, path)?;
                match open_in(folder, rest, flags, Bounds::Beneath) {
                    Err(Errno::XDEV) => return Err(allowed.outside(subject)),
                    opened => opened.map_err(unreadable)?,
                }
            }
        };
        let stat = fstat(&fd).map_err(unreadable)?;
        if matches!(self.scope, Scope::Only(_)) {
            let stamp = Stamp::settled(&stat);
            self.read.borrow_mut().push((path.to_owned(), stamp));
        }
        Ok((fd, stat))
    }

    fn unreadable(&self, subject: &str, error: &dyn Display) -> Error {
        let write = match self.scope {
            Scope::Any | Scope::Within(_) => {
                "name a file that is inside HAProxy's chroot, if it has one, and readable for its user"
            }
            Scope::Only(_) => "name a file that the user of sni-check serve may read",
        };
        refusal(subject, format!("cannot be read: {error}"), write)
    }
}

impl Allowed {
    /// Whether a path is one of `named`, or in one that is a folder.
    fn names(&self, path: &Path) -> bool {
        let mut named = self.named.iter();
        named.any(|named| named == path || path.parent() == Some(named))
    }

    /// The folder that a path is below, and the rest of the path.
    fn below<'a>(&self, subject: &str, path: &'a Path) -> Result<(&Path, &'a Path)> {
        let found = self.folders.iter().find_map(|folder| {
            let rest = path.strip_prefix(folder).ok()?;
            (!rest.as_os_str().is_empty()).then_some((folder.as_path(), rest))
        });
        found.ok_or_else(|| self.outside(subject))
    }

    fn outside(&self, subject: &str) -> Error {
        let folders: Vec<_> = self
            .folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        let write = match folders.as_slice() {
            [] => "start sni-check serve with --files DIR".to_owned(),
            folders => format!("write a path below {}", folders.join(" or ")),
        };
        refusal(subject, "is not below a folder of --files", write)
    }
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a pipe",
        FileType::Directory => "a folder",
        FileType::Socket => "a socket",
        _ => "a device",
    }
}

/// Files as they were when they were read.
#[derive(Debug, Default)]
pub struct Seen(Vec<(PathBuf, Option<Stamp>)>);

impl Seen {
    /// Whether all of them are still the same.
    pub fn unchanged(&self) -> bool {
        self.0.iter().all(|(path, stamp)| {
            stamp.is_some() && stat(path).is_ok_and(|stat| Some(Stamp::new(&stat)) == *stamp)
        })
    }
}

/// What changes whenever a file does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    /// Seconds and nanoseconds, as is the next.
    modified: (i64, i64),
    /// Changes with every write, and cannot be set back.
    changed: (i64, i64),
}

impl Stamp {
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    fn new(stat: &Stat) -> Stamp {
        Stamp {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            size: stat.st_size.into(),
            modified: (stat.st_mtime.into(), stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime.into(), stat.st_ctime_nsec as i64),
        }
    }

    /// `None` while the file is so young that a further change might not show.
    fn settled(stat: &Stat) -> Option<Stamp> {
        let stamp = Stamp::new(stat);
        let seconds = u64::try_from(stamp.changed.0).unwrap_or_default();
        let changed = UNIX_EPOCH + Duration::from_secs(seconds);
        let age = SystemTime::now().duration_since(changed).ok()?;
        (age > SETTLED).then_some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};
    use std::{fs, process};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::{Allowed, Files};

    /// A folder with `in/file`, `out` and a pipe.
    fn folder(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("files-{}-{test}", process::id()));
        fs::create_dir_all(folder.join("in")).expect("a folder");
        fs::write(folder.join("in/file"), "inside").expect("a file");
        fs::write(folder.join("out"), "outside").expect("a file");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, folder.join("pipe"), FileType::Fifo, mode, 0).expect("a pipe");
        folder
    }

    fn refusal(files: &Files, file: &str) -> String {
        let error = files.read("--ca-file x", file).expect_err(file);
        format!("{error:#}")
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_at_once() {
        let folder = folder("kinds");
        let path = |name: &str| folder.join(name).display().to_string();
        let files = Files::any();
        assert!(refusal(&files, &path("pipe")).contains("it is a pipe, not a regular file"));
        assert!(refusal(&files, &path("in")).contains("it is a folder"));
        assert!(refusal(&files, "/dev/zero").contains("it is a device"));
        assert!(refusal(&files, "/proc/self/environ").contains("is the kernel's (/proc or /sys)"));
        assert!(refusal(&files, &path("none")).contains("inside HAProxy's chroot"));
        let read = files.read("--ca-file x", &path("out")).expect("a file");
        assert_eq!(read, b"outside");
        let names = files.list("--ca-file x", &path("in")).expect("a folder");
        assert_eq!(names.expect("names"), ["file"]);
        let none = files.list("--ca-file x", &path("out")).expect("a file");
        assert_eq!(none, None);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn only_what_is_below_the_folders_is_read() {
        let folder = folder("below");
        let path = |name: &str| folder.join(name).display().to_string();
        symlink("file", folder.join("in/inner")).expect("a link");
        symlink("../out", folder.join("in/outer")).expect("a link");
        symlink(folder.join("in/file"), folder.join("in/absolute")).expect("a link");
        let files = |folders: &[PathBuf], named: &[PathBuf]| {
            Files::only(Arc::new(Allowed {
                folders: folders.to_vec(),
                named: named.to_vec(),
            }))
        };
        let below = files(&[folder.join("in")], &[]);
        for inside in ["in/file", "in/inner"] {
            let read = below.read("--ca-file x", &path(inside));
            assert_eq!(read.expect(inside), b"inside");
        }
        for outside in [
            "out",
            "in/../out",
            "in/outer",
            "in/absolute",
            "in",
            "inside",
        ] {
            let refused = refusal(&below, &path(outside));
            assert!(
                refused.contains("not below a folder of --files"),
                "{refused}"
            );
        }
        assert!(refusal(&below, "file").contains("not below"));
        assert!(refusal(&files(&[], &[]), &path("out")).contains("with --files DIR"));
        let named = files(&[], &[folder.join("out")]);
        assert_eq!(named.read("x", &path("out")).expect("named"), b"outside");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn every_change_of_a_file_shows() {
        let folder = folder("changes");
        let file = folder.join("in/file");
        let read = || {
            let files = Files::only(Arc::new(Allowed {
                folders: vec![folder.join("in")],
                named: Vec::new(),
            }));
            let content = files.read("x", &file.display().to_string());
            content.expect("a file");
            files.into_seen()
        };
        // What was written just now may be written again within the same tick of the clock.
        assert!(!read().unchanged());
        let settled = super::Seen(
            (read().0.into_iter())
                .map(|(path, _)| {
                    let stat = rustix::fs::stat(&path).expect("a file");
                    (path, Some(super::Stamp::new(&stat)))
                })
                .collect(),
        );
        assert!(settled.unchanged());
        let times = fs::FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(9));
        let opened = fs::File::options().write(true).open(&file).expect("a file");
        opened.set_times(times).expect("times");
        assert!(!settled.unchanged());
        fs::remove_dir_all(folder).expect("removed");
        assert!(!settled.unchanged());
    }
}
