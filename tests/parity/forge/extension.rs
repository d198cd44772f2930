//! Extensions of certificates (RFC 5280, section 4.2).

use super::der::{OCTETS, SEQUENCE, oid, tlv};

/// Returns an extension of a certificate.
pub fn extension(dotted: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical {
        tlv(1, &[&[0xff]])
    } else {
        Vec::new()
    };
    tlv(SEQUENCE, &[&oid(dotted), &critical, &tlv(OCTETS, &[value])])
}

/// Returns a critical basicConstraints extension (RFC 5280, section 4.2.1.9).
pub fn basic(ca: bool, path_length: Option<u8>) -> Vec<u8> {
    let ca = if ca { tlv(1, &[&[0xff]]) } else { Vec::new() };
    let length = path_length.map_or_else(Vec::new, |length| tlv(2, &[&[length]]));
    extension("2.5.29.19", true, &tlv(SEQUENCE, &[&ca, &length]))
}

pub const DIGITAL_SIGNATURE: u16 = 0x8000;
pub const NON_REPUDIATION: u16 = 0x4000;
pub const KEY_ENCIPHERMENT: u16 = 0x2000;
pub const DATA_ENCIPHERMENT: u16 = 0x1000;
pub const KEY_AGREEMENT: u16 = 0x0800;
pub const KEY_CERT_SIGN: u16 = 0x0400;
pub const CRL_SIGN: u16 = 0x0200;
pub const ENCIPHER_ONLY: u16 = 0x0100;

/// Returns a critical keyUsage extension (RFC 5280, section 4.2.1.3).
pub fn key_usage(bits: u16) -> Vec<u8> {
    let bytes = match bits & 0xff {
        0 => vec![(bits >> 8) as u8],
        low => vec![(bits >> 8) as u8, low as u8],
    };
    let unused = bytes.last().map_or(0, |last| last.trailing_zeros().min(7)) as u8;
    extension("2.5.29.15", true, &tlv(3, &[&[unused], &bytes]))
}

pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub const ANY_USAGE: &str = "2.5.29.37.0";

/// Returns an extKeyUsage extension (RFC 5280, section 4.2.1.12).
pub fn extended_usage(usages: &[&str], critical: bool) -> Vec<u8> {
    let usages: Vec<Vec<u8>> = usages.iter().map(|usage| oid(usage)).collect();
    extension("2.5.29.37", critical, &tlv(SEQUENCE, &[&usages.concat()]))
}

/// Returns a subjectAltName extension with these entries, each with the number of its tag and its
/// content.
pub fn alternative_names(entries: &[(u8, &[u8])]) -> Vec<u8> {
    let entries: Vec<Vec<u8>> = entries
        .iter()
        .map(|(number, content)| {
            let constructed = if [0, 3, 4, 5].contains(number) {
                0x20
            } else {
                0
            };
            tlv(0x80 | constructed | number, &[content])
        })
        .collect();
    extension("2.5.29.17", false, &tlv(SEQUENCE, &[&entries.concat()]))
}

/// Returns a subjectAltName extension with these DNS names.
pub fn dns(names: &[&str]) -> Vec<u8> {
    let entries: Vec<(u8, &[u8])> = names.iter().map(|name| (2, name.as_bytes())).collect();
    alternative_names(&entries)
}
