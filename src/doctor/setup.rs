//! What the checks of a configuration are judged by.

use crate::haproxy::program::Haproxy;

use super::jail::Jail;
use crate::haproxy::config::Configuration;

/// A configuration, the HAProxy that would read it, and where that runs the checks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup<'a> {
    pub config: &'a Configuration,
    pub haproxy: &'a Haproxy,
    pub jail: &'a Jail,
    /// Whether the checks are run as well.
    pub run: bool,
}
