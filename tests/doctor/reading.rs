//! doctor reads a configuration as HAProxy does.

use std::collections::BTreeSet;

use crate::configuration::{PLAIN, checked, configure, finding, json};
use crate::support::folder::Folder;
use crate::support::free_port;
use crate::support::haproxy::{Haproxy, Mode, with_every_haproxy};
use crate::support::stage::Stage;

const GLOBAL: &str = "global\n external-check\n insecure-fork-wanted\n";

/// Returns the path that doctor reads in `external-check command /<text>`.
fn read_by_doctor(folder: &Folder, text: &str) -> String {
    let config = format!(
        "{GLOBAL} setenv LIST \"one  two\"\nbackend b\n option external-check\n \
         external-check command /{text}\n external-check path --no-sni\n server s 127.0.0.1:1 check\n"
    );
    let config = folder.file("doctor.cfg", &config);
    let (report, _) = json(&["-f", &config, "--env", "NAME=a b"]);
    let what = finding(&report, "command")["what"].as_str().expect("text");
    let command = what.strip_prefix("external-check command ").expect(what);
    command
        .strip_suffix(" does not exist")
        .expect(what)
        .to_owned()
}

/// Returns the word that HAProxy reads from the same text.
fn read_by_haproxy(folder: &Folder, text: &str) -> String {
    let config = format!("global\n setenv LIST \"one  two\"\n.notice /{text}\n");
    let config = folder.file("haproxy.cfg", &config);
    let output = Haproxy::check(&config, &[("NAME", "a b")]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("'/")).expect(&text);
    let (_, word) = line.split_once("'/").expect("a quote");
    let word = word.rsplit_once('\'').map_or(word, |(word, _)| word);
    format!("/{word}")
}

#[test]
fn words_are_split_as_haproxy_splits_them() {
    let folder = Folder::new();
    for text in [
        "plain",
        r"a\ b",
        r#""a b""#,
        "'a b'",
        r#"'a"b'"#,
        r#""a\"b""#,
        r"a\#b",
        "a#b",
        r"a\\b",
        r"'a\b'",
        r"a\1b",
        r"a\x41b",
        "$NAME",
        r#""$NAME""#,
        r#"'$NAME'"#,
        r#""${NAME}c""#,
        r#""${NONE-d e}""#,
        r#""\$NAME""#,
        r#""a"'b'c"#,
        r#""a#b""#,
    ] {
        assert_eq!(
            read_by_doctor(&folder, text),
            read_by_haproxy(&folder, text),
            "{text}"
        );
    }
}

/// Returns the external checks that doctor finds, as `backend/server`, and the report. `--run` lists these
/// checks. All of them fail with PROCERR.
fn checks(words: &[&str]) -> (BTreeSet<String>, serde_json::Value) {
    let (report, _) = json(&[words, &["--run"]].concat());
    let runs = report["runs"]["checks"].as_array().expect("checks");
    let is_external = |run: &&serde_json::Value| run["check_status"] == "PROCERR";
    let names = runs.iter().filter(is_external).map(|run| {
        let part = |name: &str| run[name].as_str().expect("text").to_owned();
        format!("{}/{}", part("backend"), part("server"))
    });
    (names.collect(), report)
}

#[test]
fn doctor_reads_files_folders_conditions_and_defaults_as_haproxy_does() {
    let folder = Folder::new();
    let defaults = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n";
    folder.file(
        "conf/1.cfg",
        &format!("{GLOBAL}{defaults} option external-check\n external-check command /none\n"),
    );
    folder.file(
        "conf/2.cfg",
        ".if defined(NOT_SET)\nbackend never\n server s 127.0.0.1:1 check\n.elif streq(\"$MODE\",two)\n\
         backend two\n server s 127.0.0.1:1 check\n.else\nbackend other\n server s 127.0.0.1:1 check\n.endif\n",
    );
    folder.file(
        "conf/3.cfg",
        "listen tcp\n bind 127.0.0.1:8080\n option tcp-check\n server s 127.0.0.1:1 check\n",
    );
    folder.file(
        "conf/4.cfg",
        &format!("{defaults}backend none\n server s 127.0.0.1:1 check\n"),
    );
    folder.file("conf/not-read.conf", "nonsense");
    folder.file("conf/.hidden.cfg", "nonsense");
    let more = folder.file("more.cfg", "backend more\n option external-check\n external-check command /none\n server s 127.0.0.1:1 check\n");
    let conf = folder.join("conf");
    for (mode, expected) in [("two", "two/s"), ("x", "other/s")] {
        let mode = format!("MODE={mode}");
        let (names, report) = checks(&["-f", &conf, "-f", &more, "--env", &mode]);
        let expected: BTreeSet<String> = [expected, "more/s"].map(str::to_owned).into();
        assert_eq!(names, expected, "{report}");
        assert_eq!(report["not_understood"], serde_json::Value::Array(vec![]));
        assert_eq!(report["haproxy"]["accepts"], true, "{report}");
    }
}

