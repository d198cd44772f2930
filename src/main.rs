//! The program; see the library for everything.
#![no_main]

sni_check::main!(sni_check::run);
