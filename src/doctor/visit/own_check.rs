//! Translates HAProxy's own check into sni-check's options, so that diagnose can run the same check. Also
//! returns advice about the request of HAProxy's own check.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::haproxy::config::check::{Check, OwnCheck, Protocol};
use crate::haproxy::config::connection::{Connection, Sni, Tls, Verified};
use crate::haproxy::config::crt_store::ClientCertificate;
use crate::haproxy::config::external::INTER;
use crate::haproxy::config::http_check::Request;
use crate::haproxy::config::proxy::{Backend, Global};
use crate::haproxy::config::server_line::Server;
use crate::haproxy::config::written::Written;
use crate::haproxy::words::quote;
use crate::options::Options;
use crate::options::expect::{Answer, Expectation, Field, Part};
use crate::options::values::{Alpn, Time, TlsVersion, Verify};
use crate::plan::{Files, is_harmless, names_private_key};

use super::Watch;

/// The longest time for a check. It's short, because an operator waits for the diagnosis.
const LONGEST: Duration = Duration::from_secs(10);

/// Returns the options with which sni-check runs the same check, or `None` if the check doesn't use TLS.
pub(crate) fn options(
    check: &OwnCheck,
    (backend, server): (&Backend, &Server),
    global: &Global,
) -> Option<Options> {
    let connection = check.connections.first()?;
    let tls = connection.tls.as_ref()?;
    let mut options = Options {
        timeout: Some(Time(time(backend, server))),
        ..Options::default()
    };
    of_tls(&mut options, tls, global);
    of_server(&mut options, server);
    of_proxy(&mut options, connection, server);
    options.source = connection.source.as_ref().map(|at| at.value.clone());
    match check.protocol {
        Protocol::Http { .. } => of_request(&mut options, backend),
        _ => options.handshake_only = true,
    }
    // HAProxy's own check offers the `alpn` of the server line, unless the line has `check-alpn`.
    let alpn = tls.alpn.as_ref().map(|at| at.value.as_str());
    options.alpn = alpn.and_then(|alpn| match options.handshake_only {
        true => alpn.parse().ok(),
        false => http1(alpn),
    });
    Some(options)
}

/// Returns the options with which sni-check connects to the server as visitors' traffic does. Returns the
/// default options if the server line has no TLS.
pub(crate) fn of_traffic(watch: &Watch, global: &Global) -> Options {
    let mut options = Options::default();
    let Some(tls) = &watch.traffic.tls else {
        return options;
    };
    of_tls(&mut options, tls, global);
    of_server(&mut options, watch.server);
    of_proxy(&mut options, &watch.traffic, watch.server);
    options
}

/// Sets the PROXY header. The server line decides which version of the protocol HAProxy sends, even for
/// check-send-proxy and for a `connect` rule.
fn of_proxy(options: &mut Options, connection: &Connection, server: &Server) {
    let versions = ["send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"];
    let is_v2 = versions.iter().any(|word| server.settings.has(word));
    let is_sent = connection.proxy.is_some();
    (options.send_proxy, options.send_proxy_v2) = (is_sent && !is_v2, is_sent && is_v2);
}

/// Returns how long HAProxy waits for an answer, but at most `LONGEST`.
fn time(backend: &Backend, server: &Server) -> Duration {
    let check = backend.settings.timeout_check.as_ref();
    let inter = server.settings.inter().map_or(INTER, |inter| inter.value);
    check.map_or(inter, |check| check.value).min(LONGEST)
}

/// Returns how long HAProxy's own check may take. Without `timeout check`, the limit is `inter`. Otherwise,
/// the smaller of `inter` and `timeout connect` limits the connection and the handshake, and `timeout check`
/// limits the rest of the check.
pub(crate) fn limit(backend: &Backend, server: &Server) -> Duration {
    let set = &backend.settings;
    let inter = server.settings.inter().map_or(INTER, |inter| inter.value);
    let Some(check) = &set.timeout_check else {
        return inter;
    };
    let connect = set.timeout_connect.as_ref();
    let connect = connect.map_or(inter, |connect| connect.value.min(inter));
    connect.saturating_add(check.value)
}

