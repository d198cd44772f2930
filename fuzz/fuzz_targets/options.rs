#![no_main]

#[path = "../properties/options.rs"]
mod options;

libfuzzer_sys::fuzz_target!(|input: &[u8]| options::hold(input));
