//! `sni-check diagnose` for servers of haproxy.cfg: all servers that are DOWN or in NOLB, or one server that
//! the operator names.
//!
//! `configuration and statistics -> servers with their options -> a diagnosis of each server -> tried changes
//! to haproxy.cfg -> text or JSON`

mod call;
mod changes;
mod meaning;
mod object;
mod others;
mod own_checks;
mod print;
mod settings;
mod state;
mod subjects;
mod verdict;
mod visitor;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

pub use self::call::ServersCall;
pub(crate) use self::call::of_words;
use self::state::{Diagnosis, State, Statistics, Subject};
use super::gather::gather;
use super::session::{Phase, Session, show_phase};
use super::{bound, investigate, longest};
use crate::causes::facts::{Handshakes, Origin};
use crate::causes::voice::Voice;
use crate::code::Code;
use crate::doctor::survey::{CheckKind, Survey, Surveyed, survey};
use crate::output::write::write_text;
use crate::plan::{Output, Plan};
use crate::refusal::refusal;
use crate::start::never_expire;

/// The number of servers that diagnose examines at the same time.
const AT_ONCE: usize = 4;
/// The largest number of servers that one run diagnoses. The report names the other servers.
const MOST: usize = 16;

/// Diagnoses the servers and prints the report. Returns the code of the named server, or of the first server
/// that is DOWN or in NOLB. Returns `Code::Refused` instead of `Code::Healthy` if HAProxy doesn't start with
/// the configuration.
///
/// # Errors
/// Fails if there is no configuration, if the configuration doesn't have the named server, or if the program
/// of `--haproxy FILE` can't be run.
pub fn run(call: &ServersCall, start: Instant) -> Result<Code> {
    let program = call.haproxy.as_deref().filter(|program| *program != "none");
    let found = survey(&call.file, &call.env, program);
    let mut survey = found.map_err(|error| with_url(error, call))?;
    bound(longest_of(&survey), TOO_LONG, start);
    subjects::choose_steps(&mut survey);
    let is_file_given = !call.file.is_empty();
    let name = call.server.first();
    let one = name.map(|name| one(&survey, name, is_file_given));
    let one = one.transpose()?;
    let session = Session::new(call.haproxy.as_deref())?;
    let statistics = Statistics::read(&survey);
    let (text, code) = show_phase(&session, || {
        let mut subjects = subjects::subjects(&survey, &statistics, one, session.haproxy.as_ref());
        subjects::ask_agents(&mut subjects);
        diagnose(&mut subjects, &survey, call.verbose, &session);
        let code = match code(&subjects, one.is_some()) {
            Code::Healthy if survey.refusal.is_some() => Code::Refused,
            code => code,
        };
        let text = match call.json {
            true => object::of(&survey, &statistics, &subjects, code),
            false => print::text(call, &survey, &statistics, &subjects),
        };
        (text, code)
    });
    never_expire();
    write_text(io::stdout(), &text);
    Ok(code)
}

/// If the target may be a host and a path, adds a hint to an error about the configuration. The hint says how
/// to diagnose that host.
fn with_url(error: anyhow::Error, call: &ServersCall) -> anyhow::Error {
    let name = call.server.first().filter(|_| call.file.is_empty());
    match name.and_then(|name| Some((name, name.split_once('/')?.0))) {
        Some((name, host)) => anyhow!("{error:#}; for the host {host}, write https://{name}"),
        None => error,
    }
}

/// Returns the server with this name, or the server that it tracks.
fn one<'a>(survey: &'a Survey, name: &str, is_file_given: bool) -> Result<&'a Surveyed> {
    let mut servers = survey.servers.iter();
    if let Some(found) = servers.find(|server| server.name() == name) {
        let mut all = survey.servers.iter();
        let tracked = all.find(|server| Some(server.name()) == found.tracks);
        return Ok(tracked.unwrap_or(found));
    }
    let (backend, _) = name.split_once('/').unwrap_or((name, ""));
    let in_backend = survey
        .servers
        .iter()
        .filter(|server| server.backend == backend);
    let mut known: Vec<String> = in_backend.map(Surveyed::name).collect();
    let what = match known.is_empty() {
        true => {
            known = survey.servers.iter().map(Surveyed::name).collect();
            format!(
                "is neither a URL nor a server of {}",
                survey.files.join(", ")
            )
        }
        false => format!("is not a server of {}", survey.files.join(", ")),
    };
    // The backend may be missing because of a line that HAProxy can't read.
    if let Some(broken) = &survey.refusal {
        let what = format!("can't be diagnosed. {broken} Then run diagnose again");
        return Err(anyhow!("`{name}` {what}"));
    }
    known.truncate(6);
    let host = format!("for the host {backend}, write https://{name}");
    let write = match (known.is_empty(), is_file_given) {
        (true, false) => format!("name HAProxy's configuration with -f FILE; {host}"),
        (true, true) => "write a URL or HOST[:PORT]".to_owned(),
        (false, false) => format!(
            "write BACKEND/SERVER, such as {}; {host}",
            known.join(" or ")
        ),
        (false, true) => format!("write BACKEND/SERVER, such as {}", known.join(" or ")),
    };
    Err(refusal(format!("`{name}`"), what, write))
}

