//! Rules about a check whose options are valid. They compare its time limit with HAProxy's, look for ignored
//! words on the server line, and report expired lists and certificates. They also find a name that the check
//! can't resolve in the chroot.

use std::time::Duration;

use crate::certificate::{Certificate, days, in_days};
use crate::code::Code;
use crate::haproxy::config::check::Check;
use crate::output::date::{day, now};
use crate::plan::{Host, List, Target};

use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::jail::Need;
use crate::doctor::visit::{Visit, Watch};

/// If a `--timeout` is shorter than this, the operator probably meant seconds.
const SHORT: Duration = Duration::from_millis(20);

/// Finds a check that may take longer than HAProxy waits, or whose time limit is extremely short.
pub(crate) fn time(_: &Visit, watch: &Watch) -> Option<Finding> {
    let accepted = watch.own.as_ref()?;
    let own = accepted.plan.timeout;
    if own < SHORT {
        let what = format!(
            "--timeout is {}: a number without a unit means milliseconds, as in HAProxy",
            milliseconds(own)
        );
        return Some(
            Finding::hint(what)
                .at(watch.options_place())
                .shows("DOWN with code 42, 62 or 72, unless the server answers at once")
                .write(format!("--timeout {}s", own.as_millis().max(1))),
        );
    }
    match &watch.check {
        Check::External(check) if own >= check.limit.time => {
            let limit = &check.limit;
            let or_default = |given: bool| if given { "" } else { ", its default" };
            let what = format!(
                "--timeout is {}{}, but HAProxy kills the check after {} ({}{})",
                milliseconds(own),
                or_default(accepted.options.timeout.is_some()),
                milliseconds(limit.time),
                limit.name,
                or_default(limit.place.is_some()),
            );
            // This leaves a tenth of HAProxy's limit for starting the program.
            let shorter = limit.time * 9 / 10;
            Some(
                Finding::note(Effect::Down, what)
                    .at(limit.place.as_ref().unwrap_or(&watch.server.place))
                    .shows(format!(
                        "PROCTOUT (DOWN) where the server takes longer than {}; ignore its check_code, which is \
                         from an earlier check",
                        milliseconds(limit.time)
                    ))
                    .foretells(&["PROCTOUT"])
                    .write(format!(
                        "{} {}, or --timeout {} in external-check path",
                        limit.name,
                        milliseconds(with_room_to_start(own)),
                        milliseconds(shorter)
                    )),
            )
        }
        Check::Serve(serve) if own >= serve.limit(watch.server) => {
            let (own, limit) = (own.as_millis(), serve.limit(watch.server).as_millis());
            let what = format!("--timeout is {own}ms, but HAProxy waits {limit}ms for the answer");
            Some(
                Finding::note(Effect::Down, what)
                    .at(watch.options_place())
                    .shows(format!(
                        "L7TOUT (DOWN), without sni-check's reason, where the server takes longer than {limit}ms"
                    ))
                    .foretells(&["L7TOUT"])
                    .write(format!(
                        "timeout check {}ms, or a shorter --timeout",
                        own + own.div_ceil(10)
                    )),
            )
        }
        _ => None,
    }
}

