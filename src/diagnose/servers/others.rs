//! Protects other servers that share a changed line. A change that helps one server must not set another
//! server DOWN.

use std::time::Duration;

use super::state::{Conflict, Subject};
use crate::diagnose::change::Change;
use crate::doctor::survey::Surveyed;
use crate::haproxy::ask::{Question, ask};
use crate::haproxy::program::Haproxy;
use crate::options::Options;

/// The largest number of other servers with which HAProxy tries one change.
const MOST: usize = 16;

/// The chosen change for a server, and the options of its check after the change.
pub(super) type Chosen = Option<(Change, Options)>;

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
    /// The numbers of two questions to HAProxy. The first question is about the server's present lines, and
    /// `None` if they don't matter. The second question is about the server's lines with the change.
    Asked(Option<usize>, usize),
}

/// Moves a change to the server's own line if the change would set another server DOWN, or if another server
/// needs a different change to the same line. Withdraws the change if the move doesn't help. `all` contains
/// the checked servers. If a change is chosen for another server, too, the present lines of that server
/// include its change.
pub(super) fn spare(
    subjects: &mut [&mut Subject<'_>],
    mut chosen: Vec<Chosen>,
    all: &[&Surveyed],
    haproxy: &Haproxy,
    patience: Duration,
) {
    let mut moved: Vec<(usize, &Surveyed)> = Vec::new();
    for is_last in [false, true] {
        let mut texts: Vec<String> = Vec::new();
        let shared = shared(subjects, &chosen, all, &moved, &mut texts);
        if shared.is_empty() {
            return;
        }
        let question =
            |(about, lines): (usize, &String)| Question::of_check(about, lines.clone(), None);
        let questions = texts.iter().enumerate().map(question).collect();
        let global = shared[0].other.lines.global_text();
        let answers = ask(haproxy, &global, questions, patience).unwrap_or_default();
        let is_up = |wanted: usize| {
            let answered = answers.iter().find(|answered| answered.about == wanted);
            answered.map(|answered| answered.answer.is_up())
        };
        let is_broken = |effect: &Effect| match effect {
            Effect::Contradicts => true,
            Effect::Asked(present, changed) => {
                present.is_none_or(|present| is_up(present) == Some(true))
                    && is_up(*changed) == Some(false)
            }
        };
        let mut broken: Vec<&Shared<'_>> = shared
            .iter()
            .filter(|shared| is_broken(&shared.effect))
            .collect();
        broken.dedup_by_key(|shared| shared.subject);
        for shared in broken {
            let subject = &mut subjects[shared.subject];
            let own = chosen[shared.subject]
                .as_ref()
                .and_then(|(change, _)| change.on_own_line(subject.surveyed));
            match (own, &mut chosen[shared.subject], &mut subject.change) {
                (Some(own), Some((change, _)), Some(tried)) if !is_last => {
                    tried.hunks = own.hunks(subject.surveyed);
                    *change = own;
                    moved.push((shared.subject, shared.other));
                }
                _ => withdraw(subject, shared),
            }
        }
        if moved.is_empty() {
            return;
        }
    }
    for (number, _) in moved {
        if let (Some(tried), Some((change, _))) = (&mut subjects[number].change, &chosen[number]) {
            tried.words = change.words();
        }
    }
}

/// Returns the servers that share a changed line. Adds to `texts` the lines that HAProxy must try.
fn shared<'a>(
    subjects: &[&mut Subject<'_>],
    chosen: &[Chosen],
    all: &[&'a Surveyed],
    moved: &[(usize, &'a Surveyed)],
    texts: &mut Vec<String>,
) -> Vec<Shared<'a>> {
    let mut number = |text: String| {
        let known = texts.iter().position(|known| *known == text);
        known.unwrap_or_else(|| {
            texts.push(text);
            texts.len() - 1
        })
    };
    let none = Options::default();
    let mut found = Vec::new();
    for (subject, about) in subjects.iter().enumerate() {
        let Some((change, best)) = chosen[subject].as_ref().filter(|_| about.change.is_some())
        else {
            continue;
        };
        let asked = about.written().unwrap_or(&none);
        // A moved change must still help its own server.
        let mut is_moved = moved.iter().filter(|(moved, _)| *moved == subject);
        if let Some((_, other)) = is_moved.next()
            && let Some(lines) = change.lines(about.surveyed, best, false)
        {
            let effect = Effect::Asked(None, number(lines));
            found.push(Shared {
                subject,
                other,
                effect,
            });
        }
        let mut effect = |other: &Surveyed| {
            let mut subjects = subjects.iter().zip(chosen);
            let own = subjects.find(|(subject, _)| std::ptr::eq(subject.surveyed, other));
            let own = own.and_then(|(_, chosen)| chosen.as_ref());
            let call = other.call.as_ref().ok()?.as_ref();
            let (present, options) = match own {
                Some((change, options)) => (change.clone(), options),
                None => (Change::default(), call),
            };
            let change_of = (asked, best);
            let (part, changed) = change.shared_with(about.surveyed, change_of, other, options)?;
            let Some(joined) = present.joined(&part) else {
                return Some(Effect::Contradicts);
            };
            let present = present.lines(other, options, false)?;
            let changed = joined.lines(other, &changed, false)?;
            Some(Effect::Asked(Some(number(present)), number(changed)))
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

fn withdraw(subject: &mut Subject<'_>, shared: &Shared<'_>) {
    let Some(change) = subject.change.take() else {
        return;
    };
    let inherited = &subject.surveyed.inherited;
    let mut hunks = change.hunks.iter();
    let is_inherited = hunks.any(|hunk| inherited.iter().any(|(_, place)| *place == hunk.place));
    subject.conflict = Some(Conflict {
        words: change.words,
        other: shared.other.name(),
        is_inherited,
        needs_other_words: matches!(shared.effect, Effect::Contradicts),
    });
}
