//! `sni-check diagnose` for the servers of a haproxy.cfg, while a real HAProxy reports them DOWN.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::readme::version;
use crate::support::NAME;
use crate::support::check::{BINARY, run_by_hand, stderr, stdout};
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::nginx::{Nginx, refusal, site};
use crate::support::peer;
use crate::support::stage::Stage;
use crate::support::svg::{picture, words};
use crate::support::{program, wait_for};

/// Writes a configuration for the stage's nginx, which accepts only clients that send SNI. In `backends`,
/// `PORT` stands for nginx's port, `TLS` for the keywords of a correct server line, and `CA` for the CA
/// file. Returns the path of the configuration.
pub fn config(stage: &Stage, backends: &str) -> String {
    let (ca, socket) = (&stage.ca_file, stage.folder.join("admin.sock"));
    let port = stage.nginx().port;
    let text = format!(
        "global
    stats socket {socket} level user
    external-check
    insecure-fork-wanted
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    default-server inter 500ms rise 1 fall 1
{backends}"
    );
    let tls = format!("ssl verify required ca-file {ca} sni str({NAME})");
    let text = text.replace("PORT", &port.to_string());
    let text = text.replace("TLS", &tls).replace("CA", ca);
    stage.folder.file("haproxy.cfg", &text)
}

/// The operator's mistake: the server lines have `sni`, but some of them don't have `check-sni`.
const SHOP: &str = "resolvers nobody
    nameserver one 127.0.0.1:9
    hold nx 1s
backend shop
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host www.example.test
    server web1 127.0.0.1:PORT TLS check
    server web2 127.0.0.1:PORT TLS check check-sni www.example.test
    server web3 nowhere.invalid:443 TLS check resolvers nobody init-addr none
    server web4 127.0.0.1:PORT TLS
";

/// Starts HAProxy with this configuration and waits until the server is in this state.
pub fn running(config: &str, (backend, server): (&str, &str), state: &str) -> Haproxy {
    let haproxy = Haproxy::start(Mode::Single, config, &[]);
    wait_for(&format!("{server} to be {state}"), || {
        let found = haproxy.server(backend, server)?;
        (found.status == state && found.check_status != "INI").then_some(())
    });
    haproxy
}

/// Starts HAProxy with the shop's configuration, and waits until both checked servers have a result.
fn shop(stage: &Stage) -> (String, Haproxy) {
    let config = config(stage, SHOP);
    let haproxy = running(&config, ("shop", "web1"), "DOWN");
    wait_for("web2 to be checked", || {
        let found = haproxy.server("shop", "web2")?;
        (found.check_status == "L7OK").then_some(())
    });
    (config, haproxy)
}

pub fn object(words: &[&str], code: i32) -> Value {
    let output = run_by_hand(&[&["diagnose", "--json"], words].concat());
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("an object")
}

/// Applies the diff in the report to the file. Every change must replace a line.
fn patched(config: &str, server: &Value) {
    let text = fs::read_to_string(config).expect("the configuration");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for hunk in server["diff"].as_array().expect("a diff") {
        assert_eq!(hunk["file"], config);
        let line = hunk["line"].as_u64().expect("a line") as usize - 1;
        assert_eq!(hunk["old"], lines[line].as_str());
        lines[line] = hunk["new"].as_str().expect("a new line").to_owned();
    }
    fs::write(config, lines.join("\n") + "\n").expect("written");
}

/// The README opens with this picture.
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/diagnose.svg");

