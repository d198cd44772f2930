//! Observes how HAProxy behaves with configurations. One HAProxy runs many configurations, together with
//! copies that have no checks. The test's visitors use the copies, so that they also reach servers that are
//! DOWN.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::measure::{WORKERS, parallel};
use crate::support::haproxy::Version;
use crate::support::{NAME, Running};

/// A configuration as text.
#[derive(Clone, Debug)]
pub struct Text {
    /// The prefix of every name in this configuration.
    pub prefix: String,
    pub global: String,
    pub sections: String,
    /// True if HAProxy can run this configuration together with others that have the same `global`.
    pub is_common: bool,
    /// True if `SNI_HOST` is set in HAProxy's environment.
    pub has_variables: bool,
    /// How visitors connect to the frontend.
    pub visitor: Visitor,
}

/// How visitors connect to a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    Plain,
    Tls,
}

/// The largest number of configurations in one HAProxy.
const MOST: usize = 24;

/// How many HAProxy processes run at the same time. Each process mostly waits for its checks.
const HAPROXIES: usize = 4;

/// How HAProxy behaves with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reality {
    /// `haproxy -c` refuses the configuration.
    Refused(String),
    /// `haproxy -c` accepts the configuration, but HAProxy doesn't start.
    NotStarted(String),
    Running(BTreeMap<String, Seen>),
}

/// What HAProxy shows about a server, and the response that a visitor gets if HAProxy doesn't check the
/// server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub status: String,
    pub check_status: String,
    /// Empty if HAProxy shows no code, or while a check runs.
    pub check_code: String,
    /// The status of the response to a visitor. `None` if there was no response.
    pub visit: Option<u16>,
}

/// Returns HAProxy's environment for this configuration.
pub fn variables(text: &Text) -> Vec<(&'static str, &'static str)> {
    match text.has_variables {
        true => vec![("SNI_HOST", NAME)],
        false => Vec::new(),
    }
}

impl Text {
    pub fn whole(&self) -> String {
        format!("{}{}", self.global, self.sections)
    }

    /// Returns a key. Configurations with the same key can run in one HAProxy.
    fn key(&self) -> (String, bool) {
        (self.global.clone(), self.has_variables)
    }

    /// Returns the indices of the lines that define the judged backend's servers.
    pub fn server_lines(&self) -> Vec<usize> {
        let mut inside = false;
        let mut found = Vec::new();
        for (index, line) in self.sections.lines().enumerate() {
            if !line.starts_with(' ') && !line.is_empty() && !line.starts_with(['#', '.']) {
                let mut words = line.split(' ');
                inside = matches!(words.next(), Some("backend" | "listen"))
                    && words.next() == Some(&self.prefix);
            }
            if inside && line.trim_start().starts_with("server") {
                found.push(index);
            }
        }
        found
    }

    /// Returns the names of the judged servers, grouped by line.
    fn servers(&self) -> Vec<Vec<String>> {
        let lines: Vec<&str> = self.sections.lines().collect();
        let names = |index: &usize| {
            let words: Vec<&str> = lines[*index].split_whitespace().collect();
            match words[0] {
                "server-template" => (1..=2)
                    .map(|number| format!("{}{number}", words[1]))
                    .collect(),
                _ => vec![words[1].to_owned()],
            }
        };
        self.server_lines().iter().map(names).collect()
    }

    /// Returns a copy without checks. The judged backend keeps only one server line.
    fn unchecked(&self, keep: usize) -> String {
        let own = self.server_lines();
        let mut text = String::new();
        for (index, line) in self.sections.lines().enumerate() {
            let position = own.iter().position(|line| *line == index);
            if position.is_some_and(|position| position != keep)
                || line.trim_start().starts_with("retries")
            {
                continue;
            }
            text += &match line.split_whitespace().next() {
                Some("server" | "server-template" | "default-server") => without_check(line),
                _ => line.to_owned(),
            };
            text.push('\n');
            if line.split(' ').nth(1) == Some(&self.prefix) && line.starts_with(['b', 'l']) {
                text += "    retries 0\n";
            }
        }
        text.replace(&self.prefix, &self.copy(keep))
    }

    fn has_resolvers(&self) -> bool {
        self.sections.contains("\nresolvers ")
    }

    fn copy(&self, keep: usize) -> String {
        format!("free{keep}-{}", self.prefix.trim_start_matches("site"))
    }
}

/// Returns a server line without the keywords that make HAProxy check the server.
fn without_check(line: &str) -> String {
    let mut words = line.split(' ').skip_while(|word| word.is_empty());
    let mut left = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "check" if left.last() != Some(&"cookie") => {}
            "agent-check" => {}
            // With these keywords, a server can be DOWN even if it has no check.
            "track" | "init-state" => _ = words.next(),
            word => left.push(word),
        }
    }
    format!("    {}", left.join(" "))
}

