//! Which other options the check needs: each that may help is tried, and what gets further is kept.

use std::time::Instant;

use super::answers::is_repeatable;
use super::attempts::Attempt;
use super::beside::{Job, beside};
use super::edit::Edit;
use super::edits::edits;
use crate::code::Layer;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::options::Options;
use crate::plan::{Output, Plan};
use crate::probe::Trial;
use crate::probe::connect::Address;

/// Other options with which the check gets further, or all the way.
pub(super) struct Remedy {
    pub options: Options,
    pub plan: Plan,
    /// What was wrong, and what to change, a sentence for each change.
    pub advice: Vec<String>,
    /// What the check comes to with them.
    pub result: Result<(), Failure>,
}

/// How many things can be wrong at a time.
const CHANGES: usize = 3;

impl Remedy {
    /// Looks for one. `failure` is why the check fails as it is.
    pub fn find(
        plan: &Plan,
        options: &Options,
        failure: &Failure,
        address: &Address,
    ) -> Option<Remedy> {
        let mut best = Remedy::improve(plan, options, failure, address)?;
        for _ in 1..CHANGES {
            let Err(failure) = &best.result else { break };
            let better = Remedy::improve(&best.plan, &best.options, failure, address);
            let Some(mut better) = better else { break };
            let advice = std::mem::take(&mut best.advice);
            better.advice.splice(0..0, advice);
            best = better;
        }
        Some(best)
    }

    /// The best single change.
    fn improve(
        plan: &Plan,
        options: &Options,
        failure: &Failure,
        address: &Address,
    ) -> Option<Remedy> {
        let edits = edits(plan, options, failure).into_iter();
        let mut tried: Vec<(Edit, Plan, Attempt)> = edits
            .filter_map(|edit| {
                let plan = Plan::new(&edit.options, None, None, Output::default()).ok()?;
                is_repeatable(&plan).then(|| (edit, plan, Attempt::none()))
            })
            .collect();
        let jobs = tried
            .iter_mut()
            .map(|(_, plan, attempt)| Box::new(|| *attempt = check(plan, address)) as Job<'_>);
        beside(jobs.collect());
        let before = progress(failure);
        let value = |(edit, _, attempt): &(Edit, Plan, Attempt)| match &attempt.result {
            Ok(_) => u8::MAX,
            Err(after) if edit.is_sure => progress(after),
            Err(_) => 0,
        };
        // The first of those that get furthest.
        let best = tried.into_iter().rev().max_by_key(value);
        let (edit, plan, attempt) = best.filter(|best| value(best) > before)?;
        Some(Remedy {
            options: edit.options,
            plan,
            advice: vec![edit.advice],
            result: attempt.result.map(|_| ()),
        })
    }
}

/// How far a check came. A certificate is judged within the handshake.
fn progress(failure: &Failure) -> u8 {
    match failure.code().layer() {
        Layer::Call => 0,
        Layer::Name => 1,
        Layer::Connection => 2,
        Layer::Tls => 3,
        Layer::Certificate => 4,
        Layer::Http => 5,
    }
}

fn check(plan: &Plan, address: &Address) -> Attempt {
    let start = Instant::now();
    let mut attempt = Attempt::none();
    let deadline = Deadline::new(start, plan.timeout);
    let addresses = std::slice::from_ref(address);
    attempt.result = Trial::of(plan).run(addresses, deadline, &mut attempt.seen);
    attempt
}
