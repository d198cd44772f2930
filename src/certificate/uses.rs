//! Reads the extensions that limit a certificate's use (RFC 5280, section 4.2) as OpenSSL does.

use super::distribution_point::{self, bits};
use super::element::{BOOLEAN, Elements, INTEGER, OCTET_STRING, OID, SEQUENCE, first};
use super::read::Parts;
use super::{general_name, name_constraints};

/// subjectAltName (RFC 5280, section 4.2.1.6).
pub const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
/// nameConstraints (RFC 5280, section 4.2.1.10).
pub const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
const ISSUER_NAMES: &[u8] = &[0x55, 0x1d, 18];
const KEY_ID: &[u8] = &[0x55, 0x1d, 14];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
pub(super) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
const POLICY_MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
const INHIBIT_ANY_POLICY: &[u8] = &[0x55, 0x1d, 54];
const NETSCAPE_TYPE: &[u8] = &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 1];
/// Resources (RFC 3779): IP addresses and autonomous systems.
const ADDRESS_BLOCKS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 7];
const SYSTEM_NUMBERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 8];
/// id-pkix-ocsp-nocheck (RFC 6960, section 4.2.2.2.1).
const OCSP_NO_CHECK: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 5];
const PROXY: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 14];

/// serverAuth, and its predecessors by Microsoft and Netscape (Server Gated Cryptography).
const SERVER_AUTH: [&[u8]; 3] = [
    &[0x2b, 6, 1, 5, 5, 7, 3, 1],
    &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 10, 3, 3],
    &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 4, 1],
];

/// clientAuth.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// The key may make signatures. This and the following constants are bits of [`Uses::key_usage`].
pub const DIGITAL_SIGNATURE: u16 = 0x80;
/// The key may encipher keys.
pub const KEY_ENCIPHERMENT: u16 = 0x20;
/// The key may agree on keys.
pub const KEY_AGREEMENT: u16 = 0x08;
/// The key may sign certificates.
pub const KEY_CERT_SIGN: u16 = 0x04;
/// The key may sign revocation lists.
pub const CRL_SIGN: u16 = 0x02;

/// The contents of the extensions that limit a certificate's use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uses<'a> {
    /// True if an extension that OpenSSL interprets is invalid, occurs twice, or contradicts another
    /// extension. OpenSSL doesn't use such a certificate.
    pub broken: bool,
    /// The OID of a critical extension that OpenSSL doesn't know.
    pub unknown_critical: Option<&'a [u8]>,
    /// True if the certificate is a proxy certificate (RFC 3820).
    pub proxy: bool,
    /// True if the certificate has an extension of RFC 3779 (IP addresses, autonomous systems).
    pub resources: bool,
    /// True if the certificate is a CA certificate, `None` without basicConstraints.
    pub ca: Option<bool>,
    /// The largest number of intermediates below the certificate (basicConstraints).
    pub path_length: Option<u64>,
    /// keyUsage.
    pub key_usage: Option<u16>,
    /// True if extKeyUsage contains serverAuth, `None` without extKeyUsage.
    pub servers: Option<bool>,
    /// True if extKeyUsage contains clientAuth, `None` without extKeyUsage.
    pub clients: Option<bool>,
    /// Netscape's nsCertType.
    pub netscape: Option<u16>,
    /// subjectKeyIdentifier.
    pub key_id: Option<&'a [u8]>,
    /// authorityKeyIdentifier.
    pub authority: Authority<'a>,
    /// The content of nameConstraints' SEQUENCE.
    pub name_constraints: Option<&'a [u8]>,
    /// The content of subjectAltName's SEQUENCE.
    pub alternative_names: Option<&'a [u8]>,
    /// The content of cRLDistributionPoints' SEQUENCE, empty without this extension.
    pub distribution_points: &'a [u8],
}

/// Identifies the issuer's certificate (RFC 5280, section 4.2.1.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Authority<'a> {
    /// The subjectKeyIdentifier of the issuer's certificate.
    pub key_id: Option<&'a [u8]>,
    /// The issuer of the issuer's certificate.
    pub issuer: Option<&'a [u8]>,
    /// The serial number of the issuer's certificate.
    pub serial: Option<&'a [u8]>,
}

