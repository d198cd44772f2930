//! Facts about a server, without judgement. diagnose gathers the facts, and the causes weigh them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use ureq::http::{HeaderName, HeaderValue, Method, header};

use super::voice::Voice;
use crate::certificate::{CertificateFailure, Parts};
use crate::code::{Code, Layer};
use crate::failure::Failure;
use crate::options::Options;
use crate::options::values::Verify;
use crate::plan::{Plan, Trust};
pub use crate::probe::Verdict as Attempt;
use crate::probe::connect::Address;
use crate::probe::{Examined, Response, Seen};

/// Everything that diagnose found out about a server.
pub struct Facts {
    /// The check that was run.
    pub plan: Plan,
    /// The options that the plan was made from.
    pub options: Options,
    /// The result of the check itself, with these options.
    pub verdict: Attempt,
    /// How long resolving took.
    pub resolve: Duration,
    /// Each tried address with the result of connecting, or why there is no address.
    pub addresses: Result<Vec<(Address, Attempt)>, Failure>,
    /// How many of the name's addresses diagnose didn't try.
    pub untried: usize,
    /// The first address that accepted a connection. `tls`, `answers`, `plain` and `hangs_up` are about this
    /// address.
    pub reached: Option<Address>,
    /// The handshakes. `None` if no address accepted a connection, or if these facts describe a check that
    /// succeeded with changed options.
    pub tls: Option<Handshakes>,
    /// The server's answers to requests. `None` if diagnose sent no further request: for example, because no
    /// handshake with the check's settings succeeded, or because the check's response had already timed out.
    pub answers: Option<Answers>,
    /// The answer to a request without TLS. `None` if diagnose sent no such request (for example, because a
    /// handshake succeeded), or if the answer was not HTTP.
    pub plain: Option<Plain>,
    /// True if the server also closes an idle connection. diagnose tests this only if all handshakes fail and
    /// the server closes the connection during the handshake with the check's settings. `None` if diagnose
    /// didn't test it.
    pub hangs_up: Option<bool>,
    /// The name's other addresses that accepted a connection, each with the result of the same check there.
    pub elsewhere: Vec<(Address, Attempt)>,
    /// HAProxy's answers. `None` if diagnose hasn't asked HAProxy, or has found no HAProxy.
    pub haproxy: Option<HaproxyFacts>,
    pub origin: Origin,
    /// The causes whose trials didn't help.
    pub refuted: Vec<Refuted>,
    /// The current time, since the Unix epoch.
    pub now: Duration,
}

/// What haproxy.cfg says about the check, in addition to its options.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Values from elsewhere in haproxy.cfg that may also be right for this server.
    pub known_values: Arc<[KnownValue]>,
    pub voice: Voice,
}

/// A value that haproxy.cfg has for another server or another purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownValue {
    /// sni-check's option for this value.
    pub option: &'static str,
    pub value: String,
    /// The value as haproxy.cfg writes it, for example the name of a client certificate in a `crt-store`.
    pub word: String,
    /// The file with the private key of a client certificate, if the key isn't in the file `value`.
    pub key: Option<String>,
    /// Where the value comes from, for messages: a server (`be/s2`), a phrase such as `visitors'
    /// connections`, or the start of the line in haproxy.cfg that adds a header.
    pub of: String,
}

impl KnownValue {
    /// Returns true if visitors use the value.
    pub fn is_of_visitors(&self) -> bool {
        self.of.starts_with("visitors'")
    }
}

/// A cause whose trials didn't help.
#[derive(Clone, Copy, Debug)]
pub struct Refuted {
    pub id: &'static str,
    /// True if every trial failed with the same code as the unchanged check.
    pub alike: bool,
}

impl Attempt {
    /// Returns a placeholder for an attempt that wasn't made.
    pub fn none() -> Attempt {
        Attempt {
            result: Err(Failure::Internal("not tried".to_owned())),
            seen: Seen::default(),
        }
    }
}

/// Everything that is wrong with a chain.
pub type Faults = Vec<CertificateFailure>;

