//! The lines of a configuration that are in force: files and folders in HAProxy's order, words
//! split, `.if` blocks decided.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::haproxy::program::Haproxy;
use crate::haproxy::variables::Variables;
use crate::haproxy::words;

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub file: Arc<str>,
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The words of a line.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub place: Place,
    pub words: Vec<String>,
}

/// What was read, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub statements: Vec<Statement>,
    /// Lines that were not understood, and why.
    pub unclear: Vec<(Place, String)>,
    /// Variables that are not set here, each where it is used first.
    pub unset: Vec<(String, Place)>,
}

/// The files that `-f` names: a folder stands for its `*.cfg`, sorted.
///
/// # Errors
/// What cannot be read, and a folder without any.
pub(super) fn files(given: &[String]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in given {
        let path = Path::new(name);
        if !path.is_dir() {
            files.push(path.to_owned());
            continue;
        }
        let entries = fs::read_dir(path).with_context(|| format!("-f {name}: cannot read it"))?;
        let mut inside: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "cfg") && path.is_file())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default();
                !name.as_encoded_bytes().starts_with(b".")
            })
            .collect();
        ensure!(!inside.is_empty(), "-f {name}: the folder has no *.cfg");
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// Reads the files. `variables` ends as the configuration leaves it.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn read(
    files: &[PathBuf],
    variables: &mut Variables,
    haproxy: &Haproxy,
) -> Result<Lines> {
    let mut lines = Lines::default();
    for file in files {
        let name: Arc<str> = file.display().to_string().into();
        let text = fs::read(file).with_context(|| format!("-f {name}: cannot read it"))?;
        let mut blocks = Blocks::default();
        for (index, line) in String::from_utf8_lossy(&text).lines().enumerate() {
            let place = Place {
                file: name.clone(),
                line: index + 1,
            };
            lines.read(place, line, &mut blocks, variables, haproxy);
        }
    }
    Ok(lines)
}

impl Lines {
    fn read(
        &mut self,
        place: Place,
        line: &str,
        blocks: &mut Blocks,
        variables: &mut Variables,
        haproxy: &Haproxy,
    ) {
        let number = place.line.to_string();
        let variable = |name: &str| match name {
            ".LINE" => Some(number.clone()),
            ".FILE" => Some(place.file.to_string()),
            name => variables.get(name).map(str::to_owned),
        };
        let split = match words::split(line, &variable) {
            Ok(split) => split,
            // HAProxy splits even what an .if leaves out, and refuses it.
            Err(error) => return self.unclear.push((place, error.to_string())),
        };
        let words = split.text();
        let Some(first) = words.first() else {
            return;
        };
        if first.starts_with('.') {
            let decide = |condition: &str| haproxy.condition(condition, variables);
            if let Err(error) = blocks.obey(&words, decide) {
                self.unclear.push((place, format!("{error:#}")));
            }
            return;
        }
        if !blocks.taken() {
            return;
        }
        for name in split.unset {
            if !self.unset.iter().any(|(known, _)| *known == name) {
                self.unset.push((name, place.clone()));
            }
        }
        if !variables.obey(&words) {
            self.statements.push(Statement { place, words });
        }
    }
}

/// The `.if` blocks around a line, the outermost first.
#[derive(Debug, Default)]
struct Blocks(Vec<Branch>);

/// Which branch of a block is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Branch {
    /// This one.
    Taken,
    /// Perhaps a later one.
    NotYet,
    /// An earlier one, or none at all.
    Over,
}

impl Blocks {
    fn taken(&self) -> bool {
        self.0.iter().all(|branch| *branch == Branch::Taken)
    }

    /// Follows a line that begins with a dot.
    fn obey(&mut self, words: &[String], decide: impl Fn(&str) -> Result<bool>) -> Result<()> {
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
            // .notice, .warning, .alert, .diag only print.
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Blocks;

    /// The lines in force, of a text whose conditions are `1` or `0`.
    fn in_force(text: &str) -> Vec<&str> {
        let mut blocks = Blocks::default();
        let mut lines = Vec::new();
        for line in text.lines().map(str::trim) {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            if line.starts_with('.') {
                blocks
                    .obey(&words, |condition| Ok(condition == "1"))
                    .expect(line);
            } else if blocks.taken() {
                lines.push(line);
            }
        }
        lines
    }

    #[test]
    fn one_branch_of_a_block_is_in_force() {
        for (first, second, expected) in [("1", "1", "a"), ("0", "1", "b"), ("0", "0", "c")] {
            let text = format!(".if {first}\na\n.elif {second}\nb\n.else\nc\n.endif\nd");
            assert_eq!(in_force(&text), [expected, "d"]);
        }
    }

    #[test]
    fn nothing_within_a_block_that_is_not_in_force_is() {
        let text = ".if 0\n.if 1\na\n.else\nb\n.endif\n.else\nc\n.endif";
        assert_eq!(in_force(text), ["c"]);
        let text = ".if 1\n.if 0\na\n.else\nb\n.endif\n.else\nc\n.endif";
        assert_eq!(in_force(text), ["b"]);
    }

    #[test]
    fn a_branch_without_its_block_is_an_error() {
        for line in [".else", ".elif 1", ".endif"] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert!(Blocks::default().obey(&words, |_| Ok(true)).is_err());
        }
    }
}
