//! Rules that compare the TLS versions and ciphers of a check by sni-check with those of visitors' traffic.
//! HAProxy's own check needs no such rule, because it uses the settings of the server line.

use crate::haproxy::config::place::Place;
use crate::options::values::TlsVersion;

use super::difference::Pair;
use crate::doctor::finding::{Effect, Finding, Sides};
use crate::doctor::visit::{Visit, Watch};

/// The lowest and the highest TLS version that a connection offers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Range {
    lowest: TlsVersion,
    highest: TlsVersion,
}

impl Range {
    /// The default of HAProxy and of sni-check. sni-check doesn't support older versions.
    const DEFAULT: Range = Range {
        lowest: TlsVersion::Tls12,
        highest: TlsVersion::Tls13,
    };

    /// Reads a word of a server line, and its value. Returns true if the range changed.
    fn read(&mut self, word: &str, value: &str) -> bool {
        let before = *self;
        match (word, value) {
            ("ssl-min-ver", "TLSv1.3") | ("force-tlsv13" | "no-tlsv12", _) => {
                self.lowest = TlsVersion::Tls13;
            }
            ("ssl-max-ver", "TLSv1.2") | ("force-tlsv12" | "no-tlsv13", _) => {
                self.highest = TlsVersion::Tls12;
            }
            ("ssl-min-ver", _) => self.lowest = TlsVersion::Tls12,
            ("ssl-max-ver", "TLSv1.3") => self.highest = TlsVersion::Tls13,
            _ => {}
        }
        *self != before
    }
}

/// Returns the versions that traffic offers, and the last line that changes them, if there is such a line.
fn of_traffic<'a>(visit: &Visit<'a>, watch: &Watch<'a>) -> (Range, Option<&'a Place>) {
    let (mut range, mut place) = (Range::DEFAULT, None);
    for line in &visit.config.global.for_servers {
        let words: Vec<&str> = line.value.iter().map(String::as_str).collect();
        let Some(("ssl-default-server-options", words)) = words.split_first().map(|(a, b)| (*a, b))
        else {
            continue;
        };
        for (at, word) in words.iter().enumerate() {
            if range.read(word, words.get(at + 1).copied().unwrap_or_default()) {
                place = Some(&line.place);
            }
        }
    }
    for (word, at) in watch.server.settings.iter() {
        if range.read(word, &at.value) {
            place = Some(&at.place);
        }
    }
    (range, place)
}

/// Finds TLS versions that only the check or only traffic offers.
pub(crate) fn other_versions(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let tls = &watch.own.as_ref()?.plan.tls;
    pair.tls()?;
    let check = Range {
        lowest: tls.min_version,
        highest: tls.max_version,
    };
    let (traffic, place) = of_traffic(visit, watch);
    // A check that doesn't offer TLS 1.3 isn't a problem, because nearly every server speaks TLS 1.2.
    let is_older = check.lowest == traffic.lowest && check.highest == TlsVersion::Tls12;
    if check == traffic || is_older {
        return None;
    }
    let text = |range: Range| match (range.lowest, range.highest) {
        (TlsVersion::Tls12, TlsVersion::Tls13) => "TLS 1.2 and 1.3",
        (TlsVersion::Tls13, _) => "only TLS 1.3",
        (TlsVersion::Tls12, TlsVersion::Tls12) => "only TLS 1.2",
    };
    let write = |range: Range, dashes: &str| {
        format!(
            "{dashes}ssl-min-ver {} {dashes}ssl-max-ver {}",
            range.lowest, range.highest
        )
    };
    let what = format!(
        "traffic offers {}, but the check offers {}",
        text(traffic),
        text(check)
    );
    let carrier = watch.carrier()?;
    Some(
        Finding::note(Effect::Either, what)
            .at(place.unwrap_or(watch.options_place()))
            .shows(format!(
                "{} where the server speaks only traffic's version; UP while visitors get 503 where it speaks only the \
                 check's version",
                pair.down("61, 64 or 66", "L6RSP")
            ))
            .foretells(&["61", "64", "66"])
            .write_check(Sides {
                traffic: format!("{} on the server line", write(check, "")),
                check: format!("{} in {carrier}", write(traffic, "--")),
            }),
    )
}

/// Finds a cipher list for traffic without any usual cipher for RSA certificates or for ECDSA certificates.
/// The check offers ciphers for both kinds of certificates.
pub(crate) fn other_ciphers(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    watch.own.as_ref()?;
    pair.tls()?;
    let mut lines = visit.config.global.for_servers.iter();
    let of_global = lines.find_map(|line| match line.value.as_slice() {
        [word, list] if word == "ssl-default-server-ciphers" => Some((list, &line.place)),
        _ => None,
    });
    let of_line = watch.server.settings.get("ciphers");
    let of_line = of_line.map(|at| (&at.value, &at.place));
    let (list, place) = of_line.or(of_global)?;
    let ciphers: Vec<&str> = list.split([':', ',', ' ']).collect();
    // Only OpenSSL knows what its keywords stand for.
    let is_name = |cipher: &&str| {
        let is_plain =
            |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-' || c == '_';
        cipher.contains(['-', '_']) && cipher.chars().all(is_plain)
    };
    if !ciphers.iter().all(is_name) {
        return None;
    }
    let has = |kind: &str| {
        let strong = ["GCM", "CHACHA20"];
        let of_kind = |cipher: &&&str| cipher.starts_with(&format!("ECDHE-{kind}-"));
        let mut ciphers = ciphers.iter().filter(of_kind);
        ciphers.any(|cipher| strong.iter().any(|part| cipher.contains(part)))
    };
    let lacks = match (has("RSA"), has("ECDSA")) {
        (true, true) => return None,
        (false, true) => "no cipher for RSA certificates",
        (true, false) => "no cipher for ECDSA certificates",
        (false, false) => "none of the check's ciphers",
    };
    let what = format!(
        "traffic's list of ciphers for TLS 1.2 has {lacks}, but the check offers ciphers for RSA and ECDSA"
    );
    Some(
        Finding::note(Effect::Either, what)
            .at(place)
            .shows(format!(
                "UP while visitors get 503 where a server without TLS 1.3 has such a certificate; {} where it knows \
                 only traffic's ciphers",
                pair.down("61, 64 or 66", "L6RSP")
            ))
            .foretells(&["61", "64", "66"])
            .write("add ciphers to that list, such as ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"),
    )
}
