//! Backends that are checked by `sni-check serve`: HAProxy's own http-check asks its socket.

use std::ffi::OsStr;
use std::time::Duration;

use anyhow::{Error, Result};

use crate::haproxy::Caller;
use crate::options::Options;
use crate::options::handed::{self, Carrier};
use crate::plan::{Files, Material, NO_SNI_NAME, Output, Plan};
use crate::refusal::Refusal;
use crate::serve::request::OPTIONS;

use super::check::INTER;
use super::finding::Finding;
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::server_line::Server;

/// A backend whose http-check asks `sni-check serve`.
pub(super) struct Served<'a> {
    pub backend: &'a Backend,
    /// The address of `http-check connect`, and its port.
    pub connect: Option<At<(String, Option<String>)>>,
    /// X-Check-Options, as the server gets it.
    pub options: Option<At<String>>,
    /// Whether `http-check send-state` is there.
    pub has_state: bool,
}

impl<'a> Served<'a> {
    /// The backend as such a one, if its rules name a header of `sni-check serve`.
    pub(super) fn of(backend: &'a Backend) -> Option<Served<'a>> {
        let settings = &backend.settings;
        let kind = settings.check.as_ref()?;
        let rules = settings.rules.words();
        let names_us = |word: &String| word.to_ascii_lowercase().contains("x-check-");
        let is_ours = rules.iter().any(|rule| rule.value.iter().any(names_us));
        if kind.value != "httpchk" || !is_ours || settings.disabled {
            return None;
        }
        let after = |rule: &At<Vec<String>>, word: &str| {
            let at = rule.value.iter().position(|known| known == word)?;
            rule.value.get(at + 1).cloned()
        };
        let is = |rule: &&At<Vec<String>>, action: &str| {
            rule.value.get(1).is_some_and(|word| word == action)
        };
        let connect = rules.iter().find(|rule| is(rule, "connect"));
        let header = |rule: &At<Vec<String>>| {
            let mut three = rule.value.windows(3);
            let found =
                three.find(|three| three[0] == "hdr" && three[1].eq_ignore_ascii_case(OPTIONS))?;
            // A header is a log-format, in which %% is a percent sign.
            Some(At::new(found[2].replace("%%", "%"), &rule.place))
        };
        Some(Served {
            backend,
            connect: connect.and_then(|rule| {
                let address = after(rule, "addr")?;
                Some(At::new((address, after(rule, "port")), &rule.place))
            }),
            options: rules.iter().find_map(header),
            has_state: rules.iter().any(|rule| is(&rule, "send-state")),
        })
    }

    /// The path of the socket, as HAProxy names it.
    pub(super) fn socket(&self) -> Option<&str> {
        let (address, _) = &self.connect.as_ref()?.value;
        address.strip_prefix("unix@").or_else(|| {
            Some(address)
                .filter(|path| path.starts_with('/'))
                .map(String::as_str)
        })
    }

    pub(super) fn caller(&self, server: &Server) -> Caller {
        Caller {
            backend: self.backend.name.clone(),
            server: server.name.clone(),
        }
    }

    /// The options, where they are good and known before they are sent.
    pub(super) fn read(&self) -> Option<Options> {
        let text = &self.options.as_ref()?.value;
        // Part of a log-format is only known when it is sent.
        if text.contains("%[") {
            return None;
        }
        parse(text).ok()
    }

    /// How long HAProxy waits for an answer.
    pub(super) fn limit(&self, server: &Server) -> Duration {
        let check = self.backend.settings.timeout_check.as_ref();
        let inter = server.settings.inter().map_or(INTER, |inter| inter.value);
        check.map_or(inter, |check| check.value)
    }

    pub(super) fn place(&self) -> &Place {
        let connect = self.connect.as_ref().map(|connect| &connect.place);
        let options = self.options.as_ref().map(|options| &options.place);
        connect.or(options).unwrap_or(&self.backend.place)
    }

    /// The options are refused.
    pub(super) fn refused(error: &Error) -> Finding {
        let refusal = error.downcast_ref::<Refusal>();
        let what = format!("{OPTIONS}: the check would refuse its options: {error:#}");
        let write = refusal.map_or_else(
            || "write options as sni-check --help lists them".to_owned(),
            Refusal::instead,
        );
        let finding = match refusal {
            Some(refusal) if refusal.subject == NO_SNI_NAME => Finding::note("no-sni-name", what)
                .shows("L7STS with code 2 (DOWN), unless sni-check serve itself was given --sni"),
            _ => Finding::problem("options", what).shows("L7STS with code 2, the server is DOWN"),
        };
        finding.write(write)
    }

    /// What `sni-check serve` would make of them, but for the files.
    ///
    /// # Errors
    /// What it would refuse.
    pub(super) fn plan(&self, server: &Server, text: &str) -> Result<Plan> {
        let mut options = parse(text)?;
        let named = |file: &String| file.starts_with('@');
        options.ca_file.retain(named);
        options.crl_file.clear();
        options.header.retain(|header| !header.starts_with('@'));
        (options.crt, options.key) = (None, None);
        self.plan_of(server, &options)
    }

    /// The same of these options.
    ///
    /// # Errors
    /// What it would refuse.
    pub(super) fn plan_of(&self, server: &Server, options: &Options) -> Result<Plan> {
        let (address, port) = server.endpoint.words();
        let address = match &server.endpoint {
            // HAProxy tells no path of a unix socket.
            Endpoint::Unix(_) => String::new(),
            endpoint if endpoint.name().is_some() => "192.0.2.1".to_owned(),
            _ => address,
        };
        let not_used = || "NOT_USED".to_owned();
        Plan::of(
            options,
            &Material::read(options, &Files::any())?,
            &[not_used(), not_used(), address, port],
            Some(self.caller(server)),
            None,
            Output::new(options)?,
        )
    }
}

/// The options as `sni-check serve` reads them.
fn parse(text: &str) -> Result<Options> {
    Ok(*handed::options(Carrier::Header, OsStr::new(text))?)
}