/// Asserts that the README's picture shows what diagnose prints about this configuration. diagnose
/// sees the files in /etc/haproxy, so that the lines break as they do for an operator.
fn assert_picture_of_the_readme(stage: &Stage, config: &str) {
    let text = fs::read_to_string(config).expect("the configuration");
    let text = text.replace(&stage.ca_file, "/etc/haproxy/company.pem");
    fs::create_dir(stage.folder.join("seen")).expect("a folder");
    stage.folder.file("seen/haproxy.cfg", &text);
    stage.folder.file("seen/company.pem", &stage.ca.pem);
    let script = "mount --bind \"$1\" /etc/haproxy && exec \"$2\" diagnose --color always -f \
                  /etc/haproxy/haproxy.cfg";
    let output = program("unshare")
        .args(["-m", "/bin/sh", "-c", script, "sh"])
        .args([&stage.folder.join("seen"), BINARY])
        .output()
        .expect("unshare runs");
    let screen = format!("$ sudo sni-check diagnose\n{}", stdout(&output));
    let address = format!("127.0.0.1:{}", stage.nginx().port);
    let screen = screen.replace(&address, "203.0.113.7:443");
    // HAProxy may append the system's last error. Neither that text nor the installed release matters here.
    let errno = ["Connection reset by peer", "Broken pipe", "Success"];
    let screen = errno.iter().fold(screen, |screen, errno| {
        screen.replace(&format!(" ({errno}))"), ")")
    });
    let screen = screen.replace(&version(), "2.6.12");
    let title =
        "sni-check diagnose shows why a server is DOWN, and the line of haproxy.cfg to change";
    let picture = picture(title, &screen);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(PICTURE, &picture).expect("the picture");
    }
    let old = fs::read_to_string(PICTURE).expect("the picture");
    let advice = "UPDATE=1 cargo test --test diagnose picture";
    // The line breaks depend on the length of HAProxy's version, so compare only the words.
    assert_eq!(words(&old), words(&picture), "{advice}");
}

#[test]
fn one_call_explains_every_down_server_and_names_the_line_to_change() {
    let stage = Stage::new();
    let (config, haproxy) = shop(&stage);
    let output = run_by_hand(&["diagnose", "-f", &config]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(65), "{text}{}", stderr(&output));
    for part in [
        "servers: 1 DOWN, 1 UP, 1 in MAINT without an address, 1 not checked",
        "DOWN 65 L6RSP  shop/web1 127.0.0.1:",
        "HAProxy  DOWN, L6RSP (SSL handshake failure",
        "cause    The check sends no SNI, and the server needs the name.",
        "doctor   check-without-sni",
        ": check UP, visitors get 200",
        "\n-    server web1 ",
        &format!(" check check-sni {NAME}\n"),
        "MAINT shop/web3: ",
        "no check shop/web4: ",
    ] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = text.contains(part) || flat.contains(part);
        assert!(found, "{part}: {text}");
    }
    assert!(
        !text.contains("shop/web2") && text.lines().count() <= 32,
        "{text}"
    );
    let report = object(&["-f", &config], 65);
    let server = &report["servers"][0];
    assert_eq!((&report["down"], &report["up"]), (&1.into(), &1.into()));
    assert_eq!(server["backend"], "shop");
    assert_eq!(server["haproxy_check"], "L6RSP");
    assert_eq!(server["causes"][0]["id"], "sni-missing");
    assert_eq!(server["diff_visitors"], 200);
    drop(haproxy);
    patched(&config, server);
    let haproxy = running(&config, ("shop", "web1"), "UP");
    assert!(haproxy.server("shop", "web1").is_some());
    let report = object(&["-f", &config], 0);
    assert_eq!(report["down"], 0);
}

/// `UPDATE=1 cargo test --test diagnose picture` draws the picture again.
#[test]
fn the_picture_of_the_readme_is_real() {
    let stage = Stage::new();
    let (config, _haproxy) = shop(&stage);
    assert_picture_of_the_readme(&stage, &config);
}

#[test]
fn without_a_socket_each_server_is_checked_once() {
    let stage = Stage::new();
    let config = config(&stage, SHOP);
    // No process listens on the socket.
    let report = object(&["-f", &config, "--haproxy", "none"], 65);
    assert!(report["socket"].is_null());
    assert!(report["no_statistics"].is_string());
    assert_eq!(report["servers"][0]["server"], "web1");
    assert_eq!(report["servers"][0]["state"], "DOWN");
    let text = fs::read_to_string(&config).expect("the configuration");
    let without = text.replace("    stats socket", "    # stats socket");
    fs::write(
        &config,
        without.replace("web3 nowhere.invalid", "web3 127.0.0.1"),
    )
    .expect("written");
    let output = run_by_hand(&["diagnose", "-f", &config]);
    let text = stdout(&output)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        text.contains("the configuration has no `stats socket`. Each server was checked once"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(65), "{text}");
}

