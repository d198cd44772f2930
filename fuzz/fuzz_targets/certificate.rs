#![no_main]

#[path = "../properties/certificate.rs"]
mod certificate;

libfuzzer_sys::fuzz_target!(|input: &[u8]| certificate::hold(input));
