//! Rules about the request of a check: its first line and its headers, in particular Host.

use ureq::http::header;

use crate::causes::facts::header_value;
use crate::haproxy::config::check::{Check, Protocol};
use crate::haproxy::config::connection::Sni;
use crate::haproxy::config::http_check::Request;
use crate::haproxy::config::place::At;
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::written::Written;

use super::dialogue::accepts;
use crate::serve::request::OPTIONS;

use super::difference::Pair;
use super::names::{
    IN_DOUBLE_QUOTES, bare, expanded, is_literal, meant, misspelt, name_of_check, name_of_traffic,
};
use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::own_check;
use crate::doctor::visit::{Visit, Watch};

/// What HAProxy shows if the server refuses the check's Host, or a request without Host.
const OF_HOST: &[&str] = &["L7STS 400", "L7STS 403", "L7STS 404", "L7STS 421"];

/// Finds HAProxy's own check without a Host header, a tcp-check that sends an HTTP request without Host, and
/// a check by sni-check that sends an address as Host. A server with several sites needs the name to choose a
/// site.
pub(crate) fn without_host(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let names = [pair.traffic, pair.check].map(|connection| match &connection.tls.as_ref()?.sni {
        Sni::Name(name) if misspelt(name).is_none() => Some(name.as_str()),
        _ => None,
    });
    let of_visitors = watch.backend.only_host();
    let visitors = &watch.backend.visitors;
    let mut names = names.into_iter().flatten();
    let name = of_visitors.or_else(|| names.find(|name| visitors.may_have(name)));
    let asked = watch.backend.names().first();
    let name = name.or(asked.map(String::as_str)).unwrap_or("NAME");
    let own = match &watch.check {
        Check::Own(own) => own,
        _ => return without_name(watch, name),
    };
    if own.protocol == Protocol::Dialogue {
        return in_dialogue(watch, name);
    }
    let Protocol::Http {
        sends_request: true,
        has_host: false,
    } = own.protocol
    else {
        return None;
    };
    let rules = &watch.backend.settings.rules;
    let sent = rules.sent();
    if malformed(&sent).is_some() {
        return None;
    }
    // HTTP/1.1 requires a Host. In `mode http`, or with TLS, visitors' requests have a Host, and the server
    // may have several sites.
    let has_sites = pair.tls().is_some() || watch.backend.settings.http;
    let shows = match (has_sites, sent.is_1_1()) {
        (_, true) => "L7STS 400 (DOWN) where the server requires a Host header, as HTTP/1.1 does",
        (true, false) => {
            "L7STS 400, 403, 404 or 421 (DOWN), or UP with another site's page, where the server chooses the site \
             by its Host"
        }
        (false, false) => return None,
    };
    // A bare `option httpchk` in the backend replaces the request of its defaults.
    let is_bare = rules.http.all("send").next().is_none() && sent.uri.is_none();
    let before = rules.replaced.as_ref().filter(|_| is_bare);
    let before = before.map(|before| before.sent());
    let mut right = before.filter(|before| !asks_serve(before)).unwrap_or(sent);
    right.version = Some("HTTP/1.1".to_owned());
    if right.host().is_none() {
        right.set_header("Host", name);
    }
    let what = "HAProxy's own check sends no Host header, but visitors' requests have one";
    Some(
        Finding::note(Effect::Either, what)
            .at(Check::option(watch.backend).unwrap_or(&watch.server.place))
            .shows(shows)
            .foretells(OF_HOST)
            .write(own_check::sending(watch.backend, &right))
            .request(right),
    )
}

