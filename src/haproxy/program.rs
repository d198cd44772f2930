//! Finds this host's HAProxy program, and runs it to test configurations and conditions.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{Access, access};

use super::child::{Ended, RunningProgram, signal};
use super::variables::Variables;
use crate::refusal::refusal;

/// How long HAProxy may take to print its version or to decide a condition.
const SHORT: Duration = Duration::from_secs(5);
/// How long HAProxy may take to test a configuration. The test resolves names and reads certificates.
const LONG: Duration = Duration::from_secs(60);

/// This host's HAProxy program, if sni-check found it.
#[derive(Debug, Default)]
pub(crate) struct Haproxy {
    binary: Option<PathBuf>,
    /// The major and minor version.
    pub version: Option<(u32, u32)>,
    /// The version as HAProxy prints it: `2.6.12-1+deb12u4`.
    pub version_text: Option<String>,
    pub(super) bursts: Bursts,
}

/// State about the servers' request limits. All questions to one HAProxy program share it.
#[derive(Debug)]
pub(super) struct Bursts {
    /// How many questions may still be repeated after a 429. Each repetition takes some seconds.
    pub repetitions_left: AtomicUsize,
    /// True if an earlier burst of requests reached a server's limit. HAProxy doesn't show the status that an
    /// external check received. sni-check then also repeats every question whose external check reports an
    /// unexpected status, because it may have been 429.
    pub is_limited: AtomicBool,
}

impl Default for Bursts {
    fn default() -> Bursts {
        Bursts {
            repetitions_left: AtomicUsize::new(12),
            is_limited: AtomicBool::new(false),
        }
    }
}

/// The result of `haproxy -c`.
#[derive(Debug)]
pub(crate) struct Opinion {
    pub accepts: bool,
    /// HAProxy's alerts and warnings.
    pub says: Vec<String>,
    /// Why HAProxy ended without a verdict: `was killed by signal 11 (SIGSEGV)`.
    pub broke_off: Option<String>,
}

/// Returns HAProxy's message without level and place.
pub(crate) fn text_of(line: &str) -> &str {
    let text = line.split_once("] ").map_or(line, |(_, text)| text);
    let text = text.split_once("] : ").map_or(text, |(_, text)| text);
    let text = text.trim_start_matches("config : ");
    text.trim_start_matches("config: ").trim()
}

/// Returns the file and the line number from a message such as `[WARNING] config : parsing [FILE:12] : …`.
/// Returns `None` if the message names no line.
pub(crate) fn place_in(line: &str) -> Option<(&str, usize)> {
    let (_, rest) = line.split_once("] ")?;
    let (_, rest) = rest.split_once('[')?;
    let (place, _) = rest.split_once(']')?;
    let (file, number) = place.rsplit_once(':')?;
    Some((file, number.parse().ok()?))
}

impl Haproxy {
    /// Returns the given binary, or the first `haproxy` in PATH, /usr/sbin or /usr/local/sbin. If no binary
    /// is given, and sni-check finds no binary that it can run, the result has no binary.
    ///
    /// # Errors
    ///
    /// The given binary can't be run, or doesn't print a version as HAProxy does.
    pub(crate) fn find(given: Option<&str>) -> Result<Haproxy> {
        let mut haproxy = Haproxy {
            binary: given.map(PathBuf::from).or_else(installed),
            ..Haproxy::default()
        };
        let Some(mut command) = haproxy.binary.as_ref().map(Command::new) else {
            return Ok(haproxy);
        };
        command.arg("-v").stdin(Stdio::null());
        let ended = RunningProgram::start(command).and_then(|program| program.wait(SHORT));
        if let Ok(ended) = &ended {
            haproxy.read_version(&ended.written);
        }
        let Some(file) = given else {
            haproxy.binary = haproxy.binary.filter(|_| ended.is_ok());
            return Ok(haproxy);
        };
        let what = match ended {
            Err(error) => format!("cannot be run: {error}"),
            Ok(_) if haproxy.version.is_some() => return Ok(haproxy),
            Ok(_) => "does not print a version as HAProxy does".to_owned(),
        };
        let write = "write the path of the HAProxy program, such as /usr/sbin/haproxy";
        Err(refusal(format!("--haproxy {file}"), what, write))
    }

    /// Returns the path of the binary, if it was found.
    pub(crate) fn binary(&self) -> Option<&Path> {
        self.binary.as_deref()
    }

