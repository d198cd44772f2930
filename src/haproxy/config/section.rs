//! The sections of a configuration: where each section starts, and what it inherits (configuration
//! manual, sections 3 and 4).

use std::collections::{BTreeSet, HashMap};
use std::iter;

use super::address::{Endpoint, template};
use super::frontend::{Frontend, introduce};
use super::place::{At, Place};
use super::proxy::{Backend, Global, ProxySettings, Visitors};
use super::server_line::Server;
use super::statement::Statement;
use crate::refusal::Refusal;

/// The keywords that start a section (manual, sections 3, 4, 12 and others).
const SECTIONS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "mailers",
    "program",
    "ring",
    "resolvers",
    "userlist",
    "http-errors",
    "log-forward",
    "cache",
    "fcgi-app",
    "crt-store",
    "traces",
    "acme",
    "log-profile",
    "ruleset",
    "healthcheck",
];

/// The section to which the next line belongs.
#[derive(Default)]
enum Section {
    Global,
    Defaults(Option<String>),
    /// The last backend in the list.
    Backend,
    Resolvers,
    CrtStore,
    FcgiApp,
    /// A section that doesn't affect checks.
    #[default]
    Other,
}

/// Facts about the whole configuration that can affect the values of expressions.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The variables that any `set-var` sets, such as `txn.name`.
    pub variables: BTreeSet<String>,
    /// The headers that an `http-request` line sets or adds, in lower case.
    pub headers: BTreeSet<String>,
    /// True if Lua or an SPOE agent may set any variable.
    pub sets_unknown: bool,
    /// True if a `bind` line has `ssl`.
    pub tls_listener: bool,
    /// True if a `bind` line has a unix socket, where visitors have no address.
    pub unix_listener: bool,
    /// The addresses on which frontends listen, unless they are disabled.
    pub binds: Vec<At<String>>,
    /// The prefix that HAProxy adds to the path of each unix socket of a `bind` line (`unix-bind prefix`).
    pub unix_prefix: String,
}

impl Facts {
    fn read(&mut self, words: &[&str]) {
        let argument = |word: &str| {
            let rest = word.strip_prefix("set-var").unwrap_or_default();
            let rest = rest.strip_prefix("-fmt").unwrap_or(rest);
            let name = rest.strip_prefix('(')?.split([',', ')']).next()?;
            Some(name.to_owned())
        };
        self.variables
            .extend(words.iter().copied().filter_map(argument));
        match words {
            ["set-var" | "set-var-fmt", name, ..] => {
                self.variables.insert((*name).to_owned());
            }
            ["http-request", "set-header" | "add-header", name, ..] => {
                self.headers.insert(name.to_ascii_lowercase());
            }
            ["bind", more @ ..] => {
                self.tls_listener |= more.contains(&"ssl");
                let is_socket = |start| {
                    more.first()
                        .is_some_and(|address| address.starts_with(start))
                };
                self.unix_listener |= ["/", "unix@", "abns@", "abnsz@"].into_iter().any(is_socket);
            }
            ["unix-bind", more @ ..] => {
                let mut pairs = more.windows(2).filter(|pair| pair[0] == "prefix");
                self.unix_prefix = pairs
                    .next()
                    .map_or(String::new(), |pair| pair[1].to_owned());
            }
            ["filter", "spoe", ..] => self.sets_unknown = true,
            [first, ..] if first.starts_with("lua-load") => self.sets_unknown = true,
            _ => {}
        }
    }
}

/// A configuration.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    pub global: Global,
    /// `backend` and `listen`, in the order of the files.
    pub backends: Vec<Backend>,
    /// The lines of all `resolvers` sections.
    pub resolvers: Vec<Vec<String>>,
    pub facts: Facts,
    /// Lines about checks, in sections where they have no effect.
    pub idle: Vec<Idle>,
    /// The places of lines that sni-check doesn't understand, with the words or the reason.
    pub unclear: Vec<(Place, String)>,
    /// Lines that can't be split into words.
    pub broken: Vec<At<Refusal>>,
    /// Variables that aren't set, with the place of each use.
    pub unset: Vec<(String, Place)>,
}

/// Lines about checks in a section where they have no effect.
#[derive(Clone, Debug)]
pub(crate) struct Idle {
    /// The first of these lines.
    pub place: Place,
    /// The first words of that line.
    pub text: String,
    /// True in a `frontend`, false in a `defaults` section from which no backend inherits.
    pub is_frontend: bool,
}

/// Returns the first two words of a line about checks, or `None` for other lines.
fn of_check(words: &[&str]) -> Option<String> {
    let is_of_check = match words {
        ["option", kind, ..] => kind.ends_with("check") || kind.ends_with("chk"),
        [first, ..] => ["http-check", "tcp-check", "external-check"].contains(first),
        [] => false,
    };
    is_of_check.then(|| words.get(..2).unwrap_or_default().join(" "))
}

