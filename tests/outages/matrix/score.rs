//! Compares the report of `diagnose` about a scene with the oracle's judgement.

use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::config::{Config, Trust};
use super::oracle::{Judgement, Oracle, Outcome};
use super::price::{Price, Value};
use crate::support::check::BINARY;
use crate::support::folder::Folder;
use crate::support::haproxy::chosen;

/// An error in a report.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The kind of error, such as `fix missed`.
    pub what: &'static str,
    pub why: String,
}

/// The result of a scene.
pub struct Score {
    pub wrong: Vec<Wrong>,
    /// The oracle's judgement.
    pub is: String,
    pub took: Duration,
    /// A summary of the report.
    pub said: String,
}

/// The form of the call, which decides where diagnose gets the options from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The options of a check.
    Call,
    /// A haproxy.cfg with HAProxy's own check.
    Own,
    /// A haproxy.cfg with sni-check as an external check.
    External,
}

/// The report of `diagnose --json`.
struct Said {
    json: Json,
    /// The text of haproxy.cfg. It is empty if the call names no file.
    file: String,
    code: Option<i32>,
    stderr: String,
    took: Duration,
}

/// A block of lines to paste.
struct Block {
    name: &'static str,
    lines: String,
    tried: String,
}

/// Diagnoses a configuration and scores the report. If diagnose asks for a value, corrects the value and
/// diagnoses again.
pub fn score(oracle: &Oracle<'_>, config: &Config, form: Form) -> Score {
    let judgement = oracle.judge(config);
    let said = diagnose(oracle, config, form);
    let mut report = Report {
        oracle,
        form,
        config,
        judgement: &judgement,
        said: &said,
        wrong: Vec::new(),
    };
    report.judge();
    let asks = report.said.places().contains(&"options");
    let verified = config.trust != Trust::Anything;
    if asks && verified && matches!(judgement.price, Some(Price::Value(_))) {
        report.second_run();
    }
    let wrong = report.wrong;
    let cure = judgement.cures.first().map_or(String::new(), |(_, cure)| {
        format!("; {}", config.differences(cure).join(" "))
    });
    Score {
        wrong,
        is: format!("{:?} ({}{cure})", judgement.price, judgement.now.seen),
        took: said.took,
        said: said.summary(),
    }
}

/// Returns the program that SNI_CHECK names, or else the program of this build.
fn program() -> OsString {
    std::env::var_os("SNI_CHECK").unwrap_or_else(|| BINARY.into())
}

