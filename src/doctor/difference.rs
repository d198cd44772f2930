//! Every way in which the check of a server differs from visitors' traffic. The comparison is the same
//! for each kind of check.

use std::collections::BTreeSet;

use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::check::{Check, Protocol};
use crate::haproxy::config::connection::{Connection, Sni, Tls, Verified};
use crate::plan::Trust;

use super::finding::{Effect, Finding};
use super::visit::{Visit, Watch};

/// A connection of the check that goes where traffic goes, with that traffic.
struct Pair<'a> {
    watch: &'a Watch<'a>,
    check: &'a Connection,
    traffic: &'a Connection,
}

impl<'a> Pair<'a> {
    /// `None` if nothing of the check can be compared with traffic.
    fn of(watch: &'a Watch<'a>) -> Option<Pair<'a>> {
        let check = watch.connections.first()?;
        let traffic = &watch.traffic;
        let same = same_endpoint(check, traffic);
        same.then_some(Pair {
            watch,
            check,
            traffic,
        })
    }

    /// The TLS part of both, if both have one.
    fn tls(&self) -> Option<(&'a Tls, &'a Tls)> {
        Some((self.check.tls.as_ref()?, self.traffic.tls.as_ref()?))
    }

    fn is_ours(&self) -> bool {
        self.watch.own.is_some()
    }

    /// What HAProxy shows if a check by sni-check ends with these codes, or its own with this status.
    fn down(&self, codes: &str, status: &str) -> String {
        match self.watch.carrier() {
            Some(_) => format!("DOWN with code {codes}"),
            None => format!("DOWN with {status}"),
        }
    }

    /// Where a word for HAProxy's own check belongs, or an option for sni-check.
    fn write(&self, option: &str, word: &str) -> String {
        match self.watch.carrier() {
            Some(carrier) => format!("{option} in {carrier}"),
            None => format!("{word} on the server line"),
        }
    }
}

fn same_endpoint(check: &Connection, traffic: &Connection) -> bool {
    // A name and the address it resolves to can't be told apart here.
    match (&check.endpoint, &traffic.endpoint) {
        (Endpoint::Tcp(_, port), Endpoint::Tcp(_, other)) if port != other => false,
        (Endpoint::Tcp(host, _), Endpoint::Tcp(other, _)) => host == other,
        (check, traffic) => check == traffic,
    }
}

pub(super) fn traffic_without_tls(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let speaks_http = watch.backend.settings.http;
    if pair.traffic.tls.is_some() || pair.check.tls.is_none() || !speaks_http {
        return None;
    }
    let no_ssl = watch.server.settings.place("no-ssl");
    let word = no_ssl.map_or("has no `ssl`", |_| "says `no-ssl`");
    let what = format!(
        "the server line {word}: visitors reach the server in plain HTTP, the check uses TLS"
    );
    let (down, plain) = match watch.carrier() {
        Some(_) => (
            "DOWN with code 63 where the server speaks plain HTTP",
            "option httpchk, HAProxy's own check, in place of sni-check, which only checks TLS",
        ),
        None => (
            "DOWN with L6RSP where the server speaks plain HTTP",
            "remove check-ssl, or ssl from the http-check connect line",
        ),
    };
    Some(
        Finding::problem(Effect::Either, what)
            .at(no_ssl.unwrap_or(&watch.server.place))
            .shows(format!(
                "{down}; UP where it speaks TLS, while visitors get 400 or 502"
            ))
            .write(format!(
                "if the server speaks TLS: ssl verify required ca-file FILE sni str(NAME) on the \
                 server line; if it speaks plain HTTP: {plain}"
            )),
    )
}

