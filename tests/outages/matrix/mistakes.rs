//! The mistakes that operators make.

use super::config::{Config, Tls, Trust};
use super::score::Form;
use crate::support::kinds::{OTHER, Props, Staged};
use crate::support::{NAME, dead_port};

/// A mistake in a configuration.
pub struct Mistake {
    pub name: &'static str,
    /// The subject of the mistake. Two mistakes about the same subject aren't combined.
    pub about: &'static str,
    pub make: fn(&mut Config, &Props, &Staged),
}

impl Mistake {
    /// Returns true if this form of the configuration can have the mistake.
    pub fn fits(&self, form: Form) -> bool {
        match self.name {
            "no-check-sni"
            | "check-sni-other-site"
            | "check-sni-expression"
            | "connect-rule"
            | "two-connect-rules"
            | "connect-proxy"
            | "line-connect-proxy"
            | "line-no-alpn" => form == Form::Own,
            "check-sni-typo" | "line-no-ssl" => form != Form::Call,
            name if name.ends_with("-elsewhere") || name.contains("line-sni") => form != Form::Call,
            name if name.starts_with("line-") => form == Form::External,
            _ => true,
        }
    }
}

const fn mistake(
    name: &'static str,
    about: &'static str,
    make: fn(&mut Config, &Props, &Staged),
) -> Mistake {
    Mistake { name, about, make }
}

/// `ww` instead of `www`.
const TYPO: &str = "ww.example.test";
/// A correct value for `sni`, but not for `check-sni`, which needs a name.
const EXPRESSION: &str = "str(www.example.test)";
const UNKNOWN: &str = "shop.example.test";

/// Changes only the settings of visitors' connections.
fn on_line(config: &mut Config, change: impl Fn(&mut Config)) {
    let line = config.visitors.take();
    let mut line = line.unwrap_or_else(|| {
        let unchecked = true;
        Box::new(Config {
            unchecked,
            ..config.clone()
        })
    });
    change(&mut line);
    config.visitors = Some(line);
}

