//! Differences between doctor's report and HAProxy's behaviour.

use std::collections::BTreeMap;

use crate::case::{Case, Kind};
use crate::reality::{Reality, Seen};
use crate::said::{Finding, Said};

/// A difference between doctor's report and HAProxy's behaviour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// A trap that no finding explains.
    Missed(Trap),
    /// A trap that no finding explains, although the check failed when doctor ran it.
    OnlyRun(Trap),
    /// The id of a finding that reports a problem although the check is UP and visitors are served.
    FalseAlarm(String),
    /// A finding's id, its statement, and what HAProxy shows instead.
    Untrue(String),
    /// The result of a check that doctor ran, and the different result that HAProxy shows.
    UntrueRun(String),
    /// The id of a finding whose fix breaks something that worked.
    FixHarms(String),
    /// The id of a finding whose fix doesn't remove the trap.
    FixChangesNothing(String),
}

/// The harm that a configuration does to its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trap {
    /// The check is DOWN, but visitors would be served.
    Down,
    /// The check is UP, but visitors fail.
    Up,
    /// HAProxy doesn't check the server, but the author wanted a check.
    Unchecked,
    /// HAProxy refuses the configuration, or doesn't start.
    NoStart,
}

impl Difference {
    /// Returns the row of the table in docs/testing.md that counts this difference.
    pub fn part(&self) -> &'static str {
        match self {
            Difference::Missed(_) => "traps missed",
            Difference::OnlyRun(_) => "traps found only with --run",
            Difference::FalseAlarm(_) => "false alarms",
            Difference::Untrue(_) | Difference::UntrueRun(_) => "predictions that don't come true",
            Difference::FixHarms(_) => "fixes that do harm",
            Difference::FixChangesNothing(_) => "fixes that change nothing",
        }
    }
}

/// The ids of findings that don't predict the result of a check.
const GENERAL: &[&str] = &["runtime-servers", "serve-init-state", "time", "unused-rule"];

/// The result of a visitor's request to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Served,
    Fail,
    /// The test can't decide if the server works, because the server refuses the page (401, 403 or 404).
    Unclear,
}

pub fn service(seen: &Seen) -> Service {
    match seen.visit {
        Some(200..=399) => Service::Served,
        Some(401 | 403 | 404) => Service::Unclear,
        _ => Service::Fail,
    }
}

/// Returns the trap that HAProxy's behaviour shows for a server, if there is a trap.
pub fn trap(case: &Case, seen: &Seen) -> Option<Trap> {
    match (seen.status.as_str(), service(seen)) {
        ("no check", _) => was_meant_to_be_checked(case).then_some(Trap::Unchecked),
        (status, Service::Served) if status.starts_with("DOWN") => Some(Trap::Down),
        (status, Service::Fail) if status.starts_with("UP") && !is_out_of_sight(case, seen) => {
            Some(Trap::Up)
        }
        _ => None,
    }
}

/// Returns true if the author wants HAProxy to check the server. An agent that answers makes a check
/// unnecessary.
fn was_meant_to_be_checked(case: &Case) -> bool {
    match case.kind {
        Kind::None => false,
        Kind::Agent => case
            .tags
            .iter()
            .any(|tag| tag == "an agent that does not exist"),
        // `no-check` shows that the author wants no check.
        _ => !case.last_words.iter().any(|word| word == "no-check"),
    }
}

/// Returns true if this kind of check can't notice the failure. A check that only connects or only makes a
/// handshake can't notice a later failure, and the author didn't ask for more.
fn is_out_of_sight(case: &Case, seen: &Seen) -> bool {
    let by_http = matches!(seen.visit, Some(400 | 500 | 502));
    match seen.check_status.as_str() {
        "L6OK" => by_http,
        "L4OK" => !case.has_ssl(),
        // The server has only an agent, which may report anything, or it tracks another server.
        "" => true,
        _ => false,
    }
}

/// Returns every trap of a configuration, with the servers that it affects.
pub fn traps(case: &Case, reality: &Reality) -> BTreeMap<Trap, Vec<String>> {
    let mut found = BTreeMap::<Trap, Vec<String>>::new();
    match reality {
        Reality::Refused(_) | Reality::NotStarted(_) => _ = found.insert(Trap::NoStart, Vec::new()),
        Reality::Running(servers) => {
            for (name, seen) in servers {
                if let Some(trap) = trap(case, seen) {
                    found.entry(trap).or_default().push(name.clone());
                }
            }
        }
    }
    found
}

