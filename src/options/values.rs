//! The types of option values. If HAProxy has such a value, sni-check reads it in HAProxy's form.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

pub use crate::haproxy::time::Time;
use crate::refusal::Misfit;

/// Reads and writes a type whose values are words. For any other word, `$what` returns what is wrong with it,
/// and `$write` says what to write instead.
macro_rules! words {
    ($type:ident, $($value:ident = $word:literal),+; $what:expr, $write:literal) => {
        impl FromStr for $type {
            type Err = Misfit;

            fn from_str(text: &str) -> Result<$type, Misfit> {
                let what: fn(&str) -> &str = $what;
                match text {
                    $($word => Ok($type::$value),)+
                    text => Err(Misfit::new(what(text), $write)),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($type::$value => $word),+
                })
            }
        }
    };
}

/// A number of days, such as `14`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub u32);

impl FromStr for Days {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Days, Misfit> {
        let days = text.parse().map(Days);
        days.map_err(|_| {
            Misfit::new(
                "is not a number of days",
                "write a number of days, such as 14",
            )
        })
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub NonZeroU16);

impl FromStr for Port {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Port, Misfit> {
        // `u16::from_str` accepts a sign.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let port = if digits { text.parse().ok() } else { None };
        port.map(Port)
            .ok_or_else(|| Misfit::new("is not a port", "write a number from 1 to 65535"))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Port {
    /// Returns the port as a number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

/// `--alpn`: protocol names separated by commas, such as `h2,http/1.1`, the preferred protocol first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alpn(pub Vec<String>);

impl FromStr for Alpn {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Alpn, Misfit> {
        let names: Vec<String> = text.split(',').map(str::to_owned).collect();
        // A name has 1 to 255 bytes (RFC 7301, section 3.1).
        let is_name = |name: &String| {
            matches!(name.len(), 1..=255) && name.bytes().all(|b| b.is_ascii_graphic())
        };
        match names.iter().all(is_name) {
            true => Ok(Alpn(names)),
            false => Err(Misfit::new(
                "is not a list of ALPN protocols",
                "write names separated by commas, such as http/1.1",
            )),
        }
    }
}

impl fmt::Display for Alpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// `ssl-min-ver` and `ssl-max-ver`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

words!(TlsVersion, Tls12 = "TLSv1.2", Tls13 = "TLSv1.3"; |text| match text {
    "SSLv3" | "TLSv1.0" | "TLSv1.1" => "is too old to be safe (limit of sni-check)",
    _ => "is not a TLS version",
}, "write TLSv1.2 or TLSv1.3");

/// `verify`: how the certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Chain, validity and name are verified.
    #[default]
    Required,
    /// Any certificate is accepted.
    None,
}

words!(Verify, Required = "required", None = "none";
    |_| "is not a way to verify", "write required or none");

/// `--color`: when a report for people is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

words!(Color, Auto = "auto", Always = "always", Never = "never";
    |_| "is not a colour mode", "write auto, always or never");

/// The path of a unix socket. It is absolute, because the programs that use the socket run in other folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath(pub String);

impl FromStr for SocketPath {
    type Err = Misfit;

    /// Also reads `unix:PATH`, the form of `--listen`, and `unix@PATH`, the form of haproxy.cfg.
    fn from_str(text: &str) -> Result<SocketPath, Misfit> {
        let mut prefixes = ["unix:", "unix@"].into_iter();
        let path = prefixes.find_map(|prefix| text.strip_prefix(prefix));
        let path = path.unwrap_or(text);
        match path.starts_with('/') {
            true => Ok(SocketPath(path.to_owned())),
            false => Err(Misfit::new(
                "is not the absolute path of a unix socket",
                "write the path that serve listens on, such as /run/sni-check/socket",
            )),
        }
    }
}

impl fmt::Display for SocketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A size in bytes, with HAProxy's suffixes `k` and `m` (manual, section 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u32);

impl Size {
    /// The largest size, 1 MiB. Pages for health checks are smaller. On a larger page, a regular expression
    /// would search longer before we can check the clock, and so could miss the deadline.
    const LARGEST: u32 = 1 << 20;
}

impl FromStr for Size {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Size, Misfit> {
        let (number, factor) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
            _ => (text, 1),
        };
        let bytes = number
            .parse::<u32>()
            .ok()
            .and_then(|n| n.checked_mul(factor));
        match bytes {
            Some(bytes) if (1..=Size::LARGEST).contains(&bytes) => Ok(Size(bytes)),
            _ => Err(Misfit::new(
                "is not a size from 1 to 1m",
                "write a number of bytes, such as 65536 or 64k",
            )),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Port, Size, Time, TlsVersion, Verify};
    use std::time::Duration;

    #[test]
    fn times_are_read_as_in_haproxy() {
        for (text, millis) in [("1800ms", 1800), ("2s", 2000), ("500", 500), ("1m", 60_000)] {
            assert_eq!(
                text.parse::<Time>().expect(text).0,
                Duration::from_millis(millis)
            );
        }
        for bad in [
            "",
            "s",
            "1.5s",
            "2 s",
            "-1",
            "+1",
            "0",
            "99999999999999999999",
            "2d",
            "1sec",
        ] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_are_1_to_65535() {
        assert_eq!("65535".parse::<Port>().expect("a port").get(), 65535);
        for bad in ["0", "65536", "+1", "-1", "", "https"] {
            assert!(bad.parse::<Port>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_haproxys_suffixes() {
        assert_eq!("64k".parse::<Size>().expect("a size"), Size(65536));
        for bad in ["0", "", "k", "2m", "99999999k", "1g"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn enumerated_values_use_haproxys_words() {
        assert_eq!(
            "TLSv1.3".parse::<TlsVersion>().expect("a version"),
            TlsVersion::Tls13
        );
        assert!("TLSv1.1".parse::<TlsVersion>().is_err());
        assert!("1.3".parse::<TlsVersion>().is_err());
        assert_eq!("none".parse::<Verify>().expect("a word"), Verify::None);
        assert!("optional".parse::<Verify>().is_err());
    }
}
