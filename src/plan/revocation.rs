//! Revocation lists (RFC 5280, section 5).

use anyhow::Result;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::files::Files;
use super::pem;
use crate::certificate::element::{Elements, INTEGER, SEQUENCE};
use crate::certificate::{name, time};
use crate::refusal::refusal;

/// A revocation list.
#[derive(Debug)]
pub struct List {
    /// The content of its issuer's name.
    issuer: Vec<u8>,
    /// When it was made, in seconds since the epoch.
    pub this_update: Option<i64>,
    /// When the next is due, in seconds since the epoch.
    pub next_update: Option<i64>,
    /// The list; or what it has that webpki cannot judge.
    pub list: Result<CertRevocationList<'static>, &'static str>,
}

impl List {
    /// The lists of the files that `--crl-file` names.
    pub(super) fn read(names: &[String], files: &Files) -> Result<Vec<List>> {
        let mut lists = Vec::new();
        for file in names {
            let subject = format!("--crl-file {file}");
            let text = pem::read(files, "--crl-file", file)?;
            let found = pem::lists(&subject, &text)?;
            if found.is_empty() {
                return Err(refusal(
                    subject,
                    "has no X509 CRL in it",
                    "give a list in PEM format",
                ));
            }
            for der in found {
                let list = List::new(&der).ok_or_else(|| {
                    refusal(
                        &subject,
                        "has a list that cannot be read",
                        "look at it with `openssl crl -text`",
                    )
                })?;
                lists.push(list);
            }
        }
        Ok(lists)
    }

    fn new(der: &[u8]) -> Option<List> {
        let mut whole = Elements(Elements(der).expect(SEQUENCE)?);
        let mut body = Elements(whole.expect(SEQUENCE)?);
        let version = body.expect(INTEGER);
        body.expect(SEQUENCE)?;
        let issuer = body.expect(SEQUENCE)?;
        let this_update = time::read(&mut body)?;
        let mut ahead = body;
        let next_update = time::read(&mut ahead);
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| match (version, error) {
            (None, _) => "of version 1",
            _ if next_update.is_none() => "without a time of the next update",
            (_, webpki::Error::UnsupportedDeltaCrl) => "that only adds to another (delta)",
            (_, webpki::Error::UnsupportedIndirectCrl) => "of other issuers too (indirect)",
            (_, webpki::Error::UnsupportedCriticalExtension) => {
                "with an unknown critical extension"
            }
            (_, webpki::Error::MalformedExtensions) => "without extensions",
            _ => "of an unusual form",
        });
        Some(List {
            issuer: issuer.to_vec(),
            this_update,
            next_update: next_update.flatten(),
            list: list.map(Into::into),
        })
    }

    /// Whether both are of one issuer.
    pub fn has_issuer_of(&self, other: &List) -> bool {
        self.is_of(&other.issuer)
    }

    /// Whether it is this issuer's, whose name's content this is.
    pub fn is_of(&self, issuer: &[u8]) -> bool {
        name::same(&self.issuer, issuer)
    }
}
