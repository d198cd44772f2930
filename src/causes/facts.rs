//! Facts about a server, without any judgement. diagnose gathers them, and the causes weigh them.

use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use ureq::http::{HeaderName, HeaderValue, Method, header};

use crate::certificate::{CertificateFailure, Parts};
use crate::code::Code;
use crate::failure::Failure;
use crate::options::Options;
use crate::plan::Plan;
use crate::probe::connect::Address;
use crate::probe::{Examined, Response, Seen, Verdict};

/// Everything that was seen of a server.
pub struct Facts {
    /// The check that was run.
    pub plan: Plan,
    /// The options that the plan was made from.
    pub options: Options,
    /// The result of the check, run exactly as HAProxy would run it.
    pub verdict: Verdict,
    /// How long resolving took.
    pub resolve: Duration,
    /// Each address that was tried, with what came of connecting; or why there is no address.
    pub addresses: Result<Vec<(Address, Attempt)>, Failure>,
    /// How many more addresses there are.
    pub untried: usize,
    /// The first address that accepted a connection. All the rest is about it.
    pub reached: Option<Address>,
    /// Handshakes, where something accepted a connection.
    pub tls: Option<Handshakes>,
    /// Requests, where a handshake succeeded.
    pub answers: Option<Answers>,
    /// The answer of the port without TLS, if no handshake succeeded.
    pub plain: Option<Plain>,
    /// True if the server ends a connection on which nothing was sent, where it cut every handshake.
    pub hangs_up: Option<bool>,
    /// What came of the same check at the other addresses of the name.
    pub elsewhere: Vec<(Address, Attempt)>,
    /// What HAProxy said; `None` before HAProxy is asked, and where there is no HAProxy.
    pub haproxy: Option<Told>,
    /// The causes whose trials did not help.
    pub refuted: Vec<&'static str>,
    /// Now, since the epoch.
    pub now: Duration,
}

/// One attempt, and what came of it.
pub struct Attempt {
    pub result: Result<Option<Response>, Failure>,
    pub seen: Seen,
}

impl Attempt {
    /// An attempt that has not been made.
    pub fn none() -> Attempt {
        Attempt {
            result: Err(Failure::Internal("not tried".to_owned())),
            seen: Seen::default(),
        }
    }
}

/// Everything that is wrong with a chain.
pub type Faults = Vec<CertificateFailure>;

/// Handshakes that accept every certificate, so that a bad certificate hides nothing else.
pub struct Handshakes {
    /// As the check makes it.
    pub named: Attempt,
    /// Without SNI.
    pub bare: Attempt,
    /// With TLS 1.2 alone.
    pub tls12: Attempt,
    /// With TLS 1.3 alone.
    pub tls13: Attempt,
    /// With a name that no server has.
    pub made_up: Attempt,
    /// With HTTP/2 offered.
    pub http2: Attempt,
    /// What is wrong with the chain by the chosen roots.
    pub faults: Faults,
    /// What is wrong with it by the system's roots, where those exist and no others were chosen.
    pub system_faults: Option<Faults>,
    /// What HAProxy finds wrong with the chain that comes without SNI. It verifies no name then.
    pub bare_faults: Faults,
    /// Other chains that were sent for the same name, and what is wrong with them.
    pub others: Vec<(Vec<CertificateDer<'static>>, Faults)>,
}

/// What a server does with a client that sends no SNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SniNeed {
    /// It refuses the handshake.
    Required,
    /// It sends another certificate.
    OtherCertificate,
    /// It sends the same certificate.
    None,
}

impl SniNeed {
    /// `sni_needed` in the JSON object.
    pub fn word(self) -> &'static str {
        match self {
            SniNeed::Required => "required",
            SniNeed::OtherCertificate => "other certificate",
            SniNeed::None => "no",
        }
    }
}

impl Handshakes {
    /// What HAProxy finds wrong with the chain. Its roots are the system's, unless a file is given.
    pub fn haproxy_faults(&self) -> &Faults {
        self.system_faults.as_ref().unwrap_or(&self.faults)
    }

    /// What the server does without SNI; `None` if not even the handshake with SNI succeeds.
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

    /// True if a made-up name gets the same certificate as the name of the check.
    pub fn is_default_certificate(&self) -> bool {
        let leaf = |attempt: &Attempt| attempt.seen.chain.first().cloned();
        self.made_up.result.is_ok() && leaf(&self.named) == leaf(&self.made_up)
    }

    /// True if the server agrees to HTTP/2.
    pub fn speaks_http2(&self) -> bool {
        self.http2.seen.alpn.as_deref() == Some("h2")
    }

    fn all(&self) -> [&Attempt; 5] {
        [
            &self.named,
            &self.bare,
            &self.tls12,
            &self.tls13,
            &self.made_up,
        ]
    }

    /// True if the server answers in TLS, even if it only refuses.
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

    /// True if any handshake succeeds.
    pub fn any_succeeded(&self) -> bool {
        self.all().iter().any(|attempt| attempt.result.is_ok())
    }
}

/// What the server answers to requests.
pub struct Answers {
    /// The response to the check's own request, and what came of each expectation.
    pub asked: Result<(Response, Examined), Failure>,
    /// How long it took.
    pub took: Option<Duration>,
    /// The same request with the address as Host.
    pub address_as_host: Attempt,
    /// The same request with the SNI name as Host, where `--header` gives another Host.
    pub name_as_host: Option<Attempt>,
    /// The user's headers and body were left out, because the certificate isn't trusted.
    pub withheld: bool,
}

