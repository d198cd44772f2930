//! `sni-check diagnose` for backends that inherit their check from `defaults`. If a backend has an http-check
//! line, HAProxy ignores all http-check lines of its `defaults`, and the request of their `option httpchk`.

use std::io::{Read, Write};

use serde_json::Value;

use crate::repairs::{Broken, own};
use crate::support::check::{BINARY, run_by_hand};
use crate::support::haproxy::with_every_haproxy;
use crate::support::nginx::{Nginx, site};
use crate::support::peer;
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port};

/// The page that the check asks for. It is the only page with the text "Active".
const PAGE: &str = "/requests";

/// Returns the server line of the backend that [`own`] returns.
fn server_line(stage: &Stage, end: &str) -> String {
    let backend = own(stage, "/", end);
    let line = backend.lines().last();
    line.expect("a line").to_owned()
}

#[test]
fn a_printed_expectation_comes_with_the_whole_request_of_defaults() {
    let stage = Stage::new();
    let check_sni = format!("check-sni {NAME}");
    let backend = server_line(&stage, &check_sni);
    let option = format!("    option httpchk GET {PAGE} HTTP/1.1\n");
    let host = format!("    http-check send hdr Host {NAME}\n");
    let whole = format!("    http-check send meth GET uri {PAGE} ver HTTP/1.1 hdr Host {NAME}\n");
    let bare = "    option httpchk\n".to_owned();
    let old = format!("    option httpchk GET {PAGE}\n");
    for (request, repeats) in [(option + &host, true), (old, false), (bare + &whole, false)] {
        let defaults = format!("{request}    http-check expect string ACTIVE\n");
        let broken = Broken::with_defaults(&stage, "", &defaults, &backend);
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        let in_backend = fixed.split_once("backend be").expect("a backend").1;
        assert_eq!(in_backend.contains("option httpchk"), repeats, "{fixed}");
    }
}

#[test]
fn a_wrong_source_in_defaults_is_removed_from_defaults() {
    let stage = Stage::new();
    let server = Nginx::serve(|folder, port| {
        let more = "allow 127.0.0.1; deny all;";
        site((folder, port), "", NAME, (&stage.leaf, &[]), more)
    });
    let backend = own(&stage, PAGE, &format!("check-sni {NAME}"));
    let port = stage.nginx().port.to_string();
    let backend = backend.replace(&port, &server.port.to_string());
    let broken = Broken::with_defaults(&stage, "", "    source 127.0.0.9\n", &backend);
    let fixed = broken.assert_repaired_by(&broken.diagnose());
    assert!(!fixed.contains("source"), "{fixed}");
}

#[test]
fn the_request_of_defaults_is_restored_if_lines_of_the_backend_replace_it() {
    let stage = Stage::new();
    let option = format!("    option httpchk GET {PAGE} HTTP/1.1\n");
    let defaults = format!("{option}    http-check send hdr Host {NAME}\n");
    let request = format!("http-check send meth GET uri {PAGE} ver HTTP/1.1 hdr Host {NAME}\n");
    let good = format!("check-sni {NAME}");
    for (lines, end) in [
        ("http-check expect string Active", &*good),
        // These two cases have a second fault, which only sni-check or only HAProxy finds.
        ("http-check expect string Active", ""),
        (
            "http-check expect string Active",
            &format!("{good} port {}", dead_port()),
        ),
        // In these two cases, the lines replace only a part of the request.
        ("option httpchk\n    http-check expect string Active", &good),
        (
            &format!("http-check send hdr Host {NAME}\n    http-check expect string Active"),
            &good,
        ),
    ] {
        let backend = format!("    {lines}\n{}", server_line(&stage, end));
        let broken = Broken::with_defaults(&stage, "", &defaults, &backend);
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        assert!(fixed.contains(&request), "{server:#}");
    }
}