#[test]
fn a_named_server_is_diagnosed_even_if_it_is_up() {
    let stage = Stage::new();
    let config = config(&stage, SHOP);
    let output = run_by_hand(&["diagnose", "--verbose", "-f", &config, "shop/web2"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("UP 0 L7OK  shop/web2") && text.contains("HAProxy's view"),
        "{text}"
    );
    let report = object(&["-f", &config, "shop/web1"], 65);
    assert_eq!(report["servers"].as_array().expect("servers").len(), 1);
    for (name, phrase) in [
        ("shop/web9", "write BACKEND/SERVER, such as shop/web1"),
        ("sho/web1", "neither a URL nor a server"),
    ] {
        let output = run_by_hand(&["diagnose", "-f", &config, name]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(phrase), "{output:?}");
    }
    let output = run_by_hand(&["diagnose", "-f", "/nonexistent.cfg"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = run_by_hand(&["diagnose", "--sni", NAME]);
    assert!(stderr(&output).contains("no target"), "{output:?}");
}

#[test]
fn a_wrong_sni_in_external_check_path_is_corrected_from_the_server_line() {
    let stage = Stage::new();
    let backend = "backend ext
    option external-check
    external-check command COMMAND
    external-check path \"--sni wwww.example.test --ca-file CA --uri /\"
    server e1 127.0.0.1:PORT TLS check inter 5s
";
    let config = config(&stage, &backend.replace("COMMAND", BINARY));
    let haproxy = running(&config, ("ext", "e1"), "DOWN");
    let report = object(&["-f", &config], 65);
    let server = &report["servers"][0];
    assert_eq!(server["haproxy_check_code"], "65");
    assert_eq!(server["causes"][0]["id"], "sni-wrong");
    let new = server["diff"][0]["new"].as_str().expect("a line");
    assert!(
        new.contains(&format!("external-check path \"--sni {NAME} --ca-file ")),
        "{new}"
    );
    drop(haproxy);
    patched(&config, server);
    let _haproxy = running(&config, ("ext", "e1"), "UP");
}

#[test]
fn a_check_without_host_is_tried_with_host() {
    let stage = Stage::new();
    let leaf = &stage.leaf;
    // Without the Host of the site, another site answers.
    let nginx = Nginx::serve(|folder, port| {
        let other = stage.ca.leaf(&["other.example.test"], 30);
        let refuses = "return 400;";
        let more = "default_server";
        site(
            (folder, port),
            more,
            "other.example.test",
            (&other, &[]),
            refuses,
        ) + &site((folder, port), "", NAME, (leaf, &[]), "")
    });
    let backend = "backend web
    option httpchk GET /
    server w1 127.0.0.1:NGINX TLS check check-sni www.example.test
";
    let config = config(&stage, &backend.replace("NGINX", &nginx.port.to_string()));
    let _haproxy = running(&config, ("web", "w1"), "DOWN");
    let report = object(&["-f", &config], 71);
    let server = &report["servers"][0];
    assert_eq!(server["haproxy_check"], "L7STS", "{server}");
    let hunk = &server["diff"][0];
    assert!(hunk["old"].is_null(), "{hunk}");
    let new = hunk["new"].as_str().expect("a line");
    assert_eq!(
        new,
        format!("    http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}")
    );
    assert_eq!(server["diff_visitors"], 200);
}

#[test]
fn a_missing_accept_and_a_wrong_source_of_the_backend_are_corrected_together() {
    let stage = Stage::new();
    let rules =
        "if ($http_accept = '') { return 406; } if ($remote_addr != 127.0.0.1) { return 403; }";
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), rules));
    let backend = "backend web
    source 127.0.0.5
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host www.example.test
    server w1 127.0.0.1:NGINX TLS check check-sni www.example.test
";
    let config = config(&stage, &backend.replace("NGINX", &nginx.port.to_string()));
    let _haproxy = running(&config, ("web", "w1"), "DOWN");
    let report = object(&["-f", &config], 71);
    let server = &report["servers"][0];
    let [source, send] = server["diff"].as_array().expect("a diff").as_slice() else {
        panic!("{server}");
    };
    assert_eq!(source["old"], "    source 127.0.0.5");
    assert!(source["new"].is_null(), "{source}");
    let new = format!(
        "    http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME} hdr Accept \"*/*\""
    );
    assert_eq!(send["new"], new.as_str());
    assert_eq!(server["diff_visitors"], 200);
}

