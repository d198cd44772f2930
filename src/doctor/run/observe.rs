//! Asks HAProxy for the results of its own checks, and for the status that a visitor gets from each server
//! (`--run`). doctor starts one HAProxy, with a backend for each question.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
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
use crate::haproxy::config::route;

/// The longest time for a check or a response. It's short, because an operator waits for the report.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// What a question asks about a server.
enum About {
    Check,
    /// What a visitor gets. The fields are the number and the description of the visitor's request, and true
    /// if visitors certainly reach the server with such a request.
    Visitor(usize, String, bool),
    /// What a visitor of `/` gets, if the request with this number asks for a different page.
    Root(usize),
    /// A check that only connects to the address and port of visitors.
    Connection,
}

/// HAProxy's answers about a server.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// The result of HAProxy's own check.
    pub check: Option<Answer>,
    pub visitor: Option<Visitor>,
    /// The rules for visitors that HAProxy refused, so that doctor's visitor passed without them.
    pub left_out: BTreeSet<String>,
}

/// Asks HAProxy about these servers. Returns one answer for each server, in the same order.
///
/// # Errors
/// doctor can't ask HAProxy. The error says why.
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
            let lines = of_check(visit, watch, &lines);
            questions.push(Question::of_check((index, About::Check), lines, None));
        }
        // doctor sends an HTTP request as a visitor, so the question needs `mode http`. In `mode tcp`,
        // HAProxy would pass the same request to the server.
        lines.is_http = true;
        let requests = requests(watch, visit);
        if requests.is_empty() && only_visitors_connect(watch) {
            let lines = of_connection(&lines);
            questions.push(Question::of_check((index, About::Connection), lines, None));
        }
        let asked = requests
            .into_iter()
            .enumerate()
            .flat_map(|(number, request)| {
                let routes = &watch.backend.visitors.routes;
                let has_root = route::page(routes, request.host(), "/").uri == "/";
                let root = (request.uri != "/" && has_root).then(|| Request {
                    uri: "/".to_owned(),
                    ..request.clone()
                });
                let root = root.map(|root| (About::Root(number), root));
                let text = text_of(&request);
                let about = About::Visitor(number, text, is_usual(watch, &request));
                iter::once((about, request)).chain(root)
            });
        questions.extend(asked.map(|(about, request)| Question {
            about: (index, about),
            lines: of_visitors(&lines, watch, watch.backend.settings.http),
            is_checked: false,
            visit: Some(request),
        }));
    }
    let mut observed: Vec<Observed> = watches.iter().map(|_| Observed::default()).collect();
    let mut visitors: Vec<BTreeMap<usize, Visitor>> = vec![BTreeMap::new(); watches.len()];
    if questions.is_empty() {
        return Ok(observed);
    }
    let answers = ask(visit.haproxy, &global, questions, patience.min(LONGEST));
    for answered in answers.map_err(|error| format!("{error:#}"))? {
        let (index, about) = answered.about;
        let (Some(slot), Some(visitors), Some(watch)) = (
            observed.get_mut(index),
            visitors.get_mut(index),
            watches.get(index),
        ) else {
            continue;
        };
        // In `mode tcp`, the real HAProxy only closes the connection if the server doesn't answer. So an
        // error page of the HAProxy that doctor asks isn't a response.
        let is_http = watch.backend.settings.http;
        let visited = answered
            .visitor
            .filter(|visited| visited.by_server || is_http);
        let status = visited.map(|visited| visited.status);
        slot.left_out.extend(answered.left_out.iter().cloned());
        match (about, &answered.answer) {
            (About::Check, _) => slot.check = Some(answered.answer),
            (_, Answer::Refused(_)) => {}
            // Real visitors may be served, because of the rules that HAProxy refused here.
            _ if !proves_anything(watch, &answered.left_out, status) => {}
            (About::Connection, Answer::Checked(checked)) if !checked.up => {
                let visitor = Visitor {
                    request: format!("connection to {}", watch.traffic.endpoint),
                    connects: false,
                    is_usual: true,
                    status: None,
                    root: None,
                    by_server: false,
                    resumed: None,
                };
                visitors.insert(0, visitor);
            }
            (About::Connection, _) => {}
            (About::Visitor(number, request, is_usual), _) => {
                let visitor = Visitor {
                    request,
                    connects: true,
                    is_usual,
                    status,
                    root: None,
                    by_server: visited.is_some_and(|visited| visited.by_server),
                    resumed: None,
                };
                visitors.insert(number, visitor);
            }
            (About::Root(number), _) => {
                if let Some(visitor) = visitors.get_mut(&number) {
                    visitor.root = status;
                }
            }
        }
    }
    for (slot, visitors) in observed.iter_mut().zip(visitors) {
        let mut served = visitors.values().filter(|visitor| visitor.is_served());
        slot.visitor = served.next().or(visitors.values().next()).cloned();
    }
    Ok(observed)
}

