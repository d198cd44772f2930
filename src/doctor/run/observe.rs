//! `--run`, with the help of HAProxy: the results of its own checks, and the status that a visitor gets
//! from each server. One HAProxy with a backend for each question answers all of them.

use std::time::Duration;

use super::outcome::{Outcome, Ran, Trap, Visitor};
use crate::code::{Code, Layer};
use crate::doctor::by_hand;
use crate::doctor::finding::{Effect, Finding, METHOD, SEEN};
use crate::doctor::rules::dialogue;
use crate::doctor::rules::difference::Pair;
use crate::doctor::rules::names;
use crate::doctor::shell::shell;
use crate::doctor::visit::own_check;
use crate::doctor::visit::{Visit, Watch};
use crate::haproxy::ask::{Answer, Question, Visit as Request, ask};
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::backend_lines::ServerLines;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::Sni;
use crate::options::expect::Part;
use crate::output::mark::Mark;

/// The longest time for a check or a response. It's short, because an operator waits for the report.
const LONGEST: Duration = Duration::from_secs(5);

/// What a question asks about a server.
enum About {
    Check,
    /// A visitor with this request.
    Visitor(String),
    /// A visitor of `/`, if the check asks for a different page.
    Root,
}

/// What HAProxy says about a server.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// The result of HAProxy's own check.
    pub check: Option<Answer>,
    pub visitor: Option<Visitor>,
}

