//! One step of the report.

use crate::output::escape::printable;
use crate::output::mark::Mark;

/// One step of the report.
pub(super) struct Step {
    pub title: String,
    pub milliseconds: Option<f64>,
    pub lines: Vec<(Mark, String)>,
}

impl Step {
    pub fn new(title: impl Into<String>) -> Step {
        Step {
            title: title.into(),
            milliseconds: None,
            lines: Vec::new(),
        }
    }

    /// Adds a line. What comes from the server cannot forge another one.
    pub fn line(&mut self, mark: Mark, text: impl AsRef<str>) {
        self.lines.push((mark, printable(text.as_ref())));
    }

    /// Whether a line says exactly this.
    pub fn says(&self, text: &str) -> bool {
        let text = printable(text);
        self.lines.iter().any(|(_, line)| *line == text)
    }

    /// The gravest mark of its lines.
    pub fn mark(&self) -> Mark {
        self.lines
            .iter()
            .map(|(mark, _)| *mark)
            .max()
            .unwrap_or(Mark::Ok)
    }
}
