//! What makes a certificate acceptable, and our own client certificate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor};
use rustls::sign::CertifiedKey;

use super::files::{Files, Seen};
use super::names::Names;
use super::pem;
use super::revocation::List;
use crate::certificate::element::{Elements, OID, SEQUENCE, only};
use crate::certificate::{Parts, Uses};
use crate::options::Options;
use crate::refusal::refusal;

/// What makes a certificate acceptable.
#[derive(Debug)]
pub struct Verification {
    /// What the certificate must be for.
    pub name: ServerName<'static>,
    /// Whether an IP address is looked for among the certificate's addresses. HAProxy does not do so
    /// for one in `verifyhost`.
    pub addresses: bool,
    /// The roots a chain may end in.
    pub trust: Arc<Trust>,
    /// Revocation lists. If there is any, one must cover each certificate of the chain, as with
    /// HAProxy's `crl-file`.
    pub lists: Arc<[List]>,
}

/// The roots a chain may end in.
#[derive(Debug, Default)]
pub struct Trust {
    /// Mozilla's: names and keys without certificates.
    anchors: &'static [TrustAnchor<'static>],
    /// What came from files, in their order: roots, and issuers between them and a server.
    certificates: Vec<Trusted>,
    /// Files of a directory that could not be read.
    skipped: Vec<String>,
}

/// A certificate from a file.
#[derive(Debug)]
pub struct Trusted {
    /// The certificate; something of OpenSSL's may follow it.
    der: CertificateDer<'static>,
    /// Whether OpenSSL's own form says that it is trusted for servers, or is not.
    pub explicitly: Option<bool>,
}

impl Trusted {
    /// Its parts.
    pub fn parts(&self) -> Option<Parts<'_>> {
        Parts::read_first(&self.der).map(|(parts, _)| parts)
    }
}

impl Verification {
    /// What makes a certificate acceptable for a server with these names; `None` where nothing is
    /// there to be verified.
    pub fn new(names: &Names, trust: Arc<Trust>, lists: Arc<[List]>) -> Option<Verification> {
        Some(Verification {
            name: names.verified.clone()?,
            addresses: !names.verify_host,
            trust,
            lists,
        })
    }

    pub(super) fn resolve(authorities: &Authorities, names: &Names) -> Result<Verification> {
        let (trust, lists) = (authorities.trust.clone(), authorities.lists.clone());
        Verification::new(names, trust, lists).context(
            "nothing to verify the certificate against: add --verify-host NAME or --verify none",
        )
    }
}

/// What `--ca-file` and `--crl-file` hold: all of a [`Verification`] but the name.
#[derive(Debug)]
pub(super) struct Authorities {
    trust: Arc<Trust>,
    lists: Arc<[List]>,
    /// The values of both options.
    sources: (Vec<String>, Vec<String>),
    seen: Seen,
    read: Instant,
}

/// How long the system's roots are taken for unchanged: which files they come from is not ours to know.
const SYSTEM_ROOTS: Duration = Duration::from_secs(60);

impl Authorities {
    pub(super) fn read(options: &Options, files: Files) -> Result<Authorities> {
        Ok(Authorities {
            lists: List::read(&options.crl_file, &files)?.into(),
            trust: Arc::new(Trust::resolve(&options.ca_file, &files)?),
            sources: (options.ca_file.clone(), options.crl_file.clone()),
            seen: files.into_seen(),
            read: Instant::now(),
        })
    }

    /// Whether these options have the same sources.
    pub(super) fn are_of(&self, options: &Options) -> bool {
        (&self.sources.0, &self.sources.1) == (&options.ca_file, &options.crl_file)
    }

    /// Whether the sources have not changed since they were read.
    pub(super) fn are_current(&self) -> bool {
        let system = self.sources.0.iter().any(|source| source == "@system-ca");
        self.seen.unchanged() && !(system && self.read.elapsed() > SYSTEM_ROOTS)
    }
}

impl Trust {
    fn resolve(sources: &[String], files: &Files) -> Result<Trust> {
        let mut trust = Trust::default();
        let mut bundled = sources.is_empty();
        for source in sources {
            match source.as_str() {
                "@bundled" => bundled = true,
                "@system-ca" => trust.certificates.extend(system_roots()?),
                unknown if unknown.starts_with('@') => {
                    return Err(refusal(
                        format!("--ca-file {unknown}"),
                        "is not known",
                        "write @bundled, @system-ca or a PEM file",
                    ));
                }
                file => trust.add(file, files)?,
            }
        }
        if bundled {
            trust.anchors = webpki_roots::TLS_SERVER_ROOTS;
        }
        Ok(trust)
    }

    /// Mozilla's roots, inside the binary.
    ///
    /// # Errors
    /// None.
    pub fn bundled() -> Result<Trust> {
        Trust::resolve(&[], &Files::any())
    }

    /// Whether Mozilla's roots are all there is.
    pub fn is_bundled(&self) -> bool {
        self.certificates.is_empty() && !self.anchors.is_empty()
    }

    /// The operating system's roots.
    ///
    /// # Errors
    /// There are none.
    pub fn system() -> Result<Trust> {
        Trust::of("@system-ca")
    }

    /// The roots in a file, or the system's (`@system-ca`), as `--ca-file` reads them.
    ///
    /// # Errors
    /// What `--ca-file` would say.
    pub fn of(source: &str) -> Result<Trust> {
        Trust::resolve(&[source.to_owned()], &Files::any())
    }

