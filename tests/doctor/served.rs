//! Backends that `sni-check serve` checks: what doctor finds, and what HAProxy shows.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::configuration::{checked, finding, foretells, found, in_chroot, json};
use crate::support::check::BINARY;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::nginx::Nginx;
use crate::support::stage::Stage;
use crate::support::{NAME, Running, dead_port, wait_for};

const PROBLEM: &str = "problem";

/// Starts `sni-check serve` on a socket in the chroot with this name and mode.
pub fn serve(stage: &Stage, socket: &str, mode: &str) -> Running {
    let path = format!("{}/{socket}", stage.chroot());
    let serve = Command::new(BINARY)
        .args(["serve", "--listen", &format!("unix:{path}"), "--mode", mode])
        .args(["--files", stage.chroot()])
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    wait_for("serve to listen", || {
        std::os::unix::net::UnixStream::connect(&path).ok()
    });
    Running(serve)
}

/// Returns a backend that asks serve, with these options.
fn backend(options: &str) -> String {
    format!(
        " option httpchk\n timeout check 900ms\n http-check connect addr unix@/socket\n \
         http-check send-state\n http-check send meth GET uri / hdr X-Check-Options \"{options}\"\n \
         http-check expect hdr name X-Check-Code value 0 status-code \"res.hdr(x-check-code)\"\n \
         server s 127.0.0.1:PORT TLS check inter 500ms"
    )
}

fn options() -> String {
    format!("--sni {NAME} --ca-file ROOT/ca.pem --timeout 800ms")
}

#[test]
fn doctor_finds_everything_that_prevents_serve_from_checking() {
    let stage = Stage::new();
    let _serve = serve(&stage, "socket", "0666");
    let _private = serve(&stage, "private", "0600");
    let good = backend(&options());
    foretells(&in_chroot(&stage, &good), &[], "L7OK", "0");
    for (from, to, id, status, code) in [
        (" http-check send-state\n", "", "serve-state", "L7STS", "2"),
        (
            " hdr X-Check-Options",
            " hdr X-Other",
            "serve-options",
            "L7STS",
            "2",
        ),
        ("--sni ", "--snl ", "options", "L7STS", "2"),
        ("--sni ", "www.example.com --sni ", "options", "L7STS", "2"),
        ("--timeout 800ms", "--timeout 90s", "options", "L7STS", "2"),
        ("unix@/socket", "unix@/none", "serve-socket", "SOCKERR", ""),
        (
            "unix@/socket",
            "unix@/private",
            "serve-socket",
            "SOCKERR",
            "",
        ),
        (
            "unix@/socket",
            "unix@/ca.pem",
            "serve-socket",
            "SOCKERR",
            "",
        ),
    ] {
        let config = in_chroot(&stage, &good.replace(from, to));
        let report = foretells(&config, &[(id, PROBLEM)], status, code);
        assert_eq!(report["served"], 1, "{to}");
    }
    let config = in_chroot(
        &stage,
        &backend(&format!("{} --timeout 2s", options()).replace(" --timeout 800ms", "")),
    );
    foretells(&config, &[("time", "note")], "L7OK", "0");
}

/// A check that sends the server's state to a unix socket counts as a check by serve, even without serve's
/// headers.
#[test]
fn a_check_without_the_headers_of_serve_counts_as_a_check_by_serve() {
    let stage = Stage::new();
    let _serve = serve(&stage, "socket", "0666");
    let backend = " option httpchk\n timeout check 900ms\n http-check connect addr unix@/socket\n \
                   http-check send-state\n http-check send meth GET uri /\n http-check expect status 200\n \
                   server s 127.0.0.1:PORT TLS check inter 500ms";
    let expected = [("serve-options", PROBLEM), ("serve-expect", "note")];
    foretells(&in_chroot(&stage, backend), &expected, "L7STS", "503");
}

