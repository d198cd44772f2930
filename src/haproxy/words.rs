//! Splits a line of a configuration into words as HAProxy does, and quotes a word for such a line
//! (configuration manual, sections 2.2 and 2.3: quoting, escaping, environment variables).

pub(crate) mod address;
mod quote;

use anyhow::Result;

use crate::refusal::Misfit;

pub use self::quote::quote;

/// The words of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The words as bytes, because `\xHH` can stand for any byte.
    pub words: Vec<Vec<u8>>,
    /// The variables that are used, but aren't set and have no default.
    pub unset: Vec<String>,
}

impl Words {
    /// Returns the words as text. A NUL byte ends a word, because HAProxy reads words as C strings.
    pub fn text(&self) -> Vec<String> {
        let text = |word: &Vec<u8>| {
            let end = word.iter().position(|byte| *byte == 0);
            String::from_utf8_lossy(&word[..end.unwrap_or(word.len())]).into_owned()
        };
        self.words.iter().map(text).collect()
    }
}

/// A function that looks up a variable.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Splits a line. `variable` looks up a variable. The line ends at a line break, or at a `#`
/// outside of quotes.
///
/// # Errors
///
/// The line has an unclosed quote, a bad variable or a bad `\xHH`. HAProxy refuses it, too.
pub fn split(line: &str, variable: Variable<'_>) -> Result<Words> {
    let mut splitter = Splitter {
        variable: Some(variable),
        ..Splitter::new(line)
    };
    splitter.read().map_err(|misfit| misfit.of("the line"))?;
    Ok(splitter.done)
}

/// Splits a value by the same rules as [`split`], but refuses variables and line breaks. Ignores a comment at
/// the end of the value.
///
/// # Errors
///
/// The value has an error as in [`split`], a variable, or a line break.
pub fn split_value(value: &str) -> Result<Vec<Vec<u8>>, Misfit> {
    if value.contains(['\n', '\r']) {
        return Err(Misfit::new(
            "has a line break, which would end it",
            "write \\n or \\r for a line break in a pattern",
        ));
    }
    let mut splitter = Splitter::new(value);
    splitter.read()?;
    // The rest is a comment.
    Ok(splitter.done.words)
}

struct Splitter<'a> {
    rest: &'a [u8],
    /// `None` if variables aren't allowed.
    variable: Option<Variable<'a>>,
    done: Words,
    /// The current word. `None` between words.
    word: Option<Vec<u8>>,
    quote: Option<u8>,
}

