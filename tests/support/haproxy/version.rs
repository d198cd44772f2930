//! The releases of HAProxy that the tests run against.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::thread;

use super::{Haproxy, Mode};
use crate::support::program;

/// An installed HAProxy.
#[derive(Clone, Debug)]
pub struct Version {
    /// The version, such as `3.0.11`.
    pub number: String,
    /// The program's path.
    pub program: PathBuf,
}

/// The releases of HAProxy that `make setup` installs, each with the Debian release that contains
/// it. Debian sid may contain a later release.
pub const RELEASES: [(&str, &str); 3] = [("2.6", "bookworm"), ("3.0", "trixie"), ("3.2", SID)];

const SID: &str = "sid";

static VERSIONS: LazyLock<Vec<Version>> = LazyLock::new(find);

/// Returns the HAProxy of this system.
pub fn installed() -> Version {
    versions()[0].clone()
}

/// Returns the HAProxy whose path is in the variable HAPROXY. If the variable isn't set, returns
/// this system's HAProxy. Tests that would take too long with every release use this function.
pub fn chosen() -> Version {
    match std::env::var_os("HAPROXY") {
        Some(program) => Version::of_program(Path::new(&program)),
        None => installed(),
    }
}

/// Returns every HAProxy that `make setup` installs: the HAProxy of this system first, then those of
/// other Debian releases.
pub fn versions() -> Vec<Version> {
    VERSIONS.clone()
}

/// Runs a test with every HAProxy in parallel. This needs little processor time, because the test mostly
/// waits for checks.
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
    let mut versions = vec![Version::of_program(Path::new(
        program("haproxy").get_program(),
    ))];
    for (release, debian) in RELEASES {
        let program = folder.join(debian).join("haproxy");
        if versions.iter().any(|version| version.release() == release) {
            continue;
        }
        // On some days, the HAProxy of sid can't be installed.
        if debian == SID && !program.exists() {
            continue;
        }
        assert!(
            program.exists(),
            "HAProxy {release} is not in target/haproxy; `make setup` puts it there"
        );
        versions.push(Version::of_program(&program));
    }
    versions
}

impl Version {
    fn of_program(program: &Path) -> Version {
        let said = Command::new(program).arg("-v").output();
        let said = said.expect("haproxy runs").stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        // The first line is, for example, "HAProxy version 2.6.12-1+deb12u4 2026/10/17 -
        // https://haproxy.org/".
        let number = said.split([' ', '-']).nth(2).expect("a version");
        Version {
            number: number.to_owned(),
            program: program.to_owned(),
        }
    }

    /// Returns the major and minor version, such as `3.0`.
    pub fn release(&self) -> &str {
        self.number
            .rsplit_once('.')
            .map_or(&self.number, |(release, _)| release)
    }

    /// Returns true if this HAProxy's release is `release` or later.
    pub fn is_since(&self, release: &str) -> bool {
        let numbers = |text: &str| -> Vec<u32> {
            let parts = text.split('.');
            parts.map(|part| part.parse().expect("a number")).collect()
        };
        numbers(self.release()) >= numbers(release)
    }

    /// Starts this HAProxy, as [`Haproxy::start`] does.
    pub fn start(&self, mode: Mode, config: &str, variables: &[(&str, &str)]) -> Haproxy {
        Haproxy::start_by(Command::new(&self.program), mode, config, variables)
    }

    /// Runs `haproxy -c` on a configuration file.
    pub fn check(&self, config: &str, variables: &[(&str, &str)]) -> Output {
        Command::new(&self.program)
            .args(["-c", "-f", config])
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .expect("haproxy runs")
    }
}
