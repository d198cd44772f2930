//! An external check as HAProxy calls it: command, arguments, environment, time limit.

use std::time::Duration;

use crate::haproxy::Caller;
use crate::haproxy::variables::Variables;

use crate::haproxy::config::Configuration;
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::server_line::Server;

/// HAProxy's `inter` where none is given (manual, section 5.2).
pub(super) const INTER: Duration = Duration::from_secs(2);

/// The external check of one server.
#[derive(Debug)]
pub(super) struct ExternalCheck<'a> {
    pub backend: &'a Backend,
    pub server: &'a Server,
    pub command: &'a At<String>,
    /// Proxy address and port, server address and port.
    pub arguments: [String; 4],
    pub environment: Vec<(String, String)>,
    pub limit: Limit,
}

/// When HAProxy kills a check, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub time: Duration,
    /// `inter` or `timeout connect`.
    pub name: &'static str,
    /// `None` for HAProxy's default.
    pub place: Option<Place>,
}

impl<'a> ExternalCheck<'a> {
    /// The checks of a configuration, in its order.
    pub(super) fn all(config: &'a Configuration, variables: &Variables) -> Vec<ExternalCheck<'a>> {
        let external = config.external();
        external
            .flat_map(|backend| {
                // Since 3.4 a server may be checked as a section says.
                let by_program = |server: &&Server| !server.settings.has("healthcheck");
                let checked = backend.checked().filter(by_program);
                checked.filter_map(|server| ExternalCheck::new(config, backend, server, variables))
            })
            .collect()
    }

    fn new(
        config: &Configuration,
        backend: &'a Backend,
        server: &'a Server,
        variables: &Variables,
    ) -> Option<ExternalCheck<'a>> {
        let not_used = || ("NOT_USED".to_owned(), "NOT_USED".to_owned());
        let (proxy_address, proxy_port) = backend.listener.clone().unwrap_or_else(not_used);
        let (address, port) = server.endpoint.words();
        let arguments = [proxy_address, proxy_port, address, port];
        let mut environment: Vec<(String, String)> = Vec::new();
        if config.global.preserve_env {
            let kept = variables.all();
            let kept = kept.map(|(name, value)| (name.to_owned(), value.to_owned()));
            environment.extend(kept.filter(|(name, _)| name != "PATH"));
        }
        environment.extend(environment_of(backend, server, &arguments));
        Some(ExternalCheck {
            backend,
            server,
            command: backend.settings.command.as_ref()?,
            arguments,
            environment,
            limit: Limit::new(backend, server),
        })
    }

    /// HAProxy's names for it.
    pub(super) fn caller(&self) -> Caller {
        Caller {
            backend: self.backend.name.clone(),
            server: self.server.name.clone(),
        }
    }

    /// Resolves the server's name, as HAProxy does when it starts; a name that has no address stays.
    pub(super) fn resolve(&mut self) {
        if self.server.endpoint.name().is_none() {
            return;
        }
        let (address, _) = self.server.address();
        for (name, value) in &mut self.environment {
            if name == "HAPROXY_SERVER_ADDR" {
                value.clone_from(&address);
            }
        }
        self.arguments[2] = address;
    }

    /// A variable of its environment.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What HAProxy sets; an unused argument is an empty variable. Left out are the numbers of proxy and
/// server, `HAPROXY_PROXY_ID` and `HAPROXY_SERVER_ID`, which sni-check does not read.
fn environment_of(
    backend: &Backend,
    server: &Server,
    arguments: &[String; 4],
) -> Vec<(String, String)> {
    let [proxy_address, proxy_port, address, port] =
        arguments.each_ref().map(|text| match text.as_str() {
            "NOT_USED" => "",
            text => text,
        });
    let value = |word| server.settings.get(word).map(|at| at.value.as_str());
    let path = backend.settings.path.as_ref();
    // `no-ssl` counts as TLS here.
    let tls = server.settings.has("ssl") || server.settings.has("no-ssl");
    let pairs = [
        ("PATH", path.map_or("", |path| &path.value)),
        ("HAPROXY_PROXY_NAME", &backend.name),
        ("HAPROXY_PROXY_ADDR", proxy_address),
        ("HAPROXY_PROXY_PORT", proxy_port),
        ("HAPROXY_SERVER_NAME", &server.name),
        ("HAPROXY_SERVER_ADDR", address),
        ("HAPROXY_SERVER_PORT", port),
        ("HAPROXY_SERVER_MAXCONN", value("maxconn").unwrap_or("0")),
        ("HAPROXY_SERVER_CURCONN", "0"),
        ("HAPROXY_SERVER_SSL", if tls { "1" } else { "0" }),
        (
            "HAPROXY_SERVER_PROTO",
            match backend.settings.http {
                true => value("proto").unwrap_or("h1"),
                false => "tcp",
            },
        ),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

impl Limit {
    /// `inter`; with `timeout check` also `timeout connect`, if that is shorter. `fastinter` and
    /// `downinter` only space the checks.
    fn new(backend: &Backend, server: &Server) -> Limit {
        let inter = match server.settings.inter() {
            Some(inter) => Limit {
                time: inter.value,
                name: "inter",
                place: Some(inter.place),
            },
            None => Limit {
                time: INTER,
                name: "inter",
                place: None,
            },
        };
        match (
            &backend.settings.timeout_check,
            &backend.settings.timeout_connect,
        ) {
            (Some(_), Some(connect)) if connect.value < inter.time => Limit {
                time: connect.value,
                name: "timeout connect",
                place: Some(connect.place.clone()),
            },
            _ => inter,
        }
    }
}
