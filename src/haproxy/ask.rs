//! Asks HAProxy itself about servers. sni-check starts this host's HAProxy program, which checks the
//! servers. HAProxy's statistics show the results.
//!
//! This HAProxy runs as the current user. Its configuration is never written to a disk, and no other process
//! can reach its sockets. sni-check kills this HAProxy after the last answer. If sni-check ends first, the
//! kernel kills it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{MemfdFlags, memfd_create};

use super::program::Haproxy;
pub(crate) use super::statistics::Checked;
use super::statistics::{checked, rows_of};
use super::tied;
use super::visit::Visits;
pub(crate) use super::visit::{BROWSER, PAGES, Visit, Visited};
use crate::code::Code;

/// HAProxy's answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// HAProxy checked the servers.
    Checked(Checked),
    /// HAProxy refuses the lines. This is its message.
    Refused(String),
    /// No result, because a check didn't finish before the deadline, or because the lines have no check.
    None,
}

/// The pause before sni-check asks HAProxy again for results.
pub(super) const POLL: Duration = Duration::from_millis(30);
/// Extra time for HAProxy, for example for its start.
const MARGIN: Duration = Duration::from_secs(2);
/// If a check takes longer than this, the visitor's request doesn't wait for its result.
const EARLY: Duration = Duration::from_millis(500);
/// How long sni-check looks for a configuration that HAProxy accepts. Each new configuration leaves out the
/// lines that HAProxy refused before. After this time, sni-check asks about half of the servers.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);
/// How many questions one HAProxy gets. It makes all its checks at the same time, so many more checks would be
/// late, because they share the processors of this host.
const AT_ONCE: usize = 60;
/// The prefix of a question's backend name. The question's number and a dash follow the prefix.
const PREFIX: &str = "sni-check-asks-";

/// A question to HAProxy.
pub(crate) struct Question<K> {
    /// The subject of the question, which the caller chooses.
    pub about: K,
    /// The lines of a backend, without its first line.
    pub lines: String,
    /// False if the lines have no check. The question is then only about the visitor.
    pub is_checked: bool,
    /// The request that a visitor sends to the backend.
    pub visit: Option<Visit>,
}

impl<K> Question<K> {
    /// Returns a question about a check with these lines, and the request of a visitor.
    pub(crate) fn of_check(about: K, lines: String, visit: Option<Visit>) -> Question<K> {
        Question {
            about,
            lines,
            is_checked: true,
            visit,
        }
    }
}

/// A question's subject and its answers.
#[derive(Clone, Debug)]
pub(crate) struct Answered<K> {
    /// The subject of the question.
    pub about: K,
    /// The result of HAProxy's checks.
    pub answer: Answer,
    /// The response to the visitor. `None` if the question has no visitor, if the servers are down, or if no
    /// response arrived.
    pub visitor: Option<Visited>,
    /// The rules for visitors that HAProxy refused, so that the visitor's request passed without them.
    pub left_out: Vec<String>,
    /// True if the server answered only after a pause, because it limits the number of requests. The results
    /// are those of the second attempt.
    pub was_limited: bool,
}

/// The pause after which most servers with a limit on requests accept requests again.
pub(crate) const PAUSE: Duration = Duration::from_millis(1100);

/// The answers to one question, as in [`Answered`].
struct Reply {
    answer: Answer,
    visitor: Option<Visited>,
    left_out: Vec<String>,
}

