//! Reads the parts of haproxy.cfg that affect health checks and connections to servers (configuration manual,
//! sections 2 to 5 and 11).
//!
//! `files -> Statements (words, variables, .if) -> sections -> Configuration -> backends ->
//! servers`.

pub(crate) mod address;
pub(crate) mod backend_lines;
mod blocks;
pub(crate) mod check;
mod condition;
pub(crate) mod connection;
pub(crate) mod crt_store;
pub(crate) mod external;
mod frontend;
pub(crate) mod host_rule;
pub(crate) mod http_check;
pub(crate) mod place;
pub(crate) mod proxy;
pub(crate) mod route;
pub(crate) mod section;
pub(crate) mod serve;
pub(crate) mod server_line;
pub(crate) mod statement;
mod visitors;
pub(crate) mod written;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use self::proxy::Backend;
pub(crate) use self::section::Configuration;
use super::program::Haproxy;
use super::variables::Variables;

/// Returns the variables that HAProxy sets before it reads the configuration (manual, section 2.3). Returns
/// no variables if HAProxy's version isn't known.
fn set_by_haproxy(files: &[PathBuf], haproxy: &Haproxy) -> Vec<(&'static str, String)> {
    let Some((major, minor)) = haproxy.version else {
        return Vec::new();
    };
    let mut variables = Vec::new();
    if let Some(version) = &haproxy.version_text {
        variables.push(("HAPROXY_STARTUP_VERSION", version.clone()));
    }
    if let Ok(host) = fs::read_to_string("/proc/sys/kernel/hostname") {
        variables.push(("HAPROXY_LOCALPEER", host.trim_end().to_owned()));
    }
    // Checks don't depend on the log formats, so all of them get the same short value.
    let mut formats = Vec::new();
    if haproxy.at_least(2, 8) {
        variables.push(("HAPROXY_BRANCH", format!("{major}.{minor}")));
        formats.extend([
            "HAPROXY_HTTP_LOG_FMT",
            "HAPROXY_HTTPS_LOG_FMT",
            "HAPROXY_TCP_LOG_FMT",
        ]);
    }
    if haproxy.at_least(3, 2) {
        let files = files.iter().map(|file| file.display().to_string());
        let files: Vec<String> = files.collect();
        variables.push(("HAPROXY_CFGFILES", files.join(";")));
        formats.extend(["HAPROXY_HTTP_CLF_LOG_FMT", "HAPROXY_TCP_CLF_LOG_FMT"]);
    }
    variables.extend(formats.into_iter().map(|name| (name, "%ci".to_owned())));
    variables
}

impl Configuration {
    /// Reads these files in this order. `variables` is the environment in which HAProxy starts. The
    /// configuration may change it.
    ///
    /// # Errors
    ///
    /// A file can't be read.
    pub(crate) fn read(
        files: &[PathBuf],
        variables: &mut Variables,
        haproxy: &Haproxy,
    ) -> Result<Configuration> {
        for (name, value) in set_by_haproxy(files, haproxy) {
            variables.apply(&["setenv".to_owned(), name.to_owned(), value]);
        }
        let statements = statement::read(files, variables, haproxy)?;
        let mut unclear = statements.unclear;
        let sections = section::read(&statements.all);
        unclear.extend(sections.unclear);
        unclear.sort_by_key(|(place, _)| (place.file.clone(), place.line));
        Ok(Configuration {
            unclear,
            broken: statements.broken,
            unset: statements.unset,
            ..sections
        })
    }

    /// Returns the backends whose servers an external program checks.
    pub(crate) fn external(&self) -> impl Iterator<Item = &Backend> {
        self.backends.iter().filter(|backend| backend.is_external())
    }
}
