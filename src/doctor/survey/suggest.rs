//! Finds changes that haproxy.cfg itself suggests. Examples are the correct form of a badly written name, a
//! file that another server uses, and the removal of a word that limits connections. diagnose tries these
//! changes.

mod address;
mod encryption;
mod limits;
mod served;

use self::address::other_addresses;
pub(crate) use self::address::{AtVisitors, at_visitors, elsewhere};
use self::encryption::{below, encryption, without_hello};
pub(crate) use self::encryption::{meant_tls, without_tls};
use self::limits::{global_limits, http2, limits};

use crate::causes::facts::{KnownValue, is_name};
use crate::code::{Code, Layer};
use crate::doctor::by_hand::{self, traffic_name};
use crate::doctor::rules::names::meant_sni;
use crate::doctor::visit::{Visit, Watch, own_check};
use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::Sni;
use crate::haproxy::config::crt_store::ClientCertificate;
use crate::haproxy::config::http_check::Request;
use crate::haproxy::config::place::Place;
use crate::haproxy::config::server_line::has_value;
use crate::haproxy::words::split;

/// A word and its new value. `None` removes the word. An empty value sets a word that has no value. The word
/// [`ADDRESS`] stands for the address of the server line.
pub(crate) type Edit = (&'static str, Option<String>);

/// A new line of a backend: the first words of the lines that it replaces, and then its own words.
pub(crate) type NewLine = (&'static [&'static str], Vec<String>);

/// In an [`Edit`], the address of the server line. HAProxy has no such word.
pub(crate) const ADDRESS: &str = "address";

/// A misspelt word of a server line or of a `default-server` line, and its correct spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Renamed {
    pub place: Place,
    pub wrong: String,
    pub right: String,
    /// The word after the misspelt word, if the correct word has a value.
    pub value: Option<String>,
}

/// A change that may help.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suggestion {
    /// The edits to the server line.
    pub words: Vec<Edit>,
    /// The edits to the check's `connect` rule.
    pub connect: Vec<Edit>,
    /// diagnose tries the change only if the check fails at this layer. `None` for any layer.
    pub layer: Option<Layer>,
    /// diagnose tries the change only if sni-check's check fails with this code. `None` for any code.
    pub code: Option<Code>,
    /// True if diagnose tries the change with sni-check first. HAProxy then tries it only if sni-check can't
    /// check the server.
    pub is_known: bool,
    /// True if the change adds HTTP/1.1 and a Host header to the request of HAProxy's own check.
    pub is_http11: bool,
    /// The new request of HAProxy's own check, if the change replaces the request. With `is_http11`, this
    /// request counts only if sni-check has no options for the check.
    pub request: Option<Request>,
    /// The new lines of the backend.
    pub lines: Vec<NewLine>,
    /// A misspelt word to correct.
    pub renamed: Option<Renamed>,
    /// Why the change helps, if it helps.
    pub what: String,
}

/// Why a different name in `verifyhost` helps.
pub(crate) const UNVERIFIED: &str = "The connection sends no SNI, so HAProxy compares the certificate with verifyhost. The certificate is for \
another name.";

/// Returns the changes for a server, the most certain first.
pub(crate) fn of(visit: &Visit, watch: &Watch) -> Vec<Suggestion> {
    let mut found: Vec<Suggestion> = misspelt(visit, watch).into_iter().collect();
    if let Check::Own(_) = &watch.check {
        found.extend(below(watch));
        found.extend(name(visit, watch));
        found.extend(verified_address(watch));
        found.extend(encryption(visit, watch));
        found.extend(old_form(visit, watch));
        found.extend(request(watch));
        found.extend(without_hello(watch));
        found.extend(without_http(watch));
        found.extend(http11(watch));
        found.extend(check_alpn(watch));
        found.extend(http2(watch));
        found.extend(known_values(visit, watch).into_iter().filter_map(known));
    }
    found.extend(served::without_tls(watch));
    found.extend(served::misspelt_header(watch));
    found.extend(expression(visit, watch));
    found.extend(longer(watch));
    found.extend(limits(watch));
    found.extend(global_limits(visit, watch));
    found.extend(other_addresses(watch));
    found
}

/// Returns the words of the first `connect` rule of HAProxy's own check, if it has one.
fn rule<'a>(watch: &'a Watch) -> Option<&'a [String]> {
    watch.connect_line().map(|line| line.value.as_slice())
}

fn has(rule: Option<&[String]>, word: &str) -> bool {
    rule.is_some_and(|rule| rule.iter().any(|known| known == word))
}

