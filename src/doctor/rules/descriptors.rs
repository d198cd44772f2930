//! Rules about the limits on open files. HAProxy closes every possible descriptor before it starts an
//! external check, and a high limit makes this slow.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use crate::haproxy::config::check::Check;
use crate::haproxy::config::proxy::Global;

use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::Visit;

/// The shortest time that HAProxy needs to poll and skip one closed descriptor, in seconds.
const LEAST: f64 = 1e-8;

/// doctor always reports limits of at least this size, even if closing the descriptors is fast on this host.
const MANY: u64 = 1_000_000;

/// The limits with which HAProxy starts, and where doctor found them.
#[derive(Clone, Copy, Debug)]
struct Limits {
    soft: u64,
    hard: u64,
    source: &'static str,
}

/// How many descriptors HAProxy closes, and which limit or setting decides this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    Soft(u64, &'static str),
    Configured(u64, &'static str),
    Hard(u64, &'static str),
}

impl Limits {
    /// Returns the limits of HAProxy's unit or of the running HAProxy. If they are unknown, returns the
    /// limits of this process.
    fn of(visit: &Visit) -> Limits {
        if let Some((soft, hard)) = visit.nofile {
            let source = "from its unit or the running HAProxy";
            return Limits { soft, hard, source };
        }
        let limit = getrlimit(Resource::Nofile);
        Limits {
            soft: limit.current.unwrap_or(u64::MAX),
            hard: limit.maximum.unwrap_or(u64::MAX),
            source: "estimated from this process",
        }
    }
}

/// Returns the time in seconds that this host needs to poll one descriptor. The measurement polls descriptors
/// in groups of `GROUP`, as HAProxy does to find out which descriptors are open.
fn cost() -> f64 {
    const GROUP: usize = 1000;
    const NO_TIME: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let Ok(file) = File::open("/dev/null") else {
        return LEAST;
    };
    // An open descriptor costs up to twice as much as a closed one, so the result is half of the measured
    // time.
    let mut polled = vec![PollFd::new(&file, PollFlags::empty()); GROUP];
    let times = (0..5).map(|_| {
        let start = Instant::now();
        _ = poll(&mut polled, Some(&NO_TIME));
        start.elapsed()
    });
    let best = times.min().unwrap_or_default().as_secs_f64();
    (best / (2 * GROUP) as f64).max(LEAST)
}

impl Closed {
    /// Returns how many descriptors HAProxy closes: all descriptors below its soft limit. If the
    /// configuration asks for a number of descriptors, HAProxy raises its soft limit to this number.
    /// Otherwise, it raises its soft limit to the hard limit (from 3.1 on, to at most 1048576). HAProxy never
    /// lowers its soft limit.
    fn new(global: &Global, limits: Limits, since_3_1: bool) -> Closed {
        let asked = match (&global.ulimit_n, &global.maxconn) {
            (Some(limit), _) => Closed::Configured(limit.value, "ulimit-n"),
            // Each connection needs two descriptors. Listeners and checks need a few more.
            (None, Some(connections)) => Closed::Configured(
                connections.value.saturating_mul(2).saturating_add(100),
                "maxconn",
            ),
            (None, None) => Closed::by_default(global, limits, since_3_1),
        };
        match asked.count() < limits.soft {
            true => Closed::Soft(limits.soft, limits.source),
            false => asked,
        }
    }

    /// Returns the number of descriptors from which HAProxy computes maxconn if no line sets maxconn.
    fn by_default(global: &Global, limits: Limits, since_3_1: bool) -> Closed {
        let usual = since_3_1.then_some(1 << 20);
        let cap = global.fd_hard_limit.as_ref().map(|cap| cap.value);
        match cap.or(usual) {
            Some(cap) if cap < limits.hard => Closed::Configured(cap, "fd-hard-limit"),
            _ => Closed::Hard(limits.hard, limits.source),
        }
    }

    fn count(self) -> u64 {
        match self {
            Closed::Soft(count, _) | Closed::Configured(count, _) | Closed::Hard(count, _) => count,
        }
    }

    fn reason(self) -> String {
        match self {
            Closed::Soft(_, source) => format!("the soft limit that it starts with, {source}"),
            Closed::Configured(_, word) => format!("from {word}"),
            Closed::Hard(_, source) => format!("the hard limit that it starts with, {source}"),
        }
    }

    fn advice(self) -> String {
        match self {
            Closed::Soft(..) => "write LimitNOFILE=1024:524288 in HAProxy's unit, or --ulimit \
                                nofile=1024:524288 for its container: only a lower soft limit \
                                helps, neither ulimit-n nor fd-hard-limit"
                .to_owned(),
            Closed::Configured(_, word) => format!("write a lower {word} in global"),
            Closed::Hard(..) => "write maxconn 50000 or fd-hard-limit 100000 in global".to_owned(),
        }
    }
}

/// Finds limits that are so high that closing the descriptors takes too long.
pub(crate) fn closing(visit: &Visit) -> Vec<Finding> {
    let limit = |check: &Check| match check {
        Check::External(check) => Some(check.limit.time),
        _ => None,
    };
    let Some(shortest) = visit.active().filter_map(|watch| limit(&watch.check)).min() else {
        return Vec::new();
    };
    let global = &visit.config.global;
    let closed = Closed::new(global, Limits::of(visit), visit.haproxy.at_least(3, 1));
    slow(closed, shortest, cost()).into_iter().collect()
}

fn slow(closed: Closed, shortest: Duration, cost: f64) -> Option<Finding> {
    let seconds = closed.count() as f64 * cost;
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
        ))
        .foretells(&["PROCTOUT"]),
        _ => Finding::problem(Effect::Down, what).shows(format!(
            "PROCTOUT (DOWN) after {shortest:?} for every check, even if the server works"
        )),
    };
    Some(finding.write(closed.advice()))
}

