//! The price and the size of a change from one configuration to another.

use super::config::{Config, Tls, Trust};
use crate::support::kinds::Staged;

/// The price of a change from one configuration to another. The cheapest variant comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Price {
    Nothing,
    /// haproxy.cfg and the server show all values that the change needs.
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
    /// Returns the price of the change from this configuration to `that`.
    pub fn price(&self, that: &Config, staged: &Staged) -> Price {
        let prices = self.prices(that, staged).into_iter();
        prices.max().unwrap_or(Price::Nothing)
    }

    /// Returns the price of a change of one half of a configuration. The change may be cheaper if the `other`
    /// half already has the new values.
    pub fn price_with(&self, other: &Config, that: &Config, staged: &Staged) -> Price {
        let both = |half: &Config| Config {
            visitors: Some(Box::new(other.clone())),
            ..half.clone()
        };
        both(self).price(&both(that), staged)
    }

    /// Returns the kinds of values that the operator must provide for this change.
    pub fn values_of(&self, that: &Config, staged: &Staged) -> Vec<Value> {
        let prices = self.prices(that, staged).into_iter();
        let values = prices.filter_map(|price| match price {
            Price::Value(value) => Some(value),
            _ => None,
        });
        values.collect()
    }

    /// Returns the price of each setting that differs, for the check and for visitors' connections.
    fn prices(&self, that: &Config, staged: &Staged) -> Vec<Price> {
        let (line, new) = (self.visitors.as_deref(), that.visitors.as_deref());
        let mut prices = self.prices_of_half(that, line, staged);
        if let (Some(line), Some(new)) = (line, new) {
            prices.extend(line.prices_of_half(new, Some(self), staged));
        }
        prices
    }

    fn prices_of_half(&self, that: &Config, other: Option<&Config>, staged: &Staged) -> Vec<Price> {
        let mut names = self.names();
        names.extend(other.map(Config::names).unwrap_or_default());
        let known = |name: &Option<String>| match name {
            Some(name) if !names.contains(&name) => Price::Value(Value::Name),
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
        // If the other half already has the value, haproxy.cfg shows it.
        let has = |same: fn(&Config, &Config) -> bool, price| match other {
            Some(other) if price != Price::Safety && same(other, that) => Price::Lines,
            _ => price,
        };
        let port = has(|a, b| a.port == b.port, Price::Value(Value::Port));
        let changes = [
            (self.port != that.port, port),
            (self.sni != that.sni, known(&that.sni)),
            (self.host != that.host, known(&that.host)),
            (self.sets_host != that.sets_host, known(&that.sets_host)),
            (
                self.verify_host != that.verify_host,
                known(&that.verify_host),
            ),
            (
                self.trust != that.trust,
                has(|a, b| a.trust == b.trust, trust),
            ),
            (self.tls != that.tls, tls),
            (self.uri != that.uri, page),
            (self.expect != that.expect, Price::Value(Value::Expectation)),
            (self.crt != that.crt, has(|a, b| a.crt == b.crt, crt)),
            (self.crl != that.crl, has(|a, b| a.crl == b.crl, crl)),
            (self != that, Price::Lines),
        ];
        let changed = changes.into_iter().filter(|(changed, _)| *changed);
        changed.map(|(_, price)| price).collect()
    }

    /// Returns the settings of `that` that differ from this configuration.
    pub fn differences(&self, that: &Config) -> Vec<String> {
        // `Debug` separates the settings with commas.
        let parts = |config: &Config| -> Vec<String> {
            let text = format!("{config:?}").replace("Some(", "").replace(')', "");
            text.split(", ").map(str::to_owned).collect()
        };
        let (own, other) = (parts(self), parts(that));
        let differ = own.iter().zip(other).filter(|(own, other)| *own != other);
        differ.map(|(_, other)| other).collect()
    }

    /// Returns the number of settings that differ. A few settings don't count, such as `connects`.
    pub fn distance(&self, that: &Config) -> usize {
        let differ = [
            self.port != that.port,
            self.sni != that.sni,
            self.trust != that.trust,
            self.tls != that.tls,
            self.verify_host != that.verify_host,
            self.host != that.host,
            self.sets_host != that.sets_host,
            self.check_sni != that.check_sni,
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
        let of_line = match (&self.visitors, &that.visitors) {
            (Some(line), Some(new)) => line.distance(new),
            _ => 0,
        };
        differ.iter().filter(|differs| **differs).count() + of_line
    }

    /// Returns true if visitors' connections have their own settings, or if the configurations differ in the
    /// port, a name of the check, the CAs, the revocation lists, the page or the expectation.
    pub fn has_other_values_than(&self, that: &Config) -> bool {
        (self.port, &self.verify_host) != (that.port, &that.verify_host)
            || (&self.target, &self.sni, &self.host) != (&that.target, &that.sni, &that.host)
            || (&self.trust, &self.uri, &self.expect) != (&that.trust, &that.uri, &that.expect)
            || self.crl != that.crl
            || self.visitors.is_some()
    }

    /// Returns a copy of this configuration with values from `that`: the port, SNI name, Host, CAs, page,
    /// expectation, client certificate and revocation lists. Takes a value from `that` only if the operator
    /// must provide it. Never takes `verify_host` or `sets_host`.
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
        if let (Some(line), Some(that)) = (&mut with.visitors, &that.visitors) {
            **line = line.with_values_of(that, staged);
        }
        if with.sni != self.sni {
            // An operator who corrects the name corrects it everywhere.
            with.target
                .clone_from(with.sni.as_ref().unwrap_or(&self.target));
        }
        with
    }
}
