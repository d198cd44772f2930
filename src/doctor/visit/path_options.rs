//! Reads the options in `external-check path` with the same parser and plan as the check itself. If they
//! refuse the options, doctor therefore shows the sentence that the check would print.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Error, Result};
use memchr::memmem;

use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::external::ExternalCheck;
use crate::haproxy::config::proxy::Global;
use crate::options::Options;
use crate::options::handed::{self, Carrier};
use crate::output::mark::Mark;
use crate::plan::{Material, NO_SNI_NAME, Output, Plan};
use crate::refusal::Refusal;

use super::jail::{Jail, Need, Obstacle};
use crate::doctor::finding::{Effect, Finding, REFUSED_OPTIONS};
use crate::doctor::shell::shell;

/// The name that the program has unless its file was renamed.
const NAME: &str = "sni-check";

/// Options that sni-check accepts, and the plan of the check that they describe.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub options: Options,
    pub plan: Plan,
}

/// Returns true if `external-check path` has sni-check options, or if the command's name is sni-check.
pub(crate) fn is_ours(check: &ExternalCheck) -> bool {
    let path = check.variable("PATH").unwrap_or_default();
    path.trim_start().starts_with('-') || check.command.value.ends_with(NAME)
}

/// Returns true if HAProxy runs a program other than sni-check. Such a program may ignore options in
/// `external-check path`.
pub(super) fn runs_other_program(check: &ExternalCheck, jail: &Jail) -> bool {
    let command = &check.command.value;
    !is_ours(check) || (!command.ends_with(NAME) && is_other_program(command, jail))
}

/// Returns true if this file can be read and doesn't contain the name `sni-check`. The program contains its
/// own name, whatever its file is called. So does a script that starts it.
fn is_other_program(command: &str, jail: &Jail) -> bool {
    let mut bytes = Vec::new();
    let opened = jail.files().open(command, command);
    let read = opened.map(|(file, _)| File::from(file).read_to_end(&mut bytes));
    matches!(read, Ok(Ok(_))) && memmem::find(&bytes, NAME.as_bytes()).is_none()
}

/// Returns the options if the check would accept them. Also returns what is wrong with the options or with
/// their files.
pub(crate) fn judge(
    check: &ExternalCheck,
    jail: &Jail,
    global: &Global,
) -> (Option<Accepted>, Vec<Finding>) {
    let mut options = match parse(check) {
        Ok(options) => options,
        Err(error) => return (None, vec![refused(check, &error)]),
    };
    let mut findings = files(&mut options, check, (jail, global));
    let is_unknown =
        |finding: &Finding| finding.mark == Mark::Problem || finding.foretold == NOT_HERE;
    if findings.iter().any(is_unknown) {
        return (None, findings);
    }
    match plan(&options, check, jail) {
        Ok(plan) => (Some(Accepted { options, plan }), findings),
        Err(error) => {
            findings.push(refused(check, &error));
            (None, findings)
        }
    }
}

fn parse(check: &ExternalCheck) -> Result<Options> {
    let path = check.variable("PATH").unwrap_or_default();
    let mut arguments = check.arguments.clone();
    // HAProxy resolves a name itself, and passes an address to the check. With an SRV record, it also finds
    // the port. Neither affects whether the options are valid, so any valid address and port will do.
    let endpoint = &check.server.endpoint;
    if endpoint.name().is_some() {
        "192.0.2.1".clone_into(&mut arguments[2]);
    }
    if endpoint.is_srv() {
        "443".clone_into(&mut arguments[3]);
    }
    let mut options = *handed::options(Carrier::Path, OsStr::new(path))?;
    options.target = arguments.into();
    Ok(options)
}

fn plan(options: &Options, check: &ExternalCheck, jail: &Jail) -> Result<Plan> {
    Plan::of(
        options,
        &Material::read(options, &jail.files())?,
        &options.target,
        Some(check.caller()),
        check.variable("SNI_HOST"),
        Output::new(options)?,
    )
}

fn refused(check: &ExternalCheck, error: &Error) -> Finding {
    let refusal = error.downcast_ref::<Refusal>();
    let subject = refusal.map_or("", |refusal| refusal.subject.as_str());
    let path = check.backend.settings.path.as_ref();
    let of_server = subject.starts_with("the server");
    let place = match path {
        Some(path) if !of_server => &path.place,
        _ => &check.server.place,
    };
    let text = check.variable("PATH").unwrap_or_default();
    let unusual = text.chars().find_map(|c| Some((c, look_alike(c)?)));
    let unusual = unusual.map(|(c, (name, plain))| {
        let what = format!("; the text has {name} (U+{:04X})", u32::from(c));
        (
            what,
            format!("write {plain} in its place, in external-check path"),
        )
    });
    let (seen, plain) = unusual.unwrap_or_default();
    let what = format!("{REFUSED_OPTIONS}{error:#}{seen}");
    let write = match (&check.server.endpoint, refusal) {
        _ if !plain.is_empty() => plain,
        (Endpoint::Other(_), _) => "add --connect ADDR:PORT to external-check path".to_owned(),
        (_, Some(refusal)) => refusal.instead(),
        (_, None) => "write options as sni-check --help lists them".to_owned(),
    };
    Finding::problem(Effect::Down, what)
        .id(id_of(subject))
        .at(place)
        .shows("PROCERR with code 2, the server is DOWN")
        .write(write)
}

