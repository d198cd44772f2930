//! What doctor finds in the names, protocols and expectations of checks, mostly without `--run`.

use crate::configuration::{PLAIN, checked, configure, finding, found, json, refuses};
use crate::own::{Row, defaults, foretells};
use crate::support::nginx::{Nginx, site};
use crate::support::peer::wants_http2;
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port};

/// Starts a server with two sites. The server requires the same name in SNI and Host.
fn two_sites(stage: &Stage) -> Nginx {
    let leaf = stage.ca.leaf(&[NAME, OTHER], 30);
    Nginx::serve(|folder, port| {
        let more = "if ($ssl_server_name != $host) { return 421; }";
        [NAME, OTHER]
            .map(|name| site((folder, port), "", name, (&leaf, &[]), more))
            .concat()
    })
}

const OTHER: &str = "other.example.test";

/// Checks of a server with two sites. Each row has the check's headers and further lines, the keywords of the
/// server line, doctor's findings, and the status that HAProxy shows.
const SITES: &[(&str, &str, &[&str], &str)] = &[
    ("hdr Host NAME", "sni str(NAME) check-sni NAME", &[], "L7OK"),
    (
        "hdr Host NAME:443",
        "sni str(NAME) check-sni NAME",
        &[],
        "L7OK",
    ),
    (
        "hdr Host OTHER",
        "sni req.hdr(host) check-sni NAME",
        &["check-other-site"],
        "L7STS",
    ),
    (
        "hdr Host OTHER",
        "sni str(NAME) check-sni NAME",
        &["check-other-site"],
        "L7STS",
    ),
    // Visitors' requests also have these two names.
    (
        "hdr Host OTHER\n http-request set-header Host OTHER",
        "sni str(NAME) check-sni NAME",
        &[],
        "L7STS",
    ),
    // Another rule reports this Host, with more detail.
    (
        "hdr Host https://NAME",
        "sni str(NAME) check-sni NAME",
        &["check-other-host"],
        "L7STS",
    ),
];

#[test]
fn doctor_finds_a_check_whose_host_is_not_its_sni_name() {
    let stage = Stage::new();
    let nginx = two_sites(&stage);
    let rows = |_| {
        let row = |(host, words, ids, status): &(
            &str,
            &str,
            &'static [&'static str],
            &'static str,
        )|
         -> Row<'static> {
            let text = format!(
                "option httpchk GET /\n http-check send ver HTTP/1.1 {host}\n \
                 server s 127.0.0.1:PORT ssl verify none {words}"
            );
            (text.leak(), *ids, vec![*status].leak())
        };
        SITES.iter().map(row).collect()
    };
    let fill = |text: &str| {
        text.replace("PORT", &nginx.port.to_string())
            .replace("NAME", NAME)
            .replace("OTHER", OTHER)
    };
    foretells(&stage, &defaults(""), rows, &fill);
    // A run proves that this server refuses the check, and that the second server accepts both names.
    let run = |check: &str| {
        let server = format!("server s 127.0.0.1:{} ssl verify none", nginx.port);
        let backend = format!(
            " option httpchk GET /\n {}",
            check.replace("SERVER", &server)
        );
        json(&["-f", &configure(&stage, PLAIN, &fill(&backend)), "--run"]).0
    };
    for sni in ["sni req.hdr(host)", "sni str(NAME)"] {
        let report = run(&format!(
            "http-check send ver HTTP/1.1 hdr Host OTHER\n SERVER {sni} check check-sni NAME inter 500ms"
        ));
        let refused = finding(&report, "check-other-site");
        assert_eq!(refused["mark"], "problem", "{report:#}");
    }
    let leaf = stage.ca.leaf(&[NAME], 30);
    let easy = Nginx::serve(|folder, port| site((folder, port), "", NAME, (&leaf, &[]), ""));
    let backend = format!(
        " option httpchk GET /\n http-check send ver HTTP/1.1 hdr Host {OTHER}\n \
         server s 127.0.0.1:{} ssl verify none sni str({NAME}) check check-sni {NAME} inter 500ms",
        easy.port
    );
    let config = configure(&stage, PLAIN, &backend);
    assert_eq!(found(&json(&["-f", &config]).0).len(), 1);
    let (report, _) = json(&["-f", &config, "--run"]);
    assert_eq!(found(&report), [], "{report:#}");
}

#[test]
fn doctor_finds_options_of_sni_check_with_two_names_or_no_name() {
    let stage = Stage::new();
    let nginx = two_sites(&stage);
    for (options, id) in [
        (format!("--sni {NAME} --header 'Host: {NAME}'"), ""),
        (
            format!("--sni {NAME} --header 'Host: {OTHER}'"),
            "check-other-site",
        ),
        ("--no-sni".to_owned(), "check-without-host"),
        (format!("--no-sni --header 'Host: {NAME}'"), ""),
    ] {
        let options = format!("{options} --verify none --timeout 900ms");
        let server = format!(
            "127.0.0.1:{} ssl verify none sni req.hdr(host) check inter 1s",
            nginx.port
        );
        let command = env!("CARGO_BIN_EXE_sni-check");
        let config = configure(&stage, PLAIN, &checked(command, &options, &server));
        let (report, _) = json(&["-f", &config]);
        let ids = found(&report).into_iter().map(|(id, _)| id);
        let ids: Vec<String> = ids
            .filter(|id| ["check-other-site", "check-without-host"].contains(&&id[..]))
            .collect();
        let expected: Vec<&str> = [id].into_iter().filter(|id| !id.is_empty()).collect();
        assert_eq!(ids, expected, "{options}: {report:#}");
    }
}

