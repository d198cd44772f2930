//! How HAProxy connects to a server, for visitors and for its own check (configuration manual,
//! sections 4.2 and 5.2).

use super::super::variables::Variables;
use super::Configuration;
use super::address::Endpoint;
use super::http_check::List;
use super::place::{At, Place, word_after};
use super::proxy::Backend;
use super::server_line::Server;

/// How HAProxy opens a connection to a server.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub endpoint: Endpoint,
    /// `None` for a connection without TLS.
    pub tls: Option<Tls>,
    /// The word that adds a PROXY header, such as `send-proxy-v2`.
    pub proxy: Option<At<String>>,
    pub source: Option<At<String>>,
    /// The SOCKS proxy between HAProxy and the server.
    pub socks4: Option<At<String>>,
    pub speaks: Speaks,
    /// The line that contains most settings of this connection.
    pub place: Place,
}

/// The HTTP version on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1, even if the server chooses another protocol.
    Http1,
    /// HTTP/2, even if the server chooses another protocol.
    Http2,
    /// The version that the server chooses by ALPN.
    AsChosen,
}

/// The TLS part of a connection. The default value sends no SNI and verifies the chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    pub sni: Sni,
    /// The protocols that the connection offers to the server.
    pub alpn: Option<At<String>>,
    pub verified: Verified,
    pub ca_file: Option<At<String>>,
    pub crl_file: Option<At<String>>,
    /// The client certificate.
    pub crt: Option<At<String>>,
}

/// The SNI name that a connection sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sni {
    #[default]
    Absent,
    /// Always this name, exactly as HAProxy sends it.
    Name(String),
    /// The name depends on the request. This is the expression.
    PerRequest(String),
}

impl Sni {
    /// Returns true if the name is the Host of the request, or the SNI of the visitor's own connection.
    /// Browsers send the same name in both.
    pub(crate) fn is_host(&self) -> bool {
        let is_host =
            |part| matches!(self, Sni::PerRequest(expression) if expression.contains(part));
        is_host("hdr(host)") || is_host("Host header") || self.is_of_visitors_tls()
    }

    /// Returns true if the name is the SNI of the visitor's own connection. No rule changes this name.
    pub(crate) fn is_of_visitors_tls(&self) -> bool {
        matches!(self, Sni::PerRequest(expression) if expression.starts_with("ssl_fc_sni"))
    }
}

/// The requirements for the server's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verified {
    /// `verify none`.
    Nothing,
    /// The chain, but no name.
    #[default]
    Chain,
    /// The chain, and this name.
    Name(String),
    /// The chain, and the SNI name of each request.
    PerRequest,
}

/// The words of a server line that add a PROXY header.
const PROXY: [&str; 4] = [
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
];

/// The whole configuration, and other facts that affect the connections of a backend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    pub config: &'a Configuration,
    /// The environment variables that HAProxy has when it reads the last line.
    pub variables: &'a Variables,
    /// True for HAProxy 3.3 and later, which send the Host as SNI by default.
    pub auto_sni: bool,
    /// True for HAProxy 3.2 and later, whose checks speak the protocol that the server chooses by ALPN. A
    /// check of an older HAProxy offers the `alpn` of the server line, but ignores the server's choice.
    pub checks_follow_alpn: bool,
}

/// Returns the HTTP version that `proto` requires, or `None` if `proto` is absent or unknown.
fn fixed(proto: Option<&str>) -> Option<Speaks> {
    match proto? {
        "h1" => Some(Speaks::Http1),
        "h2" => Some(Speaks::Http2),
        _ => None,
    }
}

/// Returns the HTTP version that the check speaks on a connection that offers the protocols in `alpn`.
/// `own` is the ALPN list that is set only for the check: `check-alpn`, or `alpn` of the rule. HAProxy before
/// 3.2 speaks the chosen version only if this list is set.
fn spoken(
    reading: Reading,
    backend: &Backend,
    proto: Option<&str>,
    (own, alpn): (Option<&At<String>>, Option<&At<String>>),
) -> Speaks {
    let is_http = backend.settings.check.as_ref();
    let is_http = is_http.is_some_and(|check| check.value == "httpchk");
    let follows = alpn.is_some() && (own.is_some() || reading.checks_follow_alpn);
    match (is_http, fixed(proto), follows) {
        // Only httpchk can speak HTTP/2. Other checks ignore ALPN.
        (false, ..) => Speaks::Http1,
        (true, Some(fixed), _) => fixed,
        (true, None, true) => Speaks::AsChosen,
        (true, None, false) => Speaks::Http1,
    }
}