impl<'a> Uses<'a> {
    /// Reads a certificate's extensions.
    pub fn read(parts: &Parts<'a>) -> Uses<'a> {
        let mut uses = Uses::default();
        let mut seen: Vec<&[u8]> = Vec::with_capacity(12);
        let mut other_names = false;
        for extension in parts.extensions() {
            let Some(extension) = extension else {
                uses.broken = true;
                break;
            };
            other_names |= matches!(extension.kind, ALTERNATIVE_NAMES | ISSUER_NAMES);
            if let Some(readable) = uses.note(extension.kind, extension.value) {
                uses.broken |= !readable || seen.contains(&extension.kind);
                seen.push(extension.kind);
            }
            if extension.critical && !is_known(extension.kind) {
                uses.unknown_critical.get_or_insert(extension.kind);
            }
        }
        uses.broken |= uses.proxy && (uses.ca == Some(true) || other_names);
        uses
    }

    /// Stores an extension that OpenSSL interprets. Returns `Some(false)` if the extension is
    /// invalid, and `None` if OpenSSL doesn't interpret it.
    fn note(&mut self, kind: &[u8], value: &'a [u8]) -> Option<bool> {
        let readable = match kind {
            BASIC_CONSTRAINTS => self.note_basic_constraints(value),
            KEY_USAGE => bits(value).map(|bits| self.key_usage = Some(bits)),
            EXTENDED_KEY_USAGE => self.note_extended_key_usage(value),
            NETSCAPE_TYPE => bits(value).map(|bits| self.netscape = Some(bits)),
            KEY_ID => first(value, OCTET_STRING).map(|id| self.key_id = Some(id)),
            AUTHORITY_KEY_ID => Authority::read(value).map(|authority| self.authority = authority),
            NAME_CONSTRAINTS => first(value, SEQUENCE)
                .filter(|content| name_constraints::readable(content))
                .map(|content| self.name_constraints = Some(content)),
            ALTERNATIVE_NAMES => first(value, SEQUENCE)
                .filter(|names| general_name::readable(names))
                .map(|names| self.alternative_names = Some(names)),
            DISTRIBUTION_POINTS => first(value, SEQUENCE)
                .filter(|points| distribution_point::readable(points))
                .map(|points| self.distribution_points = points),
            ADDRESS_BLOCKS | SYSTEM_NUMBERS => {
                first(value, SEQUENCE).map(|_| self.resources = true)
            }
            PROXY => first(value, SEQUENCE).map(|_| self.proxy = true),
            _ => return None,
        };
        let is_empty = kind == KEY_USAGE && self.key_usage == Some(0);
        Some(readable.is_some() && !is_empty)
    }

    fn note_basic_constraints(&mut self, value: &[u8]) -> Option<()> {
        let mut elements = Elements(first(value, SEQUENCE)?);
        self.ca = Some(elements.flag(BOOLEAN)?);
        if let Some(length) = elements.expect(INTEGER) {
            if length.first()? & 0x80 != 0 {
                return None;
            }
            let length = length.iter().try_fold(0_u64, |sum, byte| {
                sum.checked_mul(256).map(|sum| sum | u64::from(*byte))
            });
            self.path_length = Some(length.unwrap_or(u64::MAX));
        }
        elements.is_empty().then_some(())
    }

    fn note_extended_key_usage(&mut self, value: &[u8]) -> Option<()> {
        let mut elements = Elements(first(value, SEQUENCE)?);
        let (mut servers, mut clients) = (false, false);
        while !elements.is_empty() {
            let usage = elements.expect(OID)?;
            servers |= SERVER_AUTH.contains(&usage);
            clients |= usage == CLIENT_AUTH;
        }
        (self.servers, self.clients) = (Some(servers), Some(clients));
        Some(())
    }
}

/// Returns true if OpenSSL accepts this extension when it's critical.
fn is_known(kind: &[u8]) -> bool {
    [
        KEY_USAGE,
        ALTERNATIVE_NAMES,
        BASIC_CONSTRAINTS,
        NAME_CONSTRAINTS,
        DISTRIBUTION_POINTS,
        EXTENDED_KEY_USAGE,
        NETSCAPE_TYPE,
        ADDRESS_BLOCKS,
        SYSTEM_NUMBERS,
        PROXY,
        OCSP_NO_CHECK,
        CERTIFICATE_POLICIES,
        POLICY_MAPPINGS,
        POLICY_CONSTRAINTS,
        INHIBIT_ANY_POLICY,
    ]
    .contains(&kind)
}

impl<'a> Authority<'a> {
    /// Reads the value of authorityKeyIdentifier, an extension of certificates and revocation
    /// lists. Returns `None` if OpenSSL can't read it.
    pub fn read(value: &'a [u8]) -> Option<Authority<'a>> {
        let mut elements = Elements(first(value, SEQUENCE)?);
        let key_id = elements.expect(0x80);
        let issuers = elements.expect(0xa1);
        let serial = elements.expect(0x82);
        let readable = elements.is_empty() && issuers.is_none_or(general_name::readable);
        readable.then_some(Authority {
            key_id,
            issuer: issuers.and_then(|issuers| general_name::directories(issuers).next()),
            serial,
        })
    }
}
