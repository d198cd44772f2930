//! `sni-check diagnose` for the servers of haproxy.cfg: those that HAProxy reports DOWN, or one server
//! that the call names.
//!
//! `configuration and statistics -> servers with their options -> a diagnosis of each -> changes of
//! haproxy.cfg, tried -> text or JSON`

mod call;
mod object;
mod others;
mod print;
mod settings;
mod state;
mod visitor;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rustix::stdio::stderr;

pub use self::call::ServersCall;
pub(crate) use self::call::of_words;
use self::state::{Diagnosis, State, Statistics, Subject, TriedChange};
use super::ask::Block;
use super::change::Change;
use super::investigate;
use super::progress::{self, Phase, Progress};
use super::stage::Stage;
use super::trials::Search;
use crate::causes::facts::{Handshakes, Refused, Way};
use crate::code::{Code, Layer};
use crate::doctor::survey::{CheckKind, Survey, Surveyed, UNVERIFIED, survey};
use crate::haproxy::ask::{Answered, Question, ask};
use crate::haproxy::program::Haproxy;
use crate::options::Options;
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
    let mut survey = survey(&call.file, &call.env, program)?;
    bound(&survey, start);
    state::choose_steps(&mut survey);
    let one = call.server.first().map(|name| one(&survey, name));
    let one = one.transpose()?;
    let haproxy = match call.haproxy.as_deref() {
        Some("none") => None,
        given => Some(Haproxy::find(given)?),
    };
    let statistics = Statistics::read(&survey);
    let (text, code) = progress::shown(|progress| {
        let mut subjects = state::subjects(&survey, &statistics, one);
        diagnose(
            &mut subjects,
            &survey,
            (call.verbose, haproxy.as_ref()),
            progress,
        );
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

/// Returns the server that the call names, or the server whose check decides its state.
fn one<'a>(survey: &'a Survey, name: &str) -> Result<&'a Surveyed> {
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
    // A line that HAProxy can't read may hide the whole backend.
    if let Some(broken) = &survey.refusal {
        let what = format!("can't be diagnosed. {broken} Then call diagnose again");
        return Err(anyhow!("`{name}` {what}"));
    }
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
    survey: &Survey,
    (verbose, haproxy): (bool, Option<&Haproxy>),
    progress: &Progress,
) {
    let checked = survey.servers.iter().filter(|server| server.is_checked);
    let checked: Vec<&Surveyed> = checked.collect();
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
                    subject.diagnosis = diagnosis(subject, verbose, haproxy, progress);
                    subject.adopt_own_check();
                };
                // If no thread can be created, the report says that the server wasn't diagnosed.
                _ = thread::Builder::new().spawn_scoped(scope, one);
            }
        });
    }
    progress.enter(Phase::Haproxy);
    try_changes(&mut wanted, &checked, haproxy);
}

fn diagnosis(
    subject: &Subject<'_>,
    verbose: bool,
    haproxy: Option<&Haproxy>,
    progress: &Progress,
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
    let plan = plan.map_err(|error| format!("sni-check can't run this check: {error:#}"))?;
    let (search, opinion) = investigate(plan, options, &surveyed.known_values, haproxy, progress);
    // Without TLS at the server, the check without TLS is right, and sni-check can't make it.
    let speaks_tls = search
        .asked
        .tls
        .as_ref()
        .is_none_or(Handshakes::any_succeeded);
    if let Some(call) = surveyed.call.as_ref().err().filter(|_| !speaks_tls) {
        return Err(call.clone());
    }
    Ok(Diagnosis { search, opinion })
}

/// A change to try for a server.
#[derive(Clone)]
struct Candidate {
    /// The number of the server.
    subject: usize,
    change: Change,
    /// The options of the check with the change, with the host's paths.
    options: Options,
    /// Why the change helps, if the report's causes don't say it.
    reason: Option<String>,
    /// True if the configuration suggests the change. It counts only if HAProxy proves it.
    is_suggested: bool,
}

impl Candidate {
    /// Returns the change that keeps the present lines.
    fn present(number: usize, subject: &Subject<'_>) -> Option<Candidate> {
        let surveyed = subject.surveyed;
        let written = subject.written();
        // HAProxy's own check may have settings that sni-check can't have.
        let is_own = surveyed.kind == CheckKind::Own && surveyed.unset.is_empty();
        (written.is_some() || is_own).then(|| Candidate {
            subject: number,
            change: Change::default(),
            options: written.cloned().unwrap_or_default(),
            reason: None,
            is_suggested: false,
        })
    }

