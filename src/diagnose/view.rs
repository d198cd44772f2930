//! HAProxy's view: the result of each kind of check for this server, in HAProxy's own words. If HAProxy is
//! installed, diagnose asks HAProxy. Otherwise, diagnose predicts the view.

use super::lines::{self, Setup};
use super::path::versions;
use crate::causes::facts::{Attempt, Facts};
use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::failure::Failure;
use crate::haproxy::ask::Answer;

/// The result of one kind of check.
pub(super) struct Row {
    /// The kind of check, described with words of haproxy.cfg.
    pub check: String,
    /// HAProxy's `check_status`, with `check_code` for the external check.
    pub status: String,
    /// HAProxy's reason if the server isn't UP. For the external check, the meaning of its code.
    pub why: String,
    /// True if this check reports UP.
    pub up: bool,
    pub role: Role,
}

/// The purpose of a kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A check without a request. It shows how far HAProxy's own checks get.
    Step,
    /// A handshake with the operator's options, but without verifying the certificate.
    Handshake,
    /// HAProxy's own check with the options of sni-check's check.
    Own,
    /// sni-check as an external check.
    External,
}

/// A kind of check in the view.
pub(super) struct Kind {
    /// The kind of check, described with words of haproxy.cfg.
    check: String,
    /// The backend in which HAProxy tries this check, without its `backend` line.
    pub question: String,
    /// The predicted result: the status, the reason, and true for UP. `None` if diagnose can't predict the
    /// result.
    predicted: Option<(String, String, bool)>,
    pub role: Role,
}

impl Kind {
    /// Returns the row of the view: HAProxy's answer, or the prediction if there is no answer.
    pub fn row(self, answer: Option<&Answer>) -> Option<Row> {
        let is_external = self.role == Role::External;
        let (status, why, up) = match answer {
            Some(answer) => shown(answer, is_external),
            None => self.predicted?,
        };
        Some(Row {
            check: self.check,
            status,
            why,
            up,
            role: self.role,
        })
    }
}

/// Returns the status, the reason, and true for UP.
fn shown(answer: &Answer, is_external: bool) -> (String, String, bool) {
    match answer {
        Answer::Checked(checked) if is_external => {
            let code = checked.code.parse().ok().and_then(Code::from_number);
            let meaning = code.map_or(String::new(), |code| code.meaning().to_owned());
            let status = format!("{} {}", checked.status, checked.code);
            (status.trim_end().to_owned(), meaning, checked.up)
        }
        Answer::Checked(checked) => (checked.status.clone(), checked.why.clone(), checked.up),
        Answer::Refused(said) => {
            let why = format!("HAProxy refuses these words: {said}");
            ("-".to_owned(), why, false)
        }
        Answer::None => {
            let why = "no check finished in time".to_owned();
            ("-".to_owned(), why, false)
        }
    }
}

/// Returns the kinds of check in the view. The list is empty if the server has no address.
pub(super) fn kinds(facts: &Facts) -> Vec<Kind> {
    let addresses = facts.addresses.as_ref().map_or(&[][..], Vec::as_slice);
    let reached = addresses
        .iter()
        .find(|(address, _)| Some(address) == facts.reached.as_ref());
    let Some((address, connected)) = reached.or_else(|| addresses.first()) else {
        return Vec::new();
    };
    let setup = Setup::as_asked(facts, address);
    let mut kinds = vec![own(&setup, "check", "", layer(connected, "L4OK", &[]))];
    if let Some(tls) = &facts.tls {
        let name = facts.sni();
        let mut handshakes = vec![(String::new(), &tls.bare, &tls.bare_faults)];
        handshakes.extend(name.map(|name| {
            let words = format!(" check-sni {name}");
            (words, &tls.named, tls.haproxy_faults())
        }));
        let required = lines::verify_words(&facts.options, facts.options.verify_host.as_deref());
        for (words, attempt, faults) in handshakes {
            for (verify, files, faults) in [
                ("none", " verify none", &Vec::new()),
                ("required", required.as_str(), faults),
            ] {
                let check = format!("check ssl{words} verify {verify}");
                let words = format!(" ssl{words}{files}");
                let mut kind = own(&setup, &check, &words, layer(attempt, "L6OK", faults));
                if verify == "none" && check.contains("check-sni") == name.is_some() {
                    kind.role = Role::Handshake;
                }
                kinds.push(kind);
            }
        }
        let name = name.map_or(String::new(), |name| format!(" check-sni {name}"));
        if facts.plan.handshake_only {
            // The operator's check sends no request, so it is the same as the last handshake.
            if let Some(kind) = kinds.last_mut() {
                kind.role = Role::Own;
            }
        } else {
            let check =
                format!("option httpchk with these options, check ssl{name} verify required");
            kinds.push(Kind {
                check,
                question: lines::builtin(&setup),
                predicted: None,
                role: Role::Own,
            });
        }
    }
    kinds.push(external(facts, &setup));
    kinds
}

/// Returns HAProxy's own check without a request. `words` are the words about TLS for the server line.
fn own(setup: &Setup<'_>, check: &str, words: &str, predicted: (&str, String, bool)) -> Kind {
    let (plan, options) = (setup.plan, setup.options);
    let mut words = words.to_owned();
    if !words.is_empty() {
        words += &lines::material_words(options);
        for (word, version) in versions(options) {
            words += &format!(" {word} {version}");
        }
    }
    let address = setup.servers.first().map_or("", String::as_str);
    let (status, why, up) = predicted;
    Kind {
        check: check.to_owned(),
        question: format!(
            "    server s1 {address}{words}{} check\n",
            lines::connection_words(plan, options)
        ),
        predicted: Some((status.to_owned(), why, up)),
        role: Role::Step,
    }
}

/// Returns the external check with the operator's options.
fn external(facts: &Facts, setup: &Setup<'_>) -> Kind {
    let code = facts.code();
    let status = match code {
        Code::Healthy => "PROCOK",
        _ => "PROCERR",
    };
    Kind {
        check: "external-check with these options".to_owned(),
        question: lines::external(setup),
        predicted: Some((
            format!("{status} {}", code.number()),
            code.meaning().to_owned(),
            code == Code::Healthy,
        )),
        role: Role::External,
    }
}

fn layer(
    attempt: &Attempt,
    good: &'static str,
    faults: &[CertificateFailure],
) -> (&'static str, String, bool) {
    match (&attempt.result, faults) {
        (Err(failure), _) => (failure.code().haproxy_word(), words(failure), false),
        (Ok(_), []) => (good, String::new(), true),
        (Ok(_), [CertificateFailure::OtherName { .. }, ..]) => {
            ("L6RSP", OTHER_NAME.to_owned(), false)
        }
        (Ok(_), _) => ("L6RSP", HANDSHAKE.to_owned(), false),
    }
}

/// HAProxy's message about a valid certificate for another name.
const OTHER_NAME: &str = "Server presented an SSL certificate different from the expected one";

/// HAProxy's message about other failed handshakes, except time-outs.
const HANDSHAKE: &str = "SSL handshake failure";

/// Returns the text that HAProxy shows in `last_chk` for this failure. For a time-out, HAProxy shows no text.
fn words(failure: &Failure) -> String {
    match failure.code().haproxy_word() {
        "L6RSP" => HANDSHAKE.to_owned(),
        "L4CON" => {
            let text = failure.to_string();
            let (first, rest) = text.split_at_checked(1).unwrap_or_default();
            first.to_uppercase() + rest
        }
        _ => String::new(),
    }
}
