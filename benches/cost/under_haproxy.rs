//! Measures the cost of checks under a real HAProxy, and how many checks per second it can run.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::floor::InProcess;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::{NAME, Running, wait_for};
use crate::world::{Backend, World};

const SERVERS: u32 = 200;
const WINDOW: Duration = Duration::from_secs(20);
/// The rates to try, in checks per second.
const LADDER: [u32; 13] = [
    50, 75, 100, 150, 200, 300, 400, 500, 600, 800, 1000, 1300, 1600,
];
const TRIAL: Duration = Duration::from_secs(4);
/// The unit of times in /proc/PID/stat, in seconds. USER_HZ is 100 on all usual platforms.
const TICK: f64 = 0.01;

/// A kind of check, as lines of haproxy.cfg.
pub struct Way {
    pub name: &'static str,
    backend: String,
    server: String,
    /// True if each check opens a connection. The bench then counts connections. Otherwise it counts
    /// processes.
    connects: bool,
    /// The command that starts `sni-check serve`, and the path of its socket. `None` if HAProxy doesn't ask
    /// serve.
    asks: Option<(Vec<String>, String)>,
}

/// HAProxy, and `sni-check serve` if HAProxy asks it.
struct Started {
    haproxy: Haproxy,
    asked: Option<Running>,
}

/// The cost of each check.
pub struct Load {
    /// The time between two checks of a server.
    pub inter: Duration,
    /// The CPU time of HAProxy's child processes and of `sni-check serve`.
    pub children_ms: f64,
    pub haproxy_ms: f64,
}

pub fn ways(world: &World, backend: &Backend) -> Vec<Way> {
    let external = |name, command: &str, path: &str| Way {
        name,
        backend: format!(
            "option external-check\n external-check command {command}\n external-check path \"{path}\""
        ),
        server: "check".to_owned(),
        connects: true,
        asks: None,
    };
    let ca_file = &backend.ca_file;
    let options = format!("--sni {NAME} --ca-file {ca_file}");
    let mut noop = external("static no-op", &world.noop, "/usr/bin:/bin");
    noop.connects = false;
    vec![
        noop,
        external("**sni-check**", &world.sni_check, &options),
        external(
            "bash + curl script",
            &world.script(backend),
            "/usr/bin:/bin",
        ),
        Way {
            name: "HAProxy's own `check-sni`",
            backend: format!("option httpchk\n http-check send hdr Host {NAME}"),
            server: format!(
                "check check-ssl check-sni {NAME} verify required verifyhost {NAME} ca-file {ca_file} no-ssl-reuse"
            ),
            connects: true,
            asks: None,
        },
        serve(world, &options),
    ]
}

/// Returns HAProxy's http-check that asks `sni-check serve`.
fn serve(world: &World, options: &str) -> Way {
    let socket = world.folder.join("serve");
    let folder = world.folder.path().display();
    let command = format!(
        "{} serve --listen unix:{socket} --files {folder}",
        world.sni_check
    );
    Way {
        name: "**sni-check serve**",
        backend: format!(
            "mode http\n option httpchk\n timeout check 1900ms\n http-check connect addr unix@{socket}\n \
             http-check send-state\n http-check send meth GET uri / hdr X-Check-Options \"{options}\"\n \
             http-check expect hdr name X-Check-Code value 0 status-code \"res.hdr(x-check-code)\" \
             on-success \"%[res.hdr(x-check-reason)]\" on-error \"%[res.hdr(x-check-reason)]\""
        ),
        server: "check".to_owned(),
        connects: true,
        asks: Some((command.split(' ').map(str::to_owned).collect(), socket)),
    }
}

impl Way {
    fn start(&self, world: &World, backend: &Backend, inter: Duration) -> Started {
        let asked = self.asks.as_ref().map(|(command, socket)| {
            let child = Command::new(&command[0])
                .args(&command[1..])
                .stderr(Stdio::null())
                .spawn();
            let running = Running(child.expect("serve runs"));
            wait_for("serve to listen", || UnixStream::connect(socket).ok());
            running
        });
        let config = format!(
            "global\n external-check\n insecure-fork-wanted\n maxconn 1000\n\
             defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
             backend checked\n {}\n server-template s {SERVERS} 127.0.0.1:{} {} inter {}us\n",
            self.backend,
            backend.port,
            self.server,
            inter.as_micros(),
        );
        let file = world.folder.file("bench.cfg", &config);
        Started {
            haproxy: Haproxy::start(Mode::Foreground, &file, &[]),
            asked,
        }
    }