fn diagnose(oracle: &Oracle<'_>, config: &Config, form: Form) -> Said {
    let mut command = Command::new(program());
    command
        .args(["diagnose", "--json", "--haproxy"])
        .arg(chosen().program)
        .env_clear();
    let folder = Folder::new();
    let text = match form {
        Form::Call => String::new(),
        Form::Own => oracle.file(&folder, config, &config.lines()),
        Form::External => oracle.file(&folder, config, &config.external_lines(BINARY)),
    };
    match form {
        Form::Call => command.args(config.call()),
        Form::Own | Form::External => {
            let file = folder.file("haproxy.cfg", &text);
            command.args(["-f", &file, "be/s1"])
        }
    };
    let start = Instant::now();
    let output = command.output().expect("the program runs");
    let mut json: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if form != Form::Call {
        json = json["servers"][0].take();
    }
    Said {
        json,
        file: text,
        code: output.status.code(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: start.elapsed(),
    }
}

impl Said {
    /// Returns the place of the fix according to the report, such as `haproxy.cfg`.
    fn place(&self) -> Option<&str> {
        self.json["cure"]["where"].as_str()
    }

    /// Returns every place that the report names. The place of the fix comes first.
    fn places(&self) -> Vec<&str> {
        let causes = self.json["causes"].as_array();
        let causes = causes.into_iter().flatten();
        let named = causes.filter_map(|cause| cause["where"].as_str());
        self.place().into_iter().chain(named).collect()
    }

    /// Returns true if the report says that no change on this host fixes the problem.
    fn says_nothing_helps(&self) -> bool {
        let elsewhere = |place: &&str| ["server", "network"].contains(place);
        self.place().is_some() && self.places().iter().all(elsewhere)
    }

    /// Returns all advice on one line.
    fn advice(&self) -> String {
        let advice = self.json["cure"]["advice"].as_array();
        let sentences = advice.into_iter().flatten().filter_map(Json::as_str);
        sentences.collect::<Vec<_>>().join(" ")
    }

    fn blocks(&self) -> Vec<Block> {
        if !self.file.is_empty() {
            if self.json["diff"].is_array() {
                return vec![self.changed()];
            }
            // The printed report offers one block of lines, and only lines that work.
            let mut blocks = self.cure_blocks();
            blocks.retain(|block| self.json["state"] == "DOWN" && block.is_promised());
            blocks.truncate(1);
            return blocks;
        }
        self.cure_blocks()
    }

    fn cure_blocks(&self) -> Vec<Block> {
        let cure = &self.json["cure"];
        let block = |name: &'static str, tried: &str| {
            Some(Block {
                name,
                lines: cure[name].as_str()?.to_owned(),
                tried: cure[tried].as_str().unwrap_or_default().to_owned(),
            })
        };
        let both = [
            block("builtin", "builtin_tried"),
            block("external", "external_tried"),
        ];
        both.into_iter().flatten().collect()
    }

    /// Returns haproxy.cfg from the line `backend be` to the end, with the changes of the diff.
    fn changed(&self) -> Block {
        let mut lines: Vec<String> = self.file.lines().map(str::to_owned).collect();
        let hunks = self.json["diff"].as_array().cloned().unwrap_or_default();
        // Apply the last change first, so that the line numbers of the other changes stay right.
        for hunk in hunks.iter().rev() {
            let at = hunk["line"].as_u64().expect("a line") as usize;
            let new = hunk["new"].as_str().map(str::to_owned);
            if hunk["old"].is_null() {
                lines.insert(at, new.expect("a line"));
            } else {
                assert_eq!(hunk["old"], lines[at - 1].as_str(), "{hunk}");
                lines.splice(at - 1..at, new);
            }
        }
        let backend = lines.iter().position(|line| line == "backend be");
        let backend = &lines[backend.expect("the backend")..];
        Block {
            name: "diff",
            lines: backend.join("\n") + "\n",
            tried: self.json["diff_tried"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    fn summary(&self) -> String {
        let tried: Vec<String> = self
            .blocks()
            .iter()
            .map(|block| format!("{} {}", block.name, block.tried))
            .collect();
        format!(
            "{} {} fix {}; {}; {}{}",
            self.json["state"].as_str().unwrap_or("no report"),
            self.json["cause"].as_str().unwrap_or_default(),
            self.place().unwrap_or("-"),
            tried.join(", "),
            self.advice(),
            self.stderr
        )
    }
}

impl Block {
    /// Returns true if the report promises that these lines work.
    fn is_promised(&self) -> bool {
        let served = match self.tried.split_once("visitors get ") {
            Some((_, status)) => status.starts_with(['2', '3']) || status.starts_with("401"),
            None => true,
        };
        self.tried.contains("UP") && !self.tried.contains("DOWN") && served
    }

    /// Returns true if the report says that HAProxy tried these lines and they failed.
    fn is_said_to_fail(&self) -> bool {
        !self.is_promised() && self.tried.starts_with("tried")
    }

    /// Returns the protection that the lines give up, if any.
    fn gives_up(&self) -> Option<&'static str> {
        let server = self.lines.lines().find(|line| line.contains(" server "));
        let server = server.unwrap_or_default();
        let weak = ["SECLEVEL=0", "TLSv1.0", "TLSv1.1", "SSLv3"];
        if self.lines.contains("verify none") {
            return Some("verification");
        }
        if !server.contains(" ssl ") {
            return Some("encryption");
        }
        if weak.iter().any(|word| self.lines.contains(word)) {
            return Some("safe versions and ciphers");
        }
        let rules = self.lines.lines().filter(|line| line.contains("expect"));
        let mut statuses = rules.flat_map(|line| line.split([' ', ',', '\'']));
        let failing = |word: &str| {
            let number: Option<u16> = word.parse().ok();
            number.is_some_and(|status| (400..600).contains(&status) && status != 401)
        };
        statuses.any(failing).then_some("the status of a good page")
    }
}

struct Report<'a> {
    oracle: &'a Oracle<'a>,
    form: Form,
    config: &'a Config,
    judgement: &'a Judgement,
    said: &'a Said,
    wrong: Vec<Wrong>,
}

impl Report<'_> {
    fn wrong(&mut self, what: &'static str, why: impl Into<String>) {
        let why = why.into();
        self.wrong.push(Wrong { what, why });
    }

    fn judge(&mut self) {
        if self.said.json.is_null() {
            let said = self.said;
            return self.wrong("no report", format!("{:?} {}", said.code, said.stderr));
        }
        if self.form == Form::Call {
            self.check_exit_code();
        }
        let works = self.promises_are_kept();
        self.place_is_right(works);
        let longest = self.oracle.staged.timeout * 8 + Duration::from_secs(35);
        if self.said.took > longest {
            self.wrong("too slow", format!("{:?}", self.said.took));
        }
    }

    /// Checks that diagnose exits with the code of the check.
    fn check_exit_code(&mut self) {
        let check = Command::new(program())
            .args(self.config.call())
            .env_clear()
            .output();
        let code = check.expect("the program runs").status.code();
        if code != self.said.code {
            self.wrong(
                "wrong exit code",
                format!("check: {code:?}, diagnose: {:?}", self.said.code),
            );
        }
    }

    /// Pastes every block that didn't fail according to the report. Returns true if a block works.
    fn promises_are_kept(&mut self) -> bool {
        let (failing, offered): (Vec<Block>, Vec<Block>) = self
            .said
            .blocks()
            .into_iter()
            .partition(Block::is_said_to_fail);
        let curable = self
            .judgement
            .price
            .is_some_and(|price| price <= Price::Lines);
        let explained = self.said.advice().contains("limit of sni-check");
        if curable && !explained && self.config.trust != Trust::Anything {
            for block in failing {
                self.wrong(
                    "lines that don't work",
                    format!("{} {}", block.name, block.tried),
                );
            }
        }
        let mut works = false;
        for (block, outcome) in offered.iter().zip(pasted(self.oracle, &offered)) {
            let seen = format!("{} {}: {}", block.name, block.tried, outcome.seen);
            // Only the operator knows if visitors ask for the Host of the check.
            let config = self.config;
            let other_host = config.host.is_some() || config.sni.as_ref() != Some(&config.target);
            let sends_none = |line: &Config| line.sni.as_deref() == Some("");
            let line = config.visitors.as_deref();
            let unknown = self.form == Form::Call || line.is_some_and(sends_none);
            let other_host = outcome.up && other_host && unknown;
            if outcome.is_good() || other_host {
                works = true;
                self.safety_is_kept(block);
            } else if !block.is_promised() {
                if curable {
                    self.wrong("untried lines fail", seen);
                }
            } else if outcome.up {
                self.wrong("visitors aren't served", seen);
            } else {
                self.wrong("lines aren't UP", seen);
            }
        }
        works
    }

    fn safety_is_kept(&mut self, block: &Block) {
        let Some(lost) = block.gives_up() else {
            return;
        };
        // The operator's haproxy.cfg didn't verify the server, so the lines can't give up
        // verification.
        let line = self.config.visitors.as_deref().unwrap_or(self.config);
        let unverified = [&self.config.trust, &line.trust].contains(&&Trust::Anything);
        if self.form != Form::Call && unverified {
            return;
        }
        let safely = self
            .judgement
            .price
            .is_some_and(|price| price < Price::Safety);
        let advice = self.said.advice().to_lowercase();
        let warned = [
            "encrypt",
            "not safe",
            "no longer safe",
            "unsafe",
            "insecure",
            "weak",
            "old",
        ]
        .iter()
        .any(|word| advice.contains(word));
        // If the port is wrong, the operator may have meant a port without TLS.
        let port = self.judgement.price == Some(Price::Value(Value::Port));
        if safely && !port {
            self.wrong("safety given up", format!("{} loses {lost}", block.name));
        } else if !warned {
            self.wrong("no warning", format!("{} loses {lost}", block.name));
        }
    }

    /// Returns true if a haproxy.cfg with this configuration works.
    fn is_healthy(&self, config: &Config) -> bool {
        let lines = match self.form {
            Form::Call => return false,
            Form::Own => config.lines(),
            Form::External => config.external_lines(BINARY),
        };
        let mut outcomes = self.oracle.paste(&[&format!("backend be\n{lines}")]);
        outcomes.remove(0).is_good()
    }

    /// Checks that the problem can be fixed at the place that the report names.
    fn place_is_right(&mut self, works: bool) {
        let said = self.said;
        let (place, says_nothing_helps) = (said.place(), said.says_nothing_helps());
        let names = |places: &[&str]| said.places().iter().any(|place| places.contains(place));
        let naive = Config::naive(self.oracle.staged);
        match self.judgement.price {
            Some(Price::Nothing | Price::Lines) => {
                // The operator switched verification off, so the printed lines are stricter.
                let off = self.config.trust == Trust::Anything && !says_nothing_helps;
                let healthy = said.json["state"] == "UP" && self.is_healthy(self.config);
                // If only HAProxy could prove the change, the report has `diff_reason` and not a cause.
                let proved = said.json["diff_reason"].is_string();
                let named = proved || place.is_none() || names(&["haproxy.cfg"]);
                let found = healthy || works && named;
                match place {
                    _ if found || off => {}
                    _ if says_nothing_helps => self.wrong("false despair", said.summary()),
                    Some("options" | "files" | "host") => {
                        self.wrong("asked for a needless value", said.summary());
                    }
                    _ => self.wrong("fix missed", said.summary()),
                }
            }
            // The name is wrong, but the check is UP with it. haproxy.cfg doesn't say which host
            // visitors ask for.
            Some(Price::Value(Value::Name)) if self.judgement.now.up && self.form != Form::Call => {
            }
            Some(Price::Value(value)) => {
                // A wrong port and a dead service look the same. An operator who can't change the server can
                // trust the issuers that the server doesn't send.
                let alike = value == Value::Port || self.oracle.staged.is_at_fault;
                match says_nothing_helps {
                    true if !alike => self.wrong("false despair", said.summary()),
                    _ if alike || works || names(&["options", "files"]) => {}
                    _ => self.wrong("fix missed", said.summary()),
                }
            }
            Some(Price::Safety) | None => {
                let elsewhere = names(&["server", "network", "files", "host"]);
                // The report names one fault at a time. The operator's own mistake comes first.
                let own = self.config.has_other_values_than(&naive);
                let fewer = self.oracle.staged.limits_requests;
                let at_server = said.advice().contains("Update the server");
                if !(elsewhere || own || works || fewer || at_server) {
                    self.wrong("fix that cannot work", said.summary());
                }
            }
        }
    }

    /// Corrects the value that diagnose asked for, and diagnoses again.
    fn second_run(&mut self) {
        let (wanted, staged) = (asked_for(&self.said.advice()), self.oracle.staged);
        let values = |cure: &Config| self.config.values_of(cure, staged);
        let mut cures = self.judgement.cures.iter().map(|(_, cure)| cure);
        let fits = |cure: &&Config| values(cure).iter().any(|value| wanted.contains(value));
        let Some(cure) = cures.find(fits) else {
            let needed = self.judgement.cures.first().map(|(_, cure)| values(cure));
            let why = format!("{needed:?} is missing, not {wanted:?}");
            return self.wrong("asked for the wrong value", why);
        };
        let next = self.config.with_values_of(cure, staged);
        let said = diagnose(self.oracle, &next, self.form);
        let mut promised = said.blocks();
        promised.retain(|block| !block.is_said_to_fail());
        let changes = said.json["diff"].is_array();
        if said.json["state"] == "UP" && self.form != Form::Call && !changes {
            // diagnose finds haproxy.cfg correct, so haproxy.cfg must work.
            if !self.is_healthy(&next) {
                self.wrong(
                    "second run fails",
                    "diagnose reports UP, but the server is DOWN or visitors aren't served",
                );
            }
            return;
        }
        if promised.is_empty() {
            let why = format!("{:?}: {}", next.call(), said.summary());
            return self.wrong("second run fails", why);
        }
        for (block, outcome) in promised.iter().zip(pasted(self.oracle, &promised)) {
            if !outcome.is_good() {
                let lines = &block.lines;
                let (name, tried, seen) = (block.name, &block.tried, &outcome.seen);
                let why = format!("{:?}: {name} {tried}: {seen}\n{lines}", next.call());
                self.wrong("second run fails", why);
            }
        }
    }
}

/// Returns the outcome of each block.
fn pasted(oracle: &Oracle<'_>, blocks: &[Block]) -> Vec<Outcome> {
    let lines: Vec<&str> = blocks.iter().map(|block| block.lines.as_str()).collect();
    match lines.as_slice() {
        [] => Vec::new(),
        lines => oracle.paste(lines),
    }
}

/// Returns the values that the advice asks for, in the words of sni-check or of HAProxy.
fn asked_for(advice: &str) -> Vec<Value> {
    let signs: [(Value, &[&str]); 7] = [
        (Value::Ca, &["--ca-file", "ca-file FILE"]),
        (Value::ClientCertificate, &["--crt", "crt FILE"]),
        (Value::Lists, &["--crl-file", "with crl-file"]),
        (Value::Name, &["--sni", "name"]),
        (Value::Page, &["--uri", "page", "path"]),
        (Value::Expectation, &["--expect", "expect"]),
        (Value::Port, &["port"]),
    ];
    let asked = signs
        .iter()
        .filter(|(_, words)| words.iter().any(|word| advice.contains(word)));
    asked.map(|(value, _)| *value).collect()
}
