//! Tests of `sni-check serve`, which answers the requests of HAProxy's own http-check.

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
