//! Name constraints (RFC 5280, section 4.2.1.10), which limit the names for which a CA may issue
//! certificates. sni-check applies them as OpenSSL does (`NAME_CONSTRAINTS_check` in its v3_ncons.c),
//! except in the cases of [`Violation::Limit`].

use super::element::{Elements, SEQUENCE, each, element};
use super::general_name::{ADDRESS, DIRECTORY, DNS, GeneralName, MAIL, OTHER, URI, names};
use super::name::{self, Attribute};
use super::read::Parts;

/// emailAddress (PKCS #9), an attribute of distinguished names.
const MAIL_ATTRIBUTE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
/// id-on-SmtpUTF8Mailbox (RFC 8398), an otherName.
const INTERNATIONAL_MAIL: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9];
/// The largest number of comparisons between names and constraints. OpenSSL has the same limit.
const COMPARISONS: usize = 1 << 20;

/// Why a certificate fails the check of an issuer's name constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The issuer must not issue certificates for a name of this certificate.
    Forbidden,
    /// OpenSSL can't apply a constraint to a name, and therefore rejects the certificate.
    Unsupported,
    /// sni-check can't apply a constraint to a name, or OpenSSL versions apply it differently. The text
    /// describes the name.
    Limit(&'static str),
}

/// The constraints of an issuer: two lists of subtrees.
#[derive(Clone, Copy, Debug)]
struct Constraints<'a> {
    permitted: &'a [u8],
    excluded: &'a [u8],
}

impl<'a> Constraints<'a> {
    fn read(content: &'a [u8]) -> Option<Constraints<'a>> {
        let mut elements = Elements(content);
        let permitted = elements.expect(0xa0).unwrap_or_default();
        let excluded = elements.expect(0xa1).unwrap_or_default();
        let readable = |list: &'a [u8]| subtrees(list).all(|subtree| subtree.is_some());
        let complete = elements.is_empty() && readable(permitted) && readable(excluded);
        complete.then_some(Constraints {
            permitted,
            excluded,
        })
    }

    fn count(&self) -> usize {
        subtrees(self.permitted).count() + subtrees(self.excluded).count()
    }

    /// Checks a name (`nc_match`). If permitted subtrees of its kind exist, the name must be in one
    /// of them. The name must not be in an excluded subtree.
    fn allow(&self, name: &GeneralName<'_>) -> Result<(), Violation> {
        let mut held = None;
        for subtree in of_kind(self.permitted, name) {
            if subtree.has_distance {
                return Err(Violation::Unsupported);
            }
            if held != Some(true) {
                held = Some(is_within(name, &subtree.base)?);
            }
        }
        if held == Some(false) {
            return Err(Violation::Forbidden);
        }
        for subtree in of_kind(self.excluded, name) {
            if subtree.has_distance {
                return Err(Violation::Unsupported);
            }
            if is_within(name, &subtree.base)? {
                return Err(Violation::Forbidden);
            }
        }
        Ok(())
    }
}

/// A subtree of names.
#[derive(Clone, Copy, Debug)]
struct Subtree<'a> {
    base: GeneralName<'a>,
    /// True if the subtree has a maximum, or a minimum other than 0. OpenSSL supports neither.
    has_distance: bool,
}

/// Returns the subtrees of a list. A subtree that OpenSSL can't read yields `None` and ends the
/// iteration.
fn subtrees(list: &[u8]) -> impl Iterator<Item = Option<Subtree<'_>>> {
    each(list, |elements| {
        elements.expect(SEQUENCE).and_then(Subtree::read)
    })
}