/// Returns all differences between the report and HAProxy's behaviour.
pub fn compare(case: &Case, reality: &Reality, said: &Said) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (trap, servers) in traps(case, reality) {
        differences.extend(missed(case, trap, &servers, said));
    }
    for finding in said
        .findings
        .iter()
        .filter(|finding| is_relevant(case, finding))
    {
        if is_false_alarm(case, finding, reality) {
            differences.push(Difference::FalseAlarm(finding.id.clone()));
        }
        differences.extend(untrue(case, finding, reality));
    }
    differences.extend(untrue_runs(case, said, reality));
    differences.extend(elsewhere(said));
    differences.sort();
    differences.dedup();
    differences
}

/// Returns a false alarm if doctor reports a problem with the unrelated backend. The author wants no check
/// there.
fn elsewhere(said: &Said) -> Option<Difference> {
    let is_other = |about: &String| about.contains("-other");
    let mut findings = said.findings.iter().filter(|finding| finding.is_problem);
    let only = |finding: &&Finding| !finding.about.is_empty() && finding.about.iter().all(is_other);
    let found = findings.find(only)?;
    Some(Difference::FalseAlarm(format!("{} elsewhere", found.id)))
}

/// Returns true if a finding is about the judged backend, and not about other backends in the file.
fn is_relevant(case: &Case, finding: &Finding) -> bool {
    let prefix = case.prefix();
    let own = |about: &String| *about == prefix || about.starts_with(&format!("{prefix}/"));
    finding.about.is_empty() || finding.about.iter().any(own)
}

fn missed(case: &Case, trap: Trap, servers: &[String], said: &Said) -> Option<Difference> {
    let prefix = case.prefix();
    if trap == Trap::NoStart {
        let reported = said.code == 2 && said.findings.iter().any(|finding| finding.is_problem);
        return (!reported).then_some(Difference::Missed(trap));
    }
    let explained = |server: &&String| {
        let mut findings = said.findings.iter();
        // A problem with a tracked server's check also affects the servers that track it.
        let tracked =
            |finding: &Finding| finding.about.iter().any(|about| about.contains("-tracked"));
        findings.any(|finding| {
            let concerned = finding.concerns(&prefix, server) || tracked(finding);
            concerned && explains(case, finding, trap)
        })
    };
    let unexplained = servers.iter().find(|server| !explained(server))?;
    let failed = said.runs.iter().any(|run| {
        run.backend == prefix && run.server == *unexplained && !run.status.ends_with("OK")
    });
    match trap == Trap::Down && failed {
        true => Some(Difference::OnlyRun(trap)),
        false => Some(Difference::Missed(trap)),
    }
}

/// Returns true if a finding explains this kind of trap.
pub fn explains(case: &Case, finding: &Finding, trap: Trap) -> bool {
    if GENERAL.contains(&finding.id.as_str()) {
        return false;
    }
    // doctor knows for certain that a check is missing, unless an agent may answer.
    let is_firm = finding.is_problem || case.kind == Kind::Agent;
    match (finding.effect.as_str(), trap) {
        ("", _) => {}
        // A check that is always UP checks nothing.
        ("unchecked", Trap::Unchecked | Trap::Up) => return is_firm,
        ("down", Trap::Down) | ("up", Trap::Up) => return true,
        ("down-or-up", Trap::Down | Trap::Up) => return true,
        _ => return false,
    }
    let shows = finding.shows.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| shows.contains(word));
    match trap {
        Trap::Down => says(&[
            "down", "procerr", "l6rsp", "l7sts", "l4con", "sockerr", "l7rsp", "code ", "fails",
        ]),
        Trap::Up => says(&[
            "up ", "up,", "(up)", "visitor", "traffic", "503", "502", "l4ok", "l6ok", "l7ok",
            "accepts",
        ]),
        // doctor can't know in advance if an agent answers.
        Trap::Unchecked if case.kind == Kind::Agent => says(&["agent"]),
        // Without an agent, a missing check is certain, so doctor must report a problem and not a note.
        Trap::Unchecked => finding.is_problem && says(&["check"]),
        Trap::NoStart => finding.is_problem,
    }
}