/// Returns the Host that the frontends give to every request, or else the names that visitors ask for. Skips
/// values that aren't names.
pub(crate) fn hosts<'a>(watch: &Watch<'a>) -> impl Iterator<Item = &'a String> {
    let visitors = &watch.backend.visitors;
    let given = visitors.host.iter().map(|at| &at.value);
    let asked = visitors.names.iter().filter(|_| visitors.host.is_none());
    given.chain(asked).filter(|name| is_name(name))
}

/// Suggests the correct form of a badly written name in `check-sni`, or in the `sni` of the server line or of
/// the `connect` rule.
fn name(visit: &Visit, watch: &Watch) -> Option<Suggestion> {
    let meant = |sni: &Sni| match sni {
        Sni::Name(text) => meant(visit, text),
        _ => None,
    };
    let tls = watch.connections.first()?.tls.as_ref()?;
    let of_check = meant(&tls.sni);
    let of_traffic = watch.traffic.tls.as_ref().and_then(|tls| meant(&tls.sni));
    let name = of_check.as_ref().or(of_traffic.as_ref())?.clone();
    let in_rule = has(rule(watch), "sni");
    let mut suggestion = Suggestion {
        what: format!(
            "HAProxy sends the name exactly as it is written. The correct name is {name}."
        ),
        ..Suggestion::default()
    };
    if of_check.is_some() {
        match in_rule {
            true => suggestion.connect.push(("sni", Some(name.clone()))),
            false => suggestion.words.push(("check-sni", Some(name.clone()))),
        }
    }
    if of_traffic.is_some() {
        suggestion.words.push(("sni", Some(format!("str({name})"))));
    }
    Some(suggestion)
}

/// Suggests the expression that the operator most likely meant, if HAProxy refuses the `sni` of the server
/// line.
fn expression(visit: &Visit, watch: &Watch) -> Option<Suggestion> {
    let written = &watch.server.settings.get("sni")?.value;
    let expression = meant_sni(visit, watch.server)?;
    Some(Suggestion {
        what: format!(
            "HAProxy refuses `sni {written}`, because sni needs an expression: {expression}."
        ),
        words: vec![("sni", Some(expression))],
        ..Suggestion::default()
    })
}

/// Returns the name in a text such as `https://NAME/`, `NAME:443`, `NAME.`, `str(NAME)` or `${NAME}`. Returns
/// `None` if the text already is the name, or contains no name.
pub(crate) fn meant(visit: &Visit, text: &str) -> Option<String> {
    let argument = |fetch: &str| text.strip_prefix(fetch)?.strip_suffix(')');
    let variable = |name: &str| visit.variables.get(name).map(str::to_owned);
    let name = argument("str(").unwrap_or(text);
    let name = match (argument("env("), name.strip_prefix('$')) {
        (Some(name), _) => variable(name)?,
        (None, Some(name)) => variable(name.trim_start_matches('{').trim_end_matches('}'))?,
        (None, None) => name.to_owned(),
    };
    let name = name.trim_matches(['"', '\'', ' ']);
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    let name = name.split(['/', ':']).next().unwrap_or_default();
    let name = name.trim_end_matches('.');
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = name.bytes().all(is_valid) && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    (is_name && name != text).then(|| name.to_owned())
}

/// Suggests leaving out a `verifyhost` that is an IP address.
fn verified_address(watch: &Watch) -> Option<Suggestion> {
    let name = watch.server.settings.get("verifyhost")?;
    let address: std::net::IpAddr = name.value.parse().ok()?;
    Some(Suggestion {
        words: vec![("verifyhost", None)],
        what: format!(
            "verifyhost {address} is an IP address, and HAProxy compares only DNS names and the common name. \
             Without verifyhost, HAProxy verifies that a CA in ca-file signed the certificate, but doesn't verify a name."
        ),
        ..Suggestion::default()
    })
}

