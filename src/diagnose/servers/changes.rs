//! Finds the change to haproxy.cfg for each server. The candidates come from the options that helped and from
//! the configuration itself. HAProxy tries all candidates.

use std::time::Duration;

use super::others::Chosen;
use super::state::{State, Subject, TriedChange};
use super::{others, settings};
use crate::causes::facts::{Refused, Way};
use crate::causes::{self, Finding, Weight};
use crate::diagnose::ask::{Block, MARGIN};
use crate::diagnose::change::Change;
use crate::diagnose::change::carried::lacks_options;
use crate::diagnose::stage::Stage;
use crate::diagnose::trials::Search;
use crate::doctor::survey::{CheckKind, Surveyed, UNVERIFIED};
use crate::haproxy::ask::{Answered, Question, Visited, ask};
use crate::haproxy::program::Haproxy;
use crate::options::Options;

/// A change to try for a server.
#[derive(Clone)]
struct Candidate {
    /// The index of the server in the list of subjects.
    subject: usize,
    change: Change,
    /// The options of the check after the change. File names are the host's paths, not paths in the chroot.
    options: Options,
    /// Why the change helps, if the causes in the report don't explain it.
    reason: Option<String>,
    /// True if the configuration suggests the change. Such a change counts only if HAProxy proves it.
    is_suggested: bool,
    /// The error that visitors get with the change, if HAProxy's check is UP.
    failed_visitor: Option<Visited>,
}

impl Candidate {
    /// Returns the empty change, which keeps the present lines. Returns `None` if HAProxy can't try these
    /// lines.
    fn present(number: usize, subject: &Subject<'_>) -> Option<Candidate> {
        let surveyed = subject.surveyed;
        let written = subject.written();
        // HAProxy can try a check that it makes itself, even if sni-check has no options for that check.
        let is_made_by_haproxy = surveyed.kind == CheckKind::Own || lacks_options(surveyed);
        let is_known = is_made_by_haproxy && surveyed.unset.is_empty();
        (written.is_some() || is_known).then(|| Candidate {
            subject: number,
            change: Change::default(),
            options: written.cloned().unwrap_or_default(),
            reason: None,
            is_suggested: false,
            failed_visitor: None,
        })
    }

    /// Returns the combination of this change and another change.
    fn with(&self, change: Change, options: &Options, reason: Option<&str>) -> Candidate {
        let reasons = self.reason.as_deref().into_iter().chain(reason);
        let reasons: Vec<&str> = reasons.collect();
        Candidate {
            subject: self.subject,
            change: self.change.clone().with(change),
            options: options.clone(),
            reason: (!reasons.is_empty()).then(|| reasons.join(" ")),
            is_suggested: self.is_suggested,
            failed_visitor: None,
        }
    }
}

/// The largest number of rounds of trials. Each round starts one HAProxy, and adds at most one change per
/// server.
const ROUNDS: usize = 3;

/// Finds the change to haproxy.cfg for each server. In each round, asks one HAProxy about the candidates of
/// all servers. If no candidate is enough for a server, the next round combines each candidate with the
/// change with which HAProxy's check gets furthest. If no change helps, also tries the lines without one
/// setting at a time. Afterwards, withdraws changes that break other servers. `checked` contains all servers
/// that HAProxy checks.
pub(super) fn try_changes<'a>(
    subjects: &mut [&mut Subject<'a>],
    checked: &[&'a Surveyed],
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
    let mut partial: Vec<Option<TriedChange>> = subjects.iter().map(|_| None).collect();
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
                subject.change = with_visitors(subject.surveyed, present);
                continue;
            }
            let next = furthest(subject, &tried);
            chosen[number] = choose(subject, tried, round > 0).cloned();
            if let (Some((next, change)), None) = (next, &chosen[number]) {
                partial[number] = next.is_suggested.then_some(change);
                bases[number] = Some(next);
                open.push(number);
            }
        }
    }
    let Some(haproxy) = haproxy else { return };
    let chosen = chosen.into_iter().zip(bases).zip(subjects.iter_mut());
    let chosen = chosen.map(|((chosen, base), subject)| {
        let chosen = chosen.map(|chosen| Chosen {
            change: chosen.change,
            options: chosen.options,
            setting: None,
        });
        try_settings(subject, base, haproxy, patience).or(chosen)
    });
    let chosen = chosen.collect();
    others::spare(subjects, chosen, checked, haproxy, patience);
    for (subject, partial) in subjects.iter_mut().zip(partial) {
        subject.adopt_visitors();
        let partial = partial.filter(|partial| !partial.block.fails_visitors());
        if subject.change.is_none() && subject.conflict.is_none() && partial.is_some() {
            subject.failed = partial;
        }
    }
}

