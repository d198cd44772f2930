//! The HTTP request and its response.

use ureq::http::{HeaderName, Uri, header};

use super::cause::{Cause, Place, Trial, Weight, at, word};
use super::expect::accept;
use super::facts::{Facts, Way, header_value};
use crate::code::Code;
use crate::failure::Failure;
use crate::haproxy::ask::BROWSER;
use crate::options::Options;
use crate::options::expect::Part;
use crate::options::values::Size;
use crate::plan::Target;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "application-failing",
        shows_as: &[at(Code::Status, 1)],
        what: "The application is failing. The check is right: visitors get the same answer.",
        confirm: "Read the server's log.",
        change: "Fix the application.",
        weigh: |facts| Weight::Likely.when(matches!(facts.status(), Some(500..))),
        ..Cause::BASE
    },
    Cause {
        id: "gateway-without-backend",
        shows_as: &[at(Code::Status, 2)],
        what: "The server is a proxy (a load balancer, an ingress, a CDN) that has no healthy backend for this name, or does not know the name.",
        confirm: "Look at the proxy's log. The application's error pages usually look like its other pages. A proxy's error pages are plain.",
        change: "Fix the proxy's backend, or set up the name in the proxy.",
        weigh: |facts| Weight::Likely.when(matches!(facts.status(), Some(502..=504 | 521..=526))),
        ..Cause::BASE
    },
    Cause {
        id: "page-moved",
        shows_as: &[at(Code::Status, 12)],
        place: Place::Config,
        what: "The page redirects to {location} on the same host. The check doesn't follow redirects.",
        confirm: "The check's line shows where the redirect points.",
        change: "Check that page: <--uri {location}|uri {location} in http-check send>.",
        weigh: |facts| Weight::Possible.when(facts.redirect().is_some()),
        trials: |facts| {
            let uri = facts
                .plan
                .request
                .uri
                .path_and_query()
                .map(|uri| uri.as_str());
            let path = facts
                .redirect()
                .and_then(|location| same_site(facts, location));
            let path = path.filter(|path| Some(path.as_str()) != uri);
            let trial = path.map(|path| {
                // The path comes from the server, and the operator pastes it into a shell.
                let quoted = shlex::try_quote(&path).unwrap_or_default().into_owned();
                uri_trial(facts, &path).with("location", quoted)
            });
            trial.into_iter().collect()
        },
        ..Cause::BASE
    },
    Cause {
        id: "scheme-unknown",
        shows_as: &[at(Code::Status, 13), at(Code::Healthy, 9)],
        place: Place::Config,
        what: "The page redirects to itself, because the server believes that visitors don't use HTTPS.",
        confirm: "The redirect in the check's line points to the page that the check asked for.",
        change: "Send X-Forwarded-Proto: https, in the check< (--header)|> and for visitors (http-request set-header).",
        weigh: |facts| Weight::Likely.when(redirects_to_itself(facts)),
        trials: |facts| match redirects_to_itself(facts) {
            true => vec![Trial::new(facts, |options| {
                options.header.push("X-Forwarded-Proto: https".to_owned());
            })],
            false => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "redirect-unexpected",
        shows_as: &[at(Code::Status, 14)],
        place: Place::Config,
        what: "The response is a redirect, and --expect requires another status. A redirect also shows that the server works.",
        confirm: "The check's line shows where the redirect points.",
        change: "Accept the redirect with --expect 'status {status}'.",
        weigh: |facts| {
            Weight::Possible.when(facts.redirect().is_some() && facts.expects_other_status())
        },
        trials: |facts| match facts.status() {
            // Browsers give up if a page redirects to itself.
            Some(status @ 300..=399) if !redirects_to_itself(facts) => accept(facts, status),
            _ => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "redirect-not-the-page",
        shows_as: &[at(Code::Status, 34)],
        place: Place::Value,
        what: "The response is a redirect, and a redirect doesn't have the text or the header that --expect requires.",
        confirm: "The check's line shows where the redirect points. {curl} --location URL shows the page there.",
        change: "Check a page that the server sends without a redirect< (--uri)|>, or expect only the redirect< (--expect)|>.",
        weigh: |facts| {
            Weight::Possible.when(facts.redirect().is_some() && !facts.expects_other_status())
        },
        ..Cause::BASE
    },
    Cause {
        id: "page-missing",
        shows_as: &[at(Code::Status, 3)],
        place: Place::Value,
        what: "The server has no page {uri} for the host {host}, or the request reached another virtual host (404 or 421).",
        confirm: "sni-check diagnose shows whether the response depends on Host. Compare <--uri|the check's uri> with what the application serves.",
        change: "Correct <--uri. If the page exists, correct --header 'Host: NAME' or --sni|uri in http-check send. If the page exists, correct hdr Host in http-check send, or check-sni>.",
        weigh: |facts| Weight::Likely.when(matches!(facts.status(), Some(404 | 410 | 421))),
        ..Cause::BASE
    },
    Cause {
        id: "path-wrong",
        shows_as: &[at(Code::Status, 15)],
        place: Place::Config,
        what: "The server has no page {uri}, but it has a page at /.",
        confirm: "Run the check with <--uri /|uri / in http-check send>.",
        change: "Use <--uri /|uri / in http-check send>, or the right path.",
        weigh: |facts| Weight::Possible.when(matches!(facts.status(), Some(404 | 410))),
        trials: |facts| {
            let uri = facts.plan.request.uri.path_and_query();
            let is_root = uri.is_some_and(|uri| uri == "/");
            match (facts.status(), is_root) {
                (Some(404 | 410), false) => vec![uri_trial(facts, "/")],
                _ => Vec::new(),
            }
        },
        ..Cause::BASE
    },
    Cause {
        id: "login-wanted",
        shows_as: &[at(Code::Status, 10)],
        place: Place::Config,
        what: "The page requires a login (401), which shows that the application works.",
        confirm: "Request the page from this host: {curl} URL",
        change: "Check a page without a login< (--uri /healthz)| (uri /healthz in http-check send)>, or send credentials <with --header @FILE|in http-check send (hdr Authorization VALUE)>. Or accept only this status: --expect 'status 401'.",
        // Some servers that require a client certificate answer 401 to clients without one.
        weigh: |facts| {
            let by_page = !facts.client_certificate_asked();
            Weight::Likely.when(facts.status() == Some(401) && by_page)
        },
        trials: |facts| match facts.status() {
            // The credentials of visitors are a better change.
            Some(status @ 401) if !facts.client_certificate_asked() => {
                let trials = accept(facts, status).into_iter();
                trials.map(|trial| trial.last_resort_if(true)).collect()
            }
            _ => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "page-forbidden",
        shows_as: &[at(Code::Status, 17)],
        what: "The server denies this host access to {uri} (403). It denies access to visitors too, because their requests come through HAProxy.",
        confirm: "Request the page from this host: {curl} URL",
        change: "Allow HAProxy's address on the server, or check a page that is open to everyone.",
        weigh: |facts| Weight::Likely.when(facts.status() == Some(403)),
        ..Cause::BASE
    },
    Cause {
        id: "user-agent-refused",
        shows_as: &[at(Code::Status, 18), at(Code::ResponseClosed, 8)],
        place: Place::Config,
        what: "The server refuses the User-Agent that the check sends ({agent}), as web application firewalls (WAFs) do. HAProxy's own check sends no User-Agent.",
        confirm: "{curl} URL gets the same answer. curl with its own User-Agent gets a different answer.",
        change: "Send another User-Agent, for example <--header 'User-Agent: Mozilla/5.0'|hdr User-Agent Mozilla/5.0 in http-check send>, or let the firewall accept this User-Agent.",
        weigh: |facts| Weight::Possible.when(is_refused(facts) && agent(facts).is_some()),
        trials: |facts| match is_refused(facts) && agent(facts).is_some() {
            true => vec![with_header(facts, "User-Agent", BROWSER)],
            false => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "browser-header-missing",
        shows_as: &[at(Code::Status, 26), at(Code::ResponseClosed, 10)],
        place: Place::Config,
        what: "The server refuses requests without the header {field}. Browsers send the header, and so does sni-check by default. HAProxy's own check sends it only if haproxy.cfg says so.",
        confirm: "{curl} <--header> '{field}:' URL gets the same answer.",
        change: "Send the header: hdr {field} {meant-value} in http-check send< (--header '{field}: {meant-value}' for sni-check)|>.",
        weigh: |facts| Weight::Possible.when(missing_headers(facts).next().is_some()),
        trials: |facts| {
            let missing = missing_headers(facts);
            let trial = |(name, value)| {
                let trial = with_header(facts, name, value);
                trial.with("field", name).with("meant-value", value)
            };
            missing.map(trial).collect()
        },
        ..Cause::BASE
    },
    Cause {
        id: "header-of-visitors-missing",
        shows_as: &[at(Code::Status, 31), at(Code::ResponseClosed, 14)],
        place: Place::Config,
        what: "The server refuses requests without the header {visitor-field}. `{set-header-rule}` adds the header to visitors' requests, but not to the check's request.",
        confirm: "Run the check with <--header '{visitor-field}: VALUE'|hdr {visitor-field} VALUE in http-check send>.",
        change: "Send the header in the check, too: hdr {visitor-field} VALUE in http-check send< (--header for sni-check)|>.",
        weigh: |_| Weight::RuledOut,
        trials: |facts| {
            let fields = facts.known("--header").filter_map(|known| {
                let (name, value) = known.value.split_once(": ")?;
                let is_sent = facts.options.has_header(&name.to_ascii_lowercase());
                (!is_sent).then(|| {
                    let trial = with_header(facts, name, value);
                    let trial = trial.with("visitor-field", name);
                    trial.with("set-header-rule", &*known.of)
                })
            });
            fields.collect()
        },
        ..Cause::BASE
    },
    Cause {
        id: "method-not-answered",
        shows_as: &[
            at(Code::Status, 19),
            at(Code::NotHttp, 7),
            at(Code::ResponseClosed, 9),
            at(Code::ResponseTimeout, 5),
        ],
        place: Place::Config,
        what: "The server doesn't accept the method {method}.",
        confirm: "Run the check with <--method {meant-method}|meth {meant-method} in http-check send>.",
        change: "Use a method that the server accepts: <--method {meant-method}. For GET, leave out --method|meth {meant-method} in http-check send>.",
        weigh: |facts| Weight::Possible.when(other_method(facts).is_some()),
        trials: |facts| {
            let trial = other_method(facts).map(|method| {
                let trial = Trial::new(facts, |options| {
                    options.body = None;
                    options.method = (method != "GET").then(|| method.to_owned());
                    options.uri.take_if(|uri| uri == WHOLE_SERVER);
                });
                let meant = match asks_whole_server(facts) {
                    true => "GET --uri /",
                    false => method,
                };
                trial.counting_progress().with("meant-method", meant)
            });
            trial.into_iter().collect()
        },
        ..Cause::BASE
    },
    METHOD_UNTRIED,
    Cause {
        id: "upgrade-wanted",
        shows_as: &[at(Code::Status, 24)],
        what: "The server requires another protocol for {uri} (426 Upgrade Required), such as HTTP/2 or WebSocket.",
        confirm: "The response's Upgrade header names the protocol: {curl} --include URL",
        change: "Let the server answer {uri} over HTTP/1.1, or check a page that is available over HTTP/1.1.",
        weigh: |facts| {
            let upgraded = facts.is_reached_by(Way::Http2);
            Weight::Likely.when(facts.status() == Some(426) && !upgraded)
        },
        ..Cause::BASE
    },
    Cause {
        id: "asked-too-often",
        shows_as: &[at(Code::Status, 20)],
        place: Place::Config,
        what: "The server limits how often this host may send requests (429).",
        confirm: "Wait a minute without checks. The server then answers the first request.",
        change: "Raise inter on the server line, for example inter 30s. Or exempt HAProxy's address from the limit.",
        weigh: |facts| Weight::Proved.when(facts.status() == Some(429)),
        ..Cause::BASE
    },
    Cause {
        id: "request-refused",
        shows_as: &[at(Code::Status, 21), at(Code::ResponseClosed, 3)],
        place: Place::Value,
        what: "The server refuses the request, because of its method, headers or size, or because requests come too often.",
        confirm: "Run the check with <--method GET --uri /|meth GET uri / in http-check send> and without other headers.",
        change: "Compare <--method, --uri and --header|the http-check send line> with a request that the server answers, or accept this status with --expect 'status {status}'.",
        weigh: |facts| match facts.status() {
            Some(400 | 402 | 405..=409 | 411..=420 | 422..=425 | 427..=428 | 430..=499) => {
                Weight::Possible
            }
            Some(_) => Weight::RuledOut,
            None => Weight::Possible.when(!is_plain(facts)),
        },
        ..Cause::BASE
    },
    Cause {
        id: "application-slow",
        shows_as: &[at(Code::ResponseTimeout, 1), word("L7TOUT", 2)],
        what: "The application is slow or hangs. The handshake was fast.",
        confirm: "Compare the times of tls and response in the check's line. The server's log shows what took so long.",
        change: "Fix the application, or check a faster page.",
        weigh: |_| Weight::Likely,
        ..Cause::BASE
    },
    Cause {
        id: "another-protocol-in-tls",
        shows_as: &[at(Code::NotHttp, 1)],
        place: Place::Value,
        what: "The port speaks TLS, but inside TLS it doesn't speak HTTP/1 (it may be a mail server or a database, for example).",
        confirm: "{s-client} shows a greeting.",
        change: "Correct the port. If the port is right (mode tcp), end the check after the handshake: <--handshake-only|option tcp-check in this section, in place of option httpchk>.",
        weigh: |facts| match facts.failure() {
            Some(Failure::NotHttp(_)) => Weight::Likely.when(!is_broken_http(facts)),
            _ => Weight::RuledOut,
        },
        ..Cause::BASE
    },
    Cause {
        id: "head-broken",
        shows_as: &[at(Code::NotHttp, 3)],
        what: "The response breaks the rules of HTTP, so HAProxy refuses it too. One example is a Transfer-Encoding other than chunked.",
        confirm: "curl -v --http1.1 shows the response. The check's line says what is wrong with it.",
        change: "Fix the application.",
        weigh: |facts| match facts.failure() {
            Some(Failure::NotHttp(_)) if has_many_fields(facts) => Weight::RuledOut,
            Some(Failure::NotHttp(_)) if is_broken_http(facts) => Weight::Likely,
            Some(Failure::NotHttp(_)) => Weight::Possible,
            _ => Weight::RuledOut,
        },
        ..Cause::BASE
    },
    Cause {
        id: "head-of-many-fields",
        shows_as: &[at(Code::NotHttp, 9)],
        place: Place::Config,
        what: "The response has more than 100 header fields. By default, HAProxy accepts at most 100 (tune.http.maxhdr). HAProxy's own check then fails, and visitors get 502.",
        confirm: "curl --include URL shows the header fields.",
        change: "Send fewer header fields (most of them are usually cookies). Or raise the limit: tune.http.maxhdr 200 in the `global` section.< sni-check accepts more fields with --max-head 15k.|>",
        weigh: |facts| Weight::Proved.when(has_many_fields(facts)),
        ..Cause::BASE
    },
    Cause {
        id: "max-head-too-low",
        shows_as: &[at(Code::NotHttp, 11)],
        place: Place::Config,
        what: "The head of the response is longer than <--max-head> allows. HAProxy accepts the response.",
        confirm: "The check's line names the limit.",
        change: "Leave out <--max-head>. The check then has the same limit as HAProxy.",
        weigh: |facts| Weight::Possible.when(facts.options.max_head.is_some()),
        trials: |facts| vec![Trial::new(facts, |options| options.max_head = None)],
        ..Cause::BASE
    },
    Cause {
        id: "head-too-long",
        shows_as: &[at(Code::NotHttp, 4)],
        place: Place::Config,
        what: "The head of the response is longer than 15360 bytes, the most that HAProxy accepts for visitors by default (tune.bufsize minus tune.maxrewrite). Visitors get 502, though HAProxy's own check may be UP.",
        confirm: "The check's line names the limit.",
        change: "Shorten the head on the server. Cookies usually take up most of the head. Or raise <both limits|the limit>: tune.bufsize {buffer} in the `global` section<, and --max-head {head}|>.",
        weigh: |facts| {
            Weight::Proved.when(matches!(facts.failure(), Some(Failure::LongHead { .. })))
        },
        trials: |facts| match facts.failure() {
            Some(Failure::LongHead { .. }) => [(32768, 31744), (65536, 64512)]
                .map(|(buffer, head): (u32, u32)| {
                    let trial = Trial::new(facts, |options| options.max_head = Some(Size(head)));
                    trial
                        .counting_progress()
                        .with("buffer", buffer.to_string())
                        .with("head", head.to_string())
                })
                .into(),
            _ => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "response-cut",
        shows_as: &[at(Code::ResponseClosed, 1)],
        what: "The application, or the proxy in front of it, crashed or restarted during the response.",
        confirm: "Read the server's log for that moment.",
        change: "Fix the application or the proxy.",
        ..Cause::BASE
    },
    Cause {
        id: "no-close-notify",
        shows_as: &[at(Code::ResponseClosed, 4)],
        what: "The server ends TLS without close_notify, so the check can't know whether the body is complete.",
        confirm: "The response has no Content-Length, and --expect needs the whole body, because it has a rule with ! or looks for text that the body doesn't contain.",
        change: "Let the server send close_notify or Content-Length, or expect text that the body contains.",
        weigh: |facts| Weight::Possible.when(facts.plan.request.wants(Part::Body)),
        ..Cause::BASE
    },
];

/// Returns true if the checked page redirects to itself, even if the check expects a redirect.
pub fn redirects_to_itself(facts: &Facts) -> bool {
    let location = match &facts.verdict.result {
        Ok(Some(response)) if (300..400).contains(&response.status) => response.location.as_deref(),
        Ok(_) => None,
        Err(_) => facts.redirect(),
    };
    let uri = facts.plan.request.uri.path_and_query();
    let path = location.and_then(|location| same_site(facts, location));
    path.is_some() && path.as_deref() == uri.map(|uri| uri.as_str())
}

/// The cause that diagnose adds to a cause about another page or site, if diagnose tried that page or site
/// with GET instead of the check's method.
pub(super) const METHOD_UNTRIED: Cause = Cause {
    id: "method-untried",
    shows_as: &[at(Code::Status, 40)],
    place: Place::Config,
    what: "The check succeeds with GET on another page or site. diagnose doesn't send {method} there, because that request could change data.",
    confirm: "Find out whether the server answers {method} there without changing data.",
    change: "Use <--method GET|meth GET in http-check send>. If the check needs {method}, change only the page or site.",
    // Only a trial with another page or site can prove this cause.
    weigh: |_| Weight::RuledOut,
    ..Cause::BASE
};

/// Returns a method that the server may accept, if the failure may be due to the check's method.
fn other_method(facts: &Facts) -> Option<&'static str> {
    let is_get = facts.plan.request.method == "GET";
    match (facts.failure()?, facts.status()) {
        (_, Some(405)) if is_get => Some("HEAD"),
        (_, Some(400)) if asks_whole_server(facts) => Some("GET"),
        // A server may refuse a method with almost any status. Examples are 403 for a POST without a token,
        // and 404 for a page that exists only for another method.
        (_, Some(400..=428 | 430..=499 | 501))
        | (
            Failure::NotHttp(_)
            | Failure::ResponseTimeout { head_read: false }
            | Failure::ResponseClosed(_),
            _,
        ) => (!is_get).then_some("GET"),
        _ => None,
    }
}

/// The page of a request about the server as a whole. Only OPTIONS may ask for it (RFC 9110, section 9.3.7).
const WHOLE_SERVER: &str = "*";

fn asks_whole_server(facts: &Facts) -> bool {
    facts.options.uri.as_deref() == Some(WHOLE_SERVER)
}

/// Returns true if the request is a plain `GET /`: the options set no method, header or body.
fn is_plain(facts: &Facts) -> bool {
    let options = &facts.options;
    let root = facts.plan.request.uri.path_and_query();
    options.method.is_none()
        && options.header.is_empty()
        && options.body.is_none()
        && root.is_some_and(|uri| uri == "/")
}

/// Returns true if the response begins like HTTP but breaks HTTP's rules later.
fn is_broken_http(facts: &Facts) -> bool {
    match facts.failure() {
        Some(Failure::NotHttp(what)) => !what.starts_with("it does not begin with HTTP"),
        _ => false,
    }
}

fn is_refused(facts: &Facts) -> bool {
    let is_closed = matches!(facts.failure(), Some(Failure::ResponseClosed(_)));
    is_closed || matches!(facts.status(), Some(400..=499))
}

/// Returns Accept and User-Agent, each only if the check doesn't send it. Empty if the server doesn't refuse
/// the request.
fn missing_headers(facts: &Facts) -> impl Iterator<Item = (&'static str, &'static str)> {
    let sent = |name: &HeaderName| header_value(&facts.plan, name).is_some();
    let all = [
        (header::ACCEPT, ("Accept", "*/*")),
        (header::USER_AGENT, ("User-Agent", BROWSER)),
    ];
    let missing = all.into_iter().filter(|_| is_refused(facts));
    missing.filter_map(move |(name, field)| (!sent(&name)).then_some(field))
}

/// Returns a trial that sends this header field.
fn with_header(facts: &Facts, name: &str, value: &str) -> Trial {
    let trial = Trial::new(facts, |options| {
        options.remove_header(&name.to_ascii_lowercase());
        options.header.push(format!("{name}: {value}"));
    });
    trial.counting_progress()
}

/// Returns true if the response has more header fields than HAProxy accepts by default.
fn has_many_fields(facts: &Facts) -> bool {
    let count = "it has more than the 100 header fields";
    matches!(facts.failure(), Some(Failure::NotHttp(what)) if what.starts_with(count))
}

/// Returns the User-Agent of the check, or `None` if the check sends no User-Agent.
pub(super) fn agent(facts: &Facts) -> Option<&str> {
    header_value(&facts.plan, &header::USER_AGENT)
}

/// Returns the path of a redirect, if the redirect stays on this site: the same name, and the same port or
/// port 443.
fn same_site(facts: &Facts, location: &str) -> Option<String> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(location.to_owned());
    }
    let uri: Uri = location.parse().ok()?;
    let name = facts.host().split(':').next().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(443);
    let is_ours = match &facts.plan.target {
        Target::Tcp { port: ours, .. } => port == *ours || port == 443,
        Target::Unix(_) => port == 443,
    };
    let same = uri.scheme_str() == Some("https") && uri.host()?.eq_ignore_ascii_case(name);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    (same && is_ours).then(|| path.to_owned())
}

/// Returns a trial of another page. If the check looks for a text or a header, the trial must succeed,
/// because only the right page has this text or header.
fn uri_trial(facts: &Facts, path: &str) -> Trial {
    // A path in the URL would contradict --uri.
    let host = &facts.plan.names.host;
    let trial = Trial::new(facts, |options| {
        without_path(options, host);
        options.uri = Some(path.to_owned());
    });
    match facts.expects_other_status() {
        true => trial.counting_progress(),
        false => trial,
    }
}

/// Shortens the URL to its host and port. If the URL has no host, replaces the URL with `host`.
fn without_path(options: &mut Options, host: &str) {
    if let [url] = options.target.as_mut_slice() {
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest[..end].to_owned();
        *url = if authority.is_empty() {
            host.to_owned()
        } else {
            authority
        };
    }
}
