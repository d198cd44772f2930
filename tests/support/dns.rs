//! A name server for `resolvers` sections. It knows one host, and services whose names contain
//! their port.

use std::net::UdpSocket;
use std::thread;

/// The only host that the name server knows. The host's address is 127.0.0.1.
pub const HOST: &str = "known.example.test";

const A: u16 = 1;
const SRV: u16 = 33;

/// Returns the SRV name of a service on this port of [`HOST`].
pub fn service(port: u16) -> String {
    format!("_https._tcp.p{port}.example.test")
}

/// Starts the name server. Returns its port.
pub fn start() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = socket.local_addr().expect("an address").port();
    thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok((length, client)) = socket.recv_from(&mut bytes) {
            if let Some(answer) = answer(&bytes[..length]) {
                _ = socket.send_to(&answer, client);
            }
        }
    });
    port
}

/// Returns the response to a query (RFC 1035, section 4; RFC 2782). Returns `None` if the query is
/// malformed.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        if length == 0 {
            break;
        }
        let label = query.get(at + 1..at + 1 + length)?;
        labels.push(String::from_utf8_lossy(label).into_owned());
        at += 1 + length;
    }
    let question = query.get(12..at + 5)?;
    let kind = u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
    let name = labels.join(".").to_lowercase();
    let data = match kind {
        A if name == HOST => Some(vec![127, 0, 0, 1]),
        SRV => port(&labels).map(|port| {
            // Priority 0, weight 10.
            let mut data = vec![0, 0, 0, 10];
            data.extend(port.to_be_bytes());
            data.extend(encoded(HOST));
            data
        }),
        _ => None,
    };
    let mut answer = query.get(..2)?.to_vec();
    let (found, code) = match (&data, name == HOST) {
        (Some(_), _) => (1, 0),
        (None, true) => (0, 0),
        // Response code 3 means that the name doesn't exist.
        (None, false) => (0, 3),
    };
    answer.extend([0x85, 0x80 | code, 0, 1, 0, found, 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(data) = data {
        // A pointer to the question's name, then the type, the class and 60 seconds.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60]);
        answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

fn port(labels: &[String]) -> Option<u16> {
    labels.get(2)?.strip_prefix('p')?.parse().ok()
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| {
        let length = u8::try_from(label.len()).expect("a short label");
        [&[length], label.as_bytes()].concat()
    });
    labels.chain([0]).collect()
}
