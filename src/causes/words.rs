//! The placeholders of the sentences: what diagnose knows, and the general words of explain.

use super::certificate::{
    expired_client, expired_subject, namesake, other_name, unknown_issuer, wildcard,
};
use super::facts::{Facts, is_name};
use super::{http, mixed, revocation, starttls, tls};
use crate::certificate::{days, in_days};
use crate::output::date::day;
use crate::plan::USER_AGENT;

/// Every placeholder, with the word that stands for it where nothing is known.
const GENERAL: [(&str, &str); 41] = [
    ("agent", USER_AGENT),
    ("below", "an intermediate or the server's certificate"),
    ("buffer", "32768"),
    ("client-end", "some time ago"),
    ("crl-file", "FILE"),
    ("crt", "FILE"),
    ("days", "DAYS"),
    ("handshakes-alike", ""),
    ("handshakes-answered", "some handshakes"),
    ("head", "31744"),
    ("host", "HOST"),
    ("issuer", "the issuer"),
    (
        "lists",
        "No list of --crl-file covers an issuer of the chain, or that list has expired",
    ),
    ("location", "PATH"),
    ("meant", "OTHER"),
    ("method", "METHOD"),
    ("mixed-bad", "once it fails"),
    ("mixed-good", "once the server is healthy"),
    ("name", "the SNI name"),
    ("name-evidence", ""),
    ("namesake", "the issuer"),
    ("option", "--send-proxy or --send-proxy-v2"),
    ("other-roots", "a CA that @system-ca or @bundled has"),
    ("own-check", "its status"),
    ("protocol", "SMTP, IMAP, LDAP, PostgreSQL or MySQL"),
    (
        "protocol-check",
        "option smtpchk, option tcp-check, option ldap-check, option pgsql-check or option mysql-check",
    ),
    ("roots", "--ca-file"),
    ("short-answer", "another question"),
    ("sni", "NAME"),
    ("source", "ADDRESS"),
    ("status", "STATUS"),
    ("subject", "its subject"),
    ("timeout", "1800 ms by default"),
    ("uri", "PATH"),
    ("verify-host", "NAME"),
    ("visitor-host", "another name"),
    ("visitor-status", "4xx or 5xx"),
    ("wanted", "a.b.example.com"),
    ("wildcard", "*.example.com"),
    ("word", "the same word without dashes"),
    ("presented", "other names"),
];

/// The general words for a placeholder.
fn general(placeholder: &str) -> Option<&'static str> {
    let mut all = GENERAL.iter();
    let found = all.find(|(name, _)| *name == placeholder);
    found.map(|(_, words)| *words)
}

/// A sentence in which each placeholder is replaced by its value, or by the general words.
pub(super) fn fill(sentence: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        text += before;
        // `${VARIABLE}` and a brace that no name follows are themselves.
        let name = after
            .split_once('}')
            .filter(|(name, _)| general(name).is_some());
        match name.filter(|_| !before.ends_with('$')) {
            Some((name, tail)) => {
                let words = value(name).or_else(|| general(name).map(str::to_owned));
                text += &words.unwrap_or_default();
                rest = tail;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text += rest;
    text.trim().to_owned()
}

/// What the facts say about a placeholder.
pub(super) fn value(facts: &Facts, placeholder: &str) -> Option<String> {
    let options = &facts.options;
    let plan = &facts.plan;
    let issuer = || unknown_issuer(facts);
    Some(match placeholder {
        "agent" => http::agent(facts)?.to_owned(),
        "below" => issuer()?.below?.to_owned(),
        "client-end" => {
            let end = expired_client(facts)?.not_after;
            let ago = in_days(days(facts.now.saturating_sub(end)));
            format!("on {} ({ago} ago)", day(end))
        }
        "crl-file" => options.crl_file.join(", "),
        "crt" => options.crt.clone()?,
        "handshakes-alike" => tls::alike(facts)?,
        "handshakes-answered" => tls::answered(facts),
        "host" => facts.host().to_owned(),
        "issuer" => issuer()?.issuer.to_owned(),
        "lists" => revocation::problems(facts)?,
        "method" => plan.request.method.to_string(),
        "mixed-bad" => mixed::find(facts)?.bad,
        "mixed-good" => mixed::find(facts)?.good,
        "meant" => Some(plan.names.host.clone()).filter(|name| is_name(name))?,
        "name" => plan.names.host.clone(),
        "name-evidence" => tls::name_evidence(facts)?,
        "namesake" => namesake(facts)?,
        "own-check" => facts.haproxy.as_ref()?.own_check.clone()?.err()?,
        "protocol" => starttls::name(facts)?.to_owned(),
        "protocol-check" => starttls::check(facts)?.to_owned(),
        "presented" => other_name(facts)?.1.join(", "),
        "roots" => match options.ca_file.as_slice() {
            [] => "the bundled roots".to_owned(),
            files => format!("--ca-file {}", files.join(", ")),
        },
        "short-answer" => tls::short_answer(facts)?,
        "sni" => facts.sni()?.to_owned(),
        "source" => plan.source?.ip().to_string(),
        "status" => facts.status()?.to_string(),
        "subject" => expired_subject(facts)?.to_owned(),
        "timeout" => format!("{} ms", plan.timeout.as_millis()),
        "uri" => plan.request.uri.path().to_owned(),
        "verify-host" => options.verify_host.clone()?,
        "visitor-host" => facts.host().to_owned(),
        "visitor-status" => facts.haproxy.as_ref()?.failed_visitor?.0.to_string(),
        "wanted" => other_name(facts)?.0.clone(),
        "wildcard" => wildcard(facts)?.clone(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{fill, general};

    #[test]
    fn placeholders_are_filled_and_variables_are_not() {
        let value = |name: &str| (name == "sni").then(|| "a.test".to_owned());
        assert_eq!(
            fill("{sni}: {host} ${sni} {x}", value),
            "a.test: HOST ${sni} {x}"
        );
        assert_eq!(general("sni"), Some("NAME"));
    }
}
