//! A change of haproxy.cfg, on the server line or in the backend. It sets the options that helped, or makes
//! an edit that the configuration itself suggests. HAProxy tries the change, and diagnose prints it as a
//! diff.

mod carried;
pub(super) mod diff;
mod rewrite;
mod shared;
mod traffic;
mod words;

use ureq::http::header;

use self::carried::{Carried, carried};

use crate::causes::facts::Way;
use crate::doctor::survey::{CheckKind, Edit, NewLine, Surveyed, is_evaluated};
use crate::haproxy::call::own_command;
use crate::haproxy::config::backend_lines::Rule;
use crate::haproxy::config::http_check::Request;
use crate::haproxy::words::split_value;
use crate::options::Options;
use crate::options::handed;
use crate::options::values::{Time, TlsVersion};
use crate::plan::DEFAULTS;

/// The first words of a line. A change replaces the lines that begin with them.
type Head = &'static [&'static str];

const TIMEOUT_CHECK: Head = &["timeout", "check"];
const TIMEOUT_CONNECT: Head = &["timeout", "connect"];
const HTTPCHK: Head = &["option", "httpchk"];
const SEND: Head = &["http-check", "send"];
const EXPECT: Head = &["http-check", "expect"];
const COMMAND: Head = &["external-check", "command"];
const SEND_STATE: Head = &["http-check", "send-state"];
const SOURCE: Head = &["source"];
/// The first words of the line that changes the Host of visitors' requests.
const SET_HOST: Head = &["http-request", "set-header", "Host"];
/// The first words of the line that sets X-Forwarded-Proto, which tells the server that visitors use HTTPS.
const FORWARDED_PROTO: Head = &["http-request", "set-header", "X-Forwarded-Proto"];

fn begins(words: &[String], head: Head) -> bool {
    let first = words.iter().map(String::as_str).take(head.len());
    words.len() > 1 && first.eq(head.iter().copied())
}

/// Returns true for `external-check command FILE`.
pub(super) fn is_command(words: &[String]) -> bool {
    words.len() > 2 && begins(words, COMMAND)
}

fn has_head(rule: &Rule, head: Head) -> bool {
    begins(&rule.words, head)
}

/// The difference between the check's own time limit and HAProxy's longer limits, such as `inter`, in
/// milliseconds.
const SPARE: u128 = 500;

/// Returns a `timeout` line with this time in milliseconds.
fn timeout(head: Head, time: u128) -> Vec<Vec<String>> {
    let words = head.iter().map(|word| (*word).to_owned());
    vec![words.chain([format!("{time}ms")]).collect()]
}

/// A change of haproxy.cfg for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// The words to change on the server line, each with its new value. `None` removes the word. The value
    /// of a switch, such as `ssl`, is empty.
    words: Vec<Edit>,
    /// The words to change in the check's `connect` rule, in the form of `words`.
    connect: Vec<Edit>,
    /// The new options in `external-check path` or `X-Check-Options`.
    options: Option<Carried>,
    /// The changes of lines in the backend. Each entry has the first words of the old lines, and the lines
    /// that replace them. An empty list removes the old lines.
    rules: Vec<(Head, Vec<Vec<String>>)>,
    /// True if the change leaves `default-server` as it is. Instead, `no-` words on the server's own line
    /// switch off words of `default-server`.
    on_own_line: bool,
}

