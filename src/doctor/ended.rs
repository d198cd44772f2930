//! What good options name that has ended: lists of `--crl-file`, the certificate of `--crt`.

use std::time::Duration;

use crate::certificate::{Certificate, days, in_days};
use crate::code::Code;
use crate::options::Options;
use crate::output::date::{day, now};
use crate::output::mark::Mark;
use crate::plan::{List, Plan};

use super::finding::Finding;

/// Looks at what was read; `status` is what HAProxy shows of a check that fails.
pub(super) fn look(plan: &Plan, options: &Options, status: &str) -> Vec<Finding> {
    let found = [lists(plan, options, status), client(plan, options, status)];
    found.into_iter().flatten().collect()
}

fn lists(plan: &Plan, options: &Options, status: &str) -> Option<Finding> {
    let lists = &plan.tls.verification.as_ref()?.lists;
    let has_ended = |list: &&List| ended(list).is_some();
    let replaced = |list: &&List| {
        let mut others = lists.iter().filter(|other| other.has_issuer_of(list));
        others.any(|other| ended(other).is_none())
    };
    let ended_lists = lists.iter().filter(has_ended);
    let since = ended_lists.filter(|list| !replaced(list)).find_map(ended)?;
    // One that is still good may be all that the server's chain needs.
    let (mark, when) = match lists.iter().all(|list| has_ended(&list)) {
        true => (Mark::Problem, "the server is DOWN"),
        false => (
            Mark::Note,
            "the server is DOWN, if its certificate needs that list",
        ),
    };
    let what = format!(
        "--crl-file {}: a revocation list in it {}",
        options.crl_file.join(", "),
        since_when(since)
    );
    let code = Code::CertificateInvalid.number();
    Some(
        Finding::new(mark, "ended-list", what)
            .shows(format!("{status} with code {code}, {when}"))
            .write("put the CA's current list into that file"),
    )
}

/// The client certificate has ended, which a server that looks at it does not take.
fn client(plan: &Plan, options: &Options, status: &str) -> Option<Finding> {
    let identity = plan.tls.identity.as_ref()?;
    let mut chain = identity.cert.iter().filter_map(Certificate::read);
    let ended = chain.find(|certificate| certificate.not_after < now())?;
    let what = format!(
        "--crt {}: the client certificate {} {}",
        options.crt.as_deref().unwrap_or_default(),
        ended.subject,
        since_when(ended.not_after)
    );
    Some(
        Finding::note("ended-certificate", what)
            .shows(format!(
                "{status} with code 58, or 71 with status 400 or 403 (DOWN), where the server looks at it"
            ))
            .write("have it renewed, and put the new one into that file"),
    )
}

/// When a list ended, if it has.
fn ended(list: &List) -> Option<Duration> {
    let end = Duration::from_secs(u64::try_from(list.next_update?).unwrap_or_default());
    (end < now()).then_some(end)
}

fn since_when(end: Duration) -> String {
    let ago = days(now().saturating_sub(end));
    format!("ended on {} ({} ago)", day(end), in_days(ago))
}
