//! How a check with good options fits what is around it: HAProxy's time limit, the server line, the
//! chroot.

use std::time::Duration;

use crate::plan::{Host, Target};

use super::check::ExternalCheck;
use super::ended;
use super::finding::Finding;
use super::jail::{Jail, Need};
use super::judge::Good;
use crate::haproxy::config::place::Place;

/// Looks at a check whose options are good.
pub(super) fn look(check: &ExternalCheck, good: &Good, jail: &Jail) -> Vec<Finding> {
    let mut findings = ignored(check, good);
    findings.extend(time(check, good));
    findings.extend(resolver(check, good, jail));
    findings.extend(verifies_nothing(check, good));
    let ended = ended::look(&good.plan, &good.options, "PROCERR");
    let here = |finding: Finding| finding.at(options_place(check));
    findings.extend(ended.into_iter().map(here));
    let about = check.caller().to_string();
    let about = |finding: Finding| finding.about([about.clone()]);
    findings.into_iter().map(about).collect()
}

/// Where the options of a check are written.
fn options_place<'a>(check: &ExternalCheck<'a>) -> &'a Place {
    let path = check.backend.settings.path.as_ref();
    path.map_or(&check.server.place, |path| &path.place)
}

fn verifies_nothing(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    if good.plan.tls.verification.is_some() {
        return None;
    }
    let what = "--verify none: the check accepts any certificate";
    Some(
        Finding::note("check-verifies-nothing", what)
            .at(options_place(check))
            .shows("code 0 (UP) with an expired, foreign or forged certificate too")
            .write("leave --verify none out; for a private CA add --ca-file FILE"),
    )
}

/// HAProxy must not end the check before it ends itself.
fn time(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    let (own, limit) = (good.plan.timeout, &check.limit);
    if own < limit.time {
        return None;
    }
    let or_default = |given: bool| if given { "" } else { ", its default" };
    let what = format!(
        "--timeout is {}{}, but HAProxy kills the check at {} {}{}",
        milliseconds(own),
        or_default(good.options.timeout.is_some()),
        limit.name,
        milliseconds(limit.time),
        or_default(limit.place.is_some()),
    );
    // A tenth is left for starting the program.
    let shorter = limit.time * 9 / 10;
    Some(
        Finding::note("time", what)
            .at(limit.place.as_ref().unwrap_or(&check.server.place))
            .shows(format!(
                "PROCTOUT where the backend takes longer than {}; the check_code beside it is left \
                 over from an earlier check, ignore it",
                milliseconds(limit.time)
            ))
            .write(format!(
                "{} {}, or --timeout {} in external-check path",
                limit.name,
                milliseconds(roomy(own)),
                milliseconds(shorter)
            )),
    )
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
fn ignored(check: &ExternalCheck, good: &Good) -> Vec<Finding> {
    let connect = good.options.connect.as_deref().unwrap_or_default();
    let other_address = !connect.is_empty();
    let other_port = good.options.port.is_some() || connect.contains(':');
    let given = [
        ("addr", "--connect", other_address),
        ("port", "--port", other_port),
    ];
    let findings = given.into_iter().filter_map(|(word, option, heeded)| {
        let setting = check.server.settings.get(word).filter(|_| !heeded)?;
        let value = &setting.value;
        let what = format!("HAProxy ignores `{word} {value}` for external checks");
        Some(
            Finding::note("ignored", what)
                .at(&setting.place)
                .shows(format!("the check dials {}", good.plan.target))
                .write(format!("{option} {value} in external-check path")),
        )
    });
    findings.collect()
}

/// A name to resolve inside a chroot needs the resolver's configuration there.
fn resolver(check: &ExternalCheck, good: &Good, jail: &Jail) -> Option<Finding> {
    let Target::Tcp { host, .. } = &good.plan.target else {
        return None;
    };
    let Host::Name(name) = host else {
        return None;
    };
    let present = |file| jail.find(file, Need::Read).is_ok();
    if present("/etc/resolv.conf") || present("/etc/hosts") {
        return None;
    }
    let what = format!(
        "--connect {name} has to be resolved, but {}/etc/resolv.conf is not there",
        jail.root.display().to_string().trim_end_matches('/')
    );
    Some(
        Finding::note("resolver", what)
            .at(options_place(check))
            .shows("code 31, the server is DOWN")
            .write("write an address after --connect, or copy /etc/resolv.conf into the chroot"),
    )
}
