//! Positions in a configuration.

use std::fmt;
use std::fs;
use std::sync::Arc;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub file: Arc<str>,
    /// The line number, starting at 1.
    pub line: usize,
}

impl Place {
    /// Returns true if this line is in the section that begins at `section`. The caller must know
    /// that the line isn't in a later section.
    pub(crate) fn is_in(&self, section: &Place) -> bool {
        self.file == section.file && self.line > section.line
    }

    /// Returns the text of this line, as it is written in the file. Returns `None` if the file can't be read
    /// or is shorter.
    pub(crate) fn text(&self) -> Option<String> {
        let text = fs::read_to_string(&*self.file).ok()?;
        let line = text.lines().nth(self.line.checked_sub(1)?);
        line.map(str::to_owned)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A value, and the position where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub value: T,
    pub place: Place,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, place: &Place) -> At<T> {
        At {
            value,
            place: place.clone(),
        }
    }
}

/// Copies the words of a line.
pub(crate) fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Returns the word that follows this word in a line.
pub(crate) fn word_after<'a, S: AsRef<str>>(words: &'a [S], word: &str) -> Option<&'a S> {
    let at = words.iter().position(|known| known.as_ref() == word)?;
    words.get(at + 1)
}
