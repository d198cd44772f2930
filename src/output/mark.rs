//! The marks of a report, and their colours.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use crate::options::values::Color;
use crate::output::wrap::paragraph;

/// The severity of a line in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Nothing is wrong.
    Ok,
    /// Nothing is wrong, but the reader should know it.
    Note,
    /// Something is wrong.
    Problem,
}

impl Mark {
    /// Returns the word for the mark, as people and JSON readers see it.
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

    /// Appends `text`, wrapped, with the mark in front of it.
    pub fn paragraph(self, out: &mut String, text: &str) {
        paragraph(out, &self.label(), text);
    }
}

/// Colours the report if `choice` and the terminal allow it.
pub fn paint(text: String, choice: Color) -> String {
    if colored(choice) { color(&text) } else { text }
}

/// Colours the verdict and the marks at the beginnings of lines. Also colours whole lines of haproxy.cfg that
/// are to be removed or added.
fn color(text: &str) -> String {
    const PAINT: [(&str, &str); 9] = [
        ("UP", "1;32"),
        ("DOWN", "1;31"),
        ("  why", "1"),
        ("  cause", "1"),
        ("  do", "1"),
        ("  change", "1"),
        ("  ok", "32"),
        ("  note", "33"),
        ("  problem", "31"),
    ];
    let mut colored = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let changed = [("-  ", "31"), ("+  ", "32")];
        if let Some((_, paint)) = changed.iter().find(|(sign, _)| line.starts_with(sign)) {
            _ = writeln!(colored, "\x1b[{paint}m{line}\x1b[0m");
            continue;
        }
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
