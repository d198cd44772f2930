//! The operator's configuration, which can be written as a call of `diagnose` or as haproxy.cfg.

use std::fmt::Write as _;

use super::score::Form;
use crate::support::kinds::{Props, Staged};
use crate::support::{NAME, kinds};

/// The operator's configuration for one server. Most fields have the names of HAProxy's keywords.
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
    /// True if the check and visitors use HTTP/2.
    pub http2: bool,
    /// True if requests carry a header that tells the server that visitors use HTTPS.
    pub forwarded: bool,
    /// True if the check sends a browser's User-Agent.
    pub agent: bool,
    /// The Host header that HAProxy sets in visitors' requests.
    pub sets_host: Option<String>,
    /// The SNI name of the check, if it differs from `sni`. An empty string means no SNI.
    pub check_sni: Option<&'static str>,
    /// Revocation lists.
    pub crl: Option<String>,
    /// True if another backend has a server with the same address and the right files.
    pub elsewhere: bool,
    /// How many `connect` rules HAProxy's own check has, each followed by the same request.
    pub connects: usize,
    /// True if HAProxy has larger buffers for long heads. This setting applies to the whole process.
    pub large_buffers: bool,
    /// `timeout connect` of the backend.
    pub connect_milliseconds: Option<u128>,
    /// True if HAProxy doesn't check the server.
    pub unchecked: bool,
    /// The settings of visitors' connections, if they differ from those of the check. An empty `sni` means
    /// that the server line has no `sni`. An `sni` with a parenthesis is an expression, such as
    /// `req.hdr(host)`.
    pub visitors: Option<Box<Config>>,
}

