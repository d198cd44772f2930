//! Plays the operator: reads the report, pastes the lines, reloads HAProxy, and looks at the result.

use crate::support::check::{BINARY, run_by_hand, stdout};
use crate::support::folder::Folder;
use crate::support::haproxy::{Haproxy, Mode, chosen};
use crate::support::{NAME, wait_for};

/// A haproxy.cfg without the backend.
const FRONT: &str = "
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend visitors
    bind ${LISTEN}
    default_backend be
";

/// A running HAProxy whose visitors don't get the page.
pub struct Outage {
    haproxy: Haproxy,
    config: String,
    folder: Folder,
    uri: String,
}

/// The report of diagnose.
pub struct Said {
    /// The report as printed.
    text: String,
    /// The report on one line, to search for phrases.
    flat: String,
}

impl Outage {
    /// Starts HAProxy with these lines in its backend, and asserts that visitors don't get the page
    /// at `uri`. Either the server is DOWN, or the server refuses the visitors' requests.
    #[track_caller]
    pub fn start(backend: &str, uri: &str) -> Outage {
        let folder = Folder::new();
        let text = format!("{FRONT}backend be\n{backend}\n");
        let config = folder.file("haproxy.cfg", &text);
        let haproxy = chosen().start(Mode::Foreground, &config, &[]);
        haproxy.wait_for_check("be", "s1");
        let outage = Outage {
            haproxy,
            config,
            folder,
            uri: uri.to_owned(),
        };
        wait_for("the outage", || {
            let served = outage.haproxy.get(&outage.uri) == Some(200);
            let down = outage.haproxy.server("be", "s1")?.status == "DOWN";
            (down || !served).then_some(())
        });
        outage
    }

    /// Starts HAProxy for a server on this port of the loopback address. The server line has these
    /// keywords about TLS, and HAProxy's own check requests the page `/`.
    #[track_caller]
    pub fn checked(port: u16, words: &str) -> Outage {
        let lines = format!(
            "    option httpchk\n    http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}\n    \
             server s1 127.0.0.1:{port} {words} check inter 300ms"
        );
        Outage::start(&lines, "/")
    }

    /// Starts HAProxy for a server on this port. sni-check runs as an external check with these options.
    #[track_caller]
    pub fn by_external_check(port: u16, words: &str, options: &str) -> Outage {
        let lines = format!(
            "    option external-check\n    external-check command {BINARY}\n    external-check path \"{options}\"\n    \
             server s1 127.0.0.1:{port} {words} check inter 2s fall 1\n\
             global\n    external-check\n    insecure-fork-wanted"
        );
        Outage::start(&lines, "/")
    }

    /// Returns the status that a visitor gets.
    pub fn visit(&self) -> Option<u16> {
        self.haproxy.get(&self.uri)
    }

    /// Asserts that diagnose has tried each block of printed lines, and that with each block the server is UP
    /// and visitors are served.
    #[track_caller]
    pub fn assert_fixed_by(&self, said: &Said) {
        let blocks = said.blocks();
        assert!(!blocks.is_empty(), "{}", said.text);
        for (title, lines) in blocks {
            assert!(title.contains("tried: check UP"), "{}", said.text);
            self.paste(&lines);
            self.assert_up(&lines);
        }
    }

    /// Asserts that with each block of printed lines the server is now UP and visitors are served, whatever
    /// the report says about the block.
    #[track_caller]
    pub fn assert_over_after_pasting(&self, said: &Said) {
        for (_, lines) in said.blocks() {
            self.paste(&lines);
            self.assert_up(&lines);
        }
    }

    #[track_caller]
    fn assert_up(&self, lines: &str) {
        self.haproxy.wait_for_status("be", "s1", "UP");
        wait_for(&format!("a page with\n{lines}"), || {
            (self.haproxy.get(&self.uri) == Some(200)).then_some(())
        });
        let seen = self.haproxy.server("be", "s1").expect("the server");
        assert_eq!(seen.status, "UP", "{seen:?} with\n{lines}");
    }

    /// Replaces the backend in haproxy.cfg with these lines, and reloads.
    fn paste(&self, lines: &str) {
        let text = format!("{FRONT}{lines}");
        self.folder.file("haproxy.cfg", &text);
        let output = chosen().check(&self.config, &[("LISTEN", "127.0.0.1:1")]);
        assert!(output.status.success(), "{text}\n{output:?}");
        self.haproxy.reload();
    }
}

/// Diagnoses the server on this port of the loopback address.
pub fn diagnose(port: u16, words: &[&str]) -> Said {
    let connect = format!("127.0.0.1:{port}");
    let haproxy = chosen().program.display().to_string();
    let mut call = vec!["diagnose", "--verbose", "--connect", &connect];
    if !words.iter().any(|word| word.starts_with("--haproxy")) {
        call.extend(["--haproxy", &haproxy]);
    }
    // A busy machine may need more time than the default.
    if !words.iter().any(|word| word.starts_with("--timeout")) {
        call.push("--timeout=6s");
    }
    let words = [&call, words].concat();
    let text = stdout(&run_by_hand(&words));
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Said { text, flat }
}

impl Said {
    /// Returns the blocks to paste, each with the rest of its title after `For haproxy.cfg`.
    fn blocks(&self) -> Vec<(String, String)> {
        let blocks = self.text.split("\nFor haproxy.cfg").skip(1);
        let pair = |block: &str| {
            let (title, lines) = block.split_once("\n\n").expect("a title");
            let (lines, _) = lines.split_once("\nWhat was seen").unwrap_or((lines, ""));
            (title.to_owned(), lines.to_owned())
        };
        blocks.map(pair).collect()
    }

    #[track_caller]
    pub fn says(&self, phrase: &str) -> &Said {
        assert!(self.flat.contains(phrase), "{phrase}\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn never_says(&self, phrase: &str) -> &Said {
        assert!(!self.flat.contains(phrase), "{phrase}\n{}", self.text);
        self
    }

    /// Asserts that the report says to fix the server, and promises no lines.
    #[track_caller]
    pub fn assert_fault_of_server(&self) -> &Said {
        self.never_says("tried: check UP");
        self.says("nothing in haproxy.cfg fixes this")
    }

    /// Asserts that the report says to replace a file on this host, and promises no lines.
    #[track_caller]
    pub fn assert_fix_in_file(&self) -> &Said {
        self.never_says("tried: check UP");
        self.never_says("nothing in haproxy.cfg fixes this");
        self.says("in a file on this host, not at the server; HAProxy reads files only when it starts or reloads")
    }

    /// Asserts that the report asks for a value and prints no lines.
    #[track_caller]
    pub fn assert_asks_for_value(&self) -> &Said {
        assert!(self.blocks().is_empty(), "{}", self.text);
        self.says("with a value that only you know")
    }
}
