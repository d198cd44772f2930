//! `doctor --run` runs checks as HAProxy does, and shows the same results.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use crate::configuration::{checked, configure, doctor, finding, in_chroot, jail, json};
use crate::own::defaults;
use crate::support::NAME;
use crate::support::check::stdout;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::nginx::Nginx;
use crate::support::peer::silent;
use crate::support::stage::Stage;
use crate::support::{check, dead_port, dns, free_port, program, wait_for};

/// A check that writes its arguments, its environment, its user and its open descriptors to a file.
const WITNESS: &str = r#"#!/bin/sh
open=
for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] && open="$open $fd"; done
exec > "${0%/*}/seen/$HAPROXY_PROXY_NAME.$HAPROXY_SERVER_NAME.part" 2>/dev/null
echo "open:$open"
echo "words: $0 $*"
echo "folder: $(/bin/pwd)"
echo "user: $(/usr/bin/id -u):$(/usr/bin/id -g)"
/bin/grep NoNewPrivs /proc/$$/status
/usr/bin/env -u _ -u PWD -u OLDPWD -u SHLVL -u HAPROXY_PROXY_ID -u HAPROXY_SERVER_ID | LC_ALL=C /usr/bin/sort
/bin/mv "${0%/*}/seen/$HAPROXY_PROXY_NAME.$HAPROXY_SERVER_NAME.part" "${0%/*}/seen/$HAPROXY_PROXY_NAME.$HAPROXY_SERVER_NAME"
"#;

fn testimony(stage: &Stage, count: usize) -> BTreeMap<String, String> {
    let folder = stage.folder.path().join("seen");
    let read = || {
        let entries = fs::read_dir(&folder).expect("a folder").flatten();
        let seen: BTreeMap<String, String> = entries
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                (name, text)
            })
            .filter(|(name, _)| !name.ends_with(".part"))
            .collect();
        (seen.len() == count).then_some(seen)
    };
    let seen = wait_for("all checks to have run", read);
    fs::remove_dir_all(&folder).expect("removed");
    seen
}

fn empty(stage: &Stage) {
    let folder = stage.folder.path().join("seen");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("permissions");
}

/// Asserts what the run reports about the only server: the check's status, which real HAProxy also shows, and
/// the status that visitors get.
#[track_caller]
fn assert_run_agrees_with_haproxy(config: &str, report: &Value, status: &str, visitor: u16) {
    let run = &report["runs"]["checks"][0];
    assert_eq!(run["check_status"], status, "{report}");
    assert_eq!(run["visitor"]["status"], visitor, "{report}");
    let haproxy = Haproxy::start(Mode::Single, config, &[]);
    assert_eq!(haproxy.wait_for_check("b", "s").check_status, status);
}

