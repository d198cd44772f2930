//! The options of HAProxy's call: those in `external-check path`, then its four arguments.

use std::ffi::OsStr;

use anyhow::{Result, bail};

use super::{Options, Parsed, VERSION_CHECKS_NOTHING, parse};
use crate::haproxy::call::options_in_path;

/// The options of HAProxy's call, with its four arguments as the target.
///
/// # Errors
/// What `path` or the option language refuses, and options that check nothing.
pub fn options(path: &OsStr, arguments: Vec<String>) -> Result<Box<Options>> {
    // Before the arguments: `--` among them must not hide these.
    let mut words = options_in_path(path)?;
    words.extend(arguments);
    match parse(&words)? {
        Parsed::Help(_) => bail!("--help is for people; leave it out here"),
        Parsed::Options(options) if options.version => bail!(VERSION_CHECKS_NOTHING),
        Parsed::Options(options) => Ok(options),
    }
}
