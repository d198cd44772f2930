//! Looks up users and groups in /etc/passwd and /etc/group only. In a static binary, the look-up functions of
//! the C library would load libraries of the host.

use std::fs;

/// Returns the numeric id of a user in `/etc/passwd`, or of a group in `/etc/group`. Returns `None` if the
/// file can't be read, or has no entry with this name.
pub(crate) fn account(file: &str, name: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let line = lines.find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::account;

    #[test]
    fn accounts_are_read_from_the_files() {
        assert_eq!(account("/etc/passwd", "root"), Some(0));
        assert_eq!(account("/etc/group", "root"), Some(0));
        assert_eq!(account("/etc/passwd", "nobody-of-that-name"), None);
    }
}
