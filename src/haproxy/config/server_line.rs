//! `server`, `server-template` and `default-server` lines (configuration manual, section 5).

use std::collections::BTreeMap;
use std::iter;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::haproxy::time::Time;

use super::address::Endpoint;
use super::place::{At, Place};

/// A server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub name: String,
    pub endpoint: Endpoint,
    /// The family before a name, such as `ipv6@`. May be empty.
    pub family: String,
    pub settings: Settings,
    pub place: Place,
}

/// The words after a server's address, each with its value. The value is empty if the word has no value. If a
/// line has a word twice, the second one counts. `no-check` removes `check`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(BTreeMap<String, At<String>>);

/// The words that have a value (configuration manual, section 5.2). HAProxy itself reports unknown
/// words.
const WITH_VALUE: &str = "\
    addr agent-addr agent-inter agent-port agent-send alpn ca-file cc check-alpn \
    check-pool-conn-name check-proto check-sni ciphers ciphersuites client-sigalgs cookie \
    crl-file crt curves downinter error-limit fall fastinter guid hash-key healthcheck id \
    idle-ping init-addr init-state inter interface log-bufsize log-proto max-reuse maxconn \
    maxqueue minconn namespace npn observe on-error on-marked-down on-marked-up pool-conn-name \
    pool-low-conn pool-max-conn pool-purge-delay port proto proxy-v2-options quic-cc-algo \
    redir resolve-net resolve-opts resolve-prefer resolvers rise shard sigalgs slowstart sni \
    socks4 source ssl-max-ver ssl-min-ver tcp-md5sig tcp-ut track usesrc verify verifyhost \
    weight ws";

/// The words that HAProxy accepts in `default-server`, but doesn't pass on to the servers (`srv_settings_cpy`
/// in its source).
const NOT_PASSED_ON: [&str; 4] = ["check-proto", "client-sigalgs", "curves", "sigalgs"];

/// Returns true if this word of a server line has a value.
pub(crate) fn has_value(word: &str) -> bool {
    let mut known = WITH_VALUE.split(' ');
    known.any(|known| known == word) || word.starts_with("set-proxy-v2-tlv-fmt(")
}

impl Server {
    /// Returns true if the server line or `default-server` has the word `check`.
    pub(crate) fn is_checked(&self) -> bool {
        self.settings.has("check")
    }

    /// Returns the places of the server line and of its words, which may come from a `default-server` line.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        let of_words = self.settings.iter().map(|(_, at)| &at.place);
        iter::once(&self.place).chain(of_words)
    }

    /// Returns the address and port that HAProxy passes to an external check. HAProxy resolves names when it
    /// starts. If the name gets no address then, the name stays.
    pub(crate) fn address(&self) -> (String, String) {
        let (address, port) = self.endpoint.words();
        let name = self.endpoint.name();
        let mut initial = name.into_iter().flat_map(|_| self.init_addr());
        let found = initial.find_map(|method| match method {
            "libc" => self.resolved().map(Some),
            "none" => Some(None),
            fixed => fixed.parse::<IpAddr>().ok().map(Some),
        });
        let found = found.flatten().map(|address| address.to_string());
        (found.unwrap_or(address), port)
    }

    /// Returns HAProxy's methods to find the name's first address, in HAProxy's order (`init-addr`, manual
    /// section 5.2). Leaves out `last`, because sni-check doesn't read HAProxy's state file.
    pub(crate) fn init_addr(&self) -> impl Iterator<Item = &str> {
        let methods = self.settings.get("init-addr");
        let methods = methods.map_or("last,libc", |methods| methods.value.as_str());
        methods.split(',').filter(|method| *method != "last")
    }

    /// Returns the first address of the name that has the family of the server line.
    fn resolved(&self) -> Option<IpAddr> {
        let mut addresses = (self.endpoint.name()?, 0).to_socket_addrs().ok()?;
        let is_of_family = |address: &SocketAddr| match self.family.as_str() {
            family if family.contains('4') => address.is_ipv4(),
            family => address.is_ipv6() || !family.contains('6'),
        };
        addresses.find(is_of_family).map(|address| address.ip())
    }
}

impl Settings {
    /// Reads the words of a line. Returns what sni-check doesn't understand, as text for the report.
    pub(crate) fn read(&mut self, words: &[String], place: &Place) -> Vec<String> {
        let mut unclear = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = match has_value(word) {
                false => "",
                true => match words.next() {
                    Some(value) => value,
                    None => {
                        unclear.push(format!("{word} has no value"));
                        continue;
                    }
                },
            };
            if let ("inter", Err(error)) = (word.as_str(), value.parse::<Time>()) {
                unclear.push(error.of(&format!("inter {value}")).to_string());
                continue;
            }
            self.set(word, At::new(value.to_owned(), place));
        }
        unclear
    }

    fn set(&mut self, word: &str, value: At<String>) {
        let opposite = match (word, word.strip_prefix("no-")) {
            ("enabled", _) => "disabled".to_owned(),
            ("disabled", _) => "enabled".to_owned(),
            (_, Some(word)) => word.to_owned(),
            (word, None) => format!("no-{word}"),
        };
        self.0.remove(&opposite);
        self.0.insert(word.to_owned(), value);
    }

    /// Returns the words with their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &At<String>)> {
        self.0.iter().map(|(word, value)| (word.as_str(), value))
    }

    /// Returns the words that servers get from `default-server` lines with these words.
    pub(crate) fn passed_on(&self) -> Settings {
        let mut passed_on = self.clone();
        passed_on.remove(&NOT_PASSED_ON);
        passed_on
    }

    /// Returns these words, and the words of `defaults` that these words don't override.
    pub(crate) fn with_defaults(&self, defaults: &Settings) -> Settings {
        let mut all = defaults.clone();
        for (word, at) in &self.0 {
            all.set(word, at.clone());
        }
        all
    }

    /// Removes these words.
    pub(crate) fn remove(&mut self, words: &[&str]) {
        self.0.retain(|word, _| !words.contains(&word.as_str()));
    }

    pub(crate) fn get(&self, word: &str) -> Option<&At<String>> {
        self.0.get(word)
    }

    /// Returns the value of a word, if these settings contain the word.
    pub(crate) fn value(&self, word: &str) -> Option<&str> {
        self.get(word).map(|at| at.value.as_str())
    }

    /// Returns true if these settings contain the word.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.contains_key(word)
    }

    /// Returns the position of a word, if these settings contain the word.
    pub(crate) fn place(&self, word: &str) -> Option<&Place> {
        self.get(word).map(|at| &at.place)
    }

    /// Returns the time between two checks, if `inter` sets it.
    pub(crate) fn inter(&self) -> Option<At<Duration>> {
        let At { value, place } = self.get("inter")?;
        let time = value.parse::<Time>().ok()?;
        Some(At::new(time.0, place))
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Settings};

    #[test]
    fn a_value_is_never_mistaken_for_a_word() {
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
        assert!(!settings.has("check") && unclear.is_empty());
        let (settings, unclear) = read("check inter 5s no-check frobnicate");
        assert!(!settings.has("check") && unclear.is_empty());
        assert_eq!(settings.inter().expect("a time").value.as_secs(), 5);
        let (settings, _) = read("no-ssl ssl enabled disabled");
        assert!(settings.has("ssl") && !settings.has("no-ssl") && !settings.has("enabled"));
        let (_, unclear) = read("inter x sni");
        assert_eq!(unclear.len(), 2, "{unclear:?}");
    }
}