#[test]
fn a_check_cannot_tell_doctor_from_haproxy() {
    let stage = Stage::new();
    let witness = stage.folder.script("witness", WITNESS);
    let port = free_port();
    let text = format!(
        "global\n user nobody\n group nogroup\n external-check\n insecure-fork-wanted\n stats timeout 1m\n\
         defaults base\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         option external-check\n external-check command {witness}\n default-server check inter 3s maxconn 7\n\
         frontend f from base\n bind 127.0.0.1:{port}\n default_backend one\n\
         backend one from base\n external-check path \"--a 'b c' ${{WORD}}\"\n\
         server a 127.0.0.1:1\n server b [::1]:2 ssl verify none\n server-template t 2-3 localhost:3\n\
         default-server no-check\n server unchecked 127.0.0.1:4\n\
         defaults tcp from base\n mode tcp\n\
         listen two from tcp\n bind 127.0.0.1:{}\n id 40\n server a 127.0.0.1:5 no-ssl id 12\n server b 127.0.0.1:6\n\
         backend three from base\n server u {}/socket proto h2\n",
        free_port(),
        stage.folder.path().display(),
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    empty(&stage);
    let (report, _) = json(&["-f", &config, "--run", "--env", "WORD=w"]);
    assert_eq!(
        report["not_understood"],
        serde_json::Value::Array(vec![]),
        "{report}"
    );
    let count = report["checks"].as_u64().expect("a number");
    assert_eq!(count, 7, "{report}");
    let by_doctor = testimony(&stage, 7);
    empty(&stage);
    // Under systemd and in the official images, descriptors 0 to 2 are open.
    let _haproxy = Haproxy::start(Mode::Foreground, &config, &[("WORD", "w")]);
    let by_haproxy = testimony(&stage, 7);
    assert_eq!(by_doctor, by_haproxy);
    assert!(
        by_doctor["one.a"].contains("PATH=--a 'b c' w\n"),
        "{by_doctor:?}"
    );
}

/// doctor's table and HAProxy's statistics show the same result for checks that succeed, fail, or are killed.
#[test]
fn doctors_table_shows_the_results_that_haproxy_shows() {
    let stage = Stage::new();
    let (nginx, dead) = (stage.nginx().port, dead_port());
    let check = |name: &str, port: u16, more: &str| {
        format!(
            "backend {name}\n external-check path \"--sni {NAME} --ca-file /ca.pem --timeout 900ms {more}\"\n\
             server s 127.0.0.1:{port} check inter 1s\n"
        )
    };
    let backends = [
        check("healthy", nginx, ""),
        check("name", nginx, "--verify-host other.example.test"),
        check("refused", dead, ""),
        check("killed", silent(), "").replace("900ms", "5s"),
        check("missing", nginx, "").replace(
            " external-check path",
            " external-check command /none\n external-check path",
        ),
    ];
    let text = format!(
        "global\n {}\ndefaults\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         option external-check\n external-check command /sni-check\n{}",
        jail(&stage),
        backends.concat()
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, code) = json(&["-f", &config, "--run"]);
    assert_eq!(code, 2, "the missing command is a problem");
    assert_eq!(report["runs"]["exact"], true);
    let runs = report["runs"]["checks"].as_array().expect("checks");
    assert_eq!(runs.len(), 5);
    let haproxy = Haproxy::start(Mode::Daemon, &config, &[]);
    for (run, (status, code)) in runs.iter().zip([
        ("PROCOK", "0"),
        ("PROCERR", "54"),
        ("PROCERR", "41"),
        ("PROCTOUT", ""),
        ("PROCERR", "255"),
    ]) {
        let backend = run["backend"].as_str().expect("a name");
        assert_eq!(run["check_status"], status, "{run}");
        assert_eq!(
            run["check_code"]
                .as_u64()
                .map_or(String::new(), |code| code.to_string()),
            code
        );
        let seen = wait_for(backend, || {
            let seen = haproxy.server(backend, "s")?;
            (seen.check_status == status).then_some(seen)
        });
        assert!(code.is_empty() || seen.check_code == code, "{run} {seen:?}");
    }
}

#[test]
fn the_exit_code_is_that_of_the_first_check_that_fails() {
    let stage = Stage::new();
    let config = |options: &str, port: u16| {
        let options = format!("--ca-file /ca.pem --timeout 900ms {options}");
        let server = format!("127.0.0.1:{port} TLS check inter 1s");
        let backend = checked("/sni-check", &options, &server);
        in_chroot(&stage, &backend)
    };
    let good = config(&format!("--sni {NAME}"), stage.nginx().port);
    assert_eq!(json(&["-f", &good, "--run"]).1, 0);
    let wrong = config("--sni wrong.example.test", stage.nginx().port);
    assert_eq!(json(&["-f", &wrong]).1, 0);
    // Visitors are served, so the run proves that the check is wrong.
    let (report, code) = json(&["-f", &wrong, "--run"]);
    assert_eq!((code, &report["code"]), (2, &2.into()));
    let title = |config: &str| {
        let text = stdout(&doctor(&["-f", config, "--run"]));
        let (title, _) = text.split_once("\n\n").expect(&text);
        title.replace('\n', " ")
    };
    let says = title(&wrong);
    let end = ": 1 server will be DOWN though it works; 1 check below fails";
    assert!(says.ends_with(end), "{says}");
    let says = title(&config(&format!("--sni {NAME}"), stage.nginx().port));
    assert!(says.ends_with(": no problems found"), "{says}");
    let dead = config(&format!("--sni {NAME}"), dead_port());
    let (report, code) = json(&["-f", &dead, "--run"]);
    assert_eq!((code, &report["code"]), (41, &41.into()));
}

#[test]
fn without_root_the_report_says_that_the_runs_are_not_exact() {
    let stage = Stage::new();
    let options = format!("--sni {NAME} --ca-file ROOT/ca.pem --timeout 900ms");
    let backend = checked(
        "ROOT/sni-check",
        &options,
        "127.0.0.1:PORT TLS check inter 1s",
    );
    let config = configure(&stage, &jail(&stage).replace(stage.chroot(), "/"), &backend);
    let program_copy = stage.folder.copy(check::BINARY, "sni-check", 0o755);
    // doctor starts HAProxy, and HAProxy must be able to enter its starting folder again.
    let output = program("setpriv")
        .current_dir("/")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args([&program_copy, "doctor", "--run", "-f", &config])
        .stdin(Stdio::null())
        .output()
        .expect("setpriv runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("ok       b/s PROCOK"), "{text}");
    let chroot = format!("chroot {}", stage.chroot());
    for (line, runs) in [
        ("", "ran as this user, because only root"),
        (
            chroot.as_str(),
            "ran as this user and outside of HAProxy's chroot, because only root",
        ),
    ] {
        let global = jail(&stage)
            .replace(&chroot, line)
            .replace("nobody", "root");
        let config = configure(&stage, &global, &backend);
        let output = program("setpriv")
            .current_dir("/")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args([&program_copy, "doctor", "--run", "-f", &config])
            .output()
            .expect("setpriv runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(runs), "{text}");
    }
}

#[test]
fn a_failed_check_shows_its_own_line_and_the_diagnose_command() {
    let stage = Stage::new();
    stage.folder.file("root/token", "X-Token: a b\n");
    let options = "--sni wrong.example.test --ca-file=/ca.pem --timeout 900ms --verbose \
                   --syslog 127.0.0.1:9 --header @/token --header 'X-Long: one two  three' --uri '/?a=b'";
    let backend = checked("/sni-check", options, "127.0.0.1:PORT TLS check inter 1s");
    let config = in_chroot(&stage, &backend);
    let (report, _) = json(&["-f", &config, "--run"]);
    let run = &report["runs"]["checks"][0];
    let line = run["line"].as_str().expect("a line");
    assert!(line.starts_with("DOWN 65 L6RSP b/s 127.0.0.1:"), "{line}");
    let call = run["diagnose"].as_str().expect("a call");
    let text = stdout(&doctor(&["-f", &config, "--run"]));
    let (_, shown) = text.split_once("  next   ").expect(&text);
    let (shown, _) = shown.split_once("\n\n").expect(&text);
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    let binary = std::path::Path::new(check::BINARY);
    let path = format!("{}:/bin", binary.parent().expect("a folder").display());
    for call in [call, shown] {
        let mut shell = program("sh");
        shell.args(["-c", call]).env_clear().env("PATH", &path);
        let output = shell.output().expect("a shell");
        let text = format!("{call}\n{}{}", stdout(&output), check::stderr(&output));
        assert_eq!(output.status.code(), Some(65), "{text}");
        assert!(text.contains("wrong.example.test"), "{text}");
        let words = shlex::split(&call.replace("\\\n", " ")).expect(call);
        assert_eq!(words, ["sni-check", "diagnose", "-f", &config, "b/s"]);
    }
    let limits = report["runs"]["limits"].to_string();
    assert!(
        limits.contains("LimitNPROC") && !limits.contains("resolver"),
        "{limits}"
    );
}

#[test]
fn the_report_of_a_run_says_how_names_were_resolved() {
    let stage = Stage::new();
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 900ms");
    let backend = checked("/sni-check", &options, "localhost:PORT TLS check inter 1s");
    let limits = |backend: &str| {
        let config = in_chroot(&stage, backend);
        json(&["-f", &config, "--run"]).0["runs"]["limits"].to_string()
    };
    let plain = limits(&backend);
    assert!(
        plain.contains("HAProxy may still use the address that it found when it started"),
        "{plain}"
    );
    let resolvers = "resolvers here\n nameserver one 127.0.0.1:53\n";
    let resolved = limits(&format!("{backend} resolvers here\n{resolvers}"));
    assert!(resolved.contains("asks the name servers of its section `resolvers here`"));
}

/// doctor checks the address that HAProxy's name servers return, as HAProxy does. For a service, the name
/// servers also return the port. One server of the template has no record.
#[test]
fn a_run_asks_the_name_servers_of_haproxy() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let resolvers = format!("resolvers r\n nameserver one 127.0.0.1:{}\n", dns::start());
    let words =
        format!("ssl verify none sni str({NAME}) resolvers r init-addr none check inter 500ms");
    let external = checked(
        "/sni-check",
        &format!("--sni {NAME} --ca-file /ca.pem --timeout 400ms"),
        &format!("{}:{port} {words}", dns::HOST),
    );
    let own = format!(
        " option httpchk GET /missing\n server-template s 2 {} {words} check-sni {NAME}\n",
        dns::service(port)
    );
    for (backend, server, status) in [(external, "s", "PROCOK"), (own, "s1", "L7STS")] {
        let config = in_chroot(&stage, &format!("{backend}\n{resolvers}"));
        let (report, _) = json(&["-f", &config, "--run"]);
        let runs = &report["runs"];
        assert_eq!(runs["checks"].as_array().map(Vec::len), Some(1), "{report}");
        assert_eq!(runs["checks"][0]["check_status"], status, "{report}");
        assert_eq!(
            runs["checks"][0]["visitor"]["root"].as_u64().unwrap_or(200),
            200,
            "{report}"
        );
        let limits = runs["limits"].to_string();
        let is_open = limits.contains("fewer addresses than server-template makes servers");
        assert_eq!(is_open, server == "s1", "{limits}");
        let haproxy = Haproxy::start(Mode::Single, &config, &[]);
        assert_eq!(haproxy.wait_for_check("b", server).check_status, status);
    }
}

/// `init-addr` decides which address HAProxy uses for a name, also in the questions that a run asks.
#[test]
fn a_run_uses_the_address_that_init_addr_chooses() {
    let stage = Stage::new();
    let web = Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; return 200; }}"));
    let text = format!(
        "{}backend b\n option httpchk GET /\n \
         default-server check inter 300ms fall 1\n \
         server none localhost:{port} init-addr none\n \
         server dead localhost:{port} init-addr 127.0.0.9\n \
         server last nosuch.invalid:{port} init-addr last,libc,127.0.0.1\n",
        defaults(""),
        port = web.port
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, _) = json(&["-f", &config, "--run"]);
    assert_eq!(finding(&report, "no-address")["about"][0], "b/none");
    let checks = report["runs"]["checks"].as_array().expect("checks");
    let status = |name: &str| {
        let mut checks = checks.iter();
        let check = checks.find(|check| check["server"] == name);
        check.map(|check| check["check_status"].as_str().expect("text").to_owned())
    };
    assert_eq!(status("none"), None, "{report}");
    let haproxy = Haproxy::start(Mode::Single, &config, &[]);
    for name in ["dead", "last"] {
        let shown = haproxy.wait_for_check("b", name).check_status;
        assert_eq!(status(name), Some(shown), "{name}: {report}");
    }
}