#[test]
fn doctor_finds_a_check_that_speaks_http1_to_a_server_for_http2() {
    let stage = Stage::new();
    let port = wants_http2(&stage.ca.leaf(&[NAME], 30));
    let leaf = stage.ca.leaf(&[NAME], 30);
    let both = Nginx::serve(|folder, port| site((folder, port), "http2", NAME, (&leaf, &[]), ""));
    let rows = |_| {
        const SENT: &str =
            "option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME";
        let row = |check: &str, words: &str, ids, status| -> Row<'static> {
            let text = format!("{check}\n server s 127.0.0.1:{words} ssl verify none");
            (text.leak(), ids, status)
        };
        vec![
            row(
                SENT,
                "ONLY alpn h2 check-alpn http/1.1",
                &["check-other-http"][..],
                &["L6RSP"][..],
            ),
            row(
                "",
                "ONLY alpn h2 check-alpn http/1.1",
                &["check-other-http"],
                &["L6RSP"],
            ),
            row("", "ONLY alpn h2 check-alpn h2", &[], &["L6OK"]),
            row(
                SENT,
                "BOTH alpn h2,http/1.1 check-alpn http/1.1",
                &[],
                &["L7OK"],
            ),
            row(SENT, "BOTH alpn h2 check-alpn h2", &[], &["L7OK"]),
            // HAProxy doesn't apply the check-proto of default-server to the servers.
            row(
                &format!("{SENT}\n default-server check-proto h2"),
                "BOTH",
                &["check-proto"],
                &["L7OK"],
            ),
        ]
    };
    let fill = |text: &str| {
        text.replace("ONLY", &port.to_string())
            .replace("BOTH", &both.port.to_string())
            .replace("NAME", NAME)
    };
    foretells(&stage, &defaults(""), rows, &fill);
}

/// HTTP1 is a server that doesn't accept HTTP/2. HAProxy doesn't apply the `check-proto` of default-server
/// to the servers. If the check has a connect rule without `default`, HAProxy doesn't offer check-alpn.
#[test]
fn doctor_finds_a_check_that_offers_only_http2() {
    const SENT: &str =
        "option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME\n";
    const NONE: &[&str] = &[];
    const FOUND: &[&str] = &["check-other-http"];
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&[NAME], 30);
    let both = Nginx::serve(|folder, port| site((folder, port), "http2", NAME, (&leaf, &[]), ""));
    let rows = |is_new| {
        let row = |check: &str, server: &str, ids, status| -> Row<'static> {
            let text = format!("{check} server s 127.0.0.1:{server} check-sni NAME");
            (text.leak(), ids, status)
        };
        let http = |rules: &str| SENT.replace("httpchk\n", &format!("httpchk\n{rules}\n"));
        let refused: &[&str] = &["L6RSP"];
        let up: &[&str] = &["L7OK"];
        let in_default = http(" default-server check-proto h2");
        let by_rule = " http-check connect ssl sni NAME";
        let spoken: &[&str] = if is_new {
            &["L7OK"]
        } else {
            &["L7TOUT", "SOCKERR"]
        };
        vec![
            row(SENT, "HTTP1 TLS check-alpn h2", FOUND, refused),
            row("", "HTTP1 TLS check-alpn h2", FOUND, refused),
            row(
                " mode tcp\n",
                "HTTP1 check-ssl verify none check-alpn h2",
                FOUND,
                refused,
            ),
            row(SENT, "HTTP1 TLS check-alpn http/1.1", NONE, up),
            row(
                SENT,
                "HTTP1 TLS alpn h2,http/1.1 check-alpn h2",
                FOUND,
                refused,
            ),
            row(
                SENT,
                "HTTP1 TLS alpn h2,http/1.1 check-alpn h2,http/1.1",
                NONE,
                up,
            ),
            row(
                &http(&format!("{by_rule} alpn h2")),
                "HTTP1 TLS",
                FOUND,
                refused,
            ),
            row(&http(by_rule), "HTTP1 TLS check-alpn h2", NONE, up),
            row(
                &http(by_rule),
                "BOTH TLS alpn h2 check-alpn http/1.1",
                NONE,
                up,
            ),
            row(&in_default, "HTTP1 TLS", &["check-proto"], up),
            row(
                SENT,
                "BOTH TLS alpn h2 check-alpn h2 check-proto h2",
                if is_new { NONE } else { &["check-proto"] },
                spoken,
            ),
        ]
    };
    let fill = |text: &str| {
        text.replace("HTTP1", &stage.nginx().port.to_string())
            .replace("BOTH", &both.port.to_string())
            .replace("TLS", "ssl verify none sni str(NAME)")
            .replace("NAME", NAME)
    };
    foretells(&stage, &defaults(""), rows, &fill);
}

