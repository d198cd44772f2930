//! sni-check's options in a line of haproxy.cfg.

use super::rewrite::Marked;
use crate::doctor::survey::{CheckKind, Surveyed};
use crate::haproxy::config::place::Place;
use crate::options::Options;
use crate::options::handed::{self, Carrier};
use crate::options::table::Row;

/// sni-check's options in a line of haproxy.cfg, in three forms. Output keeps the variables' names, because
/// the values may be secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// The word that contains the options, with the values of its variables. When HAProxy tries the change,
    /// only `--connect` and `--port` come from this word. The other options come from the argument `best` of
    /// [`Change::lines`](super::Change::lines).
    pub word: String,
    /// The options, with the names of variables in place of their values.
    pub shown: String,
    /// The word as the diff prints it: with variables, and quoted if HAProxy requires quotes.
    pub written: String,
    /// True if the change removes the address or port from the options, so that the check connects to the
    /// address of visitors' connections.
    pub is_moved: bool,
}

impl Carried {
    /// Returns the line's options, with the `changed` options taken from `given`. Returns `None` if
    /// haproxy.cfg has no such line, or if the line's options can't be read. Also returns `None` if a changed
    /// option comes from a variable with several words, because the line itself doesn't contain that option.
    pub fn new(surveyed: &Surveyed, changed: &[&Row], given: &Options) -> Option<Carried> {
        let mut rules = surveyed.lines.rules.iter();
        let (rule, at) =
            rules.find_map(|rule| Some((rule, carrier(surveyed.kind, &rule.words)?)))?;
        let line = rule.place.as_ref().and_then(Place::text);
        let marked = line
            .and_then(|line| Marked::of(&line, at))
            .unwrap_or_default();
        let (carrier, old) = carried(surveyed)?;
        let old_words = shlex::split(&old)?;
        let marks = shlex::split(&marked.text.replace("%%", "%")).unwrap_or_default();
        let runs = runs(&old_words, &marks, |word| marked.has_variable(word))?;
        let old = *handed::options(carrier, old.as_ref()).ok()?;
        let words = in_place(old_words.clone(), changed, &old, given);
        let text = shlex::try_join(words.iter().map(String::as_str)).ok()?;
        let read = handed::options(carrier, text.as_ref());
        let is_right = read.is_ok_and(|read| read.changes(given).is_empty());
        let words = if is_right { words } else { given.to_words() };
        let text = with_variables(&words, &runs)?;
        let text = text.iter().map(|word| marked.option(word));
        let text = text.collect::<Vec<_>>().join(" ");
        Some(Carried {
            word: as_word(
                surveyed.kind,
                &shlex::try_join(words.iter().map(String::as_str)).ok()?,
            ),
            written: marked.written(&as_word(surveyed.kind, &text), true),
            shown: marked.written(&text, false),
            is_moved: (&old.connect, &old.port) != (&None, &None)
                && (&given.connect, &given.port) == (&None, &None),
        })
    }
}

/// A word of the line, and the words that HAProxy reads in its place. Only a word with a variable can become
/// several words, or no word.
struct Run {
    /// The words that HAProxy reads.
    words: Vec<String>,
    /// The word of the line, with marks for variables.
    marked: String,
}

/// Splits the words of a line into runs. At most one run has no word or several words. Returns `None` if it
/// isn't clear which words come from which variable.
fn runs(
    words: &[String],
    marks: &[String],
    has_variable: impl Fn(&str) -> bool,
) -> Option<Vec<Run>> {
    // If the text of the line isn't known, treat it as a line without variables.
    let marks = if marks.is_empty() { words } else { marks };
    let is_list = |mark: &&String| words.len() != marks.len() && has_variable(mark);
    let lists = marks.iter().filter(is_list).count();
    let length = (words.len() + 1).checked_sub(marks.len())?;
    let mut rest = words;
    let mut runs = Vec::new();
    for mark in marks {
        let length = if is_list(&mark) { length } else { 1 };
        let (run, after) = rest.split_at_checked(length)?;
        let is_known = has_variable(mark) || run == std::slice::from_ref(mark);
        if !is_known {
            return None;
        }
        runs.push(Run {
            words: run.to_vec(),
            marked: mark.clone(),
        });
        rest = after;
    }
    (rest.is_empty() && lists <= 1).then_some(runs)
}

