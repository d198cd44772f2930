//! A rule: a function that looks for one kind of fault, and the stable id of its findings.

use crate::haproxy::config::proxy::Backend;

use crate::doctor::finding::Finding;
use crate::doctor::visit::{Follower, Visit, Watch};

/// A kind of fault, and the function that finds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// A stable id for programs. docs/json.md lists all ids.
    pub id: &'static str,
    pub look: Look,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    /// The configuration as a whole.
    Whole(fn(&Visit) -> Vec<Finding>),
    /// Each backend that is enabled and that HAProxy can read.
    Backend(fn(&Visit, &Backend) -> Vec<Finding>),
    /// Each checked server of such a backend.
    Check(fn(&Visit, &Watch) -> Option<Finding>),
    /// Each checked server of such a backend, and each server that follows a checked server (`track`). The
    /// rule compares the check with the server's traffic.
    Comparison(fn(&Visit, &Watch) -> Option<Finding>),
    /// Each server of such a backend, checked or not.
    Server(fn(&Visit, &Watch) -> Option<Finding>),
    /// The options of checks by sni-check. [`Watch::refusals`] already contains the findings about them.
    Options,
}

impl Rule {
    /// Returns everything that this rule finds.
    pub(crate) fn findings(&self, visit: &Visit) -> Vec<Finding> {
        let watches = visit.watches.iter();
        let found: Vec<Finding> = match self.look {
            Look::Whole(look) => look(visit),
            Look::Backend(look) => {
                let backends = visit.backends();
                backends.flat_map(|backend| look(visit, backend)).collect()
            }
            Look::Server(look) => {
                let about =
                    |watch: &Watch| look(visit, watch).map(|found| with_names(found, visit, watch));
                watches.filter_map(about).collect()
            }
            Look::Check(_) | Look::Options => self.of_active(visit),
            Look::Comparison(look) => {
                let mut found = self.of_active(visit);
                for follower in &visit.followers {
                    let Some(of_follower) = look(visit, &follower.watch) else {
                        continue;
                    };
                    // Traffic to the followed server may differ from the check in the same way. One finding
                    // is then enough for both servers.
                    let is_shared = |known: &&mut Finding| {
                        known.what == of_follower.what && known.about.contains(&follower.followed)
                    };
                    match found.iter_mut().find(is_shared) {
                        Some(known) => known.about.push(follower.watch.name()),
                        None => found.push(for_follower(of_follower, follower)),
                    }
                }
                found
            }
        };
        found.into_iter().map(|found| found.id(self.id)).collect()
    }

    /// Returns what this rule finds about the servers that HAProxy checks.
    fn of_active(&self, visit: &Visit) -> Vec<Finding> {
        let of_check = |watch| self.of_check(visit, watch);
        visit.active().flat_map(of_check).collect()
    }

    /// Returns what this rule finds about a server's check, even if `check` is missing on the server line.
    pub(crate) fn of_check(&self, visit: &Visit, watch: &Watch) -> Vec<Finding> {
        let found: Vec<Finding> = match self.look {
            Look::Check(look) | Look::Comparison(look) => look(visit, watch).into_iter().collect(),
            Look::Options => {
                let refusals = watch.refusals.iter().filter(|found| found.id == self.id);
                refusals.cloned().collect()
            }
            _ => Vec::new(),
        };
        let found = found.into_iter();
        found
            .map(|found| with_names(found, visit, watch).id(self.id))
            .collect()
    }
}

/// Rewrites a finding for a server that follows another server (`track`). The check belongs to the followed
/// server, so the advice names both server lines.
fn for_follower(found: Finding, follower: &Follower) -> Finding {
    let Follower {
        track, followed, ..
    } = follower;
    let name = follower.watch.name();
    let what = format!(
        "the check of {followed} decides about this server (`track`): {}",
        found.what
    );
    let write = format!(
        "write the same words about the connection on the lines of {followed} and {name}; or `check` in place of \
         `track {}`",
        track.value
    );
    let found = Finding {
        what,
        about: vec![name],
        paste: String::new(),
        request: None,
        ..found
    };
    found.at(&track.place).write(write)
}

/// Adds the server's name to a finding without names. If a finding names only the backend, but HAProxy checks
/// only some of its servers, replaces the backend's name with the names of these servers.
fn with_names(mut found: Finding, visit: &Visit, watch: &Watch) -> Finding {
    match found.about.as_slice() {
        [] => found.about = vec![watch.name()],
        [name] if *name == watch.backend.name => found.about = visit.checked_of(watch.backend),
        _ => {}
    }
    found
}
