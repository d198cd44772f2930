//! Rules about what HAProxy's own check sends and expects.

use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::check::{Check, Protocol};
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::server_line::Server;
use crate::options::expect::{Answer, Expectation, Part};

use super::advice::httpchk_in_place_of;
use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::own_check;
use crate::doctor::visit::{Visit, Watch};

/// Finds a backend whose own http-check rules replace the request of `option httpchk` in defaults.
pub(crate) fn without_request(_: &Visit, watch: &Watch) -> Option<Finding> {
    let Check::Own(own) = &watch.check else {
        return None;
    };
    let Protocol::Http {
        sends_request: false,
        ..
    } = own.protocol
    else {
        return None;
    };
    let line = watch.backend.settings.rules.http.lines.first()?;
    let what = own_check::WITHOUT_REQUEST;
    let waits = own_check::waits_without_request(watch);
    let finding = match waits {
        true => Finding::problem(Effect::Down, what)
            .shows("L7TOUT or L7RSP (DOWN): the check waits for a response to a request that it didn't send"),
        false => Finding::note(Effect::Up, what)
            .shows("L4OK (UP) as soon as the server accepts the connection, while visitors may get 503"),
    };
    Some(
        finding
            .at(&line.place)
            .about([watch.backend.name.clone()])
            .write(own_check::repeated(watch.backend)),
    )
}

/// Finds an http-check that sends two requests on one connection. HAProxy refuses the second request if
/// `option httpchk` is above these lines, and accepts it if the option is below them.
pub(crate) fn second_request(_: &Visit, watch: &Watch) -> Option<Finding> {
    let set = &watch.backend.settings;
    let is_own = matches!(watch.check, Check::Own(_));
    if !is_own || set.check.as_ref()?.value != "httpchk" {
        return None;
    }
    let mut is_sent = false;
    let second = set.rules.http.lines.iter().find(|line| {
        match line.value.get(1).map_or("", String::as_str) {
            "connect" => is_sent = false,
            "send" => return std::mem::replace(&mut is_sent, true),
            _ => {}
        }
        false
    })?;
    let what = "two `http-check send` lines have no `http-check connect` between them, but an HTTP check can send only \
                one request on a connection";
    Some(
        Finding::problem(Effect::Down, what)
            .at(&second.place)
            .about([watch.backend.name.clone()])
            .shows("SOCKERR (DOWN)")
            .write("merge the lines into one http-check send line"),
    )
}

/// Finds a tcp-check that expects text before it sends anything. An HTTP server only answers requests.
pub(crate) fn waits_for_banner(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let set = &watch.backend.settings;
    let option = set.check.as_ref()?;
    if option.value != "tcp-check" || !set.http {
        return None;
    }
    let first = set.rules.tcp.dialogue().next()?;
    if first.value.get(1)? != "expect" {
        return None;
    }
    let what = "the tcp-check expects text before it sends anything, but an HTTP server only answers requests";
    Some(
        Finding::problem(Effect::Down, what)
            .at(&first.place)
            .about([watch.backend.name.clone()])
            .shows("L7TOUT, L7RSP or L7STS (DOWN), whatever the server's state")
            .write(httpchk_in_place_of(visit, watch, option)),
    )
}

/// Returns a clause which says that the server's port or service is for HTTP, or `None` if doctor doesn't
/// know this.
fn http_service(server: &Server) -> Option<&'static str> {
    match &server.endpoint {
        Endpoint::Tcp(_, 80 | 443) => Some("the server's port is for HTTP"),
        Endpoint::Tcp(name, _) if name.starts_with("_http") => Some("the server's service is HTTP"),
        _ => None,
    }
}

/// Finds a check that speaks a different protocol from visitors.
pub(crate) fn other_protocol(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let kind = watch.backend.settings.check.as_ref()?;
    let is_own = matches!(&watch.check, Check::Own(own) if own.protocol == Protocol::Other);
    if !is_own {
        return None;
    }
    if kind.value == "ssl-hello-chk" {
        return Some(ssl_hello(kind, watch));
    }
    let speaks_http = match watch.backend.settings.http {
        true => "visitors do (`mode http`)",
        false => http_service(watch.server)?,
    };
    let what = format!(
        "`option {}` does not speak HTTP, but {speaks_http}",
        kind.value
    );
    Some(
        Finding::note(Effect::Down, what)
            .at(&kind.place)
            .shows("L7RSP, L7STS or L7TOUT (DOWN) where the server speaks HTTP")
            .foretells(&["L7RSP", "L7STS", "L7TOUT"])
            .write(httpchk_in_place_of(visit, watch, kind)),
    )
}