/// Asks HAProxy about servers. A check may take as long as `patience`, unless its lines set a limit. `global`
/// contains lines for the `global` section.
///
/// HAProxy refuses a whole configuration because of one line. sni-check then asks again without this line, if
/// it is in `global` or a rule for visitors, and otherwise without the question.
///
/// All questions together may exceed a server's limit on requests. sni-check repeats the questions that got
/// 429, one after another, with a pause before each request. It stops if a server still answers 429.
///
/// # Errors
///
/// HAProxy wasn't found, can't be started or doesn't answer. Or it refuses the configuration, even without
/// the questions that its alerts refer to.
pub(crate) fn ask<K>(
    haproxy: &Haproxy,
    global: &str,
    mut questions: Vec<Question<K>>,
    patience: Duration,
) -> Result<Vec<Answered<K>>> {
    let bursts = &haproxy.bursts;
    let mut replies = Vec::new();
    for some in questions.chunks_mut(AT_ONCE) {
        replies.extend(ask_together(
            haproxy,
            global,
            some,
            patience,
            Duration::ZERO,
        )?);
    }
    let has_status = replies.iter().any(|reply| is_limited(reply, false));
    let is_burst = has_status || bursts.is_limited.load(Relaxed);
    let limited = (0..replies.len()).filter(|at| is_burst && is_limited(&replies[*at], true));
    let mut were_limited = vec![false; replies.len()];
    for at in limited.collect::<Vec<usize>>() {
        let left = &bursts.repetitions_left;
        let left = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            break;
        }
        thread::sleep(PAUSE);
        let question = &mut questions[at..=at];
        let again = ask_together(haproxy, global, question, patience, PAUSE)?.swap_remove(0);
        // The server still answers 429, so our burst isn't the reason.
        if is_limited(&again, false) {
            break;
        }
        if is_limited(&again, true) {
            continue;
        }
        bursts.is_limited.store(true, Relaxed);
        were_limited[at] = true;
        (replies[at].answer, replies[at].visitor) = (again.answer, again.visitor);
    }
    let replies = questions.into_iter().zip(replies).zip(were_limited);
    let answered = replies.map(|((question, reply), was_limited)| Answered {
        about: question.about,
        answer: reply.answer,
        visitor: reply.visitor,
        left_out: reply.left_out,
        was_limited,
    });
    Ok(answered.collect())
}

/// Returns true if the server answered 429 to the check or to the visitor. HAProxy shows only the exit code
/// of an external check, not the status. If `with_external` is true, the exit code for an unexpected status
/// therefore counts as a 429.
fn is_limited(reply: &Reply, with_external: bool) -> bool {
    let external = Code::Status.number().to_string();
    let of_check = match &reply.answer {
        Answer::Checked(checked) if !checked.up => {
            checked.code == "429" || (with_external && checked.code == external)
        }
        _ => false,
    };
    of_check || reply.visitor.is_some_and(|visitor| visitor.status == 429)
}

/// Asks HAProxy all questions together. Waits for `pause` between the checks and the visitors' requests.
fn ask_together<K>(
    haproxy: &Haproxy,
    global: &str,
    questions: &mut [Question<K>],
    patience: Duration,
    pause: Duration,
) -> Result<Vec<Reply>> {
    let binary = haproxy
        .binary()
        .context("no HAProxy was found; use --haproxy FILE")?;
    let mut global = global.to_owned();
    let mut answers = vec![Answer::None; questions.len()];
    let mut left_out = vec![Vec::new(); questions.len()];
    let start = Instant::now();
    loop {
        let mut run = Run::prepare(questions.len())?;
        let config = Config::new(&global, questions, &answers, patience, &run.visits);
        run.start(binary, &config.text)?;
        let early = pause.is_zero().then_some(EARLY);
        let Err(error) = run.watch(questions, &mut answers, patience + MARGIN, early) else {
            let visitors = run.visitors(questions, &answers, patience, pause);
            let replies = answers.into_iter().zip(visitors).zip(left_out);
            let reply = |((answer, visitor), left_out)| Reply {
                answer,
                visitor,
                left_out,
            };
            return Ok(replies.map(reply).collect());
        };
        let messages = run.messages();
        let mut is_blamed = false;
        for blame in config.blames(&messages) {
            is_blamed |= match blame.question {
                Some(_) => blame.apply(questions, &mut answers, &mut left_out),
                None => remove(&mut global, &blame.line),
            };
        }
        let open = answers.iter().filter(|answer| **answer == Answer::None);
        let open = open.count();
        if is_blamed && (start.elapsed() < LONGEST_SEARCH || open == 0) {
            continue;
        }
        let first = messages.lines().find(|line| line.contains("[ALERT]"));
        let why = first.map_or_else(|| error.to_string(), words);
        match (open, questions.len()) {
            (0, _) => bail!("{why}"),
            (_, 1) if global.is_empty() => answers[0] = Answer::Refused(why),
            (_, 1) => global.clear(),
            // The message doesn't say which question is the reason, or too many questions have bad lines.
            (_, count) => {
                let (first, second) = questions.split_at_mut(count / 2);
                let mut replies = ask_together(haproxy, &global, first, patience, pause)?;
                replies.extend(ask_together(haproxy, &global, second, patience, pause)?);
                for (reply, left_out) in replies.iter_mut().zip(left_out) {
                    reply.left_out.extend(left_out);
                }
                return Ok(replies);
            }
        }
    }
}

