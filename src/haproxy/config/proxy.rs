//! The settings of `global`, `defaults` and proxies that concern health checks (configuration
//! manual, sections 3 and 4).

use std::path;
use std::time::Duration;

use crate::haproxy::time::Time;

use super::condition::is_same;
use super::crt_store::{Stores, below};
use super::host_rule::HostChange;
use super::http_check::Rules;
use super::place::{At, Place, owned, word_after};
use super::route::Route;
use super::server_line::{Server, Settings};

/// The `global` section.
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
    /// `no strict-limits`: HAProxy starts even if it can't raise a limit.
    pub lax_limits: bool,
    /// The position of a `stats socket` that can add servers.
    pub admin_socket: Option<Place>,
    /// The address of each `stats socket`.
    pub stats_sockets: Vec<At<String>>,
    pub pidfile: Option<At<String>>,
    /// The folder in which HAProxy looks for files with a relative path (`default-path`).
    pub default_path: Option<String>,
    /// The folder of relative `ca-file` paths.
    pub ca_base: Option<String>,
    /// The folder of relative `crt` paths.
    pub crt_base: Option<String>,
    /// The folder of relative `key` paths in `crt-store` sections.
    pub key_base: Option<String>,
    pub stores: Stores,
    /// The lines of the `fcgi-app` sections.
    pub fcgi_apps: Vec<Vec<String>>,
    /// `ssl-server-verify none`.
    pub verify_none: Option<Place>,
    /// The lines that affect the connections to all servers.
    pub for_servers: Vec<At<Vec<String>>>,
}

/// The settings of a proxy, or of `defaults`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxySettings {
    /// The kind of check: `external-check`, `httpchk` …
    pub check: Option<At<String>>,
    /// The arguments of the option that chooses the check, such as `user NAME`.
    pub check_arguments: Vec<String>,
    /// An `option external-check` that a later check option replaces.
    pub replaced: Option<Place>,
    /// The `http-check` and `tcp-check` rules, as they are written.
    pub rules: Rules,
    pub command: Option<At<String>>,
    pub path: Option<At<String>>,
    /// An `external-check` line with too many words, without its first word.
    pub too_many: Option<At<Vec<String>>>,
    /// True if a line can't be split into words and is therefore missing here.
    pub incomplete: bool,
    pub timeout_connect: Option<At<Duration>>,
    pub timeout_check: Option<At<Duration>>,
    pub timeout_server: Option<At<Duration>>,
    /// The rules that change visitors' requests or responses, the rules that answer every request, and the
    /// lines `acl` and `http-send-name-header`.
    pub for_visitors: Vec<At<Vec<String>>>,
    /// True if a condition exempts some requests from the rules that follow it (`http-request allow`).
    pub allows_some: bool,
    /// `source` of the whole proxy.
    pub source: Option<At<String>>,
    /// What `http-request` rules do with visitors' Host.
    pub host: HostChange,
    /// True if `use-server` rules choose servers for visitors.
    pub chooses_servers: bool,
    /// The header fields that HAProxy adds to every visitor's request, as `Name: value`. Each field comes
    /// with the beginning of the line in haproxy.cfg that adds it.
    pub fields: Vec<(String, String)>,
    /// `mode http`.
    pub http: bool,
    /// `mode log`.
    pub logs: bool,
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
    /// Address and port of the first listener, as HAProxy passes them to an external check.
    pub listener: Option<(String, String)>,
    pub visitors: Visitors,
}

/// What sni-check learns from the frontends about the visitors of a backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitors {
    /// The names that visitors ask for, by Host or SNI. Empty if visitors may ask for any name.
    pub names: Vec<String>,
    /// What the ways to this backend require of a request.
    pub routes: Vec<Route>,
    /// The names whose visitors never reach this backend, because the frontend sends them to another backend.
    pub taken: Vec<String>,
    /// The names that the conditions of the frontends contain, also in comparisons with a part of a name.
    pub mentions: Vec<String>,
    /// The Host that all of these frontends give to every request with `http-request set-header`.
    pub host: Option<At<String>>,
    /// True if a rule of one of these frontends computes the Host from the request.
    pub computes_host: bool,
    /// The line that keeps all visitors from this backend. The line changes the Host, and the frontend
    /// chooses this backend only for other Hosts.
    pub lost: Option<At<String>>,
    /// The `http-request` rules and `acl` lines of a frontend that sends visitors to this backend.
    pub rules: Vec<At<Vec<String>>>,
    /// The `bind` line without TLS of a frontend that also has a `bind` line with TLS, if the frontend sends
    /// the visitors of both to this backend.
    pub plain_bind: Option<Place>,
    /// The header fields that all of these frontends add to visitors' requests, as in [`ProxySettings`].
    pub fields: Vec<(String, String)>,
    /// True if visitors' bytes arrive here as TLS, false if they arrive without TLS, `None` if this is
    /// unknown. This matters in `mode tcp`.
    pub speak_tls: Option<bool>,
}

