//! What the rules look at: the configuration, HAProxy's opinion of it, and for each server its check
//! and its traffic.

pub(crate) mod jail;
pub(crate) mod own_check;
pub(crate) mod path_options;
pub(crate) mod serve_options;
pub(crate) mod serving;
pub(crate) mod sources;

use crate::haproxy::config::Configuration;
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::{
    Connection, Reading, Sni, Speaks, Tls, Verified, traffic,
};
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::server_line::Server;
use crate::haproxy::program::{Haproxy, Opinion, place_in};
use crate::haproxy::variables::Variables;
use crate::plan::{ProxyHeader, Target};

use self::jail::Jail;
use self::path_options::Accepted;
use self::serving::Serving;
use super::finding::Finding;
use super::options::DoctorOptions;

/// A configuration, the HAProxy that would read it, and the host on which it runs.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    pub config: &'a Configuration,
    pub haproxy: &'a Haproxy,
    /// The variables that HAProxy has when it reads the last line.
    pub variables: &'a Variables,
    pub reading: Reading<'a>,
    pub opinion: Option<&'a Opinion>,
    pub jail: &'a Jail,
    pub serving: &'a Serving,
    /// The soft and the hard limit of open files with which HAProxy starts, if they are known.
    pub nofile: Option<(u64, u64)>,
    /// The options of this run of doctor.
    pub call: &'a DoctorOptions,
    /// Every server of the backends that are enabled and that HAProxy can read.
    pub watches: Vec<Watch<'a>>,
    /// Every server that follows a checked server (`track`): its traffic, and the check of the followed
    /// server.
    pub followers: Vec<Follower<'a>>,
    /// Returns what the rules find about a check, even if `check` is missing on the server line.
    pub judge: fn(&Visit, &Watch) -> Vec<Finding>,
    /// Tries a check that HAProxy doesn't run yet. If the check fails, returns what the operator should do
    /// before switching it on.
    pub try_check: fn(&Visit, &Watch) -> Option<String>,
}

/// A server, the check that its backend describes, and how visitors' traffic connects to the server.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pub backend: &'a Backend,
    pub server: &'a Server,
    /// The backend whose lines describe the check: the server's own backend, or the backend of the server
    /// that it follows (`track`).
    pub describes: &'a Backend,
    pub check: Check<'a>,
    /// True for an external check with a program other than sni-check. doctor can't know what such a program
    /// checks.
    pub runs_other_program: bool,
    pub traffic: Connection,
    /// How the check connects to the server. Empty if doctor doesn't know this.
    pub connections: Vec<Connection>,
    /// The options and the plan, if sni-check runs the check and accepts its options.
    pub own: Option<Accepted>,
    /// What is wrong with the options of a check by sni-check, or with the files that the options name. May
    /// also contain notes about options that sni-check accepts.
    pub refusals: Vec<Finding>,
}

/// A server to which HAProxy gives the state of another server (`track`).
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    /// The value of `track`, and its place.
    pub track: &'a At<String>,
    /// `BACKEND/SERVER` of the server that HAProxy checks.
    pub followed: String,
    /// The traffic of this server, and the check of the followed server.
    pub watch: Watch<'a>,
}

