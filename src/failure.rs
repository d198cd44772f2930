//! Why a backend is not healthy: the one place where an error becomes a cause and a code.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use rustls::AlertDescription;

use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::options::expect::Part;
use crate::options::expect::regex::GivenUp;

/// Why a backend is not healthy. One variant for each cause that an operator can act on.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The resolver has no address for the name.
    NameNotFound {
        /// The name.
        name: String,
        /// What the resolver said.
        cause: String,
    },
    /// The resolver did not answer in time.
    ResolveTimeout {
        /// The name.
        name: String,
    },
    /// The connection could not be made.
    Connect(Errno),
    /// The connection was not made in time.
    ConnectTimeout,
    /// The address of `--source` cannot be used.
    Source(SocketAddr, Errno),
    /// The certificate is not acceptable.
    Certificate(CertificateFailure),
    /// The server wants a client certificate, or refused ours.
    ClientCertificate {
        /// The alert that says so.
        alert: AlertDescription,
        /// Whether we sent one.
        sent: bool,
    },
    /// The server refused the SNI name, or a handshake without SNI.
    NameRefused {
        /// The alert that says so.
        alert: AlertDescription,
        /// Whether we sent a name.
        sent: bool,
    },
    /// The server ended the handshake with another alert.
    HandshakeRefused(AlertDescription),
    /// The server has no TLS version or cipher in common with us, by its alert.
    NothingInCommon(AlertDescription),
    /// The server chose a TLS version that was not offered.
    OtherVersion(&'static str),
    /// The server speaks TLS 1.2 without secure renegotiation (RFC 5746), which HAProxy refuses.
    UnsafeRenegotiation,
    /// The handshake did not end in time.
    HandshakeTimeout,
    /// What came is not TLS at all.
    NotTls {
        /// The first bytes, if they are text.
        text: Option<String>,
    },
    /// What came is TLS that breaks its rules.
    TlsViolated(&'static str),
    /// What came is TLS that we cannot follow, though HAProxy may.
    TlsLimit(&'static str),
    /// The connection was closed or reset during the handshake.
    HandshakeClosed(Closed),
    /// The status is not the expected one.
    Status {
        /// What came.
        status: u16,
        /// The expectation.
        expected: String,
        /// Where a redirect points.
        location: Option<String>,
    },
    /// The response did not end in time.
    ResponseTimeout {
        /// Whether the head had come.
        head_read: bool,
    },
    /// What came is not HTTP/1.
    NotHttp(String),
    /// The head is longer than HAProxy takes by default.
    LongHead {
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// The connection was closed or reset before the response was complete.
    ResponseClosed(Closed),
    /// The response is complete and healthy, but its connection ended in a way by which HAProxy's check
    /// fails.
    EndedBadly(Closed),
    /// A header is not the expected one.
    Header {
        /// The expectation.
        expected: String,
    },
    /// The body is not the expected one.
    Body {
        /// The expectation.
        expected: String,
        /// How much of the body was read, in bytes, if there was more than that.
        cut_at: Option<u32>,
        /// HAProxy sees a shorter part of the body, in which the expectation is met.
        only_here: bool,
    },
    /// The body ended early, and an expectation says what must not be in it.
    CutBody {
        /// How the connection ended.
        closed: Closed,
        /// The expectation.
        expected: String,
    },
    /// An expectation looks at the body, and there is none.
    NoBody {
        /// The expectation.
        expected: String,
    },
    /// Whether an expectation is met could not be found out: a limit of ours.
    Undecided {
        /// The expectation.
        expected: String,
        /// What it looks at.
        part: Part,
        /// The limit.
        limit: GivenUp,
    },
    /// serve can't do more at once; nothing was asked.
    AtLimit(String),
    /// An error that has no place elsewhere: a bug, or a resource of ours that is exhausted.
    Internal(String),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// In order.
    Closed,
    /// By a TCP reset, or another error of the transport.
    Reset(Errno),
    /// By an alert of TLS.
    Alert(AlertDescription),
}

impl Failure {
    /// The exit code.
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

    /// What an alert during the handshake means, which depends on what was sent and asked.
    pub fn from_alert(alert: AlertDescription, sent: Sent) -> Failure {
        use AlertDescription as Alert;
        match alert {
            Alert::UnrecognisedName => Failure::NameRefused {
                alert,
                sent: sent.sni,
            },
            // Servers that need SNI and get none say handshake_failure too: CloudFront does.
            Alert::HandshakeFailure if !sent.sni => Failure::NameRefused { alert, sent: false },
            // TLS 1.2 has no alert of its own for a missing client certificate.
            Alert::HandshakeFailure if sent.certificate_asked => Failure::ClientCertificate {
                alert,
                sent: sent.certificate,
            },
            Alert::CertificateRequired => Failure::ClientCertificate {
                alert,
                sent: sent.certificate,
            },
            // About a certificate of ours, so only where one was asked for.
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

/// What the client sent and was asked for in a handshake.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// A name went out as SNI.
    pub sni: bool,
    /// The server asked for a client certificate.
    pub certificate_asked: bool,
    /// We have one to send.
    pub certificate: bool,
}

/// An alert's name as RFC 8446, section 6 spells it.
pub fn alert_name(alert: AlertDescription) -> String {
    // rustls has the names in Rust's spelling only.
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

/// The operating system's words for an error, without the number that std appends.
fn describe(errno: Errno) -> String {
    let text = io::Error::from(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
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
            Failure::Source(source, errno) => {
                write!(
                    f,
                    "cannot connect from --source {source}: {}",
                    describe(*errno)
                )
            }
            Failure::Certificate(failure) => failure.fmt(f),
            Failure::ClientCertificate { alert, sent } => {
                let what = if *sent {
                    "server refused our client certificate"
                } else {
                    "server wants a client certificate (--crt)"
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
                "server found no TLS version, cipher or (some CDNs) name in common ({}); if HAProxy's check-sni is UP there, a limit of sni-check: explain 66 lists them",
                alert_name(*alert)
            ),
            Failure::OtherVersion(what) => f.write_str(what),
            Failure::UnsafeRenegotiation => f.write_str(
                "server has no secure renegotiation (RFC 5746); HAProxy's OpenSSL refuses TLS 1.2 without it",
            ),
            Failure::HandshakeTimeout => f.write_str("handshake timed out"),
            Failure::NotTls { text: Some(text) } => {
                write!(f, "the peer does not speak TLS, it says \"{text}\"")
            }
            Failure::NotTls { text: None } => f.write_str("the peer does not speak TLS"),
            Failure::TlsViolated(what) => write!(f, "the peer breaks the rules of TLS: {what}"),
            Failure::TlsLimit(what) => write!(
                f,
                "limit of sni-check: {what}; if HAProxy's own check-sni is UP there, use that"
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
                match location {
                    Some(location) => write!(f, " (redirects to {location})"),
                    None => Ok(()),
                }
            }
            Failure::ResponseTimeout { head_read: false } => f.write_str("response timed out"),
            Failure::ResponseTimeout { head_read: true } => {
                f.write_str("response timed out within its body")
            }
            Failure::NotHttp(cause) => write!(f, "not a valid HTTP response: {cause}"),
            Failure::LongHead { limit } => write!(
                f,
                "not a valid HTTP response: its head is longer than HAProxy takes by default, {limit} bytes \
                 (tune.bufsize); --max-head reads a longer one"
            ),
            Failure::ResponseClosed(closed) => {
                write!(f, "connection {closed} before the response was complete")
            }
            Failure::EndedBadly(closed) => write!(
                f,
                "the response is complete, but its connection was {closed} at once; HAProxy's check fails, too, \
                 if it sees that in time, and otherwise this is a limit of sni-check"
            ),
            Failure::Header { expected } => write!(f, "headers do not meet: {expected}"),
            Failure::Body {
                expected,
                cut_at,
                only_here,
            } => {
                match cut_at {
                    None => write!(f, "body does not meet: {expected}")?,
                    Some(bytes) => write!(
                        f,
                        "the first {bytes} bytes of the body (--max-body) do not meet: {expected}"
                    )?,
                }
                match only_here {
                    true => f.write_str(
                        "; limit of sni-check: HAProxy looks at the first 16 kB of a body (tune.bufsize)",
                    ),
                    false => Ok(()),
                }
            }
            Failure::CutBody { closed, expected } => write!(
                f,
                "connection {closed} before the response was complete, so it is unknown whether it meets: \
                 {expected}; limit of sni-check: HAProxy judges what has come"
            ),
            Failure::NoBody { expected } => write!(f, "no response body, expected {expected}"),
            Failure::Undecided {
                expected, limit, ..
            } => write!(f, "undecided: {expected}; limit of sni-check: {limit}"),
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
    fn a_handshake_failure_means_what_the_handshake_lacked() {
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
