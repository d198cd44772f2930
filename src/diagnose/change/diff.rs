//! Turns a change into the diff that diagnose prints, and into the lines that HAProxy tries.

use super::carried::{as_word, carried, carrier, joined, lacks_options, unescaped};
use super::rewrite::{self, rewritten};
use super::words::{set, word_of, written};
use super::{Change, EXPECT, HTTPCHK, Head, SEND, begins, connect_rule, has_head, is_command};

use crate::doctor::survey::{ADDRESS, CheckKind, Surveyed};
use crate::haproxy::call::own_command;
use crate::haproxy::config::backend_lines::Rule;
use crate::haproxy::config::http_check::Request;
use crate::haproxy::config::place::Place;
use crate::options::Options;
use crate::options::handed;
use crate::options::table::Group;

/// A line of a file, before and after the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::diagnose) struct Hunk {
    pub place: Place,
    /// The old line, or `None` if the new line is added after `place`.
    pub old: Option<String>,
    pub new: Option<String>,
}

/// A line about the check or about visitors' requests, before and after the change.
struct Line<'a> {
    /// The line before the change. `None` for a new line.
    old: Option<&'a Rule>,
    /// The words after the change. `None` for a line that is removed.
    new: Option<Vec<String>>,
}

impl Line<'_> {
    /// Returns true for `option httpchk`.
    fn is_httpchk(&self) -> bool {
        self.old.is_some_and(|rule| has_head(rule, HTTPCHK))
    }
}

