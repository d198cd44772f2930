//! The operator's configuration: one value that can be written as a call of `diagnose` and as
//! haproxy.cfg.

use std::fmt::Write as _;

use crate::support::kinds::{Props, Staged};
use crate::support::{NAME, kinds};

/// The operator's configuration for one server. The names are HAProxy's keywords where they fit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// The name in the call of `diagnose`.
    pub target: String,
    pub port: u16,
    pub sni: Option<String>,
    pub trust: Trust,
    pub tls: Tls,
    pub verify_host: Option<String>,
    pub host: Option<String>,
    pub uri: String,
    pub method: &'static str,
    pub expect: Option<&'static str>,
    /// `send-proxy` or `send-proxy-v2`.
    pub proxy: Option<&'static str>,
    pub min_version: Option<&'static str>,
    pub max_version: Option<&'static str>,
    pub crt: Option<String>,
    pub milliseconds: u128,
    pub source: Option<&'static str>,
    /// HTTP/2, for both the check and visitors.
    pub http2: bool,
    /// Requests carry a header which says that visitors use HTTPS.
    pub forwarded: bool,
    /// The check sends a browser's User-Agent.
    pub agent: bool,
    /// The Host header that visitors' requests get.
    pub sets_host: Option<String>,
    /// The name that only the check sends, if it isn't `sni`. An empty text is no name.
    pub check_sni: Option<&'static str>,
    /// The server line has `sni` for visitors.
    pub traffic_sni: bool,
    /// Revocation lists.
    pub crl: Option<String>,
    /// Another backend has a server with the same address, and with the right files.
    pub elsewhere: bool,
    /// How many `connect` rules HAProxy's own check has, each followed by the same request.
    pub connects: usize,
    /// Larger buffers for long heads. This setting applies to the whole process.
    pub large_buffers: bool,
}

/// How certificates are verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    File(String),
    /// Public CAs: the configuration names no file.
    Public,
    /// `verify none`.
    Anything,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tls {
    Normal,
    /// Versions and ciphers that are no longer safe.
    Old,
    Plain,
}

/// The price of a change from one configuration to another, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Price {
    Nothing,
    /// haproxy.cfg and the server show everything that the change needs.
    Lines,
    /// The change needs a value that only the operator knows.
    Value(Value),
    /// The change gives up verification, encryption or a safe TLS version.
    Safety,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Ca,
    ClientCertificate,
    Lists,
    Name,
    Page,
    Expectation,
    Port,
}

impl Config {
    /// Returns the configuration of an operator who knows only the server's address, name and CA.
    pub fn naive(staged: &Staged) -> Config {
        Config {
            target: NAME.to_owned(),
            port: staged.port,
            sni: Some(NAME.to_owned()),
            trust: Trust::File(staged.ca_file.clone()),
            tls: Tls::Normal,
            verify_host: None,
            host: None,
            uri: "/".to_owned(),
            method: "GET",
            expect: None,
            proxy: None,
            min_version: None,
            max_version: None,
            crt: None,
            milliseconds: staged.timeout.as_millis(),
            source: None,
            http2: false,
            forwarded: false,
            agent: false,
            sets_host: None,
            check_sni: None,
            traffic_sni: true,
            crl: None,
            elsewhere: false,
            connects: 0,
            large_buffers: false,
        }
    }

    /// Returns the words after `sni-check diagnose`, without diagnose's own options.
    pub fn call(&self) -> Vec<String> {
        let mut words = vec![
            format!("--connect=127.0.0.1:{}", self.port),
            format!("--timeout={}ms", self.milliseconds),
        ];
        let mut option = |name: &str, value: Option<&str>| {
            words.extend(value.map(|value| format!("--{name}={value}")));
        };
        option("sni", self.sni.as_deref().filter(|sni| *sni != self.target));
        option("verify-host", self.verify_host.as_deref());
        option("ssl-min-ver", self.min_version);
        option("ssl-max-ver", self.max_version);
        option("crt", self.crt.as_deref());
        option("crl-file", self.crl.as_deref());
        option("source", self.source);
        option("expect", self.expect);
        option("uri", Some(self.uri.as_str()).filter(|uri| *uri != "/"));
        option(
            "method",
            Some(self.method).filter(|method| *method != "GET"),
        );
        let host = self.host.as_ref().map(|host| format!("Host: {host}"));
        option("header", host.as_deref());
        match &self.trust {
            Trust::File(file) => option("ca-file", Some(file)),
            Trust::Public => {}
            Trust::Anything => option("verify", Some("none")),
        }
        words.extend(self.proxy.map(|word| format!("--{word}")));
        if self.sni.is_none() {
            words.push("--no-sni".to_owned());
        }
        words.push(self.target.clone());
        words
    }

