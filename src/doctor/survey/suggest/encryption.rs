//! Suggests TLS for a check or a server line without TLS. The words come from the server line, from
//! `default-server` lines that HAProxy ignores, or from another server.

use super::{Edit, NewLine, Suggestion, has, hosts, meant, new_line, rule};
use crate::causes::facts::is_name;
use crate::doctor::visit::{Visit, Watch};
use crate::haproxy::config::check::{Check, Protocol};
use crate::haproxy::config::connection::{Sni, Tls, Verified, traffic};
use crate::haproxy::config::server_line::Settings;

/// The words about connections that diagnose suggests if a `default-server` line below the server line has
/// them.
const OF_DEFAULT_SERVER: [&str; 18] = [
    "addr",
    "alpn",
    "ca-file",
    "check-alpn",
    "check-send-proxy",
    "check-sni",
    "check-ssl",
    "crl-file",
    "crt",
    "port",
    "send-proxy",
    "send-proxy-v2",
    "sni",
    "ssl",
    "ssl-max-ver",
    "ssl-min-ver",
    "verify",
    "verifyhost",
];

/// Suggests TLS for a check that connects without TLS. If a check with `check-ssl` connects to another
/// address or port, suggests a check without TLS, because a health page there may not use TLS.
pub(super) fn encryption(visit: &Visit, watch: &Watch) -> Option<Suggestion> {
    let Check::Own(check) = &watch.check else {
        return None;
    };
    // If the check sends nothing, it is UP without TLS as soon as the server accepts the connection.
    let speaks = [Protocol::Dialogue, Protocol::Other].contains(&check.protocol);
    if !check.protocol.sends_request() && !speaks {
        return None;
    }
    let settings = &watch.server.settings;
    let is_plain = check.connections.first()?.tls.is_none();
    let rule = rule(watch);
    let is_ruled = rule.is_some() && !has(rule, "default");
    let elsewhere = settings.has("port") || settings.has("addr");
    if !is_plain {
        let is_given_up =
            elsewhere && rule.is_none() && settings.has("ssl") && settings.has("check-ssl");
        return is_given_up.then(|| Suggestion {
            words: vec![("check-ssl", None)],
            what: "The server speaks no TLS at the check's address and port, but check-ssl makes the check use TLS."
                .to_owned(),
            ..Suggestion::default()
        });
    }
    let name = check_name(visit, watch);
    let mut suggestion = Suggestion {
        lines: tcp_check(watch).into_iter().collect(),
        ..Suggestion::default()
    };
    let set = |words: &mut Vec<Edit>, word, value: &Option<String>| {
        words.extend(value.clone().map(|value| (word, Some(value))));
    };
    if !settings.has("ssl") {
        suggestion.words.extend(of_server_line(visit, watch, &name));
    }
    if is_ruled {
        suggestion.connect.push(("ssl", Some(String::new())));
        set(&mut suggestion.connect, "sni", &name);
    } else {
        if settings.has("no-check-ssl") {
            suggestion.words.push(("no-check-ssl", None));
        }
        let is_known = suggestion
            .words
            .iter()
            .any(|(word, _)| *word == "check-ssl");
        if elsewhere && !is_known {
            suggestion.words.push(("check-ssl", Some(String::new())));
        }
        if !settings.has("check-sni") {
            set(&mut suggestion.words, "check-sni", &name);
        }
    }
    suggestion.what = without_tls(watch);
    Some(suggestion)
}

