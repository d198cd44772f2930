//! A change to haproxy.cfg, on the server line or in the backend. It sets the options that helped, or makes
//! an edit that the configuration itself suggests. diagnose's own HAProxy tries the change, and the report
//! prints it as a diff.

pub(super) mod carried;
pub(super) mod diff;
mod options;
mod rewrite;
mod shared;
mod traffic;
mod words;

use ureq::http::header;

use self::carried::{Carried, carried, joined};

use crate::causes::facts::Way;
use crate::doctor::survey::{CheckKind, Edit, NewLine, Renamed, Surveyed, is_evaluated};
use crate::haproxy::call::own_command;
use crate::haproxy::config::backend_lines::Rule;
use crate::haproxy::config::http_check::Request;
use crate::options::Options;
use crate::options::handed;
use crate::plan::DEFAULTS;

/// The first words of a line. A change replaces the lines that begin with them.
type Head = &'static [&'static str];

const TIMEOUT_CHECK: Head = &["timeout", "check"];
const TIMEOUT_CONNECT: Head = &["timeout", "connect"];
const EXTERNAL: Head = &["option", "external-check"];
const HTTPCHK: Head = &["option", "httpchk"];
const SEND: Head = &["http-check", "send"];
const EXPECT: Head = &["http-check", "expect"];
const COMMAND: Head = &["external-check", "command"];
const PATH: Head = &["external-check", "path"];
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

fn has_line(surveyed: &Surveyed, head: Head) -> bool {
    surveyed.rules().any(|rule| has_head(rule, head))
}

/// Returns the words of a line: first `head`, then `rest`.
fn line<W: Into<String>>(head: Head, rest: impl IntoIterator<Item = W>) -> Vec<String> {
    let head = head.iter().map(|word| (*word).to_owned());
    head.chain(rest.into_iter().map(Into::into)).collect()
}

/// A change to haproxy.cfg for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// The words to change on the server line, each with its new value. `None` removes the word. The value
    /// of a switch, such as `ssl`, is empty.
    words: Vec<Edit>,
    /// The words to change in the check's `connect` rule, with values as in the field `words`.
    connect: Vec<Edit>,
    /// The new options in `external-check path` or `X-Check-Options`.
    options: Option<Carried>,
    /// The lines to replace in the backend. Each entry has the first words of the old lines, and the new
    /// lines. If there are no new lines, the change removes the old lines.
    rules: Vec<(Head, Vec<Vec<String>>)>,
    /// True if the change leaves `default-server` as it is. Instead, `no-` words on the server's own line
    /// switch off words of `default-server`.
    on_own_line: bool,
    /// A misspelt word to correct.
    renamed: Option<Renamed>,
}

impl Change {
    /// Returns the change that gives the check the options `best` instead of `asked`. Returns `None` if the
    /// options don't differ, or if haproxy.cfg can't express the change.
    pub fn new(surveyed: &Surveyed, asked: &Options, best: &Options) -> Option<Change> {
        match asked.changes(best).is_empty() {
            true => None,
            false => Change::of_options(surveyed, (asked, best), false),
        }
    }

