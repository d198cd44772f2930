//! `sni-check diagnose` for a haproxy.cfg with settings that don't mean what the operator intended, or with
//! several faults at once. The tests apply the printed diff, as an operator would.

use std::fs;

use serde_json::Value;

use crate::support::check::{BINARY, run_by_hand, stderr, stdout};
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::nginx::{Nginx, site};
use crate::support::peer;
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port};

/// A configuration with one backend. Its server `s1` is DOWN.
pub struct Broken {
    text: String,
    pub file: String,
}

impl Broken {
    /// Writes a configuration with the lines `global` in its `global` section, and the lines `backend` in its
    /// backend.
    pub fn new(stage: &Stage, global: &str, backend: &str) -> Broken {
        Broken::with_defaults(stage, global, "", backend)
    }

    /// Writes a configuration that also has the lines `more` in its defaults.
    pub fn with_defaults(stage: &Stage, global: &str, more: &str, backend: &str) -> Broken {
        let socket = stage.folder.join("admin.sock");
        let text = format!(
            "global\n    {global}\n    stats socket {socket} level admin\ndefaults\n    mode http\n    \
             timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n{more}backend be\n{backend}\n"
        );
        Broken::of_text(stage, text)
    }

    /// Writes this configuration.
    pub fn of_text(stage: &Stage, text: String) -> Broken {
        let file = stage.folder.file("haproxy.cfg", &text);
        Broken { text, file }
    }

