//! Reads revocation lists (RFC 5280, section 5) as OpenSSL does (`crl_cb` and `crl_set_issuers` in
//! its x_crl.c).
//!
//! A list can have millions of entries. sni-check doesn't keep them as structures. It searches for the serial
//! number in the list's bytes.

use memchr::memmem;

use super::distribution_point::IssuingPoint;
use super::element::{Elements, INTEGER, OID, SEQUENCE, first, only};
use super::read::{Extension, Signed, is_integer};
use super::uses::{AUTHORITY_KEY_ID, Authority};
use super::{general_name, name, time};

const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 28];
const DELTA: &[u8] = &[0x55, 0x1d, 27];
const REASON: &[u8] = &[0x55, 0x1d, 21];
const ENTRY_ISSUER: &[u8] = &[0x55, 0x1d, 29];

/// The parts of a revocation list. They borrow the list's bytes.
#[derive(Clone, Copy, Debug)]
pub struct RevocationList<'a> {
    /// The content of the issuer's name.
    pub issuer: &'a [u8],
    /// The time of issue, in seconds since the epoch. `None` if the time can't be compared with the clock.
    pub this_update: Option<i64>,
    /// When the next list is due, in seconds since the epoch. The outer `None` means that the list has no
    /// such field. The inner `None` means that its time can't be compared with the clock.
    pub next_update: Option<Option<i64>>,
    /// The signature of the issuer.
    pub signed: Signed<'a>,
    /// The authorityKeyIdentifier, which identifies the certificate that signed the list.
    pub authority: Authority<'a>,
    /// The issuingDistributionPoint, which limits the certificates that the list covers.
    pub point: Option<IssuingPoint<'a>>,
    /// True if this is a delta list, which only updates another list.
    pub is_delta: bool,
    /// True if the signed bytes name the same signature algorithm as the outer field.
    pub names_one_algorithm: bool,
    /// True if the list itself has a critical extension that OpenSSL doesn't know.
    critical: bool,
    entries: &'a [u8],
}

/// Facts about all entries of a list. To collect these facts, sni-check must read every entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// True if the list or one of its entries has a critical extension that OpenSSL doesn't know.
    pub critical: bool,
    /// True if an entry has a date in a form that newer OpenSSL versions may not read.
    pub odd_date: bool,
    /// The position of the first entry with an extension that OpenSSL can't read. OpenSSL uses only
    /// the serial numbers of all later entries.
    unread_from: Option<usize>,
}

/// The status of a certificate in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The list doesn't contain the certificate.
    NotListed,
    /// The certificate is revoked.
    Revoked,
    /// An earlier revocation was withdrawn (removeFromCRL).
    Withdrawn,
    /// The list has entries for the certificate that contradict each other.
    Contradictory,
}

impl<'a> RevocationList<'a> {
    /// Reads a list and ignores everything after it. Returns `None` if OpenSSL can't read the list.
    /// [`RevocationList::facts`] reads the entries.
    pub fn read(der: &'a [u8]) -> Option<RevocationList<'a>> {
        let (signed, mut body) = Signed::read(first(der, SEQUENCE)?)?;
        let version = body.expect(INTEGER);
        let algorithm = body.expect(SEQUENCE)?;
        for algorithm in [signed.algorithm, algorithm] {
            Elements(algorithm).expect(OID)?;
        }
        let issuer = body.expect(SEQUENCE)?;
        let this_update = time::read(&mut body)?;
        let mut ahead = body;
        let next_update = time::read(&mut ahead);
        if next_update.is_some() {
            body = ahead;
        }
        let entries = body.expect(SEQUENCE).unwrap_or_default();
        let extensions = match body.expect(0xa0) {
            Some(extensions) => only(extensions, SEQUENCE)?,
            None => &[],
        };
        let readable = body.is_empty() && version.is_none_or(is_integer) && name::readable(issuer);
        let mut list = RevocationList {
            issuer,
            this_update,
            next_update,
            signed,
            authority: Authority::default(),
            point: None,
            is_delta: false,
            names_one_algorithm: algorithm == signed.algorithm,
            critical: false,
            entries,
        };
        list.note_extensions(extensions)?;
        readable.then_some(list)
    }

    /// Stores the list's extensions. Like OpenSSL, ignores a value that can't be read, and an extension that
    /// occurs twice. Returns `None` if the list of extensions itself can't be read.
    fn note_extensions(&mut self, extensions: &'a [u8]) -> Option<()> {
        let found = Extension::all(extensions)?;
        let value = |kind: &[u8]| single(&found, kind).and_then(Result::ok);
        self.point = value(ISSUING_POINT).and_then(IssuingPoint::read);
        self.authority = value(AUTHORITY_KEY_ID)
            .and_then(Authority::read)
            .unwrap_or_default();
        let number = value(DELTA).and_then(|value| first(value, INTEGER));
        self.is_delta = number.is_some_and(is_integer);
        self.critical = found.iter().any(|extension| {
            let known = [ISSUING_POINT, AUTHORITY_KEY_ID, DELTA].contains(&extension.kind);
            extension.critical && !known
        });
        Some(())
    }

    /// Reads every entry. Returns `None` if OpenSSL can't read one of them.
    pub fn facts(&self) -> Option<Facts> {
        let mut facts = Facts {
            critical: self.critical,
            ..Facts::default()
        };
        let mut elements = Elements(self.entries);
        while !elements.is_empty() {
            let place = self.entries.len() - elements.0.len();
            let entry = Entry::read(elements.expect(SEQUENCE)?)?;
            facts.odd_date |= !entry.dated;
            let extensions = Extension::all(entry.extensions)?;
            if extensions.is_empty() || facts.unread_from.is_some() {
                continue;
            }
            if !meaning(&extensions).is_read {
                facts.unread_from = Some(place);
                continue;
            }
            let is_unknown = |one: &Extension<'_>| one.critical && one.kind != ENTRY_ISSUER;
            facts.critical |= extensions.iter().any(is_unknown);
        }
        Some(facts)
    }

    /// Returns the status of the certificate with this serial number and issuer.
    pub fn status(&self, facts: &Facts, serial: &[u8], issuer: &[u8]) -> Status {
        // This search is fast, and most serial numbers that we check aren't in the list.
        if memmem::find(self.entries, serial).is_none() {
            return Status::NotListed;
        }
        let mut status = Status::NotListed;
        // An entry that names no issuer has the same issuer as the previous entry.
        let mut issuers: Option<&[u8]> = None;
        let mut elements = Elements(self.entries);
        loop {
            let place = self.entries.len() - elements.0.len();
            let Some(entry) = elements.expect(SEQUENCE).and_then(Entry::read) else {
                break;
            };
            // After an entry that OpenSSL can't read, all entries have the list's issuer.
            let unread = facts.unread_from.is_some_and(|from| place > from);
            let meaning = match unread {
                true => Meaning::UNREAD,
                false => meaning(&Extension::all(entry.extensions).unwrap_or_default()),
            };
            issuers = match meaning.issuer {
                Issuer::Previous => issuers,
                Issuer::Named(names) => Some(names),
                Issuer::OfList => None,
            };
            if entry.serial != serial || !is_of(issuers, issuer, self.issuer) {
                continue;
            }
            let of_entry = match meaning.removes_entry {
                true => Status::Withdrawn,
                false => Status::Revoked,
            };
            status = match status == Status::NotListed || status == of_entry {
                true => of_entry,
                false => Status::Contradictory,
            };
        }
        status
    }
}

/// Returns true if an entry is for a certificate of this issuer (`crl_revoked_issuer_match`).
fn is_of(issuers: Option<&[u8]>, issuer: &[u8], of_list: &[u8]) -> bool {
    match issuers {
        None => name::same(issuer, of_list),
        Some(names) => {
            general_name::directories(names).any(|directory| name::same(directory, issuer))
        }
    }
}

/// An entry of a list.
struct Entry<'a> {
    serial: &'a [u8],
    /// True if the entry's date can be compared with the clock.
    dated: bool,
    extensions: &'a [u8],
}

