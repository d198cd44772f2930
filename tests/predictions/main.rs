//! `sni-check doctor` predicts what HAProxy does. This test draws configurations from a grammar, asks doctor
//! about each of them, and compares doctor's report with the behaviour of every HAProxy.
//!
//! The text of a difference contains `PREDICTIONS_SEED=N PREDICTIONS_CASE=M`. With these two variables,
//! `make doctor` runs this configuration again and prints all details. `PREDICTIONS_TAG=TAG` runs only
//! configurations with this change, and `PREDICTIONS_PEER=PEER` runs only configurations with this server.

mod case;
mod changes;
mod fixes;
mod grammar;
mod measure;
mod peers;
mod reality;
mod said;
mod score;
#[path = "../support/mod.rs"]
mod support;

use measure::{Figures, measure};
use peers::World;
use support::haproxy::{Version, versions};

/// The number of configurations that `make doctor` draws. docs/testing.md also states this number.
const CASES: u64 = 2_000;

/// The seed that `make test` uses, and the number of configurations for each HAProxy.
const SAMPLE: (u64, u64) = (1, 40);

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect(variable))
}

/// Returns the HAProxy that the variable HAPROXY names, or every HAProxy.
fn chosen() -> Vec<Version> {
    match std::env::var_os("HAPROXY") {
        Some(_) => vec![support::haproxy::chosen()],
        None => versions(),
    }
}

#[test]
fn doctor_predicts_a_sample_of_configurations() {
    let world = World::new();
    let (seed, cases) = SAMPLE;
    let mut found = Vec::new();
    for (version, first) in versions().iter().zip((0..).step_by(cases as usize)) {
        found.extend(measure(&world, version, seed, first..first + cases).found);
    }
    let unknown = found
        .iter()
        .filter(|found| !KNOWN.iter().any(|known| found.is(known)));
    let unknown: Vec<String> = unknown.map(|found| found.text()).collect();
    let number = unknown.len();
    assert!(number == 0, "{number} differences:\n{}", unknown.concat());
    let gone = KNOWN
        .iter()
        .filter(|known| !found.iter().any(|found| found.is(known)));
    let gone: Vec<_> = gone.collect();
    assert!(
        gone.is_empty(),
        "these known differences have disappeared; remove them from KNOWN: {gone:?}"
    );
}

/// The known differences of the sample: a configuration's number, and the beginning of the
/// difference's name. The list may only shrink.
const KNOWN: &[(u64, &str)] = &[];

#[test]
#[ignore = "takes many minutes: make doctor"]
#[allow(clippy::print_stdout, reason = "prints the figures")]
fn doctor_predicts_thousands_of_configurations() {
    let world = World::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = number("PREDICTIONS_SEED").unwrap_or(now.expect("a clock").as_secs());
    let cases = number("PREDICTIONS_CASES").unwrap_or(CASES);
    let range = match number("PREDICTIONS_CASE") {
        Some(one) => one..one + 1,
        None => 0..cases,
    };
    let is_one = range.end - range.start == 1;
    let mut all: Vec<Figures> = Vec::new();
    for version in chosen() {
        let figures = measure(&world, &version, seed, range.clone());
        println!("{}", figures.table());
        if is_one {
            println!("{}", figures.details.join("\n"));
        }
        if let Ok(file) = std::env::var("PREDICTIONS_REPORT") {
            let more = figures.groups();
            let mut text = std::fs::read_to_string(&file).unwrap_or_default();
            if all.is_empty() {
                text.clear();
            }
            text += &format!("{}\n{more}\n", figures.table());
            std::fs::write(&file, text).expect("a report");
        } else {
            println!("{}", figures.groups());
        }
        all.push(figures);
    }
    let wrong: usize = all.iter().map(|figures| figures.found.len()).sum();
    assert_eq!(wrong, 0, "the report lists the differences");
}
