//! A change of haproxy.cfg that sets the options that helped, on the server line or in its backend.
//! HAProxy tries the change, and diagnose prints it as a diff.

use ureq::http::header;

use crate::causes::facts::Way;
use crate::doctor::survey::{CheckKind, Surveyed};
use crate::haproxy::call::own_command;
use crate::haproxy::config::backend_lines::{Rule, text_of};
use crate::haproxy::config::place::Place;
use crate::haproxy::words::quote;
use crate::options::Options;
use crate::options::handed::{self, Carrier};
use crate::options::table::Group;
use crate::options::values::TlsVersion;
use crate::plan::DEFAULTS;

/// The first words of lines that a change replaces.
type Head = &'static [&'static str];

const TIMEOUT_CHECK: Head = &["timeout", "check"];
const SEND: Head = &["http-check", "send"];
const EXPECT: Head = &["http-check", "expect"];
const SOURCE: Head = &["source"];
/// The first words of the line that sets X-Forwarded-Proto, which says that visitors use HTTPS.
const FORWARDED_PROTO: Head = &["http-request", "set-header", "X-Forwarded-Proto"];

fn has_head(rule: &Rule, head: Head) -> bool {
    let words = rule.words.iter().map(String::as_str);
    rule.words.len() > 1 && words.take(head.len()).eq(head.iter().copied())
}

/// A change of haproxy.cfg for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Words of the server line with their new values. `None` removes the word. A word without a value
    /// has an empty text.
    words: Vec<(&'static str, Option<String>)>,
    /// The new options in `external-check path` or `X-Check-Options`.
    options: Option<String>,
    /// Lines of the backend: their first words, and the lines that replace all lines with these words.
    rules: Vec<(Head, Vec<Vec<String>>)>,
}

/// A line of a file, before and after the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    pub place: Place,
    /// The old line, or `None` if the new line is added after `place`.
    pub old: Option<String>,
    pub new: Option<String>,
}

impl Change {
    /// Returns the change that turns the check's options into `best`. Returns `None` if haproxy.cfg has
    /// no words for it, or if nothing changes.
    pub fn new(surveyed: &Surveyed, asked: &Options, best: &Options) -> Option<Change> {
        let changed = asked.changes(best);
        let names: Vec<&'static str> = changed.iter().map(|row| row.name).collect();
        if names.is_empty() {
            return None;
        }
        let mut change = Change::default();
        match surveyed.kind {
            CheckKind::Own => {
                for name in names {
                    change.set_own_check_option(name, best)?;
                }
            }
            CheckKind::External | CheckKind::Served => {
                let (carrier, text) = carried(surveyed)?;
                let mut given = *handed::options(carrier, text.as_ref()).ok()?;
                given.copy(&changed, best);
                if names.contains(&"--timeout") {
                    change.set_own_check_option("--timeout", best)?;
                }
                change.options = Some(joined(&given)?);
            }
            CheckKind::Other => return None,
        }
        let is_forwarded = |options: &Options| {
            let mut headers = options.header.iter();
            headers.any(|field| field.eq_ignore_ascii_case("X-Forwarded-Proto: https"))
        };
        change.keep_present(surveyed);
        // Visitors' requests need the field, too.
        if surveyed.lines.is_http && is_forwarded(best) && !is_forwarded(asked) {
            let words = FORWARDED_PROTO.iter().copied().chain(["https"]);
            let line = words.map(str::to_owned).collect();
            change.rules.push((FORWARDED_PROTO, vec![line]));
        }
        Some(change)
    }

