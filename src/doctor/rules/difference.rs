//! Rules that compare a server's check with visitors' traffic: where both connect, and what both send. The
//! comparison is the same for each kind of check.

use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::check::{Check, Protocol};
use crate::haproxy::config::connection::{Connection, Sni, Tls, Verified};
use crate::haproxy::config::place::{At, Place};
use crate::haproxy::config::server_line::Settings;

use super::align::with_traffic;
use super::names::{bare, is_address, is_literal, meant, misspelt};
use super::shared::{by_server_line, others_differ, sni};
use crate::doctor::finding::{Effect, Finding, Sides};
use crate::doctor::visit::{Visit, Watch};

/// A server's check and its traffic, if both connect to the same address and port.
pub(crate) struct Pair<'a> {
    pub watch: &'a Watch<'a>,
    pub check: &'a Connection,
    pub traffic: &'a Connection,
}

impl<'a> Pair<'a> {
    /// Pairs traffic with the check's first connection to the same address and port. Returns `None` if the
    /// check has no such connection, or if doctor doesn't know how the check connects.
    pub(crate) fn of(watch: &'a Watch<'a>) -> Option<Pair<'a>> {
        let traffic = &watch.traffic;
        let mut checks = watch.connections.iter();
        let check = checks.find(|check| same_endpoint(check, traffic))?;
        Some(Pair {
            watch,
            check,
            traffic,
        })
    }

    /// Returns the TLS settings of check and traffic, if both use TLS.
    pub(crate) fn tls(&self) -> Option<(&'a Tls, &'a Tls)> {
        Some((self.check.tls.as_ref()?, self.traffic.tls.as_ref()?))
    }

    /// Returns the advice to send this name as the check's SNI.
    pub(crate) fn send(&self, visit: &Visit, name: &str) -> String {
        let own = Some(format!("check-sni {name}"));
        if let Some(advice) = by_server_line(visit, self.watch, sni, "sni", own) {
            return advice;
        }
        match (self.watch.carrier(), self.watch.connect_rule()) {
            (Some(carrier), _) => format!("--sni {name} in {carrier}"),
            (None, Some(_)) => format!("in that connect line, write sni {name}"),
            (None, None) => format!("check-sni {name} on the server line"),
        }
    }

    /// Returns the advice to send no SNI in the check.
    fn send_none(&self, visit: &Visit) -> String {
        let has_own = self.settings().has("check-sni");
        if let Some(advice) =
            by_server_line(visit, self.watch, sni, "sni", None).filter(|_| !has_own)
        {
            return advice;
        }
        let Some(carrier) = self.watch.carrier() else {
            let of_line = match self.settings().has("check-sni") {
                true => "remove `check-sni` from the server line",
                false => "",
            };
            return match (self.watch.connect_rule(), of_line) {
                (None, _) => of_line.to_owned(),
                (Some(_), "") => "remove `sni` from that connect line".to_owned(),
                (Some(_), _) => format!("remove `sni` from that connect line; and {of_line}"),
            };
        };
        let verified = match self.traffic.tls.as_ref().map(|tls| &tls.verified) {
            Some(Verified::Name(name)) => name.as_str(),
            _ => "NAME",
        };
        // Without an SNI name, sni-check would send the address as Host.
        let host = match (&self.watch.own, self.check.tls.as_ref().map(|tls| &tls.sni)) {
            (Some(own), Some(Sni::Name(name))) if !own.options.has_header("Host") => {
                format!(" --header 'Host: {name}'")
            }
            _ => String::new(),
        };
        format!("--no-sni --verify-host {verified}{host} in {carrier}, in place of --sni")
    }

    fn settings(&self) -> &Settings {
        &self.watch.server.settings
    }

    /// Returns the line that decides what the check sends: the check's `connect` line, or else `other`.
    fn place_or<'b>(&'b self, other: &'b Place) -> &'b Place {
        self.watch
            .connect_rule()
            .map_or(other, |_| &self.check.place)
    }

    fn is_ours(&self) -> bool {
        self.watch.own.is_some()
    }

    /// Returns what HAProxy shows: `codes` for a check by sni-check, `status` for HAProxy's own check.
    pub(crate) fn down(&self, codes: &str, status: &str) -> String {
        match self.watch.carrier() {
            Some(_) => format!("DOWN with code {codes}"),
            None => format!("DOWN with {status}"),
        }
    }

    /// Returns what to write, and where to write it: `option` for a check by sni-check, `word` for
    /// HAProxy's own check.
    fn write(&self, option: &str, word: &str) -> String {
        match self.watch.carrier() {
            Some(carrier) => format!("{option} in {carrier}"),
            None => format!("{word} on the server line"),
        }
    }
}

