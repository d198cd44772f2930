//! Runs `sni-check doctor` on real configurations, and a real HAProxy that shows what doctor predicts.

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
mod reading;
mod report;
mod run;
mod served;
#[path = "../support/mod.rs"]
mod support;
mod traps;
mod visitors;
