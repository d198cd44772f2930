//! The report as text and as JSON, and the configurations in haproxy/.

use std::process::Command;

use crate::configuration::{checked, configure, doctor, in_chroot, json};
use crate::support::NAME;
use crate::support::check;
use crate::support::stage::Stage;

#[test]
fn the_configurations_in_haproxy_have_no_finding() {
    let stage = Stage::new();
    stage
        .folder
        .copy(check::BINARY, "root/usr/local/bin/sni-check", 0o755);
    let client = stage.ca.leaf(&["client.example.test"], 30);
    let client = stage.folder.file("root/client.pem", &client.both_pem());
    let socket = stage.folder.join("serve");
    let pairs = [
        ("SERVE_SOCKET", socket.clone()),
        ("HYBRID_STACK_HOST", "127.0.0.1".to_owned()),
        ("STACK_HOST", "127.0.0.1".to_owned()),
        ("SNI_HOST", NAME.to_owned()),
        ("SNI_CHECK", format!("{}/sni-check", stage.chroot())),
        ("CA_FILE", format!("{}/ca.pem", stage.chroot())),
        ("CLIENT_PEM", client),
        ("CHROOT", stage.chroot().to_owned()),
    ];
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let pairs = pairs.map(|(name, value)| format!("{name}={value}"));
    let folder = format!("{}/haproxy", env!("CARGO_MANIFEST_DIR"));
    let mut checks = 0;
    for entry in std::fs::read_dir(folder).expect("configurations") {
        let config = entry.expect("an entry").path().display().to_string();
        let mut words = vec!["-f", &config];
        words.extend(pairs.iter().flat_map(|pair| ["--env", pair]));
        let (report, code) = json(&words);
        assert_eq!(
            (code, &report["findings"]),
            (0, &serde_json::Value::Array(vec![])),
            "{config}: {report}"
        );
        assert_eq!(
            report["not_understood"],
            serde_json::Value::Array(vec![]),
            "{report}"
        );
        assert_eq!(report["haproxy"]["accepts"], true);
        checks += report["checks"].as_u64().expect("a number");
    }
    assert_eq!(checks, 5);
}

/// Writes a configuration with a problem, a note, and a line that doctor doesn't understand.
fn config(stage: &Stage) -> String {
    let backend = checked("/missing", "--snl x", "127.0.0.1:PORT check inter soon");
    in_chroot(stage, &backend)
}

#[test]
fn the_most_serious_finding_comes_first_and_no_line_is_wider_than_a_terminal() {
    let stage = Stage::new();
    let output = doctor(&["-f", &config(&stage), "--run"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains('\x1b'), "colours in a pipe: {text:?}");
    // A long path stays on one line, so that it can be pasted.
    let words = |line: &str| line.trim().trim_end_matches(" \\").split(' ').count();
    for line in text.lines().filter(|line| words(line) > 1) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let marks: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            ["  problem ", "  note "]
                .into_iter()
                .find(|mark| line.starts_with(mark))
        })
        .collect();
    assert!(
        marks.len() >= 2 && marks.is_sorted_by(|a, b| a >= b),
        "{text}"
    );
    for part in [
        "shows  PROCERR with code 255",
        "paste  install -D -m 755",
        "Not understood",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let colored = doctor(&["-f", &config(&stage), "--color=always"]);
    assert!(String::from_utf8_lossy(&colored.stdout).contains("\x1b[31mproblem"));
}

