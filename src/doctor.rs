//! `sni-check doctor`: how the external checks of a haproxy.cfg would fare on this host, before
//! they are relied on.
//!
//! `files -> Statements (words, variables, .if) -> Configuration (sections, inheritance) -> ExternalCheck
//! (what HAProxy would run) -> Finding -> Report -> text or JSON`. With `--json` one object: `code`
//! (the exit code), `files`, `checks` (how many), `served` (how many by `sni-check serve`), `haproxy` (null without HAProxy; else `version`,
//! `accepts`, `says`), `findings` (each `mark`: `problem` or `note`, `id`, `file`, `line`, `about`:
//! backends or servers, `what`, `shows`, `write`), `not_understood` (`file`, `line`, `why`) and `runs`
//! (null without `--run`; else `exact`, `limits` and `checks`: `backend`, `server`, `check_status`,
//! `check_code`, `meaning`, `line`: what the check wrote, `diagnose`: what to call next, both may be
//! null, `milliseconds`).

mod as_haproxy;
mod asked;
mod backends;
mod binary;
mod broken;
mod by_hand;
mod check;
mod descriptors;
mod ended;
mod executable;
mod files;
mod finding;
mod fit;
mod jail;
mod judge;
mod launch;
mod object;
mod options;
mod outcome;
mod own_checks;
mod print;
mod report;
mod roots;
mod run;
mod served;
mod served_files;
mod served_look;
mod setup;
mod shell;
mod sni_name;
mod socket;
mod traffic;
mod user;

use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use crate::code::Code;
use crate::haproxy::config::Configuration;
use crate::haproxy::config::place::Place;
use crate::haproxy::config::proxy::Backend;
use crate::haproxy::config::statement::files_of;
use crate::haproxy::program::{Haproxy, Opinion};
use crate::haproxy::variables::Variables;
use crate::output::mark::Mark;
use crate::output::write::write_text;

pub(crate) use self::as_haproxy::{INNER_COMMAND, become_check};
use self::check::ExternalCheck;
use self::finding::Finding;
use self::jail::Jail;
pub use self::options::DoctorOptions;
use self::report::Report;
use self::served::Served;
use self::setup::Setup;

/// Where packages and images keep the configuration.
const USUAL: [&str; 2] = [
    "/etc/haproxy/haproxy.cfg",
    "/usr/local/etc/haproxy/haproxy.cfg",
];

/// Looks, prints, and returns the exit code: 0 when nothing is in the way, 2 when a check cannot
/// work; with `--run` otherwise the code of the first check that fails.
///
/// # Errors
/// Options that are refused, and a configuration that cannot be read.
pub fn run(options: &DoctorOptions) -> Result<Code> {
    let report = examine(options)?;
    let code = report.code();
    let text = match options.json {
        true => object::of(&report, code),
        false => print::text(&report, options.color.unwrap_or_default()),
    };
    write_text(io::stdout(), &text);
    Ok(code)
}

fn examine(options: &DoctorOptions) -> Result<Report> {
    let given = match options.file.as_slice() {
        [] => vec![usual()?.to_owned()],
        given => given.to_vec(),
    };
    if options.run {
        run::possible()?;
    }
    let start = Variables::new(&options.env)?;
    let haproxy = Haproxy::find(options.haproxy.as_deref())?;
    let mut variables = start.clone();
    let files = files_of(&given)?;
    let mut config = Configuration::read(&files, &mut variables, &haproxy)?;
    let (jail, unclear) = Jail::new(&config.global);
    config.unclear.extend(unclear);
    let opinion = haproxy.opinion(&given, &start);
    let mut checks = ExternalCheck::all(&config, &variables);
    let setup = Setup {
        config: &config,
        haproxy: &haproxy,
        jail: &jail,
        run: options.run,
    };
    let mut findings = broken::look(&config);
    findings.extend(opinion.iter().filter_map(refused));
    findings.extend(unset(&config, &options.env));
    findings.extend(look(setup, &checks).into_iter().map(|mut found| {
        found.shows += &unless_haproxy_has(&config, &found);
        found
    }));
    let runs = options.run.then(|| {
        checks.iter_mut().for_each(ExternalCheck::resolve);
        run::all(&checks, setup)
    });
    let checks = checks.len();
    let served = config.backends.iter().filter_map(Served::of);
    let served = served.map(|served| served.backend.checked().count()).sum();
    let (accepts, says) = opinion.map_or((true, Vec::new()), |opinion| {
        (opinion.accepts, opinion.says)
    });
    Ok(Report {
        files: given,
        checks,
        served,
        findings: finding::merged(findings),
        unclear: std::mem::take(&mut config.unclear),
        haproxy_version: haproxy.version_text,
        haproxy_accepts: accepts,
        haproxy_says: says,
        runs,
    })
}

