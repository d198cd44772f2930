//! Finds the changes that make visitors' connections more like the check's connection.

use super::{
    Change, Edit, FORCED_VERSIONS, PROXY_WORDS, SET_HOST, TIMEOUT_CONNECT, has_head, line,
};
use crate::doctor::survey::{CheckKind, Surveyed};
use crate::haproxy::config::backend_lines::Rule;
use crate::options::Options;
use crate::options::values::Verify;

/// The options about TLS, in groups. Each group counts as one difference.
const OF_TLS: [&[&str]; 5] = [
    &["--ca-file", "--crl-file"],
    &["--crt"],
    &["--ssl-min-ver", "--ssl-max-ver"],
    &["--alpn"],
    &["--sni"],
];
/// The other options that may differ. `--header` is here because visitors' requests may have a different
/// Host.
const OTHERS: [&str; 4] = ["--send-proxy", "--source", "--timeout", "--header"];

/// The highest index of a difference that diagnose combines with another difference.
const IN_PAIRS: usize = 5;

impl Change {
    /// Returns extended versions of this change. By itself, the change makes the check UP but leaves visitors
    /// with an error. The extended versions make visitors' connections more like those of a check with these
    /// `options`. The first versions remove one difference each, later versions remove two, and the last
    /// version removes all. The version before the last removes all differences except the SNI name, because
    /// visitors' connections may take that name from the request.
    pub fn for_visitors(&self, surveyed: &Surveyed, options: &Options) -> Vec<Change> {
        let differences = self.differences(surveyed, options);
        let mut sets: Vec<Vec<&Change>> = differences.iter().map(|one| vec![one]).collect();
        for (at, first) in differences.iter().enumerate().take(IN_PAIRS) {
            let others = differences[at + 1..].iter().take(IN_PAIRS - at);
            sets.extend(others.map(|second| vec![first, second]));
        }
        let is_name = |change: &&Change| change.sni().is_some();
        sets.push(differences.iter().filter(|one| !is_name(one)).collect());
        sets.push(differences.iter().collect());
        let mut changes: Vec<Change> = Vec::new();
        for set in sets {
            let all = set.into_iter().cloned();
            let change = all.fold(self.clone(), Change::with);
            if change != *self && !changes.contains(&change) {
                changes.push(change);
            }
        }
        changes
    }

    /// Returns the name that visitors ask for, and the Host that this change sets in their requests. Returns
    /// `None` if the change sets no Host, or if [`visited_site`] finds no name.
    pub fn hosts_of_visitors(&self, surveyed: &Surveyed) -> Option<(String, String)> {
        let mut rules = self.rules.iter().filter(|(head, _)| *head == SET_HOST);
        let host = rules.next()?.1.first()?.last()?;
        let visited = visited_site(surveyed)?;
        Some((visited.to_owned(), host.clone()))
    }

    /// Returns one change for each difference between the check and visitors' connections. The change of the
    /// SNI name comes last. If the server line has no `ssl`, one change adds all words about TLS.
    fn differences(&self, surveyed: &Surveyed, options: &Options) -> Vec<Change> {
        let of = |names: &[&str]| {
            let mut change = Change::default();
            for name in names {
                change.set_for_visitors(self, surveyed, (name, options));
            }
            change
        };
        let mut found: Vec<Change> = OTHERS.iter().map(|name| of(&[name])).collect();
        if self.value(surveyed, "ssl").is_some() {
            found.extend(OF_TLS.iter().map(|names| of(names)));
        } else {
            let mut encrypted = of(&OF_TLS.concat());
            let verify = match options.verify {
                Some(Verify::None) => "none",
                _ => "required",
            };
            let words = [("ssl", ""), ("verify", verify)].into_iter();
            let words = words.map(|(word, value)| (word, Some(value.to_owned())));
            encrypted.words.splice(0..0, words);
            found.push(encrypted);
        }
        for change in &mut found {
            let is_new = |(word, value): &Edit| self.value(surveyed, word) != value.as_deref();
            change.words.retain(is_new);
            change.keep_present(surveyed);
        }
        found.retain(|change| !change.is_empty());
        found
    }

