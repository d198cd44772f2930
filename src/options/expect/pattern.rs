//! HAProxy's matching methods (`-m`), on bytes.

use memchr::memmem;

use super::regex::{GivenUp, Regex};
use crate::deadline::Deadline;

/// A pattern, and the method that compares a text with it.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Exact(Vec<u8>),
    Begins(Vec<u8>),
    Ends(Vec<u8>),
    Contains(Vec<u8>),
    Regex(Regex),
}

impl Pattern {
    /// Returns how many bytes of memory the pattern uses.
    pub fn size(&self) -> usize {
        match self {
            Pattern::Exact(bytes)
            | Pattern::Begins(bytes)
            | Pattern::Ends(bytes)
            | Pattern::Contains(bytes) => bytes.len(),
            Pattern::Regex(regex) => regex.size(),
        }
    }

    /// Returns a regular expression that matches the pattern without regard to case. Returns `None` for a
    /// pattern that has control characters or single quotes, or isn't UTF-8, and for a regular expression
    /// with settings such as `(*UTF)`.
    pub fn in_any_case(&self) -> Option<String> {
        let is_quotable = |text: &str| !text.contains(|c: char| c == '\'' || c.is_control());
        let (begin, text, end) = match self {
            Pattern::Exact(text) => ("^", text, "$"),
            Pattern::Begins(text) => ("^", text, ""),
            Pattern::Ends(text) => ("", text, "$"),
            Pattern::Contains(text) => ("", text, ""),
            Pattern::Regex(regex) => {
                let source = regex.source().filter(|source| is_quotable(source))?;
                return Some(format!("(?i){source}"));
            }
        };
        let text = str::from_utf8(text).ok()?;
        if !is_quotable(text) {
            return None;
        }
        let escaped = text.chars().map(|c| match c.is_ascii_punctuation() {
            true => format!("\\{c}"),
            false => c.to_string(),
        });
        Some(format!("(?i){begin}{}{end}", escaped.collect::<String>()))
    }

    pub fn is_regex(&self) -> bool {
        matches!(self, Pattern::Regex(_))
    }

    /// Returns true if `text` matches the pattern. Fails if the answer isn't known by `deadline`.
    pub fn matches(&self, text: &[u8], deadline: Deadline) -> Result<bool, GivenUp> {
        Ok(match self {
            Pattern::Exact(wanted) => text == wanted,
            Pattern::Begins(wanted) => text.starts_with(wanted),
            Pattern::Ends(wanted) => text.ends_with(wanted),
            Pattern::Contains(wanted) => memmem::find(text, wanted).is_some(),
            Pattern::Regex(regex) => regex.is_match(text, deadline)?,
        })
    }
}
