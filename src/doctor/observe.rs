//! `--run`, with the help of HAProxy: the results of its own checks, and the status that a visitor gets
//! from each server. One HAProxy with a backend for each question answers all of them.

use std::time::Duration;

use super::finding::{Effect, Finding};
use super::jail::Jail;
use super::outcome::{Outcome, Ran, Trap, Visitor};
use super::own_check;
use super::shell::shell;
use super::visit::{Visit, Watch};
use crate::haproxy::ask::{Answer, Question, Visit as Request, ask};
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::backend_lines::ServerLines;
use crate::haproxy::config::check::{Check, Protocol};
use crate::haproxy::config::connection::{Sni, Verified};
use crate::haproxy::words::quote;
use crate::output::mark::Mark;

/// The name of the finding about a difference that no rule explains.
pub(super) const SEEN: &str = "seen";

/// The longest time for a check or a response. An operator waits for the report.
const LONGEST: Duration = Duration::from_secs(5);

/// What a question asks about a server.
#[derive(Clone, Copy)]
enum About {
    Check,
    Visitor,
    /// A visitor of `/`, if the check asks for a different page.
    Root,
}

/// What HAProxy says about a server.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// The result of HAProxy's own check.
    pub check: Option<Answer>,
    pub visitor: Option<Visitor>,
}

/// Asks HAProxy about these servers. Returns the answers in their order.
///
/// # Errors
/// HAProxy can't be asked. The text says why.
pub(super) fn ask_haproxy(visit: &Visit, watches: &[&Watch]) -> Result<Vec<Observed>, String> {
    let mut questions = Vec::new();
    let mut patience = Duration::from_secs(1);
    for (index, watch) in watches.iter().enumerate() {
        let lines = ServerLines::of(visit.reading, watch.backend, watch.server);
        let set = &watch.backend.settings;
        let limits = [set.timeout_check.as_ref(), set.timeout_connect.as_ref()];
        let limits = limits.into_iter().flatten().map(|limit| limit.value);
        patience = limits.fold(patience, Duration::max);
        if let Check::Own(_) = watch.check {
            questions.push(Question {
                about: (index, About::Check),
                lines: of_check(&lines, watch, visit),
                is_checked: true,
                visit: None,
            });
        }
        let request = request(watch);
        let root = request.clone().filter(|request| request.uri != "/");
        let root = root.map(|request| Request {
            uri: "/".to_owned(),
            ..request
        });
        for (about, request) in [(About::Visitor, request), (About::Root, root)] {
            questions.extend(request.map(|request| Question {
                about: (index, about),
                lines: of_visitors(&lines, watch, visit),
                is_checked: false,
                visit: Some(request),
            }));
        }
    }
    let mut observed: Vec<Observed> = watches.iter().map(|_| Observed::default()).collect();
    if questions.is_empty() {
        return Ok(observed);
    }
    let answers = ask(visit.haproxy, None, questions, patience.min(LONGEST));
    for answered in answers.map_err(|error| format!("{error:#}"))? {
        let (index, about) = answered.about;
        let (Some(watch), Some(slot)) = (watches.get(index), observed.get_mut(index)) else {
            continue;
        };
        let status = answered.visitor.map(|visited| visited.status);
        match (about, &answered.answer) {
            (About::Check, _) => slot.check = Some(answered.answer),
            (_, Answer::Refused(_)) => {}
            (About::Visitor, _) => {
                slot.visitor = request(watch).map(|request| Visitor {
                    request: text_of(&request),
                    status,
                    root: None,
                });
            }
            (About::Root, _) => {
                if let Some(visitor) = &mut slot.visitor {
                    visitor.root = status;
                }
            }
        }
    }
    Ok(observed)
}

fn text_of(request: &Request) -> String {
    let host = request.headers.first();
    let host = host.map_or_else(String::new, |(_, host)| format!(" with Host {host}"));
    format!("{} {}{host}", request.method, request.uri)
}

/// Returns the backend with the check of this server.
fn of_check(lines: &ServerLines, watch: &Watch, visit: &Visit) -> String {
    let rules = lines.rules.iter();
    let rules = rules.filter(|rule| !is_of_visitors(&rule.words));
    let rules = rules.map(|rule| rule.words.as_slice());
    let words = lines
        .words
        .iter()
        .map(|(word, value)| (word.as_str(), value.as_str()));
    let words: Vec<(&str, &str)> = words.chain([("check", "")]).collect();
    backend(lines, rules, &words, (watch, visit))
}