    /// Returns the lines of a backend with sni-check as external check, without the `backend` line.
    pub fn external_lines(&self, program: &str) -> String {
        let mut words = self.call();
        words.pop();
        words.retain(|word| !word.starts_with("--connect=") && !word.starts_with("--sni="));
        match self.check_sni.or(self.sni.as_deref()) {
            Some(name) => words.push(format!("--sni={name}")),
            None if self.verify_host.is_none() => {
                words.push(format!("--verify-host={}", self.target))
            }
            None => {}
        }
        let path = words.iter().map(|word| match word.contains(' ') {
            true => format!("'{word}'"),
            false => word.clone(),
        });
        let path: Vec<String> = path.collect();
        let mut text = format!(
            "    option external-check\n    external-check command {program}\n    external-check path \"{}\"\n",
            path.join(" ")
        );
        text += &self.server_line(false);
        text
    }

    /// Returns the lines of a backend with HAProxy's own check, without the `backend` line.
    pub fn lines(&self) -> String {
        let host = self.host.as_ref().or(self.sni.as_ref());
        let host = host.unwrap_or(&self.target);
        let version = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
        let time = self.milliseconds;
        let mut text = format!("    option httpchk\n    timeout check {time}ms\n");
        let mut request = format!(
            "    http-check send meth {} uri {} ver {version} hdr Host {host}",
            self.method, self.uri
        );
        if self.forwarded {
            request += " hdr X-Forwarded-Proto https";
        }
        if self.agent {
            request += " hdr User-Agent Mozilla/5.0";
        }
        request.push('\n');
        if let Some(rule) = self.expect {
            _ = writeln!(request, "    http-check expect {rule}");
        } else if self.connects > 1 {
            request += "    http-check expect status 200-399\n";
        }
        for _ in 0..self.connects {
            text += &(self.connect_rule() + &request);
        }
        if self.connects == 0 {
            text += &request;
        }
        if self.forwarded {
            text += "    http-request set-header X-Forwarded-Proto https\n";
        }
        if let Some(host) = &self.sets_host {
            _ = writeln!(text, "    http-request set-header Host {host}");
        }
        text + &self.server_line(true)
    }

