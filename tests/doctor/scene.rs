//! A configuration, a chroot and a backend, and what doctor and HAProxy say of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::folder::Folder;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::nginx::Nginx;
use crate::support::pki::Ca;
use crate::support::{check, free_port, program};

pub const NAME: &str = "www.example.test";

/// An nginx that refuses clients without SNI, and a folder in which `root` becomes HAProxy's chroot:
/// the program and the CA are in it.
pub struct Scene {
    pub folder: Folder,
    pub ca: Ca,
    _nginx: Nginx,
    pub port: u16,
}

impl Scene {
    pub fn new() -> Scene {
        let folder = Folder::new();
        let ca = Ca::new();
        let nginx = Nginx::start(&ca, NAME, &ca.leaf(&[NAME], 30));
        folder.file("root/ca.pem", &ca.pem);
        let scene = Scene {
            port: nginx.port,
            folder,
            ca,
            _nginx: nginx,
        };
        scene.copy(check::BINARY, "root/sni-check", 0o755);
        scene
    }

    /// Copies a file into the folder.
    pub fn copy(&self, from: &str, to: &str, mode: u32) -> String {
        let to = self.folder.path().join(to);
        fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
        fs::copy(from, &to).expect(from);
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).expect("permissions");
        to.display().to_string()
    }

    /// Writes a program.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.folder.file(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        path
    }

    /// The folder that becomes the chroot.
    pub fn root(&self) -> String {
        self.folder.join("root")
    }

    /// `global` of a HAProxy in the chroot, as nobody.
    pub fn jailed(&self) -> String {
        format!(
            "chroot {}\n user nobody\n group nogroup\n external-check\n insecure-fork-wanted",
            self.root()
        )
    }

    /// `global` of a HAProxy without chroot or user.
    pub fn plain() -> String {
        "external-check\n insecure-fork-wanted".to_owned()
    }

    /// A configuration with one backend `b`.
    pub fn config(&self, global: &str, backend: &str) -> String {
        let port = self.port.to_string();
        let backend = backend
            .replace("PORT", &port)
            .replace("ROOT", &self.root())
            .replace(
                "TLS",
                &format!(
                    "ssl verify required ca-file {}/ca.pem sni str({NAME})",
                    self.root()
                ),
            );
        let text = format!(
            "global\n {global}\n\ndefaults\n mode http\n timeout connect 5s\n timeout client 5s\n \
             timeout server 5s\n\nfrontend f\n bind \"${{LISTEN-127.0.0.1:{}}}\"\n default_backend b\n\n\
             backend b\n{backend}\n",
            free_port()
        );
        self.folder.file("haproxy.cfg", &text)
    }

    /// A backend in the chroot, checked with these options.
    pub fn checked(&self, command: &str, options: &str, server: &str) -> String {
        format!(
            " option external-check\n external-check command {command}\n \
             external-check path \"{options}\"\n server s {server}"
        )
    }
}

/// Runs doctor.
pub fn doctor(words: &[&str]) -> Output {
    let mut command = Command::new(check::BINARY);
    command
        .arg("doctor")
        .args(words)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin")
        .stdin(Stdio::null());
    command.output().expect("the program runs")
}

/// Doctor's JSON, and its exit code.
#[track_caller]
pub fn json(words: &[&str]) -> (Value, i32) {
    let output = doctor(&[words, &["--json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    let object = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{why}"));
    (object, output.status.code().expect("a code"))
}

/// The names of the findings, with their marks.
pub fn found(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let findings = report["findings"].as_array().expect("findings");
    findings
        .iter()
        .map(|finding| (text(&finding["id"]), text(&finding["mark"])))
        .collect()
}

/// The finding of this name.
#[track_caller]
pub fn finding<'a>(report: &'a Value, id: &str) -> &'a Value {
    let findings = report["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("no {id}: {report}"))
}

/// Doctor finds exactly this, and HAProxy, started with the same configuration, shows what the
/// finding says.
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

/// HAProxy comes to show this for a server of `b`.
#[track_caller]
pub fn shows(config: &str, server: &str, status: &str, code: &str) {
    let haproxy = Haproxy::start(Mode::Daemon, config, &[]);
    let seen = crate::support::wait_for("the first check", || {
        let seen = haproxy.server("b", server)?;
        let over = !seen.check_status.is_empty()
            && seen.check_status != "INI"
            && !seen.check_status.starts_with('*');
        over.then_some(seen)
    });
    // The code of a check that was killed is left over from another.
    let left_over = status == "PROCTOUT";
    assert_eq!(seen.check_status, status);
    assert!(left_over || seen.check_code == code, "{seen:?}");
}

/// HAProxy refuses a configuration, by `-c` or when it starts.
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
