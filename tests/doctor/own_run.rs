//! `doctor --run` and HAProxy's own checks: the result, and the difference from a visitor's request that explains it.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use crate::configuration::json;
use crate::support::free_port;
use crate::support::haproxy::{Mode, with_every_haproxy};
use crate::support::peer::{OK, silent, tcp};
use crate::support::stage::Stage;

/// Limits of the check of a server that answers after 1.5 s (SLOW) or never (SILENT), and what HAProxy shows. If
/// `timeout check` is shorter than the limit of the connection, HAProxy sometimes keeps the longer limit.
const LIMITS: &[(&str, &str, &str)] = &[
    ("", "SLOW", "L7OK"),
    ("", "SLOW inter 1s", "L7TOUT"),
    ("", "SLOW inter 1s fastinter 3s downinter 3s", "L7TOUT"),
    ("timeout check 2500ms", "SLOW inter 1s", "L7OK"),
    ("timeout check 1s", "SLOW inter 1s", "L7TOUT"),
    ("timeout connect 500ms\n timeout check 1s", "SLOW", "L7TOUT"),
    ("", "SILENT ssl verify none", "L6TOUT"),
    (
        "timeout check 1s",
        "SILENT ssl verify none inter 500ms",
        "L6TOUT",
    ),
];

#[test]
fn a_run_ends_a_check_when_haproxy_does() {
    let stage = Stage::new();
    let slow = tcp(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        thread::sleep(Duration::from_millis(1500));
        let _ = stream.write_all(OK.as_bytes());
    });
    let silent = silent();
    let backends = LIMITS.iter().enumerate();
    let backends = backends.map(|(index, (limits, server, _))| {
        let server = server.replace("SLOW", &format!("127.0.0.1:{slow} check"));
        let server = server.replace("SILENT", &format!("127.0.0.1:{silent} check"));
        format!("backend b{index}\n {limits}\n option httpchk GET /\n server s {server}\n")
    });
    let text = format!(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\nfrontend f\n bind 127.0.0.1:{}\n{}",
        free_port(),
        backends.collect::<String>()
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    with_every_haproxy(|version| {
        let program = version.program.display().to_string();
        let haproxy = version.start(Mode::Single, &config, &[]);
        let (report, _) = json(&["-f", &config, "--haproxy", &program, "--run"]);
        for (index, (limits, server, shown)) in LIMITS.iter().enumerate() {
            let run = &report["runs"]["checks"][index];
            let what = format!("{version:?}: {limits} {server}: {run}");
            assert_eq!(run["check_status"], *shown, "{what}");
            // HAProxy checks again at once, and shows the last result with a star.
            let seen = haproxy.server(&format!("b{index}"), "s").expect("a server");
            let seen = seen.check_status.trim_start_matches("* ");
            assert_eq!(seen, *shown, "{what}");
        }
    });
}