#[test]
fn a_run_makes_a_note_certain_if_haproxy_confirms_it() {
    let stage = Stage::new();
    stage.nginx();
    let tls = "ssl verify required ca-file ROOT/ca.pem";
    let traffic = format!("{tls} sni str({NAME})");
    let host = format!(" http-check send hdr Host {NAME}\n");
    let host = host.as_str();
    for (rules, server, id, effect, status, visitor) in [
        (
            "",
            traffic.clone(),
            "check-without-sni",
            "down",
            "L6RSP",
            200,
        ),
        (
            host,
            format!("{tls} no-ssl-reuse check-sni {NAME}"),
            "traffic-without-sni",
            "up",
            "L7OK",
            503,
        ),
        (
            " http-check send meth GET uri /missing hdr Host NAME\n",
            format!("{traffic} check-sni {NAME}"),
            "seen",
            "down",
            "L7STS",
            404,
        ),
        // Visitors send Host and get the same status, so the missing Host isn't the cause.
        (
            " http-check send meth GET uri /missing\n",
            format!("{traffic} check-sni {NAME}"),
            "seen",
            "down",
            "L7STS",
            404,
        ),
    ] {
        let rules = rules.replace("NAME", NAME);
        let backend = format!(
            " option httpchk GET /\n{rules} server s 127.0.0.1:PORT {server} check inter 500ms"
        );
        let config = in_chroot(&stage, &backend);
        assert_eq!(json(&["-f", &config]).1, 0, "a note without a run");
        let (report, code) = json(&["-f", &config, "--run"]);
        assert_eq!(code, 2, "{report}");
        let found = finding(&report, id);
        assert_eq!(found["mark"], "problem", "{report}");
        assert_eq!(found["effect"], effect, "{report}");
        assert_run_agrees_with_haproxy(&config, &report, status, visitor);
    }
}