/// Describes a character that looks like an ASCII character or is invisible, and says what to write instead.
/// Documents and chat programs put such characters into copied lines.
fn look_alike(c: char) -> Option<(&'static str, &'static str)> {
    Some(match c {
        '\u{a0}' | '\u{202f}' | '\u{2007}' => ("a no-break space", "a space"),
        c if c.is_whitespace() && !c.is_ascii() => ("an unusual space", "a space"),
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => {
            ("an invisible character", "nothing")
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' => ("a dash", "two hyphens (--)"),
        '\u{2018}'..='\u{201f}' => ("a typographic quote", "a plain quote"),
        _ => return None,
    })
}

/// Returns the id of the rule that a refusal belongs to.
pub(crate) fn id_of(subject: &str) -> &'static str {
    match subject {
        NO_SNI_NAME => "no-sni-name",
        _ => "options",
    }
}

/// `Finding::foretold` for a relative path to a file that doctor's own folder doesn't have. [`judge`]
/// recognizes these findings by this value.
const NOT_HERE: &[&str] = &["2"];

/// The files in which systems keep their CA certificates. For `@system-ca`, the chroot needs one of these
/// files.
const SYSTEM_CA: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/ca-bundle.crt",
];

/// Examines the files that the options name, and returns findings about them. If HAProxy's user can't read a
/// file, removes this file from the options. If this file is the certificate or the key, removes both.
fn files(
    options: &mut Options,
    check: &ExternalCheck,
    (jail, global): (&Jail, &Global),
) -> Vec<Finding> {
    let mut files = OptionFiles {
        check,
        jail,
        global,
        findings: Vec::new(),
    };
    let bundled = |file: &String| file.starts_with('@');
    let ca_file = &mut options.ca_file;
    ca_file.retain(|file| bundled(file) || files.is_readable("--ca-file", file));
    let crl_file = &mut options.crl_file;
    crl_file.retain(|file| files.is_readable("--crl-file", file));
    options
        .header
        .retain(|header| match header.strip_prefix('@') {
            Some(file) => files.is_readable("--header", file),
            None => true,
        });
    let mut readable = true;
    for (option, file) in [("--crt", &options.crt), ("--key", &options.key)] {
        if let Some(file) = file {
            readable &= files.is_readable(option, file);
        }
    }
    if !readable {
        (options.crt, options.key) = (None, None);
    }
    files.system_ca(options);
    files.findings
}

/// Examines the files of one check, as HAProxy's user finds them.
struct OptionFiles<'a> {
    check: &'a ExternalCheck<'a>,
    jail: &'a Jail,
    global: &'a Global,
    findings: Vec<Finding>,
}

