//! The TLS handshake, and the PROXY header before it.

use rustls::AlertDescription;

use super::cause::{Cause, Place, Sign, Trial, Weight, at};
use super::facts::{Attempt, Facts, Handshakes, Plain, Way};
use crate::certificate::CertificateFailure;
use crate::code::{Code, Layer};
use crate::failure::Failure;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "proxy-header-missing",
        shows_as: &[
            at(Code::HandshakeTimeout, 1),
            at(Code::NotTls, 2),
            at(Code::HandshakeClosed, 3),
            at(Code::HandshakeRefused, 7),
        ],
        place: Place::Config,
        what: "The server requires a PROXY protocol header before TLS (proxy_protocol or accept-proxy in its configuration). Without the header it closes the connection, stays silent or answers with an error page.",
        confirm: "Look for send-proxy on the server line. If visitors' traffic has the header, the check needs it too.",
        change: "Use {option} for the check, and {word} on the server line.",
        weigh: |facts| Weight::Possible.when(facts.plan.proxy.is_none()),
        trials: |facts| match facts.plan.proxy {
            None => proxy_headers(facts),
            Some(_) => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "proxy-header-wrong",
        shows_as: &[
            at(Code::HandshakeTimeout, 7),
            at(Code::NotTls, 6),
            at(Code::HandshakeClosed, 7),
            at(Code::HandshakeRefused, 8),
        ],
        place: Place::Config,
        what: "The server requires the other version of the PROXY protocol header.",
        confirm: "sni-check diagnose tries both versions.",
        change: "Use {option} for the check, and {word} on the server line.",
        weigh: |facts| Weight::Possible.when(facts.plan.proxy.is_some()),
        trials: |facts| match facts.plan.proxy {
            Some(_) => proxy_headers(facts),
            None => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "proxy-header-unwanted",
        shows_as: &[
            at(Code::HandshakeTimeout, 8),
            at(Code::NotTls, 5),
            at(Code::HandshakeClosed, 8),
            at(Code::HandshakeRefused, 9),
        ],
        place: Place::Config,
        what: "The server doesn't expect a PROXY header, and the check sends one.",
        confirm: "Run the check without --send-proxy and --send-proxy-v2.",
        change: "Leave out <--send-proxy and --send-proxy-v2, and |>send-proxy and send-proxy-v2 on the server line.",
        weigh: |facts| Weight::Possible.when(facts.plan.proxy.is_some()),
        trials: |facts| {
            let trial = Trial::new(facts, |options| {
                (options.send_proxy, options.send_proxy_v2) = (false, false);
            });
            vec![trial.counting_progress()]
        },
        ..Cause::BASE
    },
    Cause {
        id: "server-tls-broken",
        shows_as: &[at(Code::HandshakeRefused, 4)],
        what: "The server's TLS is broken or wrongly configured. For example, a name has no certificate, or the server can't read a key.",
        confirm: "The check's line has the alert's name. The server's log gives the reason.",
        change: "Correct the TLS configuration of the server.",
        ..Cause::BASE
    },
    Cause {
        id: "firewall-ends-handshake",
        shows_as: &[at(Code::HandshakeRefused, 5)],
        place: Place::Network,
        what: "A firewall or WAF in front of the server refuses this host (access_denied or a similar alert).",
        confirm: "Connect from another network, or from the server itself.",
        change: "Allow HAProxy's address at the firewall.",
        weigh: |facts| match alert(facts) {
            Some(AlertDescription::AccessDenied) => Weight::Likely,
            _ => Weight::Possible,
        },
        ..Cause::BASE
    },
    Cause {
        id: "alpn-not-spoken",
        shows_as: &[at(Code::HandshakeRefused, 6)],
        place: Place::Config,
        what: "The server doesn't accept any protocol in --alpn (no_application_protocol). Without --alpn the check offers no protocol, and neither do HAProxy's checks.",
        confirm: "Run the check without --alpn. {s-client} -alpn h2 shows what the server chooses.",
        change: "Leave out --alpn, or correct it. For a server that speaks only h2, <write --alpn h2 --handshake-only|write check-alpn h2 and remove option httpchk>.",
        weigh: |facts| {
            Weight::Possible.when(alert(facts) == Some(AlertDescription::NoApplicationProtocol))
        },
        trials: |facts| vec![Trial::new(facts, |options| options.alpn = None)],
        ..Cause::BASE
    },
    Cause {
        id: "alpn-missing",
        shows_as: &[
            at(Code::ResponseClosed, 11),
            at(Code::HandshakeClosed, 16),
            at(Code::HandshakeRefused, 11),
            at(Code::NotHttp, 8),
        ],
        place: Place::Config,
        what: "The server closes connections whose handshake doesn't offer HTTP/1.1 by ALPN, a part of the TLS handshake. Neither the check nor HAProxy offers a protocol by default.",
        confirm: "{s-client} -alpn http/1.1 gets a response, and openssl s_client without -alpn gets no response.",
        change: "Offer the protocol: <--alpn http/1.1 for sni-check, |>check-alpn http/1.1 for HAProxy's own check, and alpn http/1.1 on the server line for visitors.",
        weigh: |facts| Weight::Possible.when(facts.plan.tls.alpn.is_empty()),
        trials: |facts| match facts.plan.tls.alpn.is_empty() {
            true => vec![Trial::new(facts, |options| {
                options.alpn = "http/1.1".parse().ok();
            })],
            false => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "server-overloaded",
        shows_as: &[at(Code::HandshakeTimeout, 2)],
        what: "The server accepts connections but is overloaded or hangs.",
        confirm: "sni-check diagnose --verbose shows that connecting is fast and every handshake is slow.",
        change: "Look at the load of the server.",
        weigh: |facts| Weight::Possible.max(nothing_behind(facts)),
        ..Cause::BASE
    },
    Cause {
        id: "packets-lost",
        shows_as: &[at(Code::HandshakeTimeout, 5)],
        place: Place::Network,
        what: "Large packets get lost in the network (path MTU, a VPN), so the certificates never arrive.",
        confirm: "ping -M do -s 1400 {address} fails, while smaller packets pass.",
        change: "Correct the MTU, or let ICMP pass.",
        evidence: "{handshakes-alike} {short-answer}",
        weigh: |facts| match short_answer(facts) {
            _ if !all_are_cut(facts) || facts.is_plain_http_port() => Weight::RuledOut,
            Some(_) => Weight::Likely,
            None => Weight::Possible,
        },
        ..Cause::BASE
    },
    Cause {
        id: "handshake-inspected",
        shows_as: &[at(Code::HandshakeClosed, 9)],
        what: "A firewall in front of the server inspects the handshake and closes the connection, or the handshake crashes the server.",
        confirm: "Connect from the server itself, and read its log.",
        change: "Allow the name at the firewall, or update the server.",
        evidence: "{handshakes-alike} {short-answer}",
        weigh: |facts| match short_answer(facts) {
            _ if facts.is_plain_http_port() => Weight::RuledOut,
            Some(_) => Weight::Likely.when(all_are_cut(facts)),
            // The server keeps idle connections open. So it closes this connection because of the handshake.
            None => Weight::Possible.when(all_are_cut(facts) && facts.hangs_up == Some(false)),
        },
        ..Cause::BASE
    },
    Cause {
        id: "version-cut",
        shows_as: &[at(Code::HandshakeTimeout, 9), at(Code::HandshakeClosed, 10)],
        what: "The server, or a firewall in front of it, can't handle everything that the check's handshake offers.",
        confirm: "Repeat the diagnosis. If the server then answers different handshakes, it is overloaded.",
        change: "Use <--ssl-min-ver or --ssl-max-ver for the check, and |>ssl-min-ver or ssl-max-ver on the server line. Or update the server.",
        evidence: "The server answers only these handshakes: {handshakes-answered}.",
        weigh: |facts| {
            let Some(tls) = &facts.tls else {
                return Weight::RuledOut;
            };
            let names = [&tls.bare, &tls.made_up];
            let by_name = names.iter().any(|attempt| is_answered(attempt));
            Weight::Likely.when(!all_are_cut(facts) && !by_name)
        },
        ..Cause::BASE
    },
    Cause {
        id: "plain-http-port",
        shows_as: &[
            at(Code::NotTls, 1),
            at(Code::HandshakeTimeout, 11),
            at(Code::HandshakeClosed, 14),
        ],
        place: Place::Config,
        what: "This port speaks plain HTTP, without TLS.< sni-check checks HTTPS only (a limit of sni-check).|>",
        confirm: "The check's line shows what the server sends. curl -v http://{endpoint}/ gets a response.",
        change: "Write the port of the HTTPS site on the server line. If the server has no HTTPS, <use HAProxy's own check (option httpchk) without ssl|leave out ssl>, as in {lines}. Visitors' traffic to this server is then unencrypted.",
        weigh: |facts| {
            let site = facts.plain.as_ref().is_some_and(Plain::is_site);
            match facts.is_reached_by(Way::PlainHttp) {
                true => Weight::Proved,
                false => Weight::Likely.when(facts.is_plain_http_port() && site),
            }
        },
        trials: |facts| match facts.plain.as_ref().filter(|plain| plain.is_site()) {
            Some(_) if facts.is_plain_http_port() => Trial::way(Way::PlainHttp),
            _ => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "plain-port-of-https-site",
        shows_as: &[
            at(Code::NotTls, 3),
            at(Code::HandshakeTimeout, 12),
            at(Code::HandshakeClosed, 15),
        ],
        place: Place::Value,
        what: "This port speaks plain HTTP, and the site is on another port.",
        confirm: "curl -v http://{endpoint}/ gets a redirect to https, or an error.",
        change: "Write the port of the HTTPS site on the server line, often 443.",
        weigh: |facts| {
            let site = facts.plain.as_ref().is_some_and(Plain::is_site);
            Weight::Proved.when(facts.is_plain_http_port() && !site)
        },
        ..Cause::BASE
    },
    Cause {
        id: "port-of-another-protocol",
        shows_as: &[at(Code::NotTls, 7)],
        place: Place::Value,
        what: "The port speaks another protocol, not TLS.",
        confirm: "The check's line shows what the server sends.",
        change: "Correct the port of the server line<, or --port|>.",
        weigh: |facts| match facts.failure() {
            Some(Failure::NotTls { .. }) => Weight::Likely.when(!facts.speaks_plain_http()),
            _ => Weight::RuledOut,
        },
        ..Cause::BASE
    },
    Cause {
        id: "tls-violated",
        shows_as: &[at(Code::NotTls, 8)],
        what: "The server's TLS breaks the rules, so HAProxy's library refuses it too.",
        confirm: "The check's line names the rule. sni-check diagnose tries HAProxy's own check.",
        change: "Update the server's TLS library.",
        weigh: |facts| match facts.failure() {
            Some(Failure::TlsViolated(_)) => Weight::Likely,
            Some(Failure::TlsLimit(_)) => Weight::Possible,
            _ => Weight::RuledOut,
        },
        ..Cause::BASE
    },
    Cause {
        id: "tls-too-old",
        shows_as: &[at(Code::NothingInCommon, 2)],
        place: Place::Config,
        what: "The server speaks only TLS 1.1 or older, or only ciphers that are no longer safe. HAProxy doesn't use them by default.",
        confirm: "sni-check diagnose tries TLS 1.2 and 1.3. {s-client} shows what the server chooses.",
        change: "Update the server: enable TLS 1.2 or 1.3. Until then, `ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0` on the server line may reach it. These settings are unsafe, for visitors' traffic too.",
        weigh: |facts| match (facts.is_reached_by(Way::OldTls), alert(facts)) {
            (true, _) => Weight::Proved,
            (_, Some(AlertDescription::ProtocolVersion)) if !versions_are_bounded(facts) => {
                Weight::Likely
            }
            _ if facts.haproxy.is_some() => Weight::RuledOut,
            _ => Weight::Possible,
        },
        trials: |facts| match facts.code() {
            Code::NothingInCommon if !speaks_http2(facts) => Trial::way(Way::OldTls),
            _ => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "renegotiation-unsafe",
        shows_as: &[at(Code::NothingInCommon, 4)],
        what: "The server speaks TLS 1.2 without secure renegotiation (RFC 5746). HAProxy's OpenSSL 3 refuses such a server, for visitors' traffic too.",
        confirm: "{s-client} says: Secure Renegotiation IS NOT supported.",
        change: "Update the server's TLS library, or enable TLS 1.3.",
        weigh: |facts| {
            Weight::Proved.when(matches!(
                facts.failure(),
                Some(Failure::UnsafeRenegotiation)
            ))
        },
        ..Cause::BASE
    },
    Cause {
        id: "versions-excluded",
        shows_as: &[at(Code::NothingInCommon, 5)],
        place: Place::Config,
        what: "--ssl-min-ver or --ssl-max-ver excludes the TLS version that the server speaks.",
        confirm: "Run the check without both options.",
        change: "Leave out <both options, and |>ssl-min-ver and ssl-max-ver on the server line.",
        weigh: |facts| Weight::Possible.when(versions_are_bounded(facts)),
        trials: |facts| {
            let trial = Trial::new(facts, |options| {
                (options.ssl_min_ver, options.ssl_max_ver) = (None, None);
            });
            vec![trial.counting_progress()]
        },
        ..Cause::BASE
    },
    Cause {
        id: "http2-only",
        shows_as: &[
            at(Code::NotHttp, 2),
            at(Code::ResponseClosed, 7),
            at(Code::ResponseTimeout, 4),
            at(Code::HandshakeRefused, 10),
            at(Code::HandshakeClosed, 11),
            at(Code::NothingInCommon, 8),
            at(Code::Status, 16),
        ],
        place: Place::Config,
        what: "The server speaks only HTTP/2<, which sni-check doesn't speak (a limit of sni-check)|>. Server and client agree on HTTP/2 by ALPN, a part of the TLS handshake.",
        confirm: "{s-client} -alpn h2 shows `ALPN protocol: h2`, and curl --http1.1 fails.",
        change: "Use HAProxy's own check with check-alpn h2 and alpn h2, as in {lines}. Or let the server speak HTTP/1.1 too.",
        weigh: |facts| match facts.is_reached_by(Way::Http2) {
            true => Weight::Proved,
            false => Weight::Possible.when(speaks_http2(facts) && facts.haproxy.is_none()),
        },
        trials: |facts| {
            let fits = !matches!(
                facts.failure(),
                None | Some(Failure::Certificate(_) | Failure::ClientCertificate { .. })
            );
            match speaks_http2(facts) && fits {
                true => Trial::way(Way::Http2),
                false => Vec::new(),
            }
        },
        ..Cause::BASE
    },
    Cause {
        id: "servers-differ",
        shows_as: &[(Sign::AnyFailure, 0), at(Code::Healthy, 2)],
        what: "The same check had different results: {mixed-good}; {mixed-bad}. Most likely several servers are behind this name or address, and at least one of them is not healthy.",
        confirm: "Diagnose each server by its own address< (--connect)|>.",
        change: "Fix each server that is not healthy.",
        weigh: |facts| Weight::Proved.when(super::mixed::find(facts).is_some()),
        ..Cause::BASE
    },
    Cause {
        id: "verification-off",
        shows_as: &[at(Code::Healthy, 5)],
        what: "<--verify none|`verify none`> hides what is wrong with the certificate.",
        confirm: "Run the check without --verify none.",
        change: "Fix the certificate, and use `verify required`.",
        weigh: |facts| {
            let off = facts.plan.tls.verification.is_none();
            Weight::Proved.when(off && !facts.faults().is_empty())
        },
        ..Cause::BASE
    },
];

fn alert(facts: &Facts) -> Option<AlertDescription> {
    match facts.failure() {
        Some(
            Failure::HandshakeRefused(alert)
            | Failure::NothingInCommon(alert)
            | Failure::NameRefused { alert, .. }
            | Failure::ClientCertificate { alert, .. },
        ) => Some(*alert),
        _ => None,
    }
}

fn versions_are_bounded(facts: &Facts) -> bool {
    facts.options.ssl_min_ver.is_some() || facts.options.ssl_max_ver.is_some()
}

fn speaks_http2(facts: &Facts) -> bool {
    facts.tls.as_ref().is_some_and(Handshakes::speaks_http2)
}

/// Returns trials with the PROXY headers that the check doesn't send.
fn proxy_headers(facts: &Facts) -> Vec<Trial> {
    let kinds = [
        (false, true, "--send-proxy-v2"),
        (true, false, "--send-proxy"),
    ];
    let given = (facts.options.send_proxy, facts.options.send_proxy_v2);
    let others = kinds.into_iter().filter(|(v1, v2, _)| (*v1, *v2) != given);
    let trial = |(v1, v2, option): (bool, bool, &'static str)| {
        let trial = Trial::new(facts, |options| {
            (options.send_proxy, options.send_proxy_v2) = (v1, v2);
        });
        let trial = trial.counting_progress().with("option", option);
        trial.with("word", &option[2..])
    };
    others.map(trial).collect()
}

/// Returns true if the connection was closed during the handshake, or the handshake got no answer.
pub(super) fn is_cut(attempt: &Attempt) -> bool {
    matches!(
        attempt.result,
        Err(Failure::HandshakeTimeout | Failure::HandshakeClosed(_))
    )
}

/// Returns true if the server answers the handshake, even with a refusal. An attempt that doesn't connect
/// says nothing about handshakes.
fn is_answered(attempt: &Attempt) -> bool {
    match &attempt.result {
        Ok(_) => true,
        Err(failure) => failure.code().layer() > Layer::Connection && !is_cut(attempt),
    }
}

/// Returns true if the server refuses the offered TLS versions or ciphers.
fn refuses_version(attempt: &Attempt) -> bool {
    matches!(attempt.result, Err(Failure::NothingInCommon(_)))
}

/// Returns the handshakes to compare, each with a short name.
fn handshakes<'a>(facts: &'a Facts, tls: &'a Handshakes) -> Vec<(&'static str, &'a Attempt)> {
    let named = facts.sni().map(|_| ("with SNI", &tls.named));
    let others = [
        ("without SNI", &tls.bare),
        ("with a made-up name", &tls.made_up),
        ("only TLS 1.2", &tls.tls12),
        ("only TLS 1.3", &tls.tls13),
    ];
    named.into_iter().chain(others).collect()
}

fn names_of(facts: &Facts, is: impl Fn(&Attempt) -> bool) -> Vec<&'static str> {
    let Some(tls) = &facts.tls else {
        return Vec::new();
    };
    let all = handshakes(facts, tls).into_iter();
    all.filter(|(_, attempt)| is(attempt))
        .map(|(name, _)| name)
        .collect()
}

/// Returns true if every handshake was cut, except those in which the server refused a version.
pub(super) fn all_are_cut(facts: &Facts) -> bool {
    facts.tls.is_some()
        && names_of(facts, |attempt| {
            is_answered(attempt) && !refuses_version(attempt)
        })
        .is_empty()
}

/// Returns two sentences: which attempts fail in the same way, and what can therefore not be the cause.
/// `None` if no handshake was cut.
pub(super) fn alike(facts: &Facts) -> Option<String> {
    let mut alike = names_of(facts, is_cut);
    if alike.is_empty() {
        return None;
    }
    let mut excluded = vec!["the TLS version"];
    let mut headers = facts.refuted.iter();
    if headers.any(|refuted| refuted.id.starts_with("proxy-header") && refuted.alike) {
        alike.push("each PROXY header (v1, v2)");
        excluded.push("the PROXY header");
    }
    Some(format!(
        "All these attempts fail in the same way: {}. So the cause is not {}.",
        alike.join(", "),
        excluded.join(" or ")
    ))
}

/// Returns the names of the handshakes that the server answers.
pub(super) fn answered(facts: &Facts) -> String {
    names_of(facts, |attempt| {
        is_answered(attempt) && !refuses_version(attempt)
    })
    .join(", ")
}

/// Returns a clause about the request or handshake that gets a short answer. `None` if neither plain HTTP nor
/// a handshake with an unsupported version gets an answer.
pub(super) fn short_answer(facts: &Facts) -> Option<String> {
    let refused = names_of(facts, refuses_version);
    match (&facts.plain, refused.first()) {
        (Some(plain), _) => Some(format!("plain HTTP gets status {}", plain.status)),
        (None, Some(version)) => Some(format!("a handshake with {version} gets an alert")),
        (None, None) => None,
    }
}

/// Weighs the cause that a proxy or forwarder accepts the connection, but no server is behind it.
pub(super) fn nothing_behind(facts: &Facts) -> Weight {
    let reads = facts.hangs_up == Some(false);
    Weight::Likely.when(all_are_cut(facts) && short_answer(facts).is_none() && !reads)
}

/// Returns a sentence that says what the handshakes show about the name.
pub(super) fn name_evidence(facts: &Facts) -> Option<String> {
    let tls = facts.tls.as_ref()?;
    let text = match (facts.failure()?, &tls.made_up.result) {
        (Failure::Certificate(CertificateFailure::OtherName { .. }), _) => {
            "A made-up name gets the same certificate.".to_owned()
        }
        (Failure::HandshakeClosed(_) | Failure::HandshakeTimeout, _) if all_are_cut(facts) => {
            "The server reads the handshake and closes the connection. It does the same with a made-up name."
                .to_owned()
        }
        (Failure::HandshakeClosed(_) | Failure::HandshakeTimeout, _) => {
            format!("The server answers these handshakes: {}.", answered(facts))
        }
        (_, Err(failure)) => format!("A handshake with a made-up name fails too: {failure}."),
        (_, Ok(_)) => "A handshake with a made-up name succeeds.".to_owned(),
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{Attempt, is_answered};
    use crate::failure::Failure;

    #[test]
    fn an_attempt_that_does_not_connect_is_not_answered() {
        let is_answered = |failure| {
            is_answered(&Attempt {
                result: Err(failure),
                ..Attempt::none()
            })
        };
        assert!(!is_answered(Failure::ConnectTimeout));
        assert!(!is_answered(Failure::HandshakeTimeout));
        assert!(is_answered(Failure::UnsafeRenegotiation));
    }
}
