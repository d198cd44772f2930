//! One line of a configuration, split into words as HAProxy does (configuration manual, sections
//! 2.2 and 2.3: quoting, escaping, environment variables).

use anyhow::{Result, bail, ensure};

/// The words of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub words: Vec<String>,
    /// The variables that were used but are not set, and have no default.
    pub unset: Vec<String>,
}

/// Splits a line; `variable` looks a variable up.
///
/// # Errors
/// What HAProxy refuses too: an open quote, a bad variable, a bad `\xNN`.
pub(crate) fn split(line: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Words> {
    let mut splitter = Splitter {
        rest: line.as_bytes(),
        variable,
        done: Words::default(),
        word: None,
        quote: None,
    };
    while let Some((&byte, rest)) = splitter.rest.split_first() {
        match (byte, splitter.quote) {
            (b'#', None) => break,
            (b'"' | b'\'', None) => splitter.open(byte),
            (_, Some(quote)) if byte == quote => splitter.close(),
            (b'\\', None | Some(b'"')) => splitter.escape()?,
            (b'$', Some(b'"')) => splitter.variable()?,
            (b' ' | b'\t' | b'\r' | 0x0b | 0x0c, None) => {
                splitter.end_word();
                splitter.rest = rest;
            }
            _ => splitter.take(byte, 1),
        }
    }
    ensure!(splitter.quote.is_none(), "a quote is not closed");
    splitter.end_word();
    Ok(splitter.done)
}

struct Splitter<'a> {
    rest: &'a [u8],
    variable: &'a dyn Fn(&str) -> Option<String>,
    done: Words,
    /// The word being read; `None` between words.
    word: Option<Vec<u8>>,
    quote: Option<u8>,
}

impl Splitter<'_> {
    /// Adds a byte to the word and goes on by so many.
    fn take(&mut self, byte: u8, read: usize) {
        self.word.get_or_insert_default().push(byte);
        self.rest = &self.rest[read..];
    }

    fn open(&mut self, quote: u8) {
        self.quote = Some(quote);
        self.rest = &self.rest[1..];
        // "" and '' are words, empty ones; "${LIST[*]}" is as many as the list has.
        if !(quote == b'"' && begins_with_list(self.rest)) {
            self.word.get_or_insert_default();
        }
    }

    fn close(&mut self) {
        self.quote = None;
        self.rest = &self.rest[1..];
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            let word = String::from_utf8_lossy(&word).into_owned();
            self.done.words.push(word);
        }
    }

    fn escape(&mut self) -> Result<()> {
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
                match byte {
                    Some(byte) => self.take(byte, 4),
                    None => bail!("\\x wants two hexadecimal digits"),
                }
            }
            // Any other backslash is just that.
            _ => self.take(b'\\', 1),
        }
        Ok(())
    }

    /// `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}`, at the dollar.
    fn variable(&mut self) -> Result<()> {
        let text = &self.rest[1..];
        let (braced, text) = match text.strip_prefix(b"{") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let length = name_length(text);
        ensure!(
            length > 0,
            "$ is not followed by a variable's name; write \\$ for a dollar"
        );
        let (name, mut text) = text.split_at(length);
        let name = String::from_utf8_lossy(name).into_owned();
        let mut value = (self.variable)(&name);
        let mut list = false;
        if braced {
            if let Some(after) = text.strip_prefix(b"[*]") {
                (list, text) = (true, after);
            }
            let end = text.iter().position(|byte| *byte == b'}');
            let Some(end) = end else {
                bail!("${{{name} has no closing brace");
            };
            match text[..end].split_first() {
                None => {}
                Some((b'-', default)) => {
                    value = value.or_else(|| Some(String::from_utf8_lossy(default).into_owned()));
                }
                Some(_) => bail!("${{{name} has no closing brace"),
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
    // `.FILE`, `.LINE` and `.SECTION` are HAProxy's own.
    let dot = usize::from(text.first() == Some(&b'.'));
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if text.get(dot).is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    let name = text[dot..].iter().take_while(|byte| valid(byte)).count();
    if name == 0 { 0 } else { dot + name }
}

/// Whether `${NAME[*]}` comes next.
fn begins_with_list(text: &[u8]) -> bool {
    let Some(text) = text.strip_prefix(b"${") else {
        return false;
    };
    text[name_length(text)..].starts_with(b"[*]")
}

#[cfg(test)]
mod tests {
    use super::{Words, split};

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
        assert_eq!(read(line).words, expected, "{line}");
    }

    #[test]
    fn the_manuals_examples_are_strictly_equivalent() {
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
    fn the_manuals_matrix_of_special_characters() {
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
    fn comments_and_empty_words() {
        words("  a  b # c", &["a", "b"]);
        words("a#b", &["a"]);
        words("", &[]);
        words("# a", &[]);
        words(r#"a "" ''"#, &["a", "", ""]);
        words(r"a\1b", &[r"a\1b"]);
    }

    #[test]
    fn variables_are_read_within_double_quotes_only() {
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
    fn what_haproxy_refuses_is_refused() {
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
}
