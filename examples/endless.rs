//! A program in an endless loop that never looks at the clock. A test checks that the timer ends the
//! program.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::stdio::stderr;
use sni_check::code::Code;
use sni_check::start::{Channel, Expiry, Text, expire_after};

fn main() {
    let text = Text::new(Channel::Descriptor(stderr()), "late by ", "ms\n");
    let expiry = Expiry {
        code: Code::HandshakeTimeout,
        start: Instant::now(),
        texts: vec![text],
    };
    expire_after(Duration::from_millis(100), expiry);
    // The timer must end the process even if a lock is held and a thread waits.
    let _held = std::io::stderr().lock();
    std::thread::spawn(|| std::thread::sleep(Duration::from_secs(3600)));
    while stderr().as_fd().try_clone_to_owned().is_ok() {
        std::hint::black_box(vec![0_u8; 100]);
    }
}