/// Removes the first line with this text. Returns false if there is no such line.
fn remove(lines: &mut String, text: &str) -> bool {
    let mut all: Vec<&str> = lines.split_inclusive('\n').collect();
    let Some(at) = all.iter().position(|line| line.trim_end() == text) else {
        return false;
    };
    all.remove(at);
    *lines = all.concat();
    true
}

impl Answer {
    /// Returns true if the servers are up.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self, Answer::Checked(checked) if checked.up)
    }
}

/// A configuration, and the questions in it.
struct Config {
    text: String,
    /// For each backend, the number of its first line, and the number of its question. The first line of the
    /// file has the number 1.
    begins: Vec<(usize, usize)>,
}

/// A question or a line that HAProxy refuses.
struct Blame {
    /// `None` if the line is in no question.
    question: Option<usize>,
    /// The position of the line in the question.
    at: usize,
    /// The line, or an empty text if HAProxy's message doesn't name the line.
    line: String,
    /// HAProxy's message.
    why: String,
}

impl Blame {
    /// Leaves out the refused line in all questions that begin with the same lines, because HAProxy refuses it
    /// there, too. If the line isn't only about visitors, these questions have no answer. Returns false if no
    /// question changed.
    fn apply<K>(
        &self,
        questions: &mut [Question<K>],
        answers: &mut [Answer],
        left_out: &mut [Vec<String>],
    ) -> bool {
        let blamed = self.question.and_then(|number| questions.get(number));
        let until = match self.line.is_empty() {
            true => 0,
            false => self.at + 1,
        };
        let start = blamed.map(|question| question.lines.lines().take(until).map(str::to_owned));
        let start: Vec<String> = start.into_iter().flatten().collect();
        // An earlier message was about the same line.
        if start
            .last()
            .is_some_and(|line| line.trim_end() != self.line)
        {
            return false;
        }
        let is_of_visitors = ["acl ", "http-request ", "http-response "]
            .iter()
            .any(|word| self.line.trim_start().starts_with(word));
        let mut is_changed = false;
        for (number, question) in questions.iter_mut().enumerate() {
            let begins_alike = || question.lines.lines().take(until).eq(start.iter());
            let is_blamed = Some(number) == self.question || (until > 0 && begins_alike());
            if !is_blamed || answers[number] != Answer::None {
                continue;
            }
            is_changed = true;
            if is_of_visitors && remove(&mut question.lines, &self.line) {
                left_out[number].push(self.line.trim_start().to_owned());
            } else {
                answers[number] = Answer::Refused(self.why.clone());
            }
        }
        is_changed
    }
}

impl Config {
    /// Writes a configuration with all unanswered questions, and with the frontend for their visitors.
    fn new<K>(
        global: &str,
        questions: &[Question<K>],
        answers: &[Answer],
        patience: Duration,
        visits: &Visits,
    ) -> Config {
        let time = patience.as_millis();
        // Without `timeout check`, `inter` limits the whole check. The long `downinter` delays the next
        // check, so that the statistics keep showing the result of a failed check. Without `no-ssl-reuse`, a
        // visitor could resume the check's TLS session, and the server wouldn't choose a certificate by the
        // visitor's SNI.
        let mut text = format!(
            "global\n    stats socket fd@1 level user\n    external-check\n    \
             insecure-fork-wanted\n    max-spread-checks 1\n{global}\
             defaults\n    mode http\n    timeout connect {time}\n    timeout client {time}\n    \
             timeout server {time}\n    retries 0\n    \
             default-server inter {time} fastinter 1m downinter 1m rise 1 fall 1 no-ssl-reuse\n{}",
            visits.frontend(patience * 3 + MARGIN * 5)
        );
        let mut begins = Vec::new();
        for (number, Question { lines, .. }) in questions.iter().enumerate() {
            if answers[number] == Answer::None {
                begins.push((text.lines().count() + 1, number));
                _ = writeln!(text, "backend {}\n{lines}", backend(number));
            }
        }
        Config { text, begins }
    }