/// Finds a tcp-check that sends an HTTP request without Host.
fn in_dialogue(watch: &Watch, name: &str) -> Option<Finding> {
    let lines = watch.backend.settings.rules.tcp.dialogue();
    let is_send = |line: &&&At<Vec<String>>| {
        line.value
            .get(1)
            .is_some_and(|word| word.starts_with("send"))
    };
    let lines: Vec<&At<Vec<String>>> = lines.collect();
    let sent: Vec<&At<Vec<String>>> = lines.iter().take_while(is_send).copied().collect();
    let texts = sent.iter().filter_map(|line| line.value.get(2));
    let text: String = texts.map(String::as_str).collect();
    let (first, fields) = text.split_once('\n')?;
    let is_http = ["GET /", "HEAD /", "OPTIONS /"]
        .iter()
        .any(|begin| first.starts_with(begin))
        && first.contains(" HTTP/1.");
    let has_host = fields
        .to_ascii_lowercase()
        .lines()
        .any(|field| field.starts_with("host:"));
    // With HTTP/1.0, only a server with several sites needs a Host, and doctor knows no name of a site here.
    let is_free = first.contains("HTTP/1.0") && name == "NAME";
    if !is_http || has_host || is_free {
        return None;
    }
    let what = "the tcp-check sends an HTTP request without Host, but visitors' requests have one";
    Some(
        Finding::note(Effect::Either, what)
            .at(&sent.first()?.place)
            .about([watch.backend.name.clone()])
            .shows(
                "L7STS, L7RSP or L7TOUT (DOWN), or UP with another site's page, where the server chooses the site by \
                 its Host",
            )
            .foretells(&["L7STS", "L7RSP", "L7TOUT"])
            .write(format!(
                "add Host:\\ {name}\\r\\n after the first line of that request; or use option httpchk in place of \
                 option tcp-check"
            )),
    )
}

/// Finds a check by sni-check with `--no-sni` and without a Host option. Such a check sends an address as
/// Host.
fn without_name(watch: &Watch, name: &str) -> Option<Finding> {
    let accepted = watch.own.as_ref()?;
    let options = &accepted.options;
    if !options.no_sni || options.has_header("Host") || options.handshake_only {
        return None;
    }
    let host = header_value(&accepted.plan, &header::HOST).filter(|host| *host != name)?;
    let what = format!(
        "with --no-sni the check sends Host {host}, but visitors' requests have the name of the site"
    );
    Some(
        Finding::note(Effect::Either, what)
            .at(watch.options_place())
            .shows(
                "code 71 (DOWN), or UP with another site's page, where the server chooses the site by its Host",
            )
            .foretells(&["71"])
            .write(format!("--header 'Host: {name}' in {}", watch.carrier()?)),
    )
}

/// Returns true if this request is for `sni-check serve`.
fn asks_serve(request: &Request) -> bool {
    let mut headers = request.headers.iter();
    headers.any(|(name, _)| name.eq_ignore_ascii_case(OPTIONS))
}

/// Finds a backend that no visitor reaches, because a frontend changes the Host before it chooses the backend
/// by the Host.
pub(crate) fn lost(_: &Visit, backend: &Backend) -> Vec<Finding> {
    let finding = backend.visitors.lost.as_ref().map(|given| {
        let what = format!(
            "no visitor reaches this backend: the frontend changes the Host to {} before use_backend looks at it",
            given.value
        );
        Finding::note(Effect::Up, what)
            .at(&given.place)
            .about([backend.name.clone()])
            .shows("503 for visitors, or a page of another backend, even while the check is UP")
            .write("move http-request set-header Host to the backend; or choose the backend by ssl_fc_sni")
    });
    finding.into_iter().collect()
}

/// Finds a request that isn't valid HTTP, a method in lowercase letters, and `OPTIONS *`. Many servers refuse
/// such requests.
pub(crate) fn request(_: &Visit, watch: &Watch) -> Option<Finding> {
    if let Some(accepted) = &watch.own {
        return lowercase_method(watch, accepted.plan.request.method.as_str());
    }
    let Check::Own(own) = &watch.check else {
        return None;
    };
    let rules = &watch.backend.settings.rules;
    let sent = rules.sent();
    if !own.protocol.sends_request() || accepts(watch, 400) {
        return None;
    }
    let Some(fault) = malformed(&sent) else {
        return whole_server(watch, &sent);
    };
    let line = rules.http.all("send").last().map(|line| &line.place);
    let place = line.or(Check::option(watch.backend));
    Some(
        Finding::problem(Effect::Down, fault.what)
            .at(place.unwrap_or(&watch.server.place))
            .about([watch.backend.name.clone()])
            .shows("L7STS 400 (DOWN), because the request is not valid HTTP")
            .write(match own_check::written(watch.backend).is_empty() {
                true => fault.write,
                // The fault may be in the value of a variable.
                false => own_check::sending(watch.backend, &fault.right),
            })
            .request(fault.right),
    )
}