    /// Measures the CPU time of each check. Every server is checked once a second, or less often if
    /// this kind of check can't keep up on this machine.
    pub fn load(&self, world: &World, backend: &Backend) -> Load {
        let inters = [1, 2, 4, 8].map(Duration::from_secs);
        let started = inters.into_iter().find_map(|inter| {
            let started = self.start(world, backend, inter);
            all_healthy(&started.haproxy).then_some((started, inter))
        });
        let (started, inter) = started.unwrap_or_else(|| panic!("{} cannot keep up", self.name));
        let (own, children) = started.spent();
        let done = self.done(backend);
        thread::sleep(WINDOW);
        let (own_after, children_after) = started.spent();
        let done = self.done(backend) - done;
        let per_check = |ticks: u64| ticks as f64 * TICK * 1e3 / done as f64;
        Load {
            inter,
            children_ms: per_check(children_after - children),
            haproxy_ms: per_check(own_after - own),
        }
    }

    /// Returns the highest rate, in checks per second, at which no check is lost.
    pub fn highest_rate(&self, world: &World, backend: &Backend) -> u32 {
        let reached = |rate: &u32| self.keeps(world, backend, *rate);
        let rungs = LADDER.partition_point(reached);
        rungs.checked_sub(1).map_or(0, |rung| LADDER[rung])
    }

    /// Returns true if at this rate every check starts on schedule and succeeds.
    fn keeps(&self, world: &World, backend: &Backend, rate: u32) -> bool {
        let inter = Duration::from_secs(1) * SERVERS / rate;
        let Started {
            haproxy,
            asked: _asked,
        } = self.start(world, backend, inter);
        if !all_healthy(&haproxy) {
            return false;
        }
        let failed = failures(&haproxy);
        let done = self.done(backend);
        let start = Instant::now();
        thread::sleep(TRIAL);
        let planned = f64::from(rate) * start.elapsed().as_secs_f64();
        let done = self.done(backend) - done;
        // The measurement may start or end in the middle of an interval.
        done as f64 >= planned * 0.97 && failures(&haproxy) == failed && all_healthy(&haproxy)
    }

    fn done(&self, backend: &Backend) -> u64 {
        if self.connects {
            connections(backend)
        } else {
            processes()
        }
    }
}

/// Waits until the last check of every server was successful. Returns false if this takes more than twelve
/// seconds.
fn all_healthy(haproxy: &Haproxy) -> bool {
    let end = Instant::now() + Duration::from_secs(12);
    while Instant::now() < end {
        let good = column(haproxy, "check_status");
        let good = good
            .iter()
            .filter(|status| matches!(status.as_str(), "PROCOK" | "L7OK"));
        if good.count() == SERVERS as usize {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

fn failures(haproxy: &Haproxy) -> u64 {
    let failed = column(haproxy, "chkfail");
    failed
        .iter()
        .filter_map(|count| count.parse::<u64>().ok())
        .sum()
}

/// Returns one column of the servers' statistics.
fn column(haproxy: &Haproxy, name: &str) -> Vec<String> {
    let csv = haproxy.ask("show stat checked 4 -1").unwrap_or_default();
    let mut lines = csv.lines().filter(|line| !line.is_empty());
    let head = lines.next().unwrap_or_default();
    let at = head.split(',').position(|field| field == name);
    let at = at.expect("a column with this name");
    lines
        .filter_map(|line| line.split(',').nth(at).map(str::to_owned))
        .collect()
}

impl Started {
    /// Returns the CPU time of HAProxy's worker, and the CPU time of the processes that run its checks: its
    /// children that have exited, and `sni-check serve`.
    fn spent(&self) -> (u64, u64) {
        let info = self.haproxy.ask("show info").unwrap_or_default();
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid: "));
        let (own, children) = spent(pid.expect("a pid"));
        let asked = self
            .asked
            .as_ref()
            .map(|asked| spent(&asked.0.id().to_string()));
        (own, children + asked.map_or(0, |(own, _)| own))
    }
}

/// Returns the CPU time of a process, and of its children that have exited, in ticks.
fn spent(pid: &str) -> (u64, u64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let (_, fields) = stat.rsplit_once(") ").expect("fields");
    let ticks: Vec<u64> = fields
        .split(' ')
        .skip(11)
        .take(4)
        .map(|field| field.parse().expect("a number"))
        .collect();
    (ticks[0] + ticks[1], ticks[2] + ticks[3])
}

/// Returns how many connections nginx has accepted.
fn connections(backend: &Backend) -> u64 {
    let text = InProcess::new(backend).get("/count");
    let mut counts = text
        .lines()
        .skip_while(|line| !line.starts_with("server accepts"));
    let counts = counts.nth(1).expect("counts");
    let accepted = counts.split_whitespace().next();
    accepted
        .and_then(|count| count.parse().ok())
        .expect("a number")
}

/// Returns how many processes this machine has started.
fn processes() -> u64 {
    let stat = fs::read_to_string("/proc/stat").expect("stat");
    let count = stat
        .lines()
        .find_map(|line| line.strip_prefix("processes "));
    count
        .and_then(|count| count.parse().ok())
        .expect("a number")
}