    /// Returns this change with another change on top.
    fn with(&self, change: Change, options: &Options, reason: Option<&str>) -> Candidate {
        let reasons = self.reason.as_deref().into_iter().chain(reason);
        let reasons: Vec<&str> = reasons.collect();
        Candidate {
            subject: self.subject,
            change: self.change.clone().with(change),
            options: options.clone(),
            reason: (!reasons.is_empty()).then(|| reasons.join(" ")),
            is_suggested: self.is_suggested,
        }
    }
}

/// How many changes of one server are tried together. Each needs a HAProxy of its own.
const ROUNDS: usize = 3;

/// Finds the change of haproxy.cfg for each server, and asks one HAProxy about all of them. `checked` are all
/// servers that HAProxy checks. If no change is enough, tries all changes again on top of the change with
/// which HAProxy's check gets furthest.
fn try_changes(
    subjects: &mut [&mut Subject<'_>],
    checked: &[&Surveyed],
    haproxy: Option<&Haproxy>,
) {
    let times = subjects.iter().map(|subject| {
        let search = subject.search();
        search.map_or(Duration::from_secs(2), |search| search.best().plan.timeout)
    });
    let patience = times.max().unwrap_or_default() + MARGIN;
    let bases = subjects.iter().enumerate();
    let bases = bases.map(|(number, subject)| Candidate::present(number, subject));
    let mut bases: Vec<Option<Candidate>> = bases.collect();
    let mut chosen: Vec<Option<Candidate>> = subjects.iter().map(|_| None).collect();
    let mut open: Vec<usize> = (0..subjects.len()).collect();
    for round in 0..ROUNDS {
        let mut candidates: Vec<Candidate> = Vec::new();
        for base in open.iter().filter_map(|number| bases[*number].as_ref()) {
            candidates.extend(self::candidates(subjects[base.subject], base, round > 0));
        }
        let mut tried = ask_about(subjects, &candidates, haproxy, patience).into_iter();
        for (number, subject) in subjects.iter_mut().enumerate() {
            let of_subject = candidates.iter().filter(|known| known.subject == number);
            let tried = of_subject.clone().zip(tried.by_ref());
            let tried: Vec<_> = tried.take(of_subject.count()).collect();
            let Some((_, present)) = tried.first() else {
                continue;
            };
            open.retain(|open| *open != number);
            if round == 0 && subject.is_fine_with(&present.block) {
                continue;
            }
            let next = furthest(&tried).cloned();
            chosen[number] = choose(subject, tried, round > 0).cloned();
            if let (Some(next), None) = (next, &chosen[number]) {
                bases[number] = Some(next);
                open.push(number);
            }
        }
    }
    let Some(haproxy) = haproxy else { return };
    let chosen = chosen.into_iter();
    let chosen = chosen.map(|chosen| chosen.map(|chosen| (chosen.change, chosen.options)));
    others::spare(subjects, chosen.collect(), checked, haproxy, patience);
    for (subject, base) in subjects.iter_mut().zip(bases) {
        let works = subject
            .change
            .as_ref()
            .is_some_and(|change| change.block.is_up());
        if subject.works_in_haproxy == Some(false) && !works {
            let base = base.filter(|base| !base.change.is_empty());
            let base = base.map(|base| (base.change, base.options, base.reason));
            let found = settings::find(subject, base, haproxy, patience);
            if found.is_some() {
                subject.failed = None;
            }
            subject.change = found.or(subject.change.take());
        }
    }
}

/// Asks one HAProxy about the changes of all servers.
fn ask_about(
    subjects: &[&mut Subject<'_>],
    candidates: &[Candidate],
    haproxy: Option<&Haproxy>,
    patience: Duration,
) -> Vec<TriedChange> {
    let mut questions = Vec::new();
    for (about, candidate) in candidates.iter().enumerate() {
        let subject = &subjects[candidate.subject];
        let lines = |with_rules| {
            let (change, options) = (&candidate.change, &candidate.options);
            change.lines(subject.surveyed, options, with_rules)
        };
        if let (Some(lines), Some(fallback)) = (lines(true), lines(false)) {
            questions.push(Question {
                about,
                lines,
                fallback,
                is_checked: true,
                visit: subject.visit(&candidate.change),
            });
        }
    }
    let first = subjects.first();
    let global = first.map_or_else(String::new, |first| first.surveyed.lines.global_text());
    let answers = haproxy.filter(|_| !questions.is_empty());
    let answers = answers.and_then(|haproxy| ask(haproxy, &global, questions, patience).ok());
    let answers = answers.unwrap_or_default();
    let version = haproxy.and_then(|haproxy| haproxy.version_text.as_deref());
    let tried = candidates.iter().enumerate().map(|(about, candidate)| {
        let answered = answers.iter().find(|answered| answered.about == about);
        let answered = answered.map(|answered| (answered, version));
        tried(subjects[candidate.subject], candidate, answered)
    });
    tried.collect()
}

/// Returns the change with which HAProxy's check gets furthest. It must get further than with the base, which
/// comes first. A change of the options has helped a check by sni-check, so it only may not get less far.
fn furthest<'c>(tried: &[(&'c Candidate, TriedChange)]) -> Option<&'c Candidate> {
    let stage = |tried: &TriedChange| tried.block.tried.as_ref().map(Stage::of_answer);
    let (base, present) = tried.first()?;
    let before = stage(present).filter(|before| *before < Stage::Healthy)?;
    let further = tried.iter().skip(1).filter(|(candidate, change)| {
        let is_proved = !candidate.is_suggested && base.change.is_empty();
        let stage = stage(change);
        stage > Some(before) || (is_proved && stage == Some(before))
    });
    // Among the changes that get equally far, the first wins.
    let furthest = further.rev().max_by_key(|(_, change)| stage(change));
    furthest.map(|(candidate, _)| *candidate)
}