impl<'a> Visit<'a> {
    /// Returns the backends that are enabled and that HAProxy can read.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &'a Backend> {
        let whole =
            |backend: &&Backend| !backend.settings.is_broken() && !backend.settings.disabled;
        self.config.backends.iter().filter(whole)
    }

    /// Returns every server of [`backends`](Visit::backends), with its check and its traffic.
    pub(crate) fn find_watches(&self) -> Vec<Watch<'a>> {
        let watches = |backend: &'a Backend| {
            let servers = backend.servers.iter();
            servers.map(move |server| self.watch_of(backend, server))
        };
        self.backends().flat_map(watches).collect()
    }

    /// Returns HAProxy's messages about the configuration.
    pub(crate) fn says(&self) -> Vec<String> {
        let opinion = self.opinion;
        opinion.map_or_else(Vec::new, |opinion| opinion.says.clone())
    }

    /// Returns HAProxy's first alert about a line, if there is one.
    pub(crate) fn alert_at(&self, place: &Place) -> Option<&'a str> {
        let mut says = self.opinion?.says.iter().map(String::as_str);
        says.find(|line| {
            let here = place_in(line) == Some((&*place.file, place.line));
            here && line.starts_with("[ALERT]")
        })
    }

    /// Returns the check and traffic of a server in a backend. Rules also call this with a changed backend or
    /// server to test their own advice.
    pub(crate) fn watch_of<'b>(&self, backend: &'b Backend, server: &'b Server) -> Watch<'b>
    where
        'a: 'b,
    {
        let check = Check::of(self.reading, backend, server);
        let (own, refusals) = match &check {
            // An empty chroot contains no program and no files to examine.
            Check::External(check) if path_options::is_ours(check) && !self.has_empty_chroot() => {
                path_options::judge(check, self.jail, &self.config.global)
            }
            Check::Serve(check) => serve_options::judge(check, server, self.serving),
            _ => (None, Vec::new()),
        };
        let mut watch = Watch {
            traffic: traffic(self.reading, backend, server),
            connections: Vec::new(),
            backend,
            server,
            describes: backend,
            runs_other_program: match &check {
                Check::External(check) => path_options::runs_other_program(check, self.jail),
                _ => false,
            },
            check,
            own,
            refusals,
        };
        watch.connections = match (&watch.check, &watch.own) {
            (Check::Own(own), _) => own.connections.clone(),
            (_, Some(accepted)) if !watch.runs_other_program => {
                vec![watch.connection_of(accepted)]
            }
            _ => Vec::new(),
        };
        watch
    }

    /// Returns the server whose check decides the state of this server because of `track`. Returns `None` if
    /// the server has no `track`, or if `track` names an unknown server.
    pub(crate) fn followed(&self, watch: &Watch) -> Option<&Watch<'a>> {
        let named = |name: String| self.watches.iter().find(|watch| watch.name() == name);
        let mut found = named(watch.tracked()?)?;
        // HAProxy refuses a configuration in which servers track each other in a circle. doctor still
        // examines such a configuration, so this loop needs a limit.
        for _ in 0..self.watches.len() {
            let Some(name) = found.tracked() else { break };
            found = named(name)?;
        }
        Some(found)
    }

    /// Returns every server that follows a server which HAProxy checks.
    pub(crate) fn find_followers(&self) -> Vec<Follower<'a>> {
        let follower = |watch: &Watch<'a>| {
            let followed = self.followed(watch)?;
            let followed = Some(followed).filter(|followed| followed.is_active())?;
            Some(Follower {
                track: watch.server.settings.get("track")?,
                followed: followed.name(),
                watch: Watch {
                    backend: watch.backend,
                    server: watch.server,
                    traffic: watch.traffic.clone(),
                    ..self.watch_of(followed.backend, followed.server)
                },
            })
        };
        self.watches.iter().filter_map(follower).collect()
    }

    /// Returns the servers that HAProxy checks.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Watch<'a>> {
        self.watches.iter().filter(|watch| watch.is_active())
    }

    /// Returns the servers of a backend.
    pub(crate) fn watches_of<'b>(
        &'b self,
        backend: &'b Backend,
    ) -> impl Iterator<Item = &'b Watch<'a>> {
        let of_backend = |watch: &&Watch| std::ptr::eq(watch.backend, backend);
        self.watches.iter().filter(of_backend)
    }

    /// Returns the names of the servers of a backend that HAProxy checks. If HAProxy checks all of them or
    /// none of them, returns only the backend's name.
    pub(crate) fn checked_of(&self, backend: &Backend) -> Vec<String> {
        let (checked, others): (Vec<&Watch>, Vec<&Watch>) = self
            .watches_of(backend)
            .partition(|watch| watch.is_active());
        match checked.is_empty() || others.is_empty() {
            true => vec![backend.name.clone()],
            false => checked.into_iter().map(Watch::name).collect(),
        }
    }

    /// Returns how many servers of a backend HAProxy checks.
    pub(crate) fn checks_of(&self, backend: &Backend) -> usize {
        self.watches_of(backend)
            .filter(|watch| watch.is_active())
            .count()
    }

    /// Returns the names of the backends with an external check.
    pub(crate) fn external(&self) -> impl Iterator<Item = String> {
        self.config.external().map(|backend| backend.name.clone())
    }

    /// Returns true if HAProxy enters an empty chroot (`chroot auto`, HAProxy 3.5 and later).
    pub(crate) fn has_empty_chroot(&self) -> bool {
        let chroot = self.config.global.chroot.as_ref();
        chroot.is_some_and(|chroot| chroot.value == "auto") && self.haproxy.at_least(3, 5)
    }

    /// Returns true if HAProxy can start a program. Without `insecure-fork-wanted`, HAProxy 2.2 and later can
    /// do so only as root.
    pub(crate) fn can_fork(&self) -> bool {
        let forbidden = self.config.global.insecure_fork.is_none() && self.haproxy.at_least(2, 2);
        !forbidden || self.jail.user.uid == 0
    }
}