    /// Returns the configuration.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Runs HAProxy with the file, and returns what diagnose says about the server.
    pub fn diagnose(&self) -> Value {
        let haproxy = Haproxy::start(Mode::Single, &self.file, &[]);
        assert_eq!(
            haproxy.wait_for_check("be", "s1").status,
            "DOWN",
            "{}",
            self.text
        );
        let output = run_by_hand(&["diagnose", "--json", "-f", &self.file, "be/s1"]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
        report["servers"][0].clone()
    }

    /// Applies the diff in a report, and asserts that HAProxy then reports the server UP. Returns the new
    /// text of the file.
    pub fn assert_repaired_by(&self, server: &Value) -> String {
        let mut lines: Vec<Vec<&str>> = self.text.lines().map(|line| vec![line]).collect();
        let hunks = server["diff"].as_array();
        for hunk in hunks.unwrap_or_else(|| panic!("no diff: {server:#}\n{}", self.text)) {
            let line = hunk["line"].as_u64().expect("a number");
            let line = &mut lines[usize::try_from(line).expect("a line") - 1];
            if hunk["old"].is_string() {
                assert_eq!(hunk["old"], line.remove(0));
                line.splice(0..0, hunk["new"].as_str());
            } else {
                line.extend(hunk["new"].as_str());
            }
        }
        let text = lines.concat().join("\n") + "\n";
        fs::write(&self.file, &text).expect("written");
        let haproxy = Haproxy::start(Mode::Single, &self.file, &[]);
        let status = haproxy.wait_for_check("be", "s1").status;
        assert_eq!(status, "UP", "{server:#}\n{text}");
        text
    }
}

/// Returns the lines of a backend with HAProxy's own check, which requests `uri`. `end` is the end of the
/// server line.
pub fn own(stage: &Stage, uri: &str, end: &str) -> String {
    let (ca, port) = (&stage.ca_file, stage.nginx().port);
    format!(
        "    option httpchk\n    http-check send meth GET uri {uri} ver HTTP/1.1 hdr Host {NAME}\n    server s1 \
         127.0.0.1:{port} ssl verify required ca-file {ca} sni str({NAME}) check inter 500ms {end}"
    )
}

/// Returns the lines of a backend with sni-check as an external check. In the options, `CA` stands for the CA
/// file.
pub fn external(stage: &Stage, options: &str) -> String {
    let (ca, port) = (&stage.ca_file, stage.nginx().port);
    let options = options.replace("CA", ca);
    format!(
        "    option external-check\n    external-check command {BINARY}\n    external-check path \"{options}\"\n    \
         server s1 127.0.0.1:{port} ssl verify required ca-file {ca} sni str({NAME}) check inter 1s"
    )
}

const EXTERNAL: &str = "external-check\n    insecure-fork-wanted";

#[test]
fn a_name_that_haproxy_sends_literally_becomes_the_name_that_the_operator_meant() {
    let stage = Stage::new();
    let site = format!("setenv SITE {NAME}");
    for text in ["str(NAME)", "https://NAME/", "NAME:443", "NAME.", "${SITE}"] {
        let end = format!("check-sni {}", text.replace("NAME", NAME));
        let broken = Broken::new(&stage, &site, &own(&stage, "/", &end));
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        assert!(fixed.contains(&format!("check-sni {NAME}\n")), "{fixed}");
        assert!(fixed.contains(&format!("sni str({NAME})")), "{fixed}");
    }
}

/// nginx refuses the URI `*` for both methods. The URI is valid only for OPTIONS.
#[test]
fn a_request_for_the_whole_server_becomes_a_request_for_a_page() {
    let stage = Stage::new();
    for method in ["OPTIONS", "GET"] {
        let backend = own(&stage, "*", &format!("check-sni {NAME}"));
        let backend = backend.replace("meth GET", &format!("meth {method}"));
        let broken = Broken::new(&stage, "", &backend);
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        assert!(fixed.contains("meth GET uri / "), "{server:#}");
    }
}

#[test]
fn a_path_gets_its_leading_slash_and_options_get_an_sni_name() {
    let stage = Stage::new();
    let check_sni = format!("check-sni {NAME}");
    let broken = Broken::new(&stage, "", &own(&stage, "missing", &check_sni));
    let fixed = broken.assert_repaired_by(&broken.diagnose());
    // The page /missing doesn't exist, so the slash alone isn't enough.
    assert!(fixed.contains("uri / ver"), "{fixed}");
    let host = format!("--ca-file CA --header 'Host: {NAME}'");
    let literal = format!("--ca-file CA --sni 'str({NAME})'");
    for options in ["--ca-file CA", &host, &literal] {
        let broken = Broken::new(&stage, EXTERNAL, &external(&stage, options));
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        assert!(fixed.contains(&format!("--sni {NAME}")), "{server:#}");
    }
}

#[test]
fn a_wrong_external_check_command_is_reported_as_the_cause() {
    let stage = Stage::new();
    let options = format!("--ca-file CA --sni {NAME}");
    let text = external(&stage, &options);
    let broken = Broken::new(&stage, EXTERNAL, &text.replace(BINARY, "/bin/false"));
    let server = broken.diagnose();
    assert!(
        server["why"].to_string().contains("/bin/false"),
        "{server:#}"
    );
    assert_eq!(server["code"], 1, "{server:#}");
    broken.assert_repaired_by(&server);
    let broken = Broken::new(
        &stage,
        EXTERNAL,
        &text.replace(BINARY, "/nowhere/sni-check"),
    );
    let server = broken.diagnose();
    let why = server["not_diagnosed"].as_str().expect("a reason");
    assert_eq!(
        why,
        "external-check command /nowhere/sni-check does not exist"
    );
    assert_eq!(server["code"], 2, "{server:#}");
}

#[test]
fn two_faults_are_repaired_although_sni_check_sees_only_one() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|folder, port| {
        let versions = "ssl_protocols TLSv1.2;";
        let leaf = (&stage.leaf, &[][..]);
        site((folder, port), "", NAME, leaf, versions)
    });
    let text = |end: &str| {
        own(&stage, "/", end).replace(&stage.nginx().port.to_string(), &nginx.port.to_string())
    };
    let without_host = |end: &str| text(end).replace(&format!(" hdr Host {NAME}"), "");
    let good = format!("check-sni {NAME}");
    let wrong = "check-sni ww.example.test";
    let options = "ssl-default-server-options ssl-min-ver TLSv1.3";
    for (global, backend, removed) in [
        ("", text(&format!("{wrong} check-alpn h2")), "check-alpn"),
        ("", text(&format!("{wrong} ciphers AES128-SHA")), "ciphers"),
        (
            "",
            without_host(&format!("{good} check-alpn h2")),
            "check-alpn",
        ),
        (options, text(wrong), options),
    ] {
        let broken = Broken::new(&stage, global, &backend);
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        match global {
            "" => assert!(!fixed.contains(removed), "{server:#}"),
            // The line in the `global` section stays, because other servers may need it.
            _ => assert!(fixed.contains("ssl-min-ver TLSv1.2"), "{server:#}"),
        }
        assert!(fixed.contains(&good), "{server:#}");
        // Visitors' connections already send the right name.
        assert_eq!(
            fixed.matches(&format!("sni str({NAME})")).count(),
            1,
            "{fixed}"
        );
    }
}

