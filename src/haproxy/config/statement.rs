//! Reads the active lines of a configuration. It reads files and folders in HAProxy's order, splits lines
//! into words, and decides `.if` blocks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Error, Result, ensure};

use super::super::program::Haproxy;
use crate::haproxy::variables::Variables;
use crate::haproxy::words;
use crate::refusal::{Refusal, refusal};

use super::blocks::Blocks;
use super::place::{At, Place};

/// A line. It has no words if it can't be split.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub place: Place,
    pub words: Vec<String>,
}

/// The lines that were read, and their problems.
#[derive(Debug, Default)]
pub(super) struct Statements {
    pub all: Vec<Statement>,
    /// Lines that can't be split into words. Each of them is also a statement without words.
    pub broken: Vec<At<Refusal>>,
    /// Lines that sni-check doesn't understand, with the reason.
    pub unclear: Vec<(Place, String)>,
    /// Variables that aren't set, with the place of each use.
    pub unset: Vec<(String, Place)>,
}

/// Returns the files that `-f` names. A folder stands for its `*.cfg` files in alphabetical order.
///
/// # Errors
///
/// A folder can't be read, or has no `*.cfg` file.
pub(crate) fn files_of(given: &[String]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in given {
        let path = Path::new(name);
        if !path.is_dir() {
            files.push(path.to_owned());
            continue;
        }
        let entries = fs::read_dir(path).map_err(|error| unreadable(name, &error))?;
        let mut inside: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "cfg") && path.is_file())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default();
                !name.as_encoded_bytes().starts_with(b".")
            })
            .collect();
        ensure!(
            !inside.is_empty(),
            "-f {name}: the folder has no *.cfg file; write the path of haproxy.cfg"
        );
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

fn unreadable(name: &str, error: &io::Error) -> Error {
    let what = format!("cannot be read: {error}");
    refusal(format!("-f {name}"), what, "write the path of haproxy.cfg")
}

/// Reads the files. The configuration may change `variables`.
///
/// # Errors
///
/// A file can't be read.
pub(super) fn read(
    files: &[PathBuf],
    variables: &mut Variables,
    haproxy: &Haproxy,
) -> Result<Statements> {
    let mut reader = Reader {
        haproxy,
        variables,
        blocks: Blocks::default(),
        statements: Statements::default(),
    };
    for file in files {
        let name: Arc<str> = file.display().to_string().into();
        let text = fs::read(file).map_err(|error| unreadable(&name, &error))?;
        reader.blocks = Blocks::default();
        for (text, line) in String::from_utf8_lossy(&text).lines().zip(1..) {
            let file = name.clone();
            reader.line(text, Place { file, line });
        }
    }
    Ok(reader.statements)
}

struct Reader<'a> {
    haproxy: &'a Haproxy,
    variables: &'a mut Variables,
    /// The blocks that are open in the current file.
    blocks: Blocks,
    statements: Statements,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, place: Place) {
        let variable = |name: &str| match name {
            ".LINE" => Some(place.line.to_string()),
            ".FILE" => Some(place.file.to_string()),
            name => self.variables.get(name).map(str::to_owned),
        };
        let (words, unset) = match words::split(line, &variable) {
            Ok(split) => {
                let (mut words, mut unset) = (split.text(), split.unset);
                unset.extend(words::address::expand_addresses(&mut words, &variable));
                (words, unset)
            }
            // HAProxy also splits the lines in an inactive branch, and refuses a line that can't be
            // split.
            Err(error) => return self.broken(place, error),
        };
        let Some(first) = words.first() else {
            return;
        };
        if first.starts_with('.') {
            let decide = |condition: &str| self.haproxy.condition(condition, self.variables);
            if let Err(error) = self.blocks.directive(&words, decide) {
                self.unclear(place, &error);
            }
            return;
        }
        if !self.blocks.taken() {
            return;
        }
        for name in unset {
            let known = &mut self.statements.unset;
            if !known.contains(&(name.clone(), place.clone())) {
                known.push((name, place.clone()));
            }
        }
        if !self.variables.apply(&words) {
            self.statements.all.push(Statement { place, words });
        }
    }

    fn broken(&mut self, place: Place, error: anyhow::Error) {
        match error.downcast() {
            Ok(why) => {
                self.statements.broken.push(At::new(why, &place));
                let words = Vec::new();
                self.statements.all.push(Statement { place, words });
            }
            Err(error) => self.unclear(place, &error),
        }
    }

    fn unclear(&mut self, place: Place, why: &anyhow::Error) {
        self.statements.unclear.push((place, format!("{why:#}")));
    }
}
