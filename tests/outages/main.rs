//! Outages, staged with a real HAProxy in front of real servers. An operator follows what the report
//! says to the letter: pastes its lines into haproxy.cfg and reloads. The server must be UP then and
//! visitors served; where no configuration can cure, the report must say so.
//!
//! `make outages` runs them all.

mod certificates;
mod http;
mod matrix;
mod names;
mod operator;
mod protocols;
mod several;
#[path = "../support/mod.rs"]
mod support;