/// Finds a `ulimit-n` or a `maxconn` that needs more descriptors than HAProxy may have, and a `ulimit-n` that
/// allows fewer descriptors than HAProxy needs.
pub(crate) fn too_many(visit: &Visit) -> Vec<Finding> {
    let global = &visit.config.global;
    exceeds_limit(global, Limits::of(visit), visit.haproxy.at_least(3, 1))
        .into_iter()
        .collect()
}

/// Returns the smallest number of descriptors that HAProxy needs for this many connections: two for each
/// connection, 10 for itself and 3 for one thread.
fn needed(connections: u64) -> u64 {
    connections.saturating_mul(2).saturating_add(13)
}

/// Returns how many descriptors a process may have on this host, or `None` if this is unknown.
fn most(limits: Limits) -> Option<u64> {
    let may_raise =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    if !may_raise {
        return Some(limits.hard);
    }
    let most = fs::read_to_string("/proc/sys/fs/nr_open").ok()?;
    most.trim().parse().ok()
}

/// HAProxy rounds the maxconn that it computes, so it may need slightly fewer descriptors than its limit.
const ROUNDING: u64 = 100;

fn exceeds_limit(global: &Global, limits: Limits, since_3_1: bool) -> Option<Finding> {
    let (word, asked, count) = match (&global.ulimit_n, &global.maxconn) {
        (Some(limit), _) => ("ulimit-n", limit, limit.value),
        (None, Some(connections)) => ("maxconn", connections, needed(connections.value)),
        (None, None) => return None,
    };
    let most = most(limits).unwrap_or(u64::MAX);
    let cap = global
        .fd_hard_limit
        .as_ref()
        .map_or(u64::MAX, |cap| cap.value);
    // HAProxy raises its soft limit to ulimit-n, but never lowers it.
    let given = count.max(limits.soft);
    let of_maxconn = global
        .maxconn
        .as_ref()
        .map(|at| (at.value, needed(at.value)));
    let by_default = Closed::by_default(global, limits, since_3_1);
    let least = match word {
        "maxconn" => " at least",
        _ => "",
    };
    let needs = format!(
        "{word} {} needs{least} {count} file descriptors",
        asked.value
    );
    let (what, alternative) = match of_maxconn {
        _ if global.lax_limits => return None,
        _ if count > cap => (
            format!("{needs}, but fd-hard-limit allows only {cap}"),
            "; or write a higher fd-hard-limit".to_owned(),
        ),
        _ if count > most => (
            format!("{needs}, but a process may have at most {most} here"),
            format!("; or write LimitNOFILE=1024:{count} in HAProxy's unit"),
        ),
        Some((connections, wanted)) if wanted > given => (
            format!(
                "maxconn {connections} needs at least {wanted} file descriptors, but ulimit-n allows only {given}"
            ),
            String::new(),
        ),
        None if by_default.count() > given.saturating_add(ROUNDING) => (
            format!(
                "ulimit-n allows only {given} file descriptors, but without maxconn HAProxy needs about {} ({})",
                by_default.count(),
                by_default.reason()
            ),
            format!("; or write maxconn {} in global", connections(given)),
        ),
        _ => return None,
    };
    Some(
        Finding::problem(Effect::NoStart, what)
            .at(&asked.place)
            .shows(
                "HAProxy does not start: Cannot raise FD limit, FD limit too low, or Not enough memory; haproxy -c \
                 does not report this",
            )
            .write(fitting(global, most.min(cap)) + &alternative),
    )
}

/// Returns a maxconn with which HAProxy needs at most this many descriptors.
fn connections(limit: u64) -> u64 {
    limit / 2 * 9 / 10
}