    /// Returns true if nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Change::default()
    }

    /// Returns the change with which HAProxy's own check talks to the server in another way.
    /// Returns `None` for other kinds of check, and if haproxy.cfg can't express that way.
    pub fn by_way(
        surveyed: &Surveyed,
        asked: &Options,
        best: &Options,
        way: Way,
    ) -> Option<Change> {
        if surveyed.kind != CheckKind::Own {
            return None;
        }
        let mut change = match asked.changes(best).is_empty() {
            true => Change::default(),
            false => Change::new(surveyed, asked, best)?,
        };
        let set = |words: &[(&'static str, &str)]| -> Vec<(&'static str, Option<String>)> {
            let words = words.iter();
            words
                .map(|(word, value)| (*word, Some((*value).to_owned())))
                .collect()
        };
        match way {
            Way::Https => {}
            Way::PlainHttp => {
                let has = |word: &str| {
                    let mut words = surveyed.lines.words.iter();
                    words.any(|(known, _)| known == word)
                };
                // A check of another port has its own words about TLS.
                let of_check = has("check-ssl") && (has("port") || has("addr"));
                let words = match of_check {
                    true => &CHECK_TLS_WORDS[..],
                    false => &TLS_WORDS[..],
                };
                change.words.retain(|(word, _)| !words.contains(word));
                let present = words.iter().filter(|word| has(word));
                change.words.extend(present.map(|word| (*word, None)));
            }
            Way::OldTls => change.words.extend(set(&[
                ("ssl-min-ver", "TLSv1.0"),
                ("ciphers", "ALL:@SECLEVEL=0"),
            ])),
            Way::Http2 => {
                change
                    .words
                    .extend(set(&[("alpn", "h2"), ("check-alpn", "h2")]));
                change.request(best, "HTTP/2");
            }
            Way::WithAgent => {
                let mut best = best.clone();
                let agent = DEFAULTS
                    .iter()
                    .filter(|(name, _)| *name != header::CONNECTION);
                best.header
                    .extend(agent.map(|(name, value)| format!("{name}: {value}")));
                change.request(&best, "HTTP/1.1");
            }
        }
        Some(change)
    }

    /// Returns this change plus the words that visitors' connections need too: the SNI name, and the words
    /// about the connection that helped the check. Returns `None` if nothing changes for visitors.
    pub fn with_traffic(
        &self,
        surveyed: &Surveyed,
        asked: &Options,
        best: &Options,
    ) -> Option<Change> {
        let words = &surveyed.lines.words;
        let has = |wanted: &str| words.iter().any(|(word, _)| word == wanted);
        if !has("ssl") {
            return None;
        }
        let mut change = self.clone();
        if let Some(name) = &best.sni
            && surveyed.sni.as_ref() != Some(name)
        {
            change.words.push(("sni", Some(format!("str({name})"))));
        }
        if best.no_sni && !asked.no_sni {
            change.words.push(("sni", None));
        }
        if best.alpn != asked.alpn && best.alpn.is_some() {
            let alpn = best.alpn.as_ref().map(ToString::to_string);
            change.words.push(("alpn", alpn));
        }
        // HAProxy's own check takes these words from the server line, so its change already has
        // them.
        let names = asked.changes(best).into_iter().map(|row| row.name);
        for name in names.filter(|name| FOR_TRAFFIC.contains(name)) {
            change.set_own_check_option(name, best)?;
        }
        change.keep_present(surveyed);
        (change != *self).then_some(change)
    }

    /// Returns a change that adds a Host header to the request of HAProxy's own check. Returns `None` if
    /// the request has one. Without Host, many servers answer 400 or another site's page.
    pub fn with_host(surveyed: &Surveyed, best: &Options) -> Option<Change> {
        if surveyed.kind != CheckKind::Own || best.handshake_only {
            return None;
        }
        if best.has_header("host") {
            return None;
        }
        let mut change = Change::default();
        change.request(best, "HTTP/1.1");
        Some(change)
    }

    /// Sets one option of HAProxy's own check.
    fn set_own_check_option(&mut self, name: &str, best: &Options) -> Option<()> {
        let switch = |is_set: bool| is_set.then(String::new);
        let version = |version: Option<TlsVersion>| version.map(|version| version.to_string());
        match name {
            "--sni" | "--no-sni" => self.word("check-sni", best.sni.clone()),
            "--verify-host" => self.word("verifyhost", best.verify_host.clone()),
            "--ca-file" => {
                let file = best.ca_file.iter().find(|file| *file != "@bundled");
                let file = file.map_or("@system-ca", String::as_str);
                self.word("ca-file", Some(file.to_owned()));
            }
            "--crt" => self.word("crt", best.crt.clone()),
            "--source" => {
                self.word("source", best.source.as_ref().map(ToString::to_string));
                self.rules.push((SOURCE, Vec::new()));
            }
            "--send-proxy" => self.word("send-proxy", switch(best.send_proxy)),
            "--send-proxy-v2" => self.word("send-proxy-v2", switch(best.send_proxy_v2)),
            "--ssl-min-ver" => self.word("ssl-min-ver", version(best.ssl_min_ver)),
            "--ssl-max-ver" => self.word("ssl-max-ver", version(best.ssl_max_ver)),
            "--alpn" => self.word("check-alpn", best.alpn.as_ref().map(ToString::to_string)),
            "--timeout" => {
                let time = best.timeout.as_ref()?.0.as_millis();
                self.word("inter", Some(format!("{}ms", time + 500)));
                let line = ["timeout", "check", &format!("{time}ms")].map(str::to_owned);
                self.rules.push((TIMEOUT_CHECK, vec![line.into()]));
            }
            "--header" | "--uri" | "--method" | "--body" => self.request(best, "HTTP/1.1"),
            "--expect" => {
                let rules = best.expect.iter().map(|rule| {
                    let words = ["http-check".to_owned(), "expect".to_owned()];
                    [&words[..], &[format!("{rule}")]].concat()
                });
                self.rules.push((EXPECT, rules.collect()));
            }
            _ => return None,
        }
        Some(())
    }

    /// Leaves out the removal of words and lines that haproxy.cfg doesn't have.
    fn keep_present(&mut self, surveyed: &Surveyed) {
        let lines = &surveyed.lines;
        let has_word = |word: &str| lines.words.iter().any(|(known, _)| known == word);
        let has_line = |head: Head| lines.rules.iter().any(|rule| has_head(rule, head));
        self.words
            .retain(|(word, value)| value.is_some() || has_word(word));
        self.rules
            .retain(|(head, lines)| !lines.is_empty() || has_line(head));
    }

    fn word(&mut self, word: &'static str, value: Option<String>) {
        if !self.words.iter().any(|(known, _)| *known == word) {
            self.words.push((word, value));
        }
    }

    /// Sets the request of HAProxy's own check, as one `http-check send`.
    fn request(&mut self, best: &Options, version: &str) {
        self.rules.retain(|(head, _)| *head != SEND);
        let method = best.method.as_deref().unwrap_or("GET");
        let uri = best.uri.as_deref().unwrap_or("/");
        let mut words: Vec<String> = SEND.iter().map(|word| (*word).to_owned()).collect();
        words.extend(["meth", method, "uri", uri, "ver", version].map(str::to_owned));
        // sni-check always sends a Host, and HAProxy's own check sends only what the line says.
        let name = best.sni.as_ref().or(best.target.first());
        let host = name.filter(|_| !best.has_header("host"));
        let host = host.map(|name| format!("Host: {name}"));
        for header in host.iter().chain(&best.header) {
            let field = header.split_once(':');
            // An empty value leaves out a default field, which HAProxy's own check doesn't have.
            if let Some((name, value)) = field.filter(|(_, value)| !value.trim().is_empty()) {
                words.extend(["hdr", name, value.trim()].map(str::to_owned));
            }
        }
        if let Some(body) = &best.body {
            words.extend(["body".to_owned(), body.clone()]);
        }
        self.rules.push((SEND, vec![words]));
    }

    /// Returns the changes in a few words: `check-sni www.example.com`.
    pub fn words(&self) -> String {
        let words = self.words.iter().map(|(word, value)| match value {
            None => format!("without {word}"),
            Some(value) => format!("{word} {value}").trim_end().to_owned(),
        });
        let options = self.options.as_ref().map(|text| format!("`{text}`"));
        let rules = self
            .rules
            .iter()
            .map(|(head, lines)| match lines.is_empty() {
                true => format!("without {}", head.join(" ")),
                false => head.join(" "),
            });
        words
            .chain(options)
            .chain(rules)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Returns the changed lines.
    pub fn hunks(&self, surveyed: &Surveyed) -> Vec<Hunk> {
        let mut hunks = Vec::new();
        for (head, lines) in &self.rules {
            self.hunks_of_rule(surveyed, head, lines, &mut hunks);
        }
        if let Some(options) = &self.options {
            let mut rules = surveyed.lines.rules.iter();
            let rule = rules.find(|rule| carries(surveyed.kind, rule));
            if let Some(rule) = rule {
                let words = self.carried(rule, options);
                replaced(surveyed, rule, &written(&words), &mut hunks);
            }
        }
        if !self.words.is_empty()
            && let Some(old) = text_of(&surveyed.place)
        {
            let mut new = old.clone();
            for (word, value) in &self.words {
                new = edited(&new, word, value.as_deref());
            }
            hunks.push(Hunk {
                place: surveyed.place.clone(),
                old: Some(old),
                new: Some(new),
            });
        }
        hunks.sort_by_key(|hunk| (hunk.place.file.clone(), hunk.place.line));
        hunks
    }

    fn hunks_of_rule(
        &self,
        surveyed: &Surveyed,
        head: Head,
        lines: &[Vec<String>],
        hunks: &mut Vec<Hunk>,
    ) {
        let old = surveyed.lines.rules.iter();
        let mut old = old.filter(|rule| has_head(rule, head));
        let after = after(surveyed, head);
        for line in lines {
            match old.next() {
                Some(rule) => replaced(surveyed, rule, &written(line), hunks),
                None => hunks.push(Hunk {
                    place: after.clone(),
                    old: None,
                    new: Some(format!("    {}", written(line))),
                }),
            }
        }
        for rule in old {
            if let Some(place) = rule
                .place
                .as_ref()
                .filter(|place| surveyed.lines.is_own(place))
            {
                hunks.push(Hunk {
                    place: place.clone(),
                    old: text_of(place),
                    new: None,
                });
            }
        }
    }

    /// Returns the words of a line with the new options of sni-check in it.
    fn carried(&self, rule: &Rule, options: &str) -> Vec<String> {
        let mut words = rule.words.clone();
        let at = match words[0].as_str() {
            "external-check" => Some(2),
            _ => header(&words),
        };
        if let Some(word) = at.and_then(|at| words.get_mut(at)) {
            *word = options.replace(
                '%',
                if rule.words[0] == "external-check" {
                    "%"
                } else {
                    "%%"
                },
            );
        }
        words
    }

    /// Returns the lines of a backend with this change, for the HAProxy that tries them. That HAProxy runs
    /// outside the chroot, so `best` has the host's paths.
    pub fn lines(&self, surveyed: &Surveyed, best: &Options) -> Option<String> {
        let mut text = String::new();
        if !surveyed.lines.is_http {
            text += "    mode tcp\n";
        }
        // The order of http-check lines matters.
        let old = &surveyed.lines.rules;
        let (mut changed, new): (Vec<_>, Vec<_>) =
            (self.rules.iter()).partition(|(head, _)| old.iter().any(|rule| has_head(rule, head)));
        let (last, mut first): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|(head, _)| *head == EXPECT);
        for rule in old {
            if self.rules.iter().any(|(head, _)| has_head(rule, head)) {
                let here = changed.iter().position(|(head, _)| has_head(rule, head));
                text += &here.map_or(String::new(), |at| lines_of(&changed.remove(at).1));
                continue;
            }
            let words = match rule.words.get(1).map(String::as_str) {
                Some("command") if rule.words[0] == "external-check" => {
                    let words = ["external-check".to_owned(), "command".to_owned()];
                    [&words[..], &[own_command()]].concat()
                }
                _ if carries(surveyed.kind, rule) => {
                    let (carrier, given) = carried(surveyed)?;
                    let given = handed::options(carrier, given.as_ref()).ok()?;
                    let mut options = best.clone();
                    options
                        .retain(|row| !ADDRESS.contains(&row.name) && row.group != Group::Output);
                    options.connect = given.connect;
                    self.carried(rule, &joined(&options)?)
                }
                _ => rule.words.clone(),
            };
            text += &format!("    {}\n", written(&words));
            if is_option(&rule.words) {
                text += &first
                    .drain(..)
                    .map(|(_, lines)| lines_of(lines))
                    .collect::<String>();
            }
        }
        let rest = first.into_iter().chain(last);
        text += &rest.map(|(_, lines)| lines_of(lines)).collect::<String>();
        let mut words = surveyed.lines.words.clone();
        for (word, value) in &self.words {
            words.retain(|(known, _)| known != word);
            words.extend(
                value
                    .as_ref()
                    .map(|value| ((*word).to_owned(), value.clone())),
            );
        }
        let words = words.iter();
        let words = words.map(|(word, value)| (word.as_str(), value.as_str()));
        Some(
            text + &surveyed
                .lines
                .server_line([("check", "")].into_iter().chain(words)),
        )
    }
}