pub(super) fn check_without_tls(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let Check::Own(own) = &watch.check else {
        return None;
    };
    if pair.check.tls.is_some() {
        return None;
    }
    if pair.traffic.tls.is_none() {
        return passed_through(&pair, own.protocol);
    }
    let what = "visitors reach the server with TLS, HAProxy's own check connects without TLS";
    let waits = matches!(
        own.protocol,
        Protocol::Http {
            sends_request: true,
            ..
        }
    );
    let finding = match (own.protocol, waits) {
        (Protocol::Http { .. }, true) => Finding::problem(Effect::Down, what).shows(
            "DOWN with L7STS 400, L7RSP or L7TOUT: a TLS port doesn't answer plain HTTP",
        ),
        (Protocol::Dialogue | Protocol::Other, _) => Finding::note(Effect::Down, what)
            .shows("DOWN with L7TOUT or L7RSP where the rules expect an answer, otherwise UP whatever the certificate"),
        _ => Finding::note(Effect::Up, what).shows(
            "L4OK (UP) as soon as anything accepts the connection, while visitors get 503 if its \
             certificate or name is wrong",
        ),
    };
    Some(finding.at(&pair.check.place).write(with_tls(&pair)))
}

/// In `mode tcp`, visitors may speak TLS to the server through HAProxy.
fn passed_through(pair: &Pair, protocol: Protocol) -> Option<Finding> {
    let asks = matches!(
        protocol,
        Protocol::Http {
            sends_request: true,
            ..
        }
    );
    if pair.watch.backend.settings.http || !asks {
        return None;
    }
    let what = "the backend passes through what visitors say (`mode tcp`), HAProxy's own check speaks plain HTTP";
    Some(
        Finding::note(Effect::Down, what)
            .at(Check::option(pair.watch.backend).unwrap_or(&pair.watch.server.place))
            .shows("DOWN with L7STS 400 or L7RSP where visitors speak TLS to the server")
            .write(
                "if visitors speak TLS to the server: check-ssl check-sni NAME verify required ca-file FILE on the \
                 server line",
            ),
    )
}

/// How HAProxy's own check gets the server's TLS.
fn with_tls(pair: &Pair) -> String {
    let settings = &pair.watch.server.settings;
    let name = match &pair.traffic.tls.as_ref().map(|tls| &tls.sni) {
        Some(Sni::Name(name)) if !settings.has("check-sni") => {
            format!("; and check-sni {name} on the server line")
        }
        Some(Sni::PerRequest(_)) if !settings.has("check-sni") => {
            "; and check-sni NAME on the server line".to_owned()
        }
        _ => String::new(),
    };
    let by_rule =
        pair.check.place != pair.watch.server.place && pair.watch.connect_rule().is_some();
    let word = ["no-check-ssl", "port", "addr"];
    if by_rule {
        // With `default` the rule connects as the server line says, which has to say TLS.
        let plain = word.into_iter().find(|word| settings.has(word));
        let also = plain.map_or_else(String::new, |word| {
            format!("; and remove `{word}` from the server line")
        });
        return format!("add `default` after connect in that line{also}{name}");
    }
    match word.into_iter().find(|word| settings.has(word)) {
        Some(word) => format!("remove `{word}` from the server line{name}"),
        None => format!("add check-ssl to the server line{name}"),
    }
}

/// A server either waits for a PROXY header or doesn't understand one.
pub(super) fn proxy(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (what, place, write) = match (&pair.traffic.proxy, &pair.check.proxy) {
        (Some(sent), None) => {
            let option = match sent.value.as_str() {
                "send-proxy" => "--send-proxy",
                _ => "--send-proxy-v2",
            };
            let add = match watch.connect_rule() {
                Some(_) => "add send-proxy to that http-check or tcp-check connect line".to_owned(),
                None => pair.write(option, "check-send-proxy"),
            };
            let write = format!(
                "if the server waits for a PROXY header: {add}; otherwise remove {} from the server line",
                sent.value
            );
            let what = format!(
                "traffic starts with a PROXY header (`{}`), the check does not",
                sent.value
            );
            (what, &sent.place, write)
        }
        (None, Some(sent)) => {
            let what = "the check starts with a PROXY header, traffic does not".to_owned();
            let write = format!(
                "if the server waits for a PROXY header: send-proxy on the server line; otherwise remove {} \
                 from the check",
                sent.value
            );
            (what, &sent.place, write)
        }
        _ => return None,
    };
    // A check that only connects sees none of it.
    let connects = matches!(&watch.check, Check::Own(own) if own.protocol == Protocol::Connect)
        && pair.check.tls.is_none();
    let finding = match (connects, pair.traffic.proxy.is_some()) {
        (true, _) => Finding::hint(what).shows("L4OK (UP) in both cases: the check only connects"),
        (false, true) => Finding::problem(Effect::Either, what).shows(format!(
            "{} where the server waits for that header; UP where it doesn't, while visitors fail",
            pair.down("62, 63, 64, 73 or 74", "L6RSP, L6TOUT, L7RSP or L7STS")
        )),
        (false, false) => Finding::problem(Effect::Either, what).shows(format!(
            "UP where the server waits for that header, while visitors fail; {} where it doesn't",
            pair.down("61 to 64, 71, 73 or 74", "L6RSP, L7RSP or L7STS")
        )),
    };
    Some(finding.at(place).write(write))
}

