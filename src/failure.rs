//! Every failure of a check, with its exit code and message.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use rustls::AlertDescription;

use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::options::expect::regex::GivenUp;
use crate::options::expect::{Expectation, Part};

/// Why the check of a server fails.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The resolver found no address for the name.
    NameNotFound {
        /// The name.
        name: String,
        /// The resolver's error.
        cause: String,
    },
    /// The resolver did not answer before the deadline.
    ResolveTimeout {
        /// The name.
        name: String,
    },
    /// Connecting failed.
    Connect(Errno),
    /// Connecting took too long.
    ConnectTimeout,
    /// The address of `--source` can't be used.
    Source(SocketAddr, Errno),
    /// The server's certificate isn't acceptable.
    Certificate(CertificateFailure),
    /// The server requires a client certificate, or refused ours.
    ClientCertificate {
        /// The alert that the server sent.
        alert: AlertDescription,
        /// True if we sent a client certificate.
        sent: bool,
    },
    /// The server refused the SNI name, or a handshake without SNI.
    NameRefused {
        /// The alert that the server sent.
        alert: AlertDescription,
        /// True if we sent a name.
        sent: bool,
    },
    /// The server ended the handshake with another alert.
    HandshakeRefused(AlertDescription),
    /// The alert most likely means that the server shares no TLS version or cipher with us.
    /// `handshake_failure` can also mean an unknown name or a limit of sni-check.
    NothingInCommon(AlertDescription),
    /// The server chose a TLS version that we didn't offer.
    OtherVersion(&'static str),
    /// The server speaks TLS 1.2 without secure renegotiation (RFC 5746), which HAProxy refuses.
    UnsafeRenegotiation,
    /// The handshake wasn't finished before the deadline.
    HandshakeTimeout,
    /// The peer's answer isn't TLS.
    NotTls {
        /// The first bytes, if they are text.
        text: Option<String>,
    },
    /// The peer speaks TLS, but breaks its rules.
    TlsViolated(&'static str),
    /// The peer uses a TLS feature that we don't support. HAProxy may support it.
    TlsLimit(&'static str),
    /// The connection was closed or reset during the handshake.
    HandshakeClosed(Closed),
    /// The response has an unexpected status.
    Status {
        /// The status of the response.
        status: u16,
        /// The expectation.
        expected: String,
        /// The target of a redirect.
        location: Option<String>,
    },
    /// The response wasn't complete before the deadline.
    ResponseTimeout {
        /// True if the head was complete.
        head_read: bool,
    },
    /// The answer isn't HTTP/1.
    NotHttp(String),
    /// The head is longer than HAProxy accepts by default.
    LongHead {
        /// The length that HAProxy accepts by default, in bytes.
        limit: usize,
    },
    /// The connection was closed or reset before the response was complete.
    ResponseClosed(Closed),
    /// The response is complete and healthy, but then an alert or a reset ended the connection. HAProxy's own
    /// check also fails if the alert or reset arrives before that check ends.
    EndedBadly(Closed),
    /// A header expectation isn't met.
    Header {
        /// The expectation.
        expected: String,
        /// The response.
        reply: Reply,
    },
    /// A body expectation isn't met.
    Body {
        /// The response.
        reply: Reply,
        /// The expectation.
        expected: String,
        /// How many bytes of the body were read, if the body was longer.
        cut_at: Option<u32>,
        /// True if the shorter part of the body that HAProxy reads meets the expectation.
        is_met_for_haproxy: bool,
    },
    /// The body ended early, so we can't know whether the missing rest contains what a negated expectation
    /// forbids.
    CutBody {
        /// How the connection ended.
        closed: Closed,
        /// The expectation.
        expected: String,
    },
    /// The response has no body, but an expectation needs one.
    NoBody {
        /// The expectation.
        expected: String,
        /// The response.
        reply: Reply,
    },
    /// We can't decide whether an expectation is met. This is a limit of sni-check.
    Undecided {
        /// The expectation.
        expected: String,
        /// The part of the response that the expectation looks at.
        part: Part,
        /// The limit.
        limit: GivenUp,
    },
    /// serve is at one of its limits, and didn't contact the server.
    AtLimit(String),
    /// Any other error: a bug, or we ran out of a resource.
    Internal(String),
}

/// The status of a response, and where it redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The target of a redirect.
    pub location: Option<String>,
}

impl Reply {
    /// Returns true if the status is 2xx, which means that the server accepted the request.
    fn is_page(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer closed the connection normally.
    Closed,
    /// A TCP reset or another transport error ended the connection.
    Reset(Errno),
    /// A TLS alert ended the connection.
    Alert(AlertDescription),
}

impl Failure {
    /// Returns the exit code.
    pub fn code(&self) -> Code {
        match self {
            Failure::NameNotFound { .. } => Code::NameNotFound,
            Failure::ResolveTimeout { .. } => Code::ResolveTimeout,
            Failure::Connect(Errno::CONNREFUSED) => Code::ConnectionRefused,
            Failure::Connect(Errno::TIMEDOUT) | Failure::ConnectTimeout => Code::ConnectTimeout,
            Failure::Connect(_) | Failure::Source(..) => Code::Unreachable,
            Failure::Certificate(failure) => failure.code(),
            Failure::ClientCertificate { .. } => Code::ClientCertificate,
            Failure::NameRefused { .. } => Code::NameRefused,
            Failure::HandshakeRefused(_) => Code::HandshakeRefused,
            Failure::NothingInCommon(_)
            | Failure::OtherVersion(_)
            | Failure::UnsafeRenegotiation => Code::NothingInCommon,
            Failure::HandshakeTimeout => Code::HandshakeTimeout,
            Failure::NotTls { .. } | Failure::TlsViolated(_) | Failure::TlsLimit(_) => Code::NotTls,
            Failure::HandshakeClosed(_) => Code::HandshakeClosed,
            Failure::Status { .. } => Code::Status,
            Failure::ResponseTimeout { .. } => Code::ResponseTimeout,
            Failure::NotHttp(_) | Failure::LongHead { .. } => Code::NotHttp,
            Failure::ResponseClosed(_) | Failure::EndedBadly(_) | Failure::CutBody { .. } => {
                Code::ResponseClosed
            }
            Failure::Header { .. } => Code::Header,
            Failure::Body { .. } | Failure::NoBody { .. } => Code::Body,
            Failure::Undecided { part, .. } => match part {
                Part::Status => Code::Status,
                Part::Header => Code::Header,
                Part::Body => Code::Body,
            },
            Failure::AtLimit(_) => Code::AtLimit,
            Failure::Internal(_) => Code::Internal,
        }
    }

    /// Returns the status of the response and the target of its redirect, if the status is unexpected.
    /// Without a rule about the status in `rules`, HAProxy and sni-check judge the header or body of a
    /// response with any status. A status other than 2xx then explains the failure.
    pub fn unexpected_status(&self, rules: &[Expectation]) -> Option<(u16, Option<&str>)> {
        match self {
            Failure::Status {
                status, location, ..
            } => Some((*status, location.as_deref())),
            Failure::Header { reply, .. }
            | Failure::Body { reply, .. }
            | Failure::NoBody { reply, .. } => {
                let is_judged = rules.iter().any(|rule| rule.part() == Part::Status);
                let is_unexpected = !is_judged && !reply.is_page();
                is_unexpected.then_some((reply.status, reply.location.as_deref()))
            }
            _ => None,
        }
    }

    /// Returns the failure for an alert during the handshake. The meaning of an alert depends on what the
    /// client sent and what the server asked for.
    pub fn from_alert(alert: AlertDescription, sent: Sent) -> Failure {
        use AlertDescription as Alert;
        match alert {
            Alert::UnrecognisedName => Failure::NameRefused {
                alert,
                sent: sent.sni,
            },
            // Some servers that need SNI, such as CloudFront, send handshake_failure to clients that send no
            // name.
            Alert::HandshakeFailure if !sent.sni => Failure::NameRefused { alert, sent: false },
            // TLS 1.2 has no specific alert for a missing client certificate.
            Alert::HandshakeFailure if sent.certificate_asked => Failure::ClientCertificate {
                alert,
                sent: sent.certificate,
            },
            Alert::CertificateRequired => Failure::ClientCertificate {
                alert,
                sent: sent.certificate,
            },
            // These alerts are about our certificate only if the server asked for a certificate.
            Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied
                if sent.certificate_asked =>
            {
                Failure::ClientCertificate {
                    alert,
                    sent: sent.certificate,
                }
            }
            Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
                Failure::NothingInCommon(alert)
            }
            _ => Failure::HandshakeRefused(alert),
        }
    }
}

/// The facts about a handshake that decide what an alert means.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// True if we sent a name as SNI.
    pub sni: bool,
    /// True if the server asked for a client certificate.
    pub certificate_asked: bool,
    /// True if we have a client certificate to send.
    pub certificate: bool,
}

