//! Decides when a check may exit 0. The rules come from the README, HAProxy's manual (`http-check
//! expect`) and RFC 9112, not from the program's source.

use crate::case::{Caller, Case, Certificate, End, Meaning, Peer, Rule, Subject};
use crate::message;
use crate::support::NAME;

/// Returns true if 0 can be correct.
pub fn may_be_up(case: &Case) -> bool {
    let Peer::Tls(certificate) = case.peer else {
        return false;
    };
    options_are_sane(case) && acceptable(case, certificate) && healthy(case)
}

/// Returns true if only 0 is correct, because the case has no fault and nothing unusual.
pub fn must_be_up(case: &Case) -> bool {
    may_be_up(case) && case.whole && case.end == End::InOrder && nothing_contradicts(case)
}

fn meanings(case: &Case) -> impl Iterator<Item = &Meaning> {
    case.options.iter().map(|option| &option.meaning)
}

fn has(case: &Case, wanted: fn(&Meaning) -> bool) -> bool {
    meanings(case).any(wanted)
}

fn options_are_sane(case: &Case) -> bool {
    let never = |meaning: &Meaning| {
        matches!(
            meaning,
            Meaning::Refused | Meaning::Elsewhere | Meaning::ProxyHeader
        )
    };
    let no_version = has(case, |m| matches!(m, Meaning::OnlyTls12))
        && has(case, |m| matches!(m, Meaning::OnlyTls13));
    // Without HAProxy's variables the check doesn't read PATH, so it doesn't trust these peers' CA.
    !(has(case, never) || no_version || case.caller == Caller::Bare)
}

/// Returns true if the options are complete, only repeatable options occur twice, and no two options
/// exclude each other. Otherwise the check may refuse the options.
fn nothing_contradicts(case: &Case) -> bool {
    let mut names: Vec<&str> = case
        .options
        .iter()
        .map(|option| option.words[0].split('=').next().unwrap_or_default())
        .filter(|name| !["--expect", "--header", "--ca-file"].contains(name))
        .collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    let both = |pair: [&str; 2]| pair.iter().all(|name| names.contains(name));
    let verify_none = has(case, |m| matches!(m, Meaning::VerifyNone));
    let trusts = has(case, |m| {
        matches!(m, Meaning::Trust(_) | Meaning::VerifyHost(_))
    });
    let head = has(case, |m| matches!(m, Meaning::Head));
    let hosts = case.options.iter().flat_map(|option| &option.words);
    let hosts = hosts.filter(|word| word.starts_with("Host:")).count();
    names.len() == count
        && ![
            ["--sni", "--no-sni"],
            ["--quiet", "--verbose"],
            ["--quiet", "--json"],
            ["--verbose", "--json"],
        ]
        .into_iter()
        .any(both)
        && !(verify_none && trusts)
        && !(head && (wants_body(case) || names.contains(&"--body")))
        && (wants_body(case) || !names.contains(&"--max-body"))
        && (case.caller != Caller::Haproxy("blue")
            || names.contains(&"--sni")
            || case.sni_host.is_some()
            || names.contains(&"--no-sni"))
        && hosts <= 1
}

/// Returns true if the check accepts the certificate: its chain, validity, use and name. Even with
/// `--verify none`, `--min-cert-days` has an effect.
fn acceptable(case: &Case, certificate: Certificate) -> bool {
    let days_left = match certificate {
        Certificate::Expired => 0,
        Certificate::Soon => 3,
        _ => 30,
    };
    let lasts = meanings(case).all(|meaning| match meaning {
        Meaning::MinDays(days) => days_left >= *days,
        _ => true,
    });
    if has(case, |m| matches!(m, Meaning::VerifyNone)) {
        return lasts;
    }
    let trusted = has(case, |m| matches!(m, Meaning::Trust(true)));
    let good = matches!(certificate, Certificate::Good | Certificate::Soon);
    lasts && trusted && good && verified_name_is_right(case)
}

/// Returns true if the certificate is for the verified name. The verified name is the first of
/// `--verify-host`, `--sni`, the URL's host, SNI_HOST, and a server name with a dot.
fn verified_name_is_right(case: &Case) -> bool {
    let given = |name: fn(&Meaning) -> Option<bool>| {
        let given: Vec<bool> = meanings(case).filter_map(name).collect();
        (!given.is_empty()).then(|| given.contains(&true))
    };
    let verify_host = given(|meaning| match meaning {
        Meaning::VerifyHost(right) => Some(*right),
        _ => None,
    });
    let sni = given(|meaning| match meaning {
        Meaning::Sni(right) => Some(*right),
        _ => None,
    });
    let url = match case.caller {
        Caller::ByHand(host) => Some(host == NAME),
        _ => None,
    };
    let server = match case.caller {
        Caller::Haproxy(server) => server == NAME,
        _ => false,
    };
    verify_host
        .or(sni)
        .or(url)
        .or(case.sni_host)
        .unwrap_or(server)
}

fn rules(case: &Case) -> impl Iterator<Item = &Rule> {
    meanings(case).filter_map(|meaning| match meaning {
        Meaning::Expect(rule) => Some(rule),
        _ => None,
    })
}

fn wants_body(case: &Case) -> bool {
    rules(case).any(|rule| matches!(rule.subject, Subject::Contains(_) | Subject::Begins(_)))
}

/// Returns true if the response meets the rules of `--expect`. Without a rule, the status must be
/// 200-399.
fn healthy(case: &Case) -> bool {
    let head_only = has(case, |m| matches!(m, Meaning::Head));
    let Some(response) = message::read(&case.says, case.end == End::InOrder, head_only) else {
        return false;
    };
    let limit = meanings(case).find_map(|meaning| match meaning {
        Meaning::MaxBody(size) => Some(*size),
        _ => None,
    });
    let limit = limit.unwrap_or(64 << 10);
    let cut = response.body.len() > limit;
    let body = &response.body[..response.body.len().min(limit)];
    // A rule is met as soon as the text is found. A negated rule can be decided only at the end of
    // the body.
    let absent = rules(case).any(|rule| {
        rule.negated && matches!(rule.subject, Subject::Contains(_) | Subject::Begins(_))
    });
    if absent && !response.complete || wants_body(case) && body.is_empty() {
        return false;
    }
    let default = (200..=399).contains(&response.status);
    (default || rules(case).next().is_some())
        && rules(case).all(|rule| match &rule.subject {
            Subject::Status(low, high) => {
                let hundred = low != high && response.status == 100;
                ((*low..=*high).contains(&response.status) || hundred) != rule.negated
            }
            Subject::StatusBegins(digit) => {
                response.status.to_string().starts_with(*digit) != rule.negated
            }
            Subject::Contains(text) => {
                let found = contains(body, text.as_bytes());
                found != rule.negated && !(rule.negated && cut)
            }
            Subject::Begins(text) => {
                body.starts_with(text.as_bytes()) != rule.negated && !(rule.negated && cut)
            }
            Subject::Header(name) => response.has(name, None) != rule.negated,
            Subject::HeaderValue(name, value) => response.has(name, Some(value)) != rule.negated,
        })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
