//! `sni-check diagnose` for the servers of haproxy.cfg: those that HAProxy reports DOWN, or one server
//! that the call names.
//!
//! `configuration and statistics -> servers with their options -> a diagnosis of each -> changes of
//! haproxy.cfg, tried -> text or JSON`

mod call;
mod object;
mod print;
mod settings;
mod state;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::stdio::stderr;

pub use self::call::ServersCall;
pub(crate) use self::call::of_words;
use self::state::{Diagnosis, State, Statistics, Subject, TriedChange};
use super::ask::{Block, Kind, serves, visit};
use super::change::Change;
use super::investigate;
use super::progress::{self, Phase, Progress};
use super::trials::Search;
use crate::causes::facts::Way;
use crate::code::Code;
use crate::doctor::survey::{Survey, Surveyed, survey};
use crate::haproxy::ask::{Answered, Question, Visit, Visited, ask};
use crate::haproxy::program::Haproxy;
use crate::output::write::write_text;
use crate::plan::{Output, Plan};
use crate::refusal::refusal;
use crate::start::{Channel, Expiry, Text, expire_after, never_expire};

/// How many servers diagnose works on at a time.
const AT_ONCE: usize = 4;
/// The largest number of servers in one call. The report names the other servers.
const MOST: usize = 16;

