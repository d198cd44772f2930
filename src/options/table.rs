//! One row per option. A row contains everything about the option except the name of its value, its
//! help text and whether it repeats. These three are declared on the option's field in [`Options`],
//! where argh reads them.
//!
//! These rows are the source of the help, the manual, the completions, the defaults of serve, and
//! the options that diagnose and doctor print. A field without a row doesn't compile.

use anyhow::{Error, Result};

use super::Options;
use super::parse::{Parsed, Part, parse_unless};
use crate::command::Command;
use crate::refusal::refusal;

/// The groups of options in help and manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What the check connects to, and how.
    Connection,
    /// The handshake and the certificates.
    Tls,
    /// The HTTP request.
    Request,
    /// The requirements for the server.
    Result,
    /// Output, and other things that the server doesn't see.
    Output,
}

impl Group {
    /// The groups in the order of help and manual.
    pub const ALL: [Group; 5] = [
        Group::Connection,
        Group::Tls,
        Group::Request,
        Group::Result,
        Group::Output,
    ];

    /// Returns the heading of the group.
    pub fn title(self) -> &'static str {
        match self {
            Group::Connection => "Connection",
            Group::Tls => "TLS",
            Group::Request => "Request",
            Group::Result => "Result",
            Group::Output => "Output",
        }
    }
}

/// An option.
#[derive(Debug)]
pub struct Row {
    /// The name, such as `--sni`.
    pub name: &'static str,
    /// Its group in help and manual.
    pub group: Group,
    /// The commands that accept the option.
    pub commands: &'static [Command],
    /// A request to serve that has this option drops these options from serve's defaults.
    pub replaces: &'static [&'static str],
    files: Option<Files>,
    is_given: fn(&Options) -> bool,
    values: fn(&Options) -> Vec<String>,
    clear: fn(&mut Options),
    inherit: fn(&mut Options, &Options),
}

/// How the values of an option name files.
#[derive(Debug)]
struct Files {
    /// True if the file follows an `@`, as in `--header @FILE`. Otherwise a value that begins with
    /// `@`, such as `@system-ca`, isn't a file.
    after_at: bool,
    values: fn(&Options) -> Vec<&String>,
    values_mut: fn(&mut Options) -> Vec<&mut String>,
}

impl Files {
    /// Splits a value into the text before a file's path, and the path. Returns `None` if the value doesn't
    /// name a file.
    fn split<'a>(&self, value: &'a str) -> Option<(&'static str, &'a str)> {
        match (value.strip_prefix('@'), self.after_at) {
            (Some(path), true) => Some(("@", path)),
            (None, false) => Some(("", value)),
            _ => None,
        }
    }
}

impl Row {
    /// Returns true if the option was given.
    pub fn is_given(&self, options: &Options) -> bool {
        (self.is_given)(options)
    }

    /// Returns true if this command accepts the option.
    pub fn is_for(&self, command: Command) -> bool {
        self.commands.contains(&command)
    }

    /// Returns true if the option is about the request or the response.
    pub fn is_about_http(&self) -> bool {
        self.replaces.contains(&HANDSHAKE_ONLY)
    }

    /// Removes the option.
    pub fn clear(&self, options: &mut Options) {
        (self.clear)(options);
    }

    /// Copies the option from `defaults`, unless it was given.
    pub fn inherit(&self, options: &mut Options, defaults: &Options) {
        (self.inherit)(options, defaults);
    }
}

/// Returns the row of the option with this name.
pub fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// Returns the error for an option that belongs to another command. `None` if this command accepts the
/// option.
pub(super) fn foreign(command: Command, name: &str) -> Option<Error> {
    let row = row(name)?;
    let owner = row.commands.first().filter(|_| !row.is_for(command))?;
    if name == "--version" {
        let what = format!("is not an option of {}", command.name());
        return Some(refusal(name, what, "write sni-check --version"));
    }
    let whose = match owner {
        Command::Check => "checks",
        owner => owner.name(),
    };
    let what = format!("is for {whose}");
    Some(refusal(name, what, "leave it out here"))
}

/// Parses the arguments of a command that accepts the options of a check.
///
/// # Errors
///
/// The same as for `parse_as`, and every option that belongs to another command.
pub fn parse_for(command: Command, words: &[String]) -> Result<Parsed<Options>> {
    let names: &[&str] = match command {
        Command::Serve => &["sni-check", "serve"],
        _ => &["sni-check"],
    };
    parse_unless(names, words, |part| match part {
        Part::Switch(option) | Part::Valued(option, _) => foreign(command, option),
        Part::Word(_) | Part::Fault(_) => None,
    })
}

