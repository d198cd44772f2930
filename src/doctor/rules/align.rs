//! The changes that make HAProxy's own check connect as visitors do.

use crate::haproxy::config::connection::{Connection, Sni};
use crate::haproxy::config::http_check::List;
use crate::haproxy::config::place::At;
use crate::haproxy::config::server_line::Server;

use super::advice::switch_on;
use super::names::{bare, misspelt};
use crate::doctor::visit::{Visit, Watch};

/// Returns the advice to connect as visitors do. The advice begins with the other changes that a check with
/// this connection needs. `check` is one of the check's present connections.
pub(crate) fn with_traffic(visit: &Visit, watch: &Watch, check: &Connection) -> String {
    let mut server = watch.server.clone();
    let mut backend = watch.backend.clone();
    let mut steps: Vec<String> = Vec::new();
    let rules = &mut backend.settings.rules;
    for list in [&mut rules.http, &mut rules.tcp] {
        steps.extend(without_detour(list, watch, check));
    }
    let unfit = unfit(watch, check);
    let removals = unfit.iter().map(|word| removal(watch.server, word));
    steps.extend(removals);
    server.settings.remove(&unfit);
    if steps.is_empty() && watch.traffic.tls.is_some() {
        steps.push("add check-ssl to the server line".to_owned());
        set(&mut server, &["check-ssl"]);
    }
    let changed = visit.watch_of(&backend, &server);
    let mut connections = changed.connections.iter();
    let is_nameless = connections.any(|check| {
        let tls = check.tls.as_ref();
        tls.is_some_and(|tls| match &tls.sni {
            Sni::Absent => true,
            Sni::Name(name) => misspelt(name).is_some(),
            Sni::PerRequest(_) => false,
        })
    });
    if let Some(name) = name(watch).filter(|_| is_nameless) {
        steps.push(format!("check-sni {name} on the server line"));
        set(&mut server, &["check-sni", name]);
    }
    let advice = steps.join("; and ");
    switch_on(visit, &visit.watch_of(&backend, &server), &advice)
}

/// Returns the SNI name that visitors' traffic sends, or `NAME` if the name depends on the request. Returns
/// `None` if traffic sends no SNI.
fn name<'a>(watch: &'a Watch) -> Option<&'a str> {
    match &watch.traffic.tls.as_ref()?.sni {
        Sni::Name(name) => Some(bare(name)),
        Sni::PerRequest(_) => Some("NAME"),
        Sni::Absent => None,
    }
}

fn set(server: &mut Server, words: &[&str]) {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let place = server.place.clone();
    server.settings.read(&words, &place);
}

/// Returns the words of the server line that send the check to another address or port, or that are wrong for
/// a check of the address and port that visitors use.
fn unfit(watch: &Watch, check: &Connection) -> Vec<&'static str> {
    let set = &watch.server.settings;
    let leads_elsewhere =
        set.has("port") || set.has("addr") || check.endpoint != watch.traffic.endpoint;
    let traffic = &watch.traffic;
    let is_unfit = |word: &str| match word {
        "no-check-ssl" => traffic.tls.is_some(),
        "check-ssl" => leads_elsewhere && traffic.tls.is_none() && watch.backend.gets_plain_bytes(),
        "check-send-proxy" => leads_elsewhere && traffic.proxy.is_none(),
        _ => true,
    };
    let words = [
        "no-check-ssl",
        "port",
        "addr",
        "check-ssl",
        "check-send-proxy",
    ];
    let words = words.into_iter();
    words
        .filter(|word| set.has(word) && is_unfit(word))
        .collect()
}

/// Returns the advice to remove a word from the server line, or from the `default-server` line that contains
/// it.
fn removal(server: &Server, word: &str) -> String {
    match server
        .settings
        .place(word)
        .filter(|place| **place != server.place)
    {
        Some(place) => format!("remove `{word}` from the line {place}"),
        None => format!("remove `{word}` from the server line"),
    }
}

/// Changes the `connect` line of this connection so that the server line decides where and how the check
/// connects. Returns the advice to make this change, or `None` if this list needs no change.
fn without_detour(list: &mut List, watch: &Watch, check: &Connection) -> Option<String> {
    let is_rule = |line: &&mut At<Vec<String>>| {
        line.place == check.place && line.value.get(1).is_some_and(|word| word == "connect")
    };
    let line = list.lines.iter_mut().find(is_rule)?;
    let has = |word: &str| line.value.iter().any(|known| known == word);
    let is_elsewhere = check.endpoint != watch.traffic.endpoint && (has("port") || has("addr"));
    if !is_elsewhere {
        if has("default") {
            return None;
        }
        line.value.insert(2, "default".to_owned());
        return Some("add `default` after connect in that line".to_owned());
    }
    line.value = vec![
        line.value[0].clone(),
        "connect".to_owned(),
        "default".to_owned(),
    ];
    Some(format!(
        "in place of that connect line, write {}",
        line.value.join(" ")
    ))
}