/// A check is UP only if all its connections succeed, but visitors need only one of them.
#[test]
fn doctor_finds_a_check_that_also_connects_to_another_port() {
    let (stage, health, dead) = (Stage::new(), Nginx::plain(), dead_port());
    let rows = |_| {
        let row = |port: u16, status| -> Row<'static> {
            let asked = format!(
                " http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}\n http-check expect status 200\n"
            );
            let text = format!(
                "option httpchk\n http-check connect port {port}\n{asked} http-check connect ssl sni {NAME}\n{asked} \
                 server s 127.0.0.1:PORT ssl verify none sni str({NAME})"
            );
            (text.leak(), &["check-other-port"], status)
        };
        vec![row(health.port, &["L7OK"]), row(dead, &["L4CON"])]
    };
    let fill = |text: &str| text.replace("PORT", &stage.nginx().port.to_string());
    foretells(&stage, &defaults(""), rows, &fill);
}

/// Each row has the page and the expectation of a check, doctor's finding, and what HAProxy shows for a
/// server that answers 200.
const EXPECTATIONS: &[(&str, &str, &str, &str)] = &[
    ("/", "status 404", "expects-refusal", "L7STS"),
    ("/", "! status 200", "expects-refusal", "L7STS"),
    ("/", "rstatus [45]..", "expects-refusal", "L7STS"),
    ("/healthz", "status 503", "expects-refusal", "L7STS"),
    ("/healthz", "! rstatus ^4", "expects-refusal", "L7OK"),
    ("/healthz", "rstatus ^[2345]", "expects-refusal", "L7OK"),
    ("/", "! rstatus ^5", "", "L7OK"),
    ("/", "status 200-399", "", "L7OK"),
    ("/", "status 200,401,403", "", "L7OK"),
    ("/healthz", "status 200,429,473,503", "", "L7OK"),
    ("/healthz", "status 401", "", "L7STS"),
    ("/healthz", "status 404", "", "L7STS"),
    ("/", "status 301,302", "", "L7STS"),
    ("/", "string good", "", "L7OK"),
    ("/", "hdr name X-None", "", "L7STS"),
];

#[test]
fn doctor_finds_expectations_that_errors_meet() {
    let stage = Stage::new();
    let nginx =
        Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; return 200 good; }}"));
    let rows = |_| {
        let row = |(page, expect, id, status): &(&str, &str, &'static str, &'static str)| -> Row<'static> {
            let text = format!(
                "option httpchk\n http-check send meth GET uri {page} hdr Host a.test\n \
                 http-check expect {expect}\n server s 127.0.0.1:PORT"
            );
            let ids: Vec<&str> = [*id].into_iter().filter(|id| !id.is_empty()).collect();
            (text.leak(), ids.leak(), vec![*status].leak())
        };
        EXPECTATIONS.iter().map(row).collect()
    };
    foretells(&stage, &defaults(""), rows, &|text| {
        text.replace("PORT", &nginx.port.to_string())
    });
}

#[test]
fn doctor_names_the_line_that_haproxy_refuses() {
    let stage = Stage::new();
    for (lines, place) in [
        (" server s 127.0.0.1:PORT frobnicate", "frobnicate"),
        (
            " option httpchk GET /\n server s 127.0.0.1 check",
            "server s",
        ),
        (" server s 127.0.0.1:PORT ssl", "server s"),
        (
            " option httpchk GET /\n http-check send hdr Host \"\"\n server s 127.0.0.1:PORT",
            "hdr Host",
        ),
        (
            " use-server x if TRUE\n server s 127.0.0.1:PORT",
            "backend b",
        ),
        (" server s 127.0.0.1:PORT check track b/none", "track"),
    ] {
        let config = configure(&stage, PLAIN, lines);
        refuses(&config);
        let (report, _) = json(&["-f", &config]);
        let refused = finding(&report, "refused");
        let text = std::fs::read_to_string(&config).expect("a file");
        let line = refused["line"].as_u64().unwrap_or_default() as usize;
        let named = text.lines().nth(line.wrapping_sub(1)).unwrap_or_default();
        assert!(named.contains(place), "{lines}: {refused:#}");
        // doctor's line must not have both the empty Host and the right Host.
        for found in report["findings"].as_array().expect("findings") {
            assert!(
                found["write"]
                    .as_str()
                    .expect("text")
                    .matches("hdr Host")
                    .count()
                    < 2
            );
        }
    }
    let config = configure(&stage, PLAIN, " server s 127.0.0.1:PORT");
    let text = std::fs::read_to_string(&config).expect("a file");
    let config = stage.folder.file(
        "haproxy.cfg",
        &text.replace("default_backend b", "default_backend none"),
    );
    refuses(&config);
    let (report, _) = json(&["-f", &config]);
    let refused = finding(&report, "refused");
    assert_eq!(
        refused["line"].is_null(),
        !refused["write"].to_string().contains("that line"),
        "{refused:#}"
    );
}
