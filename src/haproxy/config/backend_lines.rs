//! The lines of a backend that affect one server, and their positions. The lines are kept as words,
//! so that they can be changed and tried in another HAProxy.

use std::fs;

use super::super::words;
use super::address::Endpoint;
use super::connection::{Reading, Verified, traffic};
use super::place::Place;
use super::proxy::Backend;
use super::server_line::Server;

/// The lines about one server and its check.
#[derive(Clone, Debug)]
pub(crate) struct ServerLines {
    /// The first line of the backend.
    pub backend: Place,
    /// The address, as a word of a server line.
    pub address: String,
    /// The words about TLS, the connection and the check, with their values, from the server line
    /// and from `default-server`.
    pub words: Vec<(String, String)>,
    /// The lines of the backend about checks, and the lines that set headers of visitors' requests.
    pub rules: Vec<Rule>,
    pub is_http: bool,
    /// True if `ssl-server-verify none` switches off the verification.
    is_lax: bool,
}

/// A line of a backend, or a line of `defaults` that the backend inherits.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// `None` if the position doesn't matter.
    pub place: Option<Place>,
    pub words: Vec<String>,
}

/// The words of a server line that affect a connection.
const WORDS: [&str; 36] = [
    "addr",
    "alpn",
    "ca-file",
    "check-alpn",
    "check-proto",
    "check-send-proxy",
    "check-sni",
    "check-ssl",
    "check-via-socks4",
    "ciphers",
    "ciphersuites",
    "crl-file",
    "crt",
    "force-tlsv12",
    "force-tlsv13",
    "inter",
    "namespace",
    "no-check-sni-auto",
    "no-check-ssl",
    "no-sni-auto",
    "no-ssl-reuse",
    "no-tlsv12",
    "no-tlsv13",
    "port",
    "proto",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "sni",
    "socks4",
    "source",
    "ssl",
    "ssl-max-ver",
    "ssl-min-ver",
    "verify",
];

impl ServerLines {
    /// Returns the lines about this server.
    pub(crate) fn of(reading: Reading, backend: &Backend, server: &Server) -> ServerLines {
        let settings = &server.settings;
        let global = &reading.config.global;
        let present = WORDS.iter().chain(&["verifyhost"]).filter_map(|word| {
            let at = settings.get(word)?;
            let value = match *word {
                "ca-file" | "crl-file" => global.ca_path(&at.value),
                "crt" => global.crt_path(&at.value),
                _ => at.value.clone(),
            };
            Some(((*word).to_owned(), value))
        });
        let tls = traffic(reading, backend, server).tls;
        ServerLines {
            backend: backend.place.clone(),
            address: match &server.endpoint {
                Endpoint::Unix(path) => format!("unix@{path}"),
                other => other.to_string(),
            },
            words: present.collect(),
            rules: rules(reading, backend),
            is_http: backend.settings.http,
            is_lax: tls.is_some_and(|tls| tls.verified == Verified::Nothing),
        }
    }

    /// Returns a server line with these words and their values. A word without a value has an empty text.
    pub(crate) fn server_line<'a>(
        &self,
        words: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let mut text = format!("    server s1 {}", words::quote(&self.address));
        let mut verifies = false;
        for (word, value) in words {
            verifies |= word == "verify";
            text += &format!(" {word}");
            if !value.is_empty() {
                text += &format!(" {}", words::quote(value));
            }
        }
        if self.is_lax && !verifies {
            text += " verify none";
        }
        text + "\n"
    }

    /// Returns true if this line is in the backend itself and not in `defaults`.
    pub(crate) fn is_own(&self, place: &Place) -> bool {
        place.is_in(&self.backend)
    }
}

fn rules(reading: Reading, backend: &Backend) -> Vec<Rule> {
    let settings = &backend.settings;
    let rule = |place: Option<&Place>, words: &[&str]| Rule {
        place: place.cloned(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    let mut rules = Vec::new();
    let kind = settings.check.as_ref();
    if let Some(check) = kind {
        let mut words = vec!["option", check.value.as_str()];
        let request = settings.rules.request.as_deref().unwrap_or_default();
        if check.value == "httpchk" {
            words.extend(request.splitn(3, ' ').filter(|word| !word.is_empty()));
        }
        rules.push(rule(Some(&check.place), &words));
    }
    let list = match kind.map(|check| check.value.as_str()) {
        Some("tcp-check") => &settings.rules.tcp,
        _ => &settings.rules.http,
    };
    rules.extend(list.lines.iter().map(|line| Rule {
        place: Some(line.place.clone()),
        words: line.value.clone(),
    }));
    for (word, place) in [
        ("send-state", &settings.rules.send_state),
        ("disable-on-404", &settings.rules.disable_on_404),
    ] {
        if let Some(place) = place {
            rules.push(rule(Some(place), &["http-check", word]));
        }
    }
    for (name, at) in [("command", &settings.command), ("path", &settings.path)] {
        if let Some(at) = at {
            let words = ["external-check", name, &at.value];
            rules.push(rule(Some(&at.place), &words));
        }
    }
    for (name, at) in [
        ("connect", &settings.timeout_connect),
        ("check", &settings.timeout_check),
    ] {
        if let Some(at) = at {
            let time = format!("{}us", at.value.as_micros());
            rules.push(rule(Some(&at.place), &["timeout", name, &time]));
        }
    }
    rules.extend(header_rules(reading, backend));
    rules
}

/// Returns the backend's unconditional `http-request set-header` lines.
fn header_rules(reading: Reading, backend: &Backend) -> Vec<Rule> {
    let Ok(text) = fs::read_to_string(&*backend.place.file) else {
        return Vec::new();
    };
    let variable = |name: &str| reading.variables.get(name).map(str::to_owned);
    let begins_section = |line: &&str| !line.starts_with([' ', '\t', '#']) && !line.is_empty();
    let lines = text.lines().skip(backend.place.line);
    let lines = lines.take_while(|line| !begins_section(line));
    let rules = lines.filter_map(|line| {
        let words = words::split(line, &variable).ok()?.text();
        let sets = words.len() == 4 && words[0] == "http-request";
        let sets = sets && words[1] == "set-header";
        sets.then_some(Rule { place: None, words })
    });
    rules.collect()
}

/// Returns the text of a line, as it is written in the file.
pub(crate) fn text_of(place: &Place) -> Option<String> {
    let text = fs::read_to_string(&*place.file).ok()?;
    text.lines()
        .nth(place.line.checked_sub(1)?)
        .map(str::to_owned)
}
