//! Asks HAProxy for the results of its own checks, and for the status that a visitor gets from each server
//! (`--run`). doctor starts one HAProxy, with a backend for each question.

use std::time::Duration;

use ureq::http::header;

use super::outcome::Visitor;
use crate::causes::facts::header_value;
use crate::doctor::by_hand;
use crate::doctor::rules::difference::Pair;
use crate::doctor::rules::names::{self, bare};
use crate::doctor::visit::own_check;
use crate::doctor::visit::{Visit, Watch};
use crate::haproxy::ask::{Answer, BROWSER, PAGES, Question, Visit as Request, ask};
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::backend_lines::{Rule, ServerLines};
use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::Sni;
use crate::haproxy::config::external::INTER;

/// The longest time for a check or a response. It's short, because an operator waits for the report.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// What a question asks about a server.
enum About {
    Check,
    /// What a visitor gets. The text describes the request.
    Visitor(String),
    /// What a visitor of `/` gets, if the check asks for a different page.
    Root,
}

/// What HAProxy says about a server.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// The result of HAProxy's own check.
    pub check: Option<Answer>,
    pub visitor: Option<Visitor>,
}

/// Asks HAProxy about these servers. Returns one answer for each server, in the same order.
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
        let limits = limits.chain([own_check::limit(watch.describes, watch.server)]);
        patience = limits.fold(patience, Duration::max);
        // A server that follows another server (`track`) has no check.
        if is_own(watch) && watch.tracked().is_none() {
            questions.push(Question {
                about: (index, About::Check),
                lines: of_check(visit, watch, &lines),
                fallback: String::new(),
                is_checked: true,
                visit: None,
            });
        }
        // In `mode tcp`, HAProxy passes a visitor's HTTP request through, so the server gets the same
        // request.
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

/// Returns the text of a backend with this server's check.
pub(crate) fn of_check(visit: &Visit, watch: &Watch, lines: &ServerLines) -> String {
    let words = lines.words.iter();
    let words = words.map(|(word, value)| (word.as_str(), value.as_str()));
    let waits = waits(visit, watch);
    let is_timeout = |rule: &Rule| rule.words.iter().take(2).eq(["timeout", "check"]);
    let rules = lines.rules.iter().map(|rule| match &waits {
        Some(waits) if is_timeout(rule) => waits,
        _ => rule,
    });
    let rules = rules.filter(|rule| !rule.is_of_visitors());
    // `inter` limits the check. An `inter` in the server's words comes later and replaces this one.
    let inter = format!("{}us", INTER.as_micros());
    let before = [("check", ""), ("inter", inter.as_str())];
    lines.backend(rules, before.into_iter().chain(words))
}

/// Returns `timeout check` as HAProxy before 3.2 obeys it. Such a HAProxy looks at this limit only when the
/// limit of the connection is over. It looks earlier if the connection succeeds at once, as it sometimes does
/// on loopback, so the same check is now UP and now DOWN. The result must not depend on this chance.
fn waits(visit: &Visit, watch: &Watch) -> Option<Rule> {
    let set = &watch.describes.settings;
    let check = set.timeout_check.as_ref()?;
    let inter = watch.server.settings.inter();
    let inter = inter.map_or(INTER, |inter| inter.value);
    let connect = set.timeout_connect.as_ref();
    let connect = connect.map_or(inter, |connect| connect.value.min(inter));
    let is_late = connect > check.value && !visit.haproxy.at_least(3, 2);
    let words = || {
        [
            "timeout".to_owned(),
            "check".to_owned(),
            format!("{}us", connect.as_micros()),
        ]
    };
    is_late.then(|| Rule {
        place: Some(check.place.clone()),
        words: words().to_vec(),
    })
}