/// Diagnoses the wanted servers, several at a time, and tries changes to haproxy.cfg.
fn diagnose<'a>(
    subjects: &mut [Subject<'a>],
    survey: &'a Survey,
    verbose: bool,
    session: &Session,
) {
    let checked = survey.servers.iter().filter(|server| server.is_checked);
    let checked: Vec<&'a Surveyed> = checked.collect();
    let mut wanted: Vec<&mut Subject<'a>> = subjects
        .iter_mut()
        .filter(|subject| subject.is_wanted)
        .collect();
    let too_many = wanted.split_off(MOST.min(wanted.len()));
    for subject in too_many {
        let text = format!(
            "one run diagnoses only the first {MOST} servers. For this server, run sni-check diagnose BACKEND/SERVER"
        );
        subject.diagnosis = Err(text);
    }
    for some in wanted.chunks_mut(AT_ONCE) {
        thread::scope(|scope| {
            for subject in some {
                let one = move || {
                    subject.diagnosis = diagnosis(subject, verbose, session);
                    subject.adopt_own_check();
                    subject.at_visitors = at_visitors(subject, session);
                };
                // If the system can't create a thread, the report says that the server wasn't diagnosed.
                _ = thread::Builder::new().spawn_scoped(scope, one);
            }
        });
    }
    session.enter(Phase::Haproxy);
    changes::try_changes(&mut wanted, &checked, session.haproxy.as_ref());
}

fn diagnosis(
    subject: &mut Subject<'_>,
    verbose: bool,
    session: &Session,
) -> Result<Diagnosis, String> {
    if let [obstacle, ..] = subject.obstacles() {
        return Err(obstacle.what.clone());
    }
    let surveyed = subject.surveyed;
    let mut options = match subject.meant() {
        Some(meant) => meant.options.clone(),
        None => (**surveyed.call.as_ref()?).clone(),
    };
    options.verbose = verbose;
    let plan = Plan::new(&options, None, None, Output::default());
    let origin = origin(surveyed);
    let plan = plan.map_err(|error| {
        let why = origin.voice.words(&format!("{error:#}"));
        format!("sni-check can't run this check: {why}")
    })?;
    let facts = gather(plan, options, &origin, session);
    // If the server speaks no TLS, a check without TLS is right. sni-check can't run such a check.
    let tls = facts.tls.as_ref();
    let speaks_tls = tls.is_none_or(Handshakes::is_answered_in_tls);
    let is_right = subject.meant().is_some_and(|meant| meant.is_plain) && !speaks_tls;
    if let Some(call) = surveyed.call.as_ref().err().filter(|_| is_right) {
        subject.speaks_plain_http = facts.speaks_plain_http();
        return Err(call.clone());
    }
    let (search, opinion) = investigate(facts, session);
    Ok(Diagnosis { search, opinion })
}

/// Returns what haproxy.cfg says about the server's check, in addition to its options.
fn origin(surveyed: &Surveyed) -> Origin {
    Origin {
        known_values: Arc::clone(&surveyed.known_values),
        voice: match surveyed.kind {
            CheckKind::Own => Voice::Haproxy,
            _ => Voice::SniCheck,
        },
    }
}

/// If the check connects to a different address and fails before its request, diagnoses the address and port
/// of visitors' connections.
fn at_visitors(subject: &Subject<'_>, session: &Session) -> Option<Diagnosis> {
    let surveyed = subject.surveyed;
    let options = match &surveyed.at_visitors {
        Some(there) => (**there.call.as_ref().ok()?).clone(),
        None => {
            surveyed.elsewhere.as_ref()?;
            let mut options = (**surveyed.call.as_ref().ok()?).clone();
            options.connect = Some(surveyed.address.clone());
            options
        }
    };
    if !subject.is_unanswered() {
        return None;
    }
    let plan = Plan::new(&options, None, None, Output::default()).ok()?;
    let facts = gather(plan, options, &origin(surveyed), session);
    let (search, opinion) = investigate(facts, session);
    Some(Diagnosis { search, opinion })
}

/// Returns the code of the named server, or of the first server that is DOWN or in NOLB. Without such a
/// server, returns `Code::Healthy`.
fn code(subjects: &[Subject<'_>], is_one: bool) -> Code {
    let mut subjects = subjects.iter();
    let found = subjects.find(|subject| match is_one {
        true => subject.is_wanted,
        false => subject.is_wanted && matches!(subject.state, State::Down | State::Draining),
    });
    found.map_or(Code::Healthy, Subject::code)
}

/// The message if the diagnosis of all servers takes too long. The elapsed time follows this text.
const TOO_LONG: &str = "the servers take too long to diagnose (a limit of sni-check); diagnose one server: \
                        sni-check diagnose BACKEND/SERVER; total ";

/// Returns the time limit of the whole run. diagnose examines the servers in rounds, and each round may take
/// as long as the diagnosis of one server.
fn longest_of(survey: &Survey) -> Duration {
    let options = survey.servers.iter();
    let options = options.filter_map(|server| server.call.as_ref().ok());
    let times = options.filter_map(|options| options.timeout.as_ref().map(|time| time.0));
    let timeout = times.max().unwrap_or_default().max(Duration::from_secs(2));
    let rounds = survey.servers.len().min(MOST).div_ceil(AT_ONCE).max(1);
    longest(timeout) * u32::try_from(rounds).unwrap_or(u32::MAX)
}
