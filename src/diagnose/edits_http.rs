//! Changes of the request, and of what its response must be.

use ureq::http::{Uri, header};

use super::answers::host;
use super::edit::Edits;
use crate::failure::Failure;
use crate::options::Options;
use crate::options::expect::{Expectation, Part};
use crate::options::values::Size;
use crate::plan::Target;

impl Edits<'_> {
    /// By what the response lacks.
    pub fn http(&mut self, failure: &Failure) {
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
            status: 400..=499, ..
        }
        | Failure::ResponseClosed(_) = failure
        {
            self.agent();
        }
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
            options.header.retain(|field| !is_field(field, "host"));
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

    /// With the name of a browser.
    fn agent(&mut self) {
        const BROWSER: &str = "User-Agent: Mozilla/5.0";
        let mut headers = self.plan.request.headers.iter();
        let given = headers.find(|(name, _)| *name == header::USER_AGENT);
        let given = given.and_then(|(_, value)| value.to_str().ok());
        let advice = format!(
            "The server refuses the User-Agent that the check sends ({}), as firewalls for web applications \
             do: send another, --header '{BROWSER}', as below; or let this one through there. HAProxy's own \
             check sends none.",
            given.unwrap_or_default()
        );
        self.add(false, advice, |options| {
            options
                .header
                .retain(|field| !is_field(field, "user-agent"));
            options.header.push(BROWSER.to_owned());
        });
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

/// Whether `Name: value` is of this name.
fn is_field(field: &str, name: &str) -> bool {
    let given = field.split(':').next().unwrap_or_default();
    given.trim().eq_ignore_ascii_case(name)
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
