//! Prints the results as tables.

use std::fs;
use std::process::Command;

use crate::measure::{Figures, Time};
use crate::under_haproxy::Load;

/// Prints the machine and the method of the measurements.
pub fn machine(runs: usize) {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = cpus.lines().filter(|line| line.starts_with("processor"));
    let kernel = Command::new("uname").arg("-r").output();
    let kernel = kernel.map_or_else(
        |_| "?".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    println!("{} cores of {model}, Linux {kernel}.", cores.count());
    println!(
        "Times and page faults: medians of {runs} alternating runs each, against one nginx on"
    );
    println!("the loopback, certificates of a private CA. CPU: user and system, by getrusage.");
    println!("Peak memory: GNU time, which reports at least its own 1.4 MiB. System calls and the");
    println!("files opened: strace. Instructions, outside the kernel: callgrind.");
    println!("The floor is the no-op and the in-process handshake together.");
}

pub fn head() {
    println!(
        "\n| backend | check | wall | × ours | × floor | CPU | × ours | instructions | page faults | system calls | peak memory | files opened |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
}

/// Prints the rows of one backend: sni-check first, the two parts of the floor last.
pub fn rows(backend: &str, rows: Vec<((&str, Option<Figures>), Time)>) {
    let ours = rows[0].1;
    let floor_parts = &rows[rows.len() - 2..];
    let floor = Time {
        wall: floor_parts.iter().map(|(_, time)| time.wall).sum(),
        cpu: floor_parts.iter().map(|(_, time)| time.cpu).sum(),
        faults: 0,
    };
    for ((name, figures), time) in rows {
        row(backend, name, time, ours, floor, figures);
    }
    row(backend, "floor", floor, ours, floor, None);
}

fn row(backend: &str, name: &str, time: Time, ours: Time, floor: Time, figures: Option<Figures>) {
    let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    print!(
        "| {backend} | {name} | {:.2} ms | {:.2} | {:.2} | {:.2} ms | {:.2} |",
        millis(time.wall),
        millis(time.wall) / millis(ours.wall),
        millis(time.wall) / millis(floor.wall),
        millis(time.cpu),
        millis(time.cpu) / millis(ours.cpu),
    );
    match figures {
        Some(figures) => println!(
            " {:.2} M | {} | {} | {:.1} MiB | {:.1} MB |",
            figures.instructions as f64 / 1e6,
            time.faults,
            figures.calls,
            figures.peak_kib as f64 / 1024.0,
            figures.disk as f64 / 1e6,
        ),
        None => println!(" - | - | - | - | - |"),
    }
}

pub fn haproxy_head() {
    println!(
        "\nUnder HAProxy: 200 servers, TLSv1.3, P-256, 20 s, with `inter 1s` or the shortest `inter` that works. The last column is the highest rate at which no check is lost.\n"
    );
    println!(
        "| check | `inter` | CPU of a check's process | × no-op | CPU of HAProxy for a check | checks per second |"
    );
    println!("|---|---|---|---|---|---|");
}

pub fn haproxy_row(name: &str, load: &Load, noop: f64, rate: u32) {
    println!(
        "| {name} | {} s | {:.2} ms | {:.2} | {:.2} ms | {rate} |",
        load.inter.as_secs(),
        load.children_ms,
        load.children_ms / noop,
        load.haproxy_ms,
    );
}

pub fn round_trips_head() {
    println!("\nThrough a relay that delays each way by 50 ms:\n");
    println!("| backend | round trips |");
    println!("|---|---|");
}

pub fn round_trips_row(backend: &str, trips: f64) {
    println!("| {backend} | {trips:.2} |");
}
