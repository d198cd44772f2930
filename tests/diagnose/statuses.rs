//! Checks that look for text or for a header. HAProxy and sni-check then don't judge the status, but the
//! status often explains why the text or header is missing.

use std::io::Write;

use crate::repairs::Broken;
use crate::report::diagnose;
use crate::support::stage::Stage;
use crate::support::{NAME, peer};

/// Starts an application. The application redirects `/up` to itself unless the header `X-Forwarded-Proto`
/// says that the visitor uses HTTPS.
fn application(stage: &Stage) -> u16 {
    peer::tls_with_head(&stage.leaf, &[], |head, stream| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let is_https = head.to_lowercase().contains("x-forwarded-proto: https");
        let (status, body) = match path {
            "/up" if !is_https => ("301 Moved\r\nLocation: /up", ""),
            "/" | "/up" => ("200 OK", "green"),
            "/error" => ("500 Failed", "broken"),
            "/private" => ("401 Unauthorized", ""),
            "/moved" => ("302 Moved\r\nLocation: /up", ""),
            _ => ("404 Not Found", "no such page"),
        };
        let length = body.len();
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        let _ = stream.write_all(response.as_bytes());
    })
}

#[test]
fn the_status_explains_why_text_or_a_header_is_missing() {
    let stage = Stage::new();
    let port = application(&stage);
    for (uri, rule, said, advice) in [
        (
            "/error",
            "string green",
            "status 500, body",
            "The application is failing",
        ),
        (
            "/error",
            "hdr name X-Green",
            "status 500, headers",
            "The application is failing",
        ),
        (
            "/private",
            "string green",
            "status 401, no response body",
            "The page requires a login (401)",
        ),
        (
            "/missing",
            "rstring ^green",
            "status 404, body",
            "Use --uri /, or the right path",
        ),
        (
            "/missing",
            "string blue",
            "status 404, body",
            "The server has no page /missing",
        ),
    ] {
        let rule = format!("--expect={rule}");
        let report = diagnose(&stage.ca, port, NAME, &[&rule, "--uri", uri]);
        report.advises(advice);
        report.says(said);
        let advice = report.value["cure"]["advice"].to_string();
        for wrong in ["The page is right", "with a good status", "has no body"] {
            assert!(!advice.contains(wrong), "{advice}");
        }
    }
}

#[test]
fn an_expected_status_does_not_explain_why_text_is_missing() {
    let stage = Stage::new();
    let rules = [
        "--expect=status 404",
        "--expect=string gone",
        "--uri=/missing",
    ];
    let report = diagnose(&stage.ca, application(&stage), NAME, &rules);
    report.advises("The page is right, but --expect doesn't match it");
}

#[test]
fn text_behind_a_redirect_is_found_with_the_header_that_visitors_send() {
    let stage = Stage::new();
    let (ca, port) = (&stage.ca_file, application(&stage));
    let backend = format!(
        "    option httpchk\n    http-check send meth GET uri /up ver HTTP/1.1 hdr Host {NAME}\n    \
         http-check expect string green\n    server s1 127.0.0.1:{port} ssl verify required ca-file {ca} \
         sni str({NAME}) check inter 500ms check-sni {NAME}"
    );
    let broken = Broken::new(&stage, "", &backend);
    let fixed = broken.assert_repaired_by(&broken.diagnose());
    assert!(fixed.contains("hdr X-Forwarded-Proto https"), "{fixed}");
}
