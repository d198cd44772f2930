//! Rules about the limits on open files. HAProxy closes every possible descriptor before it starts a
//! check.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use crate::haproxy::config::check::Check;
use crate::haproxy::config::proxy::Global;

use super::finding::{Effect, Finding};
use super::visit::Visit;

/// Measured: polling and skipping a thousand closed descriptors takes 10 µs.
const SECONDS_PER_DESCRIPTOR: f64 = 1e-8;

/// A limit this high is a mistake, even if closing the descriptors is fast on this host.
const MANY: u64 = 1_000_000;

/// The limits that HAProxy starts with, estimated by those of this process.
#[derive(Clone, Copy, Debug)]
struct Limits {
    soft: u64,
    hard: u64,
}

/// How many descriptors HAProxy closes, and the setting that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    Soft(u64),
    Configured(u64, &'static str),
    Hard(u64),
}

impl Limits {
    fn here() -> Limits {
        let limit = getrlimit(Resource::Nofile);
        Limits {
            soft: limit.current.unwrap_or(u64::MAX),
            hard: limit.maximum.unwrap_or(u64::MAX),
        }
    }
}

impl Closed {
    /// HAProxy closes every descriptor below its soft limit. It raises the soft limit that it started with
    /// to what its configuration asks for, or else to the hard limit. It never lowers the soft limit.
    fn new(global: &Global, limits: Limits, since_3_1: bool) -> Closed {
        let asked = match (&global.ulimit_n, &global.maxconn) {
            (Some(limit), _) => Closed::Configured(limit.value, "ulimit-n"),
            // Two for each connection, and a few for listeners and checks.
            (None, Some(connections)) => Closed::Configured(
                connections.value.saturating_mul(2).saturating_add(100),
                "maxconn",
            ),
            (None, None) => {
                let usual = since_3_1.then_some(1 << 20);
                let cap = global.fd_hard_limit.as_ref().map(|cap| cap.value);
                match cap.or(usual) {
                    Some(cap) if cap < limits.hard => Closed::Configured(cap, "fd-hard-limit"),
                    _ => Closed::Hard(limits.hard),
                }
            }
        };
        match asked.count() < limits.soft {
            true => Closed::Soft(limits.soft),
            false => asked,
        }
    }

    fn count(self) -> u64 {
        match self {
            Closed::Soft(count) | Closed::Configured(count, _) | Closed::Hard(count) => count,
        }
    }

    fn reason(self) -> String {
        match self {
            Closed::Soft(_) => {
                "the soft limit that it starts with, estimated by that of this process".into()
            }
            Closed::Configured(_, word) => format!("from {word}"),
            Closed::Hard(_) => {
                "the hard limit that it starts with, estimated by that of this process".into()
            }
        }
    }

    fn advice(self) -> String {
        match self {
            Closed::Soft(_) => "write LimitNOFILE=1024:524288 in HAProxy's unit, or --ulimit \
                                nofile=1024:524288 for its container: only a lower soft limit \
                                helps, neither ulimit-n nor fd-hard-limit"
                .to_owned(),
            Closed::Configured(_, word) => format!("write a lower {word} in global"),
            Closed::Hard(_) => "write maxconn 50000 or fd-hard-limit 100000 in global".to_owned(),
        }
    }
}

/// Finds limits with which closing the descriptors takes too long.
pub(super) fn closing(visit: &Visit) -> Vec<Finding> {
    let limit = |check: &Check| match check {
        Check::External(check) => Some(check.limit.time),
        _ => None,
    };
    let Some(shortest) = visit.active().filter_map(|watch| limit(&watch.check)).min() else {
        return Vec::new();
    };
    let global = &visit.config.global;
    let closed = Closed::new(global, Limits::here(), visit.haproxy.at_least(3, 1));
    slow(closed, shortest).into_iter().collect()
}

