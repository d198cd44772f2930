//! Which certificates are accepted: exactly those that HAProxy accepts.
//!
//! [`Verifier`] is what rustls asks. The verdict itself is `judge.rs`: it builds the path to a root
//! (`path.rs`), applies OpenSSL's rules to each certificate (`rules.rs`), verifies signatures and name
//! constraints (`chain.rs`), asks the revocation lists (`revocation.rs`), and compares the name
//! (`hostname.rs`). ring and the RustCrypto crates verify each signature. The rules about paths are
//! OpenSSL's own, function by function, because HAProxy's verdict is OpenSSL's: webpki's rules are
//! stricter in some points and laxer in others.

mod chain;
mod faults;
mod hostname;
mod judge;
mod path;
mod revocation;
mod rules;
mod signature;
mod signed;
mod verifier;

pub use self::faults::{faults, names};
pub(super) use self::signature::ALGORITHMS;
pub(super) use self::verifier::Verifier;
