//! Faults in the head and the body of a response.

use std::io::Write;
use std::process::Stdio;

use crate::Fault;
use crate::support::stage::Stage;
use crate::support::{peer, program};

pub fn faults(stage: &Stage) -> Vec<Fault> {
    let mut faults = statuses(stage);
    faults.extend(heads(stage));
    faults.extend(bodies(stage));
    faults.extend(endless(stage));
    faults.push(gzip_bomb(stage));
    faults
}

const WANTS: &str = "--expect 'string good'";
const NOT_HTTP: &str = "not a valid HTTP";

/// Describes a peer that sends this response and closes cleanly.
fn says(stage: &Stage, response: &str, options: &str, code: i32, phrase: &'static str) -> Fault {
    let what = format!("{:?}", &response[..response.len().min(70)]);
    let port = peer::answer(&stage.leaf, response);
    Fault::new(what, port, code, phrase)
        .with(&stage.trust)
        .with(options)
}

fn statuses(stage: &Stage) -> Vec<Fault> {
    [
        ("101 Switching Protocols", 71, "status 101"),
        ("200 OK", 0, ""),
        ("200", 0, ""),
        ("204 No Content", 0, ""),
        ("206 Partial Content", 0, ""),
        ("299 X", 0, ""),
        ("304 Not Modified", 0, ""),
        ("399 X", 0, ""),
        ("400 Bad Request", 71, "status 400"),
        ("401 Unauthorized", 71, "status 401"),
        ("404 Not Found", 71, "status 404, expected status 200-399"),
        ("421 Misdirected Request", 71, "status 421"),
        ("500 Internal Server Error", 71, "status 500"),
        ("502 Bad Gateway", 71, "status 502"),
        ("503 Busy", 71, "status 503"),
        ("600 X", 71, "status 600"),
        ("999 X", 71, "status 999"),
        // HAProxy accepts any number of one to three digits as a status.
        ("000 X", 71, "status 0"),
        ("099 X", 71, "status 99"),
        ("20 OK", 71, "status 20"),
        ("2000 OK", 73, NOT_HTTP),
        ("-200 OK", 73, NOT_HTTP),
        ("+20 OK", 73, NOT_HTTP),
        ("0xC8 OK", 73, NOT_HTTP),
        ("abc OK", 73, NOT_HTTP),
        ("", 73, NOT_HTTP),
    ]
    .map(|(line, code, phrase)| says(stage, &format!("HTTP/1.1 {line}\r\n\r\n"), "", code, phrase))
    .into()
}