/// If no change works, tries the lines without each setting that may be the cause. Returns the change that
/// works.
fn try_settings(
    subject: &mut Subject<'_>,
    base: Option<Candidate>,
    haproxy: &Haproxy,
    patience: Duration,
) -> Option<Chosen> {
    let works = |change: &TriedChange| change.block.is_up();
    if subject.works_in_haproxy() != Some(false) || subject.change.as_ref().is_some_and(works) {
        return None;
    }
    let options = match &base {
        Some(base) => base.options.clone(),
        None => subject.written().cloned().unwrap_or_default(),
    };
    let base = base.filter(|base| !base.change.is_empty());
    let base = base.map(|base| (base.change, base.options, base.reason));
    let (tried, setting) = settings::find(subject, base, haproxy, patience)?;
    subject.failed = None;
    let change = tried.change.clone();
    subject.change = Some(tried);
    Some(Chosen {
        change,
        options,
        setting: Some(setting),
    })
}

/// Returns the change after which HAProxy sends visitors to a healthy server again: the removal of `disabled`
/// or `weight 0`. Returns `None` if the line has neither `disabled` nor `weight 0`. HAProxy needn't try this
/// change, because it has tried the present lines without these words.
fn with_visitors(surveyed: &Surveyed, present: &TriedChange) -> Option<TriedChange> {
    let change = Change::without(surveyed.idle?);
    Some(TriedChange {
        words: change.words(),
        hunks: change.hunks(surveyed),
        reason: None,
        version: present.version.clone(),
        block: present.block.clone(),
        change,
    })
}

