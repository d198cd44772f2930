//! Cases in which HAProxy's own check or visitors' traffic gets a result different from sni-check's.

use super::cause::{Cause, Place, Sign, Trial, Weight, at};
use super::facts::{Facts, Handshakes, Refused, SniNeed, Way};
use crate::code::{Code, Layer};
use crate::failure::Failure;

/// The causes that explain why HAProxy's own check fails although sni-check's check succeeds.
pub const EXPLANATIONS: [&str; 4] = [
    "interim-response",
    "own-check-ignores-verifyhost",
    "own-check-without-agent",
    "text-beyond-buffer",
];

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "limit-of-sni-check",
        shows_as: &[
            at(Code::NothingInCommon, 3),
            at(Code::NotTls, 4),
            at(Code::CertificateInvalid, 9),
            (Sign::AnyFailure, 0),
        ],
        place: Place::Config,
        what: "{only-haproxy}",
        confirm: "sni-check diagnose tries HAProxy's own check. sni-check can't check a server that needs one of these: TLS 1.2 with CBC, DHE or RSA key exchange; key exchange by X448, FFDHE or X25519MLKEM768; Ed448 or SHA-224 signatures; in TLS 1.2, an RSA-PSS key. It also can't check a server that sends more than 64 kB of certificates. docs/limits.md lists all limits.",
        change: "Use HAProxy's own check, with {lines}. Or change the server: the check's line names the part that sni-check can't use.",
        weigh: |facts| {
            let by_days = [Code::CertificateExpiresSoon, Code::CertificateExpired];
            let by_traffic = matches!(facts.failure(), Some(Failure::LongHead { .. }));
            let mixed = super::mixed::find(facts).is_some();
            // Without SNI and verifyhost, HAProxy verifies no name. The cause `name-not-verified` covers that
            // case.
            let by_name = facts.code() == Code::CertificateForOtherName;
            let further = facts.code().layer() == Layer::Tls && facts.haproxy_shakes_hands();
            let up = facts.own_check_is_up() == Some(true) && !by_name;
            let further = further && facts.own_check_refuses().is_none();
            // The lines that HAProxy tries give the check more time.
            let by_time = facts.code() == Code::ResponseTimeout;
            let up = (up || further) && !mixed;
            Weight::Proved.when(up && !by_traffic && !by_time && !by_days.contains(&facts.code()))
        },
        ..Cause::BASE
    },
    Cause {
        id: "own-check-refuses-certificate",
        shows_as: &[(Sign::AnyFailure, 1)],
        place: Place::Value,
        what: "{only-haproxy} HAProxy doesn't trust the server's certificate: the CA is not in the ca-file that HAProxy uses, or the certificate has expired.",
        confirm: "{s-client} -CAfile FILE shows what is wrong with the certificate.",
        change: "Use HAProxy's own check, with the right CA: ca-file FILE on the server line< (--ca-file FILE for diagnose)|>.",
        weigh: |facts| Weight::Proved.when(facts.own_check_refuses() == Some(Refused::Certificate)),
        ..Cause::BASE
    },
    Cause {
        id: "own-check-refuses-name",
        shows_as: &[(Sign::AnyFailure, 2)],
        place: Place::Value,
        what: "{only-haproxy} HAProxy reports that the server's certificate is for a name other than {sni}.",
        confirm: "{s-client} shows the names of the certificate.",
        change: "Use HAProxy's own check, with the right name: check-sni and sni on the server line< (--sni for diagnose)|>.",
        weigh: |facts| Weight::Proved.when(facts.own_check_refuses() == Some(Refused::Name)),
        ..Cause::BASE
    },
    Cause {
        id: "own-check-refuses-response",
        shows_as: &[(Sign::AnyFailure, 3)],
        place: Place::Value,
        what: "{only-haproxy} HAProxy gets a response that the check doesn't accept ({own-check}).",
        confirm: "Compare http-check expect, or the default of status 200-399, with what HAProxy reports.",
        change: "Use HAProxy's own check, and correct its http-check expect< (--expect for diagnose)|> or its page< (--uri)|>.",
        weigh: |facts| Weight::Proved.when(facts.own_check_refuses() == Some(Refused::Response)),
        ..Cause::BASE
    },
    Cause {
        id: "own-check-without-agent",
        shows_as: &[at(Code::Healthy, 6)],
        place: Place::Config,
        what: "sni-check is UP, but HAProxy's own check is not. HAProxy's own check sends no User-Agent and no Accept, and the server refuses requests without them, as web application firewalls do. Visitors' browsers send both.",
        confirm: "sni-check diagnose tries HAProxy's own check with both headers.",
        change: "Send both headers, as in {lines}.",
        weigh: |facts| Weight::Proved.when(facts.is_reached_by(Way::WithAgent)),
        trials: |facts| match facts.failure() {
            None if !facts.plan.handshake_only => Trial::way(Way::WithAgent),
            _ => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "text-beyond-buffer",
        shows_as: &[at(Code::Healthy, 13)],
        place: Place::Config,
        what: "sni-check is UP, but HAProxy's own check is not: the text that http-check expect looks for comes after the first 15 kB of the body. HAProxy's own check reads only its buffer (tune.bufsize, 16 kB by default).",
        confirm: "sni-check <--max-body> 15k doesn't find the text either.",
        change: "Raise tune.bufsize in the `global` section, for example tune.bufsize 65536. Or check a smaller page, or expect text that comes earlier.",
        weigh: |facts| Weight::Proved.when(is_beyond_buffer(facts)),
        ..Cause::BASE
    },
    Cause {
        id: "own-check-ignores-verifyhost",
        shows_as: &[at(Code::Healthy, 15)],
        place: Place::Config,
        what: "The check compares the certificate with --verify-host {verify-host}. HAProxy ignores verifyhost if a connection sends SNI, and compares the certificate with the SNI name {sni}.",
        confirm: "HAProxy's own check says `Server presented an SSL certificate different from the expected one`.",
        change: "For visitors, leave out sni on the server line, and write verifyhost {verify-host} there.",
        weigh: |facts| Weight::Proved.when(is_name_ignored(facts)),
        ..Cause::BASE
    },
    Cause {
        id: "interim-response",
        shows_as: &[at(Code::Healthy, 18)],
        what: "The server sends an interim response (status {interim}) before the final response. HAProxy's own check takes the interim response for the final one (L7STS). sni-check waits for the final response.",
        confirm: "curl -v --http1.1 shows both responses.",
        change: "Let the server send no interim response to checks. Or check the server with sni-check (option external-check).",
        weigh: |facts| Weight::Proved.when(takes_interim_response(facts)),
        ..Cause::BASE
    },
    Cause {
        id: "own-check-differs",
        shows_as: &[at(Code::Healthy, 7)],
        what: "sni-check is UP, but HAProxy's own check is not ({own-check}).",
        confirm: "sni-check diagnose --verbose shows the result of each kind of check.",
        change: "Find the reason before you rely on sni-check for this server. For visitors, HAProxy connects to the server in the same way as for its own check.",
        weigh: |facts| {
            let down = facts.own_check_is_up() == Some(false);
            let explained = facts.is_reached_by(Way::WithAgent)
                || is_beyond_buffer(facts)
                || is_name_ignored(facts)
                || takes_interim_response(facts);
            Weight::Proved.when(down && !explained)
        },
        ..Cause::BASE
    },
    Cause {
        id: "check-without-sni",
        shows_as: &[at(Code::Healthy, 3)],
        place: Place::Config,
        what: "This server requires SNI. `sni str({sni})` on the server line is for visitors' traffic only.",
        confirm: "sni-check diagnose --verbose shows the handshake without SNI.",
        change: "HAProxy's own check needs `check-sni {sni}`, as in {lines}.",
        weigh: |facts| {
            let need = facts.tls.as_ref().and_then(Handshakes::sni_need);
            Weight::Proved.when(need == Some(SniNeed::Required) && facts.sni().is_some())
        },
        ..Cause::BASE
    },
    Cause {
        id: "check-of-another-site",
        shows_as: &[at(Code::Healthy, 4)],
        place: Place::Config,
        what: "Without SNI this server sends another site's certificate. `sni str({sni})` on the server line is for visitors' traffic only.",
        confirm: "sni-check diagnose --verbose shows the handshake without SNI.",
        change: "HAProxy's own check needs `check-sni {sni}`, as in {lines}.",
        weigh: |facts| {
            let need = facts.tls.as_ref().and_then(Handshakes::sni_need);
            let other = need == Some(SniNeed::OtherCertificate);
            let mixed = super::mixed::find(facts).is_some();
            Weight::Proved.when(other && facts.sni().is_some() && !mixed)
        },
        ..Cause::BASE
    },
    Cause {
        id: "traffic-needs-sni",
        shows_as: &[at(Code::Healthy, 12)],
        place: Place::Config,
        what: "The check is UP, but visitors get {traffic-status}. The check sends the SNI name {sni}, but HAProxy doesn't send it for visitors.",
        confirm: "sni-check diagnose BACKEND/SERVER sends a request through HAProxy, as a visitor does.",
        change: "Write sni str({sni}) on the server line.",
        weigh: |facts| {
            let haproxy = facts.haproxy.as_ref();
            Weight::Proved.when(haproxy.is_some_and(|haproxy| haproxy.traffic.is_some()))
        },
        ..Cause::BASE
    },
    Cause {
        id: "response-cut-for-visitors",
        shows_as: &[at(Code::Healthy, 10)],
        what: "The server cuts off its response: visitors get only part of the page. The check reads no more than its expectations need, so it is UP.",
        confirm: "curl says `transfer closed with outstanding read data remaining`.",
        change: "Fix the application. Until then, use --expect 'string TEXT' with text from the end of the page. The check is then DOWN when the page is cut off.",
        weigh: |facts| {
            let visitor = facts
                .haproxy
                .as_ref()
                .and_then(|haproxy| haproxy.failed_visitor);
            Weight::Proved.when(visitor.is_some_and(|(_, complete)| !complete))
        },
        ..Cause::BASE
    },
    Cause {
        id: "visitors-get-error",
        shows_as: &[at(Code::Healthy, 11)],
        place: Place::Value,
        what: "The check is UP, but visitors with Host {visitor-host} get status {visitor-status}.",
        confirm: "sni-check diagnose sends a request through HAProxy, as a visitor does.",
        change: "Use the same name for SNI, for Host and for visitors. Correct <--sni, and |>sni and check-sni on the server line. Correct <--header 'Host: NAME'|hdr Host in http-check send>, too.",
        weigh: |facts| {
            let visitor = facts
                .haproxy
                .as_ref()
                .and_then(|haproxy| haproxy.failed_visitor);
            Weight::Proved.when(visitor.is_some_and(|(_, complete)| complete))
        },
        ..Cause::BASE
    },
];

/// Returns true if HAProxy's own check is DOWN because it ignores verifyhost: it sends SNI, and compares the
/// certificate with the SNI name.
fn is_name_ignored(facts: &Facts) -> bool {
    super::name::verifies_other_name(facts) && facts.own_check_is_up() == Some(false)
}

/// Returns true if HAProxy's own check takes an interim response (1xx) for the response.
fn takes_interim_response(facts: &Facts) -> bool {
    let haproxy = facts.haproxy.as_ref();
    haproxy.is_some_and(|haproxy| haproxy.interim.is_some())
}

/// Returns true if HAProxy's own check doesn't find a text because the text comes after the part of the body
/// that HAProxy reads.
fn is_beyond_buffer(facts: &Facts) -> bool {
    let in_buffer = facts
        .answers
        .as_ref()
        .and_then(|answers| answers.in_buffer.as_ref());
    let cut = in_buffer.is_some_and(|attempt| {
        matches!(
            &attempt.result,
            Err(Failure::Body {
                cut_at: Some(_),
                ..
            })
        )
    });
    cut && facts.own_check_is_up() == Some(false)
}
