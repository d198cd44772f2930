//! Suggestions that remove what limits how HAProxy connects: TLS versions, ciphers, HTTP versions, a SOCKS4 proxy.

use super::{Suggestion, has, rule};
use crate::code::Layer;
use crate::doctor::visit::{Visit, Watch};

/// Words that limit how HAProxy connects. Often such a word is left over from an earlier server.
const LIMITS: [&str; 19] = [
    "check-alpn",
    "check-proto",
    "alpn",
    "proto",
    "ciphers",
    "ciphersuites",
    "curves",
    "sigalgs",
    "client-sigalgs",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
    "no-tlsv12",
    "no-tlsv13",
    "ssl-max-ver",
    "ssl-min-ver",
    "source",
];

/// Groups of words that choose HTTP/2: the words for the check, and the words for the check and visitors
/// together. If a suggestion removed only one word of a group, another word might still choose HTTP/2.
const OF_HTTP2: [&[&str]; 2] = [
    &["check-alpn", "check-proto"],
    &["check-alpn", "check-proto", "alpn", "proto"],
];

/// Returns one suggestion for each word that limits connections, one for each group of words that choose
/// HTTP/2, and one for a SOCKS4 proxy. Each suggestion removes its word, its group or the proxy.
pub(super) fn limits(watch: &Watch) -> Vec<Suggestion> {
    let settings = &watch.server.settings;
    let without = |words: &[&'static str]| words.iter().map(|word| (*word, None)).collect();
    let in_rule = ["alpn", "proto"].map(|word| vec![word]).into_iter();
    let in_rule = in_rule.chain([vec!["alpn", "proto"]]);
    let in_rule = in_rule.filter(|words| words.iter().all(|word| has(rule(watch), word)));
    let in_rule = in_rule.map(|words| Suggestion {
        connect: without(&words),
        what: format!(
            "The server accepts no connection with the {} of the `connect` rule.",
            words.join(" and the ")
        ),
        ..Suggestion::default()
    });
    let present = |words: &[&'static str]| -> Vec<&'static str> {
        let words = words.iter().copied();
        words.filter(|word| settings.has(word)).collect()
    };
    let mut groups: Vec<Vec<&str>> = LIMITS.iter().map(|word| present(&[word])).collect();
    groups.retain(|words| !words.is_empty());
    groups.extend(
        OF_HTTP2
            .map(present)
            .into_iter()
            .filter(|words| words.len() > 1),
    );
    groups.dedup();
    let on_line = groups.into_iter().map(|words| {
        let shown = words.iter().flat_map(|word| {
            let value = settings.get(word).map(|at| at.value.as_str());
            [Some(*word), value.filter(|value| !value.is_empty())]
        });
        let shown: Vec<&str> = shown.flatten().collect();
        Suggestion {
            words: without(&words),
            what: format!(
                "The server accepts no connection with `{}`.",
                shown.join(" ")
            ),
            ..Suggestion::default()
        }
    });
    let proxy = settings.get("socks4").map(|at| Suggestion {
        words: vec![("socks4", None), ("check-via-socks4", None)],
        what: format!(
            "The SOCKS4 proxy {} doesn't let HAProxy through. Without socks4, HAProxy connects to the server itself.",
            at.value
        ),
        ..Suggestion::default()
    });
    in_rule.chain(on_line).chain(proxy).collect()
}

/// Suggests `proto h2` if the server line has `ssl` and no word about the HTTP version, because the server
/// may speak only HTTP/2 and ignore ALPN.
pub(super) fn http2(watch: &Watch) -> Option<Suggestion> {
    let settings = &watch.server.settings;
    let is_set = ["alpn", "check-alpn", "proto", "check-proto"].map(|word| settings.has(word));
    (!is_set.contains(&true) && settings.has("ssl")).then(|| Suggestion {
        words: vec![("proto", Some("h2".to_owned()))],
        layer: Some(Layer::Http),
        what: "The server speaks only HTTP/2, and it doesn't choose a protocol by ALPN.".to_owned(),
        ..Suggestion::default()
    })
}

/// Suggests words for the server line that override lines of the `global` section about the connections to
/// all servers. Skips words that the server line already has.
pub(super) fn global_limits(visit: &Visit, watch: &Watch) -> Vec<Suggestion> {
    let mut found = Vec::new();
    for line in &visit.config.global.for_servers {
        let words: Vec<&str> = line.value.iter().map(String::as_str).collect();
        let edits = match words.as_slice() {
            ["ssl-default-server-options", options @ ..] => versions(options),
            ["ssl-default-server-ciphers", ..] => vec![("ciphers", "DEFAULT")],
            ["ssl-default-server-ciphersuites", ..] => vec![("ciphersuites", SUITES)],
            ["ssl-default-server-curves", ..] => vec![("curves", CURVES)],
            _ => Vec::new(),
        };
        let is_set = |word| watch.server.settings.has(word);
        let edits = edits.into_iter().filter(|(word, _)| !is_set(word));
        found.extend(edits.map(|(word, value)| Suggestion {
            words: vec![(word, Some(value.to_owned()))],
            what: format!(
                "The server accepts no connection with `{}` of the `global` section ({}).",
                words.join(" "),
                line.place
            ),
            ..Suggestion::default()
        }));
    }
    found
}

/// The cipher suites for TLS 1.3 that OpenSSL offers by default.
const SUITES: &str = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
/// The curves for key exchange that most servers accept.
const CURVES: &str = "X25519:P-256:P-384:P-521";

/// Returns the words of a server line, with their values, that lift the limits of these options on TLS
/// versions.
fn versions(options: &[&str]) -> Vec<(&'static str, &'static str)> {
    let has = |wanted: &[&str]| wanted.iter().any(|word| options.contains(word));
    let max = has(&[
        "ssl-max-ver",
        "force-tlsv10",
        "force-tlsv11",
        "force-tlsv12",
    ])
    .then_some(("ssl-max-ver", "TLSv1.3"));
    let min = has(&["ssl-min-ver", "force-tlsv13"]).then_some(("ssl-min-ver", "TLSv1.2"));
    max.into_iter().chain(min).collect()
}