/// Asks one HAProxy about the candidates of all servers.
fn ask_about(
    subjects: &[&mut Subject<'_>],
    candidates: &[Candidate],
    haproxy: Option<&Haproxy>,
    patience: Duration,
) -> Vec<TriedChange> {
    let mut questions = Vec::new();
    for (about, candidate) in candidates.iter().enumerate() {
        let subject = &subjects[candidate.subject];
        let (change, options) = (&candidate.change, &candidate.options);
        if let Some(lines) = change.lines(subject.surveyed, options) {
            questions.push(Question {
                about,
                lines,
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

/// Returns the change with which HAProxy's check gets furthest. `tried` begins with the base. Another change
/// counts only if the check gets further with it than with the base. There is one exception: if the base is
/// the empty change, a change to the options counts even if HAProxy's check gets only as far as before,
/// because the change has helped sni-check's own check. If the check is UP with a change but visitors get an
/// error, returns that change, so that the next round tries changes for visitors. Returns `None` if no change
/// gets further, or if visitors already got an error with the base.
fn furthest(
    subject: &Subject<'_>,
    tried: &[(&Candidate, TriedChange)],
) -> Option<(Candidate, TriedChange)> {
    // A TLS server may answer a request without TLS with an error page, which is no progress. A change that
    // moves the check to the address of visitors' connections makes the check use the server line's `ssl`.
    let surveyed = subject.surveyed;
    let has_tls =
        |change: &Change| change.adds_tls() || (surveyed.has_word("ssl") && change.is_move());
    let limit = |tried: &TriedChange| match subject.lacks_tls() && !has_tls(&tried.change) {
        true => Stage::Connection,
        false => Stage::Healthy,
    };
    let stage = |tried: &TriedChange| {
        let answer = tried.block.tried.as_ref();
        answer.map(|answer| Stage::of_answer(answer).min(limit(tried)))
    };
    let (base, present) = tried.first()?;
    let failing = || {
        let tried = tried.iter();
        tried.filter(|(_, change)| change.block.fails_visitors())
    };
    // Prefer a change that has helped sni-check to the present lines.
    let helps = |candidate: &Candidate| !candidate.is_suggested && !candidate.change.is_empty();
    let helpful = failing().find(|(candidate, _)| helps(candidate));
    if let Some((candidate, change)) = helpful.or_else(|| failing().next()) {
        let candidate = Candidate {
            failed_visitor: change.block.visitor,
            ..(*candidate).clone()
        };
        return base
            .failed_visitor
            .is_none()
            .then(|| (candidate, change.clone()));
    }
    // HAProxy can't try the present lines if the check waits for a response but sends no request.
    let before = stage(present).unwrap_or(Stage::Call);
    if before >= Stage::Healthy {
        return None;
    }
    let further = tried.iter().skip(1).filter(|(candidate, change)| {
        let is_proved = !candidate.is_suggested && base.change.is_empty();
        let stage = stage(change);
        // SOCKERR doesn't show how far the check got, so it counts as equally far.
        let is_as_far = stage == Some(before) || stage == Some(Stage::Broken);
        stage > Some(before) || (is_proved && is_as_far)
    });
    // Among the changes that get equally far, the first wins.
    let furthest = further.rev().max_by_key(|(_, change)| stage(change));
    furthest.map(|(candidate, change)| ((*candidate).clone(), change.clone()))
}

/// Chooses the first change with which the check is UP and visitors are served. Otherwise, chooses the first
/// change to the options that HAProxy couldn't try. Records the chosen change in `subject`. If no change is
/// chosen, records a change that isn't enough. `tried` begins with the base of the other changes. In the
/// first round, the base is the empty change, which keeps the present lines.
fn choose<'c>(
    subject: &mut Subject<'_>,
    tried: Vec<(&'c Candidate, TriedChange)>,
    is_proof_needed: bool,
) -> Option<&'c Candidate> {
    let mut tried = tried.into_iter();
    let (_, present) = tried.next()?;
    let changes = tried.filter(|(_, tried)| !tried.hunks.is_empty());
    let is_down = subject.surveyed.waits_without_request
        || (present.block.tried.is_some() && !present.block.is_up());
    let (mut chosen, mut failed) = (None::<(&Candidate, TriedChange)>, None::<TriedChange>);
    for (candidate, tried) in changes {
        let is_suggested = candidate.is_suggested || is_proof_needed;
        let untried = tried.block.tried.is_none();
        let is_up = tried.block.is_up() && (is_down || !is_suggested);
        let is_better = chosen
            .as_ref()
            .is_none_or(|(_, chosen)| !chosen.block.is_up() && is_up);
        // A change to the options counts even if HAProxy can't try it, because visitors' connections need the
        // same as the check.
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

/// Returns the base, and then the base plus each change to try: the changes to the options that helped, and
/// the changes that the configuration suggests. If a change to the options helps, leaves out the suggestions,
/// unless that change wasn't enough (`is_another`). If visitors get an error with the base, adds only changes
/// for visitors. If HAProxy runs another program, adds only the change of `external-check command`.
fn candidates(subject: &Subject<'_>, base: &Candidate, is_another: bool) -> Vec<Candidate> {
    let surveyed = subject.surveyed;
    let search = subject.search();
    let none = Options::default();
    let asked = subject.written().unwrap_or(&none);
    let best = search.map_or(&none, |search| &search.best().options);
    let mut found = vec![base.clone()];
    if let Some(visitor) = base.failed_visitor {
        let changes = base
            .change
            .for_visitors(surveyed, &base.options)
            .into_iter();
        found.extend(changes.filter_map(|change| {
            let hosts = change.hosts_of_visitors(surveyed);
            let reason = hosts.zip(search).map(|((visited, host), search)| {
                let values = [("visited", visited), ("host", host)];
                let cause = causes::of_visitors_name();
                Finding::new(cause, Weight::Proved, &search.asked, &values).what
            });
            // Another Host helps only if the server refuses this one: it answers 421, or HAProxy gets no
            // response.
            let is_refused = !visitor.by_server || visitor.status == 421;
            (reason.is_none() || is_refused).then(|| Candidate {
                reason: reason.or(base.reason.clone()),
                change,
                ..base.clone()
            })
        }));
        return found;
    }
    if let Some(rule) = subject.other_command() {
        // Inside the chroot, sni-check has a different path, or doesn't exist.
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
            // A change to plain HTTP or to old TLS is the last resort.
            Some(Way::PlainHttp | Way::OldTls) => last.extend(changes),
            _ => found.extend(changes),
        }
    }
    let layer = subject.layer();
    // If a change to the options helps, the suggestions aren't needed. The exception is a check without TLS:
    // sni-check can't run it, so a change to the options can't add the words for TLS.
    let helps = search.is_some_and(|search| search.changed.is_some());
    if layer.is_none() && helps && !is_another && surveyed.call.is_ok() {
        found.append(&mut last);
        return found;
    }
    let mut others = [
        where_visitors_connect(subject, base, best),
        suggested(subject, (asked, best), base, is_another),
    ];
    // If the check already connects to the address of visitors' connections, a missing word is more likely,
    // so try the suggestions first.
    if surveyed.elsewhere.is_none() {
        others.reverse();
    }
    found.extend(others.into_iter().flatten());
    found.append(&mut last);
    found
}

/// Returns the changes that the configuration suggests, on top of the base. `asked` has the options of the
/// check in haproxy.cfg. `best` has the options with which the check works or gets furthest.
fn suggested(
    subject: &Subject<'_>,
    (asked, best): (&Options, &Options),
    base: &Candidate,
    is_another: bool,
) -> Vec<Candidate> {
    let (surveyed, search, layer) = (subject.surveyed, subject.search(), subject.layer());
    let mut found = Vec::new();
    let refused = search.map(|search| search.best().own_check_refuses());
    let is_limit = refused.is_none_or(|refused| refused == Some(Refused::Certificate));
    for suggestion in &surveyed.suggestions {
        if subject.speaks_plain_http || (suggestion.is_known && !is_limit) {
            continue;
        }
        let code = search.map(|search| search.best().code());
        if suggestion.code.is_some() && suggestion.code != code {
            continue;
        }
        // sni-check tries all addresses of a name, so it may get further than HAProxy.
        let layers = [layer, subject.layer_in_haproxy()];
        if suggestion.layer.is_some() && !layers.contains(&suggestion.layer) {
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
        let change = change.map(|change| {
            let change = change
                .with_edits(&suggestion.words, &suggestion.connect)
                .with_lines(&suggestion.lines)
                .with_renamed(suggestion.renamed.as_ref());
            match &suggestion.request {
                _ if suggestion.is_http11 && search.is_some() => {
                    change.with_http11(surveyed, options)
                }
                Some(request) => change.with_request(request),
                None => change,
            }
        });
        found.extend(change.map(|change| Candidate {
            is_suggested: true,
            ..base.with(change, options, Some(&suggestion.what))
        }));
    }
    found
}

/// If the check gets no response, returns the changes that make it connect to the address of visitors'
/// connections. The first change affects only the address and port. The second change also sets the options
/// that help at that address.
fn where_visitors_connect(
    subject: &Subject<'_>,
    base: &Candidate,
    best: &Options,
) -> Vec<Candidate> {
    let surveyed = subject.surveyed;
    if !subject.is_unanswered() {
        return Vec::new();
    }
    let suggested = |change, options: &Options, reason: &str| Candidate {
        is_suggested: true,
        ..base.with(change, options, Some(reason))
    };
    let there = surveyed.at_visitors.as_ref().map(|there| &there.what);
    let Some(reason) = surveyed.elsewhere.as_ref().or(there) else {
        return Vec::new();
    };
    let search = subject.at_visitors.as_ref().map(|there| &there.search);
    let changed = search.and_then(|search| Some((search, &search.changed.as_ref()?.options)));
    // Without the second change, a page there may redirect to itself, although the check is UP.
    let is_needed = changed.is_some_and(|(search, _)| search.asked.failure().is_none());
    let first = Change::moved(surveyed, (best, best)).filter(|_| !is_needed);
    let first = first.map(|change| suggested(change, best, reason));
    let second = changed.and_then(|(search, options)| {
        let change = Change::moved(surveyed, (&search.asked.options, options))?;
        let causes = search.proved.iter().map(|finding| finding.what.as_str());
        let reasons: Vec<&str> = [reason.as_str()].into_iter().chain(causes).collect();
        Some(suggested(change, options, &reasons.join(" ")))
    });
    first.into_iter().chain(second).collect()
}

/// Returns the changes that set the helpful options. The smallest change comes first. An empty change means
/// that the present lines are right.
fn changes(subject: &Subject<'_>, search: &Search) -> Vec<Change> {
    let (surveyed, asked, best) = (subject.surveyed, &search.asked, search.best());
    let written = subject.written().unwrap_or(&asked.options);
    let way = best.haproxy.as_ref().and_then(|haproxy| haproxy.way);
    // sni-check itself sends User-Agent and Accept, so only HAProxy's own check needs them in haproxy.cfg.
    let is_own = surveyed.kind == CheckKind::Own;
    let way = way.filter(|way| is_own || *way != Way::WithAgent);
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
    let mut changes: Vec<Change> = change.into_iter().collect();
    if (search.changed.is_some() || is_meant) && way.is_none() {
        // sni-check always sends a Host, so it doesn't notice that the server needs a Host.
        let with_host = changes
            .iter()
            .filter_map(|change| change.with_host(surveyed, &best.options));
        let with_host: Vec<Change> = with_host.collect();
        changes.extend(with_host);
    }
    let changes = changes.into_iter();
    changes.map(|change| change.with_state(surveyed)).collect()
}

/// Returns the change with HAProxy's answer and version.
fn tried(
    subject: &Subject<'_>,
    candidate: &Candidate,
    answered: Option<(&Answered<usize>, Option<&str>)>,
) -> TriedChange {
    let block = subject.block(answered.map(|(answered, _)| answered), &candidate.change);
    let version = answered.and_then(|(_, version)| version);
    TriedChange {
        words: candidate.change.words(),
        hunks: candidate.change.hunks(subject.surveyed),
        reason: candidate.reason.clone(),
        version: version.filter(|_| block.is_tried()).map(str::to_owned),
        block,
        change: candidate.change.clone(),
    }
}
