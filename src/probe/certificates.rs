//! Judges certificates as HAProxy does.
//!
//! rustls calls [`Verifier`], and `judge.rs` makes the decision in these steps:
//!
//! - It builds the path to a root (`path.rs`).
//! - It applies OpenSSL's rules to each certificate (`rules.rs`).
//! - It verifies signatures and name constraints (`chain.rs`). ring and the RustCrypto crates
//!   verify each signature.
//! - It checks the revocation lists (`revocation.rs`).
//! - It compares the name (`hostname.rs`).
//!
//! The rules about paths follow OpenSSL function by function, because HAProxy leaves this decision to
//! OpenSSL. webpki's rules are stricter in some respects and laxer in others.

mod chain;
mod faults;
mod hostname;
mod judge;
mod path;
mod revocation;
mod rules;
mod signature;
mod verifier;

pub use self::faults::{faults, is_for, names};
pub(super) use self::signature::ALGORITHMS;
pub(super) use self::verifier::Verifier;