    /// Mozilla's roots, if they are trusted.
    pub fn anchors(&self) -> &'static [TrustAnchor<'static>] {
        self.anchors
    }

    /// Adds the certificates in a file, or in the files of a directory as HAProxy reads one: whatever
    /// ends in .pem, .crt, .cer or .crl, as far as it can be read.
    fn add(&mut self, name: &str, files: &Files) -> Result<()> {
        let subject = format!("--ca-file {name}");
        let before = self.certificates.len();
        let entries = match name.is_empty() {
            true => None,
            false => files.list(&subject, name)?,
        };
        match entries {
            None => self.certificates.extend(from_file(name, files)?),
            Some(entries) => {
                for entry in entries {
                    let suffix = entry.rsplit_once('.').map_or("", |(_, suffix)| suffix);
                    if entry.starts_with('.') || !["pem", "crt", "cer", "crl"].contains(&suffix) {
                        continue;
                    }
                    let file = format!("{name}/{entry}");
                    match from_file(&file, files) {
                        Ok(found) => self.certificates.extend(found),
                        Err(_) => self.skipped.push(file),
                    }
                }
            }
        }
        if self.certificates.len() == before {
            return Err(refusal(
                subject,
                "has no certificate in it",
                "give certificates in PEM format",
            ));
        }
        Ok(())
    }

    /// What of the files is not used, and why: certificates that OpenSSL loads but never takes, and
    /// files of a directory that cannot be read.
    pub fn unused(&self) -> Vec<String> {
        let broken = self.certificates.iter().filter_map(|trusted| {
            let parts = trusted.parts()?;
            let broken = Uses::read(&parts).broken;
            broken.then(|| format!("{}: an extension cannot be read", parts.subject_text()))
        });
        let skipped = self.skipped.iter();
        let skipped = skipped.map(|file| format!("{file}: cannot be read as PEM certificates"));
        broken.chain(skipped).collect()
    }

    /// What came from files, in their order.
    pub fn certificates(&self) -> &[Trusted] {
        &self.certificates
    }
}

fn from_file(file: &str, files: &Files) -> Result<Vec<Trusted>> {
    let subject = format!("--ca-file {file}");
    let text = pem::read(files, "--ca-file", file)?;
    let mut found = Vec::new();
    for (number, certificate) in pem::certificates(&subject, &text)?.into_iter().enumerate() {
        let unreadable = || {
            refusal(
                &subject,
                format!(
                    "has a certificate that cannot be read: number {}",
                    number + 1
                ),
                "look at it with `openssl x509 -text`, and leave it out",
            )
        };
        let (_, after) = Parts::read_first(&certificate.der).ok_or_else(unreadable)?;
        let explicitly = match certificate.trusted && !after.is_empty() {
            true => trusted_for_servers(after).ok_or_else(unreadable)?,
            false => None,
        };
        found.push(Trusted {
            der: certificate.der,
            explicitly,
        });
    }
    Ok(found)
}

/// What follows a `TRUSTED CERTIFICATE`: for what it is trusted, and for what not (`x509 -addtrust`,
/// `-addreject`). The outer `None` is something else.
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

/// The operating system's roots. Those that cannot be read do not hide the others.
fn system_roots() -> Result<Vec<Trusted>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(refusal(
            "--ca-file @system-ca",
            "is empty: this system (or chroot) has no CA certificates",
            "use @bundled or a PEM file",
        ));
    }
    let readable = found.certs.into_iter().map(|der| Trusted {
        der,
        explicitly: None,
    });
    Ok(readable.filter(|found| found.parts().is_some()).collect())
}

/// Reads `--crt` and `--key`.
pub(super) fn identity(options: &Options, files: &Files) -> Result<Option<Arc<CertifiedKey>>> {
    let Some(crt) = &options.crt else {
        return match options.key {
            Some(_) => Err(refusal(
                "--key without --crt",
                "has no use",
                "add --crt FILE",
            )),
            None => Ok(None),
        };
    };
    let chain = pem::certificates(&format!("--crt {crt}"), &pem::read(files, "--crt", crt)?)?;
    let chain: Vec<_> = chain.into_iter().map(|found| found.der).collect();
    if chain.is_empty() {
        let write = "give certificates in PEM format";
        return Err(refusal(
            format!("--crt {crt}"),
            "has no certificate in it",
            write,
        ));
    }
    let (option, file) = match &options.key {
        Some(key) => ("--key", key),
        None => ("--crt", crt),
    };
    let text = pem::read(files, option, file)?;
    let Some(key) = pem::key(&format!("{option} {file}"), &text)? else {
        return Err(refusal(
            format!("{option} {file}"),
            "has no private key in it",
            "give one, unencrypted PEM, with --key FILE",
        ));
    };
    let provider = rustls::crypto::ring::default_provider();
    let identity = CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| {
            let subject = format!("{option} {file}");
            match error {
                rustls::Error::InconsistentKeys(_) => refusal(
                    subject,
                    format!("does not fit --crt {crt}: it is the key of another certificate"),
                    "give the key of that certificate",
                ),
                _ => refusal(
                    subject,
                    "has a key, or a certificate, of a kind that cannot be used here (limit of sni-check)",
                    "use P-256, P-384, Ed25519, or RSA with 2048 to 4096 bits; or HAProxy's own check-sni",
                ),
            }
        })?;
    Ok(Some(Arc::new(identity)))
}