/// Handshakes that accept every certificate, so that a bad certificate hides no other problem.
pub struct Handshakes {
    /// With the check's own settings.
    pub named: Attempt,
    /// Without SNI.
    pub bare: Attempt,
    /// With only TLS 1.2.
    pub tls12: Attempt,
    /// With only TLS 1.3.
    pub tls13: Attempt,
    /// With a made-up name, which no server has.
    pub made_up: Attempt,
    /// With HTTP/2 as the only protocol that ALPN offers.
    pub http2: Attempt,
    /// The roots with which diagnose judges the chain: the check's roots, or with `--verify none` the roots
    /// from [`ca_files`]. `None` if there is no name to verify.
    pub trust: Option<Arc<Trust>>,
    /// The faults of the chain, judged with the roots in `trust`. Empty if there is no name to verify.
    pub faults: Faults,
    /// The faults of the chain, judged with the system's roots. `None` if the host has no such roots, if the
    /// operator chose roots other than `@bundled`, or if there is no name to verify.
    pub system_faults: Option<Faults>,
    /// The faults of the chain that the server sends without SNI. A wrong name is not among them, because
    /// without SNI HAProxy verifies a name only if the server line has `verifyhost`.
    pub bare_faults: Faults,
    /// Other chains that the server sent for the same name, each with its faults.
    pub others: Vec<(Vec<CertificateDer<'static>>, Faults)>,
}

/// What a server does with a client that sends no SNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SniNeed {
    /// The server refuses the handshake.
    Required,
    /// The server sends a certificate different from the one that it sends with SNI.
    OtherCertificate,
    /// The server sends the same certificate as with SNI.
    None,
}

impl SniNeed {
    /// Returns the value of `sni_needed` in the JSON object.
    pub fn word(self) -> &'static str {
        match self {
            SniNeed::Required => "required",
            SniNeed::OtherCertificate => "other certificate",
            SniNeed::None => "no",
        }
    }
}

impl Handshakes {
    /// Returns what HAProxy would find wrong with the chain. HAProxy uses the system's roots unless the
    /// operator names a file.
    pub fn haproxy_faults(&self) -> &Faults {
        self.system_faults.as_ref().unwrap_or(&self.faults)
    }

    /// Returns what the server does without SNI, or `None` if the check's own handshake fails.
    pub fn sni_need(&self) -> Option<SniNeed> {
        match (&self.named.result, &self.bare.result) {
            (Ok(_), Err(_)) => Some(SniNeed::Required),
            (Ok(_), Ok(_)) if !self.is_sent_with_name(self.bare.seen.chain.first()) => {
                Some(SniNeed::OtherCertificate)
            }
            (Ok(_), Ok(_)) => Some(SniNeed::None),
            (Err(_), _) => None,
        }
    }

    fn is_sent_with_name(&self, leaf: Option<&CertificateDer<'_>>) -> bool {
        let others = self.others.iter().map(|(chain, _)| chain.first());
        let mut with_name = others.chain([self.named.seen.chain.first()]);
        with_name.any(|shown| shown == leaf)
    }

    /// Returns true if the server sends the same certificate for a made-up name as for the check's name.
    pub fn is_default_certificate(&self) -> bool {
        let leaf = |attempt: &Attempt| attempt.seen.chain.first().cloned();
        self.made_up.result.is_ok() && leaf(&self.named) == leaf(&self.made_up)
    }

    /// Returns true if the server accepted HTTP/2 by ALPN.
    pub fn speaks_http2(&self) -> bool {
        self.http2.seen.alpn.as_deref() == Some("h2")
    }

    /// Returns all handshakes except the one that offers HTTP/2.
    pub fn all(&self) -> [&Attempt; 5] {
        [
            &self.named,
            &self.bare,
            &self.tls12,
            &self.tls13,
            &self.made_up,
        ]
    }

    /// Returns true if the server answered a handshake in TLS, even if only to refuse the handshake.
    pub fn is_answered_in_tls(&self) -> bool {
        self.all().iter().any(|attempt| match &attempt.result {
            Ok(_) => true,
            Err(failure) => matches!(
                failure,
                Failure::ClientCertificate { .. }
                    | Failure::NameRefused { .. }
                    | Failure::HandshakeRefused(_)
                    | Failure::NothingInCommon(_)
                    | Failure::OtherVersion(_)
                    | Failure::UnsafeRenegotiation
                    | Failure::TlsLimit(_)
            ),
        })
    }