/// Traffic and check have no root in common, so every chain fails one of them.
pub(super) fn roots(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (_, traffic) = pair.tls()?;
    let own = watch.own.as_ref()?;
    let ours = &own.plan.tls.verification.as_ref()?.trust;
    if traffic.verified == Verified::Nothing {
        return None;
    }
    let ca_file = traffic.ca_file.as_ref()?;
    // A relative path depends on `ca-base`.
    let theirs = match ca_file.value.as_str() {
        "@system-ca" if ours.is_bundled() => return None,
        file if file.starts_with(['/', '@']) => Trust::of(file),
        _ => return None,
    };
    // `haproxy -c` reports a file that can't be read.
    let theirs = theirs.ok()?;
    let known: BTreeSet<&[u8]> = keys(ours).collect();
    if keys(&theirs).any(|key| known.contains(key)) {
        return None;
    }
    let trusted = match ours.is_bundled() {
        true => "Mozilla's roots (no --ca-file)",
        false => "those of --ca-file",
    };
    let what = format!(
        "traffic trusts the roots of {}, the check {trusted}: they have no root in common",
        ca_file.value
    );
    let carrier = watch.carrier().unwrap_or_default();
    let copy = match carrier {
        "external-check path" => ", with a copy inside the chroot if there is one",
        _ => "",
    };
    Some(
        Finding::problem(Effect::Either, what)
            .at(&ca_file.place)
            .shows(format!(
                "{} where the server's certificate is of traffic's CA; otherwise UP, while \
                 visitors get 503",
                pair.down("55 or 56", "L6RSP")
            ))
            .write(format!(
                "trust the same CA in both: --ca-file {} in {carrier}{copy}; or the check's CA as \
                 ca-file on the server line",
                ca_file.value
            )),
    )
}

/// The keys of all roots.
fn keys(trust: &Trust) -> impl Iterator<Item = &[u8]> {
    let bundled = trust.anchors().iter();
    let bundled = bundled.map(|anchor| anchor.subject_public_key_info.as_ref());
    let files = trust.certificates().iter();
    bundled.chain(files.filter_map(|root| root.parts().map(|parts| parts.key)))
}

pub(super) fn traffic_without_sni(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    let (Sni::Name(name), Sni::Absent) = (&check.sni, &traffic.sni) else {
        return None;
    };
    if misspelt(name).is_some() {
        return None;
    }
    let why = match watch.server.settings.get("sni") {
        Some(sni) => format!("traffic sends none: nothing sets {}", sni.value),
        None => "traffic sends none".to_owned(),
    };
    Some(
        Finding::note(Effect::Up, format!("the check sends SNI {name}, {why}"))
            .at(watch.server.settings.place("sni").unwrap_or(&watch.server.place))
            .shows(format!(
                "UP while visitors get 503 where the server wants SNI; {} where the server's default certificate is \
                 for another name",
                pair.down("54", "L6RSP")
            ))
            .write(format!("sni str({name}) on the server line")),
    )
}