impl Change {
    /// Returns the lines about the check and about visitors' requests, in their order after the change.
    /// `options` is the word with sni-check's new options.
    fn changed<'a>(&self, surveyed: &'a Surveyed, options: Option<&str>) -> Vec<Line<'a>> {
        let old = &surveyed.lines.rules;
        let added = |line: &Vec<String>| Line {
            old: None,
            new: Some(line.clone()),
        };
        let is_of =
            |rule: &Rule, head: Head| has_head(rule, head) && !surveyed.is_of_other_step(rule);
        let is_new = |head: Head| !old.iter().any(|rule| is_of(rule, head));
        let new = self.rules.iter().filter(|(head, _)| is_new(head));
        let mut new: Vec<_> = new.flat_map(|(_, lines)| lines).collect();
        let mut lines = Vec::new();
        for (at, rule) in old.iter().enumerate() {
            let of_rule = self.rules.iter().find(|(head, _)| is_of(rule, head));
            if let Some((head, new)) = of_rule {
                let number = old[..at].iter().filter(|rule| is_of(rule, head)).count();
                lines.push(Line {
                    old: Some(rule),
                    new: new.get(number).cloned(),
                });
                if !old[at + 1..].iter().any(|rule| is_of(rule, head)) {
                    lines.extend(new.iter().skip(number + 1).map(added));
                }
            } else {
                lines.push(Line {
                    old: Some(rule),
                    new: Some(self.edited(surveyed, rule, options)),
                });
            }
            // The order of http-check lines matters, so add a new line right after its anchor.
            let is_next = |new: &&Vec<String>| {
                anchor(surveyed, new).is_some_and(|anchor| std::ptr::eq(anchor, rule))
            };
            lines.extend(new.extract_if(.., |new| is_next(new)).map(added));
        }
        lines.extend(new.into_iter().map(added));
        lines
    }

    /// Returns the words of a rule after the change.
    fn edited(&self, surveyed: &Surveyed, rule: &Rule, options: Option<&str>) -> Vec<String> {
        let mut words = rule.words.clone();
        let has_request = self.rules.iter().any(|(head, _)| *head == SEND);
        let is_changeable = rule
            .place
            .as_ref()
            .is_some_and(|place| surveyed.lines.is_own(place) || surveyed.refused.contains(place));
        if has_request && is_changeable && in_old_form(rule).is_some() {
            words.truncate(HTTPCHK.len());
        }
        // Several `connect` rules may have the same mistake, so change every rule with the same words.
        if connect_rule(surveyed).is_some_and(|connect| connect.words == rule.words) {
            for (word, value) in &self.connect {
                set(&mut words, 2, word, value.as_deref());
            }
        }
        if let (Some(options), Some(at)) = (options, carrier(surveyed.kind, &rule.words)) {
            options.clone_into(&mut words[at]);
        }
        words
    }

    /// Returns the changed lines.
    pub fn hunks(&self, surveyed: &Surveyed) -> Vec<Hunk> {
        let mut hunks = Vec::new();
        let options = self.options.as_ref();
        let lines = self.changed(surveyed, options.map(|options| options.word.as_str()));
        let write = |word: &str| match options {
            Some(options) if options.word == word => options.written.clone(),
            // A new line may repeat a word whose value is secret.
            _ => {
                let written = surveyed.written.quote_variable(word);
                written.unwrap_or_else(|| word_of(word))
            }
        };
        let own = |line: &Line| {
            let place = line.old?.place.as_ref()?;
            surveyed.lines.is_own(place).then(|| place.clone())
        };
        let changes = |line: &Line| line.new.as_ref() != line.old.map(|old| &old.words);
        let is_rule = |line: &Line| {
            let words = line.new.as_ref().or(line.old.map(|old| &old.words));
            words.is_some_and(|words| ["http-check", "tcp-check"].contains(&words[0].as_str()))
        };
        // Once a backend has an http-check or tcp-check rule, HAProxy ignores all such rules in `defaults`.
        // It also ignores the request of the `option httpchk` in `defaults`. The diff therefore repeats these
        // lines.
        let restored = lines.iter().find_map(|line| {
            let of_defaults = line.old.filter(|_| own(line).is_none() && changes(line));
            in_defaults(surveyed, of_defaults?)
        });
        // The request of `defaults` stays the same, so the backend needn't repeat it.
        let is_restored = |line: &Line| {
            let request = restored.as_ref().map(|(request, _)| request);
            line.old.is_none() && line.new.is_some() && line.new.as_ref() == request
        };
        let replaces = lines
            .iter()
            .any(|line| is_rule(line) && changes(line) && !is_restored(line));
        let needs_option = needs_option(&lines);
        let is_repeated = |line: &Line| is_rule(line) || (needs_option && line.is_httpchk());
        for line in &lines {
            let added = |new: &Vec<String>| {
                let words: Vec<String> = new.iter().map(|word| write(word)).collect();
                format!("    {}", words.join(" "))
            };
            match (line.old, own(line)) {
                _ if is_restored(line) => {}
                (Some(rule), None) if changes(line) && in_old_form(rule).is_some() => {}
                (Some(_), Some(place)) if changes(line) => {
                    let old = place.text();
                    let new = line.new.as_ref().zip(old.as_ref());
                    let variables = &surveyed.variables;
                    let new = new.map(|(new, old)| rewritten(old, new, variables, write));
                    hunks.push(Hunk { place, old, new });
                }
                (Some(_), Some(_)) => {}
                // A backend can't remove a line of `defaults`.
                (Some(rule), None) if line.new.is_none() && !is_rule(line) => {
                    hunks.extend(rule.place.as_ref().map(|place| Hunk {
                        place: place.clone(),
                        old: place.text(),
                        new: None,
                    }));
                }
                (Some(_), None) if changes(line) || (replaces && is_repeated(line)) => {
                    hunks.extend(line.new.as_ref().map(|new| Hunk {
                        place: surveyed.lines.backend.clone(),
                        old: None,
                        new: Some(added(new)),
                    }));
                }
                (Some(_), None) => {}
                (None, _) => hunks.extend(line.new.as_ref().map(|new| Hunk {
                    place: after(surveyed, new).clone(),
                    old: None,
                    new: Some(added(new)),
                })),
            }
        }
        hunks.extend(restored.into_iter().flat_map(|(_, hunks)| hunks));
        self.hunks_of_words(surveyed, &mut hunks);
        hunks.retain(|hunk| hunk.old != hunk.new);
        hunks.sort_by_key(|hunk| (hunk.place.file.clone(), hunk.place.line));
        hunks
    }

    /// Adds the changed server line and the changed `default-server` lines.
    fn hunks_of_words(&self, surveyed: &Surveyed, hunks: &mut Vec<Hunk>) {
        let renamed = self.renamed.iter().map(|renamed| &renamed.place);
        let mut places: Vec<&Place> = renamed.collect();
        for (word, value) in &self.words {
            // The server line can override the values of `default-server`, but some `default-server` words
            // can't be removed on the server line. A removal therefore changes the `default-server` line.
            let place = surveyed
                .inherited_from(word)
                .filter(|_| value.is_none() && !self.on_own_line);
            let place = place.unwrap_or(&surveyed.place);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        for place in places {
            let old = place.text();
            let words = old
                .as_ref()
                .and_then(|old| rewrite::read(old, &surveyed.variables));
            let (Some(old), Some(mut words)) = (old, words) else {
                continue;
            };
            // Skip `server`, the name and the address. `server-template` also has a number.
            let from = match words.first().map(String::as_str) {
                Some("default-server") => 1,
                Some("server-template") => 4,
                _ => 3,
            };
            let is_wrong = |word: &str| {
                let renamed = self.renamed.as_ref().filter(|it| it.place == *place);
                renamed.filter(|renamed| renamed.wrong == word)
            };
            for word in &mut words[from..] {
                if let Some(renamed) = is_wrong(word) {
                    word.clone_from(&renamed.right);
                }
            }
            for (word, value) in &self.words {
                if *word == ADDRESS {
                    // The address is the word right before the position `from`.
                    let address = words.get_mut(from - 1).zip(value.as_ref());
                    if let Some((address, new)) = address {
                        address.clone_from(new);
                    }
                } else if *place == surveyed.place || value.is_none() {
                    set(&mut words, from, word, value.as_deref());
                }
                if self.on_own_line && value.is_none() && surveyed.inherited_from(word).is_some() {
                    words.push(format!("no-{word}"));
                }
            }
            hunks.push(Hunk {
                place: place.clone(),
                new: Some(rewritten(&old, &words, &surveyed.variables, word_of)),
                old: Some(old),
            });
        }
    }

    /// Returns the backend's lines with this change, so that diagnose's own HAProxy can try them. This
    /// HAProxy runs outside the chroot, so `best` must have the host's paths. Returns `None` if the check waits for a response but sends no request, or if
    /// sni-check's options can't be read.
    pub fn lines(&self, surveyed: &Surveyed, best: &Options) -> Option<String> {
        let mut text = String::new();
        if !surveyed.lines.is_http {
            text += "    mode tcp\n";
        }
        let options = match surveyed.kind {
            CheckKind::Served if lacks_options(surveyed) => None,
            CheckKind::External | CheckKind::Served => {
                let (carrier, given) = carried(surveyed)?;
                let given = match &self.options {
                    Some(changed) => unescaped(carrier, &changed.word),
                    None => given,
                };
                let given = handed::options(carrier, given.as_ref()).ok()?;
                let mut options = best.clone();
                options.retain(|row| !OF_ADDRESS.contains(&row.name) && row.group != Group::Output);
                (options.connect, options.port) = (given.connect, given.port);
                Some(as_word(surveyed.kind, &joined(&options)?))
            }
            CheckKind::Own | CheckKind::Other => None,
        };
        let lines = self.changed(surveyed, options.as_deref());
        let is_sent = |line: &Line| line.new.as_ref().is_some_and(|words| begins(words, SEND));
        // In haproxy.cfg, HAProxy ignores the request of the `option httpchk` in `defaults`. Here, all lines
        // are in one backend, so HAProxy would send this request.
        if surveyed.waits_without_request && !lines.iter().any(is_sent) {
            return None;
        }
        for words in lines.into_iter().filter_map(|line| line.new) {
            let words: Vec<String> = match words[..] {
                [ref first, ref second, _] if is_command(&words) => {
                    vec![first.clone(), second.clone(), own_command()]
                }
                _ => words,
            };
            text += &format!("    {}\n", written(&words));
        }
        let mut line = surveyed.lines.clone();
        let words = &mut line.words;
        if let Some(renamed) = &self.renamed {
            words
                .retain(|(word, _)| *word != renamed.wrong && Some(word) != renamed.value.as_ref());
            let value = renamed.value.clone().unwrap_or_default();
            words.push((renamed.right.clone(), value));
        }
        for (word, value) in &self.words {
            if let (&ADDRESS, Some(address)) = (word, value) {
                line.address.clone_from(address);
                continue;
            }
            words.retain(|(known, _)| known != word);
            words.extend(
                value
                    .as_ref()
                    .map(|value| ((*word).to_owned(), value.clone())),
            );
        }
        let words = line.words.iter();
        let words = words.map(|(word, value)| (word.as_str(), value.as_str()));
        Some(text + &line.server_line([("check", "")].into_iter().chain(words)))
    }
}