fn same_endpoint(check: &Connection, traffic: &Connection) -> bool {
    // Names aren't resolved here, so a name and its address count as different.
    match (&check.endpoint, &traffic.endpoint) {
        (Endpoint::Tcp(_, port), Endpoint::Tcp(_, other)) if port != other => false,
        (Endpoint::Tcp(host, _), Endpoint::Tcp(other, _)) => host == other,
        (check, traffic) => check == traffic,
    }
}

/// Finds a PROXY header that only the check or only traffic sends. A server either waits for this header or
/// doesn't understand it.
pub(crate) fn proxy(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let sends_header = |connection: &Connection| connection.proxy.is_some();
    let moved = |change: &str| {
        let carrier = watch.carrier()?;
        let differ = others_differ(visit, watch, sends_header);
        differ.then(|| format!("move this server to its own backend, {change} in {carrier}"))
    };
    let (what, place, sides) = match (&pair.traffic.proxy, &pair.check.proxy) {
        (Some(sent), None) => {
            let option = match sent.value.as_str() {
                "send-proxy" => "--send-proxy",
                _ => "--send-proxy-v2",
            };
            let what = format!(
                "traffic starts with a PROXY header (`{}`), but the check does not",
                sent.value
            );
            // `connect default` inherits the header of the server line, unless that line has `port` or
            // `addr`.
            let is_elsewhere = ["port", "addr"]
                .iter()
                .any(|word| pair.settings().has(word));
            let own = is_elsewhere.then(|| "check-send-proxy".to_owned());
            let shared = by_server_line(visit, watch, sends_header, "", own);
            let shared = shared.or_else(|| moved(&format!("with {option}")));
            let sides = Sides {
                traffic: format!("remove `{}` from the server line", sent.value),
                check: match (watch.connect_rule(), shared) {
                    (_, Some(shared)) => shared,
                    (Some(_), None) => {
                        "add send-proxy to that http-check or tcp-check connect line".to_owned()
                    }
                    (None, None) => pair.write(option, "check-send-proxy"),
                },
            };
            (what, pair.place_or(&sent.place), sides)
        }
        (None, Some(sent)) => {
            let what = "the check starts with a PROXY header, but traffic does not".to_owned();
            let is_in_rule = watch.connect_rule().is_some() && sent.place == pair.check.place;
            let shared = by_server_line(visit, watch, sends_header, "send-proxy", None);
            let shared = shared.filter(|_| is_in_rule);
            let shared = shared.or_else(|| moved(&format!("without `{}`", sent.value)));
            let sides = Sides {
                traffic: "send-proxy on the server line".to_owned(),
                check: match (watch.carrier(), shared) {
                    (_, Some(shared)) => shared,
                    (Some(carrier), None) => format!("remove `{}` from {carrier}", sent.value),
                    (None, None) if is_in_rule => {
                        format!("remove `{}` from that connect line", sent.value)
                    }
                    _ => format!("remove `{}` from the server line", sent.value),
                },
            };
            (what, &sent.place, sides)
        }
        _ => return None,
    };
    // A check that only connects is UP with and without the header.
    let connects = matches!(&watch.check, Check::Own(own) if own.protocol == Protocol::Connect)
        && pair.check.tls.is_none();
    let finding = match (connects, pair.traffic.proxy.is_some()) {
        (true, _) => Finding::hint(what).shows("L4OK (UP) in both cases: the check only connects"),
        (false, true) => Finding::problem(Effect::Either, what).shows(format!(
            "{} where the server waits for that header; UP where it doesn't, while visitors fail",
            pair.down(
                "62, 63, 64, 73 or 74",
                "L6RSP, L6TOUT, L7RSP, L7STS, L7TOUT or SOCKERR"
            )
        )),
        (false, false) => Finding::problem(Effect::Either, what).shows(format!(
            "UP where the server waits for that header, while visitors fail; {} where it doesn't",
            pair.down(
                "61 to 64, 71, 73 or 74",
                "L6RSP, L7RSP, L7STS, L7TOUT or SOCKERR"
            )
        )),
    };
    let waits = match pair.traffic.proxy {
        Some(_) => "the server does not expect a PROXY header",
        None => "the server expects a PROXY header",
    };
    Some(finding.at(place).write_for(waits, sides))
}