/// The state while a configuration is read.
#[derive(Default)]
struct Reader {
    done: Configuration,
    section: Section,
    /// The settings of the last `defaults` section. Sections without `from` inherit them.
    defaults: ProxySettings,
    /// The settings of the `defaults` sections that have a name.
    named: HashMap<String, ProxySettings>,
    /// The place of the last `defaults` section.
    place: Option<Place>,
    /// The places of the `defaults` sections that have a name.
    places: HashMap<String, Place>,
    /// For each `defaults` section with a line about checks, the place of the section and its first such
    /// line.
    lines_of_defaults: Vec<(Place, Idle)>,
    /// True if the current frontend has a line about checks.
    is_idle: bool,
    /// The `defaults` sections from which another section inherits.
    followed: Vec<Place>,
    frontends: Vec<Frontend>,
    /// True while the lines of the last frontend are read.
    in_frontend: bool,
}

/// Reads the sections. `broken` and `unset` stay empty here, because [`super::statement::read`] finds these
/// problems.
pub(super) fn read(statements: &[Statement]) -> Configuration {
    let mut reader = Reader::default();
    for statement in statements {
        reader.statement(statement);
    }
    introduce(&reader.frontends, &mut reader.done.backends);
    let binds = reader.frontends.iter().flat_map(Frontend::binds);
    reader.done.facts.binds = binds.cloned().collect();
    let lines = reader.lines_of_defaults.into_iter();
    let unused = lines.filter(|(section, _)| !reader.followed.contains(section));
    reader.done.idle.extend(unused.map(|(_, idle)| idle));
    reader.done
}

impl Reader {
    fn statement(&mut self, statement: &Statement) {
        let Statement { place, words } = statement;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if words.is_empty() {
            return self.incomplete();
        }
        if SECTIONS.contains(&words[0]) {
            return self.open(&words, place);
        }
        // HAProxy ignores these rules in `mode tcp`.
        if ["http-request", "http-response"].contains(&words[0]) && self.is_in_tcp() {
            return;
        }
        self.done.facts.read(&words);
        self.note_check(&words, place);
        if let Some(frontend) = self.frontends.last_mut().filter(|_| self.in_frontend) {
            frontend.read(&words, place);
        }
        let unclear = match &self.section {
            Section::Global => self.done.global.read(&words, place),
            Section::Defaults(name) => {
                let unclear = self.defaults.read(&words, place);
                if let Some(name) = name {
                    self.named.insert(name.clone(), self.defaults.clone());
                }
                unclear
            }
            Section::Backend => match self.done.backends.last_mut() {
                Some(backend) => backend.read(statement),
                None => return,
            },
            Section::Resolvers => {
                self.done.resolvers.push(statement.words.clone());
                return;
            }
            Section::CrtStore => return self.done.global.read_store(&words),
            Section::FcgiApp => return self.done.global.add_section_line(&words),
            Section::Other => return,
        };
        self.unclear(place, unclear);
    }

    /// Notes a line about checks, if it is the first such line in its `frontend` or `defaults` section.
    fn note_check(&mut self, words: &[&str], place: &Place) {
        let is_frontend = self.in_frontend && matches!(self.section, Section::Other);
        let Some(text) = of_check(words) else { return };
        let idle = Idle {
            place: place.clone(),
            text,
            is_frontend,
        };
        match (&self.section, &self.place) {
            (Section::Other, _) if is_frontend && !self.is_idle => {
                self.is_idle = true;
                self.done.idle.push(idle);
            }
            (Section::Defaults(_), Some(section)) => {
                let mut known = self.lines_of_defaults.iter();
                if !known.any(|(place, _)| place == section) {
                    self.lines_of_defaults.push((section.clone(), idle));
                }
            }
            _ => {}
        }
    }

    /// Returns true if the current proxy isn't in `mode http`, as far as its lines have been read.
    fn is_in_tcp(&self) -> bool {
        match &self.section {
            Section::Backend => self
                .done
                .backends
                .last()
                .is_some_and(|last| !last.settings.http),
            Section::Other if self.in_frontend => {
                self.frontends.last().is_some_and(|last| !last.is_http())
            }
            _ => false,
        }
    }

    /// Marks the section as incomplete, because a line can't be split.
    fn incomplete(&mut self) {
        match &self.section {
            Section::Defaults(name) => {
                self.defaults.incomplete = true;
                if let Some(name) = name {
                    self.named.insert(name.clone(), self.defaults.clone());
                }
            }
            Section::Backend => {
                let backend = self.done.backends.last_mut();
                backend
                    .into_iter()
                    .for_each(|backend| backend.settings.incomplete = true);
            }
            Section::Global
            | Section::Resolvers
            | Section::CrtStore
            | Section::FcgiApp
            | Section::Other => {}
        }
    }

