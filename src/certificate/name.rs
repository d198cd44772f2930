//! Distinguished names (RFC 5280, section 4.1.2.4): as text, and as OpenSSL compares them.

use std::borrow::Cow;

use x509_cert::der::oid::ObjectIdentifier;

use super::element::{Elements, OID, SEQUENCE, SET};

/// commonName (X.520).
pub const COMMON_NAME: &[u8] = &[0x55, 4, 3];

const NUMERIC: u8 = 18;
const PRINTABLE: u8 = 19;
const TELETEX: u8 = 20;
const IA5: u8 = 22;
const UNIVERSAL: u8 = 28;
const BMP: u8 = 30;
const UTF8: u8 = 12;

/// An attribute of a name.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// Its OID, without tag and length.
    pub kind: &'a [u8],
    /// The string's tag.
    pub tag: u8,
    /// The string's bytes.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The value as text; `None` if the bytes are not what the tag says.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self.tag {
            UTF8 => std::str::from_utf8(self.value).ok().map(Cow::Borrowed),
            BMP => {
                let (pairs, rest) = self.value.as_chunks::<2>();
                let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
                let text = String::from_utf16(&units).ok()?;
                rest.is_empty().then_some(Cow::Owned(text))
            }
            UNIVERSAL => {
                let (units, rest) = self.value.as_chunks::<4>();
                let text: Option<String> = units
                    .iter()
                    .map(|unit| char::from_u32(u32::from_be_bytes(*unit)))
                    .collect();
                text.filter(|_| rest.is_empty()).map(Cow::Owned)
            }
            // One byte for each character, as OpenSSL takes TeletexString.
            _ => Some(match std::str::from_utf8(self.value) {
                Ok(text) if text.is_ascii() => Cow::Borrowed(text),
                _ => Cow::Owned(self.value.iter().copied().map(char::from).collect()),
            }),
        }
    }

    /// Whether OpenSSL reads it: a string of a known kind that holds what it says.
    fn readable(&self) -> bool {
        const BITS: u8 = 3;
        match self.tag {
            BITS | SEQUENCE => true,
            NUMERIC | PRINTABLE | TELETEX | IA5 | UNIVERSAL | BMP | UTF8 => self.text().is_some(),
            _ => false,
        }
    }
}

/// The parts of a name, each with its attributes; of its content, without tag and length.
/// `None` for a part that is not one.
fn parts(name: &[u8]) -> impl Iterator<Item = Option<Vec<Attribute<'_>>>> {
    let mut elements = Elements(name);
    std::iter::from_fn(move || {
        if elements.is_empty() {
            return None;
        }
        let part = elements.expect(SET).and_then(attributes_of);
        if part.is_none() {
            elements = Elements(&[]);
        }
        Some(part)
    })
}

fn attributes_of(part: &[u8]) -> Option<Vec<Attribute<'_>>> {
    let mut elements = Elements(part);
    let mut attributes = Vec::new();
    while !elements.is_empty() {
        let mut pair = Elements(elements.expect(SEQUENCE)?);
        let kind = pair.expect(OID)?;
        let (tag, value) = pair.next()?;
        attributes.push(Attribute { kind, tag, value });
        if !pair.is_empty() {
            return None;
        }
    }
    Some(attributes)
}

/// All attributes of a name, as far as it can be read.
pub fn attributes(name: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    parts(name).map_while(|part| part).flatten()
}

/// Whether OpenSSL reads this name; where it does not, it reads no certificate with it.
pub fn readable(name: &[u8]) -> bool {
    parts(name).all(|part| part.is_some_and(|part| part.iter().all(Attribute::readable)))
}

/// Whether two names are the same for OpenSSL (`X509_NAME_cmp`): kind of string, letter case in ASCII
/// and spaces beside the single ones between words do not matter.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    let (mut ones, mut others) = (parts(one), parts(other));
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return true,
            (Some(Some(one)), Some(Some(other))) if same_part(&one, &other) => {}
            _ => return false,
        }
    }
}

fn same_part(one: &[Attribute<'_>], other: &[Attribute<'_>]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one.kind == other.kind && canonical(one) == canonical(other))
}

/// The form that is compared: with its kind, where that matters.
fn canonical(attribute: &Attribute<'_>) -> (u8, String) {
    match attribute.tag {
        UTF8 | PRINTABLE | TELETEX | IA5 | UNIVERSAL | BMP => {
            let text = attribute.text().unwrap_or_default().to_ascii_lowercase();
            let words: Vec<&str> = text
                .split([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
                .filter(|word| !word.is_empty())
                .collect();
            (UTF8, words.join(" "))
        }
        tag => (
            tag,
            attribute.value.iter().copied().map(char::from).collect(),
        ),
    }
}

/// A name in the form of RFC 4514, the most specific part first. x509-cert's own `Display` would
/// bring a table of every known OID, several times the size of all else here.
pub fn text(name: &[u8]) -> String {
    let mut texts: Vec<String> = attributes(name)
        .map(|attribute| {
            let value = attribute
                .text()
                .unwrap_or_else(|| String::from_utf8_lossy(attribute.value));
            format!("{}={value}", short_name(attribute.kind))
        })
        .collect();
    texts.reverse();
    if texts.is_empty() {
        // Leaves may name themselves in the alternative names alone.
        return "(empty subject)".to_owned();
    }
    texts.join(",")
}

/// RFC 4514, section 3.
fn short_name(kind: &[u8]) -> String {
    let known = match kind {
        COMMON_NAME => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        _ => return dotted(kind),
    };
    known.to_owned()
}

/// An OID in dotted form, of its content.
pub fn dotted(oid: &[u8]) -> String {
    ObjectIdentifier::from_bytes(oid)
        .map_or_else(|_| "(unreadable)".to_owned(), |oid| oid.to_string())
}