impl<'a> Splitter<'a> {
    fn new(line: &'a str) -> Splitter<'a> {
        Splitter {
            rest: line.as_bytes(),
            variable: None,
            done: Words::default(),
            word: None,
            quote: None,
        }
    }

    /// Reads up to the end of the line. The text after the line stays in `rest`.
    fn read(&mut self) -> Result<(), Misfit> {
        while let Some((&byte, rest)) = self.rest.split_first() {
            match (byte, self.quote) {
                (b'\n' | b'\r', _) | (b'#', None) => break,
                (b'"' | b'\'', None) => self.open(byte),
                (_, Some(quote)) if byte == quote => self.close(),
                (b'\\', None | Some(b'"')) => self.escape()?,
                (b'$', Some(b'"')) => self.variable()?,
                (b' ' | b'\t' | 0x0b | 0x0c, None) => {
                    self.end_word();
                    self.rest = rest;
                }
                _ => self.take(byte, 1),
            }
        }
        if self.quote.is_some() {
            return Err(Misfit::new(
                "has a quote that is not closed",
                "close the quote, or write \\\" or \\' for a quote that is only a character",
            ));
        }
        self.end_word();
        Ok(())
    }

    /// Adds a byte to the word, and advances by `read` bytes.
    fn take(&mut self, byte: u8, read: usize) {
        self.word.get_or_insert_default().push(byte);
        self.rest = &self.rest[read..];
    }

    fn open(&mut self, quote: u8) {
        self.quote = Some(quote);
        self.rest = &self.rest[1..];
        // "" and '' are empty words. "${LIST[*]}" becomes one word for each item of the list, so an empty
        // list adds no word.
        if !(quote == b'"' && begins_with_list(self.rest)) {
            self.word.get_or_insert_default();
        }
    }

    fn close(&mut self) {
        self.quote = None;
        self.rest = &self.rest[1..];
    }

    fn end_word(&mut self) {
        self.done.words.extend(self.word.take());
    }

    fn escape(&mut self) -> Result<(), Misfit> {
        let quoted = self.quote.is_some();
        match self.rest.get(1) {
            Some(&byte @ (b' ' | b'\\' | b'#' | b'\'' | b'"')) => self.take(byte, 2),
            Some(b'$') if quoted => self.take(b'$', 2),
            Some(b't') => self.take(b'\t', 2),
            Some(b'n') => self.take(b'\n', 2),
            Some(b'r') => self.take(b'\r', 2),
            Some(b'x') => {
                let digits = self.rest.get(2..4);
                let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
                let byte = digits
                    .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let what = "has \\x without two hexadecimal digits after it";
                let write = "write \\\\x for a backslash and an x";
                self.take(byte.ok_or_else(|| Misfit::new(what, write))?, 4);
            }
            // Any other backslash is a literal backslash.
            _ => self.take(b'\\', 1),
        }
        Ok(())
    }

    /// Reads `$NAME`, `${NAME}`, `${NAME-default}` or `${NAME[*]}`, starting at the dollar.
    fn variable(&mut self) -> Result<(), Misfit> {
        let text = &self.rest[1..];
        let (braced, text) = match text.strip_prefix(b"{") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let length = name_length(text);
        if length == 0 {
            return Err(Misfit::new(
                "has a $ in double quotes without a variable's name after it",
                "write \\$ for a literal $",
            ));
        }
        let (name, mut text) = text.split_at(length);
        let name = String::from_utf8_lossy(name).into_owned();
        let Some(look_up) = self.variable else {
            return Err(Misfit::new(
                format!("has ${name} in double quotes, which would be a variable"),
                "write \\$ for a literal $, or use single quotes",
            ));
        };
        let mut value = look_up(&name);
        let mut list = false;
        let unclosed = || {
            Misfit::new(
                format!("has ${{{name} without its closing brace"),
                format!("write ${{{name}}}, with its closing brace"),
            )
        };
        if braced {
            if let Some(after) = text.strip_prefix(b"[*]") {
                (list, text) = (true, after);
            }
            let end = text.iter().position(|byte| *byte == b'}');
            let end = end.ok_or_else(unclosed)?;
            match text[..end].split_first() {
                None => {}
                Some((b'-', default)) => {
                    value = value.or_else(|| Some(String::from_utf8_lossy(default).into_owned()));
                }
                Some(_) => return Err(unclosed()),
            }
            text = &text[end + 1..];
        }
        self.rest = text;
        match value {
            Some(value) => self.insert(&value, list),
            None => self.done.unset.push(name),
        }
        Ok(())
    }

    fn insert(&mut self, value: &str, list: bool) {
        for &byte in value.as_bytes() {
            if list && byte.is_ascii_whitespace() {
                self.end_word();
            } else {
                self.word.get_or_insert_default().push(byte);
            }
        }
    }
}

fn name_length(text: &[u8]) -> usize {
    // `.FILE`, `.LINE` and `.SECTION` are variables that HAProxy sets itself.
    let dot = usize::from(text.first() == Some(&b'.'));
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if text.get(dot).is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    let name = text[dot..].iter().take_while(|byte| valid(byte)).count();
    if name == 0 { 0 } else { dot + name }
}

/// Returns true if the text begins with a list: `${NAME[*]}`.
fn begins_with_list(text: &[u8]) -> bool {
    let Some(text) = text.strip_prefix(b"${") else {
        return false;
    };
    text[name_length(text)..].starts_with(b"[*]")
}

#[cfg(test)]
mod tests {
    use super::{Words, split, split_value};