/// Returns the request of `option httpchk`, if the line contains headers in the old form.
fn in_old_form(rule: &Rule) -> Option<Request> {
    let words = rule.words.get(HTTPCHK.len()..)?;
    Request::in_old_form(words).filter(|_| has_head(rule, HTTPCHK))
}

/// Returns the changes of an `option httpchk` in `defaults` that HAProxy refuses because of its old form. The
/// new lines send the same request, because other backends may inherit them. Also returns the words of the new
/// `http-check send` line.
fn in_defaults(surveyed: &Surveyed, rule: &Rule) -> Option<(Vec<String>, [Hunk; 2])> {
    let place = rule
        .place
        .as_ref()
        .filter(|place| surveyed.refused.contains(place))?;
    let request = in_old_form(rule)?.words();
    let old = place.text()?;
    let indent = &old[..old.len() - old.trim_start().len()];
    let words = request.iter().map(|word| {
        let written = surveyed.written.quote_variable(word);
        written.unwrap_or_else(|| word_of(word))
    });
    let send = words.collect::<Vec<_>>().join(" ");
    let hunk = |old: Option<&String>, new: String| Hunk {
        place: place.clone(),
        old: old.cloned(),
        new: Some(format!("{indent}{new}")),
    };
    let hunks = [hunk(Some(&old), HTTPCHK.join(" ")), hunk(None, send)];
    Some((request, hunks))
}

