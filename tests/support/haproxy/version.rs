//! The releases of HAProxy that the tests run against.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::thread;

use super::{Haproxy, Mode};
use crate::support::program;

/// An HAProxy that is here.
#[derive(Clone, Debug)]
pub struct Version {
    /// Such as `3.0.11`.
    pub number: String,
    /// What runs it.
    pub program: PathBuf,
}

/// What `make setup` brings: a release of HAProxy, and the Debian release that has it. sid moves, and
/// has at least this one.
pub const RELEASES: [(&str, &str); 3] = [("2.6", "bookworm"), ("3.0", "trixie"), ("3.2", SID)];

const SID: &str = "sid";

static VERSIONS: LazyLock<Vec<Version>> = LazyLock::new(find);

/// The HAProxy that is installed.
pub fn installed() -> Version {
    versions()[0].clone()
}

/// The HAProxy that the variable HAPROXY names by its file, or else the installed one: for tests that
/// take too long to run with every one at once.
pub fn chosen() -> Version {
    match std::env::var_os("HAPROXY") {
        Some(program) => Version::of(Path::new(&program)),
        None => installed(),
    }
}

/// Every HAProxy that `make setup` brings: the installed one, and those of other Debian releases.
pub fn versions() -> Vec<Version> {
    VERSIONS.clone()
}

/// Runs a test with every HAProxy, all at the same time: it mostly waits for checks.
pub fn with_every_haproxy(test: impl Fn(&Version) + Sync) {
    thread::scope(|scope| {
        for version in VERSIONS.iter() {
            let named = thread::Builder::new().name(format!("HAProxy {}", version.number));
            let started = named.spawn_scoped(scope, || test(version));
            started.expect("a thread");
        }
    });
}

fn find() -> Vec<Version> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/haproxy");
    let mut versions = vec![Version::of(Path::new(program("haproxy").get_program()))];
    for (release, debian) in RELEASES {
        let program = folder.join(debian).join("haproxy");
        if versions.iter().any(|version| version.release() == release) {
            continue;
        }
        // It cannot be had on some days.
        if debian == SID && !program.exists() {
            continue;
        }
        assert!(
            program.exists(),
            "HAProxy {release} is not in target/haproxy; `make setup` does that"
        );
        versions.push(Version::of(&program));
    }
    versions
}

impl Version {
    fn of(program: &Path) -> Version {
        let said = Command::new(program).arg("-v").output();
        let said = said.expect("haproxy runs").stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        // HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/
        let number = said.split([' ', '-']).nth(2).expect("a version");
        Version {
            number: number.to_owned(),
            program: program.to_owned(),
        }
    }

    /// Such as `3.0`.
    pub fn release(&self) -> &str {
        self.number
            .rsplit_once('.')
            .map_or(&self.number, |(release, _)| release)
    }

    /// Whether it is this release or a later one.
    pub fn is_since(&self, release: &str) -> bool {
        let numbers = |text: &str| -> Vec<u32> {
            let parts = text.split('.');
            parts.map(|part| part.parse().expect("a number")).collect()
        };
        numbers(self.release()) >= numbers(release)
    }

    /// Starts it; as [`Haproxy::start`].
    pub fn start(&self, mode: Mode, config: &str, variables: &[(&str, &str)]) -> Haproxy {
        Haproxy::start_by(Command::new(&self.program), mode, config, variables)
    }

    /// `haproxy -c` on a configuration file.
    pub fn check(&self, config: &str, variables: &[(&str, &str)]) -> Output {
        Command::new(&self.program)
            .args(["-c", "-f", config])
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .expect("haproxy runs")
    }
}
