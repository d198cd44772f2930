//! sni-check quotes words for haproxy.cfg. HAProxy must read back exactly these words.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

use sni_check::haproxy::words::{quote, split_value};

use crate::support::folder::Folder;
use crate::support::haproxy::{Haproxy, Mode};

/// Starts a HAProxy that answers `/N` with the Nth word. The words are written as they appear in a
/// configuration.
fn speaking(words: &[String]) -> (Haproxy, Folder) {
    let mut config = String::from(
        "defaults\n    mode http\n    timeout client 20s\nfrontend words\n    bind \"${LISTEN}\"\n",
    );
    for (index, word) in words.iter().enumerate() {
        let _ = writeln!(
            config,
            "    http-request return content-type text/plain string {word} if {{ path /{index} }}"
        );
    }
    let folder = Folder::new();
    let file = folder.file("haproxy.cfg", &config);
    (Haproxy::start(Mode::Foreground, &file, &[]), folder)
}

/// Requests `/N`, where N is `path`, and returns the answer's body.
fn ask(haproxy: &Haproxy, path: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", haproxy.port)).expect("a connection");
    write!(stream, "GET /{path} HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    answer.split_off(end.expect("a head") + 4)
}

#[test]
fn haproxy_reads_back_the_words_that_we_quote() {
    let words = [
        &b"/healthz?a=b&c=d,e;f~g"[..],
        b" all  good ",
        b"tab\tline\r\nend\n",
        b"it's \"quoted\"",
        b"\\ \\\\ \\n \\t \\x41 \\$",
        b"$HOME ${HOME} ${HOME[*]} 100%",
        b"# no comment #",
        "Prüfung \u{85}\u{200b}".as_bytes(),
        b"\xff\xc3\x01\x1b\x7f",
        b"'",
        b"\"",
        b"\\",
        b"#",
        b"$",
    ];
    let (haproxy, _folder) = speaking(&words.map(quote));
    for (index, word) in words.iter().enumerate() {
        assert_eq!(ask(&haproxy, index), *word, "{}", quote(word));
    }
}

#[test]
fn haproxy_splits_words_as_we_do() {
    let written = [
        r"a\tb\nc\rd\x41\x7e",
        r"a\ b\\c\#d\'e\qf\1",
        r#""a\tb\nc\rd\x41 \ \\ \# \' \" \$ \q""#,
        r"'a\tb \\ \$ $HOME # \x41'",
        r#"one"two"'three'four"#,
        r#""a'b"'c"d'\"e\'"#,
        r"$HOME${HOME}\$",
    ]
    .map(str::to_owned);
    let (haproxy, _folder) = speaking(&written);
    for (index, word) in written.iter().enumerate() {
        let ours = split_value(word).expect(word);
        assert_eq!(vec![ask(&haproxy, index)], ours, "{word}");
    }
}