/// Suggests HAProxy's own correction of a word that it doesn't know on the server line or on a `default-server`
/// line.
fn misspelt(visit: &Visit, watch: &Watch) -> Option<Suggestion> {
    let mut places = watch.server.places();
    let (place, alert) = places.find_map(|place| Some((place, visit.alert_at(place)?)))?;
    let (_, rest) = alert.split_once("unknown keyword '")?;
    let (wrong, rest) = rest.split_once('\'')?;
    let (right, _) = rest.split_once("did you mean '")?.1.split_once('\'')?;
    let line = place.text()?;
    let variable = |name: &str| visit.variables.get(name).map(str::to_owned);
    let words = split(&line, &variable).ok()?.text();
    let mut words = words.iter().skip_while(|word| *word != wrong);
    let value = words.nth(1).filter(|_| has_value(right)).cloned();
    // Nobody should give up the verification by accident.
    let is_lax = right == "verify" && value.as_deref() == Some("none");
    (!is_lax && has_value(right) == value.is_some()).then(|| Suggestion {
        renamed: Some(Renamed {
            place: place.clone(),
            wrong: wrong.to_owned(),
            right: right.to_owned(),
            value,
        }),
        what: format!(
            "HAProxy doesn't start, because it doesn't know the word {wrong} ({place}). The correct word is {right}."
        ),
        ..Suggestion::default()
    })
}

/// Suggests `http-check send` for the request of an `option httpchk` that HAProxy refuses because of its old
/// form.
fn old_form(visit: &Visit, watch: &Watch) -> Option<Suggestion> {
    let settings = &watch.backend.settings;
    let place = &settings.check.as_ref()?.place;
    let is_refused = settings.rules.has_old_headers() && visit.alert_at(place).is_some();
    is_refused.then(|| Suggestion {
        request: Some(settings.rules.sent()),
        what: format!(
            "HAProxy doesn't start with `option httpchk` at {place}: since HAProxy 3.0, this line can't contain \
             headers. `http-check send` sends the same request."
        ),
        ..Suggestion::default()
    })
}

/// Suggests the request of `defaults`, if later lines have replaced it. Where both set a word, the suggestion
/// keeps the word of the later lines.
fn request(watch: &Watch) -> Option<Suggestion> {
    let Check::Own(check) = &watch.check else {
        return None;
    };
    let rules = &watch.backend.settings.rules;
    let own = rules.sent();
    let mut request = rules
        .replaced_request()?
        .with_changes(&Request::default(), &own);
    let page = |request: &Request| {
        let method = request.method.as_deref().unwrap_or("OPTIONS");
        format!("{method} {}", request.uri.as_deref().unwrap_or("/"))
    };
    let (sent, meant) = (page(&own), page(&request));
    let is_lost = |(name, _): &&(String, String)| !own.has_header(name);
    let lost = request.headers.iter().filter(is_lost);
    let lost: Vec<&str> = lost.map(|(name, _)| name.as_str()).collect();
    let effect = match (sent == meant, lost.as_slice()) {
        (false, _) => format!("sends {sent} in place of {meant}"),
        (true, []) => return None,
        (true, names) => format!("sends no header {}", names.join(", ")),
    };
    request.version = Some("HTTP/1.1".to_owned());
    if request.host().is_none()
        && let Some(name) = traffic_name(watch)
    {
        request.set_header("Host", &name);
    }
    (check.protocol.sends_request() && own.formats == [None, None]).then(|| Suggestion {
        request: Some(request),
        layer: Some(Layer::Http),
        what: format!(
            "Later `option httpchk` or http-check lines replace the request of defaults, so the check {effect}."
        ),
        ..Suggestion::default()
    })
}

/// Suggests `option tcp-check` in place of `option httpchk` in `mode tcp`, because the server may speak
/// another protocol than HTTP. Often, such a section inherits `option httpchk` from `defaults`.
fn without_http(watch: &Watch) -> Option<Suggestion> {
    let Check::Own(check) = &watch.check else {
        return None;
    };
    let is_possible = check.protocol.sends_request() && !watch.backend.settings.http;
    is_possible.then(|| Suggestion {
        code: Some(Code::NotHttp),
        lines: vec![new_line(
            &["option", "httpchk"],
            ["option", "tcp-check"],
        )],
        what: "The server doesn't speak HTTP, but `option httpchk` makes HAProxy's check send an HTTP request. With \
               `option tcp-check`, HAProxy checks the connection and the TLS handshake."
            .to_owned(),
        ..Suggestion::default()
    })
}

