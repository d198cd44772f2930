//! Reading certificates, and what can be wrong with one.

use std::fmt;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{self, Decode, Header, Reader, SliceReader, Tag};
use x509_cert::name::Name;
use x509_cert::time::Validity;

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
    /// Reads a certificate; `None` if it is not one by RFC 5280.
    pub fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?;
        let certificate = certificate.tbs_certificate();
        let validity = certificate.validity();
        Some(Certificate {
            subject: distinguished_name(certificate.subject()),
            issuer: distinguished_name(certificate.issuer()),
            not_before: validity.not_before.to_unix_duration(),
            not_after: validity.not_after.to_unix_duration(),
        })
    }

    /// Whole days from `now` (since the epoch) to its end; 0 on its last day and after it.
    pub fn days_left(&self, now: Duration) -> u64 {
        days(self.not_after.saturating_sub(now))
    }
}

/// When a certificate begins and ends, since the epoch; the rest of it is left unread, which is most
/// of the work. `None` if it is no certificate up to there (RFC 5280, section 4.1).
pub fn validity(der: &CertificateDer<'_>) -> Option<(Duration, Duration)> {
    fn read(der: &[u8]) -> der::Result<Validity> {
        let mut reader = SliceReader::new(der)?;
        for _ in ["Certificate", "TBSCertificate"] {
            Header::decode(&mut reader)?
                .tag()
                .assert_eq(Tag::Sequence)?;
        }
        if Tag::peek(&reader)?.is_context_specific() {
            reader.tlv_bytes()?; // version
        }
        for _ in ["serialNumber", "signature", "issuer"] {
            reader.tlv_bytes()?;
        }
        Validity::decode(&mut reader)
    }
    let validity = read(der).ok()?;
    let [begin, end] =
        [validity.not_before, validity.not_after].map(|time| time.to_unix_duration());
    Some((begin, end))
}

/// A name in the form of RFC 4514, the most specific part first. x509-cert's own `Display` would
/// bring a table of every known OID, several times the size of all else here.
fn distinguished_name(name: &Name) -> String {
    let parts = name.iter_rdn().flat_map(|part| part.iter());
    let mut parts: Vec<String> = parts
        .map(|attribute| {
            let value = String::from_utf8_lossy(attribute.value.value());
            format!("{}={value}", short_name(&attribute.oid))
        })
        .collect();
    parts.reverse();
    if parts.is_empty() {
        // Leaves may name themselves in the alternative names alone.
        return "(empty subject)".to_owned();
    }
    parts.join(",")
}

/// RFC 4514, section 3.
fn short_name(oid: &ObjectIdentifier) -> String {
    let known = match oid.as_bytes() {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        _ => return oid.to_string(),
    };
    known.to_owned()
}

/// Whole days.
pub fn days(span: Duration) -> u64 {
    span.as_secs() / SECONDS_PER_DAY
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
    /// Anything else.
    Invalid(String),
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
            CertificateFailure::Invalid(_) => Code::CertificateInvalid,
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
            CertificateFailure::OtherName { wanted, presented } => {
                write!(
                    f,
                    "certificate is not for {wanted} but for {}",
                    Some10(presented)
                )
            }
            CertificateFailure::IssuerUnknown {
                issuer,
                self_signed: true,
            } => {
                write!(
                    f,
                    "certificate is self-signed and not in --ca-file: {issuer}"
                )
            }
            CertificateFailure::IssuerUnknown {
                issuer,
                self_signed: false,
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
                    "certificate ends in {days} days, --min-cert-days is {limit}: {subject}"
                )
            }
            CertificateFailure::Invalid(cause) => write!(f, "certificate invalid: {cause}"),
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
            [] => f.write_str("no name at all (a common name does not count)"),
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