impl<'a> Subtree<'a> {
    fn read(content: &'a [u8]) -> Option<Subtree<'a>> {
        let mut elements = Elements(content);
        let base = GeneralName::read(&mut elements)?;
        let (minimum, maximum) = (elements.expect(0x80), elements.expect(0x81));
        elements.is_empty().then_some(Subtree {
            base,
            has_distance: maximum.is_some() || minimum.is_some_and(|minimum| minimum != [0]),
        })
    }
}

/// Returns the subtrees of a list that apply to names of this kind.
fn of_kind<'a>(list: &'a [u8], name: &GeneralName<'a>) -> impl Iterator<Item = Subtree<'a>> {
    let name = *name;
    subtrees(list).flatten().filter(move |subtree| {
        match (is_international_mail(&name), subtree.base.kind) {
            (true, kind) => kind == MAIL,
            (false, OTHER) => {
                let same = |one: (&[u8], &[u8]), other: (&[u8], &[u8])| one.0 == other.0;
                let others = name.other().zip(subtree.base.other());
                others.is_some_and(|(one, other)| same(one, other))
            }
            (false, kind) => kind == name.kind,
        }
    })
}

fn is_international_mail(name: &GeneralName<'_>) -> bool {
    name.other()
        .is_some_and(|(kind, _)| kind == INTERNATIONAL_MAIL)
}

/// Returns true if OpenSSL can read the constraints in the content of the extension's SEQUENCE.
pub fn readable(content: &[u8]) -> bool {
    Constraints::read(content).is_some()
}

/// Checks a certificate's names against an issuer's constraints. `alternatives` is the content of
/// the SEQUENCE in its subjectAltName. `constraints` is the content of the SEQUENCE in the issuer's
/// nameConstraints. If a server's certificate has no DNS name, also checks each common name that looks
/// like a host name.
///
/// # Errors
/// Returns the reason why the certificate fails.
pub fn check(
    certificate: &Parts<'_>,
    alternatives: &[u8],
    constraints: &[u8],
    is_leaf: bool,
) -> Result<(), Violation> {
    let constraints = Constraints::read(constraints).ok_or(Violation::Unsupported)?;
    let alternatives = names(alternatives);
    let attributes = || name::attributes(certificate.subject);
    let number = attributes().count() + alternatives.clone().count();
    if number * constraints.count() > COMPARISONS {
        return Err(Violation::Unsupported);
    }
    if attributes().next().is_some() {
        constraints.allow(&GeneralName {
            kind: DIRECTORY,
            value: &element(SEQUENCE, certificate.subject),
        })?;
    }
    for attribute in attributes().filter(|attribute| attribute.kind == MAIL_ATTRIBUTE) {
        const IA5: u8 = 22;
        if attribute.tag != IA5 {
            return Err(Violation::Unsupported);
        }
        constraints.allow(&GeneralName {
            kind: MAIL,
            value: attribute.value,
        })?;
    }
    for name in alternatives.clone() {
        if name.is_constructed() {
            return Err(Violation::Limit("a name in constructed (BER) encoding"));
        }
        constraints.allow(&name)?;
    }
    if is_leaf && alternatives.clone().all(|name| name.kind != DNS) {
        for attribute in attributes().filter(|attribute| attribute.kind == name::COMMON_NAME) {
            let Some(host) = host_name(&attribute)? else {
                continue;
            };
            constraints.allow(&GeneralName {
                kind: DNS,
                value: host.as_bytes(),
            })?;
        }
    }
    Ok(())
}

/// Returns the common name if it looks like a host name (`cn2dnsid`).
fn host_name(attribute: &Attribute<'_>) -> Result<Option<String>, Violation> {
    let text = attribute.text().ok_or(Violation::Unsupported)?;
    let text = text.trim_end_matches('\0');
    if text.contains('\0') {
        return Err(Violation::Unsupported);
    }
    let bytes = text.as_bytes();
    let mut labels = false;
    for (place, byte) in bytes.iter().enumerate() {
        let inner = place > 0 && place + 1 < bytes.len();
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => {}
            b'-' if inner => {}
            b'.' if inner => {
                let (before, after) = (bytes[place - 1], bytes[place + 1]);
                if before == b'-' || matches!(after, b'.' | b'-') {
                    return Ok(None);
                }
                labels = true;
            }
            _ => return Ok(None),
        }
    }
    Ok(labels.then(|| text.to_owned()))
}

/// Returns true if a name is in the subtree below `base` (`nc_match_single`). Both must be of the
/// same kind.
fn is_within(name: &GeneralName<'_>, base: &GeneralName<'_>) -> Result<bool, Violation> {
    if is_international_mail(name) {
        return Err(Violation::Limit("an internationalised mail address"));
    }
    let (value, subtree) = (name.value, base.value);
    match name.kind {
        DIRECTORY => match (name.directory(), base.directory()) {
            (Some(directory), Some(base)) => Ok(name::is_within(directory, base)),
            _ => Err(Violation::Unsupported),
        },
        DNS => Ok(is_host_within(value, subtree)),
        MAIL => is_mailbox_within(value, subtree),
        URI => is_uri_within(value, subtree),
        ADDRESS => is_address_within(value, subtree),
        _ => Err(Violation::Unsupported),
    }
}

/// Returns true if a host is `base` or below it, with any number of extra labels (`nc_dns`).
fn is_host_within(host: &[u8], base: &[u8]) -> bool {
    let Some(start) = host.len().checked_sub(base.len()) else {
        return false;
    };
    let at_label = start == 0 || base.first() == Some(&b'.') || host[start - 1] == b'.';
    base.is_empty() || at_label && host[start..].eq_ignore_ascii_case(base)
}