/// Returns a time limit for HAProxy that leaves time to start the program: a tenth more than `own`, rounded
/// up to a multiple of 100 ms.
fn with_room_to_start(own: Duration) -> Duration {
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

/// Finds an `addr` on the server line. HAProxy doesn't pass it to a check by sni-check.
pub(crate) fn ignored_address(_: &Visit, watch: &Watch) -> Option<Finding> {
    let connect = &watch.own.as_ref()?.options.connect;
    ignored(watch, "addr", "--connect", connect.is_some())
}

/// Finds a `port` on the server line. HAProxy doesn't pass it to a check by sni-check.
pub(crate) fn ignored_port(_: &Visit, watch: &Watch) -> Option<Finding> {
    let options = &watch.own.as_ref()?.options;
    let connect = options.connect.as_deref().unwrap_or_default();
    let given = options.port.is_some() || connect.contains(':');
    ignored(watch, "port", "--port", given)
}

fn ignored(watch: &Watch, word: &str, option: &str, heeded: bool) -> Option<Finding> {
    let carrier = watch.carrier()?;
    let setting = watch.server.settings.get(word).filter(|_| !heeded)?;
    let value = &setting.value;
    let what = match &watch.check {
        Check::Serve(_) => format!("HAProxy does not send `{word} {value}` to sni-check serve"),
        _ => format!("HAProxy ignores `{word} {value}` for external checks"),
    };
    let target = &watch.traffic.endpoint;
    Some(
        Finding::note(Effect::Either, what)
            .at(&setting.place)
            .shows(format!(
                "the check connects to {target}, as visitors do; DOWN where only {word} {value} answers checks"
            ))
            .write(format!(
                "change nothing if the check should connect where visitors do; otherwise write {option} {value} in \
                 {carrier}"
            )),
    )
}

/// Finds a name that the check must resolve, although HAProxy's user can read neither /etc/resolv.conf nor
/// /etc/hosts in the chroot.
pub(crate) fn resolver(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let Check::External(_) = &watch.check else {
        return None;
    };
    let Target::Tcp {
        host: Host::Name(name),
        ..
    } = &watch.own.as_ref()?.plan.target
    else {
        return None;
    };
    let present = |file| visit.jail.find(file, Need::Read).is_ok();
    if present("/etc/resolv.conf") || present("/etc/hosts") {
        return None;
    }
    let what = format!(
        "the check has to resolve --connect {name}, but HAProxy's user can read neither {0}/etc/resolv.conf nor \
         {0}/etc/hosts",
        visit.jail.root.display().to_string().trim_end_matches('/')
    );
    Some(
        Finding::note(Effect::Down, what)
            .at(watch.options_place())
            .shows("code 31 (DOWN), unless the name resolves without these files")
            .foretells(&["31"])
            .write(format!(
                "write an address after --connect, or copy /etc/resolv.conf into {}",
                visit.jail.name()
            )),
    )
}

/// Returns the `check_status` that HAProxy shows if a check by sni-check fails.
fn status(watch: &Watch) -> &'static str {
    match &watch.check {
        Check::Serve(_) => "L7STS",
        _ => "PROCERR",
    }
}

/// Finds expired lists of `--crl-file`. Leaves out a list if another list of the same issuer hasn't expired.
pub(crate) fn expired_list(_: &Visit, watch: &Watch) -> Option<Finding> {
    let accepted = watch.own.as_ref()?;
    let lists = &accepted.plan.tls.verification.as_ref()?.lists;
    let has_expired = |list: &&List| expired(list).is_some();
    let replaced = |list: &&List| {
        let mut others = lists.iter().filter(|other| other.has_issuer_of(list));
        others.any(|other| expired(other).is_none())
    };
    let expired_lists = lists.iter().filter(has_expired);
    let since = expired_lists
        .filter(|list| !replaced(list))
        .find_map(expired)?;
    let what = format!(
        "a revocation list of --crl-file {} {}",
        accepted.options.crl_file.join(", "),
        expiry_text(since)
    );
    let code = Code::CertificateInvalid.number();
    let status = status(watch);
    // The server's chain may need only lists that haven't expired.
    let finding = match lists.iter().all(|list| has_expired(&list)) {
        true => Finding::problem(Effect::Down, what)
            .shows(format!("{status} with code {code}, the server is DOWN")),
        false => Finding::note(Effect::Down, what).shows(format!(
            "{status} with code {code}, the server is DOWN, if its certificate needs that list"
        )),
    };
    Some(
        finding
            .at(watch.options_place())
            .foretells(&["56"])
            .write("put the CA's current list in its place"),
    )
}

/// Finds an expired client certificate, or an expired certificate in its chain. A server that verifies client
/// certificates refuses it.
pub(crate) fn expired_certificate(_: &Visit, watch: &Watch) -> Option<Finding> {
    let accepted = watch.own.as_ref()?;
    let identity = accepted.plan.tls.identity.as_ref()?;
    let mut chain = identity.cert.iter().filter_map(Certificate::read);
    let expired = chain.find(|certificate| certificate.not_after < now())?;
    let what = format!(
        "--crt {}: the certificate {} {}",
        accepted.options.crt.as_deref().unwrap_or_default(),
        expired.subject,
        expiry_text(expired.not_after)
    );
    Some(
        Finding::note(Effect::Down, what)
            .at(watch.options_place())
            .shows(format!(
                "{} with code 58, or 71 with status 400 or 403 (DOWN), where the server verifies it",
                status(watch)
            ))
            .foretells(&["58", "71"])
            .write("renew the certificate, and put the new certificate into that file"),
    )
}

/// Returns the time at which a list expired, or `None` if the list is still valid or has no end date.
fn expired(list: &List) -> Option<Duration> {
    let end = Duration::from_secs(u64::try_from(list.next_update?).unwrap_or_default());
    (end < now()).then_some(end)
}

fn expiry_text(end: Duration) -> String {
    let ago = days(now().saturating_sub(end));
    format!("expired on {} ({} ago)", day(end), in_days(ago))
}