/// Observes how HAProxy behaves with each of these configurations.
pub fn observe(texts: &[Text], version: &Version, sockets: &str) -> Vec<Reality> {
    let mut found = parallel(WORKERS, texts, |text| refusal(text, version, sockets));
    let mut batches: BTreeMap<(String, bool), Vec<usize>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (index, text) in texts
        .iter()
        .enumerate()
        .filter(|(index, _)| found[*index].is_none())
    {
        match text.is_common {
            true => batches.entry(text.key()).or_default().push(index),
            false => alone.push(vec![index]),
        }
    }
    let batches = batches
        .values()
        .flat_map(|batch| batch.chunks(MOST).map(<[usize]>::to_vec));
    let batches: Vec<Vec<usize>> = batches.chain(alone).collect();
    let done = parallel(HAPROXIES, &batches, |batch| {
        let some: Vec<&Text> = batch.iter().map(|index| &texts[*index]).collect();
        match together(&some, version, sockets) {
            Ok(realities) => realities,
            // One of these configurations prevents HAProxy from starting.
            Err(_) if some.len() > 1 => some
                .iter()
                .map(|text| single(text, version, sockets))
                .collect(),
            Err(why) => vec![Reality::NotStarted(why)],
        }
    });
    for (index, reality) in batches
        .into_iter()
        .flatten()
        .zip(done.into_iter().flatten())
    {
        found[index] = Some(reality);
    }
    found
        .into_iter()
        .map(|reality| reality.expect("a result for each configuration"))
        .collect()
}

fn single(text: &Text, version: &Version, sockets: &str) -> Reality {
    match together(&[text], version, sockets) {
        Ok(mut realities) => realities.remove(0),
        Err(why) => Reality::NotStarted(why),
    }
}

/// Returns [`Reality::Refused`] if `haproxy -c` refuses the configuration.
fn refusal(text: &Text, version: &Version, sockets: &str) -> Option<Reality> {
    let file = format!("{sockets}/{}.check.cfg", text.prefix);
    fs::write(&file, text.whole()).expect("a file");
    let output = version.check(&file, &variables(text));
    fs::remove_file(&file).expect("the file is removed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then(|| Reality::Refused(alerts(&said)))
}

fn alerts(said: &str) -> String {
    let alerts = said.lines().filter(|line| line.contains("[ALERT]"));
    alerts.collect::<Vec<_>>().join("\n")
}

/// Runs the configurations in one HAProxy.
fn together(texts: &[&Text], version: &Version, sockets: &str) -> Result<Vec<Reality>, String> {
    let name = format!("{sockets}/{}", texts[0].prefix);
    let mut config = texts[0].global.clone();
    for text in texts {
        config += &text.sections;
        for keep in 0..text.server_lines().len() {
            config += &text.unchecked(keep);
        }
    }
    let (file, stats, log) = (
        format!("{name}.cfg"),
        format!("{name}.stats"),
        format!("{name}.log"),
    );
    fs::write(&file, &config).expect("a file");
    fs::write(
        format!("{name}.stats.cfg"),
        format!("global\n    stats socket {stats} level admin\n"),
    )
    .expect("a file");
    let child = Command::new(&version.program)
        .args(["-db", "-f", &file, "-f", &format!("{name}.stats.cfg")])
        .env_clear()
        .envs(variables(texts[0]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).expect("a log"))
        .spawn();
    let mut haproxy = Running(child.expect("haproxy runs"));
    let end = Instant::now() + Duration::from_secs(10);
    while UnixStream::connect(&stats).is_err() {
        let ended = haproxy.0.try_wait().expect("a process").is_some();
        if ended || Instant::now() > end {
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(alerts(&said));
        }
        thread::sleep(Duration::from_millis(20));
    }
    let visits = visit_all(texts, sockets);
    let rows = settled(texts, &stats);
    drop(haproxy);
    for end in ["cfg", "stats", "log", "stats.cfg"] {
        _ = fs::remove_file(format!("{name}.{end}"));
    }
    let realities = texts.iter().zip(visits).map(|(text, visits)| {
        let servers = text.servers().into_iter().zip(visits);
        let seen = servers.flat_map(|(names, visit)| {
            let rows = &rows;
            names.into_iter().filter_map(move |name| {
                let row = rows.get(&(text.prefix.clone(), name.clone()))?;
                Some((
                    name,
                    Seen {
                        visit,
                        ..row.clone()
                    },
                ))
            })
        });
        Reality::Running(seen.collect())
    });
    Ok(realities.collect())
}

/// Returns the status that a visitor gets from each server line of each configuration.
fn visit_all(texts: &[&Text], sockets: &str) -> Vec<Vec<Option<u16>>> {
    thread::scope(|scope| {
        let started: Vec<Vec<_>> = texts
            .iter()
            .map(|text| {
                let lines = 0..text.server_lines().len();
                lines
                    .map(|keep| {
                        let socket = format!("{sockets}/{}.s", text.copy(keep));
                        scope.spawn(move || visit_resolved(text, &socket, sockets))
                    })
                    .collect()
            })
            .collect();
        let join = |visits: Vec<thread::ScopedJoinHandle<_>>| {
            visits
                .into_iter()
                .map(|visit| visit.join().expect("a visit"))
                .collect()
        };
        started.into_iter().map(join).collect()
    })
}

/// Visits the server. Tries several times if HAProxy may still have to resolve the server's name.
fn visit_resolved(text: &Text, socket: &str, sockets: &str) -> Option<u16> {
    let tries = if text.has_resolvers() { 6 } else { 1 };
    let mut seen = visit(socket, text.visitor, sockets);
    for _ in 1..tries {
        if seen.is_some_and(|status| status != 503) {
            break;
        }
        thread::sleep(Duration::from_millis(500));
        seen = visit(socket, text.visitor, sockets);
    }
    seen
}

/// Requests the site. Returns the status of the response.
fn visit(socket: &str, visitor: Visitor, sockets: &str) -> Option<u16> {
    let stream = UnixStream::connect(socket).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(12)))
        .ok()?;
    match visitor {
        Visitor::Plain => ask(stream),
        Visitor::Tls => {
            let mut roots = RootCertStore::empty();
            let ca = fs::read(Path::new(sockets).join("../root/ca.pem")).ok()?;
            roots.add(CertificateDer::from_pem_slice(&ca).ok()?).ok()?;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .ok()?;
            let config = config.with_root_certificates(roots).with_no_client_auth();
            let name = ServerName::try_from(NAME).ok()?;
            ask(StreamOwned::new(
                ClientConnection::new(Arc::new(config), name).ok()?,
                stream,
            ))
        }
    }
}