#[test]
fn a_run_finds_nothing_if_check_and_visitors_agree() {
    let stage = Stage::new();
    let server = format!(
        "ssl verify required ca-file ROOT/ca.pem sni str({NAME}) check inter 500ms check-sni {NAME}"
    );
    for (port, code) in [(stage.nginx().port, 0), (dead_port(), 43)] {
        let backend = format!(
            " option httpchk GET /\n http-check send hdr Host {NAME}\n server s 127.0.0.1:{port} {server}"
        );
        let config = in_chroot(&stage, &backend);
        let (report, exit) = json(&["-f", &config, "--run"]);
        assert_eq!(exit, code, "{report}");
        assert_eq!(report["findings"], serde_json::json!([]), "{report}");
    }
}

#[test]
fn a_run_tries_the_external_check_before_doctor_advises_to_add_check() {
    let stage = Stage::new();
    stage.nginx();
    let write = |uri: &str| {
        let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 900ms --uri {uri}");
        let backend = checked("/sni-check", &options, "127.0.0.1:PORT TLS inter 1s");
        let config = in_chroot(&stage, &backend);
        let (report, code) = json(&["-f", &config, "--run"]);
        assert_eq!(code, 2, "{report}");
        let write = finding(&report, "nothing-checked")["write"].clone();
        write.as_str().expect("text").to_owned()
    };
    assert!(write("/").starts_with("add `check`"));
    let advice = write("/missing");
    let first = "first: fix the check, which would be DOWN with PROCERR and code 71.";
    assert!(advice.starts_with(first), "{advice}");
}