/// Returns true if a mailbox is in a subtree (`nc_email`). The base is a mailbox, a host, or a
/// domain with a leading dot, which means all hosts below it.
fn is_mailbox_within(mailbox: &[u8], base: &[u8]) -> Result<bool, Violation> {
    let last_at = |text: &[u8]| text.iter().rposition(|byte| *byte == b'@');
    let at = last_at(mailbox).ok_or(Violation::Unsupported)?;
    let (local, host) = (&mailbox[..at], &mailbox[at + 1..]);
    let base_host = match last_at(base) {
        None if base.first() == Some(&b'.') => return Ok(ends_with(mailbox, base)),
        None => base,
        Some(0) => &base[1..],
        Some(base_at) => {
            let base_local = &base[..base_at];
            if base_at != at {
                return Ok(false);
            }
            if base_local.contains(&0) || local.contains(&0) {
                return Err(Violation::Unsupported);
            }
            if base_local != local {
                return Ok(false);
            }
            &base[base_at + 1..]
        }
    };
    Ok(base_host.eq_ignore_ascii_case(host))
}

/// Returns true if the URI's host equals the base, or is below a base that begins with a dot
/// (`nc_uri`).
fn is_uri_within(uri: &[u8], base: &[u8]) -> Result<bool, Violation> {
    let colon = uri.iter().position(|byte| *byte == b':');
    let rest = colon.and_then(|colon| uri[colon..].strip_prefix(b"://"));
    let rest = rest.ok_or(Violation::Unsupported)?;
    let place = |wanted: u8| rest.iter().position(|byte| *byte == wanted);
    let end = place(b':').or_else(|| place(b'/')).unwrap_or(rest.len());
    let host = &rest[..end];
    if host.is_empty() {
        // OpenSSL 3.6 treats this as a host outside every subtree. Older versions reject the URI.
        return Err(Violation::Limit("a URI without a host"));
    }
    match base.first() {
        Some(b'.') => Ok(ends_with(host, base)),
        _ => Ok(host.eq_ignore_ascii_case(base)),
    }
}

/// Returns true if `text` is longer than `end` and ends with it, in any letter case.
fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len() > end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
}

/// Returns true if an address is in a network (`nc_ip`). The base is an address and a mask.
fn is_address_within(address: &[u8], base: &[u8]) -> Result<bool, Violation> {
    if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return Err(Violation::Unsupported);
    }
    let (network, mask) = base.split_at(base.len() / 2);
    let bits = address.iter().zip(network).zip(mask);
    Ok(address.len() == network.len()
        && bits
            .into_iter()
            .all(|((own, network), mask)| own & mask == network & mask))
}

#[cfg(test)]
mod tests {
    use super::{Violation, is_address_within, is_host_within, is_mailbox_within, is_uri_within};

    #[test]
    fn a_host_is_within_a_base_that_equals_its_last_labels() {
        for (host, base, within) in [
            ("www.a.test", "a.test", true),
            ("www.a.test", ".A.test", true),
            ("a.test", "a.test", true),
            ("a.test", ".a.test", false),
            ("ba.test", "a.test", false),
            ("x", "", true),
            ("*.example.com", "bar.example.com", false),
        ] {
            assert_eq!(
                is_host_within(host.as_bytes(), base.as_bytes()),
                within,
                "{host} {base}"
            );
        }
    }

    #[test]
    fn mailboxes_uris_and_addresses_are_compared_as_openssl_compares_them() {
        let mail =
            |mailbox: &str, base: &str| is_mailbox_within(mailbox.as_bytes(), base.as_bytes());
        assert_eq!(mail("a@b.test", "B.test"), Ok(true));
        assert_eq!(mail("a@b.test", "a@B.test"), Ok(true));
        assert_eq!(mail("A@b.test", "a@b.test"), Ok(false));
        assert_eq!(mail("a@x.b.test", ".b.test"), Ok(true));
        assert_eq!(mail("a@b.test", ".b.test"), Ok(false));
        assert_eq!(mail("a", "b.test"), Err(Violation::Unsupported));
        let uri = |uri: &str, base: &str| is_uri_within(uri.as_bytes(), base.as_bytes());
        assert_eq!(uri("https://a.test:1/x", "A.test"), Ok(true));
        assert_eq!(uri("https://x.a.test/", ".a.test"), Ok(true));
        assert_eq!(uri("https://x.a.test/", "a.test"), Ok(false));
        assert_eq!(uri("urn:x", "a.test"), Err(Violation::Unsupported));
        let no_host = Violation::Limit("a URI without a host");
        assert_eq!(uri("https:///x", "a.test"), Err(no_host));
        let mask = [10, 0, 0, 0, 255, 0, 0, 0];
        assert_eq!(is_address_within(&[10, 1, 2, 3], &mask), Ok(true));
        assert_eq!(is_address_within(&[11, 1, 2, 3], &mask), Ok(false));
        assert_eq!(is_address_within(&[0; 16], &mask), Ok(false));
        assert_eq!(
            is_address_within(&[0; 5], &mask),
            Err(Violation::Unsupported)
        );
    }
}
