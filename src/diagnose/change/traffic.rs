//! The words of a server line that visitors' connections need, too.

use super::{Change, Edit};
use crate::doctor::survey::Surveyed;
use crate::options::Options;

impl Change {
    /// Returns this change plus the words that visitors' connections need too: the SNI name, and the words
    /// about the connection that helped the check. A name that comes from the request may stay as it is, so the
    /// first change keeps it. The list is empty if nothing changes for visitors.
    pub fn with_traffic(
        &self,
        surveyed: &Surveyed,
        asked: &Options,
        best: &Options,
    ) -> Vec<Change> {
        let is_evaluated = surveyed.sends_sni && surveyed.sni.is_none();
        let names = if is_evaluated {
            &[false, true][..]
        } else {
            &[true]
        };
        let changes = names.iter().filter_map(|sets_name| {
            self.with_words_of_traffic(surveyed, (asked, best), *sets_name)
        });
        let mut changes: Vec<Change> = changes.collect();
        changes.dedup();
        changes
    }

    fn with_words_of_traffic(
        &self,
        surveyed: &Surveyed,
        (asked, best): (&Options, &Options),
        sets_name: bool,
    ) -> Option<Change> {
        let words = &surveyed.lines.words;
        let has = |wanted: &str| words.iter().any(|(word, _)| word == wanted);
        if !has("ssl") {
            return None;
        }
        let mut change = self.clone();
        if let Some(name) = best.sni.as_ref().filter(|_| sets_name)
            && surveyed.sni.as_ref() != Some(name)
        {
            change.words.push(("sni", Some(format!("str({name})"))));
        }
        if best.no_sni && !asked.no_sni && sets_name {
            change.words.push(("sni", None));
        }
        if best.alpn != asked.alpn && best.alpn.is_some() {
            let alpn = best.alpn.as_ref().map(ToString::to_string);
            change.words.push(("alpn", alpn));
        }
        let names = asked.changes(best).into_iter().map(|row| row.name);
        for name in names {
            match name {
                "--ca-file" | "--crl-file" | "--crt" | "--send-proxy" | "--send-proxy-v2"
                | "--source" | "--ssl-min-ver" | "--ssl-max-ver" => {
                    change.set_word(name, best);
                }
                // A handshake that takes long for the check takes long for visitors, too.
                "--timeout" => change.raise_timeout_connect(surveyed, best)?,
                _ => {}
            }
        }
        let is_new = |(word, value): &Edit| {
            let mut present = words.iter().rev();
            let present = present.find(|(present, _)| present == word);
            present.map(|(_, value)| value) != value.as_ref()
        };
        change.words.retain(is_new);
        change.keep_present(surveyed);
        (change != *self).then_some(change)
    }
}
