//! A generated configuration: the author's intention, and the text.

use std::fmt::Write as _;

use crate::grammar;
use crate::peers::{Peer, World};
use crate::support::NAME;
use crate::support::dice::Dice;

/// The kind of check that the author of the configuration wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `option external-check` with sni-check.
    External,
    /// `option httpchk`.
    Http,
    /// `check` without an `option` line.
    Plain,
    /// `option tcp-check`.
    Tcp,
    /// `option httpchk`, whose requests go to `sni-check serve`.
    Serve,
    /// `agent-check`.
    Agent,
    /// The author wants no check.
    None,
}

/// The section that contains the lines about the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    Backend,
    Defaults,
    /// The named `defaults` section of `backend … from NAME`.
    NamedDefaults,
}

/// The lines that contain a server's keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    Server,
    DefaultServer,
    /// The server line has `check_words`, and a `default-server` line has `words`.
    Mixed,
}

/// A configuration.
#[derive(Clone, Debug)]
pub struct Case {
    pub number: u64,
    pub kind: Kind,
    pub peer: Peer,
    /// The changes that were made to a correct configuration.
    pub tags: Vec<String>,
    /// The lines of `global`.
    pub global: Vec<String>,
    /// True if HAProxy can run this configuration together with others that have the same `global`.
    pub is_common: bool,
    /// True if `SNI_HOST` is set in HAProxy's environment.
    pub has_variables: bool,
    /// True for `mode http`, false for `mode tcp`.
    pub http: bool,
    /// True if visitors connect to the frontend with TLS.
    pub tls_front: bool,
    pub timeouts: Vec<String>,
    /// The lines that select the kind of check.
    pub option: Vec<String>,
    /// Other lines of the backend: rules of the check, `http-request` and so on.
    pub rules: Vec<String>,
    pub place: Where,
    pub words_place: Words,
    /// Other lines of the frontend.
    pub front: Vec<String>,
    /// True if the frontend sends only visitors with the site's Host to the backend.
    pub front_asks_host: bool,
    /// The servers' names and addresses. If `range` is set, the first server is a `server-template`.
    pub servers: Vec<(String, String)>,
    /// The range of a `server-template`.
    pub range: Option<String>,
    /// The keywords of the server line, each with its value.
    pub words: Vec<String>,
    /// The keywords about the check, each with its value: `check`, `inter 1s`, `check-sni NAME` and so on.
    pub check_words: Vec<String>,
    /// Additional keywords of the last server line.
    pub last_words: Vec<String>,
    /// Additional sections, such as `resolvers`.
    pub sections: Vec<String>,
    /// How much unrelated text the configuration has, such as comments and other backends: 0 to 2.
    pub noise: usize,
    /// True if the text is split into two files.
    pub two_files: bool,
    pub as_listen: bool,
}

impl Case {
    /// Returns the configuration with this seed and number.
    pub fn new(seed: u64, number: u64, world: &World) -> Case {
        let dice = &mut Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
        grammar::generate(dice, number, world)
    }

    /// Returns the prefix of every name in this configuration.
    pub fn prefix(&self) -> String {
        format!("site{}", self.number)
    }

    /// Returns true if the server line has `ssl`.
    pub fn has_ssl(&self) -> bool {
        self.words.iter().any(|word| word == "ssl")
    }

    /// Returns the `global` section.
    pub fn global_text(&self) -> String {
        let lines = self.global.iter().map(|line| format!("    {line}\n"));
        format!("global\n{}", lines.collect::<String>())
    }

    /// Returns the sections after `global`. `sockets` is the folder of the frontends' sockets.
    pub fn text(&self, sockets: &str) -> String {
        let mut text = String::new();
        self.defaults(&mut text);
        self.front(&mut text, sockets);
        self.backend(&mut text, sockets);
        self.other_sections(&mut text);
        text
    }

