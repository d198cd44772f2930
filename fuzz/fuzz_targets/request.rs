#![no_main]

#[path = "../properties/request.rs"]
mod request;

libfuzzer_sys::fuzz_target!(|input: &[u8]| request::hold(input));