/// Suggests HTTP/1.1 for a check that sends an HTTP/1.0 request, and a Host header for a check that sends no
/// Host header. sni-check always sends HTTP/1.1 and a Host header.
fn http11(watch: &Watch) -> Option<Suggestion> {
    let Check::Own(check) = &watch.check else {
        return None;
    };
    let sent = watch.backend.settings.rules.sent();
    let what = match (sent.is_1_1(), sent.host()) {
        (false, None) => {
            "HAProxy's own check sends a request of HTTP/1.0 without a Host header, because the line with the request has \
             neither HTTP/1.1 nor a Host header (`ver HTTP/1.1` and `hdr Host` in http-check send). The server refuses the \
             request without them."
        }
        (false, Some(_)) => {
            "HAProxy's own check sends a request of HTTP/1.0, because the line with the request has no HTTP/1.1 \
             (`ver HTTP/1.1` in http-check send). The server refuses HTTP/1.0."
        }
        (true, None) => {
            "HAProxy's own check sends no Host header, because haproxy.cfg has no `hdr Host` in http-check send. The \
             server refuses the request without Host."
        }
        (true, Some(_)) => return None,
    };
    let mut request = sent;
    request.version = Some("HTTP/1.1".to_owned());
    if request.host().is_none()
        && let Some(name) = traffic_name(watch)
    {
        request.set_header("Host", &name);
    }
    check.protocol.sends_request().then(|| Suggestion {
        is_http11: true,
        request: Some(request),
        what: what.to_owned(),
        ..Suggestion::default()
    })
}

/// Suggests a known value if it is a file: a CA file, a revocation list or a client certificate.
fn known(known: KnownValue) -> Option<Suggestion> {
    let KnownValue {
        option,
        word: value,
        of,
        ..
    } = known;
    let files = ["ca-file", "crl-file", "crt"];
    let word = files.into_iter().find(|word| option.ends_with(word))?;
    Some(Suggestion {
        what: format!("The check works with {word} {value} (from {of})."),
        words: vec![(word, Some(value))],
        is_known: true,
        ..Suggestion::default()
    })
}

/// The largest number of known values that diagnose tries.
const VALUES: usize = 16;
/// How many of these values may be names from visitors' requests.
const NAMES: usize = 4;
/// How many of these values may be header fields from visitors' requests.
const FIELDS: usize = 4;

/// Returns values of the configuration that may also be right for this server:
///
/// - CA files and revocation lists of all servers,
/// - client certificates and source addresses of servers in the same backend, or with the same address or SNI
///   name,
/// - names that traffic or checks of servers in the same backend send or verify,
/// - the server's own name, and names and header fields from visitors' requests.
///
/// For HAProxy's own check, the value of `--no-sni` is a name for `verifyhost`. For an external check in a
/// chroot, this function returns no files.
pub(crate) fn known_values(visit: &Visit, watch: &Watch) -> Vec<KnownValue> {
    let global = &visit.config.global;
    // Inside a chroot, the path may lead to a different file.
    let is_jailed = matches!(watch.check, Check::External(_)) && global.chroot.is_some();
    let name = traffic_name(watch);
    let is_near = |other: &Watch| other.backend.name == watch.backend.name;
    let is_related = |other: &Watch| {
        is_near(other)
            || other.server.endpoint.to_string() == watch.server.endpoint.to_string()
            || (name.is_some() && traffic_name(other) == name)
    };
    let mut found = of_requests(watch);
    let (mut related, others): (Vec<&Watch>, Vec<&Watch>) =
        visit.watches.iter().partition(|other| is_related(other));
    // If several lines contain the same value, the first line counts as its source. The server's own line is
    // the best source.
    related.sort_by_key(|other| !std::ptr::eq(other.server, watch.server));
    for other in related.iter().chain(&others) {
        let of = match std::ptr::eq(other.server, watch.server) {
            true => "visitors' connections".to_owned(),
            false => other.name(),
        };
        let word = |word| Some(&other.server.settings.get(word)?.value);
        let mut options = by_hand::options(other, visit.jail).unwrap_or_default();
        let ca_file = word("ca-file").map(|file| global.ca_path(file));
        options.ca_file.splice(0..0, ca_file);
        let crl_file = word("crl-file").map(|file| global.ca_path(file));
        options.crl_file.splice(0..0, crl_file);
        if let Some(crt) = word("crt").filter(|_| is_related(other)) {
            let ClientCertificate { crt: file, key } = own_check::client_certificate(global, crt);
            found.extend((!is_jailed).then(|| KnownValue {
                word: global.crt_path(crt),
                key,
                ..known_value("--crt", &file, &of)
            }));
        }
        options.crt = options.crt.filter(|_| is_related(other));
        let source = other.traffic.source.as_ref().map(|at| &at.value);
        let source = source.or(options.source.as_ref());
        if let Some(source) = source.filter(|_| is_related(other)) {
            found.push(known_value("--source", source, &of));
        }
        for (option, file) in options.files().filter(|_| !is_jailed) {
            if ["--ca-file", "--crl-file", "--crt"].contains(&option) {
                found.push(known_value(option, file, &of));
            }
        }
        if let Some(known) = verified_name(watch, other).filter(|_| is_near(other)) {
            found.push(known);
        }
        let of_traffic = traffic_name(other);
        let of_traffic = of_traffic.iter().map(|name| (name, of.as_str()));
        let of_check = [options.sni.as_ref(), word("check-sni")].into_iter();
        let of_check = of_check.flatten().map(|name| (name, "a check"));
        let names = of_traffic.chain(of_check);
        for (name, of) in names.filter(|(name, _)| is_near(other) && is_name(name)) {
            found.push(known_value("--sni", name, of));
        }
    }
    let mut distinct: Vec<KnownValue> = Vec::new();
    for known in found {
        let mut all = distinct.iter();
        if !all.any(|other| (other.option, &other.value) == (known.option, &known.value)) {
            distinct.push(known);
        }
    }
    distinct.truncate(VALUES);
    distinct
}