    fn defaults(&self, text: &mut String) {
        let name = self.prefix();
        if self.place == Where::NamedDefaults {
            // doctor must not apply this unnamed `defaults` section to the backend.
            _ = writeln!(
                text,
                "\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s"
            );
            _ = writeln!(text, "\ndefaults {name}-base");
        } else {
            _ = writeln!(text, "\ndefaults");
        }
        _ = writeln!(text, "    mode {}", if self.http { "http" } else { "tcp" });
        if self.noise > 1 {
            _ = writeln!(text, "    log global\n    option dontlognull");
        }
        for line in &self.timeouts {
            _ = writeln!(text, "    {line}");
        }
        if self.place != Where::Backend {
            for line in &self.option {
                _ = writeln!(text, "    {line}");
            }
        }
    }

    fn from(&self) -> String {
        match self.place {
            Where::NamedDefaults => format!(" from {}-base", self.prefix()),
            _ => String::new(),
        }
    }

    fn bind(&self, sockets: &str) -> String {
        let name = self.prefix();
        let tls = match self.tls_front {
            true => format!(" ssl crt {sockets}/front.pem"),
            false => String::new(),
        };
        format!("bind unix@{sockets}/{name}.s{tls}")
    }

    fn front(&self, text: &mut String, sockets: &str) {
        if self.as_listen {
            return;
        }
        let name = self.prefix();
        _ = writeln!(text, "\nfrontend {name}-www{}", self.from());
        _ = writeln!(text, "    {}", self.bind(sockets));
        if self.noise > 0 && self.http {
            _ = writeln!(
                text,
                "    acl is_static path_beg /static # nothing special\n    http-request set-header X-Forwarded-Proto https"
            );
            _ = writeln!(text, "    use_backend {name}-other if is_static");
        }
        for line in &self.front {
            _ = writeln!(text, "    {line}");
        }
        _ = match self.front_asks_host {
            true => writeln!(text, "    use_backend {name} if {{ hdr(host) -i {NAME} }}"),
            false => writeln!(text, "    default_backend {name}"),
        };
    }

    fn backend(&self, text: &mut String, sockets: &str) {
        let name = self.prefix();
        let word = if self.as_listen { "listen" } else { "backend" };
        _ = writeln!(text, "\n{word} {name}{}", self.from());
        if self.as_listen {
            _ = writeln!(text, "    {}", self.bind(sockets));
        }
        if self.noise > 1 {
            _ = writeln!(text, "    balance roundrobin");
        }
        if self.place == Where::Backend {
            for line in &self.option {
                _ = writeln!(text, "    {line}");
            }
        }
        for line in &self.rules {
            _ = writeln!(text, "    {line}");
        }
        let (before, on_line) = match self.words_place {
            Words::Server => (
                Vec::new(),
                [self.words.clone(), self.check_words.clone()].concat(),
            ),
            Words::DefaultServer => (
                [self.check_words.clone(), self.words.clone()].concat(),
                Vec::new(),
            ),
            Words::Mixed => (self.words.clone(), self.check_words.clone()),
        };
        if !before.is_empty() {
            _ = writeln!(text, "    default-server {}", before.join(" "));
        }
        for (index, (server, address)) in self.servers.iter().enumerate() {
            let head = match &self.range {
                Some(range) if index == 0 => format!("server-template {server} {range} {address}"),
                _ => format!("server {server} {address}"),
            };
            let last = match index + 1 == self.servers.len() {
                true => self.last_words.as_slice(),
                false => &[],
            };
            let words = [on_line.as_slice(), last].concat();
            _ = writeln!(text, "    {head} {}", words.join(" "));
        }
    }

    fn other_sections(&self, text: &mut String) {
        let name = self.prefix();
        if self.noise > 0 && self.http && !self.as_listen {
            _ = writeln!(
                text,
                "\n# Static files come from elsewhere.\nbackend {name}-other{}\n    mode http\n    server cache 127.0.0.1:9 maxconn 50",
                self.from()
            );
        }
        for section in &self.sections {
            _ = writeln!(text, "\n{section}");
        }
    }
}
