//! Runs a program and measures it, for tests/attack: exit code or signal, duration, processor time
//! and peak memory. Each run has its own `measure` process, so that the kernel's figures are only about
//! that run.
//!
//! Usage: `measure RESULT SIGNALS PROGRAM [WORD...]`. `measure` writes the figures to the file RESULT.
//! SIGNALS is a list like `100:STOP,400:CONT` (milliseconds after the start), or empty.

use std::env::args_os;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{Pid, Signal, kill_process};

/// `measure` kills a program that runs longer than this.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let mut words = args_os().skip(1);
    let (Some(result), Some(signals), Some(program)) = (words.next(), words.next(), words.next())
    else {
        return ExitCode::FAILURE;
    };
    let plan = plan(&signals.to_string_lossy());
    let start = Instant::now();
    let Ok(mut child) = Command::new(program).args(words).spawn() else {
        return ExitCode::FAILURE;
    };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    thread::spawn(move || {
        for (at, signal) in plan {
            thread::sleep(at.saturating_sub(start.elapsed()));
            let _ = pid.map(|pid| kill_process(pid, signal));
        }
    });
    let (Ok(status), wall) = (child.wait(), start.elapsed()) else {
        return ExitCode::FAILURE;
    };
    let wall = wall.max(start.elapsed());
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return ExitCode::FAILURE;
    };
    let cpu = usage.user_time() + usage.system_time();
    let figures = format!(
        "{} {} {} {} {}",
        status.code().unwrap_or(-1),
        status.signal().unwrap_or(0),
        wall.as_micros(),
        cpu.tv_sec() * 1_000_000 + cpu.tv_usec(),
        usage.max_rss()
    );
    match std::fs::write(result, figures) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn plan(text: &str) -> Vec<(Duration, Signal)> {
    let signals = text.split(',').filter_map(|step| {
        let (at, name) = step.split_once(':')?;
        let signal = match name {
            "STOP" => Signal::STOP,
            "CONT" => Signal::CONT,
            "WINCH" => Signal::WINCH,
            "URG" => Signal::URG,
            "CHLD" => Signal::CHILD,
            "PIPE" => Signal::PIPE,
            _ => return None,
        };
        Some((Duration::from_millis(at.parse().ok()?), signal))
    });
    signals.chain([(PATIENCE, Signal::KILL)]).collect()
}