/// Returns the backend without the check, for a visitor.
fn of_visitors(lines: &ServerLines, watch: &Watch, visit: &Visit) -> String {
    let rules = lines.rules.iter().map(|rule| rule.words.as_slice());
    let rules = rules.filter(|words| is_of_visitors(words));
    let is_of_check = |word: &str| {
        word.starts_with("check-")
            || word.starts_with("no-check-")
            || ["addr", "port", "inter"].contains(&word)
    };
    let words = lines
        .words
        .iter()
        .map(|(word, value)| (word.as_str(), value.as_str()));
    let words = words.filter(|(word, _)| !is_of_check(word));
    let words = words.map(|(word, value)| match word {
        "sni" if is_host(value) => (word, "req.hdr(host)"),
        _ => (word, value),
    });
    let words: Vec<(&str, &str)> = words.collect();
    let lines_of_visitors = backend(lines, rules, &words, (watch, visit));
    format!("    retries 0\n{lines_of_visitors}")
}

fn is_of_visitors(words: &[String]) -> bool {
    words.first().is_some_and(|word| word == "http-request")
}

fn backend<'a>(
    lines: &ServerLines,
    rules: impl Iterator<Item = &'a [String]>,
    words: &[(&str, &str)],
    (watch, visit): (&Watch, &Visit),
) -> String {
    let mode = if lines.is_http { "http" } else { "tcp" };
    let mut text = format!("    mode {mode}\n");
    for rule in rules {
        let rule: Vec<String> = rule.iter().map(quote).collect();
        text += &format!("    {}\n", rule.join(" "));
    }
    let address = match &watch.server.endpoint {
        Endpoint::Unix(path) => format!("unix@{}", outside(path, visit.jail)),
        _ => lines.address.clone(),
    };
    text += &format!("    server s1 {}", quote(&address));
    let global = &visit.config.global;
    let verifies_nothing =
        |tls: &crate::haproxy::config::connection::Tls| tls.verified == Verified::Nothing;
    let is_lax = watch.traffic.tls.as_ref().is_some_and(verifies_nothing);
    if is_lax && !words.iter().any(|(word, _)| *word == "verify") {
        text += " verify none";
    }
    for (word, value) in words {
        let value = match *word {
            "ca-file" | "crl-file" => own_check::below(&global.ca_base, value),
            "crt" => own_check::below(&global.crt_base, value),
            _ => (*value).to_owned(),
        };
        text += &format!(" {word}");
        if !value.is_empty() {
            text += &format!(" {}", quote(&value));
        }
    }
    text + "\n"
}

fn outside(path: &str, jail: &Jail) -> String {
    match path.starts_with('/') {
        true => jail.outside(path),
        false => path.to_owned(),
    }
}

/// Returns true if the SNI is the Host of the request, or the SNI of the visitor's own connection. These
/// two are the same in a browser.
fn is_host(expression: &str) -> bool {
    expression.contains("hdr(host)") || expression.starts_with("ssl_fc_sni")
}

/// Returns the request of a visitor: the page of the check, or `/`. Returns `None` if doctor can't know
/// what visitors send.
fn request(watch: &Watch) -> Option<Request> {
    let traffic = watch.traffic.tls.as_ref().map(|tls| &tls.sni);
    let is_known = match traffic {
        Some(Sni::PerRequest(expression)) => is_host(expression),
        _ => true,
    };
    if !watch.backend.settings.http || !is_known {
        return None;
    }
    let (method, uri) = page(watch);
    let is_harmless = ["GET", "HEAD", "OPTIONS"].contains(&method.as_str());
    let host = match (host(watch), traffic) {
        (Some(host), _) => host,
        // Without the name there is no right SNI.
        (None, Some(Sni::PerRequest(_))) => return None,
        (None, _) => watch.server.endpoint.words().0,
    };
    is_harmless.then(|| Request {
        method: "GET".to_owned(),
        uri,
        headers: vec![("Host".to_owned(), host)],
    })
}

/// Returns the method and the page of the check.
fn page(watch: &Watch) -> (String, String) {
    match (&watch.check, &watch.own) {
        (Check::Own(own), _)
            if matches!(
                own.protocol,
                Protocol::Http {
                    sends_request: true,
                    ..
                }
            ) =>
        {
            let (method, uri) = own_check::request(watch.backend);
            (method, uri.unwrap_or_else(|| "/".to_owned()))
        }
        (_, Some(accepted)) => {
            let request = &accepted.plan.request;
            let uri = request.uri.path_and_query();
            let uri = uri.map_or("/", |uri| uri.as_str());
            (request.method.to_string(), uri.to_owned())
        }
        _ => ("GET".to_owned(), "/".to_owned()),
    }
}