/// Returns the connection for visitors' requests.
pub(crate) fn traffic(reading: Reading, backend: &Backend, server: &Server) -> Connection {
    let settings = &server.settings;
    let alpn = settings.get("alpn");
    let tls = || {
        let sni = traffic_sni(reading, backend, server);
        tls(reading.config, server, sni, alpn)
    };
    let tls = settings.has("ssl").then(tls);
    let chosen = alpn.filter(|_| tls.is_some()).map(|_| Speaks::AsChosen);
    let proto = settings.value("proto");
    Connection {
        endpoint: server.endpoint.clone(),
        tls,
        proxy: proxy(server),
        source: source(backend, server),
        socks4: settings.get("socks4").cloned(),
        speaks: fixed(proto).or(chosen).unwrap_or(Speaks::Http1),
        place: server.place.clone(),
    }
}

/// Returns how HAProxy's own check connects: one connection for each `connect` rule in this list,
/// or the connection of the server line if the list has no such rule.
pub(crate) fn of_check(
    reading: Reading,
    backend: &Backend,
    server: &Server,
    list: Option<&List>,
) -> Vec<Connection> {
    let default = default_connection(reading, backend, server);
    let rules = list.into_iter().flat_map(|list| list.all("connect"));
    let of_rules = rules.map(|rule| rule_connection(reading, (backend, server), &default, rule));
    let connections: Vec<Connection> = of_rules.collect();
    match connections.is_empty() {
        true => vec![default],
        false => connections,
    }
}

/// Returns the SNI of connections for visitors' requests.
fn traffic_sni(reading: Reading, backend: &Backend, server: &Server) -> Sni {
    let Some(sni) = server.settings.get("sni") else {
        let is_auto = reading.auto_sni && !server.settings.has("no-sni-auto");
        return match is_auto && backend.settings.http {
            true => Sni::PerRequest("the Host header".to_owned()),
            false => Sni::Absent,
        };
    };
    let expression = sni.value.as_str();
    let Sample {
        fetch,
        argument,
        rest,
    } = Sample::of(expression);
    let (argument, default) = match fetch {
        "var" => argument.split_once(',').unwrap_or((argument, "")),
        _ => (argument, ""),
    };
    let facts = &reading.config.facts;
    let is_never_set = |name: &str| !facts.sets_unknown && !facts.variables.contains(name);
    // The value, if it is the same for every request.
    let constant = match fetch {
        "str" => Some(argument),
        "env" => Some(reading.variables.get(argument).unwrap_or_default()),
        "srv_name" => Some(server.name.as_str()),
        "be_name" => Some(backend.name.as_str()),
        "hdr" | "req.hdr" | "req.fhdr" if argument.eq_ignore_ascii_case("host") => {
            backend.only_host()
        }
        "var" if is_never_set(argument) || ends_before_connecting(argument) => Some(default),
        // Only a TLS listener knows the visitor's SNI name.
        "ssl_fc_sni" if !facts.tls_listener => Some(""),
        // This fetch looks for a TLS ClientHello in the request, which is HTTP here.
        "req.ssl_sni" | "req_ssl_sni" if backend.settings.http => Some(""),
        _ => None,
    };
    match constant {
        // HAProxy sends no empty name, and applies no converter to an absent value.
        Some("") if rest.is_empty() || fetch != "str" => Sni::Absent,
        // Only HAProxy knows the result of its converters.
        Some(name) if rest.is_empty() => Sni::Name(name.to_owned()),
        _ => Sni::PerRequest(expression.to_owned()),
    }
}

/// The parts of a sample expression: `FETCH(ARGUMENT),CONVERTER…` (configuration manual, section 7.3).
struct Sample<'a> {
    fetch: &'a str,
    /// The argument, without quotes around it.
    argument: &'a str,
    /// The converters.
    rest: &'a str,
}

