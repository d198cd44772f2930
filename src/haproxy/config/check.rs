//! The kind of check that HAProxy runs for a server (configuration manual, sections 4.2 and 5.2).

use super::connection::{Connection, Reading, of_check};
use super::external::ExternalCheck;
use super::place::{At, Place};
use super::proxy::Backend;
use super::serve::ServeCheck;
use super::server_line::Server;

/// The check of a server.
#[derive(Debug)]
pub(crate) enum Check<'a> {
    /// An external program.
    External(ExternalCheck<'a>),
    /// HAProxy's http-check asks `sni-check serve`.
    Serve(ServeCheck<'a>),
    /// HAProxy's own check, which connects to the server.
    Own(OwnCheck),
    /// The server line names a `healthcheck` section (3.4 and later).
    Section(At<String>),
    /// `option external-check` without a command, which HAProxy refuses.
    Incomplete,
}

/// A check by HAProxy itself.
#[derive(Clone, Debug)]
pub(crate) struct OwnCheck {
    pub protocol: Protocol,
    /// One connection for each `connect` rule, or the connection of the server line if no such rule exists.
    pub connections: Vec<Connection>,
}

/// What HAProxy sends and expects on the connection of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Nothing. The server is UP when the connection and the TLS handshake (if any) succeed.
    Connect,
    /// `option httpchk`.
    Http {
        /// False if no line defines a request. The check then only connects, or waits for an answer that
        /// never comes.
        sends_request: bool,
        has_host: bool,
    },
    /// `option tcp-check` with rules that send or expect something.
    Dialogue,
    /// Another protocol, such as MySQL's (`option mysql-check`).
    Other,
}

impl Protocol {
    /// Returns true if the check sends an HTTP request.
    pub(crate) fn sends_request(self) -> bool {
        matches!(
            self,
            Protocol::Http {
                sends_request: true,
                ..
            }
        )
    }
}

impl<'a> Check<'a> {
    /// Returns the check that haproxy.cfg describes, even if the server line doesn't have `check`.
    pub(crate) fn of(reading: Reading, backend: &'a Backend, server: &'a Server) -> Check<'a> {
        if let Some(section) = server.settings.get("healthcheck") {
            return Check::Section(section.clone());
        }
        if backend.is_external() {
            let external = ExternalCheck::new(reading, backend, server);
            return external.map_or(Check::Incomplete, Check::External);
        }
        match ServeCheck::of(backend) {
            Some(serve) => Check::Serve(serve),
            None => Check::Own(OwnCheck::of(reading, backend, server)),
        }
    }

    /// Returns the line that chooses the kind of check, or `None` if no line does.
    pub(crate) fn option(backend: &Backend) -> Option<&Place> {
        backend.settings.check.as_ref().map(|check| &check.place)
    }
}

impl OwnCheck {
    fn of(reading: Reading, backend: &Backend, server: &Server) -> OwnCheck {
        let rules = &backend.settings.rules;
        let kind = backend.settings.check.as_ref();
        let (protocol, list) = match kind.map(|kind| kind.value.as_str()) {
            None => (Protocol::Connect, None),
            Some("httpchk") => {
                let protocol = Protocol::Http {
                    sends_request: rules.sends_request(),
                    has_host: rules.host().is_some(),
                };
                (protocol, Some(&rules.http))
            }
            Some("tcp-check") => {
                let protocol = match rules.tcp.dialogue().next() {
                    Some(_) => Protocol::Dialogue,
                    None => Protocol::Connect,
                };
                (protocol, Some(&rules.tcp))
            }
            Some(_) => (Protocol::Other, None),
        };
        OwnCheck {
            protocol,
            connections: of_check(reading, backend, server, list),
        }
    }
}
