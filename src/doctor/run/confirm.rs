//! What a run proves: contradictions between checks and visitors' requests, and the findings that explain
//! them.

use super::observe::{LONGEST, asks, gets_page, has_host, knows_host, requests};
use super::outcome::{Doubt, Outcome, Ran, Trap, Trial, Visitor};
use crate::code::{Code, Layer};
use crate::doctor::by_hand;
use crate::doctor::finding::{Effect, Finding, LATE, SEEN};
use crate::doctor::rules::difference::Pair;
use crate::doctor::rules::names;
use crate::doctor::rules::{self, dialogue};
use crate::doctor::visit::{Visit, Watch};
use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::Sni;
use crate::haproxy::config::place::Place;
use crate::options::expect::Part;
use crate::output::mark::Mark;

/// Returns true if the check accepts this status. Returns `None` if the check also judges other parts of the
/// response, because the operator may then want the check to be DOWN while visitors get a page.
fn accepts(watch: &Watch, status: u16) -> Option<bool> {
    let Some((expectations, _)) = dialogue::expected(watch) else {
        return Some((200..400).contains(&status));
    };
    let mut others = expectations.iter();
    let is_about_status = others.all(|expectation| expectation.part() == Part::Status);
    is_about_status.then(|| dialogue::statuses(&expectations).contains(&status))
}

/// Returns the contradiction between a check and a visitor's request, if there is one.
pub(crate) fn trap(
    visit: &Visit,
    watch: &Watch,
    outcome: Outcome,
    visitor: &Visitor,
) -> Option<Trap> {
    match outcome.is_up() {
        true => trap_if_up(visit, watch, visitor),
        false => trap_if_down(watch, outcome, visitor),
    }
}

/// Returns the contradiction between a check that is UP and a visitor's request, if there is one.
fn trap_if_up(visit: &Visit, watch: &Watch, visitor: &Visitor) -> Option<Trap> {
    let is_served = matches!(visitor.root, Some(200..=399));
    let is_wanted = |status| dialogue::accepts(watch, status);
    let doubt = match visitor.status {
        // The check expects this error from its page, and the server serves visitors of `/`.
        Some(status @ 400..) if visitor.by_server && is_served && is_wanted(status) => return None,
        None if !visitor.connects => None,
        None | Some(502..=504) if reuses_session(visit, watch) => Some(Doubt::Session),
        None | Some(502..=504) => None,
        // The server sends the page to the check, but a 404 to the visitor.
        Some(404)
            if gets_page(watch)
                && visitor.is_usual
                && !is_served
                && !is_wanted(404)
                && has_host(watch) =>
        {
            Some(Doubt::Page)
        }
        // The server refuses the only Host of its visitors.
        Some(421) if watch.backend.only_host().is_some() && !is_wanted(421) => None,
        // A working server may have a reason to answer this one visitor with such a status.
        Some(401 | 403 | 404 | 405 | 421 | 429) => return None,
        // Only a check that sends a request can expect a status.
        Some(status @ 400..) if asks(watch) && accepts(watch, status) != Some(false) => {
            Some(Doubt::Expectation)
        }
        Some(400..) => None,
        Some(_) => return None,
    };
    let is_guess = depends_on_host(watch, visitor) && !has_host(watch);
    let doubt = doubt.or(is_guess.then_some(Doubt::Host));
    let is_unusual = visitor.by_server && !visitor.is_usual;
    Some(Trap {
        effect: Effect::Up,
        doubt: doubt.or(is_unusual.then_some(Doubt::Page)),
    })
}

