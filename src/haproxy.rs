//! What HAProxy is: how it calls a check, how it splits a line, and its program on this host.

pub mod call;
pub(crate) mod child;
pub(crate) mod program;
pub(crate) mod variables;
pub mod words;

pub use self::call::Caller;
