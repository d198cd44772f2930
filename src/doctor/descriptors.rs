//! The limit on open files: HAProxy closes every possible descriptor before it starts a check.

use rustix::process::{Resource, getrlimit};

use super::check::ExternalCheck;
use super::finding::Finding;
use super::setup::Setup;

/// Measured: polling and skipping a thousand closed descriptors takes 10 µs.
const SECONDS_PER_DESCRIPTOR: f64 = 1e-8;

/// Looks at the limit.
pub(super) fn look(setup: Setup, checks: &[ExternalCheck]) -> Option<Finding> {
    let shortest = checks.iter().map(|check| check.limit.time).min()?;
    let (limit, source) = limit(setup);
    let seconds = limit as f64 * SECONDS_PER_DESCRIPTOR;
    let what = format!(
        "HAProxy may open {limit} files ({source}) and closes each possible one before every \
         check, about {seconds:.1} s"
    );
    let finding = match seconds / shortest.as_secs_f64() {
        share if share < 0.1 => return None,
        share if share < 1.0 => Finding::note("nofile", what).shows(format!(
            "less of the {shortest:?} is left for the check itself"
        )),
        _ => Finding::problem("nofile", what).shows(format!(
            "PROCTOUT at {shortest:?} for every check, whatever the backend does"
        )),
    };
    Some(finding.write(
        "fd-hard-limit 100000 in global (2.6 and later), or a lower nofile limit of the unit or \
         container",
    ))
}

/// The limit HAProxy would run with, and where it comes from.
fn limit(setup: Setup) -> (u64, &'static str) {
    let global = &setup.config.global;
    if let Some(limit) = &global.ulimit_n {
        return (limit.value, "ulimit-n");
    }
    if let Some(connections) = &global.maxconn {
        // Two for each connection, and a few for listeners and checks.
        return (connections.value.saturating_mul(2) + 100, "from maxconn");
    }
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let capped = global.fd_hard_limit.as_ref().map(|limit| limit.value);
    // The default since 3.1; older HAProxy takes all there is.
    let usual = setup.haproxy.at_least(3, 1).then_some(1 << 20);
    match capped.or(usual) {
        Some(cap) if cap < hard => (cap, "fd-hard-limit"),
        _ => (hard, "the hard limit of this process, as an estimate"),
    }
}