/// The options whose words on the server line also apply to visitors' connections.
const FOR_TRAFFIC: [&str; 6] = [
    "--crt",
    "--source",
    "--send-proxy",
    "--send-proxy-v2",
    "--ssl-min-ver",
    "--ssl-max-ver",
];

/// The words of a server line that are about the check's TLS only.
const CHECK_TLS_WORDS: [&str; 3] = ["check-ssl", "check-sni", "check-alpn"];

/// The words of a server line that are about TLS.
const TLS_WORDS: [&str; 14] = [
    "ssl",
    "check-ssl",
    "verify",
    "verifyhost",
    "ca-file",
    "crl-file",
    "crt",
    "sni",
    "check-sni",
    "alpn",
    "check-alpn",
    "ciphers",
    "ssl-min-ver",
    "ssl-max-ver",
];

fn is_option(words: &[String]) -> bool {
    words.first().is_some_and(|word| word == "option")
}

/// Returns the line after which a new line is added. An expectation comes after the other lines of the
/// check. Every other line comes after the line that chooses the check.
fn after(surveyed: &Surveyed, head: Head) -> &Place {
    let is_own = |rule: &&Rule| {
        let place = rule.place.as_ref();
        place.is_some_and(|place| surveyed.lines.is_own(place))
    };
    let own = || surveyed.lines.rules.iter().filter(is_own);
    let mut checks =
        own().filter(|rule| rule.words.first().is_some_and(|word| word == "http-check"));
    let rule = match head == EXPECT {
        true => checks.next_back(),
        false => None,
    };
    let rule = rule.or_else(|| own().find(|rule| is_option(&rule.words)));
    let place = rule.and_then(|rule| rule.place.as_ref());
    place.unwrap_or(&surveyed.lines.backend)
}

