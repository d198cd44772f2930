//! Asks HAProxy about the server. HAProxy also tries the lines for haproxy.cfg before diagnose prints them.

use std::time::Duration;

use ureq::http::header;

use super::gather::FORWARDED_PROTO;
use super::lines::{self, Setup};
use super::stage::Stage;
use super::trials::{Candidate, Search, for_haproxy};
use super::view::{self, Role, Row};
use crate::causes::facts::{Facts, HaproxyFacts, Way, is_safe};
use crate::causes::{Change, trials};
use crate::code::Code;
use crate::haproxy::ask::{
    Answer, Answered, BROWSER, Checked, PAGES, Question, Visit, Visited, ask,
};
use crate::haproxy::program::Haproxy;
use crate::options::values::SocketPath;
use crate::plan::{DEFAULTS, Plan};

/// The kind of check in a block of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// HAProxy's own check.
    Builtin,
    /// sni-check as an external check.
    External,
    /// HAProxy's http-check, which asks `sni-check serve`.
    Served,
}

/// Lines for haproxy.cfg, and the result of trying them in HAProxy.
#[derive(Clone)]
pub(super) struct Block {
    pub kind: Kind,
    pub way: Way,
    pub text: String,
    /// The result of the check in these lines, or HAProxy's reason for refusing the lines. `None` if HAProxy
    /// hasn't tried the lines, or if the lines have no check and a visitor got a response.
    pub tried: Option<Answer>,
    /// The response to a visitor's request. `None` if HAProxy sent no such request, for example because the
    /// server was DOWN.
    pub visitor: Option<Visited>,
    /// False if a visitor got an error or an incomplete response (see [`serves`]).
    pub serves: bool,
}

/// HAProxy's answers about a server.
pub(super) struct Opinion {
    /// The version of the HAProxy that diagnose asked, or why there are no answers.
    pub asked: Result<String, String>,
    pub rows: Vec<Row>,
    pub blocks: Vec<Block>,
    /// The answers as facts, with which diagnose weighs the causes.
    pub facts: Option<HaproxyFacts>,
    /// The change that helps HAProxy's own check (see [`helpful`]). `None` if a block of lines already works,
    /// or if no change helps.
    pub proved: Option<Candidate>,
    /// True if the questions exceeded the server's request limit. In this case, diagnose has repeated some
    /// questions.
    pub was_limited: bool,
}

/// The subject of a question to HAProxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// The check with this index in the result of [`view::kinds`].
    Row(usize),
    /// The block of lines with this kind and way.
    Lines(Kind, Way),
    /// HAProxy's own check, run in this way and with the options of the change at this index.
    Change(usize, Way),
}

/// Extra time for a check in HAProxy, because HAProxy may have to start a process for the check. One margin
/// is enough, because HAProxy's checks run in parallel. `haproxy::ask` adds time for HAProxy's own start.
pub(super) const MARGIN: Duration = Duration::from_millis(700);

