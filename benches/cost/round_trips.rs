//! Measures how many round trips a check takes, with a relay that delays all bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::UsageWho;

use crate::measure::{median, timed};
use crate::support::NAME;
use crate::support::check::haproxy_command;
use crate::world::{Backend, World};

const ONE_WAY: Duration = Duration::from_millis(50);
const RUNS: usize = 5;

/// Returns the median time of a check through the relay, in round trips.
pub fn measure(world: &World, backend: &Backend) -> f64 {
    let port = relay(backend.port).to_string();
    let path = format!("--sni {NAME} --ca-file {}", backend.ca_file);
    let runs = (0..RUNS).map(|_| {
        let mut check = haproxy_command(&[&world.sni_check], &path, "127.0.0.1", &port);
        let time = timed(UsageWho::RUSAGE_CHILDREN, || {
            assert!(check.status().expect("sni-check runs").success());
        });
        time.wall
    });
    median(runs).as_secs_f64() / (2 * ONE_WAY).as_secs_f64()
}

/// Starts a relay that passes on every byte after [`ONE_WAY`], and returns its port. The loopback connects
/// immediately, so the relay adds the round trip of a TCP handshake before it sends the first byte.
fn relay(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let connected = Instant::now() + 2 * ONE_WAY;
            let server = TcpStream::connect(("127.0.0.1", to)).expect("the backend");
            let [client_too, server_too] = [&client, &server].map(|socket| {
                socket.set_nodelay(true).expect("a socket");
                socket.try_clone().expect("a socket")
            });
            delay(client, server_too, connected);
            delay(server, client_too, connected);
        }
    });
    port
}

/// Relays one direction. One thread records when each piece arrived. Another thread sends the piece
/// when it is due.
fn delay(mut from: TcpStream, mut to: TcpStream, not_before: Instant) {
    let (coming, due) = channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let sent = Instant::now().max(not_before);
            let _ = coming.send((sent + ONE_WAY, buffer[..length].to_vec()));
        }
    });
    thread::spawn(move || {
        for (when, bytes) in due {
            thread::sleep(when.saturating_duration_since(Instant::now()));
            let _ = to.write_all(&bytes);
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
