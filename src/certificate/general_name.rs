//! GeneralNames (RFC 5280, section 4.2.1.6), which extensions use to name servers, people and
//! lists.

use super::element::{Elements, OID, SEQUENCE, each, only};
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

/// A name and its kind.
#[derive(Clone, Copy, Debug)]
pub struct GeneralName<'a> {
    /// The tag of the element, such as [`DNS`].
    pub kind: u8,
    /// The content of the element.
    pub value: &'a [u8],
}

impl<'a> GeneralName<'a> {
    /// Reads the next name. Returns `None` if OpenSSL can't read it.
    pub fn read(elements: &mut Elements<'a>) -> Option<GeneralName<'a>> {
        let (kind, value) = elements.next()?;
        let name = GeneralName { kind, value };
        let readable = match kind {
            OTHER => name.other().is_some(),
            DIRECTORY => name.directory().is_some_and(name::readable),
            REGISTERED_ID => Elements::is_oid(value),
            EDI_PARTY => is_edi_party(value),
            MAIL | DNS | URI | ADDRESS | X400 => true,
            _ => name.is_constructed() && are_pieces(value),
        };
        readable.then_some(name)
    }

    /// Returns true if the name is a string in pieces (constructed), which BER allows and DER
    /// doesn't. OpenSSL joins the pieces. sni-check doesn't, so such a name matches nothing.
    pub fn is_constructed(&self) -> bool {
        const CONSTRUCTED: u8 = 0x20;
        [MAIL, DNS, URI, ADDRESS].contains(&(self.kind & !CONSTRUCTED))
            && self.kind & CONSTRUCTED != 0
    }

    /// Returns the content of the distinguished name if this is a directoryName.
    pub fn directory(&self) -> Option<&'a [u8]> {
        match self.kind {
            DIRECTORY => only(self.value, SEQUENCE),
            _ => None,
        }
    }

    /// Returns the type (an OID) and the value if this is an otherName.
    pub fn other(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.kind != OTHER {
            return None;
        }
        let mut parts = Elements(self.value);
        let (kind, value) = (parts.expect(OID)?, parts.expect(0xa0)?);
        parts.is_empty().then_some((kind, value))
    }

    /// Returns true if OpenSSL considers both names equal (`GENERAL_NAME_cmp`).
    pub fn is_same(&self, other: &GeneralName<'_>) -> bool {
        match (self.directory(), other.directory()) {
            (Some(one), Some(other)) => name::same(one, other),
            _ => self.kind == other.kind && self.value == other.value,
        }
    }
}

/// Returns true if the content consists of the pieces of a string.
fn are_pieces(content: &[u8]) -> bool {
    let mut tags = each(content, |elements| Some(elements.next()?.0));
    tags.all(|tag| tag.is_some_and(|tag| tag & 0xe0 == 0))
}

/// Returns true if this is the content of an EDIPartyName.
fn is_edi_party(content: &[u8]) -> bool {
    let is_text = |content: &[u8]| {
        let mut elements = Elements(content);
        let text = elements.next().map(|(tag, _)| tag);
        matches!(text, Some(12 | 19 | 20 | 28 | 30)) && elements.is_empty()
    };
    let mut elements = Elements(content);
    let assigner = elements.expect(0xa0);
    let party = elements.expect(0xa1);
    elements.is_empty() && assigner.is_none_or(is_text) && party.is_some_and(is_text)
}

/// Returns the names in the content of a GeneralNames. Stops before the first name that can't be read.
pub fn names(content: &[u8]) -> impl Iterator<Item = GeneralName<'_>> + Clone {
    each(content, GeneralName::read).map_while(|name| name)
}

/// Returns true if OpenSSL can read every name.
pub fn readable(content: &[u8]) -> bool {
    each(content, GeneralName::read).all(|name| name.is_some())
}

/// Returns the content of each directoryName among these names.
pub fn directories(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    names(content).filter_map(|name| name.directory())
}
