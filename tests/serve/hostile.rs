//! Clients other than HAProxy, and clients that misbehave.

use std::io::Write;
use std::net::Shutdown;
use std::time::Instant;

use crate::scene::{Answer, SILENCE, Serve, head};
use crate::support::stage::Stage;

#[test]
fn invalid_requests_are_refused() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let good = head(stage.nginx().port, &stage.options());
    let without = |name: &str| {
        let lines = good.split_inclusive("\r\n");
        lines
            .filter(|line| !line.starts_with(name))
            .collect::<String>()
    };
    for (bytes, phrase) in [
        (without("X-Check-Options"), "X-Check-Options is missing"),
        (without("X-Haproxy-Server-State"), "send-state"),
        (good.replace("GET", "DELETE"), "`DELETE` is not a method"),
        (
            "\x16\x03\x01\x02\0\x01garbage\r\n\r\n".to_owned(),
            "is not HTTP",
        ),
        (
            format!("GET /{} HTTP/1.0\r\n", "x".repeat(9000)),
            "longer than 8192 bytes",
        ),
        (good.replace("127.0.0.1", "localhost"), "not an address"),
    ] {
        serve.send(&bytes).expect("2", phrase);
    }
    serve.send(&good).expect("0", "status 200");
}

#[test]
fn further_requests_on_a_connection_get_no_answer() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let good = head(stage.nginx().port, &stage.options());
    // The client would treat a second answer as the end of the first.
    serve.send(&good.repeat(3)).expect("0", "status 200");
    let mut stream = serve.connect();
    stream.write_all(good.as_bytes()).expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    Answer::read(stream).expect("0", "status 200");
}

#[test]
fn silent_clients_are_dropped_after_a_second() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &["--max-checks", "4"]);
    let silent: Vec<_> = (0..4).map(|_| serve.connect()).collect();
    let began = Instant::now();
    // The silent clients use all places, so serve refuses a check immediately.
    let good = head(stage.nginx().port, &stage.options());
    crate::support::wait_for("the limit", || {
        (serve.send(&good).code == "3").then_some(())
    });
    for stream in silent {
        Answer::read(stream).expect("2", "did not arrive in time");
    }
    assert!(began.elapsed() >= SILENCE);
    serve.send(&good).expect("0", "status 200");
}

#[test]
fn a_client_that_sends_byte_by_byte_gets_one_second_in_total() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let slow = serve.connect();
    let mut half = slow.try_clone().expect("a descriptor");
    std::thread::scope(|scope| {
        scope.spawn(move || crate::support::peer::drip(&mut half, b"GET / HTTP/1.1 "));
        let began = Instant::now();
        Answer::read(&slow).expect("2", "did not arrive in time");
        assert!(began.elapsed() >= SILENCE / 2);
        // By now, serve has closed the connection.
        slow.shutdown(Shutdown::Both).expect("closed");
    });
}

#[test]
fn beyond_the_limit_the_answer_is_code_3_and_names_the_limit() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &["--max-checks", "2"]);
    let silent = crate::support::peer::silent();
    let slow = head(silent, &stage.options());
    let mut running: Vec<_> = (0..2).map(|_| serve.connect()).collect();
    for stream in &mut running {
        stream.write_all(slow.as_bytes()).expect("sent");
    }
    let good = head(stage.nginx().port, &stage.options());
    let answer = crate::support::wait_for("the limit", || {
        let answer = serve.send(&good);
        (answer.code != "0").then_some(answer)
    });
    answer.expect("3", "sni-check serve is at its limit");
}

#[test]
fn a_burst_beyond_the_limit_waits_for_its_turn() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &["--max-checks", "2"]);
    let good = head(stage.nginx().port, &stage.options());
    serve.send(&good).expect("0", "status 200");
    let all_had_their_turn = || {
        let burst = [(); 4].map(|()| {
            let mut stream = serve.connect();
            stream.write_all(good.as_bytes()).expect("sent");
            stream
        });
        let answers = burst.map(Answer::read);
        answers.iter().all(|answer| answer.code == "0")
    };
    // On a busy machine, the first checks may take longer than serve allows a request to wait.
    assert!((0..10).any(|_| all_had_their_turn()));
}
