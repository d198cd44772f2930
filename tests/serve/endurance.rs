//! With many servers and many checks, no answer is late, and serve's use of resources doesn't grow.
//!
//! `make soak` runs the long form, with the release binary.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::scene::{Answer, Serve, haproxy_as, head};
use crate::support::check::BINARY;
use crate::support::haproxy::{Haproxy, Server, installed};
use crate::support::held::HeldFile;
use crate::support::stage::Stage;
use crate::support::{NAME, PATIENCE, peer, wait_for};

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

/// Runs some checks, and then a second batch of `checks` checks. Asserts that the second batch leaves
/// no descriptors open, at most 18 threads, and hardly more memory. Returns the figures before and
/// after the second batch.
fn nothing_grows(program: &str, checks: usize) -> (Held, Held) {
    let stage = Stage::new();
    let serve = Serve::start_by(program, &stage, &[]);
    let (port, options) = (stage.nginx().port, stage.options());
    check(&serve, port, &options, checks.min(10_000) / 4);
    let before = Held::by(&serve);
    check(&serve, port, &options, checks);
    // serve closes each connection after its answer. At most sixteen threads may be idle. One more
    // thread accepts connections, and one refuses requests beyond the limit.
    let after = wait_for(
        "the last checks to release their descriptors and threads",
        || {
            let after = Held::by(&serve);
            let left = after.descriptors > before.descriptors || after.threads > 18;
            (!left).then_some(after)
        },
    );
    // Each idle thread keeps the part of its stack that a check has used.
    let threads = after.threads.saturating_sub(before.threads) * 128;
    let allowed = before.memory + before.memory / 10 + threads;
    assert!(after.memory <= allowed, "{before:?} {after:?}");
    (before, after)
}

/// Starts HAProxy with `servers` servers, each checked every `inter`.
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

/// Asserts that the first check of every server sets it UP, and that no check fails during `time`.
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

/// Returns the path of the release binary, and a number: the value of `variable`, or `usual` if the
/// variable isn't set.
fn long(variable: &str, usual: usize) -> (String, usize) {
    let binary = std::env::var("SNI_CHECK").expect("SNI_CHECK names the release binary");
    let number = std::env::var(variable).map(|text| text.parse().expect("a number"));
    (binary, number.unwrap_or(usual))
}

#[test]
#[ignore = "takes a minute and a quiet machine: make soak"]
#[allow(clippy::print_stdout)]
fn two_thousand_servers_get_their_answers_in_time() {
    let (binary, seconds) = long("SERVE_SECONDS", 60);
    no_answer_is_late(&binary, 2000, "2s", Duration::from_secs(seconds as u64));
    println!("2000 servers, inter 2s, {seconds} s: no late answer");
}

#[test]
#[ignore = "takes a quarter of an hour: make soak"]
#[allow(clippy::print_stdout)]
fn a_million_checks_leave_nothing_behind() {
    let (binary, checks) = long("SERVE_CHECKS", 1_000_000);
    let (before, after) = nothing_grows(&binary, checks);
    println!("{checks} checks: {before:?}, then {after:?}");
}

/// How long a healthy check may take while serve also checks a hostile server. docs/serve.md states
/// it.
const WITH_A_HOSTILE_SERVER: Duration = Duration::from_millis(100);

/// Runs healthy checks while four clients repeatedly send `hostile`, if there is one. Returns the
/// durations in ascending order.
fn time_healthy_checks(
    binary: &str,
    stage: &Stage,
    hostile: Option<&str>,
    checks: usize,
) -> Vec<Duration> {
    let serve = Serve::start_by(binary, stage, &[]);
    let healthy = head(stage.nginx().port, &stage.options());
    serve.send(&healthy).expect("0", "status 200");
    let done = AtomicBool::new(false);
    let mut times: Vec<Duration> = thread::scope(|scope| {
        for hostile in hostile.iter().flat_map(|head| [head; 4]) {
            let (serve, done) = (&serve, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let mut stream = serve.connect();
                    stream.write_all(hostile.as_bytes()).expect("sent");
                    assert_ne!(Answer::read(stream).code, "0");
                }
            });
        }
        let times = (0..checks).map(|_| {
            let began = Instant::now();
            serve.send(&healthy).expect("0", "status 200");
            let time = began.elapsed();
            thread::sleep(Duration::from_millis(10));
            time
        });
        let times = times.collect();
        done.store(true, Ordering::Relaxed);
        times
    });
    times.sort();
    times
}

/// Asserts that healthy checks stay fast while serve checks each kind of hostile server, and prints
/// their times.
#[test]
#[ignore = "needs a quiet machine: make soak"]
#[allow(clippy::print_stdout)]
fn healthy_checks_stay_fast_while_serve_checks_a_hostile_server() {
    let (binary, checks) = long("SERVE_HEALTHY", 300);
    let stage = Stage::new();
    let body = "status ok ".repeat(6_500);
    let long_text = format!("HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n\r\n{body}");
    let endless = peer::tls(&stage.leaf, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let drip = peer::tcp(|mut stream| peer::drip(&mut stream, b"\x16\x03\x03\x3f\xff"));
    let held = HeldFile::new(&stage.folder, "held.pem", &stage.ca.pem);
    let trust = &stage.trust;
    for (kind, port, options) in [
        ("no hostile server", 0, String::new()),
        (
            "a slow regular expression",
            peer::answer(&stage.leaf, &long_text),
            format!("{trust} --expect 'rstring status.*ok.*[0-9]'"),
        ),
        (
            "an endless body",
            endless,
            format!("{trust} --max-body 1m --expect 'string nowhere'"),
        ),
        ("a handshake sent byte by byte", drip, trust.clone()),
        ("no answer", peer::silent(), trust.clone()),
        (
            "a file that hangs",
            peer::silent(),
            format!("{trust} --ca-file {}", held.path),
        ),
    ] {
        let hostile = (port > 0).then(|| head(port, &format!("--sni {NAME} {options}")));
        // A busy machine delays some checks, so the test uses the best of three runs.
        let runs = (0..3).map(|_| time_healthy_checks(&binary, &stage, hostile.as_deref(), checks));
        let best = runs.min_by_key(|times| times[checks - 1]);
        let times = best.expect("three runs");
        let (median, longest) = (times[checks / 2], times[checks - 1]);
        println!("{kind:<26} median {median:>7.1?}, longest {longest:>7.1?}");
        assert!(longest <= WITH_A_HOSTILE_SERVER, "{kind}: {longest:?}");
    }
    let page = include_str!("../../docs/serve.md");
    let limit = format!("within {} ms", WITH_A_HOSTILE_SERVER.as_millis());
    assert!(page.contains(&limit), "docs/serve.md lacks: {limit}");
}