fn of_tls(options: &mut Options, tls: &Tls, global: &Global) {
    match &tls.sni {
        Sni::Name(name) => options.sni = Some(name.clone()),
        Sni::Absent | Sni::PerRequest(_) => options.no_sni = true,
    }
    match &tls.verified {
        Verified::Nothing => options.verify = Some(Verify::None),
        Verified::Name(name) if options.no_sni => options.verify_host = Some(name.clone()),
        _ => {}
    }
    if options.verify.is_none() {
        let ca = tls.ca_file.as_ref();
        let ca = ca.map_or_else(|| "@system-ca".to_owned(), |at| global.ca_path(&at.value));
        options.ca_file = vec![ca];
        let lists = tls.crl_file.iter();
        options.crl_file = lists.map(|at| global.ca_path(&at.value)).collect();
    }
    if let Some(crt) = &tls.crt {
        let found = client_certificate(global, &crt.value);
        (options.crt, options.key) = (Some(found.crt), found.key);
    }
}

/// Returns the files of a client certificate. Its name on the server line may come from a `crt-store`. If
/// the file has no private key, HAProxy reads the key from `FILE.key` (`ssl-load-extra-files`).
pub(crate) fn client_certificate(global: &Global, name: &str) -> ClientCertificate {
    let crt = global.crt_path(name);
    if let Some(found) = global.stores.find(&crt) {
        return found.clone();
    }
    let key = format!("{crt}.key");
    let key = Path::new(&key).is_file().then_some(key);
    let text = || Files::any().read("crt", &crt).unwrap_or_default();
    ClientCertificate {
        key: key.filter(|_| !names_private_key(&text())),
        crt,
    }
}

fn of_server(options: &mut Options, server: &Server) {
    let text = |word| server.settings.get(word).map(|at| at.value.as_str());
    let version = |word| text(word)?.parse::<TlsVersion>().ok();
    options.ssl_min_ver = version("ssl-min-ver");
    options.ssl_max_ver = version("ssl-max-ver");
}

/// Returns only the HTTP/1 protocols of an ALPN list, because sni-check doesn't speak HTTP/2. When diagnose
/// lets HAProxy try changes, the check offers the whole list.
fn http1(alpn: &str) -> Option<Alpn> {
    let names = alpn.split(',').filter(|name| name.starts_with("http/1"));
    names.collect::<Vec<_>>().join(",").parse().ok()
}

/// Returns the method of HAProxy's own check, and its path if haproxy.cfg sets one.
pub(crate) fn request(backend: &Backend) -> (String, Option<String>) {
    let request = backend.settings.rules.sent();
    let method = request.method.unwrap_or_else(|| "OPTIONS".to_owned());
    (method, request.uri)
}

/// Sets the options that describe the request of the http-check.
fn of_request(options: &mut Options, backend: &Backend) {
    let request = backend.settings.rules.sent();
    let headers = request.headers.iter();
    // If only HAProxy can evaluate the Host field, leave it out. sni-check then sends its SNI name as Host.
    let headers =
        headers.filter(|(name, text)| !(name.eq_ignore_ascii_case("host") && is_evaluated(text)));
    options.header = headers
        .map(|(name, text)| format!("{name}: {text}"))
        .collect();
    options.method = Some(request.method.unwrap_or_else(|| "OPTIONS".to_owned()));
    (options.uri, options.body) = (request.uri, request.body);
    // HAProxy's own check sends these fields only if haproxy.cfg sets them, so sni-check must not add them.
    for name in ["User-Agent", "Accept"] {
        if !options.has_header(name) {
            options.header.push(format!("{name}:"));
        }
    }
    options.expect = expectations(backend).into_iter().flatten().collect();
}