/// Chooses the first change with which the check is UP and visitors are served. The first of the tried changes
/// is the base of the others. In the first round, that is the empty change, which keeps the present lines.
fn choose<'c>(
    subject: &mut Subject<'_>,
    tried: Vec<(&'c Candidate, TriedChange)>,
    is_proof_needed: bool,
) -> Option<&'c Candidate> {
    let mut tried = tried.into_iter();
    let (_, present) = tried.next()?;
    let changes = tried.filter(|(_, tried)| !tried.hunks.is_empty());
    let is_down = present.block.tried.is_some() && !present.block.is_up();
    let (mut chosen, mut failed) = (None::<(&Candidate, TriedChange)>, None::<TriedChange>);
    for (candidate, tried) in changes {
        let is_suggested = candidate.is_suggested || is_proof_needed;
        let untried = tried.block.tried.is_none();
        let is_up = tried.block.is_up() && (is_down || !is_suggested);
        let is_better = chosen
            .as_ref()
            .is_none_or(|(_, chosen)| !chosen.block.is_up() && is_up);
        // Visitors need the name that the check needs, even if HAProxy can't try it.
        if is_better && (is_up || (untried && !is_suggested)) {
            chosen = Some((candidate, tried));
        } else if !untried && !is_suggested {
            let is_further = |before: &TriedChange| {
                !before.block.fails_visitors() && tried.block.fails_visitors()
            };
            if failed.as_ref().is_none_or(is_further) {
                failed = Some(tried);
            }
        }
    }
    // Another kind of check may work where the present kind doesn't.
    if let Ok(diagnosis) = &subject.diagnosis {
        let works = diagnosis.opinion.blocks.iter().any(Block::is_up);
        let fails = diagnosis.search.best().failure().is_some();
        chosen.take_if(|(_, change)| works && fails && !change.block.is_up());
    }
    if chosen.is_some() || !is_proof_needed {
        subject.failed = failed.filter(|_| chosen.is_none());
    }
    let (candidate, change) = chosen?;
    subject.change = Some(change);
    Some(candidate)
}

/// Returns the base, and on top of it the changes of the options that helped, and the changes that the
/// configuration suggests. Smaller changes come first. Returns no suggestion if a change of the options helps,
/// unless that change wasn't enough (`is_another`).
fn candidates(subject: &Subject<'_>, base: &Candidate, is_another: bool) -> Vec<Candidate> {
    let surveyed = subject.surveyed;
    let search = subject.search();
    let none = Options::default();
    let asked = subject.written().unwrap_or(&none);
    let best = search.map_or(&none, |search| &search.best().options);
    let mut found = vec![base.clone()];
    if let Some(rule) = subject.other_command() {
        // Inside the chroot, this program has another path, or it doesn't exist there.
        let change = (!surveyed.is_jailed).then(|| Change::of_command(rule));
        found.extend(change.map(|change| base.with(change, asked, None)));
        return found;
    }
    let mut last = Vec::new();
    if let Some(search) = search {
        if let Some(change) = Change::of_verified_name(surveyed, asked, best) {
            found.push(base.with(change, best, Some(UNVERIFIED)));
        }
        let changes = changes(subject, search).into_iter();
        let changes = changes.filter(|change| !change.is_empty());
        let changes = changes.map(|change| base.with(change, best, None));
        let way = search.best().haproxy.as_ref();
        let way = way.and_then(|haproxy| haproxy.way);
        match way {
            // A change that gives up TLS is the last resort.
            Some(Way::PlainHttp | Way::OldTls) => last.extend(changes),
            _ => found.extend(changes),
        }
    }
    let layer = match search {
        Some(search) if search.best().failure().is_some() => Some(search.best().code().layer()),
        // A change of the options helps.
        Some(search) if search.changed.is_some() && !is_another => {
            found.append(&mut last);
            return found;
        }
        Some(_) => None,
        None => subject.shown.map(|shown| state::code_of(shown).layer()),
    };
    let is_unanswered = matches!(layer, Some(Layer::Connection | Layer::Tls));
    if let Some((change, reason)) = Change::without_address(surveyed).filter(|_| is_unanswered) {
        found.push(Candidate {
            is_suggested: true,
            ..base.with(change, best, Some(&reason))
        });
    }
    let refused = search.map(|search| search.best().own_check_refuses());
    let is_limit = refused.is_none_or(|refused| refused == Some(Refused::Certificate));
    for suggestion in &surveyed.suggestions {
        if suggestion.is_known && !is_limit {
            continue;
        }
        if suggestion.layer.is_some() && suggestion.layer != layer {
            continue;
        }
        let options = match is_another {
            true => &base.options,
            false => best,
        };
        let change = match asked.changes(options).is_empty() {
            true => Some(Change::default()),
            false => Change::new(surveyed, asked, best),
        };
        let change = change.map(|change| change.with_edits(&suggestion.words, &suggestion.connect));
        let with_traffic = change
            .as_ref()
            .map(|change| change.with_traffic(surveyed, asked, best))
            .unwrap_or_default();
        let changes = change.into_iter().chain(with_traffic);
        found.extend(changes.map(|change| Candidate {
            is_suggested: true,
            ..base.with(change, options, Some(&suggestion.what))
        }));
    }
    found.append(&mut last);
    found
}