#[test]
fn the_options_of_serve_are_corrected_in_their_header() {
    let stage = Stage::new();
    let backend = "backend served
    option httpchk
    http-check connect addr unix@/nowhere/sni-check.sock
    http-check send-state
    http-check send meth GET uri / hdr X-Check-Options \"--sni wwww.example.test --ca-file CA\"
    http-check expect hdr name X-Check-Code value 0
    server s1 127.0.0.1:PORT TLS check inter 5s
";
    let config = config(&stage, backend);
    let report = object(&["-f", &config, "served/s1"], 65);
    let server = &report["servers"][0];
    assert_eq!(server["causes"][0]["id"], "sni-wrong");
    let new = server["diff"][0]["new"].as_str().expect("a line");
    let options = format!("hdr X-Check-Options \"--sni {NAME} --ca-file ");
    assert!(new.contains(&options), "{new}");
}

#[test]
fn a_server_template_is_diagnosed_and_its_line_is_changed() {
    let stage = Stage::new();
    let backend = "backend many
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host www.example.test
    server-template web 2 127.0.0.1:PORT TLS check
";
    let config = config(&stage, backend);
    let haproxy = running(&config, ("many", "web2"), "DOWN");
    let report = object(&["-f", &config], 65);
    assert_eq!(report["servers"].as_array().map(Vec::len), Some(2));
    drop(haproxy);
    patched(&config, &report["servers"][1]);
    let _haproxy = running(&config, ("many", "web2"), "UP");
}

#[test]
fn a_file_that_is_missing_in_the_chroot_is_named_with_the_command_that_copies_it() {
    let stage = Stage::new();
    let jail = stage.folder.join("jail");
    fs::create_dir(&jail).expect("a folder");
    let backend = format!(
        "backend ext
    option external-check
    external-check command {BINARY}
    external-check path \"--sni {NAME} --ca-file CA\"
    server s1 127.0.0.1:PORT TLS check inter 5s
global
    chroot {jail}
"
    );
    let config = config(&stage, &backend);
    let output = run_by_hand(&["diagnose", "-f", &config, "ext/s1"]);
    let text = stdout(&output).replace(" \\\n", "\n");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let ca = &stage.ca_file;
    for part in [
        format!("--ca-file {ca} is not in the chroot {jail}"),
        format!("install -D -m 644 {ca} {jail}{ca}"),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
}

#[test]
fn missing_sni_for_visitors_is_reported_although_the_check_is_up() {
    let stage = Stage::new();
    let backend = format!(
        "backend shop
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}
    server web1 127.0.0.1:PORT ssl verify required ca-file CA check check-sni {NAME}
"
    );
    let config = config(&stage, &backend);
    let report = object(&["-f", &config, "shop/web1"], 0);
    let server = &report["servers"][0];
    assert_eq!(server["state"], "UP");
    assert_eq!(server["causes"][0]["id"], "traffic-needs-sni");
    assert_eq!(server["diff_visitors"], 200);
    let new = server["diff"][0]["new"].as_str().expect("a line");
    assert!(new.ends_with(&format!(" sni str({NAME})")), "{new}");
}

#[test]
fn relative_paths_below_ca_base_and_crt_base_are_tried_as_haproxy_reads_them() {
    let stage = Stage::new();
    let folder = stage.folder.join("");
    let (folder, name) = (folder.trim_end_matches('/'), &stage.ca_file[folder.len()..]);
    let backend = format!(
        "global
    ca-base {folder}
backend shop
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}
    server web1 127.0.0.1:PORT ssl verify required ca-file {name} sni str({NAME}) check
"
    );
    let config = config(&stage, &backend);
    let report = object(&["-f", &config, "shop/web1"], 65);
    assert_eq!(report["servers"][0]["diff_visitors"], 200, "{report}");
}

