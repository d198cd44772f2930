//! Refused input: the program exits 2 with one clear sentence that names the option and the right
//! value, and sends nothing.

mod support;

use std::process::Output;

use support::check::{by_hand, run_by_hand, stdout, under_haproxy};
use support::folder::Folder;
use support::peer::Untouched;

/// Returns the single sentence of a refusal.
#[track_caller]
fn refusal(output: &Output, context: &str) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{context}: {text}");
    assert_eq!(text.lines().count(), 1, "{context}: {text}");
    assert!(text.starts_with("sni-check: "), "{context}: {text}");
    assert!(output.stdout.is_empty(), "{context}");
    text
}

/// Asserts that the last part of a refusal says what to do. It must make sense by itself, because
/// doctor shows it separately.
#[track_caller]
fn says_what_to_do(text: &str) {
    const VERBS: [&str; 15] = [
        "add",
        "choose",
        "close",
        "did you mean",
        "give",
        "leave",
        "lower",
        "name",
        "percent-encode",
        "put",
        "quote",
        "remove",
        "set",
        "use",
        "write",
    ];
    let (_, fix) = text.trim_end().split_once("; ").expect(text);
    let verb = VERBS
        .iter()
        .find(|verb| fix.starts_with(&format!("{verb} ")));
    let vague = [
        "write one ",
        "write it ",
        "write such ",
        "close it",
        "quote it",
    ];
    let vague = vague.iter().any(|start| fix.starts_with(start));
    let one_of = fix.starts_with("write one of ");
    assert!(verb.is_some() && (one_of || !vague), "{fix}");
}

