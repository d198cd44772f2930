//! What the options' files hold. It is the same for every server, so that many plans can share it.

use std::sync::Arc;

use anyhow::Result;
use rustls::sign::CertifiedKey;

use super::files::Files;
use super::request::{self, Field};
use super::trust::{self, Authorities};
use crate::options::Options;
use crate::options::values::Verify;
use crate::refusal::exclusive;

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
    /// A file that may not or cannot be read, or holds something else; options that contradict
    /// `--verify none`.
    pub fn read(options: &Options, files: &Files) -> Result<Material> {
        let authorities = match options.verify.unwrap_or_default() {
            Verify::Required => Some(Authorities::read(options, files)?),
            Verify::None => {
                for (given, option) in [
                    (options.verify_host.is_some(), "--verify-host"),
                    (!options.ca_file.is_empty(), "--ca-file"),
                    (!options.crl_file.is_empty(), "--crl-file"),
                ] {
                    exclusive(given, option, true, "--verify none")?;
                }
                None
            }
        };
        Ok(Material {
            authorities,
            identity: trust::identity(options, files)?,
            headers: request::headers(options, files)?,
        })
    }
}