fn heads(stage: &Stage) -> Vec<Fault> {
    let many = "X-A: b\r\n".repeat(101);
    let too_many = "X-A: b\r\n".repeat(1_000);
    let long = "y".repeat(60_000);
    let header = |fields: &str, code, phrase| {
        says(
            stage,
            &format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"),
            "",
            code,
            phrase,
        )
    };
    let says = |response: &str, code, phrase| says(stage, response, "", code, phrase);
    vec![
        says("HTTP/1.0 200 OK\r\n\r\n", 0, ""),
        says(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            0,
            "",
        ),
        says(
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 X\r\n\r\n",
            71,
            "status 500",
        ),
        says(
            "HTTP/1.1 100 Continue\r\n\r\n",
            74,
            "before the response was complete",
        ),
        says("garbage\r\n\r\n", 73, NOT_HTTP),
        says("ICY 200 OK\r\n\r\n", 73, NOT_HTTP),
        says("HTTP/1.2 200 OK\r\n\r\n", 0, ""),
        says("HTTP/2 200\r\n\r\n", 73, NOT_HTTP),
        says("http/1.1 200 OK\r\n\r\n", 73, NOT_HTTP),
        says("HTTP/1.1\t200 OK\r\n\r\n", 0, ""),
        says("HTTP/1.1 200 OK\nX: y\n\n", 0, ""),
        says("200 OK\r\n\r\n", 73, NOT_HTTP),
        says("GET / HTTP/1.1\r\n\r\n", 73, NOT_HTTP),
        says("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 73, NOT_HTTP),
        says("\0\0\u{12}\u{4}\0\0\0\0\0", 73, NOT_HTTP),
        says("<html>it works</html>", 73, NOT_HTTP),
        says("\0HTTP/1.1 200 OK\r\n\r\n", 73, NOT_HTTP),
        says("HTTP/1.1 2\x0000 OK\r\n\r\n", 73, NOT_HTTP),
        header("No colon", 73, NOT_HTTP),
        header("X: a\0b", 73, NOT_HTTP),
        header("X\0: b", 73, NOT_HTTP),
        header(": x", 73, NOT_HTTP),
        header("X Y: z", 73, NOT_HTTP),
        header("X : z", 73, NOT_HTTP),
        header("X:", 0, ""),
        header("X: a;\r\n\tb;\r\n c", 0, ""),
        header("X: \u{1}\u{7f}\u{80}", 0, ""),
        header("X: a\rb", 73, NOT_HTTP),
        header(many["X-A: b\r\n".len()..].trim_end(), 0, ""),
        header(many.trim_end(), 73, "tune.http.maxhdr"),
        header(&too_many, 73, "tune.http.maxhdr"),
        header(&format!("X: {long}"), 73, "tune.bufsize"),
        longer_head(stage, &format!("{too_many}X: {long}")),
        header("Transfer-Encoding: gzip", 73, "Transfer-Encoding"),
        header("Transfer-Encoding: gzip, chunked", 73, "Transfer-Encoding"),
        header("Content-Length: x", 73, "Content-Length"),
        header("Content-Length: -1", 73, "Content-Length"),
        header("Content-Length: 99999999999999999999", 73, "Content-Length"),
        header(
            "Content-Length: 1\r\nContent-Length: 2",
            73,
            "Content-Length",
        ),
        header("Content-Length: 9", 0, ""),
    ]
}

/// Describes a peer with a long head, checked with a larger `--max-head`.
fn longer_head(stage: &Stage, fields: &str) -> Fault {
    let response = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
    says(stage, &response, "--max-head 80k", 0, "")
}

fn bodies(stage: &Stage) -> Vec<Fault> {
    let chunked = |body: &str, options, code, phrase| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        says(stage, &format!("{head}{body}"), options, code, phrase)
    };
    let plain = |head: &str, body: &str, code, phrase| {
        says(
            stage,
            &format!("HTTP/1.1 {head}\r\n\r\n{body}"),
            WANTS,
            code,
            phrase,
        )
    };
    let complete = "before the response was complete";
    let no_body = "no response body, expected string good";
    // Together, the chunks contain `bad`.
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nba\r\n1\r\nd\r\n0\r\n\r\n";
    let not_bad = "--expect '! string bad'";
    vec![
        says(stage, old, not_bad, 75, "does not meet"),
        says(stage, old, "", 0, ""),
        chunked("4\r\ngood\r\n0\r\n\r\n", WANTS, 0, ""),
        chunked("2\r\ngo\r\n2\r\nod\r\n0\r\n\r\n", WANTS, 0, ""),
        chunked("4;x=y\r\ngood\r\n0\r\nTrailer: t\r\n\r\n", WANTS, 0, ""),
        chunked("zz\r\ngood\r\n", WANTS, 73, "chunk"),
        chunked("-4\r\ngood\r\n0\r\n\r\n", WANTS, 73, "chunk"),
        chunked("4\r\ngoodXX0\r\n\r\n", WANTS, 73, "chunk"),
        chunked("ffffffffffffffffff\r\ngood", WANTS, 73, "chunk"),
        chunked("4\r\ngo", WANTS, 74, complete),
        // A rule is met as soon as the text is found. A negated rule needs the end of the body.
        chunked("4\r\ngood\r\n", WANTS, 0, ""),
        chunked("4\r\ngood\r\n", not_bad, 74, complete),
        chunked(
            "4;a-long-extension=0123456789\r\ngood\r\n0\r\n\r\n",
            WANTS,
            0,
            "",
        ),
        chunked("", WANTS, 74, complete),
        chunked("zz\r\n", "", 73, "chunk"),
        plain("200 OK\r\nContent-Length: 9", "good", 0, ""),
        plain("200 OK\r\nContent-Length: 9", "goo", 74, complete),
        plain("200 OK\r\nContent-Length: 2", "good", 75, "does not meet"),
        plain("200 OK\r\nContent-Length: 0", "good", 75, no_body),
        plain("200 OK", "all good", 0, ""),
        plain("200 OK", "", 75, no_body),
        plain("200 OK", "GOOD", 75, "does not meet"),
        plain("200 OK", "go\0od", 75, "does not meet"),
        plain("200 OK\r\nX: good", "bad", 75, "does not meet"),
        plain("204 No Content", "", 75, no_body),
        plain("204 No Content", "good", 75, no_body),
        // As in HAProxy, a rule replaces the default rule about the status.
        plain("500 X\r\nContent-Length: 4", "good", 0, ""),
        says(
            stage,
            "HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\ngood",
            "--expect 'string good' --expect 'status 200'",
            71,
            "status 500",
        ),
        says(
            stage,
            "HTTP/1.1 200 OK\r\n\r\n",
            "--expect 'hdr name X'",
            76,
            "headers do not meet",
        ),
        says(
            stage,
            "HTTP/1.1 200 OK\r\nX: 2\r\n\r\n",
            "--expect 'hdr name X value 1'",
            76,
            "headers do not meet --expect: hdr name X value 1",
        ),
    ]
}