/// Returns the Host of the check's request, or else the name that the check or traffic sends.
fn host(watch: &Watch) -> Option<String> {
    let of_own = watch.backend.settings.rules.host();
    let of_options = watch.own.as_ref().and_then(|accepted| {
        let mut headers = accepted.plan.request.headers.iter();
        let (_, host) = headers.find(|(name, _)| name.as_str() == "host")?;
        host.to_str().ok().map(str::to_owned)
    });
    let names = watch.connections.iter().chain([&watch.traffic]);
    let mut names = names.filter_map(|connection| match &connection.tls.as_ref()?.sni {
        Sni::Name(name) => Some(super::names::meant(name).to_owned()),
        _ => None,
    });
    let of_config =
        of_own.filter(|host| !host.contains('%') && matches!(watch.check, Check::Own(_)));
    of_config.or(of_options).or_else(|| names.next())
}

/// Returns true if the check has an expectation of its own. Then it may be DOWN by intention, while
/// visitors get a page.
fn expects_more(watch: &Watch) -> bool {
    match &watch.own {
        Some(accepted) => !accepted.options.expect.is_empty(),
        None => watch
            .backend
            .settings
            .rules
            .http
            .all("expect")
            .next()
            .is_some(),
    }
}

/// Returns the contradiction between a check and a visitor's request, if there is one.
pub(super) fn trap(watch: &Watch, outcome: Outcome, visitor: &Visitor) -> Option<Trap> {
    let asks = match &watch.check {
        Check::Own(own) => matches!(
            own.protocol,
            Protocol::Http {
                sends_request: true,
                ..
            }
        ),
        _ => watch.own.is_some(),
    };
    let is_default = asks && !expects_more(watch);
    let (effect, is_certain) = match (outcome.is_up(), visitor.status) {
        (true, None | Some(502..=504)) => (Effect::Up, true),
        // Servers refuse a page to visitors with these statuses for reasons of their own.
        (true, Some(401 | 403 | 404 | 405 | 421 | 429)) => return None,
        (true, Some(400..)) => (Effect::Up, is_default),
        (false, Some(200..=399)) => (Effect::Down, is_default || !outcome.judges_page()),
        // The page of the check is missing, not the site.
        (false, Some(404 | 405)) if matches!(visitor.root, Some(200..=399)) => (Effect::Down, true),
        // The check didn't get as far as a response, but visitors do.
        (false, Some(401 | 403..=405)) if !outcome.judges_page() => (Effect::Down, true),
        _ => return None,
    };
    Some(Trap { effect, is_certain })
}

/// Makes findings certain if the run shows what they predict. Adds a finding about each difference that
/// no finding predicts.
pub(super) fn confirm(findings: &mut Vec<Finding>, visit: &Visit, ran: &[Ran]) {
    for ran in ran {
        let (Some(trap), Some(visitor)) = (ran.trap, &ran.visitor) else {
            continue;
        };
        let effect = trap.effect;
        let name = format!("{}/{}", ran.backend, ran.server);
        let predicts = |found: &Finding| {
            let mut about = found.about.iter();
            let is_about = about.any(|about| *about == name || *about == ran.backend);
            let is_same = found.effect == effect || found.effect == Effect::Either;
            // A check that ended in time wasn't too slow.
            is_about && is_same && found.id != "time"
        };
        let is_certain = |found: &Finding| predicts(found) && found.mark == Mark::Problem;
        if findings.iter().any(is_certain) {
            continue;
        }
        let shows = shows(ran.outcome, visitor);
        let mut is_predicted = !trap.is_certain;
        for found in findings.iter_mut().filter(|found| predicts(found)) {
            is_predicted = true;
            (found.mark, found.effect) = (Mark::Problem, effect);
            found.shows.clone_from(&shows);
        }
        let watch = visit.watches.iter().find(|watch| watch.name() == name);
        if let Some(watch) = watch.filter(|_| !is_predicted) {
            let what = match effect {
                Effect::Up => "the check is UP, but visitors fail",
                _ => "the check is DOWN, but visitors are served",
            };
            let paste = super::by_hand::diagnose(watch, visit.call);
            findings.push(
                Finding::problem(effect, what)
                    .id(SEEN)
                    .at(&watch.server.place)
                    .about([name])
                    .shows(shows)
                    .write("find the difference between the check and the server line:")
                    .paste(paste.unwrap_or_else(|| shell(["sni-check", "diagnose"]))),
            );
        }
    }
}

fn shows(outcome: Outcome, visitor: &Visitor) -> String {
    let state = if outcome.is_up() { "UP" } else { "DOWN" };
    let code = outcome
        .code()
        .map_or_else(String::new, |code| match outcome {
            Outcome::Own { .. } => format!(" {code}"),
            _ => format!(" and code {code}"),
        });
    let visitors = visitor.gets();
    format!(
        "{state} with {}{code}, while a visitor's {} {visitors} (seen just now)",
        outcome.status(),
        visitor.request
    )
}
