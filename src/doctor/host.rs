//! The rule about the Host header of HAProxy's own check.

use crate::haproxy::config::check::{Check, Protocol};
use crate::haproxy::config::connection::Sni;

use super::difference::Pair;
use super::finding::{Effect, Finding};
use super::names::misspelt;
use super::own_check;
use super::visit::{Visit, Watch};

/// Finds HAProxy's own check without a Host header. A server with several sites needs it to choose a site.
pub(super) fn without_host(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let Check::Own(own) = &watch.check else {
        return None;
    };
    let Protocol::Http {
        sends_request: true,
        has_host: false,
    } = own.protocol
    else {
        return None;
    };
    let rules = &watch.backend.settings.rules;
    // HTTP/1.1 requires a Host. With HTTP/1.0, only a TLS server is assumed to have several sites.
    let shows = match (pair.tls(), rules.says_1_1()) {
        (_, true) => "L7STS 400 (DOWN) where the server requires a Host header, as HTTP/1.1 does",
        (Some(_), false) => {
            "L7STS 400, 404 or 421 (DOWN), or UP with another site's page, where the server chooses the site by its Host"
        }
        (None, false) => return None,
    };
    let sent = [pair.traffic, pair.check].map(|connection| match &connection.tls.as_ref()?.sni {
        Sni::Name(name) if misspelt(name).is_none() => Some(name.as_str()),
        _ => None,
    });
    let name = sent.into_iter().flatten().next().unwrap_or("NAME");
    let (method, page) = own_check::request(watch.backend);
    let page = page.unwrap_or_else(|| "/".to_owned());
    // An http-check line in the backend would replace all http-check lines of its defaults.
    let of_defaults = rules.http.lines.first();
    let of_defaults = of_defaults.filter(|line| !watch.backend.has_line(&line.place));
    let place = match of_defaults {
        Some(_) => "in defaults, with its other http-check lines",
        None if rules.http.all("expect").next().is_some() => {
            "in the backend, before http-check expect"
        }
        None => "in the backend",
    };
    let what = "HAProxy's own check sends no Host header, visitors' requests have one";
    Some(
        Finding::note(Effect::Either, what)
            .at(Check::option(watch.backend).unwrap_or(&watch.server.place))
            .shows(shows)
            .write(format!(
                "{place}, write http-check send meth {method} uri {page} ver HTTP/1.1 hdr Host {name}"
            )),
    )
}
