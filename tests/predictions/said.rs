//! Runs doctor on a configuration, and reads its report.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::peers::sni_check;
use crate::reality::{Text, variables};
use crate::support::haproxy::Version;

/// doctor's report.
#[derive(Clone, Debug)]
pub struct Said {
    pub code: i32,
    pub findings: Vec<Finding>,
    pub runs: Vec<Run>,
    /// The whole report, for debugging a failed prediction.
    pub object: Value,
}

#[derive(Clone, Debug)]
pub struct Finding {
    pub is_problem: bool,
    /// The harm that doctor predicts: `down`, `up`, `down-or-up`, `unchecked`, `no-start` or `none`. Empty
    /// if the report doesn't name it.
    pub effect: String,
    pub id: String,
    pub about: Vec<String>,
    /// The line number in the whole text. The first line is 1.
    pub line: Option<usize>,
    file: String,
    pub what: String,
    pub shows: String,
    pub write: String,
}

/// A check that doctor ran.
#[derive(Clone, Debug)]
pub struct Run {
    pub backend: String,
    pub server: String,
    pub status: String,
    pub code: Option<u64>,
}

/// Runs doctor on a configuration in one or two files.
pub fn ask_doctor(text: &Text, version: &Version, sockets: &str, two_files: bool) -> Said {
    let whole = text.whole();
    let cut = match two_files {
        true => whole.find("\nfrontend ").unwrap_or(whole.len()),
        false => whole.len(),
    };
    let (first, second) = whole.split_at(cut);
    let mut files = vec![format!("{sockets}/{}.1.cfg", text.prefix)];
    fs::write(&files[0], first).expect("a file");
    if !second.is_empty() {
        files.push(format!("{sockets}/{}.2.cfg", text.prefix));
        fs::write(&files[1], second).expect("a file");
    }
    let program = version.program.display().to_string();
    let mut words = vec![
        "doctor",
        "--json",
        "--run",
        "--haproxy",
        &program,
        "--env",
        "HOME=/root",
    ];
    let set: Vec<String> = variables(text)
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    for variable in &set {
        words.extend(["--env", variable]);
    }
    for file in &files {
        words.extend(["-f", file]);
    }
    let mut command = Command::new(sni_check());
    let output = command
        .args(&words)
        .env_clear()
        .stdin(Stdio::null())
        .output();
    let output = output.expect("doctor runs");
    for file in &files {
        fs::remove_file(file).expect("the file is removed");
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let object: Value = serde_json::from_str(&printed).unwrap_or_else(|_| {
        let why = String::from_utf8_lossy(&output.stderr);
        panic!("doctor printed no JSON object: {printed}{why}\n{whole}")
    });
    let mut said = read(object);
    said.code = output.status.code().unwrap_or(-1);
    for finding in &mut said.findings {
        // The second file begins with a line break.
        let before = first.lines().count() - 1;
        if finding.file.ends_with(".2.cfg") {
            finding.line = finding.line.map(|line| line + before);
        }
    }
    said
}

fn read(object: Value) -> Said {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let finding = |value: &Value| Finding {
        is_problem: value["mark"] == "problem",
        effect: text(&value["effect"]),
        id: text(&value["id"]),
        about: list(&value["about"]).iter().map(text).collect(),
        line: value["line"].as_u64().map(|line| line as usize),
        file: text(&value["file"]),
        what: text(&value["what"]),
        shows: text(&value["shows"]),
        write: text(&value["write"]),
    };
    let run = |value: &Value| Run {
        backend: text(&value["backend"]),
        server: text(&value["server"]),
        status: text(&value["check_status"]),
        code: value["check_code"].as_u64(),
    };
    Said {
        code: 0,
        findings: list(&object["findings"]).iter().map(finding).collect(),
        runs: list(&object["runs"]["checks"]).iter().map(run).collect(),
        object,
    }
}

impl Finding {
    /// Returns true if the finding is about this server, its backend, or the whole configuration.
    pub fn concerns(&self, backend: &str, server: &str) -> bool {
        let of_server = |about: &String| match about.split_once('/') {
            Some((of, name)) => of == backend && name == server,
            None => about == backend,
        };
        self.about.is_empty() || self.about.iter().any(of_server) || self.is_about_variables()
    }

    fn is_about_variables(&self) -> bool {
        self.id == "unset-variables"
    }
}