    fn unclear(&mut self, place: &Place, texts: impl IntoIterator<Item = String>) {
        let texts = texts.into_iter().map(|text| (place.clone(), text));
        self.done.unclear.extend(texts);
    }

    /// Notes the `defaults` section from which the new section inherits. A frontend without `from` doesn't
    /// count, because it has no checks. Also notes the place of a new `defaults` section.
    fn follow(&mut self, word: &str, name: Option<&str>, from: Option<&str>, place: &Place) {
        let followed = match from {
            Some(from) => self.places.get(from),
            None => self.place.as_ref(),
        };
        if from.is_some() || ["backend", "listen"].contains(&word) {
            self.followed.extend(followed.cloned());
        }
        if word == "defaults" {
            self.place = Some(place.clone());
            let name = name.map(|name| (name.to_owned(), place.clone()));
            self.places.extend(name);
        }
    }

    /// Starts a section.
    fn open(&mut self, words: &[&str], place: &Place) {
        let name = words.get(1).copied().filter(|name| *name != "from");
        let from = words.iter().position(|word| *word == "from");
        let from = from.and_then(|at| words.get(at + 1));
        let inherited = match from {
            None if words[0] == "defaults" => ProxySettings::default(),
            None => self.defaults.clone().inherited(),
            Some(from) => self
                .named
                .get(*from)
                .cloned()
                .map(ProxySettings::inherited)
                .unwrap_or_else(|| {
                    let text = format!("there is no `defaults {from}` above");
                    self.done.unclear.push((place.clone(), text));
                    ProxySettings::default()
                }),
        };
        self.follow(words[0], name, from.copied(), place);
        let itself = name.filter(|_| words[0] == "listen");
        self.is_idle = false;
        self.in_frontend = itself.is_some() || words[0] == "frontend";
        if self.in_frontend {
            self.frontends
                .push(Frontend::new(inherited.clone(), itself));
        }
        self.section = match words[0] {
            "global" => Section::Global,
            "defaults" => {
                self.defaults = inherited;
                let name = name.map(str::to_owned);
                if let Some(name) = &name {
                    self.named.insert(name.clone(), self.defaults.clone());
                }
                Section::Defaults(name)
            }
            "backend" | "listen" => {
                self.done.backends.push(Backend {
                    name: name.unwrap_or_default().to_owned(),
                    place: place.clone(),
                    settings: inherited,
                    servers: Vec::new(),
                    listener: None,
                    visitors: Visitors::default(),
                });
                Section::Backend
            }
            "resolvers" => {
                let words = words.iter().map(|word| (*word).to_owned());
                self.done.resolvers.push(words.collect());
                Section::Resolvers
            }
            "fcgi-app" => {
                self.done.global.add_section_line(words);
                Section::FcgiApp
            }
            "crt-store" => {
                self.done.global.open_store(words);
                Section::CrtStore
            }
            _ => Section::Other,
        };
    }
}

impl Backend {
    /// Reads a line. Returns what sni-check doesn't understand in the line, as text for the report.
    fn read(&mut self, statement: &Statement) -> Vec<String> {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["server", name, address, ..] => {
                self.add(vec![(*name).to_owned()], address, 3, statement)
            }
            ["server-template", prefix, range, address, ..] => match template(prefix, range) {
                Some(names) => self.add(names, address, 4, statement),
                None => vec![format!(
                    "{range} is not a count or a range of at most 10000 servers"
                )],
            },
            ["server" | "server-template", ..] => vec!["a server without an address".to_owned()],
            ["bind", address, ..] => {
                let first = address.split(',').next().unwrap_or_default();
                let first = || Endpoint::parse(first).words();
                self.listener.get_or_insert_with(first);
                Vec::new()
            }
            words => self.settings.read(words, &statement.place),
        }
    }

    /// Adds servers with these names. `from` is the index of the word at which their settings
    /// start.
    fn add(
        &mut self,
        names: Vec<String>,
        address: &str,
        from: usize,
        statement: &Statement,
    ) -> Vec<String> {
        let mut settings = self.settings.server.passed_on();
        let unclear = settings.read(&statement.words[from..], &statement.place);
        let copied = settings.passed_on();
        // HAProxy copies the settings of a template's first server to the others.
        let settings = iter::once(settings).chain(iter::repeat(copied));
        let servers = names.into_iter().zip(settings);
        let servers = servers.map(|(name, settings)| Server {
            name,
            endpoint: Endpoint::parse(address),
            family: address
                .rfind('@')
                .map_or("", |at| &address[..=at])
                .to_owned(),
            settings,
            place: statement.place.clone(),
        });
        self.servers.extend(servers);
        unclear
    }
}
