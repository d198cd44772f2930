//! Finds the part of a change that also applies to another server, because both servers share a changed line.

use super::Change;
use crate::doctor::survey::{CheckKind, Surveyed};
use crate::options::Options;

/// Words of `default-server` that a server line can switch off with `no-`.
const SWITCHES: [&str; 7] = [
    "check-send-proxy",
    "check-ssl",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "ssl",
];

impl Change {
    /// Returns the part of the change that also applies to `other`, and the options of that server's check
    /// after the change. `options` are the options of the check of `other` before the change. Returns `None`
    /// if the two servers share no changed line.
    pub fn shared_with(
        &self,
        surveyed: &Surveyed,
        (asked, best): (&Options, &Options),
        other: &Surveyed,
        options: &Options,
    ) -> Option<(Change, Options)> {
        let is_template = surveyed.place == other.place;
        let shares_word = |word: &str, is_removed: bool| {
            let own = surveyed.inherited_from(word);
            let is_shared = own.is_some() && own == other.inherited_from(word);
            is_template || (is_removed && !self.on_own_line && is_shared)
        };
        let hunks = self.hunks(surveyed);
        let of_rules = hunks.iter().any(|hunk| {
            let mut rules = other.lines.rules.iter();
            match hunk.old {
                Some(_) => rules.any(|rule| rule.place.as_ref() == Some(&hunk.place)),
                None => surveyed.backend == other.backend,
            }
        });
        let mut part = Change::default();
        let words = self.words.iter();
        let words = words.filter(|(word, value)| shares_word(word, value.is_none()));
        part.words = words.cloned().collect();
        let mut options = options.clone();
        if of_rules {
            part.connect.clone_from(&self.connect);
            part.options.clone_from(&self.options);
            part.rules.clone_from(&self.rules);
            if other.kind != CheckKind::Own {
                options.copy(&asked.changes(best), best);
            }
        }
        (!part.is_empty()).then_some((part, options))
    }

    /// Returns true if the change replaces the kind of check, so that a server that works may get a check that
    /// sees less.
    pub fn replaces_check(&self) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|(head, lines)| {
            let is_option = head.first() == Some(&"option");
            is_option
                && lines
                    .iter()
                    .any(|line| line.get(1).map(String::as_str) != head.get(1).copied())
        })
    }

    /// Returns both changes as one. Returns `None` if they contradict each other in the backend's lines or in
    /// the options. On the server line, this change wins.
    pub fn joined(&self, part: &Change) -> Option<Change> {
        /// Adds the new entries of `other` to `one`. Returns `None` if both have different values for a key.
        fn join<K: PartialEq + Clone, V: PartialEq + Clone>(
            one: &mut Vec<(K, V)>,
            other: &[(K, V)],
        ) -> Option<()> {
            for (key, value) in other {
                match one.iter().find(|(known, _)| known == key) {
                    Some((_, known)) if known != value => return None,
                    Some(_) => {}
                    None => one.push((key.clone(), value.clone())),
                }
            }
            Some(())
        }
        let mut change = self.clone();
        join(&mut change.connect, &part.connect)?;
        join(&mut change.rules, &part.rules)?;
        match (&self.options, &part.options) {
            (Some(own), Some(other)) if own != other => return None,
            (own, other) => change.options = own.clone().or(other.clone()),
        }
        // The words on the server's own line override the words that it inherits.
        let inherited = part.words.iter();
        let inherited = inherited.filter(|(word, _)| !self.words.iter().any(|own| own.0 == *word));
        change.words.extend(inherited.cloned());
        Some(change)
    }

    /// Returns this change, moved to the server's own line as far as possible. For example, `no-send-proxy`
    /// on that line switches off the `send-proxy` of `default-server` for this server only. An `sni` in a
    /// `connect` rule moves to `check-sni` on the server line. The rule gets `default` instead, so that
    /// HAProxy uses the `check-sni` of each server. Returns `None` if haproxy.cfg can't express the moved
    /// change, or if the diff would stay the same.
    pub fn on_own_line(&self, surveyed: &Surveyed) -> Option<Change> {
        let mut change = self.clone();
        change.on_own_line = true;
        for (word, value) in &mut change.connect {
            if *word == "sni"
                && let Some(name) = value.take()
            {
                change.words.push(("check-sni", Some(name)));
            }
        }
        if change.connect != self.connect {
            change.connect.push(("default", Some(String::new())));
        }
        let mut removed = self.words.iter().filter(|(_, value)| value.is_none());
        let can = removed
            .all(|(word, _)| surveyed.inherited_from(word).is_none() || SWITCHES.contains(word));
        (can && change.hunks(surveyed) != self.hunks(surveyed)).then_some(change)
    }
}
