//! The `sni-check serve` processes of this host, and their command lines.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::haproxy::config::serve::ServeCheck;
use crate::options::Options;
use crate::options::Parsed;
use crate::plan::{Allowed, Files};
use crate::serve::{self, ServeCall};

use super::jail::Jail;

/// The sockets on which systemd listens for serve (packaging/systemd/sni-check.socket).
pub(crate) const OF_UNIT: [&str; 2] = [
    "/run/sni-check/socket",
    "/var/lib/haproxy/run/sni-check/socket",
];

/// The `sni-check serve` processes of this host.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    processes: Vec<Process>,
    /// The host's path of HAProxy's chroot.
    root: PathBuf,
}

/// A running `sni-check serve`.
#[derive(Debug)]
pub(crate) struct Process {
    call: ServeCall,
    sni_host: Option<String>,
}

impl Serving {
    /// Finds the processes in /proc.
    pub(crate) fn look(jail: &Jail) -> Serving {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        Serving {
            processes: entries
                .filter_map(|entry| Process::of(&entry.path()))
                .collect(),
            root: jail.root.clone(),
        }
    }

    /// Returns the host's path of a path in HAProxy's chroot.
    pub(crate) fn outside(&self, path: &str) -> String {
        let path = self.root.join(path.trim_start_matches('/'));
        path.display().to_string()
    }

    /// Returns the process that answers this check, if doctor can be sure which process that is.
    pub(crate) fn of(&self, check: &ServeCheck) -> Option<&Process> {
        let path = check.socket()?;
        let path = self.outside(&path);
        let listens = |process: &&Process| match process.call.own.listen.as_slice() {
            // A process without --listen gets its sockets from systemd.
            [] => OF_UNIT.contains(&path.as_str()),
            addresses => addresses.iter().any(|address| {
                let listening = address.strip_prefix("unix:").unwrap_or(address);
                is_same_file(listening, &path)
            }),
        };
        let mut found = self.processes.iter().filter(listens);
        let first = found.next()?;
        // If two processes listen at this path, doctor can't know which of them answers.
        found.next().is_none().then_some(first)
    }
}

fn is_same_file(one: &str, other: &str) -> bool {
    let resolved = |path: &str| fs::canonicalize(path).unwrap_or_else(|_| path.into());
    resolved(one) == resolved(other)
}

impl Process {
    fn of(folder: &Path) -> Option<Process> {
        let number = folder.file_name()?.to_str()?;
        number.parse::<u32>().ok()?;
        let words = words(&folder.join("cmdline"))?;
        let at = words.iter().position(|word| word == "serve")?;
        let program = Path::new(words.first()?).file_name()?.to_str()?.to_owned();
        if at != 1 || !program.contains("sni-check") {
            return None;
        }
        let Ok(Parsed::Options(call)) = serve::parse(&words[2..]) else {
            return None;
        };
        let environment = words_of(&folder.join("environ"));
        let mut environment = environment.iter();
        let sni_host = environment.find_map(|pair| pair.strip_prefix("SNI_HOST="));
        Some(Process {
            call: *call,
            sni_host: sni_host.map(str::to_owned),
        })
    }

    /// Returns the options of a request, with the options of this process as defaults.
    pub(crate) fn with_defaults(&self, given: Options) -> Options {
        serve::complete(given, &self.call.defaults)
    }

    /// Returns access to the files that this process may read for a request.
    pub(crate) fn files(&self) -> Files {
        let named = self.call.defaults.files();
        Files::only(Arc::new(Allowed {
            folders: self.call.own.files.iter().map(PathBuf::from).collect(),
            named: named.map(|(_, file)| PathBuf::from(file)).collect(),
        }))
    }

    /// Returns the folders of `--files`.
    pub(crate) fn folders(&self) -> &[String] {
        &self.call.own.files
    }

    pub(crate) fn sni_host(&self) -> Option<&str> {
        self.sni_host.as_deref()
    }
}

fn words(file: &Path) -> Option<Vec<String>> {
    let words = words_of(file);
    (!words.is_empty()).then_some(words)
}

fn words_of(file: &Path) -> Vec<String> {
    let text = fs::read(file).unwrap_or_default();
    let words = text
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty());
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}
