//! Protects other servers that share a changed line. A change that helps one server must not set another
//! server DOWN.

use std::time::Duration;

use super::settings::Setting;
use super::state::{Conflict, Contradiction, Subject};
use crate::diagnose::change::Change;
use crate::doctor::survey::Surveyed;
use crate::haproxy::ask::{Answered, Question, ask};
use crate::haproxy::program::Haproxy;
use crate::options::Options;

/// The largest number of other servers with which HAProxy tries one change.
const MOST: usize = 16;

/// The chosen change for a server.
pub(super) struct Chosen {
    pub change: Change,
    /// The options of the server's check after the change.
    pub options: Options,
    /// Another changed line.
    pub setting: Option<Setting>,
}

/// A server (`other`) that shares a changed line with the server whose number is `subject`.
struct Shared<'a> {
    subject: usize,
    other: &'a Surveyed,
    effect: Effect,
}

/// The effect of the change on the other server.
enum Effect {
    /// The other server needs different words in the same line.
    Contradicts,
    /// The numbers of two trials. The first trial is about the server's present lines, and `None` if they
    /// don't matter. The second trial is about the server's lines with the change.
    Asked(Option<usize>, usize),
    /// The change replaces the kind of check. The number is that of the trial of the server's present lines.
    OtherCheck(usize),
}

/// Lines of a server that HAProxy must try.
struct Trial<'a> {
    server: &'a Surveyed,
    lines: String,
}

impl Trial<'_> {
    fn question(&self, about: usize) -> Question<usize> {
        Question {
            about,
            lines: self.lines.clone(),
            is_checked: true,
            visit: Subject::new(self.server).visit(&Change::default()),
        }
    }
}

