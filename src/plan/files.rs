//! Reads the files that options name, if the options are allowed to name them, and detects later changes.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Error, Result};
use rustix::fs::{Dir, FileType, FsWord, PROC_SUPER_MAGIC, Stat, fstat, fstatfs, stat};
use rustix::io::Errno;

use super::library::{Library, Share, Stamp};
pub use super::scope::Allowed;
use super::scope::Scope;
use crate::deadline::Deadline;
use crate::refusal::refusal;

/// The size of the largest file that is read, in bytes. Revocation lists are the largest files in practice.
const LARGEST: u64 = 64 << 20;

/// How many bytes are read at once. The number is small, because no signal can end a process in the
/// middle of a read, and some kernel files are slow to read.
const PIECE: usize = 64 << 10;

/// How much memory a file needs in addition to its content.
const OVERHEAD: usize = 2 << 10;

/// The kernel's own file systems, /proc and /sys. No option needs a file there, and some of these
/// files are endless, slow or secret.
const KERNELS: [FsWord; 2] = [PROC_SUPER_MAGIC, 0x6265_6572];

/// The size of the largest file that requests to serve may name, in bytes. All these files share the memory
/// budget of serve.
const LARGEST_SHARED: u64 = 4 << 20;

/// The files that options may name.
#[derive(Debug, Default)]
pub struct Files {
    scope: Scope,
    /// The resources that the checks of serve share, and the deadline of the check that reads the files.
    /// `None` outside of serve.
    shared: Option<(Arc<Library>, Deadline)>,
    read: RefCell<ReadFiles>,
    /// True if a file was not read because of a limit, or because a file system didn't answer.
    hindered: Cell<bool>,
}

impl Files {
    /// Allows every file, because the options come from the user who runs this process.
    pub fn any() -> Files {
        Files::default()
    }

    /// Allows every file, in a check that HAProxy runs.
    pub fn of_check() -> Files {
        Files::new(Scope::Check)
    }

    /// Allows only these files, because the options come from requests to serve.
    pub fn only(allowed: Arc<Allowed>) -> Files {
        Files::new(Scope::Only(allowed))
    }

    /// Makes the library's reader threads read the files, until the deadline.
    pub fn read_by(self, library: Arc<Library>, deadline: Deadline) -> Files {
        Files {
            shared: Some((library, deadline)),
            ..self
        }
    }

    /// Allows the files that a process would find if this folder were its root. Moving links and
    /// folders inside the folder can't make sni-check read a file outside of it.
    pub fn within(root: &Path) -> Files {
        Files::new(Scope::Within(root.to_owned()))
    }

    fn new(scope: Scope) -> Files {
        Files {
            scope,
            ..Files::default()
        }
    }

    /// Reads a regular file. `subject` is the option with its value, for the refusal.
    ///
    /// # Errors
    ///
    /// The options aren't allowed to name the file, or it can't be read, isn't a regular file or is too
    /// large.
    pub fn read(&self, subject: &str, file: &str) -> Result<Vec<u8>> {
        let opened = self.open(subject, file)?;
        let (content, share) = self.content(subject, file, opened)?;
        if let Some(share) = share {
            self.read.borrow_mut().memory.push(Arc::new(share));
        }
        Ok(content)
    }

