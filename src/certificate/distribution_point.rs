//! The places where CAs publish revocation lists (RFC 5280, sections 4.2.1.13 and 5.2.5). A certificate names
//! these places in cRLDistributionPoints. A list names its place in issuingDistributionPoint. OpenSSL
//! compares the two extensions.

use super::element::{BIT_STRING, Elements, SEQUENCE, each};
use super::{general_name, name};

/// All reasons for which a CA can revoke a certificate, as bits.
pub const EVERY_REASON: u16 = 0x807f;

/// A distribution point of a certificate.
#[derive(Clone, Copy, Debug)]
pub struct DistributionPoint<'a> {
    /// The name of the place.
    pub name: Option<PointName<'a>>,
    /// The reasons for revocation that the lists at this place cover.
    pub reasons: u16,
    /// The content of cRLIssuer. It names the signer of the lists if that isn't the certificate's issuer.
    pub list_issuer: Option<&'a [u8]>,
}

/// The name of a distribution point.
#[derive(Clone, Copy, Debug)]
pub enum PointName<'a> {
    /// A list of GeneralNames. All of them name the same place.
    Full(&'a [u8]),
    /// Attributes to append to the issuer's name.
    Relative(&'a [u8]),
}

/// The issuingDistributionPoint of a list. It limits the certificates that the list covers.
#[derive(Clone, Copy, Debug, Default)]
pub struct IssuingPoint<'a> {
    /// The name of the distribution point.
    pub name: Option<PointName<'a>>,
    /// True if the list covers only end-entity certificates.
    pub only_users: bool,
    /// True if the list covers only CA certificates.
    pub only_authorities: bool,
    /// True if the list covers only attribute certificates.
    pub only_attributes: bool,
    /// True if the list covers only some reasons for revocation.
    pub some_reasons: bool,
    /// True if the list may also cover certificates of other issuers.
    pub indirect: bool,
}

impl<'a> DistributionPoint<'a> {
    /// Reads the content of a DistributionPoint. Returns `None` if OpenSSL refuses it (`setup_dp`).
    fn read(content: &'a [u8]) -> Option<DistributionPoint<'a>> {
        let mut elements = Elements(content);
        let name = PointName::next(&mut elements)?;
        let reasons = match elements.expect(0x81) {
            Some(bits) => bits_of(bits)? & EVERY_REASON,
            None => EVERY_REASON,
        };
        let list_issuer = elements.expect(0xa2);
        let names_nobody = list_issuer.is_none_or(<[u8]>::is_empty);
        let readable = elements.is_empty()
            && list_issuer.is_none_or(general_name::readable)
            && !(name.is_none() && names_nobody);
        readable.then_some(DistributionPoint {
            name,
            reasons,
            list_issuer,
        })
    }
}

/// Returns the distribution points in the content of cRLDistributionPoints. Stops before the first point that
/// can't be read.
pub fn points(content: &[u8]) -> impl Iterator<Item = DistributionPoint<'_>> {
    all(content).map_while(|point| point)
}

/// Returns true if OpenSSL accepts every distribution point.
pub fn readable(content: &[u8]) -> bool {
    all(content).all(|point| point.is_some())
}

fn all(content: &[u8]) -> impl Iterator<Item = Option<DistributionPoint<'_>>> {
    each(content, |elements| {
        elements.expect(SEQUENCE).and_then(DistributionPoint::read)
    })
}

