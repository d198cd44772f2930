//! Random attacks with hostile peers and environments. In every attack, the check exits 0 only for
//! a healthy backend, every code is documented, and time and memory are limited.
//!
//! `make attack` runs the long form and prints the table of SECURITY.md. A failure prints
//! `SNI_CHECK_SEED=N SNI_CHECK_CASES=1`. These variables repeat a single try.

mod certificates;
mod judge;
#[allow(dead_code, reason = "only tests/never_up uses all of it")]
#[path = "../never_up/message.rs"]
mod message;
mod peers;
mod places;
mod records;
mod serve;
#[path = "../support/mod.rs"]
mod support;
mod tries;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use certificates::Certificates;
use judge::Table;
use peers::Port;
use places::Files;
use support::check::{example, release_binary};
use support::dice::Dice;
use support::peer;
use support::stage::Stage;
use tries::Measurer;
use world::World;

/// The size of an attack.
#[derive(Clone, Copy)]
struct Length {
    tries: u64,
    /// How long after its deadline a check may still run, in milliseconds.
    grace: f64,
}

/// The attack of `make test`, which takes a few seconds. Other tests run at the same time, so the
/// grace is long.
const SHORT: Length = Length {
    tries: 400,
    grace: 3000.0,
};
/// The attack of `make attack`. SECURITY.md states these figures.
const LONG: Length = Length {
    tries: 20_000,
    grace: 50.0,
};

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect(variable))
}

fn attack(length: Length) -> Table {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock").as_micros() as u64;
    let first = number("SNI_CHECK_SEED").unwrap_or(now);
    let tries = number("SNI_CHECK_CASES").unwrap_or(length.tries);
    let stage = Stage::new();
    let certificates = Certificates::new();
    let ca_file = stage.folder.file("attack-ca.pem", &certificates.ca.pem);
    let (measure, binary) = (example("measure"), release_binary());
    let (next, table) = (AtomicU64::new(0), Mutex::new(Table::new(first)));
    let (full, _queue) = peer::blackhole();
    let serve = serve::Serve::start(&binary);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let measurer = Measurer::new(measure.clone(), binary.clone());
                let world = World {
                    port: Port::new(),
                    certificates: &certificates,
                    ca_file: &ca_file,
                    files: Files::new(&certificates.ca.pem),
                    dead: support::dead_port(),
                    full,
                };
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= tries {
                        return;
                    }
                    let seed = first.wrapping_add(index);
                    // A loaded machine may delay a process, but a real error happens again.
                    let judged = (0..3).map(|_| {
                        let attempt = world.attempt(&mut Dice::new(seed));
                        let outcome = match &attempt.request {
                            Some(request) => serve.ask(request),
                            None => measurer.run(&attempt),
                        };
                        judge::judge(&attempt, outcome, length.grace)
                    });
                    let mut least = None;
                    for judged in judged {
                        let good = judged.wrong.is_empty();
                        if least.as_ref().is_none_or(|least| judged.better_than(least)) {
                            least = Some(judged);
                        }
                        if good {
                            break;
                        }
                    }
                    let least = least.expect("three tries");
                    table.lock().expect("a lock").add(seed, least);
                }
            });
        }
    });
    table.into_inner().expect("a lock")
}

#[test]
#[allow(clippy::print_stdout, reason = "--nocapture shows the figures")]
fn a_few_hundred_attacks_do_no_harm() {
    let table = attack(SHORT);
    println!("{table}");
    table.assert();
}

#[test]
#[ignore = "20 minutes; `make attack`"]
#[allow(
    clippy::print_stdout,
    reason = "the test prints the table of SECURITY.md"
)]
fn twenty_thousand_attacks_do_no_harm() {
    let table = attack(LONG);
    println!("{table}");
    table.assert();
    let security = include_str!("../../SECURITY.md");
    assert!(
        security.contains("20,000 tries"),
        "SECURITY.md states a different number"
    );
}
