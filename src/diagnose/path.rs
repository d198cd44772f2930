//! The options of a check as the text of `external-check path`.

use ureq::http::header;

use super::gather::{FORWARDED_PROTO, harmless, is_chosen, title};
use crate::causes::facts::is_name;
use crate::options::Options;
use crate::options::table::Group;
use crate::options::values::{TlsVersion, Verify};
use crate::plan::Plan;

/// Returns the options to paste. Leaves out the address, because the server line has it. Unless `secrets` is
/// true, leaves out the body and `--verify none`, and writes a file name instead of a header that may be
/// secret.
pub(super) fn path(plan: &Plan, options: &Options, secrets: bool) -> String {
    if secrets {
        return with_secrets(plan, options);
    }
    let mut words = Words::default();
    names_and_request(&mut words, plan);
    for (name, value) in &plan.request.headers {
        match harmless(name, value) {
            Some(value) if name == header::HOST && !is_default_host(plan, value) => {
                words.add("--header", format!("Host: {value}"));
            }
            Some(value) if *name == FORWARDED_PROTO => {
                words.add("--header", format!("X-Forwarded-Proto: {value}"));
            }
            Some(value) if is_chosen(name, value) => {
                words.add("--header", format!("{}: {value}", title(name)));
            }
            Some(_) => {}
            None => words.add("--header", format!("@/etc/haproxy/{name}.header")),
        }
    }
    rest(&mut words, plan, options);
    words.joined()
}

/// Returns the options including secrets, and including `--verify none` if the operator gave it.
fn with_secrets(plan: &Plan, options: &Options) -> String {
    let mut words = Words::default();
    names_and_request(&mut words, plan);
    for header in &options.header {
        words.add("--header", header);
    }
    if !is_default_host(plan, &plan.names.host) && !options.has_header("host") {
        words.add("--header", format!("Host: {}", plan.names.host));
    }
    if let Some(body) = &options.body {
        words.add("--body", body);
    }
    if options.verify == Some(Verify::None) {
        words.add("--verify", "none");
    }
    rest(&mut words, plan, options);
    words.joined()
}

/// Returns the name of the target, if the check sends no SNI. sni-check then verifies this name and sends it
/// as Host. HAProxy passes only the server's address to an external check, so the lines must contain the
/// name.
pub(super) fn name_of_target(plan: &Plan) -> Option<&str> {
    let name = Some(plan.names.host.as_str()).filter(|_| plan.names.sni.is_none());
    name.filter(|name| is_name(name))
}

/// Returns true if an external check sends this Host without the option --header.
fn is_default_host(plan: &Plan, host: &str) -> bool {
    host == plan.names.host && name_of_target(plan).is_none()
}

#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.extend([name.to_owned(), value.into()]);
    }

    fn joined(self) -> String {
        let quoted = self.0.iter();
        let quoted = quoted.map(|word| shlex::try_quote(word).unwrap_or_default());
        quoted.collect::<Vec<_>>().join(" ")
    }
}

fn names_and_request(words: &mut Words, plan: &Plan) {
    match &plan.names.sni {
        Some(name) => words.add("--sni", name.as_ref()),
        None => words.0.push("--no-sni".to_owned()),
    }
    let uri = plan.request.uri.path_and_query();
    if let Some(uri) = uri.filter(|uri| uri.as_str() != "/") {
        words.add("--uri", uri.to_string());
    }
    if plan.request.method != "GET" {
        words.add("--method", plan.request.method.to_string());
    }
    if plan.handshake_only {
        words.0.push("--handshake-only".to_owned());
    }
    if !plan.tls.alpn.is_empty() {
        words.add("--alpn", plan.tls.alpn.join(","));
    }
}

/// Appends all other options as the operator gave them, but with absolute paths.
fn rest(words: &mut Words, plan: &Plan, options: &Options) {
    let mut given = options.clone();
    let verified = given.verify_host.take();
    given.verify_host = verified.or_else(|| name_of_target(plan).map(str::to_owned));
    given.retain(|row| row.group != Group::Output && !NOT_PASSED_ON.contains(&row.name));
    given.map_files(from_anywhere);
    words.0.extend(given.to_words());
}

/// The options that [`rest`] leaves out: options that other functions write, and options about the address.
const NOT_PASSED_ON: [&str; 11] = [
    "--sni",
    "--no-sni",
    "--connect",
    "--port",
    "--method",
    "--uri",
    "--header",
    "--body",
    "--verify",
    "--alpn",
    "--handshake-only",
];

/// Makes a file's path absolute, because HAProxy runs in another folder. `@system-ca` and `@bundled`
/// stay as they are.
pub(super) fn from_anywhere(file: &str) -> String {
    let absolute = std::path::absolute(file).ok();
    let absolute = absolute.filter(|_| !file.starts_with('@'));
    absolute.map_or_else(|| file.to_owned(), |path| path.display().to_string())
}