/// Returns the words that a server line without `ssl` needs for TLS. Their values come from another server,
/// or are this host's CAs. Leaves out the words that the line already has. In `mode tcp`, visitors may use
/// their own TLS, so the words add TLS only to the check.
fn of_server_line(visit: &Visit, watch: &Watch, name: &Option<String>) -> Vec<Edit> {
    let own = &watch.server.settings;
    let other = encrypted(visit, watch).map(|other| &other.server.settings);
    let word = |word| Some(other?.get(word)?.value.clone());
    let is_http = watch.backend.settings.http;
    let ssl = if is_http { "ssl" } else { "check-ssl" };
    let ca_file = word("ca-file").unwrap_or_else(|| "@system-ca".to_owned());
    let sni = word("sni").or_else(|| Some(format!("str({})", name.as_ref()?)));
    let words = [
        (ssl, Some(String::new())),
        ("verify", Some("required".to_owned())),
        ("ca-file", Some(ca_file).filter(|_| verifies(own))),
        ("sni", sni.filter(|_| is_http)),
    ];
    let words = words.into_iter();
    words
        .filter(|(word, value)| value.is_some() && !own.has(word))
        .collect()
}

/// Returns true unless the words say `verify none`.
fn verifies(settings: &Settings) -> bool {
    let verify = settings.get("verify");
    verify.is_none_or(|verify| verify.value != "none")
}

/// Returns why HAProxy's own check connects without TLS.
pub(crate) fn without_tls(watch: &Watch) -> String {
    let settings = &watch.server.settings;
    let rule = rule(watch);
    let is_verified = verifies(settings);
    let needs = |words: [&str; 4]| {
        let missing = words.into_iter().filter(|word| {
            let name = word.split(' ').next().unwrap_or_default();
            let is_needed = match name {
                "ca-file" => is_verified,
                "check-sni" => is_verified || hosts(watch).next().is_some(),
                _ => true,
            };
            !settings.has(name) && is_needed
        });
        let missing: Vec<&str> = missing.collect();
        match missing.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
            None => String::new(),
        }
    };
    let text = if !settings.has("ssl") && !watch.backend.settings.http {
        return format!(
            "HAProxy's own check connects without TLS. It needs {} on the server line. Visitors reach the server with \
             their own TLS (mode tcp), so the line must not have `ssl`.",
            needs(["check-ssl", "verify required", "ca-file", "check-sni"])
        );
    } else if !settings.has("ssl") {
        return format!(
            "The server speaks TLS, and HAProxy connects without TLS, because the server line has no `ssl`. It needs {}.",
            needs(["ssl", "verify required", "ca-file", "sni"])
        );
    } else if rule.is_some() && !has(rule, "default") {
        "The `connect` rule has no ssl, and the server requires TLS."
    } else if settings.has("no-check-ssl") {
        "With no-check-ssl, HAProxy's own check connects without TLS, and the server requires TLS."
    } else {
        "With `port` or `addr`, HAProxy's own check connects without TLS unless the line has check-ssl."
    };
    text.to_owned()
}

/// Returns a server whose traffic or check verifies certificates with a CA file. Prefers a server of the same
/// backend.
fn encrypted<'v, 'a>(visit: &'v Visit<'a>, watch: &Watch) -> Option<&'v Watch<'a>> {
    // In `mode tcp`, possibly only the other server's check uses HAProxy's TLS, and its traffic doesn't.
    let is_encrypted = |other: &&Watch| {
        let of_check = other.connections.iter().filter_map(|one| one.tls.as_ref());
        let mut all = other.traffic.tls.iter().chain(of_check);
        let is_own = matches!(other.check, Check::Own(_)) || other.traffic.tls.is_some();
        is_own && all.any(|tls| tls.ca_file.is_some() && tls.verified != Verified::Nothing)
    };
    let found = || visit.watches.iter().filter(is_encrypted);
    let mut near = found().filter(|other| other.backend.name == watch.backend.name);
    near.next().or_else(|| found().next())
}

/// Returns the name that a check of this server should send: the name in the `sni` of the server line, or
/// else the check's Host.
fn check_name(visit: &Visit, watch: &Watch) -> Option<String> {
    let of_line = match own_tls(visit, watch)?.sni {
        Sni::Name(name) => Some(name),
        _ => None,
    };
    let name = of_line.or_else(|| watch.backend.settings.rules.host())?;
    let name = meant(visit, &name).unwrap_or(name);
    (is_name(&name) && !name.contains(['%', '('])).then_some(name)
}