/// Returns true if the check's request isn't complete without the words of `option httpchk`.
fn needs_option(lines: &[Line]) -> bool {
    let mut new = lines.iter().filter_map(|line| line.new.as_deref());
    let is_whole = |send: &[String]| {
        let mut words = ["meth", "uri", "ver"].into_iter();
        words.all(|word| send.iter().any(|known| known == word))
    };
    !new.find(|words| begins(words, SEND)).is_some_and(is_whole)
}

fn is_option(words: &[String]) -> bool {
    words.first().is_some_and(|word| word == "option")
}

/// Returns the rule after which a new line with these words is added. A new expectation follows the last step
/// of the check. A new request follows the `connect` rule. If no such rule exists, and for all other lines,
/// returns the first `option` line. Returns `None` if there is no `option` line either.
fn anchor<'a>(surveyed: &'a Surveyed, new: &[String]) -> Option<&'a Rule> {
    // The position of `send-state` and `disable-on-404` doesn't matter.
    let is_step = |rule: &&Rule| {
        let words: Vec<&str> = rule.words.iter().map(String::as_str).take(2).collect();
        matches!(words[..], ["http-check", "connect" | "send" | "expect"])
    };
    let rule = match () {
        () if begins(new, EXPECT) => surveyed.rules().rfind(is_step),
        () if begins(new, SEND) => connect_rule(surveyed),
        () => None,
    };
    rule.or_else(|| surveyed.rules().find(|rule| is_option(&rule.words)))
}

/// Returns the place of the anchor. If the anchor isn't in the backend, returns the backend's first line.
fn after<'a>(surveyed: &'a Surveyed, new: &[String]) -> &'a Place {
    let place = anchor(surveyed, new).and_then(|rule| rule.place.as_ref());
    let place = place.filter(|place| surveyed.lines.is_own(place));
    place.unwrap_or(&surveyed.lines.backend)
}

/// The options about the address. In the lines that HAProxy tries, the values of these options come from
/// haproxy.cfg or from the change.
const OF_ADDRESS: [&str; 2] = ["--connect", "--port"];
