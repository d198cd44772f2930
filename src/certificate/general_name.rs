//! GeneralNames (RFC 5280, section 4.2.1.6): what extensions name servers, people and lists with.

use super::element::{Elements, OID, SEQUENCE, only};
use super::name;

/// otherName.
pub const OTHER: u8 = 0xa0;
/// rfc822Name.
pub const MAIL: u8 = 0x81;
/// dNSName.
pub const DNS: u8 = 0x82;
/// directoryName.
pub const DIRECTORY: u8 = 0xa4;
/// uniformResourceIdentifier.
pub const URI: u8 = 0x86;
/// iPAddress.
pub const ADDRESS: u8 = 0x87;

const X400: u8 = 0xa3;
const EDI_PARTY: u8 = 0xa5;
const REGISTERED_ID: u8 = 0x88;

/// A name: its tag says of which kind it is.
#[derive(Clone, Copy, Debug)]
pub struct GeneralName<'a> {
    /// One of the constants above.
    pub kind: u8,
    /// The content of the element.
    pub value: &'a [u8],
}

impl<'a> GeneralName<'a> {
    /// Reads the next name; `None` if OpenSSL can't read it.
    pub fn read(elements: &mut Elements<'a>) -> Option<GeneralName<'a>> {
        let (kind, value) = elements.next()?;
        let name = GeneralName { kind, value };
        let readable = match kind {
            OTHER => name.other().is_some(),
            DIRECTORY => name.directory().is_some_and(name::readable),
            REGISTERED_ID => Elements::is_oid(value),
            MAIL | DNS | URI | ADDRESS | X400 | EDI_PARTY => true,
            _ => false,
        };
        readable.then_some(name)
    }

    /// The content of the distinguished name that this directoryName holds.
    pub fn directory(&self) -> Option<&'a [u8]> {
        match self.kind {
            DIRECTORY => only(self.value, SEQUENCE),
            _ => None,
        }
    }

    /// The kind of this otherName, an OID, and its value.
    pub fn other(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.kind != OTHER {
            return None;
        }
        let mut parts = Elements(self.value);
        let (kind, value) = (parts.expect(OID)?, parts.expect(0xa0)?);
        parts.is_empty().then_some((kind, value))
    }

    /// Whether OpenSSL takes both for the same name (`GENERAL_NAME_cmp`).
    pub fn is_same(&self, other: &GeneralName<'_>) -> bool {
        match (self.directory(), other.directory()) {
            (Some(one), Some(other)) => name::same(one, other),
            _ => self.kind == other.kind && self.value == other.value,
        }
    }
}

/// The names of a GeneralNames, of its content, up to the first that can't be read.
pub fn names(content: &[u8]) -> impl Iterator<Item = GeneralName<'_>> + Clone {
    let mut elements = Elements(content);
    std::iter::from_fn(move || GeneralName::read(&mut elements))
}

/// Whether OpenSSL can read every name.
pub fn readable(content: &[u8]) -> bool {
    let mut elements = Elements(content);
    while !elements.is_empty() {
        if GeneralName::read(&mut elements).is_none() {
            return false;
        }
    }
    true
}

/// The first directoryName among these names: the content of the distinguished name.
pub fn first_directory(content: &[u8]) -> Option<&[u8]> {
    names(content).find_map(|name| name.directory())
}
