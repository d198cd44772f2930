//! `sni-check doctor` against real configurations in real places, and a real HAProxy that shows
//! what it foretells.

mod files;
mod foretold;
mod launch;
mod reading;
mod report;
mod run;
mod scene;
#[path = "../support/mod.rs"]
mod support;
