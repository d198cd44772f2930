//! All that doctor has to say.

use crate::code::Code;
use crate::output::mark::Mark;

use super::finding::Finding;
use super::outcome::Runs;
use crate::haproxy::config::place::Place;

/// What doctor has to say.
pub(super) struct Report {
    /// As `-f` names them.
    pub files: Vec<String>,
    /// How many servers are checked by a program.
    pub checks: usize,
    /// How many are checked by `sni-check serve`.
    pub served: usize,
    pub findings: Vec<Finding>,
    /// Lines that were not understood, and why.
    pub unclear: Vec<(Place, String)>,
    pub haproxy_version: Option<String>,
    pub haproxy_accepts: bool,
    pub haproxy_says: Vec<String>,
    pub runs: Option<Runs>,
}

impl Report {
    /// 0 when nothing is in the way, 2 when a check cannot work; otherwise the code of the first
    /// check that fails.
    pub(super) fn code(&self) -> Code {
        let is_grave = |finding: &Finding| finding.mark == Mark::Problem;
        if self.findings.iter().any(is_grave) {
            return Code::Refused;
        }
        let mut failed = self.runs.iter().flat_map(Runs::failed);
        match failed.next() {
            None => Code::Healthy,
            Some(ran) => ran.outcome.own_code().unwrap_or(Code::Refused),
        }
    }
}
