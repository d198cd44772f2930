//! The check is never UP by accident. The test draws random options, environments and responses. An
//! independent oracle, made from the documentation, decides when 0 is correct.
//!
//! A failure prints `SNI_CHECK_SEED=N SNI_CHECK_CASES=1`. These variables repeat the case.

mod case;
mod message;
mod options;
mod oracle;
mod peers;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use case::{Caller, Case, Meaning};
use peers::Peers;
use sni_check::code::Code;
use support::dice::Dice;

/// The number of cases. docs/testing.md states it.
const CASES: u64 = 8_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().expect(variable))
}

#[test]
#[allow(clippy::print_stdout, reason = "--nocapture shows the figures")]
fn code_0_is_never_wrong_and_every_other_code_is_documented() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let first = number("SNI_CHECK_SEED").unwrap_or(now.as_micros() as u64);
    let cases = number("SNI_CHECK_CASES").unwrap_or(CASES);
    support::testing_page_says(&format!("{CASES} random cases"));

    let next = AtomicU64::new(0);
    let codes = Mutex::new(BTreeMap::<i32, u64>::new());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let peers = Peers::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= cases {
                        return;
                    }
                    let seed = first.wrapping_add(index);
                    let case = Case::new(&mut Dice::new(seed), &peers.places);
                    let output = peers.run(&case);
                    *codes
                        .lock()
                        .expect("a lock")
                        .entry(output.status.code().unwrap_or(-1))
                        .or_default() += 1;
                    if let Err(why) = judge(&case, &output) {
                        let text = failure_text(seed, &case, &output, why);
                        wrong.lock().expect("a lock").push(text);
                    }
                }
            });
        }
    });
    let codes = codes.into_inner().expect("a lock");
    let wrong = wrong.into_inner().expect("a lock");
    println!("{cases} cases from SNI_CHECK_SEED={first} on, by code: {codes:?}");
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // The test is useful only if many cases are healthy and many aren't.
    let healthy = codes.get(&0).copied().unwrap_or_default();
    assert!(
        cases < CASES || (cases / 5..cases * 4 / 5).contains(&healthy),
        "{healthy} of {cases} are healthy: {codes:?}"
    );
    assert!(cases < CASES || codes.len() >= 12, "{codes:?}");
}

fn judge(case: &Case, output: &Output) -> Result<(), &'static str> {
    let Some(code) = output.status.code() else {
        return Err("a signal killed the check");
    };
    let asked_for_text = matches!(case.caller, Caller::ByHand(_))
        && case.options.iter().any(|option| {
            matches!(option.meaning, Meaning::Refused)
                && ["--help", "--version"].contains(&option.words[0].as_str())
        });
    if asked_for_text {
        return Ok(());
    }
    let documented = Code::ALL
        .iter()
        .any(|known| i32::from(known.number()) == code);
    match code {
        0 if !oracle::may_be_up(case) => Err("the code must not be 0"),
        1 => Err("no peer and no option may cause an internal error"),
        _ if code != 0 && oracle::must_be_up(case) => Err("the code should be 0"),
        _ if !documented => Err("the code is not documented"),
        _ => Ok(()),
    }
}

fn failure_text(seed: u64, case: &Case, output: &Output, why: &str) -> String {
    let words: Vec<_> = case
        .options
        .iter()
        .flat_map(|option| &option.words)
        .collect();
    format!(
        "SNI_CHECK_SEED={seed} SNI_CHECK_CASES=1: {why}\n  {:?} {:?} {:?}\n  options {words:?}\n  environment {:?}\n  says {:?}\n  exit {:?} signal {:?}: {}",
        case.peer,
        case.end,
        case.caller,
        case.environment,
        String::from_utf8_lossy(&case.says),
        output.status.code(),
        output.status.signal(),
        String::from_utf8_lossy(&output.stderr),
    )
}
