//! Compares the cost of a check by sni-check with common alternatives. Prints Markdown tables.
//!
//! The programs take turns to check one nginx on the loopback. A slow moment of the machine therefore
//! affects all of them. Run the bench on an otherwise idle machine.
#![allow(clippy::print_stdout, reason = "the result is a table")]

mod floor;
mod measure;
mod round_trips;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;
mod under_haproxy;
mod world;

use floor::InProcess;
use measure::{Figures, Time};
use world::{Backend, World};

/// The number of runs of each contender against each backend.
const RUNS: usize = 200;

fn main() {
    // This bench ignores its arguments. cargo passes `--bench` to every benchmark.
    let world = World::new();
    table::machine(RUNS);
    table::head();
    for (backend, thorough) in world.backends.iter().zip([true, false, false, false]) {
        one_check(&world, backend, thorough);
    }
    table::round_trips_head();
    for backend in &world.backends {
        table::round_trips_row(&backend.label, round_trips::measure(&world, backend));
    }
    table::haproxy_head();
    let backend = &world.backends[0];
    let mut noop = None;
    for way in under_haproxy::ways(&world, backend) {
        let load = way.load(&world, backend);
        let noop = *noop.get_or_insert(load.children_ms);
        let rate = way.highest_rate(&world, backend);
        table::haproxy_row(way.name, &load, noop, rate);
    }
}

/// Measures one check of a backend by each contender. Always measures the exact figures of sni-check.
/// Measures the exact figures of the other contenders only if `thorough` is true, because each contender
/// takes several seconds, and its figures hardly depend on the backend.
fn one_check(world: &World, backend: &Backend, thorough: bool) {
    let contenders = world.contenders(backend);
    let in_process = InProcess::new(backend);
    let mut times: Vec<Vec<Time>> = vec![Vec::with_capacity(RUNS); contenders.len() + 1];
    for _ in 0..RUNS {
        for (contender, times) in contenders.iter().zip(&mut times) {
            times.push(measure::run(contender));
        }
        times[contenders.len()].push(in_process.run());
    }
    let medians: Vec<Time> = times.iter().map(|times| Time::median(times)).collect();
    let rows = contenders
        .iter()
        .enumerate()
        .map(|(at, contender)| {
            let exact = (thorough || at == 0).then(|| Figures::of(contender));
            (contender.name, exact)
        })
        .chain([("in-process handshake and request", None)]);
    table::rows(&backend.label, rows.zip(medians).collect());
}
