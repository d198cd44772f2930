//! The words of a line as they are written in the file, with the names of variables. Advice must not repeat a
//! variable's value, because the value may be a secret, or may change later.

use super::super::words::address::expand_addresses;
use super::super::words::{quote, split};
use super::place::Place;

/// These characters mark the text of a variable. No usual configuration contains them, because Unicode
/// reserves them for private use.
const BEGIN: char = '\u{e000}';
const END: char = '\u{e001}';

/// Stands for each word that comes from a variable with a list of words.
const LIST: &str = "…";

/// sni-check doesn't look for shorter values inside other words, because they may occur there by chance.
const SHORTEST: usize = 4;

/// Words that come from variables.
#[derive(Debug, Default)]
pub(crate) struct Written(Vec<Word>);

#[derive(Debug)]
struct Word {
    value: String,
    /// The word as it is written, with marks around its variables.
    marked: String,
}

impl Written {
    /// Adds the words that come from variables. `words` are all words of the line, with the values of their
    /// variables.
    pub(crate) fn add(&mut self, words: &[String], place: &Place) {
        let Some(text) = place.text().filter(|text| text.contains('$')) else {
            return;
        };
        self.read(&text, words);
    }

    /// Returns true if no word comes from a variable.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn read(&mut self, text: &str, words: &[String]) {
        let mark = |name: &str| Some(format!("{BEGIN}{}{END}", reference(text, name)));
        let marked = split(text, &mark);
        let mut marked = marked.map(|words| words.text()).unwrap_or_default();
        expand_addresses(&mut marked, &mark);
        if marked.len() == words.len() {
            let pairs = words.iter().zip(marked);
            let pairs = pairs.filter(|(_, marked)| marked.contains(BEGIN));
            self.0.extend(pairs.map(|(value, marked)| Word {
                value: value.clone(),
                marked,
            }));
            return;
        }
        // A variable with a list becomes several words, so the two lists don't match. Words that aren't in
        // the text come from variables.
        let unknown = words.iter().filter(|word| !text.contains(word.as_str()));
        self.0.extend(unknown.map(|value| Word {
            value: value.clone(),
            marked: format!("{BEGIN}{LIST}{END}"),
        }));
    }

    /// Quotes a word for haproxy.cfg, with the names of variables in place of their values.
    pub(crate) fn quote(&self, word: &str) -> String {
        self.marked(word)
            .map_or_else(|| quote(word), |marked| quote_marked(&marked))
    }

    /// Like `quote`, but returns `None` if the word doesn't come from a variable, or if a variable has a list
    /// of words.
    pub(crate) fn quote_variable(&self, word: &str) -> Option<String> {
        let marked = self.marked(word)?;
        (!marked.contains(LIST)).then(|| quote_marked(&marked))
    }

    /// Returns the word with marks around its variables, or `None` if it contains no variable's value.
    fn marked(&self, word: &str) -> Option<String> {
        let is_in = |known: &&Word| known.value.len() >= SHORTEST && word.contains(&known.value);
        let whole = self.0.iter().find(|known| known.value == word);
        let known = whole.or_else(|| self.0.iter().find(is_in))?;
        Some(word.replace(&known.value, &known.marked))
    }

    /// Quotes words and joins them into a line.
    pub(crate) fn line(&self, words: &[String]) -> String {
        let words: Vec<String> = words.iter().map(|word| self.quote(word)).collect();
        words.join(" ")
    }
}

/// Returns the variable as it is written in the line, such as `${NAME-default}`.
fn reference(text: &str, name: &str) -> String {
    let begin = format!("${{{name}");
    let found = text.match_indices(&begin).find_map(|(at, _)| {
        let rest = &text[at + begin.len()..];
        let end = rest.find('}')?;
        rest.starts_with(['}', '-', '[']).then(|| &rest[..end])
    });
    format!("{begin}{}}}", found.unwrap_or_default())
}

/// Quotes a word with marks. HAProxy replaces variables only in double quotes.
fn quote_marked(word: &str) -> String {
    let literal = |text: &str| {
        let quoted = quote(text);
        let inner = quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        inner.map_or(quoted.clone(), str::to_owned)
    };
    let mut parts = word.split(BEGIN);
    let mut text = literal(parts.next().unwrap_or_default());
    for part in parts {
        let (variable, rest) = part.split_once(END).unwrap_or((part, ""));
        text += variable;
        if !rest.is_empty() {
            text += &literal(rest);
        }
    }
    format!("\"{}\"", text)
}

#[cfg(test)]
mod tests {
    use super::Written;

    fn written(line: &str, words: &[&str]) -> Written {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut written = Written::default();
        written.read(line, &words);
        written
    }

    #[test]
    fn words_keep_the_names_of_their_variables() {
        let written = written(
            r#"send hdr A "Bearer ${TOKEN}" uri "${PAGE-/x y}" literal '${TOKEN}'"#,
            &[
                "send",
                "hdr",
                "A",
                "Bearer s3cret",
                "uri",
                "page",
                "literal",
                "${TOKEN}",
            ],
        );
        for (word, expected) in [
            ("Bearer s3cret", r#""Bearer ${TOKEN}""#),
            ("page", r#""${PAGE-/x y}""#),
            ("/page", r#""/${PAGE-/x y}""#),
            ("${TOKEN}", r#""\${TOKEN}""#),
            ("a b", r#""a b""#),
            ("", r#""""#),
        ] {
            assert_eq!(written.quote(word), expected);
        }
    }

    #[test]
    fn the_words_of_a_list_become_an_ellipsis() {
        let written = written(
            r#"send "${LIST[*]}" uri /"#,
            &["send", "one", "two", "uri", "/"],
        );
        assert_eq!(written.quote("one"), "\"…\"");
        assert_eq!(written.quote("uri"), "uri");
    }
}