/// Returns the words of the server, and the words of the `default-server` lines below it. HAProxy ignores
/// those lines for this server.
fn all_words(watch: &Watch) -> Settings {
    let all = &watch.backend.settings.server;
    watch.server.settings.with_defaults(all)
}

/// Returns the TLS settings that visitors' connections would have if the server line had `ssl`.
fn own_tls(visit: &Visit, watch: &Watch) -> Option<Tls> {
    let mut server = watch.server.clone();
    server.settings = all_words(watch);
    server.settings.read(&["ssl".to_owned()], &server.place);
    traffic(visit.reading, watch.backend, &server).tls
}

/// Returns the TLS settings that a check without TLS most likely needs. If the server's words contain a CA
/// file or `verify none`, the settings come from these words. Otherwise, they come from another server with
/// TLS, if there is one. The SNI name always comes from the server itself.
pub(crate) fn meant_tls(visit: &Visit, watch: &Watch) -> Tls {
    let own = own_tls(visit, watch).unwrap_or_default();
    let other = || {
        let other = encrypted(visit, watch)?;
        let check = other.connections.first();
        let check = check.and_then(|connection| connection.tls.as_ref());
        other.traffic.tls.as_ref().or(check).cloned()
    };
    let is_complete = own.ca_file.is_some() || own.verified == Verified::Nothing;
    let tls = match is_complete {
        true => own,
        false => other().unwrap_or(own),
    };
    let all = all_words(watch);
    let name = all.get("check-sni").map(|at| at.value.clone());
    let name = name.or_else(|| check_name(visit, watch));
    Tls {
        sni: name.map_or(Sni::Absent, Sni::Name),
        ..tls
    }
}

/// Suggests the words of the `default-server` lines below the server line. HAProxy ignores these lines for
/// this server.
pub(super) fn below(watch: &Watch) -> Option<Suggestion> {
    let all = &watch.backend.settings.server;
    let own = &watch.server.settings;
    let missing = OF_DEFAULT_SERVER.iter().filter_map(|word| {
        let at = all.get(word).filter(|_| !own.has(word))?;
        (!own.has(&format!("no-{word}"))).then_some((*word, at))
    });
    let missing: Vec<_> = missing.collect();
    let (_, first) = missing.first()?;
    Some(Suggestion {
        what: format!(
            "HAProxy uses `default-server` only for the server lines below it. The line at {} is below the server \
             line, so the server doesn't have its words.",
            first.place
        ),
        words: missing
            .iter()
            .map(|(word, at)| (*word, Some(at.value.clone())))
            .collect(),
        ..Suggestion::default()
    })
}

/// Returns the line `option tcp-check`, which replaces `option ssl-hello-chk`, if the backend has this
/// option.
fn tcp_check(watch: &Watch) -> Option<NewLine> {
    let kind = watch.backend.settings.check.as_ref()?;
    let is_hello = kind.value == "ssl-hello-chk";
    is_hello.then(|| new_line(&["option", "ssl-hello-chk"], ["option", "tcp-check"]))
}

/// Suggests `option tcp-check` in place of `option ssl-hello-chk`, if the check uses TLS. HAProxy then checks
/// the TLS connection itself.
pub(super) fn without_hello(watch: &Watch) -> Option<Suggestion> {
    let tls = watch.connections.first()?.tls.as_ref();
    let line = tls.and_then(|_| tcp_check(watch))?;
    Some(Suggestion {
        lines: vec![line],
        what: "`option ssl-hello-chk` sends its own hello inside of the check's TLS connection, and no TLS server expects \
               a hello there. With `option tcp-check`, HAProxy checks the TLS connection."
            .to_owned(),
        ..Suggestion::default()
    })
}