/// The outage that this program exists for.
pub(super) fn check_without_sni(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    let sent = match &traffic.sni {
        Sni::Absent => return None,
        Sni::Name(name) | Sni::PerRequest(name) => name,
    };
    if pair.is_ours() || check.sni != Sni::Absent {
        return None;
    }
    let name = match &traffic.sni {
        Sni::Name(name) if misspelt(name).is_none() => name.as_str(),
        _ => "NAME",
    };
    let write = match watch.connect_rule() {
        Some(_) => format!("in that connect line, write after ssl: sni {name}"),
        None => format!("check-sni {name} on the server line"),
    };
    Some(
        Finding::note(
            Effect::Down,
            format!("traffic sends SNI ({sent}), HAProxy's own check sends none"),
        )
        .at(&pair.check.place)
        .shows(
            "L6RSP, \"SSL handshake failure\" (DOWN) where the server wants SNI; elsewhere the \
             check is UP by another site's certificate, while visitors get 503",
        )
        .write(write),
    )
}

pub(super) fn other_sni(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    let Sni::Name(wanted) = &traffic.sni else {
        return None;
    };
    // Another rule reports dots and spaces at the end, and variables that HAProxy doesn't replace.
    let named = bare(wanted);
    let what = match &check.sni {
        Sni::Name(name) if name.eq_ignore_ascii_case(named) => return None,
        Sni::Name(name) if misspelt(name).is_some() => return None,
        Sni::Name(name) => format!("the check sends SNI {name}, traffic sends {wanted}"),
        Sni::Absent if pair.is_ours() => format!("the check sends no SNI, traffic sends {wanted}"),
        _ => return None,
    };
    if is_literal(wanted) {
        return None;
    }
    let write = match (watch.carrier(), watch.connect_rule()) {
        (None, Some(_)) => format!("in that connect line, write sni {named}"),
        _ => pair.write(&format!("--sni {named}"), &format!("check-sni {named}")),
    };
    let write = match watch.carrier().is_some() && others_send_another(visit, watch) {
        true => format!("give this server a backend of its own, with {write}"),
        false => write,
    };
    let place = watch.server.settings.place("sni");
    Some(
        Finding::note(Effect::Either, what)
            .at(place.unwrap_or(&watch.server.place))
            .shows(format!(
                "the check judges another site than visitors reach: {} while visitors are served, or UP while \
                 they get 503",
                pair.down("54, 65 or 71", "L6RSP or L7STS")
            ))
            .write(write),
    )
}

/// Whether traffic to another server of the backend, which has the same options, sends another SNI.
fn others_send_another(visit: &Visit, watch: &Watch) -> bool {
    let sni = |watch: &Watch| watch.traffic.tls.as_ref().map(|tls| tls.sni.clone());
    let mut others = visit
        .watches_of(watch.backend)
        .filter(|other| other.is_active());
    others.any(|other| sni(other) != sni(watch))
}

/// The verified names differ though both send the same SNI.
pub(super) fn other_name(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    let Verified::Name(verified) = &check.verified else {
        return None;
    };
    if misspelt(verified).is_some() {
        return None;
    }
    let settings = &watch.server.settings;
    let what = match &traffic.verified {
        Verified::Name(name) if bare(name).eq_ignore_ascii_case(verified) || is_literal(name) => {
            return None;
        }
        Verified::Name(name) => format!(
            "the check verifies that the certificate is for {verified}, traffic that it is for {name}"
        ),
        Verified::Chain => format!(
            "the check verifies that the certificate is for {verified}, traffic verifies no name"
        ),
        Verified::Nothing | Verified::PerRequest => return None,
    };
    // The rules about SNI say it all if the name follows from the SNI.
    let follows = |tls: &Tls| match (&tls.sni, &tls.verified) {
        (Sni::Name(sni), Verified::Name(name)) => sni == name,
        (Sni::Absent, Verified::Name(_)) => false,
        _ => true,
    };
    if follows(check) && follows(traffic) {
        return None;
    }
    let write = match (&traffic.verified, watch.carrier()) {
        (Verified::Name(name), Some(carrier)) => {
            format!("--verify-host {} in {carrier}", bare(name))
        }
        (Verified::Name(name), None) => format!("check-sni {} on the server line", bare(name)),
        _ => format!(
            "sni str({verified}) on the server line, so that traffic verifies the name, too"
        ),
    };
    Some(
        Finding::note(Effect::Either, what)
            .at(settings
                .place("verifyhost")
                .or(settings.place("sni"))
                .unwrap_or(&watch.server.place))
            .shows(format!(
                "{} where the certificate is only for the name of traffic; UP while visitors get \
                 503 where it is only for the name of the check",
                pair.down("54", "L6RSP")
            ))
            .write(write),
    )
}

