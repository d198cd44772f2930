//! The options of HAProxy's call: those in `external-check path`, then its four arguments.

use std::ffi::OsStr;

use anyhow::Result;

use super::{Options, Parsed, parse, version_checks_nothing};
use crate::haproxy::call::options_in_path;
use crate::refusal::refusal;

/// The options of HAProxy's call, with its four arguments as the target.
///
/// # Errors
/// What `path` or the option language refuses, and options that check nothing.
pub fn options(path: &OsStr, arguments: Vec<String>) -> Result<Box<Options>> {
    // Before the arguments: `--` among them must not hide these.
    let mut words = options_in_path(path)?;
    words.extend(arguments);
    match parse(&words)? {
        Parsed::Help(_) => Err(refusal("--help", "is for people", "leave it out here")),
        Parsed::Options(options) if options.version => Err(version_checks_nothing()),
        Parsed::Options(options) => Ok(options),
    }
}
