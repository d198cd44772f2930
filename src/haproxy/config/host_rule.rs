//! `http-request` rules that change the Host of visitors' requests (configuration manual, section 4.2).

use super::place::{At, Place};

/// What the rules of a proxy do with the Host.
#[derive(Clone, Debug, Default)]
pub(crate) enum HostChange {
    /// No rule changes the Host.
    #[default]
    Kept,
    /// Every request gets this Host.
    Set(At<String>),
    /// HAProxy computes the Host of every request, for example with a regular expression.
    Computed,
    /// A rule with a condition changes the Host, so it may change the Host of only some requests.
    Conditional,
}

impl HostChange {
    /// Returns the Host that every request gets.
    pub(crate) fn fixed(&self) -> Option<&At<String>> {
        match self {
            HostChange::Set(host) => Some(host),
            _ => None,
        }
    }

    /// Returns true if only HAProxy knows which Host a request gets.
    pub(crate) fn is_computed(&self) -> bool {
        matches!(self, HostChange::Computed | HostChange::Conditional)
    }

    /// Adds the effect of a rule that follows the other rules. Ignores lines that don't change the Host.
    pub(super) fn add(&mut self, words: &[&str], place: &Place) {
        let Some(rule) = HostRule::of(words) else {
            return;
        };
        *self = match (rule.value, rule.is_conditional, &self) {
            (Some(value), false, _) => HostChange::Set(At::new(value.to_owned(), place)),
            (_, true, _) | (_, _, HostChange::Conditional) => HostChange::Conditional,
            _ => HostChange::Computed,
        };
    }
}

/// A rule that changes the Host.
#[derive(Debug)]
pub(super) struct HostRule<'a, T> {
    /// The Host that the rule sets. `None` if the Host depends on the request.
    pub value: Option<&'a str>,
    /// The words after the value. If the rule sets a fixed value, these words are the rule's condition.
    pub rest: &'a [T],
    is_conditional: bool,
}

impl<'a, T: AsRef<str>> HostRule<'a, T> {
    /// Reads a line. Returns `None` if the line doesn't change the Host.
    pub(super) fn of(words: &'a [T]) -> Option<HostRule<'a, T>> {
        let [first, action, rest @ ..] = words else {
            return None;
        };
        let (action, is) = (action.as_ref(), |word: &T, text: &str| {
            word.as_ref() == text
        });
        if first.as_ref() != "http-request" {
            return None;
        }
        let end = |word: &T| is(word, "if") || is(word, "unless");
        let is_conditional = rest.iter().any(end);
        // A URI with a host replaces the Host, too.
        if ["set-uri", "replace-uri"].contains(&action) {
            let mut words = rest.iter().take_while(|word| !end(word));
            let has_host = words.any(|word| word.as_ref().contains("://"));
            return has_host.then_some(HostRule {
                value: None,
                rest,
                is_conditional,
            });
        }
        let (name, rest) = rest.split_first()?;
        let is_of_host = (action.ends_with("-header") || action.ends_with("-value"))
            && name.as_ref().eq_ignore_ascii_case("host");
        let (value, rest) = match rest.split_first() {
            Some((value, condition)) if action == "set-header" && !value.as_ref().contains('%') => {
                (Some(value.as_ref()), condition)
            }
            _ => (None, rest),
        };
        is_of_host.then_some(HostRule {
            value,
            rest,
            is_conditional,
        })
    }
}

/// Returns true if a line changes the Host to a value that depends on the request.
pub(super) fn computes_host(words: &[String]) -> bool {
    HostRule::of(words).is_some_and(|rule| rule.value.is_none())
}

#[cfg(test)]
mod tests {
    use super::{HostChange, Place};

    #[test]
    fn the_last_rules_decide_what_is_known_about_the_host() {
        let place = Place {
            file: "x".into(),
            line: 1,
        };
        for (rules, expected) in [
            ("set-header Host a", "Set"),
            ("set-header X-Host a", "Kept"),
            ("set-path /a", "Kept"),
            ("set-uri /a", "Kept"),
            ("set-uri http://a%[path]", "Computed"),
            ("replace-uri ^/(.*) http://a/\\1", "Computed"),
            ("replace-header host ^a b", "Computed"),
            ("replace-value Host ^a b", "Computed"),
            ("set-header Host %[req.hdr(x)]", "Computed"),
            ("del-header Host;add-header Host a", "Computed"),
            ("set-header Host a if { src b }", "Conditional"),
            (
                "set-header Host a;replace-header Host a b unless c",
                "Conditional",
            ),
            (
                "set-header Host a if c;replace-header Host a b",
                "Conditional",
            ),
            ("replace-header Host a b if c;set-header Host a", "Set"),
        ] {
            let mut change = HostChange::default();
            for rule in rules.split(';') {
                let line = format!("http-request {rule}");
                change.add(&line.split(' ').collect::<Vec<_>>(), &place);
            }
            let name = format!("{change:?}");
            assert!(name.starts_with(expected), "{rules}: {name}");
        }
    }
}