    /// Returns the change from the options `asked` to the options `best`. If `is_moved` is true, the change
    /// also removes the address and port from sni-check's options in haproxy.cfg.
    fn of_options(
        surveyed: &Surveyed,
        (asked, best): (&Options, &Options),
        is_moved: bool,
    ) -> Option<Change> {
        let changed = asked.changes(best);
        let names: Vec<&'static str> = changed.iter().map(|row| row.name).collect();
        let mut change = Change::default();
        match surveyed.kind {
            CheckKind::Own => {
                for name in names {
                    change.set_own_check_option(surveyed, name, best)?;
                }
            }
            CheckKind::External | CheckKind::Served => {
                let (carrier, text) = carried(surveyed)?;
                let written = *handed::options(carrier, text.as_ref()).ok()?;
                let mut given = written.clone();
                given.copy(&changed, best);
                if is_moved {
                    (given.connect, given.port) = (None, None);
                }
                let changed = written.changes(&given);
                if names.contains(&"--timeout") {
                    change.set_time(surveyed, best)?;
                }
                // If haproxy.cfg has no `external-check path` for the options, add this line.
                if surveyed.kind == CheckKind::External && !has_line(surveyed, PATH) {
                    change.set_lines(PATH, vec![line(PATH, [joined(&given)?])]);
                } else {
                    change.options = Some(Carried::new(surveyed, &changed, &given)?);
                }
            }
            CheckKind::Other => return None,
        }
        let is_forwarded = |options: &Options| {
            let mut headers = options.header.iter();
            headers.any(|field| field.eq_ignore_ascii_case("X-Forwarded-Proto: https"))
        };
        change.keep_present(surveyed);
        // The check needs this header, so visitors' requests need it, too.
        if surveyed.lines.is_http && is_forwarded(best) && !is_forwarded(asked) {
            change.set_lines(FORWARDED_PROTO, vec![line(FORWARDED_PROTO, ["https"])]);
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

    /// Returns the change with which the check connects to the address of visitors' connections, and which
    /// sets the options `best` in place of `asked`. Returns `None` if the check already connects there, or if
    /// haproxy.cfg can't express the change.
    pub fn moved(surveyed: &Surveyed, (asked, best): (&Options, &Options)) -> Option<Change> {
        if let Some(there) = &surveyed.at_visitors {
            let moved = Change::default().with_edits(&there.words, &there.connect);
            let mut surveyed = surveyed.clone();
            let is_gone = |word: &str| there.words.iter().any(|(gone, _)| *gone == word);
            surveyed.lines.words.retain(|(word, _)| !is_gone(word));
            return match asked.changes(best).is_empty() {
                true => Some(moved),
                false => Some(moved.with(Change::new(&surveyed, asked, best)?)),
            };
        }
        surveyed.elsewhere.as_ref()?;
        let (carrier, text) = carried(surveyed)?;
        let written = *handed::options(carrier, text.as_ref()).ok()?;
        let has_address = written.connect.is_some() || written.port.is_some();
        has_address.then(|| Change::of_options(surveyed, (asked, best), true))?
    }

    /// Returns the change that removes this word from the server line.
    pub fn without(word: &'static str) -> Change {
        Change {
            words: vec![(word, None)],
            ..Change::default()
        }
    }

    /// Returns true if the change removes the check's own address or port, so that the check connects to the
    /// address of visitors' connections.
    pub fn is_move(&self) -> bool {
        let mut edits = self.words.iter().chain(&self.connect);
        let is_address = |(word, value): &Edit| ["addr", "port"].contains(word) && value.is_none();
        let options = self.options.as_ref();
        edits.any(is_address) || options.is_some_and(|options| options.is_moved)
    }

    /// Returns true if the change makes the check connect with TLS.
    pub fn adds_tls(&self) -> bool {
        let mut edits = self.words.iter().chain(&self.connect);
        edits.any(|(word, value)| ["ssl", "check-ssl"].contains(word) && value.is_some())
    }

    /// Returns true if the change contains no edits.
    pub fn is_empty(&self) -> bool {
        *self == Change::default()
    }

    /// Adds another change. If both change the same word, the same lines or the options, `other` wins.
    pub fn with(self, other: Change) -> Change {
        let mut change = self.with_edits(&other.words, &other.connect);
        for (head, lines) in other.rules {
            change.set_lines(head, lines);
        }
        change.options = other.options.or(change.options);
        change.renamed = other.renamed.or(change.renamed);
        change
    }

    /// Adds edits of words on the server line and in the check's `connect` rule. The new edits replace
    /// earlier edits of the same words.
    pub fn with_edits(mut self, words: &[Edit], connect: &[Edit]) -> Change {
        for (known, new) in [(&mut self.words, words), (&mut self.connect, connect)] {
            known.retain(|(word, _)| !new.iter().any(|(replaced, _)| replaced == word));
            known.extend_from_slice(new);
        }
        self
    }

    /// Returns the change that sets the options `best` and makes HAProxy's own check use this [`Way`], such
    /// as plain HTTP. If visitors reach the server in plain HTTP, HAProxy's own check may replace an external
    /// check. Returns `None` for other kinds of check, or if haproxy.cfg can't express the change.
    pub fn by_way(
        surveyed: &Surveyed,
        asked: &Options,
        best: &Options,
        way: Way,
    ) -> Option<Change> {
        if surveyed.kind == CheckKind::External && way == Way::PlainHttp {
            return Change::to_own_check(surveyed, best);
        }
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
            // If the check and visitors' connections have different addresses, the change must not affect
            // visitors' TLS.
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
                // ALPN chooses HTTP/2, so remove `proto`. Before HAProxy 3.2, a check with TLS can't use
                // `proto h2`.
                let forced = ["proto", "check-proto"].into_iter();
                let forced = forced.filter(|word| surveyed.has_word(word));
                change.words.extend(forced.map(|word| (word, None)));
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

    /// Returns the change that makes HAProxy itself send the request of an external check, without TLS. Returns
    /// `None` if the server line has `ssl`, or if a file contains a part of the request.
    fn to_own_check(surveyed: &Surveyed, best: &Options) -> Option<Change> {
        let is_in_file = |text: &String| text.starts_with('@');
        let is_plain = surveyed.lines.is_http && !surveyed.has_word("ssl");
        let has_files = best.header.iter().chain(&best.body).any(is_in_file);
        if !is_plain || has_files || best.handshake_only {
            return None;
        }
        let mut change = Change::default();
        change.set_lines(EXTERNAL, vec![line(HTTPCHK, [""; 0])]);
        change.request((best, "HTTP/1.1"), None);
        if !best.expect.is_empty() {
            change.set_own_check_option(surveyed, "--expect", best)?;
        }
        Some(change)
    }

    /// Drops the removals of words and lines that haproxy.cfg doesn't have.
    fn keep_present(&mut self, surveyed: &Surveyed) {
        self.words
            .retain(|(word, value)| value.is_some() || surveyed.has_word(word));
        self.rules
            .retain(|(head, lines)| !lines.is_empty() || has_line(surveyed, head));
    }

    /// Returns the change that makes the check verify another name, still without sending SNI. HAProxy also
    /// verifies this name for visitors' connections without SNI. Returns `None` if the check isn't HAProxy's
    /// own, if it sends SNI or verifies no name, if the name stays the same, or if haproxy.cfg can't express
    /// the change.
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
    /// such as `%[srv_name]`. Returns `None` if the check isn't HAProxy's own, if it sends no request, or if
    /// it already sends this Host.
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
        self.set_lines(SEND, vec![request.words()]);
        self
    }

    /// Returns this change, plus HTTP/1.1 and a Host header in the request of HAProxy's own check. If the
    /// check sends no request, the change stays as it is.
    pub fn with_http11(mut self, surveyed: &Surveyed, best: &Options) -> Change {
        if !best.handshake_only {
            self.request((best, "HTTP/1.1"), evaluated_host(surveyed));
        }
        self
    }

    /// Returns this change, plus the correction of a misspelt word.
    pub fn with_renamed(mut self, renamed: Option<&Renamed>) -> Change {
        self.renamed = renamed.cloned().or(self.renamed);
        self
    }

    /// Adds lines to the backend. The new lines replace lines of this change that begin with the same words.
    pub fn with_lines(mut self, lines: &[NewLine]) -> Change {
        for (head, line) in lines {
            self.set_lines(head, vec![line.clone()]);
        }
        self
    }

    /// Replaces the lines that begin with `head` with these lines.
    fn set_lines(&mut self, head: Head, lines: Vec<Vec<String>>) {
        self.rules.retain(|(known, _)| *known != head);
        self.rules.push((head, lines));
    }

    /// Returns this change, plus the line `http-check send-state` if a check by `sni-check serve` doesn't
    /// have it.
    pub fn with_state(mut self, surveyed: &Surveyed) -> Change {
        if surveyed.kind == CheckKind::Served && !has_line(surveyed, SEND_STATE) {
            self.set_lines(SEND_STATE, vec![line(SEND_STATE, [""; 0])]);
        }
        self
    }

    /// Returns the new SNI name of visitors' connections, if the change sets a fixed name.
    pub fn sni(&self) -> Option<&str> {
        let mut words = self.words.iter();
        let (_, value) = words.find(|(word, _)| *word == "sni")?;
        value.as_ref()?.strip_prefix("str(")?.strip_suffix(')')
    }

    /// Returns the new SNI name of HAProxy's own check, if the change sets an SNI name for it.
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
        let renamed = self.renamed.iter();
        let renamed = renamed.map(|it| format!("{} in place of {}", it.right, it.wrong));
        let words = renamed.chain(self.words.iter().map(edit)).chain(connect);
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

/// The words about TLS on a server line that apply only to the check. If the check and visitors' connections
/// have different addresses, a change to plain HTTP removes only these words.
const CHECK_TLS_WORDS: [&str; 3] = ["check-ssl", "check-sni", "check-alpn"];

/// The words about TLS on a server line. If the check and visitors' connections have the same address, a
/// change to plain HTTP removes all these words.
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

/// Returns the Host of the check's request if its value is a log-format expression, such as `%[srv_name]`.
fn evaluated_host(surveyed: &Surveyed) -> Option<&str> {
    sent_host(surveyed).filter(|host| is_evaluated(host))
}

/// Returns the Host from the check's last `http-check send` line with a Host. The value may be a log-format
/// expression.
pub(super) fn sent_host(surveyed: &Surveyed) -> Option<&str> {
    let sent = surveyed.rules().filter(|rule| has_head(rule, SEND));
    let fields = sent.flat_map(|rule| rule.words.windows(3));
    let mut hosts = fields.filter_map(|field| match field {
        [hdr, name, value] if hdr == "hdr" && name.eq_ignore_ascii_case("host") => Some(value),
        _ => None,
    });
    hosts.next_back().map(String::as_str)
}

/// Returns the first `connect` rule of a check that HAProxy itself makes: its own check, or the http-check
/// that asks `sni-check serve`. This rule decides how the check connects. Returns `None` for other kinds of
/// check.
fn connect_rule(surveyed: &Surveyed) -> Option<&Rule> {
    let is_made_by_haproxy = [CheckKind::Own, CheckKind::Served].contains(&surveyed.kind);
    let mut rules = surveyed.rules();
    rules.find(|rule| is_made_by_haproxy && is_connect(rule))
}

fn is_connect(rule: &Rule) -> bool {
    let words: Vec<&str> = rule.words.iter().map(String::as_str).take(2).collect();
    matches!(words[..], ["http-check" | "tcp-check", "connect"])
}
