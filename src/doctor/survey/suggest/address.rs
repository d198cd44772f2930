//! Suggests a check at the address and port that visitors use, if `addr` or `port` sends the check elsewhere.
//! Also suggests other addresses for a server to which HAProxy can't connect.

use super::{ADDRESS, Edit, Suggestion, has, rule};
use crate::code::Layer;
use crate::doctor::visit::Visit;
use crate::doctor::visit::Watch;
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::check::Check;
use crate::options::Options;

/// A check that is moved to the address and port of visitors' connections.
#[derive(Clone)]
pub(crate) struct AtVisitors {
    /// The edits that remove `addr` and `port` from the server line.
    pub words: Vec<Edit>,
    /// The edits that remove `addr` and `port` from the check's `connect` rule.
    pub connect: Vec<Edit>,
    /// What `addr` and `port` do to the check, in one or two sentences.
    pub what: String,
    /// The options with which sni-check runs the moved check, or why it can't.
    pub call: Result<Box<Options>, String>,
}

/// The words that can give the check another address or port.
const ELSEWHERE: [&str; 2] = ["port", "addr"];

/// Returns HAProxy's own check at the address and port of visitors' connections. Returns `None` for other
/// checks, or if neither the server line nor the `connect` rule has `addr` or `port`.
pub(crate) fn at_visitors(
    visit: &Visit,
    watch: &Watch,
    call: impl Fn(&Watch) -> Result<Box<Options>, String>,
) -> Option<AtVisitors> {
    let (rule, settings) = (rule(watch), &watch.server.settings);
    let present = |has: &dyn Fn(&str) -> bool| -> Vec<Edit> {
        let words = ELSEWHERE.into_iter().filter(|word| has(word));
        words.map(|word| (word, None)).collect()
    };
    let words = present(&|word| settings.has(word));
    let connect = present(&|word| has(rule, word));
    let is_own = matches!(watch.check, Check::Own(_));
    let first = words.iter().chain(&connect).next().filter(|_| is_own)?;
    let mut server = watch.server.clone();
    server.settings.remove(&ELSEWHERE);
    let mut backend = watch.backend.clone();
    let rules = &mut backend.settings.rules;
    let lines = rules.http.lines.iter_mut().chain(&mut rules.tcp.lines);
    let place = watch.connect_rule();
    for line in lines.filter(|line| Some(&line.place) == place) {
        for word in ELSEWHERE {
            if let Some(at) = line.value.iter().position(|known| known == word) {
                line.value.drain(at..(at + 2).min(line.value.len()));
            }
        }
    }
    let visitors = &watch.server.endpoint;
    let what = match watch.connections.first() {
        Some(check) if check.endpoint.to_string() != visitors.to_string() => format!(
            "The check connects to {}, and fails there. Visitors connect to {visitors}.",
            check.endpoint
        ),
        _ => format!(
            "With `{}`, HAProxy's own check uses neither the TLS nor the PROXY header of visitors' connections.",
            first.0
        ),
    };
    let call = call(&visit.watch_of(&backend, &server));
    Some(AtVisitors {
        words,
        connect,
        what,
        call,
    })
}

/// Returns why the check should connect where visitors connect. Returns `None` if the check already does so,
/// or if doctor doesn't know where the check connects.
pub(crate) fn elsewhere(watch: &Watch) -> Option<String> {
    let check = watch.connections.first()?.endpoint.to_string();
    let visitors = watch.server.endpoint.to_string();
    (check != visitors).then(|| {
        format!("The check connects to {check}, and fails there. Visitors connect to {visitors}.")
    })
}

/// The name and the loopback addresses of this host. A service often listens on only one of the two
/// addresses.
const THIS_HOST: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Suggests other addresses of the server, which may help if HAProxy can't connect. A name may have an IPv4
/// address and an IPv6 address, and HAProxy uses only one of them.
pub(super) fn other_addresses(watch: &Watch) -> Vec<Suggestion> {
    let server = watch.server;
    let Endpoint::Tcp(host, port) = &server.endpoint else {
        return Vec::new();
    };
    // With `resolvers`, the word `resolve-prefer` chooses between IPv4 and IPv6.
    let is_found = server.settings.has("resolvers") || *port == 0 || elsewhere(watch).is_some();
    let others: &[&str] = match host.as_str() {
        _ if is_found => &[],
        host if THIS_HOST.contains(&host) => &["127.0.0.1:PORT", "[::1]:PORT"],
        _ if server.endpoint.name().is_some() => &["ipv4@HOST:PORT", "ipv6@HOST:PORT"],
        _ => &[],
    };
    let present = format!("{}{}", server.family, server.endpoint);
    let others = others.iter().map(|other| {
        other
            .replace("HOST", host)
            .replace("PORT", &port.to_string())
    });
    let others = others.filter(|other| *other != present);
    let suggest = |other: String| Suggestion {
        layer: Some(Layer::Connection),
        what: format!(
            "HAProxy can't connect to the address that it uses for {present}. The server answers at {other}."
        ),
        words: vec![(ADDRESS, Some(other))],
        ..Suggestion::default()
    };
    others.map(suggest).collect()
}
