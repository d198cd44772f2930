//! `--expect`: the response isn't what the check expects.

use super::cause::{Cause, Place, Trial, Weight, at};
use super::facts::Facts;
use crate::code::Code;
use crate::failure::Failure;
use crate::options::expect::{Expectation, Part};
use crate::options::values::Size;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "expectation-wrong",
        shows_as: &[at(Code::Body, 1), at(Code::Header, 1)],
        place: Place::Value,
        what: "The page is right, but --expect doesn't match it. The difference may be in upper and lower case, line ends, compression or language. hdr compares each comma-separated element, and fhdr compares the whole value. Both need an exact match unless -m says otherwise.",
        confirm: "Request the page ({curl} --include URL) and compare it with --expect letter by letter.",
        change: "Correct <--expect, for example 'hdr name Via value -m sub cache'|http-check expect, for example hdr name Via value -m sub cache>.",
        weigh: |facts| match facts.failure() {
            Some(Failure::Body { .. } | Failure::Header { .. }) => Weight::Possible,
            _ => Weight::RuledOut,
        },
        ..Cause::BASE
    },
    Cause {
        id: "expectation-in-other-case",
        shows_as: &[
            at(Code::Body, 9),
            at(Code::Header, 6),
            at(Code::ResponseClosed, 17),
        ],
        place: Place::Config,
        what: "The response contains what --expect looks for, but with different upper and lower case.",
        confirm: "Request the page and read it: {curl} --include URL",
        change: "Write the text in http-check expect< (--expect)|> as the server sends it, or ignore the case: {rule}.",
        weigh: |facts| Weight::Possible.when(in_any_case(facts).is_some()),
        trials: |facts| in_any_case(facts).into_iter().collect(),
        ..Cause::BASE
    },
    Cause {
        id: "another-site-answers",
        shows_as: &[at(Code::Body, 2), at(Code::Header, 2)],
        place: Place::Value,
        what: "The response comes from another site, a login or maintenance page, a captive portal, or a proxy in front of the server.",
        confirm: "Request the page and read it: {curl} URL. sni-check diagnose --verbose shows the Server header and whether the response depends on Host.",
        change: "<Use --header 'Host: NAME', or correct --uri|Correct hdr Host or uri in http-check send,> or the server line's address.",
        weigh: |facts| match facts.failure() {
            Some(Failure::Body { .. } | Failure::Header { .. }) => Weight::Possible,
            _ => Weight::RuledOut,
        },
        ..Cause::BASE
    },
    Cause {
        id: "body-compressed",
        shows_as: &[at(Code::Body, 10)],
        what: "The server compresses the body (header Content-Encoding), though the check doesn't ask for that. HAProxy and sni-check look for the text in the compressed bytes.",
        confirm: "{curl} --include URL shows Content-Encoding.",
        change: "Let the server compress only for clients that send Accept-Encoding. Or expect a status or a header< (--expect)|> instead of text.",
        weigh: |facts| {
            let encoded = facts
                .answers
                .as_ref()
                .and_then(|answers| answers.encoded.as_ref());
            let by_body = matches!(facts.failure(), Some(Failure::Body { .. }));
            Weight::Likely.when(by_body && encoded.is_some_and(|attempt| attempt.result.is_ok()))
        },
        ..Cause::BASE
    },
    Cause {
        id: "response-without-body",
        shows_as: &[at(Code::Body, 4)],
        place: Place::Value,
        what: "The response has no body (204 or a redirect, for example). Then no rule about the body holds, not even a negated rule.",
        confirm: "The check's line says `no response body`.",
        change: "Check a page that has a body< (--uri)|>, or expect only a status< (--expect)|>.",
        weigh: |facts| Weight::Proved.when(matches!(facts.failure(), Some(Failure::NoBody { .. }))),
        ..Cause::BASE
    },
    Cause {
        id: "text-too-late",
        shows_as: &[at(Code::Body, 6)],
        place: Place::Config,
        what: "The text comes after the part of the body that the check reads< (--max-body, 64k by default)|>. HAProxy's own check reads only its buffer (tune.bufsize, 16 kB).",
        confirm: "The check's line says that the check read only the first bytes of the body.",
        change: "Raise --max-body, or check a smaller page.",
        weigh: |facts| Weight::Possible.when(is_cut_short(facts)),
        trials: |facts| match is_cut_short(facts) {
            true => vec![Trial::new(facts, |options| {
                options.max_body = Some(Size(1 << 20))
            })],
            false => Vec::new(),
        },
        ..Cause::BASE
    },
    Cause {
        id: "pattern-too-costly",
        shows_as: &[at(Code::Body, 5), at(Code::Header, 5), at(Code::Status, 23)],
        place: Place::Value,
        what: "The regular expression needs more time or memory than sni-check allows (a limit of sni-check).",
        confirm: "The check's line says `limit of sni-check`.",
        change: "Simplify --expect: write [\\s\\S]* instead of (.|\\n)*, and plain text instead of nested repetitions.",
        weigh: |facts| {
            Weight::Proved.when(matches!(facts.failure(), Some(Failure::Undecided { .. })))
        },
        ..Cause::BASE
    },
    Cause {
        id: "application-reports-problem",
        shows_as: &[at(Code::Body, 3)],
        what: "The application reports a problem in the body, although the status is good.",
        confirm: "Request the page and read it: {curl} URL",
        change: "Fix the problem that the application reports.",
        weigh: |facts| Weight::Possible.when(matches!(facts.failure(), Some(Failure::Body { .. }))),
        ..Cause::BASE
    },
    Cause {
        id: "status-not-expected",
        shows_as: &[at(Code::Status, 22)],
        place: Place::Value,
        what: "The server answers with a good status, but --expect requires another status.",
        confirm: "The check's line shows both statuses.",
        change: "Correct --expect, or check another page< (--uri)|>.",
        weigh: |facts| {
            let is_good = matches!(facts.status(), Some(100..=399));
            Weight::Likely.when(is_good && facts.expects_other_status())
        },
        ..Cause::BASE
    },
    Cause {
        id: "page-without-end",
        shows_as: &[at(Code::ResponseTimeout, 3)],
        place: Place::Value,
        what: "The page never ends (it is a stream), and an expectation reads its body.",
        confirm: "The check's line says `timed out while reading the response body`.",
        change: "Check another page< (--uri)|>, or expect only a status< (--expect)|>.",
        weigh: |facts| {
            let read = matches!(
                facts.failure(),
                Some(Failure::ResponseTimeout { head_read: true })
            );
            Weight::Possible.when(read)
        },
        ..Cause::BASE
    },
];

