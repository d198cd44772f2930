//! `.if`, `.elif`, `.else` and `.endif` (configuration manual, section 2.4).

use anyhow::{Context, Result};

/// The `.if` blocks around a line, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<Branch>);

/// Which branch of an `.if` block is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Branch {
    /// The current branch is active.
    Taken,
    /// No branch has been active so far. A later branch may be active.
    NotYet,
    /// An earlier branch was active, or the whole block is inactive.
    Over,
}

impl Blocks {
    /// Returns true if a line at this position is active.
    pub(super) fn taken(&self) -> bool {
        self.0.iter().all(|branch| *branch == Branch::Taken)
    }

    /// Reads a line that starts with a dot.
    ///
    /// # Errors
    ///
    /// `decide` can't decide a condition, or a branch is outside of a block.
    pub(super) fn directive(
        &mut self,
        words: &[String],
        decide: impl Fn(&str) -> Result<bool>,
    ) -> Result<()> {
        let condition = words[1..].join(" ");
        let branch = |outer: bool| match outer.then(|| decide(&condition)) {
            None => (Branch::Over, Ok(())),
            Some(Ok(true)) => (Branch::Taken, Ok(())),
            Some(Ok(false)) => (Branch::NotYet, Ok(())),
            Some(Err(error)) => (Branch::NotYet, Err(error)),
        };
        match words[0].as_str() {
            ".if" => {
                let (next, result) = branch(self.taken());
                self.0.push(next);
                result
            }
            ".elif" | ".else" => {
                let last = self.0.pop();
                let last = last.with_context(|| format!("{} without .if", words[0]))?;
                let (next, result) = match (last, words[0].as_str()) {
                    (Branch::NotYet, ".else") => (Branch::Taken, Ok(())),
                    (Branch::NotYet, _) => branch(self.taken()),
                    _ => (Branch::Over, Ok(())),
                };
                self.0.push(next);
                result
            }
            ".endif" => self.0.pop().map(drop).context(".endif without .if"),
            // .notice, .warning, .alert and .diag only print.
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Blocks;

    /// Returns the active lines of a text whose conditions are `1` or `0`.
    fn in_force(text: &str) -> Vec<&str> {
        let mut blocks = Blocks::default();
        let mut lines = Vec::new();
        for line in text.lines().map(str::trim) {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            if line.starts_with('.') {
                blocks
                    .directive(&words, |condition| Ok(condition == "1"))
                    .expect(line);
            } else if blocks.taken() {
                lines.push(line);
            }
        }
        lines
    }

    #[test]
    fn only_one_branch_of_a_block_is_active() {
        for (first, second, expected) in [("1", "1", "a"), ("0", "1", "b"), ("0", "0", "c")] {
            let text = format!(".if {first}\na\n.elif {second}\nb\n.else\nc\n.endif\nd");
            assert_eq!(in_force(&text), [expected, "d"]);
        }
    }

    #[test]
    fn blocks_inside_an_inactive_branch_are_inactive() {
        let text = ".if 0\n.if 1\na\n.else\nb\n.endif\n.else\nc\n.endif";
        assert_eq!(in_force(text), ["c"]);
        let text = ".if 1\n.if 0\na\n.else\nb\n.endif\n.else\nc\n.endif";
        assert_eq!(in_force(text), ["b"]);
    }

    #[test]
    fn a_branch_without_its_block_is_an_error() {
        for line in [".else", ".elif 1", ".endif"] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert!(Blocks::default().directive(&words, |_| Ok(true)).is_err());
        }
    }
}
