//! How a good check fits what is around it: HAProxy's time limit, the server line, the traffic.

use std::time::Duration;

use crate::output::mark::Mark;
use crate::plan::{Host, Target};

use super::call::Call;
use super::config::Config;
use super::finding::{Finding, Findings};
use super::jail::{Jail, Need};
use super::judge::Good;
use super::lines::Place;
use crate::haproxy::program::Haproxy;

/// Looks at a call whose options are good.
pub(super) fn check(call: &Call, good: &Good, jail: &Jail, findings: &mut Findings) {
    time(call, good, findings);
    ignored(call, good, findings);
    resolver(call, good, jail, findings);
    if good.plan.tls.verification.is_none() {
        let path = call.backend.set.path.as_ref();
        findings.add(Finding {
            mark: Mark::Note,
            id: "check-verifies-nothing",
            what: "--verify none: the check accepts any certificate".to_owned(),
            shows: "code 0 (UP) with an expired, foreign or forged certificate too".to_owned(),
            write: "leave it out; for a private CA: --ca-file FILE".to_owned(),
            ..note(call, path.map(|path| path.place.clone()))
        });
    }
}

fn note(call: &Call, place: Option<Place>) -> Finding {
    Finding {
        mark: Mark::Note,
        id: "",
        place: place.or_else(|| Some(call.server.place.clone())),
        about: vec![call.caller().to_string()],
        what: String::new(),
        shows: String::new(),
        write: String::new(),
    }
}

/// HAProxy must not end the check before it ends itself.
fn time(call: &Call, good: &Good, findings: &mut Findings) {
    let (own, limit) = (good.plan.timeout, &call.limit);
    if own < limit.time {
        return;
    }
    let default = match good.options.timeout {
        None => ", its default",
        Some(_) => "",
    };
    let source = match limit.place {
        None => ", its default",
        Some(_) => "",
    };
    // A tenth is left for starting the program.
    let shorter = limit.time * 9 / 10;
    findings.add(Finding {
        id: "time",
        what: format!(
            "--timeout is {}{default}, but HAProxy kills the check at {} {}{source}",
            milliseconds(own),
            limit.name,
            milliseconds(limit.time)
        ),
        shows: format!(
            "PROCTOUT and no code where the backend takes longer than {}",
            milliseconds(limit.time)
        ),
        write: format!(
            "{} {}, or --timeout {} in external-check path",
            limit.name,
            milliseconds(roomy(own)),
            milliseconds(shorter)
        ),
        ..note(call, limit.place.clone())
    });
}

/// A time limit that leaves room to start the program: a tenth, in whole tenths of a second.
fn roomy(own: Duration) -> Duration {
    let tenths = (own + own / 10).as_millis().div_ceil(100);
    Duration::from_millis(u64::try_from(tenths * 100).unwrap_or(u64::MAX))
}

fn milliseconds(time: Duration) -> String {
    match time.as_millis() {
        0 => format!("{}us", time.as_micros()),
        whole if whole % 1000 == 0 => format!("{}s", whole / 1000),
        whole => format!("{whole}ms"),
    }
}

/// `addr` and `port` of the server line do not reach an external check.
fn ignored(call: &Call, good: &Good, findings: &mut Findings) {
    let settings = &call.server.settings;
    let given = [
        ("addr", &settings.addr, "--connect"),
        ("port", &settings.port, "--port"),
    ];
    for (word, setting, option) in given {
        let connect = good.options.connect.as_deref().unwrap_or_default();
        let heeded = match word {
            "addr" => !connect.is_empty(),
            _ => good.options.port.is_some() || connect.contains(':'),
        };
        let Some(setting) = setting.as_ref().filter(|_| !heeded) else {
            continue;
        };
        findings.add(Finding {
            id: "ignored",
            what: format!(
                "HAProxy ignores `{word} {}` for external checks",
                setting.value
            ),
            shows: format!("the check dials {}", good.plan.target),
            write: format!("{option} {} in external-check path", setting.value),
            ..note(call, Some(setting.place.clone()))
        });
    }
}

