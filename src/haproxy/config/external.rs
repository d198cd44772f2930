//! An external check as HAProxy runs it: command, arguments, environment and time limit.

use std::time::Duration;

use super::address::NOT_USED;
use super::connection::Reading;
use super::place::{At, Place};
use super::proxy::Backend;
use super::server_line::Server;
use crate::haproxy::call::{Caller, PATH};

/// HAProxy's default for `inter` (manual, section 5.2).
pub(crate) const INTER: Duration = Duration::from_secs(2);

/// The external check of one server.
#[derive(Clone, Debug)]
pub(crate) struct ExternalCheck<'a> {
    pub backend: &'a Backend,
    pub server: &'a Server,
    pub command: &'a At<String>,
    /// Proxy address and port, server address and port.
    pub arguments: [String; 4],
    pub environment: Vec<(String, String)>,
    pub limit: Limit,
}

/// The time after which HAProxy kills a check, and the setting that defines this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub time: Duration,
    /// `inter` or `timeout connect`.
    pub name: &'static str,
    /// The position of the setting. `None` if the time is HAProxy's default.
    pub place: Option<Place>,
}

impl<'a> ExternalCheck<'a> {
    /// Returns the check of this server, or `None` without `external-check command`.
    pub(super) fn new(
        reading: Reading,
        backend: &'a Backend,
        server: &'a Server,
    ) -> Option<ExternalCheck<'a>> {
        let listener = backend.listener.clone();
        let not_used = || NOT_USED.to_owned();
        let (proxy_address, proxy_port) = listener.unwrap_or_else(|| (not_used(), not_used()));
        let (address, port) = server.endpoint.words();
        let arguments = [proxy_address, proxy_port, address, port];
        let mut environment: Vec<(String, String)> = Vec::new();
        if reading.config.global.preserve_env {
            let kept = reading.variables.all();
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

    /// Returns HAProxy's names for the backend and server.
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            backend: self.backend.name.clone(),
            server: self.server.name.clone(),
            carrier: PATH,
        }
    }

    /// Returns the check with the server's name resolved to an address, because HAProxy resolves names when
    /// it starts. If the name has no address, the name stays.
    pub(crate) fn resolved(&self) -> ExternalCheck<'a> {
        let mut check = self.clone();
        if self.server.endpoint.name().is_none() {
            return check;
        }
        let (address, _) = self.server.address();
        for (name, value) in &mut check.environment {
            if name == "HAPROXY_SERVER_ADDR" {
                value.clone_from(&address);
            }
        }
        check.arguments[2] = address;
        check
    }

    /// Returns the value of a variable in the check's environment, if it is set.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Returns the variables that HAProxy sets. An unused argument becomes an empty variable.
/// `HAPROXY_PROXY_ID` and `HAPROXY_SERVER_ID` are left out, because sni-check doesn't read them.
fn environment_of(
    backend: &Backend,
    server: &Server,
    arguments: &[String; 4],
) -> Vec<(String, String)> {
    let [proxy_address, proxy_port, address, port] =
        arguments.each_ref().map(|text| match text.as_str() {
            NOT_USED => "",
            text => text,
        });
    let settings = &server.settings;
    let path = backend.settings.path.as_ref();
    // HAProxy sets HAPROXY_SERVER_SSL to 1 even for `no-ssl`.
    let tls = settings.has("ssl") || settings.has("no-ssl");
    let pairs = [
        ("PATH", path.map_or("", |path| &path.value)),
        ("HAPROXY_PROXY_NAME", &backend.name),
        ("HAPROXY_PROXY_ADDR", proxy_address),
        ("HAPROXY_PROXY_PORT", proxy_port),
        ("HAPROXY_SERVER_NAME", &server.name),
        ("HAPROXY_SERVER_ADDR", address),
        ("HAPROXY_SERVER_PORT", port),
        (
            "HAPROXY_SERVER_MAXCONN",
            settings.value("maxconn").unwrap_or("0"),
        ),
        ("HAPROXY_SERVER_CURCONN", "0"),
        ("HAPROXY_SERVER_SSL", if tls { "1" } else { "0" }),
        (
            "HAPROXY_SERVER_PROTO",
            match backend.settings.http {
                true => settings.value("proto").unwrap_or("h1"),
                false => "tcp",
            },
        ),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

impl Limit {
    /// Returns `inter`, or `timeout connect` if `timeout check` is set and `timeout connect` is
    /// shorter. `fastinter` and `downinter` only change the time between checks.
    fn new(backend: &Backend, server: &Server) -> Limit {
        let inter = server.settings.inter();
        let time = inter.as_ref().map_or(INTER, |inter| inter.value);
        let settings = &backend.settings;
        match &settings.timeout_connect {
            Some(connect) if settings.timeout_check.is_some() && connect.value < time => Limit {
                time: connect.value,
                name: "timeout connect",
                place: Some(connect.place.clone()),
            },
            _ => Limit {
                time,
                name: "inter",
                place: inter.map(|inter| inter.place),
            },
        }
    }
}