/// Finds a check with `OPTIONS *`. This request is valid HTTP, but it names no page, and some servers refuse
/// it.
fn whole_server(watch: &Watch, sent: &Request) -> Option<Finding> {
    let place = Check::option(watch.backend).filter(|_| sent.asks_whole_server())?;
    let mut right = sent.clone();
    right.set_get();
    let what = "the check sends `OPTIONS *`, which nginx and some other servers refuse";
    Some(
        Finding::note(Effect::Down, what)
            .at(place)
            .about([watch.backend.name.clone()])
            .shows("L7STS 400 or 405 (DOWN) where the server refuses this request, while visitors are served")
            .foretells(&["L7STS 400", "L7STS 405"])
            .write(own_check::sending(watch.backend, &right))
            .request(right),
    )
}

/// Finds a check by sni-check whose method has lowercase letters.
fn lowercase_method(watch: &Watch, method: &str) -> Option<Finding> {
    let upper = method.to_ascii_uppercase();
    if upper == method || [400, 405, 501].iter().any(|status| accepts(watch, *status)) {
        return None;
    }
    let what = format!(
        "the check's request has the method `{method}`, but HTTP methods are in capital letters"
    );
    Some(
        Finding::problem(Effect::Down, what)
            .at(watch.options_place())
            .shows("code 71 (DOWN), because the server knows no such method")
            .write(format!("--method {upper} in {}", watch.carrier()?)),
    )
}

/// What is wrong with a request that isn't valid HTTP.
struct Fault {
    what: String,
    /// What to write in place of the fault.
    write: String,
    /// The request without this fault.
    right: Request,
}

/// Returns what is wrong with a request that isn't valid HTTP. Returns `None` for a valid request.
fn malformed(request: &Request) -> Option<Fault> {
    let method = request.method.as_deref().unwrap_or("OPTIONS");
    let uri = request.uri.as_deref().unwrap_or("/");
    let is_upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_page = |text: &str| text.starts_with(['/', '*', '%']) || text.contains("://");
    let mut right = request.clone();
    let (what, write) = if is_page(method) {
        (right.method, right.uri) = (Some("GET".to_owned()), Some(method.to_owned()));
        let version = uri.starts_with("HTTP/").then(|| uri.to_owned());
        right.version = version.or(right.version);
        (
            format!(
                "the check's request has the method `{method}`, because `option httpchk` expects the method first"
            ),
            match uri.starts_with("HTTP/") {
                true => format!("option httpchk GET {method} {uri}"),
                false => format!("option httpchk GET {method}"),
            },
        )
    } else if request.asks_whole_server() && !method.eq_ignore_ascii_case("OPTIONS") {
        right.uri = Some("/".to_owned());
        (
            format!("the check sends `{method} *`, but only OPTIONS may ask for `*`"),
            "/ in place of *".to_owned(),
        )
    } else if !is_page(uri) && is_upper(uri) {
        (right.method, right.uri) = (Some(uri.to_owned()), Some("/".to_owned()));
        (
            format!(
                "the check asks for the page `{uri}`, because `option httpchk` reads a single word as the page"
            ),
            format!("option httpchk {uri} /"),
        )
    } else if !is_page(uri) {
        right.uri = Some(format!("/{uri}"));
        (
            format!("the check asks for the page `{uri}`, which doesn't begin with /"),
            format!("/{uri} in place of {uri}"),
        )
    } else if uri.contains([' ', '\t']) {
        let right_uri = uri.replace([' ', '\t'], "%20");
        right.uri = Some(right_uri.clone());
        (
            format!("the check asks for the page `{uri}`, but a space ends the URI of a request"),
            format!("{right_uri} in place of {uri}"),
        )
    } else if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let upper = method.to_ascii_uppercase();
        right.method = Some(upper.clone());
        (
            format!(
                "the check's request has the method `{method}`, but HTTP methods are in capital letters"
            ),
            format!("{upper} in place of {method}"),
        )
    } else if let Some(version) = &request.version
        && (!version.starts_with("HTTP/") || version.contains(['\\', ' ']))
    {
        right.version = Some("HTTP/1.1".to_owned());
        right.read_fields(version.split("\\r\\n").skip(1));
        let (why, write) = match version.contains("\\r\\n") {
            true => (
                ", because HAProxy reads \\r\\n as a line break only outside of single quotes",
                format!("option httpchk, and {}", right.line(&Written::default())),
            ),
            false => (", which is not an HTTP version", "ver HTTP/1.1".to_owned()),
        };
        (
            format!("the check's request has the version `{version}`{why}"),
            write,
        )
    } else {
        let mut headers = request.headers.iter();
        let (name, value) = headers.find(|(name, _)| name.ends_with(':'))?;
        let bare = name.trim_end_matches(':');
        right.headers.retain(|(known, _)| known != name);
        right.set_header(bare, value);
        (
            format!("the check's request has a header `{name}:`, because HAProxy adds the colon"),
            format!("hdr {bare} {value}"),
        )
    };
    Some(Fault { what, write, right })
}