impl<'a> Entry<'a> {
    fn read(content: &'a [u8]) -> Option<Entry<'a>> {
        let mut elements = Elements(content);
        let serial = elements
            .expect(INTEGER)
            .filter(|serial| is_integer(serial))?;
        let date = time::read(&mut elements)?;
        let extensions = elements.expect(SEQUENCE).unwrap_or_default();
        elements.is_empty().then_some(Entry {
            serial,
            dated: date.is_some(),
            extensions,
        })
    }
}

/// The issuer of an entry's certificate.
enum Issuer<'a> {
    /// The issuer of the previous entry.
    Previous,
    /// An issuer that the entry names (GeneralNames).
    Named(&'a [u8]),
    /// The list's issuer.
    OfList,
}

/// The meaning of an entry's extensions.
struct Meaning<'a> {
    issuer: Issuer<'a>,
    /// True if the entry withdraws an earlier revocation.
    removes_entry: bool,
    /// False if OpenSSL can't read an extension. OpenSSL then interprets no further extensions and entries.
    is_read: bool,
}

impl Meaning<'_> {
    const UNREAD: Self = Meaning {
        issuer: Issuer::OfList,
        removes_entry: false,
        is_read: false,
    };
}

/// Interprets an entry's extensions in OpenSSL's order (`crl_set_issuers`): the issuer, then the reason.
fn meaning<'a>(extensions: &[Extension<'a>]) -> Meaning<'a> {
    const ENUMERATED: u8 = 10;
    const REMOVE_FROM_LIST: &[u8] = &[8];
    let names = |value: Result<&'a [u8], ()>| {
        let names = first(value.ok()?, SEQUENCE)?;
        Some(names).filter(|names| general_name::readable(names))
    };
    let issuer = match single(extensions, ENTRY_ISSUER).map(names) {
        None => Issuer::Previous,
        Some(Some(names)) => Issuer::Named(names),
        Some(None) => return Meaning::UNREAD,
    };
    let reason = |value: Result<&'a [u8], ()>| {
        first(value.ok()?, ENUMERATED).filter(|reason| is_integer(reason))
    };
    let reason = single(extensions, REASON).map(reason);
    Meaning {
        issuer,
        removes_entry: reason == Some(Some(REMOVE_FROM_LIST)),
        is_read: reason != Some(None),
    }
}

/// Returns the value of the extension of this kind, an error if the extension occurs more than once, or
/// `None` if it doesn't occur.
fn single<'a>(extensions: &[Extension<'a>], kind: &[u8]) -> Option<Result<&'a [u8], ()>> {
    let mut of_kind = extensions.iter().filter(|extension| extension.kind == kind);
    let value = of_kind.next()?.value;
    Some(match of_kind.next() {
        None => Ok(value),
        Some(_) => Err(()),
    })
}