/// Returns the text of a backend for a visitor's request, without the check. `with_rules` keeps the rules
/// that change requests.
fn of_visitors(lines: &ServerLines, watch: &Watch, with_rules: bool) -> String {
    let sni = watch.traffic.tls.as_ref().and_then(|tls| match &tls.sni {
        Sni::Name(name) => Some(format!("str({name})")),
        // No server knows the value of this expression as its name, so any address gives the same result.
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
    let of_frontend = lines.of_frontend.iter().filter(|_| with_rules);
    let rules = lines.rules.iter().filter(|rule| match with_rules {
        true => !rule.is_of_check(),
        false => !rule.is_of_check() && !rule.is_of_visitors(),
    });
    let rules = of_frontend.chain(rules);
    format!("    retries 0\n{}", lines.backend(rules, words))
}

/// Returns the request of a visitor: the page of the check, or `/`. Returns `None` if doctor can't know what
/// visitors send, or if the check's method may change something at the server.
pub(crate) fn request(watch: &Watch, visit: &Visit) -> Option<Request> {
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
        // Traffic's SNI depends on the Host, which doctor doesn't know.
        (None, Some(Sni::PerRequest(_))) => return None,
        // HAProxy evaluates the check's Host when it sends the check, so doctor doesn't know this Host.
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
        ("User-Agent", BROWSER),
        ("Accept", PAGES),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Browsers send no fragment, and ask for no page that begins without a slash, such as `*`.
    let uri = uri.split('#').next().unwrap_or_default();
    let uri = if uri.starts_with('/') { uri } else { "/" };
    is_harmless.then(|| Request {
        method: "GET".to_owned(),
        // A browser never sends a space.
        uri: uri.replace(' ', "%20"),
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
pub(crate) fn asks(watch: &Watch) -> bool {
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

/// Returns the Host of visitors: a name for which the frontends lead here, or else the name in the check's request,
/// or else the name that the check or traffic sends in its SNI.
pub(crate) fn host(watch: &Watch) -> Option<String> {
    let visitors = &watch.backend.visitors.names;
    let of_check = host_of_check(watch);
    let sends_host = watch
        .traffic
        .tls
        .as_ref()
        .is_some_and(|tls| tls.sni.is_host());
    let is_of_visitors = |host: &String| match sends_host {
        // Traffic sends this Host as SNI, so it must be a site's name, and the SNI name of the check if the
        // check sends one.
        true => {
            names::is_site(host)
                && names::name_of_check(watch)
                    .is_none_or(|name| bare(name).eq_ignore_ascii_case(host))
        }
        false => true,
    };
    let connections = watch.connections.iter().chain([&watch.traffic]);
    let mut sent = connections.filter_map(|connection| match &connection.tls.as_ref()?.sni {
        Sni::Name(name) => Some(names::meant(name).to_owned()),
        _ => None,
    });
    let host = of_check.filter(is_of_visitors).or_else(|| sent.next());
    match host {
        Some(host) if visitors.iter().any(|name| name.eq_ignore_ascii_case(&host)) => Some(host),
        host => visitors.first().cloned().or(host),
    }
}

/// Returns true if the configuration says which Host visitors send. The Host of a check that connects to another port
/// may be the name of another service.
pub(crate) fn has_host(watch: &Watch) -> bool {
    let Some(host) = host(watch) else {
        return false;
    };
    let is_named = watch.backend.only_host().is_some() || !watch.backend.visitors.names.is_empty();
    let sent = names::name_of_traffic(watch);
    is_named || sent.is_some() || (Pair::of(watch).is_some() && names::is_site(&host))
}

/// Returns the Host of the check's request, without its port. Browsers send no port with HTTPS.
fn host_of_check(watch: &Watch) -> Option<String> {
    let of_own = watch.describes.settings.rules.host();
    let given = watch
        .own
        .as_ref()
        .filter(|accepted| accepted.options.has_header("Host"));
    let of_options = given.and_then(|accepted| header_value(&accepted.plan, &header::HOST));
    let of_config =
        of_own.filter(|host| !host.contains('%') && matches!(watch.check, Check::Own(_)));
    let host = of_config.or(of_options.map(str::to_owned))?;
    match host.contains('(') || names::is_literal(&host) {
        true => Some(host),
        false => Some(bare(&host).to_owned()),
    }
}