pub(super) fn traffic_verifies_nothing(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    if check.verified == Verified::Nothing || traffic.verified != Verified::Nothing {
        return None;
    }
    let settings = &watch.server.settings;
    let place = settings
        .place("verify")
        .or(visit.config.global.verify_none.as_ref())?;
    let what = "`verify none`: traffic accepts any certificate, the check does not";
    Some(
        Finding::note(Effect::Down, what)
            .at(place)
            .shows(
                "DOWN with a code from 51 to 58 where traffic would go on; and between two checks \
                 traffic trusts whoever answers",
            )
            .write("on the server line, write verify required ca-file FILE, with the CA that the check trusts"),
    )
}

pub(super) fn check_verifies_nothing(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let carrier = watch.carrier()?;
    if pair.check.tls.as_ref()?.verified != Verified::Nothing {
        return None;
    }
    let strict = pair
        .traffic
        .tls
        .as_ref()
        .is_some_and(|tls| tls.verified != Verified::Nothing);
    let what = "--verify none: the check accepts any certificate";
    let finding = match strict {
        true => Finding::note(Effect::Up, what).shows(
            "code 0 (UP) with an expired, foreign or forged certificate too, while visitors get 503",
        ),
        false => Finding::hint(what)
            .shows("code 0 (UP) with an expired, foreign or forged certificate too"),
    };
    Some(finding.at(watch.options_place()).write(format!(
        "leave --verify none out of {carrier}; for a private CA add --ca-file FILE"
    )))
}

/// `crt` is the certificate with which traffic shows who it is.
pub(super) fn client_certificate(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let carrier = watch.carrier()?;
    let check = pair.check.tls.as_ref()?;
    let Some(traffic) = &pair.traffic.tls else {
        return visitors_own_certificate(&pair, check);
    };
    let (what, shows, write) = match (&traffic.crt, &check.crt) {
        (Some(crt), None) => (
            format!(
                "traffic shows the client certificate {}, the check shows none",
                crt.value
            ),
            Finding::note as fn(Effect, String) -> Finding,
            (
                Effect::Down,
                "code 58, or 71 with status 400 or 403 (DOWN), where the server wants a client certificate",
                match carrier {
                    "external-check path" => {
                        "--crt FILE in external-check path, with a copy inside the chroot if there is one"
                    }
                    _ => "--crt FILE in X-Check-Options, with a file that sni-check serve may read",
                },
            ),
        ),
        (None, Some(_)) => (
            "the check shows a client certificate, traffic shows none".to_owned(),
            Finding::note as fn(Effect, String) -> Finding,
            (
                Effect::Up,
                "UP while the server refuses visitors, where it wants a client certificate",
                "crt FILE on the server line",
            ),
        ),
        _ => return None,
    };
    let ((effect, text, write), new) = (write, shows);
    let place = traffic
        .crt
        .as_ref()
        .map_or(&watch.server.place, |crt| &crt.place);
    Some(new(effect, what).at(place).shows(text).write(write))
}

