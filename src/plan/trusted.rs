//! Certificates from PEM files, with OpenSSL's trust settings.

use std::sync::Arc;

use anyhow::Result;
use rustls::pki_types::CertificateDer;

use super::pem;
use crate::certificate::Parts;
use crate::certificate::element::{Elements, OID, SEQUENCE, only};
use crate::refusal::refusal;

/// A certificate from a file.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// The certificate. OpenSSL's trust settings may follow it.
    pub(super) der: Arc<CertificateDer<'static>>,
    /// The trust setting in OpenSSL's own form: true if the certificate is trusted for servers, false if it
    /// isn't, `None` if the file has no such setting.
    pub explicitly: Option<bool>,
}

impl Trusted {
    /// Returns the parsed certificate.
    pub fn parts(&self) -> Option<Parts<'_>> {
        Parts::read_first(&self.der).map(|(parts, _)| parts)
    }
}

/// Returns the certificates in a PEM file.
pub(super) fn from_text(subject: &str, text: &[u8]) -> Result<Vec<Trusted>> {
    let mut found = Vec::new();
    for (certificate, number) in pem::certificates(subject, text)?.into_iter().zip(1..) {
        let unreadable = || {
            let what = format!("has a certificate that cannot be read: number {number}");
            let write = "look at it with `openssl x509 -text`, and leave it out";
            refusal(subject, what, write)
        };
        let (parts, after) = Parts::read_first(&certificate.der).ok_or_else(unreadable)?;
        if parts.not_before.is_none() || parts.not_after.is_none() {
            let what = format!(
                "has a certificate whose dates cannot be read, number {number}, and HAProxy 3 refuses such a \
                 file (limit of sni-check: HAProxy 2.6 accepts it)"
            );
            return Err(refusal(subject, what, "leave it out"));
        }
        let explicitly = match certificate.trusted && !after.is_empty() {
            true => trusted_for_servers(after).ok_or_else(unreadable)?,
            false => None,
        };
        found.push(Trusted {
            der: Arc::new(certificate.der),
            explicitly,
        });
    }
    Ok(found)
}

/// Reads the trust settings that follow a `TRUSTED CERTIFICATE` (`x509 -addtrust`, `-addreject`). Returns
/// `Some(Some(true))` if the certificate is trusted for servers, and `Some(None)` if the settings don't name
/// any trusted use. Returns `None` if the bytes aren't trust settings.
fn trusted_for_servers(after: &[u8]) -> Option<Option<bool>> {
    const SERVERS: [&[u8]; 2] = [&[0x2b, 6, 1, 5, 5, 7, 3, 1], &[0x55, 0x1d, 37, 0]];
    let mut elements = Elements(only(after, SEQUENCE)?);
    let names_servers = |list: &[u8]| {
        let mut uses = Elements(list);
        std::iter::from_fn(|| uses.expect(OID)).any(|usage| SERVERS.contains(&usage))
    };
    let trusted = elements.expect(SEQUENCE).map(names_servers);
    let rejected = elements.expect(0xa0).is_some_and(names_servers);
    Some(match rejected {
        true => Some(false),
        false => trusted,
    })
}
