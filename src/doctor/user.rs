//! The user HAProxy runs as, and what it may do with a file.

use rustix::fs::{FileType, Gid, Stat};
use rustix::process::{getegid, geteuid, getgroups};

use crate::haproxy::account;
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::proxy::Global;

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

impl User {
    /// The user of `global`, and what was not understood. HAProxy has to be started as root
    /// to change user or root folder; otherwise it is started by us, as an estimate.
    pub(super) fn new(global: &Global) -> (User, Vec<(Place, String)>) {
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

    /// Whether it has this right to a file: 4 to read, 2 to write or connect, 1 to execute or enter, or a sum.
    pub(super) fn may(&self, right: u32, stat: &Stat) -> bool {
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