pub(crate) fn traffic_without_sni(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    let (Sni::Name(sent), Sni::Absent) = (&check.sni, &traffic.sni) else {
        return None;
    };
    // If the check's name is wrong, another rule reports it. This advice contains the correct name.
    let sni = match is_literal(sent) {
        true => format!("sni \"str({sent})\""),
        false => format!("sni str({})", meant(sent)),
    };
    let given = watch.server.settings.get("sni");
    let forgotten = given.and_then(|sni| request_variable(&sni.value));
    let why = match (given, forgotten) {
        (Some(sni), Some(_)) => format!(
            "traffic sends no SNI, because HAProxy forgets {} before it connects",
            sni.value
        ),
        (Some(sni), None) => format!("traffic sends no SNI, because nothing sets {}", sni.value),
        (None, _) => "traffic sends no SNI".to_owned(),
    };
    let (why, ignored) = match &traffic.verified {
        Verified::Name(name) if !name.eq_ignore_ascii_case(meant(sent)) => (
            format!("{why}, and verifies only `verifyhost {name}`"),
            " (HAProxy then verifies that name, and ignores verifyhost)",
        ),
        _ => (why, ""),
    };
    let mut shows = "UP while visitors get 503 where the server requires SNI".to_owned();
    if check.verified != Verified::Nothing {
        shows += &format!(
            "; {} where the server's default certificate is for another name",
            pair.down("54", "L6RSP")
        );
    }
    let sides = Sides {
        traffic: match forgotten {
            Some(name) => format!(
                "set-var(txn.{name}) in place of set-var(req.{name}), and sni var(txn.{name}) on the server line; or \
                 {sni} there{ignored}"
            ),
            None => format!("{sni} on the server line{ignored}"),
        },
        check: pair.send_none(visit),
    };
    let name = meant(sent);
    Some(
        Finding::note(
            Effect::Either,
            format!("the check sends SNI {sent}, but {why}"),
        )
        .at(watch
            .server
            .settings
            .place("sni")
            .unwrap_or(&watch.server.place))
        .shows(shows)
        .foretells(&["54", "L6RSP"])
        .write_for(
            &format!("the server requires SNI and {name} is the site's name"),
            sides,
        ),
    )
}

/// Returns the name of a variable with the scope `req`, without the scope. HAProxy removes variables with
/// this scope before it connects to a server.
fn request_variable(expression: &str) -> Option<&str> {
    let name = expression.strip_prefix("var(req.")?;
    name.split([',', ')']).next()
}

