//! Resolves the names of servers that have `resolvers`. This host's HAProxy program asks the name
//! servers of these `resolvers` sections.

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

/// How long the name servers may take. By default, HAProxy asks again after one second.
const PATIENCE: Duration = Duration::from_secs(2);

/// The words of a server line that control how HAProxy resolves its name, except `init-addr`.
const WORDS: [&str; 4] = ["resolvers", "resolve-net", "resolve-opts", "resolve-prefer"];

/// Replaces the name of each server that has `resolvers` with the address that HAProxy finds. If HAProxy
/// finds no address, the name stays.
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
    // If several servers of a backend have the same host name, HAProxy gives each of them a different
    // address. The servers of one backend must therefore share a backend here, too.
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

/// Returns the name to resolve, with the port if the server line has a port.
fn name_of(server: &Server) -> String {
    match &server.endpoint {
        Endpoint::Tcp(host, 0) => quote(host),
        other => quote(other.to_string()),
    }
}

/// Reads a line of `show servers state` (management guide, section 9.3). Returns the numbers that serve as
/// names of the backend and the server here, and the server's address. Returns `None` for other lines, and if
/// the server has no address.
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
