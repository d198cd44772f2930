//! Changes of the options that may be what a check needs, by why it fails.

use std::time::Duration;

use ureq::http::Uri;

use super::answers::host;
use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::failure::Failure;
use crate::options::Options;
use crate::options::expect::{Expectation, Part};
use crate::options::values::{Size, Time};
use crate::plan::{Plan, Target};

/// Other options, and what it means if the check gets further with them.
pub(super) struct Edit {
    pub options: Options,
    /// What was wrong, and what to change.
    pub advice: String,
    /// To get further is enough to keep it. Others must cure.
    pub is_sure: bool,
}

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

struct Edits<'a> {
    plan: &'a Plan,
    options: &'a Options,
    found: Vec<Edit>,
}

impl Edits<'_> {
    fn add(&mut self, is_sure: bool, advice: impl Into<String>, edit: impl FnOnce(&mut Options)) {
        let mut options = self.options.clone();
        edit(&mut options);
        let advice = advice.into();
        self.found.push(Edit {
            options,
            advice,
            is_sure,
        });
    }

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
            | CertificateFailure::Invalid(_) => self.other_roots(),
            _ => {}
        }
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
        if self
            .options
            .verify
            .is_some_and(|verify| verify == crate::options::values::Verify::None)
        {
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

    fn http(&mut self, failure: &Failure) {
        if matches!(
            failure,
            Failure::Body {
                cut_at: Some(_),
                ..
            }
        ) {
            let advice = "The text comes later in the body than --max-body reads: raise it. HAProxy's own \
                          check reads only its buffer (tune.bufsize, 16 kB).";
            self.add(false, advice, |options| {
                options.max_body = Some(Size(1 << 20))
            });
        }
        self.hosts();
        if let Failure::Status {
            status, location, ..
        } = failure
        {
            self.status(*status, location.as_deref());
        }
    }

    /// With the Host that visitors send, where `--header` gives another.
    fn hosts(&mut self) {
        let given = host(self.plan).to_owned();
        let by_default = self.plan.names.host.clone();
        if given == by_default {
            return;
        }
        let without = |options: &mut Options| {
            let is_host = |field: &String| {
                let name = field.split(':').next().unwrap_or_default();
                name.trim().eq_ignore_ascii_case("host")
            };
            options.header.retain(|field| !is_host(field));
        };
        let advice = format!(
            "The server knows {by_default}, which is sent as SNI, but not \"Host: {given}\": leave out \
             that --header, so that Host is the SNI name."
        );
        self.add(false, advice, without);
        if given.contains('.') && given.parse::<std::net::IpAddr>().is_err() && !given.contains(':')
        {
            let advice = format!(
                "The server serves {given} only to clients that send it as SNI too: --sni {given}, and \
                 sni and check-sni on the server line."
            );
            self.add(false, advice, |options| {
                without(options);
                options.no_sni = false;
                options.sni = Some(given.clone());
            });
        }
    }

    fn status(&mut self, status: u16, location: Option<&str>) {
        let uri = self.plan.request.uri.path_and_query().cloned();
        let is_root = uri.as_ref().is_some_and(|uri| uri.as_str() == "/");
        match status {
            300..=399 => {
                let path = location.and_then(|location| self.same_site(location));
                if path.as_deref() == uri.as_ref().map(|uri| uri.as_str()) {
                    self.forwarded();
                } else if let Some(path) = path {
                    // It is for a shell, and comes from the server.
                    let quoted = shlex::try_quote(&path).unwrap_or_default();
                    let advice = format!(
                        "The page redirects to {path} on the same host: check that page, --uri {quoted}."
                    );
                    self.uri(advice, &path);
                }
                self.accept(
                    status,
                    "The answer is a redirect, which is as good as any page",
                );
            }
            401 => self.accept(
                status,
                "The page wants a login, which shows that the application works",
            ),
            404 | 410 if !is_root => {
                let advice = format!(
                    "There is no page at this --uri ({status}), but the start page is there: use \
                     --uri /, or the right path."
                );
                self.uri(advice, "/");
            }
            405 | 501 if self.plan.request.method != "GET" => {
                let advice = format!(
                    "The server does not answer {} ({status}): leave out --method, GET works.",
                    self.plan.request.method
                );
                self.add(false, advice, |options| options.method = None);
            }
            405 => {
                let advice = "The page does not answer GET (405), but HEAD: use --method HEAD.";
                self.add(false, advice, |options| {
                    options.method = Some("HEAD".to_owned())
                });
            }
            _ => {}
        }
    }

    /// With the header that says that visitors use HTTPS: without it, some servers redirect to the
    /// very page that was asked for.
    fn forwarded(&mut self) {
        let advice = "The page redirects to itself, because the server believes that visitors do not use \
                      HTTPS: send X-Forwarded-Proto: https, in the check and for visitors.";
        self.add(false, advice, |options| {
            options.header.push("X-Forwarded-Proto: https".to_owned());
        });
    }

    /// The path that a redirect points to, if it stays at this name and port.
    fn same_site(&self, location: &str) -> Option<String> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(location.to_owned());
        }
        let uri: Uri = location.parse().ok()?;
        let name = host(self.plan).split(':').next().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(443);
        let is_ours = match &self.plan.target {
            Target::Tcp { port: ours, .. } => port == *ours || port == 443,
            Target::Unix(_) => port == 443,
        };
        let same = uri.scheme_str() == Some("https") && uri.host()?.eq_ignore_ascii_case(name);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        (same && is_ours).then(|| path.to_owned())
    }

    fn uri(&mut self, advice: String, path: &str) {
        // A path in the URL would contradict --uri.
        let target = self.plan.names.host.clone();
        self.add(false, advice, |options| {
            without_path(options, &target);
            options.uri = Some(path.to_owned());
        });
    }

    /// With the status that came as the expected one.
    fn accept(&mut self, status: u16, what: &str) {
        let Ok(rule) = format!("status {status}").parse::<Expectation>() else {
            return;
        };
        let advice = format!("{what}: accept it with --expect 'status {status}'.");
        self.add(false, advice, |options| {
            options.expect.retain(|rule| rule.part() != Part::Status);
            options.expect.push(rule);
        });
    }
}

/// Takes the path off the URL.
fn without_path(options: &mut Options, host: &str) {
    if let [url] = options.target.as_mut_slice() {
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest[..end].to_owned();
        *url = if authority.is_empty() {
            host.to_owned()
        } else {
            authority
        };
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