/// Returns the Host of a check's request, and the advice to change it. In the advice, `{NAME}` stands for the
/// right name.
fn host_of(watch: &Watch) -> Option<(String, String)> {
    match (&watch.check, &watch.own, watch.carrier()) {
        (Check::Own(own), ..) if own.protocol.sends_request() => {
            let host = watch.backend.settings.rules.host()?;
            Some((host, "hdr Host {NAME} in http-check send".to_owned()))
        }
        (_, Some(accepted), Some(carrier)) => {
            let host = header_value(&accepted.plan, &header::HOST)?;
            let write = format!("--header 'Host: {{NAME}}' in {carrier}");
            Some((host.to_owned(), write))
        }
        _ => None,
    }
}

/// Returns the name of the server or of the backend, if the check's Host is the expression for this name.
fn label<'a>(watch: &'a Watch, host: &str) -> Option<&'a str> {
    match host {
        "%[srv_name]" => Some(&watch.server.name),
        "%[be_name]" => Some(&watch.backend.name),
        _ => None,
    }
}

/// Finds a Host that visitors' requests don't have:
///
/// - an expression, a variable, a URL, or the name of a server or backend, in place of a site's name,
/// - a name that the backend replaces for visitors, or
/// - a name that no frontend routes to the backend.
pub(crate) fn other_host(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let (sent, write) = host_of(watch)?;
    let label = label(watch, &sent);
    let host = label.map_or_else(|| sent.clone(), str::to_owned);
    let given = watch.backend.given_host();
    let names = watch.backend.names();
    let in_quotes = format!("\"{host}\"");
    let has_variables = expanded(visit, &host).is_some();
    let url = host
        .split_once("://")
        .map(|(_, rest)| rest.trim_end_matches('/'));
    let (what, name) = match (given, url) {
        // HAProxy evaluates a log-format when it sends the request.
        _ if host.contains('%') => return None,
        (Some(given), _) if given.value.eq_ignore_ascii_case(&host) => return None,
        (Some(given), _) => (
            format!(
                "the check sends Host {host}, but `http-request set-header` sets Host {0} in visitors' requests",
                given.value
            ),
            given.value.as_str(),
        ),
        (None, _) if is_literal(&host) => (
            format!("the check sends the Host `{host}` literally: {IN_DOUBLE_QUOTES}"),
            match name_of_traffic(watch) {
                Some(name) if !has_variables => name,
                _ => in_quotes.as_str(),
            },
        ),
        (None, Some(name)) => (
            format!("the check sends the Host `{host}`, which is a URL"),
            name,
        ),
        (None, None) if host.contains('(') => (
            format!(
                "the check sends the Host `{host}` literally: HAProxy expects a name here, not an expression"
            ),
            meant(&host),
        ),
        (None, None) if names.is_empty() && label.is_some() && !host.contains('.') => (
            format!(
                "the check sends Host {host} (`{sent}`), which is a name in haproxy.cfg, not the name of a site"
            ),
            name_of_traffic(watch)
                .or(name_of_check(watch))
                .unwrap_or("NAME"),
        ),
        (None, None) => {
            let name = names.first()?;
            if names.iter().any(|name| name.eq_ignore_ascii_case(&host)) {
                return None;
            }
            let what = format!(
                "the check sends Host {host}, but visitors reach this backend only with Host {}",
                names.join(" or ")
            );
            (what, name.as_str())
        }
    };
    let write = write.replace("{NAME}", name);
    // Only the operator knows which of the two names is the site's name.
    let write = match given {
        None if name == in_quotes && !has_variables => {
            format!("{write}; and set that variable where HAProxy is started")
        }
        None if !names.iter().any(|known| known == name) => write,
        _ => format!(
            "if {name} is the site's name, {write}; otherwise correct the rules about visitors' Host"
        ),
    };
    let rule = watch.backend.settings.rules.http.all("send").last();
    let place = match &watch.check {
        Check::Own(_) => rule
            .map(|rule| &rule.place)
            .or(Check::option(watch.backend)),
        _ => Some(watch.options_place()),
    };
    Some(
        Finding::note(Effect::Either, what)
            .at(place.unwrap_or(&watch.server.place))
            .shows(match watch.carrier() {
                Some(_) => "code 71 (DOWN) while visitors are served, or UP while they get 404 or 421, where the server chooses the site by its Host",
                None => "L7STS 400, 403, 404 or 421 (DOWN) while visitors are served, or UP while they get 404 or 421, where the server chooses the site by its Host",
            })
            .foretells(&["71", "L7STS 400", "L7STS 403", "L7STS 404", "L7STS 421"])
            .write(write),
    )
}

