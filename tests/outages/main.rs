//! Outages, staged with a real HAProxy in front of real servers. Each test plays an operator who
//! follows the report to the letter, pastes its lines into haproxy.cfg and reloads. The server must
//! then be UP and visitors must be served. If no configuration can fix the outage, the report must
//! say so.
//!
//! `make outages` runs all tests.

mod certificates;
mod http;
mod matrix;
mod names;
mod operator;
mod protocols;
mod several;
#[path = "../support/mod.rs"]
mod support;
