//! Compares the verdicts of HAProxy's own check, of sni-check, and of the script that sni-check
//! replaces, for the same servers.

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