    /// Returns the result of `parse` for a regular file. If checks share their files, keeps the result for
    /// other checks until the file changes.
    ///
    /// # Errors
    ///
    /// The same as for [`Files::read`], and the errors of `parse`.
    pub(super) fn parsed<T: Send + Sync + 'static>(
        &self,
        subject: &str,
        file: &str,
        parse: impl FnOnce(Vec<u8>) -> Result<T>,
    ) -> Result<Arc<T>> {
        let Some((library, _)) = &self.shared else {
            return parse(self.read(subject, file)?).map(Arc::new);
        };
        let opened = self.open(subject, file)?;
        let (path, stamp) = (Path::new(file), Stamp::settled(&opened.1));
        if let Some((content, share)) = stamp.as_ref().and_then(|stamp| library.find(path, stamp)) {
            self.read.borrow_mut().memory.push(share);
            return Ok(content);
        }
        let (bytes, share) = self.content(subject, file, opened)?;
        let length = bytes.len();
        let content = Arc::new(parse(bytes)?);
        if let Some(mut share) = share {
            // The parsed form needs less memory than the text, but each certificate also needs a few
            // pointers.
            share.resize(length + length / 2 + OVERHEAD)?;
            let share = Arc::new(share);
            self.read.borrow_mut().memory.push(share.clone());
            if let Some(stamp) = stamp {
                library.keep(path, stamp, content.clone(), share);
            }
        }
        Ok(content)
    }

    /// Returns the content of an open file, and the share of memory that holds it.
    fn content(
        &self,
        subject: &str,
        file: &str,
        (fd, stat): (OwnedFd, Stat),
    ) -> Result<(Vec<u8>, Option<Share>)> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !kind.is_file() {
            let what = format!(
                "cannot be read: it is {}, not a regular file",
                name_of(kind)
            );
            return Err(refusal(subject, what, "write its content to a file"));
        }
        let most = self.largest(Path::new(file));
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let large = || {
            let what = format!("is larger than {} MiB, a limit of sni-check", most >> 20);
            let write = match most {
                LARGEST => "leave out what is not needed",
                _ => "leave out what is not needed, or name it on serve's own command line",
            };
            refusal(subject, what, write)
        };
        // Check the size before allocating memory for the content.
        if size > most {
            return Err(large());
        }
        if size == 0 && fstatfs(&fd).is_ok_and(|of| KERNELS.contains(&of.f_type)) {
            let what = "is a kernel file (/proc or /sys)";
            return Err(refusal(subject, what, "name a file on a disk"));
        }
        let size = usize::try_from(size).unwrap_or_default();
        let share = match &self.shared {
            // The memory for the text, the parsed form, and a temporary copy.
            Some((library, _)) if most == LARGEST_SHARED => {
                let taken = library.take(3 * size + OVERHEAD);
                Some(taken.inspect_err(|_| self.hindered.set(true))?)
            }
            _ => None,
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let read =
            self.on_reader_thread(subject, Path::new(file), move || in_pieces(&fd, size, most))?;
        match read {
            Some(content) => Ok((content, share)),
            None => Err(large()),
        }
    }

    /// Returns the largest size that this file may have. Files that serve's own command line names
    /// have the same limit as in a check.
    fn largest(&self, path: &Path) -> u64 {
        match (&self.scope, &self.shared) {
            (Scope::Only(allowed), Some(_)) if !allowed.names(path) => LARGEST_SHARED,
            _ => LARGEST,
        }
    }

    /// Returns the names in a folder, sorted, or `None` if the path isn't a folder.
    ///
    /// # Errors
    ///
    /// The same as for [`Files::read`].
    pub fn list(&self, subject: &str, folder: &str) -> Result<Option<Vec<String>>> {
        let (fd, stat) = self.open(subject, folder)?;
        if !FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Ok(None);
        }
        let mut names = self.on_reader_thread(subject, Path::new(folder), move || names_in(&fd))?;
        names.sort_unstable();
        Ok(Some(names))
    }

    /// Returns a copy with the same permissions, but without the record of the files that were
    /// read.
    pub fn with_new_record(&self) -> Files {
        Files {
            scope: self.scope.clone(),
            shared: self.shared.clone(),
            ..Files::default()
        }
    }

    /// Returns true if an existing file may have been skipped: because of a limit, or because a
    /// file system didn't answer.
    pub(super) fn were_hindered(&self) -> bool {
        self.hindered.get()
    }

    /// Returns a record of the files that were read.
    pub fn into_read_files(self) -> ReadFiles {
        self.read.into_inner()
    }

    /// Opens a path of any type for reading, without waiting.
    ///
    /// # Errors
    ///
    /// The options aren't allowed to name the path, or it can't be opened.
    pub(crate) fn open(&self, subject: &str, file: &str) -> Result<(OwnedFd, Stat)> {
        let path = Path::new(file);
        let (scope, file) = (self.scope.clone(), path.to_owned());
        if let (Scope::Only(allowed), false) = (&scope, self.may_be_named(path)) {
            return Err(allowed.outside(subject));
        }
        let opened = self.on_reader_thread(subject, path, move || match scope.open(&file) {
            Ok(fd) => fstat(&fd).map(|stat| Some((fd, stat))),
            Err(Errno::XDEV) => Ok(None),
            Err(errno) => Err(errno),
        })?;
        match (opened, &self.scope) {
            (Some((fd, stat)), Scope::Only(_)) => {
                let stamp = Stamp::settled(&stat);
                self.read.borrow_mut().read.push((path.to_owned(), stamp));
                Ok((fd, stat))
            }
            (Some(opened), _) => Ok(opened),
            (None, Scope::Only(allowed)) => Err(allowed.outside(subject)),
            (None, _) => Err(self.unreadable(subject, &Errno::XDEV)),
        }
    }

    /// Returns true if options may name this path.
    pub(crate) fn may_be_named(&self, path: &Path) -> bool {
        self.scope.may_name(path)
    }

    /// Does work that a hanging file system may delay. If checks share their files, a reader thread
    /// does the work.
    pub(super) fn on_reader_thread<T: Send + 'static>(
        &self,
        subject: &str,
        path: &Path,
        work: impl FnOnce() -> Result<T, Errno> + Send + 'static,
    ) -> Result<T> {
        let done = match &self.shared {
            None => work(),
            Some((library, deadline)) => {
                let done = library.readers.run(path, *deadline, work);
                done.map_err(|not_read| {
                    self.hindered.set(true);
                    let write = "name a file on a local disk";
                    refusal(subject, format!("cannot be read: {not_read}"), write)
                })?
            }
        };
        done.map_err(|errno| self.unreadable(subject, &errno))
    }

    /// Returns true if no file has changed since it was seen.
    ///
    /// # Errors
    ///
    /// A file system doesn't answer.
    pub fn are_unchanged(&self, seen: &ReadFiles) -> Result<bool> {
        for (path, stamp) in &seen.read {
            let file = path.clone();
            let now = self.on_reader_thread(&path.display().to_string(), path, move || {
                Ok(stat(&file).ok().map(|stat| Stamp::new(&stat)))
            })?;
            if stamp.is_none() || now != *stamp {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn unreadable(&self, subject: &str, error: &dyn Display) -> Error {
        let write = match self.scope {
            Scope::Any => "name a file that exists and that your user may read",
            Scope::Check | Scope::Within(_) => {
                "name a file that HAProxy's user can read, inside the chroot if HAProxy has one"
            }
            Scope::Only(_) => "name a file that the user of sni-check serve may read",
        };
        refusal(subject, format!("cannot be read: {error}"), write)
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

/// The state of files at the time they were read, and the memory that they use.
#[derive(Debug, Default)]
pub struct ReadFiles {
    read: Vec<(PathBuf, Option<Stamp>)>,
    memory: Vec<Arc<Share>>,
}

/// Reads a file in pieces. Returns `None` if the file is larger than `most`.
fn in_pieces(fd: &OwnedFd, size: usize, most: usize) -> Result<Option<Vec<u8>>, Errno> {
    let mut content = Vec::with_capacity(size);
    let mut piece = vec![0; (size + 1).clamp(4 << 10, PIECE)];
    while content.len() <= most {
        match rustix::io::read(fd, &mut piece) {
            Ok(0) => return Ok(Some(content)),
            Ok(length) => content.extend_from_slice(&piece[..length]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(None)
}

fn names_in(folder: &OwnedFd) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::{Duration, Instant, SystemTime};
    use std::{fs, process};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::{Allowed, Deadline, Files, Library, ReadFiles, Stamp};

    /// Makes a folder with `in/file`, `out` and a pipe.
    fn folder(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("files-{}-{test}", process::id()));
        fs::create_dir_all(folder.join("in")).expect("a folder");
        fs::write(folder.join("in/file"), "inside").expect("a file");
        fs::write(folder.join("out"), "outside").expect("a file");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, folder.join("pipe"), FileType::Fifo, mode, 0).expect("a pipe");
        folder
    }

    fn only(folders: &[PathBuf], named: &[PathBuf]) -> Files {
        let allowed = Allowed {
            folders: folders.to_vec(),
            named: named.to_vec(),
        };
        let deadline = Deadline::new(Instant::now(), Duration::from_secs(30));
        Files::only(Arc::new(allowed)).read_by(Library::new(8, 1 << 20), deadline)
    }

    fn refusal(files: &Files, file: &str) -> String {
        let error = files.read("--ca-file x", file).expect_err(file);
        format!("{error:#}")
    }

    #[test]
    fn anything_but_a_regular_file_is_refused_at_once() {
        let folder = folder("kinds");
        let path = |name: &str| folder.join(name).display().to_string();
        let files = Files::any();
        assert!(refusal(&files, &path("pipe")).contains("it is a pipe, not a regular file"));
        assert!(refusal(&files, &path("in")).contains("it is a folder"));
        assert!(refusal(&files, "/dev/zero").contains("it is a device"));
        assert!(refusal(&files, "/proc/self/environ").contains("is a kernel file (/proc or /sys)"));
        assert!(refusal(&files, &path("none")).contains("that your user may read"));
        assert!(refusal(&Files::of_check(), &path("none")).contains("inside the chroot"));
        let read = files.read("--ca-file x", &path("out")).expect("a file");
        assert_eq!(read, b"outside");
        let names = files.list("--ca-file x", &path("in")).expect("a folder");
        assert_eq!(names.expect("names"), ["file"]);
        let none = files.list("--ca-file x", &path("out")).expect("a file");
        assert_eq!(none, None);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn only_files_below_the_allowed_folders_are_read() {
        let folder = folder("below");
        let path = |name: &str| folder.join(name).display().to_string();
        symlink("file", folder.join("in/inner")).expect("a link");
        symlink("../out", folder.join("in/outer")).expect("a link");
        symlink(folder.join("in/file"), folder.join("in/absolute")).expect("a link");
        let below = only(&[folder.join("in")], &[]);
        for inside in ["in/file", "in/inner"] {
            let read = below.read("--ca-file x", &path(inside));
            assert_eq!(read.expect(inside), b"inside");
        }
        for outside in "out in/../out in/outer in/absolute in inside".split(' ') {
            let refused = refusal(&below, &path(outside));
            assert!(
                refused.contains("not below a folder of --files"),
                "{refused}"
            );
        }
        assert!(refusal(&below, "file").contains("not below"));
        assert!(refusal(&only(&[], &[]), &path("out")).contains("with --files DIR"));
        let named = only(&[], &[folder.join("out")]);
        assert_eq!(named.read("x", &path("out")).expect("named"), b"outside");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn every_change_of_a_file_is_detected() {
        let folder = folder("changes");
        let file = folder.join("in/file");
        let read = || {
            let files = only(&[folder.join("in")], &[]);
            let content = files.read("x", &file.display().to_string());
            content.expect("a file");
            files.into_read_files()
        };
        // A file written a moment ago may change again within the same tick of the clock.
        let files = only(&[], &[]);
        let unchanged = |seen: &ReadFiles| files.are_unchanged(seen).expect("no file hangs");
        assert!(!unchanged(&read()));
        let mut settled = read();
        for (path, stamp) in &mut settled.read {
            let stat = rustix::fs::stat(&*path).expect("a file");
            *stamp = Some(Stamp::new(&stat));
        }
        assert!(unchanged(&settled));
        let times = fs::FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(9));
        let opened = fs::File::options().write(true).open(&file).expect("a file");
        opened.set_times(times).expect("times");
        assert!(!unchanged(&settled));
        fs::remove_dir_all(folder).expect("removed");
        assert!(!unchanged(&settled));
    }
}
