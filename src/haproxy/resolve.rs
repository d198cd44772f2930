//! The addresses that HAProxy finds with its sections `resolvers`. The HAProxy program on this host asks the
//! name servers of these sections.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::ask::{POLL, Run};
use super::config::Configuration;
use super::config::address::Endpoint;
use super::config::backend_lines::joined;
use super::config::server_line::Server;
use super::program::Haproxy;
use super::words::quote;

/// How long the name servers may take. HAProxy asks again after a second if a packet is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// The words of a server line about its name, except `init-addr`.
const WORDS: [&str; 4] = ["resolvers", "resolve-net", "resolve-opts", "resolve-prefer"];

/// Replaces the names of servers with `resolvers` by the addresses that HAProxy finds. A name that HAProxy
/// doesn't find stays a name.
///
/// # Errors
///
/// HAProxy can't be started, or doesn't answer.
pub(crate) fn resolve(haproxy: &Haproxy, config: &mut Configuration) -> Result<()> {
    let is_asked =
        |server: &Server| server.settings.has("resolvers") && server.endpoint.name().is_some();
    let mut text = "global\n    stats socket fd@1 level user\n".to_owned();
    for line in &config.resolvers {
        text += &format!("{}\n", joined(line));
    }
    let mut open = 0;
    // HAProxy gives each server of a backend a different record. So the servers of a backend must be in the
    // same backend here, too.
    for (number, backend) in config.backends.iter().enumerate() {
        let servers = backend.servers.iter().enumerate();
        for (index, (position, server)) in
            servers.filter(|(_, server)| is_asked(server)).enumerate()
        {
            if index == 0 {
                _ = writeln!(text, "backend {number}");
            }
            _ = write!(
                text,
                "    server {position} {} init-addr none",
                name_of(server)
            );
            for word in WORDS {
                if let Some(at) = server.settings.get(word) {
                    _ = write!(text, " {word} {}", quote(&at.value));
                }
            }
            text.push('\n');
            open += 1;
        }
    }
    let (true, Some(binary)) = (open > 0, haproxy.binary()) else {
        return Ok(());
    };
    let mut run = Run::prepare(0)?;
    run.start(binary, &text)?;
    let end = Instant::now() + PATIENCE;
    run.command("prompt", end)?;
    let mut states = String::new();
    while Instant::now() < end {
        states = run.command("show servers state", end)?;
        if states.lines().filter_map(found).count() == open {
            break;
        }
        thread::sleep(POLL);
    }
    for (backend, server, endpoint) in states.lines().filter_map(found) {
        let backend = config.backends.get_mut(backend);
        if let Some(server) = backend.and_then(|backend| backend.servers.get_mut(server)) {
            server.endpoint = endpoint;
        }
    }
    Ok(())
}

/// Returns the server's name to resolve, with its port if the line has one.
fn name_of(server: &Server) -> String {
    match &server.endpoint {
        Endpoint::Tcp(host, 0) => quote(host),
        other => quote(other.to_string()),
    }
}

/// Reads a line of `show servers state` (management guide, section 9.3): the numbers of the backend and of the
/// server, and the server's address. Returns `None` if the server has no address.
fn found(line: &str) -> Option<(usize, usize, Endpoint)> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [_, backend, _, server, address, ..] = fields.as_slice() else {
        return None;
    };
    let port = fields.get(18)?.parse().ok()?;
    let address = Some(*address).filter(|address| *address != "-")?;
    let endpoint = Endpoint::Tcp(address.to_owned(), port);
    Some((backend.parse().ok()?, server.parse().ok()?, endpoint))
}