/// In `mode tcp`, visitors may speak TLS to the server through HAProxy, with certificates of their own.
fn visitors_own_certificate(pair: &Pair, check: &Tls) -> Option<Finding> {
    let crt = check
        .crt
        .as_ref()
        .filter(|_| !pair.watch.backend.settings.http)?;
    let what = "the check shows a client certificate; visitors, whose TLS passes through (`mode tcp`), need their own";
    Some(
        Finding::note(Effect::Up, what)
            .at(&crt.place)
            .shows("UP while the server refuses visitors without a certificate")
            .write("nothing if every visitor has one"),
    )
}

/// `crl-file` makes traffic refuse revoked certificates.
pub(super) fn revocation(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    let carrier = watch.carrier()?;
    let lists = traffic.crl_file.as_ref()?;
    if check.crl_file.is_some() || check.verified == Verified::Nothing {
        return None;
    }
    let what = "traffic refuses revoked certificates (`crl-file`), the check does not know them";
    Some(
        Finding::note(Effect::Up, what)
            .at(&lists.place)
            .shows("UP while visitors get 503, once the server's certificate is revoked")
            .write(format!(
                "--crl-file FILE in {carrier}, with a copy where the check can read it"
            )),
    )
}

/// The check goes to another port or address than visitors.
pub(super) fn other_endpoint(_: &Visit, watch: &Watch) -> Option<Finding> {
    let other = |check: &&Connection| !same_endpoint(check, &watch.traffic);
    // With several connections, one of them may be where visitors go.
    let check = watch.connections.iter().find(other)?;
    if watch
        .connections
        .iter()
        .any(|check| same_endpoint(check, &watch.traffic))
    {
        return None;
    }
    let (checked, used) = (
        check.endpoint.to_string(),
        watch.traffic.endpoint.to_string(),
    );
    let what = format!("the check asks {checked}, visitors go to {used}");
    let to_change = match watch.carrier() {
        Some(carrier) => {
            format!("to check where visitors go, remove --connect or --port from {carrier}")
        }
        None => "to check where visitors go, remove `port` and `addr`".to_owned(),
    };
    let plain = match (&check.tls, &watch.traffic.tls, watch.carrier()) {
        (None, Some(_), None) => " in the clear,",
        _ => "",
    };
    Some(
        Finding::note(Effect::Either, what)
            .at(&check.place)
            .shows(format!(
                "the check judges {checked} alone,{plain} and is UP while visitors get 503 if {used} is dead, or DOWN \
                 while {used} works if {checked} is dead or answers otherwise"
            ))
            .write(to_change),
    )
}

/// `source` is the address that traffic comes from.
pub(super) fn source(_: &Visit, watch: &Watch) -> Option<Finding> {
    let carrier = watch.carrier()?;
    let source = watch.traffic.source.as_ref()?;
    let Endpoint::Tcp(address, _) = Endpoint::parse(&source.value) else {
        return None;
    };
    let any = ["0.0.0.0", "::"].contains(&address.as_str());
    if any || watch.own.as_ref()?.plan.source.is_some() {
        return None;
    }
    let what = format!("traffic comes from {address} (`source`), the check from any address");
    Some(
        Finding::note(Effect::Down, what)
            .at(&source.place)
            .shows("code 41, 42 or 43 (DOWN) where a firewall admits only that address")
            .write(format!("--source {address} in {carrier}")),
    )
}

/// A server that traffic only speaks HTTP/2 to.
pub(super) fn http2_only(_: &Visit, watch: &Watch) -> Option<Finding> {
    watch.own.as_ref()?;
    let settings = &watch.server.settings;
    let alpn = settings.get("alpn").filter(|alpn| alpn.value == "h2");
    let proto = settings.get("proto").filter(|proto| proto.value == "h2");
    let word = alpn.or(proto)?;
    let what = "traffic speaks HTTP/2 only, the check HTTP/1.1 (a limit of sni-check)";
    Some(
        Finding::note(Effect::Down, what)
            .at(&word.place)
            .shows("code 66, 73 or 74 (DOWN) where the server knows no HTTP/1.1")
            .write(
                "alpn h2,http/1.1 on the server line if the server knows both; otherwise HAProxy's own check: check \
                 check-sni NAME check-alpn h2",
            ),
    )
}