impl<'a> Sample<'a> {
    fn of(expression: &'a str) -> Sample<'a> {
        let end = expression.find(['(', ',']).unwrap_or(expression.len());
        let (fetch, rest) = expression.split_at(end);
        // The first closing parenthesis outside of quotes ends the argument.
        let mut quote = None;
        let close = rest.find(|c| match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                false
            }
            (Some(open), _) => {
                quote = quote.filter(|_| open != c);
                false
            }
            (None, _) => c == ')',
        });
        let inside = rest.strip_prefix('(').zip(close);
        let (argument, rest) = match inside {
            Some((_, close)) => (&rest[1..close], &rest[close + 1..]),
            None => ("", rest),
        };
        Sample {
            fetch,
            argument: argument.trim_matches(['\'', '"']),
            rest,
        }
    }
}

/// Returns true if HAProxy removes this variable before it connects to a server. HAProxy removes all
/// variables of the request (`req.`) and of the response (`res.`).
fn ends_before_connecting(variable: &str) -> bool {
    variable.starts_with("req.") || variable.starts_with("res.")
}

/// Returns the connection of a check that has no `connect` rule, or that has `connect default`. If `port` or
/// `addr` is set, HAProxy drops the server's TLS and PROXY header for the check. In that case, only
/// `check-ssl` and `check-send-proxy` count.
fn default_connection(reading: Reading, backend: &Backend, server: &Server) -> Connection {
    let settings = &server.settings;
    let elsewhere = settings.get("port").or(settings.get("addr"));
    let inherits = elsewhere.is_none() && !settings.has("no-check-ssl");
    let has_tls = settings.has("check-ssl") || (inherits && settings.has("ssl"));
    let own_proxy = settings.place("check-send-proxy");
    let own_proxy = own_proxy.map(|place| At::new("check-send-proxy".to_owned(), place));
    let inherited = || proxy(server).filter(|_| elsewhere.is_none());
    let place = settings.place("check-sni");
    let place = place.or(elsewhere.map(|at| &at.place));
    let own_alpn = settings.get("check-alpn");
    let alpn = own_alpn.or(settings.get("alpn"));
    let sni = || check_sni(reading, backend, server);
    let proto = settings.value("check-proto").or(settings.value("proto"));
    let socks4 = settings.get("socks4");
    let socks4 = socks4.filter(|_| settings.has("check-via-socks4"));
    Connection {
        endpoint: check_endpoint(server, None, None),
        tls: has_tls.then(|| tls(reading.config, server, sni(), alpn)),
        proxy: own_proxy.or_else(inherited),
        source: source(backend, server),
        socks4: socks4.cloned(),
        speaks: spoken(reading, backend, proto, (own_alpn, alpn)),
        place: place.unwrap_or(&server.place).clone(),
    }
}

/// Returns the SNI name of a check, exactly as HAProxy sends it. This is the name in `check-sni`. Without
/// `check-sni`, HAProxy 3.3 and later send the check's Host.
fn check_sni(reading: Reading, backend: &Backend, server: &Server) -> Sni {
    let settings = &server.settings;
    let by_itself = reading.auto_sni && !settings.has("no-check-sni-auto");
    let host = || backend.settings.rules.host().filter(|_| by_itself);
    let named = settings.value("check-sni").map(str::to_owned);
    match named.or_else(host) {
        Some(name) if !name.is_empty() => Sni::Name(name),
        _ => Sni::Absent,
    }
}