fn is_cut_short(facts: &Facts) -> bool {
    matches!(
        facts.failure(),
        Some(Failure::Body {
            cut_at: Some(_),
            ..
        })
    )
}

/// Returns a trial in which the expectation that isn't met ignores upper and lower case. `None` if the check
/// failed for another reason, or if the expectation can't ignore case.
fn in_any_case(facts: &Facts) -> Option<Trial> {
    let mut rules = facts.options.expect.iter();
    let at = match facts.failure()? {
        Failure::Body { expected, .. } | Failure::Header { expected, .. } => {
            rules.position(|rule| rule.to_string() == *expected)?
        }
        // The connection ended before the check found the text.
        _ if facts.code() == Code::ResponseClosed => {
            rules.position(|rule| rule.part() == Part::Body)?
        }
        _ => return None,
    };
    let rule = facts.options.expect.get(at)?.in_any_case()?;
    let text = format!("http-check expect {rule}");
    let trial = Trial::new(facts, |options| options.expect[at] = rule);
    Some(trial.with("rule", text))
}

/// Returns a trial in which the check expects this status. Returns no trial if a text or a header is missing,
/// because the check would still fail.
pub(super) fn accept(facts: &Facts, status: u16) -> Vec<Trial> {
    let rule = format!("status {status}").parse::<Expectation>();
    let Some(rule) = rule.ok().filter(|_| facts.expects_other_status()) else {
        return Vec::new();
    };
    let trial = Trial::new(facts, |options| {
        options.expect.retain(|rule| rule.part() != Part::Status);
        options.expect.push(rule);
    });
    vec![trial]
}