/// Lines about checks in a section where they have no effect.
#[derive(Clone, Debug)]
pub(crate) struct UnusedLine {
    /// The first of these lines.
    pub place: Place,
    /// The first words of that line.
    pub text: String,
    /// True in a `frontend`, false in a `defaults` section from which no backend inherits.
    pub is_frontend: bool,
}

impl Global {
    /// Returns the path of a CA file or of a revocation list. A relative path starts in `ca-base`.
    pub(crate) fn ca_path(&self, file: &str) -> String {
        below(
            self.default_path.as_ref(),
            &below(self.ca_base.as_ref(), file),
        )
    }

    /// Returns the path of a client certificate, or its name in a `crt-store`. A relative path starts in
    /// `crt-base`.
    pub(crate) fn crt_path(&self, file: &str) -> String {
        below(
            self.default_path.as_ref(),
            &below(self.crt_base.as_ref(), file),
        )
    }
}

impl Visitors {
    /// Returns true if visitors with this Host may reach the backend.
    pub(crate) fn may_have(&self, host: &str) -> bool {
        !self.taken.iter().any(|taken| is_same(taken, host))
    }
}

impl Backend {
    /// Returns true if a line is in the backend itself, not in its defaults.
    pub(crate) fn has_line(&self, place: &Place) -> bool {
        place.is_in(&self.place)
    }

    /// Returns the Host of visitors' requests, if all of them reach the servers with the same Host.
    pub(crate) fn only_host(&self) -> Option<&str> {
        match (self.given_host(), self.names()) {
            (Some(host), _) => Some(&host.value),
            (None, [name]) => Some(name),
            _ => None,
        }
    }

    /// Returns the Host that `http-request set-header` gives to every request.
    pub(crate) fn given_host(&self) -> Option<&At<String>> {
        match &self.settings.host {
            HostChange::Kept => self.visitors.host.as_ref(),
            change => change.fixed(),
        }
    }

    /// Returns the names with which visitors reach the servers, as far as the frontends restrict them. Empty
    /// if visitors may have any name, or if only HAProxy can compute their Host in this backend.
    pub(crate) fn names(&self) -> &[String] {
        match self.settings.host.is_computed() {
            true => &[],
            false => &self.visitors.names,
        }
    }

    /// Returns true if the configuration says with which Host visitors' requests arrive in this backend,
    /// before a rule of the backend changes it.
    pub(crate) fn knows_arriving_host(&self) -> bool {
        !self.visitors.names.is_empty() || self.visitors.host.is_some()
    }

    /// Returns true if a rule computes the Host of visitors' requests, and doctor can't know the result.
    pub(crate) fn hides_host(&self) -> bool {
        match &self.settings.host {
            HostChange::Set(_) => false,
            HostChange::Conditional => true,
            HostChange::Computed => !self.knows_arriving_host(),
            HostChange::Kept => self.visitors.computes_host && !self.knows_arriving_host(),
        }
    }

    /// Returns true if visitors' requests or bytes arrive here without TLS. Then only the server line can add
    /// TLS.
    pub(crate) fn gets_plain_bytes(&self) -> bool {
        self.settings.http || self.visitors.speak_tls == Some(false)
    }

    /// Returns true if an external program checks the servers.
    pub(crate) fn is_external(&self) -> bool {
        let check = self.settings.check.as_ref();
        check.is_some_and(|check| check.value == "external-check") && !self.settings.disabled
    }
}

/// Returns true if this action of `http-request` changes a request and lets it pass.
fn rewrites(action: &str) -> bool {
    let mut starts = "set- add- del- replace- unset-var normalize-uri".split(' ');
    // These actions need maps, or change something other than the request.
    let mut other = "-map -acl set-log set-nice set-priority set-src set-dst".split(' ');
    starts.any(|start| action.starts_with(start)) && !other.any(|part| action.contains(part))
}

