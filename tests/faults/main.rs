//! The fault matrix: what can be wrong with a peer, or on the way to the peer. The check must
//! report each fault with its exact code and a phrase, within a time limit. The matrix also has
//! healthy peers that only look faulty.

mod certificates;
mod chains;
mod connect;
mod handshake;
mod http;
mod keys;
mod responses;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sni_check::code::Code;
use support::NAME;
use support::check::{BINARY, haproxy_command};
use support::peer::Untouched;
use support::stage::Stage;

/// The deadline of each check in the matrix, in milliseconds.
const DEADLINE: f64 = 1500.0;
/// How long after its deadline a check may still run, in milliseconds.
const GRACE: f64 = 50.0;
/// The time limit for faults that need no waiting, in milliseconds. docs/testing.md states it.
const AT_ONCE: f64 = 500.0;
/// The time that a loaded machine may need to start a process and to notice its end.
const START: Duration = Duration::from_secs(2);
/// The matrix has at least this many faults. docs/testing.md states this figure.
const FAULTS: usize = 200;

/// A peer, options, and the result that the check must have.
struct Fault {
    what: String,
    /// The program under test, or a command that runs it in a different environment.
    program: Vec<String>,
    address: String,
    port: String,
    options: String,
    code: i32,
    /// A phrase of the printed line; empty for a healthy peer.
    phrase: &'static str,
}

impl Fault {
    /// Describes a fault at this port of the loopback address.
    fn new(what: impl Into<String>, port: u16, code: i32, phrase: &'static str) -> Fault {
        Fault {
            what: what.into(),
            program: vec![BINARY.to_owned()],
            address: "127.0.0.1".to_owned(),
            port: port.to_string(),
            options: String::new(),
            code,
            phrase,
        }
    }

    /// Describes a healthy peer that only looks faulty.
    fn none(what: impl Into<String>, port: u16) -> Fault {
        Fault::new(what, port, 0, "")
    }

    /// Appends these options.
    fn with(mut self, options: &str) -> Fault {
        self.options = format!("{} {options}", self.options);
        self
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "--nocapture shows the figures")]
fn every_fault_has_its_code_phrase_and_time_limit() {
    let (stage, elsewhere) = (Stage::new(), Untouched::new());
    let faults: Vec<Fault> = [
        connect::faults(&stage),
        handshake::faults(&stage),
        certificates::faults(&stage),
        chains::faults(&stage),
        keys::faults(&stage),
        responses::faults(&stage, elsewhere.port()),
        http::faults(&stage),
    ]
    .into_iter()
    .flatten()
    .collect();
    let (wrong, slowest) = run(&faults);
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        faults.len(),
        wrong.join("\n")
    );
    elsewhere.assert("a redirect was followed");

    let (real, healthy): (Vec<&Fault>, Vec<&Fault>) =
        faults.iter().partition(|fault| fault.code != 0);
    println!(
        "{} faults and {} healthy peers; the slowest fault that needs no waiting took {:.1} ms: {}",
        real.len(),
        healthy.len(),
        slowest.0,
        slowest.1
    );
    assert!(real.len() >= FAULTS, "{} faults", real.len());
    support::testing_page_says(&format!("{FAULTS} faults"));
    support::testing_page_says(&format!("within {AT_ONCE} ms"));

    // No peer can cause codes 1, 2 and 3. tests/fail_closed.rs, tests/refusals.rs and tests/serve
    // cover them.
    let reached: BTreeSet<i32> = faults.iter().map(|fault| fault.code).collect();
    let all = Code::ALL
        .into_iter()
        .filter(|code| ![Code::Internal, Code::Refused, Code::AtLimit].contains(code));
    assert_eq!(reached, all.map(|code| i32::from(code.number())).collect());
}

/// Checks all faults, four at a time, because a check that times out only waits. Returns all errors,
/// and the slowest fault that needs no waiting, with its time.
fn run(faults: &[Fault]) -> (Vec<String>, (f64, String)) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let slowest = Mutex::new((0.0, String::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A loaded machine may delay a process, but a real error happens again.
                    let judged = (0..3).map(|_| judge(fault)).find(Result::is_ok);
                    match judged.unwrap_or_else(|| judge(fault)) {
                        Err(error) => wrong.lock().expect("a lock").push(error),
                        Ok(total) if fault.code % 10 != 2 => {
                            let mut slowest = slowest.lock().expect("a lock");
                            if total > slowest.0 {
                                *slowest = (total, fault.what.clone());
                            }
                        }
                        Ok(_) => {}
                    }
                }
            });
        }
    });
    let inner = wrong.into_inner().expect("a lock");
    (inner, slowest.into_inner().expect("a lock"))
}

/// Runs a check. Returns its duration in milliseconds, as the program measured it (0 for a healthy
/// peer), or what is wrong with the result.
fn judge(fault: &Fault) -> Result<f64, String> {
    let what = format!("{} {}", fault.what, fault.options);
    let sni = match fault.options.contains("--no-sni") {
        true => String::new(),
        false => format!("--sni {NAME}"),
    };
    let path = format!("{sni} --timeout {DEADLINE}ms {}", fault.options);
    let program: Vec<&str> = fault.program.iter().map(String::as_str).collect();
    let start = Instant::now();
    let output = haproxy_command(&program, &path, &fault.address, &fault.port)
        .output()
        .expect("the program runs");
    let wall = start.elapsed();
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() != Some(fault.code) {
        return Err(format!(
            "{what}: {}, not {}: {line}",
            output.status, fault.code
        ));
    }
    if wall > Duration::from_secs_f64((DEADLINE + GRACE) / 1000.0) + START {
        return Err(format!("{what}: the process took {wall:?}: {line}"));
    }
    if fault.code == 0 {
        return match line.is_empty() {
            true => Ok(0.0),
            false => Err(format!("{what}: {line}")),
        };
    }
    let begin = format!("DOWN {} ", fault.code);
    if !(line.starts_with(&begin) && line.contains(fault.phrase) && line.lines().count() == 1) {
        return Err(format!("{what}: {line} (lacks {})", fault.phrase));
    }
    // This is the program's own measurement, so the time to start the process doesn't count.
    let total = total(&line).ok_or_else(|| format!("{what}: no time in {line}"))?;
    let limit = match fault.code % 10 {
        2 => DEADLINE + GRACE,
        _ => AT_ONCE,
    };
    match total <= limit {
        true => Ok(total),
        false => Err(format!("{what}: took {total} ms: {line}")),
    }
}

/// Reads the time at the end of a line, in milliseconds: `total 3.4ms`.
fn total(line: &str) -> Option<f64> {
    let (_, total) = line.trim_end().rsplit_once("total ")?;
    total.strip_suffix("ms")?.parse().ok()
}
