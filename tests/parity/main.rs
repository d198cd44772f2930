//! Compares verdicts about the same servers: those of HAProxy's own check, sni-check, and the
//! script that sni-check replaces.

mod certificates;
mod differences;
mod expectations;
mod forge;
#[allow(dead_code, reason = "each table uses a part of it")]
mod harness;
mod http;
mod patterns;
mod quoting;
mod requests;
mod script;
mod sites;
#[path = "../support/mod.rs"]
mod support;
mod tls;
