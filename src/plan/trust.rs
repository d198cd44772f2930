//! What makes a certificate acceptable, and our own client certificate.

use std::borrow::Cow;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, TrustAnchor,
};
use rustls::sign::CertifiedKey;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::files::Files;
use super::names::Names;
use crate::options::Options;

/// What makes a certificate acceptable.
#[derive(Debug)]
pub struct Verification {
    /// What the certificate must be for.
    pub name: ServerName<'static>,
    /// The roots a chain may end in.
    pub trust: Arc<Trust>,
    /// Revocation lists. If there is any, one must cover each certificate of the chain, as with
    /// HAProxy's `crl-file`.
    pub crls: Arc<[CertRevocationList<'static>]>,
}

/// The roots a chain may end in.
#[derive(Debug)]
pub struct Trust {
    /// Mozilla's are a constant of the binary and never copied when they are all there is.
    anchors: Cow<'static, [TrustAnchor<'static>]>,
    /// The roots that came from files, whole: an anchor keeps no validity.
    certificates: Vec<CertificateDer<'static>>,
}

impl Verification {
    pub(super) fn resolve(authorities: &Authorities, names: &Names) -> Result<Verification> {
        let name = names.verified.clone().context(
            "nothing to verify the certificate against: add --verify-host NAME or --verify none",
        )?;
        Ok(Verification {
            name,
            trust: authorities.trust.clone(),
            crls: authorities.crls.clone(),
        })
    }
}

/// What `--ca-file` and `--crl-file` hold: all of a [`Verification`] but the name.
#[derive(Debug)]
pub(super) struct Authorities {
    trust: Arc<Trust>,
    crls: Arc<[CertRevocationList<'static>]>,
}

impl Authorities {
    pub(super) fn read(options: &Options, files: &Files) -> Result<Authorities> {
        let mut crls = Vec::new();
        for file in &options.crl_file {
            let lists = read_pem::<CertificateRevocationListDer<'_>>(files, "--crl-file", file)?;
            ensure!(
                !lists.is_empty(),
                "--crl-file {file}: no X509 CRL in it; write it as PEM"
            );
            for list in lists {
                let list = OwnedCertRevocationList::from_der(list.as_ref())
                    .map_err(|error| anyhow!("--crl-file {file}: a list is unreadable: {error}"))?;
                crls.push(list.into());
            }
        }
        Ok(Authorities {
            trust: Arc::new(Trust::resolve(&options.ca_file, files)?),
            crls: crls.into(),
        })
    }
}

impl Trust {
    fn resolve(sources: &[String], files: &Files) -> Result<Trust> {
        let mut anchors = Cow::Borrowed(&[][..]);
        let mut certificates = Vec::new();
        let mut bundled = sources.is_empty();
        for source in sources {
            match source.as_str() {
                "@bundled" => bundled = true,
                "@system-ca" => certificates.extend(system_roots()?),
                unknown if unknown.starts_with('@') => {
                    bail!("--ca-file {unknown}: write @bundled, @system-ca or a PEM file")
                }
                file => {
                    let found = read_pem(files, "--ca-file", file)?;
                    ensure!(
                        !found.is_empty(),
                        "--ca-file {file}: no certificate in it; write it as PEM"
                    );
                    for certificate in &found {
                        webpki::anchor_from_trusted_cert(certificate).map_err(|error| {
                            anyhow!("--ca-file {file}: a certificate is unreadable: {error}")
                        })?;
                    }
                    certificates.extend(found);
                }
            }
        }
        if bundled {
            anchors = Cow::Borrowed(webpki_roots::TLS_SERVER_ROOTS);
        }
        if !certificates.is_empty() {
            let loaded = certificates.iter().filter_map(|certificate| {
                webpki::anchor_from_trusted_cert(certificate)
                    .ok()
                    .map(|anchor| anchor.to_owned())
            });
            anchors.to_mut().extend(loaded);
        }
        Ok(Trust {
            anchors,
            certificates,
        })
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
        matches!(self.anchors, Cow::Borrowed(_)) && !self.anchors.is_empty()
    }

    /// The operating system's roots.
    ///
    /// # Errors
    /// There are none.
    pub fn system() -> Result<Trust> {
        Trust::resolve(&["@system-ca".to_owned()], &Files::any())
    }

    /// The roots, as webpki wants them.
    pub fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The certificate that an anchor was made of, if it came from a file.
    pub fn certificate_of(&self, anchor: &TrustAnchor<'_>) -> Option<&CertificateDer<'static>> {
        self.certificates.iter().find(|certificate| {
            webpki::anchor_from_trusted_cert(certificate).is_ok_and(|made| made == *anchor)
        })
    }

    /// Whether this very certificate is among the trusted files.
    pub fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates
            .iter()
            .any(|trusted| trusted == certificate)
    }
}

/// The operating system's roots. Those that cannot be read do not hide the others.
fn system_roots() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    ensure!(
        !found.certs.is_empty(),
        "--ca-file @system-ca: this system (or chroot) has no CA certificates; use @bundled or a PEM file"
    );
    Ok(found.certs)
}

/// Reads `--crt` and `--key`.
pub(super) fn identity(options: &Options, files: &Files) -> Result<Option<Arc<CertifiedKey>>> {
    let Some(crt) = &options.crt else {
        ensure!(options.key.is_none(), "--key without --crt; add --crt FILE");
        return Ok(None);
    };
    let chain = read_pem(files, "--crt", crt)?;
    ensure!(
        !chain.is_empty(),
        "--crt {crt}: no certificate in it; write it as PEM"
    );
    let (option, file) = match &options.key {
        Some(key) => ("--key", key),
        None => ("--crt", crt),
    };
    let Some(key) = read_pem::<PrivateKeyDer<'_>>(files, option, file)?
        .into_iter()
        .next()
    else {
        bail!("{option} {file}: no private key in it; give one, unencrypted PEM, with --key FILE");
    };
    let provider = rustls::crypto::ring::default_provider();
    let identity = CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| anyhow!("{option} {file}: the key does not fit --crt {crt}: {error}"))?;
    Ok(Some(Arc::new(identity)))
}

/// All sections of one kind in a PEM file.
fn read_pem<T: PemObject>(files: &Files, option: &str, file: &str) -> Result<Vec<T>> {
    ensure!(
        !file.is_empty(),
        "{option} is empty; if it was given as a variable, set that variable"
    );
    let text = files.read(&format!("{option} {file}"), file)?;
    T::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow!("{option} {file}: not valid PEM: {error}"))
}
