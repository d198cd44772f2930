//! Many servers, many checks, and a backend that is reloaded, killed and restarted. No verdict may
//! be wrong, HAProxy must never need to kill a check, and no process may be left behind.
//!
//! `make soak` runs the long form, with the release binary.

mod support;

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use support::check::BINARY;
use support::haproxy::{Haproxy, Mode, Server};
use support::stage::Stage;
use support::{NAME, PATIENCE, program, wait_for};

const BACKEND: &str = "soak";

/// The code of a refused connection.
const REFUSED: &str = "41";
/// The codes that a running check can have when nginx is killed: refused, unreachable, closed
/// during the handshake or the response. The check may also have succeeded just before.
const AT_THE_KILL: [&str; 5] = ["0", REFUSED, "43", "64", "74"];

struct Soak {
    haproxy: Haproxy,
    stage: Stage,
    inter: Duration,
    /// How many verdicts the test has read.
    verdicts: Cell<usize>,
}

impl Soak {
    fn start(binary: &str, servers: usize, inter: Duration) -> Soak {
        let stage = Stage::new();
        let millis = inter.as_millis();
        let mut config = format!(
            "global\n  external-check\n  insecure-fork-wanted\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout server 5s\n  timeout client 5s\n\
             frontend front\n  bind \"${{LISTEN}}\"\n  default_backend {BACKEND}\n\
             backend {BACKEND}\n  option external-check\n  external-check command {binary}\n  \
             external-check path \"--sni {NAME} {} --timeout {}ms\"\n  \
             default-server check inter {millis}ms\n",
            stage.trust,
            millis * 9 / 10
        );
        for number in 0..servers {
            config += &format!("  server s{number} 127.0.0.1:{}\n", stage.nginx().port);
        }
        let config = stage.folder.file("haproxy.cfg", &config);
        let haproxy = Haproxy::start(Mode::Foreground, &config, &[]);
        Soak {
            haproxy,
            stage,
            inter,
            verdicts: Cell::new(0),
        }
    }

    fn servers(&self) -> Vec<Server> {
        let servers = self.haproxy.servers(BACKEND).expect("statistics");
        self.verdicts.set(self.verdicts.get() + servers.len());
        servers.into_iter().map(|(_, server)| server).collect()
    }