#[test]
fn every_bad_option_is_refused_before_anything_is_sent() {
    let scratch = Folder::new();
    let key = |name: &str| {
        let pair = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a key");
        (
            scratch.file(&format!("{name}.crt"), &pair.cert.pem()),
            scratch.file(&format!("{name}.key"), &pair.signing_key.serialize_pem()),
        )
    };
    let (crt, _) = key("one");
    let (_, other_key) = key("other");
    let p521_key = support::program("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "EC"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-521"])
        .output()
        .expect("openssl runs");
    let p521_key = scratch.file("p521.key", &String::from_utf8_lossy(&p521_key.stdout));
    let empty = scratch.file("empty.pem", "");
    let broken = scratch.file("broken.pem", "-----BEGIN CERTIFICATE-----\n!!\n");
    let rows: Vec<(String, Vec<&str>)> = [
        ("--snl a.example", vec!["--snl", "did you mean --sni?"]),
        ("--frobnicate", vec!["--frobnicate", "--help"]),
        (
            "--sni 'a.example",
            vec!["external-check path", "quote", "close the quote"],
        ),
        (
            "--sni a.example # --expect x",
            vec!["external-check path", "#"],
        ),
        ("--sni a --sni b", vec!["--sni is given twice"]),
        (
            "'--sni a --uri /'",
            vec!["`--sni a --uri /` is one word", "quote only the value"],
        ),
        (
            "--min-cert-days x",
            vec!["--min-cert-days", "write a number of days"],
        ),
        (
            "--timeout 999999999999999999999d",
            vec!["--timeout", "at most one day"],
        ),
        ("--connect [::1", vec!["--connect", "write [IPv6]"]),
        ("--sni a.example --ca-file=", vec!["--ca-file is empty"]),
        ("--sni a.example --no-sni", vec!["--sni and --no-sni"]),
        ("--sni  --uri /", vec!["--sni has no value", "variable"]),
        ("--sni ''", vec!["--sni", "empty", "variable"]),
        (
            "--sni 203.0.113.7",
            vec!["--sni", "IP address", "--no-sni", "limit of sni-check"],
        ),
        (
            "--sni a.test.",
            vec!["ends with a dot", "limit of sni-check", "write a.test"],
        ),
        (
            "--sni -a.example.com",
            vec!["not a DNS name", "limit of sni-check"],
        ),
        (
            "--sni a-.example.com",
            vec!["not a DNS name", "limit of sni-check"],
        ),
        (
            "--sni .example.com",
            vec!["not a DNS name", "limit of sni-check"],
        ),
        (
            "--sni a --verify-host ''",
            vec!["--verify-host", "is empty"],
        ),
        (
            "--sni bücher.example",
            vec!["--sni", "U-label", "punycode", "xn--"],
        ),
        (
            "--sni a.example:443",
            vec!["--sni", "not a DNS name", "www.example.com"],
        ),
        ("--uri /", vec!["no SNI name", "--sni NAME", "--no-sni"]),
        ("--sni a --timeout 2sec", vec!["--timeout", "1800ms"]),
        ("--sni a --timeout 0", vec!["--timeout", "zero"]),
        (
            "--sni a --expect 'status 399-200'",
            vec!["--expect", "200-399"],
        ),
        (
            "--sni a --expect 'status abc'",
            vec!["--expect", "not a status code"],
        ),
        (
            "--sni a --expect 'rstring ('",
            vec!["--expect", "not a regular expression"],
        ),
        (
            "\u{2013}-sni a.example",
            vec![
                "(U+2013)",
                "only looks like -; write --sni, with two plain hyphens",
            ],
        ),
        (
            "--sni a \u{2014}uri /",
            vec![
                "(U+2014)",
                "only looks like -; write --uri, with two plain hyphens",
            ],
        ),
        (
            "--sni a --expect string all good",
            vec![
                "--expect",
                "no pattern after `string`",
                r#"--expect 'string "all good"'"#,
            ],
        ),
        (
            "--sni a --expect status 200",
            vec!["--expect", "such as --expect 'status 200,300-399'"],
        ),
        (
            "--sni a --expect 'body x'",
            vec!["--expect", "write one of status"],
        ),
        (
            "--sni a --header NoColon",
            vec!["--header", "no colon", "'Name: value'"],
        ),
        (
            "--sni a --header \"A: b\nC: d\"",
            vec!["--header", "CR or LF"],
        ),
        (
            "--sni a --header 'A b: c'",
            vec!["--header", "not a header name"],
        ),
        (
            "--sni a --header 'Host: x' --header 'Host: y'",
            vec!["Host twice"],
        ),
        (
            "--sni a --header @/nothing/here",
            vec!["--header @/nothing/here", "cannot be read"],
        ),
        ("--sni a --port 65536", vec!["--port", "1 to 65535"]),
        ("--sni a --port 0", vec!["--port", "1 to 65535"]),
        (
            "--sni a --connect 127.0.0.1:1 --port 2",
            vec!["--port", "--connect"],
        ),
        (
            "--sni a --connect /run/x --port 2",
            vec!["--port", "--connect", "unix"],
        ),
        ("--sni a --uri healthz", vec!["--uri", "begin with /"]),
        ("--sni a --uri '/a b'", vec!["--uri", "%20"]),
        ("--sni a --method 'G ET'", vec!["--method", "GET"]),
        ("--sni a --method CONNECT", vec!["--method CONNECT"]),
        (
            "--sni a --method HEAD --body x",
            vec!["--body", "--method HEAD"],
        ),
        (
            "--sni a --method HEAD --expect 'string x'",
            vec!["--method HEAD", "--expect string"],
        ),
        (
            "--sni a --max-body 5k",
            vec!["--max-body", "--expect string"],
        ),
        (
            "--sni a --expect 'string x' --max-body 0",
            vec!["--max-body", "64k"],
        ),
        (
            "--sni a --verify optional",
            vec!["--verify", "required or none"],
        ),
        (
            "--sni a --verify none --ca-file /nothing/here",
            vec!["--ca-file /nothing/here"],
        ),
        (
            "--sni a --ca-file @nope",
            vec!["--ca-file @nope", "@system-ca"],
        ),
        (
            "--sni a --ca-file /nothing/here",
            vec!["--ca-file /nothing/here", "cannot be read", "chroot"],
        ),
        (
            "--sni a --ca-file EMPTY",
            vec!["--ca-file", "no certificate", "PEM"],
        ),
        ("--sni a --ca-file BROKEN", vec!["--ca-file", "PEM"]),
        (
            "--sni a --crl-file EMPTY",
            vec!["--crl-file", "no X509 CRL"],
        ),
        (
            "--sni a --crt CRT",
            vec!["--crt", "no private key", "--key FILE"],
        ),
        (
            "--sni a --crt CRT --key OTHER",
            vec!["--key", "does not fit --crt"],
        ),
        (
            "--sni a --crt CRT --key P521",
            vec!["--key", "limit of sni-check", "RSA with 2048 to 4096 bits"],
        ),
        ("--sni a --key OTHER", vec!["--key without --crt"]),
        (
            "--sni a --ssl-min-ver TLSv1.3 --ssl-max-ver TLSv1.2",
            vec!["--ssl-min-ver", "--ssl-max-ver"],
        ),
        (
            "--sni a --ssl-min-ver TLSv1.1",
            vec!["--ssl-min-ver", "TLSv1.2"],
        ),
        (
            "--sni a --send-proxy --send-proxy-v2",
            vec!["--send-proxy and --send-proxy-v2"],
        ),
        ("--sni a --source ::1", vec!["--source", "IP version"]),
        ("--sni a --source localhost", vec!["--source", "IP address"]),
        ("--sni a --quiet --verbose", vec!["--quiet and --verbose"]),
        ("--sni a --quiet --json", vec!["--quiet and --json"]),
        ("--sni a --quiet=yes", vec!["--quiet", "no value"]),
        ("--sni a --syslog loghost", vec!["--syslog", "IP address"]),
        ("--sni a --min-cert-days soon", vec!["--min-cert-days"]),
        ("--sni a stray", vec!["`stray`", "belongs to no option"]),
        ("--sni a stray --method", vec!["--method has no value"]),
        (
            "sni-check --sni a",
            vec!["external-check path", "does not begin"],
        ),
        (
            "--sni a --header 'X: ${TOKEN}'",
            vec!["${TOKEN}", "double quotes"],
        ),
        ("--sni a --uri '*'", vec!["--uri `*`", "--method OPTIONS"]),
        ("--sni a --uri http://b/", vec!["--uri", "'Host: NAME'"]),
        ("--sni a --max-head 0", vec!["--max-head", "64k"]),
        ("--help", vec!["--help"]),
        ("--version", vec!["--version"]),
        (
            "www.example.com --sni --uri /healthz",
            vec![
                "external-check path does not begin with an option",
                "Also: --sni has no value before --uri",
            ],
        ),
        (
            "--snl a --timeout 5x --color never --port 0",
            vec![
                "--snl is not an option",
                "Also: --timeout 5x is not a time",
                "Also: --color is for diagnose",
                "Also: --port 0 is not a port",
            ],
        ),
    ]
    .into_iter()
    .map(|(path, parts)| {
        let path = path.replace("EMPTY", &empty).replace("BROKEN", &broken);
        (
            path.replace("CRT", &crt)
                .replace("OTHER", &other_key)
                .replace("P521", &p521_key),
            parts,
        )
    })
    .collect();
    let backend = Untouched::new();
    for (path, parts) in rows {
        let output = under_haproxy(&path, "127.0.0.1", &backend.port().to_string());
        let text = refusal(&output, &path);
        assert!(text.contains("hybrid/blue"), "{path}: {text}");
        for part in parts {
            assert!(text.contains(part), "{path}: {text} (lacks {part})");
        }
        says_what_to_do(&text);
        backend.assert(&path);
    }
}