/// Sends a visitor's request to each server, on a connection that may resume the TLS session of HAProxy's own
/// check. Returns the status that each visitor gets, or `None` if the server doesn't serve the visitor.
pub(crate) fn visit_after_check(visit: &Visit, watches: &[&Watch]) -> Vec<Option<u16>> {
    let mut statuses = vec![None; watches.len()];
    // Each thread of HAProxy has its own TLS sessions. So the check and the visitor must use the same thread.
    let mut global = "    nbthread 1\n".to_owned();
    let lines = watches.iter().map(|watch| by_hand::lines(visit, watch));
    let lines: Vec<ServerLines> = lines.collect();
    global += &lines
        .first()
        .map(ServerLines::global_text)
        .unwrap_or_default();
    let question = |(index, (watch, lines)): (usize, (&&Watch, &ServerLines))| {
        let request = requests(watch, visit).into_iter().next();
        Question::of_check(index, with_sessions(lines), request)
    };
    let questions = watches.iter().zip(&lines).enumerate().map(question);
    let answers = ask(visit.haproxy, &global, questions.collect(), LONGEST);
    for answered in answers.unwrap_or_default() {
        let status = answered.visitor.map(|visitor| visitor.status);
        if let Some(slot) = statuses.get_mut(answered.about) {
            *slot = status.filter(|status| (200..400).contains(status));
        }
    }
    statuses
}

/// Returns true if HAProxy's own check connects to the server. This is also the case if the check should ask
/// `sni-check serve`, but haproxy.cfg doesn't contain the address of serve.
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

/// Returns the text of a backend with this server's check, without the rules for visitors.
pub(crate) fn of_check(visit: &Visit, watch: &Watch, lines: &ServerLines) -> String {
    let waits = waits(visit, watch);
    let is_timeout = |rule: &Rule| rule.words.iter().take(2).eq(["timeout", "check"]);
    let rules = lines.rules.iter().map(|rule| match &waits {
        Some(waits) if is_timeout(rule) => waits,
        _ => rule,
    });
    let rules = rules.filter(|rule| !rule.is_of_visitors());
    checked(lines, rules.collect(), "no-ssl-reuse")
}

/// Returns the text of a backend with this server's check and all rules for visitors. Visitors' connections
/// may resume the TLS session of the check.
fn with_sessions(lines: &ServerLines) -> String {
    let rules = lines.of_frontend.iter().chain(&lines.rules);
    checked(lines, rules.collect(), "ssl-reuse")
}

/// Returns the text of a backend with these rules, and with the server and its check. `word` is the first
/// option on the server line.
fn checked(lines: &ServerLines, rules: Vec<&Rule>, word: &str) -> String {
    let words = lines.words.iter();
    let words = words.map(|(word, value)| (word.as_str(), value.as_str()));
    // Without `timeout check`, `inter` limits the check. If the server's words contain `inter`, HAProxy uses
    // that value, because it comes later.
    let inter = format!("{}us", INTER.as_micros());
    let before = [(word, ""), ("check", ""), ("inter", inter.as_str())];
    lines.backend(rules.into_iter(), before.into_iter().chain(words))
}

