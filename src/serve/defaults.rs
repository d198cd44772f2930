//! Combines the options of a request with the defaults from serve's command line.

use crate::options::Options;
use crate::options::expect::Part;
use crate::options::table::{ROWS, row};
use crate::options::values::Verify;

/// Returns the options of a request, completed by the defaults. An option of the request always
/// replaces the default for the same option. The table of options lists the other defaults that an
/// option replaces.
pub(crate) fn complete(mut request: Options, defaults: &Options) -> Options {
    let mut defaults = defaults.clone();
    let mut drop = |names: &[&str]| {
        let rows = names.iter().filter_map(|name| row(name));
        rows.for_each(|row| row.clear(&mut defaults));
    };
    for row in ROWS.iter().filter(|row| row.is_given(&request)) {
        drop(row.replaces);
    }
    // Two replacements depend on the value.
    if request.verify == Some(Verify::None) {
        drop(&["--verify-host", "--ca-file", "--crl-file"]);
    }
    let mut rules = request.expect.iter();
    if !request.expect.is_empty() && !rules.any(|rule| rule.part() == Part::Body) {
        drop(&["--max-body"]);
    }
    for row in &ROWS {
        row.inherit(&mut request, &defaults);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::complete;
    use crate::options::of_text as options;

    #[test]
    fn handshake_only_and_http_options_replace_each_other() {
        let of_both = complete(
            options("--handshake-only"),
            &options("--uri /x --method HEAD --header A:b --port 1"),
        );
        assert!(of_both.handshake_only && of_both.about_http().is_empty());
        assert!(of_both.port.is_some());
        let of_both = complete(options("--uri /y"), &options("--handshake-only"));
        assert!(!of_both.handshake_only);
        assert!(complete(options("--port 1"), &options("--handshake-only")).handshake_only);
    }

    #[test]
    fn options_of_a_request_replace_the_defaults() {
        for (default, request, expected) in [
            ("--sni a --uri /a", "--uri /b", "--sni a --uri /b"),
            ("--sni a", "--no-sni", "--no-sni"),
            ("--no-sni", "--sni a", "--sni a"),
            ("--connect 192.0.2.7:1", "--port 2", "--port 2"),
            ("--send-proxy", "--send-proxy-v2", "--send-proxy-v2"),
            ("--ca-file a --ca-file b", "--ca-file c", "--ca-file c"),
            ("--header A:1", "--sni a", "--header A:1 --sni a"),
            ("--ca-file a --crl-file b", "--verify none", "--verify none"),
            ("--verify none", "--ca-file c", "--ca-file c"),
            ("--crt a --key b", "--crt c", "--crt c"),
            ("--quiet", "--json", "--json"),
            ("--handshake-only", "--uri /x", "--uri /x"),
            (
                "--uri /x --sni a",
                "--handshake-only",
                "--handshake-only --sni a",
            ),
        ] {
            let found = complete(options(request), &options(default));
            let (found, expected) = (format!("{found:?}"), format!("{:?}", options(expected)));
            assert_eq!(found, expected, "{default} | {request}");
        }
    }
}