    fn read_version(&mut self, text: &str) {
        let mut words = text.split_whitespace();
        let Some(version) = words.find(|word| *word == "version").and(words.next()) else {
            return;
        };
        let mut numbers = version.split(['.', '-']).map(str::parse);
        if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) {
            self.version = Some((major, minor));
        }
        self.version_text = Some(version.to_owned());
    }

    /// Returns true if this HAProxy has this version or a later version. An unknown version counts
    /// as later.
    pub(crate) fn at_least(&self, major: u32, minor: u32) -> bool {
        self.version.is_none_or(|version| version >= (major, minor))
    }

    fn command(&self, variables: &Variables) -> Option<Command> {
        let mut command = Command::new(self.binary.as_deref()?);
        command
            .env_clear()
            .envs(variables.all())
            .stdin(Stdio::null());
        Some(command)
    }

    /// Runs `haproxy -c` on these files. Returns `None` if HAProxy wasn't found or can't be run.
    pub(crate) fn opinion(&self, files: &[String], variables: &Variables) -> Option<Opinion> {
        let mut command = self.command(variables)?;
        command.arg("-c");
        for file in files {
            command.arg("-f").arg(Path::new(file));
        }
        let Ended { status, written } = RunningProgram::start(command).ok()?.wait(LONG).ok()?;
        Some(Opinion {
            accepts: status.is_some_and(|status| status.success()),
            says: written.lines().filter_map(without_process).collect(),
            broke_off: match status {
                None => Some(format!("did not end within {} s", LONG.as_secs())),
                Some(status) => status
                    .signal()
                    .map(|number| format!("was killed by {}", signal(number))),
            },
        })
    }

    /// Decides an `.if` condition. sni-check decides simple conditions itself, and asks HAProxy about all
    /// others (`haproxy -cc`, in 2.5 and later).
    ///
    /// # Errors
    ///
    /// HAProxy doesn't understand the condition, or sni-check can't ask HAProxy.
    pub(crate) fn condition(&self, text: &str, variables: &Variables) -> Result<bool> {
        if let Some(known) = simple(text, variables) {
            return Ok(known);
        }
        if self.at_least(2, 5)
            && let Some(mut command) = self.command(variables)
        {
            command.arg("-cc").arg(text);
            let ended = RunningProgram::start(command).and_then(|program| program.wait(SHORT));
            let status = ended.context("haproxy -cc")?.status;
            return match status.as_ref().and_then(ExitStatus::code) {
                Some(code @ (0 | 1)) => Ok(code == 0),
                _ => bail!(
                    "HAProxy does not understand the condition `{text}`; sni-check treats it as false"
                ),
            };
        }
        bail!(
            "only HAProxy 2.5 or later can decide the condition `{text}`; sni-check treats it as false"
        )
    }
}

/// Returns the first `haproxy` in PATH, /usr/sbin or /usr/local/sbin.
fn installed() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    // An empty component of PATH is the current folder, where any user may have put a program.
    let folders = env::split_paths(&path).chain(usual);
    let folders = folders.filter(|folder| folder.is_absolute());
    let is_program = |file: &PathBuf| file.is_file() && access(file, Access::EXEC_OK).is_ok();
    folders
        .map(|folder| folder.join("haproxy"))
        .find(is_program)
}

/// Returns an alert or a warning without time and process id: `[ALERT] config : …`. Returns `None` for other
/// lines.
fn without_process(line: &str) -> Option<String> {
    // If a configuration has no listener, HAProxy prints a message with these words and without a level.
    if line.contains("will not start") {
        return Some(format!("[ALERT] {line}"));
    }
    let level = line.split_inclusive(']').next()?;
    let (_, text) = line.split_once(") : ")?;
    ["[ALERT]", "[WARNING]"]
        .contains(&level)
        .then(|| format!("{level} {text}"))
}

/// Decides a condition that is an integer or `defined(NAME)`, with or without `!`. Returns `None` for other
/// conditions.
fn simple(text: &str, variables: &Variables) -> Option<bool> {
    let text = text.trim();
    if let Some(negated) = text.strip_prefix('!') {
        return simple(negated, variables).map(|known| !known);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number != 0);
    }
    let name = text.strip_prefix("defined(")?.strip_suffix(')')?;
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes()
        .all(valid)
        .then(|| variables.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::{Haproxy, Variables};

    #[test]
    fn without_haproxy_only_simple_conditions_are_decided() {
        let none = Haproxy::default();
        let variables = Variables::new(&["SET=1".to_owned()]).expect("variables");
        for (text, expected) in [
            ("1", true),
            ("0", false),
            ("!0", true),
            ("defined(SET)", true),
            ("!defined(SET)", false),
            ("defined(SNI_CHECK_NEVER_SET)", false),
        ] {
            assert_eq!(none.condition(text, &variables).expect(text), expected);
        }
        for text in ["streq(a,a)", "defined(SET) && 1", "version_atleast(2.6)"] {
            assert!(none.condition(text, &variables).is_err(), "{text}");
        }
    }

    #[test]
    fn versions_are_read_as_haproxy_prints_them() {
        for (text, version) in [
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/",
                (2, 6),
            ),
            ("HA-Proxy version 1.8.30-0 2021/04/12", (1, 8)),
            ("HAProxy version 3.5-dev5-abc 2026/01/01", (3, 5)),
        ] {
            let mut haproxy = Haproxy::default();
            haproxy.read_version(text);
            assert_eq!(haproxy.version, Some(version));
        }
    }
}