/// Moves a change to the server's own line if the change would set another server DOWN, or if another server
/// needs a different change to the same line. Withdraws the change if the move doesn't help. `all` contains
/// the checked servers. If a change is chosen for another server, too, the present lines of that server
/// include its change.
pub(super) fn spare<'a>(
    subjects: &mut [&mut Subject<'a>],
    mut chosen: Vec<Option<Chosen>>,
    all: &[&'a Surveyed],
    haproxy: &Haproxy,
    patience: Duration,
) {
    let mut moved: Vec<(usize, &'a Surveyed)> = Vec::new();
    for is_last in [false, true] {
        let mut trials: Vec<Trial<'a>> = Vec::new();
        let shared = shared(subjects, &chosen, all, &moved, &mut trials);
        if shared.is_empty() {
            return;
        }
        let questions = trials.iter().enumerate();
        let questions = questions.map(|(about, trial)| trial.question(about));
        let global = shared[0].other.lines.global_text();
        let answers = ask(haproxy, &global, questions.collect(), patience).unwrap_or_default();
        let mut broken: Vec<(&Shared<'_>, Contradiction)> = shared
            .iter()
            .filter_map(|shared| Some((shared, contradiction(shared, &answers)?)))
            .collect();
        broken.dedup_by_key(|(shared, _)| shared.subject);
        for (shared, why) in broken {
            let subject = &mut subjects[shared.subject];
            // A removed line of the backend can't move to a server line.
            let own = chosen[shared.subject]
                .as_ref()
                .filter(|chosen| chosen.setting.is_none())
                .and_then(|chosen| chosen.change.on_own_line(subject.surveyed));
            match (own, &mut chosen[shared.subject], &mut subject.change) {
                (Some(own), Some(chosen), Some(tried)) if !is_last => {
                    tried.hunks = own.hunks(subject.surveyed);
                    chosen.change = own;
                    moved.push((shared.subject, shared.other));
                }
                _ => withdraw(subject, shared.other, why),
            }
        }
        if moved.is_empty() {
            return;
        }
    }
    for (number, _) in moved {
        if let (Some(tried), Some(chosen)) = (&mut subjects[number].change, &chosen[number]) {
            tried.words = chosen.change.words();
        }
    }
}

/// Returns why the other server can't use the change. Returns `None` if HAProxy's answers show no reason.
fn contradiction(shared: &Shared<'_>, answers: &[Answered<usize>]) -> Option<Contradiction> {
    let answered = |wanted: usize| answers.iter().find(|answered| answered.about == wanted);
    let (present, changed) = match shared.effect {
        Effect::Contradicts => return Some(Contradiction::OtherWords),
        Effect::Asked(present, changed) => (present, changed),
        Effect::OtherCheck(present) => {
            let present = answered(present)?;
            return present.answer.is_up().then_some(Contradiction::OtherCheck);
        }
    };
    let changed = answered(changed)?;
    let present = present.map(answered);
    let was = |is: &dyn Fn(&Answered<usize>) -> bool| {
        present.is_none_or(|present| present.is_some_and(is))
    };
    let other = Subject::new(shared.other);
    let unchanged = Change::default();
    let is_served = |visitor| other.is_served(visitor, &unchanged);
    if !changed.answer.is_up() && was(&|present| present.answer.is_up()) {
        return Some(Contradiction::Down);
    }
    let fails = changed.visitor.is_some_and(|visitor| !is_served(visitor));
    let was_served = was(&|present| present.visitor.is_some_and(is_served));
    (fails && was_served).then_some(Contradiction::FailsVisitors)
}

/// Returns the servers that share a changed line. Adds to `trials` the lines that HAProxy must try.
fn shared<'a>(
    subjects: &[&mut Subject<'a>],
    chosen: &[Option<Chosen>],
    all: &[&'a Surveyed],
    moved: &[(usize, &'a Surveyed)],
    trials: &mut Vec<Trial<'a>>,
) -> Vec<Shared<'a>> {
    let mut number = |server: &'a Surveyed, lines: Option<String>| {
        let trial = Trial {
            server,
            lines: lines?,
        };
        let mut known = trials.iter();
        let known = known
            .position(|known| std::ptr::eq(known.server, server) && known.lines == trial.lines);
        Some(known.unwrap_or_else(|| {
            trials.push(trial);
            trials.len() - 1
        }))
    };
    let none = Options::default();
    let mut found = Vec::new();
    for (subject, about) in subjects.iter().enumerate() {
        let Some(own) = chosen[subject].as_ref().filter(|_| about.change.is_some()) else {
            continue;
        };
        let (change, best) = (&own.change, &own.options);
        let asked = about.written().unwrap_or(&none);
        // A moved change must still help its own server.
        let mut is_moved = moved.iter().filter(|(moved, _)| *moved == subject);
        if let Some((_, other)) = is_moved.next()
            && let Some(changed) = number(about.surveyed, change.lines(about.surveyed, best))
        {
            let effect = Effect::Asked(None, changed);
            found.push(Shared {
                subject,
                other,
                effect,
            });
        }
        let mut effect = |other: &'a Surveyed| {
            let mut subjects = subjects.iter().zip(chosen);
            let other_chosen = subjects.find(|(subject, _)| std::ptr::eq(subject.surveyed, other));
            let other_chosen = other_chosen.and_then(|(_, chosen)| chosen.as_ref());
            let call = other.call.as_ref().ok()?.as_ref();
            let (present, options) = match other_chosen {
                Some(chosen) => (chosen.change.clone(), &chosen.options),
                None => (Change::default(), call),
            };
            let change_of = (asked, best);
            let part = change.shared_with(about.surveyed, change_of, other, options);
            let setting = own.setting.as_ref();
            let without = setting.and_then(|setting| setting.applied(&other.lines));
            if part.is_none() && without.is_none() {
                return None;
            }
            let (part, changed) = part.unwrap_or_else(|| (Change::default(), options.clone()));
            let Some(joined) = present.joined(&part) else {
                return Some(Effect::Contradicts);
            };
            let after = Surveyed {
                lines: without.unwrap_or_else(|| other.lines.clone()),
                ..other.clone()
            };
            let present = number(other, present.lines(other, options))?;
            if part.replaces_check() {
                return Some(Effect::OtherCheck(present));
            }
            let changed = number(other, joined.lines(&after, &changed))?;
            (present != changed).then_some(Effect::Asked(Some(present), changed))
        };
        let others = all
            .iter()
            .filter(|other| !std::ptr::eq(**other, about.surveyed));
        let effects = others.map(|other| (*other, effect(other)));
        let effects = effects.filter_map(|(other, effect)| Some((other, effect?)));
        found.extend(effects.take(MOST).map(|(other, effect)| Shared {
            subject,
            other,
            effect,
        }));
    }
    found
}

fn withdraw(subject: &mut Subject<'_>, other: &Surveyed, why: Contradiction) {
    let Some(change) = subject.change.take() else {
        return;
    };
    let inherited = &subject.surveyed.inherited;
    let mut hunks = change.hunks.iter();
    let is_inherited = hunks.any(|hunk| inherited.iter().any(|(_, place)| *place == hunk.place));
    subject.conflict = Some(Conflict {
        words: change.words,
        other: other.name(),
        is_inherited,
        why,
    });
}