/// Why a check sends no request.
pub(crate) const WITHOUT_REQUEST: &str = "http-check lines replace the request of `option httpchk` in defaults, so the check sends no request";

/// Returns true if HAProxy's own check waits for a response, but sends no request.
pub(crate) fn waits_without_request(watch: &Watch) -> bool {
    let Check::Own(check) = &watch.check else {
        return false;
    };
    let Protocol::Http { sends_request, .. } = check.protocol else {
        return false;
    };
    // With TLS, HAProxy waits for a response even without an expectation.
    let mut connections = check.connections.iter();
    let mut expectations = watch.backend.settings.rules.http.all("expect");
    let waits = expectations.next().is_some() || connections.any(|one| one.tls.is_some());
    waits && !sends_request
}

/// Returns a copy of the backend that sends the request which its `http-check` lines have replaced. Returns
/// `None` if these lines have replaced no request.
pub(crate) fn with_replaced_request(backend: &Backend) -> Option<Backend> {
    let mut backend = backend.clone();
    let rules = &mut backend.settings.rules;
    let request = rules.replaced_request()?;
    let place = rules.http.lines.first()?.place.clone();
    rules.send(&request, &place);
    Some(backend)
}

/// Returns true if the value of a header in `http-check send` contains a sample expression, which HAProxy
/// evaluates.
pub(crate) fn is_evaluated(text: &str) -> bool {
    text.contains("%[")
}

/// Returns the advice to send this request.
pub(crate) fn sending(backend: &Backend, request: &Request) -> String {
    let rules = &backend.settings.rules;
    // An http-check line in the backend would replace all http-check lines of its defaults.
    let of_defaults = rules.http.lines.first();
    let of_defaults = of_defaults.filter(|line| !backend.has_line(&line.place));
    let sends = rules.http.all("send").count();
    let written = written(backend);
    let is_literal = |text: &String| !written.quote(text).contains('$') && !is_evaluated(text);
    let mut headers = request.headers.iter();
    let is_secret = request.body.as_ref().is_some_and(is_literal)
        || headers.any(|(name, text)| !is_harmless(name) && is_literal(text));
    if sends > 1 || (sends == 1 && is_secret) {
        return in_present_lines(request, &written, sends);
    }
    if rules.has_old_headers() {
        return format!(
            "in place of option httpchk and its words{}, write option httpchk and then {}",
            if sends > 0 {
                ", and in place of the http-check send line"
            } else {
                ""
            },
            request.line(&written)
        );
    }
    let place = match (of_defaults, sends > 0) {
        (Some(_), true) => "in defaults, in place of the http-check send line",
        (Some(_), false) => "in defaults, with its other http-check lines",
        (None, true) => "in the backend, in place of the http-check send line",
        (None, false) if rules.http.all("expect").next().is_some() => {
            "in the backend, before http-check expect"
        }
        (None, false) => "in the backend",
    };
    format!("{place}, write {}", request.line(&written))
}

/// Returns the words of the check's lines that come from variables.
pub(crate) fn written(backend: &Backend) -> Written {
    let rules = &backend.settings.rules;
    let mut written = Written::default();
    let all = [Some(rules), rules.replaced.as_deref()];
    for rules in all.into_iter().flatten() {
        for line in &rules.http.lines {
            written.add(&line.value, &line.place);
        }
        if let (Some(option), Some(words)) = (&backend.settings.check, &rules.request) {
            let before = ["option".to_owned(), "httpchk".to_owned()];
            let words: Vec<String> = before.into_iter().chain(words.iter().cloned()).collect();
            written.add(&words, &option.place);
        }
    }
    written
}

