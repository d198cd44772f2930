//! The requirements for the server's certificate, and the client certificate.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use rustls::pki_types::TrustAnchor;
use rustls::sign::CertifiedKey;

use super::files::{Files, ReadFiles};
use super::names::{Names, VerifiedName};
use super::pem;
use super::revocation::List;
use super::trusted::{Trusted, from_text};
use crate::certificate::Uses;
use crate::options::Options;
use crate::refusal::refusal;

/// The requirements for a certificate.
#[derive(Debug)]
pub struct Verification {
    /// The name that the certificate must be for.
    pub name: VerifiedName,
    /// The certificates that can complete a chain.
    pub trust: Arc<Trust>,
    /// Revocation lists. If there is at least one list, every certificate of the chain needs a
    /// list, as with HAProxy's `crl-file`.
    pub lists: Arc<[List]>,
}

/// The certificates that can complete a chain: roots, in which a chain may end, and intermediates from files.
#[derive(Debug, Default)]
pub struct Trust {
    /// Mozilla's roots: names and keys without certificates.
    anchors: &'static [TrustAnchor<'static>],
    /// The certificates from files, in their order: roots and intermediates.
    certificates: Vec<Trusted>,
    /// Unreadable files in a folder of `--ca-file`.
    skipped: Vec<String>,
}

