//! Compares the verdicts of HAProxy's own check and sni-check for the same servers. Every
//! difference must be in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::PATIENCE;
use crate::support::check::{BINARY, haproxy_command};
use crate::support::folder::Folder;
use crate::support::haproxy::{Haproxy, Mode, Server, Version};

/// A server, and the settings with which HAProxy and sni-check check it.
#[derive(Clone, Debug)]
pub struct Case {
    /// A description of the case, unique in its table.
    pub name: String,
    /// The server's IP address or unix socket.
    pub address: String,
    /// The server's port. 0 for a unix socket.
    pub port: u16,
    /// Words of HAProxy's `server` line, after `check`.
    pub server: String,
    /// Lines of HAProxy's backend before the server line: `option httpchk`, `http-check …`.
    pub backend: String,
    /// sni-check's options.
    pub options: String,
    /// The expected difference between the two verdicts.
    pub differs: Differs,
}

/// An expected difference between the two verdicts. The test fails if the verdicts don't match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differs {
    /// The verdicts must agree.
    No,
    /// The server is DOWN only in sni-check, and the line reports a limit of sni-check. Contains
    /// the reason.
    Limit(&'static str),
    /// The server is DOWN only in sni-check, which is intended. Contains the reason.
    Stricter(&'static str),
    /// The server is UP only in sni-check. Contains the reason.
    Laxer(&'static str),
    /// Like `Limit`, but the verdicts may also agree.
    PerhapsLimit(&'static str),
    /// Like `Laxer`, but the verdicts may also agree.
    PerhapsLaxer(&'static str),
    /// Like `Stricter`, but the verdicts may also agree.
    PerhapsStricter(&'static str),
    /// HAProxy's versions have different verdicts. Contains the reason.
    Versions(&'static str),
}

/// The verdict of one of the two programs.
#[derive(Clone, Debug)]
pub enum Verdict {
    Up,
    /// DOWN, with the program's message.
    Down(String),
    /// HAProxy doesn't start with this case. Contains HAProxy's message.
    Refused(String),
}

impl Verdict {
    fn is_up(&self) -> bool {
        matches!(self, Verdict::Up)
    }
}

/// Runs both checks for every case, and prints the cases with different verdicts. Fails if the
/// verdicts of a case don't match its expected difference. Returns the number of differences with
/// the HAProxy version that differs most.
#[allow(clippy::print_stdout, reason = "--nocapture shows the figures")]
pub fn compare(table: &str, versions: &[Version], cases: &[Case]) -> usize {
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "names of {table} are not unique");
    let ours = ours(cases);
    let mut wrong = Vec::new();
    let mut most = 0;
    for version in versions {
        // On a busy machine, one process with thousands of servers would exceed its time limits.
        let parts = cases.chunks(700).flat_map(|part| theirs(version, part));
        let mut theirs: Vec<Verdict> = parts.collect();
        ask_again(version, cases, &ours, &mut theirs);
        let mut text = String::new();
        let (mut laxer, mut stricter) = (0, 0);
        for ((case, ours), theirs) in cases.iter().zip(&ours).zip(&theirs) {
            match (ours.is_up(), theirs.is_up()) {
                (true, false) => laxer += 1,
                (false, true) => stricter += 1,
                _ => {}
            }
            let pair = format!("{}: sni-check {ours:?}, HAProxy {theirs:?}", case.name);
            if ours.is_up() != theirs.is_up() {
                let _ = writeln!(text, "  {pair}");
            }
            if let Err(what) = expected(case, ours, theirs) {
                wrong.push(format!("HAProxy {}: {pair} ({what})", version.number));
            }
        }
        println!(
            "{table}, HAProxy {}: {} cases, UP only in sni-check: {laxer}, DOWN only in sni-check: {stricter}\n{text}",
            version.number,
            cases.len()
        );
        most = most.max(laxer + stricter);
    }
    assert!(
        wrong.is_empty(),
        "{table}, {} unexpected:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    most
}

/// Repeats HAProxy's check of the servers that are UP in sni-check but timed out in HAProxy, at most
/// three times. The machine may have been busy.
fn ask_again(version: &Version, cases: &[Case], ours: &[Verdict], all: &mut [Verdict]) {
    for _ in 0..3 {
        let ran_out =
            |verdict: &Verdict| matches!(verdict, Verdict::Down(words) if words.contains("TOUT"));
        let late: Vec<usize> = (0..cases.len())
            .filter(|index| ours[*index].is_up() && ran_out(&all[*index]))
            .collect();
        for part in late.chunks(100) {
            let some: Vec<Case> = part.iter().map(|index| cases[*index].clone()).collect();
            for (index, verdict) in part.iter().zip(theirs(version, &some)) {
                all[*index] = verdict;
            }
        }
    }
}

fn expected(case: &Case, ours: &Verdict, theirs: &Verdict) -> Result<(), String> {
    let says_limit = matches!(ours, Verdict::Down(line) if line.contains("limit of sni-check"));
    match (case.differs, ours.is_up(), theirs.is_up()) {
        (Differs::No, here, there) if here == there => Ok(()),
        (Differs::PerhapsLimit(_), here, there) if here == there => Ok(()),
        (Differs::Limit(_) | Differs::PerhapsLimit(_), false, true) if says_limit => Ok(()),
        (Differs::Limit(_) | Differs::PerhapsLimit(_), false, true) => {
            Err("the line does not say `limit of sni-check`".into())
        }
        (Differs::Stricter(_), false, true)
        | (Differs::Laxer(_), true, false)
        | (Differs::PerhapsStricter(_), false, _)
        | (Differs::PerhapsStricter(_), true, true)
        | (Differs::PerhapsLaxer(_), true, _)
        | (Differs::PerhapsLaxer(_), false, false)
        | (Differs::Versions(_), ..) => Ok(()),
        (listed, ..) => Err(format!("the table says: {listed:?}")),
    }
}

/// Returns the verdicts of sni-check.
fn ours(cases: &[Case]) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    let verdict = check(case);
                    verdicts.lock().expect("a lock").insert(index, verdict);
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().expect("a lock");
    verdicts.into_values().collect()
}

/// Runs sni-check as HAProxy does.
fn check(case: &Case) -> Verdict {
    let path = format!("--timeout 20s {}", case.options);
    let port = match case.port {
        0 => "NOT_USED".to_owned(),
        port => port.to_string(),
    };
    let output = haproxy_command(&[BINARY], &path, &case.address, &port)
        .output()
        .expect("the program runs");
    match output.status.success() {
        true => Verdict::Up,
        false => Verdict::Down(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Returns HAProxy's verdicts. One process has a server for each case.
fn theirs(version: &Version, cases: &[Case]) -> Vec<Verdict> {
    let mut refused: BTreeMap<usize, String> = BTreeMap::new();
    let folder = Folder::new();
    // Each round removes the cases with which HAProxy doesn't start.
    let config = loop {
        let (config, lines) = config(cases, &refused);
        let file = folder.file("haproxy.cfg", &config);
        let Some(alerts) = alerts(version, &file) else {
            break file;
        };
        let before = refused.len();
        // HAProxy stops after 50 errors. Its last message may then name a correct line.
        let is_about_a_line =
            |line: &&str| line.contains("[ALERT]") && !line.contains("too many fatal errors");
        for alert in alerts.lines().filter(is_about_a_line) {
            let here = lines
                .iter()
                .filter(|(line, _)| alert.contains(&format!("haproxy.cfg:{line}]")));
            for index in here.flat_map(|(_, indices)| indices) {
                refused.entry(*index).or_insert_with(|| alert.to_owned());
            }
        }
        assert!(refused.len() > before, "HAProxy does not start: {alerts}");
    };
    let started = cases.len() - refused.len();
    let haproxy = (started > 0).then(|| {
        let command = Command::new(&version.program);
        Haproxy::start_by(command, Mode::Single, &config, &[])
    });
    let seen = haproxy.map_or_else(BTreeMap::new, |haproxy| {
        all_checked(&haproxy, version, started)
    });
    let verdict = |index: usize| match (refused.remove(&index), seen.get(&format!("s{index}"))) {
        (Some(alert), _) => Verdict::Refused(alert),
        (None, Some(server)) if server.status == "UP" => Verdict::Up,
        (None, Some(server)) => Verdict::Down(format!(
            "{} {}: {}",
            server.check_status, server.check_code, server.last_chk
        )),
        (None, None) => panic!("HAProxy has no server s{index}"),
    };
    (0..cases.len()).map(verdict).collect()
}

/// Returns the configuration, and for each line of a backend the cases that depend on the line.
fn config(
    cases: &[Case],
    refused: &BTreeMap<usize, String>,
) -> (String, BTreeMap<usize, Vec<usize>>) {
    let mut text = String::from(
        "defaults\n    mode http\n    timeout connect 20s\n    \
         timeout check 20s\n    timeout server 20s\n    timeout client 20s\n\
         frontend nobody\n    bind \"${LISTEN}\"\n    http-request deny\n",
    );
    // HAProxy spreads the first checks over this time. It's also a time limit for the connection of
    // a check.
    let inter = 3000 + 4 * cases.len();
    let mut by_backend: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, case) in cases.iter().enumerate() {
        if !refused.contains_key(&index) {
            by_backend.entry(&case.backend).or_default().push(index);
        }
    }
    let mut lines = BTreeMap::new();
    for (number, (backend, indices)) in by_backend.into_iter().enumerate() {
        let _ = writeln!(text, "backend b{number}");
        for line in backend.lines() {
            let _ = writeln!(text, "    {line}");
            lines.insert(text.lines().count(), indices.clone());
        }
        for index in indices {
            let case = &cases[index];
            let address = match case.port {
                0 => format!("unix@{}", case.address),
                port => format!("{}:{port}", case.address),
            };
            let _ = writeln!(
                text,
                "    server s{index} {address} check inter {inter} rise 1 fall 1 {}",
                case.server
            );
            lines.insert(text.lines().count(), vec![index]);
        }
    }
    (text, lines)
}

/// Returns HAProxy's message if it doesn't accept this configuration, and `None` if it does.
fn alerts(version: &Version, config: &str) -> Option<String> {
    let output = Command::new(&version.program)
        .args(["-c", "-f", config])
        .env("LISTEN", "127.0.0.1:1")
        .output()
        .expect("haproxy runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(text)
}

/// Waits until HAProxy has checked every server, and returns the servers by name.
fn all_checked(haproxy: &Haproxy, version: &Version, number: usize) -> BTreeMap<String, Server> {
    let end = Instant::now() + PATIENCE + Duration::from_millis(20) * number as u32;
    loop {
        let servers = haproxy.every_server().unwrap_or_default();
        let checked = servers.values().filter(|server| {
            // `* ` means that the next check is running.
            let status = server.check_status.trim_start_matches("* ");
            !status.is_empty() && status != "INI"
        });
        let checked = checked.count();
        if checked == number {
            return servers;
        }
        assert!(
            Instant::now() < end,
            "HAProxy {} has checked {checked} of {number} servers: {servers:?}\n{}",
            version.number,
            haproxy.log()
        );
        thread::sleep(Duration::from_millis(50));
    }
}
