//! Rules about the version of HTTP that a check and visitors' traffic speak.

use crate::haproxy::config::check::{Check, OwnCheck, Protocol};
use crate::haproxy::config::connection::{Connection, Speaks};
use crate::haproxy::config::place::Place;

use super::difference::Pair;
use crate::doctor::finding::{Effect, Finding, Sides};
use crate::doctor::visit::{Visit, Watch};

/// What HAProxy shows if the server answers in another version of HTTP. The status depends on HAProxy's
/// release.
const DOWN: &[&str] = &["L7RSP", "L7TOUT", "SOCKERR"];

/// Returns HAProxy's own check of a server, and the check's first connection.
fn own<'a>(watch: &'a Watch) -> Option<(&'a OwnCheck, &'a Connection)> {
    match &watch.check {
        Check::Own(own) => Some((own, own.connections.first()?)),
        _ => None,
    }
}

/// Returns the line on which the check sets `word`, words for this line in advice, and the keyword there. On
/// the server line, the keyword begins with `check-`.
fn where_set<'a>(watch: &'a Watch, word: &str) -> (&'a Place, &'static str, String) {
    match watch.connect_rule() {
        Some(rule) => (rule, "in that connect line", word.to_owned()),
        None => (
            &watch.server.place,
            "on the server line",
            format!("check-{word}"),
        ),
    }
}

/// Finds a check that offers HTTP/2 to the server, and then speaks HTTP/1. Before 3.2, a check offers the
/// `alpn` of the server line even if the line has no `check-alpn`.
pub(crate) fn offers_http2(_: &Visit, watch: &Watch) -> Option<Finding> {
    let (own, connection) = own(watch)?;
    let alpn = connection.tls.as_ref()?.alpn.as_ref()?;
    let mut offered = alpn.value.split(',');
    let speaks_http1 = connection.speaks == Speaks::Http1;
    let sends = own.protocol.sends_request() || own.protocol == Protocol::Dialogue;
    if !sends || !speaks_http1 || !offered.any(|name| name == "h2") {
        return None;
    }
    let (_, place, word) = where_set(watch, "alpn");
    let has_http1 = alpn.value.split(',').any(|name| name == "http/1.1");
    let is_fixed = watch.server.settings.has("check-proto");
    let needs_http1 = has_http1 || is_fixed || own.protocol == Protocol::Dialogue;
    let version = if needs_http1 { "http/1.1" } else { "h2" };
    let what = format!(
        "HAProxy's own check offers HTTP/2 to the server (`alpn {}`), but speaks HTTP/1",
        alpn.value
    );
    Some(
        Finding::note(Effect::Down, what)
            .at(&alpn.place)
            .shows("L7RSP, L7TOUT or SOCKERR (DOWN) where the server chooses HTTP/2, while visitors are served")
            .foretells(DOWN)
            .write(format!("{word} {version} {place}")),
    )
}

/// Finds `proto h2` on a check with TLS, which doesn't work before HAProxy 3.2.
pub(crate) fn http2_over_tls(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let (_, connection) = own(watch)?;
    let is_http2 = connection.tls.is_some() && connection.speaks == Speaks::Http2;
    if !is_http2 || visit.reading.checks_follow_alpn {
        return None;
    }
    let (place, at, word) = where_set(watch, "alpn");
    let settings = &watch.server.settings;
    let alpn = connection.tls.as_ref()?.alpn.as_ref();
    let has_alpn = alpn.is_some_and(|alpn| alpn.place == *place);
    let write = match (watch.connect_rule(), settings.has("check-proto")) {
        (Some(_), _) if has_alpn => format!("{at}, remove proto h2, because alpn is enough"),
        (Some(_), _) => format!("{at}, write alpn h2 in place of proto h2"),
        (None, true) => format!("{at}, write {word} h2 in place of check-proto h2"),
        (None, false) => format!("{at}, write alpn h2 {word} h2 in place of proto h2"),
    };
    let what = "before HAProxy 3.2 a check with TLS can't use `proto h2`";
    Some(
        Finding::problem(Effect::Down, what)
            .at(place)
            .shows("L7TOUT or SOCKERR (DOWN), whatever the server's state")
            .write(write),
    )
}