/// Returns an alert's name in the spelling of RFC 8446, section 6.
pub fn alert_name(alert: AlertDescription) -> String {
    // rustls spells the names in camel case only.
    let camel = format!("{alert:?}");
    match camel.as_str() {
        "UnknownCA" => return "unknown_ca".to_owned(),
        "UnknownPSKIdentity" => return "unknown_psk_identity".to_owned(),
        "UnrecognisedName" => return "unrecognized_name".to_owned(),
        _ => {}
    }
    let mut name = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Closed::Closed => f.write_str("closed"),
            Closed::Reset(Errno::CONNRESET) => f.write_str("reset"),
            Closed::Reset(errno) => write!(f, "broken: {}", describe(*errno)),
            Closed::Alert(alert) => write!(f, "ended by the server's alert {}", alert_name(*alert)),
        }
    }
}

/// Returns the operating system's text for an error, without the number that std appends.
fn describe(errno: Errno) -> String {
    let text = io::Error::from(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// Appends the target of a redirect.
fn redirects(f: &mut fmt::Formatter<'_>, location: Option<&str>) -> fmt::Result {
    match location {
        Some(location) => write!(f, " (redirects to {location})"),
        None => Ok(()),
    }
}

/// Writes a status other than 2xx and its redirect. Messages put this text in front of the expectation that
/// isn't met.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_page() {
            return Ok(());
        }
        write!(f, "status {}", self.status)?;
        redirects(f, self.location.as_deref())?;
        f.write_str(", ")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NameNotFound { name, cause } => write!(f, "{name} did not resolve: {cause}"),
            Failure::ResolveTimeout { name } => write!(f, "resolving {name} timed out"),
            Failure::Connect(Errno::NOENT) => f.write_str("the unix socket does not exist"),
            Failure::Connect(errno) => f.write_str(&describe(*errno)),
            Failure::ConnectTimeout => f.write_str("connecting timed out"),
            Failure::Source(source, Errno::ADDRNOTAVAIL) => write!(
                f,
                "--source {} is not an address of this host",
                source.ip()
            ),
            Failure::Source(source, errno) => write!(
                f,
                "cannot connect from --source {}: {}",
                source.ip(),
                describe(*errno)
            ),
            Failure::Certificate(failure) => failure.fmt(f),
            Failure::ClientCertificate { alert, sent } => {
                let what = if *sent {
                    "server refused our client certificate"
                } else {
                    "server requires a client certificate (--crt)"
                };
                write!(f, "{what} ({})", alert_name(*alert))
            }
            Failure::NameRefused { alert, sent } => {
                let what = if *sent {
                    "server refused the name"
                } else {
                    "server refused a handshake without SNI"
                };
                write!(f, "{what} ({})", alert_name(*alert))
            }
            Failure::HandshakeRefused(alert) => {
                write!(f, "server refused the handshake ({})", alert_name(*alert))
            }
            Failure::NothingInCommon(alert @ AlertDescription::ProtocolVersion) => write!(
                f,
                "server found no TLS version in common ({})",
                alert_name(*alert)
            ),
            Failure::NothingInCommon(alert) => write!(
                f,
                "server refused the handshake ({}): it doesn't know the name, or has no TLS version or cipher in \
                 common, or this is a limit of sni-check; sni-check diagnose finds out which",
                alert_name(*alert)
            ),
            Failure::OtherVersion(what) => f.write_str(what),
            Failure::UnsafeRenegotiation => f.write_str(
                "server has no secure renegotiation (RFC 5746); HAProxy's OpenSSL refuses TLS 1.2 without it",
            ),
            Failure::HandshakeTimeout => f.write_str("handshake timed out"),
            Failure::NotTls { text: Some(text) } => {
                write!(f, "the peer does not speak TLS; it says \"{text}\"")
            }
            Failure::NotTls { text: None } => f.write_str("the peer does not speak TLS"),
            Failure::TlsViolated(what) => write!(f, "the peer violates TLS: {what}"),
            Failure::TlsLimit(what) => write!(
                f,
                "limit of sni-check: {what}; if HAProxy's own check (check-sni) is UP, use that check instead"
            ),
            Failure::HandshakeClosed(closed) => {
                write!(f, "connection {closed} during the handshake")
            }
            Failure::Status {
                status,
                expected,
                location,
            } => {
                write!(f, "status {status}, expected {expected}")?;
                redirects(f, location.as_deref())
            }
            Failure::ResponseTimeout { head_read: false } => f.write_str("response timed out"),
            Failure::ResponseTimeout { head_read: true } => {
                f.write_str("timed out while reading the response body")
            }
            Failure::NotHttp(cause) => write!(f, "not a valid HTTP response: {cause}"),
            Failure::LongHead { limit } => write!(
                f,
                "not a valid HTTP response: its head is longer than the {limit} bytes that HAProxy accepts by \
                 default (tune.bufsize); --max-head accepts a longer head"
            ),
            Failure::ResponseClosed(closed) => {
                write!(f, "connection {closed} before the response was complete")
            }
            Failure::EndedBadly(closed) => write!(
                f,
                "the response is complete, but the connection was {closed} right after it; HAProxy's own check \
                 may be UP (limit of sni-check)"
            ),
            Failure::Header { expected, reply } => {
                reply.fmt(f)?;
                write!(f, "headers do not meet --expect: {expected}")
            }
            Failure::Body {
                expected,
                reply,
                cut_at,
                is_met_for_haproxy,
            } => {
                reply.fmt(f)?;
                match cut_at {
                    None => write!(f, "body does not meet --expect: {expected}")?,
                    Some(bytes) => write!(
                        f,
                        "the first {bytes} bytes of the body (--max-body) do not meet --expect: {expected}"
                    )?,
                }
                match is_met_for_haproxy {
                    true => f.write_str(
                        "; HAProxy reads only the first 16 kB (tune.bufsize), and that part meets --expect, \
                         so its own check may be UP (limit of sni-check)",
                    ),
                    false => Ok(()),
                }
            }
            Failure::CutBody { closed, expected } => write!(
                f,
                "connection {closed} before the response was complete, so --expect is undecided: {expected}; \
                 HAProxy's own check judges only the part that arrived, so it may be UP (limit of sni-check)"
            ),
            Failure::NoBody { expected, reply } => {
                reply.fmt(f)?;
                write!(f, "no response body, expected {expected}")
            }
            Failure::Undecided {
                expected, limit, ..
            } => write!(f, "--expect is undecided: {expected}; limit of sni-check: {limit}"),
            Failure::AtLimit(limit) => f.write_str(limit),
            Failure::Internal(cause) => write!(f, "internal error: {cause}"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::{AlertDescription, Code, Failure, Sent, alert_name};

    #[test]
    fn alerts_have_the_rfcs_names() {
        for (alert, name) in [
            (AlertDescription::UnrecognisedName, "unrecognized_name"),
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
        ] {
            assert_eq!(alert_name(alert), name);
        }
    }

    #[test]
    fn the_meaning_of_handshake_failure_depends_on_what_was_sent_and_asked() {
        let code = |sni, certificate_asked| {
            let sent = Sent {
                sni,
                certificate_asked,
                certificate: false,
            };
            Failure::from_alert(AlertDescription::HandshakeFailure, sent).code()
        };
        assert_eq!(code(true, false), Code::NothingInCommon);
        assert_eq!(code(false, false), Code::NameRefused);
        assert_eq!(code(true, true), Code::ClientCertificate);
    }
}
