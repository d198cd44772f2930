//! Shell commands that can be pasted as they are.

/// Words as a shell takes them.
pub(super) fn shell<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    // No word of a configuration has a NUL in it.
    shlex::try_join(words).unwrap_or_default()
}