    /// Returns a `connect` rule that connects as the server line says.
    fn connect_rule(&self) -> String {
        let mut text = "    http-check connect".to_owned();
        if self.tls != Tls::Plain {
            text += " ssl";
            let name = self.check_sni.or(self.sni.as_deref());
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                _ = write!(text, " sni {name}");
            }
            text += if self.http2 { " alpn h2" } else { "" };
        }
        let proxy = self.proxy.map_or("", |_| " send-proxy");
        text + proxy + "\n"
    }

    /// Returns a backend for the same server with the right files.
    pub fn other_backend(&self, staged: &Staged, props: &Props) -> String {
        let config = Config {
            crt: Some(props.crt.clone()),
            crl: self.crl.as_ref().map(|_| props.crl.clone()),
            connects: 0,
            ..Config::naive(staged)
        };
        format!("backend elsewhere\n{}", config.lines())
    }

    /// Returns the server line. HAProxy's own check needs its own SNI.
    fn server_line(&self, own_check: bool) -> String {
        let mut text = format!("    server s1 127.0.0.1:{} check", self.port);
        if self.tls != Tls::Plain {
            text += &self.tls_words(own_check);
        }
        for (word, value) in [("", self.proxy), ("source ", self.source)] {
            if let Some(value) = value {
                _ = write!(text, " {word}{value}");
            }
        }
        text + "\n"
    }

    fn tls_words(&self, own_check: bool) -> String {
        let mut text = " ssl".to_owned();
        text += &match &self.trust {
            Trust::File(file) => format!(" verify required ca-file {file}"),
            Trust::Public => " verify required ca-file @system-ca".to_owned(),
            Trust::Anything => " verify none".to_owned(),
        };
        match &self.sni {
            Some(name) => {
                if self.traffic_sni {
                    _ = write!(text, " sni str({name})");
                }
                let name = self.check_sni.unwrap_or(name);
                if own_check && !name.is_empty() {
                    _ = write!(text, " check-sni {name}");
                }
            }
            None if self.trust != Trust::Anything => {
                let name = self.verify_host.as_ref().unwrap_or(&self.target);
                _ = write!(text, " verifyhost {name}");
            }
            None => {}
        }
        let files = [("crt", &self.crt), ("crl-file", &self.crl)];
        for (word, file) in files {
            if let Some(file) = file {
                _ = write!(text, " {word} {file}");
            }
        }
        if self.http2 {
            text += " alpn h2 check-alpn h2";
        }
        match self.tls {
            Tls::Old => text += " ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0",
            _ => {
                for (word, version) in [("min", self.min_version), ("max", self.max_version)] {
                    if let Some(version) = version {
                        _ = write!(text, " ssl-{word}-ver {version}");
                    }
                }
            }
        }
        text
    }

    /// Returns this configuration as haproxy.cfg has it, where the SNI name is the only name.
    pub fn in_file(&self) -> Config {
        let target = self.sni.as_ref().unwrap_or(&self.target).clone();
        Config {
            target,
            ..self.clone()
        }
    }

    /// Returns every name in the configuration.
    pub fn names(&self) -> Vec<&String> {
        let mut names = vec![&self.target];
        names.extend(
            [&self.sni, &self.host, &self.verify_host]
                .into_iter()
                .flatten(),
        );
        names.sort();
        names.dedup();
        names
    }

    /// Returns the price of the change from this configuration to `that`.
    pub fn price(&self, that: &Config, staged: &Staged) -> Price {
        let prices = self.prices(that, staged).into_iter();
        prices.max().unwrap_or(Price::Nothing)
    }

    /// Returns the values that the operator needs for this change.
    pub fn values_of(&self, that: &Config, staged: &Staged) -> Vec<Value> {
        let prices = self.prices(that, staged).into_iter();
        let values = prices.filter_map(|price| match price {
            Price::Value(value) => Some(value),
            _ => None,
        });
        values.collect()
    }

    /// Returns the price of each setting that differs.
    fn prices(&self, that: &Config, staged: &Staged) -> Vec<Price> {
        let known = |name: &Option<String>| match name {
            Some(name) if !self.names().contains(&name) => Price::Value(Value::Name),
            _ => Price::Lines,
        };
        let page = match that.uri.as_str() {
            uri if uri == "/" || Some(uri) == staged.moved => Price::Lines,
            _ => Price::Value(Value::Page),
        };
        let crt = match that.crt {
            Some(_) if self.elsewhere => Price::Lines,
            Some(_) => Price::Value(Value::ClientCertificate),
            None => Price::Lines,
        };
        let trust = match that.trust {
            Trust::Anything => Price::Safety,
            Trust::File(ref file) if self.elsewhere && *file == staged.ca_file => Price::Lines,
            _ => Price::Value(Value::Ca),
        };
        let crl = match that.crl {
            None => Price::Safety,
            Some(_) if self.elsewhere => Price::Lines,
            Some(_) => Price::Value(Value::Lists),
        };
        let tls = match that.tls {
            Tls::Normal => Price::Lines,
            Tls::Old | Tls::Plain => Price::Safety,
        };
        let changes = [
            (self.port != that.port, Price::Value(Value::Port)),
            (self.sni != that.sni, known(&that.sni)),
            (self.host != that.host, known(&that.host)),
            (self.sets_host != that.sets_host, known(&that.sets_host)),
            (
                self.verify_host != that.verify_host,
                known(&that.verify_host),
            ),
            (self.trust != that.trust, trust),
            (self.tls != that.tls, tls),
            (self.uri != that.uri, page),
            (self.expect != that.expect, Price::Value(Value::Expectation)),
            (self.crt != that.crt, crt),
            (self.crl != that.crl, crl),
            (self != that, Price::Lines),
        ];
        let changed = changes.into_iter().filter(|(changed, _)| *changed);
        changed.map(|(_, price)| price).collect()
    }

    /// Returns the settings of `that` which differ from this configuration.
    pub fn differences(&self, that: &Config) -> Vec<String> {
        // `Debug` prints each setting as a comma, its name and its value.
        let parts = |config: &Config| -> Vec<String> {
            let text = format!("{config:?}").replace("Some(", "").replace(')', "");
            text.split(", ").map(str::to_owned).collect()
        };
        let (own, other) = (parts(self), parts(that));
        let differ = own.iter().zip(other).filter(|(own, other)| *own != other);
        differ.map(|(_, other)| other).collect()
    }

    /// Returns the number of settings that differ.
    pub fn distance(&self, that: &Config) -> usize {
        let differ = [
            self.port != that.port,
            self.sni != that.sni,
            self.trust != that.trust,
            self.tls != that.tls,
            self.verify_host != that.verify_host,
            self.host != that.host,
            self.sets_host != that.sets_host,
            (self.check_sni, self.traffic_sni) != (that.check_sni, that.traffic_sni),
            self.uri != that.uri,
            self.method != that.method,
            self.expect != that.expect,
            self.proxy != that.proxy,
            (self.min_version, self.max_version) != (that.min_version, that.max_version),
            self.crt != that.crt,
            self.crl != that.crl,
            self.milliseconds != that.milliseconds,
            self.source != that.source,
            self.http2 != that.http2,
            self.forwarded != that.forwarded,
            self.agent != that.agent,
            self.large_buffers != that.large_buffers,
        ];
        differ.iter().filter(|differs| **differs).count()
    }

    /// True if the configurations differ in a value that only the operator knows.
    pub fn has_other_values_than(&self, that: &Config) -> bool {
        (self.port, &self.verify_host) != (that.port, &that.verify_host)
            || (&self.target, &self.sni, &self.host) != (&that.target, &that.sni, &that.host)
            || (&self.trust, &self.uri, &self.expect) != (&that.trust, &that.uri, &that.expect)
            || self.crl != that.crl
    }

    /// Returns this configuration, with the values from `that` which only the operator knows.
    pub fn with_values_of(&self, that: &Config, staged: &Staged) -> Config {
        let mut with = self.clone();
        let mut offer = |change: fn(&mut Config, &Config)| {
            let mut one = self.clone();
            change(&mut one, that);
            if matches!(self.price(&one, staged), Price::Value(_)) {
                change(&mut with, that);
            }
        };
        offer(|with, that| with.port = that.port);
        offer(|with, that| with.sni.clone_from(&that.sni));
        offer(|with, that| with.host.clone_from(&that.host));
        offer(|with, that| with.trust = that.trust.clone());
        offer(|with, that| with.uri.clone_from(&that.uri));
        offer(|with, that| with.expect = that.expect);
        offer(|with, that| with.crt.clone_from(&that.crt));
        offer(|with, that| with.crl.clone_from(&that.crl));
        if with.sni != self.sni {
            // An operator who corrects the name corrects it everywhere.
            with.target
                .clone_from(with.sni.as_ref().unwrap_or(&self.target));
        }
        with
    }

    /// Returns every configuration that differs from this one in a single setting.
    pub fn changed_once(&self, staged: &Staged, props: &Props) -> Vec<Config> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut Config)| {
            let mut one = self.clone();
            change(&mut one);
            if one != *self {
                all.push(one);
            }
        };
        let mut names: Vec<String> = self.names().into_iter().cloned().collect();
        names.extend([NAME, kinds::OTHER].map(str::to_owned));
        names.sort();
        names.dedup();
        add(&|one| one.sni = None);
        for name in &names {
            add(&|one| one.sni = Some(name.clone()));
            // A second candidate also removes the separate Host, so that Host follows the new SNI
            // name.
            add(&|one| {
                one.sni = Some(name.clone());
                one.host = None;
            });
            add(&|one| one.host = Some(name.clone()));
            add(&|one| one.sets_host = Some(name.clone()));
        }
        add(&|one| (one.check_sni, one.traffic_sni) = (None, true));
        add(&|one| one.host = None);
        add(&|one| one.verify_host = None);
        add(&|one| one.uri = "/".to_owned());
        add(&|one| one.uri = staged.page.to_owned());
        if let Some(moved) = staged.moved {
            add(&|one| one.uri = moved.to_owned());
        }
        for word in [None, Some("send-proxy"), Some("send-proxy-v2")] {
            add(&|one| one.proxy = word);
        }
        add(&|one| (one.min_version, one.max_version) = (None, None));
        add(&|one| one.method = "GET");
        add(&|one| one.expect = None);
        add(&|one| one.expect = Some("status 401"));
        add(&|one| one.source = None);
        add(&|one| one.http2 = true);
        add(&|one| one.forwarded = true);
        add(&|one| one.agent = true);
        add(&|one| one.large_buffers = true);
        add(&|one| one.milliseconds = one.milliseconds.max(5000));
        add(&|one| one.crt = None);
        add(&|one| one.crt = Some(props.crt.clone()));
        if self.crl.is_some() {
            add(&|one| one.crl = None);
            add(&|one| one.crl = Some(props.crl.clone()));
        }
        add(&|one| one.trust = Trust::File(staged.ca_file.clone()));
        if let Some(file) = &staged.complete_ca_file {
            add(&|one| one.trust = Trust::File(file.clone()));
        }
        add(&|one| one.trust = Trust::Anything);
        add(&|one| one.tls = Tls::Old);
        add(&|one| one.tls = Tls::Plain);
        if let Some(port) = staged.right_port {
            add(&|one| one.port = port);
        }
        add(&|one| one.port = staged.port);
        all
    }
}
