//! Changes of the options that may be what a check needs, by why it fails.

use std::time::Duration;

use super::edit::{Edit, Edits};
use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::failure::Failure;
use crate::options::Options;
use crate::options::values::{Days, Time, Verify};
use crate::plan::Plan;

/// A certificate ends soon.
pub(super) const RENEW: &str = "Renew the certificate at the server. If it was renewed there, reload \
                                the server: it still sends the old one.";

/// The changes to try.
pub(super) fn edits(plan: &Plan, options: &Options, failure: &Failure) -> Vec<Edit> {
    let mut edits = Edits {
        plan,
        options,
        found: Vec::new(),
    };
    match failure {
        Failure::Source(..) => edits.source(),
        Failure::Connect(_) | Failure::ConnectTimeout if options.source.is_some() => edits.source(),
        Failure::Certificate(fault) => edits.certificate(fault),
        Failure::ClientCertificate { sent: true, .. } => edits.client_certificate(),
        Failure::HandshakeClosed(_)
        | Failure::HandshakeTimeout
        | Failure::NotTls { .. }
        | Failure::TlsViolated(_)
        | Failure::HandshakeRefused(_) => edits.proxy(),
        failure if failure.code() == Code::NothingInCommon => edits.versions(),
        failure => edits.http(failure),
    }
    if matches!(
        failure,
        Failure::HandshakeTimeout | Failure::ResponseTimeout { .. }
    ) {
        edits.patience();
    }
    edits.name(failure);
    edits.found
}