#[test]
fn a_check_of_a_port_without_tls_is_moved_to_the_port_of_visitors() {
    let stage = Stage::new();
    let plain = Nginx::plain();
    let port = plain.port;
    let rule = format!("    http-check connect port {port} ssl sni {NAME}\n    http-check send");
    let options = format!("--sni {NAME} --ca-file CA --port {port}");
    for (global, backend) in [
        (
            "",
            own(
                &stage,
                "/",
                &format!("check-sni {NAME} port {port} check-ssl"),
            ),
        ),
        (
            "",
            own(&stage, "/", "").replace("    http-check send", &rule),
        ),
        (EXTERNAL, external(&stage, &options)),
    ] {
        let broken = Broken::new(&stage, global, &backend);
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        assert!(!fixed.contains(&port.to_string()), "{server:#}");
        assert!(
            fixed.contains(&format!("sni str({NAME}) check")),
            "{server:#}"
        );
    }
}

#[test]
fn a_check_without_tls_gets_the_keywords_for_tls() {
    let stage = Stage::new();
    let (ca, port) = (&stage.ca_file, stage.nginx().port);
    let check_sni = format!("check-sni {NAME}");
    let connect = "    http-check connect\n    http-check send";
    let without_ssl = own(&stage, "/", "");
    let words = format!("ssl verify required ca-file {ca} sni str({NAME}) ");
    let without_ssl = without_ssl.replace(&words, "");
    let other = format!("\n    server s2 127.0.0.1:{port} {words}");
    for (backend, word) in [
        (
            own(&stage, "/", &format!("{check_sni} no-check-ssl")),
            &*check_sni,
        ),
        (
            own(&stage, "/", &format!("{check_sni} port {port}")),
            "check-ssl",
        ),
        (
            own(&stage, "/", &format!("port {port}")),
            "check-ssl check-sni",
        ),
        (
            own(&stage, "/missing", "").replace("    http-check send", connect),
            "connect ssl sni",
        ),
        (without_ssl + &other, "check inter 500ms ssl"),
    ] {
        let broken = Broken::new(&stage, "", &backend);
        let server = broken.diagnose();
        let fixed = broken.assert_repaired_by(&server);
        assert!(
            fixed.contains(word) && !fixed.contains("no-check-ssl"),
            "{server:#}"
        );
    }
}

#[test]
fn a_check_without_tls_of_a_server_without_tls_is_not_changed() {
    let stage = Stage::new();
    let server = Nginx::plain();
    let own = own(&stage, "/missing", &format!("port {}", server.port));
    let broken = Broken::new(&stage, "", &own);
    let server = broken.diagnose();
    assert!(server["diff"].is_null(), "{server:#}");
    let why = server["not_diagnosed"].as_str().expect("a reason");
    assert!(why.contains("only looks at TLS"), "{why}");
}

#[test]
fn one_setting_that_only_haproxy_has_is_repaired() {
    let stage = Stage::new();
    let good = format!("check-sni {NAME}");
    let dead = format!("{good} socks4 127.0.0.1:{} check-via-socks4", dead_port());
    let page = own(&stage, "/missing", &good).replace("uri /missing", "uri-lf /missing");
    let verified = own(&stage, "/", "verifyhost old.example.test");
    let verified = verified.replace(&format!(" sni str({NAME})"), "");
    let site = Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), ""));
    let ports = [stage.nginx().port, site.port].map(|port| port.to_string());
    let verified = verified.replace(&ports[0], &ports[1]);
    for (backend, reason) in [
        (own(&stage, "/", &dead), "SOCKS4"),
        (page, ""),
        (verified, "HAProxy compares the certificate with verifyhost"),
    ] {
        let broken = Broken::new(&stage, "", &backend);
        let server = broken.diagnose();
        broken.assert_repaired_by(&server);
        let said = server["diff_reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{server:#}");
    }
}