    fn read(line: &str) -> Words {
        split(line, &|name| match name {
            "NAME" => Some("a b".to_owned()),
            "LIST" => Some(" one  two ".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
        .expect(line)
    }

    #[track_caller]
    fn words(line: &str, expected: &[&str]) {
        assert_eq!(read(line).text(), expected, "{line}");
    }

    #[test]
    fn the_manuals_examples_give_the_same_words() {
        for line in [
            r"log-format %{+Q}o\ %t\ %s\ %{-Q}r",
            r#"log-format "%{+Q}o %t %s %{-Q}r""#,
            r"log-format '%{+Q}o %t %s %{-Q}r'",
            r#"log-format "%{+Q}o %t"' %s %{-Q}r'"#,
            r#"log-format "%{+Q}o %t"' %s'\ %{-Q}r"#,
        ] {
            words(line, &["log-format", "%{+Q}o %t %s %{-Q}r"]);
        }
    }

    #[test]
    fn special_characters_are_read_as_in_the_manuals_table() {
        for (character, ways) in [
            (
                "\t",
                &[r"\x09", "\"\t\"", r#""\t""#, r#""\x09""#, "'\t'"][..],
            ),
            ("\n", &[r"\n", r"\x0a", r#""\n""#, r#""\x0a""#]),
            ("\r", &[r"\r", r"\x0d", r#""\r""#, r#""\x0d""#]),
            (" ", &[r"\ ", r"\x20", "\" \"", r#""\ ""#, "' '"]),
            ("\"", &["\\\"", r"\x22", r#""\"""#, r#""\x22""#, "'\"'"]),
            ("#", &[r"\#", r"\x23", "\"#\"", r#""\#""#, "'#'"]),
            ("$", &["$", r"\x24", r#""\$""#, r#""\x24""#, "'$'"]),
            ("'", &[r"\'", r"\x27", "\"'\"", r#""\'""#, r#""\x27""#]),
            ("\\", &[r"\\", r"\x5c", r#""\\""#, r#""\x5c""#, r"'\'"]),
        ] {
            for way in ways {
                words(way, &[character]);
            }
        }
    }

    #[test]
    fn comments_and_empty_words_are_read_as_in_haproxy() {
        words("  a  b # c", &["a", "b"]);
        words("a#b", &["a"]);
        words("", &[]);
        words("# a", &[]);
        words(r#"a "" ''"#, &["a", "", ""]);
        words(r"a\1b", &[r"a\1b"]);
        words("a\r\n", &["a"]);
    }

    #[test]
    fn a_word_may_have_any_byte_and_nul_ends_a_keyword() {
        let read = read(r"\xff\x00b");
        assert_eq!(read.words, [b"\xff\0b"]);
        assert_eq!(read.text(), ["\u{fffd}"]);
    }

    #[test]
    fn variables_are_read_only_in_double_quotes() {
        words(r#""$NAME" '$NAME' $NAME"#, &["a b", "$NAME", "$NAME"]);
        words(r#"x"${NAME}"y"#, &["xa by"]);
        words(
            r#""${NONE-a b}" "${NAME-z}" "${EMPTY-z}""#,
            &["a b", "a b", ""],
        );
        words(r#"a "${LIST[*]}" b"#, &["a", "one", "two", "b"]);
        words(r#"a "${NONE[*]}" b"#, &["a", "b"]);
        assert_eq!(read(r#""--sni ${NONE} --uri /""#).unset, ["NONE"]);
        assert!(read(r#""${NONE-x}""#).unset.is_empty());
    }

    #[test]
    fn lines_that_haproxy_refuses_are_refused() {
        for (line, part) in [
            ("a 'b", "quote"),
            ("a \"b", "quote"),
            ("\"${NAME\"", "brace"),
            ("\"${NAME/x}\"", "brace"),
            ("\"$1\"", "variable's name"),
            ("\"$\"", "variable's name"),
            (r"\xg0", "hexadecimal"),
            (r"\x1", "hexadecimal"),
        ] {
            let error = split(line, &|_| None).expect_err(line).to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn a_value_has_no_variables_and_its_comment_is_ignored() {
        for (value, part) in [
            ("\"ERROR$\"", r"write \$"),
            ("\"a $HOME\"", "$HOME"),
            ("a\nb", r"write \n"),
            ("'a\rb'", r"write \n"),
        ] {
            let error = split_value(value).expect_err(value).of("it").to_string();
            assert!(error.contains(part), "{value}: {error}");
        }
        for value in ["a #b", "a#b", "a # 'b"] {
            assert_eq!(split_value(value).expect(value), [b"a"], "{value}");
        }
        let words = split_value(r#"'$A' "\$B" $C"#).expect("no variable");
        assert_eq!(words, [b"$A", b"$B", b"$C"]);
    }
}
