//! One change of the options, and how changes are collected.

use crate::options::Options;
use crate::plan::Plan;

/// Other options, and what it means if the check gets further with them.
pub(super) struct Edit {
    pub options: Options,
    /// What was wrong, and what to change.
    pub advice: String,
    /// To get further is enough to keep it. Others must cure.
    pub is_sure: bool,
}

/// The changes of these options.
pub(super) struct Edits<'a> {
    pub plan: &'a Plan,
    pub options: &'a Options,
    pub found: Vec<Edit>,
}

impl Edits<'_> {
    /// Adds one. `is_sure` as in [`Edit`].
    pub fn add(
        &mut self,
        is_sure: bool,
        advice: impl Into<String>,
        edit: impl FnOnce(&mut Options),
    ) {
        let mut options = self.options.clone();
        edit(&mut options);
        let advice = advice.into();
        self.found.push(Edit {
            options,
            advice,
            is_sure,
        });
    }
}
