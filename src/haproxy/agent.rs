//! The agent of `agent-check`: sni-check asks it what HAProxy asks it (configuration manual, section 5.2).

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::config::server_line::Server;

/// sni-check reads at most this many bytes of an agent's answer.
const LONGEST: u64 = 1024;

/// How long an agent may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The agent of a server.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    host: String,
    port: u16,
    /// The text of `agent-send`.
    send: Option<String>,
}

/// What an agent's answer does to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Down,
    Maintenance,
    Drain,
}

impl Agent {
    /// Returns the agent of this server, if the server line has `agent-check` and a port.
    pub(crate) fn of(server: &Server) -> Option<Agent> {
        let set = &server.settings;
        let text = |word| set.get(word).map(|at| at.value.clone());
        set.has("agent-check").then_some(Agent {
            host: text("agent-addr").unwrap_or_else(|| server.address().0),
            port: text("agent-port")?.parse().ok()?,
            send: text("agent-send"),
        })
    }

    fn connect(&self) -> Option<TcpStream> {
        let address = (self.host.as_str(), self.port);
        let address = address.to_socket_addrs().ok()?.next()?;
        TcpStream::connect_timeout(&address, PATIENCE).ok()
    }

    /// Returns true if the agent accepts connections.
    pub(crate) fn accepts(&self) -> bool {
        self.connect().is_some()
    }

    /// Returns the first line of the agent's answer, if this answer takes the server out of service. Returns
    /// `None` if the agent doesn't answer within a second.
    pub(crate) fn asked(&self) -> Option<(String, Effect)> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        if let Some(text) = &self.send {
            stream.write_all(text.as_bytes()).ok()?;
        }
        let mut line = String::new();
        let mut start = BufReader::new(stream.take(LONGEST));
        start.read_line(&mut line).ok()?;
        let line = line.trim().to_owned();
        let effect = effect(&line)?;
        Some((line, effect))
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Effect {
    /// Writes the status that HAProxy shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Effect::Down => "DOWN (agent)",
            Effect::Maintenance => "MAINT",
            Effect::Drain => "DRAIN (agent)",
        })
    }
}

/// Returns what an agent's answer does to the server. Returns `None` if the server stays in service. The last
/// word about the administrative state counts, and so does the last word about the server's health.
fn effect(answer: &str) -> Option<Effect> {
    let words = answer.split(|c: char| c.is_whitespace() || c == ',');
    let (mut state, mut health) = (None, None);
    for word in words.take_while(|word| !word.starts_with('#')) {
        match word.to_ascii_lowercase().as_str() {
            "maint" => state = Some(Effect::Maintenance),
            "drain" => state = Some(Effect::Drain),
            "ready" => state = None,
            "down" | "stopped" | "fail" => health = Some(Effect::Down),
            "up" => health = None,
            _ => {}
        }
    }
    state.or(health)
}

#[cfg(test)]
mod tests {
    use super::{Effect, effect};

    /// HAProxy 2.6 and 3.2 show these states.
    #[test]
    fn the_last_words_of_an_agents_answer_count() {
        for (answer, expected) in [
            ("down #broken", Some(Effect::Down)),
            ("Stopped", Some(Effect::Down)),
            ("down,maint", Some(Effect::Maintenance)),
            ("maint\tup", Some(Effect::Maintenance)),
            ("DRAIN #for a while", Some(Effect::Drain)),
            ("drain ready", None),
            ("down up", None),
            ("up #down", None),
            ("fail#x", None),
            ("50%", None),
        ] {
            assert_eq!(effect(answer), expected, "{answer}");
        }
    }
}
