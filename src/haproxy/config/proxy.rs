//! A configuration, as far as health checks are concerned: what `global`, `defaults` and a proxy
//! say (configuration manual, sections 3 and 4).

use std::time::Duration;

use crate::options::values::Time;

use super::http_check::Rules;
use super::place::{At, Place};
use super::server_line::{Server, Settings};

/// The section `global`.
#[derive(Debug, Default)]
pub(crate) struct Global {
    pub external_check: Option<Place>,
    pub preserve_env: bool,
    pub insecure_fork: Option<Place>,
    pub chroot: Option<At<String>>,
    pub user: Option<At<String>>,
    pub group: Option<At<String>>,
    pub uid: Option<At<String>>,
    pub gid: Option<At<String>>,
    pub ulimit_n: Option<At<u64>>,
    pub fd_hard_limit: Option<At<u64>>,
    pub maxconn: Option<At<u64>>,
    /// `no strict-limits`: HAProxy starts with a limit it could not raise.
    pub lax_limits: bool,
    /// A `stats socket` over which servers can be added.
    pub admin_socket: Option<Place>,
    /// The address of each `stats socket`.
    pub stats_sockets: Vec<At<String>>,
    /// The folder in which a relative `ca-file` is looked for.
    pub ca_base: Option<At<String>>,
    /// The folder in which a relative `crt` is looked for.
    pub crt_base: Option<At<String>>,
    /// `ssl-server-verify none`.
    pub verify_none: Option<Place>,
}

/// What a proxy says, or `defaults` for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxySettings {
    /// The kind of check: `external-check`, `httpchk` …
    pub check: Option<At<String>>,
    /// An `option external-check` that a later kind of check replaces.
    pub replaced: Option<Place>,
    /// `http-check` and `tcp-check`, as they are written.
    pub rules: Rules,
    pub command: Option<At<String>>,
    pub path: Option<At<String>>,
    /// An `external-check` line with more words than it takes, without its first word.
    pub too_many: Option<At<Vec<String>>>,
    /// Whether a line is missing that cannot be split into words.
    pub incomplete: bool,
    pub timeout_connect: Option<At<Duration>>,
    pub timeout_check: Option<At<Duration>>,
    /// `source`, of the proxy as a whole.
    pub source: Option<At<String>>,
    /// `mode http`.
    pub http: bool,
    pub disabled: bool,
    /// `default-server`.
    pub server: Settings,
}

/// A `backend` or `listen`.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub name: String,
    pub place: Place,
    pub settings: ProxySettings,
    pub servers: Vec<Server>,
    /// Address and port of its first listener, in HAProxy's two words.
    pub listener: Option<(String, String)>,
}

impl Backend {
    /// Whether its servers are checked by a program.
    pub(crate) fn is_external(&self) -> bool {
        let check = self.settings.check.as_ref();
        check.is_some_and(|check| check.value == "external-check") && !self.settings.disabled
    }
}

impl ProxySettings {
    /// Reads a line of `defaults` or of a proxy; gives what was not understood.
    pub(crate) fn read(&mut self, words: &[&str], place: &Place) -> Vec<String> {
        let text = |value: &&str| Some(At::new((*value).to_owned(), place));
        match words {
            ["option", kind, more @ ..] if kind.ends_with("check") || kind.ends_with("chk") => {
                let before = self.check.take();
                let replaced = before.filter(|check| check.value == "external-check");
                self.replaced = replaced.map(|check| check.place).or(self.replaced.take());
                if *kind == "external-check" {
                    self.replaced = None;
                }
                self.check = text(kind);
                if *kind == "httpchk" {
                    self.rules.set_request(more);
                }
            }
            ["http-check" | "tcp-check", ..] => self.rules.add(words, place),
            ["source", value, ..] => self.source = text(value),
            ["external-check", "command", command] => self.command = text(command),
            ["external-check", "path", path] => self.path = text(path),
            ["external-check", "command" | "path", _, _, ..] => {
                let words = words
                    .iter()
                    .skip(1)
                    .map(|word| (*word).to_owned())
                    .collect();
                self.too_many = Some(At::new(words, place));
            }
            ["external-check", ..] => return vec![words.join(" ")],
            ["timeout", name @ ("connect" | "check"), value, ..] => {
                let time = match value.parse::<Time>() {
                    Ok(time) => Some(At::new(time.0, place)),
                    Err(error) => {
                        return vec![error.of(&format!("timeout {name} {value}")).to_string()];
                    }
                };
                match *name {
                    "connect" => self.timeout_connect = time,
                    _ => self.timeout_check = time,
                }
            }
            ["mode", mode, ..] => self.http = *mode == "http",
            ["disabled", ..] => self.disabled = true,
            ["enabled", ..] => self.disabled = false,
            ["default-server", more @ ..] => {
                let more: Vec<String> = more.iter().map(|word| (*word).to_owned()).collect();
                return self.server.read(&more, place);
            }
            _ => {}
        }
        Vec::new()
    }
}

impl ProxySettings {
    /// Whether HAProxy refuses a line of it, so that nothing can be concluded from the others.
    pub(crate) fn is_broken(&self) -> bool {
        self.incomplete || self.too_many.is_some()
    }

    /// What a proxy that follows `defaults` starts with.
    pub(crate) fn inherited(mut self) -> ProxySettings {
        self.rules.inherit();
        self
    }
}

impl Global {
    /// Reads a line; gives what was not understood.
    pub(crate) fn read(&mut self, words: &[&str], place: &Place) -> Vec<String> {
        let here = Some(place.clone());
        let text = |value: &&str| Some(At::new((*value).to_owned(), place));
        match words {
            ["external-check", more @ ..] => {
                self.external_check = here;
                self.preserve_env = more.first() == Some(&"preserve-env");
            }
            ["insecure-fork-wanted", ..] => self.insecure_fork = here,
            ["no", "insecure-fork-wanted", ..] => self.insecure_fork = None,
            ["chroot", value, ..] => self.chroot = text(value),
            ["user", value, ..] => self.user = text(value),
            ["group", value, ..] => self.group = text(value),
            ["uid", value, ..] => self.uid = text(value),
            ["gid", value, ..] => self.gid = text(value),
            ["no", "strict-limits", ..] => self.lax_limits = true,
            ["stats", "socket", address, more @ ..] => {
                self.stats_sockets.extend(text(address));
                if more.windows(2).any(|two| two == ["level", "admin"]) {
                    self.admin_socket = here;
                }
            }
            ["ca-base", value, ..] => self.ca_base = text(value),
            ["crt-base", value, ..] => self.crt_base = text(value),
            ["ssl-server-verify", value, ..] => {
                self.verify_none = here.filter(|_| *value == "none");
            }
            [name @ ("ulimit-n" | "fd-hard-limit" | "maxconn"), value, ..] => {
                let Ok(number) = value.parse() else {
                    return vec![format!("{name} {value}")];
                };
                let number = Some(At::new(number, place));
                match *name {
                    "ulimit-n" => self.ulimit_n = number,
                    "maxconn" => self.maxconn = number,
                    _ => self.fd_hard_limit = number,
                }
            }
            _ => {}
        }
        Vec::new()
    }
}