impl Opinion {
    /// Asks HAProxy. Without HAProxy, predicts each row (see [`view`]).
    pub fn ask(search: &Search, haproxy: Option<&Haproxy>) -> Opinion {
        let facts = search.best();
        let mut blocks = blocks(facts);
        let kinds = view::kinds(&search.asked);
        let changes = for_haproxy(facts);
        let mut questions = questions(&search.asked, facts, &kinds, &blocks);
        questions.extend(about_changes(&search.asked, facts, &changes, &blocks));
        let patience = search.asked.plan.timeout.max(facts.plan.timeout) + MARGIN;
        let asked = ask_all(haproxy, questions, patience);
        let answers = asked.as_ref().ok().map(|(_, answers)| answers.as_slice());
        let answer = |about| {
            let mut answers = answers.unwrap_or_default().iter();
            answers.find(|answered| answered.about == about)
        };
        for block in &mut blocks {
            if let Some(answered) = answer(About::Lines(block.kind, block.way)) {
                block.tried = Some(answered.answer.clone());
                block.visitor = answered.visitor;
                // The lines always verify the certificate. With --verify none, sni-check's own result
                // therefore says nothing about what visitors get with these lines.
                let unverified = facts.plan.tls.verification.is_none();
                let is_served = |visitor| unverified || serves(facts, visitor);
                block.serves = block.visitor.is_none_or(is_served);
            }
        }
        let rows = kinds.into_iter().enumerate().filter_map(|(number, kind)| {
            let answered = answer(About::Row(number));
            kind.row(answered.map(|answered| &answered.answer))
        });
        let rows: Vec<Row> = rows.collect();
        let mut plain = blocks.iter().filter(|block| block.is_plain());
        let plain = plain.next().and_then(|block| block.tried.clone());
        let refused_response = refused_response(facts, &blocks);
        let way = choose(&mut blocks, answers.is_some());
        let own_check = match &search.changed {
            Some(_) => plain.and_then(|answer| own_check(&answer)),
            None => {
                let row = rows.iter().find(|row| row.role == Role::Own);
                row.map(|row| own_result(row.up, &row.status, &row.why))
            }
        };
        let visitors = blocks.iter().filter(|block| block.fails_visitors());
        let failed = visitors.filter_map(|block| block.visitor).next();
        let failed = failed.filter(|_| !blocks.iter().any(Block::is_up));
        let haproxy_facts = answers.map(|_| HaproxyFacts {
            own_check,
            handshake: rows.iter().any(|row| row.role == Role::Handshake && row.up),
            failed_visitor: failed.map(|visitor| (visitor.status, visitor.complete)),
            way,
            traffic: None,
            refused_status: refused_response.as_ref().and_then(refused_status),
            refused_response: refused_response.and_then(|checked| result(&checked).err()),
        });
        let was_limited = answers.is_some_and(|all| all.iter().any(|one| one.was_limited));
        let proved = helpful(facts, &blocks, changes, answers.unwrap_or_default());
        Opinion {
            asked: asked.map(|(version, _)| version),
            rows,
            blocks,
            facts: haproxy_facts,
            proved,
            was_limited,
        }
    }
}

/// Returns the first change with which HAProxy's own check is UP and visitors are served. Prefers
/// changes that don't need old TLS versions. If no change makes the check UP and serves visitors, returns the
/// change from [`furthest`]. Returns `None` if a block of lines works without a change, or if no change
/// helps.
fn helpful(
    facts: &Facts,
    blocks: &[Block],
    changes: Vec<Candidate>,
    answers: &[Answered<About>],
) -> Option<Candidate> {
    let works = |safe: bool| {
        let fits = |way: Way| !safe || way != Way::OldTls;
        let of_lines = blocks.iter().any(|block| block.is_up() && fits(block.way));
        let of_change = answers.iter().find_map(|answered| match answered.about {
            About::Change(number, way) if fits(way) && answered.answer.is_up() => {
                let mut visitor = answered.visitor.iter();
                visitor
                    .all(|visitor| serves(facts, *visitor))
                    .then_some(number)
            }
            _ => None,
        });
        (of_lines, of_change)
    };
    let number = match works(true) {
        (true, _) => None,
        (false, Some(number)) => Some(number),
        (false, None) => match works(false) {
            (true, _) => None,
            (false, None) => furthest(facts, blocks, &changes, answers),
            (false, number) => number,
        },
    };
    changes.into_iter().nth(number?)
}

