//! The step about HTTP: what was asked, and what came.

use super::answers::{Answers, host};
use super::evidence::Evidence;
use super::step::Step;
use crate::output::date::milliseconds;
use crate::output::mark::Mark;
use crate::plan::Plan;

/// The request and its answer, where it came to that.
pub(super) fn http(plan: &Plan, evidence: &Evidence) -> Option<Step> {
    let judged = evidence.reached_http();
    if (evidence.answers.is_none() && !judged) || plan.handshake_only {
        return None;
    }
    let request = &plan.request;
    let mut step = Step::new(format!("HTTP {} {}", request.method, request.uri.path()));
    match &evidence.answers {
        Some(answers) => {
            step.milliseconds = answers.took.map(milliseconds);
            answer(answers, &mut step);
            expectations(plan, answers, &mut step);
            host_line(plan, answers, &mut step);
        }
        None => {
            let text = format!(
                "asked once, by the check; a {} is not repeated",
                request.method
            );
            step.line(Mark::Note, text);
        }
    }
    if let Some(mixed) = evidence.mixed.as_ref().filter(|mixed| !mixed.by_tls) {
        let text = format!(
            "different answers to the same request: once {}; once {}",
            mixed.good, mixed.bad
        );
        step.line(Mark::Problem, text);
    }
    match &evidence.verdict.result {
        Ok(_) => step.line(Mark::Ok, "the check is healthy"),
        Err(failure) if judged => {
            let text = failure.to_string();
            if !step.says(&text) {
                step.line(Mark::Problem, format!("the check: {text}"));
            }
        }
        Err(_) => step.line(
            Mark::Note,
            "the check does not come this far: it ends at the TLS problem above",
        ),
    }
    Some(step)
}

fn answer(answers: &Answers, step: &mut Step) {
    if answers.withheld {
        let text = "asked without your headers and body, because the certificate is not trusted";
        step.line(Mark::Note, text);
    }
    match &answers.asked {
        Ok((response, _)) => {
            let server = response.server.as_deref().unwrap_or("(not said)");
            let text = format!("status {}, Server: {server}", response.status);
            step.line(Mark::Ok, text);
            if let Some(location) = &response.location {
                step.line(Mark::Note, format!("redirects to {location}"));
            }
        }
        Err(failure) => step.line(Mark::Problem, failure.to_string()),
    }
}

/// Each expectation, met or not.
fn expectations(plan: &Plan, answers: &Answers, step: &mut Step) {
    let Ok((_, of_each)) = &answers.asked else {
        return;
    };
    for (rule, unmet) in plan.request.expectations.iter().zip(of_each) {
        match unmet {
            None => step.line(Mark::Ok, format!("as expected: {rule}")),
            Some(failure) => step.line(Mark::Problem, failure.to_string()),
        }
    }
}

/// Whether `Host` matters.
fn host_line(plan: &Plan, answers: &Answers, step: &mut Step) {
    let Ok((asked, _)) = &answers.asked else {
        return;
    };
    let configured = host(plan);
    let others = [
        ("the address as Host", Some(&answers.address_as_host)),
        ("the SNI name as Host", answers.name_as_host.as_ref()),
    ];
    for (what, other) in others {
        let Some(other) = other else { continue };
        let other = match &other.result {
            Ok(Some(other)) if other == asked => continue,
            Ok(Some(other)) if other.status == asked.status => "another answer comes".to_owned(),
            Ok(Some(other)) => format!("the status is {}", other.status),
            Ok(None) => continue,
            Err(failure) => failure.to_string(),
        };
        let text = format!("Host matters: with {what}, not \"{configured}\", {other}");
        step.line(Mark::Note, text);
    }
    if answers.host_matters() == Some(false) {
        let text = "Host does not matter: with the address as Host the answer is the same";
        step.line(Mark::Ok, text);
    }
}
