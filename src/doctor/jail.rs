//! Where HAProxy runs a check: its chroot and its user, and what is to be found there.

use std::collections::VecDeque;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::Gid;
use rustix::process::{getegid, geteuid, getgroups};

use super::config::Global;
use super::place::{At, Place};

/// HAProxy's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub uid: u32,
    pub gid: u32,
    /// Further groups; HAProxy keeps none when it changes its group.
    pub groups: Vec<u32>,
    /// As haproxy.cfg calls it, or a number.
    pub name: String,
}

/// A chroot and a user.
#[derive(Clone, Debug)]
pub(super) struct Jail {
    /// The chroot, `/` if there is none.
    pub root: PathBuf,
    pub user: User,
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It, or a folder above it, is not there.
    Missing,
    /// HAProxy's user may not use it, or a folder above it: this one.
    Forbidden(PathBuf),
    /// We may not look; somebody with more rights may.
    Hidden(PathBuf),
    /// It is not a regular file.
    NotRegular,
}

/// What is asked of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Read,
    Execute,
}

impl User {
    /// The user of `global`, and what of it was not understood. HAProxy has to be started as root
    /// to change user or root folder; otherwise it is started by us, as an estimate.
    fn new(global: &Global) -> (User, Vec<(Place, String)>) {
        let root = global.user.is_some() || global.uid.is_some() || global.chroot.is_some();
        let own = getgroups().unwrap_or_default();
        let mut user = User {
            uid: if root { 0 } else { geteuid().as_raw() },
            gid: if root { 0 } else { getegid().as_raw() },
            groups: own.into_iter().map(Gid::as_raw).collect(),
            name: String::new(),
        };
        let mut unclear = Vec::new();
        let mut id = |setting: &Option<At<String>>, found: fn(&str) -> Option<u32>, list: &str| {
            let At { value, place } = setting.as_ref()?;
            let id = found(value);
            if id.is_none() {
                unclear.push((place.clone(), format!("{value} is not in {list}")));
            }
            id
        };
        let number = |text: &str| text.parse().ok();
        let uid = id(&global.uid, number, "numbers");
        let name = id(
            &global.user,
            |name| account("/etc/passwd", name),
            "/etc/passwd",
        );
        let gid = id(&global.gid, number, "numbers");
        let group = id(
            &global.group,
            |name| account("/etc/group", name),
            "/etc/group",
        );
        if let Some(uid) = uid.or(name) {
            user.uid = uid;
        }
        if let Some(gid) = gid.or(group) {
            // With its group, HAProxy leaves the others too.
            (user.gid, user.groups) = (gid, Vec::new());
        }
        user.name = match &global.user {
            Some(user) => user.value.clone(),
            None => user.uid.to_string(),
        };
        (user, unclear)
    }
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

    /// Where a path within the jail is, seen from outside: symbolic links followed within it.
    ///
    /// # Errors
    /// What stands in the way of HAProxy's user.
    pub(super) fn find(&self, path: &str, need: Need) -> Result<PathBuf, Obstacle> {
        let (real, metadata) = self.walk(Path::new(path))?;
        if !metadata.is_file() {
            return Err(Obstacle::NotRegular);
        }
        let bit = match need {
            Need::Read => 4,
            Need::Execute => 1,
        };
        match self.allows(&metadata, bit) {
            true => Ok(real),
            false => Err(Obstacle::Forbidden(real)),
        }
    }

    fn walk(&self, path: &Path) -> Result<(PathBuf, Metadata), Obstacle> {
        let mut real = self.root.clone();
        let mut metadata = self.look(&real)?;
        let mut rest: VecDeque<PathBuf> = components(path);
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == Path::new("..") {
                if real != self.root {
                    real.pop();
                }
                continue;
            }
            if metadata.is_dir() && !self.allows(&metadata, 1) {
                return Err(Obstacle::Forbidden(real));
            }
            let next = real.join(&name);
            metadata = self.look(&next)?;
            if !metadata.is_symlink() {
                real = next;
                continue;
            }
            links += 1;
            let target = fs::read_link(&next).map_err(|_| Obstacle::Hidden(next.clone()))?;
            // The kernel follows 40 links at most (path_resolution(7)).
            if links > 40 {
                return Err(Obstacle::Missing);
            }
            if target.is_absolute() {
                real = self.root.clone();
            }
            for component in components(&target).into_iter().rev() {
                rest.push_front(component);
            }
            metadata = self.look(&real)?;
        }
        Ok((real, metadata))
    }

    fn look(&self, path: &Path) -> Result<Metadata, Obstacle> {
        fs::symlink_metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => Obstacle::Hidden(path.to_owned()),
            _ => Obstacle::Missing,
        })
    }

    /// Whether HAProxy's user has this right: 4 to read, 1 to execute or to enter.
    fn allows(&self, metadata: &Metadata, right: u32) -> bool {
        let mode = metadata.mode();
        if self.user.uid == 0 {
            return right != 1 || metadata.is_dir() || mode & 0o111 != 0;
        }
        let shift = if metadata.uid() == self.user.uid {
            6
        } else if metadata.gid() == self.user.gid || self.user.groups.contains(&metadata.gid()) {
            3
        } else {
            0
        };
        mode >> shift & right != 0
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

/// The number of an account in `/etc/passwd` or `/etc/group`.
fn account(file: &str, name: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let line = lines.find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::account;

    #[test]
    fn accounts_are_read_where_haproxy_reads_them() {
        assert_eq!(account("/etc/passwd", "root"), Some(0));
        assert_eq!(account("/etc/group", "root"), Some(0));
        assert_eq!(account("/etc/passwd", "nobody-of-that-name"), None);
    }
}
