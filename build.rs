//! Refuses to build a release that would not run in HAProxy's chroot, and leaves the unwinding
//! tables out of a release.
#![allow(
    clippy::print_stdout,
    reason = "cargo reads a build script's standard output"
)]

use std::env;

/// The command with which cargo builds a static program, as docs/install.md says. `cargo install sni-check`
/// reads no `.cargo/config.toml` from the crate, and a build script can't set target features. Without these
/// settings, the linker would link the program to the C library of this host, and every check in a chroot
/// would end with code 255.
const STATIC_INSTALL: &str = "RUSTFLAGS='-C target-feature=+crt-static -C relocation-model=static' \
    PCRE2_SYS_STATIC=1 cargo install sni-check --locked --target \"$(rustc --print host-tuple)\"";

fn main() {
    println!("cargo::rerun-if-changed=src/no-unwinding.ld");
    println!("cargo::rerun-if-env-changed=SNI_CHECK_DYNAMIC");
    println!("cargo::rustc-env=STATIC_INSTALL={STATIC_INSTALL}");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_static = features.split(',').any(|feature| feature == "crt-static");
    if !is_static && env::var_os("SNI_CHECK_DYNAMIC").is_none() {
        println!(
            "cargo::error=this program would need the C library of the host, and HAProxy's chroot has none; \
             SNI_CHECK_DYNAMIC=1 builds it anyway. For a static program: {STATIC_INSTALL}"
        );
    }
    // This linker script leaves out the tables for unwinding. A panic aborts the program, so only the C
    // runtime reads the tables. From GCC 13 on, it reads the whole tables at each start of a static program,
    // which takes a fifth of a check's time. The tables are also a twelfth of the program's size.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/no-unwinding.ld");
    println!("cargo::rustc-link-arg-bins=-T{script}");
}