/// Returns the words of haproxy.cfg for the lowest and the highest TLS version in the options.
pub(super) fn versions(options: &Options) -> impl Iterator<Item = (&'static str, &'static str)> {
    let bounds = [
        ("ssl-min-ver", options.ssl_min_ver),
        ("ssl-max-ver", options.ssl_max_ver),
    ];
    bounds.into_iter().filter_map(|(word, version)| {
        let version = match version? {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
        };
        Some((word, version))
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{NOT_PASSED_ON, path};
    use crate::haproxy::words::{quote, split_value};
    use crate::options::handed::{self, Carrier};
    use crate::options::table::{Group, ROWS};
    use crate::options::{Options, of_text};
    use crate::plan::{Output, Plan};

    /// Returns the plan of these options. Sets a fixed target, because the printed options have no target.
    /// Leaves out certificate files, because they don't exist.
    fn plan(options: &Options) -> Plan {
        let options = Options {
            target: vec!["192.0.2.1:443".to_owned()],
            connect: None,
            port: None,
            ca_file: Vec::new(),
            crl_file: Vec::new(),
            crt: None,
            key: None,
            ..options.clone()
        };
        Plan::new(&options, None, None, Output::default()).expect("a plan")
    }

    /// Asserts that sni-check reads the same options back from the printed line, after HAProxy has parsed the
    /// line and passed on its value.
    #[track_caller]
    fn assert_round_trip(options: &Options) {
        let before = plan(options);
        let text = path(&before, options, true);
        let line = quote(&text);
        let words = split_value(&line).expect(&line);
        assert_eq!(words, [text.as_bytes()], "{line}");
        for carrier in [Carrier::Path, Carrier::Header] {
            let read = handed::options(carrier, OsStr::new(&text));
            let read = read.unwrap_or_else(|error| panic!("{text}: {error}"));
            let after = plan(&read);
            let seen = |plan: &Plan| {
                let request = &plan.request;
                format!(
                    "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                    plan.names,
                    request.method,
                    request.uri,
                    request.headers,
                    request.body,
                    request.expectations,
                    plan.timeout,
                    plan.proxy,
                    plan.tls.alpn,
                    plan.handshake_only,
                )
            };
            assert_eq!(seen(&after), seen(&before), "{text}");
            let passed_on = |options: &Options| {
                let mut options = options.clone();
                options.retain(|row| !NOT_PASSED_ON.contains(&row.name));
                options.to_words()
            };
            assert_eq!(passed_on(&read), passed_on(options), "{text}");
        }
    }

    #[test]
    fn every_option_is_read_back_from_the_printed_line() {
        let texts = [
            "--sni b.example",
            "--no-sni --verify none",
            "--method HEAD",
            "--uri /x?y=%20",
            "--header 'X-A: b'",
            "--body x --method POST",
            "--expect 'status 200'",
            "--max-head 20k",
            "--expect 'string x' --max-body 1k",
            "--verify none",
            "--verify-host b.example",
            "--ca-file /ca --ca-file @bundled",
            "--crl-file /crl",
            "--crt /crt --key /key",
            "--ssl-min-ver TLSv1.3",
            "--ssl-max-ver TLSv1.2",
            "--alpn http/1.1",
            "--handshake-only",
            "--min-cert-days 7",
            "--warn-cert-days 9",
            "--send-proxy",
            "--send-proxy-v2",
            "--source 192.0.2.9",
            "--timeout 900ms",
        ];
        for row in &ROWS {
            let is_printed =
                row.group != Group::Output && !["--connect", "--port"].contains(&row.name);
            let is_tested = texts.iter().any(|text| row.is_given(&of_text(text)));
            assert_eq!(is_tested, is_printed, "{}", row.name);
        }
        for text in texts {
            let mut options = of_text(text);
            if options.sni.is_none() && !options.no_sni {
                options.sni = Some("a.example".to_owned());
            }
            assert_round_trip(&options);
            let path = path(&plan(&options), &options, true);
            for row in ROWS.iter().filter(|row| row.is_given(&options)) {
                assert!(path.contains(row.name), "{}: {path}", row.name);
            }
        }
    }

    #[test]
    fn values_with_special_characters_are_read_back() {
        let special = [
            "'", "\"", " ", "$", "${A", "%", "%[x]", "\\", "é", "#", "`", "!", ";",
        ];
        for first in special {
            for second in special {
                let value = format!("x{first}{second}{first}x");
                let mut options = of_text("--sni a.example --method POST");
                options.header = vec![format!("X-A: {value}")];
                options.body = Some(value.clone());
                options.expect = vec![format!("string {}", quote(&value)).parse().expect("a rule")];
                assert_round_trip(&options);
            }
        }
    }
}
