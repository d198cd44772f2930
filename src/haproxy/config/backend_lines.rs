//! The lines of a backend that affect one server, and their positions. The lines are kept as words, so that
//! sni-check can change them and try them in another HAProxy.

use std::time::Duration;

use super::super::visit::HOST;
use super::super::words;
use super::address::Endpoint;
use super::connection::{Reading, Verified, traffic};
use super::host_rule::computes_host;
use super::place::{At, Place, owned};
use super::proxy::Backend;
use super::route::rewrites_path;
use super::server_line::Server;

/// The lines about one server and its check.
#[derive(Clone, Debug)]
pub(crate) struct ServerLines {
    /// The lines of the `global` section that affect connections to servers.
    pub global: Vec<Rule>,
    /// The lines of the sections to which lines of a backend refer: `crt-store` and `fcgi-app`.
    sections: Vec<Vec<String>>,
    /// The first line of the backend.
    pub backend: Place,
    /// The server's name.
    pub name: String,
    /// The address, as a word of a server line.
    pub address: String,
    /// The words about TLS, the connection and the check, with their values, from the server line
    /// and from `default-server`.
    pub words: Vec<(String, String)>,
    /// The lines of the backend and its defaults about checks, time limits and the source address, and the
    /// lines that change visitors' requests.
    pub rules: Vec<Rule>,
    /// The rules of a frontend that change visitors' requests before the requests reach the backend.
    pub of_frontend: Vec<Rule>,
    pub is_http: bool,
    /// True if HAProxy doesn't verify the server's certificate. `server_line` then writes `verify none`, even
    /// if haproxy.cfg only has `ssl-server-verify none`.
    is_unverified: bool,
}

/// A line of haproxy.cfg that affects a server. It is in the backend, in the `defaults` section from which
/// the backend inherits, in `global`, or in a frontend.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// `None` if the position doesn't matter.
    pub place: Option<Place>,
    pub words: Vec<String>,
}

impl Rule {
    /// Returns true if the line affects only visitors.
    pub(crate) fn is_of_visitors(&self) -> bool {
        matches!(
            self.first_words(),
            ("acl" | "http-request" | "http-response", _) | ("timeout", "server")
        )
    }

    /// Returns true if the line affects only checks.
    pub(crate) fn is_of_check(&self) -> bool {
        match self.first_words() {
            ("timeout", kind) => kind == "check",
            ("source" | "http-send-name-header" | "use-fcgi-app", _) => false,
            _ => !self.is_of_visitors(),
        }
    }

    fn first_words(&self) -> (&str, &str) {
        let word = |at: usize| self.words.get(at).map_or("", String::as_str);
        (word(0), word(1))
    }
}

/// The words of a server line that [`ServerLines::words`] leaves out. Most of them decide when HAProxy checks
/// or uses the server.
const OTHER_WORDS: &str = "\
    agent-addr agent-check agent-inter agent-port agent-send backup check cookie disabled \
    downinter enabled error-limit fall fastinter guid hash-key healthcheck id init-addr \
    init-state interface log-proto maxconn maxqueue minconn observe on-error on-marked-down \
    on-marked-up redir resolvers rise slowstart track usesrc weight";

/// Returns true if [`ServerLines::words`] contains this word of a server line.
fn is_of_connection(word: &str) -> bool {
    let bare = word.strip_prefix("no-").unwrap_or(word);
    let groups = ["pool-", "resolve-", "check-pool-"];
    let is_other = OTHER_WORDS.split(' ').any(|known| known == bare);
    !is_other && !groups.iter().any(|group| bare.starts_with(group))
}