impl ProxySettings {
    /// Reads a line of `defaults` or of a proxy. Returns what sni-check doesn't understand in the line, as
    /// text for the report.
    pub(crate) fn read(&mut self, words: &[&str], place: &Place) -> Vec<String> {
        let text = |value: &&str| Some(At::new((*value).to_owned(), place));
        let line = || At::new(owned(words), place);
        match words {
            ["option", kind, more @ ..] if kind.ends_with("check") || kind.ends_with("chk") => {
                let before = self.check.take();
                let replaced = before.filter(|check| check.value == "external-check");
                self.replaced = replaced.map(|check| check.place).or(self.replaced.take());
                if *kind == "external-check" {
                    self.replaced = None;
                }
                self.check = text(kind);
                self.check_arguments = owned(more);
                if *kind == "httpchk" {
                    self.rules.set_request(more);
                }
            }
            ["http-check" | "tcp-check", ..] => self.rules.add(words, place),
            ["option", "forwardfor", more @ ..] => {
                let name = word_after(more, "header").unwrap_or(&"X-Forwarded-For");
                self.add_field(&format!("{name}: 127.0.0.1"), FORWARDED_FOR);
            }
            ["no", "option", "forwardfor", ..] => {
                self.fields.retain(|(_, words)| words != FORWARDED_FOR);
            }
            ["source", value, ..] => self.source = text(value),
            ["use-server", ..] => self.chooses_servers = true,
            ["external-check", "command", command] => self.command = text(command),
            ["external-check", "path", path] => self.path = text(path),
            ["external-check", "command" | "path", _, _, ..] => {
                self.too_many = Some(At::new(owned(&words[1..]), place));
            }
            ["external-check", ..] => return vec![words.join(" ")],
            [
                "timeout",
                name @ ("connect" | "check" | "server"),
                value,
                ..,
            ] => {
                let time = match value.parse::<Time>() {
                    Ok(time) => Some(At::new(time.0, place)),
                    Err(error) => {
                        return vec![error.of(&format!("timeout {name} {value}")).to_string()];
                    }
                };
                match *name {
                    "connect" => self.timeout_connect = time,
                    "server" => self.timeout_server = time,
                    _ => self.timeout_check = time,
                }
            }
            ["acl" | "http-send-name-header" | "use-fcgi-app", ..] => {
                self.for_visitors.push(line());
            }
            ["http-request", "allow", "if" | "unless", ..] => self.allows_some = true,
            [
                "http-request",
                "deny" | "return" | "reject" | "silent-drop",
                more @ ..,
            ] if !self.allows_some && !more.iter().any(|word| ["if", "unless"].contains(word)) => {
                self.for_visitors.push(line());
            }
            ["http-response", action, ..]
                if rewrites(action) || ["deny", "return"].contains(action) =>
            {
                self.for_visitors.push(line());
            }
            ["http-request", action, ..] if rewrites(action) => {
                self.host.add(words, place);
                if let [
                    "http-request",
                    action @ ("set-header" | "add-header"),
                    name,
                    value,
                ] = words
                    && !value.contains('%')
                    && !name.eq_ignore_ascii_case("host")
                {
                    let words = format!("http-request {action} {name}");
                    self.add_field(&format!("{name}: {value}"), &words);
                }
                self.for_visitors.push(line());
            }
            ["mode", mode, ..] => {
                self.http = *mode == "http";
                self.logs = *mode == "log";
            }
            ["disabled", ..] => self.disabled = true,
            ["enabled", ..] => self.disabled = false,
            ["default-server", more @ ..] => {
                return self.server.read(&owned(more), place);
            }
            _ => {}
        }
        Vec::new()
    }
}

/// The option with which HAProxy sends the visitor's address to servers.
const FORWARDED_FOR: &str = "option forwardfor";

impl ProxySettings {
    fn add_field(&mut self, field: &str, words: &str) {
        self.fields.push((field.to_owned(), words.to_owned()));
    }

    /// Returns true if HAProxy refuses a line of the proxy. In that case, doctor draws no conclusions from
    /// the other lines.
    pub(crate) fn is_broken(&self) -> bool {
        self.incomplete || self.too_many.is_some()
    }

    /// Returns the initial settings of a proxy that inherits from these `defaults`.
    pub(crate) fn inherited(mut self) -> ProxySettings {
        self.rules.inherit();
        self
    }
}

/// Returns true if a line of `global` with this first word affects connections to servers.
fn is_for_servers(word: &str) -> bool {
    let mut starts =
        "ssl-default-server- ssl-load-extra- tune.ssl. tune.h2.be. ssl-prov".split(' ');
    let mut words = "ca-base crt-base expose-experimental-directives key-base ssl-propquery ssl-security-level \
                     ssl-server-verify tune.bufsize tune.http.maxhdr tune.maxrewrite"
        .split(' ');
    starts.any(|start| word.starts_with(start)) || words.any(|known| known == word)
}