/// Finds HAProxy's own check if it sends no SNI although traffic sends SNI.
pub(crate) fn check_without_sni(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let check = pair.check.tls.as_ref()?;
    if pair.is_ours() || check.sni != Sni::Absent {
        return None;
    }
    let names = watch.backend.names();
    let (sends, name) = match pair.traffic.tls.as_ref().map(|traffic| &traffic.sni) {
        Some(Sni::Absent) => return None,
        Some(Sni::Name(name)) if misspelt(name).is_none() => {
            (format!("traffic sends SNI ({name})"), name.as_str())
        }
        Some(sni @ (Sni::Name(sent) | Sni::PerRequest(sent))) => {
            let name = names.first().filter(|_| names.len() == 1 && sni.is_host());
            (
                format!("traffic sends SNI ({sent})"),
                name.map_or("NAME", String::as_str),
            )
        }
        None if watch.backend.gets_plain_bytes() => return None,
        None => (
            "the backend passes visitors' TLS and their SNI through (`mode tcp`)".to_owned(),
            names.first().map_or("NAME", String::as_str),
        ),
    };
    Some(
        Finding::note(
            Effect::Either,
            format!("{sends}, but HAProxy's own check sends none"),
        )
        .at(&pair.check.place)
        .shows(
            "L6RSP, \"SSL handshake failure\", or L7STS 421 (DOWN) where the server requires SNI; elsewhere \
             the check is UP with another site's certificate, even while visitors get 503",
        )
        .foretells(&["L6RSP", "L7STS 421"])
        .write(pair.send(visit, name)),
    )
}

pub(crate) fn other_sni(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    if pair.traffic.tls.is_none() {
        return other_than_visitors(visit, &pair);
    }
    let (check, traffic) = pair.tls()?;
    let Sni::Name(wanted) = &traffic.sni else {
        return None;
    };
    // Other rules report dots and spaces at the end of the name, and variables that HAProxy doesn't replace.
    let named = bare(wanted);
    let what = match &check.sni {
        Sni::Name(name) if name.eq_ignore_ascii_case(named) => return None,
        Sni::Name(name) if misspelt(name).is_some() || is_address(name) => return None,
        Sni::Name(name) => format!("the check sends SNI {name}, but traffic sends {wanted}"),
        Sni::Absent if pair.is_ours() => {
            format!("the check sends no SNI, but traffic sends {wanted}")
        }
        _ => return None,
    };
    if is_literal(wanted) || is_address(wanted) {
        return None;
    }
    let mut write = pair.send(visit, named);
    let options = watch.own.as_ref().map(|own| &own.options);
    let verified = options.and_then(|options| options.verify_host.as_ref());
    if options.is_some_and(|options| options.no_sni) {
        write += ", in place of --no-sni";
    } else if let Some(other) = verified.filter(|name| !name.eq_ignore_ascii_case(named)) {
        write += &format!(", in place of --verify-host {other}");
    }
    let write = match watch.carrier().is_some() && others_differ(visit, watch, sni) {
        true => format!("move this server to its own backend, with {write}"),
        false => write,
    };
    let sni = watch.server.settings.get("sni");
    // The name of a server or backend is seldom the name of a site.
    let is_name_of_server =
        |sni: &&At<String>| ["srv_name", "be_name"].contains(&sni.value.as_str());
    let write = match (&check.sni, sni.filter(is_name_of_server)) {
        (Sni::Name(name), Some(_)) => format!(
            "if {named} is the site's name, {write}; otherwise sni str({name}) on the server line"
        ),
        _ => write,
    };
    let place = sni.map_or(&watch.server.place, |sni| &sni.place);
    let mut finding = Finding::note(Effect::Either, what);
    finding.sides = match &check.sni {
        Sni::Name(name) => Some(Sides {
            traffic: format!("sni str({name}) on the server line"),
            check: write.clone(),
        }),
        _ => None,
    };
    Some(
        finding
            .at(pair.place_or(place))
            .shows(format!(
                "the check judges a site that visitors don't reach: {} while visitors are served, or UP while \
                 they get 503",
                pair.down("54, 61, 65 or 71", "L6RSP or L7STS")
            ))
            .foretells(&["54", "61", "65", "71", "L6RSP", "L7STS"])
            .write(write),
    )
}

/// Finds a check that sends a different name from visitors, in a backend that passes visitors' TLS through.
fn other_than_visitors(visit: &Visit, pair: &Pair) -> Option<Finding> {
    let backend = pair.watch.backend;
    let names = backend.names();
    let Sni::Name(sent) = &pair.check.tls.as_ref()?.sni else {
        return None;
    };
    let is_known = names
        .iter()
        .any(|name| name.eq_ignore_ascii_case(bare(sent)));
    let name = names.first()?;
    if backend.gets_plain_bytes() || is_known || misspelt(sent).is_some() {
        return None;
    }
    let what = format!(
        "the check sends SNI {sent}, but visitors reach this backend only with SNI {}",
        names.join(" or ")
    );
    Some(
        Finding::note(Effect::Either, what)
            .at(pair.place_or(&pair.check.place))
            .shows(format!(
                "{} where the server knows only visitors' name; UP where the check's name works, even if visitors' \
                 name doesn't",
                pair.down("54, 61, 65 or 71", "L6RSP or L7STS")
            ))
            .foretells(&["54", "61", "65", "71", "L6RSP", "L7STS"])
            .write(pair.send(visit, name)),
    )
}