    /// Asserts repeatedly, for `time`, that `right` is true for every server.
    #[track_caller]
    fn assert_for(&self, time: Duration, what: &str, right: impl Fn(&Server) -> bool) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let servers = self.servers();
            let wrong: Vec<&Server> = servers.iter().filter(|server| !right(server)).collect();
            assert!(
                wrong.is_empty(),
                "{what}: {wrong:?}\n{}",
                self.haproxy.log()
            );
            thread::sleep(self.inter / 4);
        }
    }

    /// Waits until `reached` is true for every server. Until then, asserts that `right` is true for
    /// every server.
    #[track_caller]
    fn wait(&self, what: &str, reached: impl Fn(&Server) -> bool, right: impl Fn(&Server) -> bool) {
        let end = Instant::now() + PATIENCE + self.inter * 4;
        while !self.servers().iter().all(&reached) {
            assert!(Instant::now() < end, "{what}: {:?}", self.servers());
            self.assert_for(self.inter / 10, what, &right);
        }
    }

    /// Returns how many requests nginx has answered since its start.
    fn requests(&self) -> u64 {
        let port = self.stage.nginx().port;
        let output = program("curl")
            .args(["-sk", "--resolve", &format!("{NAME}:{port}:127.0.0.1")])
            .arg(format!("https://{NAME}:{port}/requests"))
            .output()
            .expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let counts = text.lines().nth(2).unwrap_or_default();
        let requests = counts.split_whitespace().nth(2).map(str::parse);
        requests
            .unwrap_or_else(|| panic!("{text}"))
            .expect("a number")
    }

    /// Returns the resident memory of HAProxy's worker, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.haproxy.worker()));
        let status = status.expect("a worker");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("VmRSS").parse().expect("a number")
    }

    /// Returns how many children of HAProxy have exited and aren't reaped.
    fn zombies(&self) -> usize {
        let ended = || -> Vec<u32> {
            let worker = self.haproxy.worker();
            processes()
                .filter(|pid| {
                    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                    let after_name = stat.rsplit(')').next().unwrap_or_default();
                    let mut fields = after_name.split_whitespace();
                    fields.next() == Some("Z") && fields.next() == Some(worker.to_string().as_str())
                })
                .collect()
        };
        // HAProxy needs a moment to reap a child that has just exited.
        let before = ended();
        thread::sleep(self.inter);
        ended().iter().filter(|pid| before.contains(pid)).count()
    }

    fn healthy(server: &Server) -> bool {
        server.status == "UP" && server.check_status.ends_with("PROCOK") && server.check_code == "0"
    }

    /// Runs a quiet phase, then reloads, kills and restarts nginx. The phases before the kill take
    /// `time` in total.
    fn run(self, time: Duration) -> Figures {
        let started = Instant::now();
        let ran = |server: &Server| !server.check_status.contains("TOUT");
        self.wait("at first", Soak::healthy, ran);
        let memory_at_first = self.memory();
        let never_failed = |server: &Server| Soak::healthy(server) && server.failed_checks == 0;
        self.assert_for(time / 2, "quiet", never_failed);
        self.stage.nginx().reload();
        self.assert_for(time / 2, "reloaded", never_failed);
        let answered = self.requests();

        self.stage.nginx().stop();
        let down = |server: &Server| {
            server.status == "DOWN" && server.check_code == REFUSED && ran(server)
        };
        let explained =
            |server: &Server| ran(server) && AT_THE_KILL.contains(&server.check_code.as_str());
        self.wait("killed", down, explained);
        self.assert_for(self.inter * 3, "down", down);
        self.stage.nginx().resume();
        let explained =
            |server: &Server| ran(server) && ["0", REFUSED].contains(&&*server.check_code);
        self.wait("started again", Soak::healthy, explained);
        self.assert_for(self.inter * 3, "up again", Soak::healthy);

        let figures = Figures {
            servers: self.servers().len(),
            checks: answered + self.requests(),
            verdicts: self.verdicts.get(),
            seconds: started.elapsed().as_secs(),
            memory: (memory_at_first, self.memory()),
            zombies: self.zombies(),
        };
        self.end();
        figures
    }

    /// Stops HAProxy, and asserts that no check outlives it.
    fn end(self) {
        let Soak { haproxy, stage, .. } = self;
        drop(haproxy);
        let mark = stage.folder.path().display().to_string();
        wait_for("the last check to end", || {
            let left = processes().any(|pid| {
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                String::from_utf8_lossy(&environment).contains(&mark)
            });
            (!left).then_some(())
        });
    }
}

struct Figures {
    servers: usize,
    /// The checks that nginx answered. Refused checks aren't counted.
    checks: u64,
    verdicts: usize,
    seconds: u64,
    /// The memory of HAProxy's worker in KiB, at the start and at the end.
    memory: (u64, u64),
    zombies: usize,
}

impl Figures {
    fn hold(&self, checks: u64) {
        assert!(self.checks >= checks, "only {} checks", self.checks);
        assert_eq!(self.zombies, 0);
        let (first, last) = self.memory;
        assert!(
            last <= first + first / 10,
            "HAProxy's memory grew: {first} KiB, {last} KiB"
        );
    }

    #[allow(clippy::print_stdout)]
    fn print(&self) {
        println!("servers                {:>8}", self.servers);
        println!("seconds                {:>8}", self.seconds);
        println!("checks answered        {:>8}", self.checks);
        println!("verdicts, all right    {:>8}", self.verdicts);
        println!("zombies                {:>8}", self.zombies);
        println!("HAProxy at first, KiB  {:>8}", self.memory.0);
        println!("HAProxy at last, KiB   {:>8}", self.memory.1);
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[test]
fn a_short_soak_has_only_right_verdicts() {
    // With this interval, no check is late, even on a machine that runs other tests.
    let soak = Soak::start(BINARY, 4, Duration::from_secs(2));
    soak.run(Duration::from_secs(6)).hold(8);
}

#[test]
#[ignore = "takes minutes and a quiet machine: make soak"]
fn a_long_soak_has_only_right_verdicts() {
    let binary = std::env::var("SNI_CHECK").expect("SNI_CHECK names the release binary");
    assert!(Path::new(&binary).is_absolute());
    let figures = Soak::start(&binary, 300, Duration::from_secs(1)).run(Duration::from_secs(72));
    figures.hold(20_000);
    figures.print();
}
