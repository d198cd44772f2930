//! A check that is frozen (`docker pause`, a suspended machine) while its server responds, and
//! continues after its deadline.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::check::{BINARY, expect, haproxy_command};
use crate::support::freezer::Freezer;
use crate::support::stage::Stage;
use crate::support::{NAME, PATIENCE, peer};

/// The `--timeout` of the check. It leaves enough time to freeze the check before its deadline.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The response arrived while the check was frozen, so it only shows that the server was healthy some
/// time ago.
#[test]
fn a_response_that_waited_for_a_frozen_check_is_too_late() {
    let stage = Stage::new();
    let server = peer::waiting(&stage.leaf);
    let timeout = TIMEOUT.as_millis();
    let path = format!("--sni {NAME} --timeout {timeout}ms {}", stage.trust);
    for _ in 0..3 {
        let start = Instant::now();
        let mut check = haproxy_command(&[BINARY], &path, "127.0.0.1", &server.port.to_string());
        let child = check
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let freezer = Freezer::new(child.id());
        server.asked.recv_timeout(PATIENCE).expect("a request");
        freezer.freeze();
        server.respond.send(()).expect("the server waits");
        server.sent.recv_timeout(PATIENCE).expect("a response");
        let late = TIMEOUT + Duration::from_millis(200);
        std::thread::sleep(late.saturating_sub(start.elapsed()));
        freezer.thaw();
        let output = child.wait_with_output().expect("the check ends");
        assert!(start.elapsed() < TIMEOUT + PATIENCE);
        expect(&output, 72, "timed out; ");
    }
}
