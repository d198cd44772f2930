//! Changes HAProxy's own check in several ways, and lets HAProxy try each change. A change that makes the
//! check UP shows why the check fails although the server serves visitors.

use std::time::Duration;

use crate::haproxy::ask::{BROWSER, Question, Visit as Request, ask};
use crate::haproxy::config::check::Check;
use crate::haproxy::config::external::INTER;
use crate::haproxy::config::http_check;
use crate::haproxy::config::place::At;
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::server_line::Server;

use super::observe::{self, LONGEST};
use super::outcome::{Outcome, Trial};
use crate::doctor::by_hand;
use crate::doctor::finding::{LATE, METHOD, REFUSED_REQUEST};
use crate::doctor::rules::names::{bare, name_of_check};
use crate::doctor::visit::{Visit, Watch, own_check};

/// Explains why HAProxy's own check failed for these servers. Returns one value for each server: the first
/// change that makes its check UP, or `None` if no change does.
pub(crate) fn explain(visit: &Visit, failed: &[(&Watch, Outcome)]) -> Vec<Option<Trial>> {
    let mut explained: Vec<Option<Trial>> = failed.iter().map(|_| None).collect();
    let (mut questions, mut patience) = (Vec::new(), Duration::ZERO);
    let mut global = String::new();
    for (index, (watch, outcome)) in failed.iter().enumerate() {
        global = by_hand::lines(visit, watch).global_text();
        for (trial, backend, server) in trials(visit, watch, *outcome) {
            patience = patience.max(own_check::limit(&backend, &server));
            let changed = visit.watch_of(&backend, &server);
            let lines = observe::of_check(visit, &changed, &by_hand::lines(visit, &changed));
            questions.push(Question::of_check((index, trial), lines, None));
        }
    }
    if questions.is_empty() {
        return explained;
    }
    let answers = ask(visit.haproxy, &global, questions, patience.min(LONGEST));
    for answered in answers.unwrap_or_default() {
        let (index, trial) = answered.about;
        let slot = explained.get_mut(index);
        if let Some(slot) = slot.filter(|_| answered.answer.is_up()) {
            slot.get_or_insert(trial);
        }
    }
    explained
}

/// A change, and a copy of the backend and of the server with this change.
type Changed = (Trial, Backend, Server);

/// Returns the changes to try, the most likely first.
fn trials(visit: &Visit, watch: &Watch, outcome: Outcome) -> Vec<Changed> {
    let mut trials: Vec<Changed> = late(watch, outcome).into_iter().collect();
    let rules = &watch.describes.settings.rules;
    let asks = matches!(&watch.check, Check::Own(own) if own.protocol.sends_request());
    let is_judged = ["L7STS", "L7RSP", "L7TOUT"].contains(&outcome.status());
    // doctor can't write the right line for a check that sends several requests, or for a request that only
    // HAProxy can evaluate.
    let is_plain = rules.http.all("send").count() < 2 && !rules.sent().is_evaluated;
    if asks && is_judged && is_plain {
        for trial in of_request(watch, &observe::requests(watch, visit)) {
            let mut backend = watch.describes.clone();
            if let Some(request) = &trial.request {
                backend.settings.rules.send(request, &watch.server.place);
            }
            trials.push((trial, backend, watch.server.clone()));
        }
    }
    trials
}

/// Returns the change that gives the check more time, if the check ran out of time.
fn late(watch: &Watch, outcome: Outcome) -> Option<Changed> {
    let (mut backend, mut server) = (watch.describes.clone(), watch.server.clone());
    let set = &mut backend.settings;
    let inter = server.settings.inter().map_or(INTER, |inter| inter.value);
    let value = |at: &Option<At<Duration>>| at.as_ref().map(|at| at.value);
    let check = value(&set.timeout_check);
    let connect = value(&set.timeout_connect).filter(|limit| *limit < inter && check.is_some());
    let long = || Some(At::new(LONGEST, &watch.server.place));
    let seconds = LONGEST.as_secs();
    let (name, limit, write) = match outcome.status() {
        "L7TOUT" => {
            set.timeout_check = long();
            let write = format!("timeout check {seconds}s in the backend");
            let name = check.map_or("inter", |_| "timeout check");
            (name, check.unwrap_or(inter), write)
        }
        "L4TOUT" | "L6TOUT" if connect.is_some() => {
            set.timeout_connect = long();
            let write = format!("timeout connect {seconds}s in the backend");
            ("timeout connect", connect.unwrap_or_default(), write)
        }
        "L4TOUT" | "L6TOUT" => {
            let words = ["inter".to_owned(), format!("{seconds}s")];
            server.settings.read(&words, &watch.server.place);
            (
                "inter",
                inter,
                format!("inter {seconds}s on the server line"),
            )
        }
        _ => return None,
    };
    let what = format!(
        "the server answers too late for HAProxy's own check: {name} is {} ms",
        limit.as_millis()
    );
    let trial = Trial {
        ids: &[LATE],
        what,
        write,
        request: None,
    };
    Some((trial, backend, server))
}