/// Returns a longer `timeout check` for HAProxy before 3.2, if `timeout check` is shorter than the time limit
/// for connecting. This HAProxy looks at `timeout check` only after the limit for connecting. It looks
/// earlier if the connection succeeds at once, as it sometimes does on loopback. With the configured time,
/// the same check would therefore be UP or DOWN by chance.
fn waits(visit: &Visit, watch: &Watch) -> Option<Rule> {
    let set = &watch.describes.settings;
    let check = set.timeout_check.as_ref()?;
    let inter = watch.server.settings.inter();
    let inter = inter.map_or(INTER, |inter| inter.value);
    let connect = set.timeout_connect.as_ref();
    let connect = connect.map_or(inter, |connect| connect.value.min(inter));
    let is_late = connect > check.value && !visit.haproxy.at_least(3, 2);
    let time = format!("{}us", connect.as_micros());
    is_late.then(|| Rule {
        place: Some(check.place.clone()),
        words: vec!["timeout".to_owned(), "check".to_owned(), time],
    })
}

/// Returns the text of a backend for a visitor's request, without the check. The text contains the rules that
/// change requests only if `with_rules` is true.
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
    // HAProxy evaluates the frontend's rules about responses last.
    let (of_responses, of_frontend): (Vec<&Rule>, Vec<&Rule>) = of_frontend.partition(|rule| {
        rule.words
            .first()
            .is_some_and(|word| word == "http-response")
    });
    let rules = lines.rules.iter().filter(|rule| match with_rules {
        true => !rule.is_of_check(),
        false => !rule.is_of_check() && !rule.is_of_visitors(),
    });
    let rules = of_frontend.into_iter().chain(rules).chain(of_responses);
    format!("    retries 0\n{}", lines.backend(rules, words))
}

/// Returns true if doctor's visitor shows what real visitors get, although HAProxy left out these rules.
fn proves_anything(watch: &Watch, left_out: &[String], status: Option<u16>) -> bool {
    let answers = |rule: &String| {
        let mut actions = ["deny", "return", "reject", "silent-drop"].iter();
        rule.starts_with("http-response") || actions.any(|action| rule.contains(action))
    };
    let is_served = matches!(status, Some(200..=399));
    left_out.is_empty() || (is_served && !needs_rules(watch) && !left_out.iter().any(answers))
}

/// Returns true if only the backend's rules can give the visitor's request the right Host.
fn needs_rules(watch: &Watch) -> bool {
    watch.backend.settings.host.is_computed() && watch.backend.knows_arriving_host()
}

/// Returns true if doctor knows where visitors connect, but knows no connection of the check to the same
/// address and port.
fn only_visitors_connect(watch: &Watch) -> bool {
    let backend = watch.backend;
    let is_stream = match &watch.traffic.endpoint {
        Endpoint::Tcp(_, port) => *port != 0,
        Endpoint::Unix(_) => true,
        Endpoint::Other(_) => false,
    };
    let has_visitors = backend.visitors.lost.is_none() && !backend.settings.logs;
    is_stream && has_visitors && Pair::of(watch).is_none()
}

/// Returns the text of a backend whose check only connects, in the same way as visitors' connections.
fn of_connection(lines: &ServerLines) -> String {
    let of_both = |rule: &&Rule| !rule.is_of_check() && !rule.is_of_visitors();
    let words = lines.words.iter();
    let words = words.filter_map(|(word, value)| match word.as_str() {
        "namespace" | "source" => Some(vec![(word.as_str(), value.as_str())]),
        "socks4" => Some(vec![("socks4", value.as_str()), ("check-via-socks4", "")]),
        _ => None,
    });
    // HAProxy applies `timeout connect` to a check only if `timeout check` is set. `inter` is longer than
    // doctor waits, so it has no effect.
    let inter = format!("{}s", 2 * LONGEST.as_secs());
    let check = [("check", ""), ("inter", inter.as_str())];
    let limit = "    timeout check 1s\n";
    limit.to_owned()
        + &lines.backend(
            lines.rules.iter().filter(of_both),
            check.into_iter().chain(words.flatten()),
        )
}

