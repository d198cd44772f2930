//! Freezes a process, as `docker pause` and systemd's `freeze` do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use super::wait_for;

/// A process that can be frozen. It continues when this value is dropped.
pub struct Freezer {
    pid: u32,
    /// The process's own control group. `None` if the test can't create a control group on this
    /// machine. A signal then stops the process instead.
    group: Option<PathBuf>,
}

/// The folders where control groups are mounted: version 2, version 2 alongside version 1,
/// and version 1.
const MOUNTS: [&str; 3] = [
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup/freezer",
];

impl Freezer {
    /// Prepares to freeze this process.
    pub fn new(pid: u32) -> Freezer {
        let group = MOUNTS.iter().find_map(|mount| join_group(mount, pid));
        Freezer { pid, group }
    }

    /// Freezes the process. With a control group, waits until the process is frozen.
    pub fn freeze(&self) {
        match &self.group {
            Some(group) => {
                set(group, true);
                wait_for("a frozen group", || is_frozen(group).then_some(()));
            }
            None => self.signal(Signal::STOP),
        }
    }

    /// Lets the process continue.
    pub fn thaw(&self) {
        match &self.group {
            Some(group) => set(group, false),
            None => self.signal(Signal::CONT),
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let _ = kill_process(pid.expect("a process"), signal);
    }
}

/// Moves a process into a new control group that can be frozen. Returns `None` if this mount has no
/// such groups.
fn join_group(mount: &str, pid: u32) -> Option<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("sni-check-test-{}-{number}", std::process::id());
    let group = Path::new(mount).join(name);
    fs::create_dir(&group).ok()?;
    let can_freeze = ["cgroup.freeze", "freezer.state"]
        .iter()
        .any(|file| group.join(file).exists());
    if can_freeze && fs::write(group.join("cgroup.procs"), pid.to_string()).is_ok() {
        return Some(group);
    }
    let _ = fs::remove_dir(&group);
    None
}

fn set(group: &Path, frozen: bool) {
    let (file, word) = match (group.join("cgroup.freeze"), frozen) {
        (file, true) if file.exists() => (file, "1"),
        (file, false) if file.exists() => (file, "0"),
        (_, true) => (group.join("freezer.state"), "FROZEN"),
        (_, false) => (group.join("freezer.state"), "THAWED"),
    };
    fs::write(file, word).expect("the freezer");
}

fn is_frozen(group: &Path) -> bool {
    let state = fs::read_to_string(group.join("cgroup.events"))
        .or_else(|_| fs::read_to_string(group.join("freezer.state")));
    let state = state.unwrap_or_default();
    state.contains("frozen 1") || state.contains("FROZEN")
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.thaw();
        let Some(group) = &self.group else { return };
        // The kernel removes only groups without processes. If the process still runs, it therefore
        // goes back to the root group.
        let root = group.parent().expect("a mount").join("cgroup.procs");
        let _ = fs::write(root, self.pid.to_string());
        let _ = fs::remove_dir(group);
    }
}
