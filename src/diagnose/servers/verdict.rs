//! Compares HAProxy's verdict with sni-check's verdict. For example, HAProxy may run another program, or its
//! check may fail earlier or later than sni-check's check.

use super::state::{State, Subject, TriedChange};
use crate::causes::mixed;
use crate::certificate::CertificateFailure;
use crate::diagnose::report::{Report, why};
use crate::diagnose::stage::Stage;
use crate::doctor::survey::{CheckKind, Surveyed};
use crate::failure::Failure;
use crate::haproxy::ask::Answer;

impl Subject<'_> {
    /// Returns true if HAProxy's own check connects without TLS.
    pub fn is_plain(&self) -> bool {
        let meant = self.surveyed.meant.as_ref();
        meant.is_some_and(|meant| meant.is_plain)
    }

    /// Returns true if HAProxy's own check connects without TLS and is UP with the present lines, and if
    /// visitors don't need `ssl`: a visitor was served, or visitors bring their own TLS (mode tcp).
    pub fn is_up_without_tls(&self) -> bool {
        let visitor = self.present.as_ref().and_then(|present| present.visitor);
        let is_served = visitor.is_some() || !self.surveyed.lines.is_http;
        self.is_plain() && is_served && self.works_in_haproxy() == Some(true)
    }

    /// Returns true if HAProxy's own check connects without TLS, and is UP with the present lines or with the
    /// proposed change. sni-check's failure is then about a check that HAProxy doesn't run.
    pub fn lacks_only_tls(&self) -> bool {
        let change = self.change.as_ref();
        let is_fixed = change.is_some_and(|change| change.block.is_up());
        let present = self
            .present
            .as_ref()
            .and_then(|present| present.tried.as_ref());
        self.is_plain() && (is_fixed || present.is_some_and(Answer::is_up))
    }

    /// Returns the change with which HAProxy's check gets further but isn't UP, if the change has a reason to
    /// print.
    pub fn partial(&self) -> Option<&TriedChange> {
        let failed = self.failed.as_ref()?;
        (failed.reason.is_some() && !failed.block.fails_visitors()).then_some(failed)
    }

    /// Returns the stage that HAProxy's check reaches with the present lines, and HAProxy's words about it.
    fn reached(&self) -> Option<(Stage, String)> {
        match self.present.as_ref()?.tried.as_ref()? {
            answer @ Answer::Checked(checked) => Some((Stage::of_answer(answer), checked.said())),
            Answer::Refused(_) | Answer::None => None,
        }
    }

    /// If sni-check's check gets a response, but HAProxy's own check fails earlier, returns HAProxy's words
    /// about its own check.
    pub fn fails_earlier(&self) -> Option<String> {
        let asked = &self.search()?.asked;
        let stage = Stage::of_failure(asked.failure()?, &asked.plan);
        let (reached, said) = self.reached()?;
        let is_own = self.surveyed.kind == CheckKind::Own && self.meant().is_none();
        (is_own && stage.is_rejected_response() && reached < stage).then_some(said)
    }

    /// Returns true if HAProxy's own check sends no SNI and verifies no name, but sni-check refuses the
    /// certificate because of its names.
    fn verifies_no_name(&self) -> bool {
        let is_own = self.surveyed.kind == CheckKind::Own;
        self.search().is_some_and(|search| {
            let options = &search.asked.options;
            let is_without = options.no_sni && options.verify_host.is_none();
            is_own && is_without && is_other_name(search.asked.failure())
        })
    }

    /// Returns true if the server is UP in HAProxy's own check, and visitors are served, but sni-check's
    /// check fails. Returns false if several servers at one address answer differently.
    pub fn is_up_only_in_haproxy(&self) -> bool {
        let is_up = self.state == State::Up && self.works_in_haproxy() == Some(true);
        let is_own = self.surveyed.kind == CheckKind::Own;
        is_up
            && is_own
            && self.search().is_some_and(|search| {
                search.asked.failure().is_some() && mixed::find(&search.asked).is_none()
            })
    }

    /// Returns HAProxy's words about its own check, if this check verifies no name and fails after the
    /// handshake. sni-check's check then fails earlier, because of the name.
    pub fn fails_later(&self) -> Option<String> {
        let (reached, said) = self.reached()?;
        let is_later = (Stage::Response..Stage::Healthy).contains(&reached);
        (is_later && self.verifies_no_name()).then_some(said)
    }

    /// If HAProxy's tcp-check passes the handshake and fails at a later step, and sni-check's check succeeds,
    /// returns a sentence that names the line of this step.
    pub fn failed_step(&self) -> Option<String> {
        let said = match (self.reached(), self.shown) {
            (Some((_, said)), _) => said,
            (None, Some(shown)) => format!("{} {}", shown.check, shown.why),
            (None, None) => return None,
        };
        let is_healthy = self.search()?.asked.failure().is_none();
        let is_later = said.starts_with("L7") && self.state == State::Down;
        let step = step(self.surveyed, &said).filter(|_| is_healthy && is_later)?;
        Some(format!(
            "The connection works, but what the server sends doesn't meet {step}. HAProxy reports {said}. Correct this \
             line if the server is right."
        ))
    }

    /// Returns true if HAProxy's check fails after the handshake, and neither sni-check nor a change explains
    /// this failure.
    pub fn is_unexplained(&self) -> bool {
        let explains = |failure: &Failure| !is_other_name(Some(failure));
        let best = self.search().and_then(|search| search.best().failure());
        let is_fixed = self
            .change
            .as_ref()
            .is_some_and(|change| change.block.is_up());
        self.fails_later().is_some() && !is_fixed && !best.is_some_and(explains)
    }
}