#[test]
fn a_run_tries_haproxys_own_check_before_doctor_advises_to_add_check() {
    let stage = Stage::new();
    stage.nginx();
    let tls = format!("TLS check-sni {NAME} inter 1s");
    for (request, first) in [
        ("GET /", ""),
        (
            "GET /missing",
            "first: fix the check, which would be DOWN with L7STS 404. Then ",
        ),
    ] {
        let backend = format!(
            " option httpchk {request}\n http-check send hdr Host {NAME}\n server s 127.0.0.1:PORT {tls}"
        );
        let (report, _) = json(&["-f", &in_chroot(&stage, &backend), "--run"]);
        let write = finding(&report, "nothing-checked")["write"].as_str();
        let expected = format!("{first}add `check`");
        let starts = write.is_some_and(|write| write.starts_with(&expected));
        assert!(starts, "{report}");
    }
}

/// HAProxy shows L7RSP if an expected text is missing. This status proves no difference between check and
/// traffic.
#[test]
fn an_expected_text_that_is_missing_makes_no_other_note_certain() {
    let stage = Stage::new();
    stage.nginx();
    let backend = format!(
        " option httpchk GET /\n http-check expect rstring ^never\n \
         server s 127.0.0.1:PORT TLS check inter 500ms check-sni {NAME}"
    );
    let (report, _) = json(&["-f", &in_chroot(&stage, &backend), "--run"]);
    let status = &report["runs"]["checks"][0]["check_status"];
    assert_eq!(status, "L7RSP", "{report}");
    for id in ["check-without-host", "seen"] {
        assert_eq!(finding(&report, id)["mark"], "note", "{report}");
    }
}

#[test]
fn a_missing_page_that_disables_the_server_is_nolb() {
    let stage = Stage::new();
    stage.nginx();
    let rules = "option httpchk\n http-check disable-on-404\n http-check send meth GET uri /missing ver HTTP/1.1 \
                 hdr Host NAME\n";
    let server = "127.0.0.1:PORT TLS check check-sni NAME inter 500ms";
    let backend = format!(" {rules} server s {server}").replace("NAME", NAME);
    let config = in_chroot(&stage, &backend);
    let (report, _) = json(&["-f", &config, "--run"]);
    let run = &report["runs"]["checks"][0];
    assert_eq!(
        (&run["check_status"], &run["check_code"]),
        (&"L7OKC".into(), &404.into())
    );
    assert!(
        report.to_string().contains("NOLB with L7OKC 404"),
        "{report}"
    );
    let haproxy = Haproxy::start(Mode::Single, &config, &[]);
    let seen = haproxy.wait_for_check("b", "s");
    assert_eq!(
        (&seen.check_status[..], &seen.check_code[..]),
        ("L7OKC", "404")
    );
    assert!(seen.status.starts_with("NOLB"), "{seen:?}");
}