impl Edits<'_> {
    fn source(&mut self) {
        let source = self.options.source.clone().unwrap_or_default();
        let advice = format!(
            "The server cannot be reached from --source {source}; from this host's usual address it \
             can: leave out --source, and source on the server line."
        );
        self.add(true, advice, |options| options.source = None);
    }

    fn client_certificate(&mut self) {
        let advice = "The server refuses this client certificate but accepts clients without one: leave \
                      out --crt, and crt on the server line.";
        self.add(false, advice, |options| {
            options.crt = None;
            options.key = None;
        });
    }

    /// With the other kinds of PROXY header.
    fn proxy(&mut self) {
        let given = self.options.send_proxy || self.options.send_proxy_v2;
        let kinds = [
            (false, true, "--send-proxy-v2"),
            (true, false, "--send-proxy"),
            (false, false, ""),
        ];
        for (v1, v2, option) in kinds {
            if (v1, v2) == (self.options.send_proxy, self.options.send_proxy_v2) {
                continue;
            }
            let advice = match option {
                "" => "The server does not want a PROXY header: leave out --send-proxy and \
                       --send-proxy-v2, and the same words on the server line."
                    .to_owned(),
                option => format!(
                    "The server wants {} PROXY protocol header before TLS (it is configured with \
                     proxy_protocol or accept-proxy): {option} for the check, {} on the server line.",
                    if given { "another" } else { "a" },
                    &option[2..]
                ),
            };
            self.add(true, advice, |options| {
                (options.send_proxy, options.send_proxy_v2) = (v1, v2);
            });
        }
    }

    fn versions(&mut self) {
        if self.options.ssl_min_ver.is_some() || self.options.ssl_max_ver.is_some() {
            let advice = "The server does not speak the TLS versions that --ssl-min-ver and \
                          --ssl-max-ver allow, but another one: leave them out, here and on the server \
                          line.";
            self.add(true, advice, |options| {
                options.ssl_min_ver = None;
                options.ssl_max_ver = None;
            });
        }
    }

    /// With more time.
    fn patience(&mut self) {
        let now = self.plan.timeout;
        let more = (now * 4).clamp(Duration::from_secs(5), Duration::from_secs(10));
        if now >= more {
            return;
        }
        let advice = format!(
            "The server answers, but later than the check waits ({} ms): raise --timeout, and inter \
             above it, as below; or make the page quicker.",
            now.as_millis()
        );
        self.add(false, advice, |options| options.timeout = Some(Time(more)));
    }

    /// With a name, where `--no-sni` leaves it out.
    fn name(&mut self, failure: &Failure) {
        let host = self.plan.names.host.clone();
        let is_name = host.contains('.') && host.parse::<std::net::IpAddr>().is_err();
        if !self.options.no_sni || !is_name || matches!(failure, Failure::Connect(_)) {
            return;
        }
        let advice = format!(
            "The server needs the name: leave out --no-sni, so that {host} is sent as SNI."
        );
        self.add(true, advice, |options| {
            options.no_sni = false;
            options.sni = Some(host);
        });
    }

    fn certificate(&mut self, fault: &CertificateFailure) {
        match fault {
            CertificateFailure::OtherName { wanted, presented } => {
                self.other_name(wanted, presented)
            }
            CertificateFailure::IssuerUnknown { .. }
            | CertificateFailure::Expired { .. }
            | CertificateFailure::Revoked(_)
            | CertificateFailure::NoValidList(_)
            | CertificateFailure::BadSignature
            | CertificateFailure::Invalid(_) => self.other_roots(),
            CertificateFailure::EndsSoon { limit, .. } => self.warning(*limit),
            _ => {}
        }
    }

    /// With a warning in place of a server that is DOWN.
    fn warning(&mut self, limit: u32) {
        let warned = self.options.warn_cert_days.map_or(0, |days| days.0);
        let days = Days(limit.max(warned));
        let advice = format!(
            "{RENEW} Until then the server is DOWN by --min-cert-days {limit}, and HAProxy sends it no \
             visitors. With --warn-cert-days {} in its place, as below, it is UP, and the check only \
             warns.",
            days.0
        );
        self.add(true, advice, |options| {
            options.min_cert_days = None;
            options.warn_cert_days = Some(days);
        });
    }

    fn other_name(&mut self, wanted: &str, presented: &[String]) {
        if let Some(verified) = &self.options.verify_host {
            let advice = format!(
                "The certificate is for the name that is sent, not for --verify-host {verified}: \
                 leave that out, and verifyhost on the server line."
            );
            self.add(false, advice, |options| options.verify_host = None);
        }
        if let Some(meant) = presented.iter().find(|name| is_slip(wanted, name)) {
            let meant = meant.clone();
            let advice = format!(
                "{wanted} is misspelled: the server has {meant}. Correct it in --sni, and in sni \
                 and check-sni on the server line."
            );
            self.add(false, advice, |options| {
                options.verify_host = None;
                options.sni = Some(meant);
            });
        }
    }

    /// By other roots. What is trusted stays verified.
    fn other_roots(&mut self) {
        if self.options.verify == Some(Verify::None) {
            return;
        }
        let given = self.options.ca_file.clone();
        for (roots, what) in [
            ("@system-ca", "the CAs that this host trusts (@system-ca)"),
            ("@bundled", "a public CA (--ca-file @bundled)"),
        ] {
            if given == [roots] || (given.is_empty() && roots == "@bundled") {
                continue;
            }
            let not = match given.as_slice() {
                [] => "not by a public CA".to_owned(),
                files => format!("not by --ca-file {}", files.join(", ")),
            };
            let advice = format!(
                "The certificate is signed by {what}, {not}: use --ca-file {roots}, and ca-file \
                 @system-ca on the server line."
            );
            self.add(false, advice, |options| {
                options.ca_file = vec![roots.to_owned()];
            });
        }
    }
}

/// Whether one name is the other with a letter too many, too few, or two letters swapped: a slip of
/// the fingers. Names that differ in one letter may both be meant: app1, app2.
fn is_slip(wrong: &str, right: &str) -> bool {
    let swapped = wrong.len() == right.len() && {
        let (mut one, mut other) = (wrong.as_bytes().to_vec(), right.as_bytes().to_vec());
        one.sort_unstable();
        other.sort_unstable();
        one == other
    };
    let digits = |name: &str| {
        name.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    let near = strsim::damerau_levenshtein(wrong, right) == 1;
    near && !right.starts_with("*.")
        && digits(wrong) == digits(right)
        && (swapped || wrong.len() != right.len())
}

#[cfg(test)]
mod tests {
    use super::is_slip;

    #[test]
    fn a_slip_of_the_fingers_is_not_another_server() {
        for (wrong, right, slip) in [
            ("ww.example.com", "www.example.com", true),
            ("wwww.example.com", "www.example.com", true),
            ("www.exmaple.com", "www.example.com", true),
            ("app1.example.com", "app2.example.com", false),
            ("www2.example.com", "www.example.com", false),
            ("a.example.com", "default.example.com", false),
            ("w.example.com", "*.example.com", false),
        ] {
            assert_eq!(is_slip(wrong, right), slip, "{wrong} {right}");
        }
    }
}
