//! `sni-check serve`: HAProxy's own http-check asks it, and shows what it answers.

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