#[test]
fn haproxys_own_503_for_visitors_does_not_make_the_note_about_host_a_problem() {
    let stage = Stage::new();
    let ca = &stage.ca_file;
    stage.nginx();
    // Traffic's SNI name is unknown to the server, so visitors get HAProxy's own 503.
    let server = format!(
        "127.0.0.1:PORT ssl verify required ca-file {ca} sni str(api.example.test) check check-sni {NAME} inter 500ms"
    );
    let config = in_chroot(
        &stage,
        &format!(" option httpchk GET /\n server s {server}"),
    );
    let (report, code) = json(&["-f", &config, "--run"]);
    assert_eq!(code, 2, "{report}");
    assert_eq!(
        finding(&report, "traffic-other-sni")["mark"],
        "problem",
        "{report}"
    );
    assert_eq!(
        finding(&report, "check-without-host")["mark"],
        "note",
        "{report}"
    );
}

#[test]
fn a_run_asks_haproxy_with_all_settings_of_the_configuration() {
    let stage = Stage::new();
    stage.nginx();
    for (global, rules, words, status, visitor) in [
        ("", "", "", "L7OK", 200),
        // The certificate's key is ECDSA, so the server can't use this RSA cipher.
        (
            "ssl-default-server-ciphers AES128-SHA",
            "",
            "no-tlsv13",
            "L6RSP",
            503,
        ),
        ("", "", "ciphers AES128-SHA no-tlsv13", "L6RSP", 503),
        ("", " source 203.0.113.9\n", "", "L4CON", 503),
        ("", " http-request set-path /missing\n", "", "L7OK", 404),
        // A browser never sends such a request, so visitors' requests don't have this mistake.
        ("", " option httpchk \"GET /\"\n", "", "L7STS", 200),
    ] {
        let server = format!("127.0.0.1:PORT TLS check check-sni {NAME} inter 500ms {words}");
        let send = format!(" http-check send hdr Host {NAME}\n");
        let backend = format!(" option httpchk GET /\n{rules}{send} server s {server}");
        let config = in_chroot(&stage, &backend);
        let text = std::fs::read_to_string(&config).expect("text");
        let text = text.replacen("global\n", &format!("global\n {global}\n"), 1);
        let config = stage.folder.file("settings.cfg", &text);
        let (report, _) = json(&["-f", &config, "--run"]);
        assert_run_agrees_with_haproxy(&config, &report, status, visitor);
    }
}

#[test]
fn a_run_names_every_check_that_it_leaves_out() {
    let stage = Stage::new();
    stage.nginx();
    // The server line has no port. HAProxy then connects to the port that the visitor used, and doctor
    // doesn't know this port.
    let server = "127.0.0.1 TLS check port PORT inter 500ms";
    let config = in_chroot(
        &stage,
        &format!(" option httpchk GET /\n server s {server}"),
    );
    let (report, _) = json(&["-f", &config, "--run"]);
    let run = &report["runs"]["checks"][0];
    assert_eq!(run["check_status"], "L7STS", "{report}");
    assert!(run["visitor"].is_null(), "{report}");
    // The backend's rule replaces the request of `option httpchk` in defaults.
    let server = "127.0.0.1:PORT TLS check inter 500ms";
    let rule = format!(" http-check connect ssl sni {NAME}\n");
    let config = in_chroot(&stage, &format!("{rule} server s {server}"));
    let text = std::fs::read_to_string(&config).expect("text");
    let text = text.replacen("defaults\n", "defaults\n option httpchk GET /\n", 1);
    let config = stage.folder.file("silent.cfg", &text);
    let (report, code) = json(&["-f", &config, "--run"]);
    assert_eq!(code, 2, "{report}");
    let limits = report["runs"]["limits"].to_string();
    assert!(limits.contains("b/s was not run"), "{report}");
}
