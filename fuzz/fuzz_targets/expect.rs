#![no_main]

#[path = "../properties/expect.rs"]
mod expect;

libfuzzer_sys::fuzz_target!(|input: &[u8]| expect::hold(input));
