//! Advice about lines that several servers share: the `connect` line and the options of a check.

use crate::haproxy::config::connection::{Connection, Sni};

use crate::doctor::visit::{Visit, Watch};

/// Returns true if visitors' connections to another checked server of the backend need something else. All
/// servers of a backend share the `connect` line and the options of their check.
pub(crate) fn others_differ<T: PartialEq>(
    visit: &Visit,
    watch: &Watch,
    need: impl Fn(&Connection) -> T,
) -> bool {
    let mut others = visit.watches_of(watch.backend);
    others.any(|other| other.is_active() && need(&other.traffic) != need(&watch.traffic))
}

/// Returns the SNI of a connection, or `None` if it doesn't use TLS.
pub(crate) fn sni(connection: &Connection) -> Option<Sni> {
    connection.tls.as_ref().map(|tls| tls.sni.clone())
}

/// Returns the advice to write `connect default` without the word `removed`, so that each server line decides
/// how its check connects. `own` is what this server line needs in addition. Returns `None` if the check has
/// no `connect` line, or if all servers that share this line have the same `need`.
pub(crate) fn by_server_line<T: PartialEq>(
    visit: &Visit,
    watch: &Watch,
    need: impl Fn(&Connection) -> T,
    removed: &str,
    own: Option<String>,
) -> Option<String> {
    let line = &watch.connect_line()?.value;
    if !others_differ(visit, watch, need) {
        return None;
    }
    let has_value = removed == "sni";
    let at = line.iter().position(|word| word == removed);
    let value = at.filter(|_| has_value).and_then(|at| line.get(at + 1));
    let mut words = line.clone();
    if let Some(at) = at {
        words.drain(at..=at + usize::from(value.is_some()));
    }
    if !words.iter().any(|word| word == "default") {
        words.insert(2, "default".to_owned());
    }
    let mut steps = Vec::new();
    if words != *line {
        steps.push(format!(
            "in place of that connect line, write {}",
            words.join(" ")
        ));
    }
    steps.extend(own.map(|words| format!("{words} on the server line")));
    // The other servers still need the name that the connect line has now.
    let others = visit.watches_of(watch.backend).filter(|other| {
        let is_other = other.server.name != watch.server.name && other.is_active();
        is_other && other.traffic.tls.is_some() && !other.server.settings.has("check-sni")
    });
    let others: Vec<&str> = others.map(|other| other.server.name.as_str()).collect();
    if let Some(name) = value.filter(|_| !others.is_empty()) {
        steps.push(format!(
            "check-sni {name} on the server line of {}",
            others.join(", ")
        ));
    }
    Some(steps.join("; and "))
}
