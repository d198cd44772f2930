//! Reads certificates, and names every reason why a certificate isn't acceptable.

pub mod distribution_point;
pub mod element;
pub mod general_name;
pub mod name;
pub mod name_constraints;
mod read;
mod revocation_list;
pub mod time;
pub mod uses;

use std::fmt;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};

pub use self::read::{Parts, Signed, key_type, rsa_bits};
pub use self::revocation_list::{Facts, RevocationList, Status};
pub use self::uses::Uses;
use crate::code::Code;

const SECONDS_PER_DAY: u64 = 86_400;

/// The facts about a certificate that we print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The subject's distinguished name, in the style of RFC 4514.
    pub subject: String,
    /// The issuer's distinguished name, in the style of RFC 4514.
    pub issuer: String,
    /// When the certificate becomes valid, as the time since the Unix epoch.
    pub not_before: Duration,
    /// When the certificate expires, as the time since the Unix epoch.
    pub not_after: Duration,
}

impl Certificate {
    /// Reads a certificate. Returns `None` if OpenSSL can't read it, or if its dates can't be read.
    pub fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
        Certificate::of(&Parts::read(der)?)
    }

    /// Returns the facts that we print, or `None` if the certificate's dates can't be read.
    pub fn of(parts: &Parts<'_>) -> Option<Certificate> {
        // A `Duration` can't be negative, so a date before 1970 becomes 1970.
        let since_epoch = |seconds: i64| Duration::from_secs(seconds.try_into().unwrap_or(0));
        Some(Certificate {
            subject: name::text(parts.subject),
            issuer: name::text(parts.issuer),
            not_before: since_epoch(parts.not_before?),
            not_after: since_epoch(parts.not_after?),
        })
    }

    /// Returns the number of whole days from `now` (since the Unix epoch) until the certificate expires.
    /// Returns 0 on the last day and later.
    pub fn days_left(&self, now: Duration) -> u64 {
        days(self.not_after.saturating_sub(now))
    }
}

/// Converts a time to seconds since the Unix epoch, the unit of the dates in [`Parts`].
pub fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// Returns the number of whole days in a span.
pub fn days(span: Duration) -> u64 {
    span.as_secs() / SECONDS_PER_DAY
}

/// Formats a number of days: `1 day`, `2 days`.
pub fn in_days(count: u64) -> String {
    format!("{count} day{}", if count == 1 { "" } else { "s" })
}

/// Why a certificate isn't acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFailure {
    /// A certificate of the chain has expired.
    Expired {
        /// The subject of that certificate.
        subject: String,
        /// How long ago it expired.
        ago: Duration,
    },
    /// A certificate of the chain isn't valid yet, or our clock is wrong.
    NotYetValid {
        /// The subject of that certificate.
        subject: String,
        /// How long until it becomes valid.
        ahead: Duration,
    },
    /// The certificate is for other names.
    OtherName {
        /// The name that we verified.
        wanted: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// The chain doesn't lead to a trusted root.
    IssuerUnknown {
        /// The missing issuer.
        issuer: String,
        /// True if the certificate is its own issuer.
        self_signed: bool,
        /// The certificate in `--ca-file` that the missing issuer has issued. `Some` if the file contains a
        /// certificate of the chain, but not that certificate's issuer.
        below: Option<String>,
    },
    /// A certificate of the chain expires within `--min-cert-days`.
    ExpiresSoon {
        /// The subject of that certificate.
        subject: String,
        /// How many whole days are left.
        days: u64,
        /// `--min-cert-days`.
        limit: u32,
    },
    /// A list in `--crl-file` contains a certificate of the chain. The text names the certificate.
    Revoked(String),
    /// No list in `--crl-file` can be used for a certificate of the chain. The text says why.
    NoValidList(String),
    /// A signature in the chain wasn't made with the issuer's key.
    BadSignature,
    /// Any other reason. HAProxy's own check rejects the certificate for the same reason.
    Invalid(String),
    /// sni-check can't judge the certificate. HAProxy's own check may accept it.
    Limit(String),
}

impl CertificateFailure {
    /// Returns the exit code.
    pub fn code(&self) -> Code {
        match self {
            CertificateFailure::Expired { .. } => Code::CertificateExpired,
            CertificateFailure::NotYetValid { .. } => Code::CertificateNotYetValid,
            CertificateFailure::OtherName { .. } => Code::CertificateForOtherName,
            CertificateFailure::IssuerUnknown { .. } => Code::IssuerUnknown,
            CertificateFailure::ExpiresSoon { .. } => Code::CertificateExpiresSoon,
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
                "certificate becomes valid in {} (is this host's clock right?): {subject}",
                Span(*ahead)
            ),
            CertificateFailure::OtherName { wanted, presented } if presented.contains(wanted) => {
                write!(
                    f,
                    "certificate has {wanted}, but not as a DNS name or common name, and HAProxy \
                     compares only those (verifyhost)"
                )
            }
            CertificateFailure::OtherName { wanted, presented } => {
                write!(
                    f,
                    "certificate is not for {wanted} but for {}",
                    FirstTen(presented)
                )
            }
            CertificateFailure::IssuerUnknown {
                issuer,
                below: Some(below),
                ..
            } => write!(
                f,
                "certificate's issuer unknown: --ca-file has {below} but not its issuer {issuer}; HAProxy \
                 needs the chain up to a root"
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
                "certificate's issuer unknown: {issuer} (an intermediate that the server doesn't send, or a CA that isn't in \
                 --ca-file)"
            ),
            CertificateFailure::ExpiresSoon {
                subject,
                days,
                limit,
            } => {
                write!(
                    f,
                    "certificate expires in {}, --min-cert-days is {limit}: {subject}",
                    in_days(*days)
                )
            }
            CertificateFailure::BadSignature => f.write_str("certificate invalid: bad signature"),
            CertificateFailure::Revoked(cause)
            | CertificateFailure::NoValidList(cause)
            | CertificateFailure::Invalid(cause) => write!(f, "certificate invalid: {cause}"),
            CertificateFailure::Limit(cause) => write!(
                f,
                "certificate not judged: {cause} (limit of sni-check: HAProxy's own check, with \
                 check-sni, may accept it)"
            ),
        }
    }
}

impl std::error::Error for CertificateFailure {}

/// Displays a span in the largest unit that isn't longer than the span, such as `3 days`.
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

/// Displays at most ten names, because a certificate can have thousands.
struct FirstTen<'a>(&'a [String]);

impl fmt::Display for FirstTen<'_> {
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