/// Returns the index of the change with which HAProxy's own check gets furthest. Considers only changes with
/// `counts_progress`. Returns `None` if the check gets no further with any of these changes.
fn furthest(
    facts: &Facts,
    blocks: &[Block],
    changes: &[Candidate],
    answers: &[Answered<About>],
) -> Option<usize> {
    let own = blocks.iter().filter(|block| block.kind == Kind::Builtin);
    let tried = own.filter(|block| block.tried.is_some());
    // HAProxy may report an earlier stage than sni-check. For a server that sends a banner, for example,
    // HAProxy reports SOCKERR.
    let by_check = facts.failure();
    let by_check = by_check.map(|failure| Stage::of_failure(failure, &facts.plan));
    let before = tried.map(Block::stage).chain(by_check).max()?;
    let further = answers.iter().filter_map(|answered| match answered.about {
        About::Change(number, _) => Some((number, Stage::of_answer(&answered.answer))),
        _ => None,
    });
    let counts = |number: usize| {
        changes
            .get(number)
            .is_some_and(|change| change.counts_progress)
    };
    let further = further.filter(|(number, stage)| *stage > before && counts(*number));
    // Among the changes that get equally far, the first wins.
    let furthest = further.rev().max_by_key(|(_, stage)| *stage);
    furthest.map(|(number, _)| number)
}

/// Returns the result of HAProxy's own check. The error contains HAProxy's status and reason.
fn own_result(up: bool, status: &str, why: &str) -> Result<(), String> {
    match up {
        true => Ok(()),
        false => Err(format!("{status} {why}").trim_end().to_owned()),
    }
}

/// Returns the result of HAProxy's own check. Returns `None` if HAProxy refused the lines, or if no check
/// finished.
fn own_check(answer: &Answer) -> Option<Result<(), String>> {
    match answer {
        Answer::Checked(checked) => Some(result(checked)),
        Answer::Refused(_) | Answer::None => None,
    }
}

/// Returns the result of HAProxy's own check in an answer.
fn result(checked: &Checked) -> Result<(), String> {
    own_result(checked.up, &checked.status, &checked.why)
}

/// Returns the blocks of lines that the report may print: one with HAProxy's own check, one with the external
/// check, and one for each [`Way`] that a cause proposes for HAProxy's own check. `--serve` adds the block
/// for serve. Returns no blocks if the server's name doesn't resolve.
fn blocks(facts: &Facts) -> Vec<Block> {
    // HAProxy refuses a server line with a name that doesn't resolve.
    if facts.addresses.is_err() {
        return Vec::new();
    }
    let setup = Setup::new(facts);
    let block = |kind, way| Block {
        kind,
        way,
        text: text(&setup.by(way), kind, facts.options.serve.as_ref()),
        tried: None,
        visitor: None,
        serves: true,
    };
    let mut blocks = vec![
        block(Kind::Builtin, Way::Https),
        block(Kind::External, Way::Https),
    ];
    if facts.options.serve.is_some() {
        blocks.push(block(Kind::Served, Way::Https));
    }
    let ways = trials(facts)
        .into_iter()
        .filter_map(|(_, trial)| match trial.change {
            Change::Way(way) => Some(way),
            Change::Options(_) => None,
        });
    blocks.extend(ways.map(|way| block(Kind::Builtin, way)));
    blocks
}

/// Returns the lines as the report prints them.
fn text(setup: &Setup<'_>, kind: Kind, socket: Option<&SocketPath>) -> String {
    let global = lines::global(setup, kind == Kind::External);
    format!("{global}backend be\n{}", lines_of(setup, kind, socket))
}

/// Returns the lines of the backend without its `backend` line.
fn lines_of(setup: &Setup<'_>, kind: Kind, socket: Option<&SocketPath>) -> String {
    match kind {
        Kind::Builtin => lines::builtin(setup),
        Kind::External => lines::external(setup),
        Kind::Served => lines::served(setup, socket.map_or("", |socket| socket.0.as_str())),
    }
}

