//! What a report is about.

use super::evidence::Evidence;
use crate::options::Options;
use crate::plan::Plan;

/// A check, as it was asked for, and what was found out about its server.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub plan: &'a Plan,
    /// The options that the plan came from.
    pub options: &'a Options,
    pub evidence: &'a Evidence,
}