impl<'a> PointName<'a> {
    /// Reads an optional name. The outer `None` means that OpenSSL can't read the name. The inner `None`
    /// means that there is no name.
    fn next(elements: &mut Elements<'a>) -> Option<Option<PointName<'a>>> {
        match elements.expect(0xa0) {
            Some(name) => Some(Some(PointName::read(name)?)),
            None => Some(None),
        }
    }

    fn read(content: &'a [u8]) -> Option<PointName<'a>> {
        let mut elements = Elements(content);
        let name = match elements.next()? {
            (0xa0, names) if general_name::readable(names) => PointName::Full(names),
            (0xa1, attributes) if name::are_attributes(attributes) => {
                PointName::Relative(attributes)
            }
            _ => return None,
        };
        elements.is_empty().then_some(name)
    }

    /// Returns true if both names mean the same place (`idp_check_dp`). A relative name is appended to the
    /// name of an issuer: to `own` for `self`, and to `its` for `other`.
    pub fn is_same(&self, own: &[u8], other: &PointName<'_>, its: &[u8]) -> bool {
        match (self, other) {
            (PointName::Full(ours), PointName::Full(theirs)) => general_name::names(ours)
                .any(|ours| general_name::names(theirs).any(|theirs| ours.is_same(&theirs))),
            (PointName::Relative(ours), PointName::Relative(theirs)) => {
                name::extended(own, ours) == name::extended(its, theirs)
            }
            (PointName::Relative(ours), PointName::Full(theirs)) => {
                is_among(&name::extended(own, ours), theirs)
            }
            (PointName::Full(ours), PointName::Relative(theirs)) => {
                is_among(&name::extended(its, theirs), ours)
            }
        }
    }
}

fn is_among(wanted: &name::Canonical, names: &[u8]) -> bool {
    general_name::directories(names).any(|directory| name::canonical(directory) == *wanted)
}

impl<'a> IssuingPoint<'a> {
    /// Reads the value of the extension. Returns `None` if OpenSSL can't read it.
    pub fn read(value: &'a [u8]) -> Option<IssuingPoint<'a>> {
        let mut elements = Elements(Elements(value).expect(SEQUENCE)?);
        let name = PointName::next(&mut elements)?;
        let only_users = elements.flag(0x81)?;
        let only_authorities = elements.flag(0x82)?;
        let some_reasons = match elements.expect(0x83) {
            Some(bits) => bits_of(bits).map(|_| true)?,
            None => false,
        };
        let indirect = elements.flag(0x84)?;
        let only_attributes = elements.flag(0x85)?;
        elements.is_empty().then_some(IssuingPoint {
            name,
            only_users,
            only_authorities,
            only_attributes,
            some_reasons,
            indirect,
        })
    }

    /// Returns true if the extension sets no field.
    pub fn is_empty(&self) -> bool {
        let kinds = [self.only_users, self.only_authorities, self.only_attributes];
        self.name.is_none() && !self.some_reasons && !self.indirect && !kinds.contains(&true)
    }

    /// Returns true if the list claims to cover only one kind of certificate, but names several
    /// kinds.
    pub fn contradicts_itself(&self) -> bool {
        let kinds = [self.only_users, self.only_authorities, self.only_attributes];
        kinds.into_iter().filter(|kind| *kind).count() > 1
    }
}

/// Returns the first two bytes of the content of a BIT STRING, with its unused bits cleared. The first byte
/// becomes the low byte. Returns `None` if the content isn't valid.
fn bits_of(content: &[u8]) -> Option<u16> {
    let (unused, bytes) = content.split_first()?;
    if *unused > 7 {
        return None;
    }
    let byte = |index: usize| {
        let byte = bytes.get(index).copied().unwrap_or(0);
        let last = index + 1 == bytes.len();
        if last { byte & 0xff << unused } else { byte }
    };
    Some(u16::from_le_bytes([byte(0), byte(1)]))
}

/// Returns the first two bytes of the BIT STRING at the start of `value`, or `None` if there is no valid BIT
/// STRING. More data may follow it.
pub fn bits(value: &[u8]) -> Option<u16> {
    bits_of(Elements(value).expect(BIT_STRING)?)
}

#[cfg(test)]
mod tests {
    use super::{DistributionPoint, EVERY_REASON, IssuingPoint};

    #[test]
    fn distribution_points_are_read_as_openssl_reads_them() {
        let read = |bytes: &[u8]| DistributionPoint::read(bytes).map(|point| point.reasons);
        // [0] { [0] { URI "x" } }
        let named = [0xa0, 5, 0xa0, 3, 0x86, 1, b'x'];
        assert_eq!(read(&named), Some(EVERY_REASON));
        assert_eq!(
            read(&[&named[..], &[0x81, 2, 1, 0x40]].concat()),
            Some(0x40)
        );
        // These points have neither a name nor an issuer.
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[0x81, 2, 1, 0x40]), None);
        assert_eq!(read(&[0xa0, 0]), None);
    }

    #[test]
    fn a_list_for_two_kinds_of_certificates_contradicts_itself() {
        let both = [0x30, 6, 0x81, 1, 0xff, 0x82, 1, 0xff];
        assert!(
            IssuingPoint::read(&both)
                .expect("a point")
                .contradicts_itself()
        );
        let users = [0x30, 3, 0x81, 1, 0xff];
        let users = IssuingPoint::read(&users).expect("a point");
        assert!(users.only_users && !users.contradicts_itself());
        assert!(IssuingPoint::read(&[0x30, 4, 0x81, 2, 0xff, 0]).is_none());
    }
}
