//! Names: name resolution, SNI, the verified name and Host.

use super::cause::{Cause, Place, Trial, Weight, at};
use super::certificate::has_only_addresses;
use super::facts::{Facts, KnownValue, is_name};
use crate::certificate::CertificateFailure;
use crate::code::{Code, Layer};
use crate::failure::Failure;
use crate::haproxy::config::address::without_port;
use crate::options::Options;
use crate::options::values::Time;
use crate::probe;
use crate::probe::connect::Address;
use std::net::IpAddr;
use std::time::Duration;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "name-misspelled",
        shows_as: &[at(Code::NameNotFound, 1)],
        place: Place::Value,
        what: "The host <in --connect or in the URL|of the check> is misspelled or has no address. (HAProxy resolves the names on its server lines itself.)",
        confirm: "getent ahosts {looked-up}",
        change: "Correct the name, or give an address.",
        weigh: |_| Weight::Likely,
        ..Cause::BASE
    },
    Cause {
        id: "chroot-without-resolver",
        shows_as: &[at(Code::NameNotFound, 2)],
        place: Place::Host,
        what: "HAProxy's chroot has no /etc/resolv.conf or /etc/hosts, so the name can be resolved outside the chroot, but not inside it.",
        confirm: "ls CHROOT/etc/resolv.conf CHROOT/etc/hosts",
        change: "Give an address instead of a name, or copy these files into the chroot.",
        // Only a check that HAProxy runs is in the chroot.
        weigh: |facts| Weight::Possible.when(facts.plan.caller.is_some()),
        ..Cause::BASE
    },
    Cause {
        id: "resolver-silent",
        shows_as: &[at(Code::ResolveTimeout, 1)],
        place: Place::Host,
        what: "The name server doesn't answer. A static musl binary, as in the container image, also waits when the answer is SERVFAIL.",
        confirm: "time getent ahosts {looked-up}",
        change: "Fix the resolver (/etc/resolv.conf), or <give --connect an address|write an address in place of the name>.",
        weigh: |_| Weight::Likely,
        ..Cause::BASE
    },
    Cause {
        id: "timeout-too-short",
        shows_as: &[
            at(Code::ResolveTimeout, 2),
            at(Code::ConnectTimeout, 3),
            at(Code::HandshakeTimeout, 4),
            at(Code::ResponseTimeout, 2),
        ],
        place: Place::Config,
        what: "The server answers, but only after the check's time limit ({timeout}).",
        confirm: "Run <the check|sni-check> by hand with <--timeout 10s|a longer --timeout>. Its line shows how long each phase took.",
        change: "Raise --timeout, and raise inter and timeout connect above it. Or make the page faster.",
        trials: |facts| more_time(facts).into_iter().collect(),
        ..Cause::BASE
    },
    Cause {
        id: "sni-missing",
        shows_as: &[
            at(Code::NameRefused, 2),
            at(Code::CertificateForOtherName, 5),
            at(Code::IssuerUnknown, 7),
            at(Code::HandshakeRefused, 3),
            at(Code::HandshakeClosed, 5),
            at(Code::NothingInCommon, 7),
            at(Code::Status, 11),
        ],
        place: Place::Config,
        what: "The check sends no SNI, and the server needs the name. HAProxy's own check sends SNI only with check-sni, whatever `sni` on the server line says. Without check-sni it fails with `SSL handshake failure`.",
        confirm: "The check's line says no-sni. sni-check diagnose shows the handshakes with and without the name.",
        change: "Let the check send {left-out} as SNI: check-sni {left-out} on the server line<, or sni-check without --no-sni|>.",
        weigh: |facts| Weight::Possible.when(facts.options.no_sni),
        trials: |facts| with_name(facts, false),
        ..Cause::BASE
    },
    Cause {
        id: "name-not-sent",
        shows_as: &[at(Code::CertificateForOtherName, 8)],
        place: Place::Config,
        what: "The check sends no SNI. The server sends the certificate of {left-out} anyway. Without SNI and verifyhost, HAProxy verifies no name, but sni-check verifies {wanted}.",
        confirm: "The check's line says no-sni, and lists the names of the certificate.",
        change: "Let the check send {left-out} as SNI: check-sni {left-out} on the server line<, or sni-check without --no-sni|>.",
        weigh: |facts| Weight::Possible.when(!with_name(facts, true).is_empty()),
        trials: |facts| with_name(facts, true),
        ..Cause::BASE
    },
    Cause {
        id: "sni-wrong",
        shows_as: &[
            at(Code::NameRefused, 3),
            at(Code::CertificateForOtherName, 2),
            at(Code::IssuerUnknown, 8),
            at(Code::CertificateExpired, 5),
            at(Code::HandshakeRefused, 2),
            at(Code::HandshakeClosed, 2),
            at(Code::NothingInCommon, 6),
            at(Code::Status, 4),
        ],
        place: Place::Config,
        what: "{sni} is the wrong name: the server serves {meant}.",
        confirm: "sni-check diagnose tries other names from the options, haproxy.cfg and the certificate.",
        change: "Send {meant} as SNI{and-host}: <--sni {meant}, and |>sni and check-sni on the server line.",
        weigh: |facts| Weight::Possible.when(!other_names(facts).is_empty()),
        trials: other_names,
        ..Cause::BASE
    },
    Cause {
        id: "sni-unknown",
        shows_as: &[
            at(Code::NameRefused, 1),
            at(Code::CertificateForOtherName, 1),
            at(Code::HandshakeRefused, 1),
            at(Code::HandshakeClosed, 1),
            at(Code::NothingInCommon, 1),
            at(Code::HandshakeTimeout, 6),
            at(Code::IssuerUnknown, 9),
        ],
        place: Place::Value,
        what: "The server doesn't know the name {sni}. It refuses the handshake, or sends its default certificate.",
        confirm: "sni-check diagnose compares handshakes with the name, without SNI and with a made-up name.",
        change: "Correct <--sni, and |>sni and check-sni on the server line. Or set up {sni} on the server, with its own certificate. With a name that visitors don't use, the check would be UP while visitors aren't served.",
        evidence: "{name-evidence}",
        weigh: sni_unknown,
        ..Cause::BASE
    },
    Cause {
        id: "verify-host-wrong",
        shows_as: &[at(Code::CertificateForOtherName, 3)],
        place: Place::Config,
        what: "The certificate is for the SNI name, not for --verify-host {verify-host}.",
        confirm: "The check's line shows both names.",
        change: "Leave out <--verify-host, and |>verifyhost on the server line.",
        weigh: |facts| {
            Weight::Possible.when(facts.options.verify_host.is_some() && facts.sni().is_some())
        },
        trials: |facts| match &facts.options.verify_host {
            // Without SNI, HAProxy would verify no name.
            Some(_) if facts.sni().is_some() => {
                let trial = Trial::new(facts, |options| options.verify_host = None);
                vec![trial.counting_progress()]
            }
            _ => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "verifyhost-ignored",
        shows_as: &[at(Code::CertificateForOtherName, 10)],
        place: Place::Config,
        what: "The certificate is for {meant}, the verifyhost of {other}. HAProxy ignores verifyhost if the connection sends SNI. It then compares the certificate with the SNI name {sni}.",
        confirm: "HAProxy's own check is UP without check-sni.",
        change: "Leave out check-sni on the server line (and sni, for visitors), so that HAProxy compares the certificate with verifyhost {meant}.",
        weigh: |_| Weight::RuledOut,
        trials: |facts| match facts.sni() {
            Some(_) => verified_elsewhere(facts, "--no-sni"),
            None => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "verify-host-elsewhere",
        shows_as: &[at(Code::CertificateForOtherName, 11)],
        place: Place::Config,
        what: "The certificate is for {meant}, the verifyhost of {other}. The check compares the certificate with {wanted}.",
        confirm: "The check's line shows the names of the certificate.",
        change: "Compare the certificate with that name: --verify-host {meant}.",
        weigh: |_| Weight::RuledOut,
        trials: |facts| verified_elsewhere(facts, "--verify-host"),
        ..Cause::BASE
    },
    Cause {
        id: "verify-host-unknown",
        shows_as: &[at(Code::CertificateForOtherName, 12)],
        place: Place::Value,
        what: "The certificate is for {presented}, not for --verify-host {verify-host}.",
        confirm: "The check's line shows the names of the certificate.",
        change: "Correct <--verify-host, and |>verifyhost on the server line. HAProxy ignores verifyhost on a line with sni.",
        weigh: |facts| Weight::Likely.when(verifies_other_name(facts)),
        ..Cause::BASE
    },
    Cause {
        id: "certificate-for-addresses",
        shows_as: &[at(Code::CertificateForOtherName, 9)],
        place: Place::Config,
        what: "The certificate has only IP addresses ({presented-addresses}), so it matches no SNI name and no verifyhost: HAProxy compares both only with DNS names and common names.",
        confirm: "sni-check diagnose shows all names of the certificate.",
        change: "Leave out sni, check-sni and verifyhost on the server line< (--no-sni for sni-check)|>. HAProxy then verifies no name, and sni-check verifies the server's address. Or have a certificate issued that has a DNS name.",
        weigh: |facts| {
            let is_named = !facts.options.no_sni || facts.options.verify_host.is_some();
            Weight::Likely.when(has_only_addresses(facts) && is_named)
        },
        trials: |facts| match has_only_addresses(facts) {
            true => without_names(facts).into_iter().collect(),
            false => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "name-not-verified",
        shows_as: &[at(Code::CertificateForOtherName, 13)],
        place: Place::Config,
        what: "Without SNI< (--no-sni)|> and verifyhost, HAProxy verifies no name, but sni-check verifies {wanted}.",
        confirm: "HAProxy's own check is UP. The check's line lists the names of the certificate.",
        change: "If {meant} is the server's name, verify it: <--verify-host {meant}, and |>verifyhost on the server line.",
        weigh: |facts| {
            let options = &facts.options;
            Weight::Possible.when(options.no_sni && options.verify_host.is_none())
        },
        trials: |facts| match facts.options.verify_host {
            None => names_to_verify(facts),
            Some(_) => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "verifyhost-wrong",
        shows_as: &[at(Code::CertificateForOtherName, 14)],
        place: Place::Value,
        what: "The check sends no SNI, so it compares the certificate with --verify-host {verify-host}. The certificate is for {presented}.",
        confirm: "{s-client} shows the names of the certificate.",
        change: "If a name of the certificate is the server's name, use it: <--verify-host NAME, and |>verifyhost NAME on the server line. Otherwise, have a certificate issued for {verify-host}.",
        weigh: |facts| {
            let options = &facts.options;
            Weight::Likely.when(options.no_sni && options.verify_host.is_some())
        },
        trials: |facts| match facts.options.verify_host {
            Some(_) => names_to_verify(facts),
            None => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "host-needs-its-sni",
        shows_as: &[
            at(Code::Status, 5),
            at(Code::Header, 3),
            at(Code::Body, 7),
            at(Code::ResponseClosed, 5),
            at(Code::NotHttp, 5),
        ],
        place: Place::Config,
        what: "The server answers requests for Host {host} only if the SNI name is {host} too.",
        confirm: "The response is 421 Misdirected Request, or another site's page.",
        change: "Use the same name for both: <--sni {host}, and |>sni and check-sni on the server line.",
        weigh: |facts| Weight::Possible.when(facts.host() != facts.plan.names.host),
        trials: host_as_sni,
        ..Cause::BASE
    },
    Cause {
        id: "host-not-of-visitors",
        shows_as: &[
            at(Code::Status, 32),
            at(Code::Header, 7),
            at(Code::Body, 11),
            at(Code::ResponseClosed, 15),
            at(Code::NotHttp, 10),
        ],
        place: Place::Config,
        what: "The check's Host is {host}, but its SNI name is {name}. Visitors use {name}, too. No other server and no visitor of this backend uses {host}.",
        confirm: "Compare the check's Host with sni and check-sni on the server line, and with the names in the frontend's conditions.",
        change: "Send the name that visitors use in Host, too: <--header 'Host: {name}'|hdr Host {name} in http-check send>.",
        weigh: |_| Weight::RuledOut,
        trials: |facts| match is_of_visitors(facts) {
            true => sni_as_host(facts),
            false => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "host-unknown",
        shows_as: &[
            at(Code::Status, 6),
            at(Code::Header, 4),
            at(Code::Body, 8),
            at(Code::ResponseClosed, 6),
            at(Code::NotHttp, 6),
        ],
        place: Place::Config,
        what: "The server knows {name}, but not \"Host: {host}\".",
        confirm: "sni-check diagnose shows whether the response depends on Host.",
        change: "<Leave out --header 'Host: {host}'. Host is then {name}|Send Host {name}: hdr Host {name} in http-check send>.",
        weigh: |facts| Weight::Possible.when(facts.host() != facts.plan.names.host),
        trials: |facts| match is_of_visitors(facts) {
            true => Vec::new(),
            false => sni_as_host(facts),
        },
        ..Cause::BASE
    },
];

/// Returns a trial with four times the time limit, but at least 5 s, and at most 10 s, because a person waits
/// for the result. `None` if the check didn't time out, or already had as much time.
fn more_time(facts: &Facts) -> Option<Trial> {
    let timed_out = matches!(
        facts.failure(),
        Some(
            Failure::HandshakeTimeout
                | Failure::ResponseTimeout { .. }
                | Failure::ConnectTimeout
                | Failure::ResolveTimeout { .. }
        )
    );
    let now = facts.plan.timeout;
    let more = (now * 4).clamp(Duration::from_secs(5), Duration::from_secs(10));
    (timed_out && now < more)
        .then(|| Trial::new(facts, |options| options.timeout = Some(Time(more))))
}

/// Returns trials that send a name as SNI in place of `--no-sni`. The names come from the options and from
/// haproxy.cfg. If `is_sent`, returns only the names for which the server sends the right certificate even
/// without SNI. Otherwise returns only the other names.
fn with_name(facts: &Facts, is_sent: bool) -> Vec<Trial> {
    if !facts.options.no_sni {
        return Vec::new();
    }
    let names = [
        Some(&facts.plan.names.host),
        facts.options.target.first(),
        facts.options.verify_host.as_ref(),
    ];
    let mut names: Vec<String> = names.into_iter().flatten().cloned().collect();
    names.push(facts.host().to_owned());
    names.extend(facts.known("--sni").map(|known| known.value.clone()));
    let leaf = facts.verdict.seen.chain.first();
    let leaf = leaf.filter(|_| facts.code() == Code::CertificateForOtherName);
    let has_certificate = |name: &str| leaf.is_some_and(|leaf| probe::is_for(leaf, name));
    names.retain(|name| is_name(name) && has_certificate(name) == is_sent);
    names.dedup();
    let trial = |name: String| {
        let trial = Trial::new(facts, |options| send(options, &name));
        trial.counting_progress().with("left-out", name)
    };
    names.into_iter().map(trial).collect()
}

fn send(options: &mut Options, name: &str) {
    options.no_sni = false;
    options.verify_host = None;
    options.sni = Some(name.to_owned());
}

/// Returns trials with the other names that the options and haproxy.cfg contain, and with names of the
/// certificate that differ from the verified name only by a typing error.
fn other_names(facts: &Facts) -> Vec<Trial> {
    let Some(sent) = facts.sni() else {
        return Vec::new();
    };
    let mut names: Vec<String> = target_name(&facts.options).into_iter().collect();
    names.extend(facts.options.verify_host.clone());
    names.extend(facts.known("--sni").map(|known| known.value.clone()));
    // If the failure comes after the handshake, the cause `host-needs-its-sni` tries the name in Host.
    if facts.host() != facts.plan.names.host && facts.code().layer() != Layer::Http {
        names.push(facts.host().to_owned());
    }
    for fault in facts.faults() {
        if let CertificateFailure::OtherName { wanted, presented } = fault {
            let meant = presented.iter().filter(|name| is_slip(wanted, name));
            let meant = meant.filter(|_| wanted == sent);
            names.extend(meant.cloned());
        }
    }
    names.retain(|name| is_name(name) && !name.eq_ignore_ascii_case(sent));
    names.dedup();
    // If the server refuses the request, and the check's Host is the same name, Host is wrong, too.
    let is_http = facts.code().layer() == Layer::Http;
    let is_host = is_http && without_port(facts.host()).eq_ignore_ascii_case(sent);
    let trial = |name: String| {
        let trial = Trial::new(facts, |options| {
            send(options, &name);
            if is_host {
                options.remove_header("host");
            }
        });
        let and_host = if is_host { " and Host" } else { "" };
        let trial = trial.counting_progress().with("and-host", and_host);
        trial.with("meant", name)
    };
    names.into_iter().map(trial).collect()
}

/// Returns trials that verify the names of verifyhost in haproxy.cfg. If `option` is `--no-sni`, the trials
/// send no SNI, because HAProxy ignores verifyhost on a connection with SNI.
fn verified_elsewhere(facts: &Facts, option: &'static str) -> Vec<Trial> {
    let others = facts.known(option);
    let others = others.filter(|known| facts.options.verify_host.as_ref() != Some(&known.value));
    let trial = |known: &KnownValue| {
        let trial = Trial::new(facts, |options| {
            options.verify_host = Some(known.value.clone());
            if option == "--no-sni" {
                (options.no_sni, options.sni) = (true, None);
            }
        });
        let trial = trial.counting_progress().with("other", &*known.of);
        trial.with("meant", &*known.value)
    };
    others.map(trial).collect()
}

/// Returns true if the check sends SNI and compares the certificate with a different name.
pub(super) fn verifies_other_name(facts: &Facts) -> bool {
    let verified = facts.options.verify_host.as_deref();
    verified.is_some() && facts.sni().is_some() && verified != facts.sni()
}

/// Returns a trial that sends no SNI and verifies the server's address. `None` if diagnose reached no TCP
/// address.
fn without_names(facts: &Facts) -> Option<Trial> {
    let Some(Address::Tcp(address)) = &facts.reached else {
        return None;
    };
    let address = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    Some(Trial::new(facts, |options| {
        if !options.has_header("host") {
            options.header.push(format!("Host: {}", facts.host()));
        }
        let name = target_name(options);
        if let (Some(name), [target]) = (name, options.target.as_mut_slice()) {
            *target = target.replacen(&name, &address, 1);
        }
        (options.sni, options.verify_host) = (None, None);
        options.no_sni = true;
    }))
}

/// Returns a trial that verifies the first host name of the certificate, if the check sends no SNI and that
/// name isn't a wildcard.
fn names_to_verify(facts: &Facts) -> Vec<Trial> {
    let names = super::certificate::other_name(facts).filter(|_| facts.options.no_sni);
    let name = names.and_then(|(_, presented)| presented.iter().find(|name| is_name(name)));
    let name = name.filter(|name| !name.contains('*'));
    let trial = name.map(|name| {
        let trial = Trial::new(facts, |options| options.verify_host = Some(name.clone()));
        trial.with("meant", name.clone())
    });
    trial.into_iter().collect()
}

/// Returns the host of the target (a URL or a name). `--sni` takes precedence over this host.
fn target_name(options: &Options) -> Option<String> {
    let target = options.target.first()?;
    let rest = target
        .split_once("://")
        .map_or(target.as_str(), |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(without_port(authority).to_owned())
}

fn sni_unknown(facts: &Facts) -> Weight {
    let (Some(tls), Some(_)) = (&facts.tls, facts.sni()) else {
        return Weight::RuledOut;
    };
    match facts.failure() {
        Some(Failure::NameRefused { .. }) => Weight::Proved,
        // The name is unknown only if a made-up name gets the same certificate.
        Some(Failure::Certificate(CertificateFailure::OtherName { wanted, presented })) => {
            // If the certificate has the SNI name, only --verify-host is wrong.
            let serves = facts
                .sni()
                .is_some_and(|sni| presented.iter().any(|name| name == sni));
            let is_sent = facts.sni() == Some(wanted.as_str()) || !serves;
            let is_default = tls.is_default_certificate() && !presented.is_empty();
            let by_address = has_only_addresses(facts);
            Weight::Likely.when(is_default && is_sent && !by_address)
        }
        Some(Failure::Certificate(_)) => {
            let other =
                |fault: &&CertificateFailure| matches!(fault, CertificateFailure::OtherName { .. });
            Weight::Possible.when(tls.is_default_certificate() && facts.faults().iter().any(other))
        }
        Some(Failure::HandshakeRefused(alert) | Failure::NothingInCommon(alert)) => {
            by_alert(facts, u8::from(*alert))
        }
        Some(Failure::HandshakeClosed(_) | Failure::HandshakeTimeout) => {
            let names = [&tls.bare, &tls.made_up];
            let cut = names.iter().all(|attempt| super::tls::is_cut(attempt));
            match (cut, facts.failure()) {
                (false, _) => Weight::Likely,
                // The server keeps idle connections open. So it closes this connection because of the
                // handshake.
                (true, Some(Failure::HandshakeClosed(_))) => {
                    Weight::Likely.when(facts.hangs_up == Some(false) && facts.plain.is_none())
                }
                (true, _) => Weight::RuledOut,
            }
        }
        _ => Weight::RuledOut,
    }
}

/// Weighs an alert. Servers that don't know a name send `internal_error` (Go), `handshake_failure`
/// (many CDNs) or `access_denied`, and they send the same alert for a made-up name.
fn by_alert(facts: &Facts, alert: u8) -> Weight {
    const FOR_NAMES: [u8; 3] = [40, 49, 80];
    let Some(tls) = facts.tls.as_ref().filter(|_| FOR_NAMES.contains(&alert)) else {
        return Weight::RuledOut;
    };
    let says = |failure: &Failure| failure.to_string();
    let named = tls.named.result.as_ref().err().map(says);
    let made_up = tls.made_up.result.as_ref().err().map(says);
    match (named, made_up) {
        // A made-up name gets further, so the server refuses this name in particular.
        (Some(_), None) => Weight::Likely,
        (Some(named), Some(made_up)) if named == made_up => {
            // A server that doesn't support a TLS version sends `protocol_version` to clients that offer only
            // that version.
            let versions = [&tls.tls12, &tls.tls13].iter().any(|attempt| {
                matches!(&attempt.result, Err(Failure::NothingInCommon(alert)) if u8::from(*alert) == 70)
            });
            match facts.own_check_is_up() {
                _ if facts.haproxy_shakes_hands() => Weight::RuledOut,
                Some(true) => Weight::RuledOut,
                _ if alert == 40 && versions && facts.haproxy.is_none() => Weight::Possible,
                _ => Weight::Likely,
            }
        }
        _ => Weight::Possible,
    }
}

fn host_as_sni(facts: &Facts) -> Vec<Trial> {
    let host = facts.host().to_owned();
    if host == facts.plan.names.host || !is_name(&host) {
        return Vec::new();
    }
    let trial = Trial::new(facts, |options| {
        options.remove_header("host");
        send(options, &host);
    });
    // With another SNI name, visitors would reach another site.
    let is_last_resort = is_of_visitors(facts);
    let trial = trial.counting_progress();
    vec![trial.last_resort_if(is_last_resort)]
}

/// Returns the trial that sends the SNI name as Host.
fn sni_as_host(facts: &Facts) -> Vec<Trial> {
    let differs = facts.host() != facts.plan.names.host;
    let trial = Trial::new(facts, |options| options.remove_header("host")).counting_progress();
    differs.then_some(trial).into_iter().collect()
}

/// Returns true if visitors use the check's SNI name, and neither another server of the backend nor a visitor
/// uses the check's Host.
fn is_of_visitors(facts: &Facts) -> bool {
    let has = |known: &KnownValue, name: &str| known.value.eq_ignore_ascii_case(name);
    let mut others = facts.known("--sni");
    let is_elsewhere = others.any(|known| has(known, facts.host()));
    let mut known = facts.known("--sni").filter(|known| known.is_of_visitors());
    let sni = facts.sni().unwrap_or_default();
    known.any(|known| has(known, sni)) && !is_elsewhere
}

/// Returns true if the wrong name has one letter too many, one too few, or two swapped letters. A replaced
/// letter doesn't count, because both names may exist: app1 and app2.
fn is_slip(wrong: &str, right: &str) -> bool {
    let letters = |name: &str| {
        let mut letters = name.as_bytes().to_vec();
        letters.sort_unstable();
        letters
    };
    let digits = |name: &str| {
        name.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    let swapped = letters(wrong) == letters(right);
    let near = strsim::damerau_levenshtein(wrong, right) == 1;
    near && !right.starts_with("*.")
        && digits(wrong) == digits(right)
        && (swapped || wrong.len() != right.len())
}

#[cfg(test)]
mod tests {
    use super::is_slip;

    #[test]
    fn a_typing_error_is_not_another_server() {
        for (wrong, right, slip) in [
            ("ww.example.com", "www.example.com", true),
            ("wwww.example.com", "www.example.com", true),
            ("www.exmaple.com", "www.example.com", true),
            ("app1.example.com", "app2.example.com", false),
            ("www2.example.com", "www.example.com", false),
            ("a.example.com", "default.example.com", false),
            ("w.example.com", "*.example.com", false),
        ] {
            assert_eq!(is_slip(wrong, right), slip, "{wrong} {right}");
        }
    }
}