fn questions(
    asked: &Facts,
    facts: &Facts,
    kinds: &[view::Kind],
    blocks: &[Block],
) -> Vec<(Option<usize>, Question<About>)> {
    // If a change has fixed a response time-out, HAProxy needn't wait for that time-out as well.
    let is_slow = asked.code() == Code::ResponseTimeout && facts.code() != Code::ResponseTimeout;
    let sends = |kind: &view::Kind| matches!(kind.role, Role::Own | Role::External);
    let kinds = kinds.iter().enumerate();
    let kinds = kinds.filter(|(_, kind)| !(is_slow && sends(kind)));
    let rows = kinds.map(|(number, kind)| {
        (
            None,
            Question::of_check(About::Row(number), kind.question.clone(), None),
        )
    });
    // The printed lines always verify the certificate, so HAProxy must verify it in its trial, too.
    let mut options = facts.options.clone();
    options.verify = None;
    let setup = Setup {
        options: &options,
        secrets: true,
        ..Setup::new(facts)
    };
    let socket = facts.options.serve.as_ref();
    let blocks = blocks.iter().map(|block| {
        let about = About::Lines(block.kind, block.way);
        (
            setup.buffer(),
            Question::of_check(
                about,
                lines_of(&setup.by(block.way), block.kind, socket),
                visit(asked.host(), &facts.plan),
            ),
        )
    });
    rows.chain(blocks).collect()
}

/// Returns one question for each combination of a change and a [`Way`] of HAProxy's own check in `blocks`.
fn about_changes(
    asked: &Facts,
    facts: &Facts,
    changes: &[Candidate],
    blocks: &[Block],
) -> Vec<(Option<usize>, Question<About>)> {
    let ways = blocks.iter().filter(|block| block.kind == Kind::Builtin);
    let ways: Vec<Way> = ways.map(|block| block.way).collect();
    let questions = changes.iter().enumerate().flat_map(|(number, change)| {
        let setup = Setup {
            plan: &change.plan,
            options: &change.options,
            secrets: true,
            ..Setup::new(facts)
        };
        let of_way = |way: &Way| {
            let (about, lines) = (About::Change(number, *way), lines::builtin(&setup.by(*way)));
            (
                setup.buffer(),
                Question::of_check(about, lines, visit(asked.host(), &change.plan)),
            )
        };
        ways.iter().map(of_way).collect::<Vec<_>>()
    });
    questions.collect()
}

/// Returns a visitor's request for this `host`. The page and most headers come from the check's plan, but a
/// browser's User-Agent and Accept replace sni-check's defaults. The request must not change anything on the
/// server, so GET replaces a method that isn't safe. Returns `None` if the check sends no request, or if a
/// header has a value that isn't text.
pub(super) fn visit(host: &str, plan: &Plan) -> Option<Visit> {
    let request = &plan.request;
    let uri = request.uri.path_and_query()?.to_string();
    let mut headers = vec![("Host".to_owned(), host.to_owned())];
    for (name, value) in &request.headers {
        let own = DEFAULTS.iter().find(|(known, _)| known == name);
        let value = match (own, value.to_str().ok()?) {
            (Some((_, default)), value) if *default == value => match *name {
                header::USER_AGENT => BROWSER,
                header::ACCEPT => PAGES,
                _ => continue,
            },
            (_, value) => value,
        };
        // If the check sends X-Forwarded-Proto, the printed lines already set this header for visitors. A
        // visitor's request has no body, so it needs no Content-Length.
        let left_out = [
            header::HOST,
            header::CONNECTION,
            header::CONTENT_LENGTH,
            FORWARDED_PROTO,
        ];
        if !left_out.contains(name) {
            headers.push((name.to_string(), value.to_owned()));
        }
    }
    let method = match is_safe(&request.method) {
        true => request.method.to_string(),
        false => "GET".to_owned(),
    };
    (!plan.handshake_only).then_some(Visit {
        method,
        uri,
        headers,
    })
}

/// Returns true if a visitor gets a complete response whose status is below 400 or equals the status that the
/// check got. If the check's method isn't safe, 404 and 405 also count.
pub(super) fn serves(facts: &Facts, visitor: Visited) -> bool {
    let expected = match &facts.verdict.result {
        Ok(Some(response)) => Some(response.status),
        _ => None,
    };
    // A page that the check requests with POST may refuse a visitor's GET.
    let by_method = !is_safe(&facts.plan.request.method) && [404, 405].contains(&visitor.status);
    let is_fine = visitor.status < 400 || Some(visitor.status) == expected || by_method;
    visitor.complete && is_fine
}