/// Applies the printed changes, including added and removed lines. Servers may share a changed line.
pub fn apply(config: &str, servers: &[Value]) {
    let text = fs::read_to_string(config).expect("the configuration");
    let mut lines: Vec<Vec<String>> = text.lines().map(|line| vec![line.to_owned()]).collect();
    let hunks = servers
        .iter()
        .filter_map(|server| server["diff"].as_array());
    let mut hunks: Vec<&Value> = hunks.flatten().collect();
    hunks.sort_by_key(|hunk| hunk.to_string());
    hunks.dedup();
    for hunk in hunks {
        let at = hunk["line"].as_u64().expect("a line") as usize - 1;
        assert_ne!(hunk["old"], hunk["new"], "{hunk}");
        if !hunk["old"].is_null() {
            assert_eq!(hunk["old"], lines[at].remove(0).as_str());
        }
        lines[at].extend(hunk["new"].as_str().map(str::to_owned));
    }
    fs::write(config, lines.concat().join("\n") + "\n").expect("written");
}

/// Asserts that diagnose prints a line with `new` for a server that is DOWN, and that HAProxy then
/// reports the server UP. Returns the report about the server.
#[track_caller]
pub fn assert_changed(
    stage: &Stage,
    backends: &str,
    (backend, server): (&str, &str),
    new: &str,
) -> Value {
    let config = config(stage, backends);
    let haproxy = running(&config, (backend, server), "DOWN");
    let output = run_by_hand(&["diagnose", "--json", "-f", &config]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let found = report["servers"].as_array().expect("servers").iter();
    let mut found = found.filter(|found| found["backend"] == backend && found["server"] == server);
    let found = found.next().expect("the server").clone();
    let text = found["diff"].to_string().replace("\\\"", "\"");
    assert!(text.contains(new), "{new}: {found:#}");
    drop(haproxy);
    apply(&config, std::slice::from_ref(&found));
    running(&config, (backend, server), "UP");
    found
}

/// A check that requests the page of the stage's site.
pub const CHECK: &str = "    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host www.example.test
";

#[test]
fn the_connect_rule_of_a_check_is_changed_and_not_the_server_line() {
    let send = "http-check send meth GET uri / ver HTTP/1.1 hdr Host www.example.test";
    let line = "server s1 127.0.0.1:PORT TLS check check-sni www.example.test";
    for (rules, new) in [
        (
            format!("option httpchk\n    http-check connect ssl\n    {send}"),
            "    http-check connect ssl sni www.example.test\"",
        ),
        (
            format!(
                "option httpchk\n    http-check connect ssl sni www.example.test alpn h2\n    {send}"
            ),
            "    http-check connect ssl sni www.example.test\"",
        ),
        (
            format!(
                "option httpchk\n    http-check connect port 9 ssl sni www.example.test # x\n    {send}"
            ),
            "    http-check connect ssl sni www.example.test # x\"",
        ),
        (
            "option tcp-check\n    tcp-check connect ssl".to_owned(),
            "    tcp-check connect ssl sni www.example.test\"",
        ),
    ] {
        let stage = Stage::new();
        let backend = format!("backend be\n    {rules}\n    {line}\n");
        assert_changed(&stage, &backend, ("be", "s1"), new);
    }
}

#[test]
fn settings_that_sni_check_refuses_are_corrected_by_haproxys_verdict() {
    for (words, new) in [
        (
            "check-sni www.example.test check-alpn h2",
            "check check-sni www.example.test\"",
        ),
        (
            "check-sni https://www.example.test/",
            "check check-sni www.example.test\"",
        ),
        (
            "check-sni str(www.example.test)",
            "check check-sni www.example.test\"",
        ),
        (
            "check-sni www.example.test.",
            "check check-sni www.example.test\"",
        ),
    ] {
        let stage = Stage::new();
        let backend =
            format!("backend be\n{CHECK}    server s1 127.0.0.1:PORT TLS check {words}\n");
        assert_changed(&stage, &backend, ("be", "s1"), new);
    }
}

#[test]
fn a_name_in_verifyhost_stays_verified() {
    let stage = Stage::new();
    let stage_ca = &stage.ca_file;
    let answer = peer::answer(&stage.leaf, peer::OK);
    for (line, words, new) in [
        (
            "",
            "verifyhost old.example.test",
            format!("verifyhost {NAME} "),
        ),
        // The server line overrides the verifyhost of default-server.
        (
            "    default-server verifyhost old.example.test\n",
            "",
            format!("check verifyhost {NAME}\""),
        ),
    ] {
        let backend = format!(
            "backend be\n{CHECK}{line}    server s1 127.0.0.1:{answer} ssl verify required ca-file {stage_ca} {words} check\n"
        );
        let server = assert_changed(&stage, &backend, ("be", "s1"), &new);
        assert!(
            !server["diff"].to_string().contains("check-sni"),
            "{server:#}"
        );
    }
}

#[test]
fn diagnose_reports_the_tracked_server_instead_of_a_tracking_server() {
    let stage = Stage::new();
    let backends = format!(
        "backend be\n    server s1 127.0.0.1:PORT TLS track hc/h1\nbackend hc\n{CHECK}    server h1 127.0.0.1:PORT TLS check\n"
    );
    let config = config(&stage, &backends);
    let haproxy = running(&config, ("hc", "h1"), "DOWN");
    for call in [&["-f", &config, "be/s1"][..], &["-f", &config]] {
        let report = object(call, 65);
        let servers = report["servers"].as_array().expect("servers");
        let diffs = servers.iter().filter(|server| server["diff"].is_array());
        let diffs: Vec<&Value> = diffs.collect();
        assert_eq!(diffs.len(), 1, "{report:#}");
        assert_eq!(diffs[0]["server"], "h1");
    }
    let output = run_by_hand(&["diagnose", "-f", &config, "be/s1"]);
    assert!(
        stdout(&output).starts_with("be/s1 tracks hc/h1, "),
        "{output:?}"
    );
    drop(haproxy);
}

#[test]
fn the_diff_keeps_variables_and_the_report_names_unset_variables() {
    let stage = Stage::new();
    let (backend, line) = (
        "backend be\n    option httpchk\n",
        "    http-check send meth GET uri /missing ver HTTP/1.1 hdr Host www.example.test hdr X-Token \"a ${TOKEN}\" # note",
    );
    let server = "    server s1 127.0.0.1:PORT TLS check check-sni www.example.test";
    let config = config(&stage, &format!("{backend}{line}\n{server}\n"));
    let report = object(&["-f", &config, "be/s1"], 2);
    let why = report["servers"][0]["not_diagnosed"]
        .as_str()
        .expect("a reason");
    assert!(
        why.contains("${TOKEN} is not set here") && why.contains("--env TOKEN="),
        "{why}"
    );
    let output = run_by_hand(&["diagnose", "-f", &config, "--env", "TOKEN=secret", "be/s1"]);
    let text = stdout(&output);
    let new = line.replace("/missing", "/");
    assert!(
        text.contains(&format!("\n+{new}\n")) && !text.contains("secret"),
        "{text}"
    );
}

#[test]
fn a_state_that_the_check_does_not_decide_is_explained() {
    let stage = Stage::new();
    let [agent, away] = ["down\n", "maint\n"]
        .map(|answer| peer::tcp(move |mut stream| _ = stream.write_all(answer.as_bytes())));
    let backend = format!(
        "backend be\n{CHECK}    http-check disable-on-404
    server away 127.0.0.1:PORT TLS check check-sni {NAME} agent-check agent-port {away} agent-inter 200ms
    server agent 127.0.0.1:PORT TLS check check-sni {NAME} agent-check agent-port {agent} agent-inter 200ms
    server off 127.0.0.1:PORT TLS check check-sni {NAME} disabled\n"
    );
    let config = config(&stage, &backend);
    let haproxy = running(&config, ("be", "agent"), "DOWN (agent)");
    let output = run_by_hand(&["diagnose", "-f", &config]);
    let text = stdout(&output)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(output.status.code(), Some(71), "{text}");
    for part in [
        "answers `down`, so HAProxy sets the server DOWN",
        "answers `maint`, so HAProxy puts the server into maintenance",
        "The server comes back when the agent answers `ready`.",
        "`set server be/off state ready` on the stats socket",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    drop(haproxy);
    let text = fs::read_to_string(&config).expect("the configuration");
    let text = text
        .replace("uri / ", "uri /missing ")
        .replace(" agent-check", " no-agent-check");
    fs::write(&config, text).expect("written");
    let _haproxy = running(&config, ("be", "agent"), "NOLB");
    let report = object(&["-f", &config], 71);
    assert_eq!(report["servers"][1]["state"], "NOLB", "{report:#}");
    assert_eq!(report["servers"][1]["diff_visitors"], 200, "{report:#}");
}

#[test]
fn an_agent_that_keeps_visitors_away_is_named_even_if_the_check_is_down() {
    let stage = Stage::new();
    let agent = peer::tcp(|mut stream| _ = stream.write_all(b"drain\n"));
    let backend = format!(
        "backend be\n{CHECK}    server s1 127.0.0.1:PORT TLS check agent-check agent-port {agent}\n"
    );
    let config = config(&stage, &backend);
    let _haproxy = running(&config, ("be", "s1"), "DOWN");
    let output = run_by_hand(&["diagnose", "-f", &config]);
    let text = stdout(&output);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("answers `drain`, so HAProxy sends"), "{text}");
}

#[test]
fn a_slow_external_check_gets_more_time_without_timeout_check() {
    let stage = Stage::new();
    let port = peer::tls(&stage.leaf, |stream| {
        thread::sleep(Duration::from_millis(800));
        _ = stream.write_all(peer::OK.as_bytes());
    });
    // If `timeout check` is set, HAProxy kills an external check after `timeout connect`.
    for (limits, new) in [
        ("", "--timeout "),
        (
            "    timeout check 2s\n    timeout connect 500ms\n",
            "    timeout connect 5",
        ),
    ] {
        let backend = format!(
            "backend be\n    option external-check\n    external-check command {BINARY}
    external-check path \"--sni {NAME} --ca-file CA --timeout 400ms\"\n{limits}    server s1 127.0.0.1:{port} TLS check inter 2s\n"
        );
        let server = assert_changed(&stage, &backend, ("be", "s1"), new);
        assert!(
            !server["diff"].to_string().contains("timeout check "),
            "{server:#}"
        );
    }
}

#[test]
fn a_second_fault_of_a_slow_page_is_found_in_the_late_response() {
    let stage = Stage::new();
    let port = peer::tls_with_head(&stage.leaf, &[], |head, stream| {
        thread::sleep(Duration::from_millis(800));
        let is_right = head.starts_with("GET /good ") && head.contains(&format!("ost: {NAME}\r"));
        let response = match is_right {
            true => peer::OK,
            false => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        };
        _ = stream.write_all(response.as_bytes());
    });
    let backend = format!(
        "backend be\n    timeout check 400ms\n    option httpchk
    http-check send meth GET uri /good ver HTTP/1.1 hdr Host www.example.com
    server s1 127.0.0.1:{port} TLS check check-sni {NAME} inter 1s\n"
    );
    let new = format!("uri /good ver HTTP/1.1 hdr Host {NAME}");
    let server = assert_changed(&stage, &backend, ("be", "s1"), &new);
    assert!(
        server["diff"].to_string().contains("timeout check 5"),
        "{server:#}"
    );
    let causes = server["causes"].to_string();
    assert!(!causes.contains("limit of sni-check"), "{causes}");
}

#[test]
fn an_sni_name_that_visitors_send_is_not_called_missing() {
    let stage = Stage::new();
    let port = peer::tls_with_head(&stage.leaf, &[], |head, stream| {
        let answer = match head.to_lowercase().contains("host: other.example.test") {
            true => "HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n",
            false => peer::OK,
        };
        _ = stream.write_all(answer.as_bytes());
    });
    let backend = format!(
        "backend be\n{CHECK}    http-request set-header Host other.example.test\n    server s1 127.0.0.1:{port} TLS check check-sni {NAME}\n"
    );
    let config = config(&stage, &backend);
    let report = object(&["-f", &config, "be/s1"], 0);
    let server = &report["servers"][0];
    assert_eq!(server["visitors"], 421, "{server:#}");
    let old = server["diff"][0]["old"].to_string();
    assert!(old.contains("set-header Host"), "{server:#}");
    assert!(
        !server["causes"].to_string().contains("traffic-needs-sni"),
        "{server:#}"
    );
}

#[test]
fn a_check_of_another_port_gets_its_own_proxy_header() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|folder, port| {
        site(
            (folder, port),
            "proxy_protocol",
            NAME,
            (&stage.leaf, &[]),
            "",
        )
    });
    let port = nginx.port;
    let backend = format!(
        "backend be\n{CHECK}    server s1 127.0.0.1:{port} TLS send-proxy check port {port} check-ssl check-sni {NAME}\n"
    );
    assert_changed(&stage, &backend, ("be", "s1"), "check-send-proxy\"");
}