/// Returns the requests that visitors may send, the most likely first. These requests ask for the page of the
/// check, or for `/`. Returns no request in these cases:
///
/// - No visitor reaches the backend, or visitors don't speak HTTP to the server.
/// - doctor can't know which SNI visitors' connections send, or which port they use.
/// - The check's method may change something on the server.
pub(crate) fn requests(watch: &Watch, visit: &Visit) -> Vec<Request> {
    let is_known = names::is_known(visit, watch) && watch.backend.visitors.lost.is_none();
    // If the server line has no port, HAProxy uses the port of the visitor's connection.
    let has_port = !matches!(watch.server.endpoint, Endpoint::Tcp(_, 0));
    let (method, uri) = page(watch);
    let is_harmless = ["GET", "HEAD", "OPTIONS"].contains(&method.as_str());
    if !speaks_http(watch) || !is_known || !has_port || !is_harmless {
        return Vec::new();
    }
    let mut hosts = hosts(watch);
    if hosts.is_empty() {
        hosts.extend(any_host(watch));
    }
    let routes = &watch.backend.visitors.routes;
    let request = |host: String| {
        let uri = route::page(routes, &host, &uri).uri;
        // Some servers refuse requests without the fields that every browser sends.
        let headers = [
            ("Host", host.as_str()),
            ("User-Agent", BROWSER),
            ("Accept", PAGES),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Request {
            method: "GET".to_owned(),
            // A browser never sends a space.
            uri: uri.replace(' ', "%20"),
            headers: headers.to_vec(),
        }
    };
    hosts.into_iter().map(request).collect()
}

/// Returns a Host for visitors' requests if the configuration names no site: the server's address, or
/// `localhost` for a unix socket. Returns `None` if the server or HAProxy may need the right Host.
fn any_host(watch: &Watch) -> Option<String> {
    let traffic = watch.traffic.tls.as_ref().map(|tls| &tls.sni);
    // `hosts` found no name, so only HAProxy can evaluate the Host of the check.
    let is_evaluated = watch.describes.settings.rules.host().is_some();
    if matches!(traffic, Some(Sni::PerRequest(_))) || is_evaluated {
        return None;
    }
    Some(match watch.server.endpoint.words().0 {
        address if address.contains(':') => format!("[{address}]"),
        path if path.contains('/') => "localhost".to_owned(),
        address => address,
    })
}

/// Returns true if visitors speak HTTP to the server: in `mode http`, and in `mode tcp` if their bytes arrive
/// without TLS and the check of the same address and port sends an HTTP request.
fn speaks_http(watch: &Watch) -> bool {
    let by_check = || asks(watch) && Pair::of(watch).is_some();
    watch.backend.settings.http || (watch.backend.gets_plain_bytes() && by_check())
}

/// Returns true if the check sends an HTTP request.
pub(crate) fn asks(watch: &Watch) -> bool {
    match &watch.check {
        Check::Own(own) => own.protocol.sends_request(),
        _ => watch
            .own
            .as_ref()
            .is_some_and(|own| !own.options.handshake_only),
    }
}

/// Returns true if the check requests its page with GET or HEAD, as visitors do.
pub(crate) fn gets_page(watch: &Watch) -> bool {
    asks(watch) && ["GET", "HEAD"].contains(&page(watch).0.as_str())
}

/// Returns the method and the page of the check, or GET and `/` if doctor doesn't know them. Browsers send no
/// fragment, and their path begins with a slash. They never ask for `*`.
fn page(watch: &Watch) -> (String, String) {
    let (method, uri) = match (&watch.check, &watch.own) {
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
    };
    let uri = uri.split('#').next().unwrap_or_default();
    let uri = if uri.starts_with('/') { uri } else { "/" };
    (method, uri.to_owned())
}

/// Returns true if visitors certainly reach the server with this request for the page of the check.
fn is_usual(watch: &Watch, request: &Request) -> bool {
    let (_, uri) = page(watch);
    route::page(&watch.backend.visitors.routes, request.host(), &uri).is_wanted
}

/// Returns the Host headers that visitors may send, the most likely first:
///
/// - one of the names that the frontends route to this backend, if they route only some names here,
/// - otherwise the Host that a rule gives to every request, unless traffic's SNI comes from visitors' TLS,
/// - otherwise the name of a site in traffic's SNI, and the Host of the check if it is the name of a site,
/// - otherwise the Host of the check, or else its SNI name, or else the name in traffic's SNI. The check may
///   be wrong, so this is only a guess.
fn hosts(watch: &Watch) -> Vec<String> {
    let visitors = &watch.backend.visitors;
    let traffic = watch.traffic.tls.as_ref().map(|tls| &tls.sni);
    let meant = |sni: &Sni| match sni {
        Sni::Name(name) => Some(names::meant(name).to_owned()),
        _ => None,
    };
    let of_traffic = traffic.and_then(meant);
    let mut connections = watch.connections.iter();
    let sni = connections.find_map(|connection| meant(&connection.tls.as_ref()?.sni));
    // If traffic sends the Host as SNI, the Host must be the name of a site. It must also be the check's SNI
    // name, if the check sends SNI.
    let is_of_visitors = |host: &String| {
        !traffic.is_some_and(Sni::is_host)
            || (names::is_site(host)
                && names::name_of_check(watch)
                    .is_none_or(|name| bare(name).eq_ignore_ascii_case(host)))
    };
    // With `track`, the check of another address in another backend may be about another site.
    let tracked = watch.tracked();
    let tracked = tracked
        .as_deref()
        .and_then(|tracked| tracked.split('/').next());
    let is_of_site =
        tracked.is_none_or(|backend| backend == watch.backend.name) || Pair::of(watch).is_some();
    let sni = sni.filter(|name| is_of_site && visitors.may_have(name));
    let own = host_of_check(watch).filter(|host| is_of_site && visitors.may_have(host));
    let own = own.filter(is_of_visitors);
    if let Some(first) = visitors.names.first() {
        let likely = [&own, &sni, &of_traffic].into_iter().flatten().next();
        let is_likely = |name: &&String| likely.is_some_and(|host| name.eq_ignore_ascii_case(host));
        let name = visitors.names.iter().find(is_likely);
        return vec![name.unwrap_or(first).clone()];
    }
    let is_of_tls = traffic.is_some_and(Sni::is_of_visitors_tls);
    let given = watch.backend.given_host().or(visitors.host.as_ref());
    if let Some(given) = given.filter(|_| !is_of_tls) {
        return vec![given.value.clone()];
    }
    let Some(fixed) = of_traffic.filter(|name| names::is_site(name)) else {
        return own
            .or(sni)
            .or(traffic.and_then(meant))
            .into_iter()
            .collect();
    };
    let own = own.filter(|host| names::is_site(host) && !host.eq_ignore_ascii_case(&fixed));
    match own {
        // The operator wrote traffic's SNI name and a different Host into the check, so this Host is most
        // likely the site's name.
        Some(own) if sni.as_ref() == Some(&fixed) => vec![own, fixed],
        own => iter::once(fixed).chain(own).collect(),
    }
}

/// Returns true if lines other than the check's lines say which Host visitors send.
pub(crate) fn knows_host(watch: &Watch) -> bool {
    let backend = watch.backend;
    let is_named = backend.only_host().is_some() || backend.knows_arriving_host();
    (is_named && !backend.hides_host()) || names::name_of_traffic(watch).is_some_and(names::is_site)
}

/// Returns true if the configuration says which Host visitors send, or if a check of the same address and
/// port names a site. The Host of a check that connects to another port may be the name of another service.
pub(crate) fn has_host(watch: &Watch) -> bool {
    let hosts = hosts(watch);
    let is_of_check = || hosts.iter().any(|host| names::is_site(host));
    let is_of_pair = || Pair::of(watch).is_some() && is_of_check();
    knows_host(watch) || (!watch.backend.hides_host() && is_of_pair())
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
