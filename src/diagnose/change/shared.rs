//! The part of a change that applies to other servers, because they share a changed line.

use super::Change;
use crate::doctor::survey::{CheckKind, Surveyed};
use crate::options::Options;

/// The words of `default-server` that a server line can switch off with `no-`.
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
    /// Returns the part of the change that also applies to `other`, with the options of that server's check.
    /// Returns `None` if the two servers share no changed line.
    pub fn shared_with(
        &self,
        surveyed: &Surveyed,
        (asked, best): (&Options, &Options),
        other: &Surveyed,
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
        let mut options = other.call.as_ref().ok()?.as_ref().clone();
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

    /// Returns the same change, written only on the server's own line: `no-send-proxy` there leaves the
    /// `send-proxy` of `default-server` to the other servers. Returns `None` if haproxy.cfg can't express that.
    pub fn on_own_line(&self, surveyed: &Surveyed) -> Option<Change> {
        let mut change = self.clone();
        change.on_own_line = true;
        let mut removed = self.words.iter().filter(|(_, value)| value.is_none());
        let can = removed
            .all(|(word, _)| surveyed.inherited_from(word).is_none() || SWITCHES.contains(word));
        let is_own = |change: &Change| {
            let hunks = change.hunks(surveyed);
            hunks.iter().all(|hunk| hunk.place == surveyed.place)
        };
        (can && is_own(&change)).then_some(change)
    }
}