impl Global {
    /// Reads a line. Returns what sni-check doesn't understand in the line, as text for the report.
    pub(crate) fn read(&mut self, words: &[&str], place: &Place) -> Vec<String> {
        let here = Some(place.clone());
        let text = |value: &&str| Some(At::new((*value).to_owned(), place));
        if words.first().is_some_and(|word| is_for_servers(word)) {
            self.for_servers.push(At::new(owned(words), place));
        }
        match words {
            ["external-check", more @ ..] => {
                self.external_check = here;
                self.preserve_env = more.first() == Some(&"preserve-env");
            }
            ["insecure-fork-wanted", ..] => self.insecure_fork = here,
            ["no", "insecure-fork-wanted", ..] => self.insecure_fork = None,
            // HAProxy keeps the first of these lines, and reports the others.
            ["user" | "uid", ..] if self.user.is_some() || self.uid.is_some() => {}
            ["group" | "gid", ..] if self.group.is_some() || self.gid.is_some() => {}
            ["user", value, ..] => self.user = text(value),
            ["group", value, ..] => self.group = text(value),
            ["uid", value, ..] => self.uid = text(value),
            ["gid", value, ..] => self.gid = text(value),
            ["chroot", value, ..] => set_once(&mut self.chroot, text(value)),
            ["pidfile", value, ..] => set_once(&mut self.pidfile, text(value)),
            ["no", "strict-limits", ..] => self.lax_limits = true,
            ["stats", "socket", address, more @ ..] => {
                self.stats_sockets.extend(text(address));
                if more.windows(2).any(|two| two == ["level", "admin"]) {
                    self.admin_socket = here;
                }
            }
            ["default-path", mode, more @ ..] => {
                self.default_path = default_path(mode, more, place);
                let folder = self.default_path.iter();
                let line = folder.map(|folder| owned(&["default-path", "origin", folder]));
                self.for_servers
                    .extend(line.map(|line| At::new(line, place)));
            }
            ["ca-base", value, ..] => self.ca_base = Some((*value).to_owned()),
            ["crt-base", value, ..] => self.crt_base = Some((*value).to_owned()),
            ["key-base", value, ..] => self.key_base = Some((*value).to_owned()),
            ["ssl-server-verify", value, ..] => {
                self.verify_none = here.filter(|_| *value == "none");
            }
            [name @ ("ulimit-n" | "fd-hard-limit" | "maxconn"), value, ..] => {
                let Ok(number) = value.parse() else {
                    return vec![format!("{name} {value}")];
                };
                let number = Some(At::new(number, place));
                let field = match *name {
                    "ulimit-n" => &mut self.ulimit_n,
                    "maxconn" => &mut self.maxconn,
                    _ => &mut self.fd_hard_limit,
                };
                set_once(field, number);
            }
            _ => {}
        }
        Vec::new()
    }
}

/// Returns the folder that a `default-path` line with these words names. Returns `None` for the folder in which
/// HAProxy starts.
fn default_path(mode: &str, more: &[&str], place: &Place) -> Option<String> {
    let file = path::absolute(&*place.file).ok()?;
    let folder = file.parent()?;
    let folder = match (mode, more) {
        ("config", _) => folder.to_owned(),
        ("parent", _) => folder.parent()?.to_owned(),
        ("origin", [folder, ..]) => path::absolute(folder).ok()?,
        _ => return None,
    };
    Some(folder.to_string_lossy().into_owned())
}

fn set_once<T>(field: &mut Option<T>, value: Option<T>) {
    *field = field.take().or(value);
}

#[cfg(test)]
mod tests {
    use super::{Global, Place};

    /// HAProxy 2.6 and 3.2 report "already specified. Continuing."
    #[test]
    fn the_first_line_of_global_counts() {
        let place = Place {
            file: "x".into(),
            line: 1,
        };
        let mut global = Global::default();
        for line in [
            "maxconn 100",
            "maxconn 1000000",
            "chroot /a",
            "chroot /b",
            "user a",
            "uid 5",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            global.read(&words, &place);
        }
        assert_eq!(global.maxconn.map(|at| at.value), Some(100));
        assert_eq!(global.chroot.map(|at| at.value).as_deref(), Some("/a"));
        assert!(global.user.is_some() && global.uid.is_none());
    }
}
