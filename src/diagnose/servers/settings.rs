//! Finds the line of haproxy.cfg that prevents HAProxy from using a server that sni-check finds healthy: a
//! time limit, a rule that changes visitors' requests, or a line of the `global` section. For each such line,
//! HAProxy tries the backend without the line, or with a longer time limit.

use std::iter;
use std::time::Duration;

use super::state::{Subject, TriedChange};
use crate::causes::{self, Finding, Weight};
use crate::diagnose::change::Change;
use crate::diagnose::change::diff::Hunk;
use crate::diagnose::trials::Search;
use crate::doctor::survey::{CheckKind, Surveyed};
use crate::haproxy::ask::{Question, ask};
use crate::haproxy::config::backend_lines::{Rule, ServerLines, joined};
use crate::haproxy::config::place::Place;
use crate::haproxy::program::Haproxy;
use crate::options::Options;
use crate::options::values::Time;

/// A time limit that is long enough for a slow server.
const LONGER: Duration = Duration::from_secs(10);
/// The largest number of trials with changed lines of the `global` section. Each trial starts another
/// HAProxy.
const GLOBAL: usize = 8;

/// A change of a line that may be the cause.
#[derive(Clone)]
pub(super) struct Setting {
    place: Place,
    old: String,
    /// The words of the line that replaces the old line, such as a longer time limit. `None` removes the old
    /// line.
    new: Option<Vec<String>>,
    /// True for a line of the `global` section.
    is_global: bool,
}

/// A change that isn't enough, the options of the check after the change, and why the change helps.
type Base = (Change, Options, Option<String>);

/// Finds the first changed line with which HAProxy's check is UP and a visitor is served. `base` is a change
/// to make first. Returns the whole change, and the changed line. Returns `None` if sni-check's own check fails, or if the check asks `sni-check serve`.
pub(super) fn find(
    subject: &Subject<'_>,
    base: Option<Base>,
    haproxy: &Haproxy,
    patience: Duration,
) -> Option<(TriedChange, Setting)> {
    // HAProxy tries its own check again in each trial. An external check isn't run again, so it must already
    // work as haproxy.cfg has it.
    let is_as_written = subject.surveyed.kind == CheckKind::Own || subject.meant().is_none();
    let is_healthy = |search: &&Search| match base {
        Some(_) => search.best().failure().is_none(),
        None => search.asked.failure().is_none() && is_as_written,
    };
    // `sni-check serve` runs its checks with its own settings.
    let is_served = subject.surveyed.kind == CheckKind::Served;
    let search = subject.search().filter(is_healthy).filter(|_| !is_served)?;
    let lines = &subject.surveyed.lines;
    // sni-check has already run the external check. HAProxy needn't run it again, and sends only a visitor's
    // request.
    let is_checked = subject.surveyed.kind == CheckKind::Own;
    let unchanged = Change::default();
    let first = base.as_ref().map_or(&unchanged, |(change, ..)| change);
    let find = |settings: Vec<Setting>| {
        let global = settings.first()?.applied(lines)?.global_text();
        let question = |(about, setting): (usize, &Setting)| {
            let lines = setting.applied(lines)?;
            let changed = base
                .as_ref()
                .filter(|_| is_checked)
                .map(|(change, options, _)| {
                    let surveyed = Surveyed {
                        lines: lines.clone(),
                        ..subject.surveyed.clone()
                    };
                    change.lines(&surveyed, options)
                });
            Some(Question {
                about,
                lines: changed.unwrap_or_else(|| Some(lines.all(is_checked)))?,
                is_checked,
                visit: subject.visit(first),
            })
        };
        let questions = settings.iter().enumerate().filter_map(question).collect();
        let answers = ask(haproxy, &global, questions, patience).ok()?;
        let blocks = answers
            .iter()
            .map(|answered| subject.block(Some(answered), first));
        let mut tried = answers.iter().zip(blocks);
        let (answered, block) = tried.find(|(_, block)| block.is_up())?;
        let setting = &settings[answered.about];
        let (mut words, mut hunks) = (vec![setting.words()], vec![setting.hunk()]);
        let mut reasons = vec![setting.reason(search)];
        if let Some((change, _, reason)) = &base {
            words.insert(0, change.words());
            hunks.splice(0..0, change.hunks(subject.surveyed));
            reasons.splice(0..0, reason.clone());
        }
        let tried = TriedChange {
            words: words.join(", "),
            hunks,
            reason: Some(reasons.join(" ")),
            version: haproxy.version_text.clone(),
            block,
            change: first.clone(),
        };
        Some((tried, setting.clone()))
    };
    let of_global = of_global(lines).into_iter().map(|setting| vec![setting]);
    iter::once(of_backend(lines))
        .chain(of_global)
        .find_map(find)
}