/// Lines of a backend as text.
fn lines_of(lines: &[Vec<String>]) -> String {
    let lines = lines.iter().map(|line| format!("    {}\n", written(line)));
    lines.collect()
}

/// The options with which diagnose connects to the server. HAProxy has the server line for that.
const ADDRESS: [&str; 2] = ["--connect", "--port"];

/// Returns true if this line contains the options of sni-check.
fn carries(kind: CheckKind, rule: &Rule) -> bool {
    match kind {
        CheckKind::External => {
            rule.words.len() == 3 && rule.words[..2] == ["external-check", "path"]
        }
        CheckKind::Served => header(&rule.words).is_some(),
        CheckKind::Own | CheckKind::Other => false,
    }
}

/// Returns the position of the value of `X-Check-Options` among the words of an `http-check send`.
fn header(words: &[String]) -> Option<usize> {
    let is_ours = |word: &String| word.eq_ignore_ascii_case("x-check-options");
    words.iter().position(is_ours).map(|at| at + 1)
}

/// Returns the options of sni-check as haproxy.cfg contains them.
fn carried(surveyed: &Surveyed) -> Option<(Carrier, String)> {
    let mut rules = surveyed.lines.rules.iter();
    let rule = rules.find(|rule| carries(surveyed.kind, rule))?;
    Some(match surveyed.kind {
        CheckKind::External => (Carrier::Path, rule.words.get(2)?.clone()),
        _ => {
            let text = rule.words.get(header(&rule.words)?)?;
            (Carrier::Header, text.replace("%%", "%"))
        }
    })
}

