//! Checks the fuzzers' properties on the inputs that the fuzzers found interesting.

#[path = "../fuzz/properties/certificate.rs"]
mod certificate;
#[path = "../fuzz/properties/expect.rs"]
mod expect;
#[path = "../fuzz/properties/options.rs"]
mod options;
#[path = "../fuzz/properties/request.rs"]
mod request;
#[path = "../fuzz/properties/response.rs"]
mod response;

use std::fs;
use std::panic::catch_unwind;

/// Checks the target's properties on every file of its corpus.
fn replay(target: &str, hold: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        let input = fs::read(&path).expect("an input");
        assert!(
            catch_unwind(|| hold(&input)).is_ok(),
            "{} breaks a property",
            path.display()
        );
        count += 1;
    }
    assert!(count >= 30, "{folder} has only {count} inputs");
}

#[test]
fn the_properties_of_options_hold() {
    replay("options", options::hold);
}

#[test]
fn the_properties_of_expectations_hold() {
    replay("expect", expect::hold);
}

#[test]
fn the_properties_of_certificates_hold() {
    replay("certificate", certificate::hold);
}

#[test]
fn the_properties_of_responses_hold() {
    replay("response", response::hold);
}

#[test]
fn the_properties_of_requests_hold() {
    replay("request", request::hold);
}