/// A `defaults` section may replace the request of the section that it inherits from (`defaults NAME from
/// NAME`).
#[test]
fn the_request_of_defaults_is_restored_if_later_defaults_replace_it() {
    let stage = Stage::new();
    let server = Nginx::serve(|folder, port| {
        let more = "if ($http_x_key != good) { return 403; }";
        site((folder, port), "", NAME, (&stage.leaf, &[]), more)
    });
    let port = stage.nginx().port.to_string();
    let line = server_line(&stage, &format!("check-sni {NAME}"));
    let line = line.replace(&port, &server.port.to_string());
    let request = format!(
        "http-check send meth GET uri {PAGE} ver HTTP/1.1 hdr Host {NAME} hdr X-Key good\n"
    );
    for (second, third, backend) in [
        ("http-check expect status 200", "", ""),
        (
            &*format!("option httpchk GET {PAGE}"),
            "",
            "http-check expect status 200",
        ),
        (
            &format!("http-check send hdr Host {NAME}"),
            "http-check expect status 200",
            "",
        ),
    ] {
        let defaults = format!(
            "    option httpchk\n    {request}defaults second from first\n    {second}\n\
             defaults third from second\n    {third}\n"
        );
        let broken = Broken::with_defaults(&stage, "", &defaults, "");
        let text = broken.text().replace("\ndefaults\n", "\ndefaults first\n");
        let text = text.replace(
            "backend be\n",
            &format!("backend be from third\n    {backend}\n{line}"),
        );
        let broken = Broken::of_text(&stage, text);
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        let in_backend = fixed.split_once("backend be").expect("a backend").1;
        let words = [
            &format!("uri {PAGE} "),
            &format!("hdr Host {NAME}"),
            "hdr X-Key good",
        ];
        for word in words {
            assert!(in_backend.contains(word), "{server:#}\n{fixed}");
        }
    }
}

#[test]
fn a_check_without_a_request_is_reported_down_if_no_haproxy_runs() {
    let stage = Stage::new();
    let backend = server_line(&stage, &format!("check-sni {NAME}"));
    let backend = format!("    http-check expect status 200\n{backend}");
    let defaults = "    option httpchk\n";
    for name in [&[][..], &["be/s1"]] {
        let broken = Broken::with_defaults(&stage, "", defaults, &backend);
        let words = [&["diagnose", "--json", "-f", &broken.file][..], name].concat();
        let output = run_by_hand(&words);
        let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
        let server = &report["servers"][0];
        assert_eq!(server["state"], "DOWN", "{report:#}");
        assert!(
            server["why"].to_string().contains("sends no request"),
            "{report:#}"
        );
        broken.assert_repaired_by(server);
    }
}

#[test]
fn the_lines_of_defaults_keep_their_variables() {
    let stage = Stage::new();
    let server_line = server_line(&stage, &format!("check-sni {NAME}"));
    let option = format!("    option httpchk GET {PAGE} HTTP/1.1\n");
    let send = format!("    http-check send hdr Host {NAME} hdr X-Token \"${{TOKEN}}\"\n");
    let wrong = "    http-check expect string ACTIVE\n";
    let right = "    http-check expect string Active\n";
    for (defaults, backend) in [
        (format!("{option}{send}{wrong}"), server_line.clone()),
        (format!("{option}{send}"), format!("{right}{server_line}")),
    ] {
        let broken =
            Broken::with_defaults(&stage, "setenv TOKEN not-for-screens", &defaults, &backend);
        let server = broken.diagnose();
        let diff = server["diff"].to_string();
        assert!(diff.contains("hdr X-Token \\\"${TOKEN}\\\""), "{server:#}");
        assert!(!diff.contains("not-for-screens"), "{server:#}");
        broken.assert_repaired_by(&server);
    }
}

/// The value of a variable may contain secrets, so the report must not show it, even if the value is several
/// options.
#[test]
fn a_variable_with_several_options_keeps_its_name() {
    let stage = Stage::new();
    let server_line = server_line(&stage, "");
    let secret = "--header 'X-Token: not-for-screens' --timeout 1500ms";
    for (options, path, is_repaired) in [
        (
            secret.to_owned(),
            format!("--sni wrong.test {} ${{OPTS}}", stage.trust),
            true,
        ),
        // The option that has to change is in the variable, and not in the line.
        (
            format!("--sni wrong.test {secret}"),
            format!("{} ${{OPTS}}", stage.trust),
            false,
        ),
    ] {
        let backend = format!(
            "    option external-check\n    external-check command {BINARY}\n    \
             external-check path \"{path}\"\n{server_line}"
        );
        let global = format!("external-check\n insecure-fork-wanted\n setenv OPTS \"{options}\"");
        let broken = Broken::with_defaults(&stage, &global, "", &backend);
        let server = broken.diagnose();
        let report = server.to_string();
        assert!(!report.contains("not-for-screens"), "{server:#}");
        assert_eq!(server["diff"].is_array(), is_repaired, "{server:#}");
        if is_repaired {
            assert!(report.contains("${OPTS}"), "{server:#}");
            broken.assert_repaired_by(&server);
        }
    }
}