/// Finds a check that sends different names in SNI and Host. Many servers refuse such a request.
pub(crate) fn other_site(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let (host, write) = host_of(watch)?;
    let sni = name_of_check(watch)?;
    let name = host.split(':').next().unwrap_or_default();
    let is_name = !name.is_empty() && !name.contains(['%', '$', '(', '/']);
    let is_same = |other: &str| bare(other).eq_ignore_ascii_case(bare(name));
    if !is_name || is_same(sni) || other_host(visit, watch).is_some() {
        return None;
    }
    // Report nothing if visitors' requests have the same SNI and the same Host as the check.
    let given = watch.backend.given_host().map(|at| &at.value);
    let mut visitors = watch.backend.names().iter().chain(given);
    if name_of_traffic(watch) == Some(sni) && visitors.any(|visitor| is_same(visitor)) {
        return None;
    }
    let change = match watch.carrier() {
        Some(carrier) => format!("--sni {name} in {carrier}"),
        None => match Pair::of(watch) {
            Some(pair) => pair.send(visit, name),
            None => format!("check-sni {name} on the server line"),
        },
    };
    let what = format!("the check sends SNI {sni}, but Host {host}");
    Some(
        Finding::note(Effect::Either, what)
            .at(match watch.carrier() {
                Some(_) => watch.options_place(),
                None => Check::option(watch.backend).unwrap_or(&watch.server.place),
            })
            .shows(match watch.carrier() {
                Some(_) => "code 71 with status 400, 403, 404 or 421 (DOWN) where the server requires the same name in SNI and Host",
                None => "L7STS 400, 403, 404 or 421 (DOWN) where the server requires the same name in SNI and Host",
            })
            .foretells(&["71", "L7STS 400", "L7STS 403", "L7STS 404", "L7STS 421"])
            .write(format!(
                "if {sni} is the site's name, {}; if {name} is the site's name, {change}",
                write.replace("{NAME}", sni)
            )),
    )
}