#[test]
fn lines_that_are_not_understood_are_reported_by_number() {
    let folder = Folder::new();
    let text = format!(
        "{GLOBAL}backend b\n option external-check\n external-check command /bin/true\n\
         server s 127.0.0.1:1 check sni\n server t 127.0.0.1:1 check inter soon\n\
         .if nonsense\n.endif\n server u \"open\n server-template v many 127.0.0.1:1 check\n\
         backend c from nowhere\n"
    );
    let config = folder.file("haproxy.cfg", &text);
    let (report, _) = json(&["-f", &config]);
    let unclear = report["not_understood"].as_array().expect("lines");
    let lines: Vec<u64> = unclear
        .iter()
        .map(|line| line["line"].as_u64().expect("a line"))
        .collect();
    assert_eq!(lines, [7, 8, 9, 12, 13], "{report}");
    assert!(report.to_string().contains("sni has no value"));
    let line = crate::configuration::finding(&report, "line");
    assert_eq!(
        (&line["line"], &line["mark"]),
        (&11.into(), &"problem".into())
    );
}

#[test]
fn a_server_template_is_checked_once_for_each_server() {
    let stage = Stage::new();
    let backend = checked("/none", "--no-sni", "127.0.0.1:1");
    let backend = backend.replace("server s ", "server-template s 3 ");
    let config = configure(&stage, PLAIN, &format!("{backend} check\n"));
    let (names, report) = checks(&["-f", &config]);
    assert_eq!(names.len(), 3, "{report}");
    assert!(names.contains("b/s3"));
}

#[test]
fn doctor_refuses_wrong_options_and_unreadable_files() {
    let folder = Folder::new();
    let empty = folder.join("");
    for (words, part) in [
        (
            &["-f", "/none.cfg"][..],
            "-f /none.cfg cannot be read: No such file",
        ),
        (&["-f", &empty], "has no *.cfg"),
        (&["-f"], "-f has no value"),
        (&["--env", "NAME", "-f", "/none.cfg"], "write NAME=VALUE"),
        (&["--env", "@/none", "-f", "/none.cfg"], "cannot read it"),
        (
            &["--haproxy", "/none", "-f", "/none.cfg"],
            "--haproxy /none cannot be run",
        ),
        (&["--rum"], "did you mean --run?"),
        (&["haproxy.cfg"], "such as -f FILE"),
    ] {
        let output = crate::configuration::doctor(words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?} {text}");
        assert!(text.contains(part), "{words:?}: {text}");
    }
}

/// HAProxy sets some variables before it reads the configuration.
#[test]
fn doctor_evaluates_conditions_about_haproxys_own_variables() {
    let folder = Folder::new();
    let mut text = String::from(
        "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n",
    );
    text += &format!("frontend f\n bind 127.0.0.1:{}\nbackend b\n", free_port());
    for (name, condition) in [
        ("branch", "streq(\"$HAPROXY_BRANCH\",3.0)"),
        ("branches", "defined(HAPROXY_BRANCH)"),
        ("version", "defined(HAPROXY_STARTUP_VERSION)"),
        ("peer", "defined(HAPROXY_LOCALPEER)"),
        ("files", "defined(HAPROXY_CFGFILES)"),
        ("format", "defined(HAPROXY_HTTP_LOG_FMT)"),
        ("none", "defined(HAPROXY_NEVER_SET)"),
    ] {
        text += &format!(
            ".if {condition}\n server {name} 127.0.0.1:1\n.else\n server not-{name} 127.0.0.1:1\n.endif\n"
        );
    }
    let config = folder.file("haproxy.cfg", &text);
    with_every_haproxy(|version| {
        let program = version.program.display().to_string();
        // The finding about servers without a check names each of them.
        let lines = text.replace(" 127.0.0.1:1\n", " 127.0.0.1:1 cookie c\n");
        let config_of_doctor = folder.file(
            &format!("{}.cfg", version.number),
            &format!("{lines} server last 127.0.0.1:1 check\n"),
        );
        let (report, _) = json(&["-f", &config_of_doctor, "--haproxy", &program]);
        let about = finding(&report, "not-checked")["about"].clone();
        let haproxy = version.start(Mode::Single, &config, &[]);
        let servers = haproxy.servers("b").expect("servers").into_iter();
        let servers: Vec<String> = servers.map(|(name, _)| format!("b/{name}")).collect();
        assert_eq!(about, serde_json::json!(servers), "{version:?}");
    });
}

#[test]
fn variables_in_addresses_need_no_quotes() {
    let folder = Folder::new();
    let config = "defaults\n mode http\nbackend b\n server s ${ADDRESS}:1 check sni str(${NAME})\n";
    let config = folder.file("haproxy.cfg", config);
    let (report, _) = json(&["-f", &config]);
    let about = &finding(&report, "unset-variables")["about"];
    // Without quotes, HAProxy doesn't expand variables after `sni`, so NAME doesn't count as a variable.
    assert_eq!(about.to_string(), r#"["ADDRESS"]"#, "{report}");
    let (report, _) = json(&["-f", &config, "--env", "ADDRESS=127.0.0.1"]);
    assert!(!report.to_string().contains("unset-variables"), "{report}");
}