/// Ways to the server that only HAProxy itself can go.
pub(super) fn detour(_: &Visit, watch: &Watch) -> Option<Finding> {
    watch.own.as_ref()?;
    let settings = &watch.server.settings;
    let (word, how) = match (settings.get("namespace"), settings.get("socks4")) {
        (Some(_), _) => ("namespace", "in that network namespace"),
        (None, Some(_)) => ("socks4", "by that proxy"),
        (None, None) => return None,
    };
    let setting = settings.get(word)?;
    let what = format!(
        "traffic goes {how} (`{word} {}`), the check goes directly (a limit of sni-check)",
        setting.value
    );
    let own = match word {
        "socks4" => "HAProxy's own check: check check-via-socks4 check-sni NAME",
        _ => "HAProxy's own check: check check-sni NAME",
    };
    Some(
        Finding::note(Effect::Down, what)
            .at(&setting.place)
            .shows("code 41, 42 or 43 (DOWN), or the verdict on another server where one has that address")
            .write(own),
    )
}

/// A site that shares its address with others answers by the Host header.
pub(super) fn without_host(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let Check::Own(own) = &watch.check else {
        return None;
    };
    let Protocol::Http {
        sends_request: true,
        has_host: false,
    } = own.protocol
    else {
        return None;
    };
    let rules = &watch.backend.settings.rules;
    // HTTP/1.1 requires a Host. A site in the clear mostly has its address to itself.
    let shows = match (pair.tls(), rules.says_1_1()) {
        (_, true) => "L7STS 400 (DOWN) where the server insists on a Host, as HTTP/1.1 requires",
        (Some(_), false) => {
            "L7STS 400, 404 or 421 (DOWN) where the server chooses the site by its Host"
        }
        (None, false) => return None,
    };
    let name = match pair.check.tls.as_ref().map(|tls| &tls.sni) {
        Some(Sni::Name(name)) if misspelt(name).is_none() => name.as_str(),
        _ => "NAME",
    };
    let what = "HAProxy's own check sends no Host header, visitors' requests have one";
    Some(
        Finding::note(Effect::Down, what)
            .at(Check::option(watch.backend).unwrap_or(&watch.server.place))
            .shows(shows)
            .write(format!(
                "in the backend, write http-check send meth GET uri / ver HTTP/1.1 hdr Host {name}"
            )),
    )
}

pub(super) fn verifyhost_ignored(_: &Visit, watch: &Watch) -> Option<Finding> {
    let traffic = watch.traffic.tls.as_ref()?;
    let verifyhost = watch.server.settings.get("verifyhost")?;
    let Verified::Name(verified) = &traffic.verified else {
        return None;
    };
    if verified.eq_ignore_ascii_case(&verifyhost.value) || is_literal(verified) {
        return None;
    }
    let what = format!(
        "HAProxy ignores `verifyhost {}` here: with `sni` it verifies that the certificate is for {verified}",
        verifyhost.value
    );
    Some(
        Finding::hint(what)
            .at(&verifyhost.place)
            .shows("503 for visitors if the certificate is only for the name in verifyhost")
            .write("remove verifyhost, or send that name as SNI"),
    )
}

/// The name without a dot or a space at its end, which don't belong to it.
pub(super) fn bare(name: &str) -> &str {
    match name.trim().trim_end_matches('.') {
        "" => name,
        bare => bare,
    }
}

/// Whether a name has a variable in it that HAProxy didn't replace.
pub(super) fn is_literal(name: &str) -> bool {
    name.contains('$')
}

/// Why a name that is sent word for word can't be a host's name.
pub(super) fn misspelt(name: &str) -> Option<&'static str> {
    if is_literal(name) {
        return Some("HAProxy replaces variables only in double quotes");
    }
    if name.contains('(') {
        return Some("HAProxy takes a name here, not an expression");
    }
    (bare(name) != name).then_some("a dot or a space at the end doesn't belong to the name")
}
