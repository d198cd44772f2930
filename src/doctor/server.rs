//! `server`, `server-template` and `default-server` lines (configuration manual, section 5).

use std::time::Duration;

use crate::options::values::Time;

use super::address::Address;
use super::lines::Place;

/// A value, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub value: T,
    pub place: Place,
}

impl<T> At<T> {
    pub(super) fn new(value: T, place: &Place) -> At<T> {
        At {
            value,
            place: place.clone(),
        }
    }
}

/// What the words after a server's address set, as far as checks are concerned.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub check: Option<Place>,
    pub inter: Option<At<Duration>>,
    pub ssl: Option<Place>,
    pub no_ssl: Option<Place>,
    pub verify_none: Option<Place>,
    pub verify: Option<Place>,
    pub sni: Option<Place>,
    /// `addr` and `port`, which external checks ignore.
    pub addr: Option<At<String>>,
    pub port: Option<At<String>>,
    pub track: Option<Place>,
    pub disabled: Option<Place>,
    pub maxconn: Option<u32>,
    pub proto: Option<String>,
    pub id: Option<u32>,
}

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub name: String,
    pub address: Address,
    pub settings: Settings,
    pub place: Place,
    /// HAPROXY_SERVER_ID.
    pub id: u32,
}

/// Words with one value that mean nothing to a check.
const WITH_VALUE: &[&str] = &[
    "agent-addr",
    "agent-inter",
    "agent-port",
    "agent-send",
    "alpn",
    "ca-file",
    "cc",
    "check-alpn",
    "check-pool-conn-name",
    "check-proto",
    "check-sni",
    "ciphers",
    "ciphersuites",
    "client-sigalgs",
    "cookie",
    "crl-file",
    "crt",
    "curves",
    "downinter",
    "error-limit",
    "fall",
    "fastinter",
    "guid",
    "hash-key",
    "healthcheck",
    "idle-ping",
    "init-addr",
    "init-state",
    "ktls",
    "log-bufsize",
    "log-proto",
    "max-reuse",
    "maxqueue",
    "minconn",
    "namespace",
    "npn",
    "observe",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "pool-conn-name",
    "pool-low-conn",
    "pool-max-conn",
    "pool-purge-delay",
    "proxy-v2-options",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "rise",
    "shard",
    "sigalgs",
    "slowstart",
    "socks4",
    "ssl-max-ver",
    "ssl-min-ver",
    "tcp-md5sig",
    "tcp-ut",
    "verifyhost",
    "weight",
    "ws",
    "source",
    "usesrc",
    "interface",
    "quic-cc-algo",
];

/// Words without a value that mean nothing to a check.
const ALONE: &[&str] = &[
    "agent-check",
    "allow-0rtt",
    "backup",
    "check-reuse-pool",
    "check-send-proxy",
    "check-sni-auto",
    "check-ssl",
    "check-via-socks4",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
    "no-agent-check",
    "no-backup",
    "no-check-reuse-pool",
    "no-check-send-proxy",
    "no-check-sni-auto",
    "no-check-ssl",
    "no-renegotiate",
    "no-send-proxy",
    "no-send-proxy-v2",
    "no-send-proxy-v2-ssl",
    "no-send-proxy-v2-ssl-cn",
    "no-sni-auto",
    "no-ssl-reuse",
    "no-sslv3",
    "no-tfo",
    "no-tls-tickets",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "non-stick",
    "renegotiate",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "sni-auto",
    "ssl-reuse",
    "stick",
    "strict-maxconn",
    "tfo",
    "tls-tickets",
];

impl Settings {
    /// Follows the words of a line; gives what was not understood.
    pub(super) fn read(&mut self, words: &[String], place: &Place) -> Vec<String> {
        let mut unclear = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if self.switch(word, place) || ALONE.contains(&word.as_str()) {
                continue;
            }
            let known = WITH_VALUE.contains(&word.as_str()) || word.starts_with("set-proxy-v2-tlv");
            match words.as_slice().first() {
                Some(value) if known || self.value(word, value, place, &mut unclear) => {
                    words.next();
                }
                None if known => unclear.push(format!("{word} has no value")),
                _ => unclear.push(format!("the word {word}")),
            }
        }
        unclear
    }

    fn switch(&mut self, word: &str, place: &Place) -> bool {
        let here = Some(place.clone());
        match word {
            "check" => self.check = here,
            "no-check" => self.check = None,
            "ssl" => (self.ssl, self.no_ssl) = (here, None),
            "no-ssl" => (self.ssl, self.no_ssl) = (None, here),
            "disabled" => self.disabled = here,
            "enabled" => self.disabled = None,
            _ => return false,
        }
        true
    }

    /// Takes a word with a value; false if it is none that is known here.
    fn value(&mut self, word: &str, value: &str, place: &Place, unclear: &mut Vec<String>) -> bool {
        let here = Some(place.clone());
        let text = Some(At::new(value.to_owned(), place));
        match word {
            "inter" => match value.parse::<Time>() {
                Ok(time) => self.inter = Some(At::new(time.0, place)),
                Err(error) => unclear.push(format!("inter {value}: {error}")),
            },
            "verify" => {
                self.verify_none = here.clone().filter(|_| value == "none");
                self.verify = here;
            }
            "sni" => self.sni = here,
            "addr" => self.addr = text,
            "port" => self.port = text,
            "track" => self.track = here,
            "proto" => self.proto = Some(value.to_owned()),
            "maxconn" => self.maxconn = value.parse().ok(),
            "id" => self.id = value.parse().ok(),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Settings};

    #[test]
    fn a_value_is_never_taken_for_a_word() {
        let place = Place {
            file: "x".into(),
            line: 1,
        };
        let read = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let mut settings = Settings::default();
            let unclear = settings.read(&words, &place);
            (settings, unclear)
        };
        let (settings, unclear) = read("cookie check source 192.0.2.1 usesrc client weight 10");
        assert!(settings.check.is_none() && unclear.is_empty());
        let (settings, unclear) = read("check inter 5s no-check frobnicate");
        assert!(settings.check.is_none());
        assert_eq!(unclear, ["the word frobnicate"]);
        let (_, unclear) = read("inter x weight");
        assert_eq!(unclear.len(), 2, "{unclear:?}");
    }
}
