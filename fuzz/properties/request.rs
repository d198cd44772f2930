//! Reads the request that HAProxy's http-check sends to `sni-check serve`, and its options.
//!
//! An input is the bytes that a client sends.

use std::ffi::OsStr;

use sni_check::options::handed::{self, Carrier};
use sni_check::options::values::Time;
use sni_check::serve::request::{Asked, OPTIONS, Request, STATE, parse};

pub fn hold(input: &[u8]) {
    let all = parse(input);
    if let Err(error) = &all {
        assert_message_is_not_empty(error);
    }
    assert_pieces_change_nothing(input, &all);
    if let Ok(Some(Asked::Check(request))) = all {
        assert_is_what_was_sent(input, &request);
        match handed::options(Carrier::Header, OsStr::new(&request.options)) {
            Ok(options) => {
                let longest = std::time::Duration::from_secs(60);
                assert!(options.timeout.is_none_or(|Time(time)| time <= longest));
            }
            Err(error) => assert_message_is_not_empty(&error),
        }
    }
}

fn assert_message_is_not_empty(error: &anyhow::Error) {
    assert!(!format!("{error:#}").trim().is_empty());
}

/// Asserts that a decision doesn't change when more bytes arrive, because the bytes may arrive in pieces.
fn assert_pieces_change_nothing(input: &[u8], all: &anyhow::Result<Option<Asked>>) {
    for length in (0..input.len()).step_by(1 + input.len() / 64) {
        match parse(&input[..length]) {
            Ok(None) => {}
            Ok(Some(request)) => assert_eq!(all.as_ref().ok(), Some(&Some(request))),
            Err(_) => assert!(
                all.is_err(),
                "refused after {length} bytes, but accepted later"
            ),
        }
    }
}

/// Asserts that the fields [`OPTIONS`] and [`STATE`] each occur on exactly one line, and that the request has
/// the values of these lines.
fn assert_is_what_was_sent(input: &[u8], request: &Request) {
    let text = String::from_utf8_lossy(input);
    let values = |name: &str| -> Vec<&str> {
        let lines = text
            .trim_start_matches(['\r', '\n'])
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty());
        let fields = lines.filter_map(|line| line.split_once(':'));
        let named = fields.filter(|(found, _)| found.trim().eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim()).collect()
    };
    assert_eq!(values(OPTIONS), [request.options.as_str()]);
    let [state] = values(STATE)[..] else {
        panic!("{STATE} does not occur exactly once");
    };
    let server = &request.server;
    let address = server
        .address
        .map_or("unix".to_owned(), |ip| ip.to_string());
    let caller = [&server.caller.backend, &server.caller.server];
    for part in [server.port.as_str(), caller[0], caller[1]] {
        assert!(state.contains(part), "{part} is not in {state}");
    }
    // An IPv6 address has several spellings.
    assert!(address.contains(':') || state.contains(&address), "{state}");
}
