//! Starts a check exactly as HAProxy starts it. A process can't undo a chroot or a change of user. doctor
//! therefore starts its own program a second time, with an inner command. This second process enters the
//! chroot, changes its user, and then becomes the check.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, Stdio};

use rustix::fs::{Gid, Uid};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{
    Pid, Signal, chdir, chroot, geteuid, getppid, set_parent_process_death_signal,
};
use rustix::stdio::{dup2_stdin, stdin};
use rustix::thread::{set_no_new_privs, set_thread_gid, set_thread_groups, set_thread_uid};

use crate::haproxy::child::RunningProgram;

use crate::doctor::visit::jail::Jail;
use crate::haproxy::config::external::ExternalCheck;

/// The argument that starts the inner command. It must be the only argument. `--help` doesn't list it, and
/// sni-check refuses it if a person types it.
pub(crate) const INNER_COMMAND: &str = "--as-haproxy";

/// The exit code of HAProxy's child process if it can't start the command.
const NOT_RUN: i32 = 255;

/// The path of the running program. This path works even if the program's file has been replaced.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

/// Starts a check as HAProxy would. The check gets HAProxy's chroot and user only if `root` is true.
///
/// # Errors
/// The inner command can't be started.
pub(crate) fn start(check: &ExternalCheck, jail: &Jail, root: bool) -> io::Result<RunningProgram> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(OWN_PROGRAM);
    command
        .arg(INNER_COMMAND)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)));
    let running = RunningProgram::start(command)?;
    // A NUL can separate the words, because no argument and no variable contains a NUL. An error needs no
    // handling: if the child exits before it has read everything, its exit status shows that.
    _ = ours.write_all(words(check, jail, root).join("\0").as_bytes());
    _ = ours.shutdown(Shutdown::Write);
    Ok(running)
}

/// Returns the words that the inner command reads: chroot, user, group, command, four arguments, environment.
/// If the word for the chroot or for the user is empty, the inner command doesn't change the chroot or the
/// user.
fn words(check: &ExternalCheck, jail: &Jail, root: bool) -> Vec<String> {
    let if_root = |word: String| if root { word } else { String::new() };
    let chroot = jail.root.display().to_string();
    let mut words = vec![
        if_root(chroot).trim_end_matches('/').to_owned(),
        if_root(jail.user.uid.to_string()),
        if_root(jail.user.gid.to_string()),
        check.command.value.clone(),
    ];
    words.extend(check.arguments.clone());
    let environment = check.environment.iter();
    words.extend(environment.map(|(name, value)| format!("{name}={value}")));
    words
}

/// Becomes the check that doctor asks for, or exits with 255 as HAProxy's child would. Returns only if
/// doctor didn't start this process.
pub(crate) fn become_check() {
    let Some((doctor, words)) = words_from_doctor() else {
        return;
    };
    let words: Vec<&str> = words.split('\0').collect();
    if let [root, uid, gid, command, arguments @ ..] = words.as_slice()
        && let Some((arguments, environment)) = arguments.split_at_checked(4)
        && enter(root, uid, gid, doctor).is_ok()
    {
        let pairs = environment.iter().filter_map(|pair| pair.split_once('='));
        let mut check = Command::new(command);
        // An error needs no message, because doctor sees the exit code.
        _ = check.args(arguments).env_clear().envs(pairs).exec();
    }
    process::exit(NOT_RUN)
}

/// Reads standard input, if it's a socket that the parent process created as the same user. Without this
/// condition, a user with a sudo rule for sni-check could run any command as root.
fn words_from_doctor() -> Option<(Pid, String)> {
    let peer = socket_peercred(stdin()).ok()?;
    if Some(peer.pid) != getppid() || peer.uid != geteuid() {
        return None;
    }
    let mut words = String::new();
    let mut socket = UnixStream::from(stdin().as_fd().try_clone_to_owned().ok()?);
    socket.read_to_string(&mut words).ok()?;
    Some((peer.pid, words))
}

/// Enters the chroot, and then permanently sets the supplementary groups, the group and the user, in
/// HAProxy's order. Opens /dev/null as standard input, so that descriptors 0 to 2 are open, as they are under
/// systemd and in HAProxy's official images.
fn enter(root: &str, uid: &str, gid: &str, doctor: Pid) -> io::Result<()> {
    let number = |text: &str| text.parse().map_err(io::Error::other);
    dup2_stdin(File::open("/dev/null")?)?;
    if !root.is_empty() {
        chroot(root)?;
        chdir("/")?;
    }
    if !uid.is_empty() {
        set_thread_groups(&[])?;
        set_thread_gid(Gid::from_raw(number(gid)?))?;
        set_thread_uid(Uid::from_raw(number(uid)?))?;
    }
    set_no_new_privs(true)?;
    // A check must not outlive doctor. The kernel clears this signal when the user changes, so it is
    // set last.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    match getppid() == Some(doctor) {
        true => Ok(()),
        false => Err(io::ErrorKind::BrokenPipe.into()),
    }
}
