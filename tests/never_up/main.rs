//! Never UP by accident: random options, environments and answers, and an oracle that knows from the
//! documentation alone when 0 is no lie.
//!
//! `SNI_CHECK_SEED=N SNI_CHECK_CASES=1` runs one case again, as a failure tells it.

mod case;
mod dice;
mod message;
mod options;
mod oracle;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use case::{Case, Door, Meaning};
use dice::Dice;
use sni_check::code::Code;
use world::World;

const NAME: &str = "www.example.test";

/// So many cases; the README says so.
const CASES: u64 = 8_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().expect(variable))
}

#[test]
#[allow(
    clippy::print_stdout,
    reason = "figures for whoever asks with --nocapture"
)]
fn zero_is_never_a_lie_and_every_other_code_is_documented() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let first = number("SNI_CHECK_SEED").unwrap_or(now.as_micros() as u64);
    let cases = number("SNI_CHECK_CASES").unwrap_or(CASES);
    support::readme_says(&format!("{CASES} random cases"));

    let next = AtomicU64::new(0);
    let codes = Mutex::new(BTreeMap::<i32, u64>::new());
    let lies = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let world = World::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= cases {
                        return;
                    }
                    let seed = first.wrapping_add(index);
                    let case = Case::new(&mut Dice::new(seed), &world.places);
                    let output = world.run(&case);
                    *codes
                        .lock()
                        .expect("a lock")
                        .entry(output.status.code().unwrap_or(-1))
                        .or_default() += 1;
                    if let Err(lie) = judge(&case, &output) {
                        lies.lock()
                            .expect("a lock")
                            .push(tell(seed, &case, &output, lie));
                    }
                }
            });
        }
    });
    let (codes, lies) = (
        codes.into_inner().expect("a lock"),
        lies.into_inner().expect("a lock"),
    );
    println!("{cases} cases from SNI_CHECK_SEED={first} on, by code: {codes:?}");
    assert!(lies.is_empty(), "{} lies:\n{}", lies.len(), lies.join("\n"));
    // Many are healthy and many are not, else nothing was tested.
    let healthy = codes.get(&0).copied().unwrap_or_default();
    assert!(
        cases < CASES || (cases / 5..cases * 4 / 5).contains(&healthy),
        "{healthy} of {cases} are healthy: {codes:?}"
    );
    assert!(cases < CASES || codes.len() >= 12, "{codes:?}");
}

fn judge(case: &Case, output: &Output) -> Result<(), &'static str> {
    let Some(code) = output.status.code() else {
        return Err("it died by a signal");
    };
    let asked_for_text = matches!(case.door, Door::ByHand(_))
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
        0 if !oracle::may_be_up(case) => Err("0 is a lie"),
        1 => Err("no peer and no option may cause a bug"),
        _ if code != 0 && oracle::must_be_up(case) => Err("it should be 0"),
        _ if !documented => Err("the code is not documented"),
        _ => Ok(()),
    }
}

fn tell(seed: u64, case: &Case, output: &Output, lie: &str) -> String {
    let words: Vec<_> = case
        .options
        .iter()
        .flat_map(|option| &option.words)
        .collect();
    format!(
        "SNI_CHECK_SEED={seed} SNI_CHECK_CASES=1: {lie}\n  {:?} {:?} {:?}\n  options {words:?}\n  environment {:?}\n  says {:?}\n  exit {:?} signal {:?}: {}",
        case.peer,
        case.end,
        case.door,
        case.environment,
        String::from_utf8_lossy(&case.says),
        output.status.code(),
        output.status.signal(),
        String::from_utf8_lossy(&output.stderr),
    )
}
