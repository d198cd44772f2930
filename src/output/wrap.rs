//! Wraps text for people to 80 columns.

/// The default width of a terminal.
const WIDTH: usize = 80;

/// Appends `text` after `label`, wrapped. Further lines are indented to the start of the text.
///
/// A word longer than a line isn't broken, because users copy names and paths from the output.
pub fn paragraph(out: &mut String, label: &str, text: &str) {
    let indent = label.chars().count();
    out.push_str(label);
    let mut column = indent;
    for (index, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

/// Appends a shell command after `label`. If the command needs several lines, each of them except the last
/// ends with a backslash, so that a shell accepts the whole text.
pub fn command(text: &mut String, label: &str, command: &str) {
    let indent = " ".repeat(label.chars().count());
    text.push_str(label);
    let mut column = indent.len();
    for (index, word) in shell_words(command).enumerate() {
        let length = word.chars().count();
        // The backslash needs two columns.
        if index > 0 && column + length + 3 > WIDTH {
            text.push_str(" \\\n");
            text.push_str(&indent);
            column = indent.len();
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

/// Returns the words of a command, with their quotes.
fn shell_words(command: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    command.split(move |c: char| {
        match quote {
            Some(open) if open == c => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            _ => {}
        }
        c == ' ' && quote.is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::paragraph;

    #[test]
    fn further_lines_are_indented_to_the_first() {
        let mut out = String::new();
        paragraph(&mut out, "  label  ", &"word ".repeat(20));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= 80));
        assert!(lines[1].starts_with("         word"));
    }

    #[test]
    fn a_long_word_is_not_broken() {
        let mut out = String::new();
        paragraph(&mut out, "", &format!("a {} b", "x".repeat(100)));
        assert_eq!(out.lines().nth(1), Some("x".repeat(100).as_str()));
    }
}