/// Returns true if the header field `Name: value` has this name.
fn is_named(field: &str, name: &str) -> bool {
    let given = field.split(':').next().unwrap_or_default();
    given.trim().eq_ignore_ascii_case(name)
}

impl Options {
    /// Returns the files that the options name, each with the name of its option.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let rows = ROWS
            .iter()
            .filter_map(|row| Some((row.name, row.files.as_ref()?)));
        rows.flat_map(|(name, files)| {
            let values = (files.values)(self).into_iter();
            values.filter_map(move |value| Some((name, files.split(value)?.1)))
        })
    }

    /// Replaces the paths of all files that the options name.
    pub fn map_files(&mut self, path: impl Fn(&str) -> String) {
        for files in ROWS.iter().filter_map(|row| row.files.as_ref()) {
            for value in (files.values_mut)(self) {
                if let Some((at, old)) = files.split(value) {
                    *value = format!("{at}{}", path(old));
                }
            }
        }
    }

    /// Removes every option for which `keep` returns false.
    pub fn retain(&mut self, keep: impl Fn(&Row) -> bool) {
        let out = ROWS.iter().filter(|row| !keep(row));
        out.for_each(|row| row.clear(self));
    }

    /// Returns the options whose values differ from the values in `others`.
    pub(crate) fn changes(&self, others: &Options) -> Vec<&'static Row> {
        let given = |row: &Row, options| (row.is_given(options), (row.values)(options));
        let rows = ROWS.iter();
        rows.filter(|row| given(row, self) != given(row, others))
            .collect()
    }

    /// Returns these options with the changes to `first` and with the changes to `second`. Returns `None` if
    /// both change the same option or the same field of `--header`.
    pub(crate) fn merged(&self, first: &Options, second: &Options) -> Option<Options> {
        let (changed, mut others) = (self.changes(first), self.changes(second));
        let is_of_both = |row: &Row| changed.iter().any(|own| own.name == row.name);
        if others
            .iter()
            .any(|row| is_of_both(row) && row.name != "--header")
        {
            return None;
        }
        let mut merged = first.clone();
        let (fields, added) = (self.changed_fields(first), self.changed_fields(second));
        if added.iter().any(|name| fields.contains(name)) {
            return None;
        }
        for name in added {
            merged.remove_header(&name);
            let fields = second.header.iter().filter(|field| is_named(field, &name));
            merged.header.extend(fields.cloned());
        }
        others.retain(|row| row.name != "--header");
        merged.copy(&others, second);
        Some(merged)
    }

    /// Returns the names of the fields in `--header` whose values differ from those in `others`, in lower
    /// case.
    fn changed_fields(&self, others: &Options) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for field in self.header.iter().chain(&others.header) {
            let name = field.split(':').next().unwrap_or_default().trim();
            let of = |options: &Options| -> Vec<String> {
                let fields = options.header.iter().filter(|field| is_named(field, name));
                fields.cloned().collect()
            };
            let name = name.to_ascii_lowercase();
            if of(self) != of(others) && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns true if `--header` gives a field with this name. Fields in files don't count.
    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.header.iter().any(|field| is_named(field, name))
    }

    /// Returns the last value that `--header` gives for this field. Fields in files don't count.
    pub(crate) fn header_value(&self, name: &str) -> Option<&str> {
        let field = self.header.iter().rfind(|field| is_named(field, name))?;
        Some(field.split_once(':')?.1.trim())
    }

    /// Removes the fields with this name from `--header`.
    pub(crate) fn remove_header(&mut self, name: &str) {
        self.header.retain(|field| !is_named(field, name));
    }

    /// Copies these options from `from`.
    pub(crate) fn copy(&mut self, rows: &[&Row], from: &Options) {
        for row in rows {
            row.clear(self);
            row.inherit(self, from);
        }
    }

    /// Returns the given options that have no meaning without an HTTP request.
    pub fn about_http(&self) -> Vec<&'static str> {
        let http = ROWS.iter().filter(|row| row.is_about_http());
        http.filter(|row| row.is_given(self))
            .map(|row| row.name)
            .collect()
    }

    /// Returns these options as arguments, without the target. [`super::parse`] reads the same options
    /// from these arguments.
    pub fn to_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for row in ROWS.iter().filter(|row| row.is_given(self)) {
            let values = (row.values)(self);
            if values.is_empty() {
                words.push(row.name.to_owned());
            }
            for value in values {
                match value.starts_with('-') {
                    // The value could be mistaken for an option.
                    true => words.push(format!("{}={value}", row.name)),
                    false => words.extend([row.name.to_owned(), value]),
                }
            }
        }
        words
    }
}

