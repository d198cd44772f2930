//! A likely cause, and how it is printed.

use crate::output::wrap::paragraph;

/// A likely cause of a code.
pub(super) struct Cause {
    /// What happened.
    pub what: &'static str,
    /// How to see that it is this one.
    pub confirm: &'static str,
    /// What to change, in haproxy.cfg or at the backend.
    pub change: &'static str,
}

/// Appends the causes, numbered.
pub(super) fn render(text: &mut String, causes: &[Cause]) {
    for (index, cause) in causes.iter().enumerate() {
        text.push('\n');
        paragraph(text, &format!("{}. ", index + 1), cause.what);
        paragraph(text, "   confirm  ", cause.confirm);
        paragraph(text, "   change   ", cause.change);
    }
}