impl OptionFiles<'_> {
    fn is_readable(&mut self, option: &str, file: &str) -> bool {
        let need = match option {
            "--ca-file" => Need::ReadOrList,
            _ => Need::Read,
        };
        let obstacle = if !file.starts_with('/') && !self.jail.is_chroot() {
            let here = in_this_folder(file);
            let is_here = here.is_some_and(|path| self.jail.find(&path, need).is_ok());
            let found = self.relative(option, file, is_here);
            self.findings.push(found);
            return is_here;
        } else if let Err(obstacle) = self.jail.find(file, need) {
            self.unreadable(option, file, &obstacle)
        } else if self.jail.files().open(option, file).is_err() {
            self.hidden(option, file)
        } else {
            return true;
        };
        self.findings.push(obstacle);
        false
    }

    /// Reports `@system-ca` if the chroot has no CA certificates. Replaces `@system-ca` with `@bundled` for
    /// the plan.
    fn system_ca(&mut self, options: &mut Options) {
        if !self.jail.is_chroot() {
            return;
        }
        let system = |source: &&mut String| *source == "@system-ca";
        for source in options.ca_file.iter_mut().filter(system) {
            let exists = |file: &&str| self.jail.find(file, Need::Read).is_ok();
            if !SYSTEM_CA.iter().any(exists) {
                let what = format!(
                    "--ca-file @system-ca: {} has no CA certificates",
                    self.jail.name()
                );
                let finding = self.without_system_ca(self.problem(what));
                self.findings.push(finding);
            }
            // The plan needs roots, but it doesn't matter which.
            "@bundled".clone_into(source);
        }
    }

    /// Adds the advice to use other roots than `@system-ca`: those of visitors' traffic, if the server line
    /// names a file, or else Mozilla's.
    fn without_system_ca(&self, finding: Finding) -> Finding {
        let of_traffic = self.check.server.settings.get("ca-file");
        let of_traffic = of_traffic.filter(|file| !file.value.starts_with('@'));
        let Some(file) = of_traffic.map(|file| self.global.ca_path(&file.value)) else {
            let root = self.jail.name();
            return finding.write(format!("use --ca-file @bundled, or a PEM file in {root}"));
        };
        let finding = finding.write(format!("--ca-file {file} in external-check path"));
        match self.jail.find(&file, Need::ReadOrList) {
            Ok(_) => finding,
            Err(_) => finding.paste(copy_into_chroot(self.jail, "--ca-file", &file, &file)),
        }
    }

    fn at_path(&self, finding: Finding) -> Finding {
        let path = self.check.backend.settings.path.as_ref();
        match path {
            Some(path) => finding.at(&path.place),
            None => finding,
        }
    }

    fn problem(&self, what: String) -> Finding {
        let finding = Finding::problem(Effect::Down, what).id("file");
        self.at_path(finding)
            .shows("PROCERR with code 2, the server is DOWN")
    }

    fn unreadable(&self, option: &str, file: &str, why: &Obstacle) -> Finding {
        let jail = self.jail;
        let user = &jail.user.name;
        let (what, write) = match why {
            Obstacle::Missing if jail.is_chroot() => {
                let what = format!("{option} {file} is not in {}", jail.name());
                if let Some(inside) = jail.inside(file) {
                    let what =
                        format!("{what}: the check looks for this path inside of the chroot");
                    return self.problem(what).write(format!("{option} {inside}"));
                }
                return match self.source(file) {
                    Some(source) => self
                        .problem(what)
                        .paste(copy_into_chroot(jail, option, &source, file)),
                    None => self
                        .problem(what)
                        .write(format!("copy the file to {}", jail.outside(file))),
                };
            }
            Obstacle::Missing => {
                let folder = Path::new(file).parent().unwrap_or(Path::new("/"));
                (
                    format!("{option} {file} does not exist"),
                    format!(
                        "write the right path, or put the file into {}",
                        folder.display()
                    ),
                )
            }
            Obstacle::NotRegular => (
                format!("{option} {file} is not a regular file"),
                "write the path of a regular file".to_owned(),
            ),
            Obstacle::Forbidden(at) => (
                format!(
                    "{option} {file}: user {user} may not read it; see the mode of {}",
                    at.display()
                ),
                format!(
                    "use chgrp and chmod so that {user} may read {}",
                    at.display()
                ),
            ),
            Obstacle::Hidden(_) => return self.hidden(option, file),
        };
        self.problem(what).write(write)
    }

    /// Returns the file of this host to copy into the chroot: the file with the same path, or the target of a
    /// symbolic link at this path in the chroot.
    fn source(&self, file: &str) -> Option<String> {
        let link = fs::read_link(self.jail.outside(file)).ok();
        let link = link.map(|target| target.display().to_string());
        let exists = |path: &String| self.jail.base.join(path.trim_start_matches('/')).is_file();
        let mut paths = [Some(file.to_owned()), link].into_iter().flatten();
        paths.find(|path| path.starts_with('/') && exists(path))
    }

    fn hidden(&self, option: &str, file: &str) -> Finding {
        let what = format!("this user can't read {option} {file}");
        self.at_path(Finding::hint(what))
            .id("hidden-file")
            .shows("doctor can't judge its content")
            .write("run doctor as root")
    }

    /// Reports a relative path. `is_here` is true if doctor's own folder has the file.
    fn relative(&self, option: &str, file: &str, is_here: bool) -> Finding {
        let what = match is_here {
            true => format!(
                "{option} {file} is a relative path: HAProxy's working folder decides which file this is"
            ),
            false => format!(
                "{option} {file} is a relative path, and this folder has no such file (`ca-base` and `crt-base` don't \
                 apply to the options of a check)"
            ),
        };
        let shows = match is_here {
            true => "code 2 (DOWN) if HAProxy starts in another folder; systemd starts it in /",
            false => "code 2 (DOWN), unless HAProxy starts in the folder of that file",
        };
        let finding = self
            .at_path(Finding::note(Effect::Down, what))
            .id("relative-file")
            .shows(shows)
            .write("write the absolute path");
        match is_here {
            true => finding.foretells(&["2", "PROCERR 2"]),
            false => finding.foretells(NOT_HERE),
        }
    }
}

/// Returns the command that copies a file into the chroot. Only root and HAProxy's group can read the copy of
/// a secret.
pub(crate) fn copy_into_chroot(jail: &Jail, option: &str, source: &str, file: &str) -> String {
    let outside = jail.outside(file);
    let group = &jail.group;
    let is_secret = matches!(option, "--crt" | "--key" | "--header");
    match is_secret {
        true => shell(["install", "-D", "-m", "640", "-g", group, source, &outside]),
        false => shell(["install", "-D", "-m", "644", source, &outside]),
    }
}

/// Returns the absolute path that a relative path has if HAProxy starts in doctor's working folder.
pub(crate) fn in_this_folder(path: &str) -> Option<String> {
    let folder = env::current_dir().ok()?;
    Some(folder.join(path).display().to_string())
}
