//! Rules for servers where only the check or only traffic uses TLS.

use crate::haproxy::config::check::{Check, Protocol};

use super::align::with_traffic;
use super::dialogue::accepts;
use super::difference::Pair;
use super::shared::by_server_line;
use crate::doctor::finding::{Effect, Finding, Sides};
use crate::doctor::visit::{Visit, Watch};

/// What HAProxy shows for a check without TLS if visitors use TLS on the same port.
const IF_TLS: &str = "DOWN with L7STS 400, L7RSP, L7TOUT or SOCKERR if the port speaks TLS, because it doesn't answer \
                      plain HTTP; UP if it speaks plain HTTP, while visitors fail";

pub(crate) fn traffic_without_tls(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    if pair.traffic.tls.is_some() || pair.check.tls.is_none() || !watch.backend.gets_plain_bytes() {
        return None;
    }
    let no_ssl = watch.server.settings.place("no-ssl");
    let word = no_ssl.map_or("has no `ssl`", |_| "says `no-ssl`");
    let what = format!(
        "the server line {word}: visitors reach the server without TLS, but the check uses TLS"
    );
    let (down, plain) = match watch.carrier() {
        Some(_) => (
            "DOWN with code 63 where the server speaks plain HTTP",
            "use HAProxy's own check (option httpchk) in place of sni-check, which only checks TLS"
                .to_owned(),
        ),
        None => (
            "DOWN with L6RSP where the server speaks plain HTTP",
            by_server_line(visit, watch, |one| one.tls.is_some(), "ssl", None).unwrap_or_else(
                || "remove check-ssl, or ssl from the http-check connect line".to_owned(),
            ),
        ),
    };
    Some(
        Finding::problem(Effect::Either, what)
            .at(no_ssl.unwrap_or(&watch.server.place))
            .shows(format!(
                "{down}; UP where it speaks TLS, while visitors get 400 or 502"
            ))
            .write_for(
                "the server speaks TLS",
                Sides {
                    traffic:
                        "write ssl verify required ca-file FILE sni str(NAME) on the server line"
                            .to_owned(),
                    check: plain,
                },
            ),
    )
}

pub(crate) fn check_without_tls(visit: &Visit, watch: &Watch) -> Option<Finding> {
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
    let what = "visitors reach the server with TLS, but HAProxy's own check connects without TLS";
    let finding = match (own.protocol, own.protocol.sends_request()) {
        (Protocol::Http { .. }, true) if accepts(watch, 400) => Finding::note(Effect::Either, what).shows(
            "UP with L7OK 400 where the port answers plain HTTP with an error, while visitors may get 503; otherwise \
             DOWN with L7RSP, L7TOUT or SOCKERR",
        ),
        (Protocol::Http { .. }, true) => Finding::problem(Effect::Either, what).shows(IF_TLS),
        (Protocol::Dialogue | Protocol::Other, _) => Finding::note(Effect::Either, what)
            .shows(
                "DOWN with L7TOUT, L7RSP or SOCKERR if the rules expect an answer and the port speaks TLS; otherwise \
                 UP, even while visitors get 503",
            )
            .foretells(&["L7TOUT", "L7RSP", "SOCKERR"]),
        _ => Finding::note(Effect::Up, what).shows(
            "L4OK (UP) as soon as anything accepts the connection, while visitors get 503 if its \
             certificate or name is wrong",
        ),
    };
    let finding = finding.at(&pair.check.place);
    let check = with_traffic(visit, watch, pair.check);
    Some(match own.protocol.sends_request() {
        true => finding.write_check(Sides {
            traffic: "remove `ssl` from the server line".to_owned(),
            check,
        }),
        // A check without a request doesn't show whether the port speaks TLS, so the advice changes only the
        // check.
        false => finding.write(check),
    })
}

/// Finds a check over plain HTTP in `mode tcp`. In this mode, visitors may speak TLS to the server through
/// HAProxy.
fn passed_through(pair: &Pair, protocol: Protocol) -> Option<Finding> {
    let backend = pair.watch.backend;
    if backend.gets_plain_bytes() || !protocol.sends_request() {
        return None;
    }
    let what = "the backend passes visitors' bytes through (`mode tcp`), but HAProxy's own check speaks plain HTTP";
    let finding = match backend.visitors.speak_tls {
        Some(true) if !accepts(pair.watch, 400) => {
            Finding::problem(Effect::Either, what).shows(IF_TLS)
        }
        _ => Finding::note(Effect::Down, what).shows(
            "DOWN with L7STS 400, L7RSP, L7TOUT or SOCKERR where visitors speak TLS to the server",
        ),
    };
    Some(
        finding
            .at(Check::option(pair.watch.backend).unwrap_or(&pair.watch.server.place))
            .foretells(&["L7STS 400", "L7RSP", "L7TOUT", "SOCKERR"])
            .write(
                "if visitors speak TLS to the server, write check-ssl check-sni NAME verify required ca-file FILE \
                 on the server line",
            ),
    )
}