/// Returns the contradiction between a check that isn't UP and a visitor's request, if there is one.
fn trap_if_down(watch: &Watch, outcome: Outcome, visitor: &Visitor) -> Option<Trap> {
    let asks = asks(watch);
    let accepted = visitor.status.filter(|_| asks);
    let accepted = accepted.and_then(|status| accepts(watch, status));
    // HAProxy also shows L7RSP if the response doesn't contain an expected text or field.
    let judges_page = outcome.judges_page()
        || (outcome.status() == "L7RSP" && asks && accepts(watch, 200).is_none());
    let doubt = match visitor.status? {
        200..=399 | 404 if outcome.is_drain() => Some(Doubt::Drain),
        200..=399 if expires_soon(outcome) => Some(Doubt::Expectation),
        200..=399 if accepted == Some(true) || !judges_page => None,
        200..=399 => Some(Doubt::Expectation),
        // The server serves `/`, so only the check's page is missing.
        404 | 405 if matches!(visitor.root, Some(200..=399)) => None,
        401 if asks_for_login(watch, outcome, visitor) => {
            dialogue::expected(watch).map(|_| Doubt::Expectation)
        }
        // Visitors get a response, but the check fails before it gets one.
        401 | 403..=405 if !judges_page => None,
        _ => return None,
    };
    let is_unusual = judges_page && !visitor.is_usual;
    let doubt = doubt.or(is_unusual.then_some(Doubt::Page));
    let backend = watch.backend;
    let is_guess =
        depends_on_host(watch, visitor) && backend.hides_host() && !backend.knows_arriving_host();
    Some(Trap {
        effect: Effect::Down,
        doubt: doubt.or(is_guess.then_some(Doubt::Host)),
    })
}

/// Returns true if a visitor with a different Host might get a different result.
fn depends_on_host(watch: &Watch, visitor: &Visitor) -> bool {
    let tls = watch.traffic.tls.as_ref();
    let sends_host = tls.is_some_and(|tls| tls.sni.is_host());
    visitor.connects && (visitor.by_server || visitor.status.is_none() || sends_host)
}

/// Returns true if the visitor's request failed, but proves nothing because doctor only guessed its Host. The
/// guess may be the check's Host. If that Host is wrong, the server refuses both requests.
pub(crate) fn proves_nothing(watch: &Watch, visitor: &Visitor) -> bool {
    !visitor.is_served() && depends_on_host(watch, visitor) && !knows_host(watch)
}

/// Returns true if HAProxy may resume the TLS session of its own check for visitors. Visitors' connections
/// then use the check's SNI. HAProxy before 3.2 does this if traffic sends no SNI.
fn reuses_session(visit: &Visit, watch: &Watch) -> bool {
    let sni = watch.traffic.tls.as_ref().map(|tls| &tls.sni);
    let has_none = match sni {
        Some(Sni::Absent) => true,
        Some(Sni::PerRequest(expression)) => names::unset_header(visit, expression).is_some(),
        _ => false,
    };
    // A server that follows another server's check has its own TLS sessions.
    let is_own = matches!(watch.check, Check::Own(_)) && watch.tracked().is_none();
    let can_resume =
        !visit.reading.checks_follow_alpn && !watch.server.settings.has("no-ssl-reuse");
    has_none && is_own && can_resume && names::name_of_check(watch).is_some()
}

/// Returns true if doctor should look for the reason why a check failed: the check contradicts a visitor's
/// request, or it is DOWN with L7STS and its Host isn't its SNI name. In the second case, doctor's request
/// may have failed only because it has the same wrong Host.
pub(crate) fn is_to_explain(watch: &Watch, ran: &Ran) -> bool {
    let is_down = ran
        .trap
        .is_some_and(|trap| trap.effect == Effect::Down && trap.doubt != Some(Doubt::Host));
    let sni = names::name_of_check(watch);
    let host = watch.describes.settings.rules.host();
    let is_other =
        matches!((sni, &host), (Some(sni), Some(host)) if !sni.eq_ignore_ascii_case(host));
    // If a rule computes the Host of visitors, a check that is UP with a different Host doesn't show that
    // visitors are served.
    let is_refused = ran.outcome.status() == "L7STS" && is_other && !watch.backend.hides_host();
    !ran.outcome.is_up() && (is_down || is_refused)
}

