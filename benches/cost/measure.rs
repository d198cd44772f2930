//! Measures the costs of one run. Times and page faults vary from run to run. The other figures hardly
//! change.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::support::cost::{instructions, under};
use crate::support::folder::Folder;
use crate::world::Contender;

/// Wall time, processor time (user and kernel together), and minor page faults.
#[derive(Clone, Copy)]
pub struct Time {
    pub wall: Duration,
    pub cpu: Duration,
    pub faults: u64,
}

impl Time {
    /// Returns the median of each figure.
    pub fn median(times: &[Time]) -> Time {
        Time {
            wall: median(times.iter().map(|time| time.wall)),
            cpu: median(times.iter().map(|time| time.cpu)),
            faults: median(times.iter().map(|time| time.faults)),
        }
    }
}

/// Measures the time of `run`. `whose` chooses the processes or threads whose processor time counts.
///
/// The sum of user and system time comes from the scheduler's clock. The sum is exact, even if the
/// kernel divides it between the two by ticks.
pub fn timed(whose: UsageWho, run: impl FnOnce()) -> Time {
    let before = getrusage(whose).expect("usage");
    let start = Instant::now();
    run();
    let wall = start.elapsed();
    let after = getrusage(whose).expect("usage");
    let faults = after.minor_page_faults() - before.minor_page_faults();
    Time {
        wall,
        cpu: cpu(&after).saturating_sub(cpu(&before)),
        faults: u64::try_from(faults).unwrap_or(0),
    }
}

fn cpu(usage: &Usage) -> Duration {
    let micros = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    let sum = micros(usage.user_time()) + micros(usage.system_time());
    Duration::from_micros(u64::try_from(sum).unwrap_or(0))
}

pub fn run(contender: &Contender) -> Time {
    let mut command = contender.command();
    timed(UsageWho::RUSAGE_CHILDREN, || {
        let status = command.status().expect("the program runs");
        assert!(status.success(), "{}: {status}", contender.name);
    })
}

pub fn median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// The figures that hardly change from run to run.
pub struct Figures {
    pub peak_kib: u64,
    pub calls: usize,
    pub instructions: u64,
    /// The bytes of all files that were opened, including the program's own file.
    pub disk: u64,
}

impl Figures {
    pub fn of(contender: &Contender) -> Figures {
        let (calls, disk) = traced(contender);
        Figures {
            peak_kib: peak(contender),
            calls,
            instructions: instructions(&contender.command(), contender.input()),
            disk,
        }
    }
}

/// Returns the peak of resident memory in KiB, as GNU time reports it.
fn peak(contender: &Contender) -> u64 {
    let folder = Folder::new();
    let file = folder.join("peak");
    let status = under("time", &["-f", "%M", "-o", &file], &contender.command())
        .stdin(contender.input())
        .status()
        .expect("time runs");
    assert!(status.success(), "{}: {status}", contender.name);
    let peak = fs::read_to_string(file).expect("a figure");
    peak.trim().parse().expect("a number")
}

/// Returns the number of system calls, and the size of the files that were opened.
fn traced(contender: &Contender) -> (usize, u64) {
    let folder = Folder::new();
    let file = folder.join("calls");
    let status = under("strace", &["-f", "-o", &file], &contender.command())
        .stdin(contender.input())
        .status()
        .expect("strace runs");
    assert!(status.success(), "{}: {status}", contender.name);
    let trace = fs::read_to_string(file).expect("a trace");
    // These lines aren't calls: an exit, a signal, or the second half of a call's line.
    let calls = trace.lines().filter(|line| {
        !["+++ ", "--- ", " resumed>"]
            .iter()
            .any(|no| line.contains(no))
    });
    let opened: BTreeMap<PathBuf, u64> = calls.clone().filter_map(opened).collect();
    (calls.count(), opened.values().sum())
}

/// Returns the file that a traced call opened, and the file's size. Devices and the bench's own files
/// don't count.
fn opened(call: &str) -> Option<(PathBuf, u64)> {
    let opens = ["execve(", "open(", "openat("];
    if !opens.iter().any(|name| call.contains(name)) || call.contains("= -1 ") {
        return None;
    }
    let path = fs::canonicalize(call.split('"').nth(1)?).ok()?;
    let metadata = fs::metadata(&path).ok()?;
    let of_the_bench = std::env::temp_dir().join("sni-").display().to_string();
    let foreign = ["/proc/", "/sys/", "/dev/", &of_the_bench]
        .iter()
        .any(|start| path.display().to_string().starts_with(start));
    let counts = metadata.is_file() && !foreign;
    counts.then_some((path, metadata.len()))
}