impl ServerLines {
    /// Returns the lines about this server.
    pub(crate) fn of(reading: Reading, backend: &Backend, server: &Server) -> ServerLines {
        let global = &reading.config.global;
        let tls = traffic(reading, backend, server).tls;
        let of_tls = tls.as_ref().is_some_and(|tls| tls.sni.is_of_visitors_tls());
        let words = server.settings.iter();
        let words = words.filter(|(word, _)| is_of_connection(word));
        let words = words.map(|(word, at)| {
            let value = match word {
                "ca-file" | "crl-file" => global.ca_path(&at.value),
                "crt" => global.crt_path(&at.value),
                // sni-check's own visitor connects without TLS, so `ssl_fc_sni` has no value. The Host in its
                // request is the same name.
                "sni" if of_tls => format!("var({HOST})"),
                _ => at.value.clone(),
            };
            (word.to_owned(), value)
        });
        let of_global = global.for_servers.iter().map(|line| Rule {
            place: Some(line.place.clone()),
            words: line.value.clone(),
        });
        ServerLines {
            global: of_global.collect(),
            sections: [&global.stores.lines[..], &global.fcgi_apps].concat(),
            backend: backend.place.clone(),
            name: server.name.clone(),
            address: match &server.endpoint {
                Endpoint::Unix(path) => format!("unix@{path}"),
                // These lines don't have `init-addr`, but its result.
                Endpoint::Tcp(_, port) if server.settings.has("init-addr") => {
                    Endpoint::Tcp(server.address().0, *port).to_string()
                }
                name if name.name().is_some() => format!("{}{name}", server.family),
                other => other.to_string(),
            },
            words: words.collect(),
            rules: rules(reading, backend),
            of_frontend: {
                // The visitor of sni-check has the Host that these rules compute.
                let rules = backend.visitors.rules.iter();
                let rules = rules.filter(|line| !computes_host(&line.value));
                let rules = rules.map(|line| of_visitor(reading, line));
                apart(rules.collect(), &backend.settings.for_visitors)
            },
            is_http: backend.settings.http,
            is_unverified: tls.is_some_and(|tls| tls.verified == Verified::Nothing),
        }
    }

    /// Returns the backend's lines as text: its mode, these rules, and the server line with these words.
    pub(crate) fn backend<'a>(
        &self,
        rules: impl Iterator<Item = &'a Rule>,
        words: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let mode = if self.is_http { "http" } else { "tcp" };
        format!(
            "    mode {mode}\n{}{}",
            text_of(rules),
            self.server_line(words)
        )
    }

    /// Returns all lines of the backend as text, with or without the check.
    pub(crate) fn all(&self, is_checked: bool) -> String {
        let rules = self.rules.iter();
        let rules = rules.filter(|rule| is_checked || !rule.is_of_check());
        let check = is_checked.then_some(("check", ""));
        let words = self.words.iter();
        let words = words.map(|(word, value)| (word.as_str(), value.as_str()));
        self.backend(rules, check.into_iter().chain(words))
    }

    /// Returns the lines of the `global` section as text, and then the sections to which lines of a backend
    /// refer.
    pub(crate) fn global_text(&self) -> String {
        let lines = self.global.iter().map(|rule| &rule.words);
        let lines = lines.chain(&self.sections);
        lines
            .map(|words| format!("    {}\n", joined(words)))
            .collect()
    }

    /// Returns the server line with these words and their values. A value may be empty.
    pub(crate) fn server_line<'a>(
        &self,
        words: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let (name, address) = (words::quote(&self.name), words::quote(&self.address));
        let mut text = format!("    server {name} {address}");
        let mut verifies = false;
        for (word, value) in words {
            verifies |= word == "verify";
            text += &format!(" {word}");
            if !value.is_empty() {
                text += &format!(" {}", words::quote(value));
            }
        }
        if self.is_unverified && !verifies {
            text += " verify none";
        }
        text + "\n"
    }

    /// Returns true if a rule may rewrite the paths of visitors' requests, unless it gives all visitors the
    /// same path. Visitors may then never get the page that the check asks for.
    pub(crate) fn rewrites_paths(&self) -> bool {
        let rewrites = |rule: &Rule| {
            let words: Vec<&str> = rule.words.iter().map(String::as_str).collect();
            match words.as_slice() {
                // Without a condition, this rule gives the same path to all visitors.
                [
                    "http-request",
                    "set-path" | "set-pathq" | "set-uri" | "set-query",
                    fixed,
                ] => fixed.contains('%'),
                ["http-request", action, ..] => rewrites_path(action),
                _ => false,
            }
        };
        self.rules.iter().any(rewrites)
    }

    /// Returns true if this line is in the backend itself and not in `defaults`.
    pub(crate) fn is_own(&self, place: &Place) -> bool {
        place.is_in(&self.backend)
    }
}

fn text_of<'a>(rules: impl Iterator<Item = &'a Rule>) -> String {
    let lines = rules.map(|rule| format!("    {}\n", joined(&rule.words)));
    lines.collect()
}

/// Joins words into a line of haproxy.cfg.
pub(crate) fn joined(words: &[String]) -> String {
    words.iter().map(words::quote).collect::<Vec<_>>().join(" ")
}

