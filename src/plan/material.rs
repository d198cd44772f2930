//! What the options' files hold. It is the same for every server, so that many plans can share it.

use std::sync::Arc;

use anyhow::Result;
use rustls::sign::CertifiedKey;

use super::files::Files;
use super::request::{self, Field};
use super::trust::{self, Authorities};
use crate::options::Options;
use crate::options::values::Verify;

/// What the options' files hold, read and parsed.
#[derive(Debug)]
pub struct Material {
    /// `None` for `--verify none`.
    pub(super) authorities: Option<Authorities>,
    /// The client certificate.
    pub(super) identity: Option<Arc<CertifiedKey>>,
    /// The fields of `--header`.
    pub(super) headers: Vec<Field>,
}

impl Material {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// A file that may not or cannot be read, or holds something else.
    pub fn read(options: &Options, files: &Files) -> Result<Material> {
        // As in HAProxy, files beside `--verify none` have to be there, but decide nothing.
        let authorities = Authorities::read(options, files)?;
        let authorities = match options.verify.unwrap_or_default() {
            Verify::Required => Some(authorities),
            Verify::None => None,
        };
        Ok(Material {
            authorities,
            identity: trust::identity(options, files)?,
            headers: request::headers(options, files)?,
        })
    }
}