    /// Returns true if any of the handshakes in `all` succeeded.
    pub fn any_succeeded(&self) -> bool {
        self.all().iter().any(|attempt| attempt.result.is_ok())
    }
}

/// The server's answers to requests.
pub struct Answers {
    /// The response to the check's own request with the result of each expectation, or why there was no
    /// response.
    pub asked: Result<(Response, Examined), Failure>,
    /// How long the request and the response took. `None` if no request was sent.
    pub took: Option<Duration>,
    /// The check's request with the address as Host. `None` if the request may change something on the
    /// server.
    pub address_as_host: Option<Attempt>,
    /// The check's request with the SNI name as Host. `None` if the check's request already has this Host, or
    /// if the request may change something on the server.
    pub name_as_host: Option<Attempt>,
    /// The check's request, judged by the part of the body that HAProxy reads by default. `None` if no
    /// expectation is about the body, if the check reads no more than HAProxy, or if the request may change
    /// something on the server.
    pub in_buffer: Option<Attempt>,
    /// The check's request, with `hdr name Content-Encoding` as its only expectation. `None` if no
    /// expectation is about the body, or if the request may change something on the server.
    pub encoded: Option<Attempt>,
    /// True if diagnose left out the body, the expectations, and the headers that may be secret, because the
    /// certificate isn't trusted.
    pub withheld: bool,
}

impl Answers {
    /// Returns true if the response depends on Host. `None` if the server doesn't respond, or if no
    /// other Host was tried.
    pub fn host_matters(&self) -> Option<bool> {
        let (asked, _) = self.asked.as_ref().ok()?;
        let others = [self.address_as_host.as_ref()?].into_iter();
        let mut others = others.chain(&self.name_as_host);
        Some(others.any(|other| !matches!(&other.result, Ok(Some(answer)) if answer == asked)))
    }
}

/// A port's response to a request without TLS.
pub struct Plain {
    pub status: u16,
    /// Where a redirect points.
    pub location: Option<String>,
    /// True if the page says that the port expects TLS.
    pub wants_tls: bool,
}

impl Plain {
    /// Returns true if the port itself serves the site: the status is good, and the response doesn't redirect
    /// to HTTPS.
    pub fn is_site(&self) -> bool {
        (200..400).contains(&self.status) && !self.points_to_https()
    }

    /// Returns true if the response redirects to HTTPS.
    pub fn points_to_https(&self) -> bool {
        let location = self.location.as_deref().unwrap_or_default();
        location.to_ascii_lowercase().starts_with("https:")
    }
}

/// How HAProxy's own check talks to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In the same way as sni-check.
    Https,
    /// With the User-Agent and Accept of sni-check.
    WithAgent,
    /// Without TLS.
    PlainHttp,
    /// With TLS versions and ciphers that are no longer safe.
    OldTls,
    /// Over HTTP/2.
    Http2,
}

/// What HAProxy's own check rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Certificate,
    Name,
    Response,
}

/// HAProxy's answers about a server.
#[derive(Clone, Debug)]
pub struct HaproxyFacts {
    /// The result of HAProxy's own check with the same options as sni-check. The text of a failure has
    /// HAProxy's status and reason. `None` if HAProxy didn't run this check.
    pub own_check: Option<Result<(), String>>,
    /// True if HAProxy's handshake with the check's SNI name succeeds when HAProxy accepts every certificate.
    pub handshake: bool,
    /// The status that a visitor got, and true if the response was complete. `None` unless the check is UP
    /// and the visitor wasn't served.
    pub failed_visitor: Option<(u16, bool)>,
    /// The way in which HAProxy's own check is UP or gets a response, if this way differs from sni-check's.
    pub way: Option<Way>,
    /// The status that visitors get with the current haproxy.cfg, if the check is UP and visitors aren't
    /// served.
    pub traffic: Option<u16>,
    /// Why HAProxy's own check doesn't accept the response, if sni-check itself gets no response to judge.
    pub refused_response: Option<String>,
    /// The status of the response in `refused_response`, if the check didn't expect this status.
    pub refused_status: Option<u16>,
}

