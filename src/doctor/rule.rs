//! A rule: what doctor looks for, under a stable name.

use crate::haproxy::config::proxy::Backend;

use super::finding::Finding;
use super::visit::{Visit, Watch};

/// A kind of fault, and the function that finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// A stable name for programs; docs/json.md lists it.
    pub id: &'static str,
    pub look: Look,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    /// The configuration as a whole.
    Whole(fn(&Visit) -> Vec<Finding>),
    /// Each backend that is enabled and that HAProxy can read.
    Backend(fn(&Visit, &Backend) -> Vec<Finding>),
    /// Each server of such a backend that is checked.
    Check(fn(&Visit, &Watch) -> Option<Finding>),
    /// Each server of such a backend, checked or not.
    Server(fn(&Visit, &Watch) -> Option<Finding>),
    /// The options of sni-check's checks. The program's own parser has already refused or accepted them.
    Options,
}

impl Rule {
    /// Returns everything that this rule finds.
    pub(super) fn findings(&self, visit: &Visit) -> Vec<Finding> {
        let watches = visit.watches.iter();
        let found: Vec<Finding> = match self.look {
            Look::Whole(look) => look(visit),
            Look::Backend(look) => {
                let backends = visit.backends();
                backends.flat_map(|backend| look(visit, backend)).collect()
            }
            Look::Server(look) => {
                let about =
                    |watch: &Watch| look(visit, watch).map(|found| found_of(found, visit, watch));
                watches.filter_map(about).collect()
            }
            Look::Check(_) | Look::Options => watches
                .filter(|watch| watch.is_active())
                .flat_map(|watch| self.of_check(visit, watch))
                .collect(),
        };
        found.into_iter().map(|found| found.id(self.id)).collect()
    }

    /// Returns what this rule finds about a server's check, even if `check` is missing on the server line.
    pub(super) fn of_check(&self, visit: &Visit, watch: &Watch) -> Vec<Finding> {
        let found: Vec<Finding> = match self.look {
            Look::Check(look) => look(visit, watch).into_iter().collect(),
            Look::Options => {
                let refusals = watch.refusals.iter().filter(|found| found.id == self.id);
                refusals.cloned().collect()
            }
            _ => Vec::new(),
        };
        let found = found.into_iter();
        found
            .map(|found| found_of(found, visit, watch).id(self.id))
            .collect()
    }
}

/// Adds the server's name to a finding that names nothing yet. A finding about the check of a backend is
/// about the servers that have this check.
fn found_of(mut found: Finding, visit: &Visit, watch: &Watch) -> Finding {
    match found.about.as_slice() {
        [] => found.about = vec![watch.name()],
        [name] if *name == watch.backend.name => found.about = visit.checked_of(watch.backend),
        _ => {}
    }
    found
}
