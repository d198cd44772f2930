//! Rules about the HTTP version that a check and visitors' traffic speak.

use crate::haproxy::config::check::{Check, OwnCheck, Protocol};
use crate::haproxy::config::connection::{Connection, Speaks};
use crate::haproxy::config::place::{At, Place};

use super::difference::Pair;
use crate::doctor::finding::{Effect, Finding, Sides};
use crate::doctor::visit::{Visit, Watch};

/// What HAProxy shows if the server answers with a different HTTP version. The status depends on HAProxy's
/// release.
const DOWN: &[&str] = &["L7RSP", "L7TOUT", "SOCKERR"];

/// Returns HAProxy's own check of a server, and the check's first connection. Returns `None` for other
/// checks.
fn own<'a>(watch: &'a Watch) -> Option<(&'a OwnCheck, &'a Connection)> {
    match &watch.check {
        Check::Own(own) => Some((own, own.connections.first()?)),
        _ => None,
    }
}

/// Returns the line that sets `word` for the check, the phrase for this line in advice, and the keyword on
/// this line. On the server line, the keyword begins with `check-`. With `connect default`, the `connect`
/// line and the server line may both contain the word.
fn where_set<'a>(watch: &'a Watch, word: &str) -> (&'a Place, &'static str, String) {
    let has = |line: &At<Vec<String>>, word: &str| line.value.iter().any(|known| known == word);
    let rule = watch.connect_line();
    if let Some(rule) = rule.filter(|line| has(line, word) || !has(line, "default")) {
        return (&rule.place, "in that connect line", word.to_owned());
    }
    let word = format!("check-{word}");
    let (place, at) = server_line_of(watch, &word);
    (place, at, word)
}

/// Returns the line that gives the server this word, and the phrase for this line in advice. If
/// `default-server` contains the word, the advice is to change `default-server`, because HAProxy 2.6 crashes
/// if two server lines override its `check-alpn`.
fn server_line_of<'a>(watch: &'a Watch, word: &str) -> (&'a Place, &'static str) {
    let own = &watch.server.place;
    match watch.server.settings.place(word) {
        Some(place) if place != own => (place, "in default-server"),
        _ => (own, "on the server line"),
    }
}

fn offers_http2_of(alpn: &str) -> bool {
    alpn.split(',').any(|name| name == "h2")
}

fn offers_http1_of(alpn: &str) -> bool {
    alpn.split(',').any(|name| name.starts_with("http/1"))
}

/// Finds a check that offers HTTP/2 to the server, but speaks HTTP/1. Before HAProxy 3.2, a check without
/// `check-alpn` offers the `alpn` of the server line, but ignores the server's choice.
pub(crate) fn offers_http2(_: &Visit, watch: &Watch) -> Option<Finding> {
    let (own, connection) = own(watch)?;
    let alpn = connection.tls.as_ref()?.alpn.as_ref()?;
    let speaks_http1 = connection.speaks == Speaks::Http1;
    let sends = own.protocol.sends_request() || own.protocol == Protocol::Dialogue;
    if !sends || !speaks_http1 || !offers_http2_of(&alpn.value) {
        return None;
    }
    let (_, place, word) = where_set(watch, "alpn");
    let has_http1 = offers_http1_of(&alpn.value);
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
    let (of_alpn, _, word) = where_set(watch, "alpn");
    let (place, at, proto) = where_set(watch, "proto");
    let settings = &watch.server.settings;
    let alpn = connection.tls.as_ref()?.alpn.as_ref();
    let is_own = |alpn: &&At<String>| alpn.place == *of_alpn || settings.has("check-alpn");
    let is_enough = alpn
        .filter(is_own)
        .is_some_and(|alpn| offers_http2_of(&alpn.value));
    let is_inherited = watch.connect_rule() != Some(place) && !settings.has("check-proto");
    let (place, at) = match is_inherited {
        true => server_line_of(watch, "proto"),
        false => (place, at),
    };
    let write = match (is_inherited, is_enough) {
        (true, true) => format!("{at}, write alpn h2 in place of proto h2"),
        (true, false) => format!("{at}, write alpn h2 check-alpn h2 in place of proto h2"),
        (false, true) => format!("{at}, remove {proto} h2, because {word} is enough"),
        (false, false) => {
            let own = proto.replace("proto", "alpn");
            format!("{at}, write {own} h2 in place of {proto} h2")
        }
    };
    let what = "before HAProxy 3.2 a check with TLS can't use `proto h2`";
    Some(
        Finding::problem(Effect::Down, what)
            .at(place)
            .shows(
                "DOWN, whatever the server's state: L7TOUT or SOCKERR after a successful handshake",
            )
            .write(write),
    )
}

