//! A program that dies with this one, however this one ends.
//!
//! This program runs itself once more, as an inner command: what the kernel is to do when the parent
//! ends can only be set in the child, before it becomes the other program.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The first word of such a call. No host can have that name.
pub(crate) const INNER_COMMAND: &str = "--tied-to-parent";

/// What such a call ends with where the program cannot be started.
const NOT_RUN: i32 = 255;

/// A command that runs `program` and is killed when the calling thread ends.
pub(super) fn command(program: &Path) -> Command {
    // This very program, even if its file was replaced in the meantime.
    let mut command = Command::new("/proc/self/exe");
    command.args([INNER_COMMAND, &process::id().to_string()]);
    command.arg(program);
    command
}

/// Becomes the program that the words name, or ends. Words: process number of the parent, program,
/// its arguments.
pub(crate) fn become_program(words: &[String]) -> ! {
    if let [parent, program, arguments @ ..] = words
        && set_parent_process_death_signal(Some(Signal::KILL)).is_ok()
        && is_our_parent(parent)
    {
        // There is nobody to tell of an error but the parent, which sees the code.
        _ = Command::new(program).args(arguments).exec();
    }
    process::exit(NOT_RUN)
}

/// Whether the parent is still the one that asked, and is this program. Nobody else can have it run
/// commands, through sudo for example.
fn is_our_parent(number: &str) -> bool {
    let parent = getppid().map(Pid::as_raw_nonzero);
    let file = |process: &str| {
        let file = fs::metadata(format!("/proc/{process}/exe")).ok()?;
        Some((file.dev(), file.ino()))
    };
    parent.is_some_and(|parent| parent.to_string() == number)
        && file("self").is_some_and(|own| file(number) == Some(own))
}
