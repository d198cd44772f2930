//! Settings of haproxy.cfg with which HAProxy can't use a server that sni-check finds healthy:
//! `ciphers`, `alpn`, `source`, a time limit, or a line of section `global`. HAProxy tries the lines
//! without each setting.

use super::state::{Diagnosis, Subject, TriedChange};
use super::{MARGIN, visitor};
use crate::causes::facts::Way;
use crate::causes::{self, Finding, Weight};
use crate::diagnose::ask::{Block, Kind, serves};
use crate::diagnose::change::{Hunk, edited};
use crate::diagnose::trials::Search;
use crate::doctor::survey::{CheckKind, Surveyed};
use crate::haproxy::ask::{Answered, Question, ask};
use crate::haproxy::config::backend_lines::{Rule, ServerLines, joined, text_of};
use crate::haproxy::config::place::Place;
use crate::haproxy::program::Haproxy;

/// The words of a server line that have an option of sni-check, so that diagnose has tried them already.
const WITH_OPTION: [&str; 18] = [
    "addr",
    "ca-file",
    "check-send-proxy",
    "check-sni",
    "check-ssl",
    "crl-file",
    "crt",
    "inter",
    "no-check-ssl",
    "port",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "sni",
    "ssl",
    "verify",
    "verifyhost",
];

/// The largest number of lines of section `global` that are tried. Each needs a HAProxy of its own.
const GLOBAL: usize = 8;

/// A setting, and the lines without it, or with a longer time limit.
struct Setting {
    /// The setting as it is written, such as `ciphers AES128-SHA`.
    text: String,
    /// The change in a few words.
    change: String,
    place: Option<Place>,
    hunk: Option<Hunk>,
    lines: ServerLines,
}

/// Asks HAProxy about the present lines of a server that sni-check finds healthy. If the check is DOWN
/// with them, or a visitor isn't served, finds the setting that is the reason.
pub(super) fn explain(subject: &mut Subject<'_>, haproxy: &Haproxy) {
    let surveyed = subject.surveyed;
    let Ok(diagnosis) = &mut subject.diagnosis else {
        return;
    };
    let is_healthy = diagnosis.search.asked.failure().is_none();
    let is_known = matches!(surveyed.kind, CheckKind::Own | CheckKind::External);
    let helps = |change: &TriedChange| change.block.is_up();
    if !is_healthy || !is_known || diagnosis.change.as_ref().is_some_and(helps) {
        return;
    }
    let trial = Trial {
        haproxy,
        surveyed,
        search: &diagnosis.search,
    };
    let Some(present) = trial.blocks(vec![&surveyed.lines]).pop() else {
        return;
    };
    if present.is_up() || present.tried.is_none() && present.visitor.is_none() {
        return;
    }
    let found = trial.find();
    diagnosis.present = Some(present);
    if let Some((setting, block)) = found {
        adopt(diagnosis, &setting, block);
    }
}

/// Makes the removal of the setting the change of haproxy.cfg, and its cause a proved cause.
fn adopt(diagnosis: &mut Diagnosis, setting: &Setting, block: Block) {
    let place = setting.place.as_ref();
    let place = place.map_or("default-server".to_owned(), Place::to_string);
    let values = [("setting", setting.text.clone()), ("place", place)];
    let mut causes = causes::all();
    let cause = causes.find(|cause| cause.id == "setting-refused");
    let asked = &diagnosis.search.asked;
    let finding = cause.map(|cause| Finding::new(cause, Weight::Proved, asked, &values));
    diagnosis.search.proved.extend(finding);
    diagnosis.change = Some(TriedChange {
        words: setting.change.clone(),
        hunks: setting.hunk.clone().into_iter().collect(),
        block,
    });
}

/// What a trial needs.
struct Trial<'a> {
    haproxy: &'a Haproxy,
    surveyed: &'a Surveyed,
    search: &'a Search,
}

impl Trial<'_> {
    /// Returns the first setting without which the check is UP and a visitor is served, and the result.
    fn find(&self) -> Option<(Setting, Block)> {
        let settings = of_server(self.surveyed);
        let blocks = self.blocks(settings.iter().map(|setting| &setting.lines).collect());
        let mut tried = settings.into_iter().zip(blocks);
        let found = tried.find(|(_, block)| block.is_up());
        found.or_else(|| {
            let settings = of_global(&self.surveyed.lines);
            let mut tried = settings.into_iter().filter_map(|setting| {
                let block = self.blocks(vec![&setting.lines]).pop()?;
                Some((setting, block))
            });
            tried.find(|(_, block)| block.is_up())
        })
    }

    /// Asks HAProxy about these lines, which have the same section `global`.
    fn blocks(&self, all: Vec<&ServerLines>) -> Vec<Block> {
        let Some(first) = all.first() else {
            return Vec::new();
        };
        let global = first.global_text();
        // sni-check makes an external check itself.
        let is_checked = self.surveyed.kind == CheckKind::Own;
        let questions = all.iter().enumerate().map(|(about, lines)| Question {
            about,
            lines: lines.all(is_checked),
            fallback: String::new(),
            is_checked,
            visit: visitor(self.surveyed, self.search),
        });
        let patience = self.search.asked.plan.timeout + MARGIN;
        let answers = ask(self.haproxy, &global, questions.collect(), patience);
        let block = |answered: Answered<usize>| Block {
            kind: Kind::Builtin,
            way: Way::Https,
            text: String::new(),
            serves: answered
                .visitor
                .is_none_or(|visitor| serves(&self.search.asked, visitor)),
            tried: Some(answered.answer).filter(|_| is_checked),
            visitor: answered.visitor,
        };
        answers.unwrap_or_default().into_iter().map(block).collect()
    }
}

