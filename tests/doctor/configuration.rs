//! Helpers that write configurations with one backend, and ask doctor and HAProxy about them.

use std::process::Output;

use serde_json::Value;

use crate::support::check::by_hand;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::stage::Stage;
use crate::support::{NAME, free_port, program};

/// The lines of a `global` section without `chroot` and `user`.
pub const PLAIN: &str = "external-check\n insecure-fork-wanted";

/// Returns the lines of a `global` section with the stage's chroot and the user nobody.
pub fn jail(stage: &Stage) -> String {
    let chroot = stage.chroot();
    format!("chroot {chroot}\n user nobody\n group nogroup\n {PLAIN}")
}

/// Writes a configuration with these lines in its `global` section, and with one backend `b`. In the backend,
/// PORT stands for the port of a healthy server, ROOT for the chroot, and TLS for the keywords that a server
/// line needs for TLS. Returns the configuration's path.
pub fn configure(stage: &Stage, global: &str, backend: &str) -> String {
    let root = stage.chroot();
    let tls = format!("ssl verify required ca-file {root}/ca.pem sni str({NAME})");
    let backend = backend
        .replace("PORT", &stage.nginx().port.to_string())
        .replace("ROOT", root)
        .replace("TLS", &tls);
    let text = format!(
        "global\n {global}\n\ndefaults\n mode http\n timeout connect 5s\n timeout client 5s\n \
         timeout server 5s\n\nfrontend f\n bind \"${{LISTEN-127.0.0.1:{}}}\"\n default_backend b\n\n\
         backend b\n{backend}\n",
        free_port()
    );
    stage.folder.file("haproxy.cfg", &text)
}

/// Like [`configure`], with the `global` section of [`jail`].
pub fn in_chroot(stage: &Stage, backend: &str) -> String {
    configure(stage, &jail(stage), backend)
}

/// Returns a backend with one server, which this command checks with these options.
pub fn checked(command: &str, options: &str, server: &str) -> String {
    format!(
        " option external-check\n external-check command {command}\n \
         external-check path \"{options}\"\n server s {server}"
    )
}

/// Runs doctor.
pub fn doctor(words: &[&str]) -> Output {
    let mut command = by_hand(&[&["doctor"], words].concat());
    command.env("PATH", "/usr/sbin:/usr/bin");
    command.output().expect("the program runs")
}

/// Returns doctor's JSON object and its exit code.
#[track_caller]
pub fn json(words: &[&str]) -> (Value, i32) {
    let output = doctor(&[words, &["--json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    let object = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{why}"));
    (object, output.status.code().expect("a code"))
}

/// Returns the ids of the findings, with their marks.
pub fn found(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let findings = report["findings"].as_array().expect("findings");
    findings
        .iter()
        .map(|finding| (text(&finding["id"]), text(&finding["mark"])))
        .collect()
}

/// Returns the finding with this id.
#[track_caller]
pub fn finding<'a>(report: &'a Value, id: &str) -> &'a Value {
    let findings = report["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("no {id}: {report}"))
}

/// Asserts that doctor reports exactly these findings (ids and marks), and that HAProxy shows this status and
/// code with the same configuration. Returns doctor's report.
#[track_caller]
pub fn foretells(config: &str, expected: &[(&str, &str)], status: &str, code: &str) -> Value {
    let (report, exit) = json(&["-f", config]);
    let found = found(&report);
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(id, mark)| (&id[..], &mark[..]))
        .collect();
    assert_eq!(found, expected, "{report}");
    assert_eq!(report["not_understood"], Value::Array(Vec::new()));
    let grave = expected.iter().any(|(_, mark)| *mark == "problem");
    assert_eq!(exit, if grave { 2 } else { 0 }, "{report}");
    shows(config, "s", status, code);
    report
}

/// Asserts what HAProxy shows after the first check of a server of `b`.
#[track_caller]
pub fn shows(config: &str, server: &str, status: &str, code: &str) {
    let haproxy = Haproxy::start(Mode::Daemon, config, &[]);
    let seen = haproxy.wait_for_check("b", server);
    // A killed check has no code, so HAProxy shows the code of an earlier check.
    let left_over = status == "PROCTOUT";
    assert_eq!(seen.check_status, status);
    assert!(left_over || seen.check_code == code, "{seen:?}");
}

/// Asserts that HAProxy refuses a configuration when it starts. Returns HAProxy's messages.
#[track_caller]
pub fn refuses(config: &str) -> String {
    let mut command = program("timeout");
    let output = command
        .args(["10", "haproxy", "-db", "-f", config])
        .env("PATH", "/usr/sbin:/usr/bin")
        .output()
        .expect("haproxy runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
