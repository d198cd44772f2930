//! Revocation lists from files (RFC 5280, section 5).

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use memchr::memmem;

use super::files::Files;
use super::pem;
use super::trusted::{Trusted, from_text};
use crate::certificate::{Facts, RevocationList, name};
use crate::refusal::refusal;

/// A revocation list from a file. It needs only the memory for its bytes, because the parsed entries aren't
/// kept.
#[derive(Clone, Debug)]
pub struct List {
    /// The bytes of all lists in the file.
    bytes: Arc<Vec<u8>>,
    place: Range<usize>,
    facts: Facts,
    /// When the next list is due, in seconds since the Unix epoch.
    pub next_update: Option<i64>,
}

/// The lists of a file, and the certificates in the same file.
pub(super) type Content = (Vec<List>, Vec<Trusted>);

impl List {
    /// Returns the lists of a PEM file, and the certificates in the same file.
    pub(super) fn of_file(option: &str, file: &str, files: &Files) -> Result<Arc<Content>> {
        pem::parsed(files, option, file, |subject, text| {
            // Parse certificates only if the file has one. Most files have no certificate, and parsing a list
            // with a million lines takes a long time.
            let certificates = match memmem::find(&text, b"CERTIFICATE-----") {
                Some(_) => from_text(subject, &text)?,
                None => Vec::new(),
            };
            let (bytes, places) = pem::lists(subject, text)?;
            let bytes = Arc::new(bytes);
            let lists = places
                .into_iter()
                .map(|place| List::new(bytes.clone(), place));
            let lists: Option<Vec<List>> = lists.collect();
            let lists = lists.ok_or_else(|| {
                let write = "look at it with `openssl crl -text`";
                refusal(subject, "has a list that cannot be read", write)
            });
            Ok((lists?, certificates))
        })
    }

    /// Reads the list at `place`. Returns `None` if OpenSSL can't read the list.
    fn new(bytes: Arc<Vec<u8>>, place: Range<usize>) -> Option<List> {
        let list = RevocationList::read(&bytes[place.clone()])?;
        let (facts, next_update) = (list.facts()?, list.next_update.flatten());
        Some(List {
            bytes,
            place,
            facts,
            next_update,
        })
    }

    /// Returns the parts of the list.
    pub fn parts(&self) -> Option<RevocationList<'_>> {
        RevocationList::read(&self.bytes[self.place.clone()])
    }

    /// Returns a summary of all entries of the list.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns true if both lists have the same issuer.
    pub fn has_issuer_of(&self, other: &List) -> bool {
        other.parts().is_some_and(|parts| self.is_of(parts.issuer))
    }

    /// Returns true if the list is from the issuer whose encoded name is `issuer`.
    pub fn is_of(&self, issuer: &[u8]) -> bool {
        self.parts()
            .is_some_and(|parts| name::same(parts.issuer, issuer))
    }
}
