//! What HAProxy itself says of the server, and of the lines before they are printed.

use std::time::Duration;

use super::answers::is_repeatable;
use super::case::Case;
use super::setup::{Setup, Way};
use super::{snippet, view};
use crate::haproxy::ask::{Answer, ask};
use crate::haproxy::program::Haproxy;

/// Lines for haproxy.cfg, and what HAProxy makes of them.
pub(super) struct Snippet {
    pub text: String,
    /// `None` where HAProxy was not asked.
    pub tried: Option<Answer>,
}

/// What HAProxy says.
pub(super) struct Opinion {
    /// The HAProxy that was asked; otherwise why none was.
    pub asked: Result<String, String>,
    pub rows: Vec<view::Row>,
    /// HAProxy's own check.
    pub builtin: Option<Snippet>,
    /// sni-check as external check.
    pub external: Option<Snippet>,
    /// HAProxy's http-check asking `sni-check serve`, if that is wanted.
    pub served: Option<Snippet>,
    /// The way of the lines.
    pub way: Way,
    /// HAProxy's own check is UP only with the User-Agent and Accept of ours.
    pub needs_agent: bool,
}

/// Checks in HAProxy run beside each other, but a child has to start for the external one.
const MARGIN: Duration = Duration::from_millis(700);

impl Opinion {
    /// Asks HAProxy, if there is one.
    pub fn ask<'a>(case: Case<'a>, haproxy: Option<&Haproxy>) -> Opinion {
        let setup = Setup::of(case);
        // HAProxy refuses a server line whose name does not resolve.
        let dialled = case.evidence.addresses.is_ok();
        let builtin = dialled.then(|| snippet::builtin(&setup));
        let external = dialled.then(|| snippet::external(&setup)).flatten();
        let alternative = Setup::alternative(case).filter(|_| dialled);
        let socket = case.options.serve.as_deref();
        let socket = socket.filter(|_| external.is_some());
        let mut questions = view::questions(case);
        let rows = questions.len();
        let complete = |setup: &Setup<'a>| Setup {
            secrets: true,
            servers: setup.servers.clone(),
            ..*setup
        };
        let tries = [
            builtin
                .as_ref()
                .map(|_| snippet::builtin_lines(&complete(&setup))),
            external
                .as_ref()
                .map(|_| snippet::external_lines(&complete(&setup))),
            alternative
                .as_ref()
                .map(|other| snippet::builtin_lines(&complete(other))),
            socket.map(|socket| snippet::served_lines(&complete(&setup), socket)),
        ];
        if is_repeatable(case.plan) {
            questions.extend(tries.into_iter().flatten());
        }
        let patience = setup.plan.timeout.max(case.plan.timeout) + MARGIN;
        let asked = put(haproxy, &questions, patience);
        let answers = asked.as_ref().ok().map(|(_, answers)| answers.as_slice());
        let mut tried = answers.map_or(&[][..], |answers| &answers[rows..]).iter();
        let mut tried_snippet = |text: String| Snippet {
            text,
            tried: tried.next().cloned(),
        };
        let mut opinion = Opinion {
            rows: view::rows(case, answers),
            builtin: builtin.map(&mut tried_snippet),
            external: external.map(&mut tried_snippet),
            served: None,
            way: setup.way,
            needs_agent: false,
            asked: Err(String::new()),
        };
        let alternative =
            alternative.map(|other| (tried_snippet(snippet::builtin(&other)), other.way));
        opinion.served = socket.map(|socket| {
            let lines = snippet::served_lines(&setup, socket);
            tried_snippet(format!("backend be\n{lines}"))
        });
        let own_is_up = opinion.builtin.as_ref().is_some_and(Snippet::is_up);
        if case.evidence.failure().is_none() {
            if let Some((lines, _)) = alternative.filter(|(lines, _)| !own_is_up && lines.is_up()) {
                opinion.builtin = Some(lines);
                opinion.needs_agent = true;
            }
        } else if let Some((lines, way)) = alternative.filter(|(lines, way)| {
            // That HTTP/2 is spoken was seen here, too.
            lines.is_up() || (answers.is_none() && *way == Way::Http2)
        }) {
            opinion.builtin = Some(lines);
            opinion.external = None;
            opinion.served = None;
            opinion.way = way;
        }
        opinion.asked = asked.map(|(version, _)| version);
        opinion
    }

    /// Whether HAProxy's own check with the same options is up; unknown where nobody was asked.
    pub fn own_check(&self) -> Option<&view::Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.role == view::Role::Own)
    }
}

/// Puts the questions to HAProxy: its version and its answers, or why there are none.
fn put(
    haproxy: Option<&Haproxy>,
    questions: &[String],
    patience: Duration,
) -> Result<(String, Vec<Answer>), String> {
    let Some(haproxy) = haproxy else {
        return Err("left out by --haproxy none".to_owned());
    };
    if questions.is_empty() {
        return Err("there is no address".to_owned());
    }
    if haproxy.binary().is_none() {
        return Err("no haproxy is installed here; --haproxy FILE names one".to_owned());
    }
    let version = haproxy.version_text.clone().unwrap_or_default();
    let answers = ask(haproxy, questions, patience);
    let answers = answers.map_err(|error| format!("HAProxy could not be asked: {error:#}"))?;
    Ok((version, answers))
}

impl Snippet {
    /// Whether HAProxy has seen that the server is up with these lines.
    pub fn is_up(&self) -> bool {
        matches!(&self.tried, Some(Answer::Checked(checked)) if checked.up)
    }

    /// Whether HAProxy does not take these lines at all.
    pub fn is_refused(&self) -> bool {
        matches!(&self.tried, Some(Answer::Refused(_)))
    }

    /// What came of the trial, in a few words.
    pub fn tried(&self) -> String {
        match &self.tried {
            None => "not tried".to_owned(),
            Some(Answer::None) => "tried: no check ended in time".to_owned(),
            Some(Answer::Refused(said)) => format!("tried: HAProxy refuses them: {said}"),
            Some(Answer::Checked(checked)) if checked.up => "tried: UP".to_owned(),
            Some(Answer::Checked(checked)) => {
                let said = [&checked.status, &checked.code, &checked.why];
                let said: Vec<&str> = said.into_iter().map(String::as_str).collect();
                let said = said.join(" ");
                let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
                format!("tried: DOWN, {said}")
            }
        }
    }
}
