//! Running `diagnose`, and comparing its report with a real HAProxy.

use std::process::Command;

use serde_json::Value;

use crate::support::check::{BINARY, run_by_hand};
use crate::support::folder::Folder;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::pki::Ca;
use crate::support::program;

pub const OTHER: &str = "other.example.test";

const DEFAULTS: &str = "defaults\n mode http\n timeout connect 2s\n timeout server 2s\n \
                        timeout client 2s\n";

/// A report in JSON, and what it is about.
pub struct Report {
    pub value: Value,
    pub code: i32,
    ca: String,
    port: u16,
    folder: Folder,
}

/// Diagnoses the server on this port, trusting this CA.
#[track_caller]
pub fn diagnose(ca: &Ca, port: u16, name: &str, options: &[&str]) -> Report {
    let folder = Folder::new();
    let ca = folder.file("ca.pem", &ca.pem);
    let connect = format!("127.0.0.1:{port}");
    let all = ["diagnose", "--json", "--timeout=10s", "--ca-file", &ca];
    let mut words = all.to_vec();
    words.extend(["--connect", &connect, name]);
    words.extend(options);
    let output = run_by_hand(&words);
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let report = Report {
        code: output.status.code().expect("a code"),
        value,
        ca,
        port,
        folder,
    };
    report.haproxy_accepts_the_cure();
    report
}

impl Report {
    /// All that the steps say.
    pub fn steps(&self) -> String {
        self.value["steps"].to_string()
    }

    #[track_caller]
    pub fn says(&self, text: &str) {
        let steps = self.value["steps"].as_array().expect("steps");
        let mut lines = steps
            .iter()
            .flat_map(|step| step["lines"].as_array().expect("lines"));
        let found = lines.any(|line| line["text"].as_str().expect("text").contains(text));
        assert!(found, "{text} is not in {:#}", self.value);
    }

    #[track_caller]
    pub fn advises(&self, text: &str) {
        let advice = self.value["cure"]["advice"].to_string();
        assert!(advice.contains(text), "{text} is not in {advice}");
    }

    pub fn snippets(&self) -> [&str; 2] {
        ["builtin", "external"].map(|kind| self.value["cure"][kind].as_str().expect("a snippet"))
    }

    fn haproxy_accepts_the_cure(&self) {
        for snippet in self.snippets() {
            assert!(snippet.contains("verify required"), "{snippet}");
            let listen = "listen any\n bind unix@/nonexistent/never-bound\n";
            let config = self
                .folder
                .file("accepted.cfg", &format!("{DEFAULTS}{listen}{snippet}"));
            let output = Haproxy::check(&config, &[]);
            assert!(output.status.success(), "{snippet}\n{output:?}");
        }
    }

    /// Each row of "HAProxy's view" is what HAProxy reports, to the word.
    #[track_caller]
    pub fn haproxy_agrees(&self) {
        let rows = self.value["haproxy_view"].as_array().expect("rows");
        let (external, own) = rows.split_last().expect("the external check");
        let mut config = format!("{DEFAULTS}backend be\n");
        for (index, row) in own.iter().enumerate() {
            let words = row["check"].as_str().expect("words");
            let ca = match words.contains("required") {
                true => format!("ca-file {}", self.ca),
                false => String::new(),
            };
            config += &format!(" server s{index} 127.0.0.1:{} {words} {ca}\n", self.port);
        }
        let config = self.folder.file("own.cfg", &config);
        let haproxy = Haproxy::start(Mode::Foreground, &config, &[]);
        for (index, row) in own.iter().enumerate() {
            let seen = haproxy.wait_for_check("be", &format!("s{index}"));
            assert_eq!(row["status"], seen.check_status.as_str(), "{row}");
            assert_eq!(row["why"], seen.last_chk.as_str(), "{row}");
        }
        let seen = run_external(&self.folder, self.snippets()[1]);
        let status = format!("{} {}", seen.0, seen.1);
        assert_eq!(external["status"], status.as_str(), "{external}");
    }

    /// Both snippets, as printed, turn the server UP.
    #[track_caller]
    pub fn the_cure_works(&self) {
        for snippet in self.snippets() {
            let haproxy = load(program("haproxy"), &self.folder, snippet);
            haproxy.wait_for_status("be", "s1", "UP");
        }
    }
}

/// Loads a snippet as printed: it names the program that printed it.
pub fn load(command: Command, folder: &Folder, snippet: &str) -> Haproxy {
    assert!(!snippet.contains("external-check command") || snippet.contains(BINARY));
    let config = folder.file("snippet.cfg", &format!("{DEFAULTS}{snippet}"));
    Haproxy::start_by(command, Mode::Foreground, &config, &[])
}

/// What HAProxy reports for the external check.
fn run_external(folder: &Folder, snippet: &str) -> (String, String) {
    // On a slow machine HAProxy must not kill a check that the report let finish.
    let snippet = snippet.replace(" check\n", " check inter 15s\n");
    let haproxy = load(program("haproxy"), folder, &snippet);
    let seen = haproxy.wait_for_check("be", "s1");
    (seen.check_status, seen.check_code)
}