impl Change {
    /// Returns the change that gives the check the options `best` instead of `asked`. Returns `None` if the
    /// options don't differ, or if haproxy.cfg can't express the change.
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
                    change.set_own_check_option(surveyed, name, best)?;
                }
            }
            CheckKind::External | CheckKind::Served => {
                let (carrier, text) = carried(surveyed)?;
                let mut given = *handed::options(carrier, text.as_ref()).ok()?;
                given.copy(&changed, best);
                if names.contains(&"--timeout") {
                    change.set_time(surveyed, best)?;
                }
                change.options = Some(Carried::new(surveyed, &changed, &given)?);
            }
            CheckKind::Other => return None,
        }
        let is_forwarded = |options: &Options| {
            let mut headers = options.header.iter();
            headers.any(|field| field.eq_ignore_ascii_case("X-Forwarded-Proto: https"))
        };
        change.keep_present(surveyed);
        // Visitors' requests need this header, too.
        if surveyed.lines.is_http && is_forwarded(best) && !is_forwarded(asked) {
            let words = FORWARDED_PROTO.iter().copied().chain(["https"]);
            let line = words.map(str::to_owned).collect();
            change.rules.push((FORWARDED_PROTO, vec![line]));
        }
        Some(change)
    }

    /// Returns the change that makes HAProxy run this sni-check instead of another program.
    pub fn of_command(rule: &Rule) -> Change {
        let mut words = rule.words.clone();
        words[2] = own_command();
        Change {
            rules: vec![(COMMAND, vec![words])],
            ..Change::default()
        }
    }

    /// Returns a change that removes the address and port from the check's options, so that sni-check
    /// connects where visitors do. Also returns the reason, as text for the report. Returns `None` if the
    /// check already connects there, or if haproxy.cfg has no options of sni-check with an address or port.
    pub fn without_address(surveyed: &Surveyed) -> Option<(Change, String)> {
        let reason = surveyed.elsewhere.clone()?;
        let (carrier, text) = carried(surveyed)?;
        let written = *handed::options(carrier, text.as_ref()).ok()?;
        let mut given = written.clone();
        (given.connect, given.port) = (None, None);
        let changed = written.changes(&given);
        let change = Change {
            options: Some(Carried::new(surveyed, &changed, &given)?),
            ..Change::default()
        };
        (!changed.is_empty()).then_some((change, reason))
    }

    /// Returns the change that removes this word from the server line.
    pub fn without(word: &'static str) -> Change {
        Change {
            words: vec![(word, None)],
            ..Change::default()
        }
    }

    /// Returns true if the change removes the check's own address or port, so that the check connects where
    /// visitors do.
    pub fn is_move(&self, surveyed: &Surveyed) -> bool {
        let mut edits = self.words.iter().chain(&self.connect);
        let is_address = |(word, value): &Edit| ["addr", "port"].contains(word) && value.is_none();
        let moved = Change::without_address(surveyed);
        edits.any(is_address) || moved.is_some_and(|(moved, _)| moved.options == self.options)
    }

    /// Returns true if the change makes the check connect with TLS.
    pub fn adds_tls(&self) -> bool {
        let mut edits = self.words.iter().chain(&self.connect);
        edits.any(|(word, value)| ["ssl", "check-ssl"].contains(word) && value.is_some())
    }

    /// Returns true if nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Change::default()
    }

    /// Adds another change. If both change the same word, the same lines or the options, the other change
    /// wins.
    pub fn with(self, other: Change) -> Change {
        let mut change = self.with_edits(&other.words, &other.connect);
        let is_new = |(head, _): &(Head, _)| !other.rules.iter().any(|(new, _)| new == head);
        change.rules.retain(is_new);
        change.rules.extend(other.rules);
        change.options = other.options.or(change.options);
        change
    }

    /// Adds changes of words on the server line and in the check's `connect` rule. They replace earlier
    /// changes of the same words.
    pub fn with_edits(mut self, words: &[Edit], connect: &[Edit]) -> Change {
        self.words
            .retain(|(word, _)| !words.iter().any(|(new, _)| new == word));
        self.words.extend_from_slice(words);
        self.connect
            .retain(|(word, _)| !connect.iter().any(|(new, _)| new == word));
        self.connect.extend_from_slice(connect);
        self
    }

    /// Returns the change that sets the options `best` and makes HAProxy's own check talk to the server in
    /// this way, such as in plain HTTP. Returns `None` for other kinds of check, or if haproxy.cfg can't
    /// express the change.
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
            // If the check connects elsewhere, the change must not affect visitors' TLS.
            Way::PlainHttp if connect_rule(surveyed).is_some() && surveyed.elsewhere.is_some() => {
                let words = ["ssl", "sni", "alpn"];
                change.connect = words.map(|word| (word, None)).to_vec();
            }
            Way::PlainHttp => {
                let words = match surveyed.elsewhere.is_some() {
                    true => &CHECK_TLS_WORDS[..],
                    false => &TLS_WORDS[..],
                };
                change.words.retain(|(word, _)| !words.contains(word));
                let present = words.iter().filter(|word| surveyed.has_word(word));
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
                change.request((best, "HTTP/2"), evaluated_host(surveyed));
            }
            Way::WithAgent => {
                let mut best = best.clone();
                let agent = DEFAULTS
                    .iter()
                    .filter(|(name, _)| *name != header::CONNECTION);
                best.header
                    .extend(agent.map(|(name, value)| format!("{name}: {value}")));
                change.request((&best, "HTTP/1.1"), evaluated_host(surveyed));
            }
        }
        Some(change)
    }

    /// Drops the removals of words and lines that haproxy.cfg doesn't have.
    fn keep_present(&mut self, surveyed: &Surveyed) {
        let has_line = |head: Head| surveyed.rules().any(|rule| has_head(rule, head));
        self.words
            .retain(|(word, value)| value.is_some() || surveyed.has_word(word));
        self.rules
            .retain(|(head, lines)| !lines.is_empty() || has_line(head));
    }

    /// Returns the change with which the check verifies another name and still sends no SNI. HAProxy also
    /// verifies this name for visitors' connections without SNI. Returns `None` if the check isn't HAProxy's
    /// own, sends SNI or verifies no name, if the name stays the same, or if haproxy.cfg can't express the
    /// change.
    pub fn of_verified_name(
        surveyed: &Surveyed,
        asked: &Options,
        best: &Options,
    ) -> Option<Change> {
        let verified = asked.verify_host.as_ref().filter(|_| asked.no_sni)?;
        let name = best.sni.as_ref().or(best.verify_host.as_ref())?;
        if surveyed.kind != CheckKind::Own || verified == name {
            return None;
        }
        let mut options = best.clone();
        options.no_sni = true;
        options.sni = None;
        options.verify_host = Some(name.clone());
        Change::new(surveyed, asked, &options)
    }

    /// Returns this change, plus a Host header in the request of HAProxy's own check. Many servers answer a
    /// request without Host with 400 or with another site's page. The header also replaces a log-format Host,
    /// such as `%[srv_name]`. Returns `None` if the check isn't HAProxy's own, sends no request, or already
    /// has this Host.
    pub fn with_host(&self, surveyed: &Surveyed, best: &Options) -> Option<Change> {
        let is_fixed = surveyed.kind != CheckKind::Own || best.handshake_only;
        if is_fixed || best.has_header("host") {
            return None;
        }
        let mut change = self.clone();
        change.request((best, "HTTP/1.1"), None);
        (change != *self).then_some(change)
    }

    /// Returns this change, with `request` as the request of HAProxy's own check.
    pub fn with_request(mut self, request: &Request) -> Change {
        self.rules.retain(|(head, _)| *head != SEND);
        self.rules.push((SEND, vec![request.words()]));
        self
    }

    /// Returns this change, plus HTTP/1.1 and a Host header in the request of HAProxy's own check. A check
    /// that sends no request stays as it is.
    pub fn with_http11(mut self, surveyed: &Surveyed, best: &Options) -> Change {
        if !best.handshake_only {
            self.request((best, "HTTP/1.1"), evaluated_host(surveyed));
        }
        self
    }

    /// Adds lines to the backend. They replace lines of this change that begin with the same words.
    pub fn with_lines(mut self, lines: &[NewLine]) -> Change {
        for (head, line) in lines {
            self.rules.retain(|(known, _)| known != head);
            self.rules.push((head, vec![line.clone()]));
        }
        self
    }

    /// Returns this change. If a check by `sni-check serve` lacks `http-check send-state`, adds that line.
    pub fn with_state(mut self, surveyed: &Surveyed) -> Change {
        let has_state = surveyed.rules().any(|rule| has_head(rule, SEND_STATE));
        if surveyed.kind == CheckKind::Served && !has_state {
            let line = SEND_STATE.iter().map(|word| (*word).to_owned()).collect();
            self.rules.push((SEND_STATE, vec![line]));
        }
        self
    }

    /// Sets one option of HAProxy's own check. Returns `None` if haproxy.cfg can't express the option.
    fn set_own_check_option(
        &mut self,
        surveyed: &Surveyed,
        name: &str,
        best: &Options,
    ) -> Option<()> {
        // Without `default`, a `connect` rule ignores the server line's words about SNI, ALPN and the PROXY
        // header.
        let connect = connect_rule(surveyed);
        let has = |rule: &Rule, wanted: &str| rule.words.iter().any(|word| word == wanted);
        let ruled =
            |word: &str| connect.is_some_and(|rule| has(rule, word) || !has(rule, "default"));
        let switch = |is_set: bool| is_set.then(String::new);
        match name {
            "--sni" | "--no-sni" if ruled("sni") => self.ruled("sni", best.sni.clone()),
            "--sni" | "--no-sni" => self.word("check-sni", best.sni.clone()),
            // Without --verify-host, verify the SNI name: visitors' connections may send no SNI, and HAProxy
            // would then verify no name.
            "--verify-host" => {
                let name = best.verify_host.as_ref().or(best.sni.as_ref());
                self.word("verifyhost", name.cloned());
            }
            "--send-proxy" | "--send-proxy-v2" => {
                let elsewhere = ["port", "addr"].map(|word| surveyed.has_word(word));
                let is_set = best.send_proxy || best.send_proxy_v2;
                match ruled("send-proxy") {
                    true => self.ruled("send-proxy", switch(is_set)),
                    false if elsewhere.contains(&true) => {
                        self.word("check-send-proxy", switch(is_set));
                    }
                    // Without `port` and `addr`, the check sends the PROXY header if any `send-proxy` word is
                    // present.
                    false if !is_set => {
                        for word in PROXY_WORDS {
                            self.word(word, None);
                        }
                    }
                    false => self.set_word(name, best),
                }
                // The server line decides which version of the header HAProxy sends.
                let mut versions = ["send-proxy", "send-proxy-v2"].into_iter();
                if best.send_proxy_v2 && !versions.any(|word| surveyed.has_word(word)) {
                    self.set_word("--send-proxy-v2", best);
                }
            }
            "--ca-file" | "--crl-file" | "--crt" | "--source" | "--ssl-min-ver"
            | "--ssl-max-ver" => self.set_word(name, best),
            "--alpn" => {
                let alpn = best.alpn.as_ref().map(ToString::to_string);
                // Without `check-alpn`, the check offers the `alpn` list of the server line.
                if alpn.is_none() {
                    self.word("alpn", None);
                }
                match ruled("alpn") {
                    true => self.ruled("alpn", alpn),
                    false => self.word("check-alpn", alpn),
                }
            }
            "--timeout" => self.set_time(surveyed, best)?,
            "--header" | "--uri" | "--method" | "--body" => {
                self.request((best, "HTTP/1.1"), evaluated_host(surveyed));
            }
            "--expect" => {
                let rules = best.expect.iter().map(|rule| {
                    let words = split_value(&rule.to_string()).ok()?.into_iter();
                    let words = words.map(|word| String::from_utf8(word).ok());
                    let head = EXPECT.iter().map(|word| Some((*word).to_owned()));
                    head.chain(words).collect()
                });
                let rules: Option<Vec<Vec<String>>> = rules.collect();
                self.rules.push((EXPECT, rules?));
            }
            _ => return None,
        }
        Some(())
    }

    /// Sets an option with a word of the server line that applies to the check and to visitors.
    fn set_word(&mut self, name: &str, best: &Options) {
        let switch = |is_set: bool| is_set.then(String::new);
        let version = |version: Option<TlsVersion>| version.map(|version| version.to_string());
        match name {
            "--ca-file" => {
                let file = best.ca_file.iter().find(|file| *file != "@bundled");
                let file = file.map_or("@system-ca", String::as_str);
                self.word("ca-file", Some(file.to_owned()));
            }
            "--crl-file" => self.word("crl-file", best.crl_file.first().cloned()),
            "--crt" => self.word("crt", best.crt.clone()),
            "--source" => {
                self.word("source", best.source.as_ref().map(ToString::to_string));
                // Without a word on the server line, the line of the backend applies, so remove this line,
                // too.
                if best.source.is_none() {
                    self.rules.push((SOURCE, Vec::new()));
                }
            }
            "--send-proxy" | "--send-proxy-v2" if !(best.send_proxy || best.send_proxy_v2) => {
                for word in PROXY_WORDS
                    .iter()
                    .filter(|word| **word != "check-send-proxy")
                {
                    self.word(word, None);
                }
            }
            "--send-proxy" => self.word("send-proxy", switch(best.send_proxy)),
            "--send-proxy-v2" => self.word("send-proxy-v2", switch(best.send_proxy_v2)),
            "--ssl-min-ver" => self.word("ssl-min-ver", version(best.ssl_min_ver)),
            _ => self.word("ssl-max-ver", version(best.ssl_max_ver)),
        }
    }

    /// Gives the check more time. HAProxy kills an external check after `inter`. If `timeout check` is set,
    /// HAProxy also kills it after `timeout connect`. The value of `timeout check` limits only other kinds of
    /// check. Returns `None` if the options have no --timeout.
    fn set_time(&mut self, surveyed: &Surveyed, best: &Options) -> Option<()> {
        let time = best.timeout.as_ref()?.0.as_millis();
        self.word("inter", Some(format!("{}ms", time + SPARE)));
        let has_limit = surveyed.rules().any(|rule| has_head(rule, TIMEOUT_CHECK));
        match surveyed.kind {
            CheckKind::External if has_limit => self.raise_timeout_connect(surveyed, best)?,
            CheckKind::External => {}
            // HAProxy must wait longer than serve, or it shows no cause.
            CheckKind::Served => {
                let line = timeout(TIMEOUT_CHECK, time + SPARE);
                self.rules.push((TIMEOUT_CHECK, line));
            }
            _ => self
                .rules
                .push((TIMEOUT_CHECK, timeout(TIMEOUT_CHECK, time))),
        }
        Some(())
    }

    /// Raises `timeout connect` above the check's time limit, if the value in haproxy.cfg is too low.
    fn raise_timeout_connect(&mut self, surveyed: &Surveyed, best: &Options) -> Option<()> {
        let time = best.timeout.as_ref()?.0;
        let rule = surveyed
            .rules()
            .find(|rule| has_head(rule, TIMEOUT_CONNECT));
        let present = rule.and_then(|rule| rule.words.get(2)?.parse::<Time>().ok());
        let is_set = self.rules.iter().any(|(head, _)| *head == TIMEOUT_CONNECT);
        if present.is_some_and(|present| present.0 <= time) && !is_set {
            let line = timeout(TIMEOUT_CONNECT, time.as_millis() + SPARE);
            self.rules.push((TIMEOUT_CONNECT, line));
        }
        Some(())
    }

    fn word(&mut self, word: &'static str, value: Option<String>) {
        if !self.words.iter().any(|(known, _)| *known == word) {
            self.words.push((word, value));
        }
    }

    /// Sets a word of the check's `connect` rule, unless this change already sets it.
    fn ruled(&mut self, word: &'static str, value: Option<String>) {
        if !self.connect.iter().any(|(known, _)| *known == word) {
            self.connect.push((word, value));
        }
    }

    /// Sets the request of HAProxy's own check, as one `http-check send`. If the options have no Host header,
    /// the request's Host is `host`, or else the check's SNI name or target.
    fn request(&mut self, (best, version): (&Options, &str), host: Option<&str>) {
        self.rules.retain(|(head, _)| *head != SEND);
        let method = best.method.as_deref().unwrap_or("GET");
        let uri = best.uri.as_deref().unwrap_or("/");
        let mut words: Vec<String> = SEND.iter().map(|word| (*word).to_owned()).collect();
        words.extend(["meth", method, "uri", uri, "ver", version].map(str::to_owned));
        // sni-check always sends a Host. HAProxy's own check sends a Host only if the line has one.
        let name = best.sni.as_ref().or(best.target.first());
        let name = host.or(name.map(String::as_str));
        let host = name.filter(|_| !best.has_header("host"));
        let host = host.map(|name| format!("Host: {name}"));
        for header in host.iter().chain(&best.header) {
            let field = header.split_once(':');
            // `--header 'NAME:'` leaves out a default header. HAProxy's own check has no default headers.
            if let Some((name, value)) = field.filter(|(_, value)| !value.trim().is_empty()) {
                words.extend(["hdr", name, value.trim()].map(str::to_owned));
            }
        }
        if let Some(body) = &best.body {
            words.extend(["body".to_owned(), body.clone()]);
        }
        self.rules.push((SEND, vec![words]));
    }

    /// Returns the new SNI name of visitors' connections, if the change sets a fixed name.
    pub fn sni(&self) -> Option<&str> {
        let mut words = self.words.iter();
        let (_, value) = words.find(|(word, _)| *word == "sni")?;
        value.as_ref()?.strip_prefix("str(")?.strip_suffix(')')
    }

    /// Returns the new SNI name of the check, if the change sets one.
    pub fn name(&self) -> Option<&str> {
        let of_line = self.words.iter().filter(|(word, _)| *word == "check-sni");
        let of_rule = self.connect.iter().filter(|(word, _)| *word == "sni");
        let (_, name) = of_line.chain(of_rule).next()?;
        name.as_deref()
    }

    /// Returns the change in a few words, such as `check-sni www.example.com`.
    pub fn words(&self) -> String {
        let edit = |(word, value): &Edit| match value {
            None => format!("without {word}"),
            Some(value) => format!("{word} {value}").trim_end().to_owned(),
        };
        let connect = self.connect.iter().map(|edited| match edited {
            ("default", _) => "`default` in the connect rule".to_owned(),
            edited => edit(edited),
        });
        let words = self.words.iter().map(edit).chain(connect);
        let options = self.options.iter();
        let options = options.map(|options| format!("`{}`", options.shown));
        let rules = self.rules.iter();
        let rules = rules.map(|(head, lines)| match lines.as_slice() {
            [] => format!("without {}", head.join(" ")),
            [line] if ["option", "timeout"].contains(&head[0]) => line.join(" "),
            _ => head.join(" "),
        });
        words
            .chain(options)
            .chain(rules)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// The words about the PROXY header on a server line.
const PROXY_WORDS: [&str; 6] = [
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "proxy-v2-options",
    "check-send-proxy",
];

/// The words of a server line that force or forbid TLS 1.2 or 1.3. `ssl-min-ver` and `ssl-max-ver` replace
/// them.
const FORCED_VERSIONS: [&str; 4] = ["force-tlsv12", "force-tlsv13", "no-tlsv12", "no-tlsv13"];

/// The words about TLS on a server line that apply only to the check. A change to plain HTTP removes only
/// these words if the check doesn't connect where visitors do.
const CHECK_TLS_WORDS: [&str; 3] = ["check-ssl", "check-sni", "check-alpn"];

/// The words about TLS on a server line. A change to plain HTTP removes them if the check connects where
/// visitors do.
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

/// Returns the Host of the check's request, if it is a log-format expression such as `%[srv_name]`.
fn evaluated_host(surveyed: &Surveyed) -> Option<&str> {
    sent_host(surveyed).filter(|host| is_evaluated(host))
}

/// Returns the Host of the check's last `http-check send` line with a Host, including log-format expressions.
pub(super) fn sent_host(surveyed: &Surveyed) -> Option<&str> {
    let sent = surveyed.rules().filter(|rule| has_head(rule, SEND));
    let fields = sent.flat_map(|rule| rule.words.windows(3));
    let mut hosts = fields.filter_map(|field| match field {
        [hdr, name, value] if hdr == "hdr" && name.eq_ignore_ascii_case("host") => Some(value),
        _ => None,
    });
    hosts.next_back().map(String::as_str)
}

/// Returns the first `connect` rule of HAProxy's own check. This rule decides how the check connects. Returns
/// `None` for other kinds of check.
fn connect_rule(surveyed: &Surveyed) -> Option<&Rule> {
    let own = surveyed.kind == CheckKind::Own;
    let mut rules = surveyed.rules();
    rules.find(|rule| own && is_connect(rule))
}

fn is_connect(rule: &Rule) -> bool {
    let words: Vec<&str> = rule.words.iter().map(String::as_str).take(2).collect();
    matches!(words[..], ["http-check" | "tcp-check", "connect"])
}