/// A name to resolve inside a chroot needs the resolver's configuration there.
fn resolver(call: &Call, good: &Good, jail: &Jail, findings: &mut Findings) {
    let Target::Tcp {
        host: Host::Name(name),
        ..
    } = &good.plan.target
    else {
        return;
    };
    let present = |file| jail.find(file, Need::Read).is_ok();
    if present("/etc/resolv.conf") || present("/etc/hosts") {
        return;
    }
    let path = call.backend.set.path.as_ref();
    findings.add(Finding {
        id: "resolver",
        what: format!(
            "--connect {name} has to be resolved, but {}/etc/resolv.conf is not there",
            jail.root.display().to_string().trim_end_matches('/')
        ),
        shows: "code 31, the server is DOWN".to_owned(),
        write: "an address after --connect, or copy /etc/resolv.conf into the chroot".to_owned(),
        ..note(call, path.map(|path| path.place.clone()))
    });
}

/// Looks at what traffic does otherwise than the check.
pub(super) fn traffic(
    call: &Call,
    good: &Good,
    config: &Config,
    haproxy: &Haproxy,
    findings: &mut Findings,
) {
    if call.server.settings.ssl.is_none() {
        return without_tls(call, good, findings);
    }
    less_strict(call, good, config, findings);
    // Since 3.3 HAProxy sends the Host as SNI of its own accord.
    let by_itself = haproxy.version.is_some() && haproxy.at_least(3, 3);
    let without = call.server.settings.sni.is_none() && !by_itself;
    if let Some(name) = good.plan.names.sni.as_ref().filter(|_| without) {
        let name = name.as_ref();
        findings.add(Finding {
            id: "traffic-without-sni",
            what: format!("the check sends SNI {name}, traffic sends none"),
            shows: "UP by the check, 503 for traffic where the server wants SNI".to_owned(),
            write: format!("sni str({name}) on the server line"),
            ..note(call, None)
        });
    }
}

/// A server that gets traffic in the clear. Without `mode http` it may be TLS passed through.
fn without_tls(call: &Call, good: &Good, findings: &mut Findings) {
    let no_ssl = call.server.settings.no_ssl.as_ref();
    let elsewhere = good.options.connect.is_some() || good.options.port.is_some();
    if elsewhere || !call.backend.set.http {
        return;
    }
    let word = no_ssl.map_or("has no `ssl`", |_| "says `no-ssl`");
    findings.add(Finding {
        id: "traffic-without-tls",
        what: format!(
            "the server line {word}: traffic goes there in plain HTTP, the check with TLS"
        ),
        shows: "UP by the check, while a TLS port answers traffic with 400 or 502".to_owned(),
        write: "ssl verify required ca-file @system-ca sni str(NAME)".to_owned(),
        ..note(call, no_ssl.cloned())
    });
}

fn less_strict(call: &Call, good: &Good, config: &Config, findings: &mut Findings) {
    let settings = &call.server.settings;
    let verify_none = match (&settings.verify_none, &settings.verify) {
        (Some(place), _) => Some(place),
        (None, Some(_)) => None,
        (None, None) => config.global.verify_none.as_ref(),
    };
    let Some(place) = verify_none.filter(|_| good.plan.tls.verification.is_some()) else {
        return;
    };
    findings.add(Finding {
        id: "traffic-verifies-nothing",
        what: "`verify none`: traffic accepts any certificate, the check does not".to_owned(),
        shows: "DOWN with a code from 51 to 58 where traffic would go on; and between two checks \
                traffic trusts whoever answers"
            .to_owned(),
        write: "verify required ca-file @system-ca (or the file that --ca-file names)".to_owned(),
        ..note(call, Some(place.clone()))
    });
}
