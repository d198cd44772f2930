//! Runs `diagnose` and compares its report with a real HAProxy.

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

/// A JSON report, and the command that printed it.
pub struct Report {
    pub value: Value,
    pub code: i32,
    words: Vec<String>,
    folder: Folder,
}

/// Diagnoses the server on this port with this CA, and asserts that HAProxy accepts the printed lines.
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
        words: words.into_iter().map(str::to_owned).collect(),
        folder,
    };
    report.haproxy_accepts_the_fix();
    report
}

impl Report {
    /// Returns the text of all steps.
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

    /// Asserts that the report names this place for the fix.
    #[track_caller]
    pub fn assert_fix_place(&self, place: &str) {
        assert_eq!(self.value["cure"]["where"], place, "{:#}", self.value);
    }

    /// Returns the lines to paste, for HAProxy's own check and for the external check.
    pub fn snippets(&self) -> Vec<&str> {
        let kinds = ["builtin", "external"].into_iter();
        kinds
            .filter_map(|kind| self.value["cure"][kind].as_str())
            .collect()
    }

    fn haproxy_accepts_the_fix(&self) {
        for snippet in self.snippets() {
            let listen = "listen any\n bind unix@/nonexistent/never-bound\n";
            let config = self
                .folder
                .file("accepted.cfg", &format!("{DEFAULTS}{listen}{snippet}"));
            let output = Haproxy::check(&config, &[]);
            assert!(output.status.success(), "{snippet}\n{output:?}");
        }
    }

    /// Asserts that diagnose asked HAProxy for its view, and that diagnose predicts the same view without
    /// HAProxy.
    #[track_caller]
    pub fn assert_haproxy_agrees(&self) {
        assert!(self.value["haproxy_asked"].is_string(), "{:#}", self.value);
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        words.push("--haproxy=none");
        let predicted: Value =
            serde_json::from_slice(&run_by_hand(&words).stdout).expect("an object");
        assert!(predicted["haproxy_asked"].is_null());
        let rows = |report: &Value| report["haproxy_view"].as_array().expect("rows").clone();
        let mut asked = rows(&self.value);
        // diagnose doesn't predict the result of a request.
        asked.retain(|row| !row["check"].as_str().expect("words").starts_with("option"));
        assert_eq!(asked, rows(&predicted));
        assert!(asked.len() > 1, "{asked:?}");
    }

    /// Asserts that HAProxy reports the server UP with the printed lines, and that diagnose got the same
    /// result.
    #[track_caller]
    pub fn assert_fix_works(&self) {
        for kind in ["builtin_tried", "external_tried"] {
            assert_eq!(self.value["cure"][kind], "tried: UP", "{:#}", self.value);
        }
        self.assert_lines_work();
    }

    /// Asserts that HAProxy now reports the server UP with the printed lines.
    #[track_caller]
    pub fn assert_lines_work(&self) {
        let snippets = self.snippets();
        assert_eq!(snippets.len(), 2, "{:#}", self.value);
        for snippet in snippets {
            assert!(snippet.contains("verify required"), "{snippet}");
            let haproxy = load(program("haproxy"), &self.folder, snippet);
            haproxy.wait_for_status("be", "s1", "UP");
        }
    }
}

/// Loads a snippet exactly as printed. Asserts that an external check runs the tested program.
pub fn load(command: Command, folder: &Folder, snippet: &str) -> Haproxy {
    assert!(!snippet.contains("external-check command") || snippet.contains(BINARY));
    let config = folder.file("snippet.cfg", &format!("{DEFAULTS}{snippet}"));
    Haproxy::start_by(command, Mode::Foreground, &config, &[])
}