    /// Returns the value that a word of the server line has after this change. Returns `None` if the changed
    /// line doesn't have the word.
    fn value<'a>(&'a self, surveyed: &'a Surveyed, wanted: &str) -> Option<&'a str> {
        if let Some((_, value)) = self.words.iter().find(|(word, _)| *word == wanted) {
            return value.as_deref();
        }
        let mut words = surveyed.lines.words.iter().rev();
        let (_, value) = words.find(|(word, _)| word == wanted)?;
        Some(value)
    }

    /// Adds the words and lines that make visitors' connections use the option `name` in the same way as a
    /// check with these `options`. `base` is the change to extend.
    fn set_for_visitors(
        &mut self,
        base: &Change,
        surveyed: &Surveyed,
        (name, options): (&str, &Options),
    ) {
        // HAProxy's own check and visitors' connections share most words of the server line.
        let is_shared = surveyed.kind == CheckKind::Own;
        match name {
            "--alpn" if is_shared => {
                let alpn = base.value(surveyed, "check-alpn");
                self.word("alpn", alpn.map(str::to_owned));
            }
            "--alpn" => {
                self.word("alpn", options.alpn.as_ref().map(ToString::to_string));
                self.word("proto", None);
            }
            "--sni" => match (&options.sni, &options.verify_host) {
                // HAProxy compares the certificate with `verifyhost` only if the connection sends no SNI.
                (Some(name), Some(other)) if name != other && options.verify.is_none() => {
                    self.word("sni", None);
                    self.word("verifyhost", Some(other.clone()));
                }
                (Some(name), _) => self.word("sni", Some(format!("str({name})"))),
                // Without SNI and `verifyhost`, HAProxy verifies only that a CA has signed the certificate.
                (None, Some(name)) => {
                    self.word("sni", None);
                    self.word("verifyhost", Some(name.clone()));
                }
                (None, None) => {}
            },
            "--send-proxy" => {
                let wanted = match (options.send_proxy, options.send_proxy_v2) {
                    (_, true) => "send-proxy-v2",
                    (true, false) => "send-proxy",
                    (false, false) => "",
                };
                for word in PROXY_WORDS {
                    let value = (word == wanted).then(String::new);
                    self.word(word, value);
                }
            }
            // If the check needs more time to connect, visitors need more time, too.
            "--timeout" => {
                if !base.rules.iter().any(|(head, _)| *head == TIMEOUT_CONNECT) {
                    _ = self.raise_timeout_connect(surveyed, options);
                }
            }
            "--header" => {
                let host = options.header_value("host");
                let Some(host) = host.or(options.sni.as_deref()) else {
                    return;
                };
                let is_other = |rule: &Rule| match rule.words.get(SET_HOST.len()..) {
                    Some([fixed]) => {
                        has_head(rule, SET_HOST) && !fixed.contains('%') && fixed != host
                    }
                    _ => false,
                };
                let visited = visited_site(surveyed);
                let is_visited = visited.is_some_and(|visited| visited != host);
                if is_visited || surveyed.rules().any(is_other) {
                    self.set_lines(SET_HOST, vec![line(SET_HOST, [host])]);
                }
            }
            _ if is_shared => {}
            "--ca-file" if options.verify == Some(Verify::None) => {}
            "--crl-file" if options.crl_file.is_empty() => {}
            "--ssl-min-ver" => {
                for word in FORCED_VERSIONS {
                    self.word(word, None);
                }
                _ = self.set_word(surveyed, name, options);
            }
            _ => _ = self.set_word(surveyed, name, options),
        }
    }
}

/// Returns the name that visitors ask for, if they ask for only one name, and if HAProxy sends this name to
/// the server in both SNI and Host.
fn visited_site(surveyed: &Surveyed) -> Option<&str> {
    let is_given = surveyed.rules().any(|rule| has_head(rule, SET_HOST));
    let [visited] = surveyed.hosts.as_slice() else {
        return None;
    };
    let is_sent = surveyed.sni.as_ref() == Some(visited);
    (surveyed.lines.is_http && is_sent && !is_given).then_some(visited)
}