/// The longest `timeout server` that is copied into a question to HAProxy. The question ends before a longer
/// limit has an effect.
const LONGEST: Duration = Duration::from_secs(5);

fn rules(reading: Reading, backend: &Backend) -> Vec<Rule> {
    let settings = &backend.settings;
    let rule = |place: &Place, words: &[&str]| Rule {
        place: Some(place.clone()),
        words: owned(words),
    };
    let mut rules = Vec::new();
    let mut list = &settings.rules.http;
    if let Some(At { value: kind, place }) = &settings.check {
        let arguments = match kind.as_str() {
            "httpchk" => settings.rules.request.as_deref().unwrap_or_default(),
            _ => &settings.check_arguments,
        };
        let arguments = arguments.iter().map(String::as_str);
        let words: Vec<&str> = ["option", kind].into_iter().chain(arguments).collect();
        rules.push(rule(place, &words));
        if kind == "tcp-check" {
            list = &settings.rules.tcp;
        }
    }
    rules.extend(list.lines.iter().map(|line| Rule {
        place: Some(line.place.clone()),
        words: line.value.clone(),
    }));
    for (word, place) in [
        ("send-state", &settings.rules.send_state),
        ("disable-on-404", &settings.rules.disable_on_404),
    ] {
        rules.extend(place.iter().map(|place| rule(place, &["http-check", word])));
    }
    for (name, at) in [("command", &settings.command), ("path", &settings.path)] {
        let words = |at: &At<String>| rule(&at.place, &["external-check", name, &at.value]);
        rules.extend(at.as_ref().map(words));
    }
    let server = settings.timeout_server.as_ref();
    for (name, at) in [
        ("connect", settings.timeout_connect.as_ref()),
        ("check", settings.timeout_check.as_ref()),
        ("server", server.filter(|at| at.value <= LONGEST)),
    ] {
        if let Some(at) = at {
            let time = format!("{}us", at.value.as_micros());
            rules.push(rule(&at.place, &["timeout", name, &time]));
        }
    }
    let source = settings.source.iter();
    rules.extend(source.map(|source| rule(&source.place, &["source", &source.value])));
    // If the Host of visitors is only a guess, it's the Host that the servers get, so no rule may change it.
    let is_guess = !backend.knows_arriving_host();
    let of_visitors = settings.for_visitors.iter();
    let of_visitors = of_visitors.filter(|line| !(is_guess && computes_host(&line.value)));
    rules.extend(of_visitors.map(|line| of_visitor(reading, line)));
    rules
}

/// Adapts a line to sni-check's own visitor, which connects without TLS although real visitors use
/// TLS.
fn of_visitor(reading: Reading, line: &At<Vec<String>>) -> Rule {
    let mut words = line.value.clone();
    let is_acl = words[0] == "acl";
    for at in 1..words.len() {
        let begins_criterion = words[at - 1].ends_with('{') || (is_acl && at == 2);
        if begins_criterion && words[at] == "ssl_fc" && reading.config.facts.tls_listener {
            "always_true".clone_into(&mut words[at]);
        }
    }
    Rule {
        place: Some(line.place.clone()),
        words,
    }
}

/// Gives the ACLs in these rules of a frontend other names than the ACLs of the backend have. All these lines
/// come into one section, where two ACLs with the same name would be one.
fn apart(mut rules: Vec<Rule>, of_backend: &[At<Vec<String>>]) -> Vec<Rule> {
    let acls = of_backend.iter().filter(|line| line.value[0] == "acl");
    let names: Vec<&String> = acls.filter_map(|line| line.value.get(1)).collect();
    let is_of_backend = |word: &str| {
        let mut names = names.iter();
        names.any(|name| *name == word.trim_start_matches('!'))
    };
    for words in rules.iter_mut().map(|rule| &mut rule.words) {
        let mut begins = words.iter();
        let condition = begins.position(|word| word == "if" || word == "unless");
        let named = match words[0].as_str() {
            "acl" => 1..2,
            _ => condition.unwrap_or(words.len())..words.len(),
        };
        let mut is_criterion = false;
        for word in words.get_mut(named).unwrap_or_default() {
            is_criterion = word.ends_with('{') || (is_criterion && word != "}");
            if !is_criterion && is_of_backend(word) {
                word.push_str("-of-frontend");
            }
        }
    }
    rules
}
