//! Distinguished names (RFC 5280, section 4.1.2.4): their text, and OpenSSL's comparison.

use std::borrow::Cow;

use der::oid::ObjectIdentifier;

use super::element::{Elements, OID, SEQUENCE, SET, each};

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
    /// The OID of its type, without tag and length.
    pub kind: &'a [u8],
    /// The string's tag.
    pub tag: u8,
    /// The string's bytes.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Returns the value as text, or `None` if the bytes aren't valid for the string's tag.
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
            // Each byte is a character. OpenSSL reads TeletexString like this.
            _ => Some(match std::str::from_utf8(self.value) {
                Ok(text) if text.is_ascii() => Cow::Borrowed(text),
                _ => Cow::Owned(self.value.iter().copied().map(char::from).collect()),
            }),
        }
    }

    /// Returns true if OpenSSL can read the attribute: a string of a known type with valid bytes, a BIT
    /// STRING or a SEQUENCE.
    fn readable(&self) -> bool {
        const BITS: u8 = 3;
        match self.tag {
            BITS | SEQUENCE => true,
            NUMERIC | PRINTABLE | TELETEX | IA5 | UNIVERSAL | BMP | UTF8 => self.text().is_some(),
            _ => false,
        }
    }
}

/// Returns the attributes in the content of a name. The flag is true for an attribute that begins a
/// new RelativeDistinguishedName. An invalid attribute yields `None` and ends the iteration.
fn steps(name: &[u8]) -> impl Iterator<Item = Option<(bool, Attribute<'_>)>> {
    let (mut parts, mut part) = (Elements(name), Elements(&[]));
    std::iter::from_fn(move || {
        let begins = part.is_empty();
        if begins {
            if parts.is_empty() {
                return None;
            }
            part = Elements(parts.expect(SET).unwrap_or_default());
        }
        let attribute = attribute(&mut part);
        if attribute.is_none() {
            (parts, part) = (Elements(&[]), Elements(&[]));
        }
        Some(attribute.map(|attribute| (begins, attribute)))
    })
}

/// Reads the next element as an attribute. Returns `None` if it isn't an attribute.
fn attribute<'a>(elements: &mut Elements<'a>) -> Option<Attribute<'a>> {
    let mut pair = Elements(elements.expect(SEQUENCE)?);
    let kind = pair.expect(OID)?;
    let (tag, value) = pair.next()?;
    pair.is_empty().then_some(Attribute { kind, tag, value })
}

/// Returns the attributes of a name. Stops before the first invalid attribute.
pub fn attributes(name: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    steps(name).map_while(|step| step.map(|(_, attribute)| attribute))
}

/// Returns true if the content consists of attributes.
pub fn are_attributes(content: &[u8]) -> bool {
    each(content, attribute).all(|attribute| attribute.is_some())
}

/// Returns true if OpenSSL can read this name. OpenSSL can't read a certificate with an unreadable name.
pub fn readable(name: &[u8]) -> bool {
    steps(name).all(|step| step.is_some_and(|(_, attribute)| attribute.readable()))
}

/// A name in the form that OpenSSL compares (`X509_NAME_cmp`). The comparison ignores the type of string
/// (except NumericString), ASCII letter case, superfluous spaces, and the order of attributes within a
/// RelativeDistinguishedName.
pub type Canonical = Vec<Vec<(Vec<u8>, u8, Vec<u8>)>>;

/// Returns the form of a name that OpenSSL compares.
pub fn canonical(name: &[u8]) -> Canonical {
    let mut parts = Canonical::new();
    for (begins, attribute) in steps(name).flatten() {
        if begins {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(canonical_attribute(&attribute));
        }
    }
    for part in &mut parts {
        part.sort_unstable();
    }
    parts
}

/// Appends `attributes` to `name`, and returns the form that OpenSSL compares. Like OpenSSL, puts each
/// attribute into its own RelativeDistinguishedName, although the attributes come from a single one.
pub fn extended(name: &[u8], attributes: &[u8]) -> Canonical {
    let mut parts = canonical(name);
    let attributes = each(attributes, attribute).map_while(|attribute| attribute);
    parts.extend(attributes.map(|attribute| vec![canonical_attribute(&attribute)]));
    parts
}

fn canonical_attribute(attribute: &Attribute<'_>) -> (Vec<u8>, u8, Vec<u8>) {
    let is_text = matches!(
        attribute.tag,
        UTF8 | PRINTABLE | TELETEX | IA5 | UNIVERSAL | BMP
    );
    let (tag, value) = match attribute.text().filter(|_| is_text) {
        Some(text) => (UTF8, words(&text).collect::<String>().into_bytes()),
        None => (attribute.tag, attribute.value.to_vec()),
    };
    (attribute.kind.to_vec(), tag, value)
}

/// Returns true if OpenSSL considers two names equal.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one == other || canonical(one) == canonical(other)
}

/// Returns true if a name is in a subtree. Such a name begins with the parts of `subtree` (`nc_dn`).
pub fn is_within(name: &[u8], subtree: &[u8]) -> bool {
    canonical(name).starts_with(&canonical(subtree))
}

/// Returns the words of a text in lower case, each followed by a single space.
fn words(text: &str) -> impl Iterator<Item = char> {
    text.split([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
        .filter(|word| !word.is_empty())
        .flat_map(|word| word.chars().chain([' ']))
        .map(|c| c.to_ascii_lowercase())
}

/// Formats a name in the style of RFC 4514, most specific part first, but without escaping. A crate
/// for this would add a large table of known OIDs to the binary.
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
        // A leaf may have its names in subjectAltName only.
        return "(empty name)".to_owned();
    }
    texts.join(",")
}

/// Returns the short name of an attribute's type (RFC 4514, section 3), or its OID.
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

/// Formats the content of an OID in dotted form.
pub fn dotted(oid: &[u8]) -> String {
    ObjectIdentifier::from_bytes(oid)
        .map_or_else(|_| "(unreadable)".to_owned(), |oid| oid.to_string())
}

#[cfg(test)]
mod tests {
    use super::{COMMON_NAME, OID, SEQUENCE, SET, readable, same, text};
    use crate::certificate::element::element;

    fn name(attributes: &[(u8, &[u8])]) -> Vec<u8> {
        let part = |(tag, value): &(u8, &[u8])| {
            let pair = [element(OID, COMMON_NAME), element(*tag, value)].concat();
            element(SET, &element(SEQUENCE, &pair))
        };
        attributes.iter().flat_map(part).collect()
    }

    #[test]
    fn names_are_compared_as_openssl_compares_them() {
        let my_root = name(&[(12, b"My Root")]);
        for (tag, value) in [
            (19, &b"My Root"[..]),
            (12, b" my  ROOT "),
            (30, b"\0M\0y\0 \0R\0o\0o\0t"),
            (28, b"\0\0\0M\0\0\0y\0\0\0 \0\0\0R\0\0\0o\0\0\0o\0\0\0t"),
        ] {
            let other = name(&[(tag, value)]);
            assert!(same(&my_root, &other) && readable(&other), "{value:?}");
        }
        for other in [
            name(&[(12, b"MyRoot")]),
            name(&[(18, b"My Root")]),
            name(&[(12, b"My Root"), (12, b"x")]),
            name(&[]),
        ] {
            assert!(!same(&my_root, &other) && readable(&other));
        }
        for broken in [
            name(&[(26, b"x")]),
            name(&[(12, b"\xff")]),
            name(&[(30, b"x")]),
        ] {
            assert!(!readable(&broken));
        }
        assert_eq!(text(&my_root), "CN=My Root");
        assert_eq!(text(&[]), "(empty name)");
    }
}
