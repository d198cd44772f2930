//! Runs `sni-check doctor` on configurations, and compares its predictions with a real HAProxy.

mod configuration;
mod doubts;
mod faults;
mod files;
mod fixes;
mod foretold;
mod hostile;
mod launch;
mod own;
mod own_rules;
mod own_run;
mod programs;
mod reading;
mod report;
mod run;
mod served;
#[path = "../support/mod.rs"]
mod support;
mod traps;
mod visitors;