/// Makes findings certain if the run shows what they predict. Removes findings that the run refutes. Adds
/// findings about results that no finding predicts.
pub(crate) fn confirm(findings: &mut Vec<Finding>, visit: &Visit, ran: &[Ran]) {
    for ran in ran {
        let followers = visit.followers.iter().map(|follower| &follower.watch);
        let mut watches = followers.chain(&visit.watches);
        let Some(watch) = watches.find(|watch| ran.is_of(watch)) else {
            continue;
        };
        refute(findings, watch, ran);
        separate(findings, visit, watch, ran);
        findings.extend(in_time_by_chance(visit, watch, ran));
        if let Some(trial) = &ran.explained {
            explained(findings, watch, (ran, trial));
            continue;
        }
        let more = match (ran.trap, &ran.visitor) {
            (Some(trap), Some(_)) if trap.effect == Effect::Up && is_down(findings, watch) => None,
            (Some(trap), Some(visitor)) => confirm_one(findings, watch, (ran, trap, visitor)),
            _ => unknown_visitors(findings, visit, (watch, ran)),
        };
        findings.extend(more.map(|finding| {
            let finding = finding
                .at(&watch.server.place)
                .about([watch.name()])
                .id(SEEN);
            if ran.outcome.is_drain() {
                return finding.write(
                    "change nothing if the server should get no new visitors; otherwise remove http-check \
                     disable-on-404 or ok-status",
                );
            }
            if expires_soon(ran.outcome) {
                return finding
                    .write("renew the server's certificate, or lower --min-cert-days");
            }
            if lacks_page(ran) {
                return finding.write("let the check ask for a page that the server has, such as /");
            }
            let mut visitor = ran.visitor.iter();
            if visitor.any(|visitor| asks_for_login(watch, ran.outcome, visitor)) {
                return finding.write(accept_login(watch));
            }
            match own_fault(ran, watch) {
                Some(fault) => finding.write(format!("fix the check: {fault}")),
                None if watch.runs_other_program => finding.write(
                    "find out what the program of external-check command checks, or write the path of sni-check \
                     there",
                ),
                None => finding
                    .write("find the difference between the check and the server line:")
                    .paste(by_hand::diagnose(watch, visit.call)),
            }
        }));
    }
}

/// Returns true if check and visitor get the same error for the check's page, and visitors of `/` are served.
fn lacks_page(ran: &Ran) -> bool {
    let is_same = |visitor: &Visitor| {
        visitor.status.map(u32::from) == ran.outcome.code()
            && matches!(visitor.status, Some(404 | 410))
            && matches!(visitor.root, Some(200..=399))
    };
    ran.outcome.is_down() && ran.visitor.as_ref().is_some_and(is_same)
}

/// Returns true if the server asks both the check and visitors to log in (401), and the check sends no
/// credentials.
fn asks_for_login(watch: &Watch, outcome: Outcome, visitor: &Visitor) -> bool {
    let is_status = outcome.own_code() == Some(Code::Status);
    let is_other = matches!(outcome, Outcome::Own { code, .. } if code != Some(401));
    let accepted = watch.own.as_ref();
    let sends_credentials = accepted.is_some_and(|own| own.options.has_header("Authorization"))
        || watch
            .describes
            .settings
            .rules
            .sent()
            .has_header("Authorization");
    let is_asked = visitor.by_server && visitor.status == Some(401);
    is_asked && is_status && !is_other && !sends_credentials
}

/// Returns the line with which the check accepts 401.
fn accept_login(watch: &Watch) -> &'static str {
    match (&watch.check, dialogue::expected(watch)) {
        (Check::Own(_), None) => "in the backend, write http-check expect status 200-399,401",
        (Check::Own(_), Some(_)) => "let http-check expect accept 401 as well",
        _ => "give the check --expect 'status 200-399,401'",
    }
}

/// Returns true if the check is DOWN because of `--min-cert-days`. This option doesn't affect visitors.
fn expires_soon(outcome: Outcome) -> bool {
    outcome.own_code() == Some(Code::CertificateExpiresSoon)
}

/// Returns why a check fails, if the reason has nothing to do with visitors' traffic: the check can't run,
/// the check ends without a verdict, or a program other than sni-check reports a problem.
fn own_fault<'a>(ran: &'a Ran, watch: &Watch) -> Option<&'a str> {
    match ran.outcome {
        Outcome::Code(0) | Outcome::Served { .. } | Outcome::Own { .. } => None,
        Outcome::Code(_) => (watch.runs_other_program && !ran.said.is_empty()).then_some(&ran.said),
        _ => Some(&ran.meaning),
    }
}

