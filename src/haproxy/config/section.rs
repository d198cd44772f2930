//! The sections of a configuration: where each section starts, and what it inherits (configuration
//! manual, sections 3 and 4).

use std::collections::BTreeSet;
use std::iter;

use super::address::{Endpoint, template};
use super::frontend::{Bind, Frontend};
use super::place::{At, Place, owned, word_after};
use super::proxy::{Backend, Global, ProxySettings, UnusedLine, Visitors};
use super::server_line::Server;
use super::statement::Statement;
use crate::refusal::Refusal;

/// The keywords that start a section (manual, sections 3, 4, 12 and others).
const SECTIONS: &str = "global defaults frontend backend listen peers mailers program ring resolvers \
    userlist http-errors log-forward cache fcgi-app crt-store traces acme \
    log-profile ruleset healthcheck";

/// The section to which the next line belongs. A `defaults` section, a frontend or a backend is the last one
/// in its list.
#[derive(Default)]
enum Section {
    Global,
    Defaults,
    Frontend,
    Backend,
    /// A frontend and a backend.
    Listen,
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
    pub binds: Vec<Bind>,
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
            ["bind", address, more @ ..] => {
                self.tls_listener |= more.contains(&"ssl");
                let mut sockets = ["/", "unix@", "abns@", "abnsz@"].into_iter();
                self.unix_listener |= sockets.any(|start| address.starts_with(start));
            }
            ["unix-bind", more @ ..] => {
                let prefix = word_after(more, "prefix").copied();
                self.unix_prefix = prefix.unwrap_or_default().to_owned();
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
    pub unused_lines: Vec<UnusedLine>,
    /// The places of lines that sni-check doesn't understand, with the words or the reason.
    pub unclear: Vec<(Place, String)>,
    /// Lines that can't be split into words.
    pub broken: Vec<At<Refusal>>,
    /// Variables that aren't set, with the place of each use.
    pub unset: Vec<(String, Place)>,
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

/// A `defaults` section.
struct Defaults {
    name: Option<String>,
    settings: ProxySettings,
    /// The first line about checks.
    check_line: Option<UnusedLine>,
    /// True if another section inherits from this section. A frontend without `from` doesn't count, because
    /// it has no checks.
    is_used: bool,
}

/// The state while a configuration is read.
#[derive(Default)]
struct Reader {
    done: Configuration,
    section: Section,
    defaults: Vec<Defaults>,
    frontends: Vec<Frontend>,
}

/// Reads the sections. `broken` and `unset` stay empty here, because [`super::statement::read`] finds these
/// problems.
pub(super) fn read(statements: &[Statement]) -> Configuration {
    let mut reader = Reader::default();
    for statement in statements {
        reader.statement(statement);
    }
    let mut done = reader.done;
    for backend in &mut done.backends {
        backend.visitors = Visitors::of(&backend.name, &reader.frontends);
    }
    let binds = reader.frontends.iter().flat_map(Frontend::binds);
    done.facts.binds = binds.cloned().collect();
    let in_frontends = reader.frontends.into_iter().map(|front| front.check_line);
    let unused = reader
        .defaults
        .into_iter()
        .filter(|defaults| !defaults.is_used);
    let lines = in_frontends.chain(unused.map(|defaults| defaults.check_line));
    done.unused_lines = lines.flatten().collect();
    done
}

impl Reader {
    fn statement(&mut self, statement: &Statement) {
        let Statement { place, words } = statement;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(first) = words.first() else {
            // HAProxy refuses the line, which can't be split.
            self.settings()
                .into_iter()
                .for_each(|settings| settings.incomplete = true);
            return;
        };
        if SECTIONS.split(' ').any(|keyword| keyword == *first) {
            return self.open(&words, place);
        }
        // HAProxy ignores these rules in `mode tcp`.
        if ["http-request", "http-response"].contains(first) && self.is_in_tcp() {
            return;
        }
        self.done.facts.read(&words);
        self.note_check(&words, place);
        let frontend = self.frontends.last_mut();
        let frontend =
            frontend.filter(|_| matches!(self.section, Section::Frontend | Section::Listen));
        if let Some(frontend) = frontend {
            frontend.read(&words, place);
        }
        let unclear = match &self.section {
            Section::Global => self.done.global.read(&words, place),
            Section::Defaults => {
                let defaults = self.defaults.last_mut();
                defaults.map_or_else(Vec::new, |defaults| defaults.settings.read(&words, place))
            }
            Section::Backend | Section::Listen => {
                let backend = self.done.backends.last_mut();
                backend.map_or_else(Vec::new, |backend| backend.read(statement))
            }
            Section::Resolvers => {
                self.done.resolvers.push(statement.words.clone());
                Vec::new()
            }
            Section::CrtStore => {
                let global = &mut self.done.global;
                let bases = (global.crt_base.as_ref(), global.key_base.as_ref());
                global.stores.read(&words, bases.0, bases.1);
                Vec::new()
            }
            Section::FcgiApp => {
                self.done.global.fcgi_apps.push(owned(&words));
                Vec::new()
            }
            Section::Frontend | Section::Other => Vec::new(),
        };
        let unclear = unclear.into_iter().map(|text| (place.clone(), text));
        self.done.unclear.extend(unclear);
    }

    /// Returns the settings of the current `defaults` section or backend.
    fn settings(&mut self) -> Option<&mut ProxySettings> {
        match self.section {
            Section::Defaults => self.defaults.last_mut().map(|last| &mut last.settings),
            Section::Backend | Section::Listen => {
                self.done.backends.last_mut().map(|last| &mut last.settings)
            }
            _ => None,
        }
    }

    /// Notes a line about checks, if it is the first such line in its `frontend` or `defaults` section.
    fn note_check(&mut self, words: &[&str], place: &Place) {
        let first_line = match self.section {
            Section::Frontend => self.frontends.last_mut().map(|last| &mut last.check_line),
            Section::Defaults => self.defaults.last_mut().map(|last| &mut last.check_line),
            _ => None,
        };
        if let (Some(first_line), Some(text)) = (first_line, of_check(words)) {
            first_line.get_or_insert(UnusedLine {
                place: place.clone(),
                text,
                is_frontend: matches!(self.section, Section::Frontend),
            });
        }
    }

    /// Returns true if the current proxy isn't in `mode http`, as far as its lines have been read.
    fn is_in_tcp(&mut self) -> bool {
        let settings = match self.section {
            Section::Defaults => None,
            Section::Frontend => self.frontends.last_mut().map(|last| &mut last.settings),
            _ => self.settings(),
        };
        settings.is_some_and(|settings| !settings.http)
    }

    /// Starts a section.
    fn open(&mut self, words: &[&str], place: &Place) {
        let name = words.get(1).copied().filter(|name| *name != "from");
        let is_backend = ["backend", "listen"].contains(&words[0]);
        let from = word_after(words, "from");
        let index = match from {
            Some(from) => {
                let is_named = |defaults: &Defaults| defaults.name.as_deref() == Some(*from);
                self.defaults.iter().rposition(is_named)
            }
            None => self.defaults.len().checked_sub(1),
        };
        if let (Some(from), None) = (from, index) {
            let text = format!("there is no `defaults {from}` above");
            self.done.unclear.push((place.clone(), text));
        }
        let mut defaults = index.map(|index| &mut self.defaults[index]);
        if let Some(defaults) = defaults.as_mut().filter(|_| from.is_some() || is_backend) {
            defaults.is_used = true;
        }
        let inherited =
            defaults.map_or_else(ProxySettings::default, |defaults| defaults.settings.clone());
        let inherited = match (words[0], from) {
            ("defaults", None) => ProxySettings::default(),
            _ => inherited.inherited(),
        };
        if let "frontend" | "listen" = words[0] {
            let name = name.unwrap_or_default();
            let frontend = Frontend::new(inherited.clone(), words[0], name);
            self.frontends.push(frontend);
        }
        if is_backend {
            self.done.backends.push(Backend {
                name: name.unwrap_or_default().to_owned(),
                place: place.clone(),
                settings: inherited.clone(),
                servers: Vec::new(),
                listener: None,
                visitors: Visitors::default(),
            });
        }
        self.section = match words[0] {
            "global" => Section::Global,
            "defaults" => {
                self.defaults.push(Defaults {
                    name: name.map(str::to_owned),
                    settings: inherited,
                    check_line: None,
                    is_used: false,
                });
                Section::Defaults
            }
            "frontend" => Section::Frontend,
            "backend" => Section::Backend,
            "listen" => Section::Listen,
            "resolvers" => {
                self.done.resolvers.push(owned(words));
                Section::Resolvers
            }
            "fcgi-app" => {
                self.done.global.fcgi_apps.push(owned(words));
                Section::FcgiApp
            }
            "crt-store" => {
                self.done.global.stores.open(words);
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
