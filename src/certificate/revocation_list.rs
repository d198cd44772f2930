//! Revocation lists (RFC 5280, section 5), read as OpenSSL reads them (`crl_cb` and `crl_set_issuers`
//! in its x_crl.c).
//!
//! A list can have millions of entries. Nothing is made of them: they stay the bytes that they are, and
//! a serial number is looked for among them.

use memchr::memmem;

use super::distribution_point::IssuingPoint;
use super::element::{BIT_STRING, Elements, INTEGER, OID, SEQUENCE, first, only};
use super::read::{Extension, is_integer};
use super::uses::Authority;
use super::{general_name, name, time};

const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 28];
const DELTA: &[u8] = &[0x55, 0x1d, 27];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const REASON: &[u8] = &[0x55, 0x1d, 21];
const ENTRY_ISSUER: &[u8] = &[0x55, 0x1d, 29];

/// A revocation list, in its bytes.
#[derive(Clone, Copy, Debug)]
pub struct RevocationList<'a> {
    /// The content of its issuer's name.
    pub issuer: &'a [u8],
    /// When it was made, in seconds since the epoch; `None` if that can't be compared with a clock.
    pub this_update: Option<i64>,
    /// When the next is due, if the list says so; within, `None` if that can't be compared with a clock.
    pub next_update: Option<Option<i64>>,
    /// The content of the AlgorithmIdentifier of the signature.
    pub signature: &'a [u8],
    /// What is signed.
    pub body: &'a [u8],
    /// The signature.
    pub signed: &'a [u8],
    /// authorityKeyIdentifier: which certificate signed it.
    pub authority: Authority<'a>,
    /// issuingDistributionPoint: which certificates it is about.
    pub point: Option<IssuingPoint<'a>>,
    /// Whether it only adds to another list.
    pub is_delta: bool,
    /// Whether the algorithm of the signature is the same within what is signed.
    pub names_one_algorithm: bool,
    /// Whether it has a critical extension that OpenSSL does not know.
    critical: bool,
    entries: &'a [u8],
}

/// What all entries of a list say together. It takes a walk through them to learn it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the list, or an entry of it, has a critical extension that OpenSSL does not know.
    pub critical: bool,
    /// Whether an entry has a date in a form that newer versions of OpenSSL may not read.
    pub odd_date: bool,
    /// Where entries begin that OpenSSL takes no more notice of but for their serial numbers, after one
    /// with an extension that it can't read.
    unread_from: Option<usize>,
}

/// What a list says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing.
    NotListed,
    /// It is revoked.
    Revoked,
    /// It was revoked, and isn't any more (removeFromCRL).
    TakenBack,
    /// Entries contradict each other.
    Contradictory,
}

impl<'a> RevocationList<'a> {
    /// Reads a list. Whatever follows it does not count. Returns `None` if OpenSSL can't read it; its
    /// entries are read by [`RevocationList::facts`].
    pub fn read(der: &'a [u8]) -> Option<RevocationList<'a>> {
        let mut whole = Elements(first(der, SEQUENCE)?);
        let start = whole.0;
        let mut body = Elements(whole.expect(SEQUENCE)?);
        let signed_bytes = &start[..start.len() - whole.0.len()];
        let signature = algorithm(whole.expect(SEQUENCE)?)?;
        // OpenSSL also reads a signature whose last byte has unused bits, but verifies none.
        let signed = whole.expect(BIT_STRING)?.strip_prefix(&[0])?;
        let version = body.expect(INTEGER);
        let names_one_algorithm = algorithm(body.expect(SEQUENCE)?)? == signature;
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
        let readable = whole.is_empty()
            && body.is_empty()
            && version.is_none_or(is_integer)
            && name::readable(issuer);
        let mut list = RevocationList {
            issuer,
            this_update,
            next_update,
            signature,
            body: signed_bytes,
            signed,
            authority: Authority::default(),
            point: None,
            is_delta: false,
            names_one_algorithm,
            critical: false,
            entries,
        };
        list.note_extensions(extensions)?;
        readable.then_some(list)
    }

    /// Takes note of the list's extensions. OpenSSL ignores those that it can't read and those that are
    /// there twice.
    fn note_extensions(&mut self, extensions: &'a [u8]) -> Option<()> {
        let mut found: Vec<Extension<'a>> = Vec::new();
        let mut elements = Elements(extensions);
        while !elements.is_empty() {
            found.push(Extension::read(elements.expect(SEQUENCE)?)?);
        }
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

    /// Reads every entry; `None` if OpenSSL can't.
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
            if entry.extensions.is_empty() {
                continue;
            }
            let extensions = entry.read_extensions()?;
            if facts.unread_from.is_some() {
                continue;
            }
            match meaning(&extensions) {
                Some(_) => {
                    facts.critical |= extensions
                        .iter()
                        .any(|extension| extension.critical && extension.kind != ENTRY_ISSUER);
                }
                None => facts.unread_from = Some(place),
            }
        }
        Some(facts)
    }