/// Returns faults with peers that send a beginning and then repeat a part until the client
/// disconnects.
fn endless(stage: &Stage) -> Vec<Fault> {
    let row = |begin: &'static str, repeat: &'static str, options: &str, code, phrase| {
        let block = repeat.repeat(4096 / repeat.len() + 1);
        let port = peer::tls(&stage.leaf, move |stream| {
            let mut written = stream.write_all(begin.as_bytes());
            while written.is_ok() {
                written = stream.write_all(block.as_bytes());
            }
        });
        Fault::new(format!("endless {begin:?}, {repeat:?}"), port, code, phrase)
            .with(&stage.trust)
            .with(options)
    };
    let good = "HTTP/1.1 200 OK\r\n\r\ngood";
    let bare = "HTTP/1.1 200 OK\r\n\r\n";
    let first = "first 65536 bytes";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        row(
            "HTTP/1.1 200 OK\r\n",
            "X-A: b\r\n",
            "",
            73,
            "tune.http.maxhdr",
        ),
        row("HTTP/1.1 200 OK\r\nX: ", "y", "", 73, "longer than"),
        row("HTTP/1.1 200 ", "y", "", 73, "longer than"),
        row("", "HTTP/1.1 103 E\r\n\r\n", "", 72, "timed out"),
        row("", "x", "", 73, NOT_HTTP),
        row("", "\r\n", "", 73, NOT_HTTP),
        row(bare, "x", "", 0, ""),
        row(good, "x", WANTS, 0, ""),
        row(bare, "x", WANTS, 75, first),
        row(bare, "x", "--expect '! string bad'", 75, first),
        row(chunked, "1\r\nx\r\n", WANTS, 75, first),
        row(
            chunked,
            "0",
            WANTS,
            73,
            "a line of its body's framing is longer",
        ),
    ]
}

/// Describes a peer that sends 50 MB of zeros, compressed to about 50 kB. The check accepts no
/// encoding, so it doesn't decompress the body.
fn gzip_bomb(stage: &Stage) -> Fault {
    let script = "head -c 50000000 /dev/zero | gzip -9";
    let bomb = program("sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .output();
    let bomb = bomb.expect("a shell").stdout;
    assert!((1_000..64_000).contains(&bomb.len()), "{}", bomb.len());
    let port = peer::tls(&stage.leaf, move |stream| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            bomb.len()
        );
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&bomb);
    });
    Fault::new(
        "a gzip bomb",
        port,
        75,
        "body does not meet --expect: string good",
    )
    .with(&stage.trust)
    .with(WANTS)
}