    /// Reads HAProxy's alerts. Returns what each of them refers to, the last lines first.
    fn blames(&self, messages: &str) -> Vec<Blame> {
        let alerts = messages.lines().filter(|line| line.contains("[ALERT]"));
        let mut blames: Vec<Blame> = alerts.filter_map(|alert| self.blame(alert)).collect();
        blames.sort_by_key(|blame| std::cmp::Reverse(blame.at));
        blames
    }

    /// Returns the question or the line to which an alert refers, or `None` if it refers to neither.
    fn blame(&self, alert: &str) -> Option<Blame> {
        let number_after = |text| number(alert.split_once(text)?.1);
        let at = number_after("[/dev/stdin:");
        let line = at.and_then(|at| self.text.lines().nth(at.checked_sub(1)?));
        let mut before = self.begins.iter().rev();
        let by_line = before.find(|(begin, _)| at.is_some_and(|at| *begin <= at));
        let (question, at) = match (by_line, at) {
            (Some((begin, question)), Some(at)) => (Some(*question), at.checked_sub(begin + 1)),
            _ => (number_after(PREFIX), at),
        };
        // The operator doesn't know the names of the questions.
        let prefix = question.map(|number| format!("{}/", backend(number)));
        (question.is_some() || line.is_some()).then(|| Blame {
            question,
            at: at.unwrap_or_default(),
            line: line
                .filter(|_| at.is_some())
                .unwrap_or_default()
                .trim_end()
                .to_owned(),
            why: match prefix {
                Some(prefix) => words(alert).replace(&prefix, ""),
                None => words(alert),
            },
        })
    }
}

/// Returns the name of a question's backend.
fn backend(question: usize) -> String {
    format!("{PREFIX}{question}-")
}

