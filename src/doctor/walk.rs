//! The way to a file within a chroot, as its user goes it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open, openat, readlinkat};
use rustix::io::Errno;

use super::user::User;

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It, or a folder above it, is not there.
    Missing,
    /// HAProxy's user may not use it, or a folder above it: this one.
    Forbidden(PathBuf),
    /// We may not look; somebody with more rights may.
    Hidden(PathBuf),
    /// It is not of the kind that is needed.
    NotRegular,
}

impl Obstacle {
    fn of(error: Errno, path: &Path) -> Obstacle {
        match error {
            Errno::ACCESS | Errno::PERM => Obstacle::Hidden(path.to_owned()),
            _ => Obstacle::Missing,
        }
    }
}

/// A file within a jail.
#[derive(Debug)]
pub(super) struct Found {
    /// For questions about it; it is not open for reading.
    pub handle: OwnedFd,
    /// Where it is, seen from outside.
    pub path: PathBuf,
    pub stat: Stat,
}

/// Finds a file below this folder, following symbolic links as a process would whose root it is.
///
/// # Errors
/// What stands in the way of the user.
pub(super) fn find(root: &Path, user: &User, path: &str) -> Result<Found, Obstacle> {
    Walk::new(root, user)?.follow(Path::new(path))
}

/// How to open a folder as a start for further steps.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A walk down a path within a jail. Each step starts at the open folder before it, so that nobody who
/// moves folders and links at the same time can lead it out of the jail.
struct Walk<'a> {
    user: &'a User,
    /// The folders from the root to here, and perhaps a file.
    way: Vec<Found>,
}

impl Walk<'_> {
    /// Starts at this folder.
    fn new<'a>(root: &Path, user: &'a User) -> Result<Walk<'a>, Obstacle> {
        let path = root.to_owned();
        let handle = open(&path, FOLDER, Mode::empty());
        let handle = handle.map_err(|error| Obstacle::of(error, &path))?;
        let stat = fstat(&handle).map_err(|error| Obstacle::of(error, &path))?;
        let way = vec![Found { handle, path, stat }];
        Ok(Walk { user, way })
    }

    fn follow(mut self, path: &Path) -> Result<Found, Obstacle> {
        let mut rest = components(path);
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == Path::new("..") {
                self.way.truncate(self.way.len().saturating_sub(1).max(1));
                continue;
            }
            let next = self.step(&name)?;
            if !FileType::from_raw_mode(next.stat.st_mode).is_symlink() {
                self.way.push(next);
                continue;
            }
            // The kernel follows 40 links at most (path_resolution(7)).
            links += 1;
            if links > 40 {
                return Err(Obstacle::Missing);
            }
            let target = readlinkat(&next.handle, "", Vec::new());
            let target = target.map_err(|error| Obstacle::of(error, &next.path))?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                self.way.truncate(1);
            }
            for component in components(&target).into_iter().rev() {
                rest.push_front(component);
            }
        }
        self.way.pop().ok_or(Obstacle::Missing)
    }

    fn step(&self, name: &Path) -> Result<Found, Obstacle> {
        let here = self.way.last().ok_or(Obstacle::Missing)?;
        if !FileType::from_raw_mode(here.stat.st_mode).is_dir() {
            return Err(Obstacle::Missing);
        }
        if !self.user.may(1, &here.stat) {
            return Err(Obstacle::Forbidden(here.path.clone()));
        }
        let path = here.path.join(name);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = openat(&here.handle, name, flags, Mode::empty());
        let handle = handle.map_err(|error| Obstacle::of(error, &path))?;
        let stat = fstat(&handle).map_err(|error| Obstacle::of(error, &path))?;
        Ok(Found { handle, path, stat })
    }
}

/// The names of a path, one by one.
fn components(path: &Path) -> VecDeque<PathBuf> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            _ => None,
        })
        .collect()
}
