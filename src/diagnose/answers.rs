//! Requests beside the check's own.

use std::time::{Duration, Instant};

use ureq::http::{HeaderName, HeaderValue, Method, header};

use super::attempts::{Attempt, source};
use super::beside::beside;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::plan::{DEFAULTS, Plan, Request, Tls};
use crate::probe::connect::Address;
use crate::probe::{Examined, Response, Seen, Trial};

/// What the server answers.
pub(super) struct Answers {
    /// The response to the check's own request, and what came of each expectation.
    pub asked: Result<(Response, Examined), Failure>,
    pub took: Option<Duration>,
    /// The same request with the address as Host, as from somebody who knows no name.
    pub address_as_host: Attempt,
    /// The same with the SNI name as Host, where `--header` gives another.
    pub name_as_host: Option<Attempt>,
    /// Headers and body of the user were left out, because the certificate is not trusted.
    pub withheld: bool,
}

impl Answers {
    /// Asks a server, whose certificate may not be trusted.
    pub fn gather(plan: &Plan, address: &Address, untrusted: bool) -> Option<Answers> {
        if !is_repeatable(plan) || plan.handshake_only {
            return None;
        }
        let withheld = untrusted && has_secrets(&plan.request);
        let request = for_peer(&plan.request, withheld);
        let with_host = |host: &str| {
            let mut request = request.clone();
            let host = HeaderValue::from_str(host).ok()?;
            request.headers.retain(|(name, _)| name != header::HOST);
            request.headers.push((header::HOST, host));
            request.expectations.clear();
            request.max_body = 0;
            Some(request)
        };
        let elsewhere = with_host(&address.to_string())?;
        let by_name = with_host(&plan.names.host).filter(|_| host(plan) != plan.names.host);
        let rules = Tls {
            verification: plan.tls.verification.clone().filter(|_| !untrusted),
            min_cert_days: None,
            ..plan.tls.clone()
        };
        let trial = Trial {
            tls: &rules,
            source: source(plan),
            ..Trial::of(plan)
        };
        let run = |request| {
            let request = Some(request);
            Attempt::run(Trial { request, ..trial }, address, plan.timeout)
        };
        let mut seen = Seen::default();
        let mut asked = Err(Failure::Internal("not tried".to_owned()));
        let (mut address_as_host, mut name_as_host) = (Attempt::none(), None);
        beside(vec![
            Box::new(|| {
                let deadline = Deadline::new(Instant::now(), plan.timeout);
                let addresses = std::slice::from_ref(address);
                asked = trial.examine(&request, addresses, deadline, &mut seen);
            }),
            Box::new(|| address_as_host = run(&elsewhere)),
            Box::new(|| name_as_host = by_name.as_ref().map(run)),
        ]);
        Some(Answers {
            asked,
            took: seen.times.response,
            address_as_host,
            name_as_host,
            withheld,
        })
    }

    /// Whether the server answers something else to another Host; unknown where it answers nothing.
    pub fn host_matters(&self) -> Option<bool> {
        let (asked, _) = self.asked.as_ref().ok()?;
        let others = [Some(&self.address_as_host), self.name_as_host.as_ref()];
        let mut others = others.into_iter().flatten();
        Some(others.any(|other| !matches!(&other.result, Ok(Some(answer)) if answer == asked)))
    }
}

/// Whether the check's request may be sent more than once.
pub(super) fn is_repeatable(plan: &Plan) -> bool {
    if plan.handshake_only {
        return true;
    }
    let repeatable = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE];
    repeatable.contains(&plan.request.method)
}

/// The check's Host.
pub(super) fn host(plan: &Plan) -> &str {
    let mut headers = plan.request.headers.iter();
    let host = headers.find(|(name, _)| name == header::HOST);
    host.and_then(|(_, value)| value.to_str().ok())
        .unwrap_or_default()
}

/// How a server behind a proxy learns that visitors use HTTPS.
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Header fields whose value is not a secret.
const HARMLESS: [HeaderName; 5] = [
    FORWARDED_PROTO,
    header::HOST,
    header::ACCEPT,
    header::USER_AGENT,
    header::CONNECTION,
];

/// The value of a header that may be shown; every other one may be a secret.
pub(super) fn harmless<'a>(name: &HeaderName, value: &'a HeaderValue) -> Option<&'a str> {
    let shown = HARMLESS.contains(name).then(|| value.to_str().ok());
    shown.flatten()
}

/// Whether the operator chose this value, of a field that may be shown and is neither Host nor about
/// HTTPS.
pub(super) fn is_chosen(name: &HeaderName, value: &str) -> bool {
    let mut defaults = DEFAULTS.iter();
    defaults.any(|(known, default)| known == name && *default != value)
}

/// A field's name as people write it.
pub(super) fn title(name: &HeaderName) -> &str {
    match *name {
        header::USER_AGENT => "User-Agent",
        header::ACCEPT => "Accept",
        header::CONNECTION => "Connection",
        _ => name.as_str(),
    }
}

fn has_secrets(request: &Request) -> bool {
    let mut headers = request.headers.iter();
    !request.body.is_empty() || headers.any(|(name, _)| !HARMLESS.contains(name))
}

/// The request. For a peer that is not trusted it is without what the user added, and so without
/// what the response to that must be.
fn for_peer(request: &Request, withheld: bool) -> Request {
    let mut request = request.clone();
    if withheld {
        request.headers.retain(|(name, _)| HARMLESS.contains(name));
        request.body.clear();
        request.expectations.clear();
        request.max_body = 0;
    }
    request
}