/// Diagnoses the servers and prints the report. Returns the code of the first server that is DOWN.
///
/// # Errors
/// There is no configuration, or it doesn't have the server that the call names.
pub fn run(call: &ServersCall, start: Instant) -> Result<Code> {
    let program = call.haproxy.as_deref().filter(|program| *program != "none");
    let survey = survey(&call.file, &call.env, program)?;
    let one = call.server.first().map(|name| one(&survey, name));
    let one = one.transpose()?;
    let haproxy = match call.haproxy.as_deref() {
        Some("none") => None,
        given => Some(Haproxy::find(given)?),
    };
    let statistics = Statistics::read(&survey);
    bound(&survey, start);
    let (text, code) = progress::shown(|progress| {
        let mut subjects = state::subjects(&survey, &statistics, one);
        diagnose(&mut subjects, call.verbose, haproxy.as_ref(), progress);
        let code = code(&subjects, one.is_some());
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

/// Returns the server that the call names.
fn one<'a>(survey: &'a Survey, name: &str) -> Result<&'a Surveyed> {
    let mut servers = survey.servers.iter();
    if let Some(found) = servers.find(|server| server.name() == name) {
        return Ok(found);
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
    known.truncate(6);
    let write = match known.is_empty() {
        true => "write a URL or HOST[:PORT]".to_owned(),
        false => format!("write BACKEND/SERVER, such as {}", known.join(" or ")),
    };
    Err(refusal(format!("`{name}`"), what, write))
}

/// Diagnoses the wanted servers, several at a time, and tries changes of haproxy.cfg.
fn diagnose(
    subjects: &mut [Subject<'_>],
    verbose: bool,
    haproxy: Option<&Haproxy>,
    progress: &Progress,
) {
    let mut wanted: Vec<&mut Subject<'_>> = subjects
        .iter_mut()
        .filter(|subject| subject.is_wanted)
        .collect();
    let too_many = wanted.split_off(MOST.min(wanted.len()));
    for subject in too_many {
        let text = format!("only the first {MOST} servers are diagnosed in one call");
        subject.diagnosis = Err(text);
    }
    for some in wanted.chunks_mut(AT_ONCE) {
        thread::scope(|scope| {
            for subject in some {
                let one = move || {
                    subject.diagnosis = diagnosis(subject.surveyed, verbose, haproxy, progress);
                    subject.adopt_own_check();
                };
                // If no thread can be created, the report says that the server wasn't diagnosed.
                _ = thread::Builder::new().spawn_scoped(scope, one);
            }
        });
    }
    progress.enter(Phase::Haproxy);
    try_changes(&mut wanted, haproxy);
    if let Some(haproxy) = haproxy {
        for subject in wanted {
            settings::explain(subject, haproxy);
        }
    }
}

fn diagnosis(
    surveyed: &Surveyed,
    verbose: bool,
    haproxy: Option<&Haproxy>,
    progress: &Progress,
) -> Result<Diagnosis, String> {
    let mut options = (**surveyed.call.as_ref()?).clone();
    options.verbose = verbose;
    let plan = Plan::new(&options, None, None, Output::default());
    let plan = plan.map_err(|error| format!("sni-check can't run this check: {error:#}"))?;
    let (search, opinion) = investigate(plan, options, haproxy, progress);
    Ok(Diagnosis {
        search,
        opinion,
        change: None,
        present: None,
    })
}

/// Finds the change of haproxy.cfg for each server, and asks one HAProxy about all of them.
fn try_changes(subjects: &mut [&mut Subject<'_>], haproxy: Option<&Haproxy>) {
    let mut candidates: Vec<(usize, Change)> = Vec::new();
    let mut questions = Vec::new();
    let mut patience = Duration::ZERO;
    for (number, subject) in subjects.iter().enumerate() {
        let Ok(Diagnosis { search, .. }) = &subject.diagnosis else {
            continue;
        };
        let best = search.best();
        for change in changes(subject, search) {
            if let Some(lines) = change.lines(subject.surveyed, &best.options) {
                patience = patience.max(best.plan.timeout);
                questions.push(Question {
                    about: candidates.len(),
                    lines,
                    fallback: String::new(),
                    is_checked: true,
                    visit: visitor(subject.surveyed, search),
                });
            }
            candidates.push((number, change));
        }
    }
    let first = subjects.first();
    let global = first.map_or_else(String::new, |first| first.surveyed.lines.global_text());
    let answers = haproxy.filter(|_| !questions.is_empty());
    let answers =
        answers.and_then(|haproxy| ask(haproxy, &global, questions, patience + MARGIN).ok());
    let answers = answers.unwrap_or_default();
    for (about, (number, change)) in candidates.into_iter().enumerate() {
        let Some(subject) = subjects.get_mut(number) else {
            continue;
        };
        let answered = answers.iter().find(|answered| answered.about == about);
        if let Ok(diagnosis) = &mut subject.diagnosis {
            let tried = tried(subject.surveyed, &diagnosis.search, &change, answered);
            if change.is_empty() {
                // The empty change keeps the lines. If visitors are served with it, nothing has to change.
                if let Some(visitor) = tried.block.visitor.filter(|_| tried.block.fails_visitors())
                {
                    diagnosis.search.serves_no_visitor(visitor.status);
                }
                continue;
            }
            let is_needed = diagnosis.search.changed.is_some()
                || diagnosis.search.asked.failure().is_some()
                || subject.state == State::Down
                || diagnosis.search.has_failed_visitor();
            // Visitors need the name that the check needs, even if HAProxy can't try it.
            let untried = answered.is_none();
            let is_better =
                |before: &TriedChange| !before.block.is_up() && (tried.block.is_up() || untried);
            if is_needed && diagnosis.change.as_ref().is_none_or(is_better) {
                diagnosis.change = Some(tried);
            }
        }
    }
    // Another kind of check may work where the present kind doesn't.
    for subject in subjects {
        if let Ok(diagnosis) = &mut subject.diagnosis {
            let works = diagnosis.opinion.blocks.iter().any(Block::is_up);
            let fails = diagnosis.search.best().failure().is_some();
            let change = &mut diagnosis.change;
            change.take_if(|change| works && fails && !change.block.is_up());
        }
    }
}

/// Returns the changes that may help, smallest first. The empty change stands for the present lines.
fn changes(subject: &Subject<'_>, search: &Search) -> Vec<Change> {
    let (surveyed, asked, best) = (subject.surveyed, &search.asked, search.best());
    let way = best.haproxy.as_ref().and_then(|haproxy| haproxy.way);
    let mut change = match way {
        Some(way) => Change::by_way(surveyed, &asked.options, &best.options, way),
        None => Change::new(surveyed, &asked.options, &best.options),
    };
    if asked.failure().is_none() && way.is_none() && search.changed.is_none() {
        change = match subject.state {
            // HAProxy reports DOWN, but sni-check finds nothing wrong.
            State::Down => Change::with_host(surveyed, &best.options).or(change),
            _ => Some(Change::default()),
        };
    }
    let with_traffic = change
        .as_ref()
        .and_then(|change| change.with_traffic(surveyed, &asked.options, &best.options));
    change.into_iter().chain(with_traffic).collect()
}

/// The time to start the process of an external check. HAProxy's checks run in parallel.
const MARGIN: Duration = Duration::from_millis(700);

/// Returns the request of this server's visitors. If the check asks for no page, visitors request the start
/// page.
fn visitor(surveyed: &Surveyed, search: &Search) -> Option<Visit> {
    let asked = &search.asked;
    if !surveyed.lines.is_http {
        return None;
    }
    // Visitors most likely ask for the name that their connections send.
    let host = surveyed.sni.as_deref().unwrap_or(asked.host());
    visit(host, search.best()).or_else(|| {
        Some(Visit {
            method: "GET".to_owned(),
            uri: "/".to_owned(),
            headers: vec![("Host".to_owned(), host.to_owned())],
        })
    })
}

fn tried(
    surveyed: &Surveyed,
    search: &Search,
    change: &Change,
    answered: Option<&Answered<usize>>,
) -> TriedChange {
    let best = search.best();
    let visitor = answered.and_then(|answered| answered.visitor);
    /// HAProxy answers 502 to 504 if it doesn't reach the server. A server answers 421 if Host
    /// doesn't match the SNI name.
    const NOT_SERVED: [u16; 4] = [421, 502, 503, 504];
    let is_served = |visitor: Visited| match best.plan.handshake_only {
        true => visitor.complete && !NOT_SERVED.contains(&visitor.status),
        false => serves(best, visitor),
    };
    TriedChange {
        words: change.words(),
        hunks: change.hunks(surveyed),
        block: Block {
            kind: Kind::Builtin,
            way: Way::Https,
            text: String::new(),
            tried: answered.map(|answered| answered.answer.clone()),
            visitor,
            serves: visitor.is_none_or(is_served),
        },
    }
}

/// Returns the code of the server that the call names, or of the first server that is DOWN.
fn code(subjects: &[Subject<'_>], is_one: bool) -> Code {
    let mut subjects = subjects.iter();
    let found = subjects.find(|subject| match is_one {
        true => subject.is_wanted,
        false => subject.state == State::Down,
    });
    found.map_or(Code::Healthy, Subject::code)
}

/// Limits the time of the whole diagnosis, whatever the servers do.
fn bound(survey: &Survey, start: Instant) {
    let options = survey.servers.iter();
    let options = options.filter_map(|server| server.call.as_ref().ok());
    let times = options.filter_map(|options| options.timeout.as_ref().map(|time| time.0));
    let longest = times.max().unwrap_or_default().max(Duration::from_secs(2));
    let rounds = survey.servers.len().min(MOST).div_ceil(AT_ONCE).max(1);
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    let longest = (longest * 8 + Duration::from_secs(35)) * rounds;
    let to = Channel::Descriptor(stderr());
    let text = "the servers take too long to diagnose (a limit of sni-check). Total ";
    let texts = vec![Text::new(to, text, "ms\n")];
    let code = Code::Internal;
    expire_after(longest, Expiry { code, start, texts });
}