impl Verification {
    /// Returns the requirements for a server with these names. Returns `None` if there is no name to
    /// verify.
    pub fn new(names: &Names, trust: Arc<Trust>, lists: Arc<[List]>) -> Option<Verification> {
        Some(Verification {
            name: names.verified.clone()?,
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

/// The content of `--ca-file` and `--crl-file`: a [`Verification`] without the name.
#[derive(Debug)]
pub(super) struct Authorities {
    trust: Arc<Trust>,
    lists: Arc<[List]>,
    /// The values of both options.
    sources: (Vec<String>, Vec<String>),
    read: ReadFiles,
    read_at: Instant,
}

/// How long the system's roots count as unchanged. We don't know which files they come from, so we can't
/// look for changes.
const SYSTEM_ROOTS: Duration = Duration::from_secs(60);

impl Authorities {
    pub(super) fn read(options: &Options, files: Files) -> Result<Authorities> {
        let mut trust = Trust::resolve(&options.ca_file, &files)?;
        let mut lists = Vec::new();
        if !options.crl_file.is_empty() {
            // HAProxy puts the content of both files into one store. Lists in a CA file therefore
            // count, and so do roots in a CRL file. Without crl-file, HAProxy uses no lists at all.
            lists = trust.lists_in_ca_files(&options.ca_file, &files)?;
            for file in named_once(&options.crl_file) {
                let read = List::of_file("--crl-file", file, &files)?;
                let (found, certificates) = &*read;
                if found.is_empty() {
                    return Err(refusal(
                        format!("--crl-file {file}"),
                        "has no X509 CRL in it",
                        "give a revocation list in PEM format",
                    ));
                }
                lists.extend_from_slice(found);
                trust.certificates.extend_from_slice(certificates);
            }
        }
        Ok(Authorities {
            lists: lists.into(),
            trust: Arc::new(trust),
            sources: (options.ca_file.clone(), options.crl_file.clone()),
            read: files.into_read_files(),
            read_at: Instant::now(),
        })
    }

    /// Returns true if these options name the same sources.
    pub(super) fn have_sources_of(&self, options: &Options) -> bool {
        (&self.sources.0, &self.sources.1) == (&options.ca_file, &options.crl_file)
    }

    /// Returns true if the sources haven't changed since they were read.
    ///
    /// # Errors
    ///
    /// A file system doesn't answer.
    pub(super) fn are_current(&self, files: &Files) -> Result<bool> {
        let system = self.sources.0.iter().any(|source| source == "@system-ca");
        Ok(
            !(system && self.read_at.elapsed() > SYSTEM_ROOTS)
                && files.are_unchanged(&self.read)?,
        )
    }
}

impl Trust {
    fn resolve(sources: &[String], files: &Files) -> Result<Trust> {
        let mut trust = Trust::default();
        let mut bundled = sources.is_empty();
        for source in named_once(sources) {
            match source.as_str() {
                "@bundled" => bundled = true,
                "@system-ca" => {
                    let place = Path::new("@system-ca");
                    let found = files
                        .on_reader_thread("--ca-file @system-ca", place, || Ok(system_roots()))?;
                    trust.certificates.extend(found?);
                }
                unknown if unknown.starts_with('@') => {
                    return Err(refusal(
                        format!("--ca-file {unknown}"),
                        "is not known",
                        "write @bundled, @system-ca or a PEM file",
                    ));
                }
                "bundled" | "system-ca" => {
                    let write = format!("did you mean @{source}?");
                    return Err(refusal(format!("--ca-file {source}"), "has no @", write));
                }
                file => trust.add(file, files)?,
            }
        }
        if bundled {
            trust.anchors = webpki_roots::TLS_SERVER_ROOTS;
        }
        Ok(trust)
    }

    /// Returns true if only Mozilla's roots are trusted.
    pub fn is_bundled(&self) -> bool {
        self.certificates.is_empty() && !self.anchors.is_empty()
    }

    /// Returns the operating system's roots.
    ///
    /// # Errors
    ///
    /// The operating system has no roots.
    pub fn system() -> Result<Trust> {
        Trust::of("@system-ca")
    }

    /// Returns the roots in a file, or the system's roots (`@system-ca`), as `--ca-file` reads
    /// them.
    ///
    /// # Errors
    ///
    /// The same as for `--ca-file`.
    pub fn of(source: &str) -> Result<Trust> {
        Trust::resolve(&[source.to_owned()], &Files::any())
    }

    /// Returns Mozilla's roots, or an empty list if they aren't trusted.
    pub fn anchors(&self) -> &'static [TrustAnchor<'static>] {
        self.anchors
    }

    /// Adds the certificates in a file, or in all readable files of a folder.
    fn add(&mut self, name: &str, files: &Files) -> Result<()> {
        let before = self.certificates.len();
        for_each_file(name, files, |file, is_in_folder| {
            match from_file(file, files) {
                Ok(found) => self.certificates.extend_from_slice(&found),
                Err(_) if is_in_folder && !files.were_hindered() => {
                    self.skipped.push(file.to_owned());
                }
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        match self.certificates.len() == before {
            true => Err(no_certificate(format!("--ca-file {name}"))),
            false => Ok(()),
        }
    }

    /// Returns the revocation lists in the files of `--ca-file`.
    fn lists_in_ca_files(&self, sources: &[String], files: &Files) -> Result<Vec<List>> {
        let mut lists = Vec::new();
        for source in named_once(sources).filter(|source| !source.starts_with('@')) {
            for_each_file(source, files, |file, is_in_folder| {
                if is_in_folder && self.skipped.iter().any(|skipped| skipped == file) {
                    return Ok(());
                }
                match List::of_file("--ca-file", file, files) {
                    Ok(found) => lists.extend_from_slice(&found.0),
                    Err(_) if is_in_folder && !files.were_hindered() => {}
                    Err(error) => return Err(error),
                }
                Ok(())
            })?;
        }
        Ok(lists)
    }

    /// Returns the parts of `--ca-file` that aren't used, each with the reason: certificates that OpenSSL
    /// loads but never trusts, and files of a folder that can't be read.
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

    /// Returns the certificates from files, in their order.
    pub fn certificates(&self) -> &[Trusted] {
        &self.certificates
    }
}

/// Calls `read` for a file, or for the files in a folder that HAProxy reads. Their names end in .pem, .crt,
/// .cer or .crl. The second argument of `read` is true for a file in a folder.
fn for_each_file(
    name: &str,
    files: &Files,
    mut read: impl FnMut(&str, bool) -> Result<()>,
) -> Result<()> {
    let entries = match name {
        "" => None,
        name => files.list(&format!("--ca-file {name}"), name)?,
    };
    let Some(entries) = entries else {
        return read(name, false);
    };
    let is_read = |entry: &&String| {
        let suffix = entry.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        !entry.starts_with('.') && ["pem", "crt", "cer", "crl"].contains(&suffix)
    };
    let mut entries = entries.iter().filter(is_read);
    entries.try_for_each(|entry| read(&format!("{name}/{entry}"), true))
}

fn no_certificate(subject: String) -> Error {
    let write = "give certificates in PEM format";
    refusal(subject, "has no certificate in it", write)
}

/// Returns each file of a list once, because naming a file twice adds nothing.
fn named_once(files: &[String]) -> impl Iterator<Item = &String> {
    let all = files.iter().enumerate();
    all.filter(|(at, file)| !files[..*at].contains(file))
        .map(|(_, file)| file)
}

fn from_file(file: &str, files: &Files) -> Result<Arc<Vec<Trusted>>> {
    pem::parsed(files, "--ca-file", file, |subject, text| {
        from_text(subject, &text)
    })
}

/// Returns the operating system's roots. Roots that can't be read are skipped.
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
        der: Arc::new(der),
        explicitly: None,
    });
    Ok(readable.filter(|found| found.parts().is_some()).collect())
}

/// Reads `--crt` and `--key`.
pub(super) fn identity(options: &Options, files: &Files) -> Result<Option<Arc<CertifiedKey>>> {
    let Some(crt) = &options.crt else {
        let alone = || refusal("--key without --crt", "has no use", "add --crt FILE");
        return options.key.as_ref().map_or(Ok(None), |_| Err(alone()));
    };
    let chain = pem::certificates(&format!("--crt {crt}"), &pem::read(files, "--crt", crt)?)?;
    let chain: Vec<_> = chain.into_iter().map(|found| found.der).collect();
    if chain.is_empty() {
        return Err(no_certificate(format!("--crt {crt}")));
    }
    let (option, file) = match &options.key {
        Some(key) => ("--key", key),
        None => ("--crt", crt),
    };
    let subject = format!("{option} {file}");
    let text = pem::read(files, option, file)?;
    let Some(key) = pem::key(&subject, &text)? else {
        let write = "give an unencrypted private key in PEM format with --key FILE";
        return Err(refusal(subject, "has no private key in it", write));
    };
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain, key, &provider) {
        Ok(identity) => Ok(Some(Arc::new(identity))),
        Err(rustls::Error::InconsistentKeys(_)) => Err(refusal(
            subject,
            format!("does not fit --crt {crt}: it is the key of another certificate"),
            "give the key of the certificate in --crt",
        )),
        Err(_) => Err(refusal(
            subject,
            "has a key or certificate of a kind that sni-check cannot use (limit of sni-check)",
            "use P-256, P-384, Ed25519, or RSA with 2048 to 4096 bits; or HAProxy's own check-sni",
        )),
    }
}