#[test]
fn a_drained_server_is_not_reported_up() {
    let stage = Stage::new();
    let backend = own(&stage, "/", &format!("check-sni {NAME}"));
    let broken = Broken::new(&stage, "", &backend);
    let haproxy = Haproxy::start(Mode::Single, &broken.file, &[]);
    haproxy.wait_for_check("be", "s1");
    haproxy.ask("set server be/s1 state drain");
    let text = stdout(&run_by_hand(&["diagnose", "-f", &broken.file, "be/s1"]));
    assert!(text.starts_with("DRAIN 0 L7OK"), "{text}");
    assert!(text.contains("set server be/s1 state ready"), "{text}");
}

#[test]
fn an_unreadable_line_is_named_with_its_place() {
    let stage = Stage::new();
    let backend = external(&stage, "--expect 'rstring ready$' --ca-file CA");
    let broken = Broken::new(&stage, EXTERNAL, &backend);
    let output = run_by_hand(&["diagnose", "-f", &broken.file, "be/s1"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(
        text.contains("haproxy.cfg:13") && text.contains("write \\$"),
        "{text}"
    );
}

#[test]
fn variables_in_addresses_need_no_quotes() {
    let stage = Stage::new();
    let global = format!(
        "setenv IP 127.0.0.1\n    setenv PORT {}",
        stage.nginx().port
    );
    let text = own(&stage, "/", "");
    let address = format!("127.0.0.1:{}", stage.nginx().port);
    let connect = "    http-check connect addr ${IP} ssl\n    http-check send";
    for (backend, kept) in [
        (text.replace(&address, "${IP}:$PORT"), " ${IP}:$PORT "),
        (
            text.replace(&address, "'${IP}':\"$PORT\""),
            " '${IP}':\"$PORT\" ",
        ),
        (text.clone() + "addr ${IP}:${PORT}", " addr ${IP}:${PORT}"),
        (text.replace("    http-check send", connect), " addr ${IP} "),
    ] {
        let broken = Broken::new(&stage, &global, &backend);
        let fixed = broken.assert_repaired_by(&broken.diagnose());
        assert!(fixed.contains(kept), "{fixed}");
    }
}

#[test]
fn a_check_without_tls_of_a_server_that_needs_a_name_gets_tls_and_the_name() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let backend = format!(
        "    mode tcp\n    option httpchk GET /\n    server s1 127.0.0.1:{port} check inter 500ms verify none\n\
         frontend fe\n    mode tcp\n    bind :{}\n    use_backend be if {{ req.ssl_sni -i {NAME} }}",
        dead_port()
    );
    let broken = Broken::new(&stage, "", &backend);
    let fixed = broken.assert_repaired_by(&broken.diagnose());
    assert!(
        fixed.contains(&format!("check-sni {NAME} check-ssl")),
        "{fixed}"
    );
}

#[test]
fn the_loopback_address_on_which_the_service_listens_is_found() {
    let stage = Stage::new();
    let check_sni = format!("check-sni {NAME}");
    let own = own(&stage, "/", &check_sni);
    let options = format!("--ca-file CA --sni {NAME}");
    for (global, backend) in [("", own), (EXTERNAL, external(&stage, &options))] {
        let backend = backend.replace("s1 127.0.0.1:", "s1 [::1]:");
        let broken = Broken::new(&stage, global, &backend);
        let fixed = broken.assert_repaired_by(&broken.diagnose());
        assert!(fixed.contains("server s1 127.0.0.1:"), "{fixed}");
    }
}

#[test]
fn ssl_hello_chk_inside_of_tls_is_replaced_by_tcp_check() {
    let stage = Stage::new();
    for (words, defaults) in [("", ""), ("check-sni NAME", "    option ssl-hello-chk\n")] {
        let backend = own(&stage, "/", &words.replace("NAME", NAME));
        let (_, line) = backend.rsplit_once('\n').expect("a server line");
        let option = if defaults.is_empty() {
            "    option ssl-hello-chk\n"
        } else {
            ""
        };
        let lines = option.to_owned() + line;
        let broken = Broken::with_defaults(&stage, "", defaults, &lines);
        let fixed = broken.assert_repaired_by(&broken.diagnose());
        assert!(fixed.contains("    option tcp-check\n"), "{fixed}");
        assert!(fixed.contains(&format!("check-sni {NAME}")), "{fixed}");
    }
}

#[test]
fn a_check_of_another_protocol_gets_tls() {
    let stage = Stage::new();
    let redis = peer::redis(&stage.leaf);
    let backend = format!(
        "    mode tcp\n    option redis-check\n    server s1 127.0.0.1:{redis} check inter 500ms verify none"
    );
    let broken = Broken::new(&stage, "", &backend);
    let server = broken.diagnose();
    let fixed = broken.assert_repaired_by(&server);
    assert!(fixed.ends_with("verify none check-ssl\n"), "{fixed}");
    let why = server["why"].to_string();
    assert!(
        why.contains("It needs check-ssl on the server line"),
        "{why}"
    );
}

#[test]
fn an_sni_that_haproxy_refuses_becomes_an_expression() {
    let stage = Stage::new();
    let right = format!("str({NAME})");
    let unclosed = format!("str({NAME}");
    let own = own(&stage, "/", &format!("check-sni {NAME}"));
    for (sni, expression) in [
        (NAME, &*right),
        (&unclosed, &right),
        ("%[req.hdr(host)]", "req.hdr(host)"),
    ] {
        let backend = own.replace(&format!(" sni {right}"), &format!(" sni {sni}"));
        let broken = Broken::new(&stage, "", &backend);
        // HAProxy doesn't start with this file.
        let output = run_by_hand(&["diagnose", "--json", "-f", &broken.file]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
        let server = &report["servers"][0];
        assert_eq!(server["state"], "DOWN", "{server:#}");
        assert_eq!(server["diff_visitors"], 200, "{server:#}");
        let fixed = broken.assert_repaired_by(server);
        assert!(fixed.contains(&format!(" sni {expression} ")), "{fixed}");
        fs::write(&broken.file, &broken.text).expect("written");
        let text = stdout(&run_by_hand(&["diagnose", "-f", &broken.file]));
        let advice = format!("write sni {expression} in that");
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(&advice), "{text}");
    }
}

#[test]
fn a_disabled_server_is_reported_even_if_no_haproxy_runs() {
    let stage = Stage::new();
    let own = own(&stage, "/", &format!("check-sni {NAME}"));
    let broken = Broken::new(&stage, "", &(own + "\n    server s2 127.0.0.1:9 disabled"));
    let text = stdout(&run_by_hand(&["diagnose", "-f", &broken.file]));
    assert!(
        text.contains("no check be/s2: haproxy.cfg has `disabled`"),
        "{text}"
    );
}

#[test]
fn a_misspelt_word_of_a_server_line_gets_the_spelling_that_haproxy_suggests() {
    let stage = Stage::new();
    for (defaults, end, right) in [
        ("", format!("check-sin {NAME}"), format!("check-sni {NAME}")),
        (
            "    default-server inter 1s check-sin www.example.test\n",
            String::new(),
            format!("inter 1s check-sni {NAME}"),
        ),
    ] {
        let broken = Broken::with_defaults(&stage, "", defaults, &own(&stage, "/", &end));
        let output = run_by_hand(&["diagnose", "--json", "-f", &broken.file]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
        let fixed = broken.assert_repaired_by(&report["servers"][0]);
        assert!(fixed.contains(&right), "{fixed}");
    }
}

#[test]
fn a_regular_expression_ignores_upper_and_lower_case_if_that_helps() {
    let stage = Stage::new();
    let page = own(&stage, "/requests", &format!("check-sni {NAME}"));
    let rule = "    http-check expect rstring \"^ACTIVE connections:[[:space:]]\"\n";
    let (before, line) = page.rsplit_once("\n").expect("lines");
    let broken = Broken::new(&stage, "", &format!("{before}\n{rule}{line}"));
    let fixed = broken.assert_repaired_by(&broken.diagnose());
    assert!(fixed.contains("rstring \"(?i)^ACTIVE"), "{fixed}");
}
