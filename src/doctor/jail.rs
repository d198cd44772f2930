//! Where HAProxy runs a check: its chroot and its user, and what is to be found there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};

use super::config::Global;
use super::place::Place;
use super::user::User;
pub(super) use super::walk::Obstacle;
use super::walk::{self, FOLDER, Found};

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
    Execute,
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

    /// Finds a file within the jail, following symbolic links as a process in it would.
    ///
    /// # Errors
    /// What stands in the way of HAProxy's user.
    pub(super) fn find(&self, path: &str, need: Need) -> Result<Found, Obstacle> {
        let found = walk::find(&self.root, &self.user, path)?;
        if !FileType::from_raw_mode(found.stat.st_mode).is_file() {
            return Err(Obstacle::NotRegular);
        }
        let right = match need {
            Need::Read => 4,
            Need::Execute => 1,
        };
        match self.user.may(right, &found.stat) {
            true => Ok(found),
            false => Err(Obstacle::Forbidden(found.path)),
        }
    }

    /// Opens a file for reading, as a process in the jail would find it; never one outside of it.
    ///
    /// # Errors
    /// It cannot be opened, or is not a regular file.
    pub(super) fn open(&self, path: &str) -> io::Result<File> {
        // Opening a FIFO must not wait for somebody who writes to it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let none = Mode::empty();
        let file = match self.is_chroot() {
            false => open(path, flags, none)?,
            true => {
                let root = open(&self.root, FOLDER, none)?;
                let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                openat2(&root, path, flags, none, within)?
            }
        };
        match FileType::from_raw_mode(fstat(&file)?.st_mode).is_file() {
            true => Ok(File::from(file)),
            false => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}