#[test]
fn a_source_address_that_the_server_refuses_is_removed() {
    let stage = Stage::new();
    let allows = "if ($remote_addr != 127.0.0.1) { return 403; }";
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), allows));
    let port = nginx.port;
    let backend = format!(
        "backend be\n{CHECK}    server s1 127.0.0.1:{port} TLS check check-sni {NAME} source 127.0.0.5\n"
    );
    let new = format!("check check-sni {NAME}\"");
    assert_changed(&stage, &backend, ("be", "s1"), &new);
}

#[test]
fn a_rule_that_needs_another_section_does_not_keep_haproxy_from_trying_a_change() {
    let stage = Stage::new();
    // The HAProxy that tries the change has no userlist.
    let rules = "    acl known http_auth(staff)
    http-request set-header X-Known yes if known\n";
    let backend = format!(
        "userlist staff\n    user a insecure-password b\nbackend be\n{CHECK}{rules}    server s1 127.0.0.1:PORT TLS check\n"
    );
    let new = format!("check-sni {NAME}");
    assert_changed(&stage, &backend, ("be", "s1"), &new);
}

/// Starts nginx for [`NAME`] with these additional parameters of `listen`, and these additional directives in
/// its `server` block.
pub fn nginx(stage: &Stage, listen: &str, rules: &str) -> Nginx {
    Nginx::serve(|folder, port| site((folder, port), listen, NAME, (&stage.leaf, &[]), rules))
}

