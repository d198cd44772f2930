//! HAProxy's statistics about servers (`show stat`; management guide, section 9.1).

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::config::address::Endpoint;
use crate::descriptor::exchange;

/// The state that HAProxy shows for a server. For several servers, this is the state of the first server that
/// isn't up, or of the first server if all are up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// True if the server is up.
    pub up: bool,
    /// `check_status`, such as `L6RSP`.
    pub status: String,
    /// `check_code`: the status of a response, or the exit code of an external check. May be empty.
    pub code: String,
    /// `last_chk`: the reason in HAProxy's words. May be empty.
    pub why: String,
    /// `check_duration`: how long the check took.
    pub time: Option<Duration>,
}

impl Checked {
    /// Returns status, code and reason in one line.
    pub fn said(&self) -> String {
        let said = [&self.status, &self.code, &self.why].map(String::as_str);
        let said = said.join(" ");
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A row of the statistics: the backend, and the state of one of its servers. The state is `None`
/// until the check of the server has ended.
pub(super) type Row = (String, Option<Checked>);

/// A server, as a running HAProxy shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub backend: String,
    pub server: String,
    /// `status`, such as `DOWN`, `UP 1/3` or `MAINT (resolution)`.
    pub status: String,
    /// `check_status`. Empty if HAProxy doesn't check the server.
    pub check: String,
    /// `check_code`.
    pub code: String,
    /// `last_chk`.
    pub why: String,
}

impl Shown {
    /// Returns true if HAProxy sends no visitors to the server because of its check.
    pub(crate) fn is_down(&self) -> bool {
        self.status.starts_with("DOWN")
    }

    /// Returns true if HAProxy found no address for the name of the server.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.status.starts_with("MAINT (resolution")
    }

    /// Returns true if the server has no result of a check yet, or if HAProxy doesn't check it. Returns false
    /// for a server that is DOWN or in maintenance.
    pub(crate) fn is_unchecked(&self) -> bool {
        let is_idle = self.status.starts_with("MAINT") || self.is_down();
        !is_idle && (self.check.is_empty() || self.check == "INI")
    }
}

/// How long a running HAProxy may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Returns the servers that a running HAProxy shows on this `stats socket`. The command `show stat` changes
/// nothing.
///
/// # Errors
///
/// The socket can't be reached, or doesn't answer with statistics.
pub(crate) fn read(socket: &str) -> io::Result<Vec<Shown>> {
    let stream: OwnedFd = match Endpoint::parse(socket) {
        Endpoint::Unix(path) => UnixStream::connect(path)?.into(),
        Endpoint::Tcp(host, port) => TcpStream::connect((host.as_str(), port))?.into(),
        Endpoint::Other(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    // HAProxy's answers are much shorter than 64 MiB.
    let text = exchange(stream, "show stat -1 4 -1\n", PATIENCE, 64 << 20)?;
    match text.contains("# pxname") {
        true => Ok(servers_of(&text)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn servers_of(text: &str) -> Vec<Shown> {
    rows(text, |field| {
        Some(Shown {
            backend: field("pxname")?,
            server: field("svname")?,
            status: field("status")?,
            // While a check runs, a star precedes the result of the previous check.
            check: field("check_status")?.trim_start_matches("* ").to_owned(),
            code: field("check_code")?,
            why: field("last_chk")?.replace(ECHILD, ""),
        })
    })
}

/// HAProxy appends this text to the failure of another check if an external check ends at the same
/// moment. The errno is left over from HAProxy's wait for the external check.
const ECHILD: &str = " (No child processes)";

/// Returns the rows of `show stat`.
pub(super) fn rows_of(text: &str) -> Vec<Row> {
    rows(text, |field| {
        let status = field("check_status")?;
        let up = field("status")?.starts_with("UP");
        // A star means that the next check is already running. The result of the previous check still counts
        // if the server is up and that check was OK.
        let (status, is_running) = match status.strip_prefix("* ") {
            Some(before) => (before.to_owned(), true),
            None => (status, false),
        };
        let is_result = !status.is_empty() && status != "INI";
        let ended = is_result && (!is_running || (up && status.ends_with("OK")));
        let checked = Checked {
            up,
            status,
            code: field("check_code")?,
            why: field("last_chk")?.replace(ECHILD, ""),
            time: field("check_duration")
                .and_then(|text| text.parse().ok())
                .map(Duration::from_millis),
        };
        Some((field("pxname")?, ended.then_some(checked)))
    })
}

/// Calls `row` for each row of the statistics, and returns the results. The argument of `row` is a function
/// that looks up a field by its name in the first line.
fn rows<T>(text: &str, row: impl Fn(&dyn Fn(&str) -> Option<String>) -> Option<T>) -> Vec<T> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("# "));
    let head = lines.next().map(fields).unwrap_or_default();
    let rows = lines.map(fields).filter_map(|fields| {
        row(&|name| {
            let at = head.iter().position(|field| field == name)?;
            fields.get(at).cloned()
        })
    });
    rows.collect()
}

/// Returns the state of a backend, or `None` if it has no servers or one of them has no result yet.
pub(super) fn checked(rows: &[Row], backend: &str) -> Option<Checked> {
    let rows = rows.iter().filter(|(name, _)| name == backend);
    let rows: Option<Vec<&Checked>> = rows.map(|(_, checked)| checked.as_ref()).collect();
    let rows = rows?;
    let worst = rows.iter().find(|row| !row.up).or(rows.first());
    worst.map(|row| (*row).clone())
}

/// Splits a line of HAProxy's CSV into fields. A field with commas or quotes is in quotes, and its
/// own quotes are doubled.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut characters = line.trim_start_matches("# ").chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::{checked, fields, rows_of};

    #[test]
    fn quoted_fields_keep_their_commas_and_quotes() {
        assert_eq!(fields(r##"# a,"b,""c""",,d"##), ["a", r#"b,"c""#, "", "d"]);
    }

    #[test]
    fn a_backend_is_judged_once_every_server_was_checked() {
        let head = "# pxname,svname,status,check_status,check_code,last_chk\n";
        let row = |rest: &str| format!("be,{rest}\n");
        let (up, down) = (row("s1,UP,L7OK,200,"), row("s2,DOWN,L6RSP,,\"a, b\""));
        let open = rows_of(&format!("{head}{up}{}", row("s2,DOWN 1/2,* L7OK,,")));
        assert_eq!(checked(&open, "be"), None);
        let busy = checked(
            &rows_of(&format!("{head}{}", row("s2,UP,* L7OK,200,"))),
            "be",
        );
        assert!(busy.is_some_and(|busy| busy.up));
        let done = checked(&rows_of(&format!("{head}{up}{down}")), "be").expect("an answer");
        assert_eq!((done.up, done.status.as_str()), (false, "L6RSP"));
        assert_eq!(done.why, "a, b");
    }
}