/// HAProxy 3.0 and later refuse headers in `option httpchk`.
#[test]
fn an_option_httpchk_with_headers_becomes_http_check_send() {
    with_every_haproxy(|version| {
        if version.number.starts_with("2.") {
            return;
        }
        let stage = Stage::new();
        let option = format!("    option httpchk GET {PAGE} HTTP/1.1\\r\\nHost:\\ {NAME}\n");
        let send = format!("    http-check send meth GET uri {PAGE} ver HTTP/1.1 hdr Host {NAME}");
        let line = server_line(&stage, &format!("check-sni {NAME}"));
        let wrong = server_line(&stage, "check-sni old.test");
        for (defaults, backend) in [
            (
                "",
                format!("{option}    http-check expect string Active\n{line}"),
            ),
            ("", format!("{option}{wrong}")),
            (option.as_str(), line),
        ] {
            let broken = Broken::with_defaults(&stage, "", defaults, &backend);
            let program = version.program.display().to_string();
            let words = [
                "diagnose",
                "--json",
                "--haproxy",
                &program,
                "-f",
                &broken.file,
            ];
            let report: Value =
                serde_json::from_slice(&run_by_hand(&words).stdout).expect("an object");
            let server = &report["servers"][0];
            assert_eq!(server["state"], "DOWN", "{report:#}");
            assert_eq!(
                server["diff_tried"], "tried: check UP, visitors get 200",
                "{report:#}"
            );
            let new = server["diff"].as_array().expect("a diff").iter();
            let new: Vec<&str> = new.filter_map(|hunk| hunk["new"].as_str()).collect();
            assert!(new.contains(&"    option httpchk"), "{new:?}");
            assert!(new.contains(&send.as_str()), "{new:?}");
        }
    });
}

/// A section in `mode tcp` inherits the http-check of the web servers.
#[test]
fn a_server_that_speaks_no_http_gets_option_tcp_check_in_its_own_section() {
    let stage = Stage::new();
    let port = peer::redis(&stage.leaf);
    let web = stage.nginx().port.to_string();
    let redis = server_line(&stage, &format!("check-sni {NAME}")).replace(&web, &port.to_string());
    let request = format!("    option httpchk GET {PAGE}\n    http-check send hdr Host {NAME}\n");
    for (defaults, own) in [(request.as_str(), ""), ("", "    option httpchk\n")] {
        let backend = format!("    mode tcp\n{own}{redis}");
        let broken = Broken::with_defaults(&stage, "", defaults, &backend);
        let fixed = broken.assert_repaired_by(&broken.diagnose());
        let in_backend = fixed.split_once("backend be").expect("a backend").1;
        assert!(in_backend.contains("option tcp-check"), "{fixed}");
    }
    // Another server passes the http-check of this section, so the kind of check stays.
    let other = server_line(&stage, &format!("check-sni {NAME}")).replace(" s1 ", " s2 ");
    let backend = format!("    mode tcp\n{request}{redis}\n{other}");
    let server = Broken::new(&stage, "", &backend).diagnose();
    assert!(server["diff"].is_null(), "{server:#}");
    let reason = server["diff_reason"].to_string();
    assert!(reason.contains("present kind of check"), "{reason}");
}

/// A backend with a plain-text server inherits the external check of the HTTPS servers.
#[test]
fn an_external_check_of_a_plain_server_becomes_haproxys_own_check() {
    let stage = Stage::new();
    let port = peer::tcp(|mut stream| {
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap_or(0);
        if request[..length].starts_with(b"GET /hc ") {
            _ = stream.write_all(peer::OK.as_bytes());
        }
    });
    let check = format!(
        "    option external-check\n    external-check command {BINARY}\n    external-check path \"--sni {NAME} \
         --ca-file {} --timeout 900ms --uri /hc\"\n",
        stage.ca_file
    );
    let line = format!("    server s1 127.0.0.1:{port} check inter 2s");
    for (defaults, own) in [(check.as_str(), ""), ("", check.as_str())] {
        let global = "external-check\n    insecure-fork-wanted";
        let broken = Broken::with_defaults(&stage, global, defaults, &format!("{own}{line}"));
        let fixed = broken.assert_repaired_by(&broken.diagnose());
        assert!(
            fixed.contains("http-check send meth GET uri /hc"),
            "{fixed}"
        );
    }
}