/// The CAs that the configuration trusts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    File(String),
    /// The default CAs: Mozilla's for sni-check, and the system's for HAProxy.
    Public,
    /// `verify none`.
    Anything,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tls {
    Normal,
    /// TLS that also allows versions and ciphers that are no longer safe.
    Old,
    Plain,
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
            crl: None,
            elsewhere: false,
            connects: 0,
            large_buffers: false,
            connect_milliseconds: None,
            unchecked: false,
            visitors: None,
        }
    }

    /// Returns the arguments after `sni-check diagnose`, without the options that only diagnose has.
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

    /// Returns the lines of a backend with sni-check as an external check, without the `backend` line.
    pub fn external_lines(&self, program: &str) -> String {
        let mut words = self.call();
        words.pop();
        words.retain(|word| !word.starts_with("--connect=") && !word.starts_with("--sni="));
        let other_port = self.line().port != self.port;
        words.extend(other_port.then(|| format!("--port={}", self.port)));
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
        text += &self.line().rules_of_visitors();
        text += &self.server_line(false);
        text
    }

    /// Returns the settings of visitors' connections.
    fn line(&self) -> &Config {
        self.visitors.as_deref().unwrap_or(self)
    }

    /// Returns the backend's lines for visitors' connections. Its `timeout connect` also limits the check.
    fn rules_of_visitors(&self) -> String {
        let mut text = String::new();
        if self.forwarded {
            text += "    http-request set-header X-Forwarded-Proto https\n";
        }
        if let Some(host) = &self.sets_host {
            _ = writeln!(text, "    http-request set-header Host {host}");
        }
        if let Some(time) = self.connect_milliseconds {
            _ = writeln!(text, "    timeout connect {time}ms");
        }
        text
    }

    /// Returns the lines of a backend with HAProxy's own check, without the `backend` line.
    pub fn lines(&self) -> String {
        if self.unchecked {
            return self.rules_of_visitors() + &self.server_line(false);
        }
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
        text + &self.line().rules_of_visitors() + &self.server_line(true)
    }

    /// Returns a `connect` rule with the settings of the check.
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

    /// Returns the server line. For HAProxy's own check, the line also has the check's SNI name.
    fn server_line(&self, own_check: bool) -> String {
        let line = self.line();
        let check = if self.unchecked { "" } else { " check" };
        let mut text = format!("    server s1 127.0.0.1:{}{check}", line.port);
        let encrypts = own_check && self.tls != Tls::Plain;
        if line.tls != Tls::Plain {
            text += " ssl";
            text += &line.tls_words();
            text += &line.sni_words();
            text += if line.http2 { " alpn h2" } else { "" };
        } else if encrypts {
            text += " check-ssl";
            text += &self.tls_words();
        }
        if encrypts {
            if let Some(sni) = &self.sni {
                let name = self.check_sni.unwrap_or(sni);
                if !name.is_empty() {
                    _ = write!(text, " check-sni {name}");
                }
            }
            text += if self.http2 { " check-alpn h2" } else { "" };
        }
        for (word, value) in [("", line.proxy), ("source ", line.source)] {
            if let Some(value) = value {
                _ = write!(text, " {word}{value}");
            }
        }
        text + "\n"
    }

    /// Returns the keyword that sets the SNI name of visitors' connections. Without an SNI name, returns the
    /// keyword that sets the name to verify.
    fn sni_words(&self) -> String {
        match self.sni.as_deref() {
            Some("") => String::new(),
            Some(expression) if expression.contains('(') => format!(" sni {expression}"),
            Some(name) => format!(" sni str({name})"),
            None if self.trust != Trust::Anything => {
                let name = self.verify_host.as_ref().unwrap_or(&self.target);
                format!(" verifyhost {name}")
            }
            None => String::new(),
        }
    }

    fn tls_words(&self) -> String {
        let mut text = match &self.trust {
            Trust::File(file) => format!(" verify required ca-file {file}"),
            Trust::Public => " verify required ca-file @system-ca".to_owned(),
            Trust::Anything => " verify none".to_owned(),
        };
        let files = [("crt", &self.crt), ("crl-file", &self.crl)];
        for (word, file) in files {
            if let Some(file) = file {
                _ = write!(text, " {word} {file}");
            }
        }
        match (self.tls, self.min_version, self.max_version) {
            (Tls::Old, ..) => text += " ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0",
            (_, Some("TLSv1.2"), Some("TLSv1.2")) => text += " force-tlsv12",
            (_, min, max) => {
                for (word, version) in [("min", min), ("max", max)] {
                    if let Some(version) = version {
                        _ = write!(text, " ssl-{word}-ver {version}");
                    }
                }
            }
        }
        text
    }

    /// Returns this configuration in the form of haproxy.cfg, which has no target: the SNI name replaces the
    /// target. If the check is HAProxy's own, visitors' connections share most settings of the check.
    pub fn in_file(&self, form: Form) -> Config {
        let target = self.sni.as_ref().unwrap_or(&self.target).clone();
        let mut config = Config {
            target,
            ..self.clone()
        };
        if let (Form::Own, Some(line)) = (form, &self.visitors) {
            let proxy = match self.connects {
                0 => self.proxy,
                _ => line.proxy,
            };
            config.visitors = Some(Box::new(Config {
                sni: line.sni.clone(),
                sets_host: line.sets_host.clone(),
                tls: line.tls,
                http2: line.http2,
                proxy,
                unchecked: true,
                visitors: None,
                ..config.clone()
            }));
        }
        config
    }

    /// Returns the check and visitors' connections as two configurations. Returns `None` if they have the
    /// same settings.
    pub fn halves(&self) -> Option<[Config; 2]> {
        let line = self.visitors.as_deref()?;
        let check = Config {
            visitors: None,
            ..self.clone()
        };
        Some([check, line.clone()])
    }

    /// Returns the names in `target`, `sni`, `host` and `verify_host`, of the check and of visitors, without
    /// expressions.
    pub fn names(&self) -> Vec<&String> {
        // Visitors' connections use `target` only if no other name is set.
        let target = (!self.unchecked).then_some(&self.target);
        let mut names: Vec<&String> = target.into_iter().collect();
        names.extend(
            [&self.sni, &self.host, &self.verify_host]
                .into_iter()
                .flatten(),
        );
        if let Some(line) = &self.visitors {
            names.extend(line.names());
        }
        names.retain(|name| !name.is_empty() && !name.contains('('));
        names.sort();
        names.dedup();
        names
    }

    /// Returns configurations that differ from this configuration in one setting, or in two that belong
    /// together.
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
            // A second candidate also removes `host`, so that the Host header follows the new SNI name.
            add(&|one| {
                one.sni = Some(name.clone());
                one.host = None;
            });
            add(&|one| one.host = Some(name.clone()));
            add(&|one| one.sets_host = Some(name.clone()));
        }
        add(&|one| one.check_sni = None);
        add(&|one| one.sets_host = None);
        add(&|one| one.connect_milliseconds = None);
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
