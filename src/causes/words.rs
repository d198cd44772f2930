//! The placeholders of the sentences: the values that diagnose knows, and the general words of explain.

use std::net::SocketAddr;

use super::certificate::{
    expired_subject, namesake, old_root, other_name, unknown_issuer, wildcard,
};
use super::client_certificate::{client_issuer, expired_client};
use super::facts::{Facts, is_name};
use super::voice::Voice;
use super::{http, mixed, revocation, starttls, tls};
use crate::certificate::{days, in_days};
use crate::output::date::day;
use crate::plan::{Host, Target, USER_AGENT};
use crate::probe::connect::Address;

/// Every placeholder, with the general words that explain prints instead of a value.
const GENERAL: &[(&str, &str)] = &[
    ("and-host", ""),
    ("address", "ADDRESS"),
    ("agent", USER_AGENT),
    ("below", "an intermediate or the server's certificate"),
    ("buffer", "32768"),
    ("client-end", "some time ago"),
    ("client-issuer", "its issuer"),
    ("crl-file", "FILE"),
    ("crt", "FILE"),
    (
        "curl",
        concat!("curl --user-agent sni-check/", env!("CARGO_PKG_VERSION")),
    ),
    ("days", "DAYS"),
    ("dialled", "the address in the check's line"),
    ("endpoint", "ADDRESS:PORT"),
    ("field", "Accept"),
    ("handshakes-alike", ""),
    ("handshakes-answered", "some handshakes"),
    ("head", "31744"),
    ("host", "HOST"),
    ("issuer", "ISSUER"),
    ("left-out", "NAME"),
    (
        "lists",
        "--crl-file has no revocation list of an issuer in the chain, or that list has expired",
    ),
    ("lines", "the lines that sni-check diagnose prints"),
    ("location", "PATH"),
    ("looked-up", "NAME"),
    ("meant", "OTHER_NAME"),
    ("meant-ca-file", "@system-ca"),
    ("meant-file", "FILE"),
    ("meant-method", "GET"),
    ("meant-roots", "@system-ca or @bundled"),
    ("meant-value", "*/*"),
    ("meant-word", "FILE"),
    ("method", "METHOD"),
    ("mixed-bad", "sometimes it fails"),
    ("mixed-good", "sometimes the server is healthy"),
    ("name", "NAME"),
    ("name-evidence", ""),
    ("namesake", "ISSUER"),
    ("old-root", "ISSUER"),
    ("other", "another server in haproxy.cfg"),
    (
        "only-haproxy",
        "HAProxy's own check reaches this server, but sni-check can't check it (a limit of sni-check).",
    ),
    ("option", "--send-proxy or --send-proxy-v2"),
    ("other-roots", "a CA in @system-ca or @bundled"),
    ("own-check", "for example L7STS"),
    ("place", "FILE:LINE"),
    ("port", "PORT"),
    (
        "protocol",
        "SMTP, IMAP, POP3, FTP, LDAP, PostgreSQL or MySQL",
    ),
    (
        "protocol-check",
        "option smtpchk, option tcp-check, option ldap-check, option pgsql-check or option mysql-check",
    ),
    (
        "reload",
        "Reload HAProxy too: it reads files only when it starts.",
    ),
    ("roots", "--ca-file"),
    ("rule", "http-check expect rstring '(?i)TEXT'"),
    (
        "s-client",
        "openssl s_client -connect ADDRESS:PORT -servername NAME",
    ),
    ("setting", "SETTING"),
    ("set-header-rule", "http-request set-header"),
    ("short-answer", ""),
    ("sni", "NAME"),
    ("source", "ADDRESS"),
    ("status", "STATUS"),
    ("subject", "SUBJECT"),
    ("timeout", "1800 ms by default"),
    ("traffic-status", "an error"),
    ("uri", "PATH"),
    ("verify-host", "NAME"),
    ("visitor-field", "NAME"),
    ("visited", "another name"),
    ("visitor-host", "NAME"),
    ("visitor-status", "4xx or 5xx"),
    ("wanted", "a.b.example.com"),
    ("wildcard", "*.example.com"),
    ("word", "the same word without dashes"),
    ("presented", "other names"),
    ("presented-addresses", "for example 203.0.113.7"),
];

/// Returns the general words for a placeholder, or `None` if the placeholder doesn't exist.
fn general(placeholder: &str) -> Option<&'static str> {
    let mut all = GENERAL.iter();
    let found = all.find(|(name, _)| *name == placeholder);
    found.map(|(_, words)| *words)
}