impl Answers {
    /// True if the server answers something else to another Host; `None` where it answers nothing.
    pub fn host_matters(&self) -> Option<bool> {
        let (asked, _) = self.asked.as_ref().ok()?;
        let others = [Some(&self.address_as_host), self.name_as_host.as_ref()];
        let mut others = others.into_iter().flatten();
        Some(others.any(|other| !matches!(&other.result, Ok(Some(answer)) if answer == asked)))
    }
}

/// What a port answers to the same request without TLS.
pub struct Plain {
    pub status: u16,
    /// Where a redirect points.
    pub location: Option<String>,
    /// True if the page says that the port is for TLS.
    pub wants_tls: bool,
}

impl Plain {
    /// True if this is a page for visitors.
    pub fn is_site(&self) -> bool {
        (200..400).contains(&self.status) && !self.points_to_https()
    }

    /// True if it redirects to HTTPS.
    pub fn points_to_https(&self) -> bool {
        let location = self.location.as_deref().unwrap_or_default();
        location.to_ascii_lowercase().starts_with("https:")
    }
}

/// How HAProxy's own check talks to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As sni-check does.
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

/// What HAProxy said.
#[derive(Clone, Debug)]
pub struct Told {
    /// What its own check says with the options of the call: the status and why, or `None` if UP.
    pub own_check: Option<Result<(), String>>,
    /// True if its handshake succeeds with the name of the call and any certificate.
    pub handshake: bool,
    /// Where the check is UP and a visitor was not served: the status, and whether all of it came.
    pub failed_visitor: Option<(u16, bool)>,
    /// The way in which its own check is UP, where that is not the way of sni-check.
    pub way: Option<Way>,
}

impl Facts {
    /// The exit code.
    pub fn code(&self) -> Code {
        self.verdict.code()
    }

    /// Why the check is DOWN.
    pub fn failure(&self) -> Option<&Failure> {
        self.verdict.result.as_ref().err()
    }

    /// The status that wasn't expected.
    pub fn status(&self) -> Option<u16> {
        match self.failure() {
            Some(Failure::Status { status, .. }) => Some(*status),
            _ => None,
        }
    }

    /// Everything that is wrong with the certificates, the check's own verdict first.
    pub fn faults(&self) -> Vec<&CertificateFailure> {
        let first = match self.failure() {
            Some(Failure::Certificate(fault)) => Some(fault),
            _ => None,
        };
        let all = self.tls.iter().flat_map(|tls| &tls.faults);
        let rest = all.filter(|fault| Some(*fault) != first);
        first.into_iter().chain(rest).collect()
    }

    /// The chain that the server sends.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        let tls = self.tls.as_ref();
        tls.map_or(&self.verdict.seen.chain, |tls| &tls.named.seen.chain)
    }

    /// The certificates of that chain that can be read.
    pub fn parts(&self) -> impl Iterator<Item = Parts<'_>> {
        self.chain().iter().filter_map(|der| Parts::read(der))
    }

    /// The check's Host.
    pub fn host(&self) -> &str {
        host(&self.plan)
    }

    /// The name that is sent as SNI.
    pub fn sni(&self) -> Option<&str> {
        self.plan.names.sni.as_ref().map(|name| name.as_ref())
    }

    /// True if the server asked for a client certificate.
    pub fn client_certificate_asked(&self) -> bool {
        let by_check = self.verdict.seen.client_certificate_asked;
        let tls = self.tls.as_ref();
        by_check || tls.is_some_and(|tls| tls.named.seen.client_certificate_asked)
    }

    /// True if the port speaks plain HTTP and no TLS. A port that answers plain HTTP only to say that
    /// it wants TLS doesn't count.
    pub fn speaks_plain_http(&self) -> bool {
        let tls = self.tls.as_ref();
        let in_tls = tls.is_some_and(Handshakes::is_answered_in_tls);
        self.plain.as_ref().is_some_and(|plain| !plain.wants_tls) && !in_tls
    }

    /// True if HAProxy's own check is UP with the options of the call; `None` if HAProxy wasn't asked.
    pub fn own_check_is_up(&self) -> Option<bool> {
        let told = self.haproxy.as_ref()?;
        told.own_check.as_ref().map(Result::is_ok)
    }

    /// True if HAProxy's handshake succeeds with the name of the call and any certificate.
    pub fn haproxy_shakes_hands(&self) -> bool {
        self.haproxy.as_ref().is_some_and(|told| told.handshake)
    }

    /// True if HAProxy's own check is UP in this way.
    pub fn is_up_by(&self, way: Way) -> bool {
        let told = self.haproxy.as_ref();
        told.is_some_and(|told| told.way == Some(way))
    }

    /// True if the check's request may be sent more than once.
    pub fn is_repeatable(&self) -> bool {
        is_repeatable(&self.plan)
    }
}

/// True if a plan's request may be sent more than once.
pub fn is_repeatable(plan: &Plan) -> bool {
    let repeatable = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE];
    plan.handshake_only || repeatable.contains(&plan.request.method)
}

/// A plan's Host.
pub fn host(plan: &Plan) -> &str {
    header_value(plan, &header::HOST).unwrap_or_default()
}

/// The value of a request's header field, if it is text.
pub fn header_value<'a>(plan: &'a Plan, name: &HeaderName) -> Option<&'a str> {
    let mut headers = plan.request.headers.iter();
    let found = headers.find(|(given, _)| given == name);
    found.and_then(|(_, value): &(HeaderName, HeaderValue)| value.to_str().ok())
}

/// True if a text can be a server's name for visitors, and for SNI.
pub fn is_name(text: &str) -> bool {
    text.contains('.') && text.parse::<IpAddr>().is_err() && !text.contains(':')
}