/// A field of [`Options`].
trait Field {
    fn is_given(&self) -> bool;
    /// Returns the values as words of a command line. A switch has no value.
    fn values(&self) -> Vec<String>;
}

impl Field for bool {
    fn is_given(&self) -> bool {
        *self
    }

    fn values(&self) -> Vec<String> {
        Vec::new()
    }
}

impl<T: ToString> Field for Option<T> {
    fn is_given(&self) -> bool {
        self.is_some()
    }

    fn values(&self) -> Vec<String> {
        self.iter().map(T::to_string).collect()
    }
}

impl<T: ToString> Field for Vec<T> {
    fn is_given(&self) -> bool {
        !self.is_empty()
    }

    fn values(&self) -> Vec<String> {
        self.iter().map(T::to_string).collect()
    }
}

const ALL: &[Command] = &[Command::Check, Command::Diagnose, Command::Serve];
const CHECKS: &[Command] = &[Command::Check, Command::Serve];
const CHECK: &[Command] = &[Command::Check];
const DIAGNOSE: &[Command] = &[Command::Diagnose];

const HANDSHAKE_ONLY: &str = "--handshake-only";
/// The option that every option about the request or the response replaces.
const HTTP: &[&str] = &[HANDSHAKE_ONLY];

macro_rules! files {
    (none $field:ident) => {
        None
    };
    (file $field:ident) => {
        files!(false, $field)
    };
    (at_file $field:ident) => {
        files!(true, $field)
    };
    ($after_at:literal, $field:ident) => {
        Some(Files {
            after_at: $after_at,
            values: |options| options.$field.iter().collect(),
            values_mut: |options| options.$field.iter_mut().collect(),
        })
    };
}

/// Builds the rows from: field, name, group, commands, files in the value, replaced options.
macro_rules! rows {
    ($($field:ident $name:literal $group:ident $commands:ident $files:ident $replaces:expr;)*) => {
        /// All options, in the order of the fields.
        pub static ROWS: [Row; [$($name),*].len()] = [$(Row {
            name: $name,
            group: Group::$group,
            commands: $commands,
            replaces: $replaces,
            files: files!($files $field),
            is_given: |options| options.$field.is_given(),
            values: |options| options.$field.values(),
            clear: |options| options.$field = Default::default(),
            inherit: |options, defaults| {
                if !options.$field.is_given() {
                    options.$field.clone_from(&defaults.$field);
                }
            },
        }),*];

        /// Names every field, so that a new option doesn't compile without a row.
        const _: fn(Options) = |Options { target: _, $($field: _),* }| ();
    };
}

#[rustfmt::skip]
rows! {
    sni             "--sni"             Connection ALL      none    &["--no-sni"];
    no_sni          "--no-sni"          Connection ALL      none    &["--sni"];
    connect         "--connect"         Connection ALL      none    &["--port"];
    port            "--port"            Connection ALL      none    &["--connect"];
    method          "--method"          Request    ALL      none    HTTP;
    uri             "--uri"             Request    ALL      none    HTTP;
    header          "--header"          Request    ALL      at_file HTTP;
    body            "--body"            Request    ALL      none    HTTP;
    expect          "--expect"          Result     ALL      none    HTTP;
    max_head        "--max-head"        Result     ALL      none    HTTP;
    max_body        "--max-body"        Result     ALL      none    HTTP;
    verify          "--verify"          Tls        ALL      none    &[];
    verify_host     "--verify-host"     Tls        ALL      none    &["--verify"];
    ca_file         "--ca-file"         Tls        ALL      file    &["--verify"];
    crl_file        "--crl-file"        Tls        ALL      file    &["--verify"];
    crt             "--crt"             Tls        ALL      file    &["--key"];
    key             "--key"             Tls        ALL      file    &[];
    ssl_min_ver     "--ssl-min-ver"     Tls        ALL      none    &[];
    ssl_max_ver     "--ssl-max-ver"     Tls        ALL      none    &[];
    alpn            "--alpn"            Tls        ALL      none    &[];
    handshake_only  "--handshake-only"  Tls        ALL      none    &["--method", "--uri", "--header",
                                                                      "--body", "--expect", "--max-head",
                                                                      "--max-body"];
    min_cert_days   "--min-cert-days"   Result     ALL      none    &[];
    warn_cert_days  "--warn-cert-days"  Result     ALL      none    &[];
    send_proxy      "--send-proxy"      Connection ALL      none    &["--send-proxy-v2"];
    send_proxy_v2   "--send-proxy-v2"   Connection ALL      none    &["--send-proxy"];
    source          "--source"          Connection ALL      none    &[];
    timeout         "--timeout"         Connection ALL      none    &[];
    quiet           "--quiet"           Output     CHECKS   none    &["--verbose", "--json"];
    verbose         "--verbose"         Output     ALL      none    &["--quiet", "--json"];
    json            "--json"            Output     ALL      none    &["--quiet", "--verbose"];
    syslog          "--syslog"          Output     CHECKS   none    &[];
    haproxy         "--haproxy"         Output     DIAGNOSE none    &[];
    serve           "--serve"           Output     DIAGNOSE none    &[];
    color           "--color"           Output     DIAGNOSE none    &[];
    version         "--version"         Output     CHECK    none    &[];
}