/// Finds a check that connects to a different address or port from visitors.
pub(crate) fn other_endpoint(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let other = |check: &&Connection| !same_endpoint(check, &watch.traffic);
    // If the server line has no port, HAProxy uses the port that the visitor connected to.
    if matches!(watch.traffic.endpoint, Endpoint::Tcp(_, 0)) {
        return None;
    }
    let check = watch.connections.iter().find(other)?;
    if Pair::of(watch).is_some() {
        return Some(another_endpoint(watch, check));
    }
    let (checked, used) = (
        check.endpoint.to_string(),
        watch.traffic.endpoint.to_string(),
    );
    let what = format!("the check connects to {checked}, but visitors connect to {used}");
    // Services such as Patroni and clustercheck report the state of a database over HTTP. Databases have
    // their own ways to start TLS, so the server line has no `ssl`.
    let sends_request = match &watch.check {
        Check::Own(own) => own.protocol.sends_request(),
        _ => true,
    };
    if sends_request && !watch.backend.settings.http && watch.traffic.tls.is_none() {
        return Some(
            Finding::hint(what)
                .at(&check.place)
                .shows(format!(
                    "the answer of {checked} decides: UP or DOWN, whatever {used} does"
                ))
                .write_check(Sides {
                    traffic: format!(
                        "start the server at {used}; or correct the address and the port on the server line"
                    ),
                    check: format!(
                        "change nothing if the service at {checked} reports the state of {used}, as Patroni and \
                         clustercheck do"
                    ),
                }),
        );
    }
    let to_change = match watch.carrier() {
        Some(carrier) => {
            format!("to check where visitors go, remove --connect or --port from {carrier}")
        }
        None => format!(
            "to check where visitors go, {}",
            with_traffic(visit, watch, check)
        ),
    };
    let plain = match (&check.tls, &watch.traffic.tls, watch.carrier()) {
        (None, Some(_), None) => ", without TLS",
        _ => "",
    };
    Some(
        Finding::note(Effect::Either, what)
            .at(&check.place)
            .shows(format!(
                "the check judges only {checked}{plain}: UP while visitors get 503 if {used} is dead; DOWN while \
                 {used} works if {checked} is dead or answers differently"
            ))
            .write(to_change),
    )
}

/// Describes a check with several connections, if one of them goes to a different address or port from
/// visitors' connections. The check is UP only if all its connections succeed.
fn another_endpoint(watch: &Watch, check: &Connection) -> Finding {
    let (other, used) = (
        check.endpoint.to_string(),
        watch.traffic.endpoint.to_string(),
    );
    let what = format!("the check also connects to {other}, but visitors connect only to {used}");
    let finding = match watch.backend.settings.http {
        true => Finding::note(Effect::Down, what),
        // A database or a mail server often has several ports, and the check looks at all of them.
        false => Finding::hint(what),
    };
    let foretold: &'static [&'static str] = match check.tls {
        Some(_) => &[
            "L4CON", "L4TOUT", "L6RSP", "L6TOUT", "L7STS", "L7RSP", "L7TOUT",
        ],
        None => &["L4CON", "L4TOUT", "L7STS", "L7RSP", "L7TOUT"],
    };
    finding
        .at(&check.place)
        .shows(format!("DOWN if {other} is dead or answers differently, while {used} still serves visitors"))
        .foretells(foretold)
        .write(format!(
            "change nothing if the server should be DOWN without {other}; otherwise remove this connect line and the \
             rules below it, up to the next connect line"
        ))
}
