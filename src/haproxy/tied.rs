//! Runs a program that never outlives this process, however this process ends.
//!
//! Only a child process itself can ask the kernel to kill it when its parent ends. sni-check therefore first
//! runs itself once more, with an inner command. That process asks the kernel, and then becomes the other
//! program.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The first word of the inner command. No host can have this name.
pub(crate) const INNER_COMMAND: &str = "--tied-to-parent";

/// The exit code if the program can't be started.
const NOT_RUN: i32 = 255;

/// Returns a command that runs `program`. The kernel kills the program when the calling thread
/// ends.
pub(super) fn command(program: &Path) -> Command {
    // This path leads to the running binary, even if its file was replaced in the meantime.
    let mut command = Command::new("/proc/self/exe");
    command.args([INNER_COMMAND, &process::id().to_string()]);
    command.arg(program);
    command
}

/// Replaces this process with another program, or exits. `words` are the parent's process id, the program,
/// and its arguments.
pub(crate) fn become_program(words: &[String]) -> ! {
    if let [parent, program, arguments @ ..] = words
        && set_parent_process_death_signal(Some(Signal::KILL)).is_ok()
        && is_our_parent(parent)
    {
        // The parent sees the exit code. There is no other way to report an error.
        _ = Command::new(program).args(arguments).exec();
    }
    process::exit(NOT_RUN)
}

/// Returns true if the parent has this process id and runs this same binary. Without this test, other
/// programs could use the inner command to run any program, through sudo for example.
fn is_our_parent(number: &str) -> bool {
    let parent = getppid().map(Pid::as_raw_nonzero);
    let file = |process: &str| {
        let file = fs::metadata(format!("/proc/{process}/exe")).ok()?;
        Some((file.dev(), file.ino()))
    };
    parent.is_some_and(|parent| parent.to_string() == number)
        && file("self").is_some_and(|own| file(number) == Some(own))
}
