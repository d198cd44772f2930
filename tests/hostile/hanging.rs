//! Files that hang. A check still ends at its deadline, and diagnose still ends within its time
//! limit.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::check::{BINARY, by_hand, expect, haproxy_command};
use crate::support::held::HeldFile;
use crate::support::stage::Stage;
use crate::support::{NAME, PATIENCE, dead_port, program};

/// How late a process may be on a loaded machine. A process that hangs would never end.
const LATE: Duration = Duration::from_secs(3);

/// Runs the command. Kills it and fails if it runs longer than `longest`.
#[track_caller]
fn ends_within(longest: Duration, mut command: Command) -> Output {
    let start = Instant::now();
    let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("the program runs");
    while child.try_wait().expect("a status").is_none() {
        if start.elapsed() > longest {
            let _ = child.kill();
            panic!("the program is still running after {longest:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("the output")
}

fn check(options: &str) -> Command {
    let path = format!("--sni {NAME} --timeout 300ms {options}");
    haproxy_command(&[BINARY], &path, "127.0.0.1", &dead_port().to_string())
}

#[test]
fn a_file_that_hangs_gives_code_2_in_time() {
    let stage = Stage::new();
    let held = HeldFile::new(&stage.folder, "held.pem", &stage.ca.pem);
    let folder = stage.folder.join("certificates");
    fs::create_dir(&folder).expect("a folder");
    fs::hard_link(&held.path, stage.folder.join("certificates/held.pem")).expect("a link");
    let leaf = stage.folder.join("leaf.crt");
    for options in [
        format!("--ca-file {}", held.path),
        format!("--ca-file {folder}"),
        format!("--crl-file {}", held.path),
        format!("--crt {}", held.path),
        format!("--crt {leaf} --key {}", held.path),
        format!("--header @{}", held.path),
    ] {
        let output = ends_within(Duration::from_millis(300) + LATE, check(&options));
        assert_eq!(output.status.signal(), None, "{options}");
        expect(
            &output,
            2,
            "hybrid/blue: options and files were not read within --timeout",
        );
    }
}

#[test]
fn diagnose_ends_in_time_too() {
    let stage = Stage::new();
    let held = HeldFile::new(&stage.folder, "held.pem", &stage.ca.pem);
    let connect = format!("--connect=127.0.0.1:{}", dead_port());
    let call = by_hand(&[
        "diagnose",
        "--timeout=300ms",
        "--ca-file",
        &held.path,
        &connect,
        NAME,
    ]);
    let output = ends_within(Duration::from_secs(5) + LATE, call);
    expect(&output, 2, "options and files were not read within 5 s");
}

/// An alarm that was pending before the program started must not count as the program's own timer.
#[test]
fn an_alarm_from_before_the_start_changes_nothing() {
    let stage = Stage::new();
    let mut command = program("env");
    let port = stage.nginx().port.to_string();
    let script = "kill -ALRM $$; exec \"$0\" \"$@\"";
    let call = haproxy_command(&[BINARY], &stage.options(), "127.0.0.1", &port);
    command.args(["--block-signal=ALRM", "/bin/sh", "-c", script, BINARY]);
    command.args(call.get_args()).env_clear();
    for (name, value) in call.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = ends_within(PATIENCE, command);
    expect(&output, 0, "");
}

/// Reading a kernel file can take a long time. For /proc/kpageflags, the time grows with the
/// machine's memory.
#[test]
fn kernel_files_are_refused_at_once() {
    for file in [
        "/proc/kpageflags",
        "/proc/self/environ",
        "/sys/kernel/notes",
    ] {
        if fs::metadata(file).is_err() {
            continue;
        }
        let output = ends_within(
            Duration::from_millis(300) + LATE,
            check(&format!("--ca-file {file}")),
        );
        expect(&output, 2, "--ca-file");
    }
}
