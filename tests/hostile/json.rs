//! Whatever a peer sends, JSON is complete and harmless on a terminal.

use serde_json::Value;

use crate::support::check::{expect, run_by_hand, stdout};
use crate::support::folder::Folder;
use crate::support::stage::Stage;
use crate::support::{NAME, peer};

/// Characters that would move a cursor or reverse text (C1, direction marks, a tag), and quotes.
const HOSTILE: &str = "\u{9b}31m \u{202e}x\u{61c}\u{ad}\u{e0041} \"q\" ";

#[track_caller]
fn expect_whole(text: &str, cause: &str) {
    let raw = |c: char| c != '\n' && (c.is_control() || !(c.is_ascii() || c == '€'));
    assert!(!text.contains(raw), "{text:.300}");
    assert_eq!(text.lines().count(), 1);
    let object: Value = serde_json::from_str(text).expect("JSON");
    let shown = object["cause"].as_str().expect("a cause");
    assert!(shown.contains(cause), "{shown:.300}");
}

#[test]
fn json_is_never_truncated_by_hand_or_under_haproxy() {
    let stage = Stage::new();
    let location = format!("/{}€{}", HOSTILE.repeat(300), "y".repeat(30_000));
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let port = peer::answer(&stage.leaf, &head);
    let expected = format!("status 302, expected status 200 (redirects to {location})");

    let output = stage.check(port, "--json --max-head 64k --expect 'status 200'");
    expect_whole(&expect(&output, 71, ""), &expected);

    let connect = format!("--connect=127.0.0.1:{port}");
    let words = [
        "--timeout=10s",
        "--ca-file",
        &stage.ca_file,
        &connect,
        "--json",
        "--max-head=64k",
    ];
    let output = run_by_hand(&[&words[..], &["--expect=status 200", NAME]].concat());
    assert_eq!(output.status.code(), Some(71));
    expect_whole(&String::from_utf8_lossy(&output.stdout), &expected);
    // A line for people is harmless on a terminal too, and its length is limited.
    let line = expect(
        &stage.check(port, "--max-head 64k --expect 'status 200'"),
        71,
        "\\u{202e}",
    );
    assert!(line.len() < 4096 && !line.trim_end().contains(char::is_control));
}

#[test]
fn a_long_chain_is_listed_completely() {
    let stage = Stage::new();
    let issuers: Vec<_> = (0..3)
        .map(|number| {
            stage
                .ca
                .intermediate(&format!("{number} {}", "z".repeat(3_000)))
        })
        .collect();
    let port = peer::answer_with_chain(&stage.leaf, &issuers.iter().collect::<Vec<_>>(), "x");
    let text = expect(&stage.check(port, "--json"), 73, "");
    let object: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(object["chain"].as_array().map(Vec::len), Some(4), "{text}");
    assert!(text.len() > 4096, "{}", text.len());
}

#[test]
fn doctor_prints_hostile_file_names_harmlessly() {
    let folder = Folder::new();
    let name = format!("{}.cfg", HOSTILE.replace(' ', "_"));
    let config = "backend b\n option external-check\n external-check command /missing\n server s 127.0.0.1:1 check\n";
    let file = folder.file(&name, config);
    for format in ["--json", "--color=never"] {
        let output = run_by_hand(&["doctor", format, "-f", &file]);
        let text = stdout(&output);
        assert!(text.contains("/missing"), "{text}");
        assert!(
            text.contains("\\u202e") || text.contains("\\u{202e}"),
            "{text}"
        );
        let raw = |c: char| c != '\n' && (c.is_control() || !c.is_ascii());
        assert!(!text.contains(raw), "{text:?}");
    }
}