fn ask(mut stream: impl Read + Write) -> Option<u16> {
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {NAME}\r\nUser-Agent: Mozilla/5.0\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    stream.flush().ok()?;
    let mut answer = Vec::new();
    let mut some = [0; 1024];
    // A response counts even if the stream ends without close_notify.
    while let Ok(1..) = stream
        .read(&mut some)
        .inspect(|count| answer.extend(&some[..*count]))
    {
        if answer.len() > 12 {
            break;
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()
}

type Rows = BTreeMap<(String, String), Seen>;

/// Waits until every check has a result, but at most nine seconds. Returns the rows of `show stat`.
fn settled(texts: &[&Text], stats: &str) -> Rows {
    let start = Instant::now();
    let mut last = Rows::new();
    loop {
        let mut rows = rows(stats).unwrap_or_default();
        rows.retain(|(backend, _), _| texts.iter().any(|text| text.prefix == *backend));
        let late = start.elapsed();
        let done = rows.values().all(|row| is_settled(row, late)) && rows == last;
        let resolves = texts.iter().any(|text| text.has_resolvers());
        let done = done && !(resolves && late < Duration::from_secs(4));
        if (done && late > Duration::from_millis(1300)) || late > Duration::from_secs(9) {
            return rows;
        }
        last = rows;
        thread::sleep(Duration::from_millis(150));
    }
}

fn is_settled(row: &Seen, late: Duration) -> bool {
    let is_checked = ["UP", "DOWN"]
        .iter()
        .any(|word| row.status.starts_with(word));
    let has_result = !row.check_status.is_empty() && row.check_status != "INI";
    let is_between = row.status.contains('/') && !row.status.contains("via");
    // Servers with only an agent check, and servers that track another server, have no check result.
    let without = row.check_status.is_empty() && late > Duration::from_millis(2500);
    !is_checked || ((has_result || without) && !is_between)
}

/// Returns the rows of `show stat` by backend and server. Their `visit` is `None`.
fn rows(stats: &str) -> Option<Rows> {
    let mut socket = UnixStream::connect(stats).ok()?;
    writeln!(socket, "show stat -1 4 -1").ok()?;
    let mut csv = String::new();
    socket.read_to_string(&mut csv).ok()?;
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next()?;
    let column = |name: &str| {
        head.iter()
            .position(|field| field.trim_start_matches("# ") == name)
    };
    let (status, check, code) = (
        column("status")?,
        column("check_status")?,
        column("check_code")?,
    );
    let rows = lines.filter(|row| row.len() > code).map(|row| {
        let seen = Seen {
            status: row[status].to_owned(),
            check_status: row[check].trim_start_matches("* ").to_owned(),
            // While a check runs, HAProxy may hide the code of the previous check.
            check_code: match row[check].starts_with('*') {
                true => String::new(),
                false => row[code].to_owned(),
            },
            visit: None,
        };
        ((row[0].to_owned(), row[1].to_owned()), seen)
    });
    Some(rows.collect())
}
