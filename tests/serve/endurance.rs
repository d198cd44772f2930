//! Many servers and many checks: no answer is late, and no resource use grows.
//!
//! `make soak` runs the long form, with the release binary.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::scene::{Serve, haproxy_as};
use crate::support::check::BINARY;
use crate::support::haproxy::{Haproxy, Server, installed};
use crate::support::stage::Stage;
use crate::support::{PATIENCE, wait_for};

/// The resources that a process holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: u64,
    /// Resident memory in KiB.
    memory: u64,
}

impl Held {
    fn by(serve: &Serve) -> Held {
        let pid = serve.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.expect(name).parse().expect("a number")
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
        Held {
            descriptors: descriptors.count(),
            threads: field("Threads:"),
            memory: field("VmRSS:"),
        }
    }
}

/// Runs `checks` checks, eight at a time.
fn check(serve: &Serve, port: u16, options: &str, checks: usize) {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..checks / 8 {
                    serve.ask(port, options).expect("0", "status 200");
                }
            });
        }
    });
}

/// Runs some checks first, then `checks` more. Asserts that descriptors, threads and memory don't
/// grow in between. Returns the figures of both measurements.
fn nothing_grows(program: &str, checks: usize) -> (Held, Held) {
    let stage = Stage::new();
    let serve = Serve::start_by(program, &stage, &[]);
    let (port, options) = (stage.nginx().port, stage.options());
    check(&serve, port, &options, checks.min(10_000) / 4);
    let before = Held::by(&serve);
    check(&serve, port, &options, checks);
    // serve closes each connection after its answer. Sixteen threads may be idle; two more threads
    // accept connections and refuse the excess.
    let after = wait_for("the last checks to leave nothing", || {
        let after = Held::by(&serve);
        let left = after.descriptors > before.descriptors || after.threads > 18;
        (!left).then_some(after)
    });
    // Each idle thread keeps the part of its stack that a check has used.
    let threads = after.threads.saturating_sub(before.threads) * 128;
    let allowed = before.memory + before.memory / 10 + threads;
    assert!(after.memory <= allowed, "{before:?} {after:?}");
    (before, after)
}

/// Starts HAProxy with `servers` servers and checks each every `inter`.
fn haproxy_of_many(stage: &Stage, serve: &Serve, servers: usize, inter: &str) -> Haproxy {
    let port = stage.nginx().port;
    let options = stage.options().replace("10s", "1800ms");
    let many = format!(
        "backend many\n    option httpchk\n    timeout check 1900ms\n    \
         http-check connect addr unix@{}\n    http-check send-state\n    \
         http-check send meth GET uri / hdr X-Check-Options \"{options}\"\n    \
         http-check expect hdr name X-Check-Code value 0 status-code \"res.hdr(x-check-code)\" \
         on-error \"%[res.hdr(x-check-reason)]\"\n    \
         server-template s {servers} 127.0.0.1:{port} check inter {inter}\n",
        serve.socket
    );
    haproxy_as(&installed(), stage, &serve.socket, &many, &[])
}

/// Asserts that the first check of every server turns it UP, and that no check fails during `time`.
fn no_answer_is_late(program: &str, servers: usize, inter: &str, time: Duration) {
    let stage = Stage::new();
    let serve = Serve::start_by(program, &stage, &[]);
    let haproxy = haproxy_of_many(&stage, &serve, servers, inter);
    let healthy = |server: &Server| server.check_code == "0" && server.failed_checks == 0;
    let all = || haproxy.servers("many").expect("statistics");
    let end = Instant::now() + PATIENCE;
    while !all()
        .iter()
        .all(|(_, server)| server.check_status == "L7OK")
    {
        assert!(
            Instant::now() < end,
            "{:?}",
            all().iter().find(|(_, server)| !healthy(server))
        );
        thread::sleep(Duration::from_millis(100));
    }
    let end = Instant::now() + time;
    while Instant::now() < end {
        let wrong = all().into_iter().find(|(_, server)| !healthy(server));
        assert!(
            wrong.is_none(),
            "{wrong:?}\n{}{}",
            serve.log(),
            haproxy.log()
        );
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(all().len(), servers);
}

#[test]
fn a_thousand_checks_leave_nothing_behind() {
    nothing_grows(BINARY, 1000);
}

#[test]
fn a_hundred_servers_get_their_answers_in_time() {
    no_answer_is_late(BINARY, 100, "2s", Duration::from_secs(4));
}

/// Returns the release binary, and a number that an environment variable can change.
fn long(variable: &str, usual: usize) -> (String, usize) {
    let binary = std::env::var("SNI_CHECK").expect("SNI_CHECK names the release binary");
    let number = std::env::var(variable).map(|text| text.parse().expect("a number"));
    (binary, number.unwrap_or(usual))
}

#[test]
#[ignore = "takes a minute and a quiet machine: make soak"]
#[allow(clippy::print_stdout)]
fn two_thousand_servers() {
    let (binary, seconds) = long("SERVE_SECONDS", 60);
    no_answer_is_late(&binary, 2000, "2s", Duration::from_secs(seconds as u64));
    println!("2000 servers, inter 2s, {seconds} s: no late answer");
}

#[test]
#[ignore = "takes a quarter of an hour: make soak"]
#[allow(clippy::print_stdout)]
fn a_million_checks() {
    let (binary, checks) = long("SERVE_CHECKS", 1_000_000);
    let (before, after) = nothing_grows(&binary, checks);
    println!("{checks} checks: {before:?}, then {after:?}");
}
