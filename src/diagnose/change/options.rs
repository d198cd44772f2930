//! Expresses sni-check's options as words and lines of haproxy.cfg.

use super::{
    Change, EXPECT, Head, PROXY_WORDS, SEND, SOURCE, TIMEOUT_CHECK, TIMEOUT_CONNECT, connect_rule,
    evaluated_host, has_head, has_line, line,
};
use crate::doctor::survey::{CheckKind, Edit, Surveyed};
use crate::haproxy::config::backend_lines::Rule;
use crate::haproxy::words::split_value;
use crate::options::Options;
use crate::options::values::{Time, TlsVersion};

/// The time in milliseconds by which HAProxy's limits, such as `inter`, exceed the check's own time limit.
const SPARE: u128 = 500;

impl Change {
    /// Sets one option of HAProxy's own check. Returns `None` if haproxy.cfg can't express the option.
    pub(super) fn set_own_check_option(
        &mut self,
        surveyed: &Surveyed,
        name: &str,
        best: &Options,
    ) -> Option<()> {
        // Without `default`, a `connect` rule ignores the server line's words about SNI, ALPN and the PROXY
        // header.
        let connect = connect_rule(surveyed);
        let has = |rule: &Rule, wanted: &str| rule.words.iter().any(|word| word == wanted);
        let ruled =
            |word: &str| connect.is_some_and(|rule| has(rule, word) || !has(rule, "default"));
        let switch = |is_set: bool| is_set.then(String::new);
        match name {
            "--sni" | "--no-sni" if ruled("sni") => self.ruled("sni", best.sni.clone()),
            "--sni" | "--no-sni" => self.word("check-sni", best.sni.clone()),
            // Without --verify-host, verify the SNI name. Otherwise, HAProxy would verify no name on
            // visitors' connections without SNI.
            "--verify-host" => {
                let name = best.verify_host.as_ref().or(best.sni.as_ref());
                self.word("verifyhost", name.cloned());
            }
            "--send-proxy" | "--send-proxy-v2" => {
                let elsewhere = ["port", "addr"].map(|word| surveyed.has_word(word));
                let is_set = best.send_proxy || best.send_proxy_v2;
                match ruled("send-proxy") {
                    true => self.ruled("send-proxy", switch(is_set)),
                    false if elsewhere.contains(&true) => {
                        self.word("check-send-proxy", switch(is_set));
                    }
                    // Without `port` and `addr`, the check sends the PROXY header if any `send-proxy` word is
                    // present.
                    false if !is_set => {
                        for word in PROXY_WORDS {
                            self.word(word, None);
                        }
                    }
                    false => self.set_word(surveyed, name, best)?,
                }
                // The server line decides which version of the header HAProxy sends.
                let mut versions = ["send-proxy", "send-proxy-v2"].into_iter();
                if best.send_proxy_v2 && !versions.any(|word| surveyed.has_word(word)) {
                    self.set_word(surveyed, "--send-proxy-v2", best)?;
                }
            }
            "--alpn" => {
                let alpn = best.alpn.as_ref().map(ToString::to_string);
                // Without `check-alpn`, the check offers the `alpn` list of the server line.
                if alpn.is_none() {
                    self.word("alpn", None);
                }
                match ruled("alpn") {
                    true => self.ruled("alpn", alpn),
                    false => self.word("check-alpn", alpn),
                }
            }
            "--timeout" => self.set_time(surveyed, best)?,
            "--header" | "--uri" | "--method" | "--body" => {
                self.request((best, "HTTP/1.1"), evaluated_host(surveyed));
            }
            "--expect" => {
                let rules = best.expect.iter().map(|rule| {
                    let words = split_value(&rule.to_string()).ok()?.into_iter();
                    let words = words.map(|word| String::from_utf8(word).ok());
                    Some(line(EXPECT, words.collect::<Option<Vec<_>>>()?))
                });
                let rules: Option<Vec<Vec<String>>> = rules.collect();
                self.set_lines(EXPECT, rules?);
            }
            _ => self.set_word(surveyed, name, best)?,
        }
        Some(())
    }

