//! The content of the options' files. It doesn't depend on the server, so many plans can share it.

use std::sync::Arc;

use anyhow::Result;
use rustls::sign::CertifiedKey;

use super::files::{Files, ReadFiles};
use super::request::{self, Field};
use super::trust::{self, Authorities};
use crate::options::Options;
use crate::options::values::Verify;

/// The content of the options' files, read and parsed.
#[derive(Debug)]
pub struct Material {
    authorities: Arc<Authorities>,
    verify: Verify,
    /// The client certificate.
    pub(super) identity: Option<Arc<CertifiedKey>>,
    /// The fields of `--header`.
    pub(super) headers: Vec<Field>,
    read: ReadFiles,
}

impl Material {
    /// Reads the files that the options name.
    ///
    /// # Errors
    ///
    /// The options aren't allowed to name a file, or a file can't be read or has the wrong content.
    pub fn read(options: &Options, files: &Files) -> Result<Material> {
        Material::read_sharing(options, files, None)
    }

    /// Like [`Material::read`], but shares the trusted certificates and revocation lists of `other` if both
    /// read them from the same sources.
    ///
    /// # Errors
    ///
    /// The same as for [`Material::read`].
    pub fn read_sharing(
        options: &Options,
        files: &Files,
        other: Option<&Material>,
    ) -> Result<Material> {
        let files = files.with_new_record();
        // As in HAProxy, files given with `--verify none` must exist, but they have no effect.
        let authorities = match other {
            Some(other) if other.trusts_as(options) && other.authorities.are_current(&files)? => {
                other.authorities.clone()
            }
            _ => Arc::new(Authorities::read(options, files.with_new_record())?),
        };
        Ok(Material {
            authorities,
            verify: options.verify.unwrap_or_default(),
            identity: trust::identity(options, &files)?,
            headers: request::headers(options, &files)?,
            read: files.into_read_files(),
        })
    }

    /// Returns true if these options trust the same sources.
    pub fn trusts_as(&self, options: &Options) -> bool {
        self.authorities.have_sources_of(options)
    }

    /// Returns true if no file has changed since it was read.
    ///
    /// # Errors
    ///
    /// A file system doesn't answer.
    pub fn is_current(&self, files: &Files) -> Result<bool> {
        Ok(files.are_unchanged(&self.read)? && self.authorities.are_current(files)?)
    }

    /// Returns what certificates are verified against, or `None` for `--verify none`.
    pub(super) fn authorities(&self) -> Option<&Authorities> {
        match self.verify {
            Verify::Required => Some(&self.authorities),
            Verify::None => None,
        }
    }
}
