//! Splits the text of `external-check path` into words, and makes options and a plan from them.
//!
//! An input is the value of `external-check path`. The target reads no file and sends nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use sni_check::haproxy::Caller;
use sni_check::options::expect::Part;
use sni_check::options::handed::{Carrier, words as words_in};
use sni_check::options::values::Verify;
use sni_check::options::{Options, Parsed, parse};
use sni_check::plan::{Output, Plan, Target};

/// The arguments that HAProxy passes for `server blue 192.0.2.7:443`.
const ARGUMENTS: [&str; 4] = ["NOT_USED", "NOT_USED", "192.0.2.7", "443"];

pub fn hold(input: &[u8]) {
    if input.contains(&0) {
        return; // No environment variable can contain a NUL.
    }
    let mut words = match words_in(Carrier::Path, OsStr::from_bytes(input)) {
        Ok(words) => words,
        Err(error) => return assert_message_is_not_empty(&error),
    };
    if words.is_empty() {
        assert!(!input.trim_ascii_start().starts_with(b"-"));
        return;
    }
    let text = std::str::from_utf8(input).expect("a text with words is UTF-8");
    // A shell joins a line that ends in `\` with the next line. `shell_words` doesn't.
    if !text.contains("\\\n") {
        assert_eq!(words, shell_words(text), "as a POSIX shell splits it");
    }
    words.extend(ARGUMENTS.map(str::to_owned));
    let options = match parse(&words) {
        Ok(Parsed::Options(options)) => options,
        Ok(Parsed::Help) => return,
        Err(error) => return assert_message_is_not_empty(&error),
    };
    assert_no_word_is_lost(&words, &options);
    if reads_files(&options) {
        return;
    }
    let caller = Caller {
        backend: "hybrid".to_owned(),
        server: "blue".to_owned(),
        carrier: "external-check path",
    };
    let plan =
        Output::new(&options).and_then(|output| Plan::new(&options, Some(caller), None, output));
    match plan {
        Ok(plan) => assert_plan_follows_the_options(&plan, &options),
        Err(error) => assert_message_is_not_empty(&error),
    }
}

fn assert_message_is_not_empty(error: &anyhow::Error) {
    assert!(!format!("{error:#}").trim().is_empty());
}

/// Asserts that every word has an effect: without it, the words are refused, or the options differ.
fn assert_no_word_is_lost(words: &[String], options: &Options) {
    let whole = format!("{options:?}");
    for index in 0..words.len() {
        let word = &words[index];
        // `--` only separates options from arguments, and a switch may be given twice.
        let again = words.iter().filter(|other| *other == word).count() > 1;
        if word == "--" || (again && word.starts_with("--")) {
            continue;
        }
        let mut fewer = words.to_vec();
        fewer.remove(index);
        if let Ok(Parsed::Options(options)) = parse(&fewer) {
            assert_ne!(format!("{options:?}"), whole, "{word} has no effect");
        }
    }
}

fn reads_files(options: &Options) -> bool {
    options.ca_file.iter().any(|file| file != "@bundled")
        || options.header.iter().any(|header| header.starts_with('@'))
        || !options.crl_file.is_empty()
        || options.crt.is_some()
        || options.key.is_some()
}

fn assert_plan_follows_the_options(plan: &Plan, options: &Options) {
    let sni = plan.names.sni.as_ref().map(|name| name.as_ref());
    let asked = options.sni.as_deref();
    assert_eq!(sni.is_none(), options.no_sni);
    assert_eq!(
        sni,
        asked.map(|name| name.strip_suffix('.').unwrap_or(name))
    );

    let verified = options.verify != Some(Verify::None);
    assert_eq!(plan.tls.verification.is_some(), verified);
    assert!(plan.tls.min_version <= plan.tls.max_version);
    assert_eq!(
        plan.tls.min_cert_days,
        options.min_cert_days.map(|days| days.0)
    );

    let request = &plan.request;
    let count = |part| {
        request
            .expectations
            .iter()
            .filter(|rule| rule.part() == part)
            .count()
    };
    match options.expect.len() {
        0 => assert_eq!(count(Part::Status), 1, "the default"),
        given => assert_eq!(request.expectations.len(), given),
    }
    assert_eq!(request.max_body > 0, count(Part::Body) > 0);
    let asked = options.uri.as_deref().unwrap_or("/");
    assert_eq!(
        request.uri.path_and_query().expect("a path").as_str(),
        asked
    );
    let hosts = request.headers.iter().filter(|(name, _)| *name == "host");
    assert_eq!(hosts.count(), 1);
    for (_, value) in &request.headers {
        assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)));
    }

    if let Target::Tcp { port, .. } = plan.target {
        assert_ne!(port, 0);
    }
    assert!(plan.timeout > Duration::ZERO && plan.timeout <= Duration::from_hours(24));
}

/// A second implementation of POSIX quoting (XCU 2.2).
fn shell_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                word.extend(rest.by_ref().take_while(|c| *c != '\''));
            }
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = rest.next().filter(|c| *c != '"') {
                    match (c, rest.peek()) {
                        ('\\', Some('$' | '`' | '"' | '\\')) => word.extend(rest.next()),
                        _ => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(rest.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
