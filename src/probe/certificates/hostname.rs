//! Decides which names a certificate is for, by HAProxy's rules (`ssl_sock_srv_verifycbk` in its ssl_sock.c).
//! HAProxy compares the DNS names in subjectAltName, then the common names of the subject.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::certificate::element::{Elements, SEQUENCE, first};
use crate::certificate::general_name::{ADDRESS, DNS, MAIL, URI};
use crate::certificate::{Parts, name, uses};
use crate::plan::VerifiedName;

/// Returns true if a certificate is for this name. HAProxy never looks at the certificate's IP addresses, not
/// even for an address in `verifyhost`. sni-check looks at them only for [`VerifiedName::Address`].
pub(super) fn is_for(certificate: &Parts<'_>, wanted: &VerifiedName) -> bool {
    let address = match wanted {
        VerifiedName::Address(ip) => Some(*ip),
        VerifiedName::Text(_) => None,
    };
    let wanted = wanted.to_str();
    let is_alternative = alternatives(certificate).any(|(kind, value)| match kind {
        // A name with a NUL matches nothing.
        DNS => !value.contains(&0) && matches(&String::from_utf8_lossy(value), &wanted),
        ADDRESS => address.is_some() && address == ip(value),
        _ => false,
    });
    is_alternative || common_names(certificate).any(|pattern| matches(&pattern, &wanted))
}

/// Returns the names in a certificate, as sni-check shows them: DNS names, URIs, mail addresses and IP
/// addresses. Also returns a common name if it looks like a host name, or if there is no other name.
pub(super) fn names(certificate: &Parts<'_>) -> Vec<String> {
    let alternatives = alternatives(certificate).filter_map(|(kind, value)| match kind {
        DNS | URI | MAIL => Some(String::from_utf8_lossy(value).into_owned()),
        ADDRESS => ip(value).map(|ip| ip.to_string()),
        _ => None,
    });
    let mut names: Vec<String> = alternatives.collect();
    for common in common_names(certificate) {
        // A common name without a dot, or with a space, isn't a host name.
        let of_host = common.contains('.') && !common.contains(' ');
        let new = !names.iter().any(|name| name.eq_ignore_ascii_case(&common));
        if new && (of_host || names.is_empty()) {
            names.push(common.into_owned());
        }
    }
    names
}

/// Returns the tags and contents of the alternative names.
fn alternatives<'a>(certificate: &Parts<'a>) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
    let value = certificate.extension(uses::ALTERNATIVE_NAMES);
    Elements(
        value
            .and_then(|value| first(value, SEQUENCE))
            .unwrap_or_default(),
    )
}

fn common_names<'a>(certificate: &Parts<'a>) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
    name::attributes(certificate.subject)
        .filter(|attribute| attribute.kind == name::COMMON_NAME)
        .filter_map(|attribute| attribute.text())
        // HAProxy versions disagree about a common name with a NUL, so such a name matches nothing here.
        .filter(|text| !text.contains('\0'))
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from))
        .ok()
}

/// Returns true if a name matches a pattern (`ssl_sock_srv_hostcheck`). Letter case is ignored. The
/// leftmost label may have one `*`, which stands for any part of that label.
fn matches(pattern: &str, name: &str) -> bool {
    if pattern.eq_ignore_ascii_case(name) {
        return true;
    }
    let (Some((label, domain)), Some((name_label, name_domain))) =
        (pattern.split_once('.'), name.split_once('.'))
    else {
        return false;
    };
    let Some((start, end)) = label.split_once('*') else {
        return false;
    };
    let (name_label, start, end) = (name_label.as_bytes(), start.as_bytes(), end.as_bytes());
    !end.contains(&b'*')
        && domain.eq_ignore_ascii_case(name_domain)
        && name_label.len() >= start.len() + end.len()
        && name_label[..start.len()].eq_ignore_ascii_case(start)
        && name_label[name_label.len() - end.len()..].eq_ignore_ascii_case(end)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_wildcard_stands_for_a_part_of_the_leftmost_label() {
        let good = "www.a.test WWW.A.test *.a.test w*.a.test *w.a.test w*w.A.TEST www*.a.test";
        for pattern in good.split(' ') {
            assert!(matches(pattern, "www.a.test"), "{pattern}");
        }
        let bad =
            "* *.test **.a.test w*w*.a.test www.*.test wwww*.a.test *.a.test. x*.a.test .a.test ";
        for pattern in bad.split(' ') {
            assert!(!matches(pattern, "www.a.test"), "{pattern}");
        }
        assert!(!matches("*.a.test", "b.www.a.test") && !matches("ab*b.test", "ab.test"));
    }
}