/// Mistakes on the server line come before mistakes of the check, so that `on_line` doesn't copy the check's
/// mistakes to the line.
pub const MISTAKES: &[Mistake] = &[
    mistake("line-sni-missing", "line-sni", |config, _, _| {
        on_line(config, |line| line.sni = Some(String::new()));
    }),
    mistake("line-sni-other", "line-sni", |config, _, _| {
        on_line(config, |line| line.sni = Some(OTHER.to_owned()));
    }),
    mistake("line-sni-typo", "line-sni", |config, _, _| {
        on_line(config, |line| line.sni = Some(TYPO.to_owned()));
    }),
    mistake("line-sni-host", "line-sni", |config, _, _| {
        on_line(config, |line| line.sni = Some("req.hdr(host)".to_owned()));
    }),
    mistake("line-sni-host-set", "line-sni", |config, _, _| {
        on_line(config, |line| {
            line.sni = Some("req.hdr(host)".to_owned());
            line.sets_host = Some(NAME.to_owned());
        });
    }),
    mistake("line-sni-host-set-wrong", "line-sni", |config, _, _| {
        on_line(config, |line| {
            line.sni = Some("req.hdr(host)".to_owned());
            line.sets_host = Some(UNKNOWN.to_owned());
        });
    }),
    mistake("line-ca-wrong", "line-trust", |config, props, _| {
        on_line(config, |line| {
            line.trust = Trust::File(props.wrong_ca.clone())
        });
    }),
    mistake("line-ca-missing", "line-trust", |config, _, _| {
        on_line(config, |line| line.trust = Trust::Public);
    }),
    mistake("line-verify-none", "line-trust", |config, _, _| {
        on_line(config, |line| line.trust = Trust::Anything);
    }),
    mistake("line-no-crt", "crt", |config, props, _| {
        on_line(config, |_| {});
        config.crt = Some(props.crt.clone());
    }),
    mistake("line-crt-wrong", "crt", |config, props, _| {
        on_line(config, |line| line.crt = Some(props.wrong_crt.clone()));
        config.crt = Some(props.crt.clone());
    }),
    mistake("line-no-proxy", "proxy", |config, _, _| {
        on_line(config, |_| {});
        config.proxy = Some("send-proxy");
    }),
    mistake("line-no-proxy-v2", "proxy", |config, _, _| {
        on_line(config, |_| {});
        config.proxy = Some("send-proxy-v2");
    }),
    mistake("line-proxy", "proxy", |config, _, _| {
        on_line(config, |line| line.proxy = Some("send-proxy"));
    }),
    mistake("line-proxy-v2", "proxy", |config, _, _| {
        on_line(config, |line| line.proxy = Some("send-proxy-v2"));
    }),
    mistake("connect-proxy", "proxy", |config, _, _| {
        on_line(config, |_| {});
        (config.proxy, config.connects) = (Some("send-proxy"), 1);
    }),
    mistake("line-connect-proxy", "proxy", |config, _, _| {
        on_line(config, |line| line.proxy = Some("send-proxy"));
        config.connects = 1;
    }),
    mistake("line-only-tls-1.3", "line-versions", |config, _, _| {
        on_line(config, |line| line.min_version = Some("TLSv1.3"));
    }),
    mistake("line-only-tls-1.2", "line-versions", |config, _, _| {
        on_line(config, |line| line.max_version = Some("TLSv1.2"));
    }),
    mistake("line-force-tlsv12", "line-versions", |config, _, _| {
        on_line(config, |line| {
            (line.min_version, line.max_version) = (Some("TLSv1.2"), Some("TLSv1.2"));
        });
    }),
    mistake("line-alpn", "line-alpn", |config, _, _| {
        on_line(config, |line| line.http2 = true);
    }),
    mistake("line-no-alpn", "line-alpn", |config, _, _| {
        on_line(config, |_| {});
        config.http2 = true;
    }),
    mistake("line-source", "source", |config, _, _| {
        on_line(config, |line| line.source = Some("192.0.2.1"));
    }),
    mistake("line-short-connect", "line-time", |config, _, _| {
        on_line(config, |line| line.connect_milliseconds = Some(100));
    }),
    mistake("no-sni", "sni", |config, _, _| config.sni = None),
    mistake("no-check-sni", "sni", |config, _, _| {
        config.check_sni = Some("");
    }),
    mistake("check-sni-typo", "sni", |config, _, _| {
        config.check_sni = Some(TYPO);
    }),
    mistake("check-sni-other-site", "sni", |config, _, _| {
        config.check_sni = Some(OTHER);
    }),
    mistake("check-sni-expression", "sni", |config, _, _| {
        config.check_sni = Some(EXPRESSION);
    }),
    mistake("sni-typo", "sni", |config, _, _| {
        config.sni = Some(TYPO.to_owned());
    }),
    mistake("sni-other-site", "sni", |config, _, _| {
        config.sni = Some(OTHER.to_owned());
    }),
    mistake("sni-unknown", "sni", |config, _, _| {
        config.sni = Some(UNKNOWN.to_owned());
    }),
    mistake("name-typo", "sni", |config, _, _| {
        config.target = TYPO.to_owned();
        config.sni = Some(TYPO.to_owned());
    }),
    mistake("name-unknown", "sni", |config, _, _| {
        config.target = UNKNOWN.to_owned();
        config.sni = Some(UNKNOWN.to_owned());
    }),
    mistake("ca-wrong", "trust", |config, props, _| {
        config.trust = Trust::File(props.wrong_ca.clone());
    }),
    mistake("ca-missing", "trust", |config, _, _| {
        config.trust = Trust::Public;
    }),
    mistake("ca-elsewhere", "trust", |config, props, _| {
        config.trust = Trust::File(props.wrong_ca.clone());
        config.elsewhere = true;
    }),
    mistake("crl-wrong", "crl", |config, props, _| {
        config.crl = Some(props.wrong_crl.clone());
    }),
    mistake("crl-elsewhere", "crl", |config, props, _| {
        config.crl = Some(props.wrong_crl.clone());
        config.elsewhere = true;
    }),
    mistake("client-certificate-elsewhere", "crt", |config, _, _| {
        config.elsewhere = true;
    }),
    mistake("connect-rule", "rules", |config, _, _| {
        config.connects = 1;
    }),
    mistake("two-connect-rules", "rules", |config, _, _| {
        config.connects = 2;
    }),
    mistake("verify-none", "trust", |config, _, _| {
        config.trust = Trust::Anything;
    }),
    mistake("port-closed", "port", |config, _, _| {
        config.port = dead_port();
    }),
    mistake("uri-missing", "uri", |config, _, _| {
        config.uri = "/missing".to_owned();
    }),
    mistake("host-internal", "host", |config, _, _| {
        config.host = Some("internal".to_owned());
    }),
    mistake("host-other-site", "host", |config, _, _| {
        config.host = Some(OTHER.to_owned());
    }),
    mistake("expect-text", "expect", |config, _, _| {
        config.expect = Some("string ready");
    }),
    mistake("expect-status", "expect", |config, _, _| {
        config.expect = Some("status 204");
    }),
    mistake("expect-200", "expect", |config, _, _| {
        config.expect = Some("status 200");
    }),
    mistake("proxy-v1", "proxy", |config, _, _| {
        config.proxy = Some("send-proxy");
    }),
    mistake("proxy-v2", "proxy", |config, _, _| {
        config.proxy = Some("send-proxy-v2");
    }),
    mistake("only-tls-1.3", "versions", |config, _, _| {
        config.min_version = Some("TLSv1.3");
    }),
    mistake("only-tls-1.2", "versions", |config, _, _| {
        config.max_version = Some("TLSv1.2");
    }),
    mistake("verify-host-old", "verify-host", |config, _, _| {
        config.verify_host = Some("old.example.test".to_owned());
    }),
    mistake("short-timeout", "time", |config, _, _| {
        config.milliseconds = 800;
    }),
    mistake("client-certificate", "crt", |config, props, _| {
        config.crt = Some(props.crt.clone());
    }),
    mistake("client-certificate-wrong", "crt", |config, props, _| {
        config.crt = Some(props.wrong_crt.clone());
    }),
    mistake("post", "method", |config, _, _| config.method = "POST"),
    mistake("options", "method", |config, _, _| {
        config.method = "OPTIONS";
    }),
    mistake("foreign-source", "source", |config, _, _| {
        config.source = Some("192.0.2.1");
    }),
    // This mistake comes last. A line without `ssl` shows no TLS settings, so visitors' connections get the
    // check's settings, including its mistakes. Otherwise the price would treat the right values as known.
    mistake("line-no-ssl", "line-tls", |config, _, _| {
        config.visitors = None;
        on_line(config, |line| line.tls = Tls::Plain);
    }),
];
