//! Advice to use sni-check in place of an `external-check command` that HAProxy can't start.

use std::path::Path;

use crate::haproxy::call::own_command;
use crate::haproxy::config::check::Check;
use crate::haproxy::words::quote;
use crate::options::Options;

use super::advice::httpchk_in_place_of;
use crate::doctor::finding::Finding;
use crate::doctor::shell::shell;
use crate::doctor::visit::jail::{Jail, Need};
use crate::doctor::visit::path_options::{copy_into_chroot, is_ours};
use crate::doctor::visit::{Visit, Watch, own_check};

/// The path of sni-check inside a chroot, as in the README.
pub(crate) const IN_CHROOT: &str = "/usr/local/bin/sni-check";

/// Adds the advice to use sni-check as `external-check command`. If `external-check path` doesn't contain
/// sni-check options, the advice replaces this line as well. If HAProxy has a chroot, the advice contains
/// commands that copy the necessary files into the chroot.
pub(crate) fn with_sni_check(visit: &Visit, watch: &Watch, finding: Finding) -> Finding {
    let Check::External(check) = &watch.check else {
        return finding;
    };
    let is_ours = is_ours(check);
    if !is_ours && !speaks_tls(watch) {
        return finding.write(without_tls(visit, watch));
    }
    let jail = visit.jail;
    let (command, mut copies) = match jail.is_chroot() {
        false => (own_command(), Vec::new()),
        true => (IN_CHROOT.to_owned(), own_copy(jail)),
    };
    let mut write = format!("external-check command {command}");
    if !is_ours {
        let options = options(visit, watch);
        let words = options.to_words();
        let path = shell(words.iter().map(String::as_str));
        write = format!("write {write} and then external-check path {}", quote(path));
        copies.extend(copies_of_files(&options, jail));
    }
    finding.write(write).paste(copies.join(" && "))
}

/// Returns true if visitors' traffic to the server uses TLS, or may use TLS in `mode tcp`. sni-check checks
/// only servers with TLS.
fn speaks_tls(watch: &Watch) -> bool {
    watch.traffic.tls.is_some() || !watch.backend.gets_plain_bytes()
}

/// Returns the advice for a server without TLS, which sni-check can't check.
fn without_tls(visit: &Visit, watch: &Watch) -> String {
    let program = "write the path of a program that HAProxy can start";
    match watch.backend.settings.check.as_ref() {
        Some(option) if watch.backend.settings.http => {
            let other = httpchk_in_place_of(visit, watch, option);
            format!("{program}; or {other}")
        }
        _ => program.to_owned(),
    }
}

/// Returns the options with which sni-check connects as visitors' traffic does. The values `NAME` and `FILE`
/// stand for what only the operator knows.
fn options(visit: &Visit, watch: &Watch) -> Options {
    let mut options = own_check::of_traffic(watch, &visit.config.global);
    if options.sni.is_none() && options.verify_host.is_none() {
        let known = watch.backend.names().first();
        options.no_sni = false;
        options.sni = Some(known.map_or_else(|| "NAME".to_owned(), String::clone));
    }
    if options.verify.take().is_some() {
        options.ca_file = vec!["FILE".to_owned()];
    }
    if visit.jail.is_chroot() {
        // The chroot may have no CA certificates. Without `--ca-file`, sni-check uses Mozilla's roots, which
        // are part of the program.
        options.ca_file.retain(|file| file != "@system-ca");
    }
    options
}

/// Returns the command that copies this program into the chroot. Returns no command if the chroot already
/// contains sni-check.
fn own_copy(jail: &Jail) -> Vec<String> {
    match jail.find(IN_CHROOT, Need::Execute) {
        Ok(_) => Vec::new(),
        Err(_) => vec![copy_of_program(&own_command(), IN_CHROOT, jail)],
    }
}

/// Returns the command that copies a program of this host into the chroot.
pub(crate) fn copy_of_program(source: &str, command: &str, jail: &Jail) -> String {
    let outside = jail.outside(command);
    shell(["install", "-D", "-m", "755", source, &outside])
}

fn copies_of_files(options: &Options, jail: &Jail) -> Vec<String> {
    let is_missing =
        |file: &str| jail.find(file, Need::ReadOrList).is_err() && Path::new(file).is_file();
    let files = options
        .files()
        .filter(|(_, file)| jail.is_chroot() && is_missing(file));
    files
        .map(|(option, file)| copy_into_chroot(jail, option, file, file))
        .collect()
}
