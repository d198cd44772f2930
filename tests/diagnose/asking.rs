//! diagnose asks HAProxy, and leaves no process and no file behind. If it can't ask HAProxy, the report
//! says so.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::report::{Report, diagnose};
use crate::support::check::{BINARY, expect, run_by_hand, stdout};
use crate::support::folder::Folder;
use crate::support::pki::Ca;
use crate::support::{NAME, Running, dead_port, peer, wait_for};

fn asked(words: &[&str]) -> Value {
    let connect = format!("--connect=127.0.0.1:{}", dead_port());
    let call = ["diagnose", "--json", &connect, NAME];
    let output = run_by_hand(&[&call, words].concat());
    assert_eq!(output.status.code(), Some(41), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("an object")
}

#[test]
fn diagnose_asks_haproxy_or_marks_the_view_as_predicted() {
    assert!(asked(&[])["haproxy_asked"].is_string());
    let folder = Folder::new();
    let broken = "#!/bin/sh\n[ \"$1\" != -v ] || echo 'HAProxy version 3.0.0 2026/01/01'\n";
    let broken = folder.script("haproxy", broken);
    for (haproxy, why) in [("none", "--haproxy none"), (&broken, "could not be asked")] {
        let report = asked(&["--haproxy", haproxy]);
        assert!(report["haproxy_asked"].is_null());
        let said = report["haproxy_not_asked"].as_str().expect("a reason");
        assert!(said.contains(why), "{said}");
        assert_eq!(report["haproxy_view"][0]["status"], "L4CON");
    }
    let missing = run_by_hand(&["diagnose", "--haproxy=/nonexistent/haproxy", NAME]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
}

/// Returns the ids of all descendants of a process.
fn descendants(of: u32) -> Vec<u32> {
    // /proc lists each child under the thread that started it.
    let threads = fs::read_dir(format!("/proc/{of}/task"))
        .into_iter()
        .flatten();
    let children = threads.flatten().map(|thread| {
        let children = fs::read_to_string(thread.path().join("children"));
        children.unwrap_or_default()
    });
    let children: Vec<String> = children.collect();
    let ids = children.iter().flat_map(|ids| ids.split_whitespace());
    ids.filter_map(|id| id.parse().ok())
        .flat_map(|id| [vec![id], descendants(id)].concat())
        .collect()
}

#[test]
fn haproxy_dies_with_diagnose_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let connect = format!("--connect=127.0.0.1:{}", peer::silent());
    let mut command = Command::new(BINARY);
    command
        .args(["diagnose", "--timeout=1500ms", &connect, NAME])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null());
    let mut diagnosis = Running(command.spawn().expect("sni-check runs"));
    let of = diagnosis.0.id();
    let haproxy = wait_for("HAProxy to run", || {
        descendants(of).into_iter().find(|id| {
            let name = fs::read_to_string(format!("/proc/{id}/comm"));
            name.is_ok_and(|name| name.trim() == "haproxy")
        })
    });
    // SIGKILL, so that diagnose can't clean up after itself.
    diagnosis.0.kill().expect("killed");
    diagnosis.0.wait().expect("an exit status");
    wait_for("HAProxy to end", || {
        let status = fs::read_to_string(format!("/proc/{haproxy}/stat"));
        let gone = status.map_or(true, |status| status.contains(") Z "));
        gone.then_some(())
    });
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0);
}

#[test]
fn callers_cannot_make_sni_check_run_a_program() {
    let own = std::process::id().to_string();
    let output = run_by_hand(&["--tied-to-parent", &own, "/bin/echo", "run"]);
    assert_eq!(output.status.code(), Some(255));
    assert!(output.stdout.is_empty());
}

#[test]
fn diagnose_recommends_haproxys_own_check_if_only_haproxy_accepts_the_server() {
    let ca = Ca::new();
    // HAProxy's own check treats the interim response 103 as the final response.
    let leaf = ca.leaf(&[NAME], 30);
    let port = peer::answer(&leaf, "HTTP/1.1 103 Early Hints\r\n\r\n");
    let report = diagnose(&ca, port, NAME, &["--expect=status 103"]);
    assert_ne!(report.code, 0);
    report.advises("HAProxy's own check reaches this server, but sni-check can't check it");
    report.assert_fix_place("haproxy.cfg");
    assert_eq!(report.value["cure"]["builtin_tried"], "tried: UP");
}

#[test]
fn the_report_says_that_only_haproxy_rejects_the_server() {
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 30);
    // HAProxy treats the interim response as the final response.
    let port = peer::answer(
        &leaf,
        &format!("HTTP/1.1 103 Early Hints\r\n\r\n{}", peer::OK),
    );
    let report = diagnose(&ca, port, NAME, &[]);
    assert_eq!(report.code, 0);
    report.advises("HAProxy's own check takes the interim response for the final one (L7STS)");
}

/// Starts serve on this socket. Requests may name files in this folder.
fn serve(socket: &str, files: &Path) -> Running {
    let mut command = Command::new(BINARY);
    command.args(["serve", "--listen", &format!("unix:{socket}"), "--files"]);
    command.arg(files).stderr(Stdio::null());
    let serve = Running(command.spawn().expect("sni-check runs"));
    wait_for("serve to listen", || UnixStream::connect(socket).ok());
    serve
}

#[test]
fn the_report_also_has_lines_for_serve() {
    let ca = Ca::new();
    let port = peer::answer(&ca.leaf(&[NAME], 30), peer::OK);
    let folder = Folder::new();
    let socket = folder.join("s");
    let tried = |report: Report| {
        let lines = report.value["cure"]["served"].as_str().expect("lines");
        assert!(lines.contains("http-check send-state"), "{lines}");
        let tried = report.value["cure"]["served_tried"].as_str();
        tried.expect("a text").to_owned()
    };
    let ask = || tried(diagnose(&ca, port, NAME, &["--serve", &socket]));
    // The lines may be right although serve doesn't answer or refuses the check.
    let (absent, part) = (
        ask(),
        "not tried: sni-check serve does not answer on its socket: SOCKERR",
    );
    assert!(absent.starts_with(part), "{absent}");
    let running = serve(&socket, folder.path());
    let refused = ask();
    let part = "not tried: sni-check serve refuses the check: --ca-file ";
    assert!(refused.starts_with(part), "{refused}");
    assert!(refused.contains("--files"), "{refused}");
    drop(running);
    let _running = serve(&socket, &std::env::temp_dir());
    assert_eq!(ask(), "tried: UP");
}

#[test]
fn the_text_shows_the_lines_for_serve_and_why_they_are_not_tried() {
    let ca = Ca::new();
    let port = peer::answer(&ca.leaf(&[NAME], 30), peer::OK);
    let folder = Folder::new();
    let file = folder.file("ca.pem", &ca.pem);
    let connect = format!("127.0.0.1:{port}");
    let words = ["diagnose", "--ca-file", &file, "--connect", &connect, NAME];
    let output = run_by_hand(&[&words[..], &["--serve", "unix:/none/s"]].concat());
    let text = stdout(&output);
    let title = "For haproxy.cfg, with sni-check serve (not tried: sni-check serve does not answer";
    assert!(text.contains(title), "{text}");
    assert!(text.contains("addr unix@/none/s\n"), "{text}");
    for path in ["run/s", "127.0.0.1:8405"] {
        let output = run_by_hand(&[&words[..], &[&format!("--serve={path}")]].concat());
        expect(
            &output,
            2,
            "is not the absolute path of a unix socket; write the path",
        );
    }
}