/// Finds a check and traffic that can't speak the same version of HTTP, whatever the server offers.
pub(crate) fn other_version(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let (own, _) = own(watch)?;
    let pair = Pair::of(watch)?;
    if !watch.backend.settings.http || http2_over_tls(visit, watch).is_some() {
        return None;
    }
    let settings = &watch.server.settings;
    let rule = watch.connect_rule();
    let alpn = |connection: &Connection| {
        let tls = connection.tls.as_ref();
        tls.and_then(|tls| tls.alpn.as_ref())
            .map(|alpn| alpn.value.clone())
    };
    let of_check = alpn(pair.check).unwrap_or_default();
    let only_http2 = alpn(pair.traffic).is_some_and(|alpn| alpn == "h2");
    let offers = of_check.split(',').any(|name| name == "h2");
    let asks = own.protocol.sends_request();
    // A server may refuse the handshake of a check that offers other protocols.
    let needs_http1 = asks || (own.protocol == Protocol::Connect && !of_check.is_empty());
    let (what, condition, traffic, check) = match (pair.check.speaks, pair.traffic.speaks) {
        (Speaks::Http1 | Speaks::AsChosen, Speaks::AsChosen)
            if only_http2 && !offers && needs_http1 =>
        {
            (
                "traffic offers only HTTP/2 to the server (`alpn h2`), but HAProxy's own check speaks HTTP/1",
                "the server speaks only HTTP/1",
                "remove `alpn` from the server line",
                match rule {
                    Some(_) => "in that connect line, write alpn h2",
                    None => "check-alpn h2 on the server line",
                },
            )
        }
        (Speaks::Http1, Speaks::Http2) if asks => (
            "traffic speaks HTTP/2 (`proto h2`), but HAProxy's own check speaks HTTP/1",
            "the server speaks only HTTP/1",
            "remove `proto` from the server line",
            match rule {
                Some(_) => "add proto h2 to that connect line",
                None => "remove `check-proto` from the server line",
            },
        ),
        (Speaks::Http2, Speaks::Http1) if asks => (
            "HAProxy's own check speaks HTTP/2 (`proto h2`), but traffic speaks HTTP/1",
            "the server speaks HTTP/2",
            "proto h2 on the server line",
            match rule {
                Some(_) => "remove `proto` from that connect line",
                None => "remove `check-proto` from the server line",
            },
        ),
        _ => return None,
    };
    let sides = Sides {
        traffic: traffic.to_owned(),
        check: check.to_owned(),
    };
    let of_alpn = settings.place("check-alpn").filter(|_| only_http2);
    let place = rule.or(settings.place("check-proto")).or(of_alpn);
    Some(
        Finding::note(Effect::Either, what)
            .at(place.unwrap_or(&watch.server.place))
            .shows(
                "L6RSP, L7RSP, L7TOUT or SOCKERR (DOWN) where the server speaks only traffic's version; UP while \
                 visitors get 502 or 503 where it speaks only the check's version",
            )
            .foretells(&["L6RSP", "L7RSP", "L7TOUT", "SOCKERR"])
            .write_for(condition, sides),
    )
}

/// Finds a server to which traffic speaks only HTTP/2, which sni-check doesn't speak.
pub(crate) fn http2_only(_: &Visit, watch: &Watch) -> Option<Finding> {
    watch.own.as_ref()?;
    let settings = &watch.server.settings;
    let alpn = settings.get("alpn").filter(|alpn| alpn.value == "h2");
    let proto = settings.get("proto").filter(|proto| proto.value == "h2");
    let word = alpn.or(proto)?;
    let what = "traffic speaks only HTTP/2, but the check speaks HTTP/1.1 (limit of sni-check)";
    Some(
        Finding::note(Effect::Either, what)
            .at(&word.place)
            .shows(
                "code 66, 73 or 74 (DOWN) where the server does not speak HTTP/1.1; UP while visitors get 502 or 503 \
                 where it does not speak HTTP/2",
            )
            .foretells(&["66", "73", "74"])
            .write(
                "if the server speaks both, write alpn h2,http/1.1 on the server line; otherwise use HAProxy's own \
                 check: check check-sni NAME check-alpn h2",
            ),
    )
}