/// Returns the connection of `http-check connect` or `tcp-check connect`. Without `default` in the rule, the
/// check doesn't inherit TLS, SNI and PROXY header from the server line. It always inherits the source, the
/// certificate files and `verify`. It inherits the address and the port if the rule doesn't set them.
fn rule_connection(
    reading: Reading,
    (backend, server): (&Backend, &Server),
    default_connection: &Connection,
    rule: &At<Vec<String>>,
) -> Connection {
    let words = &rule.value;
    let has = |word: &str| words.iter().any(|known| known == word);
    let after = |word: &str| word_after(words, word).map(String::as_str);
    let default = has("default").then_some(default_connection);
    let named = after("sni").map(|name| Sni::Name(name.to_owned()));
    let default_tls = default.and_then(|default| default.tls.as_ref());
    let default_sni = || default_tls.map(|tls| tls.sni.clone());
    let sni = named.or_else(default_sni).unwrap_or(Sni::Absent);
    let own_proxy = has("send-proxy").then(|| At::new("send-proxy".to_owned(), &rule.place));
    let settings = &server.settings;
    let of_rule = after("alpn").map(|alpn| At::new(alpn.to_owned(), &rule.place));
    let check_alpn = settings.get("check-alpn");
    // Without `default`, the check offers `alpn` of the server line, not `check-alpn`. If `check-alpn` is
    // set, the check still speaks the version that the server chooses.
    let offered = check_alpn.filter(|_| default.is_some());
    let alpn = of_rule.as_ref().or(offered).or(settings.get("alpn"));
    let own_alpn = of_rule.as_ref().or(check_alpn);
    let of_server = || settings.value("check-proto").or(settings.value("proto"));
    let of_server = default.and_then(|_| of_server());
    let proto = after("proto").or(of_server);
    let socks4 = settings.get("socks4").filter(|_| has("via-socks4"));
    let inherited = default.and_then(|default| default.socks4.as_ref());
    Connection {
        endpoint: check_endpoint(server, after("addr"), after("port")),
        tls: (has("ssl") || default_tls.is_some()).then(|| tls(reading.config, server, sni, alpn)),
        proxy: own_proxy.or_else(|| default.and_then(|default| default.proxy.clone())),
        source: default_connection.source.clone(),
        socks4: socks4.or(inherited).cloned(),
        speaks: spoken(reading, backend, proto, (own_alpn, alpn)),
        place: rule.place.clone(),
    }
}

/// Returns the address to which a check connects. The address and the port of the rule have the highest
/// priority. `addr` and `port` of the server line come next, and the server's own address and port come last.
fn check_endpoint(server: &Server, address: Option<&str>, port: Option<&str>) -> Endpoint {
    let settings = &server.settings;
    let endpoint = address.or(settings.value("addr")).map(Endpoint::parse);
    let endpoint = endpoint.unwrap_or_else(|| server.endpoint.clone());
    let Endpoint::Tcp(host, own) = endpoint else {
        return endpoint;
    };
    let given = port.or(settings.value("port"));
    let given = given.and_then(|port| port.parse().ok());
    let port = given.filter(|port| *port != 0).unwrap_or(own);
    match (port, &server.endpoint) {
        (0, Endpoint::Tcp(_, service)) => Endpoint::Tcp(host, *service),
        _ => Endpoint::Tcp(host, port),
    }
}

fn tls(config: &Configuration, server: &Server, sni: Sni, alpn: Option<&At<String>>) -> Tls {
    let settings = &server.settings;
    let verifies = match settings.value("verify") {
        Some(verify) => verify != "none",
        None => config.global.verify_none.is_none(),
    };
    // HAProxy compares the certificate with the SNI name. `verifyhost` counts only for a connection without
    // SNI.
    let verified = match (&sni, settings.value("verifyhost")) {
        _ if !verifies => Verified::Nothing,
        (Sni::Name(name), _) => Verified::Name(name.clone()),
        (Sni::PerRequest(_), _) => Verified::PerRequest,
        (Sni::Absent, Some(name)) => Verified::Name(name.to_owned()),
        (Sni::Absent, None) => Verified::Chain,
    };
    Tls {
        sni,
        alpn: alpn.cloned(),
        verified,
        ca_file: settings.get("ca-file").cloned(),
        crl_file: settings.get("crl-file").cloned(),
        crt: settings.get("crt").cloned(),
    }
}

fn proxy(server: &Server) -> Option<At<String>> {
    let word = PROXY.into_iter().find(|word| server.settings.has(word))?;
    let place = server.settings.place(word)?;
    Some(At::new(word.to_owned(), place))
}

fn source(backend: &Backend, server: &Server) -> Option<At<String>> {
    let source = server.settings.get("source");
    source.or(backend.settings.source.as_ref()).cloned()
}