fn ssl_hello(option: &At<String>, watch: &Watch) -> Finding {
    let mut connections = watch.connections.iter();
    let finding = match connections.any(|connection| connection.tls.is_some()) {
        true => {
            let what = "`option ssl-hello-chk` sends an old hello inside of the check's TLS connection, where no TLS \
                        server expects it";
            // In `mode tcp`, the server may expect a second TLS connection inside the first. In `mode http`,
            // visitors send HTTP there.
            match watch.backend.settings.http {
                true => Finding::problem(Effect::Down, what),
                false => Finding::note(Effect::Down, what),
            }
            .shows("L6RSP, L6TOUT or L7TOUT (DOWN), whatever the server's state")
        }
        false => Finding::note(
            Effect::Either,
            "`option ssl-hello-chk` sends an old hello without SNI, and accepts any TLS answer to it",
        )
        .shows(
            "L6RSP or L7TOUT (DOWN) where the server refuses such a hello; elsewhere the check is UP, even if \
             the certificate has expired and visitors fail",
        ),
    };
    finding
        .at(&option.place)
        .foretells(&["L6RSP", "L6TOUT", "L7RSP", "L7TOUT"])
        .write(
            "if the server speaks HTTPS, use option httpchk in place of option ssl-hello-chk, and write \
             check-ssl check-sni NAME verify required ca-file FILE on the server line",
        )
}

/// Returns the expectations of a check, except the expectations that sni-check doesn't understand. Also
/// returns the line of the first expectation, or the line of the check's options. Returns `None` if the
/// configuration describes no expectation.
pub(crate) fn expected<'a>(watch: &'a Watch) -> Option<(Vec<Expectation>, &'a Place)> {
    match (&watch.check, &watch.own) {
        (Check::Own(_), _) => {
            let set = &watch.describes.settings;
            let is_http = set.check.as_ref()?.value == "httpchk";
            let rule = set.rules.http.all("expect").next().filter(|_| is_http)?;
            let expectations = own_check::expectations(watch.describes).into_iter();
            Some((expectations.flatten().collect(), &rule.place))
        }
        (_, Some(accepted)) if !accepted.options.expect.is_empty() => {
            Some((accepted.options.expect.clone(), watch.options_place()))
        }
        _ => None,
    }
}

/// Returns true if the configuration describes what the check expects, and this status meets the expectations
/// about the status.
pub(crate) fn accepts(watch: &Watch, status: u16) -> bool {
    expected(watch).is_some_and(|(expected, _)| statuses(&expected).contains(&status))
}

/// Returns the statuses that meet all expectations about the status.
pub(crate) fn statuses(expectations: &[Expectation]) -> Vec<u16> {
    let deadline = Deadline::new(Instant::now(), Duration::from_secs(1));
    let about_status = |expectation: &&Expectation| expectation.part() == Part::Status;
    let about: Vec<&Expectation> = expectations.iter().filter(about_status).collect();
    let meets = |status: &u16| {
        let answer = Answer {
            status: &status.to_string(),
            fields: &[],
            body: b"",
        };
        let mut about = about.iter();
        about.all(|expectation| expectation.holds(answer, deadline).unwrap_or(true))
    };
    (100..600).filter(meets).collect()
}

/// Finds a check whose expectations contradict each other.
pub(crate) fn expects_nothing(_: &Visit, watch: &Watch) -> Option<Finding> {
    let (expectations, place) = expected(watch)?;
    if !statuses(&expectations).is_empty() {
        return None;
    }
    let what =
        "no status meets all expectations of the check: HAProxy and sni-check require each of them";
    Some(
        Finding::problem(Effect::Down, what)
            .at(place)
            .shows(format!(
                "{} if the server answers, whatever the status",
                down(watch)
            ))
            .write("keep the expectation that you want, and remove the others"),
    )
}

