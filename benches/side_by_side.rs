//! What one check costs, side by side with what people use: alternating runs against one nginx on
//! the loopback, in one table with ratios from the same run.
//!
//! Call: `side_by_side PATH_OF_SNI_CHECK`.
#![allow(clippy::print_stdout, reason = "a table is the result")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use support::check::haproxy_command;
use support::folder::Folder;
use support::nginx::Nginx;
use support::pki::Ca;

const NAME: &str = "www.example.test";
const RUNS: usize = 200;

/// What one run cost.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    faults: u64,
}

struct Contender {
    name: &'static str,
    command: Box<dyn Fn() -> Command>,
    costs: Vec<Cost>,
}

fn main() {
    let program = std::env::args().nth(1).expect("the path of sni-check");
    let folder = Folder::new();
    let ca = Ca::new();
    let ca_file = folder.file("ca.pem", &ca.pem);
    let nginx = Nginx::start(&ca, NAME, &ca.leaf(&[NAME], 30));
    let mut contenders = contenders(program, ca_file, nginx.port);
    for _ in 0..RUNS {
        for contender in &mut contenders {
            let cost = measure((contender.command)(), contender.name);
            contender.costs.push(cost);
        }
    }
    print_table(&contenders);
}

fn contenders(program: String, ca_file: String, port: u16) -> Vec<Contender> {
    let contender = |name, command: Box<dyn Fn() -> Command>| Contender {
        name,
        command,
        costs: Vec::with_capacity(RUNS),
    };
    let port = port.to_string();
    let ours = {
        let (ca_file, port) = (ca_file.clone(), port.clone());
        move || {
            let path = format!("--sni {NAME} --ca-file {ca_file}");
            haproxy_command(&[&program], &path, "127.0.0.1", &port)
        }
    };
    let script = {
        let (ca_file, port) = (ca_file.clone(), port.clone());
        move || {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/baseline/check.sh");
            let mut command = haproxy_command(&[script], "/usr/bin:/bin", "127.0.0.1", &port);
            command.envs([("SNI_HOST", NAME), ("CA_FILE", &ca_file)]);
            command
        }
    };
    let curl = move || {
        let mut command = support::program("curl");
        let connect = format!("{NAME}:443:127.0.0.1:{port}");
        command.args([
            "--silent",
            "--fail",
            "--cacert",
            &ca_file,
            "--connect-to",
            &connect,
        ]);
        command.arg(format!("https://{NAME}/")).env_clear();
        command
    };
    vec![
        contender("sni-check", Box::new(ours)),
        contender("bash + curl script", Box::new(script)),
        contender("curl alone", Box::new(curl)),
        contender(
            "a process that does nothing (`true`)",
            Box::new(|| support::program("true")),
        ),
    ]
}

fn measure(mut command: Command, name: &str) -> Cost {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let before = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
    let start = Instant::now();
    let status = command.status().expect("it runs");
    let wall = start.elapsed();
    assert!(status.success(), "{name}: {status}");
    let after = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
    let micros = |usage: &nix::sys::resource::Usage| {
        let time = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
        time(usage.user_time()) + time(usage.system_time())
    };
    let cpu = u64::try_from(micros(&after) - micros(&before)).unwrap_or(0);
    let faults = after.minor_page_faults() - before.minor_page_faults();
    Cost {
        wall,
        cpu: Duration::from_micros(cpu),
        faults: u64::try_from(faults).unwrap_or(0),
    }
}

fn median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}

fn print_table(contenders: &[Contender]) {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = cpus
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    println!(
        "Medians of {RUNS} alternating runs; nginx on the loopback, TLS 1.3, P-256, private CA;"
    );
    println!("{cores} cores, {model}.\n");
    println!("| check | wall | × | user + sys CPU | × | page faults |");
    println!("|---|---|---|---|---|---|");
    let of = |contender: &Contender| {
        let costs = || contender.costs.iter();
        (
            median(costs().map(|cost| cost.wall)),
            median(costs().map(|cost| cost.cpu)),
            median(costs().map(|cost| cost.faults)),
        )
    };
    let (our_wall, our_cpu, _) = of(&contenders[0]);
    for contender in contenders {
        let (wall, cpu, faults) = of(contender);
        println!(
            "| {} | {:.2} ms | {:.1} | {:.2} ms | {:.1} | {faults} |",
            contender.name,
            wall.as_secs_f64() * 1e3,
            wall.as_secs_f64() / our_wall.as_secs_f64(),
            cpu.as_secs_f64() * 1e3,
            cpu.as_secs_f64() / our_cpu.as_secs_f64(),
        );
    }
}