/// Reports HAProxy's own check if it is UP although it took longer than `timeout check`. Before 3.2, HAProxy
/// often waits longer than this limit, but not always.
fn in_time_by_chance(visit: &Visit, watch: &Watch, ran: &Ran) -> Option<Finding> {
    let is_own = matches!(ran.outcome, Outcome::Own { .. }) && ran.outcome.is_up();
    let limit = watch
        .describes
        .settings
        .timeout_check
        .as_ref()
        .filter(|_| is_own)?;
    if ran.time <= limit.value || visit.haproxy.at_least(3, 2) || watch.tracked().is_some() {
        return None;
    }
    let what = format!(
        "HAProxy's own check took {} ms, but timeout check is {} ms",
        ran.time.as_millis(),
        limit.value.as_millis()
    );
    Some(
        Finding::note(Effect::Down, what)
            .id(LATE)
            .at(&limit.place)
            .about([watch.name()])
            .shows(
                "L7OK, or L7TOUT (DOWN) if the response itself takes that long; before 3.2, HAProxy often \
                 waits longer than timeout check, but later versions don't",
            )
            .write(format!("timeout check {}s in the backend", LONGEST.as_secs())),
    )
}

/// Uses a trial that made the check UP: makes the finding that the trial proves certain, or adds this finding
/// if no rule made it.
fn explained(findings: &mut Vec<Finding>, watch: &Watch, (ran, trial): (&Ran, &Trial)) {
    let shows = match &ran.visitor {
        Some(visitor) => shows(ran.outcome, visitor),
        None => state(ran.outcome),
    };
    let shows = format!("{shows}; with the fix, the check is UP (tried just now)");
    let is_certain = |found: &Finding| {
        found.mark == Mark::Problem && predicts(found, watch, Effect::Down, ran.outcome)
    };
    let is_named = |found: &Finding| trial.ids.contains(&found.id) && is_about(found, watch);
    let known = findings.iter().position(is_named);
    let known = known.or_else(|| findings.iter().position(is_certain));
    if let Some(known) = known.and_then(|at| findings.get_mut(at)) {
        known.confirm(Effect::Down, &shows);
        if trial.request.is_some() {
            known.write.clone_from(&trial.write);
            known.request.clone_from(&trial.request);
        }
        return;
    }
    let id = trial.ids.first().copied().unwrap_or(SEEN);
    findings.push(Finding {
        request: trial.request.clone(),
        ..Finding::problem(Effect::Down, &trial.what)
            .id(id)
            .at(Check::option(watch.describes).unwrap_or(&watch.server.place))
            .about([watch.name()])
            .shows(shows)
            .write(&trial.write)
    });
}

/// Removes findings that this run refutes:
/// - If HAProxy's own check is UP, no finding can be certain that this check is DOWN.
/// - If the check is UP, the server didn't choose HTTP/2, and it accepts the check's request.
/// - If the server also serves a visitor, some differences do no harm: a Host that isn't the check's SNI
///   name, no Host if doctor knows visitors' Host, different roots for check and traffic, and traffic
///   without SNI.
fn refute(findings: &mut Vec<Finding>, watch: &Watch, ran: &Ran) {
    let status = ran.visitor.as_ref().and_then(|visitor| visitor.status);
    let is_up = ran.outcome.is_up();
    let is_own = matches!(ran.outcome, Outcome::Own { .. });
    let is_served = is_up && matches!(status, Some(200..=399));
    findings.retain(|found| {
        let is_refuted = match found.id {
            id if is_own && is_up && found.is_certainly_down() && rules::is_about_check(id) => true,
            "check-alpn" | "check-request" => is_up,
            "check-other-site"
            | "haproxy-answers"
            | "traffic-other-roots"
            | "traffic-without-sni" => is_served,
            "check-without-host" => is_served && knows_host(watch),
            _ => false,
        };
        !(is_refuted && is_about(found, watch))
    });
}