    /// What the list says of the certificate with this serial number and issuer.
    pub fn status(&self, facts: &Facts, serial: &[u8], issuer: &[u8]) -> Status {
        // A list names few certificates that anybody asks for: mostly, the number is nowhere in it.
        if memmem::find(self.entries, serial).is_none() {
            return Status::NotListed;
        }
        let mut status = Status::NotListed;
        // An entry's issuer is that of the entry before, if it does not name another.
        let mut issuers: Option<&[u8]> = None;
        let mut elements = Elements(self.entries);
        while let Some(content) = elements.expect(SEQUENCE) {
            let place = self.entries.len() - elements.0.len();
            let Some(entry) = Entry::read(content) else {
                break;
            };
            let unread = facts.unread_from.is_some_and(|from| place > from);
            let extensions = match unread {
                true => Vec::new(),
                false => entry.read_extensions().unwrap_or_default(),
            };
            let meaning = meaning(&extensions).unwrap_or_default();
            issuers = if unread {
                None
            } else {
                meaning.issuers.or(issuers)
            };
            if entry.serial != serial || !is_of(issuers, issuer, self.issuer) {
                continue;
            }
            let says = match meaning.takes_back {
                true => Status::TakenBack,
                false => Status::Revoked,
            };
            status = match status {
                Status::NotListed => says,
                before if before == says => says,
                _ => Status::Contradictory,
            };
        }
        status
    }
}

/// Whether an entry is about a certificate of this issuer (`crl_revoked_issuer_match`).
fn is_of(issuers: Option<&[u8]>, issuer: &[u8], of_list: &[u8]) -> bool {
    match issuers {
        None => name::same(issuer, of_list),
        Some(names) => general_name::names(names)
            .filter_map(|name| name.directory())
            .any(|directory| name::same(directory, issuer)),
    }
}

/// The content of an AlgorithmIdentifier, if OpenSSL can read it.
fn algorithm(content: &[u8]) -> Option<&[u8]> {
    Elements(content).expect(OID).map(|_| content)
}

/// An entry of a list.
struct Entry<'a> {
    serial: &'a [u8],
    /// Whether its date can be read.
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

    fn read_extensions(&self) -> Option<Vec<Extension<'a>>> {
        let mut extensions = Vec::new();
        let mut elements = Elements(self.extensions);
        while !elements.is_empty() {
            extensions.push(Extension::read(elements.expect(SEQUENCE)?)?);
        }
        Some(extensions)
    }
}

/// What the extensions of an entry mean.
#[derive(Default)]
struct Meaning<'a> {
    /// Who issued the certificate, if that isn't the list's issuer: GeneralNames.
    issuers: Option<&'a [u8]>,
    /// Whether an earlier revocation is taken back.
    takes_back: bool,
}

/// `None` if OpenSSL can't read one of them; it then reads no more entries.
fn meaning<'a>(extensions: &[Extension<'a>]) -> Option<Meaning<'a>> {
    const ENUMERATED: u8 = 10;
    const REMOVE_FROM_LIST: &[u8] = &[8];
    let issuers = match single(extensions, ENTRY_ISSUER) {
        None => None,
        Some(value) => {
            let names = first(value.ok()?, SEQUENCE)?;
            Some(names).filter(|names| general_name::readable(names))?;
            Some(names)
        }
    };
    let takes_back = match single(extensions, REASON) {
        None => false,
        Some(value) => {
            let reason = first(value.ok()?, ENUMERATED).filter(|reason| is_integer(reason))?;
            reason == REMOVE_FROM_LIST
        }
    };
    Some(Meaning {
        issuers,
        takes_back,
    })
}

/// The value of the extension of this kind; an error if there are several.
fn single<'a>(extensions: &[Extension<'a>], kind: &[u8]) -> Option<Result<&'a [u8], ()>> {
    let mut of_kind = extensions.iter().filter(|extension| extension.kind == kind);
    let value = of_kind.next()?.value;
    Some(match of_kind.next() {
        None => Ok(value),
        Some(_) => Err(()),
    })
}
