//! Other servers that share a changed line. A change that helps one server must not set another server DOWN.

use std::time::Duration;

use super::state::{Conflict, Subject};
use crate::diagnose::change::Change;
use crate::doctor::survey::Surveyed;
use crate::haproxy::ask::{Question, ask};
use crate::haproxy::program::Haproxy;
use crate::options::Options;

/// The largest number of servers with which one change is tried.
const MOST: usize = 16;

/// The lines of another server that shares a changed line: the numbers of the questions about them.
struct Shared<'a> {
    /// The number of the changed server.
    subject: usize,
    change: &'a Change,
    other: &'a Surveyed,
    present: usize,
    changed: usize,
}

/// Withdraws each change with which HAProxy reports another server DOWN that is UP with the present lines.
/// `changes` are the changes of the subjects, with the options of the check after the change.
pub(super) fn spare(
    subjects: &mut [&mut Subject<'_>],
    changes: &[Option<(&Change, &Options)>],
    others: &[&Surveyed],
    haproxy: &Haproxy,
    patience: Duration,
) {
    let mut texts: Vec<String> = Vec::new();
    let mut number = |text: String| {
        let known = texts.iter().position(|known| *known == text);
        known.unwrap_or_else(|| {
            texts.push(text);
            texts.len() - 1
        })
    };
    let none = Options::default();
    let mut all = Vec::new();
    for (subject, found) in subjects.iter().enumerate() {
        let surveyed = found.surveyed;
        let Some((change, best)) = changes[subject] else {
            continue;
        };
        let asked = found.written().unwrap_or(&none);
        let shared = others
            .iter()
            .filter(|other| !std::ptr::eq(**other, surveyed));
        let shared = shared.filter_map(|other| {
            let options = (asked, best);
            let (part, options) = change.shared_with(surveyed, options, other)?;
            let present = other.call.as_ref().ok()?;
            let present = Change::default().lines(other, present, false)?;
            Some((*other, present, part.lines(other, &options, false)?))
        });
        for (other, present, changed) in shared.take(MOST) {
            all.push(Shared {
                subject,
                change,
                other,
                present: number(present),
                changed: number(changed),
            });
        }
    }
    if all.is_empty() {
        return;
    }
    let question = |(about, lines): (usize, &String)| Question {
        about,
        lines: lines.clone(),
        fallback: String::new(),
        is_checked: true,
        visit: None,
    };
    let questions = texts.iter().enumerate().map(question).collect();
    let global = all[0].other.lines.global_text();
    let answers = ask(haproxy, &global, questions, patience).unwrap_or_default();
    let is_up = |wanted: usize| {
        let answered = answers.iter().find(|answered| answered.about == wanted);
        answered.map(|answered| answered.answer.is_up())
    };
    for shared in all {
        let is_broken = is_up(shared.present) == Some(true) && is_up(shared.changed) == Some(false);
        let subject = &mut subjects[shared.subject];
        if let (true, Some(mut change)) = (is_broken, subject.change.take_if(|_| is_broken)) {
            match shared.change.on_own_line(subject.surveyed) {
                Some(own) => {
                    change.hunks = own.hunks(subject.surveyed);
                    subject.change = Some(change);
                }
                None => {
                    let inherited = &subject.surveyed.inherited;
                    let mut hunks = change.hunks.iter();
                    let is_inherited =
                        hunks.any(|hunk| inherited.iter().any(|(_, place)| *place == hunk.place));
                    subject.conflict = Some(Conflict {
                        words: change.words,
                        other: shared.other.name(),
                        is_inherited,
                    });
                }
            }
        }
    }
}
