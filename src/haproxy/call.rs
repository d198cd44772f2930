//! HAProxy's contract with an external check: four arguments, `HAPROXY_*` variables and `PATH`
//! (configuration manual, `external-check command` and `external-check path`).

use std::ffi::OsString;
use std::fmt;

use anyhow::Result;

use crate::refusal::refusal;

/// Returns the value for `external-check command`: the path of this program, or /usr/local/bin/sni-check if
/// the path isn't known or needs quotes.
pub fn own_command() -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._+-".contains(&byte);
    let own = std::env::current_exe().ok();
    own.and_then(|path| path.into_os_string().into_string().ok())
        .filter(|path| path.bytes().all(plain))
        .unwrap_or_else(|| "/usr/local/bin/sni-check".to_owned())
}

/// The setting of haproxy.cfg that contains the options of an external check.
pub const PATH: &str = "external-check path";
/// The header in which HAProxy sends the options of a check to `sni-check serve`.
pub const OPTIONS: &str = "X-Check-Options";

/// The backend and server that HAProxy checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `HAPROXY_PROXY_NAME`.
    pub backend: String,
    /// `HAPROXY_SERVER_NAME`.
    pub server: String,
    /// The setting or header that contains the options: [`PATH`] or [`OPTIONS`].
    pub carrier: &'static str,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.backend.as_str() {
            "" => f.write_str(&self.server),
            backend => write!(f, "{backend}/{}", self.server),
        }
    }
}

impl Caller {
    /// Returns the caller if HAProxy runs this process, otherwise `None`. Only HAProxy sets
    /// `HAPROXY_SERVER_NAME`.
    pub fn from_env(var: impl Fn(&str) -> Option<OsString>) -> Option<Caller> {
        let text = |name: &str| var(name).map(|value| value.to_string_lossy().into_owned());
        let server = text("HAPROXY_SERVER_NAME")?;
        let backend = text("HAPROXY_PROXY_NAME").unwrap_or_default();
        Some(Caller {
            backend,
            server,
            carrier: PATH,
        })
    }
}

/// Characters that word processors, wikis and some keyboards insert instead of a plain hyphen.
const LOOKALIKES: [char; 12] = [
    '\u{ad}', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2043}',
    '\u{2212}', '\u{fe58}', '\u{fe63}', '\u{ff0d}',
];

/// Returns true if a text begins with a dash, or with a character that only looks like a dash. Ignores spaces
/// at the beginning.
pub fn begins_with_dash(text: &str) -> bool {
    let first = text.trim_start().chars().next();
    first.is_some_and(|first| first == '-' || LOOKALIKES.contains(&first))
}

/// Refuses a word that would be an option if its dashes were plain hyphens.
///
/// # Errors
///
/// A dash at the beginning of the word isn't a plain hyphen.
pub fn refuse_lookalike(word: &str) -> Result<()> {
    let start = word.chars().take(2);
    let mut dashes = start.take_while(|c| *c == '-' || LOOKALIKES.contains(c));
    let Some(other) = dashes.find(|c| *c != '-') else {
        return Ok(());
    };
    let code = u32::from(other);
    let what = format!("begins with {other} (U+{code:04X}), which only looks like -");
    let plain = word.trim_start_matches(|c| c == '-' || LOOKALIKES.contains(&c));
    let name = plain.split('=').next().unwrap_or(plain);
    let write = format!("write --{name}, with two plain hyphens");
    Err(refusal(format!("`{word}`"), what, write))
}

/// Splits options into words, with shell quoting. `carrier` is the setting or header that contains the
/// options.
///
/// # Errors
///
/// The text has an unclosed quote, a comment, or a backslash at its end.
pub fn split_options(text: &str, carrier: &str) -> Result<Vec<String>> {
    let refuse = |what: &str, write: &str| refusal(carrier, what, write);
    // shlex drops `# …` as a comment, and with it options that the user relies on. To detect a comment, we
    // put the text on one line and append the word NUL, which no environment variable can contain. If this
    // word isn't the last word of the result, a comment or a backslash precedes it.
    const LAST: &str = "\0";
    let split = |text: &str| {
        shlex::split(text)
            .ok_or_else(|| refuse("has a quote that is not closed", "close the quote"))
    };
    let on_one_line = split(&format!("{} {LAST}", text.replace('\n', " ")))?;
    if on_one_line.last().is_none_or(|last| last != LAST) {
        return Err(refuse(
            "has a bare # (a comment), or ends in a backslash",
            "put the # in quotes, or remove the backslash",
        ));
    }
    split(text)
}

#[cfg(test)]
mod tests {
    use super::Caller;
    use std::ffi::OsString;

    #[test]
    fn only_haproxy_sets_the_server_name() {
        assert_eq!(Caller::from_env(|_| None), None);
        let caller = Caller::from_env(|name| Some(OsString::from(name))).expect("a caller");
        assert_eq!(caller.server, "HAPROXY_SERVER_NAME");
        assert_eq!(caller.backend, "HAPROXY_PROXY_NAME");
    }
}
