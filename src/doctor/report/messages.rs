//! HAProxy's own messages about a configuration. doctor shows each message with the finding that it belongs
//! to.

use crate::haproxy::program::{place_in, text_of};

use super::many;
use crate::doctor::finding::{Effect, Finding};

/// The id of the finding which says that HAProxy refuses the configuration.
const REFUSED: &str = "refused";

/// How many messages [`merged`] returns at most. The first errors often cause the others.
const MOST: usize = 4;

/// Adds each message to the finding that it is about. Adds the remaining errors to the finding which says
/// that HAProxy doesn't start (`refused` or `unset-variables`). Removes the finding `refused` if other
/// findings explain every error. Returns the messages that belong to no finding.
pub(crate) fn fold(findings: &mut Vec<Finding>, says: &[String]) -> Vec<String> {
    let mut left: Vec<&str> = Vec::new();
    for line in says.iter().filter(|line| !says_nothing(line)) {
        match findings.iter_mut().find(|found| is_about(found, line)) {
            Some(found) => add(found, text_of(line)),
            None => left.push(line),
        }
    }
    let is_error = |line: &&str| line.starts_with("[ALERT]");
    let explains = |found: &Finding| {
        let text = |line: &String| is_error(&line.as_str()) && says_of(found, text_of(line));
        found.id != REFUSED && found.effect == Effect::NoStart && says.iter().any(text)
    };
    let is_explained = findings.iter().any(explains);
    let (errors, mut others): (Vec<&str>, Vec<&str>) = left.into_iter().partition(is_error);
    findings.retain(|found| found.id != REFUSED || !is_explained || !errors.is_empty());
    let is_stop = |found: &&mut Finding| {
        found.id == REFUSED || (found.id == "unset-variables" && found.effect == Effect::NoStart)
    };
    match findings.iter_mut().find(is_stop) {
        Some(found) => {
            let errors: Vec<&str> = errors
                .into_iter()
                .filter(|line| !says_of(found, text_of(line)))
                .collect();
            found.haproxy.extend(merged(&errors));
        }
        None => others = [errors, others].concat(),
    }
    merged(&others)
}

/// Returns true if a message says only that the configuration has errors.
fn says_nothing(line: &str) -> bool {
    let text = text_of(line);
    let empty = ["Error(s) found in configuration file", "Fatal errors found"];
    empty.iter().any(|empty| text.starts_with(empty))
}

/// Returns true if the finding already contains this message.
fn says_of(found: &Finding, text: &str) -> bool {
    let mut known = found.haproxy.iter();
    known.any(|known| known == text) || found.what.contains(text) || found.shows.contains(text)
}

fn is_about(found: &Finding, line: &str) -> bool {
    let text = text_of(line);
    let names = || {
        let mut quoted = found.what.split('`').skip(1).step_by(2);
        quoted.any(|word| text.contains(&format!("'{word}'")))
    };
    match (place_in(line), &found.place) {
        _ if says_of(found, text) => true,
        (Some((file, line)), Some(place)) => *place.file == *file && place.line == line,
        (None, _) => names(),
        _ => false,
    }
}

fn add(found: &mut Finding, text: &str) {
    if !says_of(found, text) {
        found.haproxy.push(text.to_owned());
    }
}

/// Messages with the same text.
struct Group<'a> {
    text: &'a str,
    /// File and line of the first message.
    place: Option<(&'a str, usize)>,
    count: usize,
}

impl Group<'_> {
    fn line(&self) -> String {
        let text = self.text;
        match (self.place, self.count - 1) {
            (Some((file, line)), 0) => format!("{file}:{line}: {text}"),
            (Some((file, line)), others) => {
                format!("{file}:{line} and {}: {text}", many(others, "other line"))
            }
            (None, _) => text.to_owned(),
        }
    }
}

/// Merges messages that differ only in their line and server. Returns at most `MOST` merged messages, and a
/// line with the number of messages that it left out.
fn merged(lines: &[&str]) -> Vec<String> {
    let mut groups: Vec<Group> = Vec::new();
    for line in lines {
        let text = without_server(text_of(line));
        match groups.iter_mut().find(|known| known.text == text) {
            Some(known) => known.count += 1,
            None => groups.push(Group {
                text,
                place: place_in(line),
                count: 1,
            }),
        }
    }
    let more = groups.len().saturating_sub(MOST);
    let mut texts: Vec<String> = groups.iter().take(MOST).map(Group::line).collect();
    if more > 0 {
        texts.push(format!(
            "{} (haproxy -c -f FILE shows them)",
            many(more, "more message")
        ));
    }
    texts
}

/// Removes the name of the server from the start of a message: `'server be/s' : …`.
fn without_server(text: &str) -> &str {
    let rest = text
        .strip_prefix("'server ")
        .and_then(|rest| rest.split_once("' : "));
    rest.map_or(text, |(_, text)| text)
}
