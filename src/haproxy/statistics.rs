//! HAProxy's statistics (`show stat`; management guide, section 9.1): what is shown for servers.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::config::address::Endpoint;

/// What HAProxy shows for a server; of several, for the first that is not up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Whether it is up.
    pub up: bool,
    /// `check_status`, such as `L6RSP`.
    pub status: String,
    /// `check_code`: the status of a response, the exit code of an external check; may be empty.
    pub code: String,
    /// `last_chk`: why, in HAProxy's words; may be empty.
    pub why: String,
}

/// A row of the statistics: the backend, and what is shown for one of its servers once its check has
/// ended.
pub(super) type Row = (String, Option<Checked>);

/// A server, as a running HAProxy shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub backend: String,
    pub server: String,
    /// `status`, such as `DOWN`, `UP 1/3` or `MAINT (resolution)`.
    pub status: String,
    /// `check_status`; empty where nothing checks the server.
    pub check: String,
    /// `check_code`.
    pub code: String,
    /// `last_chk`.
    pub why: String,
}

impl Shown {
    /// Whether HAProxy sends no visitors to the server because of its check.
    pub(crate) fn is_down(&self) -> bool {
        self.status.starts_with("DOWN")
    }

    /// Whether the server has no address.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.status.starts_with("MAINT (resolution")
    }

    /// Whether no check of the server has ended yet, or none runs.
    pub(crate) fn is_unchecked(&self) -> bool {
        let is_idle = self.status.starts_with("MAINT") || self.is_down();
        !is_idle && (self.check.is_empty() || self.check == "INI")
    }
}

/// How long a running HAProxy may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The servers that a running HAProxy shows on this `stats socket`. Nothing is changed there.
///
/// # Errors
/// The socket can't be reached, or doesn't answer.
pub(crate) fn read(socket: &str) -> io::Result<Vec<Shown>> {
    match Endpoint::parse(socket) {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            ask(stream)
        }
        Endpoint::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            ask(stream)
        }
        Endpoint::Other(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn ask(mut stream: impl Read + Write) -> io::Result<Vec<Shown>> {
    /// More than that is no HAProxy.
    const MOST: u64 = 64 << 20;
    stream.write_all(b"show stat -1 4 -1\n")?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    match text.contains("# pxname") {
        true => Ok(servers_of(&text)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn servers_of(text: &str) -> Vec<Shown> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("# "));
    let head = lines.next().map(fields).unwrap_or_default();
    let row = |line: &str| {
        let fields = fields(line);
        let field = |name: &str| {
            let at = head.iter().position(|field| field == name)?;
            fields.get(at).cloned()
        };
        Some(Shown {
            backend: field("pxname")?,
            server: field("svname")?,
            status: field("status")?,
            // A check that runs just now has a star before the result of the one before.
            check: field("check_status")?.trim_start_matches("* ").to_owned(),
            code: field("check_code")?,
            why: field("last_chk")?.replace(ECHILD, ""),
        })
    };
    lines.filter_map(row).collect()
}

/// What HAProxy appends to the failure of another check when an external check ends at that moment:
/// errno is left over from waiting for it.
const ECHILD: &str = " (No child processes)";

/// The rows of `show stat`.
pub(super) fn rows_of(text: &str) -> Vec<Row> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("# "));
    let head = lines.next().map(fields).unwrap_or_default();
    let row = |line: &str| {
        let fields = fields(line);
        let field = |name: &str| {
            let at = head.iter().position(|field| field == name)?;
            fields.get(at).cloned()
        };
        let status = field("check_status")?;
        let ended = !status.is_empty() && status != "INI" && !status.starts_with('*');
        let checked = Checked {
            up: field("status")?.starts_with("UP"),
            status,
            code: field("check_code")?,
            why: field("last_chk")?.replace(ECHILD, ""),
        };
        Some((fields.first()?.clone(), ended.then_some(checked)))
    };
    lines.filter_map(row).collect()
}

/// What is shown for a backend, once every server of it was checked: of several, for the first that
/// is not up.
pub(super) fn checked(rows: &[Row], backend: &str) -> Option<Checked> {
    let rows = rows.iter().filter(|(name, _)| name == backend);
    let rows: Option<Vec<&Checked>> = rows.map(|(_, checked)| checked.as_ref()).collect();
    let rows = rows?;
    let worst = rows.iter().find(|row| !row.up).or(rows.first());
    worst.map(|row| (*row).clone())
}

/// The fields of a line of CSV as HAProxy writes it: what has commas or quotes is between quotes, and
/// its quotes are doubled.
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
        let open = rows_of(&format!("{head}{up}{}", row("s2,UP 1/1,* L7OK,,")));
        assert_eq!(checked(&open, "be"), None);
        let done = checked(&rows_of(&format!("{head}{up}{down}")), "be").expect("an answer");
        assert_eq!((done.up, done.status.as_str()), (false, "L6RSP"));
        assert_eq!(done.why, "a, b");
    }
}
