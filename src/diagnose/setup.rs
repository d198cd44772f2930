//! What the lines for haproxy.cfg are made from: the options that work, and the way to the server.

use super::attempts::{Attempt, Plain};
use super::case::Case;
use super::evidence::Evidence;
use super::handshakes::Handshakes;
use super::namesake;
use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::failure::Failure;
use crate::haproxy::words::quote;
use crate::options::Options;
use crate::plan::{Plan, Target};
use crate::probe::connect::Address;

/// How HAProxy has to talk to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As sni-check does.
    Https,
    /// Without TLS.
    PlainHttp,
    /// With TLS versions and ciphers that are no longer safe.
    OldTls,
    /// Over HTTP/2.
    Http2,
}

/// What the lines for haproxy.cfg are made from.
pub(super) struct Setup<'a> {
    pub plan: &'a Plan,
    pub options: &'a Options,
    /// The addresses for server lines, as words of HAProxy's.
    pub servers: Vec<String>,
    pub way: Way,
    /// Whether the server answers something else to another Host.
    pub host_matters: bool,
    /// Whether HAProxy's own check is to send the User-Agent and Accept of ours.
    pub with_agent: bool,
    /// With what may be a secret: for HAProxy alone, never to be printed.
    pub secrets: bool,
}

impl<'a> Setup<'a> {
    /// With what was found to work.
    pub fn of(case: Case<'a>) -> Setup<'a> {
        let evidence = case.evidence;
        let (plan, options) = match &evidence.remedy {
            Some(remedy) => (&remedy.plan, &remedy.options),
            None => (case.plan, case.options),
        };
        Setup {
            plan,
            options,
            servers: servers(plan, evidence),
            way: way(evidence),
            host_matters: evidence.host_matters,
            with_agent: false,
            secrets: false,
        }
    }

    /// In another way, which HAProxy may find to work.
    pub fn alternative(case: Case<'a>) -> Option<Setup<'a>> {
        let setup = Setup::of(case);
        let tls = case.evidence.tls.as_ref();
        let http2 = tls.is_some_and(Handshakes::speaks_http2);
        let Some(failure) = case.evidence.failure() else {
            return Some(Setup {
                with_agent: true,
                ..setup
            })
            .filter(|setup| !setup.plan.handshake_only);
        };
        let way = match failure {
            _ if setup.way != Way::Https => return None,
            failure if failure.code() == Code::NothingInCommon && !http2 => Way::OldTls,
            _ if !http2 => return None,
            Failure::NotHttp(_)
            | Failure::ResponseClosed(_)
            | Failure::ResponseTimeout { .. }
            | Failure::HandshakeRefused(_)
            | Failure::HandshakeClosed(_)
            | Failure::NothingInCommon(_)
            | Failure::Status { .. } => Way::Http2,
            _ => return None,
        };
        Some(Setup { way, ..setup })
    }

    /// As it was asked for.
    pub fn as_asked(case: Case<'a>) -> Setup<'a> {
        Setup {
            plan: case.plan,
            options: case.options,
            servers: servers(case.plan, case.evidence),
            way: Way::Https,
            host_matters: false,
            with_agent: false,
            secrets: true,
        }
    }
}

fn way(evidence: &Evidence) -> Way {
    let plain = evidence.plain.as_ref();
    match evidence.failure() {
        Some(_) if evidence.speaks_plain_http() && plain.is_some_and(Plain::is_site) => {
            Way::PlainHttp
        }
        _ => Way::Https,
    }
}

/// The addresses for server lines. A name with several is one server each, or HAProxy would check,
/// and use, only the first; those that do not answer are left out.
fn servers(plan: &Plan, evidence: &Evidence) -> Vec<String> {
    let addresses = evidence.addresses.as_ref().map_or(&[][..], Vec::as_slice);
    let answer = |address: &&(Address, Attempt)| address.1.result.is_ok();
    let reached: Vec<_> = addresses.iter().filter(answer).collect();
    match &plan.target {
        Target::Unix(path) => vec![quote(format!("unix@{}", path.display()))],
        Target::Tcp { .. } if addresses.len() > 1 && !reached.is_empty() => reached
            .iter()
            .map(|(address, _)| address.to_string())
            .collect(),
        Target::Tcp { .. } => vec![plan.target.to_string()],
    }
}

/// Where what was found is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// By the lines that are printed.
    Lines,
    /// At the server, or on the way to it.
    Server,
    /// Between this host and the server.
    Network,
    /// In a file on HAProxy's host.
    Files,
    /// By an option whose value nobody here knows.
    Options,
}

impl Where {
    /// `cure.where` in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Where::Lines => "haproxy.cfg",
            Where::Server => "server",
            Where::Network => "network",
            Where::Files => "files",
            Where::Options => "options",
        }
    }

    /// In the report.
    pub fn sentence(self) -> &'static str {
        match self {
            Where::Lines => "in haproxy.cfg, with the lines below",
            Where::Server => "at the server: nothing in haproxy.cfg cures this",
            Where::Network => "on the way to the server: nothing in haproxy.cfg cures this",
            Where::Files => {
                "in a file on this host, not at the server; HAProxy reads files only when it starts or reloads"
            }
            Where::Options => {
                "in the options, by a value that only you know; haproxy.cfg needs the same one"
            }
        }
    }

    /// Where a failure is fixed that no other options cure.
    pub fn of(failure: &Failure, case: Case<'_>) -> Where {
        match failure {
            Failure::Status { status, .. } => match status {
                400 if case.evidence.client_certificate_asked() => Where::Options,
                403 | 429 | 500.. => Where::Server,
                _ => Where::Options,
            },
            Failure::Certificate(fault) => Where::of_certificate(fault, case),
            Failure::ClientCertificate { sent: false, .. } => Where::Options,
            failure => match failure.code() {
                Code::NameNotFound | Code::NotTls | Code::NameRefused | Code::NotHttp => {
                    Where::Options
                }
                _ => Where::Server,
            },
        }
    }

    fn of_certificate(fault: &CertificateFailure, case: Case<'_>) -> Where {
        let tls = case.evidence.tls.as_ref();
        let by_options = match fault {
            _ if namesake::name(case, fault).is_some() => return Where::Files,
            CertificateFailure::OtherName { .. } => {
                tls.is_some_and(Handshakes::is_default_certificate)
            }
            CertificateFailure::IssuerUnknown { below: Some(_), .. }
            | CertificateFailure::IssuerUnknown {
                self_signed: true, ..
            } => true,
            CertificateFailure::IssuerUnknown { .. } => {
                tls.is_some_and(|tls| tls.issuer_is_private)
            }
            // Of a certificate that the server does not send, only we have a copy.
            CertificateFailure::Expired { subject, .. }
                if tls.is_some_and(|tls| !tls.sends(subject)) =>
            {
                return Where::Files;
            }
            CertificateFailure::NoValidList(_) => return Where::Files,
            _ => false,
        };
        if by_options {
            Where::Options
        } else {
            Where::Server
        }
    }
}
