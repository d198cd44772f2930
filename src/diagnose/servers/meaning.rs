//! Explains server states that don't come from the server's check: no check, `disabled`, `weight 0`, DRAIN,
//! MAINT, and DOWN because of an agent or `observe`. Also explains NOLB.

use super::state::{State, Subject};
use crate::haproxy::agent::Effect;

/// Explains what a server line without `check` means for visitors.
pub(super) const WITHOUT_CHECK: &str =
    "The server line has no `check`, so HAProxy sends visitors to the server even if it fails.";

/// Explains the state of a server, if the result of its check doesn't explain the state. Otherwise, returns
/// `None`.
pub(super) fn meaning(subject: &Subject<'_>) -> Option<String> {
    let name = subject.surveyed.name();
    if let Some(sentence) = idle(subject) {
        return Some(sentence);
    }
    if subject.has_no_check() {
        return Some(WITHOUT_CHECK.to_owned());
    }
    if subject.is_as_agent_says() {
        return by_agent(subject);
    }
    let shown = subject.shown?;
    Some(match subject.state {
        State::Down if shown.status.contains("(agent)") => format!(
            "The agent of `agent-check` has set the server DOWN, whatever the check says. The server comes back when \
             the agent answers `up`. `set server {name} agent up` on the stats socket sets it UP until the agent answers again."
        ),
        State::Down if shown.check == "HANA" => format!(
            "`observe` has set the server DOWN because of errors in visitors' traffic, not because of the check. The server \
             comes back when `rise` checks in a row pass, or at once with `set server {name} health up` on the stats socket."
        ),
        State::Draining => {
            "The check got a 404, so `http-check disable-on-404` makes HAProxy send the server no new \
             visitors."
                .to_owned()
        }
        State::Drained => drained(&name),
        State::Maintenance => maintenance(&name),
        _ => return None,
    })
}

/// Explains what the agent's answer does to the server. Returns `None` if the agent doesn't answer, or leaves
/// the server in service.
pub(super) fn by_agent(subject: &Subject<'_>) -> Option<String> {
    let (answer, effect) = subject.agent.as_ref()?;
    let (name, agent) = (subject.surveyed.name(), subject.surveyed.agent.as_ref()?);
    let (does, back) = match effect {
        Effect::Down => ("HAProxy sets the server DOWN", "up"),
        Effect::Maintenance => (
            "HAProxy puts the server into maintenance: it neither checks it nor sends it visitors",
            "ready",
        ),
        Effect::Drain => ("HAProxy sends the server no new visitors", "ready"),
    };
    let by_hand = match effect {
        Effect::Down => format!("`set server {name} agent up`"),
        Effect::Maintenance | Effect::Drain => format!("`set server {name} state ready`"),
    };
    Some(format!(
        "The agent of `agent-check` at {agent} answers `{answer}`, so {does}, whatever the check says. The server comes back when \
         the agent answers `{back}`. {by_hand} on the stats socket helps only until the agent answers again."
    ))
}

/// Explains `disabled` or `weight 0`, if the server has one of these words in haproxy.cfg.
pub(super) fn idle(subject: &Subject<'_>) -> Option<String> {
    let name = subject.surveyed.name();
    Some(match subject.surveyed.idle? {
        "disabled" => format!(
            "haproxy.cfg has `disabled` for the server, so HAProxy neither checks it nor sends it visitors. \
             `set server {name} state ready` on the stats socket overrides that only until the next reload."
        ),
        _ => format!(
            "haproxy.cfg has `weight 0` for the server, so HAProxy sends it no new visitors, whatever the check says. \
             `set server {name} weight 100` on the stats socket overrides that only until the next reload."
        ),
    })
}

pub(super) fn drained(name: &str) -> String {
    format!(
        "HAProxy sends the server no new visitors, whatever the check says: the agent of `agent-check` or someone on the \
         stats socket has sent `drain`. The server comes back when the agent answers `ready`, or with \
         `set server {name} state ready` on the stats socket. The agent's next `drain` drains it again."
    )
}

pub(super) fn maintenance(name: &str) -> String {
    format!(
        "HAProxy neither checks the server nor sends it visitors, because someone has put the server into maintenance, or \
         its line has `disabled`. `set server {name} state ready` on the stats socket ends the maintenance."
    )
}