/// Finds a check that accepts errors (400 and above), but not the statuses that visitors should get. Also
/// finds a check that accepts the statuses of a failing server.
pub(crate) fn expects_refusal(_: &Visit, watch: &Watch) -> Option<Finding> {
    let (expectations, place) = expected(watch)?;
    // Visitors usually start at `/`. Another page may refuse them on purpose, for example without a login.
    let asks_root = match &watch.own {
        Some(accepted) => accepted.plan.request.uri.path() == "/",
        None => {
            let uri = watch.backend.settings.rules.sent().uri;
            uri.is_none_or(|uri| uri == "/")
        }
    };
    let of_status = |expectation: &Expectation| expectation.part() == Part::Status;
    if !expectations.iter().any(of_status) {
        return None;
    }
    let statuses = statuses(&expectations);
    let first = statuses.iter().find(|status| **status >= 400)?;
    let serves = |status: &u16| (200..400).contains(status);
    // No page is meant to answer with these statuses.
    let failures = [500, 502, 503];
    let fails = failures.iter().all(|status| statuses.contains(status));
    let (what, shows, write) = match statuses.iter().find(|status| serves(status)) {
        None if asks_root || *first >= 500 => (
            match statuses.as_slice() {
                [one] => format!("the check expects status {one}, which is an error for visitors"),
                _ => format!(
                    "the check expects a status of {first} or more, which is an error for visitors"
                ),
            },
            format!(
                "{} where the server answers visitors with 200; UP where it refuses them",
                down(watch)
            ),
            match first {
                500.. => "expect status 200-399",
                _ => "check a page that needs no login, and expect status 200-399",
            },
        ),
        Some(_) if asks_root && !statuses.contains(&200) => (
            format!("the check accepts status {first}, but not status 200"),
            format!(
                "{} where the server answers visitors with 200; UP where it refuses them",
                down(watch)
            ),
            "expect status 200-399",
        ),
        // An expectation about a text or a field may prove that the server works, whatever the status is.
        Some(_) if fails && expectations.iter().all(of_status) => (
            "the check accepts the statuses 500, 502 and 503, which a failing server sends to visitors"
                .to_owned(),
            "UP where the server answers visitors with such an error".to_owned(),
            "expect status 200-399; or, if the page may answer with 4xx, expect ! rstatus ^5",
        ),
        _ => return None,
    };
    Some(
        Finding::note(Effect::Either, what)
            .at(place)
            .shows(shows)
            .foretells(&["71", "L7STS"])
            .write(write),
    )
}

/// Finds HAProxy's own check if it expects text in a response without a body. No response to HEAD has a body,
/// and most responses to OPTIONS have none.
pub(crate) fn expects_body(_: &Visit, watch: &Watch) -> Option<Finding> {
    let Check::Own(own) = &watch.check else {
        return None;
    };
    let rules = &watch.backend.settings.rules;
    let is_text = |word: &String| ["string", "rstring", "string-lf"].contains(&word.as_str());
    let mut expects = rules.http.all("expect");
    let rule = expects.find(|rule| rule.value.iter().skip(2).take(2).any(is_text))?;
    let mut right = rules.sent();
    let method = right.method.clone();
    right.set_get();
    if !own.protocol.sends_request() || rules.http.all("send").count() > 1 {
        return None;
    }
    let finding = match method.as_deref() {
        Some("HEAD") => Finding::problem(
            Effect::Down,
            "the check expects text in the response to HEAD, and such a response has no body",
        )
        .shows("DOWN, with L7RSP where the server answers"),
        None | Some("OPTIONS") => Finding::note(
            Effect::Down,
            "the check expects text in the response to OPTIONS, HAProxy's default method",
        )
        .shows("L7RSP or L7STS (DOWN) where the server answers OPTIONS without the page")
        .foretells(&["L7RSP", "L7STS"]),
        _ => return None,
    };
    Some(
        finding
            .at(&rule.place)
            .about([watch.backend.name.clone()])
            .write(own_check::sending(watch.backend, &right))
            .request(right),
    )
}

/// Returns what HAProxy shows if the server answers with an unexpected status.
fn down(watch: &Watch) -> &'static str {
    match watch.carrier() {
        Some(_) => "DOWN with code 71",
        None => "DOWN with L7STS",
    }
}

/// Finds a server whose traffic and check use no TLS, although traffic to another server of the backend uses
/// TLS on the same port.
pub(crate) fn alone_without_tls(_: &Visit, watch: &Watch) -> Option<Finding> {
    let port = |server: &Server| match server.endpoint {
        Endpoint::Tcp(_, port) => Some(port),
        _ => None,
    };
    let uses_tls =
        |server: &&Server| server.settings.has("ssl") && port(server) == port(watch.server);
    let other = watch.backend.servers.iter().find(uses_tls)?;
    let checks_plain = watch.connections.iter().all(|check| check.tls.is_none());
    if watch.traffic.tls.is_some() || !checks_plain {
        return None;
    }
    let what = format!(
        "traffic to this server and its check use no TLS, but traffic to {} does",
        other.name
    );
    Some(
        Finding::note(Effect::Either, what)
            .at(watch
                .server
                .settings
                .place("no-ssl")
                .unwrap_or(&watch.server.place))
            .shows(
                "where the server speaks TLS: UP with L4OK while visitors get 400 or 502, or DOWN",
            )
            .write("if the server speaks TLS, write the same words as for the other server"),
    )
}
