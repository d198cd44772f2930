//! A try: one run of the program with a hostile peer or in a hostile environment.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::NAME;
use crate::support::folder::Folder;

/// Defines when exit code 0 is right.
pub enum Up {
    /// Never: the backend isn't healthy.
    Never,
    /// Always, and no other code is right: the backend is healthy, and only the environment is
    /// hostile.
    Fine,
    /// Only if this function returns true afterwards.
    If(Box<dyn Fn() -> bool + Send>),
    /// Code 0 and other codes may be right.
    Maybe,
}

/// The destination of the program's output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outlet {
    Read,
    /// A pipe that is full and that no process reads.
    FullPipe,
    /// A pipe whose reading end is closed.
    NoReader,
    FullDisk,
}

pub struct Try {
    /// The class of the attack, for the table.
    pub class: &'static str,
    /// A description, for the person who investigates a failure.
    pub what: String,
    /// The command that runs the program; empty if the program runs directly.
    pub runner: Vec<String>,
    pub by_hand: bool,
    /// The program's options.
    pub options: Vec<String>,
    /// The whole value of `external-check path`. It replaces the options.
    pub path: Option<Vec<u8>>,
    pub environment: Vec<(String, Vec<u8>)>,
    /// The program's arguments. They replace the usual arguments.
    pub words: Option<Vec<Vec<u8>>>,
    pub port: u16,
    /// The deadline in milliseconds. `None` if the run has no known deadline.
    pub timeout: Option<u64>,
    /// Signals in the notation of examples/measure.rs.
    pub signals: String,
    /// When a stopped process continues, in milliseconds after the start. 0 if no signal stops it.
    pub goes_on: u64,
    pub outlet: Outlet,
    pub up: Up,
    /// True if memory may run out. Codes 1 and 3 may then be right.
    pub scarce: bool,
    /// A request to serve. If it is set, the test sends it and starts no process.
    pub request: Option<Vec<u8>>,
}

/// The outcome of a try.
pub struct Outcome {
    pub code: i32,
    pub signal: i32,
    pub wall: u64,
    pub cpu: u64,
    pub kilobytes: u64,
    pub output: String,
}

impl Try {
    /// Creates a check of this port with a short deadline.
    pub fn new(class: &'static str, what: impl Into<String>, port: u16) -> Try {
        Try {
            class,
            what: what.into(),
            runner: Vec::new(),
            by_hand: false,
            options: Vec::new(),
            path: None,
            environment: Vec::new(),
            words: None,
            port,
            timeout: Some(300),
            signals: String::new(),
            goes_on: 0,
            outlet: Outlet::Read,
            up: Up::Never,
            scarce: false,
            request: None,
        }
    }

    pub fn with(mut self, options: &[&str]) -> Try {
        self.options
            .extend(options.iter().map(|word| (*word).to_owned()));
        self
    }

    pub fn up(mut self, up: Up) -> Try {
        self.up = up;
        self
    }

    /// Accepts code 0 and other codes, because either may be right.
    pub fn maybe(self) -> Try {
        self.up(Up::Maybe)
    }

    /// Makes code 0 the only right code. The deadline is long enough for a loaded machine.
    pub fn healthy(self) -> Try {
        Try {
            timeout: Some(3000),
            up: Up::Fine,
            ..self
        }
    }

    /// Makes a shell run this script, and then the program.
    pub fn after(mut self, script: &str) -> Try {
        let script = format!("{script}; exec \"$0\" \"$@\"");
        self.runner = ["/bin/bash", "-c", &script].map(str::to_owned).to_vec();
        self
    }

    pub fn command(&self, measure: &str, binary: &str, result: &str) -> Command {
        let mut command = Command::new(measure);
        command.args([result, &self.signals]).args(&self.runner);
        command.arg(binary).env_clear().stdin(Stdio::null());
        let mut options = self.options.clone();
        if let Some(timeout) = self.timeout {
            options.insert(0, format!("--timeout={timeout}ms"));
        }
        if let Some(words) = &self.words {
            command.args(words.iter().map(|word| OsStr::from_bytes(word)));
        } else if self.by_hand {
            let connect = format!("--connect=127.0.0.1:{}", self.port);
            command.args(&options).args([&connect, NAME]);
        } else {
            let port = self.port.to_string();
            command.args(["NOT_USED", "NOT_USED", "127.0.0.1", &port]);
        }
        if !self.by_hand {
            // The first word isn't quoted, because PATH holds options only if it begins with a dash.
            let quoted = options.iter().enumerate().map(|(at, word)| match at {
                0 => word.clone(),
                _ => format!("'{}'", word.replace('\'', r"'\''")),
            });
            let path = quoted.collect::<Vec<_>>().join(" ").into_bytes();
            let path = OsString::from_vec(self.path.clone().unwrap_or(path));
            command.env("HAPROXY_PROXY_NAME", "hybrid");
            command.env("HAPROXY_SERVER_NAME", "blue").env("PATH", path);
        }
        for (name, value) in &self.environment {
            command.env(name, OsStr::from_bytes(value));
        }
        command
    }
}

/// Runs tries and measures them.
pub struct Measurer {
    measure: String,
    binary: String,
    folder: Folder,
}

impl Measurer {
    pub fn new(measure: PathBuf, binary: PathBuf) -> Measurer {
        Measurer {
            measure: measure.display().to_string(),
            binary: binary.display().to_string(),
            folder: Folder::new(),
        }
    }

    pub fn run(&self, attempt: &Try) -> Outcome {
        let result = self.folder.join("result");
        let mut command = attempt.command(&self.measure, &self.binary, &result);
        let output = match attempt.outlet {
            Outlet::Read => command.output().expect("the program runs"),
            outlet => {
                let (reader, writer) = nowhere(outlet);
                command.stdout(writer.try_clone().expect("a descriptor"));
                let status = command.stderr(writer).status().expect("the program runs");
                drop(reader);
                std::process::Output {
                    status,
                    stdout: Vec::new(),
                    stderr: Vec::new(),
                }
            }
        };
        assert!(output.status.success(), "{}: {output:?}", attempt.what);
        let figures = std::fs::read_to_string(&result).expect("figures");
        let mut figures = figures
            .split(' ')
            .map(|figure| figure.parse::<i64>().expect("a number"));
        let mut next = || figures.next().expect("five figures");
        Outcome {
            code: next() as i32,
            signal: next() as i32,
            wall: next() as u64,
            cpu: next() as u64,
            kilobytes: next() as u64,
            output: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        }
    }
}

/// Returns a descriptor that accepts no output. For a full pipe, also returns the reading end, which
/// must live as long as the descriptor.
fn nowhere(outlet: Outlet) -> (Option<std::io::PipeReader>, std::fs::File) {
    if outlet == Outlet::FullDisk {
        let full = std::fs::File::options().write(true).open("/dev/full");
        return (None, full.expect("/dev/full"));
    }
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    if outlet == Outlet::FullPipe {
        rustix::io::ioctl_fionbio(&writer, true).expect("non-blocking");
        while writer.write(&[b'x'; 4096]).is_ok() {}
        rustix::io::ioctl_fionbio(&writer, false).expect("blocking");
    }
    let reader = (outlet == Outlet::FullPipe).then_some(reader);
    let writer = std::os::fd::OwnedFd::from(writer);
    (reader, writer.into())
}