fn is_other_name(failure: Option<&Failure>) -> bool {
    matches!(
        failure,
        Some(Failure::Certificate(CertificateFailure::OtherName { .. }))
    )
}

/// Returns the number and the line of the step of a tcp-check at which HAProxy's check failed. `said` is
/// HAProxy's reason, which contains the number. HAProxy counts all tcp-check lines.
pub(super) fn step(surveyed: &Surveyed, said: &str) -> Option<String> {
    let (_, after) = said.split_once("at step ")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    let number: usize = digits.parse().ok()?;
    let rules = surveyed.lines.rules.iter();
    let mut steps = rules.filter(|rule| rule.words.first().is_some_and(|word| word == "tcp-check"));
    let rule = steps.nth(number.checked_sub(1)?)?;
    let place = rule.place.as_ref()?;
    Some(format!(
        "step {number}: `{}` ({place})",
        place.text()?.trim()
    ))
}

/// A change with which HAProxy's check gets further, but isn't UP.
pub(super) struct Partial {
    /// What the change fixes.
    pub cause: String,
    /// Why the check still fails with the change.
    pub failure: String,
    /// A sentence about the change and the failure.
    pub remains: String,
}

impl Partial {
    /// Returns the change with which HAProxy's check gets further, if the check still fails with it.
    pub fn of(subject: &Subject<'_>, report: &Report<'_>) -> Option<Partial> {
        let partial = subject.partial()?;
        let failure = report.search.best().failure().map(ToString::to_string);
        let failure = failure.or_else(|| match partial.block.tried.as_ref()? {
            Answer::Checked(checked) => Some(checked.said()),
            Answer::Refused(_) | Answer::None => None,
        })?;
        let words = &partial.words;
        Some(Partial {
            cause: partial.reason.clone()?,
            remains: format!(
                "HAProxy's check gets further with the change ({words}), but still fails: {failure}"
            ),
            failure,
        })
    }
}

/// Explains the difference between HAProxy's check and sni-check's check. For example, HAProxy runs another
/// program, or its own check fails earlier or later. Returns `None` if there is no difference to explain.
pub(super) fn misread(subject: &Subject<'_>) -> Option<String> {
    if let Some(rule) = subject.other_command() {
        let command = &rule.words[2];
        return Some(format!(
            "HAProxy runs {command} for the check, and sni-check doesn't exit with the code that HAProxy shows. \
             So {command} isn't sni-check, or it can't run sni-check."
        ));
    }
    if let Some(failed) = subject.failed_step() {
        return Some(failed);
    }
    if subject.is_up_without_tls() {
        let is = match subject.has_no_check() {
            true => "would be",
            false => "is",
        };
        return Some(format!(
            "HAProxy's own check {is} UP, because it connects without TLS and doesn't look at the certificate."
        ));
    }
    if subject.is_up_only_in_haproxy() {
        let asked = &subject.search()?.asked;
        if !subject.verifies_no_name() {
            let why = why(asked);
            return Some(format!(
                "HAProxy's own check is UP, and this check decides the state of the server. sni-check's check fails, \
                 because it differs from HAProxy's own check (docs/limits.md): {why}"
            ));
        }
        let failure = asked.failure()?;
        return Some(format!(
            "HAProxy's own check is UP, but it sends no SNI, and without SNI HAProxy verifies no name. It checks the \
             site that the server shows to clients without SNI. sni-check's own check fails: {failure}."
        ));
    }
    if let Some(said) = subject.fails_later() {
        let failure = subject.search()?.asked.failure()?;
        return Some(format!(
            "HAProxy's own check sends no SNI, and without SNI HAProxy verifies no name. It accepts the certificate, \
             and fails later: {said}. sni-check's own check fails earlier: {failure}"
        ));
    }
    if let Some(said) = subject.fails_earlier() {
        let failure = subject.search()?.asked.failure()?;
        return Some(format!(
            "HAProxy's own check fails earlier than sni-check's check: {said}. sni-check's check also fails: {failure}"
        ));
    }
    // HAProxy's check without TLS may be UP although visitors' connections need TLS.
    let written = subject.surveyed.meant.as_deref();
    let meant = subject
        .meant()
        .or(written.filter(|_| subject.lacks_only_tls()))?;
    // A server that can't be reached fails with and without TLS.
    let reaches = subject
        .search()
        .is_none_or(|search| search.asked.reached.is_some());
    (reaches || !meant.is_plain).then(|| meant.what.clone())
}
