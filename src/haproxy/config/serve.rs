//! Finds a backend's http-check that asks `sni-check serve`.

use std::time::Duration;

use super::address::Endpoint;
use super::external::INTER;
use super::place::{At, Place, word_after};
use super::proxy::Backend;
use super::server_line::Server;
use crate::haproxy::call::OPTIONS;

/// An http-check that asks `sni-check serve`.
#[derive(Debug)]
pub(crate) struct ServeCheck<'a> {
    pub backend: &'a Backend,
    /// The address of `http-check connect`, and its port.
    pub connect: Option<At<(String, Option<String>)>>,
    /// The value of `X-Check-Options`, as serve receives it.
    pub options: Option<At<String>>,
    /// True if `http-check send-state` is set.
    pub has_state: bool,
}

impl<'a> ServeCheck<'a> {
    /// Returns the http-check if a rule names a header of `sni-check serve`. Also returns it if `send-state`
    /// is set and the check connects to a unix socket, because only checks that ask serve do both. Returns
    /// `None` otherwise, or if the backend is disabled or doesn't use `option httpchk`.
    pub(crate) fn of(backend: &'a Backend) -> Option<ServeCheck<'a>> {
        let settings = &backend.settings;
        let rules = &settings.rules.http;
        let names_us = |word: &String| word.to_ascii_lowercase().contains("x-check-");
        let is_ours = rules
            .lines
            .iter()
            .any(|rule| rule.value.iter().any(names_us));
        let after = |rule: &At<Vec<String>>, word| word_after(&rule.value, word).cloned();
        let header = |rule: &At<Vec<String>>| {
            let mut three = rule.value.windows(3);
            let found =
                three.find(|three| three[0] == "hdr" && three[1].eq_ignore_ascii_case(OPTIONS))?;
            // The value of `hdr` is a log-format, in which %% stands for a percent sign.
            Some(At::new(found[2].replace("%%", "%"), &rule.place))
        };
        let serve = ServeCheck {
            backend,
            connect: rules.all("connect").find_map(|rule| {
                let address = after(rule, "addr")?;
                Some(At::new((address, after(rule, "port")), &rule.place))
            }),
            options: rules.lines.iter().find_map(header),
            has_state: settings.rules.send_state.is_some(),
        };
        let is_ours = is_ours || (serve.has_state && serve.socket().is_some());
        let is_used = settings.check.as_ref()?.value == "httpchk" && !settings.disabled;
        (is_ours && is_used).then_some(serve)
    }

    /// Returns the path of serve's socket, as it is written in haproxy.cfg. Returns `None` if the check
    /// doesn't connect to a unix socket.
    pub(crate) fn socket(&self) -> Option<String> {
        match Endpoint::parse(&self.connect.as_ref()?.value.0) {
            Endpoint::Unix(path) => Some(path),
            _ => None,
        }
    }

    /// Returns true if an `expect` rule has `status-code`, which makes HAProxy show sni-check's code.
    pub(crate) fn shows_code(&self) -> bool {
        let rules = &self.backend.settings.rules.http;
        let mut expects = rules.all("expect");
        expects.any(|rule| rule.value.iter().any(|word| word == "status-code"))
    }

    /// Returns how long HAProxy waits for serve's answer.
    pub(crate) fn limit(&self, server: &Server) -> Duration {
        let check = self.backend.settings.timeout_check.as_ref();
        let inter = server.settings.inter().map_or(INTER, |inter| inter.value);
        check.map_or(inter, |check| check.value)
    }

    /// Returns the line for findings that concern the whole check.
    pub(crate) fn place(&self) -> &Place {
        let connect = self.connect.as_ref().map(|connect| &connect.place);
        let options = self.options.as_ref().map(|options| &options.place);
        connect.or(options).unwrap_or(&self.backend.place)
    }
}
