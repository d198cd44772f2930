//! Leaves the tables for unwinding out of the released program, a twelfth of it. A panic ends it
//! (`panic = "abort"`), so nobody would read them, but for the C runtime: from GCC 13 on it reads all
//! of them at each start of a static program, which would be a fifth of a check.
#![allow(clippy::print_stdout, reason = "that is how cargo is told")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=src/no-unwinding.ld");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/no-unwinding.ld");
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
}
