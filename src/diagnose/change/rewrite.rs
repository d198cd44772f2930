//! Rewrites a line of haproxy.cfg. Unchanged words keep their quotes. They also keep their variables, because
//! the values may be secret. The line keeps its comment.

use std::cell::Cell;
use std::ops::Range;

use crate::haproxy::variables::Variables;
use crate::haproxy::words::address::expand_addresses;
use crate::haproxy::words::{quote, split};

/// The position of a word in its line, and the positions of its variables.
struct Token {
    at: Range<usize>,
    variables: Vec<Range<usize>>,
}

/// Returns the words of a line as HAProxy reads them, with the values of variables. Returns `None` if the
/// line isn't valid.
pub(super) fn read(line: &str, variables: &Variables) -> Option<Vec<String>> {
    let value = |name: &str| variables.get(name).map(str::to_owned);
    let mut words = split(line, &value).ok()?.text();
    expand_addresses(&mut words, &value);
    Some(words)
}

/// Returns the line with the words `new`. `write` formats a word that the line doesn't have yet. If a
/// variable contains several words or none, rewrites the whole line, without its comment.
pub(super) fn rewritten(
    line: &str,
    new: &[String],
    variables: &Variables,
    write: impl Fn(&str) -> String,
) -> String {
    let tokens = tokens(line);
    let old = read(line, variables);
    let indent = &line[..line.len() - line.trim_start().len()];
    // If a variable contains several words or none, positions in the line don't match positions in `old`.
    let Some(old) = old.filter(|old| old.len() == tokens.len()) else {
        let words: Vec<String> = new.iter().map(|word| write(word)).collect();
        return format!("{indent}{}", words.join(" "));
    };
    let mut text = String::new();
    let mut next = 0;
    let end = (old.len(), new.len());
    for (at_old, at_new) in common(&old, new).into_iter().chain([end]) {
        for word in &new[next..at_new] {
            text += if text.is_empty() { indent } else { " " };
            text += &write(word);
        }
        next = at_new + 1;
        if let Some(token) = tokens.get(at_old) {
            let before = at_old.checked_sub(1).map_or(0, |at| tokens[at].at.end);
            text += &line[before..token.at.end];
        }
    }
    let end = tokens.last().map_or(0, |token| token.at.end);
    let rest = &line[end..];
    text + if rest.contains('#') { rest } else { "" }
}

/// Returns the positions of a longest common subsequence in `old` and in `new`.
fn common(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    let mut lengths = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i][j] = match old[i] == new[j] {
                true => lengths[i + 1][j + 1] + 1,
                false => lengths[i + 1][j].max(lengths[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            found.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[i + 1][j] >= lengths[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

/// Finds the words of a line. Follows the rules of [`split`].
fn tokens(line: &str) -> Vec<Token> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut open: Option<Token> = None;
    let (mut quote, mut at) = (None, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        let is_space = byte.is_ascii_whitespace() || byte == 0x0b;
        if quote.is_none() && (is_space || byte == b'#') {
            found.extend(open.take());
            if byte == b'#' {
                break;
            }
            at += 1;
            continue;
        }
        let token = open.get_or_insert(Token {
            at: at..at,
            variables: Vec::new(),
        });
        let mut length = 1;
        match (byte, quote) {
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(mark)) if byte == mark => quote = None,
            (b'\\', None | Some(b'"')) => length = 2,
            (b'$', Some(b'"')) => {
                let rest = &line[at + 1..];
                length = match rest.strip_prefix('{') {
                    Some(rest) => rest.find('}').map_or(1, |end| end + 3),
                    None => {
                        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
                        1 + rest.find(|c| !is_name(c)).unwrap_or(rest.len())
                    }
                };
                token.variables.push(at..at + length);
            }
            _ => {}
        }
        at = (at + length).min(bytes.len());
        while !line.is_char_boundary(at) {
            at += 1;
        }
        token.at.end = at;
    }
    found.extend(open);
    found
}

/// The first character of Unicode's Supplementary Private Use Area-A. [`Marked`] replaces each variable with
/// a character of this area.
const MARK: u32 = 0xf0000;

/// A word of a line, with a private-use character (a mark) in place of each variable.
#[derive(Default)]
pub(super) struct Marked {
    /// The text of the word, unquoted, with the marks.
    pub text: String,
    /// The variables as the line contains them, such as `${TOKEN}`.
    variables: Vec<String>,
}

impl Marked {
    /// Reads a word of the line. Returns `None` if the line has no such word.
    pub fn of(line: &str, word: usize) -> Option<Marked> {
        let token = tokens(line).into_iter().nth(word)?;
        let variables = token.variables.iter().map(|at| line[at.clone()].to_owned());
        let variables: Vec<String> = variables.collect();
        let count = Cell::new(0);
        let mark = |_: &str| {
            let number = count.replace(count.get() + 1);
            char::from_u32(MARK + number).map(String::from)
        };
        let text = split(&line[token.at], &mark).ok()?.text().pop()?;
        Some(Marked { text, variables })
    }

    /// Returns `text` with variables in place of the marks. Quotes the text if `in_quotes` is true.
    pub fn written(&self, text: &str, in_quotes: bool) -> String {
        let quoted = match in_quotes {
            true => quote(text),
            false => text.to_owned(),
        };
        let mut written = String::new();
        for c in quoted.chars() {
            match self.variable(c) {
                Some(variable) => written += variable,
                None => written.push(c),
            }
        }
        written
    }

    /// Returns true if the text contains the mark of a variable.
    pub fn has_variable(&self, text: &str) -> bool {
        text.chars().any(|c| self.variable(c).is_some())
    }

    fn variable(&self, c: char) -> Option<&str> {
        let at = u32::from(c).checked_sub(MARK)?;
        let variable = self.variables.get(usize::try_from(at).ok()?);
        variable.map(String::as_str)
    }

    /// Quotes a word for sni-check's options. A word needs no quotes if it consists only of variables,
    /// or if its other characters need no quotes.
    pub fn option(&self, word: &str) -> String {
        let plain: String = word
            .chars()
            .filter(|c| self.variable(*c).is_none())
            .collect();
        match plain.is_empty() != word.is_empty()
            || shlex::try_quote(&plain).is_ok_and(|quoted| quoted == plain)
        {
            true => word.to_owned(),
            false => shlex::try_quote(word).unwrap_or_default().into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Marked, read, rewritten};
    use crate::haproxy::variables::Variables;
    use crate::haproxy::words::quote;

    #[test]
    fn only_changed_words_are_rewritten() {
        let variables = Variables::new(&["TOKEN=secret word".to_owned()]).expect("variables");
        let line = "\thttp-check send  hdr Host old hdr A \"B ${TOKEN}\" hdr C 'd # e'   # note";
        let mut words = read(line, &variables).expect("words");
        words[4] = "new name".to_owned();
        let new = rewritten(line, &words, &variables, |word| quote(word));
        assert_eq!(new, line.replace("old", "\"new name\""));
        words.truncate(5);
        words.push("x".to_owned());
        let new = rewritten(line, &words, &variables, |word| quote(word));
        assert_eq!(new, "\thttp-check send  hdr Host \"new name\" x   # note");
        let marked = Marked::of("path \"--a ${TOKEN} --b 'c \\$d ${X-y}'\"", 1).expect("a word");
        let written = marked.written(&marked.text, true);
        assert_eq!(written, "\"--a ${TOKEN} --b 'c \\$d ${X-y}'\"");
    }
}