/// Returns the advice for a configuration with which HAProxy needs at most this many descriptors.
fn fitting(global: &Global, limit: u64) -> String {
    let connections = global.maxconn.as_ref();
    let fits = connections.is_none_or(|connections| needed(connections.value) <= limit);
    let fewer = format!("maxconn {} in global", self::connections(limit));
    match (&global.ulimit_n, fits) {
        (Some(_), true) => "remove ulimit-n, because HAProxy computes it from maxconn".to_owned(),
        (Some(_), false) => format!("remove ulimit-n, and write {fewer}"),
        (None, _) => fewer,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Closed, Global, LEAST, Limits, exceeds_limit, slow};
    use crate::haproxy::config::place::{At, Place};
    use crate::output::mark::Mark;

    #[test]
    fn the_soft_limit_at_start_and_the_configuration_decide_how_many_descriptors_are_closed() {
        let place = Place {
            file: "x".into(),
            line: 1,
        };
        let at = |value: u64| Some(At::new(value, &place));
        let source = "of its unit";
        let limits = |soft, hard| Limits { soft, hard, source };
        let global = Global {
            maxconn: at(1000),
            fd_hard_limit: at(3000),
            ..Global::default()
        };
        // We measured these two cases with HAProxy 2.6.
        assert_eq!(
            Closed::new(&global, limits(20_000, 20_000), false),
            Closed::Soft(20_000, source)
        );
        let asked = Closed::Configured(2100, "maxconn");
        assert_eq!(Closed::new(&global, limits(1024, 20_000), false), asked);
        let free = Global::default();
        let huge = limits(1024, 1_000_000_000);
        assert_eq!(
            Closed::new(&free, huge, false),
            Closed::Hard(1_000_000_000, source)
        );
        let capped = Closed::Configured(1 << 20, "fd-hard-limit");
        assert_eq!(Closed::new(&free, huge, true), capped);
        let container = limits(1_000_000_000, 1_000_000_000);
        assert_eq!(
            Closed::new(&free, container, true),
            Closed::Soft(1_000_000_000, source)
        );
    }

    #[test]
    fn a_soft_limit_of_a_million_is_reported() {
        let slow = |soft, cost| slow(Closed::Soft(soft, "here"), Duration::from_secs(2), cost);
        assert!(slow(524_288, LEAST).is_none());
        for (soft, cost, mark) in [
            (1_000_000, LEAST, Mark::Note),
            (1_000_000_000, LEAST, Mark::Problem),
            // Polling takes this long in a sandbox that handles system calls itself.
            (1_000_000, 3e-6, Mark::Problem),
        ] {
            let found = slow(soft, cost).expect("a finding");
            assert_eq!(found.mark, mark);
            assert!(
                found.write.contains("LimitNOFILE=1024:524288"),
                "{}",
                found.write
            );
        }
    }

    #[test]
    fn more_connections_than_descriptors_are_reported() {
        let place = Place {
            file: "x".into(),
            line: 1,
        };
        let global = |value| Global {
            maxconn: Some(At::new(value, &place)),
            ..Global::default()
        };
        let limits = Limits {
            soft: 1024,
            hard: 2_000_000_000,
            source: "here",
        };
        // No process may have so many descriptors, with or without CAP_SYS_RESOURCE.
        let found = exceeds_limit(&global(1_500_000_000), limits, false).expect("a finding");
        let what = "needs at least 3000000013";
        assert!(found.what.contains(what), "{}", found.what);
        assert!(exceeds_limit(&global(100), limits, false).is_none());
    }

    /// Without a `maxconn` line, HAProxy 2.6 to 3.2 computes maxconn from the hard limit, even if `ulimit-n`
    /// is lower.
    #[test]
    fn a_low_ulimit_n_without_maxconn_is_reported() {
        let place = Place {
            file: "x".into(),
            line: 1,
        };
        let at = |value: u64| Some(At::new(value, &place));
        let limits = |soft, hard| Limits {
            soft,
            hard,
            source: "here",
        };
        let found =
            |global: &Global, limits| exceeds_limit(global, limits, true).map(|found| found.write);
        let global = Global {
            ulimit_n: at(10_000),
            ..Global::default()
        };
        let write = "remove ulimit-n, because HAProxy computes it from maxconn; or write maxconn 4500 in global";
        assert_eq!(found(&global, limits(1024, 20_000)).as_deref(), Some(write));
        // HAProxy never lowers its soft limit, so ulimit-n has no effect here.
        assert_eq!(found(&global, limits(20_000, 20_000)), None);
        let capped = Global {
            fd_hard_limit: at(10_000),
            ..global
        };
        assert_eq!(found(&capped, limits(1024, 20_000)), None);
    }
}