/// If HAProxy's own check refuses a response, and sni-check's check gets no response, returns the result of
/// HAProxy's own check.
fn refused_response(facts: &Facts, blocks: &[Block]) -> Option<Checked> {
    // sni-check's check got a response, too.
    if Stage::of_failure(facts.failure()?, &facts.plan) > Stage::Response {
        return None;
    }
    let own = blocks.iter().filter(|block| block.kind == Kind::Builtin);
    let refused = own.filter(|block| block.stage().is_rejected_response());
    let mut refused = refused.filter_map(|block| block.tried.as_ref());
    match refused.next()? {
        Answer::Checked(checked) => Some(checked.clone()),
        Answer::Refused(_) | Answer::None => None,
    }
}

/// Returns the status of a response that HAProxy's own check refuses, if the status is unexpected. If the
/// check refuses the response because of its text or a header, only a status of 400 or more is unexpected.
fn refused_status(checked: &Checked) -> Option<u16> {
    let status = checked.code.parse().ok()?;
    (checked.status == "L7STS" || status >= 400).then_some(status)
}

/// Returns true if HAProxy's http-check could not connect to `sni-check serve`.
pub(super) fn missed_serve(checked: &Checked) -> bool {
    let status = checked.status.as_str();
    status.starts_with("L4") || status == "SOCKERR"
}

/// Chooses a [`Way`] for HAProxy's own check, and drops the blocks with other ways. [`Way::WithAgent`]
/// concerns only HAProxy's own check, so this choice also keeps the blocks with other kinds of check. Returns
/// the chosen way, or `None` for [`Way::Https`].
fn choose(blocks: &mut Vec<Block>, asked: bool) -> Option<Way> {
    let plain = blocks.iter().find(|block| block.is_plain());
    let works = plain.is_some_and(Block::is_up);
    let stage = plain.map_or(Stage::Call, Block::stage);
    let others = || blocks.iter().filter(|block| block.way != Way::Https);
    let is_further = |block: &&Block| block.stage().is_rejected_response() && block.stage() > stage;
    let way = match asked {
        true if works => None,
        true => others()
            .find(|block| block.is_up())
            .or_else(|| others().find(is_further)),
        // sni-check itself has seen that the server speaks plain HTTP or HTTP/2, so HAProxy needn't prove
        // these ways.
        false => others().find(|block| matches!(block.way, Way::PlainHttp | Way::Http2)),
    };
    let way = way.map(|block| block.way);
    match way {
        None => blocks.retain(|block| block.way == Way::Https),
        Some(Way::WithAgent) => blocks.retain(|block| {
            block.way == Way::WithAgent || (block.way == Way::Https && block.kind != Kind::Builtin)
        }),
        Some(way) => blocks.retain(|block| block.way == way),
    }
    way
}

/// Asks HAProxy the questions. Returns HAProxy's version and its answers, or why there are no answers.
fn ask_all(
    haproxy: Option<&Haproxy>,
    questions: Vec<(Option<usize>, Question<About>)>,
    patience: Duration,
) -> Result<(String, Vec<Answered<About>>), String> {
    let Some(haproxy) = haproxy else {
        return Err("--haproxy none".to_owned());
    };
    if questions.is_empty() {
        return Err("the server has no address".to_owned());
    }
    if haproxy.binary().is_none() {
        return Err(
            "sni-check found no HAProxy on this host; give its path with --haproxy FILE".to_owned(),
        );
    }
    let version = haproxy.version_text.clone().unwrap_or_default();
    let (large, normal): (Vec<_>, Vec<_>) = questions
        .into_iter()
        .partition(|(buffer, _)| buffer.is_some());
    let buffer = large.iter().find_map(|(buffer, _)| *buffer);
    let mut answers = Vec::new();
    for (buffer, group) in [(None, normal), (buffer, large)] {
        let group: Vec<_> = group.into_iter().map(|(_, question)| question).collect();
        if !group.is_empty() {
            let global = buffer.map(|size| format!("    tune.bufsize {size}\n"));
            let answered = ask(haproxy, &global.unwrap_or_default(), group, patience);
            answers.extend(
                answered.map_err(|error| format!("HAProxy could not be asked: {error:#}"))?,
            );
        }
    }
    Ok((version, answers))
}

