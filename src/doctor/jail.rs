//! Where HAProxy runs a check: its chroot and its user, and what is to be found there.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::plan::Files;
use crate::plan::walk::{self, Bounds, Reached, walk};

use super::user::User;

/// Why HAProxy's user can't use a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The file, or a folder above it, doesn't exist.
    Missing,
    /// HAProxy's user may not use this file, or this folder above it.
    Forbidden(PathBuf),
    /// doctor's own user may not look at this path; a user with more rights may.
    Hidden(PathBuf),
    /// The file isn't of the kind that is needed.
    NotRegular,
}

impl From<walk::Obstacle> for Obstacle {
    fn from(obstacle: walk::Obstacle) -> Obstacle {
        match obstacle {
            walk::Obstacle::Forbidden(folder) => Obstacle::Forbidden(folder),
            walk::Obstacle::Errno(Errno::ACCESS | Errno::PERM, path) => Obstacle::Hidden(path),
            walk::Obstacle::Errno(..) => Obstacle::Missing,
        }
    }
}
use crate::haproxy::config::place::Place;
use crate::haproxy::config::proxy::Global;

/// A chroot and a user.
#[derive(Clone, Debug)]
pub(super) struct Jail {
    /// The chroot, `/` if there is none.
    pub root: PathBuf,
    pub user: User,
}

/// What is asked of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Read,
    /// Of a folder, that its files can be listed.
    ReadOrList,
    Execute,
    /// To a unix socket.
    Connect,
}

impl Jail {
    /// The chroot and the user of `global`, and what of it was not understood.
    pub(super) fn new(global: &Global) -> (Jail, Vec<(Place, String)>) {
        let (user, unclear) = User::new(global);
        let root = global.chroot.as_ref();
        let root = root.map_or_else(|| "/".into(), |root| PathBuf::from(&root.value));
        (Jail { root, user }, unclear)
    }

    /// Whether there is a chroot.
    pub(super) fn is_chroot(&self) -> bool {
        self.root != Path::new("/")
    }

    /// Where a path of the jail is, seen from outside.
    pub(super) fn outside(&self, path: &str) -> String {
        let root = self.root.display().to_string();
        format!("{}{path}", root.trim_end_matches('/'))
    }

    /// Finds a file within the jail, following symbolic links as a process in it would.
    ///
    /// # Errors
    /// What stands in the way of HAProxy's user.
    pub(super) fn find(&self, path: &str, need: Need) -> Result<Reached, Obstacle> {
        // For questions about the file. It isn't opened for reading.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let may_enter = |folder: &Stat| self.user.may(1, folder);
        let path = Path::new(path);
        let found = walk(&self.root, path, flags, Bounds::InRoot, may_enter)?;
        let right = match (need, FileType::from_raw_mode(found.stat.st_mode)) {
            (Need::Read | Need::ReadOrList, FileType::RegularFile) => 4,
            (Need::ReadOrList, FileType::Directory) => 5,
            (Need::Execute, FileType::RegularFile) => 1,
            (Need::Connect, FileType::Socket) => 2,
            _ => return Err(Obstacle::NotRegular),
        };
        match self.user.may(right, &found.stat) {
            true => Ok(found),
            false => Err(Obstacle::Forbidden(found.path)),
        }
    }

    /// The files that a process in the jail finds.
    pub(super) fn files(&self) -> Files {
        match self.is_chroot() {
            true => Files::within(&self.root),
            false => Files::any(),
        }
    }
}