fn usual() -> Result<&'static str> {
    let found = USUAL.into_iter().find(|file| Path::new(file).exists());
    found.with_context(|| {
        format!(
            "neither {} nor {} is there; write -f FILE",
            USUAL[0], USUAL[1]
        )
    })
}

/// All that is found without running anything.
fn look(setup: Setup, checks: &[ExternalCheck]) -> Vec<Finding> {
    let mut findings = launch::look(setup);
    findings.extend(descriptors::look(setup, checks));
    findings.extend(descriptors::too_many(setup));
    let whole = |backend: &&Backend| !backend.settings.is_broken();
    for backend in setup.config.backends.iter().filter(whole) {
        findings.extend(backends::look(backend));
        findings.extend(sni_name::look(backend, setup));
        findings.extend(match Served::of(backend) {
            Some(served) => served_look::look(&served, setup),
            None => own_checks::look(backend, setup),
        });
    }
    if launch::is_empty_chroot(setup) {
        // Nothing is in there that could be examined.
        return findings;
    }
    for check in checks {
        findings.extend(executable::look(check, setup.jail));
        if !judge::is_ours(check) || check.backend.settings.is_broken() {
            continue;
        }
        let (good, found) = judge::options(check, setup.jail);
        findings.extend(found);
        if let Some(good) = good {
            findings.extend(fit::look(check, &good, setup.jail));
            findings.extend(traffic::look(check, &good, setup));
        }
    }
    findings
}

/// HAProxy's own verdict comes first.
fn refused(opinion: &Opinion) -> Option<Finding> {
    if let Some(why) = &opinion.broke_off {
        return Some(
            Finding::problem(
                "refused",
                format!("HAProxy's test of this configuration {why}"),
            )
            .shows("HAProxy may not start either; what it says of the configuration is missing")
            .write("run haproxy -c by hand; a crash is to be reported to HAProxy's developers"),
        );
    }
    if opinion.accepts {
        return None;
    }
    let mut lines = opinion.says.iter();
    let alert = lines.find_map(|line| line.strip_prefix("[ALERT] "));
    let alert = alert.unwrap_or("see haproxy -c");
    let what = format!("HAProxy refuses this configuration: {alert}");
    Some(
        Finding::problem("refused", what)
            .shows("HAProxy does not start; on reload the old configuration stays")
            .write("see what haproxy -c says, below"),
    )
}

/// What a problem of a line depends on, if that uses a variable that HAProxy may have.
fn unless_haproxy_has(config: &Configuration, found: &Finding) -> String {
    let here = |(name, place): &(String, Place)| {
        let is_here = found.place.as_ref() == Some(place);
        is_here.then(|| name.clone())
    };
    let names: Vec<String> = config.unset.iter().filter_map(here).collect();
    match names.as_slice() {
        _ if found.mark != Mark::Problem => String::new(),
        [] => String::new(),
        names => format!(", unless HAProxy has {}", names.join(" and ")),
    }
}

/// What is judged with variables that HAProxy may have.
fn unset(config: &Configuration, given: &[String]) -> Option<Finding> {
    let (name, place) = config.unset.first()?;
    let names = config.unset.iter().map(|(name, _)| name.clone());
    let (what, write) = match given {
        [] => (
            "these variables are not set here; HAProxy may have them",
            format!("call doctor with --env {name}=VALUE, or --env @FILE (see doctor --help)"),
        ),
        _ => (
            "these variables are set neither here nor by --env",
            format!("set {name}=VALUE where HAProxy is started, or \"${{{name}-DEFAULT}}\" here"),
        ),
    };
    Some(
        Finding::note("unset-variables", what)
            .at(place)
            .about(names)
            .shows("all that uses them is judged as if they were empty")
            .write(write),
    )
}