/// If the server's check is UP but its visitors fail, gives the server its own copy of each finding that it
/// shares with other servers. The run proved the fault only for this server, so only the copies may become
/// certain. If a copy stays equal to its original, the report merges them again.
fn separate(findings: &mut Vec<Finding>, visit: &Visit, watch: &Watch, ran: &Ran) {
    let name = watch.name();
    if ran.trap.is_none_or(|trap| trap.effect != Effect::Up) {
        return;
    }
    let is_other_line = |place: &Place| {
        visit
            .watches
            .iter()
            .any(|other| other.server.place == *place)
    };
    let mut own = Vec::new();
    for found in findings.iter_mut() {
        if found.about.len() > 1 && found.about.contains(&name) {
            found.about.retain(|about| *about != name);
            let place = found
                .place
                .clone()
                .map(|place| match is_other_line(&place) {
                    true => watch.server.place.clone(),
                    false => place,
                });
            own.push(Finding {
                about: vec![name.clone()],
                place,
                ..found.clone()
            });
        }
    }
    findings.extend(own);
}

/// Returns true if a finding says that the server certainly is DOWN, or that an agent takes it out of
/// service.
fn is_down(findings: &[Finding], watch: &Watch) -> bool {
    let mut about = findings.iter().filter(|found| is_about(found, watch));
    about.any(|found| found.is_certainly_down() || found.id == "agent-down")
}

fn is_about(found: &Finding, watch: &Watch) -> bool {
    let mut about = found.about.iter();
    about.any(|about| *about == watch.name() || *about == watch.backend.name)
}

/// Returns true if a finding predicts both this effect and this outcome of the server's check.
fn predicts(found: &Finding, watch: &Watch, effect: Effect, outcome: Outcome) -> bool {
    let is_same = found.effect == effect || found.effect == Effect::Either;
    let is_foretold = outcome.is_up() || outcome.is_foretold(found.foretold);
    // A check that never reaches the server doesn't fail because of how it would connect.
    let is_possible = !outcome.is_before_server() || !rules::compares(found.id);
    is_about(found, watch) && is_same && is_foretold && is_possible
}

fn confirm_one(
    findings: &mut [Finding],
    watch: &Watch,
    (ran, trap, visitor): (&Ran, Trap, &Visitor),
) -> Option<Finding> {
    let effect = trap.effect;
    // The operator may have intended this contradiction when writing the check's expectations. And if the
    // check and visitors get the same status, a difference between their connections isn't the reason. In
    // both cases, only a finding about the expectations explains the contradiction.
    let gets_the_same = visitor.status.is_some()
        && matches!(ran.outcome, Outcome::Own { code, .. } if code == visitor.status.map(u32::from));
    let is_wanted = matches!(trap.doubt, Some(Doubt::Expectation | Doubt::Drain));
    let by_difference = !is_wanted && !gets_the_same;
    // If visitors get HAProxy's own error page, the server hasn't seen their request.
    let is_about_request =
        |found: &Finding| matches!(found.id, "check-without-host" | "unused-rule");
    // If the server accepts no connection from visitors, only a finding about the check's different address
    // or port can explain why the check is UP.
    let is_about_address = |found: &Finding| found.id == "check-other-port";
    let explains = |found: &Finding| match by_difference {
        _ if !visitor.connects => is_about_address(found),
        true => visitor.by_server || !is_about_request(found),
        false => found.id.starts_with("expects-"),
    };
    let is_predicted = |found: &Finding| match visitor.connects {
        true => predicts(found, watch, effect, ran.outcome),
        // The rule may have made only a hint, because the check's port may belong to a health service. The
        // run now proves the fault, so the effect that the rule predicted doesn't matter.
        false => is_about(found, watch),
    };
    // Without `--run`, this finding is only a hint.
    let tracks_another = |found: &Finding| {
        found.id == "tracks-another" && effect == Effect::Up && is_about(found, watch)
    };
    let of_effect =
        |found: &&mut Finding| (is_predicted(found) && explains(found)) || tracks_another(found);
    let mut predicted: Vec<&mut Finding> = findings.iter_mut().filter(of_effect).collect();
    // doctor saw only its own request, which proves nothing about other visitors.
    if !is_wanted && trap.doubt.is_some() && !predicted.is_empty() {
        return None;
    }
    let shows = shows(ran.outcome, visitor);
    if predicted.iter().any(|found| found.mark == Mark::Problem) {
        // A rule with two alternative fixes was certain of the fault, but not of its effect.
        predicted.retain(|found| found.mark == Mark::Problem && found.sides.is_some());
        predicted
            .into_iter()
            .for_each(|found| found.confirm(effect, &shows));
        return None;
    }
    // If a rule of HAProxy answers visitors, the failure proves nothing about the connection to the server.
    if predicted.iter().any(|found| found.id == "haproxy-answers") {
        predicted.retain(|found| found.id == "haproxy-answers");
    }
    for found in &mut predicted {
        found.confirm(effect, &shows);
    }
    if !predicted.is_empty() {
        return None;
    }
    let what = match effect {
        Effect::Up => "the check is UP, but visitors fail",
        _ if asks_for_login(watch, ran.outcome, visitor) => {
            "the server asks visitors to log in (401), and the check takes this for a failure"
        }
        _ if ran.outcome.is_drain() => "the check keeps new visitors away from the server (NOLB)",
        _ => "the check is DOWN, but visitors are served",
    };
    let finding = match trap.doubt {
        None => Finding::problem(effect, what),
        Some(doubt) => Finding::note(effect, format!("{what}; {}", doubt.clause())),
    };
    Some(finding.shows(shows))
}

