//! The marks of a report for people, and their colours.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use crate::options::values::Color;
use crate::output::wrap::paragraph;

/// How a line of a report is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Wrong.
    Problem,
}

impl Mark {
    /// The mark in words, for people and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Mark::Ok => "ok",
            Mark::Note => "note",
            Mark::Problem => "problem",
        }
    }

    fn label(self) -> String {
        format!("  {:<8} ", self.word())
    }

    /// Appends `text` with the mark before it, wrapped.
    pub fn paragraph(self, out: &mut String, text: &str) {
        paragraph(out, &self.label(), text);
    }
}

/// The report coloured, if that is wanted.
pub fn paint(text: String, choice: Color) -> String {
    if colored(choice) { color(&text) } else { text }
}

/// Colours the verdict and the marks: what a line starts with.
fn color(text: &str) -> String {
    const PAINT: [(&str, &str); 7] = [
        ("UP", "1;32"),
        ("DOWN", "1;31"),
        ("  why", "1"),
        ("  do", "1"),
        ("  ok", "32"),
        ("  note", "33"),
        ("  problem", "31"),
    ];
    let mut colored = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let paint = PAINT.iter().find_map(|(word, paint)| {
            let rest = line.strip_prefix(word)?;
            rest.starts_with(' ')
                .then_some((word.trim_start(), paint, rest))
        });
        _ = match paint {
            Some((word, paint, rest)) => {
                let indent = &line[..line.len() - rest.len() - word.len()];
                writeln!(colored, "{indent}\x1b[{paint}m{word}\x1b[0m{rest}")
            }
            None => writeln!(colored, "{line}"),
        };
    }
    colored
}

fn colored(choice: Color) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !plain && io::stdout().is_terminal()
        }
    }
}