/// Finds a check that offers only HTTP/2 to the server, although traffic also works without HTTP/2.
pub(crate) fn offers_only_http2(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let (own, _) = own(watch)?;
    let pair = Pair::of(watch)?;
    let alpn = pair.check.tls.as_ref()?.alpn.as_ref()?;
    let is_only = offers_http2_of(&alpn.value) && !offers_http1_of(&alpn.value);
    // Other functions of this module report these checks.
    let is_known = own.protocol == Protocol::Dialogue || http2_over_tls(visit, watch).is_some();
    if !is_only || is_known || pair.traffic.speaks == Speaks::Http2 {
        return None;
    }
    let of_traffic = pair.traffic.tls.as_ref().map(|tls| tls.alpn.as_ref());
    let (traffic, may_offer) = match of_traffic {
        Some(None) => ("traffic doesn't offer HTTP/2", false),
        Some(Some(alpn)) if !offers_http1_of(&alpn.value) => return None,
        Some(Some(alpn)) if offers_http2_of(&alpn.value) => ("traffic also offers HTTP/1.1", true),
        Some(Some(_)) => ("traffic doesn't offer HTTP/2", false),
        None if watch.backend.gets_plain_bytes() => return None,
        None => ("visitors may speak HTTP/1.1", true),
    };
    let (_, place, word) = where_set(watch, "alpn");
    let what = format!(
        "HAProxy's own check offers only HTTP/2 to the server (`{word} {}`), but {traffic}",
        alpn.value
    );
    let down = "L6RSP (DOWN) where the server doesn't accept HTTP/2, while visitors are served";
    let finding = match may_offer {
        true => Finding::note(Effect::Down, what)
            .shows(down)
            .write(format!("{word} h2,http/1.1 {place}")),
        false => Finding::note(Effect::Either, what)
            .shows(format!(
                "{down}; UP where it accepts only HTTP/2, while visitors fail"
            ))
            .write_for(
                "the server speaks only HTTP/2",
                Sides {
                    traffic: "alpn h2 on the server line".to_owned(),
                    check: format!("{word} http/1.1 {place}"),
                },
            ),
    };
    Some(finding.at(&alpn.place).foretells(&["L6RSP"]))
}

/// Finds a check and traffic that can't speak the same HTTP version, whatever the server offers.
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
    let offers = offers_http2_of(&of_check);
    let asks = own.protocol.sends_request();
    // Even a check without a request can fail: a server may refuse its handshake if it offers protocols that
    // the server doesn't have.
    let needs_http1 = asks || (own.protocol == Protocol::Connect && !of_check.is_empty());
    let (_, at, proto) = where_set(watch, "proto");
    let from = at.trim_start_matches("in ").trim_start_matches("on ");
    let unset = format!("remove `{proto}` from {from}");
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
            unset.as_str(),
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

/// Finds `check-proto` in a `default-server` line. HAProxy doesn't pass this word on to the servers.
pub(crate) fn not_passed_on(_: &Visit, watch: &Watch) -> Option<Finding> {
    let (own, connection) = own(watch)?;
    let proto = watch.backend.settings.server.get("check-proto")?;
    let is_own = watch.server.settings.has("check-proto");
    if is_own
        || proto.value != "h2"
        || !own.protocol.sends_request()
        || connection.speaks != Speaks::Http1
    {
        return None;
    }
    let write = match connection.tls {
        Some(_) => "check-alpn h2 on the server line",
        None => "check-proto h2 on the server line",
    };
    Some(
        Finding::note(Effect::Down, "HAProxy ignores `check-proto h2` in default-server: the check speaks HTTP/1")
            .at(&proto.place)
            .shows("L7RSP, L7TOUT or SOCKERR (DOWN) where the server speaks only HTTP/2")
            .foretells(DOWN)
            .write(format!(
                "remove `check-proto` from default-server if the server speaks HTTP/1; otherwise write {write}"
            )),
    )
}

/// Finds a check by sni-check if traffic speaks only HTTP/2 to the server. sni-check doesn't speak HTTP/2.
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