/// Returns the changes that set the options which helped, smallest first. The empty change stands for the
/// present lines.
fn changes(subject: &Subject<'_>, search: &Search) -> Vec<Change> {
    let (surveyed, asked, best) = (subject.surveyed, &search.asked, search.best());
    let written = subject.written().unwrap_or(&asked.options);
    let way = best.haproxy.as_ref().and_then(|haproxy| haproxy.way);
    let mut change = match way {
        Some(way) => Change::by_way(surveyed, written, &best.options, way),
        None => Change::new(surveyed, written, &best.options),
    };
    let is_meant = subject.meant().is_some();
    if asked.failure().is_none() && way.is_none() && search.changed.is_none() && !is_meant {
        change = match subject.state {
            // HAProxy reports DOWN, but sni-check finds nothing wrong.
            State::Down => Change::default()
                .with_host(surveyed, &best.options)
                .or(change)
                .or_else(|| Some(Change::default())),
            _ => Some(Change::default()),
        };
    }
    let with_traffic = change
        .as_ref()
        .map(|change| change.with_traffic(surveyed, written, &best.options))
        .unwrap_or_default();
    let mut changes: Vec<Change> = change.into_iter().chain(with_traffic).collect();
    if asked.failure().is_none() && surveyed.kind != CheckKind::Own {
        // Visitors' connections may lack words that the check has as options.
        let options = Options {
            timeout: None,
            ..best.options.clone()
        };
        let of_check = Change::default().with_traffic(surveyed, &Options::default(), &options);
        changes.extend(of_check);
    }
    if (search.changed.is_some() || is_meant) && way.is_none() {
        // sni-check always sends a Host, so it doesn't notice that the server needs one.
        let with_host = changes
            .iter()
            .filter_map(|change| change.with_host(surveyed, &best.options));
        let with_host: Vec<Change> = with_host.collect();
        changes.extend(with_host);
    }
    let changes = changes.into_iter();
    changes.map(|change| change.with_state(surveyed)).collect()
}

/// The time to start the process of an external check. HAProxy's checks run in parallel.
const MARGIN: Duration = Duration::from_millis(700);

/// Returns a change with HAProxy's answer. The answer comes with HAProxy's version.
fn tried(
    subject: &Subject<'_>,
    candidate: &Candidate,
    answered: Option<(&Answered<usize>, Option<&str>)>,
) -> TriedChange {
    let block = subject.block(answered.map(|(answered, _)| answered));
    let version = answered.and_then(|(_, version)| version);
    TriedChange {
        words: candidate.change.words(),
        hunks: candidate.change.hunks(subject.surveyed),
        reason: candidate.reason.clone(),
        version: version.filter(|_| block.is_tried()).map(str::to_owned),
        block,
    }
}

/// Returns the code of the server that the call names, or of the first server that is DOWN.
fn code(subjects: &[Subject<'_>], is_one: bool) -> Code {
    let mut subjects = subjects.iter();
    let found = subjects.find(|subject| match is_one {
        true => subject.is_wanted,
        false => subject.is_wanted && matches!(subject.state, State::Down | State::Draining),
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
