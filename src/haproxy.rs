//! Everything about HAProxy: how it runs a check, how it reads its configuration, and the HAProxy program of
//! this host.

mod account;
pub(crate) mod agent;
pub(crate) mod ask;
pub mod call;
pub(crate) mod child;
pub(crate) mod config;
pub(crate) mod program;
pub(crate) mod resolve;
pub(crate) mod statistics;
pub(crate) mod tied;
pub mod time;
pub(crate) mod variables;
mod visit;
pub mod words;

pub(crate) use self::account::account;
pub use self::call::Caller;
