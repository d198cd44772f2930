//! Rules about lines with which HAProxy itself answers visitors. A check doesn't notice such lines.

use crate::haproxy::config::place::At;
use crate::haproxy::config::proxy::Backend;

use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::Visit;

/// Finds rules with which HAProxy gives visitors an error, whatever the servers answer.
pub(crate) fn of_haproxy(_: &Visit, backend: &Backend) -> Vec<Finding> {
    if !backend.settings.http || backend.servers.is_empty() {
        return Vec::new();
    }
    // Visitors may also come through another frontend.
    let of_frontend = backend.visitors.rules.iter().map(|line| (line, false));
    let own = backend
        .settings
        .for_visitors
        .iter()
        .map(|line| (line, true));
    let finding = |(line, is_own): (&At<Vec<String>>, bool)| {
        let gets = error(&line.value)?;
        let name = line.value.get(..2)?.join(" ");
        let mut words = line.value.iter();
        let is_conditional = words.any(|word| ["if", "unless"].contains(&word.as_str()));
        let finding = match is_conditional || !is_own {
            true => Finding::note(
                Effect::Up,
                format!("`{name}` gives some visitors {gets} in place of the server's response"),
            )
            .shows(format!(
                "{gets} for these visitors, even while the check is UP"
            ))
            .write("change its condition, if visitors should get the server's response"),
            false => Finding::problem(
                Effect::Up,
                format!("`{name}` gives every visitor {gets}, whatever the servers answer"),
            )
            .shows(format!("{gets} for visitors, even while the check is UP"))
            .write("remove that line, or add a condition to it"),
        };
        Some(finding.at(&line.place).about([backend.name.clone()]))
    };
    own.chain(of_frontend).filter_map(finding).collect()
}

/// Returns the error that visitors get from a rule. Returns `None` if the rule gives them no error.
fn error(words: &[String]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let after = |name: &str| {
        let mut pairs = words.windows(2).filter(|pair| pair[0] == name);
        pairs.find_map(|pair| pair[1].parse::<u16>().ok())
    };
    let status = match words.as_slice() {
        ["http-request", "reject" | "silent-drop", ..] => return Some("no response".to_owned()),
        [_, "return", ..] => after("status").unwrap_or(200),
        ["http-request", "deny", ..] => after("deny_status").or(after("status")).unwrap_or(403),
        ["http-response", "deny", ..] => after("deny_status").or(after("status")).unwrap_or(502),
        ["http-response", "set-status", status, ..] => status.parse().ok()?,
        _ => return None,
    };
    (status >= 400).then(|| format!("status {status}"))
}