#[test]
fn a_host_with_a_log_format_expression_stays() {
    let stage = Stage::new();
    let send = CHECK.replace("hdr Host www.example.test", "hdr Host %[srv_name]");
    let backend = format!("backend be\n{send}    server {NAME} 127.0.0.1:PORT TLS check\n");
    let found = assert_changed(&stage, &backend, ("be", NAME), &format!("check-sni {NAME}"));
    assert!(!found["diff"].to_string().contains("http-check"), "{found}");
}

#[test]
fn every_keyword_about_an_unwanted_proxy_header_is_removed() {
    let stage = Stage::new();
    for words in [
        "check-send-proxy",
        "send-proxy-v2-ssl-cn",
        "send-proxy-v2 proxy-v2-options ssl,crc32c",
    ] {
        let backend = format!(
            "backend be\n{CHECK}    server s1 127.0.0.1:PORT TLS check check-sni {NAME} {words}\n"
        );
        let new = format!("check check-sni {NAME}\",");
        assert_changed(&stage, &backend, ("be", "s1"), &new);
    }
}

#[test]
fn a_check_with_http2_is_diagnosed_without_its_alpn() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|folder, port| {
        let site = site((folder, port), "http2", NAME, (&stage.leaf, &[]), "");
        site + &refusal(port)
    });
    let backend = format!(
        "backend be\n{CHECK}    server s1 127.0.0.1:{} TLS check alpn h2 check-alpn h2\n",
        nginx.port
    );
    let new = format!("alpn h2 check-alpn h2 check-sni {NAME}");
    assert_changed(&stage, &backend, ("be", "s1"), &new);
}

#[test]
fn a_wrong_name_in_sni_and_check_sni_is_corrected_in_both() {
    let stage = Stage::new();
    let backend = format!(
        "backend be\n{CHECK}    server s1 127.0.0.1:PORT TLS sni str(old.example.test) check check-sni x check-sni old.example.test\n"
    );
    let new = format!("sni str({NAME}) check check-sni {NAME} check-sni {NAME}");
    assert_changed(&stage, &backend, ("be", "s1"), &new);
}
