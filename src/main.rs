//! The program. All of its code is in the library.
#![no_main]

sni_check::main!(sni_check::run);
