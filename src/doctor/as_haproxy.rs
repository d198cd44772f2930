//! The way from this process to a check as HAProxy starts it. This program runs itself once more,
//! as an inner command: what changes a process for good (chroot, user) happens there, before it
//! becomes the check.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{self, Command};

use rustix::fs::{Gid, Uid};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{chdir, chroot};
use rustix::thread::{set_no_new_privs, set_thread_gid, set_thread_groups, set_thread_uid};

use super::check::ExternalCheck;
use super::jail::Jail;

/// The first word of such a call; no host can have that name.
pub(crate) const INNER_COMMAND: &str = "--as-haproxy";

/// What HAProxy's child ends with when the command cannot be started.
const NOT_RUN: i32 = 255;

/// The words of such a call: chroot, user, group, command, four arguments, environment. A
/// chroot or a user that is not to be changed stays empty; only root can change them.
pub(super) fn words(check: &ExternalCheck, jail: &Jail, root: bool) -> Vec<String> {
    let chroot = jail.root.display().to_string();
    let mut words = vec![
        INNER_COMMAND.to_owned(),
        Some(chroot)
            .filter(|_| root && jail.is_chroot())
            .unwrap_or_default(),
    ];
    for id in [jail.user.uid, jail.user.gid] {
        words.push(if root { id.to_string() } else { String::new() });
    }
    words.push(check.command.value.clone());
    words.extend(check.arguments.clone());
    let environment = check.environment.iter();
    words.extend(environment.map(|(name, value)| format!("{name}={value}")));
    words
}

/// Becomes the check that the words describe, or ends as HAProxy's own child would.
pub(crate) fn become_check(words: &[String]) -> ! {
    if let [root, uid, gid, command, arguments @ ..] = words
        && let Some((arguments, environment)) = arguments.split_at_checked(4)
        && enter(root, uid, gid).is_ok()
        && close_standard_descriptors().is_ok()
    {
        let pairs = environment.iter().filter_map(|pair| pair.split_once('='));
        let mut check = Command::new(command);
        // Nobody hears of an error: HAProxy's child has no descriptors left either.
        _ = check.args(arguments).env_clear().envs(pairs).exec();
    }
    process::exit(NOT_RUN)
}

/// As HAProxy does it when it starts: chroot, groups, group, user, and no way back.
fn enter(root: &str, uid: &str, gid: &str) -> io::Result<()> {
    let number = |text: &str| text.parse().map_err(io::Error::other);
    if !root.is_empty() {
        chroot(root)?;
        chdir("/")?;
    }
    if !uid.is_empty() {
        set_thread_groups(&[])?;
        set_thread_gid(Gid::from_raw(number(gid)?))?;
        set_thread_uid(Uid::from_raw(number(uid)?))?;
    }
    Ok(set_no_new_privs(true)?)
}

/// A daemonised HAProxy closes descriptors 0 to 2 too.
fn close_standard_descriptors() -> io::Result<()> {
    for fd in [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ] {
        fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    }
    Ok(())
}