#[cfg(test)]
mod tests {
    use argh::ArgsInfo;

    use super::{Options, Parsed, ROWS, row};
    use crate::options::{of_text, parse};

    #[test]
    fn rows_have_the_names_and_the_order_of_the_fields() {
        let flags = Options::get_args_info().flags.iter();
        let names = flags.map(|flag| flag.long);
        let names: Vec<&str> = names.filter(|name| *name != "--help").collect();
        let rows: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(rows, names);
        for row_ in &ROWS {
            let mut replaced = row_.replaces.iter();
            assert!(replaced.all(|name| row(name).is_some()), "{}", row_.name);
        }
    }

    #[test]
    fn each_row_sets_the_field_of_its_name() {
        let given = "--sni a --no-sni --connect 192.0.2.1 --port 8443 --method HEAD --uri /x \
            --header 'A: b c' --header @/h --body -x --expect 'status 200' --max-head 20480 \
            --max-body 1024 --verify none --verify-host b --ca-file /ca --ca-file @system-ca \
            --crl-file /crl --crt /crt --key /key --ssl-min-ver TLSv1.2 --ssl-max-ver TLSv1.3 \
            --alpn h2,http/1.1 --handshake-only --min-cert-days 7 --warn-cert-days 14 --send-proxy \
            --send-proxy-v2 --source 192.0.2.2 --timeout 1500us --quiet --verbose --json \
            --syslog /dev/log --haproxy none --serve /s --color never --version";
        let all = of_text(given);
        let again = parse(&all.to_words()).expect("the same words");
        let Parsed::Options(mut again) = again else {
            panic!("help");
        };
        assert_eq!(format!("{again:?}"), format!("{all:?}"));
        for row in &ROWS {
            assert!(row.is_given(&again), "{}", row.name);
            let mut only = all.clone();
            only.retain(|other| other.name == row.name);
            let words = only.to_words();
            assert!(words[0].starts_with(row.name), "{words:?}");
            let mut inherited = Options::default();
            row.inherit(&mut inherited, &all);
            assert_eq!(inherited.to_words(), words);
            row.clear(&mut again);
            assert!(!row.is_given(&again), "{}", row.name);
        }
        assert!(again.to_words().is_empty());
    }

    #[test]
    fn files_are_found_and_renamed_at_every_option() {
        let given = "--header @/h --header 'A: @b' --ca-file /ca --ca-file @bundled --crl-file /crl \
            --crt /crt --key /key --uri @/u";
        let mut options = of_text(given);
        let files: Vec<(&str, &str)> = options.files().collect();
        assert_eq!(
            files,
            [
                ("--header", "/h"),
                ("--ca-file", "/ca"),
                ("--crl-file", "/crl"),
                ("--crt", "/crt"),
                ("--key", "/key")
            ]
        );
        options.map_files(|path| format!("/root{path}"));
        let renamed = options.to_words().join(" ");
        for part in [
            "@/root/h",
            "A: @b",
            " /root/ca",
            "@bundled",
            "/root/key",
            "@/u",
        ] {
            assert!(renamed.contains(part), "{renamed}");
        }
    }
}