/// Each line of the output is one annotation. Text from haproxy.cfg can't begin a new annotation.
#[test]
fn annotations_name_the_line_of_each_finding() {
    let stage = Stage::new();
    let text = std::fs::read_to_string(config(&stage)).expect("text");
    let file = stage
        .folder
        .file("a,b.cfg", &text.replace("/missing", "/missing%0A::error::"));
    let (report, code) = json(&["-f", &file]);
    let output = doctor(&["-f", &file, "--github"]);
    assert_eq!(output.status.code(), Some(code));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines();
    let summary = lines.next().expect("a line");
    assert!(
        summary.starts_with("::notice title=sni-check doctor::"),
        "{text}"
    );
    let findings = report["findings"].as_array().expect("findings");
    assert_eq!(lines.clone().count(), findings.len(), "{text}");
    for (line, finding) in lines.zip(findings) {
        let level = match (finding["mark"].as_str(), finding["effect"].as_str()) {
            (Some("problem"), _) => "error",
            (_, Some("none")) => "notice",
            _ => "warning",
        };
        let place = match finding["line"].as_u64() {
            Some(line) => format!("file={},line={line},", file.replace(',', "%2C")),
            None => String::new(),
        };
        let id = finding["id"].as_str().expect("an id");
        let start = format!("::{level} {place}title={id}::");
        assert!(line.starts_with(&start), "{line} ({start})");
    }
    assert!(text.contains("/missing%250A::error:: "), "{text}");
    assert_eq!(doctor(&["--github", "--json"]).status.code(), Some(2));
}

#[test]
fn without_haproxy_the_configuration_is_still_examined() {
    let stage = Stage::new();
    let backend = checked(
        "/sni-check",
        "--no-sni --ca-file /none.pem",
        "127.0.0.1:1 check",
    );
    let config = configure(&stage, "external-check\n insecure-fork-wanted", &backend);
    let text = std::fs::read_to_string(config).expect("text");
    stage.folder.file("root/haproxy.cfg", &text);
    // This chroot has no HAProxy.
    let output = Command::new("/usr/sbin/chroot")
        .args([
            stage.chroot(),
            "/sni-check",
            "doctor",
            "-f",
            "/haproxy.cfg",
            "--json",
        ])
        .env_clear()
        .output()
        .expect("chroot runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: serde_json::Value = serde_json::from_str(&text).expect(&text);
    assert!(report["haproxy"].is_null(), "{report}");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text.contains("--ca-file /none.pem does not exist"),
        "{text}"
    );
}

#[test]
fn under_haproxy_doctor_is_refused() {
    for words in [
        &["doctor"][..],
        &["--as-haproxy", "", "", "", "/bin/true", "1", "2", "3", "4"],
    ] {
        let mut command = Command::new(check::BINARY);
        command.args(words).env("HAPROXY_SERVER_NAME", "s");
        let output = command.output().expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stdout.is_empty());
    }
}

/// The configuration of the example in docs/diagnose.md, with common mistakes.
const EXAMPLE: &str = r#"global
    user haproxy
    group haproxy
    external-check

defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend www
    bind 127.0.0.1:8080
    default_backend hybrid

backend hybrid
    option external-check
    external-check command /opt/sni-chekc
    external-check path "--snl www.example.com"
    server blue 203.0.113.7:443 ssl verify required ca-file @system-ca sni str(www.example.com) check
"#;

/// Removes HAProxy's messages about findings from the report, because they depend on HAProxy's version.
fn without_haproxys_words(text: &str) -> String {
    let mut in_words = false;
    let lines = text.lines().filter(|line| {
        let label = line
            .get(11..18)
            .is_some_and(|label| !label.trim().is_empty());
        in_words = match label || line.trim().is_empty() {
            true => line.trim_start().starts_with("says   HAProxy: "),
            false => in_words,
        };
        !in_words
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_page_shows_doctors_real_report() {
    let folder = crate::support::folder::Folder::new();
    folder.file("haproxy.cfg", EXAMPLE);
    let output = Command::new(check::BINARY)
        .args(["doctor", "-f", "haproxy.cfg"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let shown = format!("```\n$ sni-check doctor -f haproxy.cfg\n{text}");
    // HAProxy's own messages depend on its version.
    let shown = shown
        .split("\nhaproxy -c says")
        .next()
        .expect("text")
        .trim_end();
    let shown = without_haproxys_words(shown);
    // Line breaks depend on the length of the program's path.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = words(&format!("{shown}\n…\n```\n"));
    let shown = shown.replace(check::BINARY, "/usr/local/bin/sni-check");
    let page = words(include_str!("../../docs/diagnose.md"));
    assert!(page.contains(&shown), "{shown}");
}
