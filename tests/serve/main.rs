//! `sni-check serve`: HAProxy's own http-check sends it requests and shows its answers.

#[path = "../support/mod.rs"]
mod support;

mod endurance;
mod files;
mod hanging;
mod haproxy;
mod hostile;
mod life;
mod limits;
mod pages;
mod scene;
mod units;