impl Facts {
    /// Returns the exit code.
    pub fn code(&self) -> Code {
        self.verdict.code()
    }

    /// Returns the known values for this option.
    pub fn known<'a>(&'a self, option: &'a str) -> impl Iterator<Item = &'a KnownValue> {
        let values = self.origin.known_values.iter();
        values.filter(move |known| known.option == option)
    }

    /// Returns the CA files with which diagnose judges the chain (see [`ca_files`]).
    pub fn ca_files(&self) -> &[String] {
        ca_files(&self.options, &self.origin.known_values)
    }

    /// Returns why the check is DOWN, or `None` if it is UP.
    pub fn failure(&self) -> Option<&Failure> {
        self.verdict.result.as_ref().err()
    }

    /// Returns the unexpected status, or `None` if the check is UP or failed for another reason. If only
    /// HAProxy's own check gets a response, the status is from this response.
    pub fn status(&self) -> Option<u16> {
        let own = self.unexpected().map(|(status, _)| status);
        own.or_else(|| self.haproxy.as_ref()?.refused_status)
    }

    /// Returns where an unexpected redirect points.
    pub fn redirect(&self) -> Option<&str> {
        let (status, location) = self.unexpected()?;
        location.filter(|_| (300..400).contains(&status))
    }

    fn unexpected(&self) -> Option<(u16, Option<&str>)> {
        let rules = &self.plan.request.expectations;
        self.failure()?.unexpected_status(rules)
    }

    /// Returns true if the check fails because it expects another status. Returns false if the check fails
    /// because a text or a header is missing, even if the status is unexpected, too.
    pub fn expects_other_status(&self) -> bool {
        matches!(self.failure(), Some(Failure::Status { .. }))
    }

    /// Returns the code whose causes explain the failure. An unexpected status explains why a response lacks
    /// the text or the header that the check looks for.
    pub fn explaining_code(&self) -> Code {
        match self.unexpected() {
            Some(_) => Code::Status,
            None => self.code(),
        }
    }

    /// Returns the code whose causes propose trials. If only HAProxy's own check gets a response, the trials
    /// are about this response.
    pub fn code_of_trials(&self) -> Code {
        match self.status() {
            Some(_) => Code::Status,
            None => self.code(),
        }
    }

    /// Returns everything that is wrong with the certificates. The fault that the check itself reported comes
    /// first.
    pub fn faults(&self) -> Vec<&CertificateFailure> {
        let first = match self.failure() {
            Some(Failure::Certificate(fault)) => Some(fault),
            _ => None,
        };
        let all = self.tls.iter().flat_map(|tls| &tls.faults);
        let rest = all.filter(|fault| Some(*fault) != first);
        first.into_iter().chain(rest).collect()
    }