impl Block {
    /// Returns true if the lines have HAProxy's own check with [`Way::Https`].
    fn is_plain(&self) -> bool {
        self.kind == Kind::Builtin && self.way == Way::Https
    }

    /// Returns true if HAProxy has tried the lines.
    pub fn is_tried(&self) -> bool {
        self.tried.is_some() || self.visitor.is_some()
    }

    /// Returns true if HAProxy has tried the lines, the server was UP, and no visitor got an error or an
    /// incomplete response. If the lines have no check, only the visitor's response counts.
    pub fn is_up(&self) -> bool {
        let is_up = self.tried.as_ref().map(Answer::is_up);
        is_up.unwrap_or(self.visitor.is_some()) && self.serves
    }

    /// Returns the stage that HAProxy's check reached with the lines.
    fn stage(&self) -> Stage {
        self.tried.as_ref().map_or(Stage::Call, Stage::of_answer)
    }

    /// Returns true if `sni-check serve` didn't run the check of these lines. HAProxy's answer then says
    /// nothing about the server.
    pub fn lacks_serve(&self) -> bool {
        let missed = match &self.tried {
            // `timeout check` in the lines is longer than the check's time limit, so L7TOUT means that serve
            // didn't answer.
            Some(Answer::Checked(checked)) => missed_serve(checked) || checked.status == "L7TOUT",
            _ => false,
        };
        self.kind == Kind::Served && (missed || self.refused_by_serve().is_some())
    }

    /// Returns HAProxy's answer if the code in it means that serve refused the request.
    fn refused_by_serve(&self) -> Option<&Checked> {
        let Some(Answer::Checked(checked)) = &self.tried else {
            return None;
        };
        let refused = [Code::Refused, Code::AtLimit].map(|code| code.number().to_string());
        (self.kind == Kind::Served && refused.contains(&checked.code)).then_some(checked)
    }

    /// Returns true if HAProxy refuses these lines.
    pub fn is_refused(&self) -> bool {
        matches!(self.tried, Some(Answer::Refused(_)))
    }

    /// Returns true if a visitor got an error or an incomplete response with these lines.
    pub fn fails_visitors(&self) -> bool {
        !self.serves
    }

    /// Returns the result of the trial in a few words.
    pub fn tried(&self) -> String {
        match &self.tried {
            None => match self.visitor {
                Some(visitor) => format!("tried: visitors get {}", visitor.status),
                None => "not tried".to_owned(),
            },
            Some(Answer::None) => "tried: no check finished in time".to_owned(),
            Some(Answer::Refused(said)) => format!("tried: HAProxy refuses these lines: {said}"),
            Some(Answer::Checked(checked)) if checked.up => match self.visitor {
                Some(visitor) if visitor.complete => {
                    format!("tried: check UP, visitors get {}", visitor.status)
                }
                Some(visitor) => {
                    format!(
                        "tried: check UP, visitors get an incomplete {}",
                        visitor.status
                    )
                }
                None => "tried: UP".to_owned(),
            },
            Some(Answer::Checked(checked)) if self.lacks_serve() => match self.refused_by_serve() {
                Some(_) => format!(
                    "not tried: sni-check serve refuses the check: {}",
                    checked.why
                ),
                None => format!(
                    "not tried: sni-check serve does not answer on its socket: {}",
                    checked.said()
                ),
            },
            Some(Answer::Checked(checked)) => format!("tried: DOWN, {}", checked.said()),
        }
    }
}