/// Returns the advice to change the existing `http-check send` lines. The advice doesn't repeat the headers
/// and the body, which may contain secrets. If there are several lines, each line keeps its page.
fn in_present_lines(request: &Request, written: &Written, sends: usize) -> String {
    let words = [
        ("meth", request.method.as_deref()),
        ("ver", request.version.as_deref()),
        ("hdr Host", request.host()),
    ];
    let words = words.into_iter();
    let words = words
        .filter_map(|(word, value)| value.map(|value| format!(" {word} {}", written.quote(value))));
    let words: String = words.collect();
    match sends {
        1 => format!("in the http-check send line, keep the other words and write{words}"),
        _ => format!("in each http-check send line, keep the page and write{words}"),
    }
}

/// Returns the advice to repeat the request and the http-check lines of `defaults` in the backend, because
/// the backend's own http-check lines replace them. The advice leaves out each kind of line that the backend
/// already has. If the backend replaces no lines of `defaults`, returns the advice to write `option httpchk`.
pub(crate) fn repeated(backend: &Backend) -> String {
    let (rules, written) = (&backend.settings.rules, written(backend));
    let Some(replaced) = &rules.replaced else {
        return "in this backend, write option httpchk before the http-check lines".to_owned();
    };
    let lines = |action| {
        let has_own = rules.http.all(action).next().is_some();
        let lines = replaced.http.all(action).filter(move |_| !has_own);
        lines.map(|line| written.line(&line.value))
    };
    let connects = lines("connect");
    let lines: Vec<String> = connects
        .chain([replaced.sent().line(&written)])
        .chain(lines("expect"))
        .collect();
    let has = |action| rules.http.all(action).next().is_some();
    let place = match (has("connect"), has("expect")) {
        (true, _) => "after http-check connect",
        (false, true) => "before http-check expect",
        (false, false) => "before its http-check lines",
    };
    format!(
        "in this backend, {place}, write {}",
        lines.join(" and then ")
    )
}

/// The words of `http-check expect` that choose what HAProxy shows. Each of these words has a value.
const OF_STATISTICS: [&str; 6] = [
    "ok-status",
    "error-status",
    "tout-status",
    "on-success",
    "on-error",
    "status-code",
];

/// Returns one expectation for each `http-check expect` line, or `None` for a line that sni-check doesn't
/// understand.
pub(crate) fn expectations(backend: &Backend) -> Vec<Option<Expectation>> {
    let rules = backend.settings.rules.http.all("expect");
    let expectations = rules.map(|rule| {
        let mut words = rule.value.iter().skip(2);
        let mut kept = Vec::new();
        while let Some(word) = words.next() {
            match OF_STATISTICS.contains(&word.as_str()) {
                true => _ = words.next(),
                false => kept.push(quote(word)),
            }
        }
        kept.join(" ").parse().ok()
    });
    expectations.collect()
}

/// Judges a response without a body, as HAProxy's check does. An error is the part of the response that
/// doesn't meet the first failed expectation. Returns `None` if only HAProxy knows the verdict: sni-check
/// doesn't understand a rule, or a regular expression takes longer than `longest`.
pub(crate) fn judge(
    backend: &Backend,
    response: &str,
    longest: Duration,
) -> Option<Result<(), Part>> {
    let mut expectations = expectations(backend);
    if expectations.is_empty() {
        expectations.push(Some(Expectation::default_status()));
    }
    let lines = response.lines().skip(1);
    let lines = lines.map_while(|line| line.split_once(": "));
    let fields: Vec<Field> = lines
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let answer = Answer {
        status: response.split(' ').nth(1).unwrap_or_default(),
        fields: &fields,
        body: b"",
    };
    let deadline = Deadline::new(Instant::now(), longest);
    let verdict = |expectation: Option<Expectation>| {
        let expectation = expectation?;
        let holds = expectation.holds(answer, deadline).ok()?;
        Some(holds.then_some(()).ok_or(expectation.part()))
    };
    let mut verdicts: Vec<_> = expectations.into_iter().map(verdict).collect();
    let refused = verdicts.iter().position(|one| matches!(one, Some(Err(_))));
    match refused {
        Some(at) => verdicts.swap_remove(at),
        None => verdicts.into_iter().collect(),
    }
}