    /// Returns the chain that the server sends.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        let tls = self.tls.as_ref();
        tls.map_or(&self.verdict.seen.chain, |tls| &tls.named.seen.chain)
    }

    /// Returns the certificates of the chain that can be read.
    pub fn parts(&self) -> impl Iterator<Item = Parts<'_>> {
        self.chain().iter().filter_map(|der| Parts::read(der))
    }

    /// Returns the value of the check's Host header.
    pub fn host(&self) -> &str {
        host(&self.plan)
    }

    /// Returns the name that the check sends as SNI, or `None` if it sends no SNI.
    pub fn sni(&self) -> Option<&str> {
        self.plan.names.sni.as_ref().map(|name| name.as_ref())
    }

    /// Returns true if the server asked for a client certificate.
    pub fn client_certificate_asked(&self) -> bool {
        let by_check = self.verdict.seen.client_certificate_asked;
        let tls = self.tls.as_ref();
        by_check || tls.is_some_and(|tls| tls.named.seen.client_certificate_asked)
    }

    /// Returns true if the port speaks plain HTTP and no TLS. A port that answers plain HTTP only to
    /// ask for TLS doesn't count.
    pub fn speaks_plain_http(&self) -> bool {
        let tls = self.tls.as_ref();
        let in_tls = tls.is_some_and(Handshakes::is_answered_in_tls);
        self.plain.as_ref().is_some_and(|plain| !plain.wants_tls) && !in_tls
    }

    /// Returns true if the port is for plain HTTP. A TLS server may answer plain HTTP with 400, so
    /// this status says nothing unless the port answers a handshake in plain text too.
    pub fn is_plain_http_port(&self) -> bool {
        let is_answer = |plain: &Plain| plain.status != 400 || self.code() == Code::NotTls;
        self.speaks_plain_http() && self.plain.as_ref().is_some_and(is_answer)
    }

    /// Returns true if HAProxy's own check is UP with the same options as sni-check, or `None` if HAProxy
    /// didn't run its own check.
    pub fn own_check_is_up(&self) -> Option<bool> {
        let haproxy = self.haproxy.as_ref()?;
        haproxy.own_check.as_ref().map(Result::is_ok)
    }

    /// Returns true if HAProxy's handshake with the check's SNI name succeeds when HAProxy accepts every
    /// certificate.
    pub fn haproxy_shakes_hands(&self) -> bool {
        self.haproxy
            .as_ref()
            .is_some_and(|haproxy| haproxy.handshake)
    }

    /// Returns true if HAProxy's own check gets a response in this way.
    pub fn is_reached_by(&self, way: Way) -> bool {
        let haproxy = self.haproxy.as_ref();
        haproxy.is_some_and(|haproxy| haproxy.way == Some(way))
    }

    /// Returns what HAProxy's own check rejects, if sni-check itself can't use the server's TLS or HTTP.
    pub fn own_check_refuses(&self) -> Option<Refused> {
        let haproxy = self.haproxy.as_ref()?;
        if self.code().layer() == Layer::Certificate {
            return None;
        }
        if haproxy.refused_response.is_some() {
            return Some(Refused::Response);
        }
        let why = haproxy.own_check.as_ref()?.as_ref().err()?;
        match self.code().layer() == Layer::Tls && haproxy.handshake && why.starts_with("L6RSP") {
            true if why.contains("different from the expected") => Some(Refused::Name),
            true => Some(Refused::Certificate),
            false => None,
        }
    }

    /// Returns true if diagnose may send a changed check's request. HAProxy repeats the check's own
    /// request at every interval, so diagnose may repeat it too. If a request may change something at
    /// the server, diagnose never sends it to another page or site.
    pub fn may_send(&self, changed: &Plan) -> bool {
        let (asked, request) = (&self.plan.request, &changed.request);
        let is_same = (&asked.method, &asked.uri, &asked.body)
            == (&request.method, &request.uri, &request.body)
            && host(&self.plan) == host(changed);
        is_same || changed.handshake_only || is_safe(&request.method)
    }
}

/// Returns the CA files with which diagnose judges the chain: the files of the check. If a check with
/// `--verify none` names no file, returns the `ca-file` of visitors' connections.
pub fn ca_files<'a>(options: &'a Options, known_values: &'a [KnownValue]) -> &'a [String] {
    let is_off = options.verify == Some(Verify::None) && options.ca_file.is_empty();
    let mut known = known_values.iter();
    let of_visitors = known.find(|known| known.option == "--ca-file" && known.is_of_visitors());
    match of_visitors.filter(|_| is_off) {
        Some(known) => std::slice::from_ref(&known.value),
        None => &options.ca_file,
    }
}

/// Returns true if a request with this method changes nothing on the server (RFC 9110, section 9.2.1).
pub fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// Returns the value of the Host header of a plan's request.
pub fn host(plan: &Plan) -> &str {
    header_value(plan, &header::HOST).unwrap_or_default()
}

/// Returns the value of a header field of a plan's request. `None` if the request doesn't have the field, or
/// if the value isn't text.
pub fn header_value<'a>(plan: &'a Plan, name: &HeaderName) -> Option<&'a str> {
    let mut headers = plan.request.headers.iter();
    let found = headers.find(|(given, _)| given == name);
    found.and_then(|(_, value): &(HeaderName, HeaderValue)| value.to_str().ok())
}

/// Returns true if the text can be a host name for visitors and for SNI.
pub fn is_name(text: &str) -> bool {
    text.contains('.') && text.parse::<IpAddr>().is_err() && !text.contains(':')
}