/// Returns the settings on the server line and in its backend.
fn of_server(surveyed: &Surveyed) -> Vec<Setting> {
    let lines = &surveyed.lines;
    let words = lines.words.iter().enumerate();
    let words = words.filter(|(_, (word, _))| !WITH_OPTION.contains(&word.as_str()));
    let words = words.map(|(at, (word, value))| {
        let mut without = lines.clone();
        without.words.remove(at);
        let (place, old) = line_with(surveyed, word);
        let new = old.as_ref().map(|old| edited(old, word, None));
        let text = format!("{word} {value}").trim_end().to_owned();
        Setting {
            change: format!("without `{text}`"),
            text,
            hunk: place.clone().map(|place| Hunk { place, old, new }),
            place,
            lines: without,
        }
    });
    let rules = lines.rules.iter().enumerate();
    let rules = rules.filter(|(_, rule)| is_setting(rule));
    let rules = rules.map(|(at, rule)| {
        let mut without = lines.clone();
        let removed = without.rules.remove(at);
        let longer = longer(removed);
        without.rules.splice(at..at, longer.clone());
        of_rule(rule, longer.as_ref(), without)
    });
    words.chain(rules).collect()
}

/// Returns the line that has this word of the server: the server line, or a `default-server` above it.
fn line_with(surveyed: &Surveyed, word: &str) -> (Option<Place>, Option<String>) {
    let place = &surveyed.place;
    let has_word = |line: &str| line.split_whitespace().any(|known| known == word);
    let lines = (1..=place.line).rev().map(|line| Place {
        line,
        ..place.clone()
    });
    let mut lines = lines.filter_map(|place| Some((text_of(&place)?, place)));
    let is_here = |line: &str| line.trim_start().starts_with("default-server");
    let found = lines.find(|(line, at)| (at == place || is_here(line)) && has_word(line));
    found.map_or((None, None), |(line, place)| (Some(place), Some(line)))
}

/// Returns true if a line limits or changes how HAProxy and its visitors reach the server.
fn is_setting(rule: &Rule) -> bool {
    let words: Vec<&str> = rule.words.iter().map(String::as_str).collect();
    matches!(
        words.as_slice(),
        ["source", ..] | ["timeout", "connect" | "server", ..] | ["http-request", ..]
    )
}

/// Returns the settings in section `global`.
fn of_global(lines: &ServerLines) -> Vec<Setting> {
    let rules = lines.global.iter().enumerate().take(GLOBAL);
    let settings = rules.map(|(at, rule)| {
        let mut without = lines.clone();
        without.global.remove(at);
        of_rule(rule, None, without)
    });
    settings.collect()
}

/// Returns a time limit that is long enough for a slow server. HAProxy needs some limit.
fn longer(mut rule: Rule) -> Option<Rule> {
    let is_limit = rule.words.first().is_some_and(|word| word == "timeout");
    let limit = rule.words.get_mut(2).filter(|_| is_limit)?;
    "10s".clone_into(limit);
    Some(rule)
}

/// Returns a line as a setting. `new` replaces the line, if there is a new line.
fn of_rule(rule: &Rule, new: Option<&Rule>, lines: ServerLines) -> Setting {
    let old = rule.place.as_ref().and_then(text_of);
    let new = new.map(|rule| joined(&rule.words));
    let text = old
        .as_deref()
        .map_or_else(|| joined(&rule.words), |old| old.trim().to_owned());
    let indented = |old: &String| {
        let indent = &old[..old.len() - old.trim_start().len()];
        new.as_ref().map(|new| format!("{indent}{new}"))
    };
    Setting {
        change: match &new {
            Some(new) => format!("{new} in place of `{text}`"),
            None => format!("without `{text}`"),
        },
        hunk: rule
            .place
            .clone()
            .filter(|_| old.is_some())
            .map(|place| Hunk {
                place,
                new: old.as_ref().and_then(indented),
                old,
            }),
        text,
        place: rule.place.clone(),
        lines,
    }
}
