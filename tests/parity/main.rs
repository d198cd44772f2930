//! Compares HAProxy's own check, sni-check and the script that sni-check replaces: their verdicts
//! about the same servers, and their requests.

mod certificates;
mod differences;
mod expectations;
mod forge;
#[allow(dead_code, reason = "no table uses all of it")]
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
