//! Builds revocation lists from bytes.

use super::der::{SEQUENCE, days, tlv};
use super::extension::extension;
use super::{Algorithm, Authority};

/// A revocation list before it is signed (RFC 5280, section 5.1).
#[derive(Clone)]
pub struct List {
    /// The encoded version. `None` means version 1.
    pub version: Option<u8>,
    pub this_update: Vec<u8>,
    pub next_update: Option<Vec<u8>>,
    /// Serial numbers of one byte each.
    pub revoked: Vec<u8>,
    /// The reason for all entries of `revoked`.
    pub reason: Option<u8>,
    pub extensions: Vec<Vec<u8>>,
    /// Encoded entries that follow the entries of `revoked`.
    pub entries: Vec<Vec<u8>>,
    /// An issuer name that replaces the issuer's own name.
    pub issuer: Option<Vec<u8>>,
    /// An algorithm that replaces the default of the issuer's key.
    pub algorithm: Option<Algorithm>,
    /// The algorithm that the signed part names, if it differs.
    pub inner_algorithm: Option<Algorithm>,
}

/// Returns an entry of a list, revoked three days ago, with this serial number and these extensions.
pub fn entry(serial: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = match extensions.is_empty() {
        true => Vec::new(),
        false => tlv(SEQUENCE, &[&extensions.concat()]),
    };
    tlv(SEQUENCE, &[&tlv(2, &[serial]), &days(-3), &extensions])
}

impl List {
    pub fn new(revoked: &[u8]) -> List {
        List {
            version: Some(1),
            this_update: days(-3),
            next_update: Some(days(30)),
            revoked: revoked.to_vec(),
            reason: None,
            extensions: vec![extension("2.5.29.20", false, &[2, 1, 1])],
            entries: Vec::new(),
            issuer: None,
            algorithm: None,
            inner_algorithm: None,
        }
    }

    /// Adds extensions.
    pub fn with(mut self, extensions: &[Vec<u8>]) -> List {
        self.extensions.extend_from_slice(extensions);
        self
    }
}

impl Authority {
    /// Signs a revocation list and returns its bytes.
    pub fn revoke(&self, list: &List) -> Vec<u8> {
        let algorithm = list.algorithm.unwrap_or(self.key.algorithm);
        let identifier = algorithm.identifier();
        let inner = list.inner_algorithm.unwrap_or(algorithm).identifier();
        let reason = list.reason.map_or_else(Vec::new, |reason| {
            let reason = extension("2.5.29.21", false, &[10, 1, reason]);
            tlv(SEQUENCE, &[&reason])
        });
        let entry = |serial: &u8| tlv(SEQUENCE, &[&tlv(2, &[&[*serial]]), &days(-3), &reason]);
        let mut entries: Vec<Vec<u8>> = list.revoked.iter().map(entry).collect();
        entries.extend_from_slice(&list.entries);
        let entries = match entries.is_empty() {
            true => Vec::new(),
            false => tlv(SEQUENCE, &[&entries.concat()]),
        };
        let extensions = match list.extensions.is_empty() {
            true => Vec::new(),
            false => tlv(0xa0, &[&tlv(SEQUENCE, &[&list.extensions.concat()])]),
        };
        let version = list
            .version
            .map_or_else(Vec::new, |version| tlv(2, &[&[version]]));
        let body = tlv(
            SEQUENCE,
            &[
                &version,
                &inner,
                list.issuer.as_deref().unwrap_or(&self.name),
                &list.this_update,
                list.next_update.as_deref().unwrap_or_default(),
                &entries,
                &extensions,
            ],
        );
        let signature = self.key.sign(algorithm, &body);
        tlv(
            SEQUENCE,
            &[&body, &identifier, &tlv(3, &[&[0], &signature])],
        )
    }
}
