//! Revocation lists.

use super::Authority;
use super::der::{SEQUENCE, days, tlv};
use super::extension::extension;

/// A revocation list to be (RFC 5280, section 5.1).
pub struct List {
    /// `None` is version 1.
    pub version: Option<u8>,
    pub this_update: Vec<u8>,
    pub next_update: Option<Vec<u8>>,
    /// Serial numbers.
    pub revoked: Vec<u8>,
    /// Why those are revoked.
    pub reason: Option<u8>,
    pub extensions: Vec<Vec<u8>>,
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
        }
    }
}

impl Authority {
    /// Signs a revocation list: its bytes.
    pub fn revoke(&self, list: &List) -> Vec<u8> {
        let identifier = self.key.algorithm.identifier();
        let reason = list.reason.map_or_else(Vec::new, |reason| {
            let reason = extension("2.5.29.21", false, &[10, 1, reason]);
            tlv(SEQUENCE, &[&reason])
        });
        let entry = |serial: &u8| tlv(SEQUENCE, &[&tlv(2, &[&[*serial]]), &days(-3), &reason]);
        let entries: Vec<Vec<u8>> = list.revoked.iter().map(entry).collect();
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
                &identifier,
                &self.name,
                &list.this_update,
                list.next_update.as_deref().unwrap_or_default(),
                &entries,
                &extensions,
            ],
        );
        let signature = self.key.sign(self.key.algorithm, &body);
        tlv(
            SEQUENCE,
            &[&body, &identifier, &tlv(3, &[&[0], &signature])],
        )
    }
}
