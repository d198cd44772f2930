//! Shell commands to paste.

/// Returns the command line for this program and its arguments, quoted for a shell.
pub(crate) fn shell<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    // try_join fails only for a word with a NUL, and no word of a configuration has a NUL.
    shlex::try_join(words).unwrap_or_default()
}