/// Asks HAProxy about these servers. Returns the answers in their order.
///
/// # Errors
/// HAProxy can't be asked. The text says why.
pub(crate) fn ask_haproxy(visit: &Visit, watches: &[&Watch]) -> Result<Vec<Observed>, String> {
    let mut questions = Vec::new();
    let (mut patience, mut global) = (Duration::from_secs(1), String::new());
    for (index, watch) in watches.iter().enumerate() {
        let mut lines = by_hand::lines(visit, watch);
        global = lines.global_text();
        let set = &watch.backend.settings;
        let limits = [
            set.timeout_check.as_ref(),
            set.timeout_connect.as_ref(),
            set.timeout_server.as_ref(),
        ];
        let limits = limits.into_iter().flatten().map(|limit| limit.value);
        patience = limits.fold(patience, Duration::max);
        // A server that follows another server's check has no check of its own.
        if is_own(watch) && watch.tracked().is_none() {
            questions.push(Question {
                about: (index, About::Check),
                lines: of_check(&lines),
                fallback: String::new(),
                is_checked: true,
                visit: None,
            });
        }
        // HTTP that HAProxy passes through in `mode tcp` reaches the server in the same way.
        lines.is_http = true;
        let request = request(watch, visit);
        let root = request.clone().filter(|request| request.uri != "/");
        let root = root.map(|request| Request {
            uri: "/".to_owned(),
            ..request
        });
        let visitor = request.map(|request| (About::Visitor(text_of(&request)), request));
        let root = root.map(|request| (About::Root, request));
        for (about, request) in visitor.into_iter().chain(root) {
            questions.push(Question {
                about: (index, about),
                lines: of_visitors(&lines, watch, watch.backend.settings.http),
                fallback: of_visitors(&lines, watch, false),
                is_checked: false,
                visit: Some(request),
            });
        }
    }
    let mut observed: Vec<Observed> = watches.iter().map(|_| Observed::default()).collect();
    if questions.is_empty() {
        return Ok(observed);
    }
    let answers = ask(visit.haproxy, &global, questions, patience.min(LONGEST));
    for answered in answers.map_err(|error| format!("{error:#}"))? {
        let (index, about) = answered.about;
        let Some(slot) = observed.get_mut(index) else {
            continue;
        };
        let visited = answered.visitor;
        let status = visited.map(|visited| visited.status);
        match (about, &answered.answer) {
            (About::Check, _) => slot.check = Some(answered.answer),
            (_, Answer::Refused(_)) => {}
            (About::Visitor(request), _) => {
                slot.visitor = Some(Visitor {
                    request,
                    status,
                    root: None,
                    by_server: visited.is_some_and(|visited| visited.by_server),
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

/// Returns true if HAProxy checks the server itself. Without the address of serve, HAProxy asks the server.
pub(crate) fn is_own(watch: &Watch) -> bool {
    match &watch.check {
        Check::Own(_) => true,
        Check::Serve(serve) => serve.connect.is_none(),
        _ => false,
    }
}

fn text_of(request: &Request) -> String {
    let host = request.headers.first();
    let host = host.map_or_else(String::new, |(_, host)| format!(" with Host {host}"));
    format!("{} {}{host}", request.method, request.uri)
}

/// Returns the backend with the check of this server.
fn of_check(lines: &ServerLines) -> String {
    let words = lines.words.iter();
    let words = words.map(|(word, value)| (word.as_str(), value.as_str()));
    let rules = lines.rules.iter().filter(|rule| !rule.is_of_visitors());
    lines.backend(rules, words.chain([("check", "")]))
}

/// Returns the backend without the check, for a visitor, with or without the rules that change requests.
fn of_visitors(lines: &ServerLines, watch: &Watch, with_rules: bool) -> String {
    let sni = watch.traffic.tls.as_ref().and_then(|tls| match &tls.sni {
        Sni::Name(name) => Some(format!("str({name})")),
        // Visitors' addresses differ from doctor's, but no server knows any of them as a name.
        Sni::PerRequest(expression) if names::is_never_a_name(expression) => {
            Some("str(192.0.2.1)".to_owned())
        }
        Sni::PerRequest(_) | Sni::Absent => None,
    });
    let is_of_check = |word: &str| {
        word.starts_with("check-")
            || word.starts_with("no-check-")
            || ["addr", "port", "inter"].contains(&word)
    };
    let words = lines.words.iter();
    let words = words.map(|(word, value)| match word.as_str() {
        "sni" => ("sni", sni.as_deref().unwrap_or(value)),
        word => (word, value.as_str()),
    });
    let words = words.filter(|(word, _)| !is_of_check(word));
    let rules = lines.rules.iter().filter(|rule| match with_rules {
        true => !rule.is_of_check(),
        false => !rule.is_of_check() && !rule.is_of_visitors(),
    });
    format!("    retries 0\n{}", lines.backend(rules, words))
}

/// Returns the request of a visitor: the page of the check, or `/`. Returns `None` if doctor can't know what
/// visitors send, or if the check's method may change something at the server.
fn request(watch: &Watch, visit: &Visit) -> Option<Request> {
    let traffic = watch.traffic.tls.as_ref().map(|tls| &tls.sni);
    let is_known = names::is_known(visit, watch);
    // Without a port, HAProxy uses the port of the visitor's connection.
    let has_port = !matches!(watch.server.endpoint, Endpoint::Tcp(_, 0));
    if !speaks_http(watch) || !is_known || !has_port {
        return None;
    }
    let (method, uri) = page(watch);
    let is_harmless = ["GET", "HEAD", "OPTIONS"].contains(&method.as_str());
    let host = match (host(watch), traffic) {
        (Some(host), _) => host,
        // Without the name there is no right SNI.
        (None, Some(Sni::PerRequest(_))) => return None,
        // HAProxy evaluates this Host when it sends the check.
        (None, _) if watch.describes.settings.rules.host().is_some() => return None,
        (None, _) => match watch.server.endpoint.words().0 {
            address if address.contains(':') => format!("[{address}]"),
            path if path.contains('/') => "localhost".to_owned(),
            address => address,
        },
    };
    // Some servers refuse requests without the fields that every browser sends.
    let headers = [
        ("Host", host.as_str()),
        ("User-Agent", "Mozilla/5.0"),
        ("Accept", "text/html,*/*"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Browsers send no fragment.
    let uri = uri.split('#').next().unwrap_or_default();
    is_harmless.then(|| Request {
        method: "GET".to_owned(),
        uri: uri.to_owned(),
        headers: headers.to_vec(),
    })
}

/// Returns true if visitors speak HTTP to the server: in `mode http`, and in `mode tcp` if their bytes arrive without
/// TLS and the check of the same port speaks HTTP.
fn speaks_http(watch: &Watch) -> bool {
    let by_check = || asks(watch) && Pair::of(watch).is_some();
    watch.backend.settings.http || (watch.backend.gets_plain_bytes() && by_check())
}

/// Returns true if the check sends a request.
fn asks(watch: &Watch) -> bool {
    match &watch.check {
        Check::Own(own) => own.protocol.sends_request(),
        _ => watch
            .own
            .as_ref()
            .is_some_and(|own| !own.options.handshake_only),
    }
}

/// Returns the method and the page of the check.
fn page(watch: &Watch) -> (String, String) {
    match (&watch.check, &watch.own) {
        (Check::Own(own), _) if own.protocol.sends_request() => {
            let (method, uri) = own_check::request(watch.describes);
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

/// Returns the Host of the check's request, or else the name that the check or traffic sends. If the frontends lead
/// only other names here, returns the first of those.
fn host(watch: &Watch) -> Option<String> {
    let of_own = watch.describes.settings.rules.host();
    let of_options = watch.own.as_ref().and_then(|accepted| {
        let mut headers = accepted.plan.request.headers.iter();
        let (_, host) = headers.find(|(name, _)| name.as_str() == "host")?;
        host.to_str().ok().map(str::to_owned)
    });
    let names = watch.connections.iter().chain([&watch.traffic]);
    let mut names = names.filter_map(|connection| match &connection.tls.as_ref()?.sni {
        Sni::Name(name) => Some(names::meant(name).to_owned()),
        _ => None,
    });
    let of_config =
        of_own.filter(|host| !host.contains('%') && matches!(watch.check, Check::Own(_)));
    let host = of_config.or(of_options).or_else(|| names.next());
    let visitors = &watch.backend.visitors.names;
    match host {
        Some(host) if visitors.iter().any(|name| name.eq_ignore_ascii_case(&host)) => Some(host),
        host => visitors.first().cloned().or(host),
    }
}

/// Returns true if the check accepts this status. Returns `None` if the check also judges other parts of
/// the response. The check may then be DOWN on purpose, while visitors get a page.
fn accepts(watch: &Watch, status: u16) -> Option<bool> {
    let Some((expectations, _)) = dialogue::expected(watch) else {
        return Some((200..400).contains(&status));
    };
    let mut others = expectations.iter();
    let is_about_status = others.all(|expectation| expectation.part() == Part::Status);
    is_about_status.then(|| dialogue::statuses(&expectations).contains(&status))
}

/// Returns the contradiction between a check and a visitor's request, if there is one.
pub(crate) fn trap(watch: &Watch, outcome: Outcome, visitor: &Visitor) -> Option<Trap> {
    let asks = asks(watch);
    let accepted = visitor.status.filter(|_| asks);
    let accepted = accepted.and_then(|status| accepts(watch, status));
    // L7RSP is also what HAProxy shows if the response lacks an expected text or field.
    let judges_page = outcome.judges_page()
        || (outcome.status() == "L7RSP" && asks && accepts(watch, 200).is_none());
    let (effect, is_certain) = match (outcome.is_up(), visitor.status) {
        (true, None | Some(502..=504)) => (Effect::Up, true),
        // A server may have reasons of its own to answer visitors with these statuses.
        (true, Some(401 | 403 | 404 | 405 | 421 | 429)) => return None,
        // Without the right Host a server may refuse a request that it accepts from visitors.
        (true, Some(400..)) => (Effect::Up, accepted == Some(false) && host(watch).is_some()),
        (false, Some(200..=399)) => (Effect::Down, accepted == Some(true) || !judges_page),
        // `http-check disable-on-404` is meant for a page that is missing.
        (false, Some(404)) if outcome.status() == "L7OKC" => (Effect::Down, false),
        // The page of the check is missing, not the site.
        (false, Some(404 | 405)) if matches!(visitor.root, Some(200..=399)) => (Effect::Down, true),
        // The check doesn't get as far as a response, but visitors do.
        (false, Some(401 | 403..=405)) if !judges_page => (Effect::Down, true),
        _ => return None,
    };
    Some(Trap { effect, is_certain })
}

/// Makes findings certain if the run shows what they predict. Adds a finding about each difference that
/// no finding predicts.
pub(crate) fn confirm(findings: &mut Vec<Finding>, visit: &Visit, ran: &[Ran]) {
    for ran in ran {
        let followers = visit.followers.iter().map(|follower| &follower.watch);
        let mut watches = followers.chain(&visit.watches);
        let Some(watch) = watches.find(|watch| ran.is_of(watch)) else {
            continue;
        };
        let more = match (ran.trap, &ran.visitor) {
            (Some(trap), Some(visitor)) => confirm_one(findings, watch, (ran, trap, visitor)),
            _ => unknown_visitors(findings, visit, (watch, ran)),
        };
        let paste = by_hand::diagnose(watch, visit.call);
        findings.extend(more.map(|mut finding| {
            finding = finding.at(&watch.server.place).about([watch.name()]);
            if let Some((what, write)) = refused_method(watch, ran.outcome) {
                finding.what = what;
                return finding.id(METHOD).write(write);
            }
            finding
                .id(SEEN)
                .write("find the difference between the check and the server line:")
                .paste(paste.unwrap_or_else(|| shell(["sni-check", "diagnose"])))
        }));
    }
}

/// Returns what to say about a server that refuses the method of HAProxy's own check, and what to write.
fn refused_method(watch: &Watch, outcome: Outcome) -> Option<(String, String)> {
    let is_refusal = matches!(
        outcome,
        Outcome::Own {
            status: "L7STS",
            code: Some(405 | 501),
            ..
        }
    );
    let mut request = watch.describes.settings.rules.sent();
    let method = request.method.replace("GET".to_owned());
    let method = method.unwrap_or_else(|| "OPTIONS".to_owned());
    if !is_refusal || method == "GET" {
        return None;
    }
    let what = format!("the server refuses the method {method} of HAProxy's own check");
    Some((what, own_check::sending(watch.describes, &request)))
}

/// Returns true if a finding predicts this effect for the server's check, and this outcome.
fn predicts(found: &Finding, watch: &Watch, effect: Effect, outcome: Outcome) -> bool {
    let mut about = found.about.iter();
    let is_about = about.any(|about| *about == watch.name() || *about == watch.backend.name);
    let is_same = found.effect == effect || found.effect == Effect::Either;
    let is_foretold = outcome.is_up() || outcome.is_foretold(found.foretold);
    is_about && is_same && is_foretold
}

fn confirm_one(
    findings: &mut [Finding],
    watch: &Watch,
    (ran, trap, visitor): (&Ran, Trap, &Visitor),
) -> Option<Finding> {
    let effect = trap.effect;
    // If a trap isn't certain, the check's expectations may want it. If check and visitors get the same status
    // for this page, no difference between the check and traffic is the cause. In both cases, only a finding
    // about the expectations explains the trap.
    let gets_the_same = visitor.status.is_some()
        && matches!(ran.outcome, Outcome::Own { code, .. } if code == visitor.status.map(u32::from));
    let by_difference = trap.is_certain && !gets_the_same;
    // If visitors get HAProxy's error page, the server hasn't seen their Host.
    let by_host = |found: &Finding| found.id == "check-without-host";
    let explains = |found: &Finding| match by_difference {
        true => visitor.by_server || !by_host(found),
        false => found.id.starts_with("expects-"),
    };
    let of_effect =
        |found: &&mut Finding| predicts(found, watch, effect, ran.outcome) && explains(found);
    let mut predicted: Vec<&mut Finding> = findings.iter_mut().filter(of_effect).collect();
    let shows = shows(ran.outcome, visitor);
    if predicted.iter().any(|found| found.mark == Mark::Problem) {
        // The rule was certain of the fault, but not of its effect.
        predicted.retain(|found| found.mark == Mark::Problem && found.sides.is_some());
        predicted
            .into_iter()
            .for_each(|found| found.confirm(effect, &shows));
        return None;
    }
    for found in &mut predicted {
        found.confirm(effect, &shows);
    }
    if !predicted.is_empty() {
        return None;
    }
    let what = match effect {
        Effect::Up => "the check is UP, but visitors fail",
        _ => "the check is DOWN, but visitors are served",
    };
    let finding = match trap.is_certain {
        true => Finding::problem(effect, what),
        false => Finding::note(
            effect,
            format!("{what}; the check's expectation may intend that"),
        ),
    };
    Some(finding.shows(shows))
}

/// Reports a failed check if doctor doesn't know what visitors send, and if no finding explains the
/// failure.
fn unknown_visitors(
    findings: &[Finding],
    visit: &Visit,
    (watch, ran): (&Watch, &Ran),
) -> Option<Finding> {
    let of_server = |code: Code| code.layer() > Layer::Connection;
    // A dead port of the check says nothing about the port of visitors.
    let is_elsewhere = !watch.connections.is_empty() && Pair::of(watch).is_none();
    let is_refused = ran
        .outcome
        .own_code()
        .is_some_and(|code| is_elsewhere || of_server(code));
    let tls = watch.traffic.tls.as_ref();
    let has_own_sni = tls.is_some_and(|tls| matches!(tls.sni, Sni::PerRequest(_)));
    let is_unknown = request(watch, visit).is_none() || has_own_sni;
    let is_open = is_unknown && !ran.outcome.is_up() && is_refused;
    let mut findings = findings.iter();
    if !is_open || findings.any(|found| predicts(found, watch, Effect::Down, ran.outcome)) {
        return None;
    }
    let what = match watch.backend.settings.http {
        true => "the check fails, but visitors send a different SNI with each request",
        false => "the check fails, but in `mode tcp` visitors send their own bytes to the server",
    };
    Some(
        Finding::note(Effect::Down, what)
            .shows(format!("{}; visitors may be served", state(ran.outcome))),
    )
}

/// Returns the server's state and what HAProxy shows about its check.
pub(crate) fn state(outcome: Outcome) -> String {
    let state = match (outcome.is_up(), outcome.status()) {
        (true, _) => "UP",
        // `http-check disable-on-404`: the server keeps its visitors, and gets no new ones.
        (false, "L7OKC") => "NOLB",
        (false, _) => "DOWN",
    };
    let code = match (outcome, outcome.code()) {
        (_, None) => String::new(),
        (Outcome::Own { .. }, Some(code)) => format!(" {code}"),
        (_, Some(code)) => format!(" and code {code}"),
    };
    format!("{state} with {}{code}", outcome.status())
}

fn shows(outcome: Outcome, visitor: &Visitor) -> String {
    format!(
        "{}, while a visitor's {} {} (seen just now)",
        state(outcome),
        visitor.request,
        visitor.gets()
    )
}