/// Returns the words of a changed line, with marks for variables. Copies unchanged words from `runs`. Returns
/// `None` if a variable with several words has changed.
fn with_variables(words: &[String], runs: &[Run]) -> Option<Vec<String>> {
    let mut rest = words;
    let mut text = Vec::new();
    let mut list = runs.iter().find(|run| run.words.len() != 1);
    while let [word, after @ ..] = rest {
        if let Some(found) = list.take_if(|run| rest.starts_with(&run.words)) {
            text.push(found.marked.clone());
            rest = &rest[found.words.len()..];
            continue;
        }
        let mut same = runs.iter().filter(|run| run.words == [word.clone()]);
        text.push(same.next().map_or(word, |run| &run.marked).clone());
        rest = after;
    }
    list.is_none_or(|run| run.words.is_empty()).then_some(text)
}

/// Returns `words`, with the `changed` options taken from `given`. Each option keeps its position, and new
/// options go at the end.
fn in_place(
    mut words: Vec<String>,
    changed: &[&Row],
    old: &Options,
    given: &Options,
) -> Vec<String> {
    let words_of = |row: &Row, from: &Options| {
        let mut single = Options::default();
        single.copy(&[row], from);
        single.to_words()
    };
    for row in changed {
        let has_value = words_of(row, old).iter().any(|word| word != row.name);
        let mut place = None;
        while let Some(at) = words.iter().position(|word| word == row.name) {
            place = place.or(Some(at));
            let end = (at + 1 + usize::from(has_value)).min(words.len());
            words.drain(at..end);
        }
        let at = place.unwrap_or(words.len());
        words.splice(at..at, words_of(row, given));
    }
    words
}

/// Returns the position of sni-check's options among the words of a line. The options are in
/// `external-check path`, or in the header `X-Check-Options` of an `http-check send` line. Returns `None` for
/// every other line.
pub(super) fn carrier(kind: CheckKind, words: &[String]) -> Option<usize> {
    let is_path = words.len() == 3 && words[..2] == ["external-check", "path"];
    let is_ours = |word: &String| word.eq_ignore_ascii_case("x-check-options");
    match kind {
        CheckKind::External => is_path.then_some(2),
        CheckKind::Served => {
            let at = words.iter().position(is_ours)? + 1;
            (at < words.len()).then_some(at)
        }
        CheckKind::Own | CheckKind::Other => None,
    }
}

/// Returns true if haproxy.cfg has no options for a check by `sni-check serve`.
pub(in crate::diagnose) fn lacks_options(surveyed: &Surveyed) -> bool {
    surveyed.kind == CheckKind::Served && carried(surveyed).is_none()
}

/// Returns sni-check's options from haproxy.cfg, without log-format escapes, and their carrier
/// (`external-check path` or the header). Returns empty options for an external check without `external-check
/// path`. Returns `None` for a check by `sni-check serve` without the header, and for every other kind of
/// check.
pub(super) fn carried(surveyed: &Surveyed) -> Option<(Carrier, String)> {
    let mut rules = surveyed.lines.rules.iter();
    let text = rules.find_map(|rule| rule.words.get(carrier(surveyed.kind, &rule.words)?));
    match (surveyed.kind, text) {
        (CheckKind::External, text) => Some((Carrier::Path, text.cloned().unwrap_or_default())),
        (_, text) => Some((Carrier::Header, unescaped(Carrier::Header, text?))),
    }
}

/// Returns the options in a word of haproxy.cfg, without log-format escapes. The header's value is a
/// log-format string, in which `%%` means a percent sign.
pub(super) fn unescaped(carrier: Carrier, word: &str) -> String {
    match carrier {
        Carrier::Path => word.to_owned(),
        Carrier::Header => word.replace("%%", "%"),
    }
}

/// Returns these options as a word for haproxy.cfg. In a header, `%` becomes `%%`.
pub(super) fn as_word(kind: CheckKind, options: &str) -> String {
    match kind {
        CheckKind::Served => options.replace('%', "%%"),
        _ => options.to_owned(),
    }
}

pub(super) fn joined(options: &Options) -> Option<String> {
    let words = options.to_words();
    shlex::try_join(words.iter().map(String::as_str)).ok()
}
