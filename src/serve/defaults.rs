//! The options of a request over those of the command line.

use crate::options::Options;
use crate::options::expect::Part;
use crate::options::values::Verify;

/// What a request says, and for the rest the defaults. Of options that exclude or replace one another
/// those of the request stand alone.
pub(super) fn over(request: Options, defaults: &Options) -> Options {
    let defaults = without_replaced(&request, defaults.clone());
    // Every field by name: a new option has to be thought of here.
    let Options {
        sni,
        no_sni,
        connect,
        port,
        method,
        uri,
        header,
        body,
        expect,
        max_body,
        max_head,
        verify,
        verify_host,
        ca_file,
        crl_file,
        crt,
        key,
        ssl_min_ver,
        ssl_max_ver,
        alpn,
        handshake_only,
        min_cert_days,
        warn_cert_days,
        send_proxy,
        send_proxy_v2,
        source,
        timeout,
        quiet,
        verbose,
        json,
        syslog,
        color,
        haproxy,
        serve,
        version,
        target,
    } = request;
    Options {
        sni: sni.or(defaults.sni),
        no_sni: no_sni || defaults.no_sni,
        connect: connect.or(defaults.connect),
        port: port.or(defaults.port),
        method: method.or(defaults.method),
        uri: uri.or(defaults.uri),
        header: or(header, defaults.header),
        body: body.or(defaults.body),
        expect: or(expect, defaults.expect),
        max_body: max_body.or(defaults.max_body),
        max_head: max_head.or(defaults.max_head),
        verify: verify.or(defaults.verify),
        verify_host: verify_host.or(defaults.verify_host),
        ca_file: or(ca_file, defaults.ca_file),
        crl_file: or(crl_file, defaults.crl_file),
        crt: crt.or(defaults.crt),
        key: key.or(defaults.key),
        ssl_min_ver: ssl_min_ver.or(defaults.ssl_min_ver),
        ssl_max_ver: ssl_max_ver.or(defaults.ssl_max_ver),
        alpn: alpn.or(defaults.alpn),
        handshake_only: handshake_only || defaults.handshake_only,
        min_cert_days: min_cert_days.or(defaults.min_cert_days),
        warn_cert_days: warn_cert_days.or(defaults.warn_cert_days),
        send_proxy: send_proxy || defaults.send_proxy,
        send_proxy_v2: send_proxy_v2 || defaults.send_proxy_v2,
        source: source.or(defaults.source),
        timeout: timeout.or(defaults.timeout),
        quiet: quiet || defaults.quiet,
        verbose: verbose || defaults.verbose,
        json: json || defaults.json,
        syslog: syslog.or(defaults.syslog),
        color,
        haproxy,
        serve,
        version,
        target,
    }
}

/// The defaults without those that something in the request takes the place of.
fn without_replaced(request: &Options, mut defaults: Options) -> Options {
    if request.sni.is_some() || request.no_sni {
        (defaults.sni, defaults.no_sni) = (None, false);
    }
    if request.connect.is_some() || request.port.is_some() {
        (defaults.connect, defaults.port) = (None, None);
    }
    if request.send_proxy || request.send_proxy_v2 {
        (defaults.send_proxy, defaults.send_proxy_v2) = (false, false);
    }
    if request.quiet || request.verbose || request.json {
        (defaults.quiet, defaults.verbose, defaults.json) = (false, false, false);
    }
    if request.crt.is_some() {
        defaults.key = None;
    }
    if request.handshake_only {
        let Options {
            method,
            uri,
            header,
            body,
            expect,
            max_head,
            max_body,
            ..
        } = &mut defaults;
        (*method, *uri, *body) = (None, None, None);
        (*max_head, *max_body) = (None, None);
        header.clear();
        expect.clear();
    } else if !request.about_http().is_empty() {
        defaults.handshake_only = false;
    }
    if request.verify == Some(Verify::None) {
        defaults.verify_host = None;
        defaults.ca_file.clear();
        defaults.crl_file.clear();
    }
    let verifies = request.verify_host.is_some() || !request.ca_file.is_empty();
    if verifies || !request.crl_file.is_empty() {
        defaults.verify = None;
    }
    if asks_for_http(request) {
        defaults.handshake_only = false;
    }
    if request.handshake_only {
        defaults = Options {
            method: None,
            uri: None,
            header: Vec::new(),
            body: None,
            expect: Vec::new(),
            max_head: None,
            max_body: None,
            ..defaults
        };
    }
    let reads_body =
        |options: &Options| options.expect.iter().any(|rule| rule.part() == Part::Body);
    if !request.expect.is_empty() && !reads_body(request) {
        defaults.max_body = None;
    }
    defaults
}

/// Whether something of these options is for an HTTP request.
fn asks_for_http(options: &Options) -> bool {
    let one = options.method.is_some() || options.uri.is_some() || options.body.is_some();
    let list = !options.header.is_empty() || !options.expect.is_empty();
    one || list || options.max_head.is_some() || options.max_body.is_some()
}

/// The list of the request, or the default if it has none.
fn or<T>(request: Vec<T>, default: Vec<T>) -> Vec<T> {
    if request.is_empty() { default } else { request }
}

#[cfg(test)]
mod tests {
    use super::{Options, over};
    use crate::options::{Parsed, parse};

    fn options(text: &str) -> Options {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        match parse(&words).expect(text) {
            Parsed::Options(options) => *options,
            Parsed::Help => panic!("help"),
        }
    }

    #[test]
    fn a_handshake_alone_and_a_request_take_each_others_place() {
        let of_both = over(
            options("--handshake-only"),
            &options("--uri /x --method HEAD --header A:b --port 1"),
        );
        assert!(of_both.handshake_only && of_both.about_http().is_empty());
        assert!(of_both.port.is_some());
        let of_both = over(options("--uri /y"), &options("--handshake-only"));
        assert!(!of_both.handshake_only);
        assert!(over(options("--port 1"), &options("--handshake-only")).handshake_only);
    }

    #[test]
    fn what_a_request_says_takes_the_place_of_the_default() {
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
            let found = over(options(request), &options(default));
            let (found, expected) = (format!("{found:?}"), format!("{:?}", options(expected)));
            assert_eq!(found, expected, "{default} | {request}");
        }
    }
}
