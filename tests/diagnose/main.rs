//! The doors for people: `explain` and `diagnose`, against real servers and a real HAProxy.

mod diagnose;
mod explain;
#[path = "../support/mod.rs"]
mod support;
mod world;
