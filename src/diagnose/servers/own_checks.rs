//! If no running HAProxy shows statistics, asks diagnose's own HAProxy about HAProxy's own checks of all
//! servers.

use std::time::Duration;

use crate::diagnose::ask::MARGIN;
use crate::diagnose::change::Change;
use crate::doctor::survey::{CheckKind, Surveyed};
use crate::haproxy::ask::{Answer, Question, ask};
use crate::haproxy::program::Haproxy;
use crate::options::Options;

/// Returns HAProxy's verdict about each server with HAProxy's own check: true for UP. This verdict counts
/// more than that of sni-check, because sni-check's check may differ from HAProxy's own check. The verdict is
/// `None` for a server with another kind of check, and for a server whose lines HAProxy can't try.
pub(super) fn verdicts(servers: &[&Surveyed], haproxy: Option<&Haproxy>) -> Vec<Option<bool>> {
    let mut verdicts: Vec<Option<bool>> = servers.iter().map(|_| None).collect();
    let asked = servers.iter().enumerate().filter(|(_, surveyed)| {
        let is_own = surveyed.is_checked && surveyed.kind == CheckKind::Own;
        is_own && surveyed.unset.is_empty() && !surveyed.is_always_down()
    });
    let question = |(about, surveyed): (usize, &&Surveyed)| {
        let lines = Change::default().lines(surveyed, &Options::default())?;
        Some(Question::of_check(about, lines, None))
    };
    let questions: Vec<Question<usize>> = asked.filter_map(question).collect();
    let (Some(haproxy), Some(first)) = (haproxy, questions.first()) else {
        return verdicts;
    };
    let global = servers[first.about].lines.global_text();
    let options = servers
        .iter()
        .filter_map(|server| server.call.as_ref().ok());
    let times = options.filter_map(|options| options.timeout.as_ref().map(|time| time.0));
    let patience = times.max().unwrap_or(Duration::from_secs(2)) + MARGIN;
    for answered in ask(haproxy, &global, questions, patience).unwrap_or_default() {
        if let Answer::Checked(checked) = answered.answer {
            verdicts[answered.about] = Some(checked.up);
        }
    }
    verdicts
}
