//! The call that HAProxy makes of an external check: command, arguments, environment, time limit.

use std::net::ToSocketAddrs;
use std::time::Duration;

use crate::haproxy::Caller;

use super::config::{Backend, Config};
use super::lines::Place;
use super::server::{At, Server};
use crate::haproxy::variables::Variables;

/// HAProxy's `inter` where none is given (manual, section 5.2).
const INTER: Duration = Duration::from_secs(2);

/// One check.
#[derive(Debug)]
pub(super) struct Call<'a> {
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

impl<'a> Call<'a> {
    /// The checks of a configuration, in its order.
    pub(super) fn all(config: &'a Config, variables: &Variables) -> Vec<Call<'a>> {
        let external = config
            .backends
            .iter()
            .filter(|backend| backend.is_external());
        external
            .flat_map(|backend| {
                let checked = backend.checked();
                checked.filter_map(|server| Call::new(config, backend, server, variables))
            })
            .collect()
    }

    fn new(
        config: &Config,
        backend: &'a Backend,
        server: &'a Server,
        variables: &Variables,
    ) -> Option<Call<'a>> {
        let not_used = || ("NOT_USED".to_owned(), "NOT_USED".to_owned());
        let (proxy_address, proxy_port) = backend.listener.clone().unwrap_or_else(not_used);
        let (address, port) = server.address.words();
        let arguments = [proxy_address, proxy_port, address, port];
        let mut environment: Vec<(String, String)> = Vec::new();
        if config.global.preserve_env {
            let kept = variables.all();
            let kept = kept.map(|(name, value)| (name.to_owned(), value.to_owned()));
            environment.extend(kept.filter(|(name, _)| name != "PATH"));
        }
        environment.extend(environment_of(backend, server, &arguments));
        Some(Call {
            backend,
            server,
            command: backend.set.command.as_ref()?,
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
        let name = self.server.address.name();
        let addresses = name.and_then(|name| (name, 0).to_socket_addrs().ok());
        let Some(address) = addresses.and_then(|mut addresses| addresses.next()) else {
            return;
        };
        let address = address.ip().to_string();
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

/// What HAProxy sets; an unused argument is an empty variable.
fn environment_of(
    backend: &Backend,
    server: &Server,
    arguments: &[String; 4],
) -> Vec<(String, String)> {
    let used = |text: &String| match text.as_str() {
        "NOT_USED" => String::new(),
        text => text.to_owned(),
    };
    let path = backend.set.path.as_ref();
    let settings = &server.settings;
    let tls = settings.ssl.is_some() || settings.no_ssl.is_some();
    let proto = match (backend.set.http, &settings.proto) {
        (false, _) => "tcp".to_owned(),
        (true, proto) => proto.clone().unwrap_or_else(|| "h1".to_owned()),
    };
    let pairs = [
        (
            "PATH",
            path.map(|path| path.value.clone()).unwrap_or_default(),
        ),
        ("HAPROXY_PROXY_NAME", backend.name.clone()),
        ("HAPROXY_PROXY_ID", backend.id.to_string()),
        ("HAPROXY_PROXY_ADDR", used(&arguments[0])),
        ("HAPROXY_PROXY_PORT", used(&arguments[1])),
        ("HAPROXY_SERVER_NAME", server.name.clone()),
        ("HAPROXY_SERVER_ID", server.id.to_string()),
        ("HAPROXY_SERVER_ADDR", used(&arguments[2])),
        ("HAPROXY_SERVER_PORT", used(&arguments[3])),
        (
            "HAPROXY_SERVER_MAXCONN",
            settings.maxconn.unwrap_or_default().to_string(),
        ),
        ("HAPROXY_SERVER_CURCONN", "0".to_owned()),
        // `no-ssl` counts as TLS here.
        ("HAPROXY_SERVER_SSL", u8::from(tls).to_string()),
        ("HAPROXY_SERVER_PROTO", proto),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

impl Limit {
    /// `inter`; with `timeout check` also `timeout connect`, if that is shorter. `fastinter` and
    /// `downinter` only space the checks.
    fn new(backend: &Backend, server: &Server) -> Limit {
        let inter = match &server.settings.inter {
            Some(inter) => Limit {
                time: inter.value,
                name: "inter",
                place: Some(inter.place.clone()),
            },
            None => Limit {
                time: INTER,
                name: "inter",
                place: None,
            },
        };
        match (&backend.set.timeout_check, &backend.set.timeout_connect) {
            (Some(_), Some(connect)) if connect.value < inter.time => Limit {
                time: connect.value,
                name: "timeout connect",
                place: Some(connect.place.clone()),
            },
            _ => inter,
        }
    }
}