/// Returns a sentence in the words of this voice, with a value or general words in place of each placeholder.
pub(super) fn fill(sentence: &str, voice: Voice, value: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let sentence = voice.speak(sentence);
    let mut rest = sentence.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        text += before;
        // `${VARIABLE}`, and a brace without a placeholder's name, stay as they are.
        let name = after
            .split_once('}')
            .filter(|(name, _)| general(name).is_some());
        match name.filter(|_| !before.ends_with('$')) {
            Some((name, tail)) => {
                let words = value(name).or_else(|| general(name).map(str::to_owned));
                text += &voice.words(&words.unwrap_or_default());
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

/// Returns false if the facts have no value for a placeholder of the sentence, and the general words for this
/// placeholder are only a stand-in, such as OTHER_NAME or FILE.
pub(super) fn knows_names(facts: &Facts, sentence: &str) -> bool {
    let names = sentence.split('{').skip(1);
    let names = names.filter_map(|rest| Some(rest.split_once('}')?.0));
    let is_stand_in = |words: &str| {
        let has = |is: fn(char) -> bool| words.chars().any(is);
        has(char::is_uppercase) && !has(char::is_lowercase)
    };
    let mut names = names.filter(|name| general(name).is_some_and(is_stand_in));
    names.all(|name| value(facts, name).is_some())
}

/// Returns the value of a placeholder, or `None` if the facts don't contain the value.
pub(super) fn value(facts: &Facts, placeholder: &str) -> Option<String> {
    let options = &facts.options;
    let plan = &facts.plan;
    let issuer = || unknown_issuer(facts);
    Some(match placeholder {
        "address" => dialled(facts)?.ip().to_string(),
        "agent" => http::agent(facts).unwrap_or("none").to_owned(),
        "below" => issuer()?.below?.to_owned(),
        "client-end" => {
            let end = expired_client(facts)?.not_after;
            let ago = in_days(days(facts.now.saturating_sub(end)));
            format!("on {} ({ago} ago)", day(end))
        }
        "client-issuer" => client_issuer(facts)?,
        "crl-file" => options.crl_file.join(", "),
        "crt" => options.crt.clone()?,
        "dialled" | "endpoint" => dialled(facts)?.to_string(),
        "handshakes-alike" => tls::alike(facts)?,
        "handshakes-answered" => tls::answered(facts),
        "host" => facts.host().to_owned(),
        "issuer" => issuer()?.issuer.to_owned(),
        "lines" => "the lines below".to_owned(),
        "lists" => revocation::problems(facts)?,
        "looked-up" => match &plan.target {
            Target::Tcp {
                host: Host::Name(name),
                ..
            } => name.clone(),
            _ => return None,
        },
        "method" => plan.request.method.to_string(),
        "mixed-bad" => mixed::find(facts)?.bad,
        "mixed-good" => mixed::find(facts)?.good,
        "left-out" => Some(plan.names.host.clone()).filter(|name| is_name(name))?,
        "name" => plan.names.host.clone(),
        "name-evidence" => tls::name_evidence(facts)?,
        "namesake" => namesake(facts)?,
        "old-root" => old_root(facts)?,
        "own-check" => {
            let haproxy = facts.haproxy.as_ref()?;
            match &haproxy.refused_response {
                Some(why) => why.clone(),
                None => haproxy.own_check.clone()?.err()?,
            }
        }
        "port" => dialled(facts)?.port().to_string(),
        "protocol" => starttls::name(facts)?.to_owned(),
        "protocol-check" => starttls::check(facts)?.to_owned(),
        "presented" | "presented-addresses" => other_name(facts)?.1.join(", "),
        "roots" => match facts.ca_files() {
            [] => "the bundled roots".to_owned(),
            files if options.ca_file.is_empty() => format!("ca-file {}", files.join(", ")),
            files => format!("--ca-file {}", files.join(", ")),
        },
        "s-client" => {
            let name = facts.sni().map(|name| format!(" -servername {name}"));
            let name = name.unwrap_or_else(|| " -noservername".to_owned());
            format!("openssl s_client -connect {}{name}", dialled(facts)?)
        }
        "short-answer" => {
            format!(
                "Only a short answer arrives: {}.",
                tls::short_answer(facts)?
            )
        }
        "sni" => facts.sni()?.to_owned(),
        "source" => plan.source?.ip().to_string(),
        "status" => facts.status()?.to_string(),
        "subject" => expired_subject(facts)?.to_owned(),
        "timeout" => format!("{} ms", plan.timeout.as_millis()),
        "traffic-status" => facts.haproxy.as_ref()?.traffic?.to_string(),
        "uri" => plan.request.uri.path().to_owned(),
        "verify-host" => options.verify_host.clone()?,
        "visitor-host" => facts.host().to_owned(),
        "visitor-status" => facts.haproxy.as_ref()?.failed_visitor?.0.to_string(),
        "wanted" => other_name(facts)?.0.clone(),
        "wildcard" => wildcard(facts)?.clone(),
        _ => return None,
    })
}

/// Returns the address and port that diagnose reached, or else the first address and port that it tried.
/// Returns `None` for a unix socket.
fn dialled(facts: &Facts) -> Option<SocketAddr> {
    let tried = facts.addresses.as_ref().ok();
    let first = tried.and_then(|tried| Some(&tried.first()?.0));
    match facts.reached.as_ref().or(first)? {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Voice, fill, general};

    #[test]
    fn placeholders_are_filled_and_variables_are_not() {
        let value = |name: &str| (name == "sni").then(|| "a.test".to_owned());
        assert_eq!(
            fill("{sni}: {host} ${sni} {x}", Voice::SniCheck, value),
            "a.test: HOST ${sni} {x}"
        );
        assert_eq!(general("sni"), Some("NAME"));
    }
}
