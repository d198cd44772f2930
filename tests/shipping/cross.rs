//! The program on other processors and with musl. `make cross` builds it, and qemu runs it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::NAME;
use crate::support::stage::Stage;
use crate::tools::{output, root, run, tool};

/// Each Rust target with the path of the program that runs its binaries (empty for this machine's own
/// processor). The path is absolute, because `PATH` contains the check's options.
const TARGETS: [(&str, &str); 4] = [
    ("armv7-unknown-linux-gnueabihf", "/usr/bin/qemu-arm-static"),
    ("aarch64-unknown-linux-gnu", "/usr/bin/qemu-aarch64-static"),
    (
        "riscv64gc-unknown-linux-gnu",
        "/usr/bin/qemu-riscv64-static",
    ),
    ("x86_64-unknown-linux-musl", ""),
];

/// Emulated cryptography is slow, and other tests may keep the processor busy.
const TIMEOUT: &str = "20s";

#[test]
#[ignore = "make cross builds the programs"]
fn a_check_serve_and_diagnose_work_on_every_processor() {
    for (target, emulator) in TARGETS {
        let binary = root().join(format!("target/cross/build/{target}/release/sni-check"));
        let stage = Stage::new();
        is_static(&binary);
        let call = format!("{emulator} {}", binary.display());
        let program = stage.folder.file(
            "program",
            &format!("#!/bin/sh\nexec {} \"$@\"\n", call.trim_start()),
        );
        run(Command::new("chmod").args(["755", &program]));
        checks(&program, &stage);
        diagnoses(&program, &stage);
        serves(&program, &stage);
    }
}

fn is_static(binary: &Path) {
    let segments = run(tool("readelf").args(["-l", "-W"]).arg(binary));
    assert!(
        segments.contains("LOAD") && !segments.contains("INTERP"),
        "{}: {segments}",
        binary.display()
    );
}

/// Runs checks as HAProxy does: a healthy server gives 0, a wrong name 65, and a wrong option 2.
fn checks(program: &str, stage: &Stage) {
    let port = stage.nginx().port;
    for (options, code) in [
        ("", 0),
        ("--sni wrong.example.test", 65),
        ("--snl www.example.test", 2),
    ] {
        let sni = if options.is_empty() {
            format!("--sni {NAME}")
        } else {
            options.to_owned()
        };
        let path = format!("{sni} --timeout {TIMEOUT} {}", stage.trust);
        let mut command = crate::support::check::haproxy_command(
            &["/bin/sh", program],
            &path,
            "127.0.0.1",
            &port.to_string(),
        );
        let output = command.output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{program} {path}: {said}");
    }
}

fn diagnoses(program: &str, stage: &Stage) {
    let connect = format!("127.0.0.1:{}", stage.nginx().port);
    let output = output(
        Command::new(program)
            .args([
                "diagnose",
                "--json",
                "--haproxy",
                "none",
                "--timeout",
                TIMEOUT,
            ])
            .args(["--connect", &connect, "--ca-file", &stage.ca_file])
            .arg("wrong.example.test"),
    );
    assert_eq!(output.status.code(), Some(65));
    let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!(report["code"], 65, "{report}");
}

fn serves(program: &str, stage: &Stage) {
    let socket = stage.folder.join("socket");
    let folder = stage.folder.path().display().to_string();
    let child = Command::new(program)
        .args([
            "serve",
            "--listen",
            &format!("unix:{socket}"),
            "--files",
            &folder,
        ])
        .args(["--timeout", TIMEOUT])
        .spawn()
        .expect("the program runs");
    let serve = crate::support::Running(child);
    crate::support::wait_for("serve to listen", || {
        Path::new(&socket).exists().then_some(())
    });
    let state = format!(
        "X-Haproxy-Server-State: UP; address=127.0.0.1; port={}; name=be/srv",
        stage.nginx().port
    );
    let options = format!("X-Check-Options: --sni {NAME} {}", stage.trust);
    let answer = run(tool("curl")
        .args(["-s", "-i", "--max-time", "30", "--unix-socket", &socket])
        .args(["-H", &state, "-H", &options, "http://serve/"]));
    assert!(answer.contains("X-Check-Code: 0"), "{answer}");
    drop(serve);
}
