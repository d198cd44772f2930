//! Tests of the commands for people, `explain` and `diagnose`, with real servers and a real HAProxy.

mod addresses;
mod asking;
mod connections;
mod contradictions;
mod elsewhere;
mod explain;
mod inherited;
mod known;
mod partial;
mod readme;
mod repairs;
mod report;
mod sentences;
mod servers;
mod settings;
mod situations;
mod starttls;
mod statuses;
#[path = "../support/mod.rs"]
mod support;
mod system_ca;
mod terminal;
mod visitors;