/// Returns the requests to try. Most of these requests change one part of the check's request, such as the
/// method or a field. The last request combines several of these changes.
fn of_request(watch: &Watch, visitors: &[Request]) -> Vec<Trial> {
    let sent = watch.describes.settings.rules.sent();
    let mut trials = Vec::new();
    let mut add =
        |ids: &'static [&'static str], what: &str, change: &dyn Fn(&mut http_check::Request)| {
            let mut request = sent.clone();
            change(&mut request);
            if request != sent {
                trials.push(Trial {
                    ids,
                    what: what.to_owned(),
                    write: own_check::sending(watch.describes, &request),
                    request: Some(request),
                });
            }
        };
    let method = sent.method.as_deref().unwrap_or("OPTIONS");
    let refused = match sent.asks_whole_server() {
        true => format!("the server refuses `{method} *` of HAProxy's own check"),
        false => format!("the server refuses the method {method} of HAProxy's own check"),
    };
    let get = |request: &mut http_check::Request| {
        if method != "GET" {
            request.set_get();
        }
    };
    add(&[METHOD, "expects-body", "check-request"], &refused, &get);
    let backend = watch.backend;
    for (field, words) in backend
        .settings
        .fields
        .iter()
        .chain(&backend.visitors.fields)
    {
        let Some((name, value)) = field
            .split_once(": ")
            .filter(|(name, _)| !sent.has_header(name))
        else {
            continue;
        };
        let what = format!(
            "the server refuses a request without {name}: `{words}` adds it for visitors, but HAProxy's own check \
             sends none"
        );
        add(&[REFUSED_REQUEST], &what, &|request| {
            request.set_header(name, value);
        });
    }
    let hosts = hosts(watch, visitors);
    for host in &hosts {
        let what = match sent.host() {
            Some(known) => format!("the server refuses Host {known} of HAProxy's own check"),
            None => "the server refuses a request without Host, and HAProxy's own check sends none"
                .to_owned(),
        };
        let ids = match sent.host() {
            Some(_) => &["check-other-host", "check-other-site"][..],
            None => &["check-without-host"],
        };
        add(ids, &what, &|request| {
            request.set_header("Host", host);
        });
    }
    for (name, value) in [
        ("User-Agent", "HAProxy"),
        ("User-Agent", BROWSER),
        ("Accept", "*/*"),
    ] {
        let what = match sent.has_header(name) {
            true => format!("the server refuses the {name} of HAProxy's own check"),
            false => format!(
                "the server refuses a request without {name}, and HAProxy's own check sends none"
            ),
        };
        add(&[REFUSED_REQUEST], &what, &|request| {
            request.set_header(name, value);
        });
    }
    let newer = |request: &mut http_check::Request| {
        request.version = Some("HTTP/1.1".to_owned());
        if let Some(host) = hosts.first().filter(|_| request.host().is_none()) {
            request.set_header("Host", host);
        }
    };
    let old =
        "the server refuses HTTP/1.0, which HAProxy's own check speaks without `ver HTTP/1.1`";
    if !sent.is_1_1() {
        add(&[REFUSED_REQUEST], old, &newer);
    }
    let all =
        "the server refuses the request of HAProxy's own check, but serves a visitor's request";
    add(&[REFUSED_REQUEST], all, &|request| {
        get(request);
        newer(request);
        request.set_header("User-Agent", BROWSER);
        request.set_header("Accept", "*/*");
    });
    trials
}

/// Returns the names to try as the check's Host, except the Host that the check sends now.
fn hosts(watch: &Watch, visitors: &[Request]) -> Vec<String> {
    let sent = visitors
        .iter()
        .filter_map(|request| request.headers.first());
    let mut names: Vec<String> = sent.map(|(_, host)| host.clone()).collect();
    let known = watch.backend.only_host().map(str::to_owned);
    let of_check = name_of_check(watch).map(|name| bare(name).to_owned());
    names.extend(known.into_iter().chain(of_check));
    let own = watch.describes.settings.rules.host();
    names.retain(|name| {
        own.as_ref()
            .is_none_or(|own| !own.eq_ignore_ascii_case(name))
    });
    names.dedup();
    names
}