fn slow(closed: Closed, shortest: Duration) -> Option<Finding> {
    let seconds = closed.count() as f64 * SECONDS_PER_DESCRIPTOR;
    let what = format!(
        "before every check HAProxy closes {} file descriptors ({}), which takes about \
         {seconds:.1} s",
        closed.count(),
        closed.reason()
    );
    let finding = match seconds / shortest.as_secs_f64() {
        share if share < 0.1 && closed.count() < MANY => return None,
        share if share < 1.0 => Finding::note(Effect::Down, what).shows(format!(
            "PROCTOUT (DOWN) after {shortest:?} where closing is slow, as in some containers; elsewhere the check has less time"
        )),
        _ => Finding::problem(Effect::Down, what).shows(format!(
            "PROCTOUT (DOWN) after {shortest:?} for every check, even if the server works"
        )),
    };
    Some(finding.write(closed.advice()))
}

/// Finds a `ulimit-n` above the most that a process may have here.
pub(super) fn too_many(visit: &Visit) -> Vec<Finding> {
    above_most(&visit.config.global).into_iter().collect()
}

fn above_most(global: &Global) -> Option<Finding> {
    let asked = global.ulimit_n.as_ref()?;
    let hard = Limits::here().hard;
    let most = fs::read_to_string("/proc/sys/fs/nr_open").ok();
    let most = most.and_then(|text| text.trim().parse().ok());
    let may_raise =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    let limit = match (most, may_raise) {
        (Some(most), true) => most,
        (_, true) => return None,
        (_, false) => hard,
    };
    if asked.value <= limit || global.lax_limits {
        return None;
    }
    let what = format!(
        "ulimit-n {} is above {limit}, the most that a process may have here",
        asked.value
    );
    Some(
        Finding::problem(Effect::NoStart, what)
            .at(&asked.place)
            .shows("HAProxy does not start: Cannot raise FD limit; haproxy -c does not report this")
            .write(format!(
                "remove ulimit-n, because HAProxy computes it from maxconn; or write LimitNOFILE=1024:{} in \
                 HAProxy's unit",
                asked.value
            )),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Closed, Global, Limits, slow};
    use crate::haproxy::config::place::{At, Place};
    use crate::output::mark::Mark;

    #[test]
    fn the_soft_limit_at_start_and_the_configuration_decide() {
        let place = Place {
            file: "x".into(),
            line: 1,
        };
        let at = |value: u64| Some(At::new(value, &place));
        let limits = |soft, hard| Limits { soft, hard };
        let global = Global {
            maxconn: at(1000),
            fd_hard_limit: at(3000),
            ..Global::default()
        };
        // As measured with HAProxy 2.6.
        assert_eq!(
            Closed::new(&global, limits(20_000, 20_000), false),
            Closed::Soft(20_000)
        );
        let asked = Closed::Configured(2100, "maxconn");
        assert_eq!(Closed::new(&global, limits(1024, 20_000), false), asked);
        let free = Global::default();
        let huge = limits(1024, 1_000_000_000);
        assert_eq!(Closed::new(&free, huge, false), Closed::Hard(1_000_000_000));
        let capped = Closed::Configured(1 << 20, "fd-hard-limit");
        assert_eq!(Closed::new(&free, huge, true), capped);
        let container = limits(1_000_000_000, 1_000_000_000);
        assert_eq!(
            Closed::new(&free, container, true),
            Closed::Soft(1_000_000_000)
        );
    }

    #[test]
    fn a_soft_limit_of_a_million_is_reported() {
        let found = |soft| slow(Closed::Soft(soft), Duration::from_secs(2));
        assert!(found(524_288).is_none());
        for (soft, mark) in [(1_000_000, Mark::Note), (1_000_000_000, Mark::Problem)] {
            let found = found(soft).expect("a finding");
            assert_eq!(found.mark, mark);
            assert!(
                found.write.contains("LimitNOFILE=1024:524288"),
                "{}",
                found.write
            );
        }
    }
}
