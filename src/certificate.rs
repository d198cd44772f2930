//! Reading certificates, and what can be wrong with one.

pub mod distribution_point;
pub mod element;
pub mod general_name;
mod key;
pub mod name;
pub mod name_constraints;
mod read;
mod revocation_list;
pub mod time;
pub mod uses;

use std::fmt;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};

pub use self::key::{key_type, rsa_bits};
pub use self::read::Parts;
pub use self::revocation_list::{Facts, RevocationList, Status};
pub use self::uses::Uses;
use crate::code::Code;

const SECONDS_PER_DAY: u64 = 86_400;

/// What a person wants to know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The subject's distinguished name (RFC 4514).
    pub subject: String,
    /// The issuer's distinguished name (RFC 4514).
    pub issuer: String,
    /// Since the epoch.
    pub not_before: Duration,
    /// Since the epoch.
    pub not_after: Duration,
}

impl Certificate {
    /// Reads a certificate; `None` if it is not one that OpenSSL would read.
    pub fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
        Certificate::of(&Parts::read(der)?)
    }

    /// What a person wants to know of these parts; `None` if its dates cannot be read.
    pub fn of(parts: &Parts<'_>) -> Option<Certificate> {
        // What begins before 1970 begins with it here.
        let since_epoch = |seconds: i64| Duration::from_secs(seconds.try_into().unwrap_or(0));
        Some(Certificate {
            subject: name::text(parts.subject),
            issuer: name::text(parts.issuer),
            not_before: since_epoch(parts.not_before?),
            not_after: since_epoch(parts.not_after?),
        })
    }

    /// Whole days from `now` (since the epoch) to its end; 0 on its last day and after it.
    pub fn days_left(&self, now: Duration) -> u64 {
        days(self.not_after.saturating_sub(now))
    }
}

/// The same instant in seconds since the epoch, which certificates are compared in.
pub fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// Whole days.
pub fn days(span: Duration) -> u64 {
    span.as_secs() / SECONDS_PER_DAY
}

/// So many days in words: `1 day`, `2 days`.
pub fn in_days(count: u64) -> String {
    format!("{count} day{}", if count == 1 { "" } else { "s" })
}

/// Why a certificate is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFailure {
    /// It has ended.
    Expired {
        /// The certificate of the chain.
        subject: String,
        /// How long ago.
        ago: Duration,
    },
    /// It has not begun; or our clock is wrong.
    NotYetValid {
        /// The certificate of the chain.
        subject: String,
        /// How long it is until then.
        ahead: Duration,
    },
    /// It is for other names.
    OtherName {
        /// The name that was verified.
        wanted: String,
        /// The names it is for.
        presented: Vec<String>,
    },
    /// No trusted root issued it.
    IssuerUnknown {
        /// The issuer that is missing.
        issuer: String,
        /// Whether the certificate is its own issuer.
        self_signed: bool,
        /// The certificate of `--ca-file` that it should have issued: one of a file that lacks its root.
        below: Option<String>,
    },
    /// It ends within `--min-cert-days`.
    EndsSoon {
        /// The certificate of the chain.
        subject: String,
        /// What is left, in whole days.
        days: u64,
        /// `--min-cert-days`.
        limit: u32,
    },
    /// A list in `--crl-file` says so.
    Revoked(String),
    /// No list in `--crl-file` tells whether it is revoked: the words say what is wrong with them.
    NoValidList(String),
    /// A signature of the chain is not by its issuer's key.
    BadSignature,
    /// Anything else that HAProxy's own check refuses, too.
    Invalid(String),
    /// What this program cannot judge. HAProxy's own check may take it.
    Limit(String),
}

impl CertificateFailure {
    /// The exit code.
    pub fn code(&self) -> Code {
        match self {
            CertificateFailure::Expired { .. } => Code::CertificateExpired,
            CertificateFailure::NotYetValid { .. } => Code::CertificateNotYetValid,
            CertificateFailure::OtherName { .. } => Code::CertificateForOtherName,
            CertificateFailure::IssuerUnknown { .. } => Code::IssuerUnknown,
            CertificateFailure::EndsSoon { .. } => Code::CertificateEndsSoon,
            CertificateFailure::Revoked(_)
            | CertificateFailure::NoValidList(_)
            | CertificateFailure::BadSignature
            | CertificateFailure::Invalid(_)
            | CertificateFailure::Limit(_) => Code::CertificateInvalid,
        }
    }
}

impl fmt::Display for CertificateFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateFailure::Expired { subject, ago } => {
                write!(f, "certificate expired {} ago: {subject}", Span(*ago))
            }
            CertificateFailure::NotYetValid { subject, ahead } => write!(
                f,
                "certificate not valid for another {} (is this clock right?): {subject}",
                Span(*ahead)
            ),
            CertificateFailure::OtherName { wanted, presented } if presented.contains(wanted) => {
                write!(
                    f,
                    "certificate has {wanted}, but not as a DNS name or common name, and HAProxy \
                     looks at no other (verifyhost)"
                )
            }
            CertificateFailure::OtherName { wanted, presented } => {
                write!(
                    f,
                    "certificate is not for {wanted} but for {}",
                    Some10(presented)
                )
            }
            CertificateFailure::IssuerUnknown {
                issuer,
                below: Some(below),
                ..
            } => write!(
                f,
                "certificate's issuer unknown: --ca-file has {below} but not its issuer, and HAProxy \
                 wants the chain up to a root: {issuer}"
            ),
            CertificateFailure::IssuerUnknown {
                issuer,
                self_signed: true,
                ..
            } => {
                write!(
                    f,
                    "certificate is self-signed and not in --ca-file: {issuer}"
                )
            }
            CertificateFailure::IssuerUnknown {
                issuer,
                self_signed: false,
                ..
            } => write!(
                f,
                "certificate's issuer unknown (missing intermediate, or private CA for --ca-file): {issuer}"
            ),
            CertificateFailure::EndsSoon {
                subject,
                days,
                limit,
            } => {
                write!(
                    f,
                    "certificate ends in {}, --min-cert-days is {limit}: {subject}",
                    in_days(*days)
                )
            }
            CertificateFailure::BadSignature => f.write_str("certificate invalid: bad signature"),
            CertificateFailure::Revoked(cause)
            | CertificateFailure::NoValidList(cause)
            | CertificateFailure::Invalid(cause) => write!(f, "certificate invalid: {cause}"),
            CertificateFailure::Limit(cause) => write!(
                f,
                "certificate not judged: {cause} (limit of sni-check: HAProxy's own check, check-sni, \
                 may take it)"
            ),
        }
    }
}

impl std::error::Error for CertificateFailure {}

/// A span in its largest unit that is not zero.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (number, unit) = match seconds {
            0..60 => (seconds, "second"),
            60..3600 => (seconds / 60, "minute"),
            3600..SECONDS_PER_DAY => (seconds / 3600, "hour"),
            _ => (seconds / SECONDS_PER_DAY, "day"),
        };
        write!(f, "{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}

/// Names, of which there can be thousands.
struct Some10<'a>(&'a [String]);

impl fmt::Display for Some10<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        match self.0 {
            [] => f.write_str("no name at all"),
            names if names.len() <= SHOWN => f.write_str(&names.join(", ")),
            names => write!(
                f,
                "{} and {} more",
                names[..SHOWN].join(", "),
                names.len() - SHOWN
            ),
        }
    }
}