fn judged<'a>(case: &Case, finding: &Finding, reality: &'a Reality) -> Vec<&'a Seen> {
    let Reality::Running(servers) = reality else {
        return Vec::new();
    };
    let prefix = case.prefix();
    servers
        .iter()
        .filter(|(name, _)| finding.concerns(&prefix, name))
        .map(|(_, seen)| seen)
        .collect()
}

fn is_false_alarm(case: &Case, finding: &Finding, reality: &Reality) -> bool {
    let seen = judged(case, finding, reality);
    let fine = |seen: &&Seen| seen.status.starts_with("UP") && service(seen) == Service::Served;
    // A check that the author didn't intend may be UP by chance.
    let is_another_check = finding.id == "no-option" || finding.effect == "unchecked";
    finding.is_problem && !is_another_check && !seen.is_empty() && seen.iter().all(fine)
}

/// Words that introduce a condition. The rest of the sentence then states only a possibility.
const CONDITIONS: &[&str] = &[
    " where ",
    " if ",
    " may ",
    " while ",
    " once ",
    "unless",
    " until ",
    " when ",
    "whatever",
    "could",
    "elsewhere",
    "as long as",
    "without ",
];

const STATUSES: &[&str] = &[
    "PROCOK", "PROCERR", "PROCTOUT", "SOCKERR", "L4OK", "L4CON", "L4TOUT", "L6OK", "L6RSP",
    "L6TOUT", "L7OK", "L7STS", "L7RSP", "L7TOUT",
];

/// Returns a difference for each server whose behaviour contradicts an unconditional statement of the
/// finding.
fn untrue(case: &Case, finding: &Finding, reality: &Reality) -> Vec<Difference> {
    let shows = &finding.shows;
    if CONDITIONS
        .iter()
        .any(|word| format!(" {shows}").contains(word))
        || GENERAL.contains(&finding.id.as_str())
    {
        return Vec::new();
    }
    let untrue = |what: String| {
        vec![Difference::Untrue(format!(
            "{}: \"{shows}\", but {what}",
            finding.id
        ))]
    };
    if shows.contains("refuses the configuration")
        || shows.contains("does not start")
        || shows.contains("doesn't start")
    {
        return match reality {
            Reality::Running(_) => untrue("HAProxy runs".to_owned()),
            _ => Vec::new(),
        };
    }
    let statuses: Vec<&str> = STATUSES
        .iter()
        .copied()
        .filter(|status| shows.contains(status))
        .collect();
    let code = shows.split_once("code ").map(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or_default()
    });
    let code =
        code.filter(|code| !code.is_empty() && !shows.contains(" or ") && !shows.contains("from "));
    let mut differences = Vec::new();
    for seen in judged(case, finding, reality) {
        // For a server that tracks another server, HAProxy shows no check status.
        if seen.status.starts_with("MAINT") || seen.check_status.is_empty() {
            continue;
        }
        let is_shown = statuses.is_empty() || statuses.contains(&seen.check_status.as_str());
        let has_code =
            code.is_none_or(|code| seen.check_code.is_empty() || code == seen.check_code);
        let is_down =
            !shows.contains("DOWN") || seen.status.starts_with("DOWN") || shows.contains("UP");
        if !is_shown || !has_code || !is_down {
            differences.extend(untrue(format!(
                "{} {} {}",
                seen.status, seen.check_status, seen.check_code
            )));
        }
    }
    differences
}

fn untrue_runs(case: &Case, said: &Said, reality: &Reality) -> Vec<Difference> {
    let Reality::Running(servers) = reality else {
        return Vec::new();
    };
    let own = said.runs.iter().filter(|run| run.backend == case.prefix());
    let differs = own.filter_map(|run| {
        let seen = servers.get(&run.server)?;
        let code = run.code.map(|code| code.to_string());
        let same = run.status == seen.check_status
            && (code.is_none()
                || seen.check_code.is_empty()
                || run.status == "PROCTOUT"
                || code.as_ref() == Some(&seen.check_code));
        let text = format!(
            "run: {} {}, but {} {} {}",
            run.status,
            code.unwrap_or_default(),
            seen.status,
            seen.check_status,
            seen.check_code
        );
        (!same).then_some(Difference::UntrueRun(text))
    });
    differs.collect()
}
