//! Measures the cost of running a program, in figures that hardly change from run to run.

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

use super::folder::Folder;
use super::program;

/// Returns a command in which `runner` (valgrind, for example) runs the given command.
pub fn under(runner: &str, options: &[&str], command: &Command) -> Command {
    let mut under = program(runner);
    under
        .args(options)
        .arg(command.get_program())
        .args(command.get_args())
        .stdout(Stdio::null());
    // The commands of tests and benchmarks clear the environment and set their own variables, so
    // this command does too.
    under.env_clear();
    for (name, value) in command.get_envs() {
        under.env(name, value.unwrap_or_default());
    }
    under
}

/// Runs the command and returns the number of user-space instructions that all its processes execute.
/// The run must succeed.
pub fn instructions(command: &Command, stdin: Stdio) -> u64 {
    let folder = Folder::new();
    let file = format!("--callgrind-out-file={}", folder.join("%p"));
    let options = ["--tool=callgrind", "--trace-children=yes", "-q", &file];
    let status = under("valgrind", &options, command)
        .stdin(stdin)
        .status()
        .expect("valgrind runs");
    assert!(status.success(), "{command:?}: {status}");
    let files = fs::read_dir(folder.path()).expect("a folder");
    let counts = files.map(|file| {
        let profile = fs::read_to_string(file.expect("a file").path()).expect("a profile");
        let total = profile
            .lines()
            .find_map(|line| line.strip_prefix("totals: "));
        total
            .and_then(|count| count.parse::<u64>().ok())
            .expect("a total")
    });
    counts.sum()
}

/// Returns the number of minor page faults of a successful run. One fault can map several neighbouring
/// pages. This process must have no other child at the same time.
pub fn page_faults(command: &mut Command) -> u64 {
    let faults = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
        u64::try_from(usage.minor_page_faults()).unwrap_or(0)
    };
    let before = faults();
    let status = command.status().expect("the program runs");
    assert!(status.success(), "{command:?}: {status}");
    faults() - before
}