#[test]
fn unusable_server_addresses_are_refused_with_a_fix() {
    for (address, port, part) in [
        ("127.0.0.1", "0", "--port N"),
        ("127.0.0.1", "NOT_USED", "--port N"),
        ("", "NOT_USED", "abstract"),
    ] {
        let text = refusal(&under_haproxy("--sni a.example", address, port), part);
        assert!(text.contains(part), "{text}");
    }
    for arguments in [
        &[][..],
        &["a"],
        &["a", "b", "c"],
        &["a", "b", "c", "d", "e"],
    ] {
        let output = by_hand(arguments)
            .env("HAPROXY_SERVER_NAME", "blue")
            .env("PATH", "--sni a.example")
            .output();
        let text = refusal(&output.expect("the program runs"), "arguments");
        assert!(
            text.contains("but HAProxy passes four to a check"),
            "{text}"
        );
    }
}

#[test]
fn bad_options_are_refused_by_hand_too() {
    for (words, part) in [
        (&[][..], "no target"),
        (&["a.example", "b.example"], "2 targets"),
        (&["a.example", "b.example", "c.example"], "3 targets"),
        (&["http://a.example/"], "only HTTPS"),
        (&["https://203.0.113.7/"], "--sni NAME"),
        (&["https://user:secret@a.example/"], "--header"),
        (&["a.example:0"], "1 to 65535"),
        (
            &["a.example:"],
            "write a port after the colon, or leave the colon out",
        ),
        (&["/run/x"], "is a path; write --connect /run/x --sni NAME"),
        (
            &["h.cfg"],
            "a file, not a host; write sni-check diagnose -f h.cfg",
        ),
        (&["/h.cfg"], "write sni-check diagnose -f /h.cfg"),
        (&["https://"], "`https://` has no host"),
        (
            &["https:/a.example"],
            "write https:// with its colon and two slashes",
        ),
        (
            &["--connect", "https://203.0.113.7", "a.example"],
            "is a URL; write only the address",
        ),
        (
            &["--ca-file", "system-ca", "a.example"],
            "did you mean @system-ca?",
        ),
        (
            &["--uri", "/x", "https://a.example/y"],
            "--uri and the path in the URL",
        ),
        (&["--snl"], "did you mean --sni?"),
        (&["diagnoze", "a.example"], "did you mean diagnose?"),
        (
            &["expalin"],
            "To check a host called expalin, write expalin:443",
        ),
        (&["help"], "did you mean --help?"),
        (
            &["a.example", "--timeout", "5x"],
            "sni-check: --timeout 5x is not a time; write a number",
        ),
        (&["--timeout"], "--timeout has no value"),
        (&["--version", "a.example"], "--version"),
    ] {
        let text = refusal(&run_by_hand(words), part);
        assert!(text.contains(part), "{words:?}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

/// People who know curl, openssl or haproxy.cfg, or who are in a hurry, make these mistakes.
#[test]
fn every_wrong_call_is_answered_with_one_sentence_and_nothing_is_sent() {
    for (call, part) in [
        ("-k HOST", "-k is not an option; write --verify none"),
        ("--no-verify HOST", "write --verify none"),
        ("-servername a HOST", "write --sni NAME"),
        ("--cacert /c HOST", "write --ca-file FILE"),
        ("--crl /c HOST", "write --crl-file FILE"),
        ("--resolve a:1:b HOST", "write --connect ADDR"),
        ("--hdr A:b HOST", "write --header 'NAME: VALUE'"),
        ("-A x HOST", "write --header 'User-Agent: TEXT'"),
        ("--expect-status 200 HOST", "write --expect 'status 200'"),
        ("-sni a HOST", "did you mean --sni?"),
        ("--SNI a HOST", "did you mean --sni?"),
        ("--sni:a HOST", "did you mean --sni?"),
        ("--ca_file /c HOST", "did you mean --ca-file?"),
        ("--verify-hostname a HOST", "did you mean --verify-host?"),
        (
            "--ssl-min-version TLSv1.2 HOST",
            "did you mean --ssl-min-ver?",
        ),
        ("-help", "did you mean --help?"),
        ("-version", "write --version"),
        ("--foo HOST", "--foo is not an option; choose one"),
        ("--user-name a HOST", "choose one"),
        ("--retry 3 HOST", "choose one"),
        ("--proxy p HOST", "choose one"),
        ("-c /c HOST", "choose one"),
        (
            "--listen unix:/s HOST",
            "--listen is for serve; leave it out",
        ),
        ("--run HOST", "--run is for doctor; leave it out"),
        ("diagnose --version", "write sni-check --version"),
        ("serve --version", "write sni-check --version"),
        ("--version --sni a", "--version checks nothing"),
        ("doctor --config /c", "write --file FILE"),
        ("doctor --sni a", "--sni is not an option; choose one"),
        (
            "check-sni a HOST",
            "is an option without --; write --sni NAME",
        ),
        (
            "check-sni a ca-file /c",
            "`check-sni` is an option without --",
        ),
        (
            "ca-file /c HOST",
            "is an option without --; write --ca-file",
        ),
        (
            "verify none HOST",
            "is an option without --; write --verify",
        ),
        ("--timeout 5 sec HOST", "and quote a value that has spaces"),
        (
            "--timeout 5sec HOST",
            "--timeout 5sec is not a time; write a number and",
        ),
        (
            "--timeout= HOST",
            "--timeout is empty; write a value after the option",
        ),
        (
            "--port= HOST",
            "--port is empty; write a value after the option",
        ),
        ("--verify=false HOST", "write required or none"),
        (
            "'--sni a' HOST",
            "`--sni a` is one word, because of its quotes; quote",
        ),
        ("--sni \u{201c}a\u{201d} HOST", "write straight quotes"),
        ("\u{2014}sni a HOST", "write --sni, with two plain hyphens"),
        (
            "https:a.example",
            "write https:// with its colon and two slashes",
        ),
        (
            "https//a.example",
            "write https:// with its colon and two slashes",
        ),
    ] {
        let backend = Untouched::new();
        let host = format!("127.0.0.1:{}", backend.port());
        let words = shlex::split(&call.replace("HOST", &host)).expect(call);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = refusal(&run_by_hand(&words), call);
        assert!(text.contains(part), "{call}: {text}");
        says_what_to_do(&text);
        backend.assert(call);
    }
}

#[test]
fn header_values_are_never_shown() {
    let output = under_haproxy(
        "--sni a.example --header 'X-Token: s3cr\u{1}et'",
        "127.0.0.1",
        "1",
    );
    assert!(!refusal(&output, "header").contains("s3cr"));
}

#[test]
fn help_and_version_are_for_people() {
    let help = run_by_hand(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(stdout(&help).contains("--sni"));
    let version = run_by_hand(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        stdout(&version),
        concat!("sni-check ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