/// Returns the changes to try in the backend and its defaults. Each change makes one time limit longer, or
/// removes one `http-request` line.
fn of_backend(lines: &ServerLines) -> Vec<Setting> {
    let settings = lines.rules.iter().filter_map(|rule| {
        let words: Vec<&str> = rule.words.iter().map(String::as_str).collect();
        let new = match words.as_slice() {
            ["timeout", name @ ("connect" | "server"), time, ..] => {
                time.parse::<Time>().ok().filter(|time| time.0 < LONGER)?;
                let longer = format!("{}s", LONGER.as_secs());
                Some(["timeout", name, &longer].map(str::to_owned).to_vec())
            }
            ["http-request", ..] => None,
            _ => return None,
        };
        Setting::new(rule, new, false)
    });
    settings.collect()
}

/// Returns the changes to try in the `global` section, at most `GLOBAL`. Each change removes one line or one
/// option.
fn of_global(lines: &ServerLines) -> Vec<Setting> {
    let settings = lines.global.iter().flat_map(|rule| {
        let shorter = without_option(&rule.words).into_iter().map(Some);
        let settings = shorter.chain([None]);
        settings.filter_map(move |new| Setting::new(rule, new, true))
    });
    settings.take(GLOBAL).collect()
}

/// Returns versions of an `ssl-default-server-options` line, each without one of the line's options. Returns
/// an empty list for other lines, and for a line with only one option.
fn without_option(words: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 1;
    while at < words.len() && words[0] == "ssl-default-server-options" {
        let has_value = ["ssl-min-ver", "ssl-max-ver"].contains(&words[at].as_str());
        let end = (at + 1 + usize::from(has_value)).min(words.len());
        found.push([&words[..at], &words[end..]].concat());
        at = end;
    }
    found.retain(|left| left.len() > 1);
    found
}

impl Setting {
    fn new(rule: &Rule, new: Option<Vec<String>>, is_global: bool) -> Option<Setting> {
        let place = rule.place.clone()?;
        Some(Setting {
            old: place.text()?,
            new,
            place,
            is_global,
        })
    }

    /// Returns the lines of a server with this change. Returns `None` if they don't contain the line.
    pub fn applied(&self, lines: &ServerLines) -> Option<ServerLines> {
        let mut changed = lines.clone();
        let rules = match self.is_global {
            true => &mut changed.global,
            false => &mut changed.rules,
        };
        let mut places = rules.iter().map(|rule| rule.place.as_ref());
        let at = places.position(|place| place == Some(&self.place))?;
        let new = self.new.clone().map(|words| Rule { place: None, words });
        rules.splice(at..=at, new);
        Some(changed)
    }

    /// Returns the change in a few words.
    fn words(&self) -> String {
        match &self.new {
            Some(new) => joined(new),
            None => format!("without `{}`", self.old.trim()),
        }
    }

    fn hunk(&self) -> Hunk {
        let indent = &self.old[..self.old.len() - self.old.trim_start().len()];
        let new = self.new.as_ref();
        Hunk {
            place: self.place.clone(),
            old: Some(self.old.clone()),
            new: new.map(|new| format!("{indent}{}", joined(new))),
        }
    }

    /// Returns why the change helps.
    fn reason(&self, search: &Search) -> String {
        let values = [
            ("setting", self.old.trim().to_owned()),
            ("place", self.place.to_string()),
        ];
        let cause = causes::of_setting(self.is_global);
        Finding::new(cause, Weight::Proved, &search.asked, &values).what
    }
}
