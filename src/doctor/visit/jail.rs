//! Where HAProxy runs a check: its chroot, its user, and the files that this user can use there.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Gid, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgroups};

use crate::haproxy::account;
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::proxy::Global;
use crate::plan::Files;
use crate::plan::walk::{self, Bounds, Reached, walk};

/// Why HAProxy's user can't use a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The file, or a folder above it, doesn't exist.
    Missing,
    /// HAProxy's user doesn't have the right to use this file, or to enter this folder above it.
    Forbidden(PathBuf),
    /// doctor's own user may not look at this path, so doctor doesn't know if HAProxy's user can use it.
    Hidden(PathBuf),
    /// The file has the wrong type, for example a folder in place of a file.
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

/// HAProxy's chroot and user.
#[derive(Clone, Debug)]
pub(crate) struct Jail {
    /// The folder with the host's files: `/`, or the folder of `--root`.
    pub base: PathBuf,
    /// The host's path of the chroot. `base` if HAProxy has no chroot.
    pub root: PathBuf,
    pub user: User,
    /// HAProxy's group, by its name in haproxy.cfg or else by its number.
    pub group: String,
}

/// What HAProxy's user needs to do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Read,
    /// Read a file, or list the files of a folder.
    ReadOrList,
    Execute,
    /// Connect to a unix socket.
    Connect,
}

impl Jail {
    /// Returns the chroot and the user that `global` sets, and the lines that doctor doesn't understand.
    pub(crate) fn new(global: &Global, base: &Path) -> (Jail, Vec<(Place, String)>) {
        let (user, unclear) = User::new(global, base);
        let chroot = global.chroot.as_ref();
        let root = chroot.map_or_else(
            || base.to_owned(),
            |chroot| base.join(chroot.value.trim_start_matches('/')),
        );
        let group = global.group.as_ref();
        let group = group.map_or_else(|| user.gid.to_string(), |at| at.value.clone());
        let base = base.to_owned();
        let jail = Jail {
            base,
            root,
            user,
            group,
        };
        (jail, unclear)
    }

    /// If `path` is the host's path of a file in the chroot, returns the path of this file inside the chroot.
    pub(crate) fn inside(&self, path: &str) -> Option<String> {
        let inside = Path::new(path).strip_prefix(&self.root).ok()?;
        let is_there = self.is_chroot() && self.base.join(path.trim_start_matches('/')).is_file();
        is_there.then(|| format!("/{}", inside.display()))
    }

    /// Returns true if checks run in a root folder other than `/`: in a chroot, or below `--root`.
    pub(crate) fn is_chroot(&self) -> bool {
        self.root != Path::new("/")
    }

    /// Returns the words for the root folder of checks, such as `the chroot /var/lib/haproxy`.
    pub(crate) fn name(&self) -> String {
        match self.root == self.base {
            true => format!("the root folder {}", self.root.display()),
            false => format!("the chroot {}", self.root.display()),
        }
    }

    /// Returns the host's path of a path in the chroot. A relative path begins at the root of the chroot,
    /// because HAProxy's working folder is there.
    pub(crate) fn outside(&self, path: &str) -> String {
        let path = self.root.join(path.trim_start_matches('/'));
        path.display().to_string()
    }

    /// Returns the host's path of a file that HAProxy uses. Without a chroot, a relative path stays
    /// unchanged.
    pub(crate) fn host_path(&self, path: &str) -> String {
        match path.starts_with('/') || self.is_chroot() {
            true => self.outside(path),
            false => path.to_owned(),
        }
    }

    /// Finds a file in the chroot. Follows symbolic links as a process in the chroot would.
    ///
    /// # Errors
    /// HAProxy's user can't use the file.
    pub(crate) fn find(&self, path: &str, need: Need) -> Result<Reached, Obstacle> {
        // doctor needs only the file's type and mode, so it doesn't open the file for reading.
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

    /// Returns access to the files that a process in HAProxy's chroot can reach.
    pub(crate) fn files(&self) -> Files {
        match self.is_chroot() {
            true => Files::within(&self.root),
            false => Files::of_check(),
        }
    }
}

/// HAProxy's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups. Empty if `global` sets a group.
    pub groups: Vec<u32>,
    /// The user's name in haproxy.cfg, or else the number.
    pub name: String,
}

impl User {
    /// Returns the user that `global` sets, and the lines that doctor doesn't understand. A HAProxy that
    /// changes its user or enters a chroot must start as root. doctor assumes that any other HAProxy runs as
    /// doctor's own user.
    pub(crate) fn new(global: &Global, base: &Path) -> (User, Vec<(Place, String)>) {
        let root = global.user.is_some() || global.uid.is_some() || global.chroot.is_some();
        let own = getgroups().unwrap_or_default();
        let mut user = User {
            uid: if root { 0 } else { geteuid().as_raw() },
            gid: if root { 0 } else { getegid().as_raw() },
            groups: own.into_iter().map(Gid::as_raw).collect(),
            name: String::new(),
        };
        let mut unclear = Vec::new();
        let mut id =
            |setting: &Option<At<String>>, found: &dyn Fn(&str) -> Option<u32>, wanted: &str| {
                let At { value, place } = setting.as_ref()?;
                let id = found(value);
                if id.is_none() {
                    unclear.push((place.clone(), format!("{value} is not {wanted}")));
                }
                id
            };
        let number = |text: &str| text.parse().ok();
        let in_file = |file: &str, name: &str| {
            let file = base.join(file).display().to_string();
            account(&file, name)
        };
        let uid = id(&global.uid, &number, "a number");
        let name = id(
            &global.user,
            &|name| in_file("etc/passwd", name),
            "in /etc/passwd",
        );
        let gid = id(&global.gid, &number, "a number");
        let group = id(
            &global.group,
            &|name| in_file("etc/group", name),
            "in /etc/group",
        );
        if let Some(uid) = uid.or(name) {
            user.uid = uid;
        }
        if let Some(gid) = gid.or(group) {
            // When HAProxy changes its group, it drops the supplementary groups.
            (user.gid, user.groups) = (gid, Vec::new());
        }
        user.name = match &global.user {
            Some(user) => user.value.clone(),
            None => user.uid.to_string(),
        };
        (user, unclear)
    }

    /// Returns true if the user has this right to a file: 4 to read, 2 to write or connect, 1 to execute
    /// or enter, or a sum of these.
    pub(crate) fn may(&self, right: u32, stat: &Stat) -> bool {
        let mode = stat.st_mode;
        if self.uid == 0 {
            return right != 1 || FileType::from_raw_mode(mode).is_dir() || mode & 0o111 != 0;
        }
        let shift = if stat.st_uid == self.uid {
            6
        } else if stat.st_gid == self.gid || self.groups.contains(&stat.st_gid) {
            3
        } else {
            0
        };
        mode >> shift & right == right
    }
}