fn known_value(option: &'static str, value: &str, of: &str) -> KnownValue {
    KnownValue {
        option,
        value: value.to_owned(),
        word: value.to_owned(),
        key: None,
        of: of.to_owned(),
    }
}

/// Returns the name in the `verifyhost` of `other`, as a value for `watch`. HAProxy's own check verifies this
/// name only if the check sends no SNI.
fn verified_name(watch: &Watch, other: &Watch) -> Option<KnownValue> {
    let name = &other.server.settings.get("verifyhost")?.value;
    let option = match watch.check {
        Check::Own(_) => "--no-sni",
        _ => "--verify-host",
    };
    let of = match std::ptr::eq(other.server, watch.server) {
        true => "the server line".to_owned(),
        false => other.name(),
    };
    is_name(name).then(|| known_value(option, name, &of))
}

/// Returns the server's own name, and names and header fields from visitors' requests.
fn of_requests(watch: &Watch) -> Vec<KnownValue> {
    let settings = &watch.backend.settings;
    let own = is_name(&watch.server.name).then_some((&watch.server.name, "the server's name"));
    let given = settings.host.fixed().into_iter().map(|at| &at.value);
    let mentions = watch.backend.visitors.mentions.iter();
    let names = given.chain(hosts(watch)).chain(mentions);
    let names = names.filter(|name| is_name(name));
    let names = names.take(NAMES).map(|name| (name, "visitors' requests"));
    let names = own.into_iter().chain(names);
    let names = names.map(|(name, of)| known_value("--sni", name, of));
    let fields = settings.fields.iter().chain(&watch.backend.visitors.fields);
    let fields = fields.take(FIELDS);
    let fields = fields.map(|(field, words)| known_value("--header", field, words));
    names.chain(fields).collect()
}

/// Suggests that a check should offer only HTTP/1.1, if it offers HTTP/2 only because visitors' connections
/// do.
fn check_alpn(watch: &Watch) -> Option<Suggestion> {
    let settings = &watch.server.settings;
    let alpn = &settings.get("alpn")?.value;
    let is_own = settings.has("check-alpn") || has(rule(watch), "alpn");
    let offers_http2 = alpn.split(',').any(|name| name == "h2");
    (offers_http2 && !is_own).then(|| Suggestion {
        words: vec![("check-alpn", Some("http/1.1".to_owned()))],
        what: format!(
            "HAProxy's own check offers {alpn}, as the server line says. Before HAProxy 3.2, the check speaks HTTP/1.1 \
             even if the server chooses HTTP/2."
        ),
        ..Suggestion::default()
    })
}

/// Suggests a longer `timeout check` if `sni-check serve` may check the server for at least as long as
/// HAProxy waits.
fn longer(watch: &Watch) -> Option<Suggestion> {
    let Check::Serve(serve) = &watch.check else {
        return None;
    };
    let own = watch.own.as_ref()?.plan.timeout.as_millis();
    let limit = serve.limit(watch.server).as_millis();
    let time = format!("{}ms", own + own.div_ceil(10));
    (own >= limit).then(|| Suggestion {
        lines: vec![new_line(&["timeout", "check"], ["timeout", "check", &time])],
        what: format!(
            "sni-check serve checks the server for up to {own} ms (--timeout), but HAProxy waits only {limit} ms for \
             the answer of serve."
        ),
        ..Suggestion::default()
    })
}

fn new_line<const N: usize>(old: &'static [&'static str], words: [&str; N]) -> NewLine {
    (old, words.map(str::to_owned).to_vec())
}
