//! The sections of a configuration: where each begins, and what it inherits (configuration manual,
//! sections 3 and 4).

use std::collections::{BTreeSet, HashMap};

use super::address::{Address, template};
use super::config::{Backend, Config, Inherited};
use super::lines::{Lines, Place, Statement};
use super::server::Server;

/// The section that the next line belongs to.
enum Section {
    Global,
    Defaults(Option<String>),
    Backend,
    /// Of no interest, but for its number.
    Other,
}

/// The reading of a configuration.
struct Reader {
    config: Config,
    section: Section,
    /// The `defaults` last read, for sections that name none.
    defaults: Inherited,
    named: HashMap<String, Inherited>,
    proxies: Numbers,
    servers: Numbers,
    /// Whether `global` has a line `stats`.
    stats: bool,
}

/// Reads the sections.
pub(super) fn read(lines: Lines) -> Config {
    let mut reader = Reader {
        config: Config {
            unclear: lines.unclear,
            unset: lines.unset,
            ..Config::default()
        },
        section: Section::Other,
        defaults: Inherited::default(),
        named: HashMap::new(),
        proxies: Numbers::default(),
        servers: Numbers::default(),
        stats: false,
    };
    let statements = lines.statements;
    reader.proxies = Numbers::of_proxies(&statements);
    for (index, statement) in statements.iter().enumerate() {
        reader.statement(statement, &statements[index + 1..]);
    }
    let in_order = |(place, _): &(Place, String)| (place.file.clone(), place.line);
    reader.config.unclear.sort_by_key(in_order);
    reader.config
}

fn is_proxy(word: &str) -> bool {
    ["frontend", "backend", "listen"].contains(&word)
}

/// The names that begin a section (manual, sections 3, 4 and beyond).
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

impl Reader {
    fn statement(&mut self, statement: &Statement, rest: &[Statement]) {
        let Statement { place, words } = statement;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if SECTIONS.contains(&words[0]) {
            return self.open(&words, place, rest);
        }
        match (&self.section, words.as_slice()) {
            (Section::Global, words) => {
                if words[0] == "stats" && !std::mem::replace(&mut self.stats, true) {
                    // HAProxy's own front end, for its sockets, takes a number too.
                    self.proxies.next(None);
                }
                let unclear = self.config.global.read(words, place);
                self.unclear(place, unclear);
            }
            (Section::Defaults(_), words) => {
                let unclear = self.defaults.read(words, place);
                self.unclear(place, unclear);
                if let Section::Defaults(Some(name)) = &self.section {
                    self.named.insert(name.clone(), self.defaults.clone());
                }
            }
            (Section::Backend, ["server" | "server-template", ..]) => {
                self.servers(&statement.words, place);
            }
            (Section::Backend, words) => {
                let Some(backend) = self.config.backends.last_mut() else {
                    return;
                };
                if let ["bind", address, ..] = words {
                    let first = address.split(',').next().unwrap_or_default();
                    backend
                        .listener
                        .get_or_insert_with(|| Address::parse(first).words());
                    return;
                }
                let unclear = backend.set.read(words, place);
                self.unclear(place, unclear);
            }
            (Section::Other, _) => {}
        }
    }

    fn unclear(&mut self, place: &Place, texts: impl IntoIterator<Item = String>) {
        let texts = texts.into_iter().map(|text| (place.clone(), text));
        self.config.unclear.extend(texts);
    }

    /// Begins a section.
    fn open(&mut self, words: &[&str], place: &Place, rest: &[Statement]) {
        let name = words.get(1).copied().filter(|name| *name != "from");
        let from = words.iter().position(|word| *word == "from");
        let from = from.and_then(|at| words.get(at + 1));
        let inherited = match from {
            None if words[0] == "defaults" => Inherited::default(),
            None => self.defaults.clone(),
            Some(from) => self.named.get(*from).cloned().unwrap_or_else(|| {
                let text = format!("there is no `defaults {from}` above");
                self.config.unclear.push((place.clone(), text));
                Inherited::default()
            }),
        };
        let id = match is_proxy(words[0]) {
            true => self.proxies.next(written_id(rest)),
            false => 0,
        };
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
                self.servers = Numbers::of_servers(rest);
                self.config.backends.push(Backend {
                    name: name.unwrap_or_default().to_owned(),
                    place: place.clone(),
                    set: inherited,
                    servers: Vec::new(),
                    listener: None,
                    id,
                });
                Section::Backend
            }
            _ => Section::Other,
        };
    }

    /// `server NAME ADDRESS …` or `server-template PREFIX RANGE ADDRESS …`.
    fn servers(&mut self, words: &[String], place: &Place) {
        let (names, address, more) = match words {
            [word, name, address, more @ ..] if word == "server" => {
                (Some(vec![name.clone()]), address, more)
            }
            [word, prefix, range, address, more @ ..] if word == "server-template" => {
                (template(prefix, range), address, more)
            }
            _ => return self.unclear(place, ["a server without an address".to_owned()]),
        };
        let Some(names) = names else {
            let text = format!("the range {}", words[2]);
            return self.unclear(place, [text]);
        };
        let Some(backend) = self.config.backends.last_mut() else {
            return;
        };
        let mut settings = backend.set.server.clone();
        settings.id = None;
        let unclear = settings.read(more, place);
        for name in names {
            backend.servers.push(Server {
                name,
                address: Address::parse(address),
                settings: settings.clone(),
                place: place.clone(),
                id: self.servers.next(settings.id),
            });
        }
        self.unclear(place, unclear);
    }
}

/// The numbers HAProxy gives to proxies, and to the servers of one: those written with `id`, and to
/// each other the next that is free, counting on for every one.
#[derive(Default)]
struct Numbers {
    written: BTreeSet<u32>,
    last: u32,
}

impl Numbers {
    fn next(&mut self, written: Option<u32>) -> u32 {
        self.last += 1;
        if let Some(id) = written {
            return id;
        }
        while self.written.contains(&self.last) {
            self.last += 1;
        }
        self.last
    }

    /// Keeps the numbers that are written further down.
    fn of_proxies(statements: &[Statement]) -> Numbers {
        let lines = statements.iter().enumerate();
        let proxies = lines.filter(|(_, line)| is_proxy(&line.words[0]));
        let written = proxies.filter_map(|(index, _)| written_id(&statements[index + 1..]));
        Numbers {
            written: written.collect(),
            last: 0,
        }
    }

    fn of_servers(rest: &[Statement]) -> Numbers {
        let servers = section(rest).filter(|line| line.words[0] == "server");
        let written = servers.filter_map(|line| {
            let mut words = line.words.iter().skip(3).skip_while(|word| *word != "id");
            words.nth(1)?.parse().ok()
        });
        Numbers {
            written: written.collect(),
            last: 0,
        }
    }
}

/// The lines until the next section.
fn section(rest: &[Statement]) -> impl Iterator<Item = &Statement> {
    rest.iter()
        .take_while(|line| !SECTIONS.contains(&line.words[0].as_str()))
}

fn written_id(rest: &[Statement]) -> Option<u32> {
    section(rest)
        .find(|line| line.words[0] == "id")
        .and_then(|line| line.words.get(1)?.parse().ok())
}