/// Returns the number at the beginning of a text, or `None` if the text doesn't begin with a digit.
fn number(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

/// Returns an alert without the parts about the process and the file.
fn words(line: &str) -> String {
    let text = line.split_once(") : ").map_or(line, |(_, text)| text);
    let text = text.strip_prefix("config : ").unwrap_or(text);
    let text = match text.split_once("] : ") {
        Some((place, rest)) if place.contains("[/dev/stdin") => rest,
        _ => text,
    };
    text.trim().to_owned()
}

/// A running HAProxy. It is killed when this value is dropped.
pub(super) struct Run {
    /// `None` until HAProxy is started.
    child: Option<Child>,
    socket: UnixStream,
    listener: Option<UnixListener>,
    visits: Visits,
    log: File,
}

impl Run {
    /// Creates the sockets and the log file for a run with this number of visitors.
    pub(super) fn prepare(visitors: usize) -> Result<Run> {
        // Only this user can enter the folder. This function removes the folder at its end, together with the
        // paths of the sockets.
        let folder = Folder::new()?;
        let path = folder.0.join("s");
        let listener = UnixListener::bind(&path).context("cannot create a socket for HAProxy")?;
        Ok(Run {
            child: None,
            socket: UnixStream::connect(&path)?,
            listener: Some(listener),
            visits: Visits::new(&folder.0.join("v"), visitors)?,
            log: memory("log")?,
        })
    }

    pub(super) fn start(&mut self, binary: &Path, config: &str) -> Result<()> {
        let listener = self
            .listener
            .take()
            .context("HAProxy was already started")?;
        let mut file = memory("config")?;
        file.write_all(config.as_bytes())?;
        let mut command = tied::command(binary);
        command
            .args(["-db", "-f", "/dev/stdin"])
            .env_clear()
            .stdin(Stdio::from(file))
            .stdout(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .stderr(Stdio::from(self.log.try_clone()?));
        // LD_LIBRARY_PATH tells the dynamic linker where HAProxy's libraries are. If the program is a wrapper
        // script, it needs PATH.
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        self.child = Some(command.spawn().context("HAProxy cannot be run")?);
        Ok(())
    }

    /// Sends the requests of these questions' visitors.
    fn send<K>(&mut self, questions: &[Question<K>], numbers: &[usize]) {
        for number in numbers {
            if let Some(visit) = &questions[*number].visit {
                self.visits.send(*number, &backend(*number), visit);
            }
        }
    }

    /// Sends the requests of the visitors whose servers are up, and returns the responses to all visitors.
    fn visitors<K>(
        &mut self,
        questions: &[Question<K>],
        answers: &[Answer],
        patience: Duration,
        pause: Duration,
    ) -> Vec<Option<Visited>> {
        let is_wanted = |number: &usize| {
            let (question, answer) = (&questions[*number], &answers[*number]);
            let is_free = !question.is_checked && *answer == Answer::None;
            question.visit.is_some() && (is_free || answer.is_up())
        };
        let wanted: Vec<usize> = (0..questions.len()).filter(is_wanted).collect();
        if !wanted.is_empty() {
            thread::sleep(pause);
        }
        self.send(questions, &wanted);
        let mut visitors = vec![None; questions.len()];
        self.visits.read(patience, &wanted, &mut visitors);
        visitors
    }

    /// Waits until every check has a result, but not longer than `longest`. After the time `early`, sends the
    /// visitors' requests of all questions that have no result yet.
    fn watch<K>(
        &mut self,
        questions: &[Question<K>],
        answers: &mut [Answer],
        longest: Duration,
        early: Option<Duration>,
    ) -> Result<()> {
        let start = Instant::now();
        let end = start + longest;
        self.socket.set_read_timeout(Some(POLL))?;
        self.command("prompt", end)?;
        loop {
            let rows = self.command("show stat -1 4 -1", end)?;
            let servers = rows_of(&rows);
            for (number, answer) in answers.iter_mut().enumerate() {
                if *answer == Answer::None
                    && let Some(checked) = checked(&servers, &backend(number))
                {
                    *answer = Answer::Checked(checked);
                }
            }
            let mut both = questions.iter().zip(answers.iter());
            let is_open =
                both.any(|(question, answer)| question.is_checked && *answer == Answer::None);
            if !is_open || Instant::now() >= end {
                return Ok(());
            }
            if early.is_some_and(|early| start.elapsed() >= early) {
                let open = answers.iter().enumerate();
                let open = open.filter(|(_, answer)| **answer == Answer::None);
                let open: Vec<usize> = open.map(|(number, _)| number).collect();
                self.send(questions, &open);
            }
            thread::sleep(POLL);
        }
    }

    /// Returns HAProxy's answer to a command on its statistics socket.
    pub(super) fn command(&mut self, command: &str, end: Instant) -> Result<String> {
        self.socket.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 16384];
        while !answer.ends_with(b"\n> ") {
            match self.socket.read(&mut buffer) {
                Ok(0) => bail!("HAProxy exited unexpectedly"),
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Some(child) = &mut self.child
                        && let Some(status) = child.try_wait()?
                    {
                        bail!("HAProxy exited unexpectedly ({status})");
                    }
                    if Instant::now() >= end {
                        bail!("HAProxy does not answer");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Stops HAProxy, and returns its messages about the configuration.
    fn messages(&mut self) -> String {
        // The messages are complete only after HAProxy has ended.
        self.end();
        let mut text = Vec::new();
        _ = io::Seek::rewind(&mut self.log).and_then(|()| self.log.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    }

    fn end(&mut self) {
        if let Some(child) = &mut self.child {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

fn memory(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC)?.into())
}

/// A folder that only this user can enter. It is removed when this value is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        let random = RandomState::new().hash_one(std::process::id());
        let path = std::env::temp_dir().join(format!("sni-check-{random:x}"));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn an_alert_is_shown_without_process_and_file() {
        for alert in [
            "[ALERT]    (17) : config : parsing [/dev/stdin:13] : 'x' is wrong.",
            "[ALERT] 123/456 (17) : 'x' is wrong.",
        ] {
            assert_eq!(words(alert), "'x' is wrong.");
        }
    }
}