/// Reports a failed check if no finding explains the failure and doctor doesn't know what visitors send.
fn unknown_visitors(
    findings: &[Finding],
    visit: &Visit,
    (watch, ran): (&Watch, &Ran),
) -> Option<Finding> {
    let of_server = |code: Code| code.layer() > Layer::Connection;
    // If nothing answers at the check's address and port, the server may still answer visitors at theirs.
    let is_elsewhere = !watch.connections.is_empty() && Pair::of(watch).is_none();
    let is_refused = ran
        .outcome
        .own_code()
        .is_some_and(|code| is_elsewhere || of_server(code));
    let tls = watch.traffic.tls.as_ref();
    let has_own_sni = tls.is_some_and(|tls| {
        let is_known = tls.sni.is_host() && knows_host(watch);
        matches!(tls.sni, Sni::PerRequest(_)) && !is_known
    });
    let is_guess = ran.visitor.is_none() && !knows_host(watch);
    let is_unknown = requests(watch, visit).is_empty() || has_own_sni || is_guess;
    let is_lost = watch.backend.visitors.lost.is_some();
    let is_foreign = watch.runs_other_program;
    // The server also refuses the request or connection that doctor made as a visitor.
    let fails = |visitor: &Visitor| {
        !visitor.connects || (visitor.by_server && matches!(visitor.status, Some(400..)))
    };
    let is_alike = ran.visitor.as_ref().is_some_and(fails);
    let is_open = is_unknown && !is_lost && !is_alike;
    let is_open = is_open && !ran.outcome.is_up() && (is_refused || is_foreign);
    let mut findings = findings.iter();
    if !is_open || findings.any(|found| predicts(found, watch, Effect::Down, ran.outcome)) {
        return None;
    }
    let what = match watch.backend.settings.http {
        true if is_foreign => {
            "the command fails, and doctor knows neither what it checks nor which Host visitors send"
        }
        true => "the check fails, but doctor doesn't know which request or SNI visitors send",
        false => "the check fails, but in `mode tcp` visitors send their own bytes to the server",
    };
    Some(
        Finding::note(Effect::Down, what)
            .shows(format!("{}; visitors may be served", state(ran.outcome))),
    )
}

/// Returns the server's state, and the status and code that HAProxy shows for its check.
pub(crate) fn state(outcome: Outcome) -> String {
    let state = match (outcome.is_up(), outcome.status()) {
        (true, _) => "UP",
        // With `http-check disable-on-404`, the server keeps its visitors, but gets no new visitors.
        (false, "L7OKC") => "NOLB",
        (false, _) => "DOWN",
    };
    let code = match (outcome, outcome.code()) {
        (_, None) => String::new(),
        (Outcome::Own { .. }, Some(code)) => format!(" {code}"),
        (_, Some(code)) => format!(" and code {code}"),
    };
    format!("{state} with {}{code}", outcome.status())
}

fn shows(outcome: Outcome, visitor: &Visitor) -> String {
    format!(
        "{}, while a visitor's {} {} (seen just now)",
        state(outcome),
        visitor.request,
        visitor.gets()
    )
}