impl Watch<'_> {
    /// Returns true if HAProxy checks the server.
    pub(crate) fn is_active(&self) -> bool {
        self.server.is_checked() && !self.server.settings.has("track")
    }

    /// Returns the server that `track` names, as `BACKEND/SERVER`.
    pub(crate) fn tracked(&self) -> Option<String> {
        let track = self.server.settings.get("track")?;
        Some(match track.value.contains('/') {
            true => track.value.clone(),
            false => format!("{}/{}", self.backend.name, track.value),
        })
    }

    /// Returns `BACKEND/SERVER`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.backend.name, self.server.name)
    }

    /// Returns the setting that holds the options of a check by sni-check.
    pub(crate) fn carrier(&self) -> Option<&'static str> {
        match self.check {
            Check::External(_) => Some("external-check path"),
            Check::Serve(_) => Some("X-Check-Options"),
            _ => None,
        }
    }

    /// Returns the line with the options of a check by sni-check. Returns the server line if there is no such
    /// line.
    pub(crate) fn options_place(&self) -> &Place {
        let path = self.describes.settings.path.as_ref();
        let found = match &self.check {
            Check::Serve(serve) => serve.options.as_ref(),
            _ => path,
        };
        found.map_or(&self.server.place, |at| &at.place)
    }

    /// Returns the place of the `connect` rule of HAProxy's own check, if it has one.
    pub(crate) fn connect_rule(&self) -> Option<&Place> {
        self.connect_line().map(|line| &line.place)
    }

    /// Returns the first `connect` rule of HAProxy's own check, if it has one.
    pub(crate) fn connect_line(&self) -> Option<&At<Vec<String>>> {
        let Check::Own(_) = self.check else {
            return None;
        };
        let rules = &self.describes.settings.rules;
        let kind = self.describes.settings.check.as_ref()?;
        let list = match kind.value.as_str() {
            "httpchk" => &rules.http,
            "tcp-check" => &rules.tcp,
            _ => return None,
        };
        list.all("connect").next()
    }

    /// Returns how a check by sni-check connects with these options.
    fn connection_of(&self, accepted: &Accepted) -> Connection {
        let Accepted { options, plan } = accepted;
        let at = |text: String| At::new(text, self.options_place());
        let elsewhere = options.connect.is_some() || options.port.is_some();
        let endpoint = match &plan.target {
            _ if !elsewhere => self.traffic.endpoint.clone(),
            Target::Tcp { port, .. } if options.connect.is_none() => match &self.traffic.endpoint {
                Endpoint::Tcp(host, _) => Endpoint::Tcp(host.clone(), *port),
                other => other.clone(),
            },
            Target::Tcp { host, port } => Endpoint::Tcp(host.to_string(), *port),
            Target::Unix(path) => Endpoint::Unix(path.display().to_string()),
        };
        let verification = plan.tls.verification.as_ref();
        let name = |name: &str| Sni::Name(name.to_owned());
        let tls = Tls {
            sni: plan
                .names
                .sni
                .as_ref()
                .map_or(Sni::Absent, |sni| name(sni.as_ref())),
            alpn: None,
            verified: verification.map_or(Verified::Nothing, |required| {
                Verified::Name(required.name.to_str().into_owned())
            }),
            ca_file: None,
            crl_file: verification
                .filter(|required| !required.lists.is_empty())
                .map(|_| at(options.crl_file.join(", "))),
            crt: plan
                .tls
                .identity
                .as_ref()
                .map(|_| at(options.crt.clone().unwrap_or_default())),
        };
        let proxy = plan.proxy.map(|header| match header {
            ProxyHeader::V1 => "--send-proxy",
            ProxyHeader::V2Local => "--send-proxy-v2",
        });
        Connection {
            endpoint,
            tls: Some(tls),
            proxy: proxy.map(|word| at(word.to_owned())),
            source: plan.source.map(|source| at(source.ip().to_string())),
            socks4: None,
            speaks: Speaks::Http1,
            place: self.options_place().clone(),
        }
    }
}