/// doctor applies `http-check expect` to serve's answers, as HAProxy does. Each row has a rule, the finding,
/// and HAProxy's statuses for a healthy and for a dead server.
#[test]
fn doctor_judges_if_a_rule_distinguishes_a_healthy_server_from_a_dead_server() {
    /// The mark and the effect of a finding.
    type Found = Option<(&'static str, &'static str)>;
    const HINT: Found = Some(("note", "none"));
    const ROWS: [(&str, Found, &str, &str); 9] = [
        ("status 200-399", HINT, "L7OK", "L7STS"),
        ("rstatus ^2", HINT, "L7OK", "L7STS"),
        ("! rstatus ^5", HINT, "L7OK", "L7STS"),
        ("! status 500-599", HINT, "L7OK", "L7STS"),
        ("status 200,301 status-code int(7)", None, "L7OK", "L7STS"),
        ("string OK", Some((PROBLEM, "down")), "L7RSP", "L7RSP"),
        ("status 204", Some((PROBLEM, "down")), "L7STS", "L7STS"),
        (
            "status 200-599",
            Some((PROBLEM, "unchecked")),
            "L7OK",
            "L7OK",
        ),
        (
            "! hdr name X-Check-Code value 71",
            Some(("note", "up")),
            "L7OK",
            "L7OK",
        ),
    ];
    let stage = Stage::new();
    let _serve = serve(&stage, "socket", "0666");
    let dead = dead_port();
    let backends = ROWS.iter().enumerate().map(|(index, (rule, ..))| {
        let lines = backend(&options());
        let (before, server) = lines.split_once(" http-check expect").expect("a rule");
        let (_, server) = server.split_once('\n').expect("a server");
        let other = server
            .replace("server s", "server dead")
            .replace("PORT", &dead.to_string());
        let head = if index == 0 {
            String::new()
        } else {
            format!("backend b{index}\n")
        };
        format!("{head}{before} http-check expect {rule}\n{server}\n{other}\n")
    });
    let config = in_chroot(&stage, &backends.collect::<String>());
    let (report, _) = json(&["-f", &config]);
    let haproxy = Haproxy::start(Mode::Single, &config, &[]);
    for (index, (rule, expected, healthy, failed)) in ROWS.iter().enumerate() {
        let name = if index == 0 {
            "b".to_owned()
        } else {
            format!("b{index}")
        };
        let findings = report["findings"].as_array().expect("findings").iter();
        let mut of_rule = findings.filter(|found| found["id"] == "serve-expect");
        let found =
            of_rule.find(|found| found["about"].to_string().contains(&format!("\"{name}\"")));
        let found = found.map(|found| (found["mark"].as_str(), found["effect"].as_str()));
        let expected = expected.map(|(mark, effect)| (Some(mark), Some(effect)));
        assert_eq!(found, expected, "{rule}: {report:#}");
        for (server, status) in [("s", healthy), ("dead", failed)] {
            let seen = haproxy.wait_for_check(&name, server);
            assert_eq!(seen.check_status, *status, "{rule}: {server}");
        }
    }
}

#[test]
fn if_the_check_does_not_ask_serve_doctor_only_notes_what_serve_would_refuse() {
    let stage = Stage::new();
    let text = backend(&options()).replace(" http-check send-state\n", "");
    let text = text.replace(" http-check connect addr unix@/socket\n", "");
    let (report, _) = json(&["-f", &in_chroot(&stage, &text)]);
    let shows = finding(&report, "serve-state")["shows"].as_str();
    let later = shows.is_some_and(|shows| shows.ends_with(", once the check asks sni-check serve"));
    assert!(later, "{report}");
    // Without serve's address, the server itself answers, so nothing about serve is certain.
    assert_eq!(finding(&report, "serve-state")["mark"], "note");
    let summary = report["summary"].as_str().expect("text");
    assert!(
        summary.starts_with("nothing is certain to go wrong"),
        "{summary}"
    );
}

/// doctor doesn't know the `--files` of a process that isn't `sni-check serve`, so the finding is only a
/// note.
#[test]
fn an_unknown_serve_may_be_unable_to_read_files() {
    let stage = Stage::new();
    let config = in_chroot(&stage, &backend(&options()));
    let socket = format!("{}/socket", stage.chroot());
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&socket, open).expect("permissions");
    let (report, code) = json(&["-f", &config]);
    let note = ("serve-files".to_owned(), "note".to_owned());
    assert_eq!((found(&report), code), (vec![note], 0), "{report}");
    let write = &finding(&report, "serve-files")["write"];
    let wanted = format!("start serve with --files {}", stage.chroot());
    assert!(write.as_str().expect("text").contains(&wanted), "{write}");
    let missing = options().replace("/ca.pem", "/none.pem");
    let config = in_chroot(&stage, &backend(&missing));
    let (report, _) = json(&["-f", &config]);
    assert_eq!(finding(&report, "serve-file")["mark"], "note", "{report}");
}