    /// Sets an option with a word of the server line that applies to the check and to visitors. Returns
    /// `None` if the server line has no word for the option.
    pub(super) fn set_word(
        &mut self,
        surveyed: &Surveyed,
        name: &str,
        best: &Options,
    ) -> Option<()> {
        let switch = |is_set: bool| is_set.then(String::new);
        let version = |version: Option<TlsVersion>| version.map(|version| version.to_string());
        match name {
            "--ca-file" => {
                let file = best.ca_file.iter().find(|file| *file != "@bundled");
                let file = file.map_or("@system-ca", String::as_str);
                self.word("ca-file", Some(file.to_owned()));
            }
            "--crl-file" => self.word("crl-file", best.crl_file.first().cloned()),
            "--crt" => {
                let mut known = surveyed.known_values.iter();
                let known = known
                    .find(|known| known.option == name && best.crt.as_ref() == Some(&known.value));
                let word = known.map(|known| known.word.clone());
                self.word("crt", word.or(best.crt.clone()));
            }
            // The server line has no word for the key: the certificate's file or a `crt-store` names it.
            "--key" => {}
            "--source" => {
                self.word("source", best.source.as_ref().map(ToString::to_string));
                // Without `source` on the server line, HAProxy uses the backend's `source` line, so remove
                // that line, too.
                if best.source.is_none() {
                    self.set_lines(SOURCE, Vec::new());
                }
            }
            "--send-proxy" | "--send-proxy-v2" if !(best.send_proxy || best.send_proxy_v2) => {
                let words = PROXY_WORDS.into_iter();
                for word in words.filter(|word| *word != "check-send-proxy") {
                    self.word(word, None);
                }
            }
            "--send-proxy" => self.word("send-proxy", switch(best.send_proxy)),
            "--send-proxy-v2" => self.word("send-proxy-v2", switch(best.send_proxy_v2)),
            "--ssl-min-ver" => self.word("ssl-min-ver", version(best.ssl_min_ver)),
            "--ssl-max-ver" => self.word("ssl-max-ver", version(best.ssl_max_ver)),
            _ => return None,
        }
        Some(())
    }

    /// Gives the check more time. HAProxy kills an external check after `inter`. If `timeout check` is set,
    /// HAProxy also kills it after `timeout connect`. The value of `timeout check` limits only other kinds of
    /// check. Returns `None` if the options have no --timeout.
    pub(super) fn set_time(&mut self, surveyed: &Surveyed, best: &Options) -> Option<()> {
        let time = best.timeout.as_ref()?.0.as_millis();
        self.word("inter", Some(format!("{}ms", time + SPARE)));
        let has_limit = has_line(surveyed, TIMEOUT_CHECK);
        match surveyed.kind {
            CheckKind::External if has_limit => self.raise_timeout_connect(surveyed, best)?,
            CheckKind::External => {}
            // HAProxy must wait longer than serve. Otherwise, HAProxy times out before serve reports the
            // cause.
            CheckKind::Served => self.set_timeout(TIMEOUT_CHECK, time + SPARE),
            _ => self.set_timeout(TIMEOUT_CHECK, time),
        }
        Some(())
    }

    /// Raises `timeout connect` above the check's time limit, if the value in haproxy.cfg is too low. Returns
    /// `None` if the options have no --timeout.
    pub(super) fn raise_timeout_connect(
        &mut self,
        surveyed: &Surveyed,
        best: &Options,
    ) -> Option<()> {
        let time = best.timeout.as_ref()?.0;
        let rule = surveyed
            .rules()
            .find(|rule| has_head(rule, TIMEOUT_CONNECT));
        let present = rule.and_then(|rule| rule.words.get(2)?.parse::<Time>().ok());
        let is_set = self.rules.iter().any(|(head, _)| *head == TIMEOUT_CONNECT);
        if present.is_some_and(|present| present.0 <= time) && !is_set {
            self.set_timeout(TIMEOUT_CONNECT, time.as_millis() + SPARE);
        }
        Some(())
    }

    /// Sets the time of a `timeout` line, in milliseconds.
    fn set_timeout(&mut self, head: Head, time: u128) {
        self.set_lines(head, vec![line(head, [format!("{time}ms")])]);
    }

    /// Sets a word of the server line, unless this change already sets it.
    pub(super) fn word(&mut self, word: &'static str, value: Option<String>) {
        add(&mut self.words, word, value);
    }

    /// Sets a word of the check's `connect` rule, unless this change already sets it.
    fn ruled(&mut self, word: &'static str, value: Option<String>) {
        add(&mut self.connect, word, value);
    }

    /// Sets the request of HAProxy's own check, as one `http-check send` line. If the options have no Host
    /// header, the request's Host is `host`, or else the check's SNI name, or else its target.
    pub(super) fn request(&mut self, (best, version): (&Options, &str), host: Option<&str>) {
        let method = best.method.as_deref().unwrap_or("GET");
        let uri = best.uri.as_deref().unwrap_or("/");
        let mut words = line(SEND, ["meth", method, "uri", uri, "ver", version]);
        // sni-check sends a Host by default. HAProxy's own check sends a Host only if this line has one.
        let name = best.sni.as_ref().or(best.target.first());
        let name = host.or(name.map(String::as_str));
        let host = name.filter(|_| !best.has_header("host"));
        let host = host.map(|name| format!("Host: {name}"));
        for header in host.iter().chain(&best.header) {
            let field = header.split_once(':');
            // `--header 'NAME:'` leaves out a default header. HAProxy's own check has no default headers.
            if let Some((name, value)) = field.filter(|(_, value)| !value.trim().is_empty()) {
                words.extend(["hdr", name, value.trim()].map(str::to_owned));
            }
        }
        if let Some(body) = &best.body {
            words.extend(["body".to_owned(), body.clone()]);
        }
        self.set_lines(SEND, vec![words]);
    }
}

/// Adds an edit of this word, unless `edits` already contains one.
fn add(edits: &mut Vec<Edit>, word: &'static str, value: Option<String>) {
    if !edits.iter().any(|(known, _)| *known == word) {
        edits.push((word, value));
    }
}
