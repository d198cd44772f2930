//! Revocation lists from files (RFC 5280, section 5).

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Error, Result};
use memchr::memmem;

use super::files::Files;
use super::pem;
use super::trusted::{Trusted, from_text};
use crate::certificate::{Facts, RevocationList, name};
use crate::refusal::refusal;

/// A revocation list from a file. It takes the memory of its bytes, whatever it lists.
#[derive(Clone, Debug)]
pub struct List {
    /// All lists of its file.
    bytes: Arc<Vec<u8>>,
    place: Range<usize>,
    facts: Facts,
    /// When the next is due, in seconds since the epoch.
    pub next_update: Option<i64>,
}

/// The lists of a file, and the certificates beside them.
pub(super) type Content = (Vec<List>, Vec<Trusted>);

impl List {
    /// The lists of a PEM file, and the certificates beside them.
    pub(super) fn of_file(option: &str, file: &str, files: &Files) -> Result<Arc<Content>> {
        pem::parsed(files, option, file, |subject, text| {
            // Mostly there are none, and a list may have a million lines to look through.
            let certificates = match memmem::find(&text, b"CERTIFICATE-----") {
                Some(_) => from_text(subject, &text)?,
                None => Vec::new(),
            };
            let (bytes, places) = pem::lists(subject, text)?;
            let bytes = Arc::new(bytes);
            let lists: Option<Vec<List>> = places
                .into_iter()
                .map(|place| List::new(bytes.clone(), place))
                .collect();
            let lists = lists.ok_or_else(|| unreadable(subject))?;
            Ok((lists, certificates))
        })
    }

    /// `None` if OpenSSL can't read the list.
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

    /// Its parts.
    pub fn parts(&self) -> Option<RevocationList<'_>> {
        RevocationList::read(&self.bytes[self.place.clone()])
    }

    /// What all of its entries say together.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether both are of one issuer.
    pub fn has_issuer_of(&self, other: &List) -> bool {
        other.parts().is_some_and(|parts| self.is_of(parts.issuer))
    }

    /// Whether it is this issuer's, whose name's content this is.
    pub fn is_of(&self, issuer: &[u8]) -> bool {
        self.parts()
            .is_some_and(|parts| name::same(parts.issuer, issuer))
    }
}

fn unreadable(subject: &str) -> Error {
    refusal(
        subject,
        "has a list that cannot be read",
        "look at it with `openssl crl -text`",
    )
}