/// Returns the shell command in the last line of a finding's `write`.
fn pasted(report: &serde_json::Value, id: &str) -> String {
    let write = finding(report, id)["write"].as_str().expect("text");
    write.lines().last().expect("a line").to_owned()
}

#[test]
fn the_command_for_a_missing_socket_can_be_pasted_and_works() {
    let stage = Stage::new();
    let good = backend(&options()).replace("unix@/socket", "unix@/run/sni-check/socket");
    // One process serves all backends that ask its socket.
    let folder = format!("{}/more", stage.chroot());
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::copy(&stage.ca_file, format!("{folder}/ca.pem")).expect("a copy");
    let other = good.replace("ROOT/ca.pem", "ROOT/more/ca.pem");
    let both = in_chroot(&stage, &format!("{good}\nbackend other\n{other}"));
    let for_both = pasted(&json(&["-f", &both]).0, "serve-socket");
    let folders = format!("--files {} --files {folder}", stage.chroot());
    assert!(for_both.ends_with(&folders), "{for_both}");
    let config = in_chroot(&stage, &good);
    let (report, _) = json(&["-f", &config]);
    let command = pasted(&report, "serve-socket");
    let text = crate::support::check::stdout(&crate::configuration::doctor(&["-f", &config]));
    let (_, shown) = text.split_once("  paste  ").expect(&text);
    let (shown, _) = shown.split_once("\n\n").unwrap_or((shown, ""));
    let words = |text: &str| shlex::split(&text.replace("\\\n", " ")).expect("words");
    assert_eq!(words(shown), words(&command));
    let mut shell = crate::support::program("sh");
    let shell = shell.args(["-c", &command.replace("&& ", "&& exec ")]);
    let _serve = Running(shell.stderr(Stdio::null()).spawn().expect("a shell"));
    let socket = format!("{}/run/sni-check/socket", stage.chroot());
    wait_for("serve to listen", || {
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    foretells(&config, &[], "L7OK", "0");
}

/// If doctor's command gave this folder to serve (`--files`), every request could use the private keys in it.
#[test]
fn the_folder_of_a_private_key_is_not_given_to_serve() {
    let stage = Stage::new();
    let socket = backend(&options()).replace("unix@/socket", "unix@/run/sni-check/socket");
    let config = in_chroot(&stage, &socket);
    let key = format!("{}/other.pem", stage.chroot());
    std::fs::write(key, "-----BEGIN PRIVATE KEY-----\n").expect("a file");
    let (report, _) = json(&["-f", &config]);
    let command = pasted(&report, "serve-socket");
    let copy = format!(
        "install -D -m 644 -t /etc/haproxy/ca {}/ca.pem && ",
        stage.chroot()
    );
    assert!(command.starts_with(&copy), "{command}");
    assert!(command.ends_with(" --files /etc/haproxy/ca"), "{command}");
    let write = finding(&report, "serve-socket")["write"]
        .as_str()
        .expect("text");
    let renaming = "write /etc/haproxy/ca/ca.pem in X-Check-Options";
    assert!(write.starts_with(renaming), "{write}");
}

#[test]
fn the_command_for_a_forbidden_socket_can_be_pasted_and_works() {
    let stage = Stage::new();
    let _private = serve(&stage, "socket", "0600");
    let config = in_chroot(&stage, &backend(&options()));
    let (report, _) = json(&["-f", &config]);
    let mut shell = crate::support::program("sh");
    let status = shell
        .args(["-c", &pasted(&report, "serve-socket")])
        .status();
    assert!(status.expect("a shell").success());
    foretells(&config, &[], "L7OK", "0");
}

#[test]
fn doctor_finds_files_that_are_missing_or_contain_something_else() {
    let stage = Stage::new();
    let _serve = serve(&stage, "socket", "0666");
    for file in ["/none.pem", "/token"] {
        stage.folder.file("root/token", "nothing");
        let options = options().replace("/ca.pem", file);
        let config = in_chroot(&stage, &backend(&options));
        let report = foretells(&config, &[("options", PROBLEM)], "L7STS", "2");
        assert!(report.to_string().contains(file), "{report}");
    }
    // For a file outside of serve's --files, doctor prints serve's own refusal.
    let foreign = options().replace("ROOT/ca.pem", &stage.ca_file);
    let config = in_chroot(&stage, &backend(&foreign));
    let report = foretells(&config, &[("options", PROBLEM)], "L7STS", "2");
    let write = finding(&report, "options")["write"].as_str().expect("text");
    assert!(
        write.starts_with(&format!("write a path below {}", stage.chroot())),
        "{write}"
    );
}

#[test]
fn expired_files_are_reported_with_their_date() {
    let stage = Stage::new();
    let _serve = serve(&stage, "socket", "0666");
    let client = stage.ca.leaf(&["client.example.test"], -2);
    stage.folder.file("root/client.pem", &client.both_pem());
    stage.folder.file("root/old.pem", &stage.ca.crl(&[], -2));
    let both = stage.ca.crl(&[], -2) + &stage.ca.crl(&[], 2);
    stage.folder.file("root/both.pem", &both);
    let other = crate::support::pki::Ca::named("Other").crl(&[], -2);
    stage
        .folder
        .file("root/other.pem", &(other + &stage.ca.crl(&[], 2)));
    for (more, id, mark, code) in [
        ("--crl-file ROOT/old.pem", "ended-list", PROBLEM, "56"),
        ("--crl-file ROOT/other.pem", "ended-list", "note", "0"),
        ("--crl-file ROOT/both.pem", "", "", "0"),
        ("--crt ROOT/client.pem", "ended-certificate", "note", "71"),
    ] {
        let mut expected = vec![(id, mark)];
        expected.retain(|(id, _)| !id.is_empty());
        let status = if code == "0" { "L7OK" } else { "L7STS" };
        let config = in_chroot(&stage, &backend(&format!("{} {more}", options())));
        if more.starts_with("--crt") {
            expected.insert(0, ("traffic-other-certificate", "note"));
        }
        let served = foretells(&config, &expected, status, code);
        let more = more.replace("ROOT", "");
        let path = format!("--sni {NAME} --ca-file /ca.pem --timeout 800ms {more}");
        let server = "127.0.0.1:PORT TLS check inter 1s";
        let config = in_chroot(&stage, &checked("/sni-check", &path, server));
        let status = if code == "0" { "PROCOK" } else { "PROCERR" };
        let external = foretells(&config, &expected, status, code);
        for report in [served, external] {
            let text = report.to_string();
            assert!(
                id.is_empty() || text.contains("expired on ") && text.contains(" ago)"),
                "{report}"
            );
        }
    }
}

#[test]
fn a_run_asks_serve_on_its_socket() {
    let stage = Stage::new();
    let serving = serve(&stage, "socket", "0666");
    let run = |options: &str| {
        let config = in_chroot(&stage, &backend(options));
        let (report, code) = json(&["-f", &config, "--run"]);
        let check = report["runs"]["checks"][0].clone();
        (
            check["check_status"].clone(),
            check["check_code"].clone(),
            check["line"].clone(),
            code,
        )
    };
    let (status, code, _, exit) = run(&options());
    assert_eq!((status, code, exit), ("L7OK".into(), 0.into(), 0));
    let (status, code, line, exit) = run(&options().replace(NAME, "wrong.example.test"));
    // Visitors send the right name and are served.
    assert_eq!((status, code, exit), ("L7STS".into(), 65.into(), 2));
    assert!(
        line.as_str()
            .expect("a reason")
            .contains("unrecognized_name")
    );
    // serve leaves its socket behind, but nothing listens there now.
    drop(serving);
    let config = in_chroot(&stage, &backend(&options()));
    crate::configuration::shows(&config, "s", "SOCKERR", "");
    let (status, code, _, exit) = run(&options());
    assert_eq!(
        (status, code, exit),
        ("SOCKERR".into(), serde_json::Value::Null, 2)
    );
}

#[test]
fn a_run_prints_the_diagnose_command() {
    let stage = Stage::new();
    let _serve = serve(&stage, "socket", "0666");
    let options = format!("{} --quiet", options().replace(NAME, "wrong.example.test"));
    let config = in_chroot(&stage, &backend(&options));
    let (report, _) = json(&["-f", &config, "--run"]);
    let call = report["runs"]["checks"][0]["diagnose"].as_str();
    let words = shlex::split(call.expect("a call")).expect("words");
    assert_eq!(words[..2], ["sni-check", "diagnose"]);
    let output = crate::support::check::run_by_hand(
        &words[1..].iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert_eq!(output.status.code(), Some(65), "{words:?}");
    let config = in_chroot(&stage, &backend(&self::options()));
    let (report, _) = json(&["-f", &config, "--run"]);
    assert!(report["runs"]["checks"][0]["diagnose"].is_null());
}

#[test]
fn doctor_advises_to_restart_a_serve_that_hangs() {
    let stage = Stage::new();
    let serve = serve(&stage, "socket", "0666");
    kill_process(Pid::from_child(&serve.0), Signal::STOP).expect("the signal is sent");
    let meaning = |options: &str| {
        let config = in_chroot(&stage, &backend(options));
        let (report, code) = json(&["-f", &config, "--run"]);
        let check = &report["runs"]["checks"][0];
        assert_eq!((&check["check_status"], code), (&"L7TOUT".into(), 2));
        check["meaning"].as_str().expect("text").to_owned()
    };
    let hangs = meaning(&options());
    assert!(
        hangs.contains("did not answer within 900 ms; restart it"),
        "{hangs}"
    );
    let late = meaning(&options().replace("800ms", "2s"));
    assert!(late.contains("may take longer than that"), "{late}");
}

#[test]
fn init_state_is_advised_for_haproxy_3_1_and_later() {
    let stage = Stage::new();
    let _serve = serve(&stage, "socket", "0666");
    let script = "#!/bin/sh\necho 'HAProxy version 3.1.0 2026/01/01'\n";
    let haproxy = stage.folder.script("haproxy", script);
    let report = |backend: &str| {
        let config = in_chroot(&stage, backend);
        json(&["-f", &config, "--haproxy", &haproxy]).0
    };
    let up = report(&backend(&options()));
    let write = &finding(&up, "serve-init-state")["write"];
    assert_eq!(write, "init-state down on the server line");
    let down = backend(&options()) + " init-state down";
    assert!(found(&report(&down)).is_empty());
}

#[test]
fn a_server_on_a_unix_socket_needs_the_option_connect() {
    let stage = Stage::new();
    let _serving = serve(&stage, "socket", "0666");
    let text = backend(&options()).replace("127.0.0.1:PORT", "unix@/app.sock");
    let config = in_chroot(&stage, &text);
    let (report, code) = json(&["-f", &config]);
    let write = finding(&report, "options")["write"].clone();
    let path = format!("add --connect {}/app.sock", stage.chroot());
    assert_eq!((write, code), (path.into(), 2), "{report}");
    let haproxy = Haproxy::start(Mode::Single, &config, &[]);
    let seen = haproxy.wait_for_check("b", "s");
    assert_eq!(
        (seen.check_status.as_str(), seen.check_code.as_str()),
        ("L7STS", "2")
    );
}

/// serve reads only files below the folder in `--files`.
#[test]
fn the_fix_for_other_roots_names_a_file_that_serve_may_read() {
    let stage = Stage::new();
    let _serve = serve(&stage, "socket", "0666");
    let text = backend(&format!("--sni {NAME} --timeout 800ms"))
        .replace("TLS", &format!("TLS ca-file {}", stage.ca_file));
    let (report, _) = json(&["-f", &in_chroot(&stage, &text)]);
    let finding = finding(&report, "traffic-other-roots");
    let write = finding["write"].as_str().expect("text");
    let (_, write) = write.split_once("otherwise: ").expect(write);
    let copy = format!(", with a copy of {} there", stage.ca_file);
    let option = write.strip_suffix(&copy).expect(write);
    let option = option.split(" in X-Check-Options").next().expect("text");
    let fixed = text.replace("--timeout", &format!("{option} --timeout"));
    let (report, _) = json(&["-f", &in_chroot(&stage, &fixed)]);
    assert!(found(&report).is_empty(), "{report}");
    crate::configuration::shows(&in_chroot(&stage, &fixed), "s", "L7OK", "0");
}

/// Nothing listens on the socket of serve, so the missing TLS isn't why the check fails.
#[test]
fn a_check_that_never_asks_the_server_proves_nothing_about_tls() {
    let stage = Stage::new();
    let plain = Nginx::plain();
    let rules = backend(&options());
    let config = rules.replace("PORT TLS", &plain.port.to_string());
    let (report, code) = json(&["-f", &in_chroot(&stage, &config), "--run"]);
    assert_eq!(code, 2, "{report}");
    finding(&report, "serve-socket");
    let shows = finding(&report, "traffic-without-tls")["shows"].to_string();
    assert!(!shows.contains("seen just now"), "{shows}");
}
