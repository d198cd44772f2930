//! The fault matrix: what a peer can do wrong, each with its exact code, a phrase of its line, and
//! its time.

mod certificates;
mod handshake;
mod http;
#[path = "../support/mod.rs"]
mod support;

use support::check::haproxy_door;

const NAME: &str = "www.example.test";

/// The deadline of each check in the matrix, in milliseconds. Only a time-out may come near it.
const TIMEOUT: f64 = 1500.0;

/// A peer on a port, options, and what must come of the check.
struct Fault {
    what: String,
    port: u16,
    options: String,
    code: i32,
    phrase: &'static str,
}

/// Runs every fault and tells all that went wrong at once.
#[track_caller]
fn run(faults: &[Fault]) {
    // A loaded machine may hold a process up once; what is wrong is so twice.
    let wrong: Vec<String> = faults
        .iter()
        .filter_map(|fault| judge(fault).or_else(|_| judge(fault)).err())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        faults.len(),
        wrong.join("\n")
    );
}

fn judge(fault: &Fault) -> Result<(), String> {
    let Fault {
        what,
        port,
        options,
        code,
        phrase,
    } = fault;
    let path = format!("--sni {NAME} --timeout {TIMEOUT}ms --json {options}");
    let output = haproxy_door(&path, "127.0.0.1", &port.to_string());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() != Some(*code) {
        return Err(format!("{what}: {}, not {code}: {text}", output.status));
    }
    if *code == 0 {
        return if text.is_empty() {
            Ok(())
        } else {
            Err(format!("{what}: {text}"))
        };
    }
    let object: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("{what}: {error}: {text}"))?;
    let cause = object["cause"].as_str().unwrap_or_default();
    if !cause.contains(phrase) {
        return Err(format!("{what}: {cause} (lacks {phrase})"));
    }
    // The program's own clock: how long this machine takes to start it is not its doing.
    let total = object["milliseconds"]["total"].as_f64().unwrap_or(f64::MAX);
    let timed_out = code % 10 == 2;
    let in_time = if timed_out {
        total < TIMEOUT + 50.0
    } else {
        total < TIMEOUT * 0.9
    };
    if in_time {
        Ok(())
    } else {
        Err(format!("{what}: took {total} ms"))
    }
}