fn joined(options: &Options) -> Option<String> {
    let words = options.to_words();
    shlex::try_join(words.iter().map(String::as_str)).ok()
}

/// Joins words into a line of haproxy.cfg. A rule of `expect` has its own quotes.
fn written(words: &[String]) -> String {
    let quotes = |(index, word): (usize, &String)| match words.get(1).map(String::as_str) {
        Some("expect") if index == 2 && words.len() == 3 => word.clone(),
        _ => quote(word),
    };
    words
        .iter()
        .enumerate()
        .map(quotes)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Adds a hunk that replaces a line of the backend, or that overrides a line of `defaults`.
fn replaced(surveyed: &Surveyed, rule: &Rule, new: &str, hunks: &mut Vec<Hunk>) {
    let own = rule
        .place
        .as_ref()
        .filter(|place| surveyed.lines.is_own(place));
    let old = own.and_then(text_of);
    let indent = old
        .as_ref()
        .map_or("    ", |old| &old[..old.len() - old.trim_start().len()]);
    hunks.push(Hunk {
        place: own.unwrap_or(&surveyed.lines.backend).clone(),
        new: Some(format!("{indent}{new}")),
        old,
    });
}

/// Sets, adds or removes a word of a server line. HAProxy uses the last of several equal words, so a
/// word that isn't found as written is added at the end.
pub(super) fn edited(line: &str, word: &str, value: Option<&str>) -> String {
    let (code, comment) = match line.find(" #") {
        Some(at) if !line[..at].contains(['"', '\'']) => line.split_at(at),
        _ => (line, ""),
    };
    let mut parts: Vec<&str> = code.trim_end().split(' ').collect();
    // The first words are `server`, the name and the address. A server may have the name `sni`.
    let words = (0..parts.len()).filter(|at| !parts[*at].is_empty());
    let at = words.skip(3).find(|at| parts[*at] == word);
    let new = value.map(word_of);
    let has_value = !matches!(word, "ssl" | "check-ssl" | "send-proxy" | "send-proxy-v2");
    match (at, &new) {
        (Some(at), Some(new)) if has_value && at + 1 < parts.len() => parts[at + 1] = new,
        (Some(_), Some(_)) | (None, None) => {}
        (Some(at), None) => {
            let end = (at + 1 + usize::from(has_value)).min(parts.len());
            parts.drain(at..end);
        }
        (None, Some(new)) => {
            parts.push(word);
            if has_value {
                parts.push(new);
            }
        }
    }
    parts.join(" ") + comment
}

/// Quotes a value if necessary. `str(www.example.com)` needs no quotes.
fn word_of(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-()/:@,".contains(&byte);
    match !value.is_empty() && value.bytes().all(is_plain) {
        true => value.to_owned(),
        false => quote(value),
    }
}

#[cfg(test)]
mod tests {
    use super::edited;

    #[test]
    fn a_word_of_a_server_line_is_replaced_added_or_removed() {
        let line = "    server s1 192.0.2.1:443 ssl check-sni a check send-proxy # note";
        for (word, value, expected) in [
            (
                "check-sni",
                Some("b"),
                "ssl check-sni b check send-proxy # note",
            ),
            ("check-sni", None, "ssl check send-proxy # note"),
            ("send-proxy", None, "ssl check-sni a check # note"),
            ("sni", Some("str(b)"), "check send-proxy sni str(b) # note"),
            ("send-proxy-v2", Some(""), "send-proxy send-proxy-v2 # note"),
        ] {
            let new = edited(line, word, value);
            assert!(new.ends_with(expected), "{new}");
            assert!(new.starts_with("    server s1 192.0.2.1:443 ssl"), "{new}");
        }
        let named = edited("    server sni 192.0.2.1:443 ssl", "sni", Some("str(b)"));
        assert_eq!(named, "    server sni 192.0.2.1:443 ssl sni str(b)");
    }
}
